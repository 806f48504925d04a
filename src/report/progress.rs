//! Progress: a live line for each resource on a terminal, otherwise a line for each event.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Terminal, escape, text};
use crate::kind::{Address, Step};
use crate::reconcile::{Outcome, Progress, ResourcePlan};

/// The progress display on stderr. Clones share it.
#[derive(Debug, Clone)]
pub struct LiveProgress {
    terminal: Terminal,
    bars: MultiProgress,
    state: Arc<Mutex<State>>,
    /// The target of these resources, if there are several targets.
    target: Option<String>,
}

#[derive(Debug, Default)]
struct State {
    working: HashMap<Key, Working>,
    done: usize,
    /// The first line, with the count, if there can be more resources than lines on the terminal.
    count: Option<ProgressBar>,
}

/// The number of resources from which the display counts them.
const COUNT_FROM: usize = 10;

impl State {
    /// Shows the count if there are many resources.
    fn update_count(&mut self, bars: &MultiProgress) {
        let under_way = self.working.len();
        if self.count.is_none() && under_way > COUNT_FROM {
            let bar = bars.insert(0, ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template("  {msg}") {
                bar.set_style(style);
            }
            self.count = Some(bar);
        }
        match &self.count {
            Some(bar) if under_way > 0 => bar.set_message(format!("{under_way} in progress, {} done", self.done)),
            Some(bar) => {
                bar.finish_and_clear();
                bars.remove(bar);
                self.count = None;
            }
            None => {}
        }
    }
}

/// A resource of a target.
type Key = (Option<String>, Address);

#[derive(Debug)]
struct Working {
    bar: ProgressBar,
    since: Instant,
}

impl LiveProgress {
    pub(super) fn new(terminal: Terminal) -> Self {
        let target = if terminal.live() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self { terminal, bars: MultiProgress::with_draw_target(target), state: Arc::default(), target: None }
    }

    /// Returns the same for one target's resources.
    #[must_use]
    pub fn of_target(&self, name: Option<&str>) -> Self {
        Self { target: name.map(str::to_owned), ..self.clone() }
    }

    fn key(&self, resource: &ResourcePlan) -> Key {
        (self.target.clone(), resource.address.clone())
    }

    fn title(&self, resource: &ResourcePlan) -> String {
        match &self.target {
            Some(target) => format!("{}: {}", escape(target), text::title(resource)),
            None => text::title(resource),
        }
    }

    /// Writes a note above the live lines.
    pub fn note(&self, text: &str) {
        self.bars.suspend(|| self.terminal.note(text));
    }

    fn line(&self, text: &str) {
        if !self.terminal.quiet && !self.terminal.live() {
            self.terminal.note(&format!("{text}\n"));
        }
    }

    fn with_state<R>(&self, work: impl FnOnce(&mut State) -> R) -> R {
        work(&mut self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

impl Progress for LiveProgress {
    fn step(&self, resource: &ResourcePlan, step: &Step) {
        let text = format!("{}: {}", self.title(resource), escape(&step.describe()));
        self.line(&text);
        self.with_state(|state| {
            let bar = &state.working.entry(self.key(resource)).or_insert_with(|| self.start()).bar;
            bar.set_message(text);
            state.update_count(&self.bars);
        });
    }

    fn done(&self, resource: &ResourcePlan, outcome: &Outcome) {
        let text = match outcome {
            Outcome::Applied => String::from("done"),
            Outcome::Unchanged | Outcome::NotChanged | Outcome::Refused => String::from("not changed"),
            Outcome::Failed { why, .. } => format!("failed {why}"),
            Outcome::Skipped { why } => format!("skipped, {why}"),
            Outcome::Deferred { why } => format!("deferred, {why}"),
            Outcome::Conflicted { why } => format!("conflict, {why}"),
            Outcome::Interrupted => String::from("interrupted"),
            Outcome::OutOfTime => String::from("not done in time"),
        };
        let since = self.with_state(|state| {
            let working = state.working.remove(&self.key(resource));
            if let Some(working) = &working {
                working.bar.finish_and_clear();
                self.bars.remove(&working.bar);
            }
            state.done += 1;
            state.update_count(&self.bars);
            working.map(|working| working.since)
        });
        let elapsed = since.map(|since| since.elapsed()).unwrap_or_default();
        self.line(&format!("{}: {} ({:.1} s)", self.title(resource), escape(&text), elapsed.as_secs_f64()));
    }
}

impl LiveProgress {
    fn start(&self) -> Working {
        let bar = self.bars.add(ProgressBar::new_spinner());
        if let Ok(style) = ProgressStyle::with_template("  {spinner} {msg} {elapsed:.dim}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        #[expect(clippy::disallowed_methods, reason = "elapsed time for people's eyes; nothing depends on it")]
        let since = Instant::now();
        Working { bar, since }
    }
}
