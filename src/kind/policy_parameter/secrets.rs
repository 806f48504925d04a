//! Policies that are secrets: what is saved and shown of them, and what IAM has to allow.

use serde_json::json;

use super::content::Secret;
use super::{Content, ParameterType, PolicyParameter, PolicyStep};
use crate::kind::permission::{On, Permission, Place};
use crate::kind::{Address, Desired, DesiredResource, Step};
use crate::resource::call::{Operation, operation};

/// Parameter Store decrypts on behalf of the reader of a secret. Nothing here calls it, so that its pace says nothing. Source: "How AWS
/// Systems Manager Parameter Store uses AWS KMS" in the AWS Key Management Service Developer Guide.
pub(super) const DECRYPT: Operation = operation!("kms", "Decrypt", 1.0, 1.0);
/// What Parameter Store does with a key on behalf of the writer of a secret: the first in the standard tier, the second in the advanced
/// tier. Source: as above.
const USES: [Operation; 2] = [operation!("kms", "Encrypt", 1.0, 1.0), operation!("kms", "GenerateDataKey", 1.0, 1.0)];

/// Returns whether the content of a secret is read and compared.
pub(super) fn is_compared(desired: &Desired<PolicyParameter>) -> bool {
    desired.managed.content.as_ref().is_some_and(Content::is_secret)
}

/// Returns the key of a secret, as what IAM allows something on: through Parameter Store only.
pub(super) fn on_key(desired: &Desired<PolicyParameter>, place: &Place) -> On {
    let region = place.region.as_deref().unwrap_or("*");
    // What follows the region is not the same in every partition.
    let mut condition = json!({ "StringLike": { "kms:ViaService": format!("ssm.{region}.*") } });
    let key = desired.managed.settings.key.as_deref().unwrap_or("alias/aws/ssm");
    let resource = if key.starts_with("alias/") {
        condition["ForAnyValue:StringEquals"] = json!({ "kms:ResourceAliases": [key] });
        place.arn("kms", "key/*")
    } else {
        key.to_owned()
    };
    On::Those { resources: vec![resource], condition }
}

/// Returns what IAM has to allow Parameter Store to do with the key on behalf of the writer of a secret.
pub(super) fn lent(desired: &Desired<PolicyParameter>, place: &Place) -> Vec<Permission> {
    let secret = desired.managed.parameter_type == Some(ParameterType::SecureString);
    let permission = || Permission {
        statement: String::from("SentinelPolicyEncryption"),
        shared: true,
        operations: USES.to_vec(),
        on: on_key(desired, place),
    };
    secret.then(permission).into_iter().collect()
}

/// Returns what IAM has to allow the reader of a policy that is a secret.
pub fn decryption(desired: &Desired<PolicyParameter>, place: &Place) -> Option<Permission> {
    let secret = desired.managed.parameter_type == Some(ParameterType::SecureString);
    secret.then(|| Permission {
        statement: String::from("SentinelPolicyDecryption"),
        shared: true,
        operations: vec![DECRYPT],
        on: on_key(desired, place),
    })
}

/// Returns content that differs from another.
pub(super) fn opposite(content: &Content) -> Content {
    match content {
        Content::Text(_) => "another".into(),
        Content::Secret(_) => Content::Secret(Secret::new("another")),
    }
}

/// Returns the text that stands for a file's where only a plan is at hand; of a secret it is the digest.
pub(super) fn as_file(content: &Content) -> Option<String> {
    match content {
        Content::Text(text) => Some(text.to_string()),
        Content::Secret(secret) => serde_json::to_string(secret).ok(),
    }
}

/// Returns whether a text stands for a secret.
pub(super) fn is_digest(text: &str) -> bool {
    serde_json::from_str::<Secret>(text).is_ok()
}

/// Returns the secret that a file holds, or that its text stands for.
pub(super) fn of_file(text: String) -> Content {
    Content::Secret(serde_json::from_str(&text).unwrap_or_else(|_| Secret::new(text)))
}

/// Lets the secrets of policies be shown.
pub fn reveal(desired: &mut [DesiredResource]) {
    for one in desired {
        if let DesiredResource::Policy(policy) = one {
            let policy = std::sync::Arc::make_mut(policy);
            policy.managed.content = policy.managed.content.take().map(Content::revealed);
            policy.initial.content = policy.initial.content.take().map(Content::revealed);
        }
    }
}

/// A secret of which only the digest is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    pub address: Address,
}

