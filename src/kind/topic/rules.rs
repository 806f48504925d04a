//! AWS's rules for topics and subscriptions.

use serde_json::Value;

use crate::document::closest;
use crate::resource::Invalid;
use crate::resource::secret::without_userinfo;

/// The protocol of a subscription. Source: Subscribe in the SNS API reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "kebab-case", const_into_str)]
pub enum Protocol {
    Email,
    EmailJson,
    Http,
    Https,
    Sqs,
    Lambda,
    Sms,
    Firehose,
    Application,
}

impl Protocol {
    /// Returns the protocol with a name.
    pub(super) fn from_word(word: &str) -> Option<Self> {
        word.parse().ok()
    }

    /// Returns AWS's name for it.
    pub const fn as_str(self) -> &'static str {
        self.into_str()
    }

    /// Returns whether it supports raw message delivery. Source: Amazon SNS Developer Guide, "Raw message delivery".
    pub(super) const fn takes_raw(self) -> bool {
        matches!(self, Self::Sqs | Self::Http | Self::Https | Self::Firehose)
    }

    /// Checks an endpoint. Source: Subscribe in the SNS API reference.
    pub(super) fn check_endpoint(self, endpoint: &str) -> Result<(), Invalid> {
        let visible = !endpoint.is_empty() && endpoint.chars().all(|letter| letter.is_ascii_graphic());
        let arn = |service: &str, head: &str| {
            let parts: Vec<&str> = endpoint.splitn(6, ':').collect();
            matches!(parts[..], ["arn", partition, own, region, account, resource]
                if partition.starts_with("aws") && own == service && !region.is_empty()
                    && account.len() == 12 && resource.strip_prefix(head).is_some_and(|rest| !rest.is_empty()))
        };
        let after = |scheme: &str| endpoint.strip_prefix(scheme).is_some_and(|host| !host.is_empty());
        let (fits, example) = match self {
            Self::Email | Self::EmailJson => {
                let parts = endpoint.split_once('@');
                let host = |host: &str| host.contains('.') && !host.contains(['@', '/', ':']);
                let fits = parts.is_some_and(|(name, rest)| !name.is_empty() && !name.contains(':') && host(rest));
                (fits, "an address such as ops@example.com")
            }
            Self::Http => (after("http://"), "a URL such as http://example.com/alerts"),
            Self::Https => (after("https://"), "a URL such as https://example.com/alerts"),
            Self::Sqs => (arn("sqs", ""), "the queue's ARN: arn:aws:sqs:REGION:ACCOUNT:NAME"),
            Self::Lambda => (arn("lambda", "function:"), "the ARN arn:aws:lambda:REGION:ACCOUNT:function:NAME"),
            Self::Sms => {
                let digits = endpoint.strip_prefix('+').unwrap_or_default();
                let fits = (4..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
                (fits, "a number in E.164 form, such as +15555550100")
            }
            Self::Firehose => {
                (arn("firehose", "deliverystream/"), "the ARN arn:aws:firehose:REGION:ACCOUNT:deliverystream/NAME")
            }
            Self::Application => {
                (arn("sns", "endpoint/"), "the ARN arn:aws:sns:REGION:ACCOUNT:endpoint/PLATFORM/APPLICATION/ID")
            }
        };
        if fits && visible {
            return Ok(());
        }
        let endpoint = without_userinfo(endpoint);
        let problem = format!("\"{endpoint}\" is not an endpoint of the protocol \"{}\"", self.as_str());
        Err(Invalid::new(problem, format!("write {example}")))
    }
}

/// The suffix of a FIFO topic's name.
pub(super) const FIFO: &str = ".fifo";

/// The delivery order of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    Standard,
    Fifo,
}

impl From<bool> for Delivery {
    fn from(fifo: bool) -> Self {
        if fifo { Self::Fifo } else { Self::Standard }
    }
}

/// Checks a topic's name. Source: CreateTopic in the SNS API reference.
pub(super) fn check_name(name: &str) -> Result<(), Invalid> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    let stem = name.strip_suffix(FIFO).unwrap_or(name);
    if stem.is_empty() || name.len() > 256 || !stem.chars().all(plain) {
        let help = "use 1 to 256 letters, digits, and _ -; the name of a FIFO topic ends with .fifo";
        return Err(Invalid::new(format!("\"{name}\" is not a valid SNS topic name"), help));
    }
    Ok(())
}

