//! The four wire protocols: AWS JSON, AWS Query, REST XML (S3), and their errors.

use hyper::StatusCode;
use hyper::header::HeaderValue;
use hyper::http::request::Parts;
use serde_json::{Value, json};

use super::operation::{fields, is_query, operation, target};
use super::{Call, Response, whole};
use crate::auth::{Dialect, Refusal, claimed_service};
use crate::cloud::Cloud;
use crate::error::{Answer, ServiceError};

/// How a service's calls go over the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// One JSON object; `x-amz-target` is this prefix, a dot and the operation.
    Json(&'static str),
    /// A form of this version out, XML of this namespace back.
    Query { version: &'static str, namespace: &'static str },
}

/// What a service speaks, by its signing name; S3 speaks for itself.
pub(super) fn protocol(service: &str) -> Option<Protocol> {
    Some(match service {
        "codebuild" => Protocol::Json("CodeBuild_20161006"),
        "codecommit" => Protocol::Json("CodeCommit_20150413"),
        "events" => Protocol::Json("AWSEvents"),
        "logs" => Protocol::Json("Logs_20140328"),
        "secretsmanager" => Protocol::Json("secretsmanager"),
        "sqs" => Protocol::Json("AmazonSQS"),
        "cloudformation" => {
            Protocol::Query { version: "2010-05-15", namespace: "http://cloudformation.amazonaws.com/doc/2010-05-15/" }
        }
        "iam" => Protocol::Query { version: "2010-05-08", namespace: "https://iam.amazonaws.com/doc/2010-05-08/" },
        "sns" => Protocol::Query { version: "2010-03-31", namespace: "http://sns.amazonaws.com/doc/2010-03-31/" },
        "sts" => Protocol::Query { version: "2011-06-15", namespace: "https://sts.amazonaws.com/doc/2011-06-15/" },
        _ => return None,
    })
}

/// Finds the service by its signing name and the operation by the protocol, and answers.
pub(super) async fn dispatch(cloud: &Cloud, service: &str, call: Call, id: &str) -> Response {
    if service == "s3" {
        return cloud.s3.call(call, id).await;
    }
    let answer = match protocol(service) {
        Some(Protocol::Json(prefix)) => {
            json_call(cloud, service, prefix, &call).await.map(|value| (value.to_string(), json_version(&call.head)))
        }
        Some(Protocol::Query { version, namespace }) => {
            query_call(cloud, service, version, &call).await.map(|(action, result)| {
                // An operation without an output has no element for it.
                let result = if result.is_empty() { result } else { format!("<{action}Result>{result}</{action}Result>") };
                let xml = format!("<{action}Response xmlns=\"{namespace}\">{result}<ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata></{action}Response>");
                (xml, "text/xml")
            })
        }
        None => {
            let operation = operation(service, &call.head, &call.body).unwrap_or_default();
            Err(ServiceError::unknown_operation(service, &operation))
        }
    };
    match answer {
        Ok((body, kind)) => respond(StatusCode::OK, kind, id, body),
        Err(refused) => {
            tracing::debug!(service, code = refused.code, message = refused.message, "refused");
            render_error(&call.head, service, &refused, id)
        }
    }
}

async fn json_call(cloud: &Cloud, service: &str, prefix: &str, call: &Call) -> Answer<Value> {
    let operation =
        operation(service, &call.head, &call.body).ok_or_else(|| no_operation(&call.head, service, prefix))?;
    let operation = operation.as_str();
    let input = json_input(&call.body)?;
    let caller = &call.caller;
    crate::iam::gate::admit_json(cloud, service, operation, &input, caller)?;
    match service {
        "codecommit" => cloud.codecommit.call(operation, input, caller).await,
        "codebuild" => cloud.codebuild.call(operation, input, caller).await,
        "events" => cloud.eventbridge.call(operation, input, caller).await,
        "logs" => cloud.logs.call(operation, input).await,
        "secretsmanager" => cloud.secretsmanager.call(operation, input),
        "sqs" => cloud.sqs.call(operation, input, caller).await,
        _ => Err(ServiceError::unknown_operation(service, operation)),
    }
}

/// Newer SDKs may speak CBOR to the services that offer it; those that ask for JSON are answered.
fn no_operation(head: &Parts, service: &str, prefix: &str) -> ServiceError {
    let spoken = head.headers.get("smithy-protocol").and_then(|name| name.to_str().ok());
    let what = match (target(head), spoken) {
        (Some(target), _) => format!("{service} is called by the target {prefix}.OPERATION, not {target}"),
        (None, Some(name)) => {
            format!("the local cloud does not speak the protocol {name} with {service}; it speaks AWS JSON")
        }
        (None, None) => format!("a call of {service} names its operation in the header x-amz-target"),
    };
    ServiceError::with_status(501, "UnknownOperationException", what)
}

