//! Plans and status as Markdown, for a comment on a pull request.
//!
//! Whatever came from AWS or a file stands in code: there GitHub pings nobody, links nothing, and obeys no HTML. A code
//! span or fence is always longer than any run of backticks in it, so that nothing gets out.

use std::fmt::Write;

use super::sheet::{Attention, Entry, Field, Sheet, Tone, diff_lines};
use super::status::{State, Status};
use super::{escape, escape_lines};
use crate::error::Error;
use crate::reconcile::Plan;
use crate::review::Review;

/// By this a bot finds its own comment again.
pub(super) const MARKER: &str = "<!-- sentinel: plan -->";

/// The most bytes of a comment: GitHub takes 65,536 characters, and whoever posts this may add to it.
const LIMIT: usize = 60_000;
/// The most rows of a list that comes before the differences.
const ROWS: usize = 60;

/// Returns text as a code span on one line.
pub(super) fn code(text: &str) -> String {
    let text = escape(text);
    if text.trim().is_empty() {
        return String::from("` `");
    }
    let fence = "`".repeat(longest_run(&text) + 1);
    // A span never begins or ends with its own fence.
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// Returns text as a code span in a table's cell, which a bar would end.
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

/// Returns lines in a fence that none of them ends.
fn fenced<'l>(language: &str, lines: impl Iterator<Item = &'l str>) -> String {
    let lines: String = lines.map(|line| escape_lines(line) + "\n").collect();
    let fence = "`".repeat(longest_run(&lines).max(2) + 1);
    format!("{fence}{language}\n{lines}{fence}\n")
}

/// One part of a comment: the plan of a target, or what kept it from being made.
pub(super) type Part<'a> = (Option<&'a str>, Result<(&'a Plan, &'a Review), &'a Error>);

