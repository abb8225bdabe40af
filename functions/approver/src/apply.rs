//! Does what was decided, and chooses nothing.

use jiff::Timestamp;
use signalbox_approver_rules::{
    Action, CommentSeen, Decision, MARKER, Memory, Posted, Subject, comment_token, digest, render_action,
};
use signalbox_aws::{Bus, Edited, Entry, Failure, PostedComment, Put, ReviewedPullRequest, Vote, Written};
use signalbox_events::{CHECK, CheckState, CheckStateChange, OWN_SOURCE, RevisionId};
use signalbox_glue::{Apply, Came, Invocation, Order, Step, Twice};
use tokio::sync::OnceCell;

use crate::Approver;
use crate::gather::Gathered;

/// One look, as it is acted on.
pub(crate) struct Carrier<'a> {
    function: &'a Approver,
    gathered: &'a Gathered,
    /// What is remembered before the first write.
    memory: Memory,
    begun: OnceCell<()>,
}

impl<'a> Carrier<'a> {
    pub(crate) fn new(function: &'a Approver, gathered: &'a Gathered, decision: &Decision) -> Self {
        let mut memory = decision.memory.clone();
        memory.looks = memory.looks.saturating_add(1);
        Self { function, gathered, memory, begun: OnceCell::new() }
    }

    /// Writes the memory over what was read, before anything else is written.
    ///
    /// Of two looks at the same time one loses here: what it knows may be older than what the other has said already.
    async fn begin(&self, subject: &Subject) -> Result<(), Failure> {
        let write = || async {
            let key = Memory::key(subject);
            match self.function.state.replace(&key, self.gathered.etag.as_deref(), &self.memory).await? {
                Put::Written { .. } => Ok(()),
                Put::Lost => {
                    let what = "another look at it was faster; it is looked at again";
                    Err(Failure::retry(format!("looking at pull request {}", subject.pull_request), what))
                }
            }
        };
        self.begun.get_or_try_init(write).await.map(drop)
    }

    async fn vote(&self, subject: &Subject, revision: &RevisionId, vote: Vote) -> Result<Came, Failure> {
        let ballot = self.function.ballot().await?;
        match (ballot.vote(&subject.pull_request, revision, vote).await?, vote) {
            // A vote on a revision that is not there any more counts for nothing.
            (Written::Changed, Vote::Revoke) => Ok(Came::Left("the pull request has moved on".to_owned())),
            (written, _) => came(subject, written),
        }
    }

    /// Has the protector look. It judges the pull request as it then stands, so asking twice does no harm.
    async fn ask(&self, subject: &Subject) -> Result<Came, Failure> {
        let function = self.function;
        let Some(stack) = &function.stack else {
            let what = "the environment variable SIGNALBOX_STACK is not set; template.yaml sets it";
            return Err(Failure::refused("asking the protector", what));
        };
        let wanted = CheckStateChange {
            stack: stack.clone(),
            repository: subject.repository.clone(),
            pull_request: subject.pull_request.clone(),
            state: CheckState::Wanted,
        };
        let entry = Entry {
            source: OWN_SOURCE,
            detail_type: CHECK,
            resources: function.readable.arn_of(&subject.repository).iter().map(ToString::to_string).collect(),
            time: Timestamp::now(),
            detail: wanted.to_detail().to_string(),
        };
        Bus::new(&function.aws).put(entry).await?;
        Ok(Came::Done("asked".to_owned()))
    }

