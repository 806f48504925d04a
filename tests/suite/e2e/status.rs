use serde_json::json;

use super::{POLICY, project};
use crate::snapshot;
use crate::world::World;

#[test]
fn init_status_of_an_empty_account_suggests_commands() {
    let world = World::new();
    let run = world.run(&["init", "status"]).expect(0);
    snapshot!(run.stdout);
    assert_eq!(world.writes(), [""; 0]);
    // The suggested commands work when pasted.
    let commands: Vec<String> =
        run.stdout.lines().filter_map(|line| line.trim().strip_prefix("Run: sentinel ")).map(str::to_owned).collect();
    assert_eq!(commands.len(), 4);
    for command in commands {
        let words = shlex::split(&command).unwrap();
        let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
        let at = words.iter().position(|word| *word == "--endpoint-url").unwrap();
        words.drain(at..at + 2);
        words.push("--yes");
        world.run(&words).expect(0);
    }
    let run = world.run(&["init", "status"]).expect(0);
    assert!(!run.stdout.contains("Suggestions"), "{}", run.stdout);
}

#[test]
fn init_status_lists_every_policy_under_the_root_at_any_depth() {
    let world = World::new();
    for number in 0..23 {
        let put = json!({ "Name": format!("/team/p{number:02}"), "Value": "x", "Type": "String" });
        world.aws("AmazonSSM.PutParameter", &put);
    }
    world.aws("AmazonSSM.PutParameter", &json!({ "Name": "/team/deep/one", "Value": "x", "Type": "String" }));
    world.aws("AmazonSSM.PutParameter", &json!({ "Name": "/teamwork", "Value": "x", "Type": "String" }));
    let run = world.run(&["init", "status", "--policy-root", "/team", "--check-tables=false", "--json"]).expect(0);
    let document = run.json();
    assert_eq!(document["parameters"].as_array().unwrap().len(), 24);
    assert_eq!(document["parameters"][0]["profile"], json!("deep/one"));
    assert_eq!((&document["tables"], &document["suggestions"]), (&json!([]), &json!([])));
}

#[test]
fn init_status_shows_denied_reads_and_everything_else() {
    let world = World::new();
    world.run(&["init", "bootstrap", "--profile", "dev", "--with-approvals", "--yes"]).expect(0);
    world.fail("DescribeTable", "AccessDeniedException", "sentinel-sessions");
    let run = world.run(&["init", "status", "--check-tables", "--aws-profile", "x"]);
    // A missing profile has no credentials, whatever keys the environment contains.
    let run = run.expect(1);
    assert!(run.stderr.contains("hint: set credentials"), "{}", run.stderr);
    let run = world.run(&["init", "status", "--check-tables"]).expect(0);
    snapshot!(run.stdout);
    snapshot!(world.run(&["init", "status", "--check-tables", "--json"]).expect(0).stdout);
    world.fail("DescribeTimeToLive", "AccessDeniedException", "sentinel-requests");
    let run = world.run(&["init", "status"]).expect(0);
    let line = "sentinel-requests    DynamoDB   ACTIVE  ttl: ACCESS DENIED (dynamodb:DescribeTimeToLive)";
    assert!(run.stdout.contains(line), "{}", run.stdout);
}

#[test]
fn the_shell_hint_follows_the_shell() {
    let world = World::new();
    world.write(".aws/credentials", "[work]\naws_access_key_id = a\naws_secret_access_key = b\n");
    for (shell, expected) in [
        ("/bin/zsh", "Add to ~/.zshrc: eval \"$(sentinel shell init --aws-profile work)\""),
        ("/usr/bin/bash", "Add to ~/.bashrc: eval \"$(sentinel shell init --aws-profile work)\""),
        ("/usr/bin/fish", "Add to ~/.config/fish/config.fish: sentinel shell init --aws-profile work | source"),
    ] {
        let args = ["init", "status", "--aws-profile", "work", "--region", "us-east-1", "--endpoint-url", world.url()];
        let run = crate::world::finish(world.command(&args).env("SHELL", shell).spawn().unwrap()).expect(0);
        assert!(run.stdout.contains(expected), "{}", run.stdout);
        // If the policies are below another root, the functions must use that root too.
        let args = [&args[..], &["--policy-root", "/acme/policies"]].concat();
        let run = crate::world::finish(world.command(&args).env("SHELL", shell).spawn().unwrap()).expect(0);
        let rooted = expected.replace("--aws-profile work", "--aws-profile work --policy-root /acme/policies");
        assert!(run.stdout.contains(&rooted), "{}", run.stdout);
    }
}

