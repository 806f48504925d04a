//! DynamoDB's rules for attributes and encryption keys.

use crate::kind::key::check_alias;
use crate::resource::Invalid;

/// The most global secondary indexes of a table. Source: "Quotas in Amazon DynamoDB".
pub const INDEX_LIMIT: usize = 20;
/// The most attributes that the `include` projections of a table name, all indexes together. Source: as above.
pub const INCLUDE_LIMIT: usize = 100;

/// Checks the name of a key attribute.
pub fn check_attribute(name: &str) -> Result<(), Invalid> {
    if !(1..=255).contains(&name.len()) {
        return Err(Invalid::new(
            format!("\"{name}\" is not an attribute name DynamoDB takes"),
            "a key or TTL attribute's name has 1 to 255 bytes",
        ));
    }
    Ok(())
}

/// What is written for the alias of a key, in place of its ARN.
pub(super) const ALIAS: &str = "alias/";

/// Checks an encryption key: its alias or its ARN.
pub fn check_kms_key(arn: &str) -> Result<(), Invalid> {
    if arn == "alias/aws/dynamodb" {
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
