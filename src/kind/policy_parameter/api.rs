//! The SSM calls, and the mapping between the SDK's types and ours.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_ssm::Client;
use aws_sdk_ssm::types::{
    ParameterMetadata, ParameterStringFilter, ParameterTier, ParameterType as SdkType, ResourceTypeForTagging, Tag,
};
use aws_types::SdkConfig;
use futures_util::future;

use super::{Found, ParameterType, PolicyParameter, PolicyStep, Tier, profile_of};
use crate::kind::{Address, Desired, KindId, Presence, Search, Unlisted};
use crate::resource::call::{
    ADD_PARAMETER_TAGS, CallError, Class, DELETE_PARAMETERS, DESCRIBE_PARAMETERS, GET_PARAMETERS,
    GET_PARAMETERS_BY_PATH, LIST_PARAMETER_TAGS, Operation, PUT_PARAMETER, REMOVE_PARAMETER_TAGS,
};
use crate::resource::names::{OwnerKey, PolicyRoot};
use crate::resource::pacer::Pacer;
use crate::resource::pages::Pages;
use crate::resource::{Facts, Gap, Live, OWNER, Observed, StepOutcome, Tags, take_owner};

/// Makes the calls for parameters.
#[derive(Debug, Clone)]
pub struct ParameterApi {
    client: Client,
    pacer: Arc<Pacer>,
}

impl ParameterApi {
    /// Returns what makes calls over a connection. Makes no call.
    pub fn new(config: &SdkConfig, pacer: &Arc<Pacer>) -> Self {
        Self { client: Client::new(config), pacer: Arc::clone(pacer) }
    }
}

/// Reads up to ten parameters: one call for all, and more only for what the manifest manages beyond content.
///
/// Answers in the order asked. AWS refuses a whole batch when one of its names is denied, so a refused batch is read
/// again name by name: what may be read still is.
pub(super) async fn observe(api: &ParameterApi, batch: &[&Desired<PolicyParameter>]) -> Vec<Observed<PolicyParameter>> {
    let names: Vec<String> = batch.iter().map(|desired| desired.name.clone()).collect();
    let tiered: Vec<String> =
        batch.iter().filter(|one| one.managed.tier.is_some()).map(|one| one.name.clone()).collect();
    // Which are to be adopted is told by one list.
    let reads_tags = |one: &&&Desired<PolicyParameter>| one.managed.tags.is_some() || one.presence == Presence::Removed;
    let tagged: Vec<&String> = batch.iter().filter(reads_tags).map(|one| &one.name).collect();
    let (contents, tiers, tags) = future::join3(
        read_contents(api, &names),
        read_tiers(api, &tiered),
        future::join_all(tagged.iter().map(|name| read_tags(api, name))),
    )
    .await;
    let mut tags: HashMap<&String, Result<Tags, CallError>> = tagged.into_iter().zip(tags).collect();
    let mut observed = Vec::new();
    for (desired, found) in batch.iter().zip(contents) {
        observed.push(match found {
            Err(error) => Observed::Unknown(Gap::new(None, &error)),
            Ok(None) => Observed::Absent,
            Ok(Some(mut live)) => {
                if desired.managed.tier.is_some() {
                    match &tiers {
                        Ok(tiers) => live.state.tier = tiers.get(&desired.name).copied(),
                        Err(error) => live.gaps.push(Gap::new(Some("tier"), error)),
                    }
                }
                match tags.remove(&desired.name) {
                    Some(Ok(mut found)) => {
                        take_owner(&mut found, desired.ownership.as_deref(), &mut live.facts);
                        live.state.tags = Some(found);
                    }
                    Some(Err(error)) => live.gaps.push(Gap::new(Some("tags"), &error)),
                    None => {}
                }
                Observed::Present(live)
            }
        });
    }
    observed
}

type Content = Result<Option<Live<PolicyParameter>>, CallError>;

async fn read_contents(api: &ParameterApi, names: &[String]) -> Vec<Content> {
    match get_parameters(api, names).await {
        Ok(mut found) => names.iter().map(|name| Ok(found.remove(name))).collect(),
        Err(error) if error.class == Class::Denied && names.len() > 1 => {
            let one_by_one = names.iter().map(|name| async move {
                let mut found = get_parameters(api, std::slice::from_ref(name)).await?;
                Ok(found.remove(name))
            });
            future::join_all(one_by_one).await
        }
        Err(error) => names.iter().map(|_| Err(error.clone())).collect(),
    }
}

