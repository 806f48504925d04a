//! The trait of commands, which the types of their arguments implement.
//!
//! A command accepts the groups of shared options that its arguments flatten. [`Options`] reads them from clap's matches for that
//! command.

use clap::{ArgMatches, Args, Command as Definition, FromArgMatches};
use futures_util::future::LocalBoxFuture;

use super::context::Context;
use super::{
    access, apply, export, fmt, iam, import, init, local, plan, policy, reports, status, tools, validate, wizard,
};
use crate::cli::{
    AccessCommand, AnswersCommand, BrokerArgs, Command, CommonArgs, ExportCommand, InitCommand, LocalArgs,
    LocalCommand, OutputArgs, PlaceArgs, PolicyCommand, ProgressArgs, ReportCommand, ReportMergeArgs, RootArgs,
    ServiceArgs, ShellCommand, TargetArgs, TimeArgs, TrustCommand,
};
use crate::cli::{
    ApplyArgs, ApprovalsArgs, ApproveArgs, BootstrapArgs, BreakglassArgs, BreakglassCloseArgs, BreakglassIdArgs,
    BreakglassListArgs, CanArgs, CancelArgs, CheckArgs, CloudFormationArgs, CompletionsArgs, CredentialsArgs, DenyArgs,
    EventsArgs, ExecArgs, ExplainArgs, FmtArgs, GraphArgs, IamArgs, ImportArgs, InitStatusArgs, ListArgs, LockArgs,
    LocksArgs, ManArgs, PlanArgs, PolicyDiffArgs, PolicyHistoryArgs, PolicyLintArgs, PolicyRollbackArgs,
    PolicyShowArgs, PolicyTestArgs, RequestArgs, RevokeArgs, SchemaArgs, ServeArgs, ServeBrokerArgs, SessionIdArgs,
    SessionListArgs, SessionRevokeArgs, SessionsArgs, ShellInitArgs, ShowArgs, StatusArgs, TerraformArgs,
    TrustCheckArgs, UnlockArgs, ValidateArgs, WhoArgs, WizardArgs,
};
use crate::error::{Error, Exit};

/// The receiver of the program's signals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signals {
    /// The run, which ends after the current step.
    Run,
    /// The command itself, or the program that it starts.
    Command,
}

/// The future of a command.
pub(super) type Running<'a> = LocalBoxFuture<'a, Result<Exit, Error>>;

/// A command.
pub(super) trait Run {
    /// Returns the receiver of the signals.
    fn signals(&self) -> Signals;

    /// Runs the command.
    fn run<'a>(&'a self, context: &'a Context) -> Running<'a>;
}

/// Implements the trait: the receiver of the signals, and the future that does the work.
macro_rules! commands {
    ($($args:ident: $signals:ident, |$given:ident, $context:ident| $work:expr;)*) => {$(
        impl Run for $args {
            fn signals(&self) -> Signals {
                Signals::$signals
            }

            fn run<'a>(&'a self, $context: &'a Context) -> Running<'a> {
                let $given = self;
                Box::pin(async move { $work })
            }
        }
    )*};
}

