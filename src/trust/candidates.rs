//! Representatives of all who might ask, and of all that they might say.

use std::collections::{BTreeMap, BTreeSet};

use super::condition::{Compare, Condition, matches};
use super::statement::{Principal, Statement};

/// A name that no policy has.
const ANYONE: &str = "anyone-else";
/// The most requests that are tried. A policy that tells more apart has conditions that count as not understood.
const MOST: usize = 1024;

/// Somebody who might assume a role.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Candidate {
    User {
        account: String,
        arn: String,
    },
    /// A session of a role.
    Session {
        account: String,
        role: String,
        name: String,
        arn: String,
    },
    Service(String),
    /// An identity of a provider.
    Federated(String),
}

impl Candidate {
    /// Returns a session of a role, by the role's ARN.
    pub(super) fn session(role: &str, session: &str) -> Option<Self> {
        let parts: Vec<&str> = role.splitn(6, ':').collect();
        let ["arn", partition, "iam", "", account, path] = parts[..] else { return None };
        let name = path.strip_prefix("role/")?.rsplit('/').next()?;
        Some(Self::Session {
            account: account.to_owned(),
            role: role.to_owned(),
            name: name.to_owned(),
            arn: format!("arn:{partition}:sts::{account}:assumed-role/{name}/{session}"),
        })
    }

    /// Returns the session of an ARN; its role has no path then.
    fn of_session(arn: &str) -> Option<(Self, String)> {
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let ["arn", partition, "sts", "", account, path] = parts[..] else { return None };
        let (name, session) = path.strip_prefix("assumed-role/")?.split_once('/')?;
        let role = format!("arn:{partition}:iam::{account}:role/{name}");
        Some((Self::session(&role, session)?, session.to_owned()))
    }

    fn user(arn: &str) -> Option<Self> {
        let account = arn.split(':').nth(4)?;
        Some(Self::User { account: account.to_owned(), arn: arn.to_owned() })
    }

    /// Returns the actions by which it would come in.
    pub(super) fn actions(&self) -> &'static [&'static str] {
        match self {
            Self::User { .. } | Self::Session { .. } | Self::Service(_) => &["sts:assumerole"],
            Self::Federated(_) => &["sts:assumerolewithwebidentity", "sts:assumerolewithsaml"],
        }
    }

    /// Returns the value of a condition key that who asks decides; nothing for any other key.
    #[expect(clippy::option_option, reason = "a key that is absent is not a key that is unknown")]
    pub(super) fn value(&self, key: &str) -> Option<Option<String>> {
        let known = match (key, self) {
            ("aws:principalarn", Self::User { arn, .. }) => Some(arn.clone()),
            ("aws:principalarn", Self::Session { role, .. }) => Some(role.clone()),
            ("aws:principalaccount", Self::User { account, .. } | Self::Session { account, .. }) => {
                Some(account.clone())
            }
            ("aws:principaltype", Self::User { .. }) => Some(String::from("User")),
            ("aws:principaltype", Self::Session { .. }) => Some(String::from("AssumedRole")),
            ("aws:principalarn" | "aws:principalaccount" | "aws:principaltype", _) => None,
            ("aws:principalisawsservice", Self::Service(_)) => Some(String::from("true")),
            ("aws:principalisawsservice", _) => Some(String::from("false")),
            _ => return None,
        };
        Some(known)
    }

    fn is(&self, principal: &Principal) -> bool {
        match (principal, self) {
            (Principal::Account(wanted), Self::User { account, .. } | Self::Session { account, .. }) => {
                wanted == account
            }
            (Principal::Arn(wanted), Self::User { arn, .. })
            | (Principal::Session(wanted), Self::Session { arn, .. }) => wanted == arn,
            (Principal::Arn(wanted), Self::Session { role, .. }) => wanted == role,
            (Principal::Service(wanted), Self::Service(name))
            | (Principal::Federated(wanted), Self::Federated(name)) => wanted == name,
            _ => false,
        }
    }

    /// Returns whether a principal of an Allow may be this one.
    pub(super) fn is_allowed_as(&self, principal: &Principal) -> bool {
        matches!(principal, Principal::Everyone | Principal::Odd(_)) || self.is(principal)
    }

    /// Returns whether a principal of a Deny is this one for certain. Whether `*` is a service or a provider is not.
    pub(super) fn is_denied_as(&self, principal: &Principal) -> bool {
        let of_aws = matches!(self, Self::User { .. } | Self::Session { .. });
        *principal == Principal::Everyone && of_aws || self.is(principal)
    }

    /// Returns whether a Deny of all but these may leave it out: each of its principals has to be there.
    pub(super) fn is_left_out(&self, list: &[Principal]) -> bool {
        if list.iter().any(|one| matches!(one, Principal::Everyone | Principal::Odd(_))) {
            return true;
        }
        match self {
            Self::User { account, arn } => {
                let own = [Principal::Account(account.clone()), Principal::Arn(arn.clone())];
                own.iter().all(|one| list.contains(one))
            }
            Self::Session { account, role, arn, .. } => {
                let (account, role) = (Principal::Account(account.clone()), Principal::Arn(role.clone()));
                [account, role, Principal::Session(arn.clone())].iter().all(|one| list.contains(one))
            }
            Self::Service(_) | Self::Federated(_) => list.iter().any(|one| self.is(one)),
        }
    }
}

