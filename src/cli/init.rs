//! The command line of `init`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{ApplyOptions, AwsArgs, OutputArgs, RootArgs, TargetArgs, TimeArgs};
use crate::manifest::Builtin;

#[derive(Debug, Subcommand)]
pub enum InitCommand {
    /// Create the table for approval requests.
    Approvals(ApprovalsArgs),
    /// Create the table for break-glass events.
    Breakglass(EventsArgs),
    /// Create the table for server sessions.
    Sessions(SessionsArgs),
    /// Create policies for profiles, and the selected tables.
    ///
    /// Each profile starts with a default-deny policy, which gives nobody access until you change it. With --allow, it
    /// starts with a policy that allows some users.
    Bootstrap(BootstrapArgs),
    /// Ask what to manage, show the manifest, and write it.
    ///
    /// Looks up the AWS profiles of this machine and, with credentials, the policies under the policy root and the
    /// three tables. Changes nothing in AWS. Each question has an option, and is not asked if you set it. Without a
    /// terminal, give --profile, the tables and --yes.
    Wizard(WizardArgs),
    /// Show every policy under the policy root, and the three built-in tables.
    Status(InitStatusArgs),
}

/// The options of the `init` commands that build a manifest.
#[derive(Debug, Clone, Args)]
pub struct InitArgs {
    /// Show what would be created; change nothing.
    #[arg(long)]
    pub plan: bool,
    #[command(flatten)]
    pub options: ApplyOptions,
    /// Print the manifest of this command and exit; makes no AWS call.
    #[arg(long, conflicts_with_all = ["write_manifest", "plan"])]
    pub print_manifest: bool,
    /// Write the manifest of this command to a new file and exit; makes no AWS call.
    #[arg(long, value_name = "FILE", conflicts_with = "plan")]
    pub write_manifest: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct TableArgs {
    /// The table's name [default: sentinel-requests, sentinel-breakglass or sentinel-sessions].
    #[arg(long, value_name = "NAME", value_parser = super::table_name)]
    pub table: Option<String>,
    #[command(flatten)]
    pub init: InitArgs,
    /// Print the IAM policy for provisioning and using the table and exit; needs no credentials.
    #[arg(long, conflicts_with_all = ["plan", "print_manifest", "write_manifest"])]
    pub generate_iam: bool,
    #[command(flatten)]
    pub aws: AwsArgs,
}

#[derive(Debug, Args)]
pub struct ApprovalsArgs {
    #[command(flatten)]
    pub table: TableArgs,
}

#[derive(Debug, Args)]
pub struct EventsArgs {
    #[command(flatten)]
    pub table: TableArgs,
}

#[derive(Debug, Args)]
pub struct SessionsArgs {
    #[command(flatten)]
    pub table: TableArgs,
}

#[derive(Debug, Args)]
pub struct BootstrapArgs {
    /// A profile to create a policy for; can be given more than once.
    #[arg(long = "profile", value_name = "NAME", required = true, value_parser = super::profile_name)]
    pub profiles: Vec<String>,
    /// A user who gets access to the profiles: they start with a policy that allows these users and denies everyone else;
    /// can be given more than once. --write-manifest then also writes the policies and their test cases.
    #[arg(long, value_name = "USER", value_parser = super::values::allowed_user)]
    pub allow: Vec<String>,
    #[command(flatten)]
    pub init: InitArgs,
    /// Print the IAM policy for everything selected and exit; needs no credentials.
    #[arg(long, conflicts_with_all = ["plan", "print_manifest", "write_manifest"])]
    pub generate_iam_policies: bool,
    /// Also create the table for approval requests.
    #[arg(long)]
    pub with_approvals: bool,
    /// Also create the table for break-glass events.
    #[arg(long)]
    pub with_breakglass: bool,
    /// Also create the table for server sessions.
    #[arg(long)]
    pub with_sessions: bool,
    /// Also create all three tables.
    #[arg(long)]
    pub all: bool,
    /// Name of the table for approval requests [default: sentinel-requests].
    #[arg(long, value_name = "NAME", value_parser = super::table_name)]
    pub approval_table: Option<String>,
    /// Name of the table for break-glass events [default: sentinel-breakglass].
    #[arg(long, value_name = "NAME", value_parser = super::table_name)]
    pub breakglass_table: Option<String>,
    /// Name of the table for server sessions [default: sentinel-sessions].
    #[arg(long, value_name = "NAME", value_parser = super::table_name)]
    pub session_table: Option<String>,
    #[command(flatten)]
    pub aws: AwsArgs,
    #[command(flatten)]
    pub root: RootArgs,
}

impl BootstrapArgs {
    fn each(&self) -> [(Builtin, bool, Option<&str>); 3] {
        [
            (Builtin::Approvals, self.with_approvals, self.approval_table.as_deref()),
            (Builtin::BreakGlass, self.with_breakglass, self.breakglass_table.as_deref()),
            (Builtin::Sessions, self.with_sessions, self.session_table.as_deref()),
        ]
    }

