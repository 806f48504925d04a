//! The pure difference of one resource, and the action it comes to.

use super::plan::{Action, Intent, ResourcePlan};
use crate::change::{FieldChange, FieldValue, Takes};
use crate::resource::{Desired, Facts, Gap, Live, Observed, ObservedResource, Step, policy_parameter, table};

/// Plans one resource.
pub(super) fn resource(observed: &ObservedResource, intent: Intent) -> ResourcePlan {
    match observed {
        ObservedResource::Policy(pair) => {
            let desired = &pair.desired;
            let create = || policy_parameter::create(desired).into_iter().map(Step::Policy).collect();
            match &pair.observed {
                Observed::Absent => creation(desired, create()),
                Observed::Unknown(gap) => unknown(desired, gap, create()),
                Observed::Present(live) => {
                    let changes = policy_parameter::diff(&desired.managed, &live.state);
                    let steps = match intent {
                        Intent::Converge => policy_parameter::repair(desired, live, &changes),
                        Intent::CreateOnly => Vec::new(),
                    };
                    present(desired, live, changes, steps.into_iter().map(Step::Policy).collect())
                }
            }
        }
        ObservedResource::Table(pair) => {
            let desired = &pair.desired;
            let steps = |steps: Vec<table::TableStep>| steps.into_iter().map(Step::Table).collect();
            match &pair.observed {
                Observed::Absent => creation(desired, steps(table::create(desired))),
                Observed::Unknown(gap) => unknown(desired, gap, steps(table::create(desired))),
                Observed::Present(live) => existing_table(desired, live, steps(table::finish(desired))),
            }
            .with_layout(desired.initial.clone())
        }
    }
}

/// Plans a table that is there. Its drift is shown, with what a repair would take, and left alone.
fn existing_table(desired: &Desired<table::Table>, live: &Live<table::Table>, finish: Vec<Step>) -> ResourcePlan {
    let changes = table::diff(&desired.managed, &live.state);
    let status = live.facts.status.as_deref().unwrap_or("ACTIVE");
    let not_active = |takes, how| {
        let (before, after) = (FieldValue::words(status), FieldValue::words("ACTIVE"));
        vec![FieldChange::new("status", before, after, takes, how)]
    };
    match status {
        "ACTIVE" | "UPDATING" => present(desired, live, changes, Vec::new()),
        "CREATING" => {
            // What follows a creation is still to come, so it is no difference; anything else already is one.
            let still_to_come = |change: &FieldChange| match change.path.as_str() {
                "ttl" | "point_in_time_recovery" => true,
                _ => change.takes == Takes::Time,
            };
            let changes: Vec<FieldChange> = changes.into_iter().filter(|change| !still_to_come(change)).collect();
            if changes.is_empty() {
                ResourcePlan { steps: finish, ..plan(desired, Action::Finish, live.facts.clone()) }
            } else {
                present(desired, live, changes, Vec::new())
            }
        }
        "DELETING" => present(desired, live, not_active(Takes::Time, "run again once it is gone"), Vec::new()),
        _ => present(desired, live, not_active(Takes::NotPossible, "see the table in the AWS console"), Vec::new()),
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
        steps: Vec::new(),
    }
}

fn creation<T>(desired: &Desired<T>, steps: Vec<Step>) -> ResourcePlan {
    ResourcePlan { steps, ..plan(desired, Action::Create, Facts::default()) }
}

/// Plans what could not be read: it shows what it would create, and nothing is done about it.
fn unknown<T>(desired: &Desired<T>, gap: &Gap, if_absent: Vec<Step>) -> ResourcePlan {
    let action = Action::Unknown { if_absent };
    ResourcePlan { gaps: vec![gap.clone()], ..plan(desired, action, Facts::default()) }
}

fn present<T>(desired: &Desired<T>, live: &Live<T>, changes: Vec<FieldChange>, steps: Vec<Step>) -> ResourcePlan {
    let beyond = changes.iter().any(|change| change.takes.is_beyond_repair_in_place());
    let action = match (changes.is_empty(), steps.is_empty()) {
        (true, _) => Action::Unchanged,
        (false, false) => Action::Update,
        (false, true) if beyond => Action::Refused,
        (false, true) => Action::Drift,
    };
    ResourcePlan { changes, steps, gaps: live.gaps.clone(), ..plan(desired, action, live.facts.clone()) }
}
