//! The calls that write a parameter, and the reads before and after them.

use std::ops::Range;
use std::time::Duration;

use aws_sdk_ssm::types::{ParameterMetadata, ParameterType as SdkType};

use super::api::{Reading, get_parameters, sdk_tags};
use super::names::type_of;
use super::{Content, Create, Overwrite, ParameterApi, ParameterType, Role, Stored, metadata};
use crate::resource::call::{CallError, Class, GET_PARAMETERS, PUT_PARAMETER};
use crate::resource::pacer::{Answered, EarlierAttempts};
use crate::resource::{Live, StepOutcome};

pub(super) async fn create<R: Role>(api: &ParameterApi, step: &Create) -> Result<StepOutcome, CallError> {
    let Create { name, content, parameter_type, tier, settings, tags, content_managed: _ } = step;
    let list = Some(sdk_tags(PUT_PARAMETER, tags)?).filter(|list| !list.is_empty());
    let (text, kind) = sent(content, parameter_type.as_ref())?;
    let call = || {
        let request = api.client.put_parameter().name(name).value(text).r#type(kind.clone());
        let request = metadata::setting(request, &settings.without_none());
        request.tier(metadata::sdk_tier(*tier)).overwrite(false).set_tags(list.clone()).send()
    };
    let error = match api.pacer.call(PUT_PARAMETER, &[], call).await {
        Ok(_) => return Ok(StepOutcome::Done),
        Err(error) if error.class == Class::AlreadyExists || error.open => error,
        Err(error) => return Err(error),
    };
    // Either Sentinel's own call succeeded and its response was lost, or someone else was faster. The content shows which. About one read
    // in a hundred does not find a recent write.
    for attempt in 1..=READ_ATTEMPTS {
        let response = get_parameters::<R>(api, &[name.to_owned()], Reading::of(content)).await;
        let Ok(mut found) = response else { return Err(error) };
        match found.remove(name) {
            Some(live) if is(&live, content) => return Ok(StepOutcome::Done),
            Some(_) => {
                let why = "someone else created it meanwhile, with other content; nothing was overwritten";
                return Ok(StepOutcome::Conflict(String::from(why)));
            }
            None => api.pacer.sleep(GET_PARAMETERS, Duration::from_millis(300) * attempt).await?,
        }
    }
    Err(error)
}

/// Returns whether a parameter has this content.
fn is<R: Role>(live: &Live<Stored<R>>, content: &Content) -> bool {
    live.state.content.as_ref().is_some_and(|live| live.is_same(content))
}

/// Returns the text to send, and its type.
fn sent<'a>(content: &'a Content, kind: Option<&ParameterType>) -> Result<(&'a str, SdkType), CallError> {
    let kind = SdkType::from(kind.unwrap_or(&content.usual_type()).as_str());
    let text = content.text().ok_or_else(|| {
        let message = "a saved plan contains no secrets; make a new plan, or apply without a saved plan";
        CallError::new(PUT_PARAMETER, Class::Rejected, message)
    })?;
    Ok((text, kind))
}

/// The number of reads that look for an existing parameter.
pub(super) const READ_ATTEMPTS: u32 = 4;

/// The reason, from the read before an overwrite, why it is not made.
enum Seen {
    /// The new content already exists: from another apply of the same manifest, or from an earlier attempt whose response was lost.
    Written { version: i64, by: EarlierAttempts },
    /// Another version than the planned one.
    Changed(Option<i64>),
}

/// The maximum random delay of the read before an overwrite. Two applies of one manifest that start at the same moment would otherwise read
/// at the same moment too, and both would write.
const MAX_JITTER: Duration = Duration::from_millis(200);

pub(super) async fn overwrite<R: Role>(api: &ParameterApi, step: &Overwrite) -> Result<StepOutcome, CallError> {
    let Overwrite { name, content, tier, settings, expects_version } = step;
    let (tier, expects_version) = (*tier, *expects_version);
    let Some(kept) = metadata::of::<R>(api, name).await? else {
        return Ok(changed(name, expects_version, None));
    };
    let own = match content {
        Some(content) => content.clone(),
        // The current value must be sent again.
        None => match value_at::<R>(api, name, &kept, expects_version).await? {
            Ok(own) => own,
            Err(now) => return Ok(changed(name, expects_version, now)),
        },
    };
    let content = &own;
    // Parameter Store has no compare-and-set. A read just before each attempt keeps the window short, and the returned version shows
    // whether another write came in between.
    let check_version = async |by: EarlierAttempts| {
        let live = get_parameters::<R>(api, &[name.to_owned()], Reading::of(content)).await?.remove(name);
        let (same, version) = live.map_or((false, None), |live| (is(&live, content), live.facts.version));
        let Some(version) = version else { return Ok(Some(Seen::Changed(None))) };
        let expected = version == expects_version;
        let right = match expected {
            _ if !same => false,
            true => metadata::has::<R>(&kept, tier, settings),
            false => metadata::of::<R>(api, name).await?.is_some_and(|now| metadata::has::<R>(&now, tier, settings)),
        };
        Ok(match (right, expected) {
            (true, _) => Some(Seen::Written { version, by }),
            (false, true) => None,
            (false, false) => Some(Seen::Changed(Some(version))),
        })
    };
    let own_type = kept.r#type.as_ref().map(|kind| type_of(kind.as_str()));
    let (text, kind) = sent(content, own_type.as_ref())?;
    tokio::time::sleep(MAX_JITTER.mul_f64(fastrand::f64())).await;
    let put = || {
        let request = api.client.put_parameter().name(name).value(text).r#type(kind.clone()).overwrite(true);
        metadata::with_kept_settings(request, &kept, tier, settings).send()
    };
    let written = match api.pacer.call_unless(PUT_PARAMETER, check_version, put).await {
        Ok(Answered::Made(answer)) => answer.version,
        Ok(Answered::NotMade(Seen::Written { by: EarlierAttempts::NotProcessed, .. })) => return Ok(StepOutcome::Done),
        Ok(Answered::NotMade(Seen::Written { by: EarlierAttempts::Open, version })) => version,
        Ok(Answered::NotMade(Seen::Changed(now))) => return Ok(changed(name, expects_version, now)),
        Err(error) => took_effect::<R>(api, name, content, expects_version, error).await?,
    };
    if written == expects_version + 1 {
        return Ok(StepOutcome::Done);
    }
    if written <= expects_version {
        return Ok(StepOutcome::Conflict(format!(
            "someone else deleted it at the same time, and the write created it again as version {written}, without \
             its tags; see sentinel plan"
        )));
    }
    // A call with a lost response is retried and may write the same text twice. The versions in between distinguish this from another
    // writer.
    let between = read_versions(api, name, expects_version + 1..written, Reading::of(content)).await;
    let other_version = match between {
        Some(versions) => versions
            .into_iter()
            .filter(|(_, text)| Some(text.as_str()) != content.text())
            .map(|(version, _)| version)
            .max(),
        None => Some(written - 1),
    };
    let Some(other_version) = other_version else { return Ok(StepOutcome::Done) };
    Ok(StepOutcome::Conflict(format!(
        "written as version {written}, not {}: someone else wrote at the same time, and version {other_version} has their \
         text; show it with: {}",
        expects_version + 1,
        see(name, other_version),
    )))
}

