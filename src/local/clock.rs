use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// A clock that starts at the machine's time and advances with tokio's clock, which tests can pause and control.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    start: Duration,
    since: Instant,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everything else here is given")]
    pub(super) fn start() -> Self {
        let start = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { start, since: Instant::now() }
    }

    /// Returns the milliseconds since 1970.
    pub(super) fn now(self) -> i64 {
        millis(self.start + self.since.elapsed())
    }
}

/// Returns a duration in milliseconds.
pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
