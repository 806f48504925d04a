//! The settings of a parameter other than its value, type, tier, labels and tags: its description, the pattern of its values, and its
//! parameter policies.

use std::fmt;

use jiff::Timestamp;
use regex_lite::Regex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Content, Field};
use crate::change::{ChangeMethod, FieldChange, FieldValue};
use crate::document::write::{line, quoted};
use crate::document::{Fields, Node, Reader};
use crate::kind::import::Importer;
use crate::resource::Invalid;

/// The maximum length of a description, and of a pattern. Source: PutParameter in the Systems Manager API Reference.
const TEXT_LIMIT: usize = 1024;
/// The maximum number of policies of a parameter. Source: "Assigning parameter policies in Parameter Store" in the AWS Systems Manager User
/// Guide.
const POLICY_LIMIT: usize = 10;

/// Settings of a parameter, live or desired. An empty text means that the setting is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The key that encrypts a `SecureString`: an alias or an ARN, as given when the parameter was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_pattern: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameter_policies: Option<ParameterPolicies>,
}

/// AWS's parameter policies: when AWS deletes the parameter, and when it sends an event.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParameterPolicies {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiration: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expiration_notifications: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub no_change_notifications: Vec<String>,
    /// Unknown policies, as AWS returned them. A manifest cannot express them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<String>,
}

/// The default data type.
pub(in crate::kind) const TEXT: &str = "text";

impl Settings {
    /// Returns whether nothing of it is managed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns settings that are all managed.
    pub(super) fn everything() -> Self {
        Self {
            description: Some(String::new()),
            key: Some(String::new()),
            allowed_pattern: Some(String::new()),
            data_type: Some(String::from(TEXT)),
            parameter_policies: Some(ParameterPolicies::default()),
        }
    }

    /// Returns whether the managed policies require the advanced tier.
    pub(in crate::kind) fn is_advanced(&self) -> bool {
        self.parameter_policies.as_ref().is_some_and(|policies| !policies.is_empty())
    }

    /// Returns live settings that differ from all managed ones.
    pub(super) fn opposite(&self) -> Self {
        let Self { description, key, allowed_pattern, data_type, parameter_policies } = self;
        let another = |managed: &String| format!("not {managed}");
        let others = vec![String::from("another")];
        Self {
            description: description.as_ref().map(another),
            key: key.as_ref().map(another),
            allowed_pattern: allowed_pattern.as_ref().map(another),
            data_type: data_type.as_ref().map(another),
            parameter_policies: parameter_policies
                .as_ref()
                .map(|_| ParameterPolicies { others, ..ParameterPolicies::default() }),
        }
    }

    /// Returns the settings for which the other side has a value too.
    pub(super) fn limited_to(self, managed: &Self) -> Self {
        let Self { description, key, allowed_pattern, data_type, parameter_policies } = self;
        Self {
            description: description.filter(|_| managed.description.is_some()),
            key: key.filter(|_| managed.key.is_some()),
            allowed_pattern: allowed_pattern.filter(|_| managed.allowed_pattern.is_some()),
            data_type: data_type.filter(|_| managed.data_type.is_some()),
            parameter_policies: parameter_policies.filter(|_| managed.parameter_policies.is_some()),
        }
    }

    /// Returns them for a new parameter, without absent settings.
    pub(in crate::kind) fn without_none(&self) -> Self {
        let Self { description, key, allowed_pattern, data_type, parameter_policies } = self.clone();
        Self {
            description: description.filter(|text| !text.is_empty()),
            key: key.filter(|text| !text.is_empty()),
            allowed_pattern: allowed_pattern.filter(|text| !text.is_empty()),
            data_type,
            parameter_policies: parameter_policies.filter(|policies| !policies.is_empty()),
        }
    }

