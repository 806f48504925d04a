//! Writing records so that what was done is known, even where an answer was lost.

use super::time::text;
use crate::resource::call::{CallError, Class};
use crate::resource::record::{ID, Item, Records, Test, Write};

/// Writes a record that is new. Its id is random: one that is there already was written by a call whose answer was lost.
pub(super) async fn create(records: &Records<'_>, item: Item) -> Result<(), CallError> {
    match records.write(&Write::Put { item, when: vec![Test::Absent(ID)] }).await {
        Err(error) if error.class == Class::ConditionFailed => Ok(()),
        ended => ended,
    }
}

/// Returns whether a record is the one that this call created, after a creation that went through, failed because there was
/// a record already, or failed on what it had done itself: the random mark tells whose record it is.
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
