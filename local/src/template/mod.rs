//! The template: `template.yaml` read, its intrinsics resolved, its resources made.
//!
//! Reading finds everything that is wrong or not followed at once, with line and column: a property that the local cloud
//! would ignore is a template that plays differently here than on AWS. [`stack::Stack`] makes what was read real.

pub mod expression;
pub mod function;
mod globals;
mod intrinsics;
mod kinds;
mod make;
mod names;
mod parameters;
pub mod problem;
pub(crate) mod roles;
mod schema;
pub mod stack;
mod yaml;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::kinds::ResourceKind;
pub(crate) use self::make::delete_rule;
pub use self::problem::{Problems, TemplateProblem};
pub use self::stack::Stack;

use self::expression::{Expression, Kind, Reference};
use self::intrinsics::{Known, Scope};
use self::problem::{Position, nearest};
use self::yaml::{Entry, Node, Tree};

/// What `AWS::Region` and its like stand for.
#[derive(Debug, Clone)]
pub struct Pseudo {
    /// `AWS::AccountId`
    pub account: String,
    /// `AWS::Region`
    pub region: String,
    /// `AWS::StackName`
    pub stack_name: String,
    /// `AWS::Partition`
    pub partition: String,
    /// `AWS::URLSuffix`
    pub url_suffix: String,
}

impl Pseudo {
    /// A stack of this name in the commercial partition.
    pub fn new(account: &str, region: &str, stack_name: &str) -> Self {
        Self {
            account: account.to_owned(),
            region: region.to_owned(),
            stack_name: stack_name.to_owned(),
            partition: "aws".to_owned(),
            url_suffix: "amazonaws.com".to_owned(),
        }
    }

    fn value(&self, name: &str) -> Option<String> {
        Some(match name {
            "AWS::AccountId" => self.account.clone(),
            "AWS::Region" => self.region.clone(),
            "AWS::StackName" => self.stack_name.clone(),
            "AWS::Partition" => self.partition.clone(),
            "AWS::URLSuffix" => self.url_suffix.clone(),
            "AWS::StackId" => self.stack_id(),
            _ => return None,
        })
    }

    /// `AWS::StackId`
    pub fn stack_id(&self) -> String {
        format!(
            "arn:{}:cloudformation:{}:{}:stack/{}/{}",
            self.partition,
            self.region,
            self.account,
            self.stack_name,
            names::suffix(&self.stack_name, "")
        )
    }
}

/// A template whose every part the local cloud can follow.
#[derive(Debug, Clone)]
pub struct Template {
    /// What its pseudo parameters stand for.
    pub pseudo: Pseudo,
    /// What its parameters were given, or have by default; a secret one is masked.
    pub parameters: BTreeMap<String, String>,
    /// The resources in the order in which they can be made.
    pub resources: Vec<Resource>,
    /// The outputs in the template's order.
    pub outputs: Vec<TemplateOutput>,
}

/// A resource of the template.
#[derive(Debug, Clone)]
pub struct Resource {
    /// Its logical id.
    pub id: String,
    /// Its type.
    pub kind: ResourceKind,
    /// Where it stands.
    pub at: Position,
    /// Its properties: a mapping.
    pub properties: Expression,
    /// What must be there first, by reference or by `DependsOn`.
    pub depends_on: BTreeSet<String>,
    /// Its metadata, for instance how SAM builds it.
    pub metadata: Value,
    /// What becomes of it when the stack is deleted.
    pub on_deletion: OnDeletion,
}

/// `DeletionPolicy`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnDeletion {
    /// It goes with the stack.
    #[default]
    Delete,
    /// It stays.
    Retain,
}

/// An output of the template.
#[derive(Debug, Clone)]
pub struct TemplateOutput {
    /// Its name.
    pub name: String,
    /// What it says.
    pub description: Option<String>,
    /// Its value.
    pub value: Expression,
}

const SECTIONS: [&str; 9] = [
    "AWSTemplateFormatVersion",
    "Conditions",
    "Description",
    "Globals",
    "Mappings",
    "Metadata",
    "Outputs",
    "Parameters",
    "Resources",
];

const RESOURCE_ATTRIBUTES: [&str; 7] =
    ["Condition", "DeletionPolicy", "DependsOn", "Metadata", "Properties", "Type", "UpdateReplacePolicy"];

