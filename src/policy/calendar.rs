//! Access by time of the week, before and after a policy change. Pure and exact, like [`meaning`](super::meaning): the week is divided
//! where a window starts or ends.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::meaning::{Outcome, Subject, outcome_at, schedule};
use super::times::{self, covers_week};
use super::week::{Piece, UserClass, Zones, overlapping, pieces, user_classes, zone};
use super::{Mode, Policy};

/// The condition of access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    Denied,
    Approval,
    Server,
    Allowed,
}

impl Access {
    /// Every answer.
    pub const ALL: [Self; 4] = [Self::Allowed, Self::Approval, Self::Server, Self::Denied];

    pub const fn describe(self) -> &'static str {
        match self {
            Self::Denied => "no access",
            Self::Approval => "with approval",
            Self::Server => "through a credential server",
            Self::Allowed => "allowed",
        }
    }

    fn of(outcome: Outcome<'_>) -> Self {
        match outcome {
            Outcome::Deny => Self::Denied,
            Outcome::Approval { .. } => Self::Approval,
            Outcome::Session(_) | Outcome::Server => Self::Server,
            Outcome::Allow => Self::Allowed,
        }
    }
}

/// A part of a day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// From 0, a Monday.
    pub day: usize,
    /// In minutes of the day.
    pub start: u16,
    pub end: u16,
    pub before: Access,
    pub after: Access,
}

/// The times with equal answers before the change, and equal answers after it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// Such as "Monday to Friday 09:00–17:00".
    pub times: Vec<String>,
    pub before: Access,
    pub after: Access,
}

/// The week of the users with equal answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Week {
    /// "alice and bob".
    pub who: String,
    /// The mode, if the policy distinguishes modes.
    pub mode: Option<&'static str>,
    pub times: Times,
}

/// The answers by time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Times {
    /// The same answer at any time.
    Always {
        before: Access,
        after: Access,
    },
    Windows(Windows),
    /// The windows are in several time zones, which no single local time covers.
    SeveralZones,
}

/// A week that is divided by windows, in local time of one zone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Windows {
    pub zone: String,
    /// Whether the zone has daylight saving time.
    pub changes_clocks: bool,
    /// The whole week, in order.
    pub spans: Vec<Span>,
    pub rows: Vec<Row>,
}

/// The weeks of all groups of users that a policy distinguishes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Calendar {
    pub weeks: Vec<Week>,
    /// Whether a caller can match several patterns of principals, and is then in none of these weeks.
    pub overlaps: bool,
}

impl Calendar {
    /// Returns whether any answer depends on the time.
    pub fn has_windows(&self) -> bool {
        self.weeks.iter().any(|week| !matches!(week.times, Times::Always { .. }))
    }
}

/// Returns the weeks of a profile's policy. A policy that does not exist, or cannot be read, denies all access.
pub fn calendar(profile: &str, before: Option<&Policy>, after: Option<&Policy>) -> Calendar {
    let sides = [before, after];
    let both = || sides.into_iter().flatten();
    let user_classes = user_classes(both());
    let by_mode = both().flat_map(|policy| &policy.rules).any(|one| !one.conditions.modes.is_empty());
    let modes = if by_mode { Mode::ALL } else { &Mode::ALL[..1] };
    let mut weeks = Vec::new();
    for mode in modes {
        let mut groups: BTreeMap<Times, Vec<UserClass<'_>>> = BTreeMap::new();
        for class in &user_classes {
            let [was, is] = sides.map(|policy| schedule(policy, profile, *class, *mode));
            groups.entry(times(&was, &is)).or_default().push(*class);
        }
        for (times, who) in groups {
            let who = Subject { who: &who, all: &user_classes }.name().text;
            weeks.push(Week { who, mode: by_mode.then(|| mode.word()), times });
        }
    }
    Calendar { weeks, overlaps: overlapping(both()) }
}

/// A policy's answers in order, as returned by [`schedule`].
type Schedule<'p> = [(Option<&'p super::Window>, Outcome<'p>)];

fn times(before: &Schedule<'_>, after: &Schedule<'_>) -> Times {
    let windows = || before.iter().chain(after).filter_map(|(window, _)| *window);
    let zone = match zone(windows()) {
        Zones::Several => return Times::SeveralZones,
        Zones::One(zone) => zone.clone(),
        Zones::None => TimeZone::UTC,
    };
    let outcomes = |piece: &Piece| (Access::of(outcome_at(before, *piece)), Access::of(outcome_at(after, *piece)));
    let mut spans: Vec<Span> = Vec::new();
    let mut by_answer: BTreeMap<(Access, Access), Vec<Piece>> = BTreeMap::new();
    for piece in pieces(windows()) {
        let (before, after) = outcomes(&piece);
        by_answer.entry((after, before)).or_default().push(piece);
        let Piece { day, start, end } = piece;
        match spans.last_mut().filter(|last| (last.day, last.before, last.after) == (day, before, after)) {
            Some(last) => last.end = end,
            None => spans.push(Span { day, start, end, before, after }),
        }
    }
    // A window without an effect does not divide the week.
    if let Some(((after, before), _)) = by_answer.first_key_value().filter(|(_, pieces)| covers_week(pieces)) {
        return Times::Always { before: *before, after: *after };
    }
    // The answers that grant more come first.
    let rows = by_answer.iter().rev();
    let rows = rows.map(|((after, before), pieces)| Row { times: times::rows(pieces), before: *before, after: *after });
    let changes_clocks = changes_clocks(&zone);
    let zone = zone.iana_name().unwrap_or("UTC").to_owned();
    Times::Windows(Windows { zone, changes_clocks, spans, rows: rows.collect() })
}

