//! `sentinel init …`: a manifest built in memory, then the same pass.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use serde_json::json;

use super::apply::carry_out;
use super::context::Context;
use super::pass::{Keep, Values};
use super::plan;
use crate::cli::{BootstrapArgs, FilterArgs, InitArgs, OutputArgs, TableArgs};
use crate::error::{Error, Exit};
use crate::files;
use crate::iam;
use crate::manifest::{Builtin, Manifest, ProfileSection, TableSection};
use crate::reconcile::guard::Share;
use crate::reconcile::{Intent, Scope};
use crate::report::json;
use crate::resource::names::PolicyRoot;

/// One `init` command, reduced to what differs between them.
struct Request<'a> {
    command: &'static str,
    profiles: &'a [String],
    tables: Vec<(Builtin, Option<&'a str>)>,
    init: &'a InitArgs,
    generate_iam: bool,
}

pub(super) async fn approvals(context: &Context, args: &TableArgs) -> Result<Exit, Error> {
    one_table(context, "init approvals", Builtin::Approvals, args).await
}

pub(super) async fn breakglass(context: &Context, args: &TableArgs) -> Result<Exit, Error> {
    one_table(context, "init breakglass", Builtin::BreakGlass, args).await
}

pub(super) async fn sessions(context: &Context, args: &TableArgs) -> Result<Exit, Error> {
    one_table(context, "init sessions", Builtin::Sessions, args).await
}

async fn one_table(
    context: &Context,
    command: &'static str,
    builtin: Builtin,
    args: &TableArgs,
) -> Result<Exit, Error> {
    let tables = vec![(builtin, args.table.as_deref())];
    let request = Request { command, profiles: &[], tables, init: &args.init, generate_iam: args.generate_iam };
    run(context, &request).await
}

pub(super) async fn bootstrap(context: &Context, args: &BootstrapArgs) -> Result<Exit, Error> {
    if let Some(builtin) = args.named_in_vain() {
        let key = builtin.key();
        let message = format!("a name is given for the {key} table, which is not selected");
        return Err(Error::usage(message, format!("add --with-{key} or --all")));
    }
    let request = Request {
        command: "init bootstrap",
        profiles: &args.profiles,
        tables: args.tables(),
        init: &args.init,
        generate_iam: args.generate_iam_policies,
    };
    run(context, &request).await
}

async fn run(context: &Context, request: &Request<'_>) -> Result<Exit, Error> {
    let manifest = manifest(context, request);
    let terminal = context.terminal;
    if request.init.print_manifest {
        let document = || json::document(request.command, json!({ "manifest": manifest.to_toml() }));
        terminal.script(|| manifest.to_toml(), document)?;
        return Ok(Exit::Done);
    }
    if let Some(path) = &request.init.write_manifest {
        write(path, &manifest.to_toml())?;
        let written = json!({ "written": path.display().to_string() });
        let next = format!("Wrote {0}. Next: sentinel plan -f {0}\n", path.display());
        terminal.either(|| next, || json::document(request.command, written))?;
        return Ok(Exit::Done);
    }
    let project = context.project_in_memory(&manifest)?;
    if request.generate_iam {
        let region = context.region(&manifest.aws.destination(&PolicyRoot::default())).await.map(|region| region.name);
        let document = iam::document(region, &project.loaded.policy_root, &project.loaded.desired);
        let document = json::value(&document)?;
        if !request.tables.is_empty() {
            terminal.note(
                "These statements allow writing only requests. For approvers, operators and credential servers, write \
                 a manifest (--write-manifest) and run: sentinel iam --for ROLE\n",
            );
        }
        terminal.either(|| json::text(&document), || json::document(request.command, json!({ "policy": document })))?;
        return Ok(Exit::Done);
    }
    let scope = Scope { ownership: manifest.aws.ownership_key(), ..Scope::of(Intent::CreateOnly) };
    let attempts = context.plan_all(&project, &FilterArgs::default(), &scope, Values::Needed, Keep::All).await?;
    if request.init.plan {
        let exits: Vec<Exit> =
            attempts.iter().filter_map(|(_, one)| one.as_ref().ok()).map(|one| plan::exit(&one.pass.plan)).collect();
        plan::show(context, request.command, &OutputArgs::default(), attempts)?;
        return Ok(Exit::worst(exits));
    }
    let planned = attempts.iter().filter_map(|(_, attempt)| attempt.as_ref().ok());
    let drifted = planned.map(|one| one.pass.plan.summary().drifted).sum::<usize>() > 0;
    let exit = carry_out(context, request.command, attempts, (Share::Usual, &request.init.going), Vec::new()).await?;
    if drifted {
        terminal.note(
            "init only creates resources. To repair differences, write a manifest (--write-manifest) and apply \
                 it.\n",
        );
    }
    Ok(exit)
}

/// Returns the manifest a command stands for, with what its flags say.
fn manifest(context: &Context, request: &Request<'_>) -> Manifest {
    let mut manifest = Manifest { policy_root: context.global.policy_root.clone(), ..Manifest::default() };
    manifest.aws.region = context.global.region.clone();
    manifest.aws.profile = context.global.aws_profile.clone();
    for profile in request.profiles {
        manifest.sections.profiles.insert(profile.clone(), ProfileSection::default());
    }
    for (builtin, name) in &request.tables {
        let name = name.filter(|name| *name != builtin.default_name()).map(str::to_owned);
        manifest.sections.tables.insert(builtin.key().to_owned(), TableSection { name, ..TableSection::default() });
    }
    manifest
}

/// Writes a new file; one that is there is left as it is.
pub(super) fn write(path: &Path, text: &str) -> Result<(), Error> {
    write_by(|path| files::create_new(path, files::SHARED), path, text)
}

/// The same with a function that makes the file.
pub(super) fn write_by(make: impl Fn(&Path) -> io::Result<File>, path: &Path, text: &str) -> Result<(), Error> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => Error::file(path, "this file exists, and was not changed")
            .with_hint("name another file, or compare with --print-manifest"),
        _ => Error::io(path, error),
    };
    let mut file = make(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)
}
