//! Live resources that are not changed.

use std::borrow::Cow;

use crate::kind::KindId;
use crate::reconcile::{Orphans, Plan, Unmanaged};

/// Live resources that are not changed.
#[derive(Debug)]
pub(super) struct Listed<'a> {
    pub(super) title: String,
    /// Each with its kind, if there are several kinds.
    pub(super) names: Vec<Cow<'a, str>>,
}

pub(super) fn listed(plan: &Plan) -> Vec<Listed<'_>> {
    let of_kind = |kind: KindId| {
        let names = plan.unmanaged.iter().filter(|one| one.kind == kind).map(|one| Cow::from(one.name.as_str()));
        Listed { title: kind.about().unmanaged.to_owned(), names: names.collect() }
    };
    let all = KindId::ALL.iter().copied().map(of_kind).chain(Some(orphans(&plan.orphans)));
    all.filter(|listed| !listed.names.is_empty()).collect()
}

/// Returns the orphans as a list. Their tag shows that Sentinel created them, but not for which manifest.
pub(super) fn orphans(orphans: &Orphans) -> Listed<'_> {
    let name = |one: &Unmanaged| Cow::from(format!("{} {}", one.kind.about().noun, one.name));
    let names: Vec<Cow<'_, str>> = orphans.resources.iter().map(name).collect();
    let (count, they) = match names.len() {
        1 => (String::from("1 resource that Sentinel created is"), "it"),
        count => (format!("{count} resources that Sentinel created are"), "them"),
    };
    let title =
        format!("Orphans: {count} not in this manifest; another manifest with the same ownership tag may have {they}");
    Listed { title, names }
}

/// Returns which orphans could not be listed, a line each.
pub(super) fn orphan_notes(orphans: &Orphans) -> Vec<String> {
    let unknown = orphans.unknown.as_ref().map(|gap| match gap.denied {
        true => format!("Orphans are unknown: no permission for {}.", gap.action),
        false => format!("Orphans are unknown: {}.", gap.message.trim_end_matches('.')),
    });
    let partly = orphans.looked_at.map(|count| {
        format!("Orphans: only the first {count} resources with the ownership tag were checked; --prune checks more.")
    });
    unknown.into_iter().chain(partly).collect()
}
