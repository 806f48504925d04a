//! Trust policies: whether a role lets a caller in.
//!
//! Source: IAM User Guide, "AWS JSON policy elements: Principal", "AWS JSON policy elements: NotPrincipal" and "Policy evaluation for
//! requests within a single account".

use std::collections::BTreeMap;

use super::document::{Document, Effect, Principal, Principals};
use super::evaluate::{Ask, Caller, CallerKind, Truth, applies};

/// How a trust policy names a caller, each of these granting more than the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Named {
    /// As one of its account, which leaves it to the account's own policies.
    ByAccount,
    /// As a session of its role, which stays within the role's boundary and the session's policies.
    ByRole,
    Directly,
}

/// What a trust policy says of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// A statement denies it.
    Explicit,
    /// No statement allows it.
    Implicit,
    Granted(Named),
}

/// Decides on one permission. Where it is not known whether a statement applies, an allow does not and a deny does. `ids` are the
/// unique IDs of the roles that the policy names.
pub(super) fn decide(policy: &Document, ids: &BTreeMap<String, String>, caller: &Caller, ask: &Ask) -> Trust {
    let mut best = None;
    for statement in &policy.statements {
        let holds = applies(statement, policy.version, caller, ask);
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
        // A service is only let in by its name.
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
        // A role that was created again under the same name is another one.
        return ids.get(written).is_none_or(|known| known == id).then_some(as_itself);
    }
    if *written == caller.arn {
        return Some(Named::Directly);
    }
    (written == id).then_some(as_itself)
}

/// Returns whether a denial is about a caller.
fn concerns(principals: &Principals, ids: &BTreeMap<String, String>, caller: &Caller) -> bool {
    match principals {
        Principals::These(list) => {
            list.contains(&Principal::Everyone) || list.iter().any(|one| named(one, ids, caller).is_some())
        }
        Principals::AllBut(list) if list.contains(&Principal::Everyone) => false,
        Principals::AllBut(list) if caller.kind == CallerKind::Service => {
            !list.contains(&Principal::Service(caller.arn.clone()))
        }
        // Each of the caller's principals has to be left out: the account, a session's role, and itself.
        Principals::AllBut(list) => {
            let has = |wanted: &str| list.iter().any(|one| matches!(one, Principal::Aws(text) if text == wanted));
            let account = has(&caller.account) || has(&format!("arn:aws:iam::{}:root", caller.account));
            !(account && has(&caller.principal) && has(&caller.arn))
        }
    }
}
