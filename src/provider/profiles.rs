//! AWS profiles: their credentials, and the roles that they assume.
//!
//! The SDK assumes a profile's role without a source identity and with a generated session name. Sentinel therefore performs the last step
//! of a profile's chain itself and leaves the other steps to the SDK.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use aws_config::SdkConfig;
use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::profile::{Profile, ProfileFileCredentialsProvider, ProfileSet};
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_types::os_shim_internal::{Env, Fs};

use crate::code::Code;
use crate::resource::call::{CallError, Cause, full_message};
use crate::resource::caller;
use crate::resource::diagnosis::Unprovided;
use crate::resource::interrupt::Interrupt;
use crate::resource::pacer::{Pace, Pacer};
use crate::resource::role::{self, Assumption, Credentials, session_name};
use crate::resource::secret::Secret;
use crate::resource::traffic::Traffic;

/// The reason why there are no credentials to release.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NoCredentials {
    #[error("there is no AWS profile {0} in ~/.aws/config or ~/.aws/credentials")]
    NoProfile(String),
    #[error("the AWS profile {0} gets its credentials from Sentinel, which cannot use it for its own calls")]
    Circle(String),
    #[error("the shared AWS files cannot be read: {what}")]
    Files { what: String, source: Cause },
    #[error("the AWS profile {profile} requires a code from the MFA device {device}")]
    Mfa { profile: String, device: String },
    /// Its settings in the shared files do not lead to credentials.
    #[error("the AWS profile {profile} cannot be used: {what}")]
    Profile { profile: String, what: String },
    #[error("no credentials from the AWS profile {profile}: {source}")]
    Provider { profile: String, source: Unprovided },
    #[error("no calling credentials: {0}")]
    Own(#[source] Unprovided),
    #[error("cannot assume the role {role}: {source}")]
    Role { role: String, source: Box<CallError> },
    #[error("the credentials of {0} are those of an account's root user, which are never released")]
    Root(String),
    #[error("the keys of {whose} never expire, and STS does not exchange them for temporary ones: {source}")]
    Permanent { whose: String, source: Box<CallError> },
    #[error("STS does not identify the credentials of {whose}: {source}")]
    Unknown { whose: String, source: Box<CallError> },
    #[error("access ended before Sentinel obtained credentials")]
    Ended,
}

impl NoCredentials {
    /// Returns the error code.
    pub fn code(&self) -> Code {
        // A refused call gets the code of its purpose; any other failure keeps its own code.
        let of_call = |error: &CallError, refused: Code| match error.diagnosis() {
            Code::Denied | Code::Rejected => refused,
            other => other,
        };
        match self {
            Self::NoProfile(_) | Self::Profile { .. } => Code::Profile,
            Self::Circle(_) => Code::Circular,
            Self::Files { .. } => Code::SharedFiles,
            Self::Mfa { .. } => Code::Mfa,
            Self::Provider { source, .. } | Self::Own(source) => source.code,
            Self::Role { source, .. } => of_call(source, Code::Role),
            Self::Root(_) => Code::RootUser,
            Self::Permanent { source, .. } => of_call(source, Code::PermanentKeys),
            Self::Unknown { source, .. } => source.diagnosis(),
            Self::Ended => Code::AccessDenied,
        }
    }
}

/// Reads the shared AWS files.
pub(super) async fn load() -> Result<ProfileSet, NoCredentials> {
    let read = aws_config::profile::load(&Fs::real(), &Env::real(), &EnvConfigFiles::default(), None).await;
    read.map_err(|error| NoCredentials::Files { what: full_message(&error), source: Arc::new(error) })
}

/// Returns the names of the AWS profiles in the shared files; none where these cannot be read.
pub async fn aws_profiles() -> Vec<String> {
    let profiles = load().await;
    let mut names: Vec<String> = profiles.iter().flat_map(ProfileSet::profiles).map(str::to_owned).collect();
    names.sort();
    names
}

/// Returns whether a profile's credentials, or those that it assumes its role with, come from `sentinel credentials`.
pub(super) fn served_by_sentinel(profiles: &ProfileSet, name: &str) -> bool {
    let mut seen = Vec::new();
    let mut next = Some(name);
    while let Some(name) = next.filter(|name| !seen.contains(name)) {
        seen.push(name);
        let Some(section) = profiles.get_profile(name) else { return false };
        if section.get("credential_process").is_some_and(runs_sentinel) {
            return true;
        }
        next = section.get("source_profile");
    }
    false
}

