//! The names that events, policies and rules are made of: one newtype each, checked when it is made.
//!
//! The checks are no stricter than what AWS really sends and documents: placeholder ids such as `7dd1EXAMPLE...` pass,
//! what could break a key, a header or a log line does not.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

/// A name that does not have the shape of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {value:?} {problem}")]
pub struct InvalidName {
    /// What it should have been, for instance `repository name`.
    pub kind: &'static str,
    /// What was given, cut to 80 characters.
    pub value: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

fn check_text(kind: &'static str, value: &str, longest: usize) -> Result<(), InvalidName> {
    let wrong = |problem| InvalidName { kind, value: value.chars().take(80).collect(), problem };
    if value.is_empty() {
        return Err(wrong("is empty"));
    }
    if value.chars().count() > longest {
        return Err(wrong("is too long"));
    }
    if value.chars().any(char::is_control) {
        return Err(wrong("holds a control character"));
    }
    Ok(())
}

/// Lets a reader of fields say what it expected.
pub(crate) trait Named: TryFrom<String, Error = InvalidName> {
    /// What it is called in an error.
    const KIND: &'static str;
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $longest:literal $(, $check:expr)?) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
        #[serde(try_from = "String")]
        // Listings of thousands are copied about: one text is shared.
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and wraps; the error says what is wrong.
            pub fn parse(value: impl Into<String>) -> Result<Self, InvalidName> {
                let value = value.into();
                check_text($kind, &value, $longest)?;
                $(
                    let check: fn(&str) -> Option<&'static str> = $check;
                    if let Some(problem) = check(&value) {
                        return Err(InvalidName { kind: $kind, value: value.chars().take(80).collect(), problem });
                    }
                )?
                Ok(Self(value.into()))
            }

            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(value: String) -> Result<Self, InvalidName> {
                Self::parse(value)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.as_str().to_owned()
            }
        }

        impl Named for $name {
            const KIND: &'static str = $kind;
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

fn no_space_or_slash(value: &str) -> Option<&'static str> {
    value.chars().any(|c| c.is_whitespace() || c == '/' || c == '\\').then_some("holds a space or a slash")
}

fn no_space(value: &str) -> Option<&'static str> {
    value.chars().any(char::is_whitespace).then_some("holds white space")
}

name!(
    /// The `id` of an EventBridge envelope: the key under which an event is claimed.
    EventId, "event id", 256, |value| {
        if matches!(value, "." | "..") || !value.chars().all(|c| c.is_ascii_graphic()) {
            Some("holds something other than printable ASCII")
        } else {
            no_space_or_slash(value)
        }
    }
);
name!(
    /// A CodeCommit repository name: 1 to 100 of `[A-Za-z0-9._-]`, not ending in `.git`.
    RepositoryName, "repository name", 100, |value| {
        if !value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')) {
            Some("holds something other than letters, digits, '.', '_' and '-'")
        } else {
            (value.ends_with(".git") || matches!(value, "." | "..")).then_some("ends in .git or is only dots")
        }
    }
);
name!(
    /// The name of a CloudFormation stack.
    StackName, "stack name", 128, |value| {
        let is_name = value.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        (!is_name).then_some("holds something other than letters, digits and '-'")
    }
);
name!(
    /// A full ref name such as `refs/heads/main` or `refs/tags/v1`.
    RefName, "ref name", 4096, |value| {
        if !value.starts_with("refs/") || value.ends_with('/') || value.split('/').count() < 3 {
            Some("is not a full ref name such as refs/heads/main")
        } else {
            no_space(value)
        }
    }
);
name!(
    /// The id of a git commit as events carry it; 40 hex digits on AWS, placeholders in documented samples.
    CommitId, "commit id", 64, no_space_or_slash
);
name!(
    /// A pull request's id: digits, as text.
    PullRequestId, "pull request id", 20, no_space_or_slash
);
name!(
    /// A pull request's revision id: 64 hex digits.
    RevisionId, "revision id", 128, no_space_or_slash
);
name!(
    /// A comment's id.
    CommentId, "comment id", 256, no_space
);
name!(
    /// A CodeBuild project name.
    ProjectName, "project name", 255, no_space_or_slash
);
name!(
    /// A CodeBuild build id as the API takes it: `PROJECT:UUID`.
    BuildId, "build id", 512, |value| {
        match value.split_once(':') {
            Some((project, uuid)) if !project.is_empty() && !uuid.is_empty() => no_space_or_slash(value),
            _ => Some("is not of the form PROJECT:UUID"),
        }
    }
);
name!(
    /// A CodePipeline pipeline name.
    PipelineName, "pipeline name", 100, no_space_or_slash
);
name!(
    /// A CodePipeline execution id.
    ExecutionId, "execution id", 256, no_space
);
name!(
    /// The name of a pipeline's stage.
    StageName, "stage name", 100
);
name!(
    /// The name of a pipeline's action.
    ActionName, "action name", 100
);
name!(
    /// The name of a pipeline's artifact.
    ArtifactName, "artifact name", 100
);
name!(
    /// A CodeDeploy application name.
    ApplicationName, "application name", 100
);
name!(
    /// A CodeDeploy deployment group name.
    DeploymentGroupName, "deployment group name", 100
);
name!(
    /// A CodeDeploy deployment id such as `d-ABC123`.
    DeploymentId, "deployment id", 64, no_space_or_slash
);
name!(
    /// The id of an instance in a deployment: `i-...` on EC2, any name on premises.
    InstanceId, "instance id", 256
);
name!(
    /// The name of an approval rule of a pull request.
    ApprovalRuleName, "approval rule name", 100
);
name!(
    /// The id of an approval rule: a UUID on AWS.
    ApprovalRuleId, "approval rule id", 64, no_space_or_slash
);
name!(
    /// The name of an approval rule template.
    TemplateName, "approval rule template name", 100
);
name!(
    /// The id of an approval rule template: a UUID on AWS.
    TemplateId, "approval rule template id", 64, no_space_or_slash
);
name!(
    /// The name of an EventBridge rule.
    RuleName, "rule name", 64, no_space_or_slash
);
name!(
    /// An Amazon Resource Name, or the principal id that old pull-request events carry in its place.
    Arn, "ARN", 2048
);
name!(
    /// An AWS region such as `eu-west-1`.
    Region, "region", 32, no_space_or_slash
);
name!(
    /// An AWS account id: 12 digits on AWS, placeholders in documented samples.
    AccountId, "account id", 32, no_space_or_slash
);

