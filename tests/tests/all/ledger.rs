//! Claims and state over real conditional writes.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use signalbox_aws::{Bucket, Failure, Replaced};
use signalbox_events::EventId;
use signalbox_ledger::{Claim, Ledger, Noted, Outcome, Reopened, Report, State, Turn};
use signalbox_tests::Ground;

const LEASE: SignedDuration = SignedDuration::from_mins(1);

fn event(id: &str) -> EventId {
    EventId::parse(id).unwrap()
}

fn report(now: Timestamp) -> Report {
    Report {
        at: now,
        policy_version: None,
        mode: "enforce".to_owned(),
        verdict: "start".to_owned(),
        reasons: vec!["because".to_owned()],
        actions: Vec::new(),
        replay: json!({}),
    }
}

async fn ground() -> (Ground, Ledger, State) {
    let ground = Ground::without_functions().await.unwrap();
    let setup = ground.setup("trigger").unwrap();
    (ground, setup.ledger.clone(), setup.state)
}

#[tokio::test]
async fn of_many_invocations_one_gets_the_claim() {
    let (_ground, ledger, _) = ground().await;
    let now = Timestamp::now();
    let tries = (0..20).map(|_| {
        let ledger = ledger.clone();
        tokio::spawn(async move { ledger.claim(Turn::first(&event("e-1")), LEASE, now).await })
    });
    let (mut held, mut busy) = (0, 0);
    for one in tries.collect::<Vec<_>>() {
        match one.await.unwrap().unwrap() {
            Claim::Held(_) => held += 1,
            Claim::Busy { until } => {
                assert_eq!(until, now + LEASE);
                busy += 1;
            }
            Claim::Finished(entry) => panic!("nobody finished: {entry:?}"),
        }
    }
    assert_eq!((held, busy), (1, 19));
}

#[tokio::test]
async fn a_lease_that_ran_out_is_taken_over_with_what_was_done_and_stops_the_dead() {
    let (_ground, ledger, _) = ground().await;
    let now = Timestamp::now();
    let Claim::Held(mut first) = ledger.claim(Turn::first(&event("e-1")), LEASE, now).await.unwrap() else {
        panic!("no claim")
    };
    first.record("start unit", Outcome::Done("build p:1".to_owned())).await.unwrap();

    let later = now + LEASE + SignedDuration::from_secs(1);
    let Claim::Held(second) = ledger.claim(Turn::first(&event("e-1")), LEASE, later).await.unwrap() else {
        panic!("no claim")
    };
    assert_eq!((second.attempts(), second.outcome("start unit")), (2, Some(&Outcome::Done("build p:1".to_owned()))));

    let lost = first.record("stop p:0", Outcome::Done("asked to stop".to_owned())).await.unwrap_err();
    assert!(lost.to_string().contains("another invocation was faster"), "{lost}");
    second.finish(report(later)).await.unwrap();
    assert!(matches!(
        ledger.claim(Turn::first(&event("e-1")), LEASE, later + LEASE).await.unwrap(),
        Claim::Finished(_)
    ));
}

#[tokio::test]
async fn a_claim_that_is_given_back_can_be_taken_at_once() {
    let (_ground, ledger, _) = ground().await;
    let now = Timestamp::now();
    let Claim::Held(held) = ledger.claim(Turn::first(&event("e-1")), LEASE, now).await.unwrap() else {
        panic!("no claim")
    };
    held.release().await.unwrap();
    assert!(matches!(ledger.claim(Turn::first(&event("e-1")), LEASE, now).await.unwrap(), Claim::Held(_)));
}

#[tokio::test]
async fn a_claim_that_is_held_cannot_be_finished_by_another() {
    let (ground, ledger, _) = ground().await;
    let now = Timestamp::now();
    let Claim::Held(mut held) = ledger.claim(Turn::first(&event("e-1")), LEASE, now).await.unwrap() else {
        panic!("no claim")
    };
    held.record("start unit", Outcome::Done("build p:1".to_owned())).await.unwrap();
    for busy in [
        ledger.note(Turn::first(&event("e-1")), report(now), now).await,
        ledger.refuse(Turn::first(&event("e-1")), report(now), now).await,
    ] {
        let busy = busy.unwrap_err();
        assert!(
            matches!(busy, Failure::Retry(_)) && busy.to_string().contains("another invocation works on it"),
            "{busy}"
        );
    }
    held.finish(report(now)).await.unwrap();
    assert_eq!(ground.objects("ledger/trigger/").unwrap()["ledger/trigger/e-1"]["phase"], "done");
}

