//! The names of a key: its alias, its ID, and the ARN of either.

use super::ALIAS;
use super::api::{KeyApi, resolve_alias};
use crate::resource::call::CallError;

/// The prefix of the aliases of AWS managed keys.
const AWS_ALIAS: &str = "alias/aws/";

/// Returns whether a name is known to be that of an AWS managed key. An ID does not show this.
pub fn is_of_aws(name: &str) -> bool {
    resource(name).starts_with(AWS_ALIAS)
}

/// Returns the part of an ARN after the account; other names are returned unchanged.
fn resource(name: &str) -> &str {
    if name.starts_with("arn:") { name.splitn(6, ':').nth(5).unwrap_or(name) } else { name }
}

/// Returns the ARN of a name. `home` is the prefix of key ARNs in the account and region of the reference:
/// `arn:aws:kms:eu-west-1:111111111111:`.
fn whole(home: &str, name: &str) -> String {
    match name {
        _ if name.starts_with("arn:") => name.to_owned(),
        _ if name.starts_with(ALIAS) => format!("{home}{name}"),
        id => format!("{home}key/{id}"),
    }
}

/// Returns whether two different names are known to be those of different keys. An alias refers to a key of its own account and region, and
/// only AWS's aliases refer to AWS managed keys. Source: CreateAlias in the AWS Key Management Service API Reference.
fn are_different_keys(one: &str, other: &str) -> bool {
    let (head, other_head) = (one.strip_suffix(resource(one)), other.strip_suffix(resource(other)));
    let aliases = [one, other].map(|name| resource(name).starts_with(ALIAS));
    match aliases {
        _ if head != other_head => true,
        [false, false] => true,
        [true, true] => is_of_aws(one) || is_of_aws(other),
        [true, false] | [false, true] => false,
    }
}

/// Returns whether two names refer to one key. Calls KMS to compare an alias with another name.
pub async fn same_key(api: &KeyApi, home: &str, one: &str, other: &str) -> Result<bool, CallError> {
    let (one, other) = (whole(home, one), whole(home, other));
    if one == other {
        return Ok(true);
    }
    if are_different_keys(&one, &other) {
        return Ok(false);
    }
    let (one, other) = futures_util::future::join(arn_of(api, one), arn_of(api, other)).await;
    // A missing alias refers to no key.
    Ok(matches!((one?, other?), (Some(one), Some(other)) if one == other))
}

async fn arn_of(api: &KeyApi, name: String) -> Result<Option<String>, CallError> {
    if resource(&name).starts_with(ALIAS) { resolve_alias(api, &name).await } else { Ok(Some(name)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: &str = "arn:aws:kms:us-east-1:123456789012:";

    #[test]
    fn a_name_resolves_to_an_arn_in_its_own_account_and_region() {
        assert_eq!(whole(HOME, "alias/a"), format!("{HOME}alias/a"));
        assert_eq!(whole(HOME, "1234-5678"), format!("{HOME}key/1234-5678"));
        let foreign = "arn:aws:kms:us-east-1:999999999999:key/1";
        assert_eq!(whole(HOME, foreign), foreign);
    }

    #[test]
    fn names_distinguish_keys_by_account_region_id_and_aws_alias() {
        let own = |name: &str| whole(HOME, name);
        let foreign = |name: &str| whole("arn:aws:kms:us-east-1:999999999999:", name);
        let elsewhere = |name: &str| whole("arn:aws:kms:eu-west-1:123456789012:", name);
        for (one, other, expected) in [
            (own("alias/a"), foreign("alias/a"), true),
            (own("alias/a"), elsewhere("alias/a"), true),
            (own("alias/a"), foreign("1"), true),
            (own("1"), own("2"), true),
            (own("alias/a"), own("alias/aws/sns"), true),
            (own("alias/aws/ssm"), own("alias/aws/sns"), true),
            (own("alias/a"), own("alias/b"), false),
            (own("alias/a"), own("1"), false),
            (own("alias/aws/sns"), own("1"), false),
        ] {
            assert_eq!(are_different_keys(&one, &other), expected, "{one} {other}");
            assert_eq!(are_different_keys(&other, &one), expected, "{other} {one}");
        }
    }

    #[test]
    fn an_aws_managed_key_is_recognized_by_its_alias() {
        assert!(is_of_aws("alias/aws/sns") && is_of_aws(&format!("{HOME}alias/aws/sns")));
        assert!(!is_of_aws("alias/awsome") && !is_of_aws("1234") && !is_of_aws(&format!("{HOME}key/1234")));
    }
}
