//! The command line of `sentinel policy`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::values::positive;
use super::{AwsArgs, ManifestArgs, ProgressArgs, RootArgs, TargetArgs, TimeArgs, profile_name};

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
    /// Print a profile's policy from Parameter Store: the newest version, or an earlier one.
    ///
    /// Prints the text alone, so that it can be written to a file. Needs the permission ssm:GetParameterHistory on the
    /// policy's parameter.
    Show(PolicyShowArgs),
    /// List the versions of a profile's policy: when each was written and by whom, and what it changed for those who ask.
    ///
    /// Parameter Store keeps the newest 100 versions. Needs the permission ssm:GetParameterHistory on the policy's parameter.
    History(PolicyHistoryArgs),
    /// Show how two versions of a profile's policy differ, and what the difference means for those who ask.
    ///
    /// Needs the permission ssm:GetParameterHistory on the policy's parameter.
    Diff(PolicyDiffArgs),
    /// Write an earlier version of a profile's policy as a new version.
    ///
    /// Shows the difference and asks first, as apply does, and verifies the result. The manifest and its policy file do
    /// not change: while they differ, plan shows a drift, and the next apply writes the file's text again. `sentinel policy
    /// show PROFILE VERSION` prints the text for the file.
    Rollback(PolicyRollbackArgs),
}

/// The options for the live policy of a profile.
#[derive(Debug, Args)]
pub struct LivePolicyArgs {
    /// The profile.
    #[arg(value_name = "PROFILE", index = 1, value_parser = profile_name)]
    pub profile: String,
    #[command(flatten)]
    pub aws: AwsArgs,
    #[command(flatten)]
    pub at: TargetArgs,
    #[command(flatten)]
    pub root: RootArgs,
}

#[derive(Debug, Args)]
pub struct PolicyShowArgs {
    /// The version [default: the newest].
    #[arg(value_name = "VERSION", index = 2, value_parser = positive::<i64>)]
    pub number: Option<i64>,
    /// Decrypt a policy that is in a `SecureString`, and print it.
    #[arg(long)]
    pub show_secrets: bool,
    /// Also write a page to a file: who gets access when, drawn as a week, what the version changed, and the text.
    #[arg(long, value_name = "FILE")]
    pub out_html: Option<PathBuf>,
    #[command(flatten)]
    pub live: LivePolicyArgs,
}

#[derive(Debug, Args)]
pub struct PolicyHistoryArgs {
    #[command(flatten)]
    pub live: LivePolicyArgs,
}

#[derive(Debug, Args)]
pub struct PolicyDiffArgs {
    /// The earlier version [default: the one before the later version].
    #[arg(long, value_name = "N", value_parser = positive::<i64>)]
    pub from: Option<i64>,
    /// The later version [default: the newest].
    #[arg(long, value_name = "N", value_parser = positive::<i64>)]
    pub to: Option<i64>,
    /// Decrypt a policy that is in a `SecureString`, and print the difference.
    #[arg(long)]
    pub show_secrets: bool,
    #[command(flatten)]
    pub live: LivePolicyArgs,
}

#[derive(Debug, Args)]
pub struct PolicyRollbackArgs {
    /// The version whose text is written as a new version.
    #[arg(long, value_name = "VERSION", value_parser = positive::<i64>)]
    pub to: i64,
    /// Do not ask for confirmation; required if there is no terminal.
    #[arg(short, long)]
    pub yes: bool,
    #[command(flatten)]
    pub time: TimeArgs,
    #[command(flatten)]
    pub progress: ProgressArgs,
    #[command(flatten)]
    pub live: LivePolicyArgs,
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
