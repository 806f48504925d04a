//! Resolves a manifest to desired state.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::targets::section_of;
use super::vary::{Values, Variant, Variants};
use super::{BrokeredRoles, LocalPolicy, Manifest, Parsed};
use crate::diagnostic::{Fault, Faults, Source};
use crate::document::{Folder, Variables};
use crate::iam::{self, AdditionalPermissions};
use crate::kind::section::{Home, Resolver, Spans, Unset};
use crate::kind::{Address, DesiredResource, Misplaced, Sections};
use crate::resource::Invalid;
use crate::resource::destination::Destination;
use crate::resource::names::{PolicyRoot, RegionName};
use crate::resource::record_key::Role;

/// Settings of the command line, which override the manifest, and of the environment.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    pub policy_root: Option<PolicyRoot>,
    pub region: Option<RegionName>,
    pub variables: Variables,
}

/// A resolved manifest: the desired state, and the other inputs of the pass.
#[derive(Debug)]
pub struct Loaded {
    pub manifest: Manifest,
    pub policy_root: PolicyRoot,
    pub desired: Vec<DesiredResource>,
    /// The file and the line, from 1, of each resource.
    pub lines: BTreeMap<Address, (Arc<str>, usize)>,
    pub local_users: Vec<LocalUser>,
    /// The settings whose environment variable is not set.
    pub unset: Vec<Unset>,
    texts: Texts,
}

/// The texts that a manifest is resolved from.
#[derive(Debug)]
struct Texts {
    source: Arc<Source>,
    spans: Arc<Spans>,
    variants: Variants,
    folder: PathBuf,
    files: Arc<Folder>,
    variables: Variables,
    /// The region of the command line.
    region: Option<RegionName>,
}

/// The desired state of one target, if it differs from that of other targets.
#[derive(Debug)]
pub struct Wanted {
    pub sections: Sections,
    pub desired: Vec<DesiredResource>,
    /// The settings whose environment variable is not set.
    pub unset: Vec<Unset>,
    /// The resources that differ by target.
    pub varied: BTreeSet<Address>,
}

/// A user of the AWS emulator whose permissions are limited to these policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalUser {
    pub name: String,
    pub policies: Vec<LocalDocument>,
}

/// A policy of a user of the AWS emulator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalDocument {
    /// The policy that is derived for a role.
    Role(Role),
    /// A JSON document.
    Text(String),
}

/// Resolves a manifest to desired state. Policy paths are relative to `folder`.
///
/// Every error is a fault. The result is meaningful only without faults.
pub fn resolve(parsed: Parsed, folder: &Path, overrides: &Overrides, faults: &mut Faults) -> Loaded {
    resolve_in(Folder::new(folder), parsed, folder, overrides, faults)
}

/// The same with given texts for all files; reads nothing.
pub(super) fn resolve_given(parsed: Parsed, files: Folder, faults: &mut Faults) -> Loaded {
    resolve_in(files, parsed, Path::new("."), &Overrides::default(), faults)
}

/// The same with other files than those of the folder.
pub fn resolve_in(files: Folder, parsed: Parsed, folder: &Path, overrides: &Overrides, faults: &mut Faults) -> Loaded {
    let Parsed { manifest, source, spans, variants } = parsed;
    let root = overrides.policy_root.clone().or_else(|| manifest.policy_root.clone());
    let policy_root = root.unwrap_or_default();
    let (folder, files, variables) = (folder.to_owned(), Arc::new(files), overrides.variables);
    let texts = Texts { source, spans, variants, folder, files, variables, region: overrides.region.clone() };
    let mut resolver = texts.resolver(&manifest, &policy_root, &texts.spans, faults);
    let mut desired = manifest.sections.resolve(&mut resolver, &HashMap::new());
    derive(&mut resolver, &manifest, &manifest.sections, &mut desired);
    let mut local_users = Vec::new();
    for (name, section) in &manifest.local_users {
        let policies = local_policies(&mut resolver, name, &section.policies);
        local_users.push(LocalUser { name: name.clone(), policies });
    }
    let unset = std::mem::take(&mut resolver.unset);
    let mut paths: HashMap<String, Arc<str>> = HashMap::new();
    let mut line = |address: &Address| {
        let (path, line) = texts.source.place(texts.spans.get(&[address.kind.section(), &address.key]).start);
        let path = paths.entry(path.to_owned()).or_insert_with(|| path.into());
        (Arc::clone(path), line)
    };
    let lines = desired.iter().map(|one| (one.address().clone(), line(one.address()))).collect();
    let loaded = Loaded { manifest, policy_root, desired, lines, local_users, unset, texts };
    loaded.check_regions(faults);
    loaded.check_variants(faults);
    loaded
}

impl Texts {
    fn resolver<'a>(
        &'a self,
        manifest: &'a Manifest,
        policy_root: &'a PolicyRoot,
        spans: &'a Spans,
        faults: &'a mut Faults,
    ) -> Resolver<'a> {
        Resolver {
            policy_root,
            source: &self.source,
            spans,
            folder: &self.folder,
            files: Arc::clone(&self.files),
            variables: self.variables,
            unset: Vec::new(),
            tags: manifest.aws.tags.as_ref(),
            ownership: manifest.aws.ownership_key(),
            home: home(manifest),
            names: BTreeMap::new(),
            served: BTreeSet::new(),
            faults,
        }
    }
}

/// Returns the location of a manifest's resources. With targets, there are several.
fn home(manifest: &Manifest) -> Home {
    if !manifest.targets.is_empty() {
        return Home::default();
    }
    let (account, region) = (&manifest.aws.account_id, &manifest.aws.region);
    Home { account: account.as_deref().map(str::to_owned), region: region.as_deref().map(str::to_owned) }
}

