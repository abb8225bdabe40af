//! `SimulatePrincipalPolicy`: the judgement, asked what it would say.

use std::collections::BTreeSet;

use super::{IamApi, element, list};
use crate::error::{Answer, ServiceError};
use crate::http::Parameters;
use crate::iam::context::Context;
use crate::iam::directory::no_such_entity;
use crate::iam::judge::{Asked, Guard, Papers, Simulated, account_of, simulate};
use crate::iam::principal::{Principal, Who};

impl IamApi {
    pub(super) fn simulate_principal_policy(&self, parameters: &Parameters) -> Answer<String> {
        let arn = parameters.get("PolicySourceArn").unwrap_or_default();
        let principal = self.source(arn)?;
        let papers = self.world.iam.look(|directory| directory.papers(&principal));
        let context = context(parameters)?;
        let actions = members(parameters, "ActionNames");
        let mut resources = members(parameters, "ResourceArns");
        if resources.is_empty() {
            resources.push("*");
        }
        let mut results = Vec::new();
        for action in &actions {
            let is_action = action.split_once(':').is_some_and(|(vendor, name)| !vendor.is_empty() && !name.is_empty());
            if !is_action || action.contains(['*', '?']) {
                let what = format!("Invalid Action Name: {action}. One such as codecommit:GitPush was expected");
                return Err(ServiceError::bad("InvalidInput", what));
            }
            for resource in &resources {
                results
                    .push((format!("{:06}", results.len()), result(&principal, &papers, (action, resource), &context)));
            }
        }
        let given: Vec<&str> = parameters
            .names()
            .filter(|name| !matches!(*name, "Marker" | "MaxItems"))
            .flat_map(|name| [name, parameters.get(name).unwrap_or_default()])
            .collect();
        let (page, more) = self.page(("SimulatePrincipalPolicy", &given), results.into_iter(), parameters)?;
        Ok(list("EvaluationResults", page.into_iter()) + &more)
    }

    /// The user or role of this ARN, as it would call.
    fn source(&self, arn: &str) -> Answer<Principal> {
        let account = account_of(arn).unwrap_or_default();
        let resource = arn.splitn(6, ':').nth(5).unwrap_or_default();
        let name = resource.rsplit('/').next().unwrap_or_default().to_owned();
        let (who, found) = match resource.split_once('/') {
            Some(("user", _)) if arn.starts_with("arn:aws:iam::") => {
                let found = self.world.iam.user_arn(&name);
                (Who::User { name }, found)
            }
            Some(("role", _)) if arn.starts_with("arn:aws:iam::") => {
                let found = self.world.iam.role_arn(&name);
                (Who::Session { role: name, role_arn: arn.to_owned() }, found)
            }
            Some(("group", _)) if arn.starts_with("arn:aws:iam::") => {
                return Err(no_such_entity(&format!("The local cloud has no groups, and so not {arn}.")));
            }
            _ => {
                return Err(ServiceError::bad(
                    "InvalidInput",
                    format!("Invalid Entity Arn: {arn} does not clearly define entity type and name."),
                ));
            }
        };
        if found.as_deref() != Some(arn) {
            return Err(no_such_entity(&format!("The entity {arn} cannot be found.")));
        }
        Ok(Principal { arn: arn.to_owned(), account: account.to_owned(), who })
    }
}

/// The texts of a list.
fn members<'a>(parameters: &'a Parameters, list: &str) -> Vec<&'a str> {
    (1..).map_while(|number| parameters.get(&format!("{list}.member.{number}"))).collect()
}

/// The condition keys that are given; nothing else is known of the request.
fn context(parameters: &Parameters) -> Answer<Context> {
    let mut context = Context::default();
    for number in 1.. {
        let of = |member: &str| format!("ContextEntries.member.{number}.{member}");
        let (Some(key), kind) = (parameters.get(&of("ContextKeyName")), parameters.get(&of("ContextKeyType"))) else {
            break;
        };
        let values = members(parameters, &of("ContextKeyValues"));
        let is_list = kind.is_some_and(|kind| kind.ends_with("List"));
        if kind.is_none() || values.is_empty() || (values.len() > 1 && !is_list) {
            let what = format!("Invalid context entry {key}: it needs a type, and one value unless the type is a list");
            return Err(ServiceError::bad("InvalidInput", what));
        }
        context = context.with_all(key, values.into_iter().map(str::to_owned));
    }
    Ok(context)
}

fn result(principal: &Principal, papers: &Papers, (action, resource): (&str, &str), context: &Context) -> String {
    let owner = account_of(resource);
    let asked = Asked { principal, action, resource, owner, context, guard: Guard::Policy };
    let Simulated { decision, matched, missing, boundary } = simulate(&asked, papers);
    let whose = if matches!(principal.who, Who::User { .. }) { "user" } else { "role" };
    let matched: BTreeSet<String> = matched
        .into_iter()
        .map(|policy| {
            let kind = match policy.strip_prefix("arn:aws:iam::") {
                None => whose,
                Some(managed) if managed.starts_with("aws:") => "aws-managed",
                Some(_) => "user-managed",
            };
            element("SourcePolicyId", &policy) + &element("SourcePolicyType", kind)
        })
        .collect();
    let boundary = boundary.map(|allowed| {
        let allowed = element("AllowedByPermissionsBoundary", if allowed { "true" } else { "false" });
        format!("<PermissionsBoundaryDecisionDetail>{allowed}</PermissionsBoundaryDecisionDetail>")
    });
    [
        element("EvalActionName", action),
        element("EvalResourceName", resource),
        element("EvalDecision", decision),
        list("MatchedStatements", matched.into_iter()),
        list("MissingContextValues", missing.iter().map(|key| quick_xml::escape::escape(key).into_owned())),
        boundary.unwrap_or_default(),
    ]
    .concat()
}
