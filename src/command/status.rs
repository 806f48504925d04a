//! `sentinel status` and `sentinel init status`.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde_json::json;

use super::access::{self, find_manifest, read};
use super::baseline::Baseline;
use super::context::{Context, ManifestOrigin, Need, no_region};
use super::local::Users;
use super::pass::{Planned, Values, scope};
use super::plan::{self, ExitCodes};
use super::targets::{Selection, one_target};
use crate::cli::{InitStatusArgs, ReachArgs, StatusArgs};
use crate::error::{Error, Exit};
use crate::kind::policy_parameter::profile_of;
use crate::kind::{KindId, Site};
use crate::manifest::{Builtin, Manifest, TableSection, TargetPattern};
use crate::reconcile::{self, Action, Intent, Plan, ResourcePlan, Scope, Seen, guard};
use crate::report::Detail;
use crate::report::output::{Body, InSync, Part, Shown};
use crate::report::status::{ParameterStatus, ResourceStatus, ShellHint, State, Status, Suggestion, listed_under};
use crate::resource::Gap;
use crate::resource::destination::{Destination, Region};
use crate::resource::names::{AwsProfile, PolicyRoot, RegionName};

pub(super) async fn run(context: &Context, args: &StatusArgs) -> Result<Exit, Error> {
    let project = context.project(&args.manifest.file)?;
    let scope = scope(&project, &args.filter, &ReachArgs::default())?;
    if args.expect_in_sync && project.loaded.desired.is_empty() {
        let hint = "check which manifest -f names, or remove --expect-in-sync";
        return Err(Error::usage("the manifest has no resource that could be in sync", hint));
    }
    let mut baseline = args.baseline.as_deref().map(|path| Baseline::open(path, args)).transpose()?;
    let attempts =
        context.plan_all(&project, &args.filter, &scope, Values::AsFarAsSet, context.keep(&args.output)).await?;
    if args.expect_in_sync && attempts.is_empty() {
        let hint = "choose fewer parts with --shard, or remove --expect-in-sync";
        return Err(Error::usage("no target is in this part, so nothing was compared", hint));
    }
    let detailed = args.detailed_exitcode || args.expect_in_sync;
    let exit = plan::exit_of(&attempts, if detailed { ExitCodes::Detailed } else { ExitCodes::Usual });
    // The report is shown even if the comparison failed.
    let compared = baseline.as_mut().map_or(Ok(None), |baseline| baseline.compare(&attempts));
    if let (Ok(compared), Some(path)) = (&compared, &args.baseline) {
        context.terminal.note(&match compared {
            Some(compared) => compared.describe(path),
            None => format!("Baseline {}: nothing could be read; the file was not changed.\n", path.display()),
        });
    }
    if args.expect_in_sync {
        context.terminal.note(match exit {
            Exit::Done => "In sync: AWS matches the manifest.\n",
            _ => "Not in sync, or not completely read: see above.\n",
        });
    }
    let mut extra = plan::shard(&args.filter);
    extra.extend(compared.iter().flatten().map(|compared| ("baseline", json!(compared))));
    let status = |planned: &Planned| of_manifest(context, args, &planned.pass.plan);
    let shown =
        |parts| Shown { command: "status", preface: None, extra: extra.clone(), parts, detail: Detail::Changes };
    match plan::only(attempts) {
        Ok(planned) => {
            let status = status(&planned?);
            let body = Ok(Body::Status(&status));
            context.show(&args.output, &shown(vec![Part { name: None, index: None, body }]))?;
        }
        Err(attempts) => {
            let of = |planned: Planned| planned.settled.map_or_else(|| Err(Box::new(status(&planned))), Ok);
            let found: Vec<_> = attempts.into_iter().map(|(at, attempt)| (at, attempt.map(of))).collect();
            context.show(&args.output, &shown(plan::parts(&found, body)))?;
        }
    }
    compared?;
    // The baseline is written last. If the output failed, the next run must still report the change.
    baseline.map_or(Ok(()), |baseline| baseline.keep())?;
    Ok(exit)
}

/// Returns the output for a target: only the counts if it is in sync.
fn body(found: &Result<InSync, Box<Status>>) -> Body<'_> {
    match found {
        &Ok(settled) => Body::Settled(settled),
        Err(status) => Body::Status(status),
    }
}

