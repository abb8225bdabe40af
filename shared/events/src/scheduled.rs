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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::{AccountId, Arn, EventId, Region};

    fn rule_of(arns: &[&str]) -> Option<String> {
        let envelope = Envelope {
            id: EventId::parse("1").unwrap(),
            account: AccountId::parse("111122223333").unwrap(),
            region: Region::parse("eu-west-1").unwrap(),
            time: None,
            resources: arns.iter().map(|arn| Arn::parse(*arn).unwrap()).collect(),
            replay_name: None,
            again: None,
        };
        Scheduled::from_envelope(&envelope).rule.map(String::from)
    }

    #[test]
    fn the_rule_is_the_last_part_of_its_arn() {
        assert_eq!(rule_of(&["arn:aws:events:eu-west-1:111122223333:rule/sweep"]).as_deref(), Some("sweep"));
        assert_eq!(rule_of(&["arn:aws:events:eu-west-1:111122223333:rule/bus/sweep"]).as_deref(), Some("sweep"));
        assert_eq!(rule_of(&["arn:aws:codebuild:eu-west-1:111122223333:project/unit"]), None);
        assert_eq!(rule_of(&[]), None);
    }
}
