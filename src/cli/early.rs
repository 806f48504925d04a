//! Options before the command to which they belong: `sentinel --region us-east-1 plan`.

use std::ffi::{OsStr, OsString};

use clap::{Args, Command};

use super::{AwsArgs, CommonArgs, ProgressArgs, RootArgs};

/// Moves such options after the command, where clap parses them, and rejects those that the command does not accept.
pub fn command_first(root: &Command, line: Vec<OsString>) -> Vec<OsString> {
    let options = groups();
    let mut words = line.into_iter();
    let mut settled: Vec<OsString> = words.next().into_iter().collect();
    let (mut early, mut command) = (Vec::new(), root);
    while command.has_subcommands() {
        let Some(word) = words.next() else { break };
        if let Some(takes_value) = option(&options, &word) {
            early.push(word);
            early.extend(words.by_ref().take(usize::from(takes_value)));
            continue;
        }
        let found = command.find_subcommand(&word);
        settled.push(word);
        // clap reports what is wrong with it.
        let Some(below) = found else { break };
        command = below;
    }
    settled.extend(early);
    settled.extend(words);
    settled
}

/// Returns a command with the options that can come before a command.
fn groups() -> Command {
    let command =
        RootArgs::augment_args(ProgressArgs::augment_args(CommonArgs::augment_args(Command::new("sentinel"))));
    AwsArgs::augment_args(command)
}

/// Returns `None` if a word is not such an option, and otherwise whether its value is the next word.
fn option(options: &Command, word: &OsStr) -> Option<bool> {
    let word = word.to_str()?;
    let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
    if let Some(long) = name.strip_prefix("--") {
        let found = options.get_arguments().find(|arg| arg.get_long() == Some(long))?;
        return Some(value.is_none() && found.get_action().takes_values() && !found.is_require_equals_set());
    }
    // The options with a single letter have no value.
    let letters = word.strip_prefix('-').filter(|letters| !letters.is_empty())?;
    let known = |letter: char| options.get_arguments().any(|arg| arg.get_short() == Some(letter));
    letters.chars().all(known).then_some(false)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    fn settled(line: &str) -> String {
        let words = std::iter::once("sentinel").chain(line.split(' ').filter(|word| !word.is_empty()));
        let settled = command_first(&Cli::command(), words.map(OsString::from).collect());
        let words: Vec<_> = settled.iter().skip(1).map(|word| word.to_str().unwrap()).collect();
        words.join(" ")
    }

    #[test]
    fn options_before_a_command_come_after_it() {
        let cases = [
            ("plan --region x", "plan --region x"),
            ("--region x plan -f y", "plan --region x -f y"),
            ("--region=x --local -vv plan", "plan --region=x --local -vv"),
            (
                "--log-format json init --aws-profile p approvals --yes",
                "init approvals --log-format json --aws-profile p --yes",
            ),
            ("--local plan exec -- --region y", "plan --local exec -- --region y"),
            ("exec --profile p -- sh --region y", "exec --profile p -- sh --region y"),
            // clap reports what is wrong with these.
            ("--region x plna", "plna --region x"),
            ("--bogus --region x plan", "--bogus --region x plan"),
            ("--only a plan", "--only a plan"),
            ("--region", "--region"),
            ("--json", "--json"),
            ("", ""),
        ];
        for (line, expected) in cases {
            assert_eq!(settled(line), expected, "{line}");
        }
    }
}
