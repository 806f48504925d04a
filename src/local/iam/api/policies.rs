//! Policies of roles: inline policies, and managed policies with their attachments.

use super::roles::{change, existing};
use super::{documents, encoded, page, rules, tags, time};
use crate::local::Region;
use crate::local::answer::{Form, Refusal, element};
use crate::local::iam::managed::{self, Policy};
use crate::local::iam::role::{Role, unique_id};

/// IAM User Guide, "IAM and AWS STS quotas": the length of all inline policies of a role without white space, the length of a managed
/// policy, and the number of managed policies of a role.
const INLINE: usize = 10_240;
const MANAGED: usize = 6_144;
const ATTACHED: usize = 10;

pub(super) fn put(home: &Region, form: &Form) -> Result<String, Refusal> {
    let name = rules::name(form, "PolicyName", rules::NAME)?;
    let text = rules::required(form, "PolicyDocument")?;
    change(home, form, |role, _| {
        documents::check_identity(text)?;
        role.inline.insert(name.clone(), text.clone());
        if role.inline.values().map(|text| documents::length(text)).sum::<usize>() > INLINE {
            let message = format!("Maximum policy size of {INLINE} bytes exceeded for role {}", role.name);
            return Err(Refusal::new("LimitExceeded", message).with_status(409));
        }
        Ok(String::new())
    })
}

fn no_inline(name: &str) -> Refusal {
    Refusal::missing(format!("The role policy with name {name} cannot be found."))
}

pub(super) fn get(home: &Region, form: &Form) -> Result<String, Refusal> {
    let name = rules::name(form, "PolicyName", rules::NAME)?;
    let role = existing(home, form)?;
    let text = role.inline.get(name).ok_or_else(|| no_inline(name))?;
    let parts =
        [element("RoleName", &role.name), element("PolicyName", name), element("PolicyDocument", &encoded(text))];
    Ok(parts.concat())
}

pub(super) fn delete(home: &Region, form: &Form) -> Result<String, Refusal> {
    let name = rules::name(form, "PolicyName", rules::NAME)?;
    change(home, form, |role, _| match role.inline.remove(name) {
        Some(_) => Ok(String::new()),
        None => Err(no_inline(name)),
    })
}

pub(super) fn list(home: &Region, form: &Form) -> Result<String, Refusal> {
    let role = existing(home, form)?;
    page("PolicyNames", role.inline.into_keys().map(|name| escaped(&name)).collect(), form)
}

/// Names contain no characters that XML escapes, unless an earlier release stored them.
fn escaped(name: &str) -> String {
    name.replace('&', "&amp;").replace('<', "&lt;")
}

/// Returns whether a text is the ARN of a managed policy.
pub(super) fn is_policy_arn(arn: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    matches!(parts[..], ["arn", _, "iam", "", _, name] if name.strip_prefix("policy/").is_some_and(|name| !name.is_empty()))
}

fn policy_arn(form: &Form) -> Result<&String, Refusal> {
    let arn = rules::required(form, "PolicyArn")?;
    if is_policy_arn(arn) {
        return Ok(arn);
    }
    Err(Refusal::new("InvalidInput", format!("ARN {arn} is not valid.")))
}

pub(super) fn attach(home: &Region, form: &Form) -> Result<String, Refusal> {
    let arn = policy_arn(form)?;
    change(home, form, |role, store| {
        if !managed::exists(store, arn)? {
            let message = format!("Policy {arn} does not exist or is not attachable.");
            return Err(Refusal::missing(message));
        }
        if role.attached.contains(arn) {
            return Ok(String::new());
        }
        role.attached.push(arn.clone());
        if role.attached.len() > ATTACHED {
            Err(Refusal::limit_exceeded("PoliciesPerRole", ATTACHED))
        } else {
            Ok(String::new())
        }
    })
}

pub(super) fn detach(home: &Region, form: &Form) -> Result<String, Refusal> {
    let arn = policy_arn(form)?;
    change(home, form, |role, _| {
        let before = role.attached.len();
        role.attached.retain(|one| one != arn);
        if role.attached.len() == before {
            return Err(Refusal::missing(format!("Policy {arn} was not found.")));
        }
        Ok(String::new())
    })
}

pub(super) fn list_attached(home: &Region, form: &Form) -> Result<String, Refusal> {
    let prefix = rules::path_prefix(form)?;
    let role = existing(home, form)?;
    // arn:aws:iam::ACCOUNT:policy/PATH/NAME
    let path_of = |arn: &str| arn.split_once(":policy/").map(|(_, path)| format!("/{path}")).unwrap_or_default();
    let wanted = role.attached.iter().filter(|arn| path_of(arn).starts_with(prefix));
    let member = |arn: &String| {
        format!("{}{}", element("PolicyName", arn.rsplit('/').next().unwrap_or_default()), element("PolicyArn", arn))
    };
    page("AttachedPolicies", wanted.map(member).collect(), form)
}

