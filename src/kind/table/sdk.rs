//! The mapping between the SDK's types and Sentinel's types.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::create_table::builders::CreateTableInputBuilder;
use aws_sdk_dynamodb::operation::update_table::builders::UpdateTableInputBuilder;
use aws_sdk_dynamodb::types as sdk;

use super::setting::Setting;
use super::{
    Attribute, AttributeType, Billing, Capacity, Encryption, Field, Index, IndexKey, IndexStatus, Key, KeyPart, Limits,
    LocalIndex, Projection, Replicas, Settings, Table, TableChange, Ttl, Warm, replicas,
};
use crate::resource::{Facts, Tags};

/// Reads the response of `DescribeTable`. Settings of other calls are `None`.
pub(super) fn table(description: &sdk::TableDescription) -> Table {
    let types = attribute_types(description.attribute_definitions());
    let indexes = description.global_secondary_indexes().iter().filter_map(|found| index(found, &types));
    let provisioned = description.provisioned_throughput();
    let mode = description.billing_mode_summary().and_then(sdk::BillingModeSummary::billing_mode);
    // A table without a summary is provisioned, unless it has no capacity.
    let billing = match (mode, provisioned) {
        (Some(sdk::BillingMode::PayPerRequest), _) | (None, None) => Billing::PayPerRequest,
        (_, found) => Billing::Provisioned(found.map_or(Capacity { read: 0, write: 0 }, capacity)),
    };
    let mut indexes: BTreeMap<String, Index> = indexes.collect();
    for index in indexes.values_mut() {
        // AWS returns zeros for an on-demand table's capacity, and limits only if there are any.
        match billing {
            Billing::PayPerRequest => index.capacity = None,
            Billing::Provisioned(_) | Billing::External => index.limits = None,
        }
    }
    let encryption = description
        .sse_description()
        .filter(|sse| !matches!(sse.status(), Some(sdk::SseStatus::Disabled | sdk::SseStatus::Disabling)))
        // While the encryption changes from AWS's own key, no key is named.
        .filter(|sse| sse.kms_master_key_arn().is_some() || !is_changing(sse))
        .map_or(Encryption::AwsOwned, |sse| Encryption::Kms(sse.kms_master_key_arn().unwrap_or("unknown").to_owned()));
    let local = description.local_secondary_indexes().iter().filter_map(|found| local_index(found, &types));
    Table {
        key: key(description.key_schema(), &types),
        indexes: Some(indexes),
        local_indexes: Some(local.collect()),
        ttl: None,
        billing: Some(billing),
        encryption: Some(encryption),
        tags: None,
        replicas: Some(Replicas::seen(description)),
        settings: Settings::seen(description),
    }
}

/// Returns whether the encryption is being changed. This takes about 22 seconds, and at first AWS returns the earlier key.
fn is_changing(sse: &sdk::SseDescription) -> bool {
    use sdk::SseStatus::{Disabling, Enabling, Updating};
    matches!(sse.status(), Some(Enabling | Disabling | Updating))
}

/// Reads the facts of a table that are shown but not compared.
pub(super) fn facts(description: &sdk::TableDescription) -> Facts {
    Facts {
        arn: description.table_arn().map(str::to_owned),
        id: description.table_id().map(str::to_owned),
        status: description.table_status().map(|status| status.as_str().to_owned()),
        changing: changing(description).map(|field| field.to_string()).or_else(|| Replicas::changing(description)),
        empty: description.item_count() == Some(0),
        items: description.item_count().filter(|items| *items > 0),
        progress: description.global_secondary_indexes().iter().filter_map(progress).collect(),
        unmanaged_settings: super::unsupported::of(description),
        ..Facts::default()
    }
}

