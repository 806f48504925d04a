//! The reconcile pass: observe, plan, guard, apply, verify.

mod apply;
mod diff;
mod estimate;
mod gates;
pub mod guard;
mod observe;
mod order;
mod orphans;
mod plan;

pub use apply::{ApplyReport, Outcome, Progress, ResourceReport, Verification};
pub use estimate::Estimate;
pub use gates::{Gate, ProfileGate};
pub use observe::observe;
pub use orphans::Orphans;
pub use plan::{Action, Intent, Plan, ResourcePlan, Scope, Seen, Summary, Unmanaged};

use crate::kind::DesiredResource;
use crate::provider::{Execute, Observe};
use crate::resource::call::CallError;
use crate::resource::caller::Caller;
use crate::resource::destination::Destination;
use crate::resource::interrupt::Interrupt;
use crate::resource::names::UserId;

/// A plan, and the desired state that it was made from.
#[derive(Debug, Clone)]
pub struct Pass {
    pub plan: Plan,
    /// The desired state within the scope, including the resources to delete.
    pub desired: Vec<DesiredResource>,
}

/// Observes what the manifest manages and plans the difference. Reads only.
///
/// `desired` is the whole manifest; `scope` selects from it.
///
/// # Errors
///
/// Fails when AWS does not identify the caller: then no other call would succeed either.
pub async fn plan(
    provider: &impl Observe,
    target: Destination,
    desired: &[DesiredResource],
    scope: Scope,
) -> Result<Pass, CallError> {
    let unlisted = match &scope.ownership {
        Some(key) if scope.prune => observe::unlisted(provider, &target.policy_root, desired, key, &scope).await,
        _ => observe::Unlisted::default(),
    };
    let chosen = desired.iter().filter(|resource| scope.holds(resource.address())).cloned();
    let chosen = chosen.map(|resource| if scope.adopt { resource.adopted() } else { resource });
    let chosen = chosen.chain(unlisted.owned).collect();
    let mut pass = match orphans::key(&scope).map(str::to_owned) {
        None => Box::pin(observe_and_plan(provider, target, chosen, scope)).await?,
        Some(key) => {
            // Boxed because the future of a plan is large and is part of the futures of the commands.
            let planning = Box::pin(observe_and_plan(provider, target, chosen, scope));
            let (mut pass, lists) = Box::pin(orphans::alongside(provider, &key, planning)).await?;
            pass.plan.orphans = orphans::of(&pass.plan, desired, lists);
            pass
        }
    };
    pass.plan.unmanaged = unlisted.unmanaged;
    pass.plan.unlisted = unlisted.gaps;
    Ok(pass)
}

/// Plans exactly these resources and looks for no others. Reads only.
///
/// # Errors
///
/// Fails when AWS does not identify the caller.
pub async fn observe_and_plan(
    provider: &impl Observe,
    target: Destination,
    desired: Vec<DesiredResource>,
    scope: Scope,
) -> Result<Pass, CallError> {
    let (caller, observed) = observe(provider, &target.policy_root, &desired).await?;
    // Drops each resource once its difference is known, so that ten thousand resources are not in memory twice.
    let resources = observed.into_iter().map(|resource| diff::resource(&resource, scope.intent)).collect();
    let allowed = scope.allow.clone();
    // A saved plan has no unique ID, and must read back as the same plan.
    let caller = Caller { user_id: UserId::default(), ..caller };
    let target = Destination { caller: Some(caller), ..target };
    let mut plan = Plan {
        target,
        scope,
        resources,
        unmanaged: Vec::new(),
        unlisted: Vec::new(),
        orphans: Orphans::default(),
        gates: Vec::new(),
    };
    guard::allow(&mut plan, &allowed);
    Ok(Pass { plan, desired })
}

/// Returns the plan of a resource that does not exist or could not be read, which follows from the desired state alone. Returns `None` for
/// a resource that exists.
pub fn replanned_if_absent(desired: &DesiredResource, planned: &ResourcePlan, scope: &Scope) -> Option<ResourcePlan> {
    let gap = match &planned.seen {
        Seen::Absent => None,
        // The message comes from AWS, so it is taken from the plan.
        Seen::Unknown => Some(planned.gaps.first().cloned()?),
        Seen::Present(_) => return None,
    };
    Some(diff::resource(&desired.without_live(gap), scope.intent))
}

/// Applies a plan, then observes again to check that live state is in sync.
pub async fn apply(
    provider: &impl Execute,
    pass: &Pass,
    interrupt: &Interrupt,
    progress: &impl Progress,
) -> ApplyReport {
    let resources = apply::run(provider, &pass.plan, interrupt, progress).await;
    let verification = apply::verify(provider, pass, &resources, interrupt).await;
    apply::report(resources, verification, interrupt.cause())
}

#[cfg(test)]
mod tests;
