//! The operations of the JSON protocol.
//!
//! Every input is a struct that knows all members it honours; one that it does not know is refused, never ignored.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::address::name_in_url;
use super::inputs::{
    CancelMove, ChangeEntry, ChangeVisibility, CreateQueue, DeleteMessage, GetQueueAttributes, GetQueueUrl, ListMoves,
    ListQueues, ListSources, MessageAttributes, OnlyQueue, ReceiveMessage, SendEntry, SendMessage, SetQueueAttributes,
    StartMove, Texts, between, parse, required, seconds,
};
use super::message;
use super::{Extras, Message, Sqs, Unwritten, attributes, invalid};
use crate::auth::Caller;
use crate::error::{Answer, ServiceError};
use crate::paging::Order;
use crate::sts;

/// The operations that are offered here.
pub const OPERATIONS: &[&str] = &[
    "CancelMessageMoveTask",
    "ChangeMessageVisibility",
    "ChangeMessageVisibilityBatch",
    "CreateQueue",
    "DeleteMessage",
    "DeleteMessageBatch",
    "DeleteQueue",
    "GetQueueAttributes",
    "GetQueueUrl",
    "ListDeadLetterSourceQueues",
    "ListMessageMoveTasks",
    "ListQueues",
    "PurgeQueue",
    "ReceiveMessage",
    "SendMessage",
    "SendMessageBatch",
    "SetQueueAttributes",
    "StartMessageMoveTask",
];

/// The system attributes of a message that can be asked for; the last three belong to FIFO queues and are never there.
const SYSTEM_ATTRIBUTES: [&str; 9] = [
    "ApproximateFirstReceiveTimestamp",
    "ApproximateReceiveCount",
    "AWSTraceHeader",
    "DeadLetterQueueSourceArn",
    "SenderId",
    "SentTimestamp",
    "MessageDeduplicationId",
    "MessageGroupId",
    "SequenceNumber",
];

/// The largest page of queues, as on AWS.
const LARGEST_PAGE: usize = 1000;

/// An error's shape in the service model, and its code in the older Query protocol, which SDKs still go by.
///
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html> has the codes without one.
pub(crate) fn query_code(code: &str) -> &str {
    match code {
        "AccessDeniedException" => "AccessDenied",
        "BatchEntryIdsNotDistinct" => "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
        "BatchRequestTooLong" => "AWS.SimpleQueueService.BatchRequestTooLong",
        "EmptyBatchRequest" => "AWS.SimpleQueueService.EmptyBatchRequest",
        "InvalidBatchEntryId" => "AWS.SimpleQueueService.InvalidBatchEntryId",
        "MessageNotInflight" => "AWS.SimpleQueueService.MessageNotInflight",
        "QueueDoesNotExist" => "AWS.SimpleQueueService.NonExistentQueue",
        "QueueNameExists" => "QueueAlreadyExists",
        "TooManyEntriesInBatchRequest" => "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
        "UnsupportedOperation" => "AWS.SimpleQueueService.UnsupportedOperation",
        same => same,
    }
}

fn page_size(value: Option<i64>) -> Answer<usize> {
    let size = value.map(|value| between("MaxResults", value, 1, 1000)).transpose()?;
    Ok(size.and_then(|size| usize::try_from(size).ok()).unwrap_or(LARGEST_PAGE))
}

impl Sqs {
    /// Answers one operation of the JSON protocol.
    ///
    /// # Errors
    /// AWS's codes, by the names of the service model's shapes.
    pub async fn call(&self, operation: &str, input: Value, caller: &Caller) -> Answer<Value> {
        match operation {
            "CancelMessageMoveTask" => cancel_message_move_task(parse(input)?),
            "ChangeMessageVisibility" => self.change_message_visibility(parse(input)?),
            "ChangeMessageVisibilityBatch" => self.change_message_visibility_batch(parse(input)?),
            "CreateQueue" => self.create_queue_call(parse(input)?),
            "DeleteMessage" => self.delete_message(parse(input)?),
            "DeleteMessageBatch" => self.delete_message_batch(parse(input)?),
            "DeleteQueue" => {
                let input: OnlyQueue = parse(input)?;
                self.delete_queue(&self.queue(input.queue_url)?).map(|()| json!({}))
            }
            "GetQueueAttributes" => self.get_queue_attributes(parse(input)?),
            "GetQueueUrl" => self.get_queue_url(parse(input)?),
            "ListDeadLetterSourceQueues" => self.list_dead_letter_source_queues(parse(input)?),
            "ListMessageMoveTasks" => self.list_message_move_tasks(parse(input)?),
            "ListQueues" => self.list_queues(parse(input)?),
            "PurgeQueue" => self.purge_queue(parse(input)?),
            "ReceiveMessage" => self.receive_message(parse(input)?).await,
            "SendMessage" => self.send_message(parse(input)?, caller),
            "SendMessageBatch" => self.send_message_batch(parse(input)?, caller),
            "SetQueueAttributes" => {
                let input: SetQueueAttributes = parse(input)?;
                let attributes = required(input.attributes, "Attributes")?;
                self.set_attributes(&self.queue(input.queue_url)?, &attributes).map(|()| json!({}))
            }
            "StartMessageMoveTask" => self.start_message_move_task(parse(input)?),
            unknown => Err(ServiceError::unknown_operation("sqs", unknown)),
        }
    }

