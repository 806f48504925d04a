//! The kinds of resource sentinel reconciles, and what all kinds have in common.
//!
//! A kind is one file (or folder) below this module: its state, its diff, its steps, its AWS calls. The enums here
//! list the kinds; a `match` that forgets one does not compile.

pub mod call;
pub mod caller;
mod fields;
pub mod interrupt;
pub mod pacer;
pub mod pages;
pub mod policy_parameter;
pub mod record;
pub mod record_key;
pub mod role;
pub mod secret;
pub mod table;
pub mod traffic;
mod trouble;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use sha2::{Digest, Sha256};

use crate::change::{Consent, FieldChange, FieldValue, Takes};
use call::Operation;
pub use fields::Fields;
use policy_parameter::{PolicyParameter, PolicyStep};
use table::{Table, TableStep};

/// Tags, by key.
pub type Tags = BTreeMap<String, String>;

/// The kinds of resource, in the order in which they are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    PolicyParameter,
    Table,
}

impl Kind {
    /// Every kind, in the order in which they are applied.
    pub const ALL: [Self; 2] = [Self::PolicyParameter, Self::Table];

    /// Returns the section of the manifest it stands in.
    pub const fn section(self) -> &'static str {
        match self {
            Self::PolicyParameter => "profiles",
            Self::Table => "tables",
        }
    }

    /// Returns how many of it are worked on at once.
    ///
    /// Each parameter is one short call, paced by its quota. Tables take their time: AWS lets 250 with indexes be created
    /// at once (Amazon DynamoDB Developer Guide, "Quotas"), and others may be at it too.
    pub const fn at_once(self) -> usize {
        match self {
            Self::PolicyParameter => 16,
            Self::Table => 200,
        }
    }
}

/// A resource's place in the manifest: `profiles.dev`, `tables.approvals`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    pub kind: Kind,
    pub key: String,
}

impl Address {
    /// Returns the address of a profile's policy.
    pub fn profile(key: impl Into<String>) -> Self {
        Self { kind: Kind::PolicyParameter, key: key.into() }
    }

    /// Returns the address of a table.
    pub fn table(key: impl Into<String>) -> Self {
        Self { kind: Kind::Table, key: key.into() }
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
            let kind = Kind::ALL.into_iter().find(|kind| kind.section() == section)?;
            Some(Self { kind, key: key.to_owned() })
        });
        found.ok_or_else(|| de::Error::custom(format!("{text:?} is not an address")))
    }
}

/// The value of the tag that marks what this tool created; its key is the manifest's to choose.
pub const OWNER: &str = "sentinel";
/// The key of that tag where the manifest chooses none.
pub const DEFAULT_OWNERSHIP_KEY: &str = "managed-by";

/// Whether a resource should be there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    #[default]
    Present,
    /// It should be gone: it carries the ownership tag, and the manifest does not name it.
    Absent,
}

/// What should be: one resource of the manifest, or one that should be gone.
///
/// `managed` holds what the manifest says, `None` where it says nothing; only that is ever compared. `initial` holds
/// what a new one is created with: the managed fields, and a default for the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired<T> {
    pub address: Address,
    #[serde(default)]
    pub presence: Presence,
    /// The key of the ownership tag, unless the manifest wants none. The tag is never a part of a difference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ownership: Option<String>,
    /// Whether what lacks the ownership tag is to be given it.
    #[serde(default)]
    pub adopt: bool,
    /// The name in AWS.
    pub name: String,
    /// What people call it: `dev`, `Break-Glass`.
    pub label: String,
    /// Where its content comes from: `default-deny`, `policies/dev.yaml`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    pub managed: T,
    pub initial: T,
}

impl<T: Clone> Desired<T> {
    /// Returns a resource that is created with what is managed and nothing more.
    pub fn new(address: Address, name: impl Into<String>, managed: T) -> Self {
        Self {
            presence: Presence::Present,
            ownership: None,
            adopt: false,
            name: name.into(),
            label: address.key.clone(),
            origin: None,
            initial: managed.clone(),
            managed,
            address,
        }
    }
}

impl<T> Desired<T> {
    /// Returns the difference that a missing ownership tag is, when it is to be given.
    fn adoption(&self, facts: &Facts) -> Option<FieldChange> {
        let key = self.ownership.as_ref().filter(|_| self.adopt && facts.owned == Some(false))?;
        let before = facts.owner.as_ref().map_or(FieldValue::Absent, FieldValue::words);
        let after = FieldValue::words(OWNER);
        Some(FieldChange::new(format!("tags.{key}"), before, after, Takes::InPlace, "adopted"))
    }

