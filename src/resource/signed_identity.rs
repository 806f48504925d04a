//! A signed `GetCallerIdentity` request that another program sends: it proves a user's identity to a broker without a secret.
//!
//! The user signs a request to STS that names the broker and the requested operation. The broker sends it to STS, which checks the
//! signature and returns the signer's identity. This module checks that the request has no other effect or destination, is for this broker
//! and this operation, and is recent.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The header that names the broker.
pub const BROKER: &str = "x-sentinel-broker";
/// The header with the digest of the requested operation.
pub const DIGEST: &str = "x-sentinel-digest";
/// The whole body.
pub const BODY: &str = "Action=GetCallerIdentity&Version=2011-06-15";
pub const CONTENT_TYPE: &str = "application/x-www-form-urlencoded";
/// How long a signed request is valid, in seconds. STS itself accepts it for 15 minutes.
pub const VALID: i64 = 60;
/// The maximum difference by which the signer's clock may be ahead, in seconds.
const AHEAD: i64 = 15;
/// The maximum length of a header's value. Session tokens have no documented limit; at present they have up to about 2,000 characters.
const LONGEST: usize = 12 << 10;

/// The request.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedIdentity {
    pub method: String,
    pub url: String,
    /// By their names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl fmt::Debug for SignedIdentity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The headers contain a session token and a signature.
        formatter.debug_struct("SignedIdentity").field("url", &self.url).finish_non_exhaustive()
    }
}

/// The digest of an operation that is sent to a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskDigest(String);