    /// The queue that a request is about.
    pub(super) fn queue(&self, url: Option<String>) -> Answer<String> {
        let url = required(url, "QueueUrl")?;
        name_in_url(&self.world, &url).map(str::to_owned)
    }

    fn create_queue_call(&self, input: CreateQueue) -> Answer<Value> {
        let name = required(input.queue_name, "QueueName")?;
        self.create_queue(&name, &input.attributes)?;
        Ok(json!({ "QueueUrl": self.url(&name) }))
    }

    fn get_queue_url(&self, input: GetQueueUrl) -> Answer<Value> {
        let name = required(input.queue_name, "QueueName")?;
        if input.owner.is_some_and(|owner| owner != self.world.account) {
            return Err(super::no_such_queue(&name));
        }
        self.with(&name, |_| json!({ "QueueUrl": self.url(&name) }))
    }

    fn list_queues(&self, input: ListQueues) -> Answer<Value> {
        let prefix = input.queue_name_prefix;
        let names = self.queue_names().into_iter().filter(|name| name.starts_with(&prefix));
        let listing = ("QueueUrls", "ListQueues", &*prefix);
        self.urls(listing, names, input.max_results, input.next_token.as_deref())
    }

    fn list_dead_letter_source_queues(&self, input: ListSources) -> Answer<Value> {
        let name = self.queue(input.queue_url)?;
        let arn = self.arn(&name);
        self.with(&name, |_| ())?;
        let sources: Vec<String> = self.state.read(|state| {
            let feeds = |queue: &super::Queue| queue.attributes.redrive().is_some_and(|redrive| redrive.target == arn);
            state.queues.iter().filter(|(_, queue)| feeds(queue)).map(|(name, _)| name.clone()).collect()
        });
        let listing = ("queueUrls", "ListDeadLetterSourceQueues", &*name);
        self.urls(listing, sources, input.max_results, input.next_token.as_deref())
    }

    /// Without `MaxResults` there are no pages: the answer holds the first thousand and no token, as on AWS.
    fn urls(
        &self,
        (member, operation, filter): (&str, &str, &str),
        names: impl IntoIterator<Item = String>,
        most: Option<i64>,
        token: Option<&str>,
    ) -> Answer<Value> {
        let urls = names.into_iter().map(|name| {
            let url = self.url(&name);
            (name, url)
        });
        let wrong = || invalid("NextToken", token.unwrap_or_default(), "It is no token of this listing.");
        let listing = self.world.listing(&format!("sqs:{operation}"), &[filter]);
        let (urls, next) = match (most, token) {
            (None, None) => (urls.map(|(_, url)| url).take(LARGEST_PAGE).collect(), None),
            _ => listing.page(urls, Order::Ascending, page_size(most)?, token).map_err(|_| wrong())?,
        };
        let mut output = Map::from_iter([(member.to_owned(), json!(urls))]);
        if let Some(next) = next {
            output.insert("NextToken".to_owned(), json!(next));
        }
        Ok(Value::Object(output))
    }

