//! Writes of records whose effect is known even if the response was lost.

use super::time::text;
use crate::resource::call::{CallError, Class};
use crate::resource::record::{ID, Item, Records, Test, Write};

/// Writes a new record. Its ID is random, so an existing one was written by a previous attempt whose response was lost.
pub(super) async fn create(records: &Records<'_>, item: Item) -> Result<(), CallError> {
    match records.write(&Write::Put { item, when: vec![Test::Absent(ID)] }).await {
        Err(error) if error.class == Class::ConditionFailed => Ok(()),
        ended => ended,
    }
}

/// Returns whether this call created a record. If the condition failed, the cause can be another writer, or the same write whose response
/// was lost: the random mark distinguishes them.
pub(super) async fn is_ours(
    records: &Records<'_>,
    written: Result<(), CallError>,
    id: &str,
    mark: &str,
) -> Result<bool, CallError> {
    match written {
        Err(error) if error.class != Class::ConditionFailed => return Err(error),
        _ => {}
    }
    let item = records.get(id).await?;
    Ok(item.and_then(|item| text(&item, "mark")).as_deref() == Some(mark))
}
