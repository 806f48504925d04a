//! The encryption of a table.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Table;
use crate::change::Protection;
use crate::kind::key::{DESCRIBE_KEY, check_alias};
use crate::kind::permission::{Location, On, Permission};
use crate::resource::Invalid;
use crate::resource::call::{Operation, operation};

/// The key that encrypts a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encryption {
    AwsOwned,
    /// The account's `alias/aws/dynamodb`. Only in desired state: AWS returns the ARN of the key in use.
    AwsManaged,
    /// A key, by ARN.
    Kms(String),
    /// The key of an alias. AWS returns the key's ARN; a live table has this value if the desired alias resolves to its key.
    Alias(String),
}

impl Encryption {
    /// Returns whether KMS must resolve it to a key.
    pub(super) fn needs_lookup(&self) -> bool {
        match self {
            Self::AwsManaged | Self::Alias(_) => true,
            Self::AwsOwned | Self::Kms(_) => false,
        }
    }

    /// Returns whether the key is customer managed.
    pub(super) fn is_of_customer(&self) -> bool {
        match self {
            Self::Kms(_) | Self::Alias(_) => true,
            Self::AwsOwned | Self::AwsManaged => false,
        }
    }

    /// Returns how a change to another encryption affects the protection of a table. A customer managed key can be revoked and its use is
    /// logged, unlike AWS's own key.
    pub(super) fn protection_of(&self, after: &Self) -> Protection {
        let rank = |encryption: &Self| match encryption {
            Self::AwsOwned => 0,
            Self::AwsManaged => 1,
            Self::Kms(_) | Self::Alias(_) => 2,
        };
        match (rank(self), rank(after)) {
            (before, after) if after < before => Protection::Removed,
            (before, 2) if before < 2 => Protection::Added,
            _ => Protection::Unchanged,
        }
    }
}

/// DynamoDB's calls with a table's key on behalf of the caller that sets it. Source: "Authorizing use of your AWS KMS keys in DynamoDB" in
/// the Amazon DynamoDB Developer Guide. Sentinel does not call these operations, so their rates have no effect.
const USES: [Operation; 6] = [
    operation!("kms", "CreateGrant", 1.0, 1.0),
    operation!("kms", "Decrypt", 1.0, 1.0),
    DESCRIBE_KEY,
    operation!("kms", "Encrypt", 1.0, 1.0),
    operation!("kms", "GenerateDataKey*", 1.0, 1.0),
    operation!("kms", "ReEncrypt*", 1.0, 1.0),
];

/// Returns the permissions that DynamoDB needs for a table's key on behalf of the caller that sets it.
pub(super) fn delegated(encryption: Option<&Encryption>, statement: &str, location: &Location) -> Vec<Permission> {
    let (resource, alias) = match encryption {
        Some(Encryption::Alias(alias)) => (location.arn("kms", "key/*"), Some(alias)),
        Some(Encryption::Kms(arn)) => (arn.clone(), None),
        Some(Encryption::AwsManaged | Encryption::AwsOwned) | None => return Vec::new(),
    };
    let region = location.region.as_deref().unwrap_or("*");
    // The suffix after the region depends on the partition.
    let mut condition = json!({ "StringLike": { "kms:ViaService": format!("dynamodb.{region}.*") } });
    if let Some(alias) = alias {
        condition["ForAnyValue:StringEquals"] = json!({ "kms:ResourceAliases": [alias] });
    }
    let on = On::Those { resources: vec![resource], condition };
    vec![Permission { statement: format!("{statement}Encryption"), shared: false, operations: USES.to_vec(), on }]
}

impl Table {
    /// Returns whether the table, or a replica, is desired to have a customer managed key.
    pub(super) fn wants_own_key(&self) -> bool {
        let replicas = self.replicas.iter().flat_map(|replicas| replicas.regions.values());
        let mut keys = std::iter::once(self).chain(replicas).filter_map(|table| table.encryption.as_ref());
        keys.any(Encryption::is_of_customer)
    }
}

/// The alias of the key that AWS manages for DynamoDB.
pub(super) const AWS_MANAGED: &str = "alias/aws/dynamodb";

/// The prefix of a key's alias, in place of its ARN.
pub(super) const ALIAS: &str = "alias/";

/// Checks a key's alias or ARN.
pub(super) fn check_kms_key(arn: &str) -> Result<(), Invalid> {
    if arn == AWS_MANAGED {
        let help = "write \"aws-managed\" for AWS's own key of this account";
        return Err(Invalid::new(format!("`encryption` cannot be \"{arn}\""), help));
    }
    if arn.starts_with(ALIAS) {
        return check_alias(arn);
    }
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let is_key = matches!(parts[..], ["arn", _, "kms", _, _, resource] if resource.starts_with("key/"));
    if is_key {
        return Ok(());
    }
    Err(Invalid::new(
        format!("`encryption` cannot be \"{arn}\""),
        "write { key = \"NAME\" } for [keys.NAME], \"aws-owned\", \"aws-managed\", a key's alias (alias/NAME), or its ARN \
         (arn:aws:kms:REGION:ACCOUNT:key/ID)",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encryption_key_is_named_by_its_alias_or_its_arn() {
        for good in [
            "arn:aws:kms:eu-west-1:111111111111:key/1",
            "arn:aws-us-gov:kms:us-gov-west-1:111111111111:key/mrk-1",
            "alias/app",
        ] {
            assert!(check_kms_key(good).is_ok(), "{good} refused");
        }
        for bad in [
            "",
            "key/1",
            "alias/",
            "alias/aws/dynamodb",
            "alias/aws/s3",
            "arn:aws:kms:eu-west-1:111111111111:alias/app",
            "arn:aws:s3:::key/1",
        ] {
            assert!(check_kms_key(bad).unwrap_err().problem.contains(bad), "{bad} passed");
        }
    }
}
