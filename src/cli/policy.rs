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
}

#[derive(Debug, Args)]
pub struct PolicyTestArgs {
    /// Policies to test [default: those of the manifest that have cases].
    #[arg(value_name = "POLICY")]
    pub policies: Vec<PathBuf>,
    #[command(flatten)]
    pub manifest: ManifestArgs,
}
