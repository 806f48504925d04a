//! Parameter Store, with AWS's own limits and texts.

mod rules;
mod tags;

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Region;
use super::answer::{Answer, Failure, parse};

/// Versions that are kept.
const HISTORY: i64 = 100;

pub(super) fn answer(region: &Region, operation: &str, body: &[u8]) -> Result<Answer, Failure> {
    let body = parse(body)?;
    let answer = match operation {
        "PutParameter" => put(region, read(body)?),
        "GetParameter" => get(region, read(body)?),
        "GetParameters" => get_many(region, read(body)?),
        "GetParametersByPath" => by_path(region, read(body)?),
        "GetParameterHistory" => history(region, read(body)?),
        "DescribeParameters" => describe(region, read(body)?),
        "DeleteParameter" => delete(region, read(body)?),
        "DeleteParameters" => delete_many(region, read(body)?),
        "LabelParameterVersion" => label(region, read(body)?),
        "AddTagsToResource" => tags::add(region, read(body)?),
        "RemoveTagsFromResource" => tags::remove(region, read(body)?),
        "ListTagsForResource" => tags::list(region, read(body)?),
        other => Err(Failure::unsupported(&format!("ssm:{other}"))),
    }?;
    Ok(Answer::json(&answer))
}

fn read<T: for<'de> Deserialize<'de>>(body: Value) -> Result<T, Failure> {
    serde_json::from_value(body).map_err(|error| Failure::validation(error.to_string()))
}

/// A version of a parameter, as it is stored.
struct Stored {
    name: String,
    version: i64,
    value: String,
    kind: String,
    tier: String,
    description: Option<String>,
    modified: i64,
    label: Option<String>,
}

const COLUMNS: &str = "name, version, value, type, tier, description, modified, label";

impl Stored {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            name: row.get(0)?,
            version: row.get(1)?,
            value: row.get(2)?,
            kind: row.get(3)?,
            tier: row.get(4)?,
            description: row.get(5)?,
            modified: row.get(6)?,
            label: row.get(7)?,
        })
    }

    fn latest(connection: &Connection, name: &str) -> rusqlite::Result<Option<Self>> {
        let query = format!("SELECT {COLUMNS} FROM parameters WHERE name = ?1 ORDER BY version DESC LIMIT 1");
        connection.prepare_cached(&query)?.query_row([name], Self::from_row).optional()
    }

    /// Returns what a name asks for: the newest version, or with `name:5` that one.
    fn selected(connection: &Connection, asked: &str) -> rusqlite::Result<Option<Self>> {
        let Some((name, version)) = asked.split_once(':') else { return Self::latest(connection, asked) };
        let query = format!("SELECT {COLUMNS} FROM parameters WHERE name = ?1 AND version = ?2");
        connection
            .prepare_cached(&query)?
            .query_row(params![name, version.parse::<i64>().ok()], Self::from_row)
            .optional()
    }

    fn parameter(&self, region: &Region, decrypt: bool) -> Value {
        json!({
            "Name": self.name,
            "Type": self.kind,
            "Value": self.shown_value(decrypt),
            "Version": self.version,
            "LastModifiedDate": seconds(self.modified),
            "ARN": arn(region, &self.name),
            "DataType": "text",
        })
    }

    /// A secret reads back as ciphertext unless decryption is asked for.
    fn shown_value(&self, decrypt: bool) -> String {
        if self.kind == "SecureString" && !decrypt { format!("kms:{}", "*".repeat(12)) } else { self.value.clone() }
    }

    fn metadata(&self, region: &Region) -> Value {
        let mut metadata = json!({
            "Name": self.name,
            "ARN": arn(region, &self.name),
            "Type": self.kind,
            "LastModifiedDate": seconds(self.modified),
            "LastModifiedUser": format!("arn:aws:iam::{}:user/local", region.account),
            "Version": self.version,
            "Tier": self.tier,
            "Policies": [],
            "DataType": "text",
        });
        if let Some(description) = &self.description {
            metadata["Description"] = json!(description);
        }
        metadata
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit a double for 285,000 years")]
fn seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}

fn arn(region: &Region, name: &str) -> String {
    region.arn("ssm", &format!("parameter/{}", name.trim_start_matches('/')))
}

