//! The engine in this process, on the AWS emulator, with a clock that the test controls.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector};
use aws_smithy_runtime_api::client::http::{SharedHttpClient, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body_util::StreamBody;
use hyper::body::Frame;
use sentinel::change::ChangeMethod;
use sentinel::diagnostic::{Faults, Source};
use sentinel::kind::Step;
use sentinel::kind::Waiting;
use sentinel::local::{LocalAws, Request, Rules};
use sentinel::manifest::{self, Loaded, Overrides};
use sentinel::provider::{Connection, Reader, Writer};
use sentinel::reconcile::{
    self, Action, ApplyReport, Intent, Outcome, Plan, Progress, ResourcePlan, Scope, Verification,
};
use sentinel::resource::destination::{Destination, Region};
use sentinel::resource::interrupt::Interrupt;
use sentinel::resource::names::{PolicyRoot, RegionName};
use sentinel::resource::pacer::Pace;
use sentinel::resource::traffic::Traffic;
use serde_json::json;
use tokio::time::Instant;

use crate::embedded::call_in;

pub fn load(text: &str, folder: &Path) -> Loaded {
    let mut faults = Faults::default();
    let parsed = manifest::parse(&Source::new("sentinel.toml", text), &mut faults);
    let loaded = manifest::resolve(parsed, folder, &Overrides::default(), &mut faults);
    assert!(faults.is_empty(), "{:?}", faults.into_sorted());
    loaded
}

struct Silent;

impl Progress for Silent {
    fn step(&self, _: &ResourcePlan, _: &Step) {}
    fn done(&self, _: &ResourcePlan, _: &Outcome) {}
}

pub fn region() -> Region {
    Region { name: RegionName::new("us-east-1"), source: String::from("the test") }
}

pub async fn reader(client: SharedHttpClient, interrupt: &Interrupt) -> Reader {
    Reader::connect(Connection {
        destination: Destination::new(region(), PolicyRoot::default()),
        endpoint_url: None,
        embedded: Some(client),
        pace: Pace::Aws,
        interrupt: interrupt.clone(),
        traffic: Traffic::default(),
        sessions: sentinel::provider::Sessions::default(),
    })
    .await
}

pub fn target(loaded: &Loaded) -> Destination {
    Destination::new(region(), loaded.policy_root.clone())
}

pub async fn plan(client: SharedHttpClient, loaded: &Loaded) -> Plan {
    let reader = reader(client, &Interrupt::default()).await;
    reconcile::plan(&reader, target(loaded), &loaded.desired, Scope::of(Intent::Converge)).await.unwrap().plan
}

/// Plans, applies, and returns both.
pub async fn pass(client: SharedHttpClient, loaded: &Loaded, limit: Duration) -> (Plan, ApplyReport) {
    let interrupt = Interrupt::default();
    let reader = reader(client, &interrupt).await;
    let scope = Scope::of(Intent::Converge);
    let pass = reconcile::plan(&reader, target(loaded), &loaded.desired, scope).await.unwrap();
    let writer = Writer::new(reader, Waiting { limit, for_indexes: true });
    let report = reconcile::apply(&writer, &pass, &interrupt, &Silent).await;
    (pass.plan, report)
}

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn a_table_that_takes_twenty_minutes_is_awaited() {
    let rules = Rules { table_creation: HOUR / 3, ..Rules::default() };
    let client = SharedHttpClient::new(LocalAws::memory(rules));
    let loaded = load("[tables.approvals]\n[tables.sessions]\npoint_in_time_recovery = true\n", Path::new("."));
    let started = Instant::now();
    let (_, report) = pass(client.clone(), &loaded, HOUR).await;
    assert_eq!(report.verification, Verification::InSync);
    let minutes = started.elapsed().as_secs() / 60;
    assert!((20..22).contains(&minutes), "{minutes} minutes passed on the paused clock");
    let (plan, _) = pass(client, &loaded, HOUR).await;
    assert!(!plan.has_differences());
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_at_its_limit_and_the_next_run_continues() {
    let rules = Rules { table_creation: HOUR / 3, ..Rules::default() };
    let client = SharedHttpClient::new(LocalAws::memory(rules));
    let loaded = load("[tables.approvals]\n", Path::new("."));
    let (_, report) = pass(client.clone(), &loaded, HOUR / 12).await;
    assert!(
        matches!(&report.resources[0].outcome, Outcome::Failed { why, .. } if why.contains("still CREATING after 300 s"))
    );
    let (_, report) = pass(client, &loaded, HOUR).await;
    assert_eq!(report.resources[0].outcome, Outcome::Applied);
    assert_eq!(report.verification, Verification::InSync);
}

/// An AWS that accepts three parameter writes a second and answers all others with ThrottlingException.
#[derive(Debug)]
struct Throttled {
    local: LocalAws,
    admitted: Mutex<Vec<Instant>>,
    refused: Mutex<usize>,
}

impl HttpConnector for Throttled {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let is_put = request.headers().get("x-amz-target") == Some("AmazonSSM.PutParameter");
        if is_put {
            let mut admitted = self.admitted.lock().unwrap();
            let second = Duration::from_secs(1);
            if admitted.iter().filter(|at| at.elapsed() < second).count() >= 3 {
                *self.refused.lock().unwrap() += 1;
                let body = r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#;
                let response = HttpResponse::new(400.try_into().unwrap(), SdkBody::from(body));
                return HttpConnectorFuture::ready(Ok(response));
            }
            admitted.push(Instant::now());
        }
        self.local.call(request)
    }
}

#[tokio::test(start_paused = true)]
async fn throttled_writes_slow_an_apply_and_never_fail_it() {
    let throttled = Arc::new(Throttled {
        local: LocalAws::memory(Rules::default()),
        admitted: Mutex::default(),
        refused: Mutex::default(),
    });
    let connector = Arc::clone(&throttled);
    let client = http_client_fn(move |_, _| {
        #[derive(Debug)]
        struct Shared(Arc<Throttled>);
        impl HttpConnector for Shared {
            fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
                self.0.call(request)
            }
        }
        SharedHttpConnector::new(Shared(Arc::clone(&connector)))
    });
    let text: String = (0..100).map(|number| format!("[profiles.p{number}]\n")).collect();
    let started = Instant::now();
    let (_, report) = pass(client, &load(&text, Path::new(".")), HOUR).await;
    assert_eq!(report.verification, Verification::InSync);
    assert!(report.resources.iter().all(|one| one.outcome == Outcome::Applied));
    assert!(*throttled.refused.lock().unwrap() > 0, "it was never throttled");
    let seconds = started.elapsed().as_secs();
    assert!((25..110).contains(&seconds), "{seconds} seconds passed on the paused clock");
}

