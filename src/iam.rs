//! IAM policy documents, derived from the operations that steps and observation call.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Value, json};

use crate::kind::document::PolicyDocument;
pub use crate::kind::permission::{Location, Use};
use crate::kind::permission::{On, Permission, Purpose};
use crate::kind::policy_parameter::{self, PolicyParameter};
use crate::kind::table::{self, Builtin, Table};
use crate::kind::{Address, Desired, DesiredResource, Kind, KindId, role};
use crate::resource::call::{
    DESCRIBE_TABLE, GET_ITEM, GET_PARAMETERS, GET_PARAMETERS_BY_PATH, Operation, PUT_ITEM, QUERY, UPDATE_ITEM,
};
use crate::resource::names::{AccountId, PolicyRoot, RegionName};
use crate::resource::record_key::{Prefix, Role};
use crate::resource::tagging::GET_RESOURCES;

/// The maximum number of characters of a managed policy, without white space. Source: "IAM and AWS STS quotas".
const LIMIT: usize = 6144;

/// A policy document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Document {
    pub version: &'static str,
    pub statement: Vec<Statement>,
}

/// An allow statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Statement {
    pub sid: String,
    pub effect: &'static str,
    pub action: Vec<String>,
    pub resource: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<Value>,
}

/// Permissions beyond those for the resources of the manifest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AdditionalPermissions<'a> {
    pub prune: bool,
    /// Whether a plan lists all resources with the ownership tag.
    pub orphans: bool,
    pub roles: Brokered<'a>,
    pub checked: TrustChecked<'a>,
}

/// The roles that `trust check` reads, in addition to those that the broker assumes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TrustChecked<'a> {
    /// The broker's own role, as `role/NAME`.
    pub broker: Option<&'a str>,
    /// The names of roles whose sessions may send requests to the broker.
    pub principals: &'a [String],
    /// Whether others are listed by a pattern.
    pub patterns: bool,
    /// The names of the tables with the records.
    pub tables: &'a [String],
}

/// Roles that the broker assumes, in addition to those with `trusted_by = { broker = true }`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Brokered<'a> {
    /// The roles of the manifest that profiles refer to.
    pub referenced: &'a [Address],
    /// The ARNs of roles that are not in the manifest.
    pub elsewhere: &'a [String],
}

/// The use of a built-in table by a role.
#[derive(Debug, Clone, Copy)]
struct Grant {
    role: Role,
    table: Builtin,
    /// The kinds of record that the role writes. It can read all records of the table.
    writes: &'static [Prefix],
}

/// The tables that each role reads and the records that it writes. A requester and a server read the records that the gate checks.
const GRANTS: &[Grant] = &[
    Grant { role: Role::Requester, table: Builtin::Approvals, writes: &[Prefix::Request] },
    Grant { role: Role::Requester, table: Builtin::BreakGlass, writes: &[] },
    Grant { role: Role::Approver, table: Builtin::Approvals, writes: &[Prefix::Decision, Prefix::Revocation] },
    Grant { role: Role::Operator, table: Builtin::Approvals, writes: &[Prefix::Revocation, Prefix::Lock] },
    Grant {
        role: Role::Operator,
        table: Builtin::BreakGlass,
        writes: &[Prefix::Event, Prefix::Closure, Prefix::Place],
    },
    Grant { role: Role::Operator, table: Builtin::Sessions, writes: &[Prefix::Revocation] },
    Grant { role: Role::Server, table: Builtin::Approvals, writes: &[] },
    Grant { role: Role::Server, table: Builtin::BreakGlass, writes: &[] },
    Grant { role: Role::Server, table: Builtin::Sessions, writes: &[Prefix::Session] },
];

/// The operations of the commands for users: they read policies by name, list profiles by path, and read and write records. A transaction
/// requires the permissions of its parts (Amazon DynamoDB Developer Guide, "Using IAM with DynamoDB transactions"). No command deletes
/// records, writes in batches or uses PartiQL.
const READ_POLICY: [Operation; 1] = [GET_PARAMETERS];
const READ_ROOT: [Operation; 1] = [GET_PARAMETERS_BY_PATH];
const READ_RECORDS: [Operation; 2] = [GET_ITEM, QUERY];
const WRITE_RECORDS: [Operation; 2] = [PUT_ITEM, UPDATE_ITEM];

