//! The steps that repair a role, in the order that IAM's quotas require.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::home::Home;
use super::{Boundary, Field, Role, rules};
use crate::change::{Consent, FieldChange, Protection};
use crate::kind::document::PolicyDocument;
use crate::kind::{Desired, KindStep, NewDocument, StepTime};
use crate::resource::call::{Operation, operation};
use crate::resource::names::OwnerKey;
use crate::resource::{Facts, Live, Tags};

// AWS documents no rates for IAM. Reads get a higher start than writes; the pacer adapts both.
pub const GET_ROLE: Operation = operation!("iam", "GetRole", 15.0, 30.0);
pub const LIST_ATTACHED: Operation = operation!("iam", "ListAttachedRolePolicies", 15.0, 30.0);
pub(super) const LIST_POLICIES: Operation = operation!("iam", "ListRolePolicies", 15.0, 30.0);
pub(super) const GET_POLICY: Operation = operation!("iam", "GetRolePolicy", 15.0, 30.0);
pub(super) const LIST_TAGS: Operation = operation!("iam", "ListRoleTags", 15.0, 30.0);
pub const LIST_ROLES: Operation = operation!("iam", "ListRoles", 10.0, 10.0);
pub(super) const LIST_PROFILES: Operation = operation!("iam", "ListInstanceProfilesForRole", 15.0, 30.0);
pub(super) const GET_PROVIDER: Operation = operation!("iam", "GetOpenIDConnectProvider", 15.0, 30.0);
pub(super) const CREATE_ROLE: Operation = operation!("iam", "CreateRole", 5.0, 10.0);
pub(super) const UPDATE_ROLE: Operation = operation!("iam", "UpdateRole", 5.0, 10.0);
pub(super) const UPDATE_TRUST: Operation = operation!("iam", "UpdateAssumeRolePolicy", 5.0, 10.0);
pub(super) const PUT_BOUNDARY: Operation = operation!("iam", "PutRolePermissionsBoundary", 5.0, 10.0);
pub(super) const DELETE_BOUNDARY: Operation = operation!("iam", "DeleteRolePermissionsBoundary", 5.0, 10.0);
pub(super) const ATTACH_POLICY: Operation = operation!("iam", "AttachRolePolicy", 5.0, 10.0);
pub(super) const DETACH_POLICY: Operation = operation!("iam", "DetachRolePolicy", 5.0, 10.0);
pub(super) const PUT_POLICY: Operation = operation!("iam", "PutRolePolicy", 5.0, 10.0);
pub(super) const DELETE_POLICY: Operation = operation!("iam", "DeleteRolePolicy", 5.0, 10.0);
pub(super) const TAG_ROLE: Operation = operation!("iam", "TagRole", 5.0, 10.0);
pub(super) const UNTAG_ROLE: Operation = operation!("iam", "UntagRole", 5.0, 10.0);
pub(super) const DELETE_ROLE: Operation = operation!("iam", "DeleteRole", 5.0, 10.0);

/// One call that changes a role, or one check of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum RoleStep {
    /// Creates the role with its settings, boundary and tags; expects that no role has its name.
    CreateRole { name: String, role: Box<Role> },
    /// Sets both the description and the maximum session duration: AWS resets an omitted one to its default.
    UpdateRole { name: String, description: String, max_session_duration: u32 },
    /// Replaces the trust policy.
    PutRoleTrust { name: String, trust: PolicyDocument },
    /// Sets the permissions boundary.
    PutRoleBoundary {
        name: String,
        boundary: String,
        #[serde(default, skip_serializing_if = "Protection::is_unchanged")]
        protection: Protection,
    },
    /// Removes the permissions boundary.
    DeleteRoleBoundary { name: String },
    /// Attaches a managed policy.
    AttachRolePolicy { name: String, policy_arn: String },
    /// Detaches a managed policy.
    DetachRolePolicy { name: String, policy_arn: String },
    /// Adds or replaces an inline policy.
    PutRolePolicy { name: String, policy: String, document: PolicyDocument },
    /// Deletes an inline policy.
    DeleteRolePolicy { name: String, policy: String },
    /// Sets these tags and keeps all others.
    TagRole { name: String, tags: Tags },
    /// Removes the tags of these keys.
    UntagRole { name: String, keys: Vec<String> },
    /// Waits until IAM returns the written state, since changes propagate with a delay.
    AwaitRole { name: String, role: Box<Role> },
    /// Checks that the role is still the one to delete: it has this ID and the ownership tag with this key.
    CheckRoleOwner {
        name: String,
        owner_key: OwnerKey,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
    },
    /// Deletes the role; expects that no policy is attached to it.
    DeleteRole { name: String },
}

