//! The permissions of principals to bypass the broker, by IAM's simulation.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::{join, join_all};

use super::super::Site;
use super::Read;
use super::approvers::Approvers;
use crate::kind::permission::Location;
use crate::kind::policy_parameter;
use crate::kind::role::{ContextValue, Simulation};
use crate::manifest::{BrokerSection, Builtin};
use crate::policy::Principal;
use crate::resource::call::CallError;
use crate::resource::caller::{Caller, account_of};
use crate::resource::names::{RegionName, RoleArn};
use crate::resource::record_key::Prefix;
use crate::trust::bypass::{
    ASSUME_ROLE, Compute, ComputeActions, GROUP_ACTIONS, OWN_ROLE_ACTIONS, OWN_USER_ACTIONS, PARAMETER_ACTIONS,
    PASS_ROLE, POLICY_ACTIONS, Permissions, ROLE_ACTIONS, ROLE_TAKEOVER_ACTIONS, TABLE_ACTIONS, TABLE_POLICY_ACTIONS,
    Target, USER_TAKEOVER_ACTIONS, compute_actions,
};

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

/// The resources on which a permission bypasses the broker.
pub(super) struct Guarded {
    /// ARNs of the tables and their replicas.
    tables: Vec<String>,
    /// Why the replicas of tables are not known.
    unread_tables: Vec<String>,
    pub(super) broker: Option<RoleArn>,
    roles: Vec<String>,
    /// The customer managed policies of each role, or why they could not be read.
    policies: BTreeMap<RoleArn, Result<Vec<String>, String>>,
    /// The parameters with the policies of profiles.
    parameters: Vec<String>,
    compute: Compute,
    approvers: Approvers,
    /// The account and the region of the examples.
    caller: Caller,
    region: RegionName,
}

impl Guarded {
    /// Finds the resources: the roles that are judged, with their managed policies, the tables, and the policies of the profiles.
    pub(super) async fn find(
        site: &Site,
        caller: &Caller,
        (broker, read): (Option<&RoleArn>, &BTreeMap<&RoleArn, Read>),
        judged: &BTreeSet<&RoleArn>,
        profiles: impl Iterator<Item = &String>,
    ) -> Self {
        // A principal cannot change a role of another account, and there is nothing to change at one that does not exist.
        let own = |role: &RoleArn| account_of(role).is_none_or(|account| *account == *caller.account);
        let is_there = |role: &RoleArn| own(role) && !matches!(read.get(role), None | Some(Ok(None)));
        let roles: Vec<&RoleArn> = judged.iter().copied().filter(|role| is_there(role)).collect();
        let policies =
            join_all(roles.iter().map(|role| async { ((*role).clone(), customer_managed(site, role).await) }));
        let policies = policies.await.into_iter().collect();
        let broker = broker.filter(|role| is_there(role));
        let trust = broker.and_then(|role| read.get(role)?.as_ref().ok()?.as_ref());
        let ((tables, unread_tables), approvers) = join(tables(site, caller), Approvers::find(site, caller)).await;
        Self {
            tables,
            unread_tables,
            roles: roles.iter().filter(|role| Some(**role) != broker).map(|role| (*role).to_string()).collect(),
            policies,
            parameters: profiles.map(|profile| parameter(site, caller, profile)).collect(),
            compute: Compute::of(trust.map(crate::kind::document::PolicyDocument::value)),
            broker: broker.cloned(),
            approvers,
            caller: caller.clone(),
            region: site.region().clone(),
        }
    }

    /// Returns the resources that guard the gate of one profile.
    pub(super) fn of_profile(&self, site: &Site, caller: &Caller, profile: &str, role: Option<&RoleArn>) -> OfProfile {
        let roles: Vec<&RoleArn> = role.into_iter().chain(&self.broker).collect();
        let policies = || roles.iter().filter_map(|role| self.policies.get_key_value(*role));
        let mut resources: BTreeSet<String> = roles.iter().map(ToString::to_string).collect();
        resources.extend(policies().filter_map(|(_, read)| read.as_ref().ok()).flatten().cloned());
        resources.insert(parameter(site, caller, profile));
        let unread = policies().filter_map(|(role, read)| Some(unread_policies(role, read.as_ref().err()?)));
        let unread = unread.chain(self.unread_tables.iter().chain(&self.approvers.unread).cloned());
        OfProfile { resources, unread: unread.collect() }
    }

