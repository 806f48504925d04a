//! Reads a policy document and reports each of its faults with the location.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use jiff::civil::{Time, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use strum::VariantArray;

use super::lint::Lint;
use super::{Bound, BreakglassLimits, Conditions, Effect, Hours, Policy, Principal, RolePattern, Rule, Window};
use crate::diagnostic::{Faults, Source};
use crate::document::{self, Entry, Fields, Node, Reader, Value, check_identifier, check_label};
use crate::resource::Invalid;

const DAYS: &[(&str, Weekday)] = &[
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];

/// The maximum session duration of a server that a rule can set, in seconds.
const LONGEST: i64 = 24 * 3600;

/// Reads a policy document. If it has errors, they are added to the faults and no policy is returned, because a partly understood policy
/// must not decide anything.
pub fn parse(source: &Arc<Source>, faults: &mut Faults) -> Option<Policy> {
    parse_located(source, faults).map(|(policy, _)| policy)
}

/// Reads a policy document, and returns it with the spans of its rules.
pub fn parse_located(source: &Arc<Source>, faults: &mut Faults) -> Option<(Policy, Vec<Range<usize>>)> {
    let before = faults.len();
    let policy = read(source, faults);
    policy.filter(|_| faults.len() == before)
}

fn read(source: &Arc<Source>, faults: &mut Faults) -> Option<(Policy, Vec<Range<usize>>)> {
    if source.text.trim().is_empty() {
        let mut reader = Reader::yaml(source, faults);
        reader.fault(0..0, "the policy is empty", "nothing here", "write version: \"1\" and a list of rules");
        return None;
    }
    let root = document::from_yaml(source, faults)?;
    let mut reader = Reader::yaml(source, faults);
    let reader = &mut reader;
    let mut policy = reader.map(&root, "the policy")?;
    if let Some(version) = policy.required(reader, "version", "add version: \"1\" as the first line") {
        reader.choice(&version.node, "version", &[("1", ())]);
    }
    let credentials = policy.get("credentials").map(|entry| read_bound(reader, &entry.node));
    let rules = policy.required(reader, "rules", "add a list of at least one rule");
    let (rules, places) = rules.map(|rules| read_rules(reader, &rules.node)).unwrap_or_default();
    let limits = policy.get("breakglass_limits").map(|entry| read_breakglass_limits(reader, &entry.node));
    let breakglass_limits = limits.unwrap_or_default();
    policy.finish(reader);
    Some((Policy { credentials, rules, breakglass_limits }, places))
}

/// Reads the credentials that the policy releases. An empty list is a fault, since it could mean all or none.
fn read_bound(reader: &mut Reader<'_>, node: &Node) -> Bound {
    let Some(mut fields) = reader.map(node, "credentials") else { return Bound::default() };
    let mut list = |reader: &mut Reader<'_>, key: &'static str, check: fn(&str) -> Result<(), Invalid>| {
        let entry = fields.get(key)?;
        let items = reader.list(&entry.node, key);
        if items.is_some_and(<[Node]>::is_empty) {
            let help = "add at least one, or remove the key";
            reader.fault(entry.node.span.clone(), format!("`{key}` is empty"), "nothing here", help);
        }
        Some(items.unwrap_or_default().iter().filter_map(|item| reader.checked(item, key, check)).collect::<Vec<_>>())
    };
    let role_arns = list(reader, "role_arn", |text| RolePattern::new(text).map(drop));
    let aws_profiles = list(reader, "aws_profile", check_identifier);
    fields.finish(reader);
    if role_arns.is_none() && aws_profiles.is_none() {
        let help = "add role_arn or aws_profile, each a list, or remove credentials";
        reader.fault(node.span.clone(), "`credentials` is empty", "nothing here", help);
    }
    let role_arns = role_arns.unwrap_or_default().iter().filter_map(|text| RolePattern::new(text).ok()).collect();
    Bound { role_arns, aws_profiles: aws_profiles.unwrap_or_default() }
}

