//! `sentinel request`, `list`, `check`, `approve`, `deny`, `cancel`, `revoke`.

use futures_util::future;
use serde_json::json;

use super::unknown::Missing;
use super::{By, OnRecord, Site, Table, denied, now, show_list};
use crate::access::desk::requests::{Approve, Cancel, Check, Create, Deny, List, Revoke, Settled};
use crate::access::desk::{ListOf, Operation};
use crate::access::gate::understood;
use crate::access::requests::{Answered, Request, RequestLookup, Status};
use crate::cli::{AnswerArgs, ListArgs, RequestArgs, RequestIdArgs, RequestTable, RevokeArgs};
use crate::command::context::Context;
use crate::error::{Error, Exit};
use crate::kind::policy_parameter::{Content, PolicyParameter};
use crate::manifest::Builtin;
use crate::policy::explain::explain;
use crate::policy::{Ask, Effect, Mode, Rule, evaluate};
use crate::report::access::{request as rendered, requests as table_of};
use crate::report::{escape, json};
use crate::resource::Live;

async fn site(context: &Context, table: &RequestTable) -> Result<(Site, Table), Error> {
    let site = Site::new(context).await?;
    let table = site.table(Builtin::Approvals, table.request_table.as_deref())?;
    Ok((site, table))
}

pub(in crate::command) async fn create(context: &Context, args: &RequestArgs) -> Result<Exit, Error> {
    let (site, table) = site(context, &args.table).await?;
    site.check_profile(&args.profile)?;
    let wish = Create {
        profile: args.profile.clone(),
        justification: args.justification.clone(),
        duration: i64::try_from(args.duration.as_secs()).unwrap_or(i64::MAX),
    };
    let parameter = site.parameter(&args.profile)?;
    let policy = async {
        if site.broker.is_some() {
            return Found::Unknown;
        }
        match site.gateway.policy(&parameter).await {
            Ok(Some(live)) => Found::Policy(Box::new(live)),
            Ok(None) => Found::Nothing,
            Err(_) => Found::Unknown,
        }
    };
    let (request, found) = future::join(site.perform(context, &table, &wish), policy).await;
    let request = request?;
    if let Some(warning) = in_vain(&site, &request, &found) {
        context.terminal.note(&format!("Warning: {}\n", escape(&warning)));
    }
    let next = format!(
        "Someone else can approve it with: {}\n",
        site.on_record(context, &OnRecord { command: "approve", id: &request.id, by: By::Another }, &table)
    );
    context.terminal.either(|| rendered(&request) + &next, || document("request", &request))?;
    Ok(Exit::Done)
}

/// The policy of a profile, if it could be read.
enum Found {
    Policy(Box<Live<PolicyParameter>>),
    Nothing,
    /// A client of a broker reads no policy, and other users may lack the permission.
    Unknown,
}

/// Returns the reason why an approval would have no effect, if there is one.
fn in_vain(site: &Site, request: &Request, found: &Found) -> Option<String> {
    let (profile, user) = (request.profile.as_str(), request.requester.as_str());
    let live = match found {
        Found::Policy(live) => live,
        Found::Nothing => {
            return Some(format!(
                "the profile {profile} has no policy, and without one nobody gets access; an approval changes nothing{}",
                site.suggestion(profile)
            ));
        }
        Found::Unknown => return None,
    };
    // Requesters may lack the permission to decrypt a secret policy.
    let content = live.state.content.as_ref().and_then(Content::text)?;
    let Ok(policy) = understood(profile, content) else {
        return Some(format!(
            "the policy of {profile} is not valid, and then nobody gets access; an approval changes nothing"
        ));
    };
    let principal = request.requester_arn.as_str();
    let ask = Ask { user, principal, profile, mode: Mode::Cli, at: now() };
    let rules: Vec<&Rule> =
        Mode::ALL.iter().filter_map(|mode| evaluate(&policy, &Ask { mode: *mode, ..ask })).collect();
    if rules.iter().any(|rule| rule.effect == Effect::RequireApproval) {
        return None;
    }
    if let Some(rule) = rules.iter().find(|rule| rule.effect != Effect::Deny) {
        return Some(format!("the policy gives {user} access without an approval (rule {})", rule.name));
    }
    let why = rules.first().map_or_else(|| String::from("no rule matches"), |rule| format!("rule {}", rule.name));
    let later = explain(&policy, &ask).into_iter().find(|one| one.effect == Effect::RequireApproval);
    let later = later.map(|one| format!("; {}", one.text)).unwrap_or_default();
    Some(format!("the policy now denies {user} access to {profile}, approved or not ({why}){later}"))
}

fn document(command: &str, request: &Request) -> json::Document {
    json::document(command, json!({ "request": request }))
}

pub(in crate::command) async fn list(context: &Context, args: &ListArgs) -> Result<Exit, Error> {
    let (site, table) = site(context, &args.table).await?;
    let wanted = List {
        requester: args.requester.clone(),
        profile: args.profile.clone(),
        status: args.status,
        limit: args.limit.most() as u64,
    };
    let ListOf { listed, of } = site.perform(context, &table, &wanted).await?;
    let words = [("by", of.as_deref()), ("for", args.profile.as_deref()), ("that are", args.status.map(Status::word))];
    show_list(context, &table, ("list", "requests"), ("Requests", &words), &listed, table_of)?;
    Ok(Exit::Done)
}

