//! The steps that repair a table, in the order that AWS requires.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::rebuild;
use super::scaling_calls::DESCRIBE_TARGETS;
use super::setting::{Phase, SeparateSetting, Setting};
use super::{
    Autoscaling, Billing, Capacity, Encryption, Field, Index, Limits, Replicas, SeparateChange, Settings, Table,
    TableChange, TableStatus, Ttl, Warm, replicas,
};
use crate::change::{ChangeMethod, Consent, FieldChange, Protection, Sides};
use crate::kind::key::DESCRIBE_KEY;
use crate::kind::{Desired, KindStep, StepTime};
use crate::resource::call::{
    CREATE_BACKUP, CREATE_TABLE, DELETE_TABLE, DESCRIBE_BACKUP, DESCRIBE_TABLE, DESCRIBE_TIME_TO_LIVE, LIST_TABLE_TAGS,
    Operation, SCAN, TAG_RESOURCE, UNTAG_RESOURCE, UPDATE_TABLE, UPDATE_TIME_TO_LIVE,
};
use crate::resource::names::OwnerKey;
use crate::resource::{Live, Tags};

/// One call that changes a table, or one wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self", tag = "step", rename_all = "snake_case")]
pub enum TableStep {
    /// Creates the table with all its indexes; expects that no table has its name.
    CreateTable { name: String, table: Box<Table> },
    /// Waits until the table and its indexes are ACTIVE.
    WaitForTable { name: String },
    /// Changes one thing with `UpdateTable`, which accepts one change at a time; expects the table ACTIVE.
    UpdateTable { name: String, change: TableChange },
    /// Sets these tags and keeps all others.
    TagTable { name: String, arn: String, tags: Tags },
    /// Removes the tags of these keys.
    UntagTable { name: String, arn: String, keys: Vec<String> },
    /// Turns time to live on; expects it off.
    EnableTimeToLive { name: String, attribute: String },
    /// Turns time to live off; expects it on with this attribute.
    DisableTimeToLive { name: String, attribute: String },
    /// Backs the table up, unless it has no items, and waits until the backup can be restored; expects a table with this ID.
    BackUpTable {
        name: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expects_id: Option<String>,
        backup_name: String,
    },
    /// Deletes the table and waits until it is deleted; expects a table with this ID and the ownership tag with this key, and without
    /// deletion protection.
    DeleteTable {
        name: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expects_id: Option<String>,
        owner_key: OwnerKey,
    },
    /// Runs a step on the replica in a region.
    InRegion {
        name: String,
        region: String,
        #[serde(rename = "does")]
        step: Box<TableStep>,
    },
    /// Ends the work on the table for now, because AWS accepts the next change only later.
    Defer {
        name: String,
        why: String,
        /// The number of seconds, if AWS returns it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seconds: Option<u32>,
    },
    /// Changes a setting with its own calls.
    #[serde(untagged)]
    Setting {
        name: String,
        #[serde(flatten)]
        change: SeparateChange,
    },
}

