//! Converts a live table to the section that describes it.

use futures_util::future;
use indexmap::IndexMap;

use super::api::{self, TableApi};
use super::scales::Units;
use super::status::TableStatus;
use super::{
    Billing, BillingMode, Builtin, Capacity, CapacityOwner, Encryption, EncryptionSetting, Index, IndexSection,
    IndexSettings, Limits, LocalIndex, LocalIndexSection, Projection, ReplicasSection, Settings, Table, TableSection,
    Ttl, Warm, check_kms_key,
};
use crate::kind::Desired;
use crate::kind::import::{self, DiscoverError, Discovered, Extent, Found, Importer, Missing, Wanted, Warning};

impl TableSection {
    /// Returns the section of the managed settings, including those with default values.
    pub(super) fn of_managed(desired: &Desired<Table>) -> Self {
        let Table { key, indexes, local_indexes, ttl, billing, encryption, tags, replicas, settings } =
            &desired.managed;
        let capacity = match billing {
            Some(Billing::Provisioned(capacity)) => Some(*capacity),
            Some(Billing::PayPerRequest | Billing::External) | None => None,
        };
        let index = |(name, index): (&String, &Index)| {
            let settings = IndexSettings::of(settings, name);
            let section = IndexSection {
                projection: Some(index.projection.clone()),
                read_capacity: index.capacity.map(|capacity| capacity.read),
                write_capacity: index.capacity.map(|capacity| capacity.write),
                limits: index.limits,
                settings,
                warm: index.warm,
                ..index_section(index)
            };
            (name.clone(), section)
        };
        let local_index = |(name, index): (&String, &LocalIndex)| {
            let section =
                LocalIndexSection { projection: Some(index.projection.clone()), ..local_index_section(index) };
            (name.clone(), section)
        };
        Self {
            name: Some(desired.name.clone()),
            partition_key: key.as_ref().map(|key| key.partition.clone()),
            sort_key: key.as_ref().and_then(|key| key.sort.clone()),
            ttl_attribute: ttl.clone(),
            billing_mode: billing.map(|billing| match billing {
                Billing::PayPerRequest => BillingMode::PayPerRequest,
                Billing::Provisioned(_) | Billing::External => BillingMode::Provisioned,
            }),
            capacity: billing
                .filter(|billing| *billing == Billing::External && !is_scaled(settings))
                .map(|_| CapacityOwner::External),
            read_capacity: capacity.map(|capacity| capacity.read),
            write_capacity: capacity.map(|capacity| capacity.write),
            encryption: encryption.clone().map(EncryptionSetting::Of),
            tags: tags.clone(),
            replicas: replicas.as_ref().map(ReplicasSection::of).unwrap_or_default(),
            settings: IndexSettings::split(settings.clone()),
            indexes: indexes.as_ref().map(|indexes| indexes.iter().map(index).collect()),
            local_indexes: local_indexes.as_ref().map(|indexes| indexes.iter().map(local_index).collect()),
        }
    }

    fn in_full(name: &str, live: &Table) -> Self {
        let indexes = live.indexes.as_ref().map(|indexes| {
            indexes.iter().map(|(name, index)| (name.clone(), index_section(index))).collect::<IndexMap<_, _>>()
        });
        let local = live.local_indexes.as_ref().map(|indexes| {
            indexes.iter().map(|(name, index)| (name.clone(), local_index_section(index))).collect::<IndexMap<_, _>>()
        });
        let section = Self {
            name: Some(name.to_owned()),
            partition_key: live.key.as_ref().map(|key| key.partition.clone()),
            sort_key: live.key.as_ref().and_then(|key| key.sort.clone()),
            ttl_attribute: live.ttl.clone().filter(is_settled),
            indexes: indexes.filter(|indexes| !indexes.is_empty()),
            local_indexes: local.filter(|indexes| !indexes.is_empty()),
            ..Self::settings(live)
        };
        section.with_billing_mode(live.billing)
    }

    fn of_builtin(builtin: Builtin, live: &Table) -> Self {
        let layout = builtin.layout();
        let known = layout.indexes.unwrap_or_default();
        let more = live.indexes.iter().flatten().filter(|(name, _)| !known.contains_key(*name));
        let more: IndexMap<String, IndexSection> =
            more.map(|(name, index)| (name.clone(), index_section(index))).collect();
        let section = Self {
            ttl_attribute: live.ttl.clone().filter(|ttl| is_settled(ttl) && Some(ttl) != layout.ttl.as_ref()),
            indexes: Some(more).filter(|more| !more.is_empty()),
            ..Self::settings(live)
        };
        section.with_billing_mode(live.billing.filter(|billing| Some(*billing) != layout.billing))
    }

