//! How close a pass comes to the lower bound of AWS's quotas and round trips, in virtual time: nothing depends on the machine.
//!
//! `FLOOR_ALL=1` adds the largest sizes, and prints the table of `docs/performance.md`.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use futures_util::future::join_all;
use sentinel::kind::Step;
use sentinel::kind::Waiting;
use sentinel::local::{Answer, LocalAws, Request, Rules};
use sentinel::manifest::Loaded;
use sentinel::provider::Writer;
use sentinel::reconcile::{self, Intent, Pass, Progress, ResourcePlan, Scope, Verification};
use sentinel::resource::interrupt::Interrupt;
use tokio::time::Instant;

use crate::engine::{load, reader, target};

/// The duration of a round trip.
const TRIP: Duration = Duration::from_millis(50);
/// How long AWS takes to create a table with indexes, as measured by operators (14 to 22 s).
const CREATION: Duration = Duration::from_secs(18);

/// AWS's quota: calls per second, and the burst after a pause.
fn quota(operation: &str) -> (&str, f64, f64) {
    match operation {
        "GetParameters" | "GetParametersByPath" | "DescribeParameters" => ("parameter reads", 40.0, 40.0),
        "PutParameter" => (operation, 3.0, 15.0),
        "DescribeTable" => (operation, 50.0, 100.0),
        "DescribeTimeToLive" | "DescribeContinuousBackups" => (operation, 10.0, 10.0),
        "GetResources" => (operation, 15.0, 15.0),
        "CreateTable" | "UpdateTimeToLive" | "UpdateTable" => (operation, 5.0, 5.0),
        _ => (operation, 1000.0, 1000.0),
    }
}

/// An account that enforces its quotas.
#[derive(Debug, Clone)]
struct Account {
    local: LocalAws,
    buckets: Arc<Mutex<HashMap<String, (f64, Instant)>>>,
    /// The number of requests, and of throttled ones.
    counts: Arc<Mutex<(usize, usize)>>,
}

impl Account {
    fn new() -> Self {
        let rules = Rules { table_creation: CREATION, ..Rules::default() };
        Self { local: LocalAws::memory(rules), buckets: Arc::default(), counts: Arc::default() }
    }

    fn client(&self) -> SharedHttpClient {
        let connector = SharedHttpConnector::new(self.clone());
        http_client_fn(move |_, _| connector.clone())
    }

    fn admits(&self, operation: &str) -> bool {
        let (name, rate, burst) = quota(operation);
        let now = Instant::now();
        let mut buckets = self.buckets.lock().unwrap();
        let bucket = buckets.entry(name.to_owned()).or_insert((burst, now));
        bucket.0 = (bucket.0 + now.duration_since(bucket.1).as_secs_f64() * rate).min(burst);
        bucket.1 = now;
        let admitted = bucket.0 > 1.0 - 1e-6;
        bucket.0 -= if admitted { 1.0 } else { 0.0 };
        admitted
    }

    fn take_counts(&self) -> (usize, usize) {
        std::mem::take(&mut *self.counts.lock().unwrap())
    }
}

impl HttpConnector for Account {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let header = |name: &str| request.headers().get(name).unwrap_or_default().to_owned();
        let body = request.body().bytes().map(<[u8]>::to_vec).unwrap_or_default();
        let request = Request::new(header("x-amz-target"), &header("authorization"), body);
        let account = self.clone();
        HttpConnectorFuture::new(async move {
            tokio::time::sleep(TRIP / 2).await;
            let admitted = account.admits(&request.operation());
            {
                let mut counts = account.counts.lock().unwrap();
                counts.0 += 1;
                counts.1 += usize::from(!admitted);
            }
            let answer = match admitted {
                true => account.local.answer(&request),
                false => Answer::error(400, "ThrottlingException", "Rate exceeded"),
            };
            tokio::time::sleep(TRIP / 2).await;
            let mut response = HttpResponse::new(answer.status.try_into().unwrap(), SdkBody::from(answer.body));
            response.headers_mut().insert("content-type", answer.content_type);
            Ok(response)
        })
    }
}

struct Silent;

impl Progress for Silent {
    fn step(&self, _: &ResourcePlan, _: &Step) {}
    fn done(&self, _: &ResourcePlan, _: &reconcile::Outcome) {}
}

/// The time for this many calls of an operation within its quota.
fn paced(operation: &str, calls: u32) -> f64 {
    let (_, rate, burst) = quota(operation);
    ((f64::from(calls) - burst) / rate).max(0.0)
}

/// The lower bound of a read, whose calls are all in flight together.
fn lower_bound_of_read(policies: u32, tables: u32) -> f64 {
    let quotas = [
        paced("GetParameters", policies.div_ceil(10)),
        paced("DescribeTable", tables),
        paced("DescribeTimeToLive", tables),
    ];
    TRIP.as_secs_f64() + quotas.into_iter().fold(0.0, f64::max)
}

