//! Plans and what became of them, as text.

use std::collections::BTreeSet;

use similar::TextDiff;

use super::{BOLD, CYAN, DIM, GREEN, RED, YELLOW, escape, escape_lines, paint};
use crate::change::{Consent, FieldChange, FieldValue, Takes};
use crate::planfile::PlanFile;
use crate::reconcile::{Action, ApplyReport, Outcome, Plan, ResourcePlan, ResourceReport, Verification, guard};
use crate::resource::table::{Billing, Encryption, Projection, Table, Ttl};
use crate::resource::{Gap, Kind};

/// Returns a plan: where it goes, each resource with its difference, and the count.
pub fn plan(plan: &Plan) -> String {
    let mut text = target(plan);
    sections(plan, &mut text, |resource, text| {
        text.push_str(&planned(resource));
        changes(resource, text);
        if matches!(resource.action, Action::Create | Action::Unknown { .. })
            && let Some(layout) = &resource.layout
        {
            layout_lines(layout, text);
        }
    });
    unmanaged(plan, &mut text);
    text.push_str(&format!("\n{}\n", summary(plan)));
    text.push_str(&notes(plan));
    text
}

/// Lists what is live and left alone because the manifest does not name it.
fn unmanaged(plan: &Plan, text: &mut String) {
    const SHOWN: usize = 20;
    for kind in Kind::ALL {
        let names: Vec<&str> =
            plan.unmanaged.iter().filter(|one| one.kind == kind).map(|one| one.name.as_str()).collect();
        if names.is_empty() {
            continue;
        }
        let title = match kind {
            Kind::PolicyParameter => {
                "Unmanaged parameters (not in the manifest, without the ownership tag; left alone)"
            }
            Kind::Table => "Unmanaged tables (not in the manifest; never deleted)",
        };
        text.push_str(&format!("\n{}\n", paint(BOLD, title)));
        for name in names.iter().take(SHOWN) {
            text.push_str(&format!("    {}\n", escape(name)));
        }
        if names.len() > SHOWN {
            text.push_str(&format!("    … and {} more (all of them with --json)\n", names.len() - SHOWN));
        }
    }
    for gap in &plan.unlisted {
        text.push_str(&format!("\n  {} {}\n", paint(YELLOW, '?'), gap_words(gap)));
    }
}

/// Returns what there is to know before a plan is applied.
fn notes(plan: &Plan) -> String {
    let mut text = String::new();
    let builds = plan.index_builds();
    // Measured by operators on tables of all sizes; AWS promises nothing.
    match builds {
        0 => {}
        1 => text.push_str("Time: an index is built; AWS takes 8 to 17 minutes for that.\n"),
        _ => text.push_str(&format!(
            "Time: {builds} indexes are built; AWS takes 8 to 17 minutes for each, one after another on a table.\n"
        )),
    }
    let lacking: BTreeSet<Consent> = plan
        .resources
        .iter()
        .filter(|resource| !resource.withheld.is_empty())
        .flat_map(|resource| resource.needs.difference(&plan.scope.allow))
        .copied()
        .collect();
    if !lacking.is_empty() {
        let words: Vec<&str> = lacking.iter().map(|consent| consent.word()).collect();
        text.push_str(&format!(
            "Refused: something would be lost. To allow it: --allow-destructive {}\n",
            words.join(",")
        ));
    }
    let extent = guard::Extent::of(plan);
    if extent.is_unusual() {
        text.push_str(&format!("Unusual: this changes or deletes {}; apply needs --force.\n", extent.words()));
    }
    text
}

/// Returns what became of a plan, and whether live is now as desired.
pub fn applied(plan: &Plan, report: &ApplyReport) -> String {
    let mut text = String::new();
    sections(plan, &mut text, |resource, text| {
        let report = report.resources.iter().find(|report| report.address == resource.address);
        text.push_str(&match report {
            Some(report) => ended(resource, report),
            None => planned(resource),
        });
    });
    text.push_str(&format!("\n{}\n", closing(plan, report)));
    text
}

