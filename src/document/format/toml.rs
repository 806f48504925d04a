//! Formats TOML, from the tokens of its lexer. The text has no syntax errors.

use toml_parser::lexer::{Token, TokenKind};

use crate::document::is_hidden;

/// The indentation of the items of a multi-line list.
const INDENT: usize = 4;

/// Returns the formatted text.
pub(super) fn format(text: &str) -> String {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut pass = Pass { text, tokens: tokens(text), at: 0 };
    let mut lines = pass.lines();
    arrange(&mut lines);
    write(&lines)
}

/// Returns the comments of a text in order.
pub(super) fn comments(text: &str) -> Vec<&str> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let comments = tokens(text).into_iter().filter(|token| token.kind() == TokenKind::Comment);
    comments.map(|token| text[token.span().start()..token.span().end()].trim_end()).collect()
}

fn tokens(text: &str) -> Vec<Token> {
    let tokens = toml_parser::Source::new(text).lex();
    tokens.filter(|token| !matches!(token.kind(), TokenKind::Whitespace | TokenKind::Eof)).collect()
}

/// A line of the file; an entry may have several.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    Blank,
    Comment(String),
    Header(Written),
    Entry(Written),
}

/// A text with its trailing comment.
#[derive(Debug, PartialEq, Eq)]
struct Written {
    text: String,
    comment: Option<String>,
}

struct Pass<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
}

impl<'a> Pass<'a> {
    fn peek(&self) -> Option<TokenKind> {
        self.tokens.get(self.at).map(Token::kind)
    }

    /// Consumes the next token, if it has this kind.
    fn take(&mut self, kind: TokenKind) -> bool {
        let is_next = self.peek() == Some(kind);
        self.at += usize::from(is_next);
        is_next
    }

    fn next(&mut self) -> Option<(TokenKind, &'a str)> {
        let token = self.tokens.get(self.at)?;
        self.at += 1;
        Some((token.kind(), &self.text[token.span().start()..token.span().end()]))
    }

    fn comment(&mut self) -> Option<String> {
        if self.peek() != Some(TokenKind::Comment) {
            return None;
        }
        self.next().map(|(_, text)| text.trim_end().to_owned())
    }

