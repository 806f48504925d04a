//! The documents match the program: the command reference equals `--help`, and every session equals a real run.
//!
//! `UPDATE_DOCS=1 cargo test docs` updates them.

use std::path::{Path, PathBuf};

use clap::CommandFactory;
use sentinel::cli::Cli;
use sentinel::kind::KindId;
use sentinel::kind::members::Handling;
use sentinel::kind::table::Builtin;

use crate::world::{World, finish};

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Compares a document with its expected text, or updates it.
#[track_caller]
pub fn check(path: &Path, expected: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    if text == expected {
        return;
    }
    assert!(
        std::env::var_os("UPDATE_DOCS").is_some(),
        "{} is not true any more; UPDATE_DOCS=1 corrects it.\n{}",
        path.display(),
        { similar::TextDiff::from_lines(&text, expected).unified_diff().to_string() }
    );
    std::fs::write(path, expected).unwrap();
}

/// Returns a command and all its subcommands, each with its full name.
fn commands(command: &clap::Command, path: &str) -> Vec<String> {
    let below = command.get_subcommands().filter(|one| one.get_name() != "help");
    let mut names = vec![path.to_owned()];
    names.extend(below.flat_map(|one| commands(one, &format!("{path} {}", one.get_name()))));
    names
}

/// Returns the sections of a help text, each with its heading; the first one has none.
fn help_sections(help: &str) -> Vec<(String, String)> {
    let mut sections = vec![(String::new(), String::new())];
    for line in help.lines() {
        if !line.starts_with(' ') && line.ends_with(':') {
            sections.push((line.to_owned(), String::new()));
        }
        let (_, text) = sections.last_mut().unwrap();
        text.push_str(&format!("{}\n", line.trim_end()));
    }
    sections
}

/// Returns the options of a section without their dashes, each with its description.
fn options_of(section: &str) -> impl Iterator<Item = &str> {
    let (_, options) = section.split_once('\n').unwrap_or_default();
    options.trim_end().split("\n\n").map(|option| option.trim_start().trim_start_matches("--"))
}

/// Returns a help text without the global options, and with only the names of the AWS options that the root's help describes.
fn shortened(help: &str, root: &[(String, String)]) -> String {
    let described: Vec<&str> =
        root.iter().filter(|(heading, _)| heading == "AWS:").flat_map(|(_, text)| options_of(text)).collect();
    let mut text = String::new();
    for (heading, section) in help_sections(help) {
        match heading.as_str() {
            "Global options:" => {}
            "AWS:" => {
                let (known, own): (Vec<&str>, Vec<&str>) =
                    options_of(&section).partition(|option| described.contains(option));
                let name = |option: &&str| {
                    let end = option.find([' ', '[', '\n']).unwrap_or(option.len());
                    format!("--{}", &option[..end])
                };
                let names: Vec<String> = known.iter().map(name).collect();
                let names = Some(names.join(", ")).filter(|names| !names.is_empty());
                let shown: Vec<String> =
                    names.into_iter().chain(own.iter().map(|option| format!("--{option}"))).collect();
                text.push_str(&format!("AWS:\n      {}\n\n", shown.join("\n\n      ")));
            }
            _ => text.push_str(&section),
        }
    }
    format!("{}\n", text.trim_end())
}

