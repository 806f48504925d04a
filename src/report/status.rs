//! The live state, as text and as JSON.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{BOLD, DIM, GREEN, RED, YELLOW, escape, paint};
use crate::kind::{AddressPattern, KindId, Site};
use crate::reconcile::{Orphans, ProfileGate};
use crate::resource::Gap;

/// The live state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The target, if `--target` names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    pub region: String,
    pub region_source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The folder of the AWS emulator, if the status is of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local: Option<String>,
    pub policy_root: String,
    /// The filters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<AddressPattern>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<AddressPattern>,
    pub parameters: Vec<ParameterStatus>,
    /// Why the parameters could not be listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters_unknown: Option<Gap>,
    /// The resources of the other kinds, under the sections of the manifest.
    #[serde(flatten)]
    pub resources: IndexMap<&'static str, Vec<ResourceStatus>>,
    /// Resources with the ownership tag that are not in the manifest.
    #[serde(skip_serializing_if = "Orphans::is_empty")]
    pub orphans: Orphans,
    /// Whether AWS enforces the gate of each profile; empty if the manifest names no role for any of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<ProfileGate>,
    pub suggestions: Vec<Suggestion>,
    /// The line for the shell's start-up file; only text shows it.
    #[serde(skip)]
    pub shell: Option<ShellHint>,
}

/// One parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParameterStatus {
    pub name: String,
    /// The part of the name below the root.
    pub profile: String,
    #[serde(flatten)]
    pub state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// Seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modified: Option<i64>,
    /// The fields that differ from the manifest.
    pub drift: Vec<String>,
    /// The fields that could not be read.
    pub unknown: Vec<Gap>,
}

/// One resource of another kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceStatus {
    #[serde(skip, default = "any_kind")]
    pub kind: KindId,
    pub name: String,
    /// Its name in the manifest.
    pub key: String,
    #[serde(flatten)]
    pub state: State,
    /// The fields that differ from the layout or the manifest.
    pub drift: Vec<String>,
    /// The fields that could not be read.
    pub unknown: Vec<Gap>,
}

/// The state of a resource, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// It exists, with the status that AWS reports, if any.
    Present {
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<String>,
        /// Settings that no manifest can set.
        #[serde(rename = "also", default, skip_serializing_if = "Vec::is_empty")]
        unmanaged_settings: Vec<String>,
        /// The number of items of a table. AWS updates it about every six hours.
        #[serde(skip_serializing_if = "Option::is_none")]
        items: Option<i64>,
        /// Changes that AWS is still making.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        progress: Vec<String>,
    },
    NotFound,
    Unknown {
        gaps: Vec<Gap>,
    },
}

/// The section implies the kind.
fn any_kind() -> KindId {
    KindId::Policy
}

/// The parts of a status that are parsed from JSON as they are written.
#[derive(Deserialize)]
struct Parts {
    region: String,
    region_source: String,
    account: Option<String>,
    local: Option<String>,
    policy_root: String,
    #[serde(default)]
    only: Vec<AddressPattern>,
    #[serde(default)]
    exclude: Vec<AddressPattern>,
    parameters: Vec<ParameterStatus>,
    parameters_unknown: Option<Gap>,
    #[serde(default)]
    orphans: Orphans,
    #[serde(default)]
    gates: Vec<ProfileGate>,
    suggestions: Vec<Suggested>,
}

#[derive(Deserialize)]
struct Suggested {
    #[serde(rename = "type")]
    kind: String,
    message: String,
    command: String,
}

impl Status {
    /// Parses the status in a document.
    pub(super) fn read(document: &Value) -> Result<Self, serde_json::Error> {
        let Parts { region, region_source, account, policy_root, only, exclude, parameters, .. } =
            Parts::deserialize(document)?;
        let Parts { local, parameters_unknown, orphans, gates, suggestions, .. } = Parts::deserialize(document)?;
        let mut resources = IndexMap::new();
        for kind in KindId::ALL.iter().copied().filter(|kind| kind.about().site != Site::PolicyRoot) {
            let section = listed_under(kind);
            if let Some(list) = document.get(section) {
                let mut list: Vec<ResourceStatus> = Vec::deserialize(list)?;
                for one in &mut list {
                    one.kind = kind;
                }
                resources.insert(section, list);
            }
        }
        let known = ["apply", "bootstrap", "table"];
        let suggestions = suggestions.into_iter().filter_map(|one| {
            let kind = known.iter().find(|known| **known == one.kind)?;
            Some(Suggestion { kind, message: one.message, command: one.command })
        });
        let suggestions = suggestions.collect();
        Ok(Self {
            target: None,
            region,
            region_source,
            account,
            local,
            policy_root,
            only,
            exclude,
            parameters,
            parameters_unknown,
            resources,
            orphans,
            gates,
            suggestions,
            shell: None,
        })
    }
}

/// Returns the key under which a document lists the resources of a kind: the section, unless policies use that key.
pub fn listed_under(kind: KindId) -> &'static str {
    match kind.section() {
        "parameters" => "ssm_parameters",
        section => section,
    }
}

/// A suggested command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Suggestion {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub message: String,
    pub command: String,
}

/// A line for the shell's start-up file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShellHint {
    pub file: &'static str,
    pub line: String,
}

/// Returns the lines with account, region and filters.
pub(super) fn place(status: &Status) -> Vec<String> {
    let target = status.target.as_ref().map(|name| format!("Target {name}"));
    let local = status.local.as_ref().map(|folder| format!("AWS emulator in {folder}"));
    let account = status.account.as_ref().map(|account| format!("Account {account}"));
    let region = format!("Region {} (from {})", status.region, status.region_source);
    target
        .into_iter()
        .chain(local)
        .chain(account)
        .chain([region])
        .chain(super::sheet::filters(&status.only, &status.exclude))
        .collect()
}

