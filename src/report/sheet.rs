//! A plan as all formats show it: the text of each line, and their order. The texts are not escaped yet, since each format
//! escapes them differently.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use super::contents::{Difference, Written, unified, written};
use super::detail::{Detail, Section};
use super::gates;
use super::listed::{Listed, listed, orphan_notes};
use super::versions::last_changed;
use crate::change::{ChangeMethod, Consent, FieldChange, FieldValue};
use crate::kind::{Address, AddressPattern, KindId, Layout, Line, Presence, Shown, Site};
use crate::policy::{Meaning, lint::Finding};
use crate::reconcile::{Action, Estimate, Plan, ResourcePlan, guard};
use crate::resource::Gap;
use crate::review::{CaseChange, Place, Remarks, Review};

/// A plan as it is shown.
#[derive(Debug)]
pub(super) struct Sheet<'a> {
    /// The destination: account, region, filters; a line each.
    pub(super) target: Vec<String>,
    pub(super) sections: Vec<Section<'a>>,
    /// What needs attention.
    pub(super) attention: Vec<Attention>,
    /// "2 to create, 2 to change, 2 unchanged".
    pub(super) summary: String,
    /// Remarks about applying the plan, such as how long it takes.
    pub(super) notes: Vec<String>,
    /// Live resources that are not changed.
    pub(super) listed: Vec<Listed<'a>>,
}

/// One resource.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    pub(super) resource: &'a ResourcePlan,
    pub(super) tone: Tone,
    pub(super) symbol: char,
    pub(super) title: String,
    /// The text after its title: "(drift: content, v5)".
    pub(super) text: String,
    pub(super) gaps: Vec<String>,
    /// Settings that no manifest can set: "also has: stream NEW_IMAGE".
    pub(super) unmanaged_settings: Option<String>,
    /// When a resource that drifted was last changed, and by whom: "last changed by user/alice (2026-01-14 10:00:00 UTC)".
    pub(super) changed: Option<String>,
    pub(super) means: &'a [Meaning],
    pub(super) cases: &'a [CaseChange],
    pub(super) findings: &'a [Finding],
    pub(super) place: Option<&'a Place>,
    pub(super) fields: Vec<Field<'a>>,
    /// The diffs of its documents.
    pub(super) diffs: Vec<Difference>,
    /// The documents that it is created with.
    pub(super) written: Vec<Written<'a>>,
    /// The layout of a new table.
    pub(super) layout: Vec<Line>,
}

/// One setting that differs.
#[derive(Debug)]
pub(super) struct Field<'a> {
    pub(super) change: &'a FieldChange,
    pub(super) live: String,
    pub(super) desired: String,
    /// The kind of loss, if something is lost: "deletion".
    pub(super) loses: Option<&'static str>,
}

/// The meaning of a line, which selects its symbol and color.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Create,
    Change,
    Delete,
    Refused,
    Unknown,
    Same,
}

impl Tone {
    /// Returns its name in documents.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Change => "drift",
            Self::Delete => "delete",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
            Self::Same => "in sync",
        }
    }
}

/// Something that needs attention.
#[derive(Debug)]
pub(super) struct Attention {
    pub(super) what: AttentionKind,
    /// The address, if it is about one resource.
    pub(super) about: Option<String>,
    pub(super) text: String,
    pub(super) place: Option<Place>,
}

/// The reason why something needs attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AttentionKind {
    Refused,
    /// Applying it loses something.
    Destructive,
    Unknown,
    /// A dependency may be missing.
    Dependency,
    /// A test case of a policy fails.
    CaseFails,
    /// An unusually large share of the resources changes, which may be a mistake.
    Unusual,
}

impl AttentionKind {
    /// Returns its name in documents.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Destructive => "destructive",
            Self::Unknown => "unknown",
            Self::Dependency => "dependency",
            Self::CaseFails => "case fails",
            Self::Unusual => "unusual",
        }
    }
}

static NOTHING: Remarks = Remarks { source: None, means: Vec::new(), cases: Vec::new(), findings: Vec::new() };