/// Each command has a block `<!-- help: sentinel … -->` with its `--help`.
#[test]
fn the_command_reference_equals_the_help() {
    let path = root().join("docs/guide/commands.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let world = World::new();
    let mut expected = text.clone();
    let trimmed = |help: &str| help.lines().map(|line| format!("{}\n", line.trim_end())).collect::<String>();
    let root_help = finish(world.command(&["--help"]).spawn().unwrap()).expect(0).stdout;
    let root_help = help_sections(&root_help);
    for name in commands(&Cli::command(), "sentinel") {
        let marker = format!("<!-- help: {name} -->\n```text\n");
        let start = text.find(&marker).unwrap_or_else(|| panic!("{name} has no block in {}", path.display()));
        let from = start + marker.len();
        let block = &text[from..from + text[from..].find("```\n").unwrap()];
        let words: Vec<&str> = name.split(' ').skip(1).chain(["--help"]).collect();
        let help = finish(world.command(&words).spawn().unwrap()).expect(0).stdout;
        let help = if name == "sentinel" { trimmed(&help) } else { shortened(&help, &root_help) };
        expected = expected.replacen(&format!("{marker}{block}"), &format!("{marker}{help}"), 1);
    }
    check(&path, &expected);
}

#[test]
fn the_settings_page_lists_the_settings_of_all_kinds() {
    let path = root().join("docs/settings.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (head, tail) = ("<!-- settings -->\n", "<!-- end of settings -->\n");
    let from = text.find(head).unwrap() + head.len();
    let until = text.find(tail).unwrap();
    let mut list = String::new();
    for kind in KindId::ALL.iter().filter(|kind| !kind.about().members.is_empty()) {
        list.push_str(&format!("\n## {}\n", kind.about().heading));
        for group in kind.about().members {
            list.push_str(&format!("\n### {}\n\n| member | handling |\n|---|---|\n", group.of));
            let row = |(name, handling): &(&str, Handling)| format!("| `{name}` | {handling} |\n");
            list.extend(group.members.iter().map(row));
        }
    }
    check(&path, &format!("{}{list}\n{}", &text[..from], &text[until..]));
}

/// The troubleshooting page equals the output of `sentinel explain`.
#[test]
fn the_troubleshooting_page_equals_the_explanations() {
    let path = root().join("docs/troubleshooting.md");
    let mut page = String::from(TROUBLESHOOTING);
    page.push_str("\n| code | meaning |\n|---|---|\n");
    let entries = sentinel::explain::entries();
    for entry in &entries {
        page.push_str(&format!("| [{0}](#{1}) | {2} |\n", entry.code, entry.code.to_lowercase(), entry.title));
    }
    for entry in &entries {
        let example: String = entry.example.lines().map(|line| format!("    {line}\n")).collect();
        page.push_str(&format!(
            "\n## {}\n\n**{}.** {}\n\n{example}\n{}\n",
            entry.code, entry.title, entry.means, entry.fix
        ));
    }
    check(&path, &page);
}

const TROUBLESHOOTING: &str = "\
# Troubleshooting

Every error and every finding of `sentinel policy lint` has a stable code. This page gives the meaning of each code, an
example, and the fix. `sentinel explain CODE` prints the same on a terminal.

Errors in a manifest or a policy are printed with their location, and most of them without a code: see [E003](#e003). A
resource that `apply` could not change is printed with AWS's message, and its code is only in the output of `--json`.
";

/// The schemas equal the output of `sentinel schema`.
#[test]
fn the_schemas_equal_the_output_of_the_program() {
    for (of, name) in [("manifest", "sentinel.schema.json"), ("plan", "plan.schema.json")] {
        let printed = finish(World::new().command(&["schema", of]).spawn().unwrap()).expect(0).stdout;
        check(&root().join("docs/schema").join(name), &printed);
    }
}

/// A block with the language `console` shows a real run: each `$ sentinel …` runs in order, in a folder with the project's examples. A line
/// `…` stands for any lines.
#[test]
fn documented_sessions_equal_real_runs() {
    let mut documents: Vec<PathBuf> = vec![root().join("README.md")];
    documents.extend(
        ["QUICKSTART.md", "BOOTSTRAP.md", "guide/plans.md", "guide/access.md"]
            .map(|name| root().join("docs").join(name)),
    );
    for path in documents {
        let world = World::new();
        copy(&root().join("examples"), &world.folder.path().join("examples"));
        std::fs::copy(root().join("sentinel.toml.example"), world.folder.path().join("sentinel.toml.example")).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let mut expected = String::new();
        let mut rest = text.as_str();
        let mut sessions = 0;
        while let Some(at) = rest.find("```console\n") {
            let from = at + "```console\n".len();
            let end = from + rest[from..].find("```").unwrap();
            expected.push_str(&rest[..from]);
            expected.push_str(&session(&world, &rest[from..end]));
            rest = &rest[end..];
            sessions += 1;
        }
        assert!(sessions > 0, "{} shows nothing", path.display());
        expected.push_str(rest);
        check(&path, &expected);
    }
}

/// Returns the block with the actual output.
fn session(world: &World, block: &str) -> String {
    let mut text = String::new();
    let mut parts = block.split("$ sentinel").peekable();
    text.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (command, shown) = part.split_once('\n').unwrap();
        let words = shlex::split(command).unwrap();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let run = finish(world.command(&words).spawn().unwrap());
        let output: String = run.stdout.lines().map(|line| format!("{}\n", line.trim_end())).collect();
        let shown_output = if run.code == 0 || !run.stdout.is_empty() { output } else { run.stderr };
        let kept = if matches(shown, &shown_output) { shown.to_owned() } else { shown_output };
        text.push_str(&format!("$ sentinel{command}\n{kept}"));
    }
    text
}

/// Returns whether the output matches a block, in which a line `…` stands for any lines and `(TIME)` for any time.
fn matches(shown: &str, output: &str) -> bool {
    let mut rest: Vec<&str> = output.lines().collect();
    let mut skipping = false;
    let same = |shown: &str, line: &str| {
        shown == line || shown.split_once("(20").is_some_and(|(head, _)| line.starts_with(&format!("{head}(20")))
    };
    for line in shown.lines() {
        if line.trim() == "…" {
            skipping = true;
            continue;
        }
        match rest.iter().position(|candidate| same(line, candidate)) {
            Some(at) if skipping || at == 0 => rest.drain(..=at),
            _ => return false,
        };
        skipping = false;
    }
    rest.is_empty() || skipping
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            if entry.file_name() != ".sentinel" {
                copy(&from, &to);
            }
        } else {
            std::fs::copy(&from, &to).unwrap();
        }
    }
}

