//! `UpdateTable` with `ReplicaUpdates`.

use serde_json::{Value, json};

use super::group::{Lifetime, Replica};
use super::{MARKER, Marker, NO_TTL, ONE_OF_STRONG, SOURCE, busy, scaling};
use crate::local::answer::Failure;
use crate::local::clock::millis;
use crate::local::dynamodb::engine::call;
use crate::local::dynamodb::state::TableState;
use crate::local::dynamodb::{in_use, not_found};
use crate::local::store::keep;
use crate::local::{Region, autoscaling, kms};

/// The regions that support replicas. Source: "AWS service endpoints" in the AWS General Reference, without those of other partitions.
const REGIONS: [&str; 34] = [
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-central-1",
    "ca-west-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
];

/// The regions of groups with strong consistency. Source: GlobalTableWitness in the AWS CloudFormation Template Reference; AWS also
/// accepted a group across these sets (DDB-TABLE-257).
const STRONG_REGIONS: [&str; 10] = [
    "us-east-1",
    "us-east-2",
    "us-west-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "eu-central-1",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
];

pub(super) const MIXED_KEYS: &str = "One or more parameter values were invalid: All replica keys must either be Customer Managed CMK or AWS Managed CMK.";
const KEY_FOR_EACH: &str =
    "One or more parameter values were invalid: KMSMasterKeyId must be specified for each replica.";
const NO_ACTION: &str = "There are no actions specified in the Replica Update Action of the request.";

/// The changes in a request.
struct Wanted<'a> {
    creates: Vec<&'a Value>,
    updates: Vec<&'a Value>,
    deletes: Vec<&'a str>,
    witness_created: Option<&'a str>,
    witness_deleted: Option<&'a str>,
    strong: bool,
}

fn region_of(action: &Value) -> &str {
    action["RegionName"].as_str().unwrap_or_default()
}

/// Reads a request, whose structure AWS checks first. Source: DDB-TABLE-223, 224 and 257.
fn wanted(body: &Value) -> Result<Wanted<'_>, Failure> {
    let ours = ["TableName", "ReplicaUpdates", "MultiRegionConsistency", "GlobalTableWitnessUpdates"];
    if body
        .as_object()
        .is_some_and(|members| members.iter().any(|(key, value)| !value.is_null() && !ours.contains(&key.as_str())))
    {
        return Err(Failure::validation(
            "One or more parameter values were invalid: Replica modification must be the only operation in the request",
        ));
    }
    let witnesses = body["GlobalTableWitnessUpdates"].as_array().map(Vec::as_slice).unwrap_or_default();
    let strong = body["MultiRegionConsistency"] == json!("STRONG");
    let mut wanted = Wanted {
        creates: Vec::new(),
        updates: Vec::new(),
        deletes: Vec::new(),
        witness_created: witnesses.first().and_then(|update| update["Create"]["RegionName"].as_str()),
        witness_deleted: witnesses.first().and_then(|update| update["Delete"]["RegionName"].as_str()),
        strong,
    };
    for element in body["ReplicaUpdates"].as_array().into_iter().flatten() {
        let given: Vec<&str> =
            ["Create", "Update", "Delete"].into_iter().filter(|action| !element[*action].is_null()).collect();
        match given.as_slice() {
            [] => return Err(Failure::validation(NO_ACTION)),
            ["Create"] => wanted.creates.push(&element["Create"]),
            ["Update"] => wanted.updates.push(&element["Update"]),
            ["Delete"] => wanted.deletes.push(region_of(&element["Delete"])),
            _ => {
                let message = "Update table operation with more than one type of replica actions not allowed.";
                return Err(Failure::validation(message));
            }
        }
    }
    if wanted.creates.is_empty() && wanted.updates.is_empty() && wanted.deletes.is_empty() {
        return Err(Failure::validation(super::super::NO_SUBJECT));
    }
    if wanted.witness_created.is_some() && !strong {
        return Err(Failure::validation(
            "MultiRegionConsistency must be set as STRONG when GlobalTableWitnessUpdates parameter is present.",
        ));
    }
    // Duplicates count once.
    wanted.creates.dedup();
    wanted.deletes.dedup();
    Ok(wanted)
}

