//! Whether AWS enforces the gate of each profile, from the manifest and the roles that a plan has read. Makes no AWS call.

use std::collections::{BTreeMap, BTreeSet};

use crate::kind::document::PolicyDocument;
use crate::kind::references::Service;
use crate::kind::role::{self, Role as RoleKind};
use crate::kind::{Address, DesiredResource};
use crate::manifest::Manifest;
use crate::reconcile::{Action, Gate, Plan, ProfileGate};
use crate::resource::caller::{Caller, account_of};
use crate::resource::names::{AccountId, RoleArn, UserId};
use crate::trust::gate::{Finding, Role, findings};

/// The account of roles in a manifest that does not name one. AWS has no account with this ID.
const NO_ACCOUNT: &str = "000000000000";

/// The roles of a manifest.
struct Roles<'a> {
    /// The roles that should exist, by ARN, with their trust policies.
    present: BTreeMap<RoleArn, (&'a Address, PolicyDocument)>,
    /// The roles with `removed = true`, by name: their paths are not known.
    removed: BTreeMap<&'a str, &'a Address>,
    account: AccountId,
}

impl<'a> Roles<'a> {
    fn new(desired: &'a [DesiredResource], caller: &Caller) -> Self {
        let (mut present, mut removed) = (BTreeMap::new(), BTreeMap::new());
        for one in desired.iter().filter_map(|one| one.of::<RoleKind>()) {
            if let Some((arn, trust)) = role::trust_in(one, caller) {
                present.insert(arn, (&one.address, trust));
            } else if !one.presence.is_present() {
                removed.insert(one.name.as_str(), &one.address);
            }
        }
        Self { present, removed, account: caller.account.clone() }
    }

    /// Returns the address of a role that the manifest removes.
    fn removed(&self, arn: &RoleArn) -> Option<&'a Address> {
        let name = arn.rsplit('/').next()?;
        self.removed.get(name).copied().filter(|_| account_of(arn) == Some(&*self.account))
    }
}

/// Returns the answer for each profile, for a manifest that names a role for at least one of them. `plan` is `None` where nothing is read.
pub(super) fn gates(manifest: &Manifest, desired: &[DesiredResource], plan: Option<&Plan>) -> Vec<ProfileGate> {
    let caller = plan.and_then(|plan| plan.target.caller.clone()).unwrap_or_else(|| nobody(manifest));
    let brokered = manifest.brokered_roles(&caller);
    if brokered.is_empty() {
        return Vec::new();
    }
    let roles = Roles::new(desired, &caller);
    let broker = manifest.sections.serving(Service::Broker);
    let broker =
        broker.map(|resource| RoleArn::new(format!("arn:{}:iam::{}:{resource}", caller.partition(), caller.account)));
    let profiles = manifest.sections.profiles.keys().map(String::as_str);
    let all: BTreeSet<&str> = profiles.chain(brokered.keys().copied()).collect();
    let gate = |profile: &str| {
        let gate = gate(brokered.get(profile), broker.as_ref(), &roles, plan);
        ProfileGate { profile: profile.to_owned(), gate }
    };
    all.into_iter().map(gate).collect()
}

/// Returns a caller in the account of the manifest.
fn nobody(manifest: &Manifest) -> Caller {
    let account = manifest.aws.account_id.clone().unwrap_or_else(|| AccountId::new(NO_ACCOUNT));
    let arn = format!("arn:aws:iam::{account}:root");
    Caller { account, arn, user_id: UserId::default() }
}

fn gate(role: Option<&RoleArn>, broker: Option<&RoleArn>, roles: &Roles<'_>, plan: Option<&Plan>) -> Gate {
    let known = |arn: Option<&RoleArn>| match arn.and_then(|arn| roles.present.get_key_value(arn)) {
        Some((arn, (_, trust))) => ManifestRole::In(arn, trust),
        None => arn.map_or(ManifestRole::Unnamed, |arn| ManifestRole::Elsewhere(arn.clone())),
    };
    let (of_role, of_broker) = (known(role), known(broker));
    let found = findings(of_role.as_role(), of_broker.as_role());
    let (unread, found): (Vec<Finding>, Vec<Finding>) =
        found.into_iter().partition(|finding| matches!(finding, Finding::Unread(..)));
    if !found.is_empty() {
        return Gate::Advisory(found.iter().map(ToString::to_string).collect());
    }
    if !unread.is_empty() {
        let why = unread.iter().map(|finding| match finding {
            Finding::Unread(role, _) => match roles.removed(role) {
                Some(address) => format!("the manifest removes {address}"),
                None => format!("the role {role} is not in the manifest (sentinel trust check reads it)"),
            },
            other => other.to_string(),
        });
        return Gate::Unknown(why.collect());
    }
    let Some(plan) = plan else { return Gate::Pending };
    let addresses = [role, broker].into_iter().flatten().filter_map(|arn| Some(roles.present.get(arn)?.0));
    addresses.map(|address| standing(plan, address)).fold(Gate::Enforced, worse)
}

