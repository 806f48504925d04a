//! Policy documents: parsing, and the errors of invalid documents.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A policy document.
#[derive(Debug, Clone)]
pub(super) struct Document {
    /// The name of the policy, as `SimulatePrincipalPolicy` returns it; empty for a policy that is not simulated.
    pub(super) name: String,
    pub(super) version: Version,
    pub(super) statements: Vec<Statement>,
}

impl Document {
    pub(super) fn named(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }
}

/// A position in the text of a policy, both numbers from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// The version of the policy language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub(super) enum Version {
    /// The version of a document without one; it has no policy variables.
    #[default]
    #[serde(rename = "2008-10-17")]
    V2008,
    #[serde(rename = "2012-10-17")]
    V2012,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) enum Effect {
    Allow,
    Deny,
}

/// A list, or its complement.
#[derive(Debug, Clone)]
pub(super) enum Of {
    These(Vec<String>),
    AllBut(Vec<String>),
}

/// The principal of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Principal {
    /// `*`, alone or as an `AWS` principal.
    Everyone,
    /// The ARN of a user, role, role session, account or root user, or a unique ID.
    Aws(String),
    /// Such as `ecs-tasks.amazonaws.com`.
    Service(String),
    /// An identity provider, whose identities make no signed requests in the emulator.
    Federated(String),
}

/// The principals that a statement names or excludes.
#[derive(Debug, Clone)]
pub(super) enum Principals {
    These(Vec<Principal>),
    AllBut(Vec<Principal>),
}

#[derive(Debug, Clone)]
pub(super) struct Statement {
    pub(super) effect: Effect,
    /// `None` in an identity-based policy.
    pub(super) principals: Option<Principals>,
    pub(super) action: Of,
    /// `None` in a trust policy, whose resource is the role.
    pub(super) resource: Option<Of>,
    pub(super) conditions: Vec<Condition>,
    pub(super) start: Position,
    pub(super) end: Position,
}

/// One operator with one key.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    pub(super) operator: String,
    pub(super) key: String,
    pub(super) values: Vec<String>,
}

/// The type of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Identity-based: it names resources.
    Identity,
    /// A trust policy: it names principals.
    Trust,
}

/// Parses an identity-based policy. Unknown elements and duplicates are errors.
pub(super) fn parse(text: &str) -> Result<Document, String> {
    read(text, Form::Identity)
}

/// Parses the trust policy of a role.
pub(super) fn parse_trust(text: &str) -> Result<Document, String> {
    read(text, Form::Trust)
}

fn read(text: &str, form: Form) -> Result<Document, String> {
    let raw: RawDocument = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut statements: Vec<Statement> =
        raw.statement.0.into_iter().map(|raw| statement(raw, form)).collect::<Result<_, _>>()?;
    for (statement, (start, end)) in statements.iter_mut().zip(positions(text)) {
        (statement.start, statement.end) = (start, end);
    }
    Ok(Document { name: String::new(), version: raw.version, statements })
}

