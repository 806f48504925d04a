//! Formats random texts: the meaning is kept, and formatting is idempotent.

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Formatted, Language, format};
use crate::diagnostic::{Faults, Source};

/// Formats a text that must be valid.
#[track_caller]
fn formatted(language: Language, text: &str) -> String {
    let mut faults = Faults::default();
    match format(language, &Source::new("x", text), &mut faults) {
        Formatted::Text(text) => text,
        other => panic!("{other:?}\n{text}\n{:?}", faults.into_sorted()),
    }
}

/// A value without formatting.
#[derive(Debug, Clone)]
enum Tree {
    Scalar(usize),
    List(Vec<Tree>),
    Map(Vec<Tree>),
}

fn trees() -> impl Strategy<Value = Tree> {
    let leaf = (0..SCALARS.len()).prop_map(Tree::Scalar);
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![vec(inner.clone(), 0..4).prop_map(Tree::List), vec(inner, 0..4).prop_map(Tree::Map)]
    })
}

/// Scalars that are valid in the lists and maps of both languages; YAML has others.
const SCALARS: [&str; 8] =
    ["'plain'", "\"a # b\"", "12", "true", "'say \"hi\"'", "\"tab\\t\"", "'back\\slash'", "\"\\u202e\""];
const YAML: [&str; 6] = ["plain", "two words", "a#b", "", "~", "'it''s'"];

/// Chooses the formatting: equal numbers give equal texts.
struct Choices<'a>(std::iter::Cycle<std::slice::Iter<'a, u8>>);

impl Choices<'_> {
    fn below(&mut self, count: usize) -> usize {
        self.0.next().map_or(0, |number| usize::from(*number) % count)
    }

    fn comment(&mut self) -> &'static str {
        ["", "", "", " # note", "  #  spaced  ", " #"][self.below(6)]
    }

    fn spaces(&mut self) -> String {
        " ".repeat(self.below(3))
    }

    /// Returns blank lines and comments.
    fn between(&mut self, indent: usize) -> String {
        let lines = ["", "", "", "\n", "\n\n", "# own line\n"][self.below(6)];
        if lines.starts_with('#') { format!("{:indent$}{lines}", "") } else { lines.to_owned() }
    }
}

/// Returns YAML in brackets, on one line or on several.
fn in_brackets(tree: &Tree, indent: usize, dice: &mut Choices<'_>) -> String {
    let breaks = dice.below(3) == 0;
    let gap = |dice: &mut Choices<'_>| match breaks {
        true => format!("{}\n{:2$}{}", dice.comment(), dice.spaces(), indent),
        false => dice.spaces(),
    };
    match tree {
        Tree::Scalar(at) => SCALARS[*at].to_owned(),
        Tree::List(items) => {
            let mut text = String::from("[");
            for item in items {
                text.push_str(&gap(dice));
                text.push_str(&in_brackets(item, indent, dice));
                text.push_str(&gap(dice));
                text.push(',');
            }
            text + &gap(dice) + "]"
        }
        Tree::Map(items) => {
            let mut text = String::from("{");
            for (at, item) in items.iter().enumerate() {
                text.push_str(&gap(dice));
                text.push_str(&format!("k{at}: "));
                text.push_str(&in_brackets(item, indent, dice));
                text.push_str(&gap(dice));
                text.push(',');
            }
            text + &gap(dice) + "}"
        }
    }
}

/// Returns the text after a key or a dash, up to the end of the line.
fn yaml_value(tree: &Tree, indent: usize, dice: &mut Choices<'_>) -> String {
    match tree {
        Tree::Scalar(at) => match dice.below(4) {
            0 => format!(" {}{}\n", YAML[at % YAML.len()], dice.comment()),
            1 if *at < 4 => {
                let (header, inner) = (["|", ">-", "|-", "|+"][*at], indent + 1 + dice.below(3));
                let comment = dice.comment();
                format!(" {header}{comment}\n{:inner$}one # two\n\n{:inner$}  three\n", "", "")
            }
            _ => format!(" {}{}\n", SCALARS[*at], dice.comment()),
        },
        Tree::List(items) | Tree::Map(items) if items.is_empty() || dice.below(3) == 0 => {
            format!(" {}{}\n", in_brackets(tree, indent + 1, dice), dice.comment())
        }
        Tree::List(_) | Tree::Map(_) => {
            let inner = indent + 1 + dice.below(4);
            format!("{}\n{}", dice.comment(), yaml_block(tree, inner, dice))
        }
    }
}

fn yaml_block(tree: &Tree, indent: usize, dice: &mut Choices<'_>) -> String {
    let mut text = String::new();
    let (Tree::List(items) | Tree::Map(items)) = tree else { return yaml_value(tree, indent, dice) };
    for (at, item) in items.iter().enumerate() {
        text.push_str(&dice.between(indent));
        let head = if matches!(tree, Tree::List(_)) { String::from("-") } else { format!("k{at}:") };
        text.push_str(&format!("{:indent$}{head}{}", "", yaml_value(item, indent, dice)));
    }
    text
}