    /// Returns the ARNs of examples of resources.
    fn examples(&self, of: &ComputeActions) -> Vec<String> {
        of.examples(&self.caller, &self.region)
    }

    /// Returns the ARN of an example of a resource of IAM.
    fn iam_example(&self, kind: &str) -> String {
        format!("arn:{}:iam::{}:{kind}/any", self.caller.partition(), self.caller.account)
    }
}

fn unread_policies(role: &str, why: &str) -> String {
    format!("the managed policies of {role} could not be read: {why}")
}

/// The resources that guard the gate of one profile, besides those that guard all gates.
pub(super) struct OfProfile {
    pub(super) resources: BTreeSet<String>,
    /// What could not be read, and why.
    pub(super) unread: Vec<String>,
}

/// Returns the customer managed policies of a role, or why they could not be read.
async fn customer_managed(site: &Site, role: &RoleArn) -> Result<Vec<String>, String> {
    let read = site.gateway.managed_policies(role).await;
    let changeable = |all: BTreeSet<String>| all.into_iter().filter(|arn| !is_of_aws(arn)).collect();
    read.map(changeable).map_err(|error| error.to_string())
}

/// Returns whether a managed policy is one of AWS, which nobody else can change.
fn is_of_aws(arn: &str) -> bool {
    arn.split(':').nth(4) == Some("aws")
}

/// Returns the ARNs of the tables with the records of access, in each region that the manifest or AWS has a replica in, and why the
/// replicas of a table are not known. A write to any replica reaches the others.
async fn tables(site: &Site, caller: &Caller) -> (Vec<String>, Vec<String>) {
    let live = Builtin::ALL.iter().map(|builtin| site.gateway.replica_regions(site.known_table(*builtin)));
    let (mut arns, mut unread) = (Vec::new(), Vec::new());
    for (builtin, live) in Builtin::ALL.iter().zip(join_all(live).await) {
        let name = site.known_table(*builtin);
        let section = site.manifest.sections.tables.get(builtin.key());
        let replicas = section.and_then(|section| section.replicas.regions.as_ref()).into_iter().flatten();
        let mut regions: BTreeSet<String> = replicas.map(|(region, _)| region.clone()).collect();
        match live {
            Ok(live) => regions.extend(live),
            Err(error) => unread.push(format!("the replicas of the table {name} could not be read: {error}")),
        }
        let own = site.region().to_string();
        regions.remove(&own);
        let arn = |region| format!("arn:{}:dynamodb:{region}:{}:table/{name}", caller.partition(), caller.account);
        arns.extend([own].into_iter().chain(regions).map(arn));
    }
    (arns, unread)
}

/// Returns the ARN of the parameter with the policy of a profile.
fn parameter(site: &Site, caller: &Caller, profile: &str) -> String {
    let location = Location { region: Some(site.region().clone()), account: Some(caller.account.clone()) };
    policy_parameter::arn(&location, &format!("{}/{profile}", site.destination.policy_root))
}

/// A user or role whose permissions are looked at.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Named {
    Arn(String),
    /// A role by name, since the ARN of a session lacks the role's path.
    Role(RoleArn),
    /// The roles whose sessions can match a pattern.
    Sessions(Principal),
    /// Principals of `[broker]` that IAM does not simulate, and why.
    Other {
        pattern: String,
        why: &'static str,
    },
}

/// Returns the principals that `[broker]` lists.
pub(super) fn listed(site: &Site, caller: &Caller) -> Vec<Named> {
    all(&site.manifest.broker).map(|principal| named(principal, caller)).collect()
}

/// Returns whether `[broker]` lists sessions of roles by a pattern.
pub(in crate::command) fn lists_roles_by_pattern(section: &BrokerSection) -> bool {
    let role = |one: &Principal| Some(one.as_str().split_once(":assumed-role/")?.1.split('/').next()?.contains('*'));
    all(section).filter_map(role).any(|is_pattern| is_pattern)
}

