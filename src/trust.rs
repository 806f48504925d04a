//! Finds the principals that a trust policy lets assume its role, other than those it is intended for. The analysis is pure and
//! conservative: an element that it does not understand counts as allowing everybody.
//!
//! It evaluates the policy for representatives: each principal that the policy or its conditions name; unnamed users and roles, in each
//! account that the policy names and in another one; and each value that the policy distinguishes of a condition key that the caller
//! chooses. A name that the policy does not contain represents all others, with each combination of patterns that it may match. An Allow
//! counts if it may apply, a Deny only if it certainly applies. Each action is decided on its own.
//!
//! Source: IAM User Guide, "AWS JSON policy elements: Principal", "… NotPrincipal" and "IAM JSON policy elements: Condition operators".

pub mod bypass;
mod candidates;
mod condition;
pub mod gate;
mod statement;
mod text;

use std::fmt;

use serde_json::Value;

use crate::resource::names::RoleArn;
use candidates::{Candidate, Request, candidates, requests};
use condition::Truth;
use statement::{Effect, Principals, Statement};
use text::{Text, Unnamed};

/// The principals that a trust policy is intended for.
#[derive(Debug, Clone, Copy)]
pub enum Intended<'a> {
    /// The sessions of one role.
    Role(&'a RoleArn),
    /// AWS services, by the names of their principals, and pods of Amazon EKS whose service account the statement names.
    Compute(&'a [&'a str]),
}

/// A statement that allows a principal that the policy is not intended for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    pub statement: StatementName,
    /// The principal, as the statement writes it.
    pub principal: String,
}

/// The name of a statement: its `Sid`, or its number, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatementName {
    Sid(String),
    Number(usize),
    /// The whole policy, which could not be parsed.
    Policy,
}

impl fmt::Display for StatementName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sid(sid) => write!(formatter, "statement {sid}"),
            Self::Number(number) => write!(formatter, "statement {number}"),
            Self::Policy => formatter.write_str("the policy, which Sentinel does not understand,"),
        }
    }
}

/// Returns the statements that allow a principal that the policy is not intended for.
pub fn openings(policy: &Value, intended: Intended<'_>) -> Vec<Opening> {
    let Some(statements) = statement::read(policy) else {
        return vec![Opening { statement: StatementName::Policy, principal: String::from("*") }];
    };
    let unnamed = Unnamed::of(policy);
    let (requests, unclear) = requests(&statements, &unnamed);
    let partition = match intended {
        Intended::Role(role) => role.as_str().split(':').nth(1),
        Intended::Compute(_) => None,
    };
    let mut found: Vec<(usize, usize)> = Vec::new();
    for candidate in candidates(&statements, &unnamed, partition) {
        if is_intended(&candidate, intended) {
            continue;
        }
        for request in &requests {
            let evaluation = Evaluation { candidate: &candidate, request, unclear: &unclear };
            found.extend(evaluation.allowing(&statements));
        }
    }
    found.sort_unstable();
    found.dedup();
    if matches!(intended, Intended::Compute(_)) {
        found.retain(|(at, principal)| !statements[*at].names_service_account(*principal));
    }
    let opening = |(at, principal): (usize, usize)| Opening {
        statement: statements[at].name(at),
        principal: statements[at].principals.written(principal),
    };
    found.into_iter().map(opening).collect()
}

/// Returns whether a trust policy may allow the sessions of a role.
pub fn may_admit(policy: &Value, role: &RoleArn) -> bool {
    let Some(statements) = statement::read(policy) else { return false };
    let (requests, unclear) = requests(&statements, &Unnamed::of(policy));
    let candidate = Candidate::session(&Text::known(role.as_str()), "sentinel");
    candidate.is_some_and(|candidate| {
        requests.iter().any(|request| {
            let evaluation = Evaluation { candidate: &candidate, request, unclear: &unclear };
            !evaluation.allowing(&statements).is_empty()
        })
    })
}

/// Returns whether a trust policy may let a user or role assume its role with the name of somebody else. It does not if each statement
/// that may allow them requires the name of the user as the session name, which a role does not have.
pub fn may_admit_as_another(policy: &Value, principal: &str) -> bool {
    let Some(statements) = statement::read(policy) else { return true };
    let (requests, unclear) = requests(&statements, &Unnamed::of(policy));
    let candidates = Candidate::of_arn(principal, &statements);
    let is_admitted = |candidate: &Candidate| {
        requests.iter().any(|request| {
            let evaluation = Evaluation { candidate, request, unclear: &unclear };
            evaluation.allowing(&statements).iter().any(|(at, _)| !statements[*at].requires_own_name)
        })
    };
    candidates.is_empty() || candidates.iter().any(is_admitted)
}

fn is_intended(candidate: &Candidate, intended: Intended<'_>) -> bool {
    match intended {
        // A role's name is unique in its account, whatever its path.
        Intended::Role(role) => match (candidate, Candidate::session(&Text::known(role.as_str()), "any")) {
            (Candidate::Session { account, name, .. }, Some(Candidate::Session { account: own, name: wanted, .. })) => {
                *account == own && *name == wanted
            }
            _ => false,
        },
        Intended::Compute(services) => {
            matches!(candidate, Candidate::Service(name) if services.contains(&name.as_str()))
        }
    }
}

/// A request by a candidate, to evaluate a policy for.
struct Evaluation<'a> {
    candidate: &'a Candidate,
    request: &'a Request,
    /// The condition keys with more values than are tried.
    unclear: &'a [String],
}

impl Evaluation<'_> {
    /// Returns the indexes of the statements that allow the candidate by any action, each with that of the principal.
    fn allowing(&self, statements: &[Statement]) -> Vec<(usize, usize)> {
        self.candidate.actions().iter().flat_map(|action| self.allowing_by(action, statements)).collect()
    }

    /// The same for one action. A Deny of another action does not deny this one.
    fn allowing_by(&self, action: &str, statements: &[Statement]) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        for (at, statement) in statements.iter().enumerate().filter(|(_, one)| one.actions.have(action)) {
            let holds = statement.conditions.iter().map(|one| one.holds(self.candidate, self.request, self.unclear));
            let holds = holds.fold(Truth::Yes, Truth::and);
            match statement.effect {
                Effect::Deny if statement.unsupported => {}
                Effect::Deny if holds == Truth::Yes && self.denied(&statement.principals) => return Vec::new(),
                Effect::Allow if statement.unsupported || holds != Truth::No => {
                    found.extend(self.named(&statement.principals).map(|principal| (at, principal)));
                }
                Effect::Deny | Effect::Allow => {}
            }
        }
        found
    }

    /// Returns the indexes of the principals that name the candidate.
    fn named<'p>(&self, principals: &'p Principals) -> impl Iterator<Item = usize> + use<'p, '_> {
        let candidate = self.candidate;
        let all = matches!(principals, Principals::AllBut(_));
        let list = principals.list();
        let named = list.iter().enumerate().filter(move |(_, one)| !all && candidate.is_allowed_as(one));
        // IAM rejects an Allow with NotPrincipal. Here it allows everybody.
        named.map(|(at, _)| at).chain(all.then_some(usize::MAX))
    }

    fn denied(&self, principals: &Principals) -> bool {
        match principals {
            Principals::These(list) => list.iter().any(|one| self.candidate.is_denied_as(one)),
            Principals::AllBut(list) => !self.candidate.may_be_excluded(list),
        }
    }
}

#[cfg(test)]
mod tests;
