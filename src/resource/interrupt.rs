//! What ends a pass before its end: the user, or the time it was given.

use std::time::Duration;

use tokio::sync::watch;

/// Who ended a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    User,
    /// The time that the whole run was given is up.
    Deadline,
}

/// Tells that the pass is to end: calls under way are finished, no other is made. Clones tell the same.
#[derive(Debug, Clone)]
pub struct Interrupt(watch::Sender<Option<Cause>>);

impl Default for Interrupt {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

/// How long a call under way is waited for when the time is up; every run ends.
const GRACE: Duration = Duration::from_secs(10);

impl Interrupt {
    /// Raises it for the user.
    pub fn raise(&self) {
        self.0.send_replace(Some(Cause::User));
    }

    /// Raises it because the time is up; a user who has raised it already comes first.
    pub fn expire(&self) {
        self.0.send_modify(|cause| *cause = cause.or(Some(Cause::Deadline)));
    }

    /// Returns whether it has been raised.
    pub fn raised(&self) -> bool {
        self.cause().is_some()
    }

    /// Returns for what it has been raised.
    pub fn cause(&self) -> Option<Cause> {
        *self.0.borrow()
    }

    /// Waits until it is raised.
    pub async fn wait(&self) {
        self.wait_for(|_| true).await;
    }

    /// Waits until a call under way is no longer to be waited for.
    pub async fn overdue(&self) {
        self.wait_for(|cause| cause == Cause::Deadline).await;
        tokio::time::sleep(GRACE).await;
    }

    async fn wait_for(&self, wanted: impl Fn(Cause) -> bool) {
        // The sender lives in `self`, so the channel cannot have closed.
        let _ = self.0.subscribe().wait_for(|cause| cause.is_some_and(&wanted)).await;
    }
}