    /// Returns a table with a name option whose selection option is missing, so that the name would have no effect.
    pub fn named_in_vain(&self) -> Option<Builtin> {
        let in_vain = |(_, with, name): &(Builtin, bool, Option<&str>)| name.is_some() && !with && !self.all;
        self.each().into_iter().find(in_vain).map(|(builtin, ..)| builtin)
    }

    /// Returns the selected tables with their names.
    pub fn tables(&self) -> Vec<(Builtin, Option<&str>)> {
        self.each()
            .into_iter()
            .filter(|(_, with, _)| *with || self.all)
            .map(|(builtin, _, name)| (builtin, name))
            .collect()
    }
}

#[derive(Debug, Args)]
pub struct WizardArgs {
    /// A profile to manage; can be given more than once.
    #[arg(long = "profile", value_name = "NAME", value_parser = super::profile_name)]
    pub profiles: Vec<String>,
    /// Manage no profiles.
    #[arg(long, conflicts_with = "profiles")]
    pub no_profiles: bool,
    /// Write the live policies to files under policies/; true or false.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub bring_policies: Option<bool>,
    /// A user who gets access to the profiles that have no policy yet: writes a policy that allows these users, and its
    /// test cases; can be given more than once.
    #[arg(long, value_name = "USER", value_parser = super::values::allowed_user)]
    pub allow: Vec<String>,
    /// Manage the table for approval requests.
    #[arg(long)]
    pub with_approvals: bool,
    /// Manage the table for break-glass events.
    #[arg(long)]
    pub with_breakglass: bool,
    /// Manage the table for server sessions.
    #[arg(long)]
    pub with_sessions: bool,
    /// Manage all three tables.
    #[arg(long)]
    pub all: bool,
    /// Manage no tables.
    #[arg(long, conflicts_with_all = ["all", "with_approvals", "with_breakglass", "with_sessions"])]
    pub no_tables: bool,
    /// Refuse any account other than that of the credentials; true or false.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub pin_account: Option<bool>,
    /// The output folder for sentinel.toml and policies/; existing files are not changed.
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    pub out: PathBuf,
    /// Do not ask whether to write it.
    #[arg(short, long)]
    pub yes: bool,
    #[command(flatten)]
    pub aws: AwsArgs,
    #[command(flatten)]
    pub root: RootArgs,
}

impl WizardArgs {
    /// Returns the selected tables; `None` if no option selects any.
    pub fn tables(&self) -> Option<Vec<Builtin>> {
        let each = [
            (Builtin::Approvals, self.with_approvals),
            (Builtin::BreakGlass, self.with_breakglass),
            (Builtin::Sessions, self.with_sessions),
        ];
        let wanted: Vec<Builtin> =
            each.into_iter().filter(|(_, with)| *with || self.all).map(|(builtin, _)| builtin).collect();
        (self.no_tables || !wanted.is_empty()).then_some(wanted)
    }
}

#[derive(Debug, Args)]
pub struct InitStatusArgs {
    /// Also check the three tables [default: true if a region is configured].
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub check_tables: Option<bool>,
    #[command(flatten)]
    pub time: TimeArgs,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub aws: AwsArgs,
    #[command(flatten)]
    pub at: TargetArgs,
    #[command(flatten)]
    pub root: RootArgs,
}
