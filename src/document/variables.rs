//! Environment variables that a manifest refers to, for code that does not access the environment itself.

use std::fmt;

/// Looks up environment variables.
#[derive(Clone, Copy)]
pub struct Variables(fn(&str) -> Option<String>);

impl Variables {
    /// Returns a lookup through this function.
    pub fn new(look_up: fn(&str) -> Option<String>) -> Self {
        Self(look_up)
    }

    /// Returns the value of a variable, or `None` if it is not set or not valid Unicode.
    pub fn get(self, name: &str) -> Option<String> {
        (self.0)(name)
    }
}

impl Default for Variables {
    /// Returns an empty environment.
    fn default() -> Self {
        Self(|_| None)
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Variables")
    }
}
