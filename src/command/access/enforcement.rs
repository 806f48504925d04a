//! `sentinel trust check`: whether AWS enforces the gate of each profile.

mod approvers;
mod principals;

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::Site;
use crate::access::gate::User;
use crate::cli::TrustCheckArgs;
use crate::command::context::Context;
use crate::diagnostic::some;
use crate::document::closest;
use crate::error::{Error, Exit};
use crate::kind::document::PolicyDocument;
use crate::kind::references::Service;
use crate::report::{escape, json};
use crate::resource::call::Class;
use crate::resource::caller::{Caller, account_of};
use crate::resource::names::RoleArn;
use crate::trust::bypass::{Bypass, Permissions, Target, Undecided, gives_access};
use crate::trust::gate::{Finding, Role, findings};
pub(in crate::command) use principals::assumed_roles;
pub(in crate::command) use principals::lists_roles_by_pattern;
use principals::{
    Checked as Principal, Guarded, Named, OfProfile, PermissionsResult, checked as check_principal, expanded, listed,
};

/// What the check cannot see, whatever the principals are.
const NOT_CHECKED: [&str; 7] = [
    "principals other than those of [broker], the profiles' own roles, and --principal",
    "who can assume the roles in [broker], and with which session names",
    "taking over users or roles other than the approvers and operators that [broker] names exactly",
    "roles outside [broker] that principals can assume, and what these roles can do",
    "permissions on only some groups of IAM users, or on only the managed policies of a user",
    "permissions on only the resources that run the broker, such as its Amazon ECS service or Kubernetes namespace",
    "resource-based policies of the tables",
];

/// What is not checked if `[broker]` has no `principals`.
const NO_PRINCIPALS: &str =
    "the users of the broker: without principals in [broker], it serves all users and roles of its accounts";

/// What is not checked if the broker serves several accounts.
const OTHER_ACCOUNTS: &str = "principals of the other accounts that the broker serves";

/// What was read of a role.
type Read = Result<Option<PolicyDocument>, String>;

/// Whether AWS enforces the gate of a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Enforced,
    Unknown,
    Advisory,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Enforced => "enforced",
            Self::Unknown => "unknown",
            Self::Advisory => "advisory",
        }
    }
}

/// A profile, and why AWS does not enforce its gate, or why that is not known.
struct Profile<'a> {
    name: &'a str,
    role: Option<&'a RoleArn>,
    state: State,
    findings: Vec<Finding>,
    /// The principals that can bypass the broker.
    bypassed_by: Vec<&'a str>,
    /// Why it is not known whether others can.
    unknown: Vec<String>,
    /// Whether all principals that the broker serves were checked.
    all_checked: bool,
}

