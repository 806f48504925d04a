//! What came of several targets together: the last lines of every output that is about more than one.

use serde::Serialize;

use super::output::{Body, Part};
use super::status::{State, Status};

/// How many names of targets are listed.
const LISTED: usize = 20;

/// What one target came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Came {
    /// It was read, and is as the manifest says.
    InSync,
    /// It differs, or has something to say beside.
    Differs,
    /// Not all of it could be read.
    Incomplete,
    Failed,
}

/// The sums over all targets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Total {
    pub targets: usize,
    pub in_sync: usize,
    pub differ: usize,
    pub incomplete: usize,
    pub failed: usize,
    /// Resources, over all targets that were read.
    pub resources: usize,
    pub resources_in_sync: usize,
    #[serde(skip)]
    names: [Vec<String>; 3],
}

impl Total {
    /// Returns the sums of some parts.
    pub(super) fn of(parts: &[Part<'_>]) -> Self {
        let mut total = Self::default();
        for part in parts {
            let (came, all, same) = match &part.body {
                Ok(body) => body.came(),
                Err(_) => (Came::Failed, 0, 0),
            };
            total.targets += 1;
            total.resources += all;
            total.resources_in_sync += same;
            let (count, names) = match came {
                Came::InSync => (&mut total.in_sync, None),
                Came::Differs => (&mut total.differ, Some(0)),
                Came::Incomplete => (&mut total.incomplete, Some(1)),
                Came::Failed => (&mut total.failed, Some(2)),
            };
            *count += 1;
            if let Some(names) = names.and_then(|index| total.names.get_mut(index)) {
                names.extend(part.name.map(str::to_owned));
            }
        }
        total
    }

    /// Returns it in words: `3 targets: 2 in sync, 1 failed; 46 of 46 resources in sync`.
    pub(super) fn words(&self) -> String {
        let mut parts = vec![format!("{} in sync", self.in_sync)];
        let others = [(self.differ, "differ"), (self.incomplete, "not read in full"), (self.failed, "failed")];
        parts.extend(others.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")));
        let plural = if self.targets == 1 { "" } else { "s" };
        let (same, all) = (self.resources_in_sync, self.resources);
        format!("{} target{plural}: {}; {same} of {all} resources in sync", self.targets, parts.join(", "))
    }

    /// Returns which targets are not in sync, a line for each way.
    pub(super) fn lines(&self) -> Vec<String> {
        let line = |(what, names): (&str, &Vec<String>)| match names.as_slice() {
            [] => None,
            names => {
                let shown: Vec<&str> = names.iter().take(LISTED).map(String::as_str).collect();
                let more = names.len().saturating_sub(LISTED);
                let more = if more > 0 { format!(", and {more} more") } else { String::new() };
                Some(format!("{what}: {}{more}", shown.join(", ")))
            }
        };
        ["Differ", "Not read in full", "Failed"].into_iter().zip(&self.names).filter_map(line).collect()
    }
}

impl Body<'_> {
    /// Returns what it came to, how many resources it has, and how many of these are in sync.
    fn came(&self) -> (Came, usize, usize) {
        match self {
            Self::Settled(count) => (Came::InSync, *count, *count),
            Self::Plan(plan, _) => {
                let summary = plan.summary();
                let all = plan.resources.len();
                let came = match () {
                    () if plan.is_settled() => Came::InSync,
                    () if plan.has_differences() => Came::Differs,
                    () if plan.gaps().next().is_some() => Came::Incomplete,
                    () => Came::InSync,
                };
                (came, all, summary.unchanged)
            }
            Self::Status(status) => {
                let (all, same, unknown) = count(status);
                let came = match () {
                    () if same + unknown < all => Came::Differs,
                    () if unknown > 0 || status.parameters_unknown.is_some() => Came::Incomplete,
                    () => Came::InSync,
                };
                (came, all, same)
            }
        }
    }

    /// Returns how many resources are in sync, where all are and there is nothing else to say.
    pub(super) fn settled(&self) -> Option<usize> {
        match self {
            Self::Settled(count) => Some(*count),
            Self::Plan(plan, _) => plan.is_settled().then_some(plan.resources.len()),
            Self::Status(status) => {
                let (all, same, _) = count(status);
                let silent = status.orphans.is_empty() && status.parameters_unknown.is_none();
                (same == all && silent).then_some(all)
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

/// Returns what is said of a target that is in sync.
pub(super) fn in_sync(count: usize) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("in sync ({count} resource{plural})")
}
