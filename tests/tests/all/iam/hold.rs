//! The scene in which the approver holds pull requests and lets them go.

use std::time::Duration;

use serde_json::{Value, json};
use signalbox_tests::Ground;

use super::{QUICK, make, sweep};

const HELD: &str = "mode: enforce\nrepositories:\n  demo:\n    triggers:\n      unit: { on: { pull_request: { into: [main], paths: [\"src/**\"] } }, start: { build: unit } }\n      gone: { on: { pull_request: { into: [next] } }, start: { build: nowhere } }\n    approvals:\n      main: { checks: [unit, tidy] }\n      next: { checks: [gone] }\n    protection:\n      - { name: tidy, refs: [none], files: { forbid: [\"*.pem\"] } }\n";

/// Calls CodeCommit as the developer until its answer has these words, or until it has them no more.
async fn until_told(ground: &Ground, operation: &str, input: Value, words: &str, wanted: Told) -> anyhow::Result<()> {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        let found = ground.cloud().codecommit.call(operation, input.clone(), &ground.developer()).await;
        if found.as_ref().is_ok_and(|found| found.to_string().contains(words) == (wanted == Told::So)) {
            return Ok(());
        }
        anyhow::ensure!(tokio::time::Instant::now() < deadline, "{operation} {words} {wanted:?}: {found:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    So,
    NoMore,
}

/// Opens a pull request; gives its number and its revision.
async fn open(ground: &Ground, source: &str, into: &str) -> anyhow::Result<(String, String)> {
    let target = json!({ "repositoryName": "demo", "sourceReference": source, "destinationReference": into });
    let input = json!({ "title": source, "targets": [target] });
    let made = ground.cloud().codecommit.call("CreatePullRequest", input, &ground.developer()).await?;
    let of = |member: &str| made["pullRequest"][member].as_str().unwrap_or_default().to_owned();
    Ok((of("pullRequestId"), of("revisionId")))
}

/// Has pull requests held and let go in each of the approver's ways.
pub(super) async fn hold(ground: &Ground) -> anyhow::Result<()> {
    make(ground, QUICK, HELD).await?;
    let (codecommit, developer) = (&ground.cloud().codecommit, ground.developer());
    let main = ground.commit("demo", "main", "one", &[("a", Some("a"))]).await?;
    ground.branch("demo", "next", &main).await?;

    // It was open before there was a template; its check has no project.
    ground.branch("demo", "early", &main).await?;
    ground.commit("demo", "early", "two", &[("b", Some("b"))]).await?;
    let (early, _) = open(ground, "early", "next").await?;
    let it = json!({ "pullRequestId": early });
    let (read, comments) = ("GetPullRequest", "GetCommentsForPullRequest");
    until_told(ground, comments, it.clone(), "no build project nowhere", Told::So).await?;
    until_told(ground, read, it.clone(), "signalbox gate next", Told::So).await?;
    let weak = r#"{"Version":"2018-11-08","Statements":[{"Type":"Approvers","NumberOfApprovalsNeeded":1}]}"#;
    let weaken = json!({ "pullRequestId": early, "approvalRuleName": "signalbox gate next", "newRuleContent": weak });
    codecommit.call("UpdatePullRequestApprovalRuleContent", weaken, &developer).await?;
    until_told(ground, read, it.clone(), "ChecksRole", Told::So).await?;

    // Its comment is changed, and found again where nothing is remembered of it.
    let commit = ground.commit("demo", "early", "three", &[("b", Some("c"))]).await?;
    until_told(ground, comments, it.clone(), commit.get(..7).unwrap_or_default(), Told::So).await?;
    sweep(ground, "Approver", "sweep-5")?;
    let swept = |ground: &Ground| {
        let entries = ground.objects("ledger/approver/")?;
        Ok(entries.iter().any(|(key, entry)| key.ends_with("sweep-5") && !entry["report"].is_null()).then_some(()))
    };
    ground.until("the sweep's report", swept).await?;
    let (listed, repository) =
        ("ListAssociatedApprovalRuleTemplatesForRepository", json!({ "repositoryName": "demo" }));
    until_told(ground, listed, repository.clone(), "signalbox gate main", Told::So).await?;
    ground.cloud().s3.delete(ground.stage.bucket()?, &format!("state/approver/pull-requests/demo/{early}.json"))?;
    let commit = ground.commit("demo", "early", "four", &[("b", Some("d"))]).await?;
    until_told(ground, comments, it.clone(), commit.get(..7).unwrap_or_default(), Told::So).await?;

    // One is built, another concerns no trigger: both are voted for, and an override is ended.
    for (branch, file) in [("built", "src/a"), ("other", "docs/a")] {
        ground.branch("demo", branch, &main).await?;
        ground.commit("demo", branch, branch, &[(file, Some("a"))]).await?;
        let (id, revision) = open(ground, branch, "main").await?;
        let votes = json!({ "pullRequestId": id, "revisionId": revision });
        until_told(ground, "GetPullRequestApprovalStates", votes.clone(), "ChecksRole", Told::So).await?;
        if branch == "other" {
            let over = json!({ "pullRequestId": id, "revisionId": revision, "overrideStatus": "OVERRIDE" });
            codecommit.call("OverridePullRequestApprovalRules", over, &developer).await?;
            until_told(ground, "GetPullRequestOverrideState", votes, "user/developer", Told::NoMore).await?;
        }
    }

    // A template that somebody weakened is put right; then nothing is asked any more, and what is left of the gates goes.
    let weaken = json!({ "approvalRuleTemplateName": "signalbox gate main", "newRuleContent": weak });
    codecommit.call("UpdateApprovalRuleTemplateContent", weaken, &developer).await?;
    let template = json!({ "approvalRuleTemplateName": "signalbox gate main" });
    until_told(ground, "GetApprovalRuleTemplate", template, "ChecksRole", Told::So).await?;
    let bucket = ground.stage.bucket()?.to_owned();
    ground.cloud().s3.put(&bucket, "policy/signalbox.yaml", b"mode: enforce\n")?;
    sweep(ground, "Approver", "sweep-6")?;
    until_told(ground, listed, repository, "signalbox gate", Told::NoMore).await?;
    until_told(ground, read, it, "signalbox gate next", Told::NoMore).await
}
