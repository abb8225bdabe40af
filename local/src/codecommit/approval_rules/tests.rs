//! Approval rules over real pull requests.

use serde_json::{Value, json};

use super::super::testing::Site;

const ANNA: &str = "arn:aws:iam::111122223333:user/anna";
const CHECKS: &str = "arn:aws:sts::111122223333:assumed-role/checks";

fn rule(needed: u64, pool: &[&str]) -> String {
    let statement = json!({ "Type": "Approvers", "NumberOfApprovalsNeeded": needed, "ApprovalPoolMembers": pool });
    json!({ "Version": "2018-11-08", "Statements": [statement] }).to_string()
}

fn template(name: &str, destinations: &[&str]) -> Value {
    let mut content: Value = serde_json::from_str(&rule(1, &[&format!("{CHECKS}/*")])).unwrap();
    if !destinations.is_empty() {
        content["DestinationReferences"] = json!(destinations);
    }
    json!({ "approvalRuleTemplateName": name, "approvalRuleTemplateContent": content.to_string() })
}

impl Site {
    /// `UpdatePullRequestApprovalState` of pull request 1; the code if it was refused.
    async fn vote(&self, arn: &str, revision: &Value, state: &str) -> Option<String> {
        let input = json!({ "pullRequestId": "1", "revisionId": revision, "approvalState": state });
        self.call_as(arn, "UpdatePullRequestApprovalState", input).await.err().map(|refused| refused.code)
    }

    /// `EvaluatePullRequestApprovalRules` of pull request 1, as it is now.
    async fn evaluated(&self) -> Value {
        let revision = self.pull_request("1").await["revisionId"].clone();
        let input = json!({ "pullRequestId": "1", "revisionId": revision });
        self.call("EvaluatePullRequestApprovalRules", input).await.unwrap()["evaluation"].clone()
    }

    async fn merge_is_refused(&self) -> String {
        self.refused("MergePullRequestByFastForward", json!({ "pullRequestId": "1", "repositoryName": "demo" })).await
    }
}

#[tokio::test]
async fn a_rule_blocks_the_merge_until_enough_others_than_the_author_approve_this_very_revision() {
    let (site, tree) = Site::with_topic().await;
    let made = site.open_topic().await;
    let author = "arn:aws:iam::111122223333:user/developer";
    let create = json!({ "pullRequestId": "1", "approvalRuleName": "two", "approvalRuleContent": rule(2, &[]) });
    let created = site.call("CreatePullRequestApprovalRule", create.clone()).await.unwrap()["approvalRule"].clone();
    assert_eq!(created["ruleContentSha256"].as_str().unwrap().len(), 64);
    assert_eq!(site.refused("CreatePullRequestApprovalRule", create).await, "ApprovalRuleNameAlreadyExistsException");
    site.events();
    assert_eq!(site.merge_is_refused().await, "PullRequestApprovalRulesNotSatisfiedException");

    let revision = made["revisionId"].clone();
    let by_author = site.vote(author, &revision, "APPROVE").await;
    assert_eq!(by_author.as_deref(), Some("PullRequestCannotBeApprovedByAuthorException"));
    assert_eq!(site.vote(ANNA, &revision, "APPROVE").await, None);
    assert_eq!(site.vote(ANNA, &revision, "APPROVE").await, None);
    assert_eq!(site.told(), ["pullRequestApprovalStateChanged 1"], "the same vote again changes nothing");
    assert_eq!(site.evaluated().await["approvalRulesNotSatisfied"], json!(["two"]));
    assert_eq!(site.vote(&format!("{CHECKS}/unit"), &revision, "APPROVE").await, None);
    let expected = json!({
        "approved": true, "overridden": false, "approvalRulesSatisfied": ["two"], "approvalRulesNotSatisfied": [],
    });
    assert_eq!(site.evaluated().await, expected);

    // A push makes all of it count for nothing.
    tree.commit("c", "more\n").await;
    tree.git(&["push", "-q", "origin", "topic"]).await;
    assert_eq!(site.evaluated().await["approved"], false);
    assert_eq!(site.vote(ANNA, &revision, "APPROVE").await.as_deref(), Some("RevisionNotCurrentException"));
    let old = json!({ "pullRequestId": "1", "revisionId": revision });
    assert_eq!(site.refused("EvaluatePullRequestApprovalRules", old.clone()).await, "RevisionNotCurrentException");
    let approvals = site.call("GetPullRequestApprovalStates", old).await.unwrap()["approvals"].clone();
    assert_eq!(approvals.as_array().unwrap().len(), 2, "what was voted once can still be read");
    let unknown = json!("f".repeat(64));
    assert_eq!(site.vote(ANNA, &unknown, "APPROVE").await.as_deref(), Some("InvalidRevisionIdException"));

    let now = site.pull_request("1").await["revisionId"].clone();
    assert_eq!(site.vote(ANNA, &now, "APPROVE").await, None);
    assert_eq!(site.vote(&format!("{CHECKS}/unit"), &now, "APPROVE").await, None);
    assert_eq!(site.vote(&format!("{CHECKS}/lint"), &now, "APPROVE").await, None, "another session is somebody else");
    assert_eq!(site.vote(ANNA, &now, "REVOKE").await, None);
    assert_eq!(site.vote(&format!("{CHECKS}/lint"), &now, "REVOKE").await, None);
    assert_eq!(site.merge_is_refused().await, "PullRequestApprovalRulesNotSatisfiedException");
    assert_eq!(site.vote(ANNA, &now, "APPROVE").await, None);
    let merge = json!({ "pullRequestId": "1", "repositoryName": "demo" });
    site.call("MergePullRequestByFastForward", merge).await.unwrap();
    assert_eq!(site.vote(ANNA, &now, "REVOKE").await.as_deref(), Some("PullRequestAlreadyClosedException"));
}

