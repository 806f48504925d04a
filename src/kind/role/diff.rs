//! Computes the difference between a live and a desired role. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::home::Home;
use super::{Boundary, Field, Role, display, rules};
use crate::change::{ChangeMethod, Consent, FieldChange, FieldValue, Protection};
use crate::kind::document::PolicyDocument;
use crate::kind::{Deletion, Desired, Settled};
use crate::resource::{Live, diff_tags};

const IN_PLACE: &str = "changed in place";

/// Returns all differences of a role.
pub(super) fn changes(desired: &Desired<Role>, live: &Live<Role>) -> Vec<FieldChange<Field>> {
    if let Some(change) = of_aws(&live.state) {
        return vec![change];
    }
    let managed = match Home::of_live(&live.facts) {
        Some(home) => home.role(&desired.managed),
        None => desired.managed.clone(),
    };
    let mut changes = diff(&managed, &live.state);
    changes.extend(desired.adoption(&live.facts, Field::Tag));
    changes
}

/// Returns the difference if the live role is one of AWS's own.
fn of_aws(live: &Role) -> Option<FieldChange<Field>> {
    let path = live.path.as_ref().filter(|path| rules::is_of_aws(path))?;
    let how = "it belongs to an AWS service, and Sentinel never changes such a role: choose another name";
    let wanted = FieldValue::text("a role of the account");
    Some(FieldChange::new(Field::Path, FieldValue::text(path), wanted, ChangeMethod::NotPossible, how))
}

/// Returns the differences in the fields that both sides have, in display order.
pub(super) fn diff(managed: &Role, live: &Role) -> Vec<FieldChange<Field>> {
    // No `..` here: a new field that nothing compares does not compile.
    let Role {
        path,
        description,
        max_session_duration,
        permissions_boundary,
        trust,
        managed_policies,
        policies,
        tags,
        // Read only for a role to delete.
        instance_profiles: _,
    } = managed;
    let mut changes = Vec::new();
    if let (Some(desired), Some(before)) = (path, &live.path)
        && desired != before
    {
        let how = "set when a role is created: a change requires a new role, with another ARN and ID";
        let (before, after) = (FieldValue::text(before), FieldValue::text(desired));
        changes.push(FieldChange::new(Field::Path, before, after, ChangeMethod::NewResource, how));
    }
    if let (Some(desired), Some(before)) = (description, &live.description)
        && desired != before
    {
        changes.push(in_place(Field::Description, display::text(before), display::text(desired)));
    }
    if let (Some(desired), Some(before)) = (max_session_duration, live.max_session_duration)
        && *desired != before
    {
        changes.push(in_place(Field::MaxSessionDuration, display::seconds(before), display::seconds(*desired)));
    }
    if let (Some(desired), Some(before)) = (permissions_boundary, &live.permissions_boundary)
        && desired != before
    {
        let change = in_place(Field::PermissionsBoundary, display::boundary(before), display::boundary(desired));
        let removes_protection = before.protection_of(desired) == Protection::Removed;
        changes.push(if removes_protection { change.needing(Consent::Protection) } else { change });
    }
    if let (Some(desired), Some(before)) = (trust, &live.trust)
        && desired != before
    {
        changes.push(document(Field::Trust, Some(before), Some(desired), "replaced in place"));
    }
    if let (Some(desired), Some(before)) = (managed_policies, &live.managed_policies) {
        diff_managed(before, desired, &mut changes);
    }
    if let (Some(desired), Some(before)) = (policies, &live.policies) {
        diff_policies(before, desired, &mut changes);
    }
    if let (Some(desired), Some(before)) = (tags, &live.tags) {
        diff_tags(before, desired, Field::Tag, &mut changes);
    }
    changes
}

fn in_place(field: Field, live: impl Into<String>, desired: impl Into<String>) -> FieldChange<Field> {
    FieldChange::new(field, FieldValue::text(live), FieldValue::text(desired), ChangeMethod::InPlace, IN_PLACE)
}

fn document(
    field: Field,
    live: Option<&PolicyDocument>,
    desired: Option<&PolicyDocument>,
    how: &str,
) -> FieldChange<Field> {
    let before = live.map_or(FieldValue::Absent, |live| {
        let text = desired.map_or_else(|| live.pretty(), |desired| live.pretty_beside(desired));
        FieldValue::Document(Arc::from(text))
    });
    let after = desired.map_or(FieldValue::Absent, |desired| FieldValue::Document(Arc::from(desired.pretty())));
    FieldChange::new(field, before, after, ChangeMethod::InPlace, how)
}

