//! A person's desk: the real program with a home of its own, and whatever may stand between it and the local cloud.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use signalbox_tests::{Ground, programs};
use tempfile::TempDir;

pub(crate) const POLICY: &str = "mode: enforce\nrepositories:\n  demo:\n    triggers:\n      unit:\n        on: { push: { branches: [main] } }\n        start: { build: unit }\n";
pub(crate) const QUICK: &str = "version: 0.2\nphases:\n  build:\n    commands: [\"true\"]\n";
pub(crate) const KEY: &str = "policy/signalbox.yaml";

/// How a run ended, and what it said.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) error: String,
}

/// A desk with a home of its own: nothing of the real account is seen.
pub(crate) struct Desk {
    pub(crate) home: TempDir,
    pub(crate) environment: BTreeMap<String, String>,
}

impl Desk {
    pub(crate) fn bare() -> Self {
        let home = tempfile::tempdir().unwrap();
        let environment = BTreeMap::from([
            ("HOME".to_owned(), home.path().display().to_string()),
            ("PATH".to_owned(), std::env::var("PATH").unwrap()),
            ("AWS_EC2_METADATA_DISABLED".to_owned(), "true".to_owned()),
        ]);
        Self { home, environment }
    }

    pub(crate) fn at(ground: &Ground) -> Self {
        let mut desk = Self::bare();
        desk.environment.extend(ground.stage.environment().into_iter().map(|(name, value)| (name.to_owned(), value)));
        desk
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let file = self.home.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
        file.display().to_string()
    }

    pub(crate) async fn command(&self, arguments: &[&str]) -> tokio::process::Command {
        let program = programs().await.unwrap().remove("signalbox").unwrap();
        let mut command = tokio::process::Command::new(program);
        command.args(arguments).env_clear().envs(&self.environment).current_dir(self.home.path());
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> Ran {
        let output = self.command(arguments).await.output().await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ran { code: output.status.code(), out: text(output.stdout), error: text(output.stderr) }
    }
}

pub(crate) fn policy_in_force(ground: &Ground) -> Option<String> {
    let object = ground.cloud().s3.get(ground.stage.bucket().unwrap(), KEY).unwrap();
    object.map(|object| String::from_utf8(object.bytes.to_vec()).unwrap())
}

/// Answers on a terminal of its own: `between` runs when the question is there.
pub(crate) async fn answer(
    desk: &Desk,
    arguments: &[&str],
    question: &str,
    typed: &str,
    between: impl FnOnce(),
) -> Ran {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let main = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&main).unwrap();
    unlockpt(&main).unwrap();
    let name = ptsname(&main, Vec::new()).unwrap().into_string().unwrap();
    let mut open = std::fs::OpenOptions::new();
    let terminal =
        open.read(true).write(true).custom_flags(rustix::fs::OFlags::NOCTTY.bits() as i32).open(name).unwrap();
    let mut command = desk.command(arguments).await;
    command.stdin(Stdio::from(terminal)).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(command);
    let mut asked = child.stderr.take().unwrap();
    let mut error = String::new();
    let mut byte = [0_u8; 1];
    while !error.contains(question) {
        let read = tokio::io::AsyncReadExt::read(&mut asked, &mut byte).await.unwrap();
        assert!(read > 0, "it ended without asking: {error}");
        error.push(char::from(byte[0]));
    }
    between();
    std::fs::File::from(main.try_clone().unwrap()).write_all(format!("{typed}\n").as_bytes()).unwrap();
    let mut out = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut child.stdout.take().unwrap(), &mut out).await.unwrap();
    let code = child.wait().await.unwrap().code();
    Ran { code, out, error }
}

pub(crate) fn dead_letters(ground: &Ground, function: &str) -> String {
    let block = format!("{}{}", function[..1].to_uppercase(), &function[1..]);
    ground.stage.stack.resources[&format!("{block}DeadLetters")].reference.clone()
}

/// Something that answers every call with one refusal.
pub(crate) fn refusing(status: u16, body: &'static str) -> String {
    answering(move |_| Some((status, body.to_owned())), None)
}

/// Stands between a person and the local cloud: what `spoil` answers to the text of a call never gets there.
pub(crate) fn between(ground: &Ground, spoil: impl FnMut(&str) -> Option<(u16, String)> + Send + 'static) -> String {
    let cloud = ground.cloud().world.endpoint().trim_start_matches("http://").to_owned();
    answering(spoil, Some(cloud))
}

fn answering(spoil: impl FnMut(&str) -> Option<(u16, String)> + Send + 'static, cloud: Option<String>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let spoil = Arc::new(Mutex::new(spoil));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, spoil, cloud) = (stream.unwrap(), Arc::clone(&spoil), cloud.clone());
            std::thread::spawn(move || {
                let Some(call) = read_call(&mut stream) else { return };
                let answer = (spoil.lock().unwrap())(&String::from_utf8_lossy(&call));
                let answer = match (answer, cloud) {
                    (Some((status, body)), _) => {
                        let kind = if body.starts_with('<') { "text/xml" } else { "application/x-amz-json-1.0" };
                        let length = body.len();
                        format!("HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nx-amzn-requestid: r-7\r\nconnection: close\r\n\r\n{body}")
                            .into_bytes()
                    }
                    (None, Some(cloud)) => pass_on(&cloud, &call),
                    (None, None) => Vec::new(),
                };
                let _closed = stream.write_all(&answer);
            });
        }
    });
    format!("http://{address}")
}

/// A call with its body.
fn read_call(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let (mut call, mut buffer) = (Vec::new(), [0_u8; 8192]);
    loop {
        let read = stream.read(&mut buffer).ok().filter(|read| *read > 0)?;
        call.extend_from_slice(&buffer[..read]);
        let Some(end) = call.windows(4).position(|end| end == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&call[..end]).to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        if call.len() >= end + 4 + length.unwrap_or(0_usize) {
            return Some(call);
        }
    }
}

/// The cloud's answer; the connection is not kept, so that its end is the answer's.
fn pass_on(cloud: &str, call: &[u8]) -> Vec<u8> {
    let mut upstream = TcpStream::connect(cloud).unwrap();
    let line = call.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    upstream.write_all(&call[..line]).unwrap();
    upstream.write_all(b"connection: close\r\n").unwrap();
    upstream.write_all(&call[line..]).unwrap();
    let mut answer = Vec::new();
    let _cut = upstream.read_to_end(&mut answer);
    answer
}
