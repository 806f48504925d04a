//! A table in CloudFormation: AWS::DynamoDB::Table, or AWS::DynamoDB::GlobalTable if it has replicas.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::indexes::{definitions, global, key, limited, local, warm_throughput};
use super::scaling::{Scaled, scaled};
use super::{before_updates, global as global_table, indexes};
use crate::kind::document::PolicyDocument;
use crate::kind::export::cloudformation::{Properties, Stack, key_arn, properties, set, tags};
use crate::kind::export::{camel, mark};
use crate::kind::table::{Billing, Capacity, Class, Encryption, Index, Precision, Recovery, Table, Tracking, Ttl};
use crate::kind::{Desired, KindId};
use crate::resource::Live;

pub(in crate::kind::table) fn add(desired: &Desired<Table>, live: Option<&Live<Table>>, stack: &mut Stack) {
    let table = &desired.initial;
    let made = TableContext { desired, stack };
    let (type_name, make): (_, fn(&TableContext<'_>, &Table) -> Properties) = match table.has_replicas() {
        true => ("AWS::DynamoDB::GlobalTable", global_table::properties),
        false => ("AWS::DynamoDB::Table", single),
    };
    let (last, states) = (make(&made, table), states(table, live));
    let with = |indexes: &BTreeMap<String, Index>| make(&made, &limited_to(table, indexes));
    let earlier: Vec<Properties> = states.iter().map(with).collect();
    if table.has_replicas() {
        global_table::check(desired, &mut stack.export);
    }
    if desired.managed.indexes.is_none() && live.is_some_and(|live| indexes(&live.state).next().is_some()) {
        let text = "the manifest does not manage its indexes, and the template has none: an update that adds an index \
             in CloudFormation may delete the existing ones";
        stack.export.note(&desired.address, text);
    }
    let resource = stack.add(desired, "", type_name, last);
    resource.earlier = earlier.into_iter().map(Some).collect();
    resource.existing = live.map(|_| properties([("TableName", json!(desired.name))]));
    let table_id = resource.id.clone();
    // A global table has its autoscaling among its own properties.
    for one in scaled(&desired.name, table).into_iter().filter(|_| !table.has_replicas()) {
        add_scaling(desired, live, &one, &Depends { table: table_id.clone(), states: &states }, stack);
    }
}

/// The dependencies of a scalable target.
struct Depends<'a> {
    table: String,
    /// The indexes of the table in the templates before the last.
    states: &'a [BTreeMap<String, Index>],
}

fn add_scaling(
    desired: &Desired<Table>,
    live: Option<&Live<Table>>,
    one: &Scaled,
    depends: &Depends<'_>,
    stack: &mut Stack,
) {
    let of_index = one.index.as_ref().map(|index| format!("{}{}", camel(index), mark(&one.resource)));
    let name = |what: &str| format!("Scaling{what}{}{}", one.word(), of_index.as_deref().unwrap_or_default());
    let is_there =
        |indexes: &BTreeMap<String, Index>| one.index.as_ref().is_none_or(|index| indexes.contains_key(index));
    let identity = || {
        properties([
            ("ServiceNamespace", json!("dynamodb")),
            ("ResourceId", json!(one.resource)),
            ("ScalableDimension", json!(one.dimension)),
        ])
    };
    let mut target = identity();
    set(&mut target, "MinCapacity", Some(one.bounds.min));
    set(&mut target, "MaxCapacity", Some(one.bounds.max));
    let earlier = |last: &Properties| -> Vec<Option<Properties>> {
        depends.states.iter().map(|state| is_there(state).then(|| last.clone())).collect()
    };
    let of_target = earlier(&target);
    let resource = stack.add(desired, &name("Target"), "AWS::ApplicationAutoScaling::ScalableTarget", target);
    resource.depends_on.push(depends.table.clone());
    resource.earlier = of_target;
    resource.existing = live.filter(|live| one.is_live(&live.state)).map(|_| identity());
    let target_id = resource.id.clone();
    let configuration = json!({
        "PredefinedMetricSpecification": { "PredefinedMetricType": one.metric },
        "TargetValue": one.target(),
    });
    let policy = properties([
        ("PolicyName", json!(live.and_then(|live| one.kept(&live.state)?.name).unwrap_or_else(|| one.policy()))),
        ("PolicyType", json!("TargetTrackingScaling")),
        ("ScalingTargetId", json!({ "Ref": target_id })),
        ("TargetTrackingScalingPolicyConfiguration", configuration),
    ]);
    let of_policy = earlier(&policy);
    let resource = stack.add(desired, &name("Policy"), "AWS::ApplicationAutoScaling::ScalingPolicy", policy);
    resource.earlier = of_policy;
}

