//! Every sentence that the approver says, in one place.

use crate::decision::{Action, Reason, Tampering};
use crate::facts::{Idle, Scope, Void};
use crate::judge::{Item, Met, What, Why};

/// One thing that is asked, as a line.
pub fn render_item(item: &Item) -> String {
    let findings: String = findings_of(&item.why).map(|finding| format!("\n  - {finding}")).collect();
    let met = match item.met {
        Met::Met => "met",
        Met::Waiting => "not yet met",
        Met::Missing => "missing",
    };
    format!("{} is {met}: {}{}", render_what(&item.what), render_why(&item.why), findings)
}

pub(crate) fn render_what(what: &What) -> String {
    match what {
        What::Check(name) => format!("check {name}"),
        What::Reviewers { count, from } => {
            let of = if from.is_empty() { String::new() } else { format!(" of {}", from.join(", ")) };
            format!("{count} {}{of}", if *count == 1 { "approval" } else { "approvals" })
        }
    }
}

/// What the rules found, a sentence each.
pub(crate) fn findings_of(why: &Why) -> impl Iterator<Item = &String> {
    let findings: &[String] = match why {
        Why::RulesBroken { findings, .. } => findings,
        _ => &[],
    };
    findings.iter()
}

pub(crate) fn render_why(why: &Why) -> String {
    match why {
        Why::Passed(build) => format!("build {build} passed"),
        Why::Runs(build) => format!("build {build} runs"),
        Why::Failed { build, status } => format!("build {build} ended as {status}"),
        Why::Void { build, void } => format!("build {build} proves nothing: {}", render_void(void)),
        Why::NoBuild(commit) => format!("no build of {} was started yet", commit.short()),
        Why::NoPathMatches { changed } => {
            let files =
                if *changed == 1 { "the 1 changed file".to_owned() } else { format!("{changed} changed files") };
            format!("it does not apply, as none of {files} matches its paths")
        }
        Why::OtherAuthor { email } => {
            format!("it does not apply, as the commit's author, {email}, is not one of its authors")
        }
        Why::SkipCi { marker } => {
            format!(
                "the commit message says {marker}, so nothing is built, and a required check cannot be skipped: push a commit without it"
            )
        }
        Why::NoProject(project) => format!("there is no build project {project}: make it, or change the policy"),
        Why::NoPullRequests => {
            "its trigger starts for no pull request: give it the reason pull_request in the policy".to_owned()
        }
        Why::OtherBranches(into) => {
            format!("its trigger starts for no pull request into {}: add the branch to its `into`", into.short())
        }
        Why::NoSuchCheck => {
            "no trigger and no protection of this repository is called so: change the policy".to_owned()
        }
        Why::NotJudged(commit) => format!("its rules have not been held against {} yet", commit.short()),
        Why::NoRules => "it has no rules for commits and files, so there is nothing to judge".to_owned(),
        Why::RulesHold { commits } => format!("nothing is wrong in {}", counted(*commits, "commit")),
        Why::RulesBroken { findings, left_out } => {
            let count = findings.len() + left_out;
            let shown = if *left_out == 0 {
                String::new()
            } else {
                format!(", of which these are the first {}", findings.len())
            };
            format!("it found {}{shown}", counted(count, "fault"))
        }
        Why::NotYet => "its trigger asks people first, or starts no build: this version cannot do that".to_owned(),
        Why::Unreadable(what) => format!("its builds cannot be looked at: {what}"),
        Why::NotKnown => "nobody has looked yet".to_owned(),
        Why::Approved(people) if people.is_empty() => "nobody who counts has approved this revision".to_owned(),
        Why::Approved(people) => format!("{} approved this revision", people.join(", ")),
    }
}

fn render_void(void: &Void) -> String {
    match void {
        Void::OtherInitiator { initiator: Some(initiator) } => format!("{initiator} started it, not the trigger"),
        Void::OtherInitiator { initiator: None } => "it is not said who started it".to_owned(),
        Void::OtherProject { project } => format!("it ran the project {project}, and the policy names another"),
        Void::OtherCommit { commit: Some(commit) } => format!("it built {commit}"),
        Void::OtherCommit { commit: None } => "it is not said what it built".to_owned(),
        Void::OtherBuildspec => {
            "it ran the pull request's own buildspec, and the policy wants that of the target branch".to_owned()
        }
    }
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// A reason as a sentence.
pub fn render_reason(reason: &Reason) -> String {
    match reason {
        Reason::Idle(idle) => render_idle(idle),
        Reason::RecordUnread(build) => {
            format!("the record of its start says which pull request build {build} was started for, if any")
        }
        Reason::Gone => "there is no such pull request".to_owned(),
        Reason::Closed => "the pull request is closed".to_owned(),
        Reason::NothingAsked => {
            "the policy asks for nothing any more, so what is left of the gate is opened".to_owned()
        }
        Reason::NoGateYet => "it has no gate yet".to_owned(),
        Reason::Tampered { rule, how, by } => {
            let did = match how {
                Tampering::Deleted => "deleted",
                Tampering::Changed => "changed",
            };
            format!("{} {did} the rule {rule}, which is the gate", by.as_deref().unwrap_or("somebody"))
        }
        Reason::Full => {
            "it has 30 approval rules, which is the most, and the gate is not among them: delete one".to_owned()
        }
        Reason::OverriddenWithoutLeave(by) => {
            format!("{by} set the approval rules aside, and the policy does not let them")
        }
        Reason::OverriddenWithLeave(by) => format!("{by} set the approval rules aside, as the policy lets them"),
        Reason::CountsEverybody { rule } => {
            format!("the rule {rule} has no approval pool: it counts the vote of the gate as an approval")
        }
        Reason::CommentUnwanted => "somebody deleted its comment for the second time: it stays away".to_owned(),
    }
}

fn render_idle(idle: &Idle) -> String {
    match idle {
        Idle::NotAboutReviews => "the event is about no pull request that anything is asked of".to_owned(),
        Idle::NothingAsked { repository, into } => {
            format!("the policy asks for nothing before merges into {} of {repository}", into.short())
        }
        Idle::Closed => "the pull request is closed".to_owned(),
        Idle::Ours => "the stack did it itself".to_owned(),
        Idle::NotStartedByUs { build } => {
            format!("the trigger did not start build {build} for a pull request, so it counts for none")
        }
        Idle::About(Scope::Templates) => "the gates' templates are looked at".to_owned(),
        Idle::About(Scope::Everything) => "the sweep looks at the gates and at every open pull request".to_owned(),
    }
}

/// An action as a sentence.
pub fn render_action(action: &Action) -> String {
    match action {
        Action::GiveRule { subject, name, .. } => format!("give pull request {} the rule {name}", subject.pull_request),
        Action::MendRule { subject, name, .. } => {
            format!("make the rule {name} of pull request {} the gate again", subject.pull_request)
        }
        Action::DropRule { subject, name } => {
            format!("take the rule {name} of pull request {} away", subject.pull_request)
        }
        Action::EndOverride { subject, .. } => {
            format!("put the approval rules of pull request {} in force again", subject.pull_request)
        }
        Action::Approve { subject, .. } => format!("open the gate of pull request {}", subject.pull_request),
        Action::Revoke { subject, .. } => format!("close the gate of pull request {}", subject.pull_request),
        Action::Ask { subject } => format!("have the protector judge pull request {}", subject.pull_request),
        Action::Say { subject, .. } => format!("say so in the comment on pull request {}", subject.pull_request),
    }
}
