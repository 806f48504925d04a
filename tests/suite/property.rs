//! Random manifests, live states and consents: the changes equal the plan.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use proptest::prelude::*;
use sentinel::change::Consent;
use sentinel::kind::key::KeyStep;
use sentinel::kind::policy_parameter::PolicyParameter;
use sentinel::kind::role::RoleStep;
use sentinel::kind::table::{TableChange, TableStep};
use sentinel::kind::topic::TopicStep;
use sentinel::kind::{DesiredResource, Step, Waiting};
use sentinel::local::{LocalAws, Request, Rules};
use sentinel::planfile::{Origin, PlanFile, SavedReviewInput, SavedReviewInputs, SavedTarget};
use sentinel::provider::Writer;
use sentinel::reconcile::{self, Action, Intent, Outcome, Pass, Progress, ResourcePlan, Scope};
use sentinel::resource::interrupt::Interrupt;
use sentinel::resource::names::{OwnerKey, UserId};
use sentinel::review::Review;
use serde_json::json;

use crate::engine::{load, reader, target};

/// Records every step that starts, and interrupts after a number of them.
#[derive(Default)]
struct Record {
    steps: RefCell<Vec<(String, Step)>>,
    cut: Option<(usize, Interrupt)>,
}

impl Progress for Record {
    fn step(&self, resource: &ResourcePlan, step: &Step) {
        self.steps.borrow_mut().push((resource.address.to_string(), step.clone()));
        if let Some((_, interrupt)) = self.cut.as_ref().filter(|(cut, _)| self.steps.borrow().len() == *cut) {
            interrupt.raise();
        }
    }

    fn done(&self, _: &ResourcePlan, _: &Outcome) {}
}

/// A table's settings, as lines of a manifest.
#[derive(Debug, Clone)]
struct Table {
    key: (usize, Option<usize>),
    /// Its billing mode with the dependent settings.
    paid: &'static str,
    settings: String,
    indexes: Vec<Index>,
    /// The local indexes, if managed: name, sort key and projection.
    local: Option<Vec<(u8, usize, &'static str)>>,
    /// Whether the attributes of indexes have other types than usual.
    flipped: bool,
}

/// A global index.
#[derive(Debug, Clone)]
struct Index {
    name: u8,
    partition: usize,
    sort: Option<usize>,
    projection: &'static str,
    /// Which of the capacities or limits it has that its table supports.
    units: usize,
}

const ON_DEMAND: &str = "billing_mode = \"PAY_PER_REQUEST\"\n";

/// Billing modes, with their capacity, limits and autoscaling.
const PAID: &[&str] = &[
    "",
    "",
    ON_DEMAND,
    "billing_mode = \"PAY_PER_REQUEST\"\nmax_read = 100\nmax_write = false\n",
    "max_write = 50\n",
    "billing_mode = \"PROVISIONED\"\nread_capacity = 3\nwrite_capacity = 2\n",
    "billing_mode = \"PROVISIONED\"\nread_capacity = 1\nwrite_capacity = 1\nautoscaling = false\n",
    "billing_mode = \"PROVISIONED\"\ncapacity = \"external\"\n",
    "billing_mode = \"PROVISIONED\"\nautoscaling = { read = { min = 2, max = 9 }, write = { min = 2, max = 5, target = 50 } }\n",
    "billing_mode = \"PROVISIONED\"\nautoscaling = { read = false, write = { min = 4, max = 9 } }\n",
];

/// The capacity or limits that an index of such a table can have.
fn units(paid: &str, choice: usize) -> &'static str {
    let all = match paid.contains("PROVISIONED") {
        true => [
            "",
            "read_capacity = 4\nwrite_capacity = 1\n",
            "autoscaling = { read = { min = 4, max = 9 }, write = { min = 3, max = 9, target = 40 } }\n",
            "autoscaling = false\n",
        ],
        false => {
            ["", "max_read = 40\n", "max_read = false\nmax_write = 30\n", "warm_read = 14000\nwarm_write = 5000\n"]
        }
    };
    all[choice % all.len()]
}

