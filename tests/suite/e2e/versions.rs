//! `policy show`, `history`, `diff` and `rollback`.

use serde_json::json;

use crate::world::World;

const MANIFEST: &str =
    "[aws]\nregion = \"us-east-1\"\n[profiles.dev]\npolicy = \"policies/dev.yaml\"\n[profiles.staging]\n";

const POLICY: &str = "\
version: \"1\"
rules:
  - name: developers
    effect: allow
    conditions: { users: [alice] }
";

/// Returns a world in which the policy of `dev` has three versions: alice, then also bob, then only mallory.
fn three_versions() -> World {
    let world = World::new();
    world.write("sentinel.toml", MANIFEST);
    for users in ["alice", "alice, bob", "mallory"] {
        world.write("policies/dev.yaml", &POLICY.replace("alice", users));
        world.run(&["apply", "--yes"]).expect(0);
    }
    world
}

#[test]
fn policy_show_prints_the_text_of_any_version() {
    let world = three_versions();
    let newest = world.run(&["policy", "show", "dev"]).expect(0);
    assert_eq!(newest.stdout, POLICY.replace("alice", "mallory"));
    let first = world.run(&["policy", "show", "dev", "1"]).expect(0);
    assert_eq!(first.stdout, POLICY);
    let document = world.run(&["policy", "show", "dev", "2", "--json"]).expect(0).json();
    assert_eq!((&document["version"], &document["policy"]), (&json!(2), &json!(POLICY.replace("alice", "alice, bob"))));
    assert!(document["author"].is_string(), "{document}");
    let missing = world.run(&["policy", "show", "dev", "9"]).expect(1);
    assert!(missing.stderr.contains("has no version 9"), "{}", missing.stderr);
    assert!(missing.stderr.contains("it keeps versions 1 to 3"), "{}", missing.stderr);
    let none = world.run(&["policy", "show", "dve"]).expect(1);
    assert!(none.stderr.contains("did you mean dev?"), "{}", none.stderr);
    assert!(world.writes().iter().all(|write| write.contains("PutParameter")), "{:?}", world.writes());
}

#[test]
fn policy_history_shows_the_meaning_of_each_version() {
    let world = three_versions();
    let run = world.run(&["policy", "history", "dev"]).expect(0);
    let lines: Vec<&str> = run.stdout.lines().filter(|line| line.trim_start().starts_with(['1', '2', '3'])).collect();
    assert_eq!(lines.len(), 3, "{}", run.stdout);
    assert!(lines[0].trim_start().starts_with('3') && lines[0].contains("mallory gains dev"), "{}", run.stdout);
    assert!(lines[1].contains("bob gains dev"), "{}", run.stdout);
    assert!(lines[2].contains("alice gains dev"), "{}", run.stdout);
    let document = world.run(&["policy", "history", "dev", "--json"]).expect(0).json();
    assert_eq!(document["versions"][1]["means"][0]["words"], "bob gains dev");
}

#[test]
fn policy_diff_compares_two_versions() {
    let world = three_versions();
    let run = world.run(&["policy", "diff", "dev"]).expect(0);
    for words in
        ["version 2 to version 3", "mallory gains dev", "alice and bob lose dev", "--- version 2", "+++ version 3"]
    {
        assert!(run.stdout.contains(words), "{words} in {}", run.stdout);
    }
    let run = world.run(&["policy", "diff", "dev", "--from", "1", "--to", "2"]).expect(0);
    assert!(run.stdout.contains("bob gains dev") && !run.stdout.contains("mallory"), "{}", run.stdout);
    let oldest = world.run(&["policy", "diff", "dev", "--to", "1"]).expect(1);
    assert!(oldest.stderr.contains("keeps no version before 1"), "{}", oldest.stderr);
}