/// Returns the names of the roles whose sessions `[broker]` lists, whatever their account.
pub(in crate::command) fn assumed_roles(section: &BrokerSection) -> Vec<String> {
    let role = |principal: &Principal| match principal.as_str().splitn(6, ':').collect::<Vec<_>>()[..] {
        ["arn", _, "sts", "", _, resource] => {
            let name = resource.strip_prefix("assumed-role/")?.split('/').next()?;
            (!name.contains('*')).then(|| name.to_owned())
        }
        _ => None,
    };
    let names: BTreeSet<String> = all(section).filter_map(role).collect();
    names.into_iter().collect()
}

fn all(section: &BrokerSection) -> impl Iterator<Item = &Principal> {
    let lists = [section.principals.as_ref(), section.approvers.as_ref(), section.operators.as_ref()];
    lists.into_iter().flatten().flatten()
}

/// Returns the users or roles of a pattern in the caller's account.
pub(super) fn named(principal: &Principal, caller: &Caller) -> Named {
    let pattern = principal.as_str();
    let other = |why| Named::Other { pattern: pattern.to_owned(), why };
    let parts: Vec<&str> = pattern.splitn(6, ':').collect();
    let ["arn", _, service, "", account, resource] = parts[..] else { return other("it is not an ARN") };
    if account != "*" && account != &*caller.account {
        return other(ANOTHER_ACCOUNT);
    }
    let (kind, rest) = resource.split_once('/').unwrap_or((resource, ""));
    let role = rest.split('/').next().unwrap_or_default();
    let arn = |resource: &str| format!("arn:{}:iam::{}:{resource}", caller.partition(), caller.account);
    match (service, kind) {
        ("iam", "user") if !rest.contains('*') => Named::Arn(arn(resource)),
        ("sts", "assumed-role") if !role.contains('*') => Named::Role(RoleArn::new(arn(&format!("role/{role}")))),
        ("sts", "assumed-role") => Named::Sessions(principal.clone()),
        ("sts", "federated-user") => other("IAM does not simulate federated users"),
        _ => other("it is a pattern of users; name each with --principal"),
    }
}

/// A principal, and its permissions.
pub(super) struct Checked {
    pub(super) arn: String,
    pub(super) known: PermissionsResult,
}

pub(super) enum PermissionsResult {
    Permissions(Permissions),
    /// IAM did not answer, and why.
    Unknown(String),
    /// IAM was not asked, and why.
    NotAsked(String),
    /// IAM was not asked because the account has no such principal.
    Nobody(String),
}

const ANOTHER_ACCOUNT: &str = "it is in another account than the caller";

/// The maximum number of roles that are simulated for a pattern. Each takes about thirty calls, of which IAM allows few a second.
const ROLES: usize = 20;

/// Replaces each pattern of sessions by the roles of the account that it matches, without the broker's. Also returns the patterns without
/// roles, and why.
pub(super) async fn expanded(
    site: &Site,
    broker: Option<&RoleArn>,
    named: BTreeSet<Named>,
) -> (BTreeSet<Named>, Vec<Checked>) {
    let (mut found, mut patterns) = (BTreeSet::new(), Vec::new());
    for one in named {
        match one {
            Named::Sessions(pattern) => patterns.push(pattern),
            other => drop(found.insert(other)),
        }
    }
    if patterns.is_empty() {
        return (found, Vec::new());
    }
    let roles = site.gateway.role_arns().await;
    let mut open = Vec::new();
    for pattern in patterns {
        let arn = pattern.as_str().to_owned();
        let known = match &roles {
            Err(error) => PermissionsResult::Unknown(error.to_string()),
            Ok(roles) => {
                let matches = |role: &&RoleArn| Some(*role) != broker && pattern.may_match_session_of(role);
                let is_new = |role: &&RoleArn| !found.iter().any(|one| one.is_role(role));
                let (new, named): (Vec<&RoleArn>, Vec<&RoleArn>) = roles.iter().filter(matches).partition(is_new);
                match new.len() {
                    0 if named.is_empty() => {
                        PermissionsResult::Nobody(String::from("no role of the caller's account matches"))
                    }
                    0..=ROLES => {
                        found.extend(new.into_iter().map(|role| Named::Arn(role.to_string())));
                        continue;
                    }
                    count => PermissionsResult::Unknown(format!(
                        "it matches {count} roles that are not named, and at most {ROLES} are simulated; name roles with \
                         --principal"
                    )),
                }
            }
        };
        open.push(Checked { arn, known });
    }
    (found, open)
}