/// Returns one target's part of an output for several.
pub fn grouped(name: &str, body: &str) -> String {
    format!("{}\n{body}\n", paint(BOLD, format!("── Target {} ──", escape(name))))
}

/// Returns the lines that say what a saved plan was made from.
pub fn plan_file(file: &PlanFile) -> String {
    let origin = &file.manifest;
    format!(
        "Saved plan of {} ({}), made by sentinel {}\n",
        escape(&origin.path),
        escape(&origin.digest),
        escape(&file.tool_version)
    )
}

/// Returns the lines that say where a pass goes.
pub fn target(plan: &Plan) -> String {
    let target = &plan.target;
    let mut text = String::new();
    if let Some(folder) = &target.local {
        text.push_str(&format!("Embedded AWS in {}\n", escape(folder)));
    }
    if let Some(caller) = &target.caller {
        text.push_str(&format!("Account {} as {}\n", escape(&caller.account), escape(&caller.arn)));
    }
    text.push_str(&format!("Region {} (from {})\n", escape(&target.region), escape(&target.region_source)));
    text.push_str(&filters(&plan.scope.only, &plan.scope.exclude));
    if !plan.scope.allow.is_empty() {
        let words: Vec<&str> = plan.scope.allow.iter().map(|consent| consent.word()).collect();
        text.push_str(&format!("Allowed to lose: {}\n", words.join(", ")));
    }
    text
}

/// Returns the lines that say what a manifest was reduced to.
pub(super) fn filters(only: &[String], exclude: &[String]) -> String {
    let line = |head: &str, globs: &[String]| match globs {
        [] => String::new(),
        globs => format!("{head} {}\n", globs.iter().map(|glob| escape(glob)).collect::<Vec<_>>().join(", ")),
    };
    line("Only", only) + &line("Without", exclude)
}

fn sections(plan: &Plan, text: &mut String, mut line: impl FnMut(&ResourcePlan, &mut String)) {
    for kind in Kind::ALL {
        let title = match kind {
            Kind::PolicyParameter => format!("Policy parameters ({})", plan.target.policy_root),
            Kind::Table => format!("DynamoDB tables ({})", plan.target.region),
        };
        let mut resources = plan.of_kind(kind).peekable();
        if resources.peek().is_some() {
            text.push_str(&format!("\n{}\n", paint(BOLD, title)));
            resources.for_each(|resource| line(resource, text));
        }
    }
}

/// Returns what a resource is called in a line.
pub fn title(resource: &ResourcePlan) -> String {
    match resource.address.kind {
        Kind::PolicyParameter => escape(&resource.name),
        Kind::Table => format!("{} table: {}", escape(&resource.label), escape(&resource.name)),
    }
}

fn version(resource: &ResourcePlan) -> String {
    resource.facts.version.map(|version| format!(", v{version}")).unwrap_or_default()
}

/// Returns the differences in a few words: the field's name for a parameter, a count for a table.
fn drift_words(resource: &ResourcePlan) -> String {
    match (resource.address.kind, resource.changes.len()) {
        (Kind::PolicyParameter, _) => {
            resource.changes.iter().map(|change| escape(&change.path)).collect::<Vec<_>>().join(", ")
        }
        (Kind::Table, 1) => String::from("1 field"),
        (Kind::Table, count) => format!("{count} fields"),
    }
}

fn planned(resource: &ResourcePlan) -> String {
    let origin = || resource.origin.as_ref().map(|origin| format!(" (create: {})", escape(origin))).unwrap_or_default();
    let (style, symbol, words) = match &resource.action {
        Action::Create => (GREEN, '+', origin()),
        Action::Finish => (GREEN, '+', String::from(" (being created; the rest follows once it is ACTIVE)")),
        Action::Unchanged if resource.gaps.is_empty() => (DIM, '=', format!(" (exists{})", version(resource))),
        Action::Unchanged => (YELLOW, '?', format!(" (exists{}, not all of it could be read)", version(resource))),
        Action::Update => (YELLOW, '~', format!(" (drift: {}{})", drift_words(resource), version(resource))),
        Action::Delete => (RED, '-', String::from(" (delete: not in the manifest)")),
        Action::Drift => (YELLOW, '~', format!(" (drift: {}{}), left alone", drift_words(resource), version(resource))),
        Action::Refused if resource.is_removal() => {
            (RED, '-', format!(" (not in the manifest), {}", refusal(resource)))
        }
        Action::Refused => {
            let words = format!(" (drift: {}{}), {}", drift_words(resource), version(resource), refusal(resource));
            (YELLOW, '~', words)
        }
        Action::Unknown { .. } => (YELLOW, '?', String::from(" (unknown; if it is not there, it would be created)")),
    };
    let mut text = format!("  {} {}{}\n", paint(style, symbol), title(resource), paint(DIM, words));
    for gap in &resource.gaps {
        text.push_str(&format!("      {}\n", gap_words(gap)));
    }
    text
}