/// Refuses a region that does not support replicas.
fn check_region(region: &str, endpoint: &str) -> Result<(), Failure> {
    if region == endpoint {
        return Err(Failure::validation(
            "Cannot add or delete the local region through ReplicaUpdates. Use CreateTable, DeleteTable, or UpdateTable as required.",
        ));
    }
    if !REGIONS.contains(&region) {
        return Err(Failure::validation(format!(
            "Region {region} is not supported. The latest version of global tables are only supported in the following regions: [{}]",
            REGIONS.join(", ")
        )));
    }
    Ok(())
}

/// Changes the replicas of a table, for a request at the endpoint of one of its regions.
pub(in crate::local::dynamodb) fn update(
    home: &Region,
    endpoint: &str,
    name: &str,
    body: &Value,
) -> Result<Value, Failure> {
    let wanted = wanted(body)?;
    for region in wanted.creates.iter().map(|create| region_of(create)).chain(wanted.deletes.iter().copied()) {
        check_region(region, endpoint)?;
    }
    let mut keys = Vec::new();
    for create in &wanted.creates {
        let region = region_of(create);
        // The other region is read first, because no store is opened while another is open.
        let peer = home.peer(region)?;
        let of_another = super::home(&peer, name)?.is_some_and(|other| other.name != home.name);
        if of_another || peer.store.write(|store| TableState::settled(&peer, store, name))?.is_some() {
            return Err(exists(name));
        }
        keys.push(key_in(&peer, create["KMSMasterKeyId"].as_str())?);
        // A marker without a replica has no effect.
        peer.store.write(|store| keep(store, MARKER, name, &Marker { home: home.name.clone() }))?;
    }
    let table = home.store.write(|store| {
        let mut state = TableState::settled(home, store, name)?.ok_or_else(|| not_found(name))?;
        let now = home.clock.now();
        check_members(&state, &wanted, name, now)?;
        match state.status(now) {
            "CREATING" => return Err(in_use("created", name)),
            "DELETING" => return Err(in_use("deleted", name)),
            "UPDATING" => return Err(busy()),
            _ => {}
        }
        let building = state.indexes.values().any(|index| index.active_at > now) || !state.deleting.is_empty();
        if state.group.is_busy(now) || building {
            return Err(busy());
        }
        let described = call(home, "DescribeTable", json!({ "TableName": name }))?["Table"].take();
        check_consistency(&state, &wanted, &described, (home, endpoint), now)?;
        if !wanted.creates.is_empty() {
            scaling::check(store, name, &described)?;
        }
        for (create, key) in wanted.creates.iter().zip(&keys) {
            add(home, &mut state, (create, key.as_ref()), (endpoint, &described))?;
        }
        for action in &wanted.updates {
            change(home, &mut state, action, &described)?;
        }
        for region in &wanted.deletes {
            leave(home, &mut state, name, region)?;
        }
        witness(home, &mut state, &wanted);
        if !wanted.creates.is_empty() {
            enable_stream(home, name, &described)?;
        }
        state.updated_at = now + millis(home.rules.table_update);
        state.save(store, name)?;
        let mut table = call(home, "DescribeTable", json!({ "TableName": name }))?["Table"].take();
        state.show(home, &mut table);
        Ok(table)
    })?;
    for create in &wanted.creates {
        // No store is opened while another is open. Source of the scaling of a new replica: DDB-TABLE-288.
        autoscaling::copy_writes(home, &*home.peer(region_of(create))?, name)?;
    }
    Ok(json!({ "TableDescription": table }))
}

fn exists(name: &str) -> Failure {
    Failure::validation(format!(
        "Failed to create a the new replica of table with name: \u{2018}{name}\u{2019} because one or more replicas already existed as tables."
    ))
}

