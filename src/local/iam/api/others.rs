//! Resources that roles are connected with: instance profiles, and the web identity providers of trust policies.

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::roles::stored;
use super::{page, rules, tags, time};
use crate::local::Region;
use crate::local::answer::{Failure, Form, Refusal, element};
use crate::local::iam::role::{Role, Tags, unique_id};
use crate::local::store;

const PROFILE: &str = "iam instance profile";
const PROVIDER: &str = "iam oidc provider";

/// IAM User Guide, "IAM and AWS STS quotas": roles of an instance profile, audiences of a provider, its certificates, providers.
const ROLES: usize = 1;
const CLIENTS: usize = 100;
const THUMBPRINTS: usize = 5;
const PROVIDERS: usize = 100;

#[derive(Debug, Serialize, Deserialize)]
struct Profile {
    name: String,
    path: String,
    id: String,
    created: i64,
    /// The names of its roles.
    roles: Vec<String>,
}

fn profile(store: &Connection, form: &Form) -> Result<Profile, Refusal> {
    let name = rules::name(form, "InstanceProfileName", rules::NAME)?;
    let found = store::object::<Profile>(store, PROFILE, &name.to_ascii_lowercase())?;
    found
        .filter(|one| one.name == *name)
        .ok_or_else(|| Refusal::missing(format!("Instance Profile {name} cannot be found.")))
}

fn save(store: &Connection, profile: &Profile) -> Result<(), Failure> {
    store::keep(store, PROFILE, &profile.name.to_ascii_lowercase(), profile)
}

fn of_role(store: &Connection, role: &str) -> Result<Vec<Profile>, Failure> {
    let all = store::objects::<Profile>(store, PROFILE)?.into_iter().map(|(_, profile)| profile);
    Ok(all.filter(|profile| profile.roles.iter().any(|one| one == role)).collect())
}

/// Returns whether a role is in an instance profile.
pub(super) fn has_profiles(store: &Connection, role: &str) -> Result<bool, Failure> {
    Ok(!of_role(store, role)?.is_empty())
}

fn shown(home: &Region, store: &Connection, profile: &Profile) -> Result<String, Refusal> {
    let role = |name: &String| -> Result<String, Refusal> {
        let role: Role = stored(store, name)?;
        let parts = [
            element("Path", &role.path),
            element("RoleName", &role.name),
            element("RoleId", &role.id),
            element("Arn", &role.arn()),
            element("CreateDate", &time(role.created)),
        ];
        Ok(format!("<member>{}</member>", parts.concat()))
    };
    let roles = profile.roles.iter().map(role).collect::<Result<String, _>>()?;
    let parts = [
        element("Path", &profile.path),
        element("InstanceProfileName", &profile.name),
        element("InstanceProfileId", &profile.id),
        element("Arn", &rules::arn(home, "instance-profile", &profile.path, &profile.name)),
        element("CreateDate", &time(profile.created)),
        format!("<Roles>{roles}</Roles>"),
    ];
    Ok(parts.concat())
}

pub(super) fn create_profile(home: &Region, form: &Form) -> Result<String, Refusal> {
    let name = rules::name(form, "InstanceProfileName", rules::NAME)?;
    let path = rules::path(form)?;
    home.store.write(|store| {
        if store::object::<Profile>(store, PROFILE, &name.to_ascii_lowercase())?.is_some() {
            return Err(Refusal::already_exists(format!("Instance Profile {name} already exists.")));
        }
        let id = unique_id("AIPA", &rules::arn(home, "instance-profile", &path, name));
        let profile = Profile { name: name.clone(), path, id, created: home.clock.now(), roles: Vec::new() };
        save(store, &profile)?;
        Ok(format!("<InstanceProfile>{}</InstanceProfile>", shown(home, store, &profile)?))
    })
}

pub(super) fn get_profile(home: &Region, form: &Form) -> Result<String, Refusal> {
    home.store.read(|store| {
        let profile = profile(store, form)?;
        Ok(format!("<InstanceProfile>{}</InstanceProfile>", shown(home, store, &profile)?))
    })
}

pub(super) fn delete_profile(home: &Region, form: &Form) -> Result<String, Refusal> {
    home.store.write(|store| {
        let profile = profile(store, form)?;
        if !profile.roles.is_empty() {
            return Err(Refusal::in_use("Cannot delete entity, must remove roles from instance profile first."));
        }
        store::remove(store, PROFILE, &profile.name.to_ascii_lowercase())?;
        Ok(String::new())
    })
}

pub(super) fn add_to_profile(home: &Region, form: &Form) -> Result<String, Refusal> {
    let role = rules::name(form, "RoleName", rules::ROLE_NAME)?;
    home.store.write(|store| {
        let mut profile = profile(store, form)?;
        stored(store, role)?;
        if profile.roles.len() >= ROLES {
            return Err(Refusal::limit_exceeded("InstanceSessionsPerInstanceProfile", ROLES));
        }
        profile.roles.push(role.clone());
        save(store, &profile)?;
        Ok(String::new())
    })
}

