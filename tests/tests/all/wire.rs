//! The real SDK over the local cloud's wire, in pages of one.

use jiff::Timestamp;
use std::collections::BTreeMap;

use signalbox_aws::{Attribute, CodeBuild, CodeCommit, Failure, FetchedHistory, Logs, Start, Topic, Variable};
use signalbox_events::{BuildStatus, CommitId, ProjectName, RepositoryName};
use signalbox_tests::Ground;

fn repository() -> RepositoryName {
    RepositoryName::parse("demo").unwrap()
}

fn id(text: &str) -> CommitId {
    CommitId::parse(text).unwrap()
}

#[tokio::test]
async fn differences_are_read_page_by_page_with_both_sides_of_a_rename() {
    let ground = Ground::without_functions().await.unwrap();
    ground.repository("demo").await.unwrap();
    let text = "the same text on both sides of the rename\n";
    let first = ground
        .commit("demo", "main", "one", &[("a.txt", Some(text)), ("b.txt", Some("b")), ("c/d.txt", Some("d"))])
        .await
        .unwrap();
    let changes = [("a.txt", None), ("e.txt", Some(text)), ("b.txt", Some("B")), ("c/d.txt", None)];
    let second = ground.commit("demo", "main", "two", &changes).await.unwrap();

    let codecommit = CodeCommit::new(&ground.aws("trigger")).with_page_size(1);
    let mut paths = codecommit.changed_paths(&repository(), Some(&id(&first)), &id(&second)).await.unwrap().unwrap();
    paths.sort();
    assert_eq!(paths, ["a.txt", "b.txt", "c/d.txt", "e.txt"]);

    let mut whole = codecommit.changed_paths(&repository(), None, &id(&second)).await.unwrap().unwrap();
    whole.sort();
    assert_eq!(whole, ["b.txt", "e.txt"]);

    let gone = codecommit.changed_paths(&repository(), Some(&id(&"f".repeat(40))), &id(&second)).await.unwrap();
    assert_eq!(gone, None);
}

#[tokio::test]
async fn commits_branches_and_merge_bases_are_read_and_what_is_not_there_is_none() {
    let ground = Ground::without_functions().await.unwrap();
    ground.repository("demo").await.unwrap();
    let codecommit = CodeCommit::new(&ground.aws("trigger"));
    assert_eq!(codecommit.default_branch(&repository()).await.unwrap(), None);
    let base = ground.commit("demo", "main", "base\n\nbody", &[("a", Some("a"))]).await.unwrap();
    ground.branch("demo", "feature", &base).await.unwrap();
    let ours = ground.commit("demo", "feature", "ours", &[("b", Some("b"))]).await.unwrap();
    ground.commit("demo", "main", "theirs", &[("c", Some("c"))]).await.unwrap();

    assert_eq!(codecommit.default_branch(&repository()).await.unwrap().as_deref(), Some("main"));
    assert_eq!(codecommit.branch_tip(&repository(), "feature").await.unwrap(), Some(id(&ours)));
    assert_eq!(codecommit.branch_tip(&repository(), "gone").await.unwrap(), None);
    assert_eq!(codecommit.merge_base(&repository(), &ours, "main").await.unwrap(), Some(id(&base)));
    let commit = codecommit.commit(&repository(), &id(&base)).await.unwrap().unwrap();
    assert_eq!((commit.message.trim_end(), commit.author.email.as_str()), ("base\n\nbody", "developer@example.com"));
    assert_eq!(codecommit.commit(&repository(), &id(&"f".repeat(40))).await.unwrap(), None);

    let elsewhere = RepositoryName::parse("elsewhere").unwrap();
    let refused = codecommit.branch_tip(&elsewhere, "main").await.unwrap_err();
    assert!(matches!(refused, Failure::Refused(_)), "{refused}");
    assert_eq!(refused.code(), Some("RepositoryDoesNotExistException"));
}

