//! The accept loop of the HTTP servers, which limits the resources that clients can use.

mod bodies;

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, Sleep};

use bodies::{Bodies, Held, Incomplete};

/// The limits of a server for its clients.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// The maximum number of concurrent connections. More clients wait until a connection ends.
    pub(crate) connections: usize,
    /// The time without a complete request after which a connection may be closed for a waiting client.
    pub(crate) idle: Duration,
    /// The time limit for a request head, including the idle time between two requests.
    pub(crate) head: Duration,
    /// The time limit for a request body.
    pub(crate) body: Duration,
    /// The time limit for a client that does not read the response.
    pub(crate) stall: Duration,
    /// The maximum size of a request body.
    pub(crate) body_bytes: usize,
    /// The maximum memory for the bodies of all requests in progress. If it is used up, incomplete bodies make room for others.
    pub(crate) total_body_bytes: usize,
}

/// The maximum size of a request head, and the maximum number of headers.
const HEAD_BYTES: usize = 64 << 10;
const HEADERS: usize = 64;

impl Bounds {
    /// Returns limits for bodies up to this size.
    pub(crate) const fn of_bodies(body_bytes: usize) -> Self {
        let timeout = Duration::from_secs(30);
        Self {
            connections: 64,
            idle: Duration::from_secs(2),
            head: timeout,
            body: timeout,
            stall: timeout,
            body_bytes,
            total_body_bytes: body_bytes.saturating_mul(4),
        }
    }
}

/// The reason why a request body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unread {
    /// It exceeds the maximum size.
    TooLarge,
    /// It did not arrive in time.
    TooSlow,
    /// The bodies of other requests use all the memory, or the body was incomplete and made room for others.
    Full,
    /// The client disconnected, or the body is invalid.
    Broken,
}

impl Unread {
    /// Returns the status of the response.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Full => StatusCode::SERVICE_UNAVAILABLE,
            Self::Broken => StatusCode::BAD_REQUEST,
        }
    }

    /// Returns the reason for the client.
    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::TooLarge => "the request's body is larger than this server accepts",
            Self::TooSlow => "the request's body did not arrive in time",
            Self::Full => "this server is busy reading other requests; try again",
            Self::Broken => "the request's body could not be read",
        }
    }
}

/// The handshake on a connection before its requests.
pub(crate) trait Handshake: Clone + Send + Sync + 'static {
    /// The stream after the handshake.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    fn handshake(self, stream: TcpStream) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// No handshake: HTTP without TLS.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plain;

impl Handshake for Plain {
    type Stream = TcpStream;

    async fn handshake(self, stream: TcpStream) -> io::Result<TcpStream> {
        Ok(stream)
    }
}

/// The minimum interval between two checks for idle connections while a client waits.
const CHECK_INTERVAL: Duration = Duration::from_millis(20);

/// The time limit for requests in progress when the server stops.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(25);

/// Serves requests until the future is dropped, which closes the connections.
pub(crate) async fn serve<A>(
    listener: &TcpListener,
    bounds: Bounds,
    answer: impl Fn(Request<Result<Bytes, Unread>>) -> A + Clone + Send + Sync + 'static,
) where
    A: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    serve_until(std::future::pending(), (listener, Plain), bounds, answer).await;
}

