//! A table in the AWS provider of Terraform: aws_dynamodb_table, and a resource for each setting with its own calls.

use std::collections::BTreeSet;

use super::indexes::limited;
use super::scaling::{Scaled, scaled};
use super::{attributes, indexes};
use crate::kind::export::mark;
use crate::kind::export::terraform::{
    Body, Expression, Module, PreventDestroy, Resource, Version, add_tags, reference,
};
use crate::kind::table::{
    Attribute, Billing, Capacity, Class, Consistency, Encryption, Index, Insights, Precision, Projection, Recovery,
    Replicas, Stream, Table, Tracking, Ttl, Warm,
};
use crate::kind::{Desired, KindId};
use crate::resource::Live;

const TABLE: &str = "aws_dynamodb_table";

pub(in crate::kind::table) fn add(desired: &Desired<Table>, live: Option<&Live<Table>>, module: &mut Module) {
    let table = &desired.initial;
    check(desired, module);
    let mut body = Body::new();
    body.set("name", &desired.name);
    billing(&mut body, table);
    if let Some(key) = &table.key {
        body.set("hash_key", &key.partition.name);
        body.maybe("range_key", key.sort.as_ref().map(|sort| &sort.name));
    }
    let settings = &table.settings;
    body.maybe("table_class", settings.class.map(Class::as_str));
    body.maybe("deletion_protection_enabled", settings.deletion_protection.map(|protection| protection.0));
    stream(&mut body, table);
    for attribute in attributes(table) {
        let mut one = Body::new();
        one.set("name", &attribute.name).set("type", attribute.kind.to_string());
        body.block("attribute", one);
    }
    let capacity = table.billing.and_then(Billing::capacity);
    for (name, index) in indexes(table) {
        body.block("global_secondary_index", global_index(name, index, capacity, module.version));
    }
    for (name, index) in table.local_indexes.iter().flatten() {
        let mut one = Body::new();
        one.set("name", name).set("range_key", &index.sort.name);
        projection(&mut one, &index.projection);
        body.block("local_secondary_index", one);
    }
    limits(&mut body, limited(settings.limits));
    body.maybe_block(
        "warm_throughput",
        settings.warm.filter(|_| module.version == Version::V6).map(|warm| warmed(&warm)),
    );
    body.maybe_block("ttl", table.ttl.as_ref().map(ttl));
    let recovery = settings.point_in_time_recovery.map(|recovery| {
        let mut one = Body::new();
        one.set("enabled", recovery != Recovery::Off);
        one.maybe("recovery_period_in_days", days(recovery));
        one
    });
    body.maybe_block("point_in_time_recovery", recovery);
    encryption(&mut body, desired, module);
    let strong = table.replicas.as_ref().filter(|replicas| replicas.consistency == Some(Consistency::Strong));
    strong_replicas(&mut body, strong, module);
    let id = module.name(&desired.address);
    let depends_on = aliases(desired, module);
    let resource = module.add(desired, TABLE, body);
    resource.prevent_destroy = PreventDestroy::Yes;
    resource.depends_on = depends_on;
    resource.ignored = ignored(desired, strong);
    resource.existing = live.map(|_| desired.name.clone());
    add_tags(resource, table.tags.as_ref(), desired.managed.tags.as_ref());
    if strong.is_none() {
        eventual_replicas(desired, live, module);
    }
    for one in scaled(&desired.name, table) {
        scaling(&one, &id, live, module);
    }
    insights(desired, live, module);
    policies(desired, live, module);
    kinesis(desired, live, module);
}

/// Returns the alias of the table's key if it is exported too. A table that refers to the key only has to wait for its alias, by which
/// Sentinel finds the key.
fn aliases(desired: &Desired<Table>, module: &Module) -> Vec<String> {
    let key = module.export.referred(&desired.depends_on, KindId::Key);
    key.map(|key| format!("aws_kms_alias.{}", module.name(key))).into_iter().collect()
}

fn billing(body: &mut Body, table: &Table) {
    match table.billing.and_then(Billing::capacity) {
        None => {
            body.set("billing_mode", "PAY_PER_REQUEST");
        }
        Some(Capacity { read, write }) => {
            body.set("billing_mode", "PROVISIONED").set("read_capacity", read).set("write_capacity", write);
        }
    }
}

