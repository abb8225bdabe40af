//! The schema for editors, held against the parser: it takes whatever the parser takes, and is not empty-handed either.

#![expect(clippy::unwrap_used, clippy::panic, reason = "the helpers of these tests fail as tests do")]

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use boon::{Compiler, SchemaIndex, Schemas};
use proptest::prelude::*;
use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value, json};
use signalbox_policy::{parse_policy, schema};

const EXAMPLE: &str = include_str!("../../../docs/examples/signalbox.yaml");
const FIRST: &str = include_str!("../../../docs/examples/first.yaml");
const REFERENCE: &str = include_str!("../../../docs/policy.md");

/// The schema, compiled; that holds it against its own dialect, too.
static SCHEMA: LazyLock<(Schemas, SchemaIndex)> = LazyLock::new(|| {
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.add_resource("signalbox.schema.json", schema()).unwrap();
    let index = compiler.compile("signalbox.schema.json", &mut schemas).unwrap_or_else(|error| panic!("{error:#}"));
    (schemas, index)
});

/// What the schema has against a value, with its place in it.
fn problems_of(value: &Value) -> Vec<String> {
    let (schemas, index) = &*SCHEMA;
    schemas.validate(value, *index).err().map(|error| format!("{error:#}")).into_iter().collect()
}

/// The file as an editor's YAML server sees it: plain scalars are numbers, booleans or nothing where YAML's core schema
/// says so. `None` where the text is no YAML, or has what JSON has no word for.
fn as_editors_read(text: &str) -> Option<Value> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut events = Parser::new_from_str(text).map(|event| event.map(|(event, _)| event));
    let mut anchors = Vec::new();
    loop {
        match events.next()?.ok()? {
            Event::StreamEnd => return Some(Value::Null),
            Event::DocumentStart(_) => {
                let first = events.next()?.ok()?;
                return node(first, &mut events, &mut anchors);
            }
            _ => {}
        }
    }
}

fn node<'a, E>(
    event: Event<'a>,
    events: &mut impl Iterator<Item = Result<Event<'a>, E>>,
    anchors: &mut Vec<(usize, Value)>,
) -> Option<Value> {
    let (value, anchor) = match event {
        Event::Alias(id) => return anchors.iter().find(|(anchor, _)| *anchor == id).map(|(_, value)| value.clone()),
        Event::Scalar(_, _, _, Some(_)) | Event::SequenceStart(_, Some(_)) | Event::MappingStart(_, Some(_)) => {
            return None;
        }
        Event::Scalar(text, style, anchor, None) => {
            (if style == ScalarStyle::Plain { plain(&text) } else { json!(text) }, anchor)
        }
        Event::SequenceStart(anchor, None) => {
            let mut items = Vec::new();
            loop {
                match events.next()?.ok()? {
                    Event::SequenceEnd => break (Value::Array(items), anchor),
                    item => items.push(node(item, events, anchors)?),
                }
            }
        }
        Event::MappingStart(anchor, None) => {
            let mut entries = Map::new();
            loop {
                match events.next()?.ok()? {
                    Event::MappingEnd => break (Value::Object(entries), anchor),
                    Event::Scalar(key, ..) => {
                        let value = events.next()?.ok()?;
                        entries.insert(key.into_owned(), node(value, events, anchors)?);
                    }
                    _ => return None,
                }
            }
        }
        _ => return None,
    };
    if anchor > 0 {
        anchors.push((anchor, value.clone()));
    }
    Some(value)
}

fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return json!(true),
        "false" | "False" | "FALSE" => return json!(false),
        _ => {}
    }
    let is_number = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
    if !is_number {
        return json!(text);
    }
    if let Ok(number) = text.parse::<i64>() {
        return json!(number);
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => json!(number),
        _ => json!(text),
    }
}

fn problems(text: &str) -> Vec<String> {
    let value = as_editors_read(text).unwrap_or_else(|| panic!("this is no YAML:\n{text}"));
    problems_of(&value)
}

fn accepted(text: &str) {
    let problems = problems(text);
    assert!(problems.is_empty(), "the schema refuses what `check` takes: {problems:#?}\n{text}");
}

fn bad(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad");
    std::fs::read_to_string(folder.join(name).with_extension("yaml")).unwrap()
}

#[test]
fn the_file_for_editors_is_current() {
    let file = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/signalbox.schema.json"));
    let there = std::fs::read_to_string(&file).unwrap_or_default();
    // As values: the order of the keys is the writer's.
    let there: Value = serde_json::from_str(&there).unwrap_or_default();
    assert!(
        there == schema(),
        "docs/signalbox.schema.json is not what the key tables say; renew it with: cargo run -- schema > docs/signalbox.schema.json"
    );
}

#[test]
fn the_schema_is_one() {
    assert!(SCHEMA.0.contains(SCHEMA.1));
}

#[test]
fn every_example_passes() {
    accepted(EXAMPLE);
    accepted(FIRST);
    for block in REFERENCE.split("```yaml\n").skip(1) {
        accepted(block.split("```").next().unwrap());
    }
    for empty in ["", "# nothing yet\n", "---\n", "~", "{}", "repositories:\n", "repositories: { demo: }\n"] {
        accepted(empty);
    }
}

