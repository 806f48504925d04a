//! The command line of `sentinel access`.

use clap::{Args, Subcommand};
use jiff::Timestamp;

use super::values::{choices, moment, subject};
use super::{AwsArgs, RootArgs, TargetArgs, profile_name};
use crate::policy::Mode;

#[derive(Debug, Subcommand)]
pub enum AnswersCommand {
    /// List what a profile's policy gives to each user that it names, and to everyone else.
    ///
    /// Evaluates the live policy as exec does. Ignores locks, approvals and break-glass events.
    Who(WhoArgs),
    /// Show what a profile's policy gives to a user, which rule decides, and which conditions prevent more access.
    ///
    /// Evaluates the live policy as exec does. Ignores locks, approvals and break-glass events. Exits with 1 when
    /// the policy denies access.
    Can(CanArgs),
}

/// The moment and the mode of the access.
#[derive(Debug, Args)]
pub struct QuestionArgs {
    /// The time, such as 2026-01-14T10:00:00+01:00 or '2026-01-14T10:00[Europe/Zurich]' [default: now].
    #[arg(long = "at", value_name = "TIME", value_parser = moment)]
    pub time: Option<Timestamp>,
    /// How credentials are requested: by exec (cli), by exec --server (server), or by credentials (credential_process).
    #[arg(long, value_name = "MODE", value_parser = choices(Mode::ALL, Mode::word), default_value = "cli")]
    pub mode: Mode,
    #[command(flatten)]
    pub aws: AwsArgs,
    #[command(flatten)]
    pub target: TargetArgs,
    #[command(flatten)]
    pub root: RootArgs,
}

#[derive(Debug, Args)]
pub struct WhoArgs {
    /// The profile.
    #[arg(value_name = "PROFILE", value_parser = profile_name)]
    pub profile: String,
    #[command(flatten)]
    pub question: QuestionArgs,
}

#[derive(Debug, Args)]
pub struct CanArgs {
    /// The user's name, or an ARN as `aws sts get-caller-identity` shows it.
    #[arg(value_name = "USER", value_parser = subject)]
    pub user: String,
    /// The profile.
    #[arg(value_name = "PROFILE", value_parser = profile_name)]
    pub profile: String,
    #[command(flatten)]
    pub question: QuestionArgs,
}