    fn get_queue_attributes(&self, input: GetQueueAttributes) -> Answer<Value> {
        let name = self.queue(input.queue_url)?;
        let counts = self.counts(&name)?;
        let known = || attributes::SETTABLE.iter().chain(&attributes::COMPUTED);
        let mut wanted = BTreeSet::new();
        for asked in &input.attribute_names {
            if asked == "All" {
                wanted.extend(known().copied());
            } else if let Some(one) = known().find(|one| *one == asked) {
                wanted.insert(one);
            } else {
                return Err(ServiceError::bad("InvalidAttributeName", format!("Unknown Attribute {asked}.")));
            }
        }
        self.with(&name, |queue| {
            let value = |attribute: &str| match attribute {
                "ApproximateNumberOfMessages" => Some(counts.visible.to_string()),
                "ApproximateNumberOfMessagesDelayed" => Some(counts.delayed.to_string()),
                "ApproximateNumberOfMessagesNotVisible" => Some(counts.in_flight.to_string()),
                "CreatedTimestamp" => Some((queue.created / 1000).to_string()),
                "LastModifiedTimestamp" => Some((queue.modified / 1000).to_string()),
                "QueueArn" => Some(self.arn(&name)),
                settable => queue.attributes.get(settable),
            };
            let values: Map<String, Value> =
                wanted.iter().filter_map(|name| Some(((*name).to_owned(), json!(value(name)?)))).collect();
            if values.is_empty() { json!({}) } else { json!({ "Attributes": values }) }
        })
    }

    fn purge_queue(&self, input: OnlyQueue) -> Answer<Value> {
        let name = self.queue(input.queue_url)?;
        self.state.change(|state| match state.queues.get_mut(&name) {
            Some(queue) => {
                queue.purge();
                Ok(())
            }
            None => Err(super::no_such_queue(&name)),
        })?;
        self.save_now()?;
        Ok(json!({}))
    }

    fn send_message(&self, input: SendMessage, caller: &Caller) -> Answer<Value> {
        let name = self.queue(input.queue_url)?;
        let entry = SendEntry {
            id: None,
            message_body: input.message_body,
            delay_seconds: input.delay_seconds,
            message_attributes: input.message_attributes,
            message_system_attributes: input.message_system_attributes,
        };
        self.send_entry(&name, entry, caller).map(Value::Object)
    }

    pub(super) fn send_entry(&self, queue: &str, entry: SendEntry, caller: &Caller) -> Answer<Map<String, Value>> {
        let body = required(entry.message_body, "MessageBody")?;
        let delay = seconds("DelaySeconds", entry.delay_seconds, 900)?;
        let system = entry.message_system_attributes;
        let mut trace_header = None;
        for (name, attribute) in &system {
            match (name.as_str(), &attribute.string_value) {
                ("AWSTraceHeader", Some(header)) if attribute.data_type == "String" => {
                    trace_header = Some(header.clone());
                }
                _ => {
                    let reason = "The only system attribute that can be sent is AWSTraceHeader, a String.";
                    return Err(invalid("MessageSystemAttributes", name, reason));
                }
            }
        }
        let md5_of_attributes = message::md5_of_attributes(&entry.message_attributes);
        // A service that delivers, as SNS does, has answered for the message already.
        let is_service = caller.access_key_id.ends_with(".amazonaws.com");
        let unwritten = if is_service { Unwritten::Kept } else { Unwritten::Refused };
        let extras = Extras { attributes: entry.message_attributes, delay, trace_header, unwritten };
        let sent = self.send_as(queue, &body, &sts::principal_id(&caller.arn), extras)?;
        let mut output = Map::from_iter([
            ("MessageId".to_owned(), json!(sent.id)),
            ("MD5OfMessageBody".to_owned(), json!(sent.md5)),
        ]);
        if let Some(md5) = md5_of_attributes {
            output.insert("MD5OfMessageAttributes".to_owned(), json!(md5));
        }
        if let Some(md5) = message::md5_of_attributes(&system) {
            output.insert("MD5OfMessageSystemAttributes".to_owned(), json!(md5));
        }
        Ok(output)
    }

    fn delete_message(&self, input: DeleteMessage) -> Answer<Value> {
        let name = self.queue(input.queue_url)?;
        self.delete(&name, &required(input.receipt_handle, "ReceiptHandle")?).map(|()| json!({}))
    }

    fn change_message_visibility(&self, input: ChangeVisibility) -> Answer<Value> {
        let name = self.queue(input.queue_url)?;
        let entry = ChangeEntry {
            id: None,
            receipt_handle: input.receipt_handle,
            visibility_timeout: input.visibility_timeout,
        };
        self.change_entry(&name, entry).map(Value::Object)
    }

    pub(super) fn change_entry(&self, queue: &str, entry: ChangeEntry) -> Answer<Map<String, Value>> {
        let receipt = required(entry.receipt_handle, "ReceiptHandle")?;
        let visibility = seconds("VisibilityTimeout", entry.visibility_timeout, 43_200)?;
        self.change_visibility(queue, &receipt, required(visibility, "VisibilityTimeout")?)?;
        Ok(Map::new())
    }

