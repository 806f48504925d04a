//! `sentinel lock`, `unlock`, `locks`.

use serde_json::json;

use super::{Site, Table, denied, now, random};
use crate::access::gate::User;
use crate::access::locks::{self, Changed, Lock, LockSubject, Locks, Unknown};
use crate::access::{self};
use crate::cli::{LockArgs, LocksArgs, UnlockArgs};
use crate::command::context::Context;
use crate::error::{Error, Exit};
use crate::manifest::Builtin;
use crate::report::access::{LockListing, lock as rendered, locks as table_of};
use crate::report::{escape, json};

fn unknown(site: &Site, context: &Context, table: &Table, unknown: Unknown) -> Error {
    match unknown {
        Unknown::Call(error) => site.of_table(context, table, error),
        Unknown::Unreadable(why) => denied(
            format!("{} in the table {}", escape(&why), table.name),
            "nobody gets credentials of the profile until someone puts the record in order or deletes it",
        ),
    }
}

/// Says who ends a lock, and how.
pub(super) fn ended_by(
    site: &Site,
    context: &Context,
    LockSubject { user, profile }: LockSubject<'_>,
    table: &Table,
) -> String {
    let mut words = ["sentinel", "unlock", user, "--profile", profile].map(str::to_owned).to_vec();
    words.extend(table.flag());
    format!("someone else, with an operator's permissions, ends it with: {}", site.command_of_another(context, words))
}

fn document(command: &str, lock: &Lock) -> json::Document {
    json::document(command, json!({ "lock": lock }))
}

async fn site(context: &Context, flag: Option<&str>) -> Result<(Site, Table), Error> {
    let site = Site::new(context).await?;
    let table = site.table(Builtin::Approvals, flag)?;
    Ok((site, table))
}

fn others(command: &str, subject: &str, user: &User) -> Result<(), Error> {
    if locks::is_own(subject, user.actor()) {
        let message = format!("{subject} is you ({}): nobody {command}s themselves", user.arn);
        return Err(denied(message, "ask someone else who has an operator's permissions"));
    }
    Ok(())
}

pub(in crate::command) async fn lock(context: &Context, args: &LockArgs) -> Result<Exit, Error> {
    let (site, table) = site(context, args.table.request_table.as_deref()).await?;
    let user = site.user().await?;
    others("lock", &args.user, &user)?;
    let mark = random(access::id())?;
    let locks = Locks(site.gateway.records(&table.name));
    let of = LockSubject { user: &args.user, profile: &args.profile };
    let changed = locks.lock(of, args.reason.as_deref(), user.actor(), &mark, now()).await;
    match changed.map_err(|why| unknown(&site, context, &table, why))? {
        Changed::Done(lock) => {
            context.terminal.records(|| rendered(&lock), || document("lock", &lock))?;
            Ok(Exit::Done)
        }
        Changed::Already(lock) => {
            Err(denied(format!("{} already", escape(&lock.words(&args.user))), ended_by(&site, context, of, &table)))
        }
        Changed::Not => Err(denied(format!("{} was not locked", args.user), "")),
    }
}

pub(in crate::command) async fn unlock(context: &Context, args: &UnlockArgs) -> Result<Exit, Error> {
    let (site, table) = site(context, args.table.request_table.as_deref()).await?;
    let user = site.user().await?;
    others("unlock", &args.user, &user)?;
    let mark = random(access::id())?;
    let locks = Locks(site.gateway.records(&table.name));
    let changed =
        locks.unlock(LockSubject { user: &args.user, profile: &args.profile }, user.actor(), &mark, now()).await;
    match changed.map_err(|why| unknown(&site, context, &table, why))? {
        Changed::Done(lock) => {
            context.terminal.records(|| rendered(&lock), || document("unlock", &lock))?;
            Ok(Exit::Done)
        }
        Changed::Already(_) | Changed::Not => {
            let message = format!("{} is not locked out of {} in the table {}", args.user, args.profile, table.name);
            Err(denied(message, "a name and an ARN are locked each for itself; sentinel locks --profile P shows all"))
        }
    }
}

pub(in crate::command) async fn list(context: &Context, args: &LocksArgs) -> Result<Exit, Error> {
    let (site, table) = site(context, args.table.request_table.as_deref()).await?;
    let read = Locks(site.gateway.records(&table.name)).of(&args.profile).await;
    let mut found = read.map_err(|why| unknown(&site, context, &table, why))?;
    found.sort_by_key(|lock| (!lock.in_force(), std::cmp::Reverse(lock.locked_at)));
    context.terminal.records(
        || table_of(LockListing { profile: &args.profile, table: &table.name, locks: &found }),
        || json::document("locks", json!({ "table": table.name, "profile": args.profile, "locks": found })),
    )?;
    Ok(Exit::Done)
}
