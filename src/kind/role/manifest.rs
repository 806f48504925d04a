//! `[roles.NAME]`: read, written, and turned into desired state.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use strum::VariantArray;

use super::rules::{
    SESSION, check_description, check_inline_size, check_managed, check_managed_count, check_name, check_path,
    check_policy_name, check_trust_size,
};
use super::trust::{self, Trust, TrustedBy};
use super::{Boundary, Role, home, role_resource};
use crate::document::write::{bare, line, list, quoted, tags};
use crate::document::{Entry, Fields, Node, Reader, Value};
use crate::kind::document::{Form, PolicyDocument};
use crate::kind::permission::Use;
use crate::kind::references::Service;
use crate::kind::section::{Resolver, SectionReader, check_key};
use crate::kind::{Address, Desired, KindId};
use crate::resource::record_key::Role as User;
use crate::resource::{Invalid, Tags};

/// `[roles.NAME]`: one role.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoleSection {
    pub name: Option<String>,
    pub path: Option<String>,
    pub description: Option<String>,
    /// In seconds.
    pub max_session_duration: Option<u32>,
    pub permissions_boundary: Option<Boundary>,
    /// `None` only if the role is removed.
    pub trust: Option<Trust>,
    /// ARNs.
    pub managed_policies: Option<Vec<String>>,
    /// The path of a JSON file for each.
    pub policies: Option<IndexMap<String, String>>,
    pub permissions: Option<Permissions>,
    pub tags: Option<Tags>,
}

/// `permissions = "apply"`: the use of the manifest that the role gets permissions for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Permissions {
    Plan,
    Apply,
    Requester,
    Approver,
    Operator,
    Broker,
}

impl Permissions {
    /// Returns its name in the manifest.
    pub const fn as_str(self) -> &'static str {
        self.into_str()
    }

    /// Returns all names.
    pub(super) fn names() -> Vec<&'static str> {
        Self::VARIANTS.iter().map(|one| one.as_str()).collect()
    }

    fn purpose(self) -> Use {
        match self {
            Self::Plan => Use::Plan,
            Self::Apply => Use::Apply,
            Self::Requester => Use::Role(User::Requester),
            Self::Approver => Use::Role(User::Approver),
            Self::Operator => Use::Role(User::Operator),
            Self::Broker => Use::Broker,
        }
    }
}

pub(super) fn read(section: &mut SectionReader<'_, '_>, entry: &Entry) -> Option<RoleSection> {
    let key = &entry.key;
    section.note(&["roles", key], &entry.key_span);
    let mut fields = section.open(entry, "roles")?;
    let mut field = |section: &mut SectionReader<'_, '_>, name: &'static str| {
        let entry = fields.get(name)?;
        section.note(&["roles", key, name], &entry.node.span);
        Some(&entry.node)
    };
    let (name, path) = (field(section, "name"), field(section, "path"));
    let (description, session) = (field(section, "description"), field(section, "max_session_duration"));
    let boundary = field(section, "permissions_boundary");
    let (managed, policies) = (field(section, "managed_policies"), field(section, "policies"));
    let permissions = field(section, "permissions");
    let trust = read_trust(section, &mut fields, entry);
    let role = RoleSection {
        name: name.and_then(|node| section.reader.checked(node, "name", check_name)),
        path: path.and_then(|node| section.reader.checked(node, "path", check_path)),
        description: description.and_then(|node| section.reader.checked(node, "description", check_description)),
        max_session_duration: session.and_then(|node| read_session(section.reader, node)),
        permissions_boundary: boundary.and_then(|node| read_boundary(section.reader, node)),
        trust,
        managed_policies: managed.and_then(|node| read_managed(section.reader, node)),
        policies: policies.and_then(|node| read_policies(section, key, node)),
        permissions: permissions.and_then(|node| section.reader.variant(node, "permissions")),
        tags: section.tags(&mut fields),
    };
    fields.finish(section.reader);
    if name.is_none() {
        check_key(section.reader, entry, check_default_name);
    }
    Some(role)
}

/// Checks a key that is also the name of its role.
fn check_default_name(key: &str) -> Result<(), Invalid> {
    check_name(key).map_err(|invalid| Invalid::new(invalid.problem, format!("add name = \"…\"; {}", invalid.help)))
}

