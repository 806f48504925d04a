//! IAM's rules for roles. Source: CreateRole in the IAM API Reference, and "IAM and AWS STS quotas" in the AWS Identity and Access
//! Management User Guide.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use super::home::{self, ACCOUNT, PARTITION};
use crate::kind::document::PolicyDocument;
use crate::resource::Invalid;

/// The range of the maximum session duration in seconds.
pub(super) const SESSION: RangeInclusive<u32> = 3600..=43200;
/// The default of the maximum session duration.
pub(super) const DEFAULT_SESSION: u32 = 3600;
/// The path of service-linked roles, which only their service may change.
pub(super) const SERVICE_LINKED: &str = "/aws-service-role/";
/// The path of the roles of IAM Identity Center.
const RESERVED: &str = "/aws-reserved/";
/// The maximum length of all inline policies of a role together, without white space. This quota cannot be raised.
pub(super) const INLINE: usize = 10_240;
/// The maximum length of a trust policy: the default, and the highest value of the account's quota.
pub(super) const TRUST: (usize, usize) = (2048, 8192);
/// The maximum number of managed policies of a role: the default, and the highest value of the quota.
pub(super) const MANAGED: (usize, usize) = (10, 25);
/// The maximum length of a description.
const DESCRIPTION: usize = 1000;

fn name_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "_+=,.@-".contains(letter)
}

/// Checks the name of a role.
pub(super) fn check_name(name: &str) -> Result<(), Invalid> {
    if (1..=64).contains(&name.len()) && name.chars().all(name_letter) {
        return Ok(());
    }
    Err(Invalid::new(
        format!("\"{name}\" is not a valid name of an IAM role"),
        "use 1 to 64 letters, digits, and _ + = , . @ -",
    ))
}

/// Checks the name of an inline policy.
pub(super) fn check_policy_name(name: &str) -> Result<(), Invalid> {
    if (1..=128).contains(&name.len()) && name.chars().all(name_letter) {
        return Ok(());
    }
    let help = "use 1 to 128 letters, digits, and _ + = , . @ -";
    Err(Invalid::new(format!("\"{name}\" is not a valid name of an IAM policy"), help))
}

/// Checks the path of a role.
pub(super) fn check_path(path: &str) -> Result<(), Invalid> {
    let visible = path.chars().all(|letter| letter.is_ascii_graphic());
    if !path.starts_with('/') || !path.ends_with('/') || path.contains("//") || path.len() > 512 || !visible {
        let help = "write one such as /sentinel/, with a slash at both ends";
        return Err(Invalid::new(format!("\"{path}\" is not a valid IAM path"), help));
    }
    if is_of_aws(path) {
        let help = "only AWS services create roles there; choose another path";
        return Err(Invalid::new(format!("the path \"{path}\" is reserved for AWS"), help));
    }
    Ok(())
}

/// Returns whether the roles with a path are AWS's own.
pub(super) fn is_of_aws(path: &str) -> bool {
    path.starts_with(SERVICE_LINKED) || path.starts_with(RESERVED)
}

pub(super) fn check_description(text: &str) -> Result<(), Invalid> {
    let fits = |letter: char| matches!(letter, '\t' | '\n' | '\r' | '\u{20}'..='\u{7e}' | '\u{a1}'..='\u{ff}');
    if text.chars().count() <= DESCRIPTION && text.chars().all(fits) {
        return Ok(());
    }
    let problem = "the description is not valid in IAM";
    Err(Invalid::new(
        problem,
        "use at most 1,000 characters of Latin-1: letters without accents, or with Western European accents",
    ))
}

