//! Reads a manifest's text; every fault is reported, with its place.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use indexmap::IndexMap;

use super::{
    AwsSection, BillingMode, Builtin, IndexSection, Manifest, OwnershipTag, ProfileSection, TableSection, TargetSection,
};
use crate::diagnostic::{Faults, Source};
use crate::document::{self, Entry, Fields, Node, Reader, Value};
use crate::kind::policy_parameter::{self, Tier};
use crate::kind::table::{self, Attribute, AttributeType, Class, Encryption, Projection, Ttl};
use crate::resource::{Invalid, Tags, check_tag_key, check_tag_value};

/// A manifest that was read, and where its parts stand.
#[derive(Debug)]
pub struct Parsed {
    pub manifest: Manifest,
    pub source: Arc<Source>,
    places: Places,
}

impl Parsed {
    /// Returns where a part stands, such as `tables.audit.name`; or its nearest parent that was written.
    pub(super) fn place(&self, path: &str) -> Range<usize> {
        let mut path = path;
        loop {
            if let Some(span) = self.places.get(path) {
                return span.clone();
            }
            match path.rfind('\u{1f}') {
                Some(at) => path = &path[..at],
                None => return 0..0,
            }
        }
    }
}

/// Where parts stand, by path. The parts of a path are held apart by a character no TOML key needs.
type Places = HashMap<String, Range<usize>>;

/// Returns the path of a part.
pub(super) fn path(parts: &[&str]) -> String {
    parts.join("\u{1f}")
}

/// Reads a manifest. What could be read is returned whatever the faults.
pub fn parse(source: &Arc<Source>, faults: &mut Faults) -> Parsed {
    let root = document::from_toml(source, faults);
    let mut reader = Reader::new(source, faults);
    let mut places = Places::new();
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
            manifest.policy_root = reader.checked(&entry.node, "root", policy_parameter::check_root);
        }
        policies.finish(reader);
    }
    if let Some(entry) = fields.get("profiles")
        && let Some(profiles) = reader.map(&entry.node, "profiles")
    {
        for entry in profiles.all() {
            check_key(reader, entry, policy_parameter::check_profile);
            if let Some(profile) = read_profile(reader, places, entry, ownership.as_deref()) {
                manifest.profiles.insert(entry.key.clone(), profile);
            }
        }
    }
    if let Some(entry) = fields.get("tables")
        && let Some(tables) = reader.map(&entry.node, "tables")
    {
        for entry in tables.all() {
            if let Some(table) = read_table(reader, places, entry, ownership.as_deref()) {
                manifest.tables.insert(entry.key.clone(), table);
            }
        }
    }
    fields.finish(reader);
    Some(manifest)
}

fn check_key(reader: &mut Reader<'_>, entry: &Entry, rule: impl FnOnce(&str) -> Result<(), Invalid>) {
    if let Err(invalid) = rule(&entry.key) {
        reader.fault(entry.key_span.clone(), invalid.problem, "not allowed here", invalid.help);
    }
}

fn read_aws(reader: &mut Reader<'_>, node: &Node) -> Option<AwsSection> {
    let mut fields = reader.map(node, "aws")?;
    let aws = AwsSection {
        region: fields.get("region").and_then(|entry| reader.checked(&entry.node, "region", check_region)),
        profile: fields.get("profile").and_then(|entry| reader.string(&entry.node, "profile")),
        account_id: fields.get("account_id").and_then(|entry| reader.checked(&entry.node, "account_id", check_account)),
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
        Value::String(_) => reader.checked(node, "ownership_tag", check_tag_key).map(OwnershipTag::Key),
        _ => {
            reader.wrong_type(node, "ownership_tag", "the key of a tag, or false for none");
            None
        }
    }
}

