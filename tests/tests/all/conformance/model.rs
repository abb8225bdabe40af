//! A service model as botocore has it: operations, shapes, and how both go over the wire.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// How a service's calls go over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Protocol {
    /// One JSON object, its operation in `x-amz-target`.
    Json { version: String, prefix: String },
    /// A form out and XML back.
    Query { version: String, namespace: String },
    /// S3's.
    RestXml,
}

/// One service's model.
pub(super) struct Model {
    /// The service's signing name, which is also its folder.
    pub(super) service: String,
    raw: Value,
}

impl Model {
    /// Reads the newest version below `folder/SERVICE`.
    pub(super) fn load(folder: &Path, service: &str) -> Self {
        let versions = std::fs::read_dir(folder.join(service)).unwrap();
        let newest = versions
            .map(|version| version.unwrap().path())
            .filter(|version| version.join("service-2.json").is_file() || version.join("service-2.json.gz").is_file())
            .max();
        let newest = newest.unwrap_or_else(|| panic!("there is no model of {service} in {}", folder.display()));
        let plain = newest.join("service-2.json");
        let text = if plain.is_file() {
            std::fs::read(plain).unwrap()
        } else {
            let unpacked = Command::new("gzip").arg("-dc").arg(newest.join("service-2.json.gz")).output().unwrap();
            assert!(unpacked.status.success(), "gzip cannot unpack the model of {service}");
            unpacked.stdout
        };
        Self { service: service.to_owned(), raw: serde_json::from_slice(&text).unwrap() }
    }

    /// The protocol that botocore picks: the first of its own order that the service speaks.
    pub(super) fn protocol(&self) -> Protocol {
        let metadata = &self.raw["metadata"];
        let text = |name: &str| metadata[name].as_str().unwrap_or_default().to_owned();
        let spoken: Vec<&str> =
            metadata["protocols"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        let order = ["json", "rest-json", "rest-xml", "smithy-rpc-v2-cbor", "query", "ec2"];
        match order.into_iter().find(|name| spoken.contains(name)) {
            Some("json") => Protocol::Json { version: text("jsonVersion"), prefix: text("targetPrefix") },
            Some("query") => Protocol::Query { version: text("apiVersion"), namespace: text("xmlNamespace") },
            Some("rest-xml") => Protocol::RestXml,
            other => panic!("{}: botocore picks a protocol that this test cannot speak: {other:?}", self.service),
        }
    }

    /// The names of all operations.
    pub(super) fn operations(&self) -> impl Iterator<Item = &str> {
        self.raw["operations"].as_object().unwrap().keys().map(String::as_str)
    }

    /// An operation's entry.
    pub(super) fn operation(&self, name: &str) -> &Value {
        let found = &self.raw["operations"][name];
        assert!(found.is_object(), "{} has no operation {name}", self.service);
        found
    }

    /// The input's shape; `Null`, which has no members, where there is none.
    pub(super) fn input(&self, operation: &str) -> &Value {
        self.target(&self.operation(operation)["input"])
    }

    /// The output's shape.
    pub(super) fn output(&self, operation: &str) -> &Value {
        self.target(&self.operation(operation)["output"])
    }

    /// The shape that a reference `{"shape": NAME, ...}` names.
    pub(super) fn target(&self, reference: &Value) -> &Value {
        &self.raw["shapes"][reference["shape"].as_str().unwrap_or_default()]
    }

    /// The errors of an operation as (code on the wire, HTTP status).
    pub(super) fn errors(&self, operation: &str) -> Vec<(String, u64)> {
        let references = self.operation(operation)["errors"].as_array().into_iter().flatten();
        references
            .map(|reference| {
                let (shape, name) = (self.target(reference), reference["shape"].as_str().unwrap());
                let code = shape["error"]["code"].as_str().unwrap_or(name).to_owned();
                let usual = if shape["fault"].as_bool() == Some(true) { 500 } else { 400 };
                (code, shape["error"]["httpStatusCode"].as_u64().unwrap_or(usual))
            })
            .collect()
    }
}

/// A structure's members as (name, reference).
pub(super) fn members(shape: &Value) -> impl Iterator<Item = (&str, &Value)> {
    shape["members"].as_object().into_iter().flatten().map(|(name, reference)| (name.as_str(), reference))
}

/// Whether a structure needs a member.
pub(super) fn requires(shape: &Value, member: &str) -> bool {
    shape["required"].as_array().is_some_and(|required| required.iter().any(|name| name == member))
}

/// The kind of a shape: `string`, `list`, `structure`, ...
pub(super) fn kind(shape: &Value) -> &str {
    shape["type"].as_str().unwrap_or_default()
}

/// The values of an enum; none where any is good.
pub(super) fn values(shape: &Value) -> Vec<&str> {
    shape["enum"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}
