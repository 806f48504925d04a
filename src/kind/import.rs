//! Import for all kinds: finds live resources and converts them to sections of a manifest.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use indexmap::{IndexMap, IndexSet};
use serde::Serialize;

use super::{Address, Desired, Kind, KindId, Search, Sections};
use crate::resource::call::CallError;
use crate::resource::names::{OwnerKey, PolicyRoot};
use crate::resource::{Gap, Invalid, Live, Observed, Tags};

/// The maximum number of concurrent reads of a kind.
const READS: usize = 32;

/// The selection of an import.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The path of the policies.
    pub policy_root: &'a PolicyRoot,
    /// The key of the ownership tag.
    pub ownership: &'a OwnerKey,
    /// The resources that the user names. A kind without any finds its resources by default rules.
    pub named: &'a [Named],
    /// The kinds of which everything is imported.
    pub all: &'a [KindId],
}

impl Request<'_> {
    /// Returns the selection of one kind, each name once.
    pub(super) fn of(&self, kind: KindId) -> Wanted<'_> {
        let names = self.named.iter().filter(|one| one.kind == kind).map(|one| one.name.clone());
        let named = names.collect::<IndexSet<String>>().into_iter().collect();
        let extent = if self.all.contains(&kind) { Extent::All } else { Extent::Usual };
        Wanted { kind, policy_root: self.policy_root, ownership: self.ownership, named, extent }
    }
}

/// A resource that the user names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub kind: KindId,
    /// Its name in AWS.
    pub name: String,
}

/// The selection of one kind.
#[derive(Debug)]
pub struct Wanted<'a> {
    pub kind: KindId,
    pub policy_root: &'a PolicyRoot,
    pub ownership: &'a OwnerKey,
    /// The AWS names, if the user gives any.
    pub named: Vec<String>,
    pub extent: Extent,
}

/// The extent of the import for a kind without named resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// The kind's default.
    Usual,
    All,
}

/// A live resource, and its name in AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<K> {
    pub name: String,
    pub live: Live<K>,
}

/// The importable resources of one kind.
#[derive(Debug)]
pub struct Discovered<K> {
    pub found: Vec<Found<K>>,
    pub warnings: Vec<Warning>,
}

impl<K> From<Vec<Found<K>>> for Discovered<K> {
    fn from(found: Vec<Found<K>>) -> Self {
        Self { found, warnings: Vec::new() }
    }
}

/// A warning about the import: a resource or setting that is omitted or not managed, and the reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    pub name: String,
    pub why: String,
}

/// The reason why nothing can be imported.
#[derive(Debug)]
pub enum DiscoverError {
    /// A named resource does not exist.
    Missing(Invalid),
    /// A named resource cannot be read: the permission is missing, or the call failed for another reason.
    Unread {
        denied: bool,
        why: Invalid,
    },
    Call(CallError),
}

impl From<CallError> for DiscoverError {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

/// Returns the error for a named resource that does not exist.
pub(super) fn not_found<K: Kind>(name: &str) -> DiscoverError {
    let help = format!("list the names with: {}; nothing was written", K::ABOUT.listed_by);
    DiscoverError::Missing(Invalid::new(format!("there is no {} {name}", K::ABOUT.noun), help))
}

/// The handling of a resource that does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// The user named it, so the import fails.
    Fails,
    /// It was only found in a list, so it is omitted.
    IsLeftOut,
}

/// Finds the named resources, or else those with the ownership tag. If the latter cannot be listed or read, a warning is added.
pub(super) async fn discover<K: Kind>(api: &K::Api, wanted: &Wanted<'_>) -> Result<Discovered<K>, DiscoverError> {
    if !wanted.named.is_empty() {
        return Ok(read(api, wanted, &wanted.named, Missing::Fails).await?.into());
    }
    let (policy_root, ownership) = (wanted.policy_root, wanted.ownership);
    let search = Search { policy_root, ownership, named: &HashSet::new(), holds: &|_| true };
    let unlisted = K::unlisted(api, &search).await;
    let names: Vec<String> =
        unlisted.owned.iter().filter_map(|one| one.of::<K>()).map(|one| one.name.clone()).collect();
    Ok(read_owned(api, wanted, &names, &unlisted.gaps).await)
}

