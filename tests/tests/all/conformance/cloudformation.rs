//! CloudFormation's script, over the stack that the template makes.

use serde_json::{Value, json};

use super::run::{Known, Run};

const KNOWN: Known = Known {
    common: &[("ValidationError", 400)],
    always: &[
        ("DescribeStacks", "/Stacks/0/StackId"),
        ("DescribeStacks", "/Stacks/0/StackName"),
        ("DescribeStacks", "/Stacks/0/CreationTime"),
        ("DescribeStacks", "/Stacks/0/StackStatus"),
        ("ListStacks", "/StackSummaries/0/StackId"),
        ("ListStacks", "/StackSummaries/0/CreationTime"),
        ("ListStackResources", "/StackResourceSummaries/0/LogicalResourceId"),
        ("ListStackResources", "/StackResourceSummaries/0/ResourceType"),
        ("ListStackResources", "/StackResourceSummaries/0/LastUpdatedTimestamp"),
        ("DescribeStackResources", "/StackResources/0/StackName"),
        ("DescribeStackResources", "/StackResources/0/Timestamp"),
        ("GetTemplate", "/TemplateBody"),
    ],
    taken: &[],
};

#[tokio::test]
async fn cloudformation_answers_as_its_model_says() {
    let Some(mut run) = Run::of("cloudformation", KNOWN).await else { return };
    let name = run.ground.stage.stack.name.clone();
    let stack = run.good("DescribeStacks", json!({ "StackName": name })).await;
    run.plain("DescribeStacks", json!({})).await;
    run.refused("DescribeStacks", json!({ "StackName": "none" }), "ValidationError").await;
    run.refused("DescribeStacks", json!({ "NextToken": "forged" }), "ValidationError").await;
    run.good("ListStacks", json!({ "StackStatusFilter": ["CREATE_COMPLETE"] })).await;
    run.plain("ListStacks", json!({})).await;
    run.good("ListStackResources", json!({ "StackName": name })).await;
    run.refused("ListStackResources", json!({ "StackName": "none" }), "ValidationError").await;
    run.good("DescribeStackResources", json!({ "StackName": name, "LogicalResourceId": "Bucket" })).await;
    let bucket = run.ground.stage.bucket().unwrap().to_owned();
    run.plain("DescribeStackResources", json!({ "PhysicalResourceId": bucket })).await;
    run.refused("DescribeStackResources", json!({}), "ValidationError").await;
    run.good("GetTemplate", json!({ "StackName": name, "TemplateStage": "Original" })).await;
    run.good("DeleteStack", json!({ "StackName": name, "ClientRequestToken": "token" })).await;
    // A stack that is deleted is still told of by its id.
    let id = stack.pointer("/Stacks/0/StackId").and_then(Value::as_str).unwrap_or_default();
    run.plain("DescribeStacks", json!({ "StackName": id })).await;
    run.end().await;
}
