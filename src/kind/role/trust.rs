//! The principals that may assume a role, in a manifest, and the resulting trust policy.

use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

use super::home::{ACCOUNT, PARTITION};
use super::rules::{check_account, check_external_id, check_principal};
use crate::document::write::{list, quoted};
use crate::document::{Entry, Node, Reader};
use crate::kind::Address;
use crate::kind::document::PolicyDocument;
use crate::kind::references::Service;
use crate::resource::Invalid;

/// The trust policy of a role, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// `trust = "file.json"`.
    File(String),
    /// `trusted_by = { … }`.
    By(TrustedBy),
}

/// `trusted_by = { … }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrustedBy {
    /// `{ broker = true }`: only the role of the broker.
    Broker,
    Principals(Principals),
    /// `{ github = { … } }`: jobs of GitHub Actions.
    GitHub(GitHub),
}

/// Accounts, users and roles.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Principals {
    pub accounts: Vec<String>,
    /// ARNs.
    pub principals: Vec<String>,
    pub external_id: Option<String>,
    pub mfa: Option<bool>,
}

/// Jobs of GitHub Actions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitHub {
    /// `OWNER/NAME`.
    pub repository: String,
    pub jobs: Jobs,
}

/// The jobs of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Jobs {
    /// The jobs of an environment.
    Environment(String),
    /// The jobs of a branch.
    Branch(String),
}

const HELP: &str = "write { broker = true }, { accounts = [\"123456789012\"] }, { principals = [\"arn:aws:iam::123456789012:role/NAME\"] \
     }, or \
                    { github = { repository = \"OWNER/NAME\", environment = \"NAME\" } }; or name a JSON file with trust";

/// Reads `trusted_by`.
pub(super) fn read(reader: &mut Reader<'_>, node: &Node) -> Option<TrustedBy> {
    let mut fields = reader.map(node, "trusted_by")?;
    let (broker, github) = (fields.get("broker"), fields.get("github"));
    let accounts = fields.get("accounts");
    let principals = fields.get("principals");
    let (external_id, mfa) = (fields.get("external_id"), fields.get("mfa"));
    fields.finish(reader);
    let named = [accounts, principals, external_id, mfa].into_iter().flatten().next();
    let given: Vec<&Entry> = [broker, github, named].into_iter().flatten().collect();
    match given[..] {
        [] => {
            reader.fault(node.span.clone(), "`trusted_by` names nobody", "no principal", HELP);
            None
        }
        [_] => match (broker, github) {
            (Some(broker), _) => read_broker(reader, &broker.node),
            (None, Some(github)) => read_github(reader, &github.node).map(TrustedBy::GitHub),
            (None, None) => {
                read_principals(reader, node, [accounts, principals, external_id, mfa]).map(TrustedBy::Principals)
            }
        },
        [_, other, ..] => {
            let message = "`trusted_by` has several kinds of principals";
            reader.fault(other.key_span.clone(), message, "one too many", HELP);
            None
        }
    }
}

fn read_broker(reader: &mut Reader<'_>, node: &Node) -> Option<TrustedBy> {
    if reader.boolean(node, "broker")? {
        return Some(TrustedBy::Broker);
    }
    reader.fault(node.span.clone(), "`trusted_by` names nobody", "nobody may assume it", HELP);
    None
}

fn read_principals(
    reader: &mut Reader<'_>,
    node: &Node,
    [accounts, principals, external_id, mfa]: [Option<&Entry>; 4],
) -> Option<Principals> {
    let mut texts = |entry: Option<&Entry>, name: &str, rule: fn(&str) -> Result<(), Invalid>| {
        let Some(entry) = entry else { return Some(Vec::new()) };
        let items = reader.list(&entry.node, name)?;
        let mut all: Vec<String> = items.iter().filter_map(|item| reader.checked(item, name, rule)).collect();
        all.sort();
        all.dedup();
        Some(all)
    };
    let read = Principals {
        accounts: texts(accounts, "accounts", check_account)?,
        principals: texts(principals, "principals", check_principal)?,
        external_id: external_id.and_then(|entry| reader.checked(&entry.node, "external_id", check_external_id)),
        mfa: mfa.and_then(|entry| reader.boolean(&entry.node, "mfa")),
    };
    if read.accounts.is_empty() && read.principals.is_empty() {
        let help = "add accounts = [\"123456789012\"], or principals with the ARNs of users and roles";
        reader.fault(node.span.clone(), "`trusted_by` names nobody", "no principal", help);
        return None;
    }
    Some(read)
}

