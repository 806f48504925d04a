//! The stream of a table: a record of each change of an item.

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::create_table::builders::CreateTableInputBuilder;
use aws_sdk_dynamodb::operation::update_table::builders::UpdateTableInputBuilder;
use aws_sdk_dynamodb::types as sdk;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::setting::{Phase, Setting, SettingChange, UpdateTableSetting, in_place};
use super::{Field, Table};
use crate::change::{ChangeMethod, Consent, FieldChange, FieldValue, Sides};
use crate::document::write::quoted;
use crate::document::{self, Fields, Reader};
use crate::kind::Line;
use crate::resource::Invalid;

const KEY: &str = "stream";

/// Whether a table has a stream, and the contents of its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    Off,
    KeysOnly,
    NewImage,
    OldImage,
    NewAndOldImages,
}

/// The contents of a stream's records, as AWS names them. Source: StreamSpecification in the Amazon DynamoDB API Reference.
const VIEWS: &[(&str, Stream)] = &[
    ("NEW_AND_OLD_IMAGES", Stream::NewAndOldImages),
    ("NEW_IMAGE", Stream::NewImage),
    ("OLD_IMAGE", Stream::OldImage),
    ("KEYS_ONLY", Stream::KeysOnly),
];

impl Stream {
    /// Returns AWS's name for the contents; `None` if the stream is off.
    pub(super) fn view(self) -> Option<&'static str> {
        VIEWS.iter().find(|(_, stream)| *stream == self).map(|(word, _)| *word)
    }

    fn word(self) -> &'static str {
        self.view().unwrap_or("off")
    }

    /// AWS requires a view to turn a stream on, and does not accept one to turn it off.
    fn of_sdk(self) -> Result<sdk::StreamSpecification, BuildError> {
        let view = self.view();
        let builder = sdk::StreamSpecification::builder().stream_enabled(view.is_some());
        builder.set_stream_view_type(view.map(sdk::StreamViewType::from)).build()
    }
}

/// A change of the stream: to off, or from off to this view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetStream {
    pub view: Stream,
    /// Whether it replaces another stream.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
}

impl Setting for Stream {
    type Change = SetStream;

