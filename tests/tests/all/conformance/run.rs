//! A script at work: calls are made, spoilt, refused and held against the model; what is wrong is told at its end.

use std::collections::BTreeSet;

use serde_json::Value;
use signalbox_tests::{Ground, from_outside};

use super::answer;
use super::model::{Model, Protocol};
use super::spoil::spoil;
use super::wire::{self, Received, chooses};

/// What a script knows of its service that the model does not say.
pub(super) struct Known {
    /// Codes that any operation may answer, though the model lists them for none; each with its HTTP status.
    pub(super) common: &'static [(&'static str, u16)],
    /// Members that AWS always sends, though the model does not require them: (operation, JSON pointer).
    pub(super) always: &'static [(&'static str, &'static str)],
    /// What the model calls bad and the service takes: (operation, member's path, what is wrong with it).
    pub(super) taken: &'static [(&'static str, &'static str, &'static str)],
}

/// One service under test.
pub(super) struct Run {
    pub(super) ground: Ground,
    pub(super) model: Model,
    known: Known,
    problems: BTreeSet<String>,
    went_well: BTreeSet<String>,
    calls: usize,
}

impl Run {
    /// None, told on standard error, where there are no models.
    pub(super) async fn of(service: &str, known: Known) -> Option<Self> {
        let folder = from_outside("SIGNALBOX_SERVICE_MODELS", "the folder botocore/data")?;
        Some(Self {
            ground: Ground::beside_another_account().await.unwrap(),
            model: Model::load(&folder, service),
            known,
            problems: BTreeSet::new(),
            went_well: BTreeSet::new(),
            calls: 0,
        })
    }

    async fn send(&mut self, operation: &str, input: &Value) -> Received {
        self.calls += 1;
        let request = wire::request(&self.model, operation, input);
        wire::send(&self.ground, &self.model.service, &request).await
    }

    fn tell(&mut self, operation: &str, problem: impl std::fmt::Display) {
        self.problems.insert(format!("{}:{operation} {problem}", self.model.service));
    }

    /// A call that must go well; before it, every way to spoil its input, each of which must be refused.
    pub(super) async fn good(&mut self, operation: &str, input: Value) -> Value {
        for spoilt in spoil(&self.model, operation, &input) {
            let top = spoilt.path.split(['.', '[']).next().unwrap_or_default();
            let is_taken = |(of, path, what): &&(&str, &str, &str)| {
                (*of == operation || *of == "*") && *path == spoilt.path && *what == spoilt.what
            };
            if self.known.taken.iter().any(|taken| is_taken(&taken)) || chooses(&self.model, operation, top) {
                continue;
            }
            let received = self.send(operation, &spoilt.input).await;
            let what = format!("{} {}", spoilt.path, spoilt.what);
            if (200..300).contains(&received.status) {
                self.tell(operation, format!("{what}: expected a refusal, got {}", short(&received.text())));
            } else {
                let code = self.hold_refusal(operation, &what, &received);
                if spoilt.what == "of a wrong type" && code.as_deref() != Some("SerializationException") {
                    let got = code.unwrap_or_default();
                    self.tell(operation, format!("{what}: expected SerializationException, got {got}"));
                }
            }
        }
        let value = self.plain(operation, input).await;
        let mut missing = Vec::new();
        if !value.is_null() {
            for (_, pointer) in self.known.always.iter().filter(|(of, _)| *of == operation) {
                if value.pointer(pointer).is_none() {
                    missing.push(*pointer);
                }
            }
        }
        for pointer in missing {
            self.tell(operation, format!("{pointer}: expected a member that AWS always sends, got none"));
        }
        value
    }

