//! Any two policies as the versions before and after a change, with test cases: each is refused on a line or evaluated, and the lints and
//! the analysis of the change end.
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
        check_output(faults);
    }
    let _ = meaning("dev", before.as_ref(), after.as_ref());
});

fn read(text: Option<&str>) -> Option<Policy> {
    let source = Source::new("policy.yaml", text?);
    let mut faults = Faults::default();
    let _ = lint::lint(&source, None, &mut faults);
    let mut faults = Faults::default();
    let policy = sentinel::policy::parse(&source, &mut faults);
    let is_valid = faults.is_empty();
    check_output(faults);
    policy.filter(|_| is_valid)
}

/// Output to a terminal contains no control characters from a text.
fn check_output(faults: Faults) {
    let shown = without_color(&render_faults(&faults.into_sorted()));
    assert!(!shown.contains(|letter: char| letter.is_control() && letter != '\n'), "{shown:?}");
}
