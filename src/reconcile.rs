//! The reconcile pass: observe, plan, guard, apply, verify.

mod apply;
mod diff;
pub mod guard;
mod observe;
mod plan;

pub use apply::{ApplyReport, Outcome, Progress, ResourceReport, Verification};
pub use plan::{Action, Intent, Plan, ResourcePlan, Summary, Target};

use crate::provider::{Execute, Observe};
use crate::resource::DesiredResource;
use crate::resource::call::{CallError, Interrupt};

/// Observes what the manifest manages and plans the difference. Reads only.
///
/// # Errors
///
/// Fails when AWS does not tell who is calling: then no credentials work, and nothing else would.
pub async fn plan(
    provider: &impl Observe,
    target: Target,
    desired: &[DesiredResource],
    intent: Intent,
) -> Result<Plan, CallError> {
    let (caller, observed) = observe::observe(provider, desired).await?;
    let resources = observed.iter().map(|resource| diff::resource(resource, intent)).collect();
    Ok(Plan { target: Target { caller: Some(caller), ..target }, intent, resources })
}

/// Carries out a plan, then observes again to see whether live is now as desired.
pub async fn apply(
    provider: &impl Execute,
    plan: &Plan,
    desired: &[DesiredResource],
    interrupt: &Interrupt,
    progress: &impl Progress,
) -> ApplyReport {
    let resources = apply::run(provider, plan, interrupt, progress).await;
    let verification = apply::verify(provider, plan, desired, &resources, interrupt).await;
    apply::report(resources, verification, interrupt.raised())
}

#[cfg(test)]
mod tests;
