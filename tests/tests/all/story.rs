//! The demo's story, played by the real programs; and what happens when one of them is not there.

use std::io::Write;
use std::sync::{Arc, Mutex};

use signalbox_local::command::Paint;
use signalbox_local::story::{Cast, Voice, play};
use signalbox_tests::{Ground, programs};

/// What was told, for a test to read.
#[derive(Clone, Default)]
struct Transcript(Arc<Mutex<Vec<u8>>>);

impl Transcript {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Transcript {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub(super) async fn played(ground: &Ground) -> (anyhow::Result<()>, String) {
    let signalbox = programs().await.unwrap().remove("signalbox").unwrap();
    let transcript = Transcript::default();
    let mut voice = Voice::new(Box::new(transcript.clone()), Paint::Plain);
    let desk = ground.desk();
    let result = play(&Cast { stage: &ground.stage, signalbox: &signalbox, desk: &desk }, &mut voice).await;
    (result, transcript.text())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_plays_to_its_end() {
    let ground = Ground::with_functions().await.unwrap();
    let (result, text) = played(&ground).await;
    if let Err(error) = result {
        panic!("{error:#}\n{text}");
    }
    // Commits carry the moment they were made, ports and times are the machine's; everything else stands as it was told.
    insta::with_settings!({ filters => vec![
        (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
        (r"\b[0-9a-f]{40}\b", "COMMIT-ID"),
        (r"\b[0-9a-f]{7}\b", "COMMIT"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?", "DATE TIME"),
        (r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d(\.\d+)?", "DATE TIME"),
        (r"\b[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}\b", "UUID"),
        (r"\b\d+(\.\d+)? (s|seconds?|ms)\b", "SOME TIME"),
        (r"/[^ ]*/codebuild/[^ ]*/src", "SRC"),
    ] }, { insta::assert_snapshot!(text) });
    ground.stage.clear().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_trigger_the_story_fails_and_says_what_it_waited_for() {
    let ground = Ground::with_functions().await.unwrap();
    ground.stage.functions.stop_function(&ground.stage.function("trigger")).unwrap();
    let (result, text) = played(&ground).await;
    let error = format!("{:#}", result.unwrap_err());
    assert!(error.contains("the function trigger has not reported"), "{error}\n{text}");
    assert!(error.contains("never invoked"), "{error}");
    ground.stage.clear().await.unwrap();
}
