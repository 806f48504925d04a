//! `sentinel trust check`: whether AWS enforces the gate of each profile.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::Site;
use crate::access::gate::User;
use crate::cli::TrustCheckArgs;
use crate::command::context::Context;
use crate::error::{Error, Exit};
use crate::kind::document::PolicyDocument;
use crate::kind::references::Service;
use crate::kind::role::Attempt;
use crate::manifest::Builtin;
use crate::report::{escape, json};
use crate::resource::call::Class;
use crate::resource::caller::{Caller, account_of};
use crate::resource::names::RoleArn;
use crate::resource::record_key::Prefix;
use crate::trust::gate::{Finding, Role, findings};

/// What reads or writes items of a table.
const ACTIONS: [&str; 12] = [
    "dynamodb:BatchGetItem",
    "dynamodb:BatchWriteItem",
    "dynamodb:DeleteItem",
    "dynamodb:GetItem",
    "dynamodb:PartiQLDelete",
    "dynamodb:PartiQLInsert",
    "dynamodb:PartiQLSelect",
    "dynamodb:PartiQLUpdate",
    "dynamodb:PutItem",
    "dynamodb:Query",
    "dynamodb:Scan",
    "dynamodb:UpdateItem",
];

/// One item of each kind of record, since permissions may differ by the partition key.
const RECORDS: [Prefix; 8] = [
    Prefix::Request,
    Prefix::Decision,
    Prefix::Revocation,
    Prefix::Lock,
    Prefix::Event,
    Prefix::Closure,
    Prefix::Place,
    Prefix::Session,
];

/// What was read of a role.
type Read = Result<Option<PolicyDocument>, String>;

/// A profile, and why AWS does not enforce its gate.
struct Checked {
    profile: String,
    role: Option<RoleArn>,
    findings: Vec<Finding>,
}

/// What a principal may do with the tables itself.
struct Principal {
    arn: String,
    /// `ACTION on ARN`, or why that is not known.
    may: Result<Vec<String>, String>,
}

pub(in crate::command) async fn check(context: &Context, args: &TrustCheckArgs) -> Result<Exit, Error> {
    let site = Site::new(context).await?;
    let profiles = chosen(&site, &args.profiles)?;
    let caller = site.gateway.identify().await.map_err(|error| site.failed(error))?;
    User::of(caller.clone(), site.account()).map_err(|stopped| site.stopped(stopped))?;
    let broker = broker(&site, &caller);
    let brokered = site.manifest.brokered_roles(&caller);
    let role = |profile: &String| brokered.get(profile.as_str()).cloned();
    let roles: Vec<(String, Option<RoleArn>)> =
        profiles.into_iter().map(|profile| (profile.clone(), role(&profile))).collect();
    let wanted: BTreeSet<&RoleArn> = roles.iter().filter_map(|(_, role)| role.as_ref()).chain(&broker).collect();
    let read = join_all(wanted.into_iter().map(|role| read(&site, &caller, role))).await;
    let read: BTreeMap<&RoleArn, Read> = read.into_iter().collect::<Result<_, Error>>()?;
    let of_broker = known(broker.as_ref(), &read);
    let checked: Vec<Checked> = roles
        .iter()
        .map(|(profile, role)| Checked {
            profile: profile.clone(),
            role: role.clone(),
            findings: findings(known(role.as_ref(), &read), of_broker),
        })
        .collect();
    let tables = tables(&site, &caller);
    let named = args.principals.iter().map(|arn| Named::Arn(arn.clone()));
    let wanted: BTreeSet<Named> = named.chain(listed(&site, &caller)).collect();
    let principals = join_all(wanted.iter().map(|named| simulated(&site, named, &tables))).await;
    let found = checked.iter().any(|one| !one.findings.is_empty())
        || principals.iter().any(|one| one.may.as_ref().is_ok_and(|may| !may.is_empty()));
    context.terminal.either(|| text(&checked, &principals), || document(&checked, &principals))?;
    Ok(if found { Exit::Changes } else { Exit::Done })
}

