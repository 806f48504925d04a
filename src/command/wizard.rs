//! `sentinel init wizard`: asks what to manage, and writes a manifest.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use dialoguer::console::{Term, truncate_str};
use dialoguer::theme::{ColorfulTheme, SimpleTheme, Theme};
use dialoguer::{Confirm, Input, MultiSelect, Select};
use futures_util::future;
use serde_json::json;

use super::context::Context;
use super::import::Import;
use super::init::{starter_files, starter_path};
use super::local::Users;
use super::pass::explained;
use super::status::{CarriedOptions, command_line};
use crate::cli::WizardArgs;
use crate::diagnostic::some;
use crate::error::{Error, Exit};
use crate::kind::import::Warning;
use crate::kind::policy_parameter::{Found, check_profile, profile_of};
use crate::kind::table::Table;
use crate::kind::{Address, Batch, Desired, FoundResources, KindId, ObservedResource};
use crate::manifest::{AwsSection, Builtin, Manifest, TableSection, check_region};
use crate::provider::{Observe, aws_profiles};
use crate::report::json;
use crate::resource::Observed;
use crate::resource::destination::{Destination, Region, Route};
use crate::resource::names::{AccountId, AwsProfile, PolicyRoot, RegionName};
use crate::resource::role::is_name;

/// The live state, for the defaults of the questions.
#[derive(Debug, Default)]
struct Live {
    account: Option<AccountId>,
    /// The name of the calling user.
    user: Option<String>,
    policies: Vec<Found>,
    tables: Vec<Builtin>,
}

pub(super) async fn run(context: &Context, args: &WizardArgs) -> Result<Exit, Error> {
    let theme: Box<dyn Theme> =
        if context.terminal.colors_notes() { Box::new(ColorfulTheme::default()) } else { Box::new(SimpleTheme) };
    // Starts the task that handles Ctrl-C before a prompt blocks this thread. Otherwise, the signal would end the program at once and
    // leave the terminal in the prompt's mode.
    tokio::task::yield_now().await;
    let wizard = Wizard { context, args, asks: context.terminal.can_ask() && !context.terminal.json(), theme };
    wizard.check_options()?;
    let found = aws_profiles().await;
    let aws_profile = wizard.aws_profile(&found)?;
    let region = wizard.region(aws_profile.as_ref()).await?;
    let root = context.global.policy_root.clone().unwrap_or_default();
    let live = wizard.look(aws_profile.as_ref(), &region, &root).await?;
    let profiles = wizard.profiles(&live, &root, &found)?;
    let bring = wizard.bring_policies(&live, &root, &profiles)?;
    let new: Vec<&String> = profiles
        .iter()
        .filter(|profile| live.policies.iter().all(|found| profile_of(&found.name, &root) != profile.as_str()))
        .collect();
    let users = wizard.users(&live, &new)?;
    let tables = wizard.tables(&live)?;
    let account = wizard.account(&live)?;

    let wanted = |found: &Found| bring && profiles.contains(&profile_of(&found.name, &root).to_owned());
    let brought = live.policies.into_iter().filter(wanted).collect();
    let found = FoundResources { profiles: brought, ..FoundResources::default() }.import(&root);
    let mut import =
        Import { manifest: Manifest { sections: found.sections, ..Manifest::default() }, files: found.files };
    let manifest = &mut import.manifest;
    manifest.aws =
        AwsSection { region: Some(region.name), profile: aws_profile, account_id: account, ..AwsSection::default() };
    manifest.policy_root = Some(root).filter(|root| !root.is_default());
    for profile in &profiles {
        manifest.sections.profiles.entry(profile.clone()).or_default();
    }
    let mut starters = Vec::new();
    if !users.is_empty() {
        for profile in new {
            import.files.extend(starter_files(profile, &users));
            manifest.sections.profiles.entry(profile.clone()).or_default().policy = Some(starter_path(profile));
            starters.push(starter_path(profile));
        }
    }
    for builtin in &tables {
        manifest.sections.tables.insert(builtin.key().to_owned(), TableSection::default());
    }
    wizard.write(&import, &found.warnings, &allowed(&starters, &users))
}

