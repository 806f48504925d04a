//! JSON policy documents, such as key policies: parsing, normalization, comparison and printing.
//!
//! AWS may return a document with the same meaning in another form than the one that was sent, so documents are compared by meaning and
//! never as text. Source of the rules: AWS Identity and Access Management User Guide, "IAM JSON policy elements reference" and "Grammar of
//! the IAM JSON policy language".

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::document::closest;
use crate::resource::Invalid;

/// A normalized policy document: known elements in their usual order, `Statement` as a list, and a list of one value as that value. Two
/// documents are equal if they have the same meaning.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "Value", into = "Value")]
pub struct PolicyDocument(Value);

impl PartialEq for PolicyDocument {
    fn eq(&self, other: &Self) -> bool {
        meaning(&self.0) == meaning(&other.0)
    }
}

impl Eq for PolicyDocument {}

impl From<Value> for PolicyDocument {
    fn from(value: Value) -> Self {
        Self(normalized(value))
    }
}

impl From<PolicyDocument> for Value {
    fn from(document: PolicyDocument) -> Self {
        document.0
    }
}

impl PolicyDocument {
    /// Parses a user's document, with the rules for resource policies of all services.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        Self::parse_as(text, Form::Resource)
    }

    /// Parses a user's document, with the rules for policies of this form.
    pub fn parse_as(text: &str, form: Form) -> Result<Self, Invalid> {
        let value = parse_json(text)?;
        check(&value, form)?;
        Ok(Self(normalized(value)))
    }

    /// Parses a document from AWS. If it is not JSON, it is kept as text and differs from every other document.
    pub fn from_aws(text: &str) -> Self {
        Self(parse_json(text).map_or_else(|_| Value::String(text.to_owned()), normalized))
    }

    /// Returns the document in the form that is sent to AWS.
    pub fn to_json(&self) -> String {
        self.0.to_string()
    }

    /// Returns the document on several lines for display.
    pub fn pretty(&self) -> String {
        pretty(&self.0)
    }

    /// Returns the document on several lines, with statements in the order of another document, so that a diff shows only differences.
    pub fn pretty_beside(&self, other: &Self) -> String {
        let mut value = self.0.clone();
        let others = other.0.get("Statement").and_then(Value::as_array);
        if let (Some(Value::Array(own)), Some(others)) = (value.get_mut("Statement"), others) {
            let others: Vec<Value> = others.iter().map(statement_meaning).collect();
            let position = |statement: &Value| {
                let meaning = statement_meaning(statement);
                let same_id = |other: &Value| !statement["Sid"].is_null() && other["Sid"] == statement["Sid"];
                let same = others.iter().position(|other| *other == meaning);
                same.or_else(|| others.iter().position(same_id)).unwrap_or(usize::MAX)
            };
            own.sort_by_cached_key(position);
        }
        pretty(&value)
    }

    /// Returns its size for display, such as `2 statements`.
    pub fn describe(&self) -> String {
        match self.0["Statement"].as_array().map_or(0, Vec::len) {
            1 => String::from("1 statement"),
            count => format!("{count} statements"),
        }
    }

    pub fn value(&self) -> &Value {
        &self.0
    }

    /// Returns the document with each text changed, including condition keys.
    #[must_use]
    pub fn mapped(&self, change: &impl Fn(&str) -> String) -> Self {
        Self(normalized(texts(&self.0, change)))
    }
}

/// The type of a policy, which determines the elements of its statements. Source: AWS Identity and Access Management User Guide, "IAM JSON
/// policy elements reference".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A resource policy: each statement has a principal.
    Resource,
    /// A trust policy: the resource is the role.
    Trust,
    /// An identity policy: the principal is the user or role.
    Identity,
}

/// Returns JSON with each text in it changed.
fn texts(value: &Value, change: &impl Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => Value::String(change(text)),
        Value::Array(items) => items.iter().map(|item| texts(item, change)).collect(),
        Value::Object(map) => map.iter().map(|(key, value)| (change(key), texts(value, change))).collect(),
        other => other.clone(),
    }
}

pub fn pretty(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => format!("{value:#}\n"),
    }
}

