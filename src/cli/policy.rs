//! The command line of what is about policies alone.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ManifestArgs;

#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Hold policies against the cases that are kept beside them, offline.
    ///
    /// The cases of dev.yaml are in dev.test.yaml: who, which profile, when, and what the policy has to say. They are
    /// evaluated as exec evaluates. Exits with 1 when a case does not come out as expected.
    Test(PolicyTestArgs),
    /// Find what is valid in policies and most likely not what was meant, offline.
    ///
    /// Each finding has a stable code, which `sentinel explain CODE` explains, and is kept quiet by a comment on its line
    /// or alone on the line above: # sentinel: allow L002. Where there is a manifest, profiles and tables are looked up in
    /// it. Exits with 1 when something is found.
    Lint(PolicyLintArgs),
}

#[derive(Debug, Args)]
pub struct PolicyLintArgs {
    /// Policies to look at [default: those of the manifest].
    #[arg(value_name = "POLICY")]
    pub policies: Vec<PathBuf>,
    #[command(flatten)]
    pub manifest: ManifestArgs,
}

#[derive(Debug, Args)]
pub struct PolicyTestArgs {
    /// Policies to test [default: those of the manifest that have cases].
    #[arg(value_name = "POLICY", conflicts_with = "file")]
    pub policies: Vec<PathBuf>,
    #[command(flatten)]
    pub manifest: ManifestArgs,
}
