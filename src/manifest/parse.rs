//! Reads a manifest's text and reports every fault with its location.

mod broker;
mod local;
mod targets;

use std::sync::Arc;

use super::join;
use super::vary::{self, Values, Variants};
use super::{AwsSection, Manifest, OwnershipTag};
use crate::diagnostic::{Faults, Source};
use crate::document::{Node, Reader, Value};
use crate::kind::section::{SectionReader, Spans, check_key, read_tags};
use crate::kind::{KindId, policy_parameter};
use crate::resource::destination::Destination;
use crate::resource::names::{AccountId, AwsProfile, OwnerKey, PolicyRoot, RegionName};
use crate::resource::{Invalid, check_region, check_tag_key};

/// A manifest that was read, and the spans of its parts.
#[derive(Debug)]
pub struct Parsed {
    pub manifest: Manifest,
    pub source: Arc<Source>,
    pub(super) spans: Arc<Spans>,
    /// The parts that differ by target.
    pub(super) variants: Variants,
}

impl Parsed {
    /// Returns whether the names of tables differ by target.
    pub fn table_names_vary(&self) -> bool {
        let overrides = self.manifest.targets.values().flat_map(|target| &target.overrides);
        let overridden = overrides
            .filter(|one| one.address.kind == KindId::Table)
            .any(|one| one.settings().iter().any(|setting| setting.key == "name"));
        overridden || self.variants.names_differ(KindId::Table)
    }

    /// Returns the manifest for a target.
    pub fn at(&self, destination: &Destination, faults: &mut Faults) -> Manifest {
        let at = (destination.name.as_deref(), &Values::at(destination));
        let ownership = self.manifest.aws.ownership_key();
        let base = (&self.manifest, &self.spans);
        let variant = self.variants.of(&self.source, base, at, ownership.as_ref(), faults);
        Manifest { sections: variant.sections, ..self.manifest.clone() }
    }
}

/// Reads a manifest. Returns all parts that could be read, whatever the faults.
pub fn parse(source: &Arc<Source>, faults: &mut Faults) -> Parsed {
    let root = join::read(source, faults);
    let mut reader = Reader::new(source, faults);
    let mut spans = Spans::default();
    let (manifest, variants) = read_manifest(&mut reader, &mut spans, &root).unwrap_or_default();
    Parsed { manifest, source: Arc::clone(source), spans: Arc::new(spans), variants }
}

fn read_manifest(reader: &mut Reader<'_>, spans: &mut Spans, root: &Node) -> Option<(Manifest, Variants)> {
    let mut fields = reader.map(root, Reader::ROOT)?;
    let mut manifest = Manifest::default();
    if let Some(entry) = fields.get("include") {
        join::check(reader, &entry.node);
    }
    if let Some(entry) = fields.get("aws") {
        manifest.aws = read_aws(reader, &entry.node).unwrap_or_default();
    }
    let ownership = manifest.aws.ownership_key();
    if let Some(entry) = fields.get("targets")
        && let Some(named) = reader.map(&entry.node, "targets")
    {
        for entry in named.all() {
            check_key(reader, entry, check_target_section);
            if let Some(target) = targets::read_target(reader, &manifest.aws, entry) {
                manifest.targets.insert(entry.key.clone(), target);
            }
        }
        targets::check_duplicates(reader, &manifest, named.all());
    }
    if let Some(entry) = fields.get("policies")
        && let Some(mut policies) = reader.map(&entry.node, "policies")
    {
        if let Some(entry) = policies.get("root") {
            manifest.policy_root =
                reader.checked(&entry.node, "root", policy_parameter::check_root).map(PolicyRoot::new);
        }
        policies.finish(reader);
    }
    vary::check(reader, root, &manifest);
    // The policy root does not matter here.
    let first = manifest.destinations(&PolicyRoot::default(), &manifest.sample()).into_iter().next();
    let values = first.map(|first| Values::assumed(&first)).unwrap_or_default();
    let (variants, filled) = Variants::find(reader, root, &manifest, &values);
    for kind in KindId::ALL {
        fields.get(kind.section());
    }
    let mut kinds = reader.map(&filled, Reader::ROOT)?;
    let mut section = SectionReader::new(reader, spans, ownership.as_deref());
    manifest.sections.read(&mut section, &mut kinds);
    if let Some(entry) = fields.get("broker") {
        manifest.broker = broker::read_broker(reader, &entry.node).unwrap_or_default();
    }
    if let Some(entry) = fields.get("local")
        && let Some(mut local) = reader.map(&entry.node, "local")
    {
        if let Some(entry) = local.get("users") {
            manifest.local_users = local::read_users(reader, spans, &entry.node).unwrap_or_default();
        }
        local.finish(reader);
    }
    fields.finish(reader);
    Some((manifest, variants))
}

