//! Simulates failures of AWS around the emulator: repeated runs always reach the manifest's state, and no change by others is lost without
//! a report.
//!
//! Everything follows from a seed, and time is virtual, so days take milliseconds. `WEATHER_SEEDS=N` sets the number of seeds,
//! `WEATHER_START=S` the first one; `scripts/weather` sets both and prints the events.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use sentinel::change::FieldValue;
use sentinel::kind::table::{Billing, Table};
use sentinel::kind::{Step, Waiting};
use sentinel::local::{Answer, LocalAws, Request, Rules};
use sentinel::provider::Writer;
use sentinel::reconcile::{self, Action, Intent, Outcome, Plan, Progress, ResourcePlan, Scope};
use sentinel::resource::interrupt::Interrupt;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::engine::{load, reader, target};
use crate::property::{Case, cases, write_files};

/// The events of a scenario, and its result.
#[derive(Debug, Default, Clone)]
struct Tally {
    met: BTreeMap<&'static str, usize>,
    requests: usize,
    /// Writes that took effect.
    writes: usize,
    runs: usize,
}

impl Tally {
    fn meet(&mut self, what: &'static str) {
        *self.met.entry(what).or_default() += 1;
    }

    fn of(&self, what: &str) -> usize {
        self.met.get(what).copied().unwrap_or_default()
    }

    fn add(&mut self, other: &Self) {
        other.met.iter().for_each(|(what, count)| *self.met.entry(what).or_default() += count);
        self.requests += other.requests;
        self.writes += other.writes;
        self.runs += other.runs;
    }
}

/// An operation's quota: calls per second, and the burst after a pause. The values are documented by AWS or measured by operators, and
/// sometimes slightly below Sentinel's own rates, to simulate other users of the account.
fn quota(operation: &str) -> (f64, f64) {
    match operation {
        "PutParameter" | "AddTagsToResource" | "RemoveTagsFromResource" => (3.0, 12.0),
        "DeleteParameters" | "TagResource" | "UntagResource" => (5.0, 5.0),
        "GetParameters" | "GetParametersByPath" | "DescribeParameters" | "ListTagsForResource" => (40.0, 40.0),
        "DescribeContinuousBackups" | "ListTagsOfResource" => (10.0, 10.0),
        "DescribeTimeToLive" => (2.0, 4.0),
        "CreateTable" | "UpdateTable" | "UpdateTimeToLive" | "UpdateContinuousBackups" => (3.0, 5.0),
        _ => (100.0, 200.0),
    }
}

fn reads(operation: &str) -> bool {
    ["Get", "Describe", "List"].iter().any(|head| operation.starts_with(head))
}

/// The result of a request.
#[derive(Debug, Clone)]
enum Fate {
    Answered,
    Throttled,
    Fault,
    /// The connection ends before the request takes effect.
    Reset,
    Hangs,
    /// The request takes effect, and the response is replaced by a failure or lost with the connection.
    Lost {
        reset: bool,
    },
    Expired,
    /// An outdated response.
    Stale(Answer),
}

/// A parameter that another writer changed, and the run at that time.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ForeignWrite {
    run: usize,
    name: String,
    content: String,
}

/// The writes of others that runs reported, and those that a run could not report because it was killed.
#[derive(Debug, Default)]
struct Reported {
    /// Live contents that a plan showed.
    shown: BTreeSet<String>,
    /// Conflicts: the run, and the name of the resource.
    conflicts: BTreeSet<(usize, String)>,
    /// Writes that a run replaced before it was killed, made during the same run.
    cut_off: Vec<ForeignWrite>,
}

impl Reported {
    /// Records that a run was killed. Its plan shows the writes made before it, and a later plan shows the writes that are still live, so
    /// only those made and replaced during the run are excused.
    fn killed(&mut self, run: usize, writes: &[ForeignWrite], is_live: impl Fn(&ForeignWrite) -> bool) {
        self.cut_off.extend(writes.iter().filter(|write| write.run == run && !is_live(write)).cloned());
    }

    /// Returns whether a write was reported to the user, or no run remained to report it.
    fn accounts_for(&self, write: &ForeignWrite) -> bool {
        // Each foreign write has unique content.
        self.shown.contains(&write.content)
            || self.conflicts.contains(&(write.run, write.name.clone()))
            || self.cut_off.contains(write)
    }
}

