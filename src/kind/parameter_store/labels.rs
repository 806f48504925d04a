//! Labels of a parameter's newest version. A label belongs to at most one version, and moves when it is set on another. Source: "Working
//! with parameter labels in Parameter Store" in the AWS Systems Manager User Guide.

use std::collections::{BTreeSet, HashMap};

use futures_util::future;
use futures_util::stream::{self, StreamExt};

use super::api::Reading;
use super::{Field, Label, ParameterApi, Role, Stored, Write, history};
use crate::change::{ChangeMethod, FieldChange, FieldValue};
use crate::document::write::{line, quoted};
use crate::document::{Fields, Reader};
use crate::kind::Desired;
use crate::kind::import::{Found, Importer};
use crate::resource::call::{CallError, Class, GET_PARAMETERS, Operation, operation};
use crate::resource::{Facts, Gap, Invalid, Live, StepOutcome};

pub(in crate::kind) const LABEL: Operation = operation!("ssm", "LabelParameterVersion", 3.0, 5.0);

/// The maximum number of labels of a version. Source: LabelParameterVersion in the Systems Manager API Reference.
const MAX_LABELS: usize = 10;
/// The maximum number of parameters in one `GetParameters` call.
const NAMES_IN_A_CALL: usize = 10;

/// Checks a label. Source: as above.
fn check(label: &str) -> Result<(), Invalid> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "_.-".contains(letter);
    let start = label.to_ascii_lowercase();
    let reserved = start.starts_with("aws") || start.starts_with("ssm");
    let digit = label.starts_with(|first: char| first.is_ascii_digit());
    if (1..=100).contains(&label.len()) && label.chars().all(allowed) && !reserved && !digit {
        return Ok(());
    }
    let help = "use up to 100 letters, digits, and . _ -; a label does not begin with a digit, aws or ssm";
    Err(Invalid::new(format!("\"{label}\" cannot be a label"), help))
}

