//! Parses the command line, and reports an invalid one.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ColorChoice, Command as Definition, CommandFactory, FromArgMatches};

use super::run::Options;
use crate::cli::{Cli, Color, Command, LogFormat, command_first};
use crate::error::Error;

/// Parses the command line.
///
/// # Errors
///
/// Fails when it is not valid, and also when it asks for help or the version.
pub(super) fn command_line() -> Result<(Command, Options), Box<Rejected>> {
    let definition = Cli::command();
    let line = command_first(&definition, std::env::args_os().collect());
    let mut definition = definition.color(match OutputOptions::of(&line).color {
        Color::Auto => ColorChoice::Auto,
        Color::Always => ColorChoice::Always,
        Color::Never => ColorChoice::Never,
    });
    let rejected = |error, line: &[OsString]| Box::new(Rejected::new(error, line));
    let matches = definition.try_get_matches_from_mut(&line).map_err(|error| rejected(error, &line))?;
    let options = Options::of(&definition, &matches).map_err(|error| rejected(error, &line))?;
    let cli = Cli::from_arg_matches(&matches).map_err(|error| rejected(error, &line))?;
    Ok((cli.command, options))
}

/// A command line that clap rejects, or that asks for help or the version.
#[derive(Debug)]
pub(super) struct Rejected {
    pub(super) error: clap::Error,
    pub(super) wanted: OutputOptions,
    /// The advice that replaces clap's suggestion.
    tip: Option<String>,
}

impl Rejected {
    fn new(mut error: clap::Error, line: &[OsString]) -> Self {
        let wanted = OutputOptions::of(line);
        if error.kind() != ErrorKind::UnknownArgument {
            return Self { error, wanted, tip: None };
        }
        let mut definition = Cli::command();
        definition.build();
        let mut names = wanted.command.split_whitespace();
        let command = names.try_fold(&mut definition, |command, name| command.find_subcommand_mut(name));
        let tip = command.and_then(|command| {
            let tip = argument_given_as_option(&error, command, &wanted.command)?;
            // clap suggests the option with the most similar name, which has another meaning, and puts it into the usage.
            error.remove(ContextKind::SuggestedArg);
            error.insert(ContextKind::Usage, ContextValue::StyledStr(command.render_usage()));
            error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.clone().into()]));
            Some(tip)
        });
        Self { error, wanted, tip }
    }

    /// Returns the error, unless the command line asks for help or the version.
    pub(super) fn usage(&self) -> Option<Error> {
        if !self.error.use_stderr() {
            return None;
        }
        let name = &self.wanted.command;
        let help = match name.is_empty() {
            true => String::from("sentinel --help lists the commands"),
            false => format!("sentinel {name} --help lists its options"),
        };
        let tips = [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand, ContextKind::SuggestedValue];
        let tips = tips.iter().filter_map(|kind| self.error.get(*kind)).map(|meant| format!("did you mean {meant}? "));
        let tip = self.tip.as_ref().map(|tip| format!("{tip}; ")).unwrap_or_default();
        let hint = tip + &tips.collect::<String>() + &help;
        Some(Error::Usage { message: self.message(), hint: Some(hint) })
    }

    /// Returns clap's message without the label, the usage and the tips.
    fn message(&self) -> String {
        if self.error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
            return String::from("a command is missing");
        }
        let text = self.error.render().to_string();
        let text = text.strip_prefix("error: ").unwrap_or(&text);
        let ends = |line: &&str| {
            let line = line.trim_start();
            ["tip:", "Usage:", "For more information"].iter().any(|end| line.starts_with(end))
        };
        let lines = text.lines().take_while(|line| !ends(line));
        let words: Vec<&str> = lines.flat_map(str::split_whitespace).collect();
        words.join(" ")
    }
}

/// Returns the advice for an option that has the name of an argument, such as `--profile dev` where a command takes PROFILE.
fn argument_given_as_option(error: &clap::Error, command: &Definition, name: &str) -> Option<String> {
    let Some(ContextValue::String(given)) = error.get(ContextKind::InvalidArg) else { return None };
    let option = given.strip_prefix("--")?;
    let value_name = option.split('=').next()?.replace('-', "_").to_uppercase();
    let of = |arg: &Arg| arg.get_value_names().and_then(<[_]>::first).map(ToString::to_string);
    command.get_positionals().find(|arg| of(arg).as_ref() == Some(&value_name))?;
    let required =
        command.get_positionals().filter(|arg| arg.is_required_set() || of(arg).as_ref() == Some(&value_name));
    let values: Vec<String> = required.filter_map(of).collect();
    Some(format!("{value_name} is an argument and not an option: sentinel {name} {}", values.join(" ")))
}

