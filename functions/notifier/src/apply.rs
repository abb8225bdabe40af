//! Does what was decided, and chooses nothing.

use signalbox_aws::{Attribute, Failure};
use signalbox_glue::{Apply, Came, Invocation, Order, Step, Twice};
use signalbox_notifier_rules::{Action, CopyTold, History, Mail, render_action};

use crate::Notifier;

impl Apply<Action> for Notifier {
    fn step(&self, action: &Action) -> Step {
        let (order, twice) = match action {
            Action::Mail(_) => (Order::Free, Twice::Doubled),
            // A history that knows of this build would keep the mail from being decided again.
            Action::History { .. } | Action::CopyTold { .. } => (Order::AfterOthers, Twice::Harmless),
        };
        Step { key: Some(action.key().to_owned()), told: render_action(action), order, twice }
    }

    async fn apply(&self, action: &Action, _attempts: u32, _invocation: Invocation) -> Result<Came, Failure> {
        match action {
            Action::Mail(mail) => publish(self, mail).await.map(Came::Done),
            Action::History { key, finished, older } => {
                let remembering = |there: Option<&History>| match there {
                    Some(there) => there.with(finished, older),
                    None => History::default().with(finished, older),
                };
                self.state.change(key, remembering).await?;
                Ok(Came::Done("done".to_owned()))
            }
            Action::CopyTold { key, told } => {
                self.state.change(key, |there: Option<&CopyTold>| told.over(there)).await?;
                Ok(Came::Done("done".to_owned()))
            }
        }
    }
}

async fn publish(function: &Notifier, mail: &Mail) -> Result<String, Failure> {
    let Some(topic) = &function.topic else {
        return Err(Failure::refused("sending mail", "SIGNALBOX_TOPIC_ARN is not set; template.yaml sets it"));
    };
    let id = topic.publish(&mail.subject, &mail.body, &attributes(mail)).await?;
    Ok(format!("sent as {id}"))
}

fn attributes(mail: &Mail) -> Vec<(String, Attribute)> {
    let told = &mail.attributes;
    let text = |name: &str, value: String| (name.to_owned(), Attribute::Text(value));
    let mut attributes = vec![text("topic", told.topic.to_string()), text("repository", told.repository.to_string())];
    for (name, value) in [("ref", &told.reference), ("project", &told.project), ("target", &told.target)] {
        attributes.extend(value.clone().map(|value| text(name, value)));
    }
    // Always: a filter policy for `to` rejects every message that has none.
    attributes.push(("to".to_owned(), Attribute::Texts(told.to.clone())));
    attributes
}
