//! From a manifest to desired state: layouts are filled in, policies are read, and what only shows across resources is
//! checked.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use super::folder::Folder;
use super::parse::path;
use super::{BillingMode, Builtin, DEFAULT_ROOT, Manifest, Parsed, ProfileSection, TableSection};
use crate::diagnostic::{Fault, Faults, Source};
use crate::kind::policy_parameter::{self, ParameterType, PolicyParameter, Tier};
use crate::kind::table::{
    Attribute, AttributeType, Billing, Capacity, INCLUDE_LIMIT, INDEX_LIMIT, Index, IndexStatus, Key, Projection, Table,
};
use crate::kind::{Address, Desired, DesiredResource, KindId, Presence};
use crate::policy;
use crate::resource::{Invalid, OWNER, Tags};

/// The most tags of a resource. Source: the Tag data type in the API references of both services.
const TAG_LIMIT: usize = 50;

/// What the command line says over the manifest.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    pub policy_root: Option<String>,
}

/// A manifest in full: what is desired, and what the pass needs beside it.
#[derive(Debug)]
pub struct Loaded {
    pub manifest: Manifest,
    pub policy_root: String,
    pub desired: Vec<DesiredResource>,
    /// The line, from 1, on which each resource begins.
    pub lines: BTreeMap<Address, usize>,
}

/// Turns a manifest into desired state. `folder` is where its policy paths start.
///
/// What cannot be resolved is a fault; the result means something only when there is none.
pub fn resolve(parsed: Parsed, folder: &Path, overrides: &Overrides, faults: &mut Faults) -> Loaded {
    let root = overrides.policy_root.clone().or_else(|| parsed.manifest.policy_root.clone());
    let policy_root = root.unwrap_or_else(|| DEFAULT_ROOT.to_owned());
    let mut resolver = Resolver { parsed: &parsed, folder, real: Folder::new(folder), faults };
    let mut desired = Vec::new();
    for (key, section) in &parsed.manifest.profiles {
        let policy = resolver.profile(&policy_root, key, section);
        desired.push(DesiredResource::Policy(Arc::new(policy)));
    }
    let mut names: HashMap<String, String> = HashMap::new();
    for (key, section) in &parsed.manifest.tables {
        let Some(table) = resolver.table(key, section) else { continue };
        if let Some(other) = names.insert(table.name.clone(), key.clone()) {
            let message = format!("`tables.{key}` and `tables.{other}` both name the AWS table \"{}\"", table.name);
            let place = path(&["tables", key, "name"]);
            resolver.fault(&place, Invalid::new(message, "give each its own name"), "the same name again");
        }
        desired.push(DesiredResource::Table(Arc::new(table)));
    }
    let line = |address: &Address| {
        let place = parsed.place(&path(&[address.kind.section(), &address.key]));
        parsed.source.line(place.start)
    };
    let lines = desired.iter().map(|one| (one.address().clone(), line(one.address()))).collect();
    Loaded { policy_root, desired, lines, manifest: parsed.manifest }
}

struct Resolver<'a> {
    parsed: &'a Parsed,
    folder: &'a Path,
    real: Folder,
    faults: &'a mut Faults,
}

