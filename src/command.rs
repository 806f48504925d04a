//! The commands: glue between the command line and the pass.

mod access;
mod apply;
mod complete;
mod context;
mod deadline;
mod depth;
mod iam;
mod import;
mod init;
mod local;
mod log;
mod output;
mod pass;
mod plan;
mod policy;
mod saved;
mod status;
mod tools;
mod trace;
mod validate;
mod wizard;

use std::time::Duration;

use clap::Parser;

use crate::cli::{Cli, Color, Command, Format, InitCommand, LocalCommand, LogFormat, OutputArgs, PolicyCommand};
use crate::error::{Error, Exit};
use crate::report::{self, Terminal, json};
use context::Context;

/// Reads the command line, runs the command, and tells how it ended.
pub fn main() -> Exit {
    if complete::answered() {
        return Exit::Done;
    }
    if let Some(result) = access::internal() {
        return result.unwrap_or_else(|error| {
            complain(Terminal::new(Color::Auto, false, false, LogFormat::Text), "exec", &error);
            error.exit()
        });
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are results; a usage error is an error like any other, and never looks like drift (2).
            let usage = error.use_stderr();
            let _ = error.print();
            return if usage { Exit::Error } else { Exit::Done };
        }
    };
    let output = output(&cli.command).cloned().unwrap_or_default();
    let json = cli.global.json || output.format == Some(Format::Json);
    let terminal = Terminal::new(cli.global.color, json, cli.global.quiet, cli.global.log_format);
    let logging = log::begin(&cli.global, terminal);
    let name = name(&cli.command);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => {
            let result = match logging.and_then(|()| depth::guard()).and_then(|()| output::writable(&output)) {
                Ok(()) => runtime.block_on(run(cli, terminal)),
                Err(error) => Err(error),
            };
            // A prompt nobody answered may still be waiting for a line: it is not waited for.
            runtime.shutdown_background();
            result
        }
        Err(error) => Err(Error::system("the program cannot start", Some("is the machine out of resources?"), error)),
    };
    result.unwrap_or_else(|error| {
        complain(terminal, name, &error);
        // Whoever reads the comment or the page has to learn of it too.
        output::failed(terminal, &output, name, &error);
        error.exit()
    })
}

async fn run(cli: Cli, terminal: Terminal) -> Result<Exit, Error> {
    let context = Context::new(cli.global, terminal);
    let own_signals = match &cli.command {
        Command::Local(_) => true,
        Command::Access(command) => access::gives_way(command),
        _ => false,
    };
    if !own_signals {
        context.listen_for_interrupts();
    }
    if let Some(limit) = time_limit(&cli.command) {
        context.deadline.begin(limit, &context.interrupt);
    }
    let result = Box::pin(dispatch(&context, cli.command)).await;
    context.sum_up();
    result
}

async fn dispatch(context: &Context, command: Command) -> Result<Exit, Error> {
    match command {
        Command::Plan(args) => plan::run(context, &args).await,
        Command::Apply(args) => apply::run(context, &args).await,
        Command::Show(args) => plan::run_show(context, &args),
        Command::Status(args) => status::run(context, &args).await,
        Command::Import(args) => import::run(context, &args).await,
        Command::Iam(args) => iam::run(context, &args).await,
        Command::Validate(args) => validate::run(context, &args),
        Command::Init(InitCommand::Status(args)) => status::run_init(context, &args).await,
        Command::Init(InitCommand::Wizard(args)) => wizard::run(context, &args).await,
        Command::Init(command) => init::run(context, &command).await,
        Command::Policy(PolicyCommand::Test(args)) => policy::test(context, &args),
        Command::Policy(PolicyCommand::Lint(args)) => policy::lint(context, &args),
        Command::Graph(args) => tools::graph(context, &args),
        Command::Explain(args) => tools::explain(context, &args),
        Command::Schema(args) => Ok(tools::schema(context, &args)),
        Command::Completions(args) => tools::completions(context, &args),
        Command::Man(args) => tools::man(context, &args),
        Command::Access(command) => access::run(context, &command).await,
        Command::Local(LocalCommand::Serve(args)) => local::serve(context, &args).await,
    }
}

/// Returns in which formats a command is to show what it has, where it takes any.
fn output(command: &Command) -> Option<&OutputArgs> {
    match command {
        Command::Plan(args) => Some(&args.output),
        Command::Show(args) => Some(&args.output),
        Command::Status(args) => Some(&args.output),
        Command::Init(InitCommand::Status(args)) => Some(&args.output),
        _ => None,
    }
}

/// Returns how long a command may take, where that is limited.
fn time_limit(command: &Command) -> Option<Duration> {
    let time = match command {
        Command::Plan(args) => &args.time,
        Command::Apply(args) => &args.going.time,
        Command::Status(args) => &args.time,
        Command::Import(args) => &args.time,
        Command::Init(InitCommand::Approvals(args) | InitCommand::Breakglass(args) | InitCommand::Sessions(args)) => {
            &args.init.going.time
        }
        Command::Init(InitCommand::Bootstrap(args)) => &args.init.going.time,
        Command::Init(InitCommand::Status(args)) => &args.time,
        _ => return None,
    };
    time.timeout
}

fn name(command: &Command) -> &'static str {
    match command {
        Command::Plan(_) => "plan",
        Command::Apply(_) => "apply",
        Command::Show(_) => "show",
        Command::Status(_) => "status",
        Command::Import(_) => "import",
        Command::Iam(_) => "iam",
        Command::Validate(_) => "validate",
        Command::Init(InitCommand::Approvals(_)) => "init approvals",
        Command::Init(InitCommand::Breakglass(_)) => "init breakglass",
        Command::Init(InitCommand::Sessions(_)) => "init sessions",
        Command::Init(InitCommand::Bootstrap(_)) => "init bootstrap",
        Command::Init(InitCommand::Status(_)) => "init status",
        Command::Init(InitCommand::Wizard(_)) => "init wizard",
        Command::Policy(PolicyCommand::Test(_)) => "policy test",
        Command::Policy(PolicyCommand::Lint(_)) => "policy lint",
        Command::Graph(_) => "graph",
        Command::Explain(_) => "explain",
        Command::Schema(_) => "schema",
        Command::Completions(_) => "completions",
        Command::Man(_) => "man",
        Command::Access(command) => access::name(command),
        Command::Local(LocalCommand::Serve(_)) => "local serve",
    }
}

/// Says what went wrong: for people on stderr, and with `--json` for programs on stdout.
fn complain(terminal: Terminal, command: &str, error: &Error) {
    if let Error::Faults(faults) = error {
        terminal.note(&report::render_faults(faults));
    }
    terminal.note(&report::text::error(error));
    for cause in error.causes() {
        tracing::debug!("caused by: {cause}");
    }
    // An error's document is made of texts only.
    if terminal.json() {
        let _ = terminal.either(String::new, || json::error(command, error));
    }
}
