//! The result of an apply, for one target and for several.

use serde::Serialize;

use super::output::{Body, Part};
use super::text;
use super::total::{InSync, listed};
use crate::error::Exit;
use crate::reconcile::{Action, ApplyReport, Intent, Outcome, Plan, Verification};

/// Returns the result of one plan as text.
pub fn text(plan: &Plan, report: &ApplyReport) -> String {
    if plan.has_steps() { text::applied(plan, report) } else { text::idle(plan) }
}

/// Returns the exit code of an apply.
pub fn exit(plan: &Plan, report: &ApplyReport) -> Exit {
    if report.interrupted {
        return Exit::Interrupted;
    }
    let any = |wanted: fn(&Outcome) -> bool| report.resources.iter().any(|one| wanted(&one.outcome));
    let unverified = matches!(report.verification, Verification::Failed { .. });
    let failed = unverified
        || any(|outcome| {
            matches!(
                outcome,
                Outcome::Failed { .. } | Outcome::Conflicted { .. } | Outcome::Skipped { .. } | Outcome::OutOfTime
            )
        });
    // A resource of which only the first steps were done counts as changed.
    let done = report.resources.iter().any(|one| one.steps_done > 0);
    let refused = any(|outcome| *outcome == Outcome::Refused) && plan.scope.intent == Intent::Converge;
    let gaps = plan.resources.iter().any(|one| !one.gaps.is_empty() && !matches!(one.action, Action::Unknown { .. }));
    let unread = gaps || !plan.unlisted.is_empty() || report.verification == Verification::Incomplete;
    match (failed, done, refused) {
        (true, true, _) => Exit::Partial,
        (true, false, _) => Exit::Error,
        (false, _, true) => Exit::Refused,
        (false, true, false) if unread => Exit::Partial,
        (false, false, false) if unread => Exit::Error,
        (false, _, false) => Exit::Done,
    }
}

/// The sums over all targets that were applied.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct AppliedTotal {
    pub targets: usize,
    /// Targets that were changed completely.
    pub changed: usize,
    /// Targets without changes.
    pub unchanged: usize,
    /// Targets that failed or are not done.
    pub not_done: usize,
    #[serde(skip)]
    names: Vec<String>,
}

impl AppliedTotal {
    /// Returns the sums of these parts.
    pub(super) fn of(parts: &[Part<'_>]) -> Self {
        let mut total = Self { targets: parts.len(), ..Self::default() };
        for part in parts {
            match &part.body {
                Ok(Body::Applied(plan, _, report)) if exit(plan, report) == Exit::Done => {
                    let changed = report.resources.iter().any(|one| one.steps_done > 0);
                    *(if changed { &mut total.changed } else { &mut total.unchanged }) += 1;
                }
                Ok(Body::Settled(_)) => total.unchanged += 1,
                _ => {
                    total.not_done += 1;
                    total.names.extend(part.name.map(str::to_owned));
                }
            }
        }
        total
    }

    /// Returns the sums as text.
    pub(super) fn describe(&self) -> String {
        let Self { targets, changed, unchanged, not_done, .. } = self;
        format!("{targets} targets: {changed} changed, {unchanged} with nothing to do, {not_done} not done in full")
    }

    /// Returns the names of the targets that are not done.
    pub(super) fn lines(&self) -> Vec<String> {
        listed("Not done in full", &self.names).into_iter().collect()
    }
}

/// Returns the counts of a target with nothing to do.
pub(super) fn settled(plan: &Plan, report: &ApplyReport) -> Option<InSync> {
    InSync::of(plan).filter(|_| exit(plan, report) == Exit::Done)
}
