//! The pure difference of one resource, and the action it comes to.

use std::collections::BTreeSet;

use super::plan::{Action, Intent, ResourcePlan, Seen};
use crate::change::{Consent, FieldChange, FieldValue, Takes};
use crate::resource::{
    Desired, Facts, Fields, Gap, Live, Observed, ObservedResource, Presence, Step, policy_parameter, table,
};

/// Plans one resource.
pub(super) fn resource(observed: &ObservedResource<'_>, intent: Intent) -> ResourcePlan {
    match observed {
        ObservedResource::Policy(pair) => {
            let desired = pair.desired;
            let steps = |steps: Vec<_>| steps.into_iter().map(Step::Policy).collect();
            match (&pair.observed, desired.presence) {
                (Observed::Absent, Presence::Absent) => plan(desired, Action::Unchanged, Facts::default()),
                (Observed::Unknown(gap), Presence::Absent) => unknown(desired, gap, Vec::new()),
                (Observed::Present(live), Presence::Absent) => {
                    let steps = steps(policy_parameter::delete(desired, &live.facts));
                    removal(desired, live, steps, policy_parameter::seen(live))
                }
                (Observed::Absent, Presence::Present) => creation(desired, steps(policy_parameter::create(desired))),
                (Observed::Unknown(gap), Presence::Present) => {
                    unknown(desired, gap, steps(policy_parameter::create(desired)))
                }
                (Observed::Present(live), Presence::Present) => {
                    let changes = policy_parameter::changes(desired, live);
                    let repair = steps(policy_parameter::repair(desired, live, &changes));
                    present(desired, live, changes, repair, intent).seeing(policy_parameter::seen(live))
                }
            }
        }
        ObservedResource::Table(pair) => {
            let desired = pair.desired;
            let steps = |steps: Vec<_>| steps.into_iter().map(Step::Table).collect();
            match &pair.observed {
                Observed::Absent => creation(desired, steps(table::create(desired))),
                Observed::Unknown(gap) => unknown(desired, gap, steps(table::create(desired))),
                Observed::Present(live) => existing_table(desired, live, intent).seeing(table::seen(live)),
            }
            .with_layout(desired.initial.clone())
        }
    }
}

/// Plans a table that is there.
fn existing_table(desired: &Desired<table::Table>, live: &Live<table::Table>, intent: Intent) -> ResourcePlan {
    let changes = table::changes(desired, live);
    let repair: Vec<Step> = table::repair(desired, live, &changes).into_iter().map(Step::Table).collect();
    let status = live.facts.status.as_deref().unwrap_or("ACTIVE");
    let not_active = |takes, how| {
        let (before, after) = (FieldValue::words(status), FieldValue::words("ACTIVE"));
        vec![FieldChange::new("status", before, after, takes, how)]
    };
    match status {
        "ACTIVE" | "UPDATING" => present(desired, live, changes, repair, intent),
        // What follows a creation is still to come, so it is no difference; anything else already is one.
        "CREATING" if changes.iter().all(table::still_to_come) => {
            let finish = table::create(desired).into_iter().skip(1).map(Step::Table).collect();
            ResourcePlan { steps: finish, ..plan(desired, Action::Finish, live.facts.clone()) }
        }
        "CREATING" => {
            let changes = changes.into_iter().filter(|change| !table::still_to_come(change)).collect();
            present(desired, live, changes, repair, intent)
        }
        "DELETING" => {
            let why = String::from("the table is being deleted, and can be created again once it is gone");
            let defer = table::TableStep::Defer { name: desired.name.clone(), why, seconds: None };
            let changes = not_active(Takes::Time, "being deleted; run again once it is gone");
            present(desired, live, changes, vec![Step::Table(defer)], intent)
        }
        _ => present(desired, live, not_active(Takes::NotPossible, "see the table in the AWS console"), repair, intent),
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
        action,
        facts,
        changes: Vec::new(),
        gaps: Vec::new(),
        layout: None,
        needs: BTreeSet::new(),
        steps: Vec::new(),
        withheld: Vec::new(),
        seen: Seen::Absent,
    }
}

fn creation<T>(desired: &Desired<T>, steps: Vec<Step>) -> ResourcePlan {
    ResourcePlan { steps, ..plan(desired, Action::Create, Facts::default()) }
}

/// Plans what could not be read: it shows what it would create, and nothing is done about it.
fn unknown<T>(desired: &Desired<T>, gap: &Gap, if_absent: Vec<Step>) -> ResourcePlan {
    let action = Action::Unknown { if_absent };
    ResourcePlan { gaps: vec![gap.clone()], seen: Seen::Unknown, ..plan(desired, action, Facts::default()) }
}

/// Plans what should be gone: nothing, until it is allowed.
fn removal<T>(desired: &Desired<T>, live: &Live<T>, steps: Vec<Step>, seen: Fields) -> ResourcePlan {
    let needs = BTreeSet::from([Consent::Prune]);
    ResourcePlan { needs, withheld: steps, ..plan(desired, Action::Refused, live.facts.clone()) }.seeing(seen)
}

/// Plans what is there. A difference that is refused stops its whole resource: it is either brought all the way to what
/// is desired, or left as it is.
fn present<T>(
    desired: &Desired<T>,
    live: &Live<T>,
    changes: Vec<FieldChange>,
    repair: Vec<Step>,
    intent: Intent,
) -> ResourcePlan {
    let never = changes.iter().any(|change| change.takes.is_never_done());
    let needs: BTreeSet<Consent> = changes.iter().filter_map(|change| change.needs).collect();
    let (action, steps, withheld) = match intent {
        _ if changes.is_empty() => (Action::Unchanged, Vec::new(), Vec::new()),
        Intent::CreateOnly => (Action::Drift, Vec::new(), Vec::new()),
        Intent::Converge if never => (Action::Refused, Vec::new(), Vec::new()),
        Intent::Converge if repair.is_empty() => (Action::Drift, Vec::new(), Vec::new()),
        Intent::Converge if !needs.is_empty() => (Action::Refused, Vec::new(), repair),
        Intent::Converge => (Action::Update, repair, Vec::new()),
    };
    let gaps = live.gaps.clone();
    ResourcePlan { changes, gaps, needs, steps, withheld, ..plan(desired, action, live.facts.clone()) }
}
