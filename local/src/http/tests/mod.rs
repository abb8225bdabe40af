//! The endpoint over real sockets.

mod accounts;
mod crowd;
mod door;
mod links;
mod raw;

use super::testing::{Client, exchange_over, page};
use super::tls::CA_FILE;
use crate::cloud::{Cloud, Settings};

#[tokio::test]
async fn one_port_speaks_http_and_tls_to_whoever_trusts_its_authority_and_to_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let client = Client::start(dir.path()).await;
    let call = client.draft("sts", "POST", "/").body("Action=GetCallerIdentity&Version=2011-06-15").sign();
    let ca = dir.path().join(CA_FILE);
    for name in ["127.0.0.1", "localhost", "git-codecommit.eu-west-1.localhost", "::1"] {
        let answer = exchange_over(client.connect_tls(&ca, name).await.unwrap(), &call).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(":user/developer"), "{name}: {answer}");
    }
    let answer = client.exchange(&call).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(":user/developer"), "{answer}");

    let stream = client.connect_tls(&ca, "localhost").await.unwrap();
    let inbox = exchange_over(stream, &page("/inbox", &client.address())).await;
    assert!(inbox.starts_with("HTTP/1.1 200") && inbox.contains("No mail yet"), "{inbox}");

    let refused = client.connect_tls(&ca, "example.com").await.unwrap_err();
    assert!(refused.to_string().contains("not valid for name"), "{refused}");
    let other = tempfile::tempdir().unwrap();
    let elsewhere = Client::start(other.path()).await;
    let refused = client.connect_tls(&other.path().join(CA_FILE), "localhost").await.unwrap_err();
    assert!(refused.to_string().contains("UnknownIssuer") || refused.to_string().contains("BadSignature"), "{refused}");
    elsewhere.running.stop().await.unwrap();
    client.running.stop().await.unwrap();
}

#[tokio::test]
async fn pages_are_only_for_a_browser_that_asked_for_this_machine() {
    let dir = tempfile::tempdir().unwrap();
    let client = Client::start_in(dir.path(), &["eu-west-1", "us-east-1"]).await;
    for host in ["127.0.0.1:4600", "localhost:4600", "localhost", "us-east-1.localhost:4600"] {
        let answer = client.exchange(&page("/inbox", host)).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{host}: {answer}");
    }
    for host in ["evil.example.com:4600", "127.0.0.1.example.com", "ap-east-1.localhost", ""] {
        let answer = client.exchange(&page("/inbox", host)).await;
        assert!(!answer.contains("Inbox"), "{host}: {answer}");
    }
    client.running.stop().await.unwrap();
}