impl<'a> Sheet<'a> {
    /// Returns a plan as it is shown.
    pub(super) fn of(plan: &'a Plan, review: &'a Review, detail: Detail) -> Self {
        // Profiles that share a policy file are created with the same text, which is shown once.
        let mut texts: HashMap<Cow<'a, str>, &'a Address> = HashMap::new();
        let sections: Vec<Section<'a>> = KindId::ALL
            .iter()
            .copied()
            .map(|kind| {
                let all = plan.of_kind(kind).map(|resource| entry(resource, review, &mut texts));
                let (entries, others): (Vec<_>, Vec<_>) =
                    all.partition(|entry| detail == Detail::All || !entry.is_quiet());
                Section { title: heading(kind, plan), entries, unlisted: others.len() }
            })
            .filter(|section| !section.entries.is_empty() || section.unlisted > 0)
            .collect();
        let attention = attention(plan, &sections);
        Self {
            target: target(plan),
            sections,
            attention,
            summary: summary(plan),
            notes: notes(plan),
            listed: listed(plan),
        }
    }

    /// Returns every entry.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry<'a>> {
        self.sections.iter().flat_map(|section| &section.entries)
    }
}

impl Entry<'_> {
    /// Returns whether there is anything to show of it except that it is in sync.
    pub(super) fn has_details(&self) -> bool {
        self.tone != Tone::Same
    }

    /// Returns whether it is in sync and there is nothing else to show of it.
    fn is_quiet(&self) -> bool {
        !self.has_details() && self.gaps.is_empty() && self.unmanaged_settings.is_none() && self.findings.is_empty()
    }
}

fn heading(kind: KindId, plan: &Plan) -> String {
    let site = match kind.about().site {
        Site::PolicyRoot => plan.target.policy_root.as_str(),
        Site::Region => plan.target.region.name.as_str(),
        Site::Account => "all regions",
    };
    format!("{} ({site})", kind.about().heading)
}

/// Returns the lines with account, region and filters.
pub(super) fn target(plan: &Plan) -> Vec<String> {
    let target = &plan.target;
    let mut lines = Vec::new();
    lines.extend(target.local.as_ref().map(|folder| format!("AWS emulator in {}", folder.display())));
    lines.extend(target.caller.as_ref().map(|caller| format!("Account {} as {}", caller.account, caller.arn)));
    lines.push(format!("Region {} (from {})", target.region.name, target.region.source));
    lines.extend(filters(&plan.scope.only, &plan.scope.exclude));
    if !plan.scope.allow.is_empty() {
        let words: Vec<&str> = plan.scope.allow.iter().map(|consent| consent.word()).collect();
        lines.push(format!("Allowed destructive changes: {}", words.join(", ")));
    }
    lines
}

/// Returns the lines with the filters.
pub(super) fn filters(only: &[AddressPattern], exclude: &[AddressPattern]) -> Vec<String> {
    let line = |head: &str, patterns: &[AddressPattern]| {
        let texts: Vec<&str> = patterns.iter().map(AddressPattern::as_str).collect();
        (!texts.is_empty()).then(|| format!("{head} {}", texts.join(", ")))
    };
    [line("Only", only), line("Without", exclude)].into_iter().flatten().collect()
}

