//! `sentinel request`, `list`, `check`, `approve`, `deny`, `cancel`.

use serde_json::json;

use super::{Site, Table, denied, now, random, show_list};
use crate::access::requests::{Answer, Answered, Filter, Request, Requests, Status, WAITS};
use crate::access::{self, time};
use crate::cli::{AnswerArgs, ListArgs, RequestArgs, RequestIdArgs, RequestTable};
use crate::command::context::Context;
use crate::error::{Error, Exit};
use crate::manifest::Builtin;
use crate::report::access::{request as rendered, requests as table_of};
use crate::report::json;

async fn site(context: &Context, table: &RequestTable) -> Result<(Site, Table), Error> {
    let site = Site::new(context).await?;
    let table = site.table(Builtin::Approvals, table.request_table.as_deref())?;
    Ok((site, table))
}

pub(super) async fn create(context: &Context, args: &RequestArgs) -> Result<Exit, Error> {
    let (site, table) = site(context, &args.table).await?;
    let user = site.user().await?;
    let now = now();
    let request = Request {
        id: random(access::id())?,
        requester: user.name,
        profile: args.profile.clone(),
        justification: args.justification.clone(),
        duration: i64::try_from(args.duration.as_secs()).unwrap_or(i64::MAX),
        status: Status::Pending,
        created_at: now,
        expires_at: time::later(now, WAITS),
        decided_by: None,
        decided_at: None,
        comment: None,
    };
    let requests = Requests(site.gateway.records(&table.name));
    requests.create(&request).await.map_err(|error| site.of_table(context, &table, error))?;
    let next = format!(
        "Someone else approves it with: {}\n",
        site.on_record(context, ("approve", false), &request.id, &table)
    );
    context.terminal.records(|| rendered(&request) + &next, || document("request", &request));
    Ok(Exit::Done)
}

fn document(command: &str, request: &Request) -> serde_json::Value {
    json::document(command, json!({ "request": request }))
}

pub(super) async fn list(context: &Context, args: &ListArgs) -> Result<Exit, Error> {
    let (site, table) = site(context, &args.table).await?;
    let mut requester = args.requester.clone();
    if requester.is_none() && args.profile.is_none() && args.status.is_none() {
        requester = Some(site.user().await?.name);
    }
    let filter = Filter { requester: requester.as_deref(), profile: args.profile.as_deref(), status: args.status };
    let requests = Requests(site.gateway.records(&table.name));
    let listed = requests.list(&filter, args.limit.most(), now()).await;
    let listed = listed.map_err(|error| site.of_table(context, &table, error))?;
    let words = [("by", filter.requester), ("for", filter.profile), ("that are", filter.status.map(Status::word))];
    show_list(context, &table, ("list", "requests"), ("Requests", &words), &listed, table_of);
    Ok(Exit::Done)
}

pub(super) async fn check(context: &Context, args: &RequestIdArgs) -> Result<Exit, Error> {
    let (site, table) = site(context, &args.table).await?;
    let found = Requests(site.gateway.records(&table.name)).get(&args.id, now()).await;
    let Some(request) = found.map_err(|error| site.of_table(context, &table, error))? else {
        return Err(table.lacks("request", &args.id, "list"));
    };
    context.terminal.records(|| rendered(&request), || document("check", &request));
    Ok(Exit::Done)
}

pub(super) async fn answer(context: &Context, args: &AnswerArgs, approve: bool) -> Result<Exit, Error> {
    let (command, answer) = if approve { ("approve", Answer::Approve) } else { ("deny", Answer::Deny) };
    settle(context, command, answer, (&args.id, args.comment.as_deref()), &args.table).await
}

pub(super) async fn cancel(context: &Context, args: &RequestIdArgs) -> Result<Exit, Error> {
    settle(context, "cancel", Answer::Cancel, (&args.id, None), &args.table).await
}

async fn settle(
    context: &Context,
    command: &str,
    answer: Answer,
    (id, comment): (&str, Option<&str>),
    table: &RequestTable,
) -> Result<Exit, Error> {
    let (site, table) = site(context, table).await?;
    let user = site.user().await?;
    let mark = random(access::id())?;
    let requests = Requests(site.gateway.records(&table.name));
    let answered = requests.answer(id, answer, (&user.name, comment), &mark, now()).await;
    let request = match answered.map_err(|error| site.of_table(context, &table, error))? {
        Answered::Done(request) => request,
        Answered::Unknown => return Err(table.lacks("request", id, "list")),
        Answered::Own(request) => {
            let message = format!("request {id} is your own ({}): nobody decides on their own", request.requester);
            return Err(denied(
                message,
                format!("ask someone else; to take it back: {}", site.on_record(context, ("cancel", true), id, &table)),
            ));
        }
        Answered::NotOwn(request) => {
            let message = format!("request {id} is {}'s, and only they can cancel it", request.requester);
            return Err(denied(
                message,
                format!("to refuse it: {}", site.on_record(context, ("deny", true), id, &table)),
            ));
        }
        Answered::Over(request) => {
            return Err(denied(format!("request {id} is {} already", standing(&request)), ""));
        }
    };
    context.terminal.records(|| rendered(&request), || document(command, &request));
    Ok(Exit::Done)
}

/// Returns where a request stands, and who brought it there.
fn standing(request: &Request) -> String {
    match (&request.decided_by, request.status) {
        (Some(by), Status::Approved | Status::Denied | Status::Cancelled) => {
            format!("{} by {by}", request.status.word())
        }
        _ => request.status.word().to_owned(),
    }
}
