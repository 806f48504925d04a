//! The source of a parameter's value.

use std::fmt;

use super::Parameter;
use crate::document::write::{line, quoted};
use crate::document::{Entry, Fields, FileRole, GivenFile, Node, Reader, Value};
use crate::kind::parameter_store::names::{Checked, check_value};
use crate::kind::parameter_store::{Content, ParameterType, Secret, Tier, secrets};
use crate::kind::section::Resolver;
use crate::kind::{Address, Desired, KindId};
use crate::resource::Invalid;

/// The settings that define the source of a value.
pub(super) const SETTINGS: [&str; 4] = ["value", "file", "env", "initial"];

/// The settings that messages may show. Any other may be a value, or a mistyped setting with one.
const SHOWN: [&str; 13] = [
    "name",
    "file",
    "env",
    "type",
    "data_type",
    "removed",
    "key",
    "tier",
    "description",
    "allowed_pattern",
    "parameter_policies",
    "labels",
    "tags",
];

/// Returns whether messages may show a setting.
pub fn is_shown(setting: &str) -> bool {
    SHOWN.contains(&setting)
}

/// The source of a value. `Debug` shows no value.
#[derive(Clone, PartialEq, Eq)]
pub enum Source {
    Value(Text),
    /// A file in the manifest's folder.
    File(String),
    /// An environment variable.
    Env(String),
    /// The value of a new parameter, which is not managed afterwards.
    Initial(Text),
}

impl fmt::Debug for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.origin())
    }
}

/// A value in the manifest.
#[derive(Clone, PartialEq, Eq)]
pub enum Text {
    One(String),
    /// The items of a `StringList`.
    List(Vec<String>),
}

impl fmt::Debug for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Text")
    }
}

impl Text {
    /// Returns the text that is sent to AWS.
    fn sent(&self) -> String {
        match self {
            Self::One(text) => text.clone(),
            Self::List(items) => items.join(","),
        }
    }

    /// Returns a value as written in a manifest.
    pub(super) fn of(sent: &str, kind: &ParameterType) -> Self {
        match kind {
            ParameterType::StringList if sent.split(',').all(|item| check_item(item).is_ok()) => {
                Self::List(sent.split(',').map(str::to_owned).collect())
            }
            _ => Self::One(sent.to_owned()),
        }
    }

    fn written(&self) -> String {
        match self {
            Self::One(text) => quoted(text),
            Self::List(items) => {
                format!("[{}]", items.iter().map(|item| quoted(item)).collect::<Vec<_>>().join(", "))
            }
        }
    }
}

impl Source {
    /// Returns its display name: `env DB_PASSWORD`.
    pub(super) fn origin(&self) -> String {
        match self {
            Self::Value(_) => String::from("value"),
            Self::File(path) => format!("file {path}"),
            Self::Env(variable) => format!("env {variable}"),
            Self::Initial(_) => String::from("initial value"),
        }
    }

    pub(super) fn setting(&self) -> &'static str {
        match self {
            Self::Value(_) => "value",
            Self::File(_) => "file",
            Self::Env(_) => "env",
            Self::Initial(_) => "initial",
        }
    }

    /// Returns whether the value is written as a list of items.
    pub(super) fn is_list(&self) -> bool {
        matches!(self, Self::Value(Text::List(_)) | Self::Initial(Text::List(_)))
    }

    /// Adds it to a section as TOML.
    pub(super) fn write(&self, section: &mut String) {
        let written = match self {
            Self::Value(text) | Self::Initial(text) => text.written(),
            Self::File(path) => quoted(path),
            Self::Env(variable) => quoted(variable),
        };
        line(section, self.setting(), Some(written));
    }
}

/// Checks the name of an environment variable. Source: POSIX.1-2017, Base Definitions, 3.235 "Name".
fn check_variable(name: &str) -> Result<(), Invalid> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    if !name.is_empty() && name.chars().all(allowed) && !name.starts_with(|first: char| first.is_ascii_digit()) {
        return Ok(());
    }
    let help = "write the name of a variable, such as DB_PASSWORD";
    Err(Invalid::new(format!("\"{name}\" cannot be the name of a variable"), help))
}

/// Checks an item of a list.
fn check_item(item: &str) -> Result<(), Invalid> {
    if item.is_empty() || item.contains(',') {
        // The message does not contain the item, which may be a secret.
        let help = "Parameter Store separates list items with commas: write each item separately, without commas";
        return Err(Invalid::new("an item of a list is empty or has a comma", help));
    }
    Ok(())
}

/// Reads a text or a list. No message contains the value, which may be a secret.
fn read_text(reader: &mut Reader<'_>, node: &Node, setting: &str) -> Option<Text> {
    match &node.value {
        Value::String(text) => Some(Text::One(text.clone())),
        Value::List(items) => {
            let item = |node: &Node| {
                let Value::String(item) = &node.value else {
                    reader.wrong_type(node, setting, "a list of strings");
                    return None;
                };
                if let Err(invalid) = check_item(item) {
                    reader.fault(node.span.clone(), invalid.problem, "not an item", invalid.help);
                }
                Some(item.clone())
            };
            items.iter().map(item).collect::<Option<_>>().map(Text::List)
        }
        _ => {
            reader.wrong_type(node, setting, "a string, or a list of strings");
            None
        }
    }
}

