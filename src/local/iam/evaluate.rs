//! Evaluates policies: an explicit deny wins, otherwise an allow is required.
//!
//! Source: IAM User Guide, "Policy evaluation logic", "Condition operators" and "Condition operators for multivalued
//! context keys".

use std::cmp::Ordering;
use std::collections::BTreeMap;

use jiff::Timestamp;

use super::document::{Condition, Document, Effect, Of, Statement, Version};
use super::pattern::{self, expanded, literal, matches_arn};

#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) kind: CallerKind,
    pub(super) account: String,
    /// The ARN of a user or a session, as STS returns it.
    pub(super) arn: String,
    /// `aws:PrincipalArn`: the ARN of a user, or of a session's role.
    pub(super) principal: String,
    /// `aws:userid`: the unique ID, followed by the session name for a session.
    pub(super) user_id: String,
    /// The name of a user; `None` for all other callers.
    pub(super) name: Option<String>,
    pub(super) source_identity: Option<String>,
    /// `aws:PrincipalTag`, by tag key.
    pub(super) tags: BTreeMap<String, String>,
    /// Whether an MFA code was given for these keys; `None` for permanent keys.
    pub(super) mfa: Option<bool>,
    /// `aws:CurrentTime`, in milliseconds since 1970; `None` in a simulation, whose request has only the given keys.
    pub(super) now: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallerKind {
    User,
    /// A session of a role.
    Session,
    /// An AWS service, which assumes a role for its resources.
    Service,
}

/// One permission that a request requires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RequiredPermission {
    /// Such as `dynamodb:PutItem`.
    pub(super) action: String,
    pub(super) resource: String,
    pub(super) region: String,
    /// `dynamodb:LeadingKeys`: the partition keys of the items.
    pub(super) leading_keys: ConditionKey,
    /// `kms:ResourceAliases`: the aliases of the key.
    pub(super) key_aliases: ConditionKey,
    /// `dynamodb:EnclosingOperation`: the transaction that contains this operation.
    pub(super) enclosing: Option<&'static str>,
    pub(super) context: Context,
}

/// Additional condition keys of a request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Context {
    /// By name in lower case.
    values: BTreeMap<String, Vec<String>>,
    /// The keys, in lower case, that are known to be absent unless they are in `values`. One that ends with `/` is a prefix, and an empty
    /// one matches all keys. Any other key is unknown.
    complete: &'static [&'static str],
}

impl Context {
    /// Returns a context without values, in which these keys are known to be absent.
    pub(super) fn of(complete: &'static [&'static str]) -> Self {
        Self { values: BTreeMap::new(), complete }
    }

    pub(super) fn set(&mut self, key: &str, values: Vec<String>) {
        self.values.insert(key.to_lowercase(), values);
    }

    fn unlisted(&self, key: &str) -> ConditionKey {
        let is_complete = |one: &&str| one.is_empty() || *one == key || one.ends_with('/') && key.starts_with(*one);
        if self.complete.iter().any(is_complete) { ConditionKey::Absent } else { ConditionKey::Unknown }
    }
}

/// The state of a condition key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ConditionKey {
    /// The request does not have it.
    Absent,
    Values(Vec<String>),
    /// The emulator cannot know it.
    Unknown,
}

/// Whether a condition is true.
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

/// The decision on a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Allowed,
    /// A statement denies it.
    Explicit,
    /// No statement allows it.
    Implicit,
}

/// Decides on one permission. If it is unknown whether a statement applies, an allow does not apply and a deny does.
pub(super) fn decide<'a>(
    policies: impl IntoIterator<Item = &'a Document>,
    caller: &Caller,
    permission: &RequiredPermission,
) -> Verdict {
    let mut verdict = Verdict::Implicit;
    for policy in policies {
        for statement in &policy.statements {
            match decides(policy, statement, caller, permission) {
                Some(Effect::Deny) => return Verdict::Explicit,
                Some(Effect::Allow) => verdict = Verdict::Allowed,
                None => {}
            }
        }
    }
    verdict
}

