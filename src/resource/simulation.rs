//! What IAM's policy simulator says about the permissions of a principal.

use std::fmt;

/// The decision on one action on one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Simulated {
    pub action: String,
    pub resource: String,
    pub decision: Decision,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The statements that allow it.
    Allowed(Vec<MatchedStatement>),
    Denied,
    /// Denied as simulated, but the policies compare condition keys whose values only a real request has.
    Depends(Vec<String>),
}

/// A statement as the simulator names it: the name of its policy, and where it begins in the policy's text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MatchedStatement {
    pub policy: String,
    pub line: i32,
    pub column: i32,
}

impl fmt::Display for MatchedStatement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "policy {}, statement at line {}, column {}", self.policy, self.line, self.column)
    }
}
