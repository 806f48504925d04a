//! The Kinesis data stream that receives a table's changes. Source of the rules: "Using Kinesis Data Streams to capture changes to
//! DynamoDB" in the Amazon DynamoDB Developer Guide, and the findings DDB-TABLE-234, 268 and 299 to 319 in the lab notes of ack-api-quirks.

use aws_sdk_dynamodb::types as sdk;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::api::{SETTLING, failed};
use super::polling::Polling;
use super::rules::check_home;
use super::setting::{Phase, SeparateSetting, Setting, SettingChange, in_place};
use super::{Field, Table, TableApi};
use crate::change::{ChangeMethod, Consent, FieldChange, FieldValue, Sides};
use crate::document::write::quoted;
use crate::document::{self, Fields, Reader};
use crate::kind::section::Resolver;
use crate::kind::{Line, Waiting};
use crate::resource::call::{CallError, Class, Operation, operation};
use crate::resource::{Invalid, StepOutcome};

// The rates are guesses: AWS only documents that an account can have up to ten of these operations in progress.
const DESCRIBE_KINESIS: Operation = operation!("dynamodb", "DescribeKinesisStreamingDestination", 10.0, 10.0);
const ENABLE_KINESIS: Operation = operation!("dynamodb", "EnableKinesisStreamingDestination", 5.0, 5.0);
const DISABLE_KINESIS: Operation = operation!("dynamodb", "DisableKinesisStreamingDestination", 5.0, 5.0);
const UPDATE_KINESIS: Operation = operation!("dynamodb", "UpdateKinesisStreamingDestination", 5.0, 5.0);

const KEY: &str = "kinesis";

/// The precision of a change's timestamp.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr, strum::VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(const_into_str)]
pub enum Precision {
    /// The default of a destination.
    #[default]
    #[strum(serialize = "MILLISECOND")]
    Millisecond,
    #[strum(serialize = "MICROSECOND")]
    Microsecond,
}

impl Precision {
    pub(super) const fn as_str(self) -> &'static str {
        self.into_str()
    }

    fn of_sdk(self) -> sdk::ApproximateCreationDateTimePrecision {
        match self {
            Self::Millisecond => sdk::ApproximateCreationDateTimePrecision::Millisecond,
            Self::Microsecond => sdk::ApproximateCreationDateTimePrecision::Microsecond,
        }
    }
}

/// The destination of a table's changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kinesis {
    Off,
    To {
        /// The ARN of the stream.
        stream: String,
        /// `None` if the manifest does not specify it; then it is not compared.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        precision: Option<Precision>,
    },
    /// AWS could not turn it on. Only in live state.
    Failed {
        stream: String,
        why: String,
    },
}

/// A change of the destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetKinesis {
    pub stream: String,
    pub what: KinesisChange,
}

/// The part of a destination that changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KinesisChange {
    /// Turns it on; expects that no other destination is on.
    Enable(Option<Precision>),
    /// Turns it off; expects that it is on.
    Disable,
    /// Sets the precision; expects that it is on.
    Precision(Precision),
}

fn check_stream(arn: &str) -> Result<(), Invalid> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let is_stream =
        matches!(parts[..], ["arn", _, "kinesis", _, _, name] if name.len() > 7 && name.starts_with("stream/"));
    if is_stream {
        return Ok(());
    }
    let help = "write the ARN of a Kinesis data stream: arn:aws:kinesis:REGION:ACCOUNT:stream/NAME";
    Err(Invalid::new(format!("`stream` cannot be \"{arn}\""), help))
}

impl Setting for Kinesis {
    type Change = SetKinesis;