/// A table whose warm throughput AWS may raise.
#[derive(Debug, Clone)]
struct Moving {
    name: String,
    /// Whether something else sets its capacity too.
    external: bool,
}

/// The units of a table as changed by AWS or something else.
#[derive(Debug, Default, Clone)]
struct Moved {
    /// The table's ID, since the table may be recreated.
    id: Value,
    warm: i64,
    /// The capacity that was last set.
    capacity: Option<(i64, i64)>,
}

#[derive(Debug)]
struct Sky {
    random: fastrand::Rng,
    buckets: HashMap<String, (f64, Instant)>,
    /// Until when most calls fail.
    storm_until: Instant,
    expires: Option<Instant>,
    /// Responses to reads with their times.
    known: HashMap<(String, Vec<u8>), Answer>,
    last_write: Option<Instant>,
    /// Parameters that another writer may change, and the number of remaining writes.
    contested: Vec<String>,
    foreign_left: usize,
    foreign: Vec<ForeignWrite>,
    /// Tables whose units something else may change.
    moving: Vec<Moving>,
    /// The resulting units, by table name.
    moved: BTreeMap<String, Moved>,
    /// The number of the current run.
    run: usize,
    /// Whether failures are turned off.
    calm: bool,
    tally: Tally,
}

/// An AWS with simulated failures.
#[derive(Debug, Clone)]
struct Weather {
    local: LocalAws,
    sky: Arc<Mutex<Sky>>,
}

impl Weather {
    fn new(local: LocalAws, seed: u64, contested: Vec<String>, moving: Vec<Moving>) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let foreign_left = random.usize(0..3);
        let sky = Sky {
            random,
            buckets: HashMap::new(),
            storm_until: Instant::now(),
            expires: None,
            known: HashMap::new(),
            last_write: None,
            contested,
            foreign_left,
            foreign: Vec::new(),
            moving,
            moved: BTreeMap::new(),
            run: 0,
            calm: false,
            tally: Tally::default(),
        };
        Self { local, sky: Arc::new(Mutex::new(sky)) }
    }

    fn sky(&self) -> std::sync::MutexGuard<'_, Sky> {
        self.sky.lock().unwrap()
    }

    fn client(&self) -> SharedHttpClient {
        let connector = SharedHttpConnector::new(self.clone());
        http_client_fn(move |_, _| connector.clone())
    }

    /// Writes a parameter as another writer.
    fn write_as_other(&self) {
        let mut sky = self.sky();
        if sky.calm || sky.foreign_left == 0 || sky.contested.is_empty() || sky.random.u8(..100) >= 8 {
            return;
        }
        let many = sky.contested.len();
        let place = sky.random.usize(..many);
        let name = sky.contested[place].clone();
        let content = format!("version: \"1\"\nrules:\n  - {{ name: theirs-{}, effect: deny }}\n", sky.foreign_left);
        let body = json!({ "Name": name, "Value": content, "Overwrite": true });
        let live = self.local.answer(&request("GetParameter", &json!({ "Name": name })));
        let exists = live.status == 200;
        let live: Value = serde_json::from_slice(&live.body).unwrap_or_default();
        // A write that they replace themselves need not be reported.
        sky.foreign.retain(|write| live["Parameter"]["Value"] != *write.content);
        if exists && self.local.answer(&request("PutParameter", &body)).status == 200 {
            sky.foreign_left -= 1;
            let run = sky.run;
            sky.foreign.push(ForeignWrite { run, name, content });
            sky.tally.meet("another writer");
        }
    }

    /// Raises the warm throughput of a table like AWS, or sets its capacity like another tool.
    fn move_units(&self) {
        let mut sky = self.sky();
        if sky.calm || sky.moving.is_empty() || sky.random.u16(..1000) >= 15 {
            return;
        }
        let many = sky.moving.len();
        let place = sky.random.usize(..many);
        let Moving { name, external } = sky.moving[place].clone();
        let table = described(&self.local, &name);
        let mut moved = sky.moved.get(&name).filter(|moved| moved.id == table["TableId"]).cloned().unwrap_or_default();
        moved.id = table["TableId"].clone();
        let mut update = json!({ "TableName": name });
        if external && table["BillingModeSummary"]["BillingMode"] != "PAY_PER_REQUEST" && sky.random.bool() {
            let units = (sky.random.i64(2..9), sky.random.i64(2..9));
            moved.capacity = Some(units);
            update["ProvisionedThroughput"] = json!({ "ReadCapacityUnits": units.0, "WriteCapacityUnits": units.1 });
        } else {
            moved.warm = table["WarmThroughput"]["ReadUnitsPerSecond"].as_i64().unwrap_or(12_000) + 500;
            update["WarmThroughput"] = json!({ "ReadUnitsPerSecond": moved.warm });
        }
        if dynamodb(&self.local, "UpdateTable", &update).status == 200 {
            sky.moved.insert(name, moved);
            sky.tally.meet("units moved");
        }
    }

    /// Returns whether a parameter has the content of a foreign write.
    fn is_live(local: &LocalAws, write: &ForeignWrite) -> bool {
        let live = local.answer(&request("GetParameter", &json!({ "Name": write.name })));
        let live: Value = serde_json::from_slice(&live.body).unwrap_or_default();
        live["Parameter"]["Value"] == *write.content
    }

    async fn answer(self, request: Request) -> Result<Answer, ConnectorError> {
        let operation = request.operation();
        let (fate, there, back) = self.sky().fate(&request, &operation);
        tokio::time::sleep(there).await;
        let query = request.target.is_empty();
        let reset = || Err(ConnectorError::io("connection reset by peer".into()));
        let effect = || {
            self.write_as_other();
            self.move_units();
            let answer = self.local.answer(&request);
            self.sky().note(&request, &operation, &answer);
            answer
        };
        let answer = match fate {
            Fate::Answered => effect(),
            Fate::Throttled => refusal(query, 400, "ThrottlingException", "Rate exceeded"),
            Fate::Fault => refusal(query, 500, "InternalServerError", "by the weather"),
            Fate::Reset => return reset(),
            Fate::Hangs => {
                tokio::time::sleep(Duration::from_secs(3600)).await;
                return reset();
            }
            Fate::Lost { reset: removed } => {
                effect();
                if removed {
                    return reset();
                }
                refusal(query, 500, "InternalServerError", "by the weather, after it took effect")
            }
            Fate::Expired => {
                refusal(query, 400, "ExpiredTokenException", "The security token included in the request is expired")
            }
            Fate::Stale(answer) => answer,
        };
        tokio::time::sleep(back).await;
        Ok(answer)
    }
}