/// The lower bound of a first apply: a read; the policies and, at the same time, the tables, each created, waited for, and given TTL; and
/// the verification.
fn lower_bound_of_creation(policies: u32, tables: u32) -> f64 {
    let trip = TRIP.as_secs_f64();
    let of_policies = if policies > 0 { trip + paced("PutParameter", policies) } else { 0.0 };
    let of_tables = if tables > 0 { 3.0 * trip + CREATION.as_secs_f64() + paced("CreateTable", tables) } else { 0.0 };
    2.0 * lower_bound_of_read(policies, tables) + f64::max(of_policies, of_tables)
}

fn manifest(policies: u32, tables: u32) -> String {
    let mut text: String = (0..policies).map(|number| format!("[profiles.p{number}]\n")).collect();
    for number in 0..tables {
        text.push_str(&format!(
            "[tables.t{number}]\nname = \"table-{number}\"\npartition_key = {{ name = \"id\", type = \"S\" }}\nttl_attribute = \"expires_at\"\n\
             [tables.t{number}.indexes.by-user]\npartition_key = {{ name = \"user\", type = \"S\" }}\n"
        ));
    }
    text
}

async fn plan(account: &Account, loaded: &Loaded) -> (Writer, Pass) {
    let reader = reader(account.client(), &Interrupt::default()).await;
    let scope = Scope { ownership: loaded.manifest.aws.ownership_key(), ..Scope::of(Intent::Converge) };
    let pass = reconcile::plan(&reader, target(loaded), &loaded.desired, scope).await.unwrap();
    assert_eq!((pass.plan.orphans.resources.len(), &pass.plan.orphans.unknown), (0, &None));
    (Writer::new(reader, Waiting { limit: Duration::from_secs(3600), for_indexes: true }), pass)
}

async fn apply(account: &Account, loaded: &Loaded) {
    let (writer, pass) = plan(account, loaded).await;
    let report = reconcile::apply(&writer, &pass, &Interrupt::default(), &Silent).await;
    let wanted = if pass.plan.has_steps() { Verification::InSync } else { Verification::NotNeeded };
    assert_eq!(report.verification, wanted);
}

/// Measures one kind of run on concurrent accounts, each with the manifest, and compares it with the lower bound. Returns a row of the
/// table.
async fn measure(
    accounts: &[Account],
    name: &str,
    loaded: &Loaded,
    applies: bool,
    least: f64,
    requests: Option<u32>,
) -> String {
    // Every burst is available again.
    tokio::time::sleep(Duration::from_secs(3600)).await;
    for account in accounts {
        account.take_counts();
    }
    let started = Instant::now();
    join_all(accounts.iter().map(|account| async move {
        if applies {
            apply(account, loaded).await;
        } else {
            plan(account, loaded).await;
        }
    }))
    .await;
    let took = started.elapsed().as_secs_f64();
    let (made, refused) =
        accounts.iter().map(Account::take_counts).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    let wanted = requests.map(|requests| requests as usize * accounts.len());
    assert!(took < least * 1.2, "{name} took {took} s, and the lower bound is {least} s");
    if let Some(wanted) = wanted {
        assert_eq!(made - refused, wanted, "{name}");
    }
    assert!(refused * 10 <= made, "{refused} of {made} requests were refused");
    let wanted = wanted.map(|wanted| wanted.to_string()).unwrap_or_default();
    format!("| {name} | {took:.1} s | {least:.1} s | {:.2} | {made} ({refused}) | {wanted} |", took / least)
}

#[tokio::test(start_paused = true)]
async fn a_pass_is_close_to_the_lower_bound_of_aws() {
    let mut sizes = vec![(1, 3, 3), (1, 100, 3), (50, 20, 3)];
    if std::env::var_os("FLOOR_ALL").is_some() {
        sizes.extend([(1, 1000, 30), (1, 10_000, 300)]);
    }
    for (targets, policies, tables) in sizes {
        let accounts: Vec<Account> = (0..targets).map(|_| Account::new()).collect();
        let loaded = load(&manifest(policies, tables), Path::new("."));
        let name = |what: &str| match targets {
            1 => format!("{policies}, {tables} | {what}"),
            targets => format!("{targets} × {policies}, {tables} | {what}"),
        };
        // Includes the caller's identity, and two lists of resources with the ownership tag.
        let reads = policies.div_ceil(10) + 2 * tables + 3;
        let least = lower_bound_of_creation(policies, tables);
        println!("{}", measure(&accounts, &name("first apply"), &loaded, true, least, None).await);
        for (what, applies) in [("plan, status", false), ("apply with nothing to do", true)] {
            let least = lower_bound_of_read(policies, tables);
            println!("{}", measure(&accounts, &name(what), &loaded, applies, least, Some(reads)).await);
        }
    }
}
