//! IAM's script.

use serde_json::{Value, json};

use super::run::{Known, Run};

const KNOWN: Known = Known {
    // docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html
    common: &[("ValidationError", 400), ("AccessDenied", 403)],
    always: &[
        ("CreateUser", "/User/UserName"),
        ("CreateUser", "/User/UserId"),
        ("CreateUser", "/User/Arn"),
        ("CreateUser", "/User/CreateDate"),
        ("CreateRole", "/Role/RoleId"),
        ("CreateRole", "/Role/AssumeRolePolicyDocument"),
        ("GetRole", "/Role/MaxSessionDuration"),
        ("GetRole", "/Role/Description"),
        ("GetRole", "/Role/Tags/0/Key"),
        ("GetRole", "/Role/PermissionsBoundary/PermissionsBoundaryArn"),
        ("ListUsers", "/Users/0/Arn"),
        ("ListUsers", "/IsTruncated"),
        ("ListRoles", "/Roles/0/Arn"),
        ("ListUserPolicies", "/PolicyNames/0"),
        ("ListUserPolicies", "/IsTruncated"),
        ("ListRolePolicies", "/PolicyNames/0"),
        ("SimulatePrincipalPolicy", "/EvaluationResults/0/EvalActionName"),
        ("SimulatePrincipalPolicy", "/EvaluationResults/0/EvalResourceName"),
        ("SimulatePrincipalPolicy", "/EvaluationResults/0/EvalDecision"),
        ("SimulatePrincipalPolicy", "/EvaluationResults/0/MatchedStatements"),
        ("SimulatePrincipalPolicy", "/IsTruncated"),
    ],
    taken: &[],
};

const BOUNDARY: &str = "arn:aws:iam::aws:policy/AdministratorAccess";

