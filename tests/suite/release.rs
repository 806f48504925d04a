//! The release of credentials by a broker, in this process, on the AWS emulator with a clock that the test controls.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use futures_util::future::join;
use jiff::Timestamp;
use sentinel::access::desk::credentials::{Obtain, Ruling, StartSession, Starting};
use sentinel::access::desk::{Desk, Operation, Right, Rights, Tables, locks, requests, sessions};
use sentinel::access::gate::User;
use sentinel::access::locks::{LockTable, LockTableSource};
use sentinel::access::log::Log;
use sentinel::local::{LocalAws, Request, Rules};
use sentinel::policy::Mode;
use sentinel::provider::{Connection, Gateway};
use sentinel::resource::destination::Destination;
use sentinel::resource::interrupt::Interrupt;
use sentinel::resource::names::{AccountId, PolicyRoot, RoleArn, UserId};
use sentinel::resource::pacer::Pace;
use sentinel::resource::traffic::Traffic;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::embedded::call_in;
use crate::engine::{load, pass, region};

const ROLE: &str = "arn:aws:iam::123456789012:role/prod-deploy";

/// An AWS whose STS takes this long to answer `AssumeRole`, and the operations of all calls.
#[derive(Debug, Clone)]
struct Slow {
    local: LocalAws,
    assume_role: Duration,
    calls: Arc<Mutex<Vec<String>>>,
}

impl HttpConnector for Slow {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let header = |name: &str| request.headers().get(name).unwrap_or_default().to_owned();
        let body = request.body().bytes().map(<[u8]>::to_vec).unwrap_or_default();
        let operation = Request::new(header("x-amz-target"), &header("authorization"), body).operation();
        self.calls.lock().unwrap().push(operation.clone());
        let slow = self.clone();
        HttpConnectorFuture::new(async move {
            if operation == "AssumeRole" {
                tokio::time::sleep(slow.assume_role).await;
            }
            slow.local.call(request).await
        })
    }
}

/// A broker's desk: bob approves, and olga locks users and revokes sessions.
struct World {
    local: LocalAws,
    gateway: Gateway,
    calls: Arc<Mutex<Vec<String>>>,
    tables: Tables,
    log: Log,
    folder: tempfile::TempDir,
    /// The time at `since`.
    start: Timestamp,
    since: Instant,
}

impl World {
    /// Returns a world in which a policy requires an approval for prod, and anyone may have a session for it.
    async fn new(assume_role: Duration) -> Self {
        // Before the emulator's clock starts, so that the emulator is not behind.
        let (start, since) = (Timestamp::now(), Instant::now());
        let local = LocalAws::memory(Rules::default());
        let loaded = load("[tables.approvals]\n[tables.breakglass]\n[tables.sessions]\n", Path::new("."));
        pass(SharedHttpClient::new(local.clone()), &loaded, Duration::from_secs(3600)).await;
        let policy = "version: \"1\"\nrules:\n  - name: server\n    effect: allow\n    conditions: { mode: [server] }\n  \
                      - name: approved\n    effect: require_approval\n    conditions: { users: [alice] }\n";
        let put = json!({ "Name": "/sentinel/policies/prod", "Value": policy, "Type": "String" });
        call_in(&local, "us-east-1", "AmazonSSM.PutParameter", put).unwrap();
        let slow = Slow { local: local.clone(), assume_role, calls: Arc::default() };
        let calls = Arc::clone(&slow.calls);
        let connector = SharedHttpConnector::new(slow);
        let gateway = Gateway::connect(Connection {
            destination: Destination::new(region(), PolicyRoot::default()),
            endpoint_url: None,
            embedded: Some(http_client_fn(move |_, _| connector.clone())),
            pace: Pace::Free,
            interrupt: Interrupt::default(),
            traffic: Traffic::default(),
            sessions: sentinel::provider::Sessions::default(),
        });
        let approvals = String::from("sentinel-requests");
        let tables = Tables {
            locks: vec![LockTable { name: approvals.clone(), found: LockTableSource::Named }],
            approvals,
            breakglass: String::from("sentinel-breakglass"),
            sessions: String::from("sentinel-sessions"),
        };
        let folder = tempfile::tempdir().unwrap();
        let log = Log::open(Some(&folder.path().join("log"))).unwrap();
        let gateway = gateway.await.sharing_policies(Duration::from_secs(1));
        Self { local, gateway, calls, tables, log, folder, start, since }
    }

