//! What each lint means.

use super::Entry;
use crate::policy::lint::Lint;

/// Returns what there is to say of a lint.
pub(super) fn entry(lint: Lint) -> Entry {
    let (title, means, example, way_out) = match lint {
        Lint::UnreachableRule => (
            "No request gets to the rule",
            "The first rule that matches wins, and the rules above decide everything that this one speaks of, whoever asks, for \
             whichever profile, in every mode and at every time. Where windows are in several time zones, only what is sure is \
             reported.",
            "- { name: all, effect: deny, conditions: { users: [alice, bob] } }\n- { name: bob, effect: allow, conditions: { users: [bob] } }   # L001",
            "Move the rule up, narrow the rules above it, or remove it.",
        ),
        Lint::AllowForEveryone => (
            "A rule lets everyone in",
            "A rule with the effect allow names no users: whoever has credentials for AWS and can run sentinel gets in.",
            "- { name: open, effect: allow, conditions: { profiles: [dev] } }   # L002",
            "Name the users, or ask for approval. If it is meant: `# sentinel: allow L002` on its line.",
        ),
        Lint::NoDefaultDeny => (
            "The last rule is not for all the others",
            "What no rule matches is denied, without a reason. A last rule for everyone says so to whoever reads the policy, \
             and gives those who are denied a reason.",
            "- { name: alice, effect: allow, conditions: { users: [alice] } }   # L003, when it is the last",
            "End with a rule without conditions on users, mode and time: `- { name: rest, effect: deny, reason: Ask us }`.",
        ),
        Lint::UnknownProfile => (
            "A rule is for a profile that the manifest does not have",
            "Most often the name is misspelt, and the rule then never matches.",
            "conditions: { profiles: [prdo] }   # L004",
            "Correct the name, or add the profile to the manifest.",
        ),
        Lint::EmptyWindow => (
            "A window is never open",
            "Its hours end when they start, so that there is no time between them. Such a policy is not valid, and is \
             reported as a fault.",
            "time: { hours: { start: \"09:00\", end: \"09:00\" } }   # L005",
            "Leave hours out for the whole day; hours that end before they start go on past midnight.",
        ),
        Lint::EmptyTime => (
            "A window is always open",
            "The condition time says neither days nor hours, and so narrows nothing.",
            "time: { timezone: Europe/Zurich }   # L006",
            "Add days or hours, or remove time.",
        ),
        Lint::Twice => (
            "A list says something twice",
            "The same user or profile stands in a list twice; one of the two may have been meant to be another.",
            "users: [alice, bob, alice]   # L007",
            "Remove one, or correct it.",
        ),
        Lint::UnknownTable => (
            "Sessions are recorded in a table that the manifest does not have",
            "A rule's session_table names a table that this manifest does not create: sessions fail if nobody else does.",
            "- { name: s, effect: require_server_session, session_table: sessions-prod }   # L008",
            "Add the table to the manifest, or correct the name.",
        ),
        Lint::OtherProfile => (
            "A rule is for profiles whose policy this is not",
            "Each profile has a policy of its own, and only that one is asked. A rule for other profiles is never looked at \
             here.",
            "policies/dev.yaml:  conditions: { profiles: [prod] }   # L009",
            "Move the rule to the policy of that profile, or remove it. Several profiles may name one file.",
        ),
        Lint::NotAName => (
            "A name looks like a pattern, and names are compared whole",
            "`*`, `?` and ARNs stand for nothing but themselves: a rule for \"*\" matches a user who is called so, and nobody \
             else.",
            "users: [\"*\"]   # L010",
            "Leave the list out to match anyone; otherwise write each name, as `aws sts get-caller-identity` ends with it.",
        ),
        Lint::NeedlessSuppression => (
            "A comment allows what is not found",
            "`# sentinel: allow CODE` stands where no finding of that code is: it was mended, has moved, or the code is \
             misspelt. Left there, it would hide the next one.",
            "- name: rest   # sentinel: allow L002",
            "Remove the comment, or put it on the finding's line, or alone on the line above.",
        ),
        Lint::HiddenText => (
            "A character is not shown as it is read",
            "A policy, its test cases and a manifest are reviewed in editors and diffs. These do not show every character as \
             the parser reads it: after a carriage return without a line feed the parser starts a new line and most viewers do \
             not; after U+0085, U+2028 and U+2029 it is the other way round; other characters are invisible or reorder the \
             text. Such a document is not valid, and is reported as a fault: a policy like this lets nobody in.",
            "# reviewed by Alice<CR>  - { name: hidden, effect: allow }   # L013, where <CR> is a carriage return",
            "Remove the character, and end lines with LF or CRLF. A reason can have it as an escape in a quoted string: \
             \"\\u200b\".",
        ),
        Lint::NotPlain => (
            "The document uses YAML that means more than it shows",
            "Tags (`!!str`, `!custom`), merge keys (`<<`), directives (`%YAML`), aliases as keys, a second document, and an anchor \
             that is defined twice or is not ASCII make a document mean something else than its lines show, and parsers differ in \
             what they make of them. Such a document is not valid, and is reported as a fault: a policy like this lets nobody \
             in. An anchor that is defined once, and its aliases, are accepted.",
            "conditions: { users: !not [alice] }   # L014: the parser would ignore the tag",
            "Write out what is meant. Quote a value that is to be read as a string: version: \"1\".",
        ),
        Lint::ImpossibleUser => (
            "AWS cannot have a user of that name",
            "Names of IAM users have 1 to 64 characters, names of role sessions 2 to 64, and those of federated users 2 to 32: \
             ASCII letters, digits and `_+=,.@-` (IAM User Guide, \"IAM and AWS STS quotas\"; STS API Reference, \"AssumeRole\"). \
             For IAM Identity Center the session's name is the user's sign-in name. A rule for another name matches nobody.",
            "users: [\"alice smith\"]   # L015",
            "Write the name that `aws sts get-caller-identity` ends with.",
        ),
        Lint::Device => (
            "A rule asks for a device, which is not enforced",
            "The Go implementation of Sentinel has conditions on the device that credentials are asked from (`device`: disk \
             encryption, a firewall, management, the operating system). Sentinel reads these, and cannot tell what device \
             someone is at. To let nobody in by mistake, such a rule denies wherever it would decide, whatever its effect says. \
             The rules below it are not asked.",
            "conditions: { device: { require_mdm: true } }   # L016",
            "Remove `device`, and name who gets in. To leave the check of devices to the Go implementation, keep a policy of its \
             own for it.",
        ),
        Lint::AnyCredentials => (
            "A policy does not say which credentials it is for",
            "Who runs `exec` chooses the AWS profile with `--credentials-profile`, and writes `~/.aws/config`. Without \
             `credentials` in the policy, a rule that allows access to dev also releases the credentials of any other AWS \
             profile.",
            "version: \"1\"\nrules:   # L012\n  - { name: dev, effect: allow, conditions: { users: [alice] } }",
            "Name the roles above the rules: `credentials: { role_arn: [\"arn:aws:iam::123456789012:role/dev\"] }`.",
        ),
    };
    Entry { code: lint.code(), title, means, example, way_out }
}
