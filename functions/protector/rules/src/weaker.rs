//! Whether an approval rule asks for less than it did.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a rule asks for less.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weaker {
    /// Fewer approvals are enough.
    FewerApprovals {
        /// So many were needed.
        from: u64,
        /// So many are.
        to: u64,
    },
    /// Others may approve, too.
    WiderPool,
    /// It holds for fewer branches.
    FewerBranches,
    /// A statement of it is gone.
    FewerStatements,
    /// It cannot be read, so nobody knows what it asks for.
    Unreadable,
}

impl fmt::Display for Weaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FewerApprovals { from, to } => write!(f, "needs {to} approvals instead of {from}"),
            Self::WiderPool => f.write_str("lets others approve than it did"),
            Self::FewerBranches => f.write_str("holds for fewer branches than it did"),
            Self::FewerStatements => f.write_str("has fewer statements than it had"),
            Self::Unreadable => f.write_str("changed, and cannot be read"),
        }
    }
}

/// The content of a rule or template, as CodeCommit documents it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Content {
    #[serde(default)]
    destination_references: Vec<String>,
    statements: Vec<Statement>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    number_of_approvals_needed: u64,
    #[serde(default)]
    approval_pool_members: Vec<String>,
}

/// How the new content asks for less than the old one; nothing where it asks for as much or more.
pub fn weaker(old: &str, new: &str) -> Option<Weaker> {
    if old == new {
        return None;
    }
    let (Ok(old), Ok(new)) = (serde_json::from_str::<Content>(old), serde_json::from_str::<Content>(new)) else {
        return Some(Weaker::Unreadable);
    };
    // Without branches it holds for all of them.
    let is_kept = |branch: &String| new.destination_references.contains(branch);
    let is_narrower = match (old.destination_references.is_empty(), new.destination_references.is_empty()) {
        (_, true) => false,
        (true, false) => true,
        (false, false) => !old.destination_references.iter().all(is_kept),
    };
    if is_narrower {
        return Some(Weaker::FewerBranches);
    }
    if new.statements.len() < old.statements.len() {
        return Some(Weaker::FewerStatements);
    }
    old.statements.iter().zip(&new.statements).find_map(|(old, new)| weaker_statement(old, new))
}

fn weaker_statement(old: &Statement, new: &Statement) -> Option<Weaker> {
    if new.number_of_approvals_needed < old.number_of_approvals_needed {
        let (from, to) = (old.number_of_approvals_needed, new.number_of_approvals_needed);
        return Some(Weaker::FewerApprovals { from, to });
    }
    // Without a pool anybody may approve.
    let is_known = |member: &String| old.approval_pool_members.contains(member);
    let is_wider = match (old.approval_pool_members.is_empty(), new.approval_pool_members.is_empty()) {
        (true, _) => false,
        (false, true) => true,
        (false, false) => !new.approval_pool_members.iter().all(is_known),
    };
    is_wider.then_some(Weaker::WiderPool)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(branches: &str, needed: u64, pool: &str) -> String {
        format!(
            r#"{{"Version":"2018-11-08","DestinationReferences":[{branches}],"Statements":[{{"Type":"Approvers","NumberOfApprovalsNeeded":{needed},"ApprovalPoolMembers":[{pool}]}}]}}"#
        )
    }

    #[test]
    fn a_rule_is_weaker_that_needs_less_or_lets_more_people_or_holds_for_less() {
        let old = content(r#""refs/heads/main","refs/heads/next""#, 2, r#""a","b""#);
        let branches = r#""refs/heads/main","refs/heads/next""#;
        for (new, expected) in [
            (old.clone(), None),
            (content(branches, 3, r#""a""#), None),
            (content("", 2, r#""b","a""#), None),
            (content(r#""refs/heads/next","refs/heads/main","refs/heads/x""#, 2, r#""a","b""#), None),
            (content(branches, 1, r#""a","b""#), Some(Weaker::FewerApprovals { from: 2, to: 1 })),
            (content(branches, 2, r#""a","c""#), Some(Weaker::WiderPool)),
            (content(branches, 2, ""), Some(Weaker::WiderPool)),
            (content(r#""refs/heads/main""#, 2, r#""a","b""#), Some(Weaker::FewerBranches)),
            (r#"{"Statements":[]}"#.to_owned(), Some(Weaker::FewerStatements)),
            ("{".to_owned(), Some(Weaker::Unreadable)),
        ] {
            assert_eq!(weaker(&old, &new), expected, "{new}");
        }
        assert_eq!(weaker(&content("", 1, ""), &content("", 1, r#""a""#)), None, "a pool where there was none");
        assert_eq!(weaker(&content("", 1, ""), &content(r#""refs/heads/a""#, 1, "")), Some(Weaker::FewerBranches));
    }
}
