//! `sentinel server-sessions`, `server-session`, `server-revoke`.

use serde_json::json;

use super::unknown::Missing;
use super::{Site, Table, denied, show_list};
use crate::access::desk::ListOf;
use crate::access::desk::sessions::{Check, List, Revoke};
use crate::access::sessions::{Revoked, Session, Status};
use crate::cli::{SessionIdArgs, SessionListArgs, SessionRevokeArgs, SessionTable};
use crate::command::context::Context;
use crate::error::{Error, Exit};
use crate::manifest::Builtin;
use crate::report::access::{session as rendered, sessions as table_of};
use crate::report::json;

async fn site(context: &Context, table: &SessionTable) -> Result<(Site, Table), Error> {
    let site = Site::new(context).await?;
    let table = site.table(Builtin::Sessions, table.session_table.as_deref())?;
    Ok((site, table))
}

const OLD_FORM: &str = "it is served by an older version of Sentinel, which does not check revocations";
const END_IT: &str = "end its process, and start the server with this version of Sentinel";

fn document(command: &str, session: &Session) -> json::Document {
    json::document(command, json!({ "session": session }))
}

/// Returns the description of a record that does not exist.
const fn missing(id: &str) -> Missing<'_> {
    Missing { what: "session", id, list: &["server-sessions"], listed: "yours" }
}

pub(in crate::command) async fn list(context: &Context, args: &SessionListArgs) -> Result<Exit, Error> {
    let (site, table) = site(context, &args.table).await?;
    let wanted = List {
        user: args.user.clone(),
        instance: args.server_instance.clone(),
        status: args.status,
        limit: args.limit.most() as u64,
    };
    let ListOf { listed, of } = site.perform(context, &table, &wanted).await?;
    let server = args.server_instance.as_deref();
    let words = [("of", of.as_deref()), ("of server", server), ("that are", args.status.map(Status::word))];
    show_list(context, &table, ("server-sessions", "sessions"), ("Sessions", &words), &listed, table_of)?;
    Ok(Exit::Done)
}

pub(in crate::command) async fn check(context: &Context, args: &SessionIdArgs) -> Result<Exit, Error> {
    let (site, table) = site(context, &args.table).await?;
    let Some(session) = site.perform(context, &table, &Check { id: args.id.clone() }).await? else {
        return Err(site.no_record(context, &table, &missing(&args.id)));
    };
    if session.old_form {
        context.progress.note(&format!("sentinel: session {}: {OLD_FORM}; {END_IT}\n", session.id));
    }
    context.terminal.either(|| rendered(&session), || document("server-session", &session))?;
    Ok(Exit::Done)
}

pub(in crate::command) async fn revoke(context: &Context, args: &SessionRevokeArgs) -> Result<Exit, Error> {
    let (site, table) = site(context, &args.table).await?;
    let revoke = Revoke { id: args.id.clone(), reason: args.reason.clone() };
    let session = match site.perform(context, &table, &revoke).await? {
        Revoked::Done(session) => session,
        Revoked::Unknown => return Err(site.no_record(context, &table, &missing(&args.id))),
        Revoked::Unseen => {
            let message = format!("there is no session {} in the table {} ({})", args.id, table.name, table.source);
            let hint = "the revocation is recorded anyway, and applies if the session's record reappears";
            return Err(Error::NoRecord { message, hint: hint.to_owned() });
        }
        Revoked::Ended(session) => {
            let message = format!("session {} has already ended", session.id);
            return Err(denied(message, "the revocation is recorded anyway, and applies if its record changes"));
        }
        Revoked::Over(session) if session.old_form && session.status != Status::Revoked => {
            return Err(denied(format!("session {} cannot be revoked: {OLD_FORM}", args.id), END_IT));
        }
        Revoked::Over(session) => {
            let by = session.revoked_by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
            let message = format!("session {} is already {}{by}", args.id, session.status.word());
            return Err(denied(message, ""));
        }
    };
    context.terminal.either(|| rendered(&session), || document("server-revoke", &session))?;
    Ok(Exit::Done)
}
