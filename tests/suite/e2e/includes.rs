//! A manifest in several files.

use std::io::Write;
use std::process::Stdio;

use serde_json::json;

use crate::world::{World, finish};

const MAIN: &str = "include = [\"teams/*.toml\"]\n[aws]\nregion = \"us-east-1\"\n[profiles.dev]\n";

fn world() -> World {
    let world = World::quick();
    world.write("sentinel.toml", MAIN).write("policies/a.yaml", crate::e2e::POLICY);
    world.write("teams/a.toml", "# The team's.\n\n[profiles.a]\npolicy = \"policies/a.yaml\"\n");
    world.write("teams/b.toml", "[tables.sessions]\n[tables.sessions.indexes.x]\n");
    world
}

#[test]
fn included_files_are_part_of_the_manifest() {
    let world = world();
    let run = world.run(&["validate"]).expect(1);
    assert!(run.stderr.contains("teams/b.toml:2:"), "{}", run.stderr);
    world.write("teams/b.toml", "[tables.sessions]\n");
    let plan = world.run(&["plan", "--json"]).expect(0).json();
    let places: Vec<_> = plan["resources"].as_array().unwrap().iter().map(|one| &one["source"]).collect();
    assert_eq!(
        places,
        [
            &json!({ "path": "sentinel.toml", "line": 4 }),
            &json!({ "path": "teams/a.toml", "line": 3 }),
            &json!({ "path": "teams/b.toml", "line": 1 })
        ]
    );
    world.run(&["plan", "--out", "p.json"]).expect(0);
    world.run(&["show", "p.json"]).expect(0);
    world.run(&["apply", "p.json", "--yes"]).expect(0);
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
    // A change of any file is a change of the manifest.
    world.write("teams/a.toml", "[profiles.a]\n");
    let run = world.run(&["apply", "p.json", "--yes"]).expect(4);
    assert!(run.stderr.contains("teams/a.toml has changed since the plan was made"), "{}", run.stderr);
    let shown = world.run(&["show", "p.json"]).expect(0);
    assert!(shown.stdout.starts_with("Saved plan of sentinel.toml, teams/a.toml, teams/b.toml ("), "{}", shown.stdout);
}

#[test]
fn an_unknown_section_is_shown_with_its_own_file() {
    let world = world();
    world.write("teams/b.toml", "[profile.x]\n");
    let run = world.run(&["validate"]).expect(1);
    assert!(run.stderr.contains("unknown key `profile` in `teams/b.toml`"), "{}", run.stderr);
}

#[test]
fn a_target_is_overridden_in_another_file() {
    let world = world();
    world.write("sentinel.toml", &format!("{MAIN}[targets.prod]\nregion = \"us-east-1\"\n"));
    world.write("teams/b.toml", "[tables.sessions]\n[targets.prod.override.tables.sessions]\nname = \"acme-prod\"\n");
    let plan = world.run(&["plan", "--json"]).expect(0).json();
    assert_eq!(plan["targets"][0]["resources"][2]["name"], "acme-prod", "{plan:#}");
}

#[test]
fn a_section_in_two_files_is_shown_at_both_places() {
    let world = world();
    world.write("teams/b.toml", "\n[profiles.dev]\n");
    let run = world.run(&["validate"]).expect(1);
    assert!(run.stderr.contains("`profiles.dev` is defined twice"), "{}", run.stderr);
    assert!(run.stderr.contains("teams/b.toml:2:") && run.stderr.contains("sentinel.toml:4:"), "{}", run.stderr);
}

#[test]
fn included_files_are_in_the_folder_and_include_nothing() {
    let world = world();
    let refused = |include: &str, words: &str| {
        world.write("sentinel.toml", &MAIN.replace("teams/*.toml", include));
        let run = world.run(&["validate"]).expect(1);
        assert!(run.stderr.contains(words), "{include}: {}", run.stderr);
    };
    refused("../*.toml", "leaves the manifest's folder");
    refused("/etc/passwd", "leaves the manifest's folder");
    refused("teams/*.yaml", "no file matches");
    refused("teams/none.toml", "there is no file teams/none.toml");
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::write(elsewhere.path().join("x.toml"), "[profiles.x]\n").unwrap();
    std::os::unix::fs::symlink(elsewhere.path().join("x.toml"), world.folder.path().join("teams/link.toml")).unwrap();
    refused("teams/link.toml", "is a link out of the manifest's folder");
    world.write("teams/c.toml", "include = [\"a.toml\"]\n");
    refused("teams/c.toml", "cannot include others");
}

#[test]
fn several_files_and_standard_input_form_one_manifest() {
    let world = World::quick();
    world.write("one.toml", "[aws]\nregion = \"us-east-1\"\n").write("two.toml", "[profiles.dev]\n");
    let plan = world.run(&["plan", "--json", "-f", "one.toml", "-f", "two.toml"]).expect(0).json();
    assert_eq!(plan["resources"][0]["source"], json!({ "path": "two.toml", "line": 1 }));
    let run = world.run(&["plan", "-f", "one.toml", "-f", "./one.toml"]).expect(1);
    assert!(run.stderr.contains("is given twice"), "{}", run.stderr);
    let mut child = world
        .command(&["plan", "--local", "--json", "-f", "one.toml", "-f", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"\n[profiles.typed]\n").unwrap();
    let plan = finish(child).expect(0).json();
    assert_eq!(plan["resources"][0]["source"], json!({ "path": "<stdin>", "line": 2 }));
    let mut child = world.command(&["validate", "-f", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"[profile.typed]\n").unwrap();
    let run = finish(child).expect(1);
    assert!(run.stderr.contains("<stdin>:1:") && run.stderr.contains("did you mean `profiles`?"), "{}", run.stderr);
}
