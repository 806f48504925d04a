//! `sentinel apply PLANFILE`. A saved plan is untrusted input: it is applied only if it is for this manifest and follows from its desired
//! state and the live state.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use tracing::Instrument;

use super::access::find_manifest;
use super::apply::{apply_plans, share};
use super::context::{Context, DesiredAt, Project};
use super::fleet::{Answered, Work, account_of, concurrently, span_of};
use super::local::Users;
use super::pass::{Planned, explained};
use super::plan;
use super::targets::Selection;
use crate::cli::ApplyArgs;
use crate::code::Code;
use crate::diagnostic::some;
use crate::error::{Error, Exit};
use crate::kind::{Address, DesiredResource, Presence};
use crate::planfile::{Origin, PlanFile, SavedTarget};
use crate::reconcile::guard::{self, Credentials, Refusal};
use crate::reconcile::{self, Pass, Plan};
use crate::report::text;
use crate::resource::destination::{Destination, Region, Route};
use crate::resource::names::{AccountId, RegionName};
use crate::review::{Review, ReviewInputs};

/// Applies a saved plan. Reads AWS again first, and changes nothing if any resource of the plan has changed since.
pub(super) async fn run(context: &Context, path: &Path, args: &ApplyArgs) -> Result<Exit, Error> {
    let mut file = plan::load(path)?;
    for saved in &file.targets {
        check_flags(context, &saved.plan.target)?;
    }
    let project = match args.detached {
        true => None,
        false => Some(current_project(context, &file, &args.file)?),
    };
    let (wanted, review_inputs) = match &project {
        Some(project) => {
            let wanted = check(context, &file, project).await?;
            tell_changes(context, &file, project, &wanted);
            (wanted, Arc::new(project.review_inputs()))
        }
        None => (Vec::new(), Arc::new(file.review_inputs())),
    };
    restore_secrets(&mut file, project.as_ref(), &wanted)?;
    let review_inputs = file.targets.iter().enumerate().map(|(index, saved)| match (&project, wanted.get(index)) {
        (Some(project), Some(wanted)) => project.review_inputs_of(wanted, &review_inputs),
        _ => Arc::new(file.review_inputs_at(saved, &review_inputs).into_owned()),
    });
    let looks: Vec<(&SavedTarget, Arc<ReviewInputs>)> = file.targets.iter().zip(review_inputs).collect();
    // The plan contains the account of its credentials, but not that of the manifest.
    let account = |(saved, _): &(&SavedTarget, _)| {
        let reached = Destination { caller: saved.plan.target.caller.clone(), ..destination(context, saved) };
        account_of(&reached)
    };
    let look = |(saved, review_inputs), account| observe_again(context, saved, review_inputs, account);
    let looked = concurrently(looks, Work::Reading, account, look).await;
    let mut attempts = Vec::new();
    for mut planned in unmoved(context, &file, looked)? {
        guard::allow(&mut planned.pass.plan, &args.reach.allow_destructive.iter().copied().collect());
        guard::extent(&planned.pass.plan, share(args)).map_err(Error::Refused)?;
        attempts.push((planned.pass.plan.target.clone(), Ok(planned)));
    }
    apply_plans(context, "apply", attempts, (share(args), &args.options), Vec::new()).await
}

/// Returns the new observations if no target of the plan has changed. A refusal names all targets that have.
fn unmoved(context: &Context, file: &PlanFile, looked: Vec<Result<Planned, Error>>) -> Result<Vec<Planned>, Error> {
    let mut planned = Vec::new();
    let mut failed: Vec<(Option<&str>, Error)> = Vec::new();
    for (saved, looked) in file.targets.iter().zip(looked) {
        match looked {
            Ok(one) => planned.push(one),
            Err(error) => failed.push((saved.plan.target.name.as_deref(), error)),
        }
    }
    match joined(&mut failed) {
        Some(refusal) => Err(Error::Refused(refusal)),
        None if failed.is_empty() => Ok(planned),
        None => {
            // The first one is the error of the run. The others are printed before it.
            let (name, first) = failed.remove(0);
            for (name, error) in &failed {
                let of = name.map(|name| format!("target {name}: ")).unwrap_or_default();
                context.terminal.note(&text::error_of(&of, error));
            }
            if let Some(name) = name {
                let text = format!("target {name} has changed since it was planned, or could not be read again:");
                context.terminal.note(&format!("{}\n", crate::report::escape(&text)));
            }
            Err(first)
        }
    }
}