    /// Returns the observed fields.
    pub(super) fn seen(&self) -> [(&'static str, Option<String>); 5] {
        let Self { description, key, allowed_pattern, data_type, parameter_policies } = self;
        [
            ("description", description.clone()),
            ("key", key.clone()),
            ("allowed_pattern", allowed_pattern.clone()),
            ("data_type", data_type.clone()),
            ("parameter_policies", parameter_policies.as_ref().map(ToString::to_string)),
        ]
    }
}

/// Whether the live value can be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rewrite {
    Possible,
    /// It is read as ciphertext or a list.
    NotPossible,
}

/// Adds the differences of the settings that both sides have. Settings are sent together with the value, so they cannot change if the value
/// cannot be sent again.
pub(super) fn diff(managed: &Settings, live: &Settings, rewrite: Rewrite, changes: &mut Vec<FieldChange<Field>>) {
    let Settings { description, key, allowed_pattern, data_type, parameter_policies } = managed;
    let (method, how) = match rewrite {
        Rewrite::Possible => (ChangeMethod::InPlace, "written as a new version"),
        Rewrite::NotPossible => {
            (ChangeMethod::NotPossible, "its value is not a plain string, and Sentinel does not write it")
        }
    };
    let value = |text: String| if text.is_empty() { FieldValue::Absent } else { FieldValue::text(text) };
    let mut compare = |field: Field, desired: Option<String>, before: Option<String>| {
        if let (Some(desired), Some(before)) = (desired, before)
            && desired != before
        {
            changes.push(FieldChange::new(field, value(before), value(desired), method, how));
        }
    };
    compare(Field::Description, description.clone(), live.description.clone());
    compare(Field::Key, key.clone(), live.key.clone());
    compare(Field::AllowedPattern, allowed_pattern.clone(), live.allowed_pattern.clone());
    compare(Field::DataType, data_type.clone(), live.data_type.clone());
    let describe = |policies: &Option<ParameterPolicies>| policies.as_ref().map(ToString::to_string);
    compare(Field::ParameterPolicies, describe(parameter_policies), describe(&live.parameter_policies));
}

impl ParameterPolicies {
    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn count(&self) -> usize {
        let Self { expiration, expiration_notifications, no_change_notifications, others } = self;
        usize::from(expiration.is_some())
            + expiration_notifications.len()
            + no_change_notifications.len()
            + others.len()
    }

    /// Returns the policies with these texts from AWS.
    pub(super) fn from_texts<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let mut policies = Self::default();
        for text in texts {
            let document: Value = serde_json::from_str(text).unwrap_or_default();
            let attribute = |name: &str| document["Attributes"][name].as_str();
            let period = |amount: &str| Some(format!("{} {}", attribute(amount)?, attribute("Unit")?.to_lowercase()));
            let periods = match document["Type"].as_str() {
                Some("Expiration") if policies.expiration.is_none() => {
                    policies.expiration = attribute("Timestamp").and_then(time);
                    if policies.expiration.is_none() {
                        policies.others.push(text.to_owned());
                    }
                    continue;
                }
                Some("ExpirationNotification") => (&mut policies.expiration_notifications, period("Before")),
                Some("NoChangeNotification") => (&mut policies.no_change_notifications, period("After")),
                _ => (&mut policies.others, None),
            };
            match periods {
                (periods, Some(period)) => periods.push(period),
                (_, None) => policies.others.push(text.to_owned()),
            }
        }
        policies.sorted()
    }

    /// AWS does not preserve the order.
    fn sorted(mut self) -> Self {
        for all in [&mut self.expiration_notifications, &mut self.no_change_notifications, &mut self.others] {
            all.sort();
        }
        self
    }

    /// Returns them as an argument of PutParameter; `[{}]` removes all. Source: "Assigning parameter policies in Parameter Store" in the
    /// AWS Systems Manager User Guide.
    pub(super) fn document(&self) -> String {
        let Self { expiration, expiration_notifications, no_change_notifications, others } = self;
        let policy = |kind: &str, attributes: Value| {
            json!({ "Type": kind, "Version": "1.0", "Attributes": attributes }).to_string()
        };
        let notification = |kind: &str, amount: &str, period: &String| {
            let (number, unit) = period.split_once(' ').unwrap_or_default();
            let unit = if unit == "hours" { "Hours" } else { "Days" };
            policy(kind, json!({ amount: number, "Unit": unit }))
        };
        let mut all: Vec<String> =
            expiration.iter().map(|at| policy("Expiration", json!({ "Timestamp": at }))).collect();
        let before = expiration_notifications.iter();
        all.extend(before.map(|period| notification("ExpirationNotification", "Before", period)));
        let after = no_change_notifications.iter();
        all.extend(after.map(|period| notification("NoChangeNotification", "After", period)));
        all.extend(others.iter().cloned());
        if all.is_empty() { String::from("[{}]") } else { format!("[{}]", all.join(",")) }
    }
}

