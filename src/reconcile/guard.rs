//! What a plan needs to be allowed, and what refuses a whole pass before its first change. Pure.

use std::collections::{BTreeSet, HashMap};

use super::Pass;
use super::plan::{Action, Plan, ResourcePlan, Seen};
use crate::change::Consent;
use crate::code::Code;
use crate::resource::{Address, DesiredResource, Kind};

/// A refusal: what was found, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: Code,
    pub message: String,
    pub hint: String,
}

/// Allows the losses named: what needed no more than that is then done.
pub fn allow(plan: &mut Plan, allowed: &BTreeSet<Consent>) {
    plan.scope.allow.extend(allowed);
    let allowed = &plan.scope.allow;
    for resource in &mut plan.resources {
        if !resource.withheld.is_empty() && resource.needs.is_subset(allowed) {
            resource.steps = std::mem::take(&mut resource.withheld);
            resource.action = if resource.is_removal() { Action::Delete } else { Action::Update };
        }
    }
}

/// Refuses an account other than the one that is meant. The embedded AWS is nobody's account: all may try on it.
///
/// `who` says what means it: "the manifest", "the plan".
pub fn account(plan: &Plan, who: &str, expected: Option<&str>) -> Result<(), Refusal> {
    match (expected, &plan.target.caller) {
        (Some(expected), Some(caller)) if caller.account != expected && plan.target.local.is_none() => {
            Err(wrong_account(who, expected, (&caller.account, &caller.arn)))
        }
        _ => Ok(()),
    }
}

/// Returns the refusal of credentials for another account.
pub fn wrong_account(who: &str, expected: &str, (account, arn): (&str, &str)) -> Refusal {
    Refusal {
        code: Code::WrongAccount,
        message: format!("wrong account: {who} is for {expected}, the credentials are for {account} ({arn})"),
        hint: format!(
            "use credentials of account {expected} (--aws-profile, AWS_PROFILE), or change what {who} is for"
        ),
    }
}

/// From how many existing resources on a share of them is a reason to stop, and from which share on, in percent.
const MANY: usize = 10;
const SHARE: usize = 30;

/// How many of the existing resources a plan changes or deletes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    pub touched: usize,
    pub existing: usize,
}

impl Extent {
    /// Returns the extent of a plan.
    pub fn of(plan: &Plan) -> Self {
        let touched =
            |resource: &&ResourcePlan| resource.exists() && matches!(resource.action, Action::Update | Action::Delete);
        Self {
            touched: plan.resources.iter().filter(touched).count(),
            existing: plan.resources.iter().filter(|resource| resource.exists()).count(),
        }
    }

    /// Returns whether it is so much that it is more likely a mistake than a wish.
    pub fn is_unusual(self) -> bool {
        self.existing >= MANY && self.touched * 100 > self.existing * SHARE
    }

    /// Returns it in words.
    pub fn words(self) -> String {
        let percent = (self.touched * 100).checked_div(self.existing).unwrap_or(0);
        format!("{} of {} existing resources ({percent}%)", self.touched, self.existing)
    }
}

/// Refuses to change an unusual share of what exists, unless that is forced.
pub fn extent(plan: &Plan, force: bool) -> Result<(), Refusal> {
    let extent = Extent::of(plan);
    if force || !extent.is_unusual() {
        return Ok(());
    }
    Err(Refusal {
        code: Code::Extent,
        message: format!("this would change or delete {}; nothing was changed", extent.words()),
        hint: format!(
            "look at the plan; if that is what is wanted, add --force, which is needed from {MANY} existing resources \
             on when more than {SHARE}% of them change"
        ),
    })
}

/// Refuses a plan whose resources are no longer what they were when it was made.
///
/// # Errors
///
/// Names each resource that moved, with what changed.
pub fn unmoved(plan: &Plan, now: &Plan) -> Result<(), Refusal> {
    let mut moved = Vec::new();
    let found: HashMap<&Address, &ResourcePlan> = now.resources.iter().map(|one| (&one.address, one)).collect();
    for before in &plan.resources {
        let after = found.get(&before.address);
        let words = match (&before.seen, after.map_or(&Seen::Absent, |after| &after.seen)) {
            // What could not be read has no steps.
            (Seen::Unknown, _) => continue,
            (one, other) if one == other => continue,
            (Seen::Absent, Seen::Present(_)) => String::from("was not there, and is now"),
            (_, Seen::Absent) => String::from("was there, and is gone"),
            (_, Seen::Unknown) => String::from("cannot be read any more"),
            (Seen::Present(before), Seen::Present(after)) => {
                let fields: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
                let shown = |value: Option<&String>| value.map_or("absent", String::as_str).to_owned();
                let differing = fields.into_iter().filter(|field| before.get(*field) != after.get(*field));
                let words = differing.map(|field| match field.as_str() {
                    "content" => String::from("content changed"),
                    field => format!("{field} {} -> {}", shown(before.get(field)), shown(after.get(field))),
                });
                words.collect::<Vec<_>>().join("; ")
            }
        };
        moved.push(format!("\n  {} ({}): {words}", before.address, before.name));
    }
    if moved.is_empty() {
        return Ok(());
    }
    Err(Refusal {
        code: Code::Stale,
        message: format!("the plan no longer holds, and nothing was changed. Since it was made:{}", moved.concat()),
        hint: String::from("make it again with sentinel plan --out FILE, and look at it"),
    })
}

/// Refuses a saved plan whose steps are not those that follow from what it says is desired and was seen.
///
/// `now` is planned from the plan's own desired state. The same version plans the same steps on the same ground, so that others were
/// put there by somebody; and what is desired has to lie where the plan says that policies are.
///
/// # Errors
///
/// Names the first resource that is not as it was planned.
pub fn unaltered(pass: &Pass, now: &Plan) -> Result<(), Refusal> {
    let Pass { plan, desired } = pass;
    let root = &plan.target.policy_root;
    let stray = desired.iter().find(|one| {
        one.address().kind == Kind::PolicyParameter && one.name() != format!("{root}/{}", one.address().key)
    });
    let found: HashMap<&Address, &ResourcePlan> = now.resources.iter().map(|one| (&one.address, one)).collect();
    let same = |one: &&ResourcePlan| match found.get(&one.address) {
        Some(now) => now.steps == one.steps && now.withheld == one.withheld && now.name == one.name,
        None => false,
    };
    let altered = plan.resources.iter().filter(|one| one.seen != Seen::Unknown).find(|one| !same(one));
    let address = stray.map(DesiredResource::address).or(altered.map(|one| &one.address));
    let Some(address) = address else { return Ok(()) };
    Err(Refusal {
        code: Code::UnusablePlan,
        message: format!(
            "the plan was changed after it was made: what it would do with {address} does not follow from what it says is \
             desired; nothing was changed"
        ),
        hint: String::from("make it again with sentinel plan --out FILE, and look at it"),
    })
}