/// Returns AWS's change in progress on an ACTIVE table. Source of the status: TableWarmThroughputDescription in the Amazon DynamoDB API
/// Reference.
fn changing(description: &sdk::TableDescription) -> Option<Field> {
    if description.sse_description().is_some_and(is_changing) {
        return Some(Field::Encryption);
    }
    let table = description.warm_throughput().and_then(sdk::TableWarmThroughputDescription::status);
    let indexes = description.global_secondary_indexes().iter().filter_map(|index| index.warm_throughput()?.status());
    let is_warming =
        table == Some(&sdk::TableStatus::Updating) || indexes.into_iter().any(|one| *one == sdk::IndexStatus::Updating);
    is_warming.then_some(Field::Setting(Warm::KEYS[0]))
}

/// Returns AWS's work in progress on an index, which takes minutes. AWS does not return a percentage.
fn progress(index: &sdk::GlobalSecondaryIndexDescription) -> Option<String> {
    let name = index.index_name()?;
    // AWS updates the count about every six hours.
    let items = index.item_count().filter(|items| *items > 0);
    let items = items.map(|items| format!(", about {items} when last counted")).unwrap_or_default();
    match index.index_status()? {
        sdk::IndexStatus::Creating if index.backfilling() == Some(true) => {
            Some(format!("index {name} is being built: AWS copies the items into it{items}"))
        }
        sdk::IndexStatus::Creating => Some(format!("index {name} is being built: AWS is allocating capacity for it")),
        sdk::IndexStatus::Deleting => Some(format!("index {name} is being deleted")),
        _ => None,
    }
}

fn capacity(found: &sdk::ProvisionedThroughputDescription) -> Capacity {
    Capacity { read: found.read_capacity_units().unwrap_or(0), write: found.write_capacity_units().unwrap_or(0) }
}

type Types = BTreeMap<String, AttributeType>;

fn attribute_types(definitions: &[sdk::AttributeDefinition]) -> Types {
    let kind = |definition: &sdk::AttributeDefinition| match definition.attribute_type() {
        sdk::ScalarAttributeType::N => AttributeType::N,
        sdk::ScalarAttributeType::B => AttributeType::B,
        _ => AttributeType::S,
    };
    definitions.iter().map(|definition| (definition.attribute_name().to_owned(), kind(definition))).collect()
}

fn attribute(name: &str, types: &Types) -> Attribute {
    Attribute { name: name.to_owned(), kind: types.get(name).copied().unwrap_or(AttributeType::S) }
}

fn key(schema: &[sdk::KeySchemaElement], types: &Types) -> Option<Key> {
    let IndexKey { partition, sort } = index_key(schema, types);
    Some(Key { partition: partition.0.into_iter().next()?, sort: sort.0.into_iter().next() })
}

fn index_key(schema: &[sdk::KeySchemaElement], types: &Types) -> IndexKey {
    let part = |role: &sdk::KeyType| {
        let elements = schema.iter().filter(|element| element.key_type() == role);
        KeyPart(elements.map(|element| attribute(element.attribute_name(), types)).collect())
    };
    IndexKey { partition: part(&sdk::KeyType::Hash), sort: part(&sdk::KeyType::Range) }
}

fn local_index(found: &sdk::LocalSecondaryIndexDescription, types: &Types) -> Option<(String, LocalIndex)> {
    let sort = index_key(found.key_schema(), types).sort.0.into_iter().next()?;
    Some((found.index_name()?.to_owned(), LocalIndex { sort, projection: projected(found.projection()) }))
}

fn projected(found: Option<&sdk::Projection>) -> Projection {
    match found.and_then(sdk::Projection::projection_type) {
        Some(sdk::ProjectionType::KeysOnly) => Projection::KeysOnly,
        Some(sdk::ProjectionType::Include) => Projection::Include(
            found.map(|projection| projection.non_key_attributes().iter().cloned().collect()).unwrap_or_default(),
        ),
        _ => Projection::All,
    }
}

