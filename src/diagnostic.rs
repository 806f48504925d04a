//! Faults in files from the user: a message, and the position of the fault.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// A text from the user, and its name in messages.
pub struct Source {
    /// The path as the user would type it.
    pub path: String,
    /// The whole text.
    pub text: String,
    /// The offsets of its line breaks.
    breaks: Vec<usize>,
    /// The spans that no message shows.
    concealed: Mutex<Vec<Range<usize>>>,
    /// The parts of a joined text, with the offset of each.
    parts: Vec<(usize, Arc<Self>)>,
}

impl fmt::Debug for Source {
    /// Omits the text, which may contain secrets.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Source").field("path", &self.path).finish_non_exhaustive()
    }
}

impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        (&self.path, &self.text) == (&other.path, &other.text)
    }
}

impl Eq for Source {}

impl Source {
    /// Returns a shared source.
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        let text = text.into();
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(place, _)| place).collect();
        Arc::new(Self { path: path.into(), text, breaks, concealed: Mutex::default(), parts: Vec::new() })
    }

    /// Joins several texts under the path of the first. Messages show the path and line of the part.
    pub fn joined(texts: Vec<Arc<Self>>) -> Arc<Self> {
        let Some(path) = texts.first().map(|first| first.path.clone()) else { return Self::new("", "") };
        let mut texts = texts;
        if texts.len() == 1 {
            return texts.swap_remove(0);
        }
        let mut text = String::new();
        let mut parts = Vec::new();
        for one in texts {
            parts.push((text.len(), Arc::clone(&one)));
            text.push_str(&one.text);
            // The separator puts every offset in exactly one part.
            text.push('\n');
        }
        Arc::new(Self { path, text, breaks: Vec::new(), concealed: Mutex::default(), parts })
    }

    /// Returns the parts, with the offset of each.
    pub fn parts(self: &Arc<Self>) -> Vec<(usize, Arc<Self>)> {
        if self.parts.is_empty() { vec![(0, Arc::clone(self))] } else { self.parts.clone() }
    }

    /// Returns the part of a joined text that contains an offset, and the offset of the part.
    fn part(&self, offset: usize) -> Option<(usize, &Arc<Self>)> {
        let index = self.parts.partition_point(|(begins, _)| *begins <= offset).checked_sub(1)?;
        self.parts.get(index).map(|(begins, text)| (*begins, text))
    }

    /// Returns the path and the line of a byte offset.
    pub fn place(&self, offset: usize) -> (&str, usize) {
        match self.part(offset) {
            Some((begins, text)) => (&text.path, text.line(offset - begins)),
            None => (&self.path, self.line(offset)),
        }
    }

    /// Hides a secret from all messages.
    pub fn conceal(&self, span: Range<usize>) {
        if let Some((begins, text)) = self.part(span.start) {
            return text.conceal(span.start - begins..span.end - begins);
        }
        self.concealed.lock().unwrap_or_else(PoisonError::into_inner).push(span);
    }

    /// Returns the text with an asterisk for each hidden byte.
    pub fn shown(&self) -> Cow<'_, str> {
        let mut concealed = self.concealed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if concealed.is_empty() {
            return Cow::Borrowed(&self.text);
        }
        concealed.sort_unstable_by_key(|span| span.start);
        let mut concealed = concealed.into_iter().peekable();
        // The end of the hidden spans that started so far.
        let mut end = 0;
        let mut text = String::with_capacity(self.text.len());
        for (place, letter) in self.text.char_indices() {
            while let Some(span) = concealed.next_if(|span| span.start <= place) {
                end = end.max(span.end);
            }
            if letter != '\n' && place < end {
                text.extend(std::iter::repeat_n('*', letter.len_utf8()));
            } else {
                text.push(letter);
            }
        }
        Cow::Owned(text)
    }

    /// Returns the line of a byte offset, starting at 1.
    pub fn line(&self, offset: usize) -> usize {
        match self.part(offset) {
            Some((begins, text)) => text.line(offset - begins),
            None => self.breaks.partition_point(|place| *place < offset) + 1,
        }
    }
}

