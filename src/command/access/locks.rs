//! `sentinel lock`, `unlock`, `locks`.

use futures_util::future;
use serde_json::json;

use super::{Site, Table, denied};
use crate::access::desk::locks::{List, Lock, Outcome, Unlock};
use crate::access::locks::{self as records, Changed, LockSubject};
use crate::cli::{LockArgs, LocksArgs, UnlockArgs};
use crate::command::context::Context;
use crate::error::{Error, Exit};
use crate::manifest::Builtin;
use crate::report::access::{LockListing, lock as rendered, locks as table_of};
use crate::report::{escape, json};

/// A command, and its user.
#[derive(Debug, Clone, Copy)]
struct OnUser<'a> {
    user: &'a str,
    command: &'static str,
}

/// Returns the result of an operation, or the error for a failed one.
fn ended<T>(outcome: Outcome<T>, table: &Table, OnUser { user, command }: OnUser<'_>) -> Result<T, Error> {
    match outcome {
        Outcome::Ended(ended) => Ok(ended),
        Outcome::Own(arn) => Err(denied(
            format!("{user} is you ({arn}): nobody {command}s themselves"),
            "ask someone else who has an operator's permissions",
        )),
        Outcome::Unreadable(why) => Err(denied(
            format!("{} in the table {}", escape(&why), table.name),
            "nobody gets credentials of the profile until someone corrects or deletes the record",
        )),
    }
}

/// Reports how and by whom a lock can be ended.
pub(super) fn ended_by(
    site: &Site,
    context: &Context,
    LockSubject { user, profile }: LockSubject<'_>,
    table: &Table,
) -> String {
    let mut words = ["sentinel", "unlock", user, "--profile", profile].map(str::to_owned).to_vec();
    words.extend(table.flag());
    format!("someone else with an operator's permissions can end it with: {}", site.command_of_another(context, words))
}

fn document(command: &str, lock: &records::Lock) -> json::Document {
    json::document(command, json!({ "lock": lock }))
}

fn warn(context: &Context, warning: &str) {
    context.terminal.note(&format!("Warning: {}\n", escape(warning)));
}

async fn site(context: &Context, flag: Option<&str>) -> Result<(Site, Table), Error> {
    let site = Site::new(context).await?;
    let table = site.table(Builtin::Approvals, flag)?;
    Ok((site, table))
}

pub(in crate::command) async fn lock(context: &Context, args: &LockArgs) -> Result<Exit, Error> {
    let (site, table) = site(context, args.table.request_table.as_deref()).await?;
    let of = LockSubject { user: &args.user, profile: &args.profile };
    let lock = Lock { user: args.user.clone(), profile: args.profile.clone(), reason: args.reason.clone() };
    let on = OnUser { user: &args.user, command: "lock" };
    let (locked, unknown) =
        future::join(site.perform(context, &table, &lock), site.unknown_profile(&args.profile)).await;
    let locked = locked?;
    if let Some(why) = unknown {
        let rest = site.suggestion(&args.profile);
        warn(context, &format!("{why}, and the lock applies to no other profile{rest}"));
    }
    match ended(locked, &table, on)? {
        Changed::Done(lock) => {
            context.terminal.either(|| rendered(&lock), || document("lock", &lock))?;
            Ok(Exit::Done)
        }
        Changed::Already(lock) => {
            Err(denied(format!("{} already", escape(&lock.message(&args.user))), ended_by(&site, context, of, &table)))
        }
        Changed::Not => Err(denied(format!("{} was not locked", args.user), "")),
    }
}

pub(in crate::command) async fn unlock(context: &Context, args: &UnlockArgs) -> Result<Exit, Error> {
    let (site, table) = site(context, args.table.request_table.as_deref()).await?;
    let unlock = Unlock { user: args.user.clone(), profile: args.profile.clone() };
    let on = OnUser { user: &args.user, command: "unlock" };
    match ended(site.perform(context, &table, &unlock).await?, &table, on)? {
        Changed::Done(lock) => {
            context.terminal.either(|| rendered(&lock), || document("unlock", &lock))?;
            Ok(Exit::Done)
        }
        Changed::Already(_) | Changed::Not => {
            let message = format!("{} is not locked out of {} in the table {}", args.user, args.profile, table.name);
            Err(denied(message, "a name and an ARN have separate locks; sentinel locks --profile P shows all"))
        }
    }
}

pub(in crate::command) async fn list(context: &Context, args: &LocksArgs) -> Result<Exit, Error> {
    let (site, table) = site(context, args.table.request_table.as_deref()).await?;
    let wanted = List { profile: args.profile.clone() };
    let (listed, unknown) =
        future::join(site.perform(context, &table, &wanted), site.unknown_profile(&args.profile)).await;
    let listed = listed?;
    if let Some(why) = unknown {
        warn(context, &format!("{why}{}", site.suggestion(&args.profile)));
    }
    let mut found = ended(listed, &table, OnUser { user: "", command: "lock" })?;
    found.sort_by_key(|lock| (!lock.in_force(), std::cmp::Reverse(lock.locked_at)));
    context.terminal.either(
        || table_of(LockListing { profile: &args.profile, table: &table.name, locks: &found }),
        || json::document("locks", json!({ "table": table.name, "profile": args.profile, "locks": found })),
    )?;
    Ok(Exit::Done)
}
