//! The file itself, its sections, its people, and who is told about what.

use std::collections::BTreeSet;

use super::{Fields, Place, Reader, Who, check_references};
use crate::glob_index::KeptIndex;
use crate::glob_syntax::check_glob;
use crate::keys::{self, Acts};
use crate::names::{ArnPattern, EmailAddress, PersonName, TeamName};
use crate::problem::ProblemKind;
use crate::suggest::nearest;
use crate::topic::Topic;
use crate::words;
use crate::yaml::{Mark, Node};
use crate::{Globs, NotificationRule, Person, Policy, Section};

impl Reader {
    pub(super) fn policy(&mut self, root: &Node) -> Policy {
        let place = Place { node: root, key: Mark { line: 1, column: 1 }, path: String::new() };
        if place.is_null() {
            return Policy::none();
        }
        let Some(fields) = self.fields(&place, &keys::FILE) else { return Policy::none() };
        let mode = self.word_field(&fields, "mode", words::MODE);
        // People come first, wherever they stand in the file: the sections refer to them.
        let people = fields.get("people").map(|place| self.people(place)).unwrap_or_default();
        let mut sections = Vec::new();
        if let Some(place) = fields.get("repositories") {
            for (pattern, below) in self.entries(place, "a mapping of name patterns to sections") {
                let index = sections.len();
                sections.push(self.section(index, pattern, &below));
            }
        }
        check_references(&sections, &self.defined, &self.references, &mut self.problems);
        self.notes.sort_by_key(|note| (note.line, note.column));
        self.notes.dedup();
        Policy { mode, sections, people, notes: std::mem::take(&mut self.notes) }
    }

    fn section(&mut self, index: usize, pattern: &str, place: &Place<'_>) -> Section {
        let mut section = Section {
            repositories: self.repositories(pattern, place),
            line: place.key.line,
            triggers: Vec::new(),
            approvals: Vec::new(),
            protections: Vec::new(),
            notifications: None,
            replicas: Vec::new(),
            filters: KeptIndex::default(),
            review_filters: KeptIndex::default(),
        };
        let Some(fields) = self.fields(place, &keys::SECTION) else { return section };
        if let Some(place) = fields.get("triggers") {
            for (name, below) in self.entries(place, "a mapping of names to triggers") {
                section.triggers.extend(self.trigger(index, name, &below));
            }
        }
        if let Some(place) = fields.get("approvals") {
            for (pattern, below) in self.entries(place, "a mapping of branch patterns to approvals") {
                section.approvals.extend(self.approval(index, pattern, &below));
            }
        }
        if let Some(place) = fields.get("protection") {
            let items = self.items(place, "a list of protections");
            section.protections = items.iter().filter_map(|item| self.protection(index, item)).collect();
            self.note_idle_watches(&section.protections);
        }
        if let Some(place) = fields.get("notifications") {
            if place.is_null() {
                self.empty(place);
            }
            let items = self.items(place, "a list of rules");
            section.notifications = Some(items.iter().filter_map(|item| self.notification(item)).collect());
        }
        if let Some(place) = fields.get("replicas") {
            let items = self.items(place, "a list of replicas");
            section.replicas = items.iter().filter_map(|item| self.replica(item)).collect();
        }
        section
    }

    /// The pattern of a section's key; a wrong one is told and matches nothing.
    fn repositories(&mut self, pattern: &str, place: &Place<'_>) -> Globs {
        let checked = check_glob(pattern);
        let (message, hint) = match &checked {
            Err(error) => (error.to_string(), error.hint.clone()),
            Ok(_) if pattern.contains('/') => {
                let hint = "write only the name of the repository, such as \"payments-*\"".to_owned();
                (format!("the pattern {pattern:?} holds a slash, and no repository name does"), Some(hint))
            }
            Ok(_) => return Globs::from_checked(vec![pattern.to_owned()]),
        };
        self.problem(place.key, &place.path, ProblemKind::Invalid { message }, hint);
        Globs::nothing()
    }

    fn people(&mut self, place: &Place<'_>) -> Vec<Person> {
        let mut people: Vec<Person> = Vec::new();
        for (arn, below) in self.entries(place, "a mapping of ARNs to people") {
            let arn = self.person_arn(arn, &below);
            let Some(fields) = self.fields(&below, &keys::PERSON) else { continue };
            let name = self.field(&fields, "name", "a text", PersonName::parse);
            let email = self.field(&fields, "email", "an e-mail address", EmailAddress::parse);
            let teams = self.teams(&fields);
            self.people.extend(name.clone());
            self.teams.extend(teams.iter().cloned());
            if let Some(arn) = arn {
                people.push(Person { arn, line: below.key.line, name, email, teams });
            }
        }
        for person in &people {
            if let Some(name) = &person.name
                && self.teams.iter().any(|team| team.as_str() == name.as_str())
            {
                let what = ProblemKind::Conflict { message: format!("{name:?} is a person and a team") };
                let mark = Mark { line: person.line, column: place.node.mark.column };
                self.problem(mark, &place.path, what, Some("rename one: \"to\" could not tell them apart".to_owned()));
            }
        }
        people
    }

