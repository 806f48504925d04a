//! Records listed by an attribute, each through its index: pages of queries, never a scan.

use jiff::Timestamp;

use super::time;
use crate::resource::call::CallError;
use crate::resource::record::{Item, Query, Records, Test, Value};

/// Records, newest first.
#[derive(Debug, Clone)]
pub struct Listed<T> {
    pub records: Vec<T>,
    /// Whether there are more than were asked for.
    pub more: bool,
}

/// What is asked for.
#[derive(Debug)]
pub(super) struct Ask<'a> {
    /// An attribute, its index, and the value wanted, if one is; the first that is wanted is the one queried.
    pub(super) by: &'a [(&'static str, &'static str, Option<&'a str>)],
    pub(super) status: Option<Wanted>,
    /// The attribute the records are ordered by.
    pub(super) order: &'static str,
    pub(super) limit: usize,
    pub(super) now: Timestamp,
}

/// A state to look for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted {
    /// A status that stays what it is.
    Final(&'static str),
    /// A status that runs out.
    Open(&'static str),
    /// Records of these statuses that have run out.
    Expired(&'static [&'static str]),
}

const STATUS: (&str, &str) = ("status", "status-index");
const EXPIRES: &str = "expires_at";

/// Returns the queries that together find what is asked for. An index's own key must not stand in a filter.
fn queries(ask: &Ask<'_>) -> Vec<Query> {
    let now = time::whole(ask.now);
    let mut wanted = ask.by.iter().filter_map(|(name, index, value)| Some((*name, *index, (*value)?)));
    let first = wanted.next();
    let mut filter: Vec<Test> = wanted.map(|(name, _, value)| Test::Is(name, Value::text(value))).collect();
    let state = |word: &'static str| Test::Is(STATUS.0, Value::text(word));
    filter.extend(match ask.status {
        Some(Wanted::Open(_)) => Some(Test::Above(EXPIRES, now)),
        Some(Wanted::Expired(_)) => Some(Test::UpTo(EXPIRES, now)),
        _ => None,
    });
    let words: Vec<&'static str> = match ask.status {
        None => Vec::new(),
        Some(Wanted::Final(word) | Wanted::Open(word)) => vec![word],
        Some(Wanted::Expired(words)) => words.to_vec(),
    };
    let Some((name, index, value)) = first else {
        let of = |word: &'static str| Query {
            index: STATUS.1,
            key: (STATUS.0, Value::text(word)),
            from: None,
            filter: filter.clone(),
        };
        return words.into_iter().map(of).collect();
    };
    let either = words.into_iter().map(state).reduce(|one, other| Test::Either(Box::new(one), Box::new(other)));
    filter.extend(either);
    vec![Query { index, key: (name, Value::text(value)), from: None, filter }]
}

/// Lists what is asked for.
pub(super) async fn list(records: &Records<'_>, ask: &Ask<'_>) -> Result<Listed<Item>, CallError> {
    let mut found = Vec::new();
    for query in queries(ask) {
        let mut of_query = Vec::new();
        let mut start = None;
        loop {
            // One more than asked for tells whether there are more. With a filter AWS counts before it filters, and a
            // small page would come back all but empty.
            let rest = (ask.limit + 1).saturating_sub(of_query.len());
            let page = if query.filter.is_empty() { i32::try_from(rest).ok() } else { None };
            let page = records.page(&query, page, start).await?;
            of_query.extend(page.items);
            start = page.next;
            if start.is_none() || of_query.len() > ask.limit {
                break;
            }
        }
        found.extend(of_query);
    }
    found.sort_by_key(|item| std::cmp::Reverse(time::read(item, ask.order)));
    let more = found.len() > ask.limit;
    found.truncate(ask.limit);
    Ok(Listed { records: found, more })
}

impl<T> Listed<T> {
    /// Returns what the records read as; one that is none of ours is left out.
    pub(super) fn read<U>(self, read: impl FnMut(T) -> Option<U>) -> Listed<U> {
        Listed { records: self.records.into_iter().filter_map(read).collect(), more: self.more }
    }
}
