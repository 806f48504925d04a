//! Plans and status as Markdown, for a comment on a pull request.
//!
//! All text of AWS or of a file is in code spans or fences, where GitHub mentions nobody, links nothing and interprets no HTML.
//! The delimiter of a span or fence is longer than any run of backticks in it, so that the text cannot end it.

use std::fmt::Write;

use super::contents::{Text, added, diff_lines};
use super::detail::Detail;
use super::gates;
use super::listed::{Listed, orphan_notes, orphans};
use super::sheet::{Attention, Entry, Field, Sheet, Tone};
use super::status::{ParameterStatus, ResourceStatus, State, Status};
use super::total::{InSync, Sums};
use super::{escape, escape_lines};
use crate::error::Error;
use crate::kind::Line;
use crate::policy::Direction;
use crate::reconcile::Plan;
use crate::review::Review;

/// The first line, by which a bot finds its own comment.
pub(super) const MARKER: &str = "<!-- sentinel: plan -->";

/// The maximum size of a comment in bytes. GitHub accepts 65,536 characters, and a bot may add some.
const LIMIT: usize = 60_000;
/// The maximum number of rows of a list before the differences.
const ROWS: usize = 60;

/// Returns text as a code span on one line.
pub(super) fn code(text: &str) -> String {
    let text = escape(text);
    if text.trim().is_empty() {
        return String::from("` `");
    }
    let fence = "`".repeat(longest_run(&text) + 1);
    // A backtick at either end would merge with the delimiter.
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// Returns text as a code span in a table cell, where a `|` must be escaped.
fn cell(text: &str) -> String {
    code(text).replace('|', "\\|")
}

fn longest_run(text: &str) -> usize {
    text.split(|letter| letter != '`').map(str::len).max().unwrap_or(0)
}

/// Returns text for HTML.
pub(super) fn html(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in escape(text).chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            letter => safe.push(letter),
        }
    }
    safe
}

/// Returns lines in a fence that is longer than any run of backticks in them.
fn fenced<'l>(language: &str, lines: impl Iterator<Item = &'l str>) -> String {
    let lines: String = lines.map(|line| escape_lines(line) + "\n").collect();
    let fence = "`".repeat(longest_run(&lines).max(2) + 1);
    format!("{fence}{language}\n{lines}{fence}\n")
}

/// One part of a comment: the plan of a target, or its error.
pub(super) type Part<'a> = (Option<&'a str>, Result<(&'a Plan, &'a Review), &'a Error>);

