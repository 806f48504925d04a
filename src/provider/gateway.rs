//! What those who use the policies and tables need of AWS: policies, records, and credentials to hand out.

use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::profile::ProfileSet;
use aws_credential_types::provider::SharedCredentialsProvider;
use tokio::sync::OnceCell;

use super::aws::{Connection, settings};
use super::profiles::{self, Chain, NoCredentials, provided, region_of};
use crate::kind::policy_parameter::{self, Found, ParameterApi, PolicyParameter};
use crate::resource::Live;
use crate::resource::call::CallError;
use crate::resource::caller::{self, Caller};
use crate::resource::pacer::Pacer;
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
    /// What the caller's MFA device shows, for a role that wants it.
    pub mfa_code: Option<String>,
}

/// A connection for those who use what is provisioned.
#[derive(Debug)]
pub struct Gateway {
    config: SdkConfig,
    embedded: bool,
    parameters: ParameterApi,
    dynamodb: record::Client,
    sts: caller::Client,
    pacer: Arc<Pacer>,
    profiles: OnceCell<ProfileSet>,
    /// The AWS profile that asks, if one does.
    asking: Option<String>,
}

impl Gateway {
    /// Loads credentials and settings; makes no AWS call.
    pub async fn connect(connection: Connection) -> Self {
        let pacer = Pacer::new(connection.pace, connection.interrupt.clone(), connection.traffic.clone());
        let pacer = Arc::new(pacer);
        let embedded = connection.embedded.is_some();
        let mut asking = connection.aws_profile.clone();
        let mut config = Box::pin(settings(connection)).await;
        let profiles = OnceCell::new();
        // Files that cannot be read are the SDK's to complain of, when it looks for credentials.
        if !embedded && let Ok(read) = profiles::load().await {
            let in_force = || (!profiles::keys_in_environment()).then(|| read.selected_profile().to_owned());
            asking = asking.or_else(in_force);
            let name = asking.as_deref().unwrap_or_default();
            if let Some(section) = read.get_profile(name)
                && let Ok(Some(role)) = (Chain { name, section, profiles: &read, config: &config }).named_role()
            {
                let provider = SharedCredentialsProvider::new(role);
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
        }
    }

    /// Refuses an AWS profile that is named, by a flag or the manifest, and is not there.
    pub async fn check_profile(&self, named: Option<&str>) -> Result<(), NoCredentials> {
        match named.filter(|_| !self.embedded) {
            Some(name) if self.profiles().await?.get_profile(name).is_none() => {
                Err(NoCredentials::NoProfile(name.to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// Refuses an AWS profile that would run `sentinel credentials` to ask for credentials, which would ask again.
    pub async fn check_asking(&self) -> Result<(), NoCredentials> {
        let Some(asking) = self.asking.as_ref().filter(|_| !self.embedded) else { return Ok(()) };
        let circle = profiles::served_by_sentinel(self.profiles().await?, asking);
        if circle { Err(NoCredentials::Circle(asking.clone())) } else { Ok(()) }
    }

    /// Tells who is calling.
    pub async fn identify(&self) -> Result<Caller, CallError> {
        caller::identify(&self.sts, &self.pacer).await
    }

    /// Reads the parameter of a policy.
    pub async fn policy(&self, name: &str) -> Result<Option<Live<PolicyParameter>>, CallError> {
        policy_parameter::read(&self.parameters, name).await
    }

    /// Lists the parameters under a path.
    pub async fn discover(&self, root: &str) -> Result<Vec<Found>, CallError> {
        policy_parameter::discover(&self.parameters, root).await
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
        // One that gets its credentials from here is what they are asked for, and not where they come from.
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

    /// Returns the MFA device that an origin's role wants a code of, if it wants one.
    pub async fn mfa_device(&self, origin: &Origin) -> Result<Option<String>, NoCredentials> {
        let Origin::Profile(name) = origin else { return Ok(None) };
        let profiles = self.profiles().await?;
        let Some(section) = profiles.get_profile(name) else { return Ok(None) };
        let chain = Chain { name, section, profiles, config: &self.config };
        Ok(chain.mfa_device().map(str::to_owned))
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
        let chain = Chain { name: profile, section, profiles, config: &self.config };
        let Some(role_arn) = chain.role().map(str::to_owned) else { return chain.provided().await };
        if let Some(device) = chain.mfa_device().filter(|_| stamp.mfa_code.is_none()) {
            return Err(NoCredentials::Mfa { profile: profile.clone(), device: device.to_owned() });
        }
        let sts = role::Client::new(&chain.base()?);
        self.assume(&sts, assumption(role_arn, Some(&chain), stamp)).await
    }

    /// Returns the region that an origin's own settings name, if they do.
    pub async fn region(&self, origin: &Origin) -> Result<Option<String>, NoCredentials> {
        let Origin::Profile(name) = origin else { return Ok(None) };
        let section = self.profiles().await?.get_profile(name);
        Ok(section.and_then(|section| region_of(section, &self.config)).map(|region| region.to_string()))
    }

    async fn profiles(&self) -> Result<&ProfileSet, NoCredentials> {
        self.profiles.get_or_try_init(profiles::load).await
    }

    async fn assume(&self, client: &role::Client, assumption: Assumption) -> Result<Credentials, NoCredentials> {
        let taken = role::assume(client, &self.pacer, &assumption).await;
        taken.map_err(|error| NoCredentials::Role { role: assumption.role_arn, error: Box::new(error) })
    }
}

fn assumption(role_arn: String, chain: Option<&Chain<'_>>, stamp: &Stamp) -> Assumption {
    let own = |key: &str| chain.and_then(|chain| chain.own(key));
    let asked = stamp.duration.and_then(|duration| i32::try_from(duration.as_secs()).ok());
    Assumption {
        role_arn,
        session_name: own("role_session_name").unwrap_or_else(|| stamp.session_name.clone()),
        source_identity: Some(stamp.source_identity.clone()),
        external_id: own("external_id"),
        mfa: own("mfa_serial").zip(stamp.mfa_code.clone()),
        duration: chain.and_then(Chain::duration).or(asked),
    }
}
