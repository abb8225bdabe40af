//! Judgements as AWS documents them, and the gate in front of the services.

use std::collections::BTreeSet;

use base64::Engine;
use serde_json::{Value, json};

use super::*;

const DEVELOPER: &str = "arn:aws:iam::111122223333:user/developer";
const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/worker/run";
const QUEUE: &str = "arn:aws:sqs:eu-west-1:111122223333:trigger";
const RULE: &str = "arn:aws:events:eu-west-1:111122223333:rule/pushes";

fn iam() -> Iam {
    Iam::new("111122223333", "eu-west-1")
}

/// An account with a role `worker` that has these statements.
fn with_worker(statements: impl Into<Value>) -> Iam {
    let iam = iam();
    let policy = json!({ "Version": "2012-10-17", "Statement": statements.into() });
    iam.put_role("worker", Definition::of_service("lambda.amazonaws.com", "work", policy)).unwrap();
    iam
}

fn allow(action: &str, resource: &str) -> Value {
    json!({ "Sid": "Allowed", "Effect": "Allow", "Action": action, "Resource": resource })
}

fn deny(action: &str, resource: &str) -> Value {
    json!({ "Sid": "Denied", "Effect": "Deny", "Action": action, "Resource": resource })
}

fn resource_policy(effect: &str, principal: &Value) -> String {
    json!({ "Version": "2012-10-17", "Statement": [{
        "Sid": "Ours", "Effect": effect, "Principal": principal, "Action": "sqs:SendMessage", "Resource": QUEUE,
    }] })
    .to_string()
}

fn send() -> Need {
    Need::new("sqs:SendMessage", QUEUE)
}

#[test]
fn without_a_statement_nothing_is_allowed_and_the_administrator_may_do_everything() {
    let iam = with_worker(allow("s3:GetObject", "arn:aws:s3:::b/*"));
    iam.check(DEVELOPER, &send(), None).unwrap();
    let refusal = iam.check(SESSION, &send(), None).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "User: arn:aws:sts::111122223333:assumed-role/worker/run is not authorized to perform: sqs:sendmessage on \
         resource: arn:aws:sqs:eu-west-1:111122223333:trigger because no identity-based policy allows the \
         sqs:sendmessage action (no statement of the role worker allows it; its policies: work)"
    );
    let nobody = iam.check("arn:aws:iam::111122223333:user/nobody", &send(), None).unwrap_err();
    assert!(nobody.to_string().contains("the user nobody has no policy"), "{nobody}");
}

#[test]
fn an_explicit_deny_wins_wherever_it_stands() {
    let own = with_worker(json!([allow("*", "*"), deny("sqs:Send*", "*")]));
    let refusal = own.check(SESSION, &send(), Some(&resource_policy("Allow", &json!("*")))).unwrap_err().to_string();
    assert!(refusal.contains("with an explicit deny in an identity-based policy"), "{refusal}");
    assert!(refusal.contains("the statement Denied of the policy work of the role worker"), "{refusal}");
    let refusal = iam().check(DEVELOPER, &send(), Some(&resource_policy("Deny", &json!("*")))).unwrap_err().to_string();
    assert!(refusal.contains("with an explicit deny in a resource-based policy (the statement Ours"), "{refusal}");
    // A Deny that names the account names everybody in it.
    iam().check(DEVELOPER, &send(), Some(&resource_policy("Deny", &json!({ "AWS": "111122223333" })))).unwrap_err();
}

#[test]
fn in_one_account_either_policy_is_enough_but_naming_the_account_is_not() {
    let bare = with_worker(allow("s3:GetObject", "*"));
    for named in [json!({ "AWS": "arn:aws:iam::111122223333:role/worker" }), json!({ "AWS": SESSION }), json!("*")] {
        bare.check(SESSION, &send(), Some(&resource_policy("Allow", &named))).unwrap();
    }
    let account = resource_policy("Allow", &json!({ "AWS": "arn:aws:iam::111122223333:root" }));
    bare.check(SESSION, &send(), Some(&account)).unwrap_err();
    with_worker(allow("sqs:SendMessage", QUEUE)).check(SESSION, &send(), Some(&account)).unwrap();
}

