//! Lists of requests. A query of an index finds their IDs, and the records of each are read from the table by their keys.

use std::collections::HashSet;

use jiff::Timestamp;

use super::approval::{LONGEST, Request, Status, WAITS};
use super::listing::Listed;
use super::requests::Requests;
use super::time::{later, text, whole};
use crate::resource::call::{CallError, QUERY};
use crate::resource::pages::Pages;
use crate::resource::record::{self, ID, PAGES, Query, Start, Test, Value};
use crate::resource::record_key::Prefix;

/// The minimum and the maximum number of requests that are read together. One call reads the records of 33.
const BATCH: (usize, usize) = (33, 132);

/// Filters for a list.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter<'a> {
    pub requester: Option<&'a str>,
    pub profile: Option<&'a str>,
    pub status: Option<Status>,
}

impl Filter<'_> {
    /// Returns the prefix and the stored status of the records to query. A request itself is stored only as pending or cancelled.
    fn leads(&self) -> (Prefix, Option<&'static str>) {
        match self.status {
            None => (Prefix::Request, None),
            Some(Status::Pending | Status::Expired | Status::Invalid) => (Prefix::Request, Some("pending")),
            Some(Status::Cancelled) => (Prefix::Request, Some("cancelled")),
            Some(Status::Approved) => (Prefix::Decision, Some("approved")),
            Some(Status::Denied) => (Prefix::Decision, Some("denied")),
            Some(Status::Revoked) => (Prefix::Revocation, Some("revoked")),
        }
    }

    fn query(&self, now: Timestamp) -> Query {
        let (_, stored) = self.leads();
        let is = |name, value: Option<&str>| value.map(|value| Test::Is(name, Value::text(value)));
        let (profile, status) = (is("profile", self.profile), is("status", stored));
        // DynamoDB refuses a filter on the key of the queried index.
        let (index, key, filter) = match (self.requester, self.profile) {
            (Some(requester), _) => {
                let rest = profile.into_iter().chain(status).collect();
                ("requester-index", ("requester", Value::text(requester)), rest)
            }
            (None, Some(profile)) => ("profile-index", ("profile", Value::text(profile)), status.into_iter().collect()),
            (None, None) => ("status-index", ("status", Value::text(stored.unwrap_or("pending"))), Vec::new()),
        };
        // An older request cannot have this status.
        let age = match self.status {
            Some(Status::Pending) => Some(WAITS),
            Some(Status::Approved) => Some(WAITS + LONGEST),
            _ => None,
        };
        let from = age.map(|age| ("created_at", whole(later(now, -age))));
        Query { index, key, from, filter }
    }

    fn wants(&self, request: &Request) -> bool {
        self.requester.is_none_or(|requester| request.requester == requester)
            && self.profile.is_none_or(|profile| request.profile == profile)
            && self.status.is_none_or(|status| request.status == status)
    }
}

impl Requests<'_> {
    /// Lists requests, newest first. At least one filter must be given. Omits records that are not in the form that this program writes.
    pub async fn list(&self, filter: &Filter<'_>, limit: usize, now: Timestamp) -> Result<Listed<Request>, CallError> {
        let (prefix, _) = filter.leads();
        let query = filter.query(now);
        let mut seen = HashSet::new();
        let mut listed: Vec<Request> = Vec::new();
        let mut pages = Pages::new(QUERY, PAGES);
        let mut start = None;
        loop {
            // One more than the limit shows whether there are more. A request can have a decision and a revocation in the same
            // index. DynamoDB applies the limit of a page before the filter, so with a filter a small page would be almost empty.
            let rest = (limit + 1).saturating_sub(listed.len());
            let most = if query.filter.is_empty() { i32::try_from(rest.saturating_mul(3)).ok() } else { None };
            let page = pages.timed(Box::pin(self.0.page(&query, most, start))).await?;
            let keys = page.items.iter().filter_map(|item| text(item, ID));
            let ids = keys.filter_map(|key| prefix.id(&key).map(str::to_owned));
            let ids: Vec<String> = ids.filter(|id| seen.insert(id.clone())).collect();
            for ids in ids.chunks(rest.clamp(BATCH.0, BATCH.1)) {
                let found = pages.timed(Box::pin(self.all_found(ids))).await?;
                pages.check_time()?;
                let read = ids.iter().zip(found).filter_map(|(id, found)| found.judged(id, now).ok().flatten());
                listed.extend(read.filter(|request| filter.wants(request)));
                if listed.len() > limit {
                    break;
                }
            }
            start = page.next;
            // Only the requests of a page are kept, so its size is the upper bound.
            let bytes = page.items.iter().map(record::size).sum();
            let token = start.as_ref().map(Start::token);
            if listed.len() > limit || !pages.next(bytes, token.as_ref())? {
                break;
            }
        }
        listed.sort_by_key(|request| std::cmp::Reverse(request.created_at));
        let more = listed.len() > limit;
        listed.truncate(limit);
        Ok(Listed { records: listed, more })
    }
}