/// Returns an attribute; the first two are the keys of tables.
fn attribute(place: usize, flipped: bool) -> String {
    let (name, kind, other) =
        [("a", "S", "S"), ("b", "N", "N"), ("c", "B", "S"), ("d", "S", "N"), ("e", "N", "S")][place % 5];
    format!("{{ name = \"{name}\", type = \"{}\" }}", if flipped { other } else { kind })
}

fn key(partition: usize, sort: Option<usize>, flipped: bool) -> String {
    let sort = sort.map(|step| format!("sort_key = {}\n", attribute(partition + step, flipped)));
    format!("partition_key = {}\n{}", attribute(partition, flipped), sort.unwrap_or_default())
}

impl Table {
    fn manifest(&self, number: usize) -> String {
        let mut text = format!("[tables.t{number}]\nname = \"table-{number}\"\n{}", key(self.key.0, self.key.1, false));
        text.push_str(self.paid);
        text.push_str(&self.settings);
        if self.local.as_ref().is_some_and(Vec::is_empty) {
            text.push_str("local_indexes = {}\n");
        }
        for Index { name, partition, sort, projection, units: choice } in &self.indexes {
            let key = key(*partition, *sort, self.flipped);
            let units = units(self.paid, *choice);
            text.push_str(&format!("[tables.t{number}.indexes.index-{name}]\n{key}{projection}{units}"));
        }
        for (name, sort, projection) in self.local.iter().flatten() {
            let sort = attribute(*sort, self.flipped);
            text.push_str(&format!("[tables.t{number}.local_indexes.local-{name}]\nsort_key = {sort}\n{projection}"));
        }
        text
    }

    /// AWS accepts replicas only of on-demand tables with a stream, customer managed keys for all of them or none, and local indexes only
    /// on tables with a sort key.
    fn possible(mut self) -> Self {
        if self.key.1.is_none() {
            self.local = None;
        }
        if self.settings.contains("eu-west-1") {
            let other = ["encryption", "stream = false"];
            let rest = self.settings.lines().filter(|line| !other.iter().any(|head| line.starts_with(head)));
            let rest: String = rest.map(|line| format!("{line}\n")).collect();
            self.settings = format!("encryption = \"aws-owned\"\n{rest}");
            self.paid = ON_DEMAND;
        }
        self
    }
}

fn tables(live: bool) -> impl Strategy<Value = Table> {
    let settings = [
        vec!["", "ttl_attribute = \"expires_at\"\n", "ttl_attribute = \"other\"\n", "ttl_attribute = false\n"],
        vec![
            "",
            "encryption = \"aws-owned\"\n",
            "encryption = \"aws-managed\"\n",
            "encryption = \"arn:aws:kms:us-east-1:123456789012:key/k\"\n",
            "encryption = { key = \"k0\" }\n",
        ],
        vec![
            "",
            "",
            "replicas = {}\n",
            "replicas = { eu-west-1 = {} }\n",
            "replicas = { ap-northeast-1 = { tags = { a = \"1\" } }, eu-west-1 = { deletion_protection = true } }\n",
            "replicas = { eu-west-1 = { deletion_protection = false, point_in_time_recovery = true, \
             table_class = \"STANDARD_INFREQUENT_ACCESS\", tags = { a = \"2\", b = \"\" } } }\n",
        ],
        vec!["", "point_in_time_recovery = true\n", "point_in_time_recovery = false\n"],
        vec!["", "deletion_protection = true\n", "deletion_protection = false\n"],
        vec!["", "table_class = \"STANDARD\"\n", "table_class = \"STANDARD_INFREQUENT_ACCESS\"\n"],
        vec!["", "", "warm_read = 13000\n", "warm_read = 12000\nwarm_write = 6000\n"],
        vec!["", "", "contributor_insights = \"THROTTLED_KEYS\"\n", "contributor_insights = false\n"],
        vec!["", "stream = false\n", "stream = \"KEYS_ONLY\"\n", "stream = \"NEW_IMAGE\"\n"],
        vec![
            "",
            "tags = {}\n",
            "tags = { a = \"1\", \"odd: key/+\" = \"é =@\" }\n",
            "tags = { a = \"2\", b = \"\" }\n",
        ],
    ];
    let settings: Vec<_> = settings.into_iter().map(proptest::sample::select).collect();
    let projection = || {
        proptest::sample::select(vec![
            "",
            "projection = \"KEYS_ONLY\"\n",
            "projection = { include = [\"x\", \"y\"] }\n",
        ])
    };
    // Few names, so that the same index is often on both sides, with equal or different keys.
    let index = (0..4u8, 2..5usize, prop::option::of(Just(1usize)), projection(), 0..4usize)
        .prop_map(|(name, partition, sort, projection, units)| Index { name, partition, sort, projection, units });
    let indexes = prop::collection::vec(index, 0..4).prop_map(|mut indexes| {
        let mut names = BTreeSet::new();
        indexes.retain(|index| names.insert(index.name));
        indexes
    });
    // Most tables have equal local indexes, because nothing else can be repaired in the others.
    let local = (Just(0u8), 2..4usize, prop_oneof![4 => Just(""), 1 => projection()]).prop_map(|one| vec![one]);
    let local = prop_oneof![5 => Just(None), 1 => Just(Some(Vec::new())), 2 => local.prop_map(Some)];
    // Most tables have the desired key, because nothing else can be repaired in the others.
    let key = prop_oneof![9 => Just((0, Some(1))), 1 => Just((0, None)), 1 => Just((1, None))];
    let paid = proptest::sample::select(PAID);
    let flipped = prop::bool::weighted(if live { 0.3 } else { 0.0 });
    (key, paid, settings, indexes, local, flipped).prop_map(|(key, paid, settings, indexes, local, flipped)| {
        Table { key, paid, settings: settings.concat(), indexes, local, flipped }.possible()
    })
}

