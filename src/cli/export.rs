//! The command line of `sentinel export`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{AwsArgs, FilterArgs, ManifestArgs, RootArgs, TimeArgs};

#[derive(Debug, Subcommand)]
pub enum ExportCommand {
    /// Write CloudFormation templates, and the commands that deploy them.
    ///
    /// Each target becomes a template, or several where one is too large. DeletionPolicy and UpdateReplacePolicy are Retain
    /// everywhere. deploy.sh has the commands; it shows each change set before it is carried out.
    Cloudformation(CloudFormationArgs),
    /// Write a configuration for Terraform or OpenTofu.
    ///
    /// All targets become one root module: a provider for each account, a file for each target, and import blocks with literal IDs
    /// for what is there, where --live is given. Values of secrets are variables and in no file.
    Terraform(TerraformArgs),
}

/// What all exports take.
#[derive(Debug, Args)]
pub struct ExportArgs {
    #[command(flatten)]
    pub manifest: ManifestArgs,
    #[command(flatten)]
    pub filter: FilterArgs,
    /// The folder to write into; it is made if it is not there. Files of an earlier export are replaced, and no others.
    #[arg(short, long, value_name = "DIR")]
    pub out: PathBuf,
    /// Also read what is live, and write what imports the resources that are there already. Without it no AWS call is made.
    #[arg(long)]
    pub live: bool,
    /// Leave out what the other engine cannot do; the summary lists it. Without this option nothing is written then.
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
    #[command(flatten)]
    pub export: ExportArgs,
    /// Write one template for a stack set that has all targets, with parameters for what differs from target to target.
    #[arg(long, conflicts_with = "live")]
    pub stack_set: bool,
    /// Write templates of up to 1 MB, which CloudFormation takes from a bucket, instead of 51,200 bytes.
    #[arg(long)]
    pub from_s3: bool,
}

#[derive(Debug, Args)]
pub struct TerraformArgs {
    #[command(flatten)]
    pub export: ExportArgs,
    /// The major version of the AWS provider. With 5, each region takes a provider configuration of its own.
    #[arg(long, value_name = "VERSION", value_enum, default_value_t = ProviderVersion::Six)]
    pub provider: ProviderVersion,
}

/// The major version of the AWS provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProviderVersion {
    #[value(name = "5")]
    Five,
    #[value(name = "6")]
    Six,
}
