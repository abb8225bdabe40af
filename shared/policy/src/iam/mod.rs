//! What IAM can prevent of what a policy forbids: deny statements, and who does the rest.
//!
//! A function of the checked policy alone. It lives beside the policy because it reads globs as the policy does, and
//! because the command and the protector's rules may both ask it; it knows neither AWS nor an account.
//!
//! The statements are of two kinds, as `CodeCommit`'s condition key asks for. One is about refs: it holds where the request
//! names such a ref, and spares `git push` before its refs are known. The other is about what would undo the protection,
//! where no request names a ref. Merges of pull requests stay allowed unless every `update` is forbidden.

mod acts;
mod form;
mod likeness;
mod principal;
mod pushes;

use std::collections::BTreeSet;

pub use acts::{Act, Guard, May, Row};
pub use form::{Form, LONGEST_STACK, Place, TooLarge};
pub use likeness::RefPatterns;
pub use principal::{Spared, spares};
pub use pushes::{Guarded, guarded_refs};

pub(crate) use acts::refuses_pushes;

use crate::glob_syntax::{Overlap, overlap};
use crate::{ArnPattern, Mode, OnViolation, Policy, Protection, QUARANTINE, Section, Watched};

/// The role that puts refs back; only it may write below the quarantine prefix.
pub const PROTECTOR_ROLE: &str = "ProtectorRole";
/// The stack's roles that push, set the default branch or keep approval rules, by their names in the template.
pub const STACK_ROLES: [&str; 3] = ["ApproverRole", PROTECTOR_ROLE, "ReplicatorRole"];

const PUSH: &str = "codecommit:GitPush";
/// What writes to a branch without a pull request and without git.
const WRITES: [&str; 4] =
    ["codecommit:CreateCommit", "codecommit:DeleteFile", "codecommit:MergeBranchesBy*", "codecommit:PutFile"];
const MERGES: &str = "codecommit:MergePullRequestBy*";
const CREATES: &str = "codecommit:CreateBranch";
const DELETES: &str = "codecommit:DeleteBranch";
/// What ends every ref of a repository under its name.
const ENDS_ALL: [&str; 2] = ["codecommit:DeleteRepository", "codecommit:UpdateRepositoryName"];
const OVERRIDES: &str = "codecommit:OverridePullRequestApprovalRules";
/// What weakens the approval rules of a repository and of its pull requests.
const WEAKENS_RULES: [&str; 4] = [
    "codecommit:BatchDisassociateApprovalRuleTemplateFromRepositories",
    "codecommit:DeletePullRequestApprovalRule",
    "codecommit:DisassociateApprovalRuleTemplateFromRepository",
    "codecommit:UpdatePullRequestApprovalRuleContent",
];
/// Templates belong to the account: no request about one names a repository.
const WEAKENS_TEMPLATES: [&str; 3] = [
    "codecommit:DeleteApprovalRuleTemplate",
    "codecommit:UpdateApprovalRuleTemplateContent",
    "codecommit:UpdateApprovalRuleTemplateName",
];

/// Which repositories a statement is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Repositories {
    /// All whose names fit one of these patterns of IAM.
    These(Vec<String>),
    /// All whose names fit none of these.
    AllBut(Vec<String>),
    /// The account's own things, which belong to no repository.
    Account,
}

/// One deny statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Its name, letters and digits.
    pub sid: String,
    /// What it denies.
    pub actions: BTreeSet<&'static str>,
    /// In which repositories.
    pub repositories: Repositories,
    /// On which refs; none where the request names none.
    pub refs: Option<RefPatterns>,
    /// Whom it leaves alone.
    pub spared: BTreeSet<Spared>,
    /// The line of the policy that asks for it; 0 for the quarantine.
    pub line: usize,
}

/// What becomes of one protection of the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protected {
    /// The line in the policy file.
    pub line: usize,
    /// The section's pattern.
    pub repositories: String,
    /// The refs as the policy has them.
    pub refs: String,
    /// Who may still do what.
    pub rows: Vec<Row>,
    /// Where IAM is narrower than the policy, a sentence each.
    pub narrower: Vec<String>,
}

/// What IAM can prevent of what a policy forbids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prevention {
    /// The mode of the policy.
    pub mode: Mode,
    /// The statements.
    pub statements: Vec<Statement>,
    /// Each protection of the policy.
    pub protected: Vec<Protected>,
}

