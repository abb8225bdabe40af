//! The tree of a policy file to its checked types.
//!
//! Every reader goes on after a problem, so that all of them are told at once; what could not be read is left out.

mod file;
mod guard;
mod trigger;

use std::fmt::Display;
use std::rc::Rc;

use crate::glob_syntax::{InvalidGlob, check_glob};
use crate::guard::Pattern;
use crate::keys::{self, Acts, Need, Table};
use crate::names::TriggerName;
use crate::problem::{Note, Problem, ProblemKind, Problems};
use crate::refer::{Defined, Reference, check_references};
use crate::suggest::nearest;
use crate::yaml::{Mark, Node, Plain, Value, parse_yaml};
use crate::{EVERYONE, Globs, PersonName, Policy, Recipient, TeamName};

/// Reads and checks a policy file; the error holds everything that is wrong with it.
///
/// An empty file is [`Policy::none`].
pub fn parse_policy(text: &str) -> Result<Policy, Problems> {
    let (root, problems) = parse_yaml(text);
    let mut reader = Reader { problems, ..Reader::default() };
    let policy = match &root {
        Some(node) => reader.policy(node),
        None => Policy::none(),
    };
    match Problems::new(reader.problems) {
        Some(problems) => Err(problems),
        None => Ok(policy),
    }
}

/// A value of the tree, the key that leads to it, and the way there.
#[derive(Debug, Clone)]
struct Place<'a> {
    node: &'a Node,
    /// Where its key is, or the value itself in a list.
    key: Mark,
    path: String,
}

impl<'a> Place<'a> {
    fn below(&self, key: &str, mark: Mark, node: &'a Node) -> Self {
        let bare = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
        let step = if bare { key.to_owned() } else { format!("{key:?}") };
        let path = if self.path.is_empty() { step } else { format!("{}.{step}", self.path) };
        Place { node, key: mark, path }
    }

    fn is_null(&self) -> bool {
        matches!(self.node.value, Value::Null)
    }
}

/// The values of a mapping whose keys are known.
struct Fields<'a> {
    found: Vec<(&'static str, Place<'a>)>,
}

impl<'a> Fields<'a> {
    fn get(&self, name: &str) -> Option<&Place<'a>> {
        self.found.iter().find(|(key, _)| *key == name).map(|(_, place)| place)
    }
}

/// What the patterns of a list are about; decides what else must hold for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    Branches,
    Tags,
    Paths,
    Text,
}

#[derive(Default)]
struct Reader {
    problems: Vec<Problem>,
    notes: Vec<Note>,
    /// Where the section that is read asks for push permissions.
    push_watches: Vec<(Mark, String)>,
    people: Vec<PersonName>,
    teams: Vec<TeamName>,
    defined: Vec<Defined>,
    references: Vec<Reference>,
}

impl Reader {
    fn problem(&mut self, mark: Mark, path: &str, what: ProblemKind, hint: Option<String>) {
        self.problems.push(Problem { line: mark.line, column: mark.column, path: path.to_owned(), what, hint });
    }

    fn at(&mut self, place: &Place<'_>, what: ProblemKind, hint: Option<String>) {
        self.problem(place.node.mark, &place.path, what, hint);
    }

    fn wrong_type(&mut self, place: &Place<'_>, expected: &str, hint: Option<String>) {
        let found = match &place.node.value {
            Value::Null => return self.empty(place),
            Value::Scalar { text, .. } => format!("{:?}", text.chars().take(40).collect::<String>()),
            Value::Sequence(_) => "a list".to_owned(),
            Value::Mapping(_) => "a mapping".to_owned(),
        };
        self.at(place, ProblemKind::WrongType { expected: expected.to_owned(), found }, hint);
    }

    fn empty(&mut self, place: &Place<'_>) {
        let what = place.path.rsplit('.').next().unwrap_or_default().to_owned();
        let hint = if place.path.ends_with(']') {
            "give it a value, or leave it out"
        } else {
            "give it a value, or leave the key out"
        };
        let hint = hint.to_owned();
        self.problem(place.key, &place.path, ProblemKind::Empty { what }, Some(hint));
    }

    fn invalid(&mut self, place: &Place<'_>, message: impl Display, hint: Option<&str>) {
        self.at(place, ProblemKind::Invalid { message: message.to_string() }, hint.map(str::to_owned));
    }