/// Returns the comment for plans, one for each target.
pub(super) fn plans(command: &str, parts: &[Part<'_>]) -> String {
    let mut text = format!("{MARKER}\n");
    let share = (LIMIT - text.len()) / parts.len().max(1);
    for (name, part) in parts {
        let title = name.map(|name| format!(" of {}", code(name))).unwrap_or_default();
        match part {
            Ok((plan, review)) => text.push_str(&comment(command, &title, &Sheet::of(plan, review), share)),
            Err(error) => text.push_str(&failed(command, &title, error)),
        }
        text.push('\n');
    }
    text
}

fn failed(command: &str, title: &str, error: &Error) -> String {
    let what = error.code();
    let mut text = format!("### sentinel {command}{title}: failed\n\n**{what}** {}\n", code(&error.to_string()));
    if let Error::Faults(faults) = error {
        text.push('\n');
        for fault in faults.iter().take(ROWS) {
            let place = code(&format!("{}:{}", fault.source.path, fault.source.line(fault.span.start)));
            let help = fault.help.as_ref().map(|help| format!("; {}", code(help))).unwrap_or_default();
            let _ = writeln!(text, "- {place}: {}{help}", code(&fault.message));
        }
    }
    if let Some(hint) = error.hint() {
        let _ = writeln!(text, "\nWhat to do: {}", code(&hint));
    }
    text
}

fn comment(command: &str, title: &str, sheet: &Sheet<'_>, limit: usize) -> String {
    let mut text = format!("### sentinel {command}{title}: {}\n\n", sheet.summary);
    text.push_str(&attention(&sheet.attention));
    let mut shown: Vec<&Entry<'_>> = sheet.entries().filter(|entry| entry.says_something()).collect();
    shown.sort_by_key(|entry| importance(entry.tone));
    if shown.is_empty() {
        text.push_str("Live is as desired.\n\n");
    } else {
        text.push_str("| | resource | what changes |\n|---|---|---|\n");
        for entry in shown.iter().take(ROWS) {
            text.push_str(&row(entry));
        }
        if shown.len() > ROWS {
            let _ = writeln!(text, "| | … and {} more | |", shown.len() - ROWS);
        }
        text.push('\n');
    }
    let foot = foot(sheet);
    // The least important differences come last, and so are the first to go.
    const SHORTENED: usize = 200;
    let budget = limit.saturating_sub(foot.len() + SHORTENED);
    let details: Vec<String> = shown.iter().map(|entry| details(entry)).filter(|part| !part.is_empty()).collect();
    let mut left = details.len();
    for part in &details {
        if text.len() + part.len() > budget {
            break;
        }
        text.push_str(part);
        left -= 1;
    }
    if left > 0 {
        let plural = if left == 1 { " is" } else { "s are" };
        let _ =
            writeln!(text, "**Shortened:** {left} more difference{plural} not shown here; the whole plan has them.\n");
    }
    text + &foot
}

/// Returns the place of a difference among others: 0 is what a reviewer must see first.
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

fn attention(attention: &[Attention]) -> String {
    if attention.is_empty() {
        return String::new();
    }
    let mut text = String::from("**Needs attention**\n\n");
    for one in attention.iter().take(ROWS / 2) {
        let about = one.about.as_ref().map(|about| format!(" {}", code(about))).unwrap_or_default();
        let place = one.place.as_ref().map(|place| format!(" ({})", code(&format!("{}:{}", place.path, place.line))));
        let (word, place) = (one.what.word(), place.unwrap_or_default());
        let _ = writeln!(text, "- **{word}**{about}: {}{place}", code(&one.words));
    }
    if attention.len() > ROWS / 2 {
        let _ = writeln!(text, "- … and {} more", attention.len() - ROWS / 2);
    }
    text + "\n"
}

fn row(entry: &Entry<'_>) -> String {
    const NAMED: usize = 4;
    let paths: Vec<&str> = entry.resource.changes.iter().map(|change| change.path.as_str()).collect();
    let mut what: Vec<String> = paths.iter().take(NAMED).map(|path| cell(path)).collect();
    if paths.len() > NAMED {
        what.push(format!("{} more", paths.len() - NAMED));
    }
    if paths.is_empty() {
        what.extend(entry.resource.origin.as_ref().map(|origin| cell(origin)));
    }
    // The first of what it means stands for the rest, which is in the details.
    if let Some(meaning) = entry.means.first() {
        what.push(cell(&meaning.words));
    }
    what.extend(entry.gaps.first().map(|gap| cell(gap)));
    let word = format!("{} {}", entry.symbol, entry.tone.word());
    format!("| {} | {} | {} |\n", cell(&word), cell(&entry.title), what.join(", "))
}

/// Returns what there is to see of an entry, folded; nothing where its row says all.
fn details(entry: &Entry<'_>) -> String {
    let mut body = String::new();
    let mut list = |head: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            let lines: String = lines.iter().map(|line| format!("- {line}\n")).collect();
            let _ = write!(body, "{head}\n\n{lines}\n");
        }
    };
    list("**Access**", entry.means.iter().map(|meaning| code(&meaning.words)).collect());
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
        let place = code(&format!("{}:{}", finding.path, finding.line));
        format!("{} {} ({place})", finding.code.code(), code(&finding.message))
    };
    list("**Lint**", entry.findings.iter().map(finding).collect());
    list("**Not read**", entry.gaps.iter().map(|gap| code(gap)).collect());
    if !entry.fields.is_empty() {
        body.push_str("| setting | live | desired | how |\n|---|---|---|---|\n");
        entry.fields.iter().for_each(|field| body.push_str(&field_row(field)));
        body.push('\n');
    }
    if !entry.layout.is_empty() {
        body.push_str("| setting | value |\n|---|---|\n");
        for (name, words) in &entry.layout {
            let _ = writeln!(body, "| {} | {} |", cell(name), cell(words));
        }
        body.push('\n');
    }
    if let Some(diff) = &entry.diff {
        // The head would look like a line that goes and one that comes.
        body.push_str(&fenced("diff", diff_lines(diff).skip(2)));
        body.push('\n');
    }
    if body.is_empty() {
        return body;
    }
    let summary = format!("{} <code>{}</code>{}", entry.symbol, html(&entry.title), html(&entry.words));
    format!("<details><summary>{summary}</summary>\n\n{body}</details>\n\n")
}

