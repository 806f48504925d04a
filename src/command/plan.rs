//! `sentinel plan` and `sentinel show`.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::context::{Context, Project, Secrets};
use super::output::{check_folder, is_same, same};
use super::pass::{Attempt, Keep, Planned, Values, check_variables, scope};
use super::status::quoted;
use crate::cli::{FilterArgs, Format, OutputArgs, PlanArgs, ShowArgs};
use crate::error::{Error, Exit};
use crate::files;
use crate::kind::{DesiredResource, policy_parameter};
use crate::planfile::{Origin, PlanFile, SavedReviewInputs, SavedTarget};
use crate::reconcile::{Plan, Scope};
use crate::report::output::{Body, Part, Shown};
use crate::report::{Detail, text};
use crate::resource::destination::Destination;
use crate::review::fail_on::{self, Check, Finding};

pub(super) async fn run(context: &Context, args: &PlanArgs) -> Result<Exit, Error> {
    if let Some(path) = &args.out
        && args.output.files().iter().any(|(_, other)| is_same(path, other))
    {
        return Err(same(path));
    }
    if let Some(path) = &args.out {
        check_folder(path)?;
    }
    let mut project = context.project(&args.manifest.file)?;
    if args.show_secrets {
        policy_parameter::reveal(&mut project.loaded.desired);
        project.secrets = Secrets::Shown;
    }
    let scope = scope(&project, &args.filter, &args.reach)?;
    check_variables(&project, &scope)?;
    let keep = if args.out.is_some() || args.detail.all { Keep::All } else { context.keep(&args.output) };
    let attempts = context.plan_all(&project, &args.filter, &scope, Values::Needed, keep).await?;
    let mut saved = String::new();
    if let Some(path) = &args.out {
        let planned: Vec<&Planned> = attempts.iter().filter_map(|(_, attempt)| attempt.as_ref().ok()).collect();
        // An incomplete plan must not be reviewed and applied.
        if planned.len() == attempts.len() {
            save(path, &project, &planned)?;
            let name = path.display().to_string();
            saved = format!("Saved to {name}. Next: {}\n", quoted(&["sentinel", "apply", &name]));
        } else {
            saved = format!("Not saved to {}: not every target could be planned.\n", path.display());
        }
    }
    let exit = exit_of(&attempts, if args.detailed_exitcode { ExitCodes::Detailed } else { ExitCodes::Usual });
    let checks: BTreeSet<Check> = args.fail_on.iter().copied().collect();
    let findings = findings(&project, &scope, &checks, &attempts)?;
    let mut extra = shard(&args.filter);
    if !checks.is_empty() {
        extra.push(("fail_on", json!({ "checks": checks, "findings": findings })));
    }
    let frame = Frame { command: "plan", output: &args.output, extra, detail: Detail::of(&args.detail) };
    let shown = show_parts(context, &frame, attempts);
    // The next step comes after the plan that the user reads first.
    if !saved.is_empty() {
        context.terminal.note(&saved);
    }
    shown?;
    if findings.is_empty() {
        return Ok(exit);
    }
    let findings: Vec<String> = findings.iter().map(Finding::to_string).collect();
    // The output is complete, so there is no error document.
    context.terminal.note(&text::error(&Error::FailOn(findings.join("; "))));
    Ok(if exit == Exit::Interrupted { exit } else { Exit::Error })
}

/// Returns the findings of `--fail-on`.
fn findings(
    project: &Project,
    scope: &Scope,
    checks: &BTreeSet<Check>,
    attempts: &[Attempt],
) -> Result<Vec<Finding>, Error> {
    let mut found = Vec::new();
    if checks.is_empty() {
        return Ok(found);
    }
    let shared = Arc::new(project.review_inputs());
    for (destination, attempt) in attempts {
        let mut own = match attempt {
            Ok(planned) => fail_on::of_plan(checks, &planned.pass.plan, &planned.review),
            Err(error) if checks.contains(&Check::Incomplete) => {
                vec![Finding::new(Check::Incomplete, format!("the target could not be planned: {error}"))]
            }
            Err(_) => Vec::new(),
        };
        if checks.contains(&Check::Cases) && attempt.is_ok() {
            let wanted = project.wanted(destination)?;
            let desired: Vec<&DesiredResource> =
                wanted.desired.iter().filter(|one| scope.holds(one.address())).collect();
            own.extend(fail_on::of_cases(&desired, &project.review_inputs_of(&wanted, &shared)));
        }
        for one in &mut own {
            one.target.clone_from(&destination.name);
        }
        found.extend(own);
    }
    Ok(found)
}