    const KEYS: &'static [&'static str] = &[KEY];

    fn read(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<Self> {
        let node = &fields.get(KEY)?.node;
        match &node.value {
            document::Value::Bool(false) => Some(Self::Off),
            document::Value::Map(_) => {
                let mut fields = reader.map(node, KEY)?;
                let help = "write { stream = \"arn:aws:kinesis:REGION:ACCOUNT:stream/NAME\" }";
                let stream = fields.required(reader, "stream", help);
                let stream = stream.and_then(|entry| reader.checked(&entry.node, "stream", check_stream));
                let precision = fields.get("precision").map(|entry| reader.variant(&entry.node, "precision"));
                fields.finish(reader);
                // An unreadable precision is already a fault.
                Some(Self::To { stream: stream?, precision: precision.flatten() })
            }
            _ => {
                reader.wrong_type(node, KEY, "{ stream = \"arn:…\" }, or false for none");
                None
            }
        }
    }

    fn write(&self) -> Vec<(&'static str, String)> {
        let value = match self {
            Self::Off | Self::Failed { .. } => String::from("false"),
            Self::To { stream, precision: None } => format!("{{ stream = {} }}", quoted(stream)),
            Self::To { stream, precision: Some(precision) } => {
                format!("{{ stream = {}, precision = {} }}", quoted(stream), quoted(precision.as_str()))
            }
        };
        vec![(KEY, value)]
    }

    fn schema() -> Vec<Value> {
        vec![json!({
            "description": "The Kinesis data stream that receives every change of an item; false for none.",
            "oneOf": [
                {
                    "type": "object",
                    "properties": {
                        "stream": { "type": "string", "pattern": "^arn:[^:]*:kinesis:[^:]*:[^:]*:stream/.+" },
                        "precision": {
                            "enum": ["MILLISECOND", "MICROSECOND"],
                            "description": "The precision of the time at which an item changed.",
                        },
                    },
                    "required": ["stream"],
                    "additionalProperties": false,
                },
                { "const": false },
            ],
        })]
    }

    fn plan_schema() -> Value {
        let to = json!({
            "type": "object",
            "properties": { "stream": { "type": "string" }, "precision": { "enum": ["millisecond", "microsecond"] } },
            "required": ["stream"],
        });
        let failed = json!({
            "type": "object",
            "properties": { "stream": { "type": "string" }, "why": { "type": "string" } },
            "required": ["stream", "why"],
        });
        json!({ "oneOf": [
            { "const": "off" },
            { "type": "object", "properties": { "to": to }, "required": ["to"] },
            { "type": "object", "properties": { "failed": failed }, "required": ["failed"] },
        ] })
    }

    /// Checks that the stream is in the account and region of the table.
    fn resolved(self, resolver: &mut Resolver<'_>, place: &[&str]) -> Self {
        if let Self::To { stream, .. } = &self
            && let Err(invalid) = check_home(stream, &resolver.home)
        {
            resolver.fault(place, invalid, "not where the table is");
        }
        self
    }

    fn describe(&self) -> Vec<Line> {
        vec![Line::new(KEY, stream_text(self))]
    }

    fn when_new() -> Self {
        Self::Off
    }

    fn without_defaults(self) -> Option<Self> {
        match self {
            Self::To { stream, precision } => {
                Some(Self::To { stream, precision: precision.filter(|precision| *precision != Precision::default()) })
            }
            Self::Off | Self::Failed { .. } => None,
        }
    }

    fn diff(&self, live: &Self, _: &Sides<&Table>) -> Vec<FieldChange<Field>> {
        if self.fits(live) {
            return Vec::new();
        }
        let field = || Field::Setting(KEY);
        let lost = "until it is on, no stream receives changes of items";
        vec![match (live, self) {
            (Self::Off, _) => in_place(field(), stream_text(live), stream_text(self), "turned on in place"),
            (Self::Failed { why, .. }, _) => {
                in_place(field(), stream_text(live), stream_text(self), &format!("turned on again; AWS said: {why}"))
            }
            (Self::To { stream, .. }, Self::To { stream: wanted, .. }) if stream == wanted => {
                let how = "changed in place, in two minutes or more";
                in_place(field(), stream_text(live), stream_text(self), how)
            }
            (Self::To { .. }, Self::To { .. }) => {
                let (before, after) = (FieldValue::text(stream_text(live)), FieldValue::text(stream_text(self)));
                let how = format!("the old one turned off, and the other on; {lost}");
                FieldChange::new(field(), before, after, ChangeMethod::Replacement, &how).needing(Consent::Stream)
            }
            (Self::To { .. }, _) => {
                let how = "turned off; readers of the stream get no new records";
                in_place(field(), stream_text(live), stream_text(self), how).needing(Consent::Stream)
            }
        }]
    }

    fn repair(&self, live: &Self, _: &Sides<&Table>) -> Vec<SetKinesis> {
        if self.fits(live) {
            return Vec::new();
        }
        let mut changes = Vec::new();
        let change = |stream: &String, what| SetKinesis { stream: stream.clone(), what };
        match (live, self) {
            (Self::To { stream, .. }, Self::To { stream: wanted, precision: Some(precision) }) if stream == wanted => {
                changes.push(change(stream, KinesisChange::Precision(*precision)));
                return changes;
            }
            (Self::To { stream, .. }, _) => changes.push(change(stream, KinesisChange::Disable)),
            (Self::Off | Self::Failed { .. }, _) => {}
        }
        if let Self::To { stream, precision } = self {
            changes.push(change(stream, KinesisChange::Enable(*precision)));
        }
        changes
    }

    fn opposite(&self) -> Self {
        match self {
            Self::To { stream, .. } => {
                Self::To { stream: format!("{stream}-other"), precision: Some(Precision::Microsecond) }
            }
            Self::Off | Self::Failed { .. } => Self::To {
                stream: String::from("arn:aws:kinesis:us-east-1:123456789012:stream/other"),
                precision: None,
            },
        }
    }

    #[cfg(test)]
    fn any() -> proptest::strategy::BoxedStrategy<Self> {
        use proptest::prelude::*;
        let precision = proptest::option::of(proptest::sample::select(<Precision as strum::VariantArray>::VARIANTS));
        let to = ("[a-zA-Z0-9_.-]{1,20}", precision).prop_map(|(name, precision)| Self::To {
            stream: format!("arn:aws:kinesis:us-east-1:123456789012:stream/{name}"),
            precision,
        });
        prop_oneof![Just(Self::Off), to].boxed()
    }
}