fn field_row(field: &Field<'_>) -> String {
    let loses = field.loses.map(|loses| format!("**{loses}**: ")).unwrap_or_default();
    let (path, how) = (cell(&field.change.path), cell(&field.change.how));
    format!("| {path} | {} | {} | {loses}{how} |\n", cell(&field.live), cell(&field.desired))
}

fn foot(sheet: &Sheet<'_>) -> String {
    let mut text = String::new();
    for note in &sheet.notes {
        let _ = writeln!(text, "{}\n", code(note));
    }
    for (title, names) in &sheet.unmanaged {
        let names: Vec<String> = names.iter().take(20).map(|name| code(name)).collect();
        let _ = writeln!(text, "{title}: {}\n", names.join(", "));
    }
    let target: Vec<String> = sheet.target.iter().map(|line| code(line)).collect();
    let _ = writeln!(text, "<sub>{} · sentinel {}</sub>", target.join(" · "), env!("CARGO_PKG_VERSION"));
    text
}

/// Returns the status as tables.
pub(super) fn status(parts: &[(Option<&str>, Result<&Status, &Error>)]) -> String {
    let mut text = String::new();
    for (name, part) in parts {
        let title = name.map(|name| format!(" of {}", code(name))).unwrap_or_default();
        match part {
            Ok(status) => text.push_str(&of_status(&title, status)),
            Err(error) => text.push_str(&failed("status", &title, error)),
        }
        text.push('\n');
    }
    text
}

fn of_status(title: &str, status: &Status) -> String {
    let mut text = format!("### sentinel status{title}\n\n");
    if let Some(gap) = &status.parameters_unknown {
        let _ = writeln!(text, "Policy parameters: {}\n", code(&super::sheet::gap_words(gap)));
    }
    let drift = |drift: &[String]| drift.iter().map(|path| cell(path)).collect::<Vec<_>>().join(", ");
    if !status.parameters.is_empty() {
        let _ = writeln!(text, "| policy parameter ({}) | state | differs |\n|---|---|---|", cell(&status.policy_root));
        for one in &status.parameters {
            let version = one.version.map(|version| format!(" v{version}")).unwrap_or_default();
            let state = format!("{}{version}", state_words(&one.state));
            let _ = writeln!(text, "| {} | {} | {} |", cell(&one.profile), cell(&state), drift(&one.drift));
        }
        text.push('\n');
    }
    if !status.tables.is_empty() {
        let _ = writeln!(text, "| table ({}) | state | differs |\n|---|---|---|", cell(&status.region));
        for one in &status.tables {
            let _ =
                writeln!(text, "| {} | {} | {} |", cell(&one.name), cell(&state_words(&one.state)), drift(&one.drift));
        }
        text.push('\n');
    }
    for suggestion in &status.suggestions {
        let _ = writeln!(text, "- {}: {}", code(&suggestion.message), code(&suggestion.command));
    }
    text
}

/// Returns the state of a resource in the words of the text.
pub(super) fn state_words(state: &State) -> String {
    match state {
        State::Present { status } => status.clone().unwrap_or_else(|| String::from("exists")),
        State::NotFound => String::from("NOT FOUND"),
        State::Unknown { gaps } => gaps.iter().map(super::sheet::gap_words).collect::<Vec<_>>().join(", "),
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

    /// Text with all that Markdown, HTML and GitHub make something of.
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

    proptest! {
        #[test]
        fn a_code_span_holds_all_of_its_text_and_nothing_gets_out(text in hostile()) {
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
        fn a_fence_holds_all_of_its_lines(text in hostile()) {
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
