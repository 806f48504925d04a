//! The plan: plain data, from which every output is derived.

use serde::Serialize;

use crate::change::FieldChange;
use crate::resource::caller::Caller;
use crate::resource::table::Table;
use crate::resource::{Address, Facts, Gap, Kind, Step};

/// How far a pass may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Intent {
    /// Create what is missing and repair what differs: `apply`.
    Converge,
    /// Create what is missing and leave alone what is there: `init`.
    CreateOnly,
}

/// Where a pass goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Target {
    pub region: String,
    /// Where the region was named.
    pub region_source: String,
    pub policy_root: String,
    /// The account and identity; nothing until AWS has told.
    pub caller: Option<Caller>,
    /// The folder of the embedded AWS, when that is what the pass works on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local: Option<String>,
}

/// The difference between desired and live, and the ordered steps that close it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    pub target: Target,
    pub intent: Intent,
    pub resources: Vec<ResourcePlan>,
}

/// One resource's part of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ResourcePlan {
    pub address: Address,
    /// The name in AWS.
    pub name: String,
    pub label: String,
    /// Where its content comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    #[serde(flatten)]
    pub action: Action,
    /// What is shown of the live resource.
    #[serde(rename = "live")]
    pub facts: Facts,
    pub changes: Vec<FieldChange>,
    /// What could not be read.
    #[serde(rename = "unknown")]
    pub gaps: Vec<Gap>,
    /// What a table is created with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layout: Option<Table>,
    /// What will be done, in this order.
    pub steps: Vec<Step>,
}

/// What a resource's part of a plan comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    Create,
    /// It is being created, by an earlier run or someone else; what follows a creation is still to be done.
    Finish,
    Unchanged,
    /// It differs, and the steps change it.
    Update,
    /// It differs, and this pass leaves it alone.
    Drift,
    /// It differs in a way that nothing in place could close; this pass leaves it alone.
    Refused,
    /// It could not be read; `if_absent` is what would be done if it is not there.
    Unknown {
        if_absent: Vec<Step>,
    },
}

impl ResourcePlan {
    pub(super) fn with_layout(self, layout: Table) -> Self {
        Self { layout: Some(layout), ..self }
    }

    /// Returns whether a part of the difference is one that only replacement could close.
    pub fn refuses(&self) -> bool {
        self.changes.iter().any(|change| change.takes.is_beyond_repair_in_place())
    }
}

/// How many resources come to what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    pub create: usize,
    pub change: usize,
    pub unchanged: usize,
    /// Different, and left alone.
    pub drifted: usize,
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
                // As far as it could be read it is as desired; that is not known to be all.
                Action::Unchanged if !resource.gaps.is_empty() => &mut summary.unknown,
                Action::Unchanged => &mut summary.unchanged,
                Action::Drift | Action::Refused => &mut summary.drifted,
                Action::Unknown { .. } => &mut summary.unknown,
            };
            *counter += 1;
        }
        summary
    }

    /// Returns the resources of one kind, in the manifest's order.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &ResourcePlan> {
        self.resources.iter().filter(move |resource| resource.address.kind == kind)
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

    /// Returns all that could not be read, with the resource it belongs to.
    pub fn gaps(&self) -> impl Iterator<Item = (&ResourcePlan, &Gap)> {
        self.resources.iter().flat_map(|resource| resource.gaps.iter().map(move |gap| (resource, gap)))
    }
}
