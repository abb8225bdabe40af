//! Calls as a client makes them that knows a service only by its model: written, signed, sent.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::HeaderMap;
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use sha2::{Digest, Sha256};
use signalbox_tests::Ground;
use tokio::net::TcpStream;

use super::model::{Model, Protocol, kind, members};

const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
const IN_KEYS: &AsciiSet = &UNRESERVED.remove(b'/');

/// A request before it is signed.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) method: String,
    /// Path and query, encoded.
    pub(super) target: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Received {
    /// A header's value; empty where it is not there.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as text.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Signs with the developer's keys and sends to the ground's cloud.
pub(super) async fn send(ground: &Ground, service: &str, request: &Request) -> Received {
    let world = &ground.cloud().world;
    let host = world.endpoint().trim_start_matches("http://").to_owned();
    let keys = &ground.stage.developer;
    let identity = Credentials::from_keys(&keys.access_key_id, &keys.secret_access_key, None).into();
    let mut settings = SigningSettings::default();
    if service == "s3" {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    }
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(&world.region)
        .name(service)
        .time(SystemTime::now())
        .settings(settings)
        .build()
        .unwrap()
        .into();
    let uri = format!("http://{host}{}", request.target);
    let mut headers: Vec<(&str, &str)> = vec![("host", &host)];
    headers.extend(request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let body = SignableBody::Bytes(&request.body);
    let signable = SignableRequest::new(&request.method, &uri, headers.iter().copied(), body).unwrap();
    let (instructions, _) = sign(signable, &parameters).unwrap().into_parts();

    let mut builder = hyper::Request::builder().method(request.method.as_str()).uri(&request.target);
    for (name, value) in headers {
        builder = builder.header(name, value);
    }
    for (name, value) in instructions.headers() {
        builder = builder.header(name, value);
    }
    let stream = TcpStream::connect(&host).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let response =
        sender.send_request(builder.body(Full::new(Bytes::from(request.body.clone()))).unwrap()).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    connection.abort();
    Received { status: head.status.as_u16(), headers: head.headers, body }
}

/// A call of an operation; members of the input by their names in the model.
pub(super) fn request(model: &Model, operation: &str, input: &Value) -> Request {
    match model.protocol() {
        Protocol::Json { version, prefix } => Request {
            method: "POST".to_owned(),
            target: "/".to_owned(),
            headers: vec![
                ("content-type".to_owned(), format!("application/x-amz-json-{version}")),
                ("x-amz-target".to_owned(), format!("{prefix}.{operation}")),
            ],
            body: input.to_string().into_bytes(),
        },
        Protocol::Query { version, .. } => {
            let mut form = form_urlencoded::Serializer::new(String::new());
            form.append_pair("Action", operation).append_pair("Version", &version);
            let mut fields = Vec::new();
            query_fields(model, model.input(operation), input, "", &mut fields);
            form.extend_pairs(fields);
            Request {
                method: "POST".to_owned(),
                target: "/".to_owned(),
                headers: vec![(
                    "content-type".to_owned(),
                    "application/x-www-form-urlencoded; charset=utf-8".to_owned(),
                )],
                body: form.finish().into_bytes(),
            }
        }
        Protocol::RestXml => rest_xml(model, operation, input),
    }
}

/// A scalar as forms, headers and XML have it.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn query_fields(model: &Model, shape: &Value, value: &Value, prefix: &str, fields: &mut Vec<(String, String)>) {
    let join = |name: &str| if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") };
    match (kind(shape), value) {
        ("list", Value::Array(items)) => {
            let name = shape["member"]["locationName"].as_str().unwrap_or("member");
            let is_flat = shape["flattened"].as_bool() == Some(true);
            for (number, item) in items.iter().enumerate() {
                let at =
                    if is_flat { join(&(number + 1).to_string()) } else { join(&format!("{name}.{}", number + 1)) };
                query_fields(model, model.target(&shape["member"]), item, &at, fields);
            }
        }
        ("map", Value::Object(entries)) => {
            let name = |part: &str| shape[part]["locationName"].as_str().unwrap_or(part).to_owned();
            for (number, (key, item)) in entries.iter().enumerate() {
                let at = join(&format!("entry.{}", number + 1));
                fields.push((format!("{at}.{}", name("key")), key.clone()));
                let at = format!("{at}.{}", name("value"));
                query_fields(model, model.target(&shape["value"]), item, &at, fields);
            }
        }
        ("structure", Value::Object(object)) => {
            for (name, item) in object {
                let reference = &shape["members"][name];
                query_fields(model, model.target(reference), item, &join(location(name, reference)), fields);
            }
        }
        // An operation that takes nothing has no shape.
        ("", Value::Object(object)) if object.is_empty() => {}
        (_, Value::Object(_) | Value::Array(_)) => panic!("{prefix} is no {}", kind(shape)),
        (_, scalar) => fields.push((prefix.to_owned(), plain(scalar))),
    }
}

/// A member's name on the wire.
pub(super) fn location<'a>(name: &'a str, reference: &'a Value) -> &'a str {
    reference["locationName"].as_str().unwrap_or(name)
}

fn rest_xml(model: &Model, operation: &str, input: &Value) -> Request {
    let entry = model.operation(operation);
    let shape = model.input(operation);
    let mut target = entry["http"]["requestUri"].as_str().unwrap().to_owned();
    let (mut headers, mut query, mut body) = (Vec::new(), Vec::new(), Vec::new());
    let payload = shape["payload"].as_str();
    let mut rest = serde_json::Map::new();
    for (name, value) in input.as_object().unwrap() {
        let reference = &shape["members"][name];
        let place = location(name, reference);
        match reference["location"].as_str() {
            Some("uri") => {
                let text = plain(value);
                target = target.replace(&format!("{{{place}}}"), &utf8_percent_encode(&text, UNRESERVED).to_string());
                target = target.replace(&format!("{{{place}+}}"), &utf8_percent_encode(&text, IN_KEYS).to_string());
            }
            Some("querystring") => query.push((place.to_owned(), plain(value))),
            Some("header") if value.is_array() => {
                let items: Vec<String> = value.as_array().unwrap().iter().map(plain).collect();
                headers.push((place.to_lowercase(), items.join(",")));
            }
            Some("header") => headers.push((place.to_lowercase(), plain(value))),
            Some("headers") => {
                let entries = value.as_object().unwrap().iter();
                headers.extend(entries.map(|(key, value)| (format!("{place}{key}").to_lowercase(), plain(value))));
            }
            _ if payload == Some(name) && kind(model.target(reference)) == "structure" => {
                body = xml(model, reference, value, place).into_bytes();
            }
            _ if payload == Some(name) => body = plain(value).into_bytes(),
            _ => drop(rest.insert(name.clone(), value.clone())),
        }
    }
    if !rest.is_empty() {
        // An input without a payload member is the body as a whole.
        body = xml(model, &entry["input"], &Value::Object(rest), location(operation, &entry["input"])).into_bytes();
    }
    if entry["httpChecksum"]["requestChecksumRequired"].as_bool() == Some(true) {
        headers.push(("x-amz-checksum-sha256".to_owned(), STANDARD.encode(Sha256::digest(&body))));
    }
    for (name, value) in query {
        let mark = if target.contains('?') { '&' } else { '?' };
        target = format!(
            "{target}{mark}{}={}",
            utf8_percent_encode(&name, UNRESERVED),
            utf8_percent_encode(&value, UNRESERVED)
        );
    }
    Request { method: entry["http"]["method"].as_str().unwrap().to_owned(), target, headers, body }
}

fn xml(model: &Model, reference: &Value, value: &Value, name: &str) -> String {
    let shape = model.target(reference);
    let space = [reference, shape].into_iter().find_map(|place| place["xmlNamespace"]["uri"].as_str());
    let space = space.map_or_else(String::new, |uri| format!(" xmlns=\"{uri}\""));
    let inside = match value {
        Value::Object(object) => object
            .iter()
            .map(|(member, value)| {
                let reference = &shape["members"][member];
                let name = location(member, reference);
                let target = model.target(reference);
                match value {
                    Value::Array(items) => {
                        let of = &target["member"];
                        if target["flattened"].as_bool() == Some(true) {
                            items.iter().map(|item| xml(model, of, item, name)).collect()
                        } else {
                            let each = location("member", of);
                            let items: String = items.iter().map(|item| xml(model, of, item, each)).collect();
                            format!("<{name}>{items}</{name}>")
                        }
                    }
                    value => xml(model, reference, value, name),
                }
            })
            .collect(),
        scalar => quick_xml::escape::escape(plain(scalar)).into_owned(),
    };
    format!("<{name}{space}>{inside}</{name}>")
}

/// The members of an input that choose the operation itself, and so cannot be left out or spoilt.
pub(super) fn chooses(model: &Model, operation: &str, member: &str) -> bool {
    let reference = members(model.input(operation)).find(|(name, _)| *name == member).map(|(_, reference)| reference);
    reference.is_some_and(|reference| reference["location"] == "uri")
        || (model.service == "s3" && matches!(member, "CopySource" | "UploadId" | "PartNumber"))
}
