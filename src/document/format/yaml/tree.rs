//! A YAML text as a tree of nodes with its comments.

use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle};

/// A parsed text.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) root: Option<Node>,
    pub(super) comments: Vec<Comment>,
    /// The position of the `---` marker at the start of the document.
    pub(super) start: Option<usize>,
}

/// A comment, which is not part of the YAML data model.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Comment {
    pub(super) start: usize,
    pub(super) column: usize,
    pub(super) text: String,
}

/// A value and its bytes. A list or a map in block style ends with its last value.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) start: usize,
    pub(super) end: usize,
    /// `&name`, including the ampersand.
    pub(super) anchor: Option<Range<usize>>,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    Scalar { value: String, style: Style },
    Alias,
    List { flow: bool, items: Vec<Node> },
    Map { flow: bool, entries: Vec<(Node, Node)> },
}

/// The style of a scalar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Single,
    Double,
    /// `|` or `>`, with lines that can be copied.
    Block,
    /// The same, with a header or an end that only the parser handles completely.
    Unusual,
}

impl Node {
    /// Returns the start of the value, including its anchor.
    pub(super) fn first(&self) -> usize {
        let own = match &self.kind {
            Kind::Map { flow: false, entries } => entries.first().map_or(self.start, |(key, _)| key.first()),
            _ => self.start,
        };
        self.anchor.as_ref().map_or(own, |anchor| anchor.start.min(own))
    }

    pub(super) fn is_collection(&self) -> bool {
        matches!(self.kind, Kind::List { .. } | Kind::Map { .. })
    }

    pub(super) fn is_flow(&self) -> bool {
        matches!(self.kind, Kind::List { flow: true, .. } | Kind::Map { flow: true, .. })
    }

    /// Returns the text of a scalar.
    pub(super) fn value(&self) -> &str {
        match &self.kind {
            Kind::Scalar { value, .. } => value,
            Kind::Alias | Kind::List { .. } | Kind::Map { .. } => "",
        }
    }
}

/// Returns the indentation of the first line that is not blank.
pub(super) fn indentation(text: &str) -> usize {
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    line.len() - line.trim_start_matches(' ').len()
}

impl Tree {
    /// Parses a text without syntax errors.
    pub(super) fn of(text: &str) -> Self {
        let mut build =
            Build { text, open: Vec::new(), last: None, root: None, start: None, texts: Vec::new(), read: 0 };
        let options = granit_parser::options! { emit_anchor_events: true, emit_comments: false };
        for (event, span) in Parser::new_from_str_with_options(text, options).map_while(Result::ok) {
            build.event(&event, span);
        }
        build.settle();
        let comments = comments(text, &build.texts);
        Self { root: build.root, comments, start: build.start }
    }
}

struct Build<'a> {
    text: &'a str,
    open: Vec<Open>,
    /// The last value that was read, which may still get an anchor.
    last: Option<Node>,
    root: Option<Node>,
    start: Option<usize>,
    /// The spans of scalars, in which a `#` does not start a comment.
    texts: Vec<Range<usize>>,
    /// The end of the last value.
    read: usize,
}

/// A collection that is not closed yet.
struct Open {
    start: usize,
    anchor: Option<Range<usize>>,
    flow: bool,
    is_map: bool,
    nodes: Vec<Node>,
}

