//! The settings of a parameter in DescribeParameters, and the corresponding arguments of PutParameter.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use aws_sdk_ssm::operation::put_parameter::builders::PutParameterFluentBuilder;
use aws_sdk_ssm::types::{ParameterInlinePolicy, ParameterMetadata, ParameterStringFilter, ParameterTier};

use super::api::{Reading, get_parameters};
use super::settings::ParameterPolicies;
use super::write::READ_ATTEMPTS;
use super::{ParameterApi, Role, Settings, Stored, Tier};
use crate::resource::OWNER;
use crate::resource::call::{CallError, Class, DESCRIBE_PARAMETERS};
use crate::resource::names::OwnerKey;
use crate::resource::pages::Pages;

/// Reads the metadata of these parameters, by name.
pub(super) async fn named(
    api: &ParameterApi,
    names: &[String],
) -> Result<HashMap<String, ParameterMetadata>, CallError> {
    if names.is_empty() {
        return Ok(HashMap::new());
    }
    Ok(by_name(describe(api, vec![filter("Name", "Equals", names.to_vec())?]).await?))
}

/// Reads the metadata of all parameters under a path, by name.
pub(in crate::kind) async fn below(
    api: &ParameterApi,
    root: &str,
) -> Result<HashMap<String, ParameterMetadata>, CallError> {
    Ok(by_name(describe(api, vec![filter("Path", "Recursive", vec![root.to_owned()])?]).await?))
}

fn by_name(found: Vec<ParameterMetadata>) -> HashMap<String, ParameterMetadata> {
    found.into_iter().filter_map(|one| Some((one.name.clone()?, one))).collect()
}

/// Returns the names that carry the ownership tag with this key, under a path or everywhere.
///
/// One call lists fifty of them, while reading the tags of each would be one call for each.
pub(in crate::kind) async fn owned(
    api: &ParameterApi,
    root: Option<&str>,
    key: &OwnerKey,
) -> Result<HashSet<String>, CallError> {
    let mut filters = vec![filter(&format!("tag:{key}"), "Equals", vec![OWNER.to_owned()])?];
    if let Some(root) = root {
        filters.push(filter("Path", "Recursive", vec![root.to_owned()])?);
    }
    let found = describe(api, filters).await?;
    Ok(found.into_iter().filter_map(|parameter| parameter.name).collect())
}

/// Reads the metadata of one parameter; `None` if it does not exist.
pub(super) async fn of<R: Role>(api: &ParameterApi, name: &str) -> Result<Option<ParameterMetadata>, CallError> {
    // About one read in a hundred does not find a parameter that was just created.
    for look in 1..=READ_ATTEMPTS {
        if let Some(found) = named(api, &[name.to_owned()]).await?.remove(name) {
            return Ok(Some(found));
        }
        if get_parameters::<R>(api, &[name.to_owned()], Reading::Plain).await?.is_empty() {
            return Ok(None);
        }
        api.pacer.sleep(DESCRIBE_PARAMETERS, Duration::from_millis(300) * look).await?;
    }
    let message = format!("{name} exists, but DescribeParameters does not list it; run again");
    Err(CallError::new(DESCRIBE_PARAMETERS, Class::ServerFault, message))
}

fn filter(key: &str, option: &str, values: Vec<String>) -> Result<ParameterStringFilter, CallError> {
    let built = ParameterStringFilter::builder().key(key).option(option).set_values(Some(values)).build();
    built.map_err(|error| CallError::new(DESCRIBE_PARAMETERS, Class::Rejected, error.to_string()))
}

async fn describe(
    api: &ParameterApi,
    filters: Vec<ParameterStringFilter>,
) -> Result<Vec<ParameterMetadata>, CallError> {
    let mut found = Vec::new();
    // At most 10,000 parameters, and some empty pages.
    let mut pages = Pages::new(DESCRIBE_PARAMETERS, 250);
    let mut token = None;
    loop {
        let call = || {
            let request = api.client.describe_parameters().set_parameter_filters(Some(filters.clone()));
            pages.timed(request.max_results(50).set_next_token(token.clone()).send())
        };
        let answer = api.pacer.call(DESCRIBE_PARAMETERS, &[], call).await?;
        let page = answer.parameters.unwrap_or_default();
        // Includes the description and the overhead in memory.
        let bytes = page.iter().map(|one| 1024 + one.name().map_or(0, str::len)).sum();
        found.extend(page);
        token = answer.next_token.filter(|token| !token.is_empty());
        if !pages.next(bytes, token.as_ref())? {
            return Ok(found);
        }
    }
}

