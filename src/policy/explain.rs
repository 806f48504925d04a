//! Explains a denial: another time, mode, or user that the policy would allow. Pure: the time is an argument.
//!
//! Each line is checked with the evaluator, so a rule that another rule hides is never named. A line names no other user, except one whose
//! name differs from the caller's only by case or by a domain: the policy most likely means the caller.

use std::cell::OnceCell;

use jiff::Timestamp;
use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use serde::Serialize;

use super::moments::moments;
use super::{Ask, Effect, Mode, Policy, Rule, Window, evaluate};

/// The maximum number of lines.
pub const MOST: usize = 3;

/// A rule that would have allowed access, and the condition that was not met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WouldAllow {
    pub rule: String,
    pub effect: Effect,
    /// The mode that it requires, if it differs from the requested mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// The next time when it allows access, if not now.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_text")]
    pub from: Option<Timestamp>,
    /// Whether it only applies to other users.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub other_users: bool,
    /// The complete sentence. Names in it are as written in the policy.
    #[serde(rename = "words")]
    pub text: String,
}

#[expect(clippy::ref_option, reason = "serde passes a reference to the field")]
fn as_text<S: serde::Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => serializer.collect_str(at),
        None => serializer.serialize_none(),
    }
}

/// Returns the rules that would have allowed the user, with the smallest difference first.
pub fn explain(policy: &Policy, ask: &Ask<'_>) -> Vec<WouldAllow> {
    let decided = evaluate(policy, ask);
    let reached = decided.map_or(0, |rule| rank(rule.effect));
    let future = Future::new(policy, ask);
    let mut found: Vec<Line> = Vec::new();
    let better = |rule: &&Rule| rank(rule.effect) > reached && !decided.is_some_and(|one| std::ptr::eq(one, *rule));
    for rule in policy.rules.iter().filter(better) {
        let users = &rule.conditions.users;
        if users.is_empty() || users.iter().any(|user| user == ask.user) {
            found.extend(other_time_or_mode(&future, rule));
        } else {
            found.extend(other_user(policy, rule, ask));
        }
    }
    found.sort_by_key(|(needs, from, _)| (*needs, *from));
    found.into_iter().map(|(_, _, line)| line).take(MOST).collect()
}

const fn rank(effect: Effect) -> u8 {
    match effect {
        Effect::Deny => 0,
        Effect::RequireApproval => 1,
        Effect::RequireServer | Effect::RequireServerSession => 2,
        Effect::Allow => 3,
    }
}

/// Returns the modes in which a rule releases credentials, the requested mode first.
fn modes(rule: &Rule, asked: Mode) -> Vec<Mode> {
    let served = matches!(rule.effect, Effect::RequireServer | Effect::RequireServerSession);
    let mut modes = vec![asked];
    modes.extend(Mode::ALL.iter().copied().filter(|mode| *mode != asked));
    let listed = &rule.conditions.modes;
    modes.retain(|mode| (listed.is_empty() || listed.contains(mode)) && (!served || *mode == Mode::Server));
    modes
}

/// A line with its rank: number of differences, then time.
type Line = (u8, Option<Timestamp>, WouldAllow);

/// The deciding rules for a user from now on, for each mode and each moment at which a window starts or ends. Computed once, and only for
/// the modes that a rule needs.
struct Future<'p, 'a> {
    policy: &'p Policy,
    ask: Ask<'a>,
    moments: Vec<Timestamp>,
    decided: [OnceCell<Vec<Option<&'p Rule>>>; 3],
}

impl<'p, 'a> Future<'p, 'a> {
    fn new(policy: &'p Policy, ask: &Ask<'a>) -> Self {
        let mut moments = moments(policy, ask.at);
        moments.insert(0, ask.at);
        Self { policy, ask: *ask, moments, decided: Default::default() }
    }

