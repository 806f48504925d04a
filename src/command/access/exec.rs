//! `sentinel exec` and `sentinel credentials`.

use std::ffi::OsString;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustix::process::{Pid, Signal};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use super::{Site, Stopped, Table, denied, now, random};
use crate::access::gate::{Consulted, Decision, Gate, Remedy, User, Verdict, Way};
use crate::access::log::Log;
use crate::access::server::{Answer, Refusal, Server};
use crate::access::sessions::{REMEMBERED, Session, Sessions, Status};
use crate::access::{self, stamp, time};
use crate::cli::{CredentialsArgs, ExecArgs, GateArgs};
use crate::command::context::Context;
use crate::error::{Error, Exit};
use crate::manifest::Builtin;
use crate::provider::{Named, NoCredentials, Origin, Stamp};
use crate::report::{escape, json};
use crate::resource::call::Class;
use crate::resource::role::{Credentials, session_name};

/// How long credentials from a server last, for those who fetch them: SDKs come back when a good part of it is over, and
/// then the policy decides again.
const SERVED: Duration = Duration::from_secs(30 * 60);
/// The least that is left of credentials that are handed out again.
const LEFT: i64 = 16 * 60;

/// A gate that is ready to be asked.
struct Asked {
    site: Site,
    profile: String,
    parameter: String,
    requests: Table,
    breakglass: Table,
    log: Log,
}

impl Asked {
    async fn new(context: &Context, args: &GateArgs) -> Result<Self, Error> {
        let log = Log::open(args.log_file.as_deref(), args.log_stderr).map_err(unlogged)?;
        let site = Site::new(context).await?;
        site.gateway.check_asking().await.map_err(|none| without(&none))?;
        let parameter = site.parameter(&args.profile);
        let requests = site.table(Builtin::Approvals, args.request_table.request_table.as_deref())?;
        let breakglass = site.table(Builtin::BreakGlass, args.breakglass_table.breakglass_table.as_deref())?;
        Ok(Self { site, profile: args.profile.clone(), parameter, requests, breakglass, log })
    }

    fn gate(&self) -> Gate<'_> {
        Gate {
            gateway: &self.site.gateway,
            profile: &self.profile,
            parameter: &self.parameter,
            requests: &self.requests.name,
            breakglass: &self.breakglass.name,
        }
    }

    async fn decide(&self, way: Way<'_>) -> Result<Decision, Error> {
        let id = random(access::id())?;
        let decided = self.gate().decide(None, self.site.account(), way, &id, now()).await;
        decided.map_err(|stopped| self.site.stopped(stopped))
    }

    /// Returns the refusal that a decision is, with what would help.
    fn refusal(&self, context: &Context, decision: &Decision) -> Error {
        // What a policy says must not pass for a line of ours.
        let why = escape(&decision.why);
        let mut message = format!("{} gets no credentials of {}: {why}", decision.user.name, self.profile);
        if let Some(reason) = &decision.reason {
            message.push_str(&format!("\nreason: {}", escape(reason)));
        }
        for (consulted, error) in &decision.unread {
            let table = match consulted {
                Consulted::Requests => &self.requests,
                Consulted::BreakGlass => &self.breakglass,
            };
            let unread = self.site.of_table(context, table, error.clone());
            let hint = unread.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
            message.push_str(&format!("\n{unread}{hint}"));
        }
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let root = context.global.policy_root.clone();
        let command = |words: Vec<String>, root| self.site.command(context, words, root);
        let hint = match decision.remedy {
            None => String::new(),
            Some(Remedy::Policy) => {
                let words = words(&["sentinel", "init", "bootstrap", "--profile", &self.profile]);
                format!("start one with: {}", command(words, root))
            }
            Some(Remedy::Validate) => String::from("put it in order, and check it with: sentinel validate"),
            Some(Remedy::Request) => {
                let why = "why you need it, in 10 to 500 characters";
                let mut words = words(&["sentinel", "request", "--profile", &self.profile, "--justification", why]);
                words.extend(self.requests.flag());
                format!("ask for it with: {}", command(words, None))
            }
            Some(Remedy::Server) => {
                let words = words(&["sentinel", "exec", "--server", "--profile", &self.profile]);
                format!("{} -- COMMAND", command(words, root))
            }
        };
        denied(message, hint)
    }

    /// Tells whose credentials the profile's are, and says so where it is not plain.
    async fn origin(&self, context: &Context, args: &GateArgs) -> Result<Origin, Error> {
        let on_the_command_line = context.global.aws_profile.as_deref();
        let named = Named {
            for_credentials: args.credentials_profile.as_deref(),
            on_the_command_line,
            in_the_manifest: self.site.profile_from_manifest,
        };
        let origin = self.site.gateway.origin(&self.profile, &named).await.map_err(|none| without(&none))?;
        if let Origin::Profile(name) = &origin
            && args.credentials_profile.is_none()
            && *name != self.profile
        {
            context.progress.note(&format!(
                "sentinel: these are the credentials of the AWS profile {name}, not of {}\n",
                self.profile
            ));
        }
        Ok(origin)
    }
}