/// Records that a section has no value.
pub(super) fn missing(reader: &mut Reader<'_>, section: &Entry) {
    let message = format!("`parameters.{}` has no value", section.key);
    let help = "add value = \"…\", file = \"PATH\", env = \"VARIABLE\", or initial = \"…\" for a value that is only \
         set at creation";
    reader.fault(section.key_span.clone(), message, "no value", help);
}

/// Reads the source of a section.
pub(super) fn read(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<Source> {
    let entries = SETTINGS.map(|name| (name, fields.get(name)));
    let given: Vec<(&str, &Entry)> = entries.into_iter().filter_map(|(name, entry)| Some((name, entry?))).collect();
    if let [(first, _), (other, entry), ..] = given[..] {
        let help = "remove one: value, file and env are compared and written; initial is only for a new parameter";
        reader.fault(entry.key_span.clone(), format!("`{first}` and `{other}` are both set"), "one too many", help);
    }
    let (name, entry) = given.first()?;
    let node = &entry.node;
    if ["value", "initial"].contains(name) {
        // It may be a secret.
        reader.conceal(node);
    }
    match *name {
        "value" => read_text(reader, node, "value").map(Source::Value),
        "file" => reader.string(node, "file").map(Source::File),
        "env" => reader.checked(node, "env", check_variable).map(Source::Env),
        _ => read_text(reader, node, "initial").map(Source::Initial),
    }
}

/// How a value is checked and stored.
pub(super) struct As<'a> {
    pub(super) key: &'a str,
    pub(super) parameter_type: &'a ParameterType,
    pub(super) tier: Tier,
}

/// Returns the value of a source. An error in it is a fault.
pub(super) fn resolve(resolver: &mut Resolver<'_>, source: &Source, how: &As<'_>) -> Option<Content> {
    let As { key, parameter_type, tier } = *how;
    let secret = *parameter_type == ParameterType::SecureString || matches!(source, Source::Env(_));
    let place = ["parameters", key, source.setting()];
    let text = match source {
        Source::Value(text) | Source::Initial(text) => text.sent(),
        Source::File(path) => match resolver.files.read_as(path, FileRole::Value) {
            Ok(text) => text,
            Err(invalid) => {
                resolver.fault(&place, invalid, "this file");
                return None;
            }
        },
        Source::Env(_) if resolver.files.is_given() => {
            resolver.files.text_given(&source.origin()).unwrap_or_default().to_owned()
        }
        Source::Env(variable) => {
            let Some(text) = resolver.variables.get(variable) else {
                let problem = format!("the environment variable {variable} is not set");
                let help = format!(
                    "set it, or exclude the parameter with --exclude parameters.{key}; its value is never saved or \
                     shown"
                );
                resolver.unset(Address::new(KindId::Parameter, key), "env", Invalid::new(problem, help));
                return Some(Content::Secret(Secret::unset(variable)));
            };
            text
        }
    };
    // A saved plan has the digest of a secret instead of its text.
    if secret && resolver.files.is_given() && secrets::is_digest(&text) {
        return Some(secrets::of_file(text));
    }
    let what = match source {
        Source::Value(_) | Source::Initial(_) => String::from("the value"),
        Source::File(_) | Source::Env(_) => source.origin(),
    };
    if let Err(invalid) = check_value(Checked { text: &text, what: &what, whose: "this parameter" }, tier) {
        resolver.fault(&place, invalid, "this value");
    }
    Some(if secret { Content::Secret(Secret::new(text)) } else { Content::Text(text.into()) })
}

/// Returns the source that expresses the desired state. If only the digest of its value is known, the value is the digest.
pub(super) fn source_of(desired: &Desired<Parameter>) -> Option<Source> {
    let origin = desired.origin.as_deref()?;
    if let Some(path) = origin.strip_prefix("file ") {
        return Some(Source::File(path.to_owned()));
    }
    if let Some(variable) = origin.strip_prefix("env ") {
        return Some(Source::Env(variable.to_owned()));
    }
    let kind = desired.initial.parameter_type.as_ref()?;
    let text = Text::of(&secrets::as_file(desired.initial.content.as_ref()?)?, kind);
    match origin {
        "value" => Some(Source::Value(text)),
        "initial value" => Some(Source::Initial(text)),
        _ => None,
    }
}

/// Returns the files and variables of a section, each with its text.
pub(super) fn files(desired: &Desired<Parameter>) -> Vec<GivenFile> {
    let path = match source_of(desired) {
        Some(Source::File(path)) => Some(path),
        Some(source @ Source::Env(_)) => Some(source.origin()),
        _ => None,
    };
    let text = desired.initial.content.as_ref().and_then(secrets::as_file);
    path.zip(text).map(|(path, text)| GivenFile { path, text }).into_iter().collect()
}

/// Returns the environment variable of a value, if it is not set.
pub(super) fn unset(desired: &Desired<Parameter>) -> Option<&str> {
    let unset = desired.managed.content.as_ref().is_some_and(Content::is_unset);
    desired.origin.as_deref().and_then(|origin| origin.strip_prefix("env ")).filter(|_| unset)
}
