//! Whom a trust policy lets assume its role, beside those that it is meant for. Pure, and conservative: what is not understood counts
//! as letting in.
//!
//! The analysis asks for representatives: each principal that the policy or its conditions name, users and roles that they do not name, of
//! each account that they name and of another one, and each value that the policy distinguishes of a condition key that the caller
//! chooses. A name that the policy does not contain stands for all others, with each combination of patterns that it may match. A
//! statement that allows counts if it may apply, one that denies only if it applies for certain, and each action is decided by itself.
//!
//! Source: IAM User Guide, "AWS JSON policy elements: Principal", "… NotPrincipal" and "IAM JSON policy elements: Condition operators".

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

/// Whom a trust policy is meant for.
#[derive(Debug, Clone, Copy)]
pub enum Meant<'a> {
    /// The sessions of one role.
    Role(&'a RoleArn),
    /// Services of AWS, by their principals' names, and pods of Amazon EKS whose service account the statement names.
    Compute(&'a [&'a str]),
}

/// A statement that lets somebody in whom the policy is not meant for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    pub statement: StatementName,
    /// The principal, as the statement writes it.
    pub principal: String,
}

/// How a statement is called: by its `Sid`, or by its number, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatementName {
    Sid(String),
    Number(usize),
    /// The whole policy, which is none that is understood.
    Policy,
}

impl fmt::Display for StatementName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sid(sid) => write!(formatter, "statement {sid}"),
            Self::Number(number) => write!(formatter, "statement {number}"),
            Self::Policy => formatter.write_str("the policy, which is not understood,"),
        }
    }
}

/// Returns what in a trust policy lets in anybody else than whom it is meant for.
pub fn openings(policy: &Value, meant: Meant<'_>) -> Vec<Opening> {
    let Some(statements) = statement::read(policy) else {
        return vec![Opening { statement: StatementName::Policy, principal: String::from("*") }];
    };
    let unnamed = Unnamed::of(policy);
    let (requests, unclear) = requests(&statements, &unnamed);
    let partition = match meant {
        Meant::Role(role) => role.as_str().split(':').nth(1),
        Meant::Compute(_) => None,
    };
    let mut found: Vec<(usize, usize)> = Vec::new();
    for candidate in candidates(&statements, &unnamed, partition) {
        if is_meant(&candidate, meant) {
            continue;
        }
        for request in &requests {
            let asked = Asked { candidate: &candidate, request, unclear: &unclear };
            found.extend(asked.lets_in(&statements));
        }
    }
    found.sort_unstable();
    found.dedup();
    if matches!(meant, Meant::Compute(_)) {
        found.retain(|(at, principal)| !statements[*at].names_service_account(*principal));
    }
    let opening = |(at, principal): (usize, usize)| Opening {
        statement: statements[at].name(at),
        principal: statements[at].principals.written(principal),
    };
    found.into_iter().map(opening).collect()
}

/// Returns whether a trust policy may let in the sessions of a role: without that, nobody is let in whom it is meant for.
pub fn may_admit(policy: &Value, role: &RoleArn) -> bool {
    let Some(statements) = statement::read(policy) else { return false };
    let (requests, unclear) = requests(&statements, &Unnamed::of(policy));
    let candidate = Candidate::session(&Text::known(role.as_str()), "sentinel");
    candidate.is_some_and(|candidate| {
        requests.iter().any(|request| {
            let asked = Asked { candidate: &candidate, request, unclear: &unclear };
            !asked.lets_in(&statements).is_empty()
        })
    })
}

fn is_meant(candidate: &Candidate, meant: Meant<'_>) -> bool {
    match meant {
        // A role's name is unique in its account, whatever its path.
        Meant::Role(role) => match (candidate, Candidate::session(&Text::known(role.as_str()), "any")) {
            (Candidate::Session { account, name, .. }, Some(Candidate::Session { account: own, name: wanted, .. })) => {
                *account == own && *name == wanted
            }
            _ => false,
        },
        Meant::Compute(services) => {
            matches!(candidate, Candidate::Service(name) if services.contains(&name.as_str()))
        }
    }
}

/// One that asks, and how.
struct Asked<'a> {
    candidate: &'a Candidate,
    request: &'a Request,
    /// The condition keys whose values cannot be told apart.
    unclear: &'a [String],
}

impl Asked<'_> {
    /// Returns the statements, and in each the principals, that let the candidate in by any action.
    fn lets_in(&self, statements: &[Statement]) -> Vec<(usize, usize)> {
        self.candidate.actions().iter().flat_map(|action| self.lets_in_by(action, statements)).collect()
    }

    /// A denial of another action does not deny this one.
    fn lets_in_by(&self, action: &str, statements: &[Statement]) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        for (at, statement) in statements.iter().enumerate().filter(|(_, one)| one.actions.have(action)) {
            let holds = statement.conditions.iter().map(|one| one.holds(self.candidate, self.request, self.unclear));
            let holds = holds.fold(Truth::Yes, Truth::and);
            match statement.effect {
                Effect::Deny if statement.odd => {}
                Effect::Deny if holds == Truth::Yes && self.denied(&statement.principals) => return Vec::new(),
                Effect::Allow if statement.odd || holds != Truth::No => {
                    found.extend(self.named(&statement.principals).map(|principal| (at, principal)));
                }
                Effect::Deny | Effect::Allow => {}
            }
        }
        found
    }

    /// Returns the places of the principals that name the candidate.
    fn named<'p>(&self, principals: &'p Principals) -> impl Iterator<Item = usize> + use<'p, '_> {
        let candidate = self.candidate;
        let all = matches!(principals, Principals::AllBut(_));
        let list = principals.list();
        let named = list.iter().enumerate().filter(move |(_, one)| !all && candidate.is_allowed_as(one));
        // An Allow of all but some is refused by IAM, and names anybody here.
        named.map(|(at, _)| at).chain(all.then_some(usize::MAX))
    }

    fn denied(&self, principals: &Principals) -> bool {
        match principals {
            Principals::These(list) => list.iter().any(|one| self.candidate.is_denied_as(one)),
            Principals::AllBut(list) => !self.candidate.is_left_out(list),
        }
    }
}

#[cfg(test)]
mod tests;
