//! What IAM can prevent of a policy: which actions are denied, and documents that fit.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;

use serde_json::Value;
use signalbox_policy::iam::{Act, Form, Guard, May, Place, Prevention, Repositories};
use signalbox_policy::parse_policy;

fn place() -> Place {
    let [partition, region, account, stack] = ["aws", "eu-west-1", "111122223333", "signalbox"].map(str::to_owned);
    Place { partition, region, account, stack }
}

fn prevention(protection: &str) -> Prevention {
    let text = format!("mode: enforce\nrepositories:\n  demo:\n    protection:\n      - {protection}\n");
    Prevention::of(&parse_policy(&text).unwrap(), &[])
}

/// The actions of the statements about refs, without the one about the quarantine.
fn on_refs(protection: &str) -> Vec<String> {
    let prevention = prevention(protection);
    let wanted = prevention.statements.iter().filter(|one| one.refs.is_some() && one.line > 0);
    wanted.flat_map(|one| &one.actions).map(|action| action.replace("codecommit:", "")).collect()
}

fn guard(protection: &str, act: Act) -> Guard {
    prevention(protection).protected[0].rows.iter().find(|row| row.act == act).unwrap().guard
}

#[test]
fn each_word_denies_what_only_it_forbids() {
    let writes = ["CreateCommit", "DeleteFile", "GitPush", "MergeBranchesBy*", "PutFile"];
    assert_eq!(on_refs("{ refs: main, forbid: direct-push }"), writes);
    assert_eq!(on_refs("{ refs: main, forbid: deletion }"), ["DeleteBranch"]);
    assert_eq!(on_refs("{ refs: main, forbid: creation }"), ["CreateBranch"]);
    assert!(on_refs("{ refs: main, forbid: force-push }").is_empty(), "IAM cannot tell a forced push from another");
    // An update may not be denied as a push, which also creates.
    let update = on_refs("{ refs: main, forbid: update }");
    assert!(
        update.contains(&"MergePullRequestBy*".to_owned()) && !update.contains(&"GitPush".to_owned()),
        "{update:?}"
    );
    assert!(on_refs("{ refs: main, forbid: [creation, update, deletion] }").contains(&"GitPush".to_owned()));
    assert!(on_refs("{ refs: refs/tags/v*, forbid: [update, deletion] }").is_empty(), "a new tag must pass");
    assert_eq!(on_refs("{ refs: refs/tags/v*, forbid: [creation, update, deletion] }"), ["GitPush"]);
}

#[test]
fn what_is_only_reported_is_not_refused_and_who_mends_the_rest_is_told() {
    let report = "{ refs: main, forbid: [direct-push, deletion], on_violation: report }";
    assert!(on_refs(report).is_empty());
    assert_eq!(guard(report, Act::Push), Guard::Tells);
    assert_eq!(guard("{ refs: main, forbid: force-push }", Act::Force), Guard::Mends);
    let direct = "{ refs: main, forbid: direct-push }";
    assert_eq!(guard(direct, Act::Push), Guard::Iam);
    assert_eq!(guard(direct, Act::DeleteByPush), Guard::IamToo);
    assert_eq!((guard(direct, Act::Delete), guard(direct, Act::Merge)), (Guard::Nobody, Guard::Nobody));
    assert_eq!(guard("{ refs: refs/tags/v*, forbid: [update] }", Act::Push), Guard::Mends);
    let bypass = prevention("{ refs: main, forbid: direct-push, bypass: [\"arn:aws:iam::111122223333:user/anna\"] }");
    assert_eq!(bypass.protected[0].rows[0].may, May::Only(vec!["arn:aws:iam::111122223333:user/anna".to_owned()]));
}

#[test]
fn what_iam_cannot_name_is_mended_and_told() {
    let deep = "{ refs: \"a/*/b/**\", forbid: [direct-push, deletion], watch: default-branch }";
    assert_eq!((guard(deep, Act::Push), guard(deep, Act::Delete)), (Guard::Mends, Guard::Mends));
    assert_eq!(guard(deep, Act::DefaultBranch), Guard::Iam);
    assert_eq!(prevention(deep).protected[0].narrower.len(), 1);
}

#[test]
fn a_policy_without_protection_asks_for_nothing() {
    let none = Prevention::of(&parse_policy("repositories: { demo: { notifications: [] } }").unwrap(), &[]);
    assert!(none.statements.is_empty() && none.protected.is_empty());
    assert!(none.documents(Form::Managed, &place()).unwrap().is_empty());
    assert_eq!(none.cloudformation("signalbox").unwrap(), None);
}

#[test]
fn an_excluding_section_is_about_all_other_repositories() {
    let text = "repositories:\n  \"!sandbox-*\":\n    protection:\n      - { refs: main, forbid: direct-push }\n";
    let prevention = Prevention::of(&parse_policy(text).unwrap(), &[]);
    assert_eq!(prevention.statements[0].repositories, Repositories::AllBut(vec!["sandbox-*".to_owned()]));
}

#[test]
fn many_refs_are_split_over_documents_that_fit_and_none_is_lost() {
    let names: Vec<String> = (0..400).map(|number| format!("release/of-a-rather-long-name-{number:03}")).collect();
    let prevention = prevention(&format!("{{ refs: [{}], forbid: [direct-push, deletion] }}", names.join(", ")));
    for form in [Form::Managed, Form::ServiceControl] {
        let documents = prevention.documents(form, &place()).unwrap();
        assert!(documents.len() > 2, "{}", documents.len());
        let mut found = BTreeSet::new();
        for document in &documents {
            assert!(document.to_string().len() <= form.limit(), "{}", document.to_string().len());
            let statements = document["Statement"].as_array().unwrap();
            let sids: BTreeSet<&str> = statements.iter().map(|one| one["Sid"].as_str().unwrap()).collect();
            assert_eq!(sids.len(), statements.len(), "a Sid comes once");
            for statement in statements {
                let likes = &statement["Condition"]["StringLikeIfExists"]["codecommit:References"];
                found.extend(likes.as_array().into_iter().flatten().map(|like| like.as_str().unwrap().to_owned()));
            }
        }
        for name in &names {
            assert!(found.contains(&format!("refs/heads/{name}")), "{name}");
        }
    }
    let template = prevention.cloudformation("signalbox").unwrap().unwrap();
    assert!(template["Resources"].as_object().unwrap().len() > 2);
}

#[test]
fn a_statement_that_fits_nowhere_is_told_with_its_line() {
    let bypass: Vec<String> =
        (0..200).map(|number| format!("\"arn:aws:iam::111122223333:user/of-a-long-name-{number}\"")).collect();
    let all = prevention(&format!("{{ refs: main, forbid: direct-push, bypass: [{}] }}", bypass.join(", ")));
    let told = all.documents(Form::Managed, &place()).unwrap_err().to_string();
    assert!(told.contains("line 5") && told.contains("6144"), "{told}");
}

#[test]
fn the_example_is_printed() {
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples/signalbox.yaml")).unwrap();
    let prevention = Prevention::of(&parse_policy(&text).unwrap(), &[]);
    let documents: Vec<Value> = prevention.documents(Form::Managed, &place()).unwrap();
    insta::assert_snapshot!("iam_of_the_example", serde_json::to_string_pretty(&documents).unwrap());
}
