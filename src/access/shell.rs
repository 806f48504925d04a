//! Shell functions, one for each profile. Pure: converts names to a script that is safe to evaluate.

use std::collections::BTreeSet;

use crate::kind::policy_parameter;

/// A shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Format {
    Bash,
    Zsh,
    Fish,
}

impl Format {
    /// Returns its name.
    pub const fn word(self) -> &'static str {
        self.into_str()
    }
}

/// A function, and the command that it runs, to which the user's arguments are added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    pub name: String,
    pub command: Vec<String>,
}

/// How a function gives credentials to the command that it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// In the environment.
    Environment,
    /// By a credential server, as `exec --server` does.
    Server,
}

/// Returns a function for each profile and delivery, and the names without a function, each with the reason.
///
/// A name that is not valid for a profile gets no function, so that the name of a function contains nothing that a shell interprets.
/// `options` returns the options after `--profile`.
pub fn functions(
    profiles: &[String],
    options: impl Fn(&str) -> Vec<String>,
    deliveries: &[Delivery],
) -> (Vec<Function>, Vec<(String, &'static str)>) {
    let (mut functions, mut left_out) = (Vec::new(), Vec::new());
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let command = |profile: &str, delivery: Delivery| {
        let mut command: Vec<String> =
            ["sentinel", "exec", &format!("--profile={profile}")].map(str::to_owned).to_vec();
        command.extend((delivery == Delivery::Server).then(|| String::from("--server")));
        command.extend(options(profile));
        command.push(String::from("--"));
        command
    };
    let mut usable = Vec::new();
    for profile in profiles {
        if policy_parameter::check_profile(profile).is_err() {
            left_out.push((profile.clone(), "it is not a profile's name"));
        } else if taken.insert(function_name(profile, Delivery::Environment)) {
            usable.push(profile);
        }
    }
    for profile in &usable {
        functions.push(Function {
            name: function_name(profile, Delivery::Environment),
            command: command(profile, Delivery::Environment),
        });
    }
    for profile in usable.iter().filter(|_| deliveries.contains(&Delivery::Server)) {
        let name = function_name(profile, Delivery::Server);
        if taken.insert(name.clone()) {
            functions.push(Function { name, command: command(profile, Delivery::Server) });
        } else {
            left_out.push((format!("{profile} --server"), "its function would have the name of another profile's"));
        }
    }
    (functions, left_out)
}

fn function_name(profile: &str, delivery: Delivery) -> String {
    match delivery {
        Delivery::Environment => format!("sentinel-{profile}"),
        Delivery::Server => format!("sentinel-{profile}-server"),
    }
}

/// Returns a word, quoted for a shell.
pub fn quoted(format: Format, word: &str) -> String {
    match format {
        Format::Bash | Format::Zsh => format!("'{}'", word.replace('\'', "'\\''")),
        // In single quotes, fish interprets a backslash only before a quote or another backslash.
        Format::Fish => format!("'{}'", word.replace('\\', "\\\\").replace('\'', "\\'")),
    }
}

/// Returns the script that defines the functions and their completion. The arguments are completed as a command.
pub fn script(format: Format, functions: &[Function]) -> String {
    let mut text = format!("# Made by: sentinel shell init --format {}\n", format.word());
    for function in functions {
        let words: Vec<String> = function.command.iter().map(|word| quoted(format, word)).collect();
        let (name, words) = (&function.name, words.join(" "));
        text.push_str(&match format {
            // The keyword `function` prevents the expansion of an alias with the same name.
            Format::Bash | Format::Zsh => format!("function {name} {{ command {words} \"$@\"; }}\n"),
            Format::Fish => format!("function {name}; command {words} $argv; end\n"),
        });
    }
    if functions.is_empty() {
        return text;
    }
    let names: Vec<&str> = functions.iter().map(|function| function.name.as_str()).collect();
    text.push_str(&match format {
        Format::Bash => format!("{BASH}complete -o default -o bashdefault -F _sentinel_command {}\n", names.join(" ")),
        Format::Zsh => {
            format!("if (( ${{+functions[compdef]}} )); then compdef _precommand {}; fi\n", names.join(" "))
        }
        Format::Fish => {
            let complete = |name: &&str| format!("complete -c {name} -x -a '(__fish_complete_subcommand)'\n");
            names.iter().map(complete).collect::<Vec<_>>().concat()
        }
    });
    text
}

/// Uses bash-completion, whose function has two names in different versions, or else the completion of bash itself.
const BASH: &str = r#"function _sentinel_command {
  local action=-f word
  if declare -F _comp_command_offset >/dev/null; then _comp_command_offset 1; return; fi
  if declare -F _command_offset >/dev/null; then _command_offset 1; return; fi
  if [ "$COMP_CWORD" -eq 1 ]; then action=-c; fi
  COMPREPLY=()
  while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen "$action" -- "$2")
}
"#;

#[cfg(test)]
mod tests {
    use super::*;

    fn names(profiles: &[&str], deliveries: &[Delivery]) -> (Vec<String>, Vec<String>) {
        let profiles: Vec<String> = profiles.iter().map(|&name| name.to_owned()).collect();
        let (functions, left_out) = functions(&profiles, |_| Vec::new(), deliveries);
        let left_out = left_out.into_iter().map(|(name, _)| name);
        (functions.into_iter().map(|function| function.name).collect(), left_out.collect())
    }

    #[test]
    fn a_name_that_is_not_valid_for_a_profile_gets_no_function() {
        let hostile =
            ["a b", "x;id", "$(id)", "`id`", "a\nb", "a/b", "'", "\"", "\\", "é", "", "a{b,c}", "*", "a=b", "#"];
        let (functions, left_out) = names(&[&["dev", "a.b_c-D"], &hostile[..]].concat(), &[Delivery::Environment]);
        assert_eq!(functions, ["sentinel-dev", "sentinel-a.b_c-D"]);
        assert_eq!(left_out, hostile);
    }

    #[test]
    fn the_function_of_a_profile_has_precedence_over_the_server_of_another() {
        let (functions, left_out) = names(&["dev", "dev-server"], &[Delivery::Environment, Delivery::Server]);
        assert_eq!(functions, ["sentinel-dev", "sentinel-dev-server", "sentinel-dev-server-server"]);
        assert_eq!(left_out, ["dev --server"]);
    }

    #[test]
    fn words_are_quoted_for_each_shell() {
        assert_eq!(quoted(Format::Zsh, "it's $HOME\n"), "'it'\\''s $HOME\n'");
        assert_eq!(quoted(Format::Fish, "it's \\ $HOME"), "'it\\'s \\\\ $HOME'");
    }

    #[test]
    fn the_script_is_one_function_a_line() {
        let words = |_: &str| vec![String::from("--region"), String::from("us-east-1")];
        let (functions, _) = functions(&[String::from("dev")], words, &[Delivery::Environment]);
        let line =
            "function sentinel-dev { command 'sentinel' 'exec' '--profile=dev' '--region' 'us-east-1' '--' \"$@\"; }";
        assert_eq!(script(Format::Zsh, &functions).lines().nth(1), Some(line));
        let line =
            "function sentinel-dev; command 'sentinel' 'exec' '--profile=dev' '--region' 'us-east-1' '--' $argv; end";
        assert_eq!(script(Format::Fish, &functions).lines().nth(1), Some(line));
    }
}
