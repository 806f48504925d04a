//! Ends a pass early, for the user or for the time limit.

use std::time::Duration;

use tokio::sync::watch;

/// The cause of an early end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    User,
    /// The time limit of the run expired.
    Deadline,
}

/// A signal to end the pass: calls in flight finish, and no other call starts. Clones share the signal.
#[derive(Debug, Clone)]
pub struct Interrupt(watch::Sender<Option<Cause>>);

impl Default for Interrupt {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

/// How long calls in flight may continue after the time limit.
const GRACE: Duration = Duration::from_secs(10);

impl Interrupt {
    /// Raises the signal for the user.
    pub fn raise(&self) {
        self.0.send_replace(Some(Cause::User));
    }

    /// Raises the signal for the time limit, unless the user has raised it.
    pub fn expire(&self) {
        self.0.send_modify(|cause| *cause = cause.or(Some(Cause::Deadline)));
    }

    /// Returns whether the signal was raised.
    pub fn raised(&self) -> bool {
        self.cause().is_some()
    }

    /// Returns the cause, if the signal was raised.
    pub fn cause(&self) -> Option<Cause> {
        *self.0.borrow()
    }

    /// Waits for the signal.
    pub async fn wait(&self) {
        self.wait_for(|_| true).await;
    }

    /// Waits until calls in flight must be abandoned.
    pub async fn overdue(&self) {
        self.wait_for(|cause| cause == Cause::Deadline).await;
        tokio::time::sleep(GRACE).await;
    }

    async fn wait_for(&self, wanted: impl Fn(Cause) -> bool) {
        // The sender is part of `self`, so the channel is open.
        let _ = self.0.subscribe().wait_for(|cause| cause.is_some_and(&wanted)).await;
    }
}
