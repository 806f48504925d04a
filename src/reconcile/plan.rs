//! The plan: plain data, from which every output is derived.

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::gates::ProfileGate;
use super::orphans::Orphans;
use crate::change::{Consent, FieldChange};
use crate::kind::{Address, AddressPattern, KindId, Layout, Presence, Step};
use crate::resource::destination::Destination;
use crate::resource::names::OwnerKey;
use crate::resource::{Facts, Fields, Gap};

/// How a pass handles differences.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Intent {
    /// Create missing resources and repair differences: `apply`.
    #[default]
    Converge,
    /// Create missing resources and do not change existing ones: `init`.
    CreateOnly,
}

/// The scope of a pass.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    pub intent: Intent,
    /// Delete the resources that carry the ownership tag and are not in the manifest.
    pub prune: bool,
    /// Add the ownership tag to the existing resources of the manifest.
    pub adopt: bool,
    /// If not empty, only addresses that match one of these patterns are in scope.
    pub only: Vec<AddressPattern>,
    /// Addresses that match one of these patterns are not in scope.
    pub exclude: Vec<AddressPattern>,
    /// The consents that were given.
    pub allow: BTreeSet<Consent>,
    /// The key of the ownership tag, unless the manifest turns the tag off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ownership: Option<OwnerKey>,
}

impl Scope {
    /// Returns a scope with this intent and no other options.
    pub fn of(intent: Intent) -> Self {
        Self { intent, ..Self::default() }
    }

    /// Returns whether an address is in scope.
    pub fn holds(&self, address: &Address) -> bool {
        let matches = |pattern: &AddressPattern| pattern.matches(address);
        (self.only.is_empty() || self.only.iter().any(matches)) && !self.exclude.iter().any(matches)
    }

    /// Returns whether a filter excludes a part of the manifest.
    pub fn is_filtered(&self) -> bool {
        !self.only.is_empty() || !self.exclude.is_empty()
    }
}

/// The difference between desired and live state, and the ordered steps that remove it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub target: Destination,
    pub scope: Scope,
    pub resources: Vec<ResourcePlan>,
    /// Live resources that the manifest does not list and that do not carry the ownership tag. Pruning lists them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmanaged: Vec<Unmanaged>,
    /// The lists that could not be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unlisted: Vec<Gap>,
    /// The resources that carry the ownership tag and that the manifest does not list. Pruning finds these itself.
    #[serde(default, skip_serializing_if = "Orphans::is_empty")]
    pub orphans: Orphans,
    /// Whether AWS enforces the gate of each profile; empty if the manifest names no role for any of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<ProfileGate>,
}

/// A live resource that the manifest does not list and that is not changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmanaged {
    pub kind: KindId,
    pub name: String,
}

/// The state of a resource when the plan was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", content = "fields", rename_all = "snake_case")]
pub enum Seen {
    Absent,
    Unknown,
    /// Its fields as text. A long value is a digest.
    Present(Fields),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourcePlan {
    pub address: Address,
    /// Its name in AWS.
    pub name: String,
    pub label: String,
    /// The source of its content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// Whether it should exist.
    #[serde(default, skip_serializing_if = "Presence::is_present")]
    pub presence: Presence,
    #[serde(flatten)]
    pub action: Action,
    /// The facts about the live resource that are shown.
    #[serde(rename = "live")]
    pub facts: Facts,
    pub changes: Vec<FieldChange>,
    /// The settings that could not be read.
    #[serde(rename = "unknown")]
    pub gaps: Vec<Gap>,
    /// The layout that it is created with, for kinds that show one. In a saved plan, it is derived from the desired state.
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub layout: Option<Box<Layout>>,
    /// The consents that its withheld steps need.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub needs: BTreeSet<Consent>,
    /// The resources that it refers to. They are applied first, and if one fails this resource is skipped.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub depends_on: BTreeSet<Address>,
    /// The reason why dependents cannot use it in its live state. They are skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unusable: Option<String>,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// The steps that run only with consent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withheld: Vec<Step>,
    /// The baseline. If it has changed, the saved plan is stale.
    #[serde(rename = "fingerprint")]
    pub seen: Seen,
}

/// The action for one resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    Create,
    /// An earlier run or someone else is creating it, and the steps after a creation are missing.
    Finish,
    Unchanged,
    /// It differs, and the steps change it.
    Update,
    /// It should not exist, and the steps delete it.
    Delete,
    /// It differs, and this pass does not change it.
    Drift,
    /// It differs in a way that cannot be changed, or whose consent is missing.
    Refused,
    /// It could not be read; `if_absent` are the steps if it does not exist.
    Unknown {
        if_absent: Vec<Step>,
    },
}