fn stream(body: &mut Body, table: &Table) {
    let eventual = table.has_replicas()
        && table.replicas.as_ref().is_some_and(|replicas| replicas.consistency != Some(Consistency::Strong));
    // A group with eventual consistency has this stream, which AWS turns on with the first replica.
    let stream = table.settings.stream.filter(|stream| !eventual || stream.view().is_some());
    let stream = stream.or(eventual.then_some(Stream::NewAndOldImages));
    if let Some(stream) = stream {
        body.set("stream_enabled", stream.view().is_some());
        body.maybe("stream_view_type", stream.view());
    }
}

fn global_index(name: &str, index: &Index, capacity: Option<Capacity>, version: Version) -> Body {
    let mut one = Body::new();
    one.set("name", name);
    let (partition, sort) = (&index.key.partition.0, &index.key.sort.0);
    if partition.len() == 1 && sort.len() <= 1 {
        one.maybe("hash_key", partition.first().map(|one| &one.name));
        one.maybe("range_key", sort.first().map(|one| &one.name));
    } else if version == Version::V6 {
        let mut add = |attributes: &[Attribute], kind: &str| {
            for attribute in attributes {
                let mut element = Body::new();
                element.set("attribute_name", &attribute.name).set("key_type", kind);
                one.block("key_schema", element);
            }
        };
        add(partition, "HASH");
        add(sort, "RANGE");
    }
    projection(&mut one, &index.projection);
    if let Some(Capacity { read, write }) = capacity.map(|own| index.capacity.unwrap_or(own)) {
        one.set("read_capacity", read).set("write_capacity", write);
    }
    limits(&mut one, limited(index.limits));
    one.maybe_block("warm_throughput", index.warm.filter(|_| version == Version::V6).map(|warm| warmed(&warm)));
    one
}

fn projection(body: &mut Body, projection: &Projection) {
    match projection {
        Projection::All => body.set("projection_type", "ALL"),
        Projection::KeysOnly => body.set("projection_type", "KEYS_ONLY"),
        Projection::Include(names) => {
            let names = Expression::List(names.iter().map(Expression::from).collect());
            body.set("projection_type", "INCLUDE").set("non_key_attributes", names)
        }
    };
}

fn limits(body: &mut Body, (read, write): (Option<i64>, Option<i64>)) {
    if read.is_some() || write.is_some() {
        let mut one = Body::new();
        one.maybe("max_read_request_units", read).maybe("max_write_request_units", write);
        body.block("on_demand_throughput", one);
    }
}

fn warmed(warm: &Warm) -> Body {
    let mut one = Body::new();
    one.maybe("read_units_per_second", warm.read).maybe("write_units_per_second", warm.write);
    one
}

fn ttl(ttl: &Ttl) -> Body {
    let mut one = Body::new();
    match ttl {
        Ttl::Enabled(attribute) => one.set("attribute_name", attribute).set("enabled", true),
        Ttl::Disabled | Ttl::Disabling => one.set("enabled", false),
    };
    one
}

fn days(recovery: Recovery) -> Option<i64> {
    match recovery {
        Recovery::Days(days) => Some(i64::from(days)),
        Recovery::On | Recovery::Off => None,
    }
}

/// Returns a reference to a key's ARN, which the provider compares.
fn key(desired: &Desired<Table>, encryption: &Encryption, module: &mut Module) -> Option<Expression> {
    match encryption {
        Encryption::AwsOwned | Encryption::AwsManaged => None,
        Encryption::Kms(arn) => Some(arn.into()),
        Encryption::Alias(alias) => Some(match module.export.referred(&desired.depends_on, KindId::Key) {
            Some(key) => reference("aws_kms_key", &module.name(key), "arn"),
            None => module.key_of_alias(alias, None),
        }),
    }
}

fn encryption(body: &mut Body, desired: &Desired<Table>, module: &mut Module) {
    let Some(encryption) = &desired.initial.encryption else { return };
    let mut one = Body::new();
    one.set("enabled", *encryption != Encryption::AwsOwned);
    one.maybe("kms_key_arn", key(desired, encryption, module));
    body.block("server_side_encryption", one);
}

