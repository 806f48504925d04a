//! `shell init`, evaluated by real shells.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::{provisioned, put_policy};
use crate::world::{Answer, Run, World, finish};

pub const SHELLS: [&str; 3] = ["bash", "zsh", "fish"];

/// Returns the shells on this machine. Those in `SENTINEL_TEST_SHELLS` are required.
pub fn shells() -> Vec<&'static str> {
    let demanded = std::env::var("SENTINEL_TEST_SHELLS").unwrap_or_else(|_| String::from("bash"));
    let here = |shell: &&str| {
        let version = Command::new(shell).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        let here = version.is_ok_and(|status| status.success());
        assert!(here || !demanded.split(',').any(|name| name == *shell), "there is no {shell} here");
        here
    };
    SHELLS.into_iter().filter(here).collect()
}

/// Returns a shell with the binary in its path and without the machine's start-up files.
pub fn shell(world: &World, shell: &str, user: &str, args: &[&str]) -> Command {
    // The same variables as a test sets for the binary itself.
    let like = world.command_as(user, &[]);
    let mut command = Command::new(shell);
    command.current_dir(world.folder.path()).env_clear();
    command.envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_sentinel")).parent().unwrap();
    let folders = [world.folder.path().join("bin"), binary.to_owned()].into_iter();
    let path = std::env::var_os("PATH").unwrap_or_default();
    command.env("PATH", std::env::join_paths(folders.chain(std::env::split_paths(&path))).unwrap());
    command.env("SHELL", format!("/bin/{shell}")).env("TERM", "dumb").args(args);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Evaluates the functions in a shell, and runs a line with them.
fn with_functions(world: &World, name: &str, init: &str, line: &str) -> Run {
    let eval = match name {
        "fish" => format!("sentinel shell init --format fish {init} | source; {line}"),
        _ => format!("eval \"$(sentinel shell init --format {name} {init})\"; {line}"),
    };
    let args: &[&str] = match name {
        "bash" => &["--norc", "-c"],
        "zsh" => &["-f", "-c"],
        _ => &["--no-config", "-c"],
    };
    finish(shell(world, name, "alice", &[args, &[eval.as_str()]].concat()).spawn().unwrap())
}

/// Adds a script to the path.
pub fn program(world: &World, name: &str, text: &str) {
    world.write(&format!("bin/{name}"), text);
    let path = world.folder.path().join("bin").join(name);
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_function_for_each_profile_runs_a_command_through_its_policy() {
    let world = provisioned();
    program(&world, "show", "#!/bin/sh\necho \"$SENTINEL_PROFILE $#: $1|$2|$3\"; exit 9\n");
    for name in shells() {
        let run = with_functions(&world, name, "", "sentinel-dev show 'a b' '$HOME' '*'");
        assert_eq!((run.code, run.stdout.as_str()), (9, "dev 3: a b|$HOME|*\n"), "{name}: {}", run.stderr);
        let run = with_functions(&world, name, "", "sentinel-prod show");
        assert!(run.code == 1 && run.stderr.contains("prod-by-approval"), "{name}: {}", run.stderr);
        let run = with_functions(&world, name, "--include-server", "sentinel-served-server show");
        assert_eq!((run.code, run.stdout.as_str()), (9, "served 0: ||\n"), "{name}: {}", run.stderr);
        let plain = with_functions(&world, name, "", "sentinel-served-server show");
        assert_eq!(plain.code, 127, "{name}: {}", plain.stdout);
    }
}

#[test]
fn arguments_of_a_function_are_completed_as_a_command() {
    let world = provisioned();
    program(&world, "unlikely-name", "#!/bin/sh\n");
    for name in shells() {
        let line = match name {
            "bash" => {
                "complete -p sentinel-dev; COMP_WORDS=(sentinel-dev unlikely-n); COMP_CWORD=1; \
                 _sentinel_command sentinel-dev unlikely-n sentinel-dev; echo \"${COMPREPLY[@]}\""
            }
            "zsh" => {
                "compdef() { echo compdef \"$@\" }; eval \"$(sentinel shell init --format zsh)\"; echo unlikely-name"
            }
            _ => "complete -C 'sentinel-dev unlikely-n'",
        };
        let run = with_functions(&world, name, "", line).expect(0);
        assert!(run.stdout.contains("unlikely-name"), "{name}: {} {}", run.stdout, run.stderr);
        assert!(name != "bash" || run.stdout.contains("-F _sentinel_command sentinel-dev"), "{}", run.stdout);
        assert!(
            name != "zsh" || run.stdout.contains("compdef _precommand sentinel-dev sentinel-prod"),
            "{}",
            run.stdout
        );
    }
}

/// Names that AWS does not accept, but an intermediary might.
const HOSTILE: [&str; 16] = [
    "x; touch pwned",
    "$(touch pwned)",
    "`touch pwned`",
    "x\ntouch pwned\n",
    "x' ; touch pwned; '",
    "x\" ; touch pwned; \"",
    "x\\' ; touch pwned; '",
    "x() { :; }; touch pwned; y",
    "x { touch pwned } ",
    "x && touch pwned",
    "(touch pwned)",
    "x | touch pwned",
    "--profile=x -- touch pwned",
    "x\u{0}y",
    "x\r\u{1b}[2Jtouch pwned",
    "*",
];

#[test]
fn hostile_names_are_not_executed() {
    let world = provisioned();
    world.fault(|call| {
        if call.operation != "GetParametersByPath" {
            return None;
        }
        let parameter = |name: &str| {
            json!({ "Name": format!("/sentinel/policies/{name}"), "Type": "String", "Value": "x", "Version": 1 })
        };
        let names = HOSTILE.iter().copied().chain(["dev", "-n", "if"]);
        let body = json!({ "Parameters": names.map(parameter).collect::<Vec<Value>>() }).to_string();
        Some(Answer { status: 200, content_type: "application/x-amz-json-1.1", body: body.into_bytes() })
    });
    for name in shells() {
        let run = with_functions(&world, name, "--include-server --aws-profile \"o'h \\$(touch pwned)\"", "true");
        assert_eq!(run.code, 0, "{name}: {}", run.stderr);
        let left_out = run.stderr.matches("it is not a profile's name").count();
        assert_eq!(left_out, 0, "without that AWS profile nothing is found: {}", run.stderr);
        let run = with_functions(&world, name, "--include-server", "sentinel-dev echo in").expect(0);
        assert_eq!(run.stdout, "in\n", "{name}: {}", run.stderr);
        assert_eq!(run.stderr.matches("it is not a profile's name").count(), HOSTILE.len(), "{name}: {}", run.stderr);
        assert!(!run.stderr.contains('\u{1b}'), "{name}: {}", run.stderr);
        assert!(!world.folder.path().join("pwned").exists(), "{name}");
    }
}

#[test]
fn hostile_options_are_not_executed() {
    let world = World::quick();
    // A store in a folder with this name is found again only if every character is passed correctly.
    let folder = "a'b\"c $(touch pwned) `touch pwned` \\' \\\\'; touch pwned; # é (touch pwned)";
    let local = format!("--local={folder}");
    let bootstrap = ["init", "bootstrap", "--profile", "dev", "--region", "us-east-1", "--yes", &local];
    finish(world.command(&bootstrap).spawn().unwrap()).expect(0);
    for name in shells() {
        let args = ["shell", "init", "--format", name, "--region", "us-east-1", &local];
        let run = finish(world.command(&args).spawn().unwrap()).expect(0);
        world.write("functions", &run.stdout);
        let source = if name == "fish" { "source functions" } else { ". ./functions" };
        let line = format!("{source}; sentinel-dev true");
        let args: &[&str] = if name == "zsh" { &["-f", "-c", &line] } else { &["-c", &line] };
        let run = finish(shell(&world, name, "alice", args).spawn().unwrap()).expect(1);
        assert!(run.stderr.contains("rule \"default-deny\" denies the access"), "{name}: {}", run.stderr);
        assert!(!world.folder.path().join("pwned").exists(), "{name}");
    }
}

#[test]
fn a_new_shell_starts_without_a_response_from_aws() {
    let world = provisioned();
    let init = |world: &World, extra: &[&str]| {
        let args = [&["shell", "init", "--format", "bash"], extra].concat();
        finish(world.command_as("alice", &args).spawn().unwrap()).expect(0)
    };
    // If nothing responds and nothing is cached, the output has no function, a comment, and no failure.
    let mut command = world.command_as("alice", &["shell", "init", "--format", "bash"]);
    command.env("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
    let run = finish(command.spawn().unwrap()).expect(0);
    assert!(!run.stdout.contains("function sentinel-"), "{}", run.stdout);
    assert!(
        run.stderr.starts_with("# sentinel: ") && run.stderr.contains("there are no sentinel-PROFILE functions"),
        "{}",
        run.stderr
    );

    let good = init(&world, &[]);
    assert!(good.stdout.contains("function sentinel-dev ") && good.stderr.is_empty(), "{}", good.stderr);
    // Other options select other profiles, and the caches do not mix.
    let elsewhere = init(&world, &["--policy-root", "/nothing/here"]);
    assert!(!elsewhere.stdout.contains("function sentinel-"), "{}", elsewhere.stdout);

    world.fail("GetParametersByPath", "AccessDeniedException", "");
    let denied = init(&world, &[]);
    assert_eq!(denied.stdout, good.stdout);
    assert!(denied.stderr.contains("ssm:GetParametersByPath"), "{}", denied.stderr);
    assert!(denied.stderr.lines().all(|line| line.starts_with("# ")), "{}", denied.stderr);
    world.clear_faults();

    // Slow responses of AWS are not waited for: this one answers after the shell has started.
    let (started, wait) = std::sync::mpsc::channel::<()>();
    world.fault(move |_| {
        let _ = wait.recv();
        None
    });
    let slow = init(&world, &[]);
    drop(started);
    assert_eq!(slow.stdout, good.stdout);
    assert!(slow.stderr.contains("AWS did not answer within 3 seconds"), "{}", slow.stderr);
    assert!(slow.stderr.contains("Sentinel uses the profiles of the last successful run"), "{}", slow.stderr);
    world.clear_faults();

    // The cache contains names, which are checked: a modified file cannot run anything.
    let folder = world.folder.path().join(".cache/sentinel");
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let text =
            json!({ "region": "us-east-1", "root": "/sentinel/policies", "profiles": ["dev; touch pwned", "dev"] });
        std::fs::write(&path, text.to_string()).unwrap();
    }
    world.fail("GetParametersByPath", "AccessDeniedException", "");
    let tampered = init(&world, &[]);
    assert!(
        !tampered.stdout.contains("pwned") && tampered.stdout.contains("function sentinel-dev "),
        "{}",
        tampered.stdout
    );
    // A shell also starts without a region, a home directory or a readable manifest.
    let mut command = world.command_as("alice", &["shell", "init"]);
    finish(command.env_remove("AWS_REGION").env_remove("HOME").spawn().unwrap()).expect(0);
    world.write("sentinel.toml", "[aws\n");
    init(&world, &[]);
}

#[test]
fn the_functions_contain_the_location_of_the_profiles() {
    let world = provisioned();
    put_policy(&world, "extra", super::POLICY);
    world.write(".aws/config", "[profile base]\naws_access_key_id = AKIALOCAL:alice\naws_secret_access_key = x\n");
    let run = world.run_as("alice", &["shell", "init", "--aws-profile", "base", "--json"]).expect(0).json();
    assert_eq!(run["format"], "zsh", "as $SHELL says");
    assert_eq!(run["functions"], json!(["sentinel-dev", "sentinel-extra", "sentinel-prod", "sentinel-served"]));
    let line =
        run["script"].as_str().unwrap().lines().find(|line| line.contains("sentinel-extra ")).unwrap().to_owned();
    for word in [
        "'--profile=extra'",
        "'--region=us-east-1'",
        "'--policy-root=/sentinel/policies'",
        "'--aws-profile=base'",
        // The AWS profile that reads the policies does not supply credentials for another.
        "'--credentials-profile=extra'",
    ] {
        assert!(line.contains(word), "{line}");
    }
}
