//! A manifest in several files: the ones that are named, and those that they include.

use std::ops::Range;
use std::sync::Arc;

use crate::diagnostic::{Faults, Source};
use crate::document::{self, Entry, Node, Reader, Value, closest};
use crate::kind::{KindId, parameter};

/// The tables in which each name is a section of its own. All others are one section.
fn has_named_sections(table: &str) -> bool {
    !["aws", "policies", INCLUDE].contains(&table)
}

/// The key that names other files.
const INCLUDE: &str = "include";

/// A path or a pattern of a manifest's `include`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Include {
    pub pattern: String,
    pub span: Range<usize>,
}

/// Returns what a manifest includes, as far as it can be read; [`parse`](super::parse) reports its faults.
pub fn includes(source: &Arc<Source>) -> Vec<Include> {
    let root = document::from_toml(source, &mut Faults::default());
    let Value::Map(entries) = root.value else { return Vec::new() };
    let list = entries.into_iter().find(|entry| entry.key == INCLUDE).map(|entry| entry.node.value);
    let Some(Value::List(items)) = list else { return Vec::new() };
    let read = |item: Node| match item.value {
        Value::String(pattern) => Some(Include { pattern, span: item.span }),
        _ => None,
    };
    items.into_iter().filter_map(read).collect()
}

/// Checks `include`.
pub(super) fn check(reader: &mut Reader<'_>, node: &Node) {
    for item in reader.list(node, INCLUDE).unwrap_or_default() {
        reader.string(item, INCLUDE);
    }
}

/// Reads a text, or the texts that it is made of as one. A section that is in two of them is a fault.
pub(super) fn read(source: &Arc<Source>, faults: &mut Faults) -> Node {
    for (_, part) in source.parts() {
        document::conceal(&part, may_be_secret);
    }
    let mut parts = source
        .parts()
        .into_iter()
        .map(|(begins, part)| document::from_toml_at(begins, &part, faults))
        .collect::<Vec<_>>();
    let rest = parts.split_off(1.min(parts.len()));
    let Some(mut root) = parts.pop() else { return document::from_toml(source, faults) };
    let mut reader = Reader::new(source, faults);
    for part in rest {
        let (Value::Map(all), Value::Map(own)) = (&mut root.value, part.value) else { continue };
        for table in own {
            match all.iter_mut().find(|known| known.key == table.key) {
                None => all.push(table),
                Some(known) => add(&mut reader, known, table),
            }
        }
    }
    root
}

/// Returns whether the value at a path of keys may be that of a parameter: it is below `parameters`, or what seems to be meant by it, and
/// is not one of the settings that are known to be no secret.
fn may_be_secret(path: &[String]) -> bool {
    let means = |key: &str, word: &'static str| closest(key, &[word]).is_some();
    let overrides = path.first().is_some_and(|first| means(first, "targets"));
    let mut keys = path.iter().enumerate();
    let section =
        keys.find(|(at, key)| (*at == 0 || (overrides && *at >= 2)) && means(key, KindId::Parameter.section()));
    section.is_some_and(|(at, _)| path.get(at + 2).is_none_or(|setting| !parameter::is_shown(setting)))
}