fn runs_sentinel(line: &str) -> bool {
    let own = std::env::current_exe().ok();
    let own = own.as_deref().and_then(Path::file_name).and_then(OsStr::to_str).unwrap_or_default();
    // A shell does not run a line that it cannot split.
    let words = shlex::split(line).unwrap_or_default();
    let program = words.first().and_then(|word| word.rsplit('/').next()).unwrap_or_default();
    (program == "sentinel" || program == own) && words.iter().any(|word| word == "credentials")
}

/// Returns whether the environment contains keys, which the SDK prefers unless a profile is named.
pub(super) fn keys_in_environment() -> bool {
    Env::real().get("AWS_ACCESS_KEY_ID").is_ok_and(|key| !key.is_empty())
}

/// An AWS profile and the default settings.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chain<'a> {
    pub(super) name: &'a str,
    pub(super) section: &'a Profile,
    pub(super) profiles: &'a ProfileSet,
    pub(super) config: &'a SdkConfig,
}

impl Chain<'_> {
    /// Returns the role that Sentinel assumes, if there is one. A web identity token has its own source identity, so the SDK assumes that
    /// role.
    pub(super) fn role(&self) -> Option<&str> {
        self.section.get("role_arn").filter(|_| self.section.get("web_identity_token_file").is_none())
    }

    /// Returns the MFA device whose code the role requires, if it requires one.
    pub(super) fn mfa_device(&self) -> Option<&str> {
        self.section.get("mfa_serial").filter(|_| self.role().is_some())
    }

    pub(super) fn own(&self, key: &str) -> Option<String> {
        self.section.get(key).map(str::to_owned)
    }

    /// Returns the settings with the credentials that assume the role.
    pub(super) fn base(&self) -> Result<SdkConfig, NoCredentials> {
        let provider = self.base_provider()?;
        let region = region_of(self.section, self.config);
        Ok(self.config.to_builder().credentials_provider(provider).region(region).build())
    }

    fn base_provider(&self) -> Result<SharedCredentialsProvider, NoCredentials> {
        let Self { name, section, profiles, config } = *self;
        if let Some(source) = section.get("source_profile") {
            if source == name {
                return keys_of(section)
                    .ok_or_else(|| broken(name, "its source_profile is itself, and it has no keys"));
            }
            let found = profiles.get_profile(source);
            let found = found.ok_or_else(|| broken(name, &format!("its source_profile {source} does not exist")))?;
            return Ok(SharedCredentialsProvider::new(of_profile(source, found, config)));
        }
        let settings = bounded_like(config).with_region(region_of(section, config));
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
            Some(other) => Err(broken(name, &format!("its credential_source {other} is unknown"))),
            None => Err(broken(name, "it has a role_arn, and neither source_profile nor credential_source")),
        }
    }

    /// Returns the SDK's own credentials for the profile.
    pub(super) async fn provided(&self) -> Result<Credentials, NoCredentials> {
        let provider = of_profile(self.name, self.section, self.config);
        let found = provided(&provider).await;
        found.map_err(|source| NoCredentials::Provider { profile: self.name.to_owned(), source })
    }

    /// Returns a provider that assumes the profile's role with the user's name as session name, unless the profile sets one. The SDK would
    /// generate a different name each time, which approvals could not refer to.
    pub(super) fn named_role(&self) -> Result<Option<NamedRole>, NoCredentials> {
        if self.section.get("role_session_name").is_some() || self.mfa_device().is_some() {
            return Ok(None);
        }
        let Some(role_arn) = self.role().map(str::to_owned) else { return Ok(None) };
        let (external_id, duration) = (self.own("external_id"), self.duration());
        Ok(Some(NamedRole { base: self.base()?, role_arn, external_id, duration }))
    }

    /// Returns the profile's own duration for role credentials, in seconds.
    pub(super) fn duration(&self) -> Option<i32> {
        self.section.get("duration_seconds").and_then(|seconds| seconds.parse().ok())
    }
}

/// Assumes a role with the user's name as session name.
#[derive(Debug)]
pub(super) struct NamedRole {
    base: SdkConfig,
    role_arn: String,
    external_id: Option<String>,
    duration: Option<i32>,
}

