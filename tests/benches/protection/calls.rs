//! What a clean push of one commit costs in calls, counted at the endpoint.

use anyhow::{bail, ensure};
use signalbox_glue::{Handle, Handled};
use signalbox_protector::Protector;
use signalbox_tests::Ground;
use tokio::sync::broadcast::error::TryRecvError;

use crate::git::Clone;
use crate::report::Report;

/// Kinds of rules, and a protection that has them.
const RULES: &[(&str, &str)] = &[
    ("forbid", "forbid: [force-push, deletion]"),
    ("commits", "forbid: [force-push], commits: { message: \"^feat\", author: example, history: linear }"),
    ("file names", "forbid: [force-push], commits: { message: \"^feat\" }, files: { forbid: [\"*.pem\"] }"),
    (
        "file contents",
        "forbid: [force-push], commits: { message: \"^feat\" }, files: { reject: [secret, binary, case-collision] }",
    ),
];

/// Puts the counts into the report.
pub(crate) async fn measure(report: &mut Report) -> anyhow::Result<()> {
    for (what, rules) in RULES {
        let mut ground = Ground::without_functions().await?;
        ground.repository("demo").await?;
        let policy =
            format!("mode: enforce\nrepositories:\n  demo:\n    protection:\n      - {{ refs: [main], {rules} }}\n");
        ground.policy(&policy)?;
        let protector = Protector::new(&ground.setup("protector")?);
        {
            let clone = Clone::make(&ground)?;
            for message in ["feat: one", "feat: two"] {
                clone.commit(message)?;
                clone.run(&["push", "--quiet", "origin", "main"])?;
            }
        }
        ground.push_event().await?;
        let event = ground.push_event().await?;
        let mut watched = ground.cloud().world.watch_calls();
        let handled = protector.handle(event.to_string().as_bytes(), ground.invocation()).await?;
        ensure!(matches!(&handled, Handled::Reported(report) if report.verdict == "allowed"), "{handled:?}");
        let (mut calls, mut own) = (Vec::new(), 0_usize);
        loop {
            match watched.try_recv() {
                Ok(call) if ["/policy/", "/ledger/"].iter().any(|part| call.path.contains(part)) => {}
                Ok(call) if call.path.contains("/state/protected/") => own += 1,
                Ok(call) => calls.push(call.operation),
                Err(TryRecvError::Lagged(missed)) => bail!("{missed} calls were not counted"),
                Err(_) => break,
            }
        }
        report.line(format!("a clean push of one commit, {what}: {}, and {own} of the journal", calls.join(", ")));
        report.at_most(&format!("a clean push of one commit, {what}: calls"), calls.len() as f64, 3.0);
        ground.stage.clear().await?;
    }
    Ok(())
}
