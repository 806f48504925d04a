//! The results of a run: maps every error to a message, a hint and an exit code.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use crate::code::Code;
use crate::diagnostic::Fault;
use crate::files;
use crate::planfile::Unusable;
use crate::provider::NoCredentials;
use crate::reconcile::guard::Refusal;
use crate::resource::call::{CallError, Class};

/// The result of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Done,
    /// The command failed completely or partly.
    Error,
    /// `--detailed-exitcode`: there are changes to make. `trust check`: there are findings.
    Changes,
    /// `--detailed-exitcode`, `trust check`: something could not be read.
    Incomplete,
    Refused,
    /// Some changes were made, and others failed.
    Partial,
    Interrupted,
    /// The exit code of a command that Sentinel ran.
    Command(u8),
}

impl Exit {
    /// Returns the result of a run that has several parts.
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

/// The cause of an error.
type Source = Box<dyn std::error::Error + Send + Sync>;

/// The reason why a command failed. Each variant keeps its cause, and only the report prints.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Invalid arguments, or invalid environment variables in their place. Nothing was read or changed.
    #[error("{message}")]
    Usage { message: String, hint: Option<String> },
    /// A bug: a state that should be impossible.
    #[error("internal error: {message}")]
    Internal { message: String, source: Option<Source> },
    /// A panic, which is a bug too. The panic hook has already reported it, without its message.
    #[error("internal error: {0}")]
    Panicked(String),
    /// An operating system call failed.
    #[error("{message}: {source}")]
    System { message: String, hint: Option<String>, source: Source },
    /// The manifest or a policy has faults.
    #[error("{}", faults_message(.0))]
    Faults(Vec<Fault>),
    /// The manifest's users of the AWS emulator have a policy document that cannot be used.
    #[error("[local.users] of the manifest: {0}")]
    LocalUsers(String),
    /// A file could not be read or written.
    #[error("{path}: {what}")]
    File { path: String, what: String, hint: Option<String>, source: Option<std::io::Error> },
    /// No AWS region is configured.
    #[error("{message}")]
    NoRegion { message: String, hint: String },
    /// A required AWS call failed.
    #[error("{}", aws_message(.0))]
    Aws(#[from] CallError),
    /// A required AWS call failed, and the command adds information: the source of the credentials, the region or the table.
    #[error("{message}")]
    Explained { code: Code, message: String, hint: String, source: Box<CallError> },
    /// There are no credentials to release.
    #[error("{source}")]
    NoCredentials { hint: String, source: Box<NoCredentials> },
    /// The credentials do not belong to a user with a known name.
    #[error("{0}")]
    NoUser(String),
    /// Sentinel started itself too many times.
    #[error("{0}")]
    Nested(String),
    /// A table or another required resource does not exist.
    #[error("{message}")]
    NoResource { message: String, hint: String },
    /// A plan has findings that `--fail-on` names.
    #[error("the plan has findings that --fail-on names: {0}")]
    FailOn(String),
    /// CloudFormation or Terraform does not support something in the manifest.
    #[error("{message}")]
    NotExported { message: String, hint: String },
    /// A required resource could not be read.
    #[error("{message}")]
    Unread { denied: bool, message: String, hint: String },
    /// AWS did not respond in time.
    #[error("AWS did not answer within {} seconds", .0.as_secs())]
    TimedOut(Duration),
    #[error("{}", refusal_message(.0))]
    Refused(Refusal),
    /// A policy, or the state of a record, denies the access.
    #[error("{message}")]
    Denied { message: String, hint: Option<String> },
    /// A request to the broker failed.
    #[error("{message}")]
    Broker { code: Code, message: String, hint: String },
    /// The record does not exist.
    #[error("{message}")]
    NoRecord { message: String, hint: String },
    /// The command to run could not be started. Without a source, Sentinel did not try.
    #[error("{message}")]
    NotStarted { message: String, source: Option<std::io::Error> },
    /// The user did not confirm, or there is no terminal.
    #[error("{message}")]
    NotConfirmed { message: String, hint: Option<String> },
    /// The AWS emulator could not be opened or served.
    #[error("the AWS emulator: {what}")]
    Local { what: String, hint: Option<&'static str> },
    /// A result could not be written as JSON.
    #[error("the result cannot be written as JSON: {message}")]
    Unwritable { message: String, source: Option<serde_json::Error> },
    #[error("interrupted before anything was changed")]
    Interrupted,
    #[error("the --timeout expired before anything was changed")]
    OutOfTime,
}

/// Returns the error's message with the purpose of the call.
fn aws_message(error: &CallError) -> String {
    let message = error.to_string();
    let action = error.operation.action();
    let doing = match error.operation.name {
        "GetCallerIdentity" => "checking the credentials",
        "GetParameters" => "reading the policies",
        "GetParametersByPath" | "DescribeParameters" => "listing the policies",
        "ListTables" => "listing the tables",
        _ => return message,
    };
    message.replacen(&format!("{action}: "), &format!("{doing} ({action}): "), 1)
}

fn refusal_message(refusal: &Refusal) -> String {
    std::iter::once(&refusal.message).chain(&refusal.details).cloned().collect::<Vec<_>>().join("\n  ")
}

fn faults_message(faults: &[Fault]) -> String {
    let plural = if faults.len() == 1 { "" } else { "s" };
    format!("{} error{plural}; nothing was read from AWS", faults.len())
}

impl Error {
    /// Returns a usage error.
    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), hint: Some(hint.into()) }
    }

    /// Returns the refusal of a saved plan.
    pub fn unusable_plan(path: &str, why: &Unusable) -> Self {
        let (message, hint) = match why {
            Unusable::NotAPlan => (
                format!("{path} {why}"),
                "name a plan that sentinel plan --out FILE saved; name a manifest with -f FILE",
            ),
            _ => (format!("{path} cannot be applied: {why}"), "make a new plan with: sentinel plan --out FILE"),
        };
        let hint = hint.to_owned();
        Self::Refused(Refusal { code: Code::UnusablePlan, message, details: Vec::new(), hint })
    }

    /// Returns the error for a bug.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::Internal { message: message.into(), source: None }
    }

    /// Returns the error for a failed operating system call.
    pub fn system(message: &str, hint: Option<&str>, source: impl Into<Source>) -> Self {
        Self::System { message: message.to_owned(), hint: hint.map(str::to_owned), source: source.into() }
    }

    /// Returns the error for a file with invalid contents.
    pub fn file(path: &Path, what: impl Into<String>) -> Self {
        Self::File { path: path.display().to_string(), what: what.into(), hint: None, source: None }
    }

    /// Returns the error for a file that could not be read or written.
    pub fn io(path: &Path, source: std::io::Error) -> Self {
        let (path, what) = (path.display().to_string(), files::system_text(&source));
        Self::File { path, what, hint: None, source: Some(source) }
    }

    /// Returns the error for a file that could not be read, with a special message if it does not exist.
    pub fn read(path: &Path, source: std::io::Error, missing: &str) -> Self {
        let found = source.kind() != std::io::ErrorKind::NotFound;
        let what = if found { files::system_text(&source) } else { missing.to_owned() };
        Self::File { path: path.display().to_string(), what, hint: None, source: Some(source) }
    }

    /// Returns the error with a hint, if it is about a file.
    #[must_use]
    pub fn with_hint(mut self, text: impl Into<String>) -> Self {
        if let Self::File { hint, .. } = &mut self {
            *hint = Some(text.into());
        }
        self
    }

    /// Returns the error for an AWS emulator that cannot be opened.
    pub fn local(what: String) -> Self {
        // The message has the system's words for the error.
        let no_right = ["Permission denied", "Read-only file system"].iter().any(|words| what.contains(words));
        let hint = no_right.then_some("use a folder that you can write to, with --local=FOLDER");
        Self::Local { what, hint }
    }

    /// Returns the error for a result that cannot be written as JSON.
    pub fn unwritable(source: serde_json::Error) -> Self {
        Self::Unwritable { message: source.to_string(), source: Some(source) }
    }

    /// Returns the code of the error.
    pub fn code(&self) -> Code {
        match self {
            Self::Usage { .. } => Code::Usage,
            Self::Internal { .. } | Self::Panicked(_) => Code::Internal,
            Self::System { .. } => Code::System,
            Self::Faults(_) | Self::LocalUsers(_) => Code::Faults,
            Self::File { .. } => Code::File,
            Self::NoRegion { .. } => Code::NoRegion,
            Self::Aws(error) => error.diagnosis(),
            Self::Explained { code, .. } | Self::Broker { code, .. } => *code,
            Self::NoCredentials { source, .. } => source.code(),
            Self::NoUser(_) => Code::NoUser,
            Self::Nested(_) => Code::Circular,
            Self::NoResource { .. } => Code::NoResource,
            Self::FailOn(_) => Code::FailOn,
            Self::NotExported { .. } => Code::NotExported,
            Self::Unread { denied: true, .. } => Code::Denied,
            Self::Unread { denied: false, .. } => Code::Unread,
            Self::TimedOut(_) => Code::TimedOut,
            Self::Refused(refusal) => refusal.code,
            Self::Denied { .. } => Code::AccessDenied,
            Self::NoRecord { .. } => Code::NoRecord,
            Self::NotStarted { .. } => Code::NotStarted,
            Self::NotConfirmed { .. } => Code::NotConfirmed,
            Self::Local { .. } => Code::Local,
            Self::Unwritable { .. } => Code::Unwritable,
            Self::Interrupted => Code::Interrupted,
            Self::OutOfTime => Code::OutOfTime,
        }
    }

    /// Returns the result of a run that ends with this error.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Refused(_) => Exit::Refused,
            Self::Interrupted => Exit::Interrupted,
            // The exit codes of shells: 127 if the command does not exist, 126 if it cannot be executed.
            Self::NotStarted { source: Some(error), .. } => {
                Exit::Command(if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 })
            }
            Self::Aws(error) if error.class == Class::Interrupted => Exit::Interrupted,
            _ => Exit::Error,
        }
    }

    /// Returns a hint about what to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::File { hint: None, source: Some(error), .. } => file_hint(error).map(str::to_owned),
            Self::Usage { hint, .. }
            | Self::System { hint, .. }
            | Self::File { hint, .. }
            | Self::NotConfirmed { hint, .. }
            | Self::Denied { hint, .. } => hint.clone(),
            Self::NoRegion { hint, .. }
            | Self::Explained { hint, .. }
            | Self::Broker { hint, .. }
            | Self::NoCredentials { hint, .. }
            | Self::NoResource { hint, .. }
            | Self::NotExported { hint, .. }
            | Self::Unread { hint, .. }
            | Self::NoRecord { hint, .. } => Some(hint.clone()),
            Self::Refused(refusal) => Some(refusal.hint.clone()),
            Self::Aws(error) => aws_hint(error),
            Self::Local { hint: Some(hint), .. } => Some((*hint).to_owned()),
            Self::LocalUsers(_) => Some(String::from("correct the policy document")),
            Self::Faults(_) | Self::FailOn(_) | Self::Interrupted | Self::NotStarted { .. } => None,
            Self::Internal { .. }
            | Self::Panicked(_)
            | Self::NoUser(_)
            | Self::Nested(_)
            | Self::TimedOut(_)
            | Self::Local { hint: None, .. }
            | Self::Unwritable { .. }
            | Self::OutOfTime => crate::explain::hint(self.code()).map(str::to_owned),
        }
    }

    /// Returns the causes of the error, the direct one first, without those whose text is already shown.
    pub fn causes(&self) -> Vec<String> {
        let mut shown = self.to_string();
        let mut causes = Vec::new();
        let mut next = std::error::Error::source(self);
        while let Some(cause) = next {
            let text = cause.to_string();
            if !text.is_empty() && !shown.contains(&text) {
                shown.push_str(&text);
                causes.push(text);
            }
            next = cause.source();
        }
        causes
    }
}

