//! Every sentence that the protector says of its decisions, in one place. What is wrong with a range says [`crate::Finding`].

use signalbox_events::{CommitId, RefName};

use crate::action::{Action, Restore};
use crate::decide::{Reason, Violation, What};
use crate::facts::{Merged, Subject};
use crate::journal::Judged;
use crate::news::render_telling;
use crate::watch::Weakening;

/// A reason as a sentence.
pub fn render_reason(reason: &Reason) -> String {
    match reason {
        Reason::NoProtection => "no protection of the policy covers this".to_owned(),
        Reason::OwnMove => "Signalbox made this move itself".to_owned(),
        Reason::Allowed { merged: Merged::By(id) } => format!("it is allowed: pull request {id} brought it"),
        Reason::Allowed { .. } => "it is allowed".to_owned(),
        Reason::Violated(violation) => render_violation(violation),
        Reason::MayBypass { by } => {
            format!("{} may do it all the same (`bypass`); tell the others why", by.person())
        }
        Reason::OnlyReported => "it stays: the policy says `on_violation: report`".to_owned(),
        Reason::Gap { known, found } => format!(
            "no event told that the ref is {}; it was last known {}. Nothing is undone, since nobody knows who moved it and what came \
             between",
            at(found.as_ref()),
            at(known.as_ref())
        ),
        Reason::Unreadable => {
            "a commit that the ref was at cannot be read any more; if it was to stay, push it again from a clone"
                .to_owned()
        }
        Reason::TipUnknown => "the facts do not say where the ref is now; gather them anew".to_owned(),
        Reason::NoRepository => "the repository is gone".to_owned(),
        Reason::IsBack => "the ref is where it was before: somebody put it back".to_owned(),
        Reason::Overtaken => "somebody who may has moved the ref since".to_owned(),
        Reason::WayUnknown { tip } => format!(
            "the ref is {} by now, and no event tells how it came there: what else would be undone is not known",
            at(tip.as_ref())
        ),
        Reason::Contest { with } => format!(
            "{} moves the ref back each time that it is put back. It is left as it is: find out what that is, then push what is right by \
             somebody whom `bypass` names",
            with.as_ref().map_or("somebody", |arn| arn.person())
        ),
        Reason::PutBack { before: 0 } => "it is put back".to_owned(),
        Reason::PutBack { before } => format!("it is put back, as {before} times within the last hour"),
        Reason::Unfinished { commits, files } => format!(
            "it is long: {commits} commits and {files} files of it were looked at so far, and the rest is looked at next"
        ),
        Reason::InParts { looks } => format!("it was looked at in {looks} parts"),
    }
}

/// A violation as a sentence.
pub fn render_violation(violation: &Violation) -> String {
    let what = match &violation.what {
        What::DirectPush => "direct-push: no pull request brought it. Push a branch and open one".to_owned(),
        What::ForcePush => "force-push: commits were dropped. Add commits instead, or `git revert`".to_owned(),
        What::Deletion => "deletion: it must not be deleted".to_owned(),
        What::Creation => "creation: such a ref must not be made".to_owned(),
        What::Update => "update: it must not move. Make a new one instead".to_owned(),
        What::Name { pattern } => format!("names: its name does not match {pattern:?}"),
        What::Range(finding) => finding.to_string(),
        What::Weakened(weakening) => format!("{}: {}", weakening.rule(), render_weakening(weakening)),
    };
    match &violation.name {
        Some(name) => format!("{what} (protection {name})"),
        None => format!("{what} (protection in line {})", violation.line),
    }
}

/// An action as a sentence.
pub fn render_action(action: &Action) -> String {
    match action {
        Action::Remember { subject, made, .. } => {
            let judged = match made.judged {
                Judged::Good => "allowed",
                Judged::Bad => "to be undone",
                Judged::Undone => "undone",
                Judged::Reported => "not allowed, and left",
                Judged::Bypassed => "allowed by `bypass`",
                Judged::Ours => "our own",
            };
            let (from, to) = (at(made.old.as_ref()), at(made.new.as_ref()));
            format!("remember of {} that it was {from} and is {to}: {judged}", render_subject(subject))
        }
        Action::Restore(restore) => render_restore(restore),
        Action::SetDefaultBranch { repository, from, to } => format!(
            "make {to} the default branch of {repository} again, instead of {}",
            from.as_deref().unwrap_or("none")
        ),
        Action::See { repository, .. } => format!("remember how {repository} is protected"),
        Action::Settle { subject, .. } => format!("note that {} is where it belongs", render_subject(subject)),
        Action::Tell(news) => render_telling(news),
        Action::ComeAgain { subject, .. } => format!("look at {} again", render_subject(subject)),
        Action::GoOn { subject } => format!("look at the rest of what came to {}", render_subject(subject)),
    }
}

