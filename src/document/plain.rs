//! Accepts only the part of YAML that a reviewer can read without knowing the rest.
//!
//! Tags, merge keys, directives, multiple documents and redefined anchors make a document mean something other than its lines show, and
//! parsers interpret them differently. Such a document is refused. Other anchors and their aliases are accepted.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, Span};

use super::syntax::{self, Problem};
use super::syntax_fault;
use crate::diagnostic::{Fault, Faults, Source};

/// The code of these faults in `sentinel explain`.
pub const CODE: &str = "L014";

/// Records a fault for each such construct. Returns the syntax error that ended parsing, if there was one: the decoder stops at the end of
/// the first document, so it does not see later errors.
pub(super) fn check(source: &Arc<Source>, faults: &mut Faults) -> Option<Fault> {
    let options = granit_parser::options! { emit_anchor_events: true, disallow_directives: true };
    let mut pass = Pass { source, faults, open: Vec::new(), anchors: BTreeSet::new(), documents: 0 };
    for next in Parser::new_from_str_with_options(&source.text, options) {
        match next {
            Ok((event, span)) => pass.event(&event, span),
            Err(error) => {
                let at = pass.bytes_at(error.marker().byte_offset(), error.marker().index());
                if *error.kind() == ErrorKind::DirectiveDisallowed {
                    let help = "remove it: Sentinel reads YAML 1.2 without directives";
                    pass.fault(at, String::from("a YAML directive"), help);
                    return None;
                }
                let Problem { message, help } = syntax::of_yaml(error.info().trim());
                return Some(syntax_fault(source, at, format!("invalid YAML: {message}"), help));
            }
        }
    }
    None
}

struct Pass<'a> {
    source: &'a Arc<Source>,
    faults: &'a mut Faults,
    /// The open collections. For a map, whether the next node is a key; `None` for a list.
    open: Vec<Option<bool>>,
    anchors: BTreeSet<String>,
    documents: usize,
}

impl Pass<'_> {
    fn event(&mut self, event: &Event<'_>, span: Span) {
        if let Event::Anchor(_, name) = event {
            return self.anchor(name, span);
        }
        if matches!(event, Event::DocumentStart(..)) {
            self.documents += 1;
            if self.documents == 2 {
                let help = "only the first document would be read: remove the others";
                self.fault(self.bytes(span), String::from("a second YAML document"), help);
            }
        }
        if matches!(event, Event::MappingEnd | Event::SequenceEnd) {
            self.open.pop();
        }
        if !event.is_node() {
            return;
        }
        let is_key = match self.open.last_mut() {
            Some(Some(key)) => std::mem::replace(key, !*key),
            _ => false,
        };
        if event.tag().is_some() {
            let tag = span.tag_span().unwrap_or(span);
            let at = self.bytes(tag);
            let written = self.source.text.get(at.clone()).unwrap_or("!").to_owned();
            let help = "remove it; quote a value that should be a string";
            self.fault(at, format!("the YAML tag `{written}`"), help);
        }
        match event {
            Event::MappingStart(..) => self.open.push(Some(true)),
            Event::SequenceStart(..) => self.open.push(None),
            Event::Alias(_) if is_key => {
                let help = "write the key itself";
                self.fault(self.bytes(span), String::from("a YAML alias as a key"), help);
            }
            Event::Scalar(text, ScalarStyle::Plain, ..) if is_key && text == "<<" => {
                let help = "it inserts keys from elsewhere: write each key where it applies";
                self.fault(self.bytes(span), String::from("the YAML merge key `<<`"), help);
            }
            _ => {}
        }
    }

    fn anchor(&mut self, name: &str, span: Span) {
        let at = self.bytes(span);
        if !name.is_ascii() {
            let help = "letters of other alphabets can look the same: write it in ASCII";
            self.fault(at, format!("the YAML anchor `{name}` is not ASCII"), help);
        } else if !self.anchors.insert(name.to_owned()) {
            let help = "an alias refers to the previous anchor: give each anchor its own name";
            self.fault(at, format!("the YAML anchor `{name}` is defined twice"), help);
        }
    }

    fn fault(&mut self, span: Range<usize>, message: String, help: &str) {
        self.faults.push(Fault {
            source: Arc::clone(self.source),
            span,
            message,
            label: String::from("not allowed here"),
            help: Some(help.to_owned()),
            code: Some(CODE),
            related: None,
        });
    }

    fn bytes(&self, span: Span) -> Range<usize> {
        let start = self.bytes_at(span.start.byte_offset(), span.start.index());
        let end = span.end.byte_offset().unwrap_or(start.end).clamp(start.start, self.source.text.len());
        // A collection's span covers all its lines: mark the first only.
        let line = self.source.text[start.start..].find('\n').map_or(self.source.text.len(), |at| start.start + at);
        let end = self.source.text.floor_char_boundary(end.min(line));
        if end > start.start { start.start..end } else { start }
    }

    /// Returns the byte range of a character, which is empty at the end of the text.
    fn bytes_at(&self, byte: Option<usize>, index: usize) -> Range<usize> {
        let text = &self.source.text;
        let byte = byte.unwrap_or_else(|| text.char_indices().nth(index).map_or(text.len(), |(at, _)| at));
        let start = text.floor_char_boundary(byte.min(text.len()));
        let letter = text[start..].chars().next().filter(|letter| *letter != '\n');
        start..start + letter.map_or(0, char::len_utf8)
    }
}
