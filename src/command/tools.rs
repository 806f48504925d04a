//! `sentinel completions`, `man`, `schema`, `explain` and `graph`.

use std::path::Path;

use clap::CommandFactory;
use clap_complete::env::{Bash, EnvCompleter, Fish, Zsh};
use serde_json::{Value, json};

use super::context::{Context, DesiredAt, Project};
use super::targets::one_target;
use crate::cli::{
    Cli, CompletionShell, CompletionsArgs, ExplainArgs, GraphArgs, GraphFormat, ManArgs, SchemaArgs, SchemaOf,
};
use crate::diagnostic::{Faults, Source};
use crate::document::closest;
use crate::error::{Error, Exit};
use crate::explain::{self, Entry};
use crate::files;
use crate::kind::policy_parameter::{Content, PolicyParameter};
use crate::kind::references::Reference;
use crate::kind::table::Table;
use crate::kind::{Address, DesiredResource, KindId, Sections};
use crate::manifest::{self, Discovered};
use crate::policy::{Effect, parse};
use crate::report::picture::{Graph, Link};
use crate::report::{explained, json, schema};
use crate::resource::destination::Region;
use crate::resource::names::RegionName;

/// The variable that a shell sets to get completions.
pub(super) const COMPLETE: &str = "SENTINEL_COMPLETE";

pub(super) fn completions(context: &Context, args: &CompletionsArgs) -> Result<Exit, Error> {
    let shell: &dyn EnvCompleter = match args.shell {
        CompletionShell::Bash => &Bash,
        CompletionShell::Zsh => &Zsh,
        CompletionShell::Fish => &Fish,
    };
    let mut script = Vec::new();
    // The shell finds the program by its name, so the program can move.
    let written = shell.write_registration(COMPLETE, "sentinel", "sentinel", "sentinel", &mut script);
    // Writing to memory cannot fail.
    written.map_err(|error| Error::internal(format!("the completions could not be written: {error}")))?;
    let script = String::from_utf8_lossy(&script).into_owned();
    context.terminal.script(|| script.clone(), || json::document("completions", json!({ "script": script })))?;
    Ok(Exit::Done)
}

pub(super) fn man(context: &Context, args: &ManArgs) -> Result<Exit, Error> {
    std::fs::create_dir_all(&args.folder).map_err(|error| Error::io(&args.folder, error))?;
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    write_pages(command, &args.folder)?;
    let folder = args.folder.display();
    context.terminal.either(
        || format!("Wrote the manual pages to {folder}. Next: man -l {folder}/sentinel.1\n"),
        || json::document("man", json!({ "written": folder.to_string() })),
    )?;
    Ok(Exit::Done)
}

/// Writes the page of a command and those of its subcommands.
fn write_pages(command: clap::Command, folder: &Path) -> Result<(), Error> {
    for command in command.get_subcommands().filter(|command| !command.is_hide_set()) {
        write_pages(command.clone(), folder)?;
    }
    let page = clap_mangen::Man::new(command);
    let path = folder.join(page.get_filename());
    let mut text = Vec::new();
    let written = page.render(&mut text).and_then(|()| files::write(&path, &text, files::SHARED));
    written.map_err(|error| Error::io(&path, error))
}

pub(super) fn schema(context: &Context, args: &SchemaArgs) -> Exit {
    let schema = match args.of {
        SchemaOf::Manifest => manifest::schema(),
        SchemaOf::Plan => schema::plan(),
    };
    // It is a JSON document in any case.
    context.terminal.result(&json::text(&schema));
    Exit::Done
}

pub(super) fn explain(context: &Context, args: &ExplainArgs) -> Result<Exit, Error> {
    let entries = match &args.code {
        None => explain::entries(),
        Some(code) => {
            let known = explain::entries();
            let codes: Vec<&str> = known.iter().map(|entry| entry.code).collect();
            let found = explain::find(code).ok_or_else(|| {
                let meant = closest(code, &codes).map(|code| format!("did you mean {code}? ")).unwrap_or_default();
                Error::usage(format!("there is no code {code}"), format!("{meant}sentinel explain lists them all"))
            })?;
            vec![found]
        }
    };
    let part = |entry: &Entry| {
        let Entry { code, title, means, example, fix } = entry;
        json!({ "code": code, "title": title, "means": means, "example": example, "fix": fix })
    };
    context.terminal.either(
        || match (&args.code, entries.as_slice()) {
            (Some(_), [entry]) => explained::entry(entry, context.terminal.width()),
            _ => explained::list(&entries),
        },
        || json::document("explain", json!({ "codes": entries.iter().map(part).collect::<Vec<Value>>() })),
    )?;
    Ok(Exit::Done)
}

