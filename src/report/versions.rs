//! The versions of a policy, as text.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::access::{Cell, columns, plain, relative};
use super::contents::{Named, colored, unified_of};
use super::status::civil;
use super::{BOLD, DIM, YELLOW, escape, paint};
use crate::policy::{Direction, Meaning};
use crate::reconcile::ResourcePlan;

/// One version of a policy.
#[derive(Debug, Clone)]
pub struct Row {
    pub number: i64,
    pub modified: Option<Timestamp>,
    /// The ARN of the identity that wrote it.
    pub author: Option<String>,
    pub labels: BTreeSet<String>,
    /// The change of access; `None` if it is not known.
    pub means: Vec<Meaning>,
    /// The reason why the change of access is not known.
    pub unknown: Option<&'static str>,
}

impl Row {
    /// Returns a summary of the change.
    fn describe(&self) -> Cell {
        if let Some(unknown) = self.unknown {
            return (unknown.to_owned(), Some(DIM));
        }
        let Some(first) = self.means.first() else { return (String::from("not known"), Some(DIM)) };
        let more = match self.means.len() - 1 {
            0 => String::new(),
            more => format!(" (+{more} more)"),
        };
        let style = (first.direction == Direction::Opens).then_some(YELLOW);
        (escape(&format!("{}{more}", first.text)), style)
    }
}

/// Returns the end of a caller's ARN, such as user/alice.
fn caller_text(arn: &str) -> &str {
    arn.splitn(6, ':').nth(5).filter(|rest| !rest.is_empty()).unwrap_or(arn)
}

/// Returns when a resource was last changed, and by whom, if AWS reports it.
pub(super) fn last_changed(resource: &ResourcePlan) -> Option<String> {
    let at = resource.facts.modified.filter(|_| !resource.changes.is_empty())?;
    let by = resource.facts.author.as_deref().map(|arn| format!(" by {}", caller_text(arn))).unwrap_or_default();
    Some(format!("last changed{by} ({} UTC)", civil(at)))
}

/// The profile and the parameter of a policy.
#[derive(Debug, Clone, Copy)]
pub struct PolicyOf<'a> {
    pub profile: &'a str,
    pub parameter: &'a str,
}

/// Returns the versions of a policy, newest first.
pub fn history(
    PolicyOf { profile, parameter }: PolicyOf<'_>,
    rows: &[Row],
    now: Timestamp,
    width: Option<usize>,
) -> String {
    let row = |row: &Row| -> Vec<Cell> {
        let labels: String = row.labels.iter().map(|label| format!(" {}", escape(label))).collect();
        vec![
            (format!("{}{labels}", row.number), None),
            row.modified.map_or_else(|| plain(""), |at| relative(at, now)),
            plain(row.author.as_deref().map(caller_text).unwrap_or_default()),
            row.describe(),
        ]
    };
    let rows: Vec<Vec<Cell>> = rows.iter().map(row).collect();
    let title = format!("Policy of {} ({}), newest version first", escape(profile), escape(parameter));
    format!("{}\n{}", paint(BOLD, title), columns(width, &["VERSION", "WRITTEN", "BY", "WHAT IT CHANGED"], &rows))
}

/// One of two versions that are compared.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    pub number: i64,
    /// `None` if it may not be shown.
    pub text: Option<&'a str>,
}

/// Returns the diff of two versions of a policy, and what it means for users.
pub fn diff(profile: &str, before: Side<'_>, after: Side<'_>, means: &[Meaning]) -> String {
    let title = format!("Policy of {}: version {} to version {}", escape(profile), before.number, after.number);
    let mut text = format!("{}\n", paint(BOLD, title));
    for meaning in means {
        let description = escape(&meaning.text);
        let description = if meaning.direction == Direction::Opens { paint(YELLOW, description) } else { description };
        text.push_str(&format!("  {description}\n"));
    }
    let (Some(before_text), Some(after_text)) = (before.text, after.text) else {
        text.push_str("The texts are secret; --show-secrets shows how they differ.\n");
        return text;
    };
    if before_text == after_text {
        text.push_str("The texts are the same.\n");
        return text;
    }
    let (before_name, after_name) = (format!("version {}", before.number), format!("version {}", after.number));
    let diff =
        unified_of(Named { name: &before_name, text: before_text }, Named { name: &after_name, text: after_text });
    text + "\n" + &colored(&diff)
}
