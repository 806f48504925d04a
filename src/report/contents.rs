//! What a plan writes, as it is shown: the difference of two texts, a new text, a new table's layout.

use std::collections::HashMap;

use similar::TextDiff;

use crate::policy::default_deny;
use crate::reconcile::{Action, ResourcePlan};
use crate::resource::policy_parameter::PolicyStep;
use crate::resource::table::{Billing, Encryption, Projection, Table, Ttl};
use crate::resource::{Address, Step};

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

/// Returns what a table is created with, name by name.
pub(super) fn layout_lines(layout: &Table) -> Vec<(String, String)> {
    let Table { key, indexes, ttl, billing, encryption, point_in_time_recovery, deletion_protection, class, tags } =
        layout;
    let mut lines: Vec<(String, String)> = Vec::new();
    let attributes = |key: &crate::resource::table::Key| {
        let words = key.attributes().map(|attribute| format!("{} ({})", attribute.name, attribute.kind));
        words.collect::<Vec<_>>().join(", ")
    };
    lines.extend(key.iter().map(|key| (String::from("key"), attributes(key))));
    for (name, index) in indexes.iter().flatten() {
        let projection = match &index.projection {
            Projection::All => String::from("ALL"),
            Projection::KeysOnly => String::from("KEYS_ONLY"),
            Projection::Include(names) => {
                format!("keys and {}", names.iter().map(String::as_str).collect::<Vec<_>>().join(", "))
            }
        };
        lines.push((format!("index {name}"), format!("{}; projects {projection}", attributes(&index.key))));
    }
    if let Some(Ttl::Enabled(attribute)) = ttl {
        lines.push((String::from("ttl"), attribute.clone()));
    }
    lines.extend(billing.map(|billing| {
        let words = match billing {
            Billing::PayPerRequest => String::from("PAY_PER_REQUEST"),
            Billing::Provisioned(units) => format!("PROVISIONED ({} read, {} write)", units.read, units.write),
        };
        (String::from("billing_mode"), words)
    }));
    lines.extend(encryption.as_ref().map(|encryption| {
        let words = match encryption {
            Encryption::AwsOwned => String::from("aws-owned"),
            Encryption::AwsManaged => String::from("aws-managed"),
            Encryption::Kms(arn) => arn.clone(),
        };
        (String::from("encryption"), words)
    }));
    let on_off = |flag: bool| String::from(if flag { "on" } else { "off" });
    lines.extend(point_in_time_recovery.map(|flag| (String::from("point_in_time_recovery"), on_off(flag))));
    lines.extend(deletion_protection.map(|flag| (String::from("deletion_protection"), on_off(flag))));
    lines.extend(class.map(|class| (String::from("table_class"), class.as_str().to_owned())));
    lines.extend(tags.iter().flatten().map(|(key, value)| (format!("tags.{key}"), value.clone())));
    lines
}