impl ResourcePlan {
    /// Returns whether it should not exist.
    pub fn is_removal(&self) -> bool {
        !self.presence.is_present()
    }

    pub fn exists(&self) -> bool {
        matches!(self.seen, Seen::Present(_))
    }

    /// Returns whether it is empty and lacks only the steps after a creation. A run that was killed leaves such tables.
    pub fn is_unfinished(&self) -> bool {
        let follow = |steps: &[Step]| !steps.is_empty() && steps.iter().all(Step::follows_creation);
        self.facts.empty && self.withheld.is_empty() && follow(&self.steps)
    }
}

/// The number of resources for each action.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    pub create: usize,
    pub change: usize,
    pub delete: usize,
    pub unchanged: usize,
    /// Different and not changed.
    pub drifted: usize,
    /// Different and refused.
    pub refused: usize,
    /// Not read, or only partly read.
    pub unknown: usize,
}

impl Plan {
    /// Counts the resources by action.
    pub fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        for resource in &self.resources {
            let counter = match resource.action {
                Action::Create | Action::Finish => &mut summary.create,
                Action::Update => &mut summary.change,
                Action::Delete => &mut summary.delete,
                // Everything that could be read is in sync, but some settings could not be read.
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

    /// Returns warnings about the dependencies of a resource: those that cannot be used and, for a resource that is created, those that the
    /// filter excludes.
    pub fn doubts(&self) -> impl Fn(&ResourcePlan) -> Vec<String> {
        // Built once: a map for each of thousands of resources would take seconds.
        let known: HashMap<&Address, &ResourcePlan> = self.resources.iter().map(|one| (&one.address, one)).collect();
        move |resource| {
            let doubt = |on: &Address| match known.get(on).map(|other| &other.unusable) {
                Some(Some(why)) => Some(format!("it will be skipped: it depends on {on}, which cannot be used: {why}")),
                None if resource.action == Action::Create => Some(format!(
                    "it refers to {on}, which --only or --exclude excludes: apply that first if it does not exist"
                )),
                Some(None) | None => None,
            };
            match resource.steps.is_empty() || resource.action == Action::Delete {
                true => Vec::new(),
                false => resource.depends_on.iter().filter_map(doubt).collect(),
            }
        }
    }

    /// Returns whether an apply would change anything.
    pub fn has_steps(&self) -> bool {
        self.resources.iter().any(|resource| !resource.steps.is_empty())
    }

    /// Returns whether live and desired state are known to differ.
    pub fn has_differences(&self) -> bool {
        let same = |resource: &ResourcePlan| matches!(resource.action, Action::Unchanged | Action::Unknown { .. });
        !self.resources.iter().all(same)
    }

    /// Returns whether everything in the manifest was read and is in sync, and no other resource was found. Orphans may be unknown.
    pub fn is_settled(&self) -> bool {
        let same = |one: &ResourcePlan| one.action == Action::Unchanged && one.gaps.is_empty() && one.steps.is_empty();
        self.resources.iter().all(same)
            && self.unmanaged.is_empty()
            && self.unlisted.is_empty()
            && self.orphans.resources.is_empty()
            && self.orphans.looked_at.is_none()
    }

    /// Returns all reads that failed.
    pub fn gaps(&self) -> impl Iterator<Item = &Gap> {
        self.resources.iter().flat_map(|resource| &resource.gaps).chain(&self.unlisted)
    }

    /// Returns the number of indexes that the steps build. Each takes minutes.
    pub fn index_builds(&self) -> usize {
        let steps = self.resources.iter().flat_map(|resource| &resource.steps);
        steps.filter(|step| step.builds_index()).count()
    }
}