#[tokio::test]
async fn iam_answers_as_its_model_says() {
    let Some(mut run) = Run::of("iam", KNOWN).await else { return };
    let trust = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": { "AWS": "111122223333" }, "Action": "sts:AssumeRole",
    }] })
    .to_string();
    let statement = |effect: &str, condition: Value| json!({ "Effect": effect, "Action": "codecommit:GitPush", "Resource": "*", "Condition": condition });
    let document = |statements: Value| json!({ "Version": "2012-10-17", "Statement": statements }).to_string();
    let push = document(json!([statement("Allow", json!({}))]));
    let tags = json!([{ "Key": "team", "Value": "payments" }]);

    let user = json!({ "UserName": "anna", "Path": "/teams/", "PermissionsBoundary": BOUNDARY, "Tags": tags });
    let made = run.good("CreateUser", user.clone()).await;
    assert_eq!(made["User"]["Arn"], "arn:aws:iam::111122223333:user/teams/anna");
    run.refused("CreateUser", user, "EntityAlreadyExists").await;
    run.refused("CreateUser", json!({ "UserName": "Anna" }), "EntityAlreadyExists").await;
    let boundary = json!({ "UserName": "ben", "PermissionsBoundary": BOUNDARY.replace("Admin", "None") });
    run.refused("CreateUser", boundary, "NoSuchEntity").await;
    let role = json!({
        "RoleName": "deploy", "AssumeRolePolicyDocument": trust, "Path": "/teams/", "Description": "What deploys",
        "MaxSessionDuration": 7200, "PermissionsBoundary": BOUNDARY, "Tags": tags,
    });
    run.good("CreateRole", role.clone()).await;
    run.refused("CreateRole", role, "EntityAlreadyExists").await;
    let trusts_nobody = json!({ "RoleName": "other", "AssumeRolePolicyDocument": push });
    run.refused("CreateRole", trusts_nobody, "MalformedPolicyDocument").await;

    let found = run.good("GetUser", json!({ "UserName": "anna" })).await;
    assert_eq!(found["User"]["Tags"], tags);
    let own = run.plain("GetUser", json!({})).await;
    assert_eq!(own["User"]["UserName"], "developer");
    run.refused("GetUser", json!({ "UserName": "none" }), "NoSuchEntity").await;
    let found = run.good("GetRole", json!({ "RoleName": "deploy" })).await;
    assert_eq!(found["Role"]["MaxSessionDuration"], 7200);
    run.refused("GetRole", json!({ "RoleName": "none" }), "NoSuchEntity").await;
    for operation in ["ListUsers", "ListRoles"] {
        run.good(operation, json!({ "PathPrefix": "/teams/", "MaxItems": 1 })).await;
        run.plain(operation, json!({})).await;
        run.refused(operation, json!({ "Marker": "forged" }), "ValidationError").await;
    }

    for (whose, word, name) in [("UserName", "User", "anna"), ("RoleName", "Role", "deploy")] {
        let of = |policy: &str, document: Option<&str>| match document {
            Some(document) => json!({ whose: name, "PolicyName": policy, "PolicyDocument": document }),
            None => json!({ whose: name, "PolicyName": policy }),
        };
        let put = format!("Put{word}Policy");
        run.good(&put, of("push", Some(&push))).await;
        run.refused(&put, of("push", Some("{")), "MalformedPolicyDocument").await;
        run.refused(&put, json!({ whose: "none", "PolicyName": "p", "PolicyDocument": push }), "NoSuchEntity").await;
        let long = document(Value::from(vec![statement("Allow", json!({})); 130]));
        run.refused(&put, of("long", Some(&long)), "LimitExceeded").await;
        let list = format!("List{word}Policies");
        run.good(&list, json!({ whose: name, "MaxItems": 1000 })).await;
        run.refused(&list, json!({ whose: "none" }), "NoSuchEntity").await;
        run.refused(&list, json!({ whose: name, "Marker": "forged" }), "ValidationError").await;
    }

    let (repository, anna) =
        ("arn:aws:codecommit:eu-west-1:111122223333:demo", "arn:aws:iam::111122223333:user/teams/anna");
    let asked = |who: &str, value: &str| {
        json!({
            "PolicySourceArn": who, "ActionNames": ["codecommit:GitPush"], "ResourceArns": [repository],
            "ContextEntries": [{
                "ContextKeyName": "codecommit:References", "ContextKeyType": "string", "ContextKeyValues": [value],
            }],
            "MaxItems": 1000,
        })
    };
    let decided = |answer: &Value| answer["EvaluationResults"][0]["EvalDecision"].clone();
    let answer = run.good("SimulatePrincipalPolicy", asked(anna, "refs/heads/main")).await;
    assert_eq!(decided(&answer), "allowed");
    let matched = json!([
        { "SourcePolicyId": BOUNDARY, "SourcePolicyType": "aws-managed" },
        { "SourcePolicyId": "push", "SourcePolicyType": "user" },
    ]);
    assert_eq!(answer["EvaluationResults"][0]["MatchedStatements"], matched, "{answer}");
    let deny = json!({ "StringLike": { "codecommit:References": "refs/heads/main" } });
    let both = document(json!([statement("Allow", json!({})), statement("Deny", deny)]));
    run.plain("PutUserPolicy", json!({ "UserName": "anna", "PolicyName": "push", "PolicyDocument": both })).await;
    for (value, expected) in [("refs/heads/main", "explicitDeny"), ("refs/heads/other", "allowed")] {
        let answer = run.plain("SimulatePrincipalPolicy", asked(anna, value)).await;
        assert_eq!(decided(&answer), expected, "{answer}");
    }
    // Nothing is known of a request but what is said.
    let several =
        json!({ "PolicySourceArn": anna, "ActionNames": ["codecommit:GitPush", "codecommit:GitPull"], "MaxItems": 1 });
    let answer = run.plain("SimulatePrincipalPolicy", several.clone()).await;
    assert_eq!(answer["EvaluationResults"][0]["MissingContextValues"], json!(["codecommit:References"]), "{answer}");
    let mut next = several.clone();
    next["Marker"] = answer["Marker"].clone();
    let answer = run.plain("SimulatePrincipalPolicy", next).await;
    assert_eq!((decided(&answer), answer["IsTruncated"].clone()), (json!("implicitDeny"), json!(false)), "{answer}");
    let mut other = asked(anna, "refs/heads/main");
    other["Marker"] = json!("forged");
    run.refused("SimulatePrincipalPolicy", other, "ValidationError").await;
    for (who, code) in [
        ("arn:aws:iam::111122223333:user/anna", "NoSuchEntity"),
        ("arn:aws:iam::444455556666:user/teams/anna", "NoSuchEntity"),
        ("arn:aws:iam::111122223333:group/developers", "NoSuchEntity"),
        ("arn:aws:s3:::some-bucket/or-other", "InvalidInput"),
    ] {
        run.refused("SimulatePrincipalPolicy", asked(who, "refs/heads/main"), code).await;
    }
    let mut pair = asked(anna, "refs/heads/main");
    pair["ContextEntries"][0]["ContextKeyValues"] = json!(["a", "b"]);
    run.refused("SimulatePrincipalPolicy", pair.clone(), "InvalidInput").await;
    pair["ContextEntries"][0]["ContextKeyType"] = json!("stringList");
    run.plain("SimulatePrincipalPolicy", pair).await;
    let every = json!({ "PolicySourceArn": anna, "ActionNames": ["codecommit:*"] });
    run.refused("SimulatePrincipalPolicy", every, "InvalidInput").await;

    for (whose, word, name) in [("UserName", "User", "anna"), ("RoleName", "Role", "deploy")] {
        let (delete, delete_policy) = (format!("Delete{word}"), format!("Delete{word}Policy"));
        run.refused(&delete, json!({ whose: name }), "DeleteConflict").await;
        run.good(&delete_policy, json!({ whose: name, "PolicyName": "push" })).await;
        run.refused(&delete_policy, json!({ whose: name, "PolicyName": "push" }), "NoSuchEntity").await;
        run.refused(&delete_policy, json!({ whose: "none", "PolicyName": "push" }), "NoSuchEntity").await;
        run.good(&delete, json!({ whose: name })).await;
        run.refused(&delete, json!({ whose: name }), "NoSuchEntity").await;
    }
    run.refused("DeleteUser", json!({ "UserName": "developer" }), "DeleteConflict").await;
    run.end().await;
}
