//! KMS keys and aliases, with AWS's limits and texts. Nothing can be encrypted: keys are only described.

mod rules;

use std::collections::BTreeMap;

use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Region;
use super::answer::{Answer, Failure, parse};
use super::store::{keep, object, objects, remove};
use super::tagging::Tagged;

const KEY: &str = "kms key";
const ALIAS: &str = "kms alias";
/// The AWS managed keys: the alias and ID of each. They exist when they are first requested. Source: DescribeKey in the AWS Key Management
/// Service API Reference.
const OF_AWS: &[(&str, &str)] = &[
    ("alias/aws/dynamodb", "5e11ab1e-0000-4000-8000-a115a4a6ed00"),
    ("alias/aws/sns", "5e11ab1e-0000-4000-8000-a115a4a6ed01"),
    ("alias/aws/ssm", "5e11ab1e-0000-4000-8000-a115a4a6ed02"),
];
const DAY: i64 = 24 * 3600 * 1000;

pub(super) fn answer(region: &Region, operation: &str, body: &[u8]) -> Result<Answer, Failure> {
    let body = &parse(body)?;
    let store = &region.store;
    let answer = match operation {
        "CreateKey" => store.write(|store| create_key(region, store, body)),
        "DescribeKey" => store.read(|store| Ok(json!({ "KeyMetadata": named(region, store, body)?.metadata(region) }))),
        "ListKeys" => store.read(|store| list_keys(region, store, body)),
        "CreateAlias" => store.write(|store| create_alias(region, store, body)),
        "UpdateAlias" => store.write(|store| update_alias(region, store, body)),
        "DeleteAlias" => store.write(|store| delete_alias(region, store, body)),
        "ListAliases" => store.read(|store| list_aliases(region, store, body)),
        "GetKeyPolicy" => store.read(|store| {
            rules::check_policy_name(body)?;
            Ok(json!({ "Policy": exact(region, store, body)?.policy, "PolicyName": "default" }))
        }),
        "GetKeyRotationStatus" => store.read(|store| Ok(rotation(region, &exact(region, store, body)?))),
        "ListResourceTags" => store.read(|store| {
            let tags = exact(region, store, body)?.tags.into_iter();
            let tags: Vec<Value> = tags.map(|(key, value)| json!({ "TagKey": key, "TagValue": value })).collect();
            Ok(json!({ "Tags": tags, "Truncated": false }))
        }),
        "PutKeyPolicy" => change(region, body, |key| {
            rules::check_policy_name(body)?;
            let policy = body["Policy"].as_str().unwrap_or_default();
            rules::check_policy(policy, &region.account)?;
            key.policy = policy.to_owned();
            Ok(json!({}))
        }),
        "EnableKeyRotation" => change(region, body, |key| {
            key.rotation_days = Some(rules::rotation_days(body)?);
            Ok(json!({}))
        }),
        "DisableKeyRotation" => change(region, body, |key| {
            key.rotation_days = None;
            Ok(json!({}))
        }),
        "UpdateKeyDescription" => change(region, body, |key| {
            key.description = rules::description(body)?;
            Ok(json!({}))
        }),
        "TagResource" => change(region, body, |key| {
            key.tags.extend(rules::tags(body)?);
            rules::check_tag_count(key.tags.len())?;
            Ok(json!({}))
        }),
        "UntagResource" => change(region, body, |key| {
            for tag in body["TagKeys"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                key.tags.remove(tag);
            }
            Ok(json!({}))
        }),
        "EnableKey" | "DisableKey" => change(region, body, |key| {
            key.disabled = operation == "DisableKey";
            Ok(json!({}))
        }),
        "ScheduleKeyDeletion" => change(region, body, |key| {
            let days = rules::pending_days(body)?;
            key.deletion = Some(region.clock.now() + days * DAY);
            let (arn, date) = (key.arn(region), key.deletion.map(seconds));
            Ok(json!({ "KeyId": arn, "DeletionDate": date, "KeyState": key.state(), "PendingWindowInDays": days }))
        }),
        "CancelKeyDeletion" => cancel_deletion(region, body),
        other => Err(Failure::unsupported(&format!("kms:{other}"))),
    }?;
    Ok(Answer::json(&answer))
}

/// A key, as it is stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Key {
    id: String,
    created: i64,
    description: String,
    policy: String,
    multi_region: bool,
    disabled: bool,
    /// When it will be deleted, if it is scheduled for deletion.
    deletion: Option<i64>,
    rotation_days: Option<i64>,
    tags: BTreeMap<String, String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Alias {
    key: String,
    created: i64,
}