/// Returns why a resource is refused.
fn refusal(resource: &ResourcePlan) -> String {
    if resource.withheld.is_empty() {
        return String::from("refused: nothing in place could close it");
    }
    let words: Vec<&str> = resource.needs.iter().map(|consent| consent.word()).collect();
    format!("refused without --allow-destructive {}", words.join(","))
}

fn gap_words(gap: &Gap) -> String {
    let what = gap.path.as_ref().map(|path| format!("{path}: ")).unwrap_or_default();
    if gap.denied {
        paint(YELLOW, format!("{what}no permission for {}", gap.action))
    } else {
        paint(YELLOW, format!("{what}{}", escape(&gap.message)))
    }
}

fn changes(resource: &ResourcePlan, text: &mut String) {
    let width = resource.changes.iter().map(|change| change.path.chars().count()).max().unwrap_or(0);
    for change in &resource.changes {
        match (&change.sides.live, &change.sides.desired) {
            (FieldValue::Document(live), FieldValue::Document(desired)) => {
                let origin = resource.origin.as_deref().unwrap_or("desired");
                text.push_str(&document_diff(live, desired, origin, "      "));
            }
            _ => text.push_str(&field_line(change, width)),
        }
    }
}

fn field_line(change: &FieldChange, width: usize) -> String {
    let words = |value: &FieldValue| match value {
        FieldValue::Absent => String::from("absent"),
        FieldValue::Words(words) => escape(words),
        FieldValue::Document(_) => String::from("a document"),
    };
    let takes = match change.takes {
        Takes::InPlace if change.needs.is_some() => paint(RED, "gives up protection: "),
        Takes::InPlace | Takes::Time => String::new(),
        Takes::Replacement | Takes::NewResource => paint(RED, "replacement: "),
        Takes::Deletion => paint(RED, "deletion: "),
        Takes::NotPossible => paint(RED, "not possible: "),
    };
    let (live, desired) = (words(&change.sides.live), words(&change.sides.desired));
    let how = format!("({takes}{})", change.how);
    format!("      {:width$}  {live} -> {desired} {}\n", escape(&change.path), paint(DIM, how))
}

/// Returns the unified diff of two documents, live against desired.
fn document_diff(live: &str, desired: &str, origin: &str, indent: &str) -> String {
    let text = unified(live, desired, origin);
    let mut lines = String::new();
    // Only the line feed ends a line: a carriage return before it is a difference like any other, and must be seen.
    for line in text.split_inclusive('\n').map(|line| line.strip_suffix('\n').unwrap_or(line)) {
        let style = match line.as_bytes().first() {
            Some(b'+') => GREEN,
            Some(b'-') => RED,
            Some(b'@') => CYAN,
            _ => DIM,
        };
        lines.push_str(&format!("{indent}{}\n", paint(style, escape_lines(line))));
    }
    lines
}

/// Returns the unified diff of two documents, without colour.
pub fn unified(live: &str, desired: &str, origin: &str) -> String {
    let diff = TextDiff::from_lines(live, desired);
    diff.unified_diff().context_radius(3).header("live", origin).to_string()
}

