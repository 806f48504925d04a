//! The source identity of a role session. It has at most 64 characters, which the name of a user can have alone.

use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::gate::{Decision, User};
use super::is_id;
use crate::provider::Stamp;
use crate::resource::role::{NAME_LENGTH as LONGEST, is_name, is_name_letter, session_name};

/// The length of an ID.
const ID: usize = 16;
/// The number of hexadecimal digits of the digest of a truncated name: 88 bits of its SHA-256.
const DIGEST: usize = 22;
/// The number of characters of a truncated name: the rest of the source identity is the digest, the ID and two separators.
const START: usize = LONGEST - ID - DIGEST - 2;

/// An ID that neither a record nor a decision can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the ID of a request, an event, a session or a decision, and cannot be part of a source identity")]
pub struct BadId(String);

/// Returns the attributes of the role session that a decision allows.
///
/// # Errors
///
/// As [`source_identity`].
pub fn stamp(decision: &Decision, id: &str, duration: Option<Duration>, now: Timestamp) -> Result<Stamp, BadId> {
    let user = &decision.user;
    Ok(Stamp {
        mfa_code: None,
        source_identity: source_identity(user, id)?,
        session_name: session_name(&user.name),
        duration,
        user_arn: user.arn.clone(),
        now: now.as_second(),
        until: decision.until.map(Timestamp::as_second),
    })
}

/// Returns the source identity: `USER=ID` with the ID of the request, the break-glass event, the session or the decision, which has 16
/// characters. Parsed from its end, it is unambiguous. A trust policy can require a user with
/// `"StringLike": {"sts:SourceIdentity": "alice=????????????????"}`.
///
/// A name that is too long is truncated and followed by a digest of the whole name: `START+DIGEST+ID`. So two users never have the same
/// source identity, and the separator before the ID distinguishes a truncated name from a whole one.
///
/// # Errors
///
/// Fails if the ID has another form, because the end of the source identity would be ambiguous.
pub fn source_identity(user: &User, id: &str) -> Result<String, BadId> {
    if !is_id(id) {
        return Err(BadId(id.to_owned()));
    }
    let user = user.name.as_str();
    if is_name(user) && user.len() < LONGEST - ID {
        return Ok(format!("{user}={id}"));
    }
    let digest = &hex::encode(Sha256::digest(user))[..DIGEST];
    let start: String = user.chars().filter(|letter| is_name_letter(*letter)).take(START).collect();
    Ok(format!("{start}+{digest}+{id}"))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::resource::names::{AccountId, UserId};

    const SOME_ID: &str = "0123456789abcdef";

    fn named(name: &str) -> User {
        let account = AccountId::new("123456789012");
        User { name: name.to_owned(), arn: String::new(), account, user_id: UserId::default() }
    }

    fn source_identity(user: &str, id: &str) -> String {
        super::source_identity(&named(user), id).unwrap()
    }

    /// An ID that contains `=` could make the source identity look like that of another user.
    #[test]
    fn an_id_of_another_form_is_refused() {
        for bad in
            ["", "0123456789abcde", "0123456789abcdef0", "0123456789ABCDEF", "x=12345678abcdef", "0123456789abcdé"]
        {
            assert_eq!(super::source_identity(&named("alice"), bad), Err(BadId(bad.to_owned())));
        }
    }

    #[test]
    fn a_name_that_is_too_long_is_truncated_and_has_a_digest() {
        assert_eq!(source_identity("alice", SOME_ID), "alice=0123456789abcdef");
        assert_eq!(source_identity("a@b.example", SOME_ID), "a@b.example=0123456789abcdef");
        let longest_whole = "x".repeat(47);
        assert_eq!(source_identity(&longest_whole, SOME_ID), format!("{longest_whole}={SOME_ID}"));
        let (one, other) = ("x".repeat(48), format!("{}y", "x".repeat(47)));
        let cut = source_identity(&one, SOME_ID);
        assert_eq!(cut.len(), 64, "{cut}");
        assert!(cut.starts_with("xxxxxxxxxxxxxxxxxxxxxxxx+") && cut.ends_with("+0123456789abcdef"), "{cut}");
        assert_ne!(cut, source_identity(&other, SOME_ID));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        /// Names of every length, many of which differ in their last characters only.
        #[test]
        fn it_is_valid_for_aws_and_unique_to_a_user(
            users in proptest::collection::vec("(alice@example\\.com){0,5}[a-c+=@-]{1,4}", 2..20),
            long in proptest::collection::vec("\\PC{1,80}", 0..5),
        ) {
            let mut seen: HashMap<String, String> = HashMap::new();
            for user in users.into_iter().chain(long) {
                let stamp = source_identity(&user, SOME_ID);
                prop_assert!((2..=64).contains(&stamp.len()) && is_name(&stamp), "{}", stamp);
                let name = session_name(&user);
                prop_assert!((2..=64).contains(&name.len()) && is_name(&name), "{}", name);
                if let Some(other) = seen.insert(stamp.clone(), user.clone()) {
                    prop_assert_eq!(other, user, "both are {}", stamp);
                }
            }
        }
    }
}
