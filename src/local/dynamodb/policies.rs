//! The resource policies of a table and its stream. They are only stored and shown; access depends on the policies of users. Source of the
//! rules: the findings DDB-TABLE-205 to 214, 244 to 248 and 346 to 356 in the lab notes of ack-api-quirks.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::engine::call;
use super::state::TableState;
use super::{admitted, seen};
use crate::local::Region;
use crate::local::answer::Failure;
use crate::local::clock::millis;

/// The maximum size of a document. Source: PutResourcePolicy in the Amazon DynamoDB API Reference.
const LIMIT: usize = 20 * 1024;
/// The revision ID in a request that expects no policy.
const NO_POLICY: &str = "NO_POLICY";

/// The policies of a table (under an empty name) and of its streams, by label.
pub(super) type All = BTreeMap<String, Policy>;

/// The policy of a table or a stream.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Policy {
    /// `None` if it was deleted.
    document: Option<Value>,
    /// The time of its last change.
    revision: i64,
    /// The document before that change, and its revision.
    before: Option<(Value, i64)>,
}

impl Policy {
    /// Returns the document for a read, which shows a change only after a delay.
    fn read(&self, region: &Region) -> Option<(&Value, i64)> {
        let lags = TableState::within(Some(self.revision), region.rules.policy_lag, region.clock.now());
        let before = self.before.as_ref().map(|(document, revision)| (document, *revision));
        if lags { before } else { self.document.as_ref().map(|document| (document, self.revision)) }
    }
}

/// The resource of a policy.
struct Target {
    arn: String,
    table: String,
    /// The label of the stream, or empty for the table.
    stream: String,
}

impl Target {
    fn of(region: &Region, body: &Value) -> Result<Self, Failure> {
        let arn = body["ResourceArn"].as_str().unwrap_or_default();
        let invalid = || Failure::validation(format!("Invalid ResourceArn: {arn}"));
        let resource = arn.strip_prefix(&region.arn("dynamodb", "table/")).ok_or_else(invalid)?;
        let (table, stream) = match resource.split_once("/stream/") {
            Some((table, stream)) if !stream.is_empty() => (table, stream),
            None => (resource, ""),
            Some(_) => return Err(invalid()),
        };
        if table.contains('/') {
            return Err(invalid());
        }
        Ok(Self { arn: arn.to_owned(), table: table.to_owned(), stream: stream.to_owned() })
    }

    /// Refuses a stream that the table does not have.
    fn check(&self, region: &Region) -> Result<(), Failure> {
        if self.stream.is_empty() {
            return Ok(());
        }
        let described = call(region, "DescribeTable", json!({ "TableName": self.table }))?;
        if described["Table"]["LatestStreamArn"] == json!(self.arn) {
            return Ok(());
        }
        let message = format!("Requested resource not found: Stream: {} not found", self.arn);
        Err(Failure::new("ResourceNotFoundException", message))
    }

    fn no_policy(&self) -> Failure {
        let message = format!("Resource-based policy not found for the provided ResourceArn: {}", self.arn);
        Failure::new("PolicyNotFoundException", message)
    }
}

/// Returns the state of the table for a request that changes its policy, if AWS accepts a change now.
fn changeable(region: &Region, store: &Connection, target: &Target, body: &Value) -> Result<TableState, Failure> {
    let state = admitted(region, store, &target.table)?;
    target.check(region)?;
    let found = state.policies.get(&target.stream);
    if let Some(expected) = body["ExpectedRevisionId"].as_str() {
        let current = found.filter(|policy| policy.document.is_some()).map(|policy| policy.revision.to_string());
        if current.as_deref().unwrap_or(NO_POLICY) != expected {
            let message = format!(
                "Resource-based policy not found for the provided ResourceArn: Requested update for policy with revision id \
                 {expected}, but the policy associated to target table {} did not match",
                target.table
            );
            return Err(Failure::new("PolicyNotFoundException", message));
        }
    }
    Ok(state)
}

/// Refuses a change too soon after another.
fn check_pause(region: &Region, target: &Target, found: Option<&Policy>) -> Result<(), Failure> {
    let Some(found) = found else { return Ok(()) };
    let now = region.clock.now();
    if TableState::within(Some(found.revision), region.rules.policy_lag, now) {
        let message = format!(
            "Attempt to change a resource which is still in use: Table is pending previous resource-based policy update: {}",
            target.table
        );
        return Err(Failure::new("ResourceInUseException", message));
    }
    if TableState::within(Some(found.revision), region.rules.policy_cooldown, now) {
        let pause = region.rules.policy_cooldown.as_millis();
        let message = format!(
            "Resource-based policy for table {} modified within the previous {pause} milliseconds. Please try again after {}.",
            target.table,
            found.revision + millis(region.rules.policy_cooldown)
        );
        return Err(Failure::new("ThrottlingException", message));
    }
    Ok(())
}

pub(super) fn put(region: &Region, body: &Value) -> Result<Value, Failure> {
    let target = Target::of(region, body)?;
    let text = body["Policy"].as_str().unwrap_or_default();
    let document = checked(region, text)?;
    region.store.write(|store| {
        let mut state = changeable(region, store, &target, body)?;
        let found = state.policies.get(&target.stream).cloned();
        let revision = match found {
            // An equal policy changes nothing.
            Some(found) if found.document.as_ref() == Some(&document) => found.revision,
            found => {
                check_pause(region, &target, found.as_ref())?;
                let revision = region.clock.now();
                let before = found.and_then(|found| Some((found.document?, found.revision)));
                let policy = Policy { document: Some(document), revision, before };
                state.policies.insert(target.stream.clone(), policy);
                state.save(store, &target.table)?;
                revision
            }
        };
        Ok(json!({ "RevisionId": revision.to_string() }))
    })
}

