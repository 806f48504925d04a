//! Requests, break-glass events and sessions, as text for people.

use jiff::Timestamp;

use super::{BOLD, DIM, GREEN, RED, YELLOW, escape, paint};
use crate::access::breakglass::{self, Event};
use crate::access::locks::Lock;
use crate::access::requests::{self, Request};
use crate::access::sessions::{self, Session};

/// The title and the layout of a list.
#[derive(Debug, Clone, Copy)]
pub struct Listing<'a> {
    pub what: &'a str,
    /// The filters, each with the word before it.
    pub by: &'a [(&'a str, Option<&'a str>)],
    pub table: &'a str,
    /// Whether there are more.
    pub more: bool,
    pub now: Timestamp,
    /// The number of columns of the terminal, if there is one.
    pub width: Option<usize>,
}

/// The maximum length of a text in a list. The output for one record has the complete text.
const CELL: usize = 60;

/// The minimum width of the last column.
const MIN_LAST_COLUMN: usize = 8;
/// The minimum width of a column that is cut.
const MIN_COLUMN: usize = 12;

/// A cell: its text and its style.
pub(super) type Cell = (String, Option<anstyle::Style>);

pub(super) fn plain(text: &str) -> Cell {
    (cut(escape(text), CELL), None)
}

fn cut(text: String, room: usize) -> String {
    if text.chars().count() <= room { text } else { text.chars().take(room - 1).chain(['…']).collect() }
}

/// Returns a time relative to now. The output for one record has the absolute time.
pub(super) fn relative(at: Timestamp, now: Timestamp) -> Cell {
    let seconds = at.as_second() - now.as_second();
    let (count, unit) = match seconds.unsigned_abs() {
        count @ 0..60 => (count, "s"),
        count @ 60..3600 => (count / 60, "m"),
        count @ 3600..172_800 => (count / 3600, "h"),
        count => (count / 86_400, "d"),
    };
    (if seconds > 0 { format!("in {count}{unit}") } else { format!("{count}{unit} ago") }, None)
}

fn civil(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Returns a list with its title, its columns, and a note if there are more records.
fn list(listing: &Listing<'_>, heads: &[&str], rows: &[Vec<Cell>]) -> String {
    let by: String =
        listing.by.iter().filter_map(|(word, value)| value.map(|value| format!(" {word} {}", escape(value)))).collect();
    let mut text = format!("{}\n", paint(BOLD, format!("{}{by} ({}), newest first", listing.what, listing.table)));
    text.push_str(&columns(listing.width, heads, rows));
    if listing.more {
        text.push_str("\nThere are more: --limit N shows more, --all shows all.\n");
    }
    text
}

/// Returns a table with column heads. The last column gets the rest of the width.
///
/// Lines fit the width unless that would make a column narrower than twelve letters.
pub(super) fn columns(width: Option<usize>, heads: &[&str], rows: &[Vec<Cell>]) -> String {
    if rows.is_empty() {
        return String::from("\n  none\n");
    }
    let of_column = |column: usize| {
        let cells = rows.iter().map(|row| row[column].0.chars().count());
        cells.chain([heads[column].chars().count()]).max().unwrap_or(0)
    };
    let mut widths: Vec<usize> = (0..heads.len()).map(of_column).collect();
    // The last column has the long texts, and gets the rest of the width.
    let last = heads.len() - 1;
    let others = |widths: &[usize]| widths[..last].iter().map(|width| width + 2).sum::<usize>() + 2;
    // Names that are too long are cut, except in the first column: users copy its IDs and keys.
    while width.is_some_and(|width| others(&widths) + widths[last].min(MIN_LAST_COLUMN) > width) {
        let widest = (1..last).filter(|column| widths[*column] > MIN_COLUMN).max_by_key(|column| widths[*column]);
        let Some(widest) = widest else { break };
        widths[widest] -= 1;
    }
    let others = others(&widths);
    let room = width.map_or(usize::MAX, |width| width.saturating_sub(others)).max(MIN_LAST_COLUMN);
    widths[last] = widths[last].min(room);
    let line = |cells: Vec<(String, usize)>| {
        let padded: Vec<String> = cells
            .into_iter()
            .zip(&widths)
            // The escape codes of colors have no width.
            .map(|((cell, seen), width)| format!("{cell}{}", " ".repeat(width.saturating_sub(seen))))
            .collect();
        format!("  {}\n", padded.join("  ").trim_end())
    };
    let head = heads.iter().map(|head| (paint(DIM, head), head.chars().count())).collect();
    let mut text = format!("\n{}", line(head));
    for row in rows {
        let cells = row.iter().enumerate().map(|(column, (cell, style))| {
            let cell = cut(cell.clone(), if column == last { room } else { widths[column] });
            let seen = cell.chars().count();
            (style.map_or_else(|| cell.clone(), |style| paint(style, &cell)), seen)
        });
        text.push_str(&line(cells.collect()));
    }
    text
}

/// Returns one record: its title, and a line for each field that is not empty.
fn record(title: &str, status: &Cell, fields: &[(&str, Option<String>)]) -> String {
    let status = status.1.map_or_else(|| status.0.clone(), |style| paint(style, &status.0));
    let mut text = format!("{}: {status}\n", paint(BOLD, title));
    for (name, value) in fields {
        if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
            text.push_str(&format!("  {name:<14} {}\n", escape(value)));
        }
    }
    text
}

