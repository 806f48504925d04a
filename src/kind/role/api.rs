//! Reads from IAM: one role, and the roles that the manifest does not list.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aws_sdk_iam::Client;
use aws_sdk_iam::types::Role as Answer;
use aws_types::SdkConfig;
use futures_util::future::{self, OptionFuture};
use percent_encoding::percent_decode_str;

use super::home::Home;
use super::steps::{
    GET_POLICY, GET_PROVIDER, GET_ROLE, LIST_ATTACHED, LIST_POLICIES, LIST_PROFILES, LIST_ROLES, LIST_TAGS,
};
use super::trust::{GITHUB, providers};
use super::{Boundary, Role, rules};
use crate::kind::document::PolicyDocument;
use crate::kind::unlisted::{self, TagSearch};
use crate::kind::{Desired, KindId, Search, Unlisted};
use crate::resource::call::{CallError, Class, Operation};
use crate::resource::caller::Identity;
use crate::resource::pacer::Pacer;
use crate::resource::pages::Pages;
use crate::resource::{Facts, Gap, Live, Observed, Tags, take_owner};

/// The client for roles. IAM has one endpoint in each partition, which the SDK finds from any of its regions.
#[derive(Debug, Clone)]
pub struct RoleApi {
    pub(super) client: Client,
    pub(super) pacer: Arc<Pacer>,
    identity: Arc<Identity>,
}

impl RoleApi {
    /// Returns the client for a connection. Makes no call.
    pub fn new(config: &SdkConfig, pacer: &Arc<Pacer>, identity: &Arc<Identity>) -> Self {
        Self { client: Client::new(config), pacer: Arc::clone(pacer), identity: Arc::clone(identity) }
    }

    /// Returns the caller's account, in which all resources are created.
    pub(super) async fn home(&self) -> Result<Home, CallError> {
        Ok(Home::of_caller(self.identity.known().await?))
    }
}

pub(super) fn failed(operation: Operation, message: impl Into<String>) -> CallError {
    CallError::new(operation, Class::Rejected, message.into())
}

/// The maximum number of pages of a list.
const PAGES: usize = 20;
/// The maximum number of roles of a page. Source: ListRoles in the IAM API Reference.
const PAGE: i32 = 1000;

/// Reads all managed settings of a role concurrently.
pub(super) async fn observe(api: &RoleApi, desired: &Desired<Role>) -> Observed<Role> {
    let managed = &desired.managed;
    let gone = !desired.presence.is_present();
    let wants = RoleParts {
        managed: managed.managed_policies.is_some() || gone,
        policies: match (managed.policies.is_some(), gone) {
            (true, _) => Policies::Documents,
            (false, true) => Policies::Names,
            (false, false) => Policies::Unread,
        },
    };
    let profiles: OptionFuture<_> = gone.then(|| read_profiles(api, &desired.name)).into();
    let missing = missing_provider(api, managed.trust.as_ref());
    let (read, profiles, missing) = future::join3(read(api, &desired.name, wants, &[]), profiles, missing).await;
    let mut live = match read {
        Ok(live) => live,
        // Without its provider, no caller could assume it.
        Err(error) if error.class == Class::NotFound => {
            return missing.map_or(Observed::Absent, |gap| Observed::Unknown(Gap { path: None, ..gap }));
        }
        Err(error) => return Observed::Unknown(Gap::new(None, &error)),
    };
    live.gaps.extend(missing);
    match profiles {
        Some(Ok(found)) => live.state.instance_profiles = Some(found),
        // Then it is unknown whether machines use the role.
        Some(Err(error)) => return Observed::Unknown(Gap::new(None, &error)),
        None => {}
    }
    if let Some(tags) = &mut live.state.tags {
        take_owner(tags, desired.ownership.as_deref(), &mut live.facts);
    }
    Observed::Present(live)
}

/// The parts of a role that are read in addition to the role itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct RoleParts {
    pub(super) managed: bool,
    pub(super) policies: Policies,
}

/// The inline policies to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Policies {
    Unread,
    Names,
    Documents,
}

