//! The credentials that a policy may release.

use serde::Serialize;

use crate::resource::Invalid;

/// The credentials that may be released when the policy allows access. Without either list, all may be released.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Bound {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub role_arns: Vec<RolePattern>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aws_profiles: Vec<String>,
}

/// The source of credentials that may be released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialSource<'a> {
    AwsProfile(&'a str),
    /// Variables, a container or an instance.
    Environment,
    /// The role that a broker assumes.
    Broker,
}

impl<'a> CredentialSource<'a> {
    /// Returns the source of a user's own credentials.
    pub fn own(aws_profile: Option<&'a str>) -> Self {
        aws_profile.map_or(Self::Environment, Self::AwsProfile)
    }
}

/// The ARN of a role, or its prefix: a `*` at the end matches the rest of the role's name.
///
/// The path of a role is not compared, because STS does not return it and names are unique in an account (IAM User Guide, "IAM
/// identifiers").
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct RolePattern(String);

impl RolePattern {
    /// Reads an entry, or returns its error.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        let help = "write arn:aws:iam::ACCOUNT:role/NAME; a * at the end matches the rest of the name";
        let wrong = |problem: String| Err(Invalid::new(problem, help));
        let parts: Vec<&str> = text.split(':').collect();
        let ["arn", partition, "iam", "", account, resource] = parts.as_slice() else {
            return wrong(format!("\"{text}\" is not the ARN of a role"));
        };
        let partition =
            partition.starts_with("aws") && partition.bytes().all(|one| one.is_ascii_lowercase() || one == b'-');
        let account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        let Some(path) = resource.strip_prefix("role/").filter(|_| partition && account) else {
            return wrong(format!("\"{text}\" is not the ARN of a role"));
        };
        let (folders, name) = path.rsplit_once('/').map_or((None, path), |(folders, name)| (Some(folders), name));
        let (stem, starred) = name.strip_suffix('*').map_or((name, false), |stem| (stem, true));
        let letters = |text: &str| text.chars().all(|one| one.is_ascii_alphanumeric() || "_+=,.@-".contains(one));
        let whole = folders.is_none_or(|folders| folders.split('/').all(|one| !one.is_empty() && !one.contains('*')));
        if !letters(stem) || (stem.is_empty() && !starred) || !whole {
            return wrong(format!("\"{text}\": \"{path}\" is not the name of a role"));
        }
        if starred && folders.is_some() {
            return wrong(format!("\"{text}\": a * after a path would allow roles of every other path"));
        }
        Ok(Self(text.to_owned()))
    }

    /// Returns the entry as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether a role matches the entry.
    pub fn matches(&self, role_arn: &str) -> bool {
        let (wanted, found) = (without_path(&self.0), without_path(role_arn));
        match wanted.strip_suffix('*') {
            Some(start) => found.starts_with(start) && found.matches(':').count() == 5,
            None => wanted == found,
        }
    }
}

/// Returns a role's ARN without the role's path.
fn without_path(arn: &str) -> String {
    let Some((head, path)) = arn.split_once(":role/") else { return arn.to_owned() };
    format!("{head}:role/{}", path.rsplit('/').next().unwrap_or_default())
}

impl Bound {
    /// Returns the reason why the policy does not release credentials from a source, if it does not.
    pub fn excludes_source(&self, source: CredentialSource<'_>) -> Option<String> {
        let allowed = match source {
            CredentialSource::AwsProfile(name) => self.aws_profiles.iter().any(|one| one == name),
            CredentialSource::Environment | CredentialSource::Broker => false,
        };
        if self.aws_profiles.is_empty() || allowed {
            return None;
        }
        let noun = if self.aws_profiles.len() == 1 { "AWS profile" } else { "AWS profiles" };
        let what = match source {
            CredentialSource::AwsProfile(name) => format!("yours are of the AWS profile {name}"),
            CredentialSource::Environment => String::from("yours come from the environment"),
            CredentialSource::Broker => String::from("the broker's come from a role"),
        };
        Some(format!("the policy allows only credentials of the {noun} {}, but {what}", self.aws_profiles.join(", ")))
    }

