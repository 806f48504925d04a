//! Policy documents: what a profile's parameter holds.

mod parse;

pub use parse::check;

/// Returns the policy a profile starts with when the manifest names none: nobody gets in.
///
/// A fixed text: whoever runs it again finds what it would write.
pub fn default_deny(profile: &str) -> String {
    format!(
        "\
# Sentinel policy for profile {profile}: nobody gets in until a rule above the last one lets them.
#
# Customise it: rules are read from the top, the first that matches wins, and no match is a deny.
# Effects: allow, deny, require_approval, require_server, require_server_session.
version: \"1\"
rules:
  - name: default-deny
    effect: deny
    conditions:
      profiles: [\"{profile}\"]
    reason: Default deny. Customise this policy to grant access.
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Faults, Source};

    #[test]
    fn default_deny_is_a_valid_policy_whatever_the_profile_is_called() {
        for profile in ["dev", "1", "a.b_c-d", "true", "null"] {
            let mut faults = Faults::default();
            check(&Source::new("default-deny", default_deny(profile)), &mut faults);
            assert!(faults.is_empty(), "{profile}: {faults:?}");
        }
    }
}
