//! All formatting: text, JSON, Markdown, HTML, diagnostics, progress. All of it is derived from plans and reports.

pub mod access;
pub mod answers;
pub mod applied;
mod contents;
mod detail;
mod escape;
pub mod explained;
pub mod export;
mod faults;
pub mod fmt;
pub mod gates;
mod github;
mod html;
pub mod import;
pub mod json;
mod listed;
mod markdown;
pub mod merge;
pub mod output;
pub mod picture;
pub mod policy;
mod progress;
pub mod schema;
mod sheet;
pub mod status;
pub mod text;
mod total;
pub mod traffic;
pub mod versions;
pub mod week;
mod wrap;

use std::io::{IsTerminal, Write};

use anstyle::{AnsiColor, Style};

use crate::cli::{Color, LogFormat};
use crate::error::Error;

pub use detail::Detail;
pub use escape::{escape, escape_json, escape_lines, guard};
pub use faults::render as render_faults;
pub use progress::LiveProgress;

const GREEN: Style = AnsiColor::Green.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const RED: Style = AnsiColor::Red.on_default();
const CYAN: Style = AnsiColor::Cyan.on_default();
const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();

/// Returns text in a style. The streams remove the escape codes if colors are off.
fn paint(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Returns text without its styles.
pub fn without_color(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

/// Returns a complete output for a file: without colors, and with terminal and workflow commands escaped.
pub fn for_file(text: &str) -> String {
    without_color(&guard(text))
}

/// Returns messages, wrapped at the width of a terminal if there is one.
fn fitted(text: String, width: Option<usize>) -> String {
    match width {
        Some(width) => wrap::messages(&text, width),
        None => text,
    }
}

/// The format of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Results {
    Text,
    Json,
}

/// The two streams a command writes to: results on stdout, everything else on stderr.
#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    color: Color,
    json: bool,
    quiet: bool,
    log: LogFormat,
}

impl Terminal {
    /// Returns a terminal with the user's options.
    pub fn new(color: Color, results: Results, log: LogFormat) -> Self {
        Self { color, json: results == Results::Json, quiet: false, log }
    }

    /// Returns this terminal without the progress display.
    #[must_use]
    pub fn quiet(self) -> Self {
        Self { quiet: true, ..self }
    }

    /// Returns whether results are printed as JSON.
    pub fn json(self) -> bool {
        self.json
    }

    fn choice(self) -> anstream::ColorChoice {
        match self.color {
            Color::Auto => anstream::ColorChoice::Auto,
            Color::Always => anstream::ColorChoice::Always,
            Color::Never => anstream::ColorChoice::Never,
        }
    }

    /// Writes a result. A closed pipe is not an error.
    pub fn result(self, text: &str) {
        self.write(&guard(text));
    }

    /// Writes workflow commands without escaping them. Only annotations may be written in this way.
    pub fn commands(self, text: &str) {
        self.write(text);
    }

    fn write(self, text: &str) {
        let mut stream = anstream::AutoStream::new(std::io::stdout(), self.choice());
        let _ = stream.write_all(text.as_bytes()).and_then(|()| stream.flush());
    }

    /// Writes a message to stderr, through the log if the log is in JSON.
    pub fn note(self, text: &str) {
        if self.log == LogFormat::Json {
            tracing::info!("{}", without_color(text).trim());
            return;
        }
        let width = terminal_size::terminal_size_of(std::io::stderr()).map(|(width, _)| usize::from(width.0));
        let text = fitted(guard(text), width);
        let mut stream = anstream::AutoStream::new(std::io::stderr(), self.choice());
        let _ = stream.write_all(text.as_bytes()).and_then(|()| stream.flush());
    }

    /// Writes a message to stderr without the log, in the format of the log.
    pub fn note_directly(self, text: &str) {
        if self.log == LogFormat::Text {
            self.note(text);
            return;
        }
        let event =
            serde_json::json!({ "level": "ERROR", "message": without_color(text).trim(), "target": "sentinel" });
        let _ = std::io::stderr().write_all(format!("{}\n", escape_json(&event.to_string())).as_bytes());
    }

    /// Writes a result as text, or as JSON with `--json`.
    ///
    /// # Errors
    ///
    /// Fails when the document cannot be written as JSON.
    pub fn either(self, text: impl FnOnce() -> String, json: impl FnOnce() -> json::Document) -> Result<(), Error> {
        match self.json {
            true => self.result(&json::text(&json()?)),
            false => self.result(&text()),
        }
        Ok(())
    }

    /// The same for a script, in which `##[` and `::` are not workflow commands and stay as they are.
    ///
    /// # Errors
    ///
    /// Fails when the document cannot be written as JSON.
    pub fn script(self, text: impl FnOnce() -> String, json: impl FnOnce() -> json::Document) -> Result<(), Error> {
        match self.json {
            true => self.result(&json::text(&json()?)),
            false => self.write(&escape::guard_script(&text())),
        }
        Ok(())
    }

    /// Writes a result that consists of messages, wrapped if stdout is a terminal, or JSON with `--json`.
    ///
    /// # Errors
    ///
    /// Fails when the document cannot be written as JSON.
    pub fn messages(self, text: impl FnOnce() -> String, json: impl FnOnce() -> json::Document) -> Result<(), Error> {
        self.either(|| fitted(text(), self.width()), json)
    }

    /// Returns the number of columns if stdout is a terminal.
    pub fn width(self) -> Option<usize> {
        terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| usize::from(width.0))
    }

    /// Returns whether stderr gets colors.
    pub fn colors_notes(self) -> bool {
        let stream = anstream::AutoStream::new(std::io::stderr(), self.choice());
        stream.current_choice() != anstream::ColorChoice::Never
    }

    /// Returns the progress display for stderr.
    pub fn progress(self) -> LiveProgress {
        LiveProgress::new(self)
    }

    /// Returns whether questions can be asked.
    pub fn can_ask(self) -> bool {
        std::io::stdin().is_terminal() && self.log == LogFormat::Text
    }

    #[expect(clippy::disallowed_methods, reason = "a dumb terminal cannot redraw a line")]
    fn live(self) -> bool {
        let people = !self.quiet && self.log == LogFormat::Text && std::io::stderr().is_terminal();
        people && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
    }
}
