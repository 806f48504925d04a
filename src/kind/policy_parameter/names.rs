//! Parameter Store's rules for names and values.

use super::Tier;
use crate::resource::Invalid;
use crate::resource::names::PolicyRoot;

/// The most characters of a name: 1,011 with the ARN before it, of which the longest partition, region and account
/// take 60. Source: PutParameter in the Systems Manager API reference.
const NAME_LIMIT: usize = 1011 - 60;
/// The most levels of a hierarchy.
const LEVEL_LIMIT: usize = 15;

fn name_char(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "_.-".contains(letter)
}

/// Returns whether a text can be one level of a name. Parameter Store takes `.` and `..` literally; what reads a name as a path does
/// not, and would take it for another one.
fn is_level(text: &str) -> bool {
    !text.is_empty() && text.chars().all(name_char) && text != "." && text != ".."
}

/// Checks a profile's name: it becomes the last part of a parameter's name.
pub fn check_profile(profile: &str) -> Result<(), Invalid> {
    if !is_level(profile) {
        return Err(Invalid::new(
            format!("the profile name \"{profile}\" cannot be part of a parameter name"),
            "use letters, digits, and . _ -",
        ));
    }
    Ok(())
}

/// Returns the profile whose policy a parameter is: what of its name stands below the root.
pub fn profile_of<'a>(name: &'a str, root: &PolicyRoot) -> &'a str {
    name.strip_prefix(root.as_str()).unwrap_or(name).trim_start_matches('/')
}

/// Checks a policy root: the path under which the parameters stand.
pub fn check_root(root: &str) -> Result<(), Invalid> {
    let refuse = |problem: String, help: &str| Err(Invalid::new(problem, help));
    let example = "write a path such as /sentinel/policies";
    if !root.starts_with('/') {
        return refuse(format!("the policy root \"{root}\" does not begin with /"), example);
    }
    if root.ends_with('/') {
        return refuse(format!("the policy root \"{root}\" ends with /"), "leave out the / at its end");
    }
    let levels: Vec<&str> = root[1..].split('/').collect();
    if !levels.iter().all(|level| is_level(level)) {
        let help = "between its slashes a path has letters, digits, and . _ -, and no level is . or ..";
        return refuse(format!("the policy root \"{root}\" is not a parameter path"), help);
    }
    let first = levels[0].to_ascii_lowercase();
    if first.starts_with("aws") || first.starts_with("ssm") {
        let help = "AWS keeps names that begin with aws or ssm for itself; choose another first part";
        return refuse(format!("the policy root \"{root}\" is reserved"), help);
    }
    if levels.len() >= LEVEL_LIMIT {
        let help = "a parameter's name has at most 15 levels, and the profile is one of them";
        return refuse(format!("the policy root \"{root}\" has {} levels", levels.len()), help);
    }
    Ok(())
}

/// Checks the name of a parameter that was found below a root: a manifest can name no deeper one, and it can be deleted.
pub fn check_below(name: &str, root: &PolicyRoot) -> Result<(), Invalid> {
    let below = name.strip_prefix(root.as_str()).and_then(|rest| rest.strip_prefix('/'));
    if below.is_some_and(|below| below.split('/').all(is_level)) && name.split('/').count() <= LEVEL_LIMIT + 1 {
        return check_length(name);
    }
    Err(Invalid::new(format!("\"{name}\" is no parameter below the policy root \"{root}\""), "name one below it"))
}

/// Checks a whole parameter name's length; its parts are checked on their own.
pub fn check_length(name: &str) -> Result<(), Invalid> {
    if name.len() > NAME_LIMIT {
        return Err(Invalid::new(
            format!("the parameter name would have {} characters", name.len()),
            format!("AWS takes {NAME_LIMIT} at most, counting the root; shorten the profile's name or the root"),
        ));
    }
    Ok(())
}

/// Checks a value for a tier.
pub fn check_content(content: &str, tier: Tier) -> Result<(), Invalid> {
    let size = content.len();
    if content.trim().is_empty() {
        return Err(Invalid::new("the policy is empty", "a parameter's value cannot be empty"));
    }
    if size > tier.limit() {
        let help = match tier {
            Tier::Standard if size <= Tier::Advanced.limit() => {
                "shorten it, or set tier = \"advanced\" for this profile (8,192 bytes; AWS charges for it)"
            }
            _ => "shorten it: 8,192 bytes, in the advanced tier, is the most a parameter holds",
        };
        let problem = format!("the policy has {size} bytes; the {} tier holds {}", tier.as_str(), tier.limit());
        return Err(Invalid::new(problem, help));
    }
    if content.contains("{{") {
        return Err(Invalid::new("the policy contains {{", "AWS refuses values with {{ in them: write it another way"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_parameter_stores_rules() {
        assert!(check_root("/sentinel/policies").is_ok());
        for bad in [
            "sentinel",
            "/sentinel/",
            "/",
            "/a//b",
            "/aws/x",
            "/SSM-x",
            "/a b",
            "",
            "/a/b/../../c",
            "/a/.",
            &"/a".repeat(15),
        ] {
            assert!(check_root(bad).is_err(), "{bad} passed");
        }
        for bad in ["", "a/b", "a b", "é", ".", ".."] {
            assert!(check_profile(bad).is_err(), "{bad} passed");
        }
    }

    #[test]
    fn a_name_is_as_long_as_aws_takes_with_the_longest_arn_before_it() {
        assert_eq!(NAME_LIMIT, 951);
        assert!(check_length(&"x".repeat(951)).is_ok());
        let refused = check_length(&"x".repeat(952)).unwrap_err();
        assert!(refused.problem.contains("952") && refused.help.contains("951"), "{refused}");
    }
}
