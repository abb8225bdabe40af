//! Which operation a request asks for: found once for the gate, for chaos, and for whoever refuses it.

use hyper::header::HeaderValue;
use hyper::http::request::Parts;

use super::protocol::{Parameters, Protocol, protocol};

/// The operation that a signed call names, in its service's protocol.
///
/// A call of a service that is not offered is named by whatever it has: a target, an action, or its method and path.
pub(super) fn operation(service: &str, head: &Parts, body: &[u8]) -> Option<String> {
    if service == "s3" {
        return crate::s3::operation(head).map(str::to_owned);
    }
    match protocol(service) {
        Some(Protocol::Json(prefix)) => {
            target(head)?.strip_prefix(prefix)?.strip_prefix('.').filter(|name| !name.is_empty()).map(str::to_owned)
        }
        Some(Protocol::Query { .. }) => action(head, body),
        None => {
            let of_target = || target(head).map(|target| target.rsplit('.').next().unwrap_or(target).to_owned());
            let of_address = || format!("{} {}", head.method, head.uri.path());
            of_target().or_else(|| is_query(head).then(|| action(head, body)).flatten()).or_else(|| Some(of_address()))
        }
    }
}

/// The fields of a Query request, in its address or in its body.
pub(super) fn fields(head: &Parts, body: &[u8]) -> Parameters {
    let query = head.uri.query().unwrap_or_default().as_bytes();
    let fields = if head.method == hyper::Method::GET { query } else { body };
    Parameters::read(fields)
}

fn action(head: &Parts, body: &[u8]) -> Option<String> {
    fields(head, body).get("Action").map(str::to_owned)
}

/// Whether a request has the form of the Query protocol.
pub(super) fn is_query(head: &Parts) -> bool {
    let kind = head.headers.get("content-type").and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"))
        || (head.method == hyper::Method::GET && fields(head, &[]).get("Action").is_some())
}

/// The header in which the JSON protocols name an operation.
pub(super) fn target(head: &Parts) -> Option<&str> {
    head.headers.get("x-amz-target").map(HeaderValue::to_str)?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_protocol_names_its_operation_in_its_own_place() {
        let form = "application/x-www-form-urlencoded; charset=utf-8";
        for (service, request, headers, body, named) in [
            ("codecommit", "POST /", &[("x-amz-target", "CodeCommit_20150413.GetBranch")][..], "", Some("GetBranch")),
            ("codecommit", "POST /", &[("x-amz-target", "CodeBuild_20161006.GetBranch")], "", None),
            ("codecommit", "POST /", &[], "", None),
            ("sns", "POST /", &[], "Version=1&Action=Publish", Some("Publish")),
            ("sns", "GET /?Action=ListTopics&Version=2010-03-31", &[], "", Some("ListTopics")),
            ("s3", "PUT /bucket/a/key", &[], "", Some("PutObject")),
            ("s3", "PUT /bucket/key", &[("x-amz-copy-source", "/a/b")], "", Some("CopyObject")),
            ("s3", "GET /bucket/?list-type=2&prefix=a", &[], "", Some("ListObjectsV2")),
            ("s3", "POST /bucket/key?uploads", &[], "", Some("CreateMultipartUpload")),
            ("s3", "PUT /bucket/key?partNumber=1&uploadId=00", &[], "", Some("UploadPart")),
            ("s3", "POST /bucket/key?uploadId=00", &[], "", Some("CompleteMultipartUpload")),
            ("s3", "DELETE /bucket/key?uploadId=00", &[], "", Some("AbortMultipartUpload")),
            ("s3", "GET /bucket/key?uploadId=00", &[], "", Some("ListParts")),
            ("s3", "POST /bucket?delete", &[], "", Some("DeleteObjects")),
            ("s3", "GET /bucket?acl", &[], "", None),
            ("iam", "POST /", &[("content-type", form)], "Action=ListUsers&Version=2010-05-08", Some("ListUsers")),
            ("iam", "GET /?Action=ListUsers&Version=2010-05-08", &[], "", Some("ListUsers")),
            ("dynamodb", "POST /", &[("x-amz-target", "DynamoDB_20120810.GetItem")], "{}", Some("GetItem")),
            ("lambda", "GET /2015-03-31/functions?x=1", &[], "", Some("GET /2015-03-31/functions")),
        ] {
            let (method, uri) = request.split_once(' ').unwrap();
            let mut builder = hyper::Request::builder().method(method).uri(uri);
            for (name, value) in headers {
                builder = builder.header(*name, *value);
            }
            let (head, ()) = builder.body(()).unwrap().into_parts();
            assert_eq!(operation(service, &head, body.as_bytes()).as_deref(), named, "{service} {request}");
        }
    }
}