/// Every file that a document links to exists, and every heading.
#[test]
fn links_have_existing_targets() {
    let names = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "examples/github-actions/README.md"];
    let mut documents: Vec<PathBuf> = names.map(|name| root().join(name)).to_vec();
    for folder in ["docs", "docs/guide", "docs/decisions"] {
        let entries = std::fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
        documents.extend(entries.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    }
    for path in documents {
        let text = std::fs::read_to_string(&path).unwrap();
        for part in text.split("](").skip(1) {
            let link = part.split(')').next().unwrap();
            if link.contains("://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(target.exists(), "{} links to {link}", path.display());
            if !anchor.is_empty() {
                let headings = anchors(&std::fs::read_to_string(&target).unwrap());
                assert!(headings.iter().any(|one| one == anchor), "{} links to {link}", path.display());
            }
        }
    }
}

/// Returns the anchors that GitHub gives the headings of a document.
fn anchors(text: &str) -> Vec<String> {
    let mut fence = "";
    let mut found = Vec::new();
    for line in text.lines() {
        let ticks = &line[..line.len() - line.trim_start_matches('`').len()];
        if ticks.len() >= 3 && (fence.is_empty() || fence == ticks) {
            fence = if fence.is_empty() { ticks } else { "" };
        }
        let Some(title) = line.strip_prefix('#').filter(|_| fence.is_empty()) else { continue };
        let kept = |letter: &char| letter.is_alphanumeric() || " -_".contains(*letter);
        let title: String = title.trim_start_matches('#').trim().to_lowercase().chars().filter(kept).collect();
        found.push(title.replace(' ', "-"));
    }
    found
}

#[test]
fn the_manifest_reference_has_every_key() {
    let text: String = ["manifest.md", "many-accounts.md", "enforcing.md", "local.md"]
        .iter()
        .map(|name| std::fs::read_to_string(root().join("docs/guide").join(name)).unwrap())
        .collect();
    // Code spans and fenced blocks are the text between an odd and an even backtick.
    let code: String = text.split('`').skip(1).step_by(2).collect::<Vec<_>>().join(" ");
    let known: Vec<&str> = code.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').collect();
    let schema = std::fs::read_to_string(root().join("docs/schema/sentinel.schema.json")).unwrap();
    let mut keys = Vec::new();
    properties(&serde_json::from_str(&schema).unwrap(), &mut keys);
    assert!(keys.len() > 150, "{} keys", keys.len());
    let missing: Vec<&String> = keys.iter().filter(|key| !known.contains(&key.as_str())).collect();
    assert!(missing.is_empty(), "docs/guide/manifest.md lacks {missing:?}");
}

/// Adds the names of all properties that a JSON Schema defines.
fn properties(schema: &serde_json::Value, keys: &mut Vec<String>) {
    match schema {
        serde_json::Value::Object(members) => {
            for (name, value) in members {
                if let ("properties", Some(defined)) = (name.as_str(), value.as_object()) {
                    keys.extend(defined.keys().cloned());
                }
                properties(value, keys);
            }
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| properties(item, keys)),
        _ => {}
    }
}

#[test]
fn the_example_of_a_missing_index_names_an_index_of_the_layout() {
    let explained = World::quick().run(&["explain", "E208"]).expect(0).stdout;
    let layout = Builtin::Approvals.layout();
    let named = |(index, _): (&String, _)| explained.contains(&format!("the specified index: {index}"));
    assert!(layout.indexes.iter().flatten().any(named), "{explained}");
}
