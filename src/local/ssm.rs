//! Parameter Store, with AWS's limits and texts. Unsupported parts of a request are refused, never ignored.

mod find;
mod labels;
mod policies;
mod rules;
mod stored;
mod tags;

use rusqlite::Connection;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Region;
use super::answer::{Answer, Failure, parse};
use super::kms;
use super::tagging::Tagged;
use stored::{Reference, Settings, Stored, VersionPage};

/// The maximum number of versions.
const HISTORY: usize = 100;

/// The AWS managed key that encrypts a secret by default.
const DEFAULT_KEY: &str = "alias/aws/ssm";

/// Returns the tags of all parameters with tags, by ARN.
pub(super) fn tagged(region: &Region) -> Result<Tagged, Failure> {
    tags::of_all(region)
}

/// A request with its caller.
pub(super) struct Call<'a> {
    /// The caller's ARN.
    pub(super) caller: String,
    pub(super) body: &'a [u8],
}

pub(super) fn answer(region: &Region, operation: &str, call: &Call<'_>) -> Result<Answer, Failure> {
    let body = parse(call.body)?;
    let answer = match operation {
        "PutParameter" => put(region, &call.caller, read(operation, body)?),
        "GetParameter" => get(region, read(operation, body)?),
        "GetParameters" => get_many(region, read(operation, body)?),
        "GetParametersByPath" => find::by_path(region, read(operation, body)?),
        "GetParameterHistory" => history(region, read(operation, body)?),
        "DescribeParameters" => find::describe(region, read(operation, body)?),
        "DeleteParameter" => delete(region, read(operation, body)?),
        "DeleteParameters" => delete_many(region, read(operation, body)?),
        "LabelParameterVersion" => labels::label(region, read(operation, body)?),
        "UnlabelParameterVersion" => labels::unlabel(region, read(operation, body)?),
        "AddTagsToResource" => tags::add(region, read(operation, body)?),
        "RemoveTagsFromResource" => tags::remove(region, read(operation, body)?),
        "ListTagsForResource" => tags::list(region, read(operation, body)?),
        other => Err(Failure::unsupported(&format!("ssm:{other}"))),
    }?;
    Ok(Answer::json(&answer))
}

/// Reads a request. Unknown members are refused.
fn read<T: for<'de> Deserialize<'de>>(operation: &str, body: Value) -> Result<T, Failure> {
    serde_json::from_value(body).map_err(|error| {
        let error = error.to_string();
        match error.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next()) {
            Some(field) => Failure::unsupported(&format!("{field} of ssm:{operation}")),
            None => Failure::validation(error),
        }
    })
}

fn not_found(name: &str) -> Failure {
    Failure::new("ParameterNotFound", format!("Parameter {name} not found."))
}

