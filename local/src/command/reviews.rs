//! What happens to pull requests, in plain words.

use signalbox_events::{
    ApprovalStatus, Arn, CommentChange, Detail, Event, MergeOption, OverrideStatus, PullRequestChange,
    PullRequestComment, PullRequestEvent,
};

/// An event of a pull request in one line; none for any other.
pub(super) fn plain(event: &Event) -> Option<String> {
    match &event.detail {
        Detail::PullRequest(change) => Some(format!("{}: {}", change.repository, of_change(change))),
        Detail::CommentOnPullRequest(on) => Some(format!("{}: {}", on.comment.repository, of_comment(on))),
        _ => None,
    }
}

fn person(arn: Option<&Arn>) -> &str {
    arn.map_or("somebody", Arn::person)
}

fn of_change(change: &PullRequestChange) -> String {
    let (who, it) = (person(change.caller.as_ref()), format!("pull request {}", change.pull_request));
    let (source, destination) = (change.source.reference.short(), change.destination.reference.short());
    match &change.event {
        PullRequestEvent::Created => {
            // Escaped: nobody has checked a title, and a line break must not make two lines of one.
            format!("{who} opened {it}, {source} into {destination}: {}", change.title.escape_debug())
        }
        PullRequestEvent::SourceBranchUpdated => {
            format!("{who} pushed to {it}: {source} is at {}, votes begin anew", change.source.commit.short())
        }
        PullRequestEvent::StatusChanged => format!("{it} was closed without a merge by {who}"),
        PullRequestEvent::MergeStatusUpdated { option } => {
            let how = match option {
                Some(MergeOption::FastForward) => ", fast-forward",
                Some(MergeOption::Squash) => ", squashed",
                Some(MergeOption::ThreeWay) => ", with a merge commit",
                None => "",
            };
            format!("{who} merged {it} into {destination}{how}")
        }
        PullRequestEvent::ApprovalStateChanged { status: ApprovalStatus::Approve } => format!("{who} approved {it}"),
        PullRequestEvent::ApprovalStateChanged { status: ApprovalStatus::Revoke } => {
            format!("{who} took back the approval of {it}")
        }
        PullRequestEvent::ApprovalRuleCreated(rule) => format!("{who} gave {it} the rule {}", rule.name),
        PullRequestEvent::ApprovalRuleUpdated(rule) => format!("{who} changed the rule {} of {it}", rule.name),
        PullRequestEvent::ApprovalRuleDeleted(rule) => format!("{who} deleted the rule {} of {it}", rule.name),
        PullRequestEvent::ApprovalRuleOverridden { status: OverrideStatus::Override } => {
            format!("{who} set the rules of {it} aside")
        }
        PullRequestEvent::ApprovalRuleOverridden { status: OverrideStatus::Revoke } => {
            format!("{who} put the rules of {it} in force again")
        }
    }
}

fn of_comment(on: &PullRequestComment) -> String {
    let did = match (on.comment.change, on.comment.in_reply_to.is_some()) {
        (CommentChange::Created, false) => "commented on",
        (CommentChange::Created, true) => "answered a comment on",
        (CommentChange::Updated, _) => "changed a comment on",
    };
    format!("{} {did} pull request {}", person(on.comment.caller.as_ref()), on.pull_request)
}

#[cfg(test)]
mod tests {
    use signalbox_events::{Parsed, parse_event};

    use super::*;

    #[test]
    fn whatever_happens_to_a_pull_request_is_a_sentence() {
        let folder = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../events"));
        let mut told = Vec::new();
        let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        for file in files {
            let name = file.file_stem().unwrap().to_string_lossy().into_owned();
            let Ok(Parsed::Ours(event)) = parse_event(&std::fs::read(&file).unwrap()) else { continue };
            told.extend(plain(&event).map(|words| format!("{name}: {words}")));
        }
        insta::assert_snapshot!(told.join("\n"));
    }
}