fn read_github(reader: &mut Reader<'_>, node: &Node) -> Option<GitHub> {
    let mut fields = reader.map(node, "github")?;
    let repository = fields.required(reader, "repository", "add repository = \"OWNER/NAME\"");
    let repository = repository.and_then(|entry| reader.checked(&entry.node, "repository", check_repository));
    let (environment, branch) = (fields.get("environment"), fields.get("branch"));
    let jobs = read_jobs(reader, node, environment, branch);
    fields.finish(reader);
    Some(GitHub { repository: repository?, jobs: jobs? })
}

fn read_jobs(
    reader: &mut Reader<'_>,
    node: &Node,
    environment: Option<&Entry>,
    branch: Option<&Entry>,
) -> Option<Jobs> {
    match (environment, branch) {
        (Some(environment), None) => {
            reader.checked(&environment.node, "environment", check_part).map(Jobs::Environment)
        }
        (None, Some(branch)) => reader.checked(&branch.node, "branch", check_part).map(Jobs::Branch),
        (Some(_), Some(branch)) => {
            let help = "remove one: the token of a job in an environment does not contain its branch";
            reader.fault(branch.key_span.clone(), "`github` has both `environment` and `branch`", "one too many", help);
            None
        }
        (None, None) => {
            let help =
                "add environment = \"NAME\" or branch = \"NAME\": otherwise any pull request could assume the role";
            reader.fault(node.span.clone(), "`github` does not restrict the jobs", "which jobs?", help);
            None
        }
    }
}

fn check_repository(repository: &str) -> Result<(), Invalid> {
    let plain = |part: &str| {
        !part.is_empty() && part.chars().all(|letter| letter.is_ascii_alphanumeric() || "_.-".contains(letter))
    };
    match repository.split('/').collect::<Vec<_>>()[..] {
        [owner, name] if plain(owner) && plain(name) => Ok(()),
        _ => Err(Invalid::new(format!("\"{repository}\" is not the name of a repository"), "write OWNER/NAME")),
    }
}

/// Checks the name of an environment or a branch, which is compared literally: it contains no wildcards, and no separator of a token's
/// subject.
fn check_part(name: &str) -> Result<(), Invalid> {
    let plain = |letter: char| letter.is_ascii_graphic() && !"*?:$\"\\".contains(letter);
    if !name.is_empty() && name.len() <= 255 && name.chars().all(plain) {
        return Ok(());
    }
    Err(Invalid::new(
        format!("\"{name}\" is not valid here"),
        "write the whole name, of visible ASCII without * ? : $ \" \\",
    ))
}

/// Returns it as an inline TOML table.
pub(super) fn write(by: &TrustedBy) -> String {
    match by {
        TrustedBy::Broker => String::from("{ broker = true }"),
        TrustedBy::Principals(Principals { accounts, principals, external_id, mfa }) => {
            let mut parts = Vec::new();
            parts.extend((!accounts.is_empty()).then(|| format!("accounts = {}", list(accounts))));
            parts.extend((!principals.is_empty()).then(|| format!("principals = {}", list(principals))));
            parts.extend(external_id.as_ref().map(|id| format!("external_id = {}", quoted(id))));
            parts.extend(mfa.map(|mfa| format!("mfa = {mfa}")));
            format!("{{ {} }}", parts.join(", "))
        }
        TrustedBy::GitHub(GitHub { repository, jobs }) => {
            let jobs = match jobs {
                Jobs::Environment(name) => format!("environment = {}", quoted(name)),
                Jobs::Branch(name) => format!("branch = {}", quoted(name)),
            };
            format!("{{ github = {{ repository = {}, {jobs} }} }}", quoted(repository))
        }
    }
}