fn replica_key(encryption: Option<&Encryption>, region: &str, module: &mut Module) -> Option<Expression> {
    match encryption? {
        Encryption::AwsOwned | Encryption::AwsManaged => None,
        Encryption::Kms(arn) => Some(arn.into()),
        Encryption::Alias(alias) => Some(module.key_of_alias(alias, Some(region))),
    }
}

/// Adds the replicas of a group with strong consistency, which are created with the table.
fn strong_replicas(body: &mut Body, replicas: Option<&Replicas>, module: &mut Module) {
    let Some(replicas) = replicas.filter(|_| module.version == Version::V6) else { return };
    for (region, replica) in &replicas.regions {
        let mut one = Body::new();
        one.set("region_name", region).set("consistency_mode", Consistency::Strong.as_str());
        one.maybe("kms_key_arn", replica_key(replica.encryption.as_ref(), region, module));
        let recovery = replica.settings.point_in_time_recovery;
        one.maybe("point_in_time_recovery", recovery.map(|recovery| recovery != Recovery::Off));
        one.maybe("deletion_protection_enabled", replica.settings.deletion_protection.map(|protection| protection.0));
        body.block("replica", one);
    }
    if let Some(region) = &replicas.witness {
        let mut one = Body::new();
        one.set("region_name", region);
        body.block("global_table_witness", one);
    }
}

/// Adds a resource for each replica of a group with eventual consistency, which has its own settings.
fn eventual_replicas(desired: &Desired<Table>, live: Option<&Live<Table>>, module: &mut Module) {
    let Some(replicas) = &desired.initial.replicas else { return };
    let existing = live.and_then(|live| live.state.replicas.as_ref());
    let (table, home) = (module.name(&desired.address), module.region.to_string());
    for (region, replica) in &replicas.regions {
        let mut body = Body::new();
        body.set("global_table_arn", reference(TABLE, &table, "arn"));
        body.maybe("kms_key_arn", replica_key(replica.encryption.as_ref(), region, module));
        body.maybe("table_class_override", replica.settings.class.map(Class::as_str));
        let recovery = replica.settings.point_in_time_recovery;
        body.maybe("point_in_time_recovery", recovery.map(|recovery| recovery != Recovery::Off));
        body.maybe("deletion_protection_enabled", replica.settings.deletion_protection.map(|protection| protection.0));
        let resource = module.add_named(format!("{table}_{region}"), "aws_dynamodb_table_replica", body);
        resource.region = Some(region.clone());
        resource.prevent_destroy = PreventDestroy::Yes;
        add_tags(resource, replica.tags.as_ref(), replica.tags.as_ref());
        resource.ignored.extend(recovery.is_none().then_some("point_in_time_recovery"));
        resource
            .ignored
            .extend(replica.settings.deletion_protection.is_none().then_some("deletion_protection_enabled"));
        resource.ignored.extend(replica.settings.class.is_none().then_some("table_class_override"));
        let is_there = existing.is_some_and(|existing| existing.regions.contains_key(region));
        resource.existing = is_there.then(|| format!("{}:{home}", desired.name));
    }
}

/// Returns the properties that Terraform ignores: those that the manifest does not manage, and those that AWS changes by itself.
fn ignored(desired: &Desired<Table>, strong: Option<&Replicas>) -> Vec<&'static str> {
    let Table { key: _, indexes, local_indexes, ttl, billing, encryption, tags: _, replicas, settings } =
        &desired.managed;
    let mut ignored: BTreeSet<&'static str> = BTreeSet::new();
    let mut leave = |unmanaged: bool, names: &[&'static str]| {
        if unmanaged {
            ignored.extend(names);
        }
    };
    leave(billing.is_none(), &["billing_mode", "read_capacity", "write_capacity"]);
    // Something else, such as autoscaling, sets the capacity. The provider compares the indexes as a whole.
    let external = *billing == Some(Billing::External);
    leave(external, &["read_capacity", "write_capacity"]);
    leave(external && self::indexes(&desired.initial).next().is_some(), &["global_secondary_index"]);
    leave(indexes.is_none(), &["attribute", "global_secondary_index"]);
    leave(local_indexes.is_none(), &["local_secondary_index"]);
    leave(ttl.is_none(), &["ttl"]);
    leave(encryption.is_none(), &["server_side_encryption"]);
    // Replicas with eventual consistency are separate resources.
    leave(strong.is_none() && replicas.as_ref().is_none_or(|all| !all.regions.is_empty()), &["replica"]);
    leave(settings.class.is_none(), &["table_class"]);
    leave(settings.deletion_protection.is_none(), &["deletion_protection_enabled"]);
    leave(settings.stream.is_none(), &["stream_enabled", "stream_view_type"]);
    leave(settings.limits.is_none(), &["on_demand_throughput"]);
    leave(settings.point_in_time_recovery.is_none(), &["point_in_time_recovery"]);
    // AWS raises the value and never lowers it, and the provider would replace the table to lower it.
    leave(settings.warm.is_some(), &["warm_throughput"]);
    ignored.into_iter().collect()
}