/// Returns the value of a parameter at a version, or the current version if it is another.
async fn value_at<R: Role>(
    api: &ParameterApi,
    name: &str,
    kept: &ParameterMetadata,
    version: i64,
) -> Result<Result<Content, Option<i64>>, CallError> {
    let secret = kept.r#type == Some(SdkType::SecureString);
    let reading = if secret { Reading::Decrypted } else { Reading::Plain };
    let live = match get_parameters::<R>(api, &[name.to_owned()], reading).await?.remove(name) {
        Some(live) if live.facts.version == Some(version) => live,
        other => return Ok(Err(other.and_then(|other| other.facts.version))),
    };
    live.state.content.map(Ok).ok_or_else(|| {
        let message = format!("{name} has no value that Sentinel could write again");
        CallError::new(GET_PARAMETERS, Class::ServerFault, message)
    })
}

/// Returns the outcome if a parameter is not at the planned version.
fn changed(name: &str, expects_version: i64, now: Option<i64>) -> StepOutcome {
    let now = match now {
        None => String::from("it no longer exists"),
        Some(version) => format!("it is now at version {version}; show it with: {}", see(name, version)),
    };
    StepOutcome::Conflict(format!(
        "someone else changed it since version {expects_version} was read, and nothing was overwritten; {now}"
    ))
}

/// Returns the version of a write that took effect although its response was lost.
///
/// # Errors
///
/// Returns the original error if the write did not take effect. If this is unknown, the error says so.
async fn took_effect<R: Role>(
    api: &ParameterApi,
    name: &str,
    content: &Content,
    expects_version: i64,
    error: CallError,
) -> Result<i64, CallError> {
    if !error.open {
        return Err(error);
    }
    let response = get_parameters::<R>(api, &[name.to_owned()], Reading::of(content)).await;
    match response.map(|mut found| found.remove(name)) {
        Ok(Some(live)) if is(&live, content) => {
            live.facts.version.filter(|version| *version > expects_version).ok_or(error)
        }
        Ok(_) => Err(error),
        Err(_) => {
            let message = format!(
                "{}; it is unknown whether the value was written; check version {} with: {}",
                error.plain_message(),
                expects_version + 1,
                see(name, expects_version + 1)
            );
            // The message is complete.
            Err(CallError { message, class: Class::Rejected, ..error })
        }
    }
}

/// Returns the command that shows an old version of a parameter.
pub(super) fn see(name: &str, version: i64) -> String {
    format!("aws ssm get-parameter --name {name}:{version} --query Parameter.Value --output text")
}

/// The maximum number of parameters in one `GetParameters` call.
const NAMES_IN_A_CALL: usize = 10;

/// Returns these versions with their texts, if there are few and all can be read.
async fn read_versions(
    api: &ParameterApi,
    name: &str,
    versions: Range<i64>,
    reading: Reading,
) -> Option<Vec<(i64, String)>> {
    let selectors: Vec<String> =
        versions.map(|version| format!("{name}:{version}")).take(NAMES_IN_A_CALL + 1).collect();
    if selectors.is_empty() || selectors.len() > NAMES_IN_A_CALL {
        return None;
    }
    let call = || {
        let request = api.client.get_parameters().set_names(Some(selectors.clone()));
        request.set_with_decryption((reading == Reading::Decrypted).then_some(true)).send()
    };
    let found = api.pacer.call(GET_PARAMETERS, &[], call).await.ok()?.parameters.unwrap_or_default();
    let texts: Vec<(i64, String)> =
        found.into_iter().filter_map(|parameter| Some((parameter.version, parameter.value?))).collect();
    (texts.len() == selectors.len()).then_some(texts)
}