/// Returns the document's field for the shard.
pub(super) fn shard(filter: &FilterArgs) -> Vec<(&'static str, Value)> {
    filter.shard.iter().map(|shard| ("shard", Value::String(shard.to_string()))).collect()
}

/// Shows one plan, or several by target.
pub(super) fn show(context: &Context, command: &str, output: &OutputArgs, attempts: Vec<Attempt>) -> Result<(), Error> {
    show_parts(context, &Frame { command, output, extra: Vec::new(), detail: Detail::Changes }, attempts)
}

/// The output of plans.
struct Frame<'a> {
    command: &'a str,
    output: &'a OutputArgs,
    /// Additional fields of the document.
    extra: Vec<(&'static str, Value)>,
    detail: Detail,
}

fn show_parts(context: &Context, frame: &Frame<'_>, attempts: Vec<Attempt>) -> Result<(), Error> {
    let Frame { command, output, extra, detail } = frame;
    let shown = |parts| Shown { command, preface: None, extra: extra.clone(), parts, detail: *detail };
    match only(attempts) {
        Ok(planned) => {
            let planned = planned?;
            context.show(output, &shown(vec![Part { name: None, index: None, body: Ok(body(&planned)) }]))
        }
        Err(attempts) => context.show(output, &shown(parts(&attempts, body))),
    }
}

fn body(planned: &Planned) -> Body<'_> {
    match planned.settled {
        Some(settled) => Body::Settled(settled),
        None => Body::Plan(&planned.pass.plan, &planned.review),
    }
}

/// Returns the parts of the output for several targets.
pub(super) fn parts<'a, T>(
    targets: &'a [(Destination, Result<T, Error>)],
    body: impl Fn(&'a T) -> Body<'a>,
) -> Vec<Part<'a>> {
    let part = |(destination, attempt): &'a (Destination, Result<T, Error>)| Part {
        name: Some(destination.name.as_deref().unwrap_or_default()),
        index: Some(destination.position),
        body: attempt.as_ref().map(&body),
    };
    targets.iter().map(part).collect()
}

/// Returns the plans of several targets as text.
pub(super) fn text(attempts: &[Attempt], width: Option<usize>) -> Result<String, Error> {
    let parts = parts(attempts, body);
    Shown { command: "plan", preface: None, extra: Vec::new(), parts, detail: Detail::Changes }
        .render(Format::Text, width)
}

/// Returns the only attempt of a manifest without targets, and otherwise all attempts, as an error.
pub(super) fn only(attempts: Vec<Attempt>) -> Result<Result<Planned, Error>, Vec<Attempt>> {
    match attempts.as_slice() {
        [(destination, _)] if destination.name.is_none() => {}
        _ => return Err(attempts),
    }
    attempts.into_iter().next().map(|(_, attempt)| attempt).ok_or_else(Vec::new)
}

