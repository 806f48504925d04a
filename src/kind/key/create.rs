//! The creation of a key. `CreateKey` is not idempotent, and a second call creates the alias that identifies the key.

use std::collections::HashSet;
use std::time::Duration;

use aws_sdk_kms::types::{KeyManagerType, KeyState, Tag};

use super::api::{KeyApi, SETTLING, aliases, arn, describe, failed, read_tags, sdk_tags};
use super::{CREATE_ALIAS, CREATE_KEY, Key, LIST_KEYS};
use crate::resource::StepOutcome;
use crate::resource::call::{CallError, Class};

/// The maximum number of creations, if the response is lost and the key is not found.
const ATTEMPTS: u32 = 3;
/// The number of searches for a key after a lost response.
const SEARCHES: u32 = 3;
/// The maximum number of keys without an alias that are examined, and of pages of 1,000 keys.
const CANDIDATES: usize = 100;
const PAGES: usize = 10;

/// Creates a key and its alias, and waits until the alias resolves to the key.
pub(super) async fn create(api: &KeyApi, alias: &str, key: &Key) -> Result<StepOutcome, CallError> {
    let _turn = api.creation.lock().await;
    // Another run may have created it in the meantime. Creating a key without an alias is avoided.
    match describe(api, alias, &[]).await {
        Err(error) if error.class == Class::NotFound => {}
        Err(error) => return Err(error),
        Ok(found) => {
            let same = found.description() == key.description.as_deref()
                && found.multi_region().unwrap_or(false) == key.multi_region.unwrap_or(false);
            if same {
                return Ok(StepOutcome::Done);
            }
            let key = arn(&found);
            return Ok(StepOutcome::Conflict(format!(
                "someone else moved {alias} to the key {key} meanwhile; nothing was created or changed"
            )));
        }
    }
    let id = create_key(api, key).await?;
    give_alias(api, alias, &NewKey { id }).await
}

/// Creates a key and returns its ID. After a lost response, it searches for the key before it creates another.
async fn create_key(api: &KeyApi, key: &Key) -> Result<String, CallError> {
    let tags = key.tags.as_ref().map(sdk_tags).transpose();
    let tags: Option<Vec<Tag>> =
        tags.map_err(|error| failed(CREATE_KEY, Class::Rejected, error.to_string()))?.filter(|tags| !tags.is_empty());
    let policy = key.policy.as_ref().map(super::PolicyDocument::to_json);
    let call = || {
        let request = api.client.create_key().set_description(key.description.clone()).set_policy(policy.clone());
        request.set_multi_region(key.multi_region.filter(|on| *on)).set_tags(tags.clone()).send()
    };
    let mut attempt = 1;
    loop {
        let error = match api.pacer.call_once(CREATE_KEY, call).await {
            Ok(answer) => {
                let id = answer.key_metadata.map(|metadata| metadata.key_id);
                return id.ok_or_else(|| failed(CREATE_KEY, Class::Rejected, "the answer contains no key"));
            }
            Err(error) if error.open => error,
            Err(error) => return Err(error),
        };
        let description = key.description.as_deref().unwrap_or_default();
        let unknown = |why: &str| {
            let message = format!(
                "{}; it is unknown whether the key was created ({why}): before you run again, look for a key with the \
                 description \"{description}\" and no alias, because the next run creates another one",
                error.plain_message()
            );
            // The message is complete.
            CallError { class: Class::Rejected, message, ..error.clone() }
        };
        match find(api, key).await {
            Ok(found) => match &found[..] {
                [] if attempt < ATTEMPTS => attempt += 1,
                [] => return Err(error),
                [id] => return Ok(id.clone()),
                several => return Err(unknown(&format!("it may be any of {}", several.join(", ")))),
            },
            Err(looking) => return Err(unknown(&looking.to_string())),
        }
    }
}

/// Returns the keys without an alias that equal a newly created one. There is at most one, unless a run ended between creating a key and
/// its alias.
async fn find(api: &KeyApi, key: &Key) -> Result<Vec<String>, CallError> {
    for look in 1..=SEARCHES {
        let found = find_now(api, key).await?;
        if !found.is_empty() {
            return Ok(found);
        }
        api.pacer.sleep(LIST_KEYS, Duration::from_millis(500) * look).await?;
    }
    Ok(Vec::new())
}

