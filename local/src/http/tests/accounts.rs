//! Further accounts: what is signed with an account's key is done in that account.

use crate::auth::git_credentials;
use crate::cloud::Settings;
use crate::http::testing::Client;

const OTHER: &str = "444455556666";

async fn client(dir: &std::path::Path) -> Client {
    let regions = ["eu-west-1", "us-east-1"].map(str::to_owned).to_vec();
    Client::start_with(Settings { regions, accounts: vec![OTHER.to_owned()], ..Settings::new(dir) }).await
}

#[tokio::test]
async fn each_account_has_repositories_of_its_own_in_each_region() {
    let dir = tempfile::tempdir().unwrap();
    let client = client(dir.path()).await;
    let home = client.keys.clone();
    let there = client.running.accounts.find(OTHER).unwrap();
    let other = client.running.cloud.keys.user(&there.home.world, "developer");
    let codecommit = async |keys, region: &str, operation: &str| {
        let target = format!("CodeCommit_20150413.{operation}");
        let draft = client.draft("codecommit", "POST", "/").body("{\"repositoryName\":\"demo\"}");
        let mut draft = draft.header("x-amz-target", &target);
        (draft.keys, draft.region) = (keys, region.to_owned());
        client.exchange(&draft.sign()).await
    };
    for region in ["eu-west-1", "us-east-1"] {
        assert!(codecommit(other.clone(), region, "CreateRepository").await.starts_with("HTTP/1.1 200"));
        let found = codecommit(other.clone(), region, "GetRepository").await;
        assert!(found.contains(&format!("arn:aws:codecommit:{region}:{OTHER}:demo")), "{found}");
        assert!(found.contains(&format!("\"accountId\":\"{OTHER}\"")), "{found}");
        let missing = codecommit(home.clone(), region, "GetRepository").await;
        assert!(missing.contains("RepositoryDoesNotExistException"), "{missing}");
    }
    let elsewhere = dir.path().canonicalize().unwrap().join("accounts").join(OTHER);
    let dir_of = |region| there.find(region).unwrap().codecommit.repository_dir("demo").unwrap();
    assert!(dir_of("eu-west-1").starts_with(&elsewhere), "{}", dir_of("eu-west-1").display());
    assert!(dir_of("us-east-1").starts_with(elsewhere.join("regions/us-east-1")));

    // git's password names neither region nor account: the key and the signature tell.
    let path = "/v1/repos/demo";
    for (keys, status) in [(&other, "200"), (&home, "404")] {
        let (id, secret) = (&*keys.access_key_id, &*keys.secret_access_key);
        let now = client.running.cloud.world.now();
        let (user, password) = git_credentials((id, secret, None), &client.address(), path, "us-east-1", now);
        let plain = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("{user}:{password}"));
        let request = format!(
            "GET {path}/info/refs?service=git-upload-pack HTTP/1.1\r\nhost: {}\r\nauthorization: Basic {plain}\r\nconnection: close\r\n\r\n",
            client.address()
        );
        let answer = client.exchange(request.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{}: {answer}", keys.arn);
    }
    client.running.stop().await.unwrap();
}

