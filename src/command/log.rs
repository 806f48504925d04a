//! Logging on stderr, and the trace file.

use std::io::Write;
use std::path::Path;

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
        std::io::stderr().write_all(escape_json(&String::from_utf8_lossy(line)).as_bytes())?;
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
        std::io::stderr().write_all(format!("{event}{end}").as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
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
