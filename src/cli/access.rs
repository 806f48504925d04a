//! The command line of those who use what is provisioned.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::values::{lasting, mfa_code, subject, text_of, words};
use super::{
    AwsArgs, BrokerArgs, RootArgs, SessionIdArgs, SessionListArgs, SessionRevokeArgs, TargetArgs, profile_name,
    table_name,
};
use crate::access::{breakglass, requests};
use crate::resource::secret::Secret;

#[derive(Debug, Subcommand)]
pub enum AccessCommand {
    /// Run a command with a profile's credentials, if its policy allows it.
    ///
    /// Reads the profile's policy, asks STS who you are, and evaluates it. If it allows, credentials are resolved as the
    /// AWS SDKs do (SSO, roles, source profiles), a role's session is stamped with your name and the request, and the
    /// command takes this one's place, with AWS_ACCESS_KEY_ID and the like set. A refusal exits with 1 and names the rule.
    Exec(ExecArgs),
    /// Print a profile's credentials for an SDK's `credential_process`, if its policy allows it.
    ///
    /// For ~/.aws/config: credential_process = sentinel credentials --profile dev --aws-profile base
    Credentials(CredentialsArgs),
    /// Ask for a profile's approval.
    Request(RequestArgs),
    /// List requests, newest first; your own unless a filter is given.
    List(ListArgs),
    /// Show one request.
    Check(CheckArgs),
    /// Approve someone else's request, which lets them in for as long as they asked for.
    Approve(ApproveArgs),
    /// Deny someone else's request.
    Deny(DenyArgs),
    /// Take back a request of your own that nobody has answered.
    Cancel(CancelArgs),
    /// Revoke a request: access that was approved ends at once, and one that is pending can no longer be approved.
    ///
    /// Takes the permissions of an approver or an operator. Credentials that were issued before work until they run out.
    Revoke(RevokeArgs),
    /// Lock a user out of a profile: they get no credentials of it, whatever its policy and any approval says.
    ///
    /// Takes the permissions of an operator. Credentials that were issued before work until they run out.
    Lock(LockArgs),
    /// End the lock of a user.
    Unlock(UnlockArgs),
    /// List the locks of a profile: those in force, and those that have ended, with who ended them.
    Locks(LocksArgs),
    /// Take access in an emergency: it counts as an approval, and records who, why and how long.
    ///
    /// There can be one active event for each user and profile. Sentinel refuses when the profile's policy takes no approval
    /// or forbids break-glass, and when its limits are reached: 3 events and 8 hours in any 24 hours, unless it has others.
    Breakglass(BreakglassArgs),
    /// List break-glass events, newest first; your own unless a filter is given.
    BreakglassList(BreakglassListArgs),
    /// Show one break-glass event.
    BreakglassCheck(BreakglassIdArgs),
    /// End a break-glass event.
    BreakglassClose(BreakglassCloseArgs),
    /// List the sessions of credential servers, newest first; your own unless a filter is given.
    ServerSessions(SessionListArgs),
    /// Show one session of a credential server.
    ServerSession(SessionIdArgs),
    /// Revoke a session: its next fetch of credentials is refused.
    ServerRevoke(SessionRevokeArgs),
    /// What to put into a shell's start-up file.
    #[command(subcommand)]
    Shell(ShellCommand),
}

#[derive(Debug, Subcommand)]
pub enum ShellCommand {
    /// Print a function for each profile that has a policy: sentinel-PROFILE runs a command through `sentinel exec`.
    ///
    /// For ~/.zshrc: eval "$(sentinel shell init --aws-profile dev)"
    ///
    /// A new shell never waits long for it, and never fails because of it: after three seconds, or when AWS says no, the
    /// profiles it found the last time are used, what is wrong goes to stderr as a comment, and the exit code is 0.
    Init(ShellInitArgs),
}

