//! `sentinel export`: writes files with which another tool can manage the resources.

#[cfg(test)]
mod tests;
mod write;

use std::path::Path;

use tracing::Instrument;

use super::context::{Context, Project};
use super::fleet::{self, Answered, Work, concurrently};
use super::local::Users;
use super::pass::scope;
use super::status::quoted;
use crate::cli::{CloudFormationArgs, ExportArgs, ProviderVersion, ReachArgs, TerraformArgs};
use crate::error::{Error, Exit};
use crate::export::cloudformation::{self, Delivery, Failure};
use crate::export::{Exported, Target, terraform};
use crate::kind::DesiredResource;
use crate::kind::export::terraform::Version;
use crate::provider::Observe;
use crate::reconcile::{self, guard};
use crate::report::export::{LeftOut, Summary, render};
use crate::report::json;
use crate::resource::destination::Destination;
use crate::resource::names::{AccountId, RoleArn};

pub(super) async fn cloudformation(context: &Context, args: &CloudFormationArgs) -> Result<Exit, Error> {
    let export = &args.export;
    let delivery = if args.from_s3 { Delivery::Bucket } else { Delivery::Inline };
    let project = context.project(&export.manifest.file)?;
    let wanted = wanted(context, &project, export).await?;
    let targets = targets(context, &project, &wanted, export).await?;
    let exported = match args.stack_set {
        true => cloudformation::export_stack_set(&targets, delivery),
        false => cloudformation::export(&targets, delivery),
    };
    let exported = exported.map_err(|failure| failed(failure, delivery))?;
    let unimported = match args.stack_set {
        true => Some("a stack set cannot import resources that exist already"),
        false => (!export.live).then_some(
            "without --live, keys, topics and subscriptions that exist already are not imported, and CloudFormation would \
             try to create them",
        ),
    };
    // The script needs the address of the templates, and the credentials of one account at a time.
    let commands = if args.from_s3 { "TEMPLATES=URL ./deploy.sh" } else { "./deploy.sh" };
    let target = if !args.stack_set && targets.len() > 1 { " TARGET" } else { "" };
    finish(context, Tool { name: "cloudformation", commands, target, unimported }, export, exported)
}

pub(super) async fn terraform(context: &Context, args: &TerraformArgs) -> Result<Exit, Error> {
    let export = &args.export;
    let project = context.project(&export.manifest.file)?;
    let wanted = wanted(context, &project, export).await?;
    let targets = targets(context, &project, &wanted, export).await?;
    let version = match args.provider {
        ProviderVersion::Five => Version::V5,
        ProviderVersion::Six => Version::V6,
    };
    let unimported =
        "without --live, resources that exist already are not imported, and Terraform would try to create them";
    let tool = Tool {
        name: "terraform",
        commands: "terraform init && terraform plan",
        target: "",
        unimported: (!export.live).then_some(unimported),
    };
    finish(context, tool, export, terraform::export(&targets, version))
}

/// What differs between the tools.
struct Tool {
    name: &'static str,
    /// The commands to run in the folder of the export.
    commands: &'static str,
    /// What a user must add to them to choose a target.
    target: &'static str,
    /// A note on resources that the export does not import.
    unimported: Option<&'static str>,
}

/// A target, and its exported resources.
type ExportedTarget = (Destination, Vec<DesiredResource>);

/// Returns the exported resources, whose values can differ by target.
async fn wanted(context: &Context, project: &Project, args: &ExportArgs) -> Result<Vec<ExportedTarget>, Error> {
    let scope = scope(project, &args.filter, &ReachArgs::default())?;
    let mut all = Vec::new();
    for destination in context.destinations(project, (&args.filter).into()).await? {
        let wanted = project.wanted(&destination)?;
        let chosen = wanted.desired.iter().filter(|one| scope.holds(one.address()));
        let desired = chosen.filter(|one| one.presence().is_present()).cloned().collect();
        all.push((destination, desired));
    }
    Ok(all)
}

/// Returns the targets, with the live state for `--live`.
async fn targets<'a>(
    context: &Context,
    project: &Project,
    wanted: &'a [ExportedTarget],
    args: &ExportArgs,
) -> Result<Vec<Target<'a>>, Error> {
    if args.live {
        let account = |(destination, _): &&'a ExportedTarget| fleet::account_of(destination);
        let read = |one: &'a ExportedTarget, account: Answered| {
            observed(context, project, one, account).instrument(fleet::span_of(&one.0))
        };
        return concurrently(wanted, Work::Reading, account, read).await.into_iter().collect();
    }
    let pure = |(destination, desired): &'a ExportedTarget| {
        let account = destination.route.account_id.clone();
        let account = account.or_else(|| account_of(destination.route.role_arn.as_ref()?));
        let resources = desired.iter().map(|one| (one, one.without_live(None))).collect();
        target(destination, account, resources)
    };
    Ok(wanted.iter().map(pure).collect())
}

