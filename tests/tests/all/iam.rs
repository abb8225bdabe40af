//! What the template grants, held against what is used: each grant is taken away once and missed, and none is spare.

mod hold;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use signalbox_aws::Bucket;
use signalbox_local::chaos::Kind;
use signalbox_local::s3::Versioning;
use signalbox_local::stage::Programs;
use signalbox_local::template::ResourceKind;
use signalbox_local::template::stack::Made;
use signalbox_tests::{Ground, MIRROR, mirror_template, programs, template};
use tokio::sync::{OnceCell, Semaphore};
use tokio::task::JoinSet;

use crate::replicator::world::{commit_of, dir_of, noise, set as set_ref};

const POLICY: &str = "mode: enforce\nrepositories:\n  demo:\n    triggers:\n      unit:\n        on: { push: { branches: [\"**\"], paths: [\"src/**\"] } }\n        start: { build: unit }\n        supersede: true\n    notifications:\n      - about: [build.*]\n        to: [team-demo]\n";
const COPIES: &str = "mode: enforce\nrepositories:\n  demo:\n    replicas:\n      - { to: codecommit://us-east-1/demo-copy, create: true }\n      - { to: codecommit://us-east-1/demo-mirror, create: true, role: \"arn:aws:iam::444455556666:role/SignalboxMirror\", external_id: our-copies }\n      - { to: \"https://git.example.com/demo\", credentials: signalbox/none }\n      - { to: \"s3://demo-backup/{repository}.bundle\" }\n";
const BUNDLE: &str =
    "mode: enforce\nrepositories:\n  demo:\n    replicas:\n      - { to: \"s3://demo-backup/{repository}.bundle\" }\n";
const PROTECTED: &str = "mode: enforce\nrepositories:\n  demo:\n    protection:\n      - { refs: [\"**\"], files: { forbid: [\"*.pem\"], submodules: [\"https://git.example.com/**\"] }, watch: [default-branch, approval-rules, repository-triggers] }\n      - { refs: [\"refs/tags/*\"], forbid: [force-push] }\n      - { refs: [kept], forbid: [direct-push], watch: [push-permissions] }\n";
const REVIEWED: &str = "mode: enforce\nrepositories:\n  demo:\n    triggers:\n      unit:\n        on: { pull_request: { into: [main], commit: merge-result, buildspec_from: target } }\n        start: { build: unit }\n";
const QUICK: &str = "version: 0.2\nphases:\n  build:\n    commands: [\"true\"]\n";
const SLOW: &str = "version: 0.2\nphases:\n  build:\n    commands: [\"sleep 60\"]\n";
const FAILING: &str = "version: 0.2\nphases:\n  build:\n    commands: [\"echo the sum is $((20 + 22)); exit 1\"]\n";

/// How many stages are set at once.
const AT_ONCE: usize = 8;

/// What is played. Together the scenes must use everything that the template grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Scene {
    /// A push breaks the build, and the mail quotes log and commit.
    Broken,
    /// A branch beside the default branch changes what a path filter wants.
    Feature,
    /// A second push stops the first one's build.
    Superseded,
    /// Events meet a policy that cannot be read and come again.
    Retried,
    /// A push whose event was lost is found by the sweep.
    Swept,
    /// A pull request is built as it would be merged, a comment on it is answered, and the sweep looks at it.
    Reviewed,
    /// A push is copied into repositories that are made for it, here and in another account, and into a bundle; the sweep
    /// carries the default branch and the description over, and what cannot be copied is mailed.
    Copied,
    /// A bundle of several parts that are not put together at first is taken back, and written again.
    Bundled,
    /// Pushes of all kinds are judged, a tag that was forced over is put back and told by mail, and the sweep looks.
    Protected,
    /// Pull requests are held, voted for and let go; gates and overrides are put back, and comments are found again.
    Held,
    /// The alarms go off.
    Alarms,
    /// The queues are gone, and events end among the dead letters.
    DeadLetters,
}

const SCENES: [Scene; 12] = [
    Scene::Broken,
    Scene::Feature,
    Scene::Superseded,
    Scene::Retried,
    Scene::Swept,
    Scene::Reviewed,
    Scene::Copied,
    Scene::Bundled,
    Scene::Protected,
    Scene::Held,
    Scene::Alarms,
    Scene::DeadLetters,
];

const FUNCTIONS: [&str; 5] = ["trigger", "notifier", "protector", "approver", "replicator"];

async fn set(scene: Scene, template: &str) -> anyhow::Result<Ground> {
    let programs = match scene {
        Scene::Alarms | Scene::DeadLetters => Programs::None,
        _ => Programs::Run(programs().await?),
    };
    match scene {
        Scene::Copied => {
            let mirror = std::fs::read_to_string(mirror_template())?;
            Ground::with_mirror(template, &mirror, programs, "us-east-1").await
        }
        _ => Ground::with_template(template, programs).await,
    }
}