pub(in crate::command) async fn check(context: &Context, args: &TrustCheckArgs) -> Result<Exit, Error> {
    let site = Site::new(context).await?;
    let profiles = chosen(&site, &args.profiles)?;
    let caller = site.gateway.identify().await.map_err(|error| site.failed(error))?;
    User::of(caller.clone(), site.account()).map_err(|stopped| site.stopped(stopped))?;
    let broker = broker(&site, &caller);
    let brokered = site.manifest.brokered_roles(&caller);
    let roles: BTreeMap<&str, Option<RoleArn>> =
        profiles.iter().map(|profile| (profile.as_str(), brokered.get(profile.as_str()).cloned())).collect();
    // The role of any profile can change the gate of another one, so the roles of all profiles are read and simulated.
    let wanted: BTreeSet<&RoleArn> = brokered.values().chain(&broker).collect();
    let read = join_all(wanted.into_iter().map(|role| read(&site, &caller, role))).await;
    let read: BTreeMap<&RoleArn, Read> = read.into_iter().collect::<Result<_, Error>>()?;
    let named = args.principals.iter().map(|arn| Named::Arn(arn.clone()));
    let mut named: BTreeSet<Named> = named.chain(listed(&site, &caller)).collect();
    for role in brokered.values().filter(|role| Some(*role) != broker.as_ref()) {
        // A role whose trust policy could not be read may still be simulated.
        let is_absent = matches!(read.get(role), None | Some(Ok(None)));
        if !is_absent && !named.iter().any(|one| one.is_role(role)) {
            named.insert(Named::of_role(role, &caller));
        }
    }
    let (named, open) = expanded(&site, broker.as_ref(), named).await;
    let (guarded, principals) = if named.is_empty() && open.is_empty() {
        (None, Vec::new())
    } else {
        let judged: BTreeSet<&RoleArn> = roles.values().flatten().chain(&broker).collect();
        let guarded = Guarded::find(&site, &caller, (broker.as_ref(), &read), &judged, profiles.iter()).await;
        let mut principals = join_all(named.iter().map(|named| check_principal(&site, named, &guarded))).await;
        principals.extend(open);
        (Some(guarded), principals)
    };
    let mut judged: Vec<Profile<'_>> = Vec::new();
    for (name, role) in profiles.iter().filter_map(|name| roles.get_key_value(name.as_str())) {
        let role = role.as_ref();
        let of_profile = guarded.as_ref().map(|guarded| guarded.of_profile(&site, &caller, name, role));
        let findings = findings(known(role, &read), known(broker.as_ref(), &read));
        judged.push(judge((name, role), findings, of_profile, &principals));
    }
    // The account of a pattern can be `*`, and only principals of the caller's account are simulated.
    let all_checked = others(&site, &caller).is_none()
        && site.manifest.broker.principals.is_some()
        && principals.iter().all(Principal::is_checked);
    for profile in &mut judged {
        profile.all_checked = all_checked;
    }
    let profiles = judged;
    let not_checked = not_checked(&site, &caller);
    let text = || text(&profiles, &principals, &not_checked);
    context.terminal.either(text, || document(&profiles, &principals, &not_checked))?;
    Ok(exit(&profiles, &principals))
}

/// Returns what is not checked, for the manifest.
fn not_checked(site: &Site, caller: &Caller) -> Vec<&'static str> {
    let everyone = site.manifest.broker.principals.is_none().then_some(NO_PRINCIPALS);
    everyone.into_iter().chain(others(site, caller)).chain(NOT_CHECKED).collect()
}

/// Returns what is not checked if the broker serves other accounts than the caller's.
fn others(site: &Site, caller: &Caller) -> Option<&'static str> {
    let has_others = site.manifest.broker.accounts.iter().flatten().any(|account| *account != caller.account);
    has_others.then_some(OTHER_ACCOUNTS)
}