#[derive(Debug, Args)]
pub struct ShellInitArgs {
    /// The shell [default: the one in $SHELL].
    #[arg(long, value_enum, value_name = "SHELL")]
    pub format: Option<ShellFormat>,
    /// Also a function sentinel-PROFILE-server for each, which runs `sentinel exec --server`.
    #[arg(long)]
    pub include_server: bool,
    #[command(flatten)]
    pub aws: AwsArgs,
    #[command(flatten)]
    pub at: TargetArgs,
    #[command(flatten)]
    pub root: RootArgs,
}

/// A shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ShellFormat {
    Bash,
    Zsh,
    Fish,
}

/// Whose credentials are asked for, and what is consulted and logged.
#[derive(Debug, Clone, Args)]
pub struct GateArgs {
    /// The profile, whose policy decides.
    #[arg(long, value_name = "NAME", value_parser = profile_name)]
    pub profile: String,
    /// The AWS profile whose credentials are released [default: the one of the profile's own name, if there is one].
    #[arg(long, value_name = "NAME")]
    pub credentials_profile: Option<String>,
    /// What your MFA device shows, for an AWS profile with mfa_serial; asked for on a terminal.
    #[arg(long, value_name = "CODE", value_parser = mfa_code)]
    pub mfa_code: Option<Secret>,
    #[command(flatten)]
    pub request_table: RequestTable,
    #[command(flatten)]
    pub breakglass_table: BreakglassTable,
    /// Append the decision and what was released to this file, a JSON object a line; what cannot be logged is not released.
    #[arg(long, value_name = "FILE")]
    pub log_file: Option<PathBuf>,
    /// Write the decision and what was released to stderr, a JSON object a line.
    #[arg(long)]
    pub log_stderr: bool,
}

#[derive(Debug, Args)]
pub struct ExecArgs {
    #[command(flatten)]
    pub gate: GateArgs,
    /// Release credentials through a server on loopback, where the policy decides at every fetch, and record the session.
    #[arg(long)]
    pub server: bool,
    /// The table of sessions [default: SENTINEL_SESSION_TABLE, the manifest's, or sentinel-sessions].
    #[arg(long, value_name = "NAME", value_parser = table_name, requires = "server")]
    pub session_table: Option<String>,
    /// The command to run, and its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
    #[command(flatten)]
    pub aws: AwsArgs,
    #[command(flatten)]
    pub at: TargetArgs,
    #[command(flatten)]
    pub by: BrokerArgs,
    #[command(flatten)]
    pub root: RootArgs,
}

#[derive(Debug, Args)]
pub struct CredentialsArgs {
    #[command(flatten)]
    pub gate: GateArgs,
    #[command(flatten)]
    pub aws: AwsArgs,
    #[command(flatten)]
    pub at: TargetArgs,
    #[command(flatten)]
    pub by: BrokerArgs,
    #[command(flatten)]
    pub root: RootArgs,
}

#[derive(Debug, Clone, Args)]
pub struct RequestTable {
    /// The table of requests [default: SENTINEL_REQUEST_TABLE, the manifest's, or sentinel-requests].
    #[arg(long, value_name = "NAME", value_parser = table_name)]
    pub request_table: Option<String>,
}

#[derive(Debug, Clone, Args)]
pub struct BreakglassTable {
    /// The table of break-glass events [default: SENTINEL_BREAKGLASS_TABLE, the manifest's, or sentinel-breakglass].
    #[arg(long, value_name = "NAME", value_parser = table_name)]
    pub breakglass_table: Option<String>,
}

/// How much to list.
#[derive(Debug, Clone, Args)]
pub struct LimitArgs {
    /// How many to list.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
    /// List all there are.
    #[arg(long, conflicts_with = "limit")]
    pub all: bool,
}

impl LimitArgs {
    /// Returns the most that are listed.
    pub fn most(&self) -> usize {
        // A step below the most, since one more is looked for.
        if self.all { usize::MAX - 1 } else { self.limit as usize }
    }
}