#[test]
fn policy_rollback_writes_an_earlier_version_as_a_new_one() {
    let world = three_versions();
    let unasked = world.run(&["policy", "rollback", "dev", "--to", "1"]).expect(1);
    assert!(unasked.stderr.contains("--yes"), "{}", unasked.stderr);
    let run = world.run(&["policy", "rollback", "dev", "--to", "1", "--yes"]).expect(0);
    assert!(run.stdout.contains("alice gains dev") && run.stdout.contains("+++ version 1"), "{}", run.stdout);
    assert!(run.stderr.contains("policies/dev.yaml differs from version 1"), "{}", run.stderr);
    assert_eq!(world.parameter("/sentinel/policies/dev"), POLICY);
    let document = world.run(&["policy", "history", "dev", "--json"]).expect(0).json();
    assert_eq!(document["versions"][0]["version"], 4);
    // The manifest is authoritative: its file differs until it has the same text.
    world.run(&["plan", "--detailed-exitcode"]).expect(2);
    world.write("policies/dev.yaml", POLICY);
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
    // Repeating it has no effect.
    let again = world.run(&["policy", "rollback", "dev", "--to", "1", "--yes"]).expect(0);
    assert!(again.stderr.is_empty(), "{}", again.stderr);
    let document = world.run(&["policy", "history", "dev", "--json"]).expect(0).json();
    assert_eq!(document["versions"][0]["version"], 4);
}

/// The displayed command has the options of the run, and leaves the file as it is when it fails.
#[test]
fn policy_rollback_prints_the_command_that_keeps_the_version() {
    let world = World::new();
    world.write("sentinel.toml", "[profiles.dev]\npolicy = \"it's.yaml\"\n");
    for users in ["alice", "bob"] {
        world.write("it's.yaml", &POLICY.replace("alice", users));
        world.run(&["apply", "--yes"]).expect(0);
    }
    let run = world.run(&["policy", "rollback", "dev", "--to", "1", "--yes", "--region", "us-east-1"]).expect(0);
    let command = run.stderr.lines().find_map(|line| line.strip_prefix("    sentinel ")).unwrap();
    let (show, rest) = command.split_once(" --endpoint-url ").unwrap();
    assert_eq!(show, "policy show dev 1 --region us-east-1");
    let (_, write) = rest.split_once(' ').unwrap();
    assert_eq!(write, "> \"it's.yaml.new\" && mv \"it's.yaml.new\" \"it's.yaml\"");
}

#[test]
fn policy_rollback_needs_no_manifest_and_touches_only_its_profile() {
    let world = three_versions();
    let elsewhere = tempfile::TempDir::new().unwrap();
    let mut command = world.command_as("admin", &["policy", "rollback", "dev", "--to", "2", "--yes"]);
    let run = crate::world::finish(command.current_dir(elsewhere.path()).spawn().unwrap()).expect(0);
    assert!(!run.stdout.contains("Orphans"), "{}", run.stdout);
    assert_eq!(world.parameter("/sentinel/policies/dev"), POLICY.replace("alice", "alice, bob"));
}

#[test]
fn policy_rollback_shows_its_progress_unless_quiet() {
    let world = three_versions();
    let loud = world.run(&["policy", "rollback", "dev", "--to", "1", "--yes"]).expect(0);
    let quiet = world.run(&["policy", "rollback", "dev", "--to", "2", "--yes", "--quiet"]).expect(0);
    assert!(loud.stderr.contains("/sentinel/policies/dev: "), "{}", loud.stderr);
    assert!(!quiet.stderr.contains("/sentinel/policies/dev: "), "{}", quiet.stderr);
}

#[test]
fn an_invalid_version_is_not_rolled_back_to() {
    let world = three_versions();
    let put = |value: &str| {
        let body = json!({ "Name": "/sentinel/policies/dev", "Value": value, "Type": "String", "Overwrite": true });
        world.aws("AmazonSSM.PutParameter", &body);
    };
    put("no policy");
    put(POLICY);
    let history = world.run(&["policy", "history", "dev"]).expect(0);
    assert!(history.stdout.contains("not a valid policy"), "{}", history.stdout);
    let run = world.run(&["policy", "rollback", "dev", "--to", "4", "--yes"]).expect(1);
    assert!(run.stderr.contains("version 4 cannot be written again"), "{}", run.stderr);
    assert_eq!(world.parameter("/sentinel/policies/dev"), POLICY);
}

