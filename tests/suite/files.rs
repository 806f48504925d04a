//! Files in an untrusted checkout: links at every level of a store, pipes and endless files in place of texts, and manifests of other
//! users.

use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::e2e::{MANIFEST, POLICY, project};
use crate::world::{Run, World, finish};

const TARGETS: &str = "[aws]\nregion = \"us-east-1\"\n[profiles.dev]\n[targets.prod]\n";

/// The parts of a store, relative to its folder; a folder ends in `/`.
const PARTS: [&str; 11] = [
    "",
    ".gitignore",
    "us-east-1/",
    "us-east-1/opening.lock",
    "us-east-1/aws.db",
    "us-east-1/aws.db-wal",
    "us-east-1/aws.db-shm",
    "us-east-1/aws.db-journal",
    "us-east-1/dynamodb.db",
    "us-east-1/dynamodb.db-wal",
    "us-east-1/dynamodb.db-journal",
];

/// Returns everything below a folder: path, mode, times and content.
fn state(folder: &Path) -> Vec<(PathBuf, u32, i64, i64, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            let content = if metadata.is_file() { std::fs::read(&path).unwrap() } else { Vec::new() };
            found.push((path.clone(), metadata.mode(), metadata.mtime(), metadata.mtime_nsec(), content));
            if metadata.is_dir() {
                folders.push(path);
            }
        }
    }
    found.sort();
    found
}

fn run(world: &World, args: &[&str]) -> Run {
    let mut command = world.command(args);
    command.env("AWS_REGION", "us-east-1");
    let started = Instant::now();
    let run = finish(command.spawn().unwrap());
    assert!(started.elapsed() < Duration::from_secs(30), "{args:?}");
    run
}

/// Starts `local serve`, which must refuse; a running server is stopped.
fn serve(world: &World, args: &[&str]) -> Run {
    let mut command = Command::new("timeout");
    command.arg("20").arg(env!("CARGO_BIN_EXE_sentinel")).args(["local", "serve", "--port", "0"]).args(args);
    command.current_dir(world.folder.path()).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    finish(command.spawn().unwrap())
}

fn fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// Replaces every part of a store at `store` by a link, a hard link and a pipe in turn: each is refused, and nothing outside changes.
fn refuses_links(world: &World, store: &str, plan: &[&str], serving: &[&str]) {
    let outside = tempfile::tempdir().unwrap();
    let (kept, place) = (world.folder.path().join("kept"), world.folder.path().join(store));
    for part in PARTS {
        for kind in ["link", "dangling link", "hard link", "pipe"] {
            let is_folder = part.is_empty() || part.ends_with('/');
            if is_folder && kind == "hard link" {
                continue;
            }
            let _ = std::fs::remove_dir_all(&kept);
            let copied = Command::new("cp").arg("-a").arg(&place).arg(&kept).status().unwrap();
            assert!(copied.success());
            let at = PathBuf::from(place.join(part).to_str().unwrap().trim_end_matches('/'));
            let victim = outside.path().join("victim");
            let _ = std::fs::remove_dir_all(&victim);
            let _ = std::fs::remove_file(&victim);
            if at.symlink_metadata().is_ok() {
                let moved = Command::new("cp").arg("-a").arg(&at).arg(&victim).status().unwrap();
                assert!(moved.success());
                if is_folder { std::fs::remove_dir_all(&at).unwrap() } else { std::fs::remove_file(&at).unwrap() }
            } else {
                std::fs::write(&victim, "kept").unwrap();
            }
            match kind {
                "link" => symlink(&victim, &at).unwrap(),
                "dangling link" => symlink(outside.path().join("nothing"), &at).unwrap(),
                "hard link" => std::fs::hard_link(&victim, &at).unwrap(),
                _ => fifo(&at),
            }
            let before = state(outside.path());
            let name = format!("{store}/{part}");
            let name = name.trim_end_matches('/');
            for run in [run(world, plan), serve(world, serving)] {
                assert_eq!(run.code, 1, "{kind} at {name}: {}{}", run.stdout, run.stderr);
                let output = run.stderr.lines().next().unwrap_or_default();
                assert!(output.contains("error[E006]") && output.contains(name), "{kind} at {name}: {}", run.stderr);
                assert!(run.stderr.contains("--local=PATH"), "{}", run.stderr);
            }
            assert_eq!(before, state(outside.path()), "{kind} at {name}");
            let _ = std::fs::remove_dir_all(&place);
            let _ = std::fs::remove_file(&place);
            std::fs::rename(&kept, &place).unwrap();
        }
    }
    // The unchanged store works.
    run(world, plan).expect(0);
}

