//! Checks that can refuse a whole pass before its first change, and the consent that a plan needs. Pure.

use std::collections::{BTreeSet, HashMap};

use super::Pass;
use super::plan::{Action, Plan, ResourcePlan, Seen};
use crate::change::Consent;
use crate::code::Code;
use crate::kind::{Address, DesiredResource, KindId};
use crate::resource::names::AccountId;

/// A refusal: the finding and its fix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: Code,
    pub message: String,
    /// One line for each detail of the message.
    pub details: Vec<String>,
    pub hint: String,
}

/// Grants these consents. A resource that needs no other consent gets its withheld steps.
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

/// Refuses an account other than the expected one. The AWS emulator is not checked, since its account is the same for everyone.
///
/// `who` names the source of the expected account: "the manifest" or "the plan".
pub fn account(plan: &Plan, who: &str, expected: Option<&AccountId>) -> Result<(), Refusal> {
    match (expected, &plan.target.caller) {
        (Some(expected), Some(caller)) if caller.account != *expected && plan.target.local.is_none() => {
            Err(wrong_account(who, expected, Credentials { account: &caller.account, arn: &caller.arn }))
        }
        _ => Ok(()),
    }
}

/// The account and identity of the credentials in use.
#[derive(Debug, Clone, Copy)]
pub struct Credentials<'a> {
    pub account: &'a AccountId,
    pub arn: &'a str,
}

/// Returns the refusal for credentials of another account.
pub fn wrong_account(who: &str, expected: &AccountId, found: Credentials<'_>) -> Refusal {
    let Credentials { account, arn } = found;
    Refusal {
        code: Code::WrongAccount,
        message: format!("wrong account: {who} is for {expected}, but the credentials are for {account} ({arn})"),
        details: Vec::new(),
        hint: format!(
            "use credentials of account {expected} (--aws-profile, AWS_PROFILE), or change the account of {who}"
        ),
    }
}

/// The number of existing resources above which a share of them is unusual, and that share in percent.
const MANY: usize = 10;
const SHARE: usize = 30;

/// The number of existing resources that a plan changes or deletes.
///
/// A table whose creation is unfinished counts as neither existing nor changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    pub touched: usize,
    pub existing: usize,
}

impl Extent {
    /// Returns a plan's extent.
    pub fn of(plan: &Plan) -> Self {
        let existing = || plan.resources.iter().filter(|resource| resource.exists() && !resource.is_unfinished());
        let touched = |resource: &&ResourcePlan| matches!(resource.action, Action::Update | Action::Delete);
        Self { touched: existing().filter(touched).count(), existing: existing().count() }
    }

    /// Returns whether the extent is large enough to be a mistake.
    pub fn is_unusual(self) -> bool {
        self.existing >= MANY && self.touched * 100 > self.existing * SHARE
    }

    pub fn describe(self) -> String {
        let percent = (self.touched * 100).checked_div(self.existing).unwrap_or(0);
        format!("{} of {} existing resources ({percent}%)", self.touched, self.existing)
    }
}

/// The share of the existing resources that a plan may change or delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// The usual share at most.
    Usual,
    /// Any share: the user passed the override.
    Any,
}

/// Refuses a plan that changes an unusual share of the existing resources, unless the user allows it.
pub fn extent(plan: &Plan, allowed: Share) -> Result<(), Refusal> {
    let extent = Extent::of(plan);
    if allowed == Share::Any || !extent.is_unusual() {
        return Ok(());
    }
    Err(Refusal {
        code: Code::Extent,
        message: format!("this would change or delete {}; nothing was changed", extent.describe()),
        details: Vec::new(),
        hint: format!(
            "check the plan; if the changes are intended, add --force, which is required if more than {SHARE}% of \
             {MANY} or more existing resources change"
        ),
    })
}

