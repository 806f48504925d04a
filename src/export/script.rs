//! The commands that deploy an export, as a POSIX shell script.

use std::borrow::Cow;

use serde_json::Value;

use super::Target;
use super::cloudformation::Delivery;
use crate::kind::export::cloudformation::Parameter;

/// The stacks of one target.
pub(super) struct Block<'a> {
    pub(super) target: &'a Target<'a>,
    pub(super) stacks: Vec<Stack>,
}

pub(super) struct Stack {
    pub(super) name: String,
    pub(super) import: Option<Import>,
    /// Their names, in deployment order.
    pub(super) templates: Vec<String>,
    pub(super) parameters: Vec<Parameter>,
    /// Whether the import covers all resources, so that nothing is created.
    pub(super) is_whole: bool,
    /// The option that acknowledges its roles, if it has any.
    pub(super) capabilities: &'static str,
}

/// The import of resources into a stack.
pub(super) struct Import {
    pub(super) template: String,
    pub(super) resources: String,
}

/// One stack set.
pub(super) struct Set {
    pub(super) name: String,
    pub(super) file: String,
    pub(super) document: Value,
    pub(super) parameters: Vec<Parameter>,
    /// The option that acknowledges its roles, if it has any.
    pub(super) capabilities: &'static str,
}

const HEAD: &str = r#"#!/bin/sh
# Written by sentinel export cloudformation.
set -eu
cd "$(dirname "$0")"

# Escapes a value for the quotes in the shorthand syntax of an option.
value() { printf '%s' "$1" | sed 's/[\\"]/\\&/g'; }
"#;

const STACKS: &str = r#"
# Usage: ./deploy.sh [--import] [TARGET ...]
# --import first imports the resources that were there when sentinel exported with --live.
# Each change set is shown, and carried out once you confirm it; YES=1 confirms all.
# Run it with credentials of the target's account.
import=
case "${1-}" in --import) import=1; shift ;; esac
targets=" $* "
wanted() { case "$targets" in "  " | *" $1 "*) return 0 ;; *) return 1 ;; esac; }

# change_set REGION STACK TYPE TEMPLATE [OPTION ...]
change_set() {
    region=$1 stack=$2 type=$3 template=$4
    shift 4
    if [ "$type" = CHANGE ]; then
        type=UPDATE
        aws cloudformation describe-stacks --region "$region" --stack-name "$stack" >/dev/null 2>&1 || type=CREATE
        set -- --import-existing-resources "$@"
    fi
    name="sentinel-$(date -u +%Y%m%dT%H%M%S)-$$"
    aws cloudformation create-change-set --region "$region" --stack-name "$stack" --change-set-name "$name" \
        --change-set-type "$type" $(body "$template") "$@" >/dev/null
    if ! aws cloudformation wait change-set-create-complete --region "$region" --stack-name "$stack" \
        --change-set-name "$name"; then
        reason=$(aws cloudformation describe-change-set --region "$region" --stack-name "$stack" \
            --change-set-name "$name" --query StatusReason --output text)
        case "$reason" in
            *"didn't contain changes"* | *"No updates are to be performed"*) echo "$stack: $template changes nothing"; return ;;
            *) echo "$stack: $reason" >&2; exit 1 ;;
        esac
    fi
    aws cloudformation describe-change-set --region "$region" --stack-name "$stack" --change-set-name "$name" \
        --query 'Changes[].ResourceChange.[Action,LogicalResourceId,ResourceType,Replacement]' --output table
    if [ "${YES-}" != 1 ]; then
        printf '%s in %s: carry out this change set? [y/N] ' "$stack" "$region"
        read -r answer
        case "$answer" in y | yes) ;; *) echo "left as it is"; exit 1 ;; esac
    fi
    aws cloudformation execute-change-set --region "$region" --stack-name "$stack" --change-set-name "$name"
    case "$type" in
        CREATE) aws cloudformation wait stack-create-complete --region "$region" --stack-name "$stack" ;;
        UPDATE) aws cloudformation wait stack-update-complete --region "$region" --stack-name "$stack" ;;
        IMPORT) aws cloudformation wait stack-import-complete --region "$region" --stack-name "$stack" ;;
    esac
}
"#;

const SETS: &str = r#"
# Usage: ./deploy.sh
# Run it with credentials of the administrator account of the stack sets.
# The stacks of a stack set are created in accounts that trust it: see "Grant self-managed permissions" in the AWS CloudFormation
# User Guide. For an organization with service-managed permissions, add --permission-model SERVICE_MANAGED and --auto-deployment, and
# name organizational units with --deployment-targets in the place of --accounts.
"#;

/// Returns how a template is referenced: as a file, or as an object below `$TEMPLATES`.
fn body(delivery: Delivery) -> &'static str {
    match delivery {
        Delivery::Inline => "\nbody() { printf -- '--template-body file://%s' \"$1\"; }\n",
        Delivery::Bucket => {
            "\n# The templates are too large for a request. Copy them to a bucket, and name it:\n#   aws s3 cp . s3://BUCKET/PREFIX \
             --recursive --exclude '*' --include '*.template.json'\n#   TEMPLATES=https://BUCKET.s3.REGION.amazonaws.com/PREFIX \
             ./deploy.sh\n: \"${TEMPLATES:?name the address of the templates}\"\nbody() { printf -- '--template-url %s/%s' \
             \"$TEMPLATES\" \"$1\"; }\n"
        }
    }
}