/// Returns the count: "2 to create, 2 to change, 2 unchanged".
pub(super) fn summary(plan: &Plan) -> String {
    let summary = plan.summary();
    let mut parts = vec![
        format!("{} to create", summary.create),
        format!("{} to change", summary.change),
        format!("{} unchanged", summary.unchanged),
    ];
    if summary.delete > 0 {
        parts.insert(2, format!("{} to delete", summary.delete));
    }
    let others =
        [(summary.refused, "refused"), (summary.drifted, "drifted and not changed"), (summary.unknown, "unknown")];
    parts.extend(others.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")));
    parts.join(", ")
}

fn notes(plan: &Plan) -> Vec<String> {
    let mut notes = Vec::new();
    let estimate = plan.estimate();
    if estimate.is_notable() {
        notes.push(estimate_text(plan, estimate));
    }
    let lacking: BTreeSet<Consent> = plan
        .resources
        .iter()
        .filter(|resource| !resource.withheld.is_empty())
        .flat_map(|resource| resource.needs.difference(&plan.scope.allow))
        .copied()
        .collect();
    if !lacking.is_empty() {
        // One option with all its values.
        let words: Vec<&str> = lacking.union(&plan.scope.allow).map(|consent| consent.word()).collect();
        notes.push(format!("Refused: destructive change. To allow it: --allow-destructive {}", words.join(",")));
    }
    notes.extend(orphan_notes(&plan.orphans));
    notes.extend(gates::notes(&plan.gates));
    notes
}

fn estimate_text(plan: &Plan, estimate: Estimate) -> String {
    let (least, most) = (estimate.seconds_at_least, estimate.seconds_at_most);
    let time = match (least, most) {
        (_, 0..=90) if least == most => format!("{most} s"),
        (_, 0..=90) => format!("{least} to {most} s"),
        (_, _) => match (least / 60, most.div_ceil(60)) {
            (0, most) => format!("up to {most} min"),
            (least, most) if least == most => format!("{most} min"),
            (least, most) => format!("{least} to {most} min"),
        },
    };
    let calls = match estimate.calls {
        1 => String::from("1 call"),
        calls => format!("{calls} calls"),
    };
    let why = match plan.index_builds() {
        0 => String::new(),
        1 => String::from("; an index is built, which takes AWS 8 to 17 minutes"),
        builds => format!("; {builds} indexes are built, one after another on a table, 8 to 17 minutes each"),
    };
    format!("Estimate: about {calls}, {time}{why}.")
}

/// Returns what needs attention: first refusals, then losses, then what could not be read.
fn attention(plan: &Plan, sections: &[Section<'_>]) -> Vec<Attention> {
    let mut found = Vec::new();
    let doubts = plan.doubts();
    for entry in sections.iter().flat_map(|section| &section.entries) {
        let resource = entry.resource;
        let about = || Some(resource.address.to_string());
        let mut push = |what, text: String| {
            found.push(Attention { what, about: about(), text, place: entry.place.cloned() });
        };
        let lost: Vec<&str> = lost(resource).collect();
        if resource.action == Action::Refused {
            push(AttentionKind::Refused, why_refused(resource));
        } else if !lost.is_empty() {
            push(AttentionKind::Destructive, format!("{} ({})", lost.join(", "), resource.name));
        }
        for text in doubts(resource) {
            push(AttentionKind::Dependency, text);
        }
        for gap in &entry.gaps {
            push(AttentionKind::Unknown, format!("{gap} ({})", resource.name));
        }
        for case in entry.cases.iter().filter(|case| !case.passes) {
            let text = format!("{}: expected {}, gets {}", case.name, case.expected, case.after);
            let place = Some(Place { path: case.path.as_str().into(), line: case.line });
            found.push(Attention { what: AttentionKind::CaseFails, about: about(), text, place });
        }
    }
    for gap in &plan.unlisted {
        found.push(Attention { what: AttentionKind::Unknown, about: None, text: gap_text(gap), place: None });
    }
    let extent = guard::Extent::of(plan);
    if extent.is_unusual() {
        let text = format!("{} would be changed or deleted; apply needs --force", extent.describe());
        found.push(Attention { what: AttentionKind::Unusual, about: None, text, place: None });
    }
    found.sort_by_key(|one| one.what as u8);
    found
}

/// Returns what is lost when a resource's steps run.
fn lost(resource: &ResourcePlan) -> impl Iterator<Item = &'static str> {
    let needs: BTreeSet<Consent> = resource.steps.iter().filter_map(crate::kind::Step::needs).collect();
    needs.into_iter().map(Consent::loss)
}

/// Returns why a difference is not applied: Sentinel never makes the change, or it loses something and is not allowed.
fn why_refused(resource: &ResourcePlan) -> String {
    let withheld = !resource.withheld.is_empty();
    let refused = |change: &&FieldChange| if withheld { change.needs.is_some() } else { change.method.is_never_done() };
    let reasons = resource.changes.iter().filter(refused).map(|change| format!("{}: {}", change.path, change.how));
    let reasons: Vec<String> = reasons.collect();
    if reasons.is_empty() {
        return refusal(resource).trim_start_matches("refused: ").to_owned();
    }
    let consent: Vec<&str> = resource.needs.iter().map(|consent| consent.word()).collect();
    let needs = if withheld { format!("; needs --allow-destructive {}", consent.join(",")) } else { String::new() };
    format!("{}{needs}", reasons.join("; "))
}

fn entry<'a>(
    resource: &'a ResourcePlan,
    review: &'a Review,
    texts: &mut HashMap<Cow<'a, str>, &'a Address>,
) -> Entry<'a> {
    let Head { tone, symbol, text } = planned(resource);
    let remarks = review.remarks(&resource.address).unwrap_or(&NOTHING);
    let shows_layout = matches!(resource.action, Action::Create | Action::Unknown { .. });
    let layout = resource.layout.as_deref().filter(|_| shows_layout).map(Layout::lines).unwrap_or_default();
    let mut fields = Vec::new();
    let mut diffs = Vec::new();
    for change in &resource.changes {
        match difference(resource, change) {
            Some(difference) => diffs.push(difference),
            None => fields.push(field(change)),
        }
    }
    Entry {
        resource,
        tone,
        symbol,
        title: title(resource),
        text,
        gaps: resource.gaps.iter().map(gap_text).collect(),
        unmanaged_settings: unmanaged_settings_line(&resource.facts.unmanaged_settings),
        changed: last_changed(resource),
        means: &remarks.means,
        cases: &remarks.cases,
        findings: &remarks.findings,
        place: remarks.source.as_ref(),
        fields,
        diffs,
        written: written(resource, texts),
        layout,
    }
}

