//! Users and roles, with what they may do and who may be them.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::document::{Document, Kind};
use super::judge::{Paper, Papers};
use super::managed;
use super::principal::{Principal, Who};
use crate::error::{Answer, ServiceError};

/// A role's longest session unless it says otherwise, in seconds.
pub(super) const USUAL_SESSION: i64 = 3600;

/// A user or a role to be made. Making one that is there replaces it.
#[derive(Debug, Clone, Default)]
pub struct Definition {
    /// `/` or `/service-role/`; empty is `/`.
    pub path: String,
    /// Its own policies by name.
    pub inline: BTreeMap<String, Value>,
    /// ARNs of managed policies.
    pub managed: Vec<String>,
    /// The ARN of the managed policy that is its permissions boundary.
    pub boundary: Option<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Who may assume it; a user has none.
    pub trust: Option<Value>,
    /// A role's longest session in seconds.
    pub longest_session: Option<i64>,
    /// What people wrote about a role.
    pub description: Option<String>,
}

impl Definition {
    /// A role that a service may assume, with one policy of its own.
    pub fn of_service(service: &str, name: &str, policy: Value) -> Self {
        let trust = serde_json::json!({
            "Version": "2012-10-17",
            "Statement": [{ "Effect": "Allow", "Principal": { "Service": service }, "Action": "sts:AssumeRole" }],
        });
        Self { inline: BTreeMap::from([(name.to_owned(), policy)]), trust: Some(trust), ..Self::default() }
    }

    /// With a managed policy.
    #[must_use]
    pub fn with_managed(mut self, arn: &str) -> Self {
        self.managed.push(arn.to_owned());
        self
    }

    /// With a policy of its own.
    #[must_use]
    pub fn with_policy(mut self, name: &str, document: Value) -> Self {
        self.inline.insert(name.to_owned(), document);
        self
    }
}

/// A user or a role.
#[derive(Debug, Clone)]
pub(super) struct Entity {
    pub(super) arn: String,
    pub(super) path: String,
    pub(super) created: Timestamp,
    pub(super) description: Option<String>,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) inline: BTreeMap<String, Arc<Document>>,
    pub(super) managed: BTreeMap<String, Arc<Document>>,
    pub(super) boundary: Option<(String, Arc<Document>)>,
    pub(super) trust: Option<Arc<Document>>,
    /// The same as it was written.
    pub(super) trust_text: Option<String>,
    pub(super) longest_session: i64,
}

/// Everybody.
#[derive(Debug, Default)]
pub(super) struct Directory {
    pub(super) users: BTreeMap<String, Entity>,
    pub(super) roles: BTreeMap<String, Entity>,
    managed: BTreeMap<String, Arc<Document>>,
}

pub(super) fn no_such_entity(what: &str) -> ServiceError {
    ServiceError::with_status(404, "NoSuchEntity", what.to_owned())
}

pub(super) fn no_user(user: &str) -> ServiceError {
    no_such_entity(&format!("The user with name {user} cannot be found."))
}

pub(super) fn no_role(role: &str) -> ServiceError {
    no_such_entity(&format!("The role with name {role} cannot be found."))
}

/// A document as a text: one that was given as such stays as it is.
fn written(document: &Value) -> String {
    document.as_str().map_or_else(|| document.to_string(), str::to_owned)
}

pub(super) fn read(document: &Value, kind: Kind) -> Answer<Arc<Document>> {
    let read = match document {
        Value::String(text) => Document::parse(text, kind),
        other => Document::read(other, kind),
    };
    read.map(Arc::new).map_err(super::Malformed::into_service)
}

