//! Actions under a claim: what one that fails does to the others.

use std::sync::Mutex;

use jiff::SignedDuration;
use serde_json::json;
use signalbox_aws::Failure;
use signalbox_events::EventId;
use signalbox_glue::{Apply, Came, Ending, Handled, Invocation, Order, Step, Twice, carry_out};
use signalbox_ledger::{Claim, Ledger, Report, Turn};
use signalbox_tests::Ground;

/// An action of the tests: its key, what it waits for, and how it ends in each invocation.
struct Scripted {
    key: &'static str,
    order: Order,
    ends: fn(u32) -> Result<Came, Failure>,
}

/// Does scripted actions, and remembers which it was asked for.
#[derive(Default)]
struct Actor(Mutex<Vec<String>>);

impl Apply<Scripted> for Actor {
    fn step(&self, action: &Scripted) -> Step {
        let twice = if action.key == "mail" { Twice::Doubled } else { Twice::Harmless };
        Step { key: Some(action.key.to_owned()), told: action.key.to_owned(), order: action.order.clone(), twice }
    }

    async fn apply(&self, action: &Scripted, attempts: u32, _: Invocation) -> Result<Came, Failure> {
        self.0.lock().unwrap().push(format!("{} {attempts}", action.key));
        (action.ends)(attempts)
    }
}

fn well(_: u32) -> Result<Came, Failure> {
    Ok(Came::Done("done".to_owned()))
}

fn later_once(attempts: u32) -> Result<Came, Failure> {
    if attempts == 1 { Err(Failure::retry("trying", "throttled")) } else { well(attempts) }
}

fn left(_: u32) -> Result<Came, Failure> {
    Ok(Came::Left("not needed".to_owned()))
}

fn never(_: u32) -> Result<Came, Failure> {
    Err(Failure::refused("trying", "forbidden"))
}

async fn carried(ground: &Ground, ledger: &Ledger, actor: &Actor, actions: &[Scripted]) -> Result<Handled, Failure> {
    carried_in(ground.invocation(), ledger, actor, actions).await
}

async fn carried_in(
    invocation: Invocation,
    ledger: &Ledger,
    actor: &Actor,
    actions: &[Scripted],
) -> Result<Handled, Failure> {
    let report = |actions| Report {
        at: invocation.now,
        policy_version: None,
        mode: "enforce".to_owned(),
        verdict: "test".to_owned(),
        reasons: Vec::new(),
        actions,
        replay: json!({}),
    };
    let event = EventId::parse("e-1").unwrap();
    carry_out(actor, ledger, Turn::first(&event), invocation, Ending::Done, actions, report).await
}

async fn ground() -> (Ground, Ledger, Actor) {
    let ground = Ground::without_functions().await.unwrap();
    let ledger = ground.setup("trigger").unwrap().ledger;
    (ground, ledger, Actor::default())
}

#[tokio::test]
async fn what_must_be_tried_again_holds_back_only_what_waits_for_it() {
    let (ground, ledger, actor) = ground().await;
    let actions = [
        Scripted { key: "mail", order: Order::Free, ends: later_once },
        Scripted { key: "history", order: Order::AfterOthers, ends: well },
        Scripted { key: "other", order: Order::Free, ends: well },
    ];
    let again = carried(&ground, &ledger, &actor, &actions).await.unwrap_err();
    assert!(matches!(again, Failure::Retry(_)), "{again}");
    let Handled::Reported(report) = carried(&ground, &ledger, &actor, &actions).await.unwrap() else {
        panic!("refused")
    };
    assert_eq!(report.actions, ["mail: done", "history: done", "other: done (done before)"]);
    assert_eq!(*actor.0.lock().unwrap(), ["mail 1", "other 1", "mail 2", "history 2"]);
    assert_eq!(carried(&ground, &ledger, &actor, &actions).await.unwrap(), Handled::Before);
}

