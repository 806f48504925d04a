//! The sums over several targets, which are the last lines of an output for more than one target.

use std::fmt;

use serde::Serialize;

use super::applied::AppliedTotal;
use super::output::{Body, Part};
use super::status::{State, Status};
use crate::code::Code;
use crate::diagnostic::some;
use crate::error::Error;
use crate::reconcile::Plan;

/// The result of one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was read and is in sync.
    InSync,
    /// It differs, or something else needs attention.
    Differs,
    /// Something could not be read.
    Incomplete,
    Failed,
    /// The `--timeout` expired before it was read.
    Unfinished,
}

/// The sums over all targets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Total {
    pub targets: usize,
    pub in_sync: usize,
    pub differ: usize,
    pub incomplete: usize,
    pub failed: usize,
    pub unfinished: usize,
    /// The resources of all targets that were read.
    pub resources: usize,
    pub resources_in_sync: usize,
    #[serde(skip)]
    names: [Vec<String>; 4],
}

impl Total {
    /// Returns the sums of these parts.
    pub(super) fn of(parts: &[Part<'_>]) -> Self {
        let mut total = Self::default();
        for part in parts {
            let (came, all, same) = match &part.body {
                Ok(body) => body.came(),
                Err(error) if is_unfinished(error) => (Outcome::Unfinished, 0, 0),
                Err(_) => (Outcome::Failed, 0, 0),
            };
            total.targets += 1;
            total.resources += all;
            total.resources_in_sync += same;
            let (count, names) = match came {
                Outcome::InSync => (&mut total.in_sync, None),
                Outcome::Differs => (&mut total.differ, Some(0)),
                Outcome::Incomplete => (&mut total.incomplete, Some(1)),
                Outcome::Failed => (&mut total.failed, Some(2)),
                Outcome::Unfinished => (&mut total.unfinished, Some(3)),
            };
            *count += 1;
            if let Some(names) = names.and_then(|index| total.names.get_mut(index)) {
                names.extend(part.name.map(str::to_owned));
            }
        }
        total
    }

    /// Returns the sums as text: `3 targets: 2 in sync, 1 failed; 46 of 46 resources in sync`.
    pub(super) fn words(&self) -> String {
        let mut parts = vec![format!("{} in sync", self.in_sync)];
        let others = [
            (self.differ, "differ"),
            (self.incomplete, "not read in full"),
            (self.failed, "failed"),
            (self.unfinished, "not finished"),
        ];
        parts.extend(others.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")));
        let plural = if self.targets == 1 { "" } else { "s" };
        let (same, all) = (self.resources_in_sync, self.resources);
        format!("{} target{plural}: {}; {same} of {all} resources in sync", self.targets, parts.join(", "))
    }

    /// Returns the names of the targets that are not in sync, a line for each result.
    pub(super) fn lines(&self) -> Vec<String> {
        let ways = ["Differ", "Not read in full", "Failed", "Not finished"];
        ways.into_iter().zip(&self.names).filter_map(|(what, names)| listed(what, names)).collect()
    }
}

/// Returns a line with the names of targets, if there are any.
pub(super) fn listed(what: &'static str, names: &[String]) -> Option<String> {
    (!names.is_empty()).then(|| format!("{what}: {}", some(names)))
}

/// The sums over all targets, of a command that reads or of one that applies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(super) enum Sums {
    Read(Total),
    Applied(AppliedTotal),
}

impl Sums {
    /// Returns the sums as text.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Read(total) => total.words(),
            Self::Applied(total) => total.words(),
        }
    }

    /// Returns the names of the targets that are not in sync or not done, a line for each result.
    pub(super) fn lines(&self) -> Vec<String> {
        match self {
            Self::Read(total) => total.lines(),
            Self::Applied(total) => total.lines(),
        }
    }

    /// Returns whether a target failed.
    pub(super) fn any_failed(&self) -> bool {
        match self {
            Self::Read(total) => total.failed + total.unfinished > 0,
            Self::Applied(total) => total.not_done > 0,
        }
    }
}

impl Body<'_> {
    /// Returns the result of the target, the number of its resources, and how many of these are in sync.
    fn came(&self) -> (Outcome, usize, usize) {
        match self {
            Self::Settled(settled) => (Outcome::InSync, settled.resources, settled.resources),
            Self::Plan(plan, _) => {
                let summary = plan.summary();
                let all = plan.resources.len();
                let came = match () {
                    () if plan.is_settled() => Outcome::InSync,
                    () if plan.has_differences() => Outcome::Differs,
                    () if plan.gaps().next().is_some() => Outcome::Incomplete,
                    () => Outcome::InSync,
                };
                (came, all, summary.unchanged)
            }
            Self::Status(status) => {
                let (all, same, unknown) = count(status);
                let came = match () {
                    () if same + unknown < all => Outcome::Differs,
                    () if unknown > 0 || status.parameters_unknown.is_some() => Outcome::Incomplete,
                    () => Outcome::InSync,
                };
                (came, all, same)
            }
            // An apply has its own sums.
            Self::Applied(plan, ..) => (Outcome::InSync, plan.resources.len(), plan.summary().unchanged),
        }
    }

    /// Returns the counts if everything is in sync and nothing needs attention.
    pub(super) fn settled(&self) -> Option<InSync> {
        match self {
            Self::Settled(settled) => Some(*settled),
            Self::Plan(plan, _) => InSync::of(plan),
            Self::Applied(plan, _, report) => super::applied::settled(plan, report),
            Self::Status(status) => {
                let (resources, same, _) = count(status);
                let orphans = &status.orphans;
                let found = !orphans.resources.is_empty() || orphans.looked_at.is_some();
                let silent = !found && status.parameters_unknown.is_none();
                (same == resources && silent).then_some(InSync { resources, lacks_orphans: orphans.unknown.is_some() })
            }
        }
    }
}

/// Counts the resources of a status: all, those in sync, and those that could not be read in full.
fn count(status: &Status) -> (usize, usize, usize) {
    let parameters = status.parameters.iter().map(|one| (&one.state, one.drift.is_empty(), one.unknown.is_empty()));
    let others = status.resources.values().flatten();
    let others = others.map(|one| (&one.state, one.drift.is_empty(), one.unknown.is_empty()));
    let (mut all, mut same, mut unknown) = (0, 0, 0);
    for (state, no_drift, known) in parameters.chain(others) {
        all += 1;
        match state {
            State::Present { .. } if no_drift && known => same += 1,
            State::Present { .. } if no_drift => unknown += 1,
            State::Unknown { .. } => unknown += 1,
            State::Present { .. } | State::NotFound => {}
        }
    }
    (all, same, unknown)
}

/// Returns whether the `--timeout` expired before a target was read.
pub(super) fn is_unfinished(error: &Error) -> bool {
    error.code() == Code::OutOfTime
}

/// The counts of a target that is in sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InSync {
    /// The number of its resources.
    pub resources: usize,
    /// Whether its orphans could not be listed.
    lacks_orphans: bool,
}

impl InSync {
    /// Returns the counts if everything in a plan is in sync.
    pub fn of(plan: &Plan) -> Option<Self> {
        let lacks_orphans = plan.orphans.unknown.is_some();
        plan.is_settled().then_some(Self { resources: plan.resources.len(), lacks_orphans })
    }
}

impl fmt::Display for InSync {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.resources;
        let plural = if count == 1 { "" } else { "s" };
        let also = if self.lacks_orphans { "; orphans are not known" } else { "" };
        write!(formatter, "in sync ({count} resource{plural}{also})")
    }
}