/// Reads resources that carry the ownership tag. If the list or a read fails, a warning is added.
pub(super) async fn read_owned<K: Kind>(
    api: &K::Api,
    wanted: &Wanted<'_>,
    names: &[String],
    gaps: &[Gap],
) -> Discovered<K> {
    let section = K::ABOUT.section;
    let incomplete = |gap: &Gap| Warning {
        name: section.to_owned(),
        why: format!("some may be missing: {}; name them with --resource {section}=NAME", gap.message),
    };
    let mut discovered = Discovered { found: Vec::new(), warnings: gaps.iter().map(incomplete).collect() };
    for (name, observed) in names.iter().zip(observe(api, wanted, names).await) {
        match observed {
            Observed::Absent => {}
            Observed::Unknown(gap) => {
                let why = format!("omitted: it could not be read ({})", gap.action);
                discovered.warnings.push(Warning { name: name.clone(), why });
            }
            Observed::Present(live) => discovered.found.push(Found { name: name.clone(), live }),
        }
    }
    discovered
}

/// Reads resources by their names.
///
/// # Errors
///
/// Fails if one cannot be read.
pub(super) async fn read<K: Kind>(
    api: &K::Api,
    wanted: &Wanted<'_>,
    names: &[String],
    missing: Missing,
) -> Result<Vec<Found<K>>, DiscoverError> {
    let mut found = Vec::new();
    for (name, observed) in names.iter().zip(observe(api, wanted, names).await) {
        match observed {
            Observed::Absent if missing == Missing::IsLeftOut => {}
            Observed::Absent => return Err(not_found::<K>(name)),
            Observed::Unknown(gap) => {
                let problem = format!("the {} {name} cannot be read: {}", K::ABOUT.noun, gap.message);
                let help = format!("it requires {}; nothing was written", gap.action);
                return Err(DiscoverError::Unread { denied: gap.denied, why: Invalid::new(problem, help) });
            }
            Observed::Present(live) => found.push(Found { name: name.clone(), live }),
        }
    }
    Ok(found)
}

/// Reads all settings of resources that a section supports, in order.
async fn observe<K: Kind>(api: &K::Api, wanted: &Wanted<'_>, names: &[String]) -> Vec<Observed<K>> {
    let whole = |name: &String| {
        let desired = Desired::new(Address::new(wanted.kind, name), name, K::everything());
        Desired { ownership: Some(wanted.ownership.clone()), ..desired }
    };
    let desired: Vec<Desired<K>> = names.iter().map(whole).collect();
    let desired: Vec<&Desired<K>> = desired.iter().collect();
    let batches = stream::iter(desired.chunks(K::ABOUT.batch).map(|batch| K::observe(api, batch)));
    batches.buffered(READS).collect::<Vec<_>>().await.into_iter().flatten().collect()
}

/// The result of an import: sections of a manifest, and their files.
#[derive(Debug, Default)]
pub struct Imported {
    pub sections: Sections,
    pub files: Vec<ImportedFile>,
    pub resources: Vec<ImportedResource>,
    pub warnings: Vec<Warning>,
}

/// A file of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedFile {
    /// Its path in the manifest's folder.
    pub path: String,
    pub text: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedResource {
    pub address: Address,
    pub name: String,
    /// The paths of its section's files.
    pub files: Vec<String>,
}

/// Converts live resources to sections.
///
/// Every resource gets its key before any section is written, so that sections can refer to each other.
#[derive(Debug)]
pub struct Importer<'a> {
    policy_root: &'a PolicyRoot,
    /// The addresses of all imported resources, by kind and AWS name.
    addresses: HashMap<(KindId, String), Address>,
    /// The AWS name of the current resource.
    name: String,
    files: Vec<ImportedFile>,
    resources: Vec<ImportedResource>,
    warnings: Vec<Warning>,
}

/// A live resource and the key of its section, or the reason why it is omitted.
#[derive(Debug)]
pub(super) struct Keyed<K> {
    found: Found<K>,
    key: Result<String, String>,
}

impl<'a> Importer<'a> {
    pub(super) fn new(policy_root: &'a PolicyRoot, warnings: Vec<Warning>) -> Self {
        Self {
            policy_root,
            addresses: HashMap::new(),
            name: String::new(),
            files: Vec::new(),
            resources: Vec::new(),
            warnings,
        }
    }