impl NamedRole {
    async fn assume(&self) -> Result<Credentials, CredentialsError> {
        let pacer = Pacer::new(Pace::Aws, Interrupt::default(), Traffic::default());
        let sts = role::Client::new(&self.base);
        let caller = caller::identify(&sts, &pacer).await.map_err(CredentialsError::provider_error)?;
        let user = caller.user().map_err(CredentialsError::provider_error)?;
        let assumption = Assumption {
            role_arn: self.role_arn.clone(),
            session_name: session_name(&user),
            source_identity: None,
            external_id: self.external_id.clone(),
            mfa: None,
            duration: self.duration,
            tags: Vec::new(),
            ends: None,
        };
        let assumed = role::assume(&sts, &pacer, &assumption).await.map_err(CredentialsError::provider_error)?;
        Ok(assumed.credentials)
    }
}

impl ProvideCredentials for NamedRole {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async { Ok(for_sdk(&self.assume().await?)) })
    }
}

/// Returns the region of a profile, or else of the settings.
pub(super) fn region_of(section: &Profile, config: &SdkConfig) -> Option<aws_config::Region> {
    let own = section.get("region").map(|region| aws_config::Region::new(region.to_owned()));
    own.or_else(|| config.region().cloned())
}

/// Returns provider settings with the same response limits as all other calls.
fn bounded_like(config: &SdkConfig) -> ProviderConfig {
    match config.http_client() {
        Some(client) => ProviderConfig::without_region().with_http_client(client),
        None => ProviderConfig::without_region(),
    }
}

fn of_profile(name: &str, section: &Profile, config: &SdkConfig) -> ProfileFileCredentialsProvider {
    let settings = bounded_like(config).with_region(region_of(section, config));
    ProfileFileCredentialsProvider::builder().configure(&settings).profile_name(name).build()
}

/// Returns the keys in a profile itself.
fn keys_of(section: &Profile) -> Option<SharedCredentialsProvider> {
    let (key, secret) = section.get("aws_access_key_id").zip(section.get("aws_secret_access_key"))?;
    let token = section.get("aws_session_token").map(str::to_owned);
    Some(SharedCredentialsProvider::new(aws_credential_types::Credentials::new(key, secret, token, None, "profile")))
}

fn broken(profile: &str, what: &str) -> NoCredentials {
    NoCredentials::Profile { profile: profile.to_owned(), what: what.to_owned() }
}

/// Returns a provider's current credentials.
pub(super) async fn provided(provider: &impl ProvideCredentials) -> Result<Credentials, Unprovided> {
    let found = provider.provide_credentials().await?;
    let expires = found.expiry().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    Ok(Credentials {
        access_key_id: found.access_key_id().to_owned(),
        secret_access_key: Secret::new(found.secret_access_key().to_owned()),
        session_token: found
            .session_token()
            .filter(|token| !token.is_empty())
            .map(|token| Secret::new(token.to_owned())),
        expires: expires.and_then(|since| i64::try_from(since.as_secs()).ok()),
    })
}

/// Returns a provider that always has these credentials.
pub(super) fn static_provider(credentials: &Credentials) -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(for_sdk(credentials))
}

fn for_sdk(credentials: &Credentials) -> aws_credential_types::Credentials {
    let expires = credentials.expires.and_then(|at| u64::try_from(at).ok());
    let expires = expires.map(|at| std::time::UNIX_EPOCH + std::time::Duration::from_secs(at));
    let (key, secret) = (credentials.access_key_id.clone(), credentials.secret_access_key.reveal().to_owned());
    let token = credentials.session_token.as_ref().map(|token| token.reveal().to_owned());
    aws_credential_types::Credentials::new(key, secret, token, expires, "sentinel")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credential_process_lines_are_split_like_a_shell() {
        let lines = [
            "sentinel credentials --profile=dev",
            "/opt/bin/sentinel credentials --profile dev",
            "\"/opt/my tools/sentinel\" credentials --profile dev",
            "/opt/my\\ tools/sentinel  'credentials'",
        ];
        for line in lines {
            assert!(runs_sentinel(line), "{line}");
        }
        for line in
            ["", "sentinel plan", "aws-vault exec credentials", "'sentinel credentials'", "sentinel 'credentials"]
        {
            assert!(!runs_sentinel(line), "{line}");
        }
    }
}
