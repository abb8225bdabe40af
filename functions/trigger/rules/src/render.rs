//! Every sentence that the trigger says, in one place.

use signalbox_events::PullRequestState;

use crate::action::Action;
use crate::decision::{Because, Idle, Reason};
use crate::facts::{Base, Push};
use crate::review::TargetBuildspec;
use crate::sweep::BeginsAnew;
use crate::trouble::NotSwept;

/// A reason as a sentence.
pub fn render_reason(reason: &Reason) -> String {
    match reason {
        Reason::NotAPush => {
            "the event is no push, and no pull request that is opened, updated or commented on".to_owned()
        }
        Reason::NothingToSweep => {
            "no trigger of the policy starts anything for pushes to branches or for pull requests: \
            there is nothing to sweep for"
                .to_owned()
        }
        Reason::Sweeps { repositories } => {
            format!(
                "the sweep looks for pushes and pull requests that no event told of, in {}",
                repositories.join(" and ")
            )
        }
        Reason::Missed { push } => format!("{}; no event told of it, the sweep found it", render_push(push)),
        Reason::MissedReview(found) => format!(
            "pull request {} of {} is at {}; no event told of it, the sweep found it",
            found.pull_request,
            found.repository,
            found.commit.short()
        ),
        Reason::TakenUpUnder { id } => {
            format!("what came of it is in the ledger under {id}, whoever told of it first")
        }
        Reason::OwnComment => "the comment is the stack's own, which is never answered".to_owned(),
        Reason::NoCommand => "no line of the comment is a command".to_owned(),
        Reason::CommentUnread => "what the comment says is not in the event, and not known yet".to_owned(),
        Reason::NoReviewTrigger { repository } => {
            format!("no trigger of the policy has anything to do with pull requests of {repository}")
        }
        Reason::NoTriggerInto { repository, into } => {
            format!("no trigger of the policy takes pull requests into {} of {repository}", into.short())
        }
        Reason::ReviewGone { pull_request } => format!("there is no pull request {pull_request} in this repository"),
        Reason::ReviewEnded { pull_request, state } => {
            let ended = if *state == PullRequestState::Merged { "merged" } else { "closed" };
            format!("pull request {pull_request} is {ended} by now")
        }
        Reason::ReviewUnseen { pull_request } => {
            format!("nobody has looked yet how pull request {pull_request} stands")
        }
        Reason::AsksForHelp { command } => format!("{command} asks what there is"),
        Reason::UnknownTrigger { name } => {
            format!("somebody asks for {}, which is no trigger of this pull request", name.escape_debug())
        }
        Reason::NothingFailed { commit } => {
            format!("somebody wants to have run again what failed for {}, and nothing has", commit.short())
        }
        Reason::NotSwept(NotSwept { repository, branch: None, why }) => {
            format!("{repository} could not be swept: {why}")
        }
        Reason::NotSwept(NotSwept { repository, branch: Some(branch), why }) => {
            format!("{branch} of {repository} could not be swept: {why}")
        }
        Reason::BeginsAnew(BeginsAnew { repository, stale_since }) => {
            let why = match stale_since {
                Some(at) => format!("no sweep has looked at {repository} since {at}"),
                None => format!("{repository} was deleted and made again"),
            };
            format!("{why}: where its branches are is only remembered, and a push that was lost there stays lost")
        }
        Reason::SweptSince { began } => {
            format!("a sweep that began later than this one was due, at {began}, has looked")
        }
        Reason::SweptBefore { id } => {
            format!("the sweep found this push before its event came: what came of it is in the ledger under {id}")
        }
        Reason::NoTrigger { repository, reference } => {
            format!("no trigger of the policy wants pushes to {reference} of {repository}")
        }
        Reason::Starts { trigger, commit, attempt, because } => {
            let again = if *attempt > 1 { format!(", try {attempt} of this commit") } else { String::new() };
            format!("{trigger} starts for {}{again}: {}", commit.short(), render_because(because))
        }
        Reason::Idle { trigger, idle } => format!("{trigger} starts nothing: {}", render_idle(idle)),
        Reason::Supersedes { trigger, build, commit } => {
            format!("{trigger} stops the older build {build}: {} takes its place", commit.short())
        }
    }
}

fn render_push(push: &Push) -> String {
    let (branch, repository, commit) = (push.reference.short(), &push.repository, push.commit.short());
    match &push.previous {
        Some(previous) => format!("{branch} of {repository} moved from {} to {commit}", previous.short()),
        None => format!("{branch} of {repository} is new, at {commit}"),
    }
}

