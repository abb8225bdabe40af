//! The environment variables that the template gives a function.

/// What the template says to a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `SIGNALBOX_FUNCTION`: the function's own name in the ledger.
    pub function: String,
    /// `SIGNALBOX_BUCKET`: the stack's bucket.
    pub bucket: String,
    /// `SIGNALBOX_POLICY_KEY`: where the policy lies in it.
    pub policy_key: String,
    /// `SIGNALBOX_QUEUE_URL`: its own queue; without it a retry waits for the queue's own time-out.
    pub queue_url: Option<String>,
    /// `SIGNALBOX_TOPIC_ARN`: the topic for mail; only the notifier has it.
    pub topic_arn: Option<String>,
    /// `SIGNALBOX_STACK`: the stack's name, for what one function tells another; the replicator and the protector have it.
    pub stack: Option<String>,
    /// `SIGNALBOX_REPOSITORIES`: the ARN pattern of the repositories that the role may read; the trigger and the replicator have it.
    pub repositories: Option<String>,
    /// `SIGNALBOX_SPARED_ROLES`: the ARNs of the roles whose pushes or comments are the stack's own; the protector and the trigger have it.
    pub spared_roles: Vec<String>,
    /// `SIGNALBOX_CHECKS_ROLE`: the ARN of the role that votes; only the approver has it.
    pub checks_role: Option<String>,
    /// `SIGNALBOX_TRIGGER_ROLE`: the ARN of the role whose builds count as checks; only the approver has it.
    pub trigger_role: Option<String>,
    /// `SIGNALBOX_QUARANTINE_DAYS`: how long what was undone is kept; only the protector has it.
    pub quarantine_days: Option<u32>,
    /// `AWS_LAMBDA_FUNCTION_NAME`: tells two stacks' metrics apart.
    pub function_name: String,
    /// `AWS_REGION`, for links.
    pub region: String,
}

/// A variable that the template always sets is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the environment variable {variable} is not set; template.yaml sets it")]
pub struct MissingSetting {
    /// Its name.
    pub variable: &'static str,
}

impl Settings {
    /// Reads the variables through `get`.
    ///
    /// # Errors
    /// Names the first one that is missing.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, MissingSetting> {
        let optional = |variable| get(variable).filter(|text| !text.is_empty());
        let required = |variable| optional(variable).ok_or(MissingSetting { variable });
        Ok(Self {
            function: required("SIGNALBOX_FUNCTION")?,
            bucket: required("SIGNALBOX_BUCKET")?,
            policy_key: required("SIGNALBOX_POLICY_KEY")?,
            queue_url: optional("SIGNALBOX_QUEUE_URL"),
            topic_arn: optional("SIGNALBOX_TOPIC_ARN"),
            stack: optional("SIGNALBOX_STACK"),
            repositories: optional("SIGNALBOX_REPOSITORIES"),
            spared_roles: optional("SIGNALBOX_SPARED_ROLES")
                .map(|roles| roles.split_whitespace().map(str::to_owned).collect())
                .unwrap_or_default(),
            checks_role: optional("SIGNALBOX_CHECKS_ROLE"),
            trigger_role: optional("SIGNALBOX_TRIGGER_ROLE"),
            quarantine_days: optional("SIGNALBOX_QUARANTINE_DAYS").and_then(|days| days.parse().ok()),
            function_name: required("AWS_LAMBDA_FUNCTION_NAME")?,
            region: required("AWS_REGION")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_variable_is_named_and_an_empty_one_is_missing() {
        let get = |name: &str| match name {
            "SIGNALBOX_BUCKET" => Some(String::new()),
            _ => Some(name.to_lowercase()),
        };
        assert_eq!(Settings::read(get), Err(MissingSetting { variable: "SIGNALBOX_BUCKET" }));
    }
}
