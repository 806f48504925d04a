//! Every command with every shared option: no option is accepted and ignored, and each failure is a JSON document with `--json`.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use clap::{CommandFactory, Parser};
use sentinel::cli::Cli;
use serde_json::Value;
use tempfile::TempDir;

use crate::world::{Run, World, finish};

type Words = &'static [&'static str];

/// A command, and arguments with which it runs.
pub struct Leaf {
    pub name: String,
    definition: clap::Command,
    pub args: Words,
    /// Arguments with which it fails in an empty folder, if there are any.
    failing: Option<Words>,
}

/// Returns the arguments with which a command runs, and those with which it fails.
fn arguments(name: &str) -> (Words, Option<Words>) {
    fn both(args: Words) -> (Words, Option<Words>) {
        (args, Some(args))
    }
    match name {
        "plan" | "status" | "iam" | "validate" | "policy lint" | "graph" | "list" | "breakglass-list"
        | "server-sessions" | "init status" | "policy test" | "fmt" | "local serve" | "broker" | "trust check" => {
            both(&[])
        }
        "apply" | "init approvals" | "init breakglass" | "init sessions" => both(&["--yes"]),
        "show" => both(&["none.json"]),
        "import" => both(&["--out", "new"]),
        "report merge" => both(&["shards"]),
        "export cloudformation" | "export terraform" => both(&["--out", "new", "--live"]),
        "init bootstrap" => both(&["--profile", "dev", "--yes"]),
        "init wizard" => (
            &["--profile", "dev", "--no-tables", "--yes", "--out", "new"],
            Some(&["--profile", "dev", "--no-tables", "--region", "us-east-1"]),
        ),
        "exec" => both(&["--profile", "dev", "--", "true"]),
        "credentials" | "locks" => both(&["--profile", "dev"]),
        "request" => both(&["--profile", "dev", "--justification", "to see what it does"]),
        "check" | "approve" | "deny" | "cancel" | "revoke" | "breakglass-check" | "breakglass-close"
        | "server-session" => both(&["0123456789abcdef"]),
        "server-revoke" => both(&["0123456789abcdef", "--reason", "a test"]),
        "lock" | "unlock" => both(&["bob", "--profile", "dev"]),
        "breakglass" => {
            both(&["--profile", "dev", "--reason-code", "incident", "--justification", "to see what it does now"])
        }
        "policy show" | "policy history" | "policy diff" | "access who" => both(&["dev"]),
        "policy rollback" => both(&["dev", "--to", "1", "--yes"]),
        "access can" => both(&["alice", "dev"]),
        // It never fails, because a starting shell must continue.
        "shell init" => (&["--format", "bash"], None),
        "explain" => (&[], Some(&["E999"])),
        // They read and write nothing that could fail.
        "schema" => (&[], None),
        "completions" => (&["bash"], None),
        "man" => (&["pages"], Some(&["sentinel.toml/pages"])),
        _ => panic!("sentinel {name} is new: add arguments with which it runs"),
    }
}

pub fn leaves() -> Vec<Leaf> {
    fn walk(command: &clap::Command, path: &str, found: &mut Vec<Leaf>) {
        for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
            let name = format!("{path} {}", below.get_name()).trim_start().to_owned();
            if below.has_subcommands() {
                walk(below, &name, found);
            } else {
                let (args, failing) = arguments(&name);
                found.push(Leaf { name, definition: below.clone(), args, failing });
            }
        }
    }
    let mut command = Cli::command();
    command.build();
    let mut found = Vec::new();
    walk(&command, "", &mut found);
    found
}

impl Leaf {
    pub fn takes(&self, long: &str) -> bool {
        self.definition.get_arguments().any(|arg| arg.get_long() == Some(long))
    }

    /// Returns a command line with additional options, which come before the command's `--`.
    pub fn line(&self, options: &[&str], args: &[&str]) -> Vec<String> {
        self.name.split(' ').chain(options.iter().copied()).chain(args.iter().copied()).map(str::to_owned).collect()
    }
}