/// A fault: its position, the reason, and a correction.
#[derive(Debug, Clone)]
pub struct Fault {
    /// The text with the fault.
    pub source: Arc<Source>,
    /// The bytes with the fault.
    pub span: Range<usize>,
    /// The reason, in one line.
    pub message: String,
    /// A label of a few words for the marked bytes.
    pub label: String,
    /// A correction.
    pub help: Option<String>,
    /// The code of the explanation, if the fault has its own.
    pub code: Option<&'static str>,
    /// A second position that belongs to the fault, such as an earlier definition.
    pub related: Option<Box<RelatedSpan>>,
}

/// The second position of a fault.
#[derive(Debug, Clone)]
pub struct RelatedSpan {
    pub source: Arc<Source>,
    pub span: Range<usize>,
    pub label: String,
}

/// Converts a span of a joined text to the part that contains it.
fn within(source: &Arc<Source>, span: Range<usize>) -> (Arc<Source>, Range<usize>) {
    match source.part(span.start) {
        Some((begins, part)) => (Arc::clone(part), span.start - begins..span.end.saturating_sub(begins)),
        None => (Arc::clone(source), span),
    }
}

/// Collects all faults in the user's files.
#[derive(Debug, Default)]
pub struct Faults {
    all: Vec<Fault>,
    /// Spans whose further faults are ignored.
    suppressed: Vec<(String, Range<usize>)>,
}

impl Faults {
    pub fn push(&mut self, mut fault: Fault) {
        (fault.source, fault.span) = within(&fault.source, fault.span);
        if let Some(related) = &mut fault.related {
            (related.source, related.span) = within(&related.source, related.span.clone());
        }
        let is_suppressed = |(path, span): &(String, Range<usize>)| *path == fault.source.path && *span == fault.span;
        if !self.suppressed.iter().any(is_suppressed) {
            self.all.push(fault);
        }
    }

    /// Ignores further faults at the span of the last one, because they would be its consequences.
    pub fn suppress_last(&mut self) {
        if let Some(last) = self.all.last() {
            self.suppressed.push((last.source.path.clone(), last.span.clone()));
        }
    }

    /// Adds the faults of another collection that are not yet in this one.
    pub fn absorb(&mut self, others: Self) {
        for fault in others.all {
            let same = |known: &Fault| {
                (&known.source.path, &known.span, &known.message) == (&fault.source.path, &fault.span, &fault.message)
            };
            if !self.all.iter().any(same) {
                self.all.push(fault);
            }
        }
    }

    /// Sets the code of the last fault.
    pub fn code_last(&mut self, code: &'static str) {
        if let Some(last) = self.all.last_mut() {
            last.code = Some(code);
        }
    }

    /// Returns the number of faults.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Returns whether there are no faults.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Returns the faults sorted by text and offset.
    pub fn into_sorted(mut self) -> Vec<Fault> {
        // The stable sort keeps texts in the order in which they were first read.
        let mut order: Vec<String> = Vec::new();
        for fault in &self.all {
            if !order.contains(&fault.source.path) {
                order.push(fault.source.path.clone());
            }
        }
        let place = |fault: &Fault| order.iter().position(|path| *path == fault.source.path);
        self.all.sort_by_key(|fault| (place(fault), fault.span.start));
        self.all
    }
}

/// The maximum number of names in one line.
const LISTED: usize = 20;

/// Returns names for one line: all of them, or the first ones and the number of others.
pub fn some<T: AsRef<str>>(names: &[T]) -> String {
    let shown = names.iter().take(LISTED).map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(LISTED) {
        0 => shown,
        more => format!("{shown}, and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn concealed_text_is_shown_as_asterisks_of_the_same_length() {
        let source = Source::new("x", "a = \"é\n1\"\nb");
        assert_eq!(source.shown(), source.text);
        source.conceal(4..10);
        assert_eq!(source.shown(), "a = ***\n**\nb");
        assert_eq!(source.shown().len(), source.text.len());
    }

    #[test]
    fn a_line_break_belongs_to_the_line_that_it_ends() {
        let source = Source::new("x", "a\nbc\n\nd");
        let lines: Vec<usize> = (0..=9).map(|offset| source.line(offset)).collect();
        assert_eq!(lines, [1, 1, 2, 2, 2, 3, 4, 4, 4, 4]);
    }
}
