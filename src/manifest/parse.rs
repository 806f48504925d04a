//! Reads a manifest's text; every fault is reported, with its place.

mod local;

use std::sync::Arc;

use super::{AwsSection, Manifest, OwnershipTag, TargetSection};
use crate::diagnostic::{Faults, Source};
use crate::document::{self, Entry, Node, Reader, Value};
use crate::kind::policy_parameter;
use crate::kind::section::{Places, SectionReader, check_key, read_tags};
use crate::resource::destination::Route;
use crate::resource::names::{AccountId, AwsProfile, OwnerKey, PolicyRoot, RegionName, RoleArn};
use crate::resource::{Invalid, check_region, check_tag_key};

/// A manifest that was read, and where its parts stand.
#[derive(Debug)]
pub struct Parsed {
    pub manifest: Manifest,
    pub source: Arc<Source>,
    pub(super) places: Places,
}

/// Reads a manifest. What could be read is returned whatever the faults.
pub fn parse(source: &Arc<Source>, faults: &mut Faults) -> Parsed {
    let root = document::from_toml(source, faults);
    let mut reader = Reader::new(source, faults);
    let mut places = Places::default();
    let manifest = read_manifest(&mut reader, &mut places, &root).unwrap_or_default();
    Parsed { manifest, source: Arc::clone(source), places }
}

fn read_manifest(reader: &mut Reader<'_>, places: &mut Places, root: &Node) -> Option<Manifest> {
    let mut fields = reader.map(root, "sentinel.toml")?;
    let mut manifest = Manifest::default();
    if let Some(entry) = fields.get("aws") {
        manifest.aws = read_aws(reader, &entry.node).unwrap_or_default();
    }
    let ownership = manifest.aws.ownership_key();
    if let Some(entry) = fields.get("targets")
        && let Some(targets) = reader.map(&entry.node, "targets")
    {
        for entry in targets.all() {
            check_key(reader, entry, check_target);
            if let Some(target) = read_target(reader, entry) {
                manifest.targets.insert(entry.key.clone(), target);
            }
        }
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
    let mut section = SectionReader::new(reader, places, ownership.as_deref());
    manifest.sections.read(&mut section, &mut fields);
    if let Some(entry) = fields.get("local")
        && let Some(mut local) = reader.map(&entry.node, "local")
    {
        if let Some(entry) = local.get("users") {
            manifest.local_users = local::read_users(reader, places, &entry.node).unwrap_or_default();
        }
        local.finish(reader);
    }
    fields.finish(reader);
    Some(manifest)
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

fn read_target(reader: &mut Reader<'_>, entry: &Entry) -> Option<TargetSection> {
    let mut fields = reader.map(&entry.node, &format!("targets.{}", entry.key))?;
    let region =
        fields.get("region").and_then(|entry| reader.checked(&entry.node, "region", check_region)).map(RegionName::new);
    let route = Route {
        aws_profile: fields.get("profile").and_then(|entry| reader.string(&entry.node, "profile")).map(AwsProfile::new),
        role_arn: fields
            .get("role_arn")
            .and_then(|entry| reader.checked(&entry.node, "role_arn", check_role))
            .map(RoleArn::new),
        account_id: fields
            .get("account_id")
            .and_then(|entry| reader.checked(&entry.node, "account_id", check_account))
            .map(AccountId::new),
    };
    if route.aws_profile.is_some() && route.role_arn.is_some() {
        let message = format!("`targets.{}` has both `profile` and `role_arn`", entry.key);
        let help = "leave one out; a role is assumed with the credentials of [aws] profile or --aws-profile";
        reader.fault(entry.key_span.clone(), message, "one too many", help);
    }
    fields.finish(reader);
    Some(TargetSection { region, route })
}

/// Checks the name of a target: it is written on command lines, and is a folder of the embedded AWS.
pub fn check_target(name: &str) -> Result<(), Invalid> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "_-".contains(letter);
    if !name.is_empty() && name.chars().all(allowed) {
        return Ok(());
    }
    Err(Invalid::new(format!("\"{name}\" cannot be the name of a target"), "use letters, digits, and _ -"))
}

/// Checks the ARN of a role.
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
