//! What is being done, as it is done: a live line per resource on a terminal, a line per event elsewhere.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Terminal, escape, text};
use crate::reconcile::{Outcome, Progress, ResourcePlan};
use crate::resource::{Address, Step};

/// Progress on stderr. Clones show the same.
#[derive(Debug, Clone)]
pub struct LiveProgress {
    terminal: Terminal,
    bars: MultiProgress,
    working: Arc<Mutex<HashMap<Key, Working>>>,
    /// The target whose resources these are, where there are several.
    target: Option<String>,
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
        Self { terminal, bars: MultiProgress::with_draw_target(target), working: Arc::default(), target: None }
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

    fn line(&self, words: &str) {
        if !self.terminal.quiet && !self.terminal.live() {
            self.terminal.note(&format!("{words}\n"));
        }
    }

    fn with_working<R>(&self, work: impl FnOnce(&mut HashMap<Key, Working>) -> R) -> R {
        work(&mut self.working.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

impl Progress for LiveProgress {
    fn step(&self, resource: &ResourcePlan, step: &Step) {
        let words = format!("{}: {}", self.title(resource), escape(&step.describe()));
        self.line(&words);
        self.with_working(|working| {
            let bar = &working.entry(self.key(resource)).or_insert_with(|| self.start()).bar;
            bar.set_message(words);
        });
    }

    fn done(&self, resource: &ResourcePlan, outcome: &Outcome) {
        let words = match outcome {
            Outcome::Applied => String::from("done"),
            Outcome::Unchanged | Outcome::LeftAlone | Outcome::Refused => String::from("left alone"),
            Outcome::Failed { why, .. } => format!("failed {why}"),
            Outcome::Skipped { why } => format!("skipped, {why}"),
            Outcome::Deferred { why } => format!("deferred, {why}"),
            Outcome::Conflicted { why } => format!("conflict, {why}"),
            Outcome::Interrupted => String::from("interrupted"),
            Outcome::OutOfTime => String::from("not done in time"),
        };
        let since = self.with_working(|working| {
            working.remove(&self.key(resource)).map(|working| {
                working.bar.finish_and_clear();
                self.bars.remove(&working.bar);
                working.since
            })
        });
        let elapsed = since.map(|since| since.elapsed()).unwrap_or_default();
        self.line(&format!("{}: {} ({:.1} s)", self.title(resource), escape(&words), elapsed.as_secs_f64()));
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