pub(super) fn create_managed(home: &Region, form: &Form) -> Result<String, Refusal> {
    let name = rules::name(form, "PolicyName", rules::NAME)?;
    let path = rules::path(form)?;
    let text = rules::required(form, "PolicyDocument")?;
    let arn = rules::arn(home, "policy", &path, name);
    documents::check_identity(text)?;
    if documents::length(text) > MANAGED {
        return Err(Refusal::limit_exceeded("PolicySize", MANAGED));
    }
    let policy = Policy {
        name: name.clone(),
        path,
        id: unique_id("ANPA", &arn),
        created: home.clock.now(),
        description: rules::description(form)?.unwrap_or_default(),
        document: text.clone(),
        tags: tags::read(form)?,
    };
    home.store.write(|store| {
        // Names are unique regardless of path and case.
        if Policy::all(store)?.iter().any(|(_, one)| one.name.eq_ignore_ascii_case(name)) {
            let message = format!("A policy called {name} already exists. Duplicate names are not allowed.");
            return Err(Refusal::already_exists(message));
        }
        policy.save(store, &arn)?;
        Ok(format!("<Policy>{}</Policy>", shown(&arn, &policy, 0)))
    })
}

fn shown(arn: &str, policy: &Policy, attachments: usize) -> String {
    let at = time(policy.created);
    let mut parts = vec![
        element("PolicyName", &policy.name),
        element("PolicyId", &policy.id),
        element("Arn", arn),
        element("Path", &policy.path),
        element("DefaultVersionId", "v1"),
        element("AttachmentCount", &attachments.to_string()),
        element("PermissionsBoundaryUsageCount", "0"),
        element("IsAttachable", "true"),
        element("CreateDate", &at),
        element("UpdateDate", &at),
    ];
    if !policy.description.is_empty() {
        parts.push(element("Description", &policy.description));
    }
    if !policy.tags.is_empty() {
        parts.push(format!("<Tags>{}</Tags>", tags::shown(&policy.tags)));
    }
    parts.concat()
}

fn no_policy(arn: &str) -> Refusal {
    Refusal::missing(format!("Policy {arn} was not found."))
}

/// Returns the number of roles with a policy attached, and of those with it as their boundary.
fn uses(roles: &[Role], arn: &str) -> (usize, usize) {
    let attached = roles.iter().filter(|role| role.attached.iter().any(|one| one == arn)).count();
    (attached, roles.iter().filter(|role| role.boundary.as_deref() == Some(arn)).count())
}

pub(super) fn get_managed(home: &Region, form: &Form) -> Result<String, Refusal> {
    let arn = policy_arn(form)?;
    home.store.read(|store| {
        let (attached, _) = uses(&Role::all(store)?, arn);
        if let Some(policy) = Policy::load(store, arn)? {
            return Ok(format!("<Policy>{}</Policy>", shown(arn, &policy, attached)));
        }
        let (version, _) = managed::of_aws(arn).ok_or_else(|| no_policy(arn))?;
        let parts = [
            element("PolicyName", arn.rsplit('/').next().unwrap_or_default()),
            element("PolicyId", &unique_id("ANPA", arn)),
            element("Arn", arn),
            element("Path", "/"),
            element("DefaultVersionId", version),
            element("AttachmentCount", &attached.to_string()),
            element("IsAttachable", "true"),
        ];
        Ok(format!("<Policy>{}</Policy>", parts.concat()))
    })
}

pub(super) fn get_managed_version(home: &Region, form: &Form) -> Result<String, Refusal> {
    let arn = policy_arn(form)?;
    let wanted = rules::required(form, "VersionId")?;
    home.store.read(|store| {
        let own = Policy::load(store, arn)?.map(|policy| (String::from("v1"), policy.document, policy.created));
        let of_aws = || managed::of_aws(arn).map(|(version, document)| (version.to_owned(), document.to_owned(), 0));
        let (version, document, created) = own.or_else(of_aws).ok_or_else(|| no_policy(arn))?;
        if version != *wanted {
            let message = format!("Policy {arn} version {wanted} does not exist or is not attachable.");
            return Err(Refusal::missing(message));
        }
        let parts = [
            element("Document", &encoded(&document)),
            element("VersionId", &version),
            element("IsDefaultVersion", "true"),
            element("CreateDate", &time(created)),
        ];
        Ok(format!("<PolicyVersion>{}</PolicyVersion>", parts.concat()))
    })
}

pub(super) fn delete_managed(home: &Region, form: &Form) -> Result<String, Refusal> {
    let arn = policy_arn(form)?;
    home.store.write(|store| {
        Policy::load(store, arn)?.ok_or_else(|| no_policy(arn))?;
        if uses(&Role::all(store)?, arn) != (0, 0) {
            return Err(Refusal::in_use("Cannot delete a policy attached to entities."));
        }
        Policy::remove(store, arn)?;
        Ok(String::new())
    })
}
