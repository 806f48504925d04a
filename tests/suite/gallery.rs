//! The gallery: the same five plans in every format, in `docs/gallery.md` and the folder beside it.
//!
//! `UPDATE_DOCS=1 cargo test gallery` makes it anew.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::docs::{hold, root};
use crate::world::World;

const MANIFEST: &str = r#"[aws]
region = "us-east-1"

[profiles.dev]
policy = "policies/dev.yaml"

[profiles.prod]
policy = "policies/prod.yaml"

[tables.approvals]

[tables.sessions]
name = "acme-sessions"
point_in_time_recovery = true
"#;

const DEV: &str = r#"version: "1"
credentials: { role_arn: ["arn:aws:iam::123456789012:role/dev"] }
rules:
  - name: developers
    effect: allow
    conditions: { users: [alice, bob] }
  - name: rest
    effect: deny
"#;

const PROD: &str = r#"version: "1"
credentials: { role_arn: ["arn:aws:iam::123456789012:role/prod"] }
rules:
  - name: office-hours
    effect: allow
    conditions:
      users: [alice, bob]
      time:
        days: [monday, tuesday, wednesday, thursday, friday]
        hours: { start: "09:00", end: "17:00" }
        timezone: Europe/Zurich
  - name: on-call
    effect: require_approval
    conditions: { users: [alice] }
  - name: rest
    effect: deny
"#;

const CASES: &str = r#"profile: prod
at: "2026-01-14T19:00[Europe/Zurich]"
cases:
  - { name: alice in the evening asks, user: alice, expect: require_approval }
  - { name: bob in the evening stays out, user: bob, expect: deny }
  - { name: bob at noon gets in, user: bob, at: "2026-01-14T12:00[Europe/Zurich]", expect: allow }
"#;

/// One plan: its title, what it shows, and what is done to the world before it is made.
struct Scene {
    name: &'static str,
    title: &'static str,
    story: &'static str,
    set: fn(&World),
}

const SCENES: [Scene; 5] = [
    Scene { name: "first-run", title: "First run", story: "AWS has none of the resources.", set: |_| {} },
    Scene {
        name: "no-changes",
        title: "No changes",
        story: "Everything is in sync.",
        set: |world| drop(world.run(&["apply", "--yes"]).expect(0)),
    },
    Scene {
        name: "policy-drift",
        title: "A policy that drifted",
        story: "The office now closes at 20:00, bob is no longer named, and a test case of the policy fails.",
        set: |world| {
            world.run(&["apply", "--yes"]).expect(0);
            let prod = PROD.replace("17:00", "20:00").replace("users: [alice, bob]", "users: [alice, carol]");
            world
                .write("policies/prod.yaml", &prod)
                .write("policies/dev.yaml", &DEV.replace("  - name: rest\n    effect: deny\n", ""));
        },
    },
    Scene {
        name: "table-drift",
        title: "A table that drifted, with a refusal",
        story: "An index of the manifest is missing, and an extra index exists. Deleting the extra index is refused.",
        set: |world| {
            world.run(&["apply", "--yes"]).expect(0);
            let index = |name: &str, sort: &str| {
                json!({ "IndexName": name, "Projection": { "ProjectionType": "ALL" }, "KeySchema": [
                    { "AttributeName": "user", "KeyType": "HASH" }, { "AttributeName": sort, "KeyType": "RANGE" } ] })
            };
            let attribute = |name: &str, kind: &str| json!({ "AttributeName": name, "AttributeType": kind });
            world.aws("DynamoDB_20120810.DeleteTable", &json!({ "TableName": "acme-sessions" }));
            std::thread::sleep(std::time::Duration::from_millis(200));
            world.aws("DynamoDB_20120810.CreateTable", &json!({
                "TableName": "acme-sessions",
                "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
                "AttributeDefinitions": [attribute("id", "S"), attribute("user", "S"), attribute("started_at", "N"), attribute("ended_at", "N")],
                "GlobalSecondaryIndexes": [index("user-index", "started_at"), index("ended-index", "ended_at")],
                "BillingMode": "PAY_PER_REQUEST",
            }));
            std::thread::sleep(std::time::Duration::from_millis(300));
        },
    },
    Scene {
        name: "unreadable",
        title: "Partly unreadable",
        story: "The caller has no permission to read one table, or the backups of another.",
        set: |world| {
            world.run(&["apply", "--yes"]).expect(0);
            world.fail("DescribeTable", "AccessDeniedException", "sentinel-requests");
            world.fail("DescribeContinuousBackups", "AccessDeniedException", "acme-sessions");
        },
    },
];