    /// A call that must go well, and no more: where spoiling its input would say the same once again.
    pub(super) async fn plain(&mut self, operation: &str, input: Value) -> Value {
        let received = self.send(operation, &input).await;
        if !(200..300).contains(&received.status) {
            let (status, text) = (received.status, received.text());
            self.tell(operation, format!("expected success, got {status} {} with {input}", short(&text)));
            return Value::Null;
        }
        self.went_well.insert(operation.to_owned());
        let (value, problems) = answer::output(&self.model, operation, &received);
        for problem in problems {
            self.tell(operation, problem);
        }
        value
    }

    /// An operation that is offered, but that nothing here can let go well.
    pub(super) fn only_refuses(&mut self, operation: &str) {
        self.went_well.insert(operation.to_owned());
    }

    /// A call that must be refused with this code.
    pub(super) async fn refused(&mut self, operation: &str, input: Value, code: &str) {
        let received = self.send(operation, &input).await;
        let what = format!("refused as {code} with {}", short(&input.to_string()));
        if (200..300).contains(&received.status) {
            self.tell(operation, format!("{what}: expected {code}, got success"));
        } else if let Some(got) = self.hold_refusal(operation, &what, &received)
            && got != code
        {
            self.tell(operation, format!("{what}: expected {code}, got {got} {}", short(&received.text())));
        }
    }

    /// Gives the code; none after HEAD.
    fn hold_refusal(&mut self, operation: &str, what: &str, received: &Received) -> Option<String> {
        let is_head = self.model.operation(operation)["http"]["method"] == "HEAD";
        let (code, problems) = answer::refusal(&self.model, is_head, received);
        for problem in problems {
            self.tell(operation, format!("{what}: {problem}"));
        }
        if received.status >= 500 && received.status != 501 {
            self.tell(operation, format!("{what}: expected a client's error, got {} {code}", received.status));
        }
        if is_head {
            return None;
        }
        let mut statuses: Vec<u64> = self
            .model
            .errors(operation)
            .into_iter()
            .filter(|(known, _)| *known == code)
            .map(|(_, status)| status)
            .collect();
        let common = self.known.common.iter().filter(|(known, _)| *known == code);
        statuses.extend(common.map(|(_, status)| u64::from(*status)));
        let text = short(&received.text());
        if statuses.is_empty() {
            self.tell(operation, format!("{what}: expected an error of the model, got {code}: {text}"));
        } else if !statuses.contains(&received.status.into()) {
            self.tell(operation, format!("{what}: {code} has HTTP status {statuses:?}, got {}", received.status));
        }
        Some(code)
    }

    /// What no script needs to say: every operation that is offered went well, every other one is refused as unknown.
    pub(super) async fn end(mut self) {
        let offered: BTreeSet<&str> = signalbox_local::operations()
            .filter(|(service, _)| *service == self.model.service)
            .map(|(_, operation)| operation)
            .collect();
        let all: Vec<String> = self.model.operations().map(str::to_owned).collect();
        for operation in &offered {
            if !all.iter().any(|known| known == operation) {
                self.tell(operation, "is no operation of the model");
            } else if !self.went_well.contains(*operation) {
                self.tell(operation, "is offered, but no call of the script went well");
            }
        }
        if self.model.protocol() != Protocol::RestXml {
            for operation in all.iter().filter(|operation| !offered.contains(operation.as_str())) {
                let received = self.send(operation, &Value::Object(serde_json::Map::new())).await;
                let (code, problems) = answer::refusal(&self.model, false, &received);
                if (received.status, code.as_str()) != (501, "UnknownOperationException") || !problems.is_empty() {
                    let got = format!("{} {code} {problems:?}", received.status);
                    self.tell(operation, format!("is not offered: expected 501 UnknownOperationException, got {got}"));
                }
            }
        }
        println!("{}: {} operations held against the model in {} calls", self.model.service, offered.len(), self.calls);
        let told: Vec<&str> = self.problems.iter().map(String::as_str).collect();
        assert!(told.is_empty(), "{} differences to the model:\n{}", told.len(), told.join("\n"));
    }
}

fn short(text: &str) -> String {
    let flat: String = text.chars().take(260).collect();
    flat.replace('\n', " ")
}
