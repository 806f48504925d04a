//! Roles: trust policies, boundaries and other settings.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::{documents, encoded, page, policies, rules, tags, time};
use crate::local::Region;
use crate::local::answer::{Form, Refusal, element};
use crate::local::iam::managed;
use crate::local::iam::role::{Role, Tags, unique_id};

/// The maximum number of roles of an account (IAM User Guide, "IAM and AWS STS quotas").
const MAX: usize = 1000;

/// Finds the role of a request.
pub(super) fn existing(home: &Region, form: &Form) -> Result<Role, Refusal> {
    let name = rules::name(form, "RoleName", rules::ROLE_NAME)?;
    home.store.read(|store| stored(store, name))
}

/// Finds a role by its exact name.
pub(super) fn stored(store: &Connection, name: &str) -> Result<Role, Refusal> {
    let found = Role::load(store, name)?.filter(|role| role.name == name);
    found.ok_or_else(|| Refusal::missing(format!("The role with name {name} cannot be found.")))
}

/// Changes the role of a request, unless it is service-linked.
pub(super) fn change(
    home: &Region,
    form: &Form,
    work: impl FnOnce(&mut Role, &Connection) -> Result<String, Refusal>,
) -> Result<String, Refusal> {
    let name = rules::name(form, "RoleName", rules::ROLE_NAME)?;
    home.store.write(|store| {
        let mut role = stored(store, name)?;
        check_ours(&role)?;
        let answer = work(&mut role, store)?;
        role.save(store)?;
        Ok(answer)
    })
}

fn check_ours(role: &Role) -> Result<(), Refusal> {
    if !role.is_of_a_service() {
        return Ok(());
    }
    let why = "this role is only modifiable by AWS";
    let message = format!("Cannot perform the operation on the protected role '{}' - {why}", role.name);
    Err(Refusal::new("UnmodifiableEntity", message))
}

/// The settings of a new role.
struct New {
    name: String,
    path: String,
    trust: String,
    description: String,
    longest_session: i64,
    boundary: Option<String>,
    tags: Tags,
}

fn add(home: &Region, new: New) -> Result<String, Refusal> {
    home.store.write(|store| {
        if Role::load(store, &new.name)?.is_some() {
            return Err(Refusal::already_exists(format!("Role with name {} already exists.", new.name)));
        }
        let all = Role::all(store)?;
        if all.len() >= MAX {
            return Err(Refusal::limit_exceeded("RolesPerAccount", MAX));
        }
        let (trust, trusted_ids) = documents::trust(home, store, &new.trust)?;
        if let Some(arn) = &new.boundary {
            check_boundary(store, arn)?;
        }
        let created = home.clock.now();
        // A role that is recreated at the same moment gets another ID.
        let seed = format!("{} {} {created} {}", home.account, new.name, fastrand::u64(..));
        let role = Role {
            id: unique_id("AROA", &seed),
            name: new.name,
            path: new.path,
            account: home.account.clone(),
            created,
            description: new.description,
            longest_session: new.longest_session,
            trust,
            trusted_ids,
            inline: BTreeMap::new(),
            attached: Vec::new(),
            boundary: new.boundary,
            tags: new.tags,
        };
        role.save(store)?;
        Ok(format!("<Role>{}{}</Role>", shown(store, &role)?, details(&role)))
    })
}

pub(super) fn create(home: &Region, form: &Form) -> Result<String, Refusal> {
    let name = rules::name(form, "RoleName", rules::ROLE_NAME)?.clone();
    let path = rules::path(form)?;
    if path.starts_with("/aws-service-role/") {
        let message = "Paths that begin with /aws-service-role/ are reserved for service-linked roles.";
        return Err(Refusal::invalid_input(message));
    }
    add(
        home,
        New {
            name,
            path,
            trust: rules::required(form, "AssumeRolePolicyDocument")?.clone(),
            description: rules::description(form)?.unwrap_or_default(),
            longest_session: rules::longest_session(form)?,
            boundary: form.get("PermissionsBoundary").cloned(),
            tags: tags::read(form)?,
        },
    )
}

/// Creates a service-linked role.
pub(super) fn create_of_a_service(home: &Region, form: &Form) -> Result<String, Refusal> {
    let service = rules::required(form, "AWSServiceName")?;
    let Some(short) = service.strip_suffix(".amazonaws.com").filter(|short| !short.is_empty()) else {
        return Err(Refusal::new("InvalidInput", format!("{service} is not a service that has service-linked roles")));
    };
    let suffix = form.get("CustomSuffix").map(|suffix| format!("_{suffix}")).unwrap_or_default();
    let capital = |word: &str| format!("{}{}", word[..1].to_uppercase(), &word[1..]);
    let text = short.split(['.', '-']).filter(|word| word.is_ascii() && !word.is_empty());
    let name = format!("AWSServiceRoleFor{}{suffix}", text.map(capital).collect::<String>());
    let trust = serde_json::json!({
        "Version": "2012-10-17",
        "Statement": [{ "Effect": "Allow", "Principal": { "Service": service }, "Action": "sts:AssumeRole" }],
    });
    add(
        home,
        New {
            name,
            path: format!("/aws-service-role/{service}/"),
            trust: trust.to_string(),
            description: rules::description(form)?.unwrap_or_default(),
            longest_session: rules::SESSION,
            boundary: None,
            tags: Tags::new(),
        },
    )
}

