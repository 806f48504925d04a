//! Lints: constructs in a valid policy that are most likely mistakes, with stable codes.
//!
//! `# sentinel: allow L002` suppresses a finding, on its line or alone on the line above it.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::starter::ORIGIN;
use super::week::{Piece, Zones, applies_to, pieces, user_classes, zone};
use super::{Effect, Mode, Policy, Rule, parse_located};
use crate::diagnostic::{Faults, Source};
use crate::document::{self, closest};
use crate::resource::role;

/// The lints of a policy. Their codes are stable and never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, strum::VariantArray)]
pub enum Lint {
    /// The rule is unreachable.
    #[serde(rename = "L001")]
    UnreachableRule,
    /// A rule that allows access names no users.
    #[serde(rename = "L002")]
    AllowForEveryone,
    /// There is no catch-all rule, so some requests are denied without a reason.
    #[serde(rename = "L003")]
    NoDefaultDeny,
    /// A rule names a profile that is not in the manifest.
    #[serde(rename = "L004")]
    UnknownProfile,
    /// The hours start and end at the same time. Such a policy is invalid, so this code belongs to a fault.
    #[serde(rename = "L005")]
    EmptyWindow,
    /// A time window has neither days nor hours, so it is always open.
    #[serde(rename = "L006")]
    EmptyTime,
    /// A list contains a value twice.
    #[serde(rename = "L007")]
    Twice,
    /// A rule records sessions in a table that is not in the manifest.
    #[serde(rename = "L008")]
    UnknownTable,
    /// A rule applies only to profiles that do not have this policy.
    #[serde(rename = "L009")]
    OtherProfile,
    /// A name looks like a pattern or an ARN, but names are compared as a whole.
    #[serde(rename = "L010")]
    NotAName,
    /// A comment suppresses a finding that does not exist.
    #[serde(rename = "L011")]
    NeedlessSuppression,
    /// A policy does not restrict the credentials that it releases.
    #[serde(rename = "L012")]
    AnyCredentials,
    /// A character is not displayed as it is read. Such a document is invalid, so this code belongs to a fault.
    #[serde(rename = "L013")]
    HiddenText,
    /// A document uses YAML constructs with a hidden meaning. Such a document is invalid, so this code belongs to a fault.
    #[serde(rename = "L014")]
    NotPlain,
    /// No user in AWS can have this name.
    #[serde(rename = "L015")]
    ImpossibleUser,
    /// A rule has a device condition, which Sentinel cannot verify.
    #[serde(rename = "L016")]
    Device,
}

impl Lint {
    /// Every lint, in the order of the codes.
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;

    pub const fn code(self) -> &'static str {
        match self {
            Self::UnreachableRule => "L001",
            Self::AllowForEveryone => "L002",
            Self::NoDefaultDeny => "L003",
            Self::UnknownProfile => "L004",
            Self::EmptyWindow => "L005",
            Self::EmptyTime => "L006",
            Self::Twice => "L007",
            Self::UnknownTable => "L008",
            Self::OtherProfile => "L009",
            Self::NotAName => "L010",
            Self::NeedlessSuppression => "L011",
            Self::AnyCredentials => "L012",
            Self::HiddenText => document::HIDDEN,
            Self::NotPlain => document::NOT_PLAIN,
            Self::ImpossibleUser => "L015",
            Self::Device => "L016",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub code: Lint,
    pub path: String,
    /// From 1.
    pub line: usize,
    pub message: String,
    pub help: String,
    /// The bytes of the finding.
    #[serde(skip)]
    pub span: Range<usize>,
}

impl Finding {
    /// Returns the file and line. A starter policy is in no file.
    pub fn location(&self) -> String {
        match self.path.starts_with(ORIGIN) {
            true => format!("{}, line {}", self.path, self.line),
            false => format!("{}:{}", self.path, self.line),
        }
    }
}

/// The part of the manifest that affects the lints of a policy.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    /// Every profile of the manifest.
    pub profiles: &'a BTreeSet<String>,
    /// The profiles that have this policy.
    pub own: &'a BTreeSet<String>,
    /// The names of the tables, in AWS and in the manifest.
    pub tables: &'a BTreeSet<String>,
}