fn is_account(text: &str) -> bool {
    text == ACCOUNT || (text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_partition(text: &str) -> bool {
    text == PARTITION || text == "aws" || text.strip_prefix("aws-").is_some_and(|rest| !rest.is_empty())
}

/// Checks the ARN of a managed policy.
pub(super) fn check_managed(arn: &str) -> Result<(), Invalid> {
    let parts: Vec<&str> = split(arn);
    let fits = matches!(parts[..], ["arn", partition, "iam", "", account, resource]
        if is_partition(partition) && (account == "aws" || is_account(account)) && resource.strip_prefix("policy/").is_some_and(is_resource));
    if fits {
        return Ok(());
    }
    let help = "write one such as arn:aws:iam::aws:policy/ReadOnlyAccess or arn:aws:iam::123456789012:policy/NAME";
    Err(Invalid::new(format!("\"{arn}\" is not the ARN of a managed policy"), help))
}

fn is_resource(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|letter| letter.is_ascii_graphic() && !"*?\"'\\".contains(letter))
}

/// Splits an ARN at its colons, except those within a marker.
fn split(arn: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = arn;
    while parts.len() < 5 {
        let marker = [ACCOUNT, PARTITION].into_iter().find(|marker| rest.starts_with(marker)).map_or(0, str::len);
        let Some(at) = rest[marker..].find(':') else { break };
        parts.push(&rest[..marker + at]);
        rest = &rest[marker + at + 1..];
    }
    parts.push(rest);
    parts
}

/// Checks the ARN of a principal that may assume a role: a user, a role or a role session.
pub(super) fn check_principal(arn: &str) -> Result<(), Invalid> {
    home::check(arn)?;
    let parts = split(arn);
    let fits = match parts[..] {
        ["arn", partition, service, "", account, resource] if is_partition(partition) && is_account(account) => {
            let heads: &[&str] = match service {
                "iam" => &["user/", "role/"],
                "sts" => &["assumed-role/", "federated-user/"],
                _ => &[],
            };
            heads.iter().any(|head| resource.strip_prefix(head).is_some_and(is_resource))
        }
        _ => false,
    };
    if fits {
        return Ok(());
    }
    let help = "write the ARN of a user or role, such as arn:aws:iam::123456789012:role/deploy; for whole accounts use accounts, and for \
         other principals a JSON file with trust";
    Err(Invalid::new(format!("\"{arn}\" is not the ARN of a user or a role"), help))
}

/// Checks the ARN of a role.
pub fn check_arn(arn: &str) -> Result<(), Invalid> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let fits = matches!(parts[..], ["arn", partition, "iam", "", account, resource]
        if partition.starts_with("aws") && is_account(account) && resource.strip_prefix("role/").is_some_and(is_resource));
    if fits {
        return Ok(());
    }
    let help = "write { role = \"NAME\" } for [roles.NAME], or an ARN such as arn:aws:iam::123456789012:role/NAME";
    Err(Invalid::new(format!("\"{arn}\" is not the ARN of a role"), help))
}

pub(super) fn check_account(account: &str) -> Result<(), Invalid> {
    if is_account(account) {
        return Ok(());
    }
    Err(Invalid::new(format!("\"{account}\" is not an account id"), "an account id has 12 digits"))
}

/// Checks an external ID. Source: AssumeRole in the STS API Reference.
pub(super) fn check_external_id(id: &str) -> Result<(), Invalid> {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "_+=,.@:/-".contains(letter);
    if (2..=1224).contains(&id.len()) && id.chars().all(fits) {
        return Ok(());
    }
    Err(Invalid::new(
        format!("\"{id}\" is not a valid external ID"),
        "use 2 to 1,224 letters, digits, and _ + = , . @ : / -",
    ))
}

/// Returns the length of a document as IAM counts it, without white space. The account has 12 digits, and the partition its usual length.
pub(super) fn size(document: &PolicyDocument) -> usize {
    let text = document.to_json().replace(ACCOUNT, "123456789012").replace(PARTITION, "aws");
    text.chars().filter(|letter| !letter.is_whitespace()).count()
}

pub(super) fn check_trust_size(trust: &PolicyDocument) -> Result<(), Invalid> {
    let (default, most) = TRUST;
    let size = size(trust);
    if size <= most {
        return Ok(());
    }
    let help = format!(
        "IAM accepts {default} by default, and {most} if the quota \"Role trust policy length\" was raised: name fewer principals"
    );
    Err(Invalid::new(format!("the trust policy has {size} characters"), help))
}

