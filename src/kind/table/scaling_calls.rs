//! The calls of Application Auto Scaling for a table and its indexes.

use std::collections::BTreeSet;

use aws_sdk_applicationautoscaling::types as sdk;
use futures_util::future;

use super::api::{describe, failed};
use super::autoscaling::{Autoscaling, Dimension, KEY, SetScale, UnsupportedScaling};
use super::scales::{Bounds, Scale, Scales, Target, Units};
use super::setting::is_unknown;
use super::{Table, TableApi};
use crate::kind::Desired;
use crate::resource::call::{CallError, Class, Operation, operation};
use crate::resource::pages::Pages;
use crate::resource::{Gap, StepOutcome};

// "Quotas for Application Auto Scaling" in its User Guide does not specify calls per second, so the rates are guesses.
pub(super) const DESCRIBE_TARGETS: Operation =
    operation!("application-autoscaling", "DescribeScalableTargets", 10.0, 10.0);
pub(super) const DESCRIBE_POLICIES: Operation =
    operation!("application-autoscaling", "DescribeScalingPolicies", 10.0, 10.0);
const DESCRIBE_SCHEDULED: Operation = operation!("application-autoscaling", "DescribeScheduledActions", 10.0, 10.0);
pub(super) const REGISTER_TARGET: Operation = operation!("application-autoscaling", "RegisterScalableTarget", 5.0, 5.0);
pub(super) const DEREGISTER_TARGET: Operation =
    operation!("application-autoscaling", "DeregisterScalableTarget", 5.0, 5.0);
pub(super) const PUT_POLICY: Operation = operation!("application-autoscaling", "PutScalingPolicy", 5.0, 5.0);

/// Temporary failures: a concurrent change of the same target, and an index that Application Auto Scaling does not know yet.
const SETTLING: &[Class] = &[Class::Busy];

/// Returns the resource ID of a table or an index.
fn resource(name: &str, index: Option<&str>) -> String {
    match index {
        None => format!("table/{name}"),
        Some(index) => format!("table/{name}/index/{index}"),
    }
}

/// Returns the index of a resource ID; `None` for the table.
fn index_of<'a>(name: &str, resource: &'a str) -> Option<&'a str> {
    resource.strip_prefix(&format!("table/{name}/index/"))
}

fn dimension(index: Option<&str>, units: Units) -> sdk::ScalableDimension {
    match (index, units) {
        (None, Units::Read) => sdk::ScalableDimension::DynamoDbTableReadCapacityUnits,
        (None, Units::Write) => sdk::ScalableDimension::DynamoDbTableWriteCapacityUnits,
        (Some(_), Units::Read) => sdk::ScalableDimension::DynamoDbIndexReadCapacityUnits,
        (Some(_), Units::Write) => sdk::ScalableDimension::DynamoDbIndexWriteCapacityUnits,
    }
}

fn units_of(dimension: &sdk::ScalableDimension) -> Option<Units> {
    use sdk::ScalableDimension as Of;
    match dimension {
        Of::DynamoDbTableReadCapacityUnits | Of::DynamoDbIndexReadCapacityUnits => Some(Units::Read),
        Of::DynamoDbTableWriteCapacityUnits | Of::DynamoDbIndexWriteCapacityUnits => Some(Units::Write),
        _ => None,
    }
}

/// Reads the scalable targets of a table and its indexes, then their policies.
pub(super) async fn observe(managed: &Autoscaling, api: &TableApi, name: &str) -> Result<Autoscaling, CallError> {
    let indexes: Vec<String> = match managed.whole {
        true => describe(api, name).await?.0.indexes.into_iter().flatten().map(|(index, _)| index).collect(),
        false => managed.indexes.keys().cloned().collect(),
    };
    let of: Vec<Option<String>> = std::iter::once(None).chain(indexes.into_iter().map(Some)).collect();
    let resources: Vec<String> = of.iter().map(|one| resource(name, one.as_deref())).collect();
    let mut live = read(api, name, &of).await?;
    if managed.whole {
        live.more.extend(scheduled(api, name, &resources).await?);
    }
    Ok(live)
}