fn unlogged((path, error): (std::path::PathBuf, std::io::Error)) -> Error {
    Error::File {
        path: path.display().to_string(),
        what: format!("the decision cannot be logged: {error}"),
        hint: Some(String::from("choose another --log-file; what cannot be logged is not done")),
    }
}

/// Says why there are no credentials, and what would help.
fn without(none: &NoCredentials) -> Error {
    let hint = match none {
        NoCredentials::NoProfile(_) => {
            String::from("add it, or name the AWS profile whose credentials are meant with --credentials-profile NAME")
        }
        NoCredentials::Circle(_) => String::from("name the one that asks with --aws-profile NAME"),
        NoCredentials::Files(_) => String::from("put ~/.aws/config and ~/.aws/credentials in order"),
        NoCredentials::Mfa(_) => {
            String::from("use one whose credentials have passed MFA already, such as one of IAM Identity Center")
        }
        NoCredentials::Profile { profile, .. } => {
            format!("put it in order in ~/.aws/config; renew a session with: aws sso login --profile {profile}")
        }
        NoCredentials::Own(_) => String::from("give credentials, or name an AWS profile with --credentials-profile"),
        NoCredentials::Role { error, .. } if error.class == Class::Denied => String::from(
            "the caller's permissions and the role's trust policy have to allow sts:AssumeRole and \
             sts:SetSourceIdentity; a source identity that is set already cannot be changed",
        ),
        NoCredentials::Role { .. } => String::from("-v shows each call"),
    };
    Error::usage(none.to_string(), hint)
}

fn stamped(user: &User, id: &str, duration: Option<Duration>) -> Stamp {
    Stamp { source_identity: stamp::source_identity(&user.name, id), session_name: session_name(&user.name), duration }
}

/// Decides, logs, and returns the credentials.
async fn obtain(context: &Context, args: &GateArgs, way: Way<'_>) -> Result<(Asked, Origin, Credentials), Error> {
    let asked = Asked::new(context, args).await?;
    let decision = asked.decide(way).await?;
    if !decision.allowed() {
        asked.log.write(&decision, None, None).map_err(unlogged)?;
        return Err(asked.refusal(context, &decision));
    }
    let origin = asked.origin(context, args).await?;
    let stamp = stamped(&decision.user, decision.stamp_id(), None);
    asked.log.write(&decision, None, Some(&stamp.source_identity)).map_err(unlogged)?;
    let credentials = asked.site.gateway.credentials(&origin, &stamp).await.map_err(|none| without(&none))?;
    Ok((asked, origin, credentials))
}

pub(super) async fn credentials(context: &Context, args: &CredentialsArgs) -> Result<Exit, Error> {
    let (_, _, credentials) = obtain(context, &args.gate, Way::CredentialProcess).await?;
    let expiration = credentials.expires.and_then(|at| Timestamp::from_second(at).ok());
    let mut body = json!({
        "Version": 1,
        "AccessKeyId": credentials.access_key_id,
        "SecretAccessKey": credentials.secret_access_key,
    });
    if let Some(token) = credentials.session_token {
        body["SessionToken"] = json!(token);
    }
    if let Some(expiration) = expiration {
        body["Expiration"] = json!(expiration.to_string());
    }
    // Readers of this document are SDKs, on a terminal or not. They pass over what they do not know.
    let line = |body: serde_json::Value| body.to_string() + "\n";
    let text = body.clone();
    context.terminal.either(|| line(text), || json::document("credentials", body));
    Ok(Exit::Done)
}

