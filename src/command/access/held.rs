//! Protects credentials in memory: no core dumps, and a server's command does not outlive the server.
//!
//! The required settings between fork and exec would need unsafe code. A server therefore starts its command through another instance of
//! this program, which applies the settings to itself and then replaces itself with the command.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, setrlimit};

use super::child::{command, not_started};
use crate::error::{Error, Exit};

/// The first argument that runs a server's command.
const RUN: &str = "run-for-credential-server";
/// The first argument that watches a server's command.
const WATCH: &str = "watch-credential-server";

/// The limit on core dumps for other processes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dumps(Rlimit);

impl Dumps {
    /// Turns core dumps of this process off, because a dump would contain the credentials.
    pub(super) fn off() -> Result<Self, Error> {
        let before = getrlimit(Resource::Core);
        let off = Rlimit { current: Some(0), maximum: before.maximum };
        setrlimit(Resource::Core, off).map_err(failed)?;
        // Also prevents other processes of the user from reading this one's memory (prctl(2), PR_SET_DUMPABLE).
        #[cfg(target_os = "linux")]
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable).map_err(failed)?;
        Ok(Self(before))
    }

    /// Sets the limit that the command inherits. On Linux this process has no dumps until it is replaced.
    pub(super) fn restore(&self) {
        // A limit that was in force before can be set.
        let _ = setrlimit(Resource::Core, self.0);
    }
}

fn failed(error: rustix::io::Errno) -> Error {
    Error::system("core dumps cannot be turned off", Some("a core dump would contain the credentials"), error)
}

/// Returns a command that ends with this process.
pub(super) fn bound_to_server(words: &[OsString], dumps: &Dumps) -> Result<Command, Error> {
    let program = std::env::current_exe();
    let program = program.map_err(|error| Error::system("sentinel cannot run itself", None, error))?;
    let limit = dumps.0.current.map_or_else(|| String::from("unlimited"), |limit| limit.to_string());
    let mut command = Command::new(program);
    command.arg(RUN).arg(std::process::id().to_string()).arg(limit).args(words);
    Ok(command)
}

/// Performs an internal command, if this process was started for one.
pub(in crate::command) fn internal() -> Option<Result<Exit, Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let first = arguments.next()?;
    if first == RUN {
        return Some(run(&arguments.collect::<Vec<_>>()));
    }
    (first == WATCH).then(|| Ok(watch(std::io::stdin())))
}

fn number<T: std::str::FromStr>(word: Option<&OsString>) -> Option<T> {
    word.and_then(|word| OsStr::to_str(word)).and_then(|word| word.parse().ok())
}

fn run(words: &[OsString]) -> Result<Exit, Error> {
    let (server, limit) = (number::<u32>(words.first()), words.get(1));
    let (Some(server), Some(limit), [_, _, words @ ..]) = (server, limit, words) else {
        return Err(Error::usage(format!("sentinel {RUN} is an internal command"), "use sentinel exec --server"));
    };
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| Error::system("the command cannot be bound to its credential server", None, error))?;
    // The server may have ended before the signal was requested.
    let parent = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get());
    if parent.and_then(|pid| u32::try_from(pid).ok()) != Some(server) {
        let message = String::from("the credential server has ended; the command was not started");
        return Err(Error::NotStarted { message, source: None });
    }
    let maximum = getrlimit(Resource::Core).maximum;
    let _ = setrlimit(Resource::Core, Rlimit { current: number(Some(limit)), maximum });
    Err(not_started(words, command(words).exec()))
}

/// A process that ends the command if its server has ended, for systems that cannot do this. It waits for the end of its input, to which
/// only the server writes.
#[derive(Debug)]
pub(super) struct Watcher(Option<Child>);

impl Watcher {
    /// Starts a watcher, if the system needs one.
    pub(super) fn start() -> std::io::Result<Self> {
        if cfg!(target_os = "linux") {
            return Ok(Self(None));
        }
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(WATCH).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // Signals from the keyboard must not end it.
        command.process_group(0).spawn().map(|child| Self(Some(child)))
    }

    /// Tells the watcher which process to watch.
    pub(super) fn watch(&mut self, command: u32) -> std::io::Result<()> {
        let input = self.0.as_mut().and_then(|child| child.stdin.as_mut());
        input.map_or(Ok(()), |input| writeln!(input, "{command}"))
    }

    /// Tells the watcher that the command has ended.
    pub(super) fn end(self) {
        let Some(mut child) = self.0 else { return };
        if let Some(mut input) = child.stdin.take() {
            let _ = writeln!(input, "ended");
        }
        let _ = child.wait();
    }
}

fn watch(mut input: impl Read) -> Exit {
    let mut text = String::new();
    let _ = input.read_to_string(&mut text);
    let mut lines = text.lines();
    let command = lines.next().and_then(|line| line.parse().ok()).and_then(Pid::from_raw);
    if let Some(command) = command.filter(|_| lines.next() != Some("ended")) {
        let _ = rustix::process::kill_process(command, Signal::KILL);
    }
    Exit::Done
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn a_watcher_ends_the_command_unless_it_has_ended() {
        let start = || Command::new("sleep").arg("60").spawn().unwrap();
        let mut left = start();
        watch(format!("{}\n", left.id()).as_bytes());
        assert_eq!(left.wait().unwrap().signal(), Some(9));
        let mut other = start();
        watch(format!("{}\nended\n", other.id()).as_bytes());
        assert_eq!(other.try_wait().unwrap(), None);
        watch(&b"no number\n"[..]);
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
