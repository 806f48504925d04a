//! The types of the command line.

mod access;
mod answers;
mod broker;
mod early;
mod export;
mod groups;
mod init;
mod output;
mod policy;
mod sessions;
mod tools;
mod trust;
mod values;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::change::Consent;
use crate::kind::import::Named;
use crate::kind::{AddressPattern, KindId, policy_parameter, table};
use crate::manifest::{Shard, TargetPattern};
use crate::resource::Invalid;
use crate::review::fail_on::Check;

pub use access::*;
pub use answers::*;
pub use broker::*;
pub use early::command_first;
pub use export::*;
pub use groups::*;
pub use init::*;
pub use output::*;
pub use policy::*;
pub use sessions::*;
pub use tools::*;
pub use trust::*;

const ABOUT: &str =
    "Manages access policies, tables, keys, topics, parameters and roles in AWS, as described in sentinel.toml";

const LONG_ABOUT: &str = "\
Manages access policies, tables, keys, topics, parameters and roles in AWS, as described in sentinel.toml.

A manifest lists profiles (each one policy document in SSM Parameter Store), DynamoDB tables, KMS keys, SNS topics, SSM \
parameters and IAM roles. Sentinel reads AWS, shows how it differs from the manifest (+ create, = in sync, ~ drift, - delete, ? unknown), and \
`apply` makes the changes. There is no state file, and you can run every command again.";

const AFTER_HELP: &str = "\
First steps, without an AWS account:
  sentinel init bootstrap --profile dev --allow local --all --region us-east-1 --local
  sentinel exec --profile dev --region us-east-1 --local -- env

In a project:
  sentinel init wizard              ask what to manage, and write sentinel.toml
  sentinel validate                 check the manifest and its policies
  sentinel plan                     show the differences; change nothing
  sentinel apply                    show the plan, ask, apply the changes
  sentinel plan --out p.json        save the plan
  sentinel apply p.json             make exactly its changes, or none

After that:
  sentinel exec --profile dev -- aws s3 ls
  sentinel request --profile prod --justification \"Deploy the hotfix\"

Every command accepts the global options. The commands that use AWS accept the AWS options, or some of them. All of \
these can come before the command:
  sentinel --region us-east-1 plan

Exit codes:
  0 success, 1 error, 4 refused, 5 partly done, 130 interrupted
  with --detailed-exitcode: 2 there are changes, 3 something could not be read
  trust check: 2 there are findings, 3 something could not be read
  exec: the exit code of the command; 126 or 127 if it could not be started

This is not HashiCorp Sentinel.";

/// The version, with a description that distinguishes this program from others named sentinel.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (access policies and DynamoDB tables on AWS)");

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "sentinel", version = VERSION, about = ABOUT, long_about = LONG_ABOUT, after_help = AFTER_HELP)]
#[command(max_term_width = 100, propagate_version = true)]
pub struct Cli {
    #[command(flatten)]
    pub common: CommonArgs,
    /// For the help only: `command_first` moves these options after the command, which may take them.
    #[command(flatten)]
    pub aws: AwsArgs,
    #[command(flatten)]
    pub root: RootArgs,
    #[command(subcommand)]
    pub command: Command,
}