fn target<'a>(
    destination: &Destination,
    account: Option<AccountId>,
    resources: Vec<(&'a DesiredResource, crate::kind::ObservedResource<'a>)>,
) -> Target<'a> {
    let Destination { name, region, route, .. } = destination.clone();
    Target { name, region: region.name, account, role: route.role_arn, profile: route.aws_profile, resources }
}

/// Returns a target with its live state.
async fn observed<'a>(
    context: &Context,
    project: &Project,
    (destination, desired): &'a ExportedTarget,
    account: Answered,
) -> Result<Target<'a>, Error> {
    let users = if context.global.local.is_some() { Users::of(project) } else { Users::default() };
    let reader = context.connect(destination, &users).await?;
    let read = async {
        let caller = reader.identify().await?;
        account.answered();
        if let Some(expected) = &destination.route.account_id
            && *expected != caller.account
            && destination.local.is_none()
        {
            let credentials = guard::Credentials { account: &caller.account, arn: &caller.arn };
            return Err(Error::Refused(guard::wrong_account("the manifest", expected, credentials)));
        }
        Ok(reconcile::observe(&reader, &destination.policy_root, desired).await?)
    };
    let (caller, observed) = context.reading(read).await?;
    let resources: Vec<_> = desired.iter().zip(observed).collect();
    for (one, observed) in &resources {
        if let Some(gap) = observed.gap() {
            let message = format!("{} could not be read: {}", one.address(), gap.message);
            let hint = String::from(
                "Sentinel cannot import resources that it could not read; export without --live, or allow the call",
            );
            return Err(Error::Unread { denied: gap.denied, message, hint });
        }
    }
    Ok(target(destination, Some(caller.account), resources))
}

/// Returns the account of a role.
fn account_of(role: &RoleArn) -> Option<AccountId> {
    role.split(':').nth(4).filter(|account| !account.is_empty()).map(AccountId::new)
}

/// Writes the files, and prints the result.
fn finish(context: &Context, tool: Tool, args: &ExportArgs, exported: Exported) -> Result<Exit, Error> {
    let Tool { name: engine, commands, target, unimported } = tool;
    let Exported { files, stacks, unsupported, notes } = exported;
    let left_out: Vec<LeftOut> = unsupported.iter().map(LeftOut::of).collect();
    if !args.allow_gaps && !left_out.is_empty() {
        let each: Vec<String> =
            left_out.iter().map(|one| format!("{}: {} ({})", one.what, one.why, one.help)).collect();
        let message =
            format!("{engine} does not support everything in the manifest; nothing was written: {}", each.join("; "));
        return Err(Error::NotExported {
            message,
            hint: String::from(
                "change the manifest, exclude resources with --exclude, or add --allow-gaps to omit these",
            ),
        });
    }
    let written = write::write(Path::new(&args.out), engine, &files)?;
    let notes = notes.iter().map(|note| format!("{}: {}", note.address, note.text));
    let notes = notes.chain(unimported.map(str::to_owned)).collect();
    let folder = args.out.display().to_string();
    let has_imports = stacks.iter().any(|stack| stack.imports > 0);
    let import = if has_imports { " --import" } else { "" };
    let next = format!("{} && {commands}{import}{target}", quoted(&["cd", &folder]));
    let summary = Summary { engine: engine.to_owned(), folder, written, stacks, left_out, notes, next };
    context.terminal.either(|| render(&summary), || json::document("export", &summary))?;
    Ok(Exit::Done)
}

/// Returns the error for a failed export.
fn failed(failure: Failure, delivery: Delivery) -> Error {
    let target = |name: Option<String>| name.unwrap_or_else(|| String::from("the manifest"));
    let (message, hint) = match failure {
        Failure::TooLarge { address, bytes, resources, parameters } => {
            let hint = match delivery {
                Delivery::Inline => {
                    "a request can contain a template of 51,200 bytes, and a bucket one of 1 MB: add --from-s3"
                }
                Delivery::Bucket => "split it in the manifest, or exclude it with --exclude",
            };
            let message = format!(
                "{address} does not fit a template: {resources} resources, {bytes} bytes, {parameters} parameters"
            );
            (message, hint)
        }
        Failure::Differs(differs) => {
            let [one, other] = differs.targets.map(target);
            let what = differs.property.map_or_else(String::new, |property| format!(" ({property})"));
            let message =
                format!("{}{what} differs between {one} and {other}, and cannot be a parameter", differs.address);
            (message, "one template has parameters only for values that differ: export without --stack-set")
        }
        Failure::NoAccount(name) => {
            let message = format!("the account of {} is unknown, and a stack set needs the account IDs", target(name));
            (message, "add account_id to it in the manifest")
        }
    };
    Error::NotExported { message, hint: hint.to_owned() }
}
