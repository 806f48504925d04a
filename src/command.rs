//! The commands: they connect the command line with the engine.

mod access;
mod apply;
mod baseline;
mod complete;
mod context;
mod deadline;
mod defect;
mod depth;
mod enforced;
mod export;
mod fleet;
mod fmt;
mod gather;
mod iam;
mod import;
mod init;
mod local;
mod log;
mod output;
mod parse;
mod pass;
mod plan;
mod policy;
mod reports;
mod run;
mod saved;
mod status;
mod targets;
mod tools;
mod trace;
mod validate;
mod wizard;

use tokio::runtime::Builder;

use crate::cli::{Color, CommonArgs, Format, LogFormat};
use crate::error::{Error, Exit};
use crate::report::{self, Results, Terminal, json};
use context::Context;
pub use defect::{caught, report_panics};
use parse::Rejected;
use run::{Options, Run, Signals};

/// Parses the command line, runs the command, and returns its exit code.
pub fn main() -> Exit {
    report_panics();
    caught(begin).unwrap_or_else(|error| {
        let json = std::env::args_os().skip(1).take_while(|word| word != "--").any(|word| word == "--json");
        document(
            Terminal::new(Color::Never, if json { Results::Json } else { Results::Text }, LogFormat::Text),
            "",
            &error,
        );
        error.exit()
    })
}

fn begin() -> Exit {
    if complete::answered() {
        return Exit::Done;
    }
    if let Some(result) = access::internal() {
        return result.unwrap_or_else(|error| {
            let common = CommonArgs::default();
            complain(Terminal::new(common.color, results(&common), common.log_format), "exec", &error);
            error.exit()
        });
    }
    match parse::command_line() {
        Ok((command, options)) => perform(run::command(&command), options),
        Err(rejected) => reject(&rejected),
    }
}

/// Returns the format of results that the global options select.
fn results(common: &CommonArgs) -> Results {
    if common.json { Results::Json } else { Results::Text }
}

/// Runs a command, and reports its error.
fn perform(command: &dyn Run, options: Options) -> Exit {
    let common = &options.common;
    let results = if options.output.format == Some(Format::Json) { Results::Json } else { results(common) };
    let terminal = Terminal::new(common.color, results, common.log_format);
    let terminal = if options.progress.quiet { terminal.quiet() } else { terminal };
    defect::report_on(terminal);
    let (name, output) = (options.name.clone(), options.output.clone());
    let ready = log::begin(common, options.service.trace_file.as_deref(), terminal);
    tracing::debug!(version = env!("CARGO_PKG_VERSION"), "sentinel {name}");
    let ready = ready.and_then(|()| depth::guard()).and_then(|()| output::writable(&output));
    ready.and_then(|()| finish(command, options, terminal)).unwrap_or_else(|error| {
        complain(terminal, &name, &error);
        // The error is part of the comment or page too.
        output::failed(terminal, &output, &name, &error);
        error.exit()
    })
}

fn finish(command: &dyn Run, options: Options, terminal: Terminal) -> Result<Exit, Error> {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime
        .map_err(|error| Error::system("the program cannot start", Some("is the machine out of resources?"), error))?;
    // A panic becomes an error, so that there is a JSON document.
    let ended = caught(|| runtime.block_on(run(command, options, terminal)));
    // A prompt may still be reading a line; do not wait for it.
    runtime.shutdown_background();
    ended.and_then(|ended| ended)
}

async fn run(command: &dyn Run, options: Options, terminal: Terminal) -> Result<Exit, Error> {
    let limit = options.time.timeout;
    let context = Context::new(options, terminal);
    match command.signals() {
        Signals::Run => context.listen_for_interrupts(),
        Signals::Command => {}
    }
    if let Some(limit) = limit {
        context.deadline.begin(limit, &context.interrupt);
    }
    let result = command.run(&context).await;
    context.sum_up();
    result
}

/// Reports an invalid command line, or shows the help or version.
fn reject(rejected: &Rejected) -> Exit {
    let Some(error) = rejected.usage() else {
        let _ = rejected.error.print();
        return Exit::Done;
    };
    let wanted = &rejected.wanted;
    let terminal =
        Terminal::new(wanted.color, if wanted.json { Results::Json } else { Results::Text }, wanted.log_format);
    if wanted.log_format == LogFormat::Json {
        let common = CommonArgs { log_format: wanted.log_format, ..CommonArgs::default() };
        // It can fail only with a trace file.
        let _ = log::begin(&common, None, terminal);
        terminal.note(&report::text::error(&error));
    } else {
        // clap's message includes the usage.
        let _ = rejected.error.print();
    }
    document(terminal, &wanted.command, &error);
    error.exit()
}

/// Reports an error as text on stderr and, with `--json`, as a document on stdout.
fn complain(terminal: Terminal, command: &str, error: &Error) {
    // The panic hook has reported it.
    if !matches!(error, Error::Panicked(_)) {
        terminal.note(&report::text::error(error));
    }
    for cause in error.causes() {
        tracing::debug!("caused by: {cause}");
    }
    document(terminal, command, error);
}

/// Prints the JSON document of an error if results are in JSON.
fn document(terminal: Terminal, command: &str, error: &Error) {
    // It consists of texts, so it can always be written.
    if terminal.json() {
        let _ = terminal.either(String::new, || json::error(command, error));
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::run::Running;
    use super::*;
    use crate::cli::Cli;

    struct Panics;

    impl Run for Panics {
        fn signals(&self) -> Signals {
            Signals::Command
        }

        fn run<'a>(&'a self, _: &'a Context) -> Running<'a> {
            Box::pin(async { panic!("{}", String::from("canary-in-a-panic")) })
        }
    }

    #[test]
    fn a_command_that_panics_ends_as_an_internal_error_in_json_too() {
        let definition = Cli::command();
        let matches = definition.clone().try_get_matches_from(["sentinel", "validate", "--json"]).unwrap();
        let options = Options::of(&definition, &matches).unwrap();
        let error = finish(&Panics, options, Terminal::new(Color::Never, Results::Json, LogFormat::Text)).unwrap_err();
        assert_eq!(error.exit(), Exit::Error);
        let document = json::error("validate", &error).unwrap();
        assert_eq!(document["error"]["code"], "E010");
        assert!(document["error"]["hint"].as_str().unwrap().starts_with("this is a bug: report it"), "{document}");
        assert!(!document.to_string().contains("canary"), "{document}");
    }
}