/// Returns the rules that could be read, with their spans.
fn read_rules(reader: &mut Reader<'_>, node: &Node) -> (Vec<Rule>, Vec<Range<usize>>) {
    let Some(nodes) = reader.list(node, "rules") else { return Default::default() };
    if nodes.is_empty() {
        reader.fault(
            node.span.clone(),
            "`rules` is empty",
            "no rule",
            "add at least one rule; requests that no rule \
             matches are denied",
        );
    }
    let mut names: HashMap<String, usize> = HashMap::new();
    let (mut rules, mut places) = (Vec::new(), Vec::new());
    for (index, rule) in nodes.iter().enumerate() {
        let Some(mut fields) = reader.map(rule, "the rule") else { continue };
        let mut name = None;
        if let Some(entry) = fields.required(reader, "name", "give each rule its own name") {
            name = reader.checked(&entry.node, "name", check_label);
            if let Some(first) = name.clone().and_then(|name| names.insert(name, index)) {
                let message = format!("two rules have the name \"{}\"", name.as_deref().unwrap_or_default());
                let label = format!("rule {} already has this name", first + 1);
                reader.fault(entry.node.span.clone(), message, label, "give each rule its own name");
            }
        }
        let words: Vec<&str> = Effect::VARIANTS.iter().map(|effect| effect.word()).collect();
        let effect = fields
            .required(reader, "effect", &format!("add effect: one of {}", words.join(", ")))
            .and_then(|entry| reader.variant(&entry.node, "effect"));
        let conditions = fields.get("conditions").map(|entry| read_conditions(reader, &entry.node));
        let reason = fields.get("reason").and_then(|entry| reader.string(&entry.node, "reason"));
        let mut session_table = None;
        if let Some(entry) = fields.get("session_table") {
            session_table = reader.checked(&entry.node, "session_table", crate::resource::check_table_name);
            if effect.is_some_and(|effect| effect != Effect::RequireServerSession) {
                let message = "`session_table` is only valid with effect: require_server_session";
                reader.fault(
                    entry.key_span.clone(),
                    message,
                    "not with this effect",
                    "remove it, or change the effect",
                );
            }
        }
        let breakglass = fields.get("breakglass").and_then(|entry| read_breakglass(reader, entry, effect));
        let longest = fields.get("max_server_duration");
        let longest = longest.and_then(|entry| {
            let text = reader.checked(&entry.node, "max_server_duration", |text| duration(text).map(drop))?;
            duration(&text).ok()
        });
        fields.finish(reader);
        if let (Some(name), Some(effect)) = (name, effect) {
            let (conditions, device) = conditions.unwrap_or_default();
            let read = Rule {
                name,
                effect,
                conditions,
                reason,
                session_table,
                breakglass: breakglass.unwrap_or(true),
                max_server_duration: longest,
                device: device == Device::Asked,
            };
            rules.push(if read.device { denying(read) } else { read });
            places.push(rule.span.clone());
        }
    }
    (rules, places)
}

/// Turns a rule into a deny, because its condition cannot be verified.
fn denying(rule: Rule) -> Rule {
    Rule { effect: Effect::Deny, session_table: None, breakglass: true, max_server_duration: None, ..rule }
}

/// Reads whether break-glass counts as an approval. Only a rule that requires approval can set this.
fn read_breakglass(reader: &mut Reader<'_>, entry: &Entry, effect: Option<Effect>) -> Option<bool> {
    if effect.is_some_and(|effect| effect != Effect::RequireApproval) {
        let message = "`breakglass` is only valid with effect: require_approval";
        reader.fault(entry.key_span.clone(), message, "not with this effect", "remove it, or change the effect");
    }
    reader.boolean(&entry.node, "breakglass")
}

