//! A DynamoDB table: state and names. Its diff is in `diff`, its steps in `steps`, its AWS calls in `api`.

mod api;
mod autoscaling;
mod billing;
mod builtin;
mod change;
mod check;
mod class;
mod delete;
mod diff;
mod display;
mod encryption;
mod export;
mod field;
mod index;
mod index_section;
mod index_settings;
mod insights;
mod kinesis;
mod limits;
mod live;
mod manifest;
mod members;
mod opposite;
mod permissions;
mod polling;
mod protection;
mod rebuild;
mod recovery;
mod replicas;
mod resource_policy;
mod rules;
mod saved;
mod scales;
mod scaling_calls;
mod schema;
mod sdk;
mod setting;
mod status;
mod steps;
mod stream;
mod traits;
mod unsupported;
mod update;
mod warm;

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

use aws_types::SdkConfig;
use serde::{Deserialize, Serialize};

use super::export::cloudformation::Stack;
use super::export::terraform::Module;
use super::import::{self, DiscoverError, Discovered, Found, Importer, Missing, Wanted};
use super::key::on_alias;
use super::permission::{Location, On, Permission, Purpose};
use super::references::{Named, Reference};
use super::schema::Schema;
use super::section::{Resolver, SectionReader};
use super::{About, ArnName, Deletion, Desired, Kind, Search, Settled, Shown, Site, Unlisted, Waiting};
use crate::change::{ChangeMethod, FieldChange, FieldValue};
use crate::document::{Entry, GivenFile};
use crate::kind::{Line, Misplaced};
use crate::resource::call::{
    CREATE_BACKUP, CallError, DELETE_TABLE, DESCRIBE_BACKUP, DESCRIBE_TABLE, LIST_TABLE_TAGS, LIST_TABLES, Operation,
    SCAN,
};
use crate::resource::caller::Identity;
use crate::resource::names::{PolicyRoot, RegionName};
use crate::resource::pacer::Pacer;
use crate::resource::{Fields, Invalid, Live, Observed, StepOutcome, Tags};

pub use crate::resource::check_table_name as check_name;
pub use api::{TableApi, replica_regions};
pub use autoscaling::{Autoscaling, SetScale, UnsupportedScaling};
use billing::FIRST_CAPACITY;
pub use billing::{Billing, Capacity};
pub use builtin::Builtin;
pub use change::TableChange;
pub use class::{Class, SetClass};
pub use diff::changes;
pub use encryption::Encryption;
use encryption::{ALIAS, AWS_MANAGED, check_kms_key};
pub use field::Field;
pub use index::{Index, IndexKey, IndexStatus, KeyPart, LocalIndex, Projection};
pub use index_section::{IndexSection, LocalIndexSection};
pub use index_settings::IndexSettings;
pub use insights::{Insights, SetInsights, Tracking};
pub use kinesis::{Kinesis, KinesisChange, Precision, SetKinesis};
pub use limits::{Limits, SetLimits};
pub use manifest::{BillingMode, CapacityOwner, EncryptionSetting, TableSection};
pub use permissions::arn;
pub use protection::{DeletionProtection, SetDeletionProtection};
pub use recovery::{Recovery, SetRecovery};
pub use replicas::{Consistency, NewReplica, ReplicaSection, ReplicaStatus, Replicas, ReplicasSection};
pub use resource_policy::{Holder, OfStream, OfTable, ResourcePolicy, SetPolicy, StreamPolicy, TablePolicy};
pub use rules::{INCLUDE_LIMIT, INDEX_LIMIT, KEY_LIMIT, LOCAL_INDEX_LIMIT, check_attribute};
pub use scales::{Bounds, Scale, Scales, Target, Units};
pub use setting::{SeparateChange, Settings, UpdateTableChange};
use status::TableStatus;
pub use steps::TableStep;
pub use stream::{SetStream, Stream};
pub use warm::{SetWarm, Warm};

/// A table, live or desired. `None` means "not managed" in desired state and "not read" in live state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Key>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub indexes: Option<BTreeMap<String, Index>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_indexes: Option<BTreeMap<String, LocalIndex>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Ttl>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub billing: Option<Billing>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Tags>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<Replicas>,
    #[serde(flatten)]
    pub settings: Settings,
}

impl Table {
    /// Returns the key attributes of the table and its local indexes. Their types are fixed for all other indexes.
    pub(super) fn own_attributes(&self) -> impl Iterator<Item = &Attribute> {
        let local = self.local_indexes.iter().flatten().map(|(_, index)| &index.sort);
        self.key.iter().flat_map(Key::attributes).chain(local)
    }

