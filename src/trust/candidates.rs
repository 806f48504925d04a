//! Representatives of all principals that may request a role, and of all values that they may choose.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::condition::{Compare, Condition};
use super::statement::{Principal, Statement};
use super::text::{Pattern, Text, Unnamed, is_wild};

/// The maximum number of requests to try. Beyond it, the condition keys that would need more count as not understood.
const MAX_REQUESTS: usize = 1024;

/// The partitions whose principals are tried, in addition to those that the policy names.
const PARTITIONS: [&str; 3] = ["aws", "aws-cn", "aws-us-gov"];

/// A principal that may request a role.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Candidate {
    User {
        account: Text,
        arn: Text,
    },
    /// A session of a role.
    Session {
        account: Text,
        role: Text,
        name: String,
        arn: String,
    },
    Service(String),
    /// An identity of an identity provider.
    Federated(String),
}

impl Candidate {
    /// Returns the user with an ARN, or the sessions of the role with it that the statements distinguish.
    pub(super) fn of_arn(arn: &str, statements: &[Statement]) -> Vec<Self> {
        let text = Text::known(arn);
        let resource = arn.splitn(6, ':').nth(5).unwrap_or_default();
        if resource.starts_with("user/") {
            let account = account_of(arn).map(Text::known);
            return account.map(|account| Self::User { account, arn: text }).into_iter().collect();
        }
        let names = Names::of(statements).sessions;
        let names = names.iter().map(String::as_str).chain(["sentinel"]);
        names.filter_map(|name| Self::session(&text, name)).collect()
    }

    /// Returns a session of a role, by the role's ARN.
    pub(super) fn session(role: &Text, session: &str) -> Option<Self> {
        let account = account_of(&role.written)?;
        Self::session_of(&Text::known(account), role, session)
    }

    fn session_of(account: &Text, role: &Text, session: &str) -> Option<Self> {
        let parts: Vec<&str> = role.written.splitn(6, ':').collect();
        let ["arn", partition, "iam", "", number, path] = parts[..] else { return None };
        let name = path.strip_prefix("role/")?.rsplit('/').next()?;
        Some(Self::Session {
            account: account.clone(),
            role: role.clone(),
            name: name.to_owned(),
            arn: format!("arn:{partition}:sts::{number}:assumed-role/{name}/{session}"),
        })
    }

    /// Returns the actions by which it can assume a role.
    pub(super) fn actions(&self) -> &'static [&'static str] {
        match self {
            Self::User { .. } | Self::Session { .. } | Self::Service(_) => &["sts:assumerole"],
            Self::Federated(_) => &["sts:assumerolewithwebidentity", "sts:assumerolewithsaml"],
        }
    }

    /// Returns the value of a condition key that the principal determines; `None` for any other key.
    #[expect(clippy::option_option, reason = "a key that is absent is not a key that is unknown")]
    pub(super) fn value(&self, key: &str) -> Option<Option<Cow<'_, Text>>> {
        let of = |value: &str| Some(Cow::Owned(Text::known(value)));
        let known = match (key, self) {
            ("aws:principalarn", Self::User { arn, .. }) => Some(Cow::Borrowed(arn)),
            ("aws:principalarn", Self::Session { role, .. }) => Some(Cow::Borrowed(role)),
            ("aws:principalaccount", Self::User { account, .. } | Self::Session { account, .. }) => {
                Some(Cow::Borrowed(account))
            }
            ("aws:principaltype", Self::User { .. }) => of("User"),
            ("aws:principaltype", Self::Session { .. }) => of("AssumedRole"),
            ("aws:principalarn" | "aws:principalaccount" | "aws:principaltype", _) => None,
            ("aws:principalisawsservice", Self::Service(_)) => of("true"),
            ("aws:principalisawsservice", Self::User { .. } | Self::Session { .. }) => of("false"),
            _ => return None,
        };
        Some(known)
    }

    fn is(&self, principal: &Principal) -> bool {
        match (principal, self) {
            (Principal::Account(wanted), Self::User { account, .. } | Self::Session { account, .. }) => {
                *wanted == account.written
            }
            (Principal::Arn(wanted), Self::User { arn, .. }) => *wanted == arn.written,
            (Principal::Session(wanted), Self::Session { arn, .. }) => wanted == arn,
            (Principal::Arn(wanted), Self::Session { role, .. }) => *wanted == role.written,
            (Principal::Service(wanted), Self::Service(name))
            | (Principal::Federated(wanted), Self::Federated(name)) => wanted == name,
            _ => false,
        }
    }

    /// Returns whether a principal of an Allow may be this one.
    pub(super) fn is_allowed_as(&self, principal: &Principal) -> bool {
        matches!(principal, Principal::Everyone | Principal::Unsupported(_)) || self.is(principal)
    }

    /// Returns whether a principal of a Deny is certainly this one. `*` may not include services and identity providers.
    pub(super) fn is_denied_as(&self, principal: &Principal) -> bool {
        let of_aws = matches!(self, Self::User { .. } | Self::Session { .. });
        *principal == Principal::Everyone && of_aws || self.is(principal)
    }

    /// Returns whether a Deny with this NotPrincipal list may exclude it. AWS excludes a caller only if the list has all of its
    /// principals. A list with one of them does not certainly deny.
    pub(super) fn may_be_excluded(&self, list: &[Principal]) -> bool {
        list.iter().any(|one| matches!(one, Principal::Everyone | Principal::Unsupported(_)) || self.is(one))
    }
}