/// Returns the status from a plan, with the command that applies the changes.
fn of_manifest(context: &Context, args: &StatusArgs, plan: &Plan) -> Status {
    let mut status = from_plan(context, plan);
    if plan.has_differences() {
        let mut words = ["sentinel", "apply"].map(str::to_owned).to_vec();
        words.extend(args.manifest.flags());
        let mut flag = |name: &str, value: &dyn ToString| words.extend([name.to_owned(), value.to_string()]);
        args.filter.only.iter().for_each(|pattern| flag("--only", pattern));
        args.filter.exclude.iter().for_each(|pattern| flag("--exclude", pattern));
        plan.target.name.iter().for_each(|name| flag("--target", name));
        status.suggestions.push(Suggestion {
            kind: "apply",
            message: String::from("AWS differs from the manifest"),
            command: command_line(context, words, &CarriedOptions { region: None, ..CarriedOptions::of(context) }),
        });
    }
    status
}

pub(super) async fn run_init(context: &Context, args: &InitStatusArgs) -> Result<Exit, Error> {
    let mut manifest = Manifest { policy_root: context.global.policy_root.clone(), ..Manifest::default() };
    manifest.aws.region = context.global.region.clone();
    let check_tables = args.check_tables.unwrap_or(true);
    if check_tables {
        let tables = Builtin::ALL.iter().map(|builtin| (builtin.key().to_owned(), TableSection::default()));
        manifest.sections.tables.extend(tables);
    }
    let mut listed = Vec::new();
    let target = at_target(context, &mut manifest, &mut listed)?;
    let project = context.project_in_memory(&manifest)?;
    if target.is_none() && context.region(&manifest.aws.destination(&project.loaded.policy_root)).await.is_none() {
        let need = if args.check_tables == Some(true) { Need::Tables } else { Need::Anything };
        return Err(no_region(need, ManifestOrigin::Memory));
    }
    let destination = match target {
        Some((target, folder)) => {
            let Some(mut located) = context.located(target, &folder).await? else {
                return Err(no_region(Need::Anything, ManifestOrigin::File));
            };
            Context::own_store(&mut located);
            located
        }
        None => context
            .destinations(&project, Selection::ALL)
            .await?
            .pop()
            .ok_or_else(|| Error::internal("a manifest without targets has no destination"))?,
    };
    let root = project.loaded.policy_root.clone();
    let reader = context.connect(&destination, &Users::of(&project)).await?;
    let scope = Scope::of(Intent::CreateOnly);
    let account = destination.route.account_id.clone();
    let work = async {
        let plan = reconcile::plan(&reader, destination, &project.loaded.desired, scope);
        let (pass, found) = futures_util::future::join(plan, reader.discover(&root)).await;
        Ok((pass?.plan, found))
    };
    let (plan, found) = context.reading(work).await?;
    if let Some(name) = &plan.target.name {
        guard::account(&plan, &format!("target {name}"), account.as_ref()).map_err(Error::Refused)?;
    }
    let mut status = Status { target: plan.target.name.clone(), ..from_plan(context, &plan) };
    let mut failed = plan.gaps().any(|gap| !gap.denied);
    match found {
        Ok(found) => {
            status.parameters = found
                .into_iter()
                .map(|one| ParameterStatus {
                    profile: profile_of(&one.name, &root).to_owned(),
                    name: one.name,
                    state: State::Present {
                        status: None,
                        unmanaged_settings: Vec::new(),
                        items: None,
                        progress: Vec::new(),
                    },
                    version: one.live.facts.version,
                    modified: one.live.facts.modified,
                    drift: Vec::new(),
                    unknown: Vec::new(),
                })
                .collect();
        }
        Err(error) => {
            let gap = Gap::new(None, &error);
            failed |= !gap.denied;
            status.parameters_unknown = Some(gap);
        }
    }
    status.suggestions = match status.target {
        Some(_) => suggestions_at_target(context, &status, &listed),
        None => suggestions(context, &status),
    };
    status.shell = shell_hint(context);
    let parts = vec![Part { name: None, index: None, body: Ok(Body::Status(&status)) }];
    context.show(
        &args.output,
        &Shown { command: "init status", preface: None, extra: Vec::new(), parts, detail: Detail::Changes },
    )?;
    Ok(if failed { Exit::Error } else { Exit::Done })
}

/// A target and the folder of its manifest.
type Named = (Destination<Option<RegionName>>, PathBuf);