/// Reads the content of one parameter, and which version it is.
pub async fn read(api: &ParameterApi, name: &str) -> Result<Option<Live<PolicyParameter>>, CallError> {
    Ok(get_parameters(api, &[name.to_owned()]).await?.remove(name))
}

async fn get_parameters(
    api: &ParameterApi,
    names: &[String],
) -> Result<HashMap<String, Live<PolicyParameter>>, CallError> {
    let call = || api.client.get_parameters().set_names(Some(names.to_vec())).send();
    let answer = api.pacer.call(GET_PARAMETERS, &[], call).await?;
    Ok(answer.parameters.unwrap_or_default().into_iter().filter_map(from_sdk).collect())
}

fn from_sdk(parameter: aws_sdk_ssm::types::Parameter) -> Option<(String, Live<PolicyParameter>)> {
    let parameter_type = parameter.r#type.map(|kind| match kind {
        SdkType::String => ParameterType::String,
        other => ParameterType::Other(other.as_str().to_owned()),
    });
    let state = PolicyParameter { content: parameter.value.map(Arc::from), parameter_type, tier: None, tags: None };
    let facts = Facts {
        arn: parameter.arn,
        version: Some(parameter.version),
        modified: parameter.last_modified_date.map(|date| date.secs()),
        ..Facts::default()
    };
    Some((parameter.name?, Live { state, facts, gaps: Vec::new() }))
}

async fn read_tiers(api: &ParameterApi, names: &[String]) -> Result<HashMap<String, Tier>, CallError> {
    if names.is_empty() {
        return Ok(HashMap::new());
    }
    let found = describe(api, vec![filter("Name", "Equals", names.to_vec())?]).await?;
    Ok(found.into_iter().filter_map(tier_from_sdk).collect())
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
    // 10,000 parameters, and some pages that are empty.
    let mut pages = Pages::new(DESCRIBE_PARAMETERS, 250);
    let mut token = None;
    loop {
        let call = || {
            let request = api.client.describe_parameters().set_parameter_filters(Some(filters.clone()));
            pages.timed(request.max_results(50).set_next_token(token.clone()).send())
        };
        let answer = api.pacer.call(DESCRIBE_PARAMETERS, &[], call).await?;
        let page = answer.parameters.unwrap_or_default();
        // With its description, and what stays around it in memory.
        let bytes = page.iter().map(|one| 1024 + one.name().map_or(0, str::len)).sum();
        found.extend(page);
        token = answer.next_token.filter(|token| !token.is_empty());
        if !pages.next(bytes, token.as_ref())? {
            return Ok(found);
        }
    }
}

/// Returns the names under a path that carry the ownership tag of this key.
///
/// One call lists fifty of them, where reading the tags of each would be a call for each.
pub(super) async fn owned(api: &ParameterApi, root: &PolicyRoot, key: &OwnerKey) -> Result<HashSet<String>, CallError> {
    let filters = vec![
        filter("Path", "Recursive", vec![root.to_string()])?,
        filter(&format!("tag:{key}"), "Equals", vec![OWNER.to_owned()])?,
    ];
    let found = describe(api, filters).await?;
    Ok(found.into_iter().filter_map(|parameter| parameter.name).collect())
}

fn tier_from_sdk(metadata: ParameterMetadata) -> Option<(String, Tier)> {
    let tier = match metadata.tier {
        Some(ParameterTier::Advanced) => Tier::Advanced,
        _ => Tier::Standard,
    };
    Some((metadata.name?, tier))
}

async fn read_tags(api: &ParameterApi, name: &str) -> Result<Tags, CallError> {
    let call = || {
        api.client.list_tags_for_resource().resource_type(ResourceTypeForTagging::Parameter).resource_id(name).send()
    };
    match api.pacer.call(LIST_PARAMETER_TAGS, &[], call).await {
        Ok(answer) => Ok(answer.tag_list.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value)).collect()),
        Err(error) if error.class == Class::NotFound => Ok(Tags::new()),
        Err(error) => Err(error),
    }
}