/// Adds the sections of a table to those of the same table in another file.
fn add(reader: &mut Reader<'_>, known: &mut Entry, table: Entry) {
    let help = "each section can be in one of the files: leave one out";
    let name = table.key;
    match (&mut known.node.value, table.node.value) {
        // Each file that is named can include others.
        _ if name == INCLUDE => {}
        (Value::Map(sections), Value::Map(own)) if has_named_sections(&name) => {
            for section in own {
                match sections.iter_mut().find(|known| known.key == section.key) {
                    None => sections.push(section),
                    // `[local]` has the users one table deeper.
                    Some(known) if name == "local" => add(reader, known, section),
                    Some(first) => {
                        let message = format!("`{name}.{}` is there twice", section.key);
                        reader.twice(first.key_span.clone(), section.key_span, message, help);
                    }
                }
            }
        }
        _ => reader.twice(known.key_span.clone(), table.key_span, format!("`{name}` is there twice"), help),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(texts: &[&str]) -> (Node, Vec<String>) {
        let sources = texts.iter().enumerate().map(|(at, text)| Source::new(format!("{at}.toml"), *text)).collect();
        let mut faults = Faults::default();
        let root = read(&Source::joined(sources), &mut faults);
        let place = |at: &Arc<Source>, span: &Range<usize>| format!("{}:{}", at.path, at.line(span.start));
        let said = faults.into_sorted().into_iter().map(|fault| {
            let also = fault.also.map(|also| place(&also.source, &also.span)).unwrap_or_default();
            format!("{} {} {also}", place(&fault.source, &fault.span), fault.message)
        });
        (root, said.collect())
    }

    #[test]
    fn sections_of_all_files_are_one_manifest() {
        let (root, faults) = joined(&["[aws]\n[tables.a]\n", "[tables.b]\n[profiles.x]\n", "[local.users.u]\n"]);
        assert_eq!(faults, [""; 0]);
        let mut plain = Faults::default();
        let one = Source::new("m", "[aws]\n[tables.a]\n[tables.b]\n[profiles.x]\n[local.users.u]\n");
        assert_eq!(root, document::from_toml(&one, &mut plain));
    }

    #[test]
    fn a_section_in_two_files_is_a_fault_of_both_places() {
        let (_, faults) = joined(&["[aws]\n[tables.a]\n", "\n[tables.b]\n[tables.a]\n", "# x\n[aws]\n"]);
        assert_eq!(faults, ["1.toml:3 `tables.a` is there twice 0.toml:2", "2.toml:2 `aws` is there twice 0.toml:1"]);
        let (_, faults) = joined(&["[local.users.u]\n", "[local.users.v]\n[local.users.u]\n"]);
        assert_eq!(faults, ["1.toml:2 `users.u` is there twice 0.toml:1"]);
    }

    #[test]
    fn no_message_shows_what_may_be_the_value_of_a_parameter() {
        for text in [
            "[parameters.s]\ntype = \"SecureString\"\nvalue = \"A-SECRET\" \nvalue = \"SECRET\"\n",
            "[parameters.s]\nvalues = \"SECRET\"\nvalu = 'SECRET'\n\"valu\\u0065\" = 'SECRET'",
            "[parameters]\nvalue = \"SECRET\"\ns = { value = \"SECRET\", value = \"SECRET\", initial = [\"SECRET\", 1] }\n",
            "parameters.q.value = \"SECRET\"\nparameters.q.value = \"SECRET\"\n",
            "parameters = { q = { tags = { a = \"b\" }, value = \"SECRET\" }, r.value = \"SECRET\" }\n",
            "[targets.prod.override.parameters.s]\nvalue = \"A\"\nvalue = \"SECRET\"\n",
            "[targets.prod]\noverride.parameters.q.value = \"SECRET\"\noverride.parameters.q.value = \"SECRET\"\n",
            "[targets.prod]\noverride = { parameters = { q = { value = \"A\", value = \"SECRET\" } } }\n",
            "[targets.prod.overide.parameters.s]\nvalue = \"SECRET\"\n[parameter.s]\nvalue = \"SECRET\"\n",
            "[parameters.s]\nvalue = \"SECRET\n",
            "[parameters.s]\nvalue = SECRET\nvalue \"SECRET\"\nvalue = \"a\" \"SECRET\"\nvalue: SECRET\n",
            "[parameters.s\nvalue = \"SECRET\"\n",
            "[parameters.s]\nvalue = \"\"\"\nfirst\nSECRET\"\"\"\nvalue = [\n  \"SECRET\",\n  \"SECRET\",\n",
        ] {
            let source = Source::new("m.toml", text);
            read(&source, &mut Faults::default());
            assert!(!source.shown().contains("SECRET"), "{}", source.shown());
        }
        let plain = "[parameters.s]\ntype = \"String\"\ndescription = \"shown\"\ntags = { a = \"b\" }\n[tables.parameters]\nname = \"x\"\n\
                     [targets.parameters]\nregion = \"r\"\n";
        let source = Source::new("m.toml", plain);
        read(&source, &mut Faults::default());
        assert_eq!(source.shown(), plain);
    }

    #[test]
    fn faults_are_in_the_file_that_they_are_written_in() {
        let (_, faults) = joined(&["[aws]\n", "\n[tables.a\n"]);
        assert!(faults.len() == 1 && faults[0].starts_with("1.toml:2 invalid TOML"), "{faults:?}");
    }
}
