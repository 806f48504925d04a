//! `sentinel exec --server`: the policy is evaluated at every fetch, until the command ends or the session is revoked.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::child::{Surroundings, supervise};
use super::exec::{Asked, mfa_code, stamped, unlogged, without};
use super::held::bound_to_server;
use super::{Stopped, Table, now, random};
use crate::access::desk::credentials::OpenedBy;
use crate::access::gate::{AccessMode, Decision, User, Verdict};
use crate::access::log::Outcome;
use crate::access::server::{Answer, Refusal, Server};
use crate::access::sessions::{Over, RETENTION, Session, Sessions, Status};
use crate::access::{self, time};
use crate::cli::ExecArgs;
use crate::command::context::Context;
use crate::error::{Error, Exit};
use crate::manifest::Builtin;
use crate::policy::CredentialSource;
use crate::provider::{Issued, Origin, Stamp};
use crate::resource::role::Credentials;

/// The duration of credentials from a server. SDKs fetch new ones before that, and then the policy is evaluated.
const SERVED: Duration = Duration::from_secs(30 * 60);
/// The minimum remaining duration of cached credentials.
const LEFT: i64 = 16 * 60;

/// Credentials, and the attributes of their session.
struct Last {
    source_identity: String,
    issued: Issued,
}

/// A running session.
struct Serving {
    asked: Asked,
    origin: Origin,
    sessions: Table,
    session: String,
    /// The recorded session.
    record: Session,
    /// The reason why the session ended permanently, once it is revoked.
    revoked: std::sync::OnceLock<String>,
    user: User,
    /// The cached credentials.
    last: tokio::sync::Mutex<Option<Last>>,
}

impl Serving {
    /// Evaluates the policy, and returns credentials.
    async fn fetch(&self) -> Result<Credentials, Refusal> {
        let failed = |what: String| Refusal::Failed(what);
        let id = access::id().map_err(|error| failed(error.to_string()))?;
        let now = now();
        let asked = &self.asked;
        let (session_table, started) = (Some(self.sessions.name.as_str()), Some(self.record.started_at));
        let way = AccessMode::Server { session_table, started };
        let gate = asked.gate();
        let sessions = Sessions(asked.site.gateway.records(&self.sessions.name));
        let (seen, decision) =
            futures_util::future::join(sessions.seen(&self.record, now), gate.decide(Some(&self.user), way, &id, now))
                .await;
        let seen = seen.map_err(|error| failed(format!("the session cannot be read: {error}")))?;
        let mut decision = decision.map_err(|stopped| match stopped {
            Stopped::Call(error) => failed(error.to_string()),
            Stopped::WrongAccount(user) => Refusal::Denied(format!("wrong account {}", user.account)),
            Stopped::NoUser(why) | Stopped::NoRight(why) => Refusal::Denied(why),
            Stopped::Unlogged(path, error) => failed(format!("{}: {error}", path.display())),
        })?;
        if let Err(over) = seen {
            decision.decision = Verdict::Deny;
            decision.why = over.message(&self.session);
            if matches!(&over, Over::Session(session) if session.status == Status::Revoked) {
                let _ = self.revoked.set(decision.why.clone());
            }
        }
        // For this process, a revocation is final even if its record is deleted.
        if let Some(why) = self.revoked.get() {
            decision.decision = Verdict::Deny;
            decision.why.clone_from(why);
        }
        let log = |decision: &Decision, outcome: Outcome<'_>| {
            let written = asked.log.write(decision, Some(&self.session), outcome);
            written.map_err(|(path, error)| failed(format!("{}: {error}", path.display())))
        };
        let issued = if decision.allowed() { self.issue(&decision, now).await } else { Err(None) };
        let issued = match issued {
            Ok(issued) => issued,
            Err(Some(error)) => {
                log(&decision, Outcome::Failed(&error))?;
                return Err(failed(error));
            }
            Err(None) => {
                log(&decision, Outcome::Refused)?;
                return Err(Refusal::Denied(decision.why));
            }
        };
        let bound = &decision.bound;
        let excluded = bound.excludes_source(CredentialSource::own(issued.aws_profile.as_deref()));
        if let Some(why) = excluded.or_else(|| bound.excludes_role(issued.role_arn.as_deref())) {
            log(&decision.withheld(why.clone()), Outcome::Refused)?;
            return Err(Refusal::Denied(why));
        }
        log(&decision, Outcome::Released(&issued))?;
        Ok(issued.credentials)
    }

    /// Returns the cached credentials while they are valid, or new ones, or the reason why there are none.
    async fn issue(&self, decision: &Decision, now: Timestamp) -> Result<Issued, Option<String>> {
        let stamp = stamp_of(decision, &self.session, now).map_err(|error| Some(error.to_string()))?;
        let until = stamp.until;
        let mut last = self.last.lock().await;
        let lasts = |issued: &Issued| {
            issued.credentials.expires.is_none_or(|at| at - now.as_second() >= LEFT || Some(at) == until)
        };
        let again = last.as_ref().filter(|last| last.source_identity == stamp.source_identity && lasts(&last.issued));
        let mut issued = if let Some(Last { issued, .. }) = again {
            issued.clone()
        } else {
            let fresh = self.asked.site.gateway.credentials(&self.origin, &stamp).await;
            let fresh = fresh.map_err(|none| Some(none.to_string()))?;
            *last = Some(Last { source_identity: stamp.source_identity, issued: fresh.clone() });
            fresh
        };
        // Credentials that are valid longer expire early too, so that SDKs notice a revocation.
        let soon = now.as_second() + i64::try_from(SERVED.as_secs()).unwrap_or(i64::MAX);
        let ends = [issued.credentials.expires, until, Some(soon)].into_iter().flatten().min();
        issued.credentials.expires = ends;
        Ok(issued)
    }
}