/// Parses JSON. A repeated key is refused, because parsers disagree on which value counts.
pub fn parse_json(text: &str) -> Result<Value, Invalid> {
    let failed = |error: serde_json::Error| {
        let message = error.to_string();
        let description = match error.classify() {
            serde_json::error::Category::Eof => "the document is not complete",
            _ => message.split(" at line ").next().unwrap_or(&message),
        };
        let location = format!("line {}, column {}", error.line(), error.column());
        Invalid::new(format!("invalid JSON: {description} ({location})"), "write one JSON document, without comments")
    };
    let mut reader = serde_json::Deserializer::from_str(text.trim_start_matches('\u{feff}'));
    let value = Unique.deserialize(&mut reader).map_err(failed)?;
    reader.end().map_err(failed)?;
    Ok(value)
}

/// Parses JSON without repeated keys.
struct Unique;

impl<'de> DeserializeSeed<'de> for Unique {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Self)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(Self)?;
            if map.contains_key(&key) {
                return Err(A::Error::custom(format!("the key \"{key}\" is defined twice")));
            }
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

/// The elements of a document and of a statement, in their usual order.
const ELEMENTS: &[&str] = &["Version", "Id", "Statement"];
const STATEMENT_ELEMENTS: &[&str] =
    &["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"];
/// The version of a document without one.
const OLD_VERSION: &str = "2008-10-17";

/// Refuses policies that no service accepts. AWS would report the error only after other changes were made.
fn check(value: &Value, form: Form) -> Result<(), Invalid> {
    let refuse = |problem: String, help: &str| Err(Invalid::new(problem, help));
    let Value::Object(document) = value else {
        let help = "write { \"Version\": …, \"Statement\": [ … ] }";
        return refuse(String::from("the policy is not a JSON object"), help);
    };
    check_elements(document, ELEMENTS, "the policy")?;
    match document.get("Version") {
        None => {}
        Some(Value::String(version)) if version == "2012-10-17" || version == OLD_VERSION => {}
        Some(other) => {
            return refuse(format!("the policy has the Version {other}"), "write \"Version\": \"2012-10-17\"");
        }
    }
    let statements = match document.get("Statement") {
        Some(Value::Array(statements)) => statements.as_slice(),
        Some(one @ Value::Object(_)) => std::slice::from_ref(one),
        Some(_) | None => {
            return refuse(
                String::from("the policy has no Statement"),
                "add \"Statement\": [ { \"Effect\": …, \"Principal\": …, \"Action\": …, \"Resource\": … } ]",
            );
        }
    };
    if statements.is_empty() {
        return refuse(String::from("the policy's Statement is empty"), "add at least one statement");
    }
    for (index, statement) in statements.iter().enumerate() {
        let sid = statement["Sid"].as_str().map(|sid| format!(" (\"{sid}\")")).unwrap_or_default();
        check_statement(statement, &format!("statement {}{sid} of the policy", index + 1), form)?;
    }
    Ok(())
}

fn check_statement(statement: &Value, what: &str, form: Form) -> Result<(), Invalid> {
    let refuse = |problem: String, help: &str| Err(Invalid::new(problem, help));
    let Value::Object(elements) = statement else {
        return refuse(format!("{what} is not a JSON object"), "write { \"Effect\": …, \"Action\": … }");
    };
    check_elements(elements, STATEMENT_ELEMENTS, what)?;
    match elements.get("Effect").and_then(Value::as_str) {
        Some("Allow" | "Deny") => {}
        Some(other) => return refuse(format!("{what} has the Effect \"{other}\""), "write \"Allow\" or \"Deny\""),
        None => return refuse(format!("{what} has no Effect"), "add \"Effect\": \"Allow\" or \"Deny\""),
    }
    for (one, other) in [("Action", "NotAction"), ("Principal", "NotPrincipal"), ("Resource", "NotResource")] {
        if elements.contains_key(one) && elements.contains_key(other) {
            return refuse(format!("{what} has both {one} and {other}"), "remove one of them");
        }
    }
    check_form(elements, what, form)?;
    for name in ["Principal", "NotPrincipal"] {
        if elements.get(name).is_some_and(|value| !is_principal(value)) {
            let help = "write \"*\", or { \"AWS\": … }, with \"Service\", \"Federated\" or \"CanonicalUser\" in addition or instead";
            return refuse(format!("the {name} of {what} is empty"), help);
        }
    }
    let conditions = |value: &Value| value.as_object().is_some_and(|map| map.values().all(Value::is_object));
    if elements.get("Condition").is_some_and(|value| !conditions(value)) {
        let help = "write { \"StringEquals\": { \"aws:SourceAccount\": … } }";
        return refuse(format!("the Condition of {what} is not an object of objects"), help);
    }
    if !elements.contains_key("Action") && !elements.contains_key("NotAction") {
        return refuse(format!("{what} has no Action"), "add \"Action\": the actions that it allows or denies");
    }
    for name in ["Action", "NotAction", "Resource", "NotResource"] {
        if elements.get(name).is_some_and(|value| !is_text(value)) {
            return refuse(
                format!("the {name} of {what} is neither a string nor a list of strings"),
                "write a string or a list",
            );
        }
    }
    Ok(())
}