/// Sets the managed settings of a parameter from its metadata.
pub(in crate::kind) fn note<R: Role>(metadata: &ParameterMetadata, managed: &Stored<R>, state: &mut Stored<R>) {
    state.tier = managed.tier.map(|_| match metadata.tier {
        Some(ParameterTier::Advanced) => Tier::Advanced,
        Some(ParameterTier::IntelligentTiering) => Tier::Intelligent,
        _ => Tier::Standard,
    });
    let ParameterMetadata { description, key_id, allowed_pattern, data_type, policies, .. } = metadata;
    let texts = policies.iter().flatten().filter_map(ParameterInlinePolicy::policy_text);
    let listed = Settings {
        description: Some(description.clone().unwrap_or_default()),
        key: Some(key_id.clone().unwrap_or_default()),
        allowed_pattern: Some(allowed_pattern.clone().unwrap_or_default()),
        data_type: Some(data_type.clone().unwrap_or_else(|| String::from(super::settings::TEXT))),
        parameter_policies: Some(ParameterPolicies::from_texts(texts)),
    };
    state.settings = listed.limited_to(&managed.settings);
}

/// Returns whether a parameter has this tier and these settings.
pub(super) fn has<R: Role>(metadata: &ParameterMetadata, tier: Option<Tier>, settings: &Settings) -> bool {
    let managed = Stored::<R> { tier, settings: settings.clone(), ..Stored::default() };
    let mut state = Stored::default();
    note(metadata, &managed, &mut state);
    super::diff(&managed, &state).is_empty()
}

/// Returns an overwrite that changes these settings and keeps the others.
///
/// The AWS reference does not say whether an overwrite keeps omitted settings, and reports differ on whether a `SecureString` keeps its
/// key, so all live settings are sent again. An omitted tier is the account's default. Source: PutParameter in the Systems Manager API
/// Reference.
pub(super) fn with_kept_settings(
    request: PutParameterFluentBuilder,
    kept: &ParameterMetadata,
    tier: Option<Tier>,
    settings: &Settings,
) -> PutParameterFluentBuilder {
    let ParameterMetadata { description, key_id, allowed_pattern, data_type, policies, .. } = kept;
    let policies = policies.as_ref().filter(|policies| !policies.is_empty()).map(|policies| {
        let texts: Vec<&str> = policies.iter().filter_map(ParameterInlinePolicy::policy_text).collect();
        format!("[{}]", texts.join(","))
    });
    let tier = tier.map(sdk_tier).or_else(|| kept.tier.clone());
    let request = request
        .tier(tier.unwrap_or(ParameterTier::Standard))
        .set_description(description.clone())
        .set_key_id(key_id.clone())
        .set_allowed_pattern(allowed_pattern.clone())
        .set_data_type(data_type.clone())
        .set_policies(policies);
    setting(request, settings)
}

/// Adds settings to a write.
pub(super) fn setting(request: PutParameterFluentBuilder, settings: &Settings) -> PutParameterFluentBuilder {
    let Settings { description, key, allowed_pattern, data_type, parameter_policies } = settings;
    let mut request = request;
    if let Some(key) = key {
        request = request.key_id(key);
    }
    if let Some(description) = description {
        request = request.description(description);
    }
    if let Some(pattern) = allowed_pattern {
        request = request.allowed_pattern(pattern);
    }
    if let Some(data_type) = data_type {
        request = request.data_type(data_type);
    }
    if let Some(policies) = parameter_policies {
        request = request.policies(policies.document());
    }
    request
}

/// Returns a tier as an argument of PutParameter.
pub(super) const fn sdk_tier(tier: Tier) -> ParameterTier {
    match tier {
        Tier::Standard => ParameterTier::Standard,
        Tier::Advanced => ParameterTier::Advanced,
        Tier::Intelligent => ParameterTier::IntelligentTiering,
    }
}
