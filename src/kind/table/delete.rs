//! The deletion of a table: its steps and calls.

use aws_sdk_dynamodb::types::BackupStatus;

use super::api::{SETTLING, TableApi, describe, failed, read_tags};
use super::polling::Polling;
use super::status::TableStatus;
use super::{Autoscaling, DeletionProtection, Field, SeparateChange, Table, TableStep, protection, replicas};
use crate::change::{ChangeMethod, FieldChange, FieldValue};
use crate::kind::{Deletion, Desired, Waiting};
use crate::resource::call::{CREATE_BACKUP, CallError, Class, DELETE_TABLE, DESCRIBE_BACKUP, DESCRIBE_TABLE, SCAN};
use crate::resource::names::OwnerKey;
use crate::resource::{Live, OWNER, StepOutcome};

/// The suffix of the name of a table's last backup.
const BACKUP: &str = "-before-deletion";
/// The maximum length of a backup's name. Source: CreateBackup in the Amazon DynamoDB API Reference.
const NAME_LIMIT: usize = 255;

/// Returns the name of the backup that is made before a deletion.
fn backup_name(table: &str) -> String {
    let head: String = table.chars().take(NAME_LIMIT - BACKUP.len()).collect();
    format!("{head}{BACKUP}")
}

/// Returns the steps of a deletion: a backup, unless the table is empty, and the deletion. A protected table is not deleted.
pub(super) fn deletion(desired: &Desired<Table>, live: &Live<Table>) -> Deletion<Table> {
    let Some(owner_key) = desired.ownership.clone() else { return Deletion::never() };
    if live.state.settings.deletion_protection == Some(DeletionProtection(true)) {
        let how = format!(
            "first turn deletion protection off: aws dynamodb update-table --table-name {} \
             --no-deletion-protection-enabled",
            desired.name
        );
        let (on, off) = (FieldValue::text("on"), FieldValue::text("off"));
        let change = FieldChange::new(Field::Setting(protection::KEY), on, off, ChangeMethod::NotPossible, &how);
        return Deletion { changes: vec![change], steps: Vec::new() };
    }
    let (name, expects_id) = (desired.name.clone(), live.facts.id.clone());
    let delete = TableStep::DeleteTable { name: name.clone(), expects_id: expects_id.clone(), owner_key };
    if TableStatus::of(&live.facts) == Some(TableStatus::Deleting) {
        return Deletion { changes: Vec::new(), steps: vec![delete] };
    }
    // AWS does not delete a table while it has replicas. Source: DDB-TABLE-266 in the lab notes of ack-api-quirks.
    let (mut changes, mut steps) = replicas::plan::removal(&name, live);
    if changes.iter().any(|change| change.method.is_never_done()) {
        return Deletion { changes, steps: Vec::new() };
    }
    let backup_name = backup_name(&name);
    let how = "taken before the deletion, unless the table has no items";
    let backup = FieldValue::text(&backup_name);
    let change = FieldChange::new(Field::Backup, FieldValue::Absent, backup, ChangeMethod::InPlace, how);
    changes.push(change);
    steps.push(TableStep::BackUpTable { name: name.clone(), expects_id, backup_name });
    for (change, step) in live.state.settings.autoscaling.iter().flat_map(Autoscaling::removal) {
        changes.push(change);
        steps.push(TableStep::Setting { name: name.clone(), change: SeparateChange::Autoscaling(step) });
    }
    steps.push(delete);
    Deletion { changes, steps }
}

/// Returns the table's status if it is the observed table, or the reason why nothing is done; `None` if it is deleted.
async fn expected(
    api: &TableApi,
    SeenTable { name, id }: SeenTable<'_>,
) -> Result<Option<Result<Found, StepOutcome>>, CallError> {
    let (table, facts) = match describe(api, name).await {
        Ok(found) => found,
        Err(error) if error.class == Class::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if facts.id.as_deref() != id {
        let why = "another table of this name was created since it was read; nothing was deleted";
        return Ok(Some(Err(StepOutcome::Conflict(String::from(why)))));
    }
    let status = TableStatus::of(&facts);
    Ok(Some(Ok(Found { table, arn: facts.arn.unwrap_or_default(), status })))
}

/// The observed table.
#[derive(Debug, Clone, Copy)]
pub(super) struct SeenTable<'a> {
    pub(super) name: &'a str,
    /// Distinguishes it from a recreated table of the same name.
    pub(super) id: Option<&'a str>,
}

/// The observed table.
struct Found {
    table: Table,
    arn: String,
    status: Option<TableStatus>,
}