/// Returns the lines that say whom the new policies allow.
fn allowed(policies: &[String], users: &[String]) -> String {
    let line = |path: &String| format!("{path}: allows {}, and denies everyone else.\n", some(users));
    policies.iter().map(line).collect()
}

struct Wizard<'a> {
    context: &'a Context,
    args: &'a WizardArgs,
    /// Whether questions can be asked.
    asks: bool,
    theme: Box<dyn Theme>,
}

/// Returns an answer, or the error.
fn answer<T>(given: Result<T, dialoguer::Error>) -> Result<T, Error> {
    given.map_err(|dialoguer::Error::IO(error)| match error.kind() {
        std::io::ErrorKind::Interrupted => {
            // The prompt hides the cursor and does not show it again.
            let term = Term::stderr();
            let _ = term.show_cursor().and_then(|()| term.write_line(""));
            Error::Interrupted
        }
        _ => Error::system("the terminal does not accept input", Some("give the answers as options"), error),
    })
}

fn missing(what: &[&str], flags: &[&str]) -> Error {
    let (what, flags) = (what.join(", "), flags.join("; "));
    Error::usage(format!("there is no terminal for questions, and no option sets {what}"), format!("add {flags}"))
}

/// The hint for a file that exists already.
const WIZARD_FILE_EXISTS_HINT: &str =
    "write into another folder with -o; to make the manifest anew, move this file away first";

/// The keys for a list.
const PICK: &str = "Space selects, Enter continues";

/// Returns a line that fits the terminal together with the prompt's symbol. A prompt of two lines is not cleared completely when it is
/// redrawn.
fn fitting(line: &str) -> String {
    let (_, width) = Term::stderr().size();
    truncate_str(line, usize::from(width).saturating_sub(8), "…").into_owned()
}

