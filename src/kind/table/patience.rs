//! Waits until AWS has made a change.

use std::time::Duration;

use tokio::time::Instant;

use super::TableApi;
use super::api::failed;
use crate::kind::Waiting;
use crate::resource::call::{CallError, Class, Operation};

/// A wait, with short pauses first because most changes take seconds.
pub(super) struct Patience {
    waiting: Waiting,
    /// The operation that checks the change.
    asked: Operation,
    started: Instant,
    pause: Duration,
    /// The consequence if the change takes too long.
    outlook: &'static str,
}

impl Patience {
    pub(super) fn new(waiting: Waiting, asked: Operation) -> Self {
        let outlook = "run again to continue;";
        Self { waiting, asked, started: Instant::now(), pause: Duration::from_millis(400), outlook }
    }

    /// Sets the consequence if the change takes too long.
    pub(super) fn or_else(self, outlook: &'static str) -> Self {
        Self { outlook, ..self }
    }

    /// Pauses before the next check, or fails after the time limit.
    pub(super) async fn pause(&mut self, api: &TableApi, what: &str) -> Result<(), CallError> {
        let left = self.waiting.limit.saturating_sub(self.started.elapsed());
        if left.is_zero() {
            let message = format!(
                "{what} after {} s; {} --wait-timeout sets how long to wait",
                self.waiting.limit.as_secs(),
                self.outlook
            );
            return Err(failed(self.asked, Class::Busy, message));
        }
        api.pacer.sleep(self.asked, self.pause.min(left)).await?;
        self.pause = self.pause.mul_f64(1.5).min(Duration::from_secs(5));
        Ok(())
    }
}
