//! What AWS tells of a resource, member by member, and what is done with it here.
//!
//! A kind lists the members of the answers that describe it, under the names of AWS's API. A test compares the lists with the SDK's
//! own types, so that a member that AWS adds is noticed; `docs/settings.md` is made from them.

use std::fmt;

/// What is done with a member of an answer or a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handling {
    /// The manifest can set it, and it is compared.
    Managed,
    /// Shown or used, and not compared.
    Shown,
    /// AWS changes it by itself, or it says what another member says.
    NotCompared,
    /// No manifest can set it. Where it is set on a live resource, plans, status and import say so; nothing changes it.
    LeftAlone,
}

impl fmt::Display for Handling {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Managed => "managed",
            Self::Shown => "shown",
            Self::NotCompared => "never compared",
            Self::LeftAlone => "not managed, but shown",
        })
    }
}

/// The members of one type of AWS's API.
#[derive(Debug, Clone, Copy)]
pub struct Members {
    /// The type, as AWS names it: `TableDescription`.
    pub of: &'static str,
    pub members: &'static [(&'static str, Handling)],
}

/// Returns the names of the fields of a value, in the letters of AWS's names without regard to their case, from what `Debug` says of
/// it: a type of the SDK cannot be taken apart by its fields, since it may get more.
///
/// The value has to be one of which every field is empty.
#[cfg(test)]
pub(crate) fn fields_of(value: &impl fmt::Debug) -> Vec<String> {
    let text = format!("{value:?}");
    let inner = text.split_once('{').map_or("", |(_, inner)| inner).trim_end_matches('}');
    let names = inner.split(", ").filter_map(|field| field.split_once(':')).map(|(name, _)| name);
    names.map(|name| name.trim().trim_start_matches("r#").replace('_', "").to_lowercase()).collect()
}

/// Returns the names that a list has, as [`fields_of`] writes them.
#[cfg(test)]
pub(crate) fn listed(members: &Members) -> Vec<String> {
    members.members.iter().map(|(name, _)| name.to_lowercase()).collect()
}