/// The broker assumes a role with the user's name as source identity and session tags for the request. Source: IAM User Guide, "Monitor and
/// control actions taken with assumed roles" and "Pass session tags in AWS STS".
const ASSUME: [&str; 3] = ["sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession"];

/// The owners of the records that a policy allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RecordOwner {
    /// The caller, if the records belong to a user.
    Caller,
    /// All users, on whose behalf the broker calls.
    Anyone,
}

/// Returns the keys of a kind of record as a `StringLike` pattern.
fn keys_like(prefix: Prefix, owner: RecordOwner) -> String {
    match (prefix, owner) {
        // IAM replaces the variable by the caller's unique ID.
        (Prefix::Place, RecordOwner::Caller) => prefix.key("${aws:userid}#*"),
        _ => prefix.key("*"),
    }
}

/// Returns the condition that every item of a call has a key of these kinds. `ForAllValues` is also true for a call without the condition
/// key, which `Null` refuses. Source: IAM User Guide, "Multivalued context keys".
fn only_keys(prefixes: &[Prefix], owner: RecordOwner) -> Value {
    let keys: Vec<String> = prefixes.iter().map(|prefix| keys_like(*prefix, owner)).collect();
    json!({
        "ForAllValues:StringLike": { "dynamodb:LeadingKeys": keys },
        "Null": { "dynamodb:LeadingKeys": "false" },
    })
}

/// Returns the minimal permissions for a use of these resources, on exact ARNs, in as many documents as needed.
pub fn policies(
    purpose: Use,
    location: &Location,
    policy_root: &PolicyRoot,
    desired: &[DesiredResource],
    additional: AdditionalPermissions<'_>,
) -> Vec<Document> {
    let mut statements = Statements::default();
    match purpose {
        Use::Plan => statements.resources(Purpose::Read, location, desired, DesiredResource::reads),
        Use::Apply => statements.resources(Purpose::Write, location, desired, |one| {
            let steps = one.create().into_iter().chain(one.repair_everything());
            one.reads().into_iter().chain(steps.flat_map(|step| step.operations().iter().copied())).collect()
        }),
        Use::Role(role) => statements.users(&[role], location, policy_root, desired),
        Use::Broker => {
            statements.users(Role::ALL, location, policy_root, desired);
            let roles = brokered_arns(location, desired, additional.roles);
            if !roles.is_empty() {
                statements.allow("SentinelRoles", ASSUME.map(String::from).to_vec(), roles);
            }
        }
        Use::TrustCheck => {
            statements.trust_check(location, brokered_arns(location, desired, additional.roles), additional.checked);
        }
    }
    let listing = match purpose {
        Use::Plan => Some(Purpose::Read),
        Use::Apply => Some(Purpose::Write),
        Use::Role(_) | Use::Broker | Use::TrustCheck => None,
    };
    if let Some(listing) = listing.filter(|_| additional.prune) {
        for kind in KindId::ALL {
            statements.permit(kind.unlisted_permissions(location, policy_root, listing));
        }
    }
    if listing.is_some() && additional.orphans {
        // Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon Resource Group Tagging API".
        statements.allow("SentinelOrphanList", actions(&[GET_RESOURCES]), vec![String::from("*")]);
    }
    split(statements.list)
}

#[derive(Default)]
struct Statements {
    list: Vec<Statement>,
}

impl Statements {
    /// Adds the permissions for some operations on each resource.
    fn resources(
        &mut self,
        purpose: Purpose,
        location: &Location,
        desired: &[DesiredResource],
        operations: impl Fn(&DesiredResource) -> Vec<Operation>,
    ) {
        for one in desired {
            self.permit(one.permissions(operations(one), purpose, location));
        }
    }

    /// Adds permissions. A shared one is merged into the statement with the same name, operations and condition, and any other gets its own
    /// statement.
    fn permit(&mut self, permissions: Vec<Permission>) {
        for Permission { statement, shared, operations, on } in permissions {
            let action = actions(&operations);
            let (resources, condition) = match on {
                On::Any => (vec![String::from("*")], None),
                On::Resources(resources) => (resources, None),
                On::Those { resources, condition } => (resources, Some(condition)),
            };
            // The name may end with a number.
            let same = |one: &&mut Statement| {
                one.sid.trim_end_matches(|digit: char| digit.is_ascii_digit()) == statement
                    && (&one.action, &one.condition) == (&action, &condition)
            };
            match self.list.iter_mut().filter(|_| shared).find(same) {
                Some(found) => resources.into_iter().for_each(|resource| {
                    if !found.resource.contains(&resource) {
                        found.resource.push(resource);
                    }
                }),
                None => self.allow_if(&statement, action, resources, condition),
            }
        }
    }

