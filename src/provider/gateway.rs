//! The interface to AWS for the access commands: policies, records, and credentials to issue.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::profile::ProfileSet;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_credential_types::provider::error::CredentialsError;
use tokio::sync::OnceCell;

use super::aws::{Connection, settings};
use super::policies::Policies;
use super::profiles::{self, Chain, NoCredentials, provided, region_of, static_provider};
use super::shared::Shared;
use super::signing::client_without_credentials;
use crate::kind::document::PolicyDocument;
use crate::kind::policy_parameter::{self, Found, ParameterApi, PolicyParameter, Reading, Version};
use crate::kind::role::{self as iam, RoleApi};
use crate::kind::table::{self, TableApi};
use crate::resource::Live;
use crate::resource::call::CallError;
use crate::resource::caller::{self, Caller, Identity, Reuse};
use crate::resource::names::{PolicyRoot, RoleArn};
use crate::resource::pacer::Pacer;
use crate::resource::record::{self, Records};
use crate::resource::role::{self, Assumption, Credentials, LONGEST_OF_USER, SHORTEST, SessionTag};
use crate::resource::secret::Secret;
use crate::resource::simulation::Simulated;

/// The source of the credentials to issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// An AWS profile in the shared files.
    Profile(String),
    /// The program's own credentials: keys in the environment, a container's or an instance's.
    Own,
    /// A role of the AWS emulator, which has no shared files. Its name is that of the corresponding AWS profile.
    Embedded(String),
}

impl Origin {
    /// Returns the AWS profile of the credentials, if there is one.
    pub fn aws_profile(&self) -> Option<&str> {
        match self {
            Self::Profile(name) | Self::Embedded(name) => Some(name),
            Self::Own => None,
        }
    }
}

/// The AWS profiles that the user named.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Named<'a> {
    /// The profile whose credentials are issued.
    pub for_credentials: Option<&'a str>,
    /// The profile that this command uses, from the command line.
    pub on_the_command_line: Option<&'a str>,
    pub in_the_manifest: bool,
}

/// The attributes of an assumed role's session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    pub source_identity: String,
    /// The session name, unless the AWS profile sets one.
    pub session_name: String,
    /// The duration of the credentials, unless the AWS profile sets one.
    pub duration: Option<Duration>,
    /// The code of the caller's MFA device, for a role that requires one.
    pub mfa_code: Option<Secret>,
    /// The ARN of the caller, which is already known.
    pub user_arn: String,
    /// The time, in seconds since 1970.
    pub now: i64,
    /// When access ends, if it does. Credentials do not outlast it.
    pub until: Option<i64>,
}

impl Stamp {
    /// Returns the duration of the credentials, given the profile's own setting: at most the remaining access, and at least STS's minimum.
    fn seconds(&self, own: Option<i32>) -> Option<i32> {
        let requested = self.duration.and_then(|duration| i32::try_from(duration.as_secs()).ok());
        let wanted = own.or(requested);
        let Some(until) = self.until else { return wanted };
        let most = i32::try_from((until - self.now).max(SHORTEST)).unwrap_or(i32::MAX);
        Some(wanted.unwrap_or(HOUR).min(most))
    }
}

/// The default duration of a role session in seconds, and the maximum when a role's credentials assume another role (STS API Reference,
/// "AssumeRole").
const HOUR: i32 = 3600;

/// Credentials that were obtained and not yet released, with their identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// They expire no later than access ends.
    pub credentials: Credentials,
    pub aws_profile: Option<String>,
    /// The ARN that AWS sees for them.
    pub arn: String,
    /// The role, if the credentials are for a role. It includes the path if Sentinel assumed the role; otherwise it is as STS returns it.
    pub role_arn: Option<String>,
    /// Set only if Sentinel or the profile set one.
    pub source_identity: Option<String>,
}

