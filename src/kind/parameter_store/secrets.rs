//! Secret parameters: their saved and displayed form, and their IAM permissions.

use serde_json::json;

use super::content::Secret;
use super::key::OF_AWS;
use super::{Content, ParameterType, Rewritable, Role, Stored, Write};
use crate::kind::Desired;
use crate::kind::permission::{Location, On, Permission};
use crate::resource::call::{Operation, operation};

/// Parameter Store decrypts on behalf of the reader of a secret. Sentinel does not call this operation, so its rate has no effect. Source:
/// "How AWS Systems Manager Parameter Store uses AWS KMS" in the AWS Key Management Service Developer Guide.
pub(in crate::kind) const DECRYPT: Operation = operation!("kms", "Decrypt", 1.0, 1.0);
/// Parameter Store's calls with a key on behalf of the writer of a secret: the first in the standard tier, the second in the advanced tier.
/// Source: as above.
const USES: [Operation; 2] = [operation!("kms", "Encrypt", 1.0, 1.0), operation!("kms", "GenerateDataKey", 1.0, 1.0)];

/// Returns whether the content of a secret is read and compared.
pub(in crate::kind) fn is_compared<R: Role>(desired: &Desired<Stored<R>>) -> bool {
    // A value from an environment variable is secret, and may be in a parameter that AWS does not encrypt.
    desired.managed.content.as_ref().is_some_and(Content::is_secret)
        && desired.managed.parameter_type == Some(ParameterType::SecureString)
}

/// Returns the key of a secret as the resource of a permission, limited to calls through Parameter Store.
pub(in crate::kind) fn on_key<R: Role>(desired: &Desired<Stored<R>>, location: &Location) -> On {
    let region = location.region.as_deref().unwrap_or("*");
    // The suffix after the region depends on the partition.
    let mut condition = json!({ "StringLike": { "kms:ViaService": format!("ssm.{region}.*") } });
    let key = desired.managed.settings.key.as_deref().unwrap_or(OF_AWS);
    let resource = if key.starts_with("alias/") {
        condition["ForAnyValue:StringEquals"] = json!({ "kms:ResourceAliases": [key] });
        location.arn("kms", "key/*")
    } else {
        key.to_owned()
    };
    On::Those { resources: vec![resource], condition }
}

/// Returns the permissions that Parameter Store needs for the key on behalf of the writer of a secret.
pub(in crate::kind) fn delegated<R: Role>(desired: &Desired<Stored<R>>, location: &Location) -> Vec<Permission> {
    if desired.managed.parameter_type != Some(ParameterType::SecureString) {
        return Vec::new();
    }
    let mut operations = USES.to_vec();
    // An unmanaged value is read when it is written back with another setting.
    operations.extend((R::REWRITABLE == Rewritable::All && desired.managed.content.is_none()).then_some(DECRYPT));
    let statement = format!("{}Encryption", R::STATEMENT);
    vec![Permission { statement, shared: true, operations, on: on_key(desired, location) }]
}

/// Returns the permission to read a policy that is a secret.
pub(in crate::kind) fn decryption<R: Role>(desired: &Desired<Stored<R>>, location: &Location) -> Option<Permission> {
    let secret = desired.managed.parameter_type == Some(ParameterType::SecureString);
    secret.then(|| Permission {
        statement: format!("{}Decryption", R::STATEMENT),
        shared: true,
        operations: vec![DECRYPT],
        on: on_key(desired, location),
    })
}

/// Returns content that differs from another.
pub(in crate::kind) fn opposite(content: &Content) -> Content {
    match content {
        Content::Text(_) => "another".into(),
        Content::Secret(_) => Content::Secret(Secret::new("another")),
    }
}

/// Returns the text that replaces a file's text if only a plan is available. For a secret it is the digest.
pub(in crate::kind) fn as_file(content: &Content) -> Option<String> {
    match content {
        Content::Text(text) => Some(text.to_string()),
        Content::Secret(secret) => serde_json::to_string(secret).ok(),
    }
}

/// Returns whether a text is the digest of a secret.
pub(in crate::kind) fn is_digest(text: &str) -> bool {
    serde_json::from_str::<Secret>(text).is_ok()
}

/// Returns the secret of a file, or of its digest.
pub(in crate::kind) fn of_file(text: String) -> Content {
    Content::Secret(serde_json::from_str(&text).unwrap_or_else(|_| Secret::new(text)))
}

