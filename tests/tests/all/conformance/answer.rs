//! Answers held against the model: every member that is there is one of the shape's and has its type.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::model::{Model, Protocol, kind, members, requires, values};
use super::wire::{Received, location};
use super::xml::{self, Element};

/// What is wrong, each as `MEMBER PATH: expected ..., got ...`.
pub(super) type Problems = Vec<String>;

fn wrong(problems: &mut Problems, path: &str, expected: &str, got: impl std::fmt::Display) {
    let mut got = got.to_string();
    if let Some((end, _)) = got.char_indices().nth(160) {
        got.truncate(end);
    }
    problems.push(format!("{}: expected {expected}, got {got}", if path.is_empty() { "the answer" } else { path }));
}

/// How a place writes times.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Times {
    /// Seconds since 1970, a number.
    Epoch,
    /// `2026-01-02T03:04:05Z`
    Iso8601,
    /// `Fri, 02 Jan 2026 03:04:05 GMT`
    Http,
}

/// The output of a call that went well, with what is wrong with it.
pub(super) fn output(model: &Model, operation: &str, received: &Received) -> (Value, Problems) {
    let mut problems = Problems::new();
    let shape = model.output(operation);
    let status = model.operation(operation)["http"]["responseCode"].as_u64().unwrap_or(200);
    if u64::from(received.status) != status {
        // The model leaves it out, S3's API reference has it.
        let is_documented = (model.service.as_str(), operation, received.status) == ("s3", "PutBucketPolicy", 204);
        if !is_documented {
            wrong(&mut problems, "the HTTP status", &status.to_string(), received.status);
        }
    }
    common_headers(model, received, &mut problems);
    let value = match model.protocol() {
        Protocol::Json { .. } => json(received, shape, &mut problems),
        Protocol::Query { namespace, .. } => query(model, operation, &namespace, received, &mut problems),
        Protocol::RestXml => rest_xml(model, operation, received, &mut problems),
    };
    let times = if matches!(model.protocol(), Protocol::Json { .. }) { Times::Epoch } else { Times::Iso8601 };
    check(model, shape, &value, times, "", &mut problems);
    (value, problems)
}

fn common_headers(model: &Model, received: &Received, problems: &mut Problems) {
    let (id, kind) = match model.protocol() {
        Protocol::Json { version, .. } => ("x-amzn-requestid", format!("application/x-amz-json-{version}")),
        Protocol::Query { .. } => ("x-amzn-requestid", "text/xml".to_owned()),
        Protocol::RestXml => ("x-amz-request-id", String::new()),
    };
    if received.header(id).is_empty() {
        wrong(problems, &format!("the header {id}"), "an id", "none");
    }
    if !kind.is_empty() && received.header("content-type") != kind {
        wrong(problems, "the header content-type", &kind, received.header("content-type"));
    }
}

fn json(received: &Received, shape: &Value, problems: &mut Problems) -> Value {
    if shape.is_null() && received.body.is_empty() {
        return Value::Object(Map::new());
    }
    serde_json::from_slice(&received.body).unwrap_or_else(|error| {
        wrong(problems, "the body", "JSON", format!("{error}: {}", received.text()));
        Value::Object(Map::new())
    })
}