#[tokio::test]
async fn an_event_whose_invocation_died_is_finished_with_what_it_had_done() {
    let (ground, ledger, _) = ground().await;
    let now = Timestamp::now();
    let Claim::Held(mut held) = ledger.claim(Turn::first(&event("e-1")), LEASE, now).await.unwrap() else {
        panic!("no claim")
    };
    held.record("start unit", Outcome::Done("build p:1".to_owned())).await.unwrap();
    let later = now + LEASE + LEASE;
    ledger.refuse(Turn::first(&event("e-1")), report(later), later).await.unwrap();
    let entry = &ground.objects("ledger/trigger/").unwrap()["ledger/trigger/e-1"];
    assert_eq!((&entry["phase"], &entry["outcomes"]["start unit"]["done"]), (&json!("refused"), &json!("build p:1")));
    assert_eq!(entry["report"]["actions"], json!(["start unit: build p:1 (done before)"]));
    // What is finished stays as it is.
    ledger.note(Turn::first(&event("e-1")), report(later), later).await.unwrap();
    assert_eq!(ground.objects("ledger/trigger/").unwrap()["ledger/trigger/e-1"]["phase"], "refused");
}

#[tokio::test]
async fn changes_by_many_at_once_are_all_kept() {
    let (_ground, _, state) = ground().await;
    let changes = (0..4_u32).map(|n| {
        let state = state.clone();
        tokio::spawn(async move {
            // The state gives up after five lost races; a queue would bring the event back.
            for _ in 0..20 {
                let change = |there: Option<&Vec<u32>>| {
                    let mut all = there.cloned().unwrap_or_default();
                    if !all.contains(&n) {
                        all.push(n);
                    }
                    all
                };
                if state.change("state/triggers/numbers.json", change).await.is_ok() {
                    return;
                }
            }
            panic!("{n} was never written");
        })
    });
    for change in changes.collect::<Vec<_>>() {
        change.await.unwrap();
    }
    let mut all = state.read::<Vec<u32>>("state/triggers/numbers.json").await.unwrap().unwrap().value;
    all.sort_unstable();
    assert_eq!(all, [0, 1, 2, 3]);
}

#[tokio::test]
async fn a_value_is_written_over_the_one_that_was_read_or_not_at_all() {
    let (_ground, _, state) = ground().await;
    let key = "state/triggers/numbers.json";
    let first = state.write_over(key, None, 1_u32).await.unwrap().unwrap();
    assert_eq!(state.write_over(key, None, 2_u32).await.unwrap(), None, "it is there already");
    // What was written by a request whose answer was cut off is no other's.
    assert_eq!(state.write_over(key, None, 1_u32).await.unwrap().unwrap(), first);
    let second = state.write_over(key, Some(&first), 2_u32).await.unwrap().unwrap();
    assert_ne!(first.etag, second.etag);
    assert_eq!(state.write_over(key, Some(&first), 3_u32).await.unwrap(), None, "somebody was faster");
    assert_eq!(state.read::<u32>(key).await.unwrap().unwrap(), second);
}

#[tokio::test]
async fn a_spoilt_entry_is_tried_again_until_it_is_mended_and_says_which_object_it_is() {
    let (ground, ledger, state) = ground().await;
    let bucket = ground.stage.bucket().unwrap();
    ground.cloud().s3.put(bucket, "ledger/trigger/e-1", b"{").unwrap();
    let spoilt = ledger.claim(Turn::first(&event("e-1")), LEASE, Timestamp::now()).await.unwrap_err();
    assert!(matches!(spoilt, Failure::Retry(_)), "{spoilt}");
    let told = spoilt.to_string();
    assert!(told.contains("ledger/trigger/e-1") && told.contains("delete the object"), "{told}");
    ground.cloud().s3.put(bucket, "state/triggers/x.json", b"nonsense").unwrap();
    let spoilt = state.read::<Vec<u32>>("state/triggers/x.json").await.unwrap_err();
    assert!(matches!(spoilt, Failure::Retry(_)), "{spoilt}");
    assert!(spoilt.to_string().contains("state/triggers/x.json"), "{spoilt}");
}

