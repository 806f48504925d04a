//! Plain messages for the parsers' syntax errors. An unknown message is passed on unchanged.

use std::ops::Range;

/// A message, and how to correct the error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) message: String,
    pub(super) help: Option<&'static str>,
}

type Messages = &'static [(&'static str, &'static str, &'static str)];

/// The beginning of the parser's message, the plain message, and the fix. Source: the messages of `toml_parser` 1.1.
const TOML: Messages = &[
    ("string values must be quoted", "a string without quotes", "put it in double quotes"),
    ("invalid basic string", "a string without its closing quote", "add \" at its end"),
    ("invalid literal string", "a string without its closing quote", "add ' at its end"),
    ("invalid multi-line basic string", "a string without its closing quotes", "add \"\"\" at its end"),
    ("invalid multi-line literal string", "a string without its closing quotes", "add ''' at its end"),
    ("missing escaped value", "an unknown escape in a string", "write \\\\ for a backslash, or use single quotes"),
    ("duplicate key", "this is defined twice", "remove one of the two"),
    ("unclosed table", "a header without its closing bracket", "add ] at its end"),
    ("unclosed array table", "a header without its closing brackets", "add ]] at its end"),
    ("unclosed array", "a list without its closing bracket", "add ] at its end"),
    ("unclosed inline table", "a table without its closing brace", "add } at its end"),
    ("unquoted keys cannot be empty", "a key is missing", "write KEY = VALUE"),
    ("key with no value", "a key without a value", "write KEY = VALUE"),
    ("missing value", "a key without a value", "write KEY = VALUE"),
    ("missing comma between array elements", "two values of a list without a comma", "add a comma between them"),
    ("missing comma between key-value pairs", "two keys of a table without a comma", "add a comma between them"),
    ("missing assignment between key-value pairs", "a key without a value", "write KEY = VALUE"),
    ("extra comma", "a comma without a value before it", "remove it"),
    ("extra `=`", "a second equals sign", "put a string in double quotes"),
    ("extra assignment", "a second equals sign", "put a string in double quotes"),
    ("unexpected leading zero", "a number with a leading zero", "remove the zero, or put a string in double quotes"),
    ("unexpected key or value", "more text after the value", "put it on its own line, or after a #"),
    ("invalid unquoted key", "a key with a character that needs quotes", "put the key in double quotes"),
];

/// The same for YAML. Source: the messages of `granit-parser` 2 and `serde-saphyr` 2.
const YAML: Messages = &[
    (
        "invalid indentation in multiline quoted scalar",
        "a quoted string is not closed, or its next line is not indented",
        "add the closing quote",
    ),
    (
        "mapping values are not allowed in this context",
        "a second key in one line",
        "put it on its own line, or quote a value with a colon",
    ),
    (
        "while parsing a block mapping",
        "a line whose indentation does not match the lines around it",
        "indent all keys of a map equally",
    ),
    (
        "while parsing a block collection",
        "a line whose indentation does not match the lines around it",
        "indent all items of a list, and all keys of an item, equally",
    ),
    (
        "while parsing a quoted scalar, found unknown escape",
        "an unknown escape in a string",
        "write \\\\ for a backslash, or use single quotes",
    ),
    ("expected string scalar", "a key that is not a string", "write the key as a word"),
    ("alias references unknown anchor", "an alias without an anchor", "define it first with &NAME, or write the value"),
    ("unclosed bracket", "a bracket that is not closed", "add the closing bracket"),
    ("tabs disallowed within this context", "a tab in the indentation", "indent with spaces"),
    ("while scanning a plain scalar, found a tab", "a tab in the indentation of the next line", "indent with spaces"),
    (
        "invalid trailing content after double-quoted scalar",
        "text after a quoted string",
        "add the comma or line break that is missing before it, or correct the quotes",
    ),
];

/// Returns the plain message for a TOML error in `text`.
pub(super) fn of_toml(message: &str, text: &str) -> Problem {
    match message {
        _ if message.starts_with("duplicate key") && !text.is_empty() => {
            Problem { message: format!("`{text}` is defined twice"), help: Some("remove one of the two") }
        }
        _ if message.starts_with("invalid unquoted key") && text == ":" => {
            Problem { message: String::from("a colon after a key"), help: Some("write KEY = VALUE") }
        }
        _ => lookup(TOML, message),
    }
}