impl Kinesis {
    /// Returns the desired destination.
    pub(super) fn destination(&self) -> Option<(&str, Option<Precision>)> {
        match self {
            Self::Off | Self::Failed { .. } => None,
            Self::To { stream, precision } => Some((stream, *precision)),
        }
    }

    /// Returns whether a live destination is in sync with this one.
    fn fits(&self, live: &Self) -> bool {
        match (self, live) {
            // A failed destination receives nothing.
            (Self::Off, Self::Off | Self::Failed { .. }) => true,
            (Self::To { stream, precision }, Self::To { stream: found, precision: live }) => {
                stream == found && precision.is_none_or(|wanted| wanted == live.unwrap_or_default())
            }
            _ => false,
        }
    }
}

fn stream_text(one: &Kinesis) -> String {
    match one {
        Kinesis::Off => String::from("off"),
        Kinesis::To { stream, precision: None } => stream.clone(),
        Kinesis::To { stream, precision: Some(precision) } => format!("{stream} ({})", precision.as_str()),
        Kinesis::Failed { stream, .. } => format!("{stream} (failed)"),
    }
}

impl SettingChange for SetKinesis {
    fn phase(&self) -> Phase {
        Phase::Follow
    }

    fn describe(&self) -> String {
        let name = self.stream.rsplit('/').next().unwrap_or_default();
        match self.what {
            KinesisChange::Enable(_) => format!("enabling the Kinesis destination {name}"),
            KinesisChange::Disable => format!("disabling the Kinesis destination {name}"),
            KinesisChange::Precision(precision) => {
                format!("setting the precision of the Kinesis destination {name} to {}", precision.as_str())
            }
        }
    }