    /// Adds the permissions of some roles together: to read policies, and to use the records of the built-in tables. Sentinel grants no
    /// access to the records of other tables.
    fn users(&mut self, roles: &[Role], location: &Location, policy_root: &PolicyRoot, desired: &[DesiredResource]) {
        let policies: Vec<String> =
            policies_of(desired).map(|one| policy_parameter::arn(location, &one.name)).collect();
        if !policies.is_empty() {
            self.allow("SentinelPolicyRead", actions(&READ_POLICY), policies);
            self.permit(policies_of(desired).filter_map(|one| policy_parameter::decryption(one, location)).collect());
            self.allow("SentinelPolicyDiscovery", actions(&READ_ROOT), policy_parameter::below(location, policy_root));
        }
        for one in tables_of(desired) {
            self.records(roles, &RecordTable::of(one, location));
        }
    }

    /// Adds what `trust check` calls. It simulates any user or role that `--principal` names.
    fn trust_check(&mut self, location: &Location, roles: Vec<String>, checked: TrustChecked<'_>) {
        let arn = |resource: &str| location.global_arn("iam", resource);
        let roles: Vec<String> = checked.broker.map(&arn).into_iter().chain(roles).collect();
        if !roles.is_empty() {
            self.allow("SentinelTrustRead", actions(&role::CHECK_READS), roles);
        }
        let tables: Vec<String> = checked.tables.iter().map(|name| table::arn(location, name)).collect();
        if !tables.is_empty() {
            self.allow("SentinelTrustTables", actions(&[DESCRIBE_TABLE]), tables);
        }
        // The ARN of a session lacks the path of its role.
        let principals = checked.principals.iter();
        let principals: Vec<String> = principals
            .flat_map(|name| [format!("role/{name}"), format!("role/*/{name}")])
            .map(|one| arn(&one))
            .collect();
        if !principals.is_empty() {
            self.allow("SentinelTrustPrincipals", actions(&[role::GET_ROLE]), principals);
        }
        if checked.patterns {
            self.allow("SentinelTrustPatterns", actions(&[role::LIST_ROLES]), vec![String::from("*")]);
        }
        self.allow("SentinelTrustPolicies", actions(&[role::LIST_ATTACHED]), vec![arn("role/*")]);
        self.allow("SentinelTrustSimulate", actions(&[role::SIMULATE]), ["user/*", "role/*"].map(arn).to_vec());
    }

    /// Adds a statement. If its name exists, it gets a number.
    fn allow(&mut self, sid: &str, action: Vec<String>, resource: Vec<String>) {
        self.allow_if(sid, action, resource, None);
    }

    fn allow_if(&mut self, sid: &str, action: Vec<String>, resource: Vec<String>, condition: Option<Value>) {
        let taken = |sid: &str| self.list.iter().any(|statement| statement.sid == sid);
        let numbered = (2..).map(|number| format!("{sid}{number}"));
        let sid = std::iter::once(sid.to_owned()).chain(numbered).find(|sid| !taken(sid)).unwrap_or_default();
        self.list.push(Statement { sid, effect: "Allow", action, resource, condition });
    }

    /// Adds the permissions of some roles for the records of a built-in table.
    fn records(&mut self, roles: &[Role], table: &RecordTable) {
        if GRANTS.iter().any(|grant| roles.contains(&grant.role) && Some(grant.table) == table.builtin) {
            self.read_records(table);
            self.write_records(roles, table);
        }
    }

    fn read_records(&mut self, RecordTable { statement, arn, .. }: &RecordTable) {
        let resources = vec![arn.clone(), format!("{arn}/index/*")];
        self.allow(&format!("{statement}Operations"), actions(&READ_RECORDS), resources);
    }

