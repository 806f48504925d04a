//! `sentinel apply`, and the carrying out that `init` shares with it.

use super::context::{Context, Project};
use crate::cli::{ApplyArgs, Consent};
use crate::error::{Error, Exit};
use crate::provider::{Reader, Writer};
use crate::reconcile::{self, Action, ApplyReport, Intent, Outcome, Plan, Verification};
use crate::report::{json, text};
use crate::resource::table::Waiting;

pub(super) async fn run(context: &Context, args: &ApplyArgs) -> Result<Exit, Error> {
    let project = context.project(&args.manifest.file)?;
    let (reader, target) = context.connect(&project).await?;
    let plan = context.plan(&reader, target, &project, Intent::Converge).await?;
    carry_out(context, "apply", reader, &plan, &project, &args.consent).await
}

/// Shows a plan, asks once, carries it out, and shows what became of it.
pub(super) async fn carry_out(
    context: &Context,
    command: &str,
    reader: Reader,
    plan: &Plan,
    project: &Project,
    consent: &Consent,
) -> Result<Exit, Error> {
    let terminal = context.terminal;
    if !terminal.json() {
        terminal.result(&text::plan(plan));
    }
    if plan.has_steps() {
        context.confirm(consent.yes, "Make these changes?").await?;
    }
    // From here on it may write: the reading provider is given up for one that can.
    let writer = Writer::new(reader, Waiting { limit: consent.wait_timeout });
    let report = reconcile::apply(&writer, plan, &project.loaded.desired, &context.interrupt, &context.progress).await;
    if terminal.json() {
        terminal.either(String::new, || json::applied(command, plan, &report));
    } else if plan.has_steps() {
        terminal.result(&text::applied(plan, &report));
    } else {
        terminal.result(&text::idle(plan));
    }
    Ok(exit(plan, &report))
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
            matches!(outcome, Outcome::Failed { .. } | Outcome::Conflicted { .. } | Outcome::Skipped { .. })
        });
    // Something was done even where only the first steps of a resource were.
    let done = report.resources.iter().any(|one| one.steps_done > 0);
    let refused = any(|outcome| *outcome == Outcome::Refused) && plan.intent == Intent::Converge;
    let unread = plan.resources.iter().any(|one| !one.gaps.is_empty() && !matches!(one.action, Action::Unknown { .. }));
    match (failed, done, refused) {
        (true, true, _) => Exit::Partial,
        (true, false, _) => Exit::Error,
        (false, _, true) => Exit::Refused,
        (false, true, false) if unread => Exit::Partial,
        (false, false, false) if unread => Exit::Error,
        (false, _, false) => Exit::Done,
    }
}
