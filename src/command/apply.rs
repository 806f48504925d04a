//! `sentinel apply`, of a manifest or a saved plan, and the carrying out that `init` shares with it.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use futures_util::stream::{self, StreamExt};

use super::context::Context;
use super::pass::{Attempt, Destination, Planned, TARGETS, explained, scope};
use super::plan;
use crate::cli::{ApplyArgs, Going};
use crate::error::{Error, Exit};
use crate::kind::Waiting;
use crate::planfile::{Origin, SavedTarget};
use crate::provider::{Region, Writer};
use crate::reconcile::{self, Action, ApplyReport, Intent, Outcome, Pass, Plan, Target, Verification, guard};
use crate::report::{json, text};
use crate::resource::digest;
use crate::review::Review;

pub(super) async fn run(context: &Context, args: &ApplyArgs) -> Result<Exit, Error> {
    if let Some(path) = &args.plan_file {
        return run_saved(context, path, args).await;
    }
    let project = context.project(&args.manifest.file)?;
    let scope = scope(&project, &args.filter, &args.reach)?;
    let attempts = context.plan_all(&project, &args.filter, &scope).await?;
    carry_out(context, "apply", attempts, args.force, &args.going).await
}

/// Carries out a saved plan: it is looked at again whether what it was made on still holds, and if any of it does not,
/// nothing at all is done.
async fn run_saved(context: &Context, path: &Path, args: &ApplyArgs) -> Result<Exit, Error> {
    let file = plan::load(path)?;
    if has_changed(&file.manifest) {
        let path = &file.manifest.path;
        context
            .terminal
            .note(&format!("{path} has changed since the plan was made; what is done is what was saved.\n"));
    }
    let looks = file.targets.iter().map(|saved| look_again(context, saved));
    let looked: Vec<Result<Planned, Error>> = stream::iter(looks).buffered(TARGETS).collect().await;
    let mut attempts = Vec::new();
    for planned in looked {
        let mut planned = planned?;
        guard::allow(&mut planned.pass.plan, &args.reach.allow_destructive.iter().copied().collect());
        guard::extent(&planned.pass.plan, args.force).map_err(Error::Refused)?;
        attempts.push((planned.destination.clone(), Ok(planned)));
    }
    carry_out(context, "apply", attempts, args.force, &args.going).await
}

/// How much of a file is read to see whether it is still the manifest of a plan.
const MOST: u64 = 16 << 20;

/// Returns whether the manifest that a plan names is another one now. Whoever changed the plan could name anything: what is not
/// below the current folder is not looked at, and what is no file has no end.
fn has_changed(origin: &Origin) -> bool {
    let readable = std::fs::metadata(&origin.path).is_ok_and(|found| found.is_file() && found.len() <= MOST);
    let ours = is_below(Path::new(&origin.path), Path::new("."));
    ours && readable && std::fs::read_to_string(&origin.path).is_ok_and(|text| digest(&text) != origin.digest)
}

/// Observes again what a saved plan was made on, and returns the saved plan if it still holds.
async fn look_again(context: &Context, saved: &SavedTarget) -> Result<Planned, Error> {
    let SavedTarget { connection, plan, desired, review } = saved;
    let target = &plan.target;
    if let Some(region) = context.global.region.as_ref().filter(|region| **region != target.region) {
        let message = format!("the plan is for {}, and --region says {region}", target.region);
        return Err(Error::usage(message, "leave --region out, or plan for the other region"));
    }
    if let Some(root) = context.global.policy_root.as_ref().filter(|root| **root != target.policy_root) {
        let message = format!("the plan is for the policy root {}, and --policy-root says {root}", target.policy_root);
        return Err(Error::usage(message, "leave --policy-root out, or plan for the other root"));
    }
    let destination = Destination {
        name: target.name.clone(),
        region: Region { name: target.region.clone(), source: String::from("the plan") },
        aws_profile: context.global.aws_profile.clone().or_else(|| connection.aws_profile.clone()),
        role_arn: connection.role_arn.clone(),
        account_id: target.caller.as_ref().map(|caller| caller.account.clone()),
        local: connection.local.as_ref().map(PathBuf::from),
    };
    check_local(context, &destination)?;
    let (reader, fresh) = context.connect(&destination, &target.policy_root).await?;
    let looked = async { Ok(reconcile::look(&reader, fresh, desired.clone(), plan.scope.clone()).await?) };
    let now = context.reading(looked).await.map_err(|error| explained(error, &destination))?.plan;
    guard::account(&now, "the plan", destination.account_id.as_deref()).map_err(Error::Refused)?;
    guard::unmoved(plan, &now).map_err(Error::Refused)?;
    let pass = Pass { plan: plan.clone(), desired: desired.clone() };
    guard::unaltered(&pass, &now).map_err(Error::Refused)?;
    // As planned, but for who carries it out, where the region was named, and what is only found and never planned.
    let target = Target { local: target.local.clone(), ..now.target };
    let mut pass = Pass { plan: Plan { target, ..pass.plan }, ..pass };
    let mut found: HashMap<_, _> = now.resources.into_iter().map(|one| (one.address, one.facts)).collect();
    for resource in &mut pass.plan.resources {
        resource.facts = found.remove(&resource.address).unwrap_or_default();
    }
    Ok(Planned { destination, reader, pass, review: review.clone() })
}

