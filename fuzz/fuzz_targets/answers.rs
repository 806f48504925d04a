//! Any response of AWS, or of a server that imitates it: a pass ends, and its output contains nothing that a terminal would execute.
#![no_main]

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use libfuzzer_sys::fuzz_target;
use sentinel::diagnostic::{Faults, Source};
use sentinel::manifest::{self, Loaded, Overrides};
use sentinel::provider::{Connection, Reader};
use sentinel::reconcile::{self, Intent, Scope};
use sentinel::report::{Detail, text, without_color};
use sentinel::resource::destination::{Destination, Region};
use sentinel::resource::interrupt::Interrupt;
use sentinel::resource::names::{PolicyRoot, RegionName};
use sentinel::resource::pacer::Pace;
use sentinel::resource::traffic::Traffic;
use sentinel::review::{ReviewInputs, Review};

const MANIFEST: &str = r#"
[profiles.dev]
tier = "standard"
tags = { a = "b" }
[tables.approvals]
point_in_time_recovery = true
tags = { a = "b" }
encryption = "aws-managed"
"#;

const IDENTITY: &str = "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
    <Arn>arn:aws:iam::123456789012:user/alice</Arn><UserId>A</UserId><Account>123456789012</Account>\
    </GetCallerIdentityResult></GetCallerIdentityResponse>";

/// Answers each operation with a part of the input.
#[derive(Debug, Clone)]
struct Answers(Arc<Mutex<Vec<Vec<u8>>>>);

impl HttpConnector for Answers {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let index = match target.rsplit('.').next().unwrap_or_default() {
            "GetParameters" => 0,
            "DescribeTable" => 1,
            "DescribeTimeToLive" => 2,
            "DescribeContinuousBackups" => 3,
            "ListTagsOfResource" => 4,
            "ListTagsForResource" => 5,
            "DescribeParameters" => 6,
            "GetResources" => 7,
            _ => usize::MAX,
        };
        let parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let part =
            if target.is_empty() { IDENTITY.as_bytes() } else { parts.get(index).map_or(&b"{}"[..], Vec::as_slice) };
        // The first letter decides whether the response is an error.
        let (status, body) = match part.split_first() {
            Some((b'!', rest)) => (400, rest),
            Some((b'?', rest)) => (500, rest),
            _ => (200, part),
        };
        let Ok(status) = status.try_into() else { unreachable!("these are statuses") };
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status, SdkBody::from(body.to_vec()))))
    }
}

fn region() -> Region {
    Region { name: RegionName::new("us-east-1"), source: String::from("the fuzzer") }
}

/// The parts that are the same for every input, because creating them takes longer than a pass.
struct World {
    answers: Answers,
    runtime: tokio::runtime::Runtime,
    reader: Reader,
    loaded: Loaded,
}

impl World {
    fn new() -> Self {
        let mut faults = Faults::default();
        let parsed = manifest::parse(&Source::new("sentinel.toml", MANIFEST), &mut faults);
        let loaded = manifest::resolve(parsed, Path::new("/var/empty"), &Overrides::default(), &mut faults);
        assert!(faults.is_empty());
        let answers = Answers(Arc::default());
        let connector = SharedHttpConnector::new(answers.clone());
        // Virtual time, so that retries do not wait.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime");
        let reader = runtime.block_on(Reader::connect(Connection {
            destination: Destination::new(region(), PolicyRoot::default()),
            endpoint_url: None,
            embedded: Some(http_client_fn(move |_, _| connector.clone())),
            pace: Pace::Free,
            interrupt: Interrupt::default(),
            traffic: Traffic::default(),
            sessions: sentinel::provider::Sessions::default(),
        }));
        Self { answers, runtime, reader, loaded }
    }
}

thread_local! {
    static WORLD: World = World::new();
}

fuzz_target!(|data: &[u8]| WORLD.with(|world| {
    let parts = data.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    *world.answers.0.lock().unwrap_or_else(PoisonError::into_inner) = parts;
    let target = Destination::new(region(), world.loaded.policy_root.clone());
    let pass = reconcile::plan(&world.reader, target, &world.loaded.desired, Scope::of(Intent::Converge));
    let Ok(pass) = world.runtime.block_on(pass) else { return };
    let shown =
        without_color(&text::plan(&pass.plan, &Review::of(&pass.plan, &ReviewInputs::default()), Detail::All, Some(100)));
    assert!(!shown.contains(|letter: char| letter.is_control() && letter != '\n'), "{shown:?}");
}));
