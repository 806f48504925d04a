//! Reading and resolving of manifest sections for all kinds.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::references::Service;
use super::{Address, KindId};
use crate::diagnostic::{Fault, Faults, Source};
use crate::document::{Entry, Fields, Folder, Node, Reader, Variables};
use crate::resource::names::{OwnerKey, PolicyRoot};
use crate::resource::{Invalid, OWNER, Tags, check_tag_key, check_tag_value};

/// The maximum number of tags of a resource. Source: the Tag data type in the API references of the services.
const TAG_LIMIT: usize = 50;

/// The spans of a manifest's parts, by path: `["tables", "audit", "name"]`.
#[derive(Debug, Default)]
pub struct Spans {
    own: HashMap<String, Range<usize>>,
    /// The spans of the parts that are not in this map.
    base: Option<Arc<Self>>,
}

impl Spans {
    /// The separator of a path's parts, which is not needed in any TOML key.
    const SEPARATOR: char = '\u{1f}';

    /// Returns an empty map over another one.
    pub fn over(base: Arc<Self>) -> Self {
        Self { own: HashMap::new(), base: Some(base) }
    }

    fn find(&self, path: &str) -> Option<&Range<usize>> {
        self.own.get(path).or_else(|| self.base.as_ref()?.find(path))
    }

    fn path(parts: &[&str]) -> String {
        parts.join(&Self::SEPARATOR.to_string())
    }

    pub fn insert(&mut self, parts: &[&str], span: Range<usize>) {
        self.own.insert(Self::path(parts), span);
    }

    /// Returns the span of a part, or of its nearest parent with a span.
    pub fn get(&self, parts: &[&str]) -> Range<usize> {
        let path = Self::path(parts);
        let mut path = path.as_str();
        loop {
            if let Some(span) = self.find(path) {
                return span.clone();
            }
            match path.rfind(Self::SEPARATOR) {
                Some(at) => path = &path[..at],
                None => return 0..0,
            }
        }
    }
}

/// Reads the sections of the kinds.
#[derive(Debug)]
pub struct SectionReader<'r, 'f> {
    pub reader: &'r mut Reader<'f>,
    spans: &'r mut Spans,
    /// The key of the ownership tag.
    ownership: Option<&'r str>,
    /// Whether the current section declares its resource as removed.
    removed: bool,
}

impl<'r, 'f> SectionReader<'r, 'f> {
    /// Returns a reader that records the spans of parts.
    pub fn new(reader: &'r mut Reader<'f>, spans: &'r mut Spans, ownership: Option<&'r str>) -> Self {
        Self { reader, spans, ownership, removed: false }
    }

    /// Opens the section of a resource, and reads the settings that all kinds have.
    pub fn open<'n>(&mut self, entry: &'n Entry, section: &str) -> Option<Fields<'n>> {
        self.removed = false;
        let mut fields = self.reader.map(&entry.node, &format!("{section}.{}", entry.key))?;
        if let Some(found) = fields.get("removed") {
            self.note(&[section, &entry.key, "removed"], &found.node.span);
            self.removed = self.reader.boolean(&found.node, "removed") == Some(true);
        }
        Some(fields)
    }

    /// Returns whether the current section declares its resource as removed.
    pub fn is_removed(&self) -> bool {
        self.removed
    }

    /// The same, and resets it.
    pub(super) fn take_removed(&mut self) -> bool {
        std::mem::take(&mut self.removed)
    }

    /// Records the span of a part, for faults that are found later.
    pub fn note(&mut self, parts: &[&str], span: &Range<usize>) {
        self.spans.insert(parts, span.clone());
    }

    /// Reads the tags of a section, if it has any.
    pub fn tags(&mut self, fields: &mut Fields<'_>) -> Option<Tags> {
        fields.get("tags").and_then(|entry| read_tags(self.reader, &entry.node, self.ownership))
    }
}

/// Checks a user-defined key.
pub fn check_key(reader: &mut Reader<'_>, entry: &Entry, rule: impl FnOnce(&str) -> Result<(), Invalid>) {
    if let Err(invalid) = rule(&entry.key) {
        reader.fault(entry.key_span.clone(), invalid.problem, "not allowed here", invalid.help);
    }
}

/// Reads tags. Sentinel sets the ownership tag itself.
pub fn read_tags(reader: &mut Reader<'_>, node: &Node, ownership: Option<&str>) -> Option<Tags> {
    let fields = reader.map(node, "tags")?;
    let entries = fields.all();
    // AWS allows 50 tags for one resource.
    if entries.len() > 50 {
        reader.fault(node.span.clone(), format!("{} tags", entries.len()), "too many", "AWS accepts 50 on a resource");
    }
    let mut tags = Tags::new();
    for entry in entries {
        check_key(reader, entry, check_tag_key);
        if ownership == Some(entry.key.as_str()) {
            let message = format!(
                "the tag `{}` is the ownership tag, which marks the resources that Sentinel created",
                entry.key
            );
            let help = "remove it; or choose another key for the ownership tag with [aws] ownership_tag, or false for \
                 none";
            reader.fault(entry.key_span.clone(), message, "the ownership tag", help);
        }
        if let Some(value) = reader.checked(&entry.node, &format!("tags.{}", entry.key), check_tag_value) {
            tags.insert(entry.key.clone(), value);
        }
    }
    Some(tags)
}