    fn has_replicas(&self) -> bool {
        self.replicas.as_ref().is_some_and(|replicas| !replicas.regions.is_empty())
    }
}

/// The key of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    #[serde(rename = "partition_key")]
    pub partition: Attribute,
    #[serde(rename = "sort_key", skip_serializing_if = "Option::is_none")]
    pub sort: Option<Attribute>,
}

impl Key {
    /// Returns the attributes of the key, the partition key first.
    pub fn attributes(&self) -> impl Iterator<Item = &Attribute> {
        std::iter::once(&self.partition).chain(&self.sort)
    }
}

/// A key attribute.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Attribute {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: AttributeType,
}

/// A key attribute's type.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
pub enum AttributeType {
    S,
    N,
    B,
}

impl fmt::Display for AttributeType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, formatter)
    }
}

/// Time to live: the attribute with an item's expiry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ttl {
    Disabled,
    /// Being turned off, which takes up to an hour.
    Disabling,
    /// On, or being turned on, with this attribute.
    Enabled(String),
}

impl Kind for Table {
    type Section = TableSection;
    type Step = TableStep;
    type Field = Field;
    type Api = TableApi;

    const ABOUT: About = About {
        section: "tables",
        id: "table",
        noun: "table",
        service: "DynamoDB",
        statement: "Table",
        shares_statements: false,
        provisions: "Provisioning",
        heading: "DynamoDB tables",
        site: Site::Region,
        shown: Shown::ByLabel,
        unmanaged: "Unmanaged tables (not in the manifest, without the ownership tag; not changed)",
        resource_type: "dynamodb:table",
        members: members::ALL,
        listed_by: "aws dynamodb list-tables",
        // Tables take long: AWS allows 250 tables with indexes to be created at once (Amazon DynamoDB Developer Guide, "Quotas"), and
        // others may use a part of that.
        concurrency: 200,
        batch: 1,
        shows_layout: true,
        // The names of attributes are free text.
        is_free_text: |setting| {
            ["partition_key", "sort_key", "ttl_attribute", "indexes", "local_indexes"].contains(&setting)
        },
    };

    fn read(section: &mut SectionReader<'_, '_>, entry: &Entry) -> Option<TableSection> {
        manifest::read(section, entry)
    }

    fn write(key: &str, section: &TableSection) -> String {
        manifest::write(key, section)
    }

    fn schema() -> Schema {
        schema::schema()
    }

    fn references(section: &TableSection) -> Vec<Reference> {
        manifest::references(section)
    }

    fn uses(section: &TableSection) -> Vec<Named> {
        manifest::uses(section)
    }

    fn resolve(resolver: &mut Resolver<'_>, key: &str, section: &TableSection) -> Option<Desired<Self>> {
        manifest::resolve(resolver, key, section)
    }

    fn misplaced(desired: &Desired<Self>, region: &RegionName) -> Option<Misplaced> {
        replicas::manifest::misplaced(&desired.address.key, &desired.managed, region)
    }

    fn name_of(key: &str, section: &TableSection, _: &PolicyRoot) -> Result<String, Invalid> {
        let builtin = || Builtin::from_key(key).map(|builtin| builtin.default_name().to_owned());
        Ok(section.name.clone().or_else(builtin).unwrap_or_default())
    }

    fn section_of(desired: &Desired<Self>) -> TableSection {
        TableSection::of_managed(desired)
    }

    fn files_of(desired: &Desired<Self>) -> Vec<GivenFile> {
        desired.managed.settings.files()
    }

    fn tags(&self) -> Option<&Tags> {
        self.tags.as_ref()
    }

    fn key_of(name: &str, _: &PolicyRoot) -> Result<String, Invalid> {
        check_name(name)?;
        Ok(name.to_owned())
    }

    fn of_arn(resource: &str, _: &PolicyRoot) -> Option<ArnName> {
        check_name(resource).ok()?;
        Some(ArnName::Name { name: resource.to_owned(), key: resource.to_owned() })
    }

    fn api(config: &SdkConfig, pacer: &Arc<Pacer>, identity: &Arc<Identity>) -> TableApi {
        TableApi::new(config, pacer, identity)
    }

    fn reads(desired: &Desired<Self>) -> Vec<Operation> {
        steps::reads(desired)
    }