/// Returns the profiles to check: those that are named, or all that there are.
fn chosen(site: &Site, named: &[String]) -> Result<Vec<String>, Error> {
    let known = &site.manifest.sections.profiles;
    if let Some(name) = named.iter().find(|name| !known.contains_key(*name)) {
        let hint = match site.profile_meant(name) {
            Some(meant) => format!("did you mean {meant}?"),
            None => String::from("name a profile of the manifest, or none to check all"),
        };
        return Err(Error::usage(format!("the manifest has no profile {name}"), hint));
    }
    if named.is_empty() { Ok(known.keys().cloned().collect()) } else { Ok(named.to_vec()) }
}

/// Returns the role that the broker runs with.
fn broker(site: &Site, caller: &Caller) -> Option<RoleArn> {
    let resource = site.manifest.sections.serving(Service::Broker)?;
    Some(RoleArn::new(format!("arn:{}:iam::{}:{resource}", caller.partition(), caller.account)))
}

/// Reads a role. A denial or an absent role is part of the result; any other failure ends the check.
async fn read<'a>(site: &Site, caller: &Caller, role: &'a RoleArn) -> Result<(&'a RoleArn, Read), Error> {
    if account_of(role).is_some_and(|account| *account != *caller.account) {
        return Ok((role, Err(format!("it is in another account than the caller ({})", caller.account))));
    }
    match site.gateway.role_trust(role).await {
        Ok(found) => Ok((role, Ok(found))),
        Err(error) if error.class == Class::Denied => Ok((role, Err(error.to_string()))),
        Err(error) => Err(site.failed(error)),
    }
}

fn known<'a>(role: Option<&'a RoleArn>, read: &'a BTreeMap<&RoleArn, Read>) -> Role<'a> {
    let Some(arn) = role else { return Role::Unnamed };
    match read.get(arn) {
        None | Some(Ok(None)) => Role::Absent(arn),
        Some(Ok(Some(policy))) => Role::Live(arn, policy.value()),
        Some(Err(why)) => Role::Unread(arn, why),
    }
}

/// Returns the ARNs of the tables with the records of access.
fn tables(site: &Site, caller: &Caller) -> Vec<String> {
    let arn = |builtin: &Builtin| {
        let (partition, region, name) = (caller.partition(), site.region(), site.known_table(*builtin));
        format!("arn:{partition}:dynamodb:{region}:{}:table/{name}", caller.account)
    };
    Builtin::ALL.iter().map(arn).collect()
}

/// A user or role whose permissions are looked at.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Named {
    Arn(String),
    /// A role by name, since the ARN of a session lacks the role's path.
    Role(RoleArn),
    /// Principals of `[broker]` that IAM does not simulate, and why.
    Other {
        pattern: String,
        why: &'static str,
    },
}

/// Returns the principals that `[broker]` lists.
fn listed(site: &Site, caller: &Caller) -> Vec<Named> {
    let section = &site.manifest.broker;
    let lists = [section.principals.as_ref(), section.approvers.as_ref(), section.operators.as_ref()];
    lists.into_iter().flatten().flatten().map(|principal| named(principal.as_str(), caller)).collect()
}

/// Returns the user or role of a pattern, if it is one, in the caller's account.
fn named(pattern: &str, caller: &Caller) -> Named {
    let other = |why| Named::Other { pattern: pattern.to_owned(), why };
    let parts: Vec<&str> = pattern.splitn(6, ':').collect();
    let ["arn", _, service, "", account, resource] = parts[..] else { return other("it is not an ARN") };
    if account != "*" && account != &*caller.account {
        return other("it is in another account than the caller");
    }
    let (kind, rest) = resource.split_once('/').unwrap_or((resource, ""));
    let role = rest.split('/').next().unwrap_or_default();
    let arn = |resource: &str| format!("arn:{}:iam::{}:{resource}", caller.partition(), caller.account);
    match (service, kind) {
        ("iam", "user") if !rest.contains('*') => Named::Arn(arn(resource)),
        ("sts", "assumed-role") if !role.contains('*') => Named::Role(RoleArn::new(arn(&format!("role/{role}")))),
        ("sts", "federated-user") => other("IAM does not simulate federated users"),
        _ => other("it is a pattern; name its users or roles with --principal"),
    }
}