fn read_aws(reader: &mut Reader<'_>, node: &Node) -> Option<AwsSection> {
    let mut fields = reader.map(node, "aws")?;
    let aws = AwsSection {
        region: fields
            .get("region")
            .and_then(|entry| reader.checked(&entry.node, "region", check_region))
            .map(RegionName::new),
        profile: fields.get("profile").and_then(|entry| reader.string(&entry.node, "profile")).map(AwsProfile::new),
        account_id: fields
            .get("account_id")
            .and_then(|entry| reader.checked(&entry.node, "account_id", check_account))
            .map(AccountId::new),
        tags: None,
        ownership_tag: fields.get("ownership_tag").and_then(|entry| read_ownership(reader, &entry.node)),
    };
    let ownership = aws.ownership_key();
    let tags = fields.get("tags").and_then(|entry| read_tags(reader, &entry.node, ownership.as_deref()));
    fields.finish(reader);
    Some(AwsSection { tags, ..aws })
}

fn read_ownership(reader: &mut Reader<'_>, node: &Node) -> Option<OwnershipTag> {
    match &node.value {
        Value::Bool(false) => Some(OwnershipTag::Off),
        Value::String(_) => {
            reader.checked(node, "ownership_tag", check_tag_key).map(|key| OwnershipTag::Key(OwnerKey::new(key)))
        }
        _ => {
            reader.wrong_type(node, "ownership_tag", "the key of a tag, or false for none");
            None
        }
    }
}

/// Checks the name of a section of `[targets]`. It is used on command lines and as a folder of the AWS emulator.
fn check_target_section(name: &str) -> Result<(), Invalid> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "_-".contains(letter);
    if !name.is_empty() && name.chars().all(allowed) {
        return Ok(());
    }
    Err(Invalid::new(format!("\"{name}\" cannot be the name of a target"), "use letters, digits, and _ -"))
}

/// Checks the name of a target: its section, or `SECTION/ACCOUNT/REGION`.
pub fn check_target(name: &str) -> Result<(), Invalid> {
    match name.split('/').collect::<Vec<_>>()[..] {
        [section] => check_target_section(section),
        [section, account, region] => {
            check_target_section(section).and_then(|()| check_account(account)).and_then(|()| check_region(region))
        }
        _ => check_target_section(name),
    }
}

pub fn check_role(arn: &str) -> Result<(), Invalid> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    if let ["arn", partition, "iam", "", account, role] = parts[..]
        && partition.starts_with("aws")
        && check_account(account).is_ok()
        && role.strip_prefix("role/").is_some_and(|name| !name.is_empty())
    {
        return Ok(());
    }
    let problem = format!("\"{arn}\" is not the ARN of a role");
    Err(Invalid::new(problem, "write one such as arn:aws:iam::123456789012:role/sentinel"))
}

/// Checks an account id.
pub fn check_account(account: &str) -> Result<(), Invalid> {
    if account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(());
    }
    Err(Invalid::new(format!("\"{account}\" is not an account id"), "an account id has 12 digits"))
}
