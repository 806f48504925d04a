//! The AWS emulator behind `--local`: IAM, STS, Parameter Store, SNS, KMS, DynamoDB, Application Auto Scaling for its tables, and the
//! tagging API, in this process, on SQLite files.
//!
//! It is the HTTP client of the SDK, so that real SDK requests are made and parsed. dynoxide implements items and indexes of DynamoDB; a
//! layer over it adds AWS's rules that dynoxide lacks (asynchronous changes of tables, one TTL change an hour, one index per update). It
//! does not depend on the reconcile engine.

mod answer;
mod autoscaling;
mod clock;
mod dynamodb;
mod folder;
mod iam;
mod kms;
mod organizations;
mod server;
mod sns;
mod ssm;
mod store;
mod sts;
mod tagging;

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;

use folder::{Folder, TARGETS};

pub use answer::{Answer, Request};
#[cfg(test)]
pub(crate) use iam::Probe;
pub use iam::Users;
pub use organizations::Organization;
pub use server::{Handler, Server};

/// The account of the AWS emulator, unless a role of another account is assumed.
pub const ACCOUNT: &str = "123456789012";

/// The folder of the store, next to a manifest.
const STORE: &str = ".sentinel";

/// Returns the store of a target's folder, if the folder is named like one.
pub fn store_of(folder: &Path) -> Option<&Path> {
    folder.parent().filter(|parent| parent.file_name().is_some_and(|name| name == TARGETS)).and_then(Path::parent)
}

/// The durations of operations, and the limits on their frequency. The defaults are AWS's values, or shorter ones if users would have to
/// wait.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// How long a new table is CREATING.
    pub table_creation: Duration,
    /// How long a table is UPDATING after a change.
    pub table_update: Duration,
    /// How long a table is DELETING.
    pub table_deletion: Duration,
    /// How long the encryption of a table is UPDATING, while the table is ACTIVE. The earlier key is shown for two fifths of that time.
    pub encryption_change: Duration,
    /// How long an index added to a table is CREATING, including its backfill.
    pub index_backfill: Duration,
    /// How long a deleted index is DELETING.
    pub index_deletion: Duration,
    /// How long TTL is ENABLING or DISABLING.
    pub ttl_settling: Duration,
    /// How long after a TTL change the next one is refused.
    pub ttl_cooldown: Duration,
    /// How long after becoming ACTIVE a table has no backup status yet.
    pub backups_delay: Duration,
    /// How long a table's tags are locked after a change.
    pub tag_lock: Duration,
    /// How long a replica is CREATING. The table does not list it for the first quarter of that time.
    pub replica_creation: Duration,
    /// How long a replica is DELETING. Its table exists, unlisted, for another quarter of that time.
    pub replica_deletion: Duration,
    /// How long contributor insights are ENABLING or DISABLING.
    pub insights_settling: Duration,
    /// How long a Kinesis destination is ENABLING, DISABLING or UPDATING.
    pub kinesis_settling: Duration,
    /// How long a read returns a resource policy from before its change. No other change is possible during that time.
    pub policy_lag: Duration,
    /// How long after a change of a resource policy the next one is refused.
    pub policy_cooldown: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            table_creation: Duration::from_millis(1000),
            table_update: Duration::from_millis(500),
            table_deletion: Duration::from_millis(500),
            encryption_change: Duration::from_millis(900),
            index_backfill: Duration::from_secs(3),
            index_deletion: Duration::from_secs(1),
            ttl_settling: Duration::from_secs(2),
            ttl_cooldown: Duration::from_secs(3600),
            backups_delay: Duration::from_millis(300),
            tag_lock: Duration::from_millis(1_600),
            replica_creation: Duration::from_secs(2),
            replica_deletion: Duration::from_secs(1),
            insights_settling: Duration::from_secs(1),
            kinesis_settling: Duration::from_secs(1),
            policy_lag: Duration::from_millis(300),
            policy_cooldown: Duration::from_secs(2),
        }
    }
}

