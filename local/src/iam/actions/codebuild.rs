//! CodeBuild: everything is done to a project, also what is asked of its builds.

use std::collections::BTreeSet;

use super::{Input, Need};
use crate::world::World;

pub(super) fn needs(world: &World, operation: &str, input: Input<'_>) -> Option<Vec<Need>> {
    let project = |name: &str| {
        let name = name.split_once(":project/").map_or(name, |(_, name)| name);
        world.arn("codebuild", &format!("project/{name}"))
    };
    // A build's id is PROJECT:UUID, its ARN ends in build/PROJECT:UUID.
    let of_build = |id: &str| {
        let id = id.split_once(":build/").map_or(id, |(_, id)| id);
        project(id.split(':').next().unwrap_or(id))
    };
    let action = format!("codebuild:{operation}");
    let on = |resource: String| Some(vec![Need::new(&action, resource)]);
    let each = |resources: BTreeSet<String>| {
        Some(resources.into_iter().map(|resource| Need::new(&action, resource)).collect())
    };
    match operation {
        "CreateProject" | "UpdateProject" => {
            let mut needs = vec![Need::new(&action, project(input.text("name")))];
            let role = input.text("serviceRole");
            if role.starts_with("arn:") {
                let pass = Need::new("iam:PassRole", role);
                needs.push(pass.with("iam:PassedToService", "codebuild.amazonaws.com"));
            }
            Some(needs)
        }
        "DeleteProject" => on(project(input.text("name"))),
        "StartBuild" | "ListBuildsForProject" => on(project(input.text("projectName"))),
        "StopBuild" | "RetryBuild" => on(of_build(input.text("id"))),
        "BatchGetProjects" => each(input.texts("names").into_iter().map(project).collect()),
        "BatchGetBuilds" => each(input.texts("ids").into_iter().map(of_build).collect()),
        "ListProjects" | "ListBuilds" => on("*".to_owned()),
        _ => None,
    }
}