/// An AWS whose first two reads of a table after an update return the earlier state.
#[derive(Debug)]
struct Lagging {
    local: LocalAws,
    before: Mutex<Vec<u8>>,
    stale: Mutex<u32>,
}

impl Lagging {
    fn ask(&self, target: &str, body: &serde_json::Value) -> Vec<u8> {
        let request = Request::new(target.to_owned(), "", body.to_string().into_bytes());
        self.local.answer(&request).body
    }
}

#[derive(Debug, Clone)]
struct Connector(Arc<Lagging>);

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default().to_owned();
        let body: serde_json::Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap_or_default();
        let mut stale = self.0.stale.lock().unwrap();
        if target.ends_with(".UpdateTable") {
            let name = serde_json::json!({ "TableName": body["TableName"] });
            *self.0.before.lock().unwrap() = self.0.ask("DynamoDB_20120810.DescribeTable", &name);
            *stale = 2;
        }
        if target.ends_with(".DescribeTable") && *stale > 0 {
            *stale -= 1;
            let before = SdkBody::from(self.0.before.lock().unwrap().clone());
            return HttpConnectorFuture::ready(Ok(HttpResponse::new(200.try_into().unwrap(), before)));
        }
        self.0.local.call(request)
    }
}

/// A read just after a change may return the earlier state, which must not end the wait.
#[tokio::test(start_paused = true)]
async fn an_index_that_is_not_visible_yet_is_awaited() {
    let rules = Rules { index_backfill: HOUR / 4, ..Rules::default() };
    let lagging =
        Arc::new(Lagging { local: LocalAws::memory(rules), before: Mutex::default(), stale: Mutex::default() });
    let connector = Connector(lagging);
    let client = http_client_fn(move |_, _| SharedHttpConnector::new(connector.clone()));
    pass(client.clone(), &load("[tables.sessions]\n", Path::new(".")), HOUR).await;
    let extra = "[tables.sessions.indexes.more-index]\npartition_key = { name = \"x\", type = \"S\" }\n";
    let started = Instant::now();
    let (_, report) = pass(client, &load(extra, Path::new(".")), HOUR).await;
    assert_eq!(report.resources[0].outcome, Outcome::Applied);
    assert_eq!(report.verification, Verification::InSync);
    assert_eq!(started.elapsed().as_secs() / 60, 15);
}

