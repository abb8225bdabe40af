//! SQS's script.

use serde_json::{Value, json};

use super::run::{Known, Run};

const KNOWN: Known = Known {
    // docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html
    common: &[
        ("SerializationException", 400),
        ("MissingParameter", 400),
        ("InvalidParameterValue", 400),
        // Of the older protocol's documentation; the model has it for GetQueueAttributes only.
        ("InvalidAttributeName", 400),
    ],
    always: &[
        ("CreateQueue", "/QueueUrl"),
        ("GetQueueUrl", "/QueueUrl"),
        ("SendMessage", "/MessageId"),
        ("SendMessage", "/MD5OfMessageBody"),
        ("ReceiveMessage", "/Messages/0/MessageId"),
        ("ReceiveMessage", "/Messages/0/ReceiptHandle"),
        ("ReceiveMessage", "/Messages/0/MD5OfBody"),
        ("ReceiveMessage", "/Messages/0/Body"),
        ("GetQueueAttributes", "/Attributes/QueueArn"),
        ("SendMessageBatch", "/Successful"),
        ("StartMessageMoveTask", "/TaskHandle"),
        ("ListMessageMoveTasks", "/Results/0/Status"),
        ("SendMessageBatch", "/Successful/0/MessageId"),
    ],
    taken: &[],
};

#[tokio::test]
async fn sqs_answers_as_its_model_says() {
    let Some(mut run) = Run::of("sqs", KNOWN).await else { return };
    let arn = |name: &str| run.ground.cloud().world.arn("sqs", name);
    let (dead, main) = (arn("dead"), arn("main"));
    run.plain("CreateQueue", json!({ "QueueName": "dead" })).await;
    let redrive = json!({ "deadLetterTargetArn": dead, "maxReceiveCount": 3 }).to_string();
    let create = json!({ "QueueName": "main", "Attributes": { "RedrivePolicy": redrive, "VisibilityTimeout": "5" } });
    let made = run.good("CreateQueue", create).await;
    let url = made["QueueUrl"].as_str().unwrap_or_default().to_owned();
    run.refused(
        "CreateQueue",
        json!({ "QueueName": "main", "Attributes": { "VisibilityTimeout": "6" } }),
        "QueueNameExists",
    )
    .await;
    run.refused("CreateQueue", json!({ "QueueName": "m", "Attributes": { "NoSuch": "6" } }), "InvalidAttributeName")
        .await;
    run.refused(
        "CreateQueue",
        json!({ "QueueName": "m", "Attributes": { "VisibilityTimeout": "x" } }),
        "InvalidAttributeValue",
    )
    .await;
    run.refused("CreateQueue", json!({ "QueueName": "a b" }), "InvalidParameterValue").await;
    run.good("GetQueueUrl", json!({ "QueueName": "main" })).await;
    run.refused("GetQueueUrl", json!({ "QueueName": "none" }), "QueueDoesNotExist").await;
    run.good("ListQueues", json!({ "QueueNamePrefix": "m", "MaxResults": 1 })).await;
    let page = run.plain("ListQueues", json!({ "MaxResults": 1 })).await;
    run.good("ListQueues", json!({ "MaxResults": 1, "NextToken": page["NextToken"] })).await;
    run.good("ListDeadLetterSourceQueues", json!({ "QueueUrl": url.replace("/main", "/dead"), "MaxResults": 1 })).await;
    run.good("GetQueueAttributes", json!({ "QueueUrl": url, "AttributeNames": ["All"] })).await;
    run.refused("GetQueueAttributes", json!({ "QueueUrl": url, "AttributeNames": ["NoSuch"] }), "InvalidAttributeName")
        .await;
    run.good("SetQueueAttributes", json!({ "QueueUrl": url, "Attributes": { "VisibilityTimeout": "7" } })).await;
    run.refused(
        "SetQueueAttributes",
        json!({ "QueueUrl": url, "Attributes": { "VisibilityTimeout": "x" } }),
        "InvalidAttributeValue",
    )
    .await;

    messages(&mut run, &url).await;
    batches(&mut run, &url).await;

    run.plain("SendMessage", json!({ "QueueUrl": url.replace("/main", "/dead"), "MessageBody": "dead" })).await;
    run.good("StartMessageMoveTask", json!({ "SourceArn": dead, "DestinationArn": main })).await;
    run.refused("StartMessageMoveTask", json!({ "SourceArn": arn_of(&run, "none") }), "ResourceNotFoundException")
        .await;
    run.good("ListMessageMoveTasks", json!({ "SourceArn": dead, "MaxResults": 1 })).await;
    run.refused("ListMessageMoveTasks", json!({ "SourceArn": arn_of(&run, "none") }), "ResourceNotFoundException")
        .await;
    // A task is done when the call that starts it returns.
    run.refused("CancelMessageMoveTask", json!({ "TaskHandle": "done" }), "ResourceNotFoundException").await;
    run.refused("CancelMessageMoveTask", json!({}), "MissingParameter").await;
    run.only_refuses("CancelMessageMoveTask");
    run.good("PurgeQueue", json!({ "QueueUrl": url })).await;
    run.good("DeleteQueue", json!({ "QueueUrl": url })).await;
    for operation in
        ["SendMessage", "ReceiveMessage", "DeleteMessage", "GetQueueAttributes", "PurgeQueue", "DeleteQueue"]
    {
        let mut input = json!({ "QueueUrl": url });
        match operation {
            "SendMessage" => input["MessageBody"] = json!("x"),
            "DeleteMessage" => input["ReceiptHandle"] = json!("x"),
            _ => {}
        }
        run.refused(operation, input, "QueueDoesNotExist").await;
    }
    run.end().await;
}