    /// Returns the ownership tag as a set of tags, when it is to be given.
    fn owner_tags(&self, facts: &Facts) -> Tags {
        let adopted = self.adoption(facts).and(self.ownership.clone());
        adopted.into_iter().map(|key| (key, OWNER.to_owned())).collect()
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed<T> {
    Absent,
    Present(Live<T>),
    /// It could not be read at all.
    Unknown(Gap),
}

/// A resource that is live, in the shape of the desired one: `None` where the field was not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live<T> {
    pub state: T,
    pub facts: Facts,
    /// The fields that could not be read.
    pub gaps: Vec<Gap>,
}

/// What is shown of a live resource and never compared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    /// The version of a parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// When it was last changed, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modified: Option<i64>,
    /// The status of a table, in AWS's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Whether a table holds no items, as AWS last counted them: it does so about every six hours. Source: DescribeTable in
    /// the DynamoDB API reference.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub empty: bool,
    /// Whether it carries the ownership tag; nothing where that was not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owned: Option<bool>,
    /// What the ownership tag says, where it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

/// Something that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The field, or nothing when it is the whole resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The IAM action that reads it, such as `dynamodb:DescribeTable`.
    pub action: String,
    /// Whether the permission is missing; otherwise the call failed in another way.
    pub denied: bool,
    /// What AWS said.
    pub message: String,
}

impl Gap {
    /// Returns the gap that a failed read leaves.
    pub fn new(path: Option<&str>, error: &call::CallError) -> Self {
        Self {
            path: path.map(str::to_owned),
            action: error.operation.action(),
            denied: error.class == call::Class::Denied,
            message: error.to_string(),
        }
    }
}

/// A desired resource and what was found of it; both sides are of one kind by type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair<'a, T> {
    pub desired: &'a Desired<T>,
    pub observed: Observed<T>,
}

/// A desired resource of any kind. What is desired is the same in the manifest, in the pass of each target and in a saved plan, so
/// that it is shared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DesiredResource {
    Policy(Arc<Desired<PolicyParameter>>),
    Table(Arc<Desired<Table>>),
}

impl DesiredResource {
    /// Returns its place in the manifest.
    pub fn address(&self) -> &Address {
        match self {
            Self::Policy(policy) => &policy.address,
            Self::Table(table) => &table.address,
        }
    }

    /// Returns its name in AWS.
    pub fn name(&self) -> &str {
        match self {
            Self::Policy(policy) => &policy.name,
            Self::Table(table) => &table.name,
        }
    }

    /// Returns it as one that is given the ownership tag where it lacks it.
    #[must_use]
    pub fn adopted(mut self) -> Self {
        match &mut self {
            Self::Policy(policy) => Arc::make_mut(policy).adopt = true,
            Self::Table(table) => Arc::make_mut(table).adopt = true,
        }
        self
    }

    /// Returns the policy parameter, if it is one.
    pub fn as_policy(&self) -> Option<&Desired<PolicyParameter>> {
        match self {
            Self::Policy(policy) => Some(policy),
            Self::Table(_) => None,
        }
    }

    /// Returns the table, if it is one.
    pub fn as_table(&self) -> Option<&Desired<Table>> {
        match self {
            Self::Table(table) => Some(table),
            Self::Policy(_) => None,
        }
    }
}

/// An observed resource of any kind.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there are as many as a manifest has sections: a box would save nothing")]
pub enum ObservedResource<'a> {
    Policy(Pair<'a, PolicyParameter>),
    Table(Box<Pair<'a, Table>>),
}

/// One AWS call that writes, or one wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Step {
    Policy(PolicyStep),
    Table(TableStep),
}

impl Step {
    /// Returns the AWS operations that carrying it out may call; the first is the one that changes something, if any.
    pub fn operations(&self) -> &'static [Operation] {
        match self {
            Self::Policy(step) => step.operations(),
            Self::Table(step) => step.operations(),
        }
    }

    /// Returns the AWS operation that it changes something with; a wait has none.
    pub fn writes(&self) -> Option<Operation> {
        self.operations().first().copied().filter(|operation| operation.writes())
    }

    /// Returns whether it ends the work on its resource for now.
    pub fn defers(&self) -> bool {
        matches!(self, Self::Table(TableStep::Defer { .. }))
    }

    /// Returns whether it is one of those that follow the creation of a resource and give it what it has not had yet.
    pub fn follows_creation(&self) -> bool {
        matches!(self, Self::Table(step) if step.follows_creation())
    }

    /// Returns what has to be allowed before it runs.
    pub fn needs(&self) -> Option<Consent> {
        match self {
            Self::Policy(step) => step.needs(),
            Self::Table(step) => step.needs(),
        }
    }

    /// Returns how long AWS works on it: when it is quick, and when it takes its time.
    pub fn time(&self) -> (Duration, Duration) {
        match self {
            // A parameter is there as soon as the call is answered.
            Self::Policy(_) => (Duration::ZERO, Duration::ZERO),
            Self::Table(step) => step.time(),
        }
    }

    /// Returns what it does, in a few words for progress lines.
    pub fn describe(&self) -> String {
        match self {
            Self::Policy(step) => step.describe().to_owned(),
            Self::Table(step) => step.describe(),
        }
    }
}

