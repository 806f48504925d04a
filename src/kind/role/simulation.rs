//! `SimulatePrincipalPolicy`: the permissions of a user or a role for actions that nobody requests.
//!
//! Source: IAM API Reference, "SimulatePrincipalPolicy", "EvaluationResult" and "ResourceSpecificResult".

use aws_sdk_iam::types::{
    ContextEntry, ContextKeyTypeEnum, EvaluationResult, PolicyEvaluationDecisionType, ResourceSpecificResult, Statement,
};

use super::api::{RoleApi, failed};
use crate::resource::call::{CallError, Operation, operation};
use crate::resource::simulation::{Decision, MatchedStatement, Simulated};

pub const SIMULATE: Operation = operation!("iam", "SimulatePrincipalPolicy", 5.0, 5.0);

/// The maximum number of pages of a response, and of results of a page.
const PAGES: usize = 20;
const PAGE: i32 = 1000;

/// The maximum number of resources of a call. AWS documents none.
const RESOURCES: usize = 50;

/// The error for actions that must be simulated apart. AWS does not document which ones these are.
const APART: &str = "different authorization information";

/// Actions of a principal, each on each of some resources.
#[derive(Debug, Clone)]
pub struct Simulation<'a> {
    /// The ARN of a user or a role.
    pub principal: &'a str,
    pub actions: &'a [&'a str],
    /// ARNs, or only `*`.
    pub resources: &'a [String],
    /// Condition keys of the request with their values, besides those that follow from the principal.
    pub context: &'a [(&'a str, ContextValue<'a>)],
}

