//! The `sentinel` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    sentinel::command::main().into()
}
