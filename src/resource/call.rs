//! AWS's operations, their rate limits, and the classification of failed calls.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::request_id::RequestId;

use super::diagnosis;
use crate::code::Code;

/// The rate limit of an operation, or of several together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quota {
    /// Its unique name.
    pub name: &'static str,
    /// Calls per second.
    pub rate: f64,
    /// The burst after a pause.
    pub burst: f64,
}

/// An AWS operation and its quota.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Operation {
    /// The service's name in IAM.
    pub service: &'static str,
    pub name: &'static str,
    pub quota: &'static Quota,
}

impl Operation {
    /// Returns whether it changes anything.
    pub fn writes(self) -> bool {
        !["Get", "Describe", "List", "Query", "Scan", "TransactGet"].iter().any(|head| self.name.starts_with(head))
    }

    /// Returns the time that this many calls take within the quota.
    pub fn time_for(self, calls: usize) -> Duration {
        let calls = u32::try_from(calls).map_or(f64::MAX, f64::from);
        Duration::try_from_secs_f64((calls - self.quota.burst).max(0.0) / self.quota.rate).unwrap_or(Duration::MAX)
    }

    /// Returns the IAM action: `ssm:GetParameters`.
    pub fn action(self) -> String {
        format!("{}:{}", self.service, self.name)
    }
}

/// Declares an operation with its own quota: calls per second, and burst. Each kind declares its operations with it.
macro_rules! operation {
    ($service:literal, $name:literal, $rate:literal, $burst:literal) => {
        $crate::resource::call::Operation {
            service: $service,
            name: $name,
            // Services share operation names, such as `TagResource`, but each has its own quota.
            quota: &$crate::resource::call::Quota { name: concat!($service, ":", $name), rate: $rate, burst: $burst },
        }
    };
}
pub(crate) use operation;

// Parameter Store's reads share 40 calls a second, and its writes 3 with a burst (AWS General Reference, "Systems Manager endpoints and
// quotas"). DynamoDB's quotas page states some rates of the control plane. The other rates are measured by operators. Each rate is a start:
// a throttled call lowers it, and successful calls raise it, beyond the start if the account allows more.
const PARAMETER_READS: Quota = Quota { name: "parameter reads", rate: 40.0, burst: 40.0 };
pub const GET_PARAMETERS: Operation = Operation { service: "ssm", name: "GetParameters", quota: &PARAMETER_READS };
pub const GET_PARAMETERS_BY_PATH: Operation =
    Operation { service: "ssm", name: "GetParametersByPath", quota: &PARAMETER_READS };