/// AWS takes 22 seconds to change the encryption of a table, which is ACTIVE all the time and at first shows the earlier key.
#[tokio::test(start_paused = true)]
async fn an_encryption_change_is_awaited() {
    let rules = Rules { encryption_change: Duration::from_secs(22), ..Rules::default() };
    let aws = LocalAws::memory(rules);
    let client = SharedHttpClient::new(aws.clone());
    pass(client.clone(), &load("[tables.sessions]\n", Path::new(".")), HOUR).await;
    let managed = load("[tables.sessions]\nencryption = \"aws-managed\"\n", Path::new("."));
    let started = Instant::now();
    let (_, report) = pass(client.clone(), &managed, HOUR).await;
    assert_eq!(report.resources[0].outcome, Outcome::Applied);
    assert_eq!(report.verification, Verification::InSync);
    assert!((22..40).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());

    // A change by someone else is waited for, and not made again.
    let off = json!({ "TableName": "sentinel-sessions", "SSESpecification": { "Enabled": false } });
    let update = |body| call_in(&aws, "us-east-1", "DynamoDB_20120810.UpdateTable", body).unwrap();
    update(off);
    tokio::time::sleep(Duration::from_secs(30)).await;
    let on = json!({ "TableName": "sentinel-sessions", "SSESpecification": { "Enabled": true } });
    update(on);
    let (plan, report) = pass(client, &managed, HOUR).await;
    assert_eq!(plan.resources[0].changes[0].method, ChangeMethod::Time);
    assert_eq!(report.verification, Verification::InSync);
}

/// Every example is applied twice, and the second plan has no changes.
#[tokio::test(start_paused = true)]
async fn every_example_is_in_sync_after_apply() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut manifests = vec![root.join("sentinel.toml.example")];
    let mut folders: Vec<_> =
        std::fs::read_dir(root.join("examples")).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    // Workflows are not manifests.
    folders.retain(|folder| folder.is_dir() && !folder.ends_with("github-actions"));
    manifests.extend(folders.into_iter().map(|folder| folder.join("sentinel.toml")));
    assert!(manifests.len() >= 5, "{manifests:?}");
    for path in manifests {
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        // All passes here are in one region, and a table's stream must be in its own region.
        let text = text.replace("arn:aws:kinesis:eu-west-1", "arn:aws:kinesis:us-east-1");
        let text = text.replace("\nregion = \"eu-west-1\"\n", "\nregion = \"us-east-1\"\n");
        let loaded = load(&text, path.parent().unwrap());
        let local = LocalAws::memory(Rules::default());
        // A role for GitHub Actions requires it, and no manifest manages it.
        let provider = "Action=CreateOpenIDConnectProvider&Version=2010-05-08&ClientIDList.member.1=sts.amazonaws.com&\
                        Url=https%3A%2F%2Ftoken.actions.githubusercontent.com";
        let signed = "AWS4-HMAC-SHA256 Credential=AKIALOCAL:admin/20260101/us-east-1/iam/aws4_request";
        let answer = local.answer(&Request::new(String::new(), signed, provider.as_bytes().to_vec()));
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        let client = SharedHttpClient::new(local);
        let (_, report) = pass(client.clone(), &loaded, HOUR).await;
        assert_eq!(report.verification, Verification::InSync, "{}: {report:#?}", path.display());
        let (plan, _) = pass(client, &loaded, HOUR).await;
        assert!(!plan.has_differences() && !plan.has_steps(), "{}: {plan:#?}", path.display());
    }
}