impl Key {
    fn arn(&self, region: &Region) -> String {
        region.arn("kms", &format!("key/{}", self.id))
    }

    fn state(&self) -> &'static str {
        match () {
            () if self.deletion.is_some() => "PendingDeletion",
            () if self.disabled => "Disabled",
            () => "Enabled",
        }
    }

    fn metadata(&self, region: &Region) -> Value {
        let mut metadata = json!({
            "AWSAccountId": region.account,
            "KeyId": self.id,
            "Arn": self.arn(region),
            "CreationDate": seconds(self.created),
            "Enabled": self.state() == "Enabled",
            "Description": self.description,
            "KeyUsage": "ENCRYPT_DECRYPT",
            "KeyState": self.state(),
            "Origin": "AWS_KMS",
            "KeyManager": if OF_AWS.iter().any(|(_, id)| *id == self.id) { "AWS" } else { "CUSTOMER" },
            "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
            "KeySpec": "SYMMETRIC_DEFAULT",
            "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
            "MultiRegion": self.multi_region,
        });
        if let Some(deletion) = self.deletion {
            metadata["DeletionDate"] = json!(seconds(deletion));
        }
        metadata
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit a double for 285,000 years")]
fn seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}

fn not_found(message: String) -> Failure {
    Failure::new("NotFoundException", message)
}

fn alias_not_found(region: &Region, alias: &str) -> Failure {
    not_found(format!("Alias {} is not found.", region.arn("kms", alias)))
}

/// Returns the alias name of a name or an ARN.
fn alias_name(region: &Region, named: &str) -> Option<String> {
    let name = named.strip_prefix(&region.arn("kms", "")).unwrap_or(named);
    name.starts_with("alias/").then(|| name.to_owned())
}

fn key_id(body: &Value) -> Result<&str, Failure> {
    body["KeyId"].as_str().filter(|id| !id.is_empty()).ok_or_else(|| {
        Failure::validation(
            "1 validation error detected: Value null at 'keyId' failed to satisfy constraint: Member must not be null",
        )
    })
}

fn load(region: &Region, store: &Connection, named: &str) -> Result<Key, Failure> {
    let ours = region.arn("kms", "key/");
    let id = named.strip_prefix(&ours).unwrap_or(named);
    let key: Option<Key> = object(store, KEY, id)?;
    // The waiting period is over.
    let is_deleted = key.as_ref().and_then(|key| key.deletion).is_some_and(|at| at <= region.clock.now());
    let arn = if named.starts_with("arn:") { named.to_owned() } else { format!("{ours}{named}") };
    key.filter(|_| !is_deleted).ok_or_else(|| not_found(format!("Key '{arn}' does not exist")))
}

/// Returns the key of a name, which may be an alias.
fn find(region: &Region, store: &Connection, named: &str) -> Result<Key, Failure> {
    let name = alias_name(region, named);
    let is_meant = |(alias, id): &&(&str, &str)| {
        name.as_deref() == Some(*alias) || named == *id || named == region.arn("kms", &format!("key/{id}"))
    };
    if let Some((_, id)) = OF_AWS.iter().find(is_meant) {
        return Ok(of_aws(region, id));
    }
    match name {
        None => load(region, store, named),
        Some(name) => {
            let alias: Option<Alias> = object(store, ALIAS, &name)?;
            let alias = alias.ok_or_else(|| alias_not_found(region, &name))?;
            load(region, store, &alias.key)
        }
    }
}

/// Returns an AWS managed key, which is not stored.
fn of_aws(region: &Region, id: &str) -> Key {
    Key {
        id: id.to_owned(),
        created: region.clock.now(),
        description: String::from("Default key that protects the data of a service when no other key is defined"),
        policy: rules::default_policy(&region.account),
        multi_region: false,
        disabled: false,
        deletion: None,
        rotation_days: Some(365),
        tags: BTreeMap::new(),
    }
}

/// A key, for permission checks.
pub(super) struct KnownKey {
    pub(super) arn: String,
    pub(super) aliases: Vec<String>,
}

