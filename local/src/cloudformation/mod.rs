//! CloudFormation, as far as whoever finds and removes a stack needs it: the stack that was made from the template.
//!
//! Stacks are made by [`crate::template::Stack`]; here they are remembered, told of and torn down. On AWS a deletion runs
//! for a while; here it is done when the call returns.

mod operations;
mod teardown;

pub use self::operations::OPERATIONS;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::{Answer, ServiceError};
use crate::kept::Kept;
use crate::lambda::Switch;
use crate::template::{OnDeletion, Stack, Template};
use crate::world::World;

/// The stacks of the account.
#[derive(Debug)]
pub struct CloudFormation {
    world: Arc<World>,
    kept: Kept<State>,
    switches: Mutex<BTreeMap<String, Switch>>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    /// In the order in which they were made.
    stacks: Vec<Remembered>,
}

/// A stack that is, or was.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Remembered {
    id: String,
    name: String,
    status: String,
    reason: Option<String>,
    created: Timestamp,
    updated: Option<Timestamp>,
    deleted: Option<Timestamp>,
    parameters: BTreeMap<String, String>,
    template: String,
    outputs: Vec<Output>,
    /// In the order in which they were made.
    resources: Vec<Resource>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Output {
    key: String,
    value: String,
    description: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Resource {
    logical: String,
    physical: String,
    kind: String,
    status: String,
    reason: Option<String>,
    changed: Timestamp,
    on_deletion: OnDeletion,
}

const DELETED: &str = "DELETE_COMPLETE";

impl Remembered {
    fn is_deleted(&self) -> bool {
        self.status == DELETED
    }
}

impl CloudFormation {
    /// Opens what is there.
    ///
    /// # Errors
    /// A spoilt state file.
    pub fn open(world: &Arc<World>) -> anyhow::Result<Self> {
        let kept = Kept::open(&world.dir, "cloudformation")?;
        Ok(Self { world: Arc::clone(world), kept, switches: Mutex::default() })
    }

    /// Writes the state.
    ///
    /// # Errors
    /// The disk.
    pub fn save(&self) -> anyhow::Result<()> {
        self.kept.save()
    }

    /// Remembers a stack that was made from the template, or made again.
    ///
    /// # Errors
    /// The disk.
    pub fn remember(&self, text: &str, template: &Template, stack: &Stack) -> Answer<()> {
        let now = self.world.now();
        let resources: Vec<Resource> = template
            .resources
            .iter()
            .filter_map(|resource| {
                let made = stack.resources.get(&resource.id)?;
                Some(Resource {
                    logical: resource.id.clone(),
                    physical: made.reference.clone(),
                    kind: made.kind.deployed_name().to_owned(),
                    status: "CREATE_COMPLETE".to_owned(),
                    reason: None,
                    changed: now,
                    on_deletion: resource.on_deletion,
                })
            })
            .collect();
        let outputs = stack.outputs.iter().map(|output| Output {
            key: output.name.clone(),
            value: output.value.clone(),
            description: output.description.clone(),
        });
        let outputs: Vec<Output> = outputs.collect();
        self.kept.change(|state| {
            let before = state.stacks.iter().filter(|one| one.name == stack.name).count();
            let there = state.stacks.iter_mut().find(|one| one.name == stack.name && !one.is_deleted());
            let Some(there) = there else {
                // The first has the id that `AWS::StackId` stands for; one that is made after it was deleted is another.
                let id = template.pseudo.stack_id();
                state.stacks.push(Remembered {
                    id: if before == 0 { id } else { format!("{id}-{before}") },
                    name: stack.name.clone(),
                    status: "CREATE_COMPLETE".to_owned(),
                    reason: None,
                    created: now,
                    updated: None,
                    deleted: None,
                    parameters: template.parameters.clone(),
                    template: text.to_owned(),
                    outputs,
                    resources,
                });
                return;
            };
            // A port that changed with the last start is no update.
            if there.template != text || there.parameters != template.parameters || there.status == "DELETE_FAILED" {
                there.status = "UPDATE_COMPLETE".to_owned();
                there.reason = None;
                there.updated = Some(now);
                there.template = text.to_owned();
                there.parameters = template.parameters.clone();
            }
            there.outputs = outputs;
            let before: BTreeMap<String, Timestamp> =
                there.resources.iter().map(|one| (one.logical.clone(), one.changed)).collect();
            there.resources = resources;
            for resource in &mut there.resources {
                resource.changed = before.get(&resource.logical).copied().unwrap_or(now);
            }
        });
        self.save().map_err(|error| ServiceError::internal(format!("{error:#}")))
    }

    /// Takes note of how the stack's functions are ended when they are deleted.
    pub fn runs(&self, switches: BTreeMap<String, Switch>) {
        *self.switches.lock().unwrap_or_else(PoisonError::into_inner) = switches;
    }

    /// The stack of an id, or the one of a name that is not deleted.
    fn find(&self, name_or_id: &str) -> Answer<Remembered> {
        let found = self.kept.read(|state| {
            let by_id = name_or_id.starts_with("arn:");
            let is_meant = |one: &&Remembered| {
                if by_id { one.id == name_or_id } else { one.name == name_or_id && !one.is_deleted() }
            };
            state.stacks.iter().find(is_meant).cloned()
        });
        found.ok_or_else(|| ServiceError::bad("ValidationError", format!("Stack with id {name_or_id} does not exist")))
    }
}