/// Random tables as manifests: keys, indexes and settings in every combination that AWS accepts.
fn manifests() -> impl proptest::strategy::Strategy<Value = String> {
    use proptest::prelude::*;
    // An attribute has the same type wherever it is a key.
    let attribute = |place: usize| {
        let (name, kind) = [("a", "S"), ("b", "N"), ("c", "B"), ("d", "S"), ("e", "N")][place % 5];
        format!("{{ name = \"{name}\", type = \"{kind}\" }}")
    };
    let key = (0..5usize, proptest::option::of(1..5usize)).prop_map(move |(partition, step)| {
        let sort = step.map(|step| format!("sort_key = {}\n", attribute(partition + step)));
        format!("partition_key = {}\n{}", attribute(partition), sort.unwrap_or_default())
    });
    let projection = prop_oneof![
        Just(""),
        Just("projection = \"ALL\"\n"),
        Just("projection = \"KEYS_ONLY\"\n"),
        Just("projection = { include = [\"x\", \"y\"] }\n"),
    ];
    let settings = (
        prop_oneof![Just(""), Just("ttl_attribute = \"expires_at\"\n"), Just("ttl_attribute = false\n")],
        prop_oneof![
            Just(""),
            Just("billing_mode = \"PAY_PER_REQUEST\"\n"),
            Just("billing_mode = \"PROVISIONED\"\nread_capacity = 3\nwrite_capacity = 2\n"),
        ],
        prop_oneof![
            Just(""),
            Just("encryption = \"aws-owned\"\n"),
            Just("encryption = \"aws-managed\"\n"),
            Just("encryption = \"arn:aws:kms:us-east-1:123456789012:key/k\"\n"),
        ],
        prop_oneof![Just(""), Just("point_in_time_recovery = true\n"), Just("point_in_time_recovery = false\n")],
        prop_oneof![Just(""), Just("deletion_protection = true\n"), Just("deletion_protection = false\n")],
        prop_oneof![Just(""), Just("tags = {}\n"), Just("tags = { a = \"1\", b = \"\" }\n")],
    );
    let table = (key.clone(), settings, proptest::collection::vec((key, projection), 0..5));
    proptest::collection::vec(table, 1..4).prop_map(|tables| {
        let mut text = String::from("[aws]\ntags = { owner = \"platform\" }\n");
        for (place, (key, (ttl, billing, encryption, recovery, protection, tags), indexes)) in tables.iter().enumerate()
        {
            text.push_str(&format!("[tables.t{place}]\nname = \"table-{place}\"\n{key}"));
            text.push_str(&[*ttl, *billing, *encryption, *recovery, *protection, *tags].concat());
            for (index, (key, projection)) in indexes.iter().enumerate() {
                text.push_str(&format!("[tables.t{place}.indexes.index-{index}]\n{key}{projection}"));
            }
        }
        text
    })
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 48, ..Default::default() })]

    #[test]
    fn every_applied_table_is_in_sync(text in manifests()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let loaded = load(&text, Path::new("."));
            let client = SharedHttpClient::new(LocalAws::memory(Rules::default()));
            let (_, report) = pass(client.clone(), &loaded, HOUR).await;
            assert_eq!(report.verification, Verification::InSync, "{text}\n{report:#?}");
            let again = plan(client, &loaded).await;
            assert!(!again.has_differences() && !again.has_steps(), "{text}\n{again:#?}");
        });
    }
}

/// An AWS that loses the response to a parameter write, before which someone else may write, and refuses or loses all later attempts.
#[derive(Debug, Clone)]
struct Losing {
    local: LocalAws,
    written: Arc<Mutex<bool>>,
    someone_else: bool,
    denies_after: bool,
}

impl HttpConnector for Losing {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if request.headers().get("x-amz-target") != Some("AmazonSSM.PutParameter") {
            return self.local.call(request);
        }
        // The write takes effect once; then the connection fails permanently.
        if !std::mem::replace(&mut *self.written.lock().unwrap(), true) {
            if self.someone_else {
                put(&self.local, "theirs");
            }
            drop(self.local.call(request));
        } else if self.denies_after {
            let body = r#"{"__type":"AccessDeniedException","message":"not any more"}"#;
            let refusal = HttpResponse::new(400.try_into().unwrap(), SdkBody::from(body));
            return HttpConnectorFuture::ready(Ok(refusal));
        }
        let error = aws_smithy_runtime_api::client::result::ConnectorError::io("connection reset by peer".into());
        HttpConnectorFuture::ready(Err(error))
    }
}

fn put(local: &LocalAws, rule: &str) {
    let content = format!("version: \"1\"\nrules:\n  - {{ name: {rule}, effect: deny }}\n");
    let body = serde_json::json!({
        "Name": "/sentinel/policies/dev", "Value": content, "Type": "String", "Overwrite": true
    });
    let request = Request::new(String::from("AmazonSSM.PutParameter"), "", body.to_string().into_bytes());
    assert_eq!(local.answer(&request).status, 200);
}

/// If the response of a write never comes, or only for a later attempt, the write is verified, and a write of someone else in between is
/// reported.
#[tokio::test(start_paused = true)]
async fn a_write_without_a_response_is_verified() {
    for (someone_else, denies_after) in [(false, false), (false, true), (true, false), (true, true)] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("dev.yaml"), "version: \"1\"\nrules:\n  - { name: ours, effect: deny }\n")
            .unwrap();
        let local = LocalAws::memory(Rules::default());
        put(&local, "before");
        let losing = Losing { local, written: Arc::default(), someone_else, denies_after };
        let connector = SharedHttpConnector::new(losing);
        let client = http_client_fn(move |_, _| connector.clone());
        let (_, report) = pass(client, &load("[profiles.dev]\npolicy = \"dev.yaml\"\n", folder.path()), HOUR).await;
        match (&report.resources[0].outcome, someone_else) {
            (Outcome::Applied, false) => {}
            (Outcome::Conflicted { why }, true) => {
                assert!(why.contains("version 2 has their text"), "{why}");
            }
            (other, _) => panic!("{someone_else} {denies_after}: {other:?}"),
        }
    }
}

