//! SQS: everything is done to a queue; a batch needs what its single operation needs.

use super::{Input, Need};
use crate::world::World;

pub(super) fn needs(world: &World, operation: &str, input: Input<'_>) -> Option<Vec<Need>> {
    // What names no queue is refused by the service; until then nobody may do more with it than with all queues.
    let by_url = || {
        let name = crate::sqs::name_in_url(world, input.text("QueueUrl"));
        name.map_or_else(|_| "*".to_owned(), |name| world.arn("sqs", name))
    };
    let (action, resource) = match operation {
        "SendMessageBatch" => ("SendMessage", by_url()),
        "DeleteMessageBatch" => ("DeleteMessage", by_url()),
        "ChangeMessageVisibilityBatch" => ("ChangeMessageVisibility", by_url()),
        "ChangeMessageVisibility"
        | "DeleteMessage"
        | "DeleteQueue"
        | "GetQueueAttributes"
        | "ListDeadLetterSourceQueues"
        | "PurgeQueue"
        | "ReceiveMessage"
        | "SendMessage"
        | "SetQueueAttributes" => (operation, by_url()),
        "CreateQueue" | "GetQueueUrl" => (operation, world.arn("sqs", input.text("QueueName"))),
        "ListQueues" => (operation, "*".to_owned()),
        // Its handle does not tell whose task it is.
        "CancelMessageMoveTask" => (operation, "*".to_owned()),
        "ListMessageMoveTasks" => (operation, input.text("SourceArn").to_owned()),
        "StartMessageMoveTask" => return Some(move_messages(input.text("SourceArn"), input.text("DestinationArn"))),
        _ => return None,
    };
    Some(vec![Need::new(format!("sqs:{action}"), resource)])
}

/// Whoever moves messages must be able to do by hand what the move does.
fn move_messages(source: &str, destination: &str) -> Vec<Need> {
    let from = ["StartMessageMoveTask", "ReceiveMessage", "DeleteMessage", "GetQueueAttributes"];
    let mut needs: Vec<Need> = from.into_iter().map(|action| Need::new(format!("sqs:{action}"), source)).collect();
    if !destination.is_empty() {
        needs.push(Need::new("sqs:SendMessage", destination));
    }
    needs
}
