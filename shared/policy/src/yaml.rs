//! YAML text to a tree of marked nodes.
//!
//! Built from the parser's events and not with its loader, because all duplicate keys are to be told at once, texts are
//! to stay as written (`1.10` is a branch, not a number), and depth and aliases are to be bounded.

use std::collections::HashMap;
use std::rc::Rc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};

use crate::problem::{Problem, ProblemKind};

/// The largest file, in bytes.
pub(crate) const LARGEST: usize = 1 << 20;
/// The most levels inside each other; the grammar needs ten.
const DEEPEST: usize = 32;
/// The most values, aliases followed.
const MOST_VALUES: usize = 200_000;

/// A place in the file, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// A value and where it begins.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) mark: Mark,
    pub(crate) value: Value,
    /// How many values it holds, itself and those behind aliases included.
    weight: usize,
}

#[derive(Debug)]
pub(crate) enum Value {
    Null,
    Scalar { text: String, plain: Plain },
    Sequence(Vec<Rc<Node>>),
    Mapping(Vec<Entry>),
}

/// Whether a scalar stood without quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plain {
    Yes,
    No,
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) mark: Mark,
    pub(crate) value: Rc<Node>,
}

/// What the text holds: no value at all, or one; and what is wrong with its form.
pub(crate) fn parse_yaml(text: &str) -> (Option<Rc<Node>>, Vec<Problem>) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.len() > LARGEST {
        let what = ProblemKind::TooLarge { bytes: text.len(), limit: LARGEST };
        return (None, vec![problem(Mark { line: 1, column: 1 }, what, None)]);
    }
    let mut builder = Builder::default();
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let go_on = match event {
            Ok((event, span)) => builder.take(event, mark_of(span.start)),
            Err(error) => {
                builder.problems.push(syntax_problem(text, mark_of(*error.marker()), error.info()));
                Go::Stop
            }
        };
        if matches!(go_on, Go::Stop) {
            return (None, builder.problems);
        }
    }
    (builder.root, builder.problems)
}

fn mark_of(marker: Marker) -> Mark {
    Mark { line: marker.line().max(1), column: marker.col() + 1 }
}

fn problem(mark: Mark, what: ProblemKind, hint: Option<&str>) -> Problem {
    Problem { line: mark.line, column: mark.column, path: String::new(), what, hint: hint.map(str::to_owned) }
}

/// The parser's words, and what people usually did when they meet them.
fn syntax_problem(text: &str, mark: Mark, message: &str) -> Problem {
    let near: Vec<&str> = text.lines().skip(mark.line.saturating_sub(2)).take(2).collect();
    let value = |line: &&str| {
        let line = line.trim_start().trim_start_matches("- ").trim_start();
        line.rsplit_once(": ").map_or(line, |(_, value)| value).trim_start().trim_start_matches('[').to_owned()
    };
    let tab = near.iter().any(|line| line.chars().take_while(|c| c.is_whitespace()).any(|c| c == '\t'));
    let hint = if tab || message.contains("tab") {
        Some("YAML does not allow tabs for indentation: use spaces")
    } else if near.iter().map(value).any(|value| value.starts_with(['*', '!', '&', '@', '`', '%'])) {
        Some("put quotes around values that begin with '*', '!', '&', '@', '`' or '%'")
    } else {
        None
    };
    problem(mark, ProblemKind::Syntax { message: message.to_owned() }, hint)
}

enum Go {
    On,
    Stop,
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: HashMap<usize, Rc<Node>>,
    root: Option<Rc<Node>>,
    documents: usize,
    problems: Vec<Problem>,
}

/// A sequence or mapping that has begun and not ended.
struct Open {
    mark: Mark,
    anchor: usize,
    weight: usize,
    inside: Inside,
}

enum Inside {
    Sequence(Vec<Rc<Node>>),
    Mapping { entries: Vec<Entry>, lines: HashMap<String, usize>, key: Option<Rc<Node>> },
}

