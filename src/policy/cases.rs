//! The test cases of a policy: user, profile, mode, time, and the expected answer.

use std::fmt;
use std::sync::Arc;

use jiff::{Timestamp, Zoned};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use strum::VariantArray;

use super::{Ask, Effect, Mode, Policy, Principal, evaluate};
use crate::diagnostic::{Faults, Source};
use crate::document::{self, Entry, Fields, Node, Reader, check_identifier, check_label};
use crate::resource::Invalid;

/// One test case.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    pub name: String,
    pub line: usize,
    pub user: String,
    /// The caller's ARN; `None` matches no pattern.
    pub principal: Option<String>,
    pub profile: String,
    pub mode: Mode,
    /// `None` if the policy has no time windows.
    pub at: Option<Timestamp>,
    pub expect: Expected,
    /// The rule that must decide, if the test case names one.
    pub rule: Option<String>,
}

/// The expected answer of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    Effect(Effect),
    /// No rule matches, which is a deny.
    NoMatch,
}

impl Expected {
    /// Returns its name in a test case.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Effect(effect) => effect.word(),
            Self::NoMatch => "no_match",
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.word())
    }
}

impl Serialize for Expected {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

impl<'de> Deserialize<'de> for Expected {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        let mut all = Effect::VARIANTS.iter().map(|effect| Self::Effect(*effect)).chain([Self::NoMatch]);
        let found = all.find(|one| one.word() == word);
        found.ok_or_else(|| de::Error::custom(format!("{word:?} is not an effect of a policy")))
    }
}

/// The policy's answer to a test case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub passed: bool,
    pub found: Expected,
    pub rule: Option<String>,
}

/// The default settings of test cases.
#[derive(Default)]
struct Common<'n> {
    /// All settings as written, including invalid ones.
    entries: &'n [Entry],
    user: Option<String>,
    principal: Option<String>,
    profile: Option<String>,
    mode: Option<Mode>,
    at: Option<Timestamp>,
}

/// The keys of a test case.
const KEYS: [&str; 8] = ["user", "principal", "profile", "mode", "at", "name", "rule", "expect"];

/// Reads the test cases of a policy and adds their errors to the faults.
pub fn parse(source: &Arc<Source>, policy: &Policy, faults: &mut Faults) -> Vec<Case> {
    let Some(root) = document::from_yaml(source, faults) else { return Vec::new() };
    let mut reader = Reader::yaml(source, faults);
    let reader = &mut reader;
    let Some(mut fields) = reader.map(&root, "the file of test cases") else { return Vec::new() };
    let defaults = read_common(reader, &mut fields);
    let cases = fields.required(reader, "cases", "add a list of test cases");
    let cases = cases.and_then(|entry| reader.list(&entry.node, "cases")).unwrap_or_default();
    fields.finish(reader);
    cases.iter().filter_map(|node| read_case(reader, node, &defaults, policy, source)).collect()
}

/// Reads the settings that a test case and the defaults have in common.
fn read_common<'n>(reader: &mut Reader<'_>, fields: &mut Fields<'n>) -> Common<'n> {
    let user = fields.get("user").and_then(|entry| reader.checked(&entry.node, "user", check_identifier));
    let principal = fields.get("principal").and_then(|entry| reader.checked(&entry.node, "principal", whole_arn));
    let profile = fields.get("profile").and_then(|entry| reader.checked(&entry.node, "profile", check_identifier));
    let mode = fields.get("mode").and_then(|entry| reader.variant(&entry.node, "mode"));
    let at = fields.get("at").and_then(|entry| reader.checked(&entry.node, "at", |text| moment(text).map(drop)));
    let at = at.and_then(|text| moment(&text).ok());
    Common { entries: fields.all(), user, principal, profile, mode, at }
}

