//! The DynamoDB calls.

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::TimeToLiveSpecification;
use aws_types::SdkConfig;
use aws_types::region::Region;
use futures_util::future::{self, OptionFuture};

use super::delete::SeenTable;
use super::polling::Polling;
use super::setting::{Setting, SettingReads};
use super::status::TableStatus;
use super::{
    AWS_MANAGED, Encryption, IndexStatus, Replicas, Table, TableStep, Ttl, Warm, delete, diff, replicas, scaling_calls,
    sdk, unsupported, update,
};
use crate::kind::key::{KeyApi, resolve_alias};
use crate::kind::unlisted::{self, TagSearch};
use crate::kind::{Desired, Kind, KindId, Search, Unlisted, Waiting};
use crate::resource::call::{
    CREATE_TABLE, CallError, Class, DESCRIBE_TABLE, DESCRIBE_TIME_TO_LIVE, LIST_TABLE_TAGS, LIST_TABLES, TAG_RESOURCE,
    UNTAG_RESOURCE, UPDATE_TIME_TO_LIVE,
};
use crate::resource::caller::Identity;
use crate::resource::pacer::Pacer;
use crate::resource::pages::Pages;
use crate::resource::{Facts, Gap, Live, Observed, StepOutcome, Switch, Tags, take_owner};

/// Makes the calls for tables.
#[derive(Debug, Clone)]
pub struct TableApi {
    pub(super) client: Client,
    /// For autoscaling.
    pub(super) scaling: aws_sdk_applicationautoscaling::Client,
    pub(super) pacer: Arc<Pacer>,
    /// Resolves aliases: DynamoDB returns the ARN of a table's key.
    keys: KeyApi,
    identity: Arc<Identity>,
    region: String,
    /// For the regions of replicas.
    config: SdkConfig,
}

impl TableApi {
    /// Returns the client for a connection. Makes no call.
    pub fn new(config: &SdkConfig, pacer: &Arc<Pacer>, identity: &Arc<Identity>) -> Self {
        let region = config.region().map(ToString::to_string).unwrap_or_default();
        let (pacer, keys) = (Arc::clone(pacer), KeyApi::new(config, pacer));
        let scaling = aws_sdk_applicationautoscaling::Client::new(config);
        let config = config.clone();
        Self { client: Client::new(&config), scaling, pacer, keys, identity: Arc::clone(identity), region, config }
    }

    /// Returns the client for another region of the account.
    pub(super) fn in_region(&self, region: &str) -> Self {
        let config = self.config.to_builder().region(Region::new(region.to_owned())).build();
        Self::new(&config, &self.pacer, &self.identity)
    }

    /// Returns the same client with a short retry deadline.
    fn with_short_deadline(&self) -> Self {
        Self { pacer: Arc::new(self.pacer.with_short_deadline()), ..self.clone() }
    }

    /// Returns the ARN of a table. If the table did not exist when the plan was made, its ARN is derived.
    async fn arn_or(&self, known: &str, name: &str) -> Result<String, CallError> {
        if known.is_empty() { self.arn(name).await } else { Ok(known.to_owned()) }
    }

    /// Returns the ARN of a table of the caller's account.
    pub(super) async fn arn(&self, name: &str) -> Result<String, CallError> {
        let caller = self.identity.known().await?;
        Ok(format!("arn:{}:dynamodb:{}:{}:table/{name}", caller.partition(), self.region, caller.account))
    }
}

