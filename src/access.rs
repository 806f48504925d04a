//! Users of what is provisioned: credentials behind a policy, requests, break-glass events, server sessions, the shell.
//!
//! None of it is part of the pass, and the pass knows nothing of it. Each record's transition is one conditional write, so
//! that of two who act at once exactly one wins; reading never writes. What has run out is told from its `expires_at`,
//! whatever its `status` says: AWS deletes such a record when it gets round to it.

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

pub use listing::Listed;
pub use request_list::Filter as RequestFilter;

use crate::resource::secret::Secret;

/// Returns 64 random bits as an id: 16 hexadecimal digits.
pub fn id() -> Result<String, getrandom::Error> {
    random(8)
}

/// Returns whether a text has the form of an id as this program makes them.
fn is_id(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Returns a secret that nobody guesses.
pub fn token() -> Result<Secret, getrandom::Error> {
    random(32).map(Secret::new)
}

fn random(bytes: usize) -> Result<String, getrandom::Error> {
    let mut bytes = vec![0; bytes];
    getrandom::fill(&mut bytes)?;
    Ok(hex::encode(bytes))
}
