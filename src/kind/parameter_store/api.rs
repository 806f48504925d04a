//! The SSM calls, and the mapping between the SDK's types and Sentinel's types.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_ssm::Client;
use aws_sdk_ssm::types::{ParameterType as SdkType, ResourceTypeForTagging, Tag};
use aws_types::SdkConfig;
use futures_util::future;
use futures_util::stream::{self, StreamExt};

use super::content::Secret;
use super::write::{create, overwrite, see};
use super::{Content, Delete, ParameterType, Role, Stored, Tag as TagStep, Untag, Write, labels, metadata};
use crate::kind::import::Found;
use crate::kind::{Address, Desired, Presence, Search};
use crate::resource::call::{
    ADD_PARAMETER_TAGS, CallError, Class, DELETE_PARAMETERS, GET_PARAMETERS, GET_PARAMETERS_BY_PATH,
    LIST_PARAMETER_TAGS, Operation, REMOVE_PARAMETER_TAGS,
};
use crate::resource::names::{OwnerKey, PolicyRoot};
use crate::resource::pacer::Pacer;
use crate::resource::pages::Pages;
use crate::resource::{Facts, Gap, Live, OWNER, Observed, StepOutcome, Tags, take_owner};

/// Makes the calls for parameters.
#[derive(Debug, Clone)]
pub struct ParameterApi {
    pub(super) client: Client,
    pub(super) pacer: Arc<Pacer>,
}

impl ParameterApi {
    /// Returns the client for a connection. Makes no call.
    pub fn new(config: &SdkConfig, pacer: &Arc<Pacer>) -> Self {
        Self { client: Client::new(config), pacer: Arc::clone(pacer) }
    }
}

