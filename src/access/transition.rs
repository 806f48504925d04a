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

/// A record after someone tried to change it.
pub(super) struct After {
    pub(super) item: Item,
    /// Whether it was this change that was made, and not another one before it.
    pub(super) ours: bool,
}

/// Looks at a record after a conditional change, whether that went through, failed on its condition, or failed on what it
/// had done itself: the random mark, in the attribute of this name, tells whose change stands there. None is a record
/// that is not there.
pub(super) async fn settled(
    records: &Records<'_>,
    written: Result<(), CallError>,
    id: &str,
    (name, mark): (&str, &str),
) -> Result<Option<After>, CallError> {
    match written {
        Err(error) if error.class != Class::ConditionFailed => return Err(error),
        _ => {}
    }
    let item = records.get(id).await?;
    Ok(item.map(|item| After { ours: text(&item, name).as_deref() == Some(mark), item }))
}