impl Builder {
    fn take(&mut self, event: Event<'_>, mark: Mark) -> Go {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Go::On,
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents < 2 {
                    return Go::On;
                }
                let hint = "keep one document, and remove the line \"---\" before the other";
                self.problems.push(problem(mark, ProblemKind::SecondDocument, Some(hint)));
                Go::Stop
            }
            Event::Alias(anchor) => match self.anchors.get(&anchor).cloned() {
                Some(node) => self.add(node),
                None => {
                    let message = "an alias inside the value that it stands for".to_owned();
                    self.problems.push(problem(mark, ProblemKind::Invalid { message }, None));
                    Go::Stop
                }
            },
            Event::Scalar(text, style, anchor, tag) => {
                self.check_tag(tag.as_deref(), mark);
                let plain = if style == ScalarStyle::Plain { Plain::Yes } else { Plain::No };
                let text = match &tag {
                    // An exclusion without quotes: go on as if they were there, so that it is told once.
                    Some(tag) if tag.handle == "!" && text.is_empty() => format!("!{}", tag.suffix).into(),
                    Some(tag) if tag.handle == "!" && &*text == "~" => format!("!{}", tag.suffix).into(),
                    _ => text,
                };
                let value = match (&*text, plain) {
                    ("" | "~" | "null" | "Null" | "NULL", Plain::Yes) => Value::Null,
                    _ => Value::Scalar { text: text.into_owned(), plain },
                };
                self.finish(Node { mark, value, weight: 1 }, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.check_tag(tag.as_deref(), mark);
                self.open(mark, anchor, Inside::Sequence(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.check_tag(tag.as_deref(), mark);
                self.open(mark, anchor, Inside::Mapping { entries: Vec::new(), lines: HashMap::new(), key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else { return Go::On };
                let value = match open.inside {
                    Inside::Sequence(items) => Value::Sequence(items),
                    Inside::Mapping { entries, .. } => Value::Mapping(entries),
                };
                self.finish(Node { mark: open.mark, value, weight: open.weight }, open.anchor)
            }
        }
    }

    fn check_tag(&mut self, tag: Option<&Tag>, mark: Mark) {
        let Some(tag) = tag else { return };
        let hint = "put quotes around a pattern that begins with '!'";
        let tag = format!("{}{}", tag.handle, tag.suffix);
        self.problems.push(problem(mark, ProblemKind::Tag { tag }, Some(hint)));
    }

    fn open(&mut self, mark: Mark, anchor: usize, inside: Inside) -> Go {
        if self.open.len() >= DEEPEST {
            self.problems.push(problem(mark, ProblemKind::TooDeep { limit: DEEPEST }, None));
            return Go::Stop;
        }
        self.open.push(Open { mark, anchor, weight: 1, inside });
        Go::On
    }

    fn finish(&mut self, node: Node, anchor: usize) -> Go {
        let node = Rc::new(node);
        if anchor > 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        self.add(node)
    }

    /// Puts a finished value where it belongs.
    fn add(&mut self, node: Rc<Node>) -> Go {
        let mark = node.mark;
        if node.weight > MOST_VALUES {
            self.problems.push(problem(mark, ProblemKind::TooManyValues { limit: MOST_VALUES }, None));
            return Go::Stop;
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Go::On;
        };
        open.weight = open.weight.saturating_add(node.weight);
        match &mut open.inside {
            Inside::Sequence(items) => items.push(node),
            Inside::Mapping { entries, lines, key } => match key.take() {
                None => *key = Some(node),
                Some(key) => {
                    let at = key.mark;
                    let Value::Scalar { text, plain } = &key.value else {
                        self.problems.push(problem(at, ProblemKind::KeyNotText, None));
                        return Go::On;
                    };
                    if text == "<<" && *plain == Plain::Yes {
                        let hint = "write the keys out; a whole value can be repeated with an alias";
                        self.problems.push(problem(at, ProblemKind::MergeKey, Some(hint)));
                        return Go::On;
                    }
                    if let Some(&first_line) = lines.get(text) {
                        let what = ProblemKind::DuplicateKey { key: text.clone(), first_line };
                        self.problems.push(problem(at, what, Some("keep one of them")));
                        return Go::On;
                    }
                    lines.insert(text.clone(), at.line);
                    entries.push(Entry { key: text.clone(), mark: at, value: node });
                }
            },
        }
        Go::On
    }
}