pub(super) async fn run(context: &Context, args: &ExecArgs) -> Result<Exit, Error> {
    let (asked, origin, credentials) = obtain(context, &args.gate, Way::Cli).await?;
    let mut command = command(&args.command);
    environment(&mut command, &asked, &origin).await?;
    command.env("AWS_ACCESS_KEY_ID", &credentials.access_key_id);
    command.env("AWS_SECRET_ACCESS_KEY", &credentials.secret_access_key);
    if let Some(token) = &credentials.session_token {
        command.env("AWS_SESSION_TOKEN", token);
    }
    if let Some(at) = credentials.expires.and_then(|at| Timestamp::from_second(at).ok()) {
        command.env("AWS_CREDENTIAL_EXPIRATION", at.to_string());
    }
    // The command takes this process's place: its signals, its terminal and its exit code are its own.
    Err(not_started(&args.command, &command.exec()))
}

fn command(words: &[OsString]) -> Command {
    let (program, arguments) =
        words.split_first().map_or((OsString::new(), [].as_slice()), |(program, rest)| (program.clone(), rest));
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

fn not_started(words: &[OsString], error: &std::io::Error) -> Error {
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
async fn environment(command: &mut Command, asked: &Asked, origin: &Origin) -> Result<(), Error> {
    for variable in CREDENTIAL_VARIABLES {
        command.env_remove(variable);
    }
    let region = asked.site.gateway.region(origin).await.map_err(|none| without(&none))?;
    let region = region.unwrap_or_else(|| asked.site.region().to_owned());
    command.env("AWS_REGION", &region).env("AWS_DEFAULT_REGION", &region);
    command.env("SENTINEL_PROFILE", &asked.profile);
    Ok(())
}

/// A session that is being served.
struct Serving {
    asked: Asked,
    origin: Origin,
    sessions: Table,
    session: String,
    user: User,
    /// The last credentials, and what they are stamped with.
    last: tokio::sync::Mutex<Option<(String, Credentials)>>,
}

impl Serving {
    /// Returns what stamps credentials: a request's id or an event's where one opened the gate, otherwise the session's.
    fn stamp(&self, decision: &Decision) -> Stamp {
        let id = decision.request_id.as_ref().or(decision.breakglass_id.as_ref()).unwrap_or(&self.session);
        stamped(&self.user, id, Some(SERVED))
    }

    /// Decides anew, and returns credentials.
    async fn fetch(&self) -> Result<Credentials, Refusal> {
        let failed = |what: String| Refusal::Failed(what);
        let id = access::id().map_err(|error| failed(error.to_string()))?;
        let now = now();
        let (asked, account) = (&self.asked, self.asked.site.account());
        let way = Way::Server { session_table: Some(&self.sessions.name) };
        let gate = asked.gate();
        let sessions = Sessions(asked.site.gateway.records(&self.sessions.name));
        let (seen, decision) = futures_util::future::join(
            sessions.seen(&self.session, now),
            gate.decide(Some(&self.user), account, way, &id, now),
        )
        .await;
        let seen = seen.map_err(|error| failed(format!("the session cannot be looked at: {error}")))?;
        let mut decision = decision.map_err(|stopped| match stopped {
            Stopped::Call(error) => failed(error.to_string()),
            Stopped::NoUser(why) => Refusal::Denied(why),
            Stopped::WrongAccount { account } => Refusal::Denied(format!("wrong account {account}")),
        })?;
        if let Err(session) = seen {
            decision.decision = Verdict::Deny;
            decision.why = over(&self.session, session.as_ref());
        }
        let stamp = self.stamp(&decision);
        let logged = Some(stamp.source_identity.as_str()).filter(|_| decision.allowed());
        let written = asked.log.write(&decision, Some(&self.session), logged);
        written.map_err(|(path, error)| failed(format!("{}: {error}", path.display())))?;
        if !decision.allowed() {
            return Err(Refusal::Denied(decision.why));
        }
        self.credentials(stamp, now).await
    }

    async fn credentials(&self, stamp: Stamp, now: Timestamp) -> Result<Credentials, Refusal> {
        let mut last = self.last.lock().await;
        let lasts = |credentials: &Credentials| credentials.expires.is_none_or(|at| at - now.as_second() >= LEFT);
        let again = last.as_ref().filter(|(of, credentials)| *of == stamp.source_identity && lasts(credentials));
        let mut credentials = if let Some((_, credentials)) = again {
            credentials.clone()
        } else {
            let fresh = self.asked.site.gateway.credentials(&self.origin, &stamp).await;
            let fresh = fresh.map_err(|none| Refusal::Failed(none.to_string()))?;
            *last = Some((stamp.source_identity, fresh.clone()));
            fresh
        };
        // Also those that would last longer are fetched again, so that a revocation is felt.
        let soon = now.as_second() + i64::try_from(SERVED.as_secs()).unwrap_or(i64::MAX);
        credentials.expires = Some(credentials.expires.map_or(soon, |at| at.min(soon)));
        Ok(credentials)
    }
}

/// Says what has become of a session.
fn over(id: &str, session: Option<&Session>) -> String {
    let Some(session) = session else { return format!("session {id} is not there any more") };
    let by = session.revoked_by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
    let why = session.revoked_reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    format!("session {id} is {}{by}{why}", session.status.word())
}

pub(super) async fn serve(context: &Context, args: &ExecArgs) -> Result<Exit, Error> {
    let asked = Asked::new(context, &args.gate).await?;
    let session = random(access::id())?;
    let decision = asked.decide(Way::Server { session_table: args.session_table.as_deref() }).await?;
    if !decision.allowed() {
        asked.log.write(&decision, Some(&session), None).map_err(unlogged)?;
        return Err(asked.refusal(context, &decision));
    }
    let mut sessions = asked.site.table(Builtin::Sessions, args.session_table.as_deref())?;
    if let Some(wanted) = decision.session_table.clone() {
        sessions = Table { name: wanted, source: String::from("from the policy"), ..sessions };
    }
    let origin = asked.origin(context, &args.gate).await?;
    asked.log.write(&decision, Some(&session), None).map_err(unlogged)?;
    let user = decision.user.clone();
    let serving = Serving { asked, origin, sessions, session, user, last: tokio::sync::Mutex::default() };
    let source_identity = serving.stamp(&decision).source_identity;
    let now = now();
    let record = Session {
        id: serving.session.clone(),
        user: serving.user.name.clone(),
        profile: serving.asked.profile.clone(),
        status: Status::Active,
        started_at: now,
        last_seen_at: now,
        expires_at: time::later(now, REMEMBERED),
        server_instance_id: random(access::id())?,
        source_identity,
        revoked_by: None,
        revoked_at: None,
        revoked_reason: None,
    };
    let server = Server::bind(random(access::token())?).await;
    let server = server.map_err(|error| {
        Error::usage(format!("the credential server cannot listen on 127.0.0.1: {error}"), "is loopback up?")
    })?;
    let mut command = command(&args.command);
    environment(&mut command, &serving.asked, &serving.origin).await?;
    command.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", server.url());
    command.env("AWS_CONTAINER_AUTHORIZATION_TOKEN", server.token());
    // A default profile in the shared files would go before the server, and an instance's role would come after it when
    // it refuses: neither is what the policy decides on.
    command.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    command.env("AWS_EC2_METADATA_DISABLED", "true").env("SENTINEL_SESSION_ID", &serving.session);
    let site = &serving.asked.site;
    let records = Sessions(site.gateway.records(&serving.sessions.name));
    let started = records.start(&record).await;
    started.map_err(|error| site.of_table(context, &serving.sessions, error))?;
    let serving = Arc::new(serving);
    let ended = supervise(&args.command, command, &server, &serving).await;
    let site = &serving.asked.site;
    let records = Sessions(site.gateway.records(&serving.sessions.name));
    // The command is over: its exit code is not held up for long by a table that does not answer.
    match tokio::time::timeout(Duration::from_secs(5), records.end(&serving.session, super::now())).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => context.progress.note(&format!("sentinel: the session's end was not recorded: {error}\n")),
        Err(_) => context.progress.note("sentinel: the session's end was not recorded in time\n"),
    }
    ended
}

/// Runs the command beside the server, and passes signals on to it.
async fn supervise(
    words: &[OsString],
    command: Command,
    server: &Server,
    serving: &Arc<Serving>,
) -> Result<Exit, Error> {
    let answer: Answer = {
        let serving = Arc::clone(serving);
        Arc::new(move || {
            let serving = Arc::clone(&serving);
            Box::pin(async move { serving.fetch().await })
        })
    };
    // Listened for before there is a command: one that comes in between waits for it, and does not end this process.
    let signals = Signals::listen();
    let mut child = tokio::process::Command::from(command).spawn().map_err(|error| not_started(words, &error))?;
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let forwards = pid.map(|pid| signals.forward(pid)).unwrap_or_default();
    let ended = tokio::select! {
        ended = child.wait() => ended,
        () = server.run(answer) => child.wait().await,
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
        let terminal = std::fs::File::open("/dev/tty").ok();
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