#[tokio::test]
async fn branches_are_merged_without_a_word_about_rules() {
    let (site, _tree) = Site::with_topic().await;
    site.open_topic().await;
    let create = json!({ "pullRequestId": "1", "approvalRuleName": "one", "approvalRuleContent": rule(1, &[]) });
    site.call("CreatePullRequestApprovalRule", create).await.unwrap();
    let input =
        json!({ "repositoryName": "demo", "sourceCommitSpecifier": "topic", "destinationCommitSpecifier": "main" });
    site.call("MergeBranchesByFastForward", input).await.unwrap();
    assert_eq!(site.pull_request("1").await["pullRequestStatus"], "CLOSED");
}

#[tokio::test]
async fn an_override_sets_all_rules_aside_for_its_revision() {
    let (site, tree) = Site::with_topic().await;
    let made = site.open_topic().await;
    let create = json!({ "pullRequestId": "1", "approvalRuleName": "one", "approvalRuleContent": rule(1, &[]) });
    site.call("CreatePullRequestApprovalRule", create).await.unwrap();
    site.events();
    let set = |revision: &Value, status: &str| {
        let input = json!({ "pullRequestId": "1", "revisionId": revision, "overrideStatus": status });
        site.call_as(ANNA, "OverridePullRequestApprovalRules", input)
    };
    let revision = &made["revisionId"];
    set(revision, "OVERRIDE").await.unwrap();
    assert_eq!(set(revision, "OVERRIDE").await.unwrap_err().code, "OverrideAlreadySetException");
    let state = json!({ "pullRequestId": "1", "revisionId": revision });
    let state = site.call("GetPullRequestOverrideState", state).await.unwrap();
    assert_eq!(state, json!({ "overridden": true, "overrider": ANNA }));
    let evaluated = site.evaluated().await;
    assert_eq!((&evaluated["approved"], &evaluated["overridden"]), (&json!(false), &json!(true)));
    set(revision, "REVOKE").await.unwrap();
    assert_eq!(site.merge_is_refused().await, "PullRequestApprovalRulesNotSatisfiedException");
    set(revision, "OVERRIDE").await.unwrap();
    assert_eq!(site.told(), ["pullRequestApprovalRuleOverridden 1"; 3]);

    tree.commit("c", "more\n").await;
    tree.git(&["push", "-q", "origin", "topic"]).await;
    assert_eq!(set(revision, "REVOKE").await.unwrap_err().code, "RevisionNotCurrentException");
    assert_eq!(site.merge_is_refused().await, "PullRequestApprovalRulesNotSatisfiedException");
    set(&site.pull_request("1").await["revisionId"], "OVERRIDE").await.unwrap();
    let merge = json!({ "pullRequestId": "1", "repositoryName": "demo" });
    site.call("MergePullRequestByFastForward", merge).await.unwrap();
}

