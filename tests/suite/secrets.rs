//! Secrets do not leak: no output of a run contains the keys that it uses or releases.

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
fn no_output_contains_an_access_key() {
    let world = World::new();
    world.write(
        "sentinel.toml",
        "[aws]\nregion = \"us-east-1\"\n[profiles.dev]\npolicy = \"dev.yaml\"\n[tables.approvals]\n",
    );
    world.write("dev.yaml", "version: \"1\"\nrules:\n  - { name: all, effect: allow }\n");
    let mut output = String::new();
    let mut run = |args: &[&str], level: &str| {
        let mut command = world.command(&[args, &[level]].concat());
        command
            .env("AWS_ENDPOINT_URL", world.url())
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
            .env("AWS_SESSION_TOKEN", TOKEN);
        // The most verbose log level.
        command.env("SENTINEL_LOG", if level == "-vv" { "trace" } else { "debug" }).env("RUST_BACKTRACE", "1");
        let run = finish(command.spawn().unwrap());
        output.push_str(&run.stdout);
        output.push_str(&run.stderr);
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
    // This includes errors of AWS that repeat the request.
    world.fault(|call| {
        let echoed = || crate::world::Answer::error(400, "ValidationException", "no");
        (call.operation == "GetParameters").then(echoed)
    });
    run(&["plan"], "-vv");
    assert!(output.contains("ValidationException") && output.len() > 10_000, "{}", output.len());
    let mut written = Vec::new();
    files(world.folder.path(), &mut written);
    for secret in [SECRET, TOKEN] {
        assert!(!output.contains(secret), "{}", output.lines().find(|line| line.contains(secret)).unwrap_or_default());
        for path in &written {
            let bytes = std::fs::read(path).unwrap();
            assert!(!String::from_utf8_lossy(&bytes).contains(secret), "{}", path.display());
        }
    }
    assert!(["plan.json", "decisions.jsonl"].iter().all(|name| written.iter().any(|path| path.ends_with(name))));
}

/// A saved plan contains policies, and changing it changes what is applied.
#[cfg(unix)]
#[test]
fn a_saved_plan_is_private_to_its_owner() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    world.write("sentinel.toml", "[aws]\nregion = \"us-east-1\"\n[profiles.dev]\n");
    let path = world.folder.path().join("plan.json");
    for _ in 0..2 {
        world.run(&["plan", "--out", "plan.json"]).expect(0);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        // A file with permissions for others becomes private again.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    }
}

/// A web page on this machine can send requests, with its own name for this address.
#[test]
fn the_emulator_refuses_web_pages() {
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

/// The secrets of a manifest: of a policy, of a file, of a variable, and two in the manifest itself.
const CANARIES: [&str; 5] =
    ["canary-of-a-policy", "canary-of-a-file", "canary-of-a-variable", "canary-of-a-manifest", "canary-at-first"];

const MANIFEST: &str = r#"[aws]
region = "us-east-1"
[keys.secrets]
[profiles.dev]
policy = "dev.yaml"
type = "SecureString"
[parameters.file]
name = "/app/file"
file = "token.txt"
type = "SecureString"
key = { key = "secrets" }
[parameters.plain]
name = "/app/plain"
env = "CANARY"
[parameters.secret]
name = "/app/secret"
env = "CANARY"
type = "SecureString"
[parameters.own]
name = "/app/own"
value = "canary-of-a-manifest"
type = "SecureString"
[parameters.first]
name = "/app/first"
initial = "canary-at-first"
type = "SecureString"
[tables.approvals]
[tables.breakglass]
[tables.sessions]
"#;

/// Returns the secret that a text contains, plain or in base64 at any offset.
fn found_in(text: &str) -> Option<&'static str> {
    let encoded = |canary: &str, offset: usize| {
        // Neighboring bytes determine the characters at its ends.
        let padded = format!("{}{canary}", "x".repeat(offset));
        let whole = base64(padded.as_bytes());
        whole[4..whole.len() - 4].to_owned()
    };
    CANARIES
        .into_iter()
        .find(|canary| text.contains(canary) || (0..3).any(|offset| text.contains(&encoded(canary, offset))))
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let three = [chunk[0], *chunk.get(1).unwrap_or(&0), *chunk.get(2).unwrap_or(&0)];
        let number = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        for place in 0..4 {
            text.push(char::from(LETTERS[(number >> (18 - 6 * place) & 63) as usize]));
        }
    }
    text
}

