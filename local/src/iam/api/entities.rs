//! Users and roles, and the policies of their own.

use serde_json::Value;

use super::{IamApi, element, invalid, list, tags};
use crate::auth::Caller;
use crate::error::{Answer, ServiceError};
use crate::http::Parameters;
use crate::iam::directory::{Definition, Directory, Entity, no_role, no_such_entity, no_user};
use crate::iam::principal::Who;
use crate::sts::principal_id;

/// The most characters of a policy of its own, white space not counted: of a user, and of a role.
const INLINE: [(Kind, usize); 2] = [(Kind::User, 2048), (Kind::Role, 10_240)];

/// What an operation is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    User,
    Role,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Role => "Role",
        }
    }

    fn name(self, parameters: &Parameters) -> &str {
        parameters.get(if self == Self::User { "UserName" } else { "RoleName" }).unwrap_or_default()
    }

    fn all(self, directory: &Directory) -> &std::collections::BTreeMap<String, Entity> {
        if self == Self::User { &directory.users } else { &directory.roles }
    }

    fn all_mut(self, directory: &mut Directory) -> &mut std::collections::BTreeMap<String, Entity> {
        if self == Self::User { &mut directory.users } else { &mut directory.roles }
    }

    fn missing(self, name: &str) -> ServiceError {
        if self == Self::User { no_user(name) } else { no_role(name) }
    }
}

/// What is shown of a user or role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// As a listing has it: without its tags and its boundary.
    Short,
    Whole,
}

impl IamApi {
    pub(super) fn create_user(&self, parameters: &Parameters) -> Answer<String> {
        self.create(Kind::User, parameters)
    }

    pub(super) fn create_role(&self, parameters: &Parameters) -> Answer<String> {
        self.create(Kind::Role, parameters)
    }

    fn create(&self, kind: Kind, parameters: &Parameters) -> Answer<String> {
        let name = kind.name(parameters);
        let text = |member: &str| parameters.get(member).map(str::to_owned);
        let definition = Definition {
            path: text("Path").unwrap_or_default(),
            boundary: text("PermissionsBoundary"),
            tags: tags(parameters).into_iter().collect(),
            trust: text("AssumeRolePolicyDocument").map(Value::String),
            longest_session: text("MaxSessionDuration").and_then(|seconds| seconds.parse().ok()),
            description: text("Description"),
            ..Definition::default()
        };
        let account = &self.world.account;
        self.world.iam.change(|directory| {
            // Names differ by more than their case.
            if kind.all(directory).keys().any(|there| there.eq_ignore_ascii_case(name)) {
                let what = format!("{} with name {name} already exists.", kind.word());
                return Err(ServiceError::with_status(409, "EntityAlreadyExists", what));
            }
            let made = directory.entity(account, &kind.word().to_lowercase(), name, definition)?;
            let shown = shown(kind, name, &made, Shown::Whole);
            kind.all_mut(directory).insert(name.to_owned(), made);
            Ok(format!("<{0}>{shown}</{0}>", kind.word()))
        })
    }

    pub(super) fn get_user(&self, parameters: &Parameters, caller: &Caller) -> Answer<String> {
        if parameters.get("UserName").is_some() {
            return self.get(Kind::User, Kind::User.name(parameters));
        }
        match self.world.iam.principal(&caller.arn).who {
            Who::User { name } => self.get(Kind::User, &name),
            _ => Err(invalid("Must specify userName when calling with non-User credentials")),
        }
    }

    pub(super) fn get_role(&self, parameters: &Parameters) -> Answer<String> {
        self.get(Kind::Role, Kind::Role.name(parameters))
    }

    fn get(&self, kind: Kind, name: &str) -> Answer<String> {
        self.world.iam.look(|directory| {
            let entity = kind.all(directory).get(name).ok_or_else(|| kind.missing(name))?;
            Ok(format!("<{0}>{1}</{0}>", kind.word(), shown(kind, name, entity, Shown::Whole)))
        })
    }

    pub(super) fn list_users(&self, parameters: &Parameters) -> Answer<String> {
        self.list(Kind::User, "Users", parameters)
    }

    pub(super) fn list_roles(&self, parameters: &Parameters) -> Answer<String> {
        self.list(Kind::Role, "Roles", parameters)
    }

    fn list(&self, kind: Kind, members: &str, parameters: &Parameters) -> Answer<String> {
        let prefix = parameters.get("PathPrefix").unwrap_or("/");
        self.world.iam.look(|directory| {
            let found = kind.all(directory).iter().filter(|(_, entity)| entity.path.starts_with(prefix));
            let found = found.map(|(name, entity)| (name.clone(), (name, entity)));
            let (page, more) = self.page((&format!("List{members}"), &[prefix]), found, parameters)?;
            let page = page.into_iter().map(|(name, entity)| shown(kind, name, entity, Shown::Short));
            Ok(list(members, page) + &more)
        })
    }

    pub(super) fn delete_user(&self, parameters: &Parameters) -> Answer<String> {
        self.delete(Kind::User, parameters)
    }

    pub(super) fn delete_role(&self, parameters: &Parameters) -> Answer<String> {
        self.delete(Kind::Role, parameters)
    }