/// Returns the target of `--target`, and the folder of its manifest. Uses the names of that manifest's tables; `listed` gets the keys of
/// the tables in the manifest.
fn at_target(context: &Context, manifest: &mut Manifest, listed: &mut Vec<String>) -> Result<Option<Named>, Error> {
    let Some(pattern) = &context.global.target else { return Ok(None) };
    let Some(file) = find_manifest()? else {
        return Err(Error::usage(
            "there is no sentinel.toml that has targets",
            "remove --target, or run the command in the folder of a manifest with targets",
        ));
    };
    let parsed = read(&file)?;
    let root = context.global.policy_root.clone().or_else(|| parsed.manifest.policy_root.clone()).unwrap_or_default();
    let target = one_target(&parsed.manifest, &root, pattern)?;
    // A missing region is reported later.
    let region = target.region.clone().unwrap_or_else(|| RegionName::new("us-east-1"));
    let there =
        access::at_target(&parsed, &target.clone().with_region(Region { name: region, source: String::new() }))?;
    manifest.policy_root = Some(root);
    listed.extend(there.sections.tables.keys().cloned());
    for builtin in Builtin::ALL {
        let named = there.sections.tables.get(builtin.key()).and_then(|section| section.name.clone());
        if let (Some(name), Some(section)) = (named, manifest.sections.tables.get_mut(builtin.key())) {
            section.name = Some(name);
        }
    }
    Ok(Some((target, file.parent().unwrap_or(Path::new("")).to_owned())))
}

/// Returns the live state in a plan.
fn from_plan(context: &Context, plan: &Plan) -> Status {
    let drift = |resource: &ResourcePlan| resource.changes.iter().map(|change| change.path.clone()).collect();
    let unknown = |resource: &ResourcePlan| match resource.action {
        // Then the resource is unknown as a whole, which its state says.
        Action::Unknown { .. } => Vec::new(),
        _ => resource.gaps.clone(),
    };
    // A resource that was to be deleted and does not exist is not shown.
    let there = |resource: &&ResourcePlan| !(resource.is_removal() && resource.seen == Seen::Absent);
    let there = plan.resources.iter().filter(there);
    let is_policy = |resource: &ResourcePlan| resource.address.kind.about().site == Site::PolicyRoot;
    let in_sections = KindId::ALL.iter().filter(|kind| kind.about().site != Site::PolicyRoot);
    let mut resources: IndexMap<&'static str, Vec<ResourceStatus>> =
        in_sections.map(|kind| (listed_under(*kind), Vec::new())).collect();
    for resource in there.clone().filter(|resource| !is_policy(resource)) {
        let kind = resource.address.kind;
        resources.entry(listed_under(kind)).or_default().push(ResourceStatus {
            kind,
            name: resource.name.clone(),
            key: resource.address.key.clone(),
            state: state(resource),
            drift: drift(resource),
            unknown: unknown(resource),
        });
    }
    Status {
        target: None,
        region: plan.target.region.name.to_string(),
        region_source: plan.target.region.source.clone(),
        account: plan.target.caller.as_ref().map(|caller| caller.account.to_string()),
        local: plan.target.local.as_ref().map(|folder| folder.display().to_string()),
        policy_root: plan.target.policy_root.to_string(),
        only: plan.scope.only.clone(),
        exclude: plan.scope.exclude.clone(),
        parameters: there
            .filter(|resource| is_policy(resource))
            .map(|resource| ParameterStatus {
                name: resource.name.clone(),
                profile: resource.label.clone(),
                state: state(resource),
                version: resource.facts.version,
                modified: resource.facts.modified,
                drift: drift(resource),
                unknown: unknown(resource),
            })
            .collect(),
        parameters_unknown: None,
        resources,
        orphans: plan.orphans.clone(),
        gates: plan.gates.clone(),
        suggestions: Vec::new(),
        shell: shell_hint(context),
    }
}

fn state(resource: &ResourcePlan) -> State {
    match resource.action {
        Action::Create => State::NotFound,
        Action::Unknown { .. } => State::Unknown { gaps: resource.gaps.clone() },
        Action::Finish | Action::Unchanged | Action::Update | Action::Delete | Action::Drift | Action::Refused => {
            let facts = &resource.facts;
            let (status, unmanaged_settings) = (facts.status.clone(), facts.unmanaged_settings.clone());
            State::Present { status, unmanaged_settings, items: facts.items, progress: facts.progress.clone() }
        }
    }
}