/// An in-process AWS. Clones share its state.
#[derive(Debug, Clone)]
pub struct LocalAws(Arc<Inner>, Users);

#[derive(Debug)]
struct Inner {
    /// Its folder, or `None` for one in memory.
    folder: Option<Folder>,
    rules: Rules,
    clock: clock::Clock,
    /// By account and region name.
    regions: Mutex<HashMap<(String, String), Arc<Region>>>,
}

/// The state of one region of an account.
struct Region {
    name: String,
    account: String,
    rules: Rules,
    clock: clock::Clock,
    store: store::Store,
    engine: dynamodb::Engine,
    /// The other regions, which tables with replicas need.
    others: Weak<Inner>,
}

impl std::fmt::Debug for Region {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Region").field("name", &self.name).finish_non_exhaustive()
    }
}

impl LocalAws {
    /// Opens the store in a folder, which is created if it does not exist.
    ///
    /// # Errors
    ///
    /// Fails if the folder cannot be created, or is a link. A region's store is opened at the first request to it, or by
    /// [`LocalAws::prepare`].
    pub fn open(folder: &Path, rules: Rules) -> Result<Self, String> {
        let beside_a_manifest = |store: &Path| store.file_name().is_some_and(|name| name == STORE);
        match (store_of(folder).filter(|store| beside_a_manifest(store)), folder.file_name().and_then(OsStr::to_str)) {
            (Some(store), Some(target)) => Self::open_target(store, target, rules),
            _ => Ok(Self::with(Some(Folder::open(folder)?), rules)),
        }
    }

    /// Opens the store of a manifest's target, which is part of the manifest's store and must not be a link either.
    ///
    /// # Errors
    ///
    /// As [`LocalAws::open`].
    pub fn open_target(store: &Path, target: &str, rules: Rules) -> Result<Self, String> {
        Ok(Self::with(Some(Folder::open_target(store, target)?), rules))
    }

    /// Returns a new emulator in memory.
    pub fn memory(rules: Rules) -> Self {
        Self::with(None, rules)
    }

    fn with(folder: Option<Folder>, rules: Rules) -> Self {
        let inner = Inner { folder, rules, clock: clock::Clock::start(), regions: Mutex::default() };
        Self(Arc::new(inner), Users::default())
    }

    /// Returns the same emulator, in which these users have only the permissions of their policies.
    #[must_use]
    pub fn with_users(&self, users: Users) -> Self {
        Self(Arc::clone(&self.0), users)
    }

    pub fn answer(&self, request: &Request) -> Answer {
        let result = match request.target.split_once('.') {
            None if request.service == "sns" => Ok(self.sns(request)),
            None if request.service == "iam" => Ok(iam::answer(self, request)),
            None if request.is_for_sts() => Ok(sts::answer(self, request)),
            None => Ok(request.unknown_service()),
            // The service is the same in all regions.
            Some(("AWSOrganizationsV20161128", operation)) => Organization::default().result(operation, &request.body),
            Some((service, operation)) => self.region(request).and_then(|region| {
                let caller = iam::authorize(self, &region, (service, operation), request)?;
                match service {
                    "AmazonSSM" => ssm::answer(&region, operation, &ssm::Call { caller, body: &request.body }),
                    "DynamoDB_20120810" => dynamodb::answer(&region, operation, &request.body),
                    "AnyScaleFrontendService" => autoscaling::answer(&region, operation, &request.body),
                    "TrentService" => kms::answer(&region, operation, &request.body),
                    "ResourceGroupsTaggingAPI_20170126" => tagging::answer(&region, operation, &request.body),
                    other => Err(answer::Failure::unsupported(&format!("the service {other}"))),
                }
            }),
        };
        result.unwrap_or_else(Answer::from)
    }

    /// Answers a request to SNS, whose errors are XML.
    fn sns(&self, request: &Request) -> Answer {
        let region = self.open_region(request.account(), &request.region);
        let region = region.as_deref().map_err(|error| answer::Refusal::internal(error));
        let allowed = region.and_then(|region| iam::authorize_sns(self, region, request).map(|()| region));
        sns::answer(allowed, request)
    }

