//! IAM policy documents, derived from the operations that steps and observation call.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Value, json};

use crate::kind::{DesiredResource, KindId};
use crate::manifest::Builtin;
use crate::resource::call::{
    DELETE_PARAMETERS, DESCRIBE_PARAMETERS, GET_ITEM, GET_PARAMETERS, GET_PARAMETERS_BY_PATH, LIST_PARAMETER_TAGS,
    LIST_TABLES, Operation, PUT_ITEM, QUERY, UPDATE_ITEM,
};
use crate::resource::record_key::{Prefix, Role};

/// The most characters, white space not counted, that a managed policy holds. Source: "IAM and AWS STS quotas".
const LIMIT: usize = 6144;

/// A policy document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Document {
    pub version: &'static str,
    pub statement: Vec<Statement>,
}

/// A statement that allows.
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

/// Where the resources are. What is not known is `*` in their ARNs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    pub region: Option<String>,
    pub account: Option<String>,
}

impl Place {
    fn arn(&self, service: &str, resource: &str) -> String {
        let any = |part: &Option<String>| part.clone().unwrap_or_else(|| String::from("*"));
        let partition = partition(self.region.as_deref().unwrap_or_default());
        format!("arn:{partition}:{service}:{}:{}:{resource}", any(&self.region), any(&self.account))
    }

    /// Parameters have a `/` of their own at the start of their names.
    fn parameter(&self, name: &str) -> String {
        self.arn("ssm", &format!("parameter{name}"))
    }

    fn table(&self, name: &str) -> String {
        self.arn("dynamodb", &format!("table/{name}"))
    }
}

/// What a policy is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Observing.
    Plan,
    /// Observing, creating, and repairing whatever can drift.
    Apply,
    /// Reading policies, and reading and writing records as a role does.
    Role(Role),
}

impl Use {
    const fn role(self) -> Option<Role> {
        match self {
            Self::Role(role) => Some(role),
            Self::Plan | Self::Apply => None,
        }
    }
}

/// What goes beyond the manifest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Beyond {
    pub prune: bool,
}

/// What a role does with the records of a built-in table.
#[derive(Debug, Clone, Copy)]
struct Grant {
    role: Role,
    table: Builtin,
    /// Whose records it writes. All records of the table are read.
    writes: &'static [Prefix],
}

/// Which role reads and writes what. A requester and a server read what the gate looks at.
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

/// What the commands call that use what is provisioned: each policy by its name, the profiles by their path, and the
/// records of the tables. A transaction takes the permissions of its parts (Amazon DynamoDB Developer Guide, "Using IAM
/// with DynamoDB transactions"). Nothing deletes a record, writes in batches or uses PartiQL.
const READ_POLICY: [Operation; 1] = [GET_PARAMETERS];
const READ_ROOT: [Operation; 1] = [GET_PARAMETERS_BY_PATH];
const READ_RECORDS: [Operation; 2] = [GET_ITEM, QUERY];
const WRITE_RECORDS: [Operation; 2] = [PUT_ITEM, UPDATE_ITEM];

/// Returns the keys of a kind of record, as `StringLike` compares them.
fn keys_like(prefix: Prefix) -> String {
    match prefix {
        // Each user's own: IAM puts the caller's unique ID in the place of the variable.
        Prefix::Place => prefix.key("${aws:userid}#*"),
        _ => prefix.key("*"),
    }
}

/// Returns the condition that every item of a call has a key of these kinds. `ForAllValues` alone also holds for a call
/// without the condition key; `Null` refuses that. Source: IAM User Guide, "Multivalued context keys".
fn only_keys(prefixes: &[Prefix]) -> Value {
    let keys: Vec<String> = prefixes.iter().copied().map(keys_like).collect();
    json!({
        "ForAllValues:StringLike": { "dynamodb:LeadingKeys": keys },
        "Null": { "dynamodb:LeadingKeys": "false" },
    })
}

