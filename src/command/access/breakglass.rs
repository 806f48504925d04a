//! `sentinel breakglass`, `breakglass-list`, `breakglass-check`, `breakglass-close`.

use serde_json::json;

use super::{Site, Table, denied, now, random, show_list};
use crate::access::breakglass::{Closed, Event, Events, Filter, Opened, Status};
use crate::access::{self, time};
use crate::cli::{BreakglassArgs, BreakglassCloseArgs, BreakglassIdArgs, BreakglassListArgs, BreakglassTable};
use crate::command::context::Context;
use crate::error::{Error, Exit};
use crate::manifest::Builtin;
use crate::report::access::{event as rendered, events as table_of};
use crate::report::json;

async fn site(context: &Context, table: &BreakglassTable) -> Result<(Site, Table), Error> {
    let site = Site::new(context).await?;
    let table = site.table(Builtin::BreakGlass, table.breakglass_table.as_deref())?;
    Ok((site, table))
}

fn document(command: &str, event: &Event) -> serde_json::Value {
    json::document(command, json!({ "event": event }))
}

pub(super) async fn open(context: &Context, args: &BreakglassArgs) -> Result<Exit, Error> {
    let (site, table) = site(context, &args.table).await?;
    let user = site.user().await?;
    super::locks::refuse(context, &site, &args.profile, &user).await?;
    let now = now();
    let event = Event {
        id: random(access::id())?,
        invoker: user.name,
        profile: args.profile.clone(),
        reason_code: args.reason_code.word().to_owned(),
        justification: args.justification.clone(),
        status: Status::Active,
        created_at: now,
        expires_at: time::later(now, i64::try_from(args.duration.as_secs()).unwrap_or(i64::MAX)),
        closed_by: None,
        closed_at: None,
        closed_reason: None,
    };
    let opened = Events(site.gateway.records(&table.name)).open(&event).await;
    match opened.map_err(|error| site.of_table(context, &table, error))? {
        Opened::Done => {}
        Opened::Another(held) => {
            let message =
                format!("{} has an active break-glass event for {} already: {}", held.invoker, held.profile, held.id);
            let close = site.on_record(context, ("breakglass-close", true), &held.id, &table);
            return Err(denied(message, format!("go on with it; or close it with: {close}")));
        }
        Opened::Taken => {
            let message =
                format!("another break-glass event of {} for {} is being opened", event.invoker, event.profile);
            return Err(denied(message, "try again in a moment"));
        }
    }
    context.terminal.records(|| rendered(&event), || document("breakglass", &event));
    Ok(Exit::Done)
}

pub(super) async fn list(context: &Context, args: &BreakglassListArgs) -> Result<Exit, Error> {
    let (site, table) = site(context, &args.table).await?;
    let mut invoker = args.invoker.clone();
    if invoker.is_none() && args.profile.is_none() && args.status.is_none() {
        invoker = Some(site.user().await?.name);
    }
    let filter = Filter { invoker: invoker.as_deref(), profile: args.profile.as_deref(), status: args.status };
    let listed = Events(site.gateway.records(&table.name)).list(&filter, args.limit.most(), now()).await;
    let listed = listed.map_err(|error| site.of_table(context, &table, error))?;
    let words = [("by", filter.invoker), ("for", filter.profile), ("that are", filter.status.map(Status::word))];
    show_list(context, &table, ("breakglass-list", "events"), ("Break-glass events", &words), &listed, table_of);
    Ok(Exit::Done)
}

pub(super) async fn check(context: &Context, args: &BreakglassIdArgs) -> Result<Exit, Error> {
    let (site, table) = site(context, &args.table).await?;
    let found = Events(site.gateway.records(&table.name)).get(&args.id, now()).await;
    let Some(event) = found.map_err(|error| site.of_table(context, &table, error))? else {
        return Err(table.lacks("break-glass event", &args.id, "breakglass-list"));
    };
    context.terminal.records(|| rendered(&event), || document("breakglass-check", &event));
    Ok(Exit::Done)
}

pub(super) async fn close(context: &Context, args: &BreakglassCloseArgs) -> Result<Exit, Error> {
    let (site, table) = site(context, &args.table).await?;
    let user = site.user().await?;
    let mark = random(access::id())?;
    let events = Events(site.gateway.records(&table.name));
    let closed = events.close(&args.id, (&user.name, &args.reason), &mark, now()).await;
    let event = match closed.map_err(|error| site.of_table(context, &table, error))? {
        Closed::Done(event) => event,
        Closed::Unknown => return Err(table.lacks("break-glass event", &args.id, "breakglass-list")),
        Closed::Over(event) => {
            let by = event.closed_by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
            let message = format!("break-glass event {} is {}{by} already", args.id, event.status.word());
            return Err(denied(message, ""));
        }
    };
    context.terminal.records(|| rendered(&event), || document("breakglass-close", &event));
    Ok(Exit::Done)
}