#[tokio::test]
async fn whoever_asks_is_told_their_account_and_what_is_not_played_there_is_refused_in_each_services_words() {
    let dir = tempfile::tempdir().unwrap();
    let client = client(dir.path()).await;
    let there = client.running.accounts.find(OTHER).unwrap();
    let keys = client.running.cloud.keys.user(&there.home.world, "developer");
    let send = async |service, method, target: &str, headers: &[(&str, &str)], body: &str| {
        let mut draft = client.draft(service, method, target).body(body);
        for (name, value) in headers {
            draft = draft.header(name, value);
        }
        draft.keys = keys.clone();
        client.exchange(&draft.sign()).await
    };
    let told = send("sts", "POST", "/", &[], "Action=GetCallerIdentity&Version=2011-06-15").await;
    assert!(told.contains(&format!("<Account>{OTHER}</Account>")), "{told}");
    assert!(told.contains(&format!("<Arn>arn:aws:iam::{OTHER}:user/developer</Arn>")), "{told}");
    let words = "in the account 444455556666, only codecommit, iam, s3, sts; 111122223333 has everything";
    for (service, target, body) in [
        ("sqs", "AmazonSQS.ListQueues", "{}"),
        ("events", "AWSEvents.ListRules", "{}"),
        ("codebuild", "CodeBuild_20161006.ListProjects", "{}"),
        ("secretsmanager", "secretsmanager.GetSecretValue", "{\"SecretId\":\"x\"}"),
    ] {
        let refused = send(service, "POST", "/", &[("x-amz-target", target)], body).await;
        assert!(refused.starts_with("HTTP/1.1 501") && refused.contains(words), "{service}: {refused}");
        assert!(refused.contains("UnknownOperationException"), "{service}: {refused}");
    }
    let refused = send("sns", "POST", "/", &[], "Action=ListTopics&Version=2010-03-31").await;
    assert!(
        refused.starts_with("HTTP/1.1 501") && refused.contains("<Code>UnknownOperationException</Code>"),
        "{refused}"
    );
    client.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_bucket_belongs_to_one_account_and_lets_another_in_where_both_sides_agree() {
    let dir = tempfile::tempdir().unwrap();
    let client = client(dir.path()).await;
    let home = client.keys.clone();
    let there = client.running.accounts.find(OTHER).unwrap();
    let other = client.running.cloud.keys.user(&there.home.world, "developer");
    let s3 = async |keys: &crate::auth::Credentials, method, target: &str, headers: &[(&str, &str)], body: &str| {
        let mut draft = client.draft("s3", method, target).body(body);
        for (name, value) in headers {
            draft = draft.header(name, value);
        }
        draft.keys = keys.clone();
        client.exchange(&draft.sign()).await
    };
    let place =
        "<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>";
    assert!(s3(&other, "PUT", "/backups", &[], place).await.starts_with("HTTP/1.1 200"));
    assert!(s3(&other, "PUT", "/backups/key", &[], "theirs").await.starts_with("HTTP/1.1 200"));
    let taken = s3(&home, "PUT", "/backups", &[], place).await;
    assert!(taken.starts_with("HTTP/1.1 409") && taken.contains("<Code>BucketAlreadyExists</Code>"), "{taken}");
    assert!(!s3(&home, "GET", "/", &[], "").await.contains("<Name>backups</Name>"));
    assert!(s3(&other, "GET", "/", &[], "").await.contains("<Name>backups</Name>"));

    // An administrator of one account is nobody in another.
    let refused = s3(&home, "GET", "/backups/key", &[], "").await;
    assert!(refused.starts_with("HTTP/1.1 403") && refused.contains("no resource-based policy allows"), "{refused}");
    let policy = serde_json::json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::111122223333:root" }, "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::backups/*", "Condition": { "StringEquals": { "aws:ResourceAccount": OTHER } },
    }] });
    assert!(s3(&other, "PUT", "/backups?policy", &[], &policy.to_string()).await.starts_with("HTTP/1.1 204"));
    assert!(s3(&home, "GET", "/backups/key", &[], "").await.ends_with("theirs"));
    let refused = s3(&home, "PUT", "/backups/key", &[], "ours").await;
    assert!(refused.starts_with("HTTP/1.1 403"), "{refused}");
    let world = &client.running.cloud.world;
    world.iam.put_user("stranger", crate::iam::Definition::default()).unwrap();
    let stranger = client.running.cloud.keys.user(world, "stranger");
    let refused = s3(&stranger, "GET", "/backups/key", &[], "").await;
    assert!(refused.starts_with("HTTP/1.1 403") && refused.contains("no identity-based policy allows"), "{refused}");

    for (owner, status) in [(OTHER, "200"), ("111122223333", "403")] {
        let answer = s3(&home, "GET", "/backups/key", &[("x-amz-expected-bucket-owner", owner)], "").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{owner}: {answer}");
    }
    client.running.stop().await.unwrap();
}

#[tokio::test]
async fn an_account_that_aws_could_not_have_is_not_started() {
    let dir = tempfile::tempdir().unwrap();
    for (wrong, words) in [("4444", "twelve digits"), ("111122223333", "is there already")] {
        let settings = Settings { accounts: vec![wrong.to_owned()], ..Settings::new(dir.path()) };
        let refused = crate::cloud::Cloud::start(settings).await.unwrap_err().to_string();
        assert!(refused.contains(words), "{refused}");
    }
}
