//! Whether an event is what a pattern wants.
//!
//! An event is taken apart into its leaf values by dotted path. A value inside an array also knows which element of which
//! array it belongs to: all values that satisfy a pattern must agree on the element, so that
//! `[{"name": "a", "size": 1}, {"name": "b", "size": 2}]` has no `a` of size 2. This is AWS's array consistency.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use super::matcher::Matcher;
use super::pattern::{Branch, Pattern, join};

/// An event's leaf values by path.
#[derive(Debug)]
pub(super) struct Fields<'e> {
    by_path: HashMap<String, Vec<Field<'e>>>,
    arrays: usize,
}

#[derive(Debug)]
struct Field<'e> {
    value: &'e Value,
    elements: Elements,
}

/// Which element of which array: array number to index.
type Elements = BTreeMap<usize, usize>;

impl<'e> Fields<'e> {
    /// Takes an event apart.
    pub(super) fn of(event: &'e Value) -> Self {
        let mut fields = Self { by_path: HashMap::new(), arrays: 0 };
        fields.add("", event, &mut Elements::new());
        fields
    }

    fn add(&mut self, path: &str, value: &'e Value, elements: &mut Elements) {
        match value {
            Value::Object(object) => {
                for (step, value) in object {
                    self.add(&join(path, step), value, elements);
                }
            }
            Value::Array(values) => {
                let array = self.arrays;
                self.arrays += 1;
                for (index, value) in values.iter().enumerate() {
                    // Plain values of one array do not bind each other, only what lies in an element together.
                    if value.is_object() || value.is_array() {
                        elements.insert(array, index);
                        self.add(path, value, elements);
                        elements.remove(&array);
                    } else {
                        self.add(path, value, elements);
                    }
                }
            }
            leaf => {
                let field = Field { value: leaf, elements: elements.clone() };
                self.by_path.entry(path.to_owned()).or_default().push(field);
            }
        }
    }
}

impl Pattern {
    /// Whether the event, a whole envelope, is one that this pattern wants.
    pub fn matches(&self, event: &Value) -> bool {
        event.is_object() && self.accepts(&Fields::of(event))
    }

    pub(super) fn accepts(&self, fields: &Fields<'_>) -> bool {
        self.branches.iter().any(|branch| branch_accepts(branch, fields))
    }
}

fn branch_accepts(branch: &Branch, fields: &Fields<'_>) -> bool {
    let mut hits_by_path: Vec<Vec<&Elements>> = Vec::with_capacity(branch.len());
    for (path, matchers) in branch {
        let Some(found) = fields.by_path.get(path) else {
            if matchers.contains(&Matcher::Absent) {
                continue;
            }
            return false;
        };
        let hits: Vec<&Elements> = found
            .iter()
            .filter(|field| matchers.iter().any(|matcher| matcher.accepts(field.value)))
            .map(|field| &field.elements)
            .collect();
        if hits.is_empty() {
            return false;
        }
        hits_by_path.push(hits);
    }
    can_agree(&hits_by_path)
}

/// Whether one hit a path can be chosen so that all lie in the same element of every array that they share.
fn can_agree(hits_by_path: &[Vec<&Elements>]) -> bool {
    let mut paths_by_array: BTreeMap<usize, usize> = BTreeMap::new();
    for hits in hits_by_path {
        let arrays: BTreeSet<usize> = hits.iter().flat_map(|elements| elements.keys().copied()).collect();
        for array in arrays {
            *paths_by_array.entry(array).or_default() += 1;
        }
    }
    let is_shared = |array: &usize| paths_by_array.get(array).is_some_and(|paths| *paths > 1);

    let mut choices = BTreeSet::from([Elements::new()]);
    for hits in hits_by_path {
        let wanted: BTreeSet<Elements> = hits
            .iter()
            .map(|elements| elements.iter().filter(|(array, _)| is_shared(array)).map(|(a, i)| (*a, *i)).collect())
            .collect();
        choices = choices.iter().flat_map(|choice| wanted.iter().filter_map(|hit| merge(choice, hit))).collect();
        if choices.is_empty() {
            return false;
        }
    }
    true
}

