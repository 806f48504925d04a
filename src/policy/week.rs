//! A policy's answers over a week, for each class of users. Exact: the week is divided at the start and end of each window.
//!
//! Requests fall into classes: each user that a policy names, and anyone else; each pattern of principals, and an ARN that matches none;
//! the same for profiles. Within a class, a mode and a piece of the week, all requests get the same answer, so evaluating one is enough.
//! Patterns are compared as text: a caller whose ARN matches two of them is in no class.

use std::collections::BTreeSet;

use jiff::civil::Weekday;
use jiff::tz::TimeZone;

use super::evaluate::covers;
use super::{Mode, Policy, Principal, Rule, Window};

const WEEK: [Weekday; 7] = [
    Weekday::Monday,
    Weekday::Tuesday,
    Weekday::Wednesday,
    Weekday::Thursday,
    Weekday::Friday,
    Weekday::Saturday,
    Weekday::Sunday,
];
/// The minutes of a day.
pub(super) const DAY: u16 = 24 * 60;

/// A piece of a week: from the start up to but not including the end, in minutes of its day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Piece {
    /// Starts at 0, a Monday.
    pub(super) day: usize,
    pub(super) start: u16,
    pub(super) end: u16,
}

impl Piece {
    /// Returns whether a window covers the piece, which must be divided at the window's ends.
    pub(super) fn in_window(self, window: &Window) -> bool {
        let clock = |minute: u16| {
            let part = |number: u16| i8::try_from(number).unwrap_or(0);
            jiff::civil::time(part(minute / 60), part(minute % 60), 0, 0)
        };
        covers(window, WEEK[self.day], clock(self.start))
    }
}

/// Returns the name of a day, starting at 0.
pub(super) fn day_name(day: usize) -> &'static str {
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"][day]
}

/// Returns the single time zone of these windows, if they have one.
pub(super) fn zone<'w>(windows: impl IntoIterator<Item = &'w Window>) -> Zones<'w> {
    let mut found: Option<&TimeZone> = None;
    for window in windows {
        match found {
            Some(zone) if *zone != window.zone => return Zones::Several,
            _ => found = Some(&window.zone),
        }
    }
    found.map_or(Zones::None, Zones::One)
}

/// The number of time zones of windows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Zones<'w> {
    None,
    One(&'w TimeZone),
    /// Several zones, which no single local time covers.
    Several,
}

/// Returns the week, divided at the start and end of each window. The windows must be in one zone.
pub(super) fn pieces<'w>(windows: impl IntoIterator<Item = &'w Window>) -> Vec<Piece> {
    let mut cuts = BTreeSet::from([0, DAY]);
    for hours in windows.into_iter().filter_map(|window| window.hours) {
        let minute = |time: jiff::civil::Time| u16::try_from(i32::from(time.hour()) * 60 + i32::from(time.minute()));
        cuts.extend([hours.start, hours.end].into_iter().filter_map(|time| minute(time).ok()));
    }
    let cuts: Vec<u16> = cuts.into_iter().collect();
    let of_day = |day| cuts.windows(2).map(move |pair| Piece { day, start: pair[0], end: pair[1] });
    (0..WEEK.len()).flat_map(of_day).collect()
}

/// Returns the users that policies name.
pub(super) fn users<'p>(policies: impl IntoIterator<Item = &'p Policy>) -> BTreeSet<&'p str> {
    let rules = policies.into_iter().flat_map(|policy| &policy.rules);
    rules.flat_map(|rule| &rule.conditions.users).map(String::as_str).collect()
}

/// A class of users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct UserClass<'p> {
    /// `None` stands for anyone who is not named.
    pub(super) user: Option<&'p str>,
    /// The pattern that the ARN matches; `None` stands for an ARN that matches none.
    pub(super) principal: Option<&'p Principal>,
}

/// Returns the patterns of principals that policies name.
pub(super) fn principals<'p>(policies: impl IntoIterator<Item = &'p Policy>) -> BTreeSet<&'p Principal> {
    let rules = policies.into_iter().flat_map(|policy| &policy.rules);
    rules.flat_map(|rule| &rule.conditions.principals).collect()
}

/// Returns the classes: the users that policies name, then anyone else, each with the patterns that their ARN can match, then with none.
pub(super) fn user_classes<'p>(policies: impl IntoIterator<Item = &'p Policy> + Clone) -> Vec<UserClass<'p>> {
    let named: Vec<&str> = users(policies.clone()).into_iter().collect();
    let patterns = principals(policies);
    let everyone = named.iter().map(|name| Some(*name)).chain([None]);
    everyone
        .flat_map(|user| {
            let fitting = patterns.iter().copied().filter(|pattern| pattern.may_match(user, &named));
            let each: Vec<UserClass<'p>> =
                fitting.map(Some).chain([None]).map(|principal| UserClass { user, principal }).collect();
            each
        })
        .collect()
}

/// Returns whether an ARN can match two of the policies' patterns, so that these classes are incomplete.
pub(super) fn overlapping<'p>(policies: impl IntoIterator<Item = &'p Policy>) -> bool {
    let patterns: Vec<&Principal> = principals(policies).into_iter().collect();
    let pairs = patterns.iter().enumerate();
    pairs.into_iter().any(|(at, one)| patterns[at + 1..].iter().any(|other| one.overlaps(other)))
}

/// Returns whether a rule applies to a class at some time; the profile `None` stands for any that it does not name.
pub(super) fn applies_to(rule: &Rule, class: UserClass<'_>, profile: Option<&str>, mode: Mode) -> bool {
    let named = |names: &[String], name: Option<&str>| {
        names.is_empty() || name.is_some_and(|name| names.iter().any(|one| one == name))
    };
    let conditions = &rule.conditions;
    let principals = &conditions.principals;
    named(&conditions.users, class.user)
        && (principals.is_empty() || class.principal.is_some_and(|fitted| principals.contains(fitted)))
        && named(&conditions.profiles, profile)
        && (conditions.modes.is_empty() || conditions.modes.contains(&mode))
}

#[cfg(test)]
mod tests {
    use jiff::civil::time;

    use super::super::Hours;
    use super::*;

    #[test]
    fn pieces_are_in_a_window_to_the_minute() {
        let hours = Some(Hours { start: time(8, 30, 0, 0), end: time(9, 45, 0, 0) });
        let window = Window { days: vec![Weekday::Tuesday], hours, zone: TimeZone::UTC };
        let within = |piece: &Piece| piece.in_window(&window);
        let open: Vec<(usize, u16, u16)> =
            pieces([&window]).iter().filter(|piece| within(piece)).map(|one| (one.day, one.start, one.end)).collect();
        assert_eq!(open, [(1, 510, 585)]);
    }
}
