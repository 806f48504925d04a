//! The explanation of each code, which is the source of `sentinel explain`, of hints, and of `docs/troubleshooting.md`.

mod errors;
mod lints;

use crate::code::Code;
use crate::policy::lint::Lint;

/// The explanation of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub code: &'static str,
    /// A title of a few words.
    pub title: &'static str,
    /// The meaning and the cause.
    pub means: &'static str,
    /// An example of the input or output.
    pub example: &'static str,
    /// The fix.
    pub fix: &'static str,
}

/// Returns all explanations in the order of the codes.
pub fn entries() -> Vec<Entry> {
    Code::ALL.iter().map(|code| errors::entry(*code)).chain(Lint::ALL.iter().map(|lint| lints::entry(*lint))).collect()
}

/// Returns the explanation of a code, which is case-insensitive.
pub fn find(code: &str) -> Option<Entry> {
    entries().into_iter().find(|entry| entry.code.eq_ignore_ascii_case(code.trim()))
}

/// Returns a hint of one line for an error. Some errors have no general hint, because the code that reports them adds a specific one.
pub fn hint(code: Code) -> Option<&'static str> {
    errors::hint(code)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_has_one_complete_explanation() {
        let entries = entries();
        let codes: BTreeSet<&str> = entries.iter().map(|entry| entry.code).collect();
        assert_eq!(codes.len(), entries.len());
        assert_eq!(entries.len(), Code::ALL.len() + Lint::ALL.len());
        for entry in &entries {
            let Entry { code, title, means, example, fix } = *entry;
            for (what, text) in [("title", title), ("means", means), ("example", example), ("fix", fix)] {
                assert!(!text.trim().is_empty(), "{code} has no {what}");
            }
            assert!(title.len() < 72 && !title.ends_with('.'), "{code}: {title}");
            assert!(means.ends_with('.') && fix.ends_with('.'), "{code}");
        }
        for (code, entry) in Code::ALL.iter().zip(&entries) {
            assert_eq!(code.as_str(), entry.code);
        }
        assert_eq!(find("l001").map(|entry| entry.code), Some("L001"));
        assert_eq!(find("E999"), None);
    }
}
