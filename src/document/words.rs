//! The words of the parsers for syntax errors, as a writer of manifests and policies would say them. What is not known here is
//! passed on.

/// What is wrong, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) message: String,
    pub(super) help: Option<&'static str>,
}

type Known = &'static [(&'static str, &'static str, &'static str)];

/// How a message begins, what is wrong, and what to do. Source: the messages of `toml_parser` 1.1.
const TOML: Known = &[
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
    ("unexpected key or value", "more text after the value", "put it on a line of its own, or behind a #"),
    ("invalid unquoted key", "a key with a character that needs quotes", "put the key in double quotes"),
];

/// The same of YAML. Source: the messages of `granit-parser` 2 and `serde-saphyr` 2.
const YAML: Known = &[
    (
        "invalid indentation in multiline quoted scalar",
        "a quoted string is not closed, or its next line is not indented",
        "add the closing quote",
    ),
    (
        "mapping values are not allowed in this context",
        "a second key in one line",
        "put it on a line of its own, or quote a value with a colon",
    ),
    (
        "while parsing a block mapping",
        "a line that is indented unlike those around it",
        "indent all keys of a map alike",
    ),
    (
        "while parsing a block collection",
        "a line that is indented unlike those around it",
        "indent all items of a list, and all keys of an item, alike",
    ),
    (
        "while parsing a quoted scalar, found unknown escape",
        "an unknown escape in a string",
        "write \\\\ for a backslash, or use single quotes",
    ),
    ("expected string scalar", "a key that is not a string", "write the key as a word"),
    (
        "alias references unknown anchor",
        "an alias without an anchor",
        "define it before with &NAME, or write the value",
    ),
    ("unclosed bracket", "a bracket that is not closed", "add the closing bracket"),
];

/// Returns what a message about TOML says.
pub(super) fn of_toml(message: &str) -> Words {
    known(TOML, message)
}

/// Returns what a message about YAML says.
pub(super) fn of_yaml(message: &str) -> Words {
    if let Some(key) = message.strip_prefix("duplicate mapping key: ") {
        return Words { message: format!("the key `{key}` is defined twice"), help: Some("remove one of the two") };
    }
    if let Some(letter) = message.strip_prefix("unexpected character: `").and_then(|rest| rest.strip_suffix('\'')) {
        let message = format!("a value that begins with `{letter}`");
        return Words { message, help: Some("put it in double quotes") };
    }
    known(YAML, message)
}

fn known(all: Known, message: &str) -> Words {
    let found = all.iter().find(|(begin, ..)| message.starts_with(begin));
    found.map_or(Words { message: message.to_owned(), help: None }, |(_, words, help)| Words {
        message: (*words).to_owned(),
        help: Some(help),
    })
}

#[cfg(test)]
mod tests {
    use crate::diagnostic::{Faults, Source};
    use crate::document::{from_toml, from_yaml};

    fn told(text: &str, read: impl Fn(&std::sync::Arc<Source>, &mut Faults)) -> Vec<(String, bool)> {
        let mut faults = Faults::default();
        read(&Source::new("x", text), &mut faults);
        faults.into_sorted().into_iter().map(|fault| (fault.message, fault.help.is_some())).collect()
    }

    #[test]
    fn errors_in_toml_are_told_in_plain_words_with_a_fix() {
        for (text, expected) in [
            ("a = us-east-1\n", "a string without quotes"),
            ("[a\n", "a header without its closing bracket"),
            ("a = \"x\n", "a string without its closing quote"),
            ("a = 1\na = 2\n", "this is defined twice"),
            ("= 3\n", "a key is missing"),
            ("a = \"\\q\"\n", "an unknown escape in a string"),
            ("a = 01\n", "a number with a leading zero"),
            ("a = [1,,2]\n", "a comma without a value before it"),
            ("hello world\n", "a key without a value"),
            ("a = [1\n", "a list without its closing bracket"),
        ] {
            let found = told(text, |source, faults| drop(from_toml(source, faults)));
            assert_eq!(found.first(), Some(&(format!("invalid TOML: {expected}"), true)), "{text:?}: {found:?}");
        }
    }

    #[test]
    fn errors_in_yaml_are_told_in_plain_words_with_a_fix() {
        for (text, expected) in [
            ("a: [\n", "a bracket that is not closed"),
            ("a: \"b\n", "a quoted string is not closed, or its next line is not indented"),
            ("a: b: c\n", "a second key in one line"),
            ("a: 1\n b: 2\n", "a second key in one line"),
            ("a: \"1\"\n b: 2\n", "a line that is indented unlike those around it"),
            ("a:\n  - b: 1\n   c: 2\n", "a line that is indented unlike those around it"),
            ("a: \"\\q\"\n", "an unknown escape in a string"),
            ("a: @b\n", "a value that begins with `@`"),
            ("a: 1\na: 2\n", "the key `a` is defined twice"),
        ] {
            let found = told(text, |source, faults| drop(from_yaml(source, faults)));
            assert_eq!(found, [(format!("invalid YAML: {expected}"), true)], "{text:?}");
        }
    }
}