/// The connection of the access commands.
#[derive(Debug)]
pub struct Gateway {
    config: SdkConfig,
    embedded: bool,
    parameters: ParameterApi,
    dynamodb: record::Client,
    sts: caller::Client,
    pacer: Arc<Pacer>,
    profiles: OnceCell<ProfileSet>,
    /// The AWS profile that makes the calls, if there is one.
    asking: Option<String>,
    /// Sends requests that others have signed.
    unsigned_client: OnceLock<caller::Client>,
    /// The most recently read policies, when one gateway serves many users.
    policies: Option<Policies>,
}

impl Gateway {
    /// Loads credentials and settings; makes no AWS call.
    pub async fn connect(connection: Connection) -> Self {
        let pacer = Pacer::new(connection.pace, connection.interrupt.clone(), connection.traffic.clone());
        let pacer = Arc::new(pacer);
        let embedded = connection.embedded.is_some();
        let mut asking = connection.destination.route.aws_profile.clone().map(String::from);
        let mut config = Box::pin(settings(connection)).await;
        let profiles = OnceCell::new();
        // If the files cannot be read, the SDK reports the error when it looks for credentials.
        if !embedded && let Ok(read) = profiles::load().await {
            let in_force = || (!profiles::keys_in_environment()).then(|| read.selected_profile().to_owned());
            asking = asking.or_else(in_force);
            let name = asking.as_deref().unwrap_or_default();
            if let Some(section) = read.get_profile(name)
                && let Ok(Some(role)) = (Chain { name, section, profiles: &read, config: &config }).named_role()
            {
                let provider = Shared::wrap(SharedCredentialsProvider::new(role));
                config = config.into_builder().credentials_provider(provider).build();
            }
            let _ = profiles.set(read);
        }
        Self {
            parameters: ParameterApi::new(&config, &pacer),
            dynamodb: record::Client::new(&config),
            sts: caller::Client::new(&config),
            config,
            embedded,
            pacer,
            profiles,
            asking,
            unsigned_client: OnceLock::new(),
            policies: None,
        }
    }

