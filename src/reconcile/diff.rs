//! Computes the difference of one resource and the resulting action. Pure.

use std::collections::BTreeSet;
use std::fmt;

use super::plan::{Action, Intent, ResourcePlan, Seen};
use crate::change::{ChangeMethod, Consent, FieldChange, FieldValue};
use crate::kind::{Deletion, Desired, Kind, Layout, ObservedResource, Pair, Presence, Settled, Step, Visitor};
use crate::resource::{Facts, Fields, Gap, Live, OWNER, Observed};

pub(super) fn resource(observed: &ObservedResource<'_>, intent: Intent) -> ResourcePlan {
    observed.visit(Planner { intent })
}

struct Planner {
    intent: Intent,
}

impl Visitor for Planner {
    type Output = ResourcePlan;

    fn visit<K: Kind>(self, pair: &Pair<'_, K>) -> ResourcePlan
    where
        Step: From<K::Step>,
        Layout: From<K>,
    {
        let desired = pair.desired;
        let plan = match (&pair.observed, desired.presence) {
            (Observed::Absent, Presence::Absent | Presence::Removed) => {
                plan(desired, Action::Unchanged, Facts::default())
            }
            (Observed::Unknown(gap), Presence::Absent | Presence::Removed) => unknown(desired, gap, Vec::new()),
            (Observed::Present(live), Presence::Absent | Presence::Removed) => {
                removal(desired, live).seeing(K::seen(live))
            }
            (Observed::Absent, Presence::Present) => creation(desired, any(K::create(desired))),
            (Observed::Unknown(gap), Presence::Present) => unknown(desired, gap, any(K::create(desired))),
            (Observed::Present(live), Presence::Present) => {
                let plan = existing(desired, live, self.intent).seeing(K::seen(live));
                ResourcePlan { unusable: K::unusable(live), ..plan }
            }
        };
        let layout = K::ABOUT.shows_layout.then(|| Box::new(Layout::from(desired.initial.clone())));
        ResourcePlan { layout, ..plan }
    }
}

fn shown<F: fmt::Display>(changes: Vec<FieldChange<F>>) -> Vec<FieldChange> {
    changes.into_iter().map(FieldChange::shown).collect()
}

fn any<S>(steps: Vec<S>) -> Vec<Step>
where
    Step: From<S>,
{
    steps.into_iter().map(Step::from).collect()
}

fn existing<K: Kind>(desired: &Desired<K>, live: &Live<K>, intent: Intent) -> ResourcePlan
where
    Step: From<K::Step>,
{
    let changes = K::changes(desired, live);
    let repair = K::repair(desired, live, &changes);
    match K::settle(desired, live, changes, repair) {
        Settled::Compared { changes, repair } => present(desired, live, shown(changes), any(repair), intent),
        Settled::Unfinished { steps } => {
            ResourcePlan { steps: any(steps), ..plan(desired, Action::Finish, live.facts.clone()) }
        }
    }
}

impl ResourcePlan {
    fn seeing(self, fields: Fields) -> Self {
        Self { seen: Seen::Present(fields), ..self }
    }
}

fn plan<T>(desired: &Desired<T>, action: Action, facts: Facts) -> ResourcePlan {
    ResourcePlan {
        address: desired.address.clone(),
        name: desired.name.clone(),
        label: desired.label.clone(),
        origin: desired.origin.clone(),
        presence: desired.presence,
        action,
        facts,
        changes: Vec::new(),
        gaps: Vec::new(),
        layout: None,
        needs: BTreeSet::new(),
        depends_on: desired.depends_on.clone(),
        unusable: None,
        steps: Vec::new(),
        withheld: Vec::new(),
        seen: Seen::Absent,
    }
}

fn creation<T>(desired: &Desired<T>, steps: Vec<Step>) -> ResourcePlan {
    ResourcePlan { steps, ..plan(desired, Action::Create, Facts::default()) }
}

/// Plans a resource that could not be read: it shows what a creation would do, and has no steps.
fn unknown<T>(desired: &Desired<T>, gap: &Gap, if_absent: Vec<Step>) -> ResourcePlan {
    let action = Action::Unknown { if_absent };
    ResourcePlan { gaps: vec![gap.clone()], seen: Seen::Unknown, ..plan(desired, action, Facts::default()) }
}

/// Plans the removal of a resource. It has no steps before consent, since the manifest may name a resource that someone else owns.
fn removal<K: Kind>(desired: &Desired<K>, live: &Live<K>) -> ResourcePlan
where
    Step: From<K::Step>,
{
    let (changes, steps) = if let Some(change) = not_ours(desired, live) {
        (vec![change], Vec::new())
    } else {
        let Deletion { changes, steps } = K::delete(desired, live);
        (shown(changes), any(steps))
    };
    let mut needs: BTreeSet<Consent> = steps.iter().filter_map(Step::needs).collect();
    if !steps.is_empty() {
        needs.insert(Consent::Prune);
    }
    let gaps = live.gaps.clone();
    ResourcePlan { changes, gaps, needs, withheld: steps, ..plan(desired, Action::Refused, live.facts.clone()) }
}

/// Returns the reason why a resource that the manifest declares as removed is not deleted: it does not carry the ownership tag, or this is
/// unknown.
fn not_ours<K: Kind>(desired: &Desired<K>, live: &Live<K>) -> Option<FieldChange> {
    if desired.presence != Presence::Removed || live.facts.owned == Some(true) {
        return None;
    }
    let key = desired.ownership.as_deref().unwrap_or_default();
    let before = live.facts.owner.as_ref().map_or(FieldValue::Absent, FieldValue::text);
    let how = "it does not have the ownership tag: remove removed = true, apply with --adopt, and add it again";
    Some(FieldChange::new(format!("tags.{key}"), before, FieldValue::text(OWNER), ChangeMethod::NotPossible, how))
}

/// Returns the steps that add protection, each with the wait that follows it.
fn protecting(repair: &[Step]) -> Vec<Step> {
    let mut taken = false;
    let takes = |step: &&Step| {
        // A wait belongs to the step before it. A wait at the start belongs to the first step.
        taken = step.protects() || (taken && step.writes().is_none() && !step.defers());
        taken
    };
    let steps: Vec<Step> = repair.iter().filter(takes).cloned().collect();
    let first = repair.first().filter(|step| step.writes().is_none() && !step.defers());
    match (steps.is_empty(), first) {
        (false, Some(wait)) => std::iter::once(wait.clone()).chain(steps).collect(),
        _ => steps,
    }
}

/// Plans an existing resource. A refused difference stops the whole resource except for the steps that add protection. For example, a table
/// with an unexpected index still gets its deletion protection.
fn present<T>(
    desired: &Desired<T>,
    live: &Live<T>,
    changes: Vec<FieldChange>,
    repair: Vec<Step>,
    intent: Intent,
) -> ResourcePlan {
    let never = changes.iter().any(|change| change.method.is_never_done());
    let needs: BTreeSet<Consent> = changes.iter().filter_map(|change| change.needs).collect();
    let (action, steps, withheld) = match intent {
        _ if changes.is_empty() => (Action::Unchanged, Vec::new(), Vec::new()),
        Intent::CreateOnly => (Action::Drift, Vec::new(), Vec::new()),
        Intent::Converge if never => (Action::Refused, protecting(&repair), Vec::new()),
        Intent::Converge if repair.is_empty() => (Action::Drift, Vec::new(), Vec::new()),
        Intent::Converge if !needs.is_empty() => (Action::Refused, protecting(&repair), repair),
        Intent::Converge => (Action::Update, repair, Vec::new()),
    };
    let gaps = live.gaps.clone();
    ResourcePlan { changes, gaps, needs, steps, withheld, ..plan(desired, action, live.facts.clone()) }
}