/// The environment of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Around {
    /// No manifest, no region and no credentials.
    Nothing,
    /// A manifest, but no region and no credentials.
    NoRegion,
    /// A manifest and a region, but no credentials.
    NoCredentials,
    /// A manifest, a region, and an empty AWS.
    Aws,
    /// The same with the profile's policy applied, which requires an approval. There are no tables.
    Applied,
}

const MANIFEST: &str = "[profiles.dev]\npolicy = \"dev.yaml\"\n[tables.approvals]\n";
const POLICY: &str =
    "version: \"1\"\nrules:\n  - name: all\n    effect: require_approval\n    conditions:\n      profiles: [dev]\n";
const CONFIG: &str = "[profile elsewhere]\nregion = eu-west-3\n";

/// Runs a command line in its own folder. Returns the result, and the files that exist afterwards.
fn run(around: Around, line: &[String]) -> (Run, BTreeSet<String>) {
    let world = matches!(around, Around::Aws | Around::Applied).then(World::quick);
    let own = TempDir::new().unwrap();
    let folder = world.as_ref().map_or(own.path(), |world| world.folder.path());
    std::fs::create_dir(folder.join(".aws")).unwrap();
    std::fs::write(folder.join(".aws/config"), CONFIG).unwrap();
    let manifest = if around == Around::Nothing { "" } else { MANIFEST };
    if around != Around::Nothing {
        std::fs::write(folder.join("dev.yaml"), POLICY).unwrap();
        std::fs::write(folder.join("sentinel.toml"), manifest).unwrap();
    }
    if let Some(world) = world.as_ref().filter(|_| around == Around::Applied) {
        world.run(&["apply", "--yes", "--only", "profiles.dev"]).expect(0);
    }
    // The port of `local serve` is in use; otherwise it would not end.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let serves = line.starts_with(&[String::from("local"), String::from("serve")]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_sentinel"));
    command.args(line).args(if serves { vec!["--port", &port] } else { Vec::new() });
    command.current_dir(folder).env_clear().env("HOME", folder).env("AWS_EC2_METADATA_DISABLED", "true");
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    if matches!(around, Around::NoCredentials | Around::Aws | Around::Applied) {
        command.env("AWS_REGION", "us-east-1");
    }
    if let Some(world) = &world {
        command.env("AWS_ACCESS_KEY_ID", "AKIALOCAL:alice").env("AWS_SECRET_ACCESS_KEY", "any");
        command.env("AWS_ENDPOINT_URL", world.url());
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let ended = finish(command.spawn().unwrap());
    let mut files = BTreeSet::new();
    list(folder, folder, &mut files);
    (ended, files)
}

fn list(root: &Path, folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            list(root, &path, found);
        } else {
            found.insert(path.strip_prefix(root).unwrap().display().to_string());
        }
    }
}

/// Returns a text without words that contain a digit: IDs, times, ports, temporary folders.
fn steady(text: &str) -> String {
    let words = text.split(|letter: char| !letter.is_alphanumeric());
    words.filter(|word| !word.contains(|letter: char| letter.is_ascii_digit())).collect::<Vec<_>>().join(" ")
}

/// Returns the observable results of a run that are the same for the same command line.
fn seen(around: Around, line: &[String]) -> (i32, String, String, BTreeSet<String>) {
    let (ended, files) = run(around, line);
    let mut errors: Vec<String> = ended.stderr.lines().map(steady).collect();
    // Concurrent operations are reported in any order.
    errors.sort();
    let files = files.iter().map(|file| steady(file)).collect();
    (ended.code, steady(&ended.stdout), errors.join("\n"), files)
}

/// Runs a function for each item, several at once.
fn each<T: Send>(all: Vec<T>, work: impl Fn(T) + Sync) {
    let rest = std::sync::Mutex::new(all);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let Some(next) = rest.lock().unwrap().pop() else { break };
                    work(next);
                }
            });
        }
    });
}

