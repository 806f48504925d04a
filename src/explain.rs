//! What each code means and what to do about it: the one source of `sentinel explain`, of hints, and of
//! `docs/troubleshooting.md`.

mod errors;
mod lints;

use crate::code::Code;
use crate::policy::lint::Lint;

/// What there is to say of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub code: &'static str,
    /// In a few words.
    pub title: &'static str,
    /// What happened, and why.
    pub means: &'static str,
    /// What it looks like: what was written, or what is printed.
    pub example: &'static str,
    /// What to do.
    pub fix: &'static str,
}

/// Returns every entry, in the order of the codes.
pub fn entries() -> Vec<Entry> {
    Code::ALL.iter().map(|code| errors::entry(*code)).chain(Lint::ALL.iter().map(|lint| lints::entry(*lint))).collect()
}

/// Returns the entry of a code, however it is written.
pub fn find(code: &str) -> Option<Entry> {
    entries().into_iter().find(|entry| entry.code.eq_ignore_ascii_case(code.trim()))
}

/// Returns what helps with an error of AWS or of the way there, in a line; some kinds have their own words where they
/// come up.
pub fn hint(code: Code) -> Option<&'static str> {
    errors::hint(code)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_is_there_once_with_all_that_there_is_to_say() {
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
