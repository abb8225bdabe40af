//! What people read about the builds of pull requests.

use signalbox_glue::Handle;
use signalbox_notifier::Notifier;

use super::world::{World, policy};

const SPEC: &str = "version: 0.2\nphases:\n  build:\n    commands: [sh test.sh]\n";

#[tokio::test(flavor = "multi_thread")]
async fn mail_about_a_pull_request_says_whose_it_is_and_has_a_history_of_its_own() {
    let both = policy("{ pull_request: { into: [main] }, push: { branches: [\"**\"] } }", "");
    let mut world = World::new(&both, Some(SPEC)).await;
    let notifier = Notifier::new(&world.ground.setup("notifier").unwrap());
    world.topic("feature", &[("test.sh", Some("exit 1\n"))]);
    // The same commit is built for the push, too: what became of that is another history.
    let push = loop {
        let push = world.ground.push_event().await.unwrap();
        if push["detail"]["referenceName"] == "feature" {
            break push;
        }
    };
    world.report(&push).await;
    let mut ends = vec![world.ground.build_end().await.unwrap()];
    let (number, opened) = world.open("feature", "main").await;
    world.report(&opened).await;
    ends.push(world.ground.build_end().await.unwrap());
    let asked = world.comment(&number, "/retest").await;
    world.report(&asked).await;
    ends.push(world.ground.build_end().await.unwrap());
    world.push("feature", "Make it pass", &[("test.sh", Some("true\n"))]);
    let updated = world.event().await;
    world.report(&updated).await;
    ends.push(world.ground.build_end().await.unwrap());
    for end in &ends {
        notifier.handle(end.to_string().as_bytes(), world.ground.invocation()).await.unwrap();
    }
    let inbox = world.ground.cloud().sns.inbox();
    let subjects: Vec<&str> = inbox.iter().map(|mail| mail.subject.as_str()).collect();
    let place = format!("pull request {number} of demo");
    assert_eq!(
        subjects,
        [
            "unit broke on feature of demo".to_owned(),
            format!("unit broke on {place}"),
            format!("unit is still broken on {place} (2nd failure)"),
            format!("unit is fixed on {place}"),
        ]
    );
    let request = format!("Request    {number}, feature into main, by developer: Bring feature; $(touch /tmp/owned)");
    let one_line = |body: &str| body.split_whitespace().collect::<Vec<_>>().join(" ");
    for (mail, wanted) in [
        (&inbox[1], format!("developer, please mend what pull request {number} brings: `sh test.sh` failed")),
        (&inbox[2], "Asked for by developer, in a comment".to_owned()),
        (&inbox[3], "Nothing is left to do: the push of developer fixed it.".to_owned()),
    ] {
        let body = one_line(&mail.body);
        assert!(body.contains(&wanted) && body.contains(&one_line(&request)), "{}", mail.body);
        assert_eq!(mail.attributes["ref"].text(), "refs/heads/feature");
    }
}
