//! What an approval rule says, read from its JSON, and whether votes meet it. Pure.

use serde::Deserialize;

use crate::iam::is_like;

/// The one version that there is.
const VERSION: &str = "2018-11-08";
/// Longest content, in characters.
pub(super) const LONGEST: usize = 3000;
/// Most members of a pool.
const LARGEST_POOL: usize = 50;
/// Most branches of a template.
const MOST_DESTINATIONS: usize = 100;
/// Most approvals that a rule may want: a pull request has no more.
const MOST_APPROVALS: u64 = 200;

/// Where a rule stands: only a template chooses branches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::codecommit) enum Place {
    Template,
    PullRequest,
}

/// A rule's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::codecommit) struct Content {
    /// The full names of the branches that it is for; none for all.
    destinations: Vec<String>,
    needed: u64,
    /// Who counts; none for everybody.
    pool: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Raw {
    version: String,
    destination_references: Option<Vec<String>>,
    statements: Vec<Statement>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Statement {
    #[serde(rename = "Type")]
    kind: String,
    number_of_approvals_needed: u64,
    approval_pool_members: Option<Vec<String>>,
}

impl Content {
    /// Reads a content; the error is a sentence.
    pub(in crate::codecommit) fn parse(text: &str, place: Place) -> Result<Self, String> {
        if text.chars().count() > LONGEST {
            return Err(format!("it is longer than {LONGEST} characters"));
        }
        let raw: Raw = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if raw.version != VERSION {
            return Err(format!("its Version is {:?}; there is only {VERSION}", raw.version));
        }
        let destinations = raw.destination_references.unwrap_or_default();
        if place == Place::PullRequest && !destinations.is_empty() {
            return Err("only a template has DestinationReferences".to_owned());
        }
        if destinations.len() > MOST_DESTINATIONS {
            return Err(format!("it has more than {MOST_DESTINATIONS} DestinationReferences"));
        }
        if let Some(wrong) = destinations.iter().find(|name| !is_branch(name)) {
            return Err(format!(
                "{wrong:?} in DestinationReferences is no branch's full name, such as refs/heads/main"
            ));
        }
        let [statement] = raw.statements.as_slice() else {
            return Err(format!("it has {} Statements and must have one", raw.statements.len()));
        };
        if statement.kind != "Approvers" {
            return Err(format!("the Type {:?} is not Approvers", statement.kind));
        }
        if !(1..=MOST_APPROVALS).contains(&statement.number_of_approvals_needed) {
            return Err(format!("NumberOfApprovalsNeeded is not from 1 to {MOST_APPROVALS}"));
        }
        let pool = statement.approval_pool_members.clone().unwrap_or_default();
        if pool.len() > LARGEST_POOL {
            return Err(format!("it has more than {LARGEST_POOL} ApprovalPoolMembers"));
        }
        if let Some(wrong) = pool.iter().find(|member| !is_member(member)) {
            return Err(format!(
                "{wrong:?} in ApprovalPoolMembers is neither an ARN nor of the form CodeCommitApprovers:ACCOUNT:NAME"
            ));
        }
        Ok(Self { destinations, needed: statement.number_of_approvals_needed, pool })
    }

    /// Whether it is for pull requests into this branch.
    pub(in crate::codecommit) fn is_for(&self, destination: &str) -> bool {
        self.destinations.is_empty() || self.destinations.iter().any(|name| name == destination)
    }

    /// Whether enough of those who approved count.
    pub(in crate::codecommit) fn is_met_by<'a>(&self, approvers: impl IntoIterator<Item = &'a str>) -> bool {
        let counts = |arn: &str| self.pool.is_empty() || self.pool.iter().any(|member| is_meant(member, arn));
        let votes = approvers.into_iter().filter(|arn| counts(arn)).count();
        u64::try_from(votes).is_ok_and(|votes| votes >= self.needed)
    }
}