    /// Refuses an AWS profile that a flag or the manifest names and that does not exist.
    pub async fn check_profile(&self, named: Option<&str>) -> Result<(), NoCredentials> {
        match named.filter(|_| !self.embedded) {
            Some(name) if self.profiles().await?.get_profile(name).is_none() => {
                Err(NoCredentials::NoProfile(name.to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// Refuses an AWS profile whose credentials come from `sentinel credentials`, which would call itself.
    pub async fn check_asking(&self) -> Result<(), NoCredentials> {
        let Some(asking) = self.asking.as_ref().filter(|_| !self.embedded) else { return Ok(()) };
        let circle = profiles::served_by_sentinel(self.profiles().await?, asking);
        if circle { Err(NoCredentials::Circle(asking.clone())) } else { Ok(()) }
    }

    /// Identifies the caller.
    pub async fn identify(&self) -> Result<Caller, CallError> {
        caller::identify(&self.sts, &self.pacer).await
    }

    /// Reads a policy's parameter.
    pub async fn policy(&self, name: &str) -> Result<Option<Live<PolicyParameter>>, CallError> {
        match &self.policies {
            Some(policies) => policies.get(name, || policy_parameter::read(&self.parameters, name)).await,
            None => policy_parameter::read(&self.parameters, name).await,
        }
    }

    /// Returns the same connection with a policy cache whose entries are valid for this time.
    #[must_use]
    pub fn sharing_policies(self, good: Duration) -> Self {
        Self { policies: Some(Policies::new(good)), ..self }
    }

    /// Returns the endpoint for all services, if it is not AWS's own.
    pub fn endpoint_url(&self) -> Option<&str> {
        self.config.endpoint_url()
    }

    pub(super) fn config(&self) -> &SdkConfig {
        &self.config
    }

    pub(super) fn unsigned_client(&self) -> &caller::Client {
        self.unsigned_client.get_or_init(|| client_without_credentials(&self.config))
    }

    /// Reads the versions of a policy's parameter, the oldest first.
    pub async fn policy_versions(&self, name: &str, reading: Reading) -> Result<Vec<Version>, CallError> {
        policy_parameter::history(&self.parameters, name, reading).await
    }

    /// Lists the parameters under a path.
    pub async fn discover(&self, root: &PolicyRoot) -> Result<Vec<Found>, CallError> {
        policy_parameter::discover(&self.parameters, root).await
    }

    fn roles(&self) -> RoleApi {
        let identity = Arc::new(Identity::new(&self.config, &self.pacer, Reuse::Never));
        RoleApi::new(&self.config, &self.pacer, &identity)
    }

    /// Reads the trust policy of a role in the caller's account. Returns `None` if the role does not exist.
    pub async fn role_trust(&self, role: &RoleArn) -> Result<Option<PolicyDocument>, CallError> {
        iam::trust(&self.roles(), role).await
    }

    /// Returns the ARN of a role in the caller's account, found by the role's name. Returns `None` if the role does not exist.
    pub async fn role_arn(&self, role: &RoleArn) -> Result<Option<String>, CallError> {
        iam::role_arn(&self.roles(), role).await
    }

    /// Returns the ARN and the trust policy of a role in the caller's account, found by the role's name. Returns `None` if the role does
    /// not exist.
    pub async fn role_named(&self, role: &RoleArn) -> Result<Option<(RoleArn, PolicyDocument)>, CallError> {
        iam::role_named(&self.roles(), role).await
    }

    /// Returns the ARNs of all roles in the caller's account.
    pub async fn role_arns(&self) -> Result<Vec<RoleArn>, CallError> {
        iam::role_arns(&self.roles()).await
    }

    /// Returns the ARNs of the managed policies of a role in the caller's account.
    pub async fn managed_policies(&self, role: &RoleArn) -> Result<BTreeSet<String>, CallError> {
        iam::managed_policies(&self.roles(), role).await
    }

    /// Returns what IAM says about the permissions of a principal.
    pub async fn simulate(&self, simulation: &iam::Simulation<'_>) -> Result<Vec<Simulated>, CallError> {
        iam::simulate(&self.roles(), simulation).await
    }

    /// Returns the regions of the replicas of a table; none for a table that does not exist.
    pub async fn replica_regions(&self, table: &str) -> Result<BTreeSet<String>, CallError> {
        let identity = Arc::new(Identity::new(&self.config, &self.pacer, Reuse::Never));
        table::replica_regions(&TableApi::new(&self.config, &self.pacer, &identity), table).await
    }

    pub fn records<'a>(&'a self, table: &'a str) -> Records<'a> {
        Records::new(&self.dynamodb, &self.pacer, table)
    }

    /// Returns the source of the credentials of a policy's profile: the AWS profile that is named for it, or the one with the policy's own
    /// name, or the one of the command line. Otherwise it is the program's own credentials, but never an AWS profile that only happens to
    /// be active.
    pub async fn origin(&self, policy: &str, named: &Named<'_>) -> Result<Origin, NoCredentials> {
        if self.embedded {
            return Ok(Origin::Embedded(named.for_credentials.unwrap_or(policy).to_owned()));
        }
        let profiles = self.profiles().await?;
        // A profile whose credentials come from Sentinel cannot be their source.
        let there = |name: &str| profiles.get_profile(name).is_some() && !profiles::served_by_sentinel(profiles, name);
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
        let keys = profiles::keys_in_environment();
        let other = named.in_the_manifest || (!keys && there(profiles.selected_profile()));
        if other { Err(NoCredentials::NoProfile(policy.to_owned())) } else { Ok(Origin::Own) }
    }

    /// Returns the MFA device whose code an origin's role requires, if it requires one.
    pub async fn mfa_device(&self, origin: &Origin) -> Result<Option<String>, NoCredentials> {
        let Origin::Profile(name) = origin else { return Ok(None) };
        let profiles = self.profiles().await?;
        let Some(section) = profiles.get_profile(name) else { return Ok(None) };
        let chain = Chain { name, section, profiles, config: &self.config };
        Ok(chain.mfa_device().map(str::to_owned))
    }

    /// Obtains credentials of an origin. If Sentinel assumes a role, the session gets the attributes of the stamp. Permanent keys are
    /// exchanged for temporary ones.
    pub async fn credentials(&self, origin: &Origin, stamp: &Stamp) -> Result<Issued, NoCredentials> {
        if stamp.until.is_some_and(|until| until <= stamp.now) {
            return Err(NoCredentials::Ended);
        }
        let mut issued = match origin {
            Origin::Own => self.own(stamp).await?,
            // The emulator has a role for each profile, so policies that name their role can be tried.
            Origin::Embedded(name) => {
                let role = Some(name.as_str()).filter(|name| role::is_name(name) && name.len() <= role::NAME_LENGTH);
                let role_arn = format!("arn:aws:iam::123456789012:role/{}", role.unwrap_or("sentinel-local"));
                self.assume(&self.sts, assumption(role_arn, None, stamp)).await?
            }
            Origin::Profile(name) => self.of_profile(name, stamp).await?,
        };
        issued.aws_profile = origin.aws_profile().map(str::to_owned);
        if let Some(until) = stamp.until {
            let expires = &mut issued.credentials.expires;
            *expires = Some(expires.map_or(until, |at| at.min(until)));
        }
        Ok(issued)
    }

    /// Assumes a role with the gateway's own credentials, for the user of a stamp. The session loses its permissions when access ends.
    pub async fn assume_for(
        &self,
        role: &RoleArn,
        stamp: &Stamp,
        tags: Vec<SessionTag>,
    ) -> Result<Issued, NoCredentials> {
        if stamp.until.is_some_and(|until| until <= stamp.now) {
            return Err(NoCredentials::Ended);
        }
        let assumption = Assumption { tags, ends: stamp.until, ..assumption(role.to_string(), None, stamp) };
        let mut issued = self.assume(&self.sts, assumption).await?;
        if let Some(until) = stamp.until {
            let expires = &mut issued.credentials.expires;
            *expires = Some(expires.map_or(until, |at| at.min(until)));
        }
        Ok(issued)
    }

    async fn own(&self, stamp: &Stamp) -> Result<Issued, NoCredentials> {
        let Some(provider) = self.config.credentials_provider() else {
            return Err(NoCredentials::Own(CredentialsError::not_loaded_no_source().into()));
        };
        let found = provided(&provider).await.map_err(NoCredentials::Own)?;
        // These credentials made the call, so STS has already identified them.
        self.found(found, stamp.user_arn.clone(), &self.sts, ("the environment", None), stamp).await
    }

    async fn of_profile(&self, name: &str, stamp: &Stamp) -> Result<Issued, NoCredentials> {
        let profiles = self.profiles().await?;
        let section = profiles.get_profile(name).ok_or_else(|| NoCredentials::NoProfile(name.to_owned()))?;
        let chain = Chain { name, section, profiles, config: &self.config };
        if let Some(role_arn) = chain.role().map(str::to_owned) {
            if let Some(device) = chain.mfa_device().filter(|_| stamp.mfa_code.is_none()) {
                return Err(NoCredentials::Mfa { profile: name.to_owned(), device: device.to_owned() });
            }
            let sts = role::Client::new(&chain.base()?);
            return self.assume(&sts, assumption(role_arn, Some(&chain), stamp)).await;
        }
        let found = chain.provided().await?;
        let config = self.config.to_builder().credentials_provider(static_provider(&found));
        let sts = role::Client::new(&config.region(region_of(section, &self.config)).build());
        let whose = format!("the AWS profile {name}");
        // The user controls the role in the shared files but not STS's answer.
        let caller = caller::identify(&sts, &self.pacer).await;
        let caller =
            caller.map_err(|error| NoCredentials::Unknown { whose: whose.clone(), source: Box::new(error) })?;
        self.found(found, caller.arn, &sts, (&whose, chain.duration()), stamp).await
    }

    /// Checks the SDK's credentials and returns them for release.
    async fn found(
        &self,
        found: Credentials,
        arn: String,
        sts: &role::Client,
        (whose, seconds): (&str, Option<i32>),
        stamp: &Stamp,
    ) -> Result<Issued, NoCredentials> {
        if arn.ends_with(":root") {
            return Err(NoCredentials::Root(whose.to_owned()));
        }
        let credentials = if found.session_token.is_some() {
            found
        } else {
            let most = i32::try_from(LONGEST_OF_USER).unwrap_or(i32::MAX);
            let seconds = stamp.seconds(seconds).unwrap_or(HOUR).min(most);
            let exchanged = role::session_token(sts, &self.pacer, seconds).await;
            exchanged.map_err(|error| NoCredentials::Permanent { whose: whose.to_owned(), source: Box::new(error) })?
        };
        let role_arn = role::role_of(&arn);
        Ok(Issued { credentials, aws_profile: None, arn, role_arn, source_identity: None })
    }

    /// Returns the region of an origin's own settings, if they have one.
    pub async fn region(&self, origin: &Origin) -> Result<Option<String>, NoCredentials> {
        let Origin::Profile(name) = origin else { return Ok(None) };
        let section = self.profiles().await?.get_profile(name);
        Ok(section.and_then(|section| region_of(section, &self.config)).map(|region| region.to_string()))
    }

    async fn profiles(&self) -> Result<&ProfileSet, NoCredentials> {
        self.profiles.get_or_try_init(profiles::load).await
    }

    async fn assume(&self, client: &role::Client, assumption: Assumption) -> Result<Issued, NoCredentials> {
        match role::assume(client, &self.pacer, &assumption).await {
            Ok(assumed) => Ok(Issued {
                credentials: assumed.credentials,
                aws_profile: None,
                arn: assumed.arn,
                role_arn: Some(assumption.role_arn),
                source_identity: assumption.source_identity,
            }),
            Err(error) => Err(NoCredentials::Role { role: assumption.role_arn, source: Box::new(error) }),
        }
    }
}

fn assumption(role_arn: String, chain: Option<&Chain<'_>>, stamp: &Stamp) -> Assumption {
    let own = |key: &str| chain.and_then(|chain| chain.own(key));
    Assumption {
        role_arn,
        session_name: own("role_session_name").unwrap_or_else(|| stamp.session_name.clone()),
        source_identity: Some(stamp.source_identity.clone()),
        external_id: own("external_id"),
        mfa: own("mfa_serial").zip(stamp.mfa_code.clone()).map(|(serial, code)| role::Mfa { serial, code }),
        duration: stamp.seconds(chain.and_then(Chain::duration)),
        tags: Vec::new(),
        ends: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_with_access_but_not_below_the_sts_minimum() {
        let seconds = |own: Option<i32>, requested: Option<u64>, left: Option<i64>| {
            let stamp = Stamp {
                source_identity: String::from("alice=0123456789abcdef"),
                session_name: String::from("alice"),
                duration: requested.map(Duration::from_secs),
                mfa_code: None,
                user_arn: String::new(),
                now: 1_000,
                until: left.map(|left| 1_000 + left),
            };
            stamp.seconds(own)
        };
        assert_eq!(seconds(None, None, None), None);
        assert_eq!(seconds(Some(43_200), Some(1_800), None), Some(43_200));
        assert_eq!(seconds(None, Some(1_800), None), Some(1_800));
        // A profile's own duration is limited to the remaining access; the minimum of STS is 900 seconds.
        assert_eq!(seconds(Some(43_200), None, Some(5_000)), Some(5_000));
        assert_eq!(seconds(Some(43_200), None, Some(60)), Some(900));
        assert_eq!(seconds(Some(900), None, Some(5_000)), Some(900));
        assert_eq!(seconds(None, Some(1_800), Some(1_000)), Some(1_000));
        // The default is an hour, because role chaining allows no longer sessions.
        assert_eq!(seconds(None, None, Some(8 * 3_600)), Some(3_600));
    }
}
