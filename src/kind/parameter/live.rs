//! Converts live parameters to the sections that describe them.

use futures_util::future;

use super::{Parameter, ParameterSection, Source, Text, Values};
use crate::diagnostic::{Faults, Source as Document};
use crate::kind::import::{self, DiscoverError, Discovered, Found, Importer, Wanted};
use crate::kind::key::is_of_aws;
use crate::kind::parameter_store::key::KeySetting;
use crate::kind::parameter_store::settings::imported;
use crate::kind::parameter_store::{Content, ParameterApi, ParameterType, Tier, api, labels, metadata};
use crate::kind::{Address, KindId, Search, Unlisted};
use crate::policy;
use crate::resource::names::PolicyRoot;
use crate::resource::{Gap, Live};

/// The value of a new parameter in place of an imported secret.
const PLACEHOLDER: &str = "replace-me";

/// Finds parameters that carry the ownership tag and that the manifest does not list. Those below the policy root are policies, and other
/// manifests may have other roots.
pub(super) async fn unlisted(api: &ParameterApi, search: &Search<'_>) -> Unlisted {
    let mut unlisted = Unlisted { kind: KindId::Parameter, owned: Vec::new(), unmanaged: Vec::new(), gaps: Vec::new() };
    let what = Some("parameters not in the manifest");
    let mut names: Vec<String> = match metadata::owned(api, None, search.ownership).await {
        Ok(names) => names.into_iter().collect(),
        Err(error) => {
            unlisted.gaps.push(Gap::new(what, &error));
            return unlisted;
        }
    };
    names.retain(|name| {
        let own = super::manifest::check_own(name, search.policy_root).is_ok();
        let address = Address::new(KindId::Parameter, name);
        own && !search.names(KindId::Parameter, name) && (search.holds)(&address)
    });
    names.sort();
    let found = future::join_all(names.iter().map(|name| api::read::<Values>(api, name))).await;
    for (name, live) in names.into_iter().zip(found) {
        match live {
            Ok(Some(live)) if is_policy(&live) => unlisted.unmanaged.push(name),
            Ok(Some(_)) => {
                let address = Address::new(KindId::Parameter, &name);
                unlisted.owned.push(api::unlisted::<Values>(address, name, search).into());
            }
            Ok(None) => {}
            Err(error) => {
                unlisted.gaps.push(Gap::new(what, &error));
                unlisted.unmanaged.push(name);
            }
        }
    }
    unlisted
}

/// Returns whether a parameter contains a policy.
fn is_policy(live: &Live<Parameter>) -> bool {
    let text = live.state.content.as_ref().and_then(Content::text).unwrap_or_default();
    let mut faults = Faults::default();
    policy::check(&Document::new("a parameter", text), &mut faults);
    faults.is_empty()
}

/// Finds the named parameters, or else those with the ownership tag, with all settings that a section supports.
pub(super) async fn discover(api: &ParameterApi, wanted: &Wanted<'_>) -> Result<Discovered<Parameter>, DiscoverError> {
    let mut discovered = import::discover(api, wanted).await?;
    labels::read_found(api, &mut discovered.found).await;
    Ok(discovered)
}

/// Returns the section key of a parameter.
///
/// # Errors
///
/// Returns the reason why a manifest cannot name it.
pub(super) fn key(found: &Found<Parameter>, policy_root: &PolicyRoot) -> Result<String, String> {
    if super::manifest::check_own(&found.name, policy_root).is_err() {
        return Err(format!("omitted: a parameter below the policy root {policy_root} is a policy"));
    }
    if let Some(ParameterType::Other(kind)) = &found.live.state.parameter_type {
        return Err(format!("omitted: Sentinel does not support parameters of the type {kind}"));
    }
    Ok(found.name.trim_start_matches('/').replace('/', "-"))
}

/// Returns the section that describes a live parameter.
pub(super) fn section(importer: &mut Importer<'_>, found: Found<Parameter>) -> ParameterSection {
    let Parameter { content, parameter_type, tier, settings, labels, tags, role: _ } = found.live.state;
    labels::warn_of_older(importer, &found.live.facts);
    let kind = parameter_type.unwrap_or(ParameterType::String);
    let mut settings = imported(importer, settings, "");
    let key = settings.key.take().filter(|key| !is_of_aws(key)).map(|key| {
        let to = importer.address(KindId::Key.section(), &key).cloned();
        to.map_or(KeySetting::Id(key), KeySetting::Reference)
    });
    let source = match content.as_ref().and_then(Content::text) {
        Some(text) if kind != ParameterType::SecureString => Source::Value(Text::of(text, &kind)),
        _ => {
            importer.warn(
                "its value is not managed: it is a secret, which import does not read; a new parameter \
                 would get a placeholder",
            );
            Source::Initial(Text::One(String::from(PLACEHOLDER)))
        }
    };
    // The type of a list is implied.
    let has_type = kind == ParameterType::String || source.is_list();
    let parameter_type = Some(kind).filter(|_| !has_type);
    ParameterSection {
        name: Some(found.name),
        source: Some(source),
        parameter_type,
        key,
        tier: tier.filter(|tier| *tier != Tier::Standard),
        settings,
        labels: labels.filter(|labels| !labels.is_empty()),
        tags: import::tags(tags.as_ref()),
    }
}
