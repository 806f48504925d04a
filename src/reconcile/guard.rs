//! What refuses a whole pass before its first change. Pure.

use super::Plan;

/// A refusal: what was found, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub message: String,
    pub hint: String,
}

/// Refuses an account other than the one the manifest names. The embedded AWS is nobody's account: all may try on it.
pub fn account(plan: &Plan, expected: Option<&str>) -> Result<(), Refusal> {
    match (expected, &plan.target.caller) {
        (Some(expected), Some(caller)) if caller.account != expected && plan.target.local.is_none() => Err(Refusal {
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
