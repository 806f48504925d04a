//! The command line of the access commands.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::values::{choices, lasting, mfa_code, positive, subject, text_of};
use super::{
    AnswersCommand, AwsArgs, BrokerArgs, RootArgs, SessionIdArgs, SessionListArgs, SessionRevokeArgs, TargetArgs,
    profile_name, table_name,
};
use crate::access::{breakglass, requests};
use crate::resource::secret::Secret;

#[derive(Debug, Subcommand)]
pub enum AccessCommand {
    /// Run a command with a profile's credentials, if its policy allows it.
    ///
    /// Reads the profile's policy, gets your identity from STS, and evaluates the policy. If it allows access, resolves
    /// credentials as the AWS SDKs do (SSO, roles, source profiles), sets your name and the request as the source
    /// identity of a role session, and replaces itself by the command, with AWS_ACCESS_KEY_ID and similar variables
    /// set. A refusal exits with 1 and names the rule.
    Exec(ExecArgs),
    /// Print a profile's credentials for an SDK's `credential_process`, if its policy allows it.
    ///
    /// For ~/.aws/config: credential_process = sentinel credentials --profile dev --aws-profile base
    Credentials(CredentialsArgs),
    /// Request access to a profile.
    Request(RequestArgs),
    /// List requests, newest first; your own unless a filter is given.
    List(ListArgs),
    /// Show one request.
    Check(CheckArgs),
    /// Approve someone else's request, for the requested duration.
    Approve(ApproveArgs),
    /// Deny someone else's request.
    Deny(DenyArgs),
    /// Cancel your own pending request.
    Cancel(CancelArgs),
    /// Revoke a request: approved access ends at once, and a pending request can no longer be approved.
    ///
    /// Requires the permissions of an approver or an operator. Credentials that were already issued work until they
    /// expire.
    Revoke(RevokeArgs),
    /// Lock a user out of a profile: they get no credentials, whatever its policy and approvals allow.
    ///
    /// Requires the permissions of an operator. Credentials that were already issued work until they expire.
    Lock(LockArgs),
    /// Unlock a user.
    Unlock(UnlockArgs),
    /// List the locks of a profile, active and ended, and who ended them.
    Locks(LocksArgs),
    /// Get access in an emergency. It counts as an approval, and is recorded with the user, the reason and the duration.
    ///
    /// Each user can have one active event for each profile. Sentinel refuses if the profile's policy does not require
    /// approval, if it forbids break-glass, or if its limits are reached: by default 3 events and 8 hours in any 24 hours.
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
    /// Revoke a session: the server refuses its next fetch of credentials.
    ServerRevoke(SessionRevokeArgs),
    /// Print shell functions for a shell's start-up file.
    #[command(subcommand)]
    Shell(ShellCommand),
    /// Ask a policy who gets access, without requesting any.
    #[command(subcommand)]
    Access(AnswersCommand),
}

#[derive(Debug, Subcommand)]
pub enum ShellCommand {
    /// Print a function for each profile that has a policy: sentinel-PROFILE runs a command through `sentinel exec`.
    ///
    /// For ~/.zshrc: eval "$(sentinel shell init --aws-profile dev)"
    ///
    /// Never delays a new shell for long, and never makes it fail: after three seconds, or if AWS denies the call, it
    /// uses the profiles of the last successful run, prints the problem on stderr as a comment, and exits with 0.
    Init(ShellInitArgs),
}

