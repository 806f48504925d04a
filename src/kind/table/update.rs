//! `UpdateTable`: one change of a table that others may be changing too.

use std::time::Duration;

use tokio::time::Instant;

use super::api::{TableApi, describe, failed, name_key, wait};
use super::status::TableStatus;
use super::{Billing, Capacity, IndexStatus, Table, TableChange, replicas, sdk};
use crate::kind::Waiting;
use crate::resource::Facts;
use crate::resource::StepOutcome;
use crate::resource::call::{CallError, Class, UPDATE_TABLE};

/// Makes a change once the table is ACTIVE, unless the change already exists.
///
/// The table is read before each attempt. Repeating some changes has an effect (an encryption change counts towards the four a day), and a
/// change that someone else has made must not be made twice.
pub(super) async fn execute(
    api: &TableApi,
    waiting: Waiting,
    name: &str,
    change: &TableChange,
) -> Result<StepOutcome, CallError> {
    let request =
        sdk::update_table(name, change).map_err(|error| failed(UPDATE_TABLE, Class::Rejected, error.to_string()))?;
    let started = Instant::now();
    let mut pause = Duration::from_millis(400);
    loop {
        let (found, facts) = describe_for(api, name, change).await?;
        if is_made(change, &found) {
            return Ok(StepOutcome::Done);
        }
        if !TableStatus::is_idle(&facts) {
            match wait(api, waiting, name).await? {
                StepOutcome::Done => continue,
                ended => return Ok(ended),
            }
        }
        let Err(mut error) = api.pacer.call(UPDATE_TABLE, &[], || request.clone().send_with(&api.client)).await else {
            wait_until_visible(api, name, change).await?;
            return Ok(StepOutcome::Done);
        };
        let passes = match change {
            TableChange::AddReplicas { replicas, .. } => {
                replicas::calls::is_passing(api, name, replicas, &mut error).await
            }
            _ => false,
        };
        match error.class {
            _ if passes && started.elapsed() < waiting.limit => {}
            // Another change is in progress: someone else's, or Sentinel's own after a lost response.
            Class::Busy if started.elapsed() < waiting.limit => {}
            _ => return ended(api, name, change, error).await,
        }
        api.pacer.sleep(UPDATE_TABLE, pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await?;
        pause = (pause * 2).min(Duration::from_secs(10));
    }
}

/// Describes a table, with its key named as in the change.
async fn describe_for(api: &TableApi, name: &str, change: &TableChange) -> Result<(Table, Facts), CallError> {
    let (mut found, facts) = describe(api, name).await?;
    if let TableChange::Encryption { encryption, .. } = change {
        name_key(api, &mut found, Some(encryption)).await?;
    }
    Ok((found, facts))
}

/// The number of reads that look for an accepted change.
const READ_ATTEMPTS: u32 = 8;

/// Waits until a change is visible, or the table is being changed. A read just after a change may return the earlier state, which the next
/// wait would mistake for the end.
async fn wait_until_visible(api: &TableApi, name: &str, change: &TableChange) -> Result<(), CallError> {
    for look in 1..=READ_ATTEMPTS {
        let (found, facts) = describe_for(api, name, change).await?;
        if is_made(change, &found) || !TableStatus::is_idle(&facts) {
            break;
        }
        api.pacer.sleep(UPDATE_TABLE, Duration::from_millis(250) * look).await?;
    }
    Ok(())
}

/// Interprets a refusal: the change already exists, or comes too soon after another.
async fn ended(api: &TableApi, name: &str, change: &TableChange, error: CallError) -> Result<StepOutcome, CallError> {
    if matches!(error.class, Class::Interrupted | Class::Denied) {
        return Err(error);
    }
    if describe_for(api, name, change).await.is_ok_and(|(found, _)| is_made(change, &found)) {
        return Ok(StepOutcome::Done);
    }
    // AWS limits the frequency of some changes. Its other limits are permanent.
    let budget = match change {
        TableChange::Billing { .. } => {
            Some("one switch to on-demand in 24 hours, and a few decreases of capacity a day")
        }
        TableChange::Encryption { .. } => Some("four changes of encryption in 24 hours"),
        TableChange::Setting(change) => change.budget(),
        TableChange::CreateIndex { .. }
        | TableChange::DeleteIndex { .. }
        | TableChange::IndexLimits { .. }
        | TableChange::IndexWarm { .. }
        | TableChange::AddReplicas { .. }
        | TableChange::RemoveReplicas { .. } => None,
    };
    if let Some(how_often) = budget
        && error.code.as_deref().is_some_and(|code| code.ends_with("LimitExceededException"))
    {
        let why =
            format!("AWS allows {how_often}, and they are used up; AWS says: {}; run again after that", error.message);
        return Ok(StepOutcome::Deferred(why));
    }
    Err(error)
}

/// Returns whether the change has taken effect on a table.
fn is_made(change: &TableChange, found: &Table) -> bool {
    let index = |name: &String| found.indexes.as_ref().and_then(|indexes| indexes.get(name));
    match change {
        TableChange::CreateIndex { index_name, index: wanted, .. } => {
            index(index_name).is_some_and(|found| found.is_same(wanted) && found.status != IndexStatus::Deleting)
        }
        TableChange::DeleteIndex { index_name, expects } => {
            index(index_name).is_none_or(|found| !found.is_same(expects) || found.status == IndexStatus::Deleting)
        }
        TableChange::Billing { billing, table, indexes, .. } => {
            let has = |found: Option<Capacity>, wanted: Capacity| found.is_none_or(|found| found == wanted);
            match (billing, found.billing) {
                (Billing::PayPerRequest, live) => live == Some(Billing::PayPerRequest),
                (Billing::Provisioned(_), Some(Billing::Provisioned(live))) => {
                    table.is_none_or(|wanted| wanted == live)
                        && indexes.iter().all(|(name, wanted)| has(index(name).and_then(|one| one.capacity), *wanted))
                }
                (Billing::External, Some(Billing::Provisioned(_))) => {
                    indexes.iter().all(|(name, wanted)| has(index(name).and_then(|one| one.capacity), *wanted))
                }
                (Billing::External | Billing::Provisioned(_), _) => false,
            }
        }
        TableChange::IndexLimits { index_name, limits } => {
            index(index_name).and_then(|found| found.limits).is_some_and(|live| limits.are(&live))
        }
        TableChange::IndexWarm { index_name, warm } => {
            index(index_name).and_then(|found| found.warm).is_some_and(|live| warm.raised_above(&live).is_none())
        }
        TableChange::AddReplicas { replicas, .. } => replicas::calls::are_added(found, replicas),
        TableChange::RemoveReplicas { regions, .. } => replicas::calls::are_removed(found, regions),
        TableChange::Encryption { encryption, .. } => found.encryption.as_ref() == Some(encryption),
        TableChange::Setting(change) => change.is_made(&found.settings),
    }
}