    fn needs(&self) -> Option<Consent> {
        matches!(self.what, KinesisChange::Disable).then_some(Consent::Stream)
    }

    fn seconds(&self) -> (u64, u64) {
        match self.what {
            KinesisChange::Enable(_) | KinesisChange::Disable => (2, 8),
            KinesisChange::Precision(_) => (124, 152),
        }
    }
}

impl SeparateSetting for Kinesis {
    const READS: &'static [Operation] = &[DESCRIBE_KINESIS];

    async fn observe(&self, api: &TableApi, name: &str) -> Result<Self, CallError> {
        let found = describe(api, name, &[]).await?;
        let own = match self {
            Self::To { stream, .. } => Some(stream.as_str()),
            Self::Off | Self::Failed { .. } => None,
        };
        Ok(live(&found, own))
    }

    fn operations(change: &SetKinesis) -> &'static [Operation] {
        match change.what {
            KinesisChange::Enable(_) => &[ENABLE_KINESIS, DESCRIBE_KINESIS],
            KinesisChange::Disable => &[DISABLE_KINESIS, DESCRIBE_KINESIS],
            KinesisChange::Precision(_) => &[UPDATE_KINESIS, DESCRIBE_KINESIS],
        }
    }

    /// Waits for an earlier change of the destination, makes a change, and waits until it takes effect.
    async fn make(change: &SetKinesis, api: &TableApi, waiting: Waiting, name: &str) -> Result<StepOutcome, CallError> {
        let found = settled(api, waiting, name, |_| true).await?;
        let live = live(&found, Some(&change.stream));
        let is_own = matches!(&live, Kinesis::To { stream, .. } if *stream == change.stream);
        match (change.what, &live) {
            (KinesisChange::Enable(precision), _) if is_own => {
                let wanted = Kinesis::To { stream: change.stream.clone(), precision };
                let why =
                    "someone else turned the destination on meanwhile, with another precision; nothing was changed";
                return Ok(if wanted.fits(&live) {
                    StepOutcome::Done
                } else {
                    StepOutcome::Conflict(String::from(why))
                });
            }
            (KinesisChange::Enable(_), Kinesis::To { stream, .. }) => {
                let why = format!("someone else turned {stream} on meanwhile; nothing was changed");
                return Ok(StepOutcome::Conflict(why));
            }
            (KinesisChange::Disable, _) if !is_own => return Ok(StepOutcome::Done),
            (KinesisChange::Precision(_), _) if !is_own => {
                let why = "someone else turned the destination off meanwhile; nothing was changed";
                return Ok(StepOutcome::Conflict(String::from(why)));
            }
            (KinesisChange::Precision(wanted), Kinesis::To { precision, .. })
                if precision.unwrap_or_default() == wanted =>
            {
                return Ok(StepOutcome::Done);
            }
            (KinesisChange::Enable(_) | KinesisChange::Disable | KinesisChange::Precision(_), _) => {}
        }
        let (client, stream) = (&api.client, change.stream.as_str());
        match change.what {
            KinesisChange::Enable(precision) => {
                let configuration = precision.map(|precision| {
                    let builder = sdk::EnableKinesisStreamingConfiguration::builder();
                    builder.approximate_creation_date_time_precision(precision.of_sdk()).build()
                });
                let call = || {
                    let request = client.enable_kinesis_streaming_destination().table_name(name).stream_arn(stream);
                    request.set_enable_kinesis_streaming_configuration(configuration.clone()).send()
                };
                api.pacer.call(ENABLE_KINESIS, SETTLING, call).await?;
            }
            KinesisChange::Disable => {
                let call = || client.disable_kinesis_streaming_destination().table_name(name).stream_arn(stream).send();
                api.pacer.call(DISABLE_KINESIS, SETTLING, call).await?;
            }
            KinesisChange::Precision(precision) => {
                let configuration = sdk::UpdateKinesisStreamingConfiguration::builder()
                    .approximate_creation_date_time_precision(precision.of_sdk())
                    .build();
                let call = || {
                    let request = client.update_kinesis_streaming_destination().table_name(name).stream_arn(stream);
                    request.update_kinesis_streaming_configuration(configuration.clone()).send()
                };
                api.pacer.call(UPDATE_KINESIS, SETTLING, call).await?;
            }
        }
        // A read right after a change may show the earlier state.
        let is_made = |live: &Kinesis| match (change.what, live) {
            (KinesisChange::Enable(_), Kinesis::To { stream: found, .. } | Kinesis::Failed { stream: found, .. }) => {
                found == stream
            }
            (KinesisChange::Enable(_), Kinesis::Off) => false,
            (KinesisChange::Disable, live) => !matches!(live, Kinesis::To { stream: found, .. } if found == stream),
            (KinesisChange::Precision(wanted), Kinesis::To { precision, .. }) => {
                precision.unwrap_or_default() == wanted
            }
            // Someone turned it off in the meantime.
            (KinesisChange::Precision(_), _) => true,
        };
        let found = settled(api, waiting, name, |found| is_made(&self::live(found, Some(stream)))).await?;
        match (change.what, self::live(&found, Some(stream))) {
            (KinesisChange::Enable(_), Kinesis::Failed { why, .. }) => {
                let message = format!("AWS could not turn the destination {stream} on: {why}");
                Err(failed(ENABLE_KINESIS, Class::Rejected, message))
            }
            _ => Ok(StepOutcome::Done),
        }
    }
}

