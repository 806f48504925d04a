//! The versions that Parameter Store keeps of a parameter: the newest 100. Source: "Working with parameter versions in Parameter Store" in
//! the AWS Systems Manager User Guide.

use std::collections::BTreeSet;

use super::api::{Reading, content_of, type_of};
use super::{Content, ParameterApi, ParameterType};
use crate::resource::call::{CallError, Class, Operation, operation};
use crate::resource::pages::Pages;

/// Only imports and the commands that show versions read the history.
const HISTORY: Operation = operation!("ssm", "GetParameterHistory", 10.0, 10.0);

/// One version of a parameter.
#[derive(Debug, Clone)]
pub struct Version {
    pub number: i64,
    /// `None` for a `SecureString` that was not decrypted.
    pub content: Option<Content>,
    pub parameter_type: Option<ParameterType>,
    /// When it was written, in seconds since 1970.
    pub modified: Option<i64>,
    /// The ARN of the identity that wrote it.
    pub author: Option<String>,
    pub labels: BTreeSet<String>,
}

/// Reads the versions of a parameter, the oldest first. A parameter that does not exist has none.
pub(in crate::kind) async fn read(api: &ParameterApi, name: &str, reading: Reading) -> Result<Vec<Version>, CallError> {
    let mut pages = Pages::new(HISTORY, 20);
    let mut token: Option<String> = None;
    let mut versions: Vec<Version> = Vec::new();
    loop {
        let call = || {
            let request = api.client.get_parameter_history().name(name).max_results(50);
            let request = request.set_with_decryption((reading == Reading::Decrypted).then_some(true));
            pages.timed(request.set_next_token(token.clone()).send())
        };
        let answer = match api.pacer.call(HISTORY, &[], call).await {
            Err(error) if error.class == Class::NotFound => break,
            answer => answer?,
        };
        let page = answer.parameters.unwrap_or_default();
        let count = page.len();
        versions.extend(page.into_iter().map(|one| {
            let parameter_type = one.r#type.map(type_of);
            Version {
                number: one.version,
                content: content_of(parameter_type.as_ref(), one.value, reading),
                parameter_type,
                modified: one.last_modified_date.map(|date| date.secs()),
                author: one.last_modified_user,
                labels: one.labels.unwrap_or_default().into_iter().collect(),
            }
        }));
        token = answer.next_token.filter(|token| !token.is_empty());
        if !pages.next(count, token.as_ref())? {
            break;
        }
    }
    versions.sort_by_key(|version| version.number);
    Ok(versions)
}