/// A command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show how AWS differs from the manifest; change nothing.
    ///
    /// Reads only what the manifest manages, and prints the difference: + to create, = in sync, ~ drift, - to delete, ?
    /// could not be read. Makes only read-only calls. --out saves the plan. `sentinel apply FILE` then makes exactly
    /// the saved changes, or none if the resources have changed since.
    Plan(PlanArgs),
    /// Show the plan, ask once, then apply the changes.
    ///
    /// Applies a resource after those that it refers to, and other resources in parallel. Creates each table with all
    /// its indexes, then turns on TTL and point-in-time recovery. Repairs drift step by step. Refuses a change that
    /// loses data or protection unless --allow-destructive names it. At the end, reads AWS again to verify that it is
    /// in sync. You can always run it again.
    Apply(ApplyArgs),
    /// Show a saved plan.
    Show(ShowArgs),
    /// Show the live state of the manifest's resources, and how they differ.
    Status(StatusArgs),
    /// Write a manifest and policy files from live resources.
    ///
    /// Reads every policy under the policy root, the tables with a built-in name, and parameters, keys, topics and
    /// roles with the ownership tag. Writes sentinel.toml and policies/ into a folder. Omits and lists settings that a
    /// manifest cannot express. A plan of the result has no changes. Never overwrites a file.
    Import(ImportArgs),
    /// Print the IAM policy for a purpose: plan, apply, a kind of user, the broker, or trust check.
    ///
    /// Without --for, prints the policy for apply. It allows, on exact ARNs, every call that reading the manifest's
    /// resources, and repairing any drift of them, can need. Makes no AWS call, so targets that the manifest takes from
    /// an organization must be named with --target. Prints several policies, in a list, if one exceeds the 6,144
    /// characters of a managed policy. The policies for requester, approver, operator and server differ in which
    /// records they let their users write, by the records' keys.
    Iam(IamArgs),
    /// Export the manifest to CloudFormation or Terraform.
    ///
    /// Uses only the manifest, unless --live is given.
    #[command(subcommand)]
    Export(ExportCommand),
    /// Check the manifest and its policies, offline.
    ///
    /// Shows all errors of the manifest, its policies and their test cases at once, with their lines. Makes no AWS
    /// call.
    Validate(ValidateArgs),
    /// Create policies and tables without a manifest, or show what exists.
    ///
    /// approvals, breakglass, sessions and bootstrap build a manifest in memory and run the same steps as apply, but
    /// only create resources: they show existing resources that differ, and do not change them. --write-manifest writes
    /// the manifest to a file that you can commit.
    #[command(subcommand)]
    Init(InitCommand),
    /// Test and lint policies offline; show, compare and roll back the versions in AWS.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Check whether AWS itself enforces access, or only Sentinel does.
    #[command(subcommand)]
    Trust(TrustCommand),
    #[command(flatten)]
    Access(AccessCommand),
    /// Run the server that decides about access and alone may assume the roles.
    ///
    /// Only the broker needs permissions on the roles of the profiles, the policies and the tables. Each user proves who
    /// they are with a signed request to STS. [broker] in the manifest lists the users and their rights. Stops at SIGTERM
    /// or Ctrl-C, after the requests in progress are answered.
    Broker(ServeBrokerArgs),
    /// Serve the built-in AWS emulator (see --local) to other programs.
    #[command(subcommand)]
    Local(LocalCommand),
    /// Combine the reports of several runs.
    #[command(subcommand)]
    Report(ReportCommand),
    /// Format the manifest and its policies.
    ///
    /// Changes only spaces, blank lines, quotes, and the lines of lists that are on several: order, comments and values
    /// stay. A list stays on one line or on several, as it is written. If a file has an error, writes nothing. Lists the
    /// files that it changes.
    Fmt(FmtArgs),
    /// Draw the resources of the manifest and their references.
    Graph(GraphArgs),
    /// Explain an error or lint code, and its fix.
    Explain(ExplainArgs),
    /// Print a JSON Schema of sentinel.toml (for an editor) or of a plan (for a program).
    Schema(SchemaArgs),
    /// Print a script that completes commands, options, and the manifest's profiles, tables and addresses.
    ///
    /// In ~/.bashrc: source <(sentinel completions bash). In ~/.zshrc: source <(sentinel completions zsh). In
    /// ~/.config/fish/config.fish: sentinel completions fish | source.
    Completions(CompletionsArgs),
    /// Write manual pages, one for each command.
    Man(ManArgs),
}

#[derive(Debug, Args)]
pub struct PlanArgs {
    #[command(flatten)]
    pub manifest: ManifestArgs,
    #[command(flatten)]
    pub filter: FilterArgs,
    #[command(flatten)]
    pub reach: ReachArgs,
    /// Save the plan to a file, for `sentinel apply FILE`; replaces an older plan.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Exit with 2 if there are changes, and with 3 if something could not be read.
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// Exit with 1 if the plan has one of these findings, even with --detailed-exitcode: cases (a test case of a policy
    /// fails), refused (apply refuses a difference), incomplete (something could not be read), widened (a policy gives
    /// more access than before), lint (a lint finds something in a policy that the plan writes).
    #[arg(long, value_name = "WHAT", value_delimiter = ',', value_parser = values::check)]
    pub fail_on: Vec<Check>,
    /// Show how the content of a policy of type `SecureString` differs, on the terminal only; never shows values of
    /// parameters. Conflicts with options that write a file or a document.
    #[arg(long, conflicts_with_all = ["out", "json", "format", "out_text", "out_json", "out_markdown", "out_html", "out_github"])]
    pub show_secrets: bool,
    #[command(flatten)]
    pub time: TimeArgs,
    #[command(flatten)]
    pub detail: DetailArgs,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub aws: AwsArgs,
    #[command(flatten)]
    pub root: RootArgs,
}