impl fmt::Display for ParameterPolicies {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { expiration, expiration_notifications, no_change_notifications, others } = self;
        let mut words: Vec<String> = expiration.iter().map(|at| format!("expires at {at}")).collect();
        words.extend(expiration_notifications.iter().map(|period| format!("event {period} before it expires")));
        words.extend(no_change_notifications.iter().map(|period| format!("event after {period} without a change")));
        words.extend(others.iter().cloned());
        formatter.write_str(&words.join(", "))
    }
}

/// Returns a time in the compared and sent form: in UTC, to the second.
fn time(text: &str) -> Option<String> {
    let at: Timestamp = text.parse().ok()?;
    Some(Timestamp::from_second(at.as_second()).ok()?.to_string())
}

/// Checks a description, or a pattern.
fn check_text(text: &str) -> Result<(), Invalid> {
    let count = text.chars().count();
    if count > TEXT_LIMIT {
        let help = format!("Parameter Store accepts {TEXT_LIMIT} at most");
        return Err(Invalid::new(format!("this text has {count} characters"), help));
    }
    Ok(())
}

/// Returns the expression that must match a whole value; `None` if it uses syntax that only Java has, or that has another meaning in Java.
fn expression(pattern: &str) -> Option<Result<Regex, regex_lite::Error>> {
    let special = ["(?", "\\", "++", "*+", "?+", "}+", "&&"].iter().any(|part| pattern.contains(part));
    // In Java, a class within a class is a union.
    let nested = pattern.split('[').skip(1).any(|class| !class.contains(']')) || pattern.contains("[[");
    (!special && !nested).then(|| Regex::new(&format!("^(?:{pattern})$")))
}

fn check_pattern(pattern: &str) -> Result<(), Invalid> {
    check_text(pattern)?;
    match expression(pattern) {
        Some(Err(_)) => {
            let help = "write an expression that matches the whole value, such as \"[0-9]+\"";
            Err(Invalid::new(format!("\"{pattern}\" is not a regular expression"), help))
        }
        _ => Ok(()),
    }
}

/// Checks that a value matches the pattern of its section. The message does not contain the value, which may be a secret.
pub(in crate::kind) fn check_fits(content: Option<&Content>, settings: &Settings) -> Result<(), Invalid> {
    let (Some(text), Some(pattern)) = (content.and_then(Content::text), &settings.allowed_pattern) else {
        return Ok(());
    };
    match expression(pattern) {
        Some(Ok(expression)) if !pattern.is_empty() && !expression.is_match(text) => {
            let help = "change one of them: Parameter Store requires the pattern to match the whole value";
            Err(Invalid::new(format!("the value does not match allowed_pattern = \"{pattern}\""), help))
        }
        _ => Ok(()),
    }
}

fn check_time(text: &str) -> Result<(), Invalid> {
    if time(text).is_some() {
        return Ok(());
    }
    Err(Invalid::new(format!("\"{text}\" is not a time"), "write a time in UTC such as \"2031-01-01T00:00:00Z\""))
}

fn check_period(text: &str) -> Result<(), Invalid> {
    let written = text.split_once(' ').is_some_and(|(number, unit)| {
        number.parse::<u32>().is_ok_and(|parsed| parsed > 0 && parsed.to_string() == number)
            && ["days", "hours"].contains(&unit)
    });
    if written {
        return Ok(());
    }
    Err(Invalid::new(format!("\"{text}\" is not a period"), "write a number of days or hours, such as \"15 days\""))
}

