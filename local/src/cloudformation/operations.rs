//! The operations, in the Query protocol.

use jiff::Timestamp;

use super::{CloudFormation, Remembered, Resource};
use crate::cloud::Cloud;
use crate::error::{Answer, ServiceError};
use crate::http::Parameters;
use crate::paging::Order;

/// The documented size of a page is 1 MB; this many stacks or resources always fit.
const PAGE: usize = 100;

/// The operations that are offered here.
pub const OPERATIONS: &[&str] =
    &["DeleteStack", "DescribeStackResources", "DescribeStacks", "GetTemplate", "ListStackResources", "ListStacks"];

/// What each operation takes beside `Action` and `Version`; anything else is refused, never ignored.
const INPUTS: [(&str, &[&str]); 6] = [
    ("DeleteStack", &["StackName", "ClientRequestToken"]),
    ("DescribeStackResources", &["StackName", "LogicalResourceId", "PhysicalResourceId"]),
    ("DescribeStacks", &["StackName", "NextToken"]),
    ("GetTemplate", &["StackName", "TemplateStage"]),
    ("ListStackResources", &["StackName", "NextToken"]),
    ("ListStacks", &["NextToken", "StackStatusFilter.member."]),
];

/// How a stack can stand, in the service model's words.
const STATUSES: &[&str] = &[
    "CREATE_IN_PROGRESS",
    "CREATE_FAILED",
    "CREATE_COMPLETE",
    "ROLLBACK_IN_PROGRESS",
    "ROLLBACK_FAILED",
    "ROLLBACK_COMPLETE",
    "DELETE_IN_PROGRESS",
    "DELETE_FAILED",
    "DELETE_COMPLETE",
    "UPDATE_IN_PROGRESS",
    "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
    "UPDATE_COMPLETE",
    "UPDATE_FAILED",
    "UPDATE_ROLLBACK_IN_PROGRESS",
    "UPDATE_ROLLBACK_FAILED",
    "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
    "UPDATE_ROLLBACK_COMPLETE",
    "REVIEW_IN_PROGRESS",
    "IMPORT_IN_PROGRESS",
    "IMPORT_COMPLETE",
    "IMPORT_ROLLBACK_IN_PROGRESS",
    "IMPORT_ROLLBACK_FAILED",
    "IMPORT_ROLLBACK_COMPLETE",
];

const DRIFT: &str = "<DriftInformation><StackDriftStatus>NOT_CHECKED</StackDriftStatus></DriftInformation>";
const RESOURCE_DRIFT: &str =
    "<DriftInformation><StackResourceDriftStatus>NOT_CHECKED</StackResourceDriftStatus></DriftInformation>";

impl CloudFormation {
    /// Answers one operation of the Query protocol: the content of its result.
    ///
    /// # Errors
    /// AWS's codes.
    pub(crate) async fn call(&self, cloud: &Cloud, action: &str, parameters: &Parameters) -> Answer<String> {
        let known = INPUTS.iter().find(|(name, _)| *name == action).map(|(_, known)| *known);
        let known = known.ok_or_else(|| ServiceError::unknown_operation("cloudformation", action))?;
        let is_known = |name: &str| {
            let listed = |input: &&str| *input == name || (input.ends_with('.') && name.starts_with(*input));
            matches!(name, "Action" | "Version") || known.iter().any(listed)
        };
        if let Some(name) = parameters.names().find(|name| !is_known(name)) {
            return Err(invalid(format!("the local cloud does not offer {name} of {action}")));
        }
        match action {
            "DescribeStacks" => self.describe_stacks(parameters),
            "ListStacks" => self.list_stacks(parameters),
            "ListStackResources" => self.list_stack_resources(parameters),
            "DescribeStackResources" => self.describe_stack_resources(parameters),
            "GetTemplate" => self.get_template(parameters),
            "DeleteStack" => {
                check_token(parameters.get("ClientRequestToken"))?;
                self.delete_stack(cloud, named(parameters)?).await
            }
            unknown => Err(ServiceError::unknown_operation("cloudformation", unknown)),
        }
    }

