//! Searching for parameters: by path, and by filters.

use serde::Deserialize;
use serde_json::{Value, json};

use super::stored::Stored;
use super::{rules, tags, with_token};
use crate::local::Region;
use crate::local::answer::Failure;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Filter {
    key: String,
    option: Option<String>,
    #[serde(default)]
    values: Vec<String>,
}

impl Filter {
    /// Returns whether one of the filter's values matches a text; an error for an option that this key does not support.
    fn fits(&self, text: &str, takes: &[&str]) -> Result<bool, Failure> {
        let option = self.option.as_deref().unwrap_or("Equals");
        if !takes.contains(&option) {
            let message =
                format!("The following filter option is not valid: {option}. Valid options include: {takes:?}");
            return Err(Failure::new("InvalidFilterOption", message.replace('"', "")));
        }
        Ok(self.values.iter().any(|value| match option {
            "BeginsWith" => text.starts_with(value.as_str()),
            "Contains" => text.contains(value.as_str()),
            _ => text == value,
        }))
    }

    /// Keeps the parameters whose setting matches.
    fn by_setting(&self, all: &mut Vec<Stored>) -> Result<(), Failure> {
        retain(all, |one| {
            let setting = match self.key.as_str() {
                "Type" => &one.settings.kind,
                "KeyId" => one.settings.key(),
                "Tier" => &one.settings.tier,
                _ => &one.settings.data_type,
            };
            self.fits(setting, &["Equals", "BeginsWith"])
        })
    }

    fn is_below(&self, name: &str) -> Result<bool, Failure> {
        let option = self.option.as_deref().unwrap_or("OneLevel");
        if !["OneLevel", "Recursive"].contains(&option) {
            let message = format!(
                "The following filter option is not valid: {option}. Valid options include: [OneLevel, Recursive]"
            );
            return Err(Failure::new("InvalidFilterOption", message));
        }
        Ok(self.values.iter().any(|path| below(name, path, option == "Recursive")))
    }
}

fn below(name: &str, path: &str, recursive: bool) -> bool {
    let rest = name.strip_prefix(&format!("{}/", path.trim_end_matches('/')));
    rest.is_some_and(|rest| recursive || !rest.contains('/'))
}

fn no_such_key(key: &str, valid: &str) -> Failure {
    let message = format!("The following filter key is not valid: {key}. Valid filter keys include: [{valid}].");
    Failure::new("InvalidFilterKey", message)
}

/// Keeps the parameters that satisfy a condition.
fn retain(all: &mut Vec<Stored>, mut holds: impl FnMut(&Stored) -> Result<bool, Failure>) -> Result<(), Failure> {
    let kept: Result<Vec<bool>, Failure> = all.iter().map(&mut holds).collect();
    let mut kept = kept?.into_iter();
    all.retain(|_| kept.next().unwrap_or_default());
    Ok(())
}

/// Returns the page after the name in the token, and the next token.
fn page(all: Vec<Stored>, size: usize, token: Option<&str>) -> (Vec<Stored>, Option<String>) {
    let mut rest = all.into_iter().filter(|stored| token.is_none_or(|after| stored.name.as_str() > after)).peekable();
    let page: Vec<Stored> = rest.by_ref().take(size).collect();
    let token = rest.peek().and_then(|_| page.last()).map(|last| last.name.clone());
    (page, token)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ByPath {
    path: String,
    #[serde(default)]
    recursive: bool,
    #[serde(default)]
    with_decryption: bool,
    #[serde(default)]
    parameter_filters: Vec<Filter>,
    max_results: Option<usize>,
    next_token: Option<String>,
}

/// The filter keys of GetParametersByPath. Source: "`ParameterStringFilter`" in the Systems Manager API Reference.
const PATH_KEYS: &str = "Type, KeyId, Label";

pub(super) fn by_path(region: &Region, request: ByPath) -> Result<Value, Failure> {
    let size = rules::page_size(request.max_results, 10, 10)?;
    let mut wanted = region.store.read(Stored::latest_of_all)?;
    wanted.retain(|stored| below(&stored.name, &request.path, request.recursive));
    for filter in &request.parameter_filters {
        match filter.key.as_str() {
            "Type" | "KeyId" => filter.by_setting(&mut wanted)?,
            // The version with the label is returned.
            "Label" => wanted = region.store.read(|store| labeled(store, &wanted, filter))?,
            other => return Err(no_such_key(other, PATH_KEYS)),
        }
    }
    let (page, token) = page(wanted, size, request.next_token.as_deref());
    let parameters: Vec<Value> = page.iter().map(|one| one.parameter(region, None, request.with_decryption)).collect();
    Ok(with_token(json!({ "Parameters": parameters }), token))
}

fn labeled(store: &rusqlite::Connection, all: &[Stored], filter: &Filter) -> Result<Vec<Stored>, Failure> {
    filter.fits("", &["Equals"])?;
    let mut found = Vec::new();
    for stored in all {
        for label in &filter.values {
            found.extend(Stored::labeled(store, &stored.name, label)?);
        }
    }
    Ok(found)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Describe {
    #[serde(default)]
    parameter_filters: Vec<Filter>,
    max_results: Option<usize>,
    next_token: Option<String>,
}

const DESCRIBE_KEYS: &str = "Path, Name, Type, KeyId, Tier, DataType, tag:KEY";

pub(super) fn describe(region: &Region, request: Describe) -> Result<Value, Failure> {
    let size = rules::page_size(request.max_results, 10, 50)?;
    let mut wanted = region.store.read(Stored::latest_of_all)?;
    for filter in &request.parameter_filters {
        match filter.key.as_str() {
            "Name" => retain(&mut wanted, |one| filter.fits(&one.name, &["Equals", "BeginsWith", "Contains"]))?,
            "Type" | "KeyId" | "Tier" | "DataType" => filter.by_setting(&mut wanted)?,
            "Path" => retain(&mut wanted, |one| filter.is_below(&one.name))?,
            key => {
                let tag = key.strip_prefix("tag:").ok_or_else(|| no_such_key(key, DESCRIBE_KEYS))?;
                filter.fits("", &["Equals"])?;
                let tagged = region.store.read(|store| tags::tagged(store, tag, &filter.values))?;
                wanted.retain(|stored| tagged.contains(&stored.name));
            }
        }
    }
    let (page, token) = page(wanted, size, request.next_token.as_deref());
    let parameters: Vec<Value> = page.iter().map(|stored| stored.metadata(region)).collect();
    Ok(with_token(json!({ "Parameters": parameters }), token))
}