impl Named {
    /// Returns a role by its ARN, if IAM can simulate it for the caller.
    pub(super) fn of_role(role: &RoleArn, caller: &Caller) -> Self {
        if account_of(role).is_none_or(|account| *account == *caller.account) {
            return Self::Arn(role.to_string());
        }
        Self::Other { pattern: role.to_string(), why: ANOTHER_ACCOUNT }
    }

    /// Returns whether this is a role, whose name is unique in its account.
    pub(super) fn is_role(&self, role: &RoleArn) -> bool {
        let name = |arn: &str| arn.rsplit('/').next().unwrap_or_default().to_owned();
        match self {
            Self::Arn(arn) => *arn == **role,
            Self::Role(by_name) => account_of(by_name) == account_of(role) && name(by_name) == name(role),
            Self::Sessions(_) | Self::Other { .. } => false,
        }
    }
}

impl Checked {
    /// Returns whether IAM was asked about every such principal.
    pub(super) fn is_checked(&self) -> bool {
        matches!(self.known, PermissionsResult::Permissions(_) | PermissionsResult::Nobody(_))
    }

    pub(super) fn permissions(&self) -> Option<&Permissions> {
        if let PermissionsResult::Permissions(permissions) = &self.known { Some(permissions) } else { None }
    }
}

/// Asks IAM about a principal, if that is possible.
pub(super) async fn checked(site: &Site, named: &Named, guarded: &Guarded) -> Checked {
    let arn = match named {
        Named::Arn(arn) => arn.clone(),
        Named::Role(role) => match site.gateway.role_arn(role).await {
            Ok(Some(arn)) => arn,
            Ok(None) => {
                let why = String::from("the role does not exist");
                return Checked { arn: role.to_string(), known: PermissionsResult::Nobody(why) };
            }
            Err(error) => {
                return Checked { arn: role.to_string(), known: PermissionsResult::Unknown(error.to_string()) };
            }
        },
        Named::Sessions(pattern) => {
            let why = String::from("its roles are not known");
            return Checked { arn: pattern.as_str().to_owned(), known: PermissionsResult::Unknown(why) };
        }
        Named::Other { pattern, why } => {
            return Checked { arn: pattern.clone(), known: PermissionsResult::NotAsked((*why).to_owned()) };
        }
    };
    let known = match permissions(site, &arn, guarded).await {
        Ok(permissions) => PermissionsResult::Permissions(permissions),
        Err(error) => PermissionsResult::Unknown(error.to_string()),
    };
    Checked { arn, known }
}

/// Asks IAM what a principal may do, and collects the answers.
struct Simulator<'a> {
    site: &'a Site,
    principal: &'a str,
    found: Permissions,
}

