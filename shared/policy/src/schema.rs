//! The tables of keys as a JSON Schema, for editors.

use serde_json::{Map, Value, json};

use crate::keys::{self, Acts, Form, Key, Need, Shape, Table, Together};

/// The dialect: the newest that the editors' YAML servers know without leaving anything out.
const DIALECT: &str = "http://json-schema.org/draft-07/schema#";

/// The policy file as a JSON Schema.
///
/// It takes every policy that [`crate::parse_policy`] takes, and refuses what can be seen without knowing what a text
/// means: keys, types, words, forms of names. Editors read a text such as `1.10` as a number, so a number will do for any text.
pub fn schema() -> Value {
    let definitions = keys::ALL.iter().map(|table| (table.id.to_owned(), mapping(table)));
    let definitions: Map<String, Value> = definitions.collect();
    json!({
        "$schema": DIALECT,
        "title": "Signalbox policy",
        "description": "What Signalbox does for which repositories: signalbox.yaml",
        "$ref": reference(&keys::FILE),
        "definitions": definitions,
    })
}

fn reference(table: &Table) -> String {
    format!("#/definitions/{}", table.id)
}

/// A mapping with known keys; nothing at all is an empty one, where that is enough.
fn mapping(table: &Table) -> Value {
    let required: Vec<&str> = table.keys.iter().filter(|key| key.need == Need::Required).map(|key| key.name).collect();
    let may_be_empty = required.is_empty() && matches!(table.together, Together::Free);
    let properties: Map<String, Value> = table.keys.iter().map(|key| (key.name.to_owned(), property(key))).collect();
    let mut schema = json!({
        "title": table.name,
        "type": if may_be_empty { json!(["object", "null"]) } else { json!("object") },
        "additionalProperties": false,
        "properties": properties,
    });
    if !required.is_empty() {
        put(&mut schema, "required", json!(required));
    }
    let one_each = |names: &[&str]| json!(names.iter().map(|name| json!({ "required": [name] })).collect::<Vec<_>>());
    match table.together {
        Together::Free => {}
        Together::Some => put(&mut schema, "minProperties", json!(1)),
        Together::SomeOf(names) => put(&mut schema, "anyOf", one_each(names)),
        Together::OneOf(names) => put(&mut schema, "oneOf", one_each(names)),
    }
    schema
}

fn property(key: &Key) -> Value {
    let note = match key.acts {
        Acts::Now => "",
        Acts::Later => " Checked, and does nothing in this version yet.",
        Acts::HoldsBack => " Checked; what has it does not act in this version.",
    };
    let described = json!(format!("{}{note}", key.about));
    let mut schema = match value(&key.shape) {
        // Beside a $ref nothing else counts in this dialect.
        referring if referring.get("$ref").is_some() => json!({ "allOf": [referring] }),
        schema => schema,
    };
    put(&mut schema, "description", described);
    if let Some(default) = key.default {
        let is_switch = matches!(key.shape, Shape::Switch);
        put(&mut schema, "default", if is_switch { json!(default == "true") } else { json!(default) });
    }
    schema
}

fn value(shape: &Shape) -> Value {
    match shape {
        Shape::Word(words) => json!({ "enum": words }),
        Shape::Words(words) => one_or_more(&json!({ "enum": words })),
        Shape::Switch => json!({ "type": "boolean" }),
        // Quotes make no difference to the readers.
        Shape::UpTo(most) => {
            json!({ "type": ["integer", "string"], "minimum": 1, "maximum": most, "pattern": "^[+]?[0-9]+$" })
        }
        Shape::Text(form) => text(form),
        Shape::Texts(form) => one_or_more(&text(form)),
        Shape::Mapping(table) => json!({ "$ref": reference(table) }),
        Shape::TextOr(table) => {
            json!({ "anyOf": [text(&Form { pattern: "", examples: &[] }), { "$ref": reference(table) }] })
        }
        Shape::List(table) => json!({ "type": ["array", "null"], "items": { "$ref": reference(table) } }),
        Shape::Entries(form, shape) => {
            let mut schema = json!({ "type": ["object", "null"], "additionalProperties": value(shape) });
            if !form.pattern.is_empty() {
                put(&mut schema, "propertyNames", json!({ "pattern": form.pattern }));
            }
            schema
        }
    }
}

fn one_or_more(item: &Value) -> Value {
    json!({ "anyOf": [item, { "type": "array", "minItems": 1, "items": item }] })
}

fn text(form: &Form) -> Value {
    let mut schema = json!({ "type": ["string", "number", "boolean"] });
    if !form.pattern.is_empty() {
        put(&mut schema, "pattern", json!(form.pattern));
    }
    if !form.examples.is_empty() {
        put(&mut schema, "examples", json!(form.examples));
    }
    schema
}

fn put(schema: &mut Value, name: &str, value: Value) {
    if let Some(schema) = schema.as_object_mut() {
        schema.insert(name.to_owned(), value);
    }
}
