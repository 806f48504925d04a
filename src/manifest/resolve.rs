//! From a manifest to desired state.

use std::collections::BTreeMap;
use std::path::Path;

use super::{LocalPolicy, Manifest, Parsed};
use crate::diagnostic::Faults;
use crate::document::{Folder, Variables};
use crate::kind::section::{Resolver, Unset};
use crate::kind::{Address, DesiredResource};
use crate::resource::names::PolicyRoot;
use crate::resource::record_key::Role;

/// What the command line says over the manifest, and what the environment says beside it.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    pub policy_root: Option<PolicyRoot>,
    pub variables: Variables,
}

/// A manifest in full: what is desired, and what the pass needs beside it.
#[derive(Debug)]
pub struct Loaded {
    pub manifest: Manifest,
    pub policy_root: PolicyRoot,
    pub desired: Vec<DesiredResource>,
    /// The line, from 1, on which each resource begins.
    pub lines: BTreeMap<Address, usize>,
    pub local_users: Vec<LocalUser>,
    /// What takes a variable that is not set.
    pub unset: Vec<Unset>,
}

/// A user of the embedded AWS who has only the permissions of these policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalUser {
    pub name: String,
    pub policies: Vec<LocalDocument>,
}

/// A policy of a user of the embedded AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalDocument {
    /// The one that is derived for a role.
    Role(Role),
    /// A document, as JSON.
    Text(String),
}

/// Turns a manifest into desired state. `folder` is where its policy paths start.
///
/// What cannot be resolved is a fault; the result means something only when there is none.
pub fn resolve(parsed: Parsed, folder: &Path, overrides: &Overrides, faults: &mut Faults) -> Loaded {
    resolve_in(Folder::new(folder), parsed, folder, overrides, faults)
}

/// The same where the texts of all files are at hand already, and none is read.
pub(super) fn resolve_given(parsed: Parsed, files: Folder, faults: &mut Faults) -> Loaded {
    resolve_in(files, parsed, Path::new("."), &Overrides::default(), faults)
}

fn resolve_in(files: Folder, parsed: Parsed, folder: &Path, overrides: &Overrides, faults: &mut Faults) -> Loaded {
    let Parsed { manifest, source, places } = parsed;
    let root = overrides.policy_root.clone().or_else(|| manifest.policy_root.clone());
    let policy_root = root.unwrap_or_default();
    let mut resolver = Resolver {
        policy_root: &policy_root,
        source: &source,
        places: &places,
        folder,
        files,
        variables: overrides.variables,
        unset: Vec::new(),
        tags: manifest.aws.tags.as_ref(),
        ownership: manifest.aws.ownership_key(),
        names: BTreeMap::new(),
        faults,
    };
    let desired = manifest.sections.resolve(&mut resolver);
    let mut local_users = Vec::new();
    for (name, section) in &manifest.local_users {
        let policies = local_policies(&mut resolver, name, &section.policies);
        local_users.push(LocalUser { name: name.clone(), policies });
    }
    let unset = std::mem::take(&mut resolver.unset);
    let line = |address: &Address| source.line(places.get(&[address.kind.section(), &address.key]).start);
    let lines = desired.iter().map(|one| (one.address().clone(), line(one.address()))).collect();
    Loaded { manifest, policy_root, desired, lines, local_users, unset }
}

fn local_policies(resolver: &mut Resolver<'_>, user: &str, policies: &[LocalPolicy]) -> Vec<LocalDocument> {
    let mut documents = Vec::new();
    for (at, policy) in policies.iter().enumerate() {
        match policy {
            LocalPolicy::Role(role) => documents.push(LocalDocument::Role(*role)),
            LocalPolicy::File(file) => match resolver.files.read(file) {
                Ok(text) => documents.push(LocalDocument::Text(text)),
                Err(invalid) => resolver.fault(&["local", "users", user, &at.to_string()], invalid, "this file"),
            },
        }
    }
    documents
}
