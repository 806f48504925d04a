//! `sentinel apply`, and the carrying out that `init` and saved plans share with it.

use std::path::PathBuf;

use super::context::Context;
use super::fleet::{account_of, side_by_side};
use super::pass::{Attempt, Keep, Planned, Values, check_variables, scope};
use super::{plan, saved};
use crate::cli::{ApplyArgs, Going};
use crate::error::{Error, Exit};
use crate::kind::Waiting;
use crate::provider::Writer;
use crate::reconcile::guard::Share;
use crate::reconcile::{self, Action, ApplyReport, Intent, Outcome, Plan, Verification, guard};
use crate::report::{json, text};
use crate::resource::destination::Destination;
use crate::review::Review;

pub(super) async fn run(context: &Context, args: &ApplyArgs) -> Result<Exit, Error> {
    if let Some(path) = &args.plan_file {
        return saved::run(context, path, args).await;
    }
    let usual = [PathBuf::from("sentinel.toml")];
    let project = context.project(if args.file.is_empty() { &usual } else { &args.file })?;
    let scope = scope(&project, &args.filter, &args.reach)?;
    check_variables(&project, &scope)?;
    let keep = if context.terminal.json() { Keep::All } else { Keep::Count };
    let attempts = context.plan_all(&project, &args.filter, &scope, Values::Needed, keep).await?;
    carry_out(context, "apply", attempts, share(args), &args.going).await
}

/// Returns how large a share of what exists may change.
pub(super) fn share(args: &ApplyArgs) -> Share {
    if args.force { Share::Any } else { Share::Usual }
}

/// One target, and what became of it.
type Ended = (Destination, Result<Applied, Error>);

/// A plan that was carried out.
struct Applied {
    /// How many resources it has, where all were in sync.
    settled: Option<usize>,
    plan: Plan,
    review: Review,
    report: ApplyReport,
}

/// Shows the plans, asks once, carries them out side by side, and shows what became of them.
pub(super) async fn carry_out(
    context: &Context,
    command: &str,
    attempts: Vec<Attempt>,
    share: Share,
    going: &Going,
) -> Result<Exit, Error> {
    let terminal = context.terminal;
    let attempts = match plan::only(attempts) {
        Ok(planned) => {
            let planned = planned?;
            if !terminal.json() {
                terminal.result(&text::plan(&planned.pass.plan, &planned.review, terminal.width()));
            }
            guard::extent(&planned.pass.plan, share).map_err(Error::Refused)?;
            vec![(planned.pass.plan.target.clone(), Ok(planned))]
        }
        Err(mut attempts) => {
            if !terminal.json() {
                terminal.result(&plan::text(command, &attempts, terminal.width())?);
            }
            for (_, attempt) in &mut attempts {
                let refused = attempt.as_ref().ok().and_then(|one| guard::extent(&one.pass.plan, share).err());
                if let Some(refusal) = refused {
                    *attempt = Err(Error::Refused(refusal));
                }
            }
            attempts
        }
    };
    let plans = || attempts.iter().filter_map(|(_, attempt)| attempt.as_ref().ok()).map(|one| &one.pass.plan);
    if plans().any(Plan::has_steps) {
        if !going.yes {
            context.confirm("Make these changes?").await?;
        }
        context.listen_for_termination();
    }
    let work = |(destination, attempt): Attempt| async move {
        let ended = match attempt {
            Ok(planned) => Box::pin(perform(context, &destination, planned, going)).await,
            Err(error) => Err(error),
        };
        (destination, ended)
    };
    let ended: Vec<Ended> = side_by_side(attempts, |(destination, _)| account_of(destination), work).await;
    show_ended(context, command, &ended)?;
    let did = |report: &ApplyReport| report.resources.iter().any(|one| one.steps_done > 0);
    let any_done = ended.iter().any(|(_, ended)| ended.as_ref().is_ok_and(|one| did(&one.report)));
    let exits = ended.iter().map(|(_, ended)| match ended {
        Ok(one) => exit(&one.plan, &one.report),
        Err(error) => error.exit(),
    });
    // One target that failed where another was changed is a part of the whole that was done.
    Ok(match Exit::worst(exits) {
        Exit::Error if any_done => Exit::Partial,
        other => other,
    })
}