/// Generates SSM parameters.
fn parameters() -> impl Strategy<Value = Vec<String>> {
    let parameter = (
        proptest::sample::select(vec![
            "value = \"one\"\n",
            "value = \"two\"\n",
            "value = [\"one\", \"two\"]\n",
            "initial = \"one\"\n",
            "value = \"one\"\ntype = \"SecureString\"\n",
        ]),
        proptest::sample::select(vec!["", "", "tier = \"standard\"\n", "tier = \"advanced\"\n"]),
        proptest::sample::select(vec!["", "description = \"what it is\"\n", "allowed_pattern = \"[a-z,]+\"\n"]),
        proptest::sample::select(vec!["", "labels = [\"live\"]\n"]),
        proptest::sample::select(vec!["", "tags = {}\n", "tags = { a = \"1\" }\n"]),
    );
    prop::collection::vec(parameter, 0..3).prop_map(|parameters| {
        let section = |(number, one): (usize, &(&str, &str, &str, &str, &str))| {
            let (value, tier, extra, labels, tags) = one;
            format!("[parameters.q{number}]\nname = \"/app/q{number}\"\n{value}{tier}{extra}{labels}{tags}")
        };
        parameters.iter().enumerate().map(section).collect()
    })
}

/// Generates the key `k0`, to which tables and topics refer, or none. `resolved` fixes a manifest that refers to it without having it.
fn keys() -> impl Strategy<Value = Vec<String>> {
    let key = (
        proptest::sample::select(vec!["", "description = \"one\"\n", "description = \"two\"\n"]),
        proptest::sample::select(vec!["", "rotation = true\n", "rotation = false\n", "rotation_days = 100\n"]),
        proptest::sample::select(vec!["", "policy = \"key.json\"\n"]),
        proptest::sample::select(vec!["", "tags = {}\n", "tags = { a = \"1\" }\n"]),
    );
    prop::collection::vec(key, 0..2).prop_map(|keys| {
        let section = |(description, rotation, policy, tags): &(&str, &str, &str, &str)| {
            format!("[keys.k0]\n{description}{rotation}{policy}{tags}")
        };
        keys.iter().map(section).collect()
    })
}

/// Replaces references to a missing key with AWS managed keys.
fn resolved(text: String) -> String {
    if text.contains("[keys.k0]") {
        return text;
    }
    text.replace("encryption = { key = \"k0\" }", "encryption = \"aws-managed\"")
        .replace("key = { key = \"k0\" }", "key = \"alias/aws/sns\"")
}

