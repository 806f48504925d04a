//! `sentinel apply`, and the functions that `init` and saved plans share with it.

use std::path::PathBuf;

use tracing::Instrument;

use super::context::Context;
use super::fleet::{Work, account_of, concurrently, span_of};
use super::pass::{Attempt, Keep, Planned, Values, check_variables, scope};
use super::{plan, saved};
use crate::cli::{ApplyArgs, ApplyOptions, Format};
use crate::error::{Error, Exit};
use crate::kind::Waiting;
use crate::provider::Writer;
use crate::reconcile::guard::Share;
use crate::reconcile::{self, ApplyReport, Plan, guard};
use crate::report::output::{Body, InSync, Shown};
use crate::report::{Detail, applied, json, text};
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
    apply_plans(context, "apply", attempts, (share(args), &args.options), plan::shard(&args.filter)).await
}

/// Returns the share of existing resources that may change.
pub(super) fn share(args: &ApplyArgs) -> Share {
    if args.force { Share::Any } else { Share::Usual }
}

/// One target, and its result or error.
type TargetResult = (Destination, Result<Applied, Error>);

/// A plan that was applied.
struct Applied {
    /// The counts, if everything was in sync.
    settled: Option<InSync>,
    plan: Plan,
    review: Review,
    report: ApplyReport,
}

/// Shows the plans, asks once, applies them concurrently, and shows the results. `extra` contains additional fields of the document.
pub(super) async fn apply_plans(
    context: &Context,
    command: &str,
    attempts: Vec<Attempt>,
    (share, options): (Share, &ApplyOptions),
    extra: Vec<(&'static str, serde_json::Value)>,
) -> Result<Exit, Error> {
    let terminal = context.terminal;
    let attempts = match plan::only(attempts) {
        Ok(planned) => {
            let planned = planned?;
            if !terminal.json() {
                terminal.result(&text::plan(&planned.pass.plan, &planned.review, Detail::Changes, terminal.width()));
            }
            guard::extent(&planned.pass.plan, share).map_err(Error::Refused)?;
            vec![(planned.pass.plan.target.clone(), Ok(planned))]
        }
        Err(mut attempts) => {
            if !terminal.json() {
                terminal.result(&plan::text(&attempts, terminal.width())?);
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
        // After the `--timeout`, nothing more is done, and everything is reported.
        if !options.yes && !context.interrupt.raised() {
            context.confirm("Make these changes?").await?;
        }
        context.listen_for_termination();
    }
    let work = |(destination, attempt): Attempt, _| async move {
        let ended = match attempt {
            Ok(planned) => {
                let performed = perform(context, &destination, planned, options);
                Box::pin(performed).instrument(span_of(&destination)).await
            }
            Err(error) => Err(error),
        };
        (destination, ended)
    };
    let ended: Vec<TargetResult> =
        concurrently(attempts, Work::Applying, |(destination, _)| account_of(destination), work).await;
    show_ended(context, command, extra, &ended)?;
    let did = |report: &ApplyReport| report.resources.iter().any(|one| one.steps_done > 0);
    let any_done = ended.iter().any(|(_, ended)| ended.as_ref().is_ok_and(|one| did(&one.report)));
    let exits = ended.iter().map(|(_, ended)| match ended {
        Ok(one) => applied::exit(&one.plan, &one.report),
        Err(error) => error.exit(),
    });
    // If one target failed and another was changed, the run is partly done.
    Ok(match Exit::worst(exits) {
        Exit::Error if any_done => Exit::Partial,
        other => other,
    })
}

async fn perform(
    context: &Context,
    destination: &Destination,
    planned: Planned,
    options: &ApplyOptions,
) -> Result<Applied, Error> {
    let reader = match planned.reader {
        Some(reader) => reader,
        None => context.connect(destination, &planned.users).await?,
    };
    // From here on it writes, with a connection for writing.
    let writer = Writer::new(reader, Waiting { limit: options.wait.wait_timeout, for_indexes: !options.wait.no_wait });
    let progress = context.progress.of_target(planned.pass.plan.target.name.as_deref());
    let report = reconcile::apply(&writer, &planned.pass, &context.interrupt, &progress).await;
    Ok(Applied { settled: planned.settled, plan: planned.pass.plan, review: planned.review, report })
}

fn body(Applied { settled, plan, review, report }: &Applied) -> Body<'_> {
    settled.map_or(Body::Applied(plan, review, report), Body::Settled)
}

fn show_ended(
    context: &Context,
    command: &str,
    extra: Vec<(&'static str, serde_json::Value)>,
    ended: &[TargetResult],
) -> Result<(), Error> {
    if let [(Destination { name: None, .. }, Ok(Applied { plan, review, report, .. }))] = ended {
        let part = || json::applied_part(plan, review, report);
        return context.terminal.either(|| applied::text(plan, report), || json::applied(command, part()));
    }
    let shown = Shown { command, preface: None, extra, parts: plan::parts(ended, body), detail: Detail::Changes };
    let format = if context.terminal.json() { Format::Json } else { Format::Text };
    context.terminal.result(&shown.render(format, context.terminal.width())?);
    Ok(())
}