#[test]
fn a_secret_is_found_in_base64_too() {
    assert_eq!(base64(b"Man"), "TWFu");
    for offset in 0..3 {
        let text = base64(format!("{}{}, and more", "x".repeat(offset), CANARIES[1]).as_bytes());
        assert_eq!(found_in(&text), Some(CANARIES[1]), "{text}");
    }
}

/// Every command with the most verbose output, once with everything new, and once with every secret changed.
#[test]
fn no_command_writes_a_secret_of_the_manifest() {
    let world = World::quick();
    world.write("sentinel.toml", MANIFEST);
    let policy = "# canary-of-a-policy\nversion: \"1\"\nrules:\n  - { name: all, effect: allow }\n";
    world.write("dev.yaml", policy).write("token.txt", "canary-of-a-file");
    // The port of `local serve` is in use; otherwise it would not end.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = format!("--port={}", taken.local_addr().unwrap().port());
    let run = |line: &[String]| {
        let line: Vec<&str> = line.iter().map(String::as_str).collect();
        let mut command = world.command(&line);
        command
            .env("AWS_ENDPOINT_URL", world.url())
            .env("AWS_REGION", "us-east-1")
            .env("CANARY", "canary-of-a-variable");
        command.env("SENTINEL_LOG", "trace").env("RUST_BACKTRACE", "1");
        command.env("AWS_ACCESS_KEY_ID", "AKIALOCAL:alice");
        let run = finish(command.spawn().unwrap());
        for output in [&run.stdout, &run.stderr] {
            let secret = found_in(output);
            assert_eq!(
                secret,
                None,
                "{line:?}: {}",
                output.lines().find(|line| found_in(line).is_some()).unwrap_or_default()
            );
        }
        run
    };
    let mut runs = 0;
    for round in ["new", "live", "changed"] {
        for leaf in crate::options::leaves() {
            // Applied resources are not new for later commands.
            if round == "new" && (leaf.name == "apply" || leaf.name.starts_with("init ")) {
                continue;
            }
            let path = |kind: &str| format!("--{kind}={round}-{}.{kind}", leaf.name.replace(' ', "-"));
            let mut options = vec![String::from("-vv")];
            let outs = ["out-json", "out-html", "out-markdown", "trace-file"];
            options.extend(outs.iter().filter(|long| leaf.takes(long)).map(|long| path(long)));
            options.extend((leaf.name == "plan").then(|| format!("--out={round}.plan")));
            options.extend((leaf.name == "local serve").then(|| port.clone()));
            let options: Vec<&str> = options.iter().map(String::as_str).collect();
            let mut args: Vec<String> = leaf.args.iter().map(|&word| word.to_owned()).collect();
            if leaf.name == "show" {
                args = vec![format!("{round}.plan")];
            }
            if ["import", "init wizard"].contains(&leaf.name.as_str()) {
                for word in args.iter_mut().filter(|word| *word == "new") {
                    *word = format!("{round}-{}", leaf.name.replace(' ', "-"));
                }
            }
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            run(&leaf.line(&options, &args));
            run(&leaf.line(&[&options[..], &["--json"]].concat(), &args));
            runs += 2;
        }
        if round == "new" {
            let plan = [String::from("apply"), String::from("new.plan"), String::from("--yes"), String::from("-vv")];
            assert_eq!(run(&plan).code, 0);
            for name in ["/sentinel/policies/dev", "/app/file", "/app/plain", "/app/secret", "/app/own", "/app/first"] {
                let read = serde_json::json!({ "Name": name, "WithDecryption": true });
                let value = world.aws("AmazonSSM.GetParameter", &read)["Parameter"]["Value"].clone();
                assert!(found_in(value.as_str().unwrap()).is_some(), "{name}");
            }
        }
        if round == "live" {
            for name in ["/sentinel/policies/dev", "/app/file", "/app/plain", "/app/secret", "/app/own"] {
                let other = serde_json::json!({ "Name": name, "Value": "canary-of-a-variable-2", "Overwrite": true });
                world.aws("AmazonSSM.PutParameter", &other);
            }
        }
    }
    assert!(runs > 100, "{runs}");
    let mut written = Vec::new();
    files(world.folder.path(), &mut written);
    let own = ["sentinel.toml", "dev.yaml", "token.txt"].map(|name| world.folder.path().join(name));
    for path in written.iter().filter(|path| !own.contains(path)) {
        let text = String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
        // AWS does not show that the value of a plain parameter came from a variable.
        let plain =
            |line: &&str| !(path.ends_with("sentinel.toml") && line.starts_with("value = \"canary-of-a-variable"));
        let text: String = text.split_inclusive('\n').filter(plain).collect();
        assert_eq!(found_in(&text), None, "{}", path.display());
    }
    for name in ["new.plan", "changed.plan", "new-plan.trace-file", "live-import/sentinel.toml"] {
        assert!(written.iter().any(|path| path.ends_with(name)), "{name} is not in {written:?}");
    }
}

