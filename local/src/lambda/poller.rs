//! An event source mapping: takes messages out of a queue, has the function do them, and deletes what is done.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::batch::{self, Verdict};
use super::pool::{Pool, parse_answer};
use super::queue::{MOST_AT_ONCE, Queue};
use crate::error::Answer;
use crate::sqs::Message;
use crate::template::function::{FailureReport, QueueSource};

/// One long poll.
const LONG_POLL: Duration = Duration::from_secs(20);

/// The first pause after a queue that refused; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Feeds a function from a queue until dropped.
pub(super) async fn poll(pool: Arc<Pool>, queue: Arc<impl Queue>, source: QueueSource) {
    let most = source.concurrency.map_or(pool.most(), |most| most.min(pool.most()));
    let room = Arc::new(Semaphore::new(most));
    let mut running = JoinSet::new();
    let mut pause = FIRST_PAUSE;
    loop {
        while running.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        pool.ready().await;
        let gathered = tokio::select! {
            gathered = gather(&*queue, &source) => gathered,
            () = pool.stopped() => continue,
        };
        let messages = match gathered {
            Ok(messages) => {
                pause = FIRST_PAUSE;
                messages
            }
            Err(refused) => {
                tracing::warn!(function = pool.spec().function.name, queue = source.queue_arn, %refused, "a function's queue cannot be read");
                tokio::time::sleep(pause).await;
                pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
                continue;
            }
        };
        if messages.is_empty() {
            continue;
        }
        let (pool, queue, source) = (Arc::clone(&pool), Arc::clone(&queue), source.clone());
        running.spawn(async move {
            let _place = place;
            for messages in batch::cut(messages) {
                handle(&pool, &*queue, &source, &messages).await;
            }
        });
    }
}

/// Waits for a first message, and then for more as long as the window says.
async fn gather(queue: &impl Queue, source: &QueueSource) -> Answer<Vec<Message>> {
    let mut messages = queue.receive(source.batch_size.min(MOST_AT_ONCE), LONG_POLL).await?;
    if messages.is_empty() || source.window.is_zero() {
        return Ok(messages);
    }
    let end = Instant::now() + source.window;
    while messages.len() < source.batch_size {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        let wanted = (source.batch_size - messages.len()).min(MOST_AT_ONCE);
        match tokio::time::timeout(left, queue.receive(wanted, left)).await {
            Ok(Ok(more)) if more.is_empty() => tokio::time::sleep(Duration::from_millis(50).min(left)).await,
            Ok(Ok(more)) => messages.extend(more),
            // What was gathered is not lost because the queue refuses to give more.
            Ok(Err(_)) | Err(_) => break,
        }
    }
    Ok(messages)
}

async fn handle(pool: &Pool, queue: &impl Queue, source: &QueueSource, messages: &[Message]) {
    let function = &pool.spec().function;
    let event = batch::event(messages, &source.queue_arn, &pool.spec().world.region);
    let answered = pool.invoke(Bytes::from(event.to_string())).await.and_then(|body| match source.failures {
        // Without failure reports nobody looks at the answer.
        FailureReport::WholeBatch => Ok(Value::Null),
        FailureReport::BatchItems => parse_answer(&body),
    });
    let verdict = match answered {
        Ok(answer) => batch::judge(messages, &answer, source.failures),
        Err(error) => Verdict::AllFailed(error.to_string()),
    };
    match &verdict {
        Verdict::AllFailed(why) => {
            tracing::warn!(function = function.name, messages = messages.len(), "a batch failed and comes back: {why}");
        }
        Verdict::Failed(failed) if !failed.is_empty() => {
            tracing::debug!(function = function.name, failed = failed.len(), of = messages.len(), "messages come back");
        }
        Verdict::Failed(_) => {}
    }
    for message in messages.iter().filter(|message| verdict.is_done(message)) {
        if let Err(refused) = queue.delete(&message.receipt).await {
            tracing::warn!(function = function.name, message = message.id, %refused, "a message that is done could not be deleted and will come again");
        }
    }
}
