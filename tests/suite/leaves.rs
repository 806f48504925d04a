//! Every text in a saved plan is shown without effect on a terminal, Markdown, HTML or a workflow runner.

use std::collections::BTreeSet;

use sentinel::cli::Format;
use sentinel::error::Error;
use sentinel::planfile::{PlanFile, Unusable};
use sentinel::reconcile::{ApplyReport, Outcome, ResourceReport, Verification};
use sentinel::report::output::{Body, Part, Shown};
use sentinel::report::{Detail, json as documents, text, without_color};
use serde_json::{Value, json};

use crate::hostile::check_markdown;
use crate::world::{Answer, World};

/// Texts with an effect on some output.
const EVIL: &str = "\u{1b}]0;title\u{7}\u{1b}[2J\u{9b}2J\u{61c}\u{e0041}\u{202e}\r\n# heading\n::error::command\n::set-output name=x::y\n##[group]g\n\
[link](https://evil.example) @octocat <img src=x onerror=alert(1)> </code></details> ``` | \n";

/// Returns a text with hostile parts, in each position that can matter.
fn hostile(text: &str) -> [String; 4] {
    [format!("{text}{EVIL}"), EVIL.to_owned(), format!("::error::{text}"), format!(" ##[error]{text}")]
}

/// Plans that together have every field of a plan.
fn plans() -> Vec<Value> {
    let read = |world: &World| -> Value {
        serde_json::from_str(&std::fs::read_to_string(world.folder.path().join("p.json")).unwrap()).unwrap()
    };
    let manifest = "[aws]\nregion = \"us-east-1\"\n[profiles.dev]\npolicy = \"dev.yaml\"\n[profiles.same]\npolicy = \"dev.yaml\"\n\
[profiles.tagged]\ntier = \"standard\"\ntags = { team = \"a\" }\n[profiles.old]\n[tables.approvals]\ndeletion_protection = true\n\
[tables.audit]\nname = \"acme-audit\"\npartition_key = { name = \"id\", type = \"S\" }\nttl_attribute = \"ends\"\ntags = { team = \"a\" }\n\
[tables.audit.indexes.actor-index]\npartition_key = { name = \"actor\", type = \"S\" }\nprojection = { include = [\"what\"] }\n";
    let policy = |user: &str| {
        format!(
            "version: \"1\"\nrules:\n  - {{ name: a, effect: allow }}\n  - {{ name: b, effect: allow, conditions: {{ users: [{user}], profiles: [gone] }} }}\n"
        )
    };
    let world = World::quick();
    world.write("sentinel.toml", manifest).write("dev.yaml", &policy("alice"));
    world.write("dev.test.yaml", "profile: dev\ncases:\n  - { user: nobody, expect: deny }\n");
    // Creations.
    world.run(&["plan", "--out", "p.json"]).expect(0);
    let created = read(&world);
    world.run(&["apply", "--yes"]).expect(0);
    // Drift, deletions, refusals, and unlisted resources.
    let narrower = manifest.replace("[profiles.old]\n", "").replace("team = \"a\"", "team = \"b\"");
    let other = narrower.replace("actor-index", "other-index").replace("protection = true", "protection = false");
    world.write("sentinel.toml", &other).write("dev.yaml", &policy("bob"));
    let put = json!({ "Name": "/sentinel/policies/theirs", "Value": "x", "Type": "String" });
    world.aws("AmazonSSM.PutParameter", &put);
    world.run(&["plan", "--prune", "--out", "p.json"]).expect(0);
    let withheld = read(&world);
    let all = ["--allow-destructive", "prune,index,protection"];
    world
        .run(&[&["plan", "--prune", "--adopt", "--exclude", "x*", "--only", "*", "--out", "p.json"][..], &all].concat())
        .expect(0);
    let allowed = read(&world);
    // Failed reads.
    world.fault(|call| {
        let denied = ["DescribeTable", "ListTagsForResource", "DescribeTimeToLive"].contains(&call.operation.as_str());
        denied.then(|| Answer::error(400, "AccessDeniedException", "no"))
    });
    world.run(&["plan", "--prune", "--out", "p.json"]).expect(0);
    let unread = read(&world);
    // Several targets.
    let world = World::quick();
    let targets = "[targets.one]\nregion = \"us-east-1\"\nrole_arn = \"arn:aws:iam::111111111111:role/deploy\"\n[targets.two]\nregion = \"us-west-2\"\n[profiles.dev]\n";
    world.write("sentinel.toml", targets);
    world.run(&["plan", "--out", "p.json"]).expect(0);
    vec![created, withheld, allowed, unread, read(&world)]
}

/// The location of a text: a value, or the key of one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Leaf {
    Value(String),
    Key(String, String),
}