/// Returns the indexes of a live table before each update; empty if one template is enough.
fn states(table: &Table, live: Option<&Live<Table>>) -> Vec<BTreeMap<String, Index>> {
    let live = live.and_then(|live| live.state.indexes.as_ref());
    match (live, &table.indexes) {
        (Some(live), Some(wanted)) => before_updates(live, wanted),
        _ => Vec::new(),
    }
}

/// Returns a table with other indexes, without the settings of the indexes that it then lacks.
fn limited_to(table: &Table, indexes: &BTreeMap<String, Index>) -> Table {
    let mut table = Table { indexes: Some(indexes.clone()), ..table.clone() };
    if let Some(all) = &mut table.settings.contributor_insights {
        all.indexes.retain(|name, _| indexes.contains_key(name));
    }
    if let Some(all) = &mut table.settings.autoscaling {
        all.indexes.retain(|name, _| indexes.contains_key(name));
    }
    table
}

/// The context for building the properties of a table.
pub(super) struct TableContext<'a> {
    pub(super) desired: &'a Desired<Table>,
    pub(super) stack: &'a Stack,
}

impl TableContext<'_> {
    /// Returns the reference to the key that encrypts a table.
    pub(super) fn key(&self, encryption: &Encryption) -> Option<Value> {
        match encryption {
            Encryption::AwsOwned | Encryption::AwsManaged => None,
            Encryption::Kms(arn) => Some(json!(arn)),
            Encryption::Alias(alias) => Some(match self.stack.export.referred(&self.desired.depends_on, KindId::Key) {
                Some(key) => key_arn(key, alias),
                None => json!(alias),
            }),
        }
    }
}

fn single(made: &TableContext<'_>, table: &Table) -> Properties {
    let mut all = common(&made.desired.name, table);
    let capacity = table.billing.and_then(Billing::capacity);
    set(&mut all, "ProvisionedThroughput", capacity.map(throughput));
    set(&mut all, "OnDemandThroughput", on_demand(limited(table.settings.limits)));
    let index = |(name, index): (&String, &Index)| {
        let mut one = global(name, index);
        set(&mut one, "ProvisionedThroughput", capacity.map(|own| throughput(index.capacity.unwrap_or(own))));
        set(&mut one, "OnDemandThroughput", on_demand(limited(index.limits)));
        set(&mut one, "ContributorInsightsSpecification", insights_of(table, name));
        Value::from(one)
    };
    let indexes: Vec<Value> = indexes(table).map(index).collect();
    set(&mut all, "GlobalSecondaryIndexes", Some(indexes).filter(|all| !all.is_empty()));
    let encryption = table.encryption.as_ref().map(|encryption| match made.key(encryption) {
        Some(key) => json!({ "SSEEnabled": true, "SSEType": "KMS", "KMSMasterKeyId": key }),
        None if *encryption == Encryption::AwsManaged => json!({ "SSEEnabled": true, "SSEType": "KMS" }),
        None => json!({ "SSEEnabled": false }),
    });
    set(&mut all, "SSESpecification", encryption);
    let mut stream =
        table.settings.stream.and_then(|stream| Some(properties([("StreamViewType", json!(stream.view()?))])));
    if let Some(stream) = &mut stream {
        set(
            stream,
            "ResourcePolicy",
            table.settings.stream_policy.as_ref().and_then(|one| one.document.as_ref().map(policy)),
        );
    }
    set(&mut all, "StreamSpecification", stream);
    all.extend(of_region(table));
    all
}

