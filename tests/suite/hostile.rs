//! Untrusted texts in output for people: they cannot leave their context, notify anyone, or be executed.

use comrak::nodes::NodeValue;
use comrak::{Arena, Options, parse_document};
use serde_json::json;

use crate::world::{Answer, World, finish};

/// A text that must only appear as code.
const EVIL: &str = "@octocat #1 https://evil.example <img src=x onerror=alert(1)> </code></details><script>alert(1)</script> ![x](y) ``` \u{202e}\u{1b}[31m";

/// Returns a world in which every text is hostile: the live policy, the desired one, its test cases, and AWS's messages.
fn world() -> World {
    let world = World::new();
    let yaml = |text: &str| serde_json::to_string(text).unwrap();
    // A valid policy has hidden characters only as escapes, and only in a reason.
    let seen = EVIL.replace(['\u{202e}', '\u{1b}'], "");
    let policy = |comment: &str, user: &str| {
        let (name, user) = (yaml(&format!("rule {seen}")), yaml(user));
        let reason = yaml(EVIL).replace('\u{202e}', "\\u202e");
        format!(
            "version: \"1\"\nrules:\n  - name: {name}\n    effect: allow\n    conditions: {{ users: [{user}] }}\n    reason: {reason}\n    # ````\n# ::error::{comment}\n"
        )
    };
    world.write(
        "sentinel.toml",
        "[aws]\nregion = \"us-east-1\"\n[profiles.dev]\npolicy = \"dev.yaml\"\n[tables.approvals]\n",
    );
    world.write("dev.yaml", &policy(&seen, &format!("{seen} new")));
    let case = yaml(&format!("case {seen}"));
    world.write(
        "dev.test.yaml",
        &format!("profile: dev\ncases:\n  - {{ name: {case}, user: nobody, expect: allow }}\n"),
    );
    let live = policy(EVIL, &format!("{seen} old"));
    world.aws("AmazonSSM.PutParameter", &json!({ "Name": "/sentinel/policies/dev", "Value": live, "Type": "String" }));
    world.fault(|call| (call.operation == "DescribeTable").then(|| Answer::error(400, "ValidationException", EVIL)));
    world
}

/// Checks that Markdown contains hostile text only as code.
#[track_caller]
pub fn check_markdown(markdown: &str) {
    let mut options = Options::default();
    options.extension.table = true;
    options.extension.strikethrough = true;
    options.extension.autolink = true;
    let arena = Arena::new();
    let (mut open, mut closed) = (0, 0);
    for node in parse_document(&arena, markdown, &options).descendants() {
        let html = match &node.data.borrow().value {
            NodeValue::Text(text) => {
                for word in ["@", "#1", "evil", "<img", "script", "!["] {
                    assert!(!text.contains(word), "{word} as text: {text}");
                }
                continue;
            }
            NodeValue::Link(link) => panic!("a link to {}", link.url),
            NodeValue::Image(link) => panic!("an image from {}", link.url),
            NodeValue::HtmlBlock(block) => block.literal.clone(),
            NodeValue::HtmlInline(html) => html.clone(),
            _ => continue,
        };
        open += html.matches("<details>").count();
        closed += html.matches("</details>").count();
        let ours = [
            "<!-- sentinel: plan -->",
            "<details>",
            "</details>",
            "<summary>",
            "</summary>",
            "<code>",
            "</code>",
            "<sub>",
            "</sub>",
        ];
        let rest = ours.iter().fold(html.clone(), |rest, tag| rest.replace(tag, ""));
        assert!(!rest.contains('<'), "not ours: {html}");
    }
    assert_eq!(open, closed, "{markdown}");
    let control = |letter: char| (letter.is_control() && !"\n\t".contains(letter)) || letter == '\u{202e}';
    assert!(!markdown.contains(control), "{markdown:?}");
}

#[test]
fn hostile_text_stays_inside_a_comment() {
    let world = world();
    let markdown = world.run(&["plan", "--format", "markdown"]).expect(1).stdout;
    assert!(markdown.contains("octocat") && markdown.contains("case fails"), "{markdown}");
    check_markdown(&markdown);
    let status = world.run(&["status", "--format", "markdown"]).expect(1).stdout;
    check_markdown(&status);
}

