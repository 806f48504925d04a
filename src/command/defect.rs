//! What is said of a panic, which is a defect of this program: that it happened and where, and nothing of what the program held.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, set_hook};
use std::sync::OnceLock;

use crate::cli::{Color, LogFormat};
use crate::error::Error;
use crate::report::{Results, Terminal, text};

/// How stderr is written, once the command line is read.
static TERMINAL: OnceLock<Terminal> = OnceLock::new();

thread_local! {
    /// The last panic of the thread, as it was reported.
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Reports each panic from now on, in any thread, in place of the words of the standard library: these show the payload, which can be
/// made of anything that the program holds.
pub fn report_panics() {
    set_hook(Box::new(|info| {
        let message = message(info.payload(), info.location());
        let terminal = TERMINAL.get().copied().unwrap_or(Terminal::new(Color::Auto, Results::Text, LogFormat::Text));
        // What the log is written by may be what panicked.
        terminal.note_directly(&text::error(&Error::Panicked(message.clone())));
        let trace = std::backtrace::Backtrace::capture();
        if trace.status() == std::backtrace::BacktraceStatus::Captured {
            terminal.note_directly(&format!("{trace}\n"));
        }
        let _ = LAST.try_with(|last| last.try_borrow_mut().map(|mut last| *last = Some(message)));
    }));
}

/// Reports panics the way that the command line asks for.
pub(super) fn report_on(terminal: Terminal) {
    let _ = TERMINAL.set(terminal);
}

/// Returns what a function returns. A panic is an error like any other, and has been reported.
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

/// Returns what is said of a panic. A payload is shown only where it is a text of the program itself: one that was put together may
/// hold a value.
fn message(payload: &(dyn Any + Send), location: Option<&Location<'_>>) -> String {
    let place = location.map_or(String::new(), |at| format!(" at {}:{}:{}", file(at.file()), at.line(), at.column()));
    match payload.downcast_ref::<&'static str>() {
        Some(words) => format!("a panic{place}: {words}"),
        None => format!("a panic{place}"),
    }
}

/// Returns the name of a source file; that of a library without the folder of the machine that it was built on.
fn file(path: &str) -> &str {
    let below = path.split_once("/registry/src/").and_then(|(_, rest)| rest.split_once('/'));
    below.map_or(path, |(_, file)| file)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "canary-in-a-panic";

    #[test]
    fn a_payload_that_was_put_together_is_not_shown() {
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
    fn a_panic_that_was_caught_is_an_error_without_its_payload() {
        let error = caught(|| -> () { std::panic::resume_unwind(Box::new(SECRET.to_owned())) }).unwrap_err();
        assert!(!format!("{error} {error:?} {:?}", error.causes()).contains(SECRET), "{error:?}");
        assert_eq!((error.code().to_string(), error.exit()), (String::from("E010"), crate::error::Exit::Error));
        assert_eq!(caught(|| 1).unwrap(), 1);
    }

    #[test]
    fn a_library_is_named_without_the_folder_it_was_built_in() {
        let built = "/home/someone/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/tokio-1.0.0/src/lib.rs";
        assert_eq!(file(built), "tokio-1.0.0/src/lib.rs");
        assert_eq!(file("src/kind.rs"), "src/kind.rs");
    }
}