/// Lines of a topic, and its subscriptions if they are managed.
type Topic<'a> = (&'a str, &'a str, &'a str, &'a str, Option<Vec<String>>);

/// Generates topics with subscriptions that need no confirmation.
fn topics() -> impl Strategy<Value = Vec<String>> {
    let subscription = |name: &str, setting: &str| {
        let (head, endpoint) = ("protocol = \"sqs\"\nendpoint = \"arn:aws:sqs:us-east-1:123456789012", name);
        format!(".subscriptions.{name}]\n{head}:{endpoint}\"\n{setting}")
    };
    let subscriptions = proptest::sample::subsequence(
        vec![
            subscription("one", ""),
            subscription("two", "raw = true\n"),
            subscription("three", "filter_policy = { event = [\"denied\"] }\n"),
        ],
        0..=3,
    );
    let topic = (
        proptest::sample::select(vec!["", "display_name = \"one\"\n", "display_name = \"two\"\n"]),
        proptest::sample::select(vec!["", "key = false\n", "key = \"alias/aws/sns\"\n", "key = { key = \"k0\" }\n"]),
        proptest::sample::select(vec!["", "policy = \"topic.json\"\n"]),
        proptest::sample::select(vec!["", "tags = {}\n", "tags = { a = \"1\" }\n", "tags = { a = \"2\", b = \"\" }\n"]),
        prop::option::of(subscriptions),
    );
    prop::collection::vec(topic, 0..3).prop_map(|topics| {
        let section = |(number, one): (usize, &Topic<'_>)| {
            let (display, key, policy, tags, subscriptions) = one;
            let empty = subscriptions.as_ref().is_some_and(Vec::is_empty).then_some("subscriptions = {}\n");
            let subscriptions = subscriptions.iter().flatten().map(|one| format!("[topics.s{number}{one}"));
            let subscriptions = subscriptions.collect::<String>();
            format!("[topics.s{number}]\n{display}{key}{policy}{tags}{}{subscriptions}", empty.unwrap_or_default())
        };
        topics.iter().enumerate().map(section).collect()
    })
}

/// Generates roles.
fn roles() -> impl Strategy<Value = Vec<String>> {
    let trust = vec![
        "trust = \"trust.json\"\n",
        "trusted_by = { accounts = [\"210987654321\"], external_id = \"audit\" }\n",
        "trusted_by = { principals = [\"arn:aws:iam::210987654321:role/ops\"], mfa = true }\n",
    ];
    let boundary = "permissions_boundary = \"arn:aws:iam::aws:policy/ReadOnlyAccess\"\n";
    let managed = [
        "managed_policies = [\"arn:aws:iam::aws:policy/ReadOnlyAccess\"]\n",
        "managed_policies = [\"arn:aws:iam::aws:policy/ReadOnlyAccess\", \"arn:aws:iam::aws:policy/AdministratorAccess\"]\n",
    ];
    let role = (
        proptest::sample::select(trust),
        proptest::sample::select(vec!["", "description = \"one\"\n", "max_session_duration = 7200\n"]),
        proptest::sample::select(vec!["", boundary, "permissions_boundary = false\n"]),
        proptest::sample::select(vec!["", "managed_policies = []\n", managed[0], managed[1]]),
        proptest::sample::select(vec!["", "policies = {}\n", "policies = { read = \"role.json\" }\n"]),
        proptest::sample::select(vec!["", "tags = {}\n", "tags = { a = \"1\" }\n", "tags = { a = \"2\", b = \"\" }\n"]),
    );
    prop::collection::vec(role, 0..3).prop_map(|roles| {
        let section = |(number, one): (usize, &(&str, &str, &str, &str, &str, &str))| {
            let (trust, settings, boundary, managed, policies, tags) = one;
            format!("[roles.r{number}]\n{trust}{settings}{boundary}{managed}{policies}{tags}")
        };
        roles.iter().enumerate().map(section).collect()
    })
}

