//! Runs a plan's steps. The plan has all decisions, including the order.

use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use serde::{Deserialize, Serialize};
use tracing::Instrument;

use super::order::Order;
use super::plan::{Action, Plan, ResourcePlan};
use super::{Pass, diff, observe};
use crate::code::Code;
use crate::kind::{Address, Step};
use crate::provider::Execute;
use crate::resource::StepOutcome;
use crate::resource::call::{CallError, Class};
use crate::resource::interrupt::{Cause, Interrupt};

/// The outcome of a resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// All its steps are done.
    Applied,
    /// It was in sync.
    Unchanged,
    /// It differs and was not changed, because this pass only creates.
    #[serde(rename = "left_alone")]
    NotChanged,
    /// It differs in a way that cannot be changed, or whose consent is missing, and was not changed.
    Refused,
    /// A step failed; the steps before it are done.
    Failed {
        why: String,
        /// The code of the failure, if AWS caused it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<Code>,
    },
    /// None of its steps was run.
    Skipped { why: String },
    /// AWS does not accept a step before some time has passed.
    Deferred { why: String },
    /// It was changed by someone else after it was observed.
    Conflicted { why: String },
    /// The user interrupted the run before it was done.
    Interrupted,
    /// The run's time limit expired before it was done.
    OutOfTime,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceReport {
    pub address: Address,
    pub name: String,
    #[serde(flatten)]
    pub outcome: Outcome,
    /// The number of its steps that are done.
    pub steps_done: usize,
    /// The changes of the steps that are done, if others are not done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub done: Vec<String>,
    /// The changes of the steps that are not done.
    pub not_done: Vec<String>,
}

/// The result of observing again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Verification {
    /// Nothing was changed, so there is nothing to verify.
    NotNeeded,
    /// Live state is in sync.
    #[serde(rename = "as_desired")]
    InSync,
    /// Everything that could be read is in sync, but some settings could not be read.
    Incomplete,
    /// These resources still differ.
    Differs { addresses: Vec<Address> },
    /// AWS could not be observed.
    Failed { why: String },
}

/// The result of an apply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyReport {
    pub resources: Vec<ResourceReport>,
    pub verification: Verification,
    pub interrupted: bool,
}

/// Receives the progress of an apply.
pub trait Progress {
    /// A step of a resource starts.
    fn step(&self, resource: &ResourcePlan, step: &Step);
    /// A resource is done.
    fn done(&self, resource: &ResourcePlan, outcome: &Outcome);
}

/// Runs the steps of all resources. A resource starts after its dependencies; independent resources run concurrently.
pub(super) async fn run(
    provider: &impl Execute,
    plan: &Plan,
    interrupt: &Interrupt,
    progress: &impl Progress,
) -> Vec<ResourceReport> {
    let mut order = Order::of(plan);
    let mut reports: Vec<Option<ResourceReport>> = plan.resources.iter().map(|_| None).collect();
    let mut running = FuturesUnordered::new();
    loop {
        while let Some(index) = order.start() {
            let resource = &plan.resources[index];
            let blocked = order.blocked(index, &reports).map(|why| resource_skipped(resource, why));
            running.push(async move {
                let span = tracing::debug_span!("resource", address = %resource.address);
                match blocked {
                    Some(report) => {
                        progress.done(resource, &report.outcome);
                        (index, report)
                    }
                    None => (index, run_resource(provider, resource, interrupt, progress).instrument(span).await),
                }
            });
        }
        let Some((index, report)) = running.next().await else { break };
        reports[index] = Some(report);
        order.end(index);
    }
    reports.into_iter().flatten().collect()
}

fn resource_skipped(resource: &ResourcePlan, why: String) -> ResourceReport {
    ResourceReport {
        address: resource.address.clone(),
        name: resource.name.clone(),
        outcome: Outcome::Skipped { why },
        steps_done: 0,
        done: Vec::new(),
        not_done: resource.steps.iter().filter(|step| !step.defers()).map(Step::describe).collect(),
    }
}

async fn run_resource(
    provider: &impl Execute,
    resource: &ResourcePlan,
    interrupt: &Interrupt,
    progress: &impl Progress,
) -> ResourceReport {
    let text = Step::describe;
    let report = |outcome, steps_done| ResourceReport {
        address: resource.address.clone(),
        name: resource.name.clone(),
        outcome,
        steps_done,
        done: match steps_done == resource.steps.len() && resource.action != Action::Refused {
            true => Vec::new(),
            false => resource.steps.iter().take(steps_done).filter(|step| step.writes().is_some()).map(text).collect(),
        },
        // The outcome already says that the deferred step is for later.
        not_done: resource.steps.iter().skip(steps_done).filter(|step| !step.defers()).map(text).collect(),
    };
    if resource.steps.is_empty() {
        return report(idle(resource), 0);
    }
    for (done, step) in resource.steps.iter().enumerate() {
        let outcome = if interrupt.raised() {
            Some(interrupted_outcome(interrupt))
        } else {
            progress.step(resource, step);
            let span = tracing::debug_span!("step", does = step.describe());
            ended(provider.execute(step).instrument(span).await, step, interrupt)
        };
        if let Some(outcome) = outcome {
            progress.done(resource, &outcome);
            return report(outcome, done);
        }
    }
    // For a refused resource, the plan only has the steps that add protection.
    let outcome = if resource.action == Action::Refused { Outcome::Refused } else { Outcome::Applied };
    progress.done(resource, &outcome);
    report(outcome, resource.steps.len())
}