/// Reads a role and the requested parts.
pub(super) async fn read(
    api: &RoleApi,
    name: &str,
    wants: RoleParts,
    passes: &[Class],
) -> Result<Live<Role>, CallError> {
    let managed: OptionFuture<_> = wants.managed.then(|| read_managed(api, name)).into();
    let policies: OptionFuture<_> = match wants.policies {
        Policies::Unread => None,
        how => Some(read_policies(api, name, how)),
    }
    .into();
    let (role, managed, policies) = future::join3(describe(api, name, passes), managed, policies).await;
    let (mut state, facts) = from_sdk(role?);
    let mut gaps = Vec::new();
    match managed {
        Some(Ok(found)) => state.managed_policies = Some(found),
        Some(Err(error)) => gaps.push(Gap::new(Some("managed_policies"), &error)),
        None => {}
    }
    match policies {
        Some(Ok(found)) => state.policies = Some(found),
        Some(Err(error)) => gaps.push(Gap::new(Some("policies"), &error)),
        None => {}
    }
    Ok(Live { state, facts, gaps })
}

pub(super) async fn describe(api: &RoleApi, name: &str, passes: &[Class]) -> Result<Answer, CallError> {
    let answer = api.pacer.call(GET_ROLE, passes, || api.client.get_role().role_name(name).send()).await?;
    answer.role.ok_or_else(|| failed(GET_ROLE, "the answer contains no role"))
}

/// Converts a role from a response.
pub(super) fn from_sdk(role: Answer) -> (Role, Facts) {
    let boundary = role.permissions_boundary.and_then(|boundary| boundary.permissions_boundary_arn);
    let session = role.max_session_duration.and_then(|seconds| u32::try_from(seconds).ok());
    let tags: Tags = role.tags.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value)).collect();
    let state = Role {
        path: Some(role.path),
        description: Some(role.description.unwrap_or_default()),
        // The default is an hour, and some emulators omit it.
        max_session_duration: Some(session.unwrap_or(rules::DEFAULT_SESSION)),
        permissions_boundary: Some(boundary.map_or(Boundary::Off, Boundary::Policy)),
        trust: Some(document(role.assume_role_policy_document.as_deref().unwrap_or_default())),
        managed_policies: None,
        policies: None,
        tags: Some(tags),
        instance_profiles: None,
    };
    (state, Facts { arn: Some(role.arn), id: Some(role.role_id), ..Facts::default() })
}

/// Decodes a document from IAM, which is URL-encoded (RFC 3986). Source: GetRole in the IAM API Reference. Some emulators return JSON.
pub(super) fn document(text: &str) -> PolicyDocument {
    if text.trim_start().starts_with('{') {
        return PolicyDocument::from_aws(text);
    }
    match percent_decode_str(text).decode_utf8() {
        Ok(text) => PolicyDocument::from_aws(&text),
        Err(_) => PolicyDocument::from_aws(text),
    }
}

/// A page of a list: its items, and the start of the next page.
struct Page<T> {
    items: Vec<T>,
    next: Option<String>,
}

/// Reads a list to its end.
async fn all<T, F: Future<Output = Result<Page<T>, CallError>>>(
    operation: Operation,
    mut page: impl FnMut(Option<String>) -> F,
) -> Result<Vec<T>, CallError> {
    let mut pages = Pages::new(operation, PAGES);
    let (mut found, mut marker) = (Vec::new(), None);
    loop {
        let Page { items, next } = pages.timed(page(marker)).await?;
        let bytes = items.len() * size_of::<T>();
        found.extend(items);
        marker = next.filter(|next| !next.is_empty());
        if !pages.next(bytes, marker.as_ref())? {
            return Ok(found);
        }
    }
}

pub(super) async fn read_managed(api: &RoleApi, name: &str) -> Result<BTreeSet<String>, CallError> {
    let page = |marker: Option<String>| async move {
        let call = || api.client.list_attached_role_policies().role_name(name).set_marker(marker.clone()).send();
        let answer = api.pacer.call(LIST_ATTACHED, &[], call).await?;
        let items = answer.attached_policies.unwrap_or_default().into_iter().filter_map(|one| one.policy_arn).collect();
        Ok(Page { items, next: answer.marker.filter(|_| answer.is_truncated) })
    };
    Ok(all(LIST_ATTACHED, page).await?.into_iter().collect())
}

