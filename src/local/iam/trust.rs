//! Trust policies: whether a caller may assume a role.
//!
//! Source: IAM User Guide, "AWS JSON policy elements: Principal", "AWS JSON policy elements: NotPrincipal" and "Policy evaluation for
//! requests within a single account".

use std::collections::BTreeMap;

use super::document::{Document, Effect, Principal, Principals};
use super::evaluate::{Caller, CallerKind, RequiredPermission, Truth, applies};

/// How a trust policy names a caller. Each variant grants more than the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Named {
    /// By account, so that the account's own policies decide.
    ByAccount,
    /// By the role of its session, so that the role's boundary and the session's policies apply.
    ByRole,
    Directly,
}

/// The decision of a trust policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// A statement denies it.
    Explicit,
    /// No statement allows it.
    Implicit,
    Granted(Named),
}

/// Decides on one permission. If it is unknown whether a statement applies, an allow does not apply and a deny does. `ids` are the unique
/// IDs of the roles in the policy.
pub(super) fn decide(
    policy: &Document,
    ids: &BTreeMap<String, String>,
    caller: &Caller,
    permission: &RequiredPermission,
) -> Trust {
    let mut best = None;
    for statement in &policy.statements {
        let holds = applies(statement, policy.version, caller, permission);
        match (statement.effect, &statement.principals) {
            (Effect::Deny, Some(principals)) if holds != Truth::No && concerns(principals, ids, caller) => {
                return Trust::Explicit;
            }
            (Effect::Allow, Some(Principals::These(list))) if holds == Truth::Yes => {
                best = best.max(list.iter().filter_map(|one| named(one, ids, caller)).max());
            }
            _ => {}
        }
    }
    best.map_or(Trust::Implicit, Trust::Granted)
}

fn named(principal: &Principal, ids: &BTreeMap<String, String>, caller: &Caller) -> Option<Named> {
    let written = match principal {
        Principal::Service(name) => {
            return (caller.kind == CallerKind::Service && caller.arn == *name).then_some(Named::Directly);
        }
        Principal::Federated(_) => return None,
        // A service must be named directly.
        _ if caller.kind == CallerKind::Service => return None,
        Principal::Everyone => return Some(Named::Directly),
        Principal::Aws(written) => written,
    };
    if *written == caller.account || *written == format!("arn:aws:iam::{}:root", caller.account) {
        return Some(Named::ByAccount);
    }
    let as_itself = if caller.kind == CallerKind::Session { Named::ByRole } else { Named::Directly };
    let id = caller.user_id.split(':').next().unwrap_or_default();
    if *written == caller.principal {
        // A recreated role of the same name is another principal.
        return ids.get(written).is_none_or(|known| known == id).then_some(as_itself);
    }
    if *written == caller.arn {
        return Some(Named::Directly);
    }
    (written == id).then_some(as_itself)
}

/// Returns whether a deny applies to a caller.
fn concerns(principals: &Principals, ids: &BTreeMap<String, String>, caller: &Caller) -> bool {
    match principals {
        Principals::These(list) => {
            list.contains(&Principal::Everyone) || list.iter().any(|one| named(one, ids, caller).is_some())
        }
        Principals::AllBut(list) if list.contains(&Principal::Everyone) => false,
        Principals::AllBut(list) if caller.kind == CallerKind::Service => {
            !list.contains(&Principal::Service(caller.arn.clone()))
        }
        // A deny with NotPrincipal must exclude each of the caller's principals: the account, the session's role, and the session itself.
        Principals::AllBut(list) => {
            let has = |wanted: &str| list.iter().any(|one| matches!(one, Principal::Aws(text) if text == wanted));
            let account = has(&caller.account) || has(&format!("arn:aws:iam::{}:root", caller.account));
            !(account && has(&caller.principal) && has(&caller.arn))
        }
    }
}