fn arn_of(run: &Run, name: &str) -> String {
    run.ground.cloud().world.arn("sqs", name)
}

async fn receive(run: &mut Run, url: &str) -> String {
    let got = run.plain("ReceiveMessage", json!({ "QueueUrl": url, "VisibilityTimeout": 30 })).await;
    got.pointer("/Messages/0/ReceiptHandle").and_then(Value::as_str).unwrap_or_default().to_owned()
}

async fn messages(run: &mut Run, url: &str) {
    let attributes = json!({ "n": { "DataType": "Number", "StringValue": "7" }, "b": { "DataType": "Binary", "BinaryValue": "AQI=" } });
    let send = json!({ "QueueUrl": url, "MessageBody": "one", "DelaySeconds": 0, "MessageAttributes": attributes,
        "MessageSystemAttributes": { "AWSTraceHeader": { "DataType": "String", "StringValue": "Root=1-5759e988-bd862e3fe1be46a994272793" } } });
    run.good("SendMessage", send).await;
    run.plain("SendMessage", json!({ "QueueUrl": url, "MessageBody": "two" })).await;
    run.refused("SendMessage", json!({ "QueueUrl": url, "MessageBody": "\u{1}" }), "InvalidMessageContents").await;
    run.refused(
        "SendMessage",
        json!({ "QueueUrl": url, "MessageBody": "x", "DelaySeconds": 901 }),
        "InvalidParameterValue",
    )
    .await;
    let got = run
        .good(
            "ReceiveMessage",
            json!({ "QueueUrl": url, "MaxNumberOfMessages": 1, "VisibilityTimeout": 30, "WaitTimeSeconds": 0,
                "MessageSystemAttributeNames": ["All"], "MessageAttributeNames": ["All"] }),
        )
        .await;
    let handle = got.pointer("/Messages/0/ReceiptHandle").and_then(Value::as_str).unwrap_or_default().to_owned();
    run.refused("ReceiveMessage", json!({ "QueueUrl": url, "MaxNumberOfMessages": 11 }), "InvalidParameterValue").await;
    run.good("ChangeMessageVisibility", json!({ "QueueUrl": url, "ReceiptHandle": handle, "VisibilityTimeout": 60 }))
        .await;
    run.refused(
        "ChangeMessageVisibility",
        json!({ "QueueUrl": url, "ReceiptHandle": "x", "VisibilityTimeout": 60 }),
        "ReceiptHandleIsInvalid",
    )
    .await;
    run.good("DeleteMessage", json!({ "QueueUrl": url, "ReceiptHandle": handle })).await;
    run.refused(
        "ChangeMessageVisibility",
        json!({ "QueueUrl": url, "ReceiptHandle": handle, "VisibilityTimeout": 60 }),
        "MessageNotInflight",
    )
    .await;
    run.refused("DeleteMessage", json!({ "QueueUrl": url, "ReceiptHandle": "x" }), "ReceiptHandleIsInvalid").await;
}

async fn batches(run: &mut Run, url: &str) {
    let entry = json!({ "Id": "a", "MessageBody": "three", "DelaySeconds": 0 });
    run.good("SendMessageBatch", json!({ "QueueUrl": url, "Entries": [entry] })).await;
    let mixed = json!([{ "Id": "a", "MessageBody": "four" }, { "Id": "b", "MessageBody": "\u{1}" }]);
    run.plain("SendMessageBatch", json!({ "QueueUrl": url, "Entries": mixed })).await;
    let handle = receive(run, url).await;
    let change = json!({ "Id": "a", "ReceiptHandle": handle, "VisibilityTimeout": 60 });
    run.good("ChangeMessageVisibilityBatch", json!({ "QueueUrl": url, "Entries": [change] })).await;
    run.good("DeleteMessageBatch", json!({ "QueueUrl": url, "Entries": [{ "Id": "a", "ReceiptHandle": handle }] }))
        .await;
    run.plain("DeleteMessageBatch", json!({ "QueueUrl": url, "Entries": [{ "Id": "a", "ReceiptHandle": "x" }] })).await;
    for (entries, code) in [
        (json!([]), "EmptyBatchRequest"),
        (json!([{ "Id": "a b", "ReceiptHandle": "x" }]), "InvalidBatchEntryId"),
        (json!([{ "Id": "a", "ReceiptHandle": "x" }, { "Id": "a", "ReceiptHandle": "y" }]), "BatchEntryIdsNotDistinct"),
        (Value::from(vec![json!({ "Id": "a", "ReceiptHandle": "x" }); 11]), "TooManyEntriesInBatchRequest"),
    ] {
        run.refused("DeleteMessageBatch", json!({ "QueueUrl": url, "Entries": entries }), code).await;
    }
}