fn read_breakglass_limits(reader: &mut Reader<'_>, node: &Node) -> BreakglassLimits {
    let mut limits = BreakglassLimits::default();
    let Some(mut fields) = reader.map(node, "breakglass_limits") else { return limits };
    for (key, limit) in [("events_per_day", &mut limits.events), ("hours_per_day", &mut limits.hours)] {
        let Some(entry) = fields.get(key) else { continue };
        let number = match entry.node.value {
            Value::Integer(number) => u32::try_from(number).ok(),
            _ => None,
        };
        if let Some(number) = number.filter(|number| (1..=BreakglassLimits::MOST).contains(number)) {
            *limit = number;
        } else {
            let message = format!("`{key}` must be an integer from 1 to {}", BreakglassLimits::MOST);
            let help = "to forbid break-glass, write breakglass: false in the rule";
            reader.fault(entry.node.span.clone(), message, "not in this range", help);
        }
    }
    fields.finish(reader);
    limits
}

/// Whether a rule has a device condition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Device {
    #[default]
    Any,
    Asked,
}

fn read_conditions(reader: &mut Reader<'_>, node: &Node) -> (Conditions, Device) {
    let Some(mut fields) = reader.map(node, "conditions") else { return Default::default() };
    let mut names = |reader: &mut Reader<'_>, key: &'static str| {
        let entry = fields.get(key);
        entry.map(|entry| each(reader, &entry.node, key, |reader, item| reader.checked(item, key, check_identifier)))
    };
    let profiles = names(reader, "profiles").unwrap_or_default();
    let users = names(reader, "users").unwrap_or_default();
    let principals = fields.get("principals").map(|entry| {
        let check = |text: &str| Principal::new(text).map(drop);
        each(reader, &entry.node, "principals", |reader, item| reader.checked(item, "principals", check))
    });
    let principals = principals.unwrap_or_default().iter().filter_map(|text| Principal::new(text).ok()).collect();
    let modes = fields
        .get("mode")
        .map(|entry| each(reader, &entry.node, "mode", |reader, item| reader.variant(item, "mode")))
        .unwrap_or_default();
    let time = fields.get("time").map(|entry| read_time(reader, &entry.node));
    let device = fields.get("device").map(|entry| read_device(reader, &entry.node));
    fields.finish(reader);
    (Conditions { profiles, users, principals, modes, time }, device.unwrap_or_default())
}

/// Reads a device condition like the Go implementation: a key that is false, or an empty list, is no condition. Source: `policy/device.go`
/// and `docs/DEVICE_POSTURE.md` of the Go implementation.
fn read_device(reader: &mut Reader<'_>, node: &Node) -> Device {
    let Some(mut fields) = reader.map(node, "device") else { return Device::Asked };
    let mut has_condition = false;
    for key in ["require_encryption", "require_mdm", "require_mdm_compliant", "require_firewall"] {
        if let Some(entry) = fields.get(key) {
            has_condition |= reader.boolean(&entry.node, key) != Some(false);
        }
    }
    if let Some(entry) = fields.get("min_os_version") {
        has_condition |= reader.string(&entry.node, "min_os_version").is_none_or(|version| !version.is_empty());
    }
    if let Some(entry) = fields.get("allowed_os_types") {
        let types = [("darwin", ()), ("windows", ()), ("linux", ())];
        each(reader, &entry.node, "allowed_os_types", |reader, item| reader.choice(item, "allowed_os_types", &types));
        has_condition |= !matches!(&entry.node.value, Value::List(items) if items.is_empty());
    }
    fields.finish(reader);
    if has_condition { Device::Asked } else { Device::Any }
}

/// Reads a duration in Go's format, such as `1h30m`, as seconds. Source: `ParseDuration` in the documentation of Go's package `time`.
fn duration(text: &str) -> Result<i64, Invalid> {
    let read = || {
        let (mut total, mut rest) = (0_i64, text);
        // A larger unit comes before a smaller one.
        for (unit, seconds) in [("h", 3600), ("m", 60), ("s", 1)] {
            let Some((number, more)) = rest.split_once(unit) else { continue };
            let plain = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
            let number = number.parse::<i64>().ok().filter(|_| plain)?;
            total = total.checked_add(number.checked_mul(seconds)?)?;
            rest = more;
        }
        Some(total).filter(|total| rest.is_empty() && (1..=LONGEST).contains(total))
    };
    read().ok_or_else(|| {
        let problem = format!("\"{text}\" is not a valid duration");
        Invalid::new(problem, "write hours, minutes and seconds, such as \"30m\" or \"1h30m\", up to \"24h\"")
    })
}

