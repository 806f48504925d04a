//! A file as a saved plan: it is refused or read. If it is read, it is written and read back unchanged, a manifest could express it, and no
//! output format contains anything that would be executed.
//!
//! A fuzzer cannot guess the digest, and its changes to JSON are mostly invalid. The bytes are therefore also interpreted as a list of
//! changes to a plan: the index of a text, and its new value. The digest is then recomputed, as a forger would.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sentinel::cli::Format;
use sentinel::error::Error;
use sentinel::kind::KindId;
use sentinel::kind::policy_parameter::check_root;
use sentinel::manifest::{check_account, check_region, check_role, conform};
use sentinel::planfile::{PlanFile, Unusable};
use sentinel::report::output::{Body, Part, Shown};
use sentinel::report::{Detail, guard, text, without_color};
use serde_json::Value;

/// A plan with an example of everything.
const SEED: &str = include_str!("../seeds/plan_file/plan.json");

fuzz_target!(|input: &str| {
    let _ = PlanFile::read(input);
    let document = serde_json::from_str(input).unwrap_or_else(|_| changed(input));
    let file = match serde_json::from_value::<PlanFile>(document) {
        Ok(file) => file,
        Err(error) => return refused(&Unusable::Unreadable { why: error.to_string() }, input),
    };
    for target in &file.targets {
        let part = Part {
            name: target.plan.target.name.as_deref(),
            index: None,
            body: Ok(Body::Plan(&target.plan, &target.review)),
        };
        let parts = vec![part];
        let preface = Some(text::plan_file(&file));
        show(&Shown { command: "show", preface, extra: Vec::new(), parts, detail: Detail::All }, input);
    }
    let Ok(written) = file.to_text() else { return };
    match PlanFile::read(&written) {
        Ok(read) => {
            // Derived values, such as a layout, exist after the first read.
            let second = read.to_text().ok().and_then(|text| PlanFile::read(&text).ok());
            assert_eq!(second.as_ref(), Some(&read));
            check_conforms(&read);
        }
        Err(why) => refused(&why, input),
    }
});

/// Returns the plan with the changes of the input: each line has the index of a text and its new value.
fn changed(input: &str) -> Value {
    let mut document: Value = serde_json::from_str(SEED).unwrap_or_default();
    for line in input.split('\u{1e}').take(8) {
        let number = line.bytes().take(2).fold(0, |number, byte| number * 256 + usize::from(byte));
        let text: String = line.chars().skip(2).collect();
        let count = count(&document);
        if count > 0 {
            put(&mut document, &mut (number % count), &text);
        }
    }
    document
}

fn count(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(|value| 1 + count(value)).sum(),
        _ => 1,
    }
}

/// Changes one leaf or one key. Returns whether it did.
fn put(value: &mut Value, left: &mut usize, text: &str) -> bool {
    match value {
        Value::Array(items) => items.iter_mut().any(|item| put(item, left, text)),
        Value::Object(fields) => {
            let keys: Vec<String> = fields.keys().cloned().collect();
            for key in keys {
                if *left == 0 {
                    // A changed key, or a removed field.
                    let value = fields.remove(&key).unwrap_or_default();
                    if !text.is_empty() {
                        fields.insert(text.to_owned(), value);
                    }
                    return true;
                }
                *left -= 1;
                if fields.get_mut(&key).is_some_and(|value| put(value, left, text)) {
                    return true;
                }
            }
            false
        }
        leaf if *left == 0 => {
            *leaf = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()));
            true
        }
        _ => {
            *left -= 1;
            false
        }
    }
}

/// A plan that is read can do no more than a manifest.
fn check_conforms(file: &PlanFile) {
    assert!(!file.targets.is_empty());
    for saved in &file.targets {
        let target = &saved.plan.target;
        let account = target.caller.as_ref().map(|caller| caller.account.as_str());
        assert!(account.is_some_and(|account| check_account(account).is_ok()));
        assert!(check_region(target.region.name.as_str()).is_ok() && check_root(&target.policy_root).is_ok());
        assert!(saved.connection.route.role_arn.as_ref().is_none_or(|role| check_role(role).is_ok()));
        for desired in &saved.desired {
            assert_eq!(conform(desired, &target.policy_root), Ok(()));
            let address = desired.address();
            let name = desired.name();
            assert!(address.kind != KindId::Policy || name == format!("{}/{}", target.policy_root, address.key));
        }
    }
}

fn refused(why: &Unusable, input: &str) {
    let error = Error::unusable_plan("p.json", why);
    check_escaped(&without_color(&text::error(&error)));
    let parts = vec![Part { name: None, index: None, body: Err(&error) }];
    show(&Shown { command: "show", preface: None, extra: Vec::new(), parts, detail: Detail::All }, input);
}

/// Renders in one format, which the length of the input selects: a format takes most of the time.
fn show(shown: &Shown<'_>, input: &str) {
    let formats = [Format::Text, Format::Json, Format::Markdown, Format::Html, Format::Github];
    let format = formats[input.len() % formats.len()];
    // On a terminal, lines are wrapped, and no workflow runner reads them.
    let _ = shown.render(format, Some(80));
    let Ok(output) = shown.render(format, None) else { panic!("a plan has a form in every format") };
    match format {
        Format::Github => {
            let ours = ["::error ", "::warning ", "::notice "];
            assert!(output.lines().all(|line| ours.iter().any(|head| line.starts_with(head))), "{output:?}");
        }
        _ => check_escaped(&without_color(&output)),
    }
}

/// A second escape of the output changes nothing.
fn check_escaped(output: &str) {
    assert_eq!(guard(output), output);
}
