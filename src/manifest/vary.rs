//! Settings that differ by target: `[targets.NAME.override]`, and placeholders in names and file paths.
//!
//! Both change the tree of the manifest before a section is read from it. The section of one target is therefore read and checked as usual,
//! and its faults point to the override or the placeholder.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::Manifest;
use super::targets::section_of;
use crate::diagnostic::{Faults, Source, some};
use crate::document::{Entry, Fields, Node, Reader, Value, closest};
use crate::kind::section::{SectionReader, Spans};
use crate::kind::{Address, KindId, Sections};
use crate::resource::Invalid;
use crate::resource::destination::{Destination, Region};
use crate::resource::names::{OwnerKey, RegionName};

/// `[targets.NAME.override.SECTION.KEY]`: the settings of one resource at the targets of a section.
#[derive(Clone, PartialEq, Eq)]
pub struct Override {
    pub address: Address,
    /// Its settings, as written. They replace those of the resource key by key.
    pub(super) entry: Entry,
}

impl fmt::Debug for Override {
    /// Omits the settings, which may be secrets.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Override").field(&self.address).finish()
    }
}

impl Override {
    pub(super) fn settings(&self) -> &[Entry] {
        if let Value::Map(entries) = &self.entry.node.value { entries } else { &[] }
    }

    /// Returns the policy file that overrides a profile's own at the target.
    pub fn policy_file(&self) -> Option<String> {
        let setting = self.settings().iter().find(|setting| setting.key == "policy");
        match &setting.filter(|_| self.address.kind == KindId::Policy)?.node.value {
            Value::String(file) => Some(file.clone()),
            _ => None,
        }
    }
}

/// Reads `override`. [`check`] verifies that the manifest has the named resources.
pub(super) fn read(reader: &mut Reader<'_>, node: &Node) -> Vec<Override> {
    let mut overrides = Vec::new();
    let Some(sections) = reader.map(node, "override") else { return overrides };
    for section in sections.all() {
        let Some(kind) = KindId::ALL.iter().copied().find(|kind| kind.section() == section.key) else {
            let known: Vec<&str> = KindId::ALL.iter().map(|kind| kind.section()).collect();
            let message = format!("`{}` cannot be overridden", section.key);
            reader.fault(section.key_span.clone(), message, "not a kind of resource", suggestion(&section.key, &known));
            continue;
        };
        let Some(named) = reader.map(&section.node, kind.section()) else { continue };
        for entry in named.all() {
            if reader.map(&entry.node, &format!("override.{}.{}", kind.section(), entry.key)).is_some() {
                overrides.push(Override { address: Address::new(kind, &entry.key), entry: entry.clone() });
            }
        }
    }
    overrides
}

fn suggestion(written: &str, known: &[&str]) -> String {
    let list = some(known);
    match (closest(written, known), known.is_empty()) {
        (Some(name), _) => format!("did you mean `{name}`? The manifest has: {list}"),
        (None, false) => format!("the manifest has: {list}"),
        (None, true) => String::from("add the section first: an override changes an existing section"),
    }
}

/// Checks that the manifest has the overridden resources.
pub(super) fn check(reader: &mut Reader<'_>, root: &Node, manifest: &Manifest) {
    for one in manifest.targets.values().flat_map(|target| &target.overrides) {
        let section = one.address.kind.section();
        let known: Vec<&str> = resources(root, one.address.kind).map(|entry| entry.key.as_str()).collect();
        if !known.contains(&one.entry.key.as_str()) {
            let message = format!("there is no [{section}.{}] to override", one.entry.key);
            reader.fault(
                one.entry.key_span.clone(),
                message,
                "not in the manifest",
                suggestion(&one.entry.key, &known),
            );
        }
    }
}

/// Returns a manifest's resources of a kind.
fn resources(root: &Node, kind: KindId) -> impl Iterator<Item = &Entry> {
    let section = entries(root).iter().find(|entry| entry.key == kind.section());
    section.map(|section| entries(&section.node)).unwrap_or_default().iter()
}

fn entries(node: &Node) -> &[Entry] {
    if let Value::Map(entries) = &node.value { entries } else { &[] }
}

/// The values of a target's placeholders.
#[derive(Debug, Clone, Default)]
pub(super) struct Values {
    /// The name of its section: `prod`.
    target: Option<String>,
    account: Option<String>,
    region: Option<String>,
}