fn read_case(
    reader: &mut Reader<'_>,
    node: &Node,
    defaults: &Common<'_>,
    policy: &Policy,
    source: &Source,
) -> Option<Case> {
    let mut fields = reader.map(node, "the test case")?;
    let own = read_common(reader, &mut fields);
    let name = fields.get("name").and_then(|entry| reader.checked(&entry.node, "name", check_label));
    let rule = fields.get("rule").and_then(|entry| reader.checked(&entry.node, "rule", check_label));
    let mut words: Vec<(&str, Expected)> =
        Effect::VARIANTS.iter().map(|effect| (effect.word(), Expected::Effect(*effect))).collect();
    words.push((Expected::NoMatch.word(), Expected::NoMatch));
    let list: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    // A misspelled key is reported once, as unknown.
    let misspelled = |key: &str| {
        let mut unknown = own.entries.iter().filter(|entry| !KEYS.contains(&entry.key.as_str()));
        unknown.any(|entry| document::closest(&entry.key, &KEYS) == Some(key))
    };
    let expect = if misspelled("expect") {
        fields.get("expect")
    } else {
        fields.required(reader, "expect", &format!("add expect: one of {}", list.join(", ")))
    };
    let expect = expect.and_then(|entry| reader.choice(&entry.node, "expect", &words));
    let principal = own.principal.or(defaults.principal.clone());
    // The name of the user follows from the ARN.
    let own_name = principal.as_deref().and_then(name_of).map(str::to_owned);
    let user = own.user.or(own_name).or(defaults.user.clone());
    let profile = own.profile.or(defaults.profile.clone());
    let at = own.at.or(defaults.at);
    let patterned = policy.rules.iter().any(|rule| !rule.conditions.principals.is_empty());
    let timed = policy.rules.iter().any(|rule| rule.conditions.time.is_some());
    for (key, missing) in [
        ("user", user.is_none()),
        ("principal", patterned && principal.is_none()),
        ("profile", profile.is_none()),
        ("at", timed && at.is_none()),
    ] {
        // A setting that is present but invalid has been reported already.
        let written = |key: &str| [own.entries, defaults.entries].into_iter().flatten().any(|entry| entry.key == key);
        let is_reported = written(key) || misspelled(key);
        if missing && !is_reported && !(key == "user" && written("principal")) {
            let help = match key {
                "principal" => "the policy has principals, so add the caller's ARN, as STS returns it",
                "at" => "the policy has time windows, so add the time: at: \"2026-01-14T10:00:00+01:00\"",
                _ => "add it here, or at the top of the file for all test cases",
            };
            let message = format!("the test case has no `{key}`");
            reader.fault(node.span.clone(), message, format!("`{key}` is missing"), help);
        }
    }
    if let Some((user, own_name)) = user.as_deref().zip(principal.as_deref().and_then(name_of))
        && user != own_name
    {
        let message = format!("the test case is for the user {user}, but the name of its principal is {own_name}");
        reader.fault(node.span.clone(), message, "two names", "remove `user`: it follows from the principal");
    }
    fields.finish(reader);
    let (user, profile, expect) = (user?, profile?, expect?);
    let line = source.line(node.span.start);
    let name = name.unwrap_or_else(|| format!("{user} into {profile}"));
    let mode = own.mode.or(defaults.mode).unwrap_or(Mode::Cli);
    Some(Case { name, line, user, principal, profile, mode, at, expect, rule })
}

/// Accepts the ARN of a caller, which must not contain wildcards.
fn whole_arn(text: &str) -> Result<(), Invalid> {
    if text.contains('*') {
        return Err(Invalid::new(format!("\"{text}\" is a pattern"), "write the ARN of one caller"));
    }
    Principal::new(text).map(drop)
}

/// Returns the user's name at the end of a caller's STS ARN.
fn name_of(arn: &str) -> Option<&str> {
    arn.rsplit('/').next().filter(|name| !name.is_empty())
}

/// Reads a timestamp with an offset or a time zone.
pub fn moment(text: &str) -> Result<Timestamp, Invalid> {
    let zoned = text.parse::<Zoned>().map(|zoned| zoned.timestamp());
    zoned.or_else(|_| text.parse::<Timestamp>()).map_err(|_| {
        Invalid::new(
            format!("\"{text}\" is not a time"),
            "write one such as \"2026-01-14T10:00:00+01:00\" or \"2026-01-14T10:00[Europe/Zurich]\"",
        )
    })
}

