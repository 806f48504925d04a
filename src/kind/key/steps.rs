//! The steps that repair a key.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    CREATE_ALIAS, CREATE_KEY, DESCRIBE_KEY, DISABLE_KEY_ROTATION, ENABLE_KEY_ROTATION, Field, GET_KEY_POLICY,
    GET_KEY_ROTATION_STATUS, Key, LIST_ALIASES, LIST_KEYS, LIST_RESOURCE_TAGS, PUT_KEY_POLICY, Rotation, TAG_RESOURCE,
    UNTAG_RESOURCE, UPDATE_KEY_DESCRIPTION,
};
use crate::change::{Consent, FieldChange, Protection};
use crate::kind::document::PolicyDocument;
use crate::kind::{Desired, KindStep, NewDocument, StepTime};
use crate::resource::call::Operation;
use crate::resource::{Facts, Live, Tags};

/// One call that changes a key. Its name is the alias, and the ARN is that of the observed key: if the alias is moved to another key, that
/// key is not changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum KeyStep {
    /// Creates a key and its alias; expects that the alias does not exist. Ends when the alias resolves to the key.
    CreateKey { name: String, key: Box<Key> },
    /// Sets the description.
    SetKeyDescription { name: String, key: String, description: String },
    /// Replaces the key policy.
    PutKeyPolicy { name: String, key: String, policy: PolicyDocument },
    /// Turns rotation on or off, or changes its period.
    SetKeyRotation {
        name: String,
        /// `None` for the key that is created just before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
        rotation: Rotation,
        #[serde(default, skip_serializing_if = "Protection::is_unchanged")]
        protection: Protection,
    },
    /// Sets these tags and keeps all others.
    TagKey { name: String, key: String, tags: Tags },
    /// Removes the tags of these keys.
    UntagKey { name: String, key: String, keys: Vec<String> },
}

impl KindStep for KeyStep {
    fn operations(&self) -> &'static [Operation] {
        match self {
            // The lists are for a lost response. Tags in a creation require the tagging permission.
            Self::CreateKey { key, .. } => match key.tags.as_ref().is_some_and(|tags| !tags.is_empty()) {
                true => {
                    &[CREATE_KEY, CREATE_ALIAS, TAG_RESOURCE, LIST_KEYS, LIST_ALIASES, LIST_RESOURCE_TAGS, DESCRIBE_KEY]
                }
                false => &[CREATE_KEY, CREATE_ALIAS, LIST_KEYS, LIST_ALIASES, LIST_RESOURCE_TAGS, DESCRIBE_KEY],
            },
            Self::SetKeyDescription { .. } => &[UPDATE_KEY_DESCRIPTION, DESCRIBE_KEY],
            Self::PutKeyPolicy { .. } => &[PUT_KEY_POLICY, DESCRIBE_KEY],
            Self::SetKeyRotation { rotation: Rotation::Off, .. } => &[DISABLE_KEY_ROTATION, DESCRIBE_KEY],
            Self::SetKeyRotation { .. } => &[ENABLE_KEY_ROTATION, DESCRIBE_KEY],
            Self::TagKey { .. } => &[TAG_RESOURCE, DESCRIBE_KEY],
            Self::UntagKey { .. } => &[UNTAG_RESOURCE, DESCRIBE_KEY],
        }
    }

    fn needs(&self) -> Option<Consent> {
        match self {
            Self::SetKeyRotation { rotation: Rotation::Off, .. }
            | Self::SetKeyRotation { protection: Protection::Removed, .. } => Some(Consent::Protection),
            Self::CreateKey { .. }
            | Self::SetKeyDescription { .. }
            | Self::PutKeyPolicy { .. }
            | Self::SetKeyRotation { .. }
            | Self::TagKey { .. }
            | Self::UntagKey { .. } => None,
        }
    }

    fn new_documents(&self) -> Vec<NewDocument<'_>> {
        let Self::CreateKey { key, .. } = self else { return Vec::new() };
        let policy = key
            .policy
            .iter()
            .map(|policy| NewDocument { setting: Some(Field::Policy.to_string()), text: policy.pretty().into() });
        policy.collect()
    }

    fn describe(&self) -> String {
        let text = match self {
            Self::CreateKey { .. } => "creating",
            Self::SetKeyDescription { .. } => "changing the description",
            Self::PutKeyPolicy { .. } => "replacing the key policy",
            Self::SetKeyRotation { rotation: Rotation::Off, .. } => "disabling rotation",
            Self::SetKeyRotation { .. } => "enabling rotation",
            Self::TagKey { .. } => "tagging",
            Self::UntagKey { .. } => "removing tags",
        };
        text.to_owned()
    }

    /// Returns the time that AWS works on it: a new alias propagates within seconds. Source: "AWS KMS eventual consistency" in the AWS Key
    /// Management Service Developer Guide.
    fn time(&self) -> StepTime {
        match self {
            Self::CreateKey { .. } => StepTime { quick: Duration::from_secs(1), slow: Duration::from_secs(5) },
            _ => StepTime { quick: Duration::ZERO, slow: Duration::from_secs(1) },
        }
    }

    fn protects(&self) -> bool {
        matches!(self, Self::SetKeyRotation { protection: Protection::Added, .. })
    }

    fn follows_creation(&self) -> bool {
        matches!(self, Self::SetKeyRotation { key: None, .. })
    }
}