impl Simulator<'_> {
    async fn simulate(
        &mut self,
        target: Target,
        actions: &[&str],
        resources: &[String],
        context: &[(&str, ContextValue<'_>)],
    ) -> Result<(), CallError> {
        if !actions.is_empty() && !resources.is_empty() {
            let simulation = Simulation { principal: self.principal, actions, resources, context };
            self.found.add(target, self.site.gateway.simulate(&simulation).await?);
        }
        Ok(())
    }

    /// Simulates what the principal can do to obtain more permissions. Returns the principal's managed policies.
    async fn simulate_itself(&mut self, guarded: &Guarded) -> Result<BTreeSet<String>, CallError> {
        let itself = [self.principal.to_owned()];
        let resource = self.principal.splitn(6, ':').nth(5).unwrap_or_default();
        if !resource.starts_with("role/") {
            self.simulate(Target::Itself, &OWN_USER_ACTIONS, &itself, &[]).await?;
            // Sentinel reads neither the groups nor the managed policies of users.
            self.simulate(Target::Example, &GROUP_ACTIONS, &[guarded.iam_example("group")], &[]).await?;
            self.simulate(Target::Example, &POLICY_ACTIONS, &[guarded.iam_example("policy")], &[]).await?;
            return Ok(BTreeSet::new());
        }
        self.simulate(Target::Itself, &OWN_ROLE_ACTIONS, &itself, &[]).await?;
        let role = RoleArn::new(self.principal);
        let policies = match guarded.policies.get(&role) {
            Some(read) => read.clone(),
            None => customer_managed(self.site, &role).await,
        };
        let policies = policies.unwrap_or_else(|why| {
            self.found.add_unread(unread_policies(&role, &why));
            Vec::new()
        });
        self.simulate(Target::OwnPolicy, &POLICY_ACTIONS, &policies, &[]).await?;
        Ok(policies.into_iter().collect())
    }

    /// Simulates what the principal can do to act as an approver or operator.
    async fn simulate_takeover(&mut self, approvers: &Approvers) -> Result<(), CallError> {
        let users = approvers.other_users(self.principal);
        self.simulate(Target::Approver, &USER_TAKEOVER_ACTIONS, &users, &[]).await?;
        let roles = approvers.other_roles(self.principal);
        self.simulate(Target::Approver, &ROLE_TAKEOVER_ACTIONS, &roles, &[]).await?;
        let roles = approvers.assumable_roles(self.principal);
        self.simulate(Target::Approver, &[ASSUME_ROLE], &roles, &[]).await
    }

    /// Simulates the actions that run code in the broker: on all resources, and on an example for permissions by pattern.
    async fn simulate_compute(&mut self, guarded: &Guarded) -> Result<(), CallError> {
        const EVERYTHING: &str = "*";
        let all: Vec<&ComputeActions> =
            guarded.compute.run_on.iter().flat_map(|service| compute_actions(service)).collect();
        let actions: BTreeSet<&str> = all.iter().flat_map(|one| one.actions).copied().collect();
        let actions: Vec<&str> = actions.into_iter().collect();
        self.simulate(Target::Compute, &actions, &[String::from(EVERYTHING)], &[]).await?;
        for one in all {
            let actions = one.actions.iter().copied();
            let actions: Vec<&str> =
                actions.filter(|action| !self.found.allow(Target::Compute, EVERYTHING, action)).collect();
            self.simulate(Target::Example, &actions, &guarded.examples(one), &[]).await?;
        }
        Ok(())
    }
}

/// Asks IAM what a principal may do with each of the resources.
async fn permissions(site: &Site, principal: &str, guarded: &Guarded) -> Result<Permissions, CallError> {
    let mut iam = Simulator { site, principal, found: Permissions::default() };
    for prefix in RECORDS {
        let key = prefix.key("0123456789abcdef");
        let context = [("dynamodb:LeadingKeys", ContextValue::List(&key))];
        iam.simulate(Target::Table, &TABLE_ACTIONS, &guarded.tables, &context).await?;
    }
    iam.simulate(Target::Table, &TABLE_POLICY_ACTIONS, &guarded.tables, &[]).await?;
    let broker: Vec<String> = guarded.broker.iter().map(RoleArn::to_string).collect();
    for service in &guarded.compute.passed_to {
        let context = [("iam:PassedToService", ContextValue::Text(service))];
        iam.simulate(Target::BrokerRole, &[PASS_ROLE], &broker, &context).await?;
    }
    let own = iam.simulate_itself(guarded).await?;
    iam.simulate(Target::BrokerRole, &ROLE_ACTIONS, &broker, &[]).await?;
    let roles: Vec<String> = guarded.roles.iter().filter(|role| *role != principal).cloned().collect();
    iam.simulate(Target::ProfileRole, &ROLE_ACTIONS, &roles, &[]).await?;
    let policies: BTreeSet<&String> =
        guarded.policies.values().filter_map(|read| read.as_ref().ok()).flatten().collect();
    let policies: Vec<String> = policies.into_iter().filter(|policy| !own.contains(*policy)).cloned().collect();
    iam.simulate(Target::ManagedPolicy, &POLICY_ACTIONS, &policies, &[]).await?;
    iam.simulate(Target::ProfilePolicy, &PARAMETER_ACTIONS, &guarded.parameters, &[]).await?;
    iam.simulate_takeover(&guarded.approvers).await?;
    iam.simulate_compute(guarded).await?;
    Ok(iam.found)
}