pub(in crate::command) async fn check(context: &Context, args: &RequestIdArgs) -> Result<Exit, Error> {
    let (site, table) = site(context, &args.table).await?;
    match site.perform(context, &table, &Check { id: args.id.clone() }).await? {
        RequestLookup::Request(request) => {
            context.terminal.either(|| rendered(&request), || document("check", &request))?;
            Ok(Exit::Done)
        }
        other => Err(without(context, (&site, &table), (Check::NAME, &args.id), &other)),
    }
}

/// Returns the error for a request that does not exist, with a fix.
fn without(
    context: &Context,
    (site, table): (&Site, &Table),
    (command, id): (&str, &str),
    known: &RequestLookup,
) -> Error {
    match known {
        RequestLookup::Request(_) | RequestLookup::Nothing => {
            // Users decide requests of others. Without a filter, `list` has only their own.
            let (list, listed): (&[&str], _) = match command {
                Approve::NAME | Deny::NAME => (&["list", "--status", "pending"], "the pending requests"),
                Revoke::NAME => (&["list", "--status", "approved"], "the approved requests"),
                _ => (&["list"], "yours"),
            };
            site.no_record(context, table, &Missing { what: "request", id, list, listed })
        }
        RequestLookup::Malformed(why) => denied(
            format!("request {id} is invalid and does not count: {}", escape(why)),
            "create a new request with: sentinel request --profile P --justification TEXT",
        ),
        RequestLookup::Old { profile } => {
            let profile = profile.as_deref().unwrap_or("P");
            let why = "why you need it, in 10 to 500 characters";
            let words = ["sentinel", "request", "--profile", profile, "--justification", why];
            let mut words = words.map(str::to_owned).to_vec();
            words.extend(table.flag());
            denied(
                format!(
                    "request {id} was written by an older version, in which its requester could mark it as approved: \
                     it counts as not approved, and cannot be decided"
                ),
                format!("its requester can create a new request with: {}", site.command_of_another(context, words)),
            )
        }
    }
}

pub(in crate::command) async fn approve(context: &Context, args: &AnswerArgs) -> Result<Exit, Error> {
    let approve = Approve { id: args.id.clone(), comment: args.comment.clone() };
    settle(context, &approve, &args.id, &args.table).await
}

pub(in crate::command) async fn deny(context: &Context, args: &AnswerArgs) -> Result<Exit, Error> {
    let deny = Deny { id: args.id.clone(), comment: args.comment.clone() };
    settle(context, &deny, &args.id, &args.table).await
}

pub(in crate::command) async fn cancel(context: &Context, args: &RequestIdArgs) -> Result<Exit, Error> {
    settle(context, &Cancel { id: args.id.clone() }, &args.id, &args.table).await
}

pub(in crate::command) async fn revoke(context: &Context, args: &RevokeArgs) -> Result<Exit, Error> {
    let revoke = Revoke { id: args.id.clone(), reason: args.reason.clone() };
    settle(context, &revoke, &args.id, &args.table).await
}

async fn settle<O: Operation<Answer = Settled>>(
    context: &Context,
    act: &O,
    id: &str,
    table: &RequestTable,
) -> Result<Exit, Error> {
    let (site, table) = site(context, table).await?;
    let Settled { answered, user_arn } = site.perform(context, &table, act).await?;
    let request = match answered {
        Answered::Done(request) => request,
        Answered::Not(known) => return Err(without(context, (&site, &table), (O::NAME, id), &known)),
        Answered::Own(request) => {
            let message = format!("request {id} is your own ({}): you cannot decide it", escape(&request.requester));
            return Err(denied(
                message,
                format!(
                    "ask someone else; to cancel it: {}",
                    site.on_record(context, &OnRecord { command: "cancel", id, by: By::Caller }, &table)
                ),
            ));
        }
        Answered::OtherAccount(request) => {
            return Err(denied(
                format!(
                    "request {id} is by {}, and you are {}: only an identity of the same account can decide it",
                    escape(&request.requester_arn),
                    escape(&user_arn)
                ),
                "use credentials of that account (--aws-profile)",
            ));
        }
        Answered::NotOwn(request) => {
            let message = format!("request {id} is {}'s, and only they can cancel it", escape(&request.requester));
            return Err(denied(
                message,
                format!(
                    "to refuse it: {}",
                    site.on_record(context, &OnRecord { command: "deny", id, by: By::Caller }, &table)
                ),
            ));
        }
        Answered::Over(request) => {
            let hint = match (O::NAME, request.status) {
                (Cancel::NAME, Status::Approved) => {
                    format!(
                        "an approver can end it with: {}",
                        site.on_record(context, &OnRecord { command: "revoke", id, by: By::Another }, &table)
                    )
                }
                _ => String::new(),
            };
            return Err(denied(format!("request {id} is already {}", standing(&request)), hint));
        }
    };
    context.terminal.either(|| rendered(&request), || document(O::NAME, &request))?;
    Ok(Exit::Done)
}

/// Returns the state of a request, and the user who changed it.
fn standing(request: &Request) -> String {
    let word = request.status.word();
    let by = match request.status {
        Status::Approved | Status::Denied => request.decided_by.as_ref(),
        Status::Cancelled => Some(&request.requester),
        Status::Revoked => request.revoked_by.as_ref(),
        Status::Pending | Status::Expired | Status::Invalid => None,
    };
    match (by, &request.problem) {
        (Some(by), _) => format!("{word} by {}", escape(by)),
        (None, Some(problem)) => format!("{word} ({})", escape(problem)),
        (None, None) => word.to_owned(),
    }
}