fn index(found: &sdk::GlobalSecondaryIndexDescription, types: &Types) -> Option<(String, Index)> {
    let projection = projected(found.projection());
    let status = match found.index_status() {
        Some(sdk::IndexStatus::Creating) => IndexStatus::Creating { backfilling: found.backfilling().unwrap_or(false) },
        Some(sdk::IndexStatus::Updating) => IndexStatus::Updating,
        Some(sdk::IndexStatus::Deleting) => IndexStatus::Deleting,
        _ => IndexStatus::Active,
    };
    let capacity = found.provisioned_throughput().map(capacity);
    let limits = Some(Limits::of(found.on_demand_throughput()));
    let warm =
        found.warm_throughput().map(|warm| Warm::of(warm.read_units_per_second(), warm.write_units_per_second()));
    Some((
        found.index_name()?.to_owned(),
        Index { key: index_key(found.key_schema(), types), projection, capacity, status, limits, warm },
    ))
}

/// Reads the response of `DescribeTimeToLive`.
pub(super) fn ttl(description: Option<&sdk::TimeToLiveDescription>) -> Ttl {
    let attribute = description.and_then(sdk::TimeToLiveDescription::attribute_name);
    match (description.and_then(sdk::TimeToLiveDescription::time_to_live_status), attribute) {
        (Some(sdk::TimeToLiveStatus::Enabled | sdk::TimeToLiveStatus::Enabling), Some(attribute)) => {
            Ttl::Enabled(attribute.to_owned())
        }
        (Some(sdk::TimeToLiveStatus::Disabling), _) => Ttl::Disabling,
        _ => Ttl::Disabled,
    }
}

/// Returns the request that creates a table with all its indexes.
pub(super) fn create_table(name: &str, table: &Table) -> Result<CreateTableInputBuilder, BuildError> {
    let mut request = CreateTableInputBuilder::default().table_name(name);
    let indexes: Vec<(&String, &Index)> = table.indexes.iter().flatten().collect();
    // Exactly the key attributes of the table and its indexes, each once.
    let of_indexes = indexes.iter().flat_map(|(_, index)| index.key.attributes());
    let attributes: BTreeSet<&Attribute> = table.own_attributes().chain(of_indexes).collect();
    for attribute in attributes {
        request = request.attribute_definitions(definition(attribute)?);
    }
    if let Some(key) = &table.key {
        request = request.set_key_schema(Some(key_schema([&key.partition], &key.sort)?));
        for (index_name, index) in table.local_indexes.iter().flatten() {
            let local = sdk::LocalSecondaryIndex::builder()
                .index_name(index_name)
                .set_key_schema(Some(key_schema([&key.partition], [&index.sort])?))
                .projection(projection(&index.projection));
            request = request.local_secondary_indexes(local.build()?);
        }
    }
    let throughput = table.billing.and_then(Billing::capacity).map(throughput).transpose()?;
    let mode = if throughput.is_some() { sdk::BillingMode::Provisioned } else { sdk::BillingMode::PayPerRequest };
    request = request.billing_mode(mode).set_provisioned_throughput(throughput.clone());
    for (index_name, index) in indexes {
        let global = sdk::GlobalSecondaryIndex::builder()
            .index_name(index_name)
            .set_key_schema(Some(key_schema(&index.key.partition.0, &index.key.sort.0)?))
            .projection(projection(&index.projection))
            .set_provisioned_throughput(match index.capacity.filter(|_| throughput.is_some()) {
                Some(own) => Some(self::throughput(own)?),
                None => throughput.clone(),
            })
            .set_on_demand_throughput(index.limits.and_then(|limits| limits.on_creation()))
            .set_warm_throughput(index.warm.map(|warm| warm.request()));
        request = request.global_secondary_indexes(global.build()?);
    }
    request = match &table.encryption {
        None | Some(Encryption::AwsOwned) => request,
        Some(wanted) => request.sse_specification(sse(wanted)),
    };
    request = table.settings.create(request)?;
    let tags = table.tags.as_ref().map(tags).transpose()?.filter(|tags| !tags.is_empty());
    Ok(request.set_tags(tags))
}