/// Reads the settings of a section. `rule` checks the data type.
pub(in crate::kind) fn read(
    reader: &mut Reader<'_>,
    fields: &mut Fields<'_>,
    check_data_type: fn(&str) -> Result<(), Invalid>,
) -> Settings {
    let mut text = |reader: &mut Reader<'_>, name, rule: fn(&str) -> Result<(), Invalid>| {
        fields.get(name).and_then(|entry| reader.checked(&entry.node, name, rule))
    };
    Settings {
        description: text(reader, "description", check_text),
        // The key may be a reference, which the section stores.
        key: None,
        allowed_pattern: text(reader, "allowed_pattern", check_pattern),
        data_type: text(reader, "data_type", check_data_type),
        parameter_policies: fields.get("parameter_policies").and_then(|entry| read_policies(reader, &entry.node)),
    }
}

fn read_policies(reader: &mut Reader<'_>, node: &Node) -> Option<ParameterPolicies> {
    let mut fields = reader.map(node, "parameter_policies")?;
    let expiration = fields.get("expiration").and_then(|entry| reader.checked(&entry.node, "expiration", check_time));
    let mut periods = |reader: &mut Reader<'_>, name: &'static str| {
        let mut all = Vec::new();
        if let Some(entry) = fields.get(name) {
            for node in reader.list(&entry.node, name).unwrap_or_default() {
                all.extend(reader.checked(node, name, check_period));
            }
        }
        all
    };
    let expiration_notifications = periods(reader, "expiration_notifications");
    let no_change_notifications = periods(reader, "no_change_notifications");
    fields.finish(reader);
    let expiration = expiration.as_deref().and_then(time);
    let policies =
        ParameterPolicies { expiration, expiration_notifications, no_change_notifications, others: Vec::new() };
    if policies.count() > POLICY_LIMIT {
        let help = format!("Parameter Store accepts {POLICY_LIMIT} for a parameter: remove some");
        reader.fault(node.span.clone(), format!("{} parameter policies", policies.count()), "too many", help);
    }
    if policies.expiration.is_none() && !policies.expiration_notifications.is_empty() {
        let help = "add expiration = \"2031-01-01T00:00:00Z\", or remove expiration_notifications";
        reader.fault(node.span.clone(), "a notification without an expiration", "expires never", help);
    }
    Some(policies.sorted())
}

/// Adds the settings to a section as TOML.
pub(in crate::kind) fn write(section: &mut String, settings: &Settings) {
    let Settings { description, key: _, allowed_pattern, data_type, parameter_policies } = settings;
    line(section, "description", description.as_deref().map(quoted));
    line(section, "allowed_pattern", allowed_pattern.as_deref().map(quoted));
    line(section, "data_type", data_type.as_deref().map(quoted));
    line(section, "parameter_policies", parameter_policies.as_ref().map(written));
}

/// Returns the settings of a live parameter that a section has: those that a new parameter lacks. `text` is the reason why only the default
/// data type is supported, if that is so.
pub(in crate::kind) fn imported(importer: &mut Importer<'_>, live: Settings, text: &str) -> Settings {
    let Settings { data_type, parameter_policies, .. } = live.without_none();
    let data_type = data_type.filter(|data_type| data_type != TEXT);
    if let Some(other) = data_type.as_ref().filter(|_| !text.is_empty()) {
        importer.warn(format!("its data type is not managed: it is {other}, and {text}"));
    }
    if let Some(ParameterPolicies { others, .. }) = &parameter_policies
        && !others.is_empty()
    {
        importer
            .warn(format!("its parameter policies are not managed: Sentinel does not support {}", others.join(", ")));
    }
    let data_type = data_type.filter(|_| text.is_empty());
    let parameter_policies = parameter_policies.filter(|policies| policies.others.is_empty());
    Settings { data_type, parameter_policies, ..live.without_none() }
}

