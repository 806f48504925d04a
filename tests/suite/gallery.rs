//! The gallery: five plans in every format, in `docs/gallery.md` and the folder next to it.
//!
//! `UPDATE_DOCS=1 cargo test gallery` updates it, and `scripts/accessibility --screenshots` the pictures of the HTML pages.

use std::fmt::Write;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::docs::{check, root};
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

/// A plan: its title, its purpose, and the changes that are made to the world first.
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
        title: "Changed policies",
        story: "In prod, office hours now end at 20:00, and carol replaces bob: two test cases fail. In dev, the last \
                rule was removed, which a lint reports.",
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
        story: "Two indexes of the manifest are missing, TTL and point-in-time recovery are off, and there is an extra \
                index. Deleting the extra index is refused, and with it all other changes of the table, except turning \
                on point-in-time recovery: `apply` does that even so, and reports the table as refused.",
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
        story: "The caller may not read one table, nor the point-in-time recovery setting of another.",
        set: |world| {
            world.run(&["apply", "--yes"]).expect(0);
            world.fail("DescribeTable", "AccessDeniedException", "sentinel-requests");
            world.fail("DescribeContinuousBackups", "AccessDeniedException", "acme-sessions");
        },
    },
];

/// The colors of the pictures. Each has a contrast of at least 4.5 to 1 to the background, also when dimmed (WCAG 2.2, 1.4.3).
const PALETTE: anstyle_svg::Palette = {
    const fn rgb(color: u32) -> anstyle::RgbColor {
        let [_, red, green, blue] = color.to_be_bytes();
        anstyle::RgbColor(red, green, blue)
    }
    let colors = [
        rgb(0x000d_1117),
        rgb(0x00ff_7b72),
        rgb(0x0056_d364),
        rgb(0x00e3_b341),
        rgb(0x0079_c0ff),
        rgb(0x00d2_a8ff),
        rgb(0x0076_e3ea),
        rgb(0x00e6_edf3),
    ];
    let [a, b, c, d, e, f, g, h] = colors;
    anstyle_svg::Palette([a, b, c, d, e, f, g, h, a, b, c, d, e, f, g, h])
};

/// Replaces the parts that differ between runs.
fn steady(text: &str) -> String {
    let mut text = timeless(text).replace("::stop-commands::", "\u{1}");
    // The token that turns workflow commands off and on.
    if let Some(at) = text.find('\u{1}') {
        let token: String = text[at + 1..].chars().take_while(char::is_ascii_hexdigit).collect();
        text = text.replace(&token, "TOKEN").replace('\u{1}', "::stop-commands::");
    }
    text
}

/// Replaces the times of the last changes.
fn timeless(text: &str) -> String {
    let mut parts = text.split(" (20");
    let mut steady = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(" UTC)") {
            Some((time, rest)) if time.len() == "26-01-19 07:20:00".len() => {
                steady.push_str(" (2026-01-19 07:20:00 UTC)");
                steady.push_str(rest);
            }
            _ => steady.push_str(&format!(" (20{part}")),
        }
    }
    steady
}

fn steady_json(text: &str) -> String {
    let mut document: Value = serde_json::from_str(text).unwrap();
    crate::schema::check_plan(&document);
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
fn the_gallery_equals_the_output_of_its_plans() {
    if crate::world::moto().is_some() {
        // Its ARNs differ, and the formats do not.
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
        let file = |name: &str| timeless(&std::fs::read_to_string(world.folder.path().join(name)).unwrap());
        let name = scene.name;
        let picture = anstyle_svg::Term::new().palette(PALETTE).render_svg(&timeless(&run.stdout));
        // The default opacity is too low to read.
        let picture = picture.replace(".dimmed { opacity: 0.4; }", ".dimmed { opacity: 0.8; }");
        write(&folder.join(format!("{name}.svg")), &picture);
        write(&folder.join(format!("{name}.html")), &file("h"));
        write(&folder.join(format!("{name}.json")), &steady_json(&file("j")));
        // Markdown in Markdown needs a fence that is longer than any fence in it.
        let (text, markdown, github) = (file("t"), file("m"), steady(&file("g")));
        writeln!(page, "\n## {}\n\n{}\n", scene.title, scene.story).unwrap();
        writeln!(page, "![the plan on a terminal](gallery/{name}.svg)\n").unwrap();
        fold(&mut page, "text, without color", "text", &text);
        fold(&mut page, "Markdown source", "markdown", &markdown);
        writeln!(page, "<details><summary>Markdown, rendered</summary>\n\n{}\n</details>\n", markdown.trim_end())
            .unwrap();
        fold(&mut page, "GitHub annotations", "text", &github);
        let screenshot = |page: &mut String, title: &str, file: &str| {
            assert!(folder.join(file).exists(), "scripts/accessibility --screenshots writes docs/gallery/{file}");
            writeln!(page, "<details><summary>{title}</summary>\n\n![{title}](gallery/{file})\n\n</details>\n")
                .unwrap();
        };
        screenshot(&mut page, "HTML page", &format!("{name}.png"));
        if ON_A_PHONE.contains(&name) {
            screenshot(&mut page, "HTML page on a phone", &format!("{name}-narrow.png"));
        }
        writeln!(page, "Also: [JSON](gallery/{name}.json), [HTML](gallery/{name}.html).").unwrap();
    }
    write(&root().join("docs/gallery.md"), &page);
}

/// The pictures are made from the HTML pages, and cannot be compared with them.
#[test]
fn each_screenshot_is_made_from_the_current_page() {
    let folder = root().join("docs/gallery");
    let digests: String = SCENES
        .iter()
        .map(|scene| {
            let page = std::fs::read(folder.join(format!("{}.html", scene.name))).unwrap();
            format!("{}  {}.html\n", hex::encode(Sha256::digest(page)), scene.name)
        })
        .collect();
    let recorded = std::fs::read_to_string(folder.join("screenshots.sha256")).unwrap();
    assert_eq!(recorded, digests, "a picture is older than its page: run scripts/accessibility --screenshots");
}

/// The scenes whose pages `scripts/accessibility.mjs` also shows at 400 pixels.
const ON_A_PHONE: [&str; 2] = ["policy-drift", "table-drift"];

fn fold(page: &mut String, title: &str, language: &str, text: &str) {
    writeln!(page, "<details><summary>{title}</summary>\n\n`````{language}\n{text}`````\n\n</details>\n").unwrap();
}

/// Compares a file of the gallery, and creates it if it does not exist.
fn write(path: &std::path::Path, text: &str) {
    if !path.exists() && std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }
    check(path, text);
}

