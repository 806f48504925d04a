//! Access to the profiles: credentials behind a policy, requests, break-glass events, server sessions, and the shell.
//!
//! Nothing here is part of the reconcile pass. Each transition of a record is one conditional write, so that of two concurrent
//! transitions exactly one succeeds. Reading never writes. A record has expired when its `expires_at` is over, whatever its `status`
//! says, because TTL deletes expired items with a delay of up to days.

mod approval;
pub mod breakglass;
pub mod desk;
pub mod emergency;
pub mod gate;
mod listing;
pub mod locks;
pub mod log;
mod request_list;
pub mod requests;
pub mod server;
pub mod sessions;
pub mod shell;
pub mod stamp;
pub mod time;
mod transition;
mod user;

pub use listing::Listed;
pub use request_list::Filter as RequestFilter;

use crate::resource::secret::Secret;

/// Returns a random ID: 64 bits as 16 hexadecimal digits.
pub fn id() -> Result<String, getrandom::Error> {
    random(8)
}

/// Returns whether a text has the form of such an ID.
fn is_id(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Returns a random secret of 256 bits.
pub fn token() -> Result<Secret, getrandom::Error> {
    random(32).map(Secret::new)
}

fn random(bytes: usize) -> Result<String, getrandom::Error> {
    let mut bytes = vec![0; bytes];
    getrandom::fill(&mut bytes)?;
    Ok(hex::encode(bytes))
}
