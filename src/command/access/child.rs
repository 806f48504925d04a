//! The command that Sentinel runs: its environment, its signals, and its exit code.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};

use rustix::process::{Pid, Signal};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use super::held::Watcher;
use crate::command::depth;
use crate::error::{Error, Exit};
use crate::files;

pub(super) fn command(words: &[OsString]) -> Command {
    let (program, arguments) =
        words.split_first().map_or((OsString::new(), [].as_slice()), |(program, rest)| (program.clone(), rest));
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

pub(super) fn not_started(words: &[OsString], error: std::io::Error) -> Error {
    let program = words.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    let missing = error.kind() == std::io::ErrorKind::NotFound;
    let why = if missing { String::from("there is no such command") } else { error.to_string() };
    Error::NotStarted { message: format!("{program}: {why}"), source: Some(error) }
}

/// Variables that the command must not inherit: they name other credentials, belong to them, or specify where they are sent.
///
/// Sources: AWS SDKs and Tools Reference Guide, "Environment variables list"; botocore's `configprovider.py` and `credentials.py`; the
/// environment providers of the SDKs for Go (v1, v2), Java (v1, v2), JavaScript (v3) and Ruby (v3, `credential_provider_chain.rb`). Other
/// variables of SDKs (region, retries, proxies, `AWS_CA_BUNDLE`, dual-stack and FIPS endpoints) are settings of the machine, which are the
/// same for any credentials.
const STALE: [&str; 29] = [
    // Keys, and variables that belong to them. AWS_ACCESS_KEY and AWS_SECRET_KEY: Go and Java; AWS_SECURITY_TOKEN: botocore;
    // AWS_CREDENTIAL_SCOPE: JavaScript and Java; AMAZON_…: Ruby. AWS_SESSION_EXPIRATION is set by tools that export credentials, such as
    // aws-vault before version 7, and read by others.
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_ACCESS_KEY",
    "AWS_SECRET_KEY",
    "AWS_SECURITY_TOKEN",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_SESSION_EXPIRATION",
    "AMAZON_ACCESS_KEY_ID",
    "AMAZON_SECRET_ACCESS_KEY",
    "AMAZON_SESSION_TOKEN",
    "AWS_CREDENTIAL_SCOPE",
    "AWS_ACCOUNT_ID",
    "AWS_CREDENTIAL_FILE",
    // Profiles in the shared files.
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_LOGIN_CACHE_DIRECTORY",
    // Containers.
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    // Web identities and roles. The names with IAM are those of Java and Kotlin.
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_IAM_ROLE_ARN",
    "AWS_IAM_ROLE_SESSION_NAME",
    // Instances.
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
    // Destinations of requests; the endpoints themselves have the prefixes below.
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
];

/// Prefixes of more such variables: an endpoint for each service, and bearer tokens that an SDK prefers to signing.
const STALE_PREFIXES: [&str; 3] = ["AWS_ENDPOINT_URL", "AWS_BEARER_TOKEN_", "AWS_SIGNIN_"];

/// Returns whether a variable names an endpoint of a library other than the SDKs: `AWS_S3_ENDPOINT` of GDAL, `AWS_ENDPOINT` of object_store
/// and Bun. `AWS_USE_FIPS_ENDPOINT` and `AWS_USE_DUALSTACK_ENDPOINT` only select one of AWS's own endpoints.
fn is_endpoint(name: &str) -> bool {
    let of_service = name.ends_with("_ENDPOINT") || name.ends_with("_ENDPOINT_URL");
    name.starts_with("AWS_") && of_service && !name.starts_with("AWS_USE_")
}

/// Returns whether the command must not inherit a variable.
fn is_stale(name: &str) -> bool {
    STALE.contains(&name) || STALE_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || is_endpoint(name)
}

/// The environment that Sentinel sets for every command.
#[derive(Debug)]
pub(super) struct Surroundings<'a> {
    pub(super) profile: &'a str,
    pub(super) region: &'a str,
    /// The account of the credentials, if known.
    pub(super) account: Option<&'a str>,
    /// The endpoint of the command line.
    pub(super) endpoint: Option<&'a str>,
}

impl Surroundings<'_> {
    /// Removes stale variables from the command's environment, and sets the current ones.
    pub(super) fn apply(&self, command: &mut Command) {
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(is_stale) {
                command.env_remove(name);
            }
        }
        command.env("AWS_REGION", self.region).env("AWS_DEFAULT_REGION", self.region);
        command.env("SENTINEL_PROFILE", self.profile).env(depth::VARIABLE, depth::for_command());
        command.envs(self.account.map(|account| ("AWS_ACCOUNT_ID", account)));
        command.envs(self.endpoint.map(|endpoint| ("AWS_ENDPOINT_URL", endpoint)));
    }
}

/// Runs a command together with other work, which never ends, and forwards signals to it.
pub(super) async fn supervise(
    words: &[OsString],
    command: Command,
    beside: impl Future<Output = ()>,
) -> Result<Exit, Error> {
    // Listens before the command starts: a signal in between waits for it instead of ending this process.
    let signals = Signals::listen();
    let failed = |error: std::io::Error| not_started(words, error);
    let mut watcher = Watcher::start().map_err(failed)?;
    let mut child = tokio::process::Command::from(command).spawn().map_err(failed)?;
    if let Err(error) = watcher.watch(child.id().unwrap_or_default()) {
        let _ = child.kill().await;
        return Err(failed(error));
    }
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let forwards = pid.map(|pid| signals.forward(pid)).unwrap_or_default();
    let ended = tokio::select! {
        ended = child.wait() => ended,
        () = beside => child.wait().await,
    };
    forwards.iter().for_each(JoinHandle::abort);
    watcher.end();
    ended.map(|status| Exit::Command(code(status))).map_err(failed)
}

/// Returns the exit code, as shells define it for a command that a signal ended.
fn code(status: ExitStatus) -> u8 {
    let signal = || status.signal().map_or(1, |signal| 128 + signal);
    u8::try_from(status.code().unwrap_or_else(signal)).unwrap_or(1)
}

/// The signals that are forwarded to the command.
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

    /// Forwards the signals. The keyboard sends signals to the whole foreground process group, so those are not sent twice.
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