/// Checks a display name. Source: SetTopicAttributes in the SNS API reference.
pub(super) fn check_display_name(name: &str) -> Result<(), Invalid> {
    if name.chars().count() > 100 || name.chars().any(char::is_control) {
        let problem = format!("\"{}\" is not a valid SNS display name", name.escape_debug());
        return Err(Invalid::new(problem, "use at most 100 characters, on one line"));
    }
    Ok(())
}

/// Checks a key's alias or ARN.
pub(super) fn check_key(key: &str) -> Result<(), Invalid> {
    let plain = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "/_-".contains(c));
    let parts: Vec<&str> = key.splitn(6, ':').collect();
    let fits = match parts[..] {
        [alias] => alias.strip_prefix("alias/").is_some_and(plain),
        ["arn", partition, "kms", region, account, resource] => {
            let id = resource.strip_prefix("key/").or_else(|| resource.strip_prefix("alias/"));
            partition.starts_with("aws") && !region.is_empty() && account.len() == 12 && id.is_some_and(plain)
        }
        _ => false,
    };
    if fits {
        return Ok(());
    }
    let help = "write { key = \"NAME\" } for [keys.NAME], \"alias/NAME\", \"alias/aws/sns\" for the key that AWS manages, the ARN \
                arn:aws:kms:REGION:ACCOUNT:key/ID, or false for no encryption";
    Err(Invalid::new(format!("`key` cannot be \"{key}\""), help))
}

pub(super) fn check_role(arn: &str) -> Result<(), Invalid> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    if let ["arn", partition, "iam", "", account, role] = parts[..]
        && partition.starts_with("aws")
        && account.len() == 12
        && role.strip_prefix("role/").is_some_and(|name| !name.is_empty())
    {
        return Ok(());
    }
    let help = "write one such as arn:aws:iam::123456789012:role/deliver";
    Err(Invalid::new(format!("\"{arn}\" is not the ARN of a role"), help))
}

/// Checks a delivery policy. Source: Amazon SNS Developer Guide, "Creating an HTTP/S delivery policy".
pub(super) fn check_delivery_policy(policy: &Value) -> Result<(), Invalid> {
    const MEMBERS: &[&str] =
        &["defaultHealthyRetryPolicy", "defaultThrottlePolicy", "defaultRequestPolicy", "disableSubscriptionOverrides"];
    let example = "write { \"http\": { \"defaultHealthyRetryPolicy\": { … } } }";
    let Value::Object(outer) = policy else {
        return Err(Invalid::new("the delivery policy is not a JSON object", example));
    };
    // An empty policy means SNS's default.
    if outer.is_empty() {
        return Ok(());
    }
    if let Some(unknown) = outer.keys().find(|key| *key != "http") {
        return Err(Invalid::new(format!("the delivery policy of a topic cannot have \"{unknown}\""), example));
    }
    let Some(Value::Object(http)) = outer.get("http") else {
        return Err(Invalid::new("the delivery policy has no \"http\" that is an object", example));
    };
    match http.keys().find(|key| !MEMBERS.contains(&key.as_str())) {
        None => Ok(()),
        Some(unknown) => {
            let help = match closest(unknown, MEMBERS) {
                Some(meant) => format!("did you mean \"{meant}\"? Valid elements are: {}", MEMBERS.join(", ")),
                None => format!("valid keys are: {}", MEMBERS.join(", ")),
            };
            Err(Invalid::new(format!("the delivery policy's http cannot have \"{unknown}\""), help))
        }
    }
}