type Found = Vec<sdk::KinesisDataStreamDestination>;

async fn describe(api: &TableApi, name: &str, passes: &[Class]) -> Result<Found, CallError> {
    let call = || api.client.describe_kinesis_streaming_destination().table_name(name).send();
    let answer = api.pacer.call(DESCRIBE_KINESIS, passes, call).await?;
    Ok(answer.kinesis_data_stream_destinations.unwrap_or_default())
}

/// Returns the active destination, of which a table has at most one, or else the failed one if it is the desired stream.
fn live(found: &[sdk::KinesisDataStreamDestination], own: Option<&str>) -> Kinesis {
    use sdk::DestinationStatus::{Disabled, Disabling, EnableFailed};
    let is_on = |one: &&sdk::KinesisDataStreamDestination| {
        !matches!(one.destination_status(), Some(Disabled | Disabling | EnableFailed) | None)
    };
    let stream = |one: &sdk::KinesisDataStreamDestination| one.stream_arn().unwrap_or_default().to_owned();
    if let Some(one) = found.iter().find(is_on) {
        let precision = match one.approximate_creation_date_time_precision() {
            Some(sdk::ApproximateCreationDateTimePrecision::Microsecond) => Precision::Microsecond,
            _ => Precision::Millisecond,
        };
        return Kinesis::To { stream: stream(one), precision: Some(precision) };
    }
    let is_failed = |one: &&sdk::KinesisDataStreamDestination| {
        one.destination_status() == Some(&EnableFailed) && one.stream_arn().is_some_and(|arn| Some(arn) == own)
    };
    match found.iter().find(is_failed) {
        Some(one) => {
            let why = one.destination_status_description().unwrap_or("AWS gives no reason").to_owned();
            Kinesis::Failed { stream: stream(one), why }
        }
        None => Kinesis::Off,
    }
}