fn query(model: &Model, operation: &str, namespace: &str, received: &Received, problems: &mut Problems) -> Value {
    let nothing = Value::Object(Map::new());
    let root = match xml::parse(&received.text()) {
        Ok(root) => root,
        Err(error) => {
            wrong(problems, "the body", "XML", format!("{error}: {}", received.text()));
            return nothing;
        }
    };
    if root.name != format!("{operation}Response") {
        wrong(problems, "the root element", &format!("{operation}Response"), &root.name);
    }
    if !root.attributes.iter().any(|(name, value)| name == "xmlns" && value == namespace) {
        wrong(problems, "the namespace", namespace, format!("{:?}", root.attributes));
    }
    if root.child("ResponseMetadata").is_none_or(|metadata| metadata.text_of("RequestId").is_empty()) {
        wrong(problems, "ResponseMetadata.RequestId", "an id", "none");
    }
    let reference = &model.operation(operation)["output"];
    match (reference["resultWrapper"].as_str(), model.output(operation)) {
        (Some(wrapper), shape) => match root.child(wrapper) {
            Some(result) => from_xml(model, shape, result, "", problems),
            None => {
                wrong(problems, wrapper, "an element", "none");
                nothing
            }
        },
        (None, _) => {
            for child in root.children.iter().filter(|child| child.name != "ResponseMetadata") {
                wrong(problems, &child.name, "no such element", "one");
            }
            nothing
        }
    }
}

fn rest_xml(model: &Model, operation: &str, received: &Received, problems: &mut Problems) -> Value {
    let shape = model.output(operation);
    let mut value = Map::new();
    let known: Vec<&str> = members(shape).map(|(name, reference)| location(name, reference)).collect();
    for name in received.headers.keys().map(hyper::header::HeaderName::as_str) {
        let is_common = ["x-amz-request-id", "x-amz-id-2"].contains(&name) || !name.starts_with("x-amz-");
        let is_known = known.iter().any(|known| name.eq_ignore_ascii_case(known) || name.starts_with("x-amz-meta-"));
        if !is_common && !is_known {
            wrong(problems, &format!("the header {name}"), "none that the shape does not have", received.header(name));
        }
    }
    for (name, reference) in members(shape).filter(|(_, reference)| reference["location"] == "header") {
        let target = model.target(reference);
        if let Some(text) = received.headers.get(location(name, reference).to_lowercase().as_str()) {
            let text = text.to_str().unwrap_or_default();
            value.insert(name.to_owned(), scalar(target, reference, text, Times::Http, name, problems));
        }
    }
    let body = received.text();
    let payload = shape["payload"].as_str();
    if let Some(name) = payload
        && kind(model.target(&shape["members"][name])) != "structure"
    {
        value.insert(name.to_owned(), Value::from(body));
        return Value::Object(value);
    }
    let has_body = payload.is_some() || members(shape).any(|(_, reference)| reference["location"].is_null());
    if body.is_empty() || !has_body {
        if !body.is_empty() {
            wrong(problems, "the body", "none", body);
        } else if has_body {
            wrong(problems, "the body", "XML", "none");
        }
        return Value::Object(value);
    }
    match xml::parse(&body) {
        Ok(root) => {
            let read = match payload {
                Some(name) => from_xml(model, model.target(&shape["members"][name]), &root, name, problems),
                None => from_xml(model, shape, &root, "", problems),
            };
            match (payload, read) {
                (Some(name), read) => drop(value.insert(name.to_owned(), read)),
                (None, Value::Object(read)) => value.extend(read),
                (None, _) => {}
            }
        }
        Err(error) => wrong(problems, "the body", "XML", format!("{error}: {body}")),
    }
    Value::Object(value)
}

