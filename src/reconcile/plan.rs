//! The plan: plain data, from which every output is derived.

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::orphans::Orphans;
use crate::change::{Consent, FieldChange};
use crate::kind::{Address, AddressPattern, KindId, Layout, Presence, Step};
use crate::resource::destination::Destination;
use crate::resource::names::OwnerKey;
use crate::resource::{Facts, Fields, Gap};

/// What a pass does about differences.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Intent {
    /// Create what is missing and repair what differs: `apply`.
    #[default]
    Converge,
    /// Create what is missing and leave alone what is there: `init`.
    CreateOnly,
}

/// How far a pass goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    pub intent: Intent,
    /// Delete what carries the ownership tag and is not in the manifest.
    pub prune: bool,
    /// Give the ownership tag to what the manifest names.
    pub adopt: bool,
    /// Where there are any, only addresses that match one are looked at.
    pub only: Vec<AddressPattern>,
    /// Addresses that match one are left out.
    pub exclude: Vec<AddressPattern>,
    /// What may be lost.
    pub allow: BTreeSet<Consent>,
    /// The key of the ownership tag, unless the manifest wants none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ownership: Option<OwnerKey>,
}

impl Scope {
    /// Returns a scope with nothing but an intent.
    pub fn of(intent: Intent) -> Self {
        Self { intent, ..Self::default() }
    }

    /// Returns whether an address is looked at.
    pub fn holds(&self, address: &Address) -> bool {
        let matches = |pattern: &AddressPattern| pattern.matches(address);
        (self.only.is_empty() || self.only.iter().any(matches)) && !self.exclude.iter().any(matches)
    }

    /// Returns whether a part of the manifest is left out.
    pub fn is_filtered(&self) -> bool {
        !self.only.is_empty() || !self.exclude.is_empty()
    }
}

/// The difference between desired and live, and the ordered steps that close it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub target: Destination,
    pub scope: Scope,
    pub resources: Vec<ResourcePlan>,
    /// What is live and neither in the manifest nor marked as this tool's; listed when pruning.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmanaged: Vec<Unmanaged>,
    /// What could not be listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unlisted: Vec<Gap>,
    /// What carries the ownership tag and the manifest does not name; pruning lists that itself.
    #[serde(default, skip_serializing_if = "Orphans::is_empty")]
    pub orphans: Orphans,
}

/// Something live that the manifest does not name and that is left alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmanaged {
    pub kind: KindId,
    pub name: String,
}

/// What was seen of a resource when the plan was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", content = "fields", rename_all = "snake_case")]
pub enum Seen {
    Absent,
    Unknown,
    /// Its fields in words; what is long is a digest.
    Present(Fields),
}

/// One resource's part of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourcePlan {
    pub address: Address,
    /// The name in AWS.
    pub name: String,
    pub label: String,
    /// Where its content comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// Whether it should be there.
    #[serde(default, skip_serializing_if = "Presence::is_present")]
    pub presence: Presence,
    #[serde(flatten)]
    pub action: Action,
    /// What is shown of the live resource.
    #[serde(rename = "live")]
    pub facts: Facts,
    pub changes: Vec<FieldChange>,
    /// What could not be read.
    #[serde(rename = "unknown")]
    pub gaps: Vec<Gap>,
    /// What it is created with, for kinds that show it. A saved plan has it from what it says is desired.
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub layout: Option<Box<Layout>>,
    /// What has to be allowed before the difference is closed.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub needs: BTreeSet<Consent>,
    /// What it refers to. These are applied before it, and where one fails it is skipped.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub depends_on: BTreeSet<Address>,
    /// Why nothing can use it as it is. What refers to it is skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unusable: Option<String>,
    /// What will be done, in this order.
    pub steps: Vec<Step>,
    /// What would be done if what it needs were allowed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withheld: Vec<Step>,
    /// What the plan was made on: if this has changed, the plan no longer holds.
    #[serde(rename = "fingerprint")]
    pub seen: Seen,
}

/// What a resource's part of a plan comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    Create,
    /// It is being created, by an earlier run or someone else; what follows a creation is still to be done.
    Finish,
    Unchanged,
    /// It differs, and the steps change it.
    Update,
    /// It should be gone, and the steps delete it.
    Delete,
    /// It differs, and this pass leaves it alone.
    Drift,
    /// It differs in a way that is not done, or that has to be allowed and is not.
    Refused,
    /// It could not be read; `if_absent` is what would be done if it is not there.
    Unknown {
        if_absent: Vec<Step>,
    },
}