    /// Records a setting of the current resource that its section cannot express.
    pub fn warn(&mut self, why: impl Into<String>) {
        self.warnings.push(Warning { name: self.name.clone(), why: why.into() });
    }

    /// Adds a file for the current resource, and returns its path. Paths do not differ only by case, because some file systems ignore case,
    /// and no file has the name of another file's test cases.
    pub fn file(&mut self, stem: &str, extension: &str, text: impl Into<Arc<str>>) -> String {
        let allowed = |letter: char| letter.is_ascii_alphanumeric() || "_.-".contains(letter);
        let stem: String = stem.chars().map(|letter| if allowed(letter) { letter } else { '-' }).collect();
        let taken: HashSet<String> = self.files.iter().map(|file| file.path.to_lowercase()).collect();
        let numbered = (2..).map(|number| format!("policies/{stem}-{number}.{extension}"));
        let free = |path: &String| {
            let path = path.to_lowercase();
            !taken.contains(&path) && !path.ends_with(".test.yaml")
        };
        let mut paths = std::iter::once(format!("policies/{stem}.{extension}")).chain(numbered);
        let path = paths.find(free).unwrap_or_default();
        self.files.push(ImportedFile { path: path.clone(), text: text.into() });
        path
    }

    /// Returns the address of an imported resource, by its section and an AWS name: its name, its ARN or another name from
    /// [`Kind::known_as`].
    pub fn address(&self, section: &str, name: &str) -> Option<&Address> {
        let kind = KindId::ALL.iter().find(|kind| kind.section() == section)?;
        self.addresses.get(&(*kind, name.to_owned()))
    }

    /// Gives each resource of a kind a unique key.
    pub(super) fn keys<K: Kind>(&mut self, kind: KindId, found: Vec<Found<K>>) -> Vec<Keyed<K>> {
        let mut taken: HashSet<String> = HashSet::new();
        let keyed = found.into_iter().map(|found| {
            let key = K::key_of_live(&found, self.policy_root).map(|key| unique(key, &mut taken));
            if let Ok(key) = &key {
                let known = K::known_as(&found).into_iter();
                self.addresses.extend(known.map(|name| ((kind, name), Address::new(kind, key))));
            }
            Keyed { found, key }
        });
        keyed.collect()
    }

    /// Converts the resources of a kind to sections.
    pub(super) fn sections<K: Kind>(&mut self, kind: KindId, keyed: Vec<Keyed<K>>) -> IndexMap<String, K::Section> {
        let mut sections = IndexMap::new();
        for Keyed { found, key } in keyed {
            self.name = found.name.clone();
            let key = match key {
                Ok(key) => key,
                Err(why) => {
                    self.warn(why);
                    continue;
                }
            };
            for gap in &found.live.gaps {
                let path = gap.path.as_deref().unwrap_or_default();
                self.warn(format!("{path} is not managed: it could not be read ({})", gap.action));
            }
            let first = self.files.len();
            sections.insert(key.clone(), K::import(self, &key, found));
            let files = self.files[first..].iter().map(|file| file.path.clone()).collect();
            self.resources.push(ImportedResource { address: Address::new(kind, key), name: self.name.clone(), files });
        }
        sections
    }

    pub(super) fn finish(self, sections: Sections) -> Imported {
        Imported { sections, files: self.files, resources: self.resources, warnings: self.warnings }
    }
}

/// Returns the tags of a live resource for a section: without AWS's own, and `None` if there are too many. Together with the ownership tag,
/// fifty tags would exceed the limit.
pub(super) fn tags(live: Option<&Tags>) -> Option<Tags> {
    let own = live.into_iter().flatten().filter(|(key, _)| !key.starts_with("aws:"));
    let own: Tags = own.map(|(key, value)| (key.clone(), value.clone())).collect();
    Some(own).filter(|own| (1..50).contains(&own.len()))
}