    fn conflict(&mut self, place: &Place<'_>, message: &str, hint: Option<&str>) {
        let what = ProblemKind::Conflict { message: message.to_owned() };
        self.problem(place.key, &place.path, what, hint.map(str::to_owned));
    }

    fn note(&mut self, mark: Mark, path: &str, what: String) {
        self.notes.push(Note { line: mark.line, column: mark.column, path: path.to_owned(), what });
    }

    /// The values of a mapping with known keys; unknown and missing ones are told. An absent value is an empty mapping.
    fn fields<'a>(&mut self, place: &Place<'a>, table: &'static Table) -> Option<Fields<'a>> {
        let entries: &'a [_] = match &place.node.value {
            Value::Mapping(entries) => entries,
            Value::Null => &[],
            _ => {
                let keys: Vec<&str> = table.keys.iter().map(|key| key.name).collect();
                self.wrong_type(place, "a mapping", Some(format!("its keys are {}", keys.join(", "))));
                return None;
            }
        };
        let mut found = Vec::new();
        for entry in entries {
            let below = place.below(&entry.key, entry.mark, &entry.value);
            match table.keys.iter().find(|key| key.name == entry.key) {
                Some(key) => {
                    let missing = match key.acts {
                        Acts::Now => None,
                        Acts::Later => Some("is checked but does nothing in this version".to_owned()),
                        Acts::HoldsBack => {
                            Some(format!("is checked, and {} with it does not act in this version", table.name))
                        }
                    };
                    if let Some(missing) = missing {
                        self.note(entry.mark, &below.path, format!("{:?} {missing}", key.name));
                    }
                    found.push((key.name, below));
                }
                None => {
                    let key = entry.key.chars().take(80).collect();
                    let what = ProblemKind::UnknownKey { key, mapping: table.name.to_owned() };
                    self.problem(entry.mark, &place.path, what, Some(unknown_key_hint(&entry.key, table)));
                }
            }
        }
        for key in table.keys.iter().filter(|key| key.need == Need::Required) {
            if !found.iter().any(|(name, _)| *name == key.name) {
                let what = ProblemKind::MissingKey { key: key.name.to_owned(), mapping: table.name.to_owned() };
                self.problem(place.key, &place.path, what, Some(format!("its value: {}", key.value)));
            }
        }
        Some(Fields { found })
    }

    /// The entries of a mapping whose keys are free.
    fn entries<'a>(&mut self, place: &Place<'a>, expected: &str) -> Vec<(&'a str, Place<'a>)> {
        match &place.node.value {
            Value::Mapping(entries) => {
                entries.iter().map(|entry| (&*entry.key, place.below(&entry.key, entry.mark, &entry.value))).collect()
            }
            Value::Null => Vec::new(),
            _ => {
                self.wrong_type(place, expected, None);
                Vec::new()
            }
        }
    }

    /// The items of a list that may be empty.
    fn items<'a>(&mut self, place: &Place<'a>, expected: &str) -> Vec<Place<'a>> {
        match &place.node.value {
            Value::Sequence(items) => items_of(place, items),
            Value::Null => Vec::new(),
            _ => {
                self.wrong_type(place, expected, Some("begin each item with \"- \"".to_owned()));
                Vec::new()
            }
        }
    }

    /// The texts of a list, or the one text that stands in its place; an empty list is a problem.
    fn texts<'a>(&mut self, place: &Place<'a>, expected: &str) -> Vec<(Place<'a>, &'a str)> {
        let items = match &place.node.value {
            Value::Sequence(items) if items.is_empty() => {
                self.empty(place);
                Vec::new()
            }
            Value::Sequence(items) => items_of(place, items),
            Value::Scalar { .. } => vec![place.clone()],
            _ => {
                self.wrong_type(place, expected, None);
                Vec::new()
            }
        };
        items
            .into_iter()
            .filter_map(|item| {
                let text = self.text(&item, "a text")?;
                Some((item, text))
            })
            .collect()
    }

    fn text<'a>(&mut self, place: &Place<'a>, expected: &str) -> Option<&'a str> {
        match &place.node.value {
            Value::Scalar { text, .. } => Some(text),
            _ => {
                self.wrong_type(place, expected, None);
                None
            }
        }
    }

    /// A text that one of the names' constructors accepts.
    fn parsed<'a, T, E: Display>(
        &mut self,
        place: &Place<'a>,
        expected: &str,
        parse: impl FnOnce(&'a str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(place, expected)?;
        match parse(text) {
            Ok(value) => Some(value),
            Err(error) => {
                self.invalid(place, error, None);
                None
            }
        }
    }

    /// The same, for a key that may be missing.
    fn field<'a, T, E: Display>(
        &mut self,
        fields: &Fields<'a>,
        name: &str,
        expected: &str,
        parse: impl FnOnce(&'a str) -> Result<T, E>,
    ) -> Option<T> {
        fields.get(name).and_then(|place| self.parsed(place, expected, parse))
    }

    /// One word of a closed list.
    fn word<T: Copy>(&mut self, place: &Place<'_>, words: &[(&str, T)]) -> Option<T> {
        let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
        let text = self.text(place, &format!("one of {}", names.join(", ")))?;
        let found = words.iter().find(|(name, _)| *name == text).map(|&(_, value)| value);
        if found.is_none() {
            let hint = nearest(text, names.iter().copied()).map(|name| format!("did you mean {name:?}?"));
            let word = text.chars().take(80).collect();
            self.at(place, ProblemKind::UnknownWord { word, expected: names.join(", ") }, hint);
        }
        found
    }

    fn word_field<T: Copy + Default>(&mut self, fields: &Fields<'_>, name: &str, words: &[(&str, T)]) -> T {
        fields.get(name).and_then(|place| self.word(place, words)).unwrap_or_default()
    }

    fn word_list<T: Copy + PartialEq>(&mut self, fields: &Fields<'_>, name: &str, words: &[(&str, T)]) -> Vec<T> {
        let mut out = Vec::new();
        let Some(place) = fields.get(name) else { return out };
        for (item, _) in self.texts(place, "a list of words") {
            if let Some(word) = self.word(&item, words)
                && !out.contains(&word)
            {
                out.push(word);
            }
        }
        out
    }

    /// `true` or `false`, without quotes, as the outcome that it stands for.
    fn switch<T: Copy + Default>(&mut self, fields: &Fields<'_>, name: &str, yes: T, no: T) -> T {
        let Some(place) = fields.get(name) else { return T::default() };
        match &place.node.value {
            Value::Scalar { text, plain: Plain::Yes } if matches!(&**text, "true" | "True" | "TRUE") => yes,
            Value::Scalar { text, plain: Plain::Yes } if matches!(&**text, "false" | "False" | "FALSE") => no,
            Value::Scalar { text, .. } => {
                let hint = match &*text.to_ascii_lowercase() {
                    "yes" | "on" | "true" => Some("write true, without quotes".to_owned()),
                    "no" | "off" | "false" => Some("write false, without quotes".to_owned()),
                    _ => None,
                };
                self.wrong_type(place, "true or false", hint);
                T::default()
            }
            _ => {
                self.wrong_type(place, "true or false", None);
                T::default()
            }
        }
    }

    /// A list of patterns, each told when it is wrong; none when nothing of it could be read.
    fn globs(&mut self, fields: &Fields<'_>, name: &str, about: About) -> Option<Globs> {
        let place = fields.get(name)?;
        let mut patterns = Vec::new();
        for (item, text) in self.texts(place, "a list of patterns") {
            if self.glob(&item, text, about).is_some() {
                patterns.push(text.to_owned());
            }
        }
        (!patterns.is_empty()).then(|| Globs::from_checked(patterns))
    }

    fn glob(&mut self, place: &Place<'_>, text: &str, about: About) -> Option<()> {
        let (sign, glob) = text.strip_prefix('!').map_or(("", text), |glob| ("!", glob));
        let full = match about {
            About::Branches => glob.strip_prefix("refs/heads/"),
            About::Tags => glob.strip_prefix("refs/tags/"),
            About::Paths | About::Text => None,
        };
        if let Some(short) = full {
            let message = format!("the pattern {text:?} is a full ref name, and short names are compared here");
            self.invalid(place, message, Some(&format!("write \"{sign}{short}\"")));
            return None;
        }
        if about == About::Branches && sign.is_empty() && glob.starts_with("quarantine/") {
            self.reserved(place, text, "no job touches the branches below quarantine/");
            return None;
        }
        self.checked_glob(place, text)
    }

    fn checked_glob(&mut self, place: &Place<'_>, text: &str) -> Option<()> {
        match check_glob(text) {
            Ok(_) => Some(()),
            Err(error) => {
                let InvalidGlob { hint, .. } = &error;
                let hint = hint.clone();
                self.invalid(place, &error, hint.as_deref());
                None
            }
        }
    }

    fn reserved(&mut self, place: &Place<'_>, name: &str, hint: &str) {
        self.at(place, ProblemKind::Reserved { name: name.to_owned() }, Some(hint.to_owned()));
    }

    /// A list of regular expressions, or one.
    fn patterns(&mut self, fields: &Fields<'_>, name: &str) -> Vec<Pattern> {
        let Some(place) = fields.get(name) else { return Vec::new() };
        let texts = self.texts(place, "regular expressions");
        texts.into_iter().filter_map(|(item, text)| self.pattern(&item, text)).collect()
    }

    fn pattern(&mut self, place: &Place<'_>, text: &str) -> Option<Pattern> {
        match Pattern::parse(text) {
            Ok(pattern) => Some(pattern),
            Err(error) => {
                let told = error.to_string();
                // The engine draws a picture over several lines; its last line says what is wrong.
                let message = told.lines().last().unwrap_or(&told).trim_start_matches("error: ").to_owned();
                self.at(place, ProblemKind::Regex { message }, None);
                None
            }
        }
    }

    /// The name of a trigger or protection, remembered for the references between them.
    fn define(&mut self, section: usize, kind: &'static str, mark: Mark, path: &str, name: &TriggerName) {
        let name = name.clone();
        self.defined.push(Defined { section, kind, name, line: mark.line, column: mark.column, path: path.to_owned() });
    }

    /// Teams and people; `who` says whether somebody of the policy must be behind each name.
    fn recipients(&mut self, fields: &Fields<'_>, name: &str, who: Who) -> Option<Vec<Recipient>> {
        let place = fields.get(name)?;
        let mut out = Vec::new();
        for (item, text) in self.texts(place, "names of teams and people") {
            if let Some(recipient) = self.recipient(&item, text, who)
                && !out.contains(&recipient)
            {
                out.push(recipient);
            }
        }
        Some(out)
    }

    fn recipient(&mut self, place: &Place<'_>, text: &str, who: Who) -> Option<Recipient> {
        if matches!(text, EVERYONE | "everybody" | "all") {
            let hint = match who {
                Who::Anybody => "leave \"to\" out: then everyone is told",
                Who::Known => "name the teams or people",
            };
            self.reserved(place, text, hint);
            return None;
        }
        if let Some(person) = self.people.iter().find(|person| person.as_str() == text) {
            return Some(Recipient::Person(person.clone()));
        }
        let team = match TeamName::parse(text) {
            Ok(team) => team,
            Err(error) => {
                let known = self.people.iter().map(PersonName::as_str);
                let hint = match nearest(text, known) {
                    Some(near) => format!("did you mean {near:?}?"),
                    None if text.contains('@') => "addresses belong under people: name the person or a team".to_owned(),
                    None => "no person under people has this name either".to_owned(),
                };
                self.invalid(place, error, Some(&hint));
                return None;
            }
        };
        if who == Who::Known && !self.teams.contains(&team) {
            let names = self.teams.iter().map(TeamName::as_str).chain(self.people.iter().map(PersonName::as_str));
            let hint = match nearest(text, names) {
                Some(near) => format!("did you mean {near:?}?"),
                None => "give somebody this team, or this name, under people".to_owned(),
            };
            let what = ProblemKind::Dangling {
                kind: "team or person".to_owned(),
                name: text.to_owned(),
                scope: String::new(),
            };
            self.at(place, what, Some(hint));
            return None;
        }
        Some(Recipient::Team(team))
    }
}

/// Whether somebody of the policy must be behind a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    /// No: a mailing list can subscribe for a team without members.
    Anybody,
    /// Yes: the question would be asked of nobody.
    Known,
}

fn items_of<'a>(place: &Place<'a>, items: &'a [Rc<Node>]) -> Vec<Place<'a>> {
    let item =
        |(at, node): (usize, &'a Rc<Node>)| Place { node, key: node.mark, path: format!("{}[{at}]", place.path) };
    items.iter().enumerate().map(item).collect()
}

fn unknown_key_hint(key: &str, table: &Table) -> String {
    if let Some(near) = nearest(key, table.keys.iter().map(|key| key.name)) {
        return format!("did you mean {near:?}?");
    }
    let elsewhere = keys::ALL.iter().find(|other| other.keys.iter().any(|known| known.name == key));
    if let Some(other) = elsewhere {
        return format!("it belongs to {}", other.name);
    }
    let known: Vec<&str> = table.keys.iter().map(|key| key.name).collect();
    format!("its keys are {}", known.join(", "))
}
