//! Secrets stay where they are: nothing that a run writes holds the keys it uses or hands out.

use std::path::Path;

use crate::world::{World, finish};

const SECRET: &str = "SecretCanary0123456789/abcdefghijklmnopqr";
const TOKEN: &str = "TokenCanary9876543210+zyxwvutsrqponmlkji==";

/// Returns every file below a folder.
fn files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

#[test]
fn nothing_that_a_run_writes_holds_a_key() {
    let world = World::new();
    world.write(
        "sentinel.toml",
        "[aws]\nregion = \"us-east-1\"\n[profiles.dev]\npolicy = \"dev.yaml\"\n[tables.approvals]\n",
    );
    world.write("dev.yaml", "version: \"1\"\nrules:\n  - { name: all, effect: allow }\n");
    let mut said = String::new();
    let mut run = |args: &[&str], level: &str| {
        let mut command = world.command(&[args, &[level]].concat());
        command
            .env("AWS_ENDPOINT_URL", world.url())
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
            .env("AWS_SESSION_TOKEN", TOKEN);
        // The most that can be asked for.
        command.env("SENTINEL_LOG", if level == "-vv" { "trace" } else { "debug" }).env("RUST_BACKTRACE", "1");
        let run = finish(command.spawn().unwrap());
        said.push_str(&run.stdout);
        said.push_str(&run.stderr);
    };
    for level in ["-v", "-vv"] {
        run(
            &[
                "plan",
                "--out",
                "plan.json",
                "--out-html",
                "plan.html",
                "--out-markdown",
                "plan.md",
                "--out-json",
                "p.json",
            ],
            level,
        );
        run(&["apply", "plan.json", "--yes"], level);
        run(&["status"], level);
        run(&["init", "status", "--json"], level);
        run(&["import", "-o", level], level);
        run(&["exec", "--profile", "dev", "--log-file", "decisions.jsonl", level, "--", "true"], "");
        run(&["request", "--profile", "dev", "--justification", "a good reason"], level);
        run(&["plan", "--only", "nothing"], level);
    }
    // Also when AWS refuses, and repeats what it was sent.
    world.fault(|call| {
        let echoed = || crate::world::Answer::error(400, "ValidationException", "no");
        (call.operation == "GetParameters").then(echoed)
    });
    run(&["plan"], "-vv");
    assert!(said.contains("ValidationException") && said.len() > 10_000, "{}", said.len());
    let mut written = Vec::new();
    files(world.folder.path(), &mut written);
    for secret in [SECRET, TOKEN] {
        assert!(!said.contains(secret), "{}", said.lines().find(|line| line.contains(secret)).unwrap_or_default());
        for path in &written {
            let bytes = std::fs::read(path).unwrap();
            assert!(!String::from_utf8_lossy(&bytes).contains(secret), "{}", path.display());
        }
    }
    assert!(["plan.json", "decisions.jsonl"].iter().all(|name| written.iter().any(|path| path.ends_with(name))));
}

/// A saved plan holds policies, and whoever can change it decides what is applied.
#[cfg(unix)]
#[test]
fn a_saved_plan_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    world.write("sentinel.toml", "[aws]\nregion = \"us-east-1\"\n[profiles.dev]\n");
    let path = world.folder.path().join("plan.json");
    for _ in 0..2 {
        world.run(&["plan", "--out", "plan.json"]).expect(0);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        // One that was opened to others is closed again by the next.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    }
}

/// A page in a browser on this machine can send requests here; its name for this address is not one of ours.
#[test]
fn the_embedded_aws_answers_no_pages() {
    let world = World::new();
    let ask = |headers: &[(&str, &str)]| {
        let (_, answer) = crate::world::http(world.url(), "POST /", headers, b"Action=GetCallerIdentity");
        String::from_utf8_lossy(&answer).into_owned()
    };
    assert!(ask(&[]).contains("GetCallerIdentityResult"), "{}", ask(&[]));
    for header in [("host", "evil.example:4566"), ("origin", "https://evil.example")] {
        let answer = ask(&[header]);
        assert!(answer.contains("AccessDenied") && !answer.contains("GetCallerIdentityResult"), "{answer}");
    }
}