/// Returns the spans of the keys below headers that are not closed. The parser puts these keys into the section before, in which they
/// would be errors too.
pub(super) fn keys_without_header(text: &str, errors: &[toml::de::Error]) -> Vec<Range<usize>> {
    let open = errors
        .iter()
        .filter(|error| ["unclosed table", "unclosed array table"].contains(&error.message().trim()))
        .filter_map(toml::de::Error::span);
    let span = |error: Range<usize>| {
        let next = text.get(error.start..).and_then(|rest| rest.find("\n["));
        error.start..next.map_or(text.len(), |at| error.start + at + 1)
    };
    open.map(span).collect()
}

/// Returns the plain message for a YAML error.
pub(super) fn of_yaml(message: &str) -> Problem {
    if let Some(key) = message.strip_prefix("duplicate mapping key: ") {
        return Problem { message: format!("the key `{key}` is defined twice"), help: Some("remove one of the two") };
    }
    if let Some(letter) = message.strip_prefix("unexpected character: `").and_then(|rest| rest.strip_suffix('\'')) {
        let message = format!("a value that starts with `{letter}`");
        return Problem { message, help: Some("put it in double quotes") };
    }
    lookup(YAML, message)
}

fn lookup(all: Messages, message: &str) -> Problem {
    let found = all.iter().find(|(start, ..)| message.starts_with(start));
    found.map_or(Problem { message: message.to_owned(), help: None }, |(_, message, help)| Problem {
        message: (*message).to_owned(),
        help: Some(help),
    })
}

/// Returns the lines of a text that are neither empty nor comments, each with its span.
fn lines(text: &str) -> impl Iterator<Item = (Range<usize>, &str)> {
    let start = |line: &str| line.as_ptr().addr() - text.as_ptr().addr();
    let lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty() && !line.trim_start().starts_with('#'));
    lines.map(move |line| (start(line)..start(line) + line.len(), line))
}

/// Returns the first marker of a merge conflict in a text.
pub(super) fn merge_conflict(text: &str) -> Option<(Range<usize>, Problem)> {
    let (span, _) = lines(text).find(|(_, line)| line.starts_with("<<<<<<< "))?;
    let help = "keep the version that you need, and delete the lines with <<<<<<<, ======= and >>>>>>>";
    Some((span, Problem { message: String::from("the file has an unresolved merge conflict"), help: Some(help) }))
}

