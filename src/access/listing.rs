//! Lists of records by an attribute, through the index of the attribute. The status of a record can depend on a second record: a closure
//! closes an event, and a revocation revokes a session.

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::time::text;
use crate::resource::call::{CallError, QUERY};
use crate::resource::pages::Pages;
use crate::resource::record::{self, ID, Item, PAGES, Query, Records, Start, Test, Value};
use crate::resource::record_key::Prefix;

/// Records, newest first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Listed<T> {
    pub records: Vec<T>,
    /// Whether there are more than the limit.
    pub more: bool,
}

/// The maximum number of second records that are read concurrently.
const IN_FLIGHT: usize = 16;

/// A query for a list.
#[derive(Debug)]
pub(super) struct ListQuery<'a> {
    /// Attributes with their indexes, and the value to match, if given. The first one with a value is queried.
    pub(super) by: &'a [(&'static str, &'static str, Option<&'a str>)],
    /// The values of the attribute `status` that matching records can have; any if `None`.
    pub(super) stored: Option<&'static [&'static str]>,
    /// An additional filter.
    pub(super) filter: Option<Test>,
    /// The prefix of the records, and that of their second records.
    pub(super) prefixes: (Prefix, Prefix),
    pub(super) limit: usize,
}

/// Returns the queries that together find the records. DynamoDB refuses a filter on the key of the queried index.
fn queries(ask: &ListQuery<'_>) -> Vec<Query> {
    let mut given = ask.by.iter().filter_map(|(name, index, value)| Some((*name, *index, (*value)?)));
    let first = given.next();
    let mut filter: Vec<Test> = given.map(|(name, _, value)| Test::Is(name, Value::text(value))).collect();
    filter.extend(ask.filter.clone());
    let stored = ask.stored.unwrap_or_default();
    let Some((name, index, value)) = first else {
        let key = |status: &&'static str| ("status", Value::text(*status));
        let query = |status| Query { index: "status-index", key: key(status), from: None, filter: filter.clone() };
        return stored.iter().map(query).collect();
    };
    let status = stored.iter().map(|status| Test::Is("status", Value::text(*status)));
    filter.extend(status.reduce(|one, other| Test::Either(Box::new(one), Box::new(other))));
    vec![Query { index, key: (name, Value::text(value)), from: None, filter }]
}

/// Lists records, newest first. `read` parses an item and its second record, or returns `None` to omit it.
pub(super) async fn list<T>(
    records: &Records<'_>,
    ask: &ListQuery<'_>,
    read: impl Fn(&Item, Option<&Item>) -> Option<T>,
    created: impl Fn(&T) -> Timestamp,
) -> Result<Listed<T>, CallError> {
    let mut found = Vec::new();
    for query in queries(ask) {
        let mut of_query = Vec::new();
        let mut pages = Pages::new(QUERY, PAGES);
        let mut start = None;
        loop {
            let page = pages.timed(Box::pin(records.page(&query, None, start))).await?;
            let mut bytes = 0;
            let pairs = page.items.into_iter().map(|item| async {
                let second = second_of(records, &item, ask.prefixes).await?;
                Ok::<_, CallError>((item, second))
            });
            // Only as many as needed, because a page can contain thousands of records.
            let mut pairs = stream::iter(pairs).buffered(IN_FLIGHT);
            while of_query.len() <= ask.limit
                && let Some(pair) = pages.timed(pairs.next()).await
            {
                let (item, second) = pair?;
                pages.check_time()?;
                if let Some(record) = read(&item, second.as_ref()) {
                    bytes += record::size(&item);
                    of_query.push(record);
                }
            }
            drop(pairs);
            start = page.next;
            // One more than the limit shows whether there are more.
            let token = start.as_ref().map(Start::token);
            if of_query.len() > ask.limit || !pages.next(bytes, token.as_ref())? {
                break;
            }
        }
        found.extend(of_query);
    }
    found.sort_by_key(|one| std::cmp::Reverse(created(one)));
    let more = found.len() > ask.limit;
    found.truncate(ask.limit);
    Ok(Listed { records: found, more })
}

async fn second_of(
    records: &Records<'_>,
    item: &Item,
    (own, second): (Prefix, Prefix),
) -> Result<Option<Item>, CallError> {
    let key = text(item, ID).unwrap_or_default();
    match own.id(&key) {
        Some(id) => records.get(&second.key(id)).await,
        None => Ok(None),
    }
}
