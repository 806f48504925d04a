//! The KMS calls.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use aws_sdk_kms::Client;
use aws_sdk_kms::error::BuildError;
use aws_sdk_kms::types::{KeyManagerType, KeyMetadata, KeySpec, KeyUsageType, Tag};
use aws_types::SdkConfig;
use futures_util::future::{self, OptionFuture};

use super::create::create;
use super::name::is_of_aws;
use super::{
    DESCRIBE_KEY, DISABLE_KEY_ROTATION, ENABLE_KEY_ROTATION, GET_KEY_POLICY, GET_KEY_ROTATION_STATUS, Key, KeyStep,
    LIST_ALIASES, LIST_RESOURCE_TAGS, PUT_KEY_POLICY, Rotation, TAG_RESOURCE, UNTAG_RESOURCE, UPDATE_KEY_DESCRIPTION,
};
use crate::kind::document::PolicyDocument;
use crate::kind::{Address, Desired, KindId, Search, Unlisted};
use crate::resource::call::{CallError, Class, Operation};
use crate::resource::names::OwnerKey;
use crate::resource::pacer::Pacer;
use crate::resource::{Facts, Gap, Live, OWNER, Observed, StepOutcome, Tags, take_owner};

/// The result of resolving an alias: the ARN of its key, or none.
type ResolvedAlias = Result<Option<String>, CallError>;

/// Makes the calls for keys.
#[derive(Debug, Clone)]
pub struct KeyApi {
    pub(super) client: Client,
    pub(super) pacer: Arc<Pacer>,
    /// Held while a key is created, so that after a lost response, a new key without an alias belongs to this creation.
    pub(super) creation: Arc<tokio::sync::Mutex<()>>,
    /// The cached keys of AWS's own aliases, which never change.
    of_aws: Arc<tokio::sync::Mutex<HashMap<String, ResolvedAlias>>>,
}

impl KeyApi {
    /// Returns the client for a connection. Makes no call.
    pub fn new(config: &SdkConfig, pacer: &Arc<Pacer>) -> Self {
        Self { client: Client::new(config), pacer: Arc::clone(pacer), creation: Arc::default(), of_aws: Arc::default() }
    }
}

pub(super) fn failed(operation: Operation, class: Class, message: impl Into<String>) -> CallError {
    CallError::new(operation, class, message.into())
}

/// Returns the ARN of an alias's key, if the alias exists. Other services return ARNs for the aliases they were given.
pub async fn resolve_alias(api: &KeyApi, alias: &str) -> Result<Option<String>, CallError> {
    if !is_of_aws(alias) {
        return resolve(api, alias).await;
    }
    // Concurrent callers wait for one response.
    let mut known = api.of_aws.lock().await;
    if let Some(known) = known.get(alias) {
        return known.clone();
    }
    let answer = resolve(api, alias).await;
    // A temporary failure is not cached.
    if answer.as_ref().is_ok_and(Option::is_some) || answer.as_ref().is_err_and(|error| error.class == Class::Denied) {
        known.insert(alias.to_owned(), answer.clone());
    }
    answer
}