    fn lines(&mut self) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut ends = 0;
        while let Some(kind) = self.peek() {
            if kind == TokenKind::Newline {
                self.at += 1;
                ends += 1;
                if ends == 2 && !lines.is_empty() {
                    lines.push(Line::Blank);
                }
                continue;
            }
            ends = 0;
            if let Some(comment) = self.comment() {
                lines.push(Line::Comment(comment));
            } else if kind == TokenKind::LeftSquareBracket {
                let text = self.header();
                lines.push(Line::Header(Written { text, comment: self.comment() }));
            } else {
                let text = self.setting(0);
                lines.push(Line::Entry(Written { text, comment: self.comment() }));
            }
        }
        lines
    }

    fn header(&mut self) -> String {
        let mut text = String::new();
        while self.take(TokenKind::LeftSquareBracket) {
            text.push('[');
        }
        text.push_str(&self.key());
        while self.take(TokenKind::RightSquareBracket) {
            text.push(']');
        }
        text
    }

    /// Returns a key and its value.
    fn setting(&mut self, indent: usize) -> String {
        let key = self.key();
        self.take(TokenKind::Equals);
        format!("{key} = {}", self.value(indent))
    }

    fn key(&mut self) -> String {
        let mut text = String::new();
        while let Some(kind) = self.peek() {
            match kind {
                TokenKind::Dot => text.push('.'),
                TokenKind::Atom | TokenKind::BasicString | TokenKind::LiteralString => {
                    let written = &self.tokens[self.at].span();
                    text.push_str(&key(kind, &self.text[written.start()..written.end()]));
                }
                _ => break,
            }
            self.at += 1;
        }
        text
    }

    fn value(&mut self, indent: usize) -> String {
        match self.peek() {
            Some(TokenKind::LeftSquareBracket) => self.collection(&LIST, indent),
            Some(TokenKind::LeftCurlyBracket) => self.collection(&TABLE, indent),
            Some(TokenKind::Atom | TokenKind::Dot) => self.plain(),
            _ => self.next().map(|(kind, text)| string(kind, text)).unwrap_or_default(),
        }
    }

    /// Returns a number, a date or a word. A date and its time may be two tokens with a space between them.
    fn plain(&mut self) -> String {
        let mut text = String::new();
        let mut end = None;
        while matches!(self.peek(), Some(TokenKind::Atom | TokenKind::Dot)) {
            let span = self.tokens[self.at].span();
            if end.is_some_and(|end| end < span.start()) {
                text.push(' ');
            }
            text.push_str(&self.text[span.start()..span.end()]);
            end = Some(span.end());
            self.at += 1;
        }
        text
    }

    /// Returns a list or an inline table, on one or several lines as in the original.
    fn collection(&mut self, brackets: &Brackets, indent: usize) -> String {
        self.at += 1;
        if self.breaks() {
            return self.broken(brackets, indent);
        }
        let mut items = Vec::new();
        while self.peek().is_some() && !self.take(brackets.close) {
            if !self.take(TokenKind::Comma) {
                items.push((brackets.item)(self, indent));
            }
        }
        match items.is_empty() {
            true => brackets.empty.to_owned(),
            false => format!("{}{}{}", brackets.before, items.join(", "), brackets.after),
        }
    }

    /// Returns whether the current collection has a line break outside its nested collections.
    fn breaks(&self) -> bool {
        let mut depth = 0_usize;
        for token in &self.tokens[self.at..] {
            match token.kind() {
                TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket => depth += 1,
                TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket if depth == 0 => return false,
                TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket => depth -= 1,
                TokenKind::Newline if depth == 0 => return true,
                _ => {}
            }
        }
        false
    }

    fn broken(&mut self, brackets: &Brackets, indent: usize) -> String {
        let inner = indent + INDENT;
        let mut lines: Vec<Line> = Vec::new();
        let mut ends = 0;
        while self.peek().is_some() && !self.take(brackets.close) {
            if self.take(TokenKind::Comma) {
                continue;
            }
            if self.take(TokenKind::Newline) {
                ends += 1;
                if ends == 2 && !lines.is_empty() {
                    lines.push(Line::Blank);
                }
                continue;
            }
            if let Some(comment) = self.comment() {
                match lines.last_mut() {
                    Some(Line::Entry(written)) if ends == 0 => written.comment = Some(comment),
                    _ => lines.push(Line::Comment(comment)),
                }
            } else {
                let text = format!("{},", (brackets.item)(self, inner));
                lines.push(Line::Entry(Written { text, comment: None }));
            }
            ends = 0;
        }
        while lines.last() == Some(&Line::Blank) {
            lines.pop();
        }
        if lines.is_empty() {
            return brackets.empty.to_owned();
        }
        let (inner, outer) = (" ".repeat(inner), " ".repeat(indent));
        let line = |line: &Line| match line {
            Line::Blank => String::from("\n"),
            Line::Comment(text) => format!("{inner}{text}\n"),
            Line::Header(Written { text, comment }) | Line::Entry(Written { text, comment }) => {
                let comment = comment.as_ref().map(|comment| format!(" {comment}")).unwrap_or_default();
                format!("{inner}{text}{comment}\n")
            }
        };
        let (open, close) = (brackets.empty.split_at(1).0, brackets.empty.split_at(1).1);
        format!("{open}\n{}{outer}{close}", lines.iter().map(line).collect::<String>())
    }
}