/// Checks the number of managed policies.
pub(super) fn check_managed_count(policies: &BTreeSet<String>) -> Result<(), Invalid> {
    let (default, most) = MANAGED;
    let count = policies.len();
    if count <= most {
        return Ok(());
    }
    let help = format!(
        "IAM attaches {default} to a role by default, and {most} if the quota \"Managed policies per role\" was raised"
    );
    Err(Invalid::new(format!("{count} managed policies are too many for a role"), help))
}

/// Checks the total size of the inline policies.
pub(super) fn check_inline_size(policies: &BTreeMap<String, PolicyDocument>) -> Result<(), Invalid> {
    let size: usize = policies.values().map(size).sum();
    if size <= INLINE {
        return Ok(());
    }
    let help = "IAM accepts 10,240 in all inline policies of a role together, without white space: convert some to managed policies, and \
         name them in managed_policies; sentinel iam prints the derived policies, divided into managed policies";
    Err(Invalid::new(format!("the inline policies have {size} characters"), help))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_and_paths_follow_the_rules_of_iam() {
        for good in ["a", "prod-admin", "A_+=,.@-9", &"x".repeat(64)] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        for bad in ["", "a b", "a/b", "ä", &"x".repeat(65)] {
            assert!(check_name(bad).is_err(), "{bad} passed");
        }
        for good in ["/", "/sentinel/", "/a/b/"] {
            assert_eq!(check_path(good), Ok(()), "{good}");
        }
        for bad in ["", "a", "/a", "a/", "//", "/a b/", "/aws-service-role/x/", "/aws-reserved/"] {
            assert!(check_path(bad).is_err(), "{bad} passed");
        }
    }

    #[test]
    fn a_managed_policy_is_named_by_its_arn() {
        for good in [
            "arn:aws:iam::aws:policy/ReadOnlyAccess",
            "arn:aws-cn:iam::123456789012:policy/team/x",
            "arn:${sentinel:partition}:iam::${sentinel:account}:policy/x",
        ] {
            assert_eq!(check_managed(good), Ok(()), "{good}");
        }
        for bad in [
            "ReadOnlyAccess",
            "arn:aws:iam::aws:policy/",
            "arn:aws:iam::1:policy/x",
            "arn:aws:iam::aws:role/x",
            "arn:aws:iam::aws:policy/*",
        ] {
            assert!(check_managed(bad).is_err(), "{bad} passed");
        }
    }

    #[test]
    fn a_principal_is_a_user_or_a_role() {
        for good in [
            "arn:aws:iam::123456789012:role/team/deploy",
            "arn:aws:iam::123456789012:user/alice",
            "arn:aws:sts::123456789012:assumed-role/deploy/session",
            "arn:aws:iam::${sentinel:account}:role/x",
        ] {
            assert_eq!(check_principal(good), Ok(()), "{good}");
        }
        for bad in [
            "*",
            "123456789012",
            "arn:aws:iam::123456789012:root",
            "arn:aws:iam::123456789012:role/*",
            "arn:aws:iam::123456789012:group/x",
        ] {
            assert!(check_principal(bad).is_err(), "{bad} passed");
        }
    }

    #[test]
    fn sizes_are_counted_like_iam() {
        let of = |resource: &str| {
            let statement = json!({ "Effect": "Allow", "Action": "s3:GetObject", "Resource": resource });
            PolicyDocument::from(json!({ "Version": "2012-10-17", "Statement": [statement] }))
        };
        assert_eq!(size(&of("a b")), size(&of("ab")));
        assert_eq!(size(&of(ACCOUNT)), size(&of("123456789012")));
        let empty = size(&of(""));
        let two =
            |more: usize| BTreeMap::from([(String::from("a"), of("")), (String::from("b"), of(&"x".repeat(more)))]);
        assert_eq!(check_inline_size(&two(INLINE - 2 * empty)), Ok(()));
        assert!(check_inline_size(&two(INLINE - 2 * empty + 1)).unwrap_err().problem.contains("10241 characters"));
        assert_eq!(check_trust_size(&of(&"x".repeat(TRUST.1 - empty))), Ok(()));
        assert!(check_trust_size(&of(&"x".repeat(TRUST.1 - empty + 1))).is_err());
    }
}
