//! A summary of the AWS calls of a run.

use std::time::Duration;

use super::{DIM, paint};
use crate::resource::traffic::{Tally, Traffic};

/// Returns the summary, or nothing if there was no call.
pub fn summary(traffic: &Traffic) -> String {
    let total = traffic.total();
    if total.requests == 0 {
        return String::new();
    }
    let plural = if total.requests == 1 { "" } else { "s" };
    let mut text = format!("AWS: {} request{plural}{}\n", total.requests, counts_and_waits(&total));
    let by_action = traffic.by_action();
    let width = by_action.keys().map(String::len).max().unwrap_or_default();
    for (action, tally) in by_action.iter().filter(|(_, tally)| tally.requests > 0) {
        let each = tally.answering / u32::try_from(tally.requests).unwrap_or(u32::MAX);
        text.push_str(&format!(
            "  {action:width$}  {:>5}  {:>7} each{}\n",
            tally.requests,
            time(each),
            counts_and_waits(tally)
        ));
    }
    paint(DIM, text)
}

/// Returns the failures and the total time of waiting.
fn counts_and_waits(tally: &Tally) -> String {
    let counts = [(tally.again, "made again"), (tally.failed, "failed")];
    let counts = counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!(", {count} {what}"));
    let waits =
        [(tally.queuing, "for the quota"), (tally.pausing, "before trying again"), (tally.watching, "between looks")];
    let waits = waits.iter().filter(|(wait, _)| wait.as_millis() > 0);
    let waits: Vec<String> = waits.map(|(wait, what)| format!("{} {what}", time(*wait))).collect();
    let waited = if waits.is_empty() { String::new() } else { format!(", waited {}", waits.join(", ")) };
    counts.collect::<String>() + &waited
}

fn time(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        format!("{} ms", duration.as_millis())
    } else {
        format!("{:.1} s", duration.as_secs_f64())
    }
}
