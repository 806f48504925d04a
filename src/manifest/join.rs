//! A manifest in several files: the named files and those that they include.

use std::ops::Range;
use std::sync::Arc;

use crate::diagnostic::{Faults, Source};
use crate::document::{self, Entry, Node, Reader, Value, closest};
use crate::kind::{KindId, parameter};

/// Returns the number of keys that identify one section of a table: `[tables.NAME]`, `[local.users.NAME]`. Only these tables can be split
/// across files.
fn depth(table: &str) -> usize {
    match table {
        "aws" | "policies" => 0,
        "local" => 2,
        _ => 1,
    }
}

/// The key of a target's overrides.
const OVERRIDE: &str = "override";

/// The key that names other files.
const INCLUDE: &str = "include";

/// A path or a pattern of a manifest's `include`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Include {
    pub pattern: String,
    pub span: Range<usize>,
}

/// Returns the includes of a manifest, as far as they can be read. [`parse`](super::parse) reports their faults.
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

/// Keeps the values that may be secret out of messages.
pub fn conceal_secrets(source: &Source) {
    document::conceal(source, may_be_secret);
}

/// Reads a text that may consist of several files as one tree. A section that occurs in two files is a fault.
pub(super) fn read(source: &Arc<Source>, faults: &mut Faults) -> Node {
    for (_, part) in source.parts() {
        conceal_secrets(&part);
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
                // Each named file may include others.
                Some(_) if table.key == INCLUDE => {}
                Some(known) => {
                    let (name, depth) = (table.key.clone(), depth(&table.key));
                    add(&mut reader, known, table, name, depth);
                }
            }
        }
    }
    root
}

/// Returns whether the value at a key path may be the value of a parameter: it is below `parameters`, or a similar key, and is not a
/// setting that is known not to be secret.
fn may_be_secret(path: &[String]) -> bool {
    let means = |key: &str, word: &'static str| closest(key, &[word]).is_some();
    let overrides = path.first().is_some_and(|first| means(first, "targets"));
    let mut keys = path.iter().enumerate();
    let section =
        keys.find(|(at, key)| (*at == 0 || (overrides && *at >= 2)) && means(key, KindId::Parameter.section()));
    section.is_some_and(|(at, _)| path.get(at + 2).is_none_or(|setting| !parameter::is_shown(setting)))
}

/// Merges the sections of a table with those of the same table in another file. A section is `depth` keys below the table.
fn add(reader: &mut Reader<'_>, known: &mut Entry, table: Entry, name: String, depth: usize) {
    match (&mut known.node.value, table.node.value) {
        (Value::Map(sections), Value::Map(own)) if depth > 0 => {
            for section in own {
                let is_target = name == "targets";
                let name = format!("{name}.{}", section.key);
                match sections.iter_mut().find(|known| known.key == section.key) {
                    None => sections.push(section),
                    Some(known) if is_target => add_target(reader, known, section, name),
                    Some(known) => add(reader, known, section, name, depth - 1),
                }
            }
        }
        _ => {
            let help = "a section can be in only one of the files: remove one";
            reader.twice(known.key_span.clone(), table.key_span, format!("`{name}` is defined twice"), help);
        }
    }
}

/// Merges a target from another file. One file has its settings, and each file can have overrides.
fn add_target(reader: &mut Reader<'_>, known: &mut Entry, target: Entry, name: String) {
    let has_settings = |entry: &Entry| match &entry.node.value {
        Value::Map(entries) => entries.is_empty() || entries.iter().any(|entry| entry.key != OVERRIDE),
        _ => true,
    };
    if has_settings(known) && has_settings(&target) {
        return add(reader, known, target, name, 0);
    }
    if has_settings(&target) {
        known.key_span = target.key_span.clone();
        known.node.span = target.node.span.clone();
    }
    let (Value::Map(all), Value::Map(own)) = (&mut known.node.value, target.node.value) else { return };
    for entry in own {
        match all.iter_mut().find(|known| known.key == entry.key) {
            None => all.push(entry),
            // `[targets.NAME.override.SECTION.KEY]`.
            Some(known) => add(reader, known, entry, format!("{name}.{OVERRIDE}"), 2),
        }
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
            let related = fault.related.map(|related| place(&related.source, &related.span)).unwrap_or_default();
            format!("{} {} {related}", place(&fault.source, &fault.span), fault.message)
        });
        (root, said.collect())
    }

    #[test]
    fn sections_of_all_files_form_one_manifest() {
        let (root, faults) = joined(&["[aws]\n[tables.a]\n", "[tables.b]\n[profiles.x]\n", "[local.users.u]\n"]);
        assert_eq!(faults, [""; 0]);
        let mut plain = Faults::default();
        let one = Source::new("m", "[aws]\n[tables.a]\n[tables.b]\n[profiles.x]\n[local.users.u]\n");
        assert_eq!(root, document::from_toml(&one, &mut plain));
    }

    #[test]
    fn a_section_in_two_files_is_a_fault_with_both_locations() {
        let (_, faults) = joined(&["[aws]\n[tables.a]\n", "\n[tables.b]\n[tables.a]\n", "# x\n[aws]\n"]);
        assert_eq!(
            faults,
            ["1.toml:3 `tables.a` is defined twice 0.toml:2", "2.toml:2 `aws` is defined twice 0.toml:1"]
        );
        let (_, faults) = joined(&["[local.users.u]\n", "[local.users.v]\n[local.users.u]\n"]);
        assert_eq!(faults, ["1.toml:2 `local.users.u` is defined twice 0.toml:1"]);
    }

    #[test]
    fn overrides_of_a_target_can_be_in_other_files() {
        let target = "[targets.t]\nregion = \"r\"\n";
        let (a, b) = ("[targets.t.override.tables.a]\nname = \"x\"\n", "[targets.t.override.tables.b]\n");
        let c = "[targets.t.override.keys.a]\n";
        for texts in [[target, a, b, c], [a, b, target, c], [b, c, a, target]] {
            let (root, faults) = joined(&texts);
            assert_eq!(faults, [""; 0]);
            let whole = Source::new("m", texts.concat());
            let plain = document::from_toml(&whole, &mut Faults::default());
            assert_eq!(sorted(&root), sorted(&plain), "{texts:?}");
        }
        let (_, faults) = joined(&[target, "\n[targets.t]\nregion = \"s\"\n"]);
        assert_eq!(faults, ["1.toml:2 `targets.t` is defined twice 0.toml:1"]);
        let (_, faults) = joined(&[target, a, a]);
        assert_eq!(faults, ["2.toml:1 `targets.t.override.tables.a` is defined twice 1.toml:1"]);
    }

    /// Returns the paths of all keys, in order.
    fn sorted(node: &Node) -> Vec<String> {
        let Value::Map(entries) = &node.value else { return vec![String::new()] };
        let below = |entry: &Entry| {
            sorted(&entry.node).into_iter().map(|rest| format!("{}.{rest}", entry.key)).collect::<Vec<_>>()
        };
        let mut all: Vec<String> = entries.iter().flat_map(below).collect();
        all.sort();
        all
    }

    #[test]
    fn no_message_shows_a_possible_parameter_value() {
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