/// Waits until no change is in progress on any destination, and the change is visible.
async fn settled(
    api: &TableApi,
    waiting: Waiting,
    name: &str,
    shows: impl Fn(&[sdk::KinesisDataStreamDestination]) -> bool,
) -> Result<Found, CallError> {
    use sdk::DestinationStatus::{Disabling, Enabling, Updating};
    let mut polling = Polling::new(waiting, DESCRIBE_KINESIS);
    loop {
        let found = describe(api, name, SETTLING).await?;
        let at_work = found
            .iter()
            .find_map(|one| one.destination_status().filter(|s| matches!(s, Enabling | Disabling | Updating)));
        let what = match at_work {
            Some(status) => format!("its Kinesis destination is still {}", status.as_str()),
            None if shows(&found) => return Ok(found),
            None => String::from("the change of its Kinesis destination is not visible yet"),
        };
        polling.pause(api, &what).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::section::Home;

    fn to(stream: &str, precision: Option<Precision>) -> Kinesis {
        Kinesis::To { stream: stream.to_owned(), precision }
    }

    fn steps(desired: &Kinesis, live: &Kinesis) -> Vec<KinesisChange> {
        let tables = Sides { live: &Table::default(), desired: &Table::default() };
        let changes = desired.repair(live, &tables);
        assert_eq!(changes.is_empty(), desired.diff(live, &tables).is_empty());
        changes.iter().map(|change| change.what).collect()
    }

    #[test]
    fn a_stream_is_in_the_account_and_region_of_its_table() {
        let stream = "arn:aws:kinesis:eu-west-1:111111111111:stream/s";
        let check = |account: Option<&str>, region: Option<&str>| {
            check_home(stream, &Home { account: account.map(str::to_owned), region: region.map(str::to_owned) })
        };
        assert!(check(None, None).is_ok() && check(Some("111111111111"), Some("eu-west-1")).is_ok());
        assert!(check(None, Some("us-east-1")).unwrap_err().problem.contains("region eu-west-1"));
        assert!(check(Some("222222222222"), None).unwrap_err().problem.contains("account 111111111111"));
    }

    #[test]
    fn a_stream_change_turns_it_off_and_on_and_a_precision_change_is_one_call() {
        let (milli, micro) = (Some(Precision::Millisecond), Some(Precision::Microsecond));
        let failed = Kinesis::Failed { stream: String::from("a"), why: String::from("x") };
        assert_eq!(steps(&to("a", None), &to("a", micro)), []);
        assert_eq!(steps(&to("a", milli), &to("a", None)), []);
        assert_eq!(steps(&Kinesis::Off, &failed), []);
        assert_eq!(steps(&to("a", None), &failed), [KinesisChange::Enable(None)]);
        assert_eq!(steps(&to("a", micro), &to("a", milli)), [KinesisChange::Precision(Precision::Microsecond)]);
        assert_eq!(steps(&to("b", None), &to("a", milli)), [KinesisChange::Disable, KinesisChange::Enable(None)]);
        assert_eq!(steps(&Kinesis::Off, &to("a", milli)), [KinesisChange::Disable]);
        assert_eq!(steps(&to("a", micro), &Kinesis::Off), [KinesisChange::Enable(micro)]);
    }

    #[test]
    fn the_active_destination_counts_or_the_failed_desired_one() {
        let one = |stream: &str, status: sdk::DestinationStatus| {
            sdk::KinesisDataStreamDestination::builder().stream_arn(stream).destination_status(status).build()
        };
        let found = [
            one("old", sdk::DestinationStatus::Disabled),
            one("bad", sdk::DestinationStatus::EnableFailed),
            one("new", sdk::DestinationStatus::Enabling),
        ];
        assert_eq!(live(&found, Some("bad")), to("new", Some(Precision::Millisecond)));
        assert_eq!(live(&found[..2], Some("old")), Kinesis::Off);
        assert!(matches!(live(&found[..2], Some("bad")), Kinesis::Failed { stream, .. } if stream == "bad"));
    }

    #[test]
    fn a_stream_is_named_by_its_arn() {
        assert!(check_stream("arn:aws:kinesis:eu-west-1:123456789012:stream/orders").is_ok());
        for bad in ["orders", "arn:aws:kinesis:eu-west-1:1:stream/", "arn:aws:dynamodb:eu-west-1:1:table/orders"] {
            assert!(check_stream(bad).is_err(), "{bad}");
        }
    }
}