/// Returns the profiles to check: those that are named, or all that there are. The broker also serves the profiles that only
/// `[broker.roles]` has.
fn chosen(site: &Site, named: &[String]) -> Result<Vec<String>, Error> {
    let known: BTreeSet<&String> =
        site.manifest.sections.profiles.keys().chain(site.manifest.broker.roles.keys()).collect();
    if let Some(name) = named.iter().find(|name| !known.contains(name)) {
        let known: Vec<&str> = known.iter().map(|name| name.as_str()).collect();
        let hint = match closest(name, &known) {
            Some(meant) => format!("did you mean {meant}?"),
            None => String::from("name a profile of the manifest, or none to check all"),
        };
        return Err(Error::usage(format!("the manifest has no profile {name}"), hint));
    }
    Ok(if named.is_empty() { known.into_iter().cloned().collect() } else { named.to_vec() })
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

/// Judges a profile by the trust policies and by the permissions of principals. What is not known is never enforced.
fn judge<'a>(
    (name, role): (&'a str, Option<&'a RoleArn>),
    findings: Vec<Finding>,
    of_profile: Option<OfProfile>,
    principals: &'a [Principal],
) -> Profile<'a> {
    let (mut bypassed_by, mut unknown) = (Vec::new(), Vec::new());
    if let Some(OfProfile { resources, unread }) = of_profile {
        unknown.extend(unread);
        for Principal { arn, known } in principals {
            match known {
                PermissionsResult::Permissions(permissions) => {
                    let guards =
                        |target: Target, resource: &str| target.concerns_all_profiles() || resources.contains(resource);
                    let concerns = |one: &&Bypass| one.gives_access() && guards(one.target, &one.resource);
                    let depends = |one: Undecided<'_>| gives_access(one.action) && guards(one.target, one.resource);
                    if permissions.bypasses().any(|one| concerns(&one)) {
                        bypassed_by.push(arn.as_str());
                    } else if permissions.undecided().any(depends) {
                        unknown.push(format!("the permissions of {arn} depend on condition keys"));
                    } else if !permissions.unread().is_empty() {
                        unknown.push(format!("the permissions of {arn} are not all known"));
                    }
                }
                PermissionsResult::Unknown(_) => unknown.push(format!("the permissions of {arn} are not known")),
                PermissionsResult::NotAsked(_) | PermissionsResult::Nobody(_) => {}
            }
        }
    }
    let is_unread = |finding: &Finding| matches!(finding, Finding::Unread(..));
    let state = match () {
        () if !bypassed_by.is_empty() || !findings.iter().all(is_unread) => State::Advisory,
        () if !findings.is_empty() || !unknown.is_empty() => State::Unknown,
        () => State::Enforced,
    };
    Profile { name, role, state, findings, bypassed_by, unknown, all_checked: false }
}

