//! Plans and the results of an apply, as text.

use super::contents::{Text, Written, added, diff_lines};
use super::detail::{Detail, Section};
use super::listed::Listed;
use super::sheet::{self, Attention, AttentionKind, Entry, Field, Sheet, Tone, drift_text, refusal, version};
use super::total::Sums;
use super::{BOLD, CYAN, DIM, GREEN, RED, YELLOW, escape, escape_lines, paint};
use crate::change::FieldChange;
use crate::diagnostic::some;
use crate::error::Error;
use crate::explain;
use crate::kind::{Address, Line};
use crate::planfile::PlanFile;
use crate::policy::Direction;
use crate::reconcile::{Action, ApplyReport, Outcome, Plan, ResourcePlan, ResourceReport, Verification};
use crate::review::Review;

/// Returns a plan: its destination, each resource with its differences, the count, and what needs attention.
///
/// `width` is the number of columns; without it, lines are not wrapped.
pub fn plan(plan: &Plan, review: &Review, detail: Detail, width: Option<usize>) -> String {
    let sheet = Sheet::of(plan, review, detail);
    let page = Page { width };
    let mut text = target(plan);
    for section in &sheet.sections {
        text.push_str(&format!("\n{}\n", paint(BOLD, escape(&section.title))));
        section.entries.iter().for_each(|entry| page.entry(entry, &mut text));
        text.push_str(&count(section));
    }
    sheet.listed.iter().for_each(|one| text.push_str(&listed(one)));
    text.push_str(&format!("\n{} {}.\n", paint(BOLD, "Plan:"), sheet.summary));
    page.attention(&sheet.attention, &mut text);
    if !sheet.attention.is_empty() && !sheet.notes.is_empty() {
        text.push('\n');
    }
    for note in &sheet.notes {
        text.push_str(&page.wrapped("", "  ", &escape(note)));
    }
    text
}

/// Returns the line that counts the resources that are not listed.
fn count(section: &Section<'_>) -> String {
    section.count().map(|text| format!("  {}\n", paint(DIM, format!("= {text}")))).unwrap_or_default()
}

/// The layout of a text.
#[derive(Debug, Clone, Copy)]
struct Page {
    width: Option<usize>,
}

impl Page {
    /// Wraps a text. Each line ends with a line feed.
    fn wrapped(self, first: &str, rest: &str, text: &str) -> String {
        let Some(width) = self.width else { return format!("{first}{text}\n") };
        // A very narrow column is harder to read than a line that is too long.
        let width = width.max(40);
        let rest = if rest.len() > width / 2 { "          " } else { rest };
        // Names and ARNs are not broken at hyphens, so that they can be copied.
        let options = textwrap::Options::new(width)
            .initial_indent(first)
            .subsequent_indent(rest)
            .break_words(false)
            .word_splitter(textwrap::WordSplitter::NoHyphenation);
        textwrap::wrap(text, options).iter().map(|line| format!("{line}\n")).collect()
    }

    fn entry(self, entry: &Entry<'_>, text: &mut String) {
        let symbol = paint(style(entry.tone), entry.symbol);
        let line = format!("{}{}", escape(&entry.title), paint(DIM, escape(&entry.text)));
        text.push_str(&self.wrapped(&format!("  {symbol} "), "      ", &line));
        for gap in &entry.gaps {
            text.push_str(&self.wrapped("      ", "        ", &paint(YELLOW, escape(gap))));
        }
        if let Some(unmanaged_settings) = &entry.unmanaged_settings {
            text.push_str(&self.wrapped("      ", "        ", &paint(DIM, escape(unmanaged_settings))));
        }
        if let Some(changed) = &entry.changed {
            text.push_str(&self.wrapped("      ", "        ", &paint(DIM, escape(changed))));
        }
        self.remarks(entry, text);
        let width = self.column(entry.fields.iter().map(|field| field.change.path.as_str()));
        for field in &entry.fields {
            text.push_str(&self.field(field, width));
        }
        for line in entry.diffs.iter().flat_map(|diff| diff_lines(&diff.text)) {
            let style = match line.as_bytes().first() {
                Some(b'+') => GREEN,
                Some(b'-') => RED,
                Some(b'@') => CYAN,
                _ => DIM,
            };
            text.push_str(&format!("      {}\n", paint(style, escape_lines(line))));
        }
        entry.written.iter().for_each(|written| self.written(written, text));
        let width = self.column(entry.layout.iter().map(|line| line.name.as_str()));
        for Line { name, text: description } in &entry.layout {
            text.push_str(&self.row(&paint(DIM, escape(name)), name, width, &paint(DIM, escape(description))));
        }
    }