pub(super) fn remove_from_profile(home: &Region, form: &Form) -> Result<String, Refusal> {
    let role = rules::name(form, "RoleName", rules::ROLE_NAME)?;
    home.store.write(|store| {
        let mut profile = profile(store, form)?;
        if !profile.roles.contains(role) {
            let message = format!("Instance profile {} does not have the role {role}.", profile.name);
            return Err(Refusal::missing(message));
        }
        profile.roles.retain(|one| one != role);
        save(store, &profile)?;
        Ok(String::new())
    })
}

pub(super) fn profiles_of_a_role(home: &Region, form: &Form) -> Result<String, Refusal> {
    let role = rules::name(form, "RoleName", rules::ROLE_NAME)?;
    let members = home.store.read(|store| {
        stored(store, role)?;
        let found = of_role(store, role)?;
        found.iter().map(|profile| shown(home, store, profile)).collect::<Result<Vec<_>, Refusal>>()
    })?;
    page("InstanceProfiles", members, form)
}

/// A web identity provider. The end of its ARN is its URL without `https://`.
#[derive(Debug, Serialize, Deserialize)]
struct Provider {
    url: String,
    clients: Vec<String>,
    thumbprints: Vec<String>,
    created: i64,
    tags: Tags,
}

pub(super) fn create_provider(home: &Region, form: &Form) -> Result<String, Refusal> {
    let given = rules::required(form, "Url")?;
    let url = given.strip_prefix("https://").filter(|rest| !rest.is_empty() && !rest.starts_with('/'));
    let url = url.ok_or_else(|| Refusal::invalid_input("Invalid Open ID Connect Provider URL"))?;
    if given.len() > 255 {
        return Err(rules::constraint(given, "Url", "Member must have length less than or equal to 255"));
    }
    let copied = |list: &str| rules::members(form, list).into_iter().cloned().collect::<Vec<String>>();
    let (clients, thumbprints) = (copied("ClientIDList"), copied("ThumbprintList"));
    if clients.len() > CLIENTS {
        return Err(Refusal::limit_exceeded("ClientIdsPerOpenIdConnectProvider", CLIENTS));
    }
    if thumbprints.len() > THUMBPRINTS {
        return Err(Refusal::new("InvalidInput", "Thumbprint list must contain fewer than 5 entries."));
    }
    if let Some(bad) = thumbprints.iter().find(|one| one.len() != 40) {
        return Err(rules::constraint(bad, "ThumbprintList", "Member must have length equal to 40"));
    }
    let arn = rules::arn(home, "oidc-provider", "/", url);
    let url = url.to_owned();
    let provider = Provider { url, clients, thumbprints, created: home.clock.now(), tags: tags::read(form)? };
    home.store.write(|store| {
        if store::object::<Provider>(store, PROVIDER, &arn)?.is_some() {
            return Err(Refusal::already_exists(format!("Provider with url {given} already exists.")));
        }
        if store::objects::<Provider>(store, PROVIDER)?.len() >= PROVIDERS {
            return Err(Refusal::limit_exceeded("OpenIdConnectProvidersPerAccount", PROVIDERS));
        }
        store::keep(store, PROVIDER, &arn, &provider)?;
        Ok(element("OpenIDConnectProviderArn", &arn))
    })
}

fn provider_arn(form: &Form) -> Result<&String, Refusal> {
    rules::required(form, "OpenIDConnectProviderArn")
}

pub(super) fn get_provider(home: &Region, form: &Form) -> Result<String, Refusal> {
    let arn = provider_arn(form)?;
    let found = home.store.read(|store| store::object::<Provider>(store, PROVIDER, arn))?;
    let provider = found.ok_or_else(|| Refusal::missing(format!("OpenIDConnect Provider not found for arn {arn}")))?;
    let list = |name: &str, of: &[String]| {
        format!("<{name}>{}</{name}>", of.iter().map(|one| element("member", one)).collect::<String>())
    };
    let parts = [
        element("Url", &provider.url),
        list("ClientIDList", &provider.clients),
        list("ThumbprintList", &provider.thumbprints),
        element("CreateDate", &time(provider.created)),
        format!("<Tags>{}</Tags>", tags::shown(&provider.tags)),
    ];
    Ok(parts.concat())
}

/// Deleting a missing provider succeeds (IAM API Reference, "DeleteOpenIDConnectProvider").
pub(super) fn delete_provider(home: &Region, form: &Form) -> Result<String, Refusal> {
    let arn = provider_arn(form)?;
    home.store.write(|store| {
        store::remove(store, PROVIDER, arn)?;
        Ok(String::new())
    })
}

pub(super) fn list_providers(home: &Region) -> Result<String, Refusal> {
    let all = home.store.read(|store| store::objects::<Provider>(store, PROVIDER))?;
    let member = |(arn, _): (String, Provider)| format!("<member>{}</member>", element("Arn", &arn));
    Ok(format!(
        "<OpenIDConnectProviderList>{}</OpenIDConnectProviderList>",
        all.into_iter().map(member).collect::<String>()
    ))
}