fn merge(one: &Elements, other: &Elements) -> Option<Elements> {
    let agree = other.iter().all(|(array, index)| one.get(array).is_none_or(|chosen| chosen == index));
    agree.then(|| one.iter().chain(other).map(|(array, index)| (*array, *index)).collect())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Deserialize)]
    struct Case {
        n: String,
        p: String,
        e: String,
        x: bool,
    }

    fn matches(pattern: impl Into<Value>, event: impl Into<Value>) -> bool {
        Pattern::parse(&pattern.into()).unwrap().matches(&event.into())
    }

    #[test]
    fn every_case_comes_out_as_it_should() {
        let mut wrong = Vec::new();
        let mut count = 0;
        let checked_with_awss_own_engine = include_str!("../../../tests/patterns/cases.jsonl").lines();
        let documented = include_str!("../../../tests/patterns/documented.jsonl").lines();
        for line in checked_with_awss_own_engine.chain(documented) {
            let case: Case = serde_json::from_str(line).unwrap();
            let event: Value = serde_json::from_str(&case.e).unwrap();
            let pattern: Pattern = case.p.parse().unwrap_or_else(|error| panic!("{}: {error}", case.n));
            if pattern.matches(&event) != case.x {
                wrong.push(format!("{}: {} on {} should be {}", case.n, case.p, case.e, case.x));
            }
            count += 1;
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert!(count >= 137, "only {count} cases were read");
    }

    #[test]
    fn values_must_lie_in_the_same_element_of_an_array() {
        let event = json!({"parts": [{"name": "a", "size": 1}, {"name": "b", "size": 2}]});
        assert!(matches(json!({"parts": {"name": ["b"], "size": [2]}}), event.clone()));
        assert!(!matches(json!({"parts": {"name": ["a"], "size": [2]}}), event.clone()));
        assert!(matches(json!({"parts": {"name": ["a"]}}), event));
    }

    #[test]
    fn nested_arrays_bind_at_every_level_and_separate_arrays_do_not() {
        let event = json!({"a": [{"k": 1, "b": [{"x": 1, "y": 1}, {"x": 2, "y": 2}]}, {"k": 2, "b": [{"x": 3, "y": 3}]}],
                           "c": [{"z": 1}, {"z": 2}]});
        assert!(matches(json!({"a": {"k": [1], "b": {"x": [2], "y": [2]}}, "c": {"z": [2]}}), event.clone()));
        assert!(!matches(json!({"a": {"k": [1], "b": {"x": [2], "y": [1]}}}), event.clone()));
        assert!(!matches(json!({"a": {"k": [2], "b": {"x": [1]}}}), event));
    }

    #[test]
    fn a_number_is_the_same_however_it_is_written_up_to_five_billion() {
        for written in ["300", "300.0", "3.0e2"] {
            let event: Value = serde_json::from_str(&format!("{{\"n\": {written}}}")).unwrap();
            assert!(matches(json!({"n": [300]}), event.clone()), "{written}");
            assert!(!matches(json!({"n": [{"anything-but": 300}]}), event), "{written}");
        }
        assert!(matches(json!({"n": [111_122_223_333_u64]}), json!({"n": 111_122_223_333_u64})));
        assert!(!matches(json!({"n": [111_122_223_333_u64]}), json!({"n": 111_122_223_333.0})));
        assert!(!matches(json!({"n": [300]}), json!({"n": "300"})));
        assert!(!matches(json!({"n": [{"numeric": [">", 0]}]}), json!({"n": "5"})));
    }

    #[test]
    fn anything_but_accepts_values_of_another_kind_and_any_element_of_an_array() {
        assert!(matches(json!({"s": [{"anything-but": "x"}]}), json!({"s": 5})));
        assert!(matches(json!({"s": [{"anything-but": {"prefix": "x"}}]}), json!({"s": null})));
        assert!(matches(json!({"s": [{"anything-but": ["a"]}]}), json!({"s": ["a", "b"]})));
        assert!(!matches(json!({"s": [{"anything-but": ["a"]}]}), json!({"s": []})));
    }

    #[test]
    fn absence_is_of_the_whole_event_and_null_is_a_value() {
        assert!(matches(json!({"a": {"b": [{"exists": false}]}}), json!({})));
        assert!(matches(json!({"a": [{"exists": false}, "x"]}), json!({"a": "x"})));
        assert!(matches(json!({"a": [{"exists": false}]}), json!({"a": []})));
        assert!(matches(json!({"a": [null]}), json!({"a": null})));
        assert!(matches(json!({"a": [{"exists": true}]}), json!({"a": null})));
        assert!(!matches(json!({"a": [null]}), json!({})));
    }

    #[test]
    fn wildcards_find_their_parts_in_order_without_overlap() {
        let hit = |wildcard: &str, text: &str| matches(json!({"s": [{"wildcard": wildcard}]}), json!({"s": text}));
        assert!(hit("*", "") && hit("a*", "a") && hit("*a*b*", "xaxbx") && hit("\\\\*", "\\x"));
        assert!(!hit("ab*ba", "aba"));
        assert!(!hit("a*b*c", "acb"));
        assert!(!hit("plain", "plainer"));
    }

    #[test]
    fn a_block_of_all_addresses_holds_every_address_of_its_kind() {
        assert!(matches(json!({"ip": [{"cidr": "0.0.0.0/0"}]}), json!({"ip": "203.0.113.9"})));
        assert!(!matches(json!({"ip": [{"cidr": "0.0.0.0/0"}]}), json!({"ip": "::1"})));
        assert!(matches(json!({"ip": [{"cidr": "10.0.0.9/24"}]}), json!({"ip": "10.0.0.1"})));
    }

    #[test]
    fn choices_multiply_with_what_stands_beside_them() {
        let pattern = json!({"source": ["s"], "$or": [{"a": [1]}, {"b": [2], "$or": [{"c": [3]}, {"d": [4]}]}]});
        assert!(matches(pattern.clone(), json!({"source": "s", "a": 1})));
        assert!(matches(pattern.clone(), json!({"source": "s", "b": 2, "d": 4})));
        assert!(!matches(pattern.clone(), json!({"source": "s", "b": 2})));
        assert!(!matches(pattern, json!({"source": "t", "a": 1})));
    }
}
