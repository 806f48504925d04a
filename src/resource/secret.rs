//! Texts that are kept out of debug output, and overwritten in memory when they are dropped.

use std::fmt;

use zeroize::Zeroizing;

/// A secret key, a session token, a server's token, an MFA code.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a text over; the text itself is not copied.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Returns the text, for where it is sent or released.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_shows_nothing_of_a_secret() {
        let secret = Secret::new(String::from("wJalrXUtnFEMI"));
        assert_eq!(format!("{secret:?} {:#?}", Some(&secret)).matches("wJalr").count(), 0);
        assert_eq!(secret.reveal(), "wJalrXUtnFEMI");
    }
}
