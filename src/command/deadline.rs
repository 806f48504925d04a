//! `--timeout`: the time limit of a run, without the time for questions to the user.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::resource::interrupt::Interrupt;

/// The remaining time of a run, if it is limited.
#[derive(Debug, Default)]
pub(super) struct Deadline {
    left: Cell<Option<Duration>>,
    running: RefCell<Option<(Instant, AbortHandle)>>,
}

impl Deadline {
    /// Starts the clock. After this time, it raises the interrupt.
    pub(super) fn begin(&self, limit: Duration, interrupt: &Interrupt) {
        self.left.set(Some(limit));
        self.go_on(interrupt);
    }

    /// Stops the clock during a question.
    pub(super) fn pause(&self) {
        if let (Some((since, clock)), Some(left)) = (self.running.take(), self.left.get()) {
            clock.abort();
            self.left.set(Some(left.saturating_sub(since.elapsed())));
        }
    }

    /// Starts the clock again.
    pub(super) fn go_on(&self, interrupt: &Interrupt) {
        let Some(left) = self.left.get() else { return };
        let interrupt = interrupt.clone();
        let clock = tokio::spawn(async move {
            tokio::time::sleep(left).await;
            interrupt.expire();
        });
        self.running.replace(Some((Instant::now(), clock.abort_handle())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::interrupt::Cause;

    #[tokio::test(start_paused = true)]
    async fn time_for_questions_does_not_count() {
        let (deadline, interrupt) = (Deadline::default(), Interrupt::default());
        let seconds = |count| tokio::time::sleep(Duration::from_secs(count));
        deadline.begin(Duration::from_secs(10), &interrupt);
        seconds(6).await;
        deadline.pause();
        seconds(3600).await;
        assert_eq!(interrupt.cause(), None);
        deadline.go_on(&interrupt);
        seconds(3).await;
        assert_eq!(interrupt.cause(), None);
        seconds(2).await;
        assert_eq!(interrupt.cause(), Some(Cause::Deadline));
    }

    #[tokio::test(start_paused = true)]
    async fn runs_without_a_timeout_have_no_deadline() {
        let (deadline, interrupt) = (Deadline::default(), Interrupt::default());
        deadline.pause();
        deadline.go_on(&interrupt);
        tokio::time::sleep(Duration::from_secs(1_000_000)).await;
        assert_eq!(interrupt.cause(), None);
    }
}
