//! The Kinesis data streams that receive a table's changes. Source of the rules: the findings DDB-TABLE-234, 268 and 299 to 319 in the lab
//! notes of ack-api-quirks.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::state::TableState;
use super::{admitted, seen, table_name};
use crate::local::Region;
use crate::local::answer::Failure;

const INVALID: &str = "Table is not in a valid state to enable Kinesis Streaming Destination: ";
const PRECISION: &str = "ApproximateCreationDateTimePrecision";

/// A destination, as it is stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Destination {
    stream: String,
    /// Its status after the last change: `ACTIVE`, `DISABLED` or `ENABLE_FAILED`.
    becomes: String,
    /// Its status during the change.
    passes: String,
    changed_at: i64,
    precision: Option<String>,
}

impl Destination {
    fn status(&self, region: &Region) -> &str {
        let settling = TableState::within(Some(self.changed_at), region.rules.kinesis_settling, region.clock.now());
        if settling { &self.passes } else { &self.becomes }
    }

    fn change(&mut self, region: &Region, passes: &str, becomes: &str) {
        self.changed_at = region.clock.now();
        passes.clone_into(&mut self.passes);
        becomes.clone_into(&mut self.becomes);
    }
}

fn stream_of(body: &Value) -> Result<String, Failure> {
    let stream = body["StreamArn"].as_str().map(str::to_owned);
    stream
        .ok_or_else(|| Failure::validation("The parameter 'StreamArn' is required but was not present in the request"))
}

fn precision_of(configuration: &Value) -> Result<Option<String>, Failure> {
    match configuration[PRECISION].as_str() {
        None => Ok(None),
        Some(precision @ ("MILLISECOND" | "MICROSECOND")) => Ok(Some(precision.to_owned())),
        Some(_) => Err(Failure::validation(format!("{PRECISION} must be one of MILLISECOND, MICROSECOND"))),
    }
}

fn answer(name: &str, stream: &str, status: &str, configuration: &str, precision: Option<&String>) -> Value {
    let mut given = json!({});
    if let Some(precision) = precision {
        given[PRECISION] = json!(precision);
    }
    json!({ "TableName": name, "StreamArn": stream, "DestinationStatus": status, configuration: given })
}

/// Turns a destination on. AWS only checks later whether the stream exists.
pub(super) fn enable(region: &Region, body: &Value) -> Result<Value, Failure> {
    let (name, stream) = (table_name(body)?, stream_of(body)?);
    let precision = precision_of(&body["EnableKinesisStreamingConfiguration"])?;
    region.store.write(|store| {
        let mut state = admitted(region, store, &name)?;
        let is_over = |one: &Destination| ["DISABLED", "ENABLE_FAILED"].contains(&one.status(region));
        if !state.kinesis.iter().all(is_over) {
            let message =
                "EnableKinesisStreamingDestination must be DISABLED or ENABLE_FAILED to perform ENABLE operation.";
            return Err(Failure::validation(format!("{INVALID}{message}")));
        }
        // There is no Kinesis emulator: every stream of the account and region exists.
        let exists = stream.starts_with(&region.arn("kinesis", "stream/"));
        let becomes = if exists { "ACTIVE" } else { "ENABLE_FAILED" };
        state.kinesis.retain(|one| one.stream != stream);
        let (passes, changed_at) = (String::from("ENABLING"), region.clock.now());
        let destination =
            Destination { stream: stream.clone(), becomes: becomes.to_owned(), passes, changed_at, precision };
        let answer =
            answer(&name, &stream, "ENABLING", "EnableKinesisStreamingConfiguration", destination.precision.as_ref());
        state.kinesis.insert(0, destination);
        state.save(store, &name)?;
        Ok(answer)
    })
}

pub(super) fn disable(region: &Region, body: &Value) -> Result<Value, Failure> {
    let (name, stream) = (table_name(body)?, stream_of(body)?);
    region.store.write(|store| {
        let mut state = admitted(region, store, &name)?;
        let found = state.kinesis.iter_mut().find(|one| one.stream == stream && one.status(region) == "ACTIVE");
        let message = "KinesisStreamingDestination must be ACTIVE to perform DISABLE operation.";
        let found = found.ok_or_else(|| Failure::validation(format!("{INVALID}{message}")))?;
        found.change(region, "DISABLING", "DISABLED");
        state.save(store, &name)?;
        Ok(answer(&name, &stream, "DISABLING", "EnableKinesisStreamingConfiguration", None))
    })
}

pub(super) fn update(region: &Region, body: &Value) -> Result<Value, Failure> {
    let (name, stream) = (table_name(body)?, stream_of(body)?);
    let precision = precision_of(&body["UpdateKinesisStreamingConfiguration"])?;
    let precision =
        precision.ok_or_else(|| Failure::validation("Invalid Request: Streaming config cannot be null or empty"))?;
    region.store.write(|store| {
        let mut state = admitted(region, store, &name)?;
        let found = state.kinesis.iter_mut().find(|one| one.stream == stream && one.status(region) == "ACTIVE");
        let message = format!(
            "{INVALID}Kinesis streaming is not in ACTIVE state. Updates are only allowed in ACTIVE state. TableName: {name}"
        );
        let found = found.ok_or_else(|| Failure::validation(message))?;
        if found.precision.as_deref().unwrap_or("MILLISECOND") == precision {
            return Err(Failure::validation(format!(
                "Invalid Request: Precision is already set to the desired value of {precision} for kdsArn: {stream}"
            )));
        }
        found.precision = Some(precision.clone());
        found.change(region, "UPDATING", "ACTIVE");
        state.save(store, &name)?;
        Ok(answer(&name, &stream, "UPDATING", "UpdateKinesisStreamingConfiguration", Some(&precision)))
    })
}

pub(super) fn describe(region: &Region, body: &Value) -> Result<Value, Failure> {
    let name = table_name(body)?;
    let state = seen(region, &name)?;
    let shown = state.kinesis.iter().map(|one| {
        let status = one.status(region);
        let mut shown = json!({ "StreamArn": one.stream, "DestinationStatus": status });
        if let Some(precision) = &one.precision {
            shown[PRECISION] = json!(precision);
        }
        if status == "ENABLE_FAILED" {
            shown["DestinationStatusDescription"] = json!("User does not have a permission to use kinesis stream");
        }
        shown
    });
    Ok(json!({ "TableName": name, "KinesisDataStreamDestinations": shown.collect::<Vec<_>>() }))
}
