//! The permissions of a caller: identity-based policies, limited by a permissions boundary and session policies.
//!
//! Source: IAM User Guide, "Policy evaluation for requests within a single account", and for the texts "Troubleshoot access denied
//! error messages".

use std::sync::Arc;

use super::document::{Document, Statement};
use super::evaluate::{Caller, RequiredPermission, Verdict, decide, deciding};

/// The permissions of a caller.
#[derive(Debug, Clone)]
pub(super) enum Permissions {
    All,
    Only(Layers),
    /// None, except those that others grant.
    Nothing,
}

/// The policies of a caller. Every existing layer must allow a request.
#[derive(Debug, Clone, Default)]
pub(super) struct Layers {
    pub(super) identity: Arc<Vec<Document>>,
    pub(super) boundary: Option<Vec<Document>>,
    pub(super) session: Option<Vec<Document>>,
    /// A policy whose document is unknown, and which may deny anything.
    pub(super) unknown: Option<String>,
}

/// The permissions that a trust policy grants beyond the caller's own policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Granted {
    Nothing,
    /// No identity-based policy is required.
    WithoutIdentity,
    /// No policy of the caller is required, but none may deny it.
    Everything,
}

impl Layers {
    pub(super) fn documents(&self) -> impl Iterator<Item = &Document> {
        let more = [&self.boundary, &self.session].into_iter().flatten().flatten();
        self.identity.iter().chain(more)
    }

    /// Returns whether a statement of any policy denies a permission.
    pub(super) fn denies(&self, caller: &Caller, permission: &RequiredPermission) -> bool {
        decide(self.documents(), caller, permission) == Verdict::Explicit
    }

    /// Returns the statements of identity-based policies that determine the decision on a permission.
    pub(super) fn deciding(&self, caller: &Caller, permission: &RequiredPermission) -> Vec<(&Document, &Statement)> {
        deciding(self.identity.iter(), caller, permission)
    }
}

impl Permissions {
    /// Checks one permission. The error continues a sentence with the action and the resource.
    pub(super) fn check(
        &self,
        caller: &Caller,
        permission: &RequiredPermission,
        granted: Granted,
    ) -> Result<(), String> {
        let layers = match self {
            Self::All => return Ok(()),
            Self::Nothing if granted == Granted::Everything => return Ok(()),
            Self::Nothing => return Err(implicit("identity-based policy", permission)),
            Self::Only(layers) => layers,
        };
        if let Some(policy) = &layers.unknown {
            return Err(format!("because the AWS emulator does not have the document of {policy}, which may deny it"));
        }
        let decided = |documents: &[Document]| decide(documents, caller, permission);
        let checks = [
            ("an identity-based policy", Some(decided(&layers.identity)), granted == Granted::Nothing),
            ("a permissions boundary", layers.boundary.as_deref().map(decided), granted != Granted::Everything),
            ("a session policy", layers.session.as_deref().map(decided), granted != Granted::Everything),
        ];
        if let Some((kind, ..)) = checks.iter().find(|(_, verdict, _)| *verdict == Some(Verdict::Explicit)) {
            return Err(format!("with an explicit deny in {kind}"));
        }
        match checks.iter().find(|(_, verdict, needed)| *needed && *verdict == Some(Verdict::Implicit)) {
            Some((kind, ..)) => Err(implicit(kind.split_once(' ').map_or(kind, |(_, kind)| kind), permission)),
            None => Ok(()),
        }
    }
}

fn implicit(kind: &str, permission: &RequiredPermission) -> String {
    format!("because no {kind} allows the {} action", permission.action)
}