/// Returns the effect of a statement on a permission; `None` if it has none.
fn decides(
    policy: &Document,
    statement: &Statement,
    caller: &Caller,
    permission: &RequiredPermission,
) -> Option<Effect> {
    match (statement.effect, applies(statement, policy.version, caller, permission)) {
        (Effect::Deny, Truth::Yes | Truth::Unknown) => Some(Effect::Deny),
        (Effect::Allow, Truth::Yes) => Some(Effect::Allow),
        _ => None,
    }
}

/// Returns the statements that determine the decision on a permission, each with its policy.
pub(super) fn deciding<'a>(
    policies: impl IntoIterator<Item = &'a Document>,
    caller: &Caller,
    permission: &RequiredPermission,
) -> Vec<(&'a Document, &'a Statement)> {
    let mut found: Vec<(Effect, &Document, &Statement)> = Vec::new();
    for policy in policies {
        let of = |one: &'a Statement| Some((decides(policy, one, caller, permission)?, policy, one));
        found.extend(policy.statements.iter().filter_map(of));
    }
    // A deny overrides every allow, and is then the only statement of the result.
    if found.iter().any(|(effect, ..)| *effect == Effect::Deny) {
        found.retain(|(effect, ..)| *effect == Effect::Deny);
    }
    found.into_iter().map(|(_, policy, statement)| (policy, statement)).collect()
}

/// Returns whether a statement applies to a permission, without regard to its principals.
pub(super) fn applies(
    statement: &Statement,
    version: Version,
    caller: &Caller,
    permission: &RequiredPermission,
) -> Truth {
    let conditions = statement.conditions.iter().map(|condition| holds(condition, version, caller, permission));
    concerns(statement, version, caller, permission).and(Truth::all(conditions))
}

/// Returns whether a statement is about the action and the resource of a permission.
fn concerns(statement: &Statement, version: Version, caller: &Caller, permission: &RequiredPermission) -> Truth {
    let action = |action: &String| {
        let parts = pattern::plain(&action.to_ascii_lowercase());
        Truth::from(pattern::matches(&parts, &permission.action.to_ascii_lowercase()))
    };
    let resource = |resource: &String| {
        let parts = expanded(resource, version, caller, permission);
        parts.and_then(|parts| matches_arn(&parts, &permission.resource)).map_or(Truth::Unknown, Truth::from)
    };
    let on = statement.resource.as_ref().map_or(Truth::Yes, |of| among(of, resource));
    among(&statement.action, action).and(on)
}

fn among(of: &Of, test: impl Fn(&String) -> Truth) -> Truth {
    match of {
        Of::These(list) => Truth::any(list.iter().map(test)),
        Of::AllBut(list) => Truth::any(list.iter().map(test)).not(),
    }
}

