//! The command line of what is about policies alone.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ManifestArgs;

#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Run the test cases of policies, offline.
    ///
    /// The test cases of dev.yaml are in dev.test.yaml: user, profile, time, and the expected effect. The same
    /// evaluator as in exec runs them. Exits with 1 if a test case fails.
    Test(PolicyTestArgs),
    /// Find policies that are valid but probably not intended, offline.
    ///
    /// Each finding has a stable code; see `sentinel explain CODE`. To suppress it, add a comment on its line or on the
    /// line above: # sentinel: allow L002. If there is a manifest, profiles and tables are looked up in it. Exits with
    /// 1 if it finds something.
    Lint(PolicyLintArgs),
}

#[derive(Debug, Args)]
pub struct PolicyLintArgs {
    /// Policies to lint [default: those of the manifest].
    #[arg(value_name = "POLICY")]
    pub policies: Vec<PathBuf>,
    #[command(flatten)]
    pub manifest: ManifestArgs,
}

#[derive(Debug, Args)]
pub struct PolicyTestArgs {
    /// Policies to test [default: those of the manifest with test cases].
    #[arg(value_name = "POLICY", conflicts_with = "file")]
    pub policies: Vec<PathBuf>,
    #[command(flatten)]
    pub manifest: ManifestArgs,
}