fn render_because(because: &Because) -> String {
    match because {
        Because::Pushed => "it takes every push to this ref".to_owned(),
        Because::Revised { pull_request, into } => {
            format!("it takes every pull request into {}, and this is {pull_request}", into.short())
        }
        Because::TargetMoved { into, to } => {
            let to = to.as_ref().map(|to| format!(" to {}", to.short())).unwrap_or_default();
            format!("{} has moved{to} since its merge result was built", into.short())
        }
        Because::Asked { command, by } => {
            let who = by.as_ref().map_or("somebody", |by| by.person());
            format!("{who} asked for it with {}", command.escape_debug())
        }
        Because::PathMatches { path, changed, base } => {
            format!("{path} matches its paths ({})", render_changed(*changed, base))
        }
    }
}

/// Why a trigger starts nothing, to stand behind a colon.
pub(crate) fn render_idle(idle: &Idle) -> String {
    match idle {
        Idle::NotStale => "its merge result was not built yet, so none is to be built anew".to_owned(),
        Idle::NoPathMatches { changed, example, base } => {
            let example = example.as_ref().map(|path| format!(", such as {path}")).unwrap_or_default();
            format!("nothing matches its paths ({}{example})", render_changed(*changed, base))
        }
        Idle::SkipCi { marker } => format!("the commit message says {marker}"),
        Idle::OtherAuthor { author_email } => format!("the commit's author, {author_email}, is not one of its authors"),
        Idle::Green { build } => format!("the commit is already green here (build {build})"),
        Idle::Running { build } => format!("the commit is being built (build {build})"),
        Idle::StartedAgain { build } => format!("it was started once more already (build {build})"),
        Idle::Answered { build } => format!("this push has had its build, which did not pass (build {build})"),
        Idle::RefGone => "the branch is gone".to_owned(),
        Idle::CommitGone { commit } => format!("commit {} is not in the repository any more", commit.short()),
        Idle::MergeConflict { into, with } => {
            format!("it cannot be merged into {} at {} without conflicts", into.short(), with.short())
        }
        Idle::TargetGone { into } => format!("its target branch, {}, is gone", into.short()),
        Idle::MergeUnknown => "it builds the result of the merge, and whether there is one is not known yet".to_owned(),
        Idle::BuildspecUnknown => "it runs the buildspec of the target branch, which is not known yet".to_owned(),
        Idle::NoBuildspec { path, into } => {
            format!("it runs the buildspec of the target branch, and {} has no {path}", into.short())
        }
        Idle::BuildspecUnusable { path, bytes } => {
            let longest = TargetBuildspec::LONGEST;
            format!(
                "it runs the buildspec of the target branch, and {path} there ({bytes} bytes) is no text of 1 to {longest} bytes"
            )
        }
        Idle::NoProject => {
            "it runs the buildspec of the target branch, and its project is not there to tell which file that is"
                .to_owned()
        }
        Idle::NotFailed => "it has not failed for the current commit".to_owned(),
        Idle::FilesUnknown => "it has a path filter, and which files changed is not known yet".to_owned(),
        Idle::AskNotYet => "it asks people first, which this version cannot do yet".to_owned(),
        Idle::StartNotYet => "this version starts builds only".to_owned(),
        Idle::Unreadable { what } => what.clone(),
        Idle::FactsMissing => "the facts say nothing of it; gather them anew".to_owned(),
    }
}

/// How many files changed, and since when.
fn render_changed(count: usize, base: &Base) -> String {
    let files = match count {
        0 => "no file".to_owned(),
        1 => "1 file".to_owned(),
        count => format!("{count} files"),
    };
    match base {
        Base::Green(commit) => format!("{files} changed since {}, the last green commit", commit.short()),
        Base::MergeBase(commit) => {
            format!("{files} changed since {}, where it left the default branch", commit.short())
        }
        Base::Target(commit) => {
            format!("{files} changed since {}, where it left its target branch", commit.short())
        }
        Base::Unrelated => format!("{files} in all, as it has no history in common with its target branch"),
        Base::Nothing => format!("{files} in all, as there is no green commit to compare with"),
    }
}

/// An action as a sentence.
pub fn render_action(action: &Action) -> String {
    match action {
        Action::Settle { settled, .. } if settled.is_empty() => "remember the last green build".to_owned(),
        Action::Settle { settled, .. } => {
            let builds: Vec<String> =
                settled.iter().map(|(build, status)| format!("{build} ended as {status}")).collect();
            format!("remember that {}", builds.join(" and "))
        }
        Action::Stop(stop) => format!("stop build {}", stop.build),
        Action::Start(start) => {
            let place = match &start.pull_request {
                Some(review) => format!("pull request {}", review.id),
                None => start.reference.short().to_owned(),
            };
            let merged = start.pull_request.as_ref().and_then(|review| review.merge.as_ref());
            let merged = merged.map(|with| format!(", merged with {}", with.short())).unwrap_or_default();
            format!("start {} for {place} at {}{merged}", start.project, start.commit.short())
        }
        Action::Reply(reply) => {
            let first = reply.text.lines().next().unwrap_or_default();
            format!("answer the comment: {}", first.escape_debug())
        }
    }
}