/// Reads the scalable targets of a table (without an index name) and of indexes, with their policies.
async fn read(api: &TableApi, name: &str, of: &[Option<String>]) -> Result<Autoscaling, CallError> {
    let resources: Vec<String> = of.iter().map(|one| resource(name, one.as_deref())).collect();
    let targets = targets(api, &resources).await?;
    let scaled: BTreeSet<&str> = targets.iter().map(|target| target.resource_id.as_str()).collect();
    let policies = future::try_join_all(scaled.iter().map(|resource| policies(api, resource))).await?;
    let indexes: Vec<String> = of.iter().flatten().cloned().collect();
    let mut live = Autoscaling::when_read(&indexes);
    for target in &targets {
        let Some(units) = units_of(&target.scalable_dimension) else { continue };
        let index = index_of(name, &target.resource_id);
        let one: Dimension = (index.map(str::to_owned), units);
        let own = policies.iter().flatten().filter(|policy| {
            policy.resource_id == target.resource_id && policy.scalable_dimension == target.scalable_dimension
        });
        add(&mut live, &one, target, own);
    }
    Ok(live)
}

/// Reads the autoscaling of the parts of a table that will be deleted, because AWS does not delete it with them: that of unlisted indexes
/// if the manifest manages autoscaling, and all of it if the table is deleted. Source: DDB-TABLE-292 and 323 in the lab notes of
/// ack-api-quirks.
pub(super) async fn read_deleted_scaling(
    api: &TableApi,
    desired: &Desired<Table>,
    live: &mut Table,
    gaps: &mut Vec<Gap>,
) {
    let managed = &desired.managed;
    let goes = !desired.presence.is_present();
    let is_kept = |index: &String| managed.indexes.as_ref().is_none_or(|wanted| wanted.contains_key(index));
    let of_deleted_indexes =
        live.indexes.iter().flatten().map(|(index, _)| index).filter(|index| goes || !is_kept(index));
    let of: Vec<Option<String>> =
        goes.then_some(None).into_iter().chain(of_deleted_indexes.cloned().map(Some)).collect();
    // If the autoscaling of the other indexes could not be read, this is reported already.
    if of.is_empty() || !(goes || live.settings.autoscaling.is_some()) {
        return;
    }
    match read(api, &desired.name, &of).await {
        Ok(found) => {
            let all = live.settings.autoscaling.get_or_insert_default();
            if goes {
                all.table = found.table;
            }
            all.indexes.extend(found.indexes);
            all.kept.extend(found.kept);
        }
        // A region or partition without the service.
        Err(error) if is_unknown(&error) => {}
        Err(error) => gaps.push(Gap::new(Some(KEY), &error)),
    }
}

/// Reads the autoscaling of a table whose capacity the manifest lowers without managing autoscaling. If it cannot be read, it is unknown.
pub(super) async fn look_at_lowered_capacity(api: &TableApi, desired: &Desired<Table>, live: &mut Table) {
    if desired.managed.settings.autoscaling.is_some() || !live.has_more_capacity(&desired.managed) {
        return;
    }
    let indexes: Vec<String> = live.indexes.iter().flatten().map(|(index, _)| index.clone()).collect();
    let of = std::iter::once(None).chain(indexes.iter().map(|index| Some(index.as_str())));
    let resources: Vec<String> = of.map(|index| resource(&desired.name, index)).collect();
    let targets = match targets(api, &resources).await {
        Ok(targets) => targets,
        // A region or partition without the service.
        Err(error) if is_unknown(&error) => Vec::new(),
        Err(_) => return,
    };
    let mut found = Autoscaling::when_read(&indexes);
    for target in &targets {
        if let Some(units) = units_of(&target.scalable_dimension) {
            let one = (index_of(&desired.name, &target.resource_id).map(str::to_owned), units);
            add(&mut found, &one, target, std::iter::empty());
        }
    }
    live.settings.autoscaling = Some(found);
}

