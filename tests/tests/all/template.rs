//! The template held against the code.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use signalbox_glue::Settings;
use signalbox_local::eventbridge::pattern::Pattern;
use signalbox_local::template::{Pseudo, ResourceKind, Template};
use signalbox_tests::{Ground, template};

fn samples() -> BTreeMap<String, Value> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../events");
    let mut samples = BTreeMap::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "json")
            && let Ok(event) = serde_json::from_slice(&std::fs::read(&path).unwrap())
        {
            samples.insert(path.file_stem().unwrap().to_string_lossy().into_owned(), event);
        }
    }
    assert!(samples.len() > 80, "only {} samples", samples.len());
    samples
}

#[tokio::test]
async fn each_rule_lets_through_exactly_the_samples_that_its_function_handles() {
    let ground = Ground::without_functions().await.unwrap();
    let mut through: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (id, made) in &ground.stage.stack.resources {
        if made.kind == ResourceKind::Rule {
            // A rule with a schedule lets nothing through: it sends an event of its own.
            let Some(pattern) = made.properties.get("EventPattern") else { continue };
            let pattern = Pattern::parse(pattern).unwrap();
            let matching = samples().into_iter().filter(|(_, event)| pattern.matches(event)).map(|(name, _)| name);
            through.insert(id.clone(), matching.collect());
        }
    }
    insta::assert_debug_snapshot!(through);
}

#[test]
fn the_sweep_runs_as_often_as_the_parameter_says_and_not_at_all_where_it_says_so() {
    let text = std::fs::read_to_string(template()).unwrap();
    for (minutes, state, expression) in [
        (None, "ENABLED", "rate(15 minutes)"),
        (Some("60"), "ENABLED", "rate(60 minutes)"),
        (Some("0"), "DISABLED", "rate(1 day)"),
    ] {
        let pseudo = Pseudo::new("111122223333", "eu-west-1", "signalbox");
        let parameters = minutes.map(|minutes| ("SweepMinutes".to_owned(), minutes.to_owned()));
        let parsed = Template::parse(&text, &parameters.into_iter().collect(), &pseudo).unwrap();
        let shown = format!("{parsed:?}");
        assert!(shown.contains(expression) && shown.contains(state), "{minutes:?}");
    }
}

#[tokio::test]
async fn every_function_finds_the_settings_that_it_reads() {
    let ground = Ground::without_functions().await.unwrap();
    for function in ["trigger", "notifier", "protector", "approver", "replicator"] {
        let settings: Settings = ground.setup(function).unwrap().settings;
        assert_eq!(settings.function, function);
        assert_eq!(settings.bucket, ground.stage.bucket().unwrap());
        assert!(settings.queue_url.is_some());
    }
    assert!(ground.setup("notifier").unwrap().settings.topic_arn.is_some());
    for function in ["trigger", "protector", "approver", "replicator"] {
        assert!(ground.setup(function).unwrap().settings.repositories.is_some());
    }
}

#[tokio::test]
async fn the_queue_hides_a_message_six_times_as_long_as_the_function_may_run() {
    let ground = Ground::without_functions().await.unwrap();
    for function in &ground.stage.stack.functions {
        let queue = &ground
            .stage
            .stack
            .resources
            .values()
            .find(|made| made.name == function.name && made.kind == ResourceKind::Queue);
        let hidden = queue.unwrap().properties["VisibilityTimeout"].as_u64().unwrap();
        let timeout = u64::from(function.timeout.as_secs() as u32);
        assert!(hidden >= 6 * timeout, "{}: {hidden} < 6 * {timeout}", function.name);
    }
}

#[test]
fn the_local_cloud_names_what_it_cannot_follow() {
    let text = std::fs::read_to_string(template()).unwrap();
    let broken = format!("{text}\n  Table:\n    Type: AWS::DynamoDB::Table\n");
    let with_table = broken.replacen("Resources:\n", "Resources:\n  Table:\n    Type: AWS::DynamoDB::Table\n", 1);
    let pseudo = Pseudo::new("111122223333", "eu-west-1", "signalbox");
    let problems = Template::parse(&with_table, &BTreeMap::new(), &pseudo).unwrap_err();
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert!(told.iter().any(|problem| problem.contains("AWS::DynamoDB::Table")), "{told:?}");
}