    fn delete(&self, kind: Kind, parameters: &Parameters) -> Answer<String> {
        let name = kind.name(parameters);
        self.world.iam.change(|directory| {
            let entity = kind.all(directory).get(name).ok_or_else(|| kind.missing(name))?;
            let first = match (entity.inline.is_empty(), entity.managed.is_empty()) {
                (false, _) => "delete policies",
                (true, false) => "detach all policies",
                (true, true) => {
                    kind.all_mut(directory).remove(name);
                    return Ok(String::new());
                }
            };
            let what = format!("Cannot delete entity, must {first} first.");
            Err(ServiceError::with_status(409, "DeleteConflict", what))
        })
    }

    pub(super) fn put_user_policy(&self, parameters: &Parameters) -> Answer<String> {
        self.put_policy(Kind::User, parameters)
    }

    pub(super) fn put_role_policy(&self, parameters: &Parameters) -> Answer<String> {
        self.put_policy(Kind::Role, parameters)
    }

    fn put_policy(&self, kind: Kind, parameters: &Parameters) -> Answer<String> {
        let (name, policy) = (kind.name(parameters), parameters.get("PolicyName").unwrap_or_default());
        let text = parameters.get("PolicyDocument").unwrap_or_default();
        let document = Value::String(text.to_owned());
        let size = text.chars().filter(|c| !c.is_whitespace()).count();
        let most = INLINE.iter().find(|(of, _)| *of == kind).map_or(usize::MAX, |(_, most)| *most);
        let iam = &self.world.iam;
        iam.look(|directory| kind.all(directory).contains_key(name).then_some(()).ok_or_else(|| kind.missing(name)))?;
        if size > most {
            let what =
                format!("Maximum policy size of {most} bytes exceeded for {} {name}", kind.word().to_lowercase());
            return Err(ServiceError::with_status(409, "LimitExceeded", what));
        }
        match kind {
            Kind::User => iam.put_user_policy(name, policy, &document)?,
            Kind::Role => iam.put_role_policy(name, policy, &document)?,
        }
        Ok(String::new())
    }

    pub(super) fn delete_user_policy(&self, parameters: &Parameters) -> Answer<String> {
        self.delete_policy(Kind::User, parameters)
    }

    pub(super) fn delete_role_policy(&self, parameters: &Parameters) -> Answer<String> {
        self.delete_policy(Kind::Role, parameters)
    }

    fn delete_policy(&self, kind: Kind, parameters: &Parameters) -> Answer<String> {
        let (name, policy) = (kind.name(parameters), parameters.get("PolicyName").unwrap_or_default());
        self.world.iam.change(|directory| {
            let entity = kind.all_mut(directory).get_mut(name).ok_or_else(|| kind.missing(name))?;
            let missing = || {
                let whose = kind.word().to_lowercase();
                no_such_entity(&format!("The {whose} policy with name {policy} cannot be found."))
            };
            entity.inline.remove(policy).map(|_| String::new()).ok_or_else(missing)
        })
    }

    pub(super) fn list_user_policies(&self, parameters: &Parameters) -> Answer<String> {
        self.list_policies(Kind::User, parameters)
    }

    pub(super) fn list_role_policies(&self, parameters: &Parameters) -> Answer<String> {
        self.list_policies(Kind::Role, parameters)
    }

    fn list_policies(&self, kind: Kind, parameters: &Parameters) -> Answer<String> {
        let name = kind.name(parameters);
        self.world.iam.look(|directory| {
            let entity = kind.all(directory).get(name).ok_or_else(|| kind.missing(name))?;
            let names = entity.inline.keys().map(|policy| (policy.clone(), policy.clone()));
            let operation = format!("List{}Policies", kind.word());
            let (page, more) = self.page((&operation, &[name]), names, parameters)?;
            let page = page.into_iter().map(|policy| quick_xml::escape::escape(&policy).into_owned());
            Ok(list("PolicyNames", page) + &more)
        })
    }
}

/// The members of a `User` or a `Role`.
fn shown(kind: Kind, name: &str, entity: &Entity, how: Shown) -> String {
    let id = match kind {
        Kind::User => principal_id(&entity.arn),
        // The id of a session is its role's with the session's name behind it.
        Kind::Role => principal_id(&format!("arn:aws:sts:::assumed-role/{name}/-")).replace(":-", ""),
    };
    let word = kind.word();
    let mut told = [
        element("Path", &entity.path),
        element(&format!("{word}Name"), name),
        element(&format!("{word}Id"), &id),
        element("Arn", &entity.arn),
        element("CreateDate", &entity.created.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
    ]
    .concat();
    if kind == Kind::Role {
        let trust = entity.trust_text.as_deref().unwrap_or_default();
        let trust = percent_encoding::utf8_percent_encode(trust, percent_encoding::NON_ALPHANUMERIC).to_string();
        told += &element("AssumeRolePolicyDocument", &trust);
        told += &entity.description.as_deref().map(|text| element("Description", text)).unwrap_or_default();
        told += &element("MaxSessionDuration", &entity.longest_session.to_string());
    }
    if how == Shown::Whole {
        if let Some((boundary, _)) = &entity.boundary {
            let kind = element("PermissionsBoundaryType", "PermissionsBoundaryPolicy");
            told += &format!(
                "<PermissionsBoundary>{kind}{}</PermissionsBoundary>",
                element("PermissionsBoundaryArn", boundary)
            );
        }
        if !entity.tags.is_empty() {
            told +=
                &list("Tags", entity.tags.iter().map(|(key, value)| element("Key", key) + &element("Value", value)));
        }
    }
    told
}
