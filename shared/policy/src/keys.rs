//! Every key of the policy file, in one place.
//!
//! Hints, the notes about what does not act yet, the reference and later the schema come from these tables.

/// Whether a key must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// It must.
    Required,
    /// It may be left out.
    Optional,
}

/// Whether this version does what a key says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acts {
    /// It does.
    Now,
    /// It is checked and waits for the job that will do it.
    Later,
    /// It is checked, and what holds it does not act in this version: acting without it would be unsafe.
    HoldsBack,
}

/// One key of a mapping.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// As written in the file.
    pub name: &'static str,
    /// The type of its value, in words.
    pub value: &'static str,
    /// Whether it must be there.
    pub need: Need,
    /// Whether this version does what it says.
    pub acts: Acts,
    /// What it means, in one line.
    pub about: &'static str,
}

/// One kind of mapping.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// What messages call it.
    pub name: &'static str,
    /// Its keys, in the order of the reference.
    pub keys: &'static [Key],
}

const fn now(name: &'static str, value: &'static str, about: &'static str) -> Key {
    Key { name, value, need: Need::Optional, acts: Acts::Now, about }
}

const fn later(name: &'static str, value: &'static str, about: &'static str) -> Key {
    Key { name, value, need: Need::Optional, acts: Acts::Later, about }
}

const fn holds_back(name: &'static str, value: &'static str, about: &'static str) -> Key {
    Key { name, value, need: Need::Optional, acts: Acts::HoldsBack, about }
}

const fn required(key: Key) -> Key {
    Key { need: Need::Required, ..key }
}