#[test]
fn a_store_with_a_link_at_any_level_is_refused() {
    let world = project();
    run(&world, &["plan", "--local"]).expect(0);
    refuses_links(&world, ".sentinel", &["plan", "--local"], &[]);
    run(&world, &["plan", "--local=store"]).expect(0);
    refuses_links(&world, "store", &["plan", "--local=store"], &["--local=store"]);
}

#[test]
fn the_stores_of_targets_and_accounts_are_part_of_the_store() {
    let world = World::new();
    world.write("sentinel.toml", TARGETS);
    run(&world, &["plan", "--local"]).expect(0);
    let outside = tempfile::tempdir().unwrap();
    for part in ["targets", "targets/prod", "accounts", "accounts/210987654321"] {
        let at = world.folder.path().join(".sentinel").join(part);
        let kept = outside.path().join("kept");
        let was_there = at.exists();
        if was_there {
            std::fs::rename(&at, &kept).unwrap();
        } else {
            std::fs::create_dir_all(at.parent().unwrap()).unwrap();
            std::fs::create_dir_all(&kept).unwrap();
        }
        symlink(&kept, &at).unwrap();
        let before = state(outside.path());
        // A plan opens only the store of its target.
        let runs = if part.starts_with("targets") {
            vec![
                run(&world, &["plan", "--local"]),
                serve(&world, &[]),
                serve(&world, &["--local=.sentinel/targets/prod"]),
            ]
        } else {
            // A plan of targets does not check other folders.
            run(&world, &["plan", "--local"]).expect(0);
            vec![serve(&world, &[])]
        };
        for run in runs {
            assert_eq!(run.code, 1, "{part}: {}{}", run.stdout, run.stderr);
            // A plan of several targets reports the result of each.
            let output = format!("{}{}", run.stdout, run.stderr);
            assert!(output.contains(&format!(".sentinel/{part} is a link")), "{output}");
        }
        assert_eq!(before, state(outside.path()), "{part}");
        std::fs::remove_file(&at).unwrap();
        if was_there { std::fs::rename(&kept, &at).unwrap() } else { std::fs::remove_dir_all(&kept).unwrap() }
    }
}

#[test]
fn a_saved_plan_does_not_follow_a_link_that_came_after_it() {
    let world = World::new();
    world.write("sentinel.toml", TARGETS);
    run(&world, &["plan", "--local", "--out", "p.plan"]).expect(0);
    let outside = tempfile::tempdir().unwrap();
    let (targets, kept) = (world.folder.path().join(".sentinel/targets"), outside.path().join("kept"));
    std::fs::rename(&targets, &kept).unwrap();
    symlink(&kept, &targets).unwrap();
    let before = state(outside.path());
    run(&world, &["apply", "p.plan", "--yes"]).expect(1);
    assert_eq!(before, state(outside.path()));
}

#[test]
fn a_store_below_the_users_own_links_is_used() {
    let world = project();
    std::fs::create_dir(world.folder.path().join("real")).unwrap();
    symlink("real", world.folder.path().join("link")).unwrap();
    run(&world, &["plan", "--local=link/store"]).expect(0);
    let store = world.folder.path().join("real/store");
    for (path, mode) in
        [("", 0o700), ("us-east-1", 0o700), ("us-east-1/aws.db", 0o600), ("us-east-1/dynamodb.db", 0o600)]
    {
        let found = store.join(path).metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(found, mode, "{path}: {found:o}");
    }
}