async fn find_now(api: &KeyApi, key: &Key) -> Result<Vec<String>, CallError> {
    let named: HashSet<String> = aliases(api).await?.into_iter().filter_map(|alias| alias.key).collect();
    let candidates: Vec<String> = keys(api).await?.into_iter().filter(|id| !named.contains(id)).collect();
    if candidates.len() > CANDIDATES {
        let message = format!("{} keys have no alias, which is too many to check", candidates.len());
        return Err(failed(LIST_KEYS, Class::Rejected, message));
    }
    let wanted = key.tags.clone().unwrap_or_default();
    let mut found = Vec::new();
    for id in candidates {
        // A key that cannot be described may be the one.
        let metadata = match describe(api, &id, &[]).await {
            Err(error) if error.class == Class::NotFound => continue,
            described => described?,
        };
        let same = metadata.description() == key.description.as_deref()
            && metadata.key_state() == Some(&KeyState::Enabled)
            && metadata.key_manager() == Some(&KeyManagerType::Customer)
            && metadata.multi_region().unwrap_or(false) == key.multi_region.unwrap_or(false);
        if same && read_tags(api, &id).await? == wanted {
            found.push(id);
        }
    }
    Ok(found)
}

/// Returns the IDs of all keys.
async fn keys(api: &KeyApi) -> Result<Vec<String>, CallError> {
    let mut found = Vec::new();
    let mut marker: Option<String> = None;
    for _ in 0..PAGES {
        let call = || api.client.list_keys().limit(1000).set_marker(marker.clone()).send();
        let answer = api.pacer.call(LIST_KEYS, &[], call).await?;
        found.extend(answer.keys.unwrap_or_default().into_iter().filter_map(|entry| entry.key_id));
        marker = answer.next_marker.filter(|marker| answer.truncated && !marker.is_empty());
        if marker.is_none() {
            return Ok(found);
        }
    }
    Err(failed(LIST_KEYS, Class::Rejected, "there are more than 10,000 keys"))
}

/// A key that was created and has no alias.
struct NewKey {
    id: String,
}

/// Creates the alias of a new key, and waits until it resolves to the key. Every error names the key, because without an alias nothing else
/// does.
async fn give_alias(api: &KeyApi, alias: &str, NewKey { id }: &NewKey) -> Result<StepOutcome, CallError> {
    let orphan = |error: CallError| {
        let message = format!(
            "{}; the key {id} was created, but does not have its alias: first run aws kms create-alias --alias-name \
             {alias} --target-key-id {id}, then the same command again, which finds the key by its alias; without the \
             alias, it would create another key",
            error.plain_message()
        );
        // An interruption must be reported as a failure.
        let class = if error.class == Class::Interrupted { Class::Rejected } else { error.class };
        CallError { class, message, ..error }
    };
    let call = || api.client.create_alias().alias_name(alias).target_key_id(id).send();
    match api.pacer.call(CREATE_ALIAS, SETTLING, call).await {
        Ok(_) => {}
        Err(error) if error.class == Class::AlreadyExists || error.open => {
            // Either Sentinel's own call succeeded and its response was lost, or someone else was faster. A read shows which.
            match describe(api, alias, &[]).await {
                Ok(found) if found.key_id() == *id => {}
                Ok(found) => {
                    let other = arn(&found);
                    return Ok(StepOutcome::Conflict(format!(
                        "someone else moved {alias} to the key {other} meanwhile; the new key {id} has no alias and \
                         is not needed: run aws kms schedule-key-deletion --key-id {id}"
                    )));
                }
                Err(_) => return Err(orphan(error)),
            }
        }
        Err(error) => return Err(orphan(error)),
    }
    let found = describe(api, alias, SETTLING).await?;
    if found.key_id() == *id {
        return Ok(StepOutcome::Done);
    }
    Ok(StepOutcome::Conflict(format!("someone else moved {alias} to the key {} meanwhile", arn(&found))))
}