impl Directory {
    pub(super) fn entity(&self, account: &str, kind: &str, name: &str, definition: Definition) -> Answer<Entity> {
        let path = if definition.path.is_empty() { "/" } else { &definition.path };
        let good = (1..=64).contains(&name.len())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c))
            && path.starts_with('/')
            && path.ends_with('/');
        if !good {
            let what =
                format!("{path}{name} is no {kind}'s path and name: 1 to 64 of A-Z a-z 0-9 _+=,.@- behind /.../");
            return Err(ServiceError::bad("ValidationError", what));
        }
        let mut inline = BTreeMap::new();
        for (name, document) in &definition.inline {
            inline.insert(name.clone(), read(document, Kind::Identity)?);
        }
        let mut managed = BTreeMap::new();
        for arn in &definition.managed {
            managed.insert(arn.clone(), self.managed_policy(arn)?);
        }
        let boundary = match definition.boundary {
            Some(arn) => Some((arn.clone(), self.managed_policy(&arn)?)),
            None => None,
        };
        Ok(Entity {
            arn: format!("arn:aws:iam::{account}:{kind}{path}{name}"),
            path: path.to_owned(),
            created: Timestamp::now(),
            description: definition.description,
            tags: definition.tags,
            inline,
            managed,
            boundary,
            trust_text: definition.trust.as_ref().map(written),
            trust: definition.trust.map(|trust| read(&trust, Kind::Trust)).transpose()?,
            longest_session: definition.longest_session.unwrap_or(USUAL_SESSION),
        })
    }

    /// Makes a managed policy, or changes it wherever it hangs.
    pub(super) fn put_managed(&mut self, arn: &str, document: &Value, roles: &[String]) -> Answer<()> {
        let document = read(document, Kind::Identity)?;
        self.managed.insert(arn.to_owned(), Arc::clone(&document));
        for entity in self.users.values_mut().chain(self.roles.values_mut()) {
            if let Some(there) = entity.managed.get_mut(arn) {
                *there = Arc::clone(&document);
            }
        }
        for role in roles {
            let entity = self.roles.get_mut(role).ok_or_else(|| no_role(role))?;
            entity.managed.insert(arn.to_owned(), Arc::clone(&document));
        }
        Ok(())
    }

    /// Attaches a managed policy to a user.
    pub(super) fn attach_to_user(&mut self, user: &str, arn: &str) -> Answer<()> {
        let document = self.managed_policy(arn)?;
        self.users.get_mut(user).ok_or_else(|| no_user(user))?.managed.insert(arn.to_owned(), document);
        Ok(())
    }

    fn managed_policy(&self, arn: &str) -> Answer<Arc<Document>> {
        if let Some(document) = self.managed.get(arn) {
            return Ok(Arc::clone(document));
        }
        let document = managed::document(arn).ok_or_else(|| {
            no_such_entity(&format!(
                "Policy {arn} does not exist or is not attachable; the local cloud knows the policies of the template and a few of AWS's (local/src/iam/managed.rs)"
            ))
        })?;
        read(&document, Kind::Identity)
    }

    /// The user or role behind a principal, and what to call it.
    pub(super) fn behind(&self, principal: &Principal) -> (String, Option<&Entity>) {
        match &principal.who {
            Who::User { name } => (format!("the user {name}"), self.users.get(name)),
            Who::Session { role, .. } => (format!("the role {role}"), self.roles.get(role)),
            Who::Service | Who::Root => (principal.arn.clone(), None),
        }
    }

    /// What a principal's own policies are.
    pub(super) fn papers(&self, principal: &Principal) -> Papers {
        let (holder, entity) = self.behind(principal);
        let mut papers = Papers { holder: holder.clone(), ..Papers::default() };
        let Some(entity) = entity else { return papers };
        let paper = |name: &str, document: &Arc<Document>| Paper {
            holder: holder.clone(),
            name: name.to_owned(),
            document: Arc::clone(document),
        };
        papers.identity = entity.inline.iter().chain(&entity.managed).map(|(name, one)| paper(name, one)).collect();
        papers.boundary = entity.boundary.as_ref().map(|(name, document)| paper(name, document));
        papers
    }
}