fn conditions(statements: &[Statement]) -> impl Iterator<Item = &Condition> {
    statements.iter().flat_map(|statement| &statement.conditions)
}

fn account_of(arn: &str) -> Option<&str> {
    arn.split(':').nth(4)
}

fn partition_of(arn: &str) -> Option<&str> {
    arn.strip_prefix("arn:")?.split(':').next().filter(|partition| !is_wild(partition))
}

fn patterns<'a>(statements: &'a [Statement], key: &'a str) -> BTreeSet<Pattern> {
    conditions(statements).filter(|one| one.key == key).flat_map(Condition::patterns).collect()
}

/// The names in the statements.
#[derive(Default)]
struct Names {
    /// ARNs of users and roles.
    arns: BTreeSet<String>,
    accounts: BTreeSet<String>,
    /// The names of sessions.
    sessions: BTreeSet<String>,
    /// The roles of sessions: partition, account and name. Their path is unknown.
    roles: BTreeSet<[String; 3]>,
    others: BTreeSet<Candidate>,
}

impl Names {
    fn of(statements: &[Statement]) -> Self {
        let mut names = Self::default();
        for principal in statements.iter().flat_map(|statement| statement.principals.list()) {
            match principal {
                Principal::Account(account) => names.accounts.extend([account.clone()]),
                Principal::Arn(arn) => names.arns.extend([arn.clone()]),
                Principal::Session(arn) => names.add_session(arn),
                Principal::Service(name) => names.others.extend([Candidate::Service(name.clone())]),
                Principal::Federated(name) => names.others.extend([Candidate::Federated(name.clone())]),
                Principal::Everyone | Principal::Unsupported(_) => {}
            }
        }
        for condition in conditions(statements) {
            match condition.key.as_str() {
                "aws:principalarn" => {
                    let accounts = condition.values.iter().filter_map(|arn| account_of(arn)).map(str::to_owned);
                    names.accounts.extend(accounts);
                    names.arns.extend(condition.values.iter().filter(|value| !is_wild(value)).cloned());
                }
                "aws:principalaccount" => names.accounts.extend(condition.values.iter().cloned()),
                _ => {}
            }
        }
        names.accounts.extend(names.arns.iter().filter_map(|arn| account_of(arn)).map(str::to_owned));
        names.accounts.retain(|account| is_account(account));
        names
    }

    fn add_session(&mut self, arn: &str) {
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let ["arn", partition, "sts", "", account, path] = parts[..] else { return };
        let Some((role, session)) = path.strip_prefix("assumed-role/").and_then(|rest| rest.split_once('/')) else {
            return;
        };
        self.accounts.insert(account.to_owned());
        self.sessions.insert(session.to_owned());
        self.roles.insert([partition, account, role].map(str::to_owned));
    }
}

