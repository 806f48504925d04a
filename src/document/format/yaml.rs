//! Formats YAML that Sentinel accepts: it has no tags, no directives, and a single document.

mod tree;

use tree::{Comment, Kind, Node, Style, Tree};

use super::blank_above;
use crate::document::write::double_quoted;

/// The indentation of an entry of a map or a list below its key.
const INDENT: usize = 2;

/// Returns the formatted text, and its comments.
pub(super) fn format(text: &str) -> (String, Vec<String>) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n");
    let tree = Tree::of(&text);
    let mut pass = Pass { text: &text, comments: &tree.comments, next: 0, out: String::new(), opened: true };
    if let Some(start) = tree.start {
        pass.comments_before(start, 0);
        pass.out.push_str("---\n");
        pass.opened = true;
    }
    if let Some(root) = &tree.root {
        match pass.on_one_line(root) {
            Some(line) => {
                pass.lead(root.end, root.first(), 0);
                pass.out.push_str(&line);
                pass.end_line(root.end);
            }
            None if root.is_collection() => {
                if let Some(anchor) = &root.anchor {
                    pass.lead(anchor.start, anchor.start, 0);
                    pass.out.push_str(&text[anchor.clone()]);
                    pass.end_line(anchor.end);
                    pass.opened = true;
                }
                pass.block(root, 0, Limits { end: text.len(), outer: None }, Start::OwnLine);
            }
            // A policy is a map, so a single scalar is quoted.
            None => {
                pass.lead(root.end, root.first(), 0);
                pass.out.push_str(&double_quoted(root.value()));
                pass.end_line(root.end);
            }
        }
    }
    pass.comments_before(text.len() + 1, 0);
    let comments = tree.comments.iter().map(|comment| comment.text.clone()).collect();
    (pass.out, comments)
}

/// Returns the comments of a text in order.
pub(super) fn comments(text: &str) -> Vec<String> {
    Tree::of(text).comments.into_iter().map(|comment| comment.text).collect()
}

/// Where the first entry of a collection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    OwnLine,
    /// After the dash of a list.
    SameLine,
}

/// The latest end of a collection, and the column of its parent.
#[derive(Debug, Clone, Copy)]
struct Limits {
    end: usize,
    outer: Option<usize>,
}

struct Pass<'a> {
    text: &'a str,
    comments: &'a [Comment],
    /// The index of the first comment that is not written yet.
    next: usize,
    out: String,
    /// Whether the last line opened a collection, after which there is no blank line.
    opened: bool,
}

