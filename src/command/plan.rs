//! `sentinel plan`.

use super::context::Context;
use crate::cli::PlanArgs;
use crate::error::{Error, Exit};
use crate::reconcile::{Intent, Plan};
use crate::report::{json, text};

pub(super) async fn run(context: &Context, args: &PlanArgs) -> Result<Exit, Error> {
    let project = context.project(&args.manifest.file)?;
    let (reader, target) = context.connect(&project).await?;
    let plan = context.plan(&reader, target, &project, Intent::Converge).await?;
    context.terminal.either(|| text::plan(&plan), || json::plan("plan", &plan));
    Ok(exit(&plan, args.detailed_exitcode))
}

/// Returns how a command that only reads ends.
pub(super) fn exit(plan: &Plan, detailed: bool) -> Exit {
    // A missing permission is a state; a call that failed in another way is an error, though the rest was read.
    if plan.gaps().any(|(_, gap)| !gap.denied) {
        return if detailed { Exit::Incomplete } else { Exit::Error };
    }
    match detailed {
        true if plan.gaps().next().is_some() => Exit::Incomplete,
        true if plan.has_differences() => Exit::Changes,
        _ => Exit::Done,
    }
}
