//! The sessions of a run: the credentials of an AWS profile or a role, which all regions and clients share, and one HTTP client.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use aws_config::SdkConfig;
use aws_config::identity::IdentityCache;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use tokio::sync::OnceCell;

use super::aws::{Connection, loaded};
use super::bounded;
use crate::resource::caller::{Identity, Reuse};
use crate::resource::destination::Route;
use crate::resource::names::{AwsProfile, RoleArn};
use crate::resource::pacer::Pacer;

/// The sessions of a run. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Sessions(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    http: OnceLock<SharedHttpClient>,
    all: Mutex<HashMap<Key, Arc<Session>>>,
}

/// The identity of a session.
type Key = (Option<AwsProfile>, Option<RoleArn>);

/// Credentials and their identity. Both are requested once, and again before they expire.
#[derive(Debug, Default)]
struct Session {
    config: OnceCell<SdkConfig>,
    identity: OnceLock<Arc<Identity>>,
}

impl Sessions {
    /// Returns the HTTP client of the run. Its connections are shared, because the TLS handshakes are the largest cost of a target.
    pub(super) fn http(&self) -> SharedHttpClient {
        self.0.http.get_or_init(bounded::client).clone()
    }

    fn of(&self, route: &Route) -> Arc<Session> {
        let key = (route.aws_profile.clone(), route.role_arn.clone());
        let mut all = self.0.all.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(key).or_default())
    }

    /// Returns the settings of a connection: those of its session, with its own region.
    pub(super) async fn settings(&self, connection: Connection) -> SdkConfig {
        let region = aws_config::Region::new(String::from(connection.destination.region.name.clone()));
        let session = self.of(&connection.destination.route);
        let config = session.config.get_or_init(|| Box::pin(loaded(connection))).await;
        // The provider caches the credentials itself. The SDK's cache would keep them separately for each client, and beyond their expiry.
        config.to_builder().region(region).identity_cache(IdentityCache::no_cache()).build()
    }

    /// Returns who is calling, for all connections of a session.
    pub(super) fn identity(&self, route: &Route, config: &SdkConfig, pacer: &Arc<Pacer>) -> Arc<Identity> {
        let session = self.of(route);
        let new = || Arc::new(Identity::new(config, pacer, Reuse::Cached));
        Arc::clone(session.identity.get_or_init(new))
    }
}
