//! Application Auto Scaling for the capacity of tables and indexes: scalable targets, and target tracking policies. There is no CloudWatch:
//! capacity is adjusted to a target's limits when they are set, and never by use.

mod rules;

use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answer::{Answer, Failure, parse};
use super::store::{keep, object, objects, remove};
use super::{Region, dynamodb};
use rules::{Dimension, check_bounds, check_policy, invalid, read};

const TARGET: &str = "scalable target";
const POLICY: &str = "scaling policy";

pub(super) fn answer(region: &Region, operation: &str, body: &[u8]) -> Result<Answer, Failure> {
    let body = parse(body)?;
    let answer = match operation {
        "RegisterScalableTarget" => register(region, read(body)?),
        "DeregisterScalableTarget" => deregister(region, read(body)?),
        "DescribeScalableTargets" => describe_targets(region, read(body)?),
        "PutScalingPolicy" => put_policy(region, read(body)?),
        "DeleteScalingPolicy" => delete_policy(region, read(body)?),
        "DescribeScalingPolicies" => describe_policies(region, read(body)?),
        "DescribeScheduledActions" => Ok(json!({ "ScheduledActions": [] })),
        other => Err(Failure::unsupported(&format!("application-autoscaling:{other}"))),
    }?;
    Ok(Answer::json(&answer))
}

/// A scalable target, as it is stored.
#[derive(Debug, Serialize, Deserialize)]
struct Target {
    resource: String,
    dimension: Dimension,
    min: i64,
    max: i64,
    suspended: Value,
    created: i64,
}

/// A scaling policy, as it is stored.
#[derive(Debug, Serialize, Deserialize)]
struct Policy {
    name: String,
    resource: String,
    dimension: Dimension,
    configuration: Value,
    created: i64,
}

/// Returns the storage name for a dimension of a resource.
fn id(resource: &str, dimension: Dimension) -> String {
    format!("{resource}|{}", dimension.name())
}

/// Returns the resource ID of a table, or of its index, with the dimension of its writes.
fn writes(table: &str, index: Option<&str>) -> (String, Dimension) {
    match index {
        None => (format!("table/{table}"), Dimension::TableWrites),
        Some(index) => (format!("table/{table}/index/{index}"), Dimension::IndexWrites),
    }
}

/// Returns whether a policy scales the writes of a table, or of its index.
pub(super) fn scales_writes(store: &Connection, table: &str, index: Option<&str>) -> Result<bool, Failure> {
    let (resource, dimension) = writes(table, index);
    let policy: Option<Policy> = object(store, POLICY, &id(&resource, dimension))?;
    Ok(policy.is_some())
}

/// Scales the writes of an index as DynamoDB does by itself, unless they are scaled already.
pub(super) fn scale_writes(region: &Region, table: &str, index: &str) -> Result<(), Failure> {
    let (resource, dimension) = writes(table, Some(index));
    let (created, suspended) = (region.clock.now(), json!({}));
    let target = Target { resource: resource.clone(), dimension, min: 1, max: 10, suspended, created };
    let configuration = json!({
        "TargetValue": 70.0,
        "PredefinedMetricSpecification": { "PredefinedMetricType": "DynamoDBWriteCapacityUtilization" },
    });
    let name = format!("DynamoDBWriteCapacityUtilization:{resource}");
    let id = id(&resource, dimension);
    let policy = Policy { name, resource, dimension, configuration, created };
    region.store.write(|store| match object::<Policy>(store, POLICY, &id)? {
        Some(_) => Ok(()),
        None => keep(store, TARGET, &id, &target).and_then(|()| keep(store, POLICY, &id, &policy)),
    })
}

