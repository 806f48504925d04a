//! The key that encrypts a `SecureString`, in a manifest.

use crate::document::write::quoted;
use crate::document::{Node, Reader};
use crate::kind::key::check_alias;
use crate::kind::references::{self, Named, Reference};
use crate::kind::section::Resolver;
use crate::kind::{Address, KindId};
use crate::resource::Invalid;

/// The key that encrypts a `SecureString`, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySetting {
    /// `key = { key = "records" }`.
    Reference(Address),
    /// An alias or an ARN.
    Id(String),
}

impl KeySetting {
    /// Returns it as TOML.
    pub(in crate::kind) fn written(&self) -> String {
        match self {
            Self::Reference(to) => format!("{{ key = {} }}", quoted(&to.key)),
            Self::Id(name) => quoted(name),
        }
    }

    /// Returns the AWS name of the key. A missing key is already a fault.
    pub(in crate::kind) fn resolved(&self, resolver: &Resolver<'_>) -> Option<String> {
        match self {
            Self::Reference(to) => resolver.names.get(to).cloned(),
            Self::Id(name) => Some(name.clone()),
        }
    }
}

pub(in crate::kind) fn references(key: Option<&KeySetting>) -> Vec<Reference> {
    match key {
        Some(KeySetting::Reference(to)) => vec![Reference { setting: vec![String::from("key")], to: to.clone() }],
        Some(KeySetting::Id(_)) | None => Vec::new(),
    }
}

/// Returns the AWS names that a setting has in place of a reference.
pub(in crate::kind) fn uses(key: Option<&KeySetting>) -> Vec<Named> {
    match key {
        Some(KeySetting::Id(name)) => {
            vec![Named { setting: vec![String::from("key")], kind: KindId::Key, name: name.clone() }]
        }
        Some(KeySetting::Reference(_)) | None => Vec::new(),
    }
}

pub(in crate::kind) fn read(reader: &mut Reader<'_>, node: &Node) -> Option<KeySetting> {
    if references::is_one(node) {
        return references::read(reader, node, "key", KindId::Key).map(KeySetting::Reference);
    }
    reader.checked(node, "key", check).map(KeySetting::Id)
}

/// Records the fault that a parameter of another type has a key.
pub(in crate::kind) fn without_secret(reader: &mut Reader<'_>, node: &Node) {
    let help = "add type = \"SecureString\", or remove key";
    reader.fault(node.span.clone(), "a plain string has no key", "encrypts nothing", help);
}

/// The alias of the AWS managed key for Parameter Store.
pub(super) const OF_AWS: &str = "alias/aws/ssm";

fn check(name: &str) -> Result<(), Invalid> {
    if name == OF_AWS {
        return Ok(());
    }
    if name.starts_with("alias/") {
        return check_alias(name);
    }
    let parts: Vec<&str> = name.splitn(6, ':').collect();
    if matches!(parts[..], ["arn", _, "kms", _, _, resource] if resource.starts_with("key/")) {
        return Ok(());
    }
    let help = "write { key = \"NAME\" } for [keys.NAME], a key's alias (alias/NAME), or its ARN \
                (arn:aws:kms:REGION:ACCOUNT:key/ID); without key, a new parameter has the account's alias/aws/ssm";
    Err(Invalid::new(format!("`key` cannot be \"{name}\""), help))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_an_alias_an_arn_or_the_aws_managed_key() {
        for good in ["alias/app", "alias/aws/ssm", "arn:aws:kms:eu-west-1:111111111111:key/1"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in ["", "app", "alias/", "alias/aws/s3", "arn:aws:kms:eu-west-1:111111111111:alias/app"] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
