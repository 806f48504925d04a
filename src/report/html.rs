//! Plans and status as one self-contained HTML file, without scripts and without external fonts or pictures.

use std::fmt::Write;

use super::contents::{Text, added, diff_lines};
use super::detail::Detail;
use super::escape_lines;
use super::gates;
use super::listed::{Listed, orphan_notes, orphans};
use super::markdown::{Part, html, parameter_state_text, state_text};
use super::picture;
use super::sheet::{AttentionKind, Entry, Field, Sheet, Tone};
use super::status::Status;
use super::total::{InSync, Sums};
use super::week;
use crate::error::Error;
use crate::kind::{Drawn, Layout, Line};
use crate::policy::Direction;

const STYLE: &str = include_str!("html.css");

/// Returns a page. Its content security policy allows no scripts and no external resources, even if text was not escaped.
pub(super) fn page(title: &str, body: &str) -> String {
    let title = html(title);
    let patterns = if body.contains("<div class=\"week\">") { week::PATTERNS } else { "" };
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n{patterns}<main>\n{body}</main>\n\
<footer>sentinel {}</footer>\n</body>\n</html>\n",
        env!("CARGO_PKG_VERSION")
    )
}

/// Returns the page for plans, one part for each target.
pub(super) fn plans(command: &str, parts: &[Part<'_>], detail: Detail, sums: &str) -> String {
    let mut body = String::new();
    for (name, part) in parts {
        let title = of_target(*name);
        let _ = writeln!(body, "<h1>sentinel {}{title}</h1>", html(command));
        match part {
            Ok((plan, review)) => body.push_str(&plan_body(&Sheet::of(plan, review, detail))),
            Err(error) => body.push_str(&failed(error)),
        }
    }
    body.push_str(sums);
    page(&format!("sentinel {command}"), &body)
}

/// Returns the page for the results of an apply, as text.
pub(super) fn applied(parts: &[(Option<&str>, String)], sums: &str) -> String {
    let mut body = String::new();
    for (name, text) in parts {
        let title = of_target(*name);
        let lines: String = text.lines().map(|line| html(line) + "\n").collect();
        let _ = writeln!(body, "<h1>sentinel apply{title}</h1>\n<pre>{lines}</pre>");
    }
    body.push_str(sums);
    page("sentinel apply", &body)
}

/// Returns the sums over all targets, and those that are in sync, a line each.
pub(super) fn total(total: &Sums, in_sync: &[(&str, InSync)]) -> String {
    let lines = |lines: Vec<String>| lines.iter().map(|line| format!("<li>{line}</li>\n")).collect::<String>();
    let same = in_sync.iter().map(|(name, settled)| format!("<code>{}</code>: {}", html(name), settled));
    let others = total.lines().iter().map(|line| html(line)).collect();
    format!(
        "<h1>Total</h1>\n<p class=\"summary\">{}</p>\n<ul>\n{}</ul>\n<ul>\n{}</ul>\n",
        html(&total.describe()),
        lines(others),
        lines(same.collect())
    )
}

/// Returns the part of a title that names a target. It may be broken after a slash, and not at a hyphen.
fn of_target(name: Option<&str>) -> String {
    let parts = name.map(|name| name.split('/').map(prose).collect::<Vec<_>>().join("/<wbr>"));
    parts.map(|parts| format!(" of {parts}")).unwrap_or_default()
}

fn failed(error: &Error) -> String {
    let hint = error.hint().map(|hint| format!("<p>{}</p>\n", html(&hint))).unwrap_or_default();
    let mut list = String::new();
    if let Error::Faults(faults) = error {
        for fault in faults {
            let line = fault.source.line(fault.span.start);
            let help = fault.help.as_ref().map(|help| format!("; {}", html(help))).unwrap_or_default();
            let _ = writeln!(
                list,
                "<li><code>{}:{line}</code> {}{help}</li>",
                html(&fault.source.path),
                html(&fault.message)
            );
        }
        list = format!("<ul>\n{list}</ul>\n");
    }
    let (code, message) = (error.code(), html(&error.to_string()));
    format!(
        "<section class=\"attention\">\n<p><b class=\"refused\">error[{code}]</b> {message}</p>\n{list}{hint}</section>\n"
    )
}

fn plan_body(sheet: &Sheet<'_>) -> String {
    let mut body = format!("<p class=\"summary\">{}</p>\n", html(&sheet.summary));
    if !sheet.attention.is_empty() {
        body.push_str("<section class=\"attention\">\n<h2>Needs attention</h2>\n<ul>\n");
        for one in &sheet.attention {
            let class = match one.what {
                AttentionKind::Refused | AttentionKind::Destructive | AttentionKind::CaseFails => "refused",
                AttentionKind::Unknown | AttentionKind::Dependency | AttentionKind::Unusual => "unknown",
            };
            let about = one.about.as_ref().map(|about| format!(" <code>{}</code>", html(about))).unwrap_or_default();
            let place = one.place.as_ref().map(|place| format!(" <small>{}:{}</small>", html(&place.path), place.line));
            let (word, place) = (one.what.word(), place.unwrap_or_default());
            let _ = writeln!(body, "<li><b class=\"{class}\">{word}</b>{about} {}{place}</li>", prose(&one.text));
        }
        body.push_str("</ul>\n</section>\n");
    }
    let target: Vec<String> = sheet.target.iter().map(|line| html(line)).collect();
    let _ = writeln!(body, "<p class=\"target\">{}</p>", target.join("<br>"));
    for section in &sheet.sections {
        let _ = writeln!(body, "<h2>{}</h2>", html(&section.title));
        section.entries.iter().for_each(|one| body.push_str(&entry(one)));
        if let Some(text) = section.count() {
            let _ = writeln!(body, "<p class=\"entry same\"><b class=\"mark\">=</b> {text}</p>");
        }
    }
    sheet.listed.iter().for_each(|one| body.push_str(&listed(one)));
    for note in &sheet.notes {
        let _ = writeln!(body, "<p>{}</p>", prose(note));
    }
    body
}

/// The maximum length of a word that is not broken. A longer word can be wider than the screen.
const MAX_UNBROKEN: usize = 32;

/// Returns words for HTML. A name, an option such as `--allow-destructive`, or hours are not broken at their hyphens. A long word, such as
/// an ARN or `dynamodb:DescribeContinuousBackups`, may be broken after a colon or a slash.
pub(super) fn prose(text: &str) -> String {
    let word = |word: &str| match word.len() <= MAX_UNBROKEN {
        true if word.contains(['-', '–']) => format!("<span class=\"whole\">{}</span>", html(word)),
        true => html(word),
        false => html(word).replace(':', ":<wbr>").replace('/', "/<wbr>"),
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

fn listed(Listed { title, names }: &Listed<'_>) -> String {
    let names: String = names.iter().map(|name| format!("<li><code>{}</code></li>", html(name))).collect();
    format!("<h2>{title}</h2>\n<ul>{names}</ul>\n")
}

const fn class(tone: Tone) -> &'static str {
    match tone {
        Tone::Create => "create",
        Tone::Change => "change",
        Tone::Delete => "delete",
        Tone::Refused => "refused",
        Tone::Unknown => "unknown",
        Tone::Same => "same",
    }
}

fn entry(entry: &Entry<'_>) -> String {
    let mut body = String::new();
    if !entry.gaps.is_empty() {
        let gaps: String = entry.gaps.iter().map(|gap| format!("<li>{}</li>", prose(gap))).collect();
        let _ = writeln!(body, "<ul class=\"unknown\">{gaps}</ul>");
    }
    if let Some(unmanaged_settings) = &entry.unmanaged_settings {
        let _ = writeln!(body, "<p><small>{}</small></p>", html(unmanaged_settings));
    }
    if let Some(changed) = &entry.changed {
        let _ = writeln!(body, "<p><small>{}</small></p>", html(changed));
    }
    remarks(entry, &mut body);
    if let Some(weeks) = week::of_plan(entry.resource) {
        let _ = writeln!(body, "<h3>Week</h3>\n{weeks}");
    }
    if !entry.fields.is_empty() {
        let rows: String = entry.fields.iter().map(field).collect();
        let head = "<thead><tr><th>setting</th><th>live</th><th>desired</th><th>how</th></tr></thead>";
        let _ = writeln!(body, "<table class=\"narrow\">{head}{rows}</table>");
    }
    for diff in &entry.diffs {
        let lines: String = diff_lines(&diff.text).map(diff_line).collect();
        let _ = writeln!(body, "<pre class=\"diff\"><code>{lines}</code></pre>");
    }
    for written in &entry.written {
        if let Some(setting) = &written.setting {
            let _ = writeln!(body, "<h3>{}</h3>", html(setting));
        }
        match &written.text {
            Text::Own(text) | Text::DefaultDeny(text) => {
                let lines: String = added(text).map(|line| diff_line(&line)).collect();
                let _ = writeln!(body, "<pre class=\"diff\"><code>{lines}</code></pre>");
            }
            Text::As(other) => {
                let _ = writeln!(body, "<p>the same text as <code>{}</code></p>", html(&other.to_string()));
            }
        }
    }
    if let Some(Drawn { sketch, rest }) = entry.resource.layout.as_deref().map(Layout::drawn) {
        let row = |Line { name, text: description }: &Line| {
            let (name, description) = (html(name), html(description));
            format!("<tr><td data-of=\"setting\"><code>{name}</code></td><td data-of=\"value\">{description}</td></tr>")
        };
        // A narrow page shows the same as a list, because the picture would be wider than the page.
        let list: String = sketch.iter().map(row).collect();
        let picture = picture::resource(&entry.resource.name, sketch);
        let _ = writeln!(body, "<div class=\"wide\" tabindex=\"0\">{}</div>", picture.trim_end());
        let name = html(&entry.resource.name);
        let _ = writeln!(body, "<table class=\"narrow instead\"><caption>{name}</caption>{list}</table>");
        // An existing resource can have other settings than a new one.
        let rows: String = rest.iter().filter(|_| !entry.layout.is_empty()).map(row).collect();
        if !rows.is_empty() {
            let head = "<thead><tr><th>setting</th><th>value</th></tr></thead>";
            let _ = writeln!(body, "<table class=\"narrow\">{head}{rows}</table>");
        }
    }
    let (symbol, class, word) = (entry.symbol, class(entry.tone), entry.tone.word());
    let place = entry.place.map(|place| format!(" <small>{}:{}</small>", html(&place.path), place.line));
    let (title, description, place) = (html(&entry.title), prose(&entry.text), place.unwrap_or_default());
    let head = format!("<b class=\"mark\">{symbol} {word}</b> <code>{title}</code><span>{description}</span>{place}");
    if body.is_empty() {
        return format!("<p class=\"entry {class}\">{head}</p>\n");
    }
    let open = if entry.has_details() { " open" } else { "" };
    format!("<details class=\"entry {class}\"{open}><summary>{head}</summary>\n{body}</details>\n")
}

fn remarks(entry: &Entry<'_>, body: &mut String) {
    let mut list = |title: &str, items: Vec<String>| {
        if !items.is_empty() {
            let _ = writeln!(body, "<h3>{title}</h3>\n<ul>{}</ul>", items.concat());
        }
    };
    let meaning = |one: &crate::policy::Meaning| {
        let class = match one.direction {
            Direction::Opens => "opens",
            Direction::Closes => "closes",
            Direction::Moves | Direction::Same => "same",
        };
        format!("<li class=\"{class}\">{}</li>", prose(&one.text))
    };
    list("Access", entry.means.iter().map(meaning).collect());
    let case = |one: &crate::review::CaseChange| {
        let before = one.before.map(|before| format!("{before} → ")).unwrap_or_default();
        let verdict = match one.passes {
            true => String::from("as expected"),
            false => format!("<b class=\"refused\">fails</b>: expected {}", one.expected),
        };
        let place = format!("<small>{}:{}</small>", html(&one.path), one.line);
        format!("<li>{}: {before}{}, {verdict} {place}</li>", html(&one.name), one.after)
    };
    list("Cases", entry.cases.iter().map(case).collect());
    let finding = |one: &crate::policy::lint::Finding| {
        let place = format!("<small>{}</small>", html(&one.location()));
        format!("<li><b class=\"unknown\">{}</b> {} {place}</li>", one.code.code(), html(&one.message))
    };
    list("Lint", entry.findings.iter().map(finding).collect());
}

fn field(field: &Field<'_>) -> String {
    let loses = field.loses.map(|loses| format!("<b class=\"refused\">{loses}</b>: ")).unwrap_or_default();
    let (path, live, desired) = (html(&field.change.path), html(&field.live), html(&field.desired));
    let how = prose(&field.change.how);
    format!(
        "<tr><td data-of=\"setting\"><code>{path}</code></td><td data-of=\"live\">{live}</td><td data-of=\"desired\">{desired}</td>\
         <td data-of=\"how\">{loses}{how}</td></tr>"
    )
}

/// Returns a line of a diff, with its sign in an element of its own.
fn diff_line(line: &str) -> String {
    let class = match line.as_bytes() {
        [b'+', b'+', b'+', b' ', ..] | [b'-', b'-', b'-', b' ', ..] => "file",
        [b'+', ..] => "add",
        [b'-', ..] => "del",
        [b'@', ..] => "hunk",
        _ => "ctx",
    };
    let text = escape_lines(line).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    // Each line is a block element, so a line feed after it would show as an empty line.
    format!("<span class=\"{class}\">{text}\n</span>")
}

/// Returns the page for a status.
pub(super) fn status(parts: &[(Option<&str>, Result<&Status, &Error>)], sums: &str) -> String {
    let mut body = String::new();
    for (name, part) in parts {
        let title = of_target(*name);
        let _ = writeln!(body, "<h1>sentinel status{title}</h1>");
        match part {
            Ok(status) => body.push_str(&status_body(status)),
            Err(error) => body.push_str(&failed(error)),
        }
    }
    body.push_str(sums);
    page("sentinel status", &body)
}

fn status_body(status: &Status) -> String {
    let place: Vec<String> = super::status::place(status).iter().map(|line| html(line)).collect();
    let mut body = format!("<p class=\"target\">{}</p>\n", place.join("<br>"));
    let row = |name: &str, state: &str, drift: &[String]| {
        let drift: Vec<String> = drift.iter().map(|path| format!("<code>{}</code>", html(path))).collect();
        let (name, state, drift) = (prose(name), html(state), drift.join(", "));
        format!(
            "<tr><td data-of=\"name\"><code>{name}</code></td><td data-of=\"state\">{state}</td>\
             <td data-of=\"differs\">{drift}</td></tr>"
        )
    };
    let mut table = |title: String, rows: String| {
        if !rows.is_empty() {
            let head = "<thead><tr><th>name</th><th>state</th><th>differs</th></tr></thead>";
            let _ = writeln!(body, "<h2>{title}</h2>\n<table class=\"narrow\">{head}{rows}</table>");
        }
    };
    let parameters = status.parameters.iter().map(|one| row(&one.profile, &parameter_state_text(one), &one.drift));
    table(format!("Policy parameters ({})", html(&status.policy_root)), parameters.collect());
    for resources in status.resources.values() {
        let rows = resources.iter().map(|one| row(&one.name, &state_text(&one.state), &one.drift));
        let heading = resources.first().map(|one| one.kind.about().heading).unwrap_or_default();
        table(format!("{heading} ({})", html(&status.region)), rows.collect());
    }
    let orphans = orphans(&status.orphans);
    if !orphans.names.is_empty() {
        body.push_str(&listed(&orphans));
    }
    for note in orphan_notes(&status.orphans).into_iter().chain(gates::notes(&status.gates)) {
        let _ = writeln!(body, "<p>{}</p>", html(&note));
    }
    for one in &status.suggestions {
        let _ = writeln!(body, "<p>{}: <code>{}</code></p>", html(&one.message), html(&one.command));
    }
    body
}
