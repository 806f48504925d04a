//! Tools: lints, explanations, schemas, graphs, completions, manual pages, and suggestions for typos.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::world::{Run, World, finish};

fn run(world: &World, args: &[&str]) -> Run {
    finish(world.command(args).spawn().unwrap())
}

const MANIFEST: &str = "[aws]\nregion = \"us-east-1\"\n[profiles.dev]\npolicy = \"policies/dev.yaml\"\n[profiles.prod]\npolicy = \"policies/prod.yaml\"\n\
    [tables.approvals]\n[tables.sessions]\nname = \"acme-sessions\"\n";

fn project() -> World {
    let world = World::new();
    world.write("sentinel.toml", MANIFEST);
    world.write(
        "policies/dev.yaml",
        "version: \"1\"\nrules: # sentinel: allow L012\n  - { name: all, effect: allow }\n",
    );
    world.write(
        "policies/prod.yaml",
        "version: \"1\"\ncredentials: { aws_profile: [prod] }\nrules:\n  - { name: ask, effect: require_approval, conditions: { users: [alice] } }\n  - name: recorded\n    \
         effect: require_server_session\n    session_table: acme-sessions\n",
    );
    world
}

#[test]
fn lints_are_printed_with_their_line_and_counted() {
    let world = project();
    let run = |args: &[&str]| run(&world, args);
    let found = run(&["policy", "lint"]).expect(1);
    for words in ["warning[L002]", "policies/dev.yaml:3:5", "2 policies: 1 finding."] {
        assert!(found.stdout.contains(words), "{words} in {}", found.stdout);
    }
    let document = run(&["policy", "lint", "--json"]).expect(1).json();
    assert_eq!(document["findings"][0]["code"], json!("L002"));
    assert_eq!(document["findings"][0]["line"], json!(3));
    // A policy without a profile in the manifest is checked alone.
    world.write(
        "other.yaml",
        "version: \"1\"\nrules:\n  - { name: x, effect: deny, conditions: { profiles: [elsewhere] } }\n",
    );
    assert_eq!(run(&["policy", "lint", "other.yaml"]).expect(0).stdout, "1 policy: nothing found.\n");
    // A policy of the manifest is checked against it.
    world.write(
        "policies/prod.yaml",
        "version: \"1\"\nrules:\n  - { name: x, effect: deny, conditions: { profiles: [prdo] } }\n",
    );
    let found = run(&["policy", "lint", "policies/prod.yaml"]).expect(1);
    assert!(found.stdout.contains("did you mean prod?"), "{}", found.stdout);
    world.write("broken.yaml", "version: \"1\"\n");
    run(&["policy", "lint", "broken.yaml"]).expect(1);
    // A window that is never open makes a policy invalid; the fault has the lint's code.
    let window = "time: { hours: { start: \"09:00\", end: \"09:00\" } }";
    let rule = format!("version: \"1\"\nrules:\n  - {{ name: x, effect: deny, conditions: {{ {window} }} }}\n");
    world.write("window.yaml", &rule);
    let fault = run(&["policy", "lint", "window.yaml"]).expect(1).stderr;
    assert!(fault.contains("error[L005]: `hours` end when they start"), "{fault}");
}

/// Hidden text in a policy, its test cases or a manifest is a fault for each command, and the message shows the right line.
#[test]
fn hidden_text_and_yaml_that_is_not_plain_are_refused_everywhere() {
    let world = project();
    let run = |args: &[&str]| run(&world, args).expect(1).stderr;
    let rules = |first: &str| format!("version: \"1\"\nrules:\n{first}  - {{ name: rest, effect: deny }}\n");
    let hidden = "  # the rest\r  - { name: open, effect: allow }\n";
    for (first, code, line) in [
        (hidden.to_owned(), "error[L013]: a carriage return without a line feed (U+000D)", 3),
        (format!("# a\n# b\r\n{hidden}"), "error[L013]: a carriage return", 5),
        ("  # \u{2028}  - { name: all, effect: deny }\n".to_owned(), "error[L013]: a line break", 3),
        (
            "  - { name: x, effect: deny, conditions: { users: !not [a] } }\n".to_owned(),
            "error[L014]: the YAML tag `!not`",
            3,
        ),
        (
            "  - &x { name: x, effect: deny }\n  - { <<: *x, name: y }\n".to_owned(),
            "error[L014]: the YAML merge key",
            4,
        ),
    ] {
        world.write("policies/dev.yaml", &rules(&first));
        for args in [&["policy", "lint"][..], &["policy", "lint", "policies/dev.yaml"], &["validate"], &["plan"]] {
            let output = run(args);
            assert!(
                output.contains(code) && output.contains(&format!("policies/dev.yaml:{line}:")),
                "{args:?}: {output}"
            );
            assert!(!output.contains(['\r', '\u{2028}']), "{output:?}");
        }
    }
    world.write("policies/dev.yaml", &rules(""));
    let case = "profile: dev\ncases:\n  - { user: alice, expect: deny }\n";
    world.write("policies/dev.test.yaml", &format!("{case}# \u{202e}\n"));
    for args in [&["policy", "test", "policies/dev.yaml"][..], &["validate"]] {
        let output = run(args);
        assert!(output.contains("error[L013]") && output.contains("policies/dev.test.yaml:4:"), "{output}");
    }
    world.write("policies/dev.test.yaml", case);
    let manifest = std::fs::read_to_string(world.folder.path().join("sentinel.toml")).unwrap();
    world.write("sentinel.toml", &format!("{manifest}# x\u{2028}[tables.audit]\n"));
    let output = run(&["validate"]);
    assert!(output.contains("error[L013]"), "{output}");
}