fn scaling(one: &Scaled, table: &str, live: Option<&Live<Table>>, module: &mut Module) {
    let place = match &one.index {
        None => one.word().to_lowercase(),
        Some(index) => format!("{}_{}", mark(index), one.word().to_lowercase()),
    };
    let name = format!("{table}_{place}");
    let is_there = live.is_some_and(|live| one.is_live(&live.state));
    let id = format!("dynamodb/{}/{}", one.resource, one.dimension);
    let mut body = Body::new();
    body.set("service_namespace", "dynamodb");
    body.set("resource_id", &one.resource);
    body.set("scalable_dimension", one.dimension);
    body.set("min_capacity", one.bounds.min).set("max_capacity", one.bounds.max);
    let resource = module.add_named(name.clone(), "aws_appautoscaling_target", body);
    resource.depends_on = vec![format!("{TABLE}.{table}")];
    resource.existing = is_there.then(|| id.clone());
    let extra = live.and_then(|live| one.kept(&live.state)).unwrap_or_default();
    let policy = extra.name.clone().unwrap_or_else(|| one.policy());
    let target = |attribute: &str| reference("aws_appautoscaling_target", &name, attribute);
    let mut metric = Body::new();
    metric.set("predefined_metric_type", one.metric);
    let mut tracking = Body::new();
    tracking.set("target_value", Expression::Number(one.target()));
    tracking.maybe("scale_in_cooldown", extra.scale_in_cooldown.map(i64::from));
    tracking.maybe("scale_out_cooldown", extra.scale_out_cooldown.map(i64::from));
    tracking.maybe("disable_scale_in", extra.disable_scale_in);
    tracking.block("predefined_metric_specification", metric);
    let mut body = Body::new();
    body.set("name", &policy).set("policy_type", "TargetTrackingScaling");
    body.set("service_namespace", target("service_namespace"));
    body.set("resource_id", target("resource_id"));
    body.set("scalable_dimension", target("scalable_dimension"));
    body.block("target_tracking_scaling_policy_configuration", tracking);
    let resource = module.add_named(name.clone(), "aws_appautoscaling_policy", body);
    resource.existing = is_there.then(|| format!("{id}/{policy}"));
}

fn insights(desired: &Desired<Table>, live: Option<&Live<Table>>, module: &mut Module) {
    let Some(all) = &desired.initial.settings.contributor_insights else { return };
    let table = module.name(&desired.address);
    for (index, tracking) in all.all() {
        // Missing insights are off.
        let mode = match tracking {
            Tracking::Off | Tracking::Failed => continue,
            mode => mode,
        };
        if module.version == Version::V5 && mode != Tracking::AccessedAndThrottledKeys {
            continue;
        }
        let name = index.map_or_else(|| table.clone(), |index| format!("{table}_{}", mark(index)));
        let existing = live.and_then(|live| live.state.settings.contributor_insights.as_ref());
        let is_there = existing.is_some_and(|existing: &Insights| {
            existing.all().any(|(one, found)| one == index && !matches!(found, Tracking::Off | Tracking::Failed))
        });
        let account = module.account.clone();
        let mut body = Body::new();
        body.set("table_name", reference(TABLE, &table, "name"));
        body.maybe("index_name", index);
        body.maybe("mode", (module.version == Version::V6).then(|| mode.as_str()));
        let resource = module.add_named(name, "aws_dynamodb_contributor_insights", body);
        resource.existing = account
            .filter(|_| is_there)
            .map(|account| format!("name:{}/index:{}/{account}", desired.name, index.unwrap_or_default()));
    }
}

