//! What the local cloud offers: the tables that stand beside each service's dispatch, put together.

use crate::{cloudformation, codebuild, codecommit, eventbridge, iam, logs, s3, secretsmanager, sns, sqs, sts};

/// Every service by its signing name, with its operations.
const SERVICES: [(&str, &[&str]); 11] = [
    ("cloudformation", cloudformation::OPERATIONS),
    ("codebuild", codebuild::OPERATIONS),
    ("codecommit", codecommit::OPERATIONS),
    ("events", eventbridge::OPERATIONS),
    ("iam", iam::api::OPERATIONS),
    ("logs", logs::OPERATIONS),
    ("s3", s3::OPERATIONS),
    ("secretsmanager", secretsmanager::OPERATIONS),
    ("sns", sns::OPERATIONS),
    ("sqs", sqs::OPERATIONS),
    ("sts", sts::OPERATIONS),
];

/// Every operation that the local cloud offers, as (signing name of its service, operation).
pub fn operations() -> impl Iterator<Item = (&'static str, &'static str)> {
    SERVICES.into_iter().flat_map(|(service, operations)| operations.iter().map(move |operation| (service, *operation)))
}

/// The signing names of the services that the local cloud offers.
pub(crate) fn services() -> impl Iterator<Item = &'static str> {
    SERVICES.into_iter().map(|(service, _)| service)
}

/// Whether a service has an operation here.
pub(super) fn is_offered(service: &str, operation: &str) -> bool {
    operations().any(|offered| offered == (service, operation))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::BodyExt;

    use super::*;
    use crate::auth::Caller;
    use crate::cloud::{Cloud, Settings};
    use crate::http::protocol::Protocol;
    use crate::http::{Call, protocol};

    /// The code with which an operation with no input is refused, if it is.
    async fn refusal(cloud: &Cloud, service: &str, operation: &str) -> String {
        let request = hyper::Request::builder().method("POST").uri("/");
        let (request, body) = match protocol::protocol(service) {
            Some(Protocol::Json(prefix)) => {
                (request.header("x-amz-target", format!("{prefix}.{operation}")), "{}".to_owned())
            }
            Some(Protocol::Query { version, .. }) => (request, format!("Action={operation}&Version={version}")),
            None => panic!("{service} speaks nothing"),
        };
        let body = Bytes::from(body);
        let (head, ()) = request.body(()).unwrap().into_parts();
        let caller =
            Caller { arn: "arn:aws:iam::111122223333:user/developer".to_owned(), access_key_id: "AKIA".to_owned() };
        let answer = protocol::dispatch(cloud, service, Call { caller, head, body }, "id").await;
        String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn the_tables_and_the_dispatch_know_the_same_operations() {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings::new(dir.path().join("cloud"));
        let running = Cloud::start(settings).await.unwrap();
        let all: Vec<_> = operations().collect();
        // S3 has no operation in its requests; its own test is beside its routes.
        for (service, table) in SERVICES.iter().filter(|(service, _)| *service != "s3") {
            assert!(table.is_sorted(), "{service}");
            for (_, operation) in &all {
                let is_known = !refusal(&running.cloud, service, operation).await.contains("UnknownOperationException");
                assert_eq!(is_known, table.contains(operation), "{service}:{operation}");
            }
        }
        running.stop().await.unwrap();
    }
}
