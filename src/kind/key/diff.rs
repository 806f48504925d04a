//! Computes the difference between a live and a desired key. Pure.

use super::state::KeyState;
use super::{Field, Key, KeyStep, Rotation};
use crate::change::{ChangeMethod, Consent, FieldChange, FieldValue};
use crate::kind::{Desired, Settled};
use crate::resource::{Live, diff_tags};

/// Returns all differences in the managed settings, and in the ownership tag if it is to be added.
pub(super) fn changes(desired: &Desired<Key>, live: &Live<Key>) -> Vec<FieldChange<Field>> {
    let mut changes = diff(&desired.managed, &live.state);
    changes.extend(desired.adoption(&live.facts, Field::Tag));
    changes
}

/// Returns the differences in the fields that both sides have, in display order.
pub(super) fn diff(managed: &Key, live: &Key) -> Vec<FieldChange<Field>> {
    // No `..` here: a new field that nothing compares does not compile. The type of a key cannot be managed, so only the live side has it.
    let Key { description, policy, rotation, multi_region, tags, unlike: _ } = managed;
    let mut changes = Vec::new();
    if let Some(what) = &live.unlike {
        let how = "set when a key is created: give the section an alias that is not in use";
        let wanted = FieldValue::text("a symmetric encryption key of the account");
        changes.push(FieldChange::new(Field::Type, FieldValue::text(what), wanted, ChangeMethod::NewResource, how));
    }
    if let (Some(desired), Some(before)) = (description, &live.description)
        && desired != before
    {
        let describe = |text: &String| if text.is_empty() { FieldValue::Absent } else { FieldValue::text(text) };
        changes.push(in_place(Field::Description, describe(before), describe(desired), "changed in place"));
    }
    if let (Some(desired), Some(before)) = (policy, &live.policy)
        && desired != before
    {
        let live = FieldValue::Document(before.pretty_beside(desired).into());
        let desired = FieldValue::Document(desired.pretty().into());
        changes.push(in_place(Field::Policy, live, desired, "replaced in place"));
    }
    if let (Some(desired), Some(before)) = (rotation, &live.rotation)
        && !desired.fits(*before)
    {
        let how = match (before, desired) {
            (Rotation::Off, _) => "turned on in place",
            (_, Rotation::Off) => "turned off in place: AWS no longer rotates the key material",
            _ => "changed in place",
        };
        let change =
            in_place(Field::Rotation, FieldValue::text(before.describe()), FieldValue::text(desired.describe()), how);
        changes.push(if *desired == Rotation::Off { change.needing(Consent::Protection) } else { change });
    }
    if let (Some(desired), Some(before)) = (multi_region, &live.multi_region)
        && desired != before
    {
        let describe = |flag: &bool| FieldValue::text(flag.to_string());
        let how = "set when a key is created: a change requires a new key with another alias";
        changes.push(FieldChange::new(
            Field::MultiRegion,
            describe(before),
            describe(desired),
            ChangeMethod::NewResource,
            how,
        ));
    }
    if let (Some(desired), Some(before)) = (tags, &live.tags) {
        diff_tags(before, desired, Field::Tag, &mut changes);
    }
    changes
}

fn in_place(field: Field, live: FieldValue, desired: FieldValue, how: &str) -> FieldChange<Field> {
    FieldChange::new(field, live, desired, ChangeMethod::InPlace, how)
}

