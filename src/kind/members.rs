//! The members of AWS's types for a resource, and how Sentinel handles each.
//!
//! A kind lists the members of its AWS types under AWS's names. A test compares the lists with the SDK's types, so a new member is noticed,
//! and `docs/settings.md` is generated from them.

use std::fmt;

/// The handling of a member of a response or request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handling {
    /// The manifest can set it, and it is compared.
    Managed,
    /// It is shown or used, and not compared.
    Shown,
    /// AWS changes it by itself, or another member has the same information.
    NotCompared,
    /// No manifest can set it. If it is set on a live resource, plans, status and import report it; Sentinel does not change it.
    NotManaged,
}

impl fmt::Display for Handling {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Managed => "managed",
            Self::Shown => "used or shown",
            Self::NotCompared => "never compared",
            Self::NotManaged => "not managed, but shown",
        })
    }
}

/// The members of one AWS type.
#[derive(Debug, Clone, Copy)]
pub struct Members {
    /// AWS's name of the type: `TableDescription`.
    pub of: &'static str,
    pub members: &'static [(&'static str, Handling)],
}

/// Returns the names of a value's fields in lower case, from its `Debug` output: SDK types are non-exhaustive and cannot be destructured.
///
/// All fields of the value must be empty.
#[cfg(test)]
pub(crate) fn fields_of(value: &impl fmt::Debug) -> Vec<String> {
    let text = format!("{value:?}");
    let inner = text.split_once('{').map_or("", |(_, inner)| inner).trim_end_matches('}');
    let names = inner.split(", ").filter_map(|field| field.split_once(':')).map(|(name, _)| name);
    names.map(|name| name.trim().trim_start_matches("r#").replace('_', "").to_lowercase()).collect()
}

/// Returns the names of a list in the same form as [`fields_of`].
#[cfg(test)]
pub(crate) fn listed(members: &Members) -> Vec<String> {
    members.members.iter().map(|(name, _)| name.to_lowercase()).collect()
}
