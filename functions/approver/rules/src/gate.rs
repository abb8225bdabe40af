//! The gate: an approval rule that nobody but the stack's checks role can meet.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use signalbox_events::{Arn, RefName};

/// How the name of every gate begins.
const PREFIX: &str = "signalbox gate ";
/// The stack whose gates are not marked with its name.
const USUAL_STACK: &str = "signalbox";
/// The longest name of a rule or template.
const LONGEST_NAME: usize = 100;
/// The version of all approval rules.
const VERSION: &str = "2018-11-08";

/// Who we are, as far as rules and events tell: the stack and its two roles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// The name of the stack; another stack of the account keeps gates of its own.
    pub stack: String,
    /// How the ARN of each session of the checks role begins: `arn:aws:sts::ACCOUNT:assumed-role/ROLE/`.
    pub voters: String,
    /// The same of the function's own role, which writes rules and comments and never votes.
    pub writers: String,
}

impl Gate {
    /// One that nobody is known of: to explain an event by itself.
    pub fn unknown() -> Self {
        Self { stack: USUAL_STACK.to_owned(), voters: String::new(), writers: String::new() }
    }

    /// Whether it is the checks role that votes.
    pub fn is_voter(&self, arn: &Arn) -> bool {
        !self.voters.is_empty() && arn.as_str().starts_with(&self.voters)
    }

    /// Whether the stack did it itself.
    pub fn is_ours(&self, by: Option<&Arn>) -> bool {
        let is_writer = |arn: &Arn| !self.writers.is_empty() && arn.as_str().starts_with(&self.writers);
        by.is_some_and(|arn| self.is_voter(arn) || is_writer(arn))
    }

    /// What the rule and the template of a branch are called: `signalbox gate main`.
    ///
    /// Names know letters, digits, space, `.`, `_` and `-`, and have at most 100 characters. A branch that does not fit is
    /// told by a digest; a space is in no branch's name, so no two names read the same.
    pub fn name(&self, branch: &RefName) -> String {
        let short = branch.short();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let of = if self.stack == USUAL_STACK { String::new() } else { format!(" of {}", self.stack) };
        let whole = format!("{PREFIX}{short}{of}");
        if short.chars().all(is_plain) && whole.len() <= LONGEST_NAME && !whole.ends_with(".git") {
            return whole;
        }
        let digest = hex::encode(Sha256::digest(format!("{short}\n{}", self.stack)));
        let digest: String = digest.chars().take(12).collect();
        let shown: String = short.chars().map(|c| if is_plain(c) { c } else { '-' }).take(50).collect();
        format!("{PREFIX}{shown} {digest}")
    }

    /// Whether a template of this name may be of a stack's gates.
    pub fn may_be_ours(name: &str) -> bool {
        name.starts_with(PREFIX)
    }

    /// What it is called on a pull request whose own name is taken by a rule that cannot be mended.
    pub fn second_name(&self, branch: &RefName) -> String {
        let name: String = self.name(branch).chars().take(LONGEST_NAME - 6).collect();
        format!("{name} again")
    }

    /// Whether a rule of a pull request into this branch is called as a gate is.
    pub fn is_named(&self, name: &str, branch: &RefName) -> bool {
        name == self.name(branch) || name == self.second_name(branch)
    }

    /// What the rule says on a pull request.
    pub fn content(&self) -> String {
        json!({ "Version": VERSION, "Statements": self.statements() }).to_string()
    }

    /// What the template of a branch says.
    pub fn template_content(&self, branch: &RefName) -> String {
        json!({ "Version": VERSION, "DestinationReferences": [branch.as_str()], "Statements": self.statements() })
            .to_string()
    }

    /// Whether a rule is met by our vote and by nothing else. The branches that a template names are not looked at: they
    /// were asked when the rule was made.
    pub fn is_gate(&self, content: &str) -> bool {
        let Ok(content) = serde_json::from_str::<Value>(content) else { return false };
        content.get("Version").is_some_and(|version| version == VERSION)
            && content.get("Statements") == Some(&self.statements())
    }