    /// Opens a region's store, so that an error is reported before anything depends on it.
    pub fn prepare(&self, region: &str) -> Result<(), String> {
        self.open_region(ACCOUNT, region).map(drop)
    }

    fn region(&self, request: &Request) -> Result<Arc<Region>, answer::Failure> {
        self.open_region(request.account(), &request.region).map_err(|error| answer::Failure::internal(&error))
    }

    fn open_region(&self, account: &str, name: &str) -> Result<Arc<Region>, String> {
        let inner = &self.0;
        let mut regions = inner.regions.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (account.to_owned(), name.to_owned());
        if let Some(region) = regions.get(&key) {
            return Ok(Arc::clone(region));
        }
        let region = Arc::new(Region::open(account, name, &self.0)?);
        regions.insert(key, Arc::clone(&region));
        Ok(region)
    }
}

impl Region {
    fn open(account: &str, name: &str, inner: &Arc<Inner>) -> Result<Self, String> {
        // The name comes from a request's signature, so it must not form a path.
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(format!("{name:?} is not a region"));
        }
        if account.is_empty() || !account.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(format!("{account:?} is not an account"));
        }
        let (store, engine) = match &inner.folder {
            None => {
                let store = store::Store::memory().map_err(|error| error.to_string())?;
                (store, dynamodb::Engine::memory()?)
            }
            Some(folder) => Self::open_files(region_folder(folder, account, name)?)?,
        };
        let (name, account) = (name.to_owned(), account.to_owned());
        let others = Arc::downgrade(inner);
        Ok(Self { name, account, rules: inner.rules, clock: inner.clock, store, engine, others })
    }

    fn open_files(folder: Folder) -> Result<(store::Store, dynamodb::Engine), String> {
        // Locked until both files are open: SQLite does not wait for other processes while a file is created and its write-ahead log is
        // turned on.
        let opening = folder.lock()?;
        let file = folder.database("aws.db")?;
        let at = |error: String| format!("{}: {error}", file.shown().display());
        let store = store::Store::open(file.path()).map_err(at)?;
        file.check_unchanged()?;
        let engine = dynamodb::Engine::open(folder)?;
        drop(opening);
        Ok((store, engine))
    }

    /// Returns another region of the account.
    fn peer(&self, name: &str) -> Result<Arc<Self>, answer::Failure> {
        let others = self.others.upgrade().ok_or_else(|| answer::Failure::internal("the AWS emulator has stopped"))?;
        let opened = LocalAws(others, Users::default()).open_region(&self.account, name);
        opened.map_err(|error| answer::Failure::internal(&error))
    }

    /// Returns the ARN of a resource of this region.
    fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{resource}", self.name, self.account)
    }
}

/// Opens the folder of a region. The regions of the default account are at the top level.
fn region_folder(folder: &Folder, account: &str, name: &str) -> Result<Folder, String> {
    if account == ACCOUNT { folder.folder(name) } else { folder.folder("accounts")?.folder(account)?.folder(name) }
}

impl HttpClient for LocalAws {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for LocalAws {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let header = |name: &str| request.headers().get(name).unwrap_or_default().to_owned();
        let Some(body) = request.body().bytes().map(<[u8]>::to_vec) else {
            let error = ConnectorError::user("the AWS emulator does not accept streamed bodies".into());
            return HttpConnectorFuture::ready(Err(error));
        };
        let request = Request::new(header("x-amz-target"), &header("authorization"), body);
        let answer = self.answer(&request.with_token(header("x-amz-security-token")));
        let status = match StatusCode::try_from(answer.status) {
            Ok(status) => status,
            Err(error) => return HttpConnectorFuture::ready(Err(ConnectorError::other(error.into(), None))),
        };
        let mut response = HttpResponse::new(status, SdkBody::from(answer.body));
        response.headers_mut().insert("content-type", answer.content_type);
        HttpConnectorFuture::ready(Ok(response))
    }
}