    fn write_records(&mut self, roles: &[Role], RecordTable { statement, arn, builtin }: &RecordTable) {
        let grants = GRANTS.iter().filter(|grant| roles.contains(&grant.role) && Some(grant.table) == *builtin);
        let mut writes: Vec<Prefix> = Vec::new();
        for prefix in grants.flat_map(|grant| grant.writes) {
            if !writes.contains(prefix) {
                writes.push(*prefix);
            }
        }
        if !writes.is_empty() {
            let owner = if roles.len() > 1 { RecordOwner::Anyone } else { RecordOwner::Caller };
            let condition = Some(only_keys(&writes, owner));
            self.allow_if(&format!("{statement}Write"), actions(&WRITE_RECORDS), vec![arn.clone()], condition);
        }
    }
}

/// A table with the records that a role uses.
struct RecordTable {
    /// The prefix of its statement names.
    statement: String,
    arn: String,
    builtin: Option<Builtin>,
}

impl RecordTable {
    fn of(table: &Desired<Table>, location: &Location) -> Self {
        let key = &table.address.key;
        let arn = table::arn(location, &table.name);
        Self { statement: Table::statement(key), arn, builtin: Builtin::from_key(key) }
    }
}

fn policies_of(desired: &[DesiredResource]) -> impl Iterator<Item = &Desired<PolicyParameter>> {
    desired.iter().filter_map(DesiredResource::of::<PolicyParameter>).filter(|one| one.presence.is_present())
}

fn tables_of(desired: &[DesiredResource]) -> impl Iterator<Item = &Desired<Table>> {
    desired.iter().filter_map(DesiredResource::of::<Table>).filter(|one| one.presence.is_present())
}

/// Returns the ARNs of the roles that the broker assumes.
fn brokered_arns(location: &Location, desired: &[DesiredResource], roles: Brokered<'_>) -> Vec<String> {
    let own =
        brokered(desired, roles.referenced).map(|one| role::arn(location, &one.name, one.managed.path.as_deref()));
    own.chain(roles.elsewhere.iter().cloned()).collect()
}

/// Returns the roles that the broker assumes: those of profiles, and those that trust its own role.
fn brokered<'a>(
    desired: &'a [DesiredResource],
    referenced: &'a [Address],
) -> impl Iterator<Item = &'a Desired<role::Role>> {
    let all = desired.iter().filter_map(DesiredResource::of::<role::Role>).filter(|one| one.presence.is_present());
    all.filter(|one| referenced.contains(&one.address) || one.depends_on.iter().any(|on| on.kind == KindId::Role))
}

/// Returns the permissions for one use as policies of a role, for any account. Without a region, they apply to all regions.
pub fn of_role(
    purpose: Use,
    region: Option<RegionName>,
    policy_root: &PolicyRoot,
    desired: &[DesiredResource],
    additional: AdditionalPermissions<'_>,
) -> Vec<PolicyDocument> {
    let location = Location { region, account: Some(AccountId::new(role::ACCOUNT)) };
    let documents = policies(purpose, &location, policy_root, desired, additional);
    documents.iter().map(|document| role::anywhere(&PolicyDocument::from(json!(document)))).collect()
}

/// Divides statements into as few documents as possible. The resources of a statement may be divided too.
fn split(statements: Vec<Statement>) -> Vec<Document> {
    let empty = || Document { version: "2012-10-17", statement: Vec::new() };
    let size = |document: &Document| serde_json::to_string(document).map_or(0, |text| text.chars().count());
    let mut documents = vec![empty()];
    let mut used = size(&empty());
    for statement in statements {
        let head = Statement { resource: Vec::new(), ..statement.clone() };
        // Includes the comma before the statement, and the comma and quotes of each resource.
        let head_size = serde_json::to_string(&head).map_or(0, |text| text.chars().count()) + 1;
        let mut open = false;
        for resource in statement.resource {
            let more = resource.chars().count() + 3;
            if used + more + if open { 0 } else { head_size } > LIMIT {
                documents.push(empty());
                used = size(&empty());
                open = false;
            }
            let Some(document) = documents.last_mut() else { continue };
            if !open {
                document.statement.push(head.clone());
                used += head_size;
                open = true;
            }
            if let Some(statement) = document.statement.last_mut() {
                statement.resource.push(resource);
            }
            used += more;
        }
    }
    documents.retain(|document| !document.statement.is_empty());
    documents
}

