//! What a sweep has to tell, it tells: also where it failed before.

use super::*;

/// What is to be told is remembered as told only when it is: here the sweep fails before that, or right behind it.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_sweep_could_not_tell_is_told_when_it_comes_again_and_then_no_more() {
    let words: [&'static [&'static str]; 2] = [&["PUT", "ledger/trigger/s-1"], &["PUT", "state/sweep/cursor.json"]];
    for words in words {
        told_when_it_comes_again(words).await;
    }
}

async fn told_when_it_comes_again(words: &'static [&'static str]) {
    let (mut ground, trigger) = ground(&policy("{ branches: [main] }", ""), QUICK).await;
    ground.repository("demo-2").await.unwrap();
    ground.commit("demo-2", "main", "first", &[("a", Some("a"))]).await.unwrap();
    ground.push_event().await.unwrap();
    assert_eq!(sweep(&ground, &trigger).await.verdict, "swept");
    // One repository has been in trouble for more than a day ...
    ground.commit("demo-2", "main", "lost", &[("a", Some("b"))]).await.unwrap();
    let (s3, bucket) = (&ground.cloud().s3, ground.stage.bucket().unwrap());
    s3.put(bucket, "state/triggers/demo-2/unit/refs/heads/main.json", b"spoilt").unwrap();
    swept(&ground, &trigger, "s-0").await;
    let memory = "state/sweep/repositories/demo-2.json";
    let mut there = ground.objects(memory).unwrap().remove(memory).unwrap();
    there["troubles"]["main"]["since"] = json!((Timestamp::now() - SignedDuration::from_hours(25)).to_string());
    s3.put(bucket, memory, there.to_string().as_bytes()).unwrap();
    // ... and what the other's lost push asks for is refused.
    ground.policy(&policy("{ branches: [main] }", "").replace("build: unit", "build: nowhere")).unwrap();
    ground.commit("demo", "main", "lost", &[("a", Some("b"))]).await.unwrap();

    let closed = Arc::new(AtomicBool::new(true));
    let guarded = guarded(&ground, closed.clone(), words).await;
    handle(&ground, &guarded, &scheduled("s-1")).await.unwrap_err();
    closed.store(false, Ordering::SeqCst);
    for _ in 0..2 {
        let Handled::Refused(told) = swept(&ground, &guarded, "s-1").await else { panic!("not told: {words:?}") };
        for branch in ["main of demo could not be swept: ", "main of demo-2 could not be swept: "] {
            assert!(told.reasons.iter().any(|reason| reason.starts_with(branch)), "{words:?}: {told:?}");
        }
    }
    let entry = &ground.objects("ledger/trigger/s-1").unwrap()["ledger/trigger/s-1"];
    assert_eq!(entry["phase"], "refused");
    assert!(matches!(swept(&ground, &guarded, "s-2").await, Handled::Reported(_)), "{words:?}");
}

#[tokio::test]
async fn a_known_repository_that_begins_anew_says_so_once() {
    let (ground, trigger) = ground(&policy("{ branches: [main] }", ""), QUICK).await;
    let memory = "state/sweep/repositories/demo.json";
    let mut there = ground.objects(memory).unwrap().remove(memory).unwrap();
    there["written"] = json!((Timestamp::now() - SignedDuration::from_hours(49)).to_string());
    ground.cloud().s3.put(ground.stage.bucket().unwrap(), memory, there.to_string().as_bytes()).unwrap();
    ground.commit("demo", "main", "lost", &[("a", Some("a"))]).await.unwrap();
    let Handled::Reported(told) = swept(&ground, &trigger, "s-1").await else { panic!("refused") };
    assert!(told.reasons.iter().any(|reason| reason.starts_with("no sweep has looked at demo since ")), "{told:?}");
    assert_eq!(ground.objects("ledger/trigger/s-1").unwrap().len(), 1);
    swept(&ground, &trigger, "s-2").await;
    assert!(ground.objects("ledger/trigger/s-2").unwrap().is_empty());
    assert_eq!(built(&ground).await, 0);
}