/// Adjusts the differences to the state of a key. A key that someone has disabled or scheduled for deletion is not changed, because
/// enabling it would undo a deliberate decision. Source of the states: "Key states of AWS KMS keys" in the AWS Key Management Service
/// Developer Guide.
pub(super) fn settle(live: &Live<Key>, changes: Vec<FieldChange<Field>>, repair: Vec<KeyStep>) -> Settled<Key> {
    if live.state.unlike.is_some() {
        return Settled::Compared { changes, repair: Vec::new() };
    }
    let state = KeyState::of(&live.facts);
    let id = live.facts.arn.as_deref().unwrap_or("KEY");
    let (method, how) = match &state {
        KeyState::Enabled | KeyState::Updating => return Settled::Compared { changes, repair },
        KeyState::Creating => (ChangeMethod::Time, String::from("AWS is creating it; run again after that")),
        KeyState::PendingDeletion | KeyState::PendingReplicaDeletion => (
            ChangeMethod::NotPossible,
            format!(
                "data encrypted with it is lost once it is deleted; to keep the key: aws kms cancel-key-deletion \
                 --key-id {id} && aws kms enable-key --key-id {id}"
            ),
        ),
        KeyState::Disabled => (
            ChangeMethod::NotPossible,
            format!(
                "someone disabled it, and data encrypted with it cannot be read; to enable it: aws kms enable-key \
                 --key-id {id}"
            ),
        ),
        KeyState::PendingImport => (
            ChangeMethod::NotPossible,
            String::from("it waits for imported key material: see ImportKeyMaterial in the KMS guide"),
        ),
        KeyState::Unavailable => (
            ChangeMethod::NotPossible,
            String::from("its custom key store is disconnected: check it in the AWS console"),
        ),
        KeyState::Other(_) => (ChangeMethod::NotPossible, String::from("check the key in the AWS console")),
    };
    let (before, after) = (FieldValue::text(state.to_string()), FieldValue::text(KeyState::Enabled.to_string()));
    let mut all = vec![FieldChange::new(Field::Status, before, after, method, &how)];
    all.extend(changes);
    Settled::Compared { changes: all, repair: Vec::new() }
}