/// Returns the operations that observe this key.
pub(super) fn reads(desired: &Desired<Key>) -> Vec<Operation> {
    let Key { description: _, policy, rotation, multi_region: _, tags, unlike: _ } = &desired.managed;
    let mut operations = vec![DESCRIBE_KEY];
    operations.extend(policy.as_ref().map(|_| GET_KEY_POLICY));
    operations.extend(rotation.map(|_| GET_KEY_ROTATION_STATUS));
    operations.extend((tags.is_some() || desired.adopt).then_some(LIST_RESOURCE_TAGS));
    operations
}

/// Returns the steps that create the key. `CreateKey` includes all settings except rotation.
pub(super) fn create(desired: &Desired<Key>) -> Vec<KeyStep> {
    let name = || desired.name.clone();
    let key = Box::new(Key { rotation: None, ..desired.initial.clone() });
    let mut steps = vec![KeyStep::CreateKey { name: name(), key }];
    if let Some(rotation) = desired.initial.rotation.filter(|rotation| *rotation != Rotation::Off) {
        steps.push(KeyStep::SetKeyRotation { name: name(), key: None, rotation, protection: Protection::Added });
    }
    steps
}

/// Returns the steps that repair the differences, as far as AWS supports it: those that protect first, and those that remove protection
/// last.
pub(super) fn repair(desired: &Desired<Key>, live: &Live<Key>, changes: &[FieldChange<Field>]) -> Vec<KeyStep> {
    let name = || desired.name.clone();
    let key = || live.facts.arn.clone().unwrap_or_default();
    let differs = |field: Field| changes.iter().any(|change| change.is_in_place(&field));
    let Key { description, policy, rotation, multi_region: _, tags, unlike: _ } = &desired.managed;
    let mut steps = Vec::new();
    let rotate = |rotation: Rotation| KeyStep::SetKeyRotation {
        name: name(),
        key: Some(key()),
        rotation,
        protection: live.state.rotation.map(|before| before.protection_of(rotation)).unwrap_or_default(),
    };
    let rotation = rotation.filter(|_| differs(Field::Rotation));
    steps.extend(rotation.filter(|rotation| *rotation != Rotation::Off).map(rotate));
    let mut set = desired.owner_tags(&live.facts);
    let mut removed = Vec::new();
    if let (Some(wanted), Some(before)) = (tags, &live.state.tags) {
        let differing = wanted.iter().filter(|(key, value)| before.get(*key) != Some(*value));
        set.extend(differing.map(|(key, value)| (key.clone(), value.clone())));
        removed.extend(before.keys().filter(|key| !wanted.contains_key(*key) && !key.starts_with("aws:")).cloned());
    }
    // A key has at most 50 tags, so tags are removed before others are added. The ownership tag is not among them.
    if !removed.is_empty() {
        steps.push(KeyStep::UntagKey { name: name(), key: key(), keys: removed });
    }
    if !set.is_empty() {
        steps.push(KeyStep::TagKey { name: name(), key: key(), tags: set });
    }
    if let Some(description) = description.clone().filter(|_| differs(Field::Description)) {
        steps.push(KeyStep::SetKeyDescription { name: name(), key: key(), description });
    }
    if let Some(policy) = policy.clone().filter(|_| differs(Field::Policy)) {
        steps.push(KeyStep::PutKeyPolicy { name: name(), key: key(), policy });
    }
    steps.extend(rotation.filter(|rotation| *rotation == Rotation::Off).map(rotate));
    steps
}