/// Returns the fix for a file or folder that the system does not open or create.
fn file_hint(error: &std::io::Error) -> Option<&'static str> {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::NotFound => Some("correct the path"),
        ErrorKind::NotADirectory => Some("correct the path: a folder is expected where there is a file"),
        ErrorKind::AlreadyExists => Some("name another one, or move the existing one away"),
        ErrorKind::PermissionDenied if !files::leads_out(error) => {
            Some("check the permissions of the file and of its folder")
        }
        _ if error.to_string() == files::FOLDER => Some("name a file"),
        _ => None,
    }
}

/// Returns the action that AWS names in a denial. For a transaction it is not the action of the call, because a transaction requires the
/// permissions of its parts.
fn denied_action(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("is not authorized to perform: ")?;
    let action = rest.split([' ', ',']).next()?;
    let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == ':';
    (action.contains(':') && action.chars().all(plain)).then(|| action.to_owned())
}

/// Returns the permission that a denied call lacks.
pub fn lacking(error: &CallError) -> String {
    denied_action(&error.message).unwrap_or_else(|| error.operation.action())
}

/// Returns the general hint for an error of AWS. `explain` prints details.
fn aws_hint(error: &CallError) -> Option<String> {
    let hint = match error.diagnosis() {
        Code::Denied => {
            return Some(format!(
                "ask for {}; sentinel iam --for plan, apply, requester, approver, operator, server and broker \
                 print all required permissions",
                lacking(error)
            ));
        }
        code => crate::explain::hint(code)?,
    };
    Some(hint.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hint_for_a_store_that_cannot_be_created_is_another_folder() {
        let hint = |why: &str| Error::local(format!("/srv/.sentinel: {why}")).hint().unwrap();
        for why in ["Permission denied (os error 13)", "Read-only file system (os error 30)"] {
            assert_eq!(hint(why), "use a folder that you can write to, with --local=FOLDER");
        }
        assert!(hint("No space left on device (os error 28)").contains("to start over"));
    }
}