#[test]
fn special_files_are_not_read_and_do_not_block() {
    let world = World::new();
    let at = |name: &str| world.folder.path().join(name);
    world
        .write("dev.yaml", POLICY)
        .write("ok.toml", "[aws]\nregion = \"us-east-1\"\n[profiles.dev]\npolicy = \"p.yaml\"\n");
    for name in ["sentinel.toml", "p.yaml", "p.plan", "x.yaml", "dev.test.yaml"] {
        fifo(&at(name));
    }
    let commands: &[&[&str]] = &[
        &["validate"],
        &["plan"],
        &["status"],
        &["apply", "--yes"],
        &["exec", "--profile", "dev", "--", "true"],
        &["list"],
        &["validate", "-f", "ok.toml"],
        &["validate", "-f", "/dev/zero"],
        &["validate", "-f", "."],
        &["show", "p.plan"],
        &["apply", "p.plan", "--yes"],
        &["policy", "lint", "x.yaml"],
        &["policy", "test", "dev.yaml"],
    ];
    for args in commands {
        let run = run(&world, args);
        assert_eq!(run.code, 1, "{args:?}: {}{}", run.stdout, run.stderr);
        let output = ["is not a regular file", "is a folder"].iter().any(|words| run.stderr.contains(words));
        assert!(output, "{args:?}: {}", run.stderr);
    }
}

#[test]
fn files_that_are_too_large_are_named_with_their_size_and_limit() {
    let world = World::new();
    let sparse = |name: &str, size: u64| {
        let file = std::fs::File::create(world.folder.path().join(name)).unwrap();
        file.set_len(size).unwrap();
    };
    sparse("sentinel.toml", 1 << 40);
    sparse("p.yaml", 1 << 40);
    sparse("p.plan", 1 << 40);
    world.write("dev.yaml", POLICY);
    sparse("dev.test.yaml", 1 << 40);
    let commands: &[(&[&str], &str, u64)] = &[
        (&["validate"], "sentinel.toml", 16 << 20),
        (&["list"], "sentinel.toml", 16 << 20),
        (&["policy", "test", "p.yaml"], "p.yaml", 1 << 20),
        (&["policy", "test", "dev.yaml"], "dev.test.yaml", 1 << 20),
        (&["show", "p.plan"], "p.plan", 128 << 20),
    ];
    for (args, file, limit) in commands {
        let run = run(&world, args).expect(1);
        assert!(run.stderr.contains(file), "{}", run.stderr);
        let expected = format!("it has {} bytes, and a", 1_u64 << 40);
        let most = format!("at most {limit}");
        let flat = run.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains(&expected) && flat.contains(&most), "{args:?}: {}", run.stderr);
    }
}