pub(super) fn delete(region: &Region, body: &Value) -> Result<Value, Failure> {
    let target = Target::of(region, body)?;
    region.store.write(|store| {
        let mut state = changeable(region, store, &target, body)?;
        let Some(found) = state.policies.get(&target.stream).cloned() else { return Ok(json!({})) };
        let Some(document) = found.document.clone() else {
            return Ok(json!({ "RevisionId": found.revision.to_string() }));
        };
        check_pause(region, &target, Some(&found))?;
        let revision = region.clock.now();
        let policy = Policy { document: None, revision, before: Some((document, found.revision)) };
        state.policies.insert(target.stream.clone(), policy);
        state.save(store, &target.table)?;
        Ok(json!({ "RevisionId": revision.to_string() }))
    })
}

pub(super) fn get(region: &Region, body: &Value) -> Result<Value, Failure> {
    let target = Target::of(region, body)?;
    let state = seen(region, &target.table)?;
    target.check(region)?;
    let found = state.policies.get(&target.stream).and_then(|policy| policy.read(region));
    let (document, revision) = found.ok_or_else(|| target.no_policy())?;
    let mut shown = document.clone();
    if shown["Version"].is_null() {
        shown["Version"] = json!("2008-10-17");
    }
    Ok(json!({ "Policy": shown.to_string(), "RevisionId": revision.to_string() }))
}

/// Returns the policy in the creation of a table.
pub(super) fn of_creation(region: &Region, text: &Value) -> Result<All, Failure> {
    let Some(text) = text.as_str() else { return Ok(All::new()) };
    let policy = Policy { document: Some(checked(region, text)?), revision: region.clock.now(), before: None };
    Ok(All::from([(String::new(), policy)]))
}

/// Returns whether the policy of a table was changed recently, which delays its deletion.
pub(super) fn is_pending(region: &Region, all: &All) -> bool {
    let now = region.clock.now();
    all.values().any(|policy| TableState::within(Some(policy.revision), region.rules.policy_lag, now))
}

/// Checks a document and converts it to the displayed form.
fn checked(region: &Region, text: &str) -> Result<Value, Failure> {
    let invalid = |why: &str| Failure::validation(format!("Invalid policy document: {why}"));
    if text.len() > LIMIT {
        return Err(invalid(&format!("the maximum size is {LIMIT} bytes")));
    }
    let document: Value = serde_json::from_str(text).map_err(|error| invalid(&error.to_string()))?;
    let statements = match &document["Statement"] {
        Value::Array(statements) => statements.clone(),
        statement @ Value::Object(_) => vec![statement.clone()],
        _ => Vec::new(),
    };
    if statements.is_empty() || !statements.iter().all(Value::is_object) {
        return Err(invalid("it has no statement"));
    }
    let mut sids = BTreeSet::new();
    for statement in &statements {
        if statement["Sid"].as_str().is_some_and(|sid| !sids.insert(sid.to_owned())) {
            return Err(invalid("statement IDs must be unique"));
        }
        let principal = &statement["Principal"];
        if principal.is_null() && statement["NotPrincipal"].is_null() {
            return Err(invalid("a statement has no principal"));
        }
        let aws = &principal["AWS"];
        let everyone = [principal, aws].iter().any(|one| **one == json!("*") || **one == json!(["*"]));
        if everyone && statement["Effect"] == json!("Allow") && statement["Condition"].is_null() {
            return Err(invalid("it gives unbounded access"));
        }
    }
    let mut shown = Map::new();
    for element in ["Version", "Id"] {
        if let Some(value) = document.get(element) {
            shown.insert(element.to_owned(), value.clone());
        }
    }
    let statements = statements.iter().map(|statement| of_statement(region, statement));
    shown.insert(String::from("Statement"), statements.collect());
    Ok(Value::Object(shown))
}

fn of_statement(region: &Region, statement: &Value) -> Value {
    const ORDER: [&str; 9] =
        ["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"];
    let mut shown = Map::new();
    for element in ORDER {
        let Some(value) = statement.get(element) else { continue };
        let value = match (element, value) {
            ("Principal" | "NotPrincipal", Value::Object(principals)) => {
                let of = |value: &Value| single(&roots(region, value));
                Value::Object(principals.iter().map(|(kind, value)| (kind.clone(), of(value))).collect())
            }
            ("Condition", value) => value.clone(),
            (_, value) => single(value),
        };
        shown.insert(element.to_owned(), value);
    }
    Value::Object(shown)
}

/// Replaces account IDs by the ARNs of their root users.
fn roots(region: &Region, value: &Value) -> Value {
    match value {
        Value::String(text) if text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            let arn = region.arn("iam", "root");
            Value::String(arn.replace(&format!(":{}:{}:", region.name, region.account), &format!("::{text}:")))
        }
        Value::Array(items) => {
            let mut seen: Vec<Value> = Vec::new();
            for item in items.iter().map(|item| roots(region, item)) {
                if !seen.contains(&item) {
                    seen.push(item);
                }
            }
            Value::Array(seen)
        }
        other => other.clone(),
    }
}

/// Returns a list of one value as that value.
fn single(value: &Value) -> Value {
    match value.as_array().map(Vec::as_slice) {
        Some([one]) => one.clone(),
        _ => value.clone(),
    }
}