impl Values {
    /// Returns the values at a destination. A region that only the environment supplies can be any.
    pub(super) fn assumed(destination: &Destination<Option<RegionName>>) -> Self {
        let region = destination.region.as_deref().unwrap_or("us-east-1");
        Self::of(destination, region)
    }

    /// Returns the values at a destination.
    pub(super) fn at(destination: &Destination<Region>) -> Self {
        Self::of(destination, &destination.region.name)
    }

    fn of<R>(destination: &Destination<R>, region: &str) -> Self {
        Self {
            target: destination.name.as_deref().map(section_of).map(str::to_owned),
            account: destination.route.account_id.as_deref().map(str::to_owned),
            region: Some(region.to_owned()),
        }
    }

    /// Returns a text with each placeholder replaced.
    fn fill(&self, text: &str, braces: Braces) -> Result<String, Invalid> {
        if braces == Braces::Any && !self.can_be_in(text) {
            return Ok(text.to_owned());
        }
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            filled.push_str(before);
            if braces == Braces::Any
                && let Some((name, after)) = after.strip_prefix('{').and_then(known)
                && let Some(after) = after.strip_prefix('}')
            {
                filled.push_str(&format!("{{{name}}}"));
                rest = after;
                continue;
            }
            let (name, after) = match (known(after), braces) {
                (Some(found), _) => found,
                (None, Braces::Any) => {
                    filled.push('{');
                    rest = after;
                    continue;
                }
                (None, Braces::Placeholder) => return Err(unknown(text, after)),
            };
            let (value, help) = match name {
                "account" => (&self.account, "add account_id, accounts or a role_arn to the target"),
                "region" => (&self.region, "add a region to the target"),
                _ => (&self.target, "it is the name of a section of [targets], and the manifest has none"),
            };
            let value = value.as_ref().ok_or_else(|| {
                let of = self.target.as_ref().map(|target| format!(" of the target {target}")).unwrap_or_default();
                Invalid::new(format!("{{{name}}}{of} has no value"), help)
            })?;
            filled.push_str(value);
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled)
    }

    /// Returns whether a text can contain a placeholder. Without targets, the text is used as written.
    fn can_be_in(&self, text: &str) -> bool {
        self.target.is_some() && KNOWN.iter().any(|name| text.contains(&format!("{{{name}}}")))
    }
}

/// The placeholders.
const KNOWN: [&str; 3] = ["account", "region", "target"];

/// The meaning of braces in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Braces {
    /// A placeholder, or an error.
    Placeholder,
    /// A known placeholder, or literal text. `{{account}}` is the literal `{account}`.
    Any,
}

impl Braces {
    /// Returns the meaning for a setting of an entry. The name of a referenced section is the manifest's own text.
    fn of(self, kind: KindId, entries: &[Entry], setting: &str) -> Self {
        let refers = entries.len() == 1 && KindId::ALL.iter().any(|kind| kind.about().id == setting);
        if refers || (kind.about().is_free_text)(setting) { Self::Any } else { self }
    }
}

/// Returns the placeholder after a brace, and the text that follows it.
fn known(after: &str) -> Option<(&str, &str)> {
    after.split_once('}').filter(|(name, _)| KNOWN.contains(name))
}

/// Returns the error for an unknown placeholder; `after` is the text after its brace.
fn unknown(text: &str, after: &str) -> Invalid {
    let Some((name, _)) = after.split_once('}') else {
        let problem = format!("\"{text}\" has a placeholder without a closing brace");
        return Invalid::new(problem, "write {account}, {region} or {target}");
    };
    let help = closest(name, &KNOWN).map(|name| format!("did you mean {{{name}}}? ")).unwrap_or_default();
    let problem = format!("\"{text}\" has the unknown placeholder {{{name}}}");
    Invalid::new(problem, format!("{help}The placeholders are {{account}}, {{region}} and {{target}}"))
}

/// Returns whether a part of a resource's tree contains a placeholder.
fn has_placeholder(kind: KindId, node: &Node, braces: Braces, values: &Values) -> bool {
    match &node.value {
        Value::String(text) if braces == Braces::Any => values.can_be_in(text),
        Value::String(text) => text.contains('{'),
        Value::List(items) => items.iter().any(|item| has_placeholder(kind, item, braces, values)),
        Value::Map(entries) => {
            let braces = |entry: &Entry| braces.of(kind, entries, &entry.key);
            entries.iter().any(|entry| has_placeholder(kind, &entry.node, braces(entry), values))
        }
        _ => false,
    }
}