/// The context in which the resources of a manifest are resolved.
#[derive(Debug)]
pub struct Resolver<'a> {
    /// The path of the policies.
    pub policy_root: &'a PolicyRoot,
    pub source: &'a Arc<Source>,
    pub spans: &'a Spans,
    /// The folder of its files, as the user would type it.
    pub folder: &'a Path,
    pub files: Arc<Folder>,
    pub variables: Variables,
    /// The settings whose environment variable is not set, with the fault to report if the value is needed.
    pub unset: Vec<Unset>,
    /// The tags of all new resources.
    pub tags: Option<&'a Tags>,
    /// The key of the ownership tag.
    pub ownership: Option<OwnerKey>,
    /// The account and region of the manifest.
    pub home: Home,
    /// The AWS names of all resources that can be referenced.
    pub names: BTreeMap<Address, String>,
    /// The resources that others refer to without a name.
    pub served: BTreeSet<(Service, Address)>,
    pub faults: &'a mut Faults,
}

/// The account and region of a manifest's resources. Missing values come from the options or the environment later.
#[derive(Debug, Clone, Default)]
pub struct Home {
    pub account: Option<String>,
    pub region: Option<String>,
}

/// A resource whose value is in an environment variable that is not set.
#[derive(Debug, Clone)]
pub struct Unset {
    pub address: Address,
    pub fault: Fault,
}

impl Resolver<'_> {
    /// Records a fault of a part of the manifest.
    pub fn fault(&mut self, parts: &[&str], invalid: Invalid, label: &str) {
        let fault = self.fault_of(parts, invalid, label);
        self.faults.push(fault);
    }

    fn fault_of(&self, parts: &[&str], invalid: Invalid, label: &str) -> Fault {
        Fault {
            source: Arc::clone(self.source),
            span: self.spans.get(parts),
            message: invalid.problem,
            label: label.to_owned(),
            help: Some(invalid.help),
            code: None,
            related: None,
        }
    }

    /// Records that a resource uses an environment variable that is not set, which is a fault only if the value is needed.
    pub fn unset(&mut self, address: Address, setting: &str, invalid: Invalid) {
        let fault = self.fault_of(&[address.kind.section(), &address.key, setting], invalid, "not set");
        self.unset.push(Unset { address, fault });
    }

    /// Returns the tags of `[aws]`, together with the resource's own.
    pub fn tags(&self, own: Option<&Tags>) -> Tags {
        let mut tags = self.tags.cloned().unwrap_or_default();
        tags.extend(own.into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())));
        tags
    }

    /// Returns the tags of a new resource.
    pub fn initial_tags(&mut self, parts: &[&str], own: Option<&Tags>) -> Tags {
        let mut tags = self.tags(own);
        tags.extend(self.ownership.clone().map(|key| (key.into(), OWNER.to_owned())));
        if tags.len() > TAG_LIMIT {
            let problem = format!("{} tags, with those of [aws] and the ownership tag", tags.len());
            self.fault(parts, Invalid::new(problem, "AWS accepts 50 on a resource: remove some"), "too many");
        }
        tags
    }

    /// Refuses two resources of one kind with the same AWS name.
    pub(super) fn check_names<'n>(&mut self, kind: KindId, names: impl Iterator<Item = (&'n Address, &'n str)>) {
        let mut seen: HashMap<&str, &str> = HashMap::new();
        let (section, noun) = (kind.section(), kind.about().noun);
        for (address, name) in names {
            let key = address.key.as_str();
            if let Some(other) = seen.insert(name, key) {
                let message = format!("`{section}.{key}` and `{section}.{other}` both name the AWS {noun} \"{name}\"");
                let invalid = Invalid::new(message, "give each its own name");
                self.fault(&[section, key, "name"], invalid, "the same name again");
            }
        }
    }
}

/// Generators for property tests.
#[cfg(test)]
pub(crate) mod any {
    use proptest::collection::btree_map;
    use proptest::prelude::*;

    use super::Tags;

    /// Generates tags.
    pub(crate) fn tags() -> impl Strategy<Value = Tags> {
        btree_map("[a-zA-Z0-9_.:/=+@ -]{1,12}", "[a-zA-Zé0-9_.:/=+@ -]{0,12}", 0..4)
            .prop_map(|tags| tags.into_iter().filter(|(key, _)| !key.to_lowercase().starts_with("aws:")).collect())
    }
}