#[tokio::test]
async fn an_event_that_another_invocation_works_on_comes_again_when_that_ones_lease_ends() {
    let (ground, ledger, actor) = ground().await;
    let (event, now) = (EventId::parse("e-1").unwrap(), ground.invocation().now);
    let lease = SignedDuration::from_hours(1);
    let Claim::Held(_held) = ledger.claim(Turn::first(&event), lease, now).await.unwrap() else { panic!("no claim") };
    let busy = carried(&ground, &ledger, &actor, &[]).await.unwrap_err();
    assert!(matches!(busy, Failure::Retry(_)), "{busy}");
    assert_eq!(busy.problem().not_before, Some(now + lease));
}

#[tokio::test]
async fn what_is_refused_is_not_tried_again_and_leaves_its_counterpart() {
    let (ground, ledger, actor) = ground().await;
    let actions = [
        Scripted { key: "start", order: Order::Free, ends: never },
        Scripted { key: "stop", order: Order::OnlyIfDone("start".to_owned()), ends: well },
        Scripted { key: "history", order: Order::AfterOthers, ends: well },
        Scripted { key: "slow", order: Order::Free, ends: later_once },
    ];
    carried(&ground, &ledger, &actor, &actions).await.unwrap_err();
    let Handled::Refused(report) = carried(&ground, &ledger, &actor, &actions).await.unwrap() else { panic!("done") };
    assert_eq!(
        report.actions,
        [
            "start: refused: trying: forbidden (done before)",
            "stop: left, as its counterpart was refused",
            "history: done (done before)",
            "slow: done"
        ]
    );
    assert_eq!(*actor.0.lock().unwrap(), ["start 1", "history 1", "slow 1", "slow 2"]);
}

#[tokio::test]
async fn what_is_only_done_for_another_waits_for_it_and_is_left_with_it() {
    let (ground, ledger, actor) = ground().await;
    let actions = [
        Scripted { key: "start", order: Order::Free, ends: later_once },
        Scripted { key: "stop", order: Order::OnlyIfDone("start".to_owned()), ends: well },
        Scripted { key: "needless", order: Order::Free, ends: left },
        Scripted { key: "stop for it", order: Order::OnlyIfDone("needless".to_owned()), ends: well },
    ];
    carried(&ground, &ledger, &actor, &actions).await.unwrap_err();
    assert_eq!(*actor.0.lock().unwrap(), ["start 1", "needless 1"]);
    let Handled::Reported(report) = carried(&ground, &ledger, &actor, &actions).await.unwrap() else {
        panic!("refused")
    };
    assert_eq!(
        report.actions,
        [
            "start: done",
            "stop: done",
            "needless: not needed (done before)",
            "stop for it: left, as its counterpart was"
        ]
    );
    assert_eq!(*actor.0.lock().unwrap(), ["start 1", "needless 1", "start 2", "stop 2"]);
}

/// Time that runs out between an action and its record would have a mail sent twice. A build that was started is found: a push
/// whose facts took nearly all the time to gather must not wait for a better day.
#[tokio::test]
async fn what_a_second_try_would_double_is_not_begun_without_time_for_its_record() {
    let (ground, ledger, actor) = ground().await;
    let actions = [
        Scripted { key: "mail", order: Order::Free, ends: well },
        Scripted { key: "start", order: Order::Free, ends: well },
    ];
    let now = ground.invocation().now;
    let began = now - SignedDuration::from_secs(115);
    let nearly_over = Invocation { now, ..Invocation::new(began, began + SignedDuration::from_secs(120)) };
    let failure = carried_in(nearly_over, &ledger, &actor, &actions).await.unwrap_err();
    assert!(matches!(&failure, Failure::Retry(_)) && failure.to_string().contains("nearly over"), "{failure}");
    assert_eq!(*actor.0.lock().unwrap(), ["start 1"]);
    // It holds nobody up: whoever comes next begins at once.
    assert!(matches!(carried(&ground, &ledger, &actor, &actions).await.unwrap(), Handled::Reported(_)));
    assert_eq!(*actor.0.lock().unwrap(), ["start 1", "mail 2"]);
}