fn read_trust(section: &mut SectionReader<'_, '_>, fields: &mut Fields<'_>, entry: &Entry) -> Option<Trust> {
    let (file, by) = (fields.get("trust"), fields.get("trusted_by"));
    if let (Some(_), Some(by)) = (file, by) {
        let message = format!("`roles.{}` has both `trust` and `trusted_by`", entry.key);
        section.reader.fault(
            by.key_span.clone(),
            message,
            "one too many",
            "remove one: both define who may assume the role",
        );
        return None;
    }
    if let Some(file) = file {
        section.note(&["roles", &entry.key, "trust"], &file.node.span);
        return section.reader.string(&file.node, "trust").map(Trust::File);
    }
    if let Some(by) = by {
        section.note(&["roles", &entry.key, "trusted_by"], &by.node.span);
        return trust::read(section.reader, &by.node).map(Trust::By);
    }
    if !section.is_removed() {
        let message = format!("`roles.{}` does not define who may assume it", entry.key);
        let help = "add trusted_by = { broker = true }, { accounts = [ … ] }, { principals = [ … ] } or { github = { … } }, or trust \
             with the \
                    path of a JSON file";
        section.reader.fault(entry.key_span.clone(), message, "no trust policy", help);
    }
    None
}

fn read_session(reader: &mut Reader<'_>, node: &Node) -> Option<u32> {
    let Value::Integer(number) = node.value else {
        reader.wrong_type(node, "max_session_duration", "an integer number of seconds");
        return None;
    };
    let seconds = u32::try_from(number).ok().filter(|seconds| SESSION.contains(seconds));
    if seconds.is_none() {
        let message = format!("`max_session_duration` cannot be {number}");
        reader.fault(
            node.span.clone(),
            message,
            "out of range",
            "IAM accepts 3,600 to 43,200 seconds: one to twelve hours",
        );
    }
    seconds
}

fn read_boundary(reader: &mut Reader<'_>, node: &Node) -> Option<Boundary> {
    match &node.value {
        Value::Bool(false) => Some(Boundary::Off),
        Value::String(_) => reader.checked(node, "permissions_boundary", check_managed).map(Boundary::Policy),
        _ => {
            reader.wrong_type(node, "permissions_boundary", "the ARN of a managed policy, or false for none");
            None
        }
    }
}

