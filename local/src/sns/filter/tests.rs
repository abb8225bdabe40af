//! Policies against messages, and the words of refusals.

use serde_json::json;

use super::*;

fn wants(policy: &Value, message: &Value) -> bool {
    let filter = Filter::parse(&policy.to_string(), Scope::MessageBody).unwrap();
    filter.matches(message.as_object().unwrap())
}

#[test]
fn each_operator_takes_what_it_should_and_nothing_else() {
    let cases = [
        (json!("failed"), json!("failed"), json!("Failed")),
        (json!(1.5), json!(1.50), json!("1.5")),
        (json!(true), json!(true), json!("true")),
        (json!(null), json!(null), json!("null")),
        (json!({"prefix": "build."}), json!("build.failed"), json!("builds")),
        (json!({"suffix": ".failed"}), json!("build.failed"), json!("failed.")),
        (json!({"equals-ignore-case": "Demo"}), json!("dEMO"), json!("demos")),
        (json!({"anything-but": "a"}), json!("b"), json!("a")),
        (json!({"anything-but": ["a", 1]}), json!(2), json!(1)),
        (json!({"anything-but": {"prefix": "a"}}), json!("b"), json!("ab")),
        (json!({"anything-but": {"suffix": "a"}}), json!("ab"), json!("ba")),
        (json!({"numeric": ["=", 3]}), json!(3.0), json!(3.1)),
        (json!({"numeric": [">", 0, "<=", 5]}), json!(5), json!(0)),
        (json!({"cidr": "10.0.0.0/24"}), json!("10.0.0.255"), json!("10.0.1.0")),
        (json!({"exists": true}), json!("x"), json!("")),
    ];
    for (test, good, bad) in cases {
        let policy = json!({"k": [test]});
        assert!(wants(&policy, &json!({"k": good})), "{policy} wants {good}");
        assert!(!wants(&policy, &json!({"k": bad})), "{policy} does not want {bad}");
        assert!(!wants(&policy, &json!({"other": good})), "{policy} needs k");
        assert!(wants(&policy, &json!({"k": [bad, good]})), "{policy} wants one element");
    }
}

#[test]
fn names_are_and_values_are_or() {
    let policy = json!({"repository": ["demo", "web"], "outcome": [{"exists": false}]});
    assert!(wants(&policy, &json!({"repository": "web"})));
    assert!(!wants(&policy, &json!({"repository": "web", "outcome": "x"})));
    assert!(!wants(&json!({"a": [{"exists": false}]}), &json!({})), "SNS wants one attribute to be there");
    let either = json!({"$or": [{"a": [1]}, {"b": [2]}], "c": [3]});
    assert!(wants(&either, &json!({"b": 2, "c": 3})));
    assert!(!wants(&either, &json!({"b": 1, "c": 3})));
    let nested = json!({"detail": {"state": ["FAILED"]}});
    assert!(wants(&nested, &json!({"detail": {"state": "FAILED"}})));
    assert!(wants(&nested, &json!({"detail": [{"state": "OK"}, {"state": "FAILED"}]})));
    assert!(!wants(&nested, &json!({"state": "FAILED"})));
}