/// Returns the diff of a document, also of one that is added or removed.
fn difference(resource: &ResourcePlan, change: &FieldChange) -> Option<Difference> {
    let text = |value: &'_ FieldValue| match value {
        FieldValue::Document(text) => Some(text.to_string()),
        FieldValue::Absent => Some(String::new()),
        FieldValue::Text(_) => None,
    };
    let documents = [&change.sides.live, &change.sides.desired];
    if !documents.iter().any(|side| matches!(side, FieldValue::Document(_))) {
        return None;
    }
    let (live, desired) = (text(&change.sides.live)?, text(&change.sides.desired)?);
    let (setting, head) = match resource.address.kind.about().shown {
        // Its only document has no setting name; the origin names the file.
        Shown::ByName => (None, resource.origin.as_deref().unwrap_or("desired").to_owned()),
        Shown::ByLabel => (Some(change.path.clone()), format!("{} ({})", change.path, change.how)),
    };
    Some(Difference { setting, text: unified(&live, &desired, &head) })
}

fn field(change: &FieldChange) -> Field<'_> {
    let describe = |value: &FieldValue| match value {
        FieldValue::Absent => String::from("absent"),
        FieldValue::Text(text) => text.clone(),
        FieldValue::Document(_) => String::from("a document"),
    };
    let loses = match change.method {
        ChangeMethod::InPlace if change.needs.is_some() => Some("removes protection"),
        ChangeMethod::InPlace | ChangeMethod::Time => None,
        ChangeMethod::Replacement | ChangeMethod::NewResource => Some("replacement"),
        ChangeMethod::Deletion => Some("deletion"),
        ChangeMethod::NotPossible => Some("not possible"),
    };
    Field { change, live: describe(&change.sides.live), desired: describe(&change.sides.desired), loses }
}