/// What a ref is: branches and tags have rules of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RefKind {
    /// `refs/heads/...`
    Branch,
    /// `refs/tags/...`
    Tag,
    /// Anything else below `refs/`.
    Other,
}

impl RefName {
    /// The ref of a branch given by its short name.
    pub fn branch(short: &str) -> Result<Self, InvalidName> {
        Self::parse(format!("refs/heads/{short}"))
    }

    /// Whether it is a branch, a tag or something else.
    pub fn kind(&self) -> RefKind {
        if self.0.starts_with("refs/heads/") {
            RefKind::Branch
        } else if self.0.starts_with("refs/tags/") {
            RefKind::Tag
        } else {
            RefKind::Other
        }
    }

    /// The name without `refs/heads/` or `refs/tags/`; it may hold slashes itself.
    pub fn short(&self) -> &str {
        self.0.strip_prefix("refs/heads/").or_else(|| self.0.strip_prefix("refs/tags/")).unwrap_or(&self.0)
    }

    /// The short name as one word of a shell: whoever named a branch shall not name a command.
    pub fn shell_word(&self) -> String {
        let short = self.short();
        let is_plain =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | '+' | '@' | ',' | '=');
        if !short.starts_with('-') && short.chars().all(is_plain) {
            return short.to_owned();
        }
        format!("'{}'", short.replace('\'', "'\\''"))
    }
}

impl RepositoryName {
    /// From the address that a repository is cloned from.
    ///
    /// `https://git-codecommit.REGION.amazonaws.com/v1/repos/NAME`, also with `.com.cn` and with `-fips`; and on this
    /// machine's own address, where an emulator stands in for AWS, `http://127.0.0.1:PORT/v1/repos/NAME`.
    pub fn from_clone_url(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let (host, path) = rest.split_once('/')?;
        let is_codecommit = match scheme {
            "https" => is_codecommit_host(host),
            "http" => host.split(':').next().is_some_and(is_this_machine),
            _ => false,
        };
        Self::parse(path.strip_prefix("v1/repos/")?.trim_end_matches('/')).ok().filter(|_| is_codecommit)
    }
}

/// The local cloud, which gives each further region a host like AWS's.
fn is_this_machine(host: &str) -> bool {
    matches!(host, "127.0.0.1" | "localhost")
        || host.strip_prefix("git-codecommit.").is_some_and(|rest| rest.ends_with(".localhost"))
}