#[test]
fn what_aws_refuses_is_refused_in_its_words() {
    let cases = [
        (json!([]), "Filter is not an object"),
        (json!({"k": "text"}), "\"k\" must be an object or an array"),
        (json!({"k": {"suffix": "value"}}), "\"suffix\" must be an object or an array"),
        (json!({"k": []}), "Empty arrays are not allowed"),
        (json!({"k": [["nested"]]}), "Match value must be String, number, true, false, or null"),
        (json!({"k": [{"prefix": 1}]}), "prefix match pattern must be a string"),
        (json!({"k": [{"suffix": null}]}), "suffix match pattern must be a string"),
        (json!({"k": [{"prefix": "a", "suffix": "b"}]}), "Only one key allowed in match expression"),
        (json!({"k": [{"wildcard": "*"}]}), "Unrecognized match type wildcard"),
        (json!({"k": [{"exists": "yes"}]}), "exists match pattern must be either true or false."),
        (json!({"k": [{"numeric": []}]}), "Invalid member in numeric match: ]"),
        (json!({"k": [{"numeric": ["operator"]}]}), "Unrecognized numeric range operator: operator"),
        (json!({"k": [{"numeric": [1, "<="]}]}), "Invalid member in numeric match: 1"),
        (json!({"k": [{"numeric": ["=", "000"]}]}), "Value of equals must be numeric"),
        (json!({"k": [{"numeric": [">="]}]}), "Value of >= must be numeric"),
        (json!({"k": [{"numeric": ["<", 100, ">", 10]}]}), "Too many elements in numeric expression"),
        (json!({"k": [{"numeric": [">=", 1, ">", 2]}]}), "Bad numeric range operator: >"),
        (json!({"k": [{"numeric": [">", 3, "<", 1]}]}), "Bottom must be less than top"),
        (json!({"k": [{"numeric": [">", 20, "<="]}]}), "Value of <= must be numeric"),
        (json!({"k": [{"numeric": [">", 20, 30]}]}), "Bad value in numeric range: 30"),
        (json!({"k": [{"numeric": [">", 20, "test"]}]}), "Bad numeric range operator: test"),
        (json!({"k": [{"numeric": [">", 20, "<", "30"]}]}), "Value of < must be numeric"),
        (json!({"k": [{"numeric": [">", 20, "<", 30, "<", 50]}]}), "Too many terms in numeric range expression"),
        (json!({"k": [1e10]}), "Value must be between -1e9 and 1e9, inclusive"),
        (json!({"k": [{"cidr": "10.0.0.0/33"}]}), "cidr must be a block"),
        (json!({"k": [{"anything-but": [{"exists": true}]}]}), "Value of anything-but must be"),
        (json!({"k": [{"anything-but": []}]}), "Value of anything-but must be"),
        (json!({"$or": [{"a": [1]}]}), "There must have at least 2 Objects in $or relationship."),
        (json!({"a": [1], "b": [1], "c": [1], "d": [1], "e": [1], "f": [1]}), "can not have more than 5 keys"),
        (json!({"a": (0..13).collect::<Vec<_>>(), "b": (0..12).collect::<Vec<_>>()}), "is too complex"),
    ];
    for (policy, words) in cases {
        let refused = Filter::parse(&policy.to_string(), Scope::MessageBody).expect_err(&policy.to_string());
        assert!(refused.told("").contains(words), "{policy}: {refused:?}");
    }
    assert!(Filter::parse("{", Scope::MessageBody).is_err());
    assert!(Filter::parse(&format!("{{\"k\": [\"{}\"]}}", "x".repeat(256 * 1024)), Scope::MessageBody).is_err());
    let nested = Filter::parse(r#"{"k": {"inner": ["x"]}}"#, Scope::MessageAttributes).unwrap_err();
    assert_eq!(nested, Wrong::Nested);
}

#[test]
fn combinations_are_counted_as_aws_counts_them() {
    let text = |count: usize| (0..count).map(|n| json!(format!("v{n}"))).collect::<Vec<_>>();
    let flat = |source: usize, last: usize| {
        json!({"source": text(source), "$or": [{"name": text(6)},
            {"type": text(4), "$or": [{"id": text(4)}, {"space": text(last)}]}]})
    };
    // 3 x (6 + 4 x (4 + 7)) = 150 and 4 x (6 + 4 x (4 + 4)) = 152.
    Filter::parse(&flat(3, 7).to_string(), Scope::MessageAttributes).unwrap();
    assert!(Filter::parse(&flat(4, 4).to_string(), Scope::MessageAttributes).is_err());
    // Inside of a name values count twice: (3 + 2) x 4 x (2 + 6) = 160.
    let nested = |types: usize| {
        json!({"$or": [{"name": text(3)}, {"space": text(2)}],
            "detail": {"scope": text(2), "$or": [{"source": text(1)}, {"type": text(types)}]}})
    };
    assert!(Filter::parse(&nested(3).to_string(), Scope::MessageBody).is_err());
    Filter::parse(&nested(2).to_string(), Scope::MessageBody).unwrap();
    // Names inside of names do not count.
    let many = json!({"a": {"b": [1], "c": [1], "d": [1]}, "e": {"f": [1], "g": [1]}, "h": [1]});
    Filter::parse(&many.to_string(), Scope::MessageBody).unwrap();
}

#[test]
fn what_is_not_there_is_neither_null_nor_anything_else() {
    let policy = json!({"k": [null, {"anything-but": "whatever"}]});
    assert!(!wants(&policy, &json!({})) && !wants(&policy, &json!({"other": "x"})));
    assert!(wants(&policy, &json!({"k": null})) && wants(&policy, &json!({"k": "x"})));
    assert!(!wants(&json!({"k": ["Case"]}), &json!({"k": "case"})));
    assert!(!wants(&json!({"k": [1]}), &json!({"k": "1"})));
}