    /// Returns the first moment at which a rule decides in a mode, which may be now.
    fn first(&self, rule: &Rule, mode: Mode) -> Option<Timestamp> {
        let slot = match mode {
            Mode::Server => 0,
            Mode::Cli => 1,
            Mode::CredentialProcess => 2,
        };
        let decided = |at: &Timestamp| evaluate(self.policy, &Ask { mode, at: *at, ..self.ask });
        let decided = self.decided[slot].get_or_init(|| self.moments.iter().map(decided).collect());
        let found = decided.iter().position(|one| one.is_some_and(|one| std::ptr::eq(one, rule)))?;
        self.moments.get(found).copied()
    }
}

fn other_time_or_mode(future: &Future<'_, '_>, rule: &Rule) -> Option<Line> {
    let ask = &future.ask;
    let now = |mode: &Mode| future.first(rule, *mode).filter(|at| *at == ask.at).map(|_| (*mode, None));
    let later = |mode: &Mode| Some((*mode, Some(future.first(rule, *mode)?)));
    let modes = modes(rule, ask.mode);
    let (mode, from) = modes.iter().find_map(now).or_else(|| modes.iter().find_map(later))?;
    let mode = Some(mode).filter(|mode| *mode != ask.mode);
    let mut text = format!("rule \"{}\" would {}", rule.name, what(rule.effect));
    match mode {
        Some(Mode::Server) if !matches!(rule.effect, Effect::RequireServer | Effect::RequireServerSession) => {
            text.push_str(" through a credential server (sentinel exec --server)");
        }
        Some(Mode::Cli) => text.push_str(" with sentinel exec"),
        Some(Mode::CredentialProcess) => text.push_str(" with sentinel credentials"),
        _ => {}
    }
    if let Some(from) = from {
        let window = rule.conditions.time.as_ref();
        if let Some(window) = window {
            text.push_str(&format!(" {}", window_text(window)));
        }
        let zone = window.map_or(TimeZone::UTC, |window| window.zone.clone());
        let name = zone_name(&zone).to_owned();
        let at = from.to_zoned(zone).strftime("%A %Y-%m-%d %H:%M").to_string();
        text.push_str(&format!("; next from {at} ({name})"));
    }
    let needs = u8::from(mode.is_some()) + u8::from(from.is_some());
    let (rule, effect) = (rule.name.clone(), rule.effect);
    Some((needs, from, WouldAllow { rule, effect, mode, from, other_users: false, text }))
}

fn other_user(policy: &Policy, rule: &Rule, ask: &Ask<'_>) -> Option<Line> {
    // Another user has another ARN, which is unknown.
    if !rule.conditions.principals.is_empty() {
        return None;
    }
    let users = &rule.conditions.users;
    let likely = users.iter().find(|user| is_alike(user, ask.user));
    let user = likely.or_else(|| users.first())?;
    let served = matches!(rule.effect, Effect::RequireServer | Effect::RequireServerSession);
    // A different user combined with a different time or mode is not useful.
    let mode = *modes(rule, ask.mode).first().filter(|mode| served || **mode == ask.mode)?;
    let decided = evaluate(policy, &Ask { user, principal: "", mode, ..*ask })?;
    if !std::ptr::eq(decided, rule) {
        return None;
    }
    let what = what(rule.effect);
    let whom = match (likely, users.len()) {
        (Some(name), _) => format!("for {name}, and not for {}: names must match exactly", ask.user),
        (None, 1) => String::from("for 1 other user"),
        (None, count) => format!("for {count} other users"),
    };
    let text = format!("rule \"{}\" would {what} {whom}", rule.name);
    let mode = Some(mode).filter(|mode| *mode != ask.mode);
    let (rule, effect) = (rule.name.clone(), rule.effect);
    let needs = if likely.is_some() { 0 } else { 3 };
    Some((needs, None, WouldAllow { rule, effect, mode, from: None, other_users: true, text }))
}

const fn what(effect: Effect) -> &'static str {
    match effect {
        Effect::Allow | Effect::Deny => "allow it",
        Effect::RequireApproval => "allow it with an approval",
        Effect::RequireServer | Effect::RequireServerSession => {
            "allow it through a credential server (sentinel exec --server)"
        }
    }
}

/// Returns whether two names differ only by case or by a domain, as in `alice` and `Alice@example.com`.
fn is_alike(one: &str, other: &str) -> bool {
    let (one, other) = (one.to_lowercase(), other.to_lowercase());
    let extends = |long: &str, short: &str| {
        !short.is_empty() && long.strip_prefix(short).is_some_and(|rest| rest.starts_with('@'))
    };
    one == other || extends(&one, &other) || extends(&other, &one)
}

fn zone_name(zone: &TimeZone) -> &str {
    zone.iana_name().unwrap_or("UTC")
}

/// Returns a window in words: "Monday to Friday 09:00-17:00 (Europe/Zurich)".
fn window_text(window: &Window) -> String {
    const WEEK: [(Weekday, &str); 7] = [
        (Weekday::Monday, "Monday"),
        (Weekday::Tuesday, "Tuesday"),
        (Weekday::Wednesday, "Wednesday"),
        (Weekday::Thursday, "Thursday"),
        (Weekday::Friday, "Friday"),
        (Weekday::Saturday, "Saturday"),
        (Weekday::Sunday, "Sunday"),
    ];
    // Groups consecutive days into ranges.
    let mut rows: Vec<Vec<&str>> = Vec::new();
    let mut last = None;
    for (index, (_, name)) in WEEK.iter().enumerate().filter(|(_, (day, _))| window.days.contains(day)) {
        match rows.last_mut().filter(|_| last.is_some_and(|last| last + 1 == index)) {
            Some(row) => row.push(name),
            None => rows.push(vec![name]),
        }
        last = Some(index);
    }
    let row = |row: &Vec<&str>| match row.as_slice() {
        [one] => (*one).to_owned(),
        [one, other] => format!("{one}, {other}"),
        [first, .., last] => format!("{first} to {last}"),
        [] => String::new(),
    };
    let days = match window.days.is_empty() {
        true => String::from("every day"),
        false => rows.iter().map(row).collect::<Vec<_>>().join(", "),
    };
    let hours = window.hours.map(|hours| format!(" {}-{}", clock(hours.start), clock(hours.end))).unwrap_or_default();
    format!("{days}{hours} ({})", zone_name(&window.zone))
}