/// Returns the least that a use of these resources takes, on their exact ARNs, in as many documents as that fills.
pub fn policies(
    purpose: Use,
    place: &Place,
    policy_root: &str,
    desired: &[DesiredResource],
    beyond: Beyond,
) -> Vec<Document> {
    let mut statements = Statements::default();
    let mut parameters: BTreeMap<Vec<String>, Vec<String>> = BTreeMap::new();
    for one in of_kind(desired, KindId::Policy) {
        let mut operations = operations(purpose, one);
        // AWS knows no resource for this one.
        operations.retain(|operation| {
            let lists = *operation == DESCRIBE_PARAMETERS;
            statements.lists_parameters |= lists;
            !lists
        });
        parameters.entry(actions(&operations)).or_default().push(place.parameter(one.name()));
    }
    let name = if purpose == Use::Apply { "SentinelPolicyAdmin" } else { "SentinelPolicyRead" };
    for (actions, resources) in parameters {
        statements.allow(name, actions, resources);
    }
    let below = || vec![place.parameter(policy_root), place.parameter(&format!("{policy_root}/*"))];
    if purpose.role().is_some() && of_kind(desired, KindId::Policy).next().is_some() {
        statements.allow("SentinelPolicyDiscovery", actions(&READ_ROOT), below());
    }
    for one in of_kind(desired, KindId::Table) {
        let name = statement_name(&one.address().key);
        let arn = place.table(one.name());
        match purpose {
            Use::Plan => statements.allow(&format!("{name}Read"), actions(&operations(purpose, one)), vec![arn]),
            Use::Apply => {
                statements.allow(&format!("{name}Provisioning"), actions(&operations(purpose, one)), vec![arn]);
            }
            // The records of a custom table are its owner's own affair.
            Use::Role(role) => statements.records(&name, role, Builtin::from_key(&one.address().key), &arn),
        }
    }
    if beyond.prune && purpose.role().is_none() {
        let mut operations = vec![GET_PARAMETERS_BY_PATH, GET_PARAMETERS];
        if purpose == Use::Apply {
            operations.extend([DELETE_PARAMETERS, LIST_PARAMETER_TAGS]);
        }
        statements.allow("SentinelPolicyPrune", actions(&operations), below());
        statements.allow("SentinelTableList", vec![LIST_TABLES.action()], vec![String::from("*")]);
        statements.lists_parameters = true;
    }
    if statements.lists_parameters {
        statements.allow("SentinelPolicyList", vec![DESCRIBE_PARAMETERS.action()], vec![String::from("*")]);
    }
    split(statements.list)
}

fn of_kind(desired: &[DesiredResource], kind: KindId) -> impl Iterator<Item = &DesiredResource> {
    desired.iter().filter(move |one| one.address().kind == kind)
}

/// Returns the operations that creating a resource calls.
fn creation(desired: &DesiredResource) -> Vec<Operation> {
    let mut operations = desired.reads();
    operations.extend(desired.create().iter().flat_map(|step| step.operations()));
    operations
}

fn operations(purpose: Use, desired: &DesiredResource) -> Vec<Operation> {
    if purpose.role().is_some() {
        return READ_POLICY.to_vec();
    }
    let mut operations = desired.reads();
    if purpose == Use::Apply {
        let steps = desired.create().into_iter().chain(desired.repair_everything());
        operations.extend(steps.flat_map(|step| step.operations()));
    }
    operations
}

#[derive(Default)]
struct Statements {
    list: Vec<Statement>,
    lists_parameters: bool,
}

impl Statements {
    /// Adds a statement; a name that is taken gets a number.
    fn allow(&mut self, sid: &str, action: Vec<String>, resource: Vec<String>) {
        self.allow_if(sid, action, resource, None);
    }

    fn allow_if(&mut self, sid: &str, action: Vec<String>, resource: Vec<String>, condition: Option<Value>) {
        let taken = |sid: &str| self.list.iter().any(|statement| statement.sid == sid);
        let numbered = (2..).map(|number| format!("{sid}{number}"));
        let sid = std::iter::once(sid.to_owned()).chain(numbered).find(|sid| !taken(sid)).unwrap_or_default();
        self.list.push(Statement { sid, effect: "Allow", action, resource, condition });
    }

    /// Adds what a role does with the records of a built-in table.
    fn records(&mut self, name: &str, role: Role, table: Option<Builtin>, arn: &str) {
        if GRANTS.iter().any(|grant| grant.role == role && Some(grant.table) == table) {
            self.read_records(name, arn);
            self.write_records(name, role, table, arn);
        }
    }

    fn read_records(&mut self, name: &str, arn: &str) {
        let resources = vec![arn.to_owned(), format!("{arn}/index/*")];
        self.allow(&format!("{name}Operations"), actions(&READ_RECORDS), resources);
    }

    fn write_records(&mut self, name: &str, role: Role, table: Option<Builtin>, arn: &str) {
        let of_role = GRANTS.iter().filter(|grant| grant.role == role && Some(grant.table) == table);
        for grant in of_role.filter(|grant| !grant.writes.is_empty()) {
            let condition = Some(only_keys(grant.writes));
            self.allow_if(&format!("{name}Write"), actions(&WRITE_RECORDS), vec![arn.to_owned()], condition);
        }
    }
}