/// Returns the refusals of several targets as one, if all of them are stale.
fn joined(failed: &mut Vec<(Option<&str>, Error)>) -> Option<Refusal> {
    let is_stale = |error: &Error| matches!(error, Error::Refused(refusal) if refusal.code == Code::Stale);
    if !failed.iter().all(|(_, error)| is_stale(error)) {
        return None;
    }
    let mut whole: Option<Refusal> = None;
    for (name, error) in failed.drain(..) {
        let Error::Refused(Refusal { details, .. }) = &error else { continue };
        let details: Vec<String> = match name {
            Some(name) => details.iter().map(|line| format!("target {name}: {line}")).collect(),
            None => details.clone(),
        };
        match (&mut whole, error) {
            (Some(whole), _) => whole.details.extend(details),
            (None, Error::Refused(refusal)) => whole = Some(Refusal { details, ..refusal }),
            (None, _) => {}
        }
    }
    whole
}

/// Adds the secrets of the manifest to a saved plan, which has only their digests.
fn restore_secrets(file: &mut PlanFile, project: Option<&Project>, wanted: &[DesiredAt<'_>]) -> Result<(), Error> {
    for (index, saved) in file.targets.iter_mut().enumerate() {
        let now = wanted.get(index).map_or(&[][..], |wanted| &wanted.desired);
        let now: HashMap<&Address, &DesiredResource> = now.iter().map(|one| (one.address(), one)).collect();
        for one in &mut saved.desired {
            if let Some(now) = now.get(&one.address().clone()) {
                one.restore_secrets(now);
            }
        }
        for (resource, desired) in saved.plan.resources.iter_mut().zip(&saved.desired) {
            let mut steps = resource.steps.iter_mut().chain(&mut resource.withheld);
            if !steps.all(|step| desired.restore_step_secret(step)) {
                return Err(Error::Refused(unknown_secret(desired, project, now.get(desired.address()).copied())));
            }
        }
    }
    Ok(())
}

/// Returns the reason why the manifest has no secret with the digest in a plan.
fn unknown_secret(desired: &DesiredResource, project: Option<&Project>, now: Option<&DesiredResource>) -> Refusal {
    let source = desired.origin().unwrap_or("its source");
    let hint = match (project, now.and_then(DesiredResource::unset)) {
        (None, _) => format!("remove --detached, so that Sentinel reads {source}"),
        (Some(_), Some(variable)) => format!("set {variable} to its value when the plan was made"),
        (Some(_), None) => format!("make the plan again: {source} has changed since"),
    };
    let address = desired.address();
    Refusal {
        code: Code::PlanMismatch,
        message: format!("the plan writes the secret of {address}, but contains only its digest; nothing was changed"),
        details: Vec::new(),
        hint,
    }
}

/// Refuses an option that contradicts the plan.
fn check_flags(context: &Context, target: &Destination) -> Result<(), Error> {
    if let Some(region) = context.global.region.as_ref().filter(|region| **region != target.region.name) {
        let message = format!("the plan is for {}, but --region is {region}", target.region.name);
        return Err(Error::usage(message, "remove --region, or plan for the other region"));
    }
    if let Some(root) = context.global.policy_root.as_ref().filter(|root| **root != target.policy_root) {
        let message = format!("the plan is for the policy root {}, but --policy-root is {root}", target.policy_root);
        return Err(Error::usage(message, "remove --policy-root, or plan for the other root"));
    }
    Ok(())
}

/// Returns the path of the manifest: that of the option, or the one in the plan. The latter must be below the current folder, since the
/// plan is untrusted and could name any file.
fn current_project(context: &Context, file: &PlanFile, named: &[PathBuf]) -> Result<Project, Error> {
    if !named.is_empty() {
        return context.project(named);
    }
    let paths: Vec<PathBuf> =
        [&file.manifest.path].into_iter().chain(&file.manifest.other_paths).map(PathBuf::from).collect();
    let is_ours = |path: &PathBuf| {
        let is_file = std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() <= MAX_MANIFEST);
        is_file && is_below(path, Path::new("."))
    };
    let Some(path) = paths.iter().find(|path| !is_ours(path)) else { return context.project(&paths) };
    Err(Error::Refused(Refusal {
        code: Code::PlanMismatch,
        message: format!("the plan was made from {}, which is not a file in this folder", path.display()),
        details: Vec::new(),
        hint: String::from("name the manifest with -f FILE; to apply the plan without a manifest, add --detached"),
    }))
}