/// Generates the sections of one side other than tables.
fn others() -> impl Strategy<Value = String> {
    (profiles(), parameters(), keys(), topics(), roles()).prop_map(|(profiles, parameters, keys, topics, roles)| {
        [profiles, parameters, keys, topics, roles].concat().concat()
    })
}

/// Writes the files that manifests of `cases` refer to.
pub fn write_files(folder: &Path) {
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    let policy = |name: &str| format!("version: \"1\"\nrules:\n  - {{name: {name}, effect: deny}}\n");
    write("one.yaml", &policy("one"));
    write("two.yaml", &policy("two"));
    let document =
        |statement: serde_json::Value| json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string();
    let account = json!({ "AWS": "arn:aws:iam::123456789012:root" });
    write("trust.json", &document(json!({ "Effect": "Allow", "Principal": account, "Action": "sts:AssumeRole" })));
    write("role.json", &document(json!({ "Effect": "Allow", "Action": "ssm:GetParameter", "Resource": "*" })));
    write(
        "key.json",
        &document(json!({ "Effect": "Allow", "Principal": account, "Action": "kms:*", "Resource": "*" })),
    );
    let topic = json!({ "Effect": "Allow", "Principal": account, "Action": "sns:Publish", "Resource": "*" });
    write("topic.json", &document(topic));
}

/// Generates policies with a text, a tier and tags, or none.
fn profiles() -> impl Strategy<Value = Vec<String>> {
    let profile = (
        proptest::sample::select(vec!["", "policy = \"one.yaml\"\n", "policy = \"two.yaml\"\n"]),
        proptest::sample::select(vec!["", "", "tier = \"standard\"\n", "tier = \"advanced\"\n"]),
        proptest::sample::select(vec!["", "tags = {}\n", "tags = { a = \"1\" }\n", "tags = { a = \"2\", c = \"\" }\n"]),
    );
    prop::collection::vec(profile, 0..4).prop_map(|profiles| {
        let section = |(number, (policy, tier, tags)): (usize, &(&str, &str, &str))| {
            format!("[profiles.p{number}]\n{policy}{tier}{tags}")
        };
        profiles.iter().enumerate().map(section).collect()
    })
}

#[derive(Debug, Clone)]
pub struct Case {
    pub live: String,
    pub desired: String,
    /// Whether the first policy is a secret from someone else.
    pub secret: bool,
    pub scope: Scope,
}

pub fn cases() -> impl Strategy<Value = Case> {
    // Most tables are on both sides.
    let side = |live| prop::option::weighted(0.9, tables(live));
    let tables = prop::collection::vec((side(true), side(false)), 0..4);
    let both = (tables, others(), others());
    let allow = proptest::sample::subsequence(
        vec![
            Consent::Index,
            Consent::Stream,
            Consent::Prune,
            Consent::Protection,
            Consent::Replica,
            Consent::Table,
            Consent::Subscription,
            Consent::Role,
        ],
        0..=8,
    );
    (both, allow, any::<bool>(), any::<bool>(), prop::bool::weighted(0.2)).prop_map(
        |((tables, live, desired), allow, prune, adopt, secret)| {
            type Sides = (Option<Table>, Option<Table>);
            let text = |others: String, side: fn(&Sides) -> &Option<Table>| {
                let section = |(number, both)| side(both).as_ref().map(|table| table.manifest(number));
                resolved(others + &tables.iter().enumerate().filter_map(section).collect::<String>())
            };
            let scope = Scope {
                prune,
                adopt,
                allow: allow.into_iter().collect(),
                ownership: Some(OwnerKey::default()),
                ..Scope::of(Intent::Converge)
            };
            // Resources of others carry no ownership tag, unless Sentinel created them.
            let live = format!(
                "[aws]\nownership_tag = {}\n{}",
                if adopt { "false" } else { "\"managed-by\"" },
                text(live, |both| &both.0)
            );
            Case { live, desired: text(desired, |both| &both.1), secret, scope }
        },
    )
}

