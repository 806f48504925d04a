//! What refuses a whole pass before its first change. Pure.

use super::Plan;

/// A refusal: what was found, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub message: String,
    pub hint: String,
}

/// Refuses an account other than the one the manifest names.
pub fn account(plan: &Plan, expected: Option<&str>) -> Result<(), Refusal> {
    match (expected, &plan.target.caller) {
        (Some(expected), Some(caller)) if caller.account != expected => Err(Refusal {
            message: format!(
                "wrong account: the manifest is for {expected}, the credentials are for {} ({})",
                caller.account, caller.arn
            ),
            hint: format!(
                "use credentials of account {expected} (--aws-profile, AWS_PROFILE), or change [aws] account_id"
            ),
        }),
        _ => Ok(()),
    }
}