impl KindStep for TableStep {
    fn operations(&self) -> &'static [Operation] {
        match self {
            // Tags in a creation require the tagging permission.
            Self::CreateTable { table, .. } => {
                let tags = table.tags.as_ref().is_some_and(|tags| !tags.is_empty());
                let alias = table.encryption.as_ref().is_some_and(Encryption::needs_lookup);
                match (tags, alias) {
                    (true, true) => &[CREATE_TABLE, TAG_RESOURCE, DESCRIBE_TABLE, DESCRIBE_KEY],
                    (true, false) => &[CREATE_TABLE, TAG_RESOURCE, DESCRIBE_TABLE],
                    (false, true) => &[CREATE_TABLE, DESCRIBE_TABLE, DESCRIBE_KEY],
                    (false, false) => &[CREATE_TABLE, DESCRIBE_TABLE],
                }
            }
            Self::WaitForTable { .. } => &[DESCRIBE_TABLE],
            Self::UpdateTable { change: TableChange::Encryption { encryption, .. }, .. }
                if encryption.needs_lookup() =>
            {
                &[UPDATE_TABLE, DESCRIBE_TABLE, DESCRIBE_KEY]
            }
            Self::UpdateTable { .. } => &[UPDATE_TABLE, DESCRIBE_TABLE],
            Self::TagTable { .. } => &[TAG_RESOURCE],
            Self::UntagTable { .. } => &[UNTAG_RESOURCE],
            Self::EnableTimeToLive { .. } | Self::DisableTimeToLive { .. } => {
                &[UPDATE_TIME_TO_LIVE, DESCRIBE_TIME_TO_LIVE]
            }
            Self::BackUpTable { .. } => &[CREATE_BACKUP, DESCRIBE_TABLE, SCAN, DESCRIBE_BACKUP],
            Self::DeleteTable { .. } => &[DELETE_TABLE, LIST_TABLE_TAGS, DESCRIBE_TABLE],
            Self::InRegion { step, .. } => step.operations(),
            Self::Defer { .. } => &[],
            Self::Setting { change, .. } => change.operations(),
        }
    }

    fn needs(&self) -> Option<Consent> {
        match self {
            Self::UpdateTable { change, .. } => change.needs(),
            Self::InRegion { step, .. } => step.needs(),
            Self::Setting { change, .. } => change.own().needs(),
            Self::DeleteTable { .. } => Some(Consent::Table),
            Self::BackUpTable { .. }
            | Self::CreateTable { .. }
            | Self::WaitForTable { .. }
            | Self::TagTable { .. }
            | Self::UntagTable { .. }
            | Self::EnableTimeToLive { .. }
            | Self::DisableTimeToLive { .. }
            | Self::Defer { .. } => None,
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::CreateTable { .. } => String::from("creating"),
            Self::WaitForTable { .. } => String::from("waiting until ACTIVE"),
            Self::UpdateTable { change, .. } => change.describe(),
            Self::TagTable { .. } => String::from("tagging"),
            Self::UntagTable { .. } => String::from("removing tags"),
            Self::EnableTimeToLive { .. } => String::from("enabling TTL"),
            Self::DisableTimeToLive { .. } => String::from("disabling TTL"),
            Self::BackUpTable { .. } => String::from("backing up, unless it has no items"),
            Self::DeleteTable { .. } => String::from("deleting"),
            Self::InRegion { region, step, .. } => format!("{} in {region}", step.describe()),
            Self::Defer { .. } => String::from("deferring the rest"),
            Self::Setting { change, .. } => change.own().describe(),
        }
    }

    /// Returns the time that AWS works on it, as measured by operators on tables of all sizes; AWS documents no times. The duration of a
    /// wait is counted for the step that starts the work.
    fn time(&self) -> StepTime {
        let (quick, slow) = match self {
            Self::CreateTable { table, .. } => match table.indexes.as_ref().is_none_or(BTreeMap::is_empty) {
                true => (2, 7),
                false => (14, 22),
            },
            Self::UpdateTable { change, .. } => change.seconds(),
            Self::InRegion { step, .. } => return step.time(),
            Self::Setting { change, .. } => change.own().seconds(),
            // The tags of a table are locked for about two seconds.
            Self::TagTable { .. } | Self::UntagTable { .. } => (1, 3),
            Self::EnableTimeToLive { .. } | Self::DisableTimeToLive { .. } => (1, 2),
            Self::BackUpTable { .. } => (1, 30),
            Self::DeleteTable { .. } => (3, 60),
            Self::WaitForTable { .. } | Self::Defer { .. } => (0, 0),
        };
        StepTime { quick: Duration::from_secs(quick), slow: Duration::from_secs(slow) }
    }

    /// Returns whether it is one of the steps that `create` adds after `CreateTable`.
    fn follows_creation(&self) -> bool {
        match self {
            Self::WaitForTable { .. }
            | Self::EnableTimeToLive { .. }
            | Self::UpdateTable { change: TableChange::AddReplicas { .. }, .. } => true,
            Self::InRegion { step, .. } => step.needs().is_none(),
            Self::Setting { change, .. } => change.own().phase() != Phase::GiveUp,
            _ => false,
        }
    }

    /// Returns whether it builds an index, which takes minutes.
    fn builds_index(&self) -> bool {
        matches!(self, Self::UpdateTable { change: TableChange::CreateIndex { .. }, .. })
    }

    fn protects(&self) -> bool {
        match self {
            Self::UpdateTable { change: TableChange::Setting(change), .. } => change.own().phase() == Phase::Protect,
            Self::Setting { change, .. } => change.own().phase() == Phase::Protect,
            Self::UpdateTable { change: TableChange::Encryption { protection, .. }, .. } => {
                *protection == Protection::Added
            }
            _ => false,
        }
    }

    fn defers(&self) -> bool {
        matches!(self, Self::Defer { .. })
    }
}

/// Returns the operations that observe this table.
pub(super) fn reads(desired: &Desired<Table>) -> Vec<Operation> {
    let Table { key: _, indexes: _, local_indexes: _, ttl, billing, encryption, tags, replicas, settings } =
        &desired.managed;
    let mut operations = vec![DESCRIBE_TABLE];
    let looks_up = encryption.as_ref().is_some_and(Encryption::needs_lookup);
    let are_different_keys = desired.managed.has_replicas() && desired.managed.wants_own_key();
    operations.extend((looks_up || are_different_keys).then_some(DESCRIBE_KEY));
    operations.extend(ttl.as_ref().map(|_| DESCRIBE_TIME_TO_LIVE));
    operations.extend(settings.reads());
    if !desired.presence.is_present() {
        operations.extend(Autoscaling::READS);
    } else if settings.autoscaling.is_none() && matches!(billing, Some(Billing::Provisioned(_))) {
        // Checks whether autoscaling adjusts a capacity that is lowered.
        operations.push(DESCRIBE_TARGETS);
    }
    operations.extend((tags.is_some() || desired.reads_owner()).then_some(LIST_TABLE_TAGS));
    for operation in replicas.iter().flat_map(Replicas::reads) {
        if !operations.contains(&operation) {
            operations.push(operation);
        }
    }
    operations
}