pub const DESCRIBE_PARAMETERS: Operation = operation!("ssm", "DescribeParameters", 3.0, 10.0);
pub const LIST_PARAMETER_TAGS: Operation = operation!("ssm", "ListTagsForResource", 5.0, 10.0);
pub const PUT_PARAMETER: Operation = operation!("ssm", "PutParameter", 3.0, 15.0);
pub const ADD_PARAMETER_TAGS: Operation = operation!("ssm", "AddTagsToResource", 3.0, 5.0);
pub const REMOVE_PARAMETER_TAGS: Operation = operation!("ssm", "RemoveTagsFromResource", 3.0, 5.0);
pub const DELETE_PARAMETERS: Operation = operation!("ssm", "DeleteParameters", 4.0, 4.0);
pub const DESCRIBE_TABLE: Operation = operation!("dynamodb", "DescribeTable", 50.0, 100.0);
pub const DESCRIBE_TIME_TO_LIVE: Operation = operation!("dynamodb", "DescribeTimeToLive", 10.0, 10.0);
pub const DESCRIBE_CONTINUOUS_BACKUPS: Operation = operation!("dynamodb", "DescribeContinuousBackups", 8.0, 8.0);
pub const LIST_TABLE_TAGS: Operation = operation!("dynamodb", "ListTagsOfResource", 8.0, 8.0);
pub const CREATE_TABLE: Operation = operation!("dynamodb", "CreateTable", 5.0, 5.0);
pub const UPDATE_TABLE: Operation = operation!("dynamodb", "UpdateTable", 5.0, 5.0);
pub const DELETE_TABLE: Operation = operation!("dynamodb", "DeleteTable", 5.0, 5.0);
// Source: the DynamoDB API reference allows 50 CreateBackup and 10 DescribeBackup a second.
pub const CREATE_BACKUP: Operation = operation!("dynamodb", "CreateBackup", 10.0, 10.0);
pub const DESCRIBE_BACKUP: Operation = operation!("dynamodb", "DescribeBackup", 10.0, 10.0);
pub const SCAN: Operation = operation!("dynamodb", "Scan", 200.0, 200.0);
pub const LIST_TABLES: Operation = operation!("dynamodb", "ListTables", 10.0, 10.0);
pub const TAG_RESOURCE: Operation = operation!("dynamodb", "TagResource", 4.0, 4.0);
pub const UNTAG_RESOURCE: Operation = operation!("dynamodb", "UntagResource", 4.0, 4.0);
pub const UPDATE_TIME_TO_LIVE: Operation = operation!("dynamodb", "UpdateTimeToLive", 5.0, 5.0);
pub const UPDATE_CONTINUOUS_BACKUPS: Operation = operation!("dynamodb", "UpdateContinuousBackups", 5.0, 5.0);
pub const GET_CALLER_IDENTITY: Operation = operation!("sts", "GetCallerIdentity", 10.0, 10.0);
pub const ASSUME_ROLE: Operation = operation!("sts", "AssumeRole", 10.0, 10.0);
pub const GET_SESSION_TOKEN: Operation = operation!("sts", "GetSessionToken", 10.0, 10.0);
// Item operations have no API quota, only the table's own capacity: an on-demand table starts with thousands a second.
pub const GET_ITEM: Operation = operation!("dynamodb", "GetItem", 500.0, 500.0);
pub const PUT_ITEM: Operation = operation!("dynamodb", "PutItem", 200.0, 200.0);
pub const UPDATE_ITEM: Operation = operation!("dynamodb", "UpdateItem", 200.0, 200.0);
pub const QUERY: Operation = operation!("dynamodb", "Query", 200.0, 200.0);
/// Requires the permission for `GetItem`.
pub const TRANSACT_GET_ITEMS: Operation = operation!("dynamodb", "TransactGetItems", 200.0, 200.0);
/// Requires the permissions of its parts.
pub const TRANSACT_WRITE_ITEMS: Operation = operation!("dynamodb", "TransactWriteItems", 200.0, 200.0);

/// The classification of a failed call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The permission is missing.
    Denied,
    /// The resource does not exist.
    NotFound,
    /// A resource of this name already exists.
    AlreadyExists,
    /// The condition of the call was false: nothing was written.
    ConditionFailed,
    /// The resource is already in the requested state.
    AlreadySo,
    /// AWS limits the frequency of such changes: the call succeeds hours later.
    TooSoon,
    /// AWS throttles: the call succeeds later.
    Throttled,
    /// AWS failed internally: the call may succeed later.
    ServerFault,
    /// The resource is busy with another change: the call succeeds later.
    Busy,
    /// The credentials are missing or invalid.
    Credentials,
    /// AWS could not be reached, or did not respond in time.
    Unreachable,
    /// The user or the time limit ended the pass before the call was made.
    Interrupted,
    /// Anything else: a retry would not help.
    Rejected,
}

impl Class {
    /// Returns whether the call may have taken effect: its response was lost, or AWS failed while processing it.
    fn may_have_effect(self) -> bool {
        matches!(self, Self::ServerFault | Self::Unreachable)
    }
}

/// The cause of an error. It is shared, because errors are part of plans and decisions, which are cloned.
pub type Cause = Arc<dyn std::error::Error + Send + Sync>;

/// A failed call: the operation, AWS's message, and its class.
#[derive(Debug, Clone)]
pub struct CallError {
    pub operation: Operation,
    pub class: Class,
    /// AWS's error code.
    pub code: Option<Box<str>>,
    pub message: String,
    /// The failure by the SDK's error types, if AWS did not respond.
    pub failure: Option<Code>,
    /// The SDK's error.
    pub cause: Option<Cause>,
    /// The request ID for AWS Support.
    pub request_id: Option<Box<str>>,
    /// Whether the call may have taken effect: its response was lost or AWS failed, in this attempt or an earlier one.
    pub open: bool,
}

impl fmt::Display for CallError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: ", self.operation.action())?;
        if let Some(code) = &self.code {
            write!(formatter, "{code}: ")?;
        }
        formatter.write_str(&self.plain_message())?;
        match &self.request_id {
            Some(id) => write!(formatter, " (request {id})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for CallError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_ref().map(|cause| &**cause as &(dyn std::error::Error + 'static))
    }
}

