//! Runs what is in examples/broker: the demonstration, which checks each of its steps, and the commands of the compose file.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::world::{World, finish};

#[test]
fn every_step_of_the_demonstration_has_the_documented_result() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/broker/demo");
    let mut command = Command::new(script);
    command.env("SENTINEL", env!("CARGO_BIN_EXE_sentinel"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let run = finish(command.spawn().unwrap()).expect(0);
    assert!(run.stdout.ends_with("\nAll steps succeeded.\n"), "{}", run.stdout);
}

#[test]
fn the_commands_of_the_compose_file_are_valid() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/broker/compose.yaml");
    let compose: Value = serde_saphyr::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let world = World::quick();
    let args = |service: &str| -> Vec<String> {
        let command = compose["services"][service]["command"].as_array().unwrap();
        command.iter().map(|arg| arg.as_str().unwrap().replace("http://127.0.0.1:4566", world.url())).collect()
    };
    for service in ["aws", "provision", "broker"] {
        let args = args(service);
        // After an unknown option, `--help` would not help.
        let args: Vec<&str> = args.iter().map(String::as_str).chain(["--help"]).collect();
        world.run(&args).expect(0);
    }
    let mut curl = Command::new("curl");
    curl.args(args("provider")).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let run = finish(curl.spawn().unwrap()).expect(0);
    assert!(run.stdout.contains("<OpenIDConnectProviderArn>"), "{}", run.stdout);
}