    /// Performs an operation as a user.
    async fn perform<O: Operation>(&self, name: &str, operation: &O) -> O::Answer {
        let user = User {
            name: name.to_owned(),
            arn: format!("arn:aws:iam::123456789012:user/{name}"),
            account: AccountId::new("123456789012"),
            user_id: UserId::new(format!("AIDA{name}")),
        };
        let granted = match name {
            "bob" => BTreeSet::from([Right::Approve]),
            "olga" => BTreeSet::from([Right::Operate]),
            _ => BTreeSet::new(),
        };
        let roles = BTreeMap::from([(String::from("prod"), RoleArn::new(ROLE))]);
        let desk = Desk {
            gateway: &self.gateway,
            account: None,
            known: Some(&user),
            rights: &Rights::Broker { granted, roles },
            tables: &self.tables,
            policy_root: &PolicyRoot::default(),
            log: &self.log,
            now: self.start.checked_add(self.since.elapsed()).unwrap(),
        };
        operation.check().unwrap();
        operation.perform(&desk).await.unwrap()
    }

    /// Has alice's request for prod approved, and returns its ID.
    async fn approved(&self, seconds: i64) -> String {
        let (profile, justification) = (String::from("prod"), String::from("Deploy the hotfix"));
        let created = self.perform("alice", &requests::Create { profile, justification, duration: seconds }).await;
        self.perform("bob", &requests::Approve { id: created.id.clone(), comment: None }).await;
        created.id
    }