/// Returns the state of a condition key, whose name is case-insensitive.
pub(super) fn lookup(key: &str, caller: &Caller, permission: &RequiredPermission) -> ConditionKey {
    let one = |value: &str| ConditionKey::Values(vec![value.to_owned()]);
    let maybe = |value: Option<&str>| value.map_or(ConditionKey::Absent, one);
    let key = key.to_lowercase();
    if let Some(values) = permission.context.values.get(&key) {
        return ConditionKey::Values(values.clone());
    }
    if let Some(tag) = key.strip_prefix("aws:principaltag/") {
        // Tag keys are case-insensitive (IAM User Guide, "Tags for AWS Identity and Access Management resources").
        let found = caller.tags.iter().find(|(name, _)| name.to_lowercase() == tag);
        return maybe(found.map(|(_, value)| value.as_str()));
    }
    // A service has only its name.
    let of_a_service = caller.kind == CallerKind::Service;
    match key.as_str() {
        "aws:userid" | "aws:principalarn" | "aws:principalaccount" | "aws:principaltype" if of_a_service => {
            ConditionKey::Unknown
        }
        "dynamodb:leadingkeys" => permission.leading_keys.clone(),
        "kms:resourcealiases" => permission.key_aliases.clone(),
        "dynamodb:enclosingoperation" => maybe(permission.enclosing),
        "aws:userid" => one(&caller.user_id),
        "aws:username" => maybe(caller.name.as_deref()),
        "aws:principalarn" => one(&caller.principal),
        "aws:principalaccount" => one(&caller.account),
        "aws:principaltype" => one(if caller.kind == CallerKind::User { "User" } else { "AssumedRole" }),
        "aws:requestedregion" => one(&permission.region),
        "aws:viaawsservice" => one("false"),
        "aws:principalisawsservice" => one(if of_a_service { "true" } else { "false" }),
        "aws:sourceidentity" => maybe(caller.source_identity.as_deref()),
        // Requests with a user's permanent keys do not have it.
        "aws:multifactorauthpresent" => maybe(caller.mfa.map(|given| if given { "true" } else { "false" })),
        // Operations that a service makes with a key on behalf of its caller are not checked here.
        "kms:viaservice" => ConditionKey::Absent,
        CURRENT_TIME => match caller.now.map(|now| Timestamp::from_second(now.div_euclid(1000))) {
            Some(Ok(now)) => one(&now.to_string()),
            Some(Err(_)) => ConditionKey::Unknown,
            None => permission.context.unlisted(&key),
        },
        _ => permission.context.unlisted(&key),
    }
}

/// Returns the condition keys that a permission lacks for the statements that are about its action and resource.
pub(super) fn missing_keys<'a>(
    policies: impl Iterator<Item = &'a Document>,
    caller: &Caller,
    permission: &RequiredPermission,
) -> Vec<String> {
    let mut keys = Vec::new();
    for policy in policies {
        let about = |one: &&Statement| concerns(one, policy.version, caller, permission) != Truth::No;
        let conditions = policy.statements.iter().filter(about).flat_map(|one| &one.conditions);
        keys.extend(conditions.map(|condition| condition.key.clone()));
    }
    keys.sort();
    keys.dedup();
    keys.retain(|key| lookup(key, caller, permission) == ConditionKey::Absent);
    keys
}

/// How many of a key's values must match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Set {
    /// The key has a single value.
    Single,
    All,
    Any,
}

/// The condition key with the time of the request, in lower case.
pub(super) const CURRENT_TIME: &str = "aws:currenttime";

/// The type of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compare {
    Equals,
    EqualsIgnoringCase,
    Like,
    Arn,
    Bool,
    /// How the time of the request is to be ordered to the time of the policy.
    Date(&'static [Ordering]),
}

/// Returns the comparison of an operator, and whether it is negated.
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
        "DateEquals" => (Compare::Date(&[Ordering::Equal]), false),
        "DateNotEquals" => (Compare::Date(&[Ordering::Equal]), true),
        "DateLessThan" => (Compare::Date(&[Ordering::Less]), false),
        "DateLessThanEquals" => (Compare::Date(&[Ordering::Less, Ordering::Equal]), false),
        "DateGreaterThan" => (Compare::Date(&[Ordering::Greater]), false),
        "DateGreaterThanEquals" => (Compare::Date(&[Ordering::Greater, Ordering::Equal]), false),
        _ => return None,
    })
}