/// Checks that a statement has the elements of its policy type and no others.
fn check_form(elements: &Map<String, Value>, what: &str, form: Form) -> Result<(), Invalid> {
    let has = |names: [&'static str; 2]| names.into_iter().find(|name| elements.contains_key(*name));
    let (principal, resource) = (has(["Principal", "NotPrincipal"]), has(["Resource", "NotResource"]));
    match (form, principal, resource) {
        (Form::Resource | Form::Trust, None, _) => {
            let of = if form == Form::Trust { "role" } else { "resource" };
            let whose = if form == Form::Trust { "trust policy of a" } else { "policy of a" };
            let help = format!("add \"Principal\": {{ \"AWS\": … }}; the {whose} {of} needs one in each statement");
            Err(Invalid::new(format!("{what} has no Principal"), help))
        }
        (Form::Trust, _, Some(name)) => {
            let help = format!("remove {name}: the resource of a trust policy is its role");
            Err(Invalid::new(format!("{what} has a {name}"), help))
        }
        (Form::Identity, Some(name), _) => {
            let help = format!("remove {name}: the principal is the user or role with the policy");
            Err(Invalid::new(format!("{what} has a {name}"), help))
        }
        (Form::Identity, None, None) => {
            let help = "add \"Resource\": the ARNs that it applies to, or \"*\"";
            Err(Invalid::new(format!("{what} has no Resource"), help))
        }
        _ => Ok(()),
    }
}

/// Returns whether a value is a string or a nonempty list of strings.
fn is_text(value: &Value) -> bool {
    match value {
        Value::String(_) => true,
        Value::Array(items) => !items.is_empty() && items.iter().all(Value::is_string),
        _ => false,
    }
}

/// Source: "AWS JSON policy elements: Principal" in the AWS Identity and Access Management User Guide.
fn is_principal(value: &Value) -> bool {
    const TYPES: &[&str] = &["AWS", "Service", "Federated", "CanonicalUser"];
    match value {
        Value::String(text) => text == "*",
        Value::Object(map) => {
            !map.is_empty() && map.iter().all(|(of, who)| TYPES.contains(&of.as_str()) && is_text(who))
        }
        _ => false,
    }
}

fn check_elements(elements: &Map<String, Value>, known: &[&str], what: &str) -> Result<(), Invalid> {
    match elements.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(unknown) => {
            let help = match closest(unknown, known) {
                Some(similar) => format!("did you mean \"{similar}\"? Valid elements are: {}", known.join(", ")),
                None => format!("valid keys are: {}", known.join(", ")),
            };
            Err(Invalid::new(format!("{what} has an unknown element \"{unknown}\""), help))
        }
    }
}

/// Returns a map with the known keys first, in order, and the others after them by name.
fn ordered(map: Map<String, Value>, known: &[&str]) -> Map<String, Value> {
    let mut entries: Vec<(String, Value)> = map.into_iter().collect();
    let rank = |key: &str| known.iter().position(|one| *one == key).unwrap_or(known.len());
    entries.sort_by(|(one, _), (other, _)| (rank(one), one).cmp(&(rank(other), other)));
    entries.into_iter().collect()
}

