//! The stable codes of errors. A code is never reused for another error. `sentinel explain CODE` prints details.

use std::fmt;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// The code of an error.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// Every code, in order.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            pub fn from_text(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|code| code.as_str() == text)
            }

            /// Returns its text.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

codes! {
    /// Invalid arguments.
    Usage = "E001",
    /// A file could not be read or written.
    File = "E002",
    /// The manifest or a policy has faults.
    Faults = "E003",
    /// No AWS region is configured.
    NoRegion = "E004",
    /// The changes were not confirmed.
    NotConfirmed = "E005",
    /// The AWS emulator failed.
    Local = "E006",
    /// The run was interrupted.
    Interrupted = "E007",
    /// The timeout of the run expired.
    OutOfTime = "E008",
    /// A result could not be written as JSON.
    Unwritable = "E009",
    /// A bug: a state that should be impossible.
    Internal = "E010",
    /// An operating system call failed.
    System = "E011",
    /// CloudFormation or Terraform does not support something in the manifest.
    NotExported = "E012",
    /// The plan has a finding that `--fail-on` names.
    FailOn = "E013",
    /// No credentials were found.
    NoCredentials = "E101",
    /// An SSO session has expired or was never started.
    Sso = "E102",
    /// The AWS profile does not exist or cannot be used.
    Profile = "E103",
    /// A credential process failed.
    CredentialProcess = "E104",
    /// AWS does not recognize the credentials.
    InvalidCredentials = "E105",
    /// Temporary credentials have expired.
    ExpiredCredentials = "E106",
    /// The machine's clock is wrong.
    Clock = "E107",
    /// Could not assume a role.
    Role = "E108",
    /// An AWS profile and Sentinel request credentials from each other.
    Circular = "E109",
    /// The shared AWS files cannot be read.
    SharedFiles = "E110",
    /// A role requires an MFA code.
    Mfa = "E111",
    /// The credentials belong to an account's root user.
    RootUser = "E112",
    /// The keys never expire, and cannot be exchanged for temporary ones.
    PermanentKeys = "E113",
    /// The credentials do not belong to a user with a known name.
    NoUser = "E114",
    /// A permission is missing.
    Denied = "E201",
    /// AWS throttled a call until the retry deadline.
    Throttled = "E202",
    /// A quota of the account is reached.
    Quota = "E203",
    /// AWS returned a server error.
    ServerFault = "E204",
    /// AWS rejected a call.
    Rejected = "E205",
    /// Another change of the resource is in progress.
    Busy = "E206",
    /// A table or another required resource does not exist.
    NoResource = "E207",
    /// A table lacks an index that the command needs.
    NoIndex = "E208",
    /// A resource could not be read, for a reason other than a missing permission.
    Unread = "E209",
    /// The host name of a service was not found: no network, no DNS, or no such region.
    NameNotFound = "E301",
    /// The connection was refused or failed.
    NotConnected = "E302",
    /// The certificate of the server or proxy is not trusted.
    Certificate = "E303",
    /// The response did not arrive in time.
    TimedOut = "E304",
    /// The proxy could not be used.
    Proxy = "E305",
    /// A response could not be parsed.
    BadAnswer = "E306",
    /// The credentials belong to an account other than the configured one.
    WrongAccount = "E401",
    /// A saved plan is stale.
    Stale = "E402",
    /// A file is not a plan that can be applied.
    UnusablePlan = "E403",
    /// A plan changes more existing resources than the limit allows.
    Extent = "E404",
    /// Two targets have the same account and region.
    DuplicateTargets = "E405",
    /// A saved plan is for another manifest.
    PlanMismatch = "E406",
    /// A policy, or the state of a record, denies the access.
    AccessDenied = "E501",
    /// The command to run could not be started.
    NotStarted = "E502",
    /// The record does not exist.
    NoRecord = "E503",
    /// A request to the broker failed, or its response is invalid.
    Broker = "E601",
}

impl fmt::Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let known = Self::ALL.iter().copied().find(|code| code.as_str() == text);
        known.ok_or_else(|| D::Error::custom(format!("{text} is not an error code")))
    }
}
