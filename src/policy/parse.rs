//! Checks a policy document, and reports every fault of it with its place.

use std::collections::HashMap;
use std::sync::Arc;

use crate::diagnostic::{Faults, Source};
use crate::document::{self, Fields, Node, Reader};
use crate::resource::Invalid;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    Allow,
    Deny,
    RequireApproval,
    RequireServer,
    RequireServerSession,
}

const EFFECTS: &[(&str, Effect)] = &[
    ("allow", Effect::Allow),
    ("deny", Effect::Deny),
    ("require_approval", Effect::RequireApproval),
    ("require_server", Effect::RequireServer),
    ("require_server_session", Effect::RequireServerSession),
];
const MODES: &[(&str, ())] = &[("server", ()), ("cli", ()), ("credential_process", ())];
const DAYS: &[(&str, ())] = &[
    ("monday", ()),
    ("tuesday", ()),
    ("wednesday", ()),
    ("thursday", ()),
    ("friday", ()),
    ("saturday", ()),
    ("sunday", ()),
];

/// Checks a policy document; what is wrong with it is added to the faults.
pub fn check(source: &Arc<Source>, faults: &mut Faults) {
    if source.text.trim().is_empty() {
        let mut reader = Reader::new(source, faults);
        reader.fault(0..0, "the policy is empty", "nothing here", "write version: \"1\" and a list of rules");
        return;
    }
    let Some(root) = document::from_yaml(source, faults) else { return };
    let mut reader = Reader::new(source, faults);
    let reader = &mut reader;
    let Some(mut policy) = reader.map(&root, "policy") else { return };
    if let Some(version) = policy.required(reader, "version", "add version: \"1\" as the first line") {
        reader.choice(&version.node, "version", &[("1", ())]);
    }
    if let Some(rules) = policy.required(reader, "rules", "add a list of at least one rule") {
        check_rules(reader, &rules.node);
    }
    policy.finish(reader);
}

fn check_rules(reader: &mut Reader<'_>, node: &Node) {
    let Some(rules) = reader.list(node, "rules") else { return };
    if rules.is_empty() {
        reader.fault(node.span.clone(), "`rules` is empty", "no rule", "write at least one rule; no match is a deny");
    }
    let mut names: HashMap<String, usize> = HashMap::new();
    for (place, rule) in rules.iter().enumerate() {
        let Some(mut fields) = reader.map(rule, "rule") else { continue };
        if let Some(entry) = fields.required(reader, "name", "give each rule a name of its own")
            && let Some(name) = reader.checked(&entry.node, "name", not_blank)
            && let Some(first) = names.insert(name.clone(), place)
        {
            let message = format!("two rules are called \"{name}\"");
            let label = format!("rule {} has this name already", first + 1);
            reader.fault(entry.node.span.clone(), message, label, "give each rule a name of its own");
        }
        let words: Vec<&str> = EFFECTS.iter().map(|(word, _)| *word).collect();
        let effect = fields
            .required(reader, "effect", &format!("add effect: one of {}", words.join(", ")))
            .and_then(|entry| reader.choice(&entry.node, "effect", EFFECTS));
        if let Some(entry) = fields.get("conditions") {
            check_conditions(reader, &entry.node);
        }
        if let Some(entry) = fields.get("reason") {
            reader.string(&entry.node, "reason");
        }
        if let Some(entry) = fields.get("session_table") {
            reader.checked(&entry.node, "session_table", crate::resource::table::check_name);
            if effect.is_some_and(|effect| effect != Effect::RequireServerSession) {
                let message = "`session_table` goes only with effect: require_server_session";
                reader.fault(
                    entry.key_span.clone(),
                    message,
                    "not with this effect",
                    "remove it, or change the effect",
                );
            }
        }
        fields.finish(reader);
    }
}

