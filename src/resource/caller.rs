//! Who is calling: the account and identity behind the credentials.

pub use aws_sdk_sts::Client;
use serde::{Deserialize, Serialize};

use super::call::{CallError, Class, GET_CALLER_IDENTITY, Pacer};

/// The identity behind the credentials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    pub account: String,
    pub arn: String,
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