pub(super) fn when(at: Timestamp) -> String {
    format!("{} UTC", civil(at))
}

/// Returns a duration as text, such as `1h 30m`.
fn lasting(seconds: i64) -> String {
    let parts = [(seconds / 3600, "h"), (seconds % 3600 / 60, "m"), (seconds % 60, "s")];
    let parts: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, unit)| format!("{count}{unit}")).collect();
    parts.join(" ")
}

fn request_status(status: requests::Status) -> Cell {
    use requests::Status;
    let style = match status {
        Status::Pending => YELLOW,
        Status::Approved => GREEN,
        Status::Denied | Status::Revoked | Status::Invalid => RED,
        Status::Cancelled | Status::Expired => DIM,
    };
    (status.word().to_owned(), Some(style))
}

/// Returns whether the expiry of a request says when its state ends or ended. The other states are final.
const fn can_expire(status: requests::Status) -> bool {
    use requests::Status;
    match status {
        Status::Pending | Status::Approved | Status::Expired => true,
        Status::Denied | Status::Revoked | Status::Cancelled | Status::Invalid => false,
    }
}

/// Returns the cell of an expiry, if the record still has one.
fn expires(at: Option<Timestamp>, now: Timestamp) -> Cell {
    at.map_or_else(|| (String::from("-"), None), |at| relative(at, now))
}

/// Returns a list of requests.
pub fn requests(listing: &Listing<'_>, requests: &[Request]) -> String {
    let heads = ["ID", "STATUS", "PROFILE", "REQUESTER", "CREATED", "EXPIRES", "WHY"];
    let row = |one: &Request| {
        vec![
            plain(&one.id),
            request_status(one.status),
            plain(&one.profile),
            plain(&one.requester),
            relative(one.created_at, listing.now),
            expires(Some(one.expires_at).filter(|_| can_expire(one.status)), listing.now),
            plain(&one.justification),
        ]
    };
    list(listing, &heads, &requests.iter().map(row).collect::<Vec<_>>())
}

/// Returns one request.
pub fn request(one: &Request) -> String {
    use requests::Status;
    let until = match one.status {
        Status::Pending => "answer by",
        Status::Approved => "lasts until",
        _ => "ended",
    };
    let shown = can_expire(one.status);
    let fields = [
        ("profile", Some(one.profile.clone())),
        ("requester", Some(one.requester.clone())),
        ("ARN", Some(one.requester_arn.clone())),
        ("justification", Some(one.justification.clone())),
        ("for", Some(lasting(one.duration))),
        ("created", Some(when(one.created_at))),
        (until, Some(when(one.expires_at)).filter(|_| shown)),
        ("decided by", one.decided_by.clone()),
        ("decided", one.decided_at.map(when)),
        ("comment", one.comment.clone()),
        ("revoked by", one.revoked_by.clone()),
        ("revoked", one.revoked_at.map(when)),
        ("why", one.revoked_reason.clone()),
        ("invalid", one.problem.clone()),
    ];
    record(&format!("Request {}", escape(&one.id)), &request_status(one.status), &fields)
}

fn lock_status(lock: &Lock) -> Cell {
    if lock.in_force() { (String::from("locked"), Some(RED)) } else { (String::from("unlocked"), Some(DIM)) }
}

/// Returns one lock.
pub fn lock(one: &Lock) -> String {
    let fields = [
        ("profile", Some(one.profile.clone())),
        ("locked by", Some(one.locked_by.clone())),
        ("locked", Some(when(one.locked_at))),
        ("why", one.reason.clone()),
        ("unlocked by", one.unlocked_by.clone()),
        ("unlocked", one.unlocked_at.map(when)),
    ];
    record(&format!("User {}", escape(&one.user)), &lock_status(one), &fields)
}

/// The locks of a profile in a table.
#[derive(Debug, Clone, Copy)]
pub struct LockListing<'a> {
    pub profile: &'a str,
    pub table: &'a str,
    pub locks: &'a [Lock],
}

/// Returns the locks of a profile.
pub fn locks(LockListing { profile, table, locks }: LockListing<'_>) -> String {
    if locks.is_empty() {
        return format!("Nobody is locked out of {} ({}).\n", escape(profile), escape(table));
    }
    locks.iter().map(lock).collect::<Vec<_>>().join("\n")
}

