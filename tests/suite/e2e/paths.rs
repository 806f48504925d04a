//! Nothing outside the proper folder is read or written, whatever a manifest, a saved plan or AWS contains, and wherever links in a
//! checkout point.
#![cfg(unix)]

use std::os::unix::fs::symlink;
use std::path::PathBuf;

use super::project;
use crate::world::World;

/// A foreign folder, with a secret file that must not change.
struct Elsewhere {
    folder: tempfile::TempDir,
}

const SECRET: &str = "version: \"1\"\nrules:\n  - { name: hush, effect: deny }\n";

impl Elsewhere {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("theirs.yaml"), SECRET).unwrap();
        Self { folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("theirs.yaml")
    }

    #[track_caller]
    fn check(&self) {
        assert_eq!(std::fs::read_to_string(self.file()).unwrap(), SECRET);
        assert_eq!(std::fs::read_dir(self.folder.path()).unwrap().count(), 1, "something was written there");
    }
}

#[test]
fn no_policy_is_read_from_outside_the_manifests_folder() {
    let elsewhere = Elsewhere::new();
    let world = World::new();
    symlink(elsewhere.file(), world.folder.path().join("link.yaml")).unwrap();
    symlink(elsewhere.folder.path(), world.folder.path().join("linked")).unwrap();
    symlink("loop.yaml", world.folder.path().join("loop.yaml")).unwrap();
    let absolute = elsewhere.file().display().to_string();
    let up = format!("../{}/theirs.yaml", elsewhere.folder.path().file_name().unwrap().to_string_lossy());
    for path in ["link.yaml", "linked/theirs.yaml", "loop.yaml", "a/../../x.yaml", &absolute, &up, "policies//../../x"]
    {
        world.write("sentinel.toml", &format!("[aws]\nregion = \"us-east-1\"\n[profiles.dev]\npolicy = \"{path}\"\n"));
        let run = world.run(&["plan"]).expect(1);
        assert!(run.stderr.contains("error[E003]") && !run.stderr.contains("hush"), "{path}: {}", run.stderr);
        assert!(world.calls().is_empty());
    }
}

#[test]
fn no_test_cases_are_read_from_outside_the_manifests_folder() {
    let elsewhere = Elsewhere::new();
    let world = project();
    symlink(elsewhere.file(), world.folder.path().join("policies/dev.test.yaml")).unwrap();
    for command in ["plan", "validate"] {
        let run = world.run(&[command]).expect(1);
        assert!(
            run.stderr.contains("the test case file \"policies/dev.test.yaml\" is a link out of the manifest's folder"),
            "{}",
            run.stderr
        );
        assert!(!run.stderr.contains("hush"), "{}", run.stderr);
    }
}

#[test]
fn links_are_never_written_through() {
    let elsewhere = Elsewhere::new();
    let world = project();
    world.run(&["plan", "--out", "older.json"]).expect(0);
    symlink(elsewhere.file(), world.folder.path().join("out")).unwrap();
    let outputs = [
        &["plan", "--out-markdown", "out"][..],
        &["plan", "--out-json", "out"],
        &["plan", "--trace-file", "out"],
        &["plan", "--out", "out"],
        &["init", "bootstrap", "--profile", "x", "--write-manifest", "out"],
    ];
    for words in outputs {
        let run = world.run(words).expect(1);
        assert!(run.stderr.contains("error[E002]: out: "), "{words:?}: {}", run.stderr);
        elsewhere.check();
    }
    // Links of the system are allowed.
    let run = world.run(&["plan", "--out-markdown", "/dev/stderr"]).expect(0);
    assert!(run.stderr.contains("<!-- sentinel: plan -->"), "{}", run.stderr);
}

/// A saved plan replaces a link to an older plan, and the link's target does not change.
#[test]
fn a_saved_plan_replaces_a_link() {
    let world = project();
    let elsewhere = tempfile::tempdir().unwrap();
    world.run(&["plan", "--out", "older.json"]).expect(0);
    let older = elsewhere.path().join("older.json");
    std::fs::rename(world.folder.path().join("older.json"), &older).unwrap();
    let before = std::fs::read_to_string(&older).unwrap();
    symlink(&older, world.folder.path().join("p.json")).unwrap();
    world.run(&["plan", "--only", "tables.*", "--out", "p.json"]).expect(0);
    assert_eq!(std::fs::read_to_string(&older).unwrap(), before);
    assert!(!world.folder.path().join("p.json").symlink_metadata().unwrap().is_symlink());
}

#[test]
fn an_import_stays_in_its_folder() {
    let elsewhere = Elsewhere::new();
    let world = project();
    world.run(&["apply", "--yes"]).expect(0);
    std::fs::create_dir(world.folder.path().join("copy")).unwrap();
    symlink(elsewhere.folder.path(), world.folder.path().join("copy/policies")).unwrap();
    let run = world.run(&["import", "-o", "copy"]).expect(1);
    assert!(run.stderr.contains("error[E002]: copy/policies: this is a link"), "{}", run.stderr);
    elsewhere.check();
    // Parameter names are not paths: a name under the root that would leave the folder is reported and omitted.
    let put = |name: &str| {
        let body = serde_json::json!({ "Name": name, "Value": SECRET, "Type": "String" });
        world.aws("AmazonSSM.PutParameter", &body);
    };
    put("/sentinel/policies/up/../../../evil");
    put("/sentinel/policies/...");
    world.run(&["import", "-o", "fresh"]).expect(0);
    let written: Vec<PathBuf> = std::fs::read_dir(world.folder.path().join("fresh/policies"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(written.iter().all(|path| path.extension().is_some_and(|ending| ending == "yaml")), "{written:?}");
    assert!(!world.folder.path().join("evil.yaml").exists() && !world.folder.path().join("fresh/evil.yaml").exists());
}

#[test]
fn the_emulator_store_does_not_follow_a_link() {
    let elsewhere = Elsewhere::new();
    let world = project();
    symlink(elsewhere.folder.path(), world.folder.path().join(".sentinel")).unwrap();
    let run = crate::world::finish(world.command(&["apply", "--yes", "--local"]).spawn().unwrap()).expect(1);
    assert!(run.stderr.contains("error[E006]: the AWS emulator: .sentinel is a link"), "{}", run.stderr);
    elsewhere.check();
}
