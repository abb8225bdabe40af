//! Which policy holds, and what happens when it is no good.

use signalbox_aws::Failure;
use signalbox_policy::Mode;
use signalbox_tests::Ground;

const GOOD: &str = "mode: enforce\nrepositories: {}\n";

#[tokio::test]
async fn without_a_policy_the_stack_only_observes_and_a_new_one_holds_from_the_next_event_on() {
    let ground = Ground::without_functions().await.unwrap();
    let source = ground.setup("trigger").unwrap().policy;
    let none = source.current().await.unwrap();
    assert_eq!((none.policy.mode, none.version), (Mode::Observe, None));

    ground.policy(GOOD).unwrap();
    let first = source.current().await.unwrap();
    assert_eq!(first.policy.mode, Mode::Enforce);
    let again = source.current().await.unwrap();
    assert_eq!(first.version, again.version);

    ground.policy("mode: observe\n").unwrap();
    let second = source.current().await.unwrap();
    assert_eq!(second.policy.mode, Mode::Observe);
    assert_ne!(first.version, second.version);
}

#[tokio::test]
async fn a_policy_with_problems_makes_events_wait_and_a_good_one_lets_them_through() {
    let ground = Ground::without_functions().await.unwrap();
    let source = ground.setup("trigger").unwrap().policy;
    let bucket = ground.stage.bucket().unwrap();
    ground.cloud().s3.put(bucket, "policy/signalbox.yaml", b"mode: enforse\n").unwrap();
    let failure = source.current().await.unwrap_err();
    assert!(matches!(failure, Failure::Retry(_)), "{failure}");
    let text = failure.to_string();
    assert!(text.contains("enforse") && text.contains("signalbox check"), "{text}");
    ground.policy(GOOD).unwrap();
    assert_eq!(source.current().await.unwrap().policy.mode, Mode::Enforce);
}