/// Returns the properties that a table has in any number of regions.
pub(super) fn common(name: &str, table: &Table) -> Properties {
    let mut all = properties([("TableName", json!(name)), ("AttributeDefinitions", definitions(table))]);
    set(&mut all, "KeySchema", table.key.as_ref().map(key));
    set(&mut all, "LocalSecondaryIndexes", local(table));
    let provisioned = table.billing.and_then(Billing::capacity).is_some();
    let mode = if provisioned { "PROVISIONED" } else { "PAY_PER_REQUEST" };
    set(&mut all, "BillingMode", Some(mode));
    set(&mut all, "WarmThroughput", table.settings.warm.map(|warm| warm_throughput(&warm)));
    let ttl = table.ttl.as_ref().and_then(|ttl| match ttl {
        Ttl::Enabled(attribute) => Some(json!({ "AttributeName": attribute, "Enabled": true })),
        // A new table without TTL needs no property; AWS requires the name of an attribute for a change.
        Ttl::Disabled | Ttl::Disabling => None,
    });
    set(&mut all, "TimeToLiveSpecification", ttl);
    all
}

/// Returns the properties that a table has separately in each region.
pub(super) fn of_region(table: &Table) -> Properties {
    let mut all = Properties::new();
    let settings = &table.settings;
    set(&mut all, "TableClass", settings.class.map(Class::as_str));
    set(&mut all, "DeletionProtectionEnabled", settings.deletion_protection.map(|protection| protection.0));
    let recovery = settings.point_in_time_recovery.map(|recovery| match recovery {
        Recovery::Off => json!({ "PointInTimeRecoveryEnabled": false }),
        Recovery::On => json!({ "PointInTimeRecoveryEnabled": true }),
        Recovery::Days(days) => json!({ "PointInTimeRecoveryEnabled": true, "RecoveryPeriodInDays": days }),
    });
    set(&mut all, "PointInTimeRecoverySpecification", recovery);
    let insights = settings.contributor_insights.as_ref().and_then(|all| all.table);
    set(&mut all, "ContributorInsightsSpecification", insights.map(tracking));
    let kinesis = settings.kinesis.as_ref().and_then(|kinesis| kinesis.destination());
    let kinesis = kinesis.map(|(stream, precision)| {
        let mut one = properties([("StreamArn", json!(stream))]);
        set(&mut one, "ApproximateCreationDateTimePrecision", precision.map(Precision::as_str));
        one
    });
    set(&mut all, "KinesisStreamSpecification", kinesis);
    set(&mut all, "ResourcePolicy", settings.policy.as_ref().and_then(|one| one.document.as_ref().map(policy)));
    set(&mut all, "Tags", tags(table.tags.as_ref()));
    all
}

/// Returns a resource policy.
pub(super) fn policy(document: &PolicyDocument) -> Value {
    json!({ "PolicyDocument": document.value() })
}

/// Returns the contributor insights of an index.
pub(super) fn insights_of(table: &Table, index: &str) -> Option<Value> {
    table.settings.contributor_insights.as_ref().and_then(|all| all.indexes.get(index)).copied().map(tracking)
}

fn tracking(tracking: Tracking) -> Value {
    match tracking {
        Tracking::Off | Tracking::Failed => json!({ "Enabled": false }),
        mode => json!({ "Enabled": true, "Mode": mode.as_str() }),
    }
}

fn throughput(capacity: Capacity) -> Value {
    json!({ "ReadCapacityUnits": capacity.read, "WriteCapacityUnits": capacity.write })
}

fn on_demand((read, write): (Option<i64>, Option<i64>)) -> Option<Properties> {
    let mut units = Properties::new();
    set(&mut units, "MaxReadRequestUnits", read);
    set(&mut units, "MaxWriteRequestUnits", write);
    Some(units).filter(|units| !units.is_empty())
}