impl KindStep for RoleStep {
    fn operations(&self) -> &'static [Operation] {
        match self {
            // Tags and a boundary in a creation require their own permissions. An existing role is read.
            Self::CreateRole { role, .. } => {
                let tags = role.tags.as_ref().is_some_and(|tags| !tags.is_empty());
                match (tags, matches!(role.permissions_boundary, Some(Boundary::Policy(_)))) {
                    (true, true) => &[CREATE_ROLE, TAG_ROLE, PUT_BOUNDARY, GET_ROLE],
                    (true, false) => &[CREATE_ROLE, TAG_ROLE, GET_ROLE],
                    (false, true) => &[CREATE_ROLE, PUT_BOUNDARY, GET_ROLE],
                    (false, false) => &[CREATE_ROLE, GET_ROLE],
                }
            }
            Self::UpdateRole { .. } => &[UPDATE_ROLE],
            Self::PutRoleTrust { .. } => &[UPDATE_TRUST],
            Self::PutRoleBoundary { .. } => &[PUT_BOUNDARY],
            Self::DeleteRoleBoundary { .. } => &[DELETE_BOUNDARY],
            Self::AttachRolePolicy { .. } => &[ATTACH_POLICY],
            Self::DetachRolePolicy { .. } => &[DETACH_POLICY],
            Self::PutRolePolicy { .. } => &[PUT_POLICY],
            Self::DeleteRolePolicy { .. } => &[DELETE_POLICY],
            Self::TagRole { .. } => &[TAG_ROLE],
            Self::UntagRole { .. } => &[UNTAG_ROLE],
            Self::AwaitRole { role, .. } => match (role.managed_policies.is_some(), role.policies.is_some()) {
                (true, true) => &[LIST_ATTACHED, LIST_POLICIES, GET_POLICY, GET_ROLE],
                (true, false) => &[LIST_ATTACHED, GET_ROLE],
                (false, true) => &[LIST_POLICIES, GET_POLICY, GET_ROLE],
                (false, false) => &[GET_ROLE],
            },
            Self::CheckRoleOwner { .. } => &[GET_ROLE],
            Self::DeleteRole { .. } => &[DELETE_ROLE],
        }
    }

    fn needs(&self) -> Option<Consent> {
        match self {
            Self::DeleteRoleBoundary { .. } => Some(Consent::Protection),
            Self::DeleteRole { .. } => Some(Consent::Role),
            Self::CreateRole { .. }
            | Self::UpdateRole { .. }
            | Self::PutRoleTrust { .. }
            | Self::PutRoleBoundary { .. }
            | Self::AttachRolePolicy { .. }
            | Self::DetachRolePolicy { .. }
            | Self::PutRolePolicy { .. }
            | Self::DeleteRolePolicy { .. }
            | Self::TagRole { .. }
            | Self::UntagRole { .. }
            | Self::AwaitRole { .. }
            | Self::CheckRoleOwner { .. } => None,
        }
    }

    fn protects(&self) -> bool {
        matches!(self, Self::PutRoleBoundary { protection: Protection::Added, .. })
    }

    fn new_documents(&self) -> Vec<NewDocument<'_>> {
        match self {
            Self::CreateRole { role, .. } => {
                let new = |trust: &PolicyDocument| NewDocument {
                    setting: Some(Field::Trust.to_string()),
                    text: trust.pretty().into(),
                };
                role.trust.iter().map(new).collect()
            }
            Self::PutRolePolicy { policy, document, .. } => {
                let setting = Some(Field::Policy(policy.clone()).to_string());
                vec![NewDocument { setting, text: document.pretty().into() }]
            }
            _ => Vec::new(),
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::CreateRole { .. } => String::from("creating"),
            Self::UpdateRole { .. } => String::from("changing the description and the maximum session duration"),
            Self::PutRoleTrust { .. } => String::from("replacing the trust policy"),
            Self::PutRoleBoundary { .. } => String::from("setting the permissions boundary"),
            Self::DeleteRoleBoundary { .. } => String::from("removing the permissions boundary"),
            Self::AttachRolePolicy { policy_arn, .. } => format!("attaching {policy_arn}"),
            Self::DetachRolePolicy { policy_arn, .. } => format!("detaching {policy_arn}"),
            Self::PutRolePolicy { policy, .. } => format!("writing the policy {policy}"),
            Self::DeleteRolePolicy { policy, .. } => format!("deleting the policy {policy}"),
            Self::TagRole { .. } => String::from("tagging"),
            Self::UntagRole { .. } => String::from("removing tags"),
            Self::AwaitRole { .. } => String::from("waiting until IAM shows the changes"),
            Self::CheckRoleOwner { .. } => String::from("checking the owner of the role"),
            Self::DeleteRole { .. } => String::from("deleting"),
        }
    }

    /// Returns the time that AWS works on it: a change usually propagates within seconds. Source: "Troubleshoot IAM" in the AWS Identity
    /// and Access Management User Guide, which specifies no time.
    fn time(&self) -> StepTime {
        match self {
            Self::AwaitRole { .. } => StepTime { quick: Duration::ZERO, slow: Duration::from_secs(10) },
            _ => StepTime::default(),
        }
    }
}