#[test]
fn across_accounts_both_policies_are_needed() {
    let iam = with_worker(allow("sqs:SendMessage", "*"));
    let need = Need::new("sqs:SendMessage", "arn:aws:sqs:eu-west-1:999999999999:theirs");
    let theirs = |principal: Value| {
        json!({ "Statement": { "Effect": "Allow", "Principal": principal, "Action": "sqs:*" } }).to_string()
    };
    let refusal = iam.check(SESSION, &need, None).unwrap_err().to_string();
    assert!(refusal.contains("because no resource-based policy allows"), "{refusal}");
    iam.check(SESSION, &need, Some(&theirs(json!({ "AWS": "111122223333" })))).unwrap();
    iam.check(SESSION, &need, Some(&theirs(json!({ "AWS": "999999999999" })))).unwrap_err();
    let bare = with_worker(allow("s3:GetObject", "*"));
    bare.check(SESSION, &need, Some(&theirs(json!({ "AWS": "111122223333" })))).unwrap_err();
}

#[test]
fn a_boundary_is_the_most_that_a_role_may_ever_do() {
    let iam = iam();
    let boundary = "arn:aws:iam::111122223333:policy/only-reads";
    let reads = json!({ "Statement": { "Effect": "Allow", "Action": "sqs:Receive*", "Resource": "*" } });
    iam.put_managed_policy(boundary, &reads, &[]).unwrap();
    let all = json!({ "Statement": { "Effect": "Allow", "Action": "sqs:*", "Resource": "*" } });
    let role = Definition::of_service("lambda.amazonaws.com", "work", all);
    iam.put_role("worker", Definition { boundary: Some(boundary.to_owned()), ..role }).unwrap();
    iam.check(SESSION, &Need::new("sqs:ReceiveMessage", QUEUE), None).unwrap();
    let refusal = iam.check(SESSION, &send(), None).unwrap_err().to_string();
    assert!(refusal.contains("because no permissions boundary allows the sqs:sendmessage action"), "{refusal}");
}

/// AWS: a resource policy that names the role grants to the role, which its boundary limits; one that names the session
/// or the user grants to that alone.
#[test]
fn a_boundary_limits_what_a_resource_grants_to_a_role_and_not_what_it_grants_to_a_session_or_a_user() {
    let iam = iam();
    let boundary = "arn:aws:iam::111122223333:policy/only-reads";
    let reads = json!({ "Statement": { "Effect": "Allow", "Action": "sqs:Receive*", "Resource": "*" } });
    iam.put_managed_policy(boundary, &reads, &[]).unwrap();
    let nothing = json!({ "Statement": { "Effect": "Allow", "Action": "s3:GetObject", "Resource": "*" } });
    let bounded = |definition: Definition| Definition { boundary: Some(boundary.to_owned()), ..definition };
    let role = Definition::of_service("lambda.amazonaws.com", "work", nothing.clone());
    iam.put_role("worker", bounded(role)).unwrap();
    iam.put_user("ann", bounded(Definition::default().with_policy("work", nothing))).unwrap();
    let by = |caller: &str, named: &str| {
        iam.check(caller, &send(), Some(&resource_policy("Allow", &json!({ "AWS": named }))))
    };
    let refusal = by(SESSION, "arn:aws:iam::111122223333:role/worker").unwrap_err().to_string();
    assert!(refusal.contains("because no permissions boundary allows the sqs:sendmessage action"), "{refusal}");
    by(SESSION, SESSION).unwrap();
    let ann = "arn:aws:iam::111122223333:user/ann";
    by(ann, ann).unwrap();
    let both = json!({ "AWS": ["arn:aws:iam::111122223333:role/worker", SESSION] });
    iam.check(SESSION, &send(), Some(&resource_policy("Allow", &both))).unwrap();
}