fn conditions(statements: &[Statement]) -> impl Iterator<Item = &Condition> {
    statements.iter().flat_map(|statement| &statement.conditions)
}

/// Returns a representative of each kind of principal that the statements tell apart.
pub(super) fn candidates(statements: &[Statement]) -> BTreeSet<Candidate> {
    let mut arns: BTreeSet<String> = BTreeSet::new();
    let mut sessions: BTreeSet<String> = BTreeSet::new();
    let mut accounts: BTreeSet<String> = BTreeSet::new();
    let mut found: BTreeSet<Candidate> = BTreeSet::new();
    for principal in statements.iter().flat_map(|statement| statement.principals.list()) {
        match principal {
            Principal::Account(account) => accounts.extend([account.clone()]),
            Principal::Arn(arn) => arns.extend([arn.clone()]),
            Principal::Session(arn) => {
                if let Some((candidate, session)) = Candidate::of_session(arn) {
                    found.insert(candidate);
                    sessions.insert(session);
                }
            }
            Principal::Service(name) => found.extend([Candidate::Service(name.clone())]),
            Principal::Federated(name) => found.extend([Candidate::Federated(name.clone())]),
            Principal::Everyone | Principal::Odd(_) => {}
        }
    }
    let mut patterns = BTreeSet::new();
    for condition in conditions(statements) {
        match condition.key.as_str() {
            "aws:principalarn" => {
                let (wild, plain) = condition.values.iter().cloned().partition::<Vec<_>, _>(|value| is_wild(value));
                patterns.extend(wild);
                arns.extend(plain);
            }
            "aws:principalaccount" => accounts.extend(condition.values.iter().filter(|value| !is_wild(value)).cloned()),
            _ => {}
        }
    }
    let account_of = |arn: &String| arn.split(':').nth(4).map(str::to_owned);
    accounts.extend(arns.iter().chain(&patterns).filter_map(account_of).filter(|account| is_account(account)));
    accounts.extend(found.iter().filter_map(|one| match one {
        Candidate::Session { account, .. } => Some(account.clone()),
        _ => None,
    }));
    // And an account that is not named.
    let unnamed =
        (0..=accounts.len()).map(|number| format!("{number:012}")).find(|account| !accounts.contains(account));
    accounts.extend(unnamed);
    for account in &accounts {
        arns.extend(["user", "role"].map(|kind| format!("arn:aws:iam::{account}:{kind}/{ANYONE}")));
        arns.extend(patterns.iter().flat_map(|pattern| instances(pattern, account)));
    }
    sessions.insert(ANYONE.to_owned());
    for arn in &arns {
        let resource = arn.splitn(6, ':').nth(5).unwrap_or_default();
        if resource.starts_with("user/") {
            found.extend(Candidate::user(arn));
        }
        found.extend(sessions.iter().filter_map(|session| Candidate::session(arn, session)));
    }
    found.insert(Candidate::Service(format!("{ANYONE}.amazonaws.com")));
    found.insert(Candidate::Federated(ANYONE.to_owned()));
    found
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_wild(value: &str) -> bool {
    value.contains(['*', '?'])
}

fn instance(pattern: &str) -> String {
    pattern.replace('*', ANYONE).replace('?', "x")
}

/// Returns ARNs of users and roles of an account that are of a pattern.
fn instances(pattern: &str, account: &str) -> Vec<String> {
    let parts: Vec<&str> = pattern.splitn(6, ':').collect();
    let resource = parts.get(5).copied().unwrap_or("*");
    let partition = parts.get(1).copied().filter(|part| !is_wild(part)).unwrap_or("aws");
    let all = ["user/", "role/"].into_iter().map(|kind| match resource.strip_prefix('*') {
        Some(rest) => format!("arn:{partition}:iam::{account}:{kind}{}", instance(rest)),
        None => format!("arn:{partition}:iam::{account}:{}", instance(resource)),
    });
    all.filter(|arn| matches(pattern, arn)).collect()
}

/// What the caller chooses, by condition key; nothing for a key that is absent.
pub(super) type Request = BTreeMap<String, Option<String>>;

/// Returns whether who asks chooses the value of a condition key, or may be anyone who has it.
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

/// Returns a representative of each kind of request that the statements tell apart, and the condition keys for which that is not
/// possible.
pub(super) fn requests(statements: &[Statement]) -> (Vec<Request>, Vec<String>) {
    let mut literals: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut patterns: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for condition in conditions(statements).filter(|condition| condition.is_understood()) {
        let key = condition.key.as_str();
        let plain = literals.entry(key).or_default();
        for value in &condition.values {
            match condition.compare() {
                Some(Compare::Like | Compare::Arn) if is_wild(value) => {
                    patterns.entry(key).or_default().extend([value.as_str()]);
                }
                Some(Compare::Like | Compare::Arn | Compare::Equals) => plain.extend([value.as_str()]),
                Some(Compare::Bool) => plain.extend(["true", "false"]),
                None => {}
            }
        }
    }
    // Values that are of several patterns at once are not looked for.
    let mut unclear: Vec<String> =
        patterns.iter().filter(|(_, all)| all.len() > 1).map(|(key, _)| (*key).to_owned()).collect();
    // Nor are principals of a pattern that is none of ARNs.
    let without = |pattern: &&str| {
        let account = pattern.split(':').nth(4).filter(|account| is_account(account));
        instances(pattern, account.unwrap_or("000000000000")).is_empty()
    };
    if patterns.get("aws:principalarn").is_some_and(|all| all.iter().any(without)) {
        unclear.push(String::from("aws:principalarn"));
    }
    let mut requests = vec![Request::new()];
    for (key, literals) in literals.iter().filter(|(key, _)| is_chosen(key)) {
        if unclear.iter().any(|one| one == key) {
            continue;
        }
        let pattern = patterns.get(key).and_then(BTreeSet::first).copied();
        let values = values(key, literals, pattern);
        if requests.len() * values.len() > MOST {
            unclear.push((*key).to_owned());
            continue;
        }
        let with = |request: &Request| {
            let with = |value: &Option<String>| {
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

fn values(key: &str, literals: &BTreeSet<&str>, pattern: Option<&str>) -> Vec<Option<String>> {
    let mut values: Vec<Option<String>> = literals.iter().map(|value| Some((*value).to_owned())).collect();
    values.extend(pattern.map(|pattern| Some(instance(pattern))));
    // A session always has a name.
    if key != "sts:rolesessionname" {
        values.push(None);
    }
    if key == "aws:multifactorauthpresent" {
        values.extend(["true", "false"].map(|value| Some(value.to_owned())));
    } else {
        let others = [ANYONE, "0", "z"].into_iter();
        let other = others.filter(|value| pattern.is_none_or(|pattern| !matches(pattern, value)));
        values.extend(other.map(|value| Some(value.to_owned())).next());
    }
    values.sort();
    values.dedup();
    values
}