#[test]
fn every_code_is_explained_and_unknown_codes_are_refused() {
    let world = World::new();
    let all = run(&world, &["explain"]).expect(0).stdout;
    for line in all.lines() {
        let code = line.split("  ").next().unwrap();
        let one = run(&world, &["explain", &code.to_lowercase()]).expect(0).stdout;
        assert!(one.starts_with(&format!("{code} ")), "{one}");
    }
    assert!(all.lines().count() > 40);
    let none = run(&world, &["explain", "E4O1"]).expect(1).stderr;
    assert!(none.contains("did you mean E401?"), "{none}");
    assert_eq!(run(&world, &["explain", "L001", "--json"]).expect(0).json()["codes"][0]["code"], json!("L001"));
}

#[test]
fn validate_checks_the_test_cases() {
    let world = project();
    run(&world, &["validate"]).expect(0);
    world.write("policies/dev.test.yaml", "profile: dev\ncases:\n  - { user: alice, expect: alow }\n");
    let fault = run(&world, &["validate"]).expect(1).stderr;
    assert!(fault.contains("policies/dev.test.yaml:3") && fault.contains("did you mean \"allow\"?"), "{fault}");
}

/// Every error has a code that `explain` knows.
#[test]
fn an_error_names_its_code() {
    let world = World::new();
    let error = run(&world, &["plan"]).expect(1);
    assert!(error.stderr.starts_with("error[E002]: sentinel.toml: there is no such manifest\n"), "{}", error.stderr);
    assert_eq!(run(&world, &["plan", "--json"]).expect(1).json()["error"]["code"], json!("E002"));
}

#[test]
fn the_printed_schemas_equal_the_published_ones() {
    let world = World::new();
    for (of, file) in [("manifest", "sentinel"), ("plan", "plan")] {
        let printed: Value = run(&world, &["schema", of]).expect(0).json();
        let path = crate::docs::root().join(format!("docs/schema/{file}.schema.json"));
        assert_eq!(printed, serde_json::from_str::<Value>(&std::fs::read_to_string(path).unwrap()).unwrap());
    }
}

#[test]
fn a_graph_has_the_resources_and_their_references() {
    let world = project();
    let graph = |format: &str| run(&world, &["graph", "--format", format]).expect(0).stdout;
    let mermaid = graph("mermaid");
    assert!(mermaid.starts_with("flowchart LR\n"), "{mermaid}");
    assert!(mermaid.contains("n1 -->|\"approval\"| n2") && mermaid.contains("n1 -->|\"sessions\"| n3"), "{mermaid}");
    assert!(!mermaid.contains("n0 -->"), "{mermaid}");
    let dot = graph("dot");
    assert!(dot.contains("n1 -> n3 [label=\"sessions\"];") && dot.ends_with("}\n"), "{dot}");
    let svg = graph("svg");
    assert!(
        svg.starts_with("<svg xmlns=") && svg.contains("user-index") && svg.matches("class=\"edge\" d=").count() == 2,
        "{svg}"
    );
    // Graphviz accepts it, if it is installed.
    let drawn = Command::new("dot").arg("-Tsvg").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    if let Ok(mut child) = drawn {
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), dot.as_bytes()).unwrap();
        assert!(child.wait_with_output().unwrap().status.success());
    }
}

