//! The provider for AWS or an emulator.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use aws_config::meta::region::ProvideRegion;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::SharedHttpClient;

use super::session::Sessions;
use super::shared::Shared;
use super::{Execute, Observe};
use crate::kind::import::{DiscoverError, Request};
use crate::kind::policy_parameter;
use crate::kind::{Aws, Batch, FoundResources, KindId, ObservedResource, Search, Step, Unlisted, Waiting};
use crate::resource::StepOutcome;
use crate::resource::call::CallError;
use crate::resource::caller::{Caller, Identity, Reuse};
use crate::resource::destination::{Destination, Region};
use crate::resource::interrupt::Interrupt;
use crate::resource::names::{PolicyRoot, RegionName};
use crate::resource::organization::{self, Found};
use crate::resource::pacer::{Pace, Pacer};
use crate::resource::tagging::{TaggedPage, TaggingApi};
use crate::resource::traffic::Traffic;

/// Returns the region of the environment or of the AWS profile, in this order.
///
/// The instance metadata service is deliberately not used: it takes seconds where it does not exist, and the region of the machine that
/// runs a command is not a statement of intent.
#[expect(clippy::disallowed_methods, reason = "these variables are part of the contract; nothing else reads them")]
pub async fn known_region(aws_profile: Option<&str>) -> Option<Region> {
    for variable in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
        if let Some(name) = std::env::var(variable).ok().filter(|name| !name.is_empty()) {
            return Some(Region { name: RegionName::new(name), source: variable.to_owned() });
        }
    }
    let mut builder = ProfileFileRegionProvider::builder();
    if let Some(profile) = aws_profile {
        builder = builder.profile_name(profile);
    }
    let region = builder.build().region().await?;
    let environment = profile_of_environment();
    let profile = aws_profile.or(environment.as_deref()).unwrap_or("default");
    Some(Region { name: RegionName::new(region.as_ref()), source: format!("AWS profile {profile}") })
}

/// Returns the AWS profile that the environment names.
#[expect(clippy::disallowed_methods, reason = "this variable is part of the contract")]
pub fn profile_of_environment() -> Option<String> {
    std::env::var("AWS_PROFILE").ok().filter(|name| !name.is_empty())
}

/// The connection to a destination, from which the SDK's clients are built.
#[derive(Debug, Clone)]
pub struct Connection {
    pub destination: Destination,
    /// The endpoint for all services that replaces AWS's own.
    pub endpoint_url: Option<String>,
    /// The in-process AWS emulator, which needs no credentials.
    pub embedded: Option<SharedHttpClient>,
    pub pace: Pace,
    pub interrupt: Interrupt,
    pub traffic: Traffic,
    /// The sessions of the run.
    pub sessions: Sessions,
}

/// Returns credentials and settings. Credentials of AWS are loaded once for each session; the AWS emulator has its own client.
pub(super) async fn settings(connection: Connection) -> SdkConfig {
    if connection.embedded.is_some() {
        return loaded(connection).await;
    }
    let sessions = connection.sessions.clone();
    sessions.settings(connection).await
}

/// Loads credentials and settings; makes no AWS call.
pub(super) async fn loaded(connection: Connection) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(5))
        .read_timeout(Duration::from_secs(20))
        .operation_timeout(Duration::from_secs(25))
        .build();
    let Destination { region, route, .. } = connection.destination;
    let region = aws_config::Region::new(String::from(region.name));
    // The AWS emulator assumes no role for a target.
    let role_arn = route.role_arn.filter(|_| connection.embedded.is_none());
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .region(region.clone())
        // For requests to credential providers; the pacer retries all other calls.
        .retry_config(RetryConfig::standard().with_max_attempts(3))
        .timeout_config(timeouts)
        // Responses are small, and the timeouts above end a stalled one.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    if let Some(client) = connection.embedded {
        loader = loader.http_client(client).credentials_provider(embedded_user(route.aws_profile.as_deref()));
    } else {
        let client = connection.sessions.http();
        loader = loader.http_client(client.clone());
        if let Some(profile) = route.aws_profile {
            // The SDK prefers keys in the environment even to an explicitly named profile, which would send a pass to another account.
            let settings = ProviderConfig::without_region().with_region(Some(region)).with_http_client(client);
            let credentials =
                ProfileFileCredentialsProvider::builder().configure(&settings).profile_name(profile.as_str()).build();
            loader = loader.profile_name(profile).credentials_provider(credentials);
        }
        if let Some(endpoint) = connection.endpoint_url {
            loader = loader.endpoint_url(endpoint);
        }
    }
    let config = shared(loader.load().await);
    let role = role_arn.map(|role| AssumeRoleProvider::builder(role).session_name("sentinel"));
    let assumed = match role {
        Some(role) => Some(role.configure(&config).build().await),
        None => None,
    };
    let config = config.into_builder().retry_config(RetryConfig::disabled());
    match assumed {
        Some(assumed) => config.credentials_provider(Shared::of_role(SharedCredentialsProvider::new(assumed))),
        None => config,
    }
    .build()
}

