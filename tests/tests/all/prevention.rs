//! `signalbox iam` as a person runs it.

use serde_json::Value;
use signalbox_local::template::ResourceKind;
use signalbox_policy::iam::STACK_ROLES;
use signalbox_tests::Ground;

use crate::commands::signalbox;

const EXAMPLE: &str = "docs/examples/signalbox.yaml";

fn iam<'a>(policy: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["iam", "--policy", policy], more].concat()
}

#[tokio::test]
async fn the_table_tells_who_may_still_do_what() {
    let (code, out, error) = signalbox(&iam(EXAMPLE, &[])).await;
    assert_eq!((code, error.as_str()), (Some(0), ""));
    insta::assert_snapshot!("iam_table", out);
}

#[tokio::test]
async fn documents_go_to_standard_output_and_what_is_narrower_to_standard_error() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("signalbox.yaml");
    let text = "repositories:\n  demo:\n    protection:\n      - { refs: [main, \"a/*/b/**\"], forbid: direct-push }\n";
    std::fs::write(&file, text).unwrap();
    let policy = file.to_str().unwrap();
    for format in ["json", "scp", "cloudformation"] {
        let (code, out, error) = signalbox(&iam(policy, &["--format", format])).await;
        assert_eq!(code, Some(0), "{error}");
        serde_json::from_str::<Value>(&out).unwrap();
        assert!(error.contains("signalbox.yaml:4: a/*/b/** cannot be said to IAM"), "{error}");
        assert!(error.contains("the mode is `observe`"), "{error}");
    }
    let (_, out, _) = signalbox(&iam(policy, &["--format", "scp"])).await;
    assert!(!out.trim_end().contains([' ', '\n']), "white space counts there: {out}");
    let more = ["--format", "json", "--region", "eu-west-1", "--account", "111122223333", "--stack", "ours"];
    let (_, out, _) = signalbox(&iam(policy, &more)).await;
    for arn in ["arn:aws:codecommit:eu-west-1:111122223333:demo", "arn:aws:iam::111122223333:role/ours-ProtectorRole-*"]
    {
        assert!(out.contains(arn), "{out}");
    }
}

#[tokio::test]
async fn documents_go_to_files_and_several_are_numbered() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("signalbox.yaml");
    let out = dir.path().join("prevention.json");
    let names: Vec<String> = (0..400).map(|number| format!("a-branch-with-a-long-name-{number}")).collect();
    let policy = |refs: &str| {
        let text = format!(
            "mode: enforce\nrepositories: {{ demo: {{ protection: [{{ refs: [{refs}], forbid: direct-push }}] }} }}\n"
        );
        std::fs::write(&file, text).unwrap();
    };
    let arguments = iam(file.to_str().unwrap(), &["--format", "json", "--out", out.to_str().unwrap()]);
    policy(&names.join(", "));
    let (code, told, error) = signalbox(&arguments).await;
    assert_eq!(code, Some(0), "{error}");
    assert!(told.contains("IAM refuses") && told.contains("prevention-2.json"), "{told}");
    let second = dir.path().join("prevention-2.json");
    let document: Value = serde_json::from_str(&std::fs::read_to_string(&second).unwrap()).unwrap();
    assert_eq!(document["Version"], "2012-10-17");
    policy("main");
    let (code, _, error) = signalbox(&arguments).await;
    assert_eq!(code, Some(0), "{error}");
    assert!(out.exists() && error.contains("prevention-1.json is of an earlier run"), "{error}");
}

#[tokio::test]
async fn nothing_protected_is_no_failure_and_a_bad_policy_is_one() {
    let (code, out, _) = signalbox(&iam("docs/examples/first.yaml", &[])).await;
    assert_eq!(code, Some(0));
    assert!(out.starts_with("nothing to prevent:"), "{out}");
    let (code, out, error) = signalbox(&iam("docs/examples/first.yaml", &["--format", "json"])).await;
    assert_eq!((code, out.as_str()), (Some(0), ""), "{error}");
    assert!(error.starts_with("nothing to prevent:"), "{error}");
    let (code, _, error) = signalbox(&iam("no-such-file.yaml", &[])).await;
    assert_eq!(code, Some(1));
    assert!(error.contains("cannot read the policy no-such-file.yaml"), "{error}");
    let wrong: [(&[&str], &str); 4] = [
        (&["--stack", "a-stack-whose-name-is-longer-than-what-fits"], "35 characters"),
        (&["--out", "x.json"], "--format"),
        (&["--format", "cloudformation", "--region", "eu-west-1"], "leave --region out"),
        (&["--format", "json", "--account", "1:2"], "--account 1:2 is none"),
    ];
    for (more, told) in wrong {
        let (code, _, error) = signalbox(&iam(EXAMPLE, more)).await;
        assert!(code == Some(1) && error.contains(told), "{more:?}: {error}");
    }
    let (code, _, error) = signalbox(&iam(EXAMPLE, &["--spare", "developer"])).await;
    assert!(code == Some(2) && error.contains("arn:"), "{error}");
    assert_eq!(signalbox(&["iam"]).await.0, Some(2));
}

#[tokio::test]
async fn every_role_of_the_template_that_writes_to_repositories_is_spared_by_its_name() {
    let ground = Ground::without_functions().await.unwrap();
    let roles = ground.stage.stack.resources.iter().filter(|(_, made)| made.kind == ResourceKind::Role);
    let denied = [
        "GitPush",
        "PutFile",
        "CreateCommit",
        "MergeBranchesBy",
        "DeleteBranch",
        "UpdateDefaultBranch",
        "ApprovalRule",
    ];
    let mut found = Vec::new();
    for (id, made) in roles {
        let policies = made.properties["Policies"].to_string();
        let writes = policies.split('"').filter_map(|word| word.strip_prefix("codecommit:"));
        if writes.into_iter().any(|action| denied.iter().any(|word| action.contains(word))) {
            assert!(STACK_ROLES.contains(&id.as_str()), "{id} is refused by the statements of signalbox iam");
            assert!(made.name.starts_with(&format!("signalbox-{id}-")), "{}", made.name);
            found.push(id.as_str());
        }
    }
    assert!(found.contains(&"ReplicatorRole"), "{found:?}");
}
