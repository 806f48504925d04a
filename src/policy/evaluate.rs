//! Evaluates a policy. Pure: the time is an argument.

use jiff::Timestamp;
use jiff::civil::{Time, Weekday};

use super::{Conditions, Hours, Mode, Policy, Rule, Window};

/// A user's question for a profile's credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask<'a> {
    pub user: &'a str,
    /// The caller's ARN.
    pub principal: &'a str,
    pub profile: &'a str,
    pub mode: Mode,
    pub at: Timestamp,
}

/// Returns the first rule that matches; `None` is a deny.
pub fn evaluate<'p>(policy: &'p Policy, ask: &Ask<'_>) -> Option<&'p Rule> {
    policy.rules.iter().find(|rule| matches(&rule.conditions, ask))
}

fn matches(conditions: &Conditions, ask: &Ask<'_>) -> bool {
    let Conditions { profiles, users, principals, modes, time } = conditions;
    let named = |names: &[String], name: &str| names.is_empty() || names.iter().any(|one| one == name);
    named(profiles, ask.profile)
        && named(users, ask.user)
        && (principals.is_empty() || principals.iter().any(|one| one.matches(ask.principal)))
        && (modes.is_empty() || modes.contains(&ask.mode))
        && time.as_ref().is_none_or(|window| is_open(window, ask.at))
}

/// Returns whether the time is in the window. Local time in the window's zone decides, so nine to five is the same in summer and in winter.
pub(super) fn is_open(window: &Window, at: Timestamp) -> bool {
    let wall = at.to_zoned(window.zone.clone()).datetime();
    covers(window, wall.date().weekday(), wall.time())
}

