//! The command line for the sessions of credential servers.

use clap::Args;

use super::values::{choices, text_of};
use super::{AwsArgs, BrokerArgs, LimitArgs, TargetArgs, table_name};
use crate::access::sessions;

#[derive(Debug, Clone, Args)]
pub struct SessionTable {
    /// The table of sessions [default: SENTINEL_SESSION_TABLE, the manifest's, or sentinel-sessions].
    #[arg(long, value_name = "NAME", value_parser = table_name)]
    pub session_table: Option<String>,
}

#[derive(Debug, Args)]
pub struct SessionListArgs {
    /// Only those of this user.
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
    /// Only those with this status.
    #[arg(long, value_name = "STATUS", value_parser = choices(sessions::Status::ALL, sessions::Status::word))]
    pub status: Option<sessions::Status>,
    /// Only those of this server.
    #[arg(long, value_name = "ID")]
    pub server_instance: Option<String>,
    #[command(flatten)]
    pub limit: LimitArgs,
    #[command(flatten)]
    pub table: SessionTable,
    #[command(flatten)]
    pub aws: AwsArgs,
    #[command(flatten)]
    pub at: TargetArgs,
    #[command(flatten)]
    pub by: BrokerArgs,
}

#[derive(Debug, Args)]
pub struct SessionIdArgs {
    /// The ID of the session.
    pub id: String,
    #[command(flatten)]
    pub table: SessionTable,
    #[command(flatten)]
    pub aws: AwsArgs,
    #[command(flatten)]
    pub at: TargetArgs,
    #[command(flatten)]
    pub by: BrokerArgs,
}

#[derive(Debug, Args)]
pub struct SessionRevokeArgs {
    /// The ID of the session.
    pub id: String,
    /// Why it is revoked.
    #[arg(long, value_name = "TEXT", value_parser = |text: &str| text_of(text, 1, 500))]
    pub reason: String,
    #[command(flatten)]
    pub table: SessionTable,
    #[command(flatten)]
    pub aws: AwsArgs,
    #[command(flatten)]
    pub at: TargetArgs,
    #[command(flatten)]
    pub by: BrokerArgs,
}