fn not_found(name: &str) -> Failure {
    Failure::new("ParameterNotFound", format!("Parameter {name} not found."))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    key: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Put {
    name: String,
    value: String,
    #[serde(default)]
    r#type: Option<String>,
    #[serde(default)]
    overwrite: bool,
    #[serde(default)]
    tier: Option<String>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    tags: Vec<Tag>,
}

fn put(region: &Region, request: Put) -> Result<Value, Failure> {
    rules::check_name(&request.name, &arn(region, &request.name))?;
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
        let before = Stored::latest(store, &request.name)?;
        let tier = rules::tier(request.tier.as_deref(), before.as_ref().map(|one| one.tier.as_str()), &request.value)?;
        rules::check_value(&request.value, &tier)?;
        let (version, kind) = match &before {
            Some(_) if !request.overwrite => {
                return Err(Failure::new(
                    "ParameterAlreadyExists",
                    "The parameter already exists. To overwrite this value, set the overwrite option in the request \
                     to true.",
                ));
            }
            Some(before) => {
                let kind = request.r#type.clone().unwrap_or_else(|| before.kind.clone());
                if kind != before.kind {
                    return Err(Failure::new(
                        "HierarchyTypeMismatchException",
                        format!(
                            "Parameter Store does not support changing a parameter type: {} is a {}.",
                            before.name, before.kind
                        ),
                    ));
                }
                make_room(store, &request.name)?;
                (before.version + 1, kind)
            }
            None => {
                let kind = request.r#type.clone().ok_or_else(|| {
                    Failure::validation("A parameter type is required when you create a parameter.")
                })?;
                (1, kind)
            }
        };
        if !["String", "StringList", "SecureString"].contains(&kind.as_str()) {
            return Err(Failure::validation(format!(
                "1 validation error detected: Value '{kind}' at 'type' failed to satisfy constraint: Member must \
                 satisfy enum value set: [SecureString, StringList, String]"
            )));
        }
        store.prepare_cached(
            "INSERT INTO parameters (name, version, value, type, tier, description, modified) VALUES (?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![request.name, version, request.value, kind, tier, request.description, now])?;
        for tag in &request.tags {
            tags::set(store, &request.name, tag)?;
        }
        Ok(json!({ "Version": version, "Tier": tier }))
    })
}