fn holds(condition: &Condition, version: Version, caller: &Caller, permission: &RequiredPermission) -> Truth {
    let known = lookup(&condition.key, caller, permission);
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
    // AWS does not document the text of the time, which any other operator would compare.
    let is_text_of_time = condition.key.eq_ignore_ascii_case(CURRENT_TIME) && !matches!(compare, Compare::Date(_));
    if condition.values.is_empty() || is_text_of_time {
        return Truth::Unknown;
    }
    let test = |value: &String| {
        let one = |wanted: &String| compared(compare, wanted, value, (version, caller, permission));
        let found = Truth::any(condition.values.iter().map(one));
        if negated { found.not() } else { found }
    };
    let values = match known {
        ConditionKey::Unknown => return Truth::Unknown,
        ConditionKey::Absent => Vec::new(),
        ConditionKey::Values(values) => values,
    };
    match (set, values.as_slice()) {
        // For an absent key, `ForAllValues` is true and `ForAnyValue` is false; a negated operator is true.
        (Set::All, []) => Truth::Yes,
        (Set::Any, []) => if_exists.into(),
        (Set::Single, []) => (if_exists || negated).into(),
        (Set::Single, [value]) => test(value),
        // A key with several values requires an operator with a set prefix.
        (Set::Single, _) => Truth::Unknown,
        (Set::All, values) => Truth::all(values.iter().map(test)),
        (Set::Any, values) => Truth::any(values.iter().map(test)),
    }
}

/// `Null` with `true` matches an absent key, with `false` a present one.
fn is_null(known: &ConditionKey, wanted: &[String]) -> Truth {
    let absent = match known {
        ConditionKey::Unknown => return Truth::Unknown,
        ConditionKey::Absent => true,
        ConditionKey::Values(values) => values.is_empty(),
    };
    match wanted {
        [wanted] if wanted.eq_ignore_ascii_case("true") => absent.into(),
        [wanted] if wanted.eq_ignore_ascii_case("false") => (!absent).into(),
        _ => Truth::Unknown,
    }
}

fn compared(compare: Compare, wanted: &str, value: &str, of: (Version, &Caller, &RequiredPermission)) -> Truth {
    let (version, caller, permission) = of;
    let Some(parts) = expanded(wanted, version, caller, permission) else { return Truth::Unknown };
    match compare {
        Compare::Equals => (literal(&parts) == value).into(),
        Compare::EqualsIgnoringCase => (literal(&parts).to_lowercase() == value.to_lowercase()).into(),
        Compare::Like => pattern::matches(&parts, value).into(),
        Compare::Arn => matches_arn(&parts, value).map_or(Truth::Unknown, Truth::from),
        Compare::Bool => match literal(&parts).to_ascii_lowercase().as_str() {
            wanted @ ("true" | "false") => (wanted == value.to_ascii_lowercase()).into(),
            _ => Truth::Unknown,
        },
        Compare::Date(orderings) => match (time(value), time(&literal(&parts))) {
            (Some(value), Some(wanted)) => orderings.contains(&value.cmp(&wanted)).into(),
            _ => Truth::Unknown,
        },
    }
}

/// Returns the time that a text is: seconds since 1970, or a date or a date and time in the form `2026-07-01T12:00:00Z`, of which the seconds
/// can be omitted or have decimals, and in which `+00:00` can replace the `Z`.
///
/// AWS also accepts a year and a month (IAM User Guide, "Date condition operators"), which are unknown here: four digits could also be
/// seconds.
fn time(text: &str) -> Option<Timestamp> {
    let shape: String = text.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).collect();
    if (5..=12).contains(&shape.len()) && shape.bytes().all(|byte| byte == b'0') {
        return Timestamp::from_second(text.parse().ok()?).ok();
    }
    if shape == "0000-00-00" {
        return format!("{text}T00:00:00Z").parse().ok();
    }
    let local = ["Z", "+00:00", "-00:00"].iter().find_map(|zone| shape.strip_suffix(zone))?;
    let (local, decimals) = local.split_once('.').unwrap_or((local, "0"));
    let is_local = ["0000-00-00T00:00", "0000-00-00T00:00:00"].contains(&local);
    let is_time = is_local && !decimals.is_empty() && decimals.bytes().all(|byte| byte == b'0');
    if is_time { text.parse().ok() } else { None }
}