#[tokio::test]
async fn a_write_whose_answer_was_cut_is_known_again_and_keeps_nobody_waiting() {
    let (ground, ledger, _) = ground().await;
    let chaos = &ground.cloud().world.chaos;
    chaos.set(Some("cut-answer@s3:PutObject=0.3,seed=5".parse().unwrap()));
    let mut finished = 0;
    for n in 0..12 {
        let id = event(&format!("e-{n}"));
        let now = Timestamp::now();
        // Three answers in a row may be cut: then the claim is ours and we do not know it.
        let mut held = match ledger.claim(Turn::first(&id), LEASE, now).await {
            Ok(Claim::Held(held)) => held,
            Ok(other) => panic!("nobody else is there: {other:?}"),
            Err(Failure::Retry(_)) => continue,
            Err(refused) => panic!("{refused:?}"),
        };
        if held.record("start", Outcome::Done("build".to_owned())).await.is_ok()
            && held.finish(report(now)).await.is_ok()
        {
            finished += 1;
        }
    }
    let cuts = chaos.tally().values().sum::<u64>();
    assert!(finished >= 9 && cuts >= 6, "{finished} of 12 finished, {cuts} answers cut");
}

/// An event that was finished, as it came, and opened again.
async fn opened_again(ledger: &Ledger, id: &str, now: Timestamp) -> Result<Reopened, Failure> {
    let received = json!({ "source": "aws.codecommit", "detail-type": "a push" });
    let report = Report { replay: json!({ "received": received }), ..report(now) };
    assert_eq!(ledger.note(Turn::first(&event(id)), report, now).await.unwrap(), Noted::Written);
    ledger.reopen(&event(id), now).await
}

#[tokio::test]
async fn a_late_copy_of_an_event_does_not_take_the_place_of_the_run_that_somebody_wished_for() {
    let (ground, ledger, _) = ground().await;
    let (id, now) = (event("e-1"), Timestamp::now());
    let Reopened::Open { round, .. } = opened_again(&ledger, "e-1", now).await.unwrap() else { panic!("not opened") };
    let copy = Turn::first(&id);
    assert_eq!(ledger.note(copy, report(now), now).await.unwrap(), Noted::Before);
    assert_eq!(ledger.refuse(copy, report(now), now).await.unwrap(), Noted::Before);
    assert!(matches!(ledger.claim(copy, LEASE, now).await.unwrap(), Claim::Finished(_)));
    assert_eq!(ground.objects("ledger/trigger/").unwrap()["ledger/trigger/e-1"]["report"], json!(null));
    let wished = Turn::after(&id, round);
    let Claim::Held(held) = ledger.claim(wished, LEASE, now).await.unwrap() else { panic!("no claim") };
    held.finish(report(now)).await.unwrap();
    assert_eq!(ledger.note(wished, report(now), now).await.unwrap(), Noted::Before);
}

#[tokio::test]
async fn a_write_whose_answer_was_cut_is_not_taken_for_somebody_elses() {
    let (ground, ledger, _) = ground().await;
    let bucket = Bucket::new(&ground.aws("trigger"), ground.stage.bucket().unwrap());
    let chaos = &ground.cloud().world.chaos;
    let (mut opened, mut written) = (0, 0);
    for n in 0..12 {
        let (id, now) = (format!("e-{n}"), Timestamp::now());
        assert!(matches!(opened_again(&ledger, &id, now).await.unwrap(), Reopened::Open { round: 1, .. }));
        let Claim::Held(held) = ledger.claim(Turn::after(&event(&id), 1), LEASE, now).await.unwrap() else {
            panic!("no claim")
        };
        let received = json!({ "source": "aws.codecommit", "detail-type": "a push" });
        held.finish(Report { replay: json!({ "received": received }), ..report(now) }).await.unwrap();

        chaos.set(Some(format!("cut-answer@s3:PutObject=0.5,seed={n}").parse().unwrap()));
        let key = format!("state/triggers/{n}.yaml");
        let put = bucket.replace(&key, "mode: observe", None, "anna").await;
        let again = ledger.reopen(&event(&id), now).await;
        chaos.set(None);
        // Three answers in a row may be cut: then nobody knows.
        match put {
            Ok(Replaced::Written { .. }) => written += 1,
            Ok(Replaced::Lost) => panic!("nobody else wrote {key}"),
            Err(failure) => assert!(matches!(failure, Failure::Retry(_)), "{failure}"),
        }
        match again {
            Ok(Reopened::Open { round: 2, .. }) => opened += 1,
            Ok(other) => panic!("not opened: {other:?}"),
            Err(failure) => assert!(!failure.to_string().contains("was faster"), "{failure}"),
        }
    }
    let cuts = chaos.tally().values().sum::<u64>();
    assert!(opened >= 8 && written >= 8 && cuts >= 8, "{opened} opened, {written} written, {cuts} answers cut");
    // What somebody else wrote is theirs, even the same text.
    let there = bucket.replace("state/triggers/0.yaml", "mode: observe", None, "bert").await.unwrap();
    assert_eq!(there, Replaced::Lost);
}