async fn resolve(api: &KeyApi, alias: &str) -> Result<Option<String>, CallError> {
    match describe(api, alias, &[]).await {
        Ok(found) => Ok(found.arn),
        Err(error) if error.class == Class::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Describes a key by its alias, ID or ARN.
pub(super) async fn describe(api: &KeyApi, key: &str, passes: &[Class]) -> Result<KeyMetadata, CallError> {
    let call = || api.client.describe_key().key_id(key).send();
    let answer = api.pacer.call(DESCRIBE_KEY, passes, call).await?;
    answer.key_metadata.ok_or_else(|| failed(DESCRIBE_KEY, Class::Rejected, "the answer contains no key"))
}

/// Returns the ARN of a key, for operations that do not accept aliases.
pub(super) fn arn(found: &KeyMetadata) -> &str {
    found.arn().unwrap_or(found.key_id())
}

/// Reads all managed settings of a key.
pub(super) async fn observe(api: &KeyApi, desired: &Desired<Key>) -> Observed<Key> {
    let found = match describe(api, &desired.name, &[]).await {
        Ok(found) => found,
        Err(error) if error.class == Class::NotFound => return Observed::Absent,
        Err(error) => return Observed::Unknown(Gap::new(None, &error)),
    };
    let key = arn(&found).to_owned();
    let managed = &desired.managed;
    let tagged = managed.tags.is_some() || desired.adopt;
    let policy: OptionFuture<_> = managed.policy.as_ref().map(|_| read_policy(api, &key)).into();
    let rotation: OptionFuture<_> = managed.rotation.map(|_| read_rotation(api, &key)).into();
    let tags: OptionFuture<_> = tagged.then(|| read_tags(api, &key)).into();
    let (policy, rotation, tags) = future::join3(policy, rotation, tags).await;
    let mut facts =
        Facts { status: found.key_state().map(|state| state.as_str().to_owned()), arn: Some(key), ..Facts::default() };
    let mut state = Key {
        description: Some(found.description().unwrap_or_default().to_owned()),
        multi_region: Some(found.multi_region().unwrap_or(false)),
        unlike: unlike(&found),
        ..Key::default()
    };
    let mut gaps = Vec::new();
    let mut gap = |path: &str, error: CallError| gaps.push(Gap::new(Some(path), &error));
    match policy {
        Some(Ok(found)) => state.policy = Some(found),
        Some(Err(error)) => gap("policy", error),
        None => {}
    }
    match rotation {
        Some(Ok(found)) => state.rotation = Some(found),
        Some(Err(error)) => gap("rotation", error),
        None => {}
    }
    match tags {
        Some(Ok(mut found)) => {
            take_owner(&mut found, desired.ownership.as_deref(), &mut facts);
            state.tags = Some(found);
        }
        Some(Err(error)) => gap("tags", error),
        None => {}
    }
    Observed::Present(Live { state, facts, gaps })
}

/// Returns a key's type if it is not a symmetric encryption key of the account. Such a key encrypts no table or topic, and its type cannot
/// change.
fn unlike(found: &KeyMetadata) -> Option<String> {
    if found.key_manager() == Some(&KeyManagerType::Aws) {
        return Some(String::from("a key that AWS manages"));
    }
    let spec = found.key_spec().unwrap_or(&KeySpec::SymmetricDefault);
    let usage = found.key_usage().unwrap_or(&KeyUsageType::EncryptDecrypt);
    let symmetric = *spec == KeySpec::SymmetricDefault && *usage == KeyUsageType::EncryptDecrypt;
    (!symmetric).then(|| format!("{spec} for {usage}"))
}

async fn read_policy(api: &KeyApi, key: &str) -> Result<PolicyDocument, CallError> {
    // A key has one policy, with this name. Source: GetKeyPolicy in the AWS Key Management Service API Reference.
    let call = || api.client.get_key_policy().key_id(key).policy_name("default").send();
    let answer = api.pacer.call(GET_KEY_POLICY, &[], call).await?;
    Ok(PolicyDocument::from_aws(answer.policy().unwrap_or_default()))
}

async fn read_rotation(api: &KeyApi, key: &str) -> Result<Rotation, CallError> {
    let call = || api.client.get_key_rotation_status().key_id(key).send();
    let answer = api.pacer.call(GET_KEY_ROTATION_STATUS, &[], call).await?;
    // The default is a year, and some emulators omit it.
    let days = answer.rotation_period_in_days().and_then(|days| u16::try_from(days).ok()).unwrap_or(365);
    Ok(if answer.key_rotation_enabled() { Rotation::Days(days) } else { Rotation::Off })
}

pub(super) async fn read_tags(api: &KeyApi, key: &str) -> Result<Tags, CallError> {
    let mut tags = Tags::new();
    let mut marker: Option<String> = None;
    loop {
        let call = || api.client.list_resource_tags().key_id(key).set_marker(marker.clone()).send();
        let answer = api.pacer.call(LIST_RESOURCE_TAGS, &[], call).await?;
        tags.extend(answer.tags.unwrap_or_default().into_iter().map(|tag| (tag.tag_key, tag.tag_value)));
        marker = answer.next_marker.filter(|marker| answer.truncated && !marker.is_empty());
        if marker.is_none() {
            return Ok(tags);
        }
    }
}

/// The maximum number of pages of aliases, with 100 each.
const PAGES: usize = 100;

/// An alias, and the ID of its key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Alias {
    pub(super) name: String,
    pub(super) key: Option<String>,
}

/// Returns every alias, including AWS's own.
pub(super) async fn aliases(api: &KeyApi) -> Result<Vec<Alias>, CallError> {
    let mut found = Vec::new();
    let mut marker: Option<String> = None;
    for _ in 0..PAGES {
        let call = || api.client.list_aliases().limit(100).set_marker(marker.clone()).send();
        let answer = api.pacer.call(LIST_ALIASES, &[], call).await?;
        let page = answer.aliases.unwrap_or_default().into_iter();
        found.extend(page.filter_map(|entry| Some(Alias { name: entry.alias_name?, key: entry.target_key_id })));
        marker = answer.next_marker.filter(|marker| answer.truncated && !marker.is_empty());
        if marker.is_none() {
            return Ok(found);
        }
    }
    Err(failed(LIST_ALIASES, Class::Rejected, "there are more than 10,000 aliases; not all were read"))
}

/// Finds keys that the manifest does not list, by their aliases. Keys are never deleted.
pub(super) async fn unlisted(api: &KeyApi, search: &Search<'_>) -> Unlisted {
    let mut unlisted = Unlisted { kind: KindId::Key, owned: Vec::new(), unmanaged: Vec::new(), gaps: Vec::new() };
    match aliases(api).await {
        Ok(found) => {
            let own = found.into_iter().map(|alias| alias.name).filter(|alias| !alias.starts_with("alias/aws/"));
            let unnamed = own.filter(|alias| !search.names(KindId::Key, alias));
            let within = |alias: &String| {
                (search.holds)(&Address::new(KindId::Key, alias.trim_start_matches("alias/").to_owned()))
            };
            unlisted.unmanaged = unnamed.filter(within).collect();
            unlisted.unmanaged.sort();
        }
        Err(error) => unlisted.gaps.push(Gap::new(Some("keys not in the manifest"), &error)),
    }
    unlisted
}

/// The maximum number of keys whose tags are read to find their owner: KMS has no list of tagged keys, so each takes a call.
const TAGS_READ: usize = 100;

/// Returns one alias of each key that carries the ownership tag, and the failed reads.
pub(super) async fn owned(api: &KeyApi, ownership: &OwnerKey) -> (Vec<String>, Vec<Gap>) {
    let what = Some("keys");
    let mut found = match aliases(api).await {
        Ok(found) => found,
        Err(error) => return (Vec::new(), vec![Gap::new(what, &error)]),
    };
    found.retain(|alias| !alias.name.starts_with("alias/aws/"));
    found.sort();
    let mut keys: BTreeMap<String, String> = BTreeMap::new();
    for Alias { name, key } in found {
        if let Some(key) = key {
            keys.entry(key).or_insert(name);
        }
    }
    let mut gaps = Vec::new();
    if let Some(more) = keys.len().checked_sub(TAGS_READ).filter(|more| *more > 0) {
        let message = format!("only the tags of {TAGS_READ} keys were read, and those of {more} more were not");
        gaps.push(Gap::new(what, &failed(LIST_RESOURCE_TAGS, Class::Rejected, message)));
    }
    let keys: Vec<(String, String)> = keys.into_iter().take(TAGS_READ).collect();
    let read = future::join_all(keys.iter().map(|(key, _)| read_tags(api, key))).await;
    let mut owned = Vec::new();
    for ((_, alias), tags) in keys.into_iter().zip(read) {
        match tags {
            Ok(tags) if tags.get(ownership.as_str()).map(String::as_str) == Some(OWNER) => owned.push(alias),
            Ok(_) => {}
            Err(error) if error.class == Class::NotFound => {}
            Err(error) => {
                // One gap for all reads that fail for the same reason.
                let gap = Gap::new(what, &error);
                let known = gaps.iter().any(|one| one.action == gap.action && one.denied == gap.denied);
                gaps.extend((!known).then_some(gap));
            }
        }
    }
    owned.sort();
    (owned, gaps)
}

/// Temporary failures for an existing key: it has not propagated.
pub(super) const SETTLING: &[Class] = &[Class::NotFound];

/// Runs one step.
pub(super) async fn execute(api: &KeyApi, step: &KeyStep) -> Result<StepOutcome, CallError> {
    let (alias, expects) = match step {
        KeyStep::CreateKey { name, key } => return create(api, name, key).await,
        KeyStep::SetKeyRotation { name, key, .. } => (name, key.as_deref()),
        KeyStep::SetKeyDescription { name, key, .. }
        | KeyStep::PutKeyPolicy { name, key, .. }
        | KeyStep::TagKey { name, key, .. }
        | KeyStep::UntagKey { name, key, .. } => (name, Some(key.as_str())),
    };
    let found = describe(api, alias, SETTLING).await?;
    let key = arn(&found);
    if let Some(expects) = expects.filter(|expects| *expects != key) {
        return Ok(StepOutcome::Conflict(format!(
            "someone else moved {alias} to another key: it was {expects} and is {key}; neither was changed"
        )));
    }
    change(api, key, step).await?;
    Ok(StepOutcome::Done)
}

/// Makes the change of a step. Each change sets a state, so repeating it has no effect.
async fn change(api: &KeyApi, key: &str, step: &KeyStep) -> Result<(), CallError> {
    let (client, pacer) = (&api.client, &api.pacer);
    match step {
        KeyStep::CreateKey { .. } => {}
        KeyStep::SetKeyDescription { description, .. } => {
            let call = || client.update_key_description().key_id(key).description(description).send();
            pacer.call(UPDATE_KEY_DESCRIPTION, SETTLING, call).await?;
        }
        KeyStep::PutKeyPolicy { policy, .. } => {
            let text = policy.to_json();
            let call = || client.put_key_policy().key_id(key).policy_name("default").policy(&text).send();
            pacer.call(PUT_KEY_POLICY, SETTLING, call).await?;
        }
        KeyStep::SetKeyRotation { rotation, .. } => {
            let days = match rotation {
                Rotation::Off => {
                    let call = || client.disable_key_rotation().key_id(key).send();
                    pacer.call(DISABLE_KEY_ROTATION, SETTLING, call).await?;
                    return Ok(());
                }
                Rotation::On => None,
                Rotation::Days(days) => Some(i32::from(*days)),
            };
            let call = || client.enable_key_rotation().key_id(key).set_rotation_period_in_days(days).send();
            pacer.call(ENABLE_KEY_ROTATION, SETTLING, call).await?;
        }
        KeyStep::TagKey { tags, .. } => {
            let tags = sdk_tags(tags).map_err(|error| failed(TAG_RESOURCE, Class::Rejected, error.to_string()))?;
            let call = || client.tag_resource().key_id(key).set_tags(Some(tags.clone())).send();
            pacer.call(TAG_RESOURCE, SETTLING, call).await?;
        }
        KeyStep::UntagKey { keys, .. } => {
            let call = || client.untag_resource().key_id(key).set_tag_keys(Some(keys.clone())).send();
            pacer.call(UNTAG_RESOURCE, SETTLING, call).await?;
        }
    }
    Ok(())
}

pub(super) fn sdk_tags(tags: &Tags) -> Result<Vec<Tag>, BuildError> {
    tags.iter().map(|(key, value)| Tag::builder().tag_key(key).tag_value(value).build()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(spec: KeySpec, usage: KeyUsageType, manager: KeyManagerType) -> KeyMetadata {
        let key = KeyMetadata::builder().key_id("1234-5678").key_spec(spec).key_usage(usage).key_manager(manager);
        key.build().unwrap()
    }

    #[test]
    fn signing_keys_and_aws_managed_keys_are_detected() {
        let usual = key(KeySpec::SymmetricDefault, KeyUsageType::EncryptDecrypt, KeyManagerType::Customer);
        let signs = key(KeySpec::Rsa2048, KeyUsageType::SignVerify, KeyManagerType::Customer);
        let managed = key(KeySpec::SymmetricDefault, KeyUsageType::EncryptDecrypt, KeyManagerType::Aws);
        assert_eq!(unlike(&usual), None);
        assert_eq!(unlike(&signs).as_deref(), Some("RSA_2048 for SIGN_VERIFY"));
        assert_eq!(unlike(&managed).as_deref(), Some("a key that AWS manages"));
    }
}
