//! The JSON paths of targets: `$.detail.name`, `$.resources[0]`, `$.detail.items[*].id`.

use serde_json::Value;

/// A path that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Member(String),
    Element(usize),
    /// Every member or element.
    Every,
}

impl Path {
    /// Reads a path; the error says what was expected.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let malformed = || {
            format!(
                "{text:?} is no path such as $, $.detail.name, $.resources[0] or $.detail.items[*].id: a path begins \
                 with $, and names hold letters, digits, '-', '_' and '/'"
            )
        };
        let mut rest = text.strip_prefix('$').ok_or_else(malformed)?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let step;
            (step, rest) = if let Some(inside) = rest.strip_prefix('[') {
                let (index, behind) = inside.split_once(']').ok_or_else(malformed)?;
                let step = match index {
                    "*" => Step::Every,
                    number => Step::Element(number.parse().map_err(|_| malformed())?),
                };
                (step, behind)
            } else {
                let named = rest.strip_prefix('.').ok_or_else(malformed)?;
                let (name, behind) =
                    named.split_at_checked(named.find(['.', '[']).unwrap_or(named.len())).ok_or_else(malformed)?;
                let step = match name {
                    "*" => Step::Every,
                    name if is_name(name) => Step::Member(name.to_owned()),
                    _ => return Err(malformed()),
                };
                (step, behind)
            };
            steps.push(step);
        }
        Ok(Self(steps))
    }

    /// What lies at the path; with a `*` all of it, as a list.
    pub(super) fn find(&self, event: &Value) -> Option<Value> {
        let mut found = vec![event];
        for step in &self.0 {
            found = found.into_iter().flat_map(|value| step.below(value)).collect();
        }
        if self.0.contains(&Step::Every) {
            return (!found.is_empty()).then(|| found.into_iter().cloned().collect());
        }
        found.first().map(|value| (*value).clone())
    }
}

impl Step {
    fn below<'v>(&self, value: &'v Value) -> Vec<&'v Value> {
        match (self, value) {
            (Self::Member(name), value) => value.get(name).into_iter().collect(),
            (Self::Element(index), value) => value.get(index).into_iter().collect(),
            (Self::Every, Value::Array(values)) => values.iter().collect(),
            (Self::Every, Value::Object(members)) => members.values().collect(),
            (Self::Every, _) => Vec::new(),
        }
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '/'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_elements_and_all_of_them_are_found() {
        let event = json!({"detail-type": "t", "resources": ["a", "b"],
            "detail": {"x_y": null, "items": [{"id": 1}, {"id": 2}, {}], "a/b": {"k": "v"}}});
        let find = |path: &str| Path::parse(path).unwrap().find(&event);
        assert_eq!(find("$"), Some(event.clone()));
        assert_eq!(find("$.detail-type"), Some(json!("t")));
        assert_eq!(find("$.resources[1]"), Some(json!("b")));
        assert_eq!(find("$.resources[2]"), None);
        assert_eq!(find("$.detail.x_y"), Some(json!(null)));
        assert_eq!(find("$.detail.items[*].id"), Some(json!([1, 2])));
        assert_eq!(find("$.detail.items[*].nope"), None);
        assert_eq!(find("$.detail.a/b.*"), Some(json!(["v"])));
        assert_eq!(find("$.detail.nope.deeper"), None);
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for wrong in ["", "detail", "$detail", "$.", "$..a", "$.a[", "$.a[x]", "$.a[-1]", "$['a']", "$.a b", "$.a[0"] {
            assert!(Path::parse(wrong).unwrap_err().contains("begins with $"), "{wrong}");
        }
    }
}
