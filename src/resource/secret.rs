//! Secrets: hidden in debug output and overwritten in memory when dropped. Also hides the credentials in URLs.

use std::fmt;

use zeroize::Zeroizing;

/// A secret key, a session token, a server's token, an MFA code.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes ownership of a text without copying it.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Returns the text, to send or release it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// Returns a text for display: a name, password or token before the host of a URL becomes `****`.
pub fn without_userinfo(text: &str) -> String {
    masked(text, |_| String::from("****"))
}

/// Returns a text of the same length for display: the user information before the host of a URL becomes `*` characters.
pub fn without_userinfo_in_place(text: &str) -> String {
    masked(text, |userinfo| "*".repeat(userinfo.len()))
}

/// Source of the URL syntax: RFC 3986, section 3.2.
fn masked(text: &str, mask: impl Fn(&str) -> String) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (head, tail) = rest.split_at(at + "://".len());
        shown.push_str(head);
        let ends = |letter: char| letter.is_whitespace() || letter.is_control() || "/?#\"'\\<>".contains(letter);
        let authority = &tail[..tail.find(ends).unwrap_or(tail.len())];
        let userinfo = authority.rfind('@').map_or("", |at| &authority[..at]);
        if !userinfo.is_empty() {
            shown.push_str(&mask(userinfo));
        }
        rest = &tail[userinfo.len()..];
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_information_in_urls_is_hidden() {
        for (text, shown) in [
            ("https://user:pw@host/a@b", "https://****@host/a@b"),
            ("https https://token@host", "https https://****@host"),
            ("https://a:b@c@host?x=y@z", "https://****@host?x=y@z"),
            ("two: https://a@x \"https://b@y\"", "two: https://****@x \"https://****@y\""),
        ] {
            assert_eq!(without_userinfo(text), shown);
            assert_eq!(without_userinfo_in_place(text).len(), text.len());
        }
        assert_eq!(without_userinfo_in_place("https://é:pw@host"), "https://*****@host");
        for plain in ["https://host/a:b@c", "ops@example.com", "arn:aws:sqs:r:1:q", "https://", "://@", ""] {
            assert_eq!(without_userinfo(plain), plain);
        }
    }

    #[test]
    fn debug_output_hides_secrets() {
        let secret = Secret::new(String::from("wJalrXUtnFEMI"));
        assert_eq!(format!("{secret:?} {:#?}", Some(&secret)).matches("wJalr").count(), 0);
        assert_eq!(secret.reveal(), "wJalrXUtnFEMI");
    }
}
