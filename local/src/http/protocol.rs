//! The four wire protocols: AWS JSON, AWS Query, REST XML (S3), and their errors.

use hyper::StatusCode;
use hyper::header::HeaderValue;
use hyper::http::request::Parts;
use serde_json::{Value, json};

use super::{Call, Response, whole};
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
        "sns" => cloud.sns.call(&action, &parameters, &call.caller).await?,
        "sts" => cloud.sts.call(&action, &parameters, &call.caller).await?,
        _ => return Err(ServiceError::unknown_operation(service, &action)),
    };
    let namespace = if service == "sns" {
        "http://sns.amazonaws.com/doc/2010-03-31/"
    } else {
        "https://sts.amazonaws.com/doc/2011-06-15/"
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

/// An error in the protocol that the request speaks.
pub(super) fn render_error(head: &Parts, service: &str, refused: &ServiceError, id: &str) -> Response {
    let status = StatusCode::from_u16(refused.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if operation(head).is_some() {
        let shape = if service == "sqs" { format!("com.amazonaws.sqs#{}", refused.code) } else { refused.code.clone() };
        let body = json!({ "__type": shape, "message": refused.message }).to_string();
        let mut response = respond(status, json_version(head), id, body);
        if service == "sqs" {
            // SQS once spoke the Query protocol, and SDKs still know its errors by the codes of that time.
            let fault = if refused.status < 500 { "Sender" } else { "Receiver" };
            let code = format!("{};{fault}", crate::sqs::query_code(&refused.code));
            if let Ok(code) = HeaderValue::from_str(&code) {
                response.headers_mut().insert("x-amzn-query-error", code);
            }
        }
        if let Ok(code) = HeaderValue::from_str(&refused.code) {
            response.headers_mut().insert("x-amzn-errortype", code);
        }
        return response;
    }
    let code = quick_xml::escape::escape(&refused.code).into_owned();
    let message = quick_xml::escape::escape(&refused.message).into_owned();
    let is_query = matches!(service, "sns" | "sts");
    let body = if is_query {
        let fault = if refused.status < 500 { "Sender" } else { "Receiver" };
        format!(
            "<ErrorResponse><Error><Type>{fault}</Type><Code>{code}</Code><Message>{message}</Message></Error><RequestId>{id}</RequestId></ErrorResponse>"
        )
    } else {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>{message}</Message><RequestId>{id}</RequestId></Error>"
        )
    };
    respond(status, "application/xml", id, body)
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