/// Reads the labels of a section.
pub(in crate::kind) fn read(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<BTreeSet<String>> {
    let entry = fields.get("labels")?;
    let list = reader.list(&entry.node, "labels")?;
    let mut labels = BTreeSet::new();
    for node in list {
        if let Some(label) = reader.checked(node, "labels", check)
            && !labels.insert(label)
        {
            reader.fault(node.span.clone(), "this label is listed twice", "again", "remove one");
        }
    }
    if list.len() > MAX_LABELS {
        let help = format!("Parameter Store accepts {MAX_LABELS} for a version: remove some");
        reader.fault(entry.node.span.clone(), format!("{} labels", list.len()), "too many", help);
    }
    Some(labels)
}

/// Adds the labels to a section as TOML.
pub(in crate::kind) fn write(section: &mut String, labels: Option<&BTreeSet<String>>) {
    let list = |labels: &BTreeSet<String>| {
        format!("[{}]", labels.iter().map(|label| quoted(label)).collect::<Vec<_>>().join(", "))
    };
    line(section, "labels", labels.map(list));
}

pub(super) fn describe(labels: &BTreeSet<String>) -> String {
    labels.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// Adds the labels that the newest version lacks. Its other labels are not managed.
pub(super) fn diff(desired: &BTreeSet<String>, live: &BTreeSet<String>, changes: &mut Vec<FieldChange<Field>>) {
    for label in desired.difference(live) {
        let (before, after) = (FieldValue::text("not on the newest version"), FieldValue::text("on it"));
        changes.push(FieldChange::new(Field::Label(label.clone()), before, after, ChangeMethod::InPlace, "moved"));
    }
}

/// Returns the step that sets labels on a version.
pub(super) fn step(name: &str, labels: BTreeSet<String>, version: i64) -> Option<Write> {
    (!labels.is_empty()).then(|| Write::Label(Label { name: name.to_owned(), labels, version }))
}

/// Returns the step that sets the managed labels on the version that is the newest after all other steps: all of them if that is a new
/// version.
pub(super) fn repair<R: Role>(desired: &Desired<Stored<R>>, live: &Live<Stored<R>>, version: i64) -> Option<Write> {
    let mut labels = desired.managed.labels.clone()?;
    if live.facts.version.unwrap_or(0) == version {
        let live_labels = live.state.labels.as_ref()?;
        labels.retain(|label| !live_labels.contains(label));
    }
    step(&desired.name, labels, version)
}

/// Reads the managed labels of a parameter's newest version.
pub(super) async fn read_live(
    api: &ParameterApi,
    name: &str,
    labels: &BTreeSet<String>,
) -> Result<HashMap<String, i64>, CallError> {
    let selectors: Vec<String> = labels.iter().map(|label| format!("{name}:{label}")).collect();
    let calls = selectors.chunks(NAMES_IN_A_CALL).map(|names| {
        let call = || api.client.get_parameters().set_names(Some(names.to_vec())).send();
        api.pacer.call(GET_PARAMETERS, &[], call)
    });
    let mut versions = HashMap::new();
    for answer in future::try_join_all(calls).await? {
        // A label that no version has is reported as invalid.
        for one in answer.parameters.unwrap_or_default() {
            if let Some(label) = one.selector.as_deref().and_then(|selector| selector.strip_prefix(':')) {
                versions.insert(label.to_owned(), one.version);
            }
        }
    }
    Ok(versions)
}

/// The maximum number of concurrent reads of histories.
const READS: usize = 32;

/// Reads the labels of the found parameters. A failure becomes a gap.
pub(in crate::kind) async fn read_found<R: Role>(api: &ParameterApi, found: &mut [Found<Stored<R>>]) {
    let names: Vec<String> = found.iter().map(|found| found.name.clone()).collect();
    let reads = stream::iter(names.iter().map(|name| read_all(api, name))).buffered(READS);
    let labels: Vec<Result<Labels, CallError>> = reads.collect().await;
    for (found, labels) in found.iter_mut().zip(labels) {
        match labels {
            Ok(Labels { newest, older }) => {
                found.live.state.labels = Some(newest);
                found.live.facts.unmanaged_settings.extend(older);
            }
            Err(error) => found.live.gaps.push(Gap::new(Some("labels"), &error)),
        }
    }
}

/// The labels of a parameter, by version.
#[derive(Debug, Default)]
struct Labels {
    newest: BTreeSet<String>,
    /// The labels of older versions with the version numbers, as text.
    older: Vec<String>,
}

async fn read_all(api: &ParameterApi, name: &str) -> Result<Labels, CallError> {
    let versions = history::read(api, name, Reading::Plain).await?;
    Ok(by_version(versions.into_iter().map(|version| (version.number, version.labels)).collect()))
}

fn by_version(mut versions: Vec<(i64, BTreeSet<String>)>) -> Labels {
    let newest = versions.pop().map(|(_, labels)| labels).unwrap_or_default();
    let describe = |(version, labels): (i64, BTreeSet<String>)| {
        labels.into_iter().map(move |label| format!("the label {label} on version {version}"))
    };
    Labels { newest, older: versions.into_iter().flat_map(describe).collect() }
}

/// Warns about labels that the section of a parameter cannot express.
pub(in crate::kind) fn warn_of_older(importer: &mut Importer<'_>, facts: &Facts) {
    if !facts.unmanaged_settings.is_empty() {
        importer.warn(format!(
            "also has: {}; a manifest sets labels of the newest version only",
            facts.unmanaged_settings.join(", ")
        ));
    }
}

/// Sets labels on a version.
pub(super) async fn set(api: &ParameterApi, label: &Label) -> Result<StepOutcome, CallError> {
    let Label { name, labels, version } = label;
    let call = || {
        let request = api.client.label_parameter_version().name(name).parameter_version(*version);
        request.set_labels(Some(labels.iter().cloned().collect())).send()
    };
    let answer = api.pacer.call(LABEL, &[], call).await?;
    match answer.invalid_labels.unwrap_or_default().as_slice() {
        [] => Ok(StepOutcome::Done),
        invalid => {
            let message = format!("Parameter Store refuses these labels: {}", invalid.join(", "));
            Err(CallError::new(LABEL, Class::Rejected, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_older_versions_are_listed_separately() {
        let labels = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect::<BTreeSet<_>>();
        let found = by_version(vec![(1, labels(&["old"])), (2, labels(&[])), (3, labels(&["live"]))]);
        assert_eq!((found.newest, found.older), (labels(&["live"]), vec![String::from("the label old on version 1")]));
    }

    #[test]
    fn labels_follow_parameter_stores_rules() {
        for good in ["live", "a", "Prod.1_x-y"] {
            assert!(check(good).is_ok(), "{good}");
        }
        let long = "x".repeat(101);
        for bad in ["", "1st", "aws-live", "SSMx", "a b", "é", "a/b", &long] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
