//! The users and roles that may approve requests or operate the broker. A principal that takes over one of them can approve as somebody else.

use std::collections::BTreeSet;

use futures_util::future::join_all;

use super::super::Site;
use super::principals::{Named, named};
use crate::kind::document::PolicyDocument;
use crate::resource::caller::Caller;
use crate::resource::names::RoleArn;

/// The approvers and operators in the caller's account that `[broker]` names exactly.
pub(super) struct Approvers {
    /// ARNs.
    users: Vec<String>,
    /// The roles, with their trust policies.
    roles: Vec<(RoleArn, PolicyDocument)>,
    /// What could not be read, and why.
    pub(super) unread: Vec<String>,
}

impl Approvers {
    /// Finds them, and reads the roles.
    pub(super) async fn find(site: &Site, caller: &Caller) -> Self {
        let section = &site.manifest.broker;
        let lists = [section.approvers.as_ref(), section.operators.as_ref()];
        let all: BTreeSet<Named> = lists.into_iter().flatten().flatten().map(|one| named(one, caller)).collect();
        let mut found = Self { users: Vec::new(), roles: Vec::new(), unread: Vec::new() };
        let mut wanted = Vec::new();
        for one in all {
            match one {
                Named::Arn(user) => found.users.push(user),
                Named::Role(role) => wanted.push(role),
                Named::Sessions(_) | Named::Other { .. } => {}
            }
        }
        let read = join_all(wanted.iter().map(|role| site.gateway.role_named(role))).await;
        for (role, read) in wanted.iter().zip(read) {
            match read {
                Ok(role) => found.roles.extend(role),
                Err(error) => {
                    found.unread.push(format!("the role {role} of approvers or operators could not be read: {error}"));
                }
            }
        }
        found
    }

    /// Returns the users other than a principal.
    pub(super) fn other_users(&self, principal: &str) -> Vec<String> {
        self.users.iter().filter(|user| *user != principal).cloned().collect()
    }

    /// Returns the roles other than a principal.
    pub(super) fn other_roles(&self, principal: &str) -> Vec<String> {
        self.others(principal).map(|(role, _)| role.to_string()).collect()
    }

    /// Returns those roles whose trust policies may let the principal assume them with the name of somebody else.
    pub(super) fn assumable_roles(&self, principal: &str) -> Vec<String> {
        let others = self.others(principal);
        let open = others.filter(|(_, trust)| crate::trust::may_admit_as_another(trust.value(), principal));
        open.map(|(role, _)| role.to_string()).collect()
    }

    fn others<'a>(&'a self, principal: &'a str) -> impl Iterator<Item = &'a (RoleArn, PolicyDocument)> {
        self.roles.iter().filter(move |(role, _)| **role != *principal)
    }
}