/// The shared options, except global ones: the environment in which each has an effect, and a value.
const SHARED: [(&str, Around, &str); 12] = [
    ("region", Around::NoRegion, "--region=eu-west-3"),
    ("aws-profile", Around::NoRegion, "--aws-profile=elsewhere"),
    ("local", Around::NoCredentials, "--local=elsewhere"),
    ("endpoint-url", Around::Aws, "--endpoint-url=http://127.0.0.1:9"),
    ("trace-file", Around::NoCredentials, "--trace-file=trace.json"),
    ("policy-root", Around::Applied, "--policy-root=/else/where"),
    ("timeout", Around::Aws, "--timeout=0s"),
    ("quiet", Around::Aws, "--quiet"),
    ("file", Around::Aws, "--file=none.toml"),
    ("request-table", Around::Applied, "--request-table=elsewhere"),
    ("breakglass-table", Around::Applied, "--breakglass-table=elsewhere"),
    ("session-table", Around::Applied, "--session-table=elsewhere"),
];

/// The shared options without an effect in such a run, with the test that shows their effect.
const ELSEWHERE: [(&str, &str, &str); 6] = [
    // Without [broker] it fails before it serves anyone.
    ("broker", "endpoint-url", "the_broker_reads_policies_as_its_options_specify"),
    ("broker", "policy-root", "the_broker_reads_policies_as_its_options_specify"),
    // Nothing is written without an earlier version.
    ("policy rollback", "quiet", "policy_rollback_shows_its_progress_unless_quiet"),
    // Only the names of policies change, and all are valid.
    ("validate", "policy-root", "the_policy_root_of_the_command_line_is_validated"),
    // It is an option of --server.
    ("exec", "session-table", "a_session_is_recorded_in_the_table_of_the_policy"),
    // It names a table to create.
    ("init bootstrap", "session-table", "bootstrap_names_its_tables"),
];

#[test]
fn no_command_ignores_a_shared_option() {
    let mut runs = Vec::new();
    for leaf in leaves() {
        for (long, around, option) in SHARED.into_iter().filter(|(long, ..)| leaf.takes(long)) {
            if ELSEWHERE.iter().any(|(name, other, _)| leaf.name == *name && *other == long) {
                continue;
            }
            runs.push((leaf.line(&[], leaf.args), leaf.line(&[option], leaf.args), around));
        }
    }
    assert!(runs.len() > 200, "{} runs", runs.len());
    let baselines: std::collections::HashSet<_> =
        runs.iter().map(|(line, _, around)| (line.clone(), *around)).collect();
    let without = std::sync::Mutex::new(std::collections::HashMap::new());
    each(baselines.into_iter().collect(), |(line, around)| {
        let (first, second) = (seen(around, &line), seen(around, &line));
        assert_eq!(first, second, "{line:?} is not the same twice");
        without.lock().unwrap().insert((line, around), first);
    });
    let ignored = std::sync::Mutex::new(Vec::new());
    each(runs, |(line, with, around)| {
        let without = without.lock().unwrap()[&(line, around)].clone();
        if seen(around, &with) == without {
            ignored.lock().unwrap().push(with.join(" "));
        }
    });
    let ignored = ignored.into_inner().unwrap();
    assert!(ignored.is_empty(), "accepted and ignored:\n{}", ignored.join("\n"));
}

/// Options of a single command are covered by its tests.
#[test]
fn every_option_is_used_by_a_test() {
    let mut sources = String::new();
    let mut files = BTreeSet::new();
    let root = crate::docs::root().join("tests/suite");
    list(&root, &root, &mut files);
    for file in files.iter().filter(|file| Path::new(file).extension().is_some_and(|ending| ending == "rs")) {
        sources.push_str(&std::fs::read_to_string(root.join(file)).unwrap());
    }
    for (_, _, test) in ELSEWHERE {
        assert!(sources.contains(&format!("fn {test}()")), "there is no test {test}");
    }
    let mut unused = BTreeSet::new();
    for leaf in leaves() {
        for arg in leaf.definition.get_arguments().filter(|arg| !["help", "version"].contains(&arg.get_id().as_str())) {
            let Some(long) = arg.get_long() else { continue };
            let short = arg.get_short().is_some_and(|short| sources.contains(&format!("\"-{short}\"")));
            if !short && !sources.contains(&format!("--{long}")) {
                unused.insert(format!("{} --{long}", leaf.name));
            }
        }
    }
    assert!(unused.is_empty(), "{unused:#?}");
}