impl Pass<'_> {
    /// Writes the blank line above a byte, if there is one.
    fn blank(&mut self, at: usize) {
        if !self.opened && blank_above(self.text, at) {
            self.out.push('\n');
        }
        self.opened = false;
    }

    /// Writes the comments that start before a byte, each on its own line.
    fn comments_before(&mut self, end: usize, indent: usize) {
        while let Some(comment) = self.comments.get(self.next).filter(|comment| comment.start < end) {
            self.next += 1;
            self.blank(comment.start);
            self.out.push_str(&format!("{:indent$}{}\n", "", comment.text));
        }
    }

    /// Writes the comments and the blank line above an entry, and its indentation.
    fn lead(&mut self, comments_to: usize, at: usize, indent: usize) {
        self.comments_before(comments_to, indent);
        self.blank(at);
        self.out.push_str(&" ".repeat(indent));
    }

    /// Ends a line, with its trailing comment if there is one.
    fn end_line(&mut self, end: usize) {
        if let Some(comment) = self.comments.get(self.next)
            && comment.start >= end
            && !self.text[end..comment.start].contains('\n')
        {
            self.next += 1;
            self.out.push_str(&format!(" {}", comment.text));
        }
        self.out.push('\n');
    }

    /// Writes a map or a list, one entry per line.
    fn block(&mut self, node: &Node, indent: usize, limits: Limits, start: Start) {
        let column = self.column(node.first());
        let firsts: Vec<usize> = match &node.kind {
            Kind::Map { entries, .. } => entries.iter().map(|(key, _)| key.first()).collect(),
            Kind::List { items, .. } => items.iter().map(Node::first).collect(),
            Kind::Scalar { .. } | Kind::Alias => Vec::new(),
        };
        let end = if node.is_flow() { node.end } else { limits.end };
        let limits_of = |at: usize| Limits { end: firsts.get(at + 1).copied().unwrap_or(end), outer: Some(column) };
        match &node.kind {
            Kind::Map { entries, .. } => {
                for (at, (key, value)) in entries.iter().enumerate() {
                    let is_one_line = self.on_one_line(value).is_some();
                    if at > 0 || start == Start::OwnLine {
                        let to = if is_one_line { value.end.max(key.end) } else { key.first() };
                        self.lead(to, key.first(), indent);
                    }
                    let written = self.on_one_line(key).unwrap_or_else(|| double_quoted(key.value()));
                    self.out.push_str(&format!("{written}:"));
                    self.value(value, indent, key.end, limits_of(at));
                }
            }
            Kind::List { items, .. } => {
                for (at, item) in items.iter().enumerate() {
                    if at > 0 || start == Start::OwnLine {
                        let is_one_line = self.on_one_line(item).is_some();
                        let to = if is_one_line { item.end } else { item.first() };
                        self.lead(to, item.first(), indent);
                    }
                    self.out.push('-');
                    self.item(item, indent, limits_of(at));
                }
            }
            Kind::Scalar { .. } | Kind::Alias => {}
        }
        // Comments with the indentation of the last entry belong to this collection.
        let belongs = |comment: &&Comment| {
            let within =
                node.is_flow() && (comment.start < node.end || !self.text[node.end..comment.start].contains('\n'));
            let below = comment.start < limits.end && comment.column >= column && limits.outer != Some(column);
            within || (below && !node.is_flow())
        };
        while let Some(comment) = self.comments.get(self.next).filter(belongs) {
            self.comments_before(comment.start + 1, indent);
        }
    }

    /// Writes the value of a key, and the end of its line.
    fn value(&mut self, node: &Node, indent: usize, key_end: usize, limits: Limits) {
        if let Some(line) = self.on_one_line(node) {
            if !line.is_empty() {
                self.out.push_str(&format!(" {line}"));
            }
            self.end_line(node.end.max(key_end));
        } else if node.is_collection() {
            let opened = self.open(node, key_end);
            self.end_line(opened);
            self.opened = true;
            self.block(node, indent + INDENT, limits, Start::OwnLine);
        } else {
            self.block_scalar(node, indent);
        }
    }

    /// Writes an item after its dash.
    fn item(&mut self, node: &Node, indent: usize, limits: Limits) {
        if let Some(line) = self.on_one_line(node) {
            if !line.is_empty() {
                self.out.push_str(&format!(" {line}"));
            }
            self.end_line(node.end);
        } else if node.is_collection() {
            if node.anchor.is_some() {
                let opened = self.open(node, node.first());
                self.end_line(opened);
                self.opened = true;
                return self.block(node, indent + INDENT, limits, Start::OwnLine);
            }
            self.out.push(' ');
            self.block(node, indent + INDENT, limits, Start::SameLine);
        } else {
            self.block_scalar(node, indent);
        }
    }

    /// Writes the anchor of a collection, and returns the end of its first line's content.
    fn open(&mut self, node: &Node, before: usize) -> usize {
        let Some(anchor) = &node.anchor else { return before };
        self.out.push_str(&format!(" {}", &self.text[anchor.clone()]));
        anchor.end
    }

    /// Writes a literal or folded block scalar with unchanged lines.
    fn block_scalar(&mut self, node: &Node, indent: usize) {
        let header_end = self.text[node.start..].find('\n').map_or(self.text.len(), |at| node.start + at);
        let header = self.text[node.start..header_end].split([' ', '\t']).next().unwrap_or_default();
        self.open(node, node.start);
        self.out.push_str(&format!(" {header}"));
        self.end_line(node.start + header.len());
        let lines = self.text[header_end..node.end].trim_matches('\n').lines();
        let base = tree::indentation(&self.text[header_end..node.end]);
        for line in lines {
            match line.get(base..).filter(|rest| !rest.is_empty()) {
                Some(rest) => self.out.push_str(&format!("{:1$}{rest}\n", "", indent + INDENT)),
                None => self.out.push('\n'),
            }
        }
    }

    /// Returns a value for the line of its key; `None` for a multi-line value.
    fn on_one_line(&self, node: &Node) -> Option<String> {
        let written = match &node.kind {
            Kind::Alias => self.text[node.start..node.end].to_owned(),
            Kind::Scalar { style: Style::Block, .. } => return None,
            Kind::Scalar { value, style } => self.scalar(node, value, *style),
            Kind::List { items, .. } if items.is_empty() => String::from("[]"),
            Kind::Map { entries, .. } if entries.is_empty() => String::from("{}"),
            Kind::List { .. } | Kind::Map { .. }
                if !node.is_flow() || self.text[node.start..node.end].contains('\n') =>
            {
                return None;
            }
            Kind::List { items, .. } => {
                let items: Option<Vec<String>> = items.iter().map(|item| self.on_one_line(item)).collect();
                format!("[{}]", items?.join(", "))
            }
            Kind::Map { entries, .. } => {
                let entry = |(key, value): &(Node, Node)| {
                    let (key, value) = (self.on_one_line(key)?, self.on_one_line(value)?);
                    // A key without a value would be parsed as a scalar.
                    Some(format!("{key}: {}", if value.is_empty() { "null" } else { &value }))
                };
                let entries: Option<Vec<String>> = entries.iter().map(entry).collect();
                format!("{{ {} }}", entries?.join(", "))
            }
        };
        Some(match &node.anchor {
            Some(anchor) => format!("{} {written}", &self.text[anchor.clone()]).trim_end().to_owned(),
            None => written,
        })
    }

    /// Returns a scalar as written, with double quotes instead of unnecessary single quotes.
    fn scalar(&self, node: &Node, value: &str, style: Style) -> String {
        let raw = &self.text[node.start..node.end];
        let several = raw.contains('\n');
        match style {
            Style::Plain if several && !value.contains('\n') => value.to_owned(),
            Style::Single if !value.contains(['"', '\\', '\n']) => format!("\"{value}\""),
            Style::Plain | Style::Single | Style::Double if !several => raw.to_owned(),
            _ => double_quoted(value),
        }
    }

    /// Returns the column of a byte, in bytes.
    fn column(&self, at: usize) -> usize {
        at - self.text[..at].rfind('\n').map_or(0, |end| end + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn becomes(text: &str, expected: &str) {
        let (formatted, _) = format(text);
        assert_eq!(formatted, expected);
        assert_eq!(format(&formatted).0, formatted, "formatted twice");
    }

    #[test]
    fn yaml_is_formatted_like_the_examples() {
        becomes(
            "\u{feff}# Top.\r\n\r\n\r\nversion:   '1'   # one\r\nrules:\r\n\r\n- name:  a\r\n  effect: allow\r\n  conditions: {users: ['alice',bob],\
             time: {hours: {start: \"09:00\",end: '17:00'}}}\r\n\r\n\r\n-   name: b\r\n    reason: 'a \"word\"'\r\n\r\n\r\n",
            "# Top.\n\nversion: \"1\" # one\nrules:\n  - name: a\n    effect: allow\n    conditions: { users: [\"alice\", bob], \
             time: { hours: { start: \"09:00\", end: \"17:00\" } } }\n\n  - name: b\n    reason: 'a \"word\"'\n",
        );
        becomes("{ }\n", "{}\n");
        becomes("[ a,b ]", "[a, b]\n");
        becomes("--- # one\na: 1\n...\n# end\n", "---\n# one\na: 1\n# end\n");
    }

    #[test]
    fn multi_line_lists_are_written_with_dashes() {
        becomes(
            "users: [ # who\n  alice, # one\n  # two\n  bob,\n  { a: 1,\n    b: [] }\n  # last\n] # end\nnext: []\n",
            "users: # who\n  - alice # one\n  # two\n  - bob\n  - a: 1\n    b: []\n  # last\n  # end\nnext: []\n",
        );
    }

    #[test]
    fn comments_stay_with_their_entries() {
        becomes(
            "rules:\n# first\n- name: a # the name\n  effect: deny\n  # about a\n\n  # about b\n- name: b\n# about c\n\n- # dash\n  name: c\n    # deep\n# top\nlast: # key\n\
             \x20 # value\n  1\n",
            "rules:\n  # first\n  - name: a # the name\n    effect: deny\n    # about a\n\n    # about b\n  - name: b\n  # about c\n\n  # dash\n  - name: c\n    # deep\n# top\n\
             # key\n# value\nlast: 1\n",
        );
    }

    #[test]
    fn block_scalars_are_kept() {
        becomes(
            "a: |  # text\n      one\n\n        two # no comment\nb: >-\n   x\n   y\n\nc: 'one\n  two'\nd: one\n  two\ne: \"x\n  y\"\nf: |+\n  z\n\ng: |2\n   w\n",
            "a: | # text\n  one\n\n    two # no comment\nb: >-\n  x\n  y\n\nc: \"one two\"\nd: one two\ne: \"x y\"\nf: \"z\\n\\n\"\n\ng: \" w\\n\"\n",
        );
        becomes("- |\n  a\n- - b\n  -   c\n- ? d\n  : e\n", "- |\n  a\n- - b\n  - c\n- d: e\n");
    }

    #[test]
    fn anchors_and_aliases_are_kept() {
        becomes(
            "a: &x   [b]\nc:   *x\nd: &y\n    e: 1\nf:\n- &z\n  g: 1\n- &w h\n- { i: *z , j: *w }\n",
            "a: &x [b]\nc: *x\nd: &y\n  e: 1\nf:\n  - &z\n    g: 1\n  - &w h\n  - { i: *z, j: *w }\n",
        );
    }

    #[test]
    fn keys_without_a_value_are_kept() {
        becomes("a:\nb:   # c\nd: { e, f: }\ng: ~\n", "a:\nb: # c\nd: { e: null, f: null }\ng: ~\n");
    }
}