/// Reads all managed settings of a table concurrently.
pub(super) async fn observe(api: &TableApi, desired: &Desired<Table>) -> Observed<Table> {
    let name = desired.name.as_str();
    let managed = &desired.managed;
    // An import can omit settings that cannot be read, and reports them.
    let for_import = (*managed == Table::everything()).then(|| api.with_short_deadline());
    let looking = for_import.as_ref().unwrap_or(api);
    let ttl: OptionFuture<_> = managed.ttl.as_ref().map(|_| read_ttl(looking, name)).into();
    let settings = SettingReads::of(&managed.settings, looking, name);
    let (described, ttl, settings) = future::join3(describe(api, name), ttl, settings).await;
    let (mut state, mut facts) = match described {
        Ok(found) => found,
        Err(error) if error.class == Class::NotFound => return Observed::Absent,
        Err(error) => return Observed::Unknown(Gap::new(None, &error)),
    };
    let mut gaps = Vec::new();
    if let Err(error) = name_key(api, &mut state, managed.encryption.as_ref()).await {
        gaps.push(Gap::new(Some("encryption"), &error));
        state.encryption = None;
    }
    if for_import.is_some() {
        // An import replaces the ARN of a key by its alias if possible. A key that cannot be looked up remains an ARN.
        let _ = name_key(looking, &mut state, Some(&Encryption::AwsManaged)).await;
    }
    name_aws_key(api, &mut state, managed).await;
    // While a table is being created, the calls for its settings fail in various ways. All these settings are still off.
    let creating = TableStatus::of(&facts) == Some(TableStatus::Creating);
    match ttl {
        Some(Ok(found)) => state.ttl = Some(found),
        Some(Err(_)) if creating => state.ttl = Some(Ttl::Disabled),
        Some(Err(error)) => gaps.push(Gap::new(Some("ttl"), &error)),
        None => {}
    }
    state.settings.take(settings, creating, &mut gaps);
    facts.unmanaged_settings.extend(unsupported::unmanaged(&state, managed));
    scaling_calls::read_deleted_scaling(api, desired, &mut state, &mut gaps).await;
    scaling_calls::look_at_lowered_capacity(api, desired, &mut state).await;
    if let Some(live) = &mut state.replicas {
        // The replicas of a table are deleted before the table.
        let goes = (!desired.presence.is_present()).then(Replicas::default);
        match managed.replicas.as_ref().or(goes.as_ref()) {
            Some(managed) => replicas::calls::observe(api, name, managed, live, &mut gaps).await,
            None => facts.unmanaged_settings.extend(live.unmanaged_note()),
        }
    }
    if (managed.tags.is_some() || desired.reads_owner())
        && let Some(arn) = &facts.arn
    {
        match read_tags(api, arn).await {
            Ok(mut found) => {
                take_owner(&mut found, desired.ownership.as_deref(), &mut facts);
                state.tags = Some(found);
            }
            Err(error) => gaps.push(Gap::new(Some("tags"), &error)),
        }
    }
    Observed::Present(Live { state, facts, gaps })
}

/// Replaces the key of a table by the desired alias, or by AWS's own key, if that resolves to it. DynamoDB always returns the ARN of the
/// key in use.
pub(super) async fn name_key(api: &TableApi, found: &mut Table, wanted: Option<&Encryption>) -> Result<(), CallError> {
    let (Some(wanted), Some(Encryption::Kms(arn))) = (wanted, &found.encryption) else { return Ok(()) };
    let alias = match wanted {
        Encryption::Alias(alias) => alias.as_str(),
        Encryption::AwsManaged => AWS_MANAGED,
        Encryption::AwsOwned | Encryption::Kms(_) => return Ok(()),
    };
    // An emulator may return the alias that it was given.
    if arn == alias || resolve_alias(&api.keys, alias).await?.as_ref() == Some(arn) {
        found.encryption = Some(wanted.clone());
    }
    Ok(())
}

/// Determines whether AWS or the customer manages the key, if this decides whether AWS accepts a change: a table with replicas cannot
/// switch between the two. If the key cannot be looked up, AWS refuses the change itself.
async fn name_aws_key(api: &TableApi, found: &mut Table, managed: &Table) {
    if !found.has_replicas() || !managed.wants_own_key() {
        return;
    }
    if let Some(Encryption::Kms(arn)) = &found.encryption
        && managed.encryption.as_ref() != found.encryption.as_ref()
        && matches!(resolve_alias(&api.keys, AWS_MANAGED).await, Ok(Some(key)) if key == *arn)
    {
        found.encryption = Some(Encryption::AwsManaged);
    }
}

/// Finds tables that the manifest does not list. Lists all tables, a hundred in each call.
pub(super) async fn unlisted(api: &TableApi, search: &Search<'_>) -> Unlisted {
    let sought = TagSearch { kind: KindId::Table, plural: "tables", tags: LIST_TABLE_TAGS };
    let tags = async |name: &str| read_tags(api, &api.arn(name).await?).await;
    unlisted::by_tags::<Table>(&sought, names(api).await, search, tags).await
}