/// Returns the request that makes one change.
pub(super) fn update_table(name: &str, change: &TableChange) -> Result<UpdateTableInputBuilder, BuildError> {
    let request = UpdateTableInputBuilder::default().table_name(name);
    Ok(match change {
        TableChange::CreateIndex { index_name, index, attributes } => {
            let create = sdk::CreateGlobalSecondaryIndexAction::builder()
                .index_name(index_name)
                .set_key_schema(Some(key_schema(&index.key.partition.0, &index.key.sort.0)?))
                .projection(projection(&index.projection))
                .set_provisioned_throughput(index.capacity.map(throughput).transpose()?)
                .set_on_demand_throughput(index.limits.and_then(|limits| limits.on_creation()))
                .set_warm_throughput(index.warm.map(|warm| warm.request()));
            let definitions = attributes.iter().map(definition).collect::<Result<_, _>>()?;
            request.set_attribute_definitions(Some(definitions)).global_secondary_index_updates(
                sdk::GlobalSecondaryIndexUpdate::builder().create(create.build()?).build(),
            )
        }
        TableChange::DeleteIndex { index_name, .. } => {
            let delete = sdk::DeleteGlobalSecondaryIndexAction::builder().index_name(index_name).build()?;
            request.global_secondary_index_updates(sdk::GlobalSecondaryIndexUpdate::builder().delete(delete).build())
        }
        TableChange::Billing { billing, switches, table, indexes } => {
            let mode = match billing {
                Billing::PayPerRequest => sdk::BillingMode::PayPerRequest,
                Billing::Provisioned(_) | Billing::External => sdk::BillingMode::Provisioned,
            };
            let mut request = request
                .set_billing_mode(switches.then_some(mode))
                .set_provisioned_throughput(table.map(throughput).transpose()?);
            for (index, capacity) in indexes {
                let update = sdk::UpdateGlobalSecondaryIndexAction::builder()
                    .index_name(index)
                    .provisioned_throughput(throughput(*capacity)?);
                let update = sdk::GlobalSecondaryIndexUpdate::builder().update(update.build()?);
                request = request.global_secondary_index_updates(update.build());
            }
            request
        }
        TableChange::IndexLimits { index_name, limits } => {
            let update = sdk::UpdateGlobalSecondaryIndexAction::builder().index_name(index_name);
            let update = update.on_demand_throughput(limits.on_update()).build()?;
            request.global_secondary_index_updates(sdk::GlobalSecondaryIndexUpdate::builder().update(update).build())
        }
        TableChange::IndexWarm { index_name, warm } => {
            let update = sdk::UpdateGlobalSecondaryIndexAction::builder().index_name(index_name);
            let update = update.warm_throughput(warm.request()).build()?;
            request.global_secondary_index_updates(sdk::GlobalSecondaryIndexUpdate::builder().update(update).build())
        }
        TableChange::AddReplicas { replicas, consistency, witness } => {
            replicas::calls::add(request, replicas, *consistency, witness.as_ref())?
        }
        TableChange::RemoveReplicas { regions, witness } => {
            replicas::calls::remove(request, regions, witness.as_ref())?
        }
        TableChange::Encryption { encryption, .. } => request.sse_specification(sse(encryption)),
        TableChange::Setting(change) => change.update(request)?,
    })
}

pub(super) fn tags(tags: &Tags) -> Result<Vec<sdk::Tag>, BuildError> {
    tags.iter().map(|(key, value)| sdk::Tag::builder().key(key).value(value).build()).collect()
}

fn throughput(capacity: Capacity) -> Result<sdk::ProvisionedThroughput, BuildError> {
    let builder = sdk::ProvisionedThroughput::builder();
    builder.read_capacity_units(capacity.read).write_capacity_units(capacity.write).build()
}

fn definition(attribute: &Attribute) -> Result<sdk::AttributeDefinition, BuildError> {
    let builder = sdk::AttributeDefinition::builder().attribute_name(&attribute.name);
    builder.attribute_type(scalar(attribute.kind)).build()
}