/// Returns the script for the templates of targets.
pub(super) fn stacks(blocks: &[Block<'_>], delivery: Delivery) -> String {
    let mut script = [HEAD, STACKS, body(delivery)].concat();
    let names: Vec<String> = blocks.iter().map(|block| block.target.slug()).collect();
    script.push_str(&format!(
        "\nall=\"{}\"\nfor name; do\n    case \" $all \" in *\" $name \"*) ;; *) echo \"deploy.sh: there is no target $name; the \
         targets are: $all\" >&2; exit 1 ;; esac\ndone\n",
        names.join(" ")
    ));
    for Block { target, stacks } in blocks {
        let slug = target.slug();
        let account = target.account.as_ref().map_or_else(|| String::from("of the caller"), ToString::to_string);
        script.push_str(&format!("\n# Account {}, {}.", comment(&account), comment(&target.region)));
        if let Some(role) = &target.role {
            script.push_str(&format!(" Role: {}", comment(role)));
        }
        script.push_str(&format!("\nif wanted {slug}; then\n"));
        let region = quoted(&target.region);
        for stack in stacks {
            let name = stack_name(&stack.name);
            let values = stack.capabilities.to_owned() + &values(&stack.parameters);
            if let Some(Import { template, resources }) = &stack.import {
                script.push_str(&format!(
                    "    if [ -n \"$import\" ]; then\n        change_set {region} {name} IMPORT {template} --resources-to-import \
                     file://{resources}{values}\n    fi\n"
                ));
            }
            let whole = if stack.is_whole { "    # After an import, there may be no changes.\n" } else { "" };
            script.push_str(whole);
            for template in &stack.templates {
                script.push_str(&format!("    change_set {region} {name} CHANGE {template}{values}\n"));
            }
        }
        if stacks.is_empty() {
            script.push_str("    : # The stacks of other targets have its resources.\n");
        }
        script.push_str("fi\n");
    }
    script
}

/// Returns the script for stack sets.
pub(super) fn stack_sets(sets: &[Set], delivery: Delivery) -> String {
    let mut script = [HEAD, SETS, body(delivery)].concat();
    for Set { name, file, document, parameters, capabilities } in sets {
        let values = (*capabilities).to_owned() + &values(parameters);
        script.push_str(&format!(
            "\nif aws cloudformation describe-stack-set --stack-set-name {name} >/dev/null 2>&1; then\n    aws cloudformation \
             update-stack-set --stack-set-name {name} $(body {file}) --operation-preferences '{}'{values}\nelse\n    aws \
             cloudformation create-stack-set --stack-set-name {name} $(body {file}){values}\nfi\n",
            preferences(document["Instances"].as_array().into_iter().flatten().next())
        ));
        script.push_str("# This does not change existing stacks.\n");
        for group in document["Instances"].as_array().into_iter().flatten() {
            let list = |field: &str| {
                let all = group[field].as_array().into_iter().flatten().filter_map(Value::as_str);
                all.map(quoted).collect::<Vec<_>>().join(" ")
            };
            let overrides = &group["ParameterOverrides"];
            let overrides = match overrides.as_array().is_some_and(|all| !all.is_empty()) {
                true => format!(" \\\n    --parameter-overrides {}", quoted(&overrides.to_string())),
                false => String::new(),
            };
            script.push_str(&format!(
                "aws cloudformation create-stack-instances --stack-set-name {name} \\\n    --accounts {} \\\n    --regions {} \\\n    \
                 --operation-preferences '{}'{overrides}\n",
                list("Accounts"),
                list("Regions"),
                preferences(Some(group))
            ));
        }
    }
    script
}

/// Returns operation preferences as JSON. They contain only numbers and fixed words.
fn preferences(group: Option<&Value>) -> String {
    group.map(|group| group["OperationPreferences"].to_string()).unwrap_or_default()
}

/// Returns the options that pass secret values from the environment of the script.
fn values(parameters: &[Parameter]) -> String {
    if parameters.is_empty() {
        return String::new();
    }
    let one = |parameter: &Parameter| {
        let (id, variable) = (&parameter.id, parameter.variable.as_deref().unwrap_or(&parameter.id));
        format!(
            " \\\n        \"ParameterKey={id},ParameterValue=\\\"$(value \"${{{variable}:?the value of {id}}}\")\\\"\""
        )
    };
    format!(" \\\n        --parameters{}", parameters.iter().map(one).collect::<String>())
}

fn stack_name(name: &str) -> String {
    if name.starts_with("sentinel") { name.to_owned() } else { format!("sentinel-{name}") }
}

fn quoted(text: &str) -> Cow<'_, str> {
    // A manifest cannot contain a zero byte, which is the only text that a shell cannot quote.
    shlex::try_quote(text).unwrap_or(Cow::Borrowed("''"))
}

/// Returns a text on one line, for a comment.
fn comment(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).collect()
}
