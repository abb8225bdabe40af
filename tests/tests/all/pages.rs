//! A cloud whose listings hold one item a page: nothing of ours may take a page for the whole.

use jiff::Timestamp;
use serde_json::{Value, json};
use signalbox_aws::{CodeBuild, CodeCommit, Logs};
use signalbox_events::{CommitId, ProjectName, RepositoryName};
use signalbox_local::stage::Programs;
use signalbox_tests::{Ground, programs};

#[tokio::test]
async fn what_the_functions_read_is_read_to_its_end() {
    let ground = Ground::in_pages_of_one(Programs::None).await.unwrap();
    ground.repository("demo").await.unwrap();
    let files = [("a", Some("a")), ("b", Some("b")), ("c", Some("c"))];
    let commit = CommitId::parse(ground.commit("demo", "main", "one", &files).await.unwrap()).unwrap();
    let codecommit = CodeCommit::new(&ground.aws("trigger"));
    let repository = RepositoryName::parse("demo").unwrap();
    let paths = codecommit.changed_paths(&repository, None, &commit).await.unwrap().unwrap();
    assert_eq!(paths, ["a", "b", "c"]);

    ground.project("unit", "demo", Some("version: 0.2\nphases:\n  build:\n    commands: ['true']\n")).await.unwrap();
    let mut started = Vec::new();
    for _ in 0..3 {
        let input = json!({ "projectName": "unit", "sourceVersion": commit.as_str() });
        let build = ground.cloud().codebuild.call("StartBuild", input, &ground.developer()).await.unwrap();
        started.push(build.pointer("/build/id").and_then(Value::as_str).unwrap().to_owned());
    }
    started.reverse();
    let (codebuild, unit) = (CodeBuild::new(&ground.aws("trigger")), ProjectName::parse("unit").unwrap());
    for (what, since, place, is_found) in [
        ("the newest", Timestamp::MAX, 0, true),
        ("one behind the first that is too old", Timestamp::MAX, 2, false),
        ("the oldest", Timestamp::UNIX_EPOCH, 2, true),
    ] {
        let found = codebuild.find(&unit, since, |build| build.id.as_str() == started[place]).await.unwrap();
        assert_eq!(found.is_some(), is_found, "{what}");
    }
    assert_eq!(ground.builds("unit").await.unwrap(), started);

    let cloud = ground.cloud();
    for line in ["one", "two", "three", "four"] {
        cloud.logs.append("/aws/codebuild/lines", "stream", cloud.world.now(), line);
    }
    let logs = Logs::new(&ground.aws("notifier"));
    let tail = |lines| logs.tail("/aws/codebuild/lines", "stream", lines);
    assert_eq!(tail(3).await.unwrap().unwrap(), ["two", "three", "four"]);
    assert_eq!(tail(9).await.unwrap().unwrap(), ["one", "two", "three", "four"]);
    ground.stage.clear().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_plays_to_its_end_in_pages_of_one() {
    let programs = programs().await.unwrap();
    let ground = Ground::in_pages_of_one(Programs::Run(programs)).await.unwrap();
    let (result, text) = crate::story::played(&ground).await;
    if let Err(error) = result {
        panic!("{error:#}\n{text}");
    }
    assert!(text.contains("broke") || text.contains("fixed"), "{text}");
    ground.stage.clear().await.unwrap();
}