/// Returns the names of all tables in alphabetical order.
pub(super) async fn names(api: &TableApi) -> Result<Vec<String>, CallError> {
    let mut names = Vec::new();
    // The default quota is 2,500 tables in a region; a page has 100.
    let mut pages = Pages::new(LIST_TABLES, 200);
    let mut last: Option<String> = None;
    loop {
        let call = || pages.timed(api.client.list_tables().set_exclusive_start_table_name(last.clone()).send());
        let answer = api.pacer.call(LIST_TABLES, &[], call).await?;
        let page = answer.table_names.unwrap_or_default();
        let bytes = page.iter().map(String::len).sum();
        names.extend(page);
        last = answer.last_evaluated_table_name;
        if !pages.next(bytes, last.as_ref())? {
            names.sort();
            return Ok(names);
        }
    }
}

pub(super) async fn describe(api: &TableApi, name: &str) -> Result<(Table, Facts), CallError> {
    describe_passing(api, name, &[]).await
}

/// Returns the regions of the replicas of a table; none for a table that does not exist.
pub async fn replica_regions(api: &TableApi, name: &str) -> Result<BTreeSet<String>, CallError> {
    match describe(api, name).await {
        Ok((found, _)) => Ok(found.replicas.into_iter().flat_map(|replicas| replicas.regions.into_keys()).collect()),
        Err(error) if error.class == Class::NotFound => Ok(BTreeSet::new()),
        Err(error) => Err(error),
    }
}

/// Describes a table that exists. A read just after its creation may not find it yet.
async fn describe_settling(api: &TableApi, name: &str) -> Result<(Table, Facts), CallError> {
    describe_passing(api, name, SETTLING).await
}

async fn describe_passing(api: &TableApi, name: &str, passes: &[Class]) -> Result<(Table, Facts), CallError> {
    let answer = api.pacer.call(DESCRIBE_TABLE, passes, || api.client.describe_table().table_name(name).send()).await?;
    match answer.table {
        Some(found) => Ok((sdk::table(&found), sdk::facts(&found))),
        None => Err(failed(DESCRIBE_TABLE, Class::Rejected, "the answer contains no table")),
    }
}

pub(super) fn failed(
    operation: crate::resource::call::Operation,
    class: Class,
    message: impl Into<String>,
) -> CallError {
    CallError::new(operation, class, message.into())
}

async fn read_ttl(api: &TableApi, name: &str) -> Result<Ttl, CallError> {
    let call = || api.client.describe_time_to_live().table_name(name).send();
    let answer = api.pacer.call(DESCRIBE_TIME_TO_LIVE, &[], call).await?;
    Ok(sdk::ttl(answer.time_to_live_description.as_ref()))
}

pub(super) async fn read_tags(api: &TableApi, arn: &str) -> Result<Tags, CallError> {
    let mut tags = Tags::new();
    // A table has at most 50 tags; a page has ten.
    let mut pages = Pages::new(LIST_TABLE_TAGS, 20);
    let mut token: Option<String> = None;
    loop {
        let call =
            || pages.timed(api.client.list_tags_of_resource().resource_arn(arn).set_next_token(token.clone()).send());
        let answer = api.pacer.call(LIST_TABLE_TAGS, &[], call).await?;
        tags.extend(answer.tags.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value)));
        token = answer.next_token.filter(|token| !token.is_empty());
        if !pages.next(0, token.as_ref())? {
            return Ok(tags);
        }
    }
}