fn event_status(status: breakglass::Status) -> Cell {
    use breakglass::Status;
    let style = match status {
        Status::Active => RED,
        Status::Invalid => YELLOW,
        Status::Closed | Status::Expired => DIM,
    };
    (status.word().to_owned(), Some(style))
}

/// Returns a list of break-glass events.
pub fn events(listing: &Listing<'_>, events: &[Event]) -> String {
    let heads = ["ID", "STATUS", "PROFILE", "INVOKER", "REASON", "CREATED", "EXPIRES", "WHY"];
    let row = |one: &Event| {
        vec![
            plain(&one.id),
            event_status(one.status),
            plain(&one.profile),
            plain(&one.invoker),
            plain(&one.reason_code),
            relative(one.created_at, listing.now),
            expires(Some(one.expires_at).filter(|_| one.status != breakglass::Status::Closed), listing.now),
            plain(&one.justification),
        ]
    };
    list(listing, &heads, &events.iter().map(row).collect::<Vec<_>>())
}

/// Returns one break-glass event.
pub fn event(one: &Event) -> String {
    let until = if one.status == breakglass::Status::Active { "lasts until" } else { "ended" };
    let shown = one.status != breakglass::Status::Closed;
    let fields = [
        ("profile", Some(one.profile.clone())),
        ("invoker", Some(one.invoker.clone())),
        ("invoker ARN", one.invoker_arn.clone()),
        ("reason", Some(one.reason_code.clone())),
        ("justification", Some(one.justification.clone())),
        ("created", Some(when(one.created_at))),
        (until, Some(when(one.expires_at)).filter(|_| shown)),
        ("closed by", one.closed_by.clone()),
        ("closed", one.closed_at.map(when)),
        ("why", one.closed_reason.clone()),
        ("not honored", one.problem.map(|problem| problem.explanation().to_owned())),
    ];
    record(&format!("Break-glass event {}", escape(&one.id)), &event_status(one.status), &fields)
}

fn session_status(status: sessions::Status) -> Cell {
    use sessions::Status;
    let style = match status {
        Status::Active => GREEN,
        Status::Revoked => RED,
        Status::Ended | Status::Expired => DIM,
    };
    (status.word().to_owned(), Some(style))
}

/// Returns a list of sessions.
pub fn sessions(listing: &Listing<'_>, sessions: &[Session]) -> String {
    let heads = ["ID", "STATUS", "PROFILE", "USER", "STARTED", "LAST SEEN", "SERVER"];
    let row = |one: &Session| {
        vec![
            plain(&one.id),
            session_status(one.status),
            plain(&one.profile),
            plain(&one.user),
            relative(one.started_at, listing.now),
            relative(one.last_seen_at, listing.now),
            plain(&one.server_instance_id),
        ]
    };
    list(listing, &heads, &sessions.iter().map(row).collect::<Vec<_>>())
}