/// Returns the steps that create the table: `CreateTable`, then the other settings once the table is ACTIVE.
pub(super) fn create(desired: &Desired<Table>) -> Vec<TableStep> {
    let name = || desired.name.clone();
    let table = Box::new(desired.initial.clone());
    let mut steps = vec![TableStep::CreateTable { name: name(), table }, TableStep::WaitForTable { name: name() }];
    if let Some(Ttl::Enabled(attribute)) = &desired.initial.ttl {
        steps.push(TableStep::EnableTimeToLive { name: name(), attribute: attribute.clone() });
    }
    let tables = Sides { live: &Table::default(), desired: &desired.initial };
    let settings = desired.initial.settings.after_creation(&tables);
    steps.extend(settings.into_iter().map(|change| TableStep::Setting { name: name(), change }));
    if let Some(replicas) = &desired.initial.replicas {
        let of = replicas::plan::Of { name: &desired.name, arn: None, class: None };
        steps.extend(replicas::plan::additions(&of, &Replicas::default(), replicas));
    }
    steps
}

/// Returns whether a difference of a table that is being created only shows that the creation is unfinished.
pub(super) fn is_unfinished_creation(change: &FieldChange<Field>) -> bool {
    change.path.is_of_replica()
        || change.path == Field::Ttl
        || Settings::follows_creation(&change.path)
        || change.method == ChangeMethod::Time
}

const TTL_PAUSE: &str = "AWS accepts the next change of TTL an hour after the last";

/// Returns the steps that repair the differences.
///
/// Steps that protect come first, and steps that remove protection come last, so that an interrupted run leaves the table at least as safe
/// as before. Steps that AWS may defer come at the end, where they delay nothing.
pub(super) fn repair(desired: &Desired<Table>, live: &Live<Table>, changes: &[FieldChange<Field>]) -> Vec<TableStep> {
    let managed = &desired.managed;
    let mut repair = Repair { name: &desired.name, steps: Vec::new() };
    let busy = live.facts.changing.is_some()
        || TableStatus::of(&live.facts).is_some_and(|status| status != TableStatus::Active);
    let building = changes.iter().any(|change| change.method == ChangeMethod::Time && change.path.is_of_index());
    if busy || building {
        repair.wait();
    }
    let (updates, separate) =
        managed.settings.repair(&live.state.settings, &Sides { live: &live.state, desired: managed });
    let mut indexes = BTreeMap::new();
    for phase in Phase::ALL {
        match phase {
            Phase::Tags => {
                repair.tags(desired, live);
                // The stream of a table with replicas cannot be changed. Source: DDB-TABLE-222.
                if let (Some(before), Some(wanted)) = (&live.state.replicas, &managed.replicas) {
                    for change in replicas::plan::removals(before, wanted) {
                        repair.steps.extend(replicas::plan::unscaled(&desired.name, &live.state, &change));
                        repair.update(change);
                    }
                }
            }
            Phase::Settings => {
                if let (Some(encryption), Some(before)) = (&managed.encryption, &live.state.encryption)
                    && changes.iter().any(|change| change.is_in_place(&Field::Encryption))
                {
                    let protection = before.protection_of(encryption);
                    repair.update(TableChange::Encryption { encryption: encryption.clone(), protection });
                }
            }
            Phase::Indexes => indexes = repair.indexes(managed, &live.state),
            Phase::Capacity => {
                repair.billing(managed, live.state.billing, &indexes);
                repair.index_limits(managed, &live.state, &indexes);
            }
            Phase::Late => {
                repair.index_warm(managed, &indexes);
                if let (Some(before), Some(wanted)) = (&live.state.replicas, &managed.replicas) {
                    let class = managed.settings.class.filter(|class| live.state.settings.class != Some(*class));
                    let of = replicas::plan::Of { name: &desired.name, arn: live.facts.arn.as_deref(), class };
                    repair.steps.extend(replicas::plan::additions(&of, before, wanted));
                }
            }
            Phase::Protect | Phase::Follow | Phase::GiveUp => {}
        }
        for change in updates.iter().filter(|change| change.own().phase() == *phase) {
            repair.update(TableChange::Setting(change.clone()));
        }
        for change in separate.iter().filter(|change| change.own().phase() == *phase) {
            repair.steps.push(TableStep::Setting { name: desired.name.clone(), change: change.clone() });
        }
    }
    // It may end the work on the table for an hour, which delays no other step here.
    if changes.iter().any(|change| change.path == Field::Ttl) {
        repair.ttl(managed.ttl.as_ref(), live.state.ttl.as_ref());
    }
    repair.steps
}

