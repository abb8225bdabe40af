//! `signalbox uninstall`, as the real program.

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
    assert!(ran.out.contains("2 AWS::Lambda::Function") && ran.out.contains("--keep-bucket leaves it"), "{}", ran.out);
    assert!(ran.out.contains(&format!("the bucket {bucket} of the stack signalbox, changed last 20")), "{}", ran.out);
    let ran = answer(&desk, &["uninstall"], "to go on: ", "yes", || {}).await;
    assert!(ran.code == Some(1) && ran.out.contains("nothing was changed"), "{}", ran.out);

    let ran = answer(&desk, &["uninstall", "--keep-bucket"], "to go on: ", "signalbox", || {}).await;
    assert_eq!(ran.code, Some(0), "{} {}", ran.out, ran.error);
    assert!(ran.out.contains("kept: the bucket"), "{}", ran.out);
    assert!(ground.cloud().sqs.queue_names().is_empty());
    assert_eq!(policy_in_force(&ground).as_deref(), Some(POLICY));

    // A bucket's name that is somebody else's by now.
    let head = format!("HEAD /{bucket}");
    let cloud = between(&ground, move |call| call.starts_with(&head).then(|| (403, String::new())));
    let ran = desk.run(&["uninstall", "--yes", "--endpoint-url", &cloud]).await;
    assert_eq!(ran.code, Some(0), "{} {}", ran.out, ran.error);
    let left = format!("the bucket {bucket} of the stack signalbox, deleted 20");
    assert!(ran.out.contains(&left) && ran.out.contains("you may not look at"), "{}", ran.out);
    assert_eq!(policy_in_force(&ground).as_deref(), Some(POLICY));

    let backup = desk.home.path().join("backup");
    let ran = desk.run(&["uninstall", "--yes", "--backup", backup.to_str().unwrap()]).await;
    assert_eq!(ran.code, Some(0), "{} {}", ran.out, ran.error);
    assert!(ran.out.contains("the stack is deleted already") && ran.out.contains("deleted the bucket"), "{}", ran.out);
    assert_eq!(ground.cloud().s3.get(&bucket, KEY).unwrap_err().code, "NoSuchBucket");
    assert_eq!(std::fs::read_dir(backup.join(&bucket).join("policy")).unwrap().count(), 2);
    assert_eq!(std::fs::read_dir(backup.join(&bucket).join("ledger/trigger")).unwrap().count(), 1100);

    let ran = desk.run(&["uninstall", "--yes"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.error);
    assert!(ran.out.contains("nothing is left of signalbox"), "{}", ran.out);
    let ran = desk.run(&["status"]).await;
    assert_eq!(ran.code, Some(3));
    assert!(ran.error.contains("there is no stack signalbox"), "{}", ran.error);
    ground.stage.clear().await.unwrap();
}
