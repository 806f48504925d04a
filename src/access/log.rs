//! The decision log: a JSON object a line, written before anything is released.

use std::fs::File;
use std::io::{Error, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use super::gate::Decision;
use crate::files;
use crate::provider::Issued;

/// Where decisions are logged.
#[derive(Debug, Default)]
pub struct Log {
    file: Option<(File, PathBuf)>,
    stderr: bool,
    stdout: bool,
}

/// A record that cannot be written, and where.
pub type Unwritten = (PathBuf, Error);

/// What follows a decision.
#[derive(Debug, Clone, Copy)]
pub enum Outcome<'a> {
    /// Nothing is released.
    Refused,
    /// A break-glass event is opened; what it releases has records of its own.
    Opened,
    /// A credential server starts; each fetch has a record of its own.
    Started,
    /// These credentials are released.
    Released(&'a Issued),
    /// Access is allowed, and there are no credentials.
    Failed(&'a str),
}

impl Outcome<'_> {
    const fn word(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Opened => "opened",
            Self::Started => "started",
            Self::Released(_) => "released",
            Self::Failed(_) => "failed",
        }
    }
}

#[derive(Serialize)]
struct Record<'a> {
    #[serde(flatten)]
    decision: &'a Decision,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<&'a str>,
    #[serde(flatten)]
    released: Option<Released<'a>>,
}

/// What is released. What is not known is `null`.
#[derive(Serialize)]
struct Released<'a> {
    aws_profile: Option<&'a str>,
    role_arn: Option<&'a str>,
    credentials_arn: &'a str,
    access_key_id: &'a str,
    expires_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_identity: Option<&'a str>,
}

impl<'a> Released<'a> {
    fn new(issued: &'a Issued) -> Self {
        let expires = issued.credentials.expires.and_then(|at| Timestamp::from_second(at).ok());
        Self {
            aws_profile: issued.aws_profile.as_deref(),
            role_arn: issued.role_arn.as_deref(),
            credentials_arn: &issued.arn,
            access_key_id: &issued.credentials.access_key_id,
            expires_at: expires.map(|at| at.to_string()),
            source_identity: issued.source_identity.as_deref(),
        }
    }
}

impl Log {
    /// Opens a log for appending. A new file is its owner's alone; a symbolic link is not followed.
    pub fn open(file: Option<&Path>) -> Result<Self, Unwritten> {
        let open = |path: &Path| {
            let opened = files::append(path, files::PRIVATE);
            opened.map(|file| (file, path.to_owned())).map_err(|error| (path.to_owned(), error))
        };
        Ok(Self { file: file.map(open).transpose()?, ..Self::default() })
    }

    /// Returns a log that writes its records to stderr too.
    #[must_use]
    pub fn and_stderr(self) -> Self {
        Self { stderr: true, ..self }
    }

    /// Returns a log that writes its records to stdout too.
    #[must_use]
    pub fn and_stdout(self) -> Self {
        Self { stdout: true, ..self }
    }

    /// Writes a decision and what follows it.
    ///
    /// # Errors
    ///
    /// Fails when the record cannot be written in every place: what cannot be logged must not happen.
    pub fn write(&self, decision: &Decision, session_id: Option<&str>, outcome: Outcome<'_>) -> Result<(), Unwritten> {
        let (error, released) = match outcome {
            Outcome::Refused | Outcome::Opened | Outcome::Started => (None, None),
            Outcome::Released(issued) => (None, Some(Released::new(issued))),
            Outcome::Failed(error) => (Some(error), None),
        };
        self.append(&Record { decision, outcome: outcome.word(), error, session_id, released })
    }

    /// Writes a record.
    ///
    /// # Errors
    ///
    /// As [`Log::write`].
    pub fn append(&self, record: &impl Serialize) -> Result<(), Unwritten> {
        let name = self.file.as_ref().map_or_else(|| PathBuf::from("stderr"), |(_, path)| path.clone());
        let line = line(record).map_err(|error| (name, error))?;
        // In one call on a file opened for appending, so that the records of several processes do not mix.
        if let Some((file, path)) = &self.file {
            let mut file: &File = file;
            file.write_all(line.as_bytes()).map_err(|error| (path.clone(), error))?;
        }
        if self.stderr {
            std::io::stderr().write_all(line.as_bytes()).map_err(|error| (PathBuf::from("stderr"), error))?;
        }
        if self.stdout {
            let mut stdout = std::io::stdout().lock();
            let written = stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush());
            written.map_err(|error| (PathBuf::from("stdout"), error))?;
        }
        Ok(())
    }
}

/// Returns a record as a line.
fn line(record: &impl Serialize) -> Result<String, Error> {
    Ok(serde_json::to_string(record).map_err(Error::other)? + "\n")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_record_that_cannot_be_serialized_is_an_error() {
        assert_eq!(line(&[1, 2]).unwrap(), "[1,2]\n");
        // JSON's keys are texts.
        assert!(line(&BTreeMap::from([(vec![1], 2)])).is_err());
    }
}