    /// A document that the resource is created with.
    fn written(self, written: &Written<'_>, text: &mut String) {
        let setting = written.setting.as_ref().map(|setting| escape(setting));
        match &written.text {
            Text::Own(content) => {
                if let Some(setting) = setting {
                    text.push_str(&format!("      {}\n", paint(DIM, format!("{setting}:"))));
                }
                for line in added(content) {
                    text.push_str(&format!("      {}\n", paint(GREEN, escape_lines(&line))));
                }
            }
            Text::As(other) => {
                let setting = setting.map(|setting| format!("{setting}: ")).unwrap_or_default();
                let description = format!("{setting}the same text as {}", escape(&other.to_string()));
                text.push_str(&self.wrapped("      ", "        ", &paint(DIM, description)));
            }
            // The line above names it, and its text is always the same.
            Text::DefaultDeny(_) => {}
        }
    }

    /// The meaning of a change, its failing test cases, and its lint findings.
    fn remarks(self, entry: &Entry<'_>, text: &mut String) {
        let mut push = |head: &str, place: usize, description: String| {
            let head = if place == 0 { head } else { "" };
            text.push_str(&self.wrapped(&format!("      {head:8}"), "                ", &description));
        };
        for (place, meaning) in entry.means.iter().enumerate() {
            let description = escape(&meaning.text);
            let description = match meaning.direction {
                Direction::Opens => paint(YELLOW, description),
                Direction::Closes | Direction::Moves => description,
                Direction::Same => paint(DIM, description),
            };
            push("Access:", place, description);
        }
        for (place, case) in entry.cases.iter().enumerate() {
            let before = case.before.as_ref().map(|before| format!("{before} -> ")).unwrap_or_default();
            let verdict = match case.passes {
                true => String::from("as expected"),
                false => paint(RED, format!("FAILS: expected {}", case.expected)),
            };
            let name = escape(&case.name);
            let description =
                format!("{name}: {before}{}, {verdict} ({}:{})", case.after, escape(&case.path), case.line);
            push("Cases:", place, description);
        }
        for (place, finding) in entry.findings.iter().enumerate() {
            let (code, message) = (finding.code.code(), escape(&finding.message));
            push("Lint:", place, format!("{} {message} ({})", paint(YELLOW, code), escape(&finding.location())));
        }
    }

    fn field(self, field: &Field<'_>, width: usize) -> String {
        let FieldChange { path, how, .. } = field.change;
        let loses = field.loses.map(|loses| paint(RED, format!("{loses}: "))).unwrap_or_default();
        let (live, desired) = (escape(&field.live), escape(&field.desired));
        let text = format!("{live} -> {desired} {}", paint(DIM, format!("({loses}{})", escape(how))));
        self.row(&escape(path), path, width, &text)
    }