/// Returns the findings of a policy, by line. If the policy has errors, they are added to the faults and there are no findings.
pub fn lint(source: &Arc<Source>, setting: Option<Setting<'_>>, faults: &mut Faults) -> Vec<Finding> {
    let Some((policy, places)) = parse_located(source, faults) else { return Vec::new() };
    let mut linter = Linter { source, findings: Vec::new() };
    for (index, rule) in policy.rules.iter().enumerate() {
        let (span, name) = (&places[index], &rule.name);
        if is_unreachable(&policy, index) {
            linter.find(
                Lint::UnreachableRule,
                span.clone(),
                format!("unreachable rule {name}"),
                "the rules above it decide every request that it matches: move it up, narrow the other rules, or \
                 remove it",
            );
        }
        let conditions = &rule.conditions;
        if rule.effect == Effect::Allow && conditions.users.is_empty() && conditions.principals.is_empty() {
            linter.find(
                Lint::AllowForEveryone,
                span.clone(),
                format!("the rule {name} allows everyone with AWS credentials"),
                "name the users or the principals under conditions, or require approval",
            );
        }
        linter.names(rule, span);
        if let Some(setting) = setting {
            linter.setting(rule, span, setting);
        }
    }
    // A policy that denies everything releases no credentials.
    if policy.credentials.is_none() && policy.rules.iter().any(|rule| rule.effect != Effect::Deny) {
        let mut keys = source.text.match_indices("rules:").map(|(at, _)| at);
        let start = keys.find(|at| *at == 0 || source.text[..*at].ends_with('\n')).unwrap_or_default();
        linter.find(
            Lint::AnyCredentials,
            start..start,
            String::from("the policy does not restrict credentials, so those of any AWS profile can be released"),
            "add credentials: { role_arn: [...] } above the rules, with the ARNs of the intended roles",
        );
    }
    if let Some((rule, span)) = policy.rules.last().zip(places.last())
        && !is_for_all(rule)
    {
        linter.find(
            Lint::NoDefaultDeny,
            span.clone(),
            "no catch-all rule: other requests are denied without a reason".to_owned(),
            "add a last rule with effect: deny, a reason and no conditions; it makes the default deny explicit",
        );
    }
    linter.finish()
}

/// Returns whether a rule is a catch-all. One that allows access has its own lint.
fn is_for_all(rule: &Rule) -> bool {
    let conditions = &rule.conditions;
    let anyone = conditions.users.is_empty() && conditions.principals.is_empty();
    anyone && conditions.modes.is_empty() && conditions.time.is_none()
}

/// Returns whether the rules above decide every request that a rule applies to. If windows are in several time zones, only rules without a
/// window count.
fn is_unreachable(policy: &Policy, index: usize) -> bool {
    let (above, rule) = (&policy.rules[..index], &policy.rules[index]);
    let windows = |rules: &[Rule]| rules.iter().filter_map(|rule| rule.conditions.time.clone()).collect::<Vec<_>>();
    let all = windows(&policy.rules[..=index]);
    let certain = zone(&all) != Zones::Several;
    let pieces = pieces(&all);
    let open = |rule: &Rule, piece: Piece| {
        rule.conditions.time.as_ref().is_none_or(|window| certain && piece.in_window(window))
    };
    // Callers that match several patterns are covered: the rules above also decide for those that match a single one.
    let user_classes = user_classes([policy]);
    let names: BTreeSet<&str> =
        policy.rules.iter().flat_map(|rule| &rule.conditions.profiles).map(String::as_str).collect();
    let profiles: Vec<Option<&str>> = names.iter().map(|name| Some(*name)).chain([None]).collect();
    for class in &user_classes {
        for profile in &profiles {
            for mode in Mode::ALL.iter().copied() {
                if !applies_to(rule, *class, *profile, mode) {
                    continue;
                }
                let rivals: Vec<&Rule> = above.iter().filter(|one| applies_to(one, *class, *profile, mode)).collect();
                // With several zones, the rule's own window is assumed to be always open, which can only miss findings.
                let own = |piece| !certain || open(rule, piece);
                if pieces.iter().any(|piece| own(*piece) && !rivals.iter().any(|rival| open(rival, *piece))) {
                    return false;
                }
            }
        }
    }
    true
}

struct Linter<'a> {
    source: &'a Source,
    findings: Vec<Finding>,
}

