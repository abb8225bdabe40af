//! YAML with CloudFormation's short tags, as a tree that remembers where everything stood.

use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, ScanError, YamlData};
use serde_json::Value;

use super::problem::{Position, TemplateProblem};

/// A value of the template and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) at: Position,
    pub(super) tree: Tree,
}

/// What a node holds.
#[derive(Debug, Clone)]
pub(super) enum Tree {
    /// Null, a boolean, a number or a text.
    Scalar(Value),
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// An intrinsic function by its long name (`Ref`, `Condition`, `Fn::Sub`) and its argument.
    Call(String, Box<Node>),
}

/// One key of a mapping with its value.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) at: Position,
    pub(super) value: Node,
}

impl Node {
    /// The entries of a mapping; anything else has none.
    pub(super) fn entries(&self) -> &[Entry] {
        match &self.tree {
            Tree::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find_map(|entry| (entry.key == key).then_some(&entry.value))
    }

    /// The text of a scalar, as CloudFormation writes numbers and booleans.
    pub(super) fn text(&self) -> Option<String> {
        match &self.tree {
            Tree::Scalar(value) => scalar_text(value),
            _ => None,
        }
    }

    /// An empty mapping that stands at `at`.
    pub(super) fn empty_map(at: Position) -> Self {
        Self { at, tree: Tree::Map(Vec::new()) }
    }
}

/// A scalar as text: CloudFormation makes a string of every scalar where it wants one.
pub(super) fn scalar_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Reads one document.
pub(super) fn read(text: &str) -> Result<Node, Vec<TemplateProblem>> {
    let documents = MarkedYaml::load_from_str(text).map_err(|error| vec![not_yaml(&error)])?;
    let mut problems = Vec::new();
    let mut documents = documents.into_iter();
    let root = match (documents.next(), documents.next()) {
        (Some(root), None) => convert(root, &mut problems),
        (None, _) => Node::empty_map(Position::START),
        (Some(_), Some(second)) => {
            return Err(vec![TemplateProblem::new(
                position(&second),
                "a template is one YAML document; this is a second one",
            )]);
        }
    };
    if problems.is_empty() { Ok(root) } else { Err(problems) }
}

fn not_yaml(error: &ScanError) -> TemplateProblem {
    let marker = error.marker();
    TemplateProblem::new(
        Position { line: marker.line(), column: marker.col() + 1 },
        format!("this is not YAML: {}", error.info()),
    )
}

fn position(node: &MarkedYaml<'_>) -> Position {
    Position { line: node.span.start.line(), column: node.span.start.col() + 1 }
}

fn convert(node: MarkedYaml<'_>, problems: &mut Vec<TemplateProblem>) -> Node {
    let at = position(&node);
    let tree = match node.data {
        YamlData::Value(scalar) => Tree::Scalar(scalar_value(&scalar)),
        YamlData::Sequence(items) => Tree::List(items.into_iter().map(|item| convert(item, problems)).collect()),
        YamlData::Mapping(map) => {
            let mut entries = Vec::new();
            for (key, value) in map {
                let key_at = position(&key);
                let key = convert(key, problems);
                match key.text() {
                    Some(key) => entries.push(Entry { key, at: key_at, value: convert(value, problems) }),
                    None => problems.push(TemplateProblem::new(key_at, "a key must be a plain text")),
                }
            }
            long_form(entries)
        }
        YamlData::Tagged(tag, inner) => {
            let inner = convert(*inner, problems);
            match long_name(&tag.suffix) {
                Some(name) => Tree::Call(name, Box::new(with_dots_split(&tag.suffix, inner))),
                None => {
                    problems.push(TemplateProblem::new(
                        at,
                        format!("the local cloud does not follow the intrinsic function {tag}"),
                    ));
                    inner.tree
                }
            }
        }
        YamlData::Alias(_) | YamlData::BadValue | YamlData::Representation(..) => {
            problems.push(TemplateProblem::new(at, "this value cannot be read"));
            Tree::Scalar(Value::Null)
        }
    };
    Node { at, tree }
}

fn scalar_value(scalar: &Scalar<'_>) -> Value {
    match scalar {
        Scalar::Null => Value::Null,
        Scalar::Boolean(flag) => Value::Bool(*flag),
        Scalar::Integer(number) => Value::from(*number),
        Scalar::FloatingPoint(number) => Value::from(number.into_inner()),
        Scalar::String(text) => Value::String(text.to_string()),
    }
}

/// `!GetAtt A.B` is `Fn::GetAtt: [A, B]`.
fn with_dots_split(tag: &str, inner: Node) -> Node {
    match (tag, inner.text()) {
        ("GetAtt", Some(text)) => split_attribute(&text, inner),
        _ => inner,
    }
}

fn split_attribute(text: &str, whole: Node) -> Node {
    let Some((resource, attribute)) = text.split_once('.') else { return whole };
    let part = |text: &str| Node { at: whole.at, tree: Tree::Scalar(Value::String(text.to_owned())) };
    Node { at: whole.at, tree: Tree::List(vec![part(resource), part(attribute)]) }
}

const FUNCTIONS: [&str; 17] = [
    "And",
    "Base64",
    "Cidr",
    "Equals",
    "FindInMap",
    "ForEach",
    "GetAZs",
    "GetAtt",
    "If",
    "ImportValue",
    "Join",
    "Length",
    "Not",
    "Or",
    "Select",
    "Split",
    "Sub",
];

fn long_name(tag: &str) -> Option<String> {
    match tag {
        "Ref" | "Condition" => Some(tag.to_owned()),
        _ => FUNCTIONS.contains(&tag).then(|| format!("Fn::{tag}")),
    }
}

/// A mapping with the one key `Ref` or `Fn::...` is a call.
fn long_form(mut entries: Vec<Entry>) -> Tree {
    let is_call = matches!(entries.as_slice(), [only] if only.key == "Ref" || only.key.starts_with("Fn::"));
    match entries.pop() {
        Some(only) if is_call => {
            let tag = only.key.strip_prefix("Fn::").unwrap_or(&only.key);
            let inner = with_dots_split(tag, only.value);
            Tree::Call(only.key, Box::new(inner))
        }
        Some(last) => {
            entries.push(last);
            Tree::Map(entries)
        }
        None => Tree::Map(entries),
    }
}
