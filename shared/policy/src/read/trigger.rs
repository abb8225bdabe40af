//! Triggers: their reasons, what they start, and who is asked.

use std::collections::BTreeMap;

use signalbox_events::{ApplicationName, DeploymentGroupName, PipelineName, ProjectName};

use super::{About, Fields, Place, Reader, Who};
use crate::cron::Cron;
use crate::keys;
use crate::names::{BranchName, CommentCommand, FilePath, ParameterName, SecretName, TriggerName, VariableName};
use crate::problem::ProblemKind;
use crate::trigger::*;
use crate::words;
use crate::yaml::Value;
use crate::{Globs, Period};

/// How long a question may stand, in seconds: five minutes to sixty days, as in CodePipeline.
const WITHIN: (u64, u64) = (300, 86_400 * 60);
/// How often a schedule may strike, in seconds: five minutes to a year.
const EVERY: (u64, u64) = (300, 86_400 * 366);
/// How long a question stands when the policy does not say.
const WITHIN_DEFAULT: Period = Period::from_seconds(86_400 * 2);

impl Reader {
    pub(super) fn trigger(&mut self, section: usize, name: &str, place: &Place<'_>) -> Option<Trigger> {
        let name = match TriggerName::parse(name) {
            Ok(name) => {
                self.define(section, "trigger", place.key, &place.path, &name);
                Some(name)
            }
            Err(error) => {
                let what = ProblemKind::Invalid { message: error.to_string() };
                let hint = "2 to 64 letters, digits, '_', '.' and '-': it names a session and an approval rule";
                self.problem(place.key, &place.path, what, Some(hint.to_owned()));
                None
            }
        };
        let fields = self.fields(place, &keys::TRIGGER)?;
        let on = fields.get("on").and_then(|place| self.on(place));
        let start = fields.get("start").and_then(|place| self.start(place));
        let trigger = Trigger {
            name: name?,
            line: place.key.line,
            supersede: self.switch(&fields, "supersede", Supersede::StopOlder, Supersede::Keep),
            skip_ci: self.word_field(&fields, "skip_ci", words::SKIP_CI),
            authors: self.globs(&fields, "authors", About::Text),
            ask: fields.get("ask").and_then(|place| self.ask(place)),
            on: on?,
            start: start?,
        };
        self.check_trigger(&trigger, &fields);
        Some(trigger)
    }

    /// What two keys of a trigger mean together.
    fn check_trigger(&mut self, trigger: &Trigger, fields: &Fields<'_>) {
        let (Some(start), Some(on)) = (fields.get("start"), fields.get("on")) else { return };
        if let Start::Deployment(deployment) = &trigger.start
            && deployment.revision.is_none()
            && trigger.on.build.is_none()
            && trigger.on.deployment.is_none()
        {
            let hint = "add revision: s3://BUCKET/KEY, or start it on a build or a deployment";
            self.conflict(start, "there is nothing to deploy: no build or deployment leads here", Some(hint));
        }
        if trigger.on.comment.is_some() && trigger.ask.is_some() {
            let hint = "give the comment a trigger of its own";
            self.conflict(on, "a comment is a person's request already, and \"ask\" would ask again", Some(hint));
        }
    }

    fn on(&mut self, place: &Place<'_>) -> Option<On> {
        let reasons: Vec<&str> = keys::ON.keys.iter().map(|key| key.name).collect();
        if let Value::Scalar { text, .. } = &place.node.value {
            let hint = match &**text {
                "push" | "pull_request" => format!("write {{ {text}: {{}} }}"),
                _ => format!("write a mapping with one of {}", reasons.join(", ")),
            };
            self.wrong_type(place, "a mapping of reasons", Some(hint));
            return None;
        }
        let before = self.problems.len();
        let fields = self.fields(place, &keys::ON)?;
        if fields.found.is_empty() && self.problems.len() == before {
            let hint = format!("give at least one reason: {}", reasons.join(", "));
            self.problem(place.key, &place.path, ProblemKind::Empty { what: "on".to_owned() }, Some(hint));
        }
        Some(On {
            push: fields.get("push").and_then(|place| self.push(place)),
            pull_request: fields.get("pull_request").and_then(|place| self.pull_request(place)),
            comment: self.field(&fields, "comment", "a command such as \"/test unit\"", CommentCommand::parse),
            build: fields.get("build").and_then(|place| self.on_build(place)),
            deployment: fields.get("deployment").and_then(|place| self.on_deployment(place)),
            pipeline: fields.get("pipeline").and_then(|place| self.on_pipeline(place)),
            schedule: fields.get("schedule").and_then(|place| self.schedule(place)),
        })
    }