/// The size limit of a manifest that only the plan names.
const MAX_MANIFEST: u64 = 16 << 20;

/// Refuses a plan with another destination or other credentials than the manifest, or that deletes resources of the manifest.
///
/// Returns the desired state at each target of the plan.
async fn check<'p>(context: &Context, file: &PlanFile, project: &'p Project) -> Result<Vec<DesiredAt<'p>>, Error> {
    let refused = |why: String| {
        Error::Refused(Refusal {
            code: Code::PlanMismatch,
            message: format!("the plan is not for {}: {why}; nothing was changed", project.source.path),
            details: Vec::new(),
            hint: String::from(
                "make a new plan with sentinel plan --out FILE; give the same options as for the plan (--region, \
                 --policy-root, --aws-profile)",
            ),
        })
    };
    let manifest = &project.loaded.manifest;
    let names: BTreeSet<String> = file.targets.iter().filter_map(|saved| saved.plan.target.name.clone()).collect();
    if let Some(unknown) = names.iter().next().filter(|_| manifest.targets.is_empty()) {
        return Err(refused(format!("the manifest has no target {unknown}")));
    }
    if names.is_empty() != manifest.targets.is_empty() {
        return Err(refused(String::from("the manifest has targets, and the plan names none of them")));
    }
    let chosen = context.chosen(project, Selection::Named(&names)).await?;
    let chosen: HashMap<Option<&str>, &Destination<Option<RegionName>>> =
        chosen.iter().map(|one| (one.name.as_deref(), one)).collect();
    let mut all = Vec::new();
    for saved in &file.targets {
        let SavedTarget { connection, plan, desired, .. } = saved;
        let target = &plan.target;
        let Some(expected) = chosen.get(&target.name.as_deref()) else {
            let name = target.name.as_deref().unwrap_or_default();
            return Err(refused(format!("the manifest has no target {name}")));
        };
        let describe = |value: Option<&str>, none: &str| value.unwrap_or(none).to_owned();
        if target.policy_root != project.loaded.policy_root {
            let root = &project.loaded.policy_root;
            return Err(refused(format!("its policy root is {}, the manifest's is {root}", target.policy_root)));
        }
        // The region of the option, the manifest, the environment or the AWS profile, as for a new plan.
        match context.region(expected).await {
            Some(region) if region.name == target.region.name => {}
            Some(Region { name, source }) => {
                return Err(refused(format!(
                    "its region is {}, but a new plan would be for {name} (from {source})",
                    target.region.name
                )));
            }
            None => {
                return Err(refused(format!("its region is {}, but no region is configured here", target.region.name)));
            }
        }
        if connection.route.role_arn != expected.route.role_arn {
            let said = describe(expected.route.role_arn.as_deref(), "none");
            let role = describe(connection.route.role_arn.as_deref(), "none");
            return Err(refused(format!("the role it assumes is {role}, the manifest's is {said}")));
        }
        // The option replaces it.
        if context.global.aws_profile.is_none() && connection.route.aws_profile != expected.route.aws_profile {
            let said = describe(expected.route.aws_profile.as_deref(), "none");
            let profile = describe(connection.route.aws_profile.as_deref(), "none");
            return Err(refused(format!("the AWS profile it uses is {profile}, the manifest's is {said}")));
        }
        let account = target.account();
        let meant = expected.route.account_id.as_ref().filter(|_| connection.local.is_none());
        if let Some(meant) = meant.filter(|meant| Some(*meant) != account) {
            return Err(refused(format!(
                "its account is {}, the manifest's is {meant}",
                describe(account.map(AccountId::as_str), "none")
            )));
        }
        let ownership = manifest.aws.ownership_key();
        if plan.scope.ownership != ownership {
            let said = describe(ownership.as_deref(), "none");
            let key = describe(plan.scope.ownership.as_deref(), "none");
            return Err(refused(format!("its ownership tag is {key}, the manifest's is {said}")));
        }
        let wanted = project.wanted(&Destination::clone(expected).with_region(target.region.clone()))?;
        let known: HashSet<&str> = wanted.desired.iter().map(DesiredResource::name).collect();
        let named = |one: &&DesiredResource| known.contains(one.name());
        if let Some(one) = desired.iter().filter(|one| is_gone(one)).find(named) {
            return Err(refused(format!("it deletes {}, which the manifest names", one.name())));
        }
        let removed = |one: &&DesiredResource| one.presence() == Presence::Removed;
        if let Some(one) = desired.iter().filter(removed).find(|one| !wanted.desired.contains(one)) {
            return Err(refused(format!("it deletes {}, which is not marked as removed in the manifest", one.name())));
        }
        all.push(wanted);
    }
    Ok(all)
}