/// Looks up a key in the region of the replica. Source: DDB-TABLE-309 and 313.
fn key_in(peer: &Region, named: Option<&str>) -> Result<Option<String>, Failure> {
    let Some(named) = named else { return Ok(None) };
    let invalid =
        |failure: &str| Failure::validation(format!("KMS validation error for region {}: {failure}", peer.name));
    let of_region = named.split(':').nth(3);
    if let Some(other) = of_region.filter(|region| *region != peer.name) {
        return Err(invalid(&format!("com.amazonaws.services.kms.model.NotFoundException: Invalid arn {other}")));
    }
    let found = peer.store.read(|store| kms::usable(peer, store, named));
    found.map(Some).map_err(|failure| match failure.message() {
        message if message.contains("DisabledException") => Failure::validation(
            "Operation cannot be performed while replica server-side encryption status is in UPDATING state. Please retry the \
             request after the status is updated to ENABLED.",
        ),
        message => invalid(message.trim_start_matches("KMS validation error: ")),
    })
}

/// Returns whether a key is customer managed.
pub(super) fn is_of_customer(region: &Region, key: Option<&str>) -> bool {
    key.is_some_and(|key| key != kms::managed_for_tables(region))
}

/// Refuses changes of missing members, and the creation of existing ones.
fn check_members(state: &TableState, wanted: &Wanted<'_>, name: &str, now: i64) -> Result<(), Failure> {
    let group = &state.group;
    let listed = |region: &str| group.replica(region).is_some_and(|replica| replica.lifetime.status(now).is_some());
    let named = wanted.updates.iter().map(|update| region_of(update)).chain(wanted.deletes.iter().copied());
    let strangers: Vec<&str> = named.filter(|region| !listed(region)).collect();
    if !strangers.is_empty() {
        return Err(Failure::validation(format!(
            "Update global table operation failed because one or more replicas were not part of the global table. Please retry the \
             request without these replicas: [{}].",
            strangers.join(", ")
        )));
    }
    let is_leaving = |region: &str| group.replica(region).is_some_and(|replica| replica.lifetime.removal.is_some());
    match wanted.creates.iter().map(|create| region_of(create)).any(|region| listed(region) || is_leaving(region)) {
        true => Err(exists(name)),
        false => Ok(()),
    }
}

/// A group with strong consistency is created and deleted as a whole, by one request. Source: DDB-TABLE-257 to 261.
fn check_consistency(
    state: &TableState,
    wanted: &Wanted<'_>,
    described: &Value,
    (home, endpoint): (&Region, &str),
    now: i64,
) -> Result<(), Failure> {
    let refused = |message: &str| Err(Failure::validation(message));
    let (creates, deletes) = (wanted.creates.len(), wanted.deletes.len());
    if state.group.strong && state.group.has_members(now) {
        if wanted.strong && creates > 0 {
            return refused("MultiRegionConsistency parameter is unsupported on existing global table");
        }
        if creates > 0 {
            return refused("Cannot add replicas to a global table with strong MultiRegionConsistency");
        }
        if deletes > 0 && state.group.witness.is_some() && wanted.witness_deleted.is_none() {
            return refused("Update table delete operation does not include all witnesses.");
        }
        if deletes > 0 && deletes < state.group.members(now).count() {
            return refused(ONE_OF_STRONG);
        }
        return Ok(());
    }
    if !wanted.strong {
        if creates + deletes > 1 {
            return refused("Update table operation with more than one create or delete replica actions not allowed");
        }
        return Ok(());
    }
    if creates == 0 {
        return refused("Only Replica Create actions are supported when MultiRegionConsistency parameter is provided.");
    }
    if creates + usize::from(wanted.witness_created.is_some()) != 2 || state.group.has_members(now) {
        return refused("Unsupported replica count for global tables with MultiRegionConsistency set to STRONG.");
    }
    let regions: Vec<&str> = wanted.creates.iter().map(|create| region_of(create)).collect();
    if let Some(witness) = wanted.witness_created {
        if regions.contains(&witness) {
            return refused("Cannot target multiple regions with the same action");
        }
        if witness == endpoint {
            return refused(
                "Cannot add a witness in the same region as an existing replica when creating a global table with \
                 MultiRegionConsistency set to STRONG.",
            );
        }
    }
    let all = regions.iter().copied().chain(wanted.witness_created).chain([home.name.as_str()]);
    let others: Vec<&str> = all.filter(|region| !STRONG_REGIONS.contains(region)).collect();
    if !others.is_empty() {
        return Err(Failure::validation(format!(
            "Unsupported Region(s) specified for global tables with MultiRegionConsistency set to STRONG: [{}].",
            others.join(", ")
        )));
    }
    let ttl = call(home, "DescribeTimeToLive", json!({ "TableName": described["TableName"] }))?;
    if ttl["TimeToLiveDescription"]["TimeToLiveStatus"] == json!("ENABLED") {
        return refused(NO_TTL);
    }
    if described["LocalSecondaryIndexes"].as_array().is_some_and(|indexes| !indexes.is_empty()) {
        return refused(
            "Local secondary indexes are not supported for global tables with MultiRegionConsistency set to STRONG.",
        );
    }
    // The table must be empty ("How DynamoDB global tables work" in the Amazon DynamoDB Developer Guide); the text is not AWS's.
    if !is_empty(home, described["TableName"].as_str().unwrap_or_default())? {
        return refused("The table must be empty to create a global table with MultiRegionConsistency set to STRONG.");
    }
    Ok(())
}