struct Repair<'a> {
    name: &'a str,
    steps: Vec<TableStep>,
}

impl Repair<'_> {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn wait(&mut self) {
        self.steps.push(TableStep::WaitForTable { name: self.name() });
    }

    /// A table accepts one update at a time, so each is followed by a wait.
    fn update(&mut self, change: TableChange) {
        self.steps.push(TableStep::UpdateTable { name: self.name(), change });
        self.wait();
    }

    /// Sets all tags in one call, since each call locks the table's tags for seconds.
    fn tags(&mut self, desired: &Desired<Table>, live: &Live<Table>) {
        let arn = || live.facts.arn.clone().unwrap_or_default();
        let mut set = desired.owner_tags(&live.facts);
        let mut removed = Vec::new();
        if let (Some(wanted), Some(before)) = (&desired.managed.tags, &live.state.tags) {
            if wanted.iter().any(|(key, value)| before.get(key) != Some(value)) {
                set.extend(wanted.clone());
            }
            removed.extend(before.keys().filter(|key| !wanted.contains_key(*key) && !key.starts_with("aws:")).cloned());
        }
        // A table has at most 50 tags, so tags are removed before others are added. The ownership tag is not among them.
        if !removed.is_empty() {
            self.steps.push(TableStep::UntagTable { name: self.name(), arn: arn(), keys: removed });
        }
        if !set.is_empty() {
            self.steps.push(TableStep::TagTable { name: self.name(), arn: arn(), tags: set });
        }
    }

    /// Repairs the indexes, and returns the resulting indexes.
    fn indexes(&mut self, managed: &Table, live: &Table) -> BTreeMap<String, Index> {
        let (changes, current) = rebuild::repair(managed, live);
        for change in changes {
            self.update(change);
        }
        current
    }

    fn billing(&mut self, managed: &Table, live: Option<Billing>, indexes: &BTreeMap<String, Index>) {
        let (Some(wanted), Some(live)) = (managed.billing, live) else { return };
        let switches = live.capacity().is_some() != wanted.capacity().is_some();
        // Capacity that something else sets is only sent with a switch, which requires a value.
        let wanted_capacity = wanted.capacity().filter(|_| switches || wanted != Billing::External);
        let table = wanted_capacity.filter(|_| wanted != live);
        // A switch to provisioned sets the capacity of every index. Otherwise AWS only accepts capacities that differ.
        let differing = indexes.iter().filter_map(|(name, index)| {
            if switches {
                return Some((name.clone(), managed.capacity_of(name).or(wanted_capacity)?));
            }
            let capacity = managed.compared_capacity(name, wanted_capacity)?;
            index.capacity.is_some_and(|live| live != capacity).then(|| (name.clone(), capacity))
        });
        let indexes: BTreeMap<String, Capacity> = differing.collect();
        if switches || table.is_some() || !indexes.is_empty() {
            self.update(TableChange::Billing { billing: wanted, switches, table, indexes });
        }
    }

    /// Changes the limits of the indexes of a table that will be on-demand.
    fn index_limits(&mut self, managed: &Table, live: &Table, indexes: &BTreeMap<String, Index>) {
        if !matches!(managed.billing.or(live.billing), Some(Billing::PayPerRequest) | None) {
            return;
        }
        for (name, index) in managed.indexes.iter().flatten() {
            let current = indexes.get(name).and_then(|index| index.limits).unwrap_or(Limits::UNLIMITED);
            if let Some(limits) = index.limits.and_then(|limits| limits.raised_above(&current)) {
                self.update(TableChange::IndexLimits { index_name: name.clone(), limits });
            }
        }
    }

    fn index_warm(&mut self, managed: &Table, indexes: &BTreeMap<String, Index>) {
        for (name, index) in managed.indexes.iter().flatten() {
            let current = indexes.get(name).and_then(|index| index.warm).unwrap_or_else(Warm::when_new);
            if let Some(warm) = index.warm.and_then(|warm| warm.raised_above(&current)) {
                self.update(TableChange::IndexWarm { index_name: name.clone(), warm });
            }
        }
    }

    fn ttl(&mut self, wanted: Option<&Ttl>, live: Option<&Ttl>) {
        let name = self.name();
        let pause = || TableStep::Defer { name: name.clone(), why: TTL_PAUSE.to_owned(), seconds: Some(3600) };
        let enable =
            |attribute: &String| TableStep::EnableTimeToLive { name: name.clone(), attribute: attribute.clone() };
        let disable =
            |attribute: &String| TableStep::DisableTimeToLive { name: name.clone(), attribute: attribute.clone() };
        let steps = match (live, wanted) {
            (Some(Ttl::Disabled), Some(Ttl::Enabled(after))) => vec![enable(after)],
            (Some(Ttl::Disabling), Some(Ttl::Enabled(after))) => vec![pause(), enable(after)],
            (Some(Ttl::Enabled(before)), Some(Ttl::Enabled(after))) => vec![disable(before), pause(), enable(after)],
            (Some(Ttl::Enabled(before)), Some(Ttl::Disabled)) => vec![disable(before)],
            (Some(Ttl::Disabling), Some(Ttl::Disabled)) => vec![TableStep::Defer {
                name: name.clone(),
                why: String::from("AWS is turning TTL off, which takes up to an hour"),
                seconds: Some(3600),
            }],
            _ => Vec::new(),
        };
        self.steps.extend(steps);
    }
}