/// Runs one step.
pub(super) async fn execute(api: &TableApi, waiting: Waiting, step: &TableStep) -> Result<StepOutcome, CallError> {
    match step {
        TableStep::CreateTable { name, table } => create(api, name, table).await,
        TableStep::WaitForTable { name } => wait(api, waiting, name).await,
        TableStep::UpdateTable { name, change } => update::execute(api, waiting, name, change).await,
        TableStep::TagTable { name, arn, tags } => {
            let arn = &api.arn_or(arn, name).await?;
            let tags = sdk::tags(tags).map_err(|error| failed(TAG_RESOURCE, Class::Rejected, error.to_string()))?;
            let call = || api.client.tag_resource().resource_arn(arn).set_tags(Some(tags.clone())).send();
            api.pacer.call(TAG_RESOURCE, SETTLING, call).await?;
            Ok(StepOutcome::Done)
        }
        TableStep::UntagTable { name, arn, keys } => {
            let arn = &api.arn_or(arn, name).await?;
            let call = || api.client.untag_resource().resource_arn(arn).set_tag_keys(Some(keys.clone())).send();
            api.pacer.call(UNTAG_RESOURCE, SETTLING, call).await?;
            Ok(StepOutcome::Done)
        }
        TableStep::EnableTimeToLive { name, attribute } => set_ttl(api, name, attribute, Switch::On).await,
        TableStep::DisableTimeToLive { name, attribute } => set_ttl(api, name, attribute, Switch::Off).await,
        TableStep::BackUpTable { name, expects_id, backup_name } => {
            let table = SeenTable { name, id: expects_id.as_deref() };
            delete::back_up(api, waiting, table, backup_name).await
        }
        TableStep::DeleteTable { name, expects_id, owner_key } => {
            let table = SeenTable { name, id: expects_id.as_deref() };
            delete::delete(api, waiting, table, owner_key).await
        }
        TableStep::Defer { why, seconds, .. } => Ok(StepOutcome::Deferred(later(why, *seconds))),
        TableStep::InRegion { region, step, .. } => {
            let replica = api.in_region(region);
            Box::pin(execute(&replica, waiting, step)).await.map_err(|mut error| {
                error.message = format!("in {region}: {}", error.message);
                error
            })
        }
        TableStep::Setting { name, change } => change.make(api, waiting, name).await,
    }
}

/// Returns the message for a deferred step, with the time of day when AWS accepts it.
fn later(why: &str, seconds: Option<u32>) -> String {
    #[expect(clippy::disallowed_methods, reason = "a time of day for people; nothing else depends on it")]
    let now = jiff::Timestamp::now();
    let from = seconds.and_then(|seconds| now.checked_add(jiff::SignedDuration::from_secs(i64::from(seconds))).ok());
    match from {
        Some(from) => format!("{why}; run again after {}", from.strftime("%Y-%m-%d %H:%M UTC")),
        None => format!("{why}; run again then"),
    }
}

async fn create(api: &TableApi, name: &str, table: &Table) -> Result<StepOutcome, CallError> {
    let request =
        sdk::create_table(name, table).map_err(|error| failed(CREATE_TABLE, Class::Rejected, error.to_string()))?;
    let error = match api.pacer.call(CREATE_TABLE, &[], || request.clone().send_with(&api.client)).await {
        Ok(_) => return Ok(StepOutcome::Done),
        Err(error) if matches!(error.class, Class::AlreadyExists | Class::Busy) || error.open => error,
        Err(error) => return Err(error),
    };
    // Either Sentinel's own call succeeded and its response was lost, or someone else created the table. Its layout shows which. Only an
    // error that the table exists justifies waiting for it.
    let described = match error.class {
        Class::AlreadyExists | Class::Busy => describe_settling(api, name).await,
        _ => describe(api, name).await,
    };
    let Ok((found, facts)) = described else { return Err(error) };
    if TableStatus::of(&facts) == Some(TableStatus::Deleting) {
        return Err(error);
    }
    // Replicas are added after the creation.
    let mut layout = Table { replicas: None, ..found };
    if name_key(api, &mut layout, table.encryption.as_ref()).await.is_err() {
        return Err(error);
    }
    for index in layout.indexes.iter_mut().flat_map(|indexes| indexes.values_mut()) {
        index.status = IndexStatus::Active;
    }
    if diff::diff(table, &layout).is_empty() {
        return Ok(StepOutcome::Done);
    }
    Ok(StepOutcome::Conflict(String::from(
        "someone else created a table of this name meanwhile, with another layout; nothing was changed",
    )))
}

fn is_warm(changing: &str) -> bool {
    Warm::KEYS.contains(&changing)
}

