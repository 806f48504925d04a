//! Reports panics, which are defects of this program, without any values from memory.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, set_hook};
use std::sync::OnceLock;

use crate::cli::{Color, LogFormat};
use crate::error::Error;
use crate::report::{Results, Terminal, text};

/// The terminal, once the command line is parsed.
static TERMINAL: OnceLock<Terminal> = OnceLock::new();

thread_local! {
    /// The last reported panic of the thread.
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Replaces the panic message of the standard library in all threads, because it shows the payload, which can contain secrets.
pub fn report_panics() {
    set_hook(Box::new(|info| {
        let message = message(info.payload(), info.location());
        let terminal = TERMINAL.get().copied().unwrap_or(Terminal::new(Color::Auto, Results::Text, LogFormat::Text));
        // The log itself may have panicked.
        terminal.note_directly(&text::error(&Error::Panicked(message.clone())));
        let trace = std::backtrace::Backtrace::capture();
        if trace.status() == std::backtrace::BacktraceStatus::Captured {
            terminal.note_directly(&format!("{trace}\n"));
        }
        let _ = LAST.try_with(|last| last.try_borrow_mut().map(|mut last| *last = Some(message)));
    }));
}

/// Sets the terminal for reports of panics.
pub(super) fn report_on(terminal: Terminal) {
    let _ = TERMINAL.set(terminal);
}

/// Calls a function. A panic becomes an error, which has been reported already.
///
/// # Errors
///
/// Fails with the panic.
pub fn caught<T>(run: impl FnOnce() -> T) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|payload| {
        let reported = LAST.try_with(|last| last.try_borrow_mut().ok().and_then(|mut last| last.take()));
        Error::Panicked(reported.ok().flatten().unwrap_or_else(|| message(&*payload, None)))
    })
}

/// Returns the report of a panic. A payload is included only if it is a constant text, since a formatted one can contain a secret.
fn message(payload: &(dyn Any + Send), location: Option<&Location<'_>>) -> String {
    let place = location.map_or(String::new(), |at| format!(" at {}:{}:{}", file(at.file()), at.line(), at.column()));
    match payload.downcast_ref::<&'static str>() {
        Some(text) => format!("a panic{place}: {text}"),
        None => format!("a panic{place}"),
    }
}

/// Returns the name of a source file, without the folder of the build machine for libraries.
fn file(path: &str) -> &str {
    let below = path.split_once("/registry/src/").and_then(|(_, rest)| rest.split_once('/'));
    below.map_or(path, |(_, file)| file)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "canary-in-a-panic";

    #[test]
    fn formatted_payloads_are_not_shown() {
        let here = Location::caller();
        for payload in [Box::new(format!("no {SECRET}")) as Box<dyn Any + Send>, Box::new(vec![SECRET.to_owned()])] {
            let said = message(&*payload, Some(here));
            assert!(!said.contains(SECRET) && said.starts_with("a panic at src/command/defect.rs:"), "{said}");
        }
        let fixed: Box<dyn Any + Send> = Box::new("no such index");
        assert!(message(&*fixed, Some(here)).ends_with(": no such index"));
        assert_eq!(message(&*fixed, None), "a panic: no such index");
    }

    #[test]
    fn caught_panics_become_errors_without_their_payload() {
        let error = caught(|| -> () { std::panic::resume_unwind(Box::new(SECRET.to_owned())) }).unwrap_err();
        assert!(!format!("{error} {error:?} {:?}", error.causes()).contains(SECRET), "{error:?}");
        assert_eq!((error.code().to_string(), error.exit()), (String::from("E010"), crate::error::Exit::Error));
        assert_eq!(caught(|| 1).unwrap(), 1);
    }

    #[test]
    fn library_paths_omit_the_build_folder() {
        let built = "/home/someone/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/tokio-1.0.0/src/lib.rs";
        assert_eq!(file(built), "tokio-1.0.0/src/lib.rs");
        assert_eq!(file("src/kind.rs"), "src/kind.rs");
    }
}