/// Returns the key of a name, if it exists.
pub(super) fn known(region: &Region, named: &str) -> Option<KnownKey> {
    let find = |store: &Connection| -> Result<KnownKey, Failure> {
        let key = find(region, store, named)?;
        let aliases = objects::<Alias>(store, ALIAS)?.into_iter().filter(|(_, alias)| alias.key == key.id);
        let of_aws = OF_AWS.iter().filter(|(_, id)| *id == key.id).map(|(alias, _)| (*alias).to_owned());
        let aliases = aliases.map(|(name, _)| name).chain(of_aws).collect();
        Ok(KnownKey { arn: key.arn(region), aliases })
    };
    region.store.read(find).ok()
}

fn named(region: &Region, store: &Connection, body: &Value) -> Result<Key, Failure> {
    find(region, store, key_id(body)?)
}

/// Returns the key for an operation that does not accept aliases.
fn exact(region: &Region, store: &Connection, body: &Value) -> Result<Key, Failure> {
    let named = key_id(body)?;
    if alias_name(region, named).is_some() {
        return Err(not_found(format!("Invalid keyId {named}")));
    }
    load(region, store, named)
}

/// Returns the ARN of the AWS managed key for tables.
pub(super) fn managed_for_tables(region: &Region) -> String {
    let of_tables = OF_AWS.iter().find(|(alias, _)| *alias == "alias/aws/dynamodb");
    region.arn("kms", &format!("key/{}", of_tables.map_or("", |(_, id)| id)))
}

/// Returns the ARN of the key that another service uses.
pub(super) fn usable(region: &Region, store: &Connection, named: &str) -> Result<String, Failure> {
    // A key that is named by ID or ARN may belong to another account.
    if alias_name(region, named).is_none()
        && !OF_AWS.iter().any(|(_, id)| named.ends_with(id))
        && object::<Key>(store, KEY, named.rsplit('/').next().unwrap_or(named))?.is_none()
    {
        let arn = || region.arn("kms", &format!("key/{named}"));
        return Ok(if named.starts_with("arn:") { named.to_owned() } else { arn() });
    }
    let refused = |failure: &str| Failure::validation(format!("KMS validation error: {failure}"));
    let key = find(region, store, named).map_err(|failure| {
        refused(&format!("com.amazonaws.services.kms.model.NotFoundException: {}", failure.message()))
    })?;
    match key.state() {
        "Enabled" => Ok(key.arn(region)),
        "Disabled" => Err(refused(&format!(
            "com.amazonaws.services.kms.model.DisabledException: {} is disabled.",
            key.arn(region)
        ))),
        _ => Err(refused(&format!(
            "com.amazonaws.services.kms.model.KMSInvalidStateException: {} is pending deletion.",
            key.arn(region)
        ))),
    }
}

/// Changes a key, unless it is scheduled for deletion.
fn change(
    region: &Region,
    body: &Value,
    work: impl FnOnce(&mut Key) -> Result<Value, Failure>,
) -> Result<Value, Failure> {
    region.store.write(|store| {
        let mut key = exact(region, store, body)?;
        if key.deletion.is_some() {
            let message = format!("{} is pending deletion.", key.arn(region));
            return Err(Failure::new("KMSInvalidStateException", message));
        }
        let answer = work(&mut key)?;
        keep(store, KEY, &key.id, &key)?;
        Ok(answer)
    })
}

fn cancel_deletion(region: &Region, body: &Value) -> Result<Value, Failure> {
    region.store.write(|store| {
        let mut key = exact(region, store, body)?;
        if key.deletion.take().is_none() {
            let message = format!("{} is not pending deletion.", key.arn(region));
            return Err(Failure::new("KMSInvalidStateException", message));
        }
        // Canceling the deletion of a key disables it.
        key.disabled = true;
        keep(store, KEY, &key.id, &key)?;
        Ok(json!({ "KeyId": key.arn(region) }))
    })
}

fn create_key(region: &Region, store: &Connection, body: &Value) -> Result<Value, Failure> {
    for (setting, only) in [("KeySpec", "SYMMETRIC_DEFAULT"), ("KeyUsage", "ENCRYPT_DECRYPT"), ("Origin", "AWS_KMS")] {
        if body[setting].as_str().is_some_and(|value| value != only) {
            return Err(Failure::unsupported(&format!("keys with another {setting} than {only}")));
        }
    }
    let policy = match body["Policy"].as_str() {
        Some(policy) => {
            rules::check_policy(policy, &region.account)?;
            policy.to_owned()
        }
        None => rules::default_policy(&region.account),
    };
    let tags = rules::tags(body)?;
    rules::check_tag_count(tags.len())?;
    let multi_region = body["MultiRegion"] == json!(true);
    let random = fastrand::u128(..);
    let digits = format!("{random:032x}");
    let id = if multi_region {
        format!("mrk-{digits}")
    } else {
        let parts = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
        parts.join("-")
    };
    let key = Key {
        id,
        created: region.clock.now(),
        description: rules::description(body)?,
        policy,
        multi_region,
        disabled: false,
        deletion: None,
        rotation_days: None,
        tags,
    };
    keep(store, KEY, &key.id, &key)?;
    Ok(json!({ "KeyMetadata": key.metadata(region) }))
}