/// Gives the steps of a saved plan, and what it desires, the texts of the secrets of which it has the digests. `now` is what the
/// manifest desires.
///
/// # Errors
///
/// Names the resource of a step whose secret is not what the manifest has.
pub fn recall<'s>(
    desired: &mut [DesiredResource],
    steps: impl Iterator<Item = &'s mut Step>,
    now: &[DesiredResource],
) -> Result<(), Unknown> {
    let mut known: Vec<(String, Address, Content)> = Vec::new();
    for one in desired {
        let DesiredResource::Policy(policy) = one else { continue };
        let same = |other: &&DesiredResource| other.address() == &policy.address;
        let Some(DesiredResource::Policy(now)) = now.iter().find(same) else {
            known.extend(policy.initial.content.clone().map(|own| (policy.name.clone(), policy.address.clone(), own)));
            continue;
        };
        let policy = std::sync::Arc::make_mut(policy);
        for (own, now) in
            [(&mut policy.managed.content, &now.managed.content), (&mut policy.initial.content, &now.initial.content)]
        {
            if own == now {
                own.clone_from(now);
            }
        }
        known.extend(policy.initial.content.clone().map(|own| (policy.name.clone(), policy.address.clone(), own)));
    }
    for step in steps {
        let Step::Policy(
            PolicyStep::CreateParameter { name, content, .. } | PolicyStep::OverwriteParameter { name, content, .. },
        ) = step
        else {
            continue;
        };
        if content.text().is_some() {
            continue;
        }
        let Some((_, address, own)) = known.iter().find(|(known, ..)| known == name) else { continue };
        if own.text().is_none() || own != content {
            return Err(Unknown { address: address.clone() });
        }
        *content = own.clone();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::KindId;
    use crate::kind::policy_parameter::Settings;
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
            let On::Those { resources, condition } = on_key(&secret(key), &Place::default()) else { panic!("{key:?}") };
            assert_eq!(condition["StringLike"]["kms:ViaService"], "ssm.*.*");
            let is_alias = key.is_none_or(|key| key.starts_with("alias/"));
            assert_eq!(resources == ["arn:aws:kms:*:*:key/*"], is_alias);
            assert_eq!(!condition["ForAnyValue:StringEquals"].is_null(), is_alias);
        }
    }

    /// A step that writes a secret has its text again, and none that the digest in the plan is not of.
    #[test]
    fn a_saved_step_gets_the_text_that_its_digest_is_of() {
        let saved = |desired: &Desired<PolicyParameter>| -> (Vec<DesiredResource>, Vec<Step>) {
            let steps = super::super::create(desired).into_iter().map(Step::Policy).collect::<Vec<_>>();
            let read = serde_json::from_str(&serde_json::to_string(&steps).unwrap()).unwrap();
            let desired: Desired<PolicyParameter> =
                serde_json::from_str(&serde_json::to_string(desired).unwrap()).unwrap();
            (vec![desired.into()], read)
        };
        let (mut desired, mut steps) = saved(&secret(None));
        let now: Vec<DesiredResource> = vec![secret(None).into()];
        assert_eq!(recall(&mut desired, steps.iter_mut(), &now), Ok(()));
        let Step::Policy(PolicyStep::CreateParameter { content, .. }) = &steps[0] else { panic!("{steps:?}") };
        assert_eq!(content.text(), Some("hush"));
        let (mut desired, mut steps) = saved(&secret(None));
        let mut other = secret(None);
        other.managed.content = Some(Content::Secret(Secret::new("another")));
        other.initial.content.clone_from(&other.managed.content);
        for now in [Vec::new(), vec![other.into()]] {
            let address = Address::new(KindId::Policy, "dev");
            assert_eq!(recall(&mut desired, steps.iter_mut(), &now), Err(Unknown { address }));
        }
    }

    #[test]
    fn reading_and_writing_a_secret_take_its_key() {
        let names = |desired: &Desired<PolicyParameter>| -> Vec<&str> {
            super::super::reads(desired).iter().map(|operation| operation.name).collect()
        };
        let with_key = secret(Some("alias/policies"));
        assert_eq!(names(&with_key), [GET_PARAMETERS.name, "DescribeParameters", DECRYPT.name]);
        assert_eq!(lent(&with_key, &Place::default())[0].operations, USES);
        assert!(decryption(&Desired { managed: PolicyParameter::default(), ..with_key }, &Place::default()).is_none());
    }
}