fn policies(desired: &Desired<Table>, live: Option<&Live<Table>>, module: &mut Module) {
    let settings = &desired.initial.settings;
    let table = module.name(&desired.address);
    if let Some(policy) = settings.policy.as_ref().and_then(|one| one.document.as_ref()) {
        let arn = live.filter(|live| live.state.settings.policy.as_ref().is_some_and(|live| live.document.is_some()));
        let arn = arn.and_then(|live| live.facts.arn.clone());
        policy_of(&table, "arn", policy.to_json(), module).existing = arn;
    }
    if let Some(policy) = settings.stream_policy.as_ref().and_then(|one| one.document.as_ref()) {
        policy_of(&table, "stream_arn", policy.to_json(), module);
        if live.is_some() {
            module.export.note(&desired.address, "the first apply writes the policy of its stream again, unchanged");
        }
    }
}

fn policy_of<'a>(table: &str, attribute: &str, text: String, module: &'a mut Module) -> &'a mut Resource {
    let mut body = Body::new();
    body.set("resource_arn", reference(TABLE, table, attribute)).set("policy", text);
    module.add_named(format!("{table}_{attribute}"), "aws_dynamodb_resource_policy", body)
}

fn kinesis(desired: &Desired<Table>, live: Option<&Live<Table>>, module: &mut Module) {
    let Some((stream, precision)) = desired.initial.settings.kinesis.as_ref().and_then(|one| one.destination()) else {
        return;
    };
    let existing = live.and_then(|live| live.state.settings.kinesis.as_ref()?.destination());
    let existing = existing.filter(|(live, _)| *live == stream).map(|_| format!("{},{stream}", desired.name));
    let table = module.name(&desired.address);
    let mut body = Body::new();
    body.set("table_name", reference(TABLE, &table, "name")).set("stream_arn", stream);
    body.maybe("approximate_creation_date_time_precision", precision.map(Precision::as_str));
    let resource = module.add_named(table, "aws_dynamodb_kinesis_streaming_destination", body);
    resource.existing = existing;
}

/// Records the settings that the provider does not support.
fn check(desired: &Desired<Table>, module: &mut Module) {
    let (table, address, version) = (&desired.initial, &desired.address, module.version);
    let export = &mut module.export;
    let strong = table.replicas.as_ref().filter(|replicas| replicas.consistency == Some(Consistency::Strong));
    for (region, replica) in table.replicas.iter().flat_map(|replicas| &replicas.regions) {
        let setting = |name: &str| format!("replicas.{region}.{name}");
        if matches!(replica.settings.point_in_time_recovery, Some(Recovery::Days(_))) {
            let why = "the AWS provider does not support recovery_period_in_days for a replica";
            export.lacks(address, &setting("recovery_days"), why, "remove recovery_days of the replica");
        }
        let own = [("table_class", replica.settings.class.is_some()), ("tags", replica.tags.is_some())];
        for (name, _) in own.into_iter().filter(|(_, given)| *given && strong.is_some()) {
            let why = format!("the AWS provider does not support {name} for a replica with strong consistency");
            export.lacks(address, &setting(name), why, format!("remove {name} of the replica"));
        }
    }
    if version == Version::V6 {
        return;
    }
    let newer = "export for version 6 of the provider, which supports it";
    let mut lacks = |setting: &str, is_used: bool| {
        if is_used {
            export.lacks(address, setting, format!("version 5 of the AWS provider does not support {setting}"), newer);
        }
    };
    lacks("consistency", strong.is_some());
    lacks(
        "warm_read_throughput",
        table.settings.warm.is_some() || indexes(table).any(|(_, index)| index.warm.is_some()),
    );
    let several = |index: &Index| index.key.partition.0.len() > 1 || index.key.sort.0.len() > 1;
    lacks("indexes with several attributes in a part of the key", indexes(table).any(|(_, index)| several(index)));
    let throttled = |all: &Insights| all.all().any(|(_, mode)| mode == Tracking::ThrottledKeys);
    lacks(
        "contributor_insights of throttled keys alone",
        table.settings.contributor_insights.as_ref().is_some_and(throttled),
    );
}