fn read_target(reader: &mut Reader<'_>, entry: &Entry) -> Option<TargetSection> {
    let mut fields = reader.map(&entry.node, &format!("targets.{}", entry.key))?;
    let target = TargetSection {
        region: fields.get("region").and_then(|entry| reader.checked(&entry.node, "region", check_region)),
        profile: fields.get("profile").and_then(|entry| reader.string(&entry.node, "profile")),
        role_arn: fields.get("role_arn").and_then(|entry| reader.checked(&entry.node, "role_arn", check_role)),
        account_id: fields.get("account_id").and_then(|entry| reader.checked(&entry.node, "account_id", check_account)),
    };
    if target.profile.is_some() && target.role_arn.is_some() {
        let message = format!("`targets.{}` has both `profile` and `role_arn`", entry.key);
        let help = "leave one out; a role is assumed with the credentials of [aws] profile or --aws-profile";
        reader.fault(entry.key_span.clone(), message, "one too many", help);
    }
    fields.finish(reader);
    Some(target)
}

/// Checks the name of a target: it is written on command lines, and is a folder of the embedded AWS.
fn check_target(name: &str) -> Result<(), Invalid> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "_-".contains(letter);
    if !name.is_empty() && name.chars().all(allowed) {
        return Ok(());
    }
    Err(Invalid::new(format!("\"{name}\" cannot be the name of a target"), "use letters, digits, and _ -"))
}

fn check_role(arn: &str) -> Result<(), Invalid> {
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

/// Checks that a text could be the name of a region; which regions there are is AWS's to say.
pub fn check_region(region: &str) -> Result<(), Invalid> {
    let letters = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> = region.split('-').collect();
    let fits = match &parts[..] {
        [head @ .., last] => head.len() >= 2 && head.iter().all(|part| letters(part)) && digits(last),
        [] => false,
    };
    if fits {
        return Ok(());
    }
    Err(Invalid::new(format!("\"{region}\" is not the name of a region"), "write one such as us-east-1"))
}

fn check_account(account: &str) -> Result<(), Invalid> {
    if account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(());
    }
    Err(Invalid::new(format!("\"{account}\" is not an account id"), "an account id has 12 digits"))
}

/// Reads tags; the ownership tag is this tool's own to set.
fn read_tags(reader: &mut Reader<'_>, node: &Node, ownership: Option<&str>) -> Option<Tags> {
    let fields = reader.map(node, "tags")?;
    let entries = fields.all();
    // 50 is AWS's limit for the tags of one resource.
    if entries.len() > 50 {
        reader.fault(node.span.clone(), format!("{} tags", entries.len()), "too many", "AWS takes 50 on a resource");
    }
    let mut tags = Tags::new();
    for entry in entries {
        check_key(reader, entry, check_tag_key);
        if ownership == Some(entry.key.as_str()) {
            let message = format!("the tag `{}` marks what this tool created", entry.key);
            let help = "leave it out; or choose another key for that mark with [aws] ownership_tag, or false for none";
            reader.fault(entry.key_span.clone(), message, "the ownership tag", help);
        }
        if let Some(value) = reader.checked(&entry.node, &entry.key, check_tag_value) {
            tags.insert(entry.key.clone(), value);
        }
    }
    Some(tags)
}

fn read_profile(
    reader: &mut Reader<'_>,
    places: &mut Places,
    entry: &Entry,
    ownership: Option<&str>,
) -> Option<ProfileSection> {
    let name = &entry.key;
    places.insert(path(&["profiles", name]), entry.key_span.clone());
    let mut fields = reader.map(&entry.node, &format!("profiles.{name}"))?;
    let policy = fields.get("policy").and_then(|entry| {
        places.insert(path(&["profiles", name, "policy"]), entry.node.span.clone());
        reader.string(&entry.node, "policy")
    });
    const TIERS: &[(&str, Tier)] = &[("standard", Tier::Standard), ("advanced", Tier::Advanced)];
    let tier = fields.get("tier").and_then(|entry| reader.choice(&entry.node, "tier", TIERS));
    let tags = fields.get("tags").and_then(|entry| read_tags(reader, &entry.node, ownership));
    fields.finish(reader);
    Some(ProfileSection { policy, tier, tags })
}