impl CallError {
    /// Returns a failure that was not reported by AWS.
    pub fn new(operation: Operation, class: Class, message: impl Into<String>) -> Self {
        Self {
            operation,
            class,
            code: None,
            message: message.into(),
            failure: None,
            cause: None,
            request_id: None,
            open: class.may_have_effect(),
        }
    }

    /// Converts the SDK's error. The response itself is dropped, because it can contain credentials.
    pub fn from_sdk<E>(operation: Operation, error: SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let request_id = error.request_id().map(Box::from);
        match error {
            SdkError::ServiceError(service) => {
                let status = service.raw().status().as_u16();
                let inner = service.into_err();
                let code = inner.code().map(str::to_owned);
                let message = inner.message().map_or_else(|| full_message(&inner), str::to_owned);
                let class = classify(code.as_deref().unwrap_or_default(), &message, status);
                Self {
                    code: code.map(String::into_boxed_str),
                    request_id,
                    cause: Some(Arc::new(inner)),
                    ..Self::new(operation, class, message)
                }
            }
            error => {
                let message = diagnosis::said_by_sts(&error).unwrap_or_else(|| full_message(&error));
                let (class, failure) = diagnosis::diagnose(&error);
                let cause = error.into_source().ok().map(Arc::from);
                Self { failure, cause, ..Self::new(operation, class, message) }
            }
        }
    }
}

/// Returns the error's text with those of its causes.
pub fn full_message(error: &dyn std::error::Error) -> String {
    let mut parts = vec![error.to_string()];
    let mut source = error.source();
    while let Some(inner) = source {
        let text = inner.to_string();
        if parts.last().is_none_or(|last| !last.contains(&text)) {
            parts.push(text);
        }
        source = inner.source();
    }
    parts.join(": ")
}

