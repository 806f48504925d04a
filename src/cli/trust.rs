//! The command line of `sentinel trust`.

use clap::{Args, Subcommand};

use super::{AwsArgs, TargetArgs, profile_name};

#[derive(Debug, Subcommand)]
pub enum TrustCommand {
    /// Check that nobody can assume a profile's role without the broker.
    ///
    /// Reads the trust policies of the profiles' roles and of the broker's role. Reports for each profile whether AWS
    /// enforces the gate: the role exists, only the broker's role can assume it, and only a compute service can assume
    /// the broker's role. A statement that Sentinel does not understand counts as letting somebody in. Also reports the
    /// permissions on the tables of the users and roles in [broker], as far as IAM can simulate them. Exits with 2 if
    /// there is a finding.
    Check(TrustCheckArgs),
}

#[derive(Debug, Args)]
pub struct TrustCheckArgs {
    /// Profiles to check [default: all of the manifest].
    #[arg(value_name = "PROFILE", value_parser = profile_name)]
    pub profiles: Vec<String>,
    /// The ARN of another user or role that must have no permissions on the tables; can be given more than once. Calls
    /// SimulatePrincipalPolicy.
    #[arg(long = "principal", value_name = "ARN")]
    pub principals: Vec<String>,
    #[command(flatten)]
    pub aws: AwsArgs,
    #[command(flatten)]
    pub at: TargetArgs,
}