#[derive(Debug, Args)]
pub struct RequestArgs {
    /// The profile to get into.
    #[arg(long, value_name = "NAME", value_parser = profile_name)]
    pub profile: String,
    /// Why, in 10 to 500 characters.
    #[arg(long, value_name = "TEXT", value_parser = |text: &str| text_of(text, 10, 500))]
    pub justification: String,
    /// For how long, once it is approved: at most 8h.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = |text: &str| lasting(text, 8))]
    pub duration: Duration,
    #[command(flatten)]
    pub table: RequestTable,
    #[command(flatten)]
    pub aws: AwsArgs,
    #[command(flatten)]
    pub at: TargetArgs,
    #[command(flatten)]
    pub by: BrokerArgs,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// Those of this user.
    #[arg(long, value_name = "USER")]
    pub requester: Option<String>,
    /// Those that stand here.
    #[arg(long, value_name = "STATUS", value_parser = words(requests::Status::ALL, requests::Status::word))]
    pub status: Option<requests::Status>,
    /// Those for this profile.
    #[arg(long, value_name = "NAME", value_parser = profile_name)]
    pub profile: Option<String>,
    #[command(flatten)]
    pub limit: LimitArgs,
    #[command(flatten)]
    pub table: RequestTable,
    #[command(flatten)]
    pub aws: AwsArgs,
    #[command(flatten)]
    pub at: TargetArgs,
    #[command(flatten)]
    pub by: BrokerArgs,
}

#[derive(Debug, Args)]
pub struct RequestIdArgs {
    /// The request's id.
    pub id: String,
    #[command(flatten)]
    pub table: RequestTable,
    #[command(flatten)]
    pub aws: AwsArgs,
    #[command(flatten)]
    pub at: TargetArgs,
    #[command(flatten)]
    pub by: BrokerArgs,
}

#[derive(Debug, Args)]
pub struct AnswerArgs {
    /// The request's id.
    pub id: String,
    /// What to say to it, in at most 500 characters.
    #[arg(long, value_name = "TEXT", value_parser = |text: &str| text_of(text, 1, 500))]
    pub comment: Option<String>,
    #[command(flatten)]
    pub table: RequestTable,
    #[command(flatten)]
    pub aws: AwsArgs,
    #[command(flatten)]
    pub at: TargetArgs,
    #[command(flatten)]
    pub by: BrokerArgs,
}

#[derive(Debug, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    pub request: RequestIdArgs,
}

#[derive(Debug, Args)]
pub struct CancelArgs {
    #[command(flatten)]
    pub request: RequestIdArgs,
}

#[derive(Debug, Args)]
pub struct ApproveArgs {
    #[command(flatten)]
    pub answer: AnswerArgs,
}

#[derive(Debug, Args)]
pub struct DenyArgs {
    #[command(flatten)]
    pub answer: AnswerArgs,
}

#[derive(Debug, Args)]
pub struct RevokeArgs {
    /// The request's id.
    pub id: String,
    /// Why it is revoked, in at most 500 characters.
    #[arg(long, value_name = "TEXT", value_parser = |text: &str| text_of(text, 1, 500))]
    pub reason: Option<String>,
    #[command(flatten)]
    pub table: RequestTable,
    #[command(flatten)]
    pub aws: AwsArgs,
    #[command(flatten)]
    pub at: TargetArgs,
    #[command(flatten)]
    pub by: BrokerArgs,
}

#[derive(Debug, Args)]
pub struct LockArgs {
    /// The user's name, or an ARN as `aws sts get-caller-identity` shows it.
    #[arg(value_parser = subject)]
    pub user: String,
    /// The profile to lock them out of.
    #[arg(long, value_name = "NAME", value_parser = profile_name)]
    pub profile: String,
    /// Why, in at most 500 characters. The user is told.
    #[arg(long, value_name = "TEXT", value_parser = |text: &str| text_of(text, 1, 500))]
    pub reason: Option<String>,
    #[command(flatten)]
    pub table: RequestTable,
    #[command(flatten)]
    pub aws: AwsArgs,
    #[command(flatten)]
    pub at: TargetArgs,
    #[command(flatten)]
    pub by: BrokerArgs,
}