    fn person_arn(&mut self, text: &str, place: &Place<'_>) -> Option<ArnPattern> {
        let (message, hint) = match ArnPattern::parse(text) {
            Err(error) => (error.to_string(), "such as arn:aws:iam::111122223333:user/NAME".to_owned()),
            Ok(arn) => {
                let parts: Vec<&str> = text.splitn(6, ':').collect();
                let account = parts.get(4).copied().unwrap_or_default();
                let resource = parts.get(5).copied().unwrap_or_default();
                let before_session = match resource.strip_prefix("assumed-role/") {
                    Some(_) => text.strip_suffix(resource).unwrap_or_default(),
                    None => text,
                };
                if let Some(role) = resource.strip_prefix("role/") {
                    let role = role.rsplit('/').next().unwrap_or(role);
                    let message = format!("{text:?} is a role, and events name its sessions");
                    (
                        message,
                        format!("write \"arn:aws:sts::{account}:assumed-role/{role}/SESSION\", with * for any session"),
                    )
                } else if before_session.contains(['*', '?']) {
                    let message = format!("{text:?} has a wildcard outside the role and session of an assumed role");
                    (message, "name one user, or a pattern behind assumed-role/".to_owned())
                } else {
                    return Some(arn);
                }
            }
        };
        self.problem(place.key, &place.path, ProblemKind::Invalid { message }, Some(hint));
        None
    }

    fn teams(&mut self, fields: &Fields<'_>) -> Vec<TeamName> {
        let Some(place) = fields.get("teams") else { return Vec::new() };
        let items = self.texts(place, "team names");
        items.into_iter().filter_map(|(item, _)| self.parsed(&item, "a team name", TeamName::parse)).collect()
    }

    fn notification(&mut self, place: &Place<'_>) -> Option<NotificationRule> {
        let fields = self.fields(place, &keys::NOTIFICATION)?;
        let to = self.recipients(&fields, "to", Who::Anybody);
        let about = fields.get("about").map(|place| self.topics(place))?;
        Some(NotificationRule { line: place.key.line, about, to })
    }

    /// The topics that a list of patterns stands for; the last match wins, as everywhere.
    fn topics(&mut self, place: &Place<'_>) -> BTreeSet<Topic> {
        let mut patterns = Vec::new();
        for (item, text) in self.texts(place, "topics") {
            // A lone star can only be meant to be everything, though strictly it would stop at the dot.
            let pattern = match text {
                "*" => "**".to_owned(),
                _ => text.replace('.', "/"),
            };
            let matched: Vec<Topic> = match Globs::parse([pattern.trim_start_matches('!')]) {
                Ok(globs) if !text.contains('/') => topics_of(&globs).collect(),
                _ => Vec::new(),
            };
            if matched.is_empty() {
                let hint = match nearest(text, Topic::ALL.iter().map(|topic| topic.name())) {
                    Some(near) => format!("did you mean {near:?}?"),
                    None => unknown_topic_hint(text),
                };
                self.at(&item, ProblemKind::UnknownTopic { pattern: text.chars().take(80).collect() }, Some(hint));
                continue;
            }
            if !text.starts_with('!') && matched.iter().all(|topic| topic.acts() == Acts::Later) {
                self.note(item.node.mark, &item.path, format!("nothing is sent about {text} in this version"));
            }
            patterns.push(pattern);
        }
        if patterns.is_empty() {
            return BTreeSet::new();
        }
        let about: BTreeSet<Topic> = topics_of(&Globs::from_checked(patterns)).collect();
        if about.is_empty() {
            self.conflict(place, "its exclusions leave no topic", None);
        }
        about
    }
}

fn topics_of(globs: &Globs) -> impl Iterator<Item = Topic> {
    Topic::ALL.iter().copied().filter(|topic| globs.matches(&topic.name().replace('.', "/")))
}

/// The topics of the same kind, or the kinds.
fn unknown_topic_hint(text: &str) -> String {
    let kind = |name: &'static str| name.split('.').next().unwrap_or(name);
    let kinds: BTreeSet<&str> = Topic::ALL.iter().map(|topic| kind(topic.name())).collect();
    let meant = text.trim_start_matches('!').split('.').next().unwrap_or(text);
    match nearest(meant, kinds.iter().copied()) {
        Some(near) => {
            let names = Topic::ALL.iter().map(|topic| topic.name()).filter(|name| kind(name) == near);
            format!("the topics about {near} are {}", names.collect::<Vec<_>>().join(", "))
        }
        None => format!("topics begin with {}", kinds.into_iter().collect::<Vec<_>>().join(", ")),
    }
}