fn is_branch(name: &str) -> bool {
    name.strip_prefix("refs/heads/").is_some_and(super::super::names::is_ref_name)
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_member(member: &str) -> bool {
    match member.strip_prefix("CodeCommitApprovers:") {
        Some(rest) => rest.split_once(':').is_some_and(|(account, name)| is_account(account) && !name.is_empty()),
        None => {
            let parts: Vec<&str> = member.splitn(6, ':').collect();
            matches!(parts.as_slice(), ["arn", partition, "iam" | "sts", "", account, resource]
                if !partition.is_empty() && (is_account(account) || *account == "*") && !resource.is_empty())
        }
    }
}

/// Whether a member of a pool means who has this ARN.
///
/// `CodeCommitApprovers:A:NAME` means a user or a federated user of that name, and a role's session where the name is
/// `ROLE/SESSION`. A bare name means no session, `*NAME` does. An ARN means itself; `*` stands for anything.
fn is_meant(member: &str, arn: &str) -> bool {
    let Some(rest) = member.strip_prefix("CodeCommitApprovers:") else { return is_like(member, arn) };
    let Some((account, name)) = rest.split_once(':') else { return false };
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", _, service, _, of, resource] = parts.as_slice() else { return false };
    let called = match (*service, resource.split_once('/')) {
        // A user's path is no part of the name.
        ("iam", Some(("user", path))) => path.rsplit('/').next().unwrap_or(path),
        ("sts", Some(("federated-user" | "assumed-role", called))) => called,
        _ => return false,
    };
    *of == account && is_like(name, called)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ANNA: &str = "arn:aws:iam::111122223333:user/anna";
    const BEN: &str = "arn:aws:iam::111122223333:user/team/ben";

    fn content(needed: u64, pool: &[&str]) -> Value {
        json!({ "Version": "2018-11-08", "Statements": [
            { "Type": "Approvers", "NumberOfApprovalsNeeded": needed, "ApprovalPoolMembers": pool },
        ] })
    }

    fn session(role: &str, name: &str) -> String {
        format!("arn:aws:sts::111122223333:assumed-role/{role}/{name}")
    }

    fn met(needed: u64, pool: &[&str], approvers: &[&str]) -> bool {
        let content = Content::parse(&content(needed, pool).to_string(), Place::PullRequest).unwrap();
        content.is_met_by(approvers.iter().copied())
    }

    #[test]
    fn without_a_pool_everybody_counts_and_with_one_its_members_only() {
        assert!(met(1, &[], &[ANNA]) && !met(2, &[], &[ANNA]) && met(2, &[], &[ANNA, BEN]) && !met(1, &[], &[]));
        assert!(met(1, &[ANNA], &[ANNA]) && !met(1, &[ANNA], &[BEN]) && !met(2, &[ANNA], &[ANNA, BEN]));
    }

    #[test]
    fn a_name_means_a_user_or_a_federated_user_and_no_session() {
        let pool = &["CodeCommitApprovers:111122223333:anna"];
        assert!(met(1, pool, &[ANNA]));
        assert!(met(1, pool, &["arn:aws:sts::111122223333:federated-user/anna"]));
        assert!(!met(1, pool, &[&session("review", "anna")]));
        assert!(!met(1, pool, &["arn:aws:iam::444455556666:user/anna"]), "of another account");
        assert!(met(1, &["CodeCommitApprovers:111122223333:ben"], &[BEN]), "whatever the user's path is");
        assert!(met(1, &["CodeCommitApprovers:111122223333:*anna"], &[&session("review", "anna")]));
        assert!(met(1, &["CodeCommitApprovers:111122223333:review/anna"], &[&session("review", "anna")]));
        assert!(met(1, &["CodeCommitApprovers:111122223333:review/*"], &[&session("review", "anna")]));
        assert!(!met(1, &["CodeCommitApprovers:111122223333:review/*"], &[&session("other", "anna")]));
    }

    #[test]
    fn sessions_of_a_role_count_apart_and_an_arn_means_what_it_says() {
        let (one, two) = (session("checks", "unit"), session("checks", "lint"));
        let all = session("checks", "*");
        assert!(met(2, &[&all], &[&one, &two]) && !met(2, &[&all], &[&one]));
        assert!(met(1, &[&one], &[&one]) && !met(1, &[&one], &[&two]));
        assert!(!met(1, &["arn:aws:iam::111122223333:role/checks"], &[&one]), "a role's ARN is no session's");
        assert!(met(1, &["arn:aws:iam::111122223333:user/*"], &[BEN]));
    }

    #[test]
    fn a_template_is_for_the_branches_that_it_names_and_for_all_when_it_names_none() {
        let mut template = content(1, &[]);
        template["DestinationReferences"] = json!(["refs/heads/main", "refs/heads/release/1"]);
        let parsed = Content::parse(&template.to_string(), Place::Template).unwrap();
        assert!(parsed.is_for("refs/heads/main") && !parsed.is_for("refs/heads/release/2"));
        assert!(Content::parse(&content(1, &[]).to_string(), Place::Template).unwrap().is_for("refs/heads/any"));
        let refused = Content::parse(&template.to_string(), Place::PullRequest).unwrap_err();
        assert!(refused.contains("only a template"), "{refused}");
    }

    #[test]
    fn what_is_no_rule_is_told_in_a_sentence() {
        let with = |pointer: &str, value: Value| {
            let mut content = content(1, &[ANNA]);
            *content.pointer_mut(pointer).unwrap() = value;
            content.to_string()
        };
        let many: Vec<String> = (0..51).map(|number| format!("arn:aws:iam::111122223333:user/{number}")).collect();
        for (text, why) in [
            ("{".to_owned(), "EOF"),
            ("{}".to_owned(), "missing field"),
            (with("/Version", json!("2012-10-17")), "there is only"),
            (with("/Statements", json!([])), "must have one"),
            (with("/Statements/0/Type", json!("Others")), "is not Approvers"),
            (with("/Statements/0/NumberOfApprovalsNeeded", json!(0)), "from 1 to 200"),
            (with("/Statements/0/NumberOfApprovalsNeeded", json!("1")), "invalid type"),
            (with("/Statements/0/ApprovalPoolMembers", json!(["anna"])), "neither an ARN"),
            (with("/Statements/0/ApprovalPoolMembers", json!(many)), "more than 50"),
            (with("/Statements/0/ApprovalPoolMembers", json!(["CodeCommitApprovers:1:anna"])), "neither an ARN"),
            (format!("{}{}", content(1, &[]), " ".repeat(3000)), "longer than 3000"),
        ] {
            let told = Content::parse(&text, Place::PullRequest).unwrap_err();
            assert!(told.contains(why), "{told}");
        }
        let mut template = content(1, &[]);
        for wrong in ["main", "refs/tags/v1", "refs/heads/release/*"] {
            template["DestinationReferences"] = json!([wrong]);
            assert!(Content::parse(&template.to_string(), Place::Template).unwrap_err().contains("full name"));
        }
    }
}