/// Puts statements into as few documents as hold them; one with many resources may go on in the next document.
fn split(statements: Vec<Statement>) -> Vec<Document> {
    let empty = || Document { version: "2012-10-17", statement: Vec::new() };
    let size = |document: &Document| serde_json::to_string(document).map_or(0, |text| text.chars().count());
    let mut documents = vec![empty()];
    let mut used = size(&empty());
    for statement in statements {
        let head = Statement { resource: Vec::new(), ..statement.clone() };
        // With the comma before the statement, and before each resource, and the quotes around that.
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

/// Returns what creating the resources takes, and what reading policies and records and asking for access take, in
/// separate statements. Other records than requests are for the policies of the other roles.
///
/// The account, which only AWS could tell, is `*` in the ARNs.
pub fn document(region: Option<&str>, policy_root: &str, desired: &[DesiredResource]) -> Document {
    let place = Place { region: region.map(str::to_owned), account: None };
    let mut statements = Statements::default();
    let policies: Vec<&DesiredResource> = of_kind(desired, KindId::Policy).collect();
    if !policies.is_empty() {
        let below = || vec![place.parameter(policy_root), place.parameter(&format!("{policy_root}/*"))];
        let read = [READ_POLICY, READ_ROOT].concat();
        statements.allow("SentinelPolicyRead", actions(&read), below());
        let mut operations: Vec<Operation> = policies.iter().flat_map(|one| creation(one)).collect();
        operations.push(GET_PARAMETERS_BY_PATH);
        statements.allow("SentinelPolicyAdmin", actions(&operations), below());
    }
    for one in of_kind(desired, KindId::Table) {
        let arn = place.table(one.name());
        let operations = creation(one);
        let name = statement_name(&one.address().key);
        statements.allow(&format!("{name}Provisioning"), actions(&operations), vec![arn.clone()]);
        statements.read_records(&name, &arn);
        statements.write_records(&name, Role::Requester, Builtin::from_key(&one.address().key), &arn);
    }
    Document { version: "2012-10-17", statement: statements.list }
}

fn actions(operations: &[Operation]) -> Vec<String> {
    let actions: BTreeSet<String> = operations.iter().map(|operation| operation.action()).collect();
    actions.into_iter().collect()
}

/// Returns the head of a table's statement names; a statement's name takes letters and digits only.
fn statement_name(key: &str) -> String {
    match Builtin::from_key(key) {
        Some(Builtin::Approvals) => String::from("SentinelApprovalTable"),
        Some(Builtin::BreakGlass) => String::from("SentinelBreakGlassTable"),
        Some(Builtin::Sessions) => String::from("SentinelSessionTable"),
        None => {
            let plain: String = key.chars().filter(char::is_ascii_alphanumeric).collect();
            format!("Sentinel{plain}Table")
        }
    }
}

/// Returns the partition a region lies in. Source: the partitions in the AWS SDKs' endpoint rules.
fn partition(region: &str) -> &'static str {
    const PREFIXES: &[(&str, &str)] = &[
        ("cn-", "aws-cn"),
        ("us-gov-", "aws-us-gov"),
        ("eusc-", "aws-eusc"),
        ("us-isob-", "aws-iso-b"),
        ("us-isof-", "aws-iso-f"),
        ("eu-isoe-", "aws-iso-e"),
        ("us-iso-", "aws-iso"),
    ];
    PREFIXES.iter().find(|(prefix, _)| region.starts_with(prefix)).map_or("aws", |(_, partition)| partition)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_follow_the_region() {
        assert_eq!(partition("us-east-1"), "aws");
        assert_eq!(partition("us-gov-west-1"), "aws-us-gov");
        assert_eq!(partition("us-isob-east-1"), "aws-iso-b");
        assert_eq!(partition("us-iso-east-1"), "aws-iso");
    }

    #[test]
    fn what_fills_more_than_one_policy_is_split_and_loses_nothing() {
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
        // All but the last are full: the next resource would not have fitted.
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
    fn two_tables_whose_names_differ_in_signs_only_have_statements_of_their_own() {
        let mut statements = Statements::default();
        for _ in 0..3 {
            statements.allow("SentinelabTableRead", Vec::new(), Vec::new());
        }
        let sids: Vec<&str> = statements.list.iter().map(|one| one.sid.as_str()).collect();
        assert_eq!(sids, ["SentinelabTableRead", "SentinelabTableRead2", "SentinelabTableRead3"]);
    }
}
