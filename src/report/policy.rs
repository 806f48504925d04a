//! Test cases and lint findings of policies, as text.

use std::sync::Arc;

use super::faults::marked;
use super::{BOLD, GREEN, RED, escape, paint};
use crate::diagnostic::Source;
use crate::policy::cases::{Case, Finding};
use crate::policy::lint;

/// A test case and its result.
#[derive(Debug)]
pub struct TestedCase {
    pub case: Case,
    pub finding: Finding,
}

/// A file of test cases with their results.
#[derive(Debug)]
pub struct TestedFile {
    pub path: String,
    pub cases: Vec<TestedCase>,
}

/// The results of all test cases.
#[derive(Debug, Clone, Copy)]
pub struct Tested<'a> {
    pub files: &'a [TestedFile],
    pub passed: usize,
    pub failed: usize,
}

/// Returns each test case with its result, and the count.
pub fn tested(tested: &Tested<'_>) -> String {
    let mut text = String::new();
    for TestedFile { path, cases } in tested.files {
        text.push_str(&format!("{}\n", paint(BOLD, escape(path))));
        for TestedCase { case, finding } in cases {
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
    text.push_str(&format!("\n{total} test case{plural}: {} passed, {} failed.\n", tested.passed, tested.failed));
    text
}

/// Returns each finding with its line marked, and the count.
pub fn linted(findings: &[(Arc<Source>, lint::Finding)], policies: usize) -> String {
    let mut text = String::new();
    for (source, finding) in findings {
        text.push_str(&marked(source, finding));
    }
    let plural = |count: usize, one: &str, more: &str| format!("{count} {}", if count == 1 { one } else { more });
    let policies = plural(policies, "policy", "policies");
    text.push_str(&match findings.len() {
        0 => format!("{policies}: nothing found.\n"),
        count => format!(
            "{policies}: {}. See sentinel explain CODE; suppress a finding with # sentinel: allow CODE.\n",
            plural(count, "finding", "findings")
        ),
    });
    text
}
