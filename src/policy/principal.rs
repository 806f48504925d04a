//! Patterns for the ARN that STS gives for a caller.

use serde::Serialize;

use crate::resource::Invalid;
use crate::resource::names::RoleArn;

/// A pattern of a caller's ARN. Its parts are compared one by one and case-sensitively, and `*` matches any number of characters within a
/// part. This equals IAM's `ArnLike` without `?` (IAM User Guide, "IAM JSON policy elements: Condition operators").
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Principal(String);

impl Principal {
    /// Reads a pattern, or returns the reason why no caller can have such an ARN.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        const FORMS: &str = "write arn:aws:iam::ACCOUNT:user/NAME, arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION or \
                             arn:aws:sts::ACCOUNT:federated-user/NAME, where * stands for any characters but a colon";
        let wrong = |problem: String| Err(Invalid::new(problem, FORMS));
        let parts: Vec<&str> = text.split(':').collect();
        let ["arn", partition, service, region, account, resource] = parts.as_slice() else {
            return wrong(format!("\"{text}\" is not the ARN of a caller"));
        };
        let letters = |text: &str, more: &str| {
            !text.is_empty() && text.chars().all(|one| one.is_ascii_alphanumeric() || more.contains(one))
        };
        if *partition != "*" && !(partition.starts_with("aws") && letters(partition, "-*")) {
            return wrong(format!("\"{text}\": there is no partition {partition}"));
        }
        if !region.is_empty() {
            return wrong(format!("\"{text}\": the ARN of a caller has no region"));
        }
        let digits = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        if *account != "*" && !digits {
            return wrong(format!("\"{text}\": \"{account}\" is neither an account's 12 digits nor *"));
        }
        let (kind, rest) = resource.split_once('/').unwrap_or((resource, ""));
        match (*service, kind) {
            ("iam", "role") => {
                let name = rest.rsplit('/').next().unwrap_or_default();
                let help = format!("write arn:{partition}:sts::{account}:assumed-role/{name}/*");
                return Err(Invalid::new(format!("\"{text}\": a role calls with the ARN of its session"), help));
            }
            ("iam", "root") => {
                return wrong(format!(
                    "\"{text}\": the root user of an account has no user name, and never gets access"
                ));
            }
            ("iam", "user") | ("sts", "assumed-role" | "federated-user") => {}
            _ => return wrong(format!("\"{text}\" is not the ARN of a caller")),
        }
        // A user's path may contain any printable character (IAM User Guide, "IAM identifiers"); other parts are names.
        let fits = if kind == "user" {
            !rest.is_empty() && rest.chars().all(|one| one.is_ascii_graphic() && one != '?')
        } else {
            letters(rest, "_+=,.@-*/")
        };
        if !fits || rest.starts_with('/') || rest.ends_with('/') {
            return wrong(format!("\"{text}\": \"{rest}\" is not a valid name in AWS"));
        }
        let segments = rest.split('/').count();
        let session = match kind {
            "assumed-role" => segments == 2 || (segments == 1 && rest.contains('*')),
            "federated-user" => segments == 1,
            _ => true,
        };
        if !session {
            return wrong(format!("\"{text}\": the part after {kind}/ is not valid"));
        }
        Ok(Self(text.to_owned()))
    }

    /// Returns the pattern as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether an ARN matches the pattern.
    pub fn matches(&self, arn: &str) -> bool {
        let (patterns, parts): (Vec<&str>, Vec<&str>) = (self.0.split(':').collect(), arn.split(':').collect());
        patterns.len() == parts.len() && patterns.iter().zip(parts).all(|(pattern, part)| glob(pattern, part))
    }

    /// Returns whether a session of a role can match the pattern. The ARN of a session lacks the path of its role.
    pub fn may_match_session_of(&self, role: &RoleArn) -> bool {
        let parts: Vec<&str> = role.splitn(6, ':').collect();
        let ["arn", partition, "iam", "", account, resource] = parts[..] else { return false };
        let name = resource.rsplit('/').next().unwrap_or_default();
        self.overlaps(&Self(format!("arn:{partition}:sts::{account}:assumed-role/{name}/*")))
    }

    /// Returns whether an ARN can match both patterns.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let pairs = self.0.split(':').zip(other.0.split(':'));
        pairs.into_iter().all(|(one, other)| globs_overlap(one.as_bytes(), other.as_bytes()))
    }

    /// Returns whether a user of this name can have a matching ARN; `None` stands for any name not in `named`.
    pub(super) fn may_match(&self, user: Option<&str>, named: &[&str]) -> bool {
        let last = self.0.rsplit(['/', ':']).next().unwrap_or_default();
        let Some((_, tail)) = last.rsplit_once('*') else {
            return user.map_or(!named.contains(&last), |user| user == last);
        };
        user.is_none_or(|user| user.ends_with(tail))
    }
}

/// Returns whether a text matches a pattern in which `*` matches any number of characters.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(head) else { return false };
    let (middle, tail) = rest.rsplit_once('*').unwrap_or(("", rest));
    for piece in middle.split('*').filter(|piece| !piece.is_empty()) {
        let Some(at) = text.find(piece) else { return false };
        text = &text[at + piece.len()..];
    }
    text.ends_with(tail)
}

