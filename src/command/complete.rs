//! Completions for shells: the manifest's profiles, tables, targets and addresses, the AWS profiles, and the codes.

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::CommandFactory;
use clap_complete::CompleteEnv;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};

use super::gather::gather;
use super::tools::COMPLETE;
use crate::cli::Cli;
use crate::diagnostic::Faults;
use crate::kind::{Address, KindId};
use crate::manifest::{self, Builtin, Discovered, Manifest};
use crate::resource::names::PolicyRoot;
use crate::{explain, provider};

/// Prints completions if a shell requests them. Returns whether one did.
pub(super) fn answered() -> bool {
    let asked = CompleteEnv::with_factory(|| with_candidates(Cli::command())).var(COMPLETE);
    let folder = std::env::current_dir().ok();
    match asked.try_complete(std::env::args_os(), folder.as_deref()) {
        Ok(answered) => answered,
        Err(error) => {
            let _ = error.print();
            true
        }
    }
}

/// Adds the source of the values to each argument, by its name.
fn with_candidates(command: clap::Command) -> clap::Command {
    // The arguments of `init` are not in the manifest yet.
    let new = matches!(command.get_name(), "bootstrap" | "approvals" | "breakglass" | "sessions" | "wizard");
    let command = command.mut_args(|arg| {
        let values: fn() -> Vec<String> = match arg.get_long().unwrap_or(arg.get_id().as_str()) {
            "profile" if new => aws_profiles,
            "aws-profile" | "credentials-profile" => aws_profiles,
            "profile" => || manifest().sections.profiles.keys().cloned().collect(),
            "only" | "exclude" => addresses,
            "target" => targets,
            "table" | "request-table" | "breakglass-table" | "session-table" if !new => tables,
            "code" => || explain::entries().iter().map(|entry| entry.code.to_owned()).collect(),
            _ => return arg,
        };
        arg.add(ArgValueCompleter::new(move |word: &OsStr| starting_with(word, values())))
    });
    command.mut_subcommands(with_candidates)
}

fn starting_with(word: &OsStr, values: Vec<String>) -> Vec<CompletionCandidate> {
    let word = word.to_string_lossy();
    values.into_iter().filter(|value| value.starts_with(&*word)).map(CompletionCandidate::new).collect()
}

/// Returns the manifest of the command line, as far as it can be parsed.
fn manifest() -> Manifest {
    let words: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let named = words.iter().enumerate().filter_map(|(place, word)| match word.as_str() {
        "-f" | "--file" => words.get(place + 1).cloned(),
        word => word.strip_prefix("--file=").map(str::to_owned),
    });
    // Standard input is the user's terminal.
    let mut paths: Vec<PathBuf> = named.filter(|path| path != "-").map(PathBuf::from).collect();
    if paths.is_empty() {
        paths.push(PathBuf::from("sentinel.toml"));
    }
    gather(&paths).map(|found| manifest::parse(&found.source, &mut Faults::default()).manifest).unwrap_or_default()
}

/// Returns the sections of `[targets]` and their targets.
fn targets() -> Vec<String> {
    let manifest = manifest();
    let expanded = manifest.destinations(&PolicyRoot::default(), &Discovered::default());
    let mut names: Vec<String> = manifest.targets.keys().cloned().collect();
    names.extend(expanded.into_iter().filter_map(|one| one.name));
    names.dedup();
    names
}

fn addresses() -> Vec<String> {
    let addresses = manifest().sections.addresses();
    let whole = KindId::ALL.iter().map(|kind| format!("{}.*", kind.section()));
    addresses.iter().map(Address::to_string).chain(whole).collect()
}

fn tables() -> Vec<String> {
    let name = |(key, table): (&String, &manifest::TableSection)| {
        table.name.clone().or_else(|| Builtin::from_key(key).map(|builtin| builtin.default_name().to_owned()))
    };
    manifest().sections.tables.iter().filter_map(name).collect()
}

/// Returns the AWS profiles of this machine. Uses another thread, because a caller's thread may already run a Tokio runtime.
pub(super) fn aws_profiles() -> Vec<String> {
    let read = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map(|runtime| runtime.block_on(provider::aws_profiles())).unwrap_or_default()
    };
    std::thread::spawn(read).join().unwrap_or_default()
}