    fn allowed_on(operation: Operation, desired: &Desired<Self>, location: &Location) -> On {
        match (operation.service, &desired.managed.encryption) {
            // With replicas, AWS's own key is looked up as well.
            ("kms", _) if desired.managed.has_replicas() => {
                On::Resources(replicas::permission::keys(desired, location))
            }
            ("kms", Some(Encryption::Alias(alias))) => on_alias(location, alias),
            // AWS does not document whether a condition on the alias applies to its own key before the key is first used.
            ("kms", Some(Encryption::AwsManaged)) => On::Resources(vec![location.arn("kms", "key/*")]),
            ("kms", Some(Encryption::Kms(key))) => On::Resources(vec![key.clone()]),
            _ if operation == DESCRIBE_BACKUP => On::Resources(vec![permissions::backups(location, &desired.name)]),
            _ if operation == DESCRIBE_TABLE => On::Resources(replicas::permission::described(desired, location)),
            _ => permissions::allowed_on(operation, desired, location)
                .unwrap_or_else(|| On::Resources(replicas::permission::arns(desired, location))),
        }
    }

    fn delegated(desired: &Desired<Self>, location: &Location) -> Vec<Permission> {
        let statement = Self::statement(&desired.address.key);
        let mut delegated = encryption::delegated(desired.managed.encryption.as_ref(), &statement, location);
        delegated.extend(permissions::delegated(desired, &statement, location));
        delegated.extend(replicas::permission::delegated(desired, &statement, location));
        delegated
    }