fn diff_managed(live: &BTreeSet<String>, desired: &BTreeSet<String>, changes: &mut Vec<FieldChange<Field>>) {
    let attached = || FieldValue::text("attached");
    for arn in desired.difference(live) {
        let field = Field::ManagedPolicy(arn.clone());
        changes.push(FieldChange::new(field, FieldValue::Absent, attached(), ChangeMethod::InPlace, "attached"));
    }
    for arn in live.difference(desired) {
        let how = "detached: the manifest lists the managed policies of the role, and not this one";
        let field = Field::ManagedPolicy(arn.clone());
        changes.push(FieldChange::new(field, attached(), FieldValue::Absent, ChangeMethod::InPlace, how));
    }
}

fn diff_policies(
    live: &BTreeMap<String, PolicyDocument>,
    desired: &BTreeMap<String, PolicyDocument>,
    changes: &mut Vec<FieldChange<Field>>,
) {
    for (name, wanted) in desired {
        let before = live.get(name);
        if before != Some(wanted) {
            let how = if before.is_some() { "replaced in place" } else { "added" };
            changes.push(document(Field::Policy(name.clone()), before, Some(wanted), how));
        }
    }
    for (name, before) in live.iter().filter(|(name, _)| !desired.contains_key(*name)) {
        let how = "deleted: the manifest lists the policies of the role, and not this one";
        changes.push(document(Field::Policy(name.clone()), Some(before), None, how));
    }
}

/// Adjusts the differences: a role of AWS is not changed.
pub(super) fn settle(
    live: &Live<Role>,
    changes: Vec<FieldChange<Field>>,
    repair: Vec<super::RoleStep>,
) -> Settled<Role> {
    let repair = if of_aws(&live.state).is_some() { Vec::new() } else { repair };
    Settled::Compared { changes, repair }
}

/// Returns the deletion of a role. A role in an instance profile is not deleted, because it gives permissions to machines, which Sentinel
/// does not know.
pub(super) fn delete(desired: &Desired<Role>, live: &Live<Role>) -> Deletion<Role> {
    if let Some(change) = of_aws(&live.state) {
        return Deletion { changes: vec![change], steps: Vec::new() };
    }
    let profiles = live.state.instance_profiles.iter().flatten().cloned().collect::<Vec<_>>();
    if let Some(first) = profiles.first() {
        let how = format!(
            "machines get their permissions from it; if none does anymore: aws iam remove-role-from-instance-profile \
             --instance-profile-name {first} --role-name {}",
            desired.name
        );
        let in_use = FieldValue::text(profiles.join(", "));
        let change =
            FieldChange::new(Field::InstanceProfiles, in_use, FieldValue::Absent, ChangeMethod::NotPossible, &how);
        return Deletion { changes: vec![change], steps: Vec::new() };
    }
    Deletion::of(super::steps::delete(desired, live))
}