impl Linter<'_> {
    fn find(&mut self, code: Lint, span: Range<usize>, message: String, help: impl Into<String>) {
        let line = self.source.line(span.start);
        let path = self.source.path.clone();
        self.findings.push(Finding { code, path, line, message, help: help.into(), span });
    }

    /// Checks names and windows.
    fn names(&mut self, rule: &Rule, span: &Range<usize>) {
        let (name, conditions) = (&rule.name, &rule.conditions);
        for (what, names) in [("users", &conditions.users), ("profiles", &conditions.profiles)] {
            let mut seen = BTreeSet::new();
            for one in names {
                if !seen.insert(one) {
                    let message = format!("the rule {name} lists {one} twice under {what}");
                    self.find(Lint::Twice, self.word(span, one), message, "remove one");
                }
                if one.contains(['*', '?']) || one.starts_with("arn:") {
                    let message = format!("\"{one}\" under {what} of the rule {name} only matches this exact name");
                    let help = match what {
                        "users" => "names must match exactly; patterns of ARNs go under principals",
                        _ => {
                            "names must match exactly, without patterns: write each name, or remove the list to match \
                             all"
                        }
                    };
                    self.find(Lint::NotAName, self.word(span, one), message, help);
                } else if what == "users" && (one.len() > role::NAME_LENGTH || !role::is_name(one)) {
                    let message = format!("the rule {name} names \"{one}\", which is not a valid user name in AWS");
                    let help = "names of IAM users and of role sessions have 1 to 64 letters, digits and _+=,.@-";
                    self.find(Lint::ImpossibleUser, self.word(span, one), message, help);
                }
            }
        }
        let mut seen = BTreeSet::new();
        for one in conditions.principals.iter().filter(|one| !seen.insert(*one)) {
            let message = format!("the rule {name} lists {} twice under principals", one.as_str());
            self.find(Lint::Twice, self.word(span, one.as_str()), message, "remove one");
        }
        if rule.device {
            let message = format!("the rule {name} has a device condition, which Sentinel cannot check: it denies");
            let help = "remove device, and restrict access by users, principals or mode; until then the rule denies";
            self.find(Lint::Device, self.word(span, "device"), message, help);
        }
        if let Some(window) = &conditions.time
            && window.days.is_empty()
            && window.hours.is_none()
        {
            let message = format!("the time of the rule {name} has neither days nor hours, so it always matches");
            self.find(Lint::EmptyTime, self.word(span, "time"), message, "add days or hours, or remove time");
        }
    }

    /// Checks the rule against the manifest.
    fn setting(&mut self, rule: &Rule, span: &Range<usize>, setting: Setting<'_>) {
        let (name, profiles) = (&rule.name, &rule.conditions.profiles);
        for one in profiles.iter().filter(|one| !setting.profiles.contains(*one)) {
            let known: Vec<&str> = setting.profiles.iter().map(String::as_str).collect();
            let help = match closest(one, &known) {
                Some(known) => format!("did you mean {known}?"),
                None => format!("the manifest has: {}", known.join(", ")),
            };
            let message = format!("the rule {name} is for the profile {one}, which the manifest does not have");
            self.find(Lint::UnknownProfile, self.word(span, one), message, help);
        }
        let known = profiles.iter().all(|one| setting.profiles.contains(one));
        if known && !profiles.is_empty() && !profiles.iter().any(|one| setting.own.contains(one)) {
            let own: Vec<&str> = setting.own.iter().map(String::as_str).collect();
            let message = format!("the rule {name} does not apply to {}, whose policy this is", own.join(", "));
            let help = "Sentinel evaluates only a profile's own policy: remove the rule, or move it to that policy";
            self.find(Lint::OtherProfile, span.clone(), message, help);
        }
        if let Some(table) = rule.session_table.as_ref().filter(|table| !setting.tables.contains(*table)) {
            let message = format!("the rule {name} records sessions in {table}, a table the manifest does not have");
            self.find(
                Lint::UnknownTable,
                self.word(span, table),
                message,
                "add it to the manifest, or correct the name",
            );
        }
    }

    /// Returns the location of a word in a rule, counted from the start of the rule.
    fn word(&self, rule: &Range<usize>, word: &str) -> Range<usize> {
        let rest = self.source.text.get(rule.start..).unwrap_or_default();
        let quote = |letter: char| !(letter.is_alphanumeric() || "_-.@*?/:".contains(letter));
        let whole = |at: &usize| {
            let before = rest[..*at].chars().next_back().is_none_or(quote);
            before && rest[at + word.len()..].chars().next().is_none_or(|letter| quote(letter) || letter == ':')
        };
        let found = rest.match_indices(word).map(|(at, _)| at).find(whole);
        found.map_or(rule.clone(), |at| rule.start + at..rule.start + at + word.len())
    }

    /// Removes the suppressed findings and adds those for unused suppressions.
    fn finish(mut self) -> Vec<Finding> {
        let lines: Vec<&str> = self.source.text.split('\n').collect();
        let mut used: BTreeSet<(usize, &str)> = BTreeSet::new();
        self.findings.retain(|finding| {
            let alone =
                |line: usize| lines.get(line.wrapping_sub(1)).is_some_and(|text| text.trim_start().starts_with('#'));
            let above = Some(finding.line.wrapping_sub(1)).filter(|line| alone(*line));
            let allowing = [Some(finding.line), above].into_iter().flatten().find(|line| {
                let text = lines.get(line.wrapping_sub(1)).copied().unwrap_or_default();
                allowed(text).any(|code| code == finding.code.code())
            });
            used.extend(allowing.map(|line| (line, finding.code.code())));
            allowing.is_none()
        });
        let mut start = 0;
        for (index, text) in lines.iter().enumerate() {
            for code in allowed(text).filter(|code| !used.contains(&(index + 1, *code))) {
                let span = start..start + text.trim_end().len();
                let known = Lint::ALL.iter().any(|lint| lint.code() == code);
                let message = match known {
                    true => format!("{code} is suppressed here, but there is no such finding"),
                    false => format!("{code} is suppressed here, but there is no such lint"),
                };
                self.find(Lint::NeedlessSuppression, span, message, "remove the comment");
            }
            start += text.len() + 1;
        }
        self.findings.sort_by_key(|finding| (finding.span.start, finding.code));
        self.findings
    }
}

