//! The resource policies of a table and of its stream. Source of the rules: "Using resource-based policies for DynamoDB" in the Amazon
//! DynamoDB Developer Guide, GetResourcePolicy and PutResourcePolicy in the API Reference, and the findings DDB-TABLE-205 to 214, 244 to
//! 248 and 346 to 356 in the lab notes of ack-api-quirks.

use aws_sdk_dynamodb::types::StreamSpecification;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::api::{SETTLING, failed};
use super::polling::Polling;
use super::setting::{Phase, SeparateSetting, Setting, SettingChange};
use super::{Field, Stream, Table, TableApi};
use crate::change::{ChangeMethod, Consent, FieldChange, FieldValue, Sides};
use crate::document::write::quoted;
use crate::document::{self, Fields, GivenFile, Reader};
use crate::kind::document::PolicyDocument;
use crate::kind::import::Importer;
use crate::kind::section::Resolver;
use crate::kind::{Line, Waiting};
use crate::resource::call::{CallError, Class, DESCRIBE_TABLE, Operation, operation};
use crate::resource::{Invalid, StepOutcome};

const GET_POLICY: Operation = operation!("dynamodb", "GetResourcePolicy", 10.0, 10.0);
const PUT_POLICY: Operation = operation!("dynamodb", "PutResourcePolicy", 5.0, 5.0);
const DELETE_POLICY: Operation = operation!("dynamodb", "DeleteResourcePolicy", 5.0, 5.0);

/// The maximum size of a policy. Source: PutResourcePolicy in the Amazon DynamoDB API Reference.
const SIZE_LIMIT: usize = 20 * 1024;
/// The value of an expected revision that means "no policy".
const NO_POLICY: &str = "NO_POLICY";

/// The resource that a policy belongs to.
pub trait Holder: std::fmt::Debug + Clone + Copy + Default + PartialEq + Eq {
    const KEY: &'static str;
    /// `policy`, `policy of the stream`.
    const WORDS: &'static str;
    /// The suffix of the name of its file.
    const STEM: &'static str;
    const IS_STREAM: bool;
}

/// The policy of the table and its indexes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OfTable;

impl Holder for OfTable {
    const KEY: &'static str = "policy";
    const WORDS: &'static str = "policy";
    const STEM: &'static str = "";
    const IS_STREAM: bool = false;
}

/// The policy of the table's stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OfStream;

impl Holder for OfStream {
    const KEY: &'static str = "stream_policy";
    const WORDS: &'static str = "policy of the stream";
    const STEM: &'static str = "-stream";
    const IS_STREAM: bool = true;
}

/// A resource policy, or its absence.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourcePolicy<H: Holder> {
    /// The path of its file in the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// `None` means no policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<PolicyDocument>,
    /// AWS's revision of a live policy, which detects changes.
    #[serde(skip)]
    pub revision: Option<String>,
    #[serde(skip)]
    of: H,
}

pub type TablePolicy = ResourcePolicy<OfTable>;
pub type StreamPolicy = ResourcePolicy<OfStream>;

/// A change of a resource policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetPolicy<H: Holder> {
    /// `None` deletes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyDocument>,
    /// The revision that it replaces; `None` if there is no policy. Another revision is a conflict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expects_revision: Option<String>,
    /// Whether it waits for a stream to be replaced.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
    #[serde(skip)]
    of: H,
}

