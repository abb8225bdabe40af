//! IAM: who may call what.
//!
//! [`document`] reads policies whole, [`judge`] weighs them, [`directory`] knows the users and roles. [`actions`] says
//! which actions an operation needs on which resources, and [`gate`] asks for them before a call is dispatched. What a
//! service does on somebody's behalf it asks here itself.

mod actions;
pub(crate) mod api;
mod condition;
mod context;
mod directory;
mod document;
pub(crate) mod gate;
mod judge;
mod managed;
mod pattern;
mod principal;
mod refusal;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use jiff::Timestamp;
use serde_json::{Value, json};

pub(crate) use self::actions::s3 as s3_actions;
pub use self::context::Context;
pub use self::directory::Definition;
pub use self::document::{Document, Kind, Malformed};
pub use self::judge::Use;
pub use self::principal::Principal;
pub use self::refusal::{PolicyType, Refusal, Why};

use self::directory::{Directory, Entity, no_role, no_user};
use self::judge::{Asked, Guard, Paper};
use self::pattern::{Pattern, Variables, Wildcards};
use self::principal::Who;
use crate::auth::Caller;
use crate::error::{Answer, ServiceError};
use crate::sts::principal_id;

/// The user that an account here begins with.
pub const ADMINISTRATOR: &str = "developer";

/// The role that an account here begins with, for `CodeBuild` projects.
pub const BUILD_ROLE: &str = "build";

/// How many resource policies are kept read, and how many refusals are remembered.
const KEPT: usize = 1000;

/// One thing that is to be allowed.
#[derive(Debug, Clone)]
pub struct Need {
    /// For instance `codecommit:GetBranch`.
    pub action: String,
    /// The ARN of what it is done to; `*` where the action knows no resource.
    pub resource: String,
    /// What the service says of the request.
    pub context: Context,
    /// The account that the resource belongs to, where its ARN does not tell.
    pub owner: Option<String>,
}

impl Need {
    /// An action on a resource.
    pub fn new(action: impl Into<String>, resource: impl Into<String>) -> Self {
        Self { action: action.into(), resource: resource.into(), context: Context::default(), owner: None }
    }

    /// Done to what belongs to this account.
    #[must_use]
    pub fn owned_by(mut self, account: &str) -> Self {
        self.owner = Some(account.to_owned());
        self
    }

    /// The account that the resource belongs to, where that is known.
    fn account(&self) -> Option<&str> {
        self.owner.as_deref().or_else(|| judge::account_of(&self.resource))
    }

    /// With what the service says of the request.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.context = self.context.with(key, value);
        self
    }
}

/// The users, the roles and the judgement of one account, as one of its regions sees them.
#[derive(Debug)]
pub struct Iam {
    region: String,
    account: Arc<Account>,
    accounts: Arc<Accounts>,
}

/// All accounts that are played, by their ids: a role of one may trust another.
type Accounts = RwLock<BTreeMap<String, Arc<Account>>>;

/// What all regions of an account share.
#[derive(Debug)]
struct Account {
    id: String,
    directory: RwLock<Directory>,
    /// Resource policies by their text.
    read: Mutex<HashMap<String, Arc<Document>>>,
    uses: Mutex<BTreeSet<Use>>,
    refusals: Mutex<VecDeque<String>>,
}

