//! IAM: its users and roles are resources by their ARNs, with their paths.

use super::{Input, Need};
use crate::world::World;

pub(super) fn needs(world: &World, operation: &str, input: Input<'_>) -> Option<Vec<Need>> {
    let arn = |kind: &str, path: &str, name: &str| format!("arn:aws:iam::{}:{kind}{path}{name}", world.account);
    let path = if input.text("Path").is_empty() { "/" } else { input.text("Path") };
    let resource = match operation {
        "CreateUser" => arn("user", path, input.text("UserName")),
        "CreateRole" => arn("role", path, input.text("RoleName")),
        "DeleteUser" | "DeleteUserPolicy" | "GetUser" | "ListUserPolicies" | "PutUserPolicy" => {
            let name = input.text("UserName");
            // Who names nobody means themselves.
            if name.is_empty() {
                "*".to_owned()
            } else {
                world.iam.user_arn(name).unwrap_or_else(|| arn("user", "/", name))
            }
        }
        "DeleteRole" | "DeleteRolePolicy" | "GetRole" | "ListRolePolicies" | "PutRolePolicy" => {
            let name = input.text("RoleName");
            world.iam.role_arn(name).unwrap_or_else(|| arn("role", "/", name))
        }
        "SimulatePrincipalPolicy" => input.text("PolicySourceArn").to_owned(),
        "ListRoles" | "ListUsers" => "*".to_owned(),
        _ => return None,
    };
    Some(vec![Need::new(format!("iam:{operation}"), resource).owned_by(&world.account)])
}
