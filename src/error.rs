//! How a run can end: the one place that turns what went wrong into a message, a hint and an exit code.

use std::process::ExitCode;

use crate::code::Code;
use crate::diagnostic::Fault;
use crate::planfile::Unusable;
use crate::reconcile::guard::Refusal;
use crate::resource::call::{CallError, Class};

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Done,
    /// Nothing, or not everything, was done.
    Error,
    /// `--detailed-exitcode`: there are changes to make.
    Changes,
    /// `--detailed-exitcode`: something could not be read.
    Incomplete,
    Refused,
    /// Something was done, something failed.
    Partial,
    Interrupted,
    /// A command was run, and this is how it ended.
    Command(u8),
}

impl Exit {
    /// Returns the end of a run of several parts, each with an end of its own.
    pub fn worst(exits: impl IntoIterator<Item = Self>) -> Self {
        let rank = |exit: &Self| match exit {
            Self::Done => 0,
            Self::Changes => 1,
            Self::Refused => 2,
            Self::Incomplete => 3,
            Self::Error | Self::Command(_) => 4,
            Self::Partial => 5,
            Self::Interrupted => 6,
        };
        exits.into_iter().max_by_key(rank).unwrap_or(Self::Done)
    }
}

impl From<Exit> for u8 {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => 0,
            Exit::Error => 1,
            Exit::Changes => 2,
            Exit::Incomplete => 3,
            Exit::Refused => 4,
            Exit::Partial => 5,
            Exit::Interrupted => 130,
            Exit::Command(code) => code,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(u8::from(exit))
    }
}

/// What kept a command from doing what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line asks for something that cannot be.
    #[error("{message}")]
    Usage { message: String, hint: Option<String> },
    /// Something of a kind of its own.
    #[error("{message}")]
    Coded { code: Code, message: String, hint: Option<String> },
    /// The manifest or a policy has faults.
    #[error("{}", faults_message(.0))]
    Faults(Vec<Fault>),
    /// A file could not be read or written.
    #[error("{path}: {what}")]
    File { path: String, what: String, hint: Option<String> },
    /// AWS did not do what a command cannot go on without.
    #[error("{}", aws_message(.0))]
    Aws(#[from] CallError),
    #[error("{}", refusal_message(.0))]
    Refused(Refusal),
    /// A policy, or the state of a record, says no.
    #[error("{message}")]
    Denied { message: String, hint: Option<String> },
    /// The command to run could not be started.
    #[error("{message}")]
    NotStarted { message: String, missing: bool },
    /// The user, or the lack of one, said no.
    #[error("{message}")]
    NotConfirmed { message: String, hint: Option<String> },
    /// The embedded AWS could not be opened or served.
    #[error("the embedded AWS: {0}")]
    Local(String),
    /// A result could not be written as JSON.
    #[error("the result cannot be written as JSON: {0}")]
    Unwritable(String),
    #[error("interrupted before anything was changed")]
    Interrupted,
    #[error("the time that --timeout gives was up before anything was changed")]
    OutOfTime,
}

/// Returns what was being done, and what came of it.
fn aws_message(error: &CallError) -> String {
    let said = error.to_string();
    let action = error.operation.action();
    let doing = match error.operation.name {
        "GetCallerIdentity" => "checking the credentials",
        "GetParameters" => "reading the policies",
        "GetParametersByPath" | "DescribeParameters" => "listing the policies",
        "ListTables" => "listing the tables",
        _ => return said,
    };
    said.replacen(&format!("{action}: "), &format!("{doing} ({action}): "), 1)
}

fn refusal_message(refusal: &Refusal) -> String {
    std::iter::once(&refusal.message).chain(&refusal.details).cloned().collect::<Vec<_>>().join("\n  ")
}

fn faults_message(faults: &[Fault]) -> String {
    let plural = if faults.len() == 1 { "" } else { "s" };
    format!("{} fault{plural}; nothing was read from AWS", faults.len())
}

impl Error {
    /// Returns a usage error.
    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), hint: Some(hint.into()) }
    }

    /// Returns the refusal of a saved plan.
    pub fn unusable_plan(path: &str, why: &Unusable) -> Self {
        Self::Refused(Refusal {
            code: Code::UnusablePlan,
            message: format!("{path} cannot be carried out: {why}"),
            details: Vec::new(),
            hint: String::from("make the plan again with: sentinel plan --out FILE"),
        })
    }

    /// Returns an error of a kind of its own.
    pub fn coded(code: Code, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Coded { code, message: message.into(), hint: Some(hint.into()) }
    }

    /// Returns what kind of error it is.
    pub fn code(&self) -> Code {
        match self {
            Self::Usage { .. } => Code::Usage,
            Self::Coded { code, .. } => *code,
            Self::Faults(_) => Code::Faults,
            Self::File { .. } => Code::File,
            Self::Aws(error) => error.trouble(),
            Self::Refused(refusal) => refusal.code,
            Self::Denied { .. } => Code::AccessDenied,
            Self::NotStarted { .. } => Code::NotStarted,
            Self::NotConfirmed { .. } => Code::NotConfirmed,
            Self::Local(_) => Code::Local,
            Self::Unwritable(_) => Code::Unwritable,
            Self::Interrupted => Code::Interrupted,
            Self::OutOfTime => Code::OutOfTime,
        }
    }

    /// Returns how the run ends with it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Refused(_) => Exit::Refused,
            Self::Interrupted => Exit::Interrupted,
            // As shells have it.
            Self::NotStarted { missing, .. } => Exit::Command(if *missing { 127 } else { 126 }),
            Self::Aws(error) if error.class == Class::Interrupted => Exit::Interrupted,
            _ => Exit::Error,
        }
    }

    /// Returns what to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Usage { hint, .. }
            | Self::Coded { hint, .. }
            | Self::File { hint, .. }
            | Self::NotConfirmed { hint, .. }
            | Self::Denied { hint, .. } => hint.clone(),
            Self::Refused(refusal) => Some(refusal.hint.clone()),
            Self::Aws(error) => aws_hint(error),
            Self::Local(_) => {
                Some(String::from("choose another folder with --local=PATH, or delete this one to begin anew"))
            }
            Self::OutOfTime => crate::explain::hint(Code::OutOfTime).map(str::to_owned),
            Self::Unwritable(_) => crate::explain::hint(Code::Unwritable).map(str::to_owned),
            Self::Faults(_) | Self::Interrupted | Self::NotStarted { .. } => None,
        }
    }
}

/// Returns the action that AWS names in a denial. It is another one than the call's own for a transaction, which takes the
/// permissions of its parts.
fn denied_action(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("is not authorized to perform: ")?;
    let action = rest.split([' ', ',']).next()?;
    let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == ':';
    (action.contains(':') && action.chars().all(plain)).then(|| action.to_owned())
}

/// Returns what helps, as far as it is the same whoever meets it; `explain` says more.
fn aws_hint(error: &CallError) -> Option<String> {
    let hint = match error.trouble() {
        Code::Denied => {
            let action = denied_action(&error.message).unwrap_or_else(|| error.operation.action());
            return Some(format!(
                "ask for {action}; sentinel iam --for plan, apply, requester, approver, operator and server print all that \
                 is needed"
            ));
        }
        code => crate::explain::hint(code)?,
    };
    Some(hint.to_owned())
}