/// Returns the comment for plans, one for each target.
pub(super) fn plans(command: &str, parts: &[Part<'_>], detail: Detail) -> String {
    let mut text = format!("{MARKER}\n");
    let share = LIMIT / parts.len().max(1);
    let mut left = 0;
    for (name, part) in parts {
        let title = name.map(|name| format!(" of {}", code(&shortened(name)))).unwrap_or_default();
        let part = match part {
            Ok((plan, review)) => {
                comment((command, &title), &Sheet::of(plan, review, detail), detail, share.max(MIN_PART))
            }
            Err(error) => failed(command, &title, error, share.max(MIN_PART)),
        };
        // A part is included completely or not at all, because half of one could leave a fence open.
        if text.len() + part.len() < LIMIT {
            text.push_str(&part);
            text.push('\n');
        } else {
            left += 1;
        }
    }
    if left > 0 {
        let _ = writeln!(text, "**Shortened:** {left} more targets are not shown here.");
    }
    text
}

/// Returns the comment for the results of an apply, as text.
pub(super) fn applied(parts: &[(Option<&str>, String)]) -> String {
    let mut text = format!("{MARKER}\n");
    let mut left = 0;
    for (name, part) in parts {
        let title = name.map(|name| format!(" of {}", code(&shortened(name)))).unwrap_or_default();
        let part = format!("### sentinel apply{title}\n\n{}\n", fenced("text", part.trim_end().lines()));
        // A part is included completely or not at all, as for a plan.
        if text.len() + part.len() < LIMIT {
            text.push_str(&part);
        } else {
            left += 1;
        }
    }
    if left > 0 {
        let _ = writeln!(text, "**Shortened:** {left} more targets are not shown here.");
    }
    text
}

/// Returns the sums over all targets, and those that are in sync, a line each.
pub(super) fn total(total: &Sums, in_sync: &[(&str, InSync)]) -> String {
    let mut text = format!("**Total:** {}.\n", total.describe());
    let lines: Vec<String> = total.lines().iter().map(|line| format!("- {}\n", code(&shortened(line)))).collect();
    if !lines.is_empty() {
        text.push('\n');
        fill_list(&mut text, LIMIT / 20, &lines, 0);
    }
    if !in_sync.is_empty() {
        text.push_str("\n<details><summary>In sync</summary>\n\n");
        let shown = in_sync.iter().take(ROWS);
        let lines: Vec<String> =
            shown.map(|(name, settled)| format!("- {}: {}\n", code(&shortened(name)), settled)).collect();
        fill_list(&mut text, LIMIT / 15, &lines, in_sync.len().saturating_sub(ROWS));
        text.push_str("\n</details>\n");
    }
    text
}

/// The minimum size of the part of one of several targets, in bytes.
const MIN_PART: usize = 4_000;

/// Adds lines as long as they fit. Returns how many do not.
fn fill(text: &mut String, until: usize, lines: &[String]) -> usize {
    for (place, line) in lines.iter().enumerate() {
        if text.len() + line.len() > until {
            return lines.len() - place;
        }
        text.push_str(line);
    }
    0
}

/// The same for a list, with a line that counts what is left out. `beyond` is the number of items without a line.
fn fill_list(text: &mut String, until: usize, lines: &[String], beyond: usize) {
    let left = fill(text, until, lines) + beyond;
    if left > 0 {
        text.push_str(&format!("- … and {left} more\n"));
    }
}

/// The same for the rows of a table.
fn fill_table(text: &mut String, until: usize, rows: &[String], beyond: usize) {
    let left = fill(text, until, rows) + beyond;
    if left > 0 {
        text.push_str(&format!("| | … and {left} more | |\n"));
    }
}

/// Returns a text, shortened to fit in a list.
fn shortened(text: &str) -> String {
    const LETTERS: usize = 400;
    match text.char_indices().nth(LETTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn failed(command: &str, title: &str, error: &Error, limit: usize) -> String {
    let what = error.code();
    let mut text =
        format!("### sentinel {command}{title}: failed\n\n**{what}** {}\n", code(&shortened(&error.to_string())));
    if let Error::Faults(faults) = error {
        text.push('\n');
        let line = |fault: &crate::diagnostic::Fault| {
            let place = code(&shortened(&format!("{}:{}", fault.source.path, fault.source.line(fault.span.start))));
            let help = fault.help.as_ref().map(|help| format!("; {}", code(&shortened(help)))).unwrap_or_default();
            format!("- {place}: {}{help}\n", code(&shortened(&fault.message)))
        };
        let lines: Vec<String> = faults.iter().map(line).collect();
        fill_list(&mut text, limit / 2, &lines, 0);
    }
    if let Some(hint) = error.hint() {
        let _ = writeln!(text, "\nWhat to do: {}", code(&shortened(&hint)));
    }
    text
}

fn comment((command, title): (&str, &str), sheet: &Sheet<'_>, detail: Detail, limit: usize) -> String {
    let mut text = format!("### sentinel {command}{title}: {}\n\n", sheet.summary);
    if !sheet.attention.is_empty() {
        text.push_str("**Needs attention**\n\n");
        let lines: Vec<String> = sheet.attention.iter().map(attention).collect();
        fill_list(&mut text, limit / 4, &lines, 0);
        text.push('\n');
    }
    let mut shown: Vec<&Entry<'_>> =
        sheet.entries().filter(|entry| detail == Detail::All || entry.has_details()).collect();
    // Among changes of the same kind, those that give access come first.
    shown.sort_by_key(|entry| {
        (importance(entry.tone), !entry.means.iter().any(|one| one.direction == Direction::Opens))
    });
    if shown.is_empty() {
        text.push_str("Everything is in sync.\n\n");
    } else {
        text.push_str("| | resource | change |\n|---|---|---|\n");
        let rows: Vec<String> = shown.iter().take(ROWS).map(|entry| row(entry)).collect();
        fill_table(&mut text, limit / 2, &rows, shown.len() - rows.len());
        text.push('\n');
    }
    let foot = foot(sheet, limit / 6);
    // The least important differences come last, and so are the first to go.
    const SHORTENED: usize = 200;
    let budget = limit.saturating_sub(foot.len() + SHORTENED);
    let details: Vec<String> = shown.iter().map(|entry| details(entry)).filter(|part| !part.is_empty()).collect();
    let left = fill(&mut text, budget, &details);
    if left > 0 {
        let plural = if left == 1 { " is" } else { "s are" };
        let _ =
            writeln!(text, "**Shortened:** {left} more difference{plural} not shown here; see the complete plan.\n");
    }
    text + &foot
}

/// Returns the rank of a difference. A reviewer must see rank 0 first.
const fn importance(tone: Tone) -> u8 {
    match tone {
        Tone::Refused => 0,
        Tone::Delete => 1,
        Tone::Unknown => 2,
        Tone::Change => 3,
        Tone::Create => 4,
        Tone::Same => 5,
    }
}

fn attention(one: &Attention) -> String {
    let about = one.about.as_ref().map(|about| format!(" {}", code(&shortened(about)))).unwrap_or_default();
    let place =
        one.place.as_ref().map(|place| format!(" ({})", code(&shortened(&format!("{}:{}", place.path, place.line)))));
    format!("- **{}**{about}: {}{}\n", one.what.word(), code(&shortened(&one.text)), place.unwrap_or_default())
}

fn row(entry: &Entry<'_>) -> String {
    const MAX_NAMED: usize = 4;
    let paths: Vec<&str> = entry.resource.changes.iter().map(|change| change.path.as_str()).collect();
    let mut what: Vec<String> = paths.iter().take(MAX_NAMED).map(|path| cell(&shortened(path))).collect();
    if paths.len() > MAX_NAMED {
        what.push(format!("{} more", paths.len() - MAX_NAMED));
    }
    if paths.is_empty() {
        what.extend(entry.resource.origin.as_ref().map(|origin| cell(&shortened(origin))));
    }
    // The strongest grant comes first. The others are in the details.
    if let Some((strongest, folded)) = entry.means.split_first() {
        what.push(cell(&shortened(&strongest.text)));
        if !folded.is_empty() {
            what.push(format!("{} more", folded.len()));
        }
    }
    what.extend(entry.gaps.first().map(|gap| cell(&shortened(gap))));
    let word = format!("{} {}", entry.symbol, entry.tone.word());
    format!("| {} | {} | {} |\n", cell(&word), cell(&shortened(&entry.title)), what.join(", "))
}

/// Returns the details of an entry, folded; nothing if its row contains everything.
fn details(entry: &Entry<'_>) -> String {
    let mut body = String::new();
    let mut list = |head: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            let lines: String = lines.iter().map(|line| format!("- {line}\n")).collect();
            let _ = write!(body, "{head}\n\n{lines}\n");
        }
    };
    list("**Live**", entry.changed.iter().map(|changed| code(changed)).collect());
    list("**Access**", entry.means.iter().map(|meaning| code(&meaning.text)).collect());
    let case = |case: &crate::review::CaseChange| {
        let before = case.before.as_ref().map(|before| format!("{before} → ")).unwrap_or_default();
        let verdict = match case.passes {
            true => String::from("as expected"),
            false => format!("**fails**: expected {}", case.expected),
        };
        let place = code(&format!("{}:{}", case.path, case.line));
        format!("{}: {before}{}, {verdict} ({place})", code(&case.name), case.after)
    };
    list("**Cases**", entry.cases.iter().map(case).collect());
    let finding = |finding: &crate::policy::lint::Finding| {
        let place = code(&finding.location());
        format!("{} {} ({place})", finding.code.code(), code(&finding.message))
    };
    list("**Lint**", entry.findings.iter().map(finding).collect());
    list("**Not read**", entry.gaps.iter().map(|gap| code(gap)).collect());
    list(
        "**Not managed**",
        entry.unmanaged_settings.iter().map(|unmanaged_settings| code(unmanaged_settings)).collect(),
    );
    if !entry.fields.is_empty() {
        body.push_str("| setting | live | desired | how |\n|---|---|---|---|\n");
        entry.fields.iter().for_each(|field| body.push_str(&field_row(field)));
        body.push('\n');
    }
    if !entry.layout.is_empty() {
        body.push_str("| setting | value |\n|---|---|\n");
        for Line { name, text: description } in &entry.layout {
            let _ = writeln!(body, "| {} | {} |", cell(name), cell(description));
        }
        body.push('\n');
    }
    let named =
        |setting: &Option<String>| setting.as_ref().map(|one| format!("{}:\n\n", code(one))).unwrap_or_default();
    for diff in &entry.diffs {
        body.push_str(&named(&diff.setting));
        // The head of the diff would look like a removed and an added line.
        body.push_str(&fenced("diff", diff_lines(&diff.text).skip(2)));
        body.push('\n');
    }
    for written in &entry.written {
        body.push_str(&named(&written.setting));
        match &written.text {
            Text::Own(text) | Text::DefaultDeny(text) => {
                let lines: Vec<String> = added(text).collect();
                body.push_str(&fenced("diff", lines.iter().map(String::as_str)));
                body.push('\n');
            }
            Text::As(other) => {
                let _ = writeln!(body, "The same text as {}.\n", code(&other.to_string()));
            }
        }
    }
    if body.is_empty() {
        return body;
    }
    let summary = format!("{} <code>{}</code>{}", entry.symbol, html(&entry.title), html(&entry.text));
    format!("<details><summary>{summary}</summary>\n\n{body}</details>\n\n")
}

fn field_row(field: &Field<'_>) -> String {
    let loses = field.loses.map(|loses| format!("**{loses}**: ")).unwrap_or_default();
    let (path, how) = (cell(&field.change.path), cell(&field.change.how));
    format!("| {path} | {} | {} | {loses}{how} |\n", cell(&field.live), cell(&field.desired))
}

fn foot(sheet: &Sheet<'_>, limit: usize) -> String {
    let mut text = String::new();
    for note in &sheet.notes {
        let _ = writeln!(text, "{}\n", code(note));
    }
    sheet.listed.iter().for_each(|one| listed(one, limit, &mut text));
    let target: Vec<String> = sheet.target.iter().map(|line| code(&shortened(line))).collect();
    let _ = writeln!(text, "<sub>{} · sentinel {}</sub>", target.join(" · "), env!("CARGO_PKG_VERSION"));
    text
}

fn listed(Listed { title, names }: &Listed<'_>, limit: usize, text: &mut String) {
    let shown: Vec<String> = names.iter().take(20).map(|name| format!("- {}\n", code(&shortened(name)))).collect();
    let _ = writeln!(text, "{title}:\n");
    fill_list(text, limit, &shown, names.len() - shown.len());
    text.push('\n');
}

/// Returns the status as tables.
pub(super) fn status(parts: &[(Option<&str>, Result<&Status, &Error>)]) -> String {
    let mut text = String::new();
    for (name, part) in parts {
        let title = name.map(|name| format!(" of {}", code(name))).unwrap_or_default();
        match part {
            Ok(status) => text.push_str(&of_status(&title, status, LIMIT / parts.len().max(1))),
            Err(error) => text.push_str(&failed("status", &title, error, LIMIT / parts.len().max(1))),
        }
        text.push('\n');
    }
    text
}

fn of_status(title: &str, status: &Status, limit: usize) -> String {
    let place: Vec<String> = super::status::place(status).iter().map(|line| code(&shortened(line))).collect();
    let mut text = format!("### sentinel status{title}\n\n{}\n\n", place.join(" · "));
    if let Some(gap) = &status.parameters_unknown {
        let _ = writeln!(text, "Policy parameters: {}\n", code(&super::sheet::gap_text(gap)));
    }
    let drift = |drift: &[String]| drift.iter().map(|path| cell(path)).collect::<Vec<_>>().join(", ");
    if !status.parameters.is_empty() {
        let _ = writeln!(text, "| policy parameter ({}) | state | differs |\n|---|---|---|", cell(&status.policy_root));
        let row = |one: &ParameterStatus| {
            let state = parameter_state_text(one);
            format!("| {} | {} | {} |\n", cell(&one.profile), cell(&shortened(&state)), drift(&one.drift))
        };
        let rows: Vec<String> = status.parameters.iter().map(row).collect();
        fill_table(&mut text, limit / 2, &rows, 0);
        text.push('\n');
    }
    for resources in status.resources.values() {
        let Some(first) = resources.first() else { continue };
        let noun = first.kind.about().noun;
        let _ = writeln!(text, "| {noun} ({}) | state | differs |\n|---|---|---|", code(&status.region));
        let row = |one: &ResourceStatus| {
            let state = state_text(&one.state);
            format!("| {} | {} | {} |\n", cell(&one.name), cell(&shortened(&state)), drift(&one.drift))
        };
        let rows: Vec<String> = resources.iter().map(row).collect();
        fill_table(&mut text, limit * 9 / 10, &rows, 0);
        text.push('\n');
    }
    let orphans = orphans(&status.orphans);
    if !orphans.names.is_empty() {
        listed(&orphans, limit, &mut text);
    }
    for note in orphan_notes(&status.orphans).into_iter().chain(gates::notes(&status.gates)) {
        let _ = writeln!(text, "{}\n", code(&shortened(&note)));
    }
    for suggestion in &status.suggestions {
        let _ = writeln!(text, "- {}: {}", code(&suggestion.message), code(&suggestion.command));
    }
    text
}

/// Returns the state of a parameter with its version, and the time of its last change.
pub(super) fn parameter_state_text(one: &ParameterStatus) -> String {
    let version = one.version.map(|version| format!(" v{version}")).unwrap_or_default();
    let date = one.modified.map(|seconds| format!(" ({} UTC)", super::status::civil(seconds))).unwrap_or_default();
    format!("{}{version}{date}", state_text(&one.state))
}

/// Returns the state of a resource in the words of the text.
pub(super) fn state_text(state: &State) -> String {
    match state {
        State::Present { status, unmanaged_settings, items, progress } => {
            let status = status.clone().unwrap_or_else(|| String::from("exists"));
            let items = items.map(|items| format!("about {items} items"));
            let now = std::iter::once(status).chain(items).chain(progress.iter().cloned());
            now.chain(super::sheet::unmanaged_settings_line(unmanaged_settings)).collect::<Vec<_>>().join("; ")
        }
        State::NotFound => String::from("NOT FOUND"),
        State::Unknown { gaps } => gaps.iter().map(super::sheet::gap_text).collect::<Vec<_>>().join(", "),
    }
}

#[cfg(test)]
mod tests {
    use comrak::nodes::NodeValue;
    use comrak::{Arena, Options, parse_document};
    use proptest::prelude::*;

    use super::*;

    fn options() -> Options<'static> {
        let mut options = Options::default();
        options.extension.table = true;
        options.extension.strikethrough = true;
        options.extension.autolink = true;
        options
    }

    /// Returns what a renderer makes of Markdown: each node below the document, in order.
    fn nodes(markdown: &str) -> Vec<NodeValue> {
        let arena = Arena::new();
        let root = parse_document(&arena, markdown, &options());
        root.descendants().skip(1).map(|node| node.data.borrow().value.clone()).collect()
    }

    /// Text with everything that Markdown, HTML and GitHub interpret.
    fn hostile() -> impl Strategy<Value = String> {
        let pieces = prop_oneof![
            Just("`".to_owned()),
            Just("``".to_owned()),
            Just("```\n".to_owned()),
            Just("~~~".to_owned()),
            Just("|".to_owned()),
            Just("\\".to_owned()),
            Just("</code></details><img src=x>".to_owned()),
            Just("<!--".to_owned()),
            Just("@octocat".to_owned()),
            Just("#1".to_owned()),
            Just("\n".to_owned()),
            Just("\r".to_owned()),
            Just(" ".to_owned()),
            Just("\u{202e}".to_owned()),
            Just("- x".to_owned()),
            Just("&lt;".to_owned()),
            Just("https://x.example".to_owned()),
            "\\PC{0,4}",
        ];
        proptest::collection::vec(pieces, 0..12).prop_map(|pieces| pieces.concat())
    }

    /// Returns a plan of so many resources that cannot be read, with a long message each: built from its own JSON.
    fn plan_of(resources: usize) -> Plan {
        let gap = |place: usize| serde_json::json!({ "action": "ssm:GetParameters", "denied": false, "message": "x".repeat(2000 + place) });
        let resource = |place: usize| {
            serde_json::json!({
                "address": format!("profiles.p{place}"), "name": format!("/p/{}", "n".repeat(200)), "label": "p", "action": "unknown",
                "if_absent": [], "live": {}, "changes": [], "unknown": [gap(place)], "steps": [], "fingerprint": { "state": "unknown" },
            })
        };
        let plan = serde_json::json!({
            "target": { "region": "us-east-1", "region_source": "a test", "policy_root": "/p", "caller": null },
            "scope": { "intent": "converge", "prune": false, "adopt": false, "only": [], "exclude": [], "allow": [] },
            "resources": (0..resources).map(resource).collect::<Vec<_>>(),
            "unmanaged": (0..resources).map(|place| serde_json::json!({ "kind": "table", "name": format!("{place}-{}", "t".repeat(900)) })).collect::<Vec<_>>(),
        });
        serde_json::from_value(plan).unwrap()
    }

    /// For one target or fifty, with few or many resources, the comment is within GitHub's limit and its parts are complete.
    #[test]
    fn comments_fit_for_any_number_of_targets_and_resources() {
        let nothing = Review::default();
        let error = Error::usage("e".repeat(70_000), "h".repeat(70_000));
        for (targets, resources) in [(1, 0), (1, 3), (1, 500), (3, 100), (50, 40), (200, 5)] {
            let plans_of: Vec<Plan> = (0..targets).map(|_| plan_of(resources)).collect();
            let name = "t".repeat(100);
            let mut parts: Vec<Part<'_>> =
                plans_of.iter().map(|plan| (Some(name.as_str()), Ok((plan, &nothing)))).collect();
            parts.push((Some("failing"), Err(&error)));
            let text = plans("plan", &parts, Detail::Changes);
            assert!(text.len() < 65_000, "{targets} of {resources}: {}", text.len());
            assert_eq!(text.matches("<details>").count(), text.matches("</details>").count());
            let rendered = nodes(&text);
            let open =
                rendered.iter().filter(|node| matches!(node, NodeValue::CodeBlock(block) if !block.closed)).count();
            assert_eq!(open, 0, "{targets} of {resources}");
        }
    }

    proptest! {
        #[test]
        fn code_spans_contain_all_of_their_text_escaped(text in hostile()) {
            let found = nodes(&format!("x {} y", code(&text)));
            let codes: Vec<&NodeValue> = found.iter().filter(|node| matches!(node, NodeValue::Code(_))).collect();
            prop_assert!(found.len() == 4 && codes.len() == 1, "{found:?}");
            let NodeValue::Code(span) = codes[0] else { unreachable!() };
            // A span's text is stripped of one space at each end when both have one.
            let escaped = escape(&text);
            prop_assert_eq!(span.literal.trim(), escaped.trim());
        }

        #[test]
        fn a_cell_stays_one_cell(text in hostile()) {
            let found = nodes(&format!("| a | b |\n|---|---|\n| {} | end |\n", cell(&text)));
            let cells = found.iter().filter(|node| matches!(node, NodeValue::TableCell)).count();
            prop_assert_eq!(cells, 4);
            prop_assert!(matches!(found.last(), Some(NodeValue::Text(text)) if text.trim() == "end"), "{:?}", found);
        }

        #[test]
        fn fences_contain_all_of_their_lines(text in hostile()) {
            let found = nodes(&format!("{}\nend\n", fenced("diff", text.split('\n'))));
            prop_assert_eq!(found.len(), 3, "{:?}", found);
            let NodeValue::CodeBlock(block) = &found[0] else { panic!("{found:?}") };
            prop_assert_eq!(&block.literal, &(escape_lines(&text) + "\n"));
        }

        #[test]
        fn text_in_html_has_no_tags(text in hostile()) {
            let safe = html(&text);
            prop_assert!(!safe.contains(['<', '>', '"', '\'', '\n']), "{safe}");
        }
    }
}
