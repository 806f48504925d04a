//! `sentinel init …`: builds a manifest in memory, and applies it like any other.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use serde_json::json;

use super::apply::apply_plans;
use super::context::Context;
use super::import::Import;
use super::pass::{Keep, Values};
use super::plan;
use super::status::quoted;
use crate::cli::{BootstrapArgs, FilterArgs, InitArgs, OutputArgs, TableArgs};
use crate::document::GivenFile;
use crate::error::{Error, Exit};
use crate::files;
use crate::iam;
use crate::kind::import::ImportedFile;
use crate::manifest::{Builtin, Manifest, ProfileSection, TableSection, cases_file};
use crate::policy::{ORIGIN, Starter, starter};
use crate::reconcile::guard::Share;
use crate::reconcile::{Intent, Scope};
use crate::report::json;
use crate::resource::names::PolicyRoot;

/// The differences between the `init` commands.
struct Request<'a> {
    command: &'static str,
    profiles: &'a [String],
    /// The users who get access to the profiles.
    allow: &'a [String],
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
    let request =
        Request { command, profiles: &[], allow: &[], tables, init: &args.init, generate_iam: args.generate_iam };
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
        allow: &args.allow,
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
        let written = write_files(path, &manifest, request)?;
        let document = json!({ "written": path.display().to_string(), "files": written });
        let command = quoted(&["sentinel", "plan", "-f", &path.display().to_string()]);
        let next = format!("Wrote {}. Next: {command}\n", written.join(", "));
        terminal.messages(|| next, || json::document(request.command, document))?;
        return Ok(Exit::Done);
    }
    let project = match request.allow {
        [] => context.project_in_memory(&manifest)?,
        users => {
            let mut manifest = manifest.clone();
            let mut files = Vec::new();
            for (profile, section) in &mut manifest.sections.profiles {
                // The origin that plans show for a text that is in no file.
                let path = format!("{ORIGIN}{profile}");
                section.policy = Some(path.clone());
                files.push(GivenFile { path, text: starter(profile, users).policy });
            }
            context.project_of_texts(&manifest, files)?
        }
    };
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
    let exit =
        apply_plans(context, request.command, attempts, (Share::Usual, &request.init.options), Vec::new()).await?;
    if drifted {
        terminal.note(
            "init only creates resources. To repair differences, write a manifest (--write-manifest) and apply \
                 it.\n",
        );
    }
    Ok(exit)
}

/// Writes the manifest to a new file, and its policies to the same folder. Returns the paths.
fn write_files(path: &Path, manifest: &Manifest, request: &Request<'_>) -> Result<Vec<String>, Error> {
    if request.allow.is_empty() {
        write(path, &manifest.to_toml())?;
        return Ok(vec![path.display().to_string()]);
    }
    let files = request.profiles.iter().flat_map(|profile| starter_files(profile, request.allow)).collect();
    let import = Import { manifest: manifest.clone(), files };
    import.write(path, "name a file in another folder, or compare with --print-manifest")
}

/// Returns the path of a profile's starter policy.
pub(super) fn starter_path(profile: &str) -> String {
    format!("policies/{profile}.yaml")
}

/// Returns a profile's starter policy and its test cases.
pub(super) fn starter_files(profile: &str, users: &[String]) -> [ImportedFile; 2] {
    let Starter { policy, cases } = starter(profile, users);
    let path = starter_path(profile);
    let tests = cases_file(Path::new(&path)).display().to_string();
    [ImportedFile { path, text: policy.into() }, ImportedFile { path: tests, text: cases.into() }]
}

/// Returns the manifest of a command and its options.
fn manifest(context: &Context, request: &Request<'_>) -> Manifest {
    let mut manifest = Manifest { policy_root: context.global.policy_root.clone(), ..Manifest::default() };
    manifest.aws.region = context.global.region.clone();
    manifest.aws.profile = context.global.aws_profile.clone();
    for profile in request.profiles {
        let policy = (!request.allow.is_empty()).then(|| starter_path(profile));
        manifest.sections.profiles.insert(profile.clone(), ProfileSection { policy, ..ProfileSection::default() });
    }
    for (builtin, name) in &request.tables {
        let name = name.filter(|name| *name != builtin.default_name()).map(str::to_owned);
        manifest.sections.tables.insert(builtin.key().to_owned(), TableSection { name, ..TableSection::default() });
    }
    manifest
}

/// Writes a new file. Fails if it exists.
pub(super) fn write(path: &Path, text: &str) -> Result<(), Error> {
    write_by(|path| files::create_new(path, files::SHARED), path, text)
}

/// The same with a function that creates the file.
pub(super) fn write_by(make: impl Fn(&Path) -> io::Result<File>, path: &Path, text: &str) -> Result<(), Error> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => Error::file(path, "this file exists, and was not changed")
            .with_hint("name another file, or compare with --print-manifest"),
        _ => Error::io(path, error),
    };
    let mut file = make(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)
}