async fn perform(
    context: &Context,
    destination: &Destination,
    planned: Planned,
    going: &Going,
) -> Result<Applied, Error> {
    let reader = match planned.reader {
        Some(reader) => reader,
        None => context.connect(destination, &planned.users).await?,
    };
    // From here on it may write: the reading provider is given up for one that can.
    let writer = Writer::new(reader, Waiting { limit: going.wait_timeout, for_indexes: !going.no_wait });
    let progress = context.progress.of_target(planned.pass.plan.target.name.as_deref());
    let report = reconcile::apply(&writer, &planned.pass, &context.interrupt, &progress).await;
    Ok(Applied { settled: planned.settled, plan: planned.pass.plan, review: planned.review, report })
}

fn show_ended(context: &Context, command: &str, ended: &[Ended]) -> Result<(), Error> {
    let words = |one: &Applied| match one.plan.has_steps() {
        true => text::applied(&one.plan, &one.report),
        false => text::idle(&one.plan),
    };
    let part = |Applied { plan, review, report, .. }: &Applied| json::applied_part(plan, review, report);
    if let [(Destination { name: None, .. }, Ok(one))] = ended {
        return context.terminal.either(|| words(one), || json::applied(command, part(one)));
    }
    let text = || {
        let mut text = String::new();
        for (destination, one) in ended {
            let name = destination.name.as_deref().unwrap_or_default();
            let settled = one.as_ref().ok().and_then(|one| one.settled);
            text.push_str(&match (settled.filter(|_| ended.len() > 1), one) {
                (Some(_), _) => text::in_one_line(name, "nothing to do"),
                (None, Ok(one)) => text::grouped(name, &words(one)),
                (None, Err(error)) => text::grouped(name, &text::error(error)),
            });
        }
        text + &sums(ended)
    };
    context.terminal.either(text, || json::targets(command, plan::listed(ended, part)))
}

/// Returns what became of all targets together, where there are several.
fn sums(ended: &[Ended]) -> String {
    if ended.len() < 2 {
        return String::new();
    }
    let (mut applied, mut idle) = (0, 0);
    let mut failed: Vec<&str> = Vec::new();
    for (destination, one) in ended {
        match one {
            Ok(one) if !matches!(exit(&one.plan, &one.report), Exit::Done) => {
                failed.extend(destination.name.as_deref());
            }
            Ok(one) if one.report.resources.iter().any(|one| one.steps_done > 0) => applied += 1,
            Ok(_) => idle += 1,
            Err(_) => failed.extend(destination.name.as_deref()),
        }
    }
    text::applied_total(ended.len(), applied, idle, &failed)
}

/// Returns how an apply ends.
fn exit(plan: &Plan, report: &ApplyReport) -> Exit {
    if report.interrupted {
        return Exit::Interrupted;
    }
    let any = |wanted: fn(&Outcome) -> bool| report.resources.iter().any(|one| wanted(&one.outcome));
    let unverified = matches!(report.verification, Verification::Failed { .. });
    let failed = unverified
        || any(|outcome| {
            matches!(
                outcome,
                Outcome::Failed { .. } | Outcome::Conflicted { .. } | Outcome::Skipped { .. } | Outcome::OutOfTime
            )
        });
    // Something was done even where only the first steps of a resource were.
    let done = report.resources.iter().any(|one| one.steps_done > 0);
    let refused = any(|outcome| *outcome == Outcome::Refused) && plan.scope.intent == Intent::Converge;
    let gaps = plan.resources.iter().any(|one| !one.gaps.is_empty() && !matches!(one.action, Action::Unknown { .. }));
    let unread = gaps || !plan.unlisted.is_empty() || report.verification == Verification::Incomplete;
    match (failed, done, refused) {
        (true, true, _) => Exit::Partial,
        (true, false, _) => Exit::Error,
        (false, _, true) => Exit::Refused,
        (false, true, false) if unread => Exit::Partial,
        (false, false, false) if unread => Exit::Error,
        (false, _, false) => Exit::Done,
    }
}