/// Checks DynamoDB's additional rules: a policy must not give everyone access, and its size is limited.
fn check_policy(policy: &PolicyDocument) -> Result<(), Invalid> {
    let statements = policy.value()["Statement"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (number, statement) in (1..).zip(statements) {
        let principal = &statement["Principal"];
        let everyone = *principal == json!("*") || principal["AWS"] == json!("*");
        if everyone && statement["Effect"] == json!("Allow") && statement["Condition"].is_null() {
            let problem = format!("statement {number} of the policy allows everyone");
            return Err(Invalid::new(
                problem,
                "name the principals, or add a Condition: DynamoDB refuses public access",
            ));
        }
    }
    let size = policy.to_json().len();
    if size > SIZE_LIMIT {
        return Err(Invalid::new(
            format!("the policy has {size} bytes"),
            "a resource policy has 20 KB at most: shorten it",
        ));
    }
    Ok(())
}

impl<H: Holder> ResourcePolicy<H> {
    fn words_of(document: Option<&PolicyDocument>) -> String {
        document.map_or_else(|| String::from("none"), PolicyDocument::describe)
    }

    /// Returns the live policy at the time when the stream is in sync. A new stream has no policy.
    fn after_stream_change<'a>(live: &'a Self, none: &'a Self, tables: &Sides<&Table>) -> &'a Self {
        let (desired, before) = (&tables.desired.settings.stream, &tables.live.settings.stream);
        match (desired, before) {
            (Some(desired), Some(before)) if H::IS_STREAM && desired != before => none,
            _ => live,
        }
    }
}

impl<H: Holder> Setting for ResourcePolicy<H> {
    type Change = SetPolicy<H>;

    const KEYS: &'static [&'static str] = &[H::KEY];

    fn read(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<Self> {
        let node = &fields.get(H::KEY)?.node;
        match &node.value {
            document::Value::Bool(false) => Some(Self::default()),
            document::Value::String(file) => Some(Self { file: Some(file.clone()), ..Self::default() }),
            _ => {
                reader.wrong_type(node, H::KEY, "the path of a JSON file, or false for no policy");
                None
            }
        }
    }

    fn write(&self) -> Vec<(&'static str, String)> {
        vec![(H::KEY, self.file.as_deref().map_or_else(|| String::from("false"), quoted))]
    }

    fn schema() -> Vec<Value> {
        let what =
            if H::IS_STREAM { "The policy of the table's stream" } else { "The policy of the table and its indexes" };
        vec![json!({
            "description": format!("{what}: the path of a JSON file, relative to the manifest; false for none."),
            "oneOf": [{ "type": "string" }, { "const": false }],
        })]
    }

    fn plan_schema() -> Value {
        json!({
            "type": "object",
            "properties": { "file": { "type": "string" }, "document": { "type": "object" } },
        })
    }

    /// Reads the file that the section names.
    fn resolved(self, resolver: &mut Resolver<'_>, place: &[&str]) -> Self {
        let Some(file) = &self.file else { return self };
        let read = resolver.files.read(file).and_then(|text| PolicyDocument::parse(&text));
        match read.and_then(|policy| check_policy(&policy).map(|()| policy)) {
            Ok(policy) => Self { document: Some(policy), ..self },
            Err(mut invalid) => {
                if !invalid.problem.contains(file) {
                    invalid.problem = format!("{file}: {}", invalid.problem);
                }
                resolver.fault(place, invalid, "this file");
                self
            }
        }
    }

    fn given(&self) -> Option<GivenFile> {
        let (path, document) = (self.file.clone()?, self.document.as_ref()?);
        Some(GivenFile { path, text: document.to_json() })
    }

    fn describe(&self) -> Vec<Line> {
        vec![Line::new(H::KEY, Self::words_of(self.document.as_ref()))]
    }

    /// Puts the document into a file.
    fn imported(self, importer: &mut Importer<'_>, key: &str) -> Option<Self> {
        let text = self.document?.pretty();
        match PolicyDocument::parse(&text).and_then(|policy| check_policy(&policy)) {
            Ok(()) => {
                let file = importer.file(&format!("{key}{}", H::STEM), "json", text);
                Some(Self { file: Some(file), ..Self::default() })
            }
            Err(invalid) => {
                importer.warn(format!("{} is not managed: {}", H::KEY, invalid.problem));
                None
            }
        }
    }

    fn check(&self, table: &Table) -> Result<(), Invalid> {
        if H::IS_STREAM && self.file.is_some() && table.settings.stream == Some(Stream::Off) {
            let help = "turn a stream on with stream = \"NEW_AND_OLD_IMAGES\", or remove stream_policy";
            return Err(Invalid::new("a stream that is off has no policy", help));
        }
        Ok(())
    }

    fn when_new() -> Self {
        Self::default()
    }

    fn diff(&self, live: &Self, tables: &Sides<&Table>) -> Vec<FieldChange<Field>> {
        let none = Self::default();
        let live = Self::after_stream_change(live, &none, tables);
        if self.document == live.document {
            return Vec::new();
        }
        let field = || Field::Setting(H::KEY);
        let shown = |one: Option<&PolicyDocument>, other: Option<&PolicyDocument>| match (one, other) {
            (Some(one), Some(other)) => FieldValue::Document(Arc::from(one.pretty_beside(other))),
            (Some(one), None) => FieldValue::Document(Arc::from(one.pretty())),
            (None, _) => FieldValue::Absent,
        };
        let (before, after) = (live.document.as_ref(), self.document.as_ref());
        let how = if after.is_some() { "changed in place" } else { "removed; its permissions no longer apply" };
        let change = FieldChange::new(field(), shown(before, after), shown(after, None), ChangeMethod::InPlace, how);
        vec![if after.is_some() { change } else { change.needing(Consent::Protection) }]
    }

    fn repair(&self, live: &Self, tables: &Sides<&Table>) -> Vec<SetPolicy<H>> {
        let none = Self::default();
        let live = Self::after_stream_change(live, &none, tables);
        if self.document == live.document {
            return Vec::new();
        }
        let late = H::IS_STREAM && tables.live.settings.stream.is_some_and(|stream| stream != Stream::Off);
        let (policy, expects_revision) = (self.document.clone(), live.revision.clone());
        vec![SetPolicy { policy, expects_revision, late, of: H::default() }]
    }

    fn opposite(&self) -> Self {
        let statement = json!({ "Effect": "Deny", "Principal": "*", "Action": "dynamodb:*", "Resource": "*" });
        let other = json!({ "Version": "2012-10-17", "Statement": [statement] });
        match self.document {
            Some(_) => Self::default(),
            None => Self { document: Some(other.into()), revision: Some(String::from("1")), ..Self::default() },
        }
    }

    #[cfg(test)]
    fn any() -> proptest::strategy::BoxedStrategy<Self> {
        use proptest::prelude::*;
        let file = proptest::option::of("[a-z]{1,12}[.]json");
        file.prop_map(|file| Self { file, ..Self::default() }).boxed()
    }
}

impl<H: Holder> SettingChange for SetPolicy<H> {
    fn phase(&self) -> Phase {
        if self.late { Phase::GiveUp } else { Phase::Follow }
    }

    fn describe(&self) -> String {
        format!("{} the {}", if self.policy.is_some() { "setting" } else { "removing" }, H::WORDS)
    }

    fn needs(&self) -> Option<Consent> {
        self.policy.is_none().then_some(Consent::Protection)
    }

    /// A change is visible after one to three seconds, and AWS accepts the next change after 15 seconds.
    fn seconds(&self) -> (u64, u64) {
        (1, 18)
    }
}

impl<H: Holder> SeparateSetting for ResourcePolicy<H> {
    const READS: &'static [Operation] = if H::IS_STREAM { &[DESCRIBE_TABLE, GET_POLICY] } else { &[GET_POLICY] };

    async fn observe(&self, api: &TableApi, name: &str) -> Result<Self, CallError> {
        match arn::<H>(api, name).await? {
            Some(arn) => get(api, &arn, &[]).await,
            None => Ok(Self::default()),
        }
    }

    fn operations(change: &SetPolicy<H>) -> &'static [Operation] {
        match (change.policy.is_some(), H::IS_STREAM) {
            (true, false) => &[PUT_POLICY, GET_POLICY],
            (true, true) => &[PUT_POLICY, GET_POLICY, DESCRIBE_TABLE],
            (false, false) => &[DELETE_POLICY, GET_POLICY],
            (false, true) => &[DELETE_POLICY, GET_POLICY, DESCRIBE_TABLE],
        }
    }

    /// Changes a policy if it is still the observed one, and waits until the change is visible.
    async fn make(
        change: &SetPolicy<H>,
        api: &TableApi,
        waiting: Waiting,
        name: &str,
    ) -> Result<StepOutcome, CallError> {
        let Some(arn) = arn::<H>(api, name).await? else {
            return match change.policy {
                Some(_) => Err(failed(PUT_POLICY, Class::Rejected, "the table has no stream")),
                None => Ok(StepOutcome::Done),
            };
        };
        let expected = change.expects_revision.as_deref().unwrap_or(NO_POLICY);
        let result = if let Some(policy) = &change.policy {
            let text = policy.to_json();
            let call = || {
                let request = api.client.put_resource_policy().resource_arn(&arn).policy(&text);
                request.expected_revision_id(expected).send()
            };
            api.pacer.call(PUT_POLICY, SETTLING_POLICY, call).await.map(drop)
        } else {
            let call = || {
                let request = api.client.delete_resource_policy().resource_arn(&arn);
                request.expected_revision_id(expected).send()
            };
            api.pacer.call(DELETE_POLICY, SETTLING_POLICY, call).await.map(drop)
        };
        let wanted = change.policy.as_ref();
        if let Err(error) = result {
            if error.class != Class::NotFound && !error.open {
                return Err(error);
            }
            // Either Sentinel's own call succeeded and its response was lost, or someone else was faster. A read shows which.
            let found: Self = get(api, &arn, SETTLING).await?;
            return match found.document.as_ref() == wanted {
                true => Ok(StepOutcome::Done),
                false if error.class == Class::NotFound => Ok(StepOutcome::Conflict(format!(
                    "someone else changed the {} since it was read; nothing was changed",
                    H::WORDS
                ))),
                false => Err(error),
            };
        }
        let mut polling = Polling::new(waiting, GET_POLICY);
        loop {
            let found: Self = get(api, &arn, SETTLING).await?;
            if found.document.as_ref() == wanted {
                return Ok(StepOutcome::Done);
            }
            polling.pause(api, &format!("the change of the {} is not visible yet", H::WORDS)).await?;
        }
    }
}