fn request(operation: &str, body: &Value) -> Request {
    Request::new(format!("AmazonSSM.{operation}"), "", body.to_string().into_bytes())
}

fn dynamodb(local: &LocalAws, operation: &str, body: &Value) -> Answer {
    local.answer(&Request::new(format!("DynamoDB_20120810.{operation}"), "", body.to_string().into_bytes()))
}

/// Returns the description of a table, or null.
fn described(local: &LocalAws, name: &str) -> Value {
    let answer = dynamodb(local, "DescribeTable", &json!({ "TableName": name }));
    let mut answer: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    answer["Table"].take()
}

/// Returns the Application Auto Scaling resources with a scalable target.
fn scaled(local: &LocalAws) -> Vec<String> {
    let body = json!({ "ServiceNamespace": "dynamodb" }).to_string().into_bytes();
    let target = String::from("AnyScaleFrontendService.DescribeScalableTargets");
    let answer: Value = serde_json::from_slice(&local.answer(&Request::new(target, "", body)).body).unwrap_or_default();
    let targets = answer["ScalableTargets"].as_array().cloned().unwrap_or_default();
    targets.iter().filter_map(|target| target["ResourceId"].as_str().map(str::to_owned)).collect()
}

/// Returns an error in the protocol of the service.
fn refusal(query: bool, status: u16, code: &str, message: &str) -> Answer {
    if !query {
        return Answer::error(status, code, message);
    }
    let body = format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>{code}</Code>\
         <Message>{message}</Message></Error></ErrorResponse>"
    );
    Answer { status, content_type: "text/xml", body: body.into_bytes() }
}

