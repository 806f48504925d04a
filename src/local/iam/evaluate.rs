//! Evaluates policies: an explicit deny wins, an allow is needed, and nothing else lets a request pass.
//!
//! Source: IAM User Guide, "Policy evaluation logic", "Condition operators" and "Condition operators for multivalued
//! context keys".

use super::document::{Condition, Document, Effect, Of, Statement, Version};
use super::pattern::{self, expanded, literal, matches_arn};

/// Who asks.
#[derive(Debug, Clone)]
pub(super) struct Caller<'a> {
    pub(super) name: &'a str,
    pub(super) arn: String,
    pub(super) user_id: String,
    pub(super) account: &'a str,
}

/// One permission that a request takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ask {
    /// Such as `dynamodb:PutItem`.
    pub(super) action: String,
    pub(super) resource: String,
    pub(super) region: String,
    /// `dynamodb:LeadingKeys`: the partition keys of the items.
    pub(super) leading_keys: Known,
    /// `kms:ResourceAliases`: the aliases of the key.
    pub(super) key_aliases: Known,
    /// `dynamodb:EnclosingOperation`: the transaction that this is a part of.
    pub(super) enclosing: Option<&'static str>,
}

/// What is known of a condition key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Known {
    /// The request does not have it.
    Absent,
    Values(Vec<String>),
    /// Nobody can tell here.
    Unknown,
}

/// Whether something holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Truth {
    Yes,
    No,
    Unknown,
}

impl Truth {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Yes, Self::Yes) => Self::Yes,
            _ => Self::Unknown,
        }
    }

    fn or(self, other: Self) -> Self {
        self.not().and(other.not()).not()
    }

    fn not(self) -> Self {
        match self {
            Self::Yes => Self::No,
            Self::No => Self::Yes,
            Self::Unknown => Self::Unknown,
        }
    }

    fn all(truths: impl IntoIterator<Item = Self>) -> Self {
        truths.into_iter().fold(Self::Yes, Self::and)
    }

    fn any(truths: impl IntoIterator<Item = Self>) -> Self {
        truths.into_iter().fold(Self::No, Self::or)
    }
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}

/// How a request is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Allowed,
    /// A statement denies it.
    Explicit,
    /// No statement allows it.
    Implicit,
}

/// Decides on one permission. Where it is not known whether a statement applies, an allow does not and a deny does.
pub(super) fn decide(policies: &[Document], caller: &Caller<'_>, ask: &Ask) -> Verdict {
    let mut verdict = Verdict::Implicit;
    for policy in policies {
        for statement in &policy.statements {
            match (statement.effect, applies(statement, policy.version, caller, ask)) {
                (Effect::Deny, Truth::Yes | Truth::Unknown) => return Verdict::Explicit,
                (Effect::Allow, Truth::Yes) => verdict = Verdict::Allowed,
                _ => {}
            }
        }
    }
    verdict
}

fn applies(statement: &Statement, version: Version, caller: &Caller<'_>, ask: &Ask) -> Truth {
    let action = |action: &String| {
        let parts = pattern::plain(&action.to_ascii_lowercase());
        Truth::from(pattern::matches(&parts, &ask.action.to_ascii_lowercase()))
    };
    let resource = |resource: &String| {
        let parts = expanded(resource, version, caller, ask);
        parts.and_then(|parts| matches_arn(&parts, &ask.resource)).map_or(Truth::Unknown, Truth::from)
    };
    let conditions = statement.conditions.iter().map(|condition| holds(condition, version, caller, ask));
    let what = among(&statement.action, action).and(among(&statement.resource, resource));
    what.and(Truth::all(conditions))
}

fn among(of: &Of, test: impl Fn(&String) -> Truth) -> Truth {
    match of {
        Of::These(list) => Truth::any(list.iter().map(test)),
        Of::AllBut(list) => Truth::any(list.iter().map(test)).not(),
    }
}

/// Returns what is known of a condition key, whose name may be written in any case.
pub(super) fn lookup(key: &str, caller: &Caller<'_>, ask: &Ask) -> Known {
    let one = |value: &str| Known::Values(vec![value.to_owned()]);
    match key.to_ascii_lowercase().as_str() {
        "dynamodb:leadingkeys" => ask.leading_keys.clone(),
        "kms:resourcealiases" => ask.key_aliases.clone(),
        "dynamodb:enclosingoperation" => ask.enclosing.map_or(Known::Absent, one),
        "aws:userid" => one(&caller.user_id),
        "aws:username" => one(caller.name),
        "aws:principalarn" => one(&caller.arn),
        "aws:principalaccount" => one(caller.account),
        "aws:principaltype" => one("User"),
        "aws:requestedregion" => one(&ask.region),
        "aws:viaawsservice" | "aws:principalisawsservice" => one("false"),
        // Keys of a user carry neither, and what a service does for its caller with a key is not asked for here.
        "aws:sourceidentity" | "aws:multifactorauthpresent" | "kms:viaservice" => Known::Absent,
        _ => Known::Unknown,
    }
}