/// Classifies a response by its code, and by its message if the code is ambiguous.
///
/// Sources: the error lists of the operations in the API references of Systems Manager, DynamoDB, SNS and STS, and the common errors of
/// each. The references do not list the messages, which are taken from AWS's responses.
pub(super) fn classify(code: &str, message: &str, status: u16) -> Class {
    // A code may have a prefix: `com.amazonaws.dynamodb.v20120810#ResourceNotFoundException`.
    let code = code.rsplit('#').next().unwrap_or(code);
    match code {
        // IAM: the role, policy or boundary of a call may not have propagated yet. A policy that cannot be attached does not exist.
        "NoSuchEntity" | "NoSuchEntityException" if !message.contains("not attachable") => Class::NotFound,
        // IAM: a new principal may not have propagated yet. Source: "Troubleshoot IAM", "Changes that I make are not always immediately
        // visible" in the AWS Identity and Access Management User Guide.
        "MalformedPolicyDocument" | "MalformedPolicyDocumentException" if message.contains("nvalid principal") => Class::NotFound,
        "AccessDeniedException" | "AccessDenied" | "UnauthorizedOperation" | "AuthorizationError" => Class::Denied,
        "ParameterNotFound"
        | "TableNotFoundException"
        | "BackupNotFoundException"
        | "PolicyNotFoundException"
        | "ObjectNotFoundException"
        | "ResourceNotFoundException"
        | "InvalidResourceId"
        | "NotFoundException"
        | "NotFound"
        | "ResourceNotFound" => Class::NotFound,
        // SNS: creating a topic or subscription again succeeds unless its settings differ.
        "InvalidParameter" if message.contains("already exists with different") => Class::AlreadyExists,
        "ParameterAlreadyExists"
        | "AlreadyExistsException"
        | "EntityAlreadyExists"
        | "EntityAlreadyExistsException" => Class::AlreadyExists,
        "ConditionalCheckFailedException" => Class::ConditionFailed,
        // The message has the reason of each part: `[ConditionalCheckFailed, None]`. TTL has no separate codes.
        "ValidationException" if message.contains("TimeToLive is already") => Class::AlreadySo,
        "ValidationException" if message.contains("TimeToLive is active on a different") => Class::AlreadyExists,
        "ValidationException" if message.contains("multiple times within a fixed interval") => Class::TooSoon,
        "TransactionCanceledException" if message.contains("ConditionalCheckFailed") => Class::ConditionFailed,
        "TransactionCanceledException" if message.contains("TransactionConflict") => Class::Throttled,
        "TransactionCanceledException" if message.contains("Throttling") => Class::Throttled,
        "ResourceInUseException" if message.to_lowercase().contains("already exists") => Class::AlreadyExists,
        "ResourceInUseException"
        | "ContinuousBackupsUnavailableException"
        | "BackupInUseException"
        | "TableInUseException"
        // Application Auto Scaling.
        | "ConcurrentUpdateException"
        // IAM.
        | "ConcurrentModification"
        | "ConcurrentModificationException"
        | "EntityTemporarilyUnmodifiable"
        | "EntityTemporarilyUnmodifiableException" => Class::Busy,
        // Deletion protection and resource policies, within 15 seconds after their last change. The rate is not the cause.
        "ThrottlingException" if message.contains("modified within the previous") => Class::Busy,
        "InternalServerError"
        | "InternalFailure"
        | "ServiceFailure"
        | "ServiceFailureException"
        | "ServiceUnavailable"
        | "RequestTimeout"
        | "RequestTimeoutException" => Class::ServerFault,
        "TooManyUpdates"
        | "ThrottlingException"
        | "Throttling"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "ProvisionedThroughputExceededException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "ThrottledException"
        | "BandwidthLimitExceeded"
        | "PriorRequestNotComplete"
        | "SlowDown"
        | "Throttled"
        | "ConcurrentAccess"
        | "TransactionConflictException"
        | "TransactionInProgressException" => Class::Throttled,
        // One code for too many operations at once, which is temporary, and for an exceeded quota, which is not.
        "LimitExceededException" => {
            let lower = message.to_lowercase();
            if lower.contains("online index") || lower.contains("tags are being updated") {
                // A table builds or deletes one index at a time, and changes its tags one at a time.
                return Class::Busy;
            }
            let passing = ["simultaneous", "concurrent", "too many", "rate"].iter().any(|word| lower.contains(word));
            if passing { Class::Throttled } else { Class::Rejected }
        }
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "RequestTimeTooSkewed"
        | "RequestExpired"
        | "IncompleteSignature" => Class::Credentials,
        // Not AWS: an emulator without this operation.
        "" if status == 404 => Class::NotFound,
        _ if status >= 500 => Class::ServerFault,
        _ => Class::Rejected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Covers every known error, with AWS's exact message where it matters.
    #[test]
    fn every_error_is_classified() {
        let limit = "Subscriber limit exceeded: ";
        let known = [
            ("AccessDeniedException", String::new(), 400, Class::Denied),
            ("UnauthorizedOperation", String::new(), 403, Class::Denied),
            ("ParameterNotFound", String::new(), 400, Class::NotFound),
            ("com.amazonaws.dynamodb.v20120810#ResourceNotFoundException", String::new(), 400, Class::NotFound),
            ("BackupNotFoundException", String::new(), 400, Class::NotFound),
            ("NoSuchEntity", String::from("The role with name x cannot be found."), 404, Class::NotFound),
            (
                "NoSuchEntity",
                String::from("Policy arn:aws:iam::aws:policy/x does not exist or is not attachable."),
                404,
                Class::Rejected,
            ),
            ("EntityAlreadyExists", String::new(), 409, Class::AlreadyExists),
            (
                "MalformedPolicyDocument",
                String::from("Invalid principal in policy: \"AWS\":\"arn:aws:iam::123456789012:role/x\""),
                400,
                Class::NotFound,
            ),
            ("MalformedPolicyDocument", String::from("Syntax errors in policy."), 400, Class::Rejected),
            ("ConcurrentModification", String::new(), 409, Class::Busy),
            ("DeleteConflict", String::new(), 409, Class::Rejected),
            ("TableInUseException", String::new(), 400, Class::Busy),
            ("BackupInUseException", String::new(), 400, Class::Busy),
            ("AuthorizationError", String::new(), 403, Class::Denied),
            ("NotFound", "Topic does not exist".into(), 404, Class::NotFound),
            (
                "InvalidParameter",
                "Invalid parameter: Tags Reason: Topic already exists with different tags".into(),
                400,
                Class::AlreadyExists,
            ),
            ("InvalidParameter", "Invalid parameter: DisplayName".into(), 400, Class::Rejected),
            ("Throttled", "Rate exceeded".into(), 429, Class::Throttled),
            ("InternalError", String::new(), 500, Class::ServerFault),
            ("ParameterAlreadyExists", String::new(), 400, Class::AlreadyExists),
            ("NotFoundException", "Alias arn:aws:kms:…:alias/x is not found.".into(), 400, Class::NotFound),
            ("AlreadyExistsException", String::new(), 400, Class::AlreadyExists),
            ("DependencyTimeoutException", String::new(), 503, Class::ServerFault),
            ("ResourceInUseException", "Table already exists: t".into(), 400, Class::AlreadyExists),
            ("ResourceInUseException", "Table is being created: t".into(), 400, Class::Busy),
            (
                "ResourceInUseException",
                "Attempt to change a resource which is still in use: Table tags are being updated: t".into(),
                400,
                Class::Busy,
            ),
            (
                "ContinuousBackupsUnavailableException",
                "Backups are being enabled for the table: t".into(),
                400,
                Class::Busy,
            ),
            ("ConditionalCheckFailedException", String::new(), 400, Class::ConditionFailed),
            ("PolicyNotFoundException", String::new(), 400, Class::NotFound),
            ("ObjectNotFoundException", "No scalable target found".into(), 400, Class::NotFound),
            ("ConcurrentUpdateException", String::new(), 400, Class::Busy),
            ("", String::new(), 404, Class::NotFound),
            (
                "ThrottlingException",
                "Resource-based policy for table t modified within the previous 15000 milliseconds. Please try again after".into(),
                400,
                Class::Busy,
            ),
            ("TooManyUpdates", String::new(), 400, Class::Throttled),
            ("ThrottlingException", "Rate exceeded".into(), 400, Class::Throttled),
            ("ProvisionedThroughputExceededException", String::new(), 400, Class::Throttled),
            ("RequestThrottledException", String::new(), 400, Class::Throttled),
            (
                "LimitExceededException",
                format!("{limit}Only 10 tables can be created, updated, or deleted simultaneously"),
                400,
                Class::Throttled,
            ),
            (
                "LimitExceededException",
                format!("{limit}Only 1 online index can be created or deleted simultaneously per table"),
                400,
                Class::Busy,
            ),
            ("LimitExceededException", format!("{limit}Table tags are being updated: t"), 400, Class::Busy),
            (
                "LimitExceededException",
                format!("{limit}There is a limit of 2500 tables per subscriber"),
                400,
                Class::Rejected,
            ),
            (
                "LimitExceededException",
                "One or more parameter values were invalid: number of indexes exceeds the limit of 20".into(),
                400,
                Class::Rejected,
            ),
            ("InternalServerError", String::new(), 500, Class::ServerFault),
            ("SomethingNew", String::new(), 503, Class::ServerFault),
            ("RequestTimeout", String::new(), 400, Class::ServerFault),
            ("ExpiredTokenException", String::new(), 400, Class::Credentials),
            ("InvalidSignatureException", String::new(), 403, Class::Credentials),
            ("ValidationException", "TimeToLive is already enabled".into(), 400, Class::AlreadySo),
            ("ValidationException", "TimeToLive is already disabled".into(), 400, Class::AlreadySo),
            (
                "ValidationException",
                "TimeToLive is active on a different AttributeName: current AttributeName is ttl".into(),
                400,
                Class::AlreadyExists,
            ),
            (
                "ValidationException",
                "Time to live has been modified multiple times within a fixed interval".into(),
                400,
                Class::TooSoon,
            ),
            ("ValidationException", "One or more parameter values were invalid".into(), 400, Class::Rejected),
            // These are permanent, in spite of their names.
            ("ParameterLimitExceeded", String::new(), 400, Class::Rejected),
            ("ParameterMaxVersionLimitExceeded", String::new(), 400, Class::Rejected),
            ("HierarchyLevelLimitExceededException", String::new(), 400, Class::Rejected),
            ("HierarchyTypeMismatchException", String::new(), 400, Class::Rejected),
            ("InvalidAllowedPatternException", String::new(), 400, Class::Rejected),
            ("ParameterPatternMismatchException", String::new(), 400, Class::Rejected),
            ("UnsupportedParameterType", String::new(), 400, Class::Rejected),
            ("InvalidKeyId", String::new(), 400, Class::Rejected),
        ];
        for (code, message, status, class) in known {
            assert_eq!(classify(code, &message, status), class, "{code}: {message}");
        }
    }

    #[test]
    fn a_canceled_transaction_is_classified_by_its_reasons() {
        let message = |reason: &str| {
            format!("Transaction cancelled, please refer cancellation reasons for specific reasons [{reason}, None]")
        };
        let class = |reason| classify("TransactionCanceledException", &message(reason), 400);
        assert_eq!(class("ConditionalCheckFailed"), Class::ConditionFailed);
        assert_eq!(class("TransactionConflict"), Class::Throttled);
        assert_eq!(class("ItemCollectionSizeLimitExceeded"), Class::Rejected);
    }
}