fn rotation(region: &Region, key: &Key) -> Value {
    let arn = key.arn(region);
    match key.rotation_days.filter(|_| key.deletion.is_none()) {
        None => json!({ "KeyId": arn, "KeyRotationEnabled": false }),
        Some(days) => {
            let next = seconds(key.created + days * DAY);
            json!({ "KeyId": arn, "KeyRotationEnabled": true, "RotationPeriodInDays": days, "NextRotationDate": next })
        }
    }
}

fn create_alias(region: &Region, store: &Connection, body: &Value) -> Result<Value, Failure> {
    let name = body["AliasName"].as_str().unwrap_or_default();
    rules::check_alias(name)?;
    if object::<Alias>(store, ALIAS, name)?.is_some() {
        let message = format!("An alias with the name {} already exists", region.arn("kms", name));
        return Err(Failure::new("AlreadyExistsException", message));
    }
    point(region, store, name, body)
}

fn update_alias(region: &Region, store: &Connection, body: &Value) -> Result<Value, Failure> {
    let name = body["AliasName"].as_str().unwrap_or_default();
    rules::check_alias(name)?;
    if object::<Alias>(store, ALIAS, name)?.is_none() {
        return Err(alias_not_found(region, name));
    }
    point(region, store, name, body)
}

fn point(region: &Region, store: &Connection, name: &str, body: &Value) -> Result<Value, Failure> {
    let target = body["TargetKeyId"].as_str().unwrap_or_default();
    if alias_name(region, target).is_some() {
        return Err(Failure::validation("Aliases must refer to keys. Not aliases"));
    }
    let key = load(region, store, target)?;
    if key.deletion.is_some() {
        let message = format!("{} is pending deletion.", key.arn(region));
        return Err(Failure::new("KMSInvalidStateException", message));
    }
    keep(store, ALIAS, name, &Alias { key: key.id, created: region.clock.now() })?;
    Ok(json!({}))
}

fn delete_alias(region: &Region, store: &Connection, body: &Value) -> Result<Value, Failure> {
    let name = body["AliasName"].as_str().unwrap_or_default();
    if object::<Alias>(store, ALIAS, name)?.is_none() {
        return Err(alias_not_found(region, name));
    }
    remove(store, ALIAS, name)?;
    Ok(json!({}))
}

fn list_keys(region: &Region, store: &Connection, body: &Value) -> Result<Value, Failure> {
    let keys = objects::<Key>(store, KEY)?.into_iter();
    let list = keys.map(|(id, key)| (id, json!({ "KeyId": key.id, "KeyArn": key.arn(region) }))).collect();
    rules::page(body, "Keys", list, 100, 1000)
}

/// Returns the tags of all keys, by ARN.
pub(super) fn tagged(region: &Region) -> Result<Tagged, Failure> {
    let keys = region.store.read(|store| objects::<Key>(store, KEY))?;
    Ok(keys.into_iter().map(|(_, key)| (key.arn(region), key.tags)).collect())
}

fn list_aliases(region: &Region, store: &Connection, body: &Value) -> Result<Value, Failure> {
    let of = match body["KeyId"].as_str() {
        Some(_) => Some(exact(region, store, body)?.id),
        None => None,
    };
    let aliases = objects::<Alias>(store, ALIAS)?.into_iter();
    let list = aliases.filter(|(_, alias)| of.as_ref().is_none_or(|id| *id == alias.key)).map(|(name, alias)| {
        let shown = json!({
            "AliasName": name,
            "AliasArn": region.arn("kms", &name),
            "TargetKeyId": alias.key,
            "CreationDate": seconds(alias.created),
            "LastUpdatedDate": seconds(alias.created),
        });
        (name, shown)
    });
    rules::page(body, "Aliases", list.collect(), 50, 100)
}