/// The syntax of a list or an inline table.
struct Brackets {
    close: TokenKind,
    empty: &'static str,
    before: &'static str,
    after: &'static str,
    item: fn(&mut Pass<'_>, usize) -> String,
}

const LIST: Brackets = Brackets {
    close: TokenKind::RightSquareBracket,
    empty: "[]",
    before: "[",
    after: "]",
    item: |pass, indent| pass.value(indent),
};
const TABLE: Brackets = Brackets {
    close: TokenKind::RightCurlyBracket,
    empty: "{}",
    before: "{ ",
    after: " }",
    item: |pass, indent| pass.setting(indent),
};

/// Returns a string in double quotes, unless it would need escapes there.
fn string(kind: TokenKind, text: &str) -> String {
    let inner = text.get(1..text.len().saturating_sub(1)).filter(|_| kind == TokenKind::LiteralString);
    let fits = |inner: &&str| !inner.chars().any(|letter| matches!(letter, '"' | '\\') || is_hidden(letter));
    inner.filter(fits).map_or_else(|| text.to_owned(), |inner| format!("\"{inner}\""))
}

/// Returns a key, without quotes if TOML needs none.
fn key(kind: TokenKind, text: &str) -> String {
    let bare = |inner: &&str| {
        !inner.is_empty() && inner.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    if kind == TokenKind::Atom {
        return text.to_owned();
    }
    let inner = text.get(1..text.len().saturating_sub(1));
    inner.filter(bare).map_or_else(|| string(kind, text), str::to_owned)
}

/// Adds one blank line before each section and its comments, and removes those between a header and its first setting.
fn arrange(lines: &mut Vec<Line>) {
    let mut at = 0;
    while at < lines.len() {
        let opens = at >= 1 && matches!(lines[at - 1], Line::Header(_)) && lines[at] == Line::Blank;
        if opens && matches!(lines.get(at + 1), Some(Line::Entry(_))) {
            lines.remove(at);
            continue;
        }
        if matches!(lines[at], Line::Header(_)) {
            let above = lines[..at].iter().rev().take_while(|line| matches!(line, Line::Comment(_))).count();
            let first = at - above;
            if first > 0 && lines[first - 1] != Line::Blank {
                lines.insert(first, Line::Blank);
                at += 1;
            }
        }
        at += 1;
    }
    while lines.last() == Some(&Line::Blank) {
        lines.pop();
    }
}

/// The maximum width of a setting with an aligned comment. A longer one would move all comments far from their settings.
const ALIGNED: usize = 36;

/// Returns the width of a setting, if its comment is aligned with those of its neighbors.
fn aligned(line: &Line) -> Option<usize> {
    let Line::Entry(Written { text, comment: Some(_) }) = line else { return None };
    let width = textwrap::core::display_width(text);
    (width <= ALIGNED && !text.contains('\n')).then_some(width)
}

/// Returns the lines as text. Trailing comments of settings are aligned, up to the next blank line or header.
fn write(lines: &[Line]) -> String {
    let mut text = String::new();
    let mut column = None;
    for (at, line) in lines.iter().enumerate() {
        match line {
            Line::Blank => column = None,
            Line::Comment(comment) => text.push_str(comment),
            Line::Header(written) | Line::Entry(written) => {
                text.push_str(&written.text);
                if let Some(comment) = &written.comment {
                    let neighbors =
                        || lines[at..].iter().take_while(|line| !matches!(line, Line::Blank | Line::Header(_)));
                    let spaces = aligned(line).map_or(0, |own| {
                        let widest =
                            *column.get_or_insert_with(|| neighbors().filter_map(aligned).max().unwrap_or(own));
                        widest.saturating_sub(own)
                    });
                    text.push_str(&" ".repeat(1 + spaces));
                    text.push_str(comment);
                }
                if matches!(line, Line::Header(_)) {
                    column = None;
                }
            }
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn toml_is_formatted_like_a_generated_manifest() {
        let text = "\u{feff}\n\n# Top.\r\ninclude=['a.toml','b \"c\".toml', ]\n[ aws ]\n\n  region   =  'us-east-1'  # here\n\
                    tags={ 'team' = \"a\",b=1 }\n# About dev.\n[ 'profiles' . dev ]\n\n\n# A note.\npolicy = \"p.yaml\"\n\n\n\n\
                    [ tables.\"a.b\" ]\nn = 1.5\nd = 1979-05-27   07:32:00\ne = { }\nf = [ ]\n# The end.\n\n\n";
        let expected = "# Top.\ninclude = [\"a.toml\", 'b \"c\".toml']\n\n[aws]\nregion = \"us-east-1\" # here\n\
                        tags = { team = \"a\", b = 1 }\n\n# About dev.\n[profiles.dev]\n\n# A note.\npolicy = \"p.yaml\"\n\n\
                        [tables.\"a.b\"]\nn = 1.5\nd = 1979-05-27 07:32:00\ne = {}\nf = []\n# The end.\n";
        assert_eq!(format(text), expected);
        assert_eq!(format(expected), expected);
    }

    #[test]
    fn lists_keep_their_line_breaks() {
        let text = "a = [1,\n  2, # two\n\n\n  # three\n  [ 3,\n 4 ],\n]\nb = [ { c = [1,2 ], d = 'x' } , {} ]\n\
                    e = [ # first\n  1 # one\n  , 2\n # last\n ]\nf = [\n\n]\n";
        let expected = "a = [\n    1,\n    2, # two\n\n    # three\n    [\n        3,\n        4,\n    ],\n]\n\
                        b = [{ c = [1, 2], d = \"x\" }, {}]\n\
                        e = [\n    # first\n    1, # one\n    2,\n    # last\n]\nf = []\n";
        assert_eq!(format(text), expected);
        assert_eq!(format(expected), expected);
    }

    #[test]
    fn comments_of_neighbors_are_aligned() {
        let text = "[a] # the section\nbb = 1   # one\nc = 2 # two\nd = 3\nlonger = 4 # four\n\nx = \"\"\"\na # b\n\"\"\" # five\n\
                    y = \"a value that is far too long to align others with it\" # six\nz = 1  # seven\n";
        let expected = "[a] # the section\nbb = 1     # one\nc = 2      # two\nd = 3\nlonger = 4 # four\n\nx = \"\"\"\na # b\n\"\"\" # five\n\
                        y = \"a value that is far too long to align others with it\" # six\nz = 1 # seven\n";
        assert_eq!(format(text), expected);
        assert_eq!(comments(text), ["# the section", "# one", "# two", "# four", "# five", "# six", "# seven"]);
    }
}