/// Returns whether a resource is to be deleted.
fn is_gone(one: &DesiredResource) -> bool {
    one.presence() == Presence::Absent
}

/// Warns about resources that differ between the manifest and the plan. The saved plan is applied.
fn tell_changes(context: &Context, file: &PlanFile, project: &Project, wanted: &[DesiredAt<'_>]) {
    let mut changed: Vec<String> = Vec::new();
    for (saved, wanted) in file.targets.iter().zip(wanted) {
        let now: HashMap<&Address, &DesiredResource> = wanted.desired.iter().map(|one| (one.address(), one)).collect();
        for one in saved.desired.iter().filter(|one| !is_gone(one)) {
            let same = now.get(one.address()).is_some_and(|now| {
                let now = if saved.plan.scope.adopt { (*now).clone().adopted() } else { (*now).clone() };
                // The value of a variable that is not set is unknown. It is checked only if the plan writes it.
                now.unset().is_some() || now == *one
            });
            let address = one.address().to_string();
            if !same && !changed.contains(&address) {
                changed.push(address);
            }
        }
    }
    let now = Origin::of(&project.source, Vec::new());
    let files = file.manifest.differing(&now);
    if changed.is_empty() && files.is_empty() {
        return;
    }
    let otherwise = match changed.as_slice() {
        [] => String::new(),
        changed => format!(" The manifest has another desired state for: {}.", some(changed)),
    };
    let what = match files.as_slice() {
        [] => format!("a file that {} names has changed", project.source.path),
        [path] => format!("{path} has changed"),
        paths => format!("{} have changed", some(paths)),
    };
    let text = format!("{what} since the plan was made; apply makes the saved changes.{otherwise}");
    context.terminal.note(&format!("{}\n", crate::report::escape(&text)));
}

/// Returns the destination of a target of a saved plan.
fn destination(context: &Context, saved: &SavedTarget) -> Destination {
    let SavedTarget { connection, plan, .. } = saved;
    let target = &plan.target;
    Destination {
        region: Region { name: target.region.name.clone(), source: String::from("the plan") },
        caller: None,
        local: connection.local.clone(),
        route: Route {
            aws_profile: context.global.aws_profile.clone().or_else(|| connection.route.aws_profile.clone()),
            ..connection.route.clone()
        },
        ..target.clone()
    }
}

/// Observes the resources of a saved plan again, and returns the plan if none of them has changed.
async fn observe_again(
    context: &Context,
    saved: &SavedTarget,
    review_inputs: Arc<ReviewInputs>,
    account: Answered,
) -> Result<Planned, Error> {
    let span = span_of(&saved.plan.target);
    Box::pin(looked_at(context, saved, review_inputs, account)).instrument(span).await
}

async fn looked_at(
    context: &Context,
    saved: &SavedTarget,
    review_inputs: Arc<ReviewInputs>,
    account: Answered,
) -> Result<Planned, Error> {
    let SavedTarget { connection, plan, desired, .. } = saved;
    let target = &plan.target;
    let destination = destination(context, saved);
    let users = match connection.local.as_ref().map(|_| find_manifest()).transpose()?.flatten() {
        Some(file) => Users::of_file(context, &file)?,
        None => Users::default(),
    };
    check_local(context, &destination)?;
    let reader = context.reach(&destination, &users, &account).await?;
    let looked = async {
        Ok(reconcile::observe_and_plan(&reader, destination.clone(), desired.clone(), plan.scope.clone()).await?)
    };
    let now = context.reading(looked).await.map_err(|error| explained(error, &destination))?.plan;
    // Also on the AWS emulator: a manifest of any account can be used with it, but a plan names the account of its own.
    if let (Some(expected), Some(caller)) = (target.account(), &now.target.caller)
        && caller.account != *expected
    {
        let credentials = Credentials { account: &caller.account, arn: &caller.arn };
        return Err(Error::Refused(guard::wrong_account("the plan", expected, credentials)));
    }
    guard::check_baseline(plan, &now).map_err(Error::Refused)?;
    let pass = Pass { plan: plan.clone(), desired: desired.clone() };
    guard::check_unaltered(&pass, &now).map_err(Error::Refused)?;
    // Compared fields are shown as in the plan, all others as they are now.
    let target = Destination { local: destination.local.as_deref().map(shown), ..now.target };
    let mut pass = Pass { plan: Plan { target, ..pass.plan }, ..pass };
    let mut found: HashMap<_, _> = now.resources.into_iter().map(|one| (one.address, (one.facts, one.gaps))).collect();
    for resource in &mut pass.plan.resources {
        let (facts, gaps) = found.remove(&resource.address).unwrap_or_default();
        resource.facts = facts;
        if resource.exists() {
            resource.gaps = gaps;
        }
    }
    let review = Review::of(&pass.plan, &review_inputs);
    Ok(Planned { reader: Some(reader), users, settled: None, pass, review })
}

/// Returns a folder for display: relative if it is below the current one.
fn shown(folder: &Path) -> PathBuf {
    let here = std::env::current_dir().and_then(|here| here.canonicalize());
    let below = here.ok().and_then(|here| folder.strip_prefix(here).ok().map(Path::to_owned));
    below.filter(|below| !below.as_os_str().is_empty()).unwrap_or_else(|| folder.to_owned())
}

/// Checks `--local` against the plan, which contains whether it is for the AWS emulator. A folder that only the plan names must be below
/// the current one, since the plan is untrusted.
fn check_local(context: &Context, destination: &Destination) -> Result<(), Error> {
    let given = context.global.local.as_deref();
    let Some(folder) = &destination.local else {
        return match given {
            None => Ok(()),
            Some(_) => {
                Err(Error::usage("the plan is for AWS, but --local is given", "remove --local, or plan with --local"))
            }
        };
    };
    let named = given.filter(|given| !given.is_empty());
    if is_below(folder, named.map_or(Path::new("."), Path::new)) {
        return Ok(());
    }
    let is_for = format!("the plan is for the AWS emulator in {}", folder.display());
    Err(match named {
        Some(_) => Error::usage(is_for, "remove the folder of --local, or plan for the other one"),
        None => Error::usage(
            format!("{is_for}, which is not in this folder"),
            "apply it in the folder in which it was made, or name the emulator's folder with --local=FOLDER",
        ),
    })
}

/// Returns whether a path is a folder or below it.
fn is_below(path: &Path, folder: &Path) -> bool {
    real(path).zip(real(folder)).is_some_and(|(path, folder)| path.starts_with(folder))
}

/// Returns a path with all links resolved, as far as it exists.
fn real(path: &Path) -> Option<PathBuf> {
    let whole = std::env::current_dir().ok()?.join(path);
    if let Ok(there) = whole.canonicalize() {
        return Some(there);
    }
    // The target of a dangling link is unknown, and so is the parent of a path that does not exist.
    let nearest = whole.ancestors().find(|folder| folder.symlink_metadata().is_ok())?;
    let rest = whole.strip_prefix(nearest).ok()?;
    let plain = rest.components().all(|part| part != Component::ParentDir);
    plain.then_some(nearest.canonicalize().ok()?.join(rest))
}