impl Sky {
    /// Decides the result of a request, and the duration of its round trip.
    fn fate(&mut self, request: &Request, operation: &str) -> (Fate, Duration, Duration) {
        self.tally.requests += 1;
        if self.calm {
            return (Fate::Answered, Duration::ZERO, Duration::ZERO);
        }
        let now = Instant::now();
        let trip = Duration::from_millis(self.random.u64(5..40));
        let tail =
            if self.random.u8(..100) < 3 { Duration::from_millis(self.random.u64(500..8000)) } else { Duration::ZERO };
        let fate = |sky: &mut Self, fate: Fate, what: &'static str| {
            sky.tally.meet(what);
            (fate, trip, trip + tail)
        };
        if self.expires.is_some_and(|at| now >= at) {
            return fate(self, Fate::Expired, "expired token");
        }
        let (rate, burst) = quota(operation);
        let bucket = self.buckets.entry(operation.to_owned()).or_insert((burst, now));
        bucket.0 = (bucket.0 + now.duration_since(bucket.1).as_secs_f64() * rate).min(burst);
        bucket.1 = now;
        if bucket.0 < 1.0 {
            return fate(self, Fate::Throttled, "throttled by quota");
        }
        bucket.0 -= 1.0;
        if self.random.u16(..1000) < 3 {
            self.storm_until = now + Duration::from_secs(self.random.u64(1..20));
            self.tally.meet("storm");
        }
        let storm = now < self.storm_until;
        let dice = self.random.u16(..1000);
        let writes = !reads(operation);
        match dice {
            0..30 => fate(self, Fate::Throttled, "throttled"),
            30..45 => fate(self, Fate::Fault, "5xx"),
            45..60 => fate(self, Fate::Reset, "connection reset"),
            60..63 => fate(self, Fate::Hangs, "hanging connection"),
            63..103 if writes => {
                let reset = self.random.bool();
                fate(self, Fate::Lost { reset }, "lost answer")
            }
            200..600 if storm => match self.random.bool() {
                true => fate(self, Fate::Throttled, "throttled in a storm"),
                false => fate(self, Fate::Fault, "5xx in a storm"),
            },
            600..640
                if !writes && self.last_write.is_some_and(|at| now.duration_since(at) < Duration::from_secs(2)) =>
            {
                match self.known.get(&(request.target.clone(), request.body.clone())).cloned() {
                    Some(answer) => fate(self, Fate::Stale(answer), "stale read"),
                    None => (Fate::Answered, trip, trip + tail),
                }
            }
            _ => (Fate::Answered, trip, trip + tail),
        }
    }

    /// Records the result of a request.
    fn note(&mut self, request: &Request, operation: &str, answer: &Answer) {
        if reads(operation) {
            self.known.insert((request.target.clone(), request.body.clone()), answer.clone());
        } else if answer.status == 200 {
            self.tally.writes += 1;
            self.last_write = Some(Instant::now());
        }
    }
}

impl HttpConnector for Weather {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let header = |name: &str| request.headers().get(name).unwrap_or_default().to_owned();
        let body = request.body().bytes().map(<[u8]>::to_vec).unwrap_or_default();
        let answer = self.clone().answer(Request::new(header("x-amz-target"), &header("authorization"), body));
        HttpConnectorFuture::new(async move {
            let answer = answer.await?;
            let mut response = HttpResponse::new(answer.status.try_into().unwrap(), SdkBody::from(answer.body));
            response.headers_mut().insert("content-type", answer.content_type);
            Ok(response)
        })
    }
}

/// Interrupts at a step.
struct Cut {
    steps: RefCell<usize>,
    at: Option<usize>,
    interrupt: Interrupt,
}

impl Progress for Cut {
    fn step(&self, _: &ResourcePlan, _: &Step) {
        *self.steps.borrow_mut() += 1;
        if Some(*self.steps.borrow()) == self.at {
            self.interrupt.raise();
        }
    }

    fn done(&self, _: &ResourcePlan, _: &Outcome) {}
}

#[derive(Debug, Default)]
struct RunReport {
    /// The plan, if there was one.
    plan: Option<Plan>,
    /// Whether the apply completed.
    ended: bool,
    /// The names of the resources that changed after the plan.
    conflicts: Vec<String>,
    /// The outcomes of the others.
    others: Vec<String>,
}