fn clock(time: Time) -> String {
    format!("{:02}:{:02}", time.hour(), time.minute())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Faults, Source};
    use crate::policy::parse;

    const POLICY: &str = r#"version: "1"
rules:
  - { name: not-eve, effect: deny, conditions: { users: [eve] } }
  - name: office-hours
    effect: allow
    conditions:
      users: [alice, bob]
      time:
        days: [monday, tuesday, wednesday, thursday, friday]
        hours: { start: "09:00", end: "17:00" }
        timezone: Europe/Zurich
  - { name: servers, effect: allow, conditions: { users: [alice], mode: [server] } }
  - { name: operators, effect: require_approval, conditions: { users: [Carol@example.com, dave, frank] } }
  - { name: rest, effect: deny }
  - { name: hidden, effect: allow }
"#;

    /// Returns the explanation for a user; 14 January 2026 is a Wednesday.
    fn lines(text: &str, user: &str, at: &str) -> Vec<String> {
        let mut faults = Faults::default();
        let policy = parse(&Source::new("p.yaml", text), &mut faults);
        let policy = policy.unwrap_or_else(|| panic!("{:?}", faults.into_sorted()));
        let ask = Ask { user, principal: "", profile: "dev", mode: Mode::Cli, at: at.parse().unwrap() };
        explain(&policy, &ask).into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn a_denial_names_another_time_or_mode_that_allows_access() {
        let office = "rule \"office-hours\" would allow it Monday to Friday 09:00-17:00 (Europe/Zurich); next from";
        let server = "rule \"servers\" would allow it through a credential server (sentinel exec --server)";
        let others = "rule \"operators\" would allow it with an approval for 3 other users";
        let friday = lines(POLICY, "alice", "2026-01-16T18:00:00Z");
        assert_eq!(friday, [server, &format!("{office} Monday 2026-01-19 09:00 (Europe/Zurich)"), others]);
        let night = lines(POLICY, "bob", "2026-01-14T03:00:00Z");
        assert_eq!(night, [&format!("{office} Wednesday 2026-01-14 09:00 (Europe/Zurich)"), others]);
        // In summer nine o'clock is an hour earlier in UTC, but the same local time.
        let summer = lines(POLICY, "bob", "2026-03-28T12:00:00Z");
        assert_eq!(summer[0], format!("{office} Monday 2026-03-30 09:00 (Europe/Zurich)"));
    }

    #[test]
    fn other_users_are_named_only_if_most_likely_intended() {
        let noon = "2026-01-14T12:00:00Z";
        let of_mallory = lines(POLICY, "mallory", noon);
        let expected = [
            "rule \"office-hours\" would allow it for 2 other users",
            "rule \"operators\" would allow it with an approval for 3 other users",
        ];
        assert_eq!(of_mallory, expected);
        let text = "for Carol@example.com, and not for carol: names must match exactly";
        assert_eq!(
            lines(POLICY, "carol", noon)[0],
            format!("rule \"operators\" would allow it with an approval {text}")
        );
        for line in lines(POLICY, "car", noon) {
            assert!(!line.contains("Carol"), "{line}");
        }
    }

    #[test]
    fn unreachable_rules_are_not_named() {
        for at in ["2026-01-14T12:00:00Z", "2026-01-17T12:00:00Z"] {
            for line in lines(POLICY, "eve", at).iter().chain(&lines(POLICY, "mallory", at)) {
                assert!(!line.contains("hidden"), "{line}");
            }
        }
        // When a deny ends, the rule below it applies.
        let nights = r#"version: "1"
rules:
  - { name: night, effect: deny, conditions: { time: { hours: { start: "22:00", end: "06:00" } } } }
  - { name: day, effect: allow }
"#;
        let night = lines(nights, "alice", "2026-01-14T23:00:00Z");
        assert_eq!(night, ["rule \"day\" would allow it; next from Thursday 2026-01-15 06:00 (UTC)"]);
        assert!(lines(nights, "alice", "2026-01-14T12:00:00Z").is_empty());
    }

    #[test]
    fn the_number_of_lines_is_limited() {
        let mut text = String::from("version: \"1\"\nrules:\n");
        for number in 0..60 {
            text.push_str(&format!(
                "  - {{ name: r{number}, effect: allow, conditions: {{ users: [u{number}, alice], time: {{ days: [monday], \
                 hours: {{ start: \"{:02}:{:02}\", end: \"23:59\" }}, timezone: Asia/Tokyo }} }} }}\n",
                number % 23,
                number
            ));
        }
        assert_eq!(lines(&text, "alice", "2026-01-14T12:00:00Z").len(), 1);
        assert_eq!(lines(&text, "mallory", "2026-01-12T12:00:00Z").len(), MOST);
    }
}