fn read_time(reader: &mut Reader<'_>, node: &Node) -> Window {
    let mut window = Window { days: Vec::new(), hours: None, zone: TimeZone::UTC };
    let Some(mut fields) = reader.map(node, "time") else { return window };
    if let Some(entry) = fields.get("days") {
        window.days = each(reader, &entry.node, "days", |reader, item| reader.choice(item, "days", DAYS));
    }
    if let Some(entry) = fields.get("hours")
        && let Some(mut hours) = reader.map(&entry.node, "hours")
    {
        let start = read_hour(reader, &mut hours, "start");
        let end = read_hour(reader, &mut hours, "end");
        hours.finish(reader);
        window.hours = start.zip(end).map(|(start, end)| Hours { start, end });
        if window.hours.is_some_and(|hours| hours.start == hours.end) {
            let help = "remove hours to allow the whole day; hours that end before they start continue past midnight";
            reader.fault(entry.node.span.clone(), "`hours` end when they start", "no time between them", help);
            reader.coded(Lint::EmptyWindow.code());
        }
    }
    if let Some(entry) = fields.get("timezone")
        && let Some(name) = reader.checked(&entry.node, "timezone", |name| timezone(name).map(drop))
        && let Ok(zone) = timezone(&name)
    {
        window.zone = zone;
    }
    fields.finish(reader);
    window
}

fn read_hour(reader: &mut Reader<'_>, hours: &mut Fields<'_>, key: &'static str) -> Option<Time> {
    let entry = hours.required(reader, key, "write both, as \"HH:MM\": start: \"09:00\", end: \"17:30\"")?;
    let text = reader.checked(&entry.node, key, |text| clock_time(text).map(drop))?;
    clock_time(&text).ok()
}