/// Plans and applies, until the run ends or is ended. `run_report` has its report so far.
async fn run(
    client: SharedHttpClient,
    text: &str,
    folder: &Path,
    scope: Scope,
    cut: Option<usize>,
    run_report: &RefCell<RunReport>,
) {
    let interrupt = Interrupt::default();
    let loaded = load(text, folder);
    let reader = reader(client, &interrupt).await;
    // Like every plan of a manifest, this one looks for orphans.
    let scope = Scope { ownership: loaded.manifest.aws.ownership_key(), ..scope };
    let Ok(pass) = reconcile::plan(&reader, target(&loaded), &loaded.desired, scope).await else { return };
    run_report.borrow_mut().plan = Some(pass.plan.clone());
    let writer = Writer::new(reader, Waiting { limit: Duration::from_secs(24 * 3600), for_indexes: true });
    let record = Cut { steps: RefCell::new(0), at: cut, interrupt: interrupt.clone() };
    let report = reconcile::apply(&writer, &pass, &interrupt, &record).await;
    let mut run_report = run_report.borrow_mut();
    run_report.ended = true;
    for resource in report.resources {
        match resource.outcome {
            Outcome::Conflicted { .. } => run_report.conflicts.push(resource.name),
            other => run_report.others.push(format!("{} {other:?}", resource.name)),
        }
    }
}

/// Everything that exists and is not part of the manifest, as AWS describes it.
fn resources_of_others(local: &LocalAws) -> Vec<Value> {
    let ask = |service: &str, operation: &str, body: Value| {
        let request = Request::new(format!("{service}.{operation}"), "", body.to_string().into_bytes());
        serde_json::from_slice(&local.answer(&request).body).unwrap_or_default()
    };
    vec![
        ask("AmazonSSM", "GetParameter", json!({ "Name": "/elsewhere/theirs" })),
        ask("AmazonSSM", "GetParameterHistory", json!({ "Name": "/elsewhere/theirs" })),
        ask("AmazonSSM", "GetParameter", json!({ "Name": "/sentinel/policies/deep/theirs" })),
        ask("DynamoDB_20120810", "DescribeTable", json!({ "TableName": "their-table" }))["Table"]["TableArn"].take(),
        ask("DynamoDB_20120810", "DescribeTimeToLive", json!({ "TableName": "their-table" })),
    ]
}

/// Returns a world with the case's live state, and resources of others.
async fn world(case: &Case, folder: &Path, rules: Rules) -> LocalAws {
    let local = LocalAws::memory(rules);
    for name in ["/elsewhere/theirs", "/sentinel/policies/deep/theirs"] {
        local.answer(&request("PutParameter", &json!({ "Name": name, "Value": "theirs", "Type": "String" })));
    }
    let table = json!({
        "TableName": "their-table", "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
        "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
    });
    local.answer(&Request::new(String::from("DynamoDB_20120810.CreateTable"), "", table.to_string().into_bytes()));
    if case.secret {
        let body = json!({ "Name": "/sentinel/policies/p0", "Value": "hush", "Type": "SecureString" });
        local.answer(&request("PutParameter", &body));
    }
    let run_report = RefCell::default();
    run(SharedHttpClient::new(local.clone()), &case.live, folder, Scope::of(Intent::Converge), None, &run_report).await;
    local
}

/// The address of a resource, and its result in a plan: the action, and the paths of its differences.
type End = (String, Action, Vec<String>);

/// The maximum number of runs of a scenario; most of them are interrupted.
const RUNS: usize = 60;
/// The number of runs at the start that are interrupted themselves.
const ROUGH: usize = 12;

