//! The groups of options that several commands take. A command takes those that its arguments flatten.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};

use super::{address_pattern, broker, consent, duration, policy_root, region, shard, target_pattern, url, values};
use crate::change::Consent;
use crate::kind::AddressPattern;
use crate::manifest::{Shard, TargetPattern};
use crate::resource::Invalid;
use crate::resource::signed_identity::BrokerUrl;

/// The options of every command.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct CommonArgs {
    /// Print one JSON document on stdout instead of text, even if the command fails.
    #[arg(long, global = true)]
    pub json: bool,
    /// Log more on stderr: -v each AWS call, a summary of all calls, and the causes of an error; -vv the log of the AWS
    /// SDK.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// The format of stderr: text, or JSON lines. With json, Sentinel asks no questions, so apply needs --yes.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT")]
    pub log_format: LogFormat,
    /// When to use color; respects NO_COLOR.
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub color: Color,
}

/// The format of stderr.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// When to use color.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

/// The region and the credentials of a command.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "AWS")]
pub struct PlaceArgs {
    /// AWS region; overrides the manifest, AWS_REGION, AWS_DEFAULT_REGION and the AWS profile's region.
    #[arg(long, value_name = "REGION", value_parser = region)]
    pub region: Option<String>,
    /// The profile in ~/.aws/config for Sentinel's own calls, not a profile of the manifest; overrides the manifest and
    /// AWS_PROFILE.
    #[arg(long, value_name = "NAME")]
    pub aws_profile: Option<String>,
}

/// The built-in AWS emulator.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "AWS")]
pub struct LocalArgs {
    /// Use the built-in AWS emulator, with its store in a folder [default: .sentinel beside the manifest]; needs no
    /// account.
    #[arg(long, value_name = "PATH", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub local: Option<OsString>,
}

/// The endpoint of the calls, and their timeline.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "AWS")]
pub struct ServiceArgs {
    /// Send all AWS calls to this address, such as that of an emulator.
    #[arg(long, value_name = "URL", value_parser = url, conflicts_with = "local")]
    pub endpoint_url: Option<String>,
    /// Write a timeline of the run to a file for Perfetto (ui.perfetto.dev) or chrome://tracing.
    #[arg(long, value_name = "FILE")]
    pub trace_file: Option<PathBuf>,
}

/// The options of commands that make AWS calls.
#[derive(Debug, Clone, Default, Args)]
pub struct AwsArgs {
    #[command(flatten)]
    pub place: PlaceArgs,
    #[command(flatten)]
    pub local: LocalArgs,
    #[command(flatten)]
    pub service: ServiceArgs,
}

/// The target of a command that works at a single target.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "AWS")]
pub struct TargetArgs {
    /// Work at this target of the manifest: its account, region and names.
    #[arg(long, value_name = "NAME", value_parser = target_pattern)]
    pub target: Option<TargetPattern>,
}

/// The broker, which decides and has the credentials.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "AWS")]
pub struct BrokerArgs {
    /// Ask the broker at this address instead of AWS, or no broker with `none` [default: SENTINEL_BROKER, or the manifest's].
    #[arg(long, value_name = "URL", value_parser = broker)]
    pub broker: Option<BrokerChoice>,
}

/// The selected broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BrokerChoice {
    NoBroker,
    Broker(BrokerUrl),
}

impl BrokerChoice {
    /// Parses the address of a broker, or `none`.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        if text == "none" { Ok(Self::NoBroker) } else { BrokerUrl::new(text).map(Self::Broker) }
    }

    /// Returns it as on the command line.
    pub fn as_str(&self) -> &str {
        match self {
            Self::NoBroker => "none",
            Self::Broker(url) => url.as_str(),
        }
    }
}

/// The policy root.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "AWS")]
pub struct RootArgs {
    /// The path of the policies in Parameter Store [default: /sentinel/policies].
    #[arg(long, value_name = "PATH", value_parser = policy_root)]
    pub policy_root: Option<String>,
}

/// The option for less output.
#[derive(Debug, Clone, Default, Args)]
pub struct ProgressArgs {
    /// Show no progress on stderr.
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,
}

/// The manifest.
#[derive(Debug, Clone, Args)]
pub struct ManifestArgs {
    /// The manifest, or - for standard input; can be given more than once, and the files are then read as one.
    #[arg(short, long, value_name = "FILE", default_value = "sentinel.toml")]
    pub file: Vec<PathBuf>,
}

impl ManifestArgs {
    /// Returns the options that name these files on a command line.
    pub fn flags(&self) -> Vec<String> {
        self.file.iter().flat_map(|file| [String::from("-f"), file.display().to_string()]).collect()
    }
}

/// The filters: a part of the manifest and of its targets.
#[derive(Debug, Clone, Default, Args)]
pub struct FilterArgs {
    /// Select only addresses that match, such as tables.sessions or 'profiles.*'; can be given more than once.
    #[arg(long, value_name = "ADDRESS", value_parser = address_pattern)]
    pub only: Vec<AddressPattern>,
    /// Exclude addresses that match; can be given more than once.
    #[arg(long, value_name = "ADDRESS", value_parser = address_pattern)]
    pub exclude: Vec<AddressPattern>,
    /// Select only these targets: a name, a section of [targets], or a pattern such as 'prod/*/eu-*'.
    #[arg(long = "target", value_name = "NAME", num_args = 1.., value_parser = target_pattern)]
    pub targets: Vec<TargetPattern>,
    /// Select only part I of N of the selected targets, such as 3/16. A target's name determines its part.
    #[arg(long, value_name = "I/N", value_parser = shard)]
    pub shard: Option<Shard>,
}

