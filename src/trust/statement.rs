//! Parses the statements of a trust policy. An element that is not understood makes its statement unsupported, and is never an error.

use serde_json::{Map, Value};

use super::StatementName;
use super::condition::{Condition, matches};
use super::text::is_wild;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Allow,
    Deny,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Principal {
    /// `"*"`, with any type or none.
    Everyone,
    /// All principals of an account.
    Account(String),
    /// The ARN of a user or a role.
    Arn(String),
    /// `arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION`.
    Session(String),
    Service(String),
    Federated(String),
    /// Any other text. It may name any principal.
    Unsupported(String),
}

#[derive(Debug, Clone)]
pub(super) enum Principals {
    These(Vec<Principal>),
    AllBut(Vec<Principal>),
}

impl Principals {
    pub(super) fn list(&self) -> &[Principal] {
        match self {
            Self::These(list) | Self::AllBut(list) => list,
        }
    }

    /// Returns a principal as the policy writes it.
    pub(super) fn written(&self, at: usize) -> String {
        match self.list().get(at) {
            Some(Principal::Everyone) => String::from("*"),
            Some(Principal::Account(account)) => format!("the account {account}"),
            Some(
                Principal::Arn(text)
                | Principal::Session(text)
                | Principal::Service(text)
                | Principal::Federated(text)
                | Principal::Unsupported(text),
            ) => text.clone(),
            None => String::from("all but the principals of NotPrincipal"),
        }
    }
}

/// Patterns of actions, in lower case.
#[derive(Debug, Clone)]
pub(super) enum Actions {
    These(Vec<String>),
    AllBut(Vec<String>),
}