/// Runs a scenario; returns its failure, or its events.
async fn live(case: &Case, seed: u64) -> Result<Tally, String> {
    let folder = tempfile::tempdir().unwrap();
    write_files(folder.path());
    let mut random = fastrand::Rng::with_seed(seed ^ 0x5eed);
    let mut seconds = |least: u64, most: u64| Duration::from_secs(random.u64(least..=most));
    let rules = Rules {
        table_creation: seconds(2, 300),
        table_update: seconds(1, 50),
        encryption_change: seconds(1, 40),
        index_backfill: seconds(3, 1000),
        index_deletion: seconds(1, 120),
        backups_delay: seconds(1, 20),
        ..Rules::default()
    };
    let day = Duration::from_secs(25 * 3600);

    // The result without failures: the final state, and the number of writes.
    let calm = Weather::new(world(case, folder.path(), rules).await, seed, Vec::new(), Vec::new());
    calm.sky().calm = true;
    let mut good = None;
    for _ in 0..8 {
        tokio::time::sleep(day).await;
        let run_report = RefCell::default();
        run(calm.client(), &case.desired, folder.path(), case.scope.clone(), None, &run_report).await;
        good = run_report.into_inner().plan;
        if good.as_ref().is_some_and(|plan| !plan.has_steps()) {
            break;
        }
    }
    let good = good.ok_or("there was no plan on a good day")?;
    let least = calm.sky().tally.writes;

    let local = world(case, folder.path(), rules).await;
    tokio::time::sleep(day).await;
    let before = resources_of_others(&local);
    let loaded = load(&case.desired, folder.path());
    let named = loaded
        .desired
        .iter()
        .filter_map(|one| one.of::<sentinel::kind::policy_parameter::PolicyParameter>())
        .filter(|one| one.managed.content.is_some());
    // Refused resources are not changed, even if another writer changes them.
    let refused = |name: &String| good.resources.iter().any(|one| one.name == *name && one.action == Action::Refused);
    let contested = named.map(|one| one.name.clone()).filter(|name| !refused(name)).collect();
    let tables = || loaded.desired.iter().filter_map(|one| one.of::<Table>());
    let moving = tables().filter(|table| !refused(&table.name)).map(|table| Moving {
        name: table.name.clone(),
        external: table.managed.billing == Some(Billing::External) && table.managed.settings.autoscaling.is_none(),
    });
    let weather = Weather::new(local.clone(), seed, contested, moving.collect());
    let mut reported = Reported::default();
    let mut done = false;
    let mut diary = String::new();
    for number in 0..RUNS {
        tokio::time::sleep(day).await;
        let rough = number < ROUGH;
        let left = weather.sky().foreign_left;
        let (cut, killed) = {
            let mut sky = weather.sky();
            sky.tally.runs += 1;
            sky.run = number;
            sky.expires = None;
            let dice = if rough { sky.random.u8(..100) } else { 99 };
            // Most runs are short, and some take long.
            let most = if sky.random.bool() { 3_000 } else { 300_000 };
            let after = Duration::from_millis(sky.random.u64(1..most));
            match dice {
                0..25 => {
                    sky.tally.meet("interrupted");
                    (Some(sky.random.usize(1..12)), None)
                }
                25..60 => {
                    sky.tally.meet("killed");
                    (None, Some(after))
                }
                60..75 => {
                    sky.expires = Some(Instant::now() + after);
                    (None, None)
                }
                _ => (None, None),
            }
        };
        let run_report = RefCell::default();
        let work = run(weather.client(), &case.desired, folder.path(), case.scope.clone(), cut, &run_report);
        // A killed run stops immediately.
        let ended = tokio::time::timeout(killed.unwrap_or(day * 7), work).await;
        let run_report = run_report.into_inner();
        let planned = run_report.plan.as_ref().map(|plan| {
            let line = |one: &ResourcePlan| format!("{} {:?}", one.name, one.action);
            plan.resources.iter().map(line).collect::<Vec<_>>()
        });
        let theirs = weather.sky().foreign.clone();
        let end = if ended.is_err() { "killed" } else { "ended" };
        let _ = writeln!(
            diary,
            "run {number}, cut {cut:?}, {end}; planned {planned:?}, came to {:?}; theirs {theirs:?}",
            run_report.others
        );
        if ended.is_err() {
            if killed.is_none() {
                return Err(format!("run {number} did not end within a week\n{diary}"));
            }
            reported.killed(number, &theirs, |write| Weather::is_live(&local, write));
        }
        reported.conflicts.extend(run_report.conflicts.into_iter().map(|name| (number, name)));
        let Some(plan) = run_report.plan else { continue };
        for change in plan.resources.iter().flat_map(|resource| &resource.changes) {
            if let FieldValue::Document(live) = &change.sides.live {
                reported.shown.insert(live.to_string());
            }
        }
        // The run could not see writes after its read.
        let alone = weather.sky().foreign_left == left;
        if run_report.ended && !plan.has_steps() && plan.gaps().next().is_none() && alone {
            done = true;
            break;
        }
    }
    if !done {
        return Err(format!("it was not done after {RUNS} runs\n{diary}"));
    }

    // Compares the final state without failures.
    tokio::time::sleep(day).await;
    weather.sky().calm = true;
    let run_report = RefCell::default();
    run(weather.client(), &case.desired, folder.path(), case.scope.clone(), None, &run_report).await;
    let plan = run_report.into_inner().plan.ok_or("there was no plan afterwards")?;
    let sky = weather.sky();
    let mut wrong = String::new();
    let ends = |plan: &Plan| -> Vec<End> {
        let end = |one: &ResourcePlan| {
            let paths = one.changes.iter().map(|change| change.path.clone()).collect();
            (one.address.to_string(), one.action.clone(), paths)
        };
        plan.resources.iter().map(end).collect()
    };
    // An outdated read can hide a refused difference, so that other differences of its resource are applied.
    let is_same = |(now, good): (&End, &End)| {
        let is_part = now.1 == Action::Refused && sky.tally.of("stale read") > 0;
        now == good
            || ((&now.0, &now.1) == (&good.0, &good.1) && is_part && now.2.iter().all(|path| good.2.contains(path)))
    };
    let is_expected = |now: &[End], good: &[End]| now.len() == good.len() && now.iter().zip(good).all(is_same);
    if plan.has_steps() || !is_expected(&ends(&plan), &ends(&good)) {
        let _ = writeln!(wrong, "it ended as\n{:#?}\nand not as\n{:#?}", ends(&plan), ends(&good));
    }
    if resources_of_others(&local) != before {
        let _ = writeln!(
            wrong,
            "what is no part of the manifest was changed: {before:#?}\n{:#?}",
            resources_of_others(&local)
        );
    }
    for write in sky.foreign.iter().filter(|write| !Weather::is_live(&local, write) && !reported.accounts_for(write)) {
        let _ = writeln!(wrong, "the write of someone else was lost and not reported: {write:?}");
    }
    for (name, moved) in &sky.moved {
        let table = described(&local, name);
        let units = |what: &str| table["ProvisionedThroughput"][what].as_i64().unwrap_or_default();
        let is_lowered = table["WarmThroughput"]["ReadUnitsPerSecond"].as_i64().unwrap_or_default() < moved.warm;
        let is_moved = |set: (i64, i64)| (units("ReadCapacityUnits"), units("WriteCapacityUnits")) != set;
        if table["TableId"] == moved.id && (is_lowered || moved.capacity.is_some_and(is_moved)) {
            let _ = writeln!(wrong, "what something else set of {name} was changed: {moved:?}\n{table:#}");
        }
    }
    // With managed autoscaling, no deleted resource is scaled.
    for resource in scaled(&local) {
        let mut parts = resource.split('/').skip(1);
        let (name, index) = (parts.next().unwrap_or_default(), parts.nth(1));
        let managed =
            tables().find(|table| table.name == name).map(|table| table.managed.settings.autoscaling.is_some());
        let table = described(&local, name);
        let is_index = |index: &str| {
            table["GlobalSecondaryIndexes"]
                .as_array()
                .is_some_and(|all| all.iter().any(|one| one["IndexName"] == *index))
        };
        let is_there = !table.is_null() && index.is_none_or(is_index);
        if !is_there && (managed == Some(true) || table.is_null()) {
            let _ = writeln!(wrong, "{resource} is gone, and its scalable target is not");
        }
    }
    // Each lost response can repeat a write, and each foreign write is overwritten. Autoscaling takes two writes, and so does the creation
    // of a key and its alias: a run that ends between them has made one, and the next run makes both.
    let pairs = |count: usize| sky.tally.runs * count;
    let halves = pairs(if case.desired.contains("autoscaling") { tables().count() } else { 0 })
        + pairs(usize::from(case.desired.contains("[keys.")));
    // A stale read hides a difference from a run, and a later run makes another write for it.
    let repeated = sky.tally.of("lost answer") + sky.tally.of("stale read");
    let most = least + repeated + 2 * sky.foreign.len() + halves;
    if sky.tally.writes > most {
        let _ = writeln!(wrong, "{} writes, where {least} are needed and {most} could be", sky.tally.writes);
    }
    let attempts = 400 * (loaded.desired.len() + 4) * sky.tally.runs;
    if sky.tally.requests > attempts {
        let _ = writeln!(wrong, "{} requests in {} runs", sky.tally.requests, sky.tally.runs);
    }
    let mut tally = sky.tally.clone();
    tally.met.insert("writes above the lower bound", tally.writes.saturating_sub(least));
    if wrong.is_empty() { Ok(tally) } else { Err(wrong + &diary) }
}

