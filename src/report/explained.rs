//! The output of `sentinel explain`.

use super::{BOLD, CYAN, paint};
use crate::explain::Entry;

/// Returns the explanation of a code.
pub fn entry(entry: &Entry, width: Option<usize>) -> String {
    let width = width.unwrap_or(100).clamp(40, 100);
    let options = textwrap::Options::new(width).word_splitter(textwrap::WordSplitter::NoHyphenation);
    let wrapped = |text: &str| textwrap::fill(text, &options);
    let example: String = entry.example.lines().map(|line| format!("    {line}\n")).collect();
    format!(
        "{} {}\n\n{}\n\n{example}\n{}\n",
        paint(CYAN.bold(), entry.code),
        paint(BOLD, entry.title),
        wrapped(entry.means),
        wrapped(entry.fix)
    )
}

/// Returns the list of all codes, a line each.
pub fn list(entries: &[Entry]) -> String {
    entries.iter().map(|entry| format!("{}  {}\n", paint(CYAN, entry.code), entry.title)).collect()
}
