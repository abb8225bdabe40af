//! The endpoint over real sockets.

use super::testing::{Client, exchange_over, page};
use super::tls::CA_FILE;

#[tokio::test]
async fn one_port_speaks_http_and_tls_to_whoever_trusts_its_authority_and_to_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let client = Client::start(dir.path()).await;
    let call = client.draft("sts", "POST", "/").body("Action=GetCallerIdentity&Version=2011-06-15").sign();
    let ca = dir.path().join(CA_FILE);
    for name in ["127.0.0.1", "localhost", "git-codecommit.eu-west-1.localhost", "::1"] {
        let answer = exchange_over(client.connect_tls(&ca, name).await.unwrap(), &call).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(":user/tester"), "{name}: {answer}");
    }
    let answer = client.exchange(&call).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(":user/tester"), "{answer}");

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