#[test]
fn hostile_text_stays_inside_a_page() {
    let world = world();
    for command in ["plan", "status"] {
        let page = world.run(&[command, "--format", "html"]).expect(1).stdout;
        let body = &page[page.find("<body>").unwrap()..];
        for tag in ["<script", "<img", "<a ", "<link", "<iframe", "onerror=\""] {
            assert!(!page.contains(tag), "{tag} in {page}");
        }
        assert_eq!(body.matches("<details").count(), body.matches("</details>").count());
        assert!(!page.contains(['\u{202e}', '\u{1b}']), "{page:?}");
        assert!(page.contains("default-src 'none'"));
    }
}

#[test]
fn hostile_text_does_not_affect_a_workflow() {
    let world = world();
    let log = world.run(&["plan", "--format", "github"]).expect(1).stdout;
    let (head, rest) = log.split_once('\n').unwrap();
    let token = head.strip_prefix("::stop-commands::").unwrap();
    assert_eq!(token.len(), 32);
    // The token is unpredictable, so no text can end the protected block.
    let (quoted, commands) = rest.split_once(&format!("::{token}::\n")).unwrap();
    assert!(quoted.contains("::error::"), "{quoted}");
    for line in commands.lines() {
        assert!(["::error ", "::warning ", "::notice "].iter().any(|head| line.starts_with(head)), "{line}");
    }
    assert!(commands.contains("::warning file=dev.test.yaml,line=3,title=case fails%3A profiles.dev::"), "{commands}");
}

/// GitHub allows 65,536 characters. The least important parts are omitted, and the comment says so.
#[test]
fn a_comment_fits_for_every_plan() {
    let world = World::new();
    let mut manifest = String::from(
        "[aws]\nregion = \"us-east-1\"\n[tables.approvals]\npartition_key = { name = \"other\", type = \"S\" }\n",
    );
    let policy = |word: &str| {
        let filler: String = (0..40).map(|line| format!("# {word} {line} {}\n", "x".repeat(60))).collect();
        format!("version: \"1\"\nrules:\n  - {{ name: r, effect: deny }}\n{filler}")
    };
    for number in 0..150 {
        manifest.push_str(&format!("[profiles.p{number}]\npolicy = \"p.yaml\"\n"));
    }
    world.write("sentinel.toml", &manifest).write("p.yaml", &policy("old"));
    let run = |args: &[&str]| finish(world.command(args).spawn().unwrap());
    run(&["apply", "--yes", "--local"]).expect(0);
    let manifest = manifest.replace("\"other\"", "\"id\"");
    world.write("sentinel.toml", &manifest).write("p.yaml", &policy("new"));
    let run = run(&["plan", "--local", "--format", "markdown", "--out-html", "plan.html"]).expect(0);
    let markdown = run.stdout;
    assert!(markdown.chars().count() < 65_536 && markdown.len() > 40_000, "{}", markdown.len());
    check_markdown(&markdown);
    assert!(markdown.contains("**Shortened:**"), "{}", &markdown[markdown.len() - 2000..]);
    assert!(markdown.contains("| … and 91 more |"), "{markdown}");
    // The refusal is the most severe result, so its difference is shown first.
    let details = markdown.find("<details>").unwrap();
    assert!(
        markdown[details..].starts_with("<details><summary>~ <code>Approvals table"),
        "{}",
        &markdown[details..details + 200]
    );
    // The page has all of it.
    let page = std::fs::read_to_string(world.folder.path().join("plan.html")).unwrap();
    assert!(page.contains("/sentinel/policies/p149"));
}

/// A document is often shown on a terminal first.
#[test]
fn hostile_text_does_not_affect_a_terminal_in_any_format() {
    let world = world();
    for format in ["text", "json", "markdown", "html", "github"] {
        for command in ["plan", "status"] {
            let run = world.run(&[command, "--format", format, "--color", "never"]).expect(1);
            let obeyed = |letter: char| (letter.is_control() && !"\n\t".contains(letter)) || letter == '\u{202e}';
            assert!(!run.stdout.contains(obeyed), "{command} as {format}: {:?}", run.stdout);
            assert!(!run.stderr.contains(obeyed), "{command} as {format}: {:?}", run.stderr);
        }
    }
}