impl Template {
    /// Reads a template with values for its parameters.
    ///
    /// # Errors
    /// Everything that is wrong or that the local cloud does not follow, in the order of the text.
    pub fn parse(
        text: &str,
        parameters: &BTreeMap<String, String>,
        pseudo: &Pseudo,
    ) -> Result<Self, Vec<TemplateProblem>> {
        let root = yaml::read(text)?;
        let mut problems = Vec::new();
        check_sections(&root, &mut problems);
        let section = root.get("Parameters");
        let globals = globals::of_functions(root.get("Globals"), &mut problems);
        let mut scope = Scope {
            pseudo,
            parameters: parameters::values(section, parameters, &mut problems),
            parameter_names: section.map(Node::entries).unwrap_or_default().iter().map(|e| e.key.clone()).collect(),
            mappings: root.get("Mappings"),
            conditions: root.get("Conditions"),
            resources: BTreeMap::new(),
            open_conditions: Vec::new(),
            problems,
        };
        // Every condition is worked out, also one that nothing uses: a typing error in it is found now.
        for entry in root.get("Conditions").map(Node::entries).unwrap_or_default() {
            scope.condition(entry.at, &entry.key);
        }
        let entries = root.get("Resources").map(Node::entries).unwrap_or_default();
        if entries.is_empty() {
            scope.problem(root.at, "the template has no Resources");
        }
        announce(entries, &mut scope);
        let mut resources: Vec<Resource> =
            entries.iter().flat_map(|entry| resource(entry, globals, &mut scope)).collect();
        let outputs = root
            .get("Outputs")
            .map(Node::entries)
            .unwrap_or_default()
            .iter()
            .filter_map(|entry| output(entry, &mut scope))
            .collect();
        in_order(&mut resources, &mut scope.problems);
        let parameters = parameters::shown(section, &scope.parameters);
        let mut problems = scope.problems;
        if problems.is_empty() {
            return Ok(Self { pseudo: pseudo.clone(), parameters, resources, outputs });
        }
        problems.sort();
        problems.dedup();
        Err(problems)
    }
}

fn check_sections(root: &Node, problems: &mut Vec<TemplateProblem>) {
    for entry in root.entries() {
        let problem = match entry.key.as_str() {
            "Transform" => match entry.value.text().as_deref() {
                Some("AWS::Serverless-2016-10-31") => None,
                _ => Some("the local cloud follows the one transform AWS::Serverless-2016-10-31".to_owned()),
            },
            "AWSTemplateFormatVersion" => match entry.value.text().as_deref() {
                Some("2010-09-09") => None,
                _ => Some("AWSTemplateFormatVersion must be \"2010-09-09\"".to_owned()),
            },
            key if SECTIONS.contains(&key) => None,
            key => {
                let hint = nearest(key, SECTIONS.into_iter().chain(["Transform"]))
                    .map(|near| format!("; did you mean {near}?"))
                    .unwrap_or_default();
                Some(format!("the local cloud does not follow the section {key}{hint}"))
            }
        };
        problems.extend(problem.map(|message| TemplateProblem::new(entry.at, message)));
    }
    if root.entries().is_empty() {
        problems.push(TemplateProblem::new(root.at, "this is not a template: it must be a mapping with Resources"));
    }
}

/// Tells the scope which resources there will be, before the first reference is looked at.
fn announce(entries: &[Entry], scope: &mut Scope<'_>) {
    for entry in entries {
        let kind = entry.value.get("Type").and_then(Node::text);
        let known = match kind.as_deref().map(ResourceKind::parse) {
            Some(Some(kind)) => match entry.value.get("Condition") {
                Some(node) => match node.text() {
                    Some(name) => match scope.condition(node.at, &name) {
                        Some(true) => Known::As(kind),
                        Some(false) => Known::LeftOut,
                        None => Known::Problem,
                    },
                    None => {
                        scope.problem(node.at, "Condition wants the name of a condition");
                        Known::Problem
                    }
                },
                None => Known::As(kind),
            },
            Some(None) => {
                let kind = kind.unwrap_or_default();
                let at = entry.value.get("Type").map_or(entry.at, |node| node.at);
                let known: Vec<&str> = ResourceKind::ALL.into_iter().map(ResourceKind::name).collect();
                let hint = match nearest(&kind, known.iter().copied()) {
                    Some(near) => format!("did you mean {near}?"),
                    None => format!("it follows {}", known.join(", ")),
                };
                scope.problem(at, format!("the local cloud does not follow {kind}; {hint}"));
                Known::Problem
            }
            None => {
                scope.problem(entry.at, format!("the resource {} has no Type", entry.key));
                Known::Problem
            }
        };
        if known == Known::As(ResourceKind::Function) && function::wants_role(&entry.value) {
            scope.resources.insert(function::role_id(&entry.key), Known::As(ResourceKind::Role));
        }
        scope.resources.insert(entry.key.clone(), known);
    }
}

