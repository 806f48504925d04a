//! What all kinds share about their sections of a manifest: reading them, and turning them into desired state.

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

/// The most tags of a resource. Source: the Tag data type in the API references of the services.
const TAG_LIMIT: usize = 50;

/// Where the parts of a manifest are, by path: `["tables", "audit", "name"]`.
#[derive(Debug, Default)]
pub struct Places {
    own: HashMap<String, Range<usize>>,
    /// Where those parts are that are not here.
    base: Option<Arc<Self>>,
}

impl Places {
    /// The parts of a path are joined by a character that no TOML key needs.
    const SEPARATOR: char = '\u{1f}';

    /// Returns places that begin as others.
    pub fn over(base: Arc<Self>) -> Self {
        Self { own: HashMap::new(), base: Some(base) }
    }

    fn find(&self, path: &str) -> Option<&Range<usize>> {
        self.own.get(path).or_else(|| self.base.as_ref()?.find(path))
    }

    fn path(parts: &[&str]) -> String {
        parts.join(&Self::SEPARATOR.to_string())
    }

    /// Notes where a part is.
    pub fn insert(&mut self, parts: &[&str], span: Range<usize>) {
        self.own.insert(Self::path(parts), span);
    }

    /// Returns where a part is, or its nearest parent that was written.
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
    places: &'r mut Places,
    /// The key of the ownership tag.
    ownership: Option<&'r str>,
    /// Whether the section that was opened last says that its resource is to go.
    removed: bool,
}

impl<'r, 'f> SectionReader<'r, 'f> {
    /// Returns a reader that notes where parts are.
    pub fn new(reader: &'r mut Reader<'f>, places: &'r mut Places, ownership: Option<&'r str>) -> Self {
        Self { reader, places, ownership, removed: false }
    }

    /// Opens the section of a resource, with what all kinds have in common.
    pub fn open<'n>(&mut self, entry: &'n Entry, section: &str) -> Option<Fields<'n>> {
        self.removed = false;
        let mut fields = self.reader.map(&entry.node, &format!("{section}.{}", entry.key))?;
        if let Some(found) = fields.get("removed") {
            self.note(&[section, &entry.key, "removed"], &found.node.span);
            self.removed = self.reader.boolean(&found.node, "removed") == Some(true);
        }
        Some(fields)
    }

    /// Returns whether the section that was opened last says that its resource is to go.
    pub fn is_removed(&self) -> bool {
        self.removed
    }

    /// The same, and forgets it.
    pub(super) fn takes_removed(&mut self) -> bool {
        std::mem::take(&mut self.removed)
    }

    /// Notes where a part is, for faults that are only found later.
    pub fn note(&mut self, parts: &[&str], span: &Range<usize>) {
        self.places.insert(parts, span.clone());
    }

    /// Reads the tags of a section, if it has any.
    pub fn tags(&mut self, fields: &mut Fields<'_>) -> Option<Tags> {
        fields.get("tags").and_then(|entry| read_tags(self.reader, &entry.node, self.ownership))
    }
}

/// Checks a key that the user chooses.
pub fn check_key(reader: &mut Reader<'_>, entry: &Entry, rule: impl FnOnce(&str) -> Result<(), Invalid>) {
    if let Err(invalid) = rule(&entry.key) {
        reader.fault(entry.key_span.clone(), invalid.problem, "not allowed here", invalid.help);
    }
}

/// Reads tags. The ownership tag is sentinel's own to set.
pub fn read_tags(reader: &mut Reader<'_>, node: &Node, ownership: Option<&str>) -> Option<Tags> {
    let fields = reader.map(node, "tags")?;
    let entries = fields.all();
    // 50 is AWS's limit for the tags of one resource.
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
        if let Some(value) = reader.checked(&entry.node, &entry.key, check_tag_value) {
            tags.insert(entry.key.clone(), value);
        }
    }
    Some(tags)
}

/// What every resource of a manifest is resolved with.
#[derive(Debug)]
pub struct Resolver<'a> {
    /// The path under which policies are.
    pub policy_root: &'a PolicyRoot,
    pub source: &'a Arc<Source>,
    pub places: &'a Places,
    /// Where the files that it names are, as the user would type it.
    pub folder: &'a Path,
    pub files: Arc<Folder>,
    pub variables: Variables,
    /// What takes a variable that is not set, and the fault that it is where the value is needed.
    pub unset: Vec<Unset>,
    /// The tags that everything is created with.
    pub tags: Option<&'a Tags>,
    /// The key of the ownership tag.
    pub ownership: Option<OwnerKey>,
    /// The account and region that the manifest names.
    pub home: Home,
    /// By what name in AWS a reference refers to each resource, of the kinds that can be referred to.
    pub names: BTreeMap<Address, String>,
    /// The resources that others refer to without their names.
    pub served: BTreeSet<(Service, Address)>,
    pub faults: &'a mut Faults,
}

/// The account and region that a manifest names for its resources; what it does not name, the options or the environment tell later.
#[derive(Debug, Clone, Default)]
pub struct Home {
    pub account: Option<String>,
    pub region: Option<String>,
}

/// A resource whose value is in a variable that is not set.
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
            span: self.places.get(parts),
            message: invalid.problem,
            label: label.to_owned(),
            help: Some(invalid.help),
            code: None,
            also: None,
        }
    }

    /// Records that a resource takes a variable that is not set, which is a fault only where the value is needed.
    pub fn unset(&mut self, address: Address, setting: &str, invalid: Invalid) {
        let fault = self.fault_of(&[address.kind.section(), &address.key, setting], invalid, "not set");
        self.unset.push(Unset { address, fault });
    }

    /// Returns the tags of `[aws]` with a resource's own added.
    pub fn tags(&self, own: Option<&Tags>) -> Tags {
        let mut tags = self.tags.cloned().unwrap_or_default();
        tags.extend(own.into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())));
        tags
    }

    /// Returns the tags that a resource is created with.
    pub fn initial_tags(&mut self, parts: &[&str], own: Option<&Tags>) -> Tags {
        let mut tags = self.tags(own);
        tags.extend(self.ownership.clone().map(|key| (key.into(), OWNER.to_owned())));
        if tags.len() > TAG_LIMIT {
            let problem = format!("{} tags, with those of [aws] and the ownership tag", tags.len());
            self.fault(parts, Invalid::new(problem, "AWS accepts 50 on a resource: remove some"), "too many");
        }
        tags
    }

    /// Refuses two resources of one kind with one name in AWS.
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

/// Values for properties.
#[cfg(test)]
pub(crate) mod any {
    use proptest::collection::btree_map;
    use proptest::prelude::*;

    use super::Tags;

    /// Returns any tags that a manifest may have.
    pub(crate) fn tags() -> impl Strategy<Value = Tags> {
        btree_map("[a-zA-Z0-9_.:/=+@ -]{1,12}", "[a-zA-Zé0-9_.:/=+@ -]{0,12}", 0..4)
            .prop_map(|tags| tags.into_iter().filter(|(key, _)| !key.to_lowercase().starts_with("aws:")).collect())
    }
}