fn is_codecommit_host(host: &str) -> bool {
    let region_and_domain = host.strip_prefix("git-codecommit.").or_else(|| host.strip_prefix("git-codecommit-fips."));
    region_and_domain
        .and_then(|rest| rest.split_once('.'))
        .is_some_and(|(region, domain)| !region.is_empty() && matches!(domain, "amazonaws.com" | "amazonaws.com.cn"))
}

impl EventId {
    /// An id for something that has none of its own, from a digest of its content.
    pub fn of_malformed(digest: u128) -> Self {
        Self(format!("malformed-{digest:032x}").into())
    }

    /// The id of what one function has another tell, from a digest of all that tells it from other things.
    pub fn of_notice(digest: u128) -> Self {
        Self(format!("notice-{digest:032x}").into())
    }

    /// The id under which the trigger takes up one revision of a pull request, whoever told of it, and however often.
    ///
    /// # Errors
    /// An id or a revision of characters that AWS never sends.
    pub fn of_revision(
        repository: &RepositoryName,
        pull_request: &PullRequestId,
        revision: &RevisionId,
    ) -> Result<Self, InvalidName> {
        Self::parse(format!("pull-request-{repository}-{pull_request}-{revision}"))
    }

    /// The id under which the trigger takes up a comment, however often an event tells of it.
    ///
    /// # Errors
    /// A comment whose id is longer than AWS's are.
    pub fn of_comment(comment: &CommentId) -> Result<Self, InvalidName> {
        Self::parse(format!("comment-{comment}"))
    }
}

impl CommitId {
    /// The first seven characters, as people quote commits.
    pub fn short(&self) -> &str {
        self.0.get(..7).unwrap_or(&self.0)
    }
}

impl BuildId {
    /// From the full ARN that events carry: `arn:aws:codebuild:REGION:ACCOUNT:build/PROJECT:UUID`.
    pub fn from_arn(arn: &str) -> Result<Self, InvalidName> {
        Self::parse(arn.split_once(":build/").map_or(arn, |(_, id)| id))
    }

    /// The part before the colon.
    pub fn project(&self) -> &str {
        self.0.split_once(':').map_or(&*self.0, |(project, _)| project)
    }

    /// The part behind the colon.
    pub fn uuid(&self) -> &str {
        self.0.split_once(':').map_or(&*self.0, |(_, uuid)| uuid)
    }
}

impl Arn {
    /// How the ARN of each session of this role begins, `arn:aws:sts::ACCOUNT:assumed-role/ROLE/`; `None` for what is no role.
    ///
    /// A session leaves out the path of its role.
    pub fn session_prefix(&self) -> Option<String> {
        let mut parts = self.0.splitn(6, ':');
        let (arn, partition, _, _, account) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let name = parts.next()?.strip_prefix("role/")?.rsplit('/').next()?;
        Some(format!("{arn}:{partition}:sts::{account}:assumed-role/{name}/"))
    }