/// Returns settings with which all clients share one request for credentials.
fn shared(config: SdkConfig) -> SdkConfig {
    match config.credentials_provider() {
        Some(provider) => config.into_builder().credentials_provider(Shared::wrap(provider)).build(),
        None => config,
    }
}

/// Returns the keys by which the AWS emulator identifies a user. The emulator has no profiles, so their names are users, which lets one
/// person try operations that need two people.
fn embedded_user(aws_profile: Option<&str>) -> Credentials {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_+=,.@-".contains(letter);
    let name = aws_profile.filter(|name| name.chars().all(plain)).unwrap_or("local");
    Credentials::new(format!("AKIALOCAL:{name}"), "local", None, None, "embedded")
}

/// Lists the accounts of an organization, with the credentials of a connection.
pub async fn accounts(connection: Connection, search: &organization::Search) -> Result<Found, CallError> {
    let pacer = Pacer::new(connection.pace, connection.interrupt.clone(), connection.traffic.clone());
    let config = Box::pin(settings(connection)).await;
    organization::discover(&config, &pacer, search).await
}

/// Reads AWS. It has no method that writes.
#[derive(Debug)]
pub struct Reader {
    aws: Aws,
    identity: Arc<Identity>,
    tagging: TaggingApi,
}

impl Reader {
    /// Loads credentials and settings; makes no AWS call.
    pub async fn connect(connection: Connection) -> Self {
        let pacer = Pacer::new(connection.pace, connection.interrupt.clone(), connection.traffic.clone());
        let pacer = Arc::new(pacer);
        let shared =
            connection.embedded.is_none().then(|| (connection.sessions.clone(), connection.destination.route.clone()));
        let config = Box::pin(settings(connection)).await;
        let identity = match shared {
            Some((sessions, route)) => sessions.identity(&route, &config, &pacer),
            None => Arc::new(Identity::new(&config, &pacer, Reuse::Never)),
        };
        let tagging = TaggingApi::new(&config, &pacer);
        Self { aws: Aws::new(config, pacer, Arc::clone(&identity)), identity, tagging }
    }

    /// Finds importable resources of every kind.
    ///
    /// # Errors
    ///
    /// Fails if a kind cannot be listed, or if a named resource does not exist.
    pub async fn importable(&self, request: &Request<'_>) -> Result<FoundResources, DiscoverError> {
        self.aws.discover(request).await
    }

    /// Lists the policy parameters under a path.
    pub async fn discover(&self, root: &PolicyRoot) -> Result<Vec<policy_parameter::Found>, CallError> {
        policy_parameter::discover(self.aws.policy_parameter(), root).await
    }
}

impl Observe for Reader {
    async fn identify(&self) -> Result<Caller, CallError> {
        self.identity.ask().await
    }

    async fn read<'a>(&self, batch: Batch<'a>) -> Vec<(usize, ObservedResource<'a>)> {
        batch.observe(&self.aws).await
    }

    async fn owned(&self, kind: KindId, search: &Search<'_>) -> Option<Result<HashSet<String>, CallError>> {
        self.aws.owned(kind, search).await
    }

    async fn tagged(&self, types: &[&str], key: &str) -> Result<TaggedPage, CallError> {
        self.tagging.owned(types, key).await
    }

    async fn unlisted(&self, search: &Search<'_>) -> Vec<Unlisted> {
        self.aws.unlisted(search).await
    }
}

/// Reads and writes AWS.
#[derive(Debug)]
pub struct Writer {
    reader: Reader,
    waiting: Waiting,
}

impl Writer {
    /// Returns a writer over the reader's connection.
    pub fn new(reader: Reader, waiting: Waiting) -> Self {
        Self { reader, waiting }
    }
}

impl Observe for Writer {
    async fn identify(&self) -> Result<Caller, CallError> {
        self.reader.identify().await
    }

    async fn read<'a>(&self, batch: Batch<'a>) -> Vec<(usize, ObservedResource<'a>)> {
        self.reader.read(batch).await
    }

    async fn owned(&self, kind: KindId, search: &Search<'_>) -> Option<Result<HashSet<String>, CallError>> {
        self.reader.owned(kind, search).await
    }

    async fn tagged(&self, types: &[&str], key: &str) -> Result<TaggedPage, CallError> {
        self.reader.tagged(types, key).await
    }

    async fn unlisted(&self, search: &Search<'_>) -> Vec<Unlisted> {
        self.reader.unlisted(search).await
    }
}

impl Execute for Writer {
    async fn execute(&self, step: &Step) -> Result<StepOutcome, CallError> {
        self.reader.aws.execute(step, self.waiting).await
    }
}