    fn settings(live: &Table) -> Self {
        let encryption = live.encryption.clone().filter(|encryption| match encryption {
            Encryption::AwsOwned => false,
            Encryption::AwsManaged => true,
            Encryption::Kms(arn) | Encryption::Alias(arn) => check_kms_key(arn).is_ok(),
        });
        Self {
            encryption: encryption.map(EncryptionSetting::Of),
            tags: import::tags(live.tags.as_ref()),
            replicas: live.replicas.as_ref().map(ReplicasSection::of_live).unwrap_or_default(),
            ..Self::default()
        }
    }

    fn with_billing_mode(mut self, billing: Option<Billing>) -> Self {
        match billing {
            Some(Billing::PayPerRequest) => self.billing_mode = Some(BillingMode::PayPerRequest),
            // Something other than autoscaling may set the capacity.
            Some(Billing::Provisioned(_) | Billing::External) => {
                self.billing_mode = Some(BillingMode::Provisioned);
                self.capacity = Some(CapacityOwner::External);
            }
            None => {}
        }
        self
    }
}

/// The maximum number of tables that are named without being imported.
const NAMED: usize = 20;

/// Finds the tables with a built-in name, or all tables of the region, and names those that are not imported.
pub(super) async fn discover(api: &TableApi, wanted: &Wanted<'_>) -> Result<Discovered<Table>, DiscoverError> {
    if wanted.extent == Extent::All {
        let names = api::names(api).await?;
        return Ok(import::read(api, wanted, &names, Missing::IsLeftOut).await?.into());
    }
    let builtin: Vec<String> = Builtin::ALL.iter().map(|builtin| builtin.default_name().to_owned()).collect();
    let read = import::read(api, wanted, &builtin, Missing::IsLeftOut);
    let (found, names) = future::join(read, api::names(api)).await;
    let mut discovered: Discovered<Table> = found?.into();
    let others = names.map(|names| names.into_iter().filter(|name| !builtin.contains(name)).collect::<Vec<_>>());
    let why = match others {
        Ok(others) if others.is_empty() => return Ok(discovered),
        Ok(others) => {
            let named = others.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
            let more = others.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("not imported: {named}{more}; import one with --table NAME, or all with --all-tables")
        }
        Err(error) => format!("the other tables of the region are unknown: {error}"),
    };
    discovered.warnings.push(Warning { name: String::from("tables"), why });
    Ok(discovered)
}

/// Returns the section key of a live table: that of a built-in table if the name and the layout match.
pub(super) fn key(name: &str, live: &Table) -> String {
    let builtin = Builtin::ALL.iter().copied().find(|builtin| builtin.default_name() == name);
    match builtin.filter(|builtin| fits(*builtin, live)) {
        Some(builtin) => builtin.key().to_owned(),
        None if Builtin::from_key(name).is_some() => format!("{name}-table"),
        None => name.to_owned(),
    }
}

/// Returns the section that describes a live table.
///
/// The section of a built-in table has the differences from its layout. Any other section has all supported settings except the capacity,
/// which something else may set. Settings at AWS's default (encryption, protection, backups, class) and missing tags are not managed. A key
/// that is imported too becomes a reference.
pub(super) fn section(importer: &mut Importer<'_>, key: &str, found: &Found<Table>) -> TableSection {
    let live = &found.live.state;
    if !found.live.facts.unmanaged_settings.is_empty() {
        importer
            .warn(format!("also has: {}; a manifest cannot set this", found.live.facts.unmanaged_settings.join("; ")));
    }
    for why in unmanaged_capacity(live) {
        importer.warn(why);
    }
    let creating = TableStatus::of(&found.live.facts) == Some(TableStatus::Creating);
    if creating {
        importer.warn("TTL and point-in-time recovery are not managed: the table is being created");
    }
    let mut section = if let Some(builtin) = Builtin::from_key(key) {
        TableSection::of_builtin(builtin, live)
    } else {
        TableSection::in_full(&found.name, live)
    };
    if creating {
        section.ttl_attribute = None;
    }
    let settings = live.settings.clone().imported(importer, key);
    for (name, index) in live.indexes.iter().flatten() {
        let own = IndexSettings::of(&settings, name);
        if own != IndexSettings::default() {
            // An index of a built-in layout is written only for its settings.
            let indexes = section.indexes.get_or_insert_with(IndexMap::new);
            indexes.entry(name.clone()).or_insert_with(|| index_section(index)).settings = own;
        }
    }
    section.settings = IndexSettings::split(settings);
    section.capacity = section.capacity.filter(|_| !is_scaled(&section.settings));
    if let Some(EncryptionSetting::Of(Encryption::Kms(arn))) = &section.encryption
        && let Some(address) = importer.address("keys", arn)
    {
        section.encryption = Some(EncryptionSetting::Key(address.key.clone()));
    }
    section
}