/// Asks IAM about a principal, if that is possible.
async fn simulated(site: &Site, named: &Named, tables: &[String]) -> Principal {
    match named {
        Named::Arn(arn) => may(site, arn, tables).await,
        Named::Role(role) => match site.gateway.role_arn(role).await {
            Ok(Some(arn)) => may(site, &arn, tables).await,
            Ok(None) => Principal { arn: role.to_string(), may: Err(String::from("the role does not exist")) },
            Err(error) => Principal { arn: role.to_string(), may: Err(error.to_string()) },
        },
        Named::Other { pattern, why } => Principal { arn: pattern.clone(), may: Err((*why).to_owned()) },
    }
}

/// Asks IAM what a principal may do with the tables itself.
async fn may(site: &Site, principal: &str, tables: &[String]) -> Principal {
    let mut found = BTreeSet::new();
    for prefix in RECORDS {
        let key = prefix.key("0123456789abcdef");
        let attempt = Attempt { principal, actions: &ACTIONS, tables, key: &key };
        match site.gateway.allowed(&attempt).await {
            Ok(allowed) => found.extend(allowed),
            Err(error) => return Principal { arn: principal.to_owned(), may: Err(error.to_string()) },
        }
    }
    Principal { arn: principal.to_owned(), may: Ok(found.into_iter().collect()) }
}

fn text(checked: &[Checked], principals: &[Principal]) -> String {
    let mut text = String::new();
    if checked.is_empty() {
        text.push_str("The manifest has no profile.\n");
    }
    for Checked { profile, findings, .. } in checked {
        let word = if findings.is_empty() { "enforced by AWS" } else { "advisory: AWS does not enforce the gate" };
        text.push_str(&format!("{}: {word}\n", escape(profile)));
        for finding in findings {
            text.push_str(&format!("  - {}\n", escape(&finding.to_string())));
        }
    }
    for Principal { arn, may } in principals {
        match may {
            Ok(may) if may.is_empty() => {
                text.push_str(&format!("{}: no permissions on the tables\n", escape(arn)));
            }
            Ok(may) => {
                text.push_str(&format!("{}: has permissions on the tables\n", escape(arn)));
                for one in may {
                    text.push_str(&format!("  - {}\n", escape(one)));
                }
            }
            Err(why) => text.push_str(&format!("{}: permissions not known: {}\n", escape(arn), escape(why))),
        }
    }
    text
}

fn document(checked: &[Checked], principals: &[Principal]) -> json::Document {
    let profile = |Checked { profile, role, findings }: &Checked| {
        let found: Vec<Value> = findings.iter().map(shown).collect();
        json!({ "profile": profile, "role": role.as_deref(), "enforced": findings.is_empty(), "findings": found })
    };
    let principal = |Principal { arn, may }: &Principal| match may {
        Ok(may) => json!({ "arn": arn, "allowed": may }),
        Err(why) => json!({ "arn": arn, "unknown": why }),
    };
    json::document(
        "trust check",
        json!({
            "profiles": checked.iter().map(profile).collect::<Vec<_>>(),
            "principals": principals.iter().map(principal).collect::<Vec<_>>(),
        }),
    )
}

fn shown(finding: &Finding) -> Value {
    let message = finding.to_string();
    match finding {
        Finding::Opening(role, opening) | Finding::BrokerOpening(role, opening) => json!({
            "role": **role, "statement": opening.statement.to_string(), "principal": opening.principal, "message": message,
        }),
        Finding::Absent(role) | Finding::Unread(role, _) | Finding::Shut(role) | Finding::Same(role) => {
            json!({ "role": **role, "message": message })
        }
        Finding::NoRole | Finding::NoBroker => json!({ "message": message }),
    }
}
