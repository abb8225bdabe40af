//! A function fed from a queue.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{Bench, bench, function, until};
use crate::error::{Answer, ServiceError};
use crate::lambda::poller;
use crate::lambda::pool::Presence;
use crate::lambda::queue::Queue;
use crate::sqs::Message;
use crate::template::function::{FailureReport, QueueSource, SourceState};

/// A queue whose messages stay away once they were received, as with a long visibility time-out.
#[derive(Default)]
struct FakeQueue {
    visible: Mutex<Vec<Message>>,
    deleted: Mutex<Vec<String>>,
    refusals: Mutex<u32>,
}

impl FakeQueue {
    fn send(&self, bodies: &[&str]) {
        let mut visible = self.visible.lock().unwrap();
        for body in bodies {
            visible.push(Message {
                id: format!("id-{body}"),
                receipt: format!("receipt-{body}"),
                body: (*body).to_owned(),
                attributes: BTreeMap::new(),
                system_attributes: BTreeMap::new(),
            });
        }
    }

    fn deleted(&self) -> Vec<String> {
        let mut deleted = self.deleted.lock().unwrap().clone();
        deleted.sort();
        deleted
    }

    fn is_empty(&self) -> bool {
        self.visible.lock().unwrap().is_empty()
    }
}

impl Queue for FakeQueue {
    async fn receive(&self, most: usize, wait: Duration) -> Answer<Vec<Message>> {
        {
            let mut refusals = self.refusals.lock().unwrap();
            if *refusals > 0 {
                *refusals -= 1;
                return Err(ServiceError::bad("QueueDoesNotExist", "not yet"));
            }
        }
        let end = tokio::time::Instant::now() + wait;
        loop {
            {
                let mut visible = self.visible.lock().unwrap();
                if !visible.is_empty() {
                    let count = most.min(visible.len());
                    return Ok(visible.drain(..count).collect());
                }
            }
            if tokio::time::Instant::now() >= end {
                return Ok(Vec::new());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn delete(&self, receipt: &str) -> Answer<()> {
        self.deleted.lock().unwrap().push(receipt.to_owned());
        Ok(())
    }
}

fn source() -> QueueSource {
    QueueSource {
        queue_arn: "arn:aws:sqs:eu-west-1:111122223333:jobs".to_owned(),
        batch_size: 10,
        window: Duration::ZERO,
        failures: FailureReport::BatchItems,
        concurrency: None,
        state: SourceState::Enabled,
    }
}

struct Feeding {
    bench: Bench,
    queue: Arc<FakeQueue>,
    poller: tokio::task::JoinHandle<()>,
}

impl Drop for Feeding {
    fn drop(&mut self) {
        self.poller.abort();
    }
}

fn feed(queue: FakeQueue, source: QueueSource) -> Feeding {
    let bench = bench(function(&[]), |_| {});
    let queue = Arc::new(queue);
    let poller = tokio::spawn(poller::poll(Arc::clone(&bench.pool), Arc::clone(&queue), source));
    Feeding { bench, queue, poller }
}

#[tokio::test]
async fn what_succeeded_is_deleted_and_what_failed_stays() {
    let queue = FakeQueue::default();
    queue.send(&["a", "bad", "b"]);
    let feeding = feed(queue, source());
    until("two are deleted", || feeding.queue.deleted().len() == 2).await;
    assert_eq!(feeding.queue.deleted(), ["receipt-a", "receipt-b"]);
}

#[tokio::test]
async fn a_batch_that_crashes_or_is_answered_with_nonsense_stays_whole() {
    let queue = FakeQueue::default();
    queue.send(&["a", "crash"]);
    let mut feeding = feed(queue, source());
    feeding.bench.line("Runtime exited with error").await;
    feeding.queue.send(&["b", "nonsense"]);
    feeding.bench.line("batch b,nonsense").await;
    feeding.queue.send(&["c"]);
    until("the good one is deleted", || !feeding.queue.deleted().is_empty()).await;
    assert_eq!(feeding.queue.deleted(), ["receipt-c"]);
}

#[tokio::test]
async fn without_failure_reports_an_answer_is_success() {
    let queue = FakeQueue::default();
    queue.send(&["a", "bad"]);
    let feeding = feed(queue, QueueSource { failures: FailureReport::WholeBatch, ..source() });
    until("both are deleted", || feeding.queue.deleted().len() == 2).await;
}

#[tokio::test]
async fn a_batch_is_no_larger_than_its_size() {
    let queue = FakeQueue::default();
    queue.send(&["a", "b", "c"]);
    let mut feeding = feed(queue, QueueSource { batch_size: 2, concurrency: Some(1), ..source() });
    feeding.bench.line("batch a,b").await;
    until("all are deleted", || feeding.queue.deleted().len() == 3).await;
}

#[tokio::test]
async fn a_window_gathers_what_comes_a_little_later() {
    let queue = FakeQueue::default();
    queue.send(&["a"]);
    let mut feeding = feed(queue, QueueSource { window: Duration::from_secs(5), batch_size: 2, ..source() });
    until("the first is taken", || feeding.queue.is_empty()).await;
    feeding.queue.send(&["b"]);
    feeding.bench.line("batch a,b").await;
}

#[tokio::test]
async fn the_messages_of_a_stopped_function_stay_in_the_queue() {
    let feeding = feed(FakeQueue::default(), source());
    feeding.bench.pool.set_presence(Presence::Stopped);
    // The poller must have seen it before there is anything to take.
    tokio::time::sleep(Duration::from_millis(50)).await;
    feeding.queue.send(&["a"]);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!feeding.queue.is_empty(), "nobody takes it");
    feeding.bench.pool.set_presence(Presence::Here);
    until("it is done", || feeding.queue.deleted() == ["receipt-a"]).await;
}

#[tokio::test]
async fn a_queue_that_refuses_is_asked_again() {
    let queue = FakeQueue { refusals: Mutex::new(1), ..FakeQueue::default() };
    queue.send(&["a"]);
    let feeding = feed(queue, source());
    until("it is done", || feeding.queue.deleted() == ["receipt-a"]).await;
}