async fn make(ground: &Ground, spec: &str, policy: &str) -> anyhow::Result<()> {
    ground.repository("demo").await?;
    ground.project("unit", "demo", Some(spec)).await?;
    let bucket = ground.stage.bucket()?.to_owned();
    Ok(ground.cloud().s3.put(&bucket, "policy/signalbox.yaml", policy.as_bytes())?)
}

fn made<'a>(ground: &'a Ground, id: &str) -> &'a Made {
    ground.stage.stack.resources.get(id).unwrap()
}

fn arn(made: &Made) -> String {
    made.attributes.get("Arn").or_else(|| made.attributes.get("TopicArn")).unwrap().clone()
}

fn property<'a>(made: &'a Made, key: &str) -> &'a Value {
    made.properties.get(key).unwrap_or(&Value::Null)
}

/// Puts a sweep's event into the queue of a function, as its rule does it by the clock.
fn sweep(ground: &Ground, function: &str, id: &str) -> anyhow::Result<()> {
    let rule = &arn(made(ground, &format!("{function}SweepRule")));
    let queue = &arn(made(ground, &format!("{function}Queue")));
    let now = ground.cloud().world.now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let event = json!({
        "version": "0", "id": id, "detail-type": "Scheduled Event", "source": "aws.events", "account": "111122223333",
        "time": now, "region": "eu-west-1", "resources": [rule], "detail": {},
    });
    let sqs = &ground.cloud().sqs;
    sqs.send_for_service(queue, "events.amazonaws.com", rule, &event.to_string(), BTreeMap::new())?;
    Ok(())
}

