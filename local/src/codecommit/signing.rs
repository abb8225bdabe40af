//! Whose a commit is and what it says, checked as CodeCommit does it.

use super::names::ObjectId;
use crate::auth::Caller;
use crate::error::{Answer, ServiceError};

/// Longest message.
const LONGEST_MESSAGE: usize = 256 * 1024;
/// Longest author's name; AWS has a limit and does not say which.
const LONGEST_NAME: usize = 1000;

/// What is said about a commit.
#[derive(Debug)]
pub(super) struct Signing {
    pub(super) name: Option<String>,
    pub(super) email: Option<String>,
    pub(super) message: Option<String>,
}

/// A commit's author and message, checked.
#[derive(Debug)]
pub(super) struct Signed {
    pub(super) person: String,
    pub(super) message: String,
}

impl Signing {
    /// Without a name the caller's is taken, without a message `default`.
    pub(super) fn check(self, caller: &Caller, default: &str) -> Answer<Signed> {
        let given = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        let name = given(self.name).unwrap_or_else(|| caller.arn.rsplit('/').next().unwrap_or(&caller.arn).to_owned());
        let email = given(self.email).unwrap_or_default();
        let message = given(self.message).unwrap_or_else(|| default.to_owned());
        if name.chars().count() > LONGEST_NAME {
            return Err(ServiceError::bad(
                "NameLengthExceededException",
                format!("the author's name is longer than {LONGEST_NAME} characters"),
            ));
        }
        let breaks_the_line = |text: &str| text.chars().any(|c| c.is_control() || matches!(c, '<' | '>'));
        if breaks_the_line(&email) || email.chars().count() > LONGEST_NAME {
            return Err(ServiceError::bad("InvalidEmailException", format!("{email:?} is not an e-mail address")));
        }
        if message.len() > LONGEST_MESSAGE {
            return Err(ServiceError::bad(
                "CommitMessageLengthExceededException",
                format!("the commit message is longer than {LONGEST_MESSAGE} bytes"),
            ));
        }
        // git leaves these characters out of a name without a word.
        let name: String = name.chars().filter(|c| !breaks_the_line(&c.to_string())).collect();
        Ok(Signed { person: format!("{} <{email}>", name.trim()), message: message.replace('\0', "") })
    }
}

impl Signed {
    pub(super) fn commit_object(&self, tree: &ObjectId, parents: &[&ObjectId], seconds: i64) -> String {
        let parents: String = parents.iter().map(|parent| format!("parent {parent}\n")).collect();
        let Self { person, message } = self;
        let end = if message.ends_with('\n') { "" } else { "\n" };
        format!(
            "tree {tree}\n{parents}author {person} {seconds} +0000\ncommitter {person} {seconds} +0000\n\n{message}{end}"
        )
    }
}