/// Returns the common form of all locations of a kind.
fn kind(leaf: &Leaf) -> String {
    format!("{leaf:?}").replace(|letter: char| letter.is_ascii_digit(), "")
}

fn leaves(value: &Value, pointer: &str, found: &mut Vec<Leaf>) {
    let escaped = |key: &str| key.replace('~', "~0").replace('/', "~1");
    match value {
        Value::String(_) => found.push(Leaf::Value(pointer.to_owned())),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(place, item)| leaves(item, &format!("{pointer}/{place}"), found));
        }
        Value::Object(fields) => {
            for (key, value) in fields {
                found.push(Leaf::Key(pointer.to_owned(), key.clone()));
                leaves(value, &format!("{pointer}/{}", escaped(key)), found);
            }
        }
        _ => {}
    }
}

/// Returns the documents with one hostile text.
fn forged(document: &Value, leaf: &Leaf) -> Vec<Value> {
    let with = |text: &str, put: &dyn Fn(&mut Value, String)| -> Vec<Value> {
        let one = |evil| {
            let mut document = document.clone();
            put(&mut document, evil);
            document
        };
        hostile(text).into_iter().map(one).collect()
    };
    match leaf {
        Leaf::Value(pointer) => {
            let text = document.pointer(pointer).unwrap().as_str().unwrap();
            with(text, &|document, evil| *document.pointer_mut(pointer).unwrap() = json!(evil))
        }
        // An address is identified by the part before its dot, so the part after it is forged.
        Leaf::Key(pointer, key) => with(key, &|document, evil| {
            let fields = document.pointer_mut(pointer).unwrap().as_object_mut().unwrap();
            let value = fields.remove(key).unwrap();
            let evil = match key.split_once('.') {
                Some((section, _)) if key.starts_with("profiles.") || key.starts_with("tables.") => {
                    format!("{section}.{evil}")
                }
                _ => evil,
            };
            fields.insert(evil, value);
        }),
    }
}

/// Returns whether a character has an effect on a terminal, or is not shown by it.
fn hidden(letter: char) -> bool {
    letter.is_control() || ['\u{61c}', '\u{e0041}', '\u{202e}'].contains(&letter)
}

/// Checks an output other than workflow annotations.
#[track_caller]
fn check_plain(output: &str, what: &str) {
    for line in output.split('\n') {
        assert!(!line.contains(hidden), "{what}: {line:?}");
        assert!(!line.trim_start().starts_with("::") && !line.contains("##["), "{what}: {line:?}");
        // A line of the output never starts with a forged text.
        assert!(!line.starts_with("# heading"), "{what}: {line:?}");
    }
}

#[track_caller]
fn check_all(shown: &Shown<'_>, what: &str) {
    for format in [Format::Text, Format::Json, Format::Markdown, Format::Html, Format::Github] {
        let rendered = shown.render(format, None).unwrap();
        // Only text has colors.
        let output = if format == Format::Text { without_color(&rendered) } else { rendered };
        let what = format!("{what} as {format:?}");
        match format {
            Format::Github => {
                for line in output.lines() {
                    let ours = ["::error ", "::warning ", "::notice "].iter().any(|head| line.starts_with(head));
                    assert!(ours && !line.contains("##[") && !line.contains(hidden), "{what}: {line:?}");
                }
            }
            Format::Markdown => {
                check_plain(&output, &what);
                check_markdown(&output);
            }
            Format::Html => {
                check_plain(&output, &what);
                for tag in ["<img", "<a ", "<script"] {
                    assert!(!output.contains(tag), "{what}: {tag}");
                }
            }
            Format::Json => {
                check_plain(&output, &what);
                serde_json::from_str::<Value>(&output).unwrap();
            }
            Format::Text => check_plain(&output, &what),
        }
    }
}

/// Checks the output for a plan: shown, refused, and applied.
fn check(document: Value, what: &str) {
    match serde_json::from_value::<PlanFile>(document) {
        Ok(file) => {
            let parts = file.targets.iter().map(|target| Part {
                name: target.plan.target.name.as_deref(),
                index: None,
                body: Ok(Body::Plan(&target.plan, &target.review)),
            });
            let shown = Shown {
                command: "show",
                preface: Some(text::plan_file(&file)),
                extra: Vec::new(),
                parts: parts.collect(),
                detail: Detail::All,
            };
            check_all(&shown, what);
            for target in &file.targets {
                let plan = &target.plan;
                let report = |resource: &sentinel::reconcile::ResourcePlan| {
                    let steps: Vec<String> = resource.steps.iter().map(sentinel::kind::Step::describe).collect();
                    let outcome = Outcome::Failed { why: resource.name.clone(), code: None };
                    let (address, name) = (resource.address.clone(), resource.name.clone());
                    ResourceReport { address, name, outcome, steps_done: 0, done: steps.clone(), not_done: steps }
                };
                let resources: Vec<ResourceReport> = plan.resources.iter().map(report).collect();
                let addresses = resources.iter().map(|one| one.address.clone()).collect();
                let verification = Verification::Differs { addresses };
                let report = ApplyReport { resources, verification, interrupted: false };
                check_plain(&without_color(&text::applied(plan, &report)), what);
                let document =
                    documents::applied("apply", documents::applied_part(plan, &target.review, &report)).unwrap();
                check_plain(&documents::text(&document), what);
            }
            if let Err(why) = PlanFile::read(&file.to_text().unwrap()) {
                refused(&why, what);
            }
        }
        Err(error) => refused(&Unusable::Unreadable { why: error.to_string() }, what),
    }
}

