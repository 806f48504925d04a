//! The moments at which a policy's answer can change. Pure: the time is an argument.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::Time;

use super::{Ask, Effect, Policy, Rule, Window, evaluate};

/// The maximum number of moments, and of days ahead.
const MOMENTS: usize = 400;
const DAYS: i64 = 8;

/// Returns the moments of the next days at which a window of the policy starts or ends, in order.
pub(super) fn moments(policy: &Policy, now: Timestamp) -> Vec<Timestamp> {
    let mut moments = BTreeSet::new();
    // Rules often share a window.
    let mut windows: Vec<&Window> = Vec::new();
    for window in policy.rules.iter().filter_map(|rule| rule.conditions.time.as_ref()) {
        if !windows.contains(&window) {
            windows.push(window);
        }
    }
    for window in windows {
        let today = now.to_zoned(window.zone.clone()).date();
        let times = match window.hours {
            Some(hours) => vec![Time::midnight(), hours.start, hours.end],
            None => vec![Time::midnight()],
        };
        for days in 0..=DAYS {
            let Ok(date) = today.checked_add(jiff::Span::new().days(days)) else { continue };
            // A local time that occurs twice, when clocks are set back, is two moments.
            let at = |time: &Time| window.zone.to_ambiguous_timestamp(date.to_datetime(*time));
            let both = times.iter().map(at).flat_map(|at| [at.earlier(), at.later()]);
            moments.extend(both.flatten().filter(|at| *at > now));
        }
        // When clocks are set forward, local times at which a window starts or ends may not exist.
        let changes = window.zone.following(now).map(|change| change.timestamp());
        let end = now.checked_add(jiff::SignedDuration::from_hours(24 * DAYS)).unwrap_or(Timestamp::MAX);
        moments.extend(changes.take_while(|at| *at < end));
    }
    moments.into_iter().take(MOMENTS).collect()
}

/// Returns the time until which the policy grants what `rule` grants now: the first moment at which the deciding rule grants less. Returns
/// `None` if there is no such moment in the next days.
pub fn granted_until(policy: &Policy, rule: &Rule, ask: &Ask<'_>) -> Option<Timestamp> {
    let gives_less = |at: &Timestamp| {
        let later = evaluate(policy, &Ask { at: *at, ..*ask });
        later.is_none_or(|later| !std::ptr::eq(later, rule) && !grants_as_much(later, rule))
    };
    let moments = moments(policy, ask.at);
    let found = moments.iter().copied().find(gives_less);
    // For a policy with very many windows, only the next moments are known.
    found.or_else(|| moments.last().copied().filter(|_| moments.len() == MOMENTS))
}

fn grants_as_much(later: &Rule, rule: &Rule) -> bool {
    let same =
        (later.effect, later.breakglass, &later.session_table) == (rule.effect, rule.breakglass, &rule.session_table);
    // A server may then run as long as now.
    let as_long = later.max_server_duration.unwrap_or(i64::MAX) >= rule.max_server_duration.unwrap_or(i64::MAX);
    (later.effect == Effect::Allow || same) && as_long
}

#[cfg(test)]
mod tests {
    use super::super::{Mode, parse};
    use super::*;
    use crate::diagnostic::{Faults, Source};

    fn until(rules: &str, at: &str) -> Option<String> {
        let text = format!("version: \"1\"\nrules:\n{rules}");
        let mut faults = Faults::default();
        let policy = parse(&Source::new("p.yaml", text), &mut faults);
        let policy = policy.unwrap_or_else(|| panic!("{:?}", faults.into_sorted()));
        let at = at.parse().unwrap();
        let ask = Ask { user: "alice", principal: "", profile: "dev", mode: Mode::Cli, at };
        let rule = evaluate(&policy, &ask).unwrap();
        granted_until(&policy, rule, &ask).map(|at| at.to_string())
    }

    #[test]
    fn access_ends_with_its_window() {
        let hours = |effect: &str, start: &str, end: &str| {
            format!(
                "  - {{ name: \"{effect} {start}\", effect: {effect}, conditions: {{ time: {{ hours: {{ start: \"{start}\", \
                 end: \"{end}\" }}, timezone: Europe/Zurich }} }} }}\n"
            )
        };
        let rest = "  - { name: rest, effect: deny }\n";
        let winter = "2026-01-15T10:00:00Z";
        let ends = Some(String::from("2026-01-15T16:00:00Z"));
        assert_eq!(until(&format!("{}{rest}", hours("allow", "09:00", "17:00")), winter), ends);
        assert_eq!(until(&hours("allow", "09:00", "17:00"), winter), ends, "no match is a deny");
        // A rule above it denies access later.
        let night = hours("deny", "17:00", "09:00");
        assert_eq!(until(&format!("{night}  - {{ name: all, effect: allow }}\n"), winter), ends);
        // Another rule continues to grant access, or requires an approval.
        let two = [hours("allow", "09:00", "12:00"), hours("allow", "12:00", "17:00")].concat();
        assert_eq!(until(&two, winter), ends);
        let other = [hours("allow", "09:00", "12:00"), hours("require_approval", "12:00", "17:00")].concat();
        assert_eq!(until(&other, winter).as_deref(), Some("2026-01-15T11:00:00Z"));
        let more = [hours("require_approval", "09:00", "12:00"), hours("allow", "12:00", "17:00")].concat();
        assert_eq!(until(&more, winter), ends);
        assert_eq!(until("  - { name: all, effect: allow }\n", winter), None);
        // Clocks are set forward from 02:00 to 03:00 on March 29, and back from 03:00 to 02:00 on October 25.
        let night = hours("allow", "00:00", "02:30");
        assert_eq!(until(&night, "2026-03-29T00:00:00Z").as_deref(), Some("2026-03-29T01:00:00Z"));
        assert_eq!(until(&night, "2026-10-24T23:00:00Z").as_deref(), Some("2026-10-25T00:30:00Z"));
        assert_eq!(until(&night, "2026-10-25T01:10:00Z").as_deref(), Some("2026-10-25T01:30:00Z"));
    }

    #[test]
    fn access_with_very_many_windows_ends_at_the_last_known_moment() {
        let minute = |at: u32| format!("\"{:02}:{:02}\"", at / 60, at % 60);
        let rule = |at: u32| {
            let hours = format!("{{ start: {}, end: {} }}", minute(at), minute(at + 1));
            format!("  - {{ name: r{at}, effect: allow, conditions: {{ time: {{ hours: {hours} }} }} }}\n")
        };
        let rules: String = (600..1200).map(rule).collect();
        assert_eq!(until(&rules, "2026-01-15T10:00:00Z").as_deref(), Some("2026-01-15T16:40:00Z"));
    }
}