/// Normalizes a document. Its meaning and the spelling of names do not change.
fn normalized(value: Value) -> Value {
    let Value::Object(document) = value else { return value };
    let mut document = ordered(document, ELEMENTS);
    if let Some(statement) = document.get_mut("Statement") {
        let statements = match statement.take() {
            Value::Array(statements) => statements,
            one => vec![one],
        };
        *statement = Value::Array(statements.into_iter().map(normalized_statement).collect());
    }
    Value::Object(document)
}

fn normalized_statement(value: Value) -> Value {
    let Value::Object(statement) = value else { return value };
    let mut statement = ordered(statement, STATEMENT_ELEMENTS);
    for (name, value) in &mut statement {
        let taken = value.take();
        *value = match name.as_str() {
            "Action" | "NotAction" | "Resource" | "NotResource" => values(taken),
            "Principal" | "NotPrincipal" => nested(taken, 1),
            "Condition" => nested(taken, 2),
            _ => taken,
        };
    }
    Value::Object(statement)
}

/// Sorts a map of lists of values, or a map of such maps.
fn nested(value: Value, levels: usize) -> Value {
    match value {
        Value::Object(map) if levels > 0 => {
            let map = ordered(map, &[]).into_iter();
            Value::Object(map.map(|(key, value)| (key, nested(value, levels - 1))).collect())
        }
        value => values(value),
    }
}

/// Returns values in order and without repetition; a single one without its list.
fn values(value: Value) -> Value {
    let Value::Array(items) = value else { return text(value) };
    let mut items: Vec<Value> = items.into_iter().map(text).collect();
    items.sort_by_cached_key(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned));
    items.dedup();
    match <[Value; 1]>::try_from(items) {
        Ok([one]) => one,
        Err(items) => Value::Array(items),
    }
}

/// Returns a value of a condition as text: `true` and `"true"` are equal.
fn text(value: Value) -> Value {
    match value {
        Value::Bool(flag) => Value::String(flag.to_string()),
        Value::Number(number) => Value::String(number.to_string()),
        value => value,
    }
}

/// Returns the meaning of a normalized document, which is equal for all documents with the same meaning.
fn meaning(value: &Value) -> Value {
    let Value::Object(document) = value else { return value.clone() };
    let mut document = document.clone();
    document.entry("Version").or_insert_with(|| OLD_VERSION.into());
    if let Some(Value::Array(statements)) = document.get_mut("Statement") {
        // A deny overrides every allow, so the order of statements does not matter.
        let mut parts: Vec<Value> = statements.iter().map(statement_meaning).collect();
        parts.sort_by_cached_key(Value::to_string);
        *statements = parts;
    }
    Value::Object(document)
}

fn statement_meaning(statement: &Value) -> Value {
    let Value::Object(statement) = statement else { return statement.clone() };
    let parts = statement.iter().map(|(name, value)| {
        let value = match name.as_str() {
            // Actions are case-insensitive.
            "Action" | "NotAction" => values(mapped(value, &|text| text.to_ascii_lowercase())),
            "Principal" | "NotPrincipal" => principal_meaning(value),
            "Condition" => condition_meaning(value),
            _ => value.clone(),
        };
        (name.clone(), value)
    });
    Value::Object(parts.collect())
}

fn mapped(value: &Value, change: &impl Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => Value::String(change(text)),
        Value::Array(items) => items.iter().map(|item| mapped(item, change)).collect(),
        other => other.clone(),
    }
}

/// `"*"` equals `{ "AWS": "*" }`, and an account can be named by its ID or by the ARN of its root.
fn principal_meaning(value: &Value) -> Value {
    let short = |text: &str| {
        let mut parts = text.splitn(6, ':');
        let parts = [(); 6].map(|()| parts.next().unwrap_or_default());
        match parts {
            ["arn", _, "iam", "", account, "root"] => account.to_owned(),
            _ => text.to_owned(),
        }
    };
    match value {
        Value::Object(map) => {
            let parts = map.iter().map(|(kind, value)| {
                (kind.clone(), if kind == "AWS" { values(mapped(value, &short)) } else { value.clone() })
            });
            Value::Object(parts.collect())
        }
        other => Value::Object(Map::from_iter([(String::from("AWS"), other.clone())])),
    }
}