/// Returns a live key with a repairable difference in every managed setting, which shows the operations of any repair without a call to
/// AWS.
pub(super) fn opposite(desired: &Desired<Key>) -> Live<Key> {
    let Key { description, policy, rotation, multi_region, tags, unlike: _ } = &desired.managed;
    let other_rotation = |rotation: &Rotation| match rotation {
        Rotation::Off => Rotation::Days(365),
        Rotation::On | Rotation::Days(_) => Rotation::Off,
    };
    let state = Key {
        description: description.as_ref().map(|text| format!("not {text}")),
        policy: policy.as_ref().map(|_| PolicyDocument::from_aws("another")),
        rotation: rotation.as_ref().map(other_rotation),
        multi_region: *multi_region,
        tags: tags.as_ref().map(|_| Tags::from([(String::from("stray"), String::new())])),
        unlike: None,
    };
    Live { state, facts: Facts { owned: Some(false), ..Facts::default() }, gaps: Vec::new() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::diff::changes;
    use super::*;
    use crate::kind::{Address, KindId};
    use crate::resource::OWNER;
    use crate::resource::names::OwnerKey;

    fn owned((key, value): (&str, &str)) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    fn desired() -> Desired<Key> {
        let managed = Key {
            description: Some(String::from("Records")),
            policy: Some(json!({ "Statement": [] }).into()),
            rotation: Some(Rotation::Days(180)),
            multi_region: Some(false),
            tags: Some(Tags::from([("team", "x")].map(owned))),
            unlike: None,
        };
        let desired = Desired::new(Address::new(KindId::Key, "records"), "alias/records", managed);
        Desired { ownership: Some(OwnerKey::new("managed-by")), ..desired }
    }

    fn described(steps: &[KeyStep]) -> Vec<String> {
        let described = |step: &KeyStep| {
            let names: Vec<&str> = step.operations().iter().map(|operation| operation.name).collect();
            format!("{}: {}", step.describe(), names.join(" "))
        };
        steps.iter().map(described).collect()
    }

    #[test]
    fn a_creation_includes_everything_but_rotation() {
        let with_tags = "creating: CreateKey CreateAlias TagResource ListKeys ListAliases ListResourceTags DescribeKey";
        let without = "creating: CreateKey CreateAlias ListKeys ListAliases ListResourceTags DescribeKey";
        let rotation = "enabling rotation: EnableKeyRotation DescribeKey";
        assert_eq!(described(&create(&desired())), [with_tags, rotation]);
        let mut bare = desired();
        (bare.initial.tags, bare.initial.rotation) = (None, Some(Rotation::Off));
        assert_eq!(described(&create(&bare)), [without]);
        let KeyStep::CreateKey { key, .. } = &create(&desired())[0] else { panic!() };
        assert_eq!(key.rotation, None);
        assert!(create(&desired())[1].follows_creation());
    }

    #[test]
    fn the_opposite_of_a_key_needs_every_kind_of_repair() {
        let wanted = Desired { adopt: true, ..desired() };
        let live = opposite(&wanted);
        let steps = repair(&wanted, &live, &changes(&wanted, &live));
        let expected = [
            "enabling rotation: EnableKeyRotation DescribeKey",
            "removing tags: UntagResource DescribeKey",
            "tagging: TagResource DescribeKey",
            "changing the description: UpdateKeyDescription DescribeKey",
            "replacing the key policy: PutKeyPolicy DescribeKey",
        ];
        assert_eq!(described(&steps), expected);
        let KeyStep::TagKey { tags, .. } = &steps[2] else { panic!("{steps:?}") };
        assert_eq!(*tags, Tags::from([("team", "x"), ("managed-by", OWNER)].map(owned)));
    }

    #[test]
    fn rotation_is_turned_off_last_and_with_consent() {
        let mut wanted = desired();
        wanted.managed.rotation = Some(Rotation::Off);
        let live = opposite(&wanted);
        let steps = repair(&wanted, &live, &changes(&wanted, &live));
        let last = steps.last().unwrap();
        assert_eq!((last.describe().as_str(), last.needs()), ("disabling rotation", Some(Consent::Protection)));
        assert!(steps[..steps.len() - 1].iter().all(|step| step.needs().is_none()));
    }

    #[test]
    fn enabling_or_shortening_rotation_adds_protection() {
        let change = |before: Rotation, after: Rotation| {
            let mut wanted = desired();
            wanted.managed = Key { rotation: Some(after), ..Key::default() };
            let state = Key { rotation: Some(before), ..Key::default() };
            let live = Live { state, facts: Facts::default(), gaps: Vec::new() };
            let steps = repair(&wanted, &live, &changes(&wanted, &live));
            (steps[0].protects(), steps[0].needs().is_some())
        };
        assert_eq!(change(Rotation::Off, Rotation::On), (true, false));
        assert_eq!(change(Rotation::Off, Rotation::Days(2560)), (true, false));
        assert_eq!(change(Rotation::Days(365), Rotation::Days(90)), (true, false));
        assert_eq!(change(Rotation::Days(90), Rotation::Days(2560)), (false, false));
        assert_eq!(change(Rotation::Days(90), Rotation::Off), (false, true));
    }

    #[test]
    fn only_managed_settings_are_read() {
        let names = |managed: Key, adopt| -> Vec<&str> {
            reads(&Desired { adopt, managed, ..desired() }).iter().map(|operation| operation.name).collect()
        };
        assert_eq!(names(Key::default(), false), ["DescribeKey"]);
        assert_eq!(names(Key::default(), true), ["DescribeKey", "ListResourceTags"]);
        let all = ["DescribeKey", "GetKeyPolicy", "GetKeyRotationStatus", "ListResourceTags"];
        assert_eq!(names(desired().managed, false), all);
    }

    #[test]
    fn steps_read_back_unchanged() {
        let wanted = Desired { adopt: true, ..desired() };
        let live = opposite(&wanted);
        let mut steps = repair(&wanted, &live, &changes(&wanted, &live));
        steps.extend(create(&wanted));
        for step in steps {
            let text = serde_json::to_string(&crate::kind::Step::Key(step.clone())).unwrap();
            assert_eq!(serde_json::from_str::<crate::kind::Step>(&text).unwrap(), crate::kind::Step::Key(step));
        }
    }
}
