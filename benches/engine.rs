//! Measures the computation of a pass without its waits: `cargo bench`.
#![expect(clippy::expect_used, reason = "a benchmark that cannot begin has nothing better to do than to stop")]

use std::path::Path;

use divan::{Bencher, black_box};
use sentinel::cli::Format;
use sentinel::diagnostic::{Faults, Source};
use sentinel::local::{LocalAws, Rules};
use sentinel::manifest::{self, Loaded, Overrides};
use sentinel::policy;
use sentinel::provider::{Connection, Reader};
use sentinel::reconcile::{self, Intent, Plan, Scope};
use sentinel::report::Detail;
use sentinel::report::output::{Body, Part, Shown};
use sentinel::resource::destination::{Destination, Region};
use sentinel::resource::interrupt::Interrupt;
use sentinel::resource::names::RegionName;
use sentinel::resource::pacer::Pace;
use sentinel::resource::traffic::Traffic;
use sentinel::review::{Review, ReviewInputs};

fn main() {
    divan::main();
}

const SIZES: [usize; 3] = [100, 1000, 10_000];

const POLICY: &str = r#"version: "1"
rules:
  - name: developers
    effect: allow
    conditions:
      profiles: [dev]
      users: [alice, bob]
      time: { days: [monday, friday], hours: { start: "08:00", end: "18:00" }, timezone: Europe/Zurich }
  - { name: rest, effect: require_approval }
"#;

fn text(policies: usize) -> String {
    let mut text: String = (0..policies).map(|number| format!("[profiles.p{number}]\n")).collect();
    for number in 0..policies / 33 {
        text.push_str(&format!(
            "[tables.t{number}]\nname = \"table-{number}\"\npartition_key = {{ name = \"id\", type = \"S\" }}\n"
        ));
    }
    text
}

fn load(text: &str) -> Loaded {
    let mut faults = Faults::default();
    let parsed = manifest::parse(&Source::new("sentinel.toml", text), &mut faults);
    let loaded = manifest::resolve(parsed, Path::new("."), &Overrides::default(), &mut faults);
    assert!(faults.is_empty());
    loaded
}

/// Reads an empty AWS emulator, and plans.
fn plan(loaded: &Loaded) -> Plan {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let region = Region { name: RegionName::new("us-east-1"), source: String::from("the benchmark") };
        let target = Destination::new(region, loaded.policy_root.clone());
        let reader = Reader::connect(Connection {
            destination: target.clone(),
            endpoint_url: None,
            embedded: Some(aws_smithy_runtime_api::client::http::SharedHttpClient::new(LocalAws::memory(
                Rules::default(),
            ))),
            pace: Pace::Free,
            interrupt: Interrupt::default(),
            traffic: Traffic::default(),
            sessions: sentinel::provider::Sessions::default(),
        });
        let pass = reconcile::plan(&reader.await, target, &loaded.desired, Scope::of(Intent::Converge)).await;
        pass.expect("the AWS emulator answers").plan
    })
}

#[divan::bench(args = SIZES)]
fn read_a_manifest(bencher: Bencher<'_, '_>, policies: usize) {
    let text = text(policies);
    bencher.bench(|| load(black_box(&text)));
}

#[divan::bench]
fn read_a_policy() {
    let mut faults = Faults::default();
    black_box(policy::parse(&Source::new("policy.yaml", black_box(POLICY)), &mut faults));
}

#[divan::bench]
fn what_a_change_of_a_policy_means(bencher: Bencher<'_, '_>) {
    let parse = |text: &str| policy::parse(&Source::new("policy.yaml", text), &mut Faults::default());
    let (before, after) = (parse(POLICY), parse(&POLICY.replace("18:00", "20:00")));
    bencher.bench(|| policy::meaning("dev", before.as_ref(), after.as_ref()));
}

#[divan::bench(args = [100, 1000], sample_count = 10)]
fn plan_on_the_embedded_aws(bencher: Bencher<'_, '_>, policies: usize) {
    let loaded = load(&text(policies));
    bencher.bench_local(|| plan(&loaded));
}

#[divan::bench(args = [Format::Text, Format::Json, Format::Markdown, Format::Html], sample_count = 10)]
fn write_a_plan_of_1000(bencher: Bencher<'_, '_>, format: Format) {
    let plan = plan(&load(&text(1000)));
    let review = Review::of(&plan, &ReviewInputs::default());
    bencher.bench_local(|| {
        let part = Part { name: None, index: None, body: Ok(Body::Plan(&plan, &review)) };
        Shown { command: "plan", preface: None, extra: Vec::new(), parts: vec![part], detail: Detail::All }
            .render(format, Some(100))
    });
}