    /// Returns the width of the column of names. Names that leave too little space for the second column are ignored.
    fn column<'n>(self, names: impl Iterator<Item = &'n str>) -> usize {
        let most = self.width.map_or(usize::MAX, |width| width.max(40) / 2 - 8);
        names.map(|name| escape(name).chars().count()).filter(|count| *count <= most).max().unwrap_or(0)
    }

    /// Returns a name and its text. The text is on the next line if the name is wider than the column.
    fn row(self, painted: &str, name: &str, width: usize, text: &str) -> String {
        match width.checked_sub(escape(name).chars().count()) {
            Some(room) => {
                let first = format!("      {painted}{}  ", " ".repeat(room));
                self.wrapped(&first, &" ".repeat(6 + width + 2), text)
            }
            None => format!("      {painted}\n{}", self.wrapped("        ", "        ", text)),
        }
    }

    fn attention(self, attention: &[Attention], text: &mut String) {
        if attention.is_empty() {
            return;
        }
        text.push_str(&format!("\n{}\n", paint(BOLD, "Needs attention:")));
        let width = attention.iter().map(|one| one.what.word().len()).max().unwrap_or(0);
        // The most important items come first.
        const MAX_SHOWN: usize = 50;
        for one in attention.iter().take(MAX_SHOWN) {
            let style = match one.what {
                AttentionKind::Refused | AttentionKind::Destructive | AttentionKind::CaseFails => RED,
                AttentionKind::Unknown | AttentionKind::Dependency | AttentionKind::Unusual => YELLOW,
            };
            let about = one.about.as_ref().map(|about| format!("{}: ", escape(about))).unwrap_or_default();
            let place = one.place.as_ref().map(|place| format!(" ({}:{})", escape(&place.path), place.line));
            let description = format!("{about}{}{}", escape(&one.text), paint(DIM, place.unwrap_or_default()));
            let first = format!("  {}  ", paint(style, format!("{:width$}", one.what.word())));
            text.push_str(&self.wrapped(&first, &" ".repeat(width + 4), &description));
        }
        if attention.len() > MAX_SHOWN {
            text.push_str(&format!("  … and {} more (all of them with --json)\n", attention.len() - MAX_SHOWN));
        }
    }
}

fn style(tone: Tone) -> anstyle::Style {
    match tone {
        Tone::Create => GREEN,
        Tone::Change | Tone::Unknown => YELLOW,
        Tone::Delete | Tone::Refused => RED,
        Tone::Same => DIM,
    }
}

/// Lists the live resources that are not in the manifest and are not changed.
pub(super) fn listed(Listed { title, names }: &Listed<'_>) -> String {
    const MAX_SHOWN: usize = 20;
    let mut text = format!("\n{}\n", paint(BOLD, title));
    for name in names.iter().take(MAX_SHOWN) {
        text.push_str(&format!("    {}\n", escape(name)));
    }
    if names.len() > MAX_SHOWN {
        text.push_str(&format!("    … and {} more (all of them with --json)\n", names.len() - MAX_SHOWN));
    }
    text
}

/// Returns the lines with account, region and filters.
pub fn target(plan: &Plan) -> String {
    sheet::target(plan).iter().map(|line| format!("{}\n", escape(line))).collect()
}

/// Returns the result of an apply, and whether everything is in sync now.
pub fn applied(plan: &Plan, report: &ApplyReport) -> String {
    let mut text = String::new();
    let nothing = Review::default();
    for section in &Sheet::of(plan, &nothing, Detail::Changes).sections {
        text.push_str(&format!("\n{}\n", paint(BOLD, escape(&section.title))));
        for entry in &section.entries {
            let report = report.resources.iter().find(|report| report.address == entry.resource.address);
            if let Some(report) = report {
                text.push_str(&ended(entry.resource, report));
            } else {
                let symbol = paint(style(entry.tone), entry.symbol);
                let description = paint(DIM, escape(&entry.text));
                text.push_str(&format!("  {symbol} {}{description}\n", escape(&entry.title)));
            }
        }
        text.push_str(&count(section));
    }
    text.push_str(&format!("\n{}\n", closing(plan, report)));
    text
}

/// Returns the part of one target in an output for several.
pub fn grouped(name: &str, body: &str) -> String {
    format!("{}\n{body}\n", paint(BOLD, format!("── Target {} ──", escape(name))))
}

/// Returns the line of a target.
pub fn in_one_line(name: &str, text: &str) -> String {
    format!("{} {}\n", paint(BOLD, format!("── Target {}:", escape(name))), escape(text))
}

