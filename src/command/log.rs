//! Logging on stderr, and the trace file.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::mpsc::{SyncSender, sync_channel};

use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use super::trace::TraceFile;
use crate::cli::{CommonArgs, LogFormat};
use crate::error::Error;
use crate::report::{Terminal, escape_json, guard};

/// Writes JSON to stderr, with the characters escaped that a terminal interprets: events contain texts of AWS.
struct EscapedJson;

impl Write for EscapedJson {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        emit(escape_json(&String::from_utf8_lossy(line)))?;
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}

/// Writes text to stderr, each event on one line, escaped for terminals and the runners of workflows.
struct EscapedText;

impl Write for EscapedText {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let (event, end) = text.strip_suffix('\n').map_or((&*text, ""), |event| (event, "\n"));
        let event = guard(&event.replace('\n', "\\n"));
        emit(format!("{event}{end}"))?;
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}

/// The maximum number of events that wait for the thread of a server.
const EVENTS: usize = 1024;

/// The queue of the thread that writes the events of a server.
static BACKGROUND: OnceLock<SyncSender<String>> = OnceLock::new();

fn emit(event: String) -> std::io::Result<()> {
    match BACKGROUND.get() {
        None => std::io::stderr().write_all(event.as_bytes()),
        Some(queue) => {
            // While nobody reads stderr, events are lost, so that the server continues.
            let _ = queue.try_send(event);
            Ok(())
        }
    }
}

/// Writes further events in a thread, so that a server does not wait for the reader of stderr. An event is lost if too many wait, or if the
/// program ends.
pub(super) fn write_in_background() -> Result<(), Error> {
    let failed = |error| Error::system("events cannot be written", None, error);
    // The thread must not keep the lock of stderr, which the program may need when it ends.
    let mut stderr = File::from(std::io::stderr().as_fd().try_clone_to_owned().map_err(failed)?);
    let (queue, events) = sync_channel::<String>(EVENTS);
    let write = move || {
        for event in events {
            let _ = stderr.write_all(event.as_bytes());
        }
    };
    std::thread::Builder::new().name(String::from("events")).spawn(write).map_err(failed)?;
    let _ = BACKGROUND.set(queue);
    Ok(())
}

/// Begins logging.
///
/// # Errors
///
/// Fails when the trace file cannot be written. The log works in any case.
pub(super) fn begin(common: &CommonArgs, trace_file: Option<&Path>, terminal: Terminal) -> Result<(), Error> {
    let json = common.log_format == LogFormat::Json;
    let level = match (common.verbose, json) {
        (0, false) => "off,sentinel=warn",
        // With a JSON log, messages such as progress are events too.
        (0, true) => "off,sentinel=info",
        (1, _) => "off,sentinel=debug",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_env("SENTINEL_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let log = if json {
        layer().json().flatten_event(true).with_writer(|| EscapedJson).boxed()
    } else {
        let plain = layer().with_target(false).without_time();
        plain.with_ansi(terminal.colors_notes()).with_writer(|| EscapedText).boxed()
    };
    let (trace, result) = match trace_file {
        None => (None, Ok(())),
        Some(path) => match TraceFile::create(path) {
            Ok(file) => (Some(file.with_filter(Targets::new().with_target("sentinel", tracing::Level::DEBUG))), Ok(())),
            Err(error) => (None, Err(error)),
        },
    };
    tracing_subscriber::registry().with(log.with_filter(filter)).with(trace).init();
    result
}