fn from_xml(model: &Model, shape: &Value, element: &Element, path: &str, problems: &mut Problems) -> Value {
    match kind(shape) {
        "structure" => {
            let mut object = Map::new();
            let mut known = Vec::new();
            for (name, reference) in members(shape).filter(|(_, reference)| reference["location"].is_null()) {
                let target = model.target(reference);
                let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
                let place = location(name, reference);
                known.push(place);
                let is_flat = target["flattened"].as_bool() == Some(true);
                if reference["xmlAttribute"].as_bool() == Some(true) {
                    if let Some((_, text)) = element.attributes.iter().find(|(name, _)| name == place) {
                        object.insert(name.to_owned(), Value::from(text.as_str()));
                    }
                } else if is_flat {
                    let of = model.target(&target["member"]);
                    let items =
                        element.all(place).map(|item| from_xml(model, of, item, &format!("{path}[]"), problems));
                    let items: Vec<Value> = items.collect();
                    if !items.is_empty() {
                        object.insert(name.to_owned(), Value::from(items));
                    }
                } else {
                    if element.all(place).count() > 1 {
                        wrong(problems, &path, "one element", element.all(place).count());
                    }
                    if let Some(found) = element.child(place) {
                        let value = match kind(target) {
                            "structure" | "list" | "map" => from_xml(model, target, found, &path, problems),
                            _ => scalar(target, reference, &found.text, Times::Iso8601, &path, problems),
                        };
                        object.insert(name.to_owned(), value);
                    }
                }
            }
            for child in element.children.iter().filter(|child| !known.contains(&child.name.as_str())) {
                wrong(problems, path, "no element that the shape does not have", &child.name);
            }
            Value::Object(object)
        }
        "list" => {
            let (of, name) = (model.target(&shape["member"]), location("member", &shape["member"]));
            for child in element.children.iter().filter(|child| child.name != name) {
                wrong(problems, path, &format!("elements named {name}"), &child.name);
            }
            let items = element.all(name).map(|item| from_xml(model, of, item, &format!("{path}[]"), problems));
            Value::from(items.collect::<Vec<_>>())
        }
        "map" => {
            let (key, value) = (location("key", &shape["key"]), location("value", &shape["value"]));
            let mut object = Map::new();
            for entry in &element.children {
                match (entry.name.as_str(), entry.child(key), entry.child(value)) {
                    ("entry", Some(key), Some(found)) if entry.children.len() == 2 => {
                        let path = format!("{path}.{}", key.text);
                        let found = from_xml(model, model.target(&shape["value"]), found, &path, problems);
                        object.insert(key.text.clone(), found);
                    }
                    _ => wrong(problems, path, "<entry> with a key and a value", format!("{entry:?}")),
                }
            }
            Value::Object(object)
        }
        _ => scalar(shape, &Value::Null, &element.text, Times::Iso8601, path, problems),
    }
}

/// A scalar from its text, as JSON would have it.
fn scalar(shape: &Value, reference: &Value, text: &str, times: Times, path: &str, problems: &mut Problems) -> Value {
    let read = match kind(shape) {
        "integer" | "long" => text.parse::<i64>().ok().map(Value::from),
        "double" | "float" => text.parse::<f64>().ok().map(Value::from),
        "boolean" => text.parse::<bool>().ok().map(Value::from),
        "timestamp" => {
            let named = [reference, shape].into_iter().find_map(|place| place["timestampFormat"].as_str());
            let times = match named {
                Some("iso8601") => Times::Iso8601,
                Some("rfc822") => Times::Http,
                Some("unixTimestamp") => Times::Epoch,
                _ => times,
            };
            // Held to one format, so that the shape's check need not know where it stood.
            is_time(&Value::from(text), times).then(|| Value::from("1970-01-01T00:00:00Z"))
        }
        _ => Some(Value::from(text)),
    };
    read.unwrap_or_else(|| {
        wrong(problems, path, kind(shape), text);
        Value::Null
    })
}

fn is_time(value: &Value, times: Times) -> bool {
    let text = value.as_str().unwrap_or_default();
    match times {
        Times::Epoch => value.is_number(),
        Times::Iso8601 => text.ends_with('Z') && text.parse::<Timestamp>().is_ok(),
        Times::Http => {
            text.ends_with(" GMT") && jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).is_ok()
        }
    }
}

