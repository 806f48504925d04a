//! Tags of parameters.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, params};
use serde::Deserialize;
use serde_json::{Value, json};

use super::stored::Reference;
use super::{Tag, rules};
use crate::local::Region;
use crate::local::answer::Failure;
use crate::local::tagging::Tagged;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Tagging {
    resource_type: String,
    resource_id: String,
    #[serde(default)]
    tags: Vec<Tag>,
    #[serde(default)]
    tag_keys: Vec<String>,
}

impl Tagging {
    /// Returns the name of the parameter in the request.
    fn name(&self, region: &Region, store: &Connection) -> Result<String, Failure> {
        if self.resource_type != "Parameter" {
            return Err(Failure::new("InvalidResourceType", "The resource type is not valid. Only Parameter is."));
        }
        match Reference::parse(region, &self.resource_id).0.latest(store)? {
            Some(stored) => Ok(stored.name),
            None => Err(Failure::new(
                "InvalidResourceId",
                "The resource ID is not valid. Verify that you entered the correct ID and try again.",
            )),
        }
    }
}

pub(super) fn set(store: &Connection, name: &str, tag: &Tag) -> rusqlite::Result<usize> {
    store.execute("INSERT OR REPLACE INTO tags (name, key, value) VALUES (?, ?, ?)", params![name, tag.key, tag.value])
}

fn tags_of(store: &Connection, name: &str) -> rusqlite::Result<BTreeMap<String, String>> {
    let mut statement = store.prepare_cached("SELECT key, value FROM tags WHERE name = ?")?;
    let rows = statement.query_map([name], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

pub(super) fn of_all(region: &Region) -> Result<Tagged, Failure> {
    let rows = region.store.read(|store| -> Result<Vec<[String; 3]>, Failure> {
        let mut statement = store
            .prepare_cached("SELECT DISTINCT tags.name, tags.key, tags.value FROM tags JOIN parameters USING (name)")?;
        let rows = statement.query_map([], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?]))?;
        Ok(rows.collect::<Result<_, _>>()?)
    })?;
    let mut tagged = Tagged::new();
    for [name, key, value] in rows {
        let arn = region.arn("ssm", &format!("parameter/{}", name.trim_start_matches('/')));
        tagged.entry(arn).or_default().insert(key, value);
    }
    Ok(tagged)
}

/// Returns the names that have a tag with one of these values, or with any value if none is given.
pub(super) fn tagged(store: &Connection, key: &str, values: &[String]) -> Result<BTreeSet<String>, Failure> {
    let mut statement = store.prepare_cached("SELECT name, value FROM tags WHERE key = ?")?;
    let rows = statement.query_map([key], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
    let rows = rows.collect::<Result<Vec<(String, String)>, _>>()?;
    let wanted = rows.into_iter().filter(|(_, value)| values.is_empty() || values.contains(value));
    Ok(wanted.map(|(name, _)| name).collect())
}

pub(super) fn add(region: &Region, request: Tagging) -> Result<Value, Failure> {
    rules::check_tags(request.tags.iter().map(|tag| (tag.key.as_str(), tag.value.as_str())))?;
    region.store.write(|store| {
        let name = request.name(region, store)?;
        for tag in &request.tags {
            set(store, &name, tag)?;
        }
        rules::check_tag_count(tags_of(store, &name)?.len())?;
        Ok(json!({}))
    })
}

pub(super) fn remove(region: &Region, request: Tagging) -> Result<Value, Failure> {
    region.store.write(|store| {
        let name = request.name(region, store)?;
        for key in &request.tag_keys {
            store.execute("DELETE FROM tags WHERE name = ? AND key = ?", params![name, key])?;
        }
        Ok(json!({}))
    })
}

pub(super) fn list(region: &Region, request: Tagging) -> Result<Value, Failure> {
    region.store.read(|store| {
        let tags = tags_of(store, &request.name(region, store)?)?;
        let list: Vec<Value> = tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
        Ok(json!({ "TagList": list }))
    })
}
