//! Whatever stands in a file given as a saved plan: it is refused, or read; what is read is written and read back as it was, and
//! shown in every format.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sentinel::cli::Format;
use sentinel::planfile::PlanFile;
use sentinel::report::output::{Body, Part, Shown};

fuzz_target!(|text: &str| {
    let _ = PlanFile::read(text);
    // No fuzzer finds a digest: what lies behind it is read as if it were right.
    let Ok(file) = serde_json::from_str::<PlanFile>(text) else { return };
    let Ok(written) = file.to_text() else { return };
    if let Ok(read) = PlanFile::read(&written) {
        assert_eq!(read, file);
    }
    for target in &file.targets {
        let part =
            Part { name: target.plan.target.name.as_deref(), body: Ok(Body::Plan(&target.plan, &target.review)) };
        let shown = Shown { command: "show", preface: None, parts: vec![part] };
        for format in [Format::Text, Format::Json, Format::Markdown, Format::Html, Format::Github] {
            let _ = shown.render(format, Some(80));
        }
    }
});
