//! Counts in CloudWatch's embedded metric format: a line of the log that CloudWatch turns into metrics.

use std::io::Write;

use jiff::{SignedDuration, Timestamp};
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

/// What a function measures of its own work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// How long after a push a copy was equal.
    ReplicaLag(SignedDuration),
    /// A protected ref was put back.
    Restored,
}

/// Writes down what the function of this name measured.
pub fn measure(function: &str, measure: Measure) {
    let (measured, level) = match measure {
        Measure::ReplicaLag(lag) => (("ReplicaLag", "Seconds", json!(lag.as_secs_f64())), "INFO"),
        Measure::Restored => (("Restored", "Count", json!(1)), "WARN"),
    };
    let line = metric(function, measured, level, Timestamp::now());
    let _closed = writeln!(std::io::stdout(), "{line}");
}

/// Counts how one event of the function of this name ended.
pub(crate) fn count(function: &str, count: Count) {
    // The log is the only way out: if it is closed there is nobody left to tell.
    let _closed = writeln!(std::io::stdout(), "{}", line(function, count, Timestamp::now()));
}

fn line(function: &str, count: Count, now: Timestamp) -> serde_json::Value {
    // The level is for Lambda, which drops lines below the one that the template asks for.
    let (metric_name, level) = match count {
        Count::Handled => ("Handled", "INFO"),
        Count::Refused => ("Refused", "ERROR"),
        Count::Retried => ("Retried", "WARN"),
    };
    metric(function, (metric_name, "Count", json!(1)), level, now)
}

fn metric(
    function: &str,
    (name, unit, value): (&str, &str, serde_json::Value),
    level: &str,
    now: Timestamp,
) -> serde_json::Value {
    json!({
        "level": level,
        "_aws": {
            "Timestamp": now.as_millisecond(),
            "CloudWatchMetrics": [{
                "Namespace": NAMESPACE,
                "Dimensions": [["Function"]],
                "Metrics": [{ "Name": name, "Unit": unit }],
            }],
        },
        "Function": function,
        name: value,
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
