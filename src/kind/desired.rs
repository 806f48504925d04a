//! Desired state: addresses, desired resources, and their observations.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::section::Resolver;
use super::{Kind, KindId, Sections};
use crate::change::{ChangeMethod, FieldChange, FieldValue};
use crate::document::GivenFile;
use crate::resource::names::{OwnerKey, PolicyRoot};
use crate::resource::{Facts, Gap, Invalid, OWNER, Observed, Tags, check_tag_key};

/// The address of a resource in the manifest: `profiles.dev`, `tables.approvals`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    pub kind: KindId,
    pub key: String,
}

impl Address {
    /// Returns the address of a resource of a kind.
    pub fn new(kind: KindId, key: impl Into<String>) -> Self {
        Self { kind, key: key.into() }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.kind.section(), self.key)
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let found = text.split_once('.').and_then(|(section, key)| {
            let kind = KindId::ALL.iter().find(|kind| kind.section() == section)?;
            Some(Self { kind: *kind, key: key.to_owned() })
        });
        found.ok_or_else(|| de::Error::custom(format!("{text:?} is not an address")))
    }
}

/// Whether a resource should exist.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    #[default]
    Present,
    /// It should not exist: it carries the ownership tag, and the manifest does not list it.
    Absent,
    /// It should not exist, because the manifest says `removed = true`.
    Removed,
}

impl Presence {
    /// Returns whether it should exist.
    pub fn is_present(&self) -> bool {
        *self == Self::Present
    }
}

/// Desired state: one resource of the manifest, or one to delete.
///
/// `managed` has the settings of the manifest, and `None` for all others; only managed settings are compared. `initial` is the state of a
/// new resource: the managed settings, and defaults for the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired<T> {
    pub address: Address,
    #[serde(default)]
    pub presence: Presence,
    /// The key of the ownership tag, unless the manifest turns the tag off. The tag is never part of a difference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ownership: Option<OwnerKey>,
    /// Whether a missing ownership tag is added.
    #[serde(default)]
    pub adopt: bool,
    /// The name in AWS.
    pub name: String,
    /// The display name: `dev`, `Break-Glass`.
    pub label: String,
    /// The source of its content: `default-deny`, `policies/dev.yaml`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// Its dependencies, which are applied first.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub depends_on: BTreeSet<Address>,
    pub managed: T,
    pub initial: T,
}

impl<T: Clone> Desired<T> {
    /// Returns a resource whose initial state has only the managed settings.
    pub fn new(address: Address, name: impl Into<String>, managed: T) -> Self {
        Self {
            presence: Presence::Present,
            ownership: None,
            adopt: false,
            name: name.into(),
            label: address.key.clone(),
            origin: None,
            depends_on: BTreeSet::new(),
            initial: managed.clone(),
            managed,
            address,
        }
    }
}

impl<T> Desired<T> {
    /// Returns whether its owner must be known.
    pub(super) fn reads_owner(&self) -> bool {
        self.adopt || self.presence == Presence::Removed
    }

    /// Returns the difference for a missing ownership tag, if the tag is to be added.
    pub(super) fn adoption<F>(&self, facts: &Facts, field: fn(String) -> F) -> Option<FieldChange<F>> {
        let key = self.ownership.as_ref().filter(|_| self.adopt && facts.owned == Some(false))?;
        let before = facts.owner.as_ref().map_or(FieldValue::Absent, FieldValue::text);
        let after = FieldValue::text(OWNER);
        Some(FieldChange::new(field(key.to_string()), before, after, ChangeMethod::InPlace, "adopted"))
    }

    /// Returns the ownership tag as a set of tags, if it is to be added.
    pub(super) fn owner_tags(&self, facts: &Facts) -> Tags {
        let adopted = self.adoption(facts, |key| key).map(|change| change.path);
        adopted.into_iter().map(|key| (key, OWNER.to_owned())).collect()
    }
}

/// Returns one observation for each desired resource. If their number differs, none of them is used: their assignment would be a guess, and
/// a resource without one would be missing from the plan.
pub(super) fn one_for_each<K: Kind>(desired: &[&Desired<K>], observed: Vec<Observed<K>>) -> Vec<Observed<K>> {
    if desired.len() == observed.len() {
        return observed;
    }
    let message = format!("{} were requested and {} returned; this is a bug", desired.len(), observed.len());
    let unknown = |desired: &&Desired<K>| {
        let action = K::reads(desired).first().map(|operation| operation.action()).unwrap_or_default();
        Observed::Unknown(Gap { path: None, action, denied: false, message: message.clone() })
    };
    desired.iter().map(unknown).collect()
}

/// The manifest that would express a desired resource.
#[derive(Debug)]
pub struct AsManifest {
    /// Its section, and no other.
    pub sections: Sections,
    /// The files of the section with their texts.
    pub files: Vec<GivenFile>,
    /// The tags that `[aws]` would need, if the section manages none.
    pub tags: Option<Tags>,
    /// The key of the ownership tag.
    pub ownership: Option<OwnerKey>,
    /// Whether a missing ownership tag is added, which the command line determines.
    pub adopt: bool,
}

