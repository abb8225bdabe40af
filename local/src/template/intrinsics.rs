//! The intrinsic functions: everything that is known without a resource is worked out here.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Pseudo;
use super::expression::{Expression, Kind, Reference};
use super::kinds::ResourceKind;
use super::problem::{Position, TemplateProblem, nearest};
use super::yaml::{Node, Tree, scalar_text};

/// What can be referred to while a template is read.
pub(super) struct Scope<'a> {
    pub(super) pseudo: &'a Pseudo,
    /// The parameters that have a good value.
    pub(super) parameters: BTreeMap<String, Value>,
    /// Every name in the Parameters section: a reference to a bad one is not a second problem.
    pub(super) parameter_names: Vec<String>,
    pub(super) mappings: Option<&'a Node>,
    pub(super) conditions: Option<&'a Node>,
    /// Every resource that the template names.
    pub(super) resources: BTreeMap<String, Known>,
    /// Conditions that are being worked out: a name twice is a circle.
    pub(super) open_conditions: Vec<String>,
    pub(super) problems: Vec<TemplateProblem>,
}

/// What is known of a resource before it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// It will be there.
    As(ResourceKind),
    /// Its condition does not hold.
    LeftOut,
    /// It is a problem already; a reference to it is not a second one.
    Problem,
}