/// Returns the operations that observe this role.
pub(super) fn reads(desired: &Desired<Role>) -> Vec<Operation> {
    let Role {
        path: _,
        description: _,
        max_session_duration: _,
        permissions_boundary: _,
        trust,
        managed_policies,
        policies,
        // They are part of the role.
        tags: _,
        instance_profiles: _,
    } = &desired.managed;
    let removed = !desired.presence.is_present();
    let mut operations = vec![GET_ROLE];
    operations.extend((managed_policies.is_some() || removed).then_some(LIST_ATTACHED));
    operations.extend((policies.is_some() || removed).then_some(LIST_POLICIES));
    operations.extend(policies.as_ref().map(|_| GET_POLICY));
    operations.extend(removed.then_some(LIST_PROFILES));
    let federated = trust.as_ref().is_some_and(|trust| !super::trust::providers(trust).is_empty());
    operations.extend(federated.then_some(GET_PROVIDER));
    operations
}

pub(super) fn create(desired: &Desired<Role>) -> Vec<RoleStep> {
    let name = || desired.name.clone();
    let initial = &desired.initial;
    let boundary = initial.permissions_boundary.clone().filter(|boundary| *boundary != Boundary::Off);
    let role = Role { managed_policies: None, policies: None, permissions_boundary: boundary, ..initial.clone() };
    let mut steps = vec![RoleStep::CreateRole { name: name(), role: Box::new(role) }];
    let policies = initial.policies.iter().flatten();
    steps.extend(policies.map(|(policy, document)| put(desired, policy, document)));
    let managed = initial.managed_policies.iter().flatten().cloned();
    steps.extend(managed.map(|policy_arn| RoleStep::AttachRolePolicy { name: name(), policy_arn }));
    steps.push(wait(desired, initial));
    steps
}

fn put(desired: &Desired<Role>, policy: &str, document: &PolicyDocument) -> RoleStep {
    RoleStep::PutRolePolicy { name: desired.name.clone(), policy: policy.to_owned(), document: document.clone() }
}

/// Returns the step that waits until IAM returns the written role. Tags are not compared, because others can add tags too.
fn wait(desired: &Desired<Role>, role: &Role) -> RoleStep {
    RoleStep::AwaitRole { name: desired.name.clone(), role: Box::new(Role { tags: None, ..role.clone() }) }
}