/// Evaluates the policy for a test case.
pub fn judge(policy: &Policy, case: &Case) -> Finding {
    let Case { user, profile, mode, at, .. } = case;
    let principal = case.principal.as_deref().unwrap_or_default();
    let ask = Ask { user, principal, profile, mode: *mode, at: at.unwrap_or(Timestamp::UNIX_EPOCH) };
    let rule = evaluate(policy, &ask);
    let found = rule.map_or(Expected::NoMatch, |rule| Expected::Effect(rule.effect));
    let rule = rule.map(|rule| rule.name.clone());
    let passed = found == case.expect && (case.rule.is_none() || case.rule == rule);
    Finding { passed, found, rule }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = r#"
version: "1"
rules:
  - name: office
    effect: allow
    conditions: { users: [alice], time: { hours: { start: "09:00", end: "17:00" }, timezone: Europe/Zurich } }
  - { name: prod, effect: require_approval, conditions: { profiles: [prod] } }
"#;

    fn read(text: &str) -> (Vec<Case>, Vec<String>) {
        let mut faults = Faults::default();
        let policy = super::super::parse(&Source::new("p.yaml", POLICY), &mut faults).unwrap();
        let cases = parse(&Source::new("p.test.yaml", text), &policy, &mut faults);
        let line =
            |fault: &crate::diagnostic::Fault| format!("{}: {}", fault.source.line(fault.span.start), fault.message);
        (cases, faults.into_sorted().iter().map(line).collect())
    }

    #[test]
    fn test_cases_are_evaluated_like_exec() {
        let text = r#"
profile: dev
at: "2026-01-14T10:00:00+01:00"
cases:
  - { user: alice, expect: allow, rule: office }
  - { name: too early, user: alice, at: "2026-01-14T08:59[Europe/Zurich]", expect: no_match }
  - { user: bob, profile: prod, mode: server, expect: require_approval }
  - { user: alice, expect: deny }
  - { user: alice, expect: allow, rule: other }
"#;
        let (cases, faults) = read(text);
        assert_eq!(faults, [""; 0]);
        let policy = super::super::parse(&Source::new("p.yaml", POLICY), &mut Faults::default()).unwrap();
        let passed: Vec<bool> = cases.iter().map(|case| judge(&policy, case).passed).collect();
        assert_eq!(passed, [true, true, true, false, false]);
        assert_eq!((cases[1].name.as_str(), cases[1].line), ("too early", 6));
        assert_eq!(cases[2].name, "bob into prod");
        let finding = judge(&policy, &cases[3]);
        assert_eq!((finding.found, finding.rule.as_deref()), (Expected::Effect(Effect::Allow), Some("office")));
    }

    /// An ambiguous test case could pass without checking what it seems to check.
    #[test]
    fn ambiguous_test_cases_are_refused() {
        let case =
            |case: &str| read(&format!("profile: dev\ncases:\n  - {{ {case}, at: \"2026-01-14T10:00:00Z\" }}\n"));
        for (text, fault) in [
            ("user: аlice, expect: no_match", "3: no such name can exist: it has \"а\" (U+0430)"),
            ("user: \"al\\u200bice\", expect: no_match", "3: this name has an invisible character (U+200B)"),
            ("user: alice, expect: !not allow", "3: the YAML tag `!not`"),
            ("user: alice, <<: { expect: allow }", "3: the YAML merge key `<<`"),
            ("user: alice,\r expect: allow", "3: a carriage return without a line feed (U+000D)"),
        ] {
            assert_eq!(case(text), (vec![], vec![fault.to_owned()]), "{text}");
        }
    }

    #[test]
    fn a_test_case_needs_a_principal_if_the_policy_has_patterns() {
        let text = "version: \"1\"\nrules:\n  - { name: admins, effect: allow, conditions: { principals: \
                    [\"arn:aws:sts::123456789012:assumed-role/Admin/*\"] } }\n";
        let policy = super::super::parse(&Source::new("p.yaml", text), &mut Faults::default()).unwrap();
        let cases = |case: &str| {
            let mut faults = Faults::default();
            let text = format!("profile: dev\ncases:\n  - {{ {case} }}\n");
            let cases = parse(&Source::new("p.test.yaml", text), &policy, &mut faults);
            let faults = faults.into_sorted().iter().map(|fault| fault.message.clone()).collect::<Vec<_>>();
            (cases, faults)
        };
        for (role, expect) in [("Admin", "allow"), ("Other", "no_match")] {
            let principal = format!("arn:aws:sts::123456789012:assumed-role/{role}/alice");
            let (read, faults) = cases(&format!("principal: \"{principal}\", expect: {expect}"));
            assert_eq!(faults, [""; 0]);
            assert_eq!(read[0].user, "alice");
            assert!(judge(&policy, &read[0]).passed);
        }
        assert_eq!(cases("user: alice, expect: allow").1, ["the test case has no `principal`"]);
        let pattern = "principal: \"arn:aws:sts::123456789012:assumed-role/*/alice\", expect: allow";
        assert_eq!(cases(pattern).1.first().map(|one| one.ends_with("is a pattern")), Some(true));
        let other = "user: bob, principal: \"arn:aws:sts::123456789012:assumed-role/Admin/alice\", expect: allow";
        assert_eq!(cases(other).1, ["the test case is for the user bob, but the name of its principal is alice"]);
    }

    #[test]
    fn every_fault_is_reported_with_its_line() {
        let text = r#"profile: dev
cases:
  - { user: alice, expect: alow, at: "2026-01-14" }
  - { expect: allow, at: "2026-01-14T10:00:00Z" }
  - { user: bob, expect: deny }
  - { user: bob, expect: deny, at: "2026-01-14T10:00:00Z", when: x }
"#;
        let expected = [
            "3: `expect` cannot be \"alow\"",
            "3: \"2026-01-14\" is not a time",
            "4: the test case has no `user`",
            "5: the test case has no `at`",
            "6: unknown key `when` in the test case",
        ];
        assert_eq!(read(text).1, expected);
        // A misspelled key is one error.
        let text = "profile: dev\ncases:\n  - { usr: alice, expects: allow, at: \"2026-01-14T10:00:00Z\" }\n";
        let expected = ["3: unknown key `usr` in the test case", "3: unknown key `expects` in the test case"];
        assert_eq!(read(text).1, expected);
        // An invalid setting for all test cases is one error.
        let text = "profile: dev\nat: noon\ncases:\n  - { user: bob, expect: deny }\n";
        assert_eq!(read(text).1, ["2: \"noon\" is not a time"]);
    }
}