impl Boundary {
    /// Returns how a change to another boundary affects the protection of a role.
    pub(super) fn protection_of(&self, after: &Self) -> Protection {
        match (self, after) {
            (Self::Policy(_), Self::Off) => Protection::Removed,
            (Self::Off, Self::Policy(_)) => Protection::Added,
            // It is unknown which of the two policies allows more.
            _ => Protection::Unchanged,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kind::role::RoleStep;
    use crate::kind::{Address, KindId};
    use crate::resource::names::OwnerKey;
    use crate::resource::{Facts, Tags};

    fn policy(action: &str) -> PolicyDocument {
        let statement = json!({ "Effect": "Allow", "Action": action, "Resource": "*" });
        json!({ "Version": "2012-10-17", "Statement": [statement] }).into()
    }

    fn trust(account: &str) -> PolicyDocument {
        let statement = json!({ "Effect": "Allow", "Principal": { "AWS": account }, "Action": "sts:AssumeRole" });
        json!({ "Version": "2012-10-17", "Statement": [statement] }).into()
    }

    const READ_ONLY: &str = "arn:aws:iam::aws:policy/ReadOnlyAccess";

    fn role() -> Role {
        Role {
            path: Some(String::from("/sentinel/")),
            description: Some(String::from("Production")),
            max_session_duration: Some(7200),
            permissions_boundary: Some(Boundary::Policy(String::from("arn:aws:iam::123456789012:policy/edge"))),
            trust: Some(trust("123456789012")),
            managed_policies: Some(BTreeSet::from([READ_ONLY.to_owned()])),
            policies: Some(BTreeMap::from([(String::from("own"), policy("s3:GetObject"))])),
            tags: Some(Tags::from([(String::from("team"), String::from("x"))])),
            instance_profiles: None,
        }
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut Role), expected: &[&str]) {
        let describe = |value: &FieldValue| match value {
            FieldValue::Absent => String::from("-"),
            FieldValue::Text(text) => text.clone(),
            FieldValue::Document(_) => String::from("document"),
        };
        let mut live = role();
        change(&mut live);
        let line = |change: &FieldChange<Field>| {
            let needs = change.needs.map(|consent| format!(", needs {consent}")).unwrap_or_default();
            let (before, after) = (describe(&change.sides.live), describe(&change.sides.desired));
            format!("{}: {before} -> {after} [{:?}{needs}]", change.path, change.method)
        };
        let lines: Vec<String> = diff(&role(), &live).iter().map(line).collect();
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_role_is_in_sync_if_every_field_is() {
        check(|_| {}, &[]);
        check(|live| *live.policies.as_mut().unwrap().get_mut("own").unwrap() = policy("S3:getobject"), &[]);
        check(|live| live.trust = Some(trust("arn:aws:iam::123456789012:root")), &[]);
        assert_eq!(diff(&Role::default(), &role()), [], "what is not managed is not compared");
    }

    #[test]
    fn each_field_is_compared() {
        check(|live| live.path = Some(String::from("/")), &["path: / -> /sentinel/ [NewResource]"]);
        check(|live| live.description = Some(String::new()), &["description: none -> Production [InPlace]"]);
        check(|live| live.max_session_duration = Some(3600), &["max_session_duration: 3600 s -> 7200 s [InPlace]"]);
        check(
            |live| live.permissions_boundary = Some(Boundary::Off),
            &["permissions_boundary: none -> arn:aws:iam::123456789012:policy/edge [InPlace]"],
        );
        check(|live| live.trust = Some(trust("*")), &["trust: document -> document [InPlace]"]);
        check(|live| live.tags = Some(Tags::new()), &["tags.team: - -> x [InPlace]"]);
    }

    #[test]
    fn policies_are_the_whole_set() {
        check(
            |live| {
                live.managed_policies =
                    Some(BTreeSet::from([String::from("arn:aws:iam::aws:policy/AdministratorAccess")]));
            },
            &[
                "managed policy arn:aws:iam::aws:policy/ReadOnlyAccess: - -> attached [InPlace]",
                "managed policy arn:aws:iam::aws:policy/AdministratorAccess: attached -> - [InPlace]",
            ],
        );
        check(
            |live| live.policies = Some(BTreeMap::from([(String::from("stray"), policy("*"))])),
            &["policy own: - -> document [InPlace]", "policy stray: document -> - [InPlace]"],
        );
        check(
            |live| *live.policies.as_mut().unwrap().get_mut("own").unwrap() = policy("s3:*"),
            &["policy own: document -> document [InPlace]"],
        );
    }

    fn live(state: Role) -> Live<Role> {
        let arn = Some(String::from("arn:aws:iam::123456789012:role/sentinel/prod"));
        Live { state, facts: Facts { arn, owned: Some(true), ..Facts::default() }, gaps: Vec::new() }
    }

    fn desired(managed: Role) -> Desired<Role> {
        let desired = Desired::new(Address::new(KindId::Role, "prod"), "prod", managed);
        Desired { ownership: Some(OwnerKey::new("managed-by")), ..desired }
    }

    #[test]
    fn removing_the_boundary_needs_consent() {
        let off = Role { permissions_boundary: Some(Boundary::Off), ..role() };
        let changes = changes(&desired(off), &live(role()));
        assert_eq!((changes.len(), changes[0].needs), (1, Some(Consent::Protection)));
    }

    #[test]
    fn the_marker_is_replaced_by_the_account_of_the_live_role() {
        let wanted = Role { trust: Some(trust(super::super::ACCOUNT)), ..role() };
        assert_eq!(changes(&desired(wanted.clone()), &live(role())), []);
        let other = Role { trust: Some(trust("210987654321")), ..role() };
        assert_eq!(changes(&desired(wanted), &live(other)).len(), 1);
    }

    #[test]
    fn a_role_of_aws_is_not_changed() {
        let live = live(Role { path: Some(String::from("/aws-service-role/x.amazonaws.com/")), ..role() });
        let all = changes(&desired(role()), &live);
        assert_eq!((all.len(), all[0].method), (1, ChangeMethod::NotPossible));
        let step = RoleStep::UntagRole { name: String::new(), keys: Vec::new() };
        let Settled::Compared { repair, .. } = settle(&live, all, vec![step]) else { panic!() };
        assert_eq!(repair, []);
        assert_eq!(delete(&desired(Role::default()), &live).steps, []);
    }

    #[test]
    fn a_role_of_an_instance_profile_is_not_deleted() {
        let in_use = live(Role { instance_profiles: Some(vec![String::from("web")]), ..role() });
        let Deletion { changes, steps } = delete(&desired(Role::default()), &in_use);
        assert_eq!((steps.len(), changes[0].path.to_string().as_str()), (0, "instance_profiles"));
        assert!(changes[0].how.contains("--instance-profile-name web --role-name prod"), "{}", changes[0].how);
        assert!(!delete(&desired(Role::default()), &live(role())).steps.is_empty());
    }
}