    fn describe_stacks(&self, parameters: &Parameters) -> Answer<String> {
        let (stacks, next) = match parameters.get("StackName") {
            Some(name) => (vec![self.find(name)?], None),
            None => {
                let all = self.newest_first().into_iter().filter(|stack| !stack.is_deleted());
                self.paged(("DescribeStacks", ""), Order::Descending, all.map(by_time), parameters)?
            }
        };
        let members: String = stacks.iter().map(|stack| member(&described(stack))).collect();
        Ok(list("Stacks", &members) + &next_token(next))
    }

    fn list_stacks(&self, parameters: &Parameters) -> Answer<String> {
        let wanted: Vec<&str> = (1..).map_while(|n| parameters.get(&format!("StackStatusFilter.member.{n}"))).collect();
        if let Some(unknown) = wanted.iter().find(|status| !STATUSES.contains(status)) {
            return Err(invalid(format!(
                "1 validation error detected: Value '{unknown}' at 'stackStatusFilter' failed to satisfy constraint: Member must satisfy enum value set"
            )));
        }
        let asked = self.newest_first().into_iter();
        let asked = asked.filter(|stack| wanted.is_empty() || wanted.contains(&stack.status.as_str()));
        let listing = ("ListStacks", &*wanted.join(" "));
        let (stacks, next) = self.paged(listing, Order::Descending, asked.map(by_time), parameters)?;
        let members: String = stacks.iter().map(|stack| member(&(head(stack) + DRIFT))).collect();
        Ok(list("StackSummaries", &members) + &next_token(next))
    }

    fn list_stack_resources(&self, parameters: &Parameters) -> Answer<String> {
        let stack = self.find(named(parameters)?)?;
        let in_place = stack.resources.iter().enumerate().map(|(place, one)| (format!("{place:06}"), one));
        let listing = ("ListStackResources", &*stack.id);
        let (resources, next) = self.paged(listing, Order::Ascending, in_place, parameters)?;
        let members: String = resources
            .into_iter()
            .map(|one| member(&(resource(one) + &time("LastUpdatedTimestamp", one.changed) + RESOURCE_DRIFT)))
            .collect();
        Ok(list("StackResourceSummaries", &members) + &next_token(next))
    }

    fn describe_stack_resources(&self, parameters: &Parameters) -> Answer<String> {
        let (name, physical) = (parameters.get("StackName"), parameters.get("PhysicalResourceId"));
        let logical = parameters.get("LogicalResourceId");
        let stack = match (name, physical) {
            (Some(_), Some(_)) | (None, None) => {
                return Err(invalid("Both StackName and PhysicalResourceId are specified, or neither is"));
            }
            (Some(name), None) => self.find(name)?,
            (None, Some(physical)) => {
                let of = |stack: &Remembered| {
                    !stack.is_deleted() && stack.resources.iter().any(|resource| resource.physical == physical)
                };
                let missing = || invalid(format!("Stack for {physical} does not exist"));
                self.newest_first().into_iter().find(of).ok_or_else(missing)?
            }
        };
        let asked = stack.resources.iter().filter(|one| logical.is_none_or(|logical| one.logical == logical));
        let members: String = asked
            .map(|one| {
                let stack = element("StackName", &stack.name) + &element("StackId", &stack.id);
                member(&(stack + &resource(one) + &time("Timestamp", one.changed) + RESOURCE_DRIFT))
            })
            .collect();
        Ok(list("StackResources", &members))
    }

    fn get_template(&self, parameters: &Parameters) -> Answer<String> {
        if parameters.get("TemplateStage").is_some_and(|stage| stage != "Original") {
            return Err(invalid("the local cloud keeps the template as it was given: TemplateStage must be Original"));
        }
        let stack = self.find(named(parameters)?)?;
        let stages = list("StagesAvailable", &element("member", "Original"));
        Ok(element("TemplateBody", &stack.template) + &stages)
    }

    fn newest_first(&self) -> Vec<Remembered> {
        self.kept.read(|state| state.stacks.iter().rev().cloned().collect())
    }