impl Wizard<'_> {
    /// Returns the path of the new manifest.
    fn path(&self) -> PathBuf {
        let path = self.args.out.join("sentinel.toml");
        path.strip_prefix(".").map(Path::to_owned).unwrap_or(path)
    }

    /// Fails before the first question if the manifest exists, or if there is no terminal and an option is missing.
    fn check_options(&self) -> Result<(), Error> {
        let path = self.path();
        if path.symlink_metadata().is_ok() {
            return Err(
                Error::file(&path, "this file exists; nothing was asked or written").with_hint(WIZARD_FILE_EXISTS_HINT)
            );
        }
        if self.asks {
            return Ok(());
        }
        let unset = [
            (
                !self.args.no_profiles && self.args.profiles.is_empty(),
                ("which profiles to manage", "--profile NAME for each, or --no-profiles"),
            ),
            (
                self.args.tables().is_none(),
                ("which tables to manage", "--all, --with-approvals and the like, or --no-tables"),
            ),
            (!self.args.yes, ("the confirmation", "--yes")),
        ];
        let unset = unset.into_iter().filter(|(is_unset, _)| *is_unset).map(|(_, words)| words);
        let (what, flags): (Vec<&str>, Vec<&str>) = unset.unzip();
        if what.is_empty() { Ok(()) } else { Err(missing(&what, &flags)) }
    }

    /// Prints an explanation of a question, at the width of the terminal.
    fn say(&self, words: &str) {
        let (_, width) = Term::stderr().size();
        self.context.terminal.note(&format!("{}\n", textwrap::fill(words, usize::from(width).max(40))));
    }

    /// Prints what was selected from a list.
    fn picked<T: AsRef<str>>(&self, names: &[T]) {
        let names = if names.is_empty() { String::from("none") } else { some(names) };
        self.say(&format!("  {names}"));
    }

    /// Returns the AWS profile to work with.
    fn aws_profile(&self, found: &[String]) -> Result<Option<AwsProfile>, Error> {
        let given = self.context.global.aws_profile.clone();
        if given.is_some() || !self.asks || self.context.global.local.is_some() || found.is_empty() {
            return Ok(given);
        }
        let mut items = vec![String::from("(from the environment)")];
        items.extend(found.iter().cloned());
        let lines: Vec<String> = items.iter().map(|item| fitting(item)).collect();
        let select = Select::with_theme(&*self.theme).with_prompt("AWS profile to use").items(&lines).default(0);
        let picked = answer(select.interact())?;
        Ok((picked > 0).then(|| AwsProfile::new(&*items[picked])))
    }

    async fn region(&self, aws_profile: Option<&AwsProfile>) -> Result<Region, Error> {
        let aws = AwsSection { profile: aws_profile.cloned(), ..AwsSection::default() };
        let known = self.context.region(&aws.destination(&PolicyRoot::default())).await;
        if let Some(region) = known.clone().filter(|_| !self.asks || self.context.global.region.is_some()) {
            return Ok(region);
        }
        if !self.asks {
            return Err(missing(&["the region"], &["--region REGION"]));
        }
        let default = known.map_or_else(|| String::from("us-east-1"), |region| region.name.to_string());
        let check = |name: &String| check_region(name).map_err(|invalid| fitting(&invalid.to_string()));
        let input =
            Input::<String>::with_theme(&*self.theme).with_prompt("Region").default(default).validate_with(check);
        Ok(Region { name: RegionName::new(answer(input.interact_text())?), source: String::from("the wizard") })
    }

    /// Reads the live state. What cannot be read is reported, and the wizard continues without it.
    async fn look(&self, aws_profile: Option<&AwsProfile>, region: &Region, root: &PolicyRoot) -> Result<Live, Error> {
        let destination = Destination {
            local: self.context.local_folder(Path::new("")),
            route: Route { aws_profile: aws_profile.cloned(), ..Route::default() },
            ..Destination::new(region.clone(), root.clone())
        };
        let reader = self.context.connect(&destination, &Users::default()).await?;
        let wish = |builtin: Builtin| {
            Desired::new(Address::new(KindId::Table, builtin.key()), builtin.default_name(), Table::default())
        };
        let wishes: Vec<_> = Builtin::ALL.iter().copied().map(wish).collect();
        let work = async {
            let caller = reader.identify().await?;
            let reads = wishes.iter().enumerate().map(|one| reader.read(Batch::Table(vec![one])));
            let tables = future::join_all(reads);
            Ok((caller, future::join(reader.discover(root), tables).await))
        };
        let note = |text: String| self.context.terminal.note(&text);
        let (caller, (policies, tables)) = match self.context.reading(work).await {
            Ok(seen) => seen,
            Err(Error::Interrupted) => return Err(Error::Interrupted),
            Err(error) => {
                note(format!("AWS was not read: {}\n", explained(error, &destination)));
                return Ok(Live::default());
            }
        };
        let (account, user) = (Some(caller.account.clone()), caller.user().ok());
        let mut live = Live { account, user, ..Live::default() };
        match policies {
            Ok(policies) => live.policies = policies,
            Err(error) => note(format!("The live policies were not read: {error}\n")),
        }
        for (builtin, (_, observed)) in Builtin::ALL.iter().copied().zip(tables.into_iter().flatten()) {
            let ObservedResource::Table(pair) = observed else { continue };
            match pair.observed {
                Observed::Present(_) => live.tables.push(builtin),
                Observed::Unknown(gap) => {
                    note(format!("The table {} was not read: {}\n", builtin.default_name(), gap.message));
                }
                Observed::Absent => {}
            }
        }
        if destination.local.is_some() {
            live.account = None;
        }
        note(format!("Account {}, region {}.\n", caller.account, region.name));
        Ok(live)
    }

    /// Returns the profiles to manage, from the options or a question that suggests live policies and the AWS profiles of this machine.
    fn profiles(&self, live: &Live, root: &PolicyRoot, found: &[String]) -> Result<Vec<String>, Error> {
        if self.args.no_profiles || !self.args.profiles.is_empty() {
            return Ok(self.args.profiles.clone());
        }
        let is_live: BTreeSet<&str> = live.policies.iter().map(|found| profile_of(&found.name, root)).collect();
        let mut names: Vec<String> =
            is_live.iter().filter(|name| check_profile(name).is_ok()).map(|name| (*name).to_owned()).collect();
        names.extend(
            found.iter().filter(|name| !is_live.contains(name.as_str()) && check_profile(name).is_ok()).cloned(),
        );
        let mut picked = Vec::new();
        if !names.is_empty() {
            let shown = |name: &String| match is_live.contains(name.as_str()) {
                true => fitting(&format!("{name} (live)")),
                false => fitting(name),
            };
            let items: Vec<String> = names.iter().map(shown).collect();
            let defaults: Vec<bool> = names.iter().map(|name| is_live.contains(name.as_str())).collect();
            self.say(
                "Which profiles should be managed? Those with a live policy, and the AWS profiles of this machine:",
            );
            let select =
                MultiSelect::with_theme(&*self.theme).with_prompt(PICK).items(&items).defaults(&defaults).report(false);
            picked.extend(answer(select.interact())?.into_iter().map(|place| names[place].clone()));
            self.picked(&picked);
        }
        let check = |line: &String| -> Result<(), String> {
            words(line).iter().try_for_each(|name| check_profile(name).map_err(|invalid| fitting(&invalid.to_string())))
        };
        let which = if names.is_empty() { "Profiles" } else { "Other profiles" };
        let input = Input::<String>::with_theme(&*self.theme)
            .with_prompt(format!("{which}, by name (Enter for none)"))
            .allow_empty(true)
            .validate_with(check);
        for name in words(&answer(input.interact_text())?) {
            if !picked.contains(&name) {
                picked.push(name);
            }
        }
        Ok(picked)
    }

    fn bring_policies(&self, live: &Live, root: &PolicyRoot, profiles: &[String]) -> Result<bool, Error> {
        let any = live.policies.iter().any(|found| profiles.contains(&profile_of(&found.name, root).to_owned()));
        match self.args.bring_policies {
            Some(given) => Ok(given && any),
            None if !any || !self.asks => Ok(false),
            None => {
                self.say("Policies without a file are created, but their content is not managed.");
                let question = "Write the live policies to files under policies/?";
                answer(Confirm::with_theme(&*self.theme).with_prompt(question).default(true).interact())
            }
        }
    }

    /// Returns the users who get access to the profiles without a policy, from the options or a question.
    fn users(&self, live: &Live, new: &[&String]) -> Result<Vec<String>, Error> {
        if !self.args.allow.is_empty() || new.is_empty() || !self.asks {
            return Ok(self.args.allow.clone());
        }
        let check = |line: &String| users_in(line).map(drop).map_err(|wrong| fitting(&wrong));
        let names: Vec<&str> = new.iter().map(|name| name.as_str()).collect();
        self.say(&format!(
            "Who gets access to {}? Sentinel writes a policy that allows these users, and its test cases.",
            some(&names)
        ));
        let input = Input::<String>::with_theme(&*self.theme).validate_with(check);
        let input = match live.user.clone().filter(|user| is_name(user)) {
            Some(user) => input.with_prompt(format!("Users, by name ({NOBODY} for none)")).default(user),
            None => input.with_prompt("Users, by name (Enter for none)").allow_empty(true),
        };
        users_in(&answer(input.interact_text())?).map_err(|wrong| Error::usage(wrong, "name users with --allow"))
    }

    fn tables(&self, live: &Live) -> Result<Vec<Builtin>, Error> {
        if let Some(tables) = self.args.tables() {
            return Ok(tables);
        }
        let shown = |builtin: &Builtin| {
            let there = if live.tables.contains(builtin) { " (live)" } else { "" };
            fitting(&format!("{}: {}{there}", builtin.label(), builtin.default_name()))
        };
        let items: Vec<String> = Builtin::ALL.iter().map(shown).collect();
        self.say("Which tables should be managed?");
        let select = MultiSelect::with_theme(&*self.theme)
            .with_prompt(PICK)
            .items(&items)
            .defaults(&vec![true; items.len()])
            .report(false);
        let picked: Vec<Builtin> = answer(select.interact())?.into_iter().map(|place| Builtin::ALL[place]).collect();
        self.picked(&picked.iter().map(|builtin| builtin.default_name()).collect::<Vec<_>>());
        Ok(picked)
    }

    /// Returns the account of the manifest, if an option or the user pins it.
    fn account(&self, live: &Live) -> Result<Option<AccountId>, Error> {
        let Some(account) = live.account.clone() else { return Ok(None) };
        let pinned = match self.args.pin_account {
            Some(given) => given,
            None if !self.asks => false,
            None => {
                let question = format!("Refuse any account but {account}?");
                answer(Confirm::with_theme(&*self.theme).with_prompt(question).default(true).interact())?
            }
        };
        Ok(pinned.then_some(account))
    }

    /// Shows the manifest and whom its new policies allow, and writes it after a confirmation.
    fn write(&self, import: &Import, warnings: &[Warning], allowed: &str) -> Result<Exit, Error> {
        let terminal = self.context.terminal;
        let manifest = import.manifest.to_toml();
        let path = self.path();
        terminal.note(&format!("\n{manifest}\n{allowed}"));
        for warning in warnings {
            terminal.note(&format!("{}: {}\n", warning.name, warning.why));
        }
        if !self.args.yes {
            let question = format!("Write this to {}?", path.display());
            if !answer(Confirm::with_theme(&*self.theme).with_prompt(question).default(true).interact())? {
                return Err(Error::NotConfirmed {
                    message: String::from("not confirmed; nothing was written"),
                    hint: None,
                });
            }
        }
        let written = import.write(&path, WIZARD_FILE_EXISTS_HINT)?;
        let words = ["sentinel", "plan", "-f", &path.display().to_string()].map(str::to_owned).to_vec();
        let next = command_line(
            self.context,
            words,
            &CarriedOptions { region: None, policy_root: None, aws_profile: false, local: true },
        );
        terminal.either(
            || {
                let words = format!("Wrote {}.", written.join(", "));
                let words = terminal.width().map_or(words.clone(), |width| textwrap::fill(&words, width));
                format!("{words}\nNext: {next}\n")
            },
            || json::document("init wizard", json!({ "written": written, "manifest": manifest, "next": next })),
        )?;
        Ok(Exit::Done)
    }
}

