//! The output of `sentinel fmt`.

use super::contents::{Named, colored, unified_of};
use super::{BOLD, escape, paint};

/// A file that is not formatted.
#[derive(Debug)]
pub struct Changed {
    pub path: String,
    /// Its text before and after; `None` if it is secret.
    pub texts: Option<(String, String)>,
}

impl Changed {
    /// Returns the change as a unified diff.
    pub fn diff(&self) -> Option<String> {
        let (before, after) = self.texts.as_ref()?;
        let name = format!("{} (formatted)", self.path);
        Some(unified_of(Named { name: &self.path, text: before }, Named { name: &name, text: after }))
    }
}

/// Returns the paths, one on each line.
pub fn listed(files: &[Changed]) -> String {
    files.iter().map(|file| format!("{}\n", escape(&file.path))).collect()
}

/// Returns the diffs of all files.
pub fn differences(files: &[Changed]) -> String {
    let one = |file: &Changed| match file.diff() {
        Some(diff) => colored(&diff),
        None => format!("{}: a secret policy; its difference is not shown\n", paint(BOLD, escape(&file.path))),
    };
    files.iter().map(one).collect()
}

/// Whether the files are written or only checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Write,
    Check,
}

/// Returns how many files were formatted, or are not.
pub fn summary(files: usize, changed: usize, purpose: Purpose) -> String {
    let plural = |count: usize| if count == 1 { "file" } else { "files" };
    let all = format!("{files} {}", plural(files));
    match (changed, purpose) {
        (0, _) => format!("{all}: already formatted.\n"),
        (_, Purpose::Write) => format!("{all}: {changed} formatted.\n"),
        (_, Purpose::Check) => format!("{all}: {changed} not formatted. To format: sentinel fmt\n"),
    }
}