/// Lists the parameters under a path, at any depth, in the order of their names.
pub async fn discover(api: &ParameterApi, root: &PolicyRoot) -> Result<Vec<Found>, CallError> {
    let mut found = Vec::new();
    // A region holds 10,000 parameters of the standard tier; some pages may be empty.
    let mut pages = Pages::new(GET_PARAMETERS_BY_PATH, 1200);
    let mut token: Option<String> = None;
    loop {
        let call = || {
            let request = api.client.get_parameters_by_path().path(root.as_str()).recursive(true);
            pages.timed(request.max_results(10).set_next_token(token.clone()).send())
        };
        let answer = api.pacer.call(GET_PARAMETERS_BY_PATH, &[], call).await?;
        let before = found.len();
        let page = answer.parameters.unwrap_or_default().into_iter().filter_map(from_sdk);
        found.extend(page.map(|(name, live)| Found { name, live }));
        let content = |found: &Found| found.live.state.content.as_ref().map_or(0, |content| content.len());
        let bytes = found[before..].iter().map(|found| found.name.len() + content(found)).sum();
        // An empty page with a token is normal: there is more.
        token = answer.next_token.filter(|token| !token.is_empty());
        if !pages.next(bytes, token.as_ref())? {
            found.sort_by(|one, other| one.name.cmp(&other.name));
            return Ok(found);
        }
    }
}