/// The answer that names no users, where Enter selects the default.
const NOBODY: &str = "-";

/// Returns the users in an answer.
fn users_in(line: &str) -> Result<Vec<String>, String> {
    let names = words(line);
    match names.iter().find(|name| !is_name(name)) {
        _ if names == [NOBODY] => Ok(Vec::new()),
        Some(name) => Err(format!("{name} is not the name of a user")),
        None if names.iter().any(|name| name == NOBODY) => Err(format!("{NOBODY} is for no users; write it alone")),
        None => Ok(names),
    }
}

fn words(line: &str) -> Vec<String> {
    line.split([',', ' ']).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_names_several_users_or_nobody() {
        let users = |line: &str| users_in(line).map(|names| names.join(" "));
        assert_eq!(users("alice, bob,carol dave"), Ok(String::from("alice bob carol dave")));
        for nobody in ["-", " - ", ""] {
            assert_eq!(users(nobody), Ok(String::new()), "{nobody:?}");
        }
        assert_eq!(users("-,alice"), Err(String::from("- is for no users; write it alone")));
        assert_eq!(users("alice b/c"), Err(String::from("b/c is not the name of a user")));
    }

    #[test]
    fn the_wizard_says_whom_each_new_policy_allows() {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let lines = allowed(&list(&["policies/dev.yaml", "policies/prod.yaml"]), &list(&["alice", "bob"]));
        let expected = "policies/dev.yaml: allows alice, bob, and denies everyone else.\n\
                        policies/prod.yaml: allows alice, bob, and denies everyone else.\n";
        assert_eq!(lines, expected);
        assert_eq!(allowed(&[], &[]), "");
    }
}