/// Returns the permissions to create the resources, to read policies and records, and to request access, in separate statements. The
/// policies of the other roles allow writing other records.
///
/// The account is unknown here, so it is `*` in the ARNs.
pub fn document(region: Option<RegionName>, policy_root: &PolicyRoot, desired: &[DesiredResource]) -> Document {
    let location = Location { region, account: None };
    let mut statements = Statements::default();
    let creation = |one: &DesiredResource| -> Vec<Operation> {
        let steps = one.create().into_iter();
        one.reads().into_iter().chain(steps.flat_map(|step| step.operations().iter().copied())).collect()
    };
    if policies_of(desired).next().is_some() {
        let below = || policy_parameter::below(&location, policy_root);
        let read = [READ_POLICY, READ_ROOT].concat();
        statements.allow("SentinelPolicyRead", actions(&read), below());
        let mut operations: Vec<Operation> =
            desired.iter().filter(|one| one.of::<PolicyParameter>().is_some()).flat_map(creation).collect();
        operations.push(GET_PARAMETERS_BY_PATH);
        statements.allow("SentinelPolicyAdmin", actions(&operations), below());
    }
    for one in desired.iter().filter(|one| one.of::<PolicyParameter>().is_none()) {
        statements.permit(one.permissions(creation(one), Purpose::Write, &location));
        if let Some(table) = one.of::<Table>() {
            let table = RecordTable::of(table, &location);
            statements.read_records(&table);
            statements.write_records(&[Role::Requester], &table);
        }
    }
    Document { version: "2012-10-17", statement: statements.list }
}

fn actions(operations: &[Operation]) -> Vec<String> {
    let actions: BTreeSet<String> = operations.iter().map(|operation| operation.action()).collect();
    actions.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_beyond_the_size_limit_are_split_without_loss() {
        let statement = |sid: &str, count: usize| Statement {
            sid: sid.to_owned(),
            effect: "Allow",
            action: vec![String::from("ssm:GetParameters")],
            resource: (0..count)
                .map(|number| format!("arn:aws:ssm:us-east-1:123456789012:parameter/sentinel/policies/p{number}"))
                .collect(),
            condition: None,
        };
        let documents = split(vec![statement("A", 3), statement("B", 400), statement("C", 1)]);
        assert!(documents.len() > 4, "{}", documents.len());
        for document in &documents {
            let size = serde_json::to_string(document).unwrap().chars().count();
            assert!(size <= LIMIT, "{size}");
        }
        // All documents but the last are full: the next resource would not fit.
        for document in &documents[..documents.len() - 1] {
            assert!(serde_json::to_string(document).unwrap().len() > LIMIT - 100);
        }
        let count = |sid: &str| {
            let of = documents.iter().flat_map(|document| &document.statement).filter(|one| one.sid == sid);
            of.map(|one| one.resource.len()).sum::<usize>()
        };
        assert_eq!([count("A"), count("B"), count("C")], [3, 400, 1]);
    }

    #[test]
    fn the_broker_writes_the_records_of_all_users_and_assumes_roles() {
        let table = Desired::new(Address::new(KindId::Table, "breakglass"), "b", Table::default());
        let roles = [String::from("arn:aws:iam::210987654321:role/admin")];
        let additional = AdditionalPermissions {
            roles: Brokered { elsewhere: &roles, referenced: &[] },
            ..AdditionalPermissions::default()
        };
        let of = |purpose| {
            let documents =
                policies(purpose, &Location::default(), &PolicyRoot::default(), &[table.clone().into()], additional);
            serde_json::to_string(&documents).unwrap()
        };
        let (broker, operator) = (of(Use::Broker), of(Use::Role(Role::Operator)));
        assert!(operator.contains("place#${aws:userid}#*") && !operator.contains("sts:AssumeRole"), "{operator}");
        assert!(broker.contains("\"place#*\"") && !broker.contains("aws:userid"), "{broker}");
        assert!(broker.contains("sts:SetSourceIdentity") && broker.contains(&roles[0]), "{broker}");
    }

    #[test]
    fn equal_statement_names_get_numbers() {
        let mut statements = Statements::default();
        for _ in 0..3 {
            statements.allow("SentinelabTableRead", Vec::new(), Vec::new());
        }
        let sids: Vec<&str> = statements.list.iter().map(|one| one.sid.as_str()).collect();
        assert_eq!(sids, ["SentinelabTableRead", "SentinelabTableRead2", "SentinelabTableRead3"]);
    }
}