    /// Returns the reason why the policy does not release credentials of a role, if it does not.
    pub fn excludes_role(&self, role_arn: Option<&str>) -> Option<String> {
        if self.role_arns.is_empty() || role_arn.is_some_and(|arn| self.role_arns.iter().any(|one| one.matches(arn))) {
            return None;
        }
        let what = role_arn.unwrap_or("no role");
        let noun = if self.role_arns.len() == 1 { "role" } else { "roles" };
        let list: Vec<&str> = self.role_arns.iter().map(RolePattern::as_str).collect();
        Some(format!("the policy allows only credentials of the {noun} {}, but these are of {what}", list.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_compared_by_account_and_name() {
        let cases = [
            ("arn:aws:iam::123456789012:role/dev", "arn:aws:iam::123456789012:role/dev", true),
            ("arn:aws:iam::123456789012:role/team/dev", "arn:aws:iam::123456789012:role/dev", true),
            ("arn:aws:iam::123456789012:role/dev", "arn:aws:iam::123456789012:role/team/dev", true),
            ("arn:aws:iam::123456789012:role/dev*", "arn:aws:iam::123456789012:role/team/dev-7", true),
            ("arn:aws:iam::123456789012:role/*", "arn:aws:iam::123456789012:role/prod-admin", true),
            ("arn:aws:iam::123456789012:role/dev", "arn:aws:iam::123456789012:role/dev-2", false),
            ("arn:aws:iam::123456789012:role/dev", "arn:aws:iam::123456789012:role/Dev", false),
            ("arn:aws:iam::123456789012:role/dev*", "arn:aws:iam::123456789012:role/dev/prod-admin", false),
            ("arn:aws:iam::123456789012:role/dev", "arn:aws:iam::111111111111:role/dev", false),
            ("arn:aws:iam::123456789012:role/dev", "arn:aws-cn:iam::123456789012:role/dev", false),
            ("arn:aws:iam::123456789012:role/*", "arn:aws:iam::123456789012:role/a:b", false),
        ];
        for (entry, role, expected) in cases {
            assert_eq!(RolePattern::new(entry).unwrap().matches(role), expected, "{entry} {role}");
        }
        for entry in [
            "",
            "*",
            "dev",
            "arn:aws:iam::*:role/dev",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:iam::123456789012:role/d*v",
            "arn:aws:iam::123456789012:role/team/*",
            "arn:aws:iam::123456789012:role//dev",
            "arn:aws:iam::123456789012:user/dev",
            "arn:aws:sts::123456789012:assumed-role/dev/alice",
        ] {
            assert!(RolePattern::new(entry).is_err(), "{entry}");
        }
    }

    #[test]
    fn unknown_credentials_are_excluded() {
        let role_arns = vec![RolePattern::new("arn:aws:iam::123456789012:role/dev").unwrap()];
        let bound = Bound { role_arns, aws_profiles: vec![String::from("dev")] };
        let of = |name| CredentialSource::own(Some(name));
        assert_eq!(bound.excludes_source(of("dev")), None);
        assert_eq!(bound.excludes_role(Some("arn:aws:iam::123456789012:role/dev")), None);
        let only = "the policy allows only credentials of the AWS profile dev, but";
        for (source, why) in [
            (of("prod-admin"), "yours are of the AWS profile prod-admin"),
            (CredentialSource::own(None), "yours come from the environment"),
            (CredentialSource::Broker, "the broker's come from a role"),
        ] {
            assert_eq!(bound.excludes_source(source).unwrap(), format!("{only} {why}"));
        }
        assert!(bound.excludes_role(Some("arn:aws:iam::123456789012:role/prod-admin")).is_some());
        assert!(bound.excludes_role(None).is_some());
        let free = Bound::default();
        assert_eq!((free.excludes_source(CredentialSource::Broker), free.excludes_role(None)), (None, None));
    }
}
