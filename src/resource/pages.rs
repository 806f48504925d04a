//! Limits for paginated responses: a server that always returns another page ends the listing with an error instead of exhausting memory.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::call::{CallError, Class, Operation};

/// The size limit of all pages of one listing: ten times the size of 10,000 large policies.
const BYTES: usize = 64 << 20;
/// The time limit for the responses of one listing, without waits for quotas.
const TIME: Duration = Duration::from_secs(45);

/// The pages of a listing.
#[derive(Debug)]
pub struct Pages {
    operation: Operation,
    most: usize,
    read: usize,
    bytes: usize,
    /// Hashes of the tokens of the pages so far.
    tokens: HashSet<u64>,
    milliseconds: AtomicU64,
}

impl Pages {
    /// Starts a listing with a maximum number of pages.
    pub fn new(operation: Operation, most: usize) -> Self {
        Self { operation, most, read: 0, bytes: 0, tokens: HashSet::new(), milliseconds: AtomicU64::new(0) }
    }

    /// Counts the time until a response.
    pub async fn timed<T>(&self, answer: impl Future<Output = T>) -> T {
        let sent = Instant::now();
        let answer = answer.await;
        let took = u64::try_from(sent.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.milliseconds.fetch_add(took, Ordering::Relaxed);
        answer
    }

    /// Counts a page with this many bytes, and returns whether another page, with this token, may be read.
    ///
    /// # Errors
    ///
    /// Fails if the listing exceeds a limit, or returns to a page that was read.
    pub fn next(&mut self, bytes: usize, token: Option<&impl Hash>) -> Result<bool, CallError> {
        self.read += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > BYTES {
            return Err(self.endless(&format!("more than {BYTES} bytes")));
        }
        let Some(token) = token else { return Ok(false) };
        let mut hasher = DefaultHasher::new();
        token.hash(&mut hasher);
        if !self.tokens.insert(hasher.finish()) {
            return Err(self.endless("a page that leads back to an earlier one"));
        }
        if self.read >= self.most {
            return Err(self.endless(&format!("more than {} pages", self.most)));
        }
        self.check_time().map(|()| true)
    }

    /// Fails if the responses have taken too long, for items that are read one by one.
    pub fn check_time(&self) -> Result<(), CallError> {
        let took = Duration::from_millis(self.milliseconds.load(Ordering::Relaxed));
        if took <= TIME {
            return Ok(());
        }
        Err(self.endless(&format!("{} pages in {} s and no end", self.read, took.as_secs())))
    }

    fn endless(&self, what: &str) -> CallError {
        let message = format!("the answer has {what}, which is more than Sentinel reads");
        CallError::new(self.operation, Class::Rejected, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::call::LIST_TABLES;

    #[test]
    fn a_listing_ends_with_its_last_page() {
        let mut pages = Pages::new(LIST_TABLES, 3);
        assert!(pages.next(0, Some(&"a")).unwrap());
        assert!(pages.next(0, Some(&"b")).unwrap());
        assert!(!pages.next(0, None::<&String>).unwrap());
    }

    #[test]
    fn an_endless_listing_is_an_error() {
        let mut pages = Pages::new(LIST_TABLES, 3);
        assert!(pages.next(0, Some(&"a")).unwrap());
        let error = pages.next(0, Some(&"a")).unwrap_err();
        assert!(error.message.contains("leads back to an earlier one"), "{error}");
        let mut pages = Pages::new(LIST_TABLES, 2);
        assert!(pages.next(0, Some(&"a")).unwrap());
        assert!(pages.next(0, Some(&"b")).unwrap_err().message.contains("more than 2 pages"));
        let mut pages = Pages::new(LIST_TABLES, 2);
        assert!(pages.next(BYTES + 1, None::<&String>).unwrap_err().message.contains("bytes"));
    }

    #[tokio::test(start_paused = true)]
    async fn slow_pages_are_an_error_too() {
        let mut pages = Pages::new(LIST_TABLES, 1000);
        for page in 0..4 {
            pages.timed(tokio::time::sleep(Duration::from_secs(11))).await;
            assert!(pages.next(0, Some(&page)).unwrap());
        }
        pages.timed(tokio::time::sleep(Duration::from_secs(11))).await;
        assert!(pages.next(0, Some(&4)).unwrap_err().message.contains("5 pages in 55 s and no end"));
    }
}
