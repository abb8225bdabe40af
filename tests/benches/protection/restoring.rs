//! How soon a forced ref is back, with the real programs behind their queues.

use std::time::{Duration, Instant};

use anyhow::ensure;
use signalbox_tests::Ground;

use crate::git::Clone;
use crate::median;
use crate::report::Report;

/// So many branches are forced, one after the other: one that is forced again and again would have to wait.
const ROUNDS: usize = 7;

const POLICY: &str = "\
mode: enforce
repositories:
  demo:
    protection:
      - { refs: [\"**\"], forbid: [force-push], commits: { message: \"^feat\" }, files: { reject: [secret] } }
";

/// Puts the times into the report.
pub(crate) async fn measure(report: &mut Report) -> anyhow::Result<()> {
    eprintln!("starting the functions ...");
    let ground = Ground::with_functions().await?;
    ground.repository("demo").await?;
    ground.policy(POLICY)?;
    let clone = Clone::make(&ground)?;
    clone.commit("feat: begin")?;
    let good = clone.commit("feat: good")?;
    clone.run(&["push", "--quiet", "origin", "main"])?;
    let mut times = Vec::new();
    for round in 0..=ROUNDS {
        let reference = format!("refs/heads/topic/{round}");
        clone.run(&["push", "--quiet", "origin", &format!("{good}:{reference}")])?;
        let forced = clone.run(&[
            "commit-tree",
            "-p",
            &format!("{good}~1"),
            "-m",
            &format!("feat: {round}"),
            &format!("{good}^{{tree}}"),
        ])?;
        // Its event is dealt with before the next push.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let begun = Instant::now();
        clone.run(&["push", "--quiet", "origin", &format!("+{forced}:{reference}")])?;
        let pushed = begun.elapsed();
        while clone.tip(&reference)? != good {
            ensure!(begun.elapsed() < Duration::from_secs(60), "{reference} is not put back");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let took = begun.elapsed();
        eprintln!("round {round}: git push {} ms, the ref is back after {} ms", pushed.as_millis(), took.as_millis());
        // The first one starts the program.
        if round > 0 {
            times.push(took.as_secs_f64());
        }
    }
    let most = times.iter().copied().fold(0.0, f64::max);
    report.line(format!(
        "from the beginning of git push to the ref that is back: {:.2} s (median of {ROUNDS})",
        median(times)
    ));
    report.at_most("from the push to the restored ref, the slowest, s", most, 2.0);
    ground.stage.clear().await
}