/// Returns the sums over all targets.
pub(super) fn total(total: &Sums) -> String {
    let lines: String = total.lines().iter().map(|line| format!("  {}\n", escape(line))).collect();
    format!("\n{} {}.\n{lines}", paint(BOLD, "Total:"), total.describe())
}

/// Returns the lines that describe the origin of a saved plan.
pub fn plan_file(file: &PlanFile) -> String {
    let origin = &file.manifest;
    let paths: Vec<&str> = match origin.files.as_slice() {
        [] => vec![&origin.path],
        files => files.iter().map(|file| file.path.as_str()).collect(),
    };
    format!(
        "Saved plan of {} ({}), made by sentinel {}\n",
        escape(&some(&paths)),
        escape(&origin.digest),
        escape(&file.tool_version)
    )
}

/// Returns the name of a resource, as lines show it.
pub fn title(resource: &ResourcePlan) -> String {
    escape(&sheet::title(resource))
}

fn ended(resource: &ResourcePlan, report: &ResourceReport) -> String {
    let (style, symbol, text) = match &report.outcome {
        Outcome::Applied => match resource.action {
            Action::Create | Action::Finish => (GREEN, '+', String::from(" (created)")),
            Action::Delete => (RED, '-', String::from(" (deleted)")),
            _ => (GREEN, '~', format!(" (updated: {})", escape(&drift_text(resource)))),
        },
        Outcome::Unchanged if resource.is_removal() => (DIM, '=', format!(" (gone: {})", sheet::why_deleted(resource))),
        Outcome::Unchanged => (DIM, '=', format!(" (exists{})", version(resource))),
        Outcome::NotChanged => (YELLOW, '~', format!(" (drift: {}), not changed", escape(&drift_text(resource)))),
        Outcome::Refused if resource.is_removal() => (YELLOW, '-', format!(": {}", refusal(resource))),
        Outcome::Refused => {
            (YELLOW, '~', format!(" (drift: {}), {}", escape(&drift_text(resource)), refusal(resource)))
        }
        Outcome::Failed { why, .. } => (RED, 'X', format!(": {}", escape(why))),
        Outcome::Skipped { why } => (YELLOW, '?', format!(": skipped, {}", escape(why))),
        Outcome::Deferred { why } => (YELLOW, '~', format!(": deferred, {}", escape(why))),
        Outcome::Conflicted { why } => (RED, 'X', format!(": conflict, {}", escape(why))),
        Outcome::Interrupted => (YELLOW, 'X', String::from(": interrupted")),
        Outcome::OutOfTime => (YELLOW, 'X', String::from(": not done before the --timeout")),
    };
    let list = |what: &str, steps: &[String]| match steps {
        [] => String::new(),
        steps => format!("      {what}: {}\n", escape(&steps.join(", "))),
    };
    let mut steps = list("done", &report.done) + &list("not done", &report.not_done);
    if let Outcome::Failed { code: Some(code), .. } = report.outcome
        && let Some(hint) = explain::hint(code)
    {
        steps.push_str(&format!("      {code}: {hint}\n"));
    }
    format!("  {} {}{text}\n{}", paint(style, symbol), title(resource), paint(DIM, steps))
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
        (count(|outcome| *outcome == Outcome::NotChanged), "not changed"),
        (count(|outcome| matches!(outcome, Outcome::Failed { .. } | Outcome::Conflicted { .. })), "failed"),
        (
            count(|outcome| matches!(outcome, Outcome::Skipped { .. } | Outcome::Interrupted | Outcome::OutOfTime)),
            "not done",
        ),
        (count(|outcome| matches!(outcome, Outcome::Deferred { .. })), "deferred"),
    ];
    parts.extend(others.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")));
    let mut text = format!("{} {}.", paint(BOLD, "Done:"), parts.join(", "));
    let continues = report.resources.iter().any(|one| {
        matches!(
            one.outcome,
            Outcome::Failed { .. } | Outcome::Interrupted | Outcome::OutOfTime | Outcome::Conflicted { .. }
        )
    });
    text.push_str(&match &report.verification {
        Verification::InSync => String::from("\nVerified: everything is in sync."),
        Verification::Incomplete => String::from("\nVerified in part: everything that could be read is in sync."),
        Verification::Differs { addresses } => {
            let is_left = |address: &&Address| {
                let outcome = report.resources.iter().find(|one| one.address == **address).map(|one| &one.outcome);
                matches!(outcome, Some(Outcome::Refused | Outcome::NotChanged))
            };
            let (left, pending): (Vec<&Address>, Vec<&Address>) = addresses.iter().partition(is_left);
            let names = |all: &[&Address]| {
                let names: Vec<String> = all.iter().map(ToString::to_string).collect();
                escape(&some(&names))
            };
            let mut text = String::new();
            if !pending.is_empty() {
                text.push_str(&format!("\nVerified: not yet in sync in {}.", names(&pending)));
            }
            if !left.is_empty() {
                let verb = if left.len() == 1 { "differs" } else { "differ" };
                text.push_str(&format!("\nVerified: {} still {verb} from the manifest.", names(&left)));
            }
            text
        }
        Verification::Failed { why } => format!("\nNot verified: {}", escape(why)),
        Verification::NotNeeded => String::new(),
    });
    if continues {
        text.push_str("\nCompleted changes remain. Run the same command again to continue.");
    }
    text
}

