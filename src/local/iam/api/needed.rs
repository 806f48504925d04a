//! The permissions that a request to IAM requires.
//!
//! Source: Service Authorization Reference, "Actions, resources, and condition keys for AWS Identity and Access Management (IAM)".

use super::{rules, tags};
use crate::local::Region;
use crate::local::answer::{Form, Refusal};
use crate::local::iam::evaluate::{Context, RequiredPermission};
use crate::local::iam::request::permission;
use crate::local::iam::role::Role;

/// Returns the permissions of a request. Its resource may not exist; a policy for specific names then denies it.
pub(super) fn of(
    home: &Region,
    region: &str,
    operation: &str,
    form: &Form,
) -> Result<Vec<RequiredPermission>, Refusal> {
    let text = |field: &str| form.get(field).map(String::as_str);
    let arn = |kind: &str, path: &str, name: &str| rules::arn(home, kind, path, name);
    let path = text("Path").filter(|path| path.starts_with('/')).unwrap_or("/");
    let named = text("RoleName");
    let role = named.map(|name| Role::find(home, name)).transpose()?.flatten();
    let role_arn = role.as_ref().map(Role::arn).or_else(|| named.map(|name| arn("role", path, name)));
    let profile = text("InstanceProfileName").map(|name| arn("instance-profile", path, name));
    let resource = match operation {
        "ListRoles" => arn("role", text("PathPrefix").unwrap_or("/"), ""),
        "CreateServiceLinkedRole" => {
            arn("role", &format!("/aws-service-role/{}/", text("AWSServiceName").unwrap_or_default()), "*")
        }
        "CreatePolicy" => arn("policy", path, text("PolicyName").unwrap_or_default()),
        "GetPolicy" | "GetPolicyVersion" | "DeletePolicy" => text("PolicyArn").unwrap_or("*").to_owned(),
        "SimulatePrincipalPolicy" => text("PolicySourceArn").unwrap_or("*").to_owned(),
        "CreateOpenIDConnectProvider" => {
            arn("oidc-provider", "/", text("Url").unwrap_or_default().trim_start_matches("https://"))
        }
        "GetOpenIDConnectProvider" | "DeleteOpenIDConnectProvider" => {
            text("OpenIDConnectProviderArn").unwrap_or("*").to_owned()
        }
        _ => profile.or_else(|| role_arn.clone()).unwrap_or_else(|| String::from("*")),
    };
    let context = context(operation, form, role.as_ref())?;
    let of = |action: &str, resource: &str| RequiredPermission {
        context: context.clone(),
        ..permission(region, format!("iam:{action}"), resource.to_owned())
    };
    let mut needed = vec![of(operation, &resource)];
    if form.contains_key("Tags.member.1.Key") {
        match operation {
            "CreateRole" => needed.push(of("TagRole", &resource)),
            "CreatePolicy" => needed.push(of("TagPolicy", &resource)),
            "CreateOpenIDConnectProvider" => needed.push(of("TagOpenIDConnectProvider", &resource)),
            _ => {}
        }
    }
    if let Some(role) = role_arn.filter(|_| operation == "AddRoleToInstanceProfile") {
        needed.push(of("PassRole", &role));
    }
    Ok(needed)
}

fn context(operation: &str, form: &Form, role: Option<&Role>) -> Result<Context, Refusal> {
    let mut context = Context::of(&[
        "iam:permissionsboundary",
        "iam:policyarn",
        "iam:resourcetag/",
        "aws:requesttag/",
        "aws:resourcetag/",
        "aws:tagkeys",
    ]);
    let boundary = form.get("PermissionsBoundary").or_else(|| role.and_then(|role| role.boundary.as_ref()));
    if let Some(boundary) = boundary {
        context.set("iam:PermissionsBoundary", vec![boundary.clone()]);
    }
    if let Some(policy) = form.get("PolicyArn").filter(|_| operation.ends_with("RolePolicy")) {
        context.set("iam:PolicyARN", vec![policy.clone()]);
    }
    let tags = tags::read(form)?;
    let mut keys: Vec<String> = tags.values().map(|(key, _)| key.clone()).collect();
    keys.extend(rules::members(form, "TagKeys").into_iter().cloned());
    if !keys.is_empty() {
        context.set("aws:TagKeys", keys);
    }
    for (key, value) in tags.values() {
        context.set(&format!("aws:RequestTag/{key}"), vec![value.clone()]);
    }
    for (key, value) in role.into_iter().flat_map(|role| role.tags.values()) {
        for head in ["aws", "iam"] {
            context.set(&format!("{head}:ResourceTag/{key}"), vec![value.clone()]);
        }
    }
    Ok(context)
}
