//! The log of a server, which a thread writes: a write blocks while nobody reads a pipe, or while a file system does not respond.

use std::io::{Error, ErrorKind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::{Log, Unwritten};

/// The maximum number of lines that wait. A request has one or two.
const LINES: usize = 1024;
/// The time limit for writing the lines of a request. Writing one takes less than a millisecond if the destination responds.
const LIMIT: Duration = Duration::from_secs(5);

/// The lines that a thread writes in their order.
#[derive(Debug)]
pub struct LogQueue(Arc<Queue>);

#[derive(Debug)]
struct Queue {
    destination: PathBuf,
    entry: Mutex<Entry>,
    /// The number of lines that were written or failed.
    processed: Arc<AtomicU64>,
    /// The number of the last line that was not written within the time limit of its request.
    overdue: AtomicU64,
}

/// The entry of the queue.
#[derive(Debug)]
struct Entry {
    lines: SyncSender<Line>,
    /// The number of lines so far.
    count: u64,
}

#[derive(Debug)]
struct Line {
    text: String,
    written: oneshot::Sender<Result<(), Unwritten>>,
}

impl LogQueue {
    /// Starts the thread, which ends with the queue.
    ///
    /// # Errors
    ///
    /// Fails if no thread can be started.
    pub fn start(log: Log) -> Result<Self, Error> {
        let destinations = log.destinations;
        Self::of(destinations.name(), move |line| destinations.write(line))
    }

    fn of(
        destination: PathBuf,
        mut write: impl FnMut(&str) -> Result<(), Unwritten> + Send + 'static,
    ) -> Result<Self, Error> {
        let (sender, receiver) = sync_channel::<Line>(LINES);
        let processed = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&processed);
        std::thread::Builder::new().name(String::from("log")).spawn(move || {
            for line in receiver {
                let result = write(&line.text);
                counter.fetch_add(1, Ordering::SeqCst);
                // The request may have ended.
                let _ = line.written.send(result);
            }
        })?;
        let entry = Mutex::new(Entry { lines: sender, count: 0 });
        Ok(Self(Arc::new(Queue { destination, entry, processed, overdue: AtomicU64::new(0) })))
    }

    /// Returns a log for one request, which waits for its own lines only.
    pub fn log(&self) -> Log {
        Log { queue: Some(Lines { queue: Arc::clone(&self.0), state: Mutex::default() }), ..Log::default() }
    }
}

impl Queue {
    fn unwritten(&self, kind: ErrorKind, why: &str) -> Unwritten {
        (self.destination.clone(), Error::new(kind, why.to_owned()))
    }

    /// Returns whether such a line is still not written.
    fn is_stalled(&self) -> bool {
        self.processed.load(Ordering::SeqCst) < self.overdue.load(Ordering::SeqCst)
    }

    /// Adds a line, and returns its number.
    fn add(&self, text: String) -> Result<(u64, Written), Unwritten> {
        // Waiting for the same destination again would only delay the refusal.
        if self.is_stalled() {
            return Err(self.unwritten(ErrorKind::TimedOut, "an earlier line is still not written"));
        }
        let (written, receiver) = oneshot::channel();
        let mut entry = lock(&self.entry);
        entry.lines.try_send(Line { text, written }).map_err(|_| {
            let why = format!("{LINES} lines wait already, or the thread that writes them has ended");
            self.unwritten(ErrorKind::WouldBlock, &why)
        })?;
        entry.count += 1;
        Ok((entry.count, receiver))
    }
}

type Written = oneshot::Receiver<Result<(), Unwritten>>;

/// The lines of one request.
#[derive(Debug)]
pub(super) struct Lines {
    queue: Arc<Queue>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The lines that are not known to be written.
    pending: Vec<(u64, Written)>,
    /// Whether a line was not written.
    failed: bool,
}

impl Lines {
    /// Records that a line cannot be written.
    pub(super) fn failed(&self, error: Error) -> Unwritten {
        lock(&self.state).failed = true;
        (self.queue.destination.clone(), error)
    }

    pub(super) fn add(&self, line: String) -> Result<(), Unwritten> {
        let added = self.queue.add(line).map_err(|(_, error)| self.failed(error))?;
        lock(&self.state).pending.push(added);
        Ok(())
    }