impl Iam {
    /// The first account, with the administrator `developer` and a role `build` that `CodeBuild` may assume.
    pub fn new(account: &str, region: &str) -> Self {
        let iam = Self::administered(account, region, Arc::default());
        let builds = json!({
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "WriteLogs",
                    "Effect": "Allow",
                    "Action": ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
                    "Resource": format!("arn:aws:logs:*:{account}:log-group:*"),
                },
                {
                    "Sid": "FetchSources",
                    "Effect": "Allow",
                    "Action": "codecommit:GitPull",
                    "Resource": format!("arn:aws:codecommit:*:{account}:*"),
                },
            ],
        });
        let build = Definition::of_service("codebuild.amazonaws.com", "builds", builds);
        if let Err(error) = iam.put_role(BUILD_ROLE, build) {
            // Only a slip in the lines above could do it, and the tests would see it.
            tracing::error!(%error, "the account begins without its own role");
        }
        iam
    }

    /// An account among others, with the administrator `developer`.
    fn administered(account: &str, region: &str, accounts: Arc<Accounts>) -> Self {
        let all = Arc::new(Account {
            id: account.to_owned(),
            directory: RwLock::default(),
            read: Mutex::default(),
            uses: Mutex::default(),
            refusals: Mutex::default(),
        });
        accounts.write().unwrap_or_else(PoisonError::into_inner).insert(account.to_owned(), Arc::clone(&all));
        let iam = Self { region: region.to_owned(), account: all, accounts };
        let administrator = Definition::default().with_managed("arn:aws:iam::aws:policy/AdministratorAccess");
        if let Err(error) = iam.put_user(ADMINISTRATOR, administrator) {
            // Only a slip in the lines above could do it, and the tests would see it.
            tracing::error!(%error, "the account begins without its own user");
        }
        iam
    }

    /// Another account beside this one, as this region sees it, with the administrator `developer`.
    #[must_use]
    pub(crate) fn in_account(&self, account: &str) -> Self {
        Self::administered(account, &self.region, Arc::clone(&self.accounts))
    }

    /// The same account as another region sees it.
    #[must_use]
    pub fn in_region(&self, region: &str) -> Self {
        let (account, accounts) = (Arc::clone(&self.account), Arc::clone(&self.accounts));
        Self { region: region.to_owned(), account, accounts }
    }

    /// Makes a user, or replaces it.
    ///
    /// # Errors
    /// `MalformedPolicyDocument`, `NoSuchEntity` for a managed policy that is not there, `ValidationError`.
    pub fn put_user(&self, name: &str, definition: Definition) -> Answer<()> {
        self.change(|directory| {
            let user = directory.entity(&self.account.id, "user", name, definition)?;
            directory.users.insert(name.to_owned(), user);
            Ok(())
        })
    }

    /// Makes a role, or replaces it.
    ///
    /// # Errors
    /// As [`Iam::put_user`]; a role without trust.
    pub fn put_role(&self, name: &str, definition: Definition) -> Answer<()> {
        if definition.trust.is_none() {
            let what = "Value at 'assumeRolePolicyDocument' failed to satisfy constraint: Member must not be null";
            return Err(ServiceError::bad("ValidationError", what));
        }
        self.change(|directory| {
            let role = directory.entity(&self.account.id, "role", name, definition)?;
            directory.roles.insert(name.to_owned(), role);
            Ok(())
        })
    }

    /// Gives a role a policy of its own, or changes it.
    ///
    /// # Errors
    /// `NoSuchEntity`, `MalformedPolicyDocument`.
    pub fn put_role_policy(&self, role: &str, policy: &str, document: &Value) -> Answer<()> {
        let document = directory::read(document, Kind::Identity)?;
        self.change(|directory| {
            directory.roles.get_mut(role).ok_or_else(|| no_role(role))?.inline.insert(policy.to_owned(), document);
            Ok(())
        })
    }

    /// Gives a user a policy of its own, or changes it.
    ///
    /// # Errors
    /// `NoSuchEntity`, `MalformedPolicyDocument`.
    pub fn put_user_policy(&self, user: &str, policy: &str, document: &Value) -> Answer<()> {
        let document = directory::read(document, Kind::Identity)?;
        self.change(|directory| {
            directory.users.get_mut(user).ok_or_else(|| no_user(user))?.inline.insert(policy.to_owned(), document);
            Ok(())
        })
    }

    /// Makes a managed policy of this account, or changes it; attaches it to roles.
    ///
    /// # Errors
    /// `NoSuchEntity`, `MalformedPolicyDocument`.
    pub fn put_managed_policy(&self, arn: &str, document: &Value, roles: &[String]) -> Answer<()> {
        self.change(|directory| directory.put_managed(arn, document, roles))
    }

    /// Attaches a managed policy to a user.
    ///
    /// # Errors
    /// `NoSuchEntity`.
    pub fn attach_user_policy(&self, user: &str, arn: &str) -> Answer<()> {
        self.change(|directory| directory.attach_to_user(user, arn))
    }

    /// The ARN of a role by its name.
    pub fn role_arn(&self, name: &str) -> Option<String> {
        self.look(|directory| directory.roles.get(name).map(|role| role.arn.clone()))
    }

    /// The ARN of a user by its name.
    pub(crate) fn user_arn(&self, name: &str) -> Option<String> {
        self.look(|directory| directory.users.get(name).map(|user| user.arn.clone()))
    }

    /// Whether an ARN names somebody of this account: a user, a session of a role, the account itself.
    pub(crate) fn is_known(&self, arn: &str) -> bool {
        let principal = self.principal(arn);
        let is_here = principal.account == self.account.id;
        is_here && (principal.who == Who::Root || self.look(|directory| directory.behind(&principal).1.is_some()))
    }

    /// A role's longest session in seconds, in whichever account it is.
    pub(crate) fn longest_session(&self, role_arn: &str) -> i64 {
        let there = self.role(role_arn, |role| role.longest_session);
        there.unwrap_or(directory::USUAL_SESSION)
    }

    /// Looks at a role of any account.
    fn role<R>(&self, role_arn: &str, look: impl FnOnce(&Entity) -> R) -> Option<R> {
        let accounts = self.accounts.read().unwrap_or_else(PoisonError::into_inner);
        let account = accounts.get(judge::account_of(role_arn)?)?;
        let directory = account.directory.read().unwrap_or_else(PoisonError::into_inner);
        let name = role_arn.rsplit('/').next().unwrap_or(role_arn);
        directory.roles.get(name).filter(|role| role.arn == role_arn).map(look)
    }

    /// Every statement that has let a request through so far, and what of it did.
    pub fn uses(&self) -> BTreeSet<Use> {
        self.account.uses.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The last refusals, oldest first.
    pub fn refusals(&self) -> Vec<String> {
        self.account.refusals.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Whether a caller may do something, with the policy of what it is done to, if that has one.
    ///
    /// # Errors
    /// Who may not do what, and which statement is in the way or missing.
    pub fn check(&self, caller: &str, need: &Need, policy: Option<&str>) -> Result<(), Refusal> {
        let principal = self.principal(caller);
        let extra = self.of_principal(&principal);
        self.judge(&principal, need, Guard::Policy, extra, self.resource_paper(&need.resource, policy))
    }

    /// Whether a session of a role may do something; for services that act for the role.
    ///
    /// # Errors
    /// As [`Iam::check`].
    pub fn check_session(&self, role: &str, session: &str, need: &Need, policy: Option<&str>) -> Result<(), Refusal> {
        self.check(&format!("arn:aws:sts::{}:assumed-role/{role}/{session}", self.account.id), need, policy)
    }

    /// Whether a service may do something for one of its resources: only the policy of what it is done to is asked.
    ///
    /// # Errors
    /// As [`Iam::check`].
    pub fn check_service(
        &self,
        service: &str,
        source_arn: &str,
        need: &Need,
        policy: Option<&str>,
    ) -> Result<(), Refusal> {
        let extra = Context::default()
            .with("aws:SourceArn", source_arn)
            .with("aws:SourceAccount", &self.account.id)
            .with("aws:SourceOwner", &self.account.id)
            .with("aws:PrincipalServiceName", service)
            .with_all("aws:PrincipalServiceNamesList", [service.to_owned()]);
        let paper = self.resource_paper(&need.resource, policy);
        self.judge(&Principal::service(service), need, Guard::Policy, extra, paper)
    }

    /// Whether a caller may assume a role, here or in another account: across accounts both must agree.
    ///
    /// # Errors
    /// As [`Iam::check`]; a role that does not exist is refused alike.
    pub fn check_assume(&self, caller: &Caller, role_arn: &str, said: Context) -> Result<(), Refusal> {
        let principal = self.principal(&caller.arn);
        let mut extra = self.of_principal(&principal);
        extra.extend(said);
        self.judge(&principal, &assume(role_arn), Guard::Trust, extra, self.trust_paper(role_arn))
    }

    /// Whether a service may assume a role.
    ///
    /// # Errors
    /// As [`Iam::check`]; a role that does not exist is refused alike.
    pub fn check_assume_by_service(&self, service: &str, role_arn: &str) -> Result<(), Refusal> {
        let extra = Context::default().with("aws:SourceAccount", &self.account.id);
        let paper = self.trust_paper(role_arn);
        self.judge(&Principal::service(service), &assume(role_arn), Guard::Trust, extra, paper)
    }

    fn judge(
        &self,
        principal: &Principal,
        need: &Need,
        guard: Guard,
        extra: Context,
        resource: Result<Option<Paper>, String>,
    ) -> Result<(), Refusal> {
        let mut context = self.of_request(principal, need);
        context.extend(extra);
        context.extend(need.context.clone());
        let owner = need.account();
        let asked =
            Asked { principal, action: &need.action, resource: &need.resource, owner, context: &context, guard };
        let verdict = match resource {
            Ok(resource) => {
                let mut papers = self.look(|directory| directory.papers(principal));
                papers.resource = resource;
                judge::judge(&asked, &papers)
            }
            // A policy that cannot be read might deny.
            Err(told) => Err(Refusal {
                principal: principal.arn.clone(),
                action: need.action.clone(),
                resource: need.resource.clone(),
                why: Why::NotAllowed { policy: PolicyType::Resource, told },
            }),
        };
        match verdict {
            Ok(uses) => {
                let mut known = self.account.uses.lock().unwrap_or_else(PoisonError::into_inner);
                known.extend(uses);
                Ok(())
            }
            Err(refusal) => {
                tracing::info!(%refusal, "refused");
                let mut refusals = self.account.refusals.lock().unwrap_or_else(PoisonError::into_inner);
                if refusals.len() >= KEPT {
                    refusals.pop_front();
                }
                refusals.push_back(refusal.to_string());
                Err(refusal)
            }
        }
    }

    /// Whoever an ARN names; one that names nobody is a user without policies.
    fn principal(&self, arn: &str) -> Principal {
        Principal::of(arn, |role| self.role_arn(role)).unwrap_or_else(|| Principal {
            arn: arn.to_owned(),
            account: String::new(),
            who: Who::User { name: String::new() },
        })
    }

    /// What every request carries.
    fn of_request(&self, principal: &Principal, need: &Need) -> Context {
        let now = Timestamp::now();
        let by_service = principal.who == Who::Service;
        Context::default()
            .with("aws:CurrentTime", now.to_string())
            .with("aws:EpochTime", now.as_second().to_string())
            // The endpoint is on loopback: nobody listens in between.
            .with("aws:SecureTransport", "true")
            .with("aws:RequestedRegion", &self.region)
            .with("aws:ResourceAccount", need.account().unwrap_or(&self.account.id))
            .with("aws:ViaAWSService", "false")
            .with("aws:PrincipalIsAWSService", by_service.to_string())
            .with("aws:PrincipalType", principal.kind())
            .with_if("aws:PrincipalArn", principal.principal_arn())
            .with_if("aws:PrincipalAccount", Some(&principal.account).filter(|account| !account.is_empty()))
            .with_if("aws:SourceIp", (!by_service).then_some("127.0.0.1"))
    }

    /// What a user or a session brings along.
    fn of_principal(&self, principal: &Principal) -> Context {
        let name = match &principal.who {
            Who::User { name } => Some(name),
            _ => None,
        };
        let mut context =
            Context::default().with("aws:userid", principal_id(&principal.arn)).with_if("aws:username", name);
        let tags = self.look(|directory| directory.behind(principal).1.map(|entity| entity.tags.clone()));
        for (tag, value) in tags.unwrap_or_default() {
            context = context.with(&format!("aws:PrincipalTag/{tag}"), value);
        }
        context
    }

    fn resource_paper(&self, resource: &str, policy: Option<&str>) -> Result<Option<Paper>, String> {
        let Some(text) = policy.filter(|text| !text.is_empty()) else { return Ok(None) };
        let mut read = self.account.read.lock().unwrap_or_else(PoisonError::into_inner);
        let document = match read.get(text) {
            Some(document) => Arc::clone(document),
            None => {
                let document = Document::parse(text, Kind::Resource)
                    .map(Arc::new)
                    .map_err(|wrong| format!("the policy of {resource} cannot be read: {wrong}"))?;
                if read.len() >= KEPT {
                    read.clear();
                }
                read.insert(text.to_owned(), Arc::clone(&document));
                document
            }
        };
        Ok(Some(Paper { holder: holder_of(resource).to_owned(), name: String::new(), document }))
    }

    fn trust_paper(&self, role_arn: &str) -> Result<Option<Paper>, String> {
        let name = role_arn.rsplit('/').next().unwrap_or(role_arn);
        let document = self.role(role_arn, |role| role.trust.clone()).flatten();
        Ok(document.map(|document| Paper {
            holder: format!("the role {name}"),
            name: "AssumeRolePolicyDocument".to_owned(),
            document,
        }))
    }

    fn look<R>(&self, look: impl FnOnce(&Directory) -> R) -> R {
        look(&self.account.directory.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change<R>(&self, change: impl FnOnce(&mut Directory) -> R) -> R {
        change(&mut self.account.directory.write().unwrap_or_else(PoisonError::into_inner))
    }
}

fn assume(role_arn: &str) -> Need {
    Need::new("sts:AssumeRole", role_arn)
}

/// Whether a text fits a pattern in which `*` stands for any text and `?` for one character, as in a policy.
pub(crate) fn is_like(pattern: &str, text: &str) -> bool {
    let pattern = Pattern::parse(pattern, Variables::Literal, Wildcards::Known);
    pattern.is_ok_and(|pattern| pattern.matches(text, &Context::default()))
}

/// What carries the policy: the bucket of an object, everything else itself.
fn holder_of(resource: &str) -> &str {
    match resource.strip_prefix("arn:aws:s3:::").and_then(|rest| rest.find('/')) {
        Some(slash) => resource.get(.."arn:aws:s3:::".len() + slash).unwrap_or(resource),
        None => resource,
    }
}