#[test]
fn secret_policies_are_printed_only_with_show_secrets() {
    let world = World::new();
    world.write(
        "sentinel.toml",
        "[aws]\nregion = \"us-east-1\"\n[profiles.dev]\npolicy = \"dev.yaml\"\ntype = \"SecureString\"\n",
    );
    for users in ["alice", "bob"] {
        world.write("dev.yaml", &POLICY.replace("alice", users));
        world.run(&["apply", "--yes"]).expect(0);
    }
    let refused = world.run(&["policy", "show", "dev"]).expect(1);
    assert!(refused.stdout.is_empty() && refused.stderr.contains("--show-secrets"), "{}", refused.stderr);
    let history = world.run(&["policy", "history", "dev"]).expect(0);
    assert!(history.stdout.contains("a secret"), "{}", history.stdout);
    for words in
        [vec!["policy", "history", "dev"], vec!["policy", "diff", "dev"], vec!["policy", "history", "dev", "--json"]]
    {
        let run = world.run(&words).expect(0);
        assert!(!run.stdout.contains("bob") && !run.stdout.contains("alice"), "{}", run.stdout);
    }
    let shown = world.run(&["policy", "diff", "dev", "--show-secrets"]).expect(0);
    assert!(shown.stdout.contains("bob gains dev"), "{}", shown.stdout);
    world.run(&["policy", "rollback", "dev", "--to", "1", "--yes"]).expect(0);
    let shown = world.run(&["policy", "show", "dev", "--show-secrets"]).expect(0);
    assert_eq!(shown.stdout, POLICY);
}

/// A page is self-contained, and describes its pictures as text.
#[test]
fn policy_show_draws_the_week_before_and_after_a_version() {
    let world = World::new();
    let policy = |hours: &str| {
        format!(
            "version: \"1\"\nrules:\n  - name: office\n    effect: allow\n    conditions:\n      users: [alice]\n      time:\n        \
             days: [monday, friday]\n        hours: {{ {hours} }}\n        timezone: Europe/Zurich\n"
        )
    };
    world.write("sentinel.toml", MANIFEST);
    for end in ["17:00", "18:00"] {
        world.write("policies/dev.yaml", &policy(&format!("start: \"09:00\", end: \"{end}\"")));
        world.run(&["apply", "--yes"]).expect(0);
    }
    let run = world.run(&["policy", "show", "dev", "--out-html", "dev.html"]).expect(0);
    assert!(run.stdout.starts_with("version: \"1\"\n"), "{}", run.stdout);
    // Hours are in an element that keeps them on one line.
    let page = |name: &str| {
        let text = std::fs::read_to_string(world.folder.path().join(name)).unwrap();
        text.replace("<span class=\"whole\">", "").replace("</span>", "")
    };
    let shown = page("dev.html");
    for words in [
        "Policy of dev, version 2",
        "Changed since version 1",
        "<figcaption>before, Europe/Zurich</figcaption>",
        "<figcaption>after, Europe/Zurich</figcaption>",
        ">Monday 17:00–18:00<br>Friday 17:00–18:00</td><td data-of=\"before\">no access</td><td data-of=\"after\">allowed</td>",
        "At no time: everyone but alice",
        "Europe/Zurich changes its clocks",
        "timezone: Europe/Zurich",
    ] {
        assert!(shown.contains(words), "{words} in {shown}");
    }
    assert!(!shown.contains("<script") && !shown.contains("http:") && !shown.contains("https:"), "{shown}");
    // The same in the report of a plan.
    world.write("policies/dev.yaml", &policy("start: \"09:00\", end: \"12:00\""));
    world.run(&["plan", "--out-html", "plan.html"]).expect(0);
    let planned = page("plan.html");
    let row = ">Monday 12:00–18:00<br>Friday 12:00–18:00</td><td data-of=\"before\">allowed</td>";
    assert!(planned.contains(row), "{planned}");
    let refused = world.run(&["policy", "show", "dev", "--out-html", "policies/dev.yaml"]).expect(1);
    assert!(refused.stderr.contains("this file looks like a manifest or a policy"), "{}", refused.stderr);
}