fn each<T>(
    reader: &mut Reader<'_>,
    node: &Node,
    what: &str,
    mut read: impl FnMut(&mut Reader<'_>, &Node) -> Option<T>,
) -> Vec<T> {
    let items = reader.list(node, what).unwrap_or_default();
    items.iter().filter_map(|item| read(reader, item)).collect()
}

fn clock_time(text: &str) -> Result<Time, Invalid> {
    let part = |digits: &str| {
        let plain = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<i8>().ok().filter(|_| plain)
    };
    let parts = text.split_once(':').and_then(|(hours, minutes)| part(hours).zip(part(minutes)));
    parts
        .and_then(|(hours, minutes)| Time::new(hours, minutes, 0, 0).ok())
        .ok_or_else(|| Invalid::new(format!("\"{text}\" is not a time of day"), "write HH:MM, from 00:00 to 23:59"))
}

fn timezone(name: &str) -> Result<TimeZone, Invalid> {
    // Uses the bundled time zone data, so that the meaning of a policy does not depend on the machine.
    TimeZoneDatabase::bundled().get(name).map_err(|_| {
        Invalid::new(
            format!("\"{name}\" is not a time zone"),
            "write an IANA name such as Europe/Zurich, America/New_York or UTC",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns each fault as `line: message`.
    fn faults(text: &str) -> Vec<String> {
        let mut faults = Faults::default();
        parse(&Source::new("dev.yaml", text), &mut faults);
        faults
            .into_sorted()
            .iter()
            .map(|fault| format!("{}: {}", fault.source.line(fault.span.start), fault.message))
            .collect()
    }

    #[test]
    fn a_policy_with_everything_is_valid() {
        let text = r#"
version: "1"
rules:
  - name: office-hours
    effect: allow
    conditions:
      profiles: [dev, staging]
      users: []
      mode: [server, cli, credential_process]
      time:
        days: [monday, sunday]
        hours: { start: "09:00", end: "23:59" }
        timezone: Europe/Zurich
    reason: Office hours
  - name: sessions
    effect: require_server_session
    session_table: sentinel-sessions
  - name: rest
    effect: deny
"#;
        assert_eq!(faults(text), [""; 0]);
    }

    #[test]
    fn break_glass_has_keys_that_forbid_and_limit_it() {
        let read = |text: &str| parse(&Source::new("p.yaml", text), &mut Faults::default()).unwrap();
        let rules = "version: \"1\"\nrules:\n  - { name: a, effect: require_approval, breakglass: false }\n";
        let policy = read(rules);
        assert!(!policy.rules[0].breakglass);
        assert_eq!(policy.breakglass_limits, BreakglassLimits { events: 3, hours: 8 });
        let policy = read(&format!("{rules}breakglass_limits: {{ events_per_day: 1 }}\n"));
        assert_eq!(policy.breakglass_limits, BreakglassLimits { events: 1, hours: 8 });
        assert!(read("version: \"1\"\nrules:\n  - { name: a, effect: require_approval }\n").rules[0].breakglass);
        let wrong = r#"version: "1"
rules:
  - { name: a, effect: allow, breakglass: false }
  - { name: b, effect: deny, breakglass: true }
  - { name: c, effect: require_approval, breakglass: "no" }
breakglass_limits:
  events_per_day: 0
  hours_per_day: 25
  minutes_per_day: 1
"#;
        let expected = [
            "3: `breakglass` is only valid with effect: require_approval",
            "4: `breakglass` is only valid with effect: require_approval",
            "5: `breakglass` must be true or false, not a string",
            "7: `events_per_day` must be an integer from 1 to 24",
            "8: `hours_per_day` must be an integer from 1 to 24",
            "9: unknown key `minutes_per_day` in `breakglass_limits`",
        ];
        assert_eq!(faults(wrong), expected);
    }

    #[test]
    fn durations_are_read_in_go_format() {
        for (text, seconds) in [("30m", 1800), ("1h30m", 5400), ("45s", 45), ("1h0m5s", 3605), ("24h", 86400)] {
            assert_eq!(duration(text).ok(), Some(seconds), "{text}");
        }
        for text in ["", "30", "0s", "m", "1m1h", "-5m", "1.5h", "25h", "1d", "30m ", "99999999999999999999h"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_rule_with_a_device_condition_denies() {
        let read = |device: &str| {
            let text = format!(
                "version: \"1\"\nrules:\n  - {{ name: a, effect: require_server_session, session_table: some-table, \
                 max_server_duration: 30m, conditions: {{ device: {device} }} }}\n"
            );
            parse(&Source::new("p.yaml", text), &mut Faults::default()).unwrap().rules.remove(0)
        };
        for asks in ["{ require_mdm: true }", "{ min_os_version: \"14.0\" }", "{ allowed_os_types: [linux] }"] {
            let rule = read(asks);
            assert!(rule.device && rule.effect == Effect::Deny && rule.session_table.is_none(), "{asks}");
        }
        for any in ["{}", "{ require_mdm: false }", "{ allowed_os_types: [] }"] {
            let rule = read(any);
            assert!(!rule.device && rule.effect == Effect::RequireServerSession, "{any}");
            assert_eq!(rule.max_server_duration, Some(1800));
        }
        let wrong = "version: \"1\"\nrules:\n  - name: a\n    effect: allow\n    conditions:\n      device:\n        require_mdm: \"yes\"\n        allowed_os_types: [beos]\n        posture: good\n    max_server_duration: 30\n";
        let expected = [
            "7: `require_mdm` must be true or false, not a string",
            "8: `allowed_os_types` cannot be \"beos\"",
            "9: unknown key `posture` in `device`",
            "10: `max_server_duration` must be a string, not an integer",
        ];
        assert_eq!(faults(wrong), expected);
    }

    #[test]
    fn invalid_credentials_sections_are_refused() {
        let with = |credentials: &str| {
            faults(&format!("version: \"1\"\ncredentials: {credentials}\nrules:\n  - {{ name: a, effect: allow }}\n"))
        };
        let role = "\"arn:aws:iam::123456789012:role/dev\"";
        assert_eq!(with(&format!("{{ role_arn: [{role}], aws_profile: [dev] }}")), [""; 0]);
        assert_eq!(with("{}"), ["2: `credentials` is empty"]);
        assert_eq!(with("{ role_arn: [] }"), ["2: `role_arn` is empty"]);
        assert_eq!(with("{ role_arn: [dev] }"), ["2: \"dev\" is not the ARN of a role"]);
        assert_eq!(with("{ role_arn: dev }"), ["2: `role_arn` must be a list, not a string"]);
        assert_eq!(with(&format!("{{ role_arns: [{role}] }}")).len(), 2);
        let principals =
            "version: \"1\"\nrules:\n  - { name: a, effect: allow, conditions: { principals: [alice] } }\n";
        assert_eq!(faults(principals), ["3: \"alice\" is not the ARN of a caller"]);
    }

    #[test]
    fn every_fault_is_reported_with_its_line() {
        let text = r#"version: 1
rules:
  - name: one
    effect: alow
    conditions:
      mode: [ftp]
      time:
        days: [Monday]
        hours: { start: "9:00" }
        timezone: Mars/Olympus
      extra: 1
  - name: one
    effect: deny
    session_table: sentinel-sessions
  - effect: allow
"#;
        assert_eq!(
            faults(text),
            [
                "1: `version` must be a string, not an integer",
                "4: `effect` cannot be \"alow\"",
                "6: `mode` cannot be \"ftp\"",
                "8: `days` cannot be \"Monday\"",
                "9: `hours` has no `end`",
                "9: \"9:00\" is not a time of day",
                "10: \"Mars/Olympus\" is not a time zone",
                "11: unknown key `extra` in `conditions`",
                "12: two rules have the name \"one\"",
                "14: `session_table` is only valid with effect: require_server_session",
                "15: the rule has no `name`",
            ]
        );
    }

    #[test]
    fn hours_without_any_time_are_a_fault() {
        let hours = "hours: { start: \"09:00\", end: \"09:00\" }";
        let text = format!(
            "version: \"1\"\nrules:\n  - name: a\n    effect: allow\n    conditions: {{ time: {{ {hours} }} }}\n"
        );
        assert_eq!(faults(&text), ["5: `hours` end when they start"]);
    }

    #[test]
    fn ambiguous_names_are_refused() {
        let rule = |name: &str, conditions: &str| {
            let rule = format!("{{ name: {name}, effect: deny, conditions: {{ {conditions} }} }}");
            faults(&format!("version: \"1\"\nrules:\n  - {rule}\n"))
        };
        let hidden = |code: &str| [format!("3: this name has an invisible character (U+{code})")];
        // The span points to the escape in the document; the message names the character.
        assert_eq!(rule("\"a\\u200bb\"", ""), hidden("200B"));
        assert_eq!(rule("\"a\\nb\"", ""), hidden("000A"));
        assert_eq!(rule("a\u{200d}b", ""), hidden("200D"));
        assert_eq!(rule("a", "users: [\"al\\u200bice\"]"), hidden("200B"));
        assert_eq!(rule("a", "users: [\"al\\0ice\"]"), hidden("0000"));
        assert_eq!(rule("a", "users: [\"al\\U000E0041ice\"]"), hidden("E0041"));
        assert_eq!(rule("a", "profiles: [d\u{fe0f}ev]"), hidden("FE0F"));
        // The first letter is Cyrillic.
        assert_eq!(rule("a", "users: [аlice]"), ["3: no such name can exist: it has \"а\" (U+0430)"]);
        assert_eq!(rule("a", "profiles: [dеv]"), ["3: no such name can exist: it has \"е\" (U+0435)"]);
        assert_eq!(rule("a", "users: [alice\u{a0}]").len(), 1);
        assert_eq!(rule("Zürich-安全", "users: [alice]"), [""; 0]);
    }

    #[test]
    fn a_policy_without_rules_is_a_fault() {
        assert_eq!(faults("version: \"1\"\nrules: []\n"), ["2: `rules` is empty"]);
        assert_eq!(faults("version: \"1\"\n"), ["1: the policy has no `rules`"]);
        assert_eq!(faults(" \n"), ["1: the policy is empty"]);
        assert_eq!(faults("- a\n"), ["1: the policy must be a mapping, not a list"]);
    }
}
