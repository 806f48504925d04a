//! The documents that a plan writes, as they are shown: a diff, a new text, or the layout of a new table.

use std::borrow::Cow;
use std::collections::HashMap;

use similar::TextDiff;

use super::{CYAN, DIM, GREEN, RED, escape_lines, paint};
use crate::kind::{Address, Step};
use crate::policy::default_deny;
use crate::reconcile::{Action, ResourcePlan};

/// A document that a resource is created with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written<'a> {
    /// The name of its setting, if the resource has several documents.
    pub(super) setting: Option<String>,
    pub(super) text: Text<'a>,
}

/// The text of a new document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Text<'a> {
    Own(Cow<'a, str>),
    /// Exactly the built-in policy that denies all access. It is not shown, because its text is always the same.
    DefaultDeny(Cow<'a, str>),
    /// The same text as that of another resource, where it is shown.
    As(&'a Address),
}

/// Returns the documents that a resource is created with. `texts` are the texts that are already shown.
pub(super) fn written<'a>(
    resource: &'a ResourcePlan,
    texts: &mut HashMap<Cow<'a, str>, &'a Address>,
) -> Vec<Written<'a>> {
    if resource.action != Action::Create {
        return Vec::new();
    }
    let documents = resource.steps.iter().flat_map(Step::new_documents);
    let written = documents.map(|document| {
        let text = match texts.get(&document.text) {
            _ if document.text == default_deny(&resource.address.key) => Text::DefaultDeny(document.text),
            Some(other) => Text::As(other),
            None => {
                texts.insert(document.text.clone(), &resource.address);
                Text::Own(document.text)
            }
        };
        Written { setting: document.setting, text }
    });
    written.collect()
}

/// The difference of a document.
#[derive(Debug)]
pub(super) struct Difference {
    /// The name of its setting, if the title does not imply it.
    pub(super) setting: Option<String>,
    /// As a unified diff.
    pub(super) text: String,
}

/// Returns the lines of a new text as added lines of a unified diff.
pub(super) fn added(text: &str) -> impl Iterator<Item = String> {
    diff_lines(text).map(|line| format!("+{line}"))
}

/// Returns the unified diff of two documents. Its head always has two lines, because the origin is escaped.
pub(super) fn unified(live: &str, desired: &str, origin: &str) -> String {
    unified_of(Named { name: "live", text: live }, Named { name: origin, text: desired })
}

/// A document with its name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named<'a> {
    pub(super) name: &'a str,
    pub(super) text: &'a str,
}

/// Returns the unified diff of two documents with these names.
pub(super) fn unified_of(before: Named<'_>, after: Named<'_>) -> String {
    let diff = TextDiff::from_lines(before.text, after.text);
    diff.unified_diff().context_radius(3).header(&super::escape(before.name), &super::escape(after.name)).to_string()
}

/// Returns a unified diff for a terminal.
pub(super) fn colored(diff: &str) -> String {
    let line = |line: &str| {
        let style = match line.as_bytes().first() {
            Some(b'+') => GREEN,
            Some(b'-') => RED,
            Some(b'@') => CYAN,
            _ => DIM,
        };
        format!("{}\n", paint(style, escape_lines(line)))
    };
    diff_lines(diff).map(line).collect()
}

/// Returns the lines of a unified diff without their line feeds. A carriage return stays, because it can be the difference.
pub(super) fn diff_lines(diff: &str) -> impl Iterator<Item = &str> {
    diff.split_inclusive('\n').map(|line| line.strip_suffix('\n').unwrap_or(line))
}