    fn push(&mut self, place: &Place<'_>) -> Option<PushFilter> {
        let fields = self.fields(place, &keys::PUSH)?;
        let tags_only = fields.get("tags").is_some() && fields.get("branches").is_none();
        let all_branches = if tags_only { Globs::nothing() } else { Globs::everything() };
        Some(PushFilter {
            branches: self.globs(&fields, "branches", About::Branches).unwrap_or(all_branches),
            tags: self.globs(&fields, "tags", About::Tags).unwrap_or_else(Globs::nothing),
            paths: self.globs(&fields, "paths", About::Paths),
        })
    }

    fn pull_request(&mut self, place: &Place<'_>) -> Option<PullRequestFilter> {
        let fields = self.fields(place, &keys::PULL_REQUEST)?;
        Some(PullRequestFilter {
            into: self.globs(&fields, "into", About::Branches).unwrap_or_else(Globs::everything),
            paths: self.globs(&fields, "paths", About::Paths),
            commit: self.word_field(&fields, "commit", words::PULL_REQUEST_COMMIT),
            buildspec_from: self.word_field(&fields, "buildspec_from", words::BUILDSPEC_FROM),
        })
    }

    fn on_build(&mut self, place: &Place<'_>) -> Option<BuildFilter> {
        let fields = self.fields(place, &keys::ON_BUILD)?;
        let result = self.word_field(&fields, "result", words::OUTCOME);
        let branches = self.globs(&fields, "branches", About::Branches);
        let project = self.field(&fields, "project", "a project name", ProjectName::parse)?;
        Some(BuildFilter { project, result, branches })
    }

    fn on_deployment(&mut self, place: &Place<'_>) -> Option<DeploymentFilter> {
        let fields = self.fields(place, &keys::ON_DEPLOYMENT)?;
        let application = self.field(&fields, "application", "an application name", ApplicationName::parse);
        let result = self.word_field(&fields, "result", words::OUTCOME);
        let group = self.field(&fields, "group", "a deployment group name", DeploymentGroupName::parse)?;
        Some(DeploymentFilter { application, group, result })
    }

    fn on_pipeline(&mut self, place: &Place<'_>) -> Option<PipelineFilter> {
        let fields = self.fields(place, &keys::ON_PIPELINE)?;
        let result = self.word_field(&fields, "result", words::OUTCOME);
        let name = self.field(&fields, "name", "a pipeline name", PipelineName::parse)?;
        Some(PipelineFilter { name, result })
    }

    fn schedule(&mut self, place: &Place<'_>) -> Option<Schedule> {
        let fields = self.fields(place, &keys::SCHEDULE)?;
        let branch = self.field(&fields, "branch", "a branch name", BranchName::parse);
        let when = match (fields.get("every"), fields.get("cron")) {
            (Some(every), None) => self.period(every, EVERY).map(When::Every),
            (None, Some(cron)) => self.parsed(cron, "a cron expression", Cron::parse).map(When::Cron),
            (None, None) => {
                self.conflict(
                    place,
                    "a schedule needs \"every\" or \"cron\"",
                    Some("such as cron: \"30 2 * * MON-FRI\""),
                );
                None
            }
            (Some(_), Some(cron)) => {
                self.conflict(cron, "a schedule has \"every\" or \"cron\", not both", None);
                None
            }
        };
        Some(Schedule { when: when?, branch })
    }

    fn period(&mut self, place: &Place<'_>, (least, most): (u64, u64)) -> Option<Period> {
        let period = self.parsed(place, "a duration such as 30m or 2d", Period::parse)?;
        if (least..=most).contains(&period.seconds()) {
            return Some(period);
        }
        let allowed = format!("{} to {}", Period::from_seconds(least), Period::from_seconds(most));
        self.at(place, ProblemKind::OutOfRange { value: period.to_string(), allowed }, None);
        None
    }

    fn ask(&mut self, place: &Place<'_>) -> Option<Ask> {
        let fields = self.fields(place, &keys::ASK)?;
        let within = match fields.get("within") {
            Some(place) => self.period(place, WITHIN),
            None => Some(WITHIN_DEFAULT),
        };
        let from = self.recipients(&fields, "from", Who::Known)?;
        Some(Ask { from, within: within? })
    }