/// The options that a suggested command takes over from this one.
#[derive(Debug, Clone)]
pub(super) struct CarriedOptions {
    pub(super) region: Option<RegionName>,
    pub(super) policy_root: Option<PolicyRoot>,
    /// Whether the same user runs it, with the same AWS profile.
    pub(super) aws_profile: bool,
    /// Whether it uses the same AWS emulator.
    pub(super) local: bool,
}

impl CarriedOptions {
    fn of(context: &Context) -> Self {
        Self {
            region: context.global.region.clone(),
            policy_root: context.global.policy_root.clone(),
            aws_profile: true,
            local: true,
        }
    }
}

/// Returns the command that applies the manifest, or one of its tables, at the target.
pub(super) fn apply_at_target(context: &Context, table: Option<&str>) -> String {
    let mut words = ["sentinel", "apply"].map(str::to_owned).to_vec();
    // `apply` does not search for the manifest in other folders.
    let file = find_manifest().ok().flatten().filter(|file| file != Path::new("sentinel.toml"));
    words.extend(file.into_iter().flat_map(|file| [String::from("-f"), file.display().to_string()]));
    words.extend(table.into_iter().flat_map(|key| [String::from("--only"), format!("tables.{key}")]));
    command_line(context, words, &CarriedOptions::of(context))
}

/// Returns the command that lists the policies at a destination.
pub(super) fn init_status(context: &Context, destination: &Destination) -> String {
    let words = ["sentinel", "init", "status"].map(str::to_owned).to_vec();
    let policy_root = Some(destination.policy_root.clone()).filter(|root| !root.is_default());
    let region = Some(destination.region.name.clone());
    let carry = CarriedOptions { region, policy_root, aws_profile: true, local: false };
    let command = command_line(context, words, &carry);
    match &destination.local {
        None => command,
        Some(folder) if folder == Path::new(".sentinel") => format!("{command} --local"),
        // The store is beside the manifest, which `init status` does not read.
        Some(folder) => format!("{command} --local={}", quoted(&[folder.to_string_lossy()])),
    }
}

fn suggestions(context: &Context, status: &Status) -> Vec<Suggestion> {
    let region = Some(status.region.clone());
    let mut suggestions = Vec::new();
    if status.parameters.is_empty() && status.parameters_unknown.is_none() {
        // Most profiles have the name of an AWS profile.
        let profile = context.global.aws_profile.clone().unwrap_or_else(|| AwsProfile::new("dev"));
        let words = ["sentinel", "init", "bootstrap", "--profile", &profile].map(str::to_owned);
        suggestions.push(Suggestion {
            kind: "bootstrap",
            message: format!("there is no policy under {}", status.policy_root),
            command: command_line(
                context,
                words.to_vec(),
                &CarriedOptions { region: region.clone().map(RegionName::new), ..CarriedOptions::of(context) },
            ),
        });
    }
    let tables = status.resources.values().flatten();
    for table in tables.filter(|table| table.state == State::NotFound) {
        let words = ["sentinel", "init", table.key.as_str()].map(str::to_owned);
        suggestions.push(Suggestion {
            kind: "table",
            message: format!("there is no table {}", table.name),
            command: command_line(
                context,
                words.to_vec(),
                &CarriedOptions {
                    region: region.clone().map(RegionName::new),
                    policy_root: None,
                    aws_profile: true,
                    local: true,
                },
            ),
        });
    }
    suggestions
}

/// `init` has no `--target`: missing tables of a target are created with `apply`.
fn suggestions_at_target(context: &Context, status: &Status, listed: &[String]) -> Vec<Suggestion> {
    let mut suggestions = Vec::new();
    if status.parameters.is_empty() && status.parameters_unknown.is_none() {
        suggestions.push(Suggestion {
            kind: "apply",
            message: format!("there is no policy under {}", status.policy_root),
            command: apply_at_target(context, None),
        });
    }
    let tables = status.resources.values().flatten();
    for table in tables.filter(|table| table.state == State::NotFound && listed.contains(&table.key)) {
        suggestions.push(Suggestion {
            kind: "table",
            message: format!("there is no table {}", table.name),
            command: apply_at_target(context, Some(&table.key)),
        });
    }
    suggestions
}

