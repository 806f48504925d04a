//! Whatever stands in two policies, one after the other in force, and in the cases beside them: each is refused on its line, or
//! decides; linting it and looking at what the change means come to an end.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sentinel::diagnostic::{Faults, Source};
use sentinel::policy::{Policy, cases, lint, meaning};
use sentinel::report::{render_faults, without_color};

fuzz_target!(|text: &str| {
    let mut parts = text.split("\n===\n");
    let (before, after) = (read(parts.next()), read(parts.next()));
    if let (Some(policy), Some(text)) = (before.as_ref().or(after.as_ref()), parts.next()) {
        let mut faults = Faults::default();
        for case in &cases::parse(&Source::new("policy.test.yaml", text), policy, &mut faults) {
            let _ = cases::judge(policy, case);
        }
        hold(faults);
    }
    let _ = meaning("dev", before.as_ref(), after.as_ref());
});

fn read(text: Option<&str>) -> Option<Policy> {
    let source = Source::new("policy.yaml", text?);
    let mut faults = Faults::default();
    let _ = lint::lint(&source, None, &mut faults);
    let mut faults = Faults::default();
    let policy = sentinel::policy::parse(&source, &mut faults);
    let taken = faults.is_empty();
    hold(faults);
    policy.filter(|_| taken)
}

/// No control character of a text gets to a terminal.
fn hold(faults: Faults) {
    let shown = without_color(&render_faults(&faults.into_sorted()));
    assert!(!shown.contains(|letter: char| letter.is_control() && letter != '\n'), "{shown:?}");
}
