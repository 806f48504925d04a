//! Any `sentinel.toml`: every fault is shown on its line, and a valid manifest is written and read back unchanged.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use sentinel::diagnostic::{Faults, Source};
use sentinel::manifest::{self, Overrides};
use sentinel::report::render_faults;

fuzz_target!(|text: &str| {
    let read = |text: &str| {
        let mut faults = Faults::default();
        let parsed = manifest::parse(&Source::new("sentinel.toml", text), &mut faults);
        // Policies would be read from this folder, which has none.
        let loaded = manifest::resolve(parsed, Path::new("/var/empty"), &Overrides::default(), &mut faults);
        (loaded, faults)
    };
    let (loaded, faults) = read(text);
    if !faults.is_empty() {
        let shown = render_faults(&faults.into_sorted());
        assert!(!shown.is_empty());
        check_output(&shown);
        return;
    }
    let (second, faults) = read(&loaded.manifest.to_toml());
    assert!(faults.is_empty(), "the written manifest is invalid: {:?}", faults.into_sorted());
    assert_eq!(second.desired, loaded.desired);
});

/// Output to a terminal contains no control characters from a text, except those of colors.
fn check_output(shown: &str) {
    let plain = sentinel::report::without_color(shown);
    let control = |letter: char| letter.is_control() && letter != '\n';
    assert!(!plain.contains(control), "{plain:?}");
}