#[test]
fn a_pipe_that_a_shell_passes_is_read() {
    let world = World::new();
    let script = format!(
        "{} validate -f <(printf '[aws]\\nregion = \"us-east-1\"\\n[profiles.dev]\\n')",
        env!("CARGO_BIN_EXE_sentinel")
    );
    let done = Command::new("bash").arg("-c").arg(script).current_dir(world.folder.path()).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn no_output_is_written_through_a_link() {
    let world = project();
    let outside = tempfile::tempdir().unwrap();
    let victim = outside.path().join("victim");
    std::fs::write(&victim, "kept").unwrap();
    std::fs::create_dir(outside.path().join("folder")).unwrap();
    let at = |name: &str| world.folder.path().join(name);
    symlink(&victim, at("link")).unwrap();
    symlink(outside.path().join("nothing"), at("dangling")).unwrap();
    symlink(outside.path().join("folder"), at("folder")).unwrap();
    std::fs::create_dir(at("man")).unwrap();
    symlink(&victim, at("man/sentinel-plan.1")).unwrap();
    let hard = std::fs::hard_link(&victim, at("hard")).is_ok();
    fifo(&at("pipe"));
    let before = state(outside.path());
    for name in ["link", "dangling", "hard", "pipe", "folder/new"] {
        if name == "hard" && !hard {
            continue;
        }
        let commands: Vec<Vec<&str>> = vec![
            vec!["plan", "--local", "--out-json", name],
            vec!["plan", "--local", "--out-markdown", name],
            vec!["plan", "--local", "--out-html", name],
            vec!["status", "--trace-file", name],
            vec!["exec", "--local", "--profile", "dev", "--log-file", name, "--", "true"],
            vec!["init", "approvals", "--write-manifest", name],
        ];
        for args in commands {
            // A folder that is a link is allowed if the user names a new file in it.
            if name == "folder/new" && !args[2].starts_with("--out") {
                continue;
            }
            let run = run(&world, &args);
            assert_ne!(run.code, 0, "{args:?} {name}: {}{}", run.stdout, run.stderr);
            assert!(run.stderr.contains(name), "{args:?} {name}: {}", run.stderr);
        }
        if name != "folder/new" {
            let refused = serve(&world, &["--log", name]);
            assert_ne!(refused.code, 124, "{name}: {}", refused.stdout);
            assert!(refused.stderr.contains(name), "{}", refused.stderr);
        }
    }
    run(&world, &["man", "man"]).expect(1);
    assert_eq!(before, state(outside.path()));
}

/// Whether the tests can change the owner of files.
fn is_root() -> bool {
    let root = own_uid() == 0;
    if !root {
        let _ = writeln!(std::io::stderr(), "SKIPPED: only root can make files of another user");
    }
    root
}

fn own_uid() -> u32 {
    Path::new("/proc/self").metadata().map_or(1, |found| found.uid())
}

#[test]
fn a_manifest_of_another_user_is_not_found() {
    if !is_root() {
        return;
    }
    let world = World::new();
    world
        .aws("AmazonSSM.PutParameter", &json!({ "Name": "/sentinel/policies/dev", "Value": POLICY, "Type": "String" }));
    let below = world.folder.path().join("a/b");
    std::fs::create_dir_all(&below).unwrap();
    let manifest = world.folder.path().join("sentinel.toml");
    let owned = |path: &Path, owner: u32| std::os::unix::fs::lchown(path, Some(owner), None).unwrap();
    let list = |folder: &Path, variables: &[(&str, &str)]| {
        let mut command = world.command_as("alice", &["list"]);
        command.current_dir(folder).envs(variables.iter().copied());
        finish(command.spawn().unwrap())
    };
    let refused = |folder: &Path, variables: &[(&str, &str)]| {
        let run = list(folder, variables).expect(1);
        assert!(run.stderr.contains("belongs to another user (12345)"), "{}", run.stderr);
        assert!(run.stderr.contains("SENTINEL_SAFE_DIRECTORY="), "{}", run.stderr);
    };
    let read = |folder: &Path, variables: &[(&str, &str)]| {
        let run = list(folder, variables);
        assert!(!run.stderr.contains("another user"), "{}", run.stderr);
    };
    world.write("sentinel.toml", MANIFEST);
    read(&below, &[]);
    owned(&manifest, 12345);
    for folder in [world.folder.path(), &below] {
        refused(folder, &[]);
        refused(folder, &[("SENTINEL_SAFE_DIRECTORY", "/somewhere/else")]);
        refused(folder, &[("SUDO_UID", "54321")]);
        read(folder, &[("SUDO_UID", "12345")]);
        read(folder, &[("SENTINEL_SAFE_DIRECTORY", "*")]);
        read(folder, &[("SENTINEL_SAFE_DIRECTORY", world.folder.path().to_str().unwrap())]);
    }
    // The owner of the folder may put any file into it.
    owned(&manifest, 0);
    owned(world.folder.path(), 12345);
    refused(&below, &[]);
    owned(world.folder.path(), 0);
    // A link is its creator's choice.
    let real = world.folder.path().join("real.toml");
    std::fs::rename(&manifest, &real).unwrap();
    symlink(&real, &manifest).unwrap();
    read(&below, &[]);
    owned(&manifest, 12345);
    refused(&below, &[]);
}
