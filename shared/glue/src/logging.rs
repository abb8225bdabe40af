//! Logs: one JSON object a line, as CloudWatch Logs Insights reads them.

use tracing_subscriber::EnvFilter;

/// Starts logging to standard output. `level` is a filter such as `info` or `signalbox_trigger=debug`; `info` without one.
///
/// A second call changes nothing: tests start many functions in one process.
pub fn start_logging(level: Option<&str>) {
    let filter = level.and_then(|level| level.parse::<EnvFilter>().ok()).unwrap_or_else(|| EnvFilter::new("info"));
    let started = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_env_filter(filter)
        .try_init();
    if started.is_err() {
        tracing::debug!("logging was started before");
    }
}