pub(super) fn graph(context: &Context, args: &GraphArgs) -> Result<Exit, Error> {
    let project = context.project(&args.manifest.file)?;
    let wanted = at_target(context, &project)?;
    let (desired, sections) = match &wanted {
        Some(wanted) => (&*wanted.desired, wanted.sections(&project)),
        None => (project.loaded.desired.as_slice(), &project.loaded.manifest.sections),
    };
    // Resources that are to be deleted are not drawn.
    let there = desired.iter().filter(|one| one.presence().is_present());
    let graph = Graph::of(&there.cloned().collect::<Vec<_>>(), &links(desired, sections));
    let text = match args.format {
        GraphFormat::Mermaid => graph.mermaid(),
        GraphFormat::Dot => graph.dot(),
        GraphFormat::Svg => graph.svg(),
    };
    context.terminal.either(|| text.clone(), || json::document("graph", json!({ "graph": text })))?;
    Ok(Exit::Done)
}

/// Returns the desired state at the selected target. If none is selected and the targets differ, uses the first one and says so.
fn at_target<'p>(context: &Context, project: &'p Project) -> Result<Option<DesiredAt<'p>>, Error> {
    let loaded = &project.loaded;
    let target = match &context.global.target {
        Some(pattern) => one_target(&loaded.manifest, &loaded.policy_root, pattern)?,
        None if loaded.varies() => {
            let all = loaded.manifest.destinations(&loaded.policy_root, &Discovered::new());
            let Some(first) = all.into_iter().next() else { return Ok(None) };
            if let Some(name) = &first.name {
                let text = format!("Drawn as it is at the target {name}; name another one with --target.");
                context.terminal.note(&format!("{}\n", crate::report::escape(&text)));
            }
            first
        }
        None => return Ok(None),
    };
    // Any region will do, because there is no AWS call.
    let name = target.region.clone().unwrap_or_else(|| RegionName::new("us-east-1"));
    project.wanted(&target.with_region(Region { name, source: String::new() })).map(Some)
}

/// Returns the edges of the graph: references, and from a policy to the tables that its rules use (approvals or sessions).
fn links(desired: &[DesiredResource], sections: &Sections) -> Vec<Link> {
    let mut links: Vec<Link> = Vec::new();
    for (from, references) in sections.references() {
        let link = |Reference { setting, to }: Reference| Link { from: from.clone(), to, why: setting.join(".") };
        links.extend(references.into_iter().map(link));
    }
    let tables: Vec<_> = desired.iter().filter_map(|one| one.of::<Table>()).collect();
    for policy in desired.iter().filter_map(|one| one.of::<PolicyParameter>()) {
        let content = policy.managed.content.as_ref().and_then(Content::shown).unwrap_or_default();
        let read = parse(&Source::new(policy.name.clone(), content), &mut Faults::default());
        for rule in read.iter().flat_map(|policy| &policy.rules) {
            let profiles = &rule.conditions.profiles;
            if !profiles.is_empty() && !profiles.contains(&policy.address.key) {
                continue;
            }
            let mut lead = |table: &str, why: &str| {
                let found =
                    tables.iter().find(|one| one.name == table || one.address == Address::new(KindId::Table, table));
                if let Some(found) = found {
                    let (from, to) = (policy.address.clone(), found.address.clone());
                    let link = Link { from, to, why: why.to_owned() };
                    if !links.contains(&link) {
                        links.push(link);
                    }
                }
            };
            match rule.effect {
                Effect::RequireApproval => {
                    lead("approvals", "approval");
                    lead("breakglass", "break-glass");
                }
                Effect::RequireServerSession => lead(rule.session_table.as_deref().unwrap_or("sessions"), "sessions"),
                Effect::Allow | Effect::Deny | Effect::RequireServer => {}
            }
        }
    }
    links
}
