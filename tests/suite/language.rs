//! Plain English: documents, help texts, messages and comments use the standard term where there is one.

use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};

use crate::docs::root;

/// Expressions to avoid, and their replacements.
const AVOID: &[(&str, &str)] = &[
    ("as desired", "in sync"),
    ("at hand", "current"),
    ("begin anew", "start over"),
    ("can be had", "is available"),
    ("cannot be had", "is not available"),
    ("close the difference", "apply the changes"),
    ("closes the difference", "applies the changes"),
    ("embedded aws", "AWS emulator"),
    ("getting in", "requesting and using access"),
    ("goes on where it was", "continues where it stopped"),
    ("handed out", "released, issued"),
    ("in one go", "at once"),
    ("is to go", "is deleted"),
    ("left alone", "not changed, not managed"),
    ("no longer holds", "is stale"),
    ("nobody gets in", "nobody has access"),
    ("nothing names a region", "no AWS region configured"),
    ("put it in order", "correct it"),
    ("side by side", "in parallel, at the same time"),
    ("strays", "unlisted resources"),
    ("taken on", "assumed"),
    ("way out", "fix"),
    ("without a word", "without a reason"),
];

/// Returns the files below a folder with an extension.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|other| other == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Returns the avoidable expressions in a text, regardless of line breaks.
fn avoidable(text: &str) -> Vec<String> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    let whole = |at: usize, expression: &str| {
        let letter = |other: Option<char>| other.is_some_and(char::is_alphanumeric);
        !letter(text[..at].chars().next_back()) && !letter(text[at + expression.len()..].chars().next())
    };
    let contained = |expression: &str| text.match_indices(expression).any(|(at, _)| whole(at, expression));
    let found = AVOID.iter().filter(|(expression, _)| contained(expression));
    found.map(|(expression, better)| format!("\"{expression}\": write {better}")).collect()
}

/// Adds the texts of the string literals, without those of comments.
fn literals(tokens: TokenStream, texts: &mut Vec<String>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                let comment = group.stream().into_iter().next().is_some_and(|first| first.to_string() == "doc");
                if !comment {
                    literals(group.stream(), texts);
                }
            }
            TokenTree::Literal(literal) => {
                if let Ok(text) = syn::parse_str::<syn::LitStr>(&literal.to_string()) {
                    texts.push(text.value());
                }
            }
            TokenTree::Ident(_) | TokenTree::Punct(_) => {}
        }
    }
}

/// The command reference has the help texts, and the troubleshooting page has those of `explain`.
#[test]
fn documents_use_standard_expressions() {
    let mut paths = files(&root().join("docs"), "md");
    paths.extend(["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"].map(|name| root().join(name)));
    paths.extend(files(&root().join("examples"), "md"));
    let mut found = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        found.extend(avoidable(&text).into_iter().map(|what| format!("{}: {what}", path.display())));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn messages_use_standard_expressions() {
    let mut found = Vec::new();
    for path in files(&root().join("src"), "rs") {
        let mut texts = Vec::new();
        literals(std::fs::read_to_string(&path).unwrap().parse().unwrap(), &mut texts);
        let avoidable = texts.iter().flat_map(|text| avoidable(text));
        found.extend(avoidable.map(|what| format!("{}: {what}", path.display())));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Returns the comments of a source, one after another.
fn comments(source: &str) -> String {
    let comment =
        |line: &str| line.trim_start().strip_prefix("//").map(|text| text.trim_start_matches(['/', '!']).to_owned());
    // Code separates the comments before and after it.
    source.lines().map(|line| comment(line).unwrap_or_else(|| String::from("|"))).collect::<Vec<_>>().join("\n")
}

#[test]
fn comments_use_standard_expressions() {
    let mut found = Vec::new();
    for folder in ["src", "tests", "fuzz/fuzz_targets", "benches"] {
        for path in files(&root().join(folder), "rs") {
            let text = comments(&std::fs::read_to_string(&path).unwrap());
            found.extend(avoidable(&text).into_iter().map(|what| format!("{}: {what}", path.display())));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn expressions_are_found_across_lines_and_not_within_words() {
    assert_eq!(avoidable("It is As\n  desired."), ["\"as desired\": write in sync"]);
    assert!(avoidable("was desired, has desired").is_empty());
    let mut texts = Vec::new();
    literals("/// in one go\nfn f() { g(\"the way \\\n   out\") }".parse().unwrap(), &mut texts);
    assert_eq!(texts, ["the way out"]);
    assert_eq!(avoidable(&comments("/// It is as\n/// desired.\nfn f() {}")).len(), 1);
    assert!(avoidable(&comments("// as\nlet it = 0;\n// desired")).is_empty());
}
