//! The explanations of lints.

use super::Entry;
use crate::policy::lint::Lint;

/// Returns the explanation of a lint.
pub(super) fn entry(lint: Lint) -> Entry {
    let (title, means, example, fix) = match lint {
        Lint::UnreachableRule => (
            "Unreachable rule",
            "The first rule that matches decides. Every request that this rule matches is already matched by a rule \
             above it. If time windows are in several time zones, Sentinel reports only the cases in which rules \
             without a window cover everything.",
            "- { name: all, effect: deny, conditions: { users: [alice, bob] } }\n- { name: bob, effect: allow, \
             conditions: { users: [bob] } }   # L001",
            "Move the rule up, narrow the rules above it, or remove it.",
        ),
        Lint::AllowForEveryone => (
            "A rule allows everyone",
            "A rule with the effect allow names no users: everyone with AWS credentials who can run Sentinel gets \
             access.",
            "- { name: open, effect: allow, conditions: { profiles: [dev] } }   # L002",
            "Name the users, or require approval. If the rule is intended, write `# sentinel: allow L002` on its line.",
        ),
        Lint::NoDefaultDeny => (
            "No catch-all rule",
            "Requests that no rule matches are denied without a reason. A last rule that matches everyone makes the \
             default visible to readers of the policy, and gives a reason to denied users.",
            "- { name: alice, effect: allow, conditions: { users: [alice] } }   # L003, if it is the last rule",
            "Add a last rule without conditions on users, mode or time: `- { name: rest, effect: deny, reason: Ask us \
             }`.",
        ),
        Lint::UnknownProfile => (
            "A rule names a profile that is not in the manifest",
            "The name is probably misspelled. The rule then never matches.",
            "conditions: { profiles: [prdo] }   # L004",
            "Correct the name, or add the profile to the manifest.",
        ),
        Lint::EmptyWindow => (
            "A time window is never open",
            "Its hours start and end at the same time. Such a policy is not valid, and is reported as an error.",
            "time: { hours: { start: \"09:00\", end: \"09:00\" } }   # L005",
            "Remove `hours` to allow the whole day. Hours that end before they start continue past midnight.",
        ),
        Lint::EmptyTime => (
            "A time window is always open",
            "The condition `time` has neither `days` nor `hours`, and restricts nothing.",
            "time: { timezone: Europe/Zurich }   # L006",
            "Add `days` or `hours`, or remove `time`.",
        ),
        Lint::Twice => (
            "A list contains an entry twice",
            "The same user or profile is in a list twice. One of the two may be a mistake for another name.",
            "users: [alice, bob, alice]   # L007",
            "Remove one, or correct it.",
        ),
        Lint::UnknownTable => (
            "Sessions are recorded in a table that is not in the manifest",
            "A rule's session_table names a table that this manifest does not create. Without the table, sessions \
             fail.",
            "- { name: s, effect: require_server_session, session_table: sessions-prod }   # L008",
            "Add the table to the manifest, or correct the name.",
        ),
        Lint::OtherProfile => (
            "A rule does not apply to the profile of its policy",
            "Sentinel evaluates only a profile's own policy, so a rule for other profiles never matches here.",
            "policies/dev.yaml:  conditions: { profiles: [prod] }   # L009",
            "Move the rule to the policy of that profile, or remove it. Several profiles can use one file.",
        ),
        Lint::NotAName => (
            "A name looks like a pattern, but names must match exactly",
            "`*`, `?` and ARNs have no special meaning in lists of names: \"*\" matches only a user with this name.",
            "users: [\"*\"]   # L010",
            "Remove the list to match everyone. Otherwise, write each name as it appears at the end of the ARN in `aws sts \
             get-caller-identity`.",
        ),
        Lint::NeedlessSuppression => (
            "A comment suppresses a finding that does not exist",
            "`# sentinel: allow CODE` is on a line without a finding of that code: the finding was corrected or moved, \
             or the code is misspelled. The comment would hide a later finding with this code on this line.",
            "- name: rest   # sentinel: allow L002",
            "Remove the comment, or move it to the finding's line, or to the line above it.",
        ),
        Lint::HiddenText => (
            "A character is not displayed as it is parsed",
            "Reviewers read a policy, its test cases and a manifest in editors and diffs, which do not display every \
             character as the parser reads it. After a carriage return without a line feed, the parser starts a new \
             line but most viewers do not. After U+0085, U+2028 and U+2029, many viewers start a new line but the \
             parser does not. Other characters are invisible or reorder the text. Such a document is not valid, and is \
             reported as an error. If it is a live policy, it gives nobody access.",
            "# reviewed by Alice<CR>  - { name: hidden, effect: allow }   # L013, where <CR> is a carriage return",
            "Remove the character, and end lines with LF or CRLF. A reason can contain it as an escape in a quoted \
             string: \"\\u200b\".",
        ),
        Lint::NotPlain => (
            "The document uses YAML with a hidden meaning",
            "Tags (`!!str`, `!custom`), merge keys (`<<`), directives (`%YAML`), aliases as keys, a second document, \
             and an anchor that is defined twice or is not ASCII can make a document mean something other than what \
             its lines show, and parsers interpret them differently. Such a document is not valid, and is reported as \
             an error. If it is a live policy, it gives nobody access. Anchors that are defined once, and their aliases, are \
             valid.",
            "conditions: { users: !not [alice] }   # L014: the parser would ignore the tag",
            "Write the values out. Quote a value that should be a string: version: \"1\".",
        ),
        Lint::ImpossibleUser => (
            "The user name is not valid in AWS",
            "Names of IAM users have 1 to 64 characters, names of role sessions 2 to 64, and names of federated users \
             2 to 32: ASCII letters, digits and `_+=,.@-` (IAM User Guide, \"IAM and AWS STS quotas\"; STS API \
             Reference, \"AssumeRole\"). For IAM Identity Center, the session name is the user's sign-in name. A rule \
             for another name matches nobody.",
            "users: [\"alice smith\"]   # L015",
            "Write the name at the end of the ARN in `aws sts get-caller-identity`.",
        ),
        Lint::Device => (
            "A rule has a device condition, which is not enforced",
            "Another implementation of Sentinel, in Go, has conditions on the device of the caller (`device`: disk \
             encryption, a firewall, management, the operating system). This implementation reads them, but cannot \
             check the device. To avoid giving access by mistake, such a rule denies whenever everything else in it \
             matches, whatever its effect. The rules below it are not evaluated.",
            "conditions: { device: { require_mdm: true } }   # L016",
            "Remove `device`, and restrict access by users, principals or mode. To keep the device check in the Go \
             implementation, use a separate policy for it.",
        ),
        Lint::AnyCredentials => (
            "A policy does not restrict which credentials it releases",
            "A user of `exec` can choose any AWS profile with `--credentials-profile`, and can edit `~/.aws/config`. \
             Without `credentials` in the policy, a rule that allows dev therefore releases the credentials of any AWS \
             profile that the user has.",
            "version: \"1\"\nrules:   # L012\n  - { name: dev, effect: allow, conditions: { users: [alice] } }",
            "Name the roles above the rules: `credentials: { role_arn: [\"arn:aws:iam::123456789012:role/dev\"] }`.",
        ),
    };
    Entry { code: lint.code(), title, means, example, fix }
}
