//! A stub of GitHub's API.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::BOT;

/// The state of the stub, and the received requests.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) comments: Vec<Value>,
    pub(super) issues: Vec<Value>,
    pub(super) requests: Vec<String>,
    /// The number of reads that fail next.
    pub(super) failures: usize,
    /// A foreign address for the next page of a list.
    pub(super) next: Option<String>,
    /// The response to every read, instead of the stored state.
    pub(super) refusal: Option<String>,
}

/// A stub of GitHub's API.
pub(super) struct Github {
    pub(super) url: String,
    state: Arc<Mutex<State>>,
}

impl Github {
    pub(super) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state: Arc<Mutex<State>> = Arc::default();
        let (own, address) = (Arc::clone(&state), url.clone());
        std::thread::spawn(move || listener.incoming().for_each(|stream| answer(stream.unwrap(), &own, &address)));
        Self { url, state }
    }

    pub(super) fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(super) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.state().requests)
    }
}

/// Answers one request.
fn answer(mut stream: TcpStream, state: &Mutex<State>, root: &str) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = String::new();
    let mut headers = BTreeMap::new();
    reader.read_line(&mut head).unwrap();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim().split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut words = head.split(' ');
    let (method, path) = (words.next().unwrap(), words.next().unwrap().to_owned());
    let mut state = state.lock().unwrap();
    state.requests.push(format!("{method} {path}"));
    let (status, link, answer) = match headers.get("authorization").map(String::as_str) {
        Some("Bearer secret") => act(&mut state, method, &path, &body, root),
        _ => (401, String::new(), json!({ "message": "Bad credentials" })),
    };
    // A string is sent as it is, and any other value as JSON.
    let text = answer.as_str().map_or_else(|| answer.to_string(), str::to_owned);
    let link = if link.is_empty() { link } else { format!("Link: {link}\r\n") };
    write!(stream, "HTTP/1.1 {status} x\r\nContent-Length: {}\r\n{link}Connection: close\r\n\r\n{text}", text.len())
        .unwrap();
}

fn act(state: &mut State, method: &str, path: &str, body: &Value, root: &str) -> (u16, String, Value) {
    let (place, query) = path.split_once('?').unwrap_or((path, ""));
    let query: BTreeMap<&str, &str> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
    let parts: Vec<&str> = place.trim_start_matches("/repos/acme/aws").split('/').skip(1).collect();
    if method == "GET" && state.failures > 0 {
        state.failures -= 1;
        return (502, String::new(), json!({ "message": "Bad gateway" }));
    }
    if let Some(refusal) = state.refusal.clone().filter(|_| method == "GET") {
        return (422, String::new(), Value::String(refusal));
    }
    let number = |state: &State| state.comments.len() + state.issues.len() + 1;
    let with = |mut thing: Value, number: usize, what: &str| {
        thing["id"] = json!(number);
        thing["number"] = json!(number);
        thing["user"] = json!({ "login": BOT });
        thing["state"] = json!("open");
        thing["html_url"] = json!(format!("https://github.example/{what}/{number}"));
        thing
    };
    match (method, parts.as_slice()) {
        // A page has two items, so that the second page is needed.
        ("GET", ["issues", _, "comments"]) => {
            let page: usize = query.get("page").map_or(1, |page| page.parse().unwrap());
            let shown: Vec<&Value> = state.comments.iter().skip((page - 1) * 2).take(2).collect();
            let extra = state.comments.len() > page * 2;
            let link = if extra { format!("<{root}{place}?page={}>; rel=\"next\"", page + 1) } else { String::new() };
            let link =
                state.next.clone().map_or(link, |next| format!("<{}>; rel=\"next\"", next.replace("ROOT", root)));
            (200, link, json!(shown))
        }
        ("POST", ["issues", _, "comments"]) => {
            let made = with(body.clone(), number(state), "comment");
            state.comments.push(made.clone());
            (201, String::new(), made)
        }
        ("PATCH", ["issues", "comments", id]) => {
            let found = state.comments.iter_mut().find(|one| one["id"].as_u64() == id.parse().ok()).unwrap();
            found["body"] = body["body"].clone();
            (200, String::new(), found.clone())
        }
        ("GET", ["issues"]) => {
            let open: Vec<&Value> = state.issues.iter().filter(|one| one["state"] == "open").collect();
            (200, String::new(), json!(open))
        }
        ("POST", ["issues"]) => {
            let made = with(body.clone(), number(state), "issue");
            state.issues.push(made.clone());
            (201, String::new(), made)
        }
        ("PATCH", ["issues", number]) => {
            let found = state.issues.iter_mut().find(|one| one["number"].as_u64() == number.parse().ok()).unwrap();
            found.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
            (200, String::new(), found.clone())
        }
        other => panic!("{other:?}"),
    }
}