#[test]
fn status_of_a_manifest_shows_live_state_and_differences() {
    let world = project();
    world.run(&["apply", "--yes"]).expect(0);
    world.write("policies/dev.yaml", &POLICY.replace("alice", "eve"));
    let manifest = std::fs::read_to_string(world.folder.path().join("sentinel.toml")).unwrap();
    world.write("sentinel.toml", &format!("{manifest}\n[tables.breakglass]\n\n[profiles.new]\n"));
    world.calls();
    let run = world.run(&["status"]).expect(0);
    snapshot!(run.stdout);
    assert_eq!(world.writes(), [""; 0]);
    world.run(&["status", "--detailed-exitcode"]).expect(2);
    let document = world.run(&["status", "--json"]).expect(0).json();
    assert_eq!(document["parameters"][0]["drift"], json!(["content"]));
    assert_eq!(document["tables"][3]["state"], json!("not_found"));
    assert_eq!(document["suggestions"][0]["type"], json!("apply"));
}

#[test]
fn a_filter_is_shown_and_is_in_the_suggestion() {
    let world = project();
    let run = world.run(&["status", "--only", "tables.*", "--exclude", "tables.audit"]).expect(0);
    assert!(run.stdout.contains("\nOnly tables.*\nWithout tables.audit\n"), "{}", run.stdout);
    assert!(!run.stdout.contains("acme-audit") && run.stdout.contains("acme-sessions"), "{}", run.stdout);
    assert!(
        run.stdout.contains("sentinel apply -f sentinel.toml --only 'tables.*' --exclude tables.audit"),
        "{}",
        run.stdout
    );
    let run = world.run(&["plan", "--only", "tables.none"]).expect(1);
    assert!(run.stderr.contains("--only tables.none matches nothing in the manifest"), "{}", run.stderr);
    let run = world.run(&["plan", "--only", "audit"]).expect(1);
    assert!(run.stderr.contains("write an address such as profiles.dev"), "{}", run.stderr);
    // An invalid filter is refused even if it need not match anything.
    for (flag, pattern) in [("--only", "["), ("--exclude", "table.*"), ("--exclude", "tables.[")] {
        let run = world.run(&["plan", "--prune", flag, pattern]).expect(1);
        assert!(run.stderr.contains(&format!("the filter \"{pattern}\" is not valid")), "{}", run.stderr);
    }
    let plan = world.run(&["plan", "--only", "profiles.*", "--json"]).expect(0).json();
    assert_eq!(plan["scope"]["only"], json!(["profiles.*"]));
}

/// The status in the other formats, several from one pass.
#[test]
fn status_is_shown_in_every_format() {
    let world = project();
    world.run(&["init", "approvals", "--yes"]).expect(0);
    let files = ["--out-markdown", "s.md", "--out-html", "s.html", "--out-json", "s.json", "--out-text", "s.txt"];
    let run = world.run(&[&["status", "--format", "github"][..], &files].concat()).expect(0);
    assert!(
        run.stdout.contains("::notice title=sentinel status::AWS differs from the manifest%3A sentinel apply")
            || run.stdout.contains("::notice title=sentinel status::AWS differs from the manifest: sentinel apply"),
        "{}",
        run.stdout
    );
    let file = |name: &str| std::fs::read_to_string(world.folder.path().join(name)).unwrap();
    assert!(file("s.md").contains("| `acme-sessions` | `NOT FOUND` |  |"), "{}", file("s.md"));
    let row = "<td data-of=\"name\"><code><span class=\"whole\">sentinel-requests</span></code></td><td data-of=\"state\">ACTIVE</td>";
    assert!(file("s.html").contains(row), "{}", file("s.html"));
    let document: serde_json::Value = serde_json::from_str(&file("s.json")).unwrap();
    assert_eq!(document["tables"].as_array().map(Vec::len), Some(3));
    assert!(file("s.txt").starts_with("Sentinel Status\n"), "{}", file("s.txt"));
    let same = world.run(&["status", "--format", "json"]).expect(0).json();
    assert_eq!(same, world.run(&["status", "--json"]).expect(0).json());
    world.run(&["status", "--format", "json", "--json"]).expect(1);
}

#[test]
fn status_shows_the_emulator_and_times_in_every_format() {
    let world = World::quick();
    world.write("sentinel.toml", "[aws]\nregion = \"us-east-1\"\n[profiles.dev]\n");
    let run = |args: &[&str]| crate::world::finish(world.command(args).spawn().unwrap()).expect(0);
    run(&["apply", "--yes", "--local=store"]);
    let text = run(&["status", "--local=store"]).stdout;
    let emulator = text.contains("\nAWS emulator in store\nAccount ");
    assert!(emulator && text.contains("v1   (20") && !text.contains("UTC"), "{text}");
    assert_eq!(run(&["status", "--local=store", "--json"]).json()["local"], "store");
    for format in ["markdown", "html"] {
        let shown = run(&["status", "--local=store", "--format", format]).stdout;
        assert!(shown.contains("AWS emulator in store") && shown.contains(" UTC)"), "{format}: {shown}");
    }
}