/// Returns the steps that repair the differences.
///
/// A boundary is set first and removed last. The trust policy comes next. Policies are removed before others are added, and inline policies
/// that shrink are written first, because a role has at most 10 managed policies and 10,240 characters of inline policies.
pub(super) fn repair(desired: &Desired<Role>, live: &Live<Role>, changes: &[FieldChange<Field>]) -> Vec<RoleStep> {
    let differs = |field: Field| changes.iter().any(|change| change.is_in_place(&field));
    let name = || desired.name.clone();
    let managed = &desired.managed;
    let mut steps = Vec::new();
    let boundary = managed.permissions_boundary.as_ref().filter(|_| differs(Field::PermissionsBoundary));
    if let Some(Boundary::Policy(arn)) = boundary {
        let before = live.state.permissions_boundary.as_ref();
        let protection = before.zip(boundary).map(|(before, after)| before.protection_of(after)).unwrap_or_default();
        steps.push(RoleStep::PutRoleBoundary { name: name(), boundary: arn.clone(), protection });
    }
    if let Some(trust) = managed.trust.clone().filter(|_| differs(Field::Trust)) {
        steps.push(RoleStep::PutRoleTrust { name: name(), trust });
    }
    let home = Home::of_live(&live.facts);
    let filled = |text: &str| home.as_ref().map_or_else(|| text.to_owned(), |home| home.fill(text));
    let detached =
        live.state.managed_policies.iter().flatten().filter(|arn| differs(Field::ManagedPolicy((*arn).clone())));
    let wanted: BTreeSet<String> = managed.managed_policies.iter().flatten().map(|arn| filled(arn)).collect();
    let detached = detached.filter(|arn| !wanted.contains(*arn)).cloned();
    steps.extend(detached.map(|policy_arn| RoleStep::DetachRolePolicy { name: name(), policy_arn }));
    let own = managed.policies.as_ref();
    let removed = live.state.policies.iter().flatten().map(|(policy, _)| policy);
    let removed = removed.filter(|policy| {
        own.is_some_and(|own| !own.contains_key(*policy)) && differs(Field::Policy((*policy).clone()))
    });
    steps.extend(removed.map(|policy| RoleStep::DeleteRolePolicy { name: name(), policy: policy.clone() }));
    let mut written: Vec<(&String, &PolicyDocument)> =
        own.into_iter().flatten().filter(|(policy, _)| differs(Field::Policy((*policy).clone()))).collect();
    let before = |policy: &String| live.state.policies.as_ref().and_then(|all| all.get(policy)).map_or(0, rules::size);
    let growth = |(policy, document): &(&String, &PolicyDocument)| {
        let size = |size: usize| i64::try_from(size).unwrap_or(i64::MAX);
        size(rules::size(document)) - size(before(policy))
    };
    written.sort_by_key(growth);
    steps.extend(written.into_iter().map(|(policy, document)| put(desired, policy, document)));
    let attached = managed.managed_policies.iter().flatten().filter(|arn| differs(Field::ManagedPolicy(filled(arn))));
    let live_policies = live.state.managed_policies.as_ref();
    let attached = attached.filter(|arn| live_policies.is_some_and(|all| !all.contains(&filled(arn)))).cloned();
    steps.extend(attached.map(|policy_arn| RoleStep::AttachRolePolicy { name: name(), policy_arn }));
    if differs(Field::Description) || differs(Field::MaxSessionDuration) {
        let description = managed.description.as_ref().or(live.state.description.as_ref()).cloned().unwrap_or_default();
        let session = managed.max_session_duration.or(live.state.max_session_duration);
        let max_session_duration = session.unwrap_or(rules::DEFAULT_SESSION);
        steps.push(RoleStep::UpdateRole { name: name(), description, max_session_duration });
    }
    steps.extend(tags(desired, live));
    if boundary == Some(&Boundary::Off) {
        steps.push(RoleStep::DeleteRoleBoundary { name: name() });
    }
    if !steps.is_empty() {
        steps.push(wait(desired, managed));
    }
    steps
}

fn tags(desired: &Desired<Role>, live: &Live<Role>) -> Vec<RoleStep> {
    let mut set = desired.owner_tags(&live.facts);
    let mut removed = Vec::new();
    if let (Some(wanted), Some(before)) = (&desired.managed.tags, &live.state.tags) {
        let differs = |(key, value): &(&String, &String)| before.get(*key) != Some(*value);
        set.extend(wanted.iter().filter(differs).map(|(key, value)| (key.clone(), value.clone())));
        removed.extend(before.keys().filter(|key| !wanted.contains_key(*key) && !key.starts_with("aws:")).cloned());
    }
    // A role has at most 50 tags, so tags are removed before others are added.
    let untag = (!removed.is_empty()).then(|| RoleStep::UntagRole { name: desired.name.clone(), keys: removed });
    let tag = (!set.is_empty()).then(|| RoleStep::TagRole { name: desired.name.clone(), tags: set });
    untag.into_iter().chain(tag).collect()
}

/// Returns the steps that delete the role. IAM does not delete a role with policies.
pub(super) fn delete(desired: &Desired<Role>, live: &Live<Role>) -> Vec<RoleStep> {
    let name = || desired.name.clone();
    let Some(owner_key) = desired.ownership.clone() else { return Vec::new() };
    let mut steps = vec![RoleStep::CheckRoleOwner { name: name(), owner_key, id: live.facts.id.clone() }];
    let managed = live.state.managed_policies.iter().flatten().cloned();
    steps.extend(managed.map(|policy_arn| RoleStep::DetachRolePolicy { name: name(), policy_arn }));
    let policies = live.state.policies.iter().flatten().map(|(policy, _)| policy.clone());
    steps.extend(policies.map(|policy| RoleStep::DeleteRolePolicy { name: name(), policy }));
    steps.push(RoleStep::DeleteRole { name: name() });
    steps
}