macro_rules! tables {
    ($($(#[$doc:meta])* $constant:ident $name:literal { $($key:expr;)* })*) => {
        $($(#[$doc])* pub const $constant: Table = Table { name: $name, keys: &[$($key),*] };)*

        /// Every table, in the order of the reference.
        pub const ALL: &[Table] = &[$($constant),*];
    };
}

// Below a key that acts later every key says `now`: one note for the outermost key is enough.
tables! {
    /// The file.
    FILE "the policy" {
        now("mode", "observe | enforce", "Whether decisions are carried out.");
        now("repositories", "mapping of name patterns to sections", "What holds for which repositories.");
        now("people", "mapping of ARNs to people", "Who is who.");
    }
    /// `repositories.PATTERN`
    SECTION "a section of repositories" {
        now("triggers", "mapping of names to triggers", "What is started for which reason.");
        later("approvals", "mapping of branch patterns to approvals", "What a merge needs.");
        later("protection", "list of protections", "What must not happen to refs.");
        now("notifications", "list of rules", "Who is told about what.");
        later("replicas", "list of replicas", "Which copies are kept.");
    }
    /// `triggers.NAME`
    TRIGGER "a trigger" {
        required(now("on", "mapping of reasons", "For which reasons it starts; each is enough."));
        required(now("start", "build, pipeline or deployment", "What it starts."));
        now("supersede", "true | false", "Whether an older run of the same ref is stopped.");
        now("skip_ci", "honour | ignore", "What [skip ci] in the commit message does.");
        now("authors", "globs over e-mail addresses", "For whose commits it starts.");
        holds_back("ask", "mapping", "Who is asked before it starts.");
    }
    /// `on`
    ON "the reasons of a trigger" {
        now("push", "mapping, or nothing", "A push to a branch or a tag.");
        later("pull_request", "mapping, or nothing", "A pull request that is opened or updated.");
        later("comment", "text", "A command in a comment on a pull request.");
        later("build", "mapping", "A build that ended.");
        later("deployment", "mapping", "A deployment that ended.");
        later("pipeline", "mapping", "A pipeline execution that ended.");
        later("schedule", "mapping", "A time.");
    }
    /// `on.push`
    PUSH "a push reason" {
        now("branches", "globs", "Branches by short name.");
        now("tags", "globs", "Tags by short name.");
        now("paths", "globs", "Changed files, one of which must match.");
    }
    /// `on.pull_request`
    PULL_REQUEST "a pull-request reason" {
        now("into", "globs", "Target branches by short name.");
        now("paths", "globs", "Files of the pull request, one of which must match.");
        now("commit", "source | merge-result", "Which commit is built.");
        now("buildspec_from", "source | target", "Whose buildspec is run.");
    }
    /// `on.build`
    ON_BUILD "a build reason" {
        required(now("project", "project name", "The project."));
        now("result", "succeeded | failed | stopped", "How it must have ended.");
        now("branches", "globs", "Branches by short name.");
    }
    /// `on.deployment`
    ON_DEPLOYMENT "a deployment reason" {
        now("application", "application name", "The application.");
        required(now("group", "deployment group name", "The deployment group."));
        now("result", "succeeded | failed | stopped", "How it must have ended.");
    }
    /// `on.pipeline`
    ON_PIPELINE "a pipeline reason" {
        required(now("name", "pipeline name", "The pipeline."));
        now("result", "succeeded | failed | stopped", "How it must have ended.");
    }
    /// `on.schedule`
    SCHEDULE "a schedule" {
        now("every", "duration", "How long after the last start.");
        now("cron", "five cron fields in UTC", "At which times.");
        now("branch", "branch name", "The branch whose tip is used.");
    }
    /// `start`
    START "what a trigger starts" {
        now("build", "project name", "A CodeBuild build of this project.");
        now("buildspec", "file path", "Another buildspec than the project's.");
        now("environment", "mapping of names to values", "Further environment variables of the build.");
        later("pipeline", "pipeline name", "An execution of this pipeline.");
        now("variables", "mapping of names to texts", "Values for the pipeline's variables.");
        later("deployment", "mapping", "A CodeDeploy deployment.");
    }
    /// `start.environment.NAME`, when the value is read elsewhere
    ENVIRONMENT_VALUE "the source of an environment variable" {
        now("secret", "secret name", "A secret in Secrets Manager.");
        now("parameter", "parameter name", "A parameter in Parameter Store.");
    }
    /// `start.deployment`
    START_DEPLOYMENT "a deployment to start" {
        required(now("application", "application name", "The application."));
        required(now("group", "deployment group name", "The deployment group."));
        now("revision", "s3://BUCKET/KEY", "What is deployed; {commit} stands for the commit id.");
    }
    /// `ask`
    ASK "a question" {
        required(now("from", "teams and people", "Who may answer."));
        now("within", "duration", "How long the question stands.");
    }
    /// `approvals.PATTERN`
    APPROVAL "an approval" {
        now("checks", "names of triggers and protections", "What must be green.");
        now("owners", "file path", "The file that says who owns which paths.");
        now("reviewers", "mapping", "How many others must approve.");
        now("merge", "squash | fast-forward | three-way", "How Signalbox merges by itself.");
        now("merge_result", "required | optional", "Whether checks must have run on the result of the merge.");
        now("show", "gate | each-check", "Which rules the console shows.");
        now("override", "ARN patterns", "Who may override the gate.");
    }
    /// `reviewers`
    REVIEWERS "the reviewers" {
        required(now("count", "number", "How many must approve; the author never counts."));
        now("from", "teams and people", "Whose approval counts.");
    }
    /// `protection[]`
    PROTECTION "a protection" {
        now("name", "name", "How a check refers to it.");
        required(now("refs", "globs", "Branches by short name, or full ref names."));
        now("forbid", "direct-push, force-push, deletion, creation, update", "What is forbidden.");
        now("on_violation", "restore | report", "What follows.");
        now("bypass", "ARN patterns", "Who may do it all the same.");
        now("names", "regular expression", "What the short name of such a ref must look like.");
        now("commits", "mapping", "What commits must look like.");
        now("files", "mapping", "What files must look like.");
        now("watch", "default-branch, approval-rules, repository-triggers, push-permissions", "What else is watched.");
    }
    /// `commits`
    COMMITS "the rules for commits" {
        now("message", "regular expressions", "Each must be found in the message.");
        now("forbid_message", "regular expressions", "None may be found in the message.");
        now("author", "regular expressions", "One must be found in the author's e-mail address.");
        now("committer", "regular expressions", "One must be found in the committer's e-mail address.");
        now("history", "any | linear", "Whether merge commits may arrive.");
        now("signed", "anybody, or public keys", "Whose signatures count.");
    }
    /// `files`
    FILES "the rules for files" {
        now("forbid", "globs", "Files that must not arrive.");
        now("max_size", "size", "The largest file.");
        now("reject", "binary, escaping-symlink, submodule, case-collision, secret", "Content that must not arrive.");
        now("allow_secrets", "regular expressions", "Texts that look like credentials and are none.");
        now("submodules", "globs over addresses", "Where submodules may come from.");
    }
    /// `notifications[]`
    NOTIFICATION "a notification rule" {
        required(now("about", "topics", "What it is about."));
        now("to", "teams and people", "Who is told.");
    }
    /// `replicas[]`
    REPLICA "a replica" {
        required(now("to", "address", "Where the copy is."));
        now("credentials", "secret name", "The secret that holds the token of a git host.");
        now("role", "role ARN", "The role to assume in another account.");
        now("external_id", "text", "What the role's trust policy asks for.");
        now("refs", "globs", "Which refs are copied.");
        now("map", "mapping of refs to refs", "Refs that have another name in the copy.");
        now("deletions", "true | false", "Whether deletions are copied.");
        now("on_divergence", "overwrite | keep | fail", "What happens to commits that were never here.");
        now("create", "true | false", "Whether a missing CodeCommit repository is made.");
    }
    /// `people.ARN`
    PERSON "a person" {
        now("name", "text", "What they are called.");
        now("email", "e-mail address", "Where mail reaches them.");
        now("teams", "team names", "Which teams they are in.");
    }
}