/// Backs a table up, unless it has no items, and waits until the backup can be restored.
///
/// AWS updates the item count about every six hours, so a strongly consistent read checks for items. Source: DescribeTable and Scan in the
/// Amazon DynamoDB API Reference.
pub(super) async fn back_up(
    api: &TableApi,
    waiting: Waiting,
    table: SeenTable<'_>,
    backup_name: &str,
) -> Result<StepOutcome, CallError> {
    match expected(api, table).await? {
        None => return Ok(StepOutcome::Done),
        Some(Err(outcome)) => return Ok(outcome),
        Some(Ok(_)) => {}
    }
    let scan = || api.client.scan().table_name(table.name).limit(1).consistent_read(true).send();
    let page = api.pacer.call(SCAN, SETTLING, scan).await?;
    if page.items.is_none_or(|items| items.is_empty()) && page.last_evaluated_key.is_none() {
        return Ok(StepOutcome::Done);
    }
    // A repeated call would make a second backup.
    let create = || api.client.create_backup().table_name(table.name).backup_name(backup_name).send();
    let answer = api.pacer.call_once(CREATE_BACKUP, create).await?;
    let arn = answer.backup_details.map(|details| details.backup_arn);
    let arn = arn.ok_or_else(|| failed(CREATE_BACKUP, Class::Rejected, "the answer contains no backup"))?;
    let mut polling = Polling::new(waiting, DESCRIBE_BACKUP).or_else("the table was not deleted;");
    loop {
        let call = || api.client.describe_backup().backup_arn(&arn).send();
        let answer = api.pacer.call(DESCRIBE_BACKUP, SETTLING, call).await?;
        let details = answer.backup_description.and_then(|description| description.backup_details);
        match details.map(|details| details.backup_status) {
            Some(BackupStatus::Available) => return Ok(StepOutcome::Done),
            Some(BackupStatus::Creating) => {}
            other => {
                let status = other.map_or_else(|| String::from("unknown"), |status| status.as_str().to_owned());
                let message = format!("the backup {backup_name} is {status}; the table was not deleted");
                return Err(failed(DESCRIBE_BACKUP, Class::Rejected, message));
            }
        }
        polling.pause(api, &format!("the backup {backup_name} is still CREATING")).await?;
    }
}

/// Deletes a table if it is still the observed one, is not protected and carries the ownership tag, and waits until it is deleted.
pub(super) async fn delete(
    api: &TableApi,
    waiting: Waiting,
    table: SeenTable<'_>,
    owner_key: &OwnerKey,
) -> Result<StepOutcome, CallError> {
    let found = match expected(api, table).await? {
        None => return Ok(StepOutcome::Done),
        Some(Err(outcome)) => return Ok(outcome),
        Some(Ok(found)) => found,
    };
    if found.status != Some(TableStatus::Deleting) {
        if found.table.settings.deletion_protection == Some(DeletionProtection(true)) {
            let why = "someone else turned deletion protection on; nothing was deleted";
            return Ok(StepOutcome::Conflict(String::from(why)));
        }
        let tags = read_tags(api, &found.arn).await?;
        if tags.get(owner_key.as_str()).map(String::as_str) != Some(OWNER) {
            let why = format!("it no longer has the tag {owner_key} = {OWNER}; nothing was deleted");
            return Ok(StepOutcome::Conflict(why));
        }
        let call = || api.client.delete_table().table_name(table.name).send();
        match api.pacer.call(DELETE_TABLE, &[], call).await {
            Ok(_) => {}
            Err(error) if error.class == Class::NotFound => return Ok(StepOutcome::Done),
            // If the response of an earlier attempt was lost, the table is already being deleted.
            Err(error) if error.class == Class::Busy || error.open => match expected(api, table).await? {
                Some(Ok(found)) if found.status == Some(TableStatus::Deleting) => {}
                None => return Ok(StepOutcome::Done),
                _ => return Err(error),
            },
            Err(error) => return Err(error),
        }
    }
    let mut polling = Polling::new(waiting, DESCRIBE_TABLE);
    while matches!(expected(api, table).await?, Some(Ok(_))) {
        polling.pause(api, "the table is still DELETING").await?;
    }
    Ok(StepOutcome::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Consent;
    use crate::kind::{Address, KindId, KindStep};
    use crate::resource::Facts;

    fn deletion_of(name: &str, change: impl FnOnce(&mut Live<Table>)) -> Deletion<Table> {
        let bare = Desired::new(Address::new(KindId::Table, name), name, Table::default());
        let desired = Desired { ownership: Some(OwnerKey::new("mark")), ..bare };
        let facts = Facts { id: Some(String::from("1")), status: Some(String::from("ACTIVE")), ..Facts::default() };
        let mut live = Live { state: Table::default(), facts, gaps: Vec::new() };
        change(&mut live);
        deletion(&desired, &live)
    }

    #[test]
    fn a_table_is_backed_up_before_it_is_deleted() {
        let Deletion { changes, steps } = deletion_of("audit", |_| {});
        let expects_id = || Some(String::from("1"));
        let expected = [
            TableStep::BackUpTable {
                name: String::from("audit"),
                expects_id: expects_id(),
                backup_name: String::from("audit-before-deletion"),
            },
            TableStep::DeleteTable {
                name: String::from("audit"),
                expects_id: expects_id(),
                owner_key: OwnerKey::new("mark"),
            },
        ];
        assert_eq!(steps, expected);
        assert_eq!(changes[0].path, Field::Backup);
        assert_eq!(steps[1].needs(), Some(Consent::Table));
        // A table that is being deleted cannot be backed up.
        let deleting = deletion_of("audit", |live| live.facts.status = Some(String::from("DELETING")));
        assert_eq!(deleting.steps, expected[1..]);
    }

    #[test]
    fn a_protected_table_is_not_deleted() {
        let Deletion { changes, steps } = deletion_of("audit", |live| {
            live.state.settings.deletion_protection = Some(DeletionProtection(true));
        });
        assert!(
            steps.is_empty() && changes[0].method.is_never_done() && changes[0].path == Field::Setting(protection::KEY)
        );
    }

    #[test]
    fn a_backup_name_has_a_limited_length() {
        assert_eq!(backup_name(&"x".repeat(255)).len(), NAME_LIMIT);
        assert_eq!(backup_name("abc"), "abc-before-deletion");
    }
}
