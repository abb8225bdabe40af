//! The way into an account, and `apply`, alike against an account and the local cloud.

use signalbox_tests::Ground;

use crate::desk::{Desk, POLICY, answer, policy_in_force, refusing};

#[tokio::test(flavor = "multi_thread")]
async fn apply_checks_compares_and_writes_only_what_differs() {
    let ground = Ground::without_functions().await.unwrap();
    let desk = Desk::at(&ground);
    let file = desk.file("signalbox.yaml", POLICY);

    let ran = desk.run(&["apply", &file]).await;
    assert_eq!(ran.code, Some(1), "{}", ran.out);
    assert!(ran.error.contains("no terminal to ask at") && ran.error.contains("--yes"), "{}", ran.error);
    let ran = desk.run(&["apply", "--dry-run"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.error);
    assert!(ran.out.contains("dry run: nothing was changed") && !ran.out.contains('\u{1b}'), "{}", ran.out);
    assert_eq!(policy_in_force(&ground), None);

    let ran = desk.run(&["apply", "--yes"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.error);
    for told in ["in force: none", "+mode: enforce", "becomes ENFORCE", "demo: the trigger unit is added", "as version"]
    {
        assert!(ran.out.contains(told), "{told}: {}", ran.out);
    }
    assert_eq!(policy_in_force(&ground).as_deref(), Some(POLICY));

    let ran = desk.run(&["apply", "--yes"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.error);
    assert!(
        ran.out.contains("nothing to do:") && ran.out.contains("by arn:aws:iam::111122223333:user/developer"),
        "{}",
        ran.out
    );

    desk.file("signalbox.yaml", &POLICY.replace("[main]", "[main, next]"));
    let ran = desk.run(&["apply", "--yes"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.error);
    assert!(ran.out.contains("-        on: { push: { branches: [main] } }"), "{}", ran.out);
    assert!(ran.out.contains("demo: the trigger unit changes"), "{}", ran.out);

    let before = policy_in_force(&ground);
    desk.file("signalbox.yaml", "mode: enforse\nrepositories:\n  \"a-*\": { trigers: {} }\n");
    let ran = desk.run(&["apply", "--yes"]).await;
    assert_eq!(ran.code, Some(1));
    assert!(ran.error.contains("signalbox.yaml:1:7:") && ran.error.contains("signalbox.yaml:3:"), "{}", ran.error);
    assert_eq!(policy_in_force(&ground), before);
    ground.stage.clear().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn apply_asks_and_a_lost_race_shows_what_the_other_changed() {
    let ground = Ground::without_functions().await.unwrap();
    let desk = Desk::at(&ground);
    desk.file("signalbox.yaml", POLICY);
    let question = "into force? [y/N] ";
    let ran = answer(&desk, &["apply"], question, "n", || {}).await;
    assert_eq!(ran.code, Some(1), "{}", ran.out);
    assert_eq!(policy_in_force(&ground), None);
    let ran = answer(&desk, &["apply"], question, "y", || ground.policy("mode: observe\n").unwrap()).await;
    assert_eq!(ran.code, Some(1), "{}", ran.out);
    assert!(ran.out.contains("somebody else changed the policy meanwhile"), "{}", ran.out);
    assert!(ran.out.contains("+mode: observe"), "{}", ran.out);
    assert!(
        ran.out.contains("Their policy is in force.") && ran.out.contains("`signalbox apply` again"),
        "{}",
        ran.out
    );
    assert_eq!(policy_in_force(&ground).as_deref(), Some("mode: observe\n"));
    let ran = answer(&desk, &["apply"], question, "y", || {}).await;
    assert_eq!(ran.code, Some(0), "{}", ran.out);
    assert_eq!(policy_in_force(&ground).as_deref(), Some(POLICY));

    // Somebody who writes the same text is no rival.
    ground.policy("mode: observe\n").unwrap();
    let ran = answer(&desk, &["apply"], question, "y", || ground.policy(POLICY).unwrap()).await;
    assert_eq!(ran.code, Some(0), "{}", ran.out);
    assert!(ran.out.contains("signalbox.yaml is in force: version"), "{}", ran.out);
    ground.stage.clear().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_way_is_told_with_what_to_do() {
    let desk = Desk::bare();
    let ran = desk.run(&["status"]).await;
    assert_eq!(ran.code, Some(3));
    assert!(ran.error.contains("no region is set") && ran.error.contains("--region"), "{}", ran.error);

    let ran = desk.run(&["status", "--region", "eu-west-1"]).await;
    assert!(
        ran.error.contains("no AWS credentials were found") && ran.error.contains("aws sso login"),
        "{}",
        ran.error
    );
    let ran = desk.run(&["status", "--region", "eu-west-1", "--profile", "nobody"]).await;
    assert!(ran.error.contains("no credentials in the profile `nobody`"), "{}", ran.error);

    desk.file(
        ".aws/config",
        "[profile team]\nregion = eu-west-1\nsso_session = acme\nsso_account_id = 111122223333\nsso_role_name = Admin\n\n[sso-session acme]\nsso_region = eu-west-1\nsso_start_url = https://acme.example.com/start\n",
    );
    let ran = desk.run(&["status", "--profile", "team"]).await;
    assert!(ran.error.contains("aws sso login --profile team"), "{}", ran.error);

    let desk = Desk::bare()
        .with("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
        .with("AWS_SECRET_ACCESS_KEY", "x")
        .with("AWS_REGION", "eu-west-1");
    let denied = refusing(
        403,
        "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>User: anna is not authorized</Message></Error></ErrorResponse>",
    );
    let ran = desk.run(&["status", "--endpoint-url", &denied]).await;
    assert!(ran.error.contains("your credentials may not sts:GetCallerIdentity"), "{}", ran.error);
    let last = "  because sts:GetCallerIdentity: AccessDenied: User: anna is not authorized (request r-7)\n";
    assert!(ran.error.ends_with(last), "AWS's words, and nothing of a program: {}", ran.error);
    assert!(!ran.error.contains("template.yaml"), "that is about the functions: {}", ran.error);
    let expired = refusing(
        403,
        "<ErrorResponse><Error><Type>Sender</Type><Code>ExpiredToken</Code><Message>The security token included in the request is expired</Message></Error></ErrorResponse>",
    );
    let ran = desk.run(&["status", "--endpoint-url", &expired]).await;
    assert!(ran.error.contains("your credentials have expired"), "{}", ran.error);
    let ran = desk.run(&["status", "--endpoint-url", "http://127.0.0.1:9"]).await;
    assert!(ran.error.contains("http://127.0.0.1:9 does not answer"), "{}", ran.error);
    assert!(ran.error.contains("could not be reached: Connection refused"), "{}", ran.error);
    for (status, body, told) in [
        (
            400,
            "<ErrorResponse><Error><Code>Throttling</Code><Message>Rate exceeded</Message></Error></ErrorResponse>",
            "asked too much",
        ),
        (500, "<ErrorResponse><Error><Code>InternalFailure</Code></Error></ErrorResponse>", "failed on AWS's side"),
        (200, "<no XML", "did not go well this time: run it again"),
        (
            403,
            "<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code><Message>Signature expired: 20250101T000000Z is now earlier than 20250101T001000Z</Message></Error></ErrorResponse>",
            "this machine's clock",
        ),
    ] {
        let ran = desk.run(&["status", "--endpoint-url", &refusing(status, body)]).await;
        assert_eq!(ran.code, Some(3), "{}", ran.error);
        assert!(ran.error.contains(told) && !ran.error.contains("does not answer"), "{told}: {}", ran.error);
        assert!(!ran.error.contains('{') && !ran.error.contains("Some("), "text of a program: {}", ran.error);
    }
    for wrong in [["--region", "mars"], ["--endpoint-url", "127.0.0.1:4600"]] {
        let ran = desk.run(&["apply", wrong[0], wrong[1]]).await;
        assert_eq!(ran.code, Some(2), "{}", ran.error);
        assert!(ran.error.contains(wrong[0]) && ran.error.contains("such as"), "{}", ran.error);
    }

    let ground = Ground::without_functions().await.unwrap();
    let desk = Desk::at(&ground);
    let ran = desk.run(&["apply", "--stack", "other", &desk.file("p.yaml", POLICY)]).await;
    assert!(ran.error.contains("there is no stack other in account 111122223333, region eu-west-1"), "{}", ran.error);
    let ran = desk.run(&["redrive", "auditor", "--all"]).await;
    assert!(
        ran.error.contains("has no function auditor; it has approver, notifier, protector, replicator, trigger"),
        "{}",
        ran.error
    );
    let ran = desk.run(&["redrive"]).await;
    assert_eq!(ran.code, Some(2), "{}", ran.error);
    let ran = Desk::at(&ground).with("AWS_SECRET_ACCESS_KEY", "wrong").run(&["status"]).await;
    assert!(ran.error.contains("your keys are not known there"), "{}", ran.error);
    ground.stage.clear().await.unwrap();
}