    /// Who it is, as people know them: the user's name, or the session's name of an assumed role.
    ///
    /// `user/system/cc-xxx` gives `cc-xxx`, `assumed-role/ROLE/developer@example.com` gives `developer@example.com`, the account's
    /// root gives `root`. A CodeCommit console session's number is no name: then the role's name is given. A principal id
    /// `AROA...:SESSION` gives the session. AWS's documentation prints `user\name` in places.
    pub fn person(&self) -> &str {
        let resource = self.0.splitn(6, ':').nth(5).unwrap_or(&self.0);
        if let Some(assumed) = resource.strip_prefix("assumed-role/") {
            let (role, session) = assumed.split_once('/').unwrap_or((assumed, ""));
            let names_nobody = session.is_empty() || session.chars().all(|c| c.is_ascii_digit());
            return if names_nobody { role } else { session };
        }
        let own_name = if self.0.starts_with("arn:") { ['/', '\\'].as_slice() } else { [':'].as_slice() };
        resource.rsplit(own_name).next().unwrap_or(resource)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_is_called_what_people_call_its_owner() {
        for (arn, person) in [
            ("arn:aws:iam::111122223333:user/developer", "developer"),
            ("arn:aws:iam::111122223333:user/system/pusher", "pusher"),
            ("arn:aws:iam::111122223333:user\\developer", "developer"),
            ("arn:aws:iam::111122223333:root", "root"),
            ("arn:aws:sts::111122223333:assumed-role/Developers/developer@example.com", "developer@example.com"),
            ("arn:aws:sts::111122223333:assumed-role/Developers/1573371954495722000", "Developers"),
            ("arn:aws:sts::111122223333:assumed-role/Developers", "Developers"),
            ("arn:aws:sts::111122223333:federated-user/developer", "developer"),
            ("AROAEXAMPLE:developer@example.com", "developer@example.com"),
            ("AIDAEXAMPLE", "AIDAEXAMPLE"),
        ] {
            assert_eq!(Arn::parse(arn).unwrap().person(), person, "{arn}");
        }
    }

    #[test]
    fn a_revision_and_a_comment_have_ids_that_can_be_keys() {
        let name = RepositoryName::parse("r".repeat(100)).unwrap();
        let (id, revision) = (PullRequestId::parse("7").unwrap(), RevisionId::parse("ab".repeat(32)).unwrap());
        let taken = EventId::of_revision(&name, &id, &revision).unwrap();
        assert_eq!(taken.as_str(), format!("pull-request-{name}-7-{revision}"));
        let comment = CommentId::parse("ff30b348EXAMPLEb9aa670f:553b509bEXAMPLE56198325").unwrap();
        assert!(EventId::of_comment(&comment).is_ok());
        assert!(EventId::of_comment(&CommentId::parse("a/b").unwrap()).is_err(), "no key may leave its place");
    }

    #[test]
    fn a_role_knows_how_its_sessions_begin() {
        let prefix = |arn: &str| Arn::parse(arn).unwrap().session_prefix();
        let expected = Some("arn:aws:sts::111122223333:assumed-role/Trigger/".to_owned());
        assert_eq!(prefix("arn:aws:iam::111122223333:role/Trigger"), expected);
        assert_eq!(prefix("arn:aws:iam::111122223333:role/signalbox/Trigger"), expected);
        assert_eq!(prefix("arn:aws:iam::111122223333:user/developer"), None);
    }

    #[test]
    fn a_ref_name_knows_its_kind_and_its_short_name() {
        for (name, kind, short) in [
            ("refs/heads/main", RefKind::Branch, "main"),
            ("refs/heads/feature/x", RefKind::Branch, "feature/x"),
            ("refs/tags/v1", RefKind::Tag, "v1"),
            ("refs/notes/commits", RefKind::Other, "refs/notes/commits"),
        ] {
            let name = RefName::parse(name).unwrap();
            assert_eq!((name.kind(), name.short()), (kind, short), "{name}");
        }
        for name in ["main", "refs/heads", "refs/heads/", "refs/heads/a b", "", "refs/heads/a\nb"] {
            assert!(RefName::parse(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_branch_with_an_odd_name_is_one_word_of_a_shell() {
        for (name, word) in [
            (
                "refs/heads/quarantine/feature/x+1@2,3=4/20260302T091412Z-1a2b3c4",
                "quarantine/feature/x+1@2,3=4/20260302T091412Z-1a2b3c4",
            ),
            ("refs/heads/a;reboot", "'a;reboot'"),
            ("refs/heads/$(id)`id`", "'$(id)`id`'"),
            ("refs/heads/it's", "'it'\\''s'"),
            ("refs/heads/-f", "'-f'"),
            ("refs/heads/\u{fc}", "'\u{fc}'"),
        ] {
            assert_eq!(RefName::parse(name).unwrap().shell_word(), word);
        }
    }

    #[test]
    fn a_name_that_could_leave_its_place_is_refused() {
        for name in ["", "a/b", "..\u{0}", "a b", "payments.git", &"x".repeat(101)] {
            assert!(RepositoryName::parse(name).is_err(), "{name:?}");
        }
        for id in ["", "a/b", "a\\b", "a b", "a\nb"] {
            assert!(EventId::parse(id).is_err(), "{id:?}");
            assert!(CommitId::parse(id).is_err(), "{id:?}");
        }
        for id in ["01234567-EXAMPLE", "7dd1EXAMPLE...", "3e5983DESTINATION"] {
            assert!(EventId::parse(id).is_ok() && CommitId::parse(id).is_ok(), "{id:?}");
        }
    }

    #[test]
    fn a_name_is_checked_when_it_is_read_back() {
        assert!(serde_json::from_str::<RepositoryName>("\"payments\"").is_ok());
        assert!(serde_json::from_str::<RepositoryName>("\"pay/ments\"").is_err());
    }
}
