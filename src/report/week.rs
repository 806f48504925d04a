//! The week of a policy as HTML: a picture for each group of users, before and after a change, with a table of the same content.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::escape_lines;
use super::html::{page, prose};
use super::markdown::html;
use crate::diagnostic::{Faults, Source};
use crate::policy::calendar::{Access, Calendar, Row, Times, Week, Windows, calendar};
use crate::policy::{Meaning, parse};
use crate::reconcile::ResourcePlan;
use crate::review::contents;

/// Whether a week is compared with an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compared {
    /// There is no earlier week.
    Alone,
    Change,
}

/// Returns the weeks of a policy that a plan writes; nothing if the time decides about nobody.
pub(super) fn of_plan(resource: &ResourcePlan) -> Option<String> {
    let contents = contents(resource)?;
    let read = |text: &str| parse(&Source::new(resource.name.clone(), text), &mut Faults::default());
    let (before, after) = (contents.live.and_then(read), read(contents.desired)?);
    let calendar = calendar(&resource.address.key, before.as_ref(), Some(&after));
    let compared = if contents.live.is_some() { Compared::Change } else { Compared::Alone };
    calendar.has_windows().then(|| weeks(&calendar, compared))
}

/// A version of a profile's policy, as its page shows it.
#[derive(Debug)]
pub struct PolicyPage<'a> {
    pub profile: &'a str,
    pub parameter: &'a str,
    pub version: i64,
    /// When it was written and by whom, if known.
    pub facts: Vec<String>,
    /// The version with which it is compared.
    pub before: Option<i64>,
    pub text: &'a str,
    pub calendar: &'a Calendar,
    /// The meaning of the change.
    pub means: &'a [Meaning],
}

/// Returns the page of a policy: who gets access when, and its text.
pub fn policy(shown: &PolicyPage<'_>) -> String {
    let title = format!("Policy of {}, version {}", shown.profile, shown.version);
    let mut body = format!("<h1>{}</h1>\n", html(&title));
    let facts: Vec<String> = std::iter::once(format!("<code>{}</code>", html(shown.parameter)))
        .chain(shown.facts.iter().map(|fact| html(fact)))
        .collect();
    let _ = writeln!(body, "<p class=\"target\">{}</p>", facts.join("<br>"));
    if let Some(before) = shown.before {
        let means: String = shown.means.iter().map(|one| format!("<li>{}</li>", html(&one.text))).collect();
        let _ = writeln!(body, "<h2>Changed since version {before}</h2>\n<ul>{means}</ul>");
    }
    let compared = if shown.before.is_some() { Compared::Change } else { Compared::Alone };
    let _ = writeln!(body, "<h2>Who gets access when</h2>\n<h3>Week</h3>\n{}", weeks(shown.calendar, compared));
    let text: String = shown.text.lines().map(|line| html(&escape_lines(line)) + "\n").collect();
    let _ = writeln!(body, "<h2>Text</h2>\n<pre>{text}</pre>");
    page(&title, &body)
}

/// Returns the weeks of everyone, with a legend if there are pictures.
fn weeks(calendar: &Calendar, compared: Compared) -> String {
    let mut body = String::from("<div class=\"week\">\n");
    if calendar.has_windows() {
        body.push_str(&legend(compared));
    }
    let nobody = Times::Always { before: Access::Denied, after: Access::Denied };
    let mut zones: BTreeMap<&str, bool> = BTreeMap::new();
    for week in calendar.weeks.iter().filter(|week| week.times != nobody) {
        let _ = writeln!(body, "<h4>{}</h4>", html(&name(week)));
        match &week.times {
            Times::Always { before, after } => {
                let was = was(compared, *before, *after);
                let _ = writeln!(body, "<p>At any time: {}{was}</p>", after.describe());
            }
            Times::SeveralZones => {
                body.push_str("<p>Not drawn: the time windows of these users are in several time zones.</p>\n");
            }
            Times::Windows(windows) => {
                body.push_str(&drawn(&name(week), windows, compared));
                zones.insert(&windows.zone, windows.changes_clocks);
            }
        }
    }
    let denied: Vec<String> =
        calendar.weeks.iter().filter(|week| week.times == nobody).map(|week| html(&name(week))).collect();
    if !denied.is_empty() {
        let _ = writeln!(body, "<p>At no time: {}</p>", denied.join("; "));
    }
    for (zone, changes_clocks) in zones {
        let zone = html(zone);
        let text = match changes_clocks {
            true => format!(
                "{zone} changes its clocks: the hours stay the same there and move in UTC. A skipped hour gives no access; a \
                 repeated hour counts twice."
            ),
            false => format!("{zone} does not change its clocks."),
        };
        let _ = writeln!(body, "<p><small>{text}</small></p>");
    }
    if calendar.overlaps {
        body.push_str("<p>Callers who match several patterns of principals are not shown.</p>\n");
    }
    body + "</div>\n"
}