/// Drops the oldest version when the history is full, unless a label holds it.
fn make_room(store: &Connection, name: &str) -> Result<(), Failure> {
    let count: i64 = store.query_row("SELECT count(*) FROM parameters WHERE name = ?", [name], |row| row.get(0))?;
    if count < HISTORY {
        return Ok(());
    }
    let query = format!("SELECT {COLUMNS} FROM parameters WHERE name = ? ORDER BY version LIMIT 1");
    let oldest = store.query_row(&query, [name], Stored::from_row)?;
    if oldest.label.is_some() {
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
    store.execute("DELETE FROM parameters WHERE name = ? AND version = ?", params![name, oldest.version])?;
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Get {
    name: String,
    #[serde(default)]
    with_decryption: bool,
}

fn get(region: &Region, request: Get) -> Result<Value, Failure> {
    let stored = region.store.read(|store| Stored::selected(store, &request.name))?;
    let stored = stored.ok_or_else(|| not_found(&request.name))?;
    Ok(json!({ "Parameter": stored.parameter(region, request.with_decryption) }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
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
            match Stored::selected(store, name)? {
                Some(stored) => found.push(stored.parameter(region, request.with_decryption)),
                None => missing.push(name.clone()),
            }
        }
        Ok::<_, Failure>(())
    })?;
    Ok(json!({ "Parameters": found, "InvalidParameters": missing }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ByPath {
    path: String,
    #[serde(default)]
    recursive: bool,
    #[serde(default)]
    with_decryption: bool,
    #[serde(default)]
    max_results: Option<usize>,
    #[serde(default)]
    next_token: Option<String>,
}

fn by_path(region: &Region, request: ByPath) -> Result<Value, Failure> {
    let size = rules::page_size(request.max_results, 10, 10)?;
    let prefix = if request.path.ends_with('/') { request.path.clone() } else { format!("{}/", request.path) };
    let all = region.store.read(latest_of_all)?;
    let below = |name: &str| name.strip_prefix(&prefix).is_some_and(|rest| request.recursive || !rest.contains('/'));
    let wanted = all.into_iter().filter(|stored| below(&stored.name));
    let (page, token) = page(wanted.collect(), size, request.next_token.as_deref());
    let parameters: Vec<Value> = page.iter().map(|one| one.parameter(region, request.with_decryption)).collect();
    Ok(with_token(json!({ "Parameters": parameters }), token))
}

fn latest_of_all(store: &Connection) -> Result<Vec<Stored>, Failure> {
    let query = format!(
        "SELECT {COLUMNS} FROM parameters AS one WHERE version = \
         (SELECT max(version) FROM parameters WHERE name = one.name) ORDER BY name"
    );
    let mut statement = store.prepare_cached(&query)?;
    let rows = statement.query_map([], Stored::from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Returns the page that begins after the name the token holds, and the next token.
fn page(all: Vec<Stored>, size: usize, token: Option<&str>) -> (Vec<Stored>, Option<String>) {
    let mut rest = all.into_iter().filter(|stored| token.is_none_or(|after| stored.name.as_str() > after)).peekable();
    let page: Vec<Stored> = rest.by_ref().take(size).collect();
    let token = rest.peek().and_then(|_| page.last()).map(|last| last.name.clone());
    (page, token)
}

fn with_token(mut answer: Value, token: Option<String>) -> Value {
    if let Some(token) = token {
        answer["NextToken"] = json!(token);
    }
    answer
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Named {
    name: String,
    #[serde(default)]
    with_decryption: bool,
}

fn history(region: &Region, request: Named) -> Result<Value, Failure> {
    let query = format!("SELECT {COLUMNS} FROM parameters WHERE name = ? ORDER BY version");
    let versions: Vec<Stored> = region.store.read(|store| {
        let mut statement = store.prepare(&query)?;
        let rows = statement.query_map([&request.name], Stored::from_row)?;
        Ok::<_, Failure>(rows.collect::<Result<_, _>>()?)
    })?;
    if versions.is_empty() {
        return Err(not_found(&request.name));
    }
    let shown = |stored: &Stored| {
        let mut shown = stored.metadata(region);
        shown["Value"] = json!(stored.shown_value(request.with_decryption));
        shown["Labels"] = json!(stored.label.iter().collect::<Vec<_>>());
        if let Some(shown) = shown.as_object_mut() {
            shown.remove("ARN");
        }
        shown
    };
    Ok(json!({ "Parameters": versions.iter().map(shown).collect::<Vec<_>>() }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Filter {
    key: String,
    #[serde(default)]
    option: Option<String>,
    #[serde(default)]
    values: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Describe {
    #[serde(default)]
    parameter_filters: Vec<Filter>,
    #[serde(default)]
    max_results: Option<usize>,
    #[serde(default)]
    next_token: Option<String>,
}

fn describe(region: &Region, request: Describe) -> Result<Value, Failure> {
    let size = rules::page_size(request.max_results, 10, 50)?;
    let mut wanted = region.store.read(latest_of_all)?;
    for filter in &request.parameter_filters {
        let option = filter.option.as_deref().unwrap_or("Equals");
        match (filter.key.as_str(), option) {
            ("Name", "Equals") => wanted.retain(|stored| filter.values.contains(&stored.name)),
            ("Name", "BeginsWith") => {
                wanted.retain(|stored| filter.values.iter().any(|value| stored.name.starts_with(value.as_str())));
            }
            ("Type", "Equals") => wanted.retain(|stored| filter.values.contains(&stored.kind)),
            ("Tier", "Equals") => wanted.retain(|stored| filter.values.contains(&stored.tier)),
            ("Path", "Recursive" | "OneLevel") => wanted.retain(|stored| {
                filter.values.iter().any(|path| {
                    let rest = stored.name.strip_prefix(&format!("{}/", path.trim_end_matches('/')));
                    rest.is_some_and(|rest| option == "Recursive" || !rest.contains('/'))
                })
            }),
            (key, "Equals") if key.starts_with("tag:") => {
                let key = key.trim_start_matches("tag:");
                let tagged = region.store.read(|store| tags::tagged(store, key, &filter.values))?;
                wanted.retain(|stored| tagged.contains(&stored.name));
            }
            (key, option) => {
                let message = format!("The following filter key is not valid: {key} with the option {option}.");
                return Err(Failure::new("InvalidFilterKey", message));
            }
        }
    }
    let (page, token) = page(wanted, size, request.next_token.as_deref());
    let parameters: Vec<Value> = page.iter().map(|stored| stored.metadata(region)).collect();
    Ok(with_token(json!({ "Parameters": parameters }), token))
}

fn remove(store: &Connection, name: &str) -> rusqlite::Result<bool> {
    let gone = store.execute("DELETE FROM parameters WHERE name = ?", [name])?;
    store.execute("DELETE FROM tags WHERE name = ?", [name])?;
    Ok(gone > 0)
}

fn delete(region: &Region, request: Named) -> Result<Value, Failure> {
    let gone = region.store.write(|store| Ok::<_, Failure>(remove(store, &request.name)?))?;
    if gone { Ok(json!({})) } else { Err(not_found(&request.name)) }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Names {
    names: Vec<String>,
}

fn delete_many(region: &Region, request: Names) -> Result<Value, Failure> {
    rules::check_batch("names", &request.names)?;
    let (mut gone, mut missing) = (Vec::new(), Vec::new());
    region.store.write(|store| {
        for name in request.names {
            if remove(store, &name)? { gone.push(name) } else { missing.push(name) }
        }
        Ok::<_, Failure>(())
    })?;
    Ok(json!({ "DeletedParameters": gone, "InvalidParameters": missing }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Label {
    name: String,
    parameter_version: Option<i64>,
    labels: Vec<String>,
}

fn label(region: &Region, request: Label) -> Result<Value, Failure> {
    region.store.write(|store| {
        let latest = Stored::latest(store, &request.name)?.ok_or_else(|| not_found(&request.name))?;
        let version = request.parameter_version.unwrap_or(latest.version);
        let label = request.labels.first();
        let query = "UPDATE parameters SET label = ? WHERE name = ? AND version = ?";
        if store.execute(query, params![label, request.name, version])? == 0 {
            let message = format!("Systems Manager could not find version {version} of {}.", request.name);
            return Err(Failure::new("ParameterVersionNotFound", message));
        }
        Ok(json!({ "InvalidLabels": [], "ParameterVersion": version }))
    })
}