    /// Whether a template says just what the one of this branch says.
    pub fn is_template(&self, content: &str, branch: &RefName) -> bool {
        let branches = |content: &Value| content.get("DestinationReferences") == Some(&json!([branch.as_str()]));
        self.is_gate(content) && serde_json::from_str::<Value>(content).is_ok_and(|content| branches(&content))
    }

    // Sessions of a role are named by a pattern: whether CodeCommit compares one session's ARN exactly is not documented.
    fn statements(&self) -> Value {
        json!([{
            "Type": "Approvers",
            "NumberOfApprovalsNeeded": 1,
            "ApprovalPoolMembers": [format!("{}*", self.voters)],
        }])
    }
}

/// Whether a rule counts everybody's approval, our vote too.
pub(crate) fn counts_everybody(content: &str) -> bool {
    let Ok(content) = serde_json::from_str::<Value>(content) else { return false };
    let statements = content.get("Statements").and_then(Value::as_array);
    statements.into_iter().flatten().any(|statement| {
        statement.get("ApprovalPoolMembers").and_then(Value::as_array).is_none_or(|members| members.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(stack: &str) -> Gate {
        let sessions = |role: &str| format!("arn:aws:sts::111122223333:assumed-role/{stack}-{role}/");
        Gate { stack: stack.to_owned(), voters: sessions("ChecksRole-1"), writers: sessions("ApproverRole-1") }
    }

    fn branch(name: &str) -> RefName {
        RefName::branch(name).unwrap()
    }

    #[test]
    fn every_branch_has_a_name_of_its_own_that_codecommit_takes() {
        let long = "x".repeat(250);
        let branches = ["main", "release/1", "release-1", "release_1", "ünicode", "a.git", &long, "main-of-other"];
        let mut names = Vec::new();
        for stack in ["signalbox", "other", &"s".repeat(128)] {
            names.extend(
                branches
                    .iter()
                    .flat_map(|name| [gate(stack).name(&branch(name)), gate(stack).second_name(&branch(name))]),
            );
        }
        assert_eq!(names.first().map(String::as_str), Some("signalbox gate main"));
        for name in &names {
            let fits = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | ' ' | '_' | '-'));
            assert!(fits && name.len() <= 100 && !name.ends_with(".git"), "{name}");
        }
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn only_what_our_vote_alone_meets_is_a_gate() {
        let gate = gate("signalbox");
        assert!(gate.is_gate(&gate.content()) && gate.content().chars().count() < 3000);
        assert!(gate.is_template(&gate.template_content(&branch("main")), &branch("main")));
        assert!(gate.is_gate(&gate.template_content(&branch("main"))), "a rule keeps what its template said");
        assert!(!gate.is_template(&gate.content(), &branch("main")), "it would be for every branch");
        let content = gate.content();
        for weak in [
            content.replace(&format!("[\"{}*\"]", gate.voters), "[]"),
            content.replace("ChecksRole-1", "Developers"),
            content
                .replace(&format!("\"{}*\"", gate.voters), &format!("\"{}*\",\"arn:aws:iam::1:user/a\"", gate.voters)),
            "{}".to_owned(),
            "not json".to_owned(),
        ] {
            assert!(!gate.is_gate(&weak), "{weak}");
        }
    }

    #[test]
    fn sessions_of_the_two_roles_are_ours_and_nobody_elses() {
        let gate = gate("signalbox");
        let arn = |role: &str| Arn::parse(format!("arn:aws:sts::111122223333:assumed-role/{role}/x")).unwrap();
        assert!(gate.is_voter(&arn("signalbox-ChecksRole-1")) && !gate.is_voter(&arn("signalbox-ApproverRole-1")));
        assert!(
            gate.is_ours(Some(&arn("signalbox-ApproverRole-1")))
                && !gate.is_ours(Some(&arn("signalbox-ChecksRole-12")))
        );
        assert!(!gate.is_ours(None) && !Gate::unknown().is_ours(Some(&arn("any"))));
    }

    #[test]
    fn a_rule_without_a_pool_counts_our_vote_too() {
        assert!(counts_everybody(
            r#"{"Version":"2018-11-08","Statements":[{"Type":"Approvers","NumberOfApprovalsNeeded":1}]}"#
        ));
        assert!(!counts_everybody(&gate("signalbox").content()));
    }
}