/// A plan says itself whether it is for the embedded AWS; a flag that says otherwise is a mistake. A folder that nobody named but
/// the plan has to be below this one: whoever changed the plan could name any.
fn check_local(context: &Context, destination: &Destination) -> Result<(), Error> {
    let given = context.global.local.as_deref();
    let Some(folder) = &destination.local else {
        return match given {
            None => Ok(()),
            Some(_) => {
                Err(Error::usage("the plan is for AWS, and --local is given", "leave --local out, or plan with it"))
            }
        };
    };
    let named = given.filter(|given| !given.is_empty());
    if is_below(folder, named.map_or(Path::new("."), Path::new)) {
        return Ok(());
    }
    let is_for = format!("the plan is for the embedded AWS in {}", folder.display());
    Err(match named {
        Some(_) => Error::usage(is_for, "leave the folder of --local out, or plan for the other one"),
        None => Error::usage(
            format!("{is_for}, which is not in this folder"),
            "carry it out in the folder that it was made in, or name that folder with --local=FOLDER",
        ),
    })
}

/// Returns whether a path is a folder, or below it.
fn is_below(path: &Path, folder: &Path) -> bool {
    real(path).zip(real(folder)).is_some_and(|(path, folder)| path.starts_with(folder))
}

/// Returns where a path leads, all links followed as far as it is there.
fn real(path: &Path) -> Option<PathBuf> {
    let whole = std::env::current_dir().ok()?.join(path);
    if let Ok(there) = whole.canonicalize() {
        return Some(there);
    }
    // A link that leads to nothing yet is there too, and where it leads is not known. Nor is what is above something that is not there.
    let nearest = whole.ancestors().find(|folder| folder.symlink_metadata().is_ok())?;
    let rest = whole.strip_prefix(nearest).ok()?;
    let plain = rest.components().all(|part| part != Component::ParentDir);
    plain.then_some(nearest.canonicalize().ok()?.join(rest))
}

/// One target, and what became of it.
type Ended = (Destination, Result<(Plan, Review, ApplyReport), Error>);

/// Shows the plans, asks once, carries them out side by side, and shows what became of them.
pub(super) async fn carry_out(
    context: &Context,
    command: &str,
    attempts: Vec<Attempt>,
    force: bool,
    going: &Going,
) -> Result<Exit, Error> {
    let terminal = context.terminal;
    let mut attempts = match plan::only(attempts) {
        Ok(planned) => {
            let planned = planned?;
            if !terminal.json() {
                terminal.result(&text::plan(&planned.pass.plan, &planned.review, terminal.width()));
            }
            guard::extent(&planned.pass.plan, force).map_err(Error::Refused)?;
            vec![(planned.destination.clone(), Ok(planned))]
        }
        Err(mut attempts) => {
            if !terminal.json() {
                let body = |planned: &Planned| text::plan(&planned.pass.plan, &planned.review, terminal.width());
                terminal.result(&plan::grouped(&attempts, body));
            }
            for (_, attempt) in &mut attempts {
                let refused = attempt.as_ref().ok().and_then(|one| guard::extent(&one.pass.plan, force).err());
                if let Some(refusal) = refused {
                    *attempt = Err(Error::Refused(refusal));
                }
            }
            attempts
        }
    };
    let plans = || attempts.iter().filter_map(|(_, attempt)| attempt.as_ref().ok()).map(|one| &one.pass.plan);
    if plans().any(Plan::has_steps) {
        context.confirm(going.yes, "Make these changes?").await?;
        context.listen_for_termination();
    }
    let work = attempts.drain(..).map(|(destination, attempt)| async move {
        match attempt {
            Ok(planned) => (destination, Ok(perform(context, planned, going).await)),
            Err(error) => (destination, Err(error)),
        }
    });
    let ended: Vec<Ended> = stream::iter(work).buffered(TARGETS).collect().await;
    show_ended(context, command, &ended);
    let did = |report: &ApplyReport| report.resources.iter().any(|one| one.steps_done > 0);
    let any_done = ended.iter().any(|(_, ended)| ended.as_ref().is_ok_and(|(_, _, report)| did(report)));
    let exits = ended.iter().map(|(_, ended)| match ended {
        Ok((plan, _, report)) => exit(plan, report),
        Err(error) => error.exit(),
    });
    // One target that failed where another was changed is a part of the whole that was done.
    Ok(match Exit::worst(exits) {
        Exit::Error if any_done => Exit::Partial,
        other => other,
    })
}

async fn perform(context: &Context, planned: Planned, going: &Going) -> (Plan, Review, ApplyReport) {
    // From here on it may write: the reading provider is given up for one that can.
    let writer = Writer::new(planned.reader, Waiting { limit: going.wait_timeout });
    let progress = context.progress.of_target(planned.destination.name.as_deref());
    let report = reconcile::apply(&writer, &planned.pass, &context.interrupt, &progress).await;
    (planned.pass.plan, planned.review, report)
}

fn show_ended(context: &Context, command: &str, ended: &[Ended]) {
    let words = |plan: &Plan, report: &ApplyReport| match plan.has_steps() {
        true => text::applied(plan, report),
        false => text::idle(plan),
    };
    if let [(Destination { name: None, .. }, Ok((plan, review, report)))] = ended {
        return context.terminal.either(|| words(plan, report), || json::applied(command, (plan, review), report));
    }
    let text = || plan::grouped(ended, |(plan, _, report)| words(plan, report));
    let part = |(plan, review, report): &(Plan, Review, ApplyReport)| json::applied_part(plan, review, report);
    context.terminal.either(text, || json::targets(command, plan::listed(ended, part)));
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
    let unread = gaps || !plan.unlisted.is_empty();
    match (failed, done, refused) {
        (true, true, _) => Exit::Partial,
        (true, false, _) => Exit::Error,
        (false, _, true) => Exit::Refused,
        (false, true, false) if unread => Exit::Partial,
        (false, false, false) if unread => Exit::Error,
        (false, _, false) => Exit::Done,
    }
}
