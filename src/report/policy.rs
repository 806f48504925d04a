//! Cases of policies, as text.

use super::{BOLD, GREEN, RED, escape, paint};
use crate::policy::cases::{Case, Finding};

/// What became of cases.
#[derive(Debug, Clone, Copy)]
pub struct Tested<'a> {
    /// Each file of cases, with what was found.
    pub files: &'a [(String, Vec<(Case, Finding)>)],
    pub passed: usize,
    pub failed: usize,
}

/// Returns each case with what the policy says to it, and the count.
pub fn tested(tested: &Tested<'_>) -> String {
    let mut text = String::new();
    for (path, cases) in tested.files {
        text.push_str(&format!("{}\n", paint(BOLD, escape(path))));
        for (case, finding) in cases {
            let rule =
                |rule: &Option<String>| rule.as_ref().map(|rule| format!(" ({})", escape(rule))).unwrap_or_default();
            let found = format!("{}{}", finding.found.word(), rule(&finding.rule));
            let name = escape(&case.name);
            text.push_str(&if finding.passed {
                format!("  {}    {name}: {found}\n", paint(GREEN, "ok"))
            } else {
                let expected = format!("{}{}", case.expect.word(), rule(&case.rule));
                format!("  {}  {name}: expected {expected}, got {found} (line {})\n", paint(RED, "FAIL"), case.line)
            });
        }
    }
    let total = tested.passed + tested.failed;
    let plural = if total == 1 { "" } else { "s" };
    text.push_str(&format!("\n{total} case{plural}: {} as expected, {} not.\n", tested.passed, tested.failed));
    text
}
