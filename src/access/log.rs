//! The decision log: one JSON object on each line, written before credentials are released.

mod queue;

use std::fs::File;
use std::io::{Error, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use serde::Serialize;

use super::gate::Decision;
use crate::files;
use crate::provider::Issued;

pub use queue::LogQueue;

/// A log.
#[derive(Debug, Default)]
pub struct Log {
    destinations: Destinations,
    /// The queue of the thread that writes the records. Without it, each record is written at once.
    queue: Option<queue::Lines>,
}

/// The destinations of a log.
#[derive(Debug, Default)]
struct Destinations {
    file: Option<LogFile>,
    stderr: bool,
    stdout: Option<LogFile>,
}

#[derive(Debug)]
struct LogFile {
    file: File,
    path: PathBuf,
    /// Whether the last line was written in part, for example because the disk was full.
    is_torn: AtomicBool,
}

/// A destination that cannot be written, and why.
pub type Unwritten = (PathBuf, Error);

/// The outcome of a decision.
#[derive(Debug, Clone, Copy)]
pub enum Outcome<'a> {
    /// Access is denied.
    Refused,
    /// A break-glass event is opened. Each release of credentials under it has its own record.
    Opened,
    /// A credential server starts. Each fetch has its own record.
    Started,
    /// These credentials are released.
    Released(&'a Issued),
    /// Access is allowed, but there are no credentials.
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

/// The released credentials. Unknown values are `null`.
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
    /// Opens a log for appending. Only the owner can read a new file, and a symbolic link is not followed.
    pub fn open(file: Option<&Path>) -> Result<Self, Unwritten> {
        let open = |path: &Path| {
            let opened = files::append(path, files::PRIVATE);
            let path = path.to_owned();
            match opened {
                Ok(file) => Ok(LogFile::new(file, path)),
                Err(error) => Err((path, error)),
            }
        };
        let destinations = Destinations { file: file.map(open).transpose()?, ..Destinations::default() };
        Ok(Self { destinations, queue: None })
    }

    /// Returns a log that also writes to stderr.
    #[must_use]
    pub fn and_stderr(mut self) -> Self {
        self.destinations.stderr = true;
        self
    }

    /// Returns a log that also writes to stdout.
    ///
    /// It has a descriptor of its own, because a thread that waits for the reader of a pipe must not keep the lock of
    /// [`std::io::stdout`], which the program may need when it ends.
    ///
    /// # Errors
    ///
    /// Fails if the process can open no more files.
    pub fn and_stdout(mut self) -> Result<Self, Unwritten> {
        let path = PathBuf::from("stdout");
        match std::io::stdout().as_fd().try_clone_to_owned() {
            Ok(stdout) => self.destinations.stdout = Some(LogFile::new(stdout.into(), path)),
            Err(error) => return Err((path, error)),
        }
        Ok(self)
    }

    /// Writes a decision and its outcome.
    ///
    /// # Errors
    ///
    /// Fails if a destination cannot be written. The caller must then not carry out the decision.
    pub fn write(&self, decision: &Decision, session_id: Option<&str>, outcome: Outcome<'_>) -> Result<(), Unwritten> {
        let (error, released) = match outcome {
            Outcome::Refused | Outcome::Opened | Outcome::Started => (None, None),
            Outcome::Released(issued) => (None, Some(Released::new(issued))),
            Outcome::Failed(error) => (Some(error), None),
        };
        self.append(&Record { decision, outcome: outcome.word(), error, session_id, released })
    }

    /// Writes a record. The log of a [`LogQueue`] writes it later, and [`Log::written`] waits for it.
    ///
    /// # Errors
    ///
    /// As for [`Log::write`].
    pub fn append(&self, record: &impl Serialize) -> Result<(), Unwritten> {
        match (&self.queue, line(record)) {
            (None, Ok(line)) => self.destinations.write(&line),
            (None, Err(error)) => Err((self.destinations.name(), error)),
            (Some(queue), Ok(line)) => queue.add(line),
            (Some(queue), Err(error)) => Err(queue.failed(error)),
        }
    }

    /// Waits until all records are written.
    ///
    /// # Errors
    ///
    /// Fails if one was not written, or not in time. It may still be written later.
    pub async fn written(&self) -> Result<(), Unwritten> {
        match &self.queue {
            None => Ok(()),
            Some(queue) => queue.written().await,
        }
    }
}

impl Destinations {
    fn write(&self, line: &str) -> Result<(), Unwritten> {
        if let Some(file) = &self.file {
            file.write(line)?;
        }
        if self.stderr {
            std::io::stderr().write_all(line.as_bytes()).map_err(|error| (PathBuf::from("stderr"), error))?;
        }
        if let Some(stdout) = &self.stdout {
            stdout.write(line)?;
        }
        Ok(())
    }

    /// Returns the name of the first one for messages.
    fn name(&self) -> PathBuf {
        let file = self.file.as_ref().or(self.stdout.as_ref());
        file.map_or_else(|| PathBuf::from("stderr"), |file| file.path.clone())
    }
}

impl LogFile {
    fn new(file: File, path: PathBuf) -> Self {
        Self { file, path, is_torn: AtomicBool::new(false) }
    }

    fn write(&self, line: &str) -> Result<(), Unwritten> {
        write_line(&self.file, &self.is_torn, line).map_err(|error| (self.path.clone(), error))
    }
}

/// Writes a line in one call if possible, so that the records of several processes do not mix in a file that is opened for appending.
///
/// The next line after one that was written in part begins on a line of its own. Otherwise it would be unreadable too.
fn write_line(mut file: impl Write, is_torn: &AtomicBool, line: &str) -> Result<(), Error> {
    let torn = is_torn.load(Ordering::Relaxed);
    let text = if torn { format!("\n{line}") } else { line.to_owned() };
    let mut rest = text.as_bytes();
    let written = loop {
        match file.write(rest) {
            Ok(0) => break Err(Error::from(std::io::ErrorKind::WriteZero)),
            Ok(count) if count < rest.len() => rest = &rest[count..],
            Ok(_) => break Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => break Err(error),
        }
    };
    is_torn.store(written.is_err() && (torn || rest.len() < text.len()), Ordering::Relaxed);
    written
}

/// Returns a record as a line.
fn line(record: &impl Serialize) -> Result<String, Error> {
    Ok(serde_json::to_string(record).map_err(Error::other)? + "\n")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// A file on a disk that takes only so many bytes.
    struct Disk {
        text: Vec<u8>,
        size: usize,
    }

    impl Write for &mut Disk {
        fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
            let room = self.size - self.text.len();
            if room == 0 {
                return Err(Error::from(std::io::ErrorKind::StorageFull));
            }
            let count = room.min(bytes.len());
            self.text.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> Result<(), Error> {
            Ok(())
        }
    }

    #[test]
    fn a_line_after_one_that_was_written_in_part_is_readable() {
        let (mut disk, is_torn) = (Disk { text: Vec::new(), size: 6 }, AtomicBool::new(false));
        write_line(&mut disk, &is_torn, "[1]\n").unwrap();
        write_line(&mut disk, &is_torn, "[2]\n").unwrap_err();
        write_line(&mut disk, &is_torn, "[3]\n").unwrap_err();
        disk.size = 100;
        write_line(&mut disk, &is_torn, "[4]\n").unwrap();
        write_line(&mut disk, &is_torn, "[5]\n").unwrap();
        assert_eq!(String::from_utf8(disk.text).unwrap(), "[1]\n[2\n[4]\n[5]\n");
    }

    #[test]
    fn a_record_that_cannot_be_serialized_is_an_error() {
        assert_eq!(line(&[1, 2]).unwrap(), "[1,2]\n");
        // The keys of a JSON object must be strings.
        assert!(line(&BTreeMap::from([(vec![1], 2)])).is_err());
    }
}
