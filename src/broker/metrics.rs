//! Metrics, in the text format of Prometheus ("Exposition formats", version 0.0.4).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The upper bounds of the buckets of the histogram, in milliseconds.
const BOUNDS: [u64; 11] = [1, 2, 5, 10, 20, 50, 100, 250, 1000, 5000, 30_000];

/// The durations of one operation.
#[derive(Debug, Default, Clone)]
struct Times {
    /// The number of operations by bucket. The last bucket has no upper bound.
    counts: [u64; BOUNDS.len() + 1],
    total: Duration,
}

/// The metrics of a broker. The labels are constants of the program, so their number is limited.
#[derive(Debug, Default)]
pub struct Metrics {
    answers: Mutex<BTreeMap<(&'static str, &'static str), u64>>,
    times: Mutex<BTreeMap<&'static str, Times>>,
    in_flight: AtomicI64,
    reloads: AtomicU64,
    failed_reloads: AtomicU64,
}

/// A request in progress. Dropping it ends the count.
#[derive(Debug)]
pub struct UnderWay<'a>(&'a Metrics);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Metrics {
    /// Counts a request in progress.
    pub fn begin(&self) -> UnderWay<'_> {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        UnderWay(self)
    }

    /// Counts an answer. `outcome` is the name of a problem, `done` or `refused`.
    pub fn answered(&self, operation: &'static str, outcome: &'static str, took: Duration) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        *answers.entry((operation, outcome)).or_default() += 1;
        drop(answers);
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let times = times.entry(operation).or_default();
        let bucket = BOUNDS.iter().position(|bound| took <= Duration::from_millis(*bound)).unwrap_or(BOUNDS.len());
        times.counts[bucket] += 1;
        times.total += took;
    }

    /// Counts a successful reload of the TLS files.
    pub fn reloaded(&self) {
        self.reloads.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a reload of the TLS files that failed.
    pub fn not_reloaded(&self) {
        self.failed_reloads.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns all metrics.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let head = |text: &mut String, name: &str, kind: &str, help: &str| {
            // Writing to a String cannot fail.
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        };
        head(&mut text, "sentinel_broker_answers_total", "counter", "Answers by operation and outcome.");
        for ((operation, outcome), count) in self.answers.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let labels = format!("{{operation=\"{operation}\",outcome=\"{outcome}\"}}");
            let _ = writeln!(text, "sentinel_broker_answers_total{labels} {count}");
        }
        let name = "sentinel_broker_answer_seconds";
        head(&mut text, name, "histogram", "The time until an answer.");
        for (operation, times) in self.times.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let mut sum = 0;
            for (bound, count) in BOUNDS.iter().zip(times.counts) {
                sum += count;
                let bound = Duration::from_millis(*bound).as_secs_f64();
                let _ = writeln!(text, "{name}_bucket{{operation=\"{operation}\",le=\"{bound}\"}} {sum}");
            }
            let all: u64 = times.counts.iter().sum();
            let _ = writeln!(text, "{name}_bucket{{operation=\"{operation}\",le=\"+Inf\"}} {all}");
            let _ = writeln!(text, "{name}_sum{{operation=\"{operation}\"}} {}", times.total.as_secs_f64());
            let _ = writeln!(text, "{name}_count{{operation=\"{operation}\"}} {all}");
        }
        head(&mut text, "sentinel_broker_in_flight", "gauge", "Requests that are being answered.");
        let _ = writeln!(text, "sentinel_broker_in_flight {}", self.in_flight.load(Ordering::Relaxed));
        head(&mut text, "sentinel_broker_tls_reloads_total", "counter", "Readings of changed TLS files, by outcome.");
        for (outcome, count) in [("done", &self.reloads), ("failed", &self.failed_reloads)] {
            let count = count.load(Ordering::Relaxed);
            let _ = writeln!(text, "sentinel_broker_tls_reloads_total{{outcome=\"{outcome}\"}} {count}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_cumulative_as_prometheus_requires() {
        let metrics = Metrics::default();
        let under_way = metrics.begin();
        for millis in [0, 4, 4, 60_000] {
            metrics.answered("list", "done", Duration::from_millis(millis));
        }
        let text = metrics.text();
        for line in [
            "# TYPE sentinel_broker_answers_total counter",
            "sentinel_broker_answers_total{operation=\"list\",outcome=\"done\"} 4",
            "sentinel_broker_answer_seconds_bucket{operation=\"list\",le=\"0.001\"} 1",
            "sentinel_broker_answer_seconds_bucket{operation=\"list\",le=\"0.005\"} 3",
            "sentinel_broker_answer_seconds_bucket{operation=\"list\",le=\"30\"} 3",
            "sentinel_broker_answer_seconds_bucket{operation=\"list\",le=\"+Inf\"} 4",
            "sentinel_broker_answer_seconds_count{operation=\"list\"} 4",
            "sentinel_broker_in_flight 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
        drop(under_way);
        assert!(metrics.text().contains("\nsentinel_broker_in_flight 0\n"));
    }
}