/// Returns the result of a scenario, in its own virtual time.
fn outcome(case: &Case, seed: u64) -> Result<Tally, String> {
    let work = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(live(case, seed))
    };
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<String>().cloned();
        Err(words.or_else(|| panic.downcast_ref::<&str>().map(|&words| words.to_owned())).unwrap_or_default())
    })
}

/// Runs a seed; a failing case is reduced while it still fails.
fn tried(seed: u64) -> Result<Tally, String> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let mut tree = cases().new_tree(&mut runner).unwrap();
    let mut failed = match outcome(&tree.current(), seed) {
        Ok(tally) => return Ok(tally),
        Err(why) => (tree.current(), why),
    };
    let mut tries = 0;
    while tries < 200 && tree.simplify() {
        tries += 1;
        while outcome(&tree.current(), seed).is_ok() {
            tries += 1;
            if tries >= 200 || !tree.complicate() {
                break;
            }
        }
        if let Err(why) = outcome(&tree.current(), seed) {
            failed = (tree.current(), why);
        }
    }
    Err(format!("seed {seed}: {}\n{:#?}", failed.1, failed.0))
}

#[test]
fn repeated_runs_reach_the_manifest_state_despite_failures() {
    let number = |name: &str, default: u64| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let seeds = number("WEATHER_SEEDS", 20);
    let start = number("WEATHER_START", 1);
    let next = Arc::new(Mutex::new(start));
    let workers: Vec<_> = (0..std::thread::available_parallelism().map_or(2, usize::from))
        .map(|_| {
            let next = Arc::clone(&next);
            std::thread::spawn(move || {
                let (mut sum, mut failed, mut count) = (Tally::default(), Vec::new(), 0_u64);
                loop {
                    let seed = {
                        let mut next = next.lock().unwrap();
                        if *next >= start + seeds {
                            return (sum, failed, count);
                        }
                        *next += 1;
                        *next - 1
                    };
                    match tried(seed) {
                        Ok(tally) => sum.add(&tally),
                        Err(why) => failed.push(why),
                    }
                    count += 1;
                }
            })
        })
        .collect();
    let (mut sum, mut failed, mut count) = (Tally::default(), Vec::new(), 0);
    for worker in workers {
        let (tally, wrong, seeds) = worker.join().unwrap();
        sum.add(&tally);
        failed.extend(wrong);
        count += seeds;
    }
    println!("seeds {start} to {}: {} of {count} converged", start + seeds - 1, count - failed.len() as u64);
    println!("{} runs, {} requests, {} writes", sum.runs, sum.requests, sum.writes);
    for (what, times) in &sum.met {
        println!("{times:>9}  {what}");
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    // All kinds of failures occurred.
    for what in ["throttled", "5xx", "connection reset", "lost answer", "killed", "interrupted", "expired token"] {
        assert!(sum.of(what) > 0 || seeds < 20, "no {what}");
    }
}

#[test]
fn a_killed_run_excuses_only_foreign_writes_that_it_replaced() {
    let write = |run, name: &str| ForeignWrite { run, name: name.to_owned(), content: format!("{name} in {run}") };
    let (before, replaced, live) = (write(0, "p1"), write(1, "p1"), write(1, "p2"));
    let mut reported = Reported::default();
    reported.killed(1, &[before.clone(), replaced.clone(), live.clone()], |write| *write == live);
    assert!(reported.accounts_for(&replaced));
    assert!(!reported.accounts_for(&before), "it was made before the run, whose plan shows it");
    assert!(!reported.accounts_for(&live), "the next plan shows it");
    assert!(!reported.accounts_for(&write(2, "p1")), "it was made after the run");
}

#[test]
fn a_conflict_reports_only_the_writes_to_its_resource_during_its_run() {
    let write = |run, name: &str| ForeignWrite { run, name: name.to_owned(), content: String::new() };
    let mut reported = Reported::default();
    reported.conflicts.insert((1, String::from("/policies/p10")));
    assert!(reported.accounts_for(&write(1, "/policies/p10")));
    assert!(!reported.accounts_for(&write(1, "/policies/p1")));
    assert!(!reported.accounts_for(&write(2, "/policies/p10")));
}