fn idle(resource: &ResourcePlan) -> Outcome {
    match &resource.action {
        Action::Drift => Outcome::NotChanged,
        Action::Refused => Outcome::Refused,
        Action::Unknown { .. } => {
            let actions: Vec<&str> = resource.gaps.iter().map(|gap| gap.action.as_str()).collect();
            Outcome::Skipped { why: format!("it could not be read ({})", actions.join(", ")) }
        }
        Action::Create | Action::Finish | Action::Update | Action::Delete | Action::Unchanged => Outcome::Unchanged,
    }
}

/// Returns the outcome of the resource if the step ended it.
fn ended(result: Result<StepOutcome, CallError>, step: &Step, interrupt: &Interrupt) -> Option<Outcome> {
    match result {
        Ok(StepOutcome::Done) => None,
        Ok(StepOutcome::Deferred(why)) => Some(Outcome::Deferred { why }),
        Ok(StepOutcome::Conflict(why)) => Some(Outcome::Conflicted { why }),
        Err(error) if error.class == Class::Interrupted => Some(interrupted_outcome(interrupt)),
        Err(error) => {
            let why = format!("while {}: {error}", step.describe());
            Some(Outcome::Failed { why, code: Some(error.diagnosis()) })
        }
    }
}

fn interrupted_outcome(interrupt: &Interrupt) -> Outcome {
    match interrupt.cause() {
        Some(Cause::Deadline) => Outcome::OutOfTime,
        Some(Cause::User) | None => Outcome::Interrupted,
    }
}

/// Reads are eventually consistent: about one in a hundred does not show a write just made.
const READ_ATTEMPTS: u32 = 4;

/// Observes again, and repeats this a few times while a change that was made is not visible.
pub(super) async fn verify(
    provider: &impl Execute,
    pass: &Pass,
    reports: &[ResourceReport],
    interrupt: &Interrupt,
) -> Verification {
    let Pass { plan, desired } = pass;
    let applied: Vec<&Address> =
        reports.iter().filter(|report| report.steps_done > 0).map(|report| &report.address).collect();
    if applied.is_empty() || interrupt.raised() {
        return Verification::NotNeeded;
    }
    let settled: Vec<&Address> =
        reports.iter().filter(|report| report.outcome == Outcome::Applied).map(|report| &report.address).collect();
    for look in 1.. {
        let observed = match observe(provider, &plan.target.policy_root, desired).await {
            Ok((_, observed)) => observed,
            Err(error) => return Verification::Failed { why: error.to_string() },
        };
        let found: Vec<ResourcePlan> =
            observed.iter().map(|resource| diff::resource(resource, plan.scope.intent)).collect();
        let unread = |resource: &&ResourcePlan| matches!(resource.action, Action::Unknown { .. });
        // If none of the changed resources can be read, it is unknown whether the changes took effect.
        let done: Vec<_> = found.iter().filter(|resource| applied.contains(&&resource.address)).collect();
        if !done.is_empty() && done.iter().all(unread) {
            let why = done.iter().flat_map(|resource| &resource.gaps).map(|gap| gap.message.clone()).next();
            return Verification::Failed { why: why.unwrap_or_else(|| String::from("it could not be read again")) };
        }
        let incomplete = found.iter().any(|resource| !resource.gaps.is_empty() || unread(&resource));
        let differs = |resource: &&ResourcePlan| resource.action != Action::Unchanged && !unread(resource);
        let differing: Vec<Address> = found.iter().filter(differs).map(|resource| resource.address.clone()).collect();
        match (differing.is_empty(), incomplete) {
            (true, false) => return Verification::InSync,
            (true, true) => return Verification::Incomplete,
            (false, _) => {}
        }
        if look == READ_ATTEMPTS || !differing.iter().any(|address| settled.contains(&address)) || interrupt.raised() {
            return Verification::Differs { addresses: differing };
        }
        // An interruption ends this wait too.
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(500) * look) => {}
            () = interrupt.wait() => return Verification::Differs { addresses: differing },
        }
    }
    Verification::NotNeeded
}

/// Builds the report. A resource that was applied and still differs has failed.
pub(super) fn report(
    mut resources: Vec<ResourceReport>,
    verification: Verification,
    ended: Option<Cause>,
) -> ApplyReport {
    if let Verification::Differs { addresses } = &verification {
        for report in resources.iter_mut().filter(|report| addresses.contains(&report.address)) {
            if report.outcome == Outcome::Applied {
                let why = "its steps succeeded, but it still differs: see sentinel plan".to_owned();
                report.outcome = Outcome::Failed { why, code: None };
            }
        }
    }
    ApplyReport { resources, verification, interrupted: ended == Some(Cause::User) }
}