    async fn say(&self, subject: &Subject, text: &str) -> Result<Came, Failure> {
        let facts = &self.gathered.facts;
        let mut anew = 0;
        if let Some(posted) = &facts.memory.comment {
            let edited = match facts.comment {
                CommentSeen::Gone => Edited::Gone,
                CommentSeen::There | CommentSeen::NotRead => {
                    self.function.reviews.change_comment(&posted.id, text).await?
                }
            };
            match edited {
                Edited::Done => {
                    return self.posted(subject, Posted { sha256: digest(text), ..posted.clone() }, "changed").await;
                }
                Edited::Gone if posted.may_come_back() => anew = posted.anew.saturating_add(1),
                Edited::Gone => {
                    let gone = Posted { given_up: true, ..posted.clone() };
                    return self.posted(subject, gone, "left, as somebody deleted it for the second time").await;
                }
            }
        }
        let Some(on) = &self.gathered.pull_request else {
            return Err(Failure::refused(
                "commenting",
                "the pull request was not read; this is a fault of the program",
            ));
        };
        let (comment, did) = self.post(on, subject, text, anew).await?;
        self.posted(subject, Posted { id: comment.id, sha256: digest(text), anew, given_up: false }, did).await
    }

    /// Posts the comment, or finds the one that an invocation posted which did not live to remember it.
    async fn post(
        &self,
        on: &ReviewedPullRequest,
        subject: &Subject,
        text: &str,
        anew: u32,
    ) -> Result<(PostedComment, &'static str), Failure> {
        let reviews = &self.function.reviews;
        if let Some(comment) = reviews.comment(on, text, &comment_token(subject, anew)).await? {
            return Ok((comment, "posted"));
        }
        let own = &self.function.own;
        let is_ours = |comment: &PostedComment| {
            !comment.is_deleted && own.hold(comment.author.as_ref()) && comment.content.trim_end().ends_with(MARKER)
        };
        let Some(found) = reviews.find_comment(&subject.pull_request, is_ours).await? else {
            let what = "it was posted before, and is not there any more";
            return Err(Failure::refused(format!("commenting on pull request {}", subject.pull_request), what));
        };
        match reviews.change_comment(&found.id, text).await? {
            Edited::Done => Ok((found, "found and changed")),
            Edited::Gone => Err(Failure::retry("changing a comment", "somebody has just deleted it")),
        }
    }

    async fn posted(&self, subject: &Subject, posted: Posted, did: &str) -> Result<Came, Failure> {
        let change = |there: Option<&Memory>| Memory {
            comment: Some(posted.clone()),
            ..there.cloned().unwrap_or_else(|| self.memory.clone())
        };
        self.function.state.change(&Memory::key(subject), change).await?;
        Ok(Came::Done(did.to_owned()))
    }
}

fn came(subject: &Subject, written: Written) -> Result<Came, Failure> {
    let doing = || format!("changing pull request {}", subject.pull_request);
    match written {
        Written::Done => Ok(Came::Done("done".to_owned())),
        Written::Changed => Err(Failure::retry(doing(), "it is not as it was any more; it is looked at again")),
        Written::Full => {
            Err(Failure::refused(doing(), "CodeCommit's limit is reached: 30 rules and 200 approvals a pull request"))
        }
    }
}

impl Apply<Action> for Carrier<'_> {
    fn step(&self, action: &Action) -> Step {
        // Each looks at what is there: a second try finds it done.
        Step { key: None, told: render_action(action), order: Order::Free, twice: Twice::Harmless }
    }

    async fn apply(&self, action: &Action, _attempts: u32, _invocation: Invocation) -> Result<Came, Failure> {
        let reviews = &self.function.reviews;
        self.begin(action.subject()).await?;
        match action {
            Action::GiveRule { subject, name, content } => {
                came(subject, reviews.give_rule(&subject.pull_request, name, content).await?)
            }
            Action::MendRule { subject, name, content, sha256 } => {
                let written = reviews.change_rule(&subject.pull_request, name, content, sha256.as_deref()).await?;
                came(subject, written)
            }
            Action::DropRule { subject, name } => came(subject, reviews.drop_rule(&subject.pull_request, name).await?),
            Action::EndOverride { subject, revision } => {
                came(subject, reviews.end_override(&subject.pull_request, revision).await?)
            }
            Action::Approve { subject, revision } => self.vote(subject, revision, Vote::Approve).await,
            Action::Revoke { subject, revision } => self.vote(subject, revision, Vote::Revoke).await,
            Action::Ask { subject } => self.ask(subject).await,
            Action::Say { subject, text } => self.say(subject, text).await,
        }
    }
}