fn scalar(kind: AttributeType) -> sdk::ScalarAttributeType {
    match kind {
        AttributeType::S => sdk::ScalarAttributeType::S,
        AttributeType::N => sdk::ScalarAttributeType::N,
        AttributeType::B => sdk::ScalarAttributeType::B,
    }
}

fn key_schema<'a>(
    partition: impl IntoIterator<Item = &'a Attribute>,
    sort: impl IntoIterator<Item = &'a Attribute>,
) -> Result<Vec<sdk::KeySchemaElement>, BuildError> {
    let partition = partition.into_iter().map(|attribute| (attribute, sdk::KeyType::Hash));
    let parts = partition.chain(sort.into_iter().map(|attribute| (attribute, sdk::KeyType::Range)));
    let element = |(attribute, role): (&Attribute, _)| {
        sdk::KeySchemaElement::builder().attribute_name(&attribute.name).key_type(role).build()
    };
    parts.map(element).collect()
}

fn projection(projection: &Projection) -> sdk::Projection {
    let builder = sdk::Projection::builder();
    match projection {
        Projection::All => builder.projection_type(sdk::ProjectionType::All).build(),
        Projection::KeysOnly => builder.projection_type(sdk::ProjectionType::KeysOnly).build(),
        Projection::Include(names) => builder
            .projection_type(sdk::ProjectionType::Include)
            .set_non_key_attributes(Some(names.iter().cloned().collect()))
            .build(),
    }
}