#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// A plan saved by `sentinel plan --out`: makes exactly the saved changes, or none if the resources have changed.
    #[arg(value_name = "PLANFILE", conflicts_with_all = ["only", "exclude", "targets", "shard", "prune", "adopt"])]
    pub plan_file: Option<PathBuf>,
    /// The manifest; with PLANFILE, the manifest that the plan must match [default: sentinel.toml; with PLANFILE, the
    /// one that the plan names, if it is below the current folder].
    #[arg(short, long, value_name = "FILE")]
    pub file: Vec<PathBuf>,
    /// Apply PLANFILE without a manifest, with the plan's account, region, role and AWS profile.
    #[arg(long, requires = "plan_file", conflicts_with = "file")]
    pub detached: bool,
    #[command(flatten)]
    pub filter: FilterArgs,
    #[command(flatten)]
    pub reach: ReachArgs,
    /// Apply the plan even if it changes or deletes more than 30% of ten or more existing resources.
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub options: ApplyOptions,
    #[command(flatten)]
    pub aws: AwsArgs,
    #[command(flatten)]
    pub root: RootArgs,
}

#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The saved plan.
    #[arg(value_name = "PLANFILE")]
    pub plan_file: PathBuf,
    #[command(flatten)]
    pub detail: DetailArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    pub manifest: ManifestArgs,
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Exit with 2 if there are changes, and with 3 if something could not be read.
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// Like --detailed-exitcode, but also print whether everything is in sync, and fail if the manifest has no
    /// resources or --shard selects no target.
    #[arg(long)]
    pub expect_in_sync: bool,
    /// Compare the set of drifted resources with the fingerprint in this file, report whether it changed, and write the
    /// new one.
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    #[command(flatten)]
    pub time: TimeArgs,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub aws: AwsArgs,
    #[command(flatten)]
    pub root: RootArgs,
}

#[derive(Debug, Args)]
pub struct ValidateArgs {
    #[command(flatten)]
    pub manifest: ManifestArgs,
    #[command(flatten)]
    pub root: RootArgs,
}

#[derive(Debug, Args)]
pub struct ImportArgs {
    /// A table to import, by its name in AWS; can be given more than once [default: existing tables with one of the
    /// three built-in names].
    #[arg(long = "table", value_name = "NAME", num_args = 1.., value_parser = table_name)]
    pub tables: Vec<String>,
    /// Import every table of the region.
    #[arg(long, conflicts_with = "tables")]
    pub all_tables: bool,
    /// A resource to import, by its section and its name in AWS, such as tables=orders or keys=alias/records; can be
    /// given more than once. If any resource of a section is named, no others of that section are imported.
    #[arg(long = "resource", value_name = "SECTION=NAME", num_args = 1.., value_parser = named_resource)]
    pub resources: Vec<Named>,
    /// The output folder; created if it does not exist.
    #[arg(short, long, value_name = "DIR")]
    pub out: PathBuf,
    #[command(flatten)]
    pub time: TimeArgs,
    #[command(flatten)]
    pub aws: AwsArgs,
    #[command(flatten)]
    pub root: RootArgs,
}

#[derive(Debug, Args)]
pub struct IamArgs {
    #[command(flatten)]
    pub manifest: ManifestArgs,
    #[command(flatten)]
    pub filter: FilterArgs,
    /// The purpose of the policy.
    #[arg(long = "for", value_name = "WHAT", value_enum, default_value_t = Purpose::Apply)]
    pub purpose: Purpose,
    /// Include the permissions for --prune.
    #[arg(long)]
    pub prune: bool,
    /// Include the permissions for --adopt.
    #[arg(long)]
    pub adopt: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
    #[command(flatten)]
    pub root: RootArgs,
}

/// The purpose of an IAM policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Purpose {
    /// `sentinel plan` and `sentinel status`.
    Plan,
    /// `sentinel apply`.
    Apply,
    /// Users who request and use access; can write only requests.
    Requester,
    /// Users who approve, deny and revoke requests.
    Approver,
    /// Users who use break-glass, revoke, and lock users.
    Operator,
    /// Users who run a credential server.
    Server,
    /// `sentinel broker`, on behalf of all users; also assumes the roles of the profiles.
    Broker,
    /// `sentinel trust check`.
    TrustCheck,
    /// The policies for requester, approver, operator and server, one each.
    Runtime,
}