/// Returns where the statements of a valid policy begin and end. They are its only objects at the top level, alone or in a list.
fn positions(text: &str) -> Vec<(Position, Position)> {
    let (mut found, mut open, mut start) = (Vec::new(), String::new(), None);
    let (mut quoted, mut escaped) = (false, false);
    let mut at = Position { line: 1, column: 0 };
    for letter in text.chars() {
        at = match letter {
            '\n' => Position { line: at.line + 1, column: 0 },
            _ => Position { column: at.column + 1, ..at },
        };
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '{' | '[' => {
                if letter == '{' && ["{", "{["].contains(&open.as_str()) {
                    start = Some(at);
                }
                open.push(letter);
            }
            '}' | ']' => {
                open.pop();
                if ["{", "{["].contains(&open.as_str()) && letter == '}' {
                    found.extend(start.take().map(|start| (start, at)));
                }
            }
            _ => {}
        }
    }
    found
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct RawDocument {
    #[serde(default)]
    version: Version,
    #[serde(default, rename = "Id")]
    _id: Option<String>,
    statement: OneOrMany<RawStatement>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct RawStatement {
    #[serde(default)]
    sid: String,
    effect: Effect,
    #[serde(default)]
    action: Option<OneOrMany<String>>,
    #[serde(default)]
    not_action: Option<OneOrMany<String>>,
    #[serde(default)]
    resource: Option<OneOrMany<String>>,
    #[serde(default)]
    not_resource: Option<OneOrMany<String>>,
    #[serde(default)]
    principal: Option<RawPrincipals>,
    #[serde(default)]
    not_principal: Option<RawPrincipals>,
    #[serde(default)]
    condition: Option<Pairs<Pairs<OneOrMany<Scalar>>>>,
}

fn statement(raw: RawStatement, form: Form) -> Result<Statement, String> {
    let name = if raw.sid.is_empty() { String::from("a statement") } else { format!("the statement {}", raw.sid) };
    let of = |what: &str, these: Option<OneOrMany<String>>, but: Option<OneOrMany<String>>| match (these, but) {
        (Some(these), None) if !these.0.is_empty() => Ok(Of::These(these.0)),
        (None, Some(but)) if !but.0.is_empty() => Ok(Of::AllBut(but.0)),
        _ => Err(format!("{name} needs either {what} or Not{what}, with a value")),
    };
    let action = of("Action", raw.action, raw.not_action)?;
    let (Of::These(actions) | Of::AllBut(actions)) = &action;
    if let Some(bad) = actions.iter().find(|action| *action != "*" && !action.contains(':')) {
        return Err(format!("{name} has the action `{bad}`, which is not SERVICE:ACTION or `*`"));
    }
    let (resource, principals) = match form {
        Form::Identity if raw.principal.is_some() || raw.not_principal.is_some() => {
            return Err(format!("{name} names a principal, which the policy of an identity does not"));
        }
        Form::Identity => (Some(of("Resource", raw.resource, raw.not_resource)?), None),
        Form::Trust if raw.resource.is_some() || raw.not_resource.is_some() => {
            return Err(String::from("Has prohibited field Resource"));
        }
        Form::Trust => (None, Some(principals(raw.effect, raw.principal, raw.not_principal)?)),
    };
    let conditions = raw.condition.into_iter().flat_map(|block| block.0).flat_map(|(operator, keys)| {
        let of = move |(key, values): (String, OneOrMany<Scalar>)| Condition {
            operator: operator.clone(),
            key,
            values: values.0.into_iter().map(|value| value.0).collect(),
        };
        keys.0.into_iter().map(of)
    });
    let conditions = conditions.collect();
    let unknown = Position { line: 0, column: 0 };
    Ok(Statement { effect: raw.effect, principals, action, resource, conditions, start: unknown, end: unknown })
}

fn principals(effect: Effect, these: Option<RawPrincipals>, but: Option<RawPrincipals>) -> Result<Principals, String> {
    match (these, but) {
        (Some(these), None) => Ok(Principals::These(these.read()?)),
        // IAM User Guide, "AWS JSON policy elements: NotPrincipal": it is allowed only with a deny.
        (None, Some(but)) if effect == Effect::Deny => Ok(Principals::AllBut(but.read()?)),
        (None, Some(_)) => Err(String::from("AssumeRolePolicy contained an Allow with NotPrincipal")),
        (None, None) => Err(String::from("Missing required field Principal")),
        (Some(_), Some(_)) => Err(String::from("A statement has either Principal or NotPrincipal")),
    }
}

/// Principals as written: `*`, or lists by type.
enum RawPrincipals {
    Everyone,
    Typed(Pairs<OneOrMany<String>>),
}

impl RawPrincipals {
    fn read(self) -> Result<Vec<Principal>, String> {
        let Self::Typed(pairs) = self else { return Ok(vec![Principal::Everyone]) };
        let mut found = Vec::new();
        for (kind, values) in pairs.0 {
            for value in values.0 {
                found.push(match kind.as_str() {
                    "AWS" if value == "*" => Principal::Everyone,
                    "AWS" => Principal::Aws(value),
                    "Service" => Principal::Service(value),
                    "Federated" => Principal::Federated(value),
                    _ => return Err(format!("Invalid principal in policy: \"{kind}\":\"{value}\"")),
                });
            }
        }
        if found.is_empty() {
            Err(String::from("Missing required field Principal cannot be empty!"))
        } else {
            Ok(found)
        }
    }
}

impl<'de> Deserialize<'de> for RawPrincipals {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = RawPrincipals;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("`*` or principals by their type")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<RawPrincipals, E> {
                if text == "*" {
                    Ok(RawPrincipals::Everyone)
                } else {
                    Err(E::custom(format!("`{text}` is no principal")))
                }
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawPrincipals, A::Error> {
                Pairs::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(RawPrincipals::Typed)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// A value, or a list of values.
struct OneOrMany<T>(Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Either<T> {
            type Value = OneOrMany<T>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a value or a list of values")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = list.next_element()? {
                    values.push(value);
                }
                Ok(OneOrMany(values))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let one = T::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                Ok(OneOrMany(vec![one]))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(OneOrMany(vec![T::deserialize(serde::de::value::StrDeserializer::new(text))?]))
            }
            fn visit_bool<E: Error>(self, flag: bool) -> Result<Self::Value, E> {
                Ok(OneOrMany(vec![T::deserialize(serde::de::value::BoolDeserializer::new(flag))?]))
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
                Ok(OneOrMany(vec![T::deserialize(serde::de::value::U64Deserializer::new(number))?]))
            }
        }
        deserializer.deserialize_any(Either(PhantomData))
    }
}

/// A value of a condition: a text, or a boolean or number without quotes.
struct Scalar(String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;
        impl Visitor<'_> for Written {
            type Value = Scalar;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string, a boolean or a whole number")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Scalar, E> {
                Ok(Scalar(text.to_owned()))
            }
            fn visit_bool<E: Error>(self, flag: bool) -> Result<Scalar, E> {
                Ok(Scalar(flag.to_string()))
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<Scalar, E> {
                Ok(Scalar(number.to_string()))
            }
        }
        deserializer.deserialize_any(Written)
    }
}

/// The entries of an object, in order; a repeated key is an error.
struct Pairs<T>(Vec<(String, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Pairs<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = Pairs<T>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs: Vec<(String, T)> = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, T>()? {
                    if pairs.iter().any(|(other, _)| *other == key) {
                        return Err(Error::custom(format!("`{key}` is there twice")));
                    }
                    pairs.push((key, value));
                }
                if pairs.is_empty() {
                    return Err(Error::custom("an object without an entry"));
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Entries(PhantomData))
    }
}
