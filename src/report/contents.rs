//! What a plan writes, as it is shown: the difference of two texts, a new text, a new table's layout.

use std::collections::HashMap;

use similar::TextDiff;

use crate::kind::policy_parameter::PolicyStep;
use crate::kind::{Address, Step};
use crate::policy::default_deny;
use crate::reconcile::{Action, ResourcePlan};

/// The text that a policy is created with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written<'a> {
    Text(&'a str),
    /// The policy that lets nobody in, to the letter: its origin says so, and the text is always the same.
    DefaultDeny(&'a str),
    /// The same text as that of another resource, which is shown there.
    As(&'a Address),
}

/// Returns what a resource is created with; `texts` are those that are shown already.
pub(super) fn written<'a>(
    resource: &'a ResourcePlan,
    texts: &mut HashMap<&'a str, &'a Address>,
) -> Option<Written<'a>> {
    if resource.action != Action::Create {
        return None;
    }
    let text = resource.steps.iter().find_map(|step| match step {
        Step::Policy(PolicyStep::CreateParameter { content, .. }) => Some(&**content),
        _ => None,
    })?;
    if text == default_deny(&resource.address.key) {
        return Some(Written::DefaultDeny(text));
    }
    if let Some(other) = texts.get(text) {
        Some(Written::As(other))
    } else {
        texts.insert(text, &resource.address);
        Some(Written::Text(text))
    }
}

/// Returns the lines of a new text as those of a unified diff.
pub(super) fn added(text: &str) -> impl Iterator<Item = String> {
    diff_lines(text).map(|line| format!("+{line}"))
}

/// Returns the unified diff of two documents. Its head is two lines, whatever the origin says.
pub(super) fn unified(live: &str, desired: &str, origin: &str) -> String {
    let diff = TextDiff::from_lines(live, desired);
    diff.unified_diff().context_radius(3).header("live", &super::escape(origin)).to_string()
}

/// Returns the lines of a unified diff, the end of each line taken off. Only the line feed ends a line: a carriage
/// return before it is a difference like any other, and must be seen.
pub(super) fn diff_lines(diff: &str) -> impl Iterator<Item = &str> {
    diff.split_inclusive('\n').map(|line| line.strip_suffix('\n').unwrap_or(line))
}