fn read_table(
    reader: &mut Reader<'_>,
    places: &mut Places,
    entry: &Entry,
    ownership: Option<&str>,
) -> Option<TableSection> {
    let key = &entry.key;
    places.insert(path(&["tables", key]), entry.key_span.clone());
    let mut fields = reader.map(&entry.node, &format!("tables.{key}"))?;
    let custom = Builtin::from_key(key).is_none();
    const MODES: &[(&str, BillingMode)] =
        &[("PAY_PER_REQUEST", BillingMode::PayPerRequest), ("PROVISIONED", BillingMode::Provisioned)];
    const CLASSES: &[(&str, Class)] =
        &[("STANDARD", Class::Standard), ("STANDARD_INFREQUENT_ACCESS", Class::InfrequentAccess)];
    let mut section = TableSection {
        name: fields.get("name").and_then(|entry| {
            places.insert(path(&["tables", key, "name"]), entry.node.span.clone());
            reader.checked(&entry.node, "name", table::check_name)
        }),
        partition_key: read_attribute(reader, &mut fields, "partition_key"),
        sort_key: read_attribute(reader, &mut fields, "sort_key"),
        ttl_attribute: fields.get("ttl_attribute").and_then(|entry| read_ttl(reader, &entry.node)),
        billing_mode: fields.get("billing_mode").and_then(|entry| reader.choice(&entry.node, "billing_mode", MODES)),
        read_capacity: fields.get("read_capacity").and_then(|entry| reader.count(&entry.node, "read_capacity")),
        write_capacity: fields.get("write_capacity").and_then(|entry| reader.count(&entry.node, "write_capacity")),
        encryption: fields.get("encryption").and_then(|entry| read_encryption(reader, &entry.node)),
        point_in_time_recovery: fields
            .get("point_in_time_recovery")
            .and_then(|entry| reader.boolean(&entry.node, "point_in_time_recovery")),
        deletion_protection: fields
            .get("deletion_protection")
            .and_then(|entry| reader.boolean(&entry.node, "deletion_protection")),
        table_class: fields.get("table_class").and_then(|entry| reader.choice(&entry.node, "table_class", CLASSES)),
        tags: fields.get("tags").and_then(|entry| read_tags(reader, &entry.node, ownership)),
        indexes: None,
    };
    if let Some(entry) = fields.get("indexes") {
        places.insert(path(&["tables", key, "indexes"]), entry.key_span.clone());
        section.indexes = read_indexes(reader, places, key, &entry.node);
    }
    check_capacity(reader, entry, &section);
    if custom {
        let missing = |fields: &mut Fields<'_>, name| fields.get(name).is_none();
        if missing(&mut fields, "name") {
            let help = "a table that is not built in (approvals, breakglass, sessions) is described in full: add name";
            reader.fault(entry.key_span.clone(), format!("`tables.{key}` lacks `name`"), "no name", help);
        }
        if missing(&mut fields, "partition_key") {
            let help = "add partition_key = { name = \"id\", type = \"S\" }";
            let message = format!("`tables.{key}` lacks `partition_key`");
            reader.fault(entry.key_span.clone(), message, "no partition key", help);
        }
    }
    fields.finish(reader);
    Some(section)
}

fn check_capacity(reader: &mut Reader<'_>, entry: &Entry, section: &TableSection) {
    let provisioned = section.billing_mode == Some(BillingMode::Provisioned);
    let given = [section.read_capacity.is_some(), section.write_capacity.is_some()];
    let key = &entry.key;
    if provisioned && given.contains(&false) {
        let help = "add read_capacity and write_capacity, in units a second";
        let message = format!("`tables.{key}` is PROVISIONED without its capacity");
        reader.fault(entry.key_span.clone(), message, "no capacity", help);
    }
    if !provisioned && given.contains(&true) {
        let help = "add billing_mode = \"PROVISIONED\", or leave read_capacity and write_capacity out";
        let message = format!("`tables.{key}` has a capacity and is not PROVISIONED");
        reader.fault(entry.key_span.clone(), message, "a capacity without effect", help);
    }
}

fn read_attribute(reader: &mut Reader<'_>, fields: &mut Fields<'_>, what: &'static str) -> Option<Attribute> {
    let entry = fields.get(what)?;
    attribute(reader, &entry.node, what)
}

