//! References between the resources of a manifest: `{ key = "records" }` refers to `[keys.records]`.
//!
//! A reference resolves to what is known before anything exists, so that a plan holds no value that only an apply would
//! tell. Here it is checked that each leads to something, and that none leads back to where it started.

use std::collections::{BTreeMap, BTreeSet};

use super::section::Resolver;
use super::{Address, KindId};
use crate::diagnostic::Fault;
use crate::document::{Node, Reader, Value, closest};
use crate::resource::Invalid;

/// A reference in a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The keys, below its section, of the setting that refers: `["encryption"]`.
    pub setting: Vec<String>,
    pub to: Address,
}

/// Reads `{ WORD = "name" }` as a reference to a resource of a kind. A fault is recorded for anything else.
pub fn read(reader: &mut Reader<'_>, node: &Node, what: &str, word: &'static str, kind: KindId) -> Option<Address> {
    let mut fields = reader.map(node, what)?;
    let help = format!("write {{ {word} = \"NAME\" }}, where [{}.NAME] is in the manifest", kind.section());
    let entry = fields.required(reader, word, &help);
    fields.finish(reader);
    let name = reader.string(&entry?.node, word)?;
    Some(Address::new(kind, name))
}

/// Returns whether a value is written as a reference.
pub fn is_one(node: &Node) -> bool {
    matches!(node.value, Value::Map(_))
}

/// Checks the references of a whole manifest: that each names a resource, and that there is no cycle.
pub(super) fn check(resolver: &mut Resolver<'_>, all: &[Address], references: &BTreeMap<Address, Vec<Reference>>) {
    for (from, references) in references {
        for Reference { setting, to } in references {
            if !all.contains(to) {
                unknown(resolver, all, from, setting, to);
            }
        }
    }
    for cycle in cycles(references) {
        let steps: Vec<String> = cycle
            .iter()
            .map(|address| {
                let span = resolver.places.get(&[address.kind.section(), &address.key]);
                format!("{address} (line {})", resolver.source.line(span.start))
            })
            .collect();
        let first = cycle[0];
        let message = format!("these refer to each other in a circle: {} -> {first}", steps.join(" -> "));
        let invalid =
            Invalid::new(message, "take one of the references out; what is applied first has to refer to nothing");
        resolver.fault(&[first.kind.section(), &first.key], invalid, "the circle begins here");
    }
}

/// Checks that nothing refers to a resource that is removed.
pub(super) fn check_removed(
    resolver: &mut Resolver<'_>,
    removed: &BTreeSet<Address>,
    references: &BTreeMap<Address, Vec<Reference>>,
) {
    for (from, references) in references {
        for Reference { setting, to } in references.iter().filter(|reference| removed.contains(&reference.to)) {
            let mut parts = vec![from.kind.section(), from.key.as_str()];
            parts.extend(setting.iter().map(String::as_str));
            let problem = format!("`{from}` refers to `{to}`, which is removed");
            let help = "refer to another one, or take removed = true out there";
            resolver.fault(&parts, Invalid::new(problem, help), "refers to what is to go");
        }
    }
}

fn unknown(resolver: &mut Resolver<'_>, all: &[Address], from: &Address, setting: &[String], to: &Address) {
    let section = to.kind.section();
    let known: Vec<&str> = all.iter().filter(|one| one.kind == to.kind).map(|one| one.key.as_str()).collect();
    let help = match (closest(&to.key, &known), known.is_empty()) {
        (Some(meant), _) => format!("did you mean \"{meant}\"? The manifest has: {}", known.join(", ")),
        (None, true) => format!("add a section [{section}.{}]", to.key),
        (None, false) => format!("add a section [{section}.{}], or name one of: {}", to.key, known.join(", ")),
    };
    let mut parts = vec![from.kind.section(), from.key.as_str()];
    parts.extend(setting.iter().map(String::as_str));
    let span = resolver.places.get(&parts);
    resolver.faults.push(Fault {
        source: std::sync::Arc::clone(resolver.source),
        span,
        message: format!("`{from}` refers to `{to}`, which is not in the manifest"),
        label: String::from("refers to nothing"),
        help: Some(help),
        code: None,
    });
}

/// Returns each cycle once, beginning with its smallest address.
fn cycles(references: &BTreeMap<Address, Vec<Reference>>) -> Vec<Vec<&Address>> {
    let mut found: BTreeSet<Vec<&Address>> = BTreeSet::new();
    let mut done: BTreeSet<&Address> = BTreeSet::new();
    for start in references.keys() {
        let mut path = Vec::new();
        walk(start, references, &mut path, &mut done, &mut found);
    }
    found.into_iter().collect()
}

fn walk<'r>(
    at: &'r Address,
    references: &'r BTreeMap<Address, Vec<Reference>>,
    path: &mut Vec<&'r Address>,
    done: &mut BTreeSet<&'r Address>,
    found: &mut BTreeSet<Vec<&'r Address>>,
) {
    if let Some(begin) = path.iter().position(|one| *one == at) {
        let mut cycle = path[begin..].to_vec();
        let smallest = cycle.iter().enumerate().min_by_key(|(_, address)| **address).map_or(0, |(index, _)| index);
        cycle.rotate_left(smallest);
        found.insert(cycle);
        return;
    }
    if done.contains(at) {
        return;
    }
    path.push(at);
    for reference in references.get(at).into_iter().flatten() {
        walk(&reference.to, references, path, done, found);
    }
    path.pop();
    done.insert(at);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        serde_json::from_value(serde_json::json!(text)).unwrap()
    }

    fn graph(edges: &[(&str, &[&str])]) -> BTreeMap<Address, Vec<Reference>> {
        let to = |name: &&str| Reference { setting: vec![String::from("x")], to: address(name) };
        edges.iter().map(|(from, tos)| (address(from), tos.iter().map(to).collect())).collect()
    }

    #[test]
    fn each_cycle_is_found_once_whatever_leads_into_it() {
        let references = graph(&[
            ("tables.a", &["tables.b"]),
            ("tables.b", &["tables.c", "profiles.x"]),
            ("tables.c", &["tables.b"]),
            ("profiles.x", &["profiles.x"]),
        ]);
        let found: Vec<String> = cycles(&references)
            .iter()
            .map(|cycle| cycle.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(found, ["profiles.x", "tables.b tables.c"]);
    }

    #[test]
    fn a_diamond_is_no_cycle() {
        let references =
            graph(&[("tables.a", &["tables.b", "tables.c"]), ("tables.b", &["tables.d"]), ("tables.c", &["tables.d"])]);
        assert!(cycles(&references).is_empty());
    }
}
