//! The four wire protocols: AWS JSON, AWS Query, REST XML (S3), and their errors.

use hyper::StatusCode;
use hyper::header::HeaderValue;
use hyper::http::request::Parts;
use serde_json::{Value, json};

use super::{Call, Response, whole};
use crate::auth::{Dialect, Refusal, claimed_service};
use crate::cloud::Cloud;
use crate::error::{Answer, ServiceError};

/// Finds the service by its signing name and the operation by the protocol, and answers.
pub(super) async fn dispatch(cloud: &Cloud, service: &str, call: Call, id: &str) -> Response {
    if service == "s3" {
        return cloud.s3.call(call, id).await;
    }
    let answer = match operation(&call.head) {
        Some(operation) => json_call(cloud, service, &operation, &call)
            .await
            .map(|value| (value.to_string(), json_version(&call.head))),
        None => query_call(cloud, service, &call, id).await.map(|xml| (xml, "text/xml")),
    };
    match answer {
        Ok((body, kind)) => respond(StatusCode::OK, kind, id, body),
        Err(refused) => {
            tracing::debug!(service, code = refused.code, message = refused.message, "refused");
            render_error(&call.head, service, &refused, id)
        }
    }
}

async fn json_call(cloud: &Cloud, service: &str, operation: &str, call: &Call) -> Answer<Value> {
    let input: Value = if call.body.is_empty() {
        json!({})
    } else {
        serde_json::from_slice(&call.body)
            .map_err(|error| ServiceError::bad("SerializationException", format!("the body is not JSON: {error}")))?
    };
    let caller = &call.caller;
    crate::iam::gate::admit_json(cloud, service, operation, &input, caller)?;
    match service {
        "codecommit" => cloud.codecommit.call(operation, input, caller).await,
        "codebuild" => cloud.codebuild.call(operation, input, caller).await,
        "events" => cloud.eventbridge.call(operation, input, caller).await,
        "logs" => cloud.logs.call(operation, input).await,
        "sqs" => cloud.sqs.call(operation, input, caller).await,
        _ => Err(ServiceError::unknown_operation(service, operation)),
    }
}

async fn query_call(cloud: &Cloud, service: &str, call: &Call, id: &str) -> Answer<String> {
    let form: Vec<(String, String)> = form_urlencoded::parse(&call.body).into_owned().collect();
    let parameters = Parameters(form);
    let action = parameters.get("Action").unwrap_or_default().to_owned();
    crate::iam::gate::admit_form(cloud, service, &action, &parameters, &call.caller)?;
    let result = match service {
        "cloudformation" => cloud.cloudformation.call(cloud, &action, &parameters).await?,
        "sns" => cloud.sns.call(&action, &parameters, &call.caller).await?,
        "sts" => cloud.sts.call(&action, &parameters, &call.caller).await?,
        _ => return Err(ServiceError::unknown_operation(service, &action)),
    };
    let namespace = match service {
        "cloudformation" => "http://cloudformation.amazonaws.com/doc/2010-05-15/",
        "sns" => "http://sns.amazonaws.com/doc/2010-03-31/",
        _ => "https://sts.amazonaws.com/doc/2011-06-15/",
    };
    Ok(format!(
        "<{action}Response xmlns=\"{namespace}\"><{action}Result>{result}</{action}Result><ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata></{action}Response>"
    ))
}

/// The fields of an AWS Query request.
#[derive(Debug)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// The fields of a call that the local cloud makes itself.
    pub(crate) fn of<const COUNT: usize>(fields: [(&str, &str); COUNT]) -> Self {
        Self(fields.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// The value of a field, as `TopicArn` or `MessageAttributes.entry.1.Name`.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find_map(|(key, value)| (key == name).then_some(value.as_str()))
    }

    /// The names of all fields that were given.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// The value of a field that must be there.
    pub(crate) fn required(&self, name: &str) -> Answer<&str> {
        self.get(name).ok_or_else(|| ServiceError::bad("InvalidParameter", format!("{name} is missing")))
    }
}

fn operation(head: &Parts) -> Option<String> {
    let target = head.headers.get("x-amz-target")?.to_str().ok()?;
    Some(target.rsplit('.').next().unwrap_or(target).to_owned())
}

/// The version of the JSON protocol that the request speaks; the answer is in the same.
fn json_version(head: &Parts) -> &'static str {
    match head.headers.get("content-type").map(HeaderValue::as_bytes) {
        Some(b"application/x-amz-json-1.0") => "application/x-amz-json-1.0",
        _ => "application/x-amz-json-1.1",
    }
}

fn respond(status: StatusCode, kind: &'static str, id: &str, body: String) -> Response {
    let mut response = Response::new(whole(body));
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", HeaderValue::from_static(kind));
    if let Ok(id) = HeaderValue::from_str(id) {
        response.headers_mut().insert("x-amzn-requestid", id);
    }
    response
}