/// Takes out what is another at each run.
fn steady(text: &str) -> String {
    let mut text = text.replace("::stop-commands::", "\u{1}");
    // The token that switches workflow commands off and on.
    if let Some(at) = text.find('\u{1}') {
        let token: String = text[at + 1..].chars().take_while(char::is_ascii_hexdigit).collect();
        text = text.replace(&token, "TOKEN").replace('\u{1}', "::stop-commands::");
    }
    text
}

fn steady_json(text: &str) -> String {
    let mut document: Value = serde_json::from_str(text).unwrap();
    crate::schema::hold_plan(&document);
    for resource in document["resources"].as_array_mut().unwrap() {
        if let Some(id) = resource["live"].get_mut("id") {
            *id = json!("00000000-0000-4000-8000-000000000000");
        }
        if let Some(modified) = resource["live"].get_mut("modified") {
            *modified = json!(1_768_816_800);
        }
        if let Some(arn) = resource["live"].get_mut("arn") {
            *arn = json!("arn:aws:…");
        }
    }
    serde_json::to_string_pretty(&document).unwrap() + "\n"
}

#[test]
fn the_gallery_is_what_the_plans_look_like() {
    if crate::world::moto().is_some() {
        // Its ARNs are others; the formats are the same.
        return;
    }
    let folder = root().join("docs/gallery");
    let mut page = String::from(HEAD);
    for scene in SCENES {
        let world = World::new();
        world.write("sentinel.toml", MANIFEST).write("policies/dev.yaml", DEV);
        world.write("policies/prod.yaml", PROD).write("policies/prod.test.yaml", CASES);
        (scene.set)(&world);
        let files =
            ["--out-text", "t", "--out-json", "j", "--out-markdown", "m", "--out-html", "h", "--out-github", "g"];
        let run = world.run(&[&["plan", "--color", "always"][..], &files].concat()).expect(0);
        let file = |name: &str| std::fs::read_to_string(world.folder.path().join(name)).unwrap();
        let name = scene.name;
        let picture = anstyle_svg::Term::new().palette(anstyle_svg::WIN10_CONSOLE).render_svg(&run.stdout);
        write(&folder.join(format!("{name}.svg")), &picture);
        write(&folder.join(format!("{name}.html")), &file("h"));
        write(&folder.join(format!("{name}.json")), &steady_json(&file("j")));
        // Markdown in Markdown: a fence longer than any in it.
        let (text, markdown, github) = (file("t"), file("m"), steady(&file("g")));
        writeln!(page, "\n## {}\n\n{}\n", scene.title, scene.story).unwrap();
        writeln!(page, "![the plan on a terminal](gallery/{name}.svg)\n").unwrap();
        fold(&mut page, "text, without color", "text", &text);
        fold(&mut page, "Markdown source", "markdown", &markdown);
        writeln!(page, "<details><summary>Markdown, rendered</summary>\n\n{}\n</details>\n", markdown.trim_end())
            .unwrap();
        fold(&mut page, "GitHub annotations", "text", &github);
        writeln!(page, "Also: [JSON](gallery/{name}.json), [HTML](gallery/{name}.html).").unwrap();
    }
    write(&root().join("docs/gallery.md"), &page);
}

fn fold(page: &mut String, title: &str, language: &str, text: &str) {
    writeln!(page, "<details><summary>{title}</summary>\n\n`````{language}\n{text}`````\n\n</details>\n").unwrap();
}

/// Holds a file of the gallery, which is made when it is not there yet.
fn write(path: &std::path::Path, text: &str) {
    if !path.exists() && std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }
    hold(path, text);
}

const HEAD: &str = "\
# Gallery

The same five plans in every format. A test creates this page from runs on the AWS emulator: `sentinel plan` on a terminal, and
`--out-text`, `--out-json`, `--out-markdown`, `--out-html` and `--out-github` of the same run.
";