/// Returns a command that users can paste: with the options for account and region, and quoted for the shell.
pub(super) fn command_line(context: &Context, mut words: Vec<String>, carry: &CarriedOptions) -> String {
    let global = &context.global;
    let mut flag = |name: &str, value: Option<&str>| {
        words.extend(value.into_iter().flat_map(|value| [name.to_owned(), value.to_owned()]));
    };
    flag("--region", carry.region.as_deref().or(global.region.as_deref()));
    flag("--policy-root", carry.policy_root.as_deref());
    flag("--aws-profile", global.aws_profile.as_deref().filter(|_| carry.aws_profile));
    // `init` needs a region.
    if words.get(1).is_none_or(|command| command != "init") {
        let target = global.target.as_ref().map(TargetPattern::as_str);
        words.extend(target.into_iter().flat_map(|target| [String::from("--target"), target.to_owned()]));
    }
    let of_engine = |command: &String| ["init", "apply", "plan", "validate"].contains(&command.as_str());
    if let Some(broker) = global.broker.as_ref().filter(|_| !words.get(1).is_some_and(of_engine)) {
        words.extend([String::from("--broker"), broker.as_str().to_owned()]);
    }
    words.extend(global.endpoint_url.iter().flat_map(|url| [String::from("--endpoint-url"), url.clone()]));
    let mut command = quoted(&words);
    if let Some(folder) = global.local.as_ref().filter(|_| carry.local) {
        let folder = folder.to_string_lossy();
        // Only the value is quoted, so that the option is easy to recognize.
        command.push_str(" --local");
        if !folder.is_empty() {
            command.push_str(&format!("={}", quoted(&[folder])));
        }
    }
    command
}

/// Quotes words for a shell. The crate `shell-words` does not quote braces (`escape_style` in its source, version 1.1.1), and shells
/// expand those.
pub(super) fn quoted<T: AsRef<str>>(words: &[T]) -> String {
    // Arguments, variables and paths cannot contain a NUL, and a shell drops it.
    let words = words.iter().map(AsRef::as_ref);
    shlex::Quoter::new().allow_nul(true).join(words).unwrap_or_default()
}

/// Returns the line for the start-up file of the user's shell, if the AWS profile is known.
fn shell_hint(context: &Context) -> Option<ShellHint> {
    let global = &context.global;
    let mut words =
        ["sentinel", "shell", "init", "--aws-profile", global.aws_profile.as_ref()?].map(str::to_owned).to_vec();
    // The shell uses the AWS profile's region and AWS itself. Only another policy root is needed as an option.
    words.extend(global.policy_root.iter().flat_map(|root| [String::from("--policy-root"), root.to_string()]));
    let command = quoted(&words);
    #[expect(clippy::disallowed_methods, reason = "the hint is for the shell the user has")]
    let shell = std::env::var("SHELL").unwrap_or_default();
    let (file, line) = match shell.rsplit('/').next() {
        Some("fish") => ("~/.config/fish/config.fish", format!("{command} | source")),
        Some("bash") => ("~/.bashrc", format!("eval \"$({command})\"")),
        _ => ("~/.zshrc", format!("eval \"$({command})\"")),
    };
    Some(ShellHint { file, line })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_split_again_by_a_shell() {
        assert_eq!(quoted(&["sentinel", "plan", "-f", "a/b.toml"]), "sentinel plan -f a/b.toml");
        assert_eq!(quoted(&["--endpoint-url", "http://127.0.0.1:4566"]), "--endpoint-url http://127.0.0.1:4566");
        assert_eq!(quoted(&["tables.*"]), "'tables.*'");
        assert_eq!(quoted(&["{a,b}", "a;b"]), "'{a,b}' 'a;b'", "braces are expanded too");
        for word in
            ["", "it's", "$HOME", "~root", "{a,b}", "a{b,c}d", "!x", "a\u{a0}b", "#", "a\nb", "`id`", "\\", "=ls", "^"]
        {
            let words = ["sentinel", word];
            let split = shlex::split(&quoted(&words)).unwrap();
            assert_eq!(split, words);
            // Split as a shell does.
            let script = format!("set -- {}; printf %s \"$2\"", quoted(&words));
            for shell in ["sh", "bash"] {
                let answer = std::process::Command::new(shell).args(["-c", &script]).output().unwrap();
                assert_eq!(String::from_utf8_lossy(&answer.stdout), word, "{shell}: {script}");
            }
        }
    }
}
