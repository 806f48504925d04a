//! The initial policy of a profile: only these users have access.

use crate::document::write::double_quoted;

/// The origin that plans show for a starter policy that is in no file, before the name of its profile.
pub const ORIGIN: &str = "starter policy for ";

/// A policy and its test cases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Starter {
    pub policy: String,
    pub cases: String,
}

/// Returns the policy that allows these users. There is at least one.
pub fn starter(profile: &str, users: &[String]) -> Starter {
    let name = scalar(profile);
    let list = users.iter().map(|user| scalar(user)).collect::<Vec<_>>().join(", ");
    let policy = format!(
        "\
# Who gets access to the profile {profile}.
# Sentinel reads the rules from the top; the first that matches decides.
version: \"1\"
# Sentinel releases only the credentials of this AWS profile.
# role_arn: [ARN] is stricter, because users control ~/.aws/config.
credentials:
  aws_profile: [{name}]
rules:
  - name: first-users
    effect: allow # or require_approval: another user must approve
    conditions:
      profiles: [{name}]
      users: [{list}]

  - name: rest
    effect: deny
    reason: Ask for access to this profile.
"
    );
    let other = (0..=users.len()).map(|number| format!("someone-else-{number}")).find(|name| !users.contains(name));
    let case = |user: &String| {
        let text = scalar(&format!("{user} gets access"));
        format!("  - {{ name: {text}, user: {}, expect: allow, rule: first-users }}\n", scalar(user))
    };
    let cases = format!(
        "\
# The expected decisions of the policy. To run them: sentinel policy test
profile: {name}
cases:
{}  - {{ name: nobody else gets access, user: {}, expect: deny, rule: rest }}
",
        users.iter().map(case).collect::<String>(),
        other.unwrap_or_default()
    );
    Starter { policy, cases }
}

/// Returns a name as a YAML string, without quotes if every parser reads it as a string.
fn scalar(name: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | ' ');
    let words = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    let is_word = words.iter().any(|word| name.eq_ignore_ascii_case(word));
    let is_name = name.starts_with(|letter: char| letter.is_ascii_alphabetic()) && name.chars().all(plain);
    if is_name && !is_word { name.to_owned() } else { double_quoted(name) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::diagnostic::{Faults, Source};
    use crate::document::format::{Formatted, Language, format};
    use crate::policy::{cases, lint, parse};

    #[test]
    fn a_starter_policy_passes_its_test_cases_and_has_no_finding() {
        for users in [&["alice"][..], &["alice", "yes", "bob@example.com", "someone-else-1", "7"]] {
            let users: Vec<String> = users.iter().map(|user| (*user).to_owned()).collect();
            let Starter { policy: text, cases: case_text } = starter("1.dev", &users);
            let mut faults = Faults::default();
            let source = Source::new("dev.yaml", text.clone());
            let policy = parse(&source, &mut faults);
            assert!(faults.is_empty(), "{text}\n{:?}", faults.into_sorted());
            let policy = policy.unwrap();
            let found = cases::parse(&Source::new("dev.test.yaml", case_text.clone()), &policy, &mut faults);
            assert!(faults.is_empty(), "{case_text}\n{:?}", faults.into_sorted());
            assert_eq!(found.len(), users.len() + 1);
            assert!(found.iter().all(|case| cases::judge(&policy, case).passed), "{case_text}");
            let own = BTreeSet::from([String::from("1.dev")]);
            let setting = lint::Setting { profiles: &own, own: &own, tables: &BTreeSet::new() };
            assert_eq!(lint::lint(&source, Some(setting), &mut faults), [], "{text}");
            for text in [text, case_text] {
                let source = Source::new("p.yaml", text.clone());
                assert_eq!(format(Language::Yaml, &source, &mut faults), Formatted::Text(text));
            }
        }
    }
}