/// Returns a live role with a repairable difference in every managed setting, which shows the operations of any repair or deletion without
/// a call to AWS.
pub(super) fn opposite(desired: &Desired<Role>) -> Live<Role> {
    let removed = !desired.presence.is_present();
    let Role {
        path,
        description,
        max_session_duration,
        permissions_boundary,
        trust,
        managed_policies,
        policies,
        tags,
        instance_profiles: _,
    } = &desired.managed;
    let other = || PolicyDocument::from_aws("another");
    let stray = || String::from("stray");
    let state = Role {
        path: path.clone(),
        description: description.as_ref().map(|text| format!("not {text}")),
        max_session_duration: max_session_duration.map(|seconds| seconds + 1),
        permissions_boundary: permissions_boundary.as_ref().map(|boundary| match boundary {
            Boundary::Off => Boundary::Policy(stray()),
            Boundary::Policy(_) => Boundary::Off,
        }),
        trust: trust.as_ref().map(|_| other()),
        managed_policies: (managed_policies.is_some() || removed).then(|| BTreeSet::from([stray()])),
        policies: (policies.is_some() || removed).then(|| BTreeMap::from([(stray(), other())])),
        tags: tags.as_ref().map(|_| Tags::from([(stray(), String::new())])),
        instance_profiles: None,
    };
    Live { state, facts: Facts { owned: Some(removed), ..Facts::default() }, gaps: Vec::new() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::diff::changes;
    use super::*;
    use crate::kind::{Address, KindId, Presence};
    use crate::resource::OWNER;

    fn policy(resource: &str) -> PolicyDocument {
        let statement = json!({ "Effect": "Allow", "Action": "s3:GetObject", "Resource": resource });
        json!({ "Version": "2012-10-17", "Statement": [statement] }).into()
    }

    fn role() -> Role {
        Role {
            path: Some(String::from("/")),
            description: Some(String::from("Production")),
            max_session_duration: Some(7200),
            permissions_boundary: Some(Boundary::Policy(String::from("arn:aws:iam::1:policy/edge"))),
            trust: Some(policy("trust")),
            managed_policies: Some(BTreeSet::from([String::from("arn:aws:iam::aws:policy/ReadOnlyAccess")])),
            policies: Some(BTreeMap::from([(String::from("own"), policy("*"))])),
            tags: Some(Tags::from([(String::from("team"), String::from("x"))])),
            instance_profiles: None,
        }
    }

    fn desired() -> Desired<Role> {
        let desired = Desired::new(Address::new(KindId::Role, "prod"), "prod", role());
        Desired { ownership: Some(OwnerKey::new("managed-by")), ..desired }
    }

    fn describe(steps: &[RoleStep]) -> Vec<String> {
        steps.iter().map(KindStep::describe).collect()
    }

    fn repaired(desired: &Desired<Role>, live: &Live<Role>) -> Vec<String> {
        describe(&repair(desired, live, &changes(desired, live)))
    }

    #[test]
    fn a_role_is_created_with_everything_but_its_permissions() {
        let steps = create(&desired());
        let expected = [
            "creating",
            "writing the policy own",
            "attaching arn:aws:iam::aws:policy/ReadOnlyAccess",
            "waiting until IAM shows the changes",
        ];
        assert_eq!(describe(&steps), expected);
        let RoleStep::CreateRole { role, .. } = &steps[0] else { panic!("{steps:?}") };
        assert_eq!((&role.policies, &role.managed_policies), (&None, &None));
        let names: Vec<&str> = steps[0].operations().iter().map(|operation| operation.name).collect();
        assert_eq!(names, ["CreateRole", "TagRole", "PutRolePermissionsBoundary", "GetRole"]);
    }

    #[test]
    fn the_opposite_of_a_role_needs_every_kind_of_repair() {
        let wanted = Desired { adopt: true, ..desired() };
        let live = opposite(&wanted);
        let steps = repair(&wanted, &live, &changes(&wanted, &live));
        let expected = [
            "setting the permissions boundary",
            "replacing the trust policy",
            "detaching stray",
            "deleting the policy stray",
            "writing the policy own",
            "attaching arn:aws:iam::aws:policy/ReadOnlyAccess",
            "changing the description and the maximum session duration",
            "removing tags",
            "tagging",
            "waiting until IAM shows the changes",
        ];
        assert_eq!(describe(&steps), expected);
        assert!(steps[0].protects());
        let RoleStep::TagRole { tags, .. } = &steps[8] else { panic!("{steps:?}") };
        assert_eq!(tags.get("managed-by").map(String::as_str), Some(OWNER));
    }

    #[test]
    fn a_boundary_is_removed_last_and_with_consent() {
        let mut wanted = desired();
        wanted.managed.permissions_boundary = Some(Boundary::Off);
        let live = opposite(&wanted);
        let steps = repair(&wanted, &live, &changes(&wanted, &live));
        let needs: Vec<Option<Consent>> = steps.iter().map(KindStep::needs).collect();
        let at = needs.iter().position(Option::is_some).unwrap();
        assert_eq!((at, needs[at]), (steps.len() - 2, Some(Consent::Protection)));
    }

    #[test]
    fn unmanaged_settings_are_kept_by_an_update_of_others() {
        let mut wanted = desired();
        wanted.managed = Role { max_session_duration: Some(7200), ..Role::default() };
        let state = Role { description: Some(String::from("theirs")), max_session_duration: Some(3600), ..role() };
        let live = Live { state, facts: Facts::default(), gaps: Vec::new() };
        let steps = repair(&wanted, &live, &changes(&wanted, &live));
        let RoleStep::UpdateRole { description, max_session_duration, .. } = &steps[0] else { panic!("{steps:?}") };
        assert_eq!((description.as_str(), *max_session_duration), ("theirs", 7200));
    }

    #[test]
    fn shrinking_policies_are_written_before_growing_ones() {
        let mut wanted = desired();
        let both = |one: &str, other: &str| {
            Some(BTreeMap::from([(String::from("a"), policy(one)), (String::from("b"), policy(other))]))
        };
        wanted.managed = Role { policies: both(&"x".repeat(90), "x"), ..Role::default() };
        let state = Role { policies: both("x", &"x".repeat(90)), ..Role::default() };
        let live = Live { state, facts: Facts::default(), gaps: Vec::new() };
        assert_eq!(repaired(&wanted, &live)[..2], ["writing the policy b", "writing the policy a"]);
    }

    #[test]
    fn a_role_loses_its_policies_before_its_deletion() {
        let removed = Desired { presence: Presence::Removed, ..desired() };
        let removed = Desired { managed: Role::default(), ..removed };
        let steps = delete(&removed, &opposite(&removed));
        assert_eq!(
            describe(&steps),
            ["checking the owner of the role", "detaching stray", "deleting the policy stray", "deleting"]
        );
        assert_eq!(steps.last().unwrap().needs(), Some(Consent::Role));
        assert_eq!(delete(&Desired { ownership: None, ..removed.clone() }, &opposite(&removed)), []);
    }

    #[test]
    fn only_managed_settings_are_read() {
        let names = |desired: &Desired<Role>| reads(desired).iter().map(|operation| operation.name).collect::<Vec<_>>();
        assert_eq!(names(&desired()), ["GetRole", "ListAttachedRolePolicies", "ListRolePolicies", "GetRolePolicy"]);
        let bare = Desired { managed: Role::default(), ..desired() };
        assert_eq!(names(&bare), ["GetRole"]);
        let removed = Desired { presence: Presence::Absent, ..bare.clone() };
        let all = ["GetRole", "ListAttachedRolePolicies", "ListRolePolicies", "ListInstanceProfilesForRole"];
        assert_eq!(names(&removed), all);
        let statement = json!({ "Principal": { "Federated": "arn:aws:iam::1:oidc-provider/x" } });
        let trust = Some(json!({ "Statement": [statement] }).into());
        let federated = Desired { managed: Role { trust, ..Role::default() }, ..desired() };
        assert_eq!(names(&federated), ["GetRole", "GetOpenIDConnectProvider"]);
    }

    #[test]
    fn steps_read_back_unchanged() {
        let wanted = Desired { adopt: true, ..desired() };
        let live = opposite(&wanted);
        let mut steps = repair(&wanted, &live, &changes(&wanted, &live));
        steps.extend(create(&wanted));
        steps.extend(delete(&wanted, &live));
        for step in steps {
            let text = serde_json::to_string(&crate::kind::Step::Role(step.clone())).unwrap();
            assert_eq!(serde_json::from_str::<crate::kind::Step>(&text).unwrap(), crate::kind::Step::Role(step));
        }
    }
}
