//! `signalbox uninstall`, as the real program.

use std::sync::Arc;

use signalbox_tests::Ground;

use crate::desk::{Desk, KEY, POLICY, answer, between, policy_in_force};

#[tokio::test(flavor = "multi_thread")]
async fn uninstall_leaves_nothing_and_may_be_repeated() {
    let ground = Ground::without_functions().await.unwrap();
    let desk = Desk::at(&ground);
    let bucket = ground.stage.bucket().unwrap().to_owned();
    for n in 0..1100 {
        ground.cloud().s3.put(&bucket, &format!("ledger/trigger/e-{n}"), b"{}").unwrap();
    }
    ground.policy("mode: observe\n").unwrap();
    ground.policy(POLICY).unwrap();

    let ran = desk.run(&["uninstall"]).await;
    assert_eq!(ran.code, Some(1), "{}", ran.out);
    assert!(ran.error.contains("no terminal to ask at"), "{}", ran.error);
    let ran = desk.run(&["uninstall", "--dry-run"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.error);
    assert!(ran.out.contains("5 AWS::Lambda::Function") && ran.out.contains("--keep-bucket leaves it"), "{}", ran.out);
    assert!(ran.out.contains(&format!("the bucket {bucket} of the stack signalbox, changed last 20")), "{}", ran.out);
    assert!(ran.out.contains("goes:  the log group /aws/lambda/signalbox-trigger"), "{}", ran.out);
    let ran = answer(&desk, &["uninstall"], "to go on: ", "yes", || {}).await;
    assert!(ran.code == Some(1) && ran.out.contains("nothing was changed"), "{}", ran.out);

    let ran = answer(&desk, &["uninstall", "--keep-bucket"], "to go on: ", "signalbox", || {}).await;
    assert_eq!(ran.code, Some(0), "{} {}", ran.out, ran.error);
    assert!(ran.out.contains("kept: the bucket"), "{}", ran.out);
    assert!(ground.cloud().sqs.queue_names().is_empty());
    assert_eq!(policy_in_force(&ground).as_deref(), Some(POLICY));

    // A bucket's name that is somebody else's by now, or these credentials may not look.
    let head = format!("HEAD /{bucket}");
    let cloud = between(&ground, move |call| call.starts_with(&head).then(|| (403, String::new())));
    let ran = desk.run(&["uninstall", "--yes", "--endpoint-url", &cloud]).await;
    assert_eq!(ran.code, Some(1), "{} {}", ran.out, ran.error);
    let left = format!("the bucket {bucket} of the stack signalbox, deleted 20");
    assert!(ran.out.contains(&left) && ran.out.contains("you lack s3:ListBucket on it"), "{}", ran.out);
    assert!(ran.out.contains(&format!("not known: whether the bucket {bucket} is left")), "{}", ran.out);
    assert!(!ran.out.contains("nothing is left") && !ran.out.contains("done:"), "{}", ran.out);
    assert_eq!(policy_in_force(&ground).as_deref(), Some(POLICY));

    let backup = desk.home.path().join("backup");
    let ran = desk.run(&["uninstall", "--yes", "--backup", backup.to_str().unwrap()]).await;
    assert_eq!(ran.code, Some(0), "{} {}", ran.out, ran.error);
    assert!(ran.out.contains("the stack is deleted already") && ran.out.contains("deleted the bucket"), "{}", ran.out);
    assert_eq!(ground.cloud().s3.get(&bucket, KEY).unwrap_err().code, "NoSuchBucket");
    assert_eq!(std::fs::read_dir(backup.join(&bucket).join("policy")).unwrap().count(), 2);
    assert_eq!(std::fs::read_dir(backup.join(&bucket).join("ledger/trigger")).unwrap().count(), 1100);

    // A function that ended late, or somebody, made a log group again: it does not go unasked.
    let group = "/aws/lambda/signalbox-trigger";
    let there = || ground.cloud().logs.has_group(group);
    ground.cloud().logs.append(group, "late", jiff::Timestamp::now(), "late");
    let ran = desk.run(&["uninstall"]).await;
    assert_eq!(ran.code, Some(1), "{}", ran.out);
    assert!(ran.error.contains("no terminal to ask at") && there(), "{}", ran.error);
    let ran = desk.run(&["uninstall", "--dry-run"]).await;
    assert!(ran.code == Some(0) && ran.out.contains(&format!("the log group {group}")) && there(), "{}", ran.out);
    let ran = desk.run(&["uninstall", "--yes"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.error);
    assert!(ran.out.contains("nothing is left of signalbox"), "{}", ran.out);
    assert!(ran.out.contains(&format!("deleted the log group {group}")) && !there(), "{}", ran.out);
    let ran = desk.run(&["status"]).await;
    assert_eq!(ran.code, Some(3));
    assert!(ran.error.contains("there is no stack signalbox"), "{}", ran.error);
    ground.stage.clear().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_saved_is_not_deleted_and_what_comes_late_is_saved_too() {
    let ground = Ground::without_functions().await.unwrap();
    let desk = Desk::at(&ground);
    let bucket = ground.stage.bucket().unwrap().to_owned();
    ground.policy(POLICY).unwrap();
    let no_folder = desk.file("backup", "a file");
    let ran = desk.run(&["uninstall", "--yes", "--backup", &no_folder]).await;
    assert_eq!(ran.code, Some(1), "{}", ran.out);
    assert!(ran.error.contains("cannot make the folder"), "{}", ran.error);
    let ran = desk.run(&["status"]).await;
    assert!(ran.code == Some(0) && ran.out.contains("CREATE_COMPLETE"), "nothing is gone: {} {}", ran.out, ran.error);

    // A function that is at work writes once more while the stack goes.
    let (cloud, late) = (Arc::clone(ground.cloud()), bucket.clone());
    let endpoint = between(&ground, move |call| {
        if call.contains("Action=DeleteStack") {
            cloud.s3.put(&late, "ledger/trigger/late", b"{}").unwrap();
        }
        None
    });
    let backup = desk.home.path().join("good");
    let arguments = ["uninstall", "--yes", "--backup", backup.to_str().unwrap(), "--endpoint-url", &endpoint];
    let ran = desk.run(&arguments).await;
    assert_eq!(ran.code, Some(0), "{} {}", ran.out, ran.error);
    assert_eq!(std::fs::read_dir(backup.join(&bucket).join("policy")).unwrap().count(), 1);
    assert!(backup.join(&bucket).join("ledger/trigger/late").exists(), "{}", ran.out);
    ground.stage.clear().await.unwrap();
}
