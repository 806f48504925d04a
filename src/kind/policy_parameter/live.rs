//! Converts a live policy parameter to the section that describes it.

use futures_util::future;

use super::{
    Content, Found, KeySetting, ParameterApi, ParameterType, PolicyParameter, ProfileSection, Tier, check_profile,
    profile_of,
};
use crate::diagnostic::{Faults, Source};
use crate::kind::import::{self, DiscoverError, Discovered, Importer, Wanted, not_found};
use crate::kind::key::is_of_aws;
use crate::kind::parameter_store::settings::imported;
use crate::kind::parameter_store::{api, labels, metadata};
use crate::kind::{Address, Kind, KindId, Search, Unlisted};
use crate::policy;
use crate::resource::Gap;
use crate::resource::names::PolicyRoot;

/// Lists the policies below the root, or those that the user names by parameter or by profile.
pub(super) async fn discover(
    api: &ParameterApi,
    wanted: &Wanted<'_>,
) -> Result<Discovered<PolicyParameter>, DiscoverError> {
    let root = wanted.policy_root;
    let (found, listed) = future::join(Box::pin(api::discover(api, root)), Box::pin(metadata::below(api, root))).await;
    let (mut found, mut listed) = (found?, listed?);
    let is = |one: &Found, name: &String| one.name == *name || profile_of(&one.name, root) == name;
    if let Some(missing) = wanted.named.iter().find(|name| !found.iter().any(|one| is(one, name))) {
        return Err(not_found::<PolicyParameter>(missing));
    }
    found.retain(|one| wanted.named.is_empty() || wanted.named.iter().any(|name| is(one, name)));
    for one in &mut found {
        if let Some(listed) = listed.remove(&one.name) {
            metadata::note(&listed, &<PolicyParameter as Kind>::everything(), &mut one.live.state);
        }
    }
    labels::read_found(api, &mut found).await;
    api::read_found_tags(api, &mut found, wanted.ownership).await;
    Ok(found.into())
}

/// Returns the profile of a policy parameter.
///
/// # Errors
///
/// Returns the reason why a manifest cannot name it.
pub(super) fn key(found: &Found, policy_root: &PolicyRoot) -> Result<String, String> {
    let profile = profile_of(&found.name, policy_root);
    if check_profile(profile).is_err() {
        return Err(String::from("omitted: it has more levels than a profile's policy"));
    }
    let state = &found.live.state;
    match (&state.parameter_type, &state.content) {
        (Some(ParameterType::SecureString), _) | (Some(ParameterType::String), Some(_)) => Ok(profile.to_owned()),
        (kind, _) => {
            let kind = kind.as_ref().map_or("of a type that is not known", ParameterType::as_str);
            Err(format!("omitted: it is {kind}, and a policy is a String or a SecureString"))
        }
    }
}

/// Returns the section that describes a live policy, with its content in a file.
pub(super) fn section(importer: &mut Importer<'_>, profile: &str, found: Found) -> ProfileSection {
    let PolicyParameter { content, parameter_type, tier, settings, labels, tags, role: _ } = found.live.state;
    labels::warn_of_older(importer, &found.live.facts);
    // Settings with default values are not managed.
    let mut section = ProfileSection {
        tier: tier.filter(|tier| *tier != Tier::Standard),
        settings: imported(importer, settings, "a policy is text"),
        labels: labels.filter(|labels| !labels.is_empty()),
        tags: import::tags(tags.as_ref()),
        ..ProfileSection::default()
    };
    if parameter_type == Some(ParameterType::SecureString) {
        section.parameter_type = Some(ParameterType::SecureString);
        section.key = section.settings.key.take().filter(|key| !is_of_aws(key)).map(|key| {
            let to = importer.address(KindId::Key.section(), &key).cloned();
            to.map_or(KeySetting::Id(key), KeySetting::Reference)
        });
        importer.warn(String::from("its content is not managed: it is a secret, which import does not read"));
        return section;
    }
    let content = content.as_ref().and_then(Content::text).unwrap_or_default();
    let mut faults = Faults::default();
    policy::check(&Source::new(found.name.clone(), content), &mut faults);
    if faults.is_empty() {
        section.policy = Some(importer.file(profile, "yaml", content));
    } else {
        let first = faults.into_sorted().into_iter().next().map(|fault| fault.message).unwrap_or_default();
        importer.warn(format!("imported without its content, which is not a valid policy ({first})"));
    }
    section
}

/// Finds parameters under the policy root that the manifest does not list.
pub(super) async fn unlisted(api: &ParameterApi, search: &Search<'_>) -> Unlisted {
    let root = search.policy_root;
    let (found, owned) =
        future::join(api::discover::<super::Policies>(api, root), metadata::owned(api, Some(root), search.ownership))
            .await;
    let mut unlisted = Unlisted { kind: KindId::Policy, owned: Vec::new(), unmanaged: Vec::new(), gaps: Vec::new() };
    match (found, owned) {
        (Ok(found), Ok(owned)) => {
            for one in found.into_iter().filter(|one| !search.names(KindId::Policy, &one.name)) {
                let address = Address::new(KindId::Policy, profile_of(&one.name, root));
                if !(search.holds)(&address) {
                    continue;
                }
                if owned.contains(&one.name) {
                    unlisted.owned.push(api::unlisted::<super::Policies>(address, one.name, search).into());
                } else {
                    unlisted.unmanaged.push(one.name);
                }
            }
        }
        (found, owned) => {
            let errors = found.err().into_iter().chain(owned.err());
            unlisted.gaps.extend(errors.map(|error| Gap::new(Some("parameters not in the manifest"), &error)));
        }
    }
    unlisted
}