fn name(week: &Week) -> String {
    let mode = week.mode.map(|mode| format!(" (mode {mode})")).unwrap_or_default();
    format!("{}{mode}", week.who)
}

fn was(compared: Compared, before: Access, after: Access) -> String {
    let changed = compared == Compared::Change && before != after;
    if changed { format!(", was {}", before.describe()) } else { String::new() }
}

/// Returns the pictures of a week and its table.
fn drawn(who: &str, windows: &Windows, compared: Compared) -> String {
    let changes = compared == Compared::Change && windows.rows.iter().any(|row| row.before != row.after);
    let mut body = String::from("<div class=\"pictures\">\n");
    if changes {
        body.push_str(&figure(who, windows, Side::Before));
    }
    body.push_str(&figure(who, windows, if changes { Side::After } else { Side::Only }));
    body.push_str(&table(&windows.rows, if changes { Compared::Change } else { Compared::Alone }));
    body.push_str("</div>\n");
    body
}

/// Returns the rows of a week as a table, with everything that its pictures show.
fn table(rows: &[Row], compared: Compared) -> String {
    let changes = compared == Compared::Change;
    let row = |row: &Row| {
        let times = row.times.iter().map(|times| prose(times)).collect::<Vec<_>>().join("<br>");
        let (before, after) = (row.before.describe(), row.after.describe());
        if !changes {
            return format!("<tr><td data-of=\"time\">{times}</td><td data-of=\"access\">{after}</td></tr>");
        }
        let change = match row.after.cmp(&row.before) {
            std::cmp::Ordering::Greater => "<b class=\"opens\">more access</b>",
            std::cmp::Ordering::Less => "<b>less access</b>",
            std::cmp::Ordering::Equal => "same",
        };
        format!(
            "<tr><td data-of=\"time\">{times}</td><td data-of=\"before\">{before}</td><td data-of=\"after\">{after}</td>\
             <td data-of=\"change\">{change}</td></tr>"
        )
    };
    let head = match changes {
        true => "<thead><tr><th>time</th><th>before</th><th>after</th><th>change</th></tr></thead>",
        false => "<thead><tr><th>time</th><th>access</th></tr></thead>",
    };
    let rows: String = rows.iter().map(row).collect();
    format!("<div class=\"text\"><table class=\"narrow\">{head}{rows}</table></div>\n")
}

/// Which week a picture shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Before,
    After,
    Only,
}

/// The x coordinate of the first day.
const LEFT: usize = 30;
const TOP: usize = 18;
/// The width of a day.
const DAY: usize = 34;
/// The height of an hour. One unit is five minutes.
const HOUR: usize = 12;
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// Returns a week as a picture: a column for each day, from midnight down to midnight.
fn figure(who: &str, windows: &Windows, side: Side) -> String {
    let caption = match side {
        Side::Before => "before",
        Side::After => "after",
        Side::Only => "week",
    };
    let access = |before: Access, after: Access| if side == Side::Before { before } else { after };
    let (width, height) = (LEFT + 7 * DAY + 2, TOP + 24 * HOUR + 6);
    let said: Vec<String> = windows
        .rows
        .iter()
        .map(|row| format!("{} {}", row.times.join(", "), access(row.before, row.after).describe()))
        .collect();
    let label = html(&format!("{who}, {caption}, {}: {}", windows.zone, said.join("; ")));
    let zone = html(&windows.zone);
    let mut body = format!(
        "<figure><figcaption>{caption}, {zone}</figcaption><svg viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" \
         aria-label=\"{label}\"><rect class=\"day\" x=\"{LEFT}\" y=\"{TOP}\" width=\"{}\" height=\"{}\"/>",
        7 * DAY,
        24 * HOUR
    );
    for span in &windows.spans {
        let class = match access(span.before, span.after) {
            Access::Denied => continue,
            Access::Approval => "approval",
            Access::Server => "server",
            Access::Allowed => "allowed",
        };
        let _ = write!(body, "<rect class=\"{class}\" {}/>", area(span.day, span.start, span.end));
    }
    for (day, name) in DAYS.iter().enumerate() {
        let x = LEFT + day * DAY;
        let _ = write!(body, "<text x=\"{}\" y=\"12\" class=\"name\">{name}</text>", x + DAY / 2);
        let _ = write!(body, "<path d=\"M{x} {TOP}v{}\"/>", 24 * HOUR);
    }
    for hour in (0..=24).step_by(3) {
        let y = TOP + hour * HOUR;
        let _ = write!(body, "<text x=\"{}\" y=\"{}\" class=\"hour\">{hour:02}</text>", LEFT - 4, y + 4);
        let _ = write!(body, "<path d=\"M{LEFT} {y}h{}\"/>", 7 * DAY);
    }
    if side == Side::After {
        for span in windows.spans.iter().filter(|span| span.before != span.after) {
            let class = if span.after > span.before { "gain" } else { "loss" };
            let _ = write!(body, "<rect class=\"{class}\" {}/>", area(span.day, span.start, span.end));
        }
    }
    body + "</svg></figure>\n"
}