#[cfg(test)]
mod tests {
    use super::super::opposite::opposite;
    use super::*;
    use crate::kind::table::{
        Attribute, AttributeType, Class, DeletionProtection, IndexKey, IndexStatus, Key, Projection, Recovery,
        SetClass, SetDeletionProtection, SetRecovery, UpdateTableChange, changes,
    };
    use crate::kind::{Address, KindId, Presence};
    use crate::resource::Facts;

    fn attribute(name: &str, kind: AttributeType) -> Attribute {
        Attribute { name: name.to_owned(), kind }
    }

    fn index(partition: &str, sort: AttributeType) -> Index {
        Index {
            key: IndexKey::new(attribute(partition, AttributeType::S), Some(attribute("created_at", sort))),
            projection: Projection::All,
            capacity: None,
            status: IndexStatus::Active,
            limits: None,
            warm: None,
        }
    }

    fn wanted() -> Desired<Table> {
        let table = Table {
            key: Some(Key { partition: attribute("id", AttributeType::S), sort: None }),
            indexes: Some(BTreeMap::from([
                (String::from("a-index"), index("a", AttributeType::N)),
                (String::from("b-index"), index("b", AttributeType::N)),
            ])),
            local_indexes: None,
            ttl: Some(Ttl::Enabled(String::from("expires_at"))),
            billing: Some(Billing::PayPerRequest),
            encryption: Some(Encryption::AwsOwned),
            tags: Some(Tags::from([(String::from("team"), String::from("x"))])),
            settings: Settings {
                point_in_time_recovery: Some(Recovery::On),
                deletion_protection: Some(DeletionProtection(false)),
                ..Settings::default()
            },
            replicas: None,
        };
        Desired {
            address: Address::new(KindId::Table, "t"),
            presence: Presence::Present,
            ownership: Some(OwnerKey::new("managed-by")),
            adopt: false,
            name: String::from("t-1"),
            label: String::from("t"),
            origin: None,
            depends_on: std::collections::BTreeSet::new(),
            managed: table.clone(),
            initial: table,
        }
    }

    fn steps(desired: &Desired<Table>, change: impl FnOnce(&mut Live<Table>)) -> Vec<String> {
        let facts = Facts { status: Some(String::from("ACTIVE")), arn: Some(String::from("arn")), ..Facts::default() };
        let mut live = Live { state: desired.managed.clone(), facts, gaps: Vec::new() };
        change(&mut live);
        let steps = repair(desired, &live, &changes(desired, &live));
        steps.iter().filter(|step| !matches!(step, TableStep::WaitForTable { .. })).map(TableStep::describe).collect()
    }

    #[test]
    fn a_table_in_sync_needs_no_step() {
        assert_eq!(steps(&wanted(), |_| {}), [""; 0]);
    }

    #[test]
    fn protective_steps_come_first_and_unprotective_steps_last() {
        let done = steps(&wanted(), |live| {
            live.state.settings.point_in_time_recovery = Some(Recovery::Off);
            live.state.settings.deletion_protection = Some(DeletionProtection(true));
            live.state.indexes.as_mut().unwrap().remove("a-index");
            live.state.tags = Some(Tags::from([(String::from("stray"), String::new())]));
            live.state.ttl = Some(Ttl::Disabled);
            live.state.encryption = Some(Encryption::Kms(String::from("k")));
        });
        let expected = [
            "enabling point-in-time recovery",
            "removing tags",
            "tagging",
            "changing encryption",
            "building index a-index",
            "disabling deletion protection",
            "enabling TTL",
        ];
        assert_eq!(done, expected);
    }