/// Plans and applies a manifest, and returns the pass, the steps that ran, and the outcomes.
async fn pass(
    client: &SharedHttpClient,
    text: &str,
    folder: &Path,
    scope: Scope,
    cut: Option<usize>,
) -> (Pass, Vec<(String, Step)>, Vec<(String, Outcome)>) {
    let interrupt = Interrupt::default();
    let loaded = load(text, folder);
    let reader = reader(client.clone(), &interrupt).await;
    let pass = reconcile::plan(&reader, target(&loaded), &loaded.desired, scope).await.unwrap();
    let writer = Writer::new(reader, Waiting { limit: Duration::from_secs(24 * 3600), for_indexes: true });
    let record = Record { cut: cut.map(|cut| (cut, interrupt.clone())), ..Record::default() };
    let report = reconcile::apply(&writer, &pass, &interrupt, &record).await;
    let outcomes = report.resources.into_iter().map(|one| (one.address.to_string(), one.outcome)).collect();
    (pass, record.steps.into_inner(), outcomes)
}

/// An AWS that throttles, and that fails after a request took effect.
#[derive(Debug)]
struct Failing {
    local: LocalAws,
    random: Mutex<fastrand::Rng>,
}

impl HttpConnector for Failing {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let reads = ["Get", "Describe", "List"].iter().any(|head| target.contains(&format!(".{head}")));
        let failed = |status: u16, code: &str| {
            let body = json!({ "__type": code, "message": "by the test" }).to_string();
            HttpConnectorFuture::ready(Ok(HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body))))
        };
        let dice = self.random.lock().unwrap().u8(..100);
        match dice {
            // STS uses another protocol.
            _ if target.is_empty() => self.local.call(request),
            0..15 => failed(400, "ThrottlingException"),
            15..35 if !reads => {
                drop(self.local.call(request));
                failed(500, "InternalServerError")
            }
            _ => self.local.call(request),
        }
    }
}

fn is_deferred(resource: &ResourcePlan) -> bool {
    resource.steps.iter().any(|step| matches!(step, Step::Table(TableStep::Defer { .. })))
}

