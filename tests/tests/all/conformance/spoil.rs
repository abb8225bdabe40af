//! Good inputs made bad, one member at a time, by what the model says of it.

use regex::Regex;
use serde_json::{Value, json};

use super::model::{Model, Protocol, kind, members, requires, values};

/// A step on the way to a member.
#[derive(Debug, Clone)]
enum Step {
    Member(String),
    Item(usize),
}

/// An input with one thing wrong.
#[derive(Debug)]
pub(super) struct Spoilt {
    /// The member, `logEvents[0].timestamp`.
    pub(super) path: String,
    /// What is wrong with it: `left out`, `of a wrong type`, ...
    pub(super) what: &'static str,
    pub(super) input: Value,
}

/// Longer texts and lists than this are not made: they would only measure the size of a request.
const LONGEST: u64 = 70_000;

/// Every way in which the model says that a good input can be bad.
pub(super) fn spoil(model: &Model, operation: &str, good: &Value) -> Vec<Spoilt> {
    let mut spoiler =
        Spoiler { model, good, is_json: matches!(model.protocol(), Protocol::Json { .. }), all: Vec::new() };
    spoiler.structure(model.input(operation), good, &[]);
    spoiler.all
}

struct Spoiler<'a> {
    model: &'a Model,
    good: &'a Value,
    is_json: bool,
    all: Vec<Spoilt>,
}

impl Spoiler<'_> {
    fn add(&mut self, way: &[Step], what: &'static str, replacement: Option<Value>) {
        let mut path = String::new();
        for step in way {
            match step {
                Step::Member(name) if path.is_empty() => path.push_str(name),
                Step::Member(name) => path.push_str(&format!(".{name}")),
                Step::Item(number) => path.push_str(&format!("[{number}]")),
            }
        }
        let mut input = self.good.clone();
        replace(&mut input, way, replacement);
        self.all.push(Spoilt { path, what, input });
    }

    fn wrong_type(&mut self, way: &[Step], value: Value) {
        if self.is_json {
            self.add(way, "of a wrong type", Some(value));
        }
    }

    fn structure(&mut self, shape: &Value, value: &Value, way: &[Step]) {
        for (name, reference) in members(shape) {
            let way = [way, &[Step::Member(name.to_owned())]].concat();
            let Some(there) = value.get(name) else { continue };
            if requires(shape, name) {
                self.add(&way, "left out", None);
            }
            self.value(self.model.target(reference), there, &way);
        }
        // The local cloud's own rule: what it does not know it must not ignore.
        if self.is_json || (way.is_empty() && self.model.protocol() != Protocol::RestXml) {
            self.add(&[way, &[Step::Member("noSuchMember".to_owned())]].concat(), "unknown", Some(json!("x")));
        }
    }

    fn value(&mut self, shape: &Value, value: &Value, way: &[Step]) {
        let (least, most) = (shape["min"].as_i64(), shape["max"].as_u64().filter(|most| *most < LONGEST));
        match kind(shape) {
            "structure" => {
                self.wrong_type(way, json!("text"));
                self.structure(shape, value, way);
            }
            "list" => {
                self.wrong_type(way, json!("text"));
                let items = value.as_array().unwrap();
                if least.is_some_and(|least| least > 0) && self.is_json {
                    self.add(way, "shorter than the model's min", Some(json!([])));
                }
                if let (Some(most), Some(first)) = (most, items.first()) {
                    let many = vec![first.clone(); usize::try_from(most).unwrap() + 1];
                    self.add(way, "longer than the model's max", Some(Value::from(many)));
                }
                if let Some(first) = items.first() {
                    self.value(self.model.target(&shape["member"]), first, &[way, &[Step::Item(0)]].concat());
                }
            }
            "map" => {
                self.wrong_type(way, json!("text"));
                if let Some((key, first)) = value.as_object().unwrap().iter().next() {
                    let keys = self.model.target(&shape["key"]);
                    if !values(keys).is_empty() {
                        let other = json!({ "NoSuchKey": first });
                        self.add(way, "a map with a key that is none of the model's", Some(other));
                    }
                    let way = [way, &[Step::Member(key.clone())]].concat();
                    self.value(self.model.target(&shape["value"]), first, &way);
                }
            }
            "string" => self.string(shape, value.as_str().unwrap_or_default(), way),
            "integer" | "long" => {
                self.wrong_type(way, json!("text"));
                if let Some(least) = least {
                    self.add(way, "below the model's min", Some(json!(least - 1)));
                }
                if let Some(most) = shape["max"].as_u64() {
                    self.add(way, "above the model's max", Some(json!(most + 1)));
                }
                if !self.is_json {
                    self.add(way, "no number", Some(json!("text")));
                }
            }
            "boolean" => self.wrong_type(way, json!("text")),
            "timestamp" => self.wrong_type(way, json!({})),
            "blob" => {
                self.wrong_type(way, json!(7));
                if self.is_json {
                    self.add(way, "no base64", Some(json!("%%%")));
                }
            }
            _ => {}
        }
    }

    fn string(&mut self, shape: &Value, text: &str, way: &[Step]) {
        self.wrong_type(way, json!(7));
        self.wrong_type(way, json!(["x"]));
        if !values(shape).is_empty() {
            self.add(way, "no value of the enum", Some(json!("NO_SUCH_VALUE")));
            return;
        }
        let least = shape["min"].as_u64().and_then(|least| usize::try_from(least).ok()).unwrap_or(0);
        if least > 0 {
            let short: String = text.chars().take(least - 1).collect();
            self.add(way, "shorter than the model's min", Some(Value::from(short)));
        }
        if let Some(most) = shape["max"].as_u64().filter(|most| *most < LONGEST) {
            let last = text.chars().last().filter(char::is_ascii_alphanumeric).unwrap_or('x');
            let mut long = text.to_owned();
            long.extend(std::iter::repeat_n(last, usize::try_from(most).unwrap() + 1 - text.chars().count()));
            self.add(way, "longer than the model's max", Some(Value::from(long)));
        }
        // Patterns of Java that the crate cannot read (looking around) are left out.
        if let Some(pattern) = shape["pattern"].as_str()
            && let Ok(pattern) = Regex::new(&format!("^(?:{pattern})$"))
        {
            let spoilt = ["!", " ", "\u{7f}", "ü ~", "\u{1}"].map(|bad| format!("{text}{bad}"));
            if let Some(bad) = spoilt.into_iter().find(|bad| !pattern.is_match(bad)) {
                self.add(way, "not of the model's pattern", Some(Value::from(bad)));
            }
        }
    }
}

fn replace(value: &mut Value, way: &[Step], replacement: Option<Value>) {
    match (way, replacement) {
        ([], _) => {}
        ([Step::Member(name)], None) => drop(value.as_object_mut().unwrap().remove(name)),
        ([Step::Member(name)], Some(new)) => drop(value.as_object_mut().unwrap().insert(name.clone(), new)),
        ([Step::Item(number)], Some(new)) => *value.get_mut(*number).unwrap() = new,
        ([Step::Item(_)], None) => panic!("an item is never left out"),
        ([Step::Member(name), rest @ ..], new) => replace(value.get_mut(name).unwrap(), rest, new),
        ([Step::Item(number), rest @ ..], new) => replace(value.get_mut(*number).unwrap(), rest, new),
    }
}
