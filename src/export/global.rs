//! Global resources, such as roles: an account has them once, so only the first target of an account exports them.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use super::cloudformation::Failure;
use super::{Target, gather, stackset::Differs};
use crate::kind::export::{Note, Unsupported};
use crate::kind::{Address, DesiredResource, KindId, Site};
use crate::resource::names::RegionName;

/// Which target of an account exports its global resources.
#[derive(Debug, Default)]
pub(super) struct Global {
    /// For each target, the addresses that an earlier target of its account exports.
    pub(super) elsewhere: Vec<BTreeSet<Address>>,
    pub(super) unsupported: Vec<Unsupported>,
    pub(super) notes: Vec<Note>,
    /// For each target, the position of the first target of its account.
    first: Vec<usize>,
}

/// The credentials of a target, as far as they tell its account.
type Account<'a> = (Option<&'a str>, Option<&'a str>);

fn account_of<'a>(target: &'a Target<'_>) -> Account<'a> {
    match &target.account {
        Some(account) => (Some(account), None),
        None => (None, target.profile.as_deref()),
    }
}

/// Finds the first target of each account for every global resource. Resources of one kind with one name are the same resource.
pub(super) fn divide(targets: &[Target<'_>]) -> Global {
    let mut global = Global::default();
    let mut accounts: BTreeMap<Account<'_>, usize> = BTreeMap::new();
    let mut owners: BTreeMap<(Account<'_>, KindId, &str), (usize, &DesiredResource)> = BTreeMap::new();
    let mut of_kind: BTreeMap<(KindId, &str), BTreeSet<Account<'_>>> = BTreeMap::new();
    for (index, target) in targets.iter().enumerate() {
        let account = account_of(target);
        global.first.push(*accounts.entry(account).or_insert(index));
        let mut elsewhere = BTreeSet::new();
        for (desired, _) in target.resources.iter().filter(|(desired, _)| desired.presence().is_present()) {
            let address = desired.address();
            if address.kind.about().site != Site::Account {
                continue;
            }
            let named = of_kind.entry((address.kind, desired.name())).or_default();
            named.insert(account);
            if named.len() > 1 && named.iter().any(|(account, _)| account.is_none()) {
                let text =
                    "the account of a target is unknown: if two targets have the same account, add account_id to both";
                gather(&mut global.notes, vec![note(address, text)]);
            }
            match owners.entry((account, address.kind, desired.name())) {
                Entry::Vacant(entry) => {
                    entry.insert((index, desired));
                }
                Entry::Occupied(entry) => {
                    let (owner, other) = *entry.get();
                    elsewhere.insert(address.clone());
                    if *other == **desired {
                        let text = "it is global, so only the first target of each account creates it";
                        gather(&mut global.notes, vec![note(address, text)]);
                    } else if !global.unsupported.iter().any(|one| one.address == *address) {
                        global.unsupported.push(differs(address, [owner, index].map(|one| targets.get(one))));
                    }
                }
            }
        }
        global.elsewhere.push(elsewhere);
    }
    global
}

fn note(address: &Address, text: &str) -> Note {
    Note { address: address.clone(), text: text.to_owned() }
}

fn differs(address: &Address, targets: [Option<&Target<'_>>; 2]) -> Unsupported {
    let [one, other] = targets.map(|target| target.and_then(|one| one.name.clone()).unwrap_or_default());
    Unsupported {
        address: address.clone(),
        setting: None,
        why: format!("it is global, and differs between targets {one} and {other} of one account"),
        help: String::from("give it the same settings, or another name, in each target of the account"),
    }
}

impl Global {
    /// Returns the addresses that some target omits.
    pub(super) fn shared(&self) -> BTreeSet<&Address> {
        self.elsewhere.iter().flatten().collect()
    }

    /// Returns, for each target, the region that creates the global resources of its account. All targets have the same addresses.
    ///
    /// # Errors
    ///
    /// Fails if a resource is the same in the regions of one account, and not in those of another.
    pub(super) fn homes(&self, targets: &[Target<'_>]) -> Result<Vec<RegionName>, Failure> {
        let mut homes = Vec::new();
        for (index, (first, elsewhere)) in self.first.iter().zip(&self.elsewhere).enumerate() {
            let unlike = |address: &&&Address| elsewhere.contains(**address) == (*first == index);
            if let Some(address) = self.shared().iter().find(unlike) {
                let name = |index: usize| targets.get(index).and_then(|target| target.name.clone());
                return Err(Failure::Differs(Differs {
                    address: (*address).clone(),
                    property: Some(String::from("name")),
                    targets: [name(*first), name(index)],
                }));
            }
            homes.extend(targets.get(*first).map(|target| target.region.clone()));
        }
        Ok(homes)
    }
}