/// Returns 2 for a finding, and 3 if something could not be checked.
fn exit(profiles: &[Profile<'_>], principals: &[Principal]) -> Exit {
    let permissions = || principals.iter().filter_map(Principal::permissions);
    let found = permissions().any(|one| one.bypasses().next().is_some());
    let is_unknown = |one: &Principal| matches!(one.known, PermissionsResult::Unknown(_));
    let is_open = |one: &Permissions| one.undecided().next().is_some() || !one.unread().is_empty();
    let open = principals.iter().any(is_unknown) || permissions().any(is_open);
    match profiles.iter().map(|one| one.state).max_by_key(|state| *state as u8) {
        _ if found => Exit::Changes,
        Some(State::Advisory) => Exit::Changes,
        Some(State::Unknown) => Exit::Incomplete,
        Some(State::Enforced) | None if open => Exit::Incomplete,
        Some(State::Enforced) | None => Exit::Done,
    }
}

fn text(profiles: &[Profile<'_>], principals: &[Principal], not_checked: &[&str]) -> String {
    let mut text = String::new();
    if profiles.is_empty() {
        text.push_str("The manifest has no profile.\n");
    }
    for Profile { name, state, findings, bypassed_by, unknown, all_checked, .. } in profiles {
        let description = match state {
            State::Enforced if *all_checked => "enforced by AWS",
            State::Enforced => "enforced by AWS as far as checked: not all principals were checked (see below)",
            State::Unknown => "not known whether AWS enforces the gate",
            State::Advisory => "advisory: AWS does not enforce the gate",
        };
        text.push_str(&format!("{}: {description}\n", escape(name)));
        let bypassed =
            (!bypassed_by.is_empty()).then(|| format!("{} can bypass the broker (see below)", some(bypassed_by)));
        let findings = findings.iter().map(ToString::to_string);
        for line in findings.chain(bypassed).chain(unknown.iter().cloned()) {
            text.push_str(&format!("  - {}\n", escape(&line)));
        }
    }
    let mut not_asked: Vec<String> = Vec::new();
    for Principal { arn, known } in principals {
        let arn = escape(arn);
        match known {
            PermissionsResult::Permissions(permissions) => text.push_str(&of_principal(&arn, permissions)),
            PermissionsResult::Unknown(why) => {
                text.push_str(&format!("{arn}: permissions not known: {}\n", escape(why)));
            }
            PermissionsResult::NotAsked(why) | PermissionsResult::Nobody(why) => {
                not_asked.push(format!("{arn}: {why}"));
            }
        }
    }
    text.push_str("Not checked:\n");
    for line in not_asked.iter().map(String::as_str).chain(not_checked.iter().copied()) {
        text.push_str(&format!("  - {line}\n"));
    }
    text
}

fn of_principal(arn: &str, permissions: &Permissions) -> String {
    let undecided = undecided(permissions);
    if permissions.bypasses().next().is_none() && undecided.is_empty() {
        return format!("{arn}: no permission to bypass the broker\n");
    }
    let words = match permissions.bypasses().next() {
        Some(_) => "has permissions that only the broker and administrators should have",
        None if permissions.undecided().any(|one| gives_access(one.action)) || !permissions.unread().is_empty() => {
            "not known whether it can bypass the broker"
        }
        None => "not known whether it can read the records",
    };
    let mut text = format!("{arn}: {words}\n");
    for group in permissions.groups() {
        text.push_str(&format!("  - {}\n", escape(&group.describe(&some(&group.resources)))));
    }
    for line in undecided {
        text.push_str(&format!("  - {}\n", escape(&line)));
    }
    text
}

/// Returns what is not known in words: the actions that depend on condition keys, those with the same keys together, and what could not
/// be read.
fn undecided(permissions: &Permissions) -> Vec<String> {
    let mut by_keys: BTreeMap<&BTreeSet<String>, (BTreeSet<&str>, BTreeSet<&str>)> = BTreeMap::new();
    for Undecided { action, resource, keys, .. } in permissions.undecided() {
        let (actions, resources) = by_keys.entry(keys).or_default();
        actions.insert(action);
        resources.insert(resource);
    }
    let list = |set: &BTreeSet<&str>| some(&set.iter().copied().collect::<Vec<_>>());
    let line = |(keys, (actions, resources)): (&BTreeSet<String>, (BTreeSet<&str>, BTreeSet<&str>))| {
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let keys = keys.join(", ");
        format!("not known: {} on {} depends on the condition keys {keys}", list(&actions), list(&resources))
    };
    let unread = permissions.unread().iter().map(|what| format!("not known: {what}"));
    by_keys.into_iter().map(line).chain(unread).collect()
}

fn document(profiles: &[Profile<'_>], principals: &[Principal], not_checked: &[&str]) -> json::Document {
    let profile = |Profile { name, role, state, findings, bypassed_by, unknown, all_checked }: &Profile<'_>| {
        let found: Vec<Value> = findings.iter().map(shown).collect();
        json!({
            "profile": name, "role": role.map(|role| &**role), "gate": state.word(), "findings": found,
            "bypassed_by": bypassed_by, "unknown": unknown, "all_principals_checked": all_checked,
        })
    };
    let principal = |Principal { arn, known }: &Principal| match known {
        PermissionsResult::Permissions(permissions) => {
            let bypasses: Vec<Value> = permissions.bypasses().map(bypass).collect();
            json!({ "arn": arn, "permissions": bypasses, "unknown": undecided(permissions) })
        }
        PermissionsResult::Unknown(why) => json!({ "arn": arn, "unknown": [why] }),
        PermissionsResult::NotAsked(why) | PermissionsResult::Nobody(why) => json!({ "arn": arn, "not_checked": why }),
    };
    json::document(
        "trust check",
        json!({
            "profiles": profiles.iter().map(profile).collect::<Vec<_>>(),
            "principals": principals.iter().map(principal).collect::<Vec<_>>(),
            "not_checked": not_checked,
        }),
    )
}

fn bypass(one: &Bypass) -> Value {
    let statements = one
        .statements
        .iter()
        .map(|statement| json!({ "policy": statement.policy, "line": statement.line, "column": statement.column }));
    json!({
        "resource": one.resource, "actions": one.actions, "statements": statements.collect::<Vec<_>>(), "message": one.to_string(),
    })
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