    async fn receive_message(&self, input: ReceiveMessage) -> Answer<Value> {
        let name = self.queue(input.queue_url)?;
        let most = between("MaxNumberOfMessages", input.max_number_of_messages.unwrap_or(1), 1, 10)?;
        let visibility = seconds("VisibilityTimeout", input.visibility_timeout, 43_200)?;
        let wait = seconds("WaitTimeSeconds", input.wait_time_seconds, 20)?;
        let system: Vec<String> =
            input.attribute_names.into_iter().chain(input.message_system_attribute_names).collect();
        if let Some(unknown) = system.iter().find(|name| *name != "All" && !SYSTEM_ATTRIBUTES.contains(&name.as_str()))
        {
            return Err(ServiceError::bad("InvalidAttributeName", format!("Unknown Attribute {unknown}.")));
        }
        let most = usize::try_from(most).unwrap_or(1);
        let messages = self.receive_hidden(&name, most, wait, visibility).await?;
        if messages.is_empty() {
            return Ok(json!({}));
        }
        let rendered: Vec<Value> =
            messages.into_iter().map(|message| render(message, &system, &input.message_attribute_names)).collect();
        Ok(json!({ "Messages": rendered }))
    }

    fn start_message_move_task(&self, input: StartMove) -> Answer<Value> {
        let source = required(input.source_arn, "SourceArn")?;
        self.redrive_messages(&source, input.destination_arn.as_deref())?;
        Ok(json!({ "TaskHandle": self.world.hex(64) }))
    }

    fn list_message_move_tasks(&self, input: ListMoves) -> Answer<Value> {
        let source = required(input.source_arn, "SourceArn")?;
        let most = between("MaxResults", input.max_results.unwrap_or(1), 1, 10)?;
        let tasks: Vec<Value> = self
            .move_tasks(&source, usize::try_from(most).unwrap_or(1))?
            .into_iter()
            .map(|task| {
                let mut rendered = json!({
                    "Status": "COMPLETED",
                    "SourceArn": task.source,
                    "ApproximateNumberOfMessagesMoved": task.moved,
                    "ApproximateNumberOfMessagesToMove": task.to_move,
                    "StartedTimestamp": task.started,
                });
                if let (Some(object), Some(destination)) = (rendered.as_object_mut(), task.destination) {
                    object.insert("DestinationArn".to_owned(), json!(destination));
                }
                rendered
            })
            .collect();
        Ok(json!({ "Results": tasks }))
    }
}

/// Every task is completed when the call that started it returns, so there is never one that could be cancelled.
fn cancel_message_move_task(input: CancelMove) -> Answer<Value> {
    let handle = required(input.task_handle, "TaskHandle")?;
    Err(ServiceError::bad("ResourceNotFoundException", format!("Task {handle} does not exist or is not running.")))
}

/// A message as the protocol carries it, with the attributes that were asked for and no others.
fn render(message: Message, system: &[String], named: &[String]) -> Value {
    let is_wanted = |name: &str| {
        named.iter().any(|asked| {
            let prefix = asked.strip_suffix(".*").or_else(|| asked.strip_suffix('*'));
            asked == "All" || asked == name || prefix.is_some_and(|prefix| name.starts_with(prefix))
        })
    };
    let md5_of_body = message.md5();
    let attributes: MessageAttributes = message.attributes.into_iter().filter(|(name, _)| is_wanted(name)).collect();
    let system: Texts = message
        .system_attributes
        .into_iter()
        .filter(|(name, _)| system.iter().any(|asked| asked == "All" || asked == name))
        .collect();
    let mut rendered = Map::from_iter([
        ("MessageId".to_owned(), json!(message.id)),
        ("ReceiptHandle".to_owned(), json!(message.receipt)),
        ("MD5OfBody".to_owned(), json!(md5_of_body)),
        ("Body".to_owned(), json!(message.body)),
    ]);
    if let Some(md5) = message::md5_of_attributes(&attributes) {
        rendered.insert("MD5OfMessageAttributes".to_owned(), json!(md5));
        rendered.insert("MessageAttributes".to_owned(), json!(attributes));
    }
    if !system.is_empty() {
        rendered.insert("Attributes".to_owned(), json!(system));
    }
    Value::Object(rendered)
}
