//! A table with replicas: AWS::DynamoDB::GlobalTable, version 2019.11.21 of global tables.

use serde_json::{Value, json};

use super::cloudformation::{TableContext, common, insights_of, of_region, policy};
use super::indexes::{global, limited};
use super::scaling::{Scaled, scaled};
use crate::kind::Desired;
use crate::kind::export::Export;
use crate::kind::export::cloudformation::{Properties, properties as pairs, set};
use crate::kind::table::{Billing, Consistency, Encryption, Index, Stream, Table, Units};

pub(super) fn properties(made: &TableContext<'_>, table: &Table) -> Properties {
    let (name, settings) = (&made.desired.name, &table.settings);
    let scaling = scaled(name, table);
    let mut all = common(name, table);
    let (_, write) = limited(settings.limits);
    set(&mut all, "WriteOnDemandThroughputSettings", write.map(|units| json!({ "MaxWriteRequestUnits": units })));
    set(&mut all, "WriteProvisionedThroughputSettings", moved(&scaling, None, Units::Write));
    let index = |(name, index): (&String, &Index)| {
        let mut one = global(name, index);
        let (_, write) = limited(index.limits);
        set(&mut one, "WriteOnDemandThroughputSettings", write.map(|units| json!({ "MaxWriteRequestUnits": units })));
        set(&mut one, "WriteProvisionedThroughputSettings", moved(&scaling, Some(name), Units::Write));
        Value::from(one)
    };
    let all_indexes: Vec<Value> = super::indexes(table).map(index).collect();
    set(&mut all, "GlobalSecondaryIndexes", Some(all_indexes).filter(|all| !all.is_empty()));
    let encryption = table.encryption.as_ref().map(|encryption| match encryption {
        Encryption::AwsOwned => json!({ "SSEEnabled": false }),
        Encryption::AwsManaged | Encryption::Kms(_) | Encryption::Alias(_) => {
            json!({ "SSEEnabled": true, "SSEType": "KMS" })
        }
    });
    set(&mut all, "SSESpecification", encryption);
    let replicas = table.replicas.clone().unwrap_or_default();
    let strong = replicas.consistency == Some(Consistency::Strong);
    // A group with eventual consistency requires this stream, which AWS turns on with the first replica.
    let stream =
        settings.stream.filter(|stream| stream.view().is_some()).or((!strong).then_some(Stream::NewAndOldImages));
    let view = stream.and_then(Stream::view);
    set(&mut all, "StreamSpecification", view.map(|view| json!({ "StreamViewType": view })));
    if strong {
        set(&mut all, "MultiRegionConsistency", Some(Consistency::Strong.as_str()));
    }
    set(&mut all, "GlobalTableWitnesses", replicas.witness.as_ref().map(|region| json!([{ "Region": region }])));
    let mut regions: Vec<Value> = vec![home(made, table, &scaling).into()];
    regions.extend(replicas.regions.iter().map(|(region, replica)| {
        let mut one = pairs([("Region", json!(region))]);
        one.extend(of_region(replica));
        set(&mut one, "SSESpecification", replica.encryption.as_ref().and_then(named));
        one.extend(reads(table, &scaling, |_| None));
        Value::from(one)
    }));
    set(&mut all, "Replicas", Some(regions));
    all
}

/// Returns the replica in the stack's region, which every template must list.
fn home(made: &TableContext<'_>, table: &Table, scaling: &[Scaled]) -> Properties {
    let mut one = pairs([("Region", json!({ "Ref": "AWS::Region" }))]);
    one.extend(of_region(table));
    let key = table.encryption.as_ref().and_then(|encryption| made.key(encryption));
    set(&mut one, "SSESpecification", key.map(|key| json!({ "KMSMasterKeyId": key })));
    let of_stream = table.settings.stream_policy.as_ref().and_then(|one| one.document.as_ref().map(policy));
    set(&mut one, "ReplicaStreamSpecification", of_stream.map(|policy| json!({ "ResourcePolicy": policy })));
    one.extend(reads(table, scaling, |name| insights_of(table, name)));
    one
}

/// Returns the read settings of a replica and its indexes, which are the same in all regions.
fn reads(table: &Table, scaling: &[Scaled], insights: impl Fn(&str) -> Option<Value>) -> Properties {
    let limit = |units: i64| json!({ "MaxReadRequestUnits": units });
    let fixed = |index: Option<&Index>| {
        let own = index.and_then(|index| index.capacity).or(table.billing.and_then(Billing::capacity))?;
        table.billing.and_then(Billing::capacity).map(|_| json!({ "ReadCapacityUnits": own.read }))
    };
    let mut all = Properties::new();
    set(&mut all, "ReadOnDemandThroughputSettings", limited(table.settings.limits).0.map(limit));
    set(&mut all, "ReadProvisionedThroughputSettings", moved(scaling, None, Units::Read).or_else(|| fixed(None)));
    let of_index = |(name, index): (&String, &Index)| {
        let mut one = pairs([("IndexName", json!(name))]);
        set(&mut one, "ContributorInsightsSpecification", insights(name));
        set(&mut one, "ReadOnDemandThroughputSettings", limited(index.limits).0.map(limit));
        let moved = moved(scaling, Some(name), Units::Read).or_else(|| fixed(Some(index)));
        set(&mut one, "ReadProvisionedThroughputSettings", moved);
        (one.len() > 1).then(|| Value::from(one))
    };
    let of_indexes: Vec<Value> = super::indexes(table).filter_map(of_index).collect();
    set(&mut all, "GlobalSecondaryIndexes", Some(of_indexes).filter(|all| !all.is_empty()));
    all
}

/// Returns the key of a replica in another region, by its name there.
fn named(encryption: &Encryption) -> Option<Value> {
    match encryption {
        Encryption::Kms(name) | Encryption::Alias(name) => Some(json!({ "KMSMasterKeyId": name })),
        Encryption::AwsOwned | Encryption::AwsManaged => None,
    }
}

fn moved(scaling: &[Scaled], index: Option<&String>, units: Units) -> Option<Value> {
    let one = scaling.iter().find(|one| one.index.as_ref() == index && one.units == units)?;
    let field = format!("{}CapacityAutoScalingSettings", one.word());
    Some(json!({ field: {
        "MinCapacity": one.bounds.min,
        "MaxCapacity": one.bounds.max,
        "TargetTrackingScalingPolicyConfiguration": { "TargetValue": one.target() },
    } }))
}

/// Records the settings that AWS::DynamoDB::GlobalTable does not support.
pub(super) fn check(desired: &Desired<Table>, export: &mut Export) {
    let table = &desired.initial;
    let provisioned = table.billing.and_then(Billing::capacity).is_some();
    let scaling = scaled(&desired.name, table);
    if provisioned {
        let names = std::iter::once(None).chain(super::indexes(table).map(|(name, _)| Some(name)));
        let lacking = names.filter(|name| moved(&scaling, *name, Units::Write).is_none());
        for name in lacking {
            let of = name.map(|name| format!(" of index {name}")).unwrap_or_default();
            let why = format!("AWS::DynamoDB::GlobalTable supports provisioned writes{of} only with autoscaling");
            let help = "add autoscaling for the writes, or write billing_mode = \"PAY_PER_REQUEST\"";
            export.lacks(&desired.address, "capacity", why, help);
        }
    }
}