/// Returns the problem of a text that is invalid TOML because it is written in another language.
pub(super) fn other_language(text: &str) -> Option<(Range<usize>, Problem)> {
    if let Some(conflict) = merge_conflict(text) {
        return Some(conflict);
    }
    let (span, first) = lines(text).next()?;
    let language = match first.trim_start() {
        line if line.starts_with('{') || is_json(text) => "JSON",
        line if line.starts_with('<') => "HTML or XML",
        _ if is_yaml(text) => "YAML",
        _ => return None,
    };
    let is_policy = lines(text).any(|(_, line)| line.starts_with("rules:"));
    let help = match language {
        "YAML" if is_policy => {
            "this looks like a policy: name it as `policy` of a [profiles.NAME] section in the manifest"
        }
        "YAML" | "JSON" => "write sections as [SECTION.NAME] and settings as KEY = VALUE",
        _ => "name the manifest with -f FILE",
    };
    let message = format!("the file is {language}, but a manifest is TOML");
    Some((span, Problem { message, help: Some(help) }))
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// Returns whether a text starts with a key or a marker of YAML, and has no header and no key of TOML.
fn is_yaml(text: &str) -> bool {
    let is_key = |key: &str| {
        let key = key.trim().trim_matches(['"', '\'']);
        !key.is_empty() && key.chars().all(|letter| letter.is_ascii_alphanumeric() || "_-.".contains(letter))
    };
    let is_toml = |line: &str| line.starts_with('[') || line.split_once('=').is_some_and(|(key, _)| is_key(key));
    let starts_yaml = |line: &str| {
        let key = line.split_once(':').filter(|(_, rest)| rest.is_empty() || rest.starts_with(' '));
        line == "---" || line.starts_with("- ") || key.is_some_and(|(key, _)| is_key(key))
    };
    lines(text).next().is_some_and(|(_, line)| starts_yaml(line)) && !lines(text).any(|(_, line)| is_toml(line))
}

#[cfg(test)]
mod tests {
    use crate::diagnostic::{Faults, Source};
    use crate::document::{from_toml, from_yaml};

    #[test]
    fn the_keys_below_an_unclosed_header_are_dropped_and_later_sections_are_not() {
        let text = "[profiles.dev]\npolicy = \"a\"\n[aws\nregion = 1\nother.key = 2\n[topics.a\nx = 1\n[tables.t]\nname = \"t\"\n";
        let mut faults = Faults::default();
        let root = from_toml(&Source::new("manifest.toml", text), &mut faults);
        assert_eq!(faults.len(), 2);
        let whole = "[profiles.dev]\npolicy = \"a\"\n[tables.t]\nname = \"t\"\n";
        assert_eq!(root, from_toml(&Source::new("manifest.toml", whole), &mut faults));
    }

    fn faults_of(text: &str, read: impl Fn(&std::sync::Arc<Source>, &mut Faults)) -> Vec<(String, bool)> {
        let mut faults = Faults::default();
        read(&Source::new("x", text), &mut faults);
        faults.into_sorted().into_iter().map(|fault| (fault.message, fault.help.is_some())).collect()
    }

    #[test]
    fn toml_errors_have_a_plain_message_and_a_fix() {
        for (text, expected) in [
            ("a = us-east-1\n", "a string without quotes"),
            ("[a\n", "a header without its closing bracket"),
            ("a = \"x\n", "a string without its closing quote"),
            ("a = 1\na = 2\n", "`a` is defined twice"),
            ("[a.b]\n[a.b]\n", "`b` is defined twice"),
            ("b = 1\na: 1\n", "a colon after a key"),
            ("= 3\n", "a key is missing"),
            ("a = \"\\q\"\n", "an unknown escape in a string"),
            ("a = 01\n", "a number with a leading zero"),
            ("a = [1,,2]\n", "a comma without a value before it"),
            ("hello world\n", "a key without a value"),
            ("a = [1\n", "a list without its closing bracket"),
        ] {
            let found = faults_of(text, |source, faults| drop(from_toml(source, faults)));
            assert_eq!(found.first(), Some(&(format!("invalid TOML: {expected}"), true)), "{text:?}: {found:?}");
        }
    }

    #[test]
    fn a_manifest_in_another_language_has_one_error() {
        for (text, expected) in [
            ("# x\naws:\n  region: us-east-1\ntables:\n  approvals: {}\n", "the file is YAML, but a manifest is TOML"),
            ("---\nprofiles:\n  - dev\n", "the file is YAML, but a manifest is TOML"),
            ("version: \"1\"\nrules:\n  - name: a = b\n", "the file is YAML, but a manifest is TOML"),
            ("{\n  \"aws\": {}\n}\n", "the file is JSON, but a manifest is TOML"),
            ("{ \"aws\": ", "the file is JSON, but a manifest is TOML"),
            ("[\n  { \"aws\": {} }\n]\n", "the file is JSON, but a manifest is TOML"),
            ("<html>\n<body></body>\n", "the file is HTML or XML, but a manifest is TOML"),
            ("[aws]\n<<<<<<< HEAD\na = 1\n=======\na = 2\n>>>>>>> x\n", "the file has an unresolved merge conflict"),
        ] {
            let found = faults_of(text, |source, faults| drop(from_toml(source, faults)));
            assert_eq!(found, [(expected.to_owned(), true)], "{text:?}");
        }
        // One wrong line does not make a TOML file a YAML file.
        let found = faults_of("aws: x\n[profiles.dev]\n", |source, faults| drop(from_toml(source, faults)));
        assert_eq!(found[0], (String::from("invalid TOML: a colon after a key"), true));
    }

    #[test]
    fn a_merge_conflict_in_yaml_is_one_error() {
        let text = "a:\n<<<<<<< HEAD\n  - b\n=======\n  - c\n>>>>>>> x\n";
        let found = faults_of(text, |source, faults| drop(from_yaml(source, faults)));
        assert_eq!(found, [(String::from("the file has an unresolved merge conflict"), true)]);
    }

    #[test]
    fn yaml_errors_have_a_plain_message_and_a_fix() {
        for (text, expected) in [
            ("a: [\n", "a bracket that is not closed"),
            ("a: \"b\n", "a quoted string is not closed, or its next line is not indented"),
            ("a: b: c\n", "a second key in one line"),
            ("a: 1\n b: 2\n", "a second key in one line"),
            ("a: \"1\"\n b: 2\n", "a line whose indentation does not match the lines around it"),
            ("a:\n  - b: 1\n   c: 2\n", "a line whose indentation does not match the lines around it"),
            ("a: \"\\q\"\n", "an unknown escape in a string"),
            ("a: @b\n", "a value that starts with `@`"),
            ("a: 1\na: 2\n", "the key `a` is defined twice"),
            ("a:\n\t- b\n", "a tab in the indentation"),
            ("a: b\n\tc: d\n", "a tab in the indentation of the next line"),
            ("{ \"a\": \"1\" \"b\": \"2\" }\n", "text after a quoted string"),
        ] {
            let found = faults_of(text, |source, faults| drop(from_yaml(source, faults)));
            assert_eq!(found, [(format!("invalid YAML: {expected}"), true)], "{text:?}");
        }
    }
}
