//! Does what was decided, and chooses nothing.

use signalbox_aws::{Attribute, Failure};
use signalbox_ledger::Held;
use signalbox_notifier_rules::{Action, Decision, History, Mail, render_action};

use crate::Notifier;
use crate::gather::remembering;

/// Applies every action that is not done yet; gives a sentence for each.
///
/// One that is refused does not keep the others from being done: a history without this build would make the next mail
/// wrong. The refusal is returned in the end.
pub(crate) async fn apply(function: &Notifier, decision: &Decision, held: &mut Held) -> Result<Vec<String>, Failure> {
    let mut done = Vec::new();
    let mut refused = None;
    for action in &decision.actions {
        let outcome = match held.outcome(action.key()) {
            Some(outcome) => format!("{outcome} (before)"),
            None => {
                let outcome = match action {
                    Action::Mail(mail) => publish(function, mail).await,
                    Action::History { key, finished } => function
                        .state
                        .change::<History, _>(key, |there| remembering(there, finished))
                        .await
                        .map(|_| "done".to_owned()),
                };
                match outcome {
                    Ok(outcome) => {
                        held.record(action.key(), &outcome).await?;
                        outcome
                    }
                    Err(failure @ Failure::Refused(_)) => {
                        let said = format!("refused: {failure}");
                        refused = refused.or(Some(failure));
                        said
                    }
                    Err(failure) => return Err(failure),
                }
            }
        };
        done.push(format!("{}: {outcome}", render_action(action)));
    }
    refused.map_or(Ok(done), Err)
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
    let mut attributes = vec![
        text("topic", told.topic.to_string()),
        text("repository", told.repository.to_string()),
        text("ref", told.reference.clone()),
        text("project", told.project.clone()),
    ];
    if !told.to.is_empty() {
        attributes.push(("to".to_owned(), Attribute::Texts(told.to.clone())));
    }
    attributes
}