    const KEYS: &'static [&'static str] = &[KEY];

    fn read(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<Self> {
        let entry = fields.get(KEY)?;
        match &entry.node.value {
            document::Value::Bool(false) => Some(Self::Off),
            document::Value::String(_) => reader.choice(&entry.node, KEY, VIEWS),
            _ => {
                reader.wrong_type(
                    &entry.node,
                    KEY,
                    "the stream view, such as \"NEW_AND_OLD_IMAGES\", or false for \
                     none",
                );
                None
            }
        }
    }

    fn write(&self) -> Vec<(&'static str, String)> {
        vec![(KEY, self.view().map_or_else(|| String::from("false"), quoted))]
    }

    fn schema() -> Vec<Value> {
        let views: Vec<&str> = VIEWS.iter().map(|(view, _)| *view).collect();
        vec![json!({
            "description": "The view of the table's stream: what it records of a changed item; false for no stream.",
            "oneOf": [{ "enum": views }, { "const": false }],
        })]
    }

    fn plan_schema() -> Value {
        json!({ "enum": ["off", "keys_only", "new_image", "old_image", "new_and_old_images"] })
    }

    fn describe(&self) -> Vec<Line> {
        vec![Line::new(KEY, self.word())]
    }

    fn when_new() -> Self {
        Self::Off
    }

    fn check(&self, table: &Table) -> Result<(), Invalid> {
        if *self == Self::Off && table.has_replicas() {
            let help = "remove stream, or set its view: AWS replicates a table through its stream";
            return Err(Invalid::new("`stream` is off, and the table has replicas", help));
        }
        Ok(())
    }

    fn diff(&self, live: &Self, tables: &Sides<&Table>) -> Vec<FieldChange<Field>> {
        // Source of the 24 hours: "Change data capture for DynamoDB Streams" in the Amazon DynamoDB Developer Guide.
        let lost = "its readers get no new records, and have 24 hours to read the existing ones";
        let change = match (live, self) {
            (before, after) if before == after => return Vec::new(),
            // Source: DDB-TABLE-222 in the lab notes of ack-api-quirks.
            _ if tables.live.has_replicas() => {
                let (before, after) = (FieldValue::text(live.word()), FieldValue::text(self.word()));
                let how = "a table with replicas needs its stream: remove the replicas first";
                FieldChange::new(Field::Setting(KEY), before, after, ChangeMethod::NotPossible, how)
            }
            (Self::Off, _) => in_place(Field::Setting(KEY), live.word(), self.word(), "turned on in place"),
            (_, Self::Off) => {
                let how = format!("turned off; {lost}");
                let (before, after) = (FieldValue::text(live.word()), FieldValue::text(self.word()));
                let change = FieldChange::new(Field::Setting(KEY), before, after, ChangeMethod::Deletion, &how);
                change.needing(Consent::Stream)
            }
            (_, _) => {
                let how = format!("turned off, and on again as a stream with another ARN; of this one, {lost}");
                let (before, after) = (FieldValue::text(live.word()), FieldValue::text(self.word()));
                let change = FieldChange::new(Field::Setting(KEY), before, after, ChangeMethod::Replacement, &how);
                change.needing(Consent::Stream)
            }
        };
        vec![change]
    }

    // The view of a stream cannot change. Source: DDB-TABLE-050 of the lab notes of ack-api-quirks.
    fn repair(&self, live: &Self, tables: &Sides<&Table>) -> Vec<SetStream> {
        let set = |view, again| SetStream { view, again };
        match (live, self) {
            (before, after) if before == after => Vec::new(),
            _ if tables.live.has_replicas() => Vec::new(),
            (Self::Off, view) => vec![set(*view, false)],
            (_, Self::Off) => vec![set(Self::Off, false)],
            (_, view) => vec![set(Self::Off, false), set(*view, true)],
        }
    }

    fn opposite(&self) -> Self {
        match self {
            Self::KeysOnly => Self::NewImage,
            Self::Off | Self::NewImage | Self::OldImage | Self::NewAndOldImages => Self::KeysOnly,
        }
    }

    fn unmanaged_note(&self) -> Option<String> {
        self.view().map(|view| format!("stream {view}"))
    }

    #[cfg(test)]
    fn any() -> proptest::strategy::BoxedStrategy<Self> {
        use proptest::strategy::Strategy;
        let all = [Self::Off, Self::KeysOnly, Self::NewImage, Self::OldImage, Self::NewAndOldImages];
        proptest::sample::select(all.to_vec()).boxed()
    }
}

impl SettingChange for SetStream {
    // A replacement follows the removal of the earlier stream.
    fn phase(&self) -> Phase {
        if self.again || self.view == Stream::Off { Phase::GiveUp } else { Phase::Settings }
    }

    fn describe(&self) -> String {
        match self.view {
            Stream::Off => String::from("turning the stream off"),
            view => format!("turning a stream of {} on", view.word()),
        }
    }

    fn needs(&self) -> Option<Consent> {
        (self.view == Stream::Off).then_some(Consent::Stream)
    }

    // Source: DDB-TABLE-050 of the lab notes of ack-api-quirks.
    fn seconds(&self) -> (u64, u64) {
        (4, 10)
    }
}

impl UpdateTableSetting for Stream {
    // After a stream is turned off, AWS does not return it.
    fn seen(description: &sdk::TableDescription) -> Self {
        let stream = description.stream_specification().filter(|stream| stream.stream_enabled());
        let view = stream.and_then(sdk::StreamSpecification::stream_view_type).map(sdk::StreamViewType::as_str);
        let known = |view| VIEWS.iter().find(|(word, _)| *word == view).map(|(_, stream)| *stream);
        match (stream, view.and_then(known)) {
            (None, _) => Self::Off,
            (Some(_), known) => known.unwrap_or(Self::KeysOnly),
        }
    }

    fn create(&self, request: CreateTableInputBuilder) -> Result<CreateTableInputBuilder, BuildError> {
        Ok(if *self == Self::Off { request } else { request.stream_specification(self.of_sdk()?) })
    }

    fn update(change: &SetStream, request: UpdateTableInputBuilder) -> Result<UpdateTableInputBuilder, BuildError> {
        Ok(request.stream_specification(change.view.of_sdk()?))
    }

    fn is_made(change: &SetStream, live: &Self) -> bool {
        *live == change.view
    }
}