/// Copies the write scaling of a table from one region to another.
pub(super) fn copy_writes(from: &Region, to: &Region, table: &str) -> Result<(), Failure> {
    let own = format!("table/{table}");
    let is_copied = |resource: &str, dimension: Dimension| {
        !dimension.reads() && resource.strip_prefix(&own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let targets: Vec<(String, Target)> = from.store.read(|store| objects(store, TARGET))?;
    let policies: Vec<(String, Policy)> = from.store.read(|store| objects(store, POLICY))?;
    to.store.write(|store| {
        for (id, target) in targets.iter().filter(|(_, one)| is_copied(&one.resource, one.dimension)) {
            keep(store, TARGET, id, target)?;
        }
        for (id, policy) in policies.iter().filter(|(_, one)| is_copied(&one.resource, one.dimension)) {
            keep(store, POLICY, id, policy)?;
        }
        Ok(())
    })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Register {
    service_namespace: String,
    resource_id: String,
    scalable_dimension: Dimension,
    min_capacity: Option<i64>,
    max_capacity: Option<i64>,
    suspended_state: Option<Value>,
    /// The service-linked role of DynamoDB.
    #[serde(rename = "RoleARN")]
    #[expect(dead_code, reason = "AWS accepts it and still uses the service-linked role")]
    role_arn: Option<String>,
}

/// Returns the table and the index of an existing resource.
fn existing(region: &Region, namespace: &str, resource: &str, dimension: Dimension) -> Result<(), Failure> {
    let (table, index) = rules::resource(namespace, resource, dimension)?;
    if dynamodb::capacity(region, table, index).is_some() {
        return Ok(());
    }
    let what = if index.is_some() { "index" } else { "table" };
    Err(invalid(format!("DynamoDB {what} does not exist: {resource}")))
}

fn register(region: &Region, request: Register) -> Result<Value, Failure> {
    let Register { service_namespace, resource_id, scalable_dimension, min_capacity, max_capacity, .. } = request;
    existing(region, &service_namespace, &resource_id, scalable_dimension)?;
    let id = id(&resource_id, scalable_dimension);
    let target = region.store.write(|store| {
        let known: Option<Target> = object(store, TARGET, &id)?;
        let bound = |given: Option<i64>, known: Option<i64>, what: &str| {
            let missing = || invalid(format!("{what} is required to register a new scalable target"));
            given.or(known).ok_or_else(missing)
        };
        let min = bound(min_capacity, known.as_ref().map(|known| known.min), "MinCapacity")?;
        let max = bound(max_capacity, known.as_ref().map(|known| known.max), "MaxCapacity")?;
        check_bounds(min, max)?;
        let before = known.as_ref().map(|known| known.suspended.clone());
        let suspended = request.suspended_state.or(before).unwrap_or_else(|| json!({}));
        let created = known.map_or_else(|| region.clock.now(), |known| known.created);
        let target =
            Target { resource: resource_id.clone(), dimension: scalable_dimension, min, max, suspended, created };
        keep(store, TARGET, &id, &target)?;
        Ok::<_, Failure>(target)
    })?;
    let (table, index) = rules::resource(&service_namespace, &resource_id, scalable_dimension)?;
    // AWS adjusts capacity outside the limits within seconds. Source: the finding DDB-TABLE-314 in the lab notes of ack-api-quirks.
    dynamodb::move_capacity(region, (table, index), scalable_dimension.reads(), (target.min, target.max))?;
    Ok(json!({ "ScalableTargetARN": target_arn(region, &target) }))
}

fn target_arn(region: &Region, target: &Target) -> String {
    region.arn("application-autoscaling", &format!("scalable-target/{:016x}", target.created))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Deregister {
    service_namespace: String,
    resource_id: String,
    scalable_dimension: Dimension,
}

fn no_target(what: &str, resource: &str, dimension: Dimension) -> Failure {
    let message = format!(
        "No scalable target {what} for service namespace: dynamodb, resource ID: {resource}, scalable dimension: {}",
        dimension.name()
    );
    Failure::new("ObjectNotFoundException", message)
}

fn deregister(region: &Region, request: Deregister) -> Result<Value, Failure> {
    let Deregister { service_namespace, resource_id, scalable_dimension } = request;
    rules::resource(&service_namespace, &resource_id, scalable_dimension)?;
    let id = id(&resource_id, scalable_dimension);
    region.store.write(|store| {
        let known: Option<Target> = object(store, TARGET, &id)?;
        known.ok_or_else(|| no_target("found", &resource_id, scalable_dimension))?;
        remove(store, TARGET, &id)?;
        // Its policies are deleted with it.
        remove(store, POLICY, &id)?;
        Ok(json!({}))
    })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct DescribeTargets {
    service_namespace: String,
    #[serde(default)]
    resource_ids: Vec<String>,
    scalable_dimension: Option<Dimension>,
    max_results: Option<usize>,
    next_token: Option<String>,
}

/// The maximum number of items of a page. Source: DescribeScalableTargets in the Application Auto Scaling API Reference.
const PAGE: usize = 50;

/// Returns the page of a list after a token.
fn page(all: Vec<(String, Value)>, most: Option<usize>, token: Option<&String>, list: &str) -> Value {
    let most = most.unwrap_or(PAGE).clamp(1, PAGE);
    let mut left = all.into_iter().skip_while(|(id, _)| token.is_some_and(|token| id <= token)).peekable();
    let mut shown = Vec::new();
    let mut last = None;
    while let Some((id, value)) = left.next() {
        shown.push(value);
        if shown.len() == most {
            last = left.peek().map(|_| id);
            break;
        }
    }
    let mut answer = json!({ list: shown });
    if let Some(last) = last {
        answer["NextToken"] = json!(last);
    }
    answer
}

fn describe_targets(region: &Region, request: DescribeTargets) -> Result<Value, Failure> {
    rules::check_namespace(&request.service_namespace)?;
    if request.resource_ids.len() > PAGE {
        return Err(invalid(format!("ResourceIds has at most {PAGE} items")));
    }
    let all: Vec<(String, Target)> = region.store.read(|store| objects(store, TARGET))?;
    let is_wanted = |target: &Target| {
        let named = request.resource_ids.is_empty() || request.resource_ids.contains(&target.resource);
        named && request.scalable_dimension.is_none_or(|dimension| dimension == target.dimension)
    };
    let shown = all.into_iter().filter(|(_, target)| is_wanted(target)).map(|(id, target)| {
        let suspended = |state: &str| target.suspended[state].as_bool().unwrap_or(false);
        let shown = json!({
            "ServiceNamespace": "dynamodb",
            "ResourceId": target.resource,
            "ScalableDimension": target.dimension.name(),
            "MinCapacity": target.min,
            "MaxCapacity": target.max,
            "RoleARN": rules::role(region),
            "CreationTime": target.created / 1000,
            "SuspendedState": {
                "DynamicScalingInSuspended": suspended("DynamicScalingInSuspended"),
                "DynamicScalingOutSuspended": suspended("DynamicScalingOutSuspended"),
                "ScheduledScalingSuspended": suspended("ScheduledScalingSuspended"),
            },
            "ScalableTargetARN": target_arn(region, &target),
        });
        (id, shown)
    });
    Ok(page(shown.collect(), request.max_results, request.next_token.as_ref(), "ScalableTargets"))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct PutPolicy {
    policy_name: String,
    service_namespace: String,
    resource_id: String,
    scalable_dimension: Dimension,
    policy_type: Option<String>,
    target_tracking_scaling_policy_configuration: Option<Value>,
}

fn put_policy(region: &Region, request: PutPolicy) -> Result<Value, Failure> {
    let (resource, dimension) = (request.resource_id, request.scalable_dimension);
    rules::resource(&request.service_namespace, &resource, dimension)?;
    if request.policy_type.as_deref() != Some("TargetTrackingScaling") {
        return Err(invalid("DynamoDB supports the policy type TargetTrackingScaling only"));
    }
    let configuration = request.target_tracking_scaling_policy_configuration.unwrap_or_default();
    check_policy(&configuration, dimension)?;
    let id = id(&resource, dimension);
    region.store.write(|store| {
        let target: Option<Target> = object(store, TARGET, &id)?;
        target.ok_or_else(|| no_target("registered", &resource, dimension))?;
        let known: Option<Policy> = object(store, POLICY, &id)?;
        if known.as_ref().is_some_and(|known| known.name != request.policy_name) {
            let message = "Only one TargetTrackingScaling policy for a given metric specification is allowed.";
            return Err(invalid(message));
        }
        let created = known.map_or_else(|| region.clock.now(), |known| known.created);
        let policy = Policy { name: request.policy_name, resource, dimension, configuration, created };
        keep(store, POLICY, &id, &policy)?;
        Ok(json!({ "PolicyARN": policy_arn(region, &policy), "Alarms": [] }))
    })
}

fn policy_arn(region: &Region, policy: &Policy) -> String {
    let id = format!("{:016x}:resource/dynamodb/{}:policyName/{}", policy.created, policy.resource, policy.name);
    region.arn("autoscaling", &format!("scalingPolicy:{id}"))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct DeletePolicy {
    policy_name: String,
    service_namespace: String,
    resource_id: String,
    scalable_dimension: Dimension,
}

fn delete_policy(region: &Region, request: DeletePolicy) -> Result<Value, Failure> {
    let (resource, dimension) = (request.resource_id, request.scalable_dimension);
    rules::resource(&request.service_namespace, &resource, dimension)?;
    let id = id(&resource, dimension);
    region.store.write(|store| {
        let known: Option<Policy> = object(store, POLICY, &id)?;
        if known.is_none_or(|known| known.name != request.policy_name) {
            let message = format!(
                "No scaling policy found for service namespace: dynamodb, resource ID: {resource}, scalable dimension: {}, policy \
                 name: {}",
                dimension.name(),
                request.policy_name
            );
            return Err(Failure::new("ObjectNotFoundException", message));
        }
        remove(store, POLICY, &id)?;
        Ok(json!({}))
    })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct DescribePolicies {
    service_namespace: String,
    #[serde(default)]
    policy_names: Vec<String>,
    resource_id: Option<String>,
    scalable_dimension: Option<Dimension>,
    max_results: Option<usize>,
    next_token: Option<String>,
}

fn describe_policies(region: &Region, request: DescribePolicies) -> Result<Value, Failure> {
    rules::check_namespace(&request.service_namespace)?;
    let all: Vec<(String, Policy)> = region.store.read(|store| objects(store, POLICY))?;
    let is_wanted = |policy: &Policy| {
        let named = request.policy_names.is_empty() || request.policy_names.contains(&policy.name);
        named
            && request.resource_id.as_ref().is_none_or(|resource| *resource == policy.resource)
            && request.scalable_dimension.is_none_or(|dimension| dimension == policy.dimension)
    };
    let shown = all.into_iter().filter(|(_, policy)| is_wanted(policy)).map(|(id, policy)| {
        let shown = json!({
            "PolicyARN": policy_arn(region, &policy),
            "PolicyName": policy.name,
            "ServiceNamespace": "dynamodb",
            "ResourceId": policy.resource,
            "ScalableDimension": policy.dimension.name(),
            "PolicyType": "TargetTrackingScaling",
            "TargetTrackingScalingPolicyConfiguration": policy.configuration,
            "Alarms": [],
            "CreationTime": policy.created / 1000,
        });
        (id, shown)
    });
    Ok(page(shown.collect(), request.max_results, request.next_token.as_ref(), "ScalingPolicies"))
}

#[cfg(test)]
mod tests;