/// Returns an unused key and reserves it.
fn unique(key: String, taken: &mut HashSet<String>) -> String {
    let numbered = (2..).map(|number| format!("{key}-{number}"));
    let free = std::iter::once(key.clone()).chain(numbered).find(|key| !taken.contains(key)).unwrap_or_default();
    taken.insert(free.clone());
    free
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::FoundResources;
    use crate::kind::policy_parameter::{ParameterType, PolicyParameter};
    use crate::kind::table::Table;
    use crate::resource::Facts;

    const POLICY: &str = "version: \"1\"\nrules:\n  - {name: all, effect: deny}\n";

    fn live<K>(name: &str, state: K, arn: Option<&str>) -> Found<K> {
        let facts = Facts { arn: arn.map(str::to_owned), ..Facts::default() };
        Found { name: name.to_owned(), live: Live { state, facts, gaps: Vec::new() } }
    }

    fn policy(profile: &str) -> Found<PolicyParameter> {
        let content = Some(POLICY.into());
        let state =
            PolicyParameter { content, parameter_type: Some(ParameterType::String), ..PolicyParameter::default() };
        live(&format!("/s/{profile}"), state, None)
    }

    fn import(found: FoundResources) -> Imported {
        found.import(&PolicyRoot::new("/s"))
    }

    #[test]
    fn file_names_do_not_differ_only_by_case() {
        let profiles = vec![policy("Dev"), policy("dev"), policy("dev-2")];
        let imported = import(FoundResources { profiles, ..FoundResources::default() });
        let paths: Vec<&str> = imported.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["policies/Dev.yaml", "policies/dev-2.yaml", "policies/dev-2-2.yaml"]);
        assert_eq!(imported.resources[1].files, ["policies/dev-2.yaml"]);
    }

    /// A file `dev.test.yaml` would be read as the test cases of `dev.yaml`.
    #[test]
    fn a_policy_file_never_has_the_name_of_a_test_case_file() {
        let profiles = vec![policy("dev"), policy("dev.test")];
        let imported = import(FoundResources { profiles, ..FoundResources::default() });
        let paths: Vec<&str> = imported.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["policies/dev.yaml", "policies/dev.test-2.yaml"]);
    }

    #[test]
    fn a_file_stays_in_its_folder() {
        let root = PolicyRoot::new("/s");
        let mut importer = Importer::new(&root, Vec::new());
        assert_eq!(importer.file("app/../../x y", "json", "{}"), "policies/app-..-..-x-y.json");
    }

    /// A table `approvals` with another layout than the built-in one gets the key `approvals-table`.
    #[test]
    fn tables_with_the_same_key_get_different_keys() {
        let tables = ["approvals", "approvals-table"].map(|name| live(name, Table::default(), None)).to_vec();
        let imported = import(FoundResources { tables, ..FoundResources::default() });
        let keys: Vec<&String> = imported.sections.tables.keys().collect();
        assert_eq!(keys, ["approvals-table", "approvals-table-2"]);
        let names = imported.sections.tables.values().map(|table| table.name.as_deref());
        assert_eq!(names.collect::<Vec<_>>(), [Some("approvals"), Some("approvals-table")]);
    }

    #[test]
    fn resources_are_found_by_kind_and_name_or_arn() {
        let root = PolicyRoot::new("/s");
        let mut importer = Importer::new(&root, Vec::new());
        importer.keys(KindId::Table, vec![live("orders", Table::default(), Some("arn:aws:dynamodb:::table/orders"))]);
        let found = |section, name| importer.address(section, name).map(ToString::to_string);
        assert_eq!(found("tables", "orders").as_deref(), Some("tables.orders"));
        assert_eq!(found("tables", "arn:aws:dynamodb:::table/orders").as_deref(), Some("tables.orders"));
        assert_eq!(found("profiles", "orders"), None);
        assert_eq!(found("tables", "other"), None);
    }

    #[test]
    fn each_requested_name_is_imported_once() {
        let named = |kind, name: &str| Named { kind, name: name.to_owned() };
        let all = [named(KindId::Table, "b"), named(KindId::Policy, "c"), named(KindId::Table, "b")];
        let (policy_root, ownership) = (&PolicyRoot::new("/s"), &OwnerKey::new("mark"));
        let request = Request { policy_root, ownership, named: &all, all: &[] };
        assert_eq!(request.of(KindId::Table).named, ["b"]);
        assert_eq!(request.of(KindId::Policy).named, ["c"]);
    }
}