/// Returns the part of a role that every response contains.
fn shown(store: &Connection, role: &Role) -> Result<String, Refusal> {
    let mut parts = vec![
        element("Path", &role.path),
        element("RoleName", &role.name),
        element("RoleId", &role.id),
        element("Arn", &role.arn()),
        element("CreateDate", &time(role.created)),
        element("AssumeRolePolicyDocument", &encoded(&documents::shown_trust(store, role)?)),
        element("MaxSessionDuration", &role.longest_session.to_string()),
    ];
    if !role.description.is_empty() {
        parts.push(element("Description", &role.description));
    }
    Ok(parts.concat())
}

/// Returns the part of a role that a list omits. Source: IAM API Reference, "ListRoles".
fn details(role: &Role) -> String {
    let boundary = role.boundary.as_ref().map(|arn| {
        let parts = [element("PermissionsBoundaryType", "Policy"), element("PermissionsBoundaryArn", arn)];
        format!("<PermissionsBoundary>{}</PermissionsBoundary>", parts.concat())
    });
    let tags = if role.tags.is_empty() { String::new() } else { format!("<Tags>{}</Tags>", tags::shown(&role.tags)) };
    format!("{}{tags}", boundary.unwrap_or_default())
}

pub(super) fn get(home: &Region, form: &Form) -> Result<String, Refusal> {
    let name = rules::name(form, "RoleName", rules::ROLE_NAME)?;
    home.store.read(|store| {
        let role = stored(store, name)?;
        Ok(format!("<Role>{}{}<RoleLastUsed/></Role>", shown(store, &role)?, details(&role)))
    })
}

pub(super) fn list(home: &Region, form: &Form) -> Result<String, Refusal> {
    let prefix = rules::path_prefix(form)?;
    let roles = home.store.read(|store| {
        let all = Role::all(store)?;
        let wanted = all.iter().filter(|role| role.path.starts_with(prefix));
        wanted.map(|role| shown(store, role)).collect::<Result<Vec<_>, Refusal>>()
    })?;
    page("Roles", roles, form)
}

/// An omitted description is kept; an omitted maximum session duration is reset to an hour (IAM API Reference, "UpdateRole").
pub(super) fn update(home: &Region, form: &Form) -> Result<String, Refusal> {
    let (description, longest_session) = (rules::description(form)?, rules::longest_session(form)?);
    change(home, form, |role, _| {
        if let Some(description) = description {
            role.description = description;
        }
        role.longest_session = longest_session;
        Ok(String::new())
    })
}

pub(super) fn update_description(home: &Region, form: &Form) -> Result<String, Refusal> {
    let description = rules::description(form)?.unwrap_or_default();
    change(home, form, |role, store| {
        role.description = description;
        Ok(format!("<Role>{}</Role>", shown(store, role)?))
    })
}

pub(super) fn update_trust(home: &Region, form: &Form) -> Result<String, Refusal> {
    let text = rules::required(form, "PolicyDocument")?;
    change(home, form, |role, store| {
        (role.trust, role.trusted_ids) = documents::trust(home, store, text)?;
        Ok(String::new())
    })
}

fn check_boundary(store: &Connection, arn: &str) -> Result<(), Refusal> {
    if !policies::is_policy_arn(arn) {
        let message = format!("Value ({arn}) for parameter PermissionsBoundary is invalid.");
        return Err(Refusal::new("InvalidParameterValue", message));
    }
    if managed::exists(store, arn)? {
        return Ok(());
    }
    Err(Refusal::missing(format!("Scope ARN: {arn} does not exist or is not attachable.")))
}

pub(super) fn put_boundary(home: &Region, form: &Form) -> Result<String, Refusal> {
    let arn = rules::required(form, "PermissionsBoundary")?;
    change(home, form, |role, store| {
        check_boundary(store, arn)?;
        role.boundary = Some(arn.clone());
        Ok(String::new())
    })
}

pub(super) fn delete_boundary(home: &Region, form: &Form) -> Result<String, Refusal> {
    change(home, form, |role, _| {
        role.boundary = None;
        Ok(String::new())
    })
}

pub(super) fn delete(home: &Region, form: &Form) -> Result<String, Refusal> {
    let name = rules::name(form, "RoleName", rules::ROLE_NAME)?;
    home.store.write(|store| {
        let role = stored(store, name)?;
        check_ours(&role)?;
        if super::others::has_profiles(store, name)? {
            return Err(Refusal::in_use("Cannot delete entity, must remove roles from instance profile first."));
        }
        if !role.attached.is_empty() {
            return Err(Refusal::in_use("Cannot delete entity, must detach all policies first."));
        }
        if !role.inline.is_empty() {
            return Err(Refusal::in_use("Cannot delete entity, must delete policies first."));
        }
        role.remove(store)?;
        Ok(String::new())
    })
}
