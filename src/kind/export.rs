//! What a resource is in the files of engines that can take it over: CloudFormation and Terraform.

pub mod cloudformation;
pub mod terraform;

use std::collections::BTreeSet;

use super::{Address, KindId};
use crate::resource::digest;

/// Something that an engine cannot do: all of a resource, or one of its settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsupported {
    pub address: Address,
    /// The setting; nothing where it is the resource itself.
    pub setting: Option<String>,
    /// Why, with the name of what lacks it: `AWS::SSM::Parameter has no labels`.
    pub why: String,
    pub help: String,
}

impl Unsupported {
    /// Returns what is left out where the user allows that.
    pub fn what(&self) -> String {
        match &self.setting {
            Some(setting) => format!("{} {setting}", self.address),
            None => self.address.to_string(),
        }
    }
}

/// Something that a user of the files has to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    pub address: Address,
    pub text: String,
}

/// What both engines are told of an export.
#[derive(Debug, Default)]
pub struct Export {
    /// The addresses of all that is exported: what is not among them is referred to by its name.
    pub addresses: BTreeSet<Address>,
    pub unsupported: Vec<Unsupported>,
    pub notes: Vec<Note>,
}

impl Export {
    /// Records a setting that the engine lacks.
    pub fn lacks(&mut self, address: &Address, setting: &str, why: impl Into<String>, help: impl Into<String>) {
        let setting = Some(setting.to_owned());
        self.unsupported.push(Unsupported { address: address.clone(), setting, why: why.into(), help: help.into() });
    }

    /// Records a resource that the engine cannot create.
    pub fn refuses(&mut self, address: &Address, why: impl Into<String>, help: impl Into<String>) {
        let (why, help) = (why.into(), help.into());
        self.unsupported.push(Unsupported { address: address.clone(), setting: None, why, help });
    }

    /// Records what a user has to know.
    pub fn note(&mut self, address: &Address, text: impl Into<String>) {
        self.notes.push(Note { address: address.clone(), text: text.into() });
    }

    /// Returns the resource of a kind that another one refers to, where it is exported too.
    pub fn referred<'a>(&self, depends_on: &'a BTreeSet<Address>, kind: KindId) -> Option<&'a Address> {
        depends_on.iter().find(|one| one.kind == kind && self.addresses.contains(one))
    }
}

/// How many digits of a digest tell names apart that are the same once they are made of letters that the engine takes.
const DIGITS: usize = 8;
/// CloudFormation takes 255 characters for a logical ID, to which suffixes are added.
const LENGTH: usize = 120;

/// Returns a name in letters and digits: `audit-log` becomes `AuditLog`. What cannot be read back from it gets a digest, so that
/// two names never become one.
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

/// Returns a name in letters, digits and underscores: `audit-log` stays, `app/db` becomes `app_db_` with a digest.
pub fn snake(name: &str) -> String {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
    if !name.is_empty() && name.chars().all(allowed) && name.len() <= LENGTH && !name.contains("__") {
        return name.to_owned();
    }
    let plain: String = name.chars().take(LENGTH).map(|letter| if allowed(letter) { letter } else { '_' }).collect();
    format!("{plain}__{}", mark(name))
}

/// Returns a few digits that tell a name from others.
pub fn mark(name: &str) -> String {
    let digest = digest(name);
    let hex = digest.rsplit(':').next().unwrap_or(&digest);
    hex.chars().filter(char::is_ascii_alphanumeric).take(DIGITS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_names_never_become_one() {
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