/// Checks the error for a refused plan.
#[track_caller]
fn refused(why: &Unusable, what: &str) {
    let error = Error::unusable_plan("p.json", why);
    let output = without_color(&text::error(&error));
    check_plain(&output, what);
    assert_eq!(output.lines().count(), 2, "a message and a hint: {output}");
    let parts = vec![Part { name: None, index: None, body: Err(&error) }];
    check_all(&Shown { command: "apply", preface: None, extra: Vec::new(), parts, detail: Detail::All }, what);
}

#[test]
fn no_text_of_a_plan_has_an_effect_in_any_format() {
    let mut walked = 0;
    let mut seen = BTreeSet::new();
    for document in plans() {
        PlanFile::read(&serde_json::from_value::<PlanFile>(document.clone()).unwrap().to_text().unwrap()).unwrap();
        let mut found = Vec::new();
        leaves(&document, "", &mut found);
        let mut free = Vec::new();
        for leaf in &found {
            // Separately for one location of each kind, because another text can suppress its output.
            if seen.insert(kind(leaf)) {
                // A text inside the location's own, and in turn one of the texts that replace it.
                let variants = [0, 1 + seen.len() % 3];
                let mut all = forged(&document, leaf).into_iter().map(Some).collect::<Vec<_>>();
                for forged in variants.iter().filter_map(|&variant| all[variant].take()) {
                    check(forged, &format!("{leaf:?}"));
                }
            }
            if let Leaf::Value(pointer) = leaf {
                let forged = forged(&document, leaf).swap_remove(0);
                match serde_json::from_value::<PlanFile>(forged) {
                    Ok(_) => free.push(pointer),
                    Err(error) => refused(&Unusable::Unreadable { why: error.to_string() }, pointer),
                }
            }
            walked += 1;
        }
        // All of them at once.
        for variant in 0..4 {
            let mut all = document.clone();
            for pointer in &free {
                let text = all.pointer_mut(pointer).unwrap();
                *text = json!(hostile(text.as_str().unwrap())[variant]);
            }
            check(all, &format!("all, {variant}"));
        }
    }
    assert!(walked > 400 && seen.len() > 100, "{walked}, {}", seen.len());
}

/// The same through the binary, once for each kind of location, with a valid digest.
#[test]
fn no_text_of_a_plan_has_an_effect_in_the_output() {
    let world = World::quick();
    world.write(
        "sentinel.toml",
        "[aws]\nregion = \"us-east-1\"\n[profiles.dev]\npolicy = \"dev.yaml\"\n[tables.approvals]\n",
    );
    world.write("dev.yaml", "version: \"1\"\nrules:\n  - { name: a, effect: allow }\n");
    world.write("dev.test.yaml", "profile: dev\ncases:\n  - { user: nobody, expect: deny }\n");
    world.run(&["plan", "--out", "p.json"]).expect(0);
    let text = std::fs::read_to_string(world.folder.path().join("p.json")).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    let mut found = Vec::new();
    leaves(&document, "", &mut found);
    let mut seen = BTreeSet::new();
    for leaf in found {
        let kind = kind(&leaf);
        let forged = forged(&document, &leaf).swap_remove(0);
        let Ok(file) = serde_json::from_value::<PlanFile>(forged) else { continue };
        if !seen.insert(kind) {
            continue;
        }
        world.write("p.json", &file.to_text().unwrap());
        for command in [&["show", "p.json", "--out-markdown", "p.md"][..], &["apply", "p.json", "--yes", "--detached"]]
        {
            let run = world.run(command);
            check_plain(&run.stdout, &format!("{leaf:?}"));
            check_plain(&run.stderr, &format!("{leaf:?}"));
            if let Ok(markdown) = std::fs::read_to_string(world.folder.path().join("p.md")) {
                check_markdown(&markdown);
            }
        }
    }
    assert!(seen.len() > 40, "{seen:?}");
}