fn written(policies: &ParameterPolicies) -> String {
    let ParameterPolicies { expiration, expiration_notifications, no_change_notifications, others: _ } = policies;
    let list = |all: &[String]| format!("[{}]", all.iter().map(|one| quoted(one)).collect::<Vec<_>>().join(", "));
    let mut parts: Vec<String> = expiration.iter().map(|at| format!("expiration = {}", quoted(at))).collect();
    for (name, periods) in
        [("expiration_notifications", expiration_notifications), ("no_change_notifications", no_change_notifications)]
    {
        parts.extend((!periods.is_empty()).then(|| format!("{name} = {}", list(periods))));
    }
    if parts.is_empty() { String::from("{}") } else { format!("{{ {} }}", parts.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_checked_if_java_and_rust_agree_on_the_pattern() {
        let fits = |value: &str, pattern: &str| {
            let settings = Settings { allowed_pattern: Some(pattern.to_owned()), ..Settings::default() };
            check_fits(Some(&value.into()), &settings).is_ok()
        };
        assert!(fits("123", "[0-9]+") && !fits("abc", "[0-9]+") && !fits("12a", "[0-9]+"));
        assert!(fits("abc", "") && fits("abc", "(?=x)abc") && fits("abc", "\\d+") && fits("abc", "[a-z&&[^x]]+"));
        assert!(check_pattern("[0-9").is_ok(), "it may be of Java's classes in classes");
        assert!(check_pattern("(a").is_err() && check_pattern("a{2,1}").is_err() && check_pattern("*").is_err());
    }

    #[test]
    fn policies_are_read_back_as_they_are_sent() {
        let policies = ParameterPolicies {
            expiration: Some(String::from("2031-01-01T00:00:00Z")),
            expiration_notifications: vec![String::from("15 days"), String::from("6 hours")],
            no_change_notifications: vec![String::from("20 days")],
            others: Vec::new(),
        };
        let sent: Vec<Value> = serde_json::from_str(&policies.document()).unwrap();
        assert_eq!(sent.len(), 4);
        let texts: Vec<String> = sent.iter().rev().map(Value::to_string).collect();
        assert_eq!(ParameterPolicies::from_texts(texts.iter().map(String::as_str)), policies);
        assert_eq!(ParameterPolicies::default().document(), "[{}]");
        // AWS returns milliseconds.
        let theirs =
            r#"{"Type":"Expiration","Version":"1.0","Attributes":{"Timestamp":"2031-01-01T01:00:00.000+01:00"}}"#;
        assert_eq!(ParameterPolicies::from_texts([theirs].into_iter()).expiration, policies.expiration);
    }

    #[test]
    fn unknown_parameter_policies_are_kept() {
        let strange = r#"{"Type":"Rotation","Version":"2.0","Attributes":{}}"#;
        let policies = ParameterPolicies::from_texts([strange].into_iter());
        assert_eq!((policies.others.len(), policies.document()), (1, format!("[{strange}]")));
    }
}

/// Generators for property tests.
#[cfg(test)]
pub(in crate::kind) mod any {
    use proptest::collection::vec;
    use proptest::option::of;
    use proptest::prelude::*;

    use super::*;

    /// Generates settings.
    pub(in crate::kind) fn settings() -> impl Strategy<Value = Settings> {
        let period = prop_oneof!["[1-9][0-9]{0,2} days", "[1-9] hours"];
        let periods = vec(period, 0..=3).boxed();
        let policies = (0..=3, periods.clone(), periods).prop_map(|(expires, before, after)| {
            let expiration = (expires > 0).then(|| format!("203{expires}-01-01T00:00:00Z"));
            let expiration_notifications = if expiration.is_some() { before } else { Vec::new() };
            let others = Vec::new();
            ParameterPolicies { expiration, expiration_notifications, no_change_notifications: after, others }.sorted()
        });
        let data_type = of(Just(String::from(TEXT)));
        (of("\\PC{0,20}"), of("([(][?]s[)][a-z.]{1,6})?"), data_type, of(policies)).prop_map(
            |(description, allowed_pattern, data_type, parameter_policies)| Settings {
                description,
                key: None,
                allowed_pattern,
                data_type,
                parameter_policies,
            },
        )
    }
}
