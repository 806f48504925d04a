//! The calls for replicas.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::update_table::builders::UpdateTableInputBuilder;
use aws_sdk_dynamodb::types as sdk;
use futures_util::future;

use super::plan::NewReplica;
use super::{Consistency, ReplicaStatus, Replicas};
use crate::kind::table::api::{self, TableApi};
use crate::kind::table::status::TableStatus;
use crate::kind::table::{DeletionProtection, Encryption, Settings, Table};
use crate::kind::{Address, Desired, KindId};
use crate::resource::call::{CallError, Class};
use crate::resource::{Gap, Observed, Tags};

/// Reads the settings of the managed replicas, each in its region, and the deletion protection of unlisted replicas.
pub(in crate::kind::table) async fn observe(
    api: &TableApi,
    name: &str,
    managed: &Replicas,
    live: &mut Replicas,
    gaps: &mut Vec<Gap>,
) {
    let wanted = |region: &String| match managed.whole {
        true => Some(everything()),
        false => match managed.regions.get(region) {
            Some(table) => Some(table.clone()).filter(Replicas::is_read),
            None => Some(protection()),
        },
    };
    let is_there =
        |region: &String| matches!(live.statuses.get(region), Some(ReplicaStatus::Active | ReplicaStatus::Updating));
    let regions: Vec<(String, Table)> = live
        .regions
        .keys()
        .filter(|region| is_there(region))
        .filter_map(|region| Some((region.clone(), wanted(region)?)))
        .collect();
    let reads = regions.into_iter().map(|(region, table)| async move {
        let desired = Desired::new(Address::new(KindId::Table, &region), name, table);
        // Tables nest to a depth of one: a replica manages no replicas.
        let found = Box::pin(api::observe(&api.in_region(&region), &desired)).await;
        (region, desired.managed, found)
    });
    for (region, wanted, found) in future::join_all(reads).await {
        let path = |path: Option<String>| match path {
            Some(path) => format!("replica {region} {path}"),
            None => format!("replica {region}"),
        };
        match found {
            Observed::Present(found) => {
                gaps.extend(found.gaps.into_iter().map(|gap| Gap { path: Some(path(gap.path)), ..gap }));
                live.regions.insert(region, managed_of(found.state, &wanted));
            }
            Observed::Unknown(gap) => {
                live.regions.insert(region.clone(), Table::default());
                gaps.push(Gap { path: Some(path(gap.path.clone())), ..gap });
            }
            Observed::Absent => {}
        }
    }
}

/// Returns the settings that are a replica's own.
fn managed_of(found: Table, wanted: &Table) -> Table {
    let settings = found.settings.regional();
    Table {
        encryption: found.encryption,
        tags: found.tags.filter(|_| wanted.tags.is_some()),
        settings,
        ..Table::default()
    }
}

/// Returns a replica that manages only deletion protection.
fn protection() -> Table {
    let settings = Settings { deletion_protection: Some(DeletionProtection(false)), ..Settings::default() };
    Table { settings, ..Table::default() }
}

/// Returns a replica that manages all its own settings.
fn everything() -> Table {
    Table { tags: Some(Tags::new()), settings: Settings::everything().regional(), ..Table::default() }
}

/// Adds the creation of replicas to a request.
pub(in crate::kind::table) fn add(
    mut request: UpdateTableInputBuilder,
    replicas: &BTreeMap<String, NewReplica>,
    consistency: Consistency,
    witness: Option<&String>,
) -> Result<UpdateTableInputBuilder, BuildError> {
    for (region, new) in replicas {
        let key = match &new.key {
            Some(Encryption::Kms(key) | Encryption::Alias(key)) => Some(key.clone()),
            Some(Encryption::AwsOwned | Encryption::AwsManaged) | None => None,
        };
        let create = sdk::CreateReplicationGroupMemberAction::builder()
            .region_name(region)
            .set_kms_master_key_id(key)
            .set_table_class_override(new.class.map(crate::kind::table::Class::of_sdk))
            .build()?;
        request = request.replica_updates(sdk::ReplicationGroupUpdate::builder().create(create).build());
    }
    if let Some(region) = witness {
        let create = sdk::CreateGlobalTableWitnessGroupMemberAction::builder().region_name(region).build()?;
        let update = sdk::GlobalTableWitnessGroupUpdate::builder().create(create).build();
        request = request.global_table_witness_updates(update);
    }
    let strong = consistency == Consistency::Strong;
    Ok(request.set_multi_region_consistency(strong.then_some(sdk::MultiRegionConsistency::Strong)))
}

/// Adds the deletion of replicas to a request.
pub(in crate::kind::table) fn remove(
    mut request: UpdateTableInputBuilder,
    regions: &[String],
    witness: Option<&String>,
) -> Result<UpdateTableInputBuilder, BuildError> {
    for region in regions {
        let delete = sdk::DeleteReplicationGroupMemberAction::builder().region_name(region).build()?;
        request = request.replica_updates(sdk::ReplicationGroupUpdate::builder().delete(delete).build());
    }
    if let Some(region) = witness {
        let delete = sdk::DeleteGlobalTableWitnessGroupMemberAction::builder().region_name(region).build()?;
        let update = sdk::GlobalTableWitnessGroupUpdate::builder().delete(delete).build();
        request = request.global_table_witness_updates(update);
    }
    Ok(request)
}

/// Returns whether all these replicas exist or are being created.
pub(in crate::kind::table) fn are_added(found: &Table, replicas: &BTreeMap<String, NewReplica>) -> bool {
    let live = found.replicas.as_ref();
    let is_there = |region| {
        let status = live.and_then(|live| live.statuses.get(region));
        status.is_some_and(|status| *status != ReplicaStatus::Deleting)
    };
    replicas.keys().all(is_there)
}

/// Returns whether all these replicas are deleted or being deleted.
pub(in crate::kind::table) fn are_removed(found: &Table, regions: &[String]) -> bool {
    let live = found.replicas.as_ref();
    let is_going = |region| {
        let status = live.and_then(|live| live.statuses.get(region));
        status.is_none_or(|status| *status == ReplicaStatus::Deleting)
    };
    regions.iter().all(is_going)
}

/// AWS's message if a table of that name exists: another table, or the remains of a replica for half a minute after the table stops listing
/// it. Source: DDB-TABLE-225 and 308.
const EXISTS: &str = "already existed as tables";

/// Returns whether a refusal to add replicas is temporary. Otherwise the error names the table that exists.
pub(in crate::kind::table) async fn is_passing(
    api: &TableApi,
    name: &str,
    replicas: &BTreeMap<String, NewReplica>,
    error: &mut CallError,
) -> bool {
    if !error.message.contains(EXISTS) {
        return false;
    }
    for region in replicas.keys() {
        match api::describe(&api.in_region(region), name).await {
            Ok((_, facts)) if TableStatus::of(&facts) == Some(TableStatus::Deleting) => {}
            Err(other) if other.class == Class::NotFound => {}
            Ok(_) => {
                error.message = format!("there is already a table {name} in {region}, which a replica cannot replace");
                return false;
            }
            Err(_) => return false,
        }
    }
    true
}
