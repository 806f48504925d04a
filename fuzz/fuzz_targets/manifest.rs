//! Whatever stands in `sentinel.toml`: every fault is shown on its line, and what is taken is written and read back as it was.
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
        // Policies would be read from here: there are none.
        let loaded = manifest::resolve(parsed, Path::new("/var/empty"), &Overrides::default(), &mut faults);
        (loaded, faults)
    };
    let (loaded, faults) = read(text);
    if !faults.is_empty() {
        let shown = render_faults(&faults.into_sorted());
        assert!(!shown.is_empty());
        hold(&shown);
        return;
    }
    let (again, faults) = read(&loaded.manifest.to_toml());
    assert!(faults.is_empty(), "what was written is not taken: {:?}", faults.into_sorted());
    assert_eq!(again.desired, loaded.desired);
});

/// No control character of a text gets to a terminal, but for those of the colors.
fn hold(shown: &str) {
    let plain = sentinel::report::without_color(shown);
    let control = |letter: char| letter.is_control() && letter != '\n';
    assert!(!plain.contains(control), "{plain:?}");
}
