//! Keeps secret values out of messages, even if the text around them is malformed.
//!
//! A tree lacks the second value of a repeated key, and every line that is not TOML. The values are therefore found by the events of the
//! parser.

use std::borrow::Cow;
use std::ops::Range;

use toml_parser::parser::{EventReceiver, RecursionGuard, parse_document};
use toml_parser::{ErrorSink, Span, decoder::Encoding};

use crate::diagnostic::Source;

/// The maximum depth of arrays and inline tables, as in the decoder.
const DEEPEST: u32 = 80;

/// Conceals every value of a TOML text at a key path that `is_secret` accepts.
pub fn conceal(source: &Source, is_secret: impl Fn(&[String]) -> bool) {
    let text = toml_parser::Source::new(&source.text);
    let tokens: Vec<_> = text.lex().collect();
    let mut pass = Pass {
        text,
        is_secret,
        table: Vec::new(),
        key: Vec::new(),
        header: false,
        open: Vec::new(),
        found: Vec::new(),
    };
    parse_document(&tokens, &mut RecursionGuard::new(&mut pass, DEEPEST), &mut ());
    for span in pass.found {
        source.conceal(span);
    }
}

struct Pass<'a, F> {
    text: toml_parser::Source<'a>,
    is_secret: F,
    /// The keys of the current header.
    table: Vec<String>,
    /// The keys of the current assignment, relative to the header.
    key: Vec<String>,
    /// Whether the keys are those of a header.
    header: bool,
    /// The open inline tables and arrays. For an inline table, the number of keys above it.
    open: Vec<Option<usize>>,
    found: Vec<Range<usize>>,
}

impl<F: Fn(&[String]) -> bool> Pass<'_, F> {
    fn begin_header(&mut self) {
        self.table.clear();
        self.key.clear();
        self.open.clear();
        self.header = true;
    }

    fn value(&mut self, span: Range<usize>) {
        let path: Vec<String> = self.table.iter().chain(&self.key).cloned().collect();
        if (self.is_secret)(&path) {
            self.found.push(span);
        }
    }
}

impl<F: Fn(&[String]) -> bool> EventReceiver for Pass<'_, F> {
    fn std_table_open(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.begin_header();
    }

    fn array_table_open(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.begin_header();
    }

    fn std_table_close(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.header = false;
    }

    fn array_table_close(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.header = false;
    }

    fn inline_table_open(&mut self, _: Span, _: &mut dyn ErrorSink) -> bool {
        self.open.push(Some(self.key.len()));
        true
    }

    fn inline_table_close(&mut self, _: Span, _: &mut dyn ErrorSink) {
        if let Some(Some(above)) = self.open.pop() {
            self.key.truncate(above);
        }
    }

    fn array_open(&mut self, _: Span, _: &mut dyn ErrorSink) -> bool {
        self.open.push(None);
        true
    }

    fn array_close(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.open.pop();
    }

    fn simple_key(&mut self, span: Span, encoding: Option<Encoding>, _: &mut dyn ErrorSink) {
        let written = self.text.input().get(span.start()..span.end()).unwrap_or_default();
        let mut key = Cow::Borrowed("");
        toml_parser::Raw::new_unchecked(written, encoding, span).decode_key(&mut key, &mut ());
        if self.header { &mut self.table } else { &mut self.key }.push(key.into_owned());
    }

    fn scalar(&mut self, span: Span, _: Option<Encoding>, _: &mut dyn ErrorSink) {
        self.value(span.start()..span.end());
    }

    fn value_sep(&mut self, _: Span, _: &mut dyn ErrorSink) {
        if let Some(Some(above)) = self.open.last() {
            self.key.truncate(*above);
        }
    }

    fn newline(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.header = false;
        if self.open.is_empty() {
            self.key.clear();
        }
    }

    /// The rest of a malformed line may be a value.
    fn error(&mut self, span: Span, _: &mut dyn ErrorSink) {
        let text = self.text.input();
        let end = text.get(span.start()..).and_then(|rest| rest.find('\n')).map_or(text.len(), |at| span.start() + at);
        self.value(span.start()..end.max(span.end()));
    }
}