async fn read_policies(
    api: &RoleApi,
    name: &str,
    how: Policies,
) -> Result<BTreeMap<String, PolicyDocument>, CallError> {
    let page = |marker: Option<String>| async move {
        let call = || api.client.list_role_policies().role_name(name).set_marker(marker.clone()).send();
        let answer = api.pacer.call(LIST_POLICIES, &[], call).await?;
        Ok(Page { items: answer.policy_names, next: answer.marker.filter(|_| answer.is_truncated) })
    };
    let names: Vec<String> = all(LIST_POLICIES, page).await?;
    if how == Policies::Names {
        return Ok(names.into_iter().map(|policy| (policy, PolicyDocument::from_aws("{}"))).collect());
    }
    let documents = future::join_all(names.iter().map(|policy| read_policy(api, name, Policy(policy)))).await;
    let mut found = BTreeMap::new();
    for (policy, document) in names.into_iter().zip(documents) {
        match document {
            Ok(document) => {
                found.insert(policy, document);
            }
            // It was deleted in between.
            Err(error) if error.class == Class::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// The name of an inline policy.
struct Policy<'a>(&'a str);

async fn read_policy(api: &RoleApi, name: &str, Policy(policy): Policy<'_>) -> Result<PolicyDocument, CallError> {
    let call = || api.client.get_role_policy().role_name(name).policy_name(policy).send();
    let answer = api.pacer.call(GET_POLICY, &[], call).await?;
    Ok(document(&answer.policy_document))
}

async fn read_profiles(api: &RoleApi, name: &str) -> Result<Vec<String>, CallError> {
    let page = |marker: Option<String>| async move {
        let call = || api.client.list_instance_profiles_for_role().role_name(name).set_marker(marker.clone()).send();
        let answer = match api.pacer.call(LIST_PROFILES, &[], call).await {
            // A role that does not exist has none.
            Err(error) if error.class == Class::NotFound => return Ok(Page { items: Vec::new(), next: None }),
            answer => answer?,
        };
        let items = answer.instance_profiles.into_iter().map(|profile| profile.instance_profile_name).collect();
        Ok(Page { items, next: answer.marker.filter(|_| answer.is_truncated) })
    };
    all(LIST_PROFILES, page).await
}

/// Returns the gap for a trust policy that names a missing OpenID Connect provider: IAM accepts the policy, but no caller can assume the
/// role.
async fn missing_provider(api: &RoleApi, trust: Option<&PolicyDocument>) -> Option<Gap> {
    let arns = providers(trust?);
    if arns.is_empty() {
        return None;
    }
    let gap = |error: &CallError| Gap::new(Some("trust"), error);
    let home = match api.home().await {
        Ok(home) => home,
        Err(error) => return Some(gap(&error)),
    };
    let own = home.arn("oidc-provider/");
    for arn in arns.iter().map(|arn| home.fill(arn)) {
        // Providers of other accounts cannot be read.
        let Some(host) = arn.strip_prefix(&own) else { continue };
        let call = || api.client.get_open_id_connect_provider().open_id_connect_provider_arn(&arn).send();
        match api.pacer.call(GET_PROVIDER, &[], call).await {
            Ok(_) => {}
            Err(error) if error.class == Class::NotFound => {
                let audience = if host == GITHUB { " --client-id-list sts.amazonaws.com" } else { "" };
                let message = format!(
                    "the trust policy names the OpenID Connect provider {host}, which the account does not have; create it: aws iam \
                     create-open-id-connect-provider --url https://{host}{audience}"
                );
                return Some(gap(&failed(GET_PROVIDER, message)));
            }
            Err(error) => return Some(gap(&error)),
        }
    }
    None
}

async fn read_tags(api: &RoleApi, name: &str) -> Result<Tags, CallError> {
    let page = |marker: Option<String>| async move {
        let call = || api.client.list_role_tags().role_name(name).set_marker(marker.clone()).send();
        let answer = api.pacer.call(LIST_TAGS, &[], call).await?;
        let items = answer.tags.into_iter().map(|tag| (tag.key, tag.value)).collect();
        Ok(Page { items, next: answer.marker.filter(|_| answer.is_truncated) })
    };
    Ok(all(LIST_TAGS, page).await?.into_iter().collect())
}

/// Finds roles that the manifest does not list, without those of AWS. A list of roles has no tags, and the Resource Groups Tagging API
/// lists no roles, so each takes a call. Source: "Services that support the Resource Groups Tagging API" in its API Reference.
pub(super) async fn unlisted(api: &RoleApi, search: &Search<'_>) -> Unlisted {
    let sought = TagSearch { kind: KindId::Role, plural: "roles", tags: LIST_TAGS };
    unlisted::by_tags::<Role>(&sought, names(api).await, search, async |name: &str| read_tags(api, name).await).await
}

/// Returns the names of all roles without those of AWS, in alphabetical order.
async fn names(api: &RoleApi) -> Result<Vec<String>, CallError> {
    let own = |role: Answer| Some(role).filter(|role| !rules::is_of_aws(&role.path)).map(|role| role.role_name);
    let mut names: Vec<String> = list(api, own).await?;
    names.sort();
    Ok(names)
}

/// Lists all roles of the account, and returns the wanted parts of them.
pub(super) async fn list<T>(api: &RoleApi, wanted: impl Fn(Answer) -> Option<T>) -> Result<Vec<T>, CallError> {
    let wanted = &wanted;
    let page = |marker: Option<String>| async move {
        let call = || api.client.list_roles().max_items(PAGE).set_marker(marker.clone()).send();
        let answer = api.pacer.call(LIST_ROLES, &[], call).await?;
        let items = answer.roles.into_iter().filter_map(wanted).collect();
        Ok(Page { items, next: answer.marker.filter(|_| answer.is_truncated) })
    };
    all(LIST_ROLES, page).await
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn statement(sid: &str, action: &str) -> Value {
        json!({ "Sid": sid, "Effect": "Allow", "Principal": { "AWS": ["123456789012", "arn:aws:iam::210987654321:root"] }, "Action": [action] })
    }

    #[test]
    fn a_document_is_read_url_encoded_or_plain() {
        let value = json!({ "Version": "2012-10-17", "Statement": [statement("a b+c%", "sts:AssumeRole")] });
        let text = value.to_string();
        let encoded = percent_encoding::utf8_percent_encode(&text, percent_encoding::NON_ALPHANUMERIC).to_string();
        let expected = PolicyDocument::from(value);
        assert_eq!((document(&text), document(&encoded)), (expected.clone(), expected));
        assert_eq!(document("%ff").pretty(), "%ff");
    }

    /// The same statement in another spelling.
    fn respelled(value: &Value, seed: u64) -> Value {
        let mut state = fastrand::Rng::with_seed(seed);
        let mut value = value.clone();
        for statement in value["Statement"].as_array_mut().unwrap() {
            let Value::Object(elements) = statement else { unreachable!() };
            let mut entries: Vec<(String, Value)> = std::mem::take(elements).into_iter().collect();
            state.shuffle(&mut entries);
            for (name, element) in &mut entries {
                if name == "Action" {
                    *element = element
                        .as_array()
                        .unwrap()
                        .iter()
                        .map(|one| Value::from(one.as_str().unwrap().to_uppercase()))
                        .collect();
                }
                if let Value::Array(items) = element {
                    state.shuffle(items);
                    if let [one] = &items[..] {
                        *element = one.clone();
                    }
                }
            }
            elements.extend(entries);
            if let Some(Value::Array(who)) = statement.pointer_mut("/Principal/AWS") {
                state.shuffle(who);
            }
        }
        state.shuffle(value["Statement"].as_array_mut().unwrap());
        value
    }

    proptest! {
        /// Documents are equal in every spelling and encoding, and differ with another action.
        #[test]
        fn documents_are_compared_by_meaning(
            statements in proptest::collection::vec(("[a-zA-Z0-9]{1,8}", "sts:[A-Z][a-z]{1,8}"), 1..4),
            seed: u64,
        ) {
            let all: Vec<Value> = statements.iter().map(|(sid, action)| statement(sid, action)).collect();
            let value = json!({ "Version": "2012-10-17", "Statement": all });
            let text = respelled(&value, seed).to_string();
            let encoded = percent_encoding::utf8_percent_encode(&text, percent_encoding::NON_ALPHANUMERIC).to_string();
            prop_assert_eq!(document(&encoded), PolicyDocument::from(value.clone()));
            let mut other = value;
            other["Statement"][0]["Action"] = json!(["sts:*"]);
            prop_assert_ne!(document(&encoded), PolicyDocument::from(other));
        }
    }
}