/// What is put back, as a sentence.
pub fn render_restore(restore: &Restore) -> String {
    let what = match (&restore.from, &restore.to) {
        (Some(from), Some(to)) => {
            format!("put {} back from {} to {}", render_subject(&restore.subject), from.short(), to.short())
        }
        (None, Some(to)) => format!("make {} again at {}", render_subject(&restore.subject), to.short()),
        (Some(from), None) => format!("end {}, which is at {}", render_subject(&restore.subject), from.short()),
        (None, None) => format!("leave {} away", render_subject(&restore.subject)),
    };
    match &restore.keep {
        Some(keep) => format!("{what}, and keep what was pushed as {}", keep.short()),
        None => what,
    }
}

/// How a protection is weaker, as a sentence.
pub(crate) fn render_weakening(weakening: &Weakening) -> String {
    match weakening {
        Weakening::DefaultBranch { from, to } => {
            format!("the default branch is {} instead of {from}", to.as_deref().unwrap_or("none"))
        }
        Weakening::TemplateGone { template } => {
            format!("the approval rule template {template} does not apply any more")
        }
        Weakening::Template { template, how } => format!("the approval rule template {template} {how}"),
        Weakening::RuleGone { pull_request, rule } => format!("the rule {rule} of pull request {pull_request} is gone"),
        Weakening::Rule { pull_request, rule, how } => format!("the rule {rule} of pull request {pull_request} {how}"),
        Weakening::Overridden { pull_request } => {
            format!("the approval rules of pull request {pull_request} were set aside")
        }
        Weakening::TriggerGone { trigger } => format!("the repository trigger {trigger} is gone"),
        Weakening::Pusher { who, refs } => {
            let kind = if who.as_str().contains(":role/") { "role" } else { "user" };
            let refs: Vec<&str> = refs.iter().map(RefName::as_str).collect();
            format!("IAM lets the {kind} {} ({who}) push to {}", who.person(), refs.join(", "))
        }
        Weakening::Trigger { trigger } => {
            format!("the repository trigger {trigger} calls something else, or for less than it did")
        }
    }
}

/// What a person can do about it.
pub(crate) const fn remedy_of(weakening: &Weakening) -> &'static str {
    match weakening {
        Weakening::DefaultBranch { .. } => {
            "If that was not meant, make it the default branch again: aws codecommit update-default-branch"
        }
        Weakening::TemplateGone { .. } => {
            "If that was not meant: aws codecommit associate-approval-rule-template-with-repository. Pull requests that were opened meanwhile have no such rule"
        }
        Weakening::Template { .. } => {
            "If that was not meant: aws codecommit update-approval-rule-template-content. Pull requests that were opened meanwhile have the weaker rule"
        }
        Weakening::RuleGone { .. } => "If that was not meant: aws codecommit create-pull-request-approval-rule",
        Weakening::Rule { .. } => "If that was not meant: aws codecommit update-pull-request-approval-rule-content",
        Weakening::Overridden { .. } => {
            "If that was not meant: aws codecommit override-pull-request-approval-rules --override-status REVOKE"
        }
        Weakening::Pusher { .. } => {
            "If that was not meant, attach what `signalbox iam --policy signalbox.yaml` prints, or take codecommit:GitPush away; if it was, name the ARN under `bypass`"
        }
        Weakening::TriggerGone { .. } | Weakening::Trigger { .. } => {
            "If that was not meant: aws codecommit put-repository-triggers, with all triggers that the repository shall have"
        }
    }
}

/// How whoever pushed gets it back: a command.
pub fn render_rescue(restore: &Restore) -> Option<String> {
    let keep = restore.keep.as_ref()?;
    Some(format!("git fetch origin {} && git switch -c rescued FETCH_HEAD", keep.shell_word()))
}

fn render_subject(subject: &Subject) -> String {
    format!("{} of {}", subject.reference, subject.repository)
}

fn at(place: Option<&CommitId>) -> String {
    place.map_or_else(|| "not there".to_owned(), |commit| format!("at {}", commit.short()))
}
