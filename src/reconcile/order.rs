//! The order in which a plan's resources are processed: dependencies before dependents, and for deletions the reverse.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::apply::{Outcome, ResourceReport};
use super::plan::{Action, Plan, ResourcePlan};
use crate::kind::{Address, KindId};

/// The resources that can start, that are running, and that wait. Indexes refer to the plan's resources.
#[derive(Debug)]
pub(super) struct Order<'p> {
    resources: &'p [ResourcePlan],
    /// For each resource, its dependencies.
    before: Vec<Vec<usize>>,
    /// For each resource, its dependents.
    after: Vec<Vec<usize>>,
    /// For each resource, the number of dependencies that are not done.
    waits: Vec<usize>,
    ready: BTreeMap<KindId, VecDeque<usize>>,
    running: BTreeMap<KindId, usize>,
}

impl<'p> Order<'p> {
    /// Returns the order of a plan. A manifest's references have no cycle. The resources of a plan with a cycle would never start and would
    /// not be reported.
    pub(super) fn of(plan: &'p Plan) -> Self {
        let resources = plan.resources.as_slice();
        let index: HashMap<&Address, usize> =
            resources.iter().enumerate().map(|(index, resource)| (&resource.address, index)).collect();
        let (mut before, mut after) = (vec![Vec::new(); resources.len()], vec![Vec::new(); resources.len()]);
        for (own, resource) in resources.iter().enumerate() {
            for other in resource.depends_on.iter().filter_map(|address| index.get(address).copied()) {
                let deletes = resource.action == Action::Delete || resources[other].action == Action::Delete;
                let (first, second) = if deletes { (own, other) } else { (other, own) };
                before[second].push(first);
                after[first].push(second);
            }
        }
        let waits: Vec<usize> = before.iter().map(Vec::len).collect();
        let mut ready: BTreeMap<KindId, VecDeque<usize>> = BTreeMap::new();
        for (own, resource) in resources.iter().enumerate().filter(|(own, _)| waits[*own] == 0) {
            ready.entry(resource.address.kind).or_default().push_back(own);
        }
        Self { resources, before, after, waits, ready, running: BTreeMap::new() }
    }

    /// Returns a resource that can start now. Each kind has its own limit on running resources.
    pub(super) fn start(&mut self) -> Option<usize> {
        for (kind, ready) in &mut self.ready {
            let running = self.running.entry(*kind).or_default();
            if *running < kind.about().concurrency as usize
                && let Some(index) = ready.pop_front()
            {
                *running += 1;
                return Some(index);
            }
        }
        None
    }

    /// Marks a resource as done.
    pub(super) fn end(&mut self, index: usize) {
        if let Some(running) = self.running.get_mut(&self.resources[index].address.kind) {
            *running -= 1;
        }
        for next in std::mem::take(&mut self.after[index]) {
            self.waits[next] -= 1;
            if self.waits[next] == 0 {
                self.ready.entry(self.resources[next].address.kind).or_default().push_back(next);
            }
        }
    }

    /// Returns the reason why a resource is skipped: a dependency was not applied or cannot be used.
    pub(super) fn blocked(&self, index: usize, reports: &[Option<ResourceReport>]) -> Option<String> {
        let own = &self.resources[index];
        if own.steps.is_empty() {
            return None;
        }
        let failed = |before: usize| match reports[before].as_ref().map(|report| &report.outcome) {
            // After an interruption nothing else is started, and the resource's own report says so.
            Some(
                Outcome::Applied
                | Outcome::Unchanged
                | Outcome::NotChanged
                | Outcome::Refused
                | Outcome::Interrupted
                | Outcome::OutOfTime,
            ) => false,
            // It exists, and its other steps are deferred.
            Some(Outcome::Deferred { .. }) => !self.resources[before].exists(),
            Some(Outcome::Failed { .. } | Outcome::Skipped { .. } | Outcome::Conflicted { .. }) | None => true,
        };
        self.before[index].iter().find_map(|before| {
            let other = &self.resources[*before];
            let on = &other.address;
            match &other.unusable {
                // A deletion waits for the dependents but does not use them.
                Some(why) if own.depends_on.contains(on) => {
                    Some(format!("it depends on {on}, which cannot be used: {why}"))
                }
                _ => failed(*before).then(|| format!("it depends on {on}, which was not applied")),
            }
        })
    }
}