#[derive(Debug, Args)]
pub struct ShellInitArgs {
    /// The shell [default: the one in $SHELL].
    #[arg(long, value_enum, value_name = "SHELL")]
    pub format: Option<ShellFormat>,
    /// Also print a function sentinel-PROFILE-server for each, which runs `sentinel exec --server`.
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

/// The credentials that are requested, the tables that are read, and the log.
#[derive(Debug, Clone, Args)]
pub struct GateArgs {
    /// The profile whose policy decides.
    #[arg(long, value_name = "NAME", value_parser = profile_name)]
    pub profile: String,
    /// The AWS profile whose credentials are released [default: the one with the name of the profile, if it exists].
    #[arg(long, value_name = "NAME")]
    pub credentials_profile: Option<String>,
    /// The code of your MFA device, for an AWS profile with mfa_serial; asked for on a terminal.
    #[arg(long, value_name = "CODE", value_parser = mfa_code)]
    pub mfa_code: Option<Secret>,
    #[command(flatten)]
    pub request_table: RequestTable,
    #[command(flatten)]
    pub breakglass_table: BreakglassTable,
    /// Append the decision and the released credentials' identity to this file, as JSON lines; nothing is released if
    /// it cannot be logged.
    #[arg(long, value_name = "FILE")]
    pub log_file: Option<PathBuf>,
    /// Write the decision and the released credentials' identity to stderr, as JSON lines.
    #[arg(long)]
    pub log_stderr: bool,
}

#[derive(Debug, Args)]
pub struct ExecArgs {
    #[command(flatten)]
    pub gate: GateArgs,
    /// Release credentials through a server on loopback, which evaluates the policy at every fetch, and record the
    /// session.
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

/// The length of a list.
#[derive(Debug, Clone, Args)]
pub struct LimitArgs {
    /// The maximum number of entries.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = positive::<u32>)]
    pub limit: u32,
    /// List all entries.
    #[arg(long, conflicts_with = "limit")]
    pub all: bool,
}

impl LimitArgs {
    /// Returns the maximum number of entries.
    pub fn most(&self) -> usize {
        // One below the largest number, since one more entry is read to find out whether there are more.
        if self.all { usize::MAX - 1 } else { self.limit as usize }
    }
}

#[derive(Debug, Args)]
pub struct RequestArgs {
    /// The profile to access.
    #[arg(long, value_name = "NAME", value_parser = profile_name)]
    pub profile: String,
    /// Why, in 10 to 500 characters.
    #[arg(long, value_name = "TEXT", value_parser = |text: &str| text_of(text, 10, 500))]
    pub justification: String,
    /// The duration of access after the approval, at most 8h.
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
    /// Only those of this user.
    #[arg(long, value_name = "USER")]
    pub requester: Option<String>,
    /// Only those with this status.
    #[arg(long, value_name = "STATUS", value_parser = choices(requests::Status::ALL, requests::Status::word))]
    pub status: Option<requests::Status>,
    /// Only those for this profile.
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
    /// The ID of the request.
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
    /// The ID of the request.
    pub id: String,
    /// A comment, in at most 500 characters.
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
    /// The ID of the request.
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
    /// Why, in at most 500 characters. The user sees it.
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

/// The kind of an emergency.
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
    /// The profile to access.
    #[arg(long, value_name = "NAME", value_parser = profile_name)]
    pub profile: String,
    /// The kind of emergency.
    #[arg(long, value_enum)]
    pub reason_code: ReasonCode,
    /// Why, in 20 to 1,000 characters.
    #[arg(long, value_name = "TEXT", value_parser = |text: &str| text_of(text, 20, 1000))]
    pub justification: String,
    /// The duration of access, at most 4h.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = |text: &str| lasting(text, 4))]
    pub duration: Duration,
    /// Append the decision to this file, as JSON lines.
    #[arg(long, value_name = "FILE")]
    pub log_file: Option<PathBuf>,
    /// Write the decision to stderr, as JSON lines.
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
    /// Only those of this user.
    #[arg(long, value_name = "USER")]
    pub invoker: Option<String>,
    /// Only those with this status.
    #[arg(long, value_name = "STATUS", value_parser = choices(breakglass::Status::ALL, breakglass::Status::word))]
    pub status: Option<breakglass::Status>,
    /// Only those for this profile.
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
    /// The ID of the event.
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
    /// The ID of the event.
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