/// Allows the secret of a desired parameter to be shown.
pub(in crate::kind) fn reveal<R: Role>(desired: &mut Desired<Stored<R>>) {
    desired.managed.content = desired.managed.content.take().map(Content::revealed);
    desired.initial.content = desired.initial.content.take().map(Content::revealed);
}

/// Restores secrets of which only digests are known, from the manifest's current values.
pub(in crate::kind) fn restore_secrets<R: Role>(saved: &mut Desired<Stored<R>>, now: &Desired<Stored<R>>) {
    for (own, now) in
        [(&mut saved.managed.content, &now.managed.content), (&mut saved.initial.content, &now.initial.content)]
    {
        if own == now {
            own.clone_from(now);
        }
    }
}

/// Restores the secret of a step from the desired state. Returns whether the step is complete.
pub(in crate::kind) fn restore_step_secret<R: Role>(step: &mut Write, desired: &Desired<Stored<R>>) -> bool {
    let Some(content) = step.content().filter(|content| content.text().is_none()) else { return true };
    let known = [&desired.managed.content, &desired.initial.content].into_iter().flatten();
    let mut same = known.filter(|own| own.text().is_some() && *own == content);
    let Some(own) = same.next().cloned() else { return false };
    *content = own;
    true
}

#[cfg(test)]
mod tests {
    use super::super::{create, reads};
    use super::*;
    use crate::kind::policy_parameter::{PolicyParameter, PolicyStep, Settings};
    use crate::kind::{Address, KindId, KindStep};
    use crate::resource::call::GET_PARAMETERS;

    fn secret(key: Option<&str>) -> Desired<PolicyParameter> {
        let managed = PolicyParameter {
            content: Some(Content::Secret(Secret::new("hush"))),
            parameter_type: Some(ParameterType::SecureString),
            settings: Settings { key: key.map(str::to_owned), ..Settings::default() },
            ..PolicyParameter::default()
        };
        Desired::new(Address::new(KindId::Policy, "dev"), "/s/dev", managed)
    }

    #[test]
    fn a_key_is_allowed_through_parameter_store_only() {
        for key in [None, Some("alias/policies"), Some("arn:aws:kms:eu-west-1:111111111111:key/1")] {
            let On::Those { resources, condition } = on_key(&secret(key), &Location::default()) else {
                panic!("{key:?}")
            };
            assert_eq!(condition["StringLike"]["kms:ViaService"], "ssm.*.*");
            let is_alias = key.is_none_or(|key| key.starts_with("alias/"));
            assert_eq!(resources == ["arn:aws:kms:*:*:key/*"], is_alias);
            assert_eq!(!condition["ForAnyValue:StringEquals"].is_null(), is_alias);
        }
    }

    /// A step that writes a secret gets its text from the desired state, unless the digest in the plan is that of another text.
    #[test]
    fn a_saved_step_gets_the_text_that_matches_its_digest() {
        type Saved = (Desired<PolicyParameter>, PolicyStep);
        let saved = |desired: &Desired<PolicyParameter>| -> Saved {
            let step = PolicyStep(create(desired).remove(0));
            let step = serde_json::from_str(&serde_json::to_string(&step).unwrap()).unwrap();
            (serde_json::from_str(&serde_json::to_string(desired).unwrap()).unwrap(), step)
        };
        let (mut desired, mut step) = saved(&secret(None));
        assert_eq!(step.operations()[0].name, "PutParameter");
        assert!(!restore_step_secret(&mut step.0, &desired), "only the digest is known");
        restore_secrets(&mut desired, &secret(None));
        assert!(restore_step_secret(&mut step.0, &desired));
        let Write::Create(create) = &step.0 else { panic!("{step:?}") };
        assert_eq!(create.content.text(), Some("hush"));
        let (mut desired, mut step) = saved(&secret(None));
        let mut other = secret(None);
        other.managed.content = Some(Content::Secret(Secret::new("another")));
        other.initial.content.clone_from(&other.managed.content);
        restore_secrets(&mut desired, &other);
        assert!(!restore_step_secret(&mut step.0, &desired));
    }

    #[test]
    fn reading_and_writing_a_secret_require_its_key() {
        let names = |desired: &Desired<PolicyParameter>| -> Vec<&str> {
            reads(desired).iter().map(|operation| operation.name).collect()
        };
        let with_key = secret(Some("alias/policies"));
        assert_eq!(names(&with_key), [GET_PARAMETERS.name, "DescribeParameters", DECRYPT.name]);
        assert_eq!(delegated(&with_key, &Location::default())[0].operations, USES);
        assert!(
            decryption(&Desired { managed: PolicyParameter::default(), ..with_key }, &Location::default()).is_none()
        );
    }
}
