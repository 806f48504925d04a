//! Who is calling: the account and identity behind the credentials.

pub use aws_sdk_sts::Client;
use serde::Serialize;

use super::call::{CallError, Class, GET_CALLER_IDENTITY, Pacer};

/// The identity behind the credentials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Caller {
    pub account: String,
    pub arn: String,
}

impl Caller {
    /// Returns the partition of the caller's ARN: `aws`, `aws-cn`, `aws-us-gov`.
    pub fn partition(&self) -> &str {
        self.arn.split(':').nth(1).filter(|part| !part.is_empty()).unwrap_or("aws")
    }
}

/// Asks STS who is calling. No permission is needed for it.
pub async fn identify(client: &Client, pacer: &Pacer) -> Result<Caller, CallError> {
    let answer = pacer.call(GET_CALLER_IDENTITY, &[], || client.get_caller_identity().send()).await?;
    match (answer.account, answer.arn) {
        (Some(account), Some(arn)) => Ok(Caller { account, arn }),
        _ => Err(CallError {
            operation: GET_CALLER_IDENTITY,
            class: Class::Rejected,
            code: None,
            message: String::from("the answer names no account"),
        }),
    }
}