impl Prevention {
    /// Of a policy; `also` are principals that every statement spares.
    pub fn of(policy: &Policy, also: &[ArnPattern]) -> Self {
        let mut statements = Vec::new();
        let mut protected = Vec::new();
        for section in &policy.sections {
            let (repositories, unsaid) = repositories_of(section);
            for protection in &section.protections {
                let narrower = unsaid.clone().into_iter().collect();
                let reach = if repositories.is_some() { Reach::Repositories } else { Reach::Nothing };
                let mut one = Builder { policy, section, protection, also, narrower, reach };
                if let Some(repositories) = &repositories {
                    statements.extend(one.statements(repositories));
                }
                protected.push(one.told());
            }
        }
        statements.extend(quarantine(policy, also));
        Self { mode: policy.mode, statements: merged(statements), protected }
    }
}

/// One protection on its way to statements.
struct Builder<'a> {
    policy: &'a Policy,
    section: &'a Section,
    protection: &'a Protection,
    also: &'a [ArnPattern],
    narrower: Vec<String>,
    reach: Reach,
}

/// How much of a protection IAM can name; each holds what stands before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    Nothing,
    Repositories,
    Refs,
}

impl Builder<'_> {
    fn statements(&mut self, repositories: &Repositories) -> Vec<Statement> {
        if self.protection.on_violation == OnViolation::Report {
            return Vec::new();
        }
        let mut statements = Vec::new();
        let spared = self.spared();
        let mut deny = |sid: String, actions: BTreeSet<&'static str>, repositories: Repositories, refs, spared| {
            if !actions.is_empty() {
                statements.push(Statement { sid, actions, repositories, refs, spared, line: self.protection.line });
            }
        };
        let title = self.title();
        let actions = acts::on_refs(self.protection);
        if !actions.is_empty() {
            let said = likeness::refs(&self.protection.refs);
            self.narrower.extend(said.unsaid);
            if !said.refs.is_empty() {
                self.reach = Reach::Refs;
            }
            for refs in said.refs {
                let actions = if refs.like.iter().any(|like| can_be_branch(like)) {
                    actions.clone()
                } else {
                    // Nothing but a push changes a tag.
                    actions.iter().copied().filter(|action| *action == PUSH).collect()
                };
                deny(format!("Protect{title}"), actions, repositories.clone(), Some(refs), spared.clone());
            }
        }
        let guards = acts::on_repository(self.protection);
        deny(format!("Guard{title}"), guards, repositories.clone(), None, spared.clone());
        if self.protection.watch.contains(&Watched::ApprovalRules) {
            let mut overriders = spared.clone();
            overriders.extend(self.may_override());
            deny(format!("Override{title}"), BTreeSet::from([OVERRIDES]), repositories.clone(), None, overriders);
            let templates = BTreeSet::from(WEAKENS_TEMPLATES);
            deny("GuardTemplates".to_owned(), templates, Repositories::Account, None, spared);
        }
        statements
    }

    /// The stack's roles, whoever may bypass, and whom the caller wants spared.
    fn spared(&mut self) -> BTreeSet<Spared> {
        let mut spared: BTreeSet<Spared> = STACK_ROLES.into_iter().map(Spared::StackRole).collect();
        for pattern in self.protection.bypass.iter().chain(self.also) {
            let (found, wider) = principal::spared(pattern);
            spared.extend(found);
            self.narrower.extend(wider);
        }
        spared
    }

    /// Whoever may override the gate in some repository that this protection may be about.
    fn may_override(&self) -> BTreeSet<Spared> {
        let name = |section: &Section| section.repositories.to_string();
        let near =
            self.policy.sections.iter().filter(|other| overlap(&name(other), &name(self.section)) != Overlap::Never);
        let patterns = near.flat_map(|section| &section.approvals).flat_map(|approval| &approval.may_override);
        patterns.flat_map(|pattern| principal::spared(pattern).0).collect()
    }

    fn told(self) -> Protected {
        let shown: Vec<String> = self
            .protection
            .refs
            .patterns()
            .iter()
            .map(|pattern| match pattern.strip_prefix('!') {
                Some(glob) => format!("!{}", likeness::shown(glob)),
                None => likeness::shown(pattern).to_owned(),
            })
            .collect();
        let mut narrower = self.narrower;
        let mut seen = BTreeSet::new();
        narrower.retain(|one| seen.insert(one.clone()));
        Protected {
            line: self.protection.line,
            repositories: self.section.repositories.to_string(),
            refs: shown.join(", "),
            rows: acts::rows(self.protection, self.reach),
            narrower,
        }
    }

    /// `PaymentsMainRelease`: what a refusal calls the statement by.
    fn title(&self) -> String {
        let name = match &self.protection.name {
            Some(name) => name.as_str().to_owned(),
            None => {
                let refs = self.protection.refs.patterns().iter();
                refs.map(|pattern| pattern.trim_start_matches('!').replace("refs/heads/", "").replace("refs/", ""))
                    .collect::<Vec<_>>()
                    .join(" ")
            }
        };
        let words = format!("{} {name}", self.section.repositories);
        let mut title = String::new();
        for word in words.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
            let mut letters = word.chars();
            title.extend(letters.next().map(|c| c.to_ascii_uppercase()));
            title.push_str(letters.as_str());
        }
        title.chars().take(40).collect()
    }
}