/// Returns an endpoint as SNS returns it, with the password of a URL replaced by `****`. Source: Amazon SNS Developer Guide, "Subscribing
/// an HTTPS endpoint to an Amazon SNS topic".
pub(super) fn without_password(endpoint: &str) -> String {
    let masked = || {
        let (scheme, rest) = endpoint.split_once("://")?;
        let end = rest.find('/').unwrap_or(rest.len());
        let (user, _) = rest[..end].rsplit_once('@')?;
        let (name, _) = user.split_once(':')?;
        Some(format!("{scheme}://{name}:****{}", &rest[user.len()..]))
    };
    masked().unwrap_or_else(|| endpoint.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use strum::VariantArray;

    use super::*;

    #[test]
    fn names_follow_the_rules_of_sns() {
        for good in ["a", "A_b-9", "orders.fifo", &"x".repeat(256)] {
            assert!(check_name(good).is_ok(), "{good} refused");
        }
        for bad in ["", ".fifo", "a.b", "a.fifo.fifo", "a b", "ä", &"x".repeat(257)] {
            assert!(check_name(bad).is_err(), "{bad} passed");
        }
    }

    #[test]
    fn each_protocol_checks_its_endpoints() {
        let good = [
            (Protocol::Email, "ops@example.com"),
            (Protocol::EmailJson, "a+b@example.co.uk"),
            (Protocol::Http, "http://example.com"),
            (Protocol::Https, "https://user:secret@example.com/x"),
            (Protocol::Sqs, "arn:aws:sqs:us-east-1:123456789012:q"),
            (Protocol::Lambda, "arn:aws-cn:lambda:cn-north-1:123456789012:function:f"),
            (Protocol::Sms, "+15555550100"),
            (Protocol::Firehose, "arn:aws:firehose:us-east-1:123456789012:deliverystream/d"),
            (Protocol::Application, "arn:aws:sns:us-east-1:123456789012:endpoint/GCM/app/1"),
        ];
        for (own, endpoint) in good {
            for protocol in Protocol::VARIANTS {
                let fits = protocol.check_endpoint(endpoint).is_ok();
                let same = *protocol == own
                    || matches!(
                        (own, protocol),
                        (Protocol::Email, Protocol::EmailJson) | (Protocol::EmailJson, Protocol::Email)
                    );
                assert_eq!(fits, same, "{protocol:?} {endpoint}");
            }
        }
        for bad in ["", "@", "ops@", "ops@example", "ops @example.com", "öps@example.com"] {
            assert!(Protocol::Email.check_endpoint(bad).is_err(), "{bad} passed");
        }
        for bad in ["+1", "15555550100", "+1555555a100", "+1234567890123456"] {
            assert!(Protocol::Sms.check_endpoint(bad).is_err(), "{bad} passed");
        }
    }

    #[test]
    fn a_key_is_named_by_alias_or_arn() {
        for good in [
            "alias/a",
            "alias/aws/sns",
            "arn:aws:kms:us-east-1:123456789012:key/mrk-1",
            "arn:aws:kms:us-east-1:123456789012:alias/a",
        ] {
            assert!(check_key(good).is_ok(), "{good} refused");
        }
        for bad in
            ["", "a", "alias/", "alias/a b", "arn:aws:kms:us-east-1:1:key/a", "arn:aws:s3:us-east-1:123456789012:key/a"]
        {
            assert!(check_key(bad).is_err(), "{bad} passed");
        }
    }

    #[test]
    fn a_password_in_a_url_is_masked_like_sns() {
        assert_eq!(without_password("https://user:secret@example.com/a@b"), "https://user:****@example.com/a@b");
        for plain in ["https://user@example.com", "https://example.com/a:b@c", "ops@example.com", "arn:aws:sqs:r:1:q"] {
            assert_eq!(without_password(plain), plain);
        }
    }

    #[test]
    fn a_delivery_policy_is_checked_by_the_rules_of_sns() {
        let good = json!({ "http": { "defaultHealthyRetryPolicy": { "numRetries": 5 } } });
        assert!(check_delivery_policy(&good).is_ok() && check_delivery_policy(&json!({})).is_ok());
        for bad in [json!([]), json!({ "http": 1 }), json!({ "https": {} }), json!({ "http": { "x": 1 } })] {
            assert!(check_delivery_policy(&bad).is_err(), "{bad} passed");
        }
        let near = check_delivery_policy(&json!({ "http": { "defaultHealthyRetryPolcy": {} } })).unwrap_err();
        assert!(near.help.starts_with("did you mean \"defaultHealthyRetryPolicy\"?"), "{near}");
    }
}
