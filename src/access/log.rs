//! The decision log: a JSON object a line, written before anything is handed out.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::gate::Decision;
use crate::files;

/// Where decisions are logged.
#[derive(Debug, Default)]
pub struct Log {
    file: Option<(File, PathBuf)>,
    stderr: bool,
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    decision: &'a Decision,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_identity: Option<&'a str>,
}

impl Log {
    /// Opens a log; a new file is its owner's alone.
    pub fn open(file: Option<&Path>, stderr: bool) -> Result<Self, (PathBuf, std::io::Error)> {
        let open = |path: &Path| {
            let opened = files::append(path, files::PRIVATE);
            opened.map(|file| (file, path.to_owned())).map_err(|error| (path.to_owned(), error))
        };
        Ok(Self { file: file.map(open).transpose()?, stderr })
    }

    /// Writes a decision, and the stamp of the credentials that follow on it if they do.
    ///
    /// # Errors
    ///
    /// Fails when the file cannot be written: what cannot be logged must not happen.
    pub fn write(
        &self,
        decision: &Decision,
        session_id: Option<&str>,
        source_identity: Option<&str>,
    ) -> Result<(), (PathBuf, std::io::Error)> {
        let line = serde_json::to_string(&Line { decision, session_id, source_identity }).unwrap_or_default() + "\n";
        if self.stderr {
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
        let Some((file, path)) = &self.file else { return Ok(()) };
        // In one call on a file opened for appending, so that the lines of several processes do not mix.
        let mut file: &File = file;
        file.write_all(line.as_bytes()).map_err(|error| (path.clone(), error))
    }
}