/// Checks a case; with a seed for failures, and with an interruption of an earlier run at a step.
async fn check(case: &Case, storm: Option<u64>, cut: Option<usize>) {
    let folder = tempfile::tempdir().unwrap();
    write_files(folder.path());
    let local = LocalAws::memory(Rules::default());
    if case.secret {
        let body = json!({ "Name": "/sentinel/policies/p0", "Value": "hush", "Type": "SecureString" });
        local.answer(&Request::new(String::from("AmazonSSM.PutParameter"), "", body.to_string().into_bytes()));
    }
    let calm = SharedHttpClient::new(local.clone());
    pass(&calm, &case.live, folder.path(), Scope::of(Intent::Converge), None).await;
    let client = match storm {
        None => calm,
        Some(seed) => {
            let random = Mutex::new(fastrand::Rng::with_seed(seed));
            let connector = SharedHttpConnector::new(Failing { local, random });
            http_client_fn(move |_, _| connector.clone())
        }
    };
    if cut.is_some() {
        tokio::time::sleep(Duration::from_secs(25 * 3600)).await;
        pass(&client, &case.desired, folder.path(), case.scope.clone(), cut).await;
    }
    // AWS's daily limits have been reset.
    tokio::time::sleep(Duration::from_secs(25 * 3600)).await;

    let (first, ran, outcomes) = pass(&client, &case.desired, folder.path(), case.scope.clone(), None).await;
    let (second, ..) = pass(&client, &case.desired, folder.path(), case.scope.clone(), None).await;
    let context = || format!("{case:#?}\n{:#?}\n{outcomes:#?}", first.plan);

    // A saved plan reads back as the same plan.
    let origin = Origin::of(&sentinel::diagnostic::Source::new("sentinel.toml", ""), Vec::new());
    let inputs = |one: &DesiredResource| {
        let named = one.of::<PolicyParameter>().filter(|policy| policy.managed.content.is_some());
        (
            one.address().clone(),
            SavedReviewInput { line: None, file: None, policy: named.and_then(|policy| policy.origin.clone()) },
        )
    };
    let review_inputs =
        SavedReviewInputs { resources: first.desired.iter().map(inputs).collect(), ..Default::default() };
    let mut file = PlanFile::new(origin, review_inputs, Vec::new());
    let review = Review::of(&first.plan, &file.review_inputs());
    file.targets.push(SavedTarget::new(&first, &review));
    // The unique ID of the caller is not saved.
    file.targets[0].plan.target.caller.as_mut().unwrap().user_id = UserId::default();
    assert_eq!(PlanFile::read(&file.to_text().unwrap()), Ok(file), "{}", context());

    for (address, step) in &ran {
        assert!(
            step.needs().is_none_or(|needs| case.scope.allow.contains(&needs)),
            "{address} {step:?}\n{}",
            context()
        );
        let planned = first.plan.resources.iter().find(|one| one.address.to_string() == *address).unwrap();
        assert!(planned.steps.contains(step), "{address} {step:?} was not planned\n{}", context());
    }
    for resource in &first.plan.resources {
        let address = resource.address.to_string();
        let (_, outcome) = outcomes.iter().find(|(name, _)| *name == address).unwrap();
        let expected = match resource.action {
            Action::Refused => Outcome::Refused,
            Action::Unchanged => Outcome::Unchanged,
            _ if is_deferred(resource) => {
                assert!(matches!(outcome, Outcome::Deferred { .. }), "{address}: {outcome:?}\n{}", context());
                continue;
            }
            _ => Outcome::Applied,
        };
        assert_eq!(*outcome, expected, "{address}\n{}", context());
    }
    for resource in &second.plan.resources {
        let before = first.plan.resources.iter().find(|one| one.address == resource.address);
        let before = before.unwrap_or_else(|| panic!("{} is new\n{}", resource.address, context()));
        match &before.action {
            // Exactly the refused differences remain, and nothing of them was changed.
            Action::Refused if before.steps.is_empty() => {
                assert_eq!((&resource.changes, &resource.seen), (&before.changes, &before.seen), "{}", context());
            }
            // Except for added protection, which is in sync now.
            Action::Refused => {
                assert!(before.steps.iter().all(|step| step.protects() || step.writes().is_none()), "{}", context());
                let done = before.steps.iter().filter_map(|step| match step {
                    Step::Table(TableStep::Setting { .. }) => Some("point_in_time_recovery"),
                    Step::Table(TableStep::UpdateTable { change: TableChange::Encryption { .. }, .. }) => {
                        Some("encryption")
                    }
                    Step::Table(TableStep::UpdateTable { .. }) => Some("deletion_protection"),
                    Step::Topic(TopicStep::SetTopicAttribute { .. }) => Some("key"),
                    Step::Key(KeyStep::SetKeyRotation { .. }) => Some("rotation"),
                    Step::Role(RoleStep::PutRoleBoundary { .. }) => Some("permissions_boundary"),
                    _ => None,
                });
                let done: Vec<&str> = done.collect();
                let left: Vec<_> =
                    before.changes.iter().filter(|change| !done.contains(&change.path.as_str())).collect();
                assert_eq!(resource.changes.iter().collect::<Vec<_>>(), left, "{}", context());
            }
            _ if is_deferred(before) => {
                let paths: Vec<&str> = resource.changes.iter().map(|change| change.path.as_str()).collect();
                assert_eq!(paths, ["ttl"], "{}", context());
            }
            _ => assert_eq!(resource.action, Action::Unchanged, "{:#?}\n{}", resource.changes, context()),
        }
    }
}

/// Few by default, because each takes a fifth of a second. `PROPERTY_CASES=N` sets another number.
fn number_of_cases() -> u32 {
    std::env::var("PROPERTY_CASES").map_or(16, |cases| cases.parse().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: number_of_cases(), failure_persistence: None, ..Default::default() })]

    #[test]
    fn an_apply_makes_exactly_the_planned_changes(case in cases()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(check(&case, None, None));
    }

    /// Failures of AWS do not change the result.
    #[test]
    fn the_planned_changes_are_made_despite_failures(case in cases(), seed: u64) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(check(&case, Some(seed), None));
    }

    /// An earlier interrupted run does not change the result.
    #[test]
    fn the_planned_changes_are_made_after_an_interruption(case in cases(), cut in 1..20usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(check(&case, None, Some(cut)));
    }
}