/// Returns the name of a resource, as lines show it.
pub(super) fn title(resource: &ResourcePlan) -> String {
    let about = resource.address.kind.about();
    match about.shown {
        Shown::ByName => resource.name.clone(),
        Shown::ByLabel if resource.label == resource.name => format!("{} {}", resource.label, about.noun),
        Shown::ByLabel => format!("{} {}: {}", resource.label, about.noun, resource.name),
    }
}

pub(super) fn version(resource: &ResourcePlan) -> String {
    resource.facts.version.map(|version| format!(", v{version}")).unwrap_or_default()
}

/// Returns a summary of the differences: the names of the fields, or their number if there are many.
pub(super) fn drift_text(resource: &ResourcePlan) -> String {
    match (resource.address.kind.about().shown, resource.changes.len()) {
        (Shown::ByName, _) => resource.changes.iter().map(|change| change.path.as_str()).collect::<Vec<_>>().join(", "),
        (Shown::ByLabel, 1) => String::from("1 field"),
        (Shown::ByLabel, count) => format!("{count} fields"),
    }
}

/// The symbol and the text of a resource's line.
struct Head {
    tone: Tone,
    symbol: char,
    text: String,
}

/// Returns the symbol and the text of a resource's line.
fn planned(resource: &ResourcePlan) -> Head {
    let drift = || format!(" (drift: {}{})", drift_text(resource), version(resource));
    let (tone, symbol, text) = match &resource.action {
        Action::Create => {
            let origin = resource.origin.as_ref().map(|origin| format!(" (create: {origin})"));
            (Tone::Create, '+', origin.unwrap_or_default())
        }
        Action::Finish => (Tone::Create, '+', String::from(" (being created; later steps follow once ACTIVE)")),
        Action::Unchanged if resource.is_removal() => (Tone::Same, '=', format!(" (gone: {})", why_deleted(resource))),
        Action::Unchanged if resource.gaps.is_empty() => (Tone::Same, '=', format!(" (exists{})", version(resource))),
        Action::Unchanged => {
            (Tone::Unknown, '?', format!(" (exists{}, not all of it could be read)", version(resource)))
        }
        Action::Update => (Tone::Change, '~', drift()),
        Action::Delete => (Tone::Delete, '-', format!(" (delete: {})", why_deleted(resource))),
        Action::Drift => (Tone::Change, '~', drift() + ", not changed"),
        Action::Refused if resource.is_removal() => {
            (Tone::Refused, '-', format!(" ({}), {}", why_deleted(resource), refusal(resource)))
        }
        Action::Refused => (Tone::Refused, '~', format!("{}, {}", drift(), refusal(resource))),
        Action::Unknown { .. } if resource.is_removal() => (Tone::Unknown, '?', String::from(" (unknown)")),
        Action::Unknown { .. } => {
            (Tone::Unknown, '?', String::from(" (unknown; if it does not exist, it would be created)"))
        }
    };
    Head { tone, symbol, text }
}

/// Returns why a resource is deleted.
pub(super) fn why_deleted(resource: &ResourcePlan) -> &'static str {
    match resource.presence {
        Presence::Removed => "removed = true",
        Presence::Absent | Presence::Present => "not in the manifest",
    }
}

/// Returns why a resource is refused.
pub(super) fn refusal(resource: &ResourcePlan) -> String {
    let but = if resource.steps.is_empty() { "" } else { ", except changes that add protection" };
    if resource.withheld.is_empty() {
        return format!("refused: not possible in place{but}");
    }
    let words: Vec<&str> = resource.needs.iter().map(|consent| consent.word()).collect();
    format!("refused without --allow-destructive {}{but}", words.join(","))
}

/// Returns the line with the settings that no manifest can set.
pub(super) fn unmanaged_settings_line(found: &[String]) -> Option<String> {
    (!found.is_empty()).then(|| format!("also has: {}", found.join("; ")))
}

pub(super) fn gap_text(gap: &Gap) -> String {
    let what = gap.path.as_ref().map(|path| format!("{path}: ")).unwrap_or_default();
    match gap.denied {
        true => format!("{what}no permission for {}", gap.action),
        false => format!("{what}{}", gap.message),
    }
}