fn is_empty(home: &Region, name: &str) -> Result<bool, Failure> {
    Ok(call(home, "Scan", json!({ "TableName": name, "Limit": 1 }))?["Count"] == json!(0))
}

fn add(
    home: &Region,
    state: &mut TableState,
    (create, key): (&Value, Option<&String>),
    (endpoint, described): (&str, &Value),
) -> Result<(), Failure> {
    let region = region_of(create);
    let peer = home.peer(region)?;
    let of_customer = is_of_customer(home, state.encryption.as_deref());
    let key = match (&state.encryption, key) {
        (None, Some(_)) => return Err(Failure::validation(KEY_FOR_EACH)),
        (None, None) => None,
        (Some(_), None) if of_customer => return Err(Failure::validation(KEY_FOR_EACH)),
        (Some(_), None) => Some(kms::managed_for_tables(&peer)),
        (Some(_), Some(own)) if of_customer != is_of_customer(&peer, Some(own)) => {
            return Err(Failure::validation(MIXED_KEYS));
        }
        (Some(_), Some(own)) => Some(own.clone()),
    };
    let mut replica = Replica {
        region: region.to_owned(),
        source: endpoint.to_owned(),
        lifetime: Lifetime::new(home),
        id: format!("{:08x}-0000-4000-8000-{:012x}", fastrand::u32(..), fastrand::u64(..1 << 48)),
        updated_at: 0,
        class: None,
        reads: None,
        read_limit: None,
        indexes: std::collections::BTreeMap::new(),
        key,
        protected: false,
        recovery_since: None,
        recovery_days: None,
        tags: std::collections::BTreeMap::new(),
        tags_changed_at: None,
    };
    set_overrides(&mut replica, create, described);
    state.group.replicas.push(replica);
    Ok(())
}

pub(super) fn is_on_demand(described: &Value) -> bool {
    described["BillingModeSummary"]["BillingMode"] == json!("PAY_PER_REQUEST")
}