/// Returns the rectangle of a part of a day.
fn area(day: usize, start: u16, end: u16) -> String {
    // One unit is five minutes.
    let units = |minutes: u16| (usize::from(minutes) / 5, usize::from(minutes) % 5 * 2);
    let ((from, from_rest), (high, high_rest)) = (units(start), units(end - start));
    format!(
        "x=\"{}\" y=\"{}.{from_rest}\" width=\"{}\" height=\"{high}.{high_rest}\"",
        LEFT + day * DAY + 1,
        TOP + from,
        DAY - 2
    )
}

/// Returns the legend: the meaning of the fills and frames.
fn legend(compared: Compared) -> String {
    let item = |class: &str, text: &str| {
        format!(
            "<li><svg width=\"20\" height=\"14\" aria-hidden=\"true\"><rect class=\"day\" x=\"1\" y=\"1\" width=\"18\" height=\"12\"/>\
             <rect class=\"{class}\" x=\"1\" y=\"1\" width=\"18\" height=\"12\"/></svg> {text}</li>"
        )
    };
    let mut items = String::new();
    for access in Access::ALL {
        let class = match access {
            Access::Denied => "denied",
            Access::Approval => "approval",
            Access::Server => "server",
            Access::Allowed => "allowed",
        };
        items.push_str(&item(class, access.describe()));
    }
    if compared == Compared::Change {
        items.push_str(&item("gain", "more access than before"));
        items.push_str(&item("loss", "less access than before"));
    }
    format!("<ul class=\"legend\">{items}</ul>\n")
}

/// The patterns of the fills, for the whole page. Each answer has its own pattern, so that color is not needed to distinguish them.
pub(super) const PATTERNS: &str = "<svg width=\"0\" height=\"0\" class=\"patterns\" aria-hidden=\"true\"><defs>\
<pattern id=\"week-approval\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">\
<rect width=\"3\" height=\"6\"/></pattern>\
<pattern id=\"week-server\" width=\"6\" height=\"4\" patternUnits=\"userSpaceOnUse\"><rect width=\"6\" height=\"2\"/></pattern>\
</defs></svg>\n";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;

    fn policy(hours: &str) -> Policy {
        let text = format!(
            "version: \"1\"\nrules:\n  - name: office\n    effect: allow\n    conditions:\n      users: [alice, <b>]\n      time: {hours}\n\
             \x20 - {{ name: rest, effect: require_approval, conditions: {{ users: [carol] }} }}\n"
        );
        let mut faults = Faults::default();
        parse(&Source::new("p", text), &mut faults).unwrap_or_else(|| panic!("{:?}", faults.into_sorted()))
    }

    #[test]
    fn a_week_is_drawn_to_the_minute_and_described_in_text() {
        let before = policy("{ days: [monday], hours: { start: \"09:00\", end: \"17:00\" }, timezone: Europe/Zurich }");
        let after = policy("{ days: [monday], hours: { start: \"09:00\", end: \"17:07\" }, timezone: Europe/Zurich }");
        let text = weeks(&calendar("prod", Some(&before), Some(&after)), Compared::Change);
        // Eight hours are 96 units, from nine hours below the top.
        assert!(text.contains("<rect class=\"allowed\" x=\"31\" y=\"126.0\" width=\"32\" height=\"96.0\"/>"), "{text}");
        assert!(text.contains("<rect class=\"gain\" x=\"31\" y=\"222.0\" width=\"32\" height=\"1.4\"/>"), "{text}");
        let row = [
            "<td data-of=\"time\">Monday <span class=\"whole\">17:00–17:07</span></td>",
            "<td data-of=\"before\">no access</td>",
            "<td data-of=\"after\">allowed</td>",
        ];
        assert!(text.contains(&row.concat()), "{text}");
        assert!(text.contains("<h4>carol</h4>\n<p>At any time: with approval</p>"), "{text}");
        assert!(text.contains("<p>At no time: others</p>") || text.contains("<p>At no time: everyone but"), "{text}");
        assert!(text.contains("&lt;b&gt;") && !text.contains("<b> "), "{text}");
        assert_eq!(text.matches("Europe/Zurich changes its clocks").count(), 1, "{text}");
        let alone = weeks(&calendar("prod", None, Some(&after)), Compared::Alone);
        assert_eq!(alone.matches("<figure>").count(), 1, "{alone}");
        assert!(!alone.contains("before"), "{alone}");
    }
}
