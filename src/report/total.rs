//! The sums over several targets, which are the last lines of an output for more than one target.

use std::fmt;

use serde::Serialize;

use super::applied::AppliedTotal;
use super::output::{Body, Part};
use super::status::{State, Status};
use crate::code::Code;
use crate::diagnostic::some;
use crate::error::Error;
use crate::reconcile::{Gate, Orphans, Plan, ProfileGate};

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
            let (outcome, all, same) = match &part.body {
                Ok(body) => body.outcome(),
                Err(error) if is_unfinished(error) => (Outcome::Unfinished, 0, 0),
                Err(_) => (Outcome::Failed, 0, 0),
            };
            total.targets += 1;
            total.resources += all;
            total.resources_in_sync += same;
            let (count, names) = match outcome {
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
    pub(super) fn describe(&self) -> String {
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
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Read(total) => total.describe(),
            Self::Applied(total) => total.describe(),
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
    fn outcome(&self) -> (Outcome, usize, usize) {
        match self {
            Self::Settled(settled) => (Outcome::InSync, settled.resources, settled.resources),
            Self::Plan(plan, _) => {
                let summary = plan.summary();
                let all = plan.resources.len();
                let outcome = match () {
                    () if plan.is_settled() => Outcome::InSync,
                    () if plan.has_differences() => Outcome::Differs,
                    () if plan.gaps().next().is_some() => Outcome::Incomplete,
                    () => Outcome::InSync,
                };
                (outcome, all, summary.unchanged)
            }
            Self::Status(status) => {
                let (all, same, unknown) = count(status);
                let outcome = match () {
                    () if same + unknown < all => Outcome::Differs,
                    () if unknown > 0 || status.parameters_unknown.is_some() => Outcome::Incomplete,
                    () => Outcome::InSync,
                };
                (outcome, all, same)
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
                (same == resources && silent).then(|| InSync::new(resources, orphans, &status.gates))
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
    /// The profiles whose gates AWS does not enforce.
    advisory_gates: usize,
    /// The profiles for whose gates that is not known.
    unknown_gates: usize,
}

impl InSync {
    /// Returns the counts if everything in a plan is in sync.
    pub fn of(plan: &Plan) -> Option<Self> {
        plan.is_settled().then(|| Self::new(plan.resources.len(), &plan.orphans, &plan.gates))
    }

    fn new(resources: usize, orphans: &Orphans, gates: &[ProfileGate]) -> Self {
        let count = |is: fn(&Gate) -> bool| gates.iter().filter(|one| is(&one.gate)).count();
        Self {
            resources,
            lacks_orphans: orphans.unknown.is_some(),
            advisory_gates: count(|gate| matches!(gate, Gate::Advisory(_))),
            unknown_gates: count(|gate| matches!(gate, Gate::Unknown(_))),
        }
    }
}

impl fmt::Display for InSync {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.resources;
        let plural = if count == 1 { "" } else { "s" };
        write!(formatter, "in sync ({count} resource{plural}")?;
        if self.lacks_orphans {
            formatter.write_str("; orphans are not known")?;
        }
        match (self.advisory_gates, self.unknown_gates) {
            (0, 0) => {}
            (advisory, 0) => write!(formatter, "; gates: {advisory} advisory")?,
            (0, unknown) => write!(formatter, "; gates: {unknown} not known")?,
            (advisory, unknown) => write!(formatter, "; gates: {advisory} advisory, {unknown} not known")?,
        }
        formatter.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_in_sync_counts_the_gates_that_are_not_enforced() {
        let gate = |gate| ProfileGate { profile: String::from("p"), gate };
        let advisory = || gate(Gate::Advisory(vec![String::from("open")]));
        let unknown = || gate(Gate::Unknown(vec![String::from("not read")]));
        let describe = |gates: &[ProfileGate]| InSync::new(2, &Orphans::default(), gates).to_string();
        assert_eq!(describe(&[gate(Gate::Enforced)]), "in sync (2 resources)");
        assert_eq!(describe(&[advisory(), advisory()]), "in sync (2 resources; gates: 2 advisory)");
        assert_eq!(describe(&[gate(Gate::Enforced), unknown()]), "in sync (2 resources; gates: 1 not known)");
        assert_eq!(describe(&[advisory(), unknown()]), "in sync (2 resources; gates: 1 advisory, 1 not known)");
    }
}
