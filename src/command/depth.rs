//! Limits how deeply runs of this program are nested. An AWS profile whose `credential_process` runs it could do so endlessly.
//!
//! The variable `SENTINEL_DEPTH` contains the depth of this run and its process ID, which is 0 for a command of `exec`.
//! A run that a `credential_process` started counts twice, since it can start several runs itself, one for each AWS profile
//! that it uses. The SDK starts a `credential_process` with the environment of this process, which cannot be changed safely while
//! it runs. If the shared files have such a process, this program therefore replaces itself once, with the variable set.
//!
//! A `credential_process` may clear its environment (`env -i`, `sudo`). On Linux, the parent processes are counted too.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Error;
use crate::files;

/// The variable.
pub(super) const VARIABLE: &str = "SENTINEL_DEPTH";

/// The maximum depth. A command of `exec` may be a shell in which `exec` is used again.
const MAX_DEPTH: u32 = 4;
/// The depth that a run in a `credential_process` adds. At most one such run can be inside another.
const STARTED_FOR_CREDENTIALS: u32 = 2;

/// The number of parent processes that are checked.
#[cfg(target_os = "linux")]
const MAX_ANCESTORS: usize = 64;

/// The number of bytes of the shared files that are read. A larger file is assumed to have a process.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// The depth of this run, from its environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Depth {
    depth: u32,
    /// Whether the variable is set for this process already.
    marked: bool,
}

impl Depth {
    /// Parses the variable. An invalid value counts as the maximum depth, because only Sentinel sets it.
    fn of(value: Option<&str>, pid: u32) -> Self {
        let Some(value) = value else { return Self { depth: 1, marked: false } };
        let parts = value.split_once('.');
        let parts = parts.and_then(|(depth, owner)| Some((depth.parse::<u32>().ok()?, owner.parse::<u32>().ok()?)));
        match parts {
            Some((depth, owner)) if owner == pid => Self { depth, marked: true },
            Some((depth, 0)) => Self { depth: depth.saturating_add(1), marked: false },
            Some((depth, _)) => Self { depth: depth.saturating_add(STARTED_FOR_CREDENTIALS), marked: false },
            None => Self { depth: u32::MAX, marked: false },
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this variable is this program's own")]
fn depth() -> Depth {
    let value = std::env::var_os(VARIABLE).map(|value| value.to_string_lossy().into_owned());
    Depth::of(value.as_deref(), std::process::id())
}

/// Returns the value of the variable for a command that this run starts. No process has the ID 0.
pub(super) fn for_command() -> String {
    format!("{}.0", depth().depth)
}

/// Refuses to run too deep, and sets the variable if a `credential_process` may be started.
pub(super) fn guard() -> Result<(), Error> {
    let Depth { depth, marked } = depth();
    if depth > MAX_DEPTH || runs_above() >= MAX_DEPTH {
        return Err(Error::Nested(String::from("too many nested runs of Sentinel, each started by the previous one")));
    }
    if marked || !shared_files().iter().any(|path| has_process(path)) {
        return Ok(());
    }
    let program = std::env::current_exe().map_err(unmarked)?;
    let mut arguments = std::env::args_os();
    let mut command = Command::new(program);
    command.arg0(arguments.next().unwrap_or_else(|| OsString::from("sentinel"))).args(arguments);
    command.env(VARIABLE, format!("{depth}.{}", std::process::id()));
    Err(unmarked(command.exec()))
}

/// Returns how many parent processes run the same program.
#[cfg(target_os = "linux")]
fn runs_above() -> u32 {
    let Ok(own) = std::fs::read_link("/proc/self/exe") else { return 0 };
    let mut above = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get());
    let mut runs = 0;
    for _ in 0..MAX_ANCESTORS {
        let Some(pid) = above.filter(|pid| *pid > 1) else { break };
        let folder = Path::new("/proc").join(pid.to_string());
        runs += u32::from(std::fs::read_link(folder.join("exe")).is_ok_and(|program| program == own));
        let stat = files::read_beginning(&folder.join("stat"), 4096).unwrap_or_default();
        above = parent_of(&String::from_utf8_lossy(&stat));
    }
    runs
}

/// Other systems have no `/proc`.
#[cfg(not(target_os = "linux"))]
fn runs_above() -> u32 {
    0
}

/// Returns the parent in a process's `stat`: "PID (NAME) STATE PPID …", where the name can contain any character (proc(5)).
#[cfg(target_os = "linux")]
fn parent_of(stat: &str) -> Option<i32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

fn unmarked(error: std::io::Error) -> Error {
    let hint = "it runs itself again with SENTINEL_DEPTH set, so that a credential_process cannot run it for ever";
    Error::system("sentinel cannot run itself", Some(hint), error)
}

/// Returns the files from which the AWS SDK reads profiles.
#[expect(clippy::disallowed_methods, reason = "these are the SDK's own variables")]
fn shared_files() -> Vec<PathBuf> {
    let of = |variable: &str, name: &str| {
        let named = std::env::var_os(variable).filter(|path| !path.is_empty()).map(PathBuf::from);
        named.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".aws").join(name)))
    };
    let files = [of("AWS_CONFIG_FILE", "config"), of("AWS_SHARED_CREDENTIALS_FILE", "credentials")];
    files.into_iter().flatten().collect()
}

/// Returns whether a file contains a `credential_process`. A file that cannot be read does not.
fn has_process(path: &Path) -> bool {
    // Reading a pipe here would leave nothing for the SDK.
    if !std::fs::metadata(path).is_ok_and(|found| found.is_file()) {
        return false;
    }
    let Ok(text) = files::read_beginning(path, MAX_FILE_BYTES + 1) else { return false };
    let word = b"credential_process";
    text.len() as u64 > MAX_FILE_BYTES || text.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn the_parent_is_found_for_any_process_name() {
        assert_eq!(parent_of("17 (sentinel) S 12 17 17 0"), Some(12));
        assert_eq!(parent_of("17 (a) R 99 (b) S 12 17"), Some(12));
        assert_eq!(parent_of(""), None);
        let own = std::fs::read_to_string("/proc/self/stat").unwrap();
        assert_eq!(parent_of(&own), rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get()));
    }

    #[test]
    fn the_depth_is_that_of_this_process_or_one_more_than_the_parents() {
        let of = |value: Option<&str>| {
            let Depth { depth, marked } = Depth::of(value, 7);
            (depth, marked)
        };
        assert_eq!(of(None), (1, false));
        assert_eq!(of(Some("1.7")), (1, true));
        assert_eq!(of(Some("1.6")), (3, false));
        assert_eq!(of(Some("3.0")), (4, false));
        assert_eq!(of(Some("4294967295.6")), (u32::MAX, false));
        for odd in ["", "1", "x.7", "-1.7", "1.7.7"] {
            assert_eq!(of(Some(odd)), (u32::MAX, false), "{odd}");
        }
    }
}