    fn start(&mut self, place: &Place<'_>) -> Option<Start> {
        let fields = self.fields(place, &keys::START)?;
        let what: Vec<(&str, &Place<'_>)> = fields
            .found
            .iter()
            .filter(|(name, _)| keys::STARTS.contains(name))
            .map(|(name, place)| (*name, place))
            .collect();
        let (kind, what) = match what.as_slice() {
            [(kind, place)] => (*kind, *place),
            [] => {
                let hint = "build: PROJECT, pipeline: NAME, or deployment: { application: ..., group: ... }";
                self.conflict(place, "nothing is started", Some(hint));
                return None;
            }
            [_, (_, second), ..] => {
                let hint = "a trigger stands for one result: give the other a trigger of its own";
                self.conflict(second, "a trigger starts one thing", Some(hint));
                return None;
            }
        };
        for (name, other) in &fields.found {
            let needs = match *name {
                "buildspec" | "environment" => "build",
                "variables" => "pipeline",
                _ => kind,
            };
            if needs != kind {
                self.conflict(other, &format!("{name:?} goes with {needs:?} only"), None);
            }
        }
        match kind {
            "build" => self.start_build(what, &fields).map(Start::Build),
            "pipeline" => {
                let variables = self.variables(&fields);
                let name = self.parsed(what, "a pipeline name", PipelineName::parse)?;
                Some(Start::Pipeline(StartPipeline { name, variables }))
            }
            _ => self.start_deployment(what).map(Start::Deployment),
        }
    }

    fn start_build(&mut self, project: &Place<'_>, fields: &Fields<'_>) -> Option<StartBuild> {
        let buildspec = self.field(fields, "buildspec", "a file path", FilePath::parse);
        let mut environment = BTreeMap::new();
        if let Some(place) = fields.get("environment") {
            for (name, below) in self.entries(place, "a mapping of names to values") {
                let name = self.variable_name(name, &below);
                let begins = |prefix| name.as_ref().is_some_and(|name| name.as_str().starts_with(prefix));
                if begins("CODEBUILD_") {
                    self.reserved(&below, "CODEBUILD_", "CodeBuild refuses variables that begin with it");
                } else if begins("SIGNALBOX_") {
                    self.reserved(&below, "SIGNALBOX_", "Signalbox tells the build about itself in such variables");
                }
                let value = self.environment_value(&below);
                environment.extend(name.zip(value));
            }
        }
        let project = self.parsed(project, "a project name", ProjectName::parse)?;
        Some(StartBuild { project, buildspec, environment })
    }

    fn variable_name(&mut self, name: &str, place: &Place<'_>) -> Option<VariableName> {
        match VariableName::parse(name) {
            Ok(name) => Some(name),
            Err(error) => {
                self.problem(place.key, &place.path, ProblemKind::Invalid { message: error.to_string() }, None);
                None
            }
        }
    }

    fn environment_value(&mut self, place: &Place<'_>) -> Option<EnvironmentValue> {
        if let Value::Scalar { text, .. } = &place.node.value {
            return Some(EnvironmentValue::Text(text.clone()));
        }
        if place.is_null() {
            let hint = "write \"\" for an empty text";
            self.conflict(place, "the variable has no value", Some(hint));
            return None;
        }
        let fields = self.fields(place, &keys::ENVIRONMENT_VALUE)?;
        match (fields.get("secret"), fields.get("parameter")) {
            (Some(secret), None) => {
                self.parsed(secret, "a secret name", SecretName::parse).map(EnvironmentValue::Secret)
            }
            (None, Some(parameter)) => {
                self.parsed(parameter, "a parameter name", ParameterName::parse).map(EnvironmentValue::Parameter)
            }
            _ => {
                self.conflict(place, "a value is a text, or one of \"secret\" and \"parameter\"", None);
                None
            }
        }
    }

    fn variables(&mut self, fields: &Fields<'_>) -> BTreeMap<VariableName, String> {
        let mut out = BTreeMap::new();
        let Some(place) = fields.get("variables") else { return out };
        for (name, below) in self.entries(place, "a mapping of names to texts") {
            let value = self.text(&below, "a text").map(str::to_owned);
            out.extend(self.variable_name(name, &below).zip(value));
        }
        out
    }

    fn start_deployment(&mut self, place: &Place<'_>) -> Option<StartDeployment> {
        let fields = self.fields(place, &keys::START_DEPLOYMENT)?;
        let application = self.field(&fields, "application", "an application name", ApplicationName::parse);
        let group = self.field(&fields, "group", "a deployment group name", DeploymentGroupName::parse);
        let revision = match fields.get("revision") {
            Some(place) => Some(self.s3_location(place)?),
            None => None,
        };
        Some(StartDeployment { application: application?, group: group?, revision })
    }

    fn s3_location(&mut self, place: &Place<'_>) -> Option<S3Location> {
        let text = self.text(place, "s3://BUCKET/KEY")?;
        let parts = text.strip_prefix("s3://").and_then(|rest| rest.split_once('/'));
        match parts {
            Some((bucket, key)) if is_bucket(bucket) && !key.is_empty() => {
                Some(S3Location { bucket: bucket.to_owned(), key: key.to_owned() })
            }
            _ => {
                self.invalid(place, format!("{text:?} is not of the form s3://BUCKET/KEY"), Some(BUCKET_HINT));
                None
            }
        }
    }
}

/// What a bucket's name looks like.
pub(super) const BUCKET_HINT: &str = "a bucket has 3 to 63 small letters, digits, '.' and '-'";

/// Whether this can be the name of a bucket.
pub(super) fn is_bucket(name: &str) -> bool {
    (3..=63).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-'))
}