/// Returns the codes that a line's comment suppresses.
fn allowed(line: &str) -> impl Iterator<Item = &str> {
    let codes = line.split_once("# sentinel: allow ").map_or("", |(_, codes)| codes);
    codes
        .split([',', ' '])
        .map(str::trim)
        .take_while(|code| code.is_empty() || code.starts_with('L'))
        .filter(|code| !code.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// Returns each finding as `line: code message`, for a policy of dev in a manifest that also has prod.
    fn found(rules: &str) -> Vec<String> {
        let head = "version: \"1\"\nrules: # sentinel: allow L012\n";
        let source = Source::new("p.yaml", format!("{head}{rules}"));
        let (profiles, own, tables) = (set(&["dev", "prod"]), set(&["dev"]), set(&["sentinel-sessions"]));
        let setting = Setting { profiles: &profiles, own: &own, tables: &tables };
        let mut faults = Faults::default();
        let findings = lint(&source, Some(setting), &mut faults);
        let faults = faults.into_sorted();
        assert!(faults.is_empty(), "{faults:?}");
        findings.iter().map(|one| format!("{}: {} {}", one.line, one.code.code(), one.message)).collect()
    }

    const LAST: &str = "  - { name: last, effect: deny }\n";

    #[test]
    fn a_correct_policy_has_no_findings() {
        let rules = "  - { name: office, effect: allow, conditions: { users: [alice], time: { days: [monday] } } }\n\
                     \u{20} - { name: rest, effect: require_approval, conditions: { users: [alice, bob] } }\n";
        assert_eq!(found(&format!("{rules}{LAST}")), [""; 0]);
    }

    #[test]
    fn unreachable_rules_are_found() {
        let hidden = |above: &str, rule: &str| {
            let rules = format!("{above}  - {{ name: r, effect: deny, conditions: {rule} }}\n{LAST}");
            found(&rules).iter().any(|finding| finding.contains("L001 unreachable rule r"))
        };
        let alice = "  - { name: a, effect: deny, conditions: { users: [alice, bob] } }\n";
        assert!(hidden(alice, "{ users: [alice] }"));
        assert!(!hidden(alice, "{ users: [alice, carol] }"));
        assert!(!hidden(alice, "{}"));
        assert!(hidden("  - { name: a, effect: deny }\n", "{ profiles: [dev], mode: [cli] }"));
        // Two rules together can make a third unreachable, by mode or by time.
        let cli = "  - { name: a, effect: deny, conditions: { mode: [cli] } }\n";
        let rest = "  - { name: b, effect: deny, conditions: { mode: [server, credential_process] } }\n";
        assert!(!hidden(cli, "{ users: [alice] }"));
        assert!(hidden(&format!("{cli}{rest}"), "{ users: [alice] }"));
        let early =
            "  - { name: a, effect: deny, conditions: { time: { hours: { start: \"00:00\", end: \"12:00\" } } } }\n";
        let late =
            "  - { name: b, effect: deny, conditions: { time: { hours: { start: \"12:00\", end: \"00:00\" } } } }\n";
        assert!(!hidden(early, "{ users: [alice] }"));
        assert!(hidden(&format!("{early}{late}"), "{ users: [alice] }"));
        assert!(hidden(early, "{ time: { hours: { start: \"09:00\", end: \"10:00\" } } }"));
        // In another time zone this is uncertain, so it is not reported.
        assert!(!hidden(early, "{ time: { hours: { start: \"09:00\", end: \"10:00\" }, timezone: Asia/Tokyo } }"));
    }

    #[test]
    fn each_other_lint_is_found_on_its_line() {
        let rules = r#"  - name: open
    effect: allow
  - name: odd
    effect: deny
    conditions:
      users: [alice, "*", alice]
      profiles:
        - dev
        - prdo
  - name: prod-only
    effect: require_server_session
    session_table: nowhere
    conditions: { users: [bob], profiles: [prod], time: { timezone: UTC } }
"#;
        let expected = [
            "3: L002 the rule open allows everyone with AWS credentials",
            "5: L001 unreachable rule odd",
            "8: L007 the rule odd lists alice twice under users",
            "8: L010 \"*\" under users of the rule odd only matches this exact name",
            "11: L004 the rule odd is for the profile prdo, which the manifest does not have",
            "12: L001 unreachable rule prod-only",
            "12: L003 no catch-all rule: other requests are denied without a reason",
            "12: L009 the rule prod-only does not apply to dev, whose policy this is",
            "14: L008 the rule prod-only records sessions in nowhere, a table the manifest does not have",
            "15: L006 the time of the rule prod-only has neither days nor hours, so it always matches",
        ];
        assert_eq!(found(rules), expected);
    }

    #[test]
    fn impossible_user_names_are_found() {
        let rule = |user: &str| format!("  - {{ name: a, effect: allow, conditions: {{ users: [{user}] }} }}\n{LAST}");
        let long = "a".repeat(65);
        for user in ["\"alice smith\"", "\" alice\"", "\"alice \"", "CORP/alice", "\"alice#1\"", "alice!", &long] {
            let name = user.trim_matches('"');
            let expected = format!("3: L015 the rule a names \"{name}\", which is not a valid user name in AWS");
            assert_eq!(found(&rule(user)), [expected], "{user}");
        }
        for user in ["a", "alice@example.com", "a_b+c=d.e-f", "i-0123456789abcdef0", &long[1..]] {
            assert_eq!(found(&rule(user)), [""; 0], "{user}");
        }
    }

    #[test]
    fn unrestricted_credentials_are_found() {
        let codes = |text: &str| {
            let findings = lint(&Source::new("p.yaml", text), None, &mut Faults::default());
            findings.iter().map(|one| format!("{}: {}", one.line, one.code.code())).collect::<Vec<_>>()
        };
        let rule = "  - { name: a, effect: require_approval }\n";
        assert_eq!(codes(&format!("version: \"1\"\nrules:\n{rule}")), ["2: L012"]);
        let named = "credentials: { role_arn: [\"arn:aws:iam::123456789012:role/dev\"] }";
        assert_eq!(codes(&format!("version: \"1\"\n{named}\nrules:\n{rule}")), [""; 0]);
        assert_eq!(codes("version: \"1\"\nrules:\n  - { name: a, effect: deny }\n"), [""; 0]);
    }

    #[test]
    fn a_finding_is_suppressed_on_its_line_or_the_line_above() {
        let allow = |head: &str, tail: &str| {
            found(&format!("{head}  - name: all{tail}\n    effect: allow\n    conditions: {{ mode: [cli] }}\n"))
        };
        let both = [
            "3: L002 the rule all allows everyone with AWS credentials",
            "3: L003 no catch-all rule: other requests are denied without a reason",
        ];
        assert_eq!(allow("", ""), both);
        assert_eq!(allow("", " # sentinel: allow L002, L003"), [""; 0]);
        assert_eq!(allow("  # sentinel: allow L002 L003\n", ""), [""; 0]);
        assert_eq!(allow("", " # sentinel: allow L002 because this is a playground"), both[1..]);
        let needless = allow("", " # sentinel: allow L001, L002, L003, L999");
        assert_eq!(
            needless,
            [
                "3: L011 L001 is suppressed here, but there is no such finding",
                "3: L011 L999 is suppressed here, but there is no such lint"
            ]
        );
    }
}
