//! Evaluates a policy for everyone at one moment, and for one user of whom only the name is known. Pure.

use jiff::Timestamp;

use super::evaluate::is_open;
use super::week::{UserClass, applies_to, overlapping, principals, users};
use super::{Mode, Policy, Principal, Rule};

/// The question to a policy.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    pub profile: &'a str,
    pub mode: Mode,
    pub at: Timestamp,
}

/// The user ARNs that an answer applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arns<'p> {
    /// The policy gives the same answer for every ARN.
    Any,
    /// The ARNs that match a pattern of the policy.
    Matching(&'p Principal),
    /// The ARNs that match no pattern of the policy.
    Others,
}

/// The policy's answer for the users of one class.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Answer<'p> {
    /// `None` stands for everyone whom the policy does not name.
    pub user: Option<&'p str>,
    pub arns: Arns<'p>,
    /// The rule that decides; `None` means that access is denied.
    pub rule: Option<&'p Rule>,
}

/// Returns a policy's answer for each user that it names, then for everyone else.
pub fn answers<'p>(policy: &'p Policy, question: &Question<'_>) -> Vec<Answer<'p>> {
    let named = users([policy]);
    let everyone = named.iter().map(|name| Some(*name)).chain([None]);
    everyone.flat_map(|user| answers_to(policy, user, question)).collect()
}

/// Returns a policy's answer for a user; `None` stands for everyone whom it does not name.
pub fn answers_to<'p>(policy: &'p Policy, user: Option<&'p str>, question: &Question<'_>) -> Vec<Answer<'p>> {
    let named: Vec<&str> = users([policy]).into_iter().collect();
    let patterns = principals([policy]).into_iter().filter(|pattern| pattern.may_match(user, &named));
    let decided = |principal: Option<&'p Principal>| {
        let class = UserClass { user, principal };
        let matches = |rule: &&Rule| {
            let open = rule.conditions.time.as_ref().is_none_or(|window| is_open(window, question.at));
            open && applies_to(rule, class, Some(question.profile), question.mode)
        };
        policy.rules.iter().find(matches)
    };
    let others = decided(None);
    let of = |arns: Arns<'p>, rule: Option<&'p Rule>| Answer { user, arns, rule };
    let same = |rule: Option<&Rule>| rule.map(std::ptr::from_ref) == others.map(std::ptr::from_ref);
    let mut answers: Vec<Answer<'p>> = patterns
        .map(|pattern| of(Arns::Matching(pattern), decided(Some(pattern))))
        .filter(|answer| !same(answer.rule))
        .collect();
    answers.push(of(if answers.is_empty() { Arns::Any } else { Arns::Others }, others));
    answers
}

/// Returns whether an ARN can match several patterns of a policy. The answers apply to ARNs that match at most one pattern.
pub fn patterns_overlap(policy: &Policy) -> bool {
    overlapping([policy])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Ask, evaluate, parse};
    use super::*;
    use crate::diagnostic::{Faults, Source};

    fn policy(rules: &str) -> Policy {
        let mut faults = Faults::default();
        let policy = parse(&Source::new("p.yaml", format!("version: \"1\"\nrules:\n{rules}")), &mut faults);
        policy.unwrap_or_else(|| panic!("{:?}", faults.into_sorted()))
    }

    fn question(at: &str) -> Question<'static> {
        Question { profile: "prod", mode: Mode::Cli, at: at.parse().unwrap() }
    }

    const RULES: &str = "  - { name: admins, effect: allow, conditions: { users: [alice] } }
  - { name: hours, effect: allow, conditions: { users: [bob], time: { hours: { start: \"09:00\", end: \"17:00\" } } } }
  - { name: ci, effect: require_approval, conditions: { principals: [\"arn:aws:sts::123456789012:assumed-role/ci/*\"] } }
  - { name: other, effect: deny, conditions: { profiles: [dev] } }
";

    #[test]
    fn answers_are_for_each_named_user_and_then_for_everyone_else() {
        let policy = policy(RULES);
        let describe = |at: &str| -> Vec<String> {
            let answer = |one: &Answer<'_>| {
                let user = one.user.unwrap_or("*");
                let arns = match one.arns {
                    Arns::Any => String::new(),
                    Arns::Matching(pattern) => format!(" as {}", pattern.as_str()),
                    Arns::Others => String::from(" otherwise"),
                };
                format!("{user}{arns}: {}", one.rule.map_or("none", |rule| rule.name.as_str()))
            };
            answers(&policy, &question(at)).iter().map(answer).collect()
        };
        let ci = "as arn:aws:sts::123456789012:assumed-role/ci/*: ci";
        let everyone = [format!("* {ci}"), String::from("* otherwise: none")];
        let noon = ["alice: admins", "bob: hours"].map(String::from);
        assert_eq!(describe("2026-01-14T12:00:00Z"), [noon.as_slice(), &everyone].concat());
        let night = [String::from("alice: admins"), format!("bob {ci}"), String::from("bob otherwise: none")];
        assert_eq!(describe("2026-01-14T22:00:00Z"), [night.as_slice(), &everyone].concat());
    }

    #[test]
    fn an_unnamed_user_gets_the_answer_for_everyone_else() {
        let policy = policy("  - { name: all, effect: allow }\n");
        let found = answers_to(&policy, Some("carol"), &question("2026-01-14T12:00:00Z"));
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].user, found[0].arns), (Some("carol"), Arns::Any));
        assert_eq!(found[0].rule.map(|rule| rule.name.as_str()), Some("all"));
    }

    proptest! {
        /// For every ARN of a user, the evaluator's decision equals one of the answers: that of the matching pattern, or the last one.
        #[test]
        fn the_evaluator_agrees_with_the_answer_for_the_arn(
            rules in proptest::collection::vec((0..4_usize, 0..4_usize, 0..3_usize), 1..6),
            user in 0..3_usize,
            role in 0..3_usize,
        ) {
            let users = ["[]", "[alice]", "[bob]", "[alice, bob]"];
            let roles = ["[]", "[\"arn:aws:sts::123456789012:assumed-role/ci/*\"]",
                "[\"arn:aws:sts::123456789012:assumed-role/ops/*\"]",
                "[\"arn:aws:sts::123456789012:assumed-role/ci/*\", \"arn:aws:sts::123456789012:assumed-role/ops/*\"]"];
            let effects = ["allow", "deny", "require_approval"];
            let text: String = rules.iter().enumerate().map(|(number, (who, arns, effect))| format!(
                "  - {{ name: r{number}, effect: {}, conditions: {{ users: {}, principals: {} }} }}\n",
                effects[*effect], users[*who], roles[*arns],
            )).collect();
            let policy = policy(&text);
            let (user, role) = (["alice", "bob", "carol"][user], ["ci", "ops", "dev"][role]);
            let arn = format!("arn:aws:sts::123456789012:assumed-role/{role}/{user}");
            let question = question("2026-01-14T12:00:00Z");
            let ask = Ask { user, principal: &arn, profile: question.profile, mode: question.mode, at: question.at };
            let found = answers_to(&policy, Some(user), &question);
            let fits = |one: &&Answer<'_>| matches!(one.arns, Arns::Matching(pattern) if pattern.matches(&arn));
            let own = found.iter().find(fits).or(found.last()).unwrap();
            prop_assert_eq!(own.rule, evaluate(&policy, &ask));
        }
    }
}