impl ResourcePlan {
    /// Returns whether it should be gone.
    pub fn is_removal(&self) -> bool {
        !self.presence.is_present()
    }

    /// Returns whether it is there.
    pub fn exists(&self) -> bool {
        matches!(self.seen, Seen::Present(_))
    }

    /// Returns whether it lacks only what follows a creation, and is empty: a run that was killed leaves such tables.
    pub fn is_unfinished(&self) -> bool {
        let follow = |steps: &[Step]| !steps.is_empty() && steps.iter().all(Step::follows_creation);
        self.facts.empty && self.withheld.is_empty() && follow(&self.steps)
    }
}

/// How many resources come to what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    pub create: usize,
    pub change: usize,
    pub delete: usize,
    pub unchanged: usize,
    /// Different, and left alone.
    pub drifted: usize,
    /// Different, and refused.
    pub refused: usize,
    /// Not read, or not all of it.
    pub unknown: usize,
}

impl Plan {
    /// Counts the resources by what they come to.
    pub fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        for resource in &self.resources {
            let counter = match resource.action {
                Action::Create | Action::Finish => &mut summary.create,
                Action::Update => &mut summary.change,
                Action::Delete => &mut summary.delete,
                // As far as it could be read it is as desired; that is not known to be all.
                Action::Unchanged if !resource.gaps.is_empty() => &mut summary.unknown,
                Action::Unchanged => &mut summary.unchanged,
                Action::Drift => &mut summary.drifted,
                Action::Refused => &mut summary.refused,
                Action::Unknown { .. } => &mut summary.unknown,
            };
            *counter += 1;
        }
        summary
    }

    /// Returns the resources of one kind, in the manifest's order.
    pub fn of_kind(&self, kind: KindId) -> impl Iterator<Item = &ResourcePlan> {
        self.resources.iter().filter(move |resource| resource.address.kind == kind)
    }

    /// Returns what tells of a resource, in words, what it depends on and cannot count on: what cannot be used, and, where the
    /// resource is created, what the filter leaves out.
    pub fn doubts(&self) -> impl Fn(&ResourcePlan) -> Vec<String> {
        // Made once: a map for each of thousands of resources would take seconds.
        let known: HashMap<&Address, &ResourcePlan> = self.resources.iter().map(|one| (&one.address, one)).collect();
        move |resource| {
            let doubt = |on: &Address| match known.get(on).map(|other| &other.unusable) {
                Some(Some(why)) => Some(format!("it will be skipped: it depends on {on}, which cannot be used: {why}")),
                None if resource.action == Action::Create => Some(format!(
                    "it refers to {on}, which --only or --exclude leaves out: apply that first if it is not there"
                )),
                Some(None) | None => None,
            };
            match resource.steps.is_empty() || resource.action == Action::Delete {
                true => Vec::new(),
                false => resource.depends_on.iter().filter_map(doubt).collect(),
            }
        }
    }

    /// Returns whether an apply would do anything.
    pub fn has_steps(&self) -> bool {
        self.resources.iter().any(|resource| !resource.steps.is_empty())
    }

    /// Returns whether live differs from desired, as far as it is known.
    pub fn has_differences(&self) -> bool {
        let same = |resource: &ResourcePlan| matches!(resource.action, Action::Unchanged | Action::Unknown { .. });
        !self.resources.iter().all(same)
    }

    /// Returns whether everything in the manifest was read and is as it says, and nothing else was found. Orphans may not be known.
    pub fn is_settled(&self) -> bool {
        let same = |one: &ResourcePlan| one.action == Action::Unchanged && one.gaps.is_empty() && one.steps.is_empty();
        self.resources.iter().all(same)
            && self.unmanaged.is_empty()
            && self.unlisted.is_empty()
            && self.orphans.resources.is_empty()
            && self.orphans.looked_at.is_none()
    }

    /// Returns all that could not be read.
    pub fn gaps(&self) -> impl Iterator<Item = &Gap> {
        self.resources.iter().flat_map(|resource| &resource.gaps).chain(&self.unlisted)
    }

    /// Returns how many indexes the steps build: each takes minutes.
    pub fn index_builds(&self) -> usize {
        let steps = self.resources.iter().flat_map(|resource| &resource.steps);
        steps.filter(|step| step.builds_index()).count()
    }
}
