//! Faults in what the user wrote: a message, the text it is about, and the place in it.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// A text the user wrote, and the name under which messages mention it.
pub struct Source {
    /// The path as the user would type it.
    pub path: String,
    /// The whole text.
    pub text: String,
    /// Where its lines end.
    breaks: Vec<usize>,
    /// The bytes that no message shows.
    concealed: Mutex<Vec<Range<usize>>>,
    /// The texts that it is made of, where it is made of several, and where each begins.
    parts: Vec<(usize, Arc<Self>)>,
}

impl fmt::Debug for Source {
    /// Writes no text: it may have secrets.
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

    /// Returns several texts as one, which goes by the path of the first. A place in it is shown as the place in the text that it is in.
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
            // So that no place is in two of them.
            text.push('\n');
        }
        Arc::new(Self { path, text, breaks: Vec::new(), concealed: Mutex::default(), parts })
    }

    /// Returns the texts that it is made of, and where each begins.
    pub fn parts(self: &Arc<Self>) -> Vec<(usize, Arc<Self>)> {
        if self.parts.is_empty() { vec![(0, Arc::clone(self))] } else { self.parts.clone() }
    }

    /// Returns the text that a place is in, and where that begins, if this is made of several.
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

    /// Keeps a part of the text out of all messages: a secret.
    pub fn conceal(&self, span: Range<usize>) {
        if let Some((begins, text)) = self.part(span.start) {
            return text.conceal(span.start - begins..span.end - begins);
        }
        self.concealed.lock().unwrap_or_else(PoisonError::into_inner).push(span);
    }

    /// Returns the text with an asterisk for each byte that no message shows.
    pub fn shown(&self) -> Cow<'_, str> {
        let mut concealed = self.concealed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if concealed.is_empty() {
            return Cow::Borrowed(&self.text);
        }
        concealed.sort_unstable_by_key(|span| span.start);
        let mut concealed = concealed.into_iter().peekable();
        // Up to where the spans that have begun reach.
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

    /// Returns the line, from 1, on which the byte offset lies.
    pub fn line(&self, offset: usize) -> usize {
        match self.part(offset) {
            Some((begins, text)) => text.line(offset - begins),
            None => self.breaks.partition_point(|place| *place < offset) + 1,
        }
    }
}

/// One fault: what is wrong, where, and what to write instead.
#[derive(Debug, Clone)]
pub struct Fault {
    /// The text at fault.
    pub source: Arc<Source>,
    /// The bytes at fault.
    pub span: Range<usize>,
    /// What is wrong, in one line.
    pub message: String,
    /// A word or two shown under the marked bytes.
    pub label: String,
    /// What to write instead.
    pub help: Option<String>,
    /// The code that says more, where it has one of its own.
    pub code: Option<&'static str>,
    /// Another place that it is about.
    pub also: Option<Box<Mark>>,
}

/// A place that a fault is about beside its own.
#[derive(Debug, Clone)]
pub struct Mark {
    pub source: Arc<Source>,
    pub span: Range<usize>,
    pub label: String,
}

/// Returns a place in a text as the place in the part of it that it is in.
fn within(source: &Arc<Source>, span: Range<usize>) -> (Arc<Source>, Range<usize>) {
    match source.part(span.start) {
        Some((begins, part)) => (Arc::clone(part), span.start - begins..span.end.saturating_sub(begins)),
        None => (Arc::clone(source), span),
    }
}

/// Collects every fault of a run over the user's texts.
#[derive(Debug, Default)]
pub struct Faults {
    all: Vec<Fault>,
    /// The places of which no other fault is recorded.
    closed: Vec<(String, Range<usize>)>,
}

impl Faults {
    /// Records a fault.
    pub fn push(&mut self, mut fault: Fault) {
        (fault.source, fault.span) = within(&fault.source, fault.span);
        if let Some(also) = &mut fault.also {
            (also.source, also.span) = within(&also.source, also.span.clone());
        }
        let is_closed = |(path, span): &(String, Range<usize>)| *path == fault.source.path && *span == fault.span;
        if !self.closed.iter().any(is_closed) {
            self.all.push(fault);
        }
    }

    /// Records no other fault of the place of the one that was recorded last: it would only follow from that one.
    pub fn close_last(&mut self) {
        if let Some(last) = self.all.last() {
            self.closed.push((last.source.path.clone(), last.span.clone()));
        }
    }

    /// Records those of other faults that are not recorded yet.
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

    /// Gives the fault that was recorded last a code of its own.
    pub fn code_last(&mut self, code: &'static str) {
        if let Some(last) = self.all.last_mut() {
            last.code = Some(code);
        }
    }

    /// Returns how many have been recorded.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Returns whether nothing has been recorded.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Returns the faults in the order of their place: by text, then by offset.
    pub fn into_sorted(mut self) -> Vec<Fault> {
        // A stable sort keeps texts in the order in which they were first read.
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

/// How many names are listed in a line.
const LISTED: usize = 20;

/// Returns names as a line lists them: all of a few, or some of many and how many more there are.
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
    fn what_is_concealed_is_shown_as_asterisks_of_the_same_length() {
        let source = Source::new("x", "a = \"é\n1\"\nb");
        assert_eq!(source.shown(), source.text);
        source.conceal(4..10);
        assert_eq!(source.shown(), "a = ***\n**\nb");
        assert_eq!(source.shown().len(), source.text.len());
    }

    #[test]
    fn a_line_break_ends_its_own_line() {
        let source = Source::new("x", "a\nbc\n\nd");
        let lines: Vec<usize> = (0..=9).map(|offset| source.line(offset)).collect();
        assert_eq!(lines, [1, 1, 2, 2, 2, 3, 4, 4, 4, 4]);
    }
}
