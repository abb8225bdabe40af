//! Whether a request is allowed, and why: explicit deny first, then whoever allows it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::context::Context;
use super::document::{Document, Effect};
use super::principal::{NamedAs, Principal, Who};
use super::refusal::{PolicyType, Refusal, Why};

/// A document, and where it hangs.
#[derive(Debug, Clone)]
pub(super) struct Paper {
    /// `the role signalbox-trigger`, or a resource's ARN.
    pub(super) holder: String,
    /// Its name there; a resource's one policy has none.
    pub(super) name: String,
    pub(super) document: Arc<Document>,
}

/// Everything that has a say.
#[derive(Debug, Clone, Default)]
pub(super) struct Papers {
    /// `the role signalbox-trigger`
    pub(super) holder: String,
    pub(super) identity: Vec<Paper>,
    pub(super) boundary: Option<Paper>,
    pub(super) resource: Option<Paper>,
}

/// What the resource's own policy is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guard {
    /// A policy that can allow by itself and need not be there.
    Policy,
    /// A role's trust, without which nothing goes.
    Trust,
}

/// A request.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub(super) principal: &'a Principal,
    pub(super) action: &'a str,
    pub(super) resource: &'a str,
    /// The account that the resource belongs to; where nobody can tell, the principal's.
    pub(super) owner: Option<&'a str>,
    pub(super) context: &'a Context,
    pub(super) guard: Guard,
}

/// A statement that let a request through, and what of it did.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Use {
    /// Whose policy: `the role NAME`, `the user NAME`, or a resource's ARN.
    pub holder: String,
    /// The policy's name there; empty for a resource's own.
    pub policy: String,
    /// The statement's `Sid`, or `Statement[0]`.
    pub statement: String,
    /// The action as the statement writes it, in lower case.
    pub action: String,
    /// The resource as the statement writes it.
    pub resource: String,
}

/// Whether a request is allowed: by which statements, or why not.
pub(super) fn judge(asked: &Asked<'_>, papers: &Papers) -> Result<Vec<Use>, Refusal> {
    let refuse = |why| Refusal {
        principal: asked.principal.arn.clone(),
        action: asked.action.to_owned(),
        resource: asked.resource.to_owned(),
        why,
    };
    let guard = match asked.guard {
        Guard::Policy => PolicyType::Resource,
        Guard::Trust => PolicyType::Trust,
    };
    let all = (papers.identity.iter().map(|paper| (PolicyType::Identity, paper)))
        .chain(papers.boundary.iter().map(|paper| (PolicyType::Boundary, paper)))
        .chain(papers.resource.iter().map(|paper| (guard, paper)));
    for (policy, paper) in all {
        if let Some(statement) = denial(asked, paper) {
            let told = format!("{statement} of {}", whose(paper));
            return Err(refuse(Why::Denied { policy, told }));
        }
    }
    let mut uses = Vec::new();
    let by_resource = papers.resource.as_ref().and_then(|paper| allowed(asked, paper, &mut uses));
    let mut by_identity = false;
    for paper in &papers.identity {
        by_identity |= allowed(asked, paper, &mut uses).is_some();
    }
    let is_ours = asked.owner.is_none_or(|owner| asked.principal.account == owner);
    let has_no_policies = asked.principal.who == Who::Service || asked.principal.who == Who::Root;
    let no_identity =
        || refuse(Why::NotAllowed { policy: PolicyType::Identity, told: missing_identity(asked, papers) });
    // Across accounts the caller's own account is asked first.
    if !is_ours && !has_no_policies && !by_identity {
        return Err(no_identity());
    }
    let needs_guard = asked.guard == Guard::Trust || !is_ours || asked.principal.who == Who::Service;
    if needs_guard && by_resource.is_none() {
        return Err(refuse(Why::NotAllowed { policy: guard, told: missing_guard(asked, papers) }));
    }
    let by_resource = by_resource.filter(|_| is_ours);
    if by_resource == Some(NamedAs::Itself) || has_no_policies {
        return Ok(uses);
    }
    if by_resource != Some(NamedAs::Role) && !by_identity {
        return Err(no_identity());
    }
    match &papers.boundary {
        Some(boundary) if allowed(asked, boundary, &mut uses).is_none() => {
            let told = format!("{} does not let it through", whose(boundary));
            Err(refuse(Why::NotAllowed { policy: PolicyType::Boundary, told }))
        }
        _ => Ok(uses),
    }
}

/// What would be said to a request, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Simulated {
    /// `allowed`, `explicitDeny` or `implicitDeny`.
    pub(super) decision: &'static str,
    /// The policies whose statements decide it.
    pub(super) matched: Vec<String>,
    /// The condition keys that policies ask for and the request does not have.
    pub(super) missing: BTreeSet<String>,
    /// Whether the permissions boundary allows it, where there is one.
    pub(super) boundary: Option<bool>,
}