/// Adds the permissions that sections request, which are derived from the whole desired state. The permissions of a role apply to its
/// account. With targets they cover every region, so that all passes of an account agree.
fn derive(resolver: &mut Resolver<'_>, manifest: &Manifest, sections: &Sections, desired: &mut [DesiredResource]) {
    let region = manifest.aws.region.clone().filter(|_| manifest.targets.is_empty());
    let roles = BrokeredRoles::new(&manifest.broker, sections);
    let additional = AdditionalPermissions {
        prune: false,
        orphans: resolver.ownership.is_some(),
        roles: roles.as_brokered(),
        ..AdditionalPermissions::default()
    };
    for (address, purpose) in sections.derived() {
        let documents = iam::of_role(purpose, region.clone(), resolver.policy_root, desired, additional);
        let given = desired.iter_mut().find(|one| *one.address() == address).map(|one| one.add_permissions(documents));
        if let Some(Err(invalid)) = given {
            let place = [address.kind.section(), address.key.as_str(), "permissions"];
            resolver.fault(&place, invalid, "more than one role holds");
        }
    }
}

impl Loaded {
    /// Returns whether the desired state differs by target.
    pub fn varies(&self) -> bool {
        !self.texts.variants.is_empty()
    }

    /// Returns the desired state of a target, if it differs from that of other targets. A setting that cannot be resolved, or is not
    /// available in the target's region, is a fault.
    pub fn wanted(&self, destination: &Destination, faults: &mut Faults) -> Option<Wanted> {
        if !self.varies() {
            self.check_region(&self.desired, &self.texts.spans, &destination.region.name, faults);
            return None;
        }
        Some({
            let home = Home {
                account: destination.route.account_id.as_ref().map(ToString::to_string),
                region: Some(destination.region.name.to_string()),
            };
            self.variant((destination.name.as_deref(), home), &Values::at(destination), faults)
        })
    }

    fn variant(&self, (target, home): (Option<&str>, Home), values: &Values, faults: &mut Faults) -> Wanted {
        let Texts { source, spans, variants, .. } = &self.texts;
        let ownership = self.manifest.aws.ownership_key();
        let base = (&self.manifest, spans);
        let Variant { sections, spans, varied } =
            variants.of(source, base, (target, values), ownership.as_ref(), faults);
        // A resource also differs if it refers to one that differs, or to different resources by target.
        let (references, others) = (sections.references(), self.manifest.sections.references());
        let same = |address: &Address| {
            let to_varied = references.get(address).into_iter().flatten().any(|one| varied.contains(&one.to));
            !varied.contains(address) && !to_varied && references.get(address) == others.get(address)
        };
        let known = self.desired.iter().map(|one| (one.address(), one)).filter(|(address, _)| same(address)).collect();
        let region = home.region.clone().map(RegionName::new);
        let mut resolver = self.texts.resolver(&self.manifest, &self.policy_root, &spans, faults);
        resolver.home = home;
        let mut desired = sections.resolve(&mut resolver, &known);
        derive(&mut resolver, &self.manifest, &sections, &mut desired);
        let mut unset = std::mem::take(&mut resolver.unset);
        unset.extend(self.unset.iter().filter(|one| known.contains_key(&one.address)).cloned());
        if let Some(region) = &region {
            self.check_region(&desired, &spans, region, faults);
        }
        // Derived permissions follow from the whole desired state, so they differ too.
        let varied = varied.into_iter().chain(sections.derived().into_iter().map(|(address, _)| address)).collect();
        Wanted { sections, desired, unset, varied }
    }

    /// Checks that the desired state is valid in a region.
    fn check_region(&self, desired: &[DesiredResource], spans: &Spans, region: &RegionName, faults: &mut Faults) {
        for one in desired {
            let Some(Misplaced { setting, problem }) = one.misplaced(region) else { continue };
            let address = one.address();
            let mut parts = vec![address.kind.section(), address.key.as_str()];
            parts.extend(setting.iter().map(String::as_str));
            let (source, span) = (Arc::clone(&self.texts.source), spans.get(&parts));
            let Invalid { problem: message, help } = problem;
            let label = String::from("its own region");
            faults.push(Fault { source, span, message, label, help: Some(help), code: None, related: None });
        }
    }

    /// Checks that the desired state common to all targets is valid in their regions, as far as they are known.
    fn check_regions(&self, faults: &mut Faults) {
        if self.varies() {
            return;
        }
        let destinations = self.manifest.destinations(&self.policy_root, &self.manifest.sample());
        let named = destinations.into_iter().filter_map(|destination| destination.region);
        let regions: BTreeSet<RegionName> = match &self.texts.region {
            Some(region) => BTreeSet::from([region.clone()]),
            None => named.collect(),
        };
        for region in regions {
            let mut own = Faults::default();
            self.check_region(&self.desired, &self.texts.spans, &region, &mut own);
            faults.absorb(own);
        }
    }

    /// Resolves the manifest for each target, so that every fault is known before any change. For the targets of one section, only the
    /// first one with faults is reported.
    fn check_variants(&self, faults: &mut Faults) {
        if !self.varies() {
            return;
        }
        let mut faulty: Option<String> = None;
        for destination in self.manifest.destinations(&self.policy_root, &self.manifest.sample()) {
            let section = destination.name.as_deref().map(section_of);
            if faulty.is_some() && faulty.as_deref() == section {
                continue;
            }
            let mut own = Faults::default();
            let home = Home {
                account: destination.route.account_id.as_ref().map(ToString::to_string),
                region: destination.region.as_ref().map(ToString::to_string),
            };
            self.variant((destination.name.as_deref(), home), &Values::assumed(&destination), &mut own);
            if !own.is_empty() {
                faulty = section.map(str::to_owned);
                faults.absorb(own);
            }
        }
    }
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