impl AskDigest {
    /// Returns the digest of the text of an operation.
    pub fn of(operation: &'static str, text: &str) -> Self {
        Self(hex::encode(Sha256::digest(format!("{operation}\n{text}"))))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The address of a broker, without a trailing slash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct BrokerUrl(String);

impl BrokerUrl {
    /// Reads an address: `https://HOST[:PORT][/PATH]`, or `http://` on loopback.
    pub fn new(text: &str) -> Result<Self, super::Invalid> {
        let wrong = |problem: String| {
            Err(super::Invalid::new(
                problem,
                "write one such as https://broker.example.com; http:// is for loopback only",
            ))
        };
        let trimmed = text.strip_suffix('/').unwrap_or(text);
        let (rest, plain) = match (trimmed.strip_prefix("https://"), trimmed.strip_prefix("http://")) {
            (Some(rest), _) => (rest, false),
            (_, Some(rest)) => (rest, true),
            _ => return wrong(format!("\"{text}\" is not the address of a broker")),
        };
        let (authority, path) = rest.split_once('/').map_or((rest, ""), |(authority, path)| (authority, path));
        let letters =
            |text: &str, more: &str| text.chars().all(|one| one.is_ascii_alphanumeric() || more.contains(one));
        if authority.is_empty() || !letters(authority, ".-:[]") || !letters(path, "._~-/") {
            return wrong(format!("\"{text}\" is not the address of a broker"));
        }
        if plain && !is_loopback(authority) {
            return wrong(format!("\"{text}\": a broker without TLS must be on loopback"));
        }
        Ok(Self(trimmed.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the path prefix of all its operations.
    pub fn path(&self) -> &str {
        let rest = self.0.split_once("://").map_or(self.0.as_str(), |(_, rest)| rest);
        rest.find('/').map_or("", |at| &rest[at..])
    }
}

impl fmt::Display for BrokerUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Returns whether a host, with or without a port, is the loopback of this machine.
pub fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

/// The expected properties of a request.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    pub broker: &'a BrokerUrl,
    pub digest: &'a AskDigest,
    pub now: Timestamp,
    /// The endpoint for all requests to STS that replaces STS's own.
    pub endpoint: Option<&'a str>,
    /// The partition of the broker, such as `aws`.
    pub partition: &'a str,
}

/// The reason why a request is not sent to STS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("its method is not POST")]
    Method,
    #[error("its body is not that of GetCallerIdentity")]
    Body,
    #[error("its address is not an endpoint of STS")]
    Address,
    #[error("it has an unexpected header, or lacks a required one")]
    Headers,
    #[error("a header has a value that is not valid")]
    Value,
    #[error("it is for another broker")]
    Broker,
    #[error("it is for another operation")]
    Digest,
    #[error("its signature does not cover all of its headers")]
    Unsigned,
    #[error("its signature does not have AWS's format")]
    Signature,
    #[error("it is older than a minute, or from the future")]
    Age,
}

/// The required headers other than `authorization`, which the signature must cover.
const NEEDED: [&str; 5] = ["content-type", "host", "x-amz-date", BROKER, DIGEST];
/// The header of temporary credentials, which the signature must cover too.
const TOKEN: &str = "x-amz-security-token";
const AUTHORIZATION: &str = "authorization";

impl SignedIdentity {
    /// Checks a request.
    ///
    /// # Errors
    ///
    /// Returns the reason why it must not be sent to STS.
    pub fn check(&self, expected: &Expected<'_>) -> Result<(), Rejection> {
        if self.method != "POST" {
            return Err(Rejection::Method);
        }
        if self.body != BODY {
            return Err(Rejection::Body);
        }
        let names: BTreeSet<&str> = self.headers.keys().map(String::as_str).collect();
        let mut signed: BTreeSet<&str> = NEEDED.into();
        signed.extend(names.get(TOKEN));
        let mut all = signed.clone();
        all.insert(AUTHORIZATION);
        if names != all {
            return Err(Rejection::Headers);
        }
        // Control characters are refused, so that one header cannot become two.
        let plain = |value: &String| !value.is_empty() && value.len() <= LONGEST && value.bytes().all(is_printable);
        if !self.headers.values().all(plain) {
            return Err(Rejection::Value);
        }
        let header = |name: &str| self.headers.get(name).map(String::as_str).unwrap_or_default();
        if header("content-type") != CONTENT_TYPE {
            return Err(Rejection::Value);
        }
        let date = header("x-amz-date");
        let signature = Signature::read(header(AUTHORIZATION)).ok_or(Rejection::Signature)?;
        if !date.starts_with(signature.date) || signature.service != "sts" {
            return Err(Rejection::Signature);
        }
        if signature.headers.split(';').collect::<Vec<_>>() != signed.into_iter().collect::<Vec<_>>() {
            return Err(Rejection::Unsigned);
        }
        if !self.goes_to_sts(&signature, expected) {
            return Err(Rejection::Address);
        }
        if header(BROKER) != expected.broker.as_str() {
            return Err(Rejection::Broker);
        }
        if header(DIGEST) != expected.digest.as_str() {
            return Err(Rejection::Digest);
        }
        let signed_at = time(date).ok_or(Rejection::Value)?;
        let age = expected.now.as_millisecond() - signed_at.as_millisecond();
        if !(-AHEAD * 1000..=VALID * 1000).contains(&age) {
            return Err(Rejection::Age);
        }
        Ok(())
    }

    /// Returns the access key ID of the signature.
    pub fn key(&self) -> Option<&str> {
        Signature::read(self.headers.get(AUTHORIZATION)?).map(|signature| signature.key)
    }

    fn goes_to_sts(&self, signature: &Signature<'_>, expected: &Expected<'_>) -> bool {
        let host = self.headers.get("host").map(String::as_str).unwrap_or_default();
        match expected.endpoint {
            Some(endpoint) => {
                let endpoint = endpoint.strip_suffix('/').unwrap_or(endpoint);
                let authority = endpoint.split_once("://").map(|(_, rest)| rest);
                self.url == format!("{endpoint}/") && authority == Some(host)
            }
            None => {
                is_host_of_sts(host, signature.region, expected.partition) && self.url == format!("https://{host}/")
            }
        }
    }
}

/// Returns whether a host is an endpoint of STS for requests signed for this region. Source: AWS General Reference, "AWS Security Token
/// Service endpoints and quotas".
fn is_host_of_sts(host: &str, region: &str, partition: &str) -> bool {
    if !can_be_region(region, partition) {
        return false;
    }
    let of_region = match partition == "aws-cn" {
        true => vec![format!("sts.{region}.amazonaws.com.cn")],
        false => vec![format!("sts.{region}.amazonaws.com"), format!("sts-fips.{region}.amazonaws.com")],
    };
    of_region.iter().any(|known| known == host) || (host == "sts.amazonaws.com" && region == "us-east-1")
}

/// Returns whether a region, such as `eu-west-1`, can exist in a partition. Anybody can send the name of a region, and the broker looks up
/// the host of STS there, so the number of names is limited. Sources: the region patterns in the partition metadata of the AWS SDKs; AWS
/// General Reference, "AWS Regions".
fn can_be_region(region: &str, partition: &str) -> bool {
    const SIDES: [&str; 9] =
        ["central", "east", "north", "northeast", "northwest", "south", "southeast", "southwest", "west"];
    let areas: &[&str] = match partition {
        "aws" => &["af", "ap", "ca", "eu", "il", "me", "mx", "sa", "us"],
        "aws-cn" => &["cn"],
        "aws-us-gov" => &["us-gov"],
        _ => &[],
    };
    let parts: Vec<&str> = region.rsplitn(3, '-').collect();
    let [number, side, area] = parts[..] else { return false };
    areas.contains(&area) && SIDES.contains(&side) && matches!(number.as_bytes(), [b'1'..=b'9'])
}

fn is_printable(byte: u8) -> bool {
    byte == b' ' || byte.is_ascii_graphic()
}

/// The parts of an `Authorization` header.
struct Signature<'a> {
    key: &'a str,
    date: &'a str,
    region: &'a str,
    service: &'a str,
    headers: &'a str,
}

impl<'a> Signature<'a> {
    /// Parses the form that AWS's signers write. Source: IAM User Guide, "Create a signed AWS API request".
    fn read(text: &'a str) -> Option<Self> {
        let rest = text.strip_prefix("AWS4-HMAC-SHA256 Credential=")?;
        let (credential, rest) = rest.split_once(", SignedHeaders=")?;
        let (headers, signature) = rest.split_once(", Signature=")?;
        let hexadecimal = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if signature.len() != 64 || !signature.bytes().all(hexadecimal) {
            return None;
        }
        let parts: Vec<&str> = credential.split('/').collect();
        let [key, date, region, service, "aws4_request"] = parts.as_slice() else { return None };
        let fits = !key.is_empty() && key.len() <= 128 && date.len() == 8;
        fits.then_some(Self { key, date, region, service, headers })
    }
}

/// Reads a time such as `20261126T203500Z`.
fn time(text: &str) -> Option<Timestamp> {
    let text = text.strip_suffix('Z').filter(|text| text.len() == 15)?;
    let parsed = DateTime::strptime("%Y%m%dT%H%M%S", text).ok()?;
    TimeZone::UTC.to_timestamp(parsed).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://broker.example.com";

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn signed() -> SignedIdentity {
        let headers = format!("content-type;host;x-amz-date;{BROKER};{DIGEST}");
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20261126/eu-west-1/sts/aws4_request, SignedHeaders={headers}, \
             Signature={}",
            "0a".repeat(32)
        );
        let digest = AskDigest::of("list", "{}");
        let headers = [
            ("authorization", authorization.as_str()),
            ("content-type", CONTENT_TYPE),
            ("host", "sts.eu-west-1.amazonaws.com"),
            ("x-amz-date", "20261126T203500Z"),
            (BROKER, URL),
            (DIGEST, digest.as_str()),
        ];
        SignedIdentity {
            method: String::from("POST"),
            url: String::from("https://sts.eu-west-1.amazonaws.com/"),
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            body: BODY.to_owned(),
        }
    }

    #[track_caller]
    fn check(identity: &SignedIdentity, now: &str, endpoint: Option<&str>) -> Result<(), Rejection> {
        let (broker, digest) = (BrokerUrl::new(URL).unwrap(), AskDigest::of("list", "{}"));
        identity.check(&Expected { broker: &broker, digest: &digest, now: at(now), endpoint, partition: "aws" })
    }

    const NOW: &str = "2026-11-26T20:35:10Z";

    #[test]
    fn a_correctly_signed_request_is_accepted() {
        assert_eq!(check(&signed(), NOW, None), Ok(()));
        assert_eq!(signed().key(), Some("AKIAEXAMPLE"));
        let mut temporary = signed();
        temporary.headers.insert(TOKEN.to_owned(), String::from("IQoJb3JpZ2luX2Vj//8="));
        assert_eq!(check(&temporary, NOW, None), Err(Rejection::Unsigned));
        let authorization = temporary.headers.get_mut(AUTHORIZATION).unwrap();
        *authorization = authorization.replace("x-amz-date;", "x-amz-date;x-amz-security-token;");
        assert_eq!(check(&temporary, NOW, None), Ok(()));
    }

    #[test]
    fn a_changed_request_is_refused() {
        type Change = fn(&mut SignedIdentity);
        fn set(identity: &mut SignedIdentity, name: &str, value: &str) {
            identity.headers.insert(name.to_owned(), value.to_owned());
        }
        let changes: [(Rejection, Change); 18] = [
            (Rejection::Method, |one| one.method = String::from("GET")),
            (Rejection::Body, |one| one.body = String::from("Action=GetSessionToken&Version=2011-06-15")),
            (Rejection::Body, |one| one.body.push_str("&DurationSeconds=900")),
            (Rejection::Headers, |one| set(one, "x-forwarded-for", "10.0.0.1")),
            (Rejection::Headers, |one| set(one, "Host", "sts.eu-west-1.amazonaws.com")),
            (Rejection::Headers, |one| drop(one.headers.remove(DIGEST))),
            (Rejection::Value, |one| set(one, "content-type", "application/json")),
            (Rejection::Value, |one| set(one, BROKER, "https://broker.example.com\r\nx: y")),
            (Rejection::Address, |one| set(one, "host", "sts.eu-west-1.amazonaws.com.example.com")),
            (Rejection::Address, |one| one.url = String::from("https://sts.eu-west-1.amazonaws.com@example.com/")),
            (Rejection::Address, |one| one.url = String::from("http://sts.eu-west-1.amazonaws.com/")),
            (Rejection::Address, |one| one.url.push_str("?Action=GetSessionToken")),
            (Rejection::Broker, |one| set(one, BROKER, "https://other.example.com")),
            (Rejection::Digest, |one| set(one, DIGEST, AskDigest::of("approve", "{}").as_str())),
            (Rejection::Signature, |one| set(one, "x-amz-date", "20261127T203500Z")),
            (Rejection::Signature, |one| set(one, "authorization", "Bearer token")),
            (Rejection::Unsigned, |one| {
                let authorization = one.headers.get_mut("authorization").unwrap();
                *authorization = authorization.replace(&format!(";{BROKER}"), "");
            }),
            (Rejection::Signature, |one| {
                let authorization = one.headers.get_mut("authorization").unwrap();
                *authorization = authorization.replace("/sts/", "/iam/");
            }),
        ];
        for (at, (flaw, change)) in changes.into_iter().enumerate() {
            let mut changed = signed();
            change(&mut changed);
            assert_eq!(check(&changed, NOW, None), Err(flaw), "change {at}");
        }
    }

    #[test]
    fn a_signed_request_expires_after_a_minute() {
        for (now, expected) in [
            ("2026-11-26T20:34:44Z", Err(Rejection::Age)),
            ("2026-11-26T20:34:45Z", Ok(())),
            ("2026-11-26T20:36:00Z", Ok(())),
            ("2026-11-26T20:36:00.001Z", Err(Rejection::Age)),
            ("2026-11-27T20:35:00Z", Err(Rejection::Age)),
        ] {
            assert_eq!(check(&signed(), now, None), expected, "{now}");
        }
        let mut odd = signed();
        for date in ["20261126T203500", "20261126T253500Z", "20261126 203500Z", "20261126T203500Zx"] {
            odd.headers.insert(String::from("x-amz-date"), date.to_owned());
            assert_eq!(check(&odd, NOW, None), Err(Rejection::Value), "{date}");
        }
    }

    #[test]
    fn only_sts_hosts_of_the_partition_are_accepted() {
        for (host, region, partition) in [
            ("sts.eu-west-1.amazonaws.com", "eu-west-1", "aws"),
            ("sts-fips.us-east-2.amazonaws.com", "us-east-2", "aws"),
            ("sts.ap-southeast-7.amazonaws.com", "ap-southeast-7", "aws"),
            ("sts-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1", "aws-us-gov"),
            ("sts.cn-northwest-1.amazonaws.com.cn", "cn-northwest-1", "aws-cn"),
            ("sts.amazonaws.com", "us-east-1", "aws"),
        ] {
            assert!(is_host_of_sts(host, region, partition), "{host}");
        }
        for (host, region, partition) in [
            ("sts.eu-west-1.amazonaws.com", "eu-west-2", "aws"),
            ("sts.amazonaws.com", "eu-west-1", "aws"),
            ("sts.cn-north-1.amazonaws.com", "cn-north-1", "aws-cn"),
            ("sts.cn-north-1.amazonaws.com.cn", "cn-north-1", "aws"),
            ("sts.us-gov-west-1.amazonaws.com", "us-gov-west-1", "aws"),
            ("sts.amazonaws.com", "us-east-1", "aws-us-gov"),
            ("sts.eu-west-1.amazonaws.com", "eu-west-1", "aws-iso"),
            // Otherwise a stranger could make the broker look up any number of names.
            ("sts.aa-bb-1.amazonaws.com", "aa-bb-1", "aws"),
            ("sts.eu-west-x-1.amazonaws.com", "eu-west-x-1", "aws"),
            ("sts.eu-west-10.amazonaws.com", "eu-west-10", "aws"),
            ("sts.eu-west-0.amazonaws.com", "eu-west-0", "aws"),
            ("sts.x.evil.amazonaws.com", "x.evil", "aws"),
            ("iam.amazonaws.com", "us-east-1", "aws"),
            ("sts.eu-west-1.amazonaws.com:8443", "eu-west-1", "aws"),
            ("", "", "aws"),
        ] {
            assert!(!is_host_of_sts(host, region, partition), "{host}");
        }
    }

    #[test]
    fn a_custom_endpoint_replaces_the_sts_hosts() {
        let endpoint = Some("http://127.0.0.1:4566");
        assert_eq!(check(&signed(), NOW, endpoint), Err(Rejection::Address));
        let mut local = signed();
        local.url = String::from("http://127.0.0.1:4566/");
        assert_eq!(check(&local, NOW, endpoint), Err(Rejection::Address));
        local.headers.insert(String::from("host"), String::from("127.0.0.1:4566"));
        assert_eq!(check(&local, NOW, endpoint), Ok(()));
        assert_eq!(check(&local, NOW, None), Err(Rejection::Address));
    }

    #[test]
    fn a_broker_requires_tls_except_on_loopback() {
        for (text, path) in [
            ("https://broker.example.com", ""),
            ("https://broker.example.com:8443/team/a", "/team/a"),
            ("http://127.0.0.1:8000", ""),
            ("http://localhost:8000/", ""),
            ("http://[::1]:8000", ""),
        ] {
            assert_eq!(BrokerUrl::new(text).unwrap().path(), path, "{text}");
        }
        for text in [
            "broker.example.com",
            "http://broker.example.com",
            "http://127.0.0.1.example.com",
            "https://",
            "https://user:pw@broker.example.com",
            "https://broker.example.com/?x=y",
            "ftp://broker.example.com",
        ] {
            assert!(BrokerUrl::new(text).is_err(), "{text}");
        }
    }
}