fn version_not_found(version: &str, name: &str) -> Failure {
    let message =
        format!("Systems Manager could not find version {version} of {name}. Verify the version and try again.");
    Failure::new("ParameterVersionNotFound", message)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Tag {
    key: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Put {
    name: String,
    value: String,
    r#type: Option<String>,
    #[serde(default)]
    overwrite: bool,
    tier: Option<String>,
    description: Option<String>,
    key_id: Option<String>,
    allowed_pattern: Option<String>,
    data_type: Option<String>,
    policies: Option<String>,
    #[serde(default)]
    tags: Vec<Tag>,
}

fn put(region: &Region, caller: &str, request: Put) -> Result<Value, Failure> {
    let (reference, _) = Reference::parse(region, &request.name);
    rules::check_name(reference.name(), &stored::arn(region, reference.name()))?;
    if !request.tags.is_empty() && request.overwrite {
        return Err(Failure::validation(
            "Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please \
             remove overwrite flag. To update tags for an existing parameter, please use AddTagsToResource or \
             RemoveTagsFromResource.",
        ));
    }
    rules::check_tags(request.tags.iter().map(|tag| (tag.key.as_str(), tag.value.as_str())))?;
    let now = region.clock.now();
    region.store.write(|store| {
        let before = reference.latest(store)?;
        let name = before.as_ref().map_or(reference.name(), |before| &before.name).to_owned();
        if before.is_some() && !request.overwrite {
            return Err(Failure::new(
                "ParameterAlreadyExists",
                "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.",
            ));
        }
        let mut settings = settings(region, store, &request, before.as_ref())?;
        settings.author = Some(caller.to_owned());
        rules::check_value(&request.value, &settings.tier)?;
        rules::check_pattern(&request.value, settings.allowed_pattern.as_deref())?;
        let version = match &before {
            Some(before) => {
                make_room(store, &name)?;
                before.version + 1
            }
            None => 1,
        };
        let tier = settings.tier.clone();
        Stored { name: name.clone(), version, value: request.value.clone(), modified: now, settings }.save(store)?;
        for tag in &request.tags {
            tags::set(store, &name, tag)?;
        }
        Ok(json!({ "Version": version, "Tier": tier }))
    })
}

/// Returns the settings of a new version. Settings that the request omits are kept.
fn settings(region: &Region, store: &Connection, request: &Put, before: Option<&Stored>) -> Result<Settings, Failure> {
    let old = before.map(|before| &before.settings);
    let kind = match (&request.r#type, old) {
        (Some(kind), Some(old)) if *kind != old.kind => {
            return Err(Failure::new(
                "HierarchyTypeMismatchException",
                format!(
                    "Parameter Store does not support changing a parameter type: {} is a {}.",
                    request.name, old.kind
                ),
            ));
        }
        (Some(kind), _) => kind.clone(),
        (None, Some(old)) => old.kind.clone(),
        (None, None) => {
            return Err(Failure::validation("A parameter type is required when you create a parameter."));
        }
    };
    rules::check_type(&kind)?;
    let kept = |own: &Option<String>, old: Option<&Option<String>>| own.clone().or_else(|| old.cloned().flatten());
    let policies = kept(&request.policies, old.map(|old| &old.policies)).filter(|text| !policies::is_none(text));
    if let Some(policies) = &policies {
        policies::check(policies)?;
    }
    let wants_advanced = request.value.len() > rules::STANDARD_BYTES || policies.is_some();
    let tier = rules::tier(request.tier.as_deref(), old.map(|old| old.tier.as_str()), wants_advanced)?;
    if policies.is_some() && tier == "Standard" {
        return Err(Failure::validation(
            "Parameter policies are available for parameters of the advanced tier only. To use them, choose that tier.",
        ));
    }
    let key_id = match (kind.as_str(), kept(&request.key_id, old.map(|old| &old.key_id))) {
        ("SecureString", None) => Some(DEFAULT_KEY.to_owned()),
        ("SecureString", Some(key)) => {
            if key != DEFAULT_KEY {
                kms::usable(region, store, &key)
                    .map_err(|failure| Failure::new("InvalidKeyId", failure.message().to_owned()))?;
            }
            Some(key)
        }
        (_, Some(_)) => {
            return Err(Failure::validation("KeyId is for parameters of the type SecureString only."));
        }
        (_, None) => None,
    };
    let data_type =
        request.data_type.clone().or_else(|| old.map(|old| old.data_type.clone())).unwrap_or_else(|| "text".to_owned());
    rules::check_data_type(&data_type)?;
    Ok(Settings {
        kind,
        tier,
        description: kept(&request.description, old.map(|old| &old.description)),
        key_id,
        allowed_pattern: kept(&request.allowed_pattern, old.map(|old| &old.allowed_pattern))
            .filter(|pattern| !pattern.is_empty()),
        data_type,
        policies,
        labels: Vec::new(),
        author: None,
    })
}

/// Deletes the oldest version if the history is full, unless it has a label.
fn make_room(store: &Connection, name: &str) -> Result<(), Failure> {
    let versions = Stored::versions(store, name, &VersionPage::first(HISTORY))?;
    let Some(oldest) = versions.first().filter(|_| versions.len() == HISTORY) else {
        return Ok(());
    };
    if !oldest.settings.labels.is_empty() {
        return Err(Failure::new(
            "ParameterMaxVersionLimitExceeded",
            format!(
                "You attempted to create a new version of {name} by calling the PutParameter API with the overwrite \
                 flag. Version {}, the oldest version, can't be deleted because it has a label associated with it. \
                 Move the label to another version of the parameter, and try again.",
                oldest.version
            ),
        ));
    }
    oldest.remove(store)?;
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Get {
    name: String,
    #[serde(default)]
    with_decryption: bool,
}

fn get(region: &Region, request: Get) -> Result<Value, Failure> {
    let (reference, selector) = Reference::parse(region, &request.name);
    region.store.read(|store| {
        let latest = reference.latest(store)?.ok_or_else(|| not_found(&request.name))?;
        let found = latest.selected(store, selector)?;
        let stored = found.ok_or_else(|| version_not_found(selector.unwrap_or_default(), reference.name()))?;
        Ok(json!({ "Parameter": stored.parameter(region, selector, request.with_decryption) }))
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct GetMany {
    names: Vec<String>,
    #[serde(default)]
    with_decryption: bool,
}

fn get_many(region: &Region, request: GetMany) -> Result<Value, Failure> {
    rules::check_batch("names", &request.names)?;
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    region.store.read(|store| {
        for name in &request.names {
            let (reference, selector) = Reference::parse(region, name);
            let stored = match reference.latest(store)? {
                Some(latest) => latest.selected(store, selector)?,
                None => None,
            };
            match stored {
                Some(stored) => found.push(stored.parameter(region, selector, request.with_decryption)),
                None => missing.push(name.clone()),
            }
        }
        Ok::<_, Failure>(())
    })?;
    Ok(json!({ "Parameters": found, "InvalidParameters": missing }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct History {
    name: String,
    #[serde(default)]
    with_decryption: bool,
    max_results: Option<usize>,
    next_token: Option<String>,
}

fn history(region: &Region, request: History) -> Result<Value, Failure> {
    let size = rules::page_size(request.max_results, 50, 50)?;
    let after = request.next_token.as_deref().map_or(Ok(0), str::parse::<i64>);
    let after = after.map_err(|_| Failure::new("InvalidNextToken", "The specified token isn't valid."))?;
    let (reference, _) = Reference::parse(region, &request.name);
    let mut versions = region.store.read(|store| {
        let latest = reference.latest(store)?.ok_or_else(|| not_found(&request.name))?;
        Stored::versions(store, &latest.name, &VersionPage { after, size: size + 1 })
    })?;
    let more = versions.len() > size;
    versions.truncate(size);
    let token = versions.last().filter(|_| more).map(|last| last.version.to_string());
    let shown: Vec<Value> = versions.iter().map(|one| one.past(region, request.with_decryption)).collect();
    Ok(with_token(json!({ "Parameters": shown }), token))
}

fn with_token(mut answer: Value, token: Option<String>) -> Value {
    if let Some(token) = token {
        answer["NextToken"] = json!(token);
    }
    answer
}

fn remove(region: &Region, store: &Connection, name: &str) -> Result<bool, Failure> {
    let (reference, _) = Reference::parse(region, name);
    let Some(stored) = reference.latest(store)? else { return Ok(false) };
    store.execute("DELETE FROM parameters WHERE name = ?", [&stored.name])?;
    store.execute("DELETE FROM tags WHERE name = ?", [&stored.name])?;
    Ok(true)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Named {
    name: String,
}

fn delete(region: &Region, request: Named) -> Result<Value, Failure> {
    let deleted = region.store.write(|store| remove(region, store, &request.name))?;
    if deleted { Ok(json!({})) } else { Err(not_found(&request.name)) }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Names {
    names: Vec<String>,
}

fn delete_many(region: &Region, request: Names) -> Result<Value, Failure> {
    rules::check_batch("names", &request.names)?;
    let (mut deleted, mut missing) = (Vec::new(), Vec::new());
    region.store.write(|store| {
        for name in request.names {
            if remove(region, store, &name)? { deleted.push(name) } else { missing.push(name) }
        }
        Ok::<_, Failure>(())
    })?;
    Ok(json!({ "DeletedParameters": deleted, "InvalidParameters": missing }))
}