fn check(model: &Model, shape: &Value, value: &Value, times: Times, path: &str, problems: &mut Problems) {
    let join = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let fits = match (kind(shape), value) {
        // An operation without an output.
        ("", Value::Object(object)) => object.is_empty(),
        ("structure", Value::Object(object)) => {
            for (name, value) in object {
                match members(shape).find(|(known, _)| known == name) {
                    Some((_, reference)) => check(model, model.target(reference), value, times, &join(name), problems),
                    None => wrong(problems, &join(name), "no member that the shape does not have", value),
                }
            }
            for (name, _) in members(shape) {
                if requires(shape, name) && !object.contains_key(name) {
                    wrong(problems, &join(name), "a member that is always there", "none");
                }
            }
            true
        }
        ("list", Value::Array(items)) => {
            for item in items {
                check(model, model.target(&shape["member"]), item, times, &format!("{path}[]"), problems);
            }
            true
        }
        ("map", Value::Object(object)) => {
            for (key, value) in object {
                check(model, model.target(&shape["key"]), &Value::from(key.as_str()), times, &join(key), problems);
                check(model, model.target(&shape["value"]), value, times, &join(key), problems);
            }
            true
        }
        ("string", Value::String(text)) => {
            let allowed = values(shape);
            if !allowed.is_empty() && !allowed.contains(&text.as_str()) {
                wrong(problems, path, &format!("one of {allowed:?}"), value);
            }
            true
        }
        ("blob", Value::String(text)) => {
            // Only JSON and XML have it in base64; S3's are the bodies themselves.
            model.service == "s3" || STANDARD.decode(text).is_ok()
        }
        ("timestamp", value) => is_time(value, times),
        ("integer" | "long", Value::Number(number)) => number.is_i64() || number.is_u64(),
        ("double" | "float", Value::Number(_)) | ("boolean", Value::Bool(_)) => true,
        _ => false,
    };
    if !fits {
        wrong(problems, path, kind(shape), value);
    }
}

/// A refusal's code, with what is wrong with how it is written.
pub(super) fn refusal(model: &Model, is_head: bool, received: &Received) -> (String, Problems) {
    let mut problems = Problems::new();
    if is_head {
        // No body: the status is all that there is.
        if !received.body.is_empty() {
            wrong(&mut problems, "the body", "none after HEAD", received.text());
        }
        return (String::new(), problems);
    }
    let (code, message) = match model.protocol() {
        Protocol::Json { .. } => {
            common_headers(model, received, &mut problems);
            let body: Value = serde_json::from_slice(&received.body).unwrap_or_default();
            let kind = body["__type"].as_str().unwrap_or_default();
            let code = kind.rsplit('#').next().unwrap_or_default().to_owned();
            if received.header("x-amzn-errortype") != code {
                wrong(&mut problems, "the header x-amzn-errortype", &code, received.header("x-amzn-errortype"));
            }
            (code, body["message"].as_str().unwrap_or_default().to_owned())
        }
        Protocol::Query { namespace, .. } => {
            common_headers(model, received, &mut problems);
            let root = xml::parse(&received.text()).unwrap_or_default();
            if root.name != "ErrorResponse" || !root.attributes.iter().any(|(_, value)| *value == namespace) {
                wrong(&mut problems, "the root element", &format!("ErrorResponse of {namespace}"), received.text());
            }
            if root.text_of("RequestId").is_empty() {
                wrong(&mut problems, "RequestId", "an id", "none");
            }
            let error = root.child("Error");
            let text = |name: &str| error.map_or(String::new(), |error| error.text_of(name).to_owned());
            let fault = if received.status < 500 { "Sender" } else { "Receiver" };
            if text("Type") != fault {
                wrong(&mut problems, "Error.Type", fault, text("Type"));
            }
            (text("Code"), text("Message"))
        }
        Protocol::RestXml => {
            let root = xml::parse(&received.text()).unwrap_or_default();
            if root.name != "Error" || root.text_of("RequestId") != received.header("x-amz-request-id") {
                wrong(&mut problems, "the body", "<Error> with the request's id", received.text());
            }
            (root.text_of("Code").to_owned(), root.text_of("Message").to_owned())
        }
    };
    if code.is_empty() || message.is_empty() {
        wrong(&mut problems, "the body", "an error's code and message", received.text());
    }
    (code, problems)
}
