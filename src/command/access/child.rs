//! The command that is run: what it sees, what reaches it, and how it ended.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};

use rustix::process::{Pid, Signal};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use crate::error::{Error, Exit};
use crate::files;

pub(super) fn command(words: &[OsString]) -> Command {
    let (program, arguments) =
        words.split_first().map_or((OsString::new(), [].as_slice()), |(program, rest)| (program.clone(), rest));
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

pub(super) fn not_started(words: &[OsString], error: &std::io::Error) -> Error {
    let program = words.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    let missing = error.kind() == std::io::ErrorKind::NotFound;
    let why = if missing { String::from("there is no such command") } else { error.to_string() };
    Error::NotStarted { message: format!("{program}: {why}"), missing }
}

/// What names credentials, and would compete with the ones handed out.
const CREDENTIAL_VARIABLES: [&str; 15] = [
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_BEARER_TOKEN_BEDROCK",
];

/// Sets what every command gets, and takes out what would compete.
pub(super) fn environment(command: &mut Command, profile: &str, region: &str) {
    for variable in CREDENTIAL_VARIABLES {
        command.env_remove(variable);
    }
    command.env("AWS_REGION", region).env("AWS_DEFAULT_REGION", region).env("SENTINEL_PROFILE", profile);
}

/// Runs a command beside other work, which never ends, and passes signals on to it.
pub(super) async fn supervise(
    words: &[OsString],
    command: Command,
    beside: impl Future<Output = ()>,
) -> Result<Exit, Error> {
    // Listened for before there is a command: one that comes in between waits for it, and does not end this process.
    let signals = Signals::listen();
    let mut child = tokio::process::Command::from(command).spawn().map_err(|error| not_started(words, &error))?;
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let forwards = pid.map(|pid| signals.forward(pid)).unwrap_or_default();
    let ended = tokio::select! {
        ended = child.wait() => ended,
        () = beside => child.wait().await,
    };
    forwards.iter().for_each(JoinHandle::abort);
    ended.map(|status| Exit::Command(code(status))).map_err(|error| not_started(words, &error))
}

/// Returns the exit code, as shells have it for a command that a signal ended.
fn code(status: ExitStatus) -> u8 {
    let signal = || status.signal().map_or(1, |signal| 128 + signal);
    u8::try_from(status.code().unwrap_or_else(signal)).unwrap_or(1)
}

/// What is sent to this process, and is the command's to have.
struct Signals(Vec<(tokio::signal::unix::Signal, Signal)>);

impl Signals {
    fn listen() -> Self {
        let signals = [
            (SignalKind::interrupt(), Signal::INT),
            (SignalKind::quit(), Signal::QUIT),
            (SignalKind::terminate(), Signal::TERM),
            (SignalKind::hangup(), Signal::HUP),
            (SignalKind::user_defined1(), Signal::USR1),
            (SignalKind::user_defined2(), Signal::USR2),
        ];
        Self(signals.into_iter().filter_map(|(kind, number)| Some((signal(kind).ok()?, number))).collect())
    }

    /// Passes them on. What the keyboard sends goes to the whole foreground, the command included: that is not sent to
    /// it twice.
    fn forward(self, pid: Pid) -> Vec<JoinHandle<()>> {
        let terminal = files::terminal();
        let foreground = terminal.and_then(|terminal| rustix::termios::tcgetpgrp(terminal).ok());
        let from_keyboard = foreground == Some(rustix::process::getpgrp());
        let each = self.0.into_iter().map(|(mut arrivals, number)| {
            let swallowed = from_keyboard && [Signal::INT, Signal::QUIT].contains(&number);
            tokio::spawn(async move {
                while arrivals.recv().await.is_some() {
                    if !swallowed {
                        let _ = rustix::process::kill_process(pid, number);
                    }
                }
            })
        });
        each.collect()
    }
}