/// Returns the capacity of a table and its indexes that a section does not manage, as text.
fn unmanaged_capacity(live: &Table) -> Vec<String> {
    let Some(Billing::Provisioned(units)) = live.billing else { return Vec::new() };
    let scaling = live.settings.autoscaling.clone().unwrap_or_default();
    let moves = |index: Option<&str>, units| {
        let scales = index.map_or(Some(scaling.table), |name| scaling.indexes.get(name).copied());
        scales.is_some_and(|scales| scales.bounds(units).is_some())
    };
    let indexes =
        live.indexes.iter().flatten().filter_map(|(name, index)| Some((Some(name.as_str()), index.capacity?)));
    let all = std::iter::once((None, units)).chain(indexes);
    let text = all.filter_map(|(index, own)| {
        let Capacity { read, write } = own;
        let of = index.map(|name| format!(" of index {name}")).unwrap_or_default();
        let (one, units) = match (moves(index, Units::Read), moves(index, Units::Write), index) {
            (true, true, _) => return None,
            (true, false, _) => ("write", write),
            (false, true, _) => ("read", read),
            (false, false, None) => {
                return Some(format!(
                    "its capacity is not managed, because something else may set it: to manage it, replace capacity = \
                     \"external\" by read_capacity = {read} and write_capacity = {write}"
                ));
            }
            // Managing the table's capacity also manages an equal capacity of an index.
            (false, false, Some(_)) if own == units && !is_scaled(&live.settings) => return None,
            (false, false, Some(name)) => {
                return Some(format!(
                    "the capacity of index {name} is not managed: to manage it, add read_capacity = {read} and \
                     write_capacity = {write} to its section"
                ));
            }
        };
        Some(format!(
            "its {one} capacity{of} of {units} is not managed: autoscaling sets the other, and a manifest \
             has both or none"
        ))
    });
    text.collect()
}

/// Returns whether autoscaling adjusts the capacity of a table.
fn is_scaled(settings: &Settings) -> bool {
    settings.autoscaling.as_ref().is_some_and(|scaling| scaling.table.is_on())
}

/// Returns whether a live table has at least the built-in layout: a section can add to the layout but not remove parts of it.
fn fits(builtin: Builtin, live: &Table) -> bool {
    let layout = builtin.layout();
    let found = |name: &String| live.indexes.as_ref().and_then(|indexes| indexes.get(name));
    let same = |(name, wanted): (&String, &Index)| {
        found(name).is_some_and(|found| found.key == wanted.key && found.projection == wanted.projection)
    };
    layout.key == live.key && layout.indexes.iter().flatten().all(same)
}

/// A TTL that is being turned off cannot be expressed.
fn is_settled(ttl: &Ttl) -> bool {
    *ttl != Ttl::Disabling
}

/// The capacity is omitted, since autoscaling may set it.
fn index_section(index: &Index) -> IndexSection {
    IndexSection {
        read_capacity: None,
        write_capacity: None,
        limits: index.limits.filter(Limits::is_limited),
        warm: index.warm.filter(Warm::is_warmed),
        partition_key: index.key.partition.clone(),
        sort_key: index.key.sort.clone(),
        projection: Some(index.projection.clone()).filter(|projection| *projection != Projection::All),
        settings: IndexSettings::default(),
    }
}

fn local_index_section(index: &LocalIndex) -> LocalIndexSection {
    LocalIndexSection {
        sort_key: index.sort.clone(),
        projection: Some(index.projection.clone()).filter(|projection| *projection != Projection::All),
    }
}