/// The value of a condition key.
#[derive(Debug, Clone, Copy)]
pub enum ContextValue<'a> {
    Text(&'a str),
    List(&'a str),
    True,
}

/// Returns the decision on each action and each resource.
///
/// # Errors
///
/// Fails if AWS does not answer, or not for each of them.
pub async fn simulate(api: &RoleApi, simulation: &Simulation<'_>) -> Result<Vec<Simulated>, CallError> {
    let mut found = Vec::new();
    for resources in simulation.resources.chunks(RESOURCES) {
        let part = Simulation { resources, ..simulation.clone() };
        match together(api, &part).await {
            Err(error) if part.actions.len() > 1 && error.message.contains(APART) => {
                for action in part.actions.chunks(1) {
                    found.extend(together(api, &Simulation { actions: action, ..part.clone() }).await?);
                }
            }
            result => found.extend(result?),
        }
    }
    Ok(found)
}

async fn together(api: &RoleApi, simulation: &Simulation<'_>) -> Result<Vec<Simulated>, CallError> {
    let own = own_context(simulation.principal);
    let context = own.iter().copied().chain(simulation.context.iter().copied()).map(|(key, value)| entry(key, value));
    let context: Vec<ContextEntry> = context.collect();
    let (mut results, mut marker) = (Vec::new(), None);
    for _ in 0..PAGES {
        let call = || {
            let actions = simulation.actions.iter().map(|action| (*action).to_owned()).collect();
            let request = api.client.simulate_principal_policy().policy_source_arn(simulation.principal);
            let request =
                request.set_action_names(Some(actions)).set_resource_arns(Some(simulation.resources.to_vec()));
            let request = request.set_context_entries(Some(context.clone()));
            request.max_items(PAGE).set_marker(marker.clone()).send()
        };
        let answer = api.pacer.call(SIMULATE, &[], call).await?;
        results.extend(answer.evaluation_results.unwrap_or_default());
        marker = answer.marker.filter(|marker| answer.is_truncated && !marker.is_empty());
        if marker.is_none() {
            return each(simulation, &results);
        }
    }
    Err(failed(SIMULATE, "the answer does not end"))
}

/// Returns the condition keys that follow from a principal. Its session counts as one with MFA, since many policies deny all other
/// sessions everything.
fn own_context(principal: &str) -> Vec<(&'static str, ContextValue<'_>)> {
    let mut context = vec![
        ("aws:MultiFactorAuthPresent", ContextValue::True),
        ("aws:SecureTransport", ContextValue::True),
        ("aws:PrincipalArn", ContextValue::Text(principal)),
    ];
    let parts: Vec<&str> = principal.splitn(6, ':').collect();
    if let ["arn", _, "iam", "", account, resource] = parts[..] {
        context.push(("aws:PrincipalAccount", ContextValue::Text(account)));
        match resource.split_once('/') {
            Some(("user", path)) => {
                context.push(("aws:PrincipalType", ContextValue::Text("User")));
                context.push(("aws:username", ContextValue::Text(path.rsplit('/').next().unwrap_or(path))));
            }
            Some(("role", _)) => context.push(("aws:PrincipalType", ContextValue::Text("AssumedRole"))),
            _ => {}
        }
    }
    context
}

fn entry(key: &str, value: ContextValue<'_>) -> ContextEntry {
    let (kind, text) = match value {
        ContextValue::Text(text) => (ContextKeyTypeEnum::String, text),
        ContextValue::List(text) => (ContextKeyTypeEnum::StringList, text),
        ContextValue::True => (ContextKeyTypeEnum::Boolean, "true"),
    };
    ContextEntry::builder().context_key_name(key).context_key_type(kind).context_key_values(text).build()
}

/// Returns the decision on each action and each resource of a simulation.
fn each(simulation: &Simulation<'_>, results: &[EvaluationResult]) -> Result<Vec<Simulated>, CallError> {
    let pairs = simulation.actions.iter().flat_map(|action| simulation.resources.iter().map(move |one| (action, one)));
    let of = |(action, resource): (&&str, &String)| {
        let decided = results
            .iter()
            .filter(|result| result.eval_action_name.eq_ignore_ascii_case(action))
            .find_map(|result| decision_on(result, resource, simulation.resources));
        let decision = decided
            .ok_or_else(|| failed(SIMULATE, format!("the answer holds no decision on {action} on {resource}")))?;
        Ok(Simulated { action: (*action).to_owned(), resource: resource.clone(), decision })
    };
    pairs.map(of).collect()
}

/// Returns the decision of a result on a resource; `None` if it holds none. The decision of the result itself is the most restrictive
/// one of all its resources, and so is one for a resource only if there is no other resource, or if it allows all of them.
fn decision_on(result: &EvaluationResult, resource: &str, all: &[String]) -> Option<Decision> {
    let specific = result.resource_specific_results();
    if let Some(one) = specific.iter().find(|one| one.eval_resource_name == resource) {
        let ResourceSpecificResult { eval_resource_decision: decision, .. } = one;
        return Some(read(decision, one.matched_statements(), one.missing_context_values()));
    }
    let whole = read(&result.eval_decision, result.matched_statements(), result.missing_context_values());
    let is_allowed = matches!(whole, Decision::Allowed(_));
    (is_allowed || all.len() == 1 && specific.is_empty()).then_some(whole)
}

fn read(decision: &PolicyEvaluationDecisionType, matched: &[Statement], missing: &[String]) -> Decision {
    if *decision == PolicyEvaluationDecisionType::Allowed {
        return Decision::Allowed(matched.iter().map(statement).collect());
    }
    if missing.is_empty() { Decision::Denied } else { Decision::Depends(missing.to_vec()) }
}

fn statement(matched: &Statement) -> MatchedStatement {
    let (line, column) = matched.start_position.as_ref().map_or((0, 0), |at| (at.line, at.column));
    MatchedStatement { policy: matched.source_policy_id.clone().unwrap_or_default(), line, column }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLES: [&str; 2] =
        ["arn:aws:dynamodb:us-east-1:111111111111:table/a", "arn:aws:dynamodb:us-east-1:111111111111:table/b"];

    fn result(action: &str, decision: &str, specific: &[(&str, &str, &[&str])]) -> EvaluationResult {
        let each = specific.iter().map(|(resource, decision, missing)| {
            ResourceSpecificResult::builder()
                .eval_resource_name(*resource)
                .eval_resource_decision((*decision).into())
                .set_missing_context_values(Some(missing.iter().map(|key| (*key).to_owned()).collect()))
                .build()
                .unwrap()
        });
        EvaluationResult::builder()
            .eval_action_name(action)
            .eval_resource_name("*")
            .eval_decision(decision.into())
            .set_resource_specific_results(Some(each.collect()))
            .build()
            .unwrap()
    }

    fn decisions(resources: &[&str], results: &[EvaluationResult]) -> Result<Vec<Decision>, String> {
        let resources: Vec<String> = resources.iter().map(|one| (*one).to_owned()).collect();
        let actions = ["dynamodb:PutItem"];
        let simulation = Simulation { principal: "", actions: &actions, resources: &resources, context: &[] };
        let found = each(&simulation, results).map_err(|error| error.to_string())?;
        Ok(found.into_iter().map(|one| one.decision).collect())
    }

    #[test]
    fn each_resource_has_its_own_decision_whatever_the_most_restrictive_one_is() {
        let [a, b] = TABLES;
        let mixed = result("dynamodb:putitem", "explicitDeny", &[(b, "explicitDeny", &[]), (a, "allowed", &[])]);
        assert_eq!(decisions(&TABLES, &[mixed]), Ok(vec![Decision::Allowed(Vec::new()), Decision::Denied]));
    }

    #[test]
    fn a_denial_that_depends_on_condition_keys_is_no_denial() {
        let [a, _] = TABLES;
        let depends = result("dynamodb:PutItem", "implicitDeny", &[(a, "implicitDeny", &["aws:SourceIp"])]);
        assert_eq!(decisions(&[a], &[depends]), Ok(vec![Decision::Depends(vec![String::from("aws:SourceIp")])]));
    }

    #[test]
    fn an_answer_without_a_decision_on_each_resource_is_an_error() {
        let [a, b] = TABLES;
        let some = result("dynamodb:PutItem", "implicitDeny", &[(a, "implicitDeny", &[])]);
        for (resources, results) in [
            (&TABLES[..], vec![some]),
            (&TABLES, vec![result("dynamodb:PutItem", "implicitDeny", &[])]),
            (&[a], vec![]),
            (&[a], vec![result("dynamodb:PutItem", "implicitDeny", &[(b, "implicitDeny", &[])])]),
        ] {
            let error = decisions(resources, &results).unwrap_err();
            assert!(error.contains("no decision on dynamodb:PutItem"), "{error}");
        }
        assert_eq!(decisions(&[a], &[result("dynamodb:PutItem", "implicitDeny", &[])]), Ok(vec![Decision::Denied]));
        let allowed = Decision::Allowed(Vec::new());
        assert_eq!(
            decisions(&TABLES, &[result("dynamodb:PutItem", "allowed", &[])]),
            Ok(vec![allowed.clone(), allowed])
        );
    }
}