/// Returns TOML of a tree: each map of the root is a section.
fn toml_text(root: &[Tree], dice: &mut Choices<'_>) -> String {
    let mut text = String::new();
    for (section, tree) in root.iter().enumerate() {
        text.push_str(&dice.between(0));
        match tree {
            Tree::Map(items) => {
                let spaces = dice.spaces();
                text.push_str(&format!("[{spaces}'s{section}' . t{spaces}]{}\n", dice.comment()));
                for (at, item) in items.iter().enumerate() {
                    text.push_str(&dice.between(1));
                    text.push_str(&format!("{}k{at}{}= {}", dice.spaces(), dice.spaces(), toml_value(item, dice)));
                    text.push_str(&format!("{}\n", dice.comment()));
                }
            }
            other => {
                let spaces = dice.spaces();
                text.push_str(&format!("[s{section}]\nvalue{spaces}={spaces}{}\n", toml_value(other, dice)));
            }
        }
    }
    text
}

fn toml_value(tree: &Tree, dice: &mut Choices<'_>) -> String {
    match tree {
        Tree::Scalar(at) => SCALARS[*at].to_owned(),
        Tree::List(items) => {
            let breaks = dice.below(2) == 0;
            let gap = |dice: &mut Choices<'_>| match breaks {
                true => format!("{}\n{}", dice.comment(), dice.between(2)),
                false => dice.spaces(),
            };
            let mut text = String::from("[");
            for item in items {
                text.push_str(&gap(dice));
                text.push_str(&toml_value(item, dice));
                text.push_str(&gap(dice));
                text.push(',');
            }
            text + &gap(dice) + "]"
        }
        Tree::Map(items) => {
            let pairs: Vec<String> = items
                .iter()
                .enumerate()
                .map(|(at, item)| format!("{}'k{at}' ={}{}", dice.spaces(), dice.spaces(), toml_value(item, dice)))
                .collect();
            format!("{{{}}}", pairs.join(","))
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn formatted_yaml_keeps_its_meaning_and_is_stable(tree in trees(), numbers in vec(any::<u8>(), 1..64)) {
        let text = yaml_block(&tree, 0, &mut Choices(numbers.iter().cycle()));
        // A key without a value can hide a mistake of this test.
        prop_assume!(!text.trim().is_empty());
        let mut faults = Faults::default();
        let first = match format(Language::Yaml, &Source::new("x", text.clone()), &mut faults) {
            Formatted::Text(first) => first,
            Formatted::Faulty => return Err(TestCaseError::reject("not YAML")),
            Formatted::Unsafe => return Err(TestCaseError::fail(format!("changed:\n{text}\nto:\n{}", super::yaml::format(&text).0))),
        };
        prop_assert_eq!(&formatted(Language::Yaml, &first), &first, "{}", text);
        prop_assert!(first.lines().all(|line| line.trim_end() == line), "{}", first);
    }

    #[test]
    fn formatted_toml_keeps_its_meaning_and_is_stable(root in vec(trees(), 0..4), numbers in vec(any::<u8>(), 1..64)) {
        let text = toml_text(&root, &mut Choices(numbers.iter().cycle()));
        let first = formatted(Language::Toml, &text);
        prop_assert_eq!(&formatted(Language::Toml, &first), &first, "{}", text);
        prop_assert!(first.lines().all(|line| line.trim_end() == line), "{}", first);
        prop_assert!(!first.contains("\n\n\n") && !first.starts_with('\n') && !first.ends_with("\n\n"), "{}", first);
    }
}

#[test]
fn a_text_without_a_name_is_a_manifest_if_it_starts_like_one() {
    for toml in ["", "# a\n", "[aws]\n", "# a: b\n\ninclude = []\n", "\u{feff}a.\"b\" = 1\n", "[[a]]\n"] {
        assert_eq!(Language::of_text(toml), Language::Toml, "{toml:?}");
    }
    for yaml in ["version: \"1\"\n", "# [aws]\nrules: # a = b\n", "{ a: \"=\" }\n", "---\nversion: \"1\"\n", "- a\n"] {
        assert_eq!(Language::of_text(yaml), Language::Yaml, "{yaml:?}");
    }
}

#[test]
fn a_text_with_a_fault_is_not_formatted() {
    for (language, text) in [
        (Language::Toml, "a = \n"),
        (Language::Toml, "a = \"\u{202e}\"\n"),
        (Language::Yaml, "a: [\n"),
        (Language::Yaml, "a: !x 1\n"),
    ] {
        let mut faults = Faults::default();
        assert_eq!(format(language, &Source::new("x", text), &mut faults), Formatted::Faulty, "{text:?}");
        assert!(!faults.is_empty(), "{text:?}");
    }
}
