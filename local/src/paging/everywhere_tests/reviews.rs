//! The listings of pull requests, comments, conflicts and approval rules.

use serde_json::{Value, json};

use super::{Listing, Wire, good, names};
use crate::auth::Caller;
use crate::http::testing::Client;

/// What the listings are asked of.
pub(super) struct Ground {
    /// Two commits that conflict in four files, and in three lines of one of them.
    theirs: String,
    ours: String,
    /// The comment that has reactions.
    comment: Value,
}

async fn commit(client: &Client, branch: &str, parent: &str, files: &[(&str, &str)]) -> String {
    use base64::Engine;
    let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let files: Vec<Value> =
        files.iter().map(|(path, text)| json!({ "filePath": path, "fileContent": encode(text) })).collect();
    let input = json!({ "repositoryName": "host", "branchName": branch, "parentCommitId": parent, "putFiles": files });
    good(client, "codecommit", "CreateCommit", input).await["commitId"].as_str().unwrap().to_owned()
}

fn content() -> String {
    json!({ "Version": "2018-11-08", "Statements": [{ "Type": "Approvers", "NumberOfApprovalsNeeded": 1 }] })
        .to_string()
}

fn on(ground: &Ground, tip: &str) -> Value {
    json!({ "repositoryName": "host", "beforeCommitId": tip, "afterCommitId": ground.theirs })
}

/// Two branches of `host` that conflict, a pull request of one of them, a template, a comment with three reactions.
pub(super) async fn prepare(client: &Client, tip: &str) -> Ground {
    let branch = |name: &str, at: &str| json!({ "repositoryName": "host", "branchName": name, "commitId": at });
    good(client, "codecommit", "CreateBranch", branch("zs", tip)).await;
    let base = commit(client, "zs", tip, &[("lines", "1\n2\n3\n4\n5\n6\n7\n8\n9\n")]).await;
    good(client, "codecommit", "CreateBranch", branch("zt", &base)).await;
    let theirs = [("lines", "b\n2\n3\n4\nd\n6\n7\n8\nf\n"), ("b", "theirs"), ("d", "theirs"), ("f", "theirs")];
    let theirs = commit(client, "zs", &base, &theirs).await;
    let ours = [("lines", "x\n2\n3\n4\ny\n6\n7\n8\nz\n"), ("b", "ours"), ("d", "ours"), ("f", "ours")];
    let ours = commit(client, "zt", &base, &ours).await;
    let template = json!({ "approvalRuleTemplateName": "all", "approvalRuleTemplateContent": content() });
    good(client, "codecommit", "CreateApprovalRuleTemplate", template).await;
    let targets = json!([{ "repositoryName": "host", "sourceReference": "zs", "destinationReference": "z" }]);
    good(client, "codecommit", "CreatePullRequest", json!({ "title": "the first", "targets": targets })).await;
    let input = json!({ "repositoryName": "host", "beforeCommitId": theirs, "afterCommitId": ours, "content": "x" });
    let posted = good(client, "codecommit", "PostCommentForComparedCommit", input).await;
    let comment = posted["comment"]["commentId"].clone();
    for (who, value) in [("anna", ":thumbsup:"), ("ben", ":heart:"), ("cleo", ":eyes:")] {
        let caller = Caller { arn: format!("arn:aws:iam::111122223333:user/{who}"), access_key_id: String::new() };
        let input = json!({ "commentId": comment, "reactionValue": value });
        client.running.cloud.codecommit.call("PutCommentReaction", input, &caller).await.unwrap();
    }
    Ground { theirs, ours, comment }
}

/// Makes one thing of each kind with this name; the repository and the branch of that name are there.
pub(super) async fn make(client: &Client, name: &str, tip: &str, ground: &Ground) {
    let targets = json!([{ "repositoryName": "host", "sourceReference": name, "destinationReference": "z" }]);
    good(client, "codecommit", "CreatePullRequest", json!({ "title": name, "targets": targets })).await;
    let rule = json!({ "pullRequestId": "1", "approvalRuleName": name, "approvalRuleContent": content() });
    good(client, "codecommit", "CreatePullRequestApprovalRule", rule).await;
    let mut comment = on(ground, tip);
    comment["content"] = json!(name);
    good(client, "codecommit", "PostCommentForComparedCommit", comment.clone()).await;
    comment["pullRequestId"] = json!("1");
    good(client, "codecommit", "PostCommentForPullRequest", comment).await;
    let template = json!({ "approvalRuleTemplateName": name, "approvalRuleTemplateContent": content() });
    good(client, "codecommit", "CreateApprovalRuleTemplate", template).await;
    for (template, repository) in [(name, "host"), ("all", name)] {
        let input = json!({ "approvalRuleTemplateName": template, "repositoryName": repository });
        good(client, "codecommit", "AssociateApprovalRuleTemplateWithRepository", input).await;
    }
}