fn attribute(reader: &mut Reader<'_>, node: &Node, what: &str) -> Option<Attribute> {
    const TYPES: &[(&str, AttributeType)] =
        &[("S", AttributeType::S), ("N", AttributeType::N), ("B", AttributeType::B)];
    if !matches!(node.value, Value::Map(_)) {
        let message = format!("`{what}` must be a name and a type, not {}", node.value.kind());
        reader.fault(node.span.clone(), message, "expected a table", "write { name = \"id\", type = \"S\" }");
        return None;
    }
    let mut fields = reader.map(node, what)?;
    let help = "write { name = \"id\", type = \"S\" }, with S for a string, N for a number, B for bytes";
    let name = fields
        .required(reader, "name", help)
        .and_then(|entry| reader.checked(&entry.node, "name", table::check_attribute));
    let kind = fields.required(reader, "type", help).and_then(|entry| reader.choice(&entry.node, "type", TYPES));
    fields.finish(reader);
    Some(Attribute { name: name?, kind: kind? })
}

fn read_ttl(reader: &mut Reader<'_>, node: &Node) -> Option<Ttl> {
    match &node.value {
        Value::Bool(false) => Some(Ttl::Disabled),
        Value::String(_) => reader.checked(node, "ttl_attribute", table::check_attribute).map(Ttl::Enabled),
        _ => {
            reader.wrong_type(node, "ttl_attribute", "an attribute's name, or false for no TTL");
            None
        }
    }
}

fn read_encryption(reader: &mut Reader<'_>, node: &Node) -> Option<Encryption> {
    match reader.string(node, "encryption")?.as_str() {
        "aws-owned" => Some(Encryption::AwsOwned),
        "aws-managed" => Some(Encryption::AwsManaged),
        _ => reader.checked(node, "encryption", table::check_kms_key).map(Encryption::Kms),
    }
}

fn read_indexes(
    reader: &mut Reader<'_>,
    places: &mut Places,
    table_key: &str,
    node: &Node,
) -> Option<IndexMap<String, IndexSection>> {
    let fields = reader.map(node, "indexes")?;
    let mut indexes = IndexMap::new();
    for entry in fields.all() {
        places.insert(path(&["tables", table_key, "indexes", &entry.key]), entry.key_span.clone());
        check_key(reader, entry, table::check_name);
        let what = format!("indexes.{}", entry.key);
        let Some(mut fields) = reader.map(&entry.node, &what) else { continue };
        let help = "add partition_key = { name = \"actor\", type = \"S\" }";
        let partition_key = fields
            .required(reader, "partition_key", help)
            .and_then(|entry| attribute(reader, &entry.node, "partition_key"));
        let sort_key = read_attribute(reader, &mut fields, "sort_key");
        let projection = fields.get("projection").and_then(|entry| read_projection(reader, &entry.node));
        fields.finish(reader);
        if let Some(partition_key) = partition_key {
            indexes.insert(entry.key.clone(), IndexSection { partition_key, sort_key, projection });
        }
    }
    Some(indexes)
}

fn read_projection(reader: &mut Reader<'_>, node: &Node) -> Option<Projection> {
    let words: &[(&str, bool)] = &[("ALL", true), ("KEYS_ONLY", false)];
    match &node.value {
        Value::Map(_) => {
            let mut fields = reader.map(node, "projection")?;
            let help = "write { include = [\"a\", \"b\"] }";
            let entry = fields.required(reader, "include", help);
            fields.finish(reader);
            let entry = entry?;
            let items = reader.list(&entry.node, "include")?;
            if items.is_empty() {
                let message = "`include` names no attribute";
                reader.fault(
                    entry.node.span.clone(),
                    message,
                    "empty",
                    "name some, or write projection = \"KEYS_ONLY\"",
                );
                return None;
            }
            let names = items.iter().filter_map(|item| reader.checked(item, "include", table::check_attribute));
            Some(Projection::Include(names.collect()))
        }
        Value::String(_) => {
            reader.choice(node, "projection", words).map(|all| if all { Projection::All } else { Projection::KeysOnly })
        }
        _ => {
            reader.wrong_type(node, "projection", "\"ALL\", \"KEYS_ONLY\" or { include = [\"a\"] }");
            None
        }
    }
}
