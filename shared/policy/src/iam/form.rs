//! The statements as documents: IAM policies, a `CloudFormation` template, service control policies.

use serde_json::{Map, Value, json};

use super::{Prevention, Repositories, Spared, Statement};

/// The key that names the refs that a request is about.
const REFERENCES: &str = "codecommit:References";
/// What a document costs beside its statements.
const EMPTY: usize = r#"{"Version":"2012-10-17","Statement":[]}"#.len();
/// The number behind a `Sid` that comes twice, and the comma between two statements.
const SLACK: usize = 5;

/// What the documents are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Managed policies of IAM, for users, groups and roles.
    Managed,
    /// Service control policies of AWS Organizations, for accounts.
    ServiceControl,
}

impl Form {
    /// The most characters of a document, white space not counted.
    ///
    /// Managed policies: "IAM and AWS STS quotas" in the IAM user guide. Service control policies: "Quotas and service
    /// limits for AWS Organizations" in its user guide.
    pub fn limit(self) -> usize {
        match self {
            Self::Managed => 6144,
            Self::ServiceControl => 5120,
        }
    }

    /// How many documents of this form may be attached to one user, group, role, account or unit, as long as nobody asked
    /// AWS for more.
    pub fn most_attached(self) -> usize {
        match self {
            Self::Managed => 10,
            Self::ServiceControl => 5,
        }
    }
}

/// What the ARNs of the statements are made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// `aws`, `aws-cn`, `aws-us-gov`
    pub partition: String,
    /// The region of the repositories; `*` for every one.
    pub region: String,
    /// The account; `*` for every one.
    pub account: String,
    /// The stack's name, which the names of its roles begin with.
    pub stack: String,
}

impl Place {
    /// What a template writes, which `Fn::Sub` fills in.
    fn of_template() -> Self {
        let [partition, region, account, stack] =
            ["${AWS::Partition}", "${AWS::Region}", "${AWS::AccountId}", "${StackName}"].map(str::to_owned);
        Self { partition, region, account, stack }
    }

    /// The longest that a template can become.
    fn longest() -> Self {
        let [partition, region, account, stack] = [10, 16, 12, LONGEST_STACK].map(|length| "x".repeat(length));
        Self { partition, region, account, stack }
    }

    fn repository(&self, name: &str) -> String {
        let Self { partition, region, account, .. } = self;
        format!("arn:{partition}:codecommit:{region}:{account}:{name}")
    }

    fn role(&self, id: &str) -> String {
        let Self { partition, account, stack, .. } = self;
        format!("arn:{partition}:iam::{account}:role/{stack}-{id}-*")
    }
}

/// The longest stack name of which the names of roles are certain: `CloudFormation` cuts longer ones, as it likes, to 64 in all.
pub const LONGEST_STACK: usize = 35;

/// A statement that fits no document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the protection in line {line} of the policy needs {size} characters for one statement, and {limit} are the limit: \
     its exclusions and its bypass belong into every part of it"
)]
pub struct TooLarge {
    /// The line in the policy file.
    pub line: usize,
    /// How many characters it needs.
    pub size: usize,
    /// How many there may be.
    pub limit: usize,
}

impl Prevention {
    /// The statements as documents, as few as hold them; none where nothing is to be denied.
    ///
    /// # Errors
    /// A statement that fits none and cannot be cut.
    pub fn documents(&self, form: Form, place: &Place) -> Result<Vec<Value>, TooLarge> {
        let packed = self.packed(form, place)?;
        Ok(packed.iter().map(|statements| document(statements, place, &Value::String)).collect())
    }

    /// How many characters all statements have in one document, white space not counted.
    pub fn size(&self, place: &Place) -> usize {
        EMPTY + self.statements.iter().map(|statement| size(statement, place) + SLACK).sum::<usize>()
    }

    /// The statements as a template with managed policies; none where nothing is to be denied.
    ///
    /// # Errors
    /// A statement that fits no policy and cannot be cut.
    pub fn cloudformation(&self, stack: &str) -> Result<Option<Value>, TooLarge> {
        let packed = self.packed(Form::Managed, &Place::longest())?;
        if packed.is_empty() {
            return Ok(None);
        }
        let place = Place::of_template();
        let mut resources = Map::new();
        let mut outputs = Map::new();
        for (number, statements) in (1..).zip(&packed) {
            let id = format!("Protection{number}");
            let attached =
                |kind: &str| json!({ "Fn::If": [format!("Has{kind}"), { "Ref": kind }, { "Ref": "AWS::NoValue" }] });
            let properties = json!({
                "Description": format!("What Signalbox's policy forbids and IAM can prevent, {number} of {}", packed.len()),
                "PolicyDocument": document(statements, &place, &|arn| json!({ "Fn::Sub": arn })),
                "Groups": attached("Groups"),
                "Roles": attached("Roles"),
                "Users": attached("Users"),
            });
            outputs.insert(format!("{id}Arn"), json!({ "Description": "To attach elsewhere", "Value": { "Ref": id } }));
            resources.insert(id, json!({ "Type": "AWS::IAM::ManagedPolicy", "Properties": properties }));
        }
        let names = |whose: &str| {
            let what =
                format!("Names of the {whose} that the policies are attached to, separated by commas; empty for none");
            json!({ "Type": "CommaDelimitedList", "Default": "", "Description": what })
        };
        let has = |kind: &str| json!({ "Fn::Not": [{ "Fn::Equals": [{ "Fn::Join": ["", { "Ref": kind }] }, ""] }] });
        Ok(Some(json!({
            "AWSTemplateFormatVersion": "2010-09-09",
            "Description": "What Signalbox's policy forbids and IAM can prevent, made by signalbox iam",
            "Parameters": {
                "StackName": {
                    "Type": "String",
                    "Default": stack,
                    "AllowedPattern": format!("^[A-Za-z][A-Za-z0-9-]{{0,{}}}$", LONGEST_STACK - 1),
                    "Description": "Name of Signalbox's stack, whose roles are spared",
                },
                "Groups": names("groups"),
                "Roles": names("roles"),
                "Users": names("users"),
            },
            "Conditions": { "HasGroups": has("Groups"), "HasRoles": has("Roles"), "HasUsers": has("Users") },
            "Resources": resources,
            "Outputs": outputs,
        })))
    }