/// Adds a target and its policies.
fn add<'a>(
    live: &mut Autoscaling,
    one: &Dimension,
    target: &sdk::ScalableTarget,
    policies: impl Iterator<Item = &'a sdk::ScalingPolicy>,
) {
    let of = one.0.as_ref().map(|index| format!(" of index {index}")).unwrap_or_default();
    let units = one.1;
    let mut tracked = None;
    for policy in policies {
        match policy.target_tracking_scaling_policy_configuration() {
            Some(tracking) if tracking.customized_metric_specification().is_none() => {
                tracked = Some(Target::of_percent(tracking.target_value));
                let kept = UnsupportedScaling {
                    name: Some(policy.policy_name.clone()),
                    scale_in_cooldown: tracking.scale_in_cooldown,
                    scale_out_cooldown: tracking.scale_out_cooldown,
                    disable_scale_in: tracking.disable_scale_in,
                };
                live.more.extend(unsupported(&kept).map(|text| format!("autoscaling of {units} capacity{of} {text}")));
                live.kept.insert(one.clone(), kept);
            }
            _ => live.more.push(format!("scaling policy {}", policy.policy_name)),
        }
    }
    let suspended = target.suspended_state().is_some_and(|state| {
        let states = [
            state.dynamic_scaling_in_suspended,
            state.dynamic_scaling_out_suspended,
            state.scheduled_scaling_suspended,
        ];
        states.contains(&Some(true))
    });
    live.more.extend(suspended.then(|| format!("autoscaling of {units} capacity{of} suspended")));
    let bounds = Bounds { min: target.min_capacity.into(), max: target.max_capacity.into(), target: tracked };
    match tracked {
        None => live.more.push(format!("scalable target of {units} capacity{of} without a policy")),
        Some(target) if !target.is_plain() => {
            live.more.push(format!("autoscaling of {units} capacity{of} at {} %", target.percent()));
        }
        Some(_) => {}
    }
    let scales = match &one.0 {
        None => &mut live.table,
        Some(index) => live.indexes.entry(index.clone()).or_default(),
    };
    scales.set(units, Scale::Within(bounds));
}

/// Returns the settings of a policy that no manifest can express.
fn unsupported(kept: &UnsupportedScaling) -> impl Iterator<Item = String> {
    let cooldown = |which: &str, seconds: Option<i32>| {
        seconds.filter(|seconds| *seconds != 0).map(|seconds| format!("with a scale-{which} cooldown of {seconds} s"))
    };
    let only_out = (kept.disable_scale_in == Some(true)).then(|| String::from("without scale-in"));
    [cooldown("in", kept.scale_in_cooldown), cooldown("out", kept.scale_out_cooldown), only_out].into_iter().flatten()
}

impl Autoscaling {
    /// Returns the observed state of a table with these indexes and without autoscaling.
    fn when_read(indexes: &[String]) -> Self {
        let off = Scales { read: Some(Scale::Off), write: Some(Scale::Off) };
        let indexes = indexes.iter().map(|index| (index.clone(), off)).collect();
        Self { table: off, indexes, ..Self::default() }
    }
}

async fn targets(api: &TableApi, resources: &[String]) -> Result<Vec<sdk::ScalableTarget>, CallError> {
    let mut found = Vec::new();
    // 21 resources with two targets each are 42; a page has 50.
    let mut pages = Pages::new(DESCRIBE_TARGETS, 10);
    let mut token: Option<String> = None;
    loop {
        let request = || {
            let request = api.scaling.describe_scalable_targets().service_namespace(sdk::ServiceNamespace::Dynamodb);
            request.set_resource_ids(Some(resources.to_vec())).set_next_token(token.clone())
        };
        let answer = api.pacer.call(DESCRIBE_TARGETS, &[], || pages.timed(request().send())).await?;
        found.extend(answer.scalable_targets.unwrap_or_default());
        token = answer.next_token.filter(|token| !token.is_empty());
        if !pages.next(0, token.as_ref())? {
            return Ok(found);
        }
    }
}

async fn policies(api: &TableApi, resource: &str) -> Result<Vec<sdk::ScalingPolicy>, CallError> {
    let mut found = Vec::new();
    let mut pages = Pages::new(DESCRIBE_POLICIES, 10);
    let mut token: Option<String> = None;
    loop {
        let request = || {
            let request = api.scaling.describe_scaling_policies().service_namespace(sdk::ServiceNamespace::Dynamodb);
            request.resource_id(resource).set_next_token(token.clone())
        };
        let answer = api.pacer.call(DESCRIBE_POLICIES, &[], || pages.timed(request().send())).await?;
        found.extend(answer.scaling_policies.unwrap_or_default());
        token = answer.next_token.filter(|token| !token.is_empty());
        if !pages.next(0, token.as_ref())? {
            return Ok(found);
        }
    }
}