/// Returns the status as text.
pub fn render(status: &Status) -> String {
    let mut text = format!("{}\n===============\n", paint(BOLD, "Sentinel Status"));
    text.push('\n');
    for line in place(status) {
        text.push_str(&format!("{}\n", escape(&line)));
    }
    parameters(status, &mut text);
    infrastructure(status, &mut text);
    let orphans = super::listed::orphans(&status.orphans);
    if !orphans.names.is_empty() {
        text.push_str(&super::text::listed(&orphans));
    }
    let mut notes = super::listed::orphan_notes(&status.orphans);
    notes.extend(super::gates::notes(&status.gates));
    if !notes.is_empty() {
        text.push('\n');
    }
    for note in &notes {
        text.push_str(&format!("{}\n", escape(note)));
    }
    if !status.suggestions.is_empty() {
        text.push_str(&format!("\n{}\n", paint(BOLD, "Suggestions:")));
        for suggestion in &status.suggestions {
            text.push_str(&format!("  Run: {}\n", suggestion.command));
        }
    }
    if let Some(hint) = &status.shell {
        text.push_str(&format!("\n{}\n  Add to {}: {}\n", paint(BOLD, "Shell Integration:"), hint.file, hint.line));
    }
    let count = status.parameters.iter().filter(|one| matches!(one.state, State::Present { .. })).count();
    let plural = if count == 1 { "" } else { "s" };
    text.push_str(&format!("\nTotal: {count} policy parameter{plural}\n"));
    text
}

fn parameters(status: &Status, text: &mut String) {
    text.push_str(&format!("\n{}\n", paint(BOLD, format!("Policy Parameters ({}):", escape(&status.policy_root)))));
    if let Some(gap) = &status.parameters_unknown {
        text.push_str(&format!("  {}\n", unknown_text(gap)));
        return;
    }
    if status.parameters.is_empty() {
        text.push_str("  none\n");
    }
    let names = status.parameters.iter().map(|one| escape(&one.profile).chars().count());
    let width = names.max().unwrap_or(0).max(8);
    let versions = status.parameters.iter().filter_map(|one| one.version).map(|version| version.to_string().len());
    let version_width = versions.max().unwrap_or(0).max(3);
    for one in &status.parameters {
        let description = match &one.state {
            State::Present { .. } => {
                let version = one.version.map(|version| format!("v{version}")).unwrap_or_default();
                let date = one.modified.map(|seconds| format!("({})", civil(seconds))).unwrap_or_default();
                format!("{version:version_width$}  {date}{}{}", drift_text(&one.drift), gap_text(&one.unknown))
            }
            State::NotFound => paint(YELLOW, "NOT FOUND"),
            State::Unknown { gaps } => gaps.iter().map(unknown_text).collect::<Vec<_>>().join(", "),
        };
        text.push_str(&format!("  {:width$} {}\n", escape(&one.profile), description));
    }
}

fn infrastructure(status: &Status, text: &mut String) {
    let all = || status.resources.values().flatten();
    let Some(width) = all().map(|one| escape(&one.name).chars().count()).max() else { return };
    let services = all().map(|one| one.kind.about().service.len()).max().unwrap_or(0);
    text.push_str(&format!("\n{}\n", paint(BOLD, format!("Infrastructure ({}):", escape(&status.region)))));
    for one in all() {
        let description = match &one.state {
            State::Present { status, unmanaged_settings, items, progress } => {
                let status = status.as_deref().unwrap_or("ACTIVE");
                let style = if status == "ACTIVE" { GREEN } else { YELLOW };
                let status = paint(style, escape(status));
                let unmanaged_settings = super::sheet::unmanaged_settings_line(unmanaged_settings)
                    .map(|unmanaged_settings| paint(DIM, format!("  {}", escape(&unmanaged_settings))));
                let (drift, gaps) = (drift_text(&one.drift), gap_text(&one.unknown));
                let items = items.map(|items| paint(DIM, format!("  about {items} items"))).unwrap_or_default();
                let progress: String =
                    progress.iter().map(|description| paint(YELLOW, format!("  {}", escape(description)))).collect();
                format!("{status}{items}{progress}{drift}{gaps}{}", unmanaged_settings.unwrap_or_default())
            }
            State::NotFound => paint(YELLOW, "NOT FOUND"),
            State::Unknown { gaps } => gaps.iter().map(unknown_text).collect::<Vec<_>>().join(", "),
        };
        let service = one.kind.about().service;
        text.push_str(&format!("  {:width$}  {service:services$}   {description}\n", escape(&one.name)));
    }
}

fn unknown_text(gap: &Gap) -> String {
    if gap.denied {
        paint(RED, format!("ACCESS DENIED ({})", gap.action))
    } else {
        paint(RED, format!("UNKNOWN ({})", escape(&gap.message)))
    }
}

fn drift_text(drift: &[String]) -> String {
    if drift.is_empty() {
        return String::new();
    }
    let paths: Vec<String> = drift.iter().map(|path| escape(path)).collect();
    paint(DIM, format!("  differs: {}", paths.join(", ")))
}

fn gap_text(gaps: &[Gap]) -> String {
    let text = gaps.iter().map(|gap| format!("  {}: {}", gap.path.as_deref().unwrap_or_default(), unknown_text(gap)));
    text.collect()
}

/// Returns a time as text, in UTC.
pub(super) fn civil(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds)
        .map_or_else(|_| seconds.to_string(), |time| time.strftime("%Y-%m-%d %H:%M:%S").to_string())
}