/// Returns a resource's tree with its placeholders replaced. A placeholder that cannot be replaced is the only fault reported for its text.
fn filled(reader: &mut Reader<'_>, kind: KindId, entry: &Entry, values: &Values) -> Entry {
    let mut entry = entry.clone();
    fill(reader, kind, &mut entry.node, Braces::Placeholder, values);
    entry
}

fn fill(reader: &mut Reader<'_>, kind: KindId, node: &mut Node, braces: Braces, values: &Values) {
    match &mut node.value {
        Value::String(text) => match values.fill(text, braces) {
            Ok(replaced) => *text = replaced,
            Err(invalid) => {
                reader.sole_fault(node.span.clone(), invalid, "no value");
                // Two names with invalid placeholders must not be equal.
                *text = format!("placeholder-{}", node.span.start);
            }
        },
        Value::List(items) => items.iter_mut().for_each(|item| fill(reader, kind, item, braces, values)),
        Value::Map(entries) => {
            let all: Vec<Braces> = entries.iter().map(|entry| braces.of(kind, entries, &entry.key)).collect();
            for (entry, braces) in entries.iter_mut().zip(all) {
                fill(reader, kind, &mut entry.node, braces, values);
            }
        }
        _ => {}
    }
}

/// Returns a tree with another tree merged over it, key by key.
fn merged(under: &Node, over: &Node) -> Node {
    let (Value::Map(below), Value::Map(above)) = (&under.value, &over.value) else { return over.clone() };
    let mut entries = below.clone();
    for entry in above {
        match entries.iter_mut().find(|below| below.key == entry.key) {
            Some(below) => *below = Entry { node: merged(&below.node, &entry.node), ..entry.clone() },
            None => entries.push(entry.clone()),
        }
    }
    Node { span: over.span.clone(), value: Value::Map(entries) }
}

/// The resources of a manifest that differ by target, as written for all targets.
#[derive(Default)]
pub(super) struct Variants(BTreeMap<Address, Entry>);

impl fmt::Debug for Variants {
    /// Omits the settings, which may be secrets.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

/// The settings of one target.
#[derive(Debug)]
pub(super) struct Variant {
    /// All sections of the manifest, with the target's settings.
    pub(super) sections: Sections,
    /// The spans of the resources that differ.
    pub(super) spans: Spans,
    /// The resources that differ.
    pub(super) varied: BTreeSet<Address>,
}

impl Variants {
    /// Finds the variants, and returns the tree for no particular target, whose placeholders have the values of the first target.
    pub(super) fn find(reader: &mut Reader<'_>, root: &Node, manifest: &Manifest, values: &Values) -> (Self, Node) {
        let overridden: BTreeSet<&Address> =
            manifest.targets.values().flat_map(|target| &target.overrides).map(|one| &one.address).collect();
        let mut found = BTreeMap::new();
        let mut root = root.clone();
        if let Value::Map(sections) = &mut root.value {
            for section in sections {
                let Some(kind) = KindId::ALL.iter().copied().find(|kind| kind.section() == section.key) else {
                    continue;
                };
                let Value::Map(resources) = &mut section.node.value else { continue };
                for entry in resources {
                    let address = Address::new(kind, &entry.key);
                    let differs = has_placeholder(kind, &entry.node, Braces::Placeholder, values);
                    if differs || overridden.contains(&address) {
                        found.insert(address, entry.clone());
                        *entry = filled(reader, kind, entry, values);
                    }
                }
            }
        }
        (Self(found), root)
    }

    /// Returns whether the names of a kind's resources have placeholders.
    pub(super) fn names_differ(&self, kind: KindId) -> bool {
        let has_braces = |node: &Node| matches!(&node.value, Value::String(text) if text.contains('{'));
        let of = self.0.iter().filter(|(address, _)| address.kind == kind);
        of.flat_map(|(_, entry)| entries(&entry.node)).any(|setting| setting.key == "name" && has_braces(&setting.node))
    }

