//! `fmt`.

use std::process::Stdio;

use super::{MANIFEST, POLICY};
use crate::world::{World, finish};

const UNTIDY: &str =
    "[aws]\nregion='us-east-1' # here\n[profiles.dev]\n\npolicy   = \"policies/dev.yaml\"\n\n\n\n[tables.approvals]\n";
const TIDY: &str =
    "[aws]\nregion = \"us-east-1\" # here\n\n[profiles.dev]\npolicy = \"policies/dev.yaml\"\n\n[tables.approvals]\n";
const UNTIDY_POLICY: &str = "version: '1'\nrules:\n- name: all   # everyone\n  effect: deny\n";
const TIDY_POLICY: &str = "version: \"1\"\nrules:\n  - name: all # everyone\n    effect: deny\n";

fn read(world: &World, file: &str) -> String {
    std::fs::read_to_string(world.folder.path().join(file)).unwrap()
}

#[test]
fn fmt_formats_the_manifest_and_its_files() {
    let world = World::new();
    world.write("sentinel.toml", &format!("include = [ 'more.toml' ]\n{UNTIDY}"));
    world.write("more.toml", "[profiles.prod]\npolicy='policies/prod.yaml'\n");
    world.write("policies/dev.yaml", UNTIDY_POLICY).write("policies/prod.yaml", TIDY_POLICY);
    world.write("policies/dev.test.yaml", "profile: dev\ncases:\n- {user: alice, expect: deny}\n");
    let check = world.run(&["fmt", "--check"]).expect(1);
    let unformatted = "sentinel.toml\nmore.toml\npolicies/dev.yaml\npolicies/dev.test.yaml\n";
    assert_eq!(check.stdout.lines().count(), 4, "{}", check.stdout);
    for file in unformatted.lines() {
        assert!(check.stdout.contains(file), "{}", check.stdout);
    }
    assert!(check.stderr.contains("5 files: 4 not formatted."), "{}", check.stderr);
    let diff = world.run(&["fmt", "--diff"]).expect(1);
    assert!(diff.stdout.contains("-version: '1'\n") && diff.stdout.contains("+version: \"1\"\n"), "{}", diff.stdout);
    assert_eq!(read(&world, "policies/dev.yaml"), UNTIDY_POLICY, "neither writes");
    let run = world.run(&["fmt"]).expect(0);
    assert_eq!(run.stdout, check.stdout);
    assert_eq!(read(&world, "sentinel.toml"), format!("include = [\"more.toml\"]\n\n{TIDY}"));
    assert_eq!(read(&world, "more.toml"), "[profiles.prod]\npolicy = \"policies/prod.yaml\"\n");
    assert_eq!(read(&world, "policies/dev.yaml"), TIDY_POLICY);
    assert_eq!(read(&world, "policies/dev.test.yaml"), "profile: dev\ncases:\n  - { user: alice, expect: deny }\n");
    let document = world.run(&["fmt", "--check", "--json"]).expect(0).json();
    assert_eq!(document["files"].as_array().unwrap().len(), 5);
    assert!(document["files"].as_array().unwrap().iter().all(|file| file["formatted"] == true), "{document}");
    assert!(world.calls().is_empty(), "it asks nobody");
}

#[test]
fn fmt_writes_nothing_if_a_file_has_an_error() {
    let world = World::new();
    world.write("sentinel.toml", MANIFEST).write("policies/dev.yaml", POLICY);
    world.write("a.yaml", UNTIDY_POLICY).write("b.toml", "[aws\n").write("c.json", "{}");
    let run = world.run(&["fmt", "a.yaml", "b.toml"]).expect(1);
    assert!(run.stderr.contains("invalid TOML") && run.stderr.contains("b.toml:1"), "{}", run.stderr);
    assert_eq!(read(&world, "a.yaml"), UNTIDY_POLICY);
    let run = world.run(&["fmt", "c.json"]).expect(1);
    assert!(run.stderr.contains("its name must end in .toml, .yaml or .yml"), "{}", run.stderr);
    let run = world.run(&["fmt", "none.toml"]).expect(1);
    assert!(run.stderr.contains("none.toml: there is no such file"), "{}", run.stderr);
    let run = world.run(&["fmt", "-f", "-"]).expect(1);
    assert!(run.stderr.contains("sentinel fmt -"), "{}", run.stderr);
}

#[test]
fn fmt_prints_standard_input_formatted() {
    let world = World::new();
    let format = |args: &[&str], text: &str| {
        let mut child = world.command(args).stdin(Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), text.as_bytes()).unwrap();
        finish(child)
    };
    assert_eq!(format(&["fmt", "-"], UNTIDY).expect(0).stdout, TIDY);
    assert_eq!(format(&["fmt", "-"], UNTIDY_POLICY).expect(0).stdout, TIDY_POLICY);
    assert_eq!(format(&["fmt", "--check", "-"], UNTIDY_POLICY).expect(1).stdout, "<stdin>\n");
    assert_eq!(format(&["fmt", "--check", "-"], TIDY_POLICY).expect(0).stdout, "");
    assert!(format(&["fmt", "-"], "version: [\n").expect(1).stderr.contains("invalid YAML"));
}

/// The value of a parameter, and a policy, may be secret.
#[test]
fn fmt_shows_no_secret_in_a_difference() {
    let world = World::new();
    let manifest =
        "[profiles.dev]\npolicy='dev.yaml'\ntype=\"SecureString\"\n[parameters.p]\nvalue='canary-in-a-manifest'\n";
    world.write("sentinel.toml", manifest).write("dev.yaml", &UNTIDY_POLICY.replace("everyone", "canary"));
    let run = world.run(&["fmt", "--diff"]).expect(1);
    assert!(run.stdout.contains("+policy = \"dev.yaml\"") && !run.stdout.contains("canary"), "{}", run.stdout);
    let run = world.run(&["fmt", "--diff", "--json"]).expect(1);
    assert!(!run.stdout.contains("canary"), "{}", run.stdout);
    world.run(&["fmt"]).expect(0);
    assert!(read(&world, "sentinel.toml").contains("value = \"canary-in-a-manifest\"\n"));
}
