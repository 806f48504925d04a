//! Resources in the files of CloudFormation and Terraform.

pub mod cloudformation;
pub mod terraform;

use std::collections::BTreeSet;

use super::{Address, KindId};
use crate::resource::digest;

/// A resource or setting that an engine does not support.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsupported {
    pub address: Address,
    /// The setting; `None` for the whole resource.
    pub setting: Option<String>,
    /// The reason, with the name of the engine's type: `AWS::SSM::Parameter has no labels`.
    pub why: String,
    pub help: String,
}

impl Unsupported {
    /// Returns the part that is omitted if the user allows it.
    pub fn what(&self) -> String {
        match &self.setting {
            Some(setting) => format!("{} {setting}", self.address),
            None => self.address.to_string(),
        }
    }
}

/// Information for the user of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    pub address: Address,
    pub text: String,
}

/// The common context of an export.
#[derive(Debug, Default)]
pub struct Export {
    /// The addresses of all exported resources. Other resources are referenced by their AWS names.
    pub addresses: BTreeSet<Address>,
    pub unsupported: Vec<Unsupported>,
    pub notes: Vec<Note>,
}

impl Export {
    /// Records a setting that the engine does not support.
    pub fn lacks(&mut self, address: &Address, setting: &str, why: impl Into<String>, help: impl Into<String>) {
        let setting = Some(setting.to_owned());
        self.unsupported.push(Unsupported { address: address.clone(), setting, why: why.into(), help: help.into() });
    }

    /// Records a resource that the engine cannot create.
    pub fn refuses(&mut self, address: &Address, why: impl Into<String>, help: impl Into<String>) {
        let (why, help) = (why.into(), help.into());
        self.unsupported.push(Unsupported { address: address.clone(), setting: None, why, help });
    }

    /// Records information for the user.
    pub fn note(&mut self, address: &Address, text: impl Into<String>) {
        self.notes.push(Note { address: address.clone(), text: text.into() });
    }

    /// Returns the referenced resource of a kind, if it is exported too.
    pub fn referred<'a>(&self, depends_on: &'a BTreeSet<Address>, kind: KindId) -> Option<&'a Address> {
        depends_on.iter().find(|one| one.kind == kind && self.addresses.contains(one))
    }
}

/// The number of digest digits that distinguish names after their conversion.
const DIGITS: usize = 8;
/// CloudFormation allows 255 characters in a logical ID, to which suffixes are added.
const LENGTH: usize = 120;

/// Returns a name of letters and digits: `audit-log` becomes `AuditLog`. If the name cannot be recovered from it, a digest is added, so two
/// names never collide.
pub fn camel(name: &str) -> String {
    let parts = name.split('-');
    let capital = |part: &str| {
        let mut letters = part.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect::<String>()
    };
    let plain: String = parts.map(capital).collect();
    let canonical = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_lowercase())
            && part.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit())
    };
    if name.split('-').all(canonical) && plain.len() <= LENGTH {
        return plain;
    }
    let plain: String = plain.chars().filter(char::is_ascii_alphanumeric).take(LENGTH).collect();
    format!("{plain}{}", mark(name))
}

/// Returns a name of letters, digits and underscores: `audit-log` is unchanged, `app/db` becomes `app_db_` with a digest.
pub fn snake(name: &str) -> String {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
    if !name.is_empty() && name.chars().all(allowed) && name.len() <= LENGTH && !name.contains("__") {
        return name.to_owned();
    }
    let plain: String = name.chars().take(LENGTH).map(|letter| if allowed(letter) { letter } else { '_' }).collect();
    format!("{plain}__{}", mark(name))
}

/// Returns a few digits of a name's digest.
pub fn mark(name: &str) -> String {
    let digest = digest(name);
    let hex = digest.rsplit(':').next().unwrap_or(&digest);
    hex.chars().filter(char::is_ascii_alphanumeric).take(DIGITS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_names_never_collide() {
        let names = [
            "audit",
            "audit-log",
            "auditLog",
            "audit_log",
            "Audit",
            "audit-",
            "a-1",
            "a1",
            "é",
            "è",
            "",
            "-",
            "/a",
            "a/",
        ];
        for of in [camel, snake] {
            let made: BTreeSet<String> = names.iter().map(|name| of(name)).collect();
            assert_eq!(made.len(), names.len(), "{made:?}");
        }
        assert_eq!((camel("audit-log"), snake("audit-log")), (String::from("AuditLog"), String::from("audit-log")));
        assert!(camel("é/ü").chars().all(|letter| letter.is_ascii_alphanumeric()));
    }
}