/// Returns whether some text matches both patterns.
fn globs_overlap(one: &[u8], other: &[u8]) -> bool {
    // For each position in one pattern: the prefixes of the other pattern that a common text can match.
    let starred = |pattern: &[u8], at: usize| pattern.get(at) == Some(&b'*');
    let close = |row: &mut Vec<bool>| {
        for at in 0..other.len() {
            row[at + 1] |= row[at] && starred(other, at);
        }
    };
    let mut row = vec![false; other.len() + 1];
    row[0] = true;
    close(&mut row);
    for byte in one {
        let mut next = vec![false; other.len() + 1];
        for at in 0..=other.len() {
            if *byte == b'*' {
                // The star matches nothing, or a character of the other pattern.
                next[at] |= row[at];
                next[at] |= at > 0 && next[at - 1];
            } else {
                next[at] |= row[at] && starred(other, at);
                next[at] |= at > 0 && row[at - 1] && other[at - 1] == *byte;
            }
        }
        close(&mut next);
        row = next;
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_arn_matches_part_by_part() {
        let alice = "arn:aws:sts::123456789012:assumed-role/Admin/alice@example.com";
        let cases = [
            ("arn:aws:sts::123456789012:assumed-role/Admin/*", alice, true),
            ("arn:aws:sts::123456789012:assumed-role/Admin/alice@example.com", alice, true),
            ("arn:*:sts::*:assumed-role/A*n/*@example.com", alice, true),
            ("arn:aws:sts::123456789012:assumed-role/*", alice, true),
            ("arn:aws:sts::123456789012:assumed-role/Admin/*@example.org", alice, false),
            ("arn:aws:sts::123456789012:assumed-role/admin/*", alice, false),
            ("arn:aws:sts::123456789012:assumed-role/Admi/*", alice, false),
            ("arn:aws:sts::111111111111:assumed-role/Admin/*", alice, false),
            ("arn:aws-cn:sts::123456789012:assumed-role/Admin/*", alice, false),
            ("arn:aws:iam::123456789012:user/alice", "arn:aws:iam::123456789012:user/alice", true),
            ("arn:aws:iam::123456789012:user/alice", "arn:aws:iam::123456789012:user/alice2", false),
            ("arn:aws:iam::123456789012:user/alice", "arn:aws:iam::123456789012:user/team/alice", false),
            ("arn:aws:iam::123456789012:user/*", "arn:aws:iam::123456789012:user/team/alice", true),
            // A star does not match across parts.
            ("arn:aws:sts::*:assumed-role/Admin/*", "arn:aws:sts::1:2:assumed-role/Admin/alice", false),
            ("arn:aws:iam::123456789012:user/*", "arn:aws:iam::123456789012:user/a:b", false),
        ];
        for (pattern, arn, expected) in cases {
            assert_eq!(Principal::new(pattern).unwrap().matches(arn), expected, "{pattern} {arn}");
        }
    }

    #[test]
    fn a_pattern_that_no_caller_can_match_is_a_fault() {
        for pattern in [
            "",
            "alice",
            "*",
            "arn:*",
            "arn:aws:iam::123456789012:role/Admin",
            "arn:aws:iam::123456789012:root",
            "arn:aws:iam::123456789012:user/",
            "arn:aws:iam::123456789012:user//alice",
            "arn:aws:iam::123456789012:user/ali?e",
            "arn:aws:iam::123456789012:user/alice bob",
            "arn:aws:iam::12345:user/alice",
            "arn:aws:iam::12345678901*:user/alice",
            "arn:aws:iam:us-east-1:123456789012:user/alice",
            "arn:amazon:iam::123456789012:user/alice",
            "ARN:aws:iam::123456789012:user/alice",
            "arn:aws:sts::123456789012:assumed-role/Admin",
            "arn:aws:sts::123456789012:assumed-role/Admin/alice/more",
            "arn:aws:sts::123456789012:user/alice",
            "arn:aws:s3:::bucket",
            "arn:aws:iam::123456789012:user/a:b",
        ] {
            assert!(Principal::new(pattern).is_err(), "{pattern}");
        }
        let role = Principal::new("arn:aws:iam::123456789012:role/path/Admin").unwrap_err();
        assert_eq!(role.help, "write arn:aws:sts::123456789012:assumed-role/Admin/*");
    }

    #[test]
    fn a_pattern_of_sessions_matches_the_roles_with_such_sessions() {
        let role =
            RoleArn::new("arn:aws:iam::111111111111:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Engineer_0");
        for (pattern, expected) in [
            ("arn:aws:sts::*:assumed-role/AWSReservedSSO_Engineer_*/*", true),
            ("arn:aws:sts::111111111111:assumed-role/*", true),
            ("arn:aws:sts::*:assumed-role/*_0/alice@example.com", true),
            ("arn:aws:sts::222222222222:assumed-role/*", false),
            ("arn:aws:sts::*:assumed-role/AWSReservedSSO_Lead_*/*", false),
            ("arn:aws:iam::*:user/*", false),
        ] {
            assert_eq!(Principal::new(pattern).unwrap().may_match_session_of(&role), expected, "{pattern}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn patterns_with_a_common_match_overlap(one in "[ab*]{0,5}", other in "[ab*]{0,5}", text in "[ab]{0,6}") {
            if glob(&one, &text) && glob(&other, &text) {
                prop_assert!(globs_overlap(one.as_bytes(), other.as_bytes()), "{one} {other} {text}");
            }
            // Without stars, two patterns overlap only if they are equal.
            if !one.contains('*') {
                prop_assert_eq!(globs_overlap(one.as_bytes(), other.as_bytes()), glob(&other, &one));
            }
        }
    }
}
