//! What happens in all accounts and regions, in one stream: for whoever tells it to a person.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinSet;

use crate::cloud::Cloud;
use crate::eventbridge::Published;
use crate::logs::LogLine;
use crate::sns::Mail;

/// So many things wait for whoever listens; behind them each source keeps its newest, and counts what it has to drop.
const BACKLOG: usize = 256;

/// One thing that happened.
#[derive(Debug, Clone)]
pub enum News {
    /// An event was on the bus.
    Event(Arc<Published>),
    /// A mail came.
    Mail(Arc<Mail>),
    /// A line was logged.
    Line(LogLine),
}

/// Everything from now on, of every account and region; dropped, nobody listens any more.
#[derive(Debug)]
pub struct Listener {
    news: mpsc::Receiver<(Arc<Cloud>, News)>,
    missed: Arc<AtomicU64>,
    _listening: JoinSet<()>,
}

impl Listener {
    /// Begins to listen to these.
    pub fn new<'a>(clouds: impl IntoIterator<Item = &'a Arc<Cloud>>) -> Self {
        let (sender, news) = mpsc::channel(BACKLOG);
        let missed = Arc::new(AtomicU64::new(0));
        let to =
            |cloud: &Arc<Cloud>| To { cloud: Arc::clone(cloud), news: sender.clone(), missed: Arc::clone(&missed) };
        let mut listening = JoinSet::new();
        for cloud in clouds {
            listening.spawn(pass_on(cloud.eventbridge.subscribe(), News::Event, to(cloud)));
            listening.spawn(pass_on(cloud.sns.subscribe_mail(), News::Mail, to(cloud)));
            listening.spawn(pass_on(cloud.logs.subscribe(), News::Line, to(cloud)));
        }
        drop(sender);
        Self { news, missed, _listening: listening }
    }

    /// The next thing, and where it happened; none when there are no regions any more.
    pub async fn next(&mut self) -> Option<(Arc<Cloud>, News)> {
        self.news.recv().await
    }

    /// How many things were dropped since this was asked last, because nobody took them in time.
    pub fn missed(&self) -> u64 {
        self.missed.swap(0, Ordering::Relaxed)
    }
}

/// Where news of one region goes.
#[derive(Debug)]
struct To {
    cloud: Arc<Cloud>,
    news: mpsc::Sender<(Arc<Cloud>, News)>,
    missed: Arc<AtomicU64>,
}

async fn pass_on<T: Clone>(mut from: broadcast::Receiver<T>, news: fn(T) -> News, to: To) {
    loop {
        let one = match from.recv().await {
            Ok(one) => one,
            // Whoever lags misses the oldest and goes on.
            Err(RecvError::Lagged(some)) => {
                to.missed.fetch_add(some, Ordering::Relaxed);
                continue;
            }
            Err(RecvError::Closed) => return,
        };
        if to.news.send((Arc::clone(&to.cloud), news(one))).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::cloud::Settings;

    #[tokio::test]
    async fn every_region_is_heard_and_named() {
        let dir = tempfile::tempdir().unwrap();
        let regions = ["eu-west-1", "us-east-1"].map(str::to_owned).to_vec();
        let running = Cloud::start(Settings { regions, ..Settings::new(dir.path()) }).await.unwrap();
        let mut listener = Listener::new(running.accounts.clouds());
        for cloud in running.regions.iter() {
            let topic = cloud.sns.create_topic("notices").unwrap();
            cloud.sns.subscribe(&topic, "email", "a@example.com", BTreeMap::new()).unwrap();
            cloud.eventbridge.publish("aws.codecommit", "a push", Vec::new(), cloud.world.now(), json!({}));
            let message = crate::http::Parameters::of([("TopicArn", &topic), ("Message", "hello")]);
            let caller = crate::auth::Caller { arn: String::new(), access_key_id: String::new() };
            cloud.sns.call("Publish", &message, &caller).await.unwrap();
        }
        let mut heard = Vec::new();
        while heard.len() < 4 {
            let (cloud, news) = listener.next().await.unwrap();
            match news {
                News::Event(event) => heard.push((cloud.world.region.clone(), event.event["region"].to_string())),
                News::Mail(mail) => heard.push((cloud.world.region.clone(), mail.body.clone())),
                News::Line(_) => {}
            }
        }
        heard.sort();
        let expected = ["eu-west-1", "us-east-1"]
            .into_iter()
            .flat_map(|region| [(region.to_owned(), format!("\"{region}\"")), (region.to_owned(), "hello".to_owned())]);
        assert_eq!(heard, expected.collect::<Vec<_>>());
        running.stop().await.unwrap();
    }

    #[tokio::test]
    async fn who_takes_nothing_keeps_a_bounded_number_waiting_and_learns_what_was_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let running = Cloud::start(Settings::new(dir.path())).await.unwrap();
        let cloud = running.regions.iter().next().unwrap();
        let mut listener = Listener::new(running.accounts.clouds());
        let all = 20_000;
        for n in 0..all {
            cloud.logs.append("group", "stream", cloud.world.now(), &n.to_string());
            // Whoever would pass on more than a bounded number has all the time for it.
            tokio::task::yield_now().await;
        }
        let (mut heard, mut missed) = (0, 0);
        while heard + missed < all {
            let (_, news) = listener.next().await.unwrap();
            assert!(matches!(news, News::Line(_)));
            heard += 1;
            missed += listener.missed();
        }
        assert!(missed > all / 2, "{missed} of {all} were dropped");
        running.stop().await.unwrap();
    }
}