    /// The statements by document, each under a name that its document has once.
    fn packed(&self, form: Form, place: &Place) -> Result<Vec<Vec<Statement>>, TooLarge> {
        let limit = form.limit();
        let mut bins: Vec<(usize, Vec<Statement>)> = Vec::new();
        let mut todo: Vec<Statement> = self.statements.iter().rev().cloned().collect();
        while let Some(statement) = todo.pop() {
            let size = size(&statement, place) + SLACK;
            if EMPTY + size > limit {
                let (first, second) =
                    halves(&statement).ok_or(TooLarge { line: statement.line, size: EMPTY + size, limit })?;
                todo.extend([second, first]);
                continue;
            }
            match bins.iter_mut().find(|(full, _)| full + size <= limit) {
                Some((full, bin)) => {
                    *full += size;
                    bin.push(statement);
                }
                None => bins.push((EMPTY + size, vec![statement])),
            }
        }
        let mut bins: Vec<Vec<Statement>> = bins.into_iter().map(|(_, bin)| bin).collect();
        bins.iter_mut().for_each(|bin| number(bin));
        Ok(bins)
    }
}

fn number(statements: &mut [Statement]) {
    let mut seen = std::collections::BTreeMap::<String, usize>::new();
    for statement in statements {
        let times = seen.entry(statement.sid.clone()).or_default();
        *times += 1;
        if *times > 1 {
            statement.sid = format!("{}x{times}", statement.sid);
        }
    }
}

/// Two statements that deny together what one does: of refs, repositories and actions each is denied by itself.
fn halves(statement: &Statement) -> Option<(Statement, Statement)> {
    fn cut<T: Clone>(list: &[T]) -> Option<(Vec<T>, Vec<T>)> {
        let (first, second) = list.split_at(list.len() / 2);
        (!first.is_empty()).then(|| (first.to_vec(), second.to_vec()))
    }
    if let Some(refs) = &statement.refs
        && let Some((first, second)) = cut(&refs.like)
    {
        let with = |like| {
            let refs = super::RefPatterns { like, not_like: refs.not_like.clone() };
            Statement { refs: Some(refs), ..statement.clone() }
        };
        return Some((with(first), with(second)));
    }
    if let Repositories::These(names) = &statement.repositories
        && let Some((first, second)) = cut(names)
    {
        let with = |names| Statement { repositories: Repositories::These(names), ..statement.clone() };
        return Some((with(first), with(second)));
    }
    let actions: Vec<&'static str> = statement.actions.iter().copied().collect();
    let (first, second) = cut(&actions)?;
    let with = |actions: Vec<&'static str>| Statement { actions: actions.into_iter().collect(), ..statement.clone() };
    Some((with(first), with(second)))
}

fn size(statement: &Statement, place: &Place) -> usize {
    json_of(statement, place, &Value::String).to_string().len()
}

fn document(statements: &[Statement], place: &Place, arn: &dyn Fn(String) -> Value) -> Value {
    let statements: Vec<Value> = statements.iter().map(|statement| json_of(statement, place, arn)).collect();
    json!({ "Version": "2012-10-17", "Statement": statements })
}

fn json_of(statement: &Statement, place: &Place, arn: &dyn Fn(String) -> Value) -> Value {
    let names = |names: &[String]| -> Value { names.iter().map(|name| arn(place.repository(name))).collect() };
    let (element, resources) = match &statement.repositories {
        Repositories::These(these) => ("Resource", names(these)),
        Repositories::AllBut(those) => ("NotResource", names(those)),
        Repositories::Account => ("Resource", json!("*")),
    };
    let spared: Value = statement
        .spared
        .iter()
        .map(|spared| match spared {
            Spared::StackRole(id) => arn(place.role(id)),
            Spared::Arn(arn) => Value::String(arn.clone()),
        })
        .collect();
    let mut condition = Map::new();
    if let Some(refs) = &statement.refs {
        condition.insert("StringLikeIfExists".to_owned(), json!({ REFERENCES: refs.like }));
        if !refs.not_like.is_empty() {
            condition.insert("StringNotLike".to_owned(), json!({ REFERENCES: refs.not_like }));
        }
        // A push begins before its refs are known; then the key is not there, and nothing may be refused yet.
        condition.insert("Null".to_owned(), json!({ REFERENCES: "false" }));
    }
    condition.insert("ArnNotLike".to_owned(), json!({ "aws:PrincipalArn": spared }));
    let mut out = Map::new();
    out.insert("Sid".to_owned(), Value::String(statement.sid.clone()));
    out.insert("Effect".to_owned(), json!("Deny"));
    out.insert("Action".to_owned(), json!(statement.actions));
    out.insert(element.to_owned(), resources);
    out.insert("Condition".to_owned(), Value::Object(condition));
    Value::Object(out)
}