    /// Returns whether all targets are equal.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the sections of one target. `base` are the sections for no particular target.
    pub(super) fn of(
        &self,
        source: &Arc<Source>,
        base: (&Manifest, &Arc<Spans>),
        (target, values): (Option<&str>, &Values),
        ownership: Option<&OwnerKey>,
        faults: &mut Faults,
    ) -> Variant {
        let (manifest, spans) = base;
        let section = target.map(section_of).and_then(|name| manifest.targets.get(name));
        let overrides: BTreeMap<&Address, &Entry> =
            section.into_iter().flat_map(|section| &section.overrides).map(|one| (&one.address, &one.entry)).collect();
        let mut reader = Reader::new(source, faults);
        let mut trees: Vec<Entry> = Vec::new();
        for (address, entry) in &self.0 {
            let name = address.kind.section();
            let laid = overrides.get(address).map(|over| merged(&entry.node, &over.node));
            // The span of the resource is the same for every target.
            let laid = laid.map(|node| Node { span: entry.node.span.clone(), ..node });
            let laid = Entry { node: laid.unwrap_or_else(|| entry.node.clone()), ..entry.clone() };
            let filled = filled(&mut reader, address.kind, &laid, values);
            let tree = trees.iter_mut().find(|tree| tree.key == name);
            if let Some(Entry { node: Node { value: Value::Map(entries), .. }, .. }) = tree {
                entries.push(filled);
            } else {
                let node = Node { span: entry.node.span.clone(), value: Value::Map(vec![filled]) };
                trees.push(Entry { key: name.to_owned(), key_span: entry.key_span.clone(), node });
            }
        }
        let mut spans = Spans::over(Arc::clone(spans));
        let mut sections = manifest.sections.clone();
        sections.removed.retain(|address| !self.0.contains_key(address));
        let mut section = SectionReader::new(&mut reader, &mut spans, ownership.map(OwnerKey::as_str));
        sections.read(&mut section, &mut Fields::of(&trees));
        Variant { sections, spans, varied: self.0.keys().cloned().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Values {
        let some = |text: &str| Some(text.to_owned());
        Values { target: some("prod"), account: some("123456789012"), region: some("us-east-1") }
    }

    #[test]
    fn placeholders_are_replaced_and_unknown_ones_refused() {
        let fill = |text: &str| values().fill(text, Braces::Placeholder).map_err(|invalid| invalid.problem);
        assert_eq!(fill("acme-{target}-{account}-{region}").as_deref(), Ok("acme-prod-123456789012-us-east-1"));
        assert_eq!(fill("plain").as_deref(), Ok("plain"));
        assert_eq!(fill("{acount}").unwrap_err(), "\"{acount}\" has the unknown placeholder {acount}");
        let help = values().fill("{acount}", Braces::Placeholder).unwrap_err().help;
        assert!(help.starts_with("did you mean {account}?"), "{help}");
        assert!(fill("{account").unwrap_err().contains("without a closing brace"));
        assert!(fill("{}").is_err() && fill("{{account}}").is_err());
        // A replaced value is not expanded again.
        let odd = Values { target: Some(String::from("{region}")), ..values() };
        assert_eq!(odd.fill("{target}", Braces::Placeholder).unwrap(), "{region}");
        let unknown = Values { account: None, ..values() };
        for braces in [Braces::Placeholder, Braces::Any] {
            let problem = unknown.fill("{account}", braces).unwrap_err().problem;
            assert_eq!(problem, "{account} of the target prod has no value");
        }
    }

    #[test]
    fn other_braces_in_free_text_are_kept() {
        let fill = |values: &Values, text: &str| values.fill(text, Braces::Any).unwrap();
        let all = [
            ("https://{region}.example.com/{id}", "https://us-east-1.example.com/{id}"),
            ("^[a-z]{2,4}$", "^[a-z]{2,4}$"),
            ("{\"a\": {\"b\": \"{account}\"}}", "{\"a\": {\"b\": \"123456789012\"}}"),
            ("{{account}} is {account}", "{account} is 123456789012"),
            ("{{{region}}}", "{{region}}"),
            ("{{other}} {target", "{{other}} {target"),
            ("{account", "{account"),
        ];
        for (text, expected) in all {
            assert_eq!(fill(&values(), text), expected);
            assert_eq!(fill(&Values::default(), text), text, "without targets nothing differs");
        }
    }

    #[test]
    fn an_override_is_merged_key_by_key() {
        let node = |text: &str| crate::document::from_toml(&Source::new("m", text), &mut Faults::default());
        let under = node("a = 1\nb = { x = 1, y = 2 }\nc = [1, 2]\n");
        let over = node("b = { y = 3, z = 4 }\nc = [3]\nd = true\n");
        assert_eq!(merged(&under, &over), node("a = 1\nb = { x = 1, y = 3, z = 4 }\nc = [3]\nd = true\n"));
    }
}
