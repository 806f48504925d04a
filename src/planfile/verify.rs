//! Checks a saved plan without AWS: it is complete and consistent, a manifest could express its desired state, and its texts follow from
//! that state.

use std::collections::BTreeSet;

use super::{PlanFile, SavedConnection, SavedReviewInputs, SavedTarget};
use crate::kind::policy_parameter::{PolicyParameter, check_root};
use crate::kind::{Address, DesiredResource, KindId, Presence};
use crate::manifest::{check_account, check_region, check_role, check_target, conform};
use crate::reconcile::{Intent, Plan, replanned_if_absent};
use crate::resource::caller::{Caller, account_of};
use crate::resource::destination::{Destination, Route};
use crate::resource::{Invalid, check_tag_key};
use crate::review::{Review, ReviewInputs};

impl PlanFile {
    /// Checks the plan.
    pub(super) fn verify(&self) -> Result<(), String> {
        if self.targets.is_empty() {
            return Err(String::from("it has no target"));
        }
        if self.manifest.path.is_empty() {
            return Err(String::from("it does not name its manifest"));
        }
        let mut names = BTreeSet::new();
        let mut places = BTreeSet::new();
        let review_inputs = self.review_inputs();
        for target in &self.targets {
            let name = target.plan.target.name.as_deref();
            if !names.insert(name) || (name.is_none() && self.targets.len() > 1) {
                return Err(String::from("two of its targets have the same name, or one of several has none"));
            }
            let (account, region) = (target.plan.target.account(), target.plan.target.region.name.as_str());
            if !places.insert((account, region, target.connection.local.as_deref())) {
                return Err(String::from("two of its targets are the same account and region"));
            }
            check_destination(&target.plan.target, &target.connection)?;
            scope(&target.plan)?;
            resources(target)?;
            let saved = target.review_inputs.as_ref().unwrap_or(&self.review_inputs);
            review(target, saved, &self.review_inputs_at(target, &review_inputs))?;
        }
        Ok(())
    }
}

fn refused(result: Result<(), Invalid>) -> Result<(), String> {
    result.map_err(|invalid| invalid.problem)
}

/// Checks the destination and the credentials of a plan.
fn check_destination(target: &Destination, connection: &SavedConnection) -> Result<(), String> {
    let SavedConnection { route: Route { aws_profile, role_arn, .. }, local } = connection;
    if let Some(name) = &target.name {
        refused(check_target(name))?;
        // A name with an account and a region must match them.
        if let [_, account, region] = name.split('/').collect::<Vec<_>>()[..] {
            let other = local.is_none() && target.account().is_none_or(|own| *own != *account);
            if other || target.region.name != *region {
                return Err(format!("the target {name} is of another account or region"));
            }
        }
    }
    refused(check_region(&target.region.name))?;
    refused(check_root(&target.policy_root))?;
    let Some(Caller { account, arn, .. }) = &target.caller else {
        return Err(String::from("it does not name its account"));
    };
    refused(check_account(account))?;
    if account_of(arn) != Some(account) {
        return Err(format!("{arn} is not an identity of account {account}"));
    }
    if local.is_some() != target.local.is_some() {
        return Err(String::from("it shows another destination than it uses: the AWS emulator, or AWS"));
    }
    if let Some(role) = role_arn {
        refused(check_role(role))?;
        // The AWS emulator assumes no role for a target.
        if local.is_none() && account_of(role) != Some(account) {
            return Err(format!("the role {role} is not of account {account}"));
        }
    }
    if aws_profile.as_ref().is_some_and(|profile| profile.trim().is_empty() || profile.contains(char::is_control)) {
        return Err(String::from("it names an invalid AWS profile"));
    }
    Ok(())
}

fn scope(plan: &Plan) -> Result<(), String> {
    let scope = &plan.scope;
    if scope.intent != Intent::Converge {
        return Err(String::from("its intent is not valid for a plan"));
    }
    match &scope.ownership {
        Some(key) => refused(check_tag_key(key))?,
        None if scope.prune || scope.adopt => return Err(String::from("it prunes or adopts without an ownership tag")),
        None => {}
    }
    let lists = !plan.unmanaged.is_empty() || !plan.unlisted.is_empty();
    if lists && !scope.prune {
        return Err(String::from("it lists unmanaged resources, which only --prune does"));
    }
    if !plan.orphans.is_empty() && (scope.prune || scope.ownership.is_none()) {
        return Err(String::from("it lists orphans, but a plan with its scope has none"));
    }
    Ok(())
}

/// Checks the desired state, and that the plan has exactly its resources.
fn resources(target: &SavedTarget) -> Result<(), String> {
    let SavedTarget { plan, desired, .. } = target;
    let scope = &plan.scope;
    let mut addresses: BTreeSet<&Address> = BTreeSet::new();
    let mut names: BTreeSet<(KindId, &str)> = BTreeSet::new();
    for one in desired {
        let address = one.address();
        if !addresses.insert(address) || !names.insert((address.kind, one.name())) {
            return Err(format!("{address} or its name is desired twice"));
        }
        let absent = one.presence() == Presence::Absent;
        let marked = one.adopt() == (scope.adopt && one.presence() == Presence::Present)
            && one.ownership() == scope.ownership.as_deref();
        let fits = (scope.prune || !absent) && marked;
        if !fits || !scope.holds(address) {
            return Err(format!("{address} has a desired state that does not match the scope of the plan"));
        }
        conform(one, &plan.target.policy_root)?;
    }
    if let Some(orphan) = plan.orphans.resources.iter().find(|one| names.contains(&(one.kind, one.name.as_str()))) {
        return Err(format!("{} is both desired and listed as an orphan", orphan.name));
    }
    let planned = plan.resources.iter().map(|one| (&one.address, one.name.as_str()));
    if !planned.eq(desired.iter().map(|one| (one.address(), one.name()))) {
        return Err(String::from("the plan does not match the desired state"));
    }
    let differs = |(planned, desired): &(&crate::reconcile::ResourcePlan, &DesiredResource)| {
        replanned_if_absent(desired, planned, scope).map_or(!planned.exists(), |expected| expected != **planned)
    };
    match plan.resources.iter().zip(desired).find(differs) {
        None => Ok(()),
        Some((planned, _)) => {
            Err(format!("the steps or differences of {} do not follow from the desired state", planned.address))
        }
    }
}

/// Checks that the plan's review follows from its own texts.
fn review(target: &SavedTarget, saved: &SavedReviewInputs, review_inputs: &ReviewInputs) -> Result<(), String> {
    let present = target.desired.iter().filter_map(DesiredResource::of::<PolicyParameter>);
    let other = present.filter(|policy| policy.presence == Presence::Present).find(|policy| {
        let file = saved.resources.get(&policy.address).and_then(|inputs| inputs.policy.as_ref());
        file != policy.origin.as_ref().filter(|_| policy.managed.content.is_some())
    });
    if let Some(policy) = other {
        return Err(format!("the policy file of {} does not match the desired state", policy.address));
    }
    // Compares the serialized form, which does not contain the position of a finding within its line.
    let written = |review: &Review| serde_json::to_value(review).map_err(|error| error.to_string());
    if written(&Review::of(&target.plan, review_inputs))? != written(&target.review)? {
        return Err(String::from("its review does not follow from its changes"));
    }
    Ok(())
}