#[test]
fn an_unsupported_option_is_rejected_and_not_shown() {
    for leaf in leaves() {
        let help = leaf.definition.clone().render_long_help().to_string();
        for (long, _, option) in SHARED {
            assert_eq!(help.contains(&format!("--{long}")), leaf.takes(long), "{} --help and --{long}", leaf.name);
            if !leaf.takes(long) {
                let line = leaf.line(&[option], leaf.args);
                let rejected = Cli::try_parse_from(std::iter::once("sentinel").chain(line.iter().map(String::as_str)))
                    .expect_err(&line.join(" "));
                assert_eq!(rejected.kind(), clap::error::ErrorKind::UnknownArgument, "{line:?}");
            }
        }
    }
}

/// Returns the document that a failed run printed.
#[track_caller]
fn failure(line: &[String], run: &Run) -> Value {
    assert_ne!(run.code, 0, "{line:?} did not fail:\n{}", run.stdout);
    let document: Value = serde_json::from_str(&run.stdout)
        .unwrap_or_else(|error| panic!("{line:?}: {error}\nstdout:\n{}\nstderr:\n{}", run.stdout, run.stderr));
    assert_eq!(document["format_version"], 1, "{line:?}");
    let error = &document["error"];
    let code = error["code"].as_str().unwrap_or_default();
    assert!(sentinel::explain::find(code).is_some(), "{line:?}: {document:#}");
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{line:?}: {document:#}");
    assert!(error.get("help").is_some(), "{line:?}: {document:#}");
    document
}

#[test]
fn each_failure_is_one_json_document() {
    each(leaves(), |leaf| {
        let invalid = leaf.line(&["--json", "--no-such-option"], leaf.args);
        let document = failure(&invalid, &run(Around::Nothing, &invalid).0);
        assert_eq!(document["command"].as_str(), Some(leaf.name.as_str()));
        assert_eq!(document["error"]["code"], "E001");
        assert!(document["error"]["help"].as_str().unwrap().contains("--help"), "{document:#}");
        if let Some(args) = leaf.failing {
            let line = leaf.line(&["--json"], args);
            let around = if leaf.name == "man" { Around::NoRegion } else { Around::Nothing };
            let document = failure(&line, &run(around, &line).0);
            assert_eq!(document["command"].as_str(), Some(leaf.name.as_str()));
        }
    });
}

#[test]
fn a_command_line_without_a_command_fails_as_json_too() {
    for line in [&["--json"][..], &["--json", "plna"], &["init", "--json"], &["--region", "x", "--json"]] {
        let line: Vec<String> = line.iter().map(|&word| word.to_owned()).collect();
        let document = failure(&line, &run(Around::Nothing, &line).0);
        assert_eq!(document["error"]["code"], "E001");
    }
}

/// Global options also affect rejected command lines, which every command has.
#[test]
fn no_command_ignores_a_global_option() {
    each(leaves(), |leaf| {
        let with = |options: &[&str]| run(Around::Nothing, &leaf.line(options, leaf.args)).0;
        let logged = with(&["--log-format", "json", "--no-such-option"]).stderr;
        for line in logged.lines() {
            let event: Value =
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{}: {error}: {line}", leaf.name));
            assert!(event["message"].is_string(), "{}: {line}", leaf.name);
        }
        assert!(!logged.is_empty(), "{}", leaf.name);
        assert!(with(&["--color", "always", "--no-such-option"]).stderr.contains('\u{1b}'), "{}", leaf.name);
        assert!(!with(&["--color", "never", "--no-such-option"]).stderr.contains('\u{1b}'), "{}", leaf.name);
        let verbose = with(&["-v"]).stderr;
        assert!(verbose.contains(&format!("sentinel {}", leaf.name)), "{}: {verbose}", leaf.name);
    });
}