fn check_conditions(reader: &mut Reader<'_>, node: &Node) {
    let Some(mut fields) = reader.map(node, "conditions") else { return };
    for key in ["profiles", "users"] {
        if let Some(entry) = fields.get(key) {
            each(reader, &entry.node, key, |reader, item| {
                reader.checked(item, key, not_blank);
            });
        }
    }
    if let Some(entry) = fields.get("mode") {
        each(reader, &entry.node, "mode", |reader, item| {
            reader.choice(item, "mode", MODES);
        });
    }
    if let Some(entry) = fields.get("time") {
        check_time(reader, &entry.node);
    }
    fields.finish(reader);
}

fn check_time(reader: &mut Reader<'_>, node: &Node) {
    let Some(mut fields) = reader.map(node, "time") else { return };
    if let Some(entry) = fields.get("days") {
        each(reader, &entry.node, "days", |reader, item| {
            reader.choice(item, "days", DAYS);
        });
    }
    if let Some(entry) = fields.get("hours")
        && let Some(mut hours) = reader.map(&entry.node, "hours")
    {
        check_hour(reader, &mut hours, "start");
        check_hour(reader, &mut hours, "end");
        hours.finish(reader);
    }
    if let Some(entry) = fields.get("timezone") {
        reader.checked(&entry.node, "timezone", timezone);
    }
    fields.finish(reader);
}

fn check_hour(reader: &mut Reader<'_>, hours: &mut Fields<'_>, key: &'static str) {
    if let Some(entry) = hours.required(reader, key, "write both, as \"HH:MM\": start: \"09:00\", end: \"17:30\"") {
        reader.checked(&entry.node, key, clock_time);
    }
}

fn each(reader: &mut Reader<'_>, node: &Node, what: &str, mut check: impl FnMut(&mut Reader<'_>, &Node)) {
    if let Some(items) = reader.list(node, what) {
        for item in items {
            check(reader, item);
        }
    }
}

fn not_blank(text: &str) -> Result<(), Invalid> {
    if text.trim().is_empty() {
        return Err(Invalid::new("this is blank", "write something, or leave the key out"));
    }
    Ok(())
}

fn clock_time(text: &str) -> Result<(), Invalid> {
    let part = |digits: &str, below: u32| {
        digits.len() == 2
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && digits.parse::<u32>().is_ok_and(|number| number < below)
    };
    match text.split_once(':') {
        Some((hours, minutes)) if part(hours, 24) && part(minutes, 60) => Ok(()),
        _ => Err(Invalid::new(format!("\"{text}\" is not a time of day"), "write HH:MM, from 00:00 to 23:59")),
    }
}

fn timezone(name: &str) -> Result<(), Invalid> {
    // The names in the data that comes with the program: the machine's own would make a policy's validity depend on it.
    if jiff::tz::TimeZoneDatabase::bundled().get(name).is_ok() {
        return Ok(());
    }
    Err(Invalid::new(
        format!("\"{name}\" is not a time zone"),
        "write an IANA name such as Europe/Zurich, America/New_York or UTC",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns each fault as `line: message`.
    fn faults(text: &str) -> Vec<String> {
        let mut faults = Faults::default();
        check(&Source::new("dev.yaml", text), &mut faults);
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
                "9: `hours` lacks `end`",
                "9: \"9:00\" is not a time of day",
                "10: \"Mars/Olympus\" is not a time zone",
                "11: unknown key `extra` in `conditions`",
                "12: two rules are called \"one\"",
                "14: `session_table` goes only with effect: require_server_session",
                "15: `rule` lacks `name`",
            ]
        );
    }

    #[test]
    fn no_rules_is_a_fault() {
        assert_eq!(faults("version: \"1\"\nrules: []\n"), ["2: `rules` is empty"]);
        assert_eq!(faults("version: \"1\"\n"), ["1: `policy` lacks `rules`"]);
        assert_eq!(faults(" \n"), ["1: the policy is empty"]);
        assert_eq!(faults("- a\n"), ["1: `policy` must be a table, not a list"]);
    }
}