#[tokio::test]
async fn the_same_token_gives_the_same_build_and_its_log_can_be_read() {
    let mut ground = Ground::without_functions().await.unwrap();
    ground.repository("demo").await.unwrap();
    let spec = "version: 0.2\nphases:\n  build:\n    commands:\n      - echo level $LEVEL\n      - exit 3\n";
    let commit = ground.commit("demo", "main", "one", &[("a", Some("a"))]).await.unwrap();
    ground.project("unit", "demo", Some(spec)).await.unwrap();
    let codebuild = CodeBuild::new(&ground.aws("trigger"));
    let start = Start {
        project: ProjectName::parse("unit").unwrap(),
        source_version: commit.clone(),
        token: "token".to_owned(),
        environment: BTreeMap::from([
            ("LEVEL".to_owned(), Variable::Plain("strict".to_owned())),
            ("SIGNALBOX_TOKEN".to_owned(), Variable::Plain("token".to_owned())),
        ]),
        buildspec: None,
        history: FetchedHistory::AsProject,
    };
    let build = codebuild.start(start.clone()).await.unwrap();
    assert_eq!(codebuild.start(start).await.unwrap(), build);
    ground.build_end().await.unwrap();

    let read = codebuild.builds(std::slice::from_ref(&build)).await.unwrap().remove(0);
    assert_eq!((read.status, read.resolved_version.as_deref()), (BuildStatus::Failed, Some(commit.as_str())));
    // Other variables may be secrets: they are not even read.
    assert_eq!(read.environment, BTreeMap::from([("SIGNALBOX_TOKEN".to_owned(), "token".to_owned())]));
    let failed = read.phases.iter().find(|phase| phase.status.is_some_and(|status| status.is_failure())).unwrap();
    assert!(failed.context.join(" ").contains("exit status 3"), "{:?}", failed.context);
    let unit = ProjectName::parse("unit").unwrap();
    let found = codebuild.find(&unit, Timestamp::UNIX_EPOCH, |build| build.environment.contains_key("SIGNALBOX_TOKEN"));
    assert_eq!(found.await.unwrap().map(|found| found.id), Some(build));

    let logs = read.logs.unwrap();
    let reader = Logs::new(&ground.aws("notifier"));
    let lines = reader.tail(&logs.group.unwrap(), &logs.stream.unwrap(), 40).await.unwrap().unwrap();
    assert!(lines.iter().any(|line| line == "level strict"), "{lines:?}");
    assert_eq!(reader.tail("/aws/codebuild/unit", "no-such-stream", 5).await.unwrap(), None);
}

#[tokio::test]
async fn a_missing_project_is_refused_with_awss_code() {
    let ground = Ground::without_functions().await.unwrap();
    let start = Start {
        project: ProjectName::parse("nowhere").unwrap(),
        source_version: "main".to_owned(),
        token: "token".to_owned(),
        environment: BTreeMap::new(),
        buildspec: None,
        history: FetchedHistory::AsProject,
    };
    let refused = CodeBuild::new(&ground.aws("trigger")).start(start).await.unwrap_err();
    assert!(matches!(refused, Failure::Refused(_)), "{refused}");
    assert_eq!(refused.code(), Some("ResourceNotFoundException"));
}

#[tokio::test]
async fn a_message_arrives_as_mail_with_its_attributes() {
    let ground = Ground::without_functions().await.unwrap();
    let mut mail = ground.cloud().sns.subscribe_mail();
    let arn = ground.setup("notifier").unwrap().settings.topic_arn.unwrap();
    let topic = Topic::new(&ground.aws("notifier"), arn);
    let to = Attribute::Texts(vec!["team-demo".to_owned()]);
    topic.publish("unit broke", "line one\nline two with \u{fc}", &[("to".to_owned(), to)]).await.unwrap();
    let mail = mail.recv().await.unwrap();
    assert_eq!((mail.to.as_str(), mail.subject.as_str()), ("team@example.com", "unit broke"));
    assert!(mail.body.starts_with("line one\nline two with \u{fc}"), "{}", mail.body);

    let refused = topic.publish("two\nlines", "text", &[]).await.unwrap_err();
    assert!(matches!(refused, Failure::Refused(_)), "{refused}");
    assert_eq!(refused.code(), Some("InvalidParameter"));
}

#[tokio::test]
async fn a_dead_endpoint_is_tried_again_later() {
    let ground = Ground::without_functions().await.unwrap();
    let codecommit = CodeCommit::new(&ground.aws("trigger"));
    ground.stage.clear().await.unwrap();
    let failure = codecommit.default_branch(&repository()).await.unwrap_err();
    assert!(matches!(failure, Failure::Retry(_)), "{failure}");
    assert!(failure.to_string().contains("could not be reached"), "{failure}");
}