    /// Waits until all lines are written. After a failure, it always fails.
    pub(super) async fn written(&self) -> Result<(), Unwritten> {
        let pending = {
            let mut state = lock(&self.state);
            if state.failed {
                return Err(self.queue.unwritten(ErrorKind::Other, "a line of this request was not written"));
            }
            // Until all are written, also if this future is dropped.
            state.failed = !state.pending.is_empty();
            std::mem::take(&mut state.pending)
        };
        let Some(last) = pending.last().map(|(number, _)| *number) else { return Ok(()) };
        let all = async {
            for (_, written) in pending {
                let ended = |_| self.queue.unwritten(ErrorKind::Other, "the thread that writes it has ended");
                written.await.map_err(ended)??;
            }
            Ok(())
        };
        let Ok(result) = tokio::time::timeout(LIMIT, all).await else {
            self.queue.overdue.fetch_max(last, Ordering::SeqCst);
            let why = format!("a line is not written after {} seconds", LIMIT.as_secs());
            return Err(self.queue.unwritten(ErrorKind::TimedOut, &why));
        };
        result?;
        lock(&self.state).failed = false;
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use super::*;

    /// Returns a queue whose destination takes a line for each result that is sent to it, and the lines.
    fn queue() -> (LogQueue, std::sync::mpsc::Sender<Result<(), Unwritten>>, Receiver<String>) {
        let ((results, next), (sender, lines)) = (channel(), channel());
        let write = move |line: &str| {
            let result = next.recv().unwrap_or(Ok(()));
            let _ = sender.send(line.to_owned());
            result
        };
        (LogQueue::of(PathBuf::from("pipe"), write).unwrap(), results, lines)
    }

    #[tokio::test]
    async fn lines_are_written_in_order_and_each_request_waits_for_its_own() {
        let (queue, results, lines) = queue();
        let (first, second, third) = (queue.log(), queue.log(), queue.log());
        for (log, line) in [(&first, 1), (&second, 2), (&first, 3), (&third, 4)] {
            log.append(&[line]).unwrap();
        }
        let full = Error::from(ErrorKind::StorageFull);
        for result in [Ok(()), Err((PathBuf::from("disk"), full)), Ok(()), Ok(())] {
            results.send(result).unwrap();
        }
        first.written().await.unwrap();
        assert_eq!(second.written().await.unwrap_err().0, PathBuf::from("disk"));
        assert!(second.written().await.is_err(), "a failure is not forgotten");
        third.written().await.unwrap();
        assert_eq!(lines.iter().take(4).collect::<Vec<_>>(), ["[1]\n", "[2]\n", "[3]\n", "[4]\n"]);
        queue.log().written().await.unwrap();
    }

    /// Time passes here as soon as all tasks wait.
    #[tokio::test(start_paused = true)]
    async fn a_line_that_is_not_written_in_time_is_an_error() {
        let (queue, results, lines) = queue();
        let (first, second) = (queue.log(), queue.log());
        first.append(&[1]).unwrap();
        second.append(&[2]).unwrap();
        assert_eq!(first.written().await.unwrap_err().1.kind(), ErrorKind::TimedOut);
        assert!(first.written().await.is_err());
        // Other requests fail at once while the destination does not respond.
        let third = queue.log();
        assert_eq!(third.append(&[3]).unwrap_err().1.kind(), ErrorKind::TimedOut);
        assert!(third.written().await.is_err());
        results.send(Ok(())).unwrap();
        results.send(Ok(())).unwrap();
        assert_eq!(lines.recv().unwrap(), "[1]\n");
        assert_eq!(lines.recv().unwrap(), "[2]\n");
        while queue.0.processed.load(Ordering::SeqCst) < 2 {
            std::thread::yield_now();
        }
        queue.log().append(&[4]).unwrap();
    }

    #[tokio::test]
    async fn the_number_of_waiting_lines_is_limited() {
        let (queue, results, _lines) = queue();
        let log = queue.log();
        let added = (0..LINES + 2).take_while(|line| log.append(&[line]).is_ok()).count();
        // The thread may have taken one.
        assert!((LINES..=LINES + 1).contains(&added), "{added}");
        assert!(log.written().await.is_err());
        drop(results);
    }

    #[tokio::test]
    async fn the_end_of_the_thread_is_an_error() {
        let queue = LogQueue::of(PathBuf::from("pipe"), |_| panic!("for a test")).unwrap();
        let log = queue.log();
        log.append(&[1]).unwrap();
        assert!(log.written().await.is_err());
    }
}