/// Serves requests until `end` completes. Then it accepts no connections, and completes the requests in progress.
pub(crate) async fn serve_until<A>(
    end: impl Future<Output = ()>,
    (listener, handshake): (&TcpListener, impl Handshake),
    bounds: Bounds,
    answer: impl Fn(Request<Result<Bytes, Unread>>) -> A + Clone + Send + Sync + 'static,
) where
    A: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let mut connections = Connections::default();
    let (ending, ended) = watch::channel(());
    let mut end = pin!(end);
    let memory = Arc::new(Bodies::new(bounds.total_body_bytes));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = end.as_mut() => break,
        };
        let Ok((stream, _)) = accepted else {
            // The process has no file descriptors left, and accepting immediately would be a busy loop.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        // More clients wait in the queue of the listener.
        tokio::select! {
            () = connections.make_room(bounds) => {}
            () = end.as_mut() => break,
        }
        let activity = Arc::new(Activity::default());
        let (answer, memory, waiting) = (answer.clone(), Arc::clone(&memory), Arc::clone(&connections.waiting));
        let answering = Arc::clone(&activity);
        let service = service_fn(move |request: Request<Incoming>| {
            let (answer, memory) = (answer.clone(), Arc::clone(&memory));
            let (waiting, activity) = (Arc::clone(&waiting), Arc::clone(&answering));
            async move {
                // A client that was idle before is not the first to be disconnected.
                activity.enter(Phase::Waiting(Instant::now()));
                let (head, body) = request.into_parts();
                let read = read(body, bounds, &memory).await;
                activity.enter(Phase::Answering);
                // The memory is released when the response is ready.
                let (body, _held) = match read {
                    Ok((body, held)) => (Ok(body), Some(held)),
                    Err(unread) => (Err(unread), None),
                };
                let mut response = answer(Request::from_parts(head, body)).await;
                // For each waiting client, one connection is closed after its response, with a header that announces it.
                if waiting.swap(false, Ordering::Relaxed) {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                activity.enter(Phase::Writing);
                Ok::<_, Infallible>(response)
            }
        });
        let (handshake, mut ended) = (handshake.clone(), ended.clone());
        connections.add(Arc::clone(&activity), async move {
            let shaken = tokio::select! {
                shaken = tokio::time::timeout(bounds.head, handshake.handshake(stream)) => shaken,
                () = activity.closing.notified() => return,
            };
            let Ok(Ok(stream)) = shaken else { return };
            let stream = Watched { stream, limit: bounds.stall, stalled: None, activity: Arc::clone(&activity) };
            let mut connection = hyper::server::conn::http1::Builder::new();
            connection.timer(TokioTimer::new()).header_read_timeout(bounds.head);
            connection.max_buf_size(HEAD_BYTES).max_headers(HEADERS);
            let mut connection = pin!(connection.serve_connection(TokioIo::new(stream), service));
            let mut is_ending = false;
            loop {
                tokio::select! {
                    // `biased` handles received data first, so that no request is lost.
                    biased;
                    // A client that disconnects or exceeds a time limit is not an error of the server.
                    _ = connection.as_mut() => return,
                    () = activity.closing.notified() => {
                        if activity.waiting_since().is_some_and(|since| since.elapsed() >= bounds.idle) {
                            return;
                        }
                    }
                    _ = ended.changed(), if !is_ending => {
                        connection.as_mut().graceful_shutdown();
                        is_ending = true;
                    }
                }
            }
        });
    }
    let _ = ending.send(());
    let _ = tokio::time::timeout(SHUTDOWN_LIMIT, connections.all_end()).await;
}

/// The state of a connection.
#[derive(Debug, Clone, Copy)]
enum Phase {
    /// It waits for a request since this time, or for the rest of one.
    Waiting(Instant),
    /// A request is processed.
    Answering,
    /// The response is written.
    Writing,
}

/// The state of a connection, and the notification to close it.
#[derive(Debug)]
struct Activity {
    phase: Mutex<Phase>,
    closing: Notify,
}

impl Default for Activity {
    fn default() -> Self {
        Self { phase: Mutex::new(Phase::Waiting(Instant::now())), closing: Notify::new() }
    }
}

impl Activity {
    fn enter(&self, phase: Phase) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }

    /// Records that the response was written.
    fn flushed(&self) {
        let mut phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*phase, Phase::Writing) {
            *phase = Phase::Waiting(Instant::now());
        }
    }

    fn waiting_since(&self) -> Option<Instant> {
        match *self.phase.lock().unwrap_or_else(PoisonError::into_inner) {
            Phase::Waiting(since) => Some(since),
            Phase::Answering | Phase::Writing => None,
        }
    }
}

/// The open connections. Dropping this closes them.
#[derive(Debug, Default)]
struct Connections {
    tasks: JoinSet<()>,
    activities: HashMap<Id, Arc<Activity>>,
    /// Whether a client waits for a connection to end.
    waiting: Arc<AtomicBool>,
}

impl Connections {
    fn add(&mut self, activity: Arc<Activity>, connection: impl Future<Output = ()> + Send + 'static) {
        self.activities.insert(self.tasks.spawn(connection).id(), activity);
    }