/// Returns the reason why a key cannot encrypt: its state or its type.
pub(super) fn unusable(live: &Live<Key>) -> Option<String> {
    if let Some(what) = &live.state.unlike {
        return Some(format!("it is {what}"));
    }
    match KeyState::of(&live.facts) {
        KeyState::Enabled | KeyState::Updating => None,
        state => Some(format!("its status is {state}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kind::document::PolicyDocument;
    use crate::resource::{Facts, Tags};

    fn policy(action: &str) -> PolicyDocument {
        let statement = json!({ "Effect": "Allow", "Principal": "*", "Action": action, "Resource": "*" });
        json!({ "Version": "2012-10-17", "Statement": [statement] }).into()
    }

    fn key() -> Key {
        Key {
            description: Some(String::from("Records")),
            policy: Some(policy("kms:*")),
            rotation: Some(Rotation::Days(180)),
            multi_region: Some(false),
            tags: Some(Tags::from([(String::from("team"), String::from("security"))])),
            unlike: None,
        }
    }

    fn lines(changes: &[FieldChange<Field>]) -> Vec<String> {
        let describe = |value: &FieldValue| match value {
            FieldValue::Absent => String::from("-"),
            FieldValue::Text(text) => text.clone(),
            FieldValue::Document(_) => String::from("document"),
        };
        let line = |change: &FieldChange<Field>| {
            let (before, after) = (describe(&change.sides.live), describe(&change.sides.desired));
            let needs = change.needs.map(|consent| format!(", needs {consent}")).unwrap_or_default();
            format!("{}: {before} -> {after} [{:?}{needs}]", change.path, change.method)
        };
        changes.iter().map(line).collect()
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut Key), expected: &[&str]) {
        let mut live = key();
        change(&mut live);
        assert_eq!(lines(&diff(&key(), &live)), expected);
    }

    #[test]
    fn a_key_in_sync_has_no_difference() {
        check(|_| {}, &[]);
        check(|live| live.policy = Some(policy("KMS:*")), &[]);
        assert_eq!(diff(&Key::default(), &key()), [], "what is not managed is not compared");
    }

    #[test]
    fn each_field_is_compared() {
        check(|live| live.description = Some(String::new()), &["description: - -> Records [InPlace]"]);
        check(|live| live.policy = Some(policy("kms:Decrypt")), &["policy: document -> document [InPlace]"]);
        check(|live| live.rotation = Some(Rotation::Off), &["rotation: off -> every 180 days [InPlace]"]);
        check(
            |live| live.rotation = Some(Rotation::Days(365)),
            &["rotation: every 365 days -> every 180 days [InPlace]"],
        );
        check(|live| live.multi_region = Some(true), &["multi_region: true -> false [NewResource]"]);
        check(|live| live.tags = Some(Tags::new()), &["tags.team: - -> security [InPlace]"]);
        check(
            |live| live.unlike = Some(String::from("RSA_2048 for SIGN_VERIFY")),
            &["type: RSA_2048 for SIGN_VERIFY -> a symmetric encryption key of the account [NewResource]"],
        );
    }

    #[test]
    fn turning_rotation_off_needs_consent() {
        let off = Key { rotation: Some(Rotation::Off), ..key() };
        assert_eq!(lines(&diff(&off, &key())), ["rotation: every 180 days -> off [InPlace, needs protection]"]);
    }

    #[test]
    fn a_key_of_another_type_is_not_changed() {
        let live = Live {
            state: Key { unlike: Some(String::from("RSA_2048 for SIGN_VERIFY")), ..key() },
            facts: Facts::default(),
            gaps: Vec::new(),
        };
        let step = KeyStep::UntagKey { name: String::new(), key: String::new(), keys: Vec::new() };
        let Settled::Compared { repair, .. } = settle(&live, Vec::new(), vec![step]) else { panic!() };
        assert_eq!(repair, []);
    }

    #[test]
    fn an_unusable_key_has_a_reason() {
        let of = |state: &str, unlike: Option<&str>| {
            let facts = Facts { status: Some(state.to_owned()), ..Facts::default() };
            unusable(&Live { state: Key { unlike: unlike.map(str::to_owned), ..key() }, facts, gaps: Vec::new() })
        };
        assert_eq!([of("Enabled", None), of("Updating", None)], [None, None]);
        assert_eq!(of("PendingDeletion", None).as_deref(), Some("its status is PendingDeletion"));
        assert_eq!(of("Enabled", Some("RSA_2048")).as_deref(), Some("it is RSA_2048"));
    }

    #[test]
    fn a_key_in_another_state_is_not_changed_and_has_a_fix() {
        let settled = |state: &str| {
            let facts = Facts { status: Some(state.to_owned()), arn: Some(String::from("ARN")), ..Facts::default() };
            let live = Live { state: key(), facts, gaps: Vec::new() };
            let step = KeyStep::UntagKey { name: String::new(), key: String::new(), keys: Vec::new() };
            match settle(&live, Vec::new(), vec![step]) {
                Settled::Compared { changes, repair } => (changes, repair.len()),
                Settled::Unfinished { .. } => panic!("{state}"),
            }
        };
        for state in ["Enabled", "Updating"] {
            assert_eq!(settled(state), (Vec::new(), 1), "{state}");
        }
        for (state, method, text) in [
            ("Creating", ChangeMethod::Time, "run again"),
            ("Disabled", ChangeMethod::NotPossible, "aws kms enable-key --key-id ARN"),
            ("PendingDeletion", ChangeMethod::NotPossible, "aws kms cancel-key-deletion --key-id ARN"),
            ("PendingReplicaDeletion", ChangeMethod::NotPossible, "aws kms cancel-key-deletion --key-id ARN"),
            ("PendingImport", ChangeMethod::NotPossible, "ImportKeyMaterial"),
            ("Unavailable", ChangeMethod::NotPossible, "custom key store"),
            ("Other", ChangeMethod::NotPossible, "console"),
        ] {
            let (changes, steps) = settled(state);
            assert_eq!((changes.len(), steps, changes[0].method), (1, 0, method), "{state}");
            assert!(changes[0].how.contains(text), "{state}: {}", changes[0].how);
        }
    }
}