commands! {
    PlanArgs: Run, |args, context| plan::run(context, args).await;
    ApplyArgs: Run, |args, context| apply::run(context, args).await;
    ShowArgs: Run, |args, context| plan::run_show(context, args);
    StatusArgs: Run, |args, context| status::run(context, args).await;
    ImportArgs: Run, |args, context| import::run(context, args).await;
    IamArgs: Run, |args, context| iam::run(context, args).await;
    CloudFormationArgs: Run, |args, context| export::cloudformation(context, args).await;
    TerraformArgs: Run, |args, context| export::terraform(context, args).await;
    ValidateArgs: Run, |args, context| validate::run(context, &args.manifest);
    ApprovalsArgs: Run, |args, context| init::approvals(context, &args.table).await;
    EventsArgs: Run, |args, context| init::breakglass(context, &args.table).await;
    SessionsArgs: Run, |args, context| init::sessions(context, &args.table).await;
    BootstrapArgs: Run, |args, context| init::bootstrap(context, args).await;
    InitStatusArgs: Run, |args, context| status::run_init(context, args).await;
    WizardArgs: Run, |args, context| wizard::run(context, args).await;
    PolicyTestArgs: Run, |args, context| policy::test(context, args);
    PolicyLintArgs: Run, |args, context| policy::lint(context, args);
    PolicyShowArgs: Run, |args, context| context.reading(access::versions::show(context, args)).await;
    PolicyHistoryArgs: Run, |args, context| context.reading(access::versions::history(context, args)).await;
    PolicyDiffArgs: Run, |args, context| context.reading(access::versions::diff(context, args)).await;
    PolicyRollbackArgs: Run, |args, context| Box::pin(access::versions::rollback(context, args)).await;
    WhoArgs: Run, |args, context| context.reading(access::answers::who(context, args)).await;
    CanArgs: Run, |args, context| context.reading(access::answers::can(context, args)).await;
    ReportMergeArgs: Run, |args, context| reports::run(context, args);
    FmtArgs: Run, |args, context| fmt::run(context, args);
    GraphArgs: Run, |args, context| tools::graph(context, args);
    ExplainArgs: Run, |args, context| tools::explain(context, args);
    SchemaArgs: Run, |args, context| Ok(tools::schema(context, args));
    CompletionsArgs: Run, |args, context| tools::completions(context, args);
    ManArgs: Run, |args, context| tools::man(context, args);
    ServeArgs: Command, |args, context| local::serve(context, args).await;
    ServeBrokerArgs: Command, |args, context| access::broker::run(context, args).await;
    ExecArgs: Command, |args, context| Box::pin(access::exec::run(context, args)).await;
    CredentialsArgs: Run, |args, context| context.reading(Box::pin(access::exec::credentials(context, args))).await;
    RequestArgs: Run, |args, context| context.reading(access::requests::create(context, args)).await;
    ListArgs: Run, |args, context| context.reading(access::requests::list(context, args)).await;
    CheckArgs: Run, |args, context| context.reading(access::requests::check(context, &args.request)).await;
    ApproveArgs: Run, |args, context| context.reading(access::requests::approve(context, &args.answer)).await;
    DenyArgs: Run, |args, context| context.reading(access::requests::deny(context, &args.answer)).await;
    CancelArgs: Run, |args, context| context.reading(access::requests::cancel(context, &args.request)).await;
    RevokeArgs: Run, |args, context| context.reading(access::requests::revoke(context, args)).await;
    LockArgs: Run, |args, context| context.reading(access::locks::lock(context, args)).await;
    UnlockArgs: Run, |args, context| context.reading(access::locks::unlock(context, args)).await;
    LocksArgs: Run, |args, context| context.reading(access::locks::list(context, args)).await;
    BreakglassArgs: Run, |args, context| context.reading(Box::pin(access::breakglass::open(context, args))).await;
    BreakglassListArgs: Run, |args, context| context.reading(access::breakglass::list(context, args)).await;
    BreakglassIdArgs: Run, |args, context| context.reading(access::breakglass::check(context, args)).await;
    BreakglassCloseArgs: Run, |args, context| context.reading(access::breakglass::close(context, args)).await;
    SessionListArgs: Run, |args, context| context.reading(access::sessions::list(context, args)).await;
    SessionIdArgs: Run, |args, context| context.reading(access::sessions::check(context, args)).await;
    SessionRevokeArgs: Run, |args, context| context.reading(access::sessions::revoke(context, args)).await;
    TrustCheckArgs: Run, |args, context| context.reading(Box::pin(access::enforcement::check(context, args))).await;
    ShellInitArgs: Run, |args, context| access::shell::init(context, args).await;
}

/// Returns the arguments of a command as the trait.
pub(super) fn command(given: &Command) -> &dyn Run {
    match given {
        Command::Plan(args) => args,
        Command::Apply(args) => args,
        Command::Show(args) => args,
        Command::Status(args) => args,
        Command::Import(args) => args,
        Command::Iam(args) => args,
        Command::Export(ExportCommand::Cloudformation(args)) => args,
        Command::Export(ExportCommand::Terraform(args)) => args,
        Command::Validate(args) => args,
        Command::Init(InitCommand::Approvals(args)) => args,
        Command::Init(InitCommand::Breakglass(args)) => args,
        Command::Init(InitCommand::Sessions(args)) => args,
        Command::Init(InitCommand::Bootstrap(args)) => args,
        Command::Init(InitCommand::Wizard(args)) => args,
        Command::Init(InitCommand::Status(args)) => args,
        Command::Policy(PolicyCommand::Test(args)) => args,
        Command::Policy(PolicyCommand::Lint(args)) => args,
        Command::Policy(PolicyCommand::Show(args)) => args,
        Command::Policy(PolicyCommand::History(args)) => args,
        Command::Policy(PolicyCommand::Diff(args)) => args,
        Command::Policy(PolicyCommand::Rollback(args)) => args,
        Command::Access(AccessCommand::Exec(args)) => args,
        Command::Access(AccessCommand::Credentials(args)) => args,
        Command::Access(AccessCommand::Request(args)) => args,
        Command::Access(AccessCommand::List(args)) => args,
        Command::Access(AccessCommand::Check(args)) => args,
        Command::Access(AccessCommand::Approve(args)) => args,
        Command::Access(AccessCommand::Deny(args)) => args,
        Command::Access(AccessCommand::Cancel(args)) => args,
        Command::Access(AccessCommand::Revoke(args)) => args,
        Command::Access(AccessCommand::Lock(args)) => args,
        Command::Access(AccessCommand::Unlock(args)) => args,
        Command::Access(AccessCommand::Locks(args)) => args,
        Command::Access(AccessCommand::Breakglass(args)) => args,
        Command::Access(AccessCommand::BreakglassList(args)) => args,
        Command::Access(AccessCommand::BreakglassCheck(args)) => args,
        Command::Access(AccessCommand::BreakglassClose(args)) => args,
        Command::Access(AccessCommand::ServerSessions(args)) => args,
        Command::Access(AccessCommand::ServerSession(args)) => args,
        Command::Access(AccessCommand::ServerRevoke(args)) => args,
        Command::Access(AccessCommand::Shell(ShellCommand::Init(args))) => args,
        Command::Broker(args) => args,
        Command::Access(AccessCommand::Access(AnswersCommand::Who(args))) => args,
        Command::Access(AccessCommand::Access(AnswersCommand::Can(args))) => args,
        Command::Trust(TrustCommand::Check(args)) => args,
        Command::Local(LocalCommand::Serve(args)) => args,
        Command::Report(ReportCommand::Merge(args)) => args,
        Command::Fmt(args) => args,
        Command::Graph(args) => args,
        Command::Explain(args) => args,
        Command::Schema(args) => args,
        Command::Completions(args) => args,
        Command::Man(args) => args,
    }
}