#[test]
fn what_the_parser_takes_in_odd_forms_passes() {
    for text in [
        "repositories:\n  demo:\n    triggers:\n      unit:\n        on: { push: { branches: [1.10, yes, 0x1f, true] } }\n        start: { build: 007, environment: { A: 1.0, B: 'null', C: '' } }\n",
        "repositories:\n  demo:\n    triggers:\n      unit: { on: { push: }, start: { build: x }, supersede: TRUE, skip_ci: ignore }\n",
        "repositories:\n  demo:\n    approvals:\n      main: { reviewers: { count: '2' } }\n    protection:\n",
        "repositories:\n  demo:\n    protection:\n      - refs: main\n        files: { max_size: 512, forbid: '*.pem' }\n      - { refs: main, files: { max_size: 5 mb } }\n",
        "repositories:\n  demo:\n    notifications:\n      - about: '*'\n      - about: ['!build.fixed', 'pull_request.*']\n",
        "repositories:\n  '!demo': {}\n  '{a,b}-api': &empty {}\n  '[ab]*': *empty\n",
    ] {
        parse_policy(text).unwrap_or_else(|problems| panic!("{problems}\n{text}"));
        accepted(text);
    }
}

#[test]
fn what_can_be_seen_without_knowing_what_a_text_means_is_refused() {
    // What only the parser can tell: YAML's own mistakes, duplicates, references, and what two texts mean together.
    let beyond = [
        "aliases",
        "cycles",
        "duplicate-keys",
        "references",
        "tab",
        "two-documents",
        "unquoted-exclamation",
        "unquoted-star",
    ];
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bad");
    let mut told = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if beyond.contains(&&*name) {
            continue;
        }
        let problems = problems(&bad(&name));
        assert!(!problems.is_empty(), "{name} passes");
        told.push((name, problems.len()));
    }
    assert!(told.len() >= 8, "{told:?}");
}

#[test]
fn each_structural_mistake_is_refused_by_itself() {
    let trigger = |body: &str| format!("repositories:\n  demo:\n    triggers:\n      unit: {body}\n");
    let section = |body: &str| format!("repositories:\n  demo: {body}\n");
    for text in [
        "mode: enforse\n".to_owned(),
        "modes: enforce\n".to_owned(),
        "repositories: []\n".to_owned(),
        "repositories:\n  a/b: {}\n".to_owned(),
        trigger("{ start: { build: x } }"),
        trigger("{ on: push, start: { build: x } }"),
        trigger("{ on: {}, start: { build: x } }"),
        trigger("{ on: { push: {} }, start: {} }"),
        trigger("{ on: { push: {} }, start: { build: x, pipeline: y } }"),
        trigger("{ on: { push: {} }, start: { build: a/b } }"),
        trigger("{ on: { push: {} }, start: { build: x }, supersede: 'yes' }"),
        trigger("{ on: { push: { branches: [] } }, start: { build: x } }"),
        trigger("{ on: { push: { paths: [/src] } }, start: { build: x } }"),
        trigger("{ on: { schedule: { every: 2 days } }, start: { build: x } }"),
        trigger("{ on: { schedule: { every: 1h, cron: '* * * * *' } }, start: { build: x } }"),
        trigger("{ on: { push: {} }, start: { build: x, environment: { A: { secret: s, parameter: p } } } }"),
        section("{ protection: [{ refs: main }] }"),
        section("{ protection: [{ refs: main, forbid: [everything] }] }"),
        section("{ approvals: { main: { reviewers: { count: 0 } } } }"),
        section("{ replicas: [{ to: 'ftp://host/x' }] }"),
        section("{ notifications: [{ to: [a] }] }"),
        "people:\n  Developer: { name: Developer }\n".to_owned(),
    ] {
        assert!(parse_policy(&text).is_err(), "the parser takes this:\n{text}");
        assert!(!problems(&text).is_empty(), "the schema takes this:\n{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// Whatever survives the parser after lines were lost or words exchanged, the schema takes.
    #[test]
    fn the_schema_never_refuses_what_the_parser_takes(
        lost in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        swaps in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..3),
    ) {
        let mut lines: Vec<&str> = EXAMPLE.lines().collect();
        for lost in lost {
            lines.remove(lost.index(lines.len()));
        }
        let text = lines.join("\n");
        let values: Vec<&str> = VALUES.to_vec();
        let mut words: Vec<String> = text.split_inclusive([' ', ',', '[', ']', '\n']).map(str::to_owned).collect();
        for (at, value) in swaps {
            let at = at.index(words.len());
            let end = words[at].chars().last().filter(|c| " ,[]\n".contains(*c));
            let bare = words[at].trim_end_matches([' ', ',', '[', ']', '\n']).to_owned();
            // Keys keep their colons, or little would survive.
            if !bare.is_empty() && !bare.ends_with(':') {
                words[at] = format!("{}{}", value.get(&values), end.map(String::from).unwrap_or_default());
            }
        }
        let text = words.concat();
        if parse_policy(&text).is_ok() && let Some(value) = as_editors_read(&text) {
            let problems = problems_of(&value);
            prop_assert!(problems.is_empty(), "{problems:#?}\n{text}");
        }
    }
}

/// Values that stand well or badly in many places.
const VALUES: &[&str] = &[
    "main",
    "1.10",
    "true",
    "~",
    "\"\"",
    "\"!x\"",
    "\"**\"",
    "\"a b\"",
    "007",
    "-1",
    "2d",
    "5MB",
    "512",
    "squash",
    "report",
    "linear",
    "anybody",
    "\"*\"",
    "\"{a,b}\"",
    "\"[a-z]?\"",
    "refs/tags/v1",
    "s3://abc/d",
    "{}",
    "[]",
    "[x]",
    "unit",
    "\"x\\ty\"",
    "deployment.*",
    "1e3",
    ".5",
    "CODEOWNERS",
    "restore",
    "\"\\u2028x\"",
];
