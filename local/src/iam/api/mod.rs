//! IAM's own API, over the users and roles that the judgement knows.
//!
//! They live as long as the cloud runs, as the template makes its roles anew with each start. IAM is one for all regions of an
//! account: its calls belong to us-east-1, and only there does the bus hear of them.

mod check;
mod entities;
mod simulate;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::auth::Caller;
use crate::cloudtrail::{self, DETAIL_TYPE};
use crate::error::{Answer, ServiceError};
use crate::eventbridge::EventBridge;
use crate::http::Parameters;
use crate::paging::Order;
use crate::world::World;

/// The region that all calls of IAM belong to.
pub(crate) const REGION: &str = "us-east-1";

/// The operations that are offered here.
pub(crate) const OPERATIONS: &[&str] = &[
    "CreateRole",
    "CreateUser",
    "DeleteRole",
    "DeleteRolePolicy",
    "DeleteUser",
    "DeleteUserPolicy",
    "GetRole",
    "GetUser",
    "ListRolePolicies",
    "ListRoles",
    "ListUserPolicies",
    "ListUsers",
    "PutRolePolicy",
    "PutUserPolicy",
    "SimulatePrincipalPolicy",
];

/// The operations that change nothing.
const READING: [&str; 4] = ["Get", "List", "Simulate", "Describe"];

/// The size of a page unless `MaxItems` says otherwise.
const PAGE: usize = 100;

/// The service.
#[derive(Debug)]
pub struct IamApi {
    world: Arc<World>,
    bus: Arc<EventBridge>,
}

impl IamApi {
    /// The service over the users and roles of this world.
    pub fn new(world: &Arc<World>, bus: &Arc<EventBridge>) -> Self {
        Self { world: Arc::clone(world), bus: Arc::clone(bus) }
    }

    /// Does one operation with these members, as the Query protocol writes them.
    ///
    /// # Errors
    /// AWS's codes.
    pub fn perform(&self, action: &str, members: &[(&str, &str)], caller: &Caller) -> Answer<String> {
        self.call(action, &Parameters::of_list(members), caller)
    }

    /// Answers one operation of the Query protocol: the content of its result.
    ///
    /// # Errors
    /// AWS's codes.
    pub(crate) fn call(&self, action: &str, parameters: &Parameters, caller: &Caller) -> Answer<String> {
        check::check(action, parameters)?;
        let answer = match action {
            "CreateRole" => self.create_role(parameters),
            "CreateUser" => self.create_user(parameters),
            "DeleteRole" => self.delete_role(parameters),
            "DeleteRolePolicy" => self.delete_role_policy(parameters),
            "DeleteUser" => self.delete_user(parameters),
            "DeleteUserPolicy" => self.delete_user_policy(parameters),
            "GetRole" => self.get_role(parameters),
            "GetUser" => self.get_user(parameters, caller),
            "ListRolePolicies" => self.list_role_policies(parameters),
            "ListRoles" => self.list_roles(parameters),
            "ListUserPolicies" => self.list_user_policies(parameters),
            "ListUsers" => self.list_users(parameters),
            "PutRolePolicy" => self.put_role_policy(parameters),
            "PutUserPolicy" => self.put_user_policy(parameters),
            "SimulatePrincipalPolicy" => self.simulate_principal_policy(parameters),
            unknown => Err(ServiceError::unknown_operation("iam", unknown)),
        }?;
        self.tell(action, parameters, caller);
        Ok(answer)
    }

    /// Tells the bus of a call that changed something, where IAM's calls are told.
    fn tell(&self, action: &str, parameters: &Parameters, caller: &Caller) {
        if self.world.region != REGION || READING.iter().any(|verb| action.starts_with(verb)) {
            return;
        }
        let mut input = Map::new();
        for name in parameters.names().filter(|name| !matches!(*name, "Action" | "Version") && !name.contains('.')) {
            input.insert(lower_first(name), json!(parameters.get(name)));
        }
        let tags = tags(parameters);
        if !tags.is_empty() {
            let tags = tags.iter().map(|(key, value)| json!({ "key": key, "value": value }));
            input.insert("tags".to_owned(), tags.collect());
        }
        let detail = cloudtrail::detail(&self.world, caller, "iam", action, (&Value::Object(input), None));
        self.bus.publish("aws.iam", DETAIL_TYPE, Vec::new(), self.world.now(), detail);
    }

    /// One page: what is on it, and the two members that say whether there is more.
    fn page<T>(
        &self,
        (operation, filters): (&str, &[&str]),
        items: impl Iterator<Item = (String, T)>,
        parameters: &Parameters,
    ) -> Answer<(Vec<T>, String)> {
        let size = parameters.get("MaxItems").and_then(|text| text.parse().ok()).unwrap_or(PAGE);
        let listing = self.world.listing(&format!("iam:{operation}"), filters);
        let page = listing.page(items, Order::Ascending, size, parameters.get("Marker"));
        let (items, next) = page.map_err(|_| invalid("Invalid Marker."))?;
        let more = element("IsTruncated", if next.is_some() { "true" } else { "false" });
        Ok((items, more + &next.map(|marker| element("Marker", &marker)).unwrap_or_default()))
    }
}

/// The tags of an input, in their order.
fn tags(parameters: &Parameters) -> Vec<(String, String)> {
    let tag = |number: usize| {
        let of = |part: &str| parameters.get(&format!("Tags.member.{number}.{part}")).map(str::to_owned);
        Some((of("Key")?, of("Value")?))
    };
    (1..).map_while(tag).collect()
}

/// `userName` for `UserName`, as CloudTrail writes members.
fn lower_first(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(letters).collect()
}

fn invalid(message: impl Into<String>) -> ServiceError {
    ServiceError::bad("ValidationError", message)
}

fn element(name: &str, text: &str) -> String {
    format!("<{name}>{}</{name}>", quick_xml::escape::escape(text))
}

fn list(name: &str, members: impl Iterator<Item = String>) -> String {
    let members: String = members.map(|member| format!("<member>{member}</member>")).collect();
    format!("<{name}>{members}</{name}>")
}
