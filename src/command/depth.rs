//! How many runs of this program are nested: an AWS profile whose `credential_process` runs it again would do so for ever.
//!
//! The variable `SENTINEL_DEPTH` holds how deep this run is and the process it is for, which is 0 for a command of `exec`.
//! A run that a `credential_process` started counts twice, since it can start several runs itself: one for each AWS profile
//! that it asks. The environment of a running process cannot be changed safely, and the SDK starts a `credential_process` with
//! the environment of this one: where the shared files have such a process, this program replaces itself once by itself, with
//! the variable set.
//!
//! A `credential_process` may clear its environment (`env -i`, `sudo`). On Linux the processes above this one are counted too.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Error;
use crate::files;

/// The variable.
pub(super) const VARIABLE: &str = "SENTINEL_DEPTH";

/// So deep runs may be nested: a command of `exec` may be a shell in which `exec` is used again.
const DEEPEST: u32 = 4;
/// What a run counts that a `credential_process` started. At most one such run is inside another.
const STARTED_FOR_CREDENTIALS: u32 = 2;

/// So many processes above this one are looked at.
#[cfg(target_os = "linux")]
const ABOVE: usize = 64;

/// The shared files are read up to here; where they are larger, they are taken to have a process.
const READ: u64 = 4 << 20;

/// How deep this run is, from what its environment says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Depth {
    depth: u32,
    /// Whether the environment says it for this process already.
    marked: bool,
}

impl Depth {
    /// Reads the variable. What is not understood counts as the deepest: the variable is nobody else's.
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

/// Returns what the variable is to be for a command that this run starts. No process has the ID 0.
pub(super) fn for_command() -> String {
    format!("{}.0", depth().depth)
}

/// Refuses to run too deep, and marks the environment where a `credential_process` may be started.
pub(super) fn guard() -> Result<(), Error> {
    let Depth { depth, marked } = depth();
    if depth > DEEPEST || runs_above() >= DEEPEST {
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

/// Returns how many processes above this one run the same program.
#[cfg(target_os = "linux")]
fn runs_above() -> u32 {
    let Ok(own) = std::fs::read_link("/proc/self/exe") else { return 0 };
    let mut above = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get());
    let mut runs = 0;
    for _ in 0..ABOVE {
        let Some(pid) = above.filter(|pid| *pid > 1) else { break };
        let folder = Path::new("/proc").join(pid.to_string());
        runs += u32::from(std::fs::read_link(folder.join("exe")).is_ok_and(|program| program == own));
        let stat = files::read_beginning(&folder.join("stat"), 4096).unwrap_or_default();
        above = parent_of(&String::from_utf8_lossy(&stat));
    }
    runs
}

/// Other systems have no such files.
#[cfg(not(target_os = "linux"))]
fn runs_above() -> u32 {
    0
}

/// Returns the parent in a process's `stat`: "PID (NAME) STATE PPID …", where the name may hold anything (proc(5)).
#[cfg(target_os = "linux")]
fn parent_of(stat: &str) -> Option<i32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

fn unmarked(error: std::io::Error) -> Error {
    let hint = "it runs itself again with SENTINEL_DEPTH set, so that a credential_process cannot run it for ever";
    Error::system("sentinel cannot run itself", Some(hint), error)
}

/// Returns the files that the AWS SDK reads profiles from.
#[expect(clippy::disallowed_methods, reason = "these are the SDK's own variables")]
fn shared_files() -> Vec<PathBuf> {
    let of = |variable: &str, name: &str| {
        let named = std::env::var_os(variable).filter(|path| !path.is_empty()).map(PathBuf::from);
        named.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".aws").join(name)))
    };
    let files = [of("AWS_CONFIG_FILE", "config"), of("AWS_SHARED_CREDENTIALS_FILE", "credentials")];
    files.into_iter().flatten().collect()
}

/// Returns whether a file names a process for credentials; one that cannot be read names none.
fn has_process(path: &Path) -> bool {
    // A pipe or a device is not read here: the SDK would find nothing in it after that.
    if !std::fs::metadata(path).is_ok_and(|found| found.is_file()) {
        return false;
    }
    let Ok(text) = files::read_beginning(path, READ + 1) else { return false };
    let word = b"credential_process";
    text.len() as u64 > READ || text.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn the_parent_is_found_whatever_the_name_of_a_process() {
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