/// A panic may print any value in scope.
#[test]
fn panic_messages_contain_no_secret() {
    use sentinel::diagnostic::{Faults, Source};
    use sentinel::document::Variables;
    use sentinel::manifest::{Overrides, parse, resolve};
    let folder = tempfile::tempdir().unwrap();
    let policy = "# canary-of-a-policy\nversion: \"1\"\nrules:\n  - { name: all, effect: allow }\n";
    std::fs::write(folder.path().join("dev.yaml"), policy).unwrap();
    std::fs::write(folder.path().join("token.txt"), "canary-of-a-file").unwrap();
    let mut faults = Faults::default();
    let variables = Variables::new(|_| Some(String::from("canary-of-a-variable")));
    let overrides = Overrides { variables, ..Overrides::default() };
    let parsed = parse(&Source::new("sentinel.toml", MANIFEST), &mut faults);
    let mut printed = format!("{parsed:?}");
    let loaded = resolve(parsed, folder.path(), &overrides, &mut faults);
    assert!(faults.is_empty(), "{faults:?}");
    printed.push_str(&format!("{loaded:?}"));
    for one in &loaded.desired {
        printed.push_str(&format!("{one:?} {:?} {:?}", one.create(), one.as_manifest()));
        for step in one.repair_everything() {
            printed.push_str(&format!("{step:?}"));
        }
    }
    assert_eq!(found_in(&printed), None, "{printed}");
}

/// Only in its own process, because the hook is global to the process.
const IN_A_CHILD: &str = "SENTINEL_TEST_PANIC";

/// The next test starts this one and checks the output of the hook.
#[test]
fn panics_for_the_hook_test() {
    use sentinel::command::{caught, report_panics};
    if std::env::var_os(IN_A_CHILD).is_none() {
        return;
    }
    report_panics();
    let held = String::from("canary-of-a-variable");
    // This variable does not exist.
    let none = std::env::var("SENTINEL_TEST_NONE").ok();
    let failed = none.clone().map(drop).ok_or(held.clone());
    let panics: [Box<dyn FnOnce()>; 5] = [
        Box::new(|| panic!("{held} is not a number")),
        Box::new(|| assert!(none.expect("a text of the program").is_empty())),
        Box::new(|| failed.unwrap()),
        Box::new(|| std::panic::panic_any(vec![String::from("canary-of-a-file")])),
        Box::new(|| panic!("a fixed text")),
    ];
    for panics in panics {
        let error = caught(panics).unwrap_err();
        assert_eq!(found_in(&format!("{error} {error:?}")), None);
    }
    let other = std::thread::spawn(|| panic!("{}", String::from("canary-of-a-policy")));
    assert!(other.join().is_err());
}

#[test]
fn a_panic_is_reported_with_its_location_and_without_values() {
    let run = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "secrets::panics_for_the_hook_test", "--nocapture"])
        .env(IN_A_CHILD, "1")
        .env("RUST_BACKTRACE", "1")
        .output()
        .unwrap();
    let output = format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{output}");
    assert_eq!(found_in(&output), None, "{output}");
    let head = "error[E010]: internal error: a panic at tests/suite/secrets.rs:";
    assert_eq!(output.matches(head).count(), 6, "{output}");
    assert!(output.contains(": a fixed text\n"), "{output}");
    assert_eq!(
        output.matches("hint: this is a bug: report it with the command and this message").count(),
        6,
        "{output}"
    );
}
