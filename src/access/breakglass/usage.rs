//! The break-glass events of a user for a profile, compared with the limits of the policy.

use jiff::Timestamp;

use super::{Event, Events, LONGEST, end};
use crate::access::gate::User;
use crate::access::time::{later, read, text, whole};
use crate::policy::BreakglassLimits;
use crate::resource::call::{CallError, Class, QUERY};
use crate::resource::names::UserId;
use crate::resource::record::{ID, Item, Query, Test, Value};
use crate::resource::record_key::Prefix;

/// The period of the limits, in seconds.
const DAY: i64 = 24 * 3600;
/// The maximum number of pages that are read to count events, of up to 1 MB each, so that records of others cannot delay an answer.
const PAGES: usize = 10;

/// The events that a user opened for a profile in the last 24 hours, other than the one in question.
///
/// An event counts with its full duration even if it was closed early, because users may write closures themselves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    pub events: u32,
    /// In seconds.
    pub time: i64,
}

/// The limit that is exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    Events,
    /// The limit on hours, of which so many seconds are left.
    Hours {
        left: i64,
    },
}

impl Usage {
    fn add(&mut self, item: &Item) {
        let created_at = read(item, "created_at");
        let time = created_at.and_then(|created_at| {
            let end = end(item, created_at)?;
            Some((end.as_second() - created_at.as_second()).clamp(0, LONGEST))
        });
        self.events = self.events.saturating_add(1);
        self.time = self.time.saturating_add(time.unwrap_or(LONGEST));
    }

    /// Returns the limit that one more event with this duration, in seconds, exceeds.
    pub fn excess(self, duration: i64, limits: BreakglassLimits) -> Option<Excess> {
        let left = i64::from(limits.hours) * 3600 - self.time;
        match () {
            () if self.events >= limits.events => Some(Excess::Events),
            () if duration > left => Some(Excess::Hours { left: left.max(0) }),
            () => None,
        }
    }
}

impl Excess {
    /// Returns the message of the refusal.
    pub fn message(self, user: &User, profile: &str, limits: BreakglassLimits) -> String {
        let BreakglassLimits { events, hours } = limits;
        let what = match self {
            Self::Events if events == 1 => String::from("1 break-glass event"),
            Self::Events => format!("{events} break-glass events"),
            Self::Hours { .. } if hours == 1 => String::from("1 hour of break-glass"),
            Self::Hours { .. } => format!("{hours} hours of break-glass"),
        };
        format!("the policy limits {} to {what} for {profile} in any 24 hours, and this is more", user.name)
    }
}

impl Events<'_> {
    /// Counts the events of a user for a profile in the last 24 hours, except `event`.
    ///
    /// # Errors
    ///
    /// Fails when not all of them can be counted.
    pub async fn usage(
        &self,
        user: &User,
        event: &Event,
        limits: BreakglassLimits,
        now: Timestamp,
    ) -> Result<Usage, CallError> {
        let since = later(now, -DAY);
        let query = Query {
            index: "invoker-index",
            key: ("invoker", Value::text(&user.name)),
            from: Some(("created_at", whole(since))),
            filter: vec![Test::Is("profile", Value::text(&event.profile))],
        };
        let own = Prefix::Event.key(&event.id);
        // A record without an ARN or a unique ID counts, so that nobody gains by omitting it.
        let counts = |item: &&Item| {
            text(item, "invoker_arn").is_none_or(|arn| arn == user.arn)
                && user.has_id(text(item, "invoker_id").map(UserId::new).as_ref())
                && text(item, ID).as_ref() != Some(&own)
                && read(item, "created_at").is_none_or(|at| at > since)
        };
        let mut usage = Usage::default();
        let mut start = None;
        for _ in 0..PAGES {
            let page = self.0.page(&query, None, start).await?;
            page.items.iter().filter(counts).for_each(|item| usage.add(item));
            start = page.next;
            if start.is_none() || usage.events >= limits.events {
                return Ok(usage);
            }
        }
        let message =
            format!("the break-glass events of {} fill more than {PAGES} pages and could not be counted", user.name);
        Err(CallError::new(QUERY, Class::Rejected, message))
    }
}
