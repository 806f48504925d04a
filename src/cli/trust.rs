//! The command line of `sentinel trust`.

use clap::{Args, Subcommand};

use super::{AwsArgs, TargetArgs, profile_name};

#[derive(Debug, Subcommand)]
pub enum TrustCommand {
    /// Check that nobody can assume a profile's role without the broker.
    ///
    /// Reads the trust policies of the profiles' roles and of the broker's role. Reports for each profile whether AWS
    /// enforces the gate: the role exists, only the broker's role can assume it, and only a compute service can assume
    /// the broker's role. Treats a statement that it does not understand as one that admits somebody else.
    ///
    /// Also asks IAM, with SimulatePrincipalPolicy, whether the users and roles in [broker] and the profiles' own roles have
    /// permissions that bypass the broker: on the tables and their replicas, on these roles and their policies, on the policies of the
    /// profiles, on the compute that runs the broker, on themselves, or on approvers and operators. Lists what it did not check.
    ///
    /// Exits with 2 if there is a finding, and with 3 if there is none but something could not be read or simulated.
    Check(TrustCheckArgs),
}

#[derive(Debug, Args)]
pub struct TrustCheckArgs {
    /// Profiles to check [default: all of the manifest].
    #[arg(value_name = "PROFILE", value_parser = profile_name)]
    pub profiles: Vec<String>,
    /// The ARN of another user or role that must have no permission to bypass the broker; can be given more than once.
    #[arg(long = "principal", value_name = "ARN")]
    pub principals: Vec<String>,
    #[command(flatten)]
    pub aws: AwsArgs,
    #[command(flatten)]
    pub at: TargetArgs,
}