#[tokio::test]
async fn a_rule_of_a_pull_request_is_changed_and_deleted_and_one_of_a_template_only_overridden() {
    let (site, _tree) = Site::with_topic().await;
    let associate = |name: &str| json!({ "approvalRuleTemplateName": name, "repositoryName": "demo" });
    for (name, destinations) in [("gate", &["refs/heads/main"][..]), ("elsewhere", &["refs/heads/other"]), ("all", &[])]
    {
        site.call("CreateApprovalRuleTemplate", template(name, destinations)).await.unwrap();
        site.call("AssociateApprovalRuleTemplateWithRepository", associate(name)).await.unwrap();
    }
    let made = site.open_topic().await;
    let names: Vec<&str> = made["approvalRules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| rule["approvalRuleName"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["all", "gate"], "of those for its destination");
    assert_eq!(made["approvalRules"][1]["originApprovalRuleTemplate"]["approvalRuleTemplateName"], "gate");
    site.events();
    let of = |name: &str| json!({ "pullRequestId": "1", "approvalRuleName": name });
    let update = |name: &str| {
        let mut input = of(name);
        input["newRuleContent"] = json!(rule(1, &[]));
        input
    };
    assert_eq!(
        site.refused("UpdatePullRequestApprovalRuleContent", update("gate")).await,
        "CannotModifyApprovalRuleFromTemplateException"
    );
    assert_eq!(
        site.refused("DeletePullRequestApprovalRule", of("gate")).await,
        "CannotDeleteApprovalRuleFromTemplateException"
    );
    let mut create = of("own");
    create["approvalRuleContent"] = json!(rule(2, &[]));
    let own = site.call("CreatePullRequestApprovalRule", create).await.unwrap()["approvalRule"].clone();
    let mut stale = update("own");
    stale["existingRuleContentSha256"] = json!("0".repeat(64));
    assert_eq!(
        site.refused("UpdatePullRequestApprovalRuleContent", stale.clone()).await,
        "InvalidRuleContentSha256Exception"
    );
    stale["existingRuleContentSha256"] = own["ruleContentSha256"].clone();
    let updated = site.call("UpdatePullRequestApprovalRuleContent", stale).await.unwrap()["approvalRule"].clone();
    assert_eq!(updated["approvalRuleId"], own["approvalRuleId"]);
    assert_ne!(updated["ruleContentSha256"], own["ruleContentSha256"]);
    let deleted = site.call("DeletePullRequestApprovalRule", of("own")).await.unwrap();
    assert_eq!(deleted["approvalRuleId"], own["approvalRuleId"]);
    assert_eq!(site.call("DeletePullRequestApprovalRule", of("own")).await.unwrap(), json!({}));
    let expected =
        ["pullRequestApprovalRuleCreated 1", "pullRequestApprovalRuleUpdated 1", "pullRequestApprovalRuleDeleted 1"];
    assert_eq!(site.told(), expected);
    assert_eq!(
        site.refused("UpdatePullRequestApprovalRuleContent", update("own")).await,
        "ApprovalRuleDoesNotExistException"
    );
}

#[tokio::test]
async fn a_template_reaches_only_pull_requests_that_come_after_it() {
    let (site, _tree) = Site::with_topic().await;
    site.open_topic().await;
    site.events();
    site.call("CreateApprovalRuleTemplate", template("gate", &[])).await.unwrap();
    let associate = json!({ "approvalRuleTemplateName": "gate", "repositoryName": "demo" });
    site.call("AssociateApprovalRuleTemplateWithRepository", associate.clone()).await.unwrap();
    site.call("AssociateApprovalRuleTemplateWithRepository", associate.clone()).await.unwrap();
    assert_eq!(site.pull_request("1").await["approvalRules"], json!([]));
    let second = site.open_topic().await;
    let content = &second["approvalRules"][0]["approvalRuleContent"];
    let update = json!({ "approvalRuleTemplateName": "gate", "newRuleContent": rule(2, &[]) });
    site.call("UpdateApprovalRuleTemplateContent", update).await.unwrap();
    assert_eq!(&site.pull_request("2").await["approvalRules"][0]["approvalRuleContent"], content);
    assert_ne!(&site.open_topic().await["approvalRules"][0]["approvalRuleContent"], content);
    let named = json!({ "approvalRuleTemplateName": "gate" });
    assert_eq!(site.refused("DeleteApprovalRuleTemplate", named.clone()).await, "ApprovalRuleTemplateInUseException");
    site.call("DisassociateApprovalRuleTemplateFromRepository", associate).await.unwrap();
    assert_eq!(site.open_topic().await["approvalRules"], json!([]));
    site.call("DeleteApprovalRuleTemplate", named.clone()).await.unwrap();
    assert_eq!(site.call("DeleteApprovalRuleTemplate", named.clone()).await.unwrap(), json!({}));
    assert_eq!(site.refused("GetApprovalRuleTemplate", named).await, "ApprovalRuleTemplateDoesNotExistException");
    assert_eq!(site.pull_request("2").await["approvalRules"].as_array().unwrap().len(), 1, "the rule stays");
    let expected = [
        "approvalRuleTemplateCreated gate",
        "approvalRuleTemplateAssociatedWithRepository gate",
        "pullRequestCreated 2",
        "approvalRuleTemplateUpdated gate",
        "pullRequestCreated 3",
        "approvalRuleTemplateDisassociatedFromRepository gate",
        "pullRequestCreated 4",
        "approvalRuleTemplateDeleted gate",
    ];
    assert_eq!(site.told(), expected);
}

#[tokio::test]
async fn the_limits_are_25_templates_30_rules_and_200_approvals() {
    let (site, _tree) = Site::with_topic().await;
    let batch = |names: &[&str], number: usize| json!({ "approvalRuleTemplateName": format!("t{number}"), "repositoryNames": names });
    for number in 0..26 {
        site.call("CreateApprovalRuleTemplate", template(&format!("t{number}"), &[])).await.unwrap();
        let done = site
            .call("BatchAssociateApprovalRuleTemplateWithRepositories", batch(&["demo", "none"], number))
            .await
            .unwrap();
        let codes: Vec<&str> =
            done["errors"].as_array().unwrap().iter().map(|one| one["errorCode"].as_str().unwrap()).collect();
        if number < 25 {
            assert_eq!(done["associatedRepositoryNames"], json!(["demo"]));
            assert_eq!(codes, ["RepositoryDoesNotExistException"]);
        } else {
            let expected = ["MaximumRuleTemplatesAssociatedWithRepositoryException", "RepositoryDoesNotExistException"];
            assert_eq!(codes, expected);
        }
    }
    let made = site.open_topic().await;
    assert_eq!(made["approvalRules"].as_array().unwrap().len(), 25);
    let own = |number: usize| json!({ "pullRequestId": "1", "approvalRuleName": format!("own {number}"), "approvalRuleContent": rule(1, &[]) });
    for number in 0..5 {
        site.call("CreatePullRequestApprovalRule", own(number)).await.unwrap();
    }
    assert_eq!(site.refused("CreatePullRequestApprovalRule", own(5)).await, "NumberOfRulesExceededException");
    for number in 0..200 {
        assert_eq!(site.vote(&format!("{CHECKS}/s{number}"), &made["revisionId"], "APPROVE").await, None);
    }
    let one_more = site.vote(ANNA, &made["revisionId"], "APPROVE").await;
    assert_eq!(one_more.as_deref(), Some("MaximumNumberOfApprovalsExceededException"));
}

#[tokio::test]
async fn templates_and_what_they_are_for_are_there_after_a_restart_and_under_new_names() {
    let (site, _tree) = Site::with_topic().await;
    site.call("CreateApprovalRuleTemplate", template("gate", &[])).await.unwrap();
    site.call("CreateApprovalRuleTemplate", template("other", &[])).await.unwrap();
    let associate = json!({ "approvalRuleTemplateName": "gate", "repositoryName": "demo" });
    site.call("AssociateApprovalRuleTemplateWithRepository", associate).await.unwrap();
    let Site { running, folder, .. } = site;
    running.stop().await.unwrap();
    let site = Site::start_in(folder).await;
    let rename = |new: &str| json!({ "oldApprovalRuleTemplateName": "gate", "newApprovalRuleTemplateName": new });
    assert_eq!(
        site.refused("UpdateApprovalRuleTemplateName", rename("other")).await,
        "ApprovalRuleTemplateNameAlreadyExistsException"
    );
    site.call("UpdateApprovalRuleTemplateName", rename("door")).await.unwrap();
    site.call("UpdateRepositoryName", json!({ "oldName": "demo", "newName": "renamed" })).await.unwrap();
    let of_template = json!({ "approvalRuleTemplateName": "door" });
    let repositories = site.call("ListRepositoriesForApprovalRuleTemplate", of_template).await.unwrap();
    assert_eq!(repositories["repositoryNames"], json!(["renamed"]));
    let of_repository = json!({ "repositoryName": "renamed" });
    let templates = site.call("ListAssociatedApprovalRuleTemplatesForRepository", of_repository).await.unwrap();
    assert_eq!(templates["approvalRuleTemplateNames"], json!(["door"]));
    site.call("DeleteRepository", json!({ "repositoryName": "renamed" })).await.unwrap();
    site.call("DeleteApprovalRuleTemplate", json!({ "approvalRuleTemplateName": "door" })).await.unwrap();
}