#[derive(Debug, Args)]
pub struct UnlockArgs {
    /// The user's name or ARN, as it was locked.
    #[arg(value_parser = subject)]
    pub user: String,
    /// The profile they are locked out of.
    #[arg(long, value_name = "NAME", value_parser = profile_name)]
    pub profile: String,
    #[command(flatten)]
    pub table: RequestTable,
    #[command(flatten)]
    pub aws: AwsArgs,
    #[command(flatten)]
    pub at: TargetArgs,
    #[command(flatten)]
    pub by: BrokerArgs,
}

#[derive(Debug, Args)]
pub struct LocksArgs {
    /// The profile.
    #[arg(long, value_name = "NAME", value_parser = profile_name)]
    pub profile: String,
    #[command(flatten)]
    pub table: RequestTable,
    #[command(flatten)]
    pub aws: AwsArgs,
    #[command(flatten)]
    pub at: TargetArgs,
    #[command(flatten)]
    pub by: BrokerArgs,
}

/// What an emergency is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReasonCode {
    Incident,
    Maintenance,
    Security,
    Recovery,
    Other,
}

impl ReasonCode {
    /// Returns its name.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Incident => "incident",
            Self::Maintenance => "maintenance",
            Self::Security => "security",
            Self::Recovery => "recovery",
            Self::Other => "other",
        }
    }
}

#[derive(Debug, Args)]
pub struct BreakglassArgs {
    /// The profile to get into.
    #[arg(long, value_name = "NAME", value_parser = profile_name)]
    pub profile: String,
    /// What the emergency is.
    #[arg(long, value_enum)]
    pub reason_code: ReasonCode,
    /// Why, in 20 to 1,000 characters.
    #[arg(long, value_name = "TEXT", value_parser = |text: &str| text_of(text, 20, 1000))]
    pub justification: String,
    /// For how long: at most 4h.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = |text: &str| lasting(text, 4))]
    pub duration: Duration,
    /// Append the decision to this file, a JSON object a line.
    #[arg(long, value_name = "FILE")]
    pub log_file: Option<PathBuf>,
    /// Write the decision to stderr, a JSON object a line.
    #[arg(long)]
    pub log_stderr: bool,
    #[command(flatten)]
    pub table: BreakglassTable,
    #[command(flatten)]
    pub aws: AwsArgs,
    #[command(flatten)]
    pub at: TargetArgs,
    #[command(flatten)]
    pub by: BrokerArgs,
    #[command(flatten)]
    pub root: RootArgs,
}

#[derive(Debug, Args)]
pub struct BreakglassListArgs {
    /// Those of this user.
    #[arg(long, value_name = "USER")]
    pub invoker: Option<String>,
    /// Those that stand here.
    #[arg(long, value_name = "STATUS", value_parser = words(breakglass::Status::ALL, breakglass::Status::word))]
    pub status: Option<breakglass::Status>,
    /// Those for this profile.
    #[arg(long, value_name = "NAME", value_parser = profile_name)]
    pub profile: Option<String>,
    #[command(flatten)]
    pub limit: LimitArgs,
    #[command(flatten)]
    pub table: BreakglassTable,
    #[command(flatten)]
    pub aws: AwsArgs,
    #[command(flatten)]
    pub at: TargetArgs,
    #[command(flatten)]
    pub by: BrokerArgs,
}

#[derive(Debug, Args)]
pub struct BreakglassIdArgs {
    /// The event's id.
    pub id: String,
    #[command(flatten)]
    pub table: BreakglassTable,
    #[command(flatten)]
    pub aws: AwsArgs,
    #[command(flatten)]
    pub at: TargetArgs,
    #[command(flatten)]
    pub by: BrokerArgs,
}

#[derive(Debug, Args)]
pub struct BreakglassCloseArgs {
    /// The event's id.
    pub id: String,
    /// Why it ends.
    #[arg(long, value_name = "TEXT", default_value = "closed", value_parser = |text: &str| text_of(text, 1, 500))]
    pub reason: String,
    #[command(flatten)]
    pub table: BreakglassTable,
    #[command(flatten)]
    pub aws: AwsArgs,
    #[command(flatten)]
    pub at: TargetArgs,
    #[command(flatten)]
    pub by: BrokerArgs,
}
