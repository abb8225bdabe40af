//! Counts in CloudWatch's embedded metric format: a line of the log that CloudWatch turns into metrics.

use std::io::Write;

use jiff::Timestamp;
use serde_json::json;

/// The namespace of all metrics of a stack.
const NAMESPACE: &str = "Signalbox";

/// Counts how one event of `function` ended: `Handled`, `Refused` or `Retried`.
pub(crate) fn count(function: &str, metric: &str) {
    // The log is the only way out: if it is closed there is nobody left to tell.
    let _closed = writeln!(std::io::stdout(), "{}", line(function, metric, Timestamp::now()));
}

fn line(function: &str, metric: &str, now: Timestamp) -> serde_json::Value {
    json!({
        "_aws": {
            "Timestamp": now.as_millisecond(),
            "CloudWatchMetrics": [{
                "Namespace": NAMESPACE,
                "Dimensions": [["Function"]],
                "Metrics": [{ "Name": metric, "Unit": "Count" }],
            }],
        },
        "Function": function,
        metric: 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_a_line_of_the_embedded_metric_format() {
        let line = line("trigger", "Refused", Timestamp::from_second(1).unwrap());
        assert_eq!(line["Refused"], 1);
        assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Name"], "Refused");
        assert_eq!(line["_aws"]["Timestamp"], 1000);
    }
}
