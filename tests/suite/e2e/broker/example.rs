//! Runs the demonstration in examples/broker, which checks each of its steps.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::world::finish;

#[test]
fn every_step_of_the_demonstration_has_the_documented_result() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/broker/demo");
    let mut command = Command::new(script);
    command.env("SENTINEL", env!("CARGO_BIN_EXE_sentinel"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let run = finish(command.spawn().unwrap()).expect(0);
    assert!(run.stdout.ends_with("\nAll steps succeeded.\n"), "{}", run.stdout);
}