/// Returns an error with its code and its hint.
pub fn error(error: &Error) -> String {
    error_of("", error)
}

/// Returns an error with its code and its hint; `about` begins its message, such as `target prod: `.
pub fn error_of(about: &str, error: &Error) -> String {
    let head = format!("{} {}", paint(RED.bold(), format!("error[{}]:", error.code())), escape(about));
    // Only the error's own line breaks are kept. A line break in a quoted text could start a forged message.
    let message = match error {
        Error::Refused(refusal) => std::iter::once(&refusal.message)
            .chain(&refusal.details)
            .map(|line| escape(line))
            .collect::<Vec<_>>()
            .join("\n  "),
        Error::Denied { message, .. } => escape_lines(message),
        other => escape(&other.to_string()),
    };
    let mut text = match error {
        Error::Faults(faults) => super::render_faults(faults),
        _ => String::new(),
    };
    text.push_str(&format!("{head}{message}\n"));
    if let Some(hint) = error.hint() {
        text.push_str(&format!("{} {}\n", paint(CYAN.bold(), "hint:"), escape(&hint)));
    }
    text
}

/// Returns the last line of an apply without changes.
pub fn idle(plan: &Plan) -> String {
    let summary = plan.summary();
    let incomplete = plan.gaps().next().is_some();
    let text = match () {
        () if summary.refused > 0 => "Nothing was done: the changes were refused.",
        () if summary.drifted > 0 => "Nothing was done: init does not change existing resources.",
        () if incomplete => "Nothing was done: not everything could be read.",
        () => "Nothing to do: everything is in sync.",
    };
    format!("{text}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fit_the_terminal_and_lose_nothing() {
        let text = "the hours of prod for alice widen to Monday to Friday 09:00\u{2013}20:00 (Europe/Zurich)";
        for width in [40, 60, 80, 160] {
            let page = Page { width: Some(width) };
            let lines = page.wrapped("      Access: ", "              ", &paint(YELLOW, text));
            let plain = super::super::without_color(&lines);
            assert!(plain.lines().all(|line| line.chars().count() <= width), "{plain}");
            assert_eq!(
                plain.split_whitespace().skip(1).collect::<Vec<_>>(),
                text.split_whitespace().collect::<Vec<_>>()
            );
        }
        // Without a width, lines are not wrapped.
        let page = Page { width: None };
        assert_eq!(page.wrapped("  ", "    ", text), format!("  {text}\n"));
    }

    #[test]
    fn a_word_too_long_for_the_line_is_not_broken() {
        let arn = "arn:aws:iam::123456789012:role/a-role-with-a-name-that-is-longer-than-the-line-it-is-on";
        let page = Page { width: Some(40) };
        assert!(page.wrapped("  ", "    ", &format!("as {arn}")).contains(arn));
    }
}