/// Returns whether a zone has daylight saving time, by its rule for future years.
fn changes_clocks(zone: &TimeZone) -> bool {
    /// The first second of 2037: no zone has single planned changes that late.
    const LATER: i64 = 2_114_380_800;
    Timestamp::from_second(LATER).is_ok_and(|later| zone.following(later).next().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Faults, Source};
    use crate::policy::parse;

    fn policy(rules: &str) -> Policy {
        let mut faults = Faults::default();
        let policy = parse(&Source::new("p", format!("version: \"1\"\nrules:\n{rules}")), &mut faults);
        policy.unwrap_or_else(|| panic!("{:?}", faults.into_sorted()))
    }

    fn rule(effect: &str, conditions: &str) -> String {
        format!("  - {{ name: r{}, effect: {effect}, conditions: {{ {conditions} }} }}\n", conditions.len())
    }

    fn lines(before: Option<&Policy>, after: &Policy) -> Vec<String> {
        let mut lines = Vec::new();
        for Week { who, mode, times } in calendar("prod", before, Some(after)).weeks {
            let who = mode.map_or(who.clone(), |mode| format!("{who} by {mode}"));
            match times {
                Times::Always { before, after } => {
                    lines.push(format!("{who}: {} -> {}", before.describe(), after.describe()));
                }
                Times::SeveralZones => lines.push(format!("{who}: several zones")),
                Times::Windows(windows) => {
                    assert_eq!(windows.spans.iter().map(|span| u32::from(span.end - span.start)).sum::<u32>(), 10_080);
                    for Row { times, before, after } in windows.rows {
                        let times = times.join(", ");
                        lines.push(format!("{who}: {times}: {} -> {}", before.describe(), after.describe()));
                    }
                }
            }
        }
        lines
    }

    const OFFICE: &str =
        "time: { days: [monday, tuesday], hours: { start: \"09:00\", end: \"17:00\" }, timezone: Europe/Zurich }";

    #[test]
    fn users_with_equal_answers_share_a_week() {
        let before = policy(
            &(rule("allow", &format!("users: [alice, bob], {OFFICE}")) + &rule("require_approval", "users: [alice]")),
        );
        let after = policy(&rule("allow", &format!("users: [alice, bob], {}", OFFICE.replace("17:00", "18:30"))));
        assert_eq!(
            lines(Some(&before), &after),
            [
                "everyone but alice and bob: no access -> no access",
                "bob: Monday and Tuesday 09:00–17:00: allowed -> allowed",
                "bob: Monday and Tuesday 17:00–18:30: no access -> allowed",
                "bob: Monday and Tuesday 00:00–09:00 and 18:30–24:00, Wednesday to Sunday: no access -> no access",
                "alice: Monday and Tuesday 09:00–17:00: allowed -> allowed",
                "alice: Monday and Tuesday 17:00–18:30: with approval -> allowed",
                "alice: Monday and Tuesday 00:00–09:00 and 18:30–24:00, Wednesday to Sunday: with approval -> no access",
            ]
        );
    }

    #[test]
    fn ineffective_windows_and_several_zones_are_reported() {
        let same = policy(&(rule("allow", OFFICE) + &rule("allow", "users: []")));
        assert_eq!(lines(None, &same), ["everyone: no access -> allowed"]);
        let other = OFFICE.replace("Europe/Zurich", "UTC").replace("09:00", "08:00");
        let several = policy(&(rule("allow", OFFICE) + &rule("allow", &other)));
        assert_eq!(lines(None, &several), ["everyone: several zones"]);
        let modes = policy(&rule("allow", "mode: [cli]"));
        assert!(lines(None, &modes).contains(&String::from("everyone by cli: no access -> allowed")));
    }

    #[test]
    fn daylight_saving_time_is_detected() {
        let zone = |name: &str| jiff::tz::TimeZoneDatabase::bundled().get(name).unwrap();
        for (name, changes) in [
            ("Europe/Zurich", true),
            ("America/New_York", true),
            ("Australia/Sydney", true),
            ("UTC", false),
            ("Asia/Kolkata", false),
            ("America/Sao_Paulo", false),
        ] {
            assert_eq!(changes_clocks(&zone(name)), changes, "{name}");
        }
    }
}
