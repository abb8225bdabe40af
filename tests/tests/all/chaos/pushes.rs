//! Many real pushes, cheaply: all commits are made at once beforehand, then each push moves many branches.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Stdio;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use signalbox_local::auth::git_credentials;
use signalbox_tests::Ground;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::truth::Pushed;

/// A repository beside the cloud, with every commit that will be pushed below `refs/steps/ROUND/BRANCH`.
pub(super) struct Pushes {
    dir: PathBuf,
    count: usize,
}

impl Pushes {
    /// Makes `rounds` commits on each of `branches` branches, and in each round `sad` branches with a commit of their own; on
    /// `unheard` of the branches one commit more, the round behind the last.
    pub(super) async fn prepare(
        ground: &Ground,
        (branches, unheard): (usize, usize),
        (rounds, sad): (usize, usize),
    ) -> Self {
        let dir = ground.desk().join("pushes");
        std::fs::create_dir_all(&dir).unwrap();
        let pushes = Self { dir, count: rounds * (branches + sad) + unheard };
        pushes.git(ground, &["init", "--quiet", "--bare", "."], None).await.unwrap();
        let mut stream = String::new();
        let mut mark = 0;
        let mut commit = |stream: &mut String, round: usize, branch: &str, parent: Option<usize>| {
            mark += 1;
            let message = format!("{branch} in round {round}");
            write!(
                stream,
                "commit refs/steps/{round}/{branch}\nmark :{mark}\ncommitter The developer <developer@example.com> {} +0000\ndata {}\n{message}\n",
                1_700_000_000 + mark,
                message.len()
            )
            .unwrap();
            if let Some(parent) = parent {
                writeln!(stream, "from :{parent}").unwrap();
            }
            write!(stream, "M 644 inline file\ndata {}\n{message}\n\n", message.len()).unwrap();
            mark
        };
        let mut last = vec![None; branches];
        for round in 0..rounds {
            for (number, parent) in last.iter_mut().enumerate() {
                *parent = Some(commit(&mut stream, round, &format!("work-{number:04}"), *parent));
            }
            for number in 0..sad {
                commit(&mut stream, round, &format!("sad-{round:04}-{number:04}"), None);
            }
        }
        for (number, parent) in last.iter().enumerate().take(unheard) {
            commit(&mut stream, rounds, &format!("work-{number:04}"), *parent);
        }
        for branch in ["work-denied", "work-hopeless"] {
            commit(&mut stream, rounds + 1, branch, None);
        }
        pushes.git(ground, &["fast-import", "--quiet"], Some(stream)).await.unwrap();
        pushes.git(ground, &["pack-refs", "--all"], None).await.unwrap();
        pushes
    }

    /// How many branches are moved in all rounds together, the one behind the last counted.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Pushes a round; a person whose push fails pushes again.
    pub(super) async fn push(&self, ground: &Ground, round: usize) {
        self.push_refs(ground, &format!("refs/steps/{round}/*:refs/heads/*")).await;
    }

    /// Pushes one of the branches that are in no round.
    pub(super) async fn push_one(&self, ground: &Ground, branch: &str) -> Pushed {
        let mut events = ground.cloud().eventbridge.subscribe();
        let found = self
            .git(ground, &["for-each-ref", "--format=%(refname)", &format!("refs/steps/*/{branch}")], None)
            .await
            .unwrap();
        self.push_refs(ground, &format!("{}:refs/heads/{branch}", found.trim())).await;
        loop {
            if let Some(pushed) = Pushed::of(&events.recv().await.unwrap())
                && pushed.branch == branch
            {
                return pushed;
            }
        }
    }

    async fn push_refs(&self, ground: &Ground, refs: &str) {
        let url = format!("{}/v1/repos/demo", ground.cloud().world.endpoint());
        for _ in 0..30 {
            match self.git(ground, &["push", "--quiet", "--force", &url, refs], None).await {
                Ok(_) => return,
                Err(said) => assert!(!said.contains("rejected"), "{said}"),
            }
        }
        panic!("thirty pushes of {refs} failed");
    }

    async fn git(&self, ground: &Ground, arguments: &[&str], input: Option<String>) -> Result<String, String> {
        let keys = &ground.stage.developer;
        let world = &ground.cloud().world;
        let host = world.endpoint().trim_start_matches("http://").to_owned();
        let keys = (keys.access_key_id.as_str(), keys.secret_access_key.as_str(), None);
        let (user, password) = git_credentials(keys, &host, "/v1/repos/demo", &world.region, world.now());
        let header = format!("Authorization: Basic {}", STANDARD.encode(format!("{user}:{password}")));
        let mut command = Command::new("git");
        command.args(arguments).current_dir(&self.dir).env_clear().kill_on_drop(true);
        command.env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", &self.dir).env("LC_ALL", "C");
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_TERMINAL_PROMPT", "0");
        command
            .env("GIT_CONFIG_COUNT", "1")
            .env("GIT_CONFIG_KEY_0", "http.extraHeader")
            .env("GIT_CONFIG_VALUE_0", header);
        command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        if let (Some(text), Some(mut stdin)) = (input, child.stdin.take()) {
            stdin.write_all(text.as_bytes()).await.unwrap();
        }
        let output = child.wait_with_output().await.unwrap();
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }
}
