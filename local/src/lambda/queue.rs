//! The one place where Lambda speaks to SQS.

use std::sync::Arc;
use std::time::Duration;

use crate::error::Answer;
use crate::iam::gate::on_queue;
use crate::sqs::{Message, Sqs};
use crate::template::function::Function;
use crate::world::World;

/// The most messages that SQS gives at once.
pub(super) const MOST_AT_ONCE: usize = 10;

/// A queue that a function is fed from.
///
/// A trait, so that feeding can be watched in a test without visibility time-outs.
pub(super) trait Queue: Send + Sync + 'static {
    /// Waits at most `wait` for at most `most` messages. Dropped while it waits, it has taken nothing.
    fn receive(&self, most: usize, wait: Duration) -> impl Future<Output = Answer<Vec<Message>>> + Send;
    /// Takes a message out for good.
    fn delete(&self, receipt: &str) -> impl Future<Output = Answer<()>> + Send;
}

/// A queue of this cloud.
#[derive(Debug)]
pub(super) struct CloudQueue {
    pub(super) world: Arc<World>,
    pub(super) sqs: Arc<Sqs>,
    /// The function that it feeds: what is done to the queue is done with its role.
    pub(super) function: Function,
    pub(super) name: String,
}

impl CloudQueue {
    fn check(&self, action: &str) -> Answer<()> {
        let arn = self.sqs.arn(&self.name);
        let policy = self.sqs.policy(&arn);
        let Function { role, name, .. } = &self.function;
        let checked = self.world.iam.check_session(role, name, &on_queue(action, &arn), policy.as_deref());
        checked.map_err(|refusal| refusal.into_service("sqs"))
    }
}

impl Queue for CloudQueue {
    async fn receive(&self, most: usize, wait: Duration) -> Answer<Vec<Message>> {
        self.check("ReceiveMessage")?;
        let messages = self.sqs.receive(&self.name, most.min(MOST_AT_ONCE), wait).await?;
        for message in messages.iter().filter(|message| self.world.chaos.redelivers(&self.name, &message.id)) {
            self.sqs.change_visibility(&self.name, &message.receipt, Duration::ZERO)?;
        }
        Ok(messages)
    }

    async fn delete(&self, receipt: &str) -> Answer<()> {
        self.check("DeleteMessage")?;
        self.sqs.delete(&self.name, receipt)
    }
}