    fn paged<T>(
        &self,
        (operation, filter): (&str, &str),
        order: Order,
        items: impl Iterator<Item = (String, T)>,
        parameters: &Parameters,
    ) -> Answer<(Vec<T>, Option<String>)> {
        let listing = self.world.listing(&format!("cloudformation:{operation}"), &[filter]);
        let token = parameters.get("NextToken");
        listing.page(items, order, PAGE, token).map_err(|_| invalid("NextToken is invalid"))
    }
}

/// A stack under a key that sorts by the time it was made.
fn by_time(stack: Remembered) -> (String, Remembered) {
    (format!("{:020} {}", stack.created.as_microsecond(), stack.id), stack)
}

fn invalid(message: impl Into<String>) -> ServiceError {
    ServiceError::bad("ValidationError", message)
}

fn named(parameters: &Parameters) -> Answer<&str> {
    parameters.get("StackName").filter(|name| !name.is_empty()).ok_or_else(|| {
        invalid("1 validation error detected: Value null at 'stackName' failed to satisfy constraint: Member must not be null")
    })
}

/// A token is looked at and dropped: a deletion that is asked for twice is done once anyway.
fn check_token(token: Option<&str>) -> Answer<()> {
    crate::input::check_length("ValidationError", "clientRequestToken", token, 1..=128)?;
    let is_good = |token: &str| {
        token.starts_with(|c: char| c.is_ascii_alphanumeric())
            && token.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    if token.is_some_and(|token| !is_good(token)) {
        return Err(invalid("ClientRequestToken may hold letters, digits and - only"));
    }
    Ok(())
}

/// What a stack and its summary share.
fn head(stack: &Remembered) -> String {
    let mut told = element("StackId", &stack.id) + &element("StackName", &stack.name);
    told.push_str(&time("CreationTime", stack.created));
    for (name, at) in [("LastUpdatedTime", stack.updated), ("DeletionTime", stack.deleted)] {
        told.push_str(&at.map(|at| time(name, at)).unwrap_or_default());
    }
    told.push_str(&element("StackStatus", &stack.status));
    told.push_str(&stack.reason.as_deref().map(|reason| element("StackStatusReason", reason)).unwrap_or_default());
    told
}

fn described(stack: &Remembered) -> String {
    let parameters: String = stack
        .parameters
        .iter()
        .map(|(key, value)| member(&(element("ParameterKey", key) + &element("ParameterValue", value))))
        .collect();
    let outputs: String = stack
        .outputs
        .iter()
        .map(|output| {
            let description = output.description.as_deref().map(|text| element("Description", text));
            let told = element("OutputKey", &output.key) + &element("OutputValue", &output.value);
            member(&(told + &description.unwrap_or_default()))
        })
        .collect();
    // AWS leaves the outputs of a stack out that is deleted.
    let outputs = if stack.is_deleted() { String::new() } else { list("Outputs", &outputs) };
    [
        head(stack),
        list("Parameters", &parameters),
        element("DisableRollback", "false"),
        list("NotificationARNs", ""),
        list("Capabilities", &element("member", "CAPABILITY_IAM")),
        outputs,
        list("Tags", ""),
        element("EnableTerminationProtection", "false"),
        DRIFT.to_owned(),
    ]
    .concat()
}

fn resource(one: &Resource) -> String {
    [
        element("LogicalResourceId", &one.logical),
        element("PhysicalResourceId", &one.physical),
        element("ResourceType", &one.kind),
        element("ResourceStatus", &one.status),
        one.reason.as_deref().map(|reason| element("ResourceStatusReason", reason)).unwrap_or_default(),
    ]
    .concat()
}

fn next_token(next: Option<String>) -> String {
    next.map(|token| element("NextToken", &token)).unwrap_or_default()
}

fn time(name: &str, at: Timestamp) -> String {
    element(name, &at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string())
}

fn member(content: &str) -> String {
    format!("<member>{content}</member>")
}

fn list(name: &str, members: &str) -> String {
    format!("<{name}>{members}</{name}>")
}

fn element(name: &str, text: &str) -> String {
    format!("<{name}>{}</{name}>", quick_xml::escape::escape(text))
}