/// The groups of shared options. A group that the command does not accept is empty.
#[derive(Debug, Clone)]
pub(super) struct Options {
    /// The command's name, such as `init approvals`.
    pub(super) name: String,
    pub(super) common: CommonArgs,
    pub(super) place: PlaceArgs,
    pub(super) local: LocalArgs,
    pub(super) service: ServiceArgs,
    pub(super) root: RootArgs,
    pub(super) at: TargetArgs,
    pub(super) by: BrokerArgs,
    pub(super) progress: ProgressArgs,
    pub(super) time: TimeArgs,
    pub(super) output: OutputArgs,
}

impl Options {
    /// Reads them from the matches of the innermost subcommand.
    pub(super) fn of(definition: &Definition, matches: &ArgMatches) -> Result<Self, clap::Error> {
        let (mut definition, mut matches) = (definition, matches);
        let mut names = Vec::new();
        while let Some((name, below)) = matches.subcommand() {
            names.push(name);
            definition = definition.find_subcommand(name).unwrap_or(definition);
            matches = below;
        }
        Ok(Self {
            name: names.join(" "),
            common: CommonArgs::from_arg_matches(matches)?,
            place: given(definition, matches)?,
            local: given(definition, matches)?,
            service: given(definition, matches)?,
            root: given(definition, matches)?,
            at: given(definition, matches)?,
            by: given(definition, matches)?,
            progress: given(definition, matches)?,
            time: given(definition, matches)?,
            output: given(definition, matches)?,
        })
    }
}

/// Returns a group of options; empty if the command does not accept it.
fn given<T: Args + Default>(definition: &Definition, matches: &ArgMatches) -> Result<T, clap::Error> {
    let group = T::augment_args(Definition::new("group"));
    let takes = |id| definition.get_arguments().any(|own| own.get_id() == id);
    if group.get_arguments().all(|arg| takes(arg.get_id())) { T::from_arg_matches(matches) } else { Ok(T::default()) }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    fn options(line: &str) -> Options {
        let mut definition = Cli::command();
        let words = std::iter::once("sentinel").chain(line.split(' '));
        let matches = definition.try_get_matches_from_mut(words).unwrap();
        Options::of(&definition, &matches).unwrap()
    }

    /// Returns the commands without subcommands, each with its name.
    fn leaves(command: &Definition, name: &str, found: &mut Vec<(String, Definition)>) {
        for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
            let name = format!("{name} {}", below.get_name()).trim_start().to_owned();
            if below.has_subcommands() {
                leaves(below, &name, found);
            } else {
                found.push((name, below.clone()));
            }
        }
    }

    #[test]
    fn options_are_those_of_the_command() {
        let plan = options("plan --region us-east-1 --timeout 5s --json -v");
        assert_eq!(plan.name, "plan");
        assert_eq!(plan.place.region.as_deref(), Some("us-east-1"));
        assert_eq!(plan.time.timeout, Some(std::time::Duration::from_secs(5)));
        assert!(plan.common.json && plan.common.verbose == 1);
        let nested = options("init approvals --aws-profile p -q");
        assert_eq!((nested.name.as_str(), nested.place.aws_profile.as_deref()), ("init approvals", Some("p")));
        assert!(nested.progress.quiet);
        assert_eq!(options("explain").place.region, None);
    }

    /// If a command declared only one option of a group, the group would be read as empty.
    #[test]
    fn a_command_takes_a_group_of_options_whole() {
        fn ids<T: Args>() -> Vec<String> {
            T::augment_args(Definition::new("group")).get_arguments().map(|arg| arg.get_id().to_string()).collect()
        }
        let groups = [
            ids::<PlaceArgs>(),
            ids::<LocalArgs>(),
            ids::<ServiceArgs>(),
            ids::<RootArgs>(),
            ids::<ProgressArgs>(),
            ids::<TimeArgs>(),
        ];
        let mut found = Vec::new();
        leaves(&Cli::command(), "", &mut found);
        assert!(found.len() > 40, "{}", found.len());
        for (name, command) in found {
            for group in &groups {
                let takes = |id: &&String| command.get_arguments().any(|own| own.get_id().as_str() == id.as_str());
                let count = group.iter().filter(takes).count();
                assert!(count == 0 || count == group.len(), "{name} takes {count} of {group:?}");
            }
        }
    }
}