/// The completion script in each installed shell.
#[test]
fn shells_complete_names_of_the_manifest() {
    let world = project();
    world.write("other.toml", "[profiles.elsewhere]\n");
    world.write(".aws/config", "[profile admin]\nregion = us-east-1\n");
    let lines: [(&str, &[&str]); 7] = [
        ("sentinel exec --profile ", &["dev", "prod"]),
        ("sentinel plan --only tables.", &["tables.approvals", "tables.sessions", "tables.*"]),
        ("sentinel plan --only p", &["profiles.dev", "profiles.prod", "profiles.*"]),
        ("sentinel plan -f other.toml --only profiles.e", &["profiles.elsewhere"]),
        ("sentinel plan --aws-profile ", &["admin"]),
        ("sentinel explain L00", &["L001", "L002"]),
        ("sentinel pol", &["policy"]),
    ];
    for (line, expected) in lines {
        // The scripts of all three shells pass the words, and the index of the word to complete.
        let words: Vec<&str> = line.split(' ').collect();
        let mut command = world.command(&[&["--"][..], &words].concat());
        command.env("SENTINEL_COMPLETE", "fish");
        let answered = finish(command.spawn().unwrap()).expect(0).stdout;
        let found: Vec<&str> = answered.lines().map(|line| line.split('\t').next().unwrap()).collect();
        for word in expected {
            assert!(found.contains(word), "{line}: {word} is not in {found:?}");
        }
    }
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&world, &["completions", shell]).expect(0).stdout;
        assert!(script.contains("SENTINEL_COMPLETE"), "{script}");
        world.write(&format!("complete.{shell}"), &script);
    }
    let demanded = std::env::var("SENTINEL_TEST_SHELLS").unwrap_or_default();
    for (shell, ask) in [
        (
            "bash",
            "source ./complete.bash; COMP_WORDS=(sentinel exec --profile p); COMP_CWORD=3; COMP_TYPE=9; _clap_complete_sentinel sentinel p --profile; echo \"${COMPREPLY[@]}\"",
        ),
        ("fish", "source ./complete.fish; complete -C 'sentinel exec --profile p'"),
        (
            "zsh",
            "autoload -Uz compinit && compinit -u -d ./dump && source ./complete.zsh && print -r -- ${_comps[sentinel]}",
        ),
    ] {
        let binary = std::path::Path::new(env!("CARGO_BIN_EXE_sentinel")).parent().unwrap();
        let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
        let asked = Command::new(shell)
            .arg("-c")
            .arg(ask)
            .current_dir(world.folder.path())
            .env("PATH", path)
            .env("HOME", world.folder.path())
            .output();
        let Ok(output) = asked else {
            assert!(!demanded.split(',').any(|one| one == shell), "{shell} is not here");
            continue;
        };
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let expected = if shell == "zsh" { "_clap_dynamic_completer_sentinel" } else { "prod" };
        assert!(text.contains(expected), "{shell}: {text:?} {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn each_command_has_a_manual_page() {
    let world = World::new();
    run(&world, &["man", "man1"]).expect(0);
    for page in ["sentinel.1", "sentinel-plan.1", "sentinel-init-wizard.1", "sentinel-policy-lint.1"] {
        let text = std::fs::read_to_string(world.folder.path().join("man1").join(page)).unwrap();
        assert!(text.contains(".SH SYNOPSIS"), "{page}");
    }
}

#[test]
fn typos_get_a_suggestion() {
    let world = project();
    for (args, meant) in [
        (&["paln"][..], "plan"),
        (&["plan", "--onyl", "tables.*"], "--only"),
        (&["plan", "--only", "tables.sesions"], "did you mean tables.sessions?"),
        (&["plan", "--region", "us-eest-1", "--endpoint-url", "http://nowhere.invalid:1"], "did you mean us-east-1?"),
        (&["exec", "--profile", "dve", "--local", "--", "true"], "did you mean dev?"),
    ] {
        let output = run(&world, args).expect(1).stderr;
        assert!(output.contains(meant), "{args:?}: {output}");
    }
}

/// Returns the options that exclude the roles of an example for which the account needs an identity provider. A new store has none.
pub fn without_provider(manifest: &str) -> &'static [&'static str] {
    if manifest.ends_with("broker/sentinel.toml") { &["--exclude", "roles.deploy"] } else { &[] }
}

/// The examples have no lint findings, in a plan and alone, including a file that several profiles share.
#[test]
fn the_examples_have_no_findings() {
    let world = World::new();
    let mut seen = 0;
    for entry in std::fs::read_dir(crate::docs::root().join("examples")).unwrap() {
        let manifest = entry.unwrap().path().join("sentinel.toml");
        if manifest.is_file() {
            let manifest = manifest.to_str().unwrap();
            run(&world, &["policy", "lint", "-f", manifest]).expect(0);
            let local = format!("--local={}", world.folder.path().join(seen.to_string()).display());
            let plan = [&["plan", "-f", manifest, &local], without_provider(manifest)].concat();
            let plan = run(&world, &plan).expect(0).stdout;
            assert!(!plan.contains("Lint:") && !plan.contains("FAILS"), "{plan}");
            seen += 1;
        }
    }
    assert!(seen >= 5, "{seen}");
}
