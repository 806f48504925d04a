//! Waits until AWS has made a change.

use std::time::Duration;

use tokio::time::Instant;

use super::TableApi;
use super::api::failed;
use crate::kind::Waiting;
use crate::resource::call::{CallError, Class, Operation};

/// A wait, with short pauses first because most changes take seconds.
pub(super) struct Polling {
    waiting: Waiting,
    /// The operation that checks the change.
    operation: Operation,
    started: Instant,
    pause: Duration,
    /// The consequence if the change takes too long.
    consequence: &'static str,
}

impl Polling {
    pub(super) fn new(waiting: Waiting, operation: Operation) -> Self {
        let consequence = "run again to continue;";
        Self { waiting, operation, started: Instant::now(), pause: Duration::from_millis(400), consequence }
    }

    /// Sets the consequence if the change takes too long.
    pub(super) fn or_else(self, consequence: &'static str) -> Self {
        Self { consequence, ..self }
    }

    /// Pauses before the next check, or fails after the time limit.
    pub(super) async fn pause(&mut self, api: &TableApi, what: &str) -> Result<(), CallError> {
        let left = self.waiting.limit.saturating_sub(self.started.elapsed());
        if left.is_zero() {
            let message = format!(
                "{what} after {} s; {} --wait-timeout sets how long to wait",
                self.waiting.limit.as_secs(),
                self.consequence
            );
            return Err(failed(self.operation, Class::Busy, message));
        }
        api.pacer.sleep(self.operation, self.pause.min(left)).await?;
        self.pause = self.pause.mul_f64(1.5).min(Duration::from_secs(5));
        Ok(())
    }
}