/// Sets the replica's own settings of an action. A value equal to the table's removes the replica's own. Source: DDB-TABLE-250 and 252.
fn set_overrides(replica: &mut Replica, action: &Value, described: &Value) {
    if let Some(class) = action["TableClassOverride"].as_str() {
        replica.class = Some(class.to_owned());
    }
    let unless = |own: Option<i64>, table: &Value| own.filter(|own| table.as_i64() != Some(*own));
    if let Some(reads) = action["ProvisionedThroughputOverride"]["ReadCapacityUnits"].as_i64() {
        replica.reads = unless(Some(reads), &described["ProvisionedThroughput"]["ReadCapacityUnits"]);
    }
    if let Some(limit) = action["OnDemandThroughputOverride"]["MaxReadRequestUnits"].as_i64() {
        replica.read_limit = unless(Some(limit), &described["OnDemandThroughput"]["MaxReadRequestUnits"]);
    }
    for index in action["GlobalSecondaryIndexes"].as_array().into_iter().flatten() {
        let Some(name) = index["IndexName"].as_str() else { continue };
        let all = described["GlobalSecondaryIndexes"].as_array();
        let Some(of_table) = all.and_then(|all| all.iter().find(|one| one["IndexName"] == *name)) else { continue };
        let own = replica.indexes.entry(name.to_owned()).or_default();
        if let Some(reads) = index["ProvisionedThroughputOverride"]["ReadCapacityUnits"].as_i64() {
            own.0 = unless(Some(reads), &of_table["ProvisionedThroughput"]["ReadCapacityUnits"]);
        }
        if let Some(limit) = index["OnDemandThroughputOverride"]["MaxReadRequestUnits"].as_i64() {
            own.1 = unless(Some(limit), &of_table["OnDemandThroughput"]["MaxReadRequestUnits"]);
        }
    }
}

fn change(home: &Region, state: &mut TableState, action: &Value, described: &Value) -> Result<(), Failure> {
    let given = |members: &[&str]| members.iter().any(|member| !action[*member].is_null());
    let of_index = |member: &str| {
        let indexes = action["GlobalSecondaryIndexes"].as_array();
        indexes.is_some_and(|indexes| indexes.iter().any(|index| !index[member].is_null()))
    };
    let (reads, limit) = ("ProvisionedThroughputOverride", "OnDemandThroughputOverride");
    if given(&["KMSMasterKeyId"]) {
        return Err(Failure::validation(KEY_FOR_EACH));
    }
    if !given(&["TableClassOverride", reads, limit]) && !of_index(reads) && !of_index(limit) {
        return Err(Failure::validation(NO_ACTION));
    }
    match is_on_demand(described) {
        true if given(&[reads]) || of_index(reads) => {
            let message =
                "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST";
            return Err(Failure::validation(message));
        }
        false if given(&[limit]) || of_index(limit) => {
            let message = "MaxReadRequestUnits for OnDemandThroughput cannot be specified when the table BillingMode is PROVISIONED";
            return Err(Failure::validation(message));
        }
        _ => {}
    }
    let until = home.clock.now() + millis(home.rules.table_update);
    if let Some(replica) = state.group.replica_mut(region_of(action)) {
        set_overrides(replica, action, described);
        replica.updated_at = until;
    }
    Ok(())
}

/// Removes a replica from its group, unless it is protected or is the source of another replica. Source: DDB-TABLE-267 and 297.
pub(super) fn leave(home: &Region, state: &mut TableState, name: &str, region: &str) -> Result<(), Failure> {
    let now = home.clock.now();
    if !state.group.strong && state.group.members(now).any(|other| other.source == region) {
        return Err(Failure::validation(SOURCE));
    }
    let Some(replica) = state.group.replica_mut(region) else { return Ok(()) };
    if replica.protected {
        return Err(Failure::validation(format!(
            "Cannot delete table {name} in region {region} because it has deletion protection enabled. Disable deletion protection first."
        )));
    }
    replica.lifetime.leave(home);
    state.updated_at = now + millis(home.rules.table_update);
    Ok(())
}

fn witness(home: &Region, state: &mut TableState, wanted: &Wanted<'_>) {
    state.group.strong |= wanted.strong;
    if let Some(region) = wanted.witness_created {
        state.group.witness = Some((region.to_owned(), Lifetime::new(home)));
    }
    if let (Some(_), Some((_, lifetime))) = (wanted.witness_deleted, &mut state.group.witness) {
        lifetime.leave(home);
    }
}

/// AWS turns the stream on by itself, and does not change an existing stream. Source: DDB-TABLE-221 and 305.
fn enable_stream(home: &Region, name: &str, described: &Value) -> Result<(), Failure> {
    if described["StreamSpecification"]["StreamEnabled"] == json!(true) {
        return Ok(());
    }
    let stream = json!({ "StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES" });
    call(home, "UpdateTable", json!({ "TableName": name, "StreamSpecification": stream })).map(drop)
}