/// Returns the manifest that would express a resource; `sections` has its own section.
pub(super) fn as_manifest<K: Kind>(desired: &Desired<K>, sections: Sections) -> AsManifest {
    let initial = desired.initial.tags().filter(|_| desired.managed.tags().is_none());
    let own = |(key, _): &(&String, &String)| Some(key.as_str()) != desired.ownership.as_deref();
    AsManifest {
        sections,
        files: K::files_of(desired),
        tags: initial.map(|tags| tags.iter().filter(own).map(|(key, value)| (key.clone(), value.clone())).collect()),
        ownership: desired.ownership.clone(),
        adopt: desired.adopt,
    }
}

/// Returns a resource that the manifest declares as removed.
pub(super) fn removed<K: Kind>(
    resolver: &mut Resolver<'_>,
    address: Address,
    section: &K::Section,
) -> Option<Desired<K>> {
    let place = [address.kind.section(), address.key.as_str(), "removed"];
    let name = match K::name_of(&address.key, section, resolver.policy_root) {
        Ok(name) => name,
        Err(invalid) => {
            resolver.fault(&place, invalid, "not possible");
            return None;
        }
    };
    if resolver.ownership.is_none() {
        let problem = format!(
            "`{address}` is removed, but without an ownership tag Sentinel cannot tell whether it \
             created the resource"
        );
        let help = "remove ownership_tag = false from [aws]; or remove the section, and delete the resource in AWS";
        resolver.fault(&place, Invalid::new(problem, help), "no ownership tag");
    }
    let ownership = resolver.ownership.clone();
    Some(Desired { presence: Presence::Removed, ownership, ..Desired::new(address, name, K::default()) })
}

/// Checks that pruning could delete a resource: Sentinel created it, and no manifest names it.
pub(super) fn check_removal<K: Kind>(desired: &Desired<K>, policy_root: &PolicyRoot) -> Result<(), String> {
    let Desired { address, name, ownership, .. } = desired;
    let refused = |why: &str| Err(format!("{address}: {why}"));
    let Some(ownership) = ownership else { return refused("it does not have the ownership tag") };
    let key = match check_tag_key(ownership).and_then(|()| K::key_of(name, policy_root)) {
        Ok(key) => key,
        Err(invalid) => return refused(&invalid.problem),
    };
    let bare = Desired::new(Address::new(address.kind, key), name.clone(), K::default());
    let expected = Desired { presence: Presence::Absent, ownership: Some(ownership.clone()), ..bare };
    if expected == *desired { Ok(()) } else { refused("the resource to delete is not one that pruning deletes") }
}

/// A desired resource and its observed state, of the same kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair<'a, T> {
    pub desired: &'a Desired<T>,
    pub observed: Observed<T>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::policy_parameter::PolicyParameter;

    #[test]
    fn missing_observations_make_every_resource_unknown() {
        let of = |key: &str| Desired::new(Address::new(KindId::Policy, key), key, PolicyParameter::default());
        let (one, other) = (of("one"), of("other"));
        let whole = vec![Observed::Absent, Observed::Absent];
        assert_eq!(one_for_each(&[&one, &other], whole.clone()), whole);
        for answered in [0, 1, 3] {
            let found = one_for_each(&[&one, &other], vec![Observed::Absent; answered]);
            assert_eq!(found.len(), 2);
            for one in found {
                let Observed::Unknown(gap) = one else { panic!("{answered}: {one:?}") };
                assert_eq!((gap.action.as_str(), gap.denied), ("ssm:GetParameters", false));
            }
        }
    }

    fn tags(pairs: &[(&str, &str)]) -> Tags {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    /// The tag is added only to resources that are known to lack it, and only if requested.
    #[test]
    fn the_ownership_tag_is_added_if_missing_and_requested() {
        let gives = |adopt: bool, ownership: Option<&str>, owned: Option<bool>| {
            let ownership = ownership.map(OwnerKey::new);
            let desired =
                Desired { ownership, adopt, ..Desired::new(Address::new(KindId::Policy, "dev"), "/s/dev", ()) };
            let facts = Facts { owned, ..Facts::default() };
            let change = desired.adoption(&facts, |key| format!("tags.{key}")).map(|change| (change.path, change.how));
            assert_eq!(change.is_some(), !desired.owner_tags(&facts).is_empty());
            (change, desired.owner_tags(&facts))
        };
        let given = (Some((String::from("tags.mark"), String::from("adopted"))), tags(&[("mark", OWNER)]));
        assert_eq!(gives(true, Some("mark"), Some(false)), given);
        for (adopt, ownership, owned) in [
            (false, Some("mark"), Some(false)),
            (true, None, Some(false)),
            (true, Some("mark"), Some(true)),
            (true, Some("mark"), None),
        ] {
            assert_eq!(gives(adopt, ownership, owned), (None, Tags::new()), "{adopt} {ownership:?} {owned:?}");
        }
    }
}