/// The same judgement for a request that nobody makes.
pub(super) fn simulate(asked: &Asked<'_>, papers: &Papers) -> Simulated {
    let (decision, matched) = match judge(asked, papers) {
        Ok(uses) => ("allowed", uses.into_iter().map(|used| used.policy).collect()),
        Err(Refusal { why: Why::Denied { .. }, .. }) => {
            let all = papers.identity.iter().chain(&papers.boundary);
            (
                "explicitDeny",
                all.filter(|paper| denial(asked, paper).is_some()).map(|paper| paper.name.clone()).collect(),
            )
        }
        Err(Refusal { why: Why::NotAllowed { .. }, .. }) => ("implicitDeny", Vec::new()),
    };
    let missing = papers.identity.iter().chain(&papers.boundary).flat_map(|paper| &paper.document.statements);
    let missing = missing.filter(|statement| statement.action(asked.action).is_some());
    let missing = missing.flat_map(|statement| statement.unknown_keys(asked.context)).map(str::to_owned).collect();
    let boundary = papers
        .boundary
        .as_ref()
        .map(|paper| denial(asked, paper).is_none() && allowed(asked, paper, &mut Vec::new()).is_some());
    Simulated { decision, matched, missing, boundary }
}

/// The name of the statement that denies.
fn denial(asked: &Asked<'_>, paper: &Paper) -> Option<String> {
    paper
        .document
        .statements
        .iter()
        .filter(|statement| statement.effect == Effect::Deny)
        .filter(|statement| statement.principal(asked.principal).is_some())
        .find(|statement| statement.hit(asked.action, asked.resource, asked.context).is_some())
        .map(super::document::Statement::name)
}

/// How a document allows, if it does; every statement that does is noted.
fn allowed(asked: &Asked<'_>, paper: &Paper, uses: &mut Vec<Use>) -> Option<NamedAs> {
    let mut best = None;
    for statement in paper.document.statements.iter().filter(|statement| statement.effect == Effect::Allow) {
        let Some(named) = statement.principal(asked.principal) else { continue };
        let Some(hit) = statement.hit(asked.action, asked.resource, asked.context) else { continue };
        best = Some(best.map_or(named, |best: NamedAs| best.min(named)));
        uses.push(Use {
            holder: paper.holder.clone(),
            policy: paper.name.clone(),
            statement: statement.label(),
            action: hit.action.to_owned(),
            resource: hit.resource.to_owned(),
        });
    }
    best
}

fn whose(paper: &Paper) -> String {
    match paper.name.as_str() {
        "" => format!("the policy of {}", paper.holder),
        name => format!("the policy {name} of {}", paper.holder),
    }
}

/// The account of an ARN; a bucket's has none.
pub(super) fn account_of(arn: &str) -> Option<&str> {
    arn.split(':').nth(4).filter(|account| !account.is_empty())
}

fn missing_guard(asked: &Asked<'_>, papers: &Papers) -> String {
    match &papers.resource {
        None => format!("{} has no policy", asked.resource),
        Some(paper) => nearly(asked, std::slice::from_ref(paper))
            .unwrap_or_else(|| format!("no statement of {} allows it to {}", whose(paper), asked.principal.arn)),
    }
}

fn missing_identity(asked: &Asked<'_>, papers: &Papers) -> String {
    nearly(asked, &papers.identity).unwrap_or_else(|| {
        let names: Vec<&str> = papers.identity.iter().map(|paper| paper.name.as_str()).collect();
        if names.is_empty() {
            return format!("{} has no policy", papers.holder);
        }
        format!("no statement of {} allows it; its policies: {}", papers.holder, names.join(", "))
    })
}

/// The statement that comes nearest to allowing it, and what it lacks.
fn nearly(asked: &Asked<'_>, papers: &[Paper]) -> Option<String> {
    let statements = || {
        papers.iter().flat_map(|paper| {
            let allows = paper.document.statements.iter().filter(|statement| statement.effect == Effect::Allow);
            allows.map(move |statement| (paper, statement))
        })
    };
    let name =
        |paper: &Paper, statement: &super::document::Statement| format!("{} of {}", statement.name(), whose(paper));
    let (action, resource, context) = (asked.action, asked.resource, asked.context);
    let by_condition = statements().find_map(|(paper, statement)| {
        statement.principal(asked.principal)?;
        statement.action(action)?;
        statement.resource(resource, context)?;
        let unmet = statement.unmet(context)?;
        Some(format!("{} would allow it, but its condition {} does not hold", name(paper, statement), unmet.name()))
    });
    let by_principal = || {
        statements().find_map(|(paper, statement)| {
            statement.action(action)?;
            statement.resource(resource, context)?;
            let stranger = statement.principal(asked.principal).is_none();
            stranger.then(|| format!("{} allows it to others only", name(paper, statement)))
        })
    };
    let by_resource = || {
        statements().find_map(|(paper, statement)| {
            let hit = statement.action(action)?;
            let foreign = hit != "*" && statement.resource(resource, context).is_none();
            foreign.then(|| format!("{} allows the action on other resources only", name(paper, statement)))
        })
    };
    let by_action = || {
        let vendor = action.split_once(':')?.0;
        let near = statements().filter_map(|(paper, statement)| {
            let about_it = statement.resources.as_ref().is_some_and(|named| {
                named.list().iter().any(|one| !one.is_everything() && one.matches(resource, context))
            });
            let of_vendor = statement.actions.list().iter().any(|one| one.text().split(':').next() == Some(vendor));
            let lacks = about_it && of_vendor && statement.action(action).is_none();
            lacks.then(|| name(paper, statement))
        });
        // Whichever of them it was meant for.
        match near.collect::<Vec<String>>().as_slice() {
            [] => None,
            [one] => Some(format!("{one} names the resource without this action")),
            several => Some(format!("{} name the resource without this action", several.join(" and "))),
        }
    };
    by_condition.or_else(by_principal).or_else(by_action).or_else(by_resource)
}