/// Temporary failures of a policy change. A missing revision is not temporary.
const SETTLING_POLICY: &[Class] = &[Class::Busy];

/// Returns the ARN of the table, or of its stream; `None` without a stream.
async fn arn<H: Holder>(api: &TableApi, name: &str) -> Result<Option<String>, CallError> {
    if !H::IS_STREAM {
        return api.arn(name).await.map(Some);
    }
    let call = || api.client.describe_table().table_name(name).send();
    let table = api.pacer.call(DESCRIBE_TABLE, &[], call).await?.table;
    let stream = table.as_ref().and_then(|table| table.stream_specification());
    let is_on = stream.is_some_and(StreamSpecification::stream_enabled);
    // The ARN of the last stream remains after it is turned off.
    Ok(table.and_then(|table| table.latest_stream_arn).filter(|_| is_on))
}

/// Reads a policy. AWS reports an error if there is none.
async fn get<H: Holder>(api: &TableApi, arn: &str, passes: &[Class]) -> Result<ResourcePolicy<H>, CallError> {
    let call = || api.client.get_resource_policy().resource_arn(arn).send();
    let passes: Vec<Class> = passes.iter().copied().filter(|class| *class != Class::NotFound).collect();
    match api.pacer.call(GET_POLICY, &passes, call).await {
        Ok(found) => Ok(ResourcePolicy {
            document: found.policy().map(PolicyDocument::from_aws),
            revision: found.revision_id,
            ..ResourcePolicy::default()
        }),
        Err(error) if error.class == Class::NotFound => Ok(ResourcePolicy::default()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::table::Settings;

    fn document(action: &str) -> PolicyDocument {
        let statement = json!({ "Effect": "Allow", "Principal": { "AWS": "123456789012" }, "Action": action });
        json!({ "Version": "2012-10-17", "Statement": [statement] }).into()
    }

    fn table(stream: Stream) -> Table {
        Table { settings: Settings { stream: Some(stream), ..Settings::default() }, ..Table::default() }
    }

    fn live<H: Holder>(action: &str, revision: &str) -> ResourcePolicy<H> {
        ResourcePolicy {
            document: Some(document(action)),
            revision: Some(revision.to_owned()),
            ..ResourcePolicy::default()
        }
    }

    #[test]
    fn a_policy_replaces_the_observed_revision() {
        let tables = Sides { live: &Table::default(), desired: &Table::default() };
        let desired = TablePolicy { document: Some(document("dynamodb:Query")), ..TablePolicy::default() };
        let expected = |live: &TablePolicy| {
            let changes = desired.repair(live, &tables);
            assert_eq!(changes.len(), desired.diff(live, &tables).len());
            changes.into_iter().map(|change| change.expects_revision).collect::<Vec<_>>()
        };
        // Actions are case-insensitive.
        assert_eq!(expected(&live("dynamodb:query", "7")), []);
        assert_eq!(expected(&live("dynamodb:Scan", "7")), [Some(String::from("7"))]);
        assert_eq!(expected(&TablePolicy::default()), [None]);
        let gone = TablePolicy::default().repair(&live("dynamodb:Scan", "7"), &tables);
        assert_eq!((gone[0].policy.clone(), gone[0].describe()), (None, String::from("removing the policy")));
    }

    #[test]
    fn the_removal_of_a_policy_needs_consent() {
        let tables = Sides { live: &Table::default(), desired: &Table::default() };
        let needs = |desired: &TablePolicy, live: &TablePolicy| {
            let (change, step) = (desired.diff(live, &tables).remove(0), desired.repair(live, &tables).remove(0));
            assert_eq!(change.needs, step.needs());
            change.needs
        };
        let (none, one) = (TablePolicy::default(), live("dynamodb:Query", "7"));
        assert_eq!(needs(&none, &one), Some(Consent::Protection));
        assert_eq!(needs(&one, &none), None);
        assert_eq!(needs(&live("dynamodb:Scan", "7"), &one), None);
    }

    #[test]
    fn a_replaced_stream_gets_its_policy_afterwards() {
        let (before, after) = (table(Stream::KeysOnly), table(Stream::NewImage));
        let desired = StreamPolicy { document: Some(document("dynamodb:GetRecords")), ..StreamPolicy::default() };
        let live = live("dynamodb:GetRecords", "7");
        let same = Sides { live: &before, desired: &before };
        assert!(desired.repair(&live, &same).is_empty());
        let replaced = Sides { live: &before, desired: &after };
        let changes = desired.repair(&live, &replaced);
        assert_eq!((changes[0].expects_revision.clone(), changes[0].phase()), (None, Phase::GiveUp));
        let off = table(Stream::Off);
        let turned_on = Sides { live: &off, desired: &after };
        assert_eq!(desired.repair(&StreamPolicy::default(), &turned_on)[0].phase(), Phase::Follow);
    }

    #[test]
    fn policies_that_dynamodb_refuses_are_refused() {
        let everyone = |more: Value| {
            let mut statement = json!({ "Effect": "Allow", "Principal": "*", "Action": "dynamodb:*", "Resource": "*" });
            for (name, value) in more.as_object().unwrap() {
                statement[name] = value.clone();
            }
            check_policy(&json!({ "Version": "2012-10-17", "Statement": [statement] }).into())
        };
        assert!(everyone(json!({})).is_err());
        assert!(everyone(json!({ "Principal": { "AWS": "*" } })).is_err());
        assert!(everyone(json!({ "Effect": "Deny" })).is_ok());
        assert!(everyone(json!({ "Condition": { "StringEquals": { "aws:SourceAccount": "1" } } })).is_ok());
        assert!(everyone(json!({ "Principal": { "AWS": "1" }, "Resource": "x".repeat(SIZE_LIMIT) })).is_err());
    }
}
