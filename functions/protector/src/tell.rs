//! Has the notifier tell people: over the bus, as an event of Signalbox's own.

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use signalbox_aws::{Bus, Entry, Failure};
use signalbox_events::{EventId, OWN_SOURCE, PROTECTION, ProtectionStateChange, RepositoryName, StackName};
use signalbox_glue::Came;
use signalbox_protector_rules::{Needs, News, TellBook, Telling, Told};

use crate::Protector;

const DOING: &str = "telling the notifier";

impl Protector {
    /// Tells what an event came to, unless so much was told of the same person within the hour that it is left out.
    ///
    /// Whoever is cut off in between says the same again under the same id, which the notifier tells once.
    pub(crate) async fn tell(&self, news: &News, entry: &EventId) -> Result<Came, Failure> {
        let stack = self.stack()?;
        let now = Timestamp::now();
        let enter = |there: Option<&TellBook>| there.cloned().unwrap_or_default().with(entry, news.by.as_ref(), now);
        let book = self.state.change(&TellBook::key(&news.repository), enter).await?;
        let untold = match book.turn_of(entry) {
            Some(Telling::Now { untold }) => untold,
            Some(Telling::Left { nth }) => {
                let who = news.by.as_ref().map_or("somebody", |by| by.person());
                return Ok(Came::Left(format!("not mailed: it is number {nth} of {who} within an hour")));
            }
            None => return Ok(Came::Left("not mailed: too much was told within an hour".to_owned())),
        };
        let notice = notice(&[stack.as_str(), entry.as_str(), news.state.as_aws(), news.about.as_aws()]);
        self.put(&news.change(Told { notice, stack, entry, seen: now, untold })).await?;
        Ok(Came::Done("told".to_owned()))
    }

    /// Tells that an event was refused before it could be judged; gives what its queue is to hear.
    ///
    /// A permission that is missing is a person's to mend, and whoever reads only mail must hear of it.
    pub(crate) async fn refused(&self, needs: &Needs, entry: &EventId, failure: Failure) -> Failure {
        let Some(subject) = &needs.subject else { return failure };
        let made = needs.made.as_ref().map(|made| (&subject.reference, made));
        let news = News::failed(&subject.repository, made, failure.chain());
        match self.tell(&news, entry).await {
            Ok(_) => failure,
            Err(later @ Failure::Retry(_)) => later,
            Err(refused) => {
                tracing::warn!(why = refused.chain(), "nobody could be told");
                failure
            }
        }
    }

    /// Tells that a sweep could not look at a repository: once a day as long as the reason is the same.
    pub(crate) async fn tell_of_sweep(&self, repository: &RepositoryName, sweep: &EventId, why: &str, now: Timestamp) {
        let told = async {
            let stack = self.stack()?;
            let day = now.strftime("%Y-%m-%d").to_string();
            let notice = notice(&[stack.as_str(), repository.as_str(), &day, why]);
            let news = News::failed(repository, None, why.to_owned());
            self.put(&news.change(Told { notice, stack, entry: sweep, seen: now, untold: 0 })).await
        };
        if let Err(failure) = told.await {
            tracing::warn!(repo.name = repository.as_str(), why = failure.chain(), "nobody could be told");
        }
    }

    fn stack(&self) -> Result<&StackName, Failure> {
        let missing = || Failure::refused(DOING, "SIGNALBOX_STACK is not set; template.yaml sets it");
        self.stack.as_ref().ok_or_else(missing)
    }

    async fn put(&self, change: &ProtectionStateChange) -> Result<(), Failure> {
        let entry = Entry {
            source: OWN_SOURCE,
            detail_type: PROTECTION,
            resources: self.readable.arn_of(&change.repository).iter().map(ToString::to_string).collect(),
            time: change.seen,
            detail: change.to_detail().to_string(),
        };
        // Made here and not at the start: seldom is anything told.
        Bus::new(&self.aws).put(entry).await.map(drop)
    }
}

/// The id of what is told, from all that tells it from other things.
fn notice(parts: &[&str]) -> EventId {
    EventId::of_notice(
        Sha256::digest(parts.join("\n")).iter().take(16).fold(0, |digest, byte| digest << 8 | u128::from(*byte)),
    )
}
