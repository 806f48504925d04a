//! The memory for the bodies of all requests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use tokio::sync::oneshot;

use super::Unread;

/// The bodies of all requests in progress.
///
/// Anybody can send a body in part and then wait. If the memory is used up, incomplete bodies are therefore evicted: first the one whose
/// first bytes arrived first, because the body of a good client is complete soon.
#[derive(Debug)]
pub(super) struct Bodies {
    /// The maximum size of all bodies.
    most: usize,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    /// The size of the bodies whose requests are processed.
    complete: usize,
    /// The size of the incomplete bodies.
    incomplete: usize,
    /// The incomplete bodies in the order of their first bytes. Removing one drops the sender, which informs its reader.
    bodies: BTreeMap<u64, (BytesMut, oneshot::Sender<()>)>,
    next: u64,
}

impl Memory {
    fn remove(&mut self, id: u64) -> Option<BytesMut> {
        let (body, _) = self.bodies.remove(&id)?;
        self.incomplete -= body.len();
        Some(body)
    }
}

impl Bodies {
    pub(super) fn new(most: usize) -> Self {
        Self { most, memory: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A body of which more is to be read. Dropping this releases its memory.
#[derive(Debug)]
pub(super) struct Incomplete {
    bodies: Arc<Bodies>,
    /// Its ID once its first bytes have arrived.
    id: Option<u64>,
    /// The sender until then.
    sender: Option<oneshot::Sender<()>>,
    evicted: oneshot::Receiver<()>,
}

impl Incomplete {
    pub(super) fn new(bodies: &Arc<Bodies>) -> Self {
        let (sender, evicted) = oneshot::channel();
        Self { bodies: Arc::clone(bodies), id: None, sender: Some(sender), evicted }
    }

    /// Adds data, for which older incomplete bodies make room if necessary.
    pub(super) fn push(&mut self, data: &[u8]) -> Result<(), Unread> {
        let mut memory = self.bodies.lock();
        if let Some(sender) = self.sender.take() {
            let id = memory.next;
            memory.next += 1;
            memory.bodies.insert(id, (BytesMut::new(), sender));
            self.id = Some(id);
        }
        let id = self.id.ok_or(Unread::Full)?;
        let own = memory.bodies.get(&id).map(|(body, _)| body.len()).ok_or(Unread::Full)?;
        if memory.complete + own + data.len() > self.bodies.most {
            return Err(Unread::Full);
        }
        while memory.complete + memory.incomplete + data.len() > self.bodies.most {
            let oldest = memory.bodies.first_key_value().map(|(id, _)| *id).ok_or(Unread::Full)?;
            memory.remove(oldest);
        }
        // It is the oldest one itself if it was removed.
        let (body, _) = memory.bodies.get_mut(&id).ok_or(Unread::Full)?;
        body.extend_from_slice(data);
        memory.incomplete += data.len();
        Ok(())
    }

    /// Waits until the body is evicted.
    pub(super) async fn evicted(&mut self) {
        let _ = (&mut self.evicted).await;
    }

    /// Returns the body. Its memory is in use until [`Held`] is dropped.
    pub(super) fn complete(self) -> Result<(Bytes, Held), Unread> {
        let mut memory = self.bodies.lock();
        let body = match self.id {
            None => BytesMut::new(),
            Some(id) => memory.remove(id).ok_or(Unread::Full)?,
        };
        let size = body.len();
        memory.complete += size;
        drop(memory);
        Ok((body.freeze(), Held { bodies: Arc::clone(&self.bodies), size }))
    }
}

impl Drop for Incomplete {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.bodies.lock().remove(id);
        }
    }
}

/// The memory of a complete body.
#[derive(Debug)]
pub(super) struct Held {
    bodies: Arc<Bodies>,
    size: usize,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.bodies.lock().complete -= self.size;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(bodies: &Bodies) -> (usize, usize) {
        let memory = bodies.lock();
        (memory.complete, memory.incomplete)
    }

    fn begun(bodies: &Arc<Bodies>, size: usize) -> Incomplete {
        let mut body = Incomplete::new(bodies);
        body.push(&vec![b'x'; size]).unwrap();
        body
    }

    #[tokio::test]
    async fn the_oldest_incomplete_bodies_make_room() {
        let bodies = Arc::new(Bodies::new(100));
        let (mut first, mut second, mut third) = (begun(&bodies, 40), begun(&bodies, 30), begun(&bodies, 30));
        let small = begun(&bodies, 10);
        first.evicted().await;
        assert_eq!(sizes(&bodies), (0, 70));
        let (body, held) = small.complete().unwrap();
        assert_eq!((body.len(), sizes(&bodies)), (10, (10, 60)));
        assert_eq!(first.push(b"x"), Err(Unread::Full));
        // An older body makes no room for itself at the expense of a newer one.
        assert_eq!(second.push(&[b'x'; 40]), Err(Unread::Full));
        assert_eq!(sizes(&bodies), (10, 30));
        third.push(&[b'x'; 60]).unwrap();
        drop(held);
        assert_eq!(sizes(&bodies), (0, 90));
        assert_eq!(third.complete().unwrap().0.len(), 90);
        assert_eq!(sizes(&bodies), (0, 0));
    }

    #[test]
    fn the_total_size_of_concurrent_bodies_is_limited() {
        let bodies = Arc::new(Bodies::new(100));
        let (_, held) = begun(&bodies, 60).complete().unwrap();
        let other = begun(&bodies, 20);
        // No room can be made for this one, so the other is not evicted.
        assert_eq!(Incomplete::new(&bodies).push(&[b'x'; 50]), Err(Unread::Full));
        assert_eq!(sizes(&bodies), (60, 20));
        drop(other);
        assert_eq!(sizes(&bodies), (60, 0));
        drop(held);
        begun(&bodies, 100).complete().unwrap();
        assert!(Incomplete::new(&bodies).complete().unwrap().0.is_empty());
    }
}