/// An AWS with a network delay.
#[derive(Debug, Clone)]
struct Remote(LocalAws);

impl HttpConnector for Remote {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let local = self.0.clone();
        HttpConnectorFuture::new(async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            local.call(request).await
        })
    }
}

/// Parameter Store has no compare-and-set, so this is not guaranteed for each of them.
#[tokio::test(start_paused = true)]
async fn concurrent_applies_write_most_policies_once() {
    const COUNT: usize = 12;
    let folder = tempfile::tempdir().unwrap();
    let write = |rule: &str| {
        let policy = format!("version: \"1\"\nrules:\n  - {{ name: {rule}, effect: deny }}\n");
        std::fs::write(folder.path().join("dev.yaml"), policy).unwrap();
    };
    let manifest: String = (0..COUNT).map(|number| format!("[profiles.p{number}]\npolicy = \"dev.yaml\"\n")).collect();
    let local = LocalAws::memory(Rules::default());
    let connector = SharedHttpConnector::new(Remote(local.clone()));
    let client = http_client_fn(move |_, _| connector.clone());
    write("first");
    pass(client.clone(), &load(&manifest, folder.path()), HOUR).await;
    write("second");
    let loaded = load(&manifest, folder.path());
    let ((_, one), (_, other)) = tokio::join!(pass(client.clone(), &loaded, HOUR), pass(client, &loaded, HOUR));
    for report in [one, other] {
        assert_eq!(report.verification, Verification::InSync);
    }
    let version = |number: usize| {
        let name = json!({ "Name": format!("/sentinel/policies/p{number}") });
        let found = call_in(&local, "us-east-1", "AmazonSSM.GetParameter", name).unwrap();
        found["Parameter"]["Version"].as_u64().unwrap()
    };
    let versions: Vec<u64> = (0..COUNT).map(version).collect();
    assert!(versions.iter().all(|version| (2..=3).contains(version)), "{versions:?}");
    assert!(versions.iter().filter(|version| **version == 3).count() < COUNT * 2 / 3, "{versions:?}");
}

/// A creation whose response never comes is verified, since it may have succeeded.
#[tokio::test(start_paused = true)]
async fn a_creation_without_a_response_is_verified() {
    for denies_after in [false, true] {
        let local = LocalAws::memory(Rules::default());
        let losing = Losing { local, written: Arc::default(), someone_else: false, denies_after };
        let connector = SharedHttpConnector::new(losing);
        let client = http_client_fn(move |_, _| connector.clone());
        let (_, report) = pass(client, &load("[profiles.dev]\n", Path::new(".")), HOUR).await;
        assert_eq!(report.resources[0].outcome, Outcome::Applied, "{denies_after}");
    }
}

/// An AWS whose responses start and never end, except for the caller's identity.
#[derive(Debug)]
struct Stalling(LocalAws);

impl HttpConnector for Stalling {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if request.headers().get("x-amz-target").is_none() {
            return self.0.call(request);
        }
        let begun =
            stream::once(async { Ok::<_, std::io::Error>(Frame::data(Bytes::from_static(b"{\"Parameters\":["))) });
        let body = StreamBody::new(begun.chain(stream::pending()));
        HttpConnectorFuture::ready(Ok(HttpResponse::new(200.try_into().unwrap(), SdkBody::from_body_1_x(body))))
    }
}

/// An incomplete response ends by the timeouts, although the SDK's stalled stream protection is off.
#[tokio::test(start_paused = true)]
async fn a_stalled_response_times_out() {
    let connector = SharedHttpConnector::new(Stalling(LocalAws::memory(Rules::default())));
    let client = http_client_fn(move |_, _| connector.clone());
    let started = Instant::now();
    let plan = plan(client, &load("[profiles.dev]\n[tables.approvals]\n", Path::new("."))).await;
    for resource in &plan.resources {
        assert!(matches!(resource.action, Action::Unknown { .. }), "{resource:?}");
        assert!(resource.gaps[0].message.contains("no answer in time"), "{resource:?}");
    }
    assert_eq!(plan.resources.len(), 2);
    assert!(started.elapsed() < Duration::from_mins(2), "{:?}", started.elapsed());
}
