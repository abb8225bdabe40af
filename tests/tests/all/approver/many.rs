//! A thousand open pull requests.

use std::time::Duration;

use signalbox_glue::Handled;

use super::REFUSED;
use super::world::{World, policy};

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_open_pull_requests_are_swept_step_by_step() {
    let ground = signalbox_tests::Ground::without_functions().await.unwrap();
    let mut world = World::on(ground, "mode: enforce\n").await;
    let first = world.open("feature", &["good"]).await;
    for _ in 1..1_000 {
        world.open_only("feature").await;
    }
    world.waiting();
    world.ground.policy(&policy("{ reviewers: { count: 1 } }")).unwrap();
    let whole = world.approver.clone();
    // The first sweep has no time at all, and still gets on by one step.
    world.approver = whole.clone().with_sweep_time(Duration::ZERO);
    let Handled::Reported(report) = world.sweep("clock-0").await else { panic!("refused") };
    assert!(report.reasons[0].contains("and 8 open pull requests were looked at"), "{:?}", report.reasons);
    let cursor = world.ground.objects("state/approver/sweep.json").unwrap();
    assert!(cursor.values().next().unwrap()["behind"].is_string(), "{cursor:?}");

    world.approver = whole;
    let mut looked = 8;
    for number in 1..20 {
        let Handled::Reported(report) = world.sweep(&format!("clock-{number}")).await else { panic!("refused") };
        let words: Vec<&str> = report.reasons[0].split(' ').collect();
        looked += words.iter().find_map(|word| word.parse::<usize>().ok().filter(|count| *count > 1)).unwrap_or(0);
        assert!(report.actions.len() <= 201, "{}", report.actions.len());
        if looked >= 1_000 {
            break;
        }
    }
    assert_eq!(looked, 1_000);
    let gated = world.ground.objects("state/approver/pull-requests/demo/").unwrap();
    assert_eq!(gated.len(), 1_000);
    assert!(gated.values().all(|memory| memory["gated"] == true && memory["comment"]["id"].is_string()));
    assert_eq!(world.merge(&first).await.as_deref(), Some(REFUSED));
}