/// How many of a key's values have to pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Set {
    /// The key has one value.
    Single,
    All,
    Any,
}

/// How a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compare {
    Equals,
    EqualsIgnoringCase,
    Like,
    Arn,
    Bool,
}

/// Returns how the operator compares, and whether the comparison is negated.
fn comparison(operator: &str) -> Option<(Compare, bool)> {
    Some(match operator {
        "StringEquals" => (Compare::Equals, false),
        "StringNotEquals" => (Compare::Equals, true),
        "StringEqualsIgnoreCase" => (Compare::EqualsIgnoringCase, false),
        "StringNotEqualsIgnoreCase" => (Compare::EqualsIgnoringCase, true),
        "StringLike" => (Compare::Like, false),
        "StringNotLike" => (Compare::Like, true),
        "ArnEquals" | "ArnLike" => (Compare::Arn, false),
        "ArnNotEquals" | "ArnNotLike" => (Compare::Arn, true),
        "Bool" => (Compare::Bool, false),
        _ => return None,
    })
}

fn holds(condition: &Condition, version: Version, caller: &Caller<'_>, ask: &Ask) -> Truth {
    let known = lookup(&condition.key, caller, ask);
    if condition.operator == "Null" {
        return is_null(&known, &condition.values);
    }
    let (set, operator) = match condition.operator.split_once(':') {
        None => (Set::Single, condition.operator.as_str()),
        Some(("ForAllValues", operator)) => (Set::All, operator),
        Some(("ForAnyValue", operator)) => (Set::Any, operator),
        Some(_) => return Truth::Unknown,
    };
    let (operator, if_exists) = match operator.strip_suffix("IfExists") {
        Some(operator) => (operator, true),
        None => (operator, false),
    };
    let Some((compare, negated)) = comparison(operator) else { return Truth::Unknown };
    if condition.values.is_empty() {
        return Truth::Unknown;
    }
    let test = |value: &String| {
        let one = |wanted: &String| compared(compare, wanted, value, (version, caller, ask));
        let found = Truth::any(condition.values.iter().map(one));
        if negated { found.not() } else { found }
    };
    let values = match known {
        Known::Unknown => return Truth::Unknown,
        Known::Absent => Vec::new(),
        Known::Values(values) => values,
    };
    match (set, values.as_slice()) {
        // Of a key that is not there all values pass, and none does; a negated operator holds without it.
        (Set::All, []) => Truth::Yes,
        (Set::Any, []) => if_exists.into(),
        (Set::Single, []) => (if_exists || negated).into(),
        (Set::Single, [value]) => test(value),
        // A key with several values takes an operator that says how many of them have to pass.
        (Set::Single, _) => Truth::Unknown,
        (Set::All, values) => Truth::all(values.iter().map(test)),
        (Set::Any, values) => Truth::any(values.iter().map(test)),
    }
}

/// `Null` with `true` holds where the key is not there, with `false` where it is.
fn is_null(known: &Known, wanted: &[String]) -> Truth {
    let absent = match known {
        Known::Unknown => return Truth::Unknown,
        Known::Absent => true,
        Known::Values(values) => values.is_empty(),
    };
    match wanted {
        [wanted] if wanted.eq_ignore_ascii_case("true") => absent.into(),
        [wanted] if wanted.eq_ignore_ascii_case("false") => (!absent).into(),
        _ => Truth::Unknown,
    }
}

fn compared(compare: Compare, wanted: &str, value: &str, of: (Version, &Caller<'_>, &Ask)) -> Truth {
    let (version, caller, ask) = of;
    let Some(parts) = expanded(wanted, version, caller, ask) else { return Truth::Unknown };
    match compare {
        Compare::Equals => (literal(&parts) == value).into(),
        Compare::EqualsIgnoringCase => (literal(&parts).to_lowercase() == value.to_lowercase()).into(),
        Compare::Like => pattern::matches(&parts, value).into(),
        Compare::Arn => matches_arn(&parts, value).map_or(Truth::Unknown, Truth::from),
        Compare::Bool => match literal(&parts).to_ascii_lowercase().as_str() {
            wanted @ ("true" | "false") => (wanted == value.to_ascii_lowercase()).into(),
            _ => Truth::Unknown,
        },
    }
}