/// Plays a scene to its good end, or says why it has none.
async fn play(scene: Scene, ground: &Ground) -> anyhow::Result<()> {
    let started = |ground: &Ground, count: usize| Ok((ground.objects("state/starts/")?.len() >= count).then_some(()));
    match scene {
        Scene::Broken => {
            make(ground, FAILING, POLICY).await?;
            ground.commit("demo", "main", "Change the sum", &[("src/a", Some("a"))]).await?;
            let mail = ground.until("mail", |ground| Ok(ground.cloud().sns.inbox().into_iter().next())).await?;
            for wanted in ["the sum is 42", "Change the sum"] {
                anyhow::ensure!(mail.body.contains(wanted), "the mail lacks {wanted:?}: {}", mail.body);
            }
        }
        Scene::Feature => {
            make(ground, QUICK, POLICY).await?;
            let base = ground.commit("demo", "main", "one", &[("docs/a", Some("a"))]).await?;
            ground.branch("demo", "feature", &base).await?;
            ground.commit("demo", "feature", "two", &[("src/b", Some("b"))]).await?;
            ground.until("a start", |ground| started(ground, 1)).await?;
        }
        Scene::Superseded => {
            make(ground, SLOW, POLICY).await?;
            ground.commit("demo", "main", "one", &[("src/a", Some("1"))]).await?;
            ground.until("the first start", |ground| started(ground, 1)).await?;
            ground.commit("demo", "main", "two", &[("src/a", Some("2"))]).await?;
            ground.until("the second start", |ground| started(ground, 2)).await?;
            ground
                .until("the first one's end", |ground| {
                    let starts = ground.objects("state/starts/")?;
                    Ok(starts.values().any(|start| !start["superseded_by"].is_null()).then_some(()))
                })
                .await?;
            let stopped = |ground: &Ground| Ok((!ground.objects("ledger/notifier/")?.is_empty()).then_some(()));
            ground.until("the report of the stopped build", stopped).await?;
        }
        Scene::Retried => {
            make(ground, QUICK, "mode: enforse\n").await?;
            ground.commit("demo", "main", "one", &[("src/a", Some("a"))]).await?;
            let start = json!({ "projectName": "unit", "sourceVersion": "main" });
            ground.cloud().codebuild.call("StartBuild", start, &ground.developer()).await?;
            for function in FUNCTIONS {
                let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
                while !ground.stage.last_lines(function, 200).await?.join("\n").contains("comes again") {
                    anyhow::ensure!(tokio::time::Instant::now() < deadline, "no event came again to the {function}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
            ground.policy(POLICY)?;
            ground.until("a start", |ground| started(ground, 1)).await?;
            let told = |ground: &Ground| Ok((!ground.objects("ledger/notifier/")?.is_empty()).then_some(()));
            ground.until("the notifier's report", told).await?;
        }
        Scene::Swept => {
            make(ground, QUICK, POLICY).await?;
            ground.commit("demo", "main", "one", &[("docs/a", Some("a"))]).await?;
            sweep(ground, "Trigger", "sweep-1")?;
            let seen = |ground: &Ground| Ok((!ground.objects("state/sweep/")?.is_empty()).then_some(()));
            ground.until("the sweep's memory", seen).await?;
            let rule = json!({ "Name": made(ground, "TriggerRule").name });
            ground.cloud().eventbridge.call("DisableRule", rule, &ground.developer()).await?;
            ground.commit("demo", "main", "two", &[("src/a", Some("a"))]).await?;
            sweep(ground, "Trigger", "sweep-2")?;
            ground.until("a start", |ground| started(ground, 1)).await?;
        }
        Scene::Reviewed => review(ground).await?,
        Scene::Copied => {
            make(ground, QUICK, COPIES).await?;
            ground.cloud().s3.create_bucket("demo-backup", Versioning::Off)?;
            let tip = ground.commit("demo", "main", "one", &[("a", Some("a"))]).await?;
            let told = |count: usize| {
                move |ground: &Ground| {
                    let entries = ground.objects("ledger/replicator/")?;
                    let reports = entries.values().filter(|entry| !entry["report"].is_null()).count();
                    Ok((reports >= count).then_some(()))
                }
            };
            ground.until("the copy's report", told(1)).await?;
            let bundle = ground.cloud().s3.get("demo-backup", "demo.bundle")?;
            anyhow::ensure!(bundle.is_some(), "there is no bundle");
            let mail = ground.until("mail", |ground| Ok(ground.cloud().sns.inbox().into_iter().next())).await?;
            let subject = "copy of demo on git.example.com cannot be made equal";
            anyhow::ensure!(mail.subject == subject, "another mail came: {}", mail.subject);
            let elsewhere = ground.stage.regions().find("us-east-1").unwrap();
            let input = json!({ "repositoryName": "demo-copy", "branchName": "main" });
            let there = elsewhere.codecommit.call("GetBranch", input, &ground.developer()).await?;
            anyhow::ensure!(there.pointer("/branch/commitId") == Some(&json!(tip)), "the copy is elsewhere: {there}");
            let mirror = ground.stage.all().find(MIRROR).and_then(|regions| regions.find("us-east-1")).unwrap();
            let dir = mirror.codecommit.repository_dir("demo-mirror");
            anyhow::ensure!(dir.is_some(), "nothing was made in the other account");
            let ledger = ground.objects("ledger/replicator/")?.values().map(Value::to_string).collect::<String>();
            anyhow::ensure!(
                ledger.contains("can't find the specified secret"),
                "the secret was not looked for: {ledger}"
            );
            ground.branch("demo", "next", &tip).await?;
            ground.until("the second report", told(2)).await?;
            let next = json!({ "repositoryName": "demo", "defaultBranchName": "next" });
            ground.cloud().codecommit.call("UpdateDefaultBranch", next, &ground.developer()).await?;
            let said = json!({ "repositoryName": "demo", "repositoryDescription": "What it is for" });
            ground.cloud().codecommit.call("UpdateRepositoryDescription", said, &ground.developer()).await?;
            sweep(ground, "Replicator", "sweep-3")?;
            let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
            while elsewhere.codecommit.default_branch("demo-copy").await?.as_deref() != Some("next") {
                anyhow::ensure!(tokio::time::Instant::now() < deadline, "the default branch did not go along");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            let described = async || {
                let input = json!({ "repositoryName": "demo-copy" });
                let there = elsewhere.codecommit.call("GetRepository", input, &ground.developer()).await?;
                anyhow::Ok(there.pointer("/repositoryMetadata/repositoryDescription") == Some(&json!("What it is for")))
            };
            while !described().await? {
                anyhow::ensure!(tokio::time::Instant::now() < deadline, "the description did not go along");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Scene::Bundled => {
            make(ground, QUICK, BUNDLE).await?;
            ground.cloud().s3.create_bucket("demo-backup", Versioning::Off)?;
            let here = dir_of(ground.cloud(), "demo");
            set_ref(&here, "refs/heads/main", &commit_of(&here, &[&noise(&here, 24 * 1024 * 1024, 1)], &[]));
            let chaos = &ground.cloud().world.chaos;
            chaos.set(Some("fail@s3:CompleteMultipartUpload=1".parse()?));
            ground.commit("demo", "main", "one", &[("a", Some("a"))]).await?;
            let failed = |ground: &Ground| {
                let count = ground.cloud().world.chaos.count(Kind::Fail, "s3:CompleteMultipartUpload");
                // A call is tried three times.
                Ok((count >= 3).then_some(()))
            };
            ground.until("an upload that fails", failed).await?;
            chaos.set(None);
            let bundle = |ground: &Ground| Ok(ground.cloud().s3.get("demo-backup", "demo.bundle")?);
            ground.until("a bundle", bundle).await?;
            let left_over = ground.uploads("demo-backup");
            anyhow::ensure!(left_over == 0, "{left_over} uploads are left over");
        }
        Scene::Protected => protect(ground).await?,
        Scene::Held => hold::hold(ground).await?,
        Scene::Alarms => {
            let alarms = ground.stage.stack.resources.values().filter(|made| made.kind == ResourceKind::Alarm);
            let mut count = 0;
            for alarm in alarms {
                let topic = list(property(alarm, "AlarmActions")).pop().unwrap_or_default();
                let (arn, name) = (arn(alarm), &alarm.name);
                let sns = &ground.cloud().sns;
                sns.publish_for_service(&topic, "cloudwatch.amazonaws.com", &arn, Some("ALARM"), name)?;
                count += 1;
            }
            anyhow::ensure!(count > 0 && ground.cloud().sns.inbox().len() == count, "{count} alarms, not each a mail");
        }
        Scene::DeadLetters => {
            for function in FUNCTIONS {
                ground.cloud().sqs.delete_queue(&ground.stage.function(function))?;
            }
            make(ground, QUICK, POLICY).await?;
            ground.commit("demo", "main", "one", &[("src/a", Some("a"))]).await?;
            let start = json!({ "projectName": "unit", "sourceVersion": "main" });
            ground.cloud().codebuild.call("StartBuild", start, &ground.developer()).await?;
            for function in FUNCTIONS {
                let letters = format!("{}-dead-letters", ground.stage.function(function));
                let there = |ground: &Ground| Ok((ground.cloud().sqs.counts(&letters)?.visible > 0).then_some(()));
                ground.until("a dead letter", there).await?;
            }
        }
    }
    // Everything is told, and nothing comes again.
    if !matches!(scene, Scene::Alarms | Scene::DeadLetters) {
        let is_done = |ground: &Ground| {
            for function in FUNCTIONS {
                let counts = ground.cloud().sqs.counts(&ground.stage.function(function))?;
                if counts.visible + counts.in_flight + counts.delayed > 0 {
                    return Ok(None);
                }
            }
            Ok(Some(()))
        };
        ground.until("empty queues", is_done).await?;
    }
    // The log of a function that ran is there to be read.
    if !matches!(scene, Scene::Alarms | Scene::DeadLetters) {
        for function in FUNCTIONS {
            let is_quiet = match scene {
                Scene::Feature | Scene::Swept | Scene::Reviewed | Scene::Bundled => {
                    ["notifier", "approver"].contains(&function)
                }
                Scene::Copied => function == "approver",
                _ => false,
            };
            if !is_quiet {
                let lines = ground.stage.last_lines(function, 1).await?;
                anyhow::ensure!(!lines.is_empty(), "the log of the {function} is empty");
            }
        }
    }
    Ok(())
}

/// Opens a pull request, asks in a comment what there is, and has the sweep look.
async fn review(ground: &Ground) -> anyhow::Result<()> {
    ground.repository("demo").await?;
    // Its buildspec is a file, which the trigger reads from the target branch.
    ground.project("unit", "demo", None).await?;
    let bucket = ground.stage.bucket()?.to_owned();
    ground.cloud().s3.put(&bucket, "policy/signalbox.yaml", REVIEWED.as_bytes())?;
    let base = ground.commit("demo", "main", "one", &[("buildspec.yml", Some(QUICK))]).await?;
    ground.branch("demo", "feature", &base).await?;
    let tip = ground.commit("demo", "feature", "two", &[("a", Some("a"))]).await?;
    let codecommit = &ground.cloud().codecommit;
    let target = json!({ "repositoryName": "demo", "sourceReference": "feature", "destinationReference": "main" });
    let input = json!({ "title": "two", "targets": [target] });
    let made = codecommit.call("CreatePullRequest", input, &ground.developer()).await?;
    let id = made["pullRequest"]["pullRequestId"].clone();
    let started = |ground: &Ground| Ok((!ground.objects("state/starts/")?.is_empty()).then_some(()));
    ground.until("a start", started).await?;
    let input = json!({
        "pullRequestId": id, "repositoryName": "demo", "beforeCommitId": base, "afterCommitId": tip, "content": "/test ?",
    });
    codecommit.call("PostCommentForPullRequest", input, &ground.developer()).await?;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        let input = json!({ "pullRequestId": id });
        let comments = codecommit.call("GetCommentsForPullRequest", input, &ground.developer()).await?;
        if comments.to_string().contains("These can be asked for") {
            break;
        }
        anyhow::ensure!(tokio::time::Instant::now() < deadline, "the comment was not answered: {comments}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    sweep(ground, "Trigger", "sweep-5")?;
    // What could not be listed is remembered there, too.
    let seen = |ground: &Ground| {
        let memories = ground.objects("state/sweep/pull-requests/demo.json")?;
        Ok(memories.values().any(|memory| memory["open"].is_object()).then_some(()))
    };
    ground.until("the sweep's memory", seen).await
}

/// Pushes with the real git what makes the protector look in each of its ways.
async fn protect(ground: &Ground) -> anyhow::Result<()> {
    make(ground, QUICK, PROTECTED).await?;
    let clone = ground.desk().join("clone");
    std::fs::create_dir_all(&clone)?;
    let git = |arguments: &[&str]| -> anyhow::Result<String> {
        let mut command = crate::protector::world::command(ground, &clone, "git");
        // Others run their functions meanwhile.
        let output = tokio::task::block_in_place(|| command.args(arguments).output())?;
        anyhow::ensure!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    };
    let judged = |count: usize| {
        move |ground: &Ground| {
            let entries = ground.objects("ledger/protector/")?;
            let reports = entries.values().filter(|entry| !entry["report"].is_null()).count();
            Ok((reports >= count).then_some(()))
        }
    };
    git(&["init", "--quiet", "--initial-branch", "main", "."])?;
    git(&["remote", "add", "origin", &format!("{}/v1/repos/demo", ground.cloud().world.endpoint())])?;
    git(&["commit", "--quiet", "--allow-empty", "-m", "one"])?;
    let one = git(&["rev-parse", "HEAD"])?;
    git(&["push", "--quiet", "origin", "main", "main:refs/tags/v1"])?;
    ground.until("two reports", judged(2)).await?;

    // A submodule has its address in a file, and a new branch is compared with the default branch.
    std::fs::write(clone.join(".gitmodules"), "[submodule \"lib\"]\npath = lib\nurl = https://git.example.com/lib\n")?;
    git(&["add", ".gitmodules"])?;
    git(&["update-index", "--add", "--cacheinfo", &format!("160000,{one},lib")])?;
    git(&["commit", "--quiet", "-m", "two"])?;
    git(&["push", "--quiet", "origin", "main:refs/heads/feature"])?;
    ground.until("a report of the branch", judged(3)).await?;

    // What moves a branch that nobody may push to is looked for among the pull requests.
    git(&["push", "--quiet", "origin", &format!("{one}:refs/heads/kept")])?;
    ground.until("a report of the kept branch", judged(4)).await?;
    let codecommit = &ground.cloud().codecommit;
    let target = json!({ "repositoryName": "demo", "sourceReference": "feature", "destinationReference": "kept" });
    let input = json!({ "title": "two", "targets": [target] });
    let made = codecommit.call("CreatePullRequest", input, &ground.developer()).await?;
    let input = json!({ "pullRequestId": made["pullRequest"]["pullRequestId"], "repositoryName": "demo" });
    codecommit.call("MergePullRequestByFastForward", input, &ground.developer()).await?;
    ground.until("a report of the merge", judged(5)).await?;

    git(&["commit", "--quiet", "--amend", "-m", "another"])?;
    git(&["push", "--quiet", "origin", "+main:refs/tags/v1"])?;
    ground.until("a report of the tag", judged(6)).await?;
    git(&["switch", "--quiet", "--orphan", "other"])?;
    git(&["commit", "--quiet", "--allow-empty", "-m", "forced"])?;
    let forced = git(&["rev-parse", "HEAD"])?;
    git(&["push", "--quiet", "origin", "+other:refs/tags/v1"])?;
    let restored = |ground: &Ground| {
        let entries = ground.objects("ledger/protector/")?;
        Ok(entries.values().any(|entry| entry["report"]["verdict"] == "restore").then_some(()))
    };
    ground.until("the tag's way back", restored).await?;
    let mail = ground.until("mail", |ground| Ok(ground.cloud().sns.inbox().into_iter().next())).await?;
    let subject = "tag v1 of demo was put back (force-push by developer)";
    anyhow::ensure!(mail.subject == subject, "another mail came: {}", mail.subject);
    let at = git(&["ls-remote", "origin", "refs/tags/v1", "refs/heads/quarantine/*"])?;
    anyhow::ensure!(!at.contains(&format!("{forced}\trefs/tags/v1")) && at.contains("quarantine/tags/v1/"), "{at}");
    let content = |needed: u32| json!({ "Version": "2018-11-08", "Statements": [{ "Type": "Approvers", "NumberOfApprovalsNeeded": needed }] });
    let template = json!({ "approvalRuleTemplateName": "two", "approvalRuleTemplateContent": content(2).to_string() });
    codecommit.call("CreateApprovalRuleTemplate", template, &ground.developer()).await?;
    let associated = json!({ "approvalRuleTemplateName": "two", "repositoryName": "demo" });
    codecommit.call("AssociateApprovalRuleTemplateWithRepository", associated, &ground.developer()).await?;
    sweep(ground, "Protector", "sweep-4")?;
    let swept = |ground: &Ground| {
        let there = ground.objects("state/protected/")?;
        let has = |end: &str| there.keys().any(|key| key.ends_with(end));
        Ok((has(".seen.json") && has(".watched.json")).then_some(()))
    };
    ground.until("the sweep's memory", swept).await?;

    // The protection itself: what the sweep finds, and what an event tells.
    let mailed = |subject: &'static str| {
        move |ground: &Ground| Ok(ground.cloud().sns.inbox().iter().any(|mail| mail.subject == subject).then_some(()))
    };
    let may_push = mailed("IAM lets somebody push to demo past its protection");
    ground.until("mail about the developer, who may do everything", may_push).await?;
    let other = json!({ "repositoryName": "demo", "defaultBranchName": "feature" });
    codecommit.call("UpdateDefaultBranch", other, &ground.developer()).await?;
    sweep(ground, "Protector", "sweep-5")?;
    let back = mailed("the default branch of demo was put back (watch default-branch by somebody)");
    ground.until("the default branch's way back", back).await?;
    let there = codecommit.default_branch("demo").await?;
    anyhow::ensure!(there.as_deref() == Some("main"), "the default branch is {there:?}");
    let weaker = json!({ "approvalRuleTemplateName": "two", "newRuleContent": content(1).to_string() });
    codecommit.call("UpdateApprovalRuleTemplateContent", weaker, &ground.developer()).await?;
    let weakened = mailed("the approval rules of demo were weakened by developer");
    ground.until("mail about the template", weakened).await
}

/// One action that one statement of the template allows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Grant {
    /// The resource of the template that holds the statement.
    block: String,
    holder: String,
    policy: String,
    sid: Option<String>,
    label: String,
    action: String,
    resources: Vec<String>,
}

fn list(value: &Value) -> Vec<String> {
    let one = |value: &Value| value.as_str().map(str::to_owned);
    value.as_array().map_or_else(|| one(value).into_iter().collect(), |values| values.iter().filter_map(one).collect())
}

/// Every Allow of the template: of roles, their trust, queues, topics and the bucket.
fn grants(ground: &Ground) -> Vec<Grant> {
    let stack = &ground.stage.stack;
    let mut grants = Vec::new();
    let mut add = |block: &str, holder: &str, policy: &str, document: &Value| {
        for (number, statement) in document["Statement"].as_array().unwrap().iter().enumerate() {
            if statement["Effect"] != "Allow" {
                continue;
            }
            let sid = statement["Sid"].as_str().map(str::to_owned);
            for action in list(&statement["Action"]) {
                grants.push(Grant {
                    block: block.to_owned(),
                    holder: holder.to_owned(),
                    policy: policy.to_owned(),
                    label: sid.clone().unwrap_or_else(|| format!("Statement[{number}]")),
                    sid: sid.clone(),
                    action,
                    resources: list(&statement["Resource"]),
                });
            }
        }
    };
    let arn_of = |reference: &str| {
        let made = stack.resources.values().find(|made| made.reference == reference).unwrap();
        arn(made)
    };
    for (id, made) in &stack.resources {
        let document = property(made, "PolicyDocument");
        match made.kind {
            ResourceKind::Role => {
                let holder = format!("the role {}", made.name);
                add(id, &holder, "AssumeRolePolicyDocument", property(made, "AssumeRolePolicyDocument"));
                for policy in property(made, "Policies").as_array().unwrap() {
                    add(id, &holder, policy["PolicyName"].as_str().unwrap(), &policy["PolicyDocument"]);
                }
            }
            ResourceKind::QueuePolicy => {
                for queue in list(property(made, "Queues")) {
                    add(id, &arn_of(&queue), "", document);
                }
            }
            ResourceKind::TopicPolicy => {
                for topic in list(property(made, "Topics")) {
                    add(id, &arn_of(&topic), "", document);
                }
            }
            ResourceKind::BucketPolicy => {
                add(id, &arn_of(property(made, "Bucket").as_str().unwrap()), "", document);
            }
            _ => {}
        }
    }
    grants
}

/// The template with one action of one statement replaced by one that nobody asks for.
fn without(text: &str, grant: &Grant) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let line = |at: usize| lines.get(at).copied().unwrap_or_default();
    let find = |from: usize, to: usize, what: &dyn Fn(&str) -> bool| (from..to).find(|at| what(line(*at)));
    let head = format!("  {}:", grant.block);
    let start = find(0, lines.len(), &|line| line == head).unwrap_or_else(|| panic!("no {head} in the template"));
    let is_next = |line: &str| line.starts_with("  ") && !line.starts_with("   ") && line.trim_end().ends_with(':');
    let end = find(start + 1, lines.len(), &is_next).unwrap_or(lines.len());
    let (start, end) = match &grant.sid {
        Some(sid) => {
            let sid = format!("- Sid: {sid}");
            let start = find(start, end, &|line| line.trim() == sid).unwrap_or_else(|| panic!("no {sid}: {grant:?}"));
            (start, find(start + 1, end, &|line| line.trim().starts_with("- Sid: ")).unwrap_or(end))
        }
        None => {
            let trust = find(start, end, &|line| line.trim() == "AssumeRolePolicyDocument:").unwrap();
            (trust, find(trust, end, &|line| line.trim() == "Policies:").unwrap_or(end))
        }
    };
    let (item, only) = (format!("- {}", grant.action), format!("Action: {}", grant.action));
    let at = find(start, end, &|line| line.trim() == item || line.trim() == only);
    let at = at.unwrap_or_else(|| panic!("{} is not a line of its own in the template: {grant:?}", grant.action));
    let vendor = grant.action.split(':').next().unwrap();
    let changed = line(at).replace(&grant.action, &format!("{vendor}:Nothing"));
    let all = lines.iter().enumerate().map(|(number, line)| if number == at { changed.as_str() } else { line });
    all.map(|line| format!("{line}\n")).collect()
}

/// What the scenes use when nothing is missing.
struct Baseline {
    grants: Vec<Grant>,
    /// The scenes that use a statement's action.
    used: BTreeMap<(String, String, String, String), BTreeSet<Scene>>,
    /// The resources that were asked for, as the statements write them.
    resources: BTreeSet<(String, String, String, String)>,
}

impl Baseline {
    fn scenes(&self, grant: &Grant) -> Option<&BTreeSet<Scene>> {
        let Grant { holder, policy, label, action, .. } = grant.clone();
        self.used.get(&(holder, policy, label, action.to_lowercase()))
    }
}

async fn baseline() -> &'static Baseline {
    static PLAYED: OnceCell<Baseline> = OnceCell::const_new();
    PLAYED
        .get_or_init(|| async {
            let text = std::fs::read_to_string(template()).unwrap();
            let mut scenes = JoinSet::new();
            for scene in SCENES {
                let text = text.clone();
                scenes.spawn(async move {
                    let ground = set(scene, &text).await.unwrap();
                    if let Err(error) = play(scene, &ground).await {
                        let refusals = ground.cloud().world.iam.refusals();
                        panic!("{scene:?}: {error:#}\n{}\n{}", refusals.join("\n"), told(&ground).await);
                    }
                    let uses = ground.cloud().world.iam.uses();
                    let grants = grants(&ground);
                    ground.stage.clear().await.unwrap();
                    (scene, uses, grants)
                });
            }
            let mut all = Baseline { grants: Vec::new(), used: BTreeMap::new(), resources: BTreeSet::new() };
            while let Some(played) = scenes.join_next().await {
                let (scene, uses, grants) = played.unwrap();
                // One of the scenes has the statement that a parameter brings.
                if grants.len() > all.grants.len() {
                    all.grants = grants;
                }
                for used in uses {
                    let (holder, policy, statement) = (used.holder, used.policy, used.statement);
                    all.resources.insert((holder.clone(), policy.clone(), statement.clone(), used.resource));
                    all.used.entry((holder, policy, statement, used.action)).or_default().insert(scene);
                }
            }
            all
        })
        .await
}

/// Everything in which a person would look for the reason: the functions' logs, the ledger, the dead letters.
async fn told(ground: &Ground) -> String {
    let mut told = Vec::new();
    for function in FUNCTIONS {
        told.extend(ground.stage.last_lines(function, 500).await.unwrap_or_default());
        let letters = format!("{}-dead-letters", ground.stage.function(function));
        for message in ground.cloud().sqs.receive(&letters, 10, Duration::ZERO).await.unwrap_or_default() {
            told.extend(message.attributes.into_values().filter_map(|attribute| attribute.string_value));
        }
    }
    told.extend(ground.objects("ledger/").unwrap_or_default().values().map(Value::to_string));
    told.join("\n")
}

/// The refusal that names the action, if there is one.
fn refusal_of<'a>(grant: &Grant, texts: &'a [String]) -> Option<&'a String> {
    let what = format!("is not authorized to perform: {} on resource: ", grant.action).to_lowercase();
    let named = || texts.iter().filter(|text| text.to_lowercase().contains(&what));
    named().find(|refusal| check_words(grant, refusal).is_ok()).or_else(|| named().next())
}

fn check_words(grant: &Grant, refusal: &str) -> Result<(), String> {
    let holder = grant.holder.trim_start_matches("the ");
    if !refusal.contains(holder) {
        return Err(format!("{grant:?}: the refusal does not say whose policy lacks it: {refusal}"));
    }
    // Where a statement is about everything, no statement is nearer than another.
    match &grant.sid {
        Some(sid) if !grant.resources.iter().any(|resource| resource == "*") && !refusal.contains(sid.as_str()) => {
            Err(format!("{grant:?}: the refusal does not name the statement {sid}: {refusal}"))
        }
        _ => Ok(()),
    }
}

/// What came of a scene that lacks a grant.
#[derive(Debug)]
enum Came {
    /// The event comes again, or is refused, and says that it is for want of this grant.
    EventFailed,
    /// Nobody delivers what may not be delivered.
    NotDelivered,
    /// The scene came to an end of its own.
    Ended(anyhow::Result<()>),
    /// Neither.
    Nothing,
}

/// Whether an event failed for want of the grant: a function that goes on without it logs another line.
async fn event_failed(grant: &Grant, ground: &Ground) -> bool {
    let words = format!("perform: {}", grant.action).to_lowercase();
    for function in FUNCTIONS {
        for line in ground.stage.last_lines(function, 500).await.unwrap_or_default() {
            let said: Value = serde_json::from_str(&line).unwrap_or_default();
            let is_end = ["comes again", "refused"].iter().any(|end| said["message"] == *end);
            if is_end && line.to_lowercase().contains(&words) {
                return true;
            }
        }
    }
    false
}

/// The refusal that came of it, and what it did: a refusal that is tolerated is no loss until something is lost.
async fn played_without(grant: &Grant, scene: Scene, ground: &Ground) -> (Option<String>, Came) {
    let iam = &ground.cloud().world.iam;
    let mut playing = std::pin::pin!(play(scene, ground));
    // A scene gives up after a minute by itself.
    for _ in 0..900 {
        let ended = tokio::time::timeout(Duration::from_millis(100), &mut playing).await.ok();
        let refusal = refusal_of(grant, &iam.refusals()).cloned();
        if let Some(ended) = ended {
            return (refusal, Came::Ended(ended));
        }
        if refusal.is_some() && grant.policy.is_empty() {
            return (refusal, Came::NotDelivered);
        }
        if refusal.is_some() && event_failed(grant, ground).await {
            return (refusal, Came::EventFailed);
        }
    }
    (None, Came::Nothing)
}

/// Whether a person who looks for the reason finds the refusal.
async fn seen(grant: &Grant, ground: &Ground) -> Result<(), String> {
    // A log that is not written tells nothing, and a delivery has no log but the cloud's own.
    if grant.policy.is_empty() || ["logs:CreateLogStream", "logs:PutLogEvents"].contains(&grant.action.as_str()) {
        return Ok(());
    }
    let all = told(ground).await;
    let is_told = |words: String| all.to_lowercase().contains(&words.to_lowercase());
    // The refusal of a HEAD has no words of its own: those of whoever asked must do.
    let bare = all.contains("HTTP 403: no message. This permission is missing");
    if is_told(format!("perform: {}", grant.action)) || bare && is_told(format!("{} on ", grant.action)) {
        return Ok(());
    }
    Err(format!("{grant:?}: a person sees nothing of it\n{all}"))
}

/// Plays a scene without one grant; how it failed, or what is wrong with how it failed.
async fn missed(grant: &Grant, scene: Scene, template: &str) -> Result<(), String> {
    let ground = match set(scene, &without(template, grant)).await {
        Ok(ground) => ground,
        Err(error) => {
            let told = vec![format!("{error:#}")];
            let refusal = refusal_of(grant, &told);
            return check_words(
                grant,
                refusal.ok_or_else(|| format!("{grant:?}: not deployed, and not for it: {told:?}"))?,
            );
        }
    };
    let result = match played_without(grant, scene, &ground).await {
        (_, Came::Ended(Ok(()))) => Err(format!("{grant:?}: {scene:?} came to its good end without it")),
        (None, _) => Err(format!("{grant:?}: nobody was refused it in {scene:?}\n{}", told(&ground).await)),
        (Some(_), Came::Nothing) => Err(format!("{grant:?}: {scene:?} neither fails nor ends without it")),
        (Some(refusal), Came::EventFailed | Came::NotDelivered) => check_words(grant, &refusal),
        (Some(refusal), Came::Ended(Err(_))) => match check_words(grant, &refusal) {
            Ok(()) => seen(grant, &ground).await,
            wrong => wrong,
        },
    };
    ground.stage.clear().await.map_err(|error| format!("{error:#}"))?;
    result
}

#[tokio::test(flavor = "multi_thread")]
async fn no_grant_of_the_template_is_spare() {
    let all = baseline().await;
    let spare: Vec<String> = all
        .grants
        .iter()
        .filter(|grant| all.scenes(grant).is_none())
        .map(|grant| format!("{} {}: {}", grant.block, grant.label, grant.action))
        .collect();
    assert!(
        spare.is_empty(),
        "no scene of tests/tests/all/iam.rs uses {spare:#?}: take it away, or play what needs it"
    );
    let mut spare = BTreeSet::new();
    for grant in &all.grants {
        for resource in &grant.resources {
            let key = (grant.holder.clone(), grant.policy.clone(), grant.label.clone(), resource.clone());
            if !all.resources.contains(&key) {
                spare.insert(format!("{} {}: {resource}", grant.block, grant.label));
            }
        }
    }
    assert!(spare.is_empty(), "no scene of tests/tests/all/iam.rs reaches {spare:#?}");
    assert!(all.grants.len() > 35, "only {} grants were found", all.grants.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_grant_that_is_taken_away_is_missed_by_name() {
    let all = baseline().await;
    let text: Arc<str> = std::fs::read_to_string(template()).unwrap().into();
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut plays = JoinSet::new();
    for grant in &all.grants {
        // What nothing uses is the other test's.
        let Some(scenes) = all.scenes(grant) else { continue };
        let (text, room) = (Arc::clone(&text), Arc::clone(&room));
        plays.spawn(async move {
            let _place = room.acquire().await.unwrap();
            let mut result = Ok(());
            // Where one scene can do without it, another cannot.
            for scene in scenes {
                result = missed(grant, *scene, &text).await;
                if result.is_ok() {
                    break;
                }
            }
            result
        });
    }
    let mut wrong = Vec::new();
    while let Some(played) = plays.join_next().await {
        wrong.extend(played.unwrap().err());
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), all.grants.len(), wrong.join("\n\n"));
}

#[tokio::test]
async fn the_bucket_itself_keeps_functions_from_writing_the_policy() {
    let ground = Ground::without_functions().await.unwrap();
    let iam = &ground.cloud().world.iam;
    let role = &ground.stage.stack.functions.iter().find(|made| made.name.ends_with("trigger")).unwrap().role;
    let all =
        json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": "s3:*", "Resource": "*" }] });
    iam.put_role_policy(role, "too-much", &all).unwrap();
    let bucket = Bucket::new(&ground.aws("trigger"), ground.stage.bucket().unwrap());
    let refused = bucket.put_new("policy/signalbox.yaml", b"mode: observe\n".to_vec()).await.unwrap_err();
    let told = refused.chain();
    assert!(told.contains("with an explicit deny in a resource-based policy"), "{told}");
    assert!(told.contains("the statement NoFunctionWritesPolicy"), "{told}");
}