/// An error for git, which shows a person the status and little else.
pub(super) fn render_plain(refused: &ServiceError) -> Response {
    let mut response = Response::new(whole(format!("{}\n", refused.message)));
    *response.status_mut() = StatusCode::from_u16(refused.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert("content-type", HeaderValue::from_static("text/plain"));
    response
}

/// The dialect in which a request wants to be answered; `service` is the one that it is or claims to be for.
fn dialect(head: &Parts, service: &str) -> Dialect {
    let is_form = || {
        let kind = head.headers.get("content-type").and_then(|kind| kind.to_str().ok());
        kind.is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"))
    };
    match operation(head) {
        Some(_) if service == "sqs" || is_sqs(head) => Dialect::Sqs,
        Some(_) => Dialect::Json,
        None if matches!(service, "cloudformation" | "sns" | "sts") || (service.is_empty() && is_form()) => {
            Dialect::Query
        }
        None => Dialect::S3,
    }
}

fn is_sqs(head: &Parts) -> bool {
    head.headers.get("x-amz-target").is_some_and(|target| target.as_bytes().starts_with(b"AmazonSQS."))
}

/// A service's error in the protocol that the request speaks.
pub(super) fn render_error(head: &Parts, service: &str, refused: &ServiceError, id: &str) -> Response {
    let dialect = dialect(head, service);
    let older = crate::sqs::query_code(&refused.code);
    let shape =
        if dialect == Dialect::Sqs { format!("com.amazonaws.sqs#{}", refused.code) } else { refused.code.clone() };
    let error =
        Error { status: refused.status, code: &refused.code, shape, older, message: &refused.message, details: &[] };
    error.render(head, dialect, id)
}

/// What never reached a service, in the words of the one that it was meant for.
pub(super) fn refuse(head: &Parts, refusal: &Refusal, id: &str) -> Response {
    let service = claimed_service(&head.headers, head.uri.query().unwrap_or_default()).unwrap_or_default();
    let dialect = dialect(head, &service);
    let told = refusal.told(dialect);
    tracing::debug!(service, code = told.code, message = told.message, "refused at the door");
    let older = refusal.told(Dialect::Query).code;
    let prefix = if dialect == Dialect::Sqs { "com.amazon.coral.service#" } else { "" };
    let shape = format!("{prefix}{}", told.code);
    let error =
        Error { status: told.status, code: told.code, shape, older, message: &told.message, details: &told.details };
    error.render(head, dialect, id)
}

/// An error before it is put into a protocol.
struct Error<'a> {
    status: u16,
    code: &'a str,
    /// What JSON calls its type.
    shape: String,
    /// The code of the time when SQS spoke the Query protocol: SDKs still know its errors by that.
    older: &'a str,
    message: &'a str,
    /// Elements that S3 adds.
    details: &'a [(&'static str, String)],
}

impl Error<'_> {
    fn render(&self, head: &Parts, dialect: Dialect, id: &str) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let fault = if self.status < 500 { "Sender" } else { "Receiver" };
        let escape = |text: &str| quick_xml::escape::escape(text).into_owned();
        let (code, message) = (escape(self.code), escape(self.message));
        match dialect {
            Dialect::Json | Dialect::Sqs => {
                let body = json!({ "__type": self.shape, "message": self.message }).to_string();
                let mut response = respond(status, json_version(head), id, body);
                let mut set = |name, value: &str| {
                    if let Ok(value) = HeaderValue::from_str(value) {
                        response.headers_mut().insert(name, value);
                    }
                };
                if dialect == Dialect::Sqs {
                    set("x-amzn-query-error", &format!("{};{fault}", self.older));
                }
                set("x-amzn-errortype", self.code);
                response
            }
            Dialect::Query => {
                let body = format!(
                    "<ErrorResponse><Error><Type>{fault}</Type><Code>{code}</Code><Message>{message}</Message></Error><RequestId>{id}</RequestId></ErrorResponse>"
                );
                respond(status, "text/xml", id, body)
            }
            Dialect::S3 => {
                let details: String =
                    self.details.iter().map(|(name, value)| format!("<{name}>{}</{name}>", escape(value))).collect();
                let body = format!(
                    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message>{details}<RequestId>{id}</RequestId><HostId>signalbox-local</HostId></Error>"
                );
                let mut response = respond(status, "application/xml", id, body);
                if let Ok(id) = HeaderValue::from_str(id) {
                    response.headers_mut().insert("x-amz-request-id", id);
                }
                response
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_sqs_error_carries_the_shape_and_the_older_code() {
        let request = hyper::Request::builder()
            .header("x-amz-target", "AmazonSQS.SendMessage")
            .header("content-type", "application/x-amz-json-1.0")
            .body(())
            .unwrap();
        let (head, ()) = request.into_parts();
        let response = render_error(&head, "sqs", &ServiceError::bad("QueueDoesNotExist", "no"), "id");
        assert_eq!(response.headers()["x-amzn-query-error"], "AWS.SimpleQueueService.NonExistentQueue;Sender");
        assert_eq!(response.headers()["content-type"], "application/x-amz-json-1.0");
    }
}