/// Omits the key for AWS's own key; its alias is never sent.
fn sse(encryption: &Encryption) -> sdk::SseSpecification {
    let builder = sdk::SseSpecification::builder();
    match encryption {
        Encryption::AwsOwned => builder.enabled(false).build(),
        Encryption::AwsManaged => builder.enabled(true).sse_type(sdk::SseType::Kms).build(),
        Encryption::Kms(key) | Encryption::Alias(key) => {
            builder.enabled(true).sse_type(sdk::SseType::Kms).kms_master_key_id(key).build()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::table::DeletionProtection;

    fn attribute(name: &str, kind: AttributeType) -> Attribute {
        Attribute { name: name.to_owned(), kind }
    }

    fn layout() -> Table {
        let index = |projection| Index {
            key: IndexKey::new(attribute("user", AttributeType::S), Some(attribute("at", AttributeType::N))),
            projection,
            capacity: None,
            status: IndexStatus::Active,
            limits: None,
            warm: None,
        };
        let include = Projection::Include([String::from("b"), String::from("a")].into());
        Table {
            key: Some(Key { partition: attribute("id", AttributeType::S), sort: None }),
            indexes: Some(BTreeMap::from([
                (String::from("all-index"), index(Projection::All)),
                (String::from("some-index"), index(include)),
            ])),
            encryption: Some(Encryption::AwsManaged),
            settings: Settings { deletion_protection: Some(DeletionProtection(true)), ..Settings::default() },
            ..Table::default()
        }
    }

    #[test]
    fn attributes_are_defined_once_each_and_only_the_keys() {
        let request = create_table("t", &layout()).unwrap().build().unwrap();
        let names: Vec<&str> =
            request.attribute_definitions().iter().map(sdk::AttributeDefinition::attribute_name).collect();
        assert_eq!(names, ["at", "id", "user"]);
        assert_eq!(request.billing_mode(), Some(&sdk::BillingMode::PayPerRequest));
        assert_eq!(request.provisioned_throughput(), None);
    }

    #[test]
    fn a_table_without_indexes_sends_no_empty_list() {
        let plain = Table { indexes: Some(BTreeMap::new()), ..layout() };
        assert_eq!(create_table("t", &plain).unwrap().build().unwrap().global_secondary_indexes, None);
    }

    #[test]
    fn aws_owned_keys_are_never_sent() {
        let request = create_table("t", &layout()).unwrap().build().unwrap();
        let sse = request.sse_specification().unwrap();
        assert_eq!((sse.enabled(), sse.kms_master_key_id()), (Some(true), None));
        let owned = Table { encryption: Some(Encryption::AwsOwned), ..layout() };
        assert_eq!(create_table("t", &owned).unwrap().build().unwrap().sse_specification, None);
    }

    #[test]
    fn provisioned_capacity_is_given_to_each_index() {
        let paid = Table { billing: Some(Billing::Provisioned(Capacity { read: 5, write: 2 })), ..layout() };
        let request = create_table("t", &paid).unwrap().build().unwrap();
        assert_eq!(request.billing_mode(), Some(&sdk::BillingMode::Provisioned));
        for index in request.global_secondary_indexes() {
            assert_eq!(index.provisioned_throughput().map(sdk::ProvisionedThroughput::read_capacity_units), Some(5));
        }
    }

    #[test]
    fn a_created_table_reads_back_unchanged() {
        let wanted = layout();
        let request = create_table("t", &wanted).unwrap().build().unwrap();
        let mut answer = sdk::TableDescription::builder()
            .set_key_schema(request.key_schema.clone())
            .set_attribute_definitions(request.attribute_definitions.clone())
            .billing_mode_summary(
                sdk::BillingModeSummary::builder().billing_mode(sdk::BillingMode::PayPerRequest).build(),
            )
            .deletion_protection_enabled(true)
            .sse_description(
                sdk::SseDescription::builder().status(sdk::SseStatus::Enabled).kms_master_key_arn("arn:k").build(),
            );
        for index in request.global_secondary_indexes() {
            let found = sdk::GlobalSecondaryIndexDescription::builder()
                .index_name(index.index_name())
                .set_key_schema(index.key_schema.clone().into())
                .set_projection(index.projection.clone())
                .index_status(sdk::IndexStatus::Active);
            answer = answer.global_secondary_indexes(found.build());
        }
        let read = table(&answer.build());
        assert_eq!(read.encryption, Some(Encryption::Kms(String::from("arn:k"))));
        // Reading the key's owner takes another call.
        let named = Table { encryption: Some(Encryption::AwsManaged), ..read };
        assert_eq!(super::super::diff::diff(&wanted, &named), []);
    }

    #[test]
    fn every_attribute_of_a_key_is_read() {
        let element =
            |name: &str, role| sdk::KeySchemaElement::builder().attribute_name(name).key_type(role).build().unwrap();
        let (hash, range) = (sdk::KeyType::Hash, sdk::KeyType::Range);
        let schema = [
            element("tenant", hash.clone()),
            element("region", hash),
            element("day", range.clone()),
            element("size", range),
        ];
        let types = Types::from([(String::from("size"), AttributeType::N)]);
        let key = index_key(&schema, &types);
        assert_eq!(key.partition.0, ["tenant", "region"].map(|name| attribute(name, AttributeType::S)));
        assert_eq!(key.sort.0, [attribute("day", AttributeType::S), attribute("size", AttributeType::N)]);
        assert_eq!(key_schema(&key.partition.0, &key.sort.0).unwrap(), schema);
    }

    #[test]
    fn billing_is_read_from_either_of_two_fields() {
        let capacity =
            sdk::ProvisionedThroughputDescription::builder().read_capacity_units(3).write_capacity_units(1).build();
        let provisioned = sdk::TableDescription::builder().provisioned_throughput(capacity).build();
        assert_eq!(table(&provisioned).billing, Some(Billing::Provisioned(Capacity { read: 3, write: 1 })));
    }

    #[test]
    fn ttl_counts_as_on_while_it_is_being_turned_on() {
        let describe = |status| {
            let builder = sdk::TimeToLiveDescription::builder().attribute_name("expires_at");
            ttl(Some(&builder.time_to_live_status(status).build()))
        };
        assert_eq!(describe(sdk::TimeToLiveStatus::Enabling), Ttl::Enabled(String::from("expires_at")));
        assert_eq!(describe(sdk::TimeToLiveStatus::Disabling), Ttl::Disabling);
        assert_eq!(describe(sdk::TimeToLiveStatus::Disabled), Ttl::Disabled);
        assert_eq!(ttl(None), Ttl::Disabled);
    }
}
