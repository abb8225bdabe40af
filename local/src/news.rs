//! What happens in all regions, in one stream: for whoever tells it to a person.

use std::sync::Arc;

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinSet;

use crate::cloud::{Cloud, Regions};
use crate::eventbridge::Published;
use crate::logs::LogLine;
use crate::sns::Mail;

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

/// Everything from now on, of every region; dropped, nobody listens any more.
#[derive(Debug)]
pub struct Listener {
    news: mpsc::UnboundedReceiver<(Arc<Cloud>, News)>,
    _listening: JoinSet<()>,
}

impl Listener {
    /// Begins to listen.
    pub fn new(regions: &Regions) -> Self {
        let (sender, news) = mpsc::unbounded_channel();
        let mut listening = JoinSet::new();
        for cloud in regions.iter() {
            listening.spawn(pass_on(cloud.eventbridge.subscribe(), News::Event, Arc::clone(cloud), sender.clone()));
            listening.spawn(pass_on(cloud.sns.subscribe_mail(), News::Mail, Arc::clone(cloud), sender.clone()));
            listening.spawn(pass_on(cloud.logs.subscribe(), News::Line, Arc::clone(cloud), sender.clone()));
        }
        Self { news, _listening: listening }
    }

    /// The next thing, and where it happened; none when there are no regions any more.
    pub async fn next(&mut self) -> Option<(Arc<Cloud>, News)> {
        self.news.recv().await
    }
}

async fn pass_on<T: Clone>(
    mut from: broadcast::Receiver<T>,
    news: fn(T) -> News,
    cloud: Arc<Cloud>,
    to: mpsc::UnboundedSender<(Arc<Cloud>, News)>,
) {
    loop {
        let one = match from.recv().await {
            Ok(one) => one,
            // Whoever lags misses some and goes on.
            Err(RecvError::Lagged(_)) => continue,
            Err(RecvError::Closed) => return,
        };
        if to.send((Arc::clone(&cloud), news(one))).is_err() {
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
        let mut listener = Listener::new(&running.regions);
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
}