#[test]
fn a_service_is_let_in_by_the_resources_policy_for_its_source_only() {
    let iam = iam();
    let policy = json!({ "Statement": [{
        "Sid": "EventsOfTheRule", "Effect": "Allow", "Principal": { "Service": "events.amazonaws.com" },
        "Action": ["SQS:Send*"], "Resource": "arn:aws:sqs:*:111122223333:tr?gger",
        "Condition": { "ArnEquals": { "aws:SourceArn": RULE }, "StringEquals": { "AWS:SourceAccount": "111122223333" } },
    }, {
        "Sid": "OnlyOverTls", "Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": "*",
        "Condition": { "Bool": { "aws:SecureTransport": "false" } },
    }] })
    .to_string();
    let by = |service: &str, source: &str, policy: Option<&str>| {
        iam.check_service(service, source, &send(), policy).map_err(|refusal| refusal.to_string())
    };
    by("events.amazonaws.com", RULE, Some(&policy)).unwrap();
    let other = by("events.amazonaws.com", &RULE.replace("pushes", "other"), Some(&policy)).unwrap_err();
    assert!(other.contains("the statement EventsOfTheRule") && other.contains("ArnEquals on aws:SourceArn"), "{other}");
    let stranger = by("sns.amazonaws.com", RULE, Some(&policy)).unwrap_err();
    assert!(stranger.contains("the statement EventsOfTheRule"), "{stranger}");
    assert!(by("events.amazonaws.com", RULE, None).unwrap_err().contains("trigger has no policy"));
    assert!(by("events.amazonaws.com", RULE, Some("{")).unwrap_err().contains("cannot be read"));
}

#[test]
fn a_refusal_names_the_statement_that_comes_nearest() {
    let told =
        |statements: Value, need: &Need| with_worker(statements).check(SESSION, need, None).unwrap_err().to_string();
    let get = Need::new("s3:GetObject", "arn:aws:s3:::b/ledger/1");
    let elsewhere = told(allow("s3:GetObject", "arn:aws:s3:::b/policy/*"), &get);
    assert!(
        elsewhere.contains(
            "the statement Allowed of the policy work of the role worker allows the action on other resources only"
        ),
        "{elsewhere}"
    );
    assert!(elsewhere.contains("on resource: \"arn:aws:s3:::b/ledger/1\" because"), "{elsewhere}");
    let lacking = told(allow("s3:PutObject", "arn:aws:s3:::b/ledger/*"), &get);
    assert!(
        lacking.contains(
            "the statement Allowed of the policy work of the role worker names the resource without this action"
        ),
        "{lacking}"
    );
    let mut conditional = allow("s3:*", "*");
    conditional["Condition"] = json!({ "StringEquals": { "aws:RequestedRegion": "us-east-1" } });
    assert!(told(conditional, &get).contains("its condition StringEquals on aws:RequestedRegion does not hold"));
}

/// The documented way to keep people from pushing to a branch: the `Null` beside it spares `git push` before its
/// references are known.
#[test]
fn a_deny_of_pushes_to_a_branch_knows_the_references() {
    let protect = json!([allow("codecommit:*", "*"), {
        "Sid": "ProtectMain", "Effect": "Deny", "Action": ["codecommit:GitPush", "codecommit:PutFile"], "Resource": "*",
        "Condition": {
            "StringEqualsIfExists": { "codecommit:References": ["refs/heads/main"] },
            "Null": { "codecommit:References": "false" },
        },
    }]);
    let iam = with_worker(protect);
    let world = crate::world::World::new(std::path::PathBuf::new(), "eu-west-1", 1);
    let push = |reference| iam.check(SESSION, &actions::codecommit::push(&world, "demo", reference), None);
    push(None).unwrap();
    push(Some("refs/heads/dev")).unwrap();
    push(Some("refs/heads/main")).unwrap_err();
    let put = json!({ "repositoryName": "demo", "branchName": "main" });
    let needs = actions::needs(&world, "codecommit", "PutFile", actions::Input::Json(&put)).unwrap();
    let refusal = iam.check(SESSION, &needs[0], None).unwrap_err().to_string();
    assert!(refusal.contains("the statement ProtectMain"), "{refusal}");
}