    /// An attribute's type can only change while no index uses the old type.
    #[test]
    fn indexes_with_another_type_of_an_attribute_are_deleted_before_any_is_built() {
        let done = steps(&wanted(), |live| {
            let others = ["a", "b"].map(|name| (format!("{name}-index"), index(name, AttributeType::S)));
            live.state.indexes = Some(BTreeMap::from(others));
        });
        let expected =
            ["deleting index a-index", "deleting index b-index", "building index a-index", "building index b-index"];
        assert_eq!(done, expected);
    }

    #[test]
    fn an_index_being_deleted_is_awaited_and_rebuilt() {
        let desired = wanted();
        let mut live = Live { state: desired.managed.clone(), facts: Facts::default(), gaps: Vec::new() };
        live.state.indexes.as_mut().unwrap().get_mut("a-index").unwrap().status = IndexStatus::Deleting;
        let steps = repair(&desired, &live, &changes(&desired, &live));
        let steps: Vec<String> = steps.iter().map(TableStep::describe).collect();
        assert_eq!(steps, ["waiting until ACTIVE", "building index a-index", "waiting until ACTIVE"]);
    }

    #[test]
    fn an_unlisted_index_being_built_is_awaited_and_deleted() {
        let desired = wanted();
        let mut live = Live { state: desired.managed.clone(), facts: Facts::default(), gaps: Vec::new() };
        let stray = Index { status: IndexStatus::Creating { backfilling: true }, ..index("x", AttributeType::S) };
        live.state.indexes.as_mut().unwrap().insert(String::from("x-index"), stray.clone());
        let steps = repair(&desired, &live, &changes(&desired, &live));
        let deletion = |step: &TableStep| match step {
            TableStep::UpdateTable { change: TableChange::DeleteIndex { expects, .. }, .. } => Some(expects.clone()),
            _ => None,
        };
        assert_eq!(steps.iter().find_map(deletion), Some(Index { status: IndexStatus::Active, ..stray }));
    }

