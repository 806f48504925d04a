//! The names of policies, as Parameter Store and the access gate accept them.

use super::Tier;
use crate::kind::parameter_store::names::{
    Checked, LEVEL_LIMIT, NAME_LIMIT, check_name, check_value, is_level, is_reserved,
};
use crate::resource::Invalid;
use crate::resource::names::PolicyRoot;

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

/// Returns the profile of a policy parameter: the part of its name below the root.
pub fn profile_of<'a>(name: &'a str, root: &PolicyRoot) -> &'a str {
    name.strip_prefix(root.as_str()).unwrap_or(name).trim_start_matches('/')
}

/// Checks a policy root, the path of the policy parameters.
pub fn check_root(root: &str) -> Result<(), Invalid> {
    let refuse = |problem: String, help: &str| Err(Invalid::new(problem, help));
    let example = "write a path such as /sentinel/policies";
    if !root.starts_with('/') {
        return refuse(format!("the policy root \"{root}\" does not begin with /"), example);
    }
    if root.ends_with('/') {
        return refuse(format!("the policy root \"{root}\" ends with /"), "remove the / at its end");
    }
    let levels: Vec<&str> = root[1..].split('/').collect();
    if !levels.iter().all(|level| is_level(level)) {
        let help = "a path has letters, digits, and . _ - between its slashes, and no level is . or ..";
        return refuse(format!("the policy root \"{root}\" is not a parameter path"), help);
    }
    if is_reserved(levels[0]) {
        let help = "AWS reserves names that begin with aws or ssm; choose another first part";
        return refuse(format!("the policy root \"{root}\" is reserved"), help);
    }
    if levels.len() >= LEVEL_LIMIT {
        let help = "a parameter's name has at most 15 levels, and the profile is one of them";
        return refuse(format!("the policy root \"{root}\" has {} levels", levels.len()), help);
    }
    Ok(())
}

/// Checks the name of a parameter below a root: a manifest can name it only at this level, and AWS can delete it.
pub fn check_below(name: &str, root: &PolicyRoot) -> Result<(), Invalid> {
    let below = name.strip_prefix(root.as_str()).is_some_and(|rest| rest.starts_with('/'));
    if below && check_name(name).is_ok() {
        return Ok(());
    }
    Err(Invalid::new(format!("\"{name}\" is not a parameter below the policy root \"{root}\""), "name one below it"))
}

/// Checks the length of a parameter name; its parts are checked separately.
pub fn check_length(name: &str) -> Result<(), Invalid> {
    if name.len() > NAME_LIMIT {
        return Err(Invalid::new(
            format!("the parameter name would have {} characters", name.len()),
            format!("AWS accepts {NAME_LIMIT} at most, including the root; shorten the profile's name or the root"),
        ));
    }
    Ok(())
}

/// Checks a policy for a tier.
pub fn check_content(content: &str, tier: Tier) -> Result<(), Invalid> {
    if content.trim().is_empty() {
        return Err(Invalid::new("the policy is empty", "a parameter's value cannot be empty"));
    }
    check_value(Checked { text: content, what: "the policy", whose: "this profile" }, tier)
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
    fn the_longest_name_fits_with_the_longest_arn_prefix() {
        assert_eq!(NAME_LIMIT, 951);
        assert!(check_length(&"x".repeat(951)).is_ok());
        let refused = check_length(&"x".repeat(952)).unwrap_err();
        assert!(refused.problem.contains("952") && refused.help.contains("951"), "{refused}");
    }
}
