//! The command line of `sentinel export`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{AwsArgs, FilterArgs, ManifestArgs, RootArgs, TimeArgs};

#[derive(Debug, Subcommand)]
pub enum ExportCommand {
    /// Write CloudFormation templates, and the commands that deploy them.
    ///
    /// Each target becomes one or more templates. DeletionPolicy and UpdateReplacePolicy are Retain everywhere.
    /// deploy.sh has the commands, and shows each change set before it executes it.
    Cloudformation(CloudFormationArgs),
    /// Write a configuration for Terraform or OpenTofu.
    ///
    /// All targets become one root module: a provider for each account, a file for each target, and, with --live,
    /// import blocks with literal IDs for existing resources. Secret values are variables, and in no file.
    Terraform(TerraformArgs),
}

/// What all exports take.
#[derive(Debug, Args)]
pub struct ExportArgs {
    #[command(flatten)]
    pub manifest: ManifestArgs,
    #[command(flatten)]
    pub filter: FilterArgs,
    /// The output folder; created if it does not exist. Replaces files of an earlier export, and no others.
    #[arg(short, long, value_name = "DIR")]
    pub out: PathBuf,
    /// Also read AWS, and write the files that import existing resources. Without it, makes no AWS call.
    #[arg(long)]
    pub live: bool,
    /// Omit settings that the engine does not support, and list them. Without this option, nothing is written in that
    /// case.
    #[arg(long)]
    pub allow_gaps: bool,
    #[command(flatten)]
    pub time: TimeArgs,
    #[command(flatten)]
    pub aws: AwsArgs,
    #[command(flatten)]
    pub root: RootArgs,
}

#[derive(Debug, Args)]
pub struct CloudFormationArgs {
    /// Write one template for a stack set of all targets, with parameters for settings that differ between targets.
    #[arg(long, conflicts_with = "live")]
    pub stack_set: bool,
    /// Write templates of up to 1 MB, which CloudFormation reads from a bucket, instead of 51,200 bytes.
    #[arg(long)]
    pub from_s3: bool,
    #[command(flatten)]
    pub export: ExportArgs,
}

#[derive(Debug, Args)]
pub struct TerraformArgs {
    /// The major version of the AWS provider. With 5, each region has its own provider configuration.
    #[arg(long, value_name = "VERSION", value_enum, default_value_t = ProviderVersion::Six)]
    pub provider: ProviderVersion,
    #[command(flatten)]
    pub export: ExportArgs,
}

/// The major version of the AWS provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProviderVersion {
    #[value(name = "5")]
    Five,
    #[value(name = "6")]
    Six,
}
