//! Converts desired state back to the section that expresses it, so that a saved plan can desire no more than a manifest can.
//!
//! The documents themselves express the trust policy and the derived permissions.

use super::manifest::RoleSection;
use super::trust::Trust;
use super::{PolicyDocument, Role};
use crate::document::GivenFile;
use crate::kind::Desired;

const TRUST: &str = "trust.json";

fn policy_file(index: usize) -> String {
    format!("policy-{index}.json")
}

/// Returns the section of a role's managed settings. The names of its files are arbitrary.
pub(super) fn section(desired: &Desired<Role>) -> RoleSection {
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
    RoleSection {
        name: Some(desired.name.clone()),
        path: path.clone(),
        description: description.clone(),
        max_session_duration: *max_session_duration,
        permissions_boundary: permissions_boundary.clone(),
        trust: trust.as_ref().map(|_| Trust::File(TRUST.to_owned())),
        managed_policies: managed_policies.as_ref().map(|all| all.iter().cloned().collect()),
        policies: policies
            .as_ref()
            .map(|all| all.keys().enumerate().map(|(index, name)| (name.clone(), policy_file(index))).collect()),
        permissions: None,
        tags: tags.clone(),
    }
}

/// Returns the files of such a section.
pub(super) fn files(desired: &Desired<Role>) -> Vec<GivenFile> {
    let Role { trust, policies, .. } = &desired.managed;
    let trust = trust.iter().map(|trust| GivenFile { path: TRUST.to_owned(), text: PolicyDocument::to_json(trust) });
    let policies = policies.iter().flatten().enumerate();
    let policies = policies.map(|(index, (_, policy))| GivenFile { path: policy_file(index), text: policy.to_json() });
    trust.chain(policies).collect()
}