/// Takes away the template of this name; its pull request is closed by the deletion of its branch.
pub(super) async fn unmake(client: &Client, name: &str) {
    let of_host = json!({ "approvalRuleTemplateName": name, "repositoryName": "host" });
    good(client, "codecommit", "DisassociateApprovalRuleTemplateFromRepository", of_host).await;
    good(client, "codecommit", "DeleteApprovalRuleTemplate", json!({ "approvalRuleTemplateName": name })).await;
}

/// What they hold when `f`, `b` and `d` were made in this order, and what follows when `b` goes and `a` and `e` come.
pub(super) fn listings(ground: &Ground, tip: &str) -> Vec<Listing> {
    let merge = |more: Value| {
        let mut input = json!({
            "repositoryName": "host", "sourceCommitSpecifier": ground.theirs, "destinationCommitSpecifier": ground.ours,
            "mergeOption": "SQUASH_MERGE",
        });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        input
    };
    let of_type = json!({ "pullRequestId": "1", "pullRequestEventType": "PULL_REQUEST_APPROVAL_RULE_CREATED" });
    let lines = json!({ "filePath": "lines", "conflictDetailLevel": "LINE_LEVEL" });
    [
        (
            "ListPullRequests",
            json!({ "repositoryName": "host", "pullRequestStatus": "OPEN" }),
            "pullRequestIds",
            "",
            "1 2 3 4",
            "2 4 5 6",
        ),
        (
            "DescribePullRequestEvents",
            of_type,
            "pullRequestEvents",
            "/approvalRuleEventMetadata/approvalRuleName",
            "f b d",
            "b d a e",
        ),
        (
            "GetCommentsForPullRequest",
            json!({ "pullRequestId": "1" }),
            "commentsForPullRequestData",
            "/comments/0/content",
            "f b d",
            "b d a e",
        ),
        (
            "GetCommentsForComparedCommit",
            on(ground, tip),
            "commentsForComparedCommitData",
            "/comments/0/content",
            "f b d",
            "b d a e",
        ),
        (
            "GetCommentReactions",
            json!({ "commentId": ground.comment }),
            "reactionsForComment",
            "/reaction/unicode",
            "U+1F44D U+2764 U+1F440",
            "U+2764 U+1F440",
        ),
        ("GetMergeConflicts", merge(json!({})), "conflictMetadataList", "/filePath", "b d f lines", "d f lines"),
        (
            "BatchDescribeMergeConflicts",
            merge(json!({})),
            "conflicts",
            "/conflictMetadata/filePath",
            "b d f lines",
            "d f lines",
        ),
        ("DescribeMergeConflicts", merge(lines), "mergeHunks", "/source/hunkContent", "Ygo= ZAo= Zgo=", "ZAo= Zgo="),
        ("ListApprovalRuleTemplates", json!({}), "approvalRuleTemplateNames", "", "all b d f", "d e f"),
        (
            "ListAssociatedApprovalRuleTemplatesForRepository",
            json!({ "repositoryName": "host" }),
            "approvalRuleTemplateNames",
            "",
            "b d f",
            "d e f",
        ),
        (
            "ListRepositoriesForApprovalRuleTemplate",
            json!({ "approvalRuleTemplateName": "all" }),
            "repositoryNames",
            "",
            "b d f",
            "d e f",
        ),
    ]
    .into_iter()
    .map(|(operation, input, items, name, first, then)| Listing {
        wire: Wire::Json("codecommit", items, name, "nextToken"),
        operation,
        input,
        refusal: "InvalidContinuationTokenException",
        first: names(first),
        then: names(then),
    })
    .collect()
}