#[tokio::test]
async fn each_region_has_its_own_of_everything_but_the_names_of_buckets() {
    let dir = tempfile::tempdir().unwrap();
    let client = Client::start_in(dir.path(), &["eu-west-1", "us-east-1"]).await;
    let call = async |region: &str, service, method, target: &str, headers: &[(&str, &str)], body: &str| {
        let mut draft = client.draft(service, method, target).body(body);
        draft.region = region.to_owned();
        for (name, value) in headers {
            draft = draft.header(name, value);
        }
        client.exchange(&draft.sign()).await
    };
    let codecommit = async |region: &str, operation: &str| {
        let target = format!("CodeCommit_20150413.{operation}");
        let body = "{\"repositoryName\":\"demo\"}";
        call(region, "codecommit", "POST", "/", &[("x-amz-target", &target)], body).await
    };
    let home = codecommit("eu-west-1", "CreateRepository").await;
    assert!(home.contains(&format!("http://{}/v1/repos/demo", client.address())), "{home}");
    assert!(codecommit("us-east-1", "GetRepository").await.contains("RepositoryDoesNotExistException"));
    let other = codecommit("us-east-1", "CreateRepository").await;
    assert!(other.contains("http://git-codecommit.us-east-1.localhost:"), "{other}");
    assert!(other.contains("arn:aws:codecommit:us-east-1:"), "{other}");
    let nowhere = codecommit("ap-east-1", "GetRepository").await;
    assert!(nowhere.contains("InvalidSignatureException") && nowhere.contains("eu-west-1, us-east-1"), "{nowhere}");

    let place =
        "<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>";
    assert!(call("eu-west-1", "s3", "PUT", "/demo", &[], place).await.starts_with("HTTP/1.1 200"));
    assert!(call("us-east-1", "s3", "PUT", "/other", &[], "").await.starts_with("HTTP/1.1 200"));
    let taken = call("us-east-1", "s3", "PUT", "/demo", &[], "").await;
    assert!(taken.starts_with("HTTP/1.1 409") && taken.contains("BucketAlreadyOwnedByYou"), "{taken}");
    let elsewhere = call("us-east-1", "s3", "GET", "/demo/key", &[], "").await;
    assert!(elsewhere.starts_with("HTTP/1.1 301") && elsewhere.contains("PermanentRedirect"), "{elsewhere}");
    assert!(elsewhere.contains("x-amz-bucket-region: eu-west-1\r\n"), "{elsewhere}");
    let all = call("us-east-1", "s3", "GET", "/", &[], "").await;
    assert!(all.contains("<Name>demo</Name>") && all.contains("<BucketRegion>us-east-1</BucketRegion>"), "{all}");

    client.running.stop().await.unwrap();
    let wrong = Settings { regions: vec!["us-east-1".to_owned()], ..Settings::new(dir.path()) };
    let refused = Cloud::start(wrong).await.unwrap_err().to_string();
    assert!(refused.contains("is eu-west-1, not us-east-1") && refused.contains("--dir"), "{refused}");
    let client = Client::start_in(dir.path(), &["eu-west-1", "us-east-1"]).await;
    let there = client.running.regions.find("us-east-1").unwrap().codecommit.repository_dir("demo").unwrap();
    assert!(there.starts_with(dir.path().canonicalize().unwrap().join("regions/us-east-1")), "{}", there.display());
    client.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_host_that_names_a_bucket_is_no_host_of_gits() {
    let dir = tempfile::tempdir().unwrap();
    let client = Client::start(dir.path()).await;
    let cloud = &client.running.cloud;
    cloud.s3.create_bucket("papers", crate::s3::Versioning::Off).unwrap();
    cloud.s3.put("papers", "v1/repos/demo/info/refs", b"a file").unwrap();
    let port = client.address().rsplit(':').next().unwrap().to_owned();
    let get = async |host: &str| {
        let mut draft = client.draft("s3", "GET", "/v1/repos/demo/info/refs");
        draft.host = format!("{host}:{port}");
        client.exchange(&draft.sign()).await
    };
    let object = get("papers.localhost").await;
    assert!(object.starts_with("HTTP/1.1 200") && object.ends_with("a file"), "{object}");
    for host in ["127.0.0.1", "localhost", "git-codecommit.eu-west-1.localhost"] {
        let git = get(host).await;
        assert!(git.starts_with("HTTP/1.1 401") && git.contains("Basic realm=\"CodeCommit\""), "{host}: {git}");
    }
    client.running.stop().await.unwrap();
}

#[tokio::test]
async fn chaos_names_a_call_as_the_gate_does_and_leaves_alone_what_is_not_offered() {
    let dir = tempfile::tempdir().unwrap();
    let client = Client::start(dir.path()).await;
    let world = &client.running.cloud.world;
    client.running.cloud.s3.create_bucket("papers", crate::s3::Versioning::Off).unwrap();
    world.chaos.set(Some("throttle=1,seed=1".parse().unwrap()));
    let metrics = client.send("monitoring", "GET", "/?Action=ListMetrics&Version=2010-08-01", &[], "").await;
    assert!(metrics.contains("UnknownOperationException"), "{metrics}");
    assert!(client.send("s3", "GET", "/papers?acl", &[], "").await.contains("UnknownOperationException"));
    client.send("s3", "POST", "/papers/key?uploads", &[], "").await;
    client.send("sns", "GET", "/?Action=ListTopics&Version=2010-03-31", &[], "").await;
    assert_eq!(world.chaos.last_acts(), ["throttle s3:CreateMultipartUpload", "throttle sns:ListTopics"]);
    client.running.stop().await.unwrap();
}