fn read_managed(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<String>> {
    let items = reader.list(node, "managed_policies")?;
    let mut all: BTreeSet<String> = BTreeSet::new();
    for item in items {
        let Some(arn) = reader.checked(item, "managed_policies", check_managed) else { continue };
        if !all.insert(arn.clone()) {
            reader.fault(item.span.clone(), format!("{arn} is listed twice"), "again", "remove one");
        }
    }
    if let Err(invalid) = check_managed_count(&all) {
        reader.fault(node.span.clone(), invalid.problem, "too many", invalid.help);
    }
    Some(all.into_iter().collect())
}

fn read_policies(section: &mut SectionReader<'_, '_>, key: &str, node: &Node) -> Option<IndexMap<String, String>> {
    let fields = section.reader.map(node, "policies")?;
    let mut all = IndexMap::new();
    for entry in fields.all() {
        section.note(&["roles", key, "policies", &entry.key], &entry.node.span);
        check_key(section.reader, entry, check_policy_name);
        if let Some(file) = section.reader.string(&entry.node, &entry.key) {
            all.insert(entry.key.clone(), file);
        }
    }
    Some(all)
}

/// Returns a section as TOML.
pub(super) fn write(key: &str, role: &RoleSection) -> String {
    let mut section = format!("[roles.{}]\n", bare(key));
    line(&mut section, "name", role.name.as_deref().map(quoted));
    line(&mut section, "path", role.path.as_deref().map(quoted));
    line(&mut section, "description", role.description.as_deref().map(quoted));
    line(&mut section, "max_session_duration", role.max_session_duration.map(|seconds| seconds.to_string()));
    let boundary = role.permissions_boundary.as_ref().map(|boundary| match boundary {
        Boundary::Off => String::from("false"),
        Boundary::Policy(arn) => quoted(arn),
    });
    line(&mut section, "permissions_boundary", boundary);
    match &role.trust {
        Some(Trust::File(file)) => line(&mut section, "trust", Some(quoted(file))),
        Some(Trust::By(by)) => line(&mut section, "trusted_by", Some(trust::write(by))),
        None => {}
    }
    line(&mut section, "managed_policies", role.managed_policies.as_deref().map(list));
    let policies = role.policies.as_ref().map(|all| {
        let pairs: Vec<String> = all.iter().map(|(name, file)| format!("{} = {}", bare(name), quoted(file))).collect();
        if pairs.is_empty() { String::from("{}") } else { format!("{{ {} }}", pairs.join(", ")) }
    });
    line(&mut section, "policies", policies);
    line(&mut section, "permissions", role.permissions.map(|permissions| quoted(permissions.as_str())));
    line(&mut section, "tags", role.tags.as_ref().map(tags));
    section
}

/// Returns the name in AWS.
pub(super) fn name(key: &str, section: &RoleSection) -> String {
    section.name.clone().unwrap_or_else(|| key.to_owned())
}

/// Returns the name by which others refer to a role: the resource part of its ARN, which lacks the account.
pub(super) fn referred_as(key: &str, section: &RoleSection) -> String {
    role_resource(&name(key, section), section.path.as_deref())
}

pub(super) fn provides(section: &RoleSection) -> Option<Service> {
    (section.permissions == Some(Permissions::Broker)).then_some(Service::Broker)
}

/// Returns the services that a role refers to without a name.
pub(super) fn service_references(section: &RoleSection) -> Vec<(Vec<String>, Service)> {
    match &section.trust {
        Some(Trust::By(TrustedBy::Broker)) => vec![(vec![String::from("trusted_by")], Service::Broker)],
        _ => Vec::new(),
    }
}

/// Returns the use of the manifest that a role requests permissions for.
pub(super) fn derives(section: &RoleSection) -> Option<Use> {
    section.permissions.map(Permissions::purpose)
}

/// The placeholder for permissions that are derived later.
const DERIVED: &str = "sentinel";

/// Sets the derived permissions of a role as inline policies.
pub(super) fn add_permissions(desired: &mut Desired<Role>, documents: Vec<PolicyDocument>) -> Result<(), Invalid> {
    let mut policies = desired.managed.policies.take().unwrap_or_default();
    policies.retain(|name, _| !is_derived(name));
    for (at, document) in documents.into_iter().enumerate() {
        let name = if at == 0 { DERIVED.to_owned() } else { format!("{DERIVED}-{}", at + 1) };
        policies.insert(name, document);
    }
    let checked = check_inline_size(&policies);
    desired.initial.policies = Some(policies.clone());
    desired.managed.policies = Some(policies);
    checked
}

/// Returns whether an inline policy has the name of a derived one.
fn is_derived(name: &str) -> bool {
    let number = name.strip_prefix(DERIVED).map(|rest| rest.strip_prefix('-').unwrap_or(rest));
    number.is_some_and(|number| number.chars().all(|letter| letter.is_ascii_digit()))
}

/// Returns the desired state of a section.
pub(super) fn resolve(resolver: &mut Resolver<'_>, key: &str, section: &RoleSection) -> Desired<Role> {
    let trust = section.trust.as_ref().and_then(|trust| resolve_trust(resolver, key, trust));
    let policies = resolve_policies(resolver, key, section);
    let place = ["roles", key, "managed_policies"];
    for arn in section.managed_policies.iter().flatten() {
        if let Err(invalid) = home::check(arn) {
            resolver.fault(&place, invalid, "no value");
        }
    }
    if let Some(Boundary::Policy(arn)) = &section.permissions_boundary
        && let Err(invalid) = home::check(arn)
    {
        resolver.fault(&["roles", key, "permissions_boundary"], invalid, "no value");
    }
    let managed = Role {
        // Path and name identify a role, and AWS cannot change them.
        path: Some(section.path.clone().unwrap_or_else(|| String::from("/"))),
        description: section.description.clone(),
        max_session_duration: section.max_session_duration,
        permissions_boundary: section.permissions_boundary.clone(),
        trust,
        managed_policies: section.managed_policies.as_ref().map(|all| all.iter().cloned().collect()),
        policies,
        tags: section.tags.as_ref().map(|own| resolver.tags(Some(own))),
        ..Role::default()
    };
    let initial = Role { tags: Some(resolver.initial_tags(&["roles", key], section.tags.as_ref())), ..managed.clone() };
    let desired = Desired::new(Address::new(KindId::Role, key), name(key, section), managed);
    Desired { ownership: resolver.ownership.clone(), initial, ..desired }
}

fn resolve_trust(resolver: &mut Resolver<'_>, key: &str, trust: &Trust) -> Option<PolicyDocument> {
    let (place, read, file) = match trust {
        Trust::File(file) => (["roles", key, "trust"], read_document(resolver, file, Form::Trust), Some(file)),
        Trust::By(by) => (["roles", key, "trusted_by"], trust::document(by, &resolver.served, &resolver.names), None),
    };
    let checked = read.and_then(|trust| check_trust_size(&trust).map(|()| trust));
    value_or_fault(resolver, &place, file, checked)
}

fn resolve_policies(
    resolver: &mut Resolver<'_>,
    key: &str,
    section: &RoleSection,
) -> Option<BTreeMap<String, PolicyDocument>> {
    let mut all = BTreeMap::new();
    for (name, file) in section.policies.iter().flatten() {
        let place = ["roles", key, "policies", name];
        if section.permissions.is_some() && is_derived(name) {
            let problem = format!(
                "the policy `{name}` of `roles.{key}` has the name of a policy that is derived for permissions"
            );
            resolver.fault(&place, Invalid::new(problem, "choose another name"), "taken");
        }
        let read = read_document(resolver, file, Form::Identity);
        if let Some(document) = value_or_fault(resolver, &place, Some(file), read) {
            all.insert(name.clone(), document);
        }
    }
    if section.permissions.is_some() {
        all.insert(DERIVED.to_owned(), PolicyDocument::from_aws("{}"));
    } else if let Err(invalid) = check_inline_size(&all) {
        resolver.fault(&["roles", key, "policies"], invalid, "too large");
    }
    (section.policies.is_some() || section.permissions.is_some()).then_some(all)
}

fn read_document(resolver: &Resolver<'_>, file: &str, form: Form) -> Result<PolicyDocument, Invalid> {
    let text = resolver.files.read(file)?;
    home::check(&text)?;
    PolicyDocument::parse_as(&text, form)
}

/// Returns a value that was read. An error becomes a fault, which names the file if there is one.
fn value_or_fault<T>(
    resolver: &mut Resolver<'_>,
    place: &[&str],
    file: Option<&String>,
    read: Result<T, Invalid>,
) -> Option<T> {
    let fault = |mut invalid: Invalid| {
        if let Some(file) = file.filter(|file| !invalid.problem.contains(*file)) {
            invalid.problem = format!("{file}: {}", invalid.problem);
        }
        resolver.fault(place, invalid, if file.is_some() { "this file" } else { "not possible" });
    };
    read.map_err(fault).ok()
}

/// Generators for property tests.
#[cfg(test)]
pub(super) mod any {
    use proptest::collection::vec;
    use proptest::option::of;
    use proptest::prelude::*;

    use super::super::trust::{GitHub, Jobs, Principals};
    use super::*;
    use crate::kind::section::any::tags as tag_sets;

    fn managed() -> impl Strategy<Value = String> {
        prop_oneof![
            "[A-Z][A-Za-z]{1,10}".prop_map(|name| format!("arn:aws:iam::aws:policy/{name}")),
            "[A-Za-z_-]{1,10}".prop_map(|name| format!("arn:aws:iam::123456789012:policy/team/{name}")),
        ]
    }

    fn trusts() -> impl Strategy<Value = Trust> {
        let principals = (
            proptest::collection::btree_set("[0-9]{12}", 1..3),
            proptest::collection::btree_set(
                "[a-z]{1,8}".prop_map(|name| format!("arn:aws:iam::123456789012:role/{name}")),
                0..3,
            ),
            of("[a-zA-Z0-9_+=,.@:/-]{2,12}"),
            of(any::<bool>()),
        );
        let principals = principals.prop_map(|(accounts, principals, external_id, mfa)| {
            let (accounts, principals) = (accounts.into_iter().collect(), principals.into_iter().collect());
            Trust::By(TrustedBy::Principals(Principals { accounts, principals, external_id, mfa }))
        });
        let jobs = prop_oneof!["[a-z/.-]{1,12}".prop_map(Jobs::Environment), "[a-z/.-]{1,12}".prop_map(Jobs::Branch)];
        let github = ("[a-z]{1,8}/[a-z._-]{1,8}", jobs)
            .prop_map(|(repository, jobs)| Trust::By(TrustedBy::GitHub(GitHub { repository, jobs })));
        prop_oneof!["[^\\pC{}]{1,12}".prop_map(Trust::File), principals, github, Just(Trust::By(TrustedBy::Broker))]
    }

    /// Generates sections.
    pub(in crate::kind) fn sections() -> impl Strategy<Value = IndexMap<String, RoleSection>> {
        let boundary = prop_oneof![Just(Boundary::Off), managed().prop_map(Boundary::Policy)];
        let permissions = proptest::sample::select(Permissions::VARIANTS);
        let managed =
            proptest::collection::btree_set(managed(), 0..4).prop_map(|all| all.into_iter().collect::<Vec<_>>());
        let policies = vec(("[a-zA-Z0-9_+=,.@-]{1,12}", "[^\\pC{}]{1,12}"), 0..3)
            .prop_map(|all| all.into_iter().collect::<IndexMap<_, _>>());
        let settings =
            (of("[a-zA-Z0-9_+=,.@-]{1,20}"), of("/([a-z]{1,6}/){0,2}"), of("[ -~]{0,20}"), of(SESSION), of(boundary));
        let rest = (trusts(), of(managed), of(policies), of(permissions), of(tag_sets()));
        let role = (settings, rest).prop_map(|(settings, rest)| {
            let (name, path, description, max_session_duration, permissions_boundary) = settings;
            let (trust, managed_policies, policies, permissions, tags) = rest;
            RoleSection {
                name,
                path,
                description,
                max_session_duration,
                permissions_boundary,
                trust: Some(trust),
                managed_policies,
                policies,
                permissions,
                tags,
            }
        });
        vec(("[a-zA-Z0-9_-]{1,12}", role), 0..3).prop_map(|sections| sections.into_iter().collect())
    }
}