/// Refuses a plan whose baseline has changed since it was made.
///
/// # Errors
///
/// Names each resource that changed, and the change.
pub fn check_baseline(plan: &Plan, now: &Plan) -> Result<(), Refusal> {
    let mut moved = Vec::new();
    let found: HashMap<&Address, &ResourcePlan> = now.resources.iter().map(|one| (&one.address, one)).collect();
    for before in &plan.resources {
        let after = found.get(&before.address);
        let text = match (&before.seen, after.map_or(&Seen::Absent, |after| &after.seen)) {
            // A resource that could not be read has no steps.
            (Seen::Unknown, _) => continue,
            (one, other) if one == other => continue,
            (Seen::Absent, Seen::Present(_)) => String::from("did not exist, and exists now"),
            (_, Seen::Absent) => String::from("existed, and no longer exists"),
            (_, Seen::Unknown) => String::from("can no longer be read"),
            (Seen::Present(before), Seen::Present(after)) => {
                let text = before.differing(after).map(|(field, [before, after])| match field {
                    "content" => String::from("content changed"),
                    field => format!("{field} {} -> {}", before.unwrap_or("absent"), after.unwrap_or("absent")),
                });
                text.collect::<Vec<_>>().join("; ")
            }
        };
        moved.push(format!("{} ({}): {text}", before.address, before.name));
    }
    if moved.is_empty() {
        return Ok(());
    }
    Err(Refusal {
        code: Code::Stale,
        message: String::from("the saved plan is stale, and nothing was changed. Changes since it was made:"),
        details: moved,
        hint: String::from("make a new plan with sentinel plan --out FILE, and review it"),
    })
}