#[test]
fn a_user_reaches_what_carries_its_name_or_tag() {
    let iam = iam();
    let home = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "s3:GetObject",
        "Resource": ["arn:aws:s3:::b/home/${aws:username}/*", "arn:aws:s3:::b/${aws:PrincipalTag/team}/*"],
    }] });
    let tags = [("team".to_owned(), "payments".to_owned())].into();
    iam.put_user("ann", Definition { tags, ..Definition::default().with_policy("home", home.clone()) }).unwrap();
    iam.put_user("bob", Definition::default().with_policy("home", home)).unwrap();
    let get = |user: &str, key: &str| {
        let need = Need::new("s3:GetObject", format!("arn:aws:s3:::b/{key}"));
        iam.check(&format!("arn:aws:iam::111122223333:user/{user}"), &need, None).is_ok()
    };
    assert!(get("ann", "home/ann/x") && get("ann", "payments/x") && get("bob", "home/bob/x"));
    assert!(!get("bob", "home/ann/x") && !get("bob", "payments/x") && !get("bob", "/x"));
}

#[test]
fn what_let_a_request_through_is_noted_once() {
    let iam = with_worker(allow("sqs:S*", "*"));
    for _ in 0..3 {
        iam.check(SESSION, &send(), None).unwrap();
    }
    let expected = Use {
        holder: "the role worker".to_owned(),
        policy: "work".to_owned(),
        statement: "Allowed".to_owned(),
        action: "sqs:s*".to_owned(),
        resource: "*".to_owned(),
    };
    assert_eq!(iam.uses(), BTreeSet::from([expected]));
}

#[test]
fn roles_and_policies_that_make_no_sense_are_refused() {
    let iam = iam();
    let code = |made: Answer<()>| made.unwrap_err().code;
    assert_eq!(code(iam.put_role("r", Definition::default())), "ValidationError");
    assert_eq!(code(iam.put_user("a b", Definition::default())), "ValidationError");
    let unknown = Definition::default().with_managed("arn:aws:iam::aws:policy/NoSuch");
    assert_eq!(code(iam.put_user("u", unknown)), "NoSuchEntity");
    let broken = json!({ "Statement": [{ "Effect": "Allow", "Action": "s3", "Resource": "*" }] });
    assert_eq!(
        code(iam.put_user("u", Definition::default().with_policy("p", broken.clone()))),
        "MalformedPolicyDocument"
    );
    assert_eq!(code(iam.put_role_policy(BUILD_ROLE, "p", &broken)), "MalformedPolicyDocument");
    assert_eq!(code(iam.put_role_policy("none", "p", &json!({ "Statement": allow("*", "*") }))), "NoSuchEntity");
}

/// S3's operations are an enum, and the compiler asks for each.
#[test]
fn the_operations_that_are_offered_and_those_that_have_their_actions_are_the_same() {
    let world = crate::world::World::new(std::path::PathBuf::new(), "eu-west-1", 1);
    // Every name that a file could know is a text in it.
    let sources = [
        include_str!("actions/cloudformation.rs"),
        include_str!("actions/codebuild.rs"),
        include_str!("actions/codecommit.rs"),
        include_str!("actions/events.rs"),
        include_str!("actions/iam.rs"),
        include_str!("actions/logs.rs"),
        include_str!("actions/mod.rs"),
        include_str!("actions/secretsmanager.rs"),
        include_str!("actions/sns.rs"),
        include_str!("actions/sqs.rs"),
    ];
    let texts: BTreeSet<&str> = sources.iter().flat_map(|source| source.split('"').skip(1).step_by(2)).collect();
    let offered: BTreeSet<_> = crate::http::operations().filter(|(service, _)| *service != "s3").collect();
    let services: BTreeSet<&str> = offered.iter().map(|(service, _)| *service).collect();
    let knows = |service: &str, operation: &str| {
        actions::needs(&world, service, operation, actions::Input::Json(&json!({}))).is_some()
    };
    let known = services
        .iter()
        .flat_map(|service| texts.iter().filter(|text| knows(service, text)).map(|text| (*service, *text)));
    assert_eq!(known.collect::<BTreeSet<_>>(), offered);
}