/// Temporary failures for an existing table: it is busy with another change, or has not propagated.
pub(super) const SETTLING: &[Class] = &[Class::Busy, Class::NotFound];

/// Waits with short pauses first: a small table is ACTIVE within seconds, one with indexes within half a minute.
///
/// If the run does not wait for index builds, the wait ends as deferred once everything else is ready.
pub(super) async fn wait(api: &TableApi, waiting: Waiting, name: &str) -> Result<StepOutcome, CallError> {
    let mut polling = Polling::new(waiting, DESCRIBE_TABLE);
    loop {
        let call = || api.client.describe_table().table_name(name).send();
        let answer = api.pacer.call(DESCRIBE_TABLE, SETTLING, call).await?;
        let facts = answer.table.as_ref().map(sdk::facts).unwrap_or_default();
        let indexes = answer.table.as_ref().map(sdk::table).and_then(|table| table.indexes).unwrap_or_default();
        let status = TableStatus::of(&facts);
        let unready = indexes.iter().find(|(_, index)| index.status != IndexStatus::Active);
        match (&status, unready) {
            (Some(TableStatus::Active), None) if facts.changing.is_none() => return Ok(StepOutcome::Done),
            (Some(TableStatus::Active), None)
                if !waiting.for_indexes && facts.changing.as_deref().is_some_and(is_warm) =>
            {
                let why = "AWS is still raising its warm throughput; run again for the rest";
                return Ok(StepOutcome::Deferred(String::from(why)));
            }
            (Some(TableStatus::Active), Some((index, found)))
                if !waiting.for_indexes && matches!(found.status, IndexStatus::Creating { .. }) =>
            {
                return Ok(StepOutcome::Deferred(format!(
                    "AWS is still building its index {index}; see sentinel status, and run again for the rest"
                )));
            }
            (Some(TableStatus::Active | TableStatus::Creating | TableStatus::Updating), _) => {}
            (Some(other), _) => {
                return Err(failed(DESCRIBE_TABLE, Class::Rejected, format!("the table is {other}")));
            }
            (None, _) => {
                return Err(failed(DESCRIBE_TABLE, Class::Rejected, "the answer contains no status of the table"));
            }
        }
        let what = match (&status, unready, &facts.changing) {
            (Some(TableStatus::Active), Some((index, _)), _) => format!("its index {index} is not yet built"),
            (Some(TableStatus::Active), None, Some(field)) => format!("its {field} is still being changed"),
            _ => format!("the table is still {}", facts.status.as_deref().unwrap_or_default()),
        };
        polling.pause(api, &what).await?;
    }
}

async fn set_ttl(api: &TableApi, name: &str, attribute: &str, wanted: Switch) -> Result<StepOutcome, CallError> {
    let specification =
        TimeToLiveSpecification::builder().attribute_name(attribute).enabled(wanted == Switch::On).build();
    let specification =
        specification.map_err(|error| failed(UPDATE_TIME_TO_LIVE, Class::Rejected, error.to_string()))?;
    let call =
        || api.client.update_time_to_live().table_name(name).time_to_live_specification(specification.clone()).send();
    let Err(error) = api.pacer.call(UPDATE_TIME_TO_LIVE, SETTLING, call).await else {
        return Ok(StepOutcome::Done);
    };
    if !matches!(error.class, Class::AlreadySo | Class::AlreadyExists | Class::TooSoon) {
        return Err(error);
    }
    // Either Sentinel's own call succeeded and its response was lost, or someone else was faster. A read shows which.
    match (read_ttl(api, name).await?, wanted) {
        (Ttl::Enabled(live), Switch::On) if live == attribute => Ok(StepOutcome::Done),
        (Ttl::Disabled | Ttl::Disabling, Switch::Off) => Ok(StepOutcome::Done),
        _ if error.class == Class::TooSoon => {
            Ok(StepOutcome::Deferred(later("AWS allows one change of TTL per hour, and there was one", Some(3600))))
        }
        (Ttl::Enabled(live), _) => {
            Ok(StepOutcome::Conflict(format!("someone else has TTL on {live} meanwhile; nothing was changed")))
        }
        _ => Err(error),
    }
}