/// How a step ended when no error kept it from ending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepOutcome {
    /// It is done, or was found done.
    Done,
    /// AWS will not take it before some time has passed.
    Deferred(String),
    /// Someone else changed the resource since it was observed.
    Conflict(String),
}

/// Why a value is not allowed, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    pub problem: String,
    pub help: String,
}

impl Invalid {
    /// Returns a refusal.
    pub fn new(problem: impl Into<String>, help: impl Into<String>) -> Self {
        Self { problem: problem.into(), help: help.into() }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}; {}", self.problem, self.help)
    }
}

/// Returns a digest of a text: `sha256:…`.
pub fn digest(text: &str) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(text)))
}

/// Takes the ownership tag out of a set of tags that was read, and notes whose it says the resource is.
///
/// It is no part of what a manifest says about tags, so nothing after this sees it.
fn take_owner(tags: &mut Tags, key: Option<&str>, facts: &mut Facts) {
    if let Some(key) = key {
        facts.owner = tags.remove(key);
        facts.owned = Some(facts.owner.as_deref() == Some(OWNER));
    }
}

/// Compares two sets of tags; AWS's own (`aws:…`) are never part of a difference.
fn diff_tags(live: &Tags, desired: &Tags, changes: &mut Vec<FieldChange>) {
    let shown = |value: Option<&String>| value.map_or(FieldValue::Absent, FieldValue::words);
    let keys: std::collections::BTreeSet<&String> = live.keys().chain(desired.keys()).collect();
    for key in keys.into_iter().filter(|key| !key.starts_with("aws:")) {
        let (before, after) = (live.get(key), desired.get(key));
        if before != after {
            let how = if after.is_some() { "tagged in place" } else { "untagged in place" };
            changes.push(FieldChange::new(format!("tags.{key}"), shown(before), shown(after), Takes::InPlace, how));
        }
    }
}

/// Returns tags in words, AWS's own left out.
fn tag_words(tags: &Tags) -> String {
    let own = tags.iter().filter(|(key, _)| !key.starts_with("aws:"));
    own.map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(", ")
}

/// Checks a tag's key. Source: the Tag data type in the API references of both services.
pub fn check_tag_key(key: &str) -> Result<(), Invalid> {
    let help = "a tag key has 1 to 128 letters, digits, spaces or _ . : / = + - @, and does not begin with aws:";
    if key.is_empty() || key.chars().count() > 128 || !key.chars().all(tag_char) {
        return Err(Invalid::new(format!("\"{key}\" is not a tag key AWS takes"), help));
    }
    if key.to_ascii_lowercase().starts_with("aws:") {
        return Err(Invalid::new(format!("the tag key \"{key}\" is reserved for AWS"), help));
    }
    Ok(())
}

/// Checks a tag's value.
pub fn check_tag_value(value: &str) -> Result<(), Invalid> {
    if value.chars().count() > 256 || !value.chars().all(tag_char) {
        let help = "a tag value has at most 256 letters, digits, spaces or _ . : / = + - @";
        return Err(Invalid::new(format!("\"{value}\" is not a tag value AWS takes"), help));
    }
    Ok(())
}

fn tag_char(letter: char) -> bool {
    letter.is_alphanumeric() || letter == ' ' || "_.:/=+-@".contains(letter)
}

#[cfg(test)]
mod tests {
    use super::call::{CREATE_TABLE, PUT_PARAMETER};
    use super::*;