/// Returns a representative of each class of principals that the statements distinguish. `partition` is that of the role, if known.
pub(super) fn candidates(statements: &[Statement], unnamed: &Unnamed, partition: Option<&str>) -> BTreeSet<Candidate> {
    let Names { arns, accounts, mut sessions, roles, others: mut found } = Names::of(statements);
    sessions.insert(unnamed.name.clone());
    let of_arn = patterns(statements, "aws:principalarn");
    let mut partitions: BTreeSet<&str> = arns.iter().filter_map(|arn| partition_of(arn)).collect();
    partitions.extend(roles.iter().map(|[partition, ..]| partition.as_str()));
    partitions.extend(of_arn.iter().filter_map(|(_, pattern)| partition_of(pattern)));
    partitions.extend(partition);
    // Only a pattern can distinguish unnamed principals by their partition.
    partitions.extend(PARTITIONS.into_iter().take(if of_arn.is_empty() { 1 } else { PARTITIONS.len() }));

    let account = |account: &String| (vec![Text::known(account.as_str())], account.clone());
    let mut all: Vec<(Vec<Text>, String)> = accounts.iter().map(account).collect();
    let digits = "?".repeat(unnamed.account.len());
    let another = Text::unnamed(&unnamed.account, &digits, &patterns(statements, "aws:principalaccount"));
    all.push((another, digits));
    // The accounts and ARNs of users and roles.
    let mut somebody: BTreeSet<(Text, Text)> = BTreeSet::new();
    for (accounts, class) in &all {
        for account in accounts {
            for (partition, kind) in partitions.iter().flat_map(|one| ["user", "role"].map(|kind| (one, kind))) {
                let written = format!("arn:{partition}:iam::{}:{kind}/{}", account.written, unnamed.name);
                let class = format!("arn:{partition}:iam::{class}:{kind}/?*");
                let arns = Text::unnamed(&written, &class, &of_arn);
                somebody.extend(arns.into_iter().map(|arn| (account.clone(), arn)));
            }
        }
    }
    for [partition, account, name] in &roles {
        let role = format!("arn:{partition}:iam::{account}:role/");
        let mut arns = Text::unnamed(&format!("{role}{}/{name}", unnamed.name), &format!("{role}?*/{name}"), &of_arn);
        arns.push(Text::known(format!("{role}{name}")));
        somebody.extend(arns.into_iter().map(|arn| (Text::known(account.as_str()), arn)));
    }
    let named = arns.iter().filter_map(|arn| Some((Text::known(account_of(arn)?), Text::known(arn.as_str()))));
    somebody.extend(named);
    for (account, arn) in somebody {
        let resource = arn.written.splitn(6, ':').nth(5).unwrap_or_default();
        if resource.starts_with("user/") {
            found.insert(Candidate::User { account, arn });
        } else {
            found.extend(sessions.iter().filter_map(|session| Candidate::session_of(&account, &arn, session)));
        }
    }
    found.insert(Candidate::Service(format!("{}.amazonaws.com", unnamed.name)));
    found.insert(Candidate::Federated(unnamed.name.clone()));
    found
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The values that the caller chooses, by condition key; `None` for an absent key.
pub(super) type Request = BTreeMap<String, Option<Text>>;

/// Returns whether the caller chooses the value of a condition key, or some caller may have any value of it.
fn is_chosen(key: &str) -> bool {
    const KEYS: [&str; 5] = [
        "sts:externalid",
        "sts:sourceidentity",
        "sts:rolesessionname",
        "aws:sourceidentity",
        "aws:multifactorauthpresent",
    ];
    KEYS.contains(&key) || key.starts_with("aws:requesttag/") || key.starts_with("aws:principaltag/")
}

/// Returns a representative of each class of requests that the statements distinguish, and the condition keys with too many values.
pub(super) fn requests(statements: &[Statement], unnamed: &Unnamed) -> (Vec<Request>, Vec<String>) {
    let mut literals: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for condition in conditions(statements).filter(|condition| condition.is_understood()) {
        let plain = literals.entry(condition.key.as_str()).or_default();
        for value in &condition.values {
            match condition.compare() {
                Some(Compare::Like | Compare::Arn) if is_wild(value) => {}
                Some(Compare::Like | Compare::Arn | Compare::Equals) => plain.extend([value.as_str()]),
                Some(Compare::Bool) => plain.extend(["true", "false"]),
                None => {}
            }
        }
    }
    let mut unclear = Vec::new();
    let mut requests = vec![Request::new()];
    for (key, literals) in literals.iter().filter(|(key, _)| is_chosen(key)) {
        let mut values: Vec<Option<Text>> = literals.iter().map(|value| Some(Text::known(*value))).collect();
        // A session always has a name.
        if *key != "sts:rolesessionname" {
            values.push(None);
        }
        if *key == "aws:multifactorauthpresent" {
            values.extend(["true", "false"].map(|value| Some(Text::known(value))));
        } else {
            values.extend(Text::unnamed(&unnamed.name, "*", &patterns(statements, key)).into_iter().map(Some));
        }
        values.sort();
        values.dedup();
        if requests.len() * values.len() > MAX_REQUESTS {
            unclear.push((*key).to_owned());
            continue;
        }
        let with = |request: &Request| {
            let with = |value: &Option<Text>| {
                let mut request = request.clone();
                request.insert((*key).to_owned(), value.clone());
                request
            };
            values.iter().map(with).collect::<Vec<_>>()
        };
        requests = requests.iter().flat_map(with).collect();
    }
    (requests, unclear)
}