fn layout_lines(layout: &Table, text: &mut String) {
    let Table { key, indexes, ttl, billing, encryption, point_in_time_recovery, deletion_protection, class, tags } =
        layout;
    let mut lines: Vec<(String, String)> = Vec::new();
    let attributes = |key: &crate::resource::table::Key| {
        let words = key.attributes().map(|attribute| format!("{} ({})", escape(&attribute.name), attribute.kind));
        words.collect::<Vec<_>>().join(", ")
    };
    lines.extend(key.iter().map(|key| (String::from("key"), attributes(key))));
    for (name, index) in indexes.iter().flatten() {
        let projection = match &index.projection {
            Projection::All => String::from("ALL"),
            Projection::KeysOnly => String::from("KEYS_ONLY"),
            Projection::Include(names) => {
                let names: Vec<String> = names.iter().map(|name| escape(name)).collect();
                format!("keys and {}", names.join(", "))
            }
        };
        lines.push((format!("index {name}"), format!("{}; projects {projection}", attributes(&index.key))));
    }
    if let Some(Ttl::Enabled(attribute)) = ttl {
        lines.push((String::from("ttl"), escape(attribute)));
    }
    lines.extend(billing.map(|billing| {
        let words = match billing {
            Billing::PayPerRequest => String::from("PAY_PER_REQUEST"),
            Billing::Provisioned(units) => format!("PROVISIONED ({} read, {} write)", units.read, units.write),
        };
        (String::from("billing_mode"), words)
    }));
    lines.extend(encryption.as_ref().map(|encryption| {
        let words = match encryption {
            Encryption::AwsOwned => String::from("aws-owned"),
            Encryption::AwsManaged => String::from("aws-managed"),
            Encryption::Kms(arn) => escape(arn),
        };
        (String::from("encryption"), words)
    }));
    let on_off = |flag: bool| String::from(if flag { "on" } else { "off" });
    lines.extend(point_in_time_recovery.map(|flag| (String::from("point_in_time_recovery"), on_off(flag))));
    lines.extend(deletion_protection.map(|flag| (String::from("deletion_protection"), on_off(flag))));
    lines.extend(class.map(|class| (String::from("table_class"), class.as_str().to_owned())));
    lines.extend(tags.iter().flatten().map(|(key, value)| (format!("tags.{}", escape(key)), escape(value))));
    let width = lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (name, words) in lines {
        text.push_str(&format!("      {}\n", paint(DIM, format!("{name:width$}  {words}"))));
    }
}

/// Returns the line that counts: "Plan: 2 to create, 2 to change, 2 unchanged."
pub fn summary(plan: &Plan) -> String {
    let summary = plan.summary();
    let mut parts = vec![
        format!("{} to create", summary.create),
        format!("{} to change", summary.change),
        format!("{} unchanged", summary.unchanged),
    ];
    if summary.delete > 0 {
        parts.insert(2, format!("{} to delete", summary.delete));
    }
    if summary.refused > 0 {
        parts.push(format!("{} refused", summary.refused));
    }
    if summary.drifted > 0 {
        parts.push(format!("{} drifted and left alone", summary.drifted));
    }
    if summary.unknown > 0 {
        parts.push(format!("{} unknown", summary.unknown));
    }
    format!("{} {}.", paint(BOLD, "Plan:"), parts.join(", "))
}

fn ended(resource: &ResourcePlan, report: &ResourceReport) -> String {
    let (style, symbol, words) = match &report.outcome {
        Outcome::Applied => match resource.action {
            Action::Create | Action::Finish => (GREEN, '+', String::from(" (created)")),
            Action::Delete => (RED, '-', String::from(" (deleted)")),
            _ => (GREEN, '~', format!(" (updated: {})", drift_words(resource))),
        },
        Outcome::Unchanged => (DIM, '=', format!(" (exists{})", version(resource))),
        Outcome::LeftAlone => (YELLOW, '~', format!(" (drift: {}), left alone", drift_words(resource))),
        Outcome::Refused if resource.is_removal() => (YELLOW, '-', format!(": {}", refusal(resource))),
        Outcome::Refused => (YELLOW, '~', format!(" (drift: {}), {}", drift_words(resource), refusal(resource))),
        Outcome::Failed { why } => (RED, 'X', format!(": {}", escape(why))),
        Outcome::Skipped { why } => (YELLOW, '?', format!(": left alone, {}", escape(why))),
        Outcome::Deferred { why } => (YELLOW, '~', format!(": deferred, {}", escape(why))),
        Outcome::Conflicted { why } => (RED, 'X', format!(": conflict, {}", escape(why))),
        Outcome::Interrupted => (YELLOW, 'X', String::from(": interrupted")),
    };
    let list = |what: &str, steps: &[String]| match steps {
        [] => String::new(),
        steps => format!("      {what}: {}\n", escape(&steps.join(", "))),
    };
    let steps = list("done", &report.done) + &list("not done", &report.not_done);
    format!("  {} {}{words}\n{}", paint(style, symbol), title(resource), paint(DIM, steps))
}

