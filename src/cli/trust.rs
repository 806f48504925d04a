//! The command line of what tells whether AWS enforces the gate.

use clap::{Args, Subcommand};

use super::{AwsArgs, TargetArgs, profile_name};

#[derive(Debug, Subcommand)]
pub enum TrustCommand {
    /// Check that nobody gets a profile's role without the broker.
    ///
    /// Reads the trust policies of the profiles' roles and of the broker's role, and says for each profile whether AWS enforces
    /// the gate: the role exists, only the broker's role may assume it, and only a service that runs it may assume the broker's
    /// role. A statement that is not understood counts as letting in. Exits with 2 when there is a finding.
    Check(TrustCheckArgs),
}

#[derive(Debug, Args)]
pub struct TrustCheckArgs {
    /// Profiles to check [default: all of the manifest].
    #[arg(value_name = "PROFILE", value_parser = profile_name)]
    pub profiles: Vec<String>,
    /// The ARN of a user or role that is to have no permissions on the tables; can be given more than once. Asks IAM with
    /// SimulatePrincipalPolicy.
    #[arg(long = "principal", value_name = "ARN")]
    pub principals: Vec<String>,
    #[command(flatten)]
    pub aws: AwsArgs,
    #[command(flatten)]
    pub at: TargetArgs,
}