/// Returns the scheduled actions of a table and its indexes as text.
async fn scheduled(api: &TableApi, name: &str, resources: &[String]) -> Result<Vec<String>, CallError> {
    let read = |resource: &String| {
        let resource = resource.clone();
        async move {
            let call = || {
                let request = api.scaling.describe_scheduled_actions();
                request.service_namespace(sdk::ServiceNamespace::Dynamodb).resource_id(&resource).send()
            };
            api.pacer.call(DESCRIBE_SCHEDULED, &[], call).await
        }
    };
    let mut words = Vec::new();
    for (resource, answer) in resources.iter().zip(future::try_join_all(resources.iter().map(read)).await?) {
        let of = index_of(name, resource).map(|index| format!(" of index {index}")).unwrap_or_default();
        let actions = answer.scheduled_actions();
        words.extend(actions.iter().map(|one| format!("scheduled scaling action {}{of}", one.scheduled_action_name)));
    }
    Ok(words)
}

/// Registers a target with its policy, or deregisters it, which deletes its policies.
pub(super) async fn make(change: &SetScale, api: &TableApi, name: &str) -> Result<StepOutcome, CallError> {
    let index = change.index_name.as_deref();
    let (resource, dimension) = (resource(name, index), dimension(index, change.units));
    let namespace = || sdk::ServiceNamespace::Dynamodb;
    let bounds = match change.scale {
        Scale::Within(bounds) => bounds,
        Scale::Off => {
            let call = || {
                let request = api.scaling.deregister_scalable_target().service_namespace(namespace());
                request.resource_id(&resource).scalable_dimension(dimension.clone()).send()
            };
            return match api.pacer.call(DEREGISTER_TARGET, SETTLING, call).await {
                Ok(_) => Ok(StepOutcome::Done),
                Err(error) if error.class == Class::NotFound => Ok(StepOutcome::Done),
                Err(error) => Err(error),
            };
        }
    };
    let units = |units: i64| {
        let message = format!("{units} is more than Application Auto Scaling accepts");
        i32::try_from(units).map_err(|_| failed(REGISTER_TARGET, Class::Rejected, message))
    };
    let (min, max) = (units(bounds.min)?, units(bounds.max)?);
    let call = || {
        let request = api.scaling.register_scalable_target().service_namespace(namespace());
        let request = request.resource_id(&resource).scalable_dimension(dimension.clone());
        request.min_capacity(min).max_capacity(max).send()
    };
    api.pacer.call(REGISTER_TARGET, SETTLING, call).await?;
    let Some(target) = bounds.target else { return Ok(StepOutcome::Done) };
    let metric = match change.units {
        Units::Read => sdk::MetricType::DynamoDbReadCapacityUtilization,
        Units::Write => sdk::MetricType::DynamoDbWriteCapacityUtilization,
    };
    // AWS allows one policy for a metric and refuses another name.
    let policy = change.kept.name.clone().unwrap_or_else(|| format!("{}:{resource}", metric.as_str()));
    let specification = sdk::PredefinedMetricSpecification::builder().predefined_metric_type(metric).build();
    let specification = specification.map_err(|error| failed(PUT_POLICY, Class::Rejected, error.to_string()))?;
    let configuration = sdk::TargetTrackingScalingPolicyConfiguration::builder()
        .target_value(target.percent())
        .predefined_metric_specification(specification)
        .set_scale_in_cooldown(change.kept.scale_in_cooldown)
        .set_scale_out_cooldown(change.kept.scale_out_cooldown)
        .set_disable_scale_in(change.kept.disable_scale_in)
        .build()
        .map_err(|error| failed(PUT_POLICY, Class::Rejected, error.to_string()))?;
    let call = || {
        let request = api.scaling.put_scaling_policy().service_namespace(namespace()).policy_name(&policy);
        let request = request.resource_id(&resource).scalable_dimension(dimension.clone());
        let request = request.policy_type(sdk::PolicyType::TargetTrackingScaling);
        request.target_tracking_scaling_policy_configuration(configuration.clone()).send()
    };
    api.pacer.call(PUT_POLICY, SETTLING, call).await?;
    Ok(StepOutcome::Done)
}