fn closing(plan: &Plan, report: &ApplyReport) -> String {
    let count = |wanted: fn(&Outcome) -> bool| report.resources.iter().filter(|one| wanted(&one.outcome)).count();
    let applied = |wanted: fn(&Action) -> bool| {
        let planned = |one: &ResourceReport| plan.resources.iter().find(|resource| resource.address == one.address);
        let applied = report.resources.iter().filter(|one| one.outcome == Outcome::Applied);
        applied.filter_map(planned).filter(|resource| wanted(&resource.action)).count()
    };
    let deleted = applied(|action| *action == Action::Delete);
    let mut parts = vec![
        format!("{} created", applied(|action| matches!(action, Action::Create | Action::Finish))),
        format!("{} updated", applied(|action| *action == Action::Update)),
        format!("{} unchanged", count(|outcome| *outcome == Outcome::Unchanged)),
    ];
    if deleted > 0 {
        parts.insert(2, format!("{deleted} deleted"));
    }
    let others: [(usize, &str); 5] = [
        (count(|outcome| *outcome == Outcome::Refused), "refused"),
        (count(|outcome| *outcome == Outcome::LeftAlone), "left alone"),
        (count(|outcome| matches!(outcome, Outcome::Failed { .. } | Outcome::Conflicted { .. })), "failed"),
        (count(|outcome| matches!(outcome, Outcome::Skipped { .. } | Outcome::Interrupted)), "not done"),
        (count(|outcome| matches!(outcome, Outcome::Deferred { .. })), "deferred"),
    ];
    parts.extend(others.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")));
    let mut text = format!("{} {}.", paint(BOLD, "Done:"), parts.join(", "));
    let continues = report
        .resources
        .iter()
        .any(|one| matches!(one.outcome, Outcome::Failed { .. } | Outcome::Interrupted | Outcome::Conflicted { .. }));
    text.push_str(&match &report.verification {
        Verification::AsDesired => String::from("\nVerified: live is as desired."),
        Verification::Incomplete => String::from("\nVerified in part: what could be read is as desired."),
        Verification::Differs { addresses } => {
            let names: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            format!("\nVerified: live is not yet as desired in {}.", names.join(", "))
        }
        Verification::Failed { why } => format!("\nNot verified: {}", escape(why)),
        Verification::NotNeeded => String::new(),
    });
    if continues {
        text.push_str("\nWhat is done stays done: run the same command again to go on from here.");
    }
    text
}

/// Returns an error with its hint.
pub fn error(message: &str, hint: Option<&str>) -> String {
    let mut text = format!("{} {}\n", paint(RED.bold(), "error:"), escape_lines(message));
    if let Some(hint) = hint {
        text.push_str(&format!("{} {}\n", paint(CYAN.bold(), "hint:"), escape_lines(hint)));
    }
    text
}

/// Returns the last line of an apply that had nothing to do.
pub fn idle(plan: &Plan) -> String {
    let summary = plan.summary();
    let incomplete = plan.gaps().next().is_some();
    let words = match () {
        () if summary.refused > 0 => "Nothing was done: what differs was refused.",
        () if summary.drifted > 0 => "Nothing was done: what differs was left alone.",
        () if incomplete => "Nothing was done: not all could be read.",
        () => "Nothing to do: live is as desired.",
    };
    format!("{words}\n")
}
