//! Projects: made, changed, listed.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use signalbox_events::RepositoryName;

use super::model::{Artifacts, Cache, Environment, LogsConfig, Project, Source, SourceType, Tag};
use super::{Inner, PAGE, check_batch, check_length, input, invalid, moment, no_project, no_such_page, shown};
use crate::error::{Answer, ServiceError};
use crate::paging::Order;

/// The documented ranges, in minutes.
const TIMEOUT: std::ops::RangeInclusive<u32> = 5..=2160;
const QUEUED_TIMEOUT: std::ops::RangeInclusive<u32> = 5..=480;

/// The documented most tags of a project.
const MOST_TAGS: usize = 50;
/// What a container may be as large as; each is this machine here.
const COMPUTE_TYPES: [&str; 5] = [
    "BUILD_GENERAL1_SMALL",
    "BUILD_GENERAL1_MEDIUM",
    "BUILD_GENERAL1_LARGE",
    "BUILD_GENERAL1_XLARGE",
    "BUILD_GENERAL1_2XLARGE",
];

/// What CreateProject and UpdateProject take.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ProjectInput {
    name: String,
    description: Option<String>,
    source: Option<Source>,
    source_version: Option<String>,
    artifacts: Option<Artifacts>,
    cache: Option<Cache>,
    environment: Option<Environment>,
    service_role: Option<String>,
    timeout_in_minutes: Option<u32>,
    queued_timeout_in_minutes: Option<u32>,
    /// Shown again; nothing is encrypted here.
    encryption_key: Option<String>,
    tags: Option<Vec<Tag>>,
    badge_enabled: Option<bool>,
    logs_config: Option<LogsConfig>,
    concurrent_build_limit: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OneName {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Names {
    names: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ListProjects {
    sort_by: Option<ProjectOrder>,
    sort_order: Option<Order>,
    next_token: Option<String>,
}

#[derive(Deserialize, Clone, Copy, Debug)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum ProjectOrder {
    Name,
    CreatedTime,
    LastModifiedTime,
}

impl Inner {
    pub(super) fn create_project(&self, value: Value) -> Answer<Value> {
        let asked: ProjectInput = input(value)?;
        let name = asked.name.clone();
        let mut letters = name.chars();
        let good = letters.next().is_some_and(|first| first.is_ascii_alphanumeric())
            && (2..=150).contains(&name.len())
            && letters.all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        if !good {
            return Err(invalid(format!(
                "Invalid project name {name:?}: 2 to 150 letters, digits, '-' and '_', beginning with a letter or digit"
            )));
        }
        let missing = |what: &str| invalid(format!("{what} is required"));
        let now = self.world.now();
        let mut project = Project {
            arn: self.world.arn("codebuild", &format!("project/{name}")),
            name: name.clone(),
            description: None,
            source: asked.source.clone().ok_or_else(|| missing("source"))?,
            source_version: None,
            artifacts: asked.artifacts.clone().ok_or_else(|| missing("artifacts"))?,
            cache: Cache { kind: "NO_CACHE".to_owned() },
            environment: asked.environment.clone().ok_or_else(|| missing("environment"))?,
            service_role: asked.service_role.clone().ok_or_else(|| missing("serviceRole"))?,
            timeout_in_minutes: 60,
            queued_timeout_in_minutes: 480,
            encryption_key: self.world.arn("kms", "alias/aws/s3"),
            tags: Vec::new(),
            created: now,
            last_modified: now,
            logs_config: None,
            concurrent_build_limit: None,
        };
        apply(asked, &mut project, now)?;
        check(&project)?;
        self.check_role(&project.service_role)?;
        self.state.change(|state| {
            if state.projects.contains_key(&name) {
                return Err(ServiceError::bad(
                    "ResourceAlreadyExistsException",
                    format!("Project already exists: {}", project.arn),
                ));
            }
            let answer = json!({ "project": shown_project(&project)? });
            state.projects.insert(name, project);
            Ok(answer)
        })
    }

    pub(super) fn update_project(&self, value: Value) -> Answer<Value> {
        let asked: ProjectInput = input(value)?;
        let now = self.world.now();
        self.state.change(|state| {
            let project = state.projects.get_mut(&asked.name).ok_or_else(|| no_project(&asked.name))?;
            let mut changed = project.clone();
            apply(asked, &mut changed, now)?;
            check(&changed)?;
            self.check_role(&changed.service_role)?;
            *project = changed;
            Ok(json!({ "project": shown_project(project)? }))
        })
    }

    /// Whether CodeBuild may assume a project's role.
    pub(super) fn check_role(&self, role_arn: &str) -> Answer<()> {
        let trusted = self.world.iam.check_assume_by_service("codebuild.amazonaws.com", role_arn);
        trusted.map_err(|refusal| {
            let told = refusal.told();
            invalid(format!("CodeBuild is not authorized to perform: sts:AssumeRole on {role_arn} ({told})"))
        })
    }

    /// Deleting what is not there succeeds, as on AWS; builds stay.
    pub(super) fn delete_project(&self, value: Value) -> Answer<Value> {
        let OneName { name } = input(value)?;
        check_length("name", Some(&name), 1..=usize::MAX)?;
        self.state.change(|state| {
            let name = short_name(&name);
            state.projects.remove(name);
            state.numbers.remove(name);
        });
        Ok(json!({}))
    }

    pub(super) fn batch_get_projects(&self, value: Value) -> Answer<Value> {
        let Names { names } = input(value)?;
        check_batch("names", &names)?;
        self.state.read(|state| {
            let (mut found, mut missing) = (Vec::new(), Vec::new());
            for name in &names {
                match state.projects.get(short_name(name)) {
                    Some(project) => found.push(shown_project(project)?),
                    None => missing.push(name),
                }
            }
            Ok(json!({ "projects": found, "projectsNotFound": missing }))
        })
    }

    pub(super) fn list_projects(&self, value: Value) -> Answer<Value> {
        let asked: ListProjects = input(value)?;
        let order = asked.sort_by.unwrap_or(ProjectOrder::Name);
        let direction = asked.sort_order.unwrap_or(Order::Ascending);
        let key = |project: &Project| match order {
            ProjectOrder::Name => project.name.clone(),
            ProjectOrder::CreatedTime => moment(project.created, &project.name),
            ProjectOrder::LastModifiedTime => moment(project.last_modified, &project.name),
        };
        let mut names: Vec<(String, String)> = self
            .state
            .read(|state| state.projects.values().map(|project| (key(project), project.name.clone())).collect());
        names.sort();
        if direction == Order::Descending {
            names.reverse();
        }
        let listing = self.world.listing("codebuild:ListProjects", &[&format!("{order:?} {direction:?}")]);
        let (names, next) = listing.page(names, direction, PAGE, asked.next_token.as_deref()).map_err(no_such_page)?;
        Ok(match next {
            Some(next) => json!({ "projects": names, "nextToken": next }),
            None => json!({ "projects": names }),
        })
    }
}

/// A project may be named by its ARN.
pub(super) fn short_name(name: &str) -> &str {
    name.split_once(":project/").map_or(name, |(_, short)| short)
}

fn apply(asked: ProjectInput, project: &mut Project, now: Timestamp) -> Answer<()> {
    fn set<T>(place: &mut T, asked: Option<T>) {
        if let Some(asked) = asked {
            *place = asked;
        }
    }
    if asked.badge_enabled == Some(true) {
        return Err(invalid("badgeEnabled is not offered by the local cloud"));
    }
    set(&mut project.description, asked.description.map(Some));
    set(&mut project.source, asked.source);
    set(&mut project.source_version, asked.source_version.map(|version| Some(version).filter(|v| !v.is_empty())));
    set(&mut project.artifacts, asked.artifacts);
    set(&mut project.cache, asked.cache);
    set(&mut project.environment, asked.environment);
    set(&mut project.service_role, asked.service_role);
    set(&mut project.timeout_in_minutes, asked.timeout_in_minutes);
    set(&mut project.queued_timeout_in_minutes, asked.queued_timeout_in_minutes);
    set(&mut project.encryption_key, asked.encryption_key);
    set(&mut project.tags, asked.tags);
    set(&mut project.logs_config, asked.logs_config.map(Some));
    // -1 takes the limit away, as documented for UpdateProject.
    match asked.concurrent_build_limit {
        None => {}
        Some(-1) => project.concurrent_build_limit = None,
        Some(limit) => match u32::try_from(limit) {
            Ok(limit) if limit > 0 => project.concurrent_build_limit = Some(limit),
            _ => return Err(invalid(format!("concurrentBuildLimit {limit} is not 1 or more"))),
        },
    }
    project.last_modified = now;
    Ok(())
}

/// What the local cloud can do for a project; everything else is refused here, not when a build runs.
/// A project with what AWS says of every one: no badge that anybody could see, and nothing public.
fn shown_project(project: &Project) -> Answer<Value> {
    let mut value = shown(project)?;
    if let Some(members) = value.as_object_mut() {
        members.insert("badge".to_owned(), json!({ "badgeEnabled": false }));
        members.insert("projectVisibility".to_owned(), json!("PRIVATE"));
    }
    Ok(value)
}

pub(super) fn check(project: &Project) -> Answer<()> {
    check_source(&project.source)?;
    if project.artifacts.kind != "NO_ARTIFACTS" {
        return Err(invalid(format!(
            "artifacts of type {} are not offered by the local cloud; use NO_ARTIFACTS",
            project.artifacts.kind
        )));
    }
    if let Some(member) = project.artifacts.other.keys().next() {
        return Err(invalid(format!("artifacts of type NO_ARTIFACTS take no {member}")));
    }
    if project.cache.kind != "NO_CACHE" {
        return Err(invalid(format!(
            "a cache of type {} is not offered by the local cloud; use NO_CACHE",
            project.cache.kind
        )));
    }
    check_length("description", project.description.as_deref(), 0..=255)?;
    check_length("encryptionKey", Some(&project.encryption_key), 1..=usize::MAX)?;
    check_tags(&project.tags)?;
    check_environment(&project.environment)?;
    role_name(&project.service_role)?;
    check_timeouts(project.timeout_in_minutes, project.queued_timeout_in_minutes)?;
    check_logs(project.logs_config.as_ref())
}

pub(super) fn check_timeouts(timeout: u32, queued: u32) -> Answer<()> {
    for (name, minutes, range) in
        [("timeoutInMinutes", timeout, TIMEOUT), ("queuedTimeoutInMinutes", queued, QUEUED_TIMEOUT)]
    {
        if !range.contains(&minutes) {
            return Err(invalid(format!("{name} {minutes} is not {} to {}", range.start(), range.end())));
        }
    }
    Ok(())
}

fn check_tags(tags: &[Tag]) -> Answer<()> {
    if tags.len() > MOST_TAGS {
        return Err(invalid(format!("a project has at most {MOST_TAGS} tags, not {}", tags.len())));
    }
    let allowed = |c: char| c.is_alphanumeric() || c == ' ' || "_.:/=@+-".contains(c);
    for tag in tags {
        check_length("tags.key", Some(&tag.key), 1..=127)?;
        check_length("tags.value", Some(&tag.value), 0..=255)?;
        if !tag.key.chars().chain(tag.value.chars()).all(allowed) {
            return Err(invalid(format!("the tag {:?} may hold letters, digits, spaces and _.:/=@+- only", tag.key)));
        }
    }
    Ok(())
}

fn check_source(source: &Source) -> Answer<()> {
    if source.git_submodules_config.as_ref().is_some_and(|config| config.fetch_submodules) {
        return Err(invalid("git submodules are not offered by the local cloud"));
    }
    match source.kind {
        SourceType::CodeCommit => {
            let location = source.location.as_deref().unwrap_or_default();
            if RepositoryName::from_clone_url(location).is_none() {
                return Err(invalid(format!(
                    "Project source location {location:?} is not a CodeCommit clone URL such as https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/NAME"
                )));
            }
        }
        SourceType::NoSource => {
            if !source.buildspec.as_deref().is_some_and(is_inline) {
                return Err(invalid("a project with source type NO_SOURCE needs its buildspec inline"));
            }
        }
    }
    if source.buildspec.as_deref().is_some_and(|spec| spec.starts_with("arn:")) {
        return Err(invalid("a buildspec in S3 is not offered by the local cloud; use a path or inline YAML"));
    }
    Ok(())
}

/// Whether a buildspec member holds YAML rather than a path.
pub(super) fn is_inline(buildspec: &str) -> bool {
    buildspec.contains('\n')
        || buildspec.trim_start().starts_with("version:")
        || buildspec.trim_start().starts_with('{')
}

pub(super) fn check_environment(environment: &Environment) -> Answer<()> {
    if environment.kind != "LINUX_CONTAINER" {
        return Err(invalid(format!(
            "environment type {} is not offered by the local cloud; use LINUX_CONTAINER",
            environment.kind
        )));
    }
    check_length("environment.image", Some(&environment.image), 1..=usize::MAX)?;
    if !COMPUTE_TYPES.contains(&environment.compute_type.as_str()) {
        return Err(invalid(format!(
            "compute type {} is not offered by the local cloud; it knows {}",
            environment.compute_type,
            COMPUTE_TYPES.join(", ")
        )));
    }
    if !matches!(environment.image_pull_credentials_type.as_str(), "CODEBUILD" | "SERVICE_ROLE") {
        let kind = &environment.image_pull_credentials_type;
        return Err(invalid(format!("imagePullCredentialsType {kind} is neither CODEBUILD nor SERVICE_ROLE")));
    }
    for variable in &environment.environment_variables {
        if variable.kind != "PLAINTEXT" {
            return Err(invalid(format!(
                "environment variable {} of type {} is not offered by the local cloud; use PLAINTEXT",
                variable.name, variable.kind
            )));
        }
        if variable.name.is_empty() || variable.name.contains(['=', '\0']) || variable.value.contains('\0') {
            return Err(invalid(format!("{:?} cannot be an environment variable", variable.name)));
        }
    }
    Ok(())
}

fn check_logs(config: Option<&LogsConfig>) -> Answer<()> {
    let Some(config) = config else { return Ok(()) };
    if config.s3_logs.as_ref().is_some_and(|s3| s3.status != "DISABLED") {
        return Err(invalid("logs in S3 are not offered by the local cloud"));
    }
    match config.cloud_watch_logs.as_ref().map(|logs| logs.status.as_str()) {
        None | Some("ENABLED" | "DISABLED") => Ok(()),
        Some(other) => Err(invalid(format!("logsConfig status {other} is neither ENABLED nor DISABLED"))),
    }
}

/// The role's name in its ARN; the path before it does not count.
pub(super) fn role_name(arn: &str) -> Answer<&str> {
    arn.strip_prefix("arn:aws:iam::")
        .and_then(|rest| rest.split_once(":role/"))
        .and_then(|(_, path)| path.rsplit('/').next())
        .filter(|name| !name.is_empty())
        .ok_or_else(|| invalid(format!("Invalid service role {arn:?}: it is not arn:aws:iam::ACCOUNT:role/NAME")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_a_codecommit_clone_url_and_nothing_that_only_looks_like_one() {
        let check = |location: &str| {
            let source = json!({ "type": "CODECOMMIT", "location": location });
            check_source(&serde_json::from_value(source).unwrap())
        };
        for good in [
            "https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/demo",
            "https://git-codecommit-fips.us-east-1.amazonaws.com/v1/repos/demo",
            "http://127.0.0.1:4500/v1/repos/demo",
            "http://localhost:4500/v1/repos/demo/",
        ] {
            check(good).unwrap();
        }
        for bad in [
            "https://git-codecommit.evil.example/v1/repos/demo",
            "https://git.example.com/v1/repos/demo",
            "http://127.0.0.1.example.com/v1/repos/demo",
            "https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/",
            "demo",
        ] {
            assert_eq!(check(bad).unwrap_err().code, "InvalidInputException", "{bad}");
        }
    }
}
