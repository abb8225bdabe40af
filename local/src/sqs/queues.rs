//! Queues made, changed and taken away.

use std::collections::BTreeMap;

use super::attributes::Attributes;
use super::queue::Queue;
use super::{Sqs, State, invalid, no_such_queue};
use crate::error::{Answer, ServiceError};

impl Sqs {
    /// Makes a queue and gives its ARN; the same queue once more is no error.
    ///
    /// # Errors
    /// A name or an attribute that AWS refuses; a queue of that name with other attributes.
    pub fn create_queue(&self, name: &str, attributes: &BTreeMap<String, String>) -> Answer<String> {
        check_queue_name(name)?;
        let mut set = Attributes::default();
        set.set(attributes)?;
        let arn = self.arn(name);
        let now = self.now();
        self.state.change(|state| {
            check_redrive(state, &arn, &set)?;
            if let Some(queue) = state.queues.get(name) {
                return match queue.attributes.differs_from(attributes) {
                    None => Ok(()),
                    Some(attribute) => Err(ServiceError::bad(
                        "QueueNameExists",
                        format!("A queue named {name} exists with another value for attribute {attribute}."),
                    )),
                };
            }
            state.queues.insert(name.to_owned(), Queue::new(self.world.hex(32), set, now));
            Ok(())
        })?;
        self.save_now()?;
        Ok(arn)
    }

    /// Makes a queue with exactly these attributes, or gives them to the one that is there; gives its ARN.
    ///
    /// # Errors
    /// A name or an attribute that AWS refuses.
    pub fn ensure_queue(&self, name: &str, attributes: &BTreeMap<String, String>) -> Answer<String> {
        check_queue_name(name)?;
        let mut set = Attributes::default();
        set.set(attributes)?;
        let arn = self.arn(name);
        let now = self.now();
        self.state.change(|state| {
            check_redrive(state, &arn, &set)?;
            match state.queues.get_mut(name) {
                Some(queue) if queue.attributes == set => {}
                Some(queue) => {
                    queue.attributes = set;
                    queue.modified = now;
                }
                None => drop(state.queues.insert(name.to_owned(), Queue::new(self.world.hex(32), set, now))),
            }
            Ok::<_, ServiceError>(())
        })?;
        self.save_now()?;
        Ok(arn)
    }

    /// Changes some attributes of a queue, all or none.
    ///
    /// # Errors
    /// No such queue; an attribute that AWS refuses.
    pub fn set_attributes(&self, queue: &str, attributes: &BTreeMap<String, String>) -> Answer<()> {
        let name = self.name(queue)?;
        let arn = self.arn(&name);
        let now = self.now();
        self.state.change(|state| {
            let mut set = state.queues.get(&name).ok_or_else(|| no_such_queue(queue))?.attributes.clone();
            set.set(attributes)?;
            check_redrive(state, &arn, &set)?;
            if let Some(queue) = state.queues.get_mut(&name) {
                queue.attributes = set;
                queue.modified = now;
            }
            Ok::<_, ServiceError>(())
        })?;
        self.ring(&name);
        self.save_now()
    }

    /// Takes a queue away with all its messages; whoever waits for it is told.
    ///
    /// # Errors
    /// No such queue.
    pub fn delete_queue(&self, queue: &str) -> Answer<()> {
        let name = self.name(queue)?;
        self.state.change(|state| state.queues.remove(&name)).ok_or_else(|| no_such_queue(queue))?;
        self.ring(&name);
        self.save_now()
    }

    /// The names of all queues, sorted.
    pub fn queue_names(&self) -> Vec<String> {
        self.state.read(|state| state.queues.keys().cloned().collect())
    }
}

fn check_queue_name(name: &str) -> Answer<()> {
    if name.ends_with(".fifo") {
        return Err(ServiceError::bad(
            "UnsupportedOperation",
            format!("the local cloud has standard queues only, and {name} names a FIFO queue"),
        ));
    }
    let good =
        (1..=80).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if good {
        return Ok(());
    }
    Err(invalid(
        "QueueName",
        name,
        "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
    ))
}

/// Whether the dead-letter queue that a queue names exists and takes its messages.
fn check_redrive(state: &State, source_arn: &str, attributes: &Attributes) -> Answer<()> {
    let Some(redrive) = attributes.redrive() else { return Ok(()) };
    let refused = |reason: &str| invalid("RedrivePolicy", &redrive.target, reason);
    if redrive.target == source_arn {
        return Err(refused("A queue cannot be its own dead letter target."));
    }
    let account_of = |arn: &str| arn.rsplit_once(':').map(|(account, _)| account.to_owned());
    let name = redrive.target.rsplit(':').next().unwrap_or_default();
    let target = state
        .queues
        .get(name)
        .filter(|_| account_of(&redrive.target) == account_of(source_arn))
        .ok_or_else(|| refused("Dead letter target does not exist. Make it first."))?;
    if !target.attributes.allows_redrive_from(source_arn) {
        return Err(refused("The RedriveAllowPolicy of the dead letter target does not permit this source queue."));
    }
    Ok(())
}
