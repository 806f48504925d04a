//! What those who use the policies and tables need of AWS: policies, records, and credentials to hand out.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::profile::{Profile, ProfileFileCredentialsProvider, ProfileSet};
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_types::os_shim_internal::{Env, Fs};
use tokio::sync::OnceCell;

use super::aws::{Connection, settings};
use crate::resource::Live;
use crate::resource::call::{CallError, Pacer};
use crate::resource::caller::{self, Caller};
use crate::resource::policy_parameter::{self, Found, PolicyParameter};
use crate::resource::record::{self, Records};
use crate::resource::role::{self, Assumption, Credentials};

/// Whose credentials are handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Those of an AWS profile in the shared files.
    Profile(String),
    /// Those that this program uses itself: keys in the environment, a container's, an instance's.
    Own,
    /// A role that the embedded AWS makes up.
    Embedded,
}

/// The AWS profiles that somebody named.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Named<'a> {
    /// As the one whose credentials are handed out.
    pub for_credentials: Option<&'a str>,
    /// As the one to work with, in this very command.
    pub on_the_command_line: Option<&'a str>,
    pub in_the_manifest: bool,
}

/// What is put on a role's session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    pub source_identity: String,
    /// The session's name, where the AWS profile sets none.
    pub session_name: String,
    /// How long the credentials are to last, where the AWS profile does not say.
    pub duration: Option<Duration>,
}

/// Why there are no credentials to hand out.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NoCredentials {
    #[error("there is no AWS profile {0} in ~/.aws/config or ~/.aws/credentials")]
    NoProfile(String),
    #[error("the shared AWS files cannot be read: {0}")]
    Files(String),
    #[error("the AWS profile {0} asks for a code from an MFA device, which is not supported")]
    Mfa(String),
    #[error("the AWS profile {profile} cannot be used: {what}")]
    Profile { profile: String, what: String },
    #[error("no credentials are at hand: {0}")]
    Own(String),
    #[error("the role {role} cannot be taken on: {error}")]
    Role { role: String, error: Box<CallError> },
}

/// A connection for those who use what is provisioned.
#[derive(Debug)]
pub struct Gateway {
    config: SdkConfig,
    embedded: bool,
    ssm: policy_parameter::Client,
    dynamodb: record::Client,
    sts: caller::Client,
    pacer: Pacer,
    profiles: OnceCell<ProfileSet>,
}

impl Gateway {
    /// Loads credentials and settings; makes no AWS call.
    pub async fn connect(connection: Connection) -> Self {
        let pacer = Pacer::new(connection.pace, connection.interrupt.clone());
        let embedded = connection.embedded.is_some();
        let config = settings(connection).await;
        Self {
            ssm: policy_parameter::Client::new(&config),
            dynamodb: record::Client::new(&config),
            sts: caller::Client::new(&config),
            config,
            embedded,
            pacer,
            profiles: OnceCell::new(),
        }
    }

    /// Tells who is calling.
    pub async fn identify(&self) -> Result<Caller, CallError> {
        caller::identify(&self.sts, &self.pacer).await
    }

    /// Reads the parameter of a policy.
    pub async fn policy(&self, name: &str) -> Result<Option<Live<PolicyParameter>>, CallError> {
        policy_parameter::read(&self.ssm, &self.pacer, name).await
    }

    /// Lists the parameters under a path.
    pub async fn discover(&self, root: &str) -> Result<Vec<Found>, CallError> {
        policy_parameter::discover(&self.ssm, &self.pacer, root).await
    }

    /// Returns the records of a table.
    pub fn records<'a>(&'a self, table: &'a str) -> Records<'a> {
        Records::new(&self.dynamodb, &self.pacer, table)
    }

    /// Tells whose credentials a policy's profile stands for: the AWS profile that is named for it, or the one of the
    /// policy's own name, or the one that the command line names. Without any of these they are our own, but never those
    /// of an AWS profile that merely happens to be in force: nobody said that these are meant.
    pub async fn origin(&self, policy: &str, named: &Named<'_>) -> Result<Origin, NoCredentials> {
        if self.embedded {
            return Ok(Origin::Embedded);
        }
        let profiles = self.profiles().await?;
        let there = |name: &str| profiles.get_profile(name).is_some();
        let of = |name: &str| {
            let found = there(name).then(|| Origin::Profile(name.to_owned()));
            found.ok_or_else(|| NoCredentials::NoProfile(name.to_owned()))
        };
        if let Some(named) = named.for_credentials {
            return of(named);
        }
        if there(policy) {
            return Ok(Origin::Profile(policy.to_owned()));
        }
        if let Some(given) = named.on_the_command_line {
            return of(given);
        }
        let keys = Env::real().get("AWS_ACCESS_KEY_ID").is_ok_and(|key| !key.is_empty());
        let other = named.in_the_manifest || (!keys && there(profiles.selected_profile()));
        if other { Err(NoCredentials::NoProfile(policy.to_owned())) } else { Ok(Origin::Own) }
    }