/// Returns whether a window is open at this local time in its zone.
pub(super) fn covers(window: &Window, today: Weekday, now: Time) -> bool {
    let on = |day| window.days.is_empty() || window.days.contains(&day);
    match window.hours {
        None => on(today),
        Some(Hours { start, end }) if start < end => on(today) && (start..end).contains(&now),
        // Past midnight, the rest of the night belongs to the day on which the window started.
        Some(Hours { start, end }) => (now >= start && on(today)) || (now < end && on(today.previous())),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::diagnostic::{Faults, Source};
    use crate::policy::{Effect, parse};

    fn policy(text: &str) -> Policy {
        let mut faults = Faults::default();
        let policy = parse(&Source::new("p.yaml", text), &mut faults);
        policy.unwrap_or_else(|| panic!("{:?} in\n{text}", faults.into_sorted()))
    }

    /// Returns whether a rule with these conditions matches.
    fn match_of(conditions: &str, user: &str, profile: &str, mode: Mode, at: &str) -> bool {
        let text = format!("version: \"1\"\nrules:\n  - {{ name: r, effect: allow, conditions: {conditions} }}\n");
        let principal = format!("arn:aws:iam::123456789012:user/{user}");
        let ask = Ask { user, principal: &principal, profile, mode, at: at.parse().unwrap() };
        evaluate(&policy(&text), &ask).is_some()
    }

    /// A Wednesday at noon.
    const NOON: &str = "2026-01-14T12:00:00Z";

    #[test]
    fn users_profiles_and_modes_are_matched_exactly() {
        let cases = [
            ("{}", "alice", "dev", Mode::Cli, true),
            ("{ profiles: [], users: [], mode: [] }", "alice", "dev", Mode::Cli, true),
            ("{ time: {} }", "alice", "dev", Mode::Cli, true),
            ("{ profiles: [dev] }", "alice", "dev", Mode::Cli, true),
            ("{ profiles: [staging, dev] }", "alice", "dev", Mode::Cli, true),
            ("{ profiles: [prod] }", "alice", "dev", Mode::Cli, false),
            ("{ profiles: [DEV] }", "alice", "dev", Mode::Cli, false),
            ("{ profiles: [de] }", "alice", "dev", Mode::Cli, false),
            ("{ profiles: [\"*\"] }", "alice", "dev", Mode::Cli, false),
            ("{ users: [alice] }", "alice", "dev", Mode::Cli, true),
            ("{ users: [alice@example.com] }", "alice", "dev", Mode::Cli, false),
            ("{ users: [Alice] }", "alice", "dev", Mode::Cli, false),
            ("{ users: [bob], profiles: [dev] }", "alice", "dev", Mode::Cli, false),
            ("{ users: [alice], profiles: [prod] }", "alice", "dev", Mode::Cli, false),
            ("{ principals: [\"arn:aws:iam::123456789012:user/alice\"] }", "alice", "dev", Mode::Cli, true),
            ("{ principals: [\"arn:aws:iam::123456789012:user/*\"] }", "alice", "dev", Mode::Cli, true),
            ("{ principals: [\"arn:aws:iam::111111111111:user/alice\"] }", "alice", "dev", Mode::Cli, false),
            (
                "{ principals: [\"arn:aws:sts::123456789012:assumed-role/Admin/alice\"] }",
                "alice",
                "dev",
                Mode::Cli,
                false,
            ),
            ("{ principals: [\"arn:aws:iam::123456789012:user/*\"], users: [bob] }", "alice", "dev", Mode::Cli, false),
            (
                "{ principals: [\"arn:aws:iam::123456789012:user/b*\"], users: [alice] }",
                "alice",
                "dev",
                Mode::Cli,
                false,
            ),
            ("{ principals: [] }", "alice", "dev", Mode::Cli, true),
            ("{ mode: [cli] }", "alice", "dev", Mode::Cli, true),
            ("{ mode: [server] }", "alice", "dev", Mode::Cli, false),
            ("{ mode: [server] }", "alice", "dev", Mode::Server, true),
            ("{ mode: [server, credential_process] }", "alice", "dev", Mode::CredentialProcess, true),
            ("{ mode: [credential_process] }", "alice", "dev", Mode::Server, false),
        ];
        for (conditions, user, profile, mode, expected) in cases {
            assert_eq!(match_of(conditions, user, profile, mode, NOON), expected, "{conditions} {user} {mode:?}");
        }
    }

    #[test]
    fn windows_use_local_time() {
        let office = r#"{ time: { days: [monday, tuesday, wednesday, thursday, friday], hours: { start: "09:00", end: "17:30" }, timezone: Europe/Zurich } }"#;
        let early = r#"{ time: { hours: { start: "02:00", end: "03:00" }, timezone: America/New_York } }"#;
        let night = r#"{ time: { days: [friday], hours: { start: "22:00", end: "06:00" } } }"#;
        let every_night = r#"{ time: { hours: { start: "22:00", end: "06:00" } } }"#;
        let cases = [
            // Without hours, only the day in the time zone matters. It is Thursday in Auckland while it is Wednesday in UTC.
            ("{ time: { days: [wednesday] } }", NOON, true),
            ("{ time: { days: [thursday] } }", NOON, false),
            ("{ time: { days: [thursday], timezone: Pacific/Auckland } }", NOON, true),
            ("{ time: { days: [] } }", NOON, true),
            // The start is included, the end is not.
            (office, "2026-01-14T07:59:59.999Z", false),
            (office, "2026-01-14T08:00:00Z", true),
            (office, "2026-01-14T16:29:59.999Z", true),
            (office, "2026-01-14T16:30:00Z", false),
            (office, "2026-01-17T10:00:00Z", false),
            // In summer, nine o'clock is an hour earlier in UTC: Europe changed to summer time on Sunday, 29 March 2026.
            (office, "2026-03-27T07:30:00Z", false),
            (office, "2026-03-30T07:30:00Z", true),
            (office, "2026-03-30T15:30:00Z", false),
            // It is an hour later again from 25 October 2026.
            (office, "2026-10-23T07:30:00Z", true),
            (office, "2026-10-26T07:30:00Z", false),
            // In New York, the hour from two to three does not exist on 8 March 2026, and the hour from one to two occurs twice on 1
            // November.
            (early, "2026-03-08T06:59:59Z", false),
            (early, "2026-03-08T07:00:00Z", false),
            (early, "2026-03-07T07:30:00Z", true),
            (early, "2026-11-01T06:59:59Z", false),
            (early, "2026-11-01T07:30:00Z", true),
            // A night belongs to the day on which it starts: 16 January 2026 is a Friday.
            (night, "2026-01-16T21:59:59Z", false),
            (night, "2026-01-16T22:00:00Z", true),
            (night, "2026-01-17T05:59:59Z", true),
            (night, "2026-01-17T06:00:00Z", false),
            (night, "2026-01-16T05:00:00Z", false),
            (night, "2026-01-17T23:00:00Z", false),
            (every_night, "2026-01-14T23:00:00Z", true),
            (every_night, "2026-01-14T03:00:00Z", true),
            (every_night, NOON, false),
            // An end of 00:00 is the end of the day.
            (r#"{ time: { hours: { start: "18:00", end: "00:00" } } }"#, "2026-01-14T23:59:59.999Z", true),
            (r#"{ time: { hours: { start: "18:00", end: "00:00" } } }"#, "2026-01-15T00:00:00Z", false),
        ];
        for (conditions, at, expected) in cases {
            assert_eq!(match_of(conditions, "alice", "dev", Mode::Cli, at), expected, "{conditions} at {at}");
        }
    }

    #[test]
    fn the_first_rule_that_matches_wins_and_no_match_is_a_deny() {
        let text = r#"
version: "1"
rules:
  - { name: not-eve, effect: deny, conditions: { users: [eve] } }
  - { name: dev, effect: allow, conditions: { profiles: [dev] } }
  - { name: prod, effect: require_approval, conditions: { profiles: [prod], users: [alice, eve] } }
  - { name: dev-again, effect: deny, conditions: { profiles: [dev] } }
"#;
        let policy = policy(text);
        let rule = |user, profile| {
            let ask = Ask { user, principal: "", profile, mode: Mode::Cli, at: NOON.parse().unwrap() };
            evaluate(&policy, &ask).map(|rule| (rule.name.as_str(), rule.effect))
        };
        assert_eq!(rule("alice", "dev"), Some(("dev", Effect::Allow)));
        assert_eq!(rule("eve", "dev"), Some(("not-eve", Effect::Deny)));
        assert_eq!(rule("alice", "prod"), Some(("prod", Effect::RequireApproval)));
        assert_eq!(rule("eve", "prod"), Some(("not-eve", Effect::Deny)));
        assert_eq!(rule("bob", "prod"), None);
    }

    #[test]
    fn invalid_policies_are_not_evaluated() {
        for text in [
            "version: \"1\"\nrules:\n  - { name: a, effect: allow, condition: { users: [bob] } }\n",
            "version: \"1\"\nrules:\n  - { name: a, effect: allow, conditions: { user: [bob] } }\n",
            "version: \"1\"\nrules:\n  - { name: a, effect: allow, conditions: { time: { day: [monday] } } }\n",
            "version: \"2\"\nrules:\n  - { name: a, effect: allow }\n",
            "version: \"1\"\nrules:\n  - { name: a, effect: allow }\n  - { name: b, effect: permit }\n",
            "version: \"1\"\nrules: []\n",
            "",
        ] {
            let mut faults = Faults::default();
            assert_eq!(parse(&Source::new("p.yaml", text), &mut faults), None, "{text}");
            assert!(!faults.is_empty());
        }
    }

    /// A rule as the second evaluator represents it: words and numbers, and no type of this module.
    #[derive(Debug, Clone)]
    struct Plain {
        effect: &'static str,
        /// Whether break-glass satisfies a rule with the effect `require_approval`.
        breakglass: bool,
        profiles: Vec<&'static str>,
        users: Vec<&'static str>,
        principals: Vec<&'static str>,
        modes: Vec<&'static str>,
        days: Vec<usize>,
        /// In minutes of the day.
        hours: Option<(usize, usize)>,
        zone: Option<&'static str>,
    }

    const WEEK: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

    fn yaml(rules: &[Plain]) -> String {
        let mut text = String::from("version: \"1\"\nrules:\n");
        for (number, rule) in rules.iter().enumerate() {
            let list = |words: &[&str]| format!("[{}]", words.join(", "));
            let days: Vec<&str> = rule.days.iter().map(|day| WEEK[*day]).collect();
            let clock = |minutes: usize| format!("\"{:02}:{:02}\"", minutes / 60, minutes % 60);
            let mut time = vec![format!("days: {}", list(&days))];
            time.extend(
                rule.hours.map(|(start, end)| format!("hours: {{ start: {}, end: {} }}", clock(start), clock(end))),
            );
            time.extend(rule.zone.map(|zone| format!("timezone: {zone}")));
            let forbidden = rule.effect == "require_approval" && !rule.breakglass;
            let breakglass = if forbidden { "    breakglass: false\n" } else { "" };
            // Patterns contain colons and stars, so they are quoted.
            let principals = format!("{:?}", rule.principals);
            text.push_str(&format!(
                "  - name: r{number}\n    effect: {}\n{breakglass}    conditions: {{ profiles: {}, users: {}, principals: {}, mode: {}, time: {{ {} }} }}\n",
                rule.effect,
                list(&rule.profiles),
                list(&rule.users),
                principals,
                list(&rule.modes),
                time.join(", ")
            ));
        }
        text
    }

    /// The second evaluator: it marks each minute of a week that a window covers, and checks whether this minute is marked.
    fn naive(rules: &[Plain], caller: Caller, profile: &str, mode: &str, at: Timestamp) -> Option<usize> {
        'rules: for (number, rule) in rules.iter().enumerate() {
            let fitting = rule.principals.iter().filter(|pattern| caller.fits.contains(pattern)).count();
            if fitting == 0 && !rule.principals.is_empty() {
                continue 'rules;
            }
            for (list, word) in [(&rule.profiles, profile), (&rule.users, caller.user), (&rule.modes, mode)] {
                if list.iter().filter(|one| **one == word).count() == 0 && !list.is_empty() {
                    continue 'rules;
                }
            }
            let mut minutes = vec![false; 7 * 1440];
            for day in 0..7 {
                if !rule.days.is_empty() && !rule.days.contains(&day) {
                    continue;
                }
                let (start, end) = rule.hours.unwrap_or((0, 1440));
                let length = if end > start { end - start } else { end + 1440 - start };
                for minute in 0..length {
                    minutes[(day * 1440 + start + minute) % (7 * 1440)] = true;
                }
            }
            let wall = at.in_tz(rule.zone.unwrap_or("UTC")).unwrap().strftime("%u %H %M").to_string();
            let parts: Vec<usize> = wall.split(' ').map(|part| part.parse().unwrap()).collect();
            if minutes[(parts[0] - 1) * 1440 + parts[1] * 60 + parts[2]] {
                return Some(number);
            }
        }
        None
    }

    /// A caller, and the patterns below that match it, listed by hand.
    #[derive(Debug, Clone, Copy)]
    struct Caller {
        user: &'static str,
        arn: &'static str,
        fits: &'static [&'static str],
    }

    const PATTERNS: [&str; 5] = [
        "arn:aws:iam::111111111111:user/alice",
        "arn:aws:iam::111111111111:user/*",
        "arn:aws:sts::111111111111:assumed-role/Admin/*",
        "arn:aws:sts::*:assumed-role/*/alice",
        "arn:aws:sts::222222222222:assumed-role/Admin/bob",
    ];

    fn callers() -> impl Strategy<Value = Caller> {
        let caller = |user, arn, fits| Caller { user, arn, fits };
        proptest::sample::select(vec![
            caller("alice", "arn:aws:iam::111111111111:user/alice", &PATTERNS[0..2]),
            caller("bob", "arn:aws:iam::111111111111:user/bob", &PATTERNS[1..2]),
            caller("mallory", "arn:aws:iam::222222222222:user/mallory", &[]),
            caller("alice", "arn:aws:iam::222222222222:user/alice", &[]),
            caller("alice", "arn:aws:sts::111111111111:assumed-role/Admin/alice", &PATTERNS[2..4]),
            caller("mallory", "arn:aws:sts::111111111111:assumed-role/Admin/mallory", &PATTERNS[2..3]),
            caller("bob", "arn:aws:sts::222222222222:assumed-role/Admin/bob", &PATTERNS[4..5]),
            caller("eve", "arn:aws:sts::222222222222:assumed-role/Other/eve", &[]),
        ])
    }

    fn rules() -> impl Strategy<Value = Vec<Plain>> {
        let some = |words: &'static [&'static str]| proptest::sample::subsequence(words, 0..=words.len());
        // Most rules have no principals; otherwise nearly every pair of policies would have overlapping patterns.
        let principals = prop_oneof![
            3 => Just(Vec::new()),
            1 => proptest::sample::subsequence(&PATTERNS[..], 0..=2),
        ];
        let lists = (some(&["dev", "prod", "staging"]), some(&["alice", "bob", "eve"]), principals);
        let modes = some(&["server", "cli", "credential_process"]);
        let days = proptest::sample::subsequence((0..7).collect::<Vec<usize>>(), 0..=7);
        // Whole hours hit the edges of windows more often than minutes do.
        let clock = prop_oneof![(0usize..24).prop_map(|hour| hour * 60), 0usize..1440];
        let hours = proptest::option::of((clock.clone(), clock).prop_filter("some time", |(start, end)| start != end));
        let zones =
            ["UTC", "Europe/Zurich", "America/New_York", "Asia/Kolkata", "Pacific/Auckland", "America/St_Johns"];
        let zone = proptest::option::of(proptest::sample::select(zones.to_vec()));
        let effects = ["allow", "deny", "require_approval", "require_server", "require_server_session"];
        let effect = proptest::sample::select(effects.to_vec());
        let rule = (effect, proptest::bool::ANY, lists, modes, days, hours, zone).prop_map(
            |(effect, breakglass, (profiles, users, principals), modes, days, hours, zone)| Plain {
                effect,
                breakglass,
                profiles,
                users,
                principals,
                modes,
                days,
                hours,
                zone,
            },
        );
        proptest::collection::vec(rule, 1..6)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn the_evaluator_agrees_with_a_second_one(
            rules in rules(),
            caller in callers(),
            profile in proptest::sample::select(vec!["dev", "prod"]),
            mode in proptest::sample::select(vec![
                ("server", Mode::Server), ("cli", Mode::Cli), ("credential_process", Mode::CredentialProcess)
            ]),
            // The quarter hours of 2026 and 2027, plus or minus a second, including all time changes.
            quarter in 0i64..70_080,
            second in -1i64..=1,
        ) {
            let at = Timestamp::from_second(1_767_225_600 + quarter * 900 + second).unwrap();
            let ask = Ask { user: caller.user, principal: caller.arn, profile, mode: mode.1, at };
            let text = yaml(&rules);
            let policy = policy(&text);
            let found = evaluate(&policy, &ask).map(|rule| rule.name.clone());
            let expected = naive(&rules, caller, profile, mode.0, at).map(|number| format!("r{number}"));
            prop_assert_eq!(found, expected, "{} at {}", text, at);
            for (rule, plain) in policy.rules.iter().zip(&rules) {
                prop_assert_eq!(rule.effect.word(), plain.effect);
            }
        }

        /// Compares the reported meaning of a change with the evaluator on random requests. Every observed difference is reported, no other
        /// is reported, and a rule reported as unreachable decides no request.
        #[test]
        fn the_reported_meaning_agrees_with_the_evaluator(
            before in rules(),
            after in rules(),
            shared in proptest::option::of(proptest::sample::select(vec!["UTC", "Europe/Zurich", "America/St_Johns"])),
            caller in callers(),
            mode in proptest::sample::select(vec![Mode::Server, Mode::Cli, Mode::CredentialProcess]),
            quarter in 0i64..70_080,
        ) {
            use crate::policy::{Direction, lint, meaning};
            let in_zone = |rules: &[Plain]| -> Vec<Plain> {
                rules.iter().cloned().map(|rule| Plain { zone: shared.or(rule.zone), ..rule }).collect()
            };
            let texts = [yaml(&in_zone(&before)), yaml(&in_zone(&after))];
            let [before, after] = [policy(&texts[0]), policy(&texts[1])];
            let at = Timestamp::from_second(1_767_225_600 + quarter * 900).unwrap();
            let ask = Ask { user: caller.user, principal: caller.arn, profile: "prod", mode, at };
            let decisions = |policy: &Policy| {
                evaluate(policy, &ask).map_or((Effect::Deny, true), |rule| (rule.effect, rule.breakglass))
            };
            let ((was, by_event), (is, still)) = (decisions(&before), decisions(&after));
            let means = meaning("prod", Some(&before), Some(&after));
            let reported = |direction| means.iter().any(|one| one.direction == direction);
            if (was, is) == (Effect::RequireApproval, Effect::RequireApproval) && by_event != still && shared.is_some() {
                let expected = if still { Direction::Opens } else { Direction::Closes };
                let right = reported(expected) || reported(Direction::Moves);
                prop_assert!(right, "{:?}\n{}\n{}\n{:?}", ask, texts[0], texts[1], means);
            }
            if was != is || by_event != still {
                prop_assert!(!reported(Direction::Same), "{:?}\n{}\n{}\n{:?}", ask, texts[0], texts[1], means);
                if shared.is_some() {
                    prop_assert!(!means.is_empty(), "{:?}\n{}\n{}", ask, texts[0], texts[1]);
                    let opens = was == Effect::Deny || is == Effect::Allow;
                    let expected = if opens { Direction::Opens } else { Direction::Closes };
                    let towards_or_away = was != is && (opens || is == Effect::Deny || was == Effect::Allow);
                    let right = !towards_or_away || reported(expected) || reported(Direction::Moves);
                    prop_assert!(right, "{:?}\n{}\n{}\n{:?}", ask, texts[0], texts[1], means);
                }
            }
            let findings = lint::lint(&Source::new("p", texts[1].clone()), None, &mut Faults::default());
            if let Some(rule) = evaluate(&after, &ask) {
                let unreachable = format!("unreachable rule {}", rule.name);
                prop_assert!(findings.iter().all(|one| one.message != unreachable), "{:?}\n{}", ask, texts[1]);
            }
        }
    }
}