    fn statement(key: &str) -> String {
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

    fn unlisted_permissions(location: &Location, _: &PolicyRoot, purpose: Purpose) -> Vec<Permission> {
        let statement = || String::from("SentinelTablePrune");
        let of = |operations, on| Permission { statement: statement(), shared: false, operations, on };
        let mut operations = vec![DESCRIBE_TABLE, LIST_TABLE_TAGS];
        let list = Permission { statement: statement(), shared: true, operations: vec![LIST_TABLES], on: On::Any };
        let scaling = permissions::of_pruned_scaling(location, &statement(), purpose);
        if purpose == Purpose::Read {
            let own = [of(operations, On::Resources(vec![arn(location, "*")])), list];
            return own.into_iter().chain(scaling).collect();
        }
        operations.extend([SCAN, CREATE_BACKUP, DELETE_TABLE]);
        let backups = of(vec![DESCRIBE_BACKUP], On::Resources(vec![permissions::backups(location, "*")]));
        let own = [of(operations, On::Resources(vec![arn(location, "*")])), backups, list];
        own.into_iter().chain(scaling).collect()
    }

    async fn observe(api: &TableApi, batch: &[&Desired<Self>]) -> Vec<Observed<Self>> {
        futures_util::future::join_all(batch.iter().map(|desired| api::observe(api, desired))).await
    }

    async fn owned(_: &TableApi, _: &Search<'_>) -> Option<Result<HashSet<String>, CallError>> {
        // The tags of a table are read together with it.
        None
    }

    async fn unlisted(api: &TableApi, search: &Search<'_>) -> Unlisted {
        api::unlisted(api, search).await
    }

    fn check_name(name: &str) -> Result<(), Invalid> {
        check_name(name)
    }

    fn everything() -> Self {
        // Keys, indexes and the other settings are always read.
        Self {
            ttl: Some(Ttl::Disabled),
            tags: Some(Tags::new()),
            replicas: Some(Replicas::everything()),
            settings: Settings::everything(),
            ..Self::default()
        }
    }

    async fn discover(api: &TableApi, wanted: &Wanted<'_>) -> Result<Discovered<Self>, DiscoverError> {
        if !wanted.named.is_empty() {
            return Ok(import::read(api, wanted, &wanted.named, Missing::Fails).await?.into());
        }
        live::discover(api, wanted).await
    }

    fn key_of_live(found: &Found<Self>, _: &PolicyRoot) -> Result<String, String> {
        Ok(live::key(&found.name, &found.live.state))
    }

    fn import(importer: &mut Importer<'_>, key: &str, found: Found<Self>) -> TableSection {
        live::section(importer, key, &found)
    }

    async fn execute(api: &TableApi, step: &TableStep, waiting: Waiting) -> Result<StepOutcome, CallError> {
        api::execute(api, waiting, step).await
    }

    fn changes(desired: &Desired<Self>, live: &Live<Self>) -> Vec<FieldChange<Field>> {
        changes(desired, live)
    }

    fn create(desired: &Desired<Self>) -> Vec<TableStep> {
        steps::create(desired)
    }

    fn repair(desired: &Desired<Self>, live: &Live<Self>, changes: &[FieldChange<Field>]) -> Vec<TableStep> {
        steps::repair(desired, live, changes)
    }

    fn delete(desired: &Desired<Self>, live: &Live<Self>) -> Deletion<Self> {
        delete::deletion(desired, live)
    }

    fn settle(
        desired: &Desired<Self>,
        live: &Live<Self>,
        changes: Vec<FieldChange<Field>>,
        repair: Vec<TableStep>,
    ) -> Settled<Self> {
        let status = TableStatus::of(&live.facts).unwrap_or(TableStatus::Active);
        let not_active = |method, how| {
            let describe = |status: &TableStatus| FieldValue::text(status.to_string());
            let (before, after) = (describe(&status), describe(&TableStatus::Active));
            vec![FieldChange::new(Field::Status, before, after, method, how)]
        };
        match &status {
            TableStatus::Active | TableStatus::Updating => Settled::Compared { changes, repair },
            // The settings that follow a creation are not a difference; any other difference is.
            TableStatus::Creating if changes.iter().all(steps::is_unfinished_creation) => {
                Settled::Unfinished { steps: steps::create(desired).into_iter().skip(1).collect() }
            }
            TableStatus::Creating => {
                let changes = changes.into_iter().filter(|change| !steps::is_unfinished_creation(change)).collect();
                Settled::Compared { changes, repair }
            }
            TableStatus::Deleting => {
                let why = String::from("the table is being deleted, and can be created again once it is gone");
                let defer = TableStep::Defer { name: desired.name.clone(), why, seconds: None };
                let changes = not_active(ChangeMethod::Time, "being deleted; run again once it is gone");
                Settled::Compared { changes, repair: vec![defer] }
            }
            TableStatus::Other(_) => {
                let changes = not_active(ChangeMethod::NotPossible, "check the table in the AWS console");
                Settled::Compared { changes, repair }
            }
        }
    }

    fn seen(live: &Live<Self>) -> Fields {
        display::seen(live)
    }

    fn opposite(desired: &Desired<Self>) -> Live<Self> {
        opposite::opposite(desired)
    }

    fn calls_to_observe(layouts: &[Option<&Self>]) -> usize {
        // AWS's own key is looked up once for all tables.
        let managed = |layout: &&Self| matches!(layout.encryption, Some(Encryption::AwsManaged));
        let managed = layouts.iter().flatten().any(managed);
        let of_table = |layout: Option<&Self>| {
            let settings = layout.map_or(0, |layout| layout.settings.calls());
            let alias = layout.is_some_and(|layout| matches!(layout.encryption, Some(Encryption::Alias(_))));
            let ttl = layout.is_none_or(|layout| layout.ttl.is_some());
            let replicas = layout.and_then(|layout| layout.replicas.as_ref()).map_or(0, Replicas::calls_to_observe);
            1 + usize::from(ttl) + settings + usize::from(alias) + replicas
        };
        layouts.iter().copied().map(of_table).sum::<usize>() + usize::from(managed)
    }

    #[cfg(test)]
    fn any_sections() -> proptest::strategy::BoxedStrategy<indexmap::IndexMap<String, TableSection>> {
        proptest::strategy::Strategy::boxed(manifest::any::sections())
    }

    fn cloudformation(desired: &Desired<Self>, live: Option<&Live<Self>>, stack: &mut Stack) {
        export::cloudformation::add(desired, live, stack);
    }

    fn terraform(desired: &Desired<Self>, live: Option<&Live<Self>>, module: &mut Module) {
        export::terraform::add(desired, live, module);
    }

    fn layout(state: &Self) -> Vec<Line> {
        display::layout(state)
    }

    fn sketch(state: &Self, _: Option<&str>) -> Vec<Line> {
        display::sketch(state)
    }

    fn is_drawn(setting: &str) -> bool {
        setting == "key" || setting == "ttl" || setting.starts_with("index ") || setting.starts_with("local index ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_dynamodbs_rules() {
        for good in ["abc", "a_b.c-D9", &"x".repeat(255)] {
            assert!(check_name(good).is_ok(), "{good} refused");
        }
        for bad in ["", "ab", "a b", "a/b", "täble", &"x".repeat(256)] {
            assert!(check_name(bad).is_err(), "{bad} passed");
        }
        for good in ["a", "a key: any bytes, ä", &"x".repeat(255)] {
            assert!(check_attribute(good).is_ok(), "{good} refused");
        }
        for bad in ["", &"x".repeat(256)] {
            assert!(check_attribute(bad).is_err(), "{bad} passed");
        }
    }
}
