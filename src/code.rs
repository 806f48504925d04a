//! The stable codes of errors. A code is never given to another error; `sentinel explain CODE` says more.

use std::fmt;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// What kind of error it is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// Every code, in order.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Returns the one with this text.
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
    /// The arguments do not fit.
    Usage = "E001",
    /// A file could not be read or written.
    File = "E002",
    /// The manifest or a policy has faults.
    Faults = "E003",
    /// Nothing names a region.
    NoRegion = "E004",
    /// Nobody confirmed.
    NotConfirmed = "E005",
    /// The AWS emulator failed.
    Local = "E006",
    /// The run was interrupted.
    Interrupted = "E007",
    /// The time that the run was given was up.
    OutOfTime = "E008",
    /// A result could not be written as JSON.
    Unwritable = "E009",
    /// Something happened that must not: a bug.
    Internal = "E010",
    /// The operating system refused something that sentinel needs.
    System = "E011",
    /// Another engine cannot do what the manifest describes.
    NotExported = "E012",
    /// The plan has a finding that `--fail-on` names.
    FailOn = "E013",
    /// No credentials were found.
    NoCredentials = "E101",
    /// An SSO session is over, or was never begun.
    Sso = "E102",
    /// There is no AWS profile of that name, or it cannot be used.
    Profile = "E103",
    /// A credential process failed.
    CredentialProcess = "E104",
    /// AWS does not know the credentials.
    InvalidCredentials = "E105",
    /// Temporary credentials are over.
    ExpiredCredentials = "E106",
    /// The machine's clock is wrong.
    Clock = "E107",
    /// A role could not be taken on.
    Role = "E108",
    /// An AWS profile takes its credentials from sentinel, which would ask it for them.
    Circular = "E109",
    /// The shared AWS files cannot be read.
    SharedFiles = "E110",
    /// A role wants the code of an MFA device.
    Mfa = "E111",
    /// The credentials are those of an account's root user.
    RootUser = "E112",
    /// The keys never expire, and cannot be exchanged for temporary ones.
    PermanentKeys = "E113",
    /// The credentials are not those of a user that sentinel knows by name.
    NoUser = "E114",
    /// A permission is missing.
    Denied = "E201",
    /// AWS asked to slow down until patience ran out.
    Throttled = "E202",
    /// A quota of the account is reached.
    Quota = "E203",
    /// AWS failed on its side.
    ServerFault = "E204",
    /// AWS refused the call as it was.
    Rejected = "E205",
    /// Something is busy with another change.
    Busy = "E206",
    /// A table, or another resource that the command works on, is not there.
    NoResource = "E207",
    /// A table lacks an index that the command needs.
    NoIndex = "E208",
    /// A resource could not be read, for another reason than a missing permission.
    Unread = "E209",
    /// The name of a service's address was not found: no network, no DNS, or no such region.
    NameNotFound = "E301",
    /// Nothing listens at the address, or the way there is cut.
    NotConnected = "E302",
    /// The certificate of the server, or of a proxy before it, is not trusted.
    Certificate = "E303",
    /// There was no answer in time.
    TimedOut = "E304",
    /// The proxy could not be used.
    Proxy = "E305",
    /// An answer could not be read.
    BadAnswer = "E306",
    /// The credentials are of another account than the one that is meant.
    WrongAccount = "E401",
    /// A saved plan no longer holds.
    Stale = "E402",
    /// A file is no plan that could be carried out.
    UnusablePlan = "E403",
    /// More of what exists would change than is likely to be meant.
    Extent = "E404",
    /// Two targets are the same.
    Twins = "E405",
    /// A saved plan is for something else than the manifest at hand.
    Foreign = "E406",
    /// A policy, or the state of a record, says no.
    AccessDenied = "E501",
    /// The command to run could not be started.
    NotStarted = "E502",
    /// There is no record with that ID.
    NoRecord = "E503",
    /// The broker could not be asked, or did not answer as it should.
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
        known.ok_or_else(|| D::Error::custom(format!("{text} is no code of an error")))
    }
}