    /// Returns credentials of an origin. Where a role is taken on, its session carries the stamp.
    pub async fn credentials(&self, origin: &Origin, stamp: &Stamp) -> Result<Credentials, NoCredentials> {
        let profile = match origin {
            Origin::Own => {
                let Some(provider) = self.config.credentials_provider() else {
                    return Err(NoCredentials::Own(String::from("nothing provides any")));
                };
                return provided(&provider).await.map_err(NoCredentials::Own);
            }
            Origin::Embedded => {
                let role_arn = String::from("arn:aws:iam::123456789012:role/sentinel-local");
                return self.assume(&self.sts, assumption(role_arn, None, stamp)).await;
            }
            Origin::Profile(name) => name,
        };
        let profiles = self.profiles().await?;
        let section = profiles.get_profile(profile).ok_or_else(|| NoCredentials::NoProfile(profile.clone()))?;
        // A web identity's token brings its own source identity, and the SDK has that way already.
        let role = section.get("role_arn").filter(|_| section.get("web_identity_token_file").is_none());
        let Some(role_arn) = role else {
            return provided(&self.of_profile(profile, section)).await.map_err(|what| broken(profile, &what));
        };
        if section.get("mfa_serial").is_some() {
            return Err(NoCredentials::Mfa(profile.clone()));
        }
        let base = self.base(profile, section, profiles)?;
        let region = self.region_of(section);
        let config = self.config.to_builder().credentials_provider(base).region(region).build();
        self.assume(&role::Client::new(&config), assumption(role_arn.to_owned(), Some(section), stamp)).await
    }

    /// Returns the region that an origin's own settings name, if they do.
    pub async fn region(&self, origin: &Origin) -> Result<Option<String>, NoCredentials> {
        let Origin::Profile(name) = origin else { return Ok(None) };
        let section = self.profiles().await?.get_profile(name);
        Ok(section.and_then(|section| section.get("region")).map(str::to_owned))
    }

    /// Reads the shared AWS files, once.
    async fn profiles(&self) -> Result<&ProfileSet, NoCredentials> {
        let (files, environment) = (Fs::real(), Env::real());
        let read = || async { aws_config::profile::load(&files, &environment, &EnvConfigFiles::default(), None).await };
        let read = self.profiles.get_or_try_init(read).await;
        read.map_err(|error| NoCredentials::Files(crate::resource::call::full_message(&error)))
    }

    async fn assume(&self, client: &role::Client, assumption: Assumption) -> Result<Credentials, NoCredentials> {
        let taken = role::assume(client, &self.pacer, &assumption).await;
        taken.map_err(|error| NoCredentials::Role { role: assumption.role_arn, error: Box::new(error) })
    }

    /// Returns the credentials that an AWS profile takes its role on with.
    fn base(
        &self,
        name: &str,
        section: &Profile,
        profiles: &ProfileSet,
    ) -> Result<SharedCredentialsProvider, NoCredentials> {
        if let Some(source) = section.get("source_profile") {
            if source == name {
                return keys_of(section)
                    .ok_or_else(|| broken(name, "its source_profile is itself, and it holds no keys"));
            }
            let found = profiles.get_profile(source);
            let found = found.ok_or_else(|| broken(name, &format!("its source_profile {source} is not there")))?;
            return Ok(SharedCredentialsProvider::new(self.of_profile(source, found)));
        }
        let settings = self.provider_settings(section);
        match section.get("credential_source") {
            Some("Environment") => Ok(SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new())),
            Some("Ec2InstanceMetadata") => {
                let provider = ImdsCredentialsProvider::builder().configure(&settings).build();
                Ok(SharedCredentialsProvider::new(provider))
            }
            Some("EcsContainer") => {
                let provider = EcsCredentialsProvider::builder().configure(&settings).build();
                Ok(SharedCredentialsProvider::new(provider))
            }
            Some(other) => Err(broken(name, &format!("its credential_source {other} is not known"))),
            None => Err(broken(name, "it has a role_arn, and neither source_profile nor credential_source")),
        }
    }

    /// Returns what the SDK makes of an AWS profile.
    fn of_profile(&self, name: &str, section: &Profile) -> ProfileFileCredentialsProvider {
        let settings = self.provider_settings(section);
        ProfileFileCredentialsProvider::builder().configure(&settings).profile_name(name).build()
    }

    fn provider_settings(&self, section: &Profile) -> ProviderConfig {
        ProviderConfig::without_region().with_region(self.region_of(section))
    }

    fn region_of(&self, section: &Profile) -> Option<aws_config::Region> {
        let own = section.get("region").map(|region| aws_config::Region::new(region.to_owned()));
        own.or_else(|| self.config.region().cloned())
    }
}

fn broken(profile: &str, what: &str) -> NoCredentials {
    NoCredentials::Profile { profile: profile.to_owned(), what: what.to_owned() }
}

/// Returns the keys that stand in a profile itself.
fn keys_of(section: &Profile) -> Option<SharedCredentialsProvider> {
    let (key, secret) = section.get("aws_access_key_id").zip(section.get("aws_secret_access_key"))?;
    let token = section.get("aws_session_token").map(str::to_owned);
    Some(SharedCredentialsProvider::new(aws_credential_types::Credentials::new(key, secret, token, None, "profile")))
}

fn assumption(role_arn: String, section: Option<&Profile>, stamp: &Stamp) -> Assumption {
    let own = |key: &str| section.and_then(|section| section.get(key)).map(str::to_owned);
    let asked = stamp.duration.and_then(|duration| i32::try_from(duration.as_secs()).ok());
    Assumption {
        role_arn,
        session_name: own("role_session_name").unwrap_or_else(|| stamp.session_name.clone()),
        source_identity: stamp.source_identity.clone(),
        external_id: own("external_id"),
        duration: own("duration_seconds").and_then(|seconds| seconds.parse().ok()).or(asked),
    }
}

async fn provided(provider: &impl ProvideCredentials) -> Result<Credentials, String> {
    let found = provider.provide_credentials().await;
    let found = found.map_err(|error| crate::resource::call::full_message(&error))?;
    let expires = found.expiry().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    Ok(Credentials {
        access_key_id: found.access_key_id().to_owned(),
        secret_access_key: found.secret_access_key().to_owned(),
        session_token: found.session_token().map(str::to_owned),
        expires: expires.and_then(|since| i64::try_from(since.as_secs()).ok()),
    })
}