/// The output options of a command line that clap cannot parse.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct OutputOptions {
    /// The name of the command, as far as it is known.
    pub(super) command: String,
    pub(super) json: bool,
    pub(super) log_format: LogFormat,
    pub(super) color: Color,
}

impl OutputOptions {
    /// Searches the words before `--`, after which the words belong to another program. An output option counts even if it is in the
    /// wrong position or in place of a missing value.
    fn of(line: &[OsString]) -> Self {
        let words: Vec<&str> =
            line.iter().skip(1).filter_map(|word| word.to_str()).take_while(|word| *word != "--").collect();
        let says = |option: &str, value: &str| {
            let together = format!("{option}={value}");
            words.iter().any(|word| *word == together) || words.windows(2).any(|two| two == [option, value])
        };
        let mut definition = &Cli::command();
        let mut names = Vec::new();
        for word in &words {
            let Some(below) = definition.find_subcommand(word) else { break };
            names.push(below.get_name());
            definition = below;
        }
        Self {
            command: names.join(" "),
            json: words.contains(&"--json") || says("--format", "json"),
            log_format: if says("--log-format", "json") { LogFormat::Json } else { LogFormat::Text },
            color: match () {
                () if says("--color", "always") => Color::Always,
                () if says("--color", "never") => Color::Never,
                () => Color::Auto,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(line: &str) -> OutputOptions {
        OutputOptions::of(&std::iter::once("sentinel").chain(line.split(' ')).map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn json_is_seen_in_a_line_that_is_not_valid() {
        let json = [
            "plan --json --bogus",
            "plan --bogus --json",
            "--json",
            "plan --format json x",
            "plan --format=json --x",
            "plan --out --json",
            "init bootstrap --json",
        ];
        for line in json {
            assert!(wanted(line).json, "{line}");
        }
        for line in [
            "plan --bogus",
            "exec --bogus -- aws --json",
            "plan --format markdown",
            "request --justification=--json",
            "plan json --format",
        ] {
            assert!(!wanted(line).json, "{line}");
        }
        assert_eq!(wanted("init approvals --json --x").command, "init approvals");
        assert_eq!(wanted("plan --log-format json --x").log_format, LogFormat::Json);
        assert_eq!(wanted("plan --color=never --x").color, Color::Never);
    }

    #[test]
    fn a_rejected_line_does_not_suggest_an_option_of_another_meaning() {
        let line: Vec<OsString> = ["sentinel", "policy", "show", "--profile", "prod"].map(OsString::from).into();
        let error = Cli::command().try_get_matches_from(&line).unwrap_err();
        let text = Rejected::new(error, &line).error.render().to_string();
        insta::assert_snapshot!(text, @r"
        error: unexpected argument '--profile' found

          tip: PROFILE is an argument and not an option: sentinel policy show PROFILE

        Usage: sentinel policy show [OPTIONS] <PROFILE> [VERSION]

        For more information, try '--help'.
        ");
    }

    #[test]
    fn a_rejected_line_has_a_message_and_a_hint() {
        let usage = |line: &str| {
            let line: Vec<OsString> = std::iter::once("sentinel").chain(line.split(' ')).map(OsString::from).collect();
            let error = Cli::command().try_get_matches_from(&line).unwrap_err();
            let error = Rejected::new(error, &line).usage()?;
            Some((error.to_string(), error.hint().unwrap()))
        };
        assert_eq!(usage("plan --help"), None);
        let (message, hint) = usage("plan --regoin x").unwrap();
        assert_eq!(message, "unexpected argument '--regoin' found");
        assert_eq!(hint, "did you mean --region? sentinel plan --help lists its options");
        let (message, hint) = usage("improt").unwrap();
        assert_eq!(message, "unrecognized subcommand 'improt'");
        assert_eq!(hint, "did you mean import? sentinel --help lists the commands");
        for (line, argument) in [
            ("policy show --profile prod", "sentinel policy show PROFILE"),
            ("policy rollback --to 1 --profile=prod", "sentinel policy rollback PROFILE"),
            ("access can alice --profile prod", "sentinel access can USER PROFILE"),
        ] {
            let (message, hint) = usage(line).unwrap();
            assert_eq!(message, "unexpected argument '--profile' found");
            let advice = format!("PROFILE is an argument and not an option: {argument}; ");
            assert!(hint.starts_with(&advice) && !hint.contains("--aws-profile"), "{hint}");
        }
        let (message, _) = usage("plan --format xml").unwrap();
        assert!(message.starts_with("invalid value 'xml'") && !message.contains("more information"), "{message}");
        let (message, _) = usage("init bootstrap").unwrap();
        assert_eq!(message, "the following required arguments were not provided: --profile <NAME>");
    }
}
