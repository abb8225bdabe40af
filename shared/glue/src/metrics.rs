//! Counts in CloudWatch's embedded metric format: a line of the log that CloudWatch turns into metrics.

use std::io::Write;

use jiff::Timestamp;
use serde_json::json;

/// The namespace of all metrics of a stack.
const NAMESPACE: &str = "Signalbox";

/// How an event of a function ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Count {
    /// Well.
    Handled,
    /// It can never be done.
    Refused,
    /// It comes again.
    Retried,
}

/// Counts how one event of the function of this name ended.
pub(crate) fn count(function: &str, count: Count) {
    // The log is the only way out: if it is closed there is nobody left to tell.
    let _closed = writeln!(std::io::stdout(), "{}", line(function, count, Timestamp::now()));
}

fn line(function: &str, count: Count, now: Timestamp) -> serde_json::Value {
    // The level is for Lambda, which drops lines below the one that the template asks for.
    let (metric, level) = match count {
        Count::Handled => ("Handled", "INFO"),
        Count::Refused => ("Refused", "ERROR"),
        Count::Retried => ("Retried", "WARN"),
    };
    json!({
        "level": level,
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
        let line = line("signalbox-trigger", Count::Refused, Timestamp::from_second(1).unwrap());
        assert_eq!(line["Refused"], 1);
        assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Name"], "Refused");
        assert_eq!(line["_aws"]["Timestamp"], 1000);
    }
}