/// A resource, and the role that SAM makes beside a function that has none.
fn resource(entry: &Entry, globals: Option<&Node>, scope: &mut Scope<'_>) -> Vec<Resource> {
    let node = &entry.value;
    for attribute in node.entries() {
        if !RESOURCE_ATTRIBUTES.contains(&attribute.key.as_str()) {
            scope.problem(attribute.at, format!("the local cloud does not follow {} of a resource", attribute.key));
        }
    }
    let Some(Known::As(kind)) = scope.resources.get(&entry.key).copied() else { return Vec::new() };
    let none = Node::empty_map(entry.at);
    let own = node.get("Properties").unwrap_or(&none);
    let merged = match globals {
        Some(globals) if kind == ResourceKind::Function => globals::merge(globals, own),
        _ => own.clone(),
    };
    let Some(properties) = scope.lower(&merged) else { return Vec::new() };
    schema::check(kind.shape(), &properties, &entry.key, &mut scope.problems);
    let mut depends_on: BTreeSet<String> =
        properties.references().into_iter().map(|(_, reference)| reference.resource.clone()).collect();
    depends_on.extend(named_dependencies(node, scope));
    let metadata = node.get("Metadata").and_then(|node| scope.lower(node)).and_then(|metadata| {
        metadata.resolve(&mut |reference: &Reference| Some(format!("${{{}}}", reference.resource))).ok()
    });
    let resource = Resource {
        id: entry.key.clone(),
        kind,
        at: entry.at,
        properties,
        depends_on,
        metadata: metadata.unwrap_or_default(),
        on_deletion: on_deletion(node, scope),
    };
    if kind != ResourceKind::Function {
        return vec![resource];
    }
    function::check(&resource, &mut scope.problems);
    if function::wants_role(node) { function::with_role(resource, &mut scope.problems) } else { vec![resource] }
}

fn on_deletion(node: &Node, scope: &mut Scope<'_>) -> OnDeletion {
    let Some(policy) = node.get("DeletionPolicy") else { return OnDeletion::Delete };
    match policy.text().as_deref() {
        Some("Delete") => OnDeletion::Delete,
        Some("Retain") => OnDeletion::Retain,
        _ => {
            scope.problem(policy.at, "the local cloud follows the values Delete and Retain of DeletionPolicy");
            OnDeletion::Delete
        }
    }
}

fn named_dependencies(node: &Node, scope: &mut Scope<'_>) -> Vec<String> {
    let Some(depends_on) = node.get("DependsOn") else { return Vec::new() };
    let items: Vec<&Node> = match &depends_on.tree {
        Tree::List(items) => items.iter().collect(),
        _ => vec![depends_on],
    };
    let mut names = Vec::new();
    for item in items {
        let Some(name) = item.text() else {
            scope.problem(item.at, "DependsOn wants names of resources");
            continue;
        };
        match scope.resources.get(&name) {
            Some(Known::As(_)) => names.push(name),
            // CloudFormation lets a resource depend on one whose condition does not hold.
            Some(Known::LeftOut | Known::Problem) => {}
            None => scope.problem(item.at, format!("DependsOn names {name}, which is no resource")),
        }
    }
    names
}

fn output(entry: &Entry, scope: &mut Scope<'_>) -> Option<TemplateOutput> {
    if let Some(condition) = entry.value.get("Condition") {
        let name = condition.text()?;
        if !scope.condition(condition.at, &name)? {
            return None;
        }
    }
    let Some(value) = entry.value.get("Value") else {
        scope.problem(entry.at, format!("the output {} has no Value", entry.key));
        return None;
    };
    let value = scope.lower(value)?;
    if matches!(value.kind, Kind::List(_) | Kind::Map(_) | Kind::Split(..)) {
        scope.problem(value.at, format!("the output {} must be a text", entry.key));
    }
    let description = entry.value.get("Description").and_then(Node::text);
    Some(TemplateOutput { name: entry.key.clone(), description, value })
}

/// Puts what others depend on first, and otherwise keeps the template's order.
fn in_order(resources: &mut Vec<Resource>, problems: &mut Vec<TemplateProblem>) {
    let there: BTreeSet<String> = resources.iter().map(|resource| resource.id.clone()).collect();
    let mut made: BTreeSet<String> = BTreeSet::new();
    let mut waiting: Vec<Resource> = std::mem::take(resources);
    while !waiting.is_empty() {
        let free = waiting
            .iter()
            .position(|resource| resource.depends_on.iter().all(|id| made.contains(id) || !there.contains(id)));
        let Some(free) = free else {
            let mut ids: Vec<&str> = waiting.iter().map(|resource| resource.id.as_str()).collect();
            ids.sort_unstable();
            let at = waiting.first().map_or(Position::START, |resource| resource.at);
            problems.push(TemplateProblem::new(at, format!("these resources wait for each other: {}", ids.join(", "))));
            return;
        };
        let next = waiting.remove(free);
        made.insert(next.id.clone());
        resources.push(next);
    }
}