    #[test]
    fn a_new_index_names_the_key_attributes_of_all() {
        let desired = wanted();
        let mut live = Live { state: desired.managed.clone(), facts: Facts::default(), gaps: Vec::new() };
        live.state.indexes.as_mut().unwrap().remove("b-index");
        let steps = repair(&desired, &live, &changes(&desired, &live));
        let [TableStep::UpdateTable { change: TableChange::CreateIndex { attributes, .. }, .. }, _] = &steps[..] else {
            panic!("{steps:?}")
        };
        let names: Vec<&str> = attributes.iter().map(|attribute| attribute.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "created_at", "id"]);
    }

    #[test]
    fn a_renamed_ttl_is_turned_off_and_the_rest_deferred() {
        let done = steps(&wanted(), |live| live.state.ttl = Some(Ttl::Enabled(String::from("ttl"))));
        assert_eq!(done, ["disabling TTL", "deferring the rest", "enabling TTL"]);
        let done = steps(&wanted(), |live| live.state.ttl = Some(Ttl::Disabling));
        assert_eq!(done, ["deferring the rest", "enabling TTL"]);
        let mut off = wanted();
        off.managed.ttl = Some(Ttl::Disabled);
        let done = steps(&off, |live| live.state.ttl = Some(Ttl::Enabled(String::from("ttl"))));
        assert_eq!(done, ["disabling TTL"]);
        let done = steps(&off, |live| live.state.ttl = Some(Ttl::Disabling));
        assert_eq!(done, ["deferring the rest"]);
    }

    #[test]
    fn a_deferred_ttl_change_delays_no_other_change() {
        let mut desired = wanted();
        desired.managed.settings.warm = Some(Warm { read: Some(20_000), write: None });
        let mut live = Live { state: desired.managed.clone(), facts: Facts::default(), gaps: Vec::new() };
        live.state.settings.warm = Some(Warm::when_new());
        live.state.ttl = Some(Ttl::Enabled(String::from("ttl")));
        let steps = repair(&desired, &live, &changes(&desired, &live));
        let steps: Vec<String> = steps.iter().map(TableStep::describe).collect();
        let expected =
            ["raising warm throughput", "waiting until ACTIVE", "disabling TTL", "deferring the rest", "enabling TTL"];
        assert_eq!(steps, expected);
    }

    #[test]
    fn a_switch_to_provisioned_sets_every_index_and_later_updates_send_only_differences() {
        let units = Capacity { read: 5, write: 2 };
        let mut desired = wanted();
        desired.managed.billing = Some(Billing::Provisioned(units));
        let billing = |desired: &Desired<Table>, live: &Live<Table>| {
            let steps = repair(desired, live, &changes(desired, live));
            match &steps[..] {
                [TableStep::UpdateTable { change: TableChange::Billing { switches, table, indexes, .. }, .. }, _] => {
                    (*switches, *table, indexes.keys().cloned().collect::<Vec<_>>().join(" "))
                }
                other => panic!("{other:?}"),
            }
        };
        let mut live = Live { state: wanted().managed, facts: Facts::default(), gaps: Vec::new() };
        assert_eq!(billing(&desired, &live), (true, Some(units), String::from("a-index b-index")));
        live.state.billing = Some(Billing::Provisioned(units));
        for (name, index) in live.state.indexes.as_mut().unwrap() {
            index.capacity = Some(if name == "a-index" { units } else { Capacity { read: 1, write: 1 } });
        }
        assert_eq!(billing(&desired, &live), (false, None, String::from("b-index")));
        live.state.billing = Some(Billing::Provisioned(Capacity { read: 1, write: 2 }));
        assert_eq!(billing(&desired, &live), (false, Some(units), String::from("b-index")));
        live.state.indexes.as_mut().unwrap().retain(|name, _| name == "a-index");
        desired.managed.indexes.clone_from(&live.state.indexes);
        let steps = repair(&desired, &live, &changes(&desired, &live));
        assert!(steps.len() == 2 && steps[0].describe() == "changing capacity", "of the table alone: {steps:?}");
    }

    #[test]
    fn an_index_of_a_provisioned_table_is_built_with_the_capacity_the_table_has() {
        let mut desired = wanted();
        desired.managed.billing = None;
        let mut live = Live { state: desired.managed.clone(), facts: Facts::default(), gaps: Vec::new() };
        let units = Capacity { read: 5, write: 2 };
        live.state.billing = Some(Billing::Provisioned(units));
        live.state.indexes.as_mut().unwrap().remove("b-index");
        let steps = repair(&desired, &live, &changes(&desired, &live));
        assert!(matches!(
            &steps[0],
            TableStep::UpdateTable { change: TableChange::CreateIndex { index, .. }, .. } if index.capacity == Some(units)
        ));
    }

    #[test]
    fn only_managed_settings_are_observed() {
        let names = |ttl: bool, recovery: bool, tags: bool, adopt| -> Vec<&str> {
            let managed = Table {
                ttl: ttl.then_some(Ttl::Disabled),
                tags: tags.then(Tags::new),
                settings: Settings { point_in_time_recovery: recovery.then_some(Recovery::On), ..Settings::default() },
                ..Table::default()
            };
            reads(&Desired { adopt, managed, ..wanted() }).iter().map(|operation| operation.name).collect()
        };
        assert_eq!(names(false, false, false, false), ["DescribeTable"]);
        assert_eq!(names(true, false, false, false), ["DescribeTable", "DescribeTimeToLive"]);
        assert_eq!(names(false, true, false, false), ["DescribeTable", "DescribeContinuousBackups"]);
        for (tags, adopt) in [(true, false), (false, true), (true, true)] {
            assert_eq!(names(false, false, tags, adopt), ["DescribeTable", "ListTagsOfResource"]);
        }
    }

    #[test]
    fn tags_in_a_creation_need_the_tagging_permission() {
        let operations = |tags: Option<Tags>| -> Vec<&str> {
            let initial = Table { tags, ..Table::default() };
            create(&Desired { initial, ..wanted() })[0].operations().iter().map(|operation| operation.name).collect()
        };
        for none in [None, Some(Tags::new())] {
            assert_eq!(operations(none), ["CreateTable", "DescribeTable"]);
        }
        assert_eq!(operations(wanted().managed.tags), ["CreateTable", "TagResource", "DescribeTable"]);
    }

    #[test]
    fn destructive_steps_need_consent() {
        let update = |change| TableStep::UpdateTable { name: String::from("t"), change };
        let recovery = |enabled| TableStep::Setting {
            name: String::from("t"),
            change: SeparateChange::Recovery(SetRecovery { enabled, days: None, loses: !enabled }),
        };
        let protection = |enabled| {
            update(TableChange::Setting(UpdateTableChange::DeletionProtection(SetDeletionProtection { enabled })))
        };
        let encryption = |encryption| update(TableChange::Encryption { encryption, protection: Protection::Unchanged });
        let deletion =
            TableChange::DeleteIndex { index_name: String::from("i"), expects: index("a", AttributeType::N) };
        assert_eq!(update(deletion).needs(), Some(Consent::Index));
        assert_eq!([recovery(false), recovery(true)].map(|step| step.needs()), [Some(Consent::Protection), None]);
        assert_eq!([protection(false), protection(true)].map(|step| step.needs()), [Some(Consent::Protection), None]);
        assert_eq!(encryption(Encryption::AwsOwned).needs(), Some(Consent::Protection));
        assert_eq!(encryption(Encryption::AwsManaged).needs(), None);
        let class = UpdateTableChange::Class(SetClass { class: Class::Standard });
        assert_eq!(update(TableChange::Setting(class)).needs(), None);
        let switch =
            |billing| update(TableChange::Billing { billing, switches: true, table: None, indexes: BTreeMap::new() });
        assert_eq!(switch(Billing::External).needs(), Some(Consent::Capacity));
        assert_eq!(switch(Billing::Provisioned(Capacity { read: 1, write: 1 })).needs(), None);
    }

    #[test]
    fn an_encryption_change_adds_or_removes_protection_depending_on_the_earlier_key() {
        let change = |before: &Encryption, after: &Encryption| {
            let managed = Table { encryption: Some(after.clone()), ..Table::default() };
            let wanted = Desired { managed, ..wanted() };
            let state = Table { encryption: Some(before.clone()), ..Table::default() };
            let live = Live { state, facts: Facts::default(), gaps: Vec::new() };
            let changes = changes(&wanted, &live);
            let steps = repair(&wanted, &live, &changes);
            assert_eq!(changes[0].needs, steps[0].needs());
            (steps[0].protects(), steps[0].needs().is_some())
        };
        let (own, other) = (Encryption::Kms(String::from("arn:k")), Encryption::Alias(String::from("alias/a")));
        let (protects, removes_protection, neither) = ((true, false), (false, true), (false, false));
        assert_eq!(change(&Encryption::AwsOwned, &own), protects);
        assert_eq!(change(&Encryption::AwsManaged, &other), protects);
        assert_eq!(change(&Encryption::AwsOwned, &Encryption::AwsManaged), neither);
        assert_eq!(change(&own, &other), neither);
        assert_eq!(change(&own, &Encryption::AwsOwned), removes_protection);
        assert_eq!(change(&Encryption::AwsManaged, &Encryption::AwsOwned), removes_protection);
    }

    #[test]
    fn only_index_builds_take_minutes() {
        let update = |change| TableStep::UpdateTable { name: String::from("t"), change };
        let build = update(TableChange::CreateIndex {
            index_name: String::from("i"),
            index: index("a", AttributeType::N),
            attributes: Vec::new(),
        });
        let class = update(TableChange::Setting(UpdateTableChange::Class(SetClass { class: Class::Standard })));
        let minutes = |quick, slow| StepTime { quick: Duration::from_mins(quick), slow: Duration::from_mins(slow) };
        assert_eq!((build.builds_index(), build.time()), (true, minutes(8, 17)));
        assert!(!class.builds_index() && class.time().slow <= Duration::from_mins(1));
    }

    #[test]
    fn each_step_names_the_repaired_table() {
        let desired = Desired { adopt: true, ..wanted() };
        let live = opposite(&desired);
        let steps = repair(&desired, &live, &changes(&desired, &live));
        let of = |step: &TableStep| match step {
            TableStep::CreateTable { name, .. }
            | TableStep::WaitForTable { name }
            | TableStep::InRegion { name, .. }
            | TableStep::UpdateTable { name, .. }
            | TableStep::Setting { name, .. }
            | TableStep::TagTable { name, .. }
            | TableStep::UntagTable { name, .. }
            | TableStep::EnableTimeToLive { name, .. }
            | TableStep::DisableTimeToLive { name, .. }
            | TableStep::BackUpTable { name, .. }
            | TableStep::DeleteTable { name, .. }
            | TableStep::Defer { name, .. } => name.clone(),
        };
        assert!(steps.len() > 5 && steps.iter().all(|step| of(step) == "t-1"), "{steps:?}");
    }

    #[test]
    fn the_opposite_of_a_table_needs_every_kind_of_repair() {
        let desired = Desired { adopt: true, ..wanted() };
        let live = opposite(&desired);
        let operations: std::collections::BTreeSet<&str> = repair(&desired, &live, &changes(&desired, &live))
            .iter()
            .flat_map(|step| step.operations().iter().map(|operation| operation.name))
            .collect();
        let expected = [
            "DescribeTable",
            "DescribeTimeToLive",
            "TagResource",
            "UntagResource",
            "UpdateContinuousBackups",
            "UpdateTable",
            "UpdateTimeToLive",
        ];
        assert_eq!(operations.into_iter().collect::<Vec<_>>(), expected);
        let settings = Settings { class: Some(Class::Standard), ..wanted().managed.settings };
        let everything = Desired { managed: Table { settings, ..wanted().managed }, ..desired };
        let live = opposite(&everything);
        let paths: Vec<String> =
            changes(&everything, &live).into_iter().map(|change| change.path.to_string()).collect();
        let expected = [
            "ttl",
            "index a-index",
            "index b-index",
            "index stray",
            "billing_mode",
            "encryption",
            "point_in_time_recovery",
            "deletion_protection",
            "table_class",
            "tags.stray",
            "tags.team",
            "tags.managed-by",
        ];
        assert_eq!(paths, expected);
    }
}