impl Scope<'_> {
    pub(super) fn problem(&mut self, at: Position, message: impl Into<String>) {
        self.problems.push(TemplateProblem::new(at, message));
    }

    /// Works a node out; `None` is `AWS::NoValue`, or something that is a problem now.
    pub(super) fn lower(&mut self, node: &Node) -> Option<Expression> {
        let at = node.at;
        let kind = match &node.tree {
            Tree::Scalar(value) => Kind::Scalar(value.clone()),
            Tree::List(items) => Kind::List(items.iter().filter_map(|item| self.lower(item)).collect()),
            Tree::Map(entries) => Kind::Map(
                entries
                    .iter()
                    .filter_map(|entry| Some((entry.key.clone(), entry.at, self.lower(&entry.value)?)))
                    .collect(),
            ),
            Tree::Call(name, argument) => return self.call(at, name, argument),
        };
        Some(Expression { at, kind })
    }

    fn call(&mut self, at: Position, name: &str, argument: &Node) -> Option<Expression> {
        match name {
            "Ref" => match argument.text() {
                Some(target) => self.reference(at, &target),
                None => self.wants(at, name, "a name"),
            },
            "Fn::GetAtt" => self.get_att(at, argument),
            "Fn::Sub" => self.sub(at, argument),
            "Fn::Join" => {
                let [separator, items] = self.arguments(at, name, argument)?;
                let separator = separator.text();
                let items = self.lower(items)?;
                match separator {
                    Some(separator) => Some(Expression { at, kind: Kind::Join(separator, Box::new(items)) }),
                    None => self.wants(at, name, "a plain text as its separator"),
                }
            }
            "Fn::Split" => {
                let [separator, text] = self.arguments(at, name, argument)?;
                let separator = separator.text();
                let text = self.lower(text)?;
                match separator {
                    Some(separator) if !separator.is_empty() => {
                        Some(Expression { at, kind: Kind::Split(separator, Box::new(text)) })
                    }
                    _ => self.wants(at, name, "a plain text that is not empty as its separator"),
                }
            }
            "Fn::Select" => {
                let [index, items] = self.arguments(at, name, argument)?;
                let index = self.lower(index)?.known_text().and_then(|text| text.parse().ok());
                let items = self.lower(items)?;
                match index {
                    Some(index) => Some(Expression { at, kind: Kind::Select(index, Box::new(items)) }),
                    None => self.wants(at, name, "a number from 0 as its first argument"),
                }
            }
            "Fn::If" => {
                let [condition, then, otherwise] = self.arguments(at, name, argument)?;
                let Some(condition_name) = condition.text() else {
                    return self.wants(at, name, "the name of a condition");
                };
                let branch = if self.condition(condition.at, &condition_name)? { then } else { otherwise };
                self.lower(branch)
            }
            "Fn::FindInMap" => self.find_in_map(at, argument),
            "Condition" | "Fn::Equals" | "Fn::And" | "Fn::Or" | "Fn::Not" => {
                self.problem(at, format!("{name} stands in Conditions and in Fn::If only"));
                None
            }
            _ => {
                let hint =
                    if name == "Fn::ImportValue" { "; there are no other stacks here: use a parameter" } else { "" };
                self.problem(at, format!("the local cloud does not follow {name}{hint}"));
                None
            }
        }
    }

    fn wants<T>(&mut self, at: Position, name: &str, what: &str) -> Option<T> {
        self.problem(at, format!("{name} wants {what}"));
        None
    }

    fn arguments<'n, const COUNT: usize>(
        &mut self,
        at: Position,
        name: &str,
        argument: &'n Node,
    ) -> Option<[&'n Node; COUNT]> {
        let items: Vec<&Node> = match &argument.tree {
            Tree::List(items) => items.iter().collect(),
            _ => Vec::new(),
        };
        match items.try_into() {
            Ok(items) => Some(items),
            Err(_) => self.wants(at, name, &format!("a list of {COUNT} arguments")),
        }
    }

    fn reference(&mut self, at: Position, target: &str) -> Option<Expression> {
        if target == "AWS::NoValue" {
            return None;
        }
        if let Some(value) = self.pseudo.value(target) {
            return Some(Expression::text(at, value));
        }
        if let Some(value) = self.parameters.get(target) {
            return Some(constant(at, value));
        }
        if self.parameter_names.iter().any(|name| name == target) {
            return None;
        }
        self.resource(at, target, None)
    }

    fn get_att(&mut self, at: Position, argument: &Node) -> Option<Expression> {
        let [resource, attribute] = self.arguments(at, "Fn::GetAtt", argument)?;
        match (resource.text(), attribute.text()) {
            (Some(resource), Some(attribute)) => self.resource(at, &resource, Some(attribute)),
            _ => self.wants(at, "Fn::GetAtt", "a resource and an attribute as plain texts"),
        }
    }

    fn resource(&mut self, at: Position, id: &str, attribute: Option<String>) -> Option<Expression> {
        match self.resources.get(id) {
            None => {
                let known = self.resources.keys().chain(&self.parameter_names).map(String::as_str);
                let hint = nearest(id, known).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
                self.problem(at, format!("there is no parameter and no resource {id}{hint}"));
                return None;
            }
            Some(Known::Problem) => return None,
            Some(Known::LeftOut) => {
                self.problem(at, format!("{id} is left out by its condition; refer to it inside Fn::If"));
                return None;
            }
            Some(Known::As(kind)) => {
                if let Some(attribute) = &attribute
                    && !kind.attributes().contains(&attribute.as_str())
                {
                    let message = format!(
                        "the local cloud does not follow the attribute {attribute} of {}; it follows {}",
                        kind.name(),
                        if kind.attributes().is_empty() { "none".to_owned() } else { kind.attributes().join(", ") },
                    );
                    self.problem(at, message);
                    return None;
                }
            }
        }
        Some(Expression { at, kind: Kind::Resource(Reference { resource: id.to_owned(), attribute }) })
    }

    fn sub(&mut self, at: Position, argument: &Node) -> Option<Expression> {
        let (text, names) = match &argument.tree {
            Tree::List(_) => {
                let [text, names] = self.arguments(at, "Fn::Sub", argument)?;
                (text.text(), names.entries())
            }
            _ => (argument.text(), Default::default()),
        };
        let Some(text) = text else { return self.wants(at, "Fn::Sub", "a plain text") };
        let own: BTreeMap<&str, Option<Expression>> =
            names.iter().map(|entry| (entry.key.as_str(), self.lower(&entry.value))).collect();
        let mut parts = Vec::new();
        let mut rest = text.as_str();
        while let Some((before, behind)) = rest.split_once("${") {
            let Some((name, after)) = behind.split_once('}') else {
                return self.wants(at, "Fn::Sub", "a } behind every ${");
            };
            if !before.is_empty() {
                parts.push(Expression::text(at, before));
            }
            rest = after;
            let name = name.trim();
            if let Some(literal) = name.strip_prefix('!') {
                parts.push(Expression::text(at, format!("${{{literal}}}")));
            } else if let Some(own) = own.get(name) {
                parts.extend(own.clone());
            } else {
                parts.extend(match name.split_once('.') {
                    Some((resource, attribute)) => self.resource(at, resource, Some(attribute.to_owned())),
                    None => self.reference(at, name),
                });
            }
        }
        if !rest.is_empty() {
            parts.push(Expression::text(at, rest));
        }
        Some(joined(at, parts))
    }

    fn find_in_map(&mut self, at: Position, argument: &Node) -> Option<Expression> {
        let [map, first, second] = self.arguments(at, "Fn::FindInMap", argument)?;
        let mut key = |node: &Node| self.lower(node).and_then(|key| key.known_text());
        let (Some(map), Some(first), Some(second)) = (key(map), key(first), key(second)) else {
            return self.wants(at, "Fn::FindInMap", "three keys that are known without any resource");
        };
        let found = self.mappings.and_then(|all| all.get(&map)?.get(&first)?.get(&second));
        match found {
            Some(node) => self.lower(node),
            None => {
                self.problem(at, format!("Mappings has nothing at {map}, {first}, {second}"));
                None
            }
        }
    }

    /// Whether a condition holds; `None` if it cannot be said, which is a problem then.
    pub(super) fn condition(&mut self, at: Position, name: &str) -> Option<bool> {
        let conditions = self.conditions;
        let Some(node) = conditions.and_then(|section| section.get(name)) else {
            let known = conditions.map(Node::entries).unwrap_or_default();
            let hint = nearest(name, known.iter().map(|entry| entry.key.as_str()))
                .map(|near| format!("; did you mean {near}?"))
                .unwrap_or_default();
            self.problem(at, format!("there is no condition {name}{hint}"));
            return None;
        };
        if self.open_conditions.iter().any(|open| open == name) {
            self.problem(node.at, format!("the condition {name} refers to itself"));
            return None;
        }
        self.open_conditions.push(name.to_owned());
        let holds = self.holds(node);
        self.open_conditions.pop();
        holds
    }

    fn holds(&mut self, node: &Node) -> Option<bool> {
        let (name, argument) = match &node.tree {
            Tree::Call(name, argument) => (name.as_str(), &**argument),
            Tree::Map(entries) => match entries.as_slice() {
                [only] if only.key == "Condition" => ("Condition", &only.value),
                _ => return self.wants(node.at, "a condition", "Fn::Equals, Fn::And, Fn::Or, Fn::Not or Condition"),
            },
            _ => return self.wants(node.at, "a condition", "Fn::Equals, Fn::And, Fn::Or, Fn::Not or Condition"),
        };
        match name {
            "Condition" => match argument.text() {
                Some(name) => self.condition(argument.at, &name),
                None => self.wants(node.at, name, "the name of a condition"),
            },
            "Fn::Equals" => {
                let [left, right] = self.arguments(node.at, name, argument)?;
                let left = self.lower(left)?.known_text();
                let right = self.lower(right)?.known_text();
                match (left, right) {
                    (Some(left), Some(right)) => Some(left == right),
                    _ => self.wants(node.at, name, "two texts that are known without any resource"),
                }
            }
            "Fn::Not" => {
                let [inner] = self.arguments(node.at, name, argument)?;
                self.holds(inner).map(|holds| !holds)
            }
            "Fn::And" | "Fn::Or" => match &argument.tree {
                Tree::List(items) if (2..=10).contains(&items.len()) => {
                    let each: Vec<Option<bool>> = items.iter().map(|item| self.holds(item)).collect();
                    let each: Option<Vec<bool>> = each.into_iter().collect();
                    each.map(|each| if name == "Fn::And" { each.iter().all(|one| *one) } else { each.contains(&true) })
                }
                _ => self.wants(node.at, name, "two to ten conditions"),
            },
            _ => {
                self.problem(node.at, format!("{name} is not a condition"));
                None
            }
        }
    }
}

/// A parameter's value as an expression.
fn constant(at: Position, value: &Value) -> Expression {
    let kind = match value {
        Value::Array(items) => Kind::List(items.iter().map(|item| constant(at, item)).collect()),
        scalar => Kind::Scalar(scalar.clone()),
    };
    Expression { at, kind }
}

/// Parts of a text as one text where all of them are known.
fn joined(at: Position, parts: Vec<Expression>) -> Expression {
    let known: Option<Vec<String>> = parts
        .iter()
        .map(|part| match &part.kind {
            Kind::Scalar(value) => scalar_text(value),
            _ => None,
        })
        .collect();
    match known {
        Some(texts) => Expression::text(at, texts.concat()),
        None => Expression { at, kind: Kind::Text(parts) },
    }
}