/// Condition keys are case-insensitive.
fn condition_meaning(value: &Value) -> Value {
    let Value::Object(operators) = value else { return value.clone() };
    let lower = |keys: &Value| match keys {
        Value::Object(keys) => {
            let mut keys: Vec<_> = keys.iter().map(|(key, value)| (key.to_ascii_lowercase(), value.clone())).collect();
            keys.sort_by(|(one, _), (other, _)| one.cmp(other));
            Value::Object(keys.into_iter().collect())
        }
        other => other.clone(),
    };
    Value::Object(operators.iter().map(|(operator, keys)| (operator.clone(), lower(keys))).collect())
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use serde_json::json;

    use super::*;

    fn document(value: &Value) -> PolicyDocument {
        PolicyDocument::parse(&value.to_string()).unwrap()
    }

    fn of_statement(statement: &Value) -> PolicyDocument {
        document(&json!({ "Version": "2012-10-17", "Statement": statement }))
    }

    fn statement(more: &Value) -> Value {
        let mut statement = json!({ "Effect": "Allow", "Principal": { "AWS": "123456789012" }, "Action": "kms:*" });
        for (name, value) in more.as_object().unwrap() {
            statement[name] = value.clone();
        }
        statement
    }

    #[track_caller]
    fn same(one: &Value, other: &Value) {
        assert_eq!(of_statement(&statement(one)), of_statement(&statement(other)));
    }

    #[track_caller]
    fn different(one: &Value, other: &Value) {
        assert_ne!(of_statement(&statement(one)), of_statement(&statement(other)));
    }

    #[test]
    fn documents_are_printed_normalized() {
        let text = r#"{"Statement": {"Resource": ["*"], "Principal": {"Service": "sns.amazonaws.com", "AWS": ["b", "a", "b"]},
            "Action": ["kms:Encrypt", "kms:Decrypt"], "Condition": {"Bool": {"aws:x": true}}, "Sid": "one", "Effect": "Allow"},
            "Version": "2012-10-17"}"#;
        assert_snapshot!(PolicyDocument::parse(text).unwrap().pretty(), @r#"
        {
          "Version": "2012-10-17",
          "Statement": [
            {
              "Sid": "one",
              "Effect": "Allow",
              "Principal": {
                "AWS": [
                  "a",
                  "b"
                ],
                "Service": "sns.amazonaws.com"
              },
              "Action": [
                "kms:Decrypt",
                "kms:Encrypt"
              ],
              "Resource": "*",
              "Condition": {
                "Bool": {
                  "aws:x": "true"
                }
              }
            }
          ]
        }
        "#);
    }

    #[test]
    fn normalization_is_idempotent() {
        let once = of_statement(&statement(&json!({ "Resource": ["b", "a"] })));
        assert_eq!(PolicyDocument::parse(&once.to_json()).unwrap().pretty(), once.pretty());
        let read: PolicyDocument = serde_json::from_str(&serde_json::to_string(&once).unwrap()).unwrap();
        assert_eq!(read.pretty(), once.pretty());
    }

    #[test]
    fn documents_with_the_same_meaning_are_equal() {
        same(&json!({ "Action": "kms:Decrypt" }), &json!({ "Action": ["KMS:decrypt"] }));
        same(&json!({ "Action": ["a:B", "a:C"] }), &json!({ "Action": ["a:C", "a:B", "A:b"] }));
        same(&json!({ "Principal": "*" }), &json!({ "Principal": { "AWS": ["*"] } }));
        for partition in ["aws", "aws-cn"] {
            let root = format!("arn:{partition}:iam::123456789012:root");
            same(&json!({}), &json!({ "Principal": { "AWS": root } }));
        }
        let condition = |value: Value| json!({ "Condition": { "Bool": value } });
        same(
            &condition(json!({ "aws:A": true, "aws:B": ["x"] })),
            &condition(json!({ "aws:b": "x", "AWS:a": "true" })),
        );
        let one = json!([statement(&json!({})), statement(&json!({ "Effect": "Deny" }))]);
        let other = json!([statement(&json!({ "Effect": "Deny" })), statement(&json!({}))]);
        assert_eq!(of_statement(&one), of_statement(&other));
        let version = |version: Option<&str>| {
            let mut value = json!({ "Statement": [statement(&json!({}))] });
            if let Some(version) = version {
                value["Version"] = json!(version);
            }
            document(&value)
        };
        assert_eq!(version(None), version(Some("2008-10-17")));
        assert_ne!(version(None), version(Some("2012-10-17")));
    }

    #[test]
    fn documents_with_different_meanings_differ() {
        different(&json!({}), &json!({ "Effect": "Deny" }));
        different(&json!({}), &json!({ "Sid": "a" }));
        different(&json!({ "Resource": "a" }), &json!({ "Resource": "A" }));
        different(&json!({ "Resource": "a" }), &json!({ "NotResource": "a" }));
        different(&json!({}), &json!({ "Principal": { "Service": "123456789012" } }));
        different(&json!({}), &json!({ "Principal": { "AWS": "arn:aws:iam::123456789012:user/root" } }));
        different(
            &json!({ "Condition": { "StringEquals": { "a": "b" } } }),
            &json!({ "Condition": { "StringLike": { "a": "b" } } }),
        );
        let deny = statement(&json!({ "Effect": "Deny" }));
        assert_ne!(of_statement(&json!([statement(&json!({}))])), of_statement(&json!([statement(&json!({})), deny])));
    }

    #[test]
    fn a_diff_orders_the_statements_of_both_sides_alike() {
        let named = |sid: &str, action: &str| statement(&json!({ "Sid": sid, "Action": action }));
        let live = of_statement(&json!([named("b", "x:B"), named("c", "x:C"), named("a", "x:Z")]));
        let desired = of_statement(&json!([named("a", "x:A"), named("b", "x:B")]));
        let ordered: Value = serde_json::from_str(&live.pretty_beside(&desired)).unwrap();
        let sids: Vec<&str> =
            ordered["Statement"].as_array().unwrap().iter().filter_map(|one| one["Sid"].as_str()).collect();
        assert_eq!(sids, ["a", "b", "c"]);
    }

    #[test]
    fn invalid_policies_are_refused_with_a_fix() {
        let refused = |text: &str| PolicyDocument::parse(text).unwrap_err().to_string();
        let of = |more: Value| refused(&json!({ "Statement": [statement(&more)] }).to_string());
        let all = [
            refused(""),
            refused("{ \"Version\": \"2012-10-17\",\n }"),
            refused(r#"{"Statement": [], "Statement": []}"#),
            refused(r#"{"Statement": [{"Effect": "Allow", "Effect": "Deny"}]}"#),
            refused("[]"),
            refused("{}"),
            refused(r#"{"Statement": []}"#),
            refused(r#"{"Version": "2012-10-18", "Statement": []}"#),
            refused(r#"{"Statements": []}"#),
            refused(r#"{"Statement": ["x"]}"#),
            refused(r#"{"Statement": [{"Effect": "Allow"}]}"#),
            refused(r#"{"Statement": [{"Effect": "Allow", "Principal": "*"}]}"#),
            of(json!({ "Effect": "allow" })),
            of(json!({ "NotAction": "x" })),
            of(json!({ "Resource": 1 })),
            of(json!({ "Action": [] })),
            of(json!({ "Principal": {} })),
            of(json!({ "Principal": { "AWS": [] } })),
            of(json!({ "Principal": { "AWS": 5 } })),
            of(json!({ "Principal": "123456789012" })),
            of(json!({ "Condition": "x" })),
            of(json!({ "Condition": { "StringEquals": "x" } })),
            of(json!({ "Sid": "a", "Resources": "x" })),
        ];
        assert_snapshot!(all.join("\n"), @r#"
        invalid JSON: the document is not complete (line 1, column 0); write one JSON document, without comments
        invalid JSON: trailing comma (line 2, column 2); write one JSON document, without comments
        invalid JSON: the key "Statement" is defined twice (line 1, column 34); write one JSON document, without comments
        invalid JSON: the key "Effect" is defined twice (line 1, column 52); write one JSON document, without comments
        the policy is not a JSON object; write { "Version": …, "Statement": [ … ] }
        the policy has no Statement; add "Statement": [ { "Effect": …, "Principal": …, "Action": …, "Resource": … } ]
        the policy's Statement is empty; add at least one statement
        the policy has the Version "2012-10-18"; write "Version": "2012-10-17"
        the policy has an unknown element "Statements"; did you mean "Statement"? Valid elements are: Version, Id, Statement
        statement 1 of the policy is not a JSON object; write { "Effect": …, "Action": … }
        statement 1 of the policy has no Principal; add "Principal": { "AWS": … }; the policy of a resource needs one in each statement
        statement 1 of the policy has no Action; add "Action": the actions that it allows or denies
        statement 1 of the policy has the Effect "allow"; write "Allow" or "Deny"
        statement 1 of the policy has both Action and NotAction; remove one of them
        the Resource of statement 1 of the policy is neither a string nor a list of strings; write a string or a list
        the Action of statement 1 of the policy is neither a string nor a list of strings; write a string or a list
        the Principal of statement 1 of the policy is empty; write "*", or { "AWS": … }, with "Service", "Federated" or "CanonicalUser" in addition or instead
        the Principal of statement 1 of the policy is empty; write "*", or { "AWS": … }, with "Service", "Federated" or "CanonicalUser" in addition or instead
        the Principal of statement 1 of the policy is empty; write "*", or { "AWS": … }, with "Service", "Federated" or "CanonicalUser" in addition or instead
        the Principal of statement 1 of the policy is empty; write "*", or { "AWS": … }, with "Service", "Federated" or "CanonicalUser" in addition or instead
        the Condition of statement 1 of the policy is not an object of objects; write { "StringEquals": { "aws:SourceAccount": … } }
        the Condition of statement 1 of the policy is not an object of objects; write { "StringEquals": { "aws:SourceAccount": … } }
        statement 1 ("a") of the policy has an unknown element "Resources"; did you mean "Resource"? Valid elements are: Sid, Effect, Principal, NotPrincipal, Action, NotAction, Resource, NotResource, Condition
        "#);
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(refused(&deep).contains("recursion limit"), "{}", refused(&deep));
    }

    #[test]
    fn each_policy_type_has_its_own_elements() {
        let of = |form: Form, more: Value| {
            let mut statement = json!({ "Effect": "Allow", "Action": "sts:AssumeRole" });
            statement.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let text = json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string();
            PolicyDocument::parse_as(&text, form).map(|_| ()).map_err(|invalid| invalid.problem)
        };
        let (who, what) = (json!({ "Principal": "*" }), json!({ "Resource": "*" }));
        let both = json!({ "Principal": "*", "Resource": "*" });
        assert_eq!([of(Form::Trust, who.clone()), of(Form::Identity, what.clone())], [Ok(()), Ok(())]);
        assert_eq!([of(Form::Resource, who.clone()), of(Form::Resource, both.clone())], [Ok(()), Ok(())]);
        let refused = |why: &str| Err(format!("statement 1 of the policy has {why}"));
        assert_eq!(of(Form::Trust, what), refused("no Principal"));
        assert_eq!(of(Form::Trust, both.clone()), refused("a Resource"));
        assert_eq!(of(Form::Identity, both), refused("a Principal"));
        assert_eq!(of(Form::Identity, json!({})), refused("no Resource"));
        assert_eq!(of(Form::Identity, who), refused("a Principal"));
    }

    #[test]
    fn every_document_from_aws_is_accepted() {
        assert_eq!(PolicyDocument::from_aws("{}").value(), &json!({}));
        assert_eq!(PolicyDocument::from_aws("not JSON").pretty(), "not JSON");
        assert_ne!(PolicyDocument::from_aws("not JSON"), of_statement(&statement(&json!({}))));
    }
}