/// What a manifest has of a role.
enum ManifestRole<'a> {
    Unnamed,
    Elsewhere(RoleArn),
    In(&'a RoleArn, &'a PolicyDocument),
}

impl ManifestRole<'_> {
    fn as_role(&self) -> Role<'_> {
        match self {
            Self::Unnamed => Role::Unnamed,
            Self::Elsewhere(arn) => Role::Unread(arn, ""),
            Self::In(arn, trust) => Role::Live(arn, trust.value()),
        }
    }
}

/// Returns whether the live trust policy of a role is the one in the manifest.
fn standing(plan: &Plan, address: &Address) -> Gate {
    let Some(planned) = plan.resources.iter().find(|one| one.address == *address) else {
        return Gate::Unknown(vec![format!("{address} is not part of this plan")]);
    };
    // A role with another path is another role.
    let differs = planned.changes.iter().any(|change| ["trust", "path"].contains(&change.path.as_str()));
    match planned.action {
        Action::Unknown { .. } => Gate::Unknown(vec![format!("{address} could not be read")]),
        Action::Create | Action::Finish => Gate::Pending,
        Action::Delete => Gate::Unknown(vec![format!("{address} is to be deleted")]),
        Action::Update if differs => Gate::Pending,
        Action::Drift | Action::Refused if differs => Gate::Advisory(vec![format!(
            "{address} differs from the manifest in AWS, and this plan does not change it"
        )]),
        _ => Gate::Enforced,
    }
}

/// Returns the answer for two roles: what is certain to be open comes before what is not known.
fn worse(one: Gate, other: Gate) -> Gate {
    match (one, other) {
        (Gate::Advisory(why), Gate::Advisory(more)) => Gate::Advisory([why, more].concat()),
        (Gate::Unknown(why), Gate::Unknown(more)) => Gate::Unknown([why, more].concat()),
        (one, other) => {
            if rank(&one) >= rank(&other) {
                one
            } else {
                other
            }
        }
    }
}

fn rank(gate: &Gate) -> u8 {
    match gate {
        Gate::Enforced => 0,
        Gate::Pending => 1,
        Gate::Unknown(_) => 2,
        Gate::Advisory(_) => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Faults, Source};
    use crate::document::Variables;
    use crate::manifest::{self, Overrides};

    const COMPUTE: &str = r#"{ "Version": "2012-10-17", "Statement": { "Effect": "Allow",
        "Principal": { "Service": "ecs-tasks.amazonaws.com" }, "Action": "sts:AssumeRole" } }"#;

    /// Returns the gates of a manifest of which nothing is read.
    fn gates_of(text: &str) -> Vec<(String, Gate)> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("compute.json"), COMPUTE).unwrap();
        let mut faults = Faults::default();
        let parsed = manifest::parse(&Source::new("sentinel.toml", text), &mut faults);
        let overrides = Overrides { policy_root: None, region: None, variables: Variables::new(|_| None) };
        let loaded = manifest::resolve(parsed, folder.path(), &overrides, &mut faults);
        assert!(faults.is_empty(), "{:?}", faults.into_sorted());
        let gates = gates(&loaded.manifest, &loaded.desired, None);
        gates.into_iter().map(|one| (one.profile, one.gate)).collect()
    }

    #[test]
    fn the_gate_of_a_role_that_the_manifest_removes_is_unknown() {
        let text = "[aws]\naccount_id = \"123456789012\"\n[broker.roles]\n\
                    prod = \"arn:aws:iam::123456789012:role/teams/admin\"\n\
                    other = \"arn:aws:iam::210987654321:role/admin\"\n\
                    [roles.broker]\ntrust = \"compute.json\"\npermissions = \"broker\"\n";
        let unlisted = |role: &str| {
            Gate::Unknown(vec![format!("the role {role} is not in the manifest (sentinel trust check reads it)")])
        };
        let other = (String::from("other"), unlisted("arn:aws:iam::210987654321:role/admin"));
        let prod = unlisted("arn:aws:iam::123456789012:role/teams/admin");
        assert_eq!(gates_of(text), [other.clone(), (String::from("prod"), prod)]);
        let removed = format!("{text}[roles.admin]\nremoved = true\n");
        let prod = Gate::Unknown(vec![String::from("the manifest removes roles.admin")]);
        assert_eq!(gates_of(&removed), [other, (String::from("prod"), prod)]);
    }
}