impl Build<'_> {
    fn event(&mut self, event: &Event<'_>, span: Span) {
        let at = self.bytes(span);
        match event {
            Event::DocumentStart(true, _) => {
                self.start = self.start.or_else(|| self.text[..at.end].rfind("---"));
            }
            Event::Anchor(..) => match (&mut self.last, self.open.last_mut()) {
                (Some(node), _) => node.anchor = Some(at),
                (None, Some(open)) => open.anchor = Some(at),
                (None, None) => {}
            },
            Event::Alias(_) => {
                self.settle();
                self.last = Some(Node { start: at.start, end: at.end, anchor: None, kind: Kind::Alias });
            }
            Event::Scalar(value, style, ..) => {
                self.settle();
                let node = self.scalar(at, value, *style);
                self.last = Some(node);
            }
            Event::SequenceStart(style, ..) | Event::MappingStart(style, ..) => {
                self.settle();
                let flow = *style == StructureStyle::Flow || self.open.last().is_some_and(|open| open.flow);
                let is_map = matches!(event, Event::MappingStart(..));
                self.open.push(Open { start: at.start, anchor: None, flow, is_map, nodes: Vec::new() });
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.settle();
                if let Some(open) = self.open.pop() {
                    let start = self.first_dash(&open).unwrap_or(open.start);
                    let node = Open { start, ..open }.closed(at.end);
                    self.read = self.read.max(if node.is_flow() { node.end } else { self.read });
                    self.last = Some(node);
                }
            }
            _ => {}
        }
    }

    /// Returns the position of the first dash of a block list. The parser's span starts at the first item.
    fn first_dash(&self, open: &Open) -> Option<usize> {
        let first = open.nodes.first().filter(|_| !open.flow && !open.is_map)?.first();
        let before = self.text[..first].trim_end();
        if before.ends_with('-') {
            return Some(before.len() - 1);
        }
        // There is a comment between the dash and the item.
        let mut end = first;
        while let Some(start) = self.text[..end].rfind('\n') {
            let line = &self.text[start + 1..end];
            if line.trim_start().starts_with('-') {
                return Some(start + 1 + line.len() - line.trim_start().len());
            }
            end = start;
        }
        None
    }

    /// Adds the last value to its collection.
    fn settle(&mut self) {
        let Some(node) = self.last.take() else { return };
        match self.open.last_mut() {
            Some(open) => open.nodes.push(node),
            None => self.root = Some(node),
        }
    }

    fn scalar(&mut self, at: Range<usize>, value: &str, style: ScalarStyle) -> Node {
        let mut at = at;
        let style = match style {
            ScalarStyle::Plain => Style::Plain,
            ScalarStyle::SingleQuoted => Style::Single,
            ScalarStyle::DoubleQuoted => Style::Double,
            ScalarStyle::Literal | ScalarStyle::Folded => {
                // The parser's span only covers the lines.
                at.start = self.header();
                at.end = at.end.max(at.start);
                let header = self.text[at.start..at.end].find('\n').map_or(at.end, |end| at.start + end);
                let content = self.content(header, at.end);
                self.texts.push(header..content);
                at.end = content;
                let word = self.text[at.start..header].split([' ', '\t']).next().unwrap_or_default();
                let usual = word.trim_end_matches('-').len() == 1 && !value.trim_matches('\n').is_empty();
                // Spaces on the last lines are part of the text, but the loop over its lines would drop them.
                let tidy = self.text[header..content].lines().all(|line| line.trim().is_empty() == line.is_empty());
                if usual && tidy { Style::Block } else { Style::Unusual }
            }
        };
        if !matches!(style, Style::Block | Style::Unusual) {
            at.end = at.start + self.text[at.clone()].trim_end().len();
            self.texts.push(at.clone());
        }
        self.read = at.end;
        Node { start: at.start, end: at.end, anchor: None, kind: Kind::Scalar { value: value.to_owned(), style } }
    }

    /// Returns the position of the `|` or `>` that starts the next block scalar.
    fn header(&self) -> usize {
        let mut at = self.read;
        for line in self.text[self.read..].split_inclusive('\n') {
            let mut within = 0;
            for word in line.split_inclusive([' ', '\t', '\n']) {
                if word.starts_with('#') {
                    break;
                }
                if word.starts_with(['|', '>']) {
                    return at + within;
                }
                within += word.len();
            }
            at += line.len();
        }
        self.read
    }

    /// Returns the end of a block scalar's lines, which start after its header.
    fn content(&self, header: usize, end: usize) -> usize {
        let base = indentation(&self.text[header..end]);
        let mut last = header;
        let mut at = (header + 1).min(end);
        for line in self.text[at..end].split_inclusive('\n') {
            let is_blank = line.trim().is_empty();
            if !is_blank && line.len() - line.trim_start_matches(' ').len() < base {
                break;
            }
            at += line.len();
            if !is_blank {
                last = at - usize::from(line.ends_with('\n'));
            }
        }
        last
    }

    fn bytes(&self, span: Span) -> Range<usize> {
        let byte = |byte: Option<usize>, index: usize| {
            let found = byte.or_else(|| self.text.char_indices().nth(index).map(|(at, _)| at));
            self.text.floor_char_boundary(found.unwrap_or(self.text.len()).min(self.text.len()))
        };
        let start = byte(span.start.byte_offset(), span.start.index());
        start..byte(span.end.byte_offset(), span.end.index()).max(start)
    }
}

impl Open {
    fn closed(self, end: usize) -> Node {
        let Self { start, anchor, flow, is_map, nodes } = self;
        let inner = nodes.last().map(|node| node.end);
        let end = if flow { end } else { inner.unwrap_or(end) };
        let kind = if is_map {
            let mut nodes = nodes.into_iter();
            let pairs = std::iter::from_fn(|| Some((nodes.next()?, nodes.next()?)));
            Kind::Map { flow, entries: pairs.collect() }
        } else {
            Kind::List { flow, items: nodes }
        };
        Node { start, end, anchor, kind }
    }
}

/// Returns the comments of a text, outside the spans in `texts`.
fn comments(text: &str, texts: &[Range<usize>]) -> Vec<Comment> {
    let mut found = Vec::new();
    let mut texts: Vec<&Range<usize>> = texts.iter().filter(|range| !range.is_empty()).collect();
    texts.sort_by_key(|range| range.start);
    let mut texts = texts.into_iter().peekable();
    let mut at = 0;
    while at < text.len() {
        while texts.next_if(|range| range.end <= at).is_some() {}
        if let Some(range) = texts.peek().filter(|range| range.contains(&at)) {
            at = range.end;
            continue;
        }
        let bytes = text.as_bytes();
        let start = bytes[at] == b'#' && (at == 0 || bytes[at - 1].is_ascii_whitespace());
        if start {
            let end = text[at..].find('\n').map_or(text.len(), |end| at + end);
            let column = at - text[..at].rfind('\n').map_or(0, |end| end + 1);
            found.push(Comment { start: at, column, text: text[at..end].trim_end().to_owned() });
            at = end;
        } else {
            at += 1;
        }
    }
    found
}