    fn tags(pairs: &[(&str, &str)]) -> Tags {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_tag_is_what_aws_takes_and_nothing_longer() {
        for key in ["a", &"k".repeat(128), "a b_.:/=+-@1", "é", "xaws:"] {
            assert_eq!(check_tag_key(key), Ok(()), "{key}");
        }
        for key in ["", &"k".repeat(129), "a\nb", "a*", "aws:x", "AWS:x"] {
            assert!(check_tag_key(key).is_err(), "{key}");
        }
        for value in ["", &"v".repeat(256), "a b_.:/=+-@1"] {
            assert_eq!(check_tag_value(value), Ok(()), "{value}");
        }
        for value in [&*"v".repeat(257), "a*", "\u{1b}"] {
            assert!(check_tag_value(value).is_err(), "{value:?}");
        }
        let refusal = check_tag_key("aws:x").unwrap_err().to_string();
        assert!(refusal.starts_with("the tag key \"aws:x\" is reserved for AWS; a tag key has 1 to 128"), "{refusal}");
    }

    #[test]
    fn aws_own_tags_are_no_part_of_ours() {
        let live = tags(&[("aws:cloudformation", "x"), ("a", "1"), ("b", "2")]);
        assert_eq!(tag_words(&live), "a=1, b=2");
        let mut changes = Vec::new();
        diff_tags(&live, &tags(&[("a", "1"), ("c", "3")]), &mut changes);
        let changes: Vec<(&str, &str)> = changes.iter().map(|one| (one.path.as_str(), one.how.as_str())).collect();
        assert_eq!(changes, [("tags.b", "untagged in place"), ("tags.c", "tagged in place")]);
    }

    #[test]
    fn whose_a_resource_is_stands_in_its_tag_alone() {
        let owner = |key: Option<&str>, found: &[(&str, &str)]| {
            let (mut tags, mut facts) = (tags(found), Facts::default());
            take_owner(&mut tags, key, &mut facts);
            (tags.len(), facts.owned, facts.owner)
        };
        let theirs = Some(String::from("someone"));
        assert_eq!(owner(None, &[("managed-by", OWNER)]), (1, None, None));
        assert_eq!(owner(Some("managed-by"), &[("managed-by", OWNER)]), (0, Some(true), Some(OWNER.to_owned())));
        assert_eq!(owner(Some("managed-by"), &[("managed-by", "someone"), ("a", "b")]), (1, Some(false), theirs));
        assert_eq!(owner(Some("managed-by"), &[]), (0, Some(false), None));
    }

    /// Given to what is known not to have it, where that is wanted, and to nothing else.
    #[test]
    fn the_ownership_tag_is_given_where_it_is_missing_and_wanted() {
        let gives = |adopt: bool, ownership: Option<&str>, owned: Option<bool>| {
            let ownership = ownership.map(str::to_owned);
            let desired = Desired { ownership, adopt, ..Desired::new(Address::profile("dev"), "/s/dev", ()) };
            let facts = Facts { owned, ..Facts::default() };
            let change = desired.adoption(&facts).map(|change| (change.path, change.how));
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

    #[test]
    fn a_digest_is_the_sha_256_of_a_text() {
        let of_abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest("abc"), of_abc);
    }

    #[test]
    fn a_resource_is_of_one_kind() {
        let policy = Desired::new(Address::profile("dev"), "/s/dev", PolicyParameter::default());
        let table = Desired::new(Address::table("audit"), "acme-audit", Table::default());
        let (policy, table) = (DesiredResource::Policy(Arc::new(policy)), DesiredResource::Table(Arc::new(table)));
        assert_eq!((policy.name(), table.name()), ("/s/dev", "acme-audit"));
        assert!(policy.as_policy().is_some() && policy.as_table().is_none());
        assert!(table.as_table().is_some() && table.as_policy().is_none());
    }

    #[test]
    fn a_step_says_what_it_writes_and_what_has_to_be_allowed() {
        let name = || String::from("t");
        let delete = PolicyStep::DeleteParameter { name: name(), expects_version: 1, owner_key: String::from("mark") };
        let create = TableStep::CreateTable { name: name(), table: Box::default() };
        let defer = TableStep::Defer { name: name(), why: String::from("later"), seconds: None };
        let tier = policy_parameter::Tier::Standard;
        let (content, tags) = ("x".into(), Tags::new());
        let put = PolicyStep::CreateParameter { name: name(), content, tier, tags, content_managed: true };
        let facts = |step: Step| (step.writes(), step.defers(), step.needs());
        assert_eq!(facts(Step::Policy(put)), (Some(PUT_PARAMETER), false, None));
        assert_eq!(facts(Step::Table(create)), (Some(CREATE_TABLE), false, None));
        assert_eq!(facts(Step::Policy(delete)), (Some(call::DELETE_PARAMETERS), false, Some(Consent::Prune)));
        assert_eq!(facts(Step::Table(defer)), (None, true, None));
        assert_eq!(facts(Step::Table(TableStep::WaitForTable { name: name() })), (None, false, None));
    }
}
