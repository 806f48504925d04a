//! The shape of the sources: imports point down only, files stay small, and nothing private is mentioned.

use std::path::{Path, PathBuf};

fn sources() -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    let mut found = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    found
}

/// Returns the module a file belongs to: the first part of its path below `src`.
fn module(path: &Path) -> String {
    let below = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    below.components().next().unwrap().as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
}

/// Each module, and the modules of this crate it may use.
const MAY_USE: &[(&str, &[&str])] = &[
    ("change", &[]),
    ("code", &[]),
    ("diagnostic", &[]),
    ("files", &[]),
    ("serving", &[]),
    ("resource", &["change", "code"]),
    ("document", &["diagnostic", "files", "resource"]),
    ("policy", &["diagnostic", "document", "resource"]),
    ("kind", &["change", "diagnostic", "document", "policy", "resource"]),
    ("manifest", &["diagnostic", "document", "files", "kind", "policy", "resource"]),
    ("provider", &["code", "kind", "resource"]),
    ("reconcile", &["provider", "kind", "resource", "change", "code"]),
    // A user of what is provisioned: nothing of the engine, and the engine nothing of it.
    ("access", &["diagnostic", "files", "kind", "policy", "provider", "resource", "serving"]),
    ("review", &["change", "diagnostic", "kind", "policy", "reconcile", "resource"]),
    ("planfile", &["diagnostic", "kind", "manifest", "reconcile", "resource", "review"]),
    ("iam", &["kind", "manifest", "resource"]),
    ("local", &["files", "serving"]),
    ("explain", &["code", "policy"]),
    ("error", &["code", "diagnostic", "explain", "planfile", "provider", "reconcile", "resource"]),
    ("cli", &["access", "change", "kind", "manifest", "resource"]),
    (
        "report",
        &[
            "access",
            "change",
            "cli",
            "code",
            "diagnostic",
            "error",
            "explain",
            "kind",
            "planfile",
            "policy",
            "reconcile",
            "resource",
            "review",
        ],
    ),
    (
        "command",
        &[
            "access",
            "change",
            "cli",
            "code",
            "diagnostic",
            "document",
            "error",
            "explain",
            "files",
            "iam",
            "kind",
            "local",
            "manifest",
            "planfile",
            "policy",
            "provider",
            "reconcile",
            "report",
            "resource",
            "review",
        ],
    ),
    ("lib", &[]),
    ("main", &[]),
];

#[test]
fn imports_point_down_only() {
    let names: Vec<&str> = MAY_USE.iter().map(|(name, _)| *name).collect();
    for (path, text) in sources() {
        let own = module(&path);
        let (_, allowed) =
            MAY_USE.iter().find(|(name, _)| *name == own).unwrap_or_else(|| panic!("{own} is not listed"));
        for used in names.iter().filter(|name| **name != own && text.contains(&format!("crate::{name}::"))) {
            assert!(allowed.contains(used), "{} uses crate::{used}, which {own} may not", path.display());
        }
    }
}

#[test]
fn each_library_has_its_place() {
    // The name of a library, and the modules that may speak of it.
    let places: &[(&str, &[&str])] = &[
        ("aws_sdk_", &["kind", "resource"]),
        ("aws_config", &["provider"]),
        ("anstyle", &["report"]),
        ("anstream", &["report"]),
        ("indicatif", &["report"]),
        ("annotate_snippets", &["report"]),
        ("granit_parser", &["document"]),
        ("rusqlite", &["local"]),
        ("dynoxide", &["local"]),
        ("clap", &["cli", "command"]),
        ("hyper", &["access", "local", "serving"]),
        // Failed TLS connections are told by its error type.
        ("rustls", &["provider", "resource"]),
        ("rustix", &["command", "files", "local"]),
        ("getrandom", &["access", "command"]),
        ("println!", &[]),
    ];
    for (path, text) in sources() {
        let own = module(&path);
        let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        for (library, allowed) in places.iter().filter(|(library, _)| code.contains(*library)) {
            assert!(allowed.contains(&own.as_str()), "{} speaks of {library}", path.display());
        }
    }
}

/// Files are opened in one place, which bounds what is read and follows no link where it writes.
#[test]
fn files_are_opened_in_one_place() {
    let calls = [
        "fs::read(",
        "fs::read_to_string(",
        "fs::write(",
        "File::open(",
        "File::create(",
        "File::create_new(",
        "File::options(",
        "OpenOptions",
        "fs::copy(",
        "read_line(",
        "stdin().lock()",
    ];
    for (path, text) in sources() {
        // What a module's tests do is their own; so is what the tests' helpers do.
        let code: String = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).collect();
        if module(&path) == "files" || path.ends_with("reconcile/tests.rs") {
            continue;
        }
        let word = |letter: char| letter.is_alphanumeric() || letter == '_';
        let calls_it = |call: &str| code.match_indices(call).any(|(at, _)| !code[..at].ends_with(word));
        for call in calls.iter().filter(|call| calls_it(call)) {
            // The one line that a user types is read by `files`, from a stream that it is given.
            let allowed = path.ends_with("command/context.rs") && ["read_line(", "stdin().lock()"].contains(call);
            assert!(allowed, "{} calls {call}) and not the module `files`", path.display());
        }
    }
}

#[test]
fn files_stay_small() {
    for (path, text) in sources() {
        let lines = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).count();
        assert!(lines <= 500, "{} has {lines} lines before its tests", path.display());
    }
}