/// Which repositories a section is about, if IAM can say it, and what it cannot say.
fn repositories_of(section: &Section) -> (Option<Repositories>, Option<String>) {
    let Some(pattern) = section.repositories.patterns().first() else { return (None, None) };
    match pattern.strip_prefix('!') {
        Some(glob) => match likeness::repositories(glob) {
            Ok(names) => (Some(Repositories::AllBut(names)), None),
            Err(why) => {
                let what = format!("\"{pattern}\" excludes more in IAM, which lets that much more through: {why}");
                (Some(Repositories::AllBut(likeness::at_least(glob).0)), Some(what))
            }
        },
        None => match likeness::repositories(pattern) {
            Ok(names) => (Some(Repositories::These(names)), None),
            Err(why) => {
                let what =
                    format!("\"{pattern}\" cannot be said to IAM, which prevents nothing in these repositories: {why}");
                (None, Some(what))
            }
        },
    }
}

/// Whether a pattern of IAM can name a branch.
fn can_be_branch(like: &str) -> bool {
    let literal = like.split(['*', '?', '$']).next().unwrap_or_default();
    literal.starts_with("refs/heads/") || "refs/heads/".starts_with(literal)
}

/// Where anything is protected, nobody but the protector writes below the quarantine prefix.
fn quarantine(policy: &Policy, also: &[ArnPattern]) -> Vec<Statement> {
    let protecting = policy.sections.iter().filter(|section| !section.protections.is_empty());
    let all = protecting.filter_map(|section| repositories_of(section).0);
    let mut actions = BTreeSet::from([PUSH, CREATES, DELETES, MERGES]);
    actions.extend(WRITES);
    let mut spared = BTreeSet::from([Spared::StackRole(PROTECTOR_ROLE)]);
    spared.extend(also.iter().flat_map(|pattern| principal::spared(pattern).0));
    let statement = |repositories| Statement {
        sid: "ReserveQuarantine".to_owned(),
        actions: actions.clone(),
        repositories,
        refs: Some(RefPatterns { like: vec![format!("{QUARANTINE}*")], not_like: Vec::new() }),
        spared: spared.clone(),
        line: 0,
    };
    all.map(statement).collect()
}

/// Fewer statements that say the same.
fn merged(statements: Vec<Statement>) -> Vec<Statement> {
    let mut out: Vec<Statement> = Vec::new();
    for statement in statements {
        let alike = |one: &&mut Statement| one.refs == statement.refs && one.spared == statement.spared;
        if let Some(one) = out.iter_mut().filter(alike).find(|one| one.repositories == statement.repositories) {
            one.actions.extend(statement.actions);
            continue;
        }
        let found =
            out.iter_mut().filter(alike).find_map(|one| match (&mut one.repositories, &statement.repositories) {
                (Repositories::These(names), Repositories::These(more)) if one.actions == statement.actions => {
                    Some((names, more))
                }
                _ => None,
            });
        match found {
            Some((names, more)) => {
                names.extend(more.iter().filter(|name| !names.contains(name)).cloned().collect::<Vec<_>>())
            }
            None => out.push(statement),
        }
    }
    out
}
