//! `sentinel breakglass`, `breakglass-list`, `breakglass-check`, `breakglass-close`.

use serde_json::json;

use super::exec::{Asked, unlogged};
use super::{By, OnRecord, Site, Table, denied, now, random, show_list};
use crate::access::breakglass::{Closed, Event, Events, Excess, Filter, Opened, Status};
use crate::access::emergency::{Action, Breakglass};
use crate::access::gate::{Decision, Remedy};
use crate::access::log::{Log, Outcome};
use crate::access::{self, time};
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

/// Says that a break-glass event gives access: what happens in an emergency must not go unnoticed.
pub(super) fn announce(context: &Context, decision: &Decision) {
    let (Some(id), Some(used)) = (&decision.breakglass_id, &decision.breakglass) else { return };
    let what = match used.action {
        Action::Opened => "opened",
        Action::Used => "used",
        Action::Refused => return,
    };
    let Decision { user, profile, .. } = decision;
    let until = used.expires_at.strftime("%Y-%m-%d %H:%M:%S UTC");
    let (id, why) = (escape(id), escape(&used.justification));
    context.progress.note(&format!(
        "sentinel: BREAK-GLASS {what} by {} for {profile}: event {id} ({}), until {until}\n\
         sentinel: BREAK-GLASS reason: {why}\n",
        escape(&user.name),
        escape(&used.reason_code),
    ));
}

pub(in crate::command) async fn open(context: &Context, args: &BreakglassArgs) -> Result<Exit, Error> {
    let log = Log::open(args.log_file.as_deref()).map_err(unlogged)?;
    let log = if args.log_stderr { log.and_stderr() } else { log };
    let asked = Asked::for_breakglass(context, args, log).await?;
    let (site, table) = (&asked.site, &asked.breakglass);
    let user = site.user().await?;
    if user.user_id.is_empty() {
        let message =
            format!("AWS STS names no unique ID for {}, which a break-glass event is recorded under", user.arn);
        return Err(Error::NoUser(message));
    }
    let now = now();
    let event = Event {
        id: random(access::id())?,
        invoker: user.name.clone(),
        invoker_arn: Some(user.arn.clone()),
        profile: args.profile.clone(),
        reason_code: args.reason_code.word().to_owned(),
        justification: args.justification.clone(),
        status: Status::Active,
        created_at: now,
        expires_at: time::later(now, i64::try_from(args.duration.as_secs()).unwrap_or(i64::MAX)),
        closed_by: None,
        closed_by_arn: None,
        closed_at: None,
        closed_reason: None,
        problem: None,
    };
    let events = Events(site.gateway.records(&table.name));
    let failed = |error| site.of_table(context, table, error);
    let (mut decision, limits) =
        asked.gate().may_open(&user, &random(access::id())?, now).await.map_err(|stopped| site.stopped(stopped))?;
    if decision.allowed() {
        if let Some(held) = events.active(&user, &event.profile, now).await.map_err(failed)? {
            return Err(another(context, &asked, &held));
        }
        let usage = events.usage(&user, &event, limits, now).await.map_err(failed)?;
        let lasting = i64::try_from(args.duration.as_secs()).unwrap_or(i64::MAX);
        if let Some(excess) = usage.excess(lasting, limits) {
            let mut why = excess.words(&user, &event.profile, limits);
            if let Excess::Hours { left: left @ 60.. } = excess {
                why.push_str(&format!("; --duration {}m is left", left / 60));
            }
            decision = decision.refused(Some(Remedy::Request), why);
        }
    }
    let action = if decision.allowed() { Action::Opened } else { Action::Refused };
    decision.breakglass = Some(Breakglass::of(&event, action));
    if !decision.allowed() {
        asked.log.write(&decision, None, Outcome::Refused).map_err(unlogged)?;
        return Err(asked.refused(context, &decision, "cannot use break-glass for"));
    }
    decision.breakglass_id = Some(event.id.clone());
    asked.log.write(&decision, None, Outcome::Opened).map_err(unlogged)?;
    match events.open(&event, &user).await.map_err(failed)? {
        Opened::Done => {}
        Opened::Another(held) => return Err(another(context, &asked, &held)),
        Opened::Taken => {
            let message =
                format!("another break-glass event of {} for {} is being opened", event.invoker, event.profile);
            return Err(denied(message, "try again in a moment"));
        }
    }
    announce(context, &decision);
    context.terminal.records(|| rendered(&event), || document("breakglass", &event))?;
    Ok(Exit::Done)
}

/// Returns the error for a second event of a user for a profile.
fn another(context: &Context, asked: &Asked, held: &Event) -> Error {
    let message = format!("{} has an active break-glass event for {} already: {}", held.invoker, held.profile, held.id);
    let close = asked.site.on_record(
        context,
        &OnRecord { command: "breakglass-close", id: &held.id, by: By::Caller },
        &asked.breakglass,
    );
    denied(message, format!("go on with it; or close it with: {close}"))
}

pub(in crate::command) async fn list(context: &Context, args: &BreakglassListArgs) -> Result<Exit, Error> {
    let (site, table) = site(context, &args.table).await?;
    let mut invoker = args.invoker.clone();
    if invoker.is_none() && args.profile.is_none() && args.status.is_none() {
        invoker = Some(site.user().await?.name);
    }
    let filter = Filter { invoker: invoker.as_deref(), profile: args.profile.as_deref(), status: args.status };
    let listed = Events(site.gateway.records(&table.name)).list(&filter, args.limit.most(), now()).await;
    let listed = listed.map_err(|error| site.of_table(context, &table, error))?;
    let words = [("by", filter.invoker), ("for", filter.profile), ("that are", filter.status.map(Status::word))];
    show_list(context, &table, ("breakglass-list", "events"), ("Break-glass events", &words), &listed, table_of)?;
    Ok(Exit::Done)
}

pub(in crate::command) async fn check(context: &Context, args: &BreakglassIdArgs) -> Result<Exit, Error> {
    let (site, table) = site(context, &args.table).await?;
    let found = Events(site.gateway.records(&table.name)).get(&args.id, now()).await;
    let Some(event) = found.map_err(|error| site.of_table(context, &table, error))? else {
        return Err(table.lacks("break-glass event", &args.id, "breakglass-list"));
    };
    if let Some(problem) = event.problem {
        context.progress.note(&format!("sentinel: event {} is not honored: {}\n", event.id, problem.words()));
    }
    context.terminal.records(|| rendered(&event), || document("breakglass-check", &event))?;
    Ok(Exit::Done)
}

pub(in crate::command) async fn close(context: &Context, args: &BreakglassCloseArgs) -> Result<Exit, Error> {
    let (site, table) = site(context, &args.table).await?;
    let user = site.user().await?;
    let mark = random(access::id())?;
    let events = Events(site.gateway.records(&table.name));
    let closed = events.close(&args.id, (&user, &args.reason), &mark, now()).await;
    let event = match closed.map_err(|error| site.of_table(context, &table, error))? {
        Closed::Done(event) => event,
        Closed::Unknown => return Err(table.lacks("break-glass event", &args.id, "breakglass-list")),
        Closed::Over(event) => {
            if let Some(problem) = event.problem.filter(|_| event.status == Status::Invalid) {
                return Err(denied(format!("break-glass event {} does not count: {}", args.id, problem.words()), ""));
            }
            let by = event.closed_by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
            let message = format!("break-glass event {} is {}{by} already", args.id, event.status.word());
            return Err(denied(message, ""));
        }
    };
    context.terminal.records(|| rendered(&event), || document("breakglass-close", &event))?;
    Ok(Exit::Done)
}
