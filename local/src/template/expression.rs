//! A value of the template after parameters, mappings and conditions were put in: what still waits are resources.

use serde_json::{Map, Value};

use super::problem::Position;
use super::yaml::scalar_text;

/// A value that may still refer to resources.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    /// Where it stands in the template.
    pub at: Position,
    /// What it is.
    pub kind: Kind,
}

/// What an expression is.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// A scalar that is known.
    Scalar(Value),
    /// A list.
    List(Vec<Expression>),
    /// A mapping: key, where the key stands, value.
    Map(Vec<(String, Position, Expression)>),
    /// What a resource is referred to by, or one of its attributes.
    Resource(Reference),
    /// Texts, one behind the other (`Fn::Sub`).
    Text(Vec<Expression>),
    /// `Fn::Join`.
    Join(String, Box<Expression>),
    /// `Fn::Select`.
    Select(usize, Box<Expression>),
    /// `Fn::Split`.
    Split(String, Box<Expression>),
}

/// `Ref` or `Fn::GetAtt` of a resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// The resource's logical id.
    pub resource: String,
    /// The attribute; none for `Ref`.
    pub attribute: Option<String>,
}

impl Expression {
    /// A known text.
    pub(super) fn text(at: Position, text: impl Into<String>) -> Self {
        Self { at, kind: Kind::Scalar(Value::String(text.into())) }
    }

    /// The value of a key of a mapping.
    pub fn get(&self, key: &str) -> Option<&Expression> {
        match &self.kind {
            Kind::Map(entries) => entries.iter().find_map(|(name, _, value)| (name == key).then_some(value)),
            _ => None,
        }
    }

    /// The text, if it is known without any resource.
    pub(super) fn known_text(&self) -> Option<String> {
        match self.resolve(&mut |_| None) {
            Ok(value) => scalar_text(&value),
            Err(_) => None,
        }
    }

    /// Every reference with its place, in the order of the text.
    pub fn references(&self) -> Vec<(Position, &Reference)> {
        let mut found = Vec::new();
        self.collect(&mut found);
        found
    }

    fn collect<'a>(&'a self, found: &mut Vec<(Position, &'a Reference)>) {
        match &self.kind {
            Kind::Scalar(_) => {}
            Kind::List(items) | Kind::Text(items) => items.iter().for_each(|item| item.collect(found)),
            Kind::Map(entries) => entries.iter().for_each(|(_, _, value)| value.collect(found)),
            Kind::Resource(reference) => found.push((self.at, reference)),
            Kind::Join(_, inner) | Kind::Select(_, inner) | Kind::Split(_, inner) => inner.collect(found),
        }
    }

    /// Puts the resources in.
    ///
    /// # Errors
    /// A reference that `find` does not know, a list where a text is wanted, an index that is not there.
    pub fn resolve(&self, find: &mut dyn FnMut(&Reference) -> Option<String>) -> Result<Value, Unresolved> {
        let wrong = |what: String| Unresolved { at: self.at, what };
        match &self.kind {
            Kind::Scalar(value) => Ok(value.clone()),
            Kind::List(items) => {
                items.iter().map(|item| item.resolve(find)).collect::<Result<Vec<_>, _>>().map(Value::Array)
            }
            Kind::Map(entries) => {
                let mut map = Map::new();
                for (key, _, value) in entries {
                    map.insert(key.clone(), value.resolve(find)?);
                }
                Ok(Value::Object(map))
            }
            Kind::Resource(reference) => find(reference)
                .map(Value::String)
                .ok_or_else(|| wrong(format!("{} is not made yet", reference.resource))),
            Kind::Text(parts) => parts
                .iter()
                .map(|part| part.resolve_text(find))
                .collect::<Result<Vec<_>, _>>()
                .map(|parts| Value::String(parts.concat())),
            Kind::Join(separator, items) => {
                let texts = items.resolve_texts(find)?;
                Ok(Value::String(texts.join(separator)))
            }
            Kind::Select(index, items) => {
                let Value::Array(mut values) = items.resolve(find)? else {
                    return Err(wrong("Fn::Select wants a list".to_owned()));
                };
                if *index >= values.len() {
                    return Err(wrong(format!("Fn::Select wants item {index} of a list of {}", values.len())));
                }
                Ok(values.swap_remove(*index))
            }
            Kind::Split(separator, text) => {
                let text = text.resolve_text(find)?;
                Ok(text.split(separator.as_str()).map(|part| Value::String(part.to_owned())).collect())
            }
        }
    }

    fn resolve_text(&self, find: &mut dyn FnMut(&Reference) -> Option<String>) -> Result<String, Unresolved> {
        let value = self.resolve(find)?;
        scalar_text(&value).ok_or_else(|| Unresolved { at: self.at, what: "this must be a text".to_owned() })
    }

    fn resolve_texts(&self, find: &mut dyn FnMut(&Reference) -> Option<String>) -> Result<Vec<String>, Unresolved> {
        match self.resolve(find)? {
            Value::Array(items) => items
                .iter()
                .map(|item| {
                    scalar_text(item)
                        .ok_or_else(|| Unresolved { at: self.at, what: "Fn::Join wants a list of texts".to_owned() })
                })
                .collect(),
            _ => Err(Unresolved { at: self.at, what: "Fn::Join wants a list of texts".to_owned() }),
        }
    }
}

/// A value that could not be worked out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}:{}: {what}", at.line, at.column)]
pub struct Unresolved {
    /// Where it stands.
    pub at: Position,
    /// What is wrong.
    pub what: String,
}