/// The gate and the service take the name of what is meant out of a request by one function each.
#[test]
fn what_is_judged_is_what_is_acted_on_however_it_is_named() {
    let world = crate::world::World::new(std::path::PathBuf::new(), "eu-west-1", 1);
    let judged = |service: &str, operation: &str, input: Value| {
        let needs = actions::needs(&world, service, operation, actions::Input::Json(&input)).unwrap();
        needs.into_iter().map(|need| need.resource).collect::<Vec<_>>()
    };
    assert_eq!(judged("sqs", "SendMessage", json!({ "QueueUrl": "http://127.0.0.1:1/111122223333/trigger" })), [QUEUE]);
    for no_url in ["trigger", QUEUE, "http://127.0.0.1:1/999999999999/trigger"] {
        assert_eq!(judged("sqs", "SendMessage", json!({ "QueueUrl": no_url })), ["*"], "{no_url}");
    }
    let events = "arn:aws:events:eu-west-1:111122223333";
    let bus = |name: &str| format!("{events}:event-bus/{name}");
    for named in [json!({}), json!({ "Name": "default" }), json!({ "Name": bus("default") })] {
        assert_eq!(judged("events", "DescribeEventBus", named), [bus("default")]);
    }
    let foreign = "arn:aws:events:us-east-1:999999999999:event-bus/mine";
    assert_eq!(judged("events", "DescribeEventBus", json!({ "Name": foreign })), [foreign]);
    assert_eq!(judged("events", "PutEvents", json!({ "Entries": [{ "EventBusName": "mine" }] })), [bus("mine")]);
    for (named, judged_as) in [
        (json!({ "Name": "pushes" }), RULE.to_owned()),
        (json!({ "Name": "pushes", "EventBusName": bus("default") }), RULE.to_owned()),
        (json!({ "Name": "pushes", "EventBusName": "mine" }), format!("{events}:rule/mine/pushes")),
        (json!({ "Name": "pushes", "EventBusName": foreign }), foreign.replace("event-bus/mine", "rule/mine/pushes")),
    ] {
        assert_eq!(judged("events", "DescribeRule", named), [judged_as]);
    }
}

/// A cloud with a user `guest` who may read objects, and what is really received over the wire.
#[tokio::test]
async fn each_service_refuses_in_its_own_words_and_code() {
    let dir = tempfile::tempdir().unwrap();
    let mut client = crate::http::testing::Client::start(dir.path()).await;
    let cloud = std::sync::Arc::clone(&client.running.cloud);
    let policy = json!({ "Version": "2012-10-17", "Statement": allow("s3:GetObject", "arn:aws:s3:::papers/*") });
    cloud.world.iam.put_user("guest", Definition::default().with_policy("reading", policy)).unwrap();
    cloud.s3.create_bucket("papers", crate::s3::Versioning::Off).unwrap();
    cloud.s3.put("papers", "there", b"x").unwrap();
    client.keys = cloud.keys.user(&cloud.world, "guest");
    let guest = "User: arn:aws:iam::111122223333:user/guest is not authorized to perform: ";

    let json_calls = [
        ("codecommit", "CodeCommit_20150413.GetBranch", "codecommit:GetBranch"),
        ("codebuild", "CodeBuild_20161006.ListProjects", "codebuild:ListProjects"),
        ("logs", "Logs_20140328.DescribeLogGroups", "logs:DescribeLogGroups"),
        ("events", "AWSEvents.ListRules", "events:ListRules"),
    ];
    for (service, target, action) in json_calls {
        let body = r#"{"repositoryName":"demo","branchName":"main"}"#;
        let answer = client.send(service, "POST", "/", &[("x-amz-target", target)], body).await;
        assert!(
            answer.starts_with("HTTP/1.1 400") && answer.contains("\"__type\":\"AccessDeniedException\""),
            "{answer}"
        );
        assert!(answer.contains(&format!("{guest}{action} on resource: ")), "{answer}");
    }
    let answer = client.send("sqs", "POST", "/", &[("x-amz-target", "AmazonSQS.ListQueues")], "{}").await;
    assert!(answer.contains("x-amzn-query-error: AccessDenied;Sender"), "{answer}");
    assert!(answer.contains(&format!("{guest}sqs:listqueues on resource: *")), "{answer}");
    let answer = client.sns("ListTopics", &[]).await;
    assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("<Code>AuthorizationError</Code>"), "{answer}");
    assert!(answer.contains(&format!("{guest}SNS:ListTopics")), "{answer}");

    assert!(client.send("s3", "GET", "/papers/there", &[], "").await.starts_with("HTTP/1.1 200"));
    let missing = client.send("s3", "GET", "/papers/missing", &[], "").await;
    assert!(missing.starts_with("HTTP/1.1 403") && missing.contains("s3:ListBucket"), "{missing}");
    let list = json!({ "Version": "2012-10-17", "Statement": allow("s3:ListBucket", "arn:aws:s3:::papers") });
    cloud.world.iam.put_user_policy("guest", "listing", &list).unwrap();
    assert!(client.send("s3", "GET", "/papers/missing", &[], "").await.starts_with("HTTP/1.1 404"));
    let put = client.send("s3", "PUT", "/papers/there", &[], "y").await;
    assert!(put.contains("<Code>AccessDenied</Code>") && put.contains("s3:PutObject"), "{put}");
    // Who one is may everybody ask.
    let form = "Action=GetCallerIdentity&Version=2011-06-15";
    assert!(client.send("sts", "POST", "/", &[], form).await.contains("user/guest"));
}