/// The identity provider of GitHub Actions. Source: "Configuring OpenID Connect in Amazon Web Services" in the GitHub documentation.
pub(super) const GITHUB: &str = "token.actions.githubusercontent.com";
/// The audience of its tokens.
const AUDIENCE: &str = "sts.amazonaws.com";

/// Returns the trust policy. `broker` has the address and the ARN's resource part of each broker role in the manifest.
///
/// # Errors
///
/// Returns the error that there is no broker role, or that there are several.
pub(super) fn document(
    by: &TrustedBy,
    served: &BTreeSet<(Service, Address)>,
    names: &BTreeMap<Address, String>,
) -> Result<PolicyDocument, Invalid> {
    let statement = match by {
        TrustedBy::Broker => {
            let brokers: Vec<&Address> =
                served.iter().filter(|(serves, _)| *serves == Service::Broker).map(|(_, address)| address).collect();
            let [broker] = brokers[..] else { return Err(broker_fault(&brokers)) };
            let name = names.get(broker).map(String::as_str).unwrap_or_default();
            let arn = format!("arn:{PARTITION}:iam::{ACCOUNT}:{name}");
            // The session carries the user and the request.
            json!({
                "Effect": "Allow",
                "Principal": { "AWS": arn },
                "Action": ["sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession"],
            })
        }
        TrustedBy::Principals(Principals { accounts, principals, external_id, mfa }) => {
            let who: Vec<&String> = accounts.iter().chain(principals).collect();
            let mut condition = Map::new();
            if let Some(id) = external_id {
                condition.insert(String::from("StringEquals"), json!({ "sts:ExternalId": id }));
            }
            if *mfa == Some(true) {
                condition.insert(String::from("Bool"), json!({ "aws:MultiFactorAuthPresent": "true" }));
            }
            let mut statement = json!({
                "Effect": "Allow",
                "Principal": { "AWS": who },
                // `sentinel exec` sets the source identity.
                "Action": ["sts:AssumeRole", "sts:SetSourceIdentity"],
            });
            if !condition.is_empty() {
                statement["Condition"] = Value::Object(condition);
            }
            statement
        }
        TrustedBy::GitHub(GitHub { repository, jobs }) => {
            let jobs = match jobs {
                Jobs::Environment(name) => format!("environment:{name}"),
                Jobs::Branch(name) => format!("ref:refs/heads/{name}"),
            };
            let (audience, subject) = (format!("{GITHUB}:aud"), format!("{GITHUB}:sub"));
            json!({
                "Effect": "Allow",
                "Principal": { "Federated": format!("arn:{PARTITION}:iam::{ACCOUNT}:oidc-provider/{GITHUB}") },
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": { "StringEquals": { audience: AUDIENCE, subject: format!("repo:{repository}:{jobs}") } },
            })
        }
    };
    Ok(json!({ "Version": "2012-10-17", "Statement": [statement] }).into())
}

fn broker_fault(brokers: &[&Address]) -> Invalid {
    match brokers {
        [] => Invalid::new(
            "the manifest has no role for the broker",
            "add permissions = \"broker\" to that role; or name its ARN: trusted_by = { principals = \
                 [\"arn:aws:iam::ACCOUNT:role/NAME\"] }",
        ),
        several => {
            let names: Vec<String> = several.iter().map(ToString::to_string).collect();
            let problem = format!("the manifest has several roles for a broker: {}", names.join(", "));
            Invalid::new(
                problem,
                "name the ARN of one of them: trusted_by = { principals = [\"arn:aws:iam::ACCOUNT:role/NAME\"] }",
            )
        }
    }
}