impl Actions {
    pub(super) fn have(&self, action: &str) -> bool {
        let any = |list: &[String]| list.iter().any(|pattern| matches(pattern, action));
        match self {
            Self::These(list) => any(list),
            Self::AllBut(list) => !any(list),
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Statement {
    sid: Option<String>,
    pub(super) effect: Effect,
    pub(super) principals: Principals,
    pub(super) actions: Actions,
    pub(super) conditions: Vec<Condition>,
    /// Whether some element is not understood.
    pub(super) unsupported: bool,
    /// Whether the session name must be the name of the user who assumes the role.
    pub(super) requires_own_name: bool,
}

impl Statement {
    /// Returns whether a principal is the OpenID Connect provider of an Amazon EKS cluster, and the statement is for service accounts
    /// that it names. Without the subject, any pod of the cluster could assume the role.
    pub(super) fn names_service_account(&self, principal: usize) -> bool {
        let Some(Principal::Federated(provider)) = self.principals.list().get(principal) else { return false };
        let Some(issuer) = eks_issuer(provider) else { return false };
        let subject = format!("{issuer}:sub").to_lowercase();
        let account = |value: &String| match value.split(':').collect::<Vec<_>>()[..] {
            ["system", "serviceaccount", namespace, name] => !namespace.is_empty() && !name.is_empty(),
            _ => false,
        };
        let named = |one: &Condition| one.key == subject && one.is_exact() && one.values.iter().all(account);
        !self.unsupported && self.conditions.iter().any(named)
    }

    pub(super) fn name(&self, at: usize) -> StatementName {
        self.sid.clone().map_or(StatementName::Number(at + 1), StatementName::Sid)
    }
}

/// Parses the statements of a policy; `None` if it is not a policy.
pub(super) fn read(policy: &Value) -> Option<Vec<Statement>> {
    let policy = policy.as_object()?;
    if policy.keys().any(|key| !["Version", "Id", "Statement"].contains(&key.as_str())) {
        return None;
    }
    let version = policy.get("Version");
    if version.is_some_and(|version| *version != "2012-10-17" && *version != "2008-10-17") {
        return None;
    }
    match policy.get("Statement")? {
        Value::Array(list) => list.iter().map(|one| one.as_object().map(statement)).collect(),
        Value::Object(one) => Some(vec![statement(one)]),
        _ => None,
    }
}

fn statement(raw: &Map<String, Value>) -> Statement {
    const KNOWN: [&str; 8] =
        ["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Condition", "Resource"];
    let mut unsupported = raw.keys().any(|key| !KNOWN.contains(&key.as_str()));
    let effect = match raw.get("Effect").and_then(Value::as_str) {
        Some("Allow") => Effect::Allow,
        Some("Deny") => Effect::Deny,
        _ => {
            unsupported = true;
            Effect::Allow
        }
    };
    let mut list = |name: &str| match raw.get(name) {
        None => None,
        Some(value) => texts(value).or_else(|| {
            unsupported = true;
            Some(vec![String::from("*")])
        }),
    };
    let lower = |list: Vec<String>| list.iter().map(|action| action.to_lowercase()).collect();
    let actions = match (list("Action"), list("NotAction")) {
        (Some(these), None) => Actions::These(lower(these)),
        (None, Some(but)) => Actions::AllBut(lower(but)),
        _ => {
            unsupported = true;
            Actions::AllBut(Vec::new())
        }
    };
    let anybody = || vec![Principal::Unsupported(String::from("somebody, in a way that Sentinel does not understand"))];
    let principals = match (raw.get("Principal"), raw.get("NotPrincipal")) {
        (Some(these), None) => principals(these).map(Principals::These),
        (None, Some(but)) => principals(but).map(Principals::AllBut),
        _ => None,
    };
    let principals = principals.unwrap_or_else(|| {
        unsupported = true;
        Principals::These(anybody())
    });
    let conditions = match raw.get("Condition") {
        None => Vec::new(),
        Some(block) => conditions(block).unwrap_or_else(|| {
            unsupported = true;
            Vec::new()
        }),
    };
    let sid = raw.get("Sid").and_then(Value::as_str).filter(|sid| !sid.is_empty()).map(str::to_owned);
    let requires_own_name = raw.get("Condition").is_some_and(requires_own_name);
    Statement { sid, effect, principals, actions, conditions, unsupported, requires_own_name }
}

/// Returns whether a block of conditions requires the name of the user as the session name.
fn requires_own_name(block: &Value) -> bool {
    let keys = block.get("StringEquals").and_then(Value::as_object).into_iter().flatten();
    let mut values = keys.filter(|(key, _)| key.eq_ignore_ascii_case("sts:RoleSessionName")).map(|(_, value)| value);
    values.any(|value| texts(value).is_some_and(|all| all == ["${aws:username}"]))
}

/// Returns the issuer of an OpenID Connect provider, `oidc.eks.REGION.amazonaws.com/id/ID`, if it is a cluster of Amazon EKS.
fn eks_issuer(provider: &str) -> Option<&str> {
    let (_, issuer) = provider.split_once(":oidc-provider/")?;
    let (host, _) = issuer.split_once("/id/")?;
    let region = host.strip_prefix("oidc.eks.")?;
    let region = region.strip_suffix(".amazonaws.com").or_else(|| region.strip_suffix(".amazonaws.com.cn"))?;
    (!region.is_empty() && !region.contains(['.', '/'])).then_some(issuer)
}

/// Returns a string, or a list of strings, as a list.
fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(list) => list.iter().map(|one| one.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

fn principals(value: &Value) -> Option<Vec<Principal>> {
    let types = match value {
        Value::String(text) if text == "*" => return Some(vec![Principal::Everyone]),
        Value::Object(types) => types,
        _ => return None,
    };
    let mut found = Vec::new();
    for (kind, written) in types {
        for text in texts(written)? {
            found.push(match kind.as_str() {
                _ if text == "*" => Principal::Everyone,
                "AWS" => of_aws(text),
                "Service" => Principal::Service(text),
                "Federated" => Principal::Federated(text),
                _ => Principal::Unsupported(text),
            });
        }
    }
    Some(found)
}

fn of_aws(text: String) -> Principal {
    if text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Principal::Account(text);
    }
    // IAM rejects wildcards in the ARN of a principal.
    if is_wild(&text) {
        return Principal::Unsupported(text);
    }
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    match parts[..] {
        ["arn", _, "iam", "", account, "root"] => Principal::Account(account.to_owned()),
        ["arn", _, "iam", "", _, name] if name.starts_with("user/") || name.starts_with("role/") => {
            Principal::Arn(text)
        }
        ["arn", _, "sts", "", _, name] if name.starts_with("assumed-role/") => Principal::Session(text),
        _ => Principal::Unsupported(text),
    }
}

fn conditions(block: &Value) -> Option<Vec<Condition>> {
    let mut found = Vec::new();
    for (operator, keys) in block.as_object()? {
        for (key, values) in keys.as_object()? {
            found.push(Condition::new(operator, key, values));
        }
    }
    Some(found)
}