    /// Waits until another connection is possible. This interrupts no request: either the next connection that sends a response is closed
    /// afterwards, or one without a complete request is closed: the one that waits longest.
    async fn make_room(&mut self, bounds: Bounds) {
        while let Some(ended) = self.tasks.try_join_next_with_id() {
            self.forget(&ended);
        }
        while self.tasks.len() >= bounds.connections {
            self.waiting.store(true, Ordering::Relaxed);
            let waiting = self.activities.values().filter_map(|one| Some((one.waiting_since()?, one)));
            // A connection that is busy now cannot reach the idle limit earlier.
            let mut next_check = Instant::now() + bounds.idle.max(CHECK_INTERVAL);
            if let Some((since, longest)) = waiting.min_by_key(|(since, _)| *since) {
                match since + bounds.idle {
                    due if due <= Instant::now() => longest.closing.notify_one(),
                    due => next_check = due,
                }
            }
            tokio::select! {
                ended = self.tasks.join_next_with_id() => {
                    if let Some(ended) = ended {
                        self.forget(&ended);
                    }
                }
                () = tokio::time::sleep_until(next_check) => {}
            }
        }
        self.waiting.store(false, Ordering::Relaxed);
    }

    /// Waits until all connections have ended.
    async fn all_end(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }

    fn forget(&mut self, ended: &Result<(Id, ()), tokio::task::JoinError>) {
        let id = match ended {
            Ok((id, ())) => *id,
            Err(error) => error.id(),
        };
        self.activities.remove(&id);
    }
}

/// Reads a body within the limits.
async fn read(body: Incoming, bounds: Bounds, memory: &Arc<Bodies>) -> Result<(Bytes, Held), Unread> {
    tokio::time::timeout(bounds.body, collect(body, bounds.body_bytes, memory)).await.unwrap_or(Err(Unread::TooSlow))
}

async fn collect(mut body: Incoming, limit: usize, memory: &Arc<Bodies>) -> Result<(Bytes, Held), Unread> {
    if body.size_hint().lower() > limit as u64 {
        return Err(Unread::TooLarge);
    }
    let mut read = Incomplete::new(memory);
    let mut length = 0;
    loop {
        let frame = tokio::select! {
            // `biased` reads received data first, so that a complete body is not given up.
            biased;
            frame = body.frame() => frame,
            () = read.evicted() => return Err(Unread::Full),
        };
        let Some(frame) = frame else { return read.complete() };
        let Ok(data) = frame.map_err(|_| Unread::Broken)?.into_data() else { continue };
        length += data.len();
        if length > limit {
            return Err(Unread::TooLarge);
        }
        read.push(&data)?;
    }
}

/// A connection that fails if its client stops reading, and that records when a response was written.
#[derive(Debug)]
struct Watched<S> {
    stream: S,
    limit: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
    activity: Arc<Activity>,
}

