//! Whether AWS enforces the gate of each profile by trust policies; the permissions of principals are not considered. Profiles with the
//! same answer share a line, since a manifest can have hundreds.

use std::collections::BTreeMap;

use crate::diagnostic::some;
use crate::reconcile::{Gate, ProfileGate};

/// The maximum number of different reasons that text lists. JSON lists all of them.
const REASONS: usize = 5;

/// Returns the lines.
pub fn notes(gates: &[ProfileGate]) -> Vec<String> {
    let mut groups: BTreeMap<&Gate, Vec<&str>> = BTreeMap::new();
    for one in gates {
        groups.entry(&one.gate).or_default().push(&one.profile);
    }
    let mut notes = Vec::new();
    let (mut reasons, mut more) = (0, 0);
    for (gate, profiles) in groups {
        let names = some(&profiles);
        let count = match profiles.len() {
            1 => String::from("1 profile"),
            count => format!("{count} profiles"),
        };
        let (text, why) = match gate {
            Gate::Enforced => {
                notes.push(format!("AWS enforces the gate of {count} by trust policies: {names}."));
                continue;
            }
            Gate::Pending => {
                notes.push(format!(
                    "AWS enforces the gate of {count} by trust policies once the manifest is applied: {names}."
                ));
                continue;
            }
            Gate::Advisory(why) => ("Advisory, AWS does not enforce the gate of", why),
            Gate::Unknown(why) => ("Not known whether AWS enforces the gate of", why),
        };
        reasons += 1;
        if reasons > REASONS {
            more += profiles.len();
        } else {
            notes.push(format!("{text} {count}: {names}: {}.", why.join("; ")));
        }
    }
    if more > 0 {
        notes.push(format!("{more} more profiles are advisory or not known; --json lists all."));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_profiles_take_few_lines() {
        let of = |number: usize, gate| ProfileGate { profile: format!("p{number:03}"), gate };
        let mut gates: Vec<ProfileGate> = (0..300).map(|number| of(number, Gate::Enforced)).collect();
        gates.push(of(300, Gate::Pending));
        gates.extend((301..310).map(|number| of(number, Gate::Advisory(vec![format!("reason {number}")]))));
        gates.extend((310..312).map(|number| of(number, Gate::Unknown(vec![String::from("not read")]))));
        let notes = notes(&gates);
        assert!(notes[0].starts_with("AWS enforces the gate of 300 profiles by trust policies: p000, "), "{notes:?}");
        assert!(notes[0].ends_with(", and 280 more."), "{notes:?}");
        let rest: Vec<&str> = notes[1..].iter().map(String::as_str).collect();
        let advisory =
            |number| format!("Advisory, AWS does not enforce the gate of 1 profile: p{number}: reason {number}.");
        let mut expected = vec![String::from(
            "AWS enforces the gate of 1 profile by trust policies once the manifest is applied: p300.",
        )];
        expected.extend((301..306).map(advisory));
        expected.push(String::from("6 more profiles are advisory or not known; --json lists all."));
        assert_eq!(rest, expected);
    }
}