const HEAD: &str = "\
# Gallery

This page shows five plans in every format (JSON as a link). A test creates it from runs on the AWS emulator: `sentinel plan` on
a terminal, and `--out-text`, `--out-json`, `--out-markdown`, `--out-html` and `--out-github` of the same run.
`scripts/accessibility --screenshots` takes the pictures of the HTML pages.
";

/// Returns the contrast of two colors such as `#1f2328` (WCAG 2.2, "contrast ratio").
fn contrast(one: &str, other: &str) -> f64 {
    let luminance = |color: &str| {
        let part = |at: usize| {
            let value = f64::from(u8::from_str_radix(&color[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
    };
    let (one, other) = (luminance(one) + 0.05, luminance(other) + 0.05);
    one.max(other) / one.min(other)
}

/// Mixes a color with its background.
fn blended(color: &str, behind: &str, percent: u32) -> String {
    let part = |at: usize| {
        let value = |color: &str| u32::from_str_radix(&color[at..at + 2], 16).unwrap();
        format!("{:02x}", (value(color) * percent + value(behind) * (100 - percent)) / 100)
    };
    format!("#{}{}{}", part(1), part(3), part(5))
}

/// WCAG 2.2, level AA: 4.5 to 1 for text, and 3 to 1 for other required parts.
#[test]
fn the_colors_of_pages_have_enough_contrast() {
    let style = std::fs::read_to_string(root().join("src/report/html.css")).unwrap();
    let themes: Vec<&str> = style.split(":root {").skip(1).map(|theme| theme.split('}').next().unwrap()).collect();
    assert_eq!(themes.len(), 2, "light and dark");
    for theme in themes {
        let color = |name: &str| {
            let from = theme.find(&format!("--{name}: ")).unwrap_or_else(|| panic!("--{name}")) + name.len() + 4;
            &theme[from..from + 7]
        };
        let texts = [
            ("bg", &["fg", "dim", "green", "yellow", "red", "blue"][..]),
            ("box", &["fg", "dim", "blue"]),
            ("add", &["green"]),
            ("del", &["red"]),
        ];
        for (behind, names) in texts {
            for name in names {
                let found = contrast(color(name), color(behind));
                assert!(found >= 4.5, "--{name} on --{behind}: {found:.2} in {theme}");
            }
        }
        for (name, beside) in [
            ("allowed", "box"),
            ("approval", "box"),
            ("server", "box"),
            ("fg", "allowed"),
            ("red", "bg"),
            ("dim", "box"),
        ] {
            let found = contrast(color(name), color(beside));
            assert!(found >= 3.0, "--{name} beside --{beside}: {found:.2} in {theme}");
        }
    }
}

#[test]
fn the_colors_of_terminal_pictures_have_enough_contrast() {
    for scene in SCENES {
        let picture = std::fs::read_to_string(root().join(format!("docs/gallery/{}.svg", scene.name))).unwrap();
        let fill = |line: &str| line.split("fill: ").nth(1).map(|color| color[..7].to_owned());
        let behind = picture.lines().find(|line| line.trim().starts_with(".bg {")).and_then(fill).unwrap();
        let dimmed =
            picture.split(".dimmed { opacity: 0.").nth(1).map_or(100, |rest| 10 * rest[..1].parse::<u32>().unwrap());
        let colors: Vec<String> =
            picture.lines().filter(|line| line.trim().starts_with(".fg")).filter_map(fill).collect();
        assert!(!colors.is_empty());
        for color in colors {
            for color in [color.clone(), blended(&color, &behind, dimmed)] {
                let found = contrast(&color, &behind);
                assert!(found >= 4.5, "{color} on {behind}: {found:.2} in {}", scene.name);
            }
        }
    }
}