impl Resolver<'_> {
    fn fault(&mut self, place: &str, invalid: Invalid, label: &str) {
        self.faults.push(Fault {
            source: Arc::clone(&self.parsed.source),
            span: self.parsed.place(place),
            message: invalid.problem,
            label: label.to_owned(),
            help: Some(invalid.help),
            code: None,
        });
    }

    /// Returns the tags that a resource's own are added to.
    fn tags(&self, own: Option<&Tags>) -> Tags {
        let mut tags = self.parsed.manifest.aws.tags.clone().unwrap_or_default();
        tags.extend(own.into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())));
        tags
    }

    /// Returns the tags that a resource is created with.
    fn initial_tags(&mut self, place: &str, own: Option<&Tags>) -> Tags {
        let mut tags = self.tags(own);
        tags.extend(self.ownership().map(|key| (key, OWNER.to_owned())));
        if tags.len() > TAG_LIMIT {
            let problem = format!("{} tags, with those of [aws] and the ownership tag", tags.len());
            self.fault(place, Invalid::new(problem, "AWS takes 50 on a resource: leave some out"), "too many");
        }
        tags
    }

    fn ownership(&self) -> Option<String> {
        self.parsed.manifest.aws.ownership_key()
    }

    fn profile(&mut self, root: &str, key: &str, section: &ProfileSection) -> Desired<PolicyParameter> {
        let name = format!("{root}/{key}");
        if let Err(invalid) = policy_parameter::check_length(&name) {
            self.fault(&path(&["profiles", key]), invalid, "too long");
        }
        let content = section.policy.as_ref().and_then(|file| self.policy_file(key, file, section));
        let content: Option<Arc<str>> = content.map(Arc::from);
        let managed = PolicyParameter {
            parameter_type: section.policy.as_ref().map(|_| ParameterType::String),
            content: content.clone(),
            tier: section.tier,
            tags: section.tags.as_ref().map(|own| self.tags(Some(own))),
        };
        let initial = PolicyParameter {
            content: Some(content.unwrap_or_else(|| policy::default_deny(key).into())),
            parameter_type: Some(ParameterType::String),
            tier: Some(section.tier.unwrap_or(Tier::Standard)),
            tags: Some(self.initial_tags(&path(&["profiles", key]), section.tags.as_ref())),
        };
        Desired {
            address: Address::new(KindId::Policy, key),
            presence: Presence::Present,
            ownership: self.ownership(),
            adopt: false,
            name,
            label: key.to_owned(),
            origin: Some(section.policy.clone().unwrap_or_else(|| String::from("default-deny"))),
            managed,
            initial,
        }
    }

    /// Reads and checks the policy that a profile names.
    fn policy_file(&mut self, key: &str, file: &str, section: &ProfileSection) -> Option<String> {
        let place = path(&["profiles", key, "policy"]);
        let text = match self.real.read(file) {
            Ok(text) => text,
            Err(invalid) => {
                self.fault(&place, invalid, "this file");
                return None;
            }
        };
        if let Err(invalid) = self.real.check_cases(file) {
            self.fault(&place, invalid, "beside this file");
        }
        // As a path from where the user is, so that it can be opened from there.
        let shown = self.folder.join(file);
        let shown = shown.strip_prefix(".").unwrap_or(&shown).display().to_string();
        policy::check(&Source::new(shown, text.clone()), self.faults);
        // An empty policy is reported as one already.
        if !text.trim().is_empty()
            && let Err(invalid) = policy_parameter::check_content(&text, section.tier.unwrap_or(Tier::Standard))
        {
            self.fault(&place, invalid, "this policy");
        }
        Some(text)
    }

    fn table(&mut self, key: &str, section: &TableSection) -> Option<Desired<Table>> {
        let builtin = Builtin::from_key(key);
        let layout = builtin.map(Builtin::layout).unwrap_or_default();
        let name = section.name.clone().or_else(|| builtin.map(|builtin| builtin.default_name().to_owned()))?;
        let table_key = match (&section.partition_key, &layout.key) {
            (Some(partition), layout) => {
                let sort = section.sort_key.clone().or_else(|| layout.as_ref().and_then(|key| key.sort.clone()));
                Some(Key { partition: partition.clone(), sort })
            }
            (None, Some(layout)) => Some(Key {
                partition: layout.partition.clone(),
                sort: section.sort_key.clone().or(layout.sort.clone()),
            }),
            (None, None) => None,
        };
        let managed = Table {
            key: table_key,
            indexes: merged_indexes(section, layout.indexes),
            ttl: section.ttl_attribute.clone().or(layout.ttl),
            billing: billing(section).or(layout.billing),
            encryption: section.encryption.clone(),
            point_in_time_recovery: section.point_in_time_recovery,
            deletion_protection: section.deletion_protection,
            class: section.table_class,
            tags: section.tags.as_ref().map(|own| self.tags(Some(own))),
        };
        self.check_table(key, &managed);
        let initial = Table {
            billing: managed.billing.or(Some(Billing::PayPerRequest)),
            tags: Some(self.initial_tags(&path(&["tables", key]), section.tags.as_ref())),
            ..managed.clone()
        };
        let label = builtin.map_or_else(|| key.to_owned(), |builtin| builtin.label().to_owned());
        Some(Desired {
            address: Address::new(KindId::Table, key),
            presence: Presence::Present,
            ownership: self.ownership(),
            adopt: false,
            name,
            label,
            origin: None,
            managed,
            initial,
        })
    }

    /// Checks what AWS checks of a table as a whole.
    fn check_table(&mut self, key: &str, table: &Table) {
        let indexes = table.indexes.clone().unwrap_or_default();
        let place = path(&["tables", key, "indexes"]);
        if indexes.len() > INDEX_LIMIT {
            let problem = format!("`tables.{key}` has {} indexes", indexes.len());
            self.fault(&place, Invalid::new(problem, "DynamoDB takes 20 on a table"), "too many");
        }
        let included = indexes.values().map(|index| match &index.projection {
            Projection::Include(names) => names.len(),
            Projection::All | Projection::KeysOnly => 0,
        });
        let included: usize = included.sum();
        if included > INCLUDE_LIMIT {
            let problem = format!("the indexes of `tables.{key}` include {included} attributes");
            let help = "DynamoDB takes 100 on a table, all indexes together; project ALL instead";
            self.fault(&place, Invalid::new(problem, help), "too many");
        }
        let mut types: BTreeMap<&str, AttributeType> = BTreeMap::new();
        let parts = table.key.iter().map(|key| (None, key));
        let parts = parts.chain(indexes.iter().map(|(name, index)| (Some(name), &index.key)));
        for (index, part) in parts {
            let place = match index {
                Some(name) => path(&["tables", key, "indexes", name]),
                None => path(&["tables", key]),
            };
            for Attribute { name, kind } in part.attributes() {
                let first = *types.entry(name).or_insert(*kind);
                if first != *kind {
                    let problem = format!("the attribute `{name}` is {first} in one place and {kind} here");
                    let help = "an attribute has one type in a table and all its indexes";
                    self.fault(&place, Invalid::new(problem, help), "two types");
                }
            }
            if part.sort.as_ref().is_some_and(|sort| sort.name == part.partition.name) {
                let problem = format!("`{}` is both partition and sort key", part.partition.name);
                self.fault(
                    &place,
                    Invalid::new(problem, "use two attributes, or leave sort_key out"),
                    "one attribute twice",
                );
            }
        }
    }
}

fn merged_indexes(section: &TableSection, layout: Option<BTreeMap<String, Index>>) -> Option<BTreeMap<String, Index>> {
    let Some(own) = &section.indexes else { return layout };
    let mut indexes = layout.unwrap_or_default();
    for (name, index) in own {
        let key = Key { partition: index.partition_key.clone(), sort: index.sort_key.clone() };
        let projection = index.projection.clone().unwrap_or(Projection::All);
        indexes.insert(name.clone(), Index { key, projection, capacity: None, status: IndexStatus::Active });
    }
    Some(indexes)
}

fn billing(section: &TableSection) -> Option<Billing> {
    match section.billing_mode? {
        BillingMode::PayPerRequest => Some(Billing::PayPerRequest),
        BillingMode::Provisioned => {
            Some(Billing::Provisioned(Capacity { read: section.read_capacity?, write: section.write_capacity? }))
        }
    }
}