/// The time limit of a command.
#[derive(Debug, Clone, Default, Args)]
pub struct TimeArgs {
    /// The maximum duration of the command. No AWS call starts after it, and calls in flight get 10 s more to finish
    /// [default: no limit].
    #[arg(long, value_name = "TIME", value_parser = values::time_limit)]
    pub timeout: Option<Duration>,
}

/// The options that allow a plan more than creation and repair.
#[derive(Debug, Clone, Default, Args)]
pub struct ReachArgs {
    /// Allow destructive changes: index (delete an index), stream (turn off the stream or the Kinesis destination of a
    /// table), subscription (delete a subscription of a topic), replica (delete a replica of a table), capacity (switch
    /// an on-demand table to a capacity that is not in the manifest), prune (delete resources that are not in the
    /// manifest or are marked as removed), table (with prune, also tables), role (with prune, also roles), protection
    /// (turn off deletion protection, point-in-time recovery or the rotation of a key, keep backups for fewer days,
    /// remove a resource policy, replace your own encryption key by an AWS key).
    #[arg(long, value_name = "WHAT", value_delimiter = ',', value_parser = consent)]
    pub allow_destructive: Vec<Consent>,
    /// Delete policies under the policy root, parameters, topics, tables and roles that Sentinel created and that are
    /// not in the manifest.
    #[arg(long)]
    pub prune: bool,
    /// Add the ownership tag to resources of the manifest that someone else created.
    #[arg(long)]
    pub adopt: bool,
}

/// The options of commands that apply changes.
#[derive(Debug, Clone, Args)]
pub struct ApplyOptions {
    /// Do not ask for confirmation; required if there is no terminal.
    #[arg(short, long)]
    pub yes: bool,
    #[command(flatten)]
    pub wait: WaitArgs,
    #[command(flatten)]
    pub time: TimeArgs,
    #[command(flatten)]
    pub progress: ProgressArgs,
}

/// How long an apply waits for tables and their indexes.
#[derive(Debug, Clone, Args)]
pub struct WaitArgs {
    /// How long to wait for a table, or for an index to be built: 90s, 10m, 1h30m.
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = duration)]
    pub wait_timeout: Duration,
    /// Start to build an index, and do not wait for it. Further changes of that table are left for another run.
    #[arg(long, conflicts_with = "wait_timeout")]
    pub no_wait: bool,
}

impl Default for WaitArgs {
    fn default() -> Self {
        Self { wait_timeout: Duration::from_secs(30 * 60), no_wait: false }
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, CommandFactory, FromArgMatches};

    use super::*;
    use crate::cli::Cli;
    use crate::kind::KindId;

    /// Returns the help of an option of `apply`.
    fn help(option: &str) -> String {
        let definition = Cli::command();
        let apply = definition.find_subcommand("apply").unwrap();
        let option = apply.get_arguments().find(|one| one.get_long() == Some(option)).unwrap();
        option.get_help().unwrap().to_string().replace('\n', " ")
    }

    #[test]
    fn the_help_of_allow_destructive_explains_each_word() {
        let help = help("allow-destructive");
        for consent in Consent::ALL {
            assert!(help.contains(&format!(" {} (", consent.word())), "{consent} in {help}");
        }
    }

    #[test]
    fn an_apply_without_options_waits_as_the_help_says() {
        let matches = WaitArgs::augment_args(clap::Command::new("apply")).get_matches_from(["apply"]);
        let given = WaitArgs::from_arg_matches(&matches).unwrap();
        assert_eq!(given.wait_timeout, WaitArgs::default().wait_timeout);
    }

    #[test]
    fn rollback_has_no_options_for_tables() {
        let parsed = |option: &str| {
            let line = ["sentinel", "policy", "rollback", "dev", "--to", "1", option];
            Cli::command().try_get_matches_from(line).map(drop)
        };
        assert!(parsed("--yes").is_ok());
        assert!(parsed("--no-wait").is_err());
        assert!(parsed("--wait-timeout=1m").is_err());
    }

    /// clap applies the heading of a group to all arguments that follow it.
    #[test]
    fn only_the_options_for_aws_are_under_its_heading() {
        fn walk(command: &clap::Command, path: &str, known: &[String], wrong: &mut Vec<String>) {
            let path = format!("{path} {}", command.get_name());
            let strays = command
                .get_arguments()
                .filter(|arg| arg.get_help_heading() == Some("AWS"))
                .filter(|arg| !known.contains(&arg.get_id().to_string()));
            wrong.extend(strays.map(|arg| format!("{path} {}", arg.get_id())));
            command.get_subcommands().for_each(|below| walk(below, &path, known, wrong));
        }
        let group = clap::Command::new("group");
        let group =
            BrokerArgs::augment_args(RootArgs::augment_args(TargetArgs::augment_args(AwsArgs::augment_args(group))));
        let known: Vec<String> = group.get_arguments().map(|arg| arg.get_id().to_string()).collect();
        let mut wrong = Vec::new();
        walk(&Cli::command(), "", &known, &mut wrong);
        assert_eq!(wrong, [""; 0]);
    }

    #[test]
    fn the_help_of_prune_names_each_kind_that_is_deleted() {
        let help = help("prune");
        // A key is never deleted.
        for kind in KindId::ALL.iter().filter(|kind| **kind != KindId::Key) {
            let plural = if *kind == KindId::Policy { "policies" } else { kind.about().section };
            assert!(help.contains(plural), "{plural} in {help}");
        }
    }
}