#[derive(Debug, Subcommand)]
pub enum LocalCommand {
    /// Serve the AWS emulator over HTTP on loopback, for the AWS CLI, boto3 and Terraform.
    ///
    /// Serves the same store as --local; both can use it at the same time. Point clients at it with AWS_ENDPOINT_URL
    /// and any credentials. Press Ctrl-C to stop.
    ///
    /// Users under [local.users] in the manifest have only the permissions of their policies.
    Serve(ServeArgs),
}

#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The manifest with the [local.users] [default: the nearest sentinel.toml in this folder or above it, if there is
    /// one].
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// The port on 127.0.0.1; 0 selects a free one and prints it.
    #[arg(long, value_name = "N", default_value_t = 4566)]
    pub port: u16,
    /// Append each request and the status of its answer to this file, as JSON lines.
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    #[command(flatten)]
    pub local: LocalArgs,
}

fn checked(value: &str, rule: impl FnOnce(&str) -> Result<(), Invalid>) -> Result<String, String> {
    rule(value).map(|()| value.to_owned()).map_err(|invalid| invalid.to_string())
}

fn region(value: &str) -> Result<String, String> {
    checked(value, crate::manifest::check_region)
}

fn policy_root(value: &str) -> Result<String, String> {
    // A path with a slash at its end is the same path.
    let trimmed = if value.len() > 1 { value.strip_suffix('/').unwrap_or(value) } else { value };
    checked(trimmed, policy_parameter::check_root)
}

fn consent(value: &str) -> Result<Consent, String> {
    value.parse().map_err(|_| {
        let words: Vec<&str> = Consent::ALL.iter().map(|consent| consent.word()).collect();
        format!("valid values are: {}", words.join(", "))
    })
}

fn address_pattern(value: &str) -> Result<AddressPattern, String> {
    value.parse().map_err(|invalid: Invalid| invalid.to_string())
}

fn target_pattern(value: &str) -> Result<TargetPattern, String> {
    value.parse().map_err(|invalid: Invalid| invalid.to_string())
}

fn shard(value: &str) -> Result<Shard, String> {
    value.parse().map_err(|invalid: Invalid| invalid.to_string())
}

fn broker(value: &str) -> Result<BrokerChoice, String> {
    BrokerChoice::new(value).map_err(|invalid| invalid.to_string())
}

fn url(value: &str) -> Result<String, String> {
    let rest = value.strip_prefix("http://").or_else(|| value.strip_prefix("https://"));
    match rest {
        Some(host) if !host.is_empty() => Ok(value.to_owned()),
        _ => Err(String::from("write an address such as http://127.0.0.1:4566")),
    }
}

fn table_name(value: &str) -> Result<String, String> {
    checked(value, table::check_name)
}

/// Parses `SECTION=NAME`.
fn named_resource(value: &str) -> Result<Named, String> {
    let sections: Vec<&str> = KindId::ALL.iter().map(|kind| kind.section()).collect();
    let expected = || format!("write SECTION=NAME, where SECTION is one of: {}", sections.join(", "));
    let (section, name) = value.split_once('=').ok_or_else(expected)?;
    let kind = KindId::ALL.iter().copied().find(|kind| kind.section() == section).ok_or_else(expected)?;
    let name = checked(name, |name| kind.check_name(name))?;
    Ok(Named { kind, name })
}

fn profile_name(value: &str) -> Result<String, String> {
    checked(value, policy_parameter::check_profile)
}

/// Parses a duration: units as in `90s`, `10m` or `1h30m`, ISO 8601, or a number of seconds.
fn duration(value: &str) -> Result<Duration, String> {
    let bare = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let parsed = if bare { format!("{value}s").parse() } else { value.parse::<jiff::SignedDuration>() };
    let whole = parsed.ok().filter(|time| time.subsec_nanos() == 0);
    let time = whole.and_then(|time| Duration::try_from(time).ok());
    time.ok_or_else(|| String::from("write a time in whole seconds, such as 90s, 10m or 1h30m"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn times_are_read() {
        for (text, seconds) in [
            ("90s", 90),
            ("90", 90),
            ("0s", 0),
            ("10m", 600),
            ("1h", 3600),
            ("1h30m", 5400),
            ("1h 30m", 5400),
            ("1.5h", 5400),
            ("2 hours, 5 minutes", 7500),
            ("PT1H30M", 5400),
            ("10000h", 36_000_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for bad in ["", "m", "1d", "1w", "-1s", "1m ago", "100ms", "1.5s", "1h90", "9s9s", "99999999999999999999h", "x"]
        {
            assert!(duration(bad).is_err(), "{bad} passed");
        }
    }
}
