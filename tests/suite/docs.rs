//! The documents are held true: the command reference against `--help`, and every session shown against a real run.
//!
//! `UPDATE_DOCS=1 cargo test docs` writes what is true into them.

use std::path::{Path, PathBuf};

use clap::CommandFactory;
use sentinel::cli::Cli;
use sentinel::kind::KindId;
use sentinel::kind::members::Handling;

use crate::world::{World, finish};

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Compares a document with what it should be, or writes that into it.
#[track_caller]
pub fn hold(path: &Path, expected: &str) {
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

/// Returns the commands below one, in full, each before its own.
fn commands(command: &clap::Command, path: &str) -> Vec<String> {
    let below = command.get_subcommands().filter(|one| one.get_name() != "help");
    let mut names = vec![path.to_owned()];
    names.extend(below.flat_map(|one| commands(one, &format!("{path} {}", one.get_name()))));
    names
}

/// Returns a help text without the section of global options, which ends at the next heading.
fn without_global_options(help: &str) -> String {
    let mut inside = false;
    let kept = help.lines().filter(|line| {
        if !line.is_empty() && !line.starts_with(' ') {
            inside = *line == "Global options:";
        }
        !inside
    });
    let text: String = kept.map(|line| format!("{line}\n")).collect();
    format!("{}\n", text.trim_end())
}

/// Each command has a block `<!-- help: sentinel … -->` that holds its `--help`.
#[test]
fn the_command_reference_is_what_help_says() {
    let path = root().join("docs/guide/commands.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let world = World::new();
    let mut expected = text.clone();
    for name in commands(&Cli::command(), "sentinel") {
        let marker = format!("<!-- help: {name} -->\n```text\n");
        let start = text.find(&marker).unwrap_or_else(|| panic!("{name} has no block in {}", path.display()));
        let from = start + marker.len();
        let block = &text[from..from + text[from..].find("```\n").unwrap()];
        let words: Vec<&str> = name.split(' ').skip(1).chain(["--help"]).collect();
        let help = finish(world.command(&words).spawn().unwrap()).expect(0).stdout;
        let help: String = help.lines().map(|line| format!("{}\n", line.trim_end())).collect();
        // Only the first block lists the global options, which are the same everywhere.
        let help = if name == "sentinel" { help } else { without_global_options(&help) };
        expected = expected.replacen(&format!("{marker}{block}"), &format!("{marker}{help}"), 1);
    }
    hold(&path, &expected);
}

/// The page of settings has what the kinds list.
#[test]
fn the_settings_are_what_the_kinds_list() {
    let path = root().join("docs/settings.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (head, tail) = ("<!-- settings -->\n", "<!-- end of settings -->\n");
    let from = text.find(head).unwrap() + head.len();
    let until = text.find(tail).unwrap();
    let mut list = String::new();
    for kind in KindId::ALL.iter().filter(|kind| !kind.about().members.is_empty()) {
        list.push_str(&format!("\n## {}\n", kind.about().heading));
        for group in kind.about().members {
            list.push_str(&format!("\n### {}\n\n| member | |\n|---|---|\n", group.of));
            let row = |(name, handling): &(&str, Handling)| format!("| `{name}` | {handling} |\n");
            list.extend(group.members.iter().map(row));
        }
    }
    hold(&path, &format!("{}{list}\n{}", &text[..from], &text[until..]));
}

/// The troubleshooting page says what `sentinel explain` says.
#[test]
fn the_troubleshooting_page_is_what_explain_says() {
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
    hold(&path, &page);
}

const TROUBLESHOOTING: &str = "\
# Troubleshooting

Every error and every finding of `sentinel policy lint` has a stable code. This page gives the meaning of each code, an
example, and the fix. `sentinel explain CODE` prints the same on a terminal.
";

/// The schemas are what `sentinel schema` prints.
#[test]
fn the_schemas_are_what_the_program_prints() {
    for (of, name) in [("manifest", "sentinel.schema.json"), ("plan", "plan.schema.json")] {
        let printed = finish(World::new().command(&["schema", of]).spawn().unwrap()).expect(0).stdout;
        hold(&root().join("docs/schema").join(name), &printed);
    }
}

/// What is shown in a block of the language `console` is what happens: each `$ sentinel …` is run, in order, in a folder
/// that holds the project's examples. A line `…` stands for any lines.
#[test]
fn the_sessions_shown_are_what_happens() {
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
        hold(&path, &expected);
    }
}

/// Returns the block as it should be.
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

/// Returns whether the output is the one shown, whose lines `…` stand for any lines, and `(TIME)` for any time.
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

/// Every file a document links to is there.
#[test]
fn links_lead_somewhere() {
    let mut documents = vec![root().join("README.md"), root().join("CONTRIBUTING.md"), root().join("CHANGELOG.md")];
    for folder in ["docs", "docs/guide", "docs/decisions"] {
        let entries = std::fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
        documents.extend(entries.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    }
    for path in documents {
        let text = std::fs::read_to_string(&path).unwrap();
        for part in text.split("](").skip(1) {
            let target = part.split(')').next().unwrap().split('#').next().unwrap();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            assert!(path.parent().unwrap().join(target).exists(), "{} links to {target}", path.display());
        }
    }
}