/// Refuses a saved plan whose steps or texts do not follow from its own desired state and baseline.
///
/// `now` is planned from the plan's own desired state. The same version computes the same plan from the same state, so a difference means
/// that the file was changed.
///
/// # Errors
///
/// Names the first resource that differs from the recomputed plan.
pub fn check_unaltered(pass: &Pass, now: &Plan) -> Result<(), Refusal> {
    let Pass { plan, desired } = pass;
    let root = &plan.target.policy_root;
    let stray = desired
        .iter()
        .find(|one| one.address().kind == KindId::Policy && one.name() != format!("{root}/{}", one.address().key));
    let missing = now.resources.iter().find(|one| !plan.resources.iter().any(|planned| planned.address == one.address));
    let found: HashMap<&Address, &ResourcePlan> = now.resources.iter().map(|one| (&one.address, one)).collect();
    let same = |one: &&ResourcePlan| match (&one.seen, found.get(&one.address)) {
        // A resource that could not be read has no steps, whatever its state is now.
        (Seen::Unknown, _) => {
            one.steps.is_empty() && one.withheld.is_empty() && matches!(one.action, Action::Unknown { .. })
        }
        (_, Some(now)) => {
            (now.steps == one.steps && now.withheld == one.withheld && now.needs == one.needs)
                && (now.name == one.name && now.label == one.label && now.origin == one.origin)
                && (now.action == one.action
                    && now.presence == one.presence
                    && now.changes == one.changes
                    && now.layout == one.layout)
        }
        (_, None) => false,
    };
    let altered = plan.resources.iter().find(|one| !same(one));
    let address = stray.map(DesiredResource::address).or(altered.or(missing).map(|one| &one.address));
    let Some(address) = address else { return Ok(()) };
    Err(Refusal {
        code: Code::UnusablePlan,
        message: format!(
            "the plan was changed after it was made: the steps or differences of {address} do not follow from the \
             desired state; nothing was changed"
        ),
        details: Vec::new(),
        hint: String::from("make a new plan with sentinel plan --out FILE, and review it"),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::kind::policy_parameter::{ParameterType, PolicyParameter};
    use crate::kind::table::{SeparateChange, SetRecovery, TableStep};
    use crate::kind::{Desired, ObservedResource, Pair, Presence, Step};
    use crate::reconcile::{Intent, Scope, diff};
    use crate::resource::caller::Caller;
    use crate::resource::destination::{Destination, Region};
    use crate::resource::names::{OwnerKey, PolicyRoot, RegionName, UserId};
    use crate::resource::{Facts, Live, Observed};

    fn desired(key: &str, content: &str) -> Desired<PolicyParameter> {
        let managed = PolicyParameter { content: Some(content.into()), ..PolicyParameter::default() };
        Desired::new(Address::new(KindId::Policy, key), format!("/s/{key}"), managed)
    }

    fn live(content: &str) -> Observed<PolicyParameter> {
        let parameter_type = Some(ParameterType::String);
        let state = PolicyParameter { content: Some(content.into()), parameter_type, ..PolicyParameter::default() };
        let facts = Facts { version: Some(3), ..Facts::default() };
        Observed::Present(Live { state, facts, gaps: Vec::new() })
    }

    /// Plans these pairs of desired and observed state.
    fn pass(pairs: Vec<(Desired<PolicyParameter>, Observed<PolicyParameter>)>) -> Pass {
        let target = Destination {
            caller: Some(Caller {
                account: AccountId::new("111111111111"),
                arn: String::from("arn:x"),
                user_id: UserId::default(),
            }),
            ..Destination::new(
                Region { name: RegionName::new("us-east-1"), source: String::from("a test") },
                PolicyRoot::new("/s"),
            )
        };
        let wanted = pairs.iter().map(|(desired, _)| DesiredResource::Policy(Arc::new(desired.clone()))).collect();
        let resources = pairs.into_iter().map(|(desired, observed)| {
            diff::resource(&ObservedResource::Policy(Box::new(Pair { desired: &desired, observed })), Intent::Converge)
        });
        let plan = Plan {
            target,
            scope: Scope::default(),
            resources: resources.collect(),
            unmanaged: Vec::new(),
            unlisted: Vec::new(),
            orphans: crate::reconcile::Orphans::default(),
            gates: Vec::new(),
        };
        Pass { plan, desired: wanted }
    }

    fn seen(plan: &mut Plan, fields: &[(&str, &str)]) {
        let fields = fields.iter().map(|(field, value)| ((*field).to_owned(), (*value).to_owned()));
        plan.resources[0].seen = Seen::Present(fields.collect());
    }

    #[test]
    fn withheld_steps_run_once_all_consents_are_given() {
        let ownership = Some(OwnerKey::new("managed-by"));
        let gone = Desired { presence: Presence::Absent, ownership, ..desired("a", "x") };
        let mut plan = pass(vec![(gone, live("x")), (desired("b", "x"), live("x"))]).plan;
        assert_eq!((&plan.resources[0].action, plan.resources[0].steps.len()), (&Action::Refused, 0));
        allow(&mut plan, &BTreeSet::from([Consent::Index]));
        assert_eq!((&plan.resources[0].action, plan.resources[0].withheld.len()), (&Action::Refused, 1));
        allow(&mut plan, &BTreeSet::from([Consent::Prune]));
        assert_eq!((&plan.resources[0].action, plan.resources[0].steps.len()), (&Action::Delete, 1));
        assert!(plan.resources[0].withheld.is_empty() && plan.resources[0].is_removal());
        assert_eq!(plan.scope.allow, BTreeSet::from([Consent::Index, Consent::Prune]));
        // A resource without withheld steps does not change.
        assert_eq!(plan.resources[1].action, Action::Unchanged);
        assert!(!plan.resources[1].is_removal());
    }

    #[test]
    fn another_account_is_refused_except_on_the_emulator() {
        let mut plan = pass(Vec::new()).plan;
        assert_eq!(account(&plan, "the manifest", None), Ok(()));
        assert_eq!(account(&plan, "the manifest", Some(&AccountId::new("111111111111"))), Ok(()));
        let refusal = account(&plan, "the manifest", Some(&AccountId::new("222222222222"))).unwrap_err();
        assert_eq!(refusal.code, Code::WrongAccount);
        assert_eq!(
            refusal.message,
            "wrong account: the manifest is for 222222222222, but the credentials are for 111111111111 (arn:x)"
        );
        plan.target.local = Some(".sentinel".into());
        assert_eq!(account(&plan, "the manifest", Some(&AccountId::new("222222222222"))), Ok(()));
        plan.target.caller = None;
        plan.target.local = None;
        assert_eq!(account(&plan, "the manifest", Some(&AccountId::new("222222222222"))), Ok(()));
    }

    #[test]
    fn an_unusual_share_is_above_thirty_percent_of_at_least_ten() {
        let unusual = |touched, existing| Extent { touched, existing }.is_unusual();
        assert!(unusual(4, 10) && unusual(31, 100) && unusual(10, 10));
        assert!(!unusual(3, 10) && !unusual(30, 100) && !unusual(9, 9) && !unusual(0, 10));
        assert_eq!(Extent { touched: 4, existing: 12 }.describe(), "4 of 12 existing resources (33%)");
        assert_eq!(Extent { touched: 0, existing: 0 }.describe(), "0 of 0 existing resources (0%)");
    }

    #[test]
    fn only_changes_of_existing_resources_count() {
        let mut pairs: Vec<_> = (0..6).map(|number| (desired(&format!("same{number}"), "x"), live("x"))).collect();
        pairs.extend((0..4).map(|number| (desired(&format!("drift{number}"), "x"), live("y"))));
        pairs.extend((0..20).map(|number| (desired(&format!("new{number}"), "x"), Observed::Absent)));
        let plan = pass(pairs).plan;
        assert_eq!(Extent::of(&plan), Extent { touched: 4, existing: 10 });
        assert_eq!(extent(&plan, Share::Any), Ok(()));
        let refusal = extent(&plan, Share::Usual).unwrap_err();
        assert_eq!(refusal.code, Code::Extent);
        assert_eq!(
            refusal.message,
            "this would change or delete 4 of 10 existing resources (40%); nothing was changed"
        );
        let few = pass(vec![(desired("a", "x"), live("y"))]).plan;
        assert_eq!(extent(&few, Share::Usual), Ok(()));
    }

    /// A run that is killed between the creations and the TTL steps leaves such tables.
    #[test]
    fn an_empty_table_with_missing_creation_steps_counts_as_new() {
        let table = |empty: bool| {
            let mut resource = pass(vec![(desired("a", "x"), live("x"))]).plan.resources.remove(0);
            let (name, attribute) = (String::from("t"), String::from("expires_at"));
            resource.action = Action::Update;
            resource.facts = Facts { empty, ..Facts::default() };
            resource.steps = vec![Step::Table(TableStep::EnableTimeToLive { name, attribute })];
            resource
        };
        let mut plan = pass((0..10).map(|number| (desired(&format!("p{number}"), "x"), live("x"))).collect()).plan;
        plan.resources.extend((0..20).map(|_| table(true)));
        assert_eq!(Extent::of(&plan), Extent { touched: 0, existing: 10 });
        // If a table has items, TTL deletes them, so the step is a change.
        plan.resources.extend((0..5).map(|_| table(false)));
        assert_eq!(Extent::of(&plan), Extent { touched: 5, existing: 15 });
        // A step that is not part of a creation, or that loses data, is a change too.
        let resource = &mut plan.resources[10];
        let name = String::from("t");
        resource.steps.push(Step::Table(TableStep::Setting {
            name,
            change: SeparateChange::Recovery(SetRecovery { enabled: false, days: None, loses: true }),
        }));
        plan.resources[11].withheld = std::mem::take(&mut plan.resources[11].steps);
        plan.resources[11].action = Action::Refused;
        assert_eq!(Extent::of(&plan), Extent { touched: 6, existing: 17 });
        // A resource in sync counts as existing.
        plan.resources[12].action = Action::Unchanged;
        plan.resources[12].steps.clear();
        assert_eq!(Extent::of(&plan), Extent { touched: 6, existing: 18 });
    }

    #[test]
    fn each_changed_baseline_is_named_with_its_change() {
        let before = pass(vec![(desired("a", "x"), live("y"))]).plan;
        assert_eq!(check_baseline(&before, &before), Ok(()));
        let describe = |now: &Plan| check_baseline(&before, now).unwrap_err().details.concat();
        let mut now = before.clone();
        now.resources[0].seen = Seen::Absent;
        assert!(describe(&now).ends_with("profiles.a (/s/a): existed, and no longer exists"));
        now.resources[0].seen = Seen::Unknown;
        assert!(describe(&now).ends_with("can no longer be read"));
        let mut before = before;
        seen(&mut before, &[("content", "1"), ("tier", "standard"), ("same", "s")]);
        seen(&mut now, &[("content", "2"), ("tags.a", "b"), ("same", "s")]);
        let refusal = check_baseline(&before, &now).unwrap_err();
        assert_eq!(refusal.code, Code::Stale);
        assert!(
            refusal.details[0].ends_with("(/s/a): content changed; tags.a absent -> b; tier standard -> absent"),
            "{:?}",
            refusal.details
        );
        let absent = pass(vec![(desired("a", "x"), Observed::Absent)]).plan;
        assert!(check_baseline(&absent, &now).unwrap_err().details[0].ends_with("did not exist, and exists now"));
        // A resource that could not be read has no steps.
        before.resources[0].seen = Seen::Unknown;
        assert_eq!(check_baseline(&before, &now), Ok(()));
    }

    #[test]
    fn a_plan_must_follow_from_its_own_desired_state() {
        let honest = pass(vec![(desired("a", "x"), live("y")), (desired("b", "x"), Observed::Absent)]);
        let now = honest.plan.clone();
        assert_eq!(check_unaltered(&honest, &now), Ok(()));
        let refused = |forge: &dyn Fn(&mut Pass)| {
            let mut forged = honest.clone();
            forge(&mut forged);
            let refusal = check_unaltered(&forged, &now).unwrap_err();
            assert_eq!(refusal.code, Code::UnusablePlan);
            refusal.message
        };
        let other: Vec<Step> = pass(vec![(desired("a", "z"), live("y"))]).plan.resources.remove(0).steps;
        assert!(refused(&|pass| pass.plan.resources[0].steps.clone_from(&other)).contains("profiles.a"));
        assert!(refused(&|pass| pass.plan.resources[1].steps.clear()).contains("profiles.b"));
        assert!(refused(&|pass| pass.plan.resources[1].withheld.clone_from(&other)).contains("profiles.b"));
        assert!(refused(&|pass| pass.plan.resources[0].name = String::from("/s/b")).contains("profiles.a"));
        assert!(
            refused(&|pass| pass.plan.resources[0].address = Address::new(KindId::Policy, "c")).contains("profiles.c")
        );
        let elsewhere = |pass: &mut Pass| {
            let DesiredResource::Policy(policy) = &mut pass.desired[1] else { unreachable!("it is a policy") };
            Arc::make_mut(policy).name = String::from("/prod/password");
        };
        assert!(refused(&elsewhere).contains("profiles.b"));
        // The shown action must match too.
        assert!(refused(&|pass| pass.plan.resources[0].action = Action::Unchanged).contains("profiles.a"));
        assert!(refused(&|pass| pass.plan.resources[0].changes.clear()).contains("profiles.a"));
        assert!(refused(&|pass| pass.plan.resources[0].label = String::from("b")).contains("profiles.a"));
        assert!(refused(&|pass| pass.plan.resources[1].needs.extend([Consent::Prune])).contains("profiles.b"));
        assert!(refused(&|pass| pass.plan.resources[0].seen = Seen::Unknown).contains("profiles.a"));
        // Without its entry in the plan, a desired resource would be applied without being shown.
        assert!(refused(&|pass| drop(pass.plan.resources.remove(1))).contains("profiles.b"));
        // A resource that could not be read has no effect.
        let mut unread = honest.clone();
        unread.plan.resources[0].seen = Seen::Unknown;
        unread.plan.resources[0].action = Action::Unknown { if_absent: Vec::new() };
        unread.plan.resources[0].steps.clear();
        assert_eq!(check_unaltered(&unread, &now), Ok(()));
    }
}
