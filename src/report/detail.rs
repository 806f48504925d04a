//! Which resources of a plan are listed, and how many are only counted.

use super::sheet::Entry;
use crate::cli::DetailArgs;

/// Which resources are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Detail {
    /// Resources with changes or remarks. The others are only counted.
    #[default]
    Changes,
    All,
}

impl Detail {
    /// Returns the detail that the options select.
    pub fn of(args: &DetailArgs) -> Self {
        if args.all { Self::All } else { Self::Changes }
    }
}

/// The resources of one kind.
#[derive(Debug)]
pub(super) struct Section<'a> {
    pub(super) title: String,
    pub(super) entries: Vec<Entry<'a>>,
    /// How many resources are in sync and not among the entries.
    pub(super) unlisted: usize,
}

impl Section<'_> {
    /// Returns the line that counts the resources that are not listed.
    pub(super) fn count(&self) -> Option<String> {
        (self.unlisted > 0).then(|| format!("{} in sync", self.unlisted))
    }
}
