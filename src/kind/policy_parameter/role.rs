//! The role of a profile, in a manifest.

use crate::document::write::quoted;
use crate::document::{Node, Reader};
use crate::kind::references::{self, Reference};
use crate::kind::role::check_arn;
use crate::kind::{Address, KindId};

/// The role of a profile, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoleSetting {
    /// `role = { role = "prod-admin" }`.
    Reference(Address),
    /// An ARN.
    Arn(String),
}

impl RoleSetting {
    /// Returns it as TOML.
    pub(super) fn written(&self) -> String {
        match self {
            Self::Reference(to) => format!("{{ role = {} }}", quoted(&to.key)),
            Self::Arn(arn) => quoted(arn),
        }
    }
}

pub(super) fn references(role: Option<&RoleSetting>) -> Vec<Reference> {
    match role {
        Some(RoleSetting::Reference(to)) => vec![Reference { setting: vec![String::from("role")], to: to.clone() }],
        Some(RoleSetting::Arn(_)) | None => Vec::new(),
    }
}

pub(super) fn read(reader: &mut Reader<'_>, node: &Node) -> Option<RoleSetting> {
    if references::is_one(node) {
        return references::read(reader, node, "role", KindId::Role).map(RoleSetting::Reference);
    }
    reader.checked(node, "role", check_arn).map(RoleSetting::Arn)
}
