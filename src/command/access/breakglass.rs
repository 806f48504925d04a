//! `sentinel breakglass`, `breakglass-list`, `breakglass-check`, `breakglass-close`.

use serde_json::json;

use super::exec::{Asked, unlogged};
use super::unknown::Missing;
use super::{By, OnRecord, Site, Table, denied, show_list};
use crate::access::breakglass::{Closed, Event, Status};
use crate::access::desk::ListOf;
use crate::access::desk::breakglass::{Check, Close, List, Open, Opening};
use crate::access::desk::credentials::OpenedBy;
use crate::access::emergency::Action;
use crate::access::log::Log;
use crate::cli::{BreakglassArgs, BreakglassCloseArgs, BreakglassIdArgs, BreakglassListArgs, BreakglassTable};
use crate::command::context::Context;
use crate::error::{Error, Exit};
use crate::manifest::Builtin;
use crate::report::access::{event as rendered, events as table_of};
use crate::report::{escape, json};

async fn site(context: &Context, table: &BreakglassTable) -> Result<(Site, Table), Error> {
    let site = Site::new(context).await?;
    let table = site.table(Builtin::BreakGlass, table.breakglass_table.as_deref())?;
    Ok((site, table))
}

fn document(command: &str, event: &Event) -> json::Document {
    json::document(command, json!({ "event": event }))
}

/// Reports that a break-glass event gives access, because its use must not go unnoticed.
pub(super) fn announce(context: &Context, opened_by: &OpenedBy) {
    let OpenedBy { user, profile, breakglass_id: Some(id), breakglass: Some(used) } = opened_by else { return };
    let what = match used.action {
        Action::Opened => "opened",
        Action::Used => "used",
        Action::Refused => return,
    };
    let until = used.expires_at.strftime("%Y-%m-%d %H:%M:%S UTC");
    let (id, why) = (escape(id), escape(&used.justification));
    context.progress.note(&format!(
        "sentinel: BREAK-GLASS {what} by {} for {}: event {id} ({}), until {until}\n\
         sentinel: BREAK-GLASS reason: {why}\n",
        escape(user),
        escape(profile),
        escape(&used.reason_code),
    ));
}

pub(in crate::command) async fn open(context: &Context, args: &BreakglassArgs) -> Result<Exit, Error> {
    let log = Log::open(args.log_file.as_deref()).map_err(unlogged)?;
    let log = if args.log_stderr { log.and_stderr() } else { log };
    let asked = Asked::for_breakglass(context, args, log).await?;
    let open = Open {
        profile: args.profile.clone(),
        reason_code: args.reason_code.word().to_owned(),
        justification: args.justification.clone(),
        duration: i64::try_from(args.duration.as_secs()).unwrap_or(i64::MAX),
    };
    let on = (&asked.breakglass, &asked.tables());
    match asked.site.perform_on(context, on, &asked.log, &open).await? {
        Opening::Opened { event, breakglass } => {
            let opened_by = OpenedBy {
                user: event.invoker.clone(),
                profile: event.profile.clone(),
                breakglass_id: Some(event.id.clone()),
                breakglass: Some(breakglass),
            };
            announce(context, &opened_by);
            context.terminal.either(|| rendered(&event), || document("breakglass", &event))?;
            Ok(Exit::Done)
        }
        Opening::Refused(refused) => Err(asked.refused(context, &refused, "cannot use break-glass for")),
        Opening::Another(held) => Err(another(context, &asked, &held)),
        Opening::Taken(event) => {
            let message =
                format!("another break-glass event of {} for {} is being opened", event.invoker, event.profile);
            Err(denied(message, "try again in a moment"))
        }
        Opening::NoId(arn) => Err(Error::NoUser(format!(
            "AWS STS names no unique ID for {arn}, which a break-glass event is recorded under"
        ))),
    }
}

/// Returns the error for a second event of a user for a profile.
fn another(context: &Context, asked: &Asked, held: &Event) -> Error {
    let message = format!("{} already has an active break-glass event for {}: {}", held.invoker, held.profile, held.id);
    let close = asked.site.on_record(
        context,
        &OnRecord { command: "breakglass-close", id: &held.id, by: By::Caller },
        &asked.breakglass,
    );
    denied(message, format!("use that event, or close it with: {close}"))
}

/// Returns the description of a record that does not exist.
const fn missing(id: &str) -> Missing<'_> {
    Missing { what: "break-glass event", id, list: &["breakglass-list"], listed: "yours" }
}

pub(in crate::command) async fn list(context: &Context, args: &BreakglassListArgs) -> Result<Exit, Error> {
    let (site, table) = site(context, &args.table).await?;
    let wanted = List {
        invoker: args.invoker.clone(),
        profile: args.profile.clone(),
        status: args.status,
        limit: args.limit.most() as u64,
    };
    let ListOf { listed, of } = site.perform(context, &table, &wanted).await?;
    let words = [("by", of.as_deref()), ("for", args.profile.as_deref()), ("that are", args.status.map(Status::word))];
    show_list(context, &table, ("breakglass-list", "events"), ("Break-glass events", &words), &listed, table_of)?;
    Ok(Exit::Done)
}

pub(in crate::command) async fn check(context: &Context, args: &BreakglassIdArgs) -> Result<Exit, Error> {
    let (site, table) = site(context, &args.table).await?;
    let Some(event) = site.perform(context, &table, &Check { id: args.id.clone() }).await? else {
        return Err(site.no_record(context, &table, &missing(&args.id)));
    };
    if let Some(problem) = event.problem {
        context.progress.note(&format!("sentinel: event {} is not honored: {}\n", event.id, problem.explanation()));
    }
    context.terminal.either(|| rendered(&event), || document("breakglass-check", &event))?;
    Ok(Exit::Done)
}

pub(in crate::command) async fn close(context: &Context, args: &BreakglassCloseArgs) -> Result<Exit, Error> {
    let (site, table) = site(context, &args.table).await?;
    let close = Close { id: args.id.clone(), reason: args.reason.clone() };
    let event = match site.perform(context, &table, &close).await? {
        Closed::Done(event) => event,
        Closed::Unknown => return Err(site.no_record(context, &table, &missing(&args.id))),
        Closed::Over(event) => {
            if let Some(problem) = event.problem.filter(|_| event.status == Status::Invalid) {
                return Err(denied(
                    format!("break-glass event {} does not count: {}", args.id, problem.explanation()),
                    "",
                ));
            }
            let by = event.closed_by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
            let message = format!("break-glass event {} is already {}{by}", args.id, event.status.word());
            return Err(denied(message, ""));
        }
    };
    context.terminal.either(|| rendered(&event), || document("breakglass-close", &event))?;
    Ok(Exit::Done)
}
