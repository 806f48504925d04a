//! References between the resources of a manifest: `{ key = "records" }` refers to `[keys.records]`, and so does the alias of that key.
//!
//! A reference resolves to a value that is known before anything exists, so a plan contains no values that only an apply knows. This module
//! checks that each reference has a target and that there are no cycles.

use std::collections::{BTreeMap, BTreeSet};

use super::section::Resolver;
use super::{Address, KindId};
use crate::diagnostic::{Fault, some};
use crate::document::write::{bare, quoted};
use crate::document::{Node, Reader, Value, closest};
use crate::resource::Invalid;

/// A reference in a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The keys of the referring setting, relative to its section: `["encryption"]`.
    pub setting: Vec<String>,
    pub to: Address,
}

/// An AWS name in place of a reference. It may be the name of a resource of the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// As in [`Reference`].
    pub setting: Vec<String>,
    pub kind: KindId,
    pub name: String,
}

/// The service that a resource provides to others, regardless of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// The role of the broker.
    Broker,
}

/// Returns the references of a setting to a service. `served` are the resources that provide services.
pub(super) fn by_service(
    (setting, service): (Vec<String>, Service),
    served: &BTreeSet<(Service, Address)>,
) -> Vec<Reference> {
    let targets = served.iter().filter(|(serves, _)| *serves == service);
    targets.map(|(_, address)| Reference { setting: setting.clone(), to: address.clone() }).collect()
}

/// Returns the references of an AWS name. `names` are the names of all resources that can be referenced.
pub(super) fn by_name(named: Named, names: &BTreeMap<Address, String>) -> Vec<Reference> {
    let Named { setting, kind, name } = named;
    let targets = names.iter().filter(|(address, known)| address.kind == kind && **known == name);
    targets.map(|(address, _)| Reference { setting: setting.clone(), to: address.clone() }).collect()
}

/// Reads `{ key = "name" }`, with the word for a kind, as a reference to a resource of that kind. Any other value is a fault.
pub fn read(reader: &mut Reader<'_>, node: &Node, what: &str, kind: KindId) -> Option<Address> {
    let word = kind.about().id;
    let mut fields = reader.map(node, what)?;
    let help = format!("write {{ {word} = \"NAME\" }}, where [{}.NAME] is in the manifest", kind.section());
    let entry = fields.required(reader, word, &help);
    fields.finish(reader);
    let name = reader.string(&entry?.node, word)?;
    Some(Address::new(kind, name))
}

/// Returns whether a value has the form of a reference.
pub fn is_one(node: &Node) -> bool {
    matches!(node.value, Value::Map(_))
}

/// Checks the references of a whole manifest: each has a target, and there is no cycle.
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
                let span = resolver.spans.get(&[address.kind.section(), &address.key]);
                let (path, line) = resolver.source.place(span.start);
                match path == resolver.source.path {
                    true => format!("{address} (line {line})"),
                    false => format!("{address} ({path}:{line})"),
                }
            })
            .collect();
        let first = cycle[0];
        let message = format!("these resources refer to each other in a cycle: {} -> {first}", steps.join(" -> "));
        let invalid =
            Invalid::new(message, "remove one of the references: resources are applied after those that they refer to");
        resolver.fault(&[first.kind.section(), &first.key], invalid, "the cycle starts here");
    }
}

/// Checks that no reference has a removed resource as its target.
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
            let help = "refer to another one, or remove removed = true from that section";
            resolver.fault(&parts, Invalid::new(problem, help), "refers to a removed resource");
        }
    }
}

fn unknown(resolver: &mut Resolver<'_>, all: &[Address], from: &Address, setting: &[String], to: &Address) {
    let section = to.kind.section();
    let known: Vec<&str> = all.iter().filter(|one| one.kind == to.kind).map(|one| one.key.as_str()).collect();
    let header = format!("[{section}.{}]", bare(&to.key));
    let is_of_aws = ["alias/", "arn:"].iter().any(|head| to.key.starts_with(head));
    let help = match (closest(&to.key, &known), known.is_empty()) {
        _ if is_of_aws => format!("write {} = {}", setting.join("."), quoted(&to.key)),
        _ if to.key.is_empty() => format!("write the NAME of a section [{section}.NAME]"),
        (Some(similar), _) => format!("did you mean \"{similar}\"? The manifest has: {}", some(&known)),
        (None, true) => format!("add a section {header}"),
        (None, false) => format!("add a section {header}, or name one of: {}", some(&known)),
    };
    let message = match to.key.is_empty() {
        true => format!("`{from}` refers to `{section}` with an empty name"),
        false => format!("`{from}` refers to `{to}`, which is not in the manifest"),
    };
    let mut parts = vec![from.kind.section(), from.key.as_str()];
    parts.extend(setting.iter().map(String::as_str));
    let span = resolver.spans.get(&parts);
    resolver.faults.push(Fault {
        source: std::sync::Arc::clone(resolver.source),
        span,
        message,
        label: String::from("refers to nothing"),
        help: Some(help),
        code: None,
        related: None,
    });
}

/// Returns each cycle once, starting with its smallest address.
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
    fn each_cycle_is_reported_once() {
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
    fn references_name_the_kind_and_the_key() {
        for kind in KindId::ALL {
            let source = crate::diagnostic::Source::new("m", format!("x = {{ {} = \"a\" }}", kind.about().id));
            let mut faults = crate::diagnostic::Faults::default();
            let node = crate::document::from_toml(&source, &mut faults);
            let mut reader = Reader::new(&source, &mut faults);
            let mut fields = reader.map(&node, "m").unwrap();
            let entry = fields.get("x").unwrap();
            assert_eq!(read(&mut reader, &entry.node, "x", *kind), Some(Address::new(*kind, "a")));
        }
    }

    #[test]
    fn an_aws_name_refers_to_its_resource() {
        let names = [("keys.a", "alias/a"), ("keys.b", "alias/b"), ("tables.a", "alias/a")];
        let names = names.map(|(to, name)| (address(to), name.to_owned())).into();
        let named = |name: &str| Named { setting: vec![String::from("x")], kind: KindId::Key, name: name.to_owned() };
        let found: Vec<Address> = by_name(named("alias/a"), &names).into_iter().map(|one| one.to).collect();
        assert_eq!(found, [address("keys.a")]);
        assert_eq!(by_name(named("alias/c"), &names), []);
    }

    #[test]
    fn a_diamond_is_not_a_cycle() {
        let references =
            graph(&[("tables.a", &["tables.b", "tables.c"]), ("tables.b", &["tables.d"]), ("tables.c", &["tables.d"])]);
        assert!(cycles(&references).is_empty());
    }
}