/// Returns one session.
pub fn session(one: &Session) -> String {
    let fields = [
        ("profile", Some(one.profile.clone())),
        ("user", Some(one.user.clone())),
        ("user ARN", one.user_arn.clone()),
        ("server", Some(one.server_instance_id.clone())),
        ("stamp", Some(one.source_identity.clone())),
        ("started", Some(when(one.started_at))),
        ("last seen", Some(when(one.last_seen_at))),
        ("revoked by", one.revoked_by.clone()),
        ("revoked", one.revoked_at.map(when)),
        ("why", one.revoked_reason.clone()),
    ];
    record(&format!("Session {}", escape(&one.id)), &session_status(one.status), &fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: requests::Status, justification: &str) -> Request {
        let at = |seconds: i64| Timestamp::from_second(1_767_225_600 + seconds).unwrap();
        Request {
            id: String::from("0123456789abcdef"),
            requester: String::from("alice@example.com"),
            requester_arn: String::from("arn:aws:sts::123456789012:assumed-role/dev/alice@example.com"),
            requester_id: None,
            profile: String::from("prod"),
            justification: justification.to_owned(),
            duration: 5400,
            status,
            created_at: at(0),
            expires_at: at(5400),
            decided_by: None,
            decided_by_arn: None,
            decided_at: None,
            comment: None,
            revoked_by: None,
            revoked_by_arn: None,
            revoked_at: None,
            revoked_reason: None,
            problem: None,
        }
    }

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn a_list_fits_a_terminal_of_eighty_columns() {
        let heads = ["ID", "STATUS", "PROFILE", "REQUESTER", "CREATED", "WHY"];
        let cells = |profile: &str, requester: &str| -> Vec<Cell> {
            let why = "Deploy the hotfix to production because the database is down";
            ["0123456789abcdef", "pending", profile, requester, "29s ago", why]
                .map(|cell| (cell.to_owned(), None))
                .into()
        };
        let name = "alexander.montgomery-smith@subsidiary.example.com";
        let rows = [cells("prod", name), cells("a-profile-with-a-rather-long-name", "bob")];
        let text = plain(&columns(Some(80), &heads, &rows));
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(text.contains("0123456789abcdef") && text.contains("bob"), "{text}");
        assert!(text.contains("Deploy …"), "{text}");
        let whole = plain(&columns(None, &heads, &rows));
        assert!(whole.contains(name) && !whole.contains('…'), "{whole}");
    }

    #[test]
    fn lists_have_columns_and_a_note_about_more_records() {
        let long = "x".repeat(70);
        let found = [
            of(requests::Status::Pending, "Deploy the hotfix"),
            of(requests::Status::Approved, &long),
            of(requests::Status::Denied, "bad\u{1b}[31m\nline\u{202e}"),
        ];
        let by = [("by", Some("alice@example.com")), ("for", None), ("that are", None)];
        let listing = Listing {
            what: "Requests",
            by: &by,
            table: "sentinel-requests",
            more: true,
            now: of(requests::Status::Pending, "").created_at,
            width: None,
        };
        insta::assert_snapshot!(plain(&requests(&listing, &found)), @r"
        Requests by alice@example.com (sentinel-requests), newest first

          ID                STATUS    PROFILE  REQUESTER          CREATED  EXPIRES  WHY
          0123456789abcdef  pending   prod     alice@example.com  0s ago   in 1h    Deploy the hotfix
          0123456789abcdef  approved  prod     alice@example.com  0s ago   in 1h    xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
          0123456789abcdef  denied    prod     alice@example.com  0s ago   -        bad\u{1b}[31m\nline\u{202e}

        There are more: --limit N shows more, --all shows all.
        ");
        let now = Timestamp::from_second(1_767_225_600 + 3 * 86_400).unwrap();
        let narrow = Listing { more: false, now, width: Some(80), ..listing };
        insta::assert_snapshot!(plain(&requests(&narrow, &found)), @r"
        Requests by alice@example.com (sentinel-requests), newest first

          ID                STATUS    PROFILE  REQUESTER      CREATED  EXPIRES  WHY
          0123456789abcdef  pending   prod     alice@exampl…  3d ago   2d ago   Deploy …
          0123456789abcdef  approved  prod     alice@exampl…  3d ago   2d ago   xxxxxxx…
          0123456789abcdef  denied    prod     alice@exampl…  3d ago   -        bad\u{1…
        ");
        let none = requests(&Listing { more: false, ..listing }, &[]);
        insta::assert_snapshot!(plain(&none), @r"
        Requests by alice@example.com (sentinel-requests), newest first

          none
        ");
    }

    #[test]
    fn records_show_only_fields_with_values() {
        insta::assert_snapshot!(plain(&request(&of(requests::Status::Pending, "Deploy the hotfix"))), @r"
        Request 0123456789abcdef: pending
          profile        prod
          requester      alice@example.com
          ARN            arn:aws:sts::123456789012:assumed-role/dev/alice@example.com
          justification  Deploy the hotfix
          for            1h 30m
          created        2026-01-01 00:00:00 UTC
          answer by      2026-01-01 01:30:00 UTC
        ");
        let decided = Request {
            decided_by: Some(String::from("bob")),
            decided_at: Some(Timestamp::from_second(1_767_225_660).unwrap()),
            comment: Some(String::from("not\ntoday")),
            ..of(requests::Status::Denied, "Deploy the hotfix")
        };
        insta::assert_snapshot!(plain(&request(&decided)), @r"
        Request 0123456789abcdef: denied
          profile        prod
          requester      alice@example.com
          ARN            arn:aws:sts::123456789012:assumed-role/dev/alice@example.com
          justification  Deploy the hotfix
          for            1h 30m
          created        2026-01-01 00:00:00 UTC
          decided by     bob
          decided        2026-01-01 00:01:00 UTC
          comment        not\ntoday
        ");
        let revoked = Request {
            revoked_by: Some(String::from("carol")),
            revoked_at: Some(Timestamp::from_second(1_767_225_720).unwrap()),
            revoked_reason: Some(String::from("it is over")),
            ..of(requests::Status::Revoked, "Deploy the hotfix")
        };
        insta::assert_snapshot!(plain(&request(&revoked)), @r"
        Request 0123456789abcdef: revoked
          profile        prod
          requester      alice@example.com
          ARN            arn:aws:sts::123456789012:assumed-role/dev/alice@example.com
          justification  Deploy the hotfix
          for            1h 30m
          created        2026-01-01 00:00:00 UTC
          revoked by     carol
          revoked        2026-01-01 00:02:00 UTC
          why            it is over
        ");
    }
}
