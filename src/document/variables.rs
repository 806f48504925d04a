//! Environment variables that a manifest names, for what looks at no environment by itself.

use std::fmt;

/// Looks up environment variables.
#[derive(Clone, Copy)]
pub struct Variables(fn(&str) -> Option<String>);

impl Variables {
    /// Returns what looks them up by a function.
    pub fn new(look_up: fn(&str) -> Option<String>) -> Self {
        Self(look_up)
    }

    /// Returns the text of a variable; nothing where it is not set, or no text.
    pub fn get(self, name: &str) -> Option<String> {
        (self.0)(name)
    }
}

impl Default for Variables {
    /// Returns an environment without any.
    fn default() -> Self {
        Self(|_| None)
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Variables")
    }
}