impl<S> Watched<S> {
    fn progress<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let limit = self.limit;
        ready!(self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit))).as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.progress(context, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = ready!(Pin::new(&mut self.stream).poll_flush(context));
        self.activity.flushed();
        Poll::Ready(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::Semaphore;

    use super::*;

    const SHORT: Duration = Duration::from_millis(300);

    fn bounds() -> Bounds {
        Bounds {
            connections: 4,
            idle: SHORT,
            head: SHORT,
            body: SHORT,
            stall: SHORT,
            body_bytes: 1000,
            total_body_bytes: 1500,
        }
    }

    /// Starts a server that responds with the size of the body, or with a large body at `/large`.
    async fn start(bounds: Bounds) -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            serve(&listener, bounds, |request: Request<Result<Bytes, Unread>>| async move {
                if request.uri().path() == "/large" {
                    return Response::new(Full::new(Bytes::from(vec![b'x'; 64 << 20])));
                }
                if request.uri().path() == "/slow" {
                    tokio::time::sleep(SHORT * 3).await;
                }
                match request.into_body() {
                    Ok(body) => Response::new(Full::new(Bytes::from(body.len().to_string()))),
                    Err(unread) => {
                        let mut response = Response::new(Full::new(Bytes::from(unread.message())));
                        *response.status_mut() = unread.status();
                        response
                    }
                }
            })
            .await;
        });
        address
    }

    async fn send(address: SocketAddr, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    /// Reads until the server closes the connection.
    async fn rest(stream: &mut TcpStream) -> String {
        let mut read = Vec::new();
        let all = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut read));
        let _ = all.await.expect("the server closes the connection");
        String::from_utf8_lossy(&read).into_owned()
    }

    async fn ask(address: SocketAddr, head: &str, body: &str) -> String {
        let text = format!("{head} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{body}");
        rest(&mut send(address, &text).await).await
    }

    #[tokio::test]
    async fn a_request_body_above_the_limit_is_refused() {
        let address = start(bounds()).await;
        assert!(ask(address, "POST /", "Content-Length: 3\r\n\r\nabc").await.ends_with("\r\n\r\n3"));
        let large = ask(address, "POST /", "Content-Length: 1001\r\n\r\n").await;
        assert!(large.starts_with("HTTP/1.1 413 "), "{large}");
        // A body without a declared length is counted.
        let chunk = format!("{:x}\r\n{}\r\n", 600, "x".repeat(600));
        let chunked =
            ask(address, "POST /", &format!("Transfer-Encoding: chunked\r\n\r\n{chunk}{chunk}0\r\n\r\n")).await;
        assert!(chunked.starts_with("HTTP/1.1 413 "), "{chunked}");
    }

    #[tokio::test]
    async fn an_incomplete_head_closes_the_connection() {
        let address = start(bounds()).await;
        let mut silent = send(address, "").await;
        let mut half = send(address, "POST / HTTP/1.1\r\nHost: lo").await;
        assert!(!rest(&mut silent).await.contains("200"));
        assert!(!rest(&mut half).await.contains("200"));
        // A connection that is silent after a response is closed too.
        let mut idle = send(address, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        assert!(rest(&mut idle).await.ends_with("\r\n\r\n0"));
    }

    #[tokio::test]
    async fn a_head_that_is_too_large_is_refused() {
        let address = start(bounds()).await;
        let long = ask(address, "GET /", &format!("X: {}\r\n\r\n", "x".repeat(HEAD_BYTES * 2))).await;
        assert!(!long.contains(" 200 "), "{long}");
        let many: String = (0..HEADERS * 2).map(|number| format!("X{number}: y\r\n")).collect();
        let many = ask(address, "GET /", &format!("{many}\r\n")).await;
        assert!(many.starts_with("HTTP/1.1 431 "), "{many}");
    }

    #[tokio::test]
    async fn a_body_that_takes_too_long_is_refused() {
        let address = start(bounds()).await;
        let mut slow = send(address, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900\r\n\r\n").await;
        let (mut reading, mut writing) = slow.split();
        let trickle = async {
            while writing.write_all(b"x").await.is_ok() {
                tokio::time::sleep(SHORT / 10).await;
            }
        };
        let mut answer = vec![0; 12];
        tokio::select! {
            () = trickle => panic!("the connection was closed without an answer"),
            read = reading.read_exact(&mut answer) => drop(read.unwrap()),
        }
        assert_eq!(answer, b"HTTP/1.1 408");
    }

    const INCOMPLETE: &str = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n";

    #[tokio::test]
    async fn an_incomplete_body_makes_room_for_a_complete_one() {
        let address = start(Bounds { idle: SHORT * 100, body: SHORT * 100, ..bounds() }).await;
        let mut first = send(address, &format!("{INCOMPLETE}{}", "x".repeat(999))).await;
        let mut second = send(address, &format!("{INCOMPLETE}{}", "x".repeat(999))).await;
        // The memory is not sufficient for both, so that one of them is refused at once.
        let refused = tokio::select! {
            refused = rest(&mut first) => refused,
            refused = rest(&mut second) => refused,
        };
        assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
        let good = ask(address, "POST /", &format!("Content-Length: 900\r\n\r\n{}", "x".repeat(900))).await;
        assert!(good.ends_with("\r\n\r\n900"), "{good}");
    }

    #[tokio::test]
    async fn a_client_that_reads_nothing_is_disconnected() {
        let address = start(bounds()).await;
        let mut deaf = send(address, "GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        tokio::time::sleep(SHORT * 10).await;
        assert!(rest(&mut deaf).await.len() < 64 << 20);
    }

    #[tokio::test]
    async fn clients_with_incomplete_heads_do_not_block_others() {
        let address = start(Bounds { head: SHORT * 100, ..bounds() }).await;
        let mut slow = Vec::new();
        for _ in 0..20 {
            slow.push(send(address, "GET / HT").await);
        }
        assert!(ask(address, "GET /", "\r\n").await.ends_with("\r\n\r\n0"));
        assert_eq!(rest(&mut slow[0]).await, "");
    }

    #[tokio::test]
    async fn clients_with_incomplete_bodies_do_not_block_others() {
        let address = start(Bounds { body: SHORT * 100, ..bounds() }).await;
        let mut slow = Vec::new();
        for _ in 0..20 {
            slow.push(send(address, &format!("{INCOMPLETE}x")).await);
        }
        assert!(ask(address, "POST /", "Content-Length: 3\r\n\r\nabc").await.ends_with("\r\n\r\n3"));
        assert_eq!(rest(&mut slow[0]).await, "");
    }

    /// Starts a server whose responses each wait for a permit. Returns the current and the maximum number of waiting responses.
    async fn start_gated(bounds: Bounds) -> (SocketAddr, Arc<Semaphore>, watch::Receiver<(usize, usize)>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let gate = Arc::new(Semaphore::new(0));
        let (count, counted) = watch::channel((0, 0));
        let (permits, count) = (Arc::clone(&gate), Arc::new(count));
        tokio::spawn(async move {
            serve(&listener, bounds, move |_: Request<Result<Bytes, Unread>>| {
                let (permits, count) = (Arc::clone(&permits), Arc::clone(&count));
                async move {
                    count.send_modify(|(now, most)| (*now, *most) = (*now + 1, (*most).max(*now + 1)));
                    permits.acquire().await.unwrap().forget();
                    count.send_modify(|(now, _)| *now -= 1);
                    Response::new(Full::new(Bytes::from(vec![b'x'; 4 << 20])))
                }
            })
            .await;
        });
        (address, gate, counted)
    }

    const KEPT_ALIVE: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

    /// Each client keeps its connection open after the response.
    #[tokio::test]
    async fn clients_beyond_the_connection_limit_wait_and_get_responses() {
        let (address, gate, mut counted) =
            start_gated(Bounds { idle: SHORT * 100, head: SHORT * 100, stall: SHORT * 100, ..bounds() }).await;
        let mut clients = Vec::new();
        for _ in 0..12 {
            clients.push(send(address, KEPT_ALIVE).await);
        }
        counted.wait_for(|(now, _)| *now == 4).await.unwrap();
        gate.add_permits(12);
        let answers = clients.iter_mut().map(|stream| async move {
            let mut read = vec![0; 4 << 20];
            stream.read_exact(&mut read).await.expect("the whole answer arrives");
            read.starts_with(b"HTTP/1.1 200 ")
        });
        let all = tokio::time::timeout(Duration::from_secs(20), futures_util::future::join_all(answers));
        assert_eq!(all.await.expect("nobody waits forever"), [true; 12]);
        assert_eq!(counted.borrow().1, 4, "no more are answered at once");
    }

    #[tokio::test]
    async fn a_connection_is_closed_for_others_only_when_idle() {
        let (address, gate, mut counted) = start_gated(Bounds { connections: 1, head: SHORT * 100, ..bounds() }).await;
        gate.add_permits(1);
        let mut first = send(address, KEPT_ALIVE).await;
        let mut read = vec![0; 4 << 20];
        first.read_exact(&mut read).await.unwrap();
        assert!(!String::from_utf8_lossy(&read[..200]).contains("connection: close"), "nobody waited");
        // The server closes this connection for the next client, whose response takes longer than the idle limit.
        let mut second = send(address, KEPT_ALIVE).await;
        rest(&mut first).await;
        counted.wait_for(|(now, _)| *now == 1).await.unwrap();
        let mut third = send(address, KEPT_ALIVE).await;
        tokio::time::sleep(SHORT * 3).await;
        gate.add_permits(2);
        let answer = rest(&mut second).await;
        assert!(
            answer.len() > 4 << 20 && answer.contains("connection: close"),
            "it ends after its answer, and says so"
        );
        third.read_exact(&mut read).await.unwrap();
    }
}
