//! How an environment's process ends, and what is told of each invocation.

use std::time::Duration;

use serde_json::json;

use super::super::invocation::InvocationError;
use super::{Finished, Life, Phase, Work};

/// How long an answer is waited for that a process may have sent with its last breath.
const LAST_BREATH: Duration = Duration::from_millis(50);

impl Life {
    pub(super) async fn on_end(mut self, status: &str) {
        // An answer may have been sent with the last breath.
        while matches!(self.phase, Phase::Working(_)) {
            match tokio::time::timeout(LAST_BREATH, self.calls.recv()).await {
                Ok(Some(call)) => self.on_call(call).await,
                Ok(None) | Err(_) => break,
            }
        }
        self.process.drain().await;
        match std::mem::replace(&mut self.phase, Phase::Starting) {
            Phase::Working(Work { id, started, deadline, outcome, .. }) => {
                let error = InvocationError::Exited { status: status.to_owned() };
                let text = format!("RequestId: {id} Error: {error}\nRuntime.ExitError");
                self.log
                    .platform_line(text, "platform.fault", json!({ "requestId": id, "error": error.to_string() }))
                    .await;
                self.report(&Finished { id, started, deadline, status: "error" }).await;
                self.warn(status);
                let _nobody_waits = outcome.send(Err(error));
            }
            Phase::Finishing(finished) => {
                self.report(&finished).await;
                self.warn(status);
            }
            Phase::Starting | Phase::Waiting(_) => self.warn(status),
        }
    }

    pub(super) async fn on_time_out(mut self) {
        self.process.kill().await;
        self.process.drain().await;
        let after = self.spec.function.timeout;
        let error = InvocationError::TimedOut { after };
        let (finished, outcome) = match std::mem::replace(&mut self.phase, Phase::Starting) {
            Phase::Working(Work { id, started, deadline, outcome, .. }) => {
                (Finished { id, started, deadline, status: "timeout" }, Some(outcome))
            }
            Phase::Finishing(finished) => (Finished { status: "timeout", ..finished }, None),
            Phase::Starting | Phase::Waiting(_) => return,
        };
        let text = format!("{} {} {error}", self.spec.world.now(), finished.id);
        self.log
            .platform_line(text, "platform.fault", json!({ "requestId": finished.id, "error": error.to_string() }))
            .await;
        self.report(&finished).await;
        tracing::warn!(function = self.spec.function.name, "{error}; its process was killed");
        if let Some(outcome) = outcome {
            let _nobody_waits = outcome.send(Err(error));
        }
    }

    fn warn(&self, status: &str) {
        tracing::warn!(
            function = self.spec.function.name,
            binary = %self.spec.binary.display(),
            status,
            "a function's process ended: {}",
            self.process.last_lines().join(" | ")
        );
    }

    pub(super) async fn report(&mut self, finished: &Finished) {
        let Finished { id, started, status, .. } = finished;
        let took = started.elapsed();
        let memory = self.spec.function.memory;
        let used = self.process.peak_memory();
        let init = self.init.take();
        let billed = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
        let mut text = format!(
            "END RequestId: {id}\nREPORT RequestId: {id}\tDuration: {} ms\tBilled Duration: {billed} ms\tMemory Size: {memory} MB",
            millis(took)
        );
        let mut metrics = serde_json::Map::new();
        metrics.insert("durationMs".to_owned(), json!(took.as_secs_f64() * 1000.0));
        metrics.insert("billedDurationMs".to_owned(), json!(billed));
        metrics.insert("memorySizeMB".to_owned(), json!(memory));
        if let Some(used) = used {
            text.push_str(&format!("\tMax Memory Used: {used} MB"));
            metrics.insert("maxMemoryUsedMB".to_owned(), json!(used));
        }
        if let Some(init) = init {
            text.push_str(&format!("\tInit Duration: {} ms", millis(init)));
            metrics.insert("initDurationMs".to_owned(), json!(init.as_secs_f64() * 1000.0));
        }
        if *status != "success" {
            text.push_str(&format!("\tStatus: {status}"));
        }
        let record = json!({ "requestId": id, "metrics": metrics, "status": status });
        self.log.platform_line(text, "platform.report", record).await;
    }
}

pub(super) fn millis(duration: Duration) -> String {
    format!("{:.2}", duration.as_secs_f64() * 1000.0)
}
