//! Who asks, as STS says it: never as the environment does, which anyone can set.

use crate::resource::caller::Caller;

/// Returns the name of the user behind an identity: an IAM user's own, a role session's name (for IAM Identity Center that
/// is the sign-in name), a federated user's.
///
/// # Errors
///
/// An account's root user has no name of its own, and nothing else is known to call.
pub fn name(caller: &Caller) -> Result<String, String> {
    // arn:aws:iam::123456789012:user/path/alice, arn:aws:sts::123456789012:assumed-role/role/session
    let mut parts = caller.arn.splitn(6, ':').skip(2);
    let (service, resource) = (parts.next().unwrap_or_default(), parts.nth(2).unwrap_or_default());
    let (kind, rest) = resource.split_once('/').unwrap_or((resource, ""));
    let name = match (service, kind) {
        ("iam", "user") => rest.rsplit('/').next(),
        // Without its path a role's name is one part, and what follows is the session's.
        ("sts", "assumed-role") => rest.split_once('/').map(|(_, session)| session),
        ("sts", "federated-user") => Some(rest),
        _ => None,
    };
    name.filter(|name| !name.is_empty())
        .map(str::to_owned)
        .ok_or_else(|| format!("{} is neither an IAM user nor a role's session, and so has no user's name", caller.arn))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_what_sts_says() {
        let name = |arn: &str| name(&Caller { account: String::from("123456789012"), arn: arn.to_owned() }).ok();
        let cases = [
            ("arn:aws:iam::123456789012:user/alice", Some("alice")),
            ("arn:aws-cn:iam::123456789012:user/division/team/alice", Some("alice")),
            ("arn:aws:sts::123456789012:assumed-role/Admin/alice@example.com", Some("alice@example.com")),
            (
                "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Admin_0123456789abcdef/bob@example.com",
                Some("bob@example.com"),
            ),
            ("arn:aws:sts::123456789012:assumed-role/ec2/i-0123456789abcdef0", Some("i-0123456789abcdef0")),
            ("arn:aws:sts::123456789012:federated-user/carol", Some("carol")),
            ("arn:aws:iam::123456789012:root", None),
            ("arn:aws:sts::123456789012:assumed-role/Admin", None),
            ("arn:aws:iam::123456789012:user/", None),
            ("arn:aws:iam::123456789012:role/user/alice", None),
            ("", None),
        ];
        for (arn, expected) in cases {
            assert_eq!(name(arn).as_deref(), expected, "{arn}");
        }
    }
}