/// Saves a plan atomically. Refuses to replace a file that is not a saved plan.
fn save(path: &Path, project: &Project, planned: &[&Planned]) -> Result<(), Error> {
    match files::read_text(path, files::PLAN) {
        Ok(text) if !PlanFile::is_one(&text) => {
            let error = Error::file(path, "this file is not a saved plan, and was not changed");
            return Err(error.with_hint("name another file with --out"));
        }
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(Error::io(path, error)),
        _ => {}
    }
    let shared = Arc::new(project.review_inputs());
    let mut saved = Vec::new();
    for planned in planned {
        let mut target = SavedTarget::new(&planned.pass, &planned.review);
        if project.loaded.varies() {
            let wanted = project.wanted(&planned.pass.plan.target)?;
            let review_inputs = project.review_inputs_of(&wanted, &shared);
            target.review_inputs =
                Some(SavedReviewInputs::new(&project.source.path, &review_inputs, &project.policies(Some(&wanted))));
        }
        saved.push(target);
    }
    let manifest = project.source.path.clone();
    let other_paths = project.paths.iter().skip(1).map(|path| path.display().to_string()).collect();
    let origin = Origin::of(&project.source, other_paths);
    let review_inputs = SavedReviewInputs::new(&manifest, &shared, &project.policies(None));
    let file = PlanFile::new(origin, review_inputs, saved);
    let text = file.to_text().map_err(Error::unwritable)?;
    let most = files::PLAN.bytes();
    if text.len() as u64 > most {
        let hint = "save it in parts: --only, --exclude, --target";
        let what = format!("the plan has {} bytes, and a saved plan has at most {most}", text.len());
        return Err(Error::file(path, what).with_hint(hint));
    }
    // Renaming a complete file makes sure that there is never an incomplete plan.
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let beside = path.with_file_name(format!(".{name}.{}", std::process::id()));
    private(&beside, &text).and_then(|()| std::fs::rename(&beside, path)).map_err(|error| {
        let _ = std::fs::remove_file(&beside);
        Error::io(path, error)
    })
}

/// Writes a file that only its owner can access: it contains policies, and anyone who can change it decides what is applied.
fn private(path: &Path, text: &str) -> std::io::Result<()> {
    files::create_new(path, files::PRIVATE)?.write_all(text.as_bytes())
}

/// Reads a saved plan, and makes the checks that need no AWS calls.
pub(super) fn load(path: &Path) -> Result<PlanFile, Error> {
    let text = files::read_text(path, files::PLAN).map_err(|error| {
        let hint = match error.kind() {
            std::io::ErrorKind::NotFound => "save a plan with: sentinel plan --out FILE",
            _ => "name a plan that sentinel plan --out FILE saved",
        };
        Error::read(path, error, "there is no such plan").with_hint(hint)
    })?;
    PlanFile::read(&text).map_err(|why| Error::unusable_plan(&path.display().to_string(), &why))
}

pub(super) fn run_show(context: &Context, args: &ShowArgs) -> Result<Exit, Error> {
    let file = load(&args.plan_file)?;
    let parts = file.targets.iter().map(|target| Part {
        name: target.plan.target.name.as_deref(),
        index: None,
        body: Ok(Body::Plan(&target.plan, &target.review)),
    });
    let shown = Shown {
        command: "show",
        preface: Some(text::plan_file(&file)),
        extra: Vec::new(),
        parts: parts.collect(),
        detail: Detail::of(&args.detail),
    };
    context.show(&args.output, &shown)?;
    Ok(Exit::Done)
}

/// The meaning of exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExitCodes {
    /// Whether something failed.
    Usual,
    /// Whether there are differences, too.
    Detailed,
}

/// Returns the exit code of a reading command. With detailed codes, a failed target makes the result incomplete if other targets were
/// read.
pub(super) fn exit_of(attempts: &[Attempt], codes: ExitCodes) -> Exit {
    let some = attempts.iter().any(|(_, attempt)| attempt.is_ok());
    Exit::worst(attempts.iter().map(|(_, attempt)| match (attempt, codes) {
        (Ok(planned), ExitCodes::Detailed) => detailed_exit(&planned.pass.plan),
        (Ok(planned), ExitCodes::Usual) => exit(&planned.pass.plan),
        (Err(error), ExitCodes::Detailed) if some && matches!(error.exit(), Exit::Error | Exit::Refused) => {
            Exit::Incomplete
        }
        (Err(error), _) => error.exit(),
    }))
}

/// Returns the exit code for a plan.
pub(super) fn exit(plan: &Plan) -> Exit {
    // A missing permission is reported in the plan. Any other failed call is an error, although the rest was read.
    if plan.gaps().any(|gap| !gap.denied) { Exit::Error } else { Exit::Done }
}

/// Returns the detailed exit code for a plan.
pub(super) fn detailed_exit(plan: &Plan) -> Exit {
    if plan.gaps().next().is_some() {
        return Exit::Incomplete;
    }
    if plan.has_differences() { Exit::Changes } else { Exit::Done }
}
