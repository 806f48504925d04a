//! `sentinel exec` and `sentinel credentials` with a broker, which decides and issues the credentials.

use std::sync::Arc;
use std::time::Duration;

use super::child::{Surroundings, supervise};
use super::exec::Asked;
use super::held::bound_to_server;
use super::serve::{bound, point_at};
use super::{Site, not_with_broker};
use crate::access::desk::Operation;
use crate::access::desk::credentials::{EndSession, Ending, Grant, Obtain, Ruling, StartSession, Starting};
use crate::access::server::{Answer, Refusal};
use crate::cli::{ExecArgs, GateArgs};
use crate::code::Code;
use crate::command::context::Context;
use crate::error::{Error, Exit};
use crate::policy::Mode;
use crate::resource::role::Credentials;

/// Refuses the options that the broker determines.
pub(super) fn check_options(args: &GateArgs) -> Result<(), Error> {
    let GateArgs {
        profile: _,
        credentials_profile,
        mfa_code,
        request_table: _,
        breakglass_table: _,
        log_file,
        log_stderr,
    } = args;
    let given = [
        ("--credentials-profile", credentials_profile.is_some()),
        ("--mfa-code", mfa_code.is_some()),
        ("--log-file", log_file.is_some()),
        ("--log-stderr", *log_stderr),
    ];
    match given.iter().find(|(_, given)| *given) {
        Some((option, _)) => Err(not_with_broker(option)),
        None => Ok(()),
    }
}

/// Sends an operation to the broker.
async fn ask<O: Operation>(site: &Site, operation: &O) -> Result<O::Answer, Error> {
    match &site.broker {
        Some(broker) => broker.ask(&site.gateway, operation).await,
        None => Err(Error::internal("there is no broker to ask")),
    }
}

/// Obtains credentials.
pub(super) async fn obtain(context: &Context, args: &GateArgs, asked: &Asked, mode: Mode) -> Result<Grant, Error> {
    let obtain = Obtain { profile: args.profile.clone(), mode, session: None };
    match ask(&asked.site, &obtain).await? {
        Ruling::Released(grant) => {
            super::breakglass::announce(context, &grant.opened_by);
            Ok(*grant)
        }
        Ruling::Refused(refused) => Err(asked.refused(context, &refused, "gets no credentials for")),
        Ruling::Failed => Err(failed(&args.profile)),
    }
}

fn failed(profile: &str) -> Error {
    let message = format!("access to {profile} is allowed, and the broker obtained no credentials");
    Error::Broker { code: Code::Role, message, hint: String::from("the log of the broker says why") }
}

/// A session of a credential server whose credentials a broker releases.
struct Serving {
    asked: Asked,
    profile: String,
    session: String,
}

impl Serving {
    async fn fetch(&self) -> Result<Credentials, Refusal> {
        let session = Some(self.session.clone());
        let obtain = Obtain { profile: self.profile.clone(), mode: Mode::Server, session };
        match ask(&self.asked.site, &obtain).await {
            Ok(Ruling::Released(grant)) => Ok(grant.credentials.into()),
            Ok(Ruling::Refused(refused)) => Err(Refusal::Denied(refused.why)),
            Ok(Ruling::Failed) => Err(Refusal::Failed(failed(&self.profile).to_string())),
            Err(error) if error.code() == Code::AccessDenied => Err(Refusal::Denied(error.to_string())),
            Err(error) => Err(Refusal::Failed(error.to_string())),
        }
    }
}

/// Serves credentials on loopback, each from the broker, until the command ends.
pub(super) async fn serve(context: &Context, args: &ExecArgs, asked: Asked) -> Result<Exit, Error> {
    if args.session_table.is_some() {
        return Err(not_with_broker("--session-table"));
    }
    let profile = args.gate.profile.clone();
    let started = ask(&asked.site, &StartSession { profile: profile.clone() }).await?;
    let (session, opened_by) = match started {
        Starting::Started { session, opened_by } => (session, opened_by),
        Starting::Refused(refused) => return Err(asked.refused(context, &refused, "gets no credentials for")),
    };
    super::breakglass::announce(context, &opened_by);
    let server = bound().await?;
    let mut command = bound_to_server(&args.command, &asked.dumps)?;
    let region = asked.site.region().to_string();
    let endpoint = context.global.endpoint_url.as_deref();
    Surroundings { profile: &profile, region: &region, account: None, endpoint }.apply(&mut command);
    point_at(&server, &mut command, &session);
    let serving = Arc::new(Serving { asked, profile, session });
    let answer: Answer = {
        let serving = Arc::clone(&serving);
        Arc::new(move || {
            let serving = Arc::clone(&serving);
            Box::pin(async move { serving.fetch().await })
        })
    };
    let ended = supervise(&args.command, command, server.run(answer)).await;
    let end = EndSession { id: serving.session.clone() };
    // The command has ended. A broker that does not respond delays its exit code only briefly.
    match tokio::time::timeout(Duration::from_secs(5), ask(&serving.asked.site, &end)).await {
        Ok(Ok(Ending::Recorded | Ending::NoSession)) => {}
        Ok(Err(error)) => context.progress.note(&format!("sentinel: the session's end was not recorded: {error}\n")),
        Err(_) => context.progress.note("sentinel: the session's end was not recorded in time\n"),
    }
    ended
}