/// Returns the attributes of the session: the ID of the request or event that allowed the access, or else of the session.
fn stamp_of(decision: &Decision, session: &str, now: Timestamp) -> Result<Stamp, Error> {
    let id = decision.request_id.as_deref().or(decision.breakglass_id.as_deref()).unwrap_or(session);
    stamped(decision, id, Some(SERVED), now)
}

/// Returns a server on a free port.
pub(super) async fn bound() -> Result<Server, Error> {
    Server::bind(random(access::token())?).await.map_err(|error| {
        Error::system("the credential server cannot listen on 127.0.0.1", Some("is loopback up?"), error)
    })
}

/// Configures a command to get its credentials only from a server.
pub(super) fn point_at(server: &Server, command: &mut Command, session: &str) {
    command.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", server.url());
    command.env("AWS_CONTAINER_AUTHORIZATION_TOKEN", server.token().reveal());
    // SDKs would prefer a default profile in the shared files to the server, and would use an instance's role if the server refuses. The
    // policy covers neither.
    command.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    command.env("AWS_EC2_METADATA_DISABLED", "true").env("SENTINEL_SESSION_ID", session);
}

pub(super) async fn run(context: &Context, args: &ExecArgs, asked: Asked) -> Result<Exit, Error> {
    let session = random(access::id())?;
    let decision =
        asked.decide(AccessMode::Server { session_table: args.session_table.as_deref(), started: None }).await?;
    if !decision.allowed() {
        return Err(asked.refuse(context, &decision, Some(&session)));
    }
    let mut sessions = asked.site.table(Builtin::Sessions, args.session_table.as_deref())?;
    if let Some(wanted) = decision.session_table.clone() {
        sessions = Table { name: wanted, source: String::from("from the policy"), ..sessions };
    }
    let origin = match asked.origin(context, &args.gate).await {
        Ok(origin) => origin,
        Err(error) => return Err(asked.fail(&decision, Some(&session), error)),
    };
    if let Some(why) = decision.bound.excludes_source(CredentialSource::own(origin.aws_profile())) {
        return Err(asked.refuse(context, &decision.withheld(why), Some(&session)));
    }
    asked.log.write(&decision, Some(&session), Outcome::Started).map_err(unlogged)?;
    super::breakglass::announce(context, &OpenedBy::of(&decision));
    let user = decision.user.clone();
    let code = mfa_code(context, &args.gate, &asked, &origin).await?;
    let mut stamp = match stamp_of(&decision, &session, now()) {
        Ok(stamp) => stamp,
        Err(error) => return Err(asked.fail(&decision, Some(&session), error)),
    };
    let source_identity = stamp.source_identity.clone();
    let now = now();
    let record = Session {
        id: session.clone(),
        user: user.name.clone(),
        user_arn: Some(user.arn.clone()),
        user_id: user.id_to_record(),
        profile: asked.profile.clone(),
        status: Status::Active,
        started_at: now,
        last_seen_at: now,
        expires_at: time::later(now, RETENTION),
        server_instance_id: random(access::id())?,
        source_identity: source_identity.clone(),
        revoked_by: None,
        revoked_by_arn: None,
        revoked_at: None,
        revoked_reason: None,
        old_form: false,
    };
    let last = tokio::sync::Mutex::default();
    let revoked = std::sync::OnceLock::new();
    let serving = Serving { asked, origin, sessions, session, record, revoked, user, last };
    if code.is_some() {
        // A code is valid for one set of credentials, so they are requested for the longest duration, while the user is present.
        (stamp.mfa_code, stamp.duration) = (code, None);
        let taken = serving.asked.site.gateway.credentials(&serving.origin, &stamp).await;
        *serving.last.lock().await = Some(Last { source_identity, issued: taken.map_err(without)? });
    }
    super::exec::tell_emulator(context, &args.command);
    let server = bound().await?;
    let mut command = bound_to_server(&args.command, &serving.asked.dumps)?;
    let region = serving.asked.child_region(&serving.origin).await?;
    let endpoint = context.global.endpoint_url.as_deref();
    Surroundings { profile: &serving.asked.profile, region: &region, account: None, endpoint }.apply(&mut command);
    point_at(&server, &mut command, &serving.session);
    let site = &serving.asked.site;
    let records = Sessions(site.gateway.records(&serving.sessions.name));
    let started = records.start(&serving.record).await;
    started.map_err(|error| site.of_table(context, &serving.sessions, error))?;
    let serving = Arc::new(serving);
    let answer: Answer = {
        let serving = Arc::clone(&serving);
        Arc::new(move || {
            let serving = Arc::clone(&serving);
            Box::pin(async move { serving.fetch().await })
        })
    };
    let ended = supervise(&args.command, command, server.run(answer)).await;
    let site = &serving.asked.site;
    let records = Sessions(site.gateway.records(&serving.sessions.name));
    // The command has ended. A table that does not respond delays its exit code only briefly.
    match tokio::time::timeout(Duration::from_secs(5), records.end(&serving.record, super::now())).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => context.progress.note(&format!("sentinel: the session's end was not recorded: {error}\n")),
        Err(_) => context.progress.note("sentinel: the session's end was not recorded in time\n"),
    }
    ended
}