    /// Returns the operations of the calls since the last time.
    fn made(&self) -> Vec<String> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }

    fn logged(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.path().join("log")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn obtain() -> Obtain {
    Obtain { profile: String::from("prod"), mode: Mode::Cli, session: None }
}

/// Performs an operation of somebody else while STS is answering.
async fn meanwhile<O: Operation>(world: &World, name: &str, operation: &O) {
    tokio::time::sleep(Duration::from_millis(500)).await;
    world.perform(name, operation).await;
}

#[tokio::test(start_paused = true)]
async fn a_revocation_while_sts_answers_withholds_the_credentials() {
    let world = World::new(Duration::from_secs(2)).await;
    let id = world.approved(3600).await;
    let revoke = requests::Revoke { id, reason: None };
    let (ruling, ()) = Box::pin(join(world.perform("alice", &obtain()), meanwhile(&world, "bob", &revoke))).await;
    assert!(matches!(&ruling, Ruling::Refused(_)), "{ruling:?}");
    let logged = world.logged();
    assert_eq!((logged.len(), &logged[0]["outcome"]), (1, &"refused".into()), "{logged:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_lock_while_sts_answers_withholds_the_credentials() {
    let world = World::new(Duration::from_secs(2)).await;
    world.approved(3600).await;
    let (user, profile) = (String::from("alice"), String::from("prod"));
    let lock = locks::Lock { user, profile, reason: None };
    let (ruling, ()) = Box::pin(join(world.perform("alice", &obtain()), meanwhile(&world, "olga", &lock))).await;
    assert!(matches!(&ruling, Ruling::Refused(refused) if refused.why.contains("locked")), "{ruling:?}");
    assert_eq!(world.logged()[0]["outcome"], "refused");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_revoked_while_sts_answers_gets_no_credentials() {
    let world = World::new(Duration::from_secs(2)).await;
    let started = world.perform("alice", &StartSession { profile: String::from("prod") }).await;
    let Starting::Started { session, .. } = started else { panic!("{started:?}") };
    let fetch = Obtain { mode: Mode::Server, session: Some(session.clone()), ..obtain() };
    let revoke = sessions::Revoke { id: session, reason: String::from("Enough") };
    let (ruling, ()) = Box::pin(join(world.perform("alice", &fetch), meanwhile(&world, "olga", &revoke))).await;
    assert!(matches!(&ruling, Ruling::Refused(refused) if refused.why.contains("revoked")), "{ruling:?}");
}

/// The tags, the source identity and the end of the session are those of the first decision.
#[tokio::test(start_paused = true)]
async fn credentials_of_a_request_that_another_one_replaced_are_withheld() {
    let world = World::new(Duration::from_secs(2)).await;
    let id = world.approved(3600).await;
    let replace = async {
        meanwhile(&world, "bob", &requests::Revoke { id, reason: None }).await;
        world.approved(7200).await;
    };
    let (ruling, ()) = Box::pin(join(world.perform("alice", &obtain()), replace)).await;
    assert!(matches!(&ruling, Ruling::Failed), "{ruling:?}");
    let logged = world.logged();
    let error = logged[0]["error"].as_str().unwrap();
    assert!(logged[0]["outcome"] == "failed" && error.contains("changed while STS"), "{logged:#?}");
    // The next attempt is for the new request.
    assert!(matches!(world.perform("alice", &obtain()).await, Ruling::Released(_)));
}

#[tokio::test(start_paused = true)]
async fn only_a_slow_sts_causes_a_second_decision() {
    for (seconds, decides_again) in [(0, false), (1, false), (2, true)] {
        let assume_role = Duration::from_secs(seconds);
        let world = World::new(assume_role).await;
        world.approved(3600).await;
        world.made();
        let ruling = world.perform("alice", &obtain()).await;
        assert!(matches!(&ruling, Ruling::Released(_)), "{ruling:?}");
        let made = world.made();
        let later: Vec<&str> = made.iter().map(String::as_str).skip_while(|one| *one != "AssumeRole").skip(1).collect();
        let reads = ["GetParameters", "GetItem"].map(|operation| later.contains(&operation));
        assert_eq!((later.is_empty(), reads), (!decides_again, [decides_again; 2]), "{made:?}");
        let logged = world.logged();
        assert_eq!((logged.len(), &logged[0]["outcome"]), (1, &"released".into()), "{logged:#?}");
    }
}

/// STS issues credentials for 15 minutes at least, and counts their time from its own answer on.
#[tokio::test(start_paused = true)]
async fn the_credentials_of_a_grant_have_no_permissions_after_its_end() {
    for (seconds, slow) in [(120, 0), (1800, 1)] {
        let world = World::new(Duration::from_secs(slow)).await;
        role(&world.local);
        let from = world.since.elapsed();
        world.approved(seconds).await;
        let Ruling::Released(grant) = world.perform("alice", &obtain()).await else { panic!("no credentials") };
        let keys = grant.credentials;
        let read = || {
            let scope =
                format!("AWS4-HMAC-SHA256 Credential={}/20260101/us-east-1/ssm/aws4_request", keys.access_key_id);
            let body = json!({ "Name": "/sentinel/policies/prod" }).to_string();
            let request = Request::new(String::from("AmazonSSM.GetParameter"), &scope, body.into_bytes());
            let answer = world.local.answer(&request.with_token(keys.session_token.reveal().to_owned()));
            (answer.status, String::from_utf8(answer.body).unwrap())
        };
        assert_eq!(read().0, 200, "{:?}", read());
        let end = from + Duration::from_secs(u64::try_from(seconds).unwrap());
        let rest = end.checked_sub(world.since.elapsed()).unwrap();
        tokio::time::advance(rest).await;
        let (status, text) = read();
        assert!(status == 400 && text.contains("with an explicit deny in a session policy"), "{seconds}: {text}");
    }
}

/// Creates the role of the profile, which may do everything.
fn role(aws: &LocalAws) {
    let trust = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow",
        "Principal": { "AWS": "arn:aws:iam::123456789012:root" },
        "Action": ["sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession"],
    }] });
    let administrator = "arn:aws:iam::aws:policy/AdministratorAccess";
    for fields in [
        [("Action", "CreateRole"), ("RoleName", "prod-deploy"), ("AssumeRolePolicyDocument", &trust.to_string())],
        [("Action", "AttachRolePolicy"), ("RoleName", "prod-deploy"), ("PolicyArn", administrator)],
    ] {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let scope = "AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/iam/aws4_request";
        let answer = aws.answer(&Request::new(String::new(), scope, body.into_bytes()));
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    }
}