/// A condition on an object's ETag tells what the object is: AWS asks for `s3:GetObject` as well. One on whether there
/// is an object at all needs no more than the write.
#[tokio::test]
async fn a_write_on_condition_of_what_an_object_holds_needs_the_right_to_read_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut client = crate::http::testing::Client::start(dir.path()).await;
    let cloud = std::sync::Arc::clone(&client.running.cloud);
    let writes = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": ["s3:PutObject", "s3:DeleteObject"], "Resource": "*" },
        { "Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::papers/source" },
    ] });
    cloud.world.iam.put_user("guest", Definition::default().with_policy("writing", writes)).unwrap();
    cloud.s3.create_bucket("papers", crate::s3::Versioning::Off).unwrap();
    cloud.s3.put("papers", "source", b"x").unwrap();
    client.keys = cloud.keys.user(&cloud.world, "guest");
    let copy = ("x-amz-copy-source", "/papers/source");
    let upload = "<CompleteMultipartUpload/>";
    let requests = [
        ("PutObject", "PUT", "/papers/there", None, "y"),
        ("CopyObject", "PUT", "/papers/there", Some(copy), ""),
        ("CompleteMultipartUpload", "POST", "/papers/there?uploadId=00", None, upload),
        ("DeleteObject", "DELETE", "/papers/there", None, ""),
    ];
    for (name, method, target, headers, body) in requests {
        let answer = async |condition: &[(&str, &str)]| {
            cloud.s3.put("papers", "there", b"y").unwrap();
            client.send("s3", method, target, &[headers.as_slice(), condition].concat(), body).await
        };
        let refused = answer(&[("if-match", "\"415290769594460e2e485922904f345d\"")]).await;
        assert!(refused.starts_with("HTTP/1.1 403") && refused.contains("s3:GetObject"), "{name}: {refused}");
        for condition in [&[][..], &[("if-none-match", "*")]] {
            let judged = answer(condition).await;
            assert!(!judged.starts_with("HTTP/1.1 403"), "{name}: {judged}");
        }
    }
    cloud.s3.put("papers", "there", b"y").unwrap();
    assert!(client.send("s3", "DELETE", "/papers/there", &[("if-match", "*")], "").await.starts_with("HTTP/1.1 204"));
    cloud.s3.put("papers", "there", b"y").unwrap();
    let list = "<Delete><Object><Key>there</Key><ETag>415290769594460e2e485922904f345d</ETag></Object></Delete>";
    let md5 = base64::engine::general_purpose::STANDARD.encode(<md5::Md5 as md5::Digest>::digest(list));
    let many = client.send("s3", "POST", "/papers?delete", &[("content-md5", &md5)], list).await;
    assert!(many.contains("<Code>AccessDenied</Code>") && many.contains("s3:GetObject"), "{many}");
    client.running.stop().await.unwrap();
}
