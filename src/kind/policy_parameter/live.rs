//! From a live policy parameter to the section that describes it.

use super::{
    Found, ParameterApi, ParameterType, PolicyParameter, ProfileSection, Tier, api, check_profile, profile_of,
};
use crate::diagnostic::{Faults, Source};
use crate::kind::import::{DiscoverError, Discovered, Importer, Wanted, no_such};
use crate::policy;
use crate::resource::names::PolicyRoot;

/// Lists the policies below the root, or those that the user names, by the name of the parameter or of the profile.
pub(super) async fn discover(
    api: &ParameterApi,
    wanted: &Wanted<'_>,
) -> Result<Discovered<PolicyParameter>, DiscoverError> {
    let root = wanted.policy_root;
    let mut found = api::discover(api, root).await?;
    let is = |one: &Found, name: &String| one.name == *name || profile_of(&one.name, root) == name;
    if let Some(missing) = wanted.named.iter().find(|name| !found.iter().any(|one| is(one, name))) {
        return Err(no_such::<PolicyParameter>(missing));
    }
    found.retain(|one| wanted.named.is_empty() || wanted.named.iter().any(|name| is(one, name)));
    Ok(found.into())
}

/// Returns the profile whose policy a parameter is.
///
/// # Errors
///
/// Says why a manifest cannot name it.
pub(super) fn key(found: &Found, policy_root: &PolicyRoot) -> Result<String, String> {
    let profile = profile_of(&found.name, policy_root);
    if check_profile(profile).is_err() {
        return Err(String::from("left out: it stands deeper than a profile's policy does"));
    }
    let state = &found.live.state;
    if state.parameter_type != Some(ParameterType::String) || state.content.is_none() {
        return Err(String::from("left out: it is no plain string, and a policy is one"));
    }
    Ok(profile.to_owned())
}

/// Returns the section that describes a live policy, with its content in a file. Its tags are left unmanaged: reading them
/// would take a call for each policy.
pub(super) fn section(importer: &mut Importer<'_>, profile: &str, found: Found) -> ProfileSection {
    let mut section = ProfileSection::default();
    let content = found.live.state.content.unwrap_or_default();
    let mut faults = Faults::default();
    policy::check(&Source::new(found.name, &*content), &mut faults);
    if faults.is_empty() {
        // Only this tier holds so much; a smaller one's tier is left alone.
        section.tier = (content.len() > Tier::Standard.limit()).then_some(Tier::Advanced);
        section.policy = Some(importer.file(profile, "yaml", content));
    } else {
        let first = faults.into_sorted().into_iter().next().map(|fault| fault.message).unwrap_or_default();
        importer.warn(format!("named without its content, which is no valid policy ({first})"));
    }
    section
}
