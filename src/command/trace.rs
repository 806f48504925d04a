//! `--trace-file`: a timeline of the run in the Trace Event Format, which Perfetto and chrome://tracing open.
//!
//! All tasks run on one thread, and a viewer draws overlapping spans on separate lanes. Each span therefore gets a lane: that of
//! its parent if no sibling uses it, otherwise a free one. Events are written when spans close, and the end of the array may be
//! missing, as the format allows: the file is valid even if the run is killed or replaces itself by a command.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::error::Error;
use crate::files;

/// Writes spans to a file.
#[derive(Debug)]
pub(super) struct TraceFile {
    started: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: File,
    /// The used lanes.
    lanes: BTreeSet<usize>,
}

/// The data of a span until it closes.
#[derive(Debug)]
struct Running {
    since: f64,
    lane: usize,
    /// Whether it has a lane of its own.
    own: bool,
    /// Whether one of its children uses its lane.
    shared: bool,
    fields: Fields,
}

#[derive(Debug, Default)]
struct Fields(Map<String, Value>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl TraceFile {
    /// Begins a file. It may replace an older trace only.
    pub(super) fn create(path: &Path) -> Result<Self, Error> {
        super::output::check(path)?;
        let head =
            format!("[\n{}\n", json!({ "ph": "M", "pid": 1, "name": "process_name", "args": { "name": "sentinel" } }));
        if path.is_file() && !is_empty_or_begins(path, &head).map_err(|error| Error::io(path, error))? {
            return Err(Error::file(path, "this file is not a trace, and was not changed"));
        }
        let file =
            files::create(path, files::SHARED).and_then(|mut file| file.write_all(head.as_bytes()).map(|()| file));
        let file = file.map_err(|error| Error::io(path, error))?;
        #[expect(clippy::disallowed_methods, reason = "a time line is about time; nothing else depends on it")]
        let started = Instant::now();
        Ok(Self { started, state: Mutex::new(State { file, lanes: BTreeSet::new() }) })
    }

    /// Returns the microseconds since the start.
    fn now(&self) -> f64 {
        self.started.elapsed().as_secs_f64() * 1e6
    }

    fn with_state<R>(&self, work: impl FnOnce(&mut State) -> R) -> R {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn is_empty_or_begins(path: &Path, head: &str) -> std::io::Result<bool> {
    let found = files::read_beginning(path, head.len() as u64)?;
    Ok(found.is_empty() || found == head.as_bytes())
}

impl State {
    fn take_lane(&mut self) -> usize {
        let free = (1..=self.lanes.len()).find(|lane| !self.lanes.contains(lane)).unwrap_or(self.lanes.len() + 1);
        self.lanes.insert(free);
        free
    }

    fn write(&mut self, event: &Value) {
        // The run continues without the trace if the disk is full.
        let _ = writeln!(self.file, ",{event}");
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for TraceFile {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let inherited = span.parent().and_then(|parent| {
            let mut extensions = parent.extensions_mut();
            let parent = extensions.get_mut::<Running>()?;
            (!std::mem::replace(&mut parent.shared, true)).then_some(parent.lane)
        });
        let own = inherited.is_none();
        let lane = inherited.unwrap_or_else(|| self.with_state(State::take_lane));
        span.extensions_mut().insert(Running { since: self.now(), lane, own, shared: false, fields });
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        // The result of a request is recorded on its span.
        let Some(span) = context.event_span(event) else { return };
        if let Some(running) = span.extensions_mut().get_mut::<Running>() {
            event.record(&mut running.fields);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let Some(Running { since, lane, own, fields, .. }) = span.extensions_mut().remove::<Running>() else { return };
        if !own
            && let Some(parent) = span.parent()
            && let Some(parent) = parent.extensions_mut().get_mut::<Running>()
        {
            parent.shared = false;
        }
        // The name of a span: the action of a call, the address of a resource, or the name of a target.
        let title =
            ["action", "address", "name"].iter().find_map(|key| fields.0.get(*key)?.as_str().map(str::to_owned));
        let event = json!({
            "ph": "X", "pid": 1, "tid": lane, "ts": since, "dur": self.now() - since,
            "name": title.unwrap_or_else(|| span.name().to_owned()), "cat": span.name(), "args": fields.0,
        });
        self.with_state(|state| {
            if own {
                state.lanes.remove(&lane);
            }
            state.write(&event);
        });
    }
}