/// The body as an object; a member that is null is as if it were not there.
fn json_input(body: &[u8]) -> Answer<Value> {
    if body.is_empty() {
        return Ok(json!({}));
    }
    let wrong = |what: String| ServiceError::bad("SerializationException", what);
    let mut input: Value =
        serde_json::from_slice(body).map_err(|error| wrong(format!("the body is not JSON: {error}")))?;
    if !input.is_object() {
        return Err(wrong("the body is not a JSON object".to_owned()));
    }
    drop_nulls(&mut input);
    Ok(input)
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// Gives the action and what stands in its result.
async fn query_call(cloud: &Cloud, service: &str, version: &str, call: &Call) -> Answer<(String, String)> {
    let parameters = fields(&call.head, &call.body);
    let action = operation(service, &call.head, &call.body)
        .ok_or_else(|| ServiceError::bad("MissingAction", "The request must contain the parameter Action"))?;
    let asked = parameters.get("Version").unwrap_or("NO_VERSION_SPECIFIED");
    if asked != version {
        let what = format!("Could not find operation {action} for version {asked}; {service} has {version}");
        return Err(ServiceError::bad("InvalidAction", what));
    }
    crate::iam::gate::admit_form(cloud, service, &action, &parameters, &call.caller)?;
    let result = match service {
        "cloudformation" => cloud.cloudformation.call(cloud, &action, &parameters).await?,
        "iam" => cloud.iam.call(&action, &parameters, &call.caller)?,
        "sns" => cloud.sns.call(&action, &parameters, &call.caller).await?,
        "sts" => cloud.sts.call(&action, &parameters, &call.caller).await?,
        _ => return Err(ServiceError::unknown_operation(service, &action)),
    };
    Ok((action, result))
}

/// The fields of an AWS Query request.
#[derive(Debug)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// The fields of a call that the local cloud makes itself.
    pub(crate) fn of<const COUNT: usize>(fields: [(&str, &str); COUNT]) -> Self {
        Self(fields.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// The same of any number.
    pub(crate) fn of_list(fields: &[(&str, &str)]) -> Self {
        Self(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    /// The fields of a form.
    pub(super) fn read(form: &[u8]) -> Self {
        Self(form_urlencoded::parse(form).into_owned().collect())
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

    /// A member of the input, the first part of a field's name, that is none of `known`.
    pub(crate) fn unknown(&self, known: &[&str]) -> Option<&str> {
        let mut members = self.names().map(|name| name.split('.').next().unwrap_or(name));
        members.find(|member| !matches!(*member, "Action" | "Version") && !known.contains(member))
    }
}

/// The version of the JSON protocol that the request speaks; the answer is in the same. Without a target it is REST.
fn json_version(head: &Parts) -> &'static str {
    match head.headers.get("content-type").map(HeaderValue::as_bytes) {
        _ if target(head).is_none() => "application/json",
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

/// Services that are not offered here, and speak XML without being Query services: their errors have the same form.
const REST_XML: [&str; 3] = ["cloudfront", "route53", "s3-control"];

/// The dialect in which a request wants to be answered; `service` is the one that it is or claims to be for.
fn dialect(head: &Parts, service: &str) -> Dialect {
    match (service, protocol(service)) {
        ("s3", _) => Dialect::S3,
        ("sqs", _) => Dialect::Sqs,
        (_, Some(Protocol::Json(_))) => Dialect::Json,
        (_, Some(Protocol::Query { .. })) => Dialect::Query,
        _ if target(head).is_some_and(|target| target.starts_with("AmazonSQS.")) => Dialect::Sqs,
        _ if target(head).is_some() => Dialect::Json,
        _ if is_query(head) || REST_XML.contains(&service) => Dialect::Query,
        // Nobody said whom it is for: most likely a browser.
        ("", _) => Dialect::S3,
        _ => Dialect::Json,
    }
}

/// A service's error in the protocol that the request speaks.
pub(super) fn render_error(head: &Parts, service: &str, refused: &ServiceError, id: &str) -> Response {
    let dialect = dialect(head, service);
    let older = crate::sqs::query_code(&refused.code);
    let shape =
        if dialect == Dialect::Sqs { format!("com.amazonaws.sqs#{}", refused.code) } else { refused.code.clone() };
    let error =
        Error { status: refused.status, code: &refused.code, shape, older, message: &refused.message, details: &[] };
    error.render(head, service, dialect, id)
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
    error.render(head, &service, dialect, id)
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
    fn render(&self, head: &Parts, service: &str, dialect: Dialect, id: &str) -> Response {
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
                let space = match protocol(service) {
                    Some(Protocol::Query { namespace, .. }) => format!(" xmlns=\"{namespace}\""),
                    _ => String::new(),
                };
                if service == "ec2" {
                    let body = format!(
                        "<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors><RequestID>{id}</RequestID></Response>"
                    );
                    return respond(status, "text/xml", id, body);
                }
                let body = format!(
                    "<ErrorResponse{space}><Error><Type>{fault}</Type><Code>{code}</Code><Message>{message}</Message></Error><RequestId>{id}</RequestId></ErrorResponse>"
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
