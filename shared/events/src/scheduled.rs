//! The scheduled event: a rule with a schedule fired.

use serde::{Deserialize, Serialize};

use crate::envelope::Envelope;
use crate::names::RuleName;

/// A rule with a schedule fired; the sweep runs on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scheduled {
    /// The rule, taken from the resources: the detail is always empty.
    pub rule: Option<RuleName>,
}

impl Scheduled {
    pub(crate) fn from_envelope(envelope: &Envelope) -> Self {
        let rule = envelope.resources.iter().find_map(|arn| {
            let (_, path) = arn.as_str().split_once(":rule/")?;
            // `rule/BUS/NAME` where the bus is not the default one.
            let name = path.rsplit('/').next()?;
            RuleName::parse(name).ok()
        });
        Self { rule }
    }
}