/// Reads up to ten parameters with one call, and more calls only for managed settings other than the content.
///
/// Returns them in the order of the arguments. AWS refuses a whole batch if one of its names is denied, so a refused batch is read again
/// name by name.
pub(in crate::kind) async fn observe<R: Role>(
    api: &ParameterApi,
    batch: &[&Desired<Stored<R>>],
) -> Vec<Observed<Stored<R>>> {
    let reads: Vec<(String, Reading)> = batch.iter().map(|one| (one.name.clone(), reading(&one.managed))).collect();
    let listed: Vec<String> = batch.iter().filter(|one| is_listed(&one.managed)).map(|one| one.name.clone()).collect();
    // One list shows which of the parameters to adopt carry the ownership tag.
    let reads_tags = |one: &&&Desired<Stored<R>>| one.managed.tags.is_some() || one.presence == Presence::Removed;
    let tagged: Vec<&String> = batch.iter().filter(reads_tags).map(|one| &one.name).collect();
    let labeled = batch.iter().map(|one| read_labels(api, one));
    let (contents, metadata, tags, labels) = future::join4(
        read_contents(api, &reads),
        metadata::named(api, &listed),
        future::join_all(tagged.iter().map(|name| read_tags(api, name))),
        future::join_all(labeled),
    )
    .await;
    let mut tags: HashMap<&String, Result<Tags, CallError>> = tagged.into_iter().zip(tags).collect();
    let mut observed = Vec::new();
    for ((desired, found), labels) in batch.iter().zip(contents).zip(labels) {
        observed.push(match found {
            Err(error) => Observed::Unknown(Gap::new(None, &error)),
            Ok(None) => Observed::Absent,
            Ok(Some(mut live)) => {
                if let Some(content) = &desired.managed.content {
                    // A value from a secret source is a secret, even in a parameter that everyone can read.
                    live.state.content =
                        live.state.content.map(|live| if content.is_secret() { live.hidden() } else { live });
                    live.gaps.extend(unset(desired, content));
                }
                match labels {
                    Some(Ok(versions)) => {
                        let newest = versions.into_iter().filter(|(_, version)| Some(*version) == live.facts.version);
                        live.state.labels = Some(newest.map(|(label, _)| label).collect());
                    }
                    Some(Err(error)) => live.gaps.push(Gap::new(Some("labels"), &error)),
                    None => {}
                }
                if is_listed(&desired.managed) {
                    match &metadata {
                        Ok(all) => {
                            if let Some(one) = all.get(&desired.name) {
                                metadata::note(one, &desired.managed, &mut live.state);
                                live.facts.author.clone_from(&one.last_modified_user);
                            }
                        }
                        Err(error) => live.gaps.push(Gap::new(Some(unread(&desired.managed)), error)),
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

/// Returns the gap for a value whose environment variable is not set, so that it cannot be compared.
fn unset<R: Role>(desired: &Desired<Stored<R>>, content: &Content) -> Option<Gap> {
    let origin = desired.origin.as_deref().unwrap_or_default();
    content.is_unset().then(|| Gap {
        path: Some(R::VALUE.to_string()),
        action: GET_PARAMETERS.action(),
        denied: false,
        message: format!("not compared: {origin} is not set"),
    })
}

/// Reads the versions of the managed labels.
async fn read_labels<R: Role>(
    api: &ParameterApi,
    desired: &Desired<Stored<R>>,
) -> Option<Result<HashMap<String, i64>, CallError>> {
    let labels = desired.managed.labels.as_ref()?;
    Some(labels::read_live(api, &desired.name, labels).await)
}

/// Returns whether any setting is managed that only DescribeParameters returns.
pub(super) fn is_listed<R: Role>(managed: &Stored<R>) -> bool {
    managed.tier.is_some() || !managed.settings.is_empty()
}

/// Returns the managed setting that is unknown if DescribeParameters fails.
fn unread<R: Role>(managed: &Stored<R>) -> &'static str {
    if managed.tier.is_some() { "tier" } else { "settings" }
}

type Read<R> = Result<Option<Live<Stored<R>>>, CallError>;

/// Returns how the content is read. Decrypting a secret requires permission for its key, so it is read only if it is compared.
fn reading<R: Role>(managed: &Stored<R>) -> Reading {
    match &managed.content {
        Some(content) => Reading::of(content),
        None => Reading::Plain,
    }
}

/// Whether a `SecureString` is read with its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    Plain,
    Decrypted,
}

impl Reading {
    pub(super) fn of(content: &Content) -> Self {
        if content.is_secret() { Self::Decrypted } else { Self::Plain }
    }
}

/// Reads contents in the order of the arguments, with separate calls for encrypted and decrypted reads.
async fn read_contents<R: Role>(api: &ParameterApi, reads: &[(String, Reading)]) -> Vec<Read<R>> {
    let of = |reading: Reading| -> Vec<String> {
        reads.iter().filter(|one| one.1 == reading).map(|one| one.0.clone()).collect()
    };
    let (plain, secret) = (of(Reading::Plain), of(Reading::Decrypted));
    let (plain, secret) =
        future::join(read_batch(api, &plain, Reading::Plain), read_batch(api, &secret, Reading::Decrypted)).await;
    let (mut plain, mut secret) = (plain.into_iter(), secret.into_iter());
    let next = |(_, reading): &(String, Reading)| match reading {
        Reading::Plain => plain.next(),
        Reading::Decrypted => secret.next(),
    };
    reads.iter().filter_map(next).collect()
}

async fn read_batch<R: Role>(api: &ParameterApi, names: &[String], reading: Reading) -> Vec<Read<R>> {
    if names.is_empty() {
        return Vec::new();
    }
    match get_parameters(api, names, reading).await {
        Ok(mut found) => names.iter().map(|name| Ok(found.remove(name))).collect(),
        Err(error) if error.class == Class::Denied && names.len() > 1 => {
            let one_by_one = names.iter().map(|name| async move {
                let mut found = get_parameters(api, std::slice::from_ref(name), reading).await?;
                Ok(found.remove(name))
            });
            future::join_all(one_by_one).await
        }
        Err(error) => names.iter().map(|_| Err(error.clone())).collect(),
    }
}

/// Reads the content and version of one parameter.
pub(in crate::kind) async fn read<R: Role>(
    api: &ParameterApi,
    name: &str,
) -> Result<Option<Live<Stored<R>>>, CallError> {
    Ok(get_parameters(api, &[name.to_owned()], Reading::Decrypted).await?.remove(name))
}

pub(super) async fn get_parameters<R: Role>(
    api: &ParameterApi,
    names: &[String],
    reading: Reading,
) -> Result<HashMap<String, Live<Stored<R>>>, CallError> {
    let call = || {
        let request = api.client.get_parameters().set_names(Some(names.to_vec()));
        // The option is omitted where it equals AWS's default.
        request.set_with_decryption((reading == Reading::Decrypted).then_some(true)).send()
    };
    let answer = api.pacer.call(GET_PARAMETERS, &[], call).await?;
    let parameters = answer.parameters.unwrap_or_default().into_iter();
    Ok(parameters.filter_map(|parameter| from_sdk(parameter, reading)).collect())
}

pub(super) fn type_of(kind: SdkType) -> ParameterType {
    match kind {
        SdkType::String => ParameterType::String,
        SdkType::StringList => ParameterType::StringList,
        SdkType::SecureString => ParameterType::SecureString,
        other => ParameterType::Other(other.as_str().to_owned()),
    }
}

/// Returns the content of a value; `None` for ciphertext.
pub(super) fn content_of(kind: Option<&ParameterType>, value: Option<String>, reading: Reading) -> Option<Content> {
    match (kind, reading) {
        (Some(ParameterType::SecureString), Reading::Plain) => None,
        (Some(ParameterType::SecureString), Reading::Decrypted) => value.map(|text| Content::Secret(Secret::new(text))),
        _ => value.map(|text| Content::Text(text.into())),
    }
}

fn from_sdk<R: Role>(parameter: aws_sdk_ssm::types::Parameter, reading: Reading) -> Option<(String, Live<Stored<R>>)> {
    let parameter_type = parameter.r#type.map(type_of);
    let content = content_of(parameter_type.as_ref(), parameter.value, reading);
    let state = Stored { content, parameter_type, ..Stored::default() };
    let facts = Facts {
        arn: parameter.arn,
        version: Some(parameter.version),
        modified: parameter.last_modified_date.map(|date| date.secs()),
        ..Facts::default()
    };
    Some((parameter.name?, Live { state, facts, gaps: Vec::new() }))
}

pub(super) async fn read_tags(api: &ParameterApi, name: &str) -> Result<Tags, CallError> {
    let call = || {
        api.client.list_tags_for_resource().resource_type(ResourceTypeForTagging::Parameter).resource_id(name).send()
    };
    match api.pacer.call(LIST_PARAMETER_TAGS, &[], call).await {
        Ok(answer) => Ok(answer.tag_list.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value)).collect()),
        Err(error) if error.class == Class::NotFound => Ok(Tags::new()),
        Err(error) => Err(error),
    }
}

/// The maximum number of concurrent reads of tags.
const READS: usize = 32;

/// Reads the tags of the found parameters. A failure becomes a gap.
pub(in crate::kind) async fn read_found_tags<R: Role>(
    api: &ParameterApi,
    found: &mut [Found<Stored<R>>],
    ownership: &OwnerKey,
) {
    let names: Vec<String> = found.iter().map(|found| found.name.clone()).collect();
    let reads = stream::iter(names.iter().map(|name| read_tags(api, name))).buffered(READS);
    let tags: Vec<Result<Tags, CallError>> = reads.collect().await;
    for (found, tags) in found.iter_mut().zip(tags) {
        match tags {
            Ok(mut tags) => {
                take_owner(&mut tags, Some(ownership.as_str()), &mut found.live.facts);
                found.live.state.tags = Some(tags);
            }
            Err(error) => found.live.gaps.push(Gap::new(Some("tags"), &error)),
        }
    }
}

/// Lists the parameters under a path, at any depth, by name.
pub(in crate::kind) async fn discover<R: Role>(
    api: &ParameterApi,
    root: &PolicyRoot,
) -> Result<Vec<Found<Stored<R>>>, CallError> {
    let mut found = Vec::new();
    // A region has at most 10,000 parameters of the standard tier; some pages may be empty.
    let mut pages = Pages::new(GET_PARAMETERS_BY_PATH, 1200);
    let mut token: Option<String> = None;
    loop {
        let call = || {
            let request = api.client.get_parameters_by_path().path(root.as_str()).recursive(true);
            pages.timed(request.max_results(10).set_next_token(token.clone()).send())
        };
        let answer = api.pacer.call(GET_PARAMETERS_BY_PATH, &[], call).await?;
        let before = found.len();
        let page = answer.parameters.unwrap_or_default().into_iter();
        let page = page.filter_map(|parameter| from_sdk(parameter, Reading::Plain));
        found.extend(page.map(|(name, live)| Found { name, live }));
        let content =
            |found: &Found<Stored<R>>| found.live.state.content.as_ref().and_then(Content::text).map_or(0, str::len);
        let bytes = found[before..].iter().map(|found| found.name.len() + content(found)).sum();
        // An empty page with a token is normal and is followed by others.
        token = answer.next_token.filter(|token| !token.is_empty());
        if !pages.next(bytes, token.as_ref())? {
            found.sort_by(|one, other| one.name.cmp(&other.name));
            return Ok(found);
        }
    }
}

/// Returns an unlisted parameter with the ownership tag as a resource to delete.
pub(in crate::kind) fn unlisted<R: Role>(address: Address, name: String, search: &Search<'_>) -> Desired<Stored<R>> {
    let ownership = Some(search.ownership.clone());
    Desired { presence: Presence::Absent, ownership, ..Desired::new(address, name, Stored::default()) }
}

/// Runs one step.
pub(in crate::kind) async fn execute<R: Role>(api: &ParameterApi, step: &Write) -> Result<StepOutcome, CallError> {
    match step {
        Write::Create(step) => {
            let ended = create::<R>(api, step).await?;
            // A profile without a policy accepts any content.
            let conflict = matches!(ended, StepOutcome::Conflict(_));
            Ok(if conflict && !step.content_managed { StepOutcome::Done } else { ended })
        }
        Write::Overwrite(step) => overwrite::<R>(api, step).await,
        Write::Label(step) => labels::set(api, step).await,
        Write::Tag(TagStep { name, tags }) => {
            let list = sdk_tags(ADD_PARAMETER_TAGS, tags)?;
            let call = || {
                let request = api.client.add_tags_to_resource().resource_type(ResourceTypeForTagging::Parameter);
                request.resource_id(name).set_tags(Some(list.clone())).send()
            };
            api.pacer.call(ADD_PARAMETER_TAGS, &[], call).await?;
            Ok(StepOutcome::Done)
        }
        Write::Untag(Untag { name, keys }) => {
            let call = || {
                let request = api.client.remove_tags_from_resource().resource_type(ResourceTypeForTagging::Parameter);
                request.resource_id(name).set_tag_keys(Some(keys.clone())).send()
            };
            api.pacer.call(REMOVE_PARAMETER_TAGS, &[], call).await?;
            Ok(StepOutcome::Done)
        }
        Write::Delete(step) => delete::<R>(api, step).await,
    }
}

/// Deletes a parameter if it is still the observed one and carries the ownership tag: the list of parameters is eventually consistent, and
/// another parameter may have the name by now.
async fn delete<R: Role>(api: &ParameterApi, step: &Delete) -> Result<StepOutcome, CallError> {
    let Delete { name, expects_version, owner_key } = step;
    let tags = read_tags(api, name).await?;
    let mut found = get_parameters::<R>(api, &[name.to_owned()], Reading::Plain).await?;
    let Some(live) = found.remove(name) else { return Ok(StepOutcome::Done) };
    if live.facts.version != Some(*expects_version) {
        let now = live.facts.version.unwrap_or(0);
        return Ok(StepOutcome::Conflict(format!(
            "someone else changed it since version {expects_version} was read, and nothing was deleted; it is now at \
             version {now}; show it with: {}",
            see(name, now)
        )));
    }
    if tags.get(owner_key.as_str()).map(String::as_str) != Some(OWNER) {
        let why = format!("it no longer has the tag {owner_key} = {OWNER}; nothing was deleted");
        return Ok(StepOutcome::Conflict(why));
    }
    // A name that does not exist is returned as invalid, which equals deleted.
    api.pacer.call(DELETE_PARAMETERS, &[], || api.client.delete_parameters().names(name).send()).await?;
    Ok(StepOutcome::Done)
}

pub(super) fn sdk_tags(operation: Operation, tags: &Tags) -> Result<Vec<Tag>, CallError> {
    let build = |(key, value): (&String, &String)| Tag::builder().key(key).value(value).build();
    tags.iter()
        .map(build)
        .collect::<Result<_, _>>()
        .map_err(|error| CallError::new(operation, Class::Rejected, error.to_string()))
}