/// Looks for parameters under the policy root that the manifest does not name.
pub(super) async fn unlisted(api: &ParameterApi, search: &Search<'_>) -> Unlisted {
    let root = search.policy_root;
    let (found, owned) = future::join(discover(api, root), owned(api, root, search.ownership)).await;
    let mut unlisted = Unlisted { kind: KindId::Policy, owned: Vec::new(), unmanaged: Vec::new(), gaps: Vec::new() };
    match (found, owned) {
        (Ok(found), Ok(owned)) => {
            for one in found.into_iter().filter(|one| !search.names(KindId::Policy, &one.name)) {
                let address = Address::new(KindId::Policy, profile_of(&one.name, root));
                if !(search.holds)(&address) {
                    continue;
                }
                if owned.contains(&one.name) {
                    let ownership = Some(search.ownership.clone());
                    let desired = Desired::new(address, one.name, PolicyParameter::default());
                    unlisted.owned.push(Desired { presence: Presence::Absent, ownership, ..desired }.into());
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

/// Runs one step.
pub(super) async fn execute(api: &ParameterApi, step: &PolicyStep) -> Result<StepOutcome, CallError> {
    match step {
        PolicyStep::CreateParameter { name, content, tier, tags, content_managed } => {
            let ended = create(api, name, content, *tier, tags).await?;
            // Nothing says what a bare profile holds: that there is one is enough.
            let conflict = matches!(ended, StepOutcome::Conflict(_));
            Ok(if conflict && !content_managed { StepOutcome::Done } else { ended })
        }
        PolicyStep::OverwriteParameter { name, content, tier, expects_version } => {
            overwrite(api, name, content, *tier, *expects_version).await
        }
        PolicyStep::TagParameter { name, tags } => {
            let list = sdk_tags(ADD_PARAMETER_TAGS, tags)?;
            let call = || {
                let request = api.client.add_tags_to_resource().resource_type(ResourceTypeForTagging::Parameter);
                request.resource_id(name).set_tags(Some(list.clone())).send()
            };
            api.pacer.call(ADD_PARAMETER_TAGS, &[], call).await?;
            Ok(StepOutcome::Done)
        }
        PolicyStep::UntagParameter { name, keys } => {
            let call = || {
                let request = api.client.remove_tags_from_resource().resource_type(ResourceTypeForTagging::Parameter);
                request.resource_id(name).set_tag_keys(Some(keys.clone())).send()
            };
            api.pacer.call(REMOVE_PARAMETER_TAGS, &[], call).await?;
            Ok(StepOutcome::Done)
        }
        PolicyStep::DeleteParameter { name, expects_version, owner_key } => {
            delete(api, name, *expects_version, owner_key).await
        }
    }
}

/// Deletes a parameter that is still the one that was seen, and still carries the ownership tag: the list it was found
/// in lags behind, and a name can be taken by another since.
async fn delete(
    api: &ParameterApi,
    name: &str,
    expects_version: i64,
    owner_key: &OwnerKey,
) -> Result<StepOutcome, CallError> {
    let tags = read_tags(api, name).await?;
    let mut found = get_parameters(api, &[name.to_owned()]).await?;
    let Some(live) = found.remove(name) else { return Ok(StepOutcome::Done) };
    if live.facts.version != Some(expects_version) {
        let now = live.facts.version.unwrap_or(0);
        return Ok(StepOutcome::Conflict(format!(
            "someone else changed it since version {expects_version} was read, and nothing was deleted; it is at version \
             {now} now; see that with: {}",
            see(name, now)
        )));
    }
    if tags.get(owner_key.as_str()).map(String::as_str) != Some(OWNER) {
        let why = format!("it no longer carries the tag {owner_key} = {OWNER}; nothing was deleted");
        return Ok(StepOutcome::Conflict(why));
    }
    // A name that is not there comes back as invalid, which is as good as deleted.
    api.pacer.call(DELETE_PARAMETERS, &[], || api.client.delete_parameters().names(name).send()).await?;
    Ok(StepOutcome::Done)
}

fn sdk_tags(operation: Operation, tags: &Tags) -> Result<Vec<Tag>, CallError> {
    let build = |(key, value): (&String, &String)| Tag::builder().key(key).value(value).build();
    tags.iter()
        .map(build)
        .collect::<Result<_, _>>()
        .map_err(|error| CallError::new(operation, Class::Rejected, error.to_string()))
}

const fn sdk_tier(tier: Tier) -> ParameterTier {
    match tier {
        Tier::Standard => ParameterTier::Standard,
        Tier::Advanced => ParameterTier::Advanced,
    }
}

async fn create(
    api: &ParameterApi,
    name: &str,
    content: &str,
    tier: Tier,
    tags: &Tags,
) -> Result<StepOutcome, CallError> {
    let list = Some(sdk_tags(PUT_PARAMETER, tags)?).filter(|list| !list.is_empty());
    let call = || {
        let request = api.client.put_parameter().name(name).value(content).r#type(SdkType::String);
        request.tier(sdk_tier(tier)).overwrite(false).set_tags(list.clone()).send()
    };
    let error = match api.pacer.call(PUT_PARAMETER, &[], call).await {
        Ok(_) => return Ok(StepOutcome::Done),
        Err(error) if error.class == Class::AlreadyExists || error.open => error,
        Err(error) => return Err(error),
    };
    // Either our own call took effect though its answer was lost, or someone else was faster. The content tells; about
    // one read in a hundred does not see a write just made.
    for look in 1..=LOOKS {
        let Ok(mut found) = get_parameters(api, &[name.to_owned()]).await else { return Err(error) };
        match found.remove(name) {
            Some(live) if live.state.content.as_deref() == Some(content) => return Ok(StepOutcome::Done),
            Some(_) => {
                let why = "someone else created it meanwhile, with other content; nothing was overwritten";
                return Ok(StepOutcome::Conflict(String::from(why)));
            }
            None => api.pacer.sleep(GET_PARAMETERS, Duration::from_millis(300) * look).await?,
        }
    }
    Err(error)
}

/// How often a parameter that is known to be there is looked for.
const LOOKS: u32 = 4;

async fn overwrite(
    api: &ParameterApi,
    name: &str,
    content: &str,
    tier: Option<Tier>,
    expects_version: i64,
) -> Result<StepOutcome, CallError> {
    // Parameter Store has no compare-and-set: a look just before keeps the window small, the version returned shows
    // whether someone was in it.
    let mut found = get_parameters(api, &[name.to_owned()]).await?;
    let live = found.remove(name);
    let version = live.as_ref().and_then(|live| live.facts.version);
    if version != Some(expects_version) {
        // Two applies of one manifest write the same text: the one that comes second finds its work done.
        if live.is_some_and(|live| live.state.content.as_deref() == Some(content)) {
            let asked: Vec<String> = tier.map(|_| name.to_owned()).into_iter().collect();
            if read_tiers(api, &asked).await?.get(name).copied() == tier {
                return Ok(StepOutcome::Done);
            }
        }
        let now = match version {
            None => String::from("it is gone"),
            Some(version) => format!("it is at version {version} now; see that with: {}", see(name, version)),
        };
        return Ok(StepOutcome::Conflict(format!(
            "someone else changed it since version {expects_version} was read, and nothing was overwritten; {now}"
        )));
    }
    let put = |tier: Tier| {
        let request = api.client.put_parameter().name(name).value(content).r#type(SdkType::String);
        request.tier(sdk_tier(tier)).overwrite(true).send()
    };
    let mut answer = api.pacer.call(PUT_PARAMETER, &[], || put(tier.unwrap_or(Tier::Standard))).await;
    // Without a tier AWS would use the account's default, so one is always sent. Where the manifest names none, the
    // live one is kept, and only AWS's refusal to downgrade tells that it is the advanced one.
    if tier.is_none() && answer.as_ref().is_err_and(|error| error.message.contains("downgrade")) {
        answer = api.pacer.call(PUT_PARAMETER, &[], || put(Tier::Advanced)).await;
    }
    let written = match answer {
        Ok(answer) => answer.version,
        Err(error) => took_effect(api, name, content, expects_version, error).await?,
    };
    if written == expects_version + 1 {
        return Ok(StepOutcome::Done);
    }
    if written <= expects_version {
        return Ok(StepOutcome::Conflict(format!(
            "someone else deleted it at the same moment, and writing created it anew, as version {written}, without its tags; \
             see sentinel plan"
        )));
    }
    // A call whose answer was lost is made again, and writes the same text twice. What stands between tells it from a
    // write of someone else's.
    let between = read_versions(api, name, expects_version + 1..written).await;
    let theirs = match between {
        Some(versions) => versions.into_iter().filter(|(_, text)| text != content).map(|(version, _)| version).max(),
        None => Some(written - 1),
    };
    let Some(theirs) = theirs else { return Ok(StepOutcome::Done) };
    Ok(StepOutcome::Conflict(format!(
        "written as version {written}, not {}: someone else wrote at the same moment, and version {theirs} holds their text; \
         see it with: {}",
        expects_version + 1,
        see(name, theirs),
    )))
}

/// Returns the version that a write took effect as although its answer never came.
///
/// # Errors
///
/// The error it was given, where the write did not take effect, or where that cannot be known: then it says so.
async fn took_effect(
    api: &ParameterApi,
    name: &str,
    content: &str,
    expects_version: i64,
    error: CallError,
) -> Result<i64, CallError> {
    if !error.open {
        return Err(error);
    }
    match get_parameters(api, &[name.to_owned()]).await.map(|mut found| found.remove(name)) {
        Ok(Some(live)) if live.state.content.as_deref() == Some(content) => {
            live.facts.version.filter(|version| *version > expects_version).ok_or(error)
        }
        Ok(_) => Err(error),
        Err(_) => {
            let message = format!(
                "{}; whether it was written is not known, and version {} would tell: {}",
                error.said(),
                expects_version + 1,
                see(name, expects_version + 1)
            );
            // The words are whole as they are.
            Err(CallError { message, class: Class::Rejected, ..error })
        }
    }
}

/// Returns the command that shows one version of a parameter, which the history keeps.
fn see(name: &str, version: i64) -> String {
    format!("aws ssm get-parameter --name {name}:{version} --query Parameter.Value --output text")
}

/// The most parameters `GetParameters` takes in one call.
const NAMES_IN_A_CALL: usize = 10;

/// Returns some versions with their texts, if there are few and all of them can be read.
async fn read_versions(api: &ParameterApi, name: &str, versions: Range<i64>) -> Option<Vec<(i64, String)>> {
    let selectors: Vec<String> =
        versions.map(|version| format!("{name}:{version}")).take(NAMES_IN_A_CALL + 1).collect();
    if selectors.is_empty() || selectors.len() > NAMES_IN_A_CALL {
        return None;
    }
    let call = || api.client.get_parameters().set_names(Some(selectors.clone())).send();
    let found = api.pacer.call(GET_PARAMETERS, &[], call).await.ok()?.parameters.unwrap_or_default();
    let texts: Vec<(i64, String)> =
        found.into_iter().filter_map(|parameter| Some((parameter.version, parameter.value?))).collect();
    (texts.len() == selectors.len()).then_some(texts)
}