/// Returns the ARNs of the OpenID Connect providers in the role's own account that a trust policy names.
pub(super) fn providers(trust: &PolicyDocument) -> Vec<String> {
    let statements = trust.value()["Statement"].as_array().into_iter().flatten();
    let federated = statements.map(|statement| &statement["Principal"]["Federated"]);
    let arns = federated.flat_map(|value| match value {
        Value::String(arn) => vec![arn.clone()],
        Value::Array(all) => all.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    });
    let mut all: Vec<String> = arns.filter(|arn| arn.contains(":oidc-provider/")).collect();
    all.sort();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::KindId;

    fn broker(keys: &[&str]) -> (BTreeSet<(Service, Address)>, BTreeMap<Address, String>) {
        let address = |key: &&str| Address::new(KindId::Role, *key);
        let served = keys.iter().map(|key| (Service::Broker, address(key))).collect();
        (served, keys.iter().map(|key| (address(key), format!("role/sentinel/{key}"))).collect())
    }

    fn of(by: &TrustedBy) -> Value {
        let (served, names) = broker(&["broker"]);
        document(by, &served, &names).unwrap().value()["Statement"][0].clone()
    }

    #[test]
    fn only_the_broker_is_trusted_and_it_may_set_a_source_identity() {
        let statement = of(&TrustedBy::Broker);
        let arn = "arn:${sentinel:partition}:iam::${sentinel:account}:role/sentinel/broker";
        assert_eq!(statement["Principal"], json!({ "AWS": arn }));
        assert_eq!(statement["Action"], json!(["sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession"]));
    }

    #[test]
    fn exactly_one_broker_is_required() {
        let refused = |keys: &[&str]| {
            let (served, names) = broker(keys);
            document(&TrustedBy::Broker, &served, &names).unwrap_err().problem
        };
        assert_eq!(refused(&[]), "the manifest has no role for the broker");
        assert_eq!(refused(&["a", "b"]), "the manifest has several roles for a broker: roles.a, roles.b");
    }

    #[test]
    fn principals_are_trusted_under_conditions() {
        let by = Principals {
            accounts: vec![String::from("210987654321")],
            principals: vec![String::from("arn:aws:iam::123456789012:user/alice")],
            external_id: Some(String::from("x-1")),
            mfa: Some(true),
        };
        let statement = of(&TrustedBy::Principals(by.clone()));
        assert_eq!(statement["Principal"]["AWS"], json!(["210987654321", "arn:aws:iam::123456789012:user/alice"]));
        let expected =
            json!({ "Bool": { "aws:MultiFactorAuthPresent": "true" }, "StringEquals": { "sts:ExternalId": "x-1" } });
        assert_eq!(statement["Condition"], expected);
        let bare = of(&TrustedBy::Principals(Principals { external_id: None, mfa: Some(false), ..by }));
        assert!(bare["Condition"].is_null(), "{bare}");
    }

    #[test]
    fn github_jobs_are_identified_by_the_token_subject() {
        let subject = |jobs| {
            let statement = of(&TrustedBy::GitHub(GitHub { repository: String::from("acme/infra"), jobs }));
            statement["Condition"]["StringEquals"][format!("{GITHUB}:sub")].clone()
        };
        assert_eq!(subject(Jobs::Environment(String::from("prod"))), "repo:acme/infra:environment:prod");
        assert_eq!(subject(Jobs::Branch(String::from("main"))), "repo:acme/infra:ref:refs/heads/main");
    }

    #[test]
    fn the_providers_of_a_trust_policy_are_found() {
        let by =
            TrustedBy::GitHub(GitHub { repository: String::from("a/b"), jobs: Jobs::Branch(String::from("main")) });
        let (served, names) = broker(&[]);
        let trust = document(&by, &served, &names).unwrap();
        assert_eq!(providers(&trust), [format!("arn:{PARTITION}:iam::{ACCOUNT}:oidc-provider/{GITHUB}")]);
        let saml = json!({ "Statement": [{ "Principal": { "Federated": "arn:aws:iam::1:saml-provider/x" } }] });
        assert_eq!(providers(&saml.into()), [""; 0]);
    }

    #[test]
    fn a_name_with_wildcards_is_refused() {
        for bad in ["", "*", "ma?n", "a:b", "${x}", "a b"] {
            assert!(check_part(bad).is_err(), "{bad} passed");
        }
        assert_eq!(check_part("release/1.2"), Ok(()));
        for bad in ["acme", "acme/*", "a/b/c", "/b"] {
            assert!(check_repository(bad).is_err(), "{bad} passed");
        }
    }
}
