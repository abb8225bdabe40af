//! Every key of the policy file, in one place.
//!
//! Hints, the notes about what does not act yet, the reference and the schema come from these tables.

use crate::words::names;

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

/// What a value may look like, for the schema: never narrower than what the readers take.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// One word of a closed list.
    Word(&'static [&'static str]),
    /// Words of a closed list, or one.
    Words(&'static [&'static str]),
    /// `true` or `false`.
    Switch,
    /// A whole number from 1 to this one.
    UpTo(u32),
    /// One text.
    Text(Form),
    /// Texts, or one.
    Texts(Form),
    /// A mapping with the keys of a table.
    Mapping(&'static Table),
    /// A text, or a mapping with the keys of a table.
    TextOr(&'static Table),
    /// A list of mappings with the keys of a table.
    List(&'static Table),
    /// A mapping whose keys are free.
    Entries(Form, &'static Shape),
}

/// The form of a text.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    /// A regular expression in the dialect that JSON Schema shares with editors, found in the text; empty for any text.
    pub pattern: &'static str,
    /// Texts that an editor offers.
    pub examples: &'static [&'static str],
}

/// What must hold for the keys of a mapping together.
#[derive(Debug, Clone, Copy)]
pub enum Together {
    /// Nothing.
    Free,
    /// At least one key is there.
    Some,
    /// At least one of these is there.
    SomeOf(&'static [&'static str]),
    /// Exactly one of these is there.
    OneOf(&'static [&'static str]),
}

/// One key of a mapping.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// As written in the file.
    pub name: &'static str,
    /// The type of its value, in words.
    pub value: &'static str,
    /// What its value may look like.
    pub shape: Shape,
    /// What holds without it, where that is one value.
    pub default: Option<&'static str>,
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
    /// Its name in the schema.
    pub id: &'static str,
    /// What must hold for its keys together.
    pub together: Together,
    /// Its keys, in the order of the reference.
    pub keys: &'static [Key],
}

const fn now(name: &'static str, value: &'static str, shape: Shape, about: &'static str) -> Key {
    Key { name, value, shape, default: None, need: Need::Optional, acts: Acts::Now, about }
}

const fn later(name: &'static str, value: &'static str, shape: Shape, about: &'static str) -> Key {
    Key { acts: Acts::Later, ..now(name, value, shape, about) }
}

const fn holds_back(name: &'static str, value: &'static str, shape: Shape, about: &'static str) -> Key {
    Key { acts: Acts::HoldsBack, ..now(name, value, shape, about) }
}

const fn required(key: Key) -> Key {
    Key { need: Need::Required, ..key }
}

const fn or(default: &'static str, key: Key) -> Key {
    Key { default: Some(default), ..key }
}

const fn form(pattern: &'static str, examples: &'static [&'static str]) -> Form {
    Form { pattern, examples }
}

/// The most votes that one approval rule counts.
pub(crate) const MOST_REVIEWERS: u32 = 200;
/// What a trigger starts is one of these.
pub(crate) const STARTS: &[&str] = &["build", "pipeline", "deployment"];
/// What a protection asks for; at least one of these.
pub(crate) const ASKED_OF_REFS: &[&str] = &["forbid", "names", "commits", "files", "watch"];

const ANY: Form = form("", &[]);
/// A name of AWS's without spaces and slashes.
const NAME: Form = form(r"^[^ /\\\t\n]+$", &[]);
const GLOB: &str = r"^!?[^!/ \t]([^\n]*[^/ \t])?$";
const BRANCHES: Form = form(GLOB, &["main", "release/**"]);
const TAGS: Form = form(GLOB, &["v*"]);
const PATHS: Form = form(GLOB, &["src/**", "!**/*.md"]);
const REFS: Form = form(GLOB, &["main", "refs/tags/v*"]);
const REPOSITORY: Form = form(r"^!?[^!/ \t]([^/\n]*[^/ \t])?$", &["payments-*"]);
const WORD_NAME: Form = form("^[A-Za-z0-9_.-]{2,64}$", &[]);
const TEAM: Form = form("^[A-Za-z0-9_.-]{1,64}$", &[]);
const VARIABLE: Form = form("^[A-Za-z_][A-Za-z0-9_]{0,127}$", &[]);
const FILE_PATH: Form = form("^[^/]", &[]);
const PERIOD: Form = form("^([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$", &["30m", "2d"]);
const SIZE: Form = form("^[0-9]+ *(([KkMmGg][Ii]?)?[Bb])? *$", &["500KB", "5MB"]);
const SECRET: Form = form("^[A-Za-z0-9/_+=.@-]+$", &[]);
const PARAMETER: Form = form("^[A-Za-z0-9/_.-]+$", &[]);
const ARN: Form = form("^arn:[^:]*:[^:]*:[^:]*:[^:]*:", &["arn:aws:iam::111122223333:user/NAME"]);
const S3: Form = form("^s3://[a-z0-9.-]{3,63}/[^\\n]", &["s3://BUCKET/{commit}.zip"]);
const ADDRESS: Form = form(
    "^(codecommit|https|s3)://[^/]+/",
    &["codecommit://eu-west-1/{repository}", "https://git.example.com/NAME.git"],
);
const TOPICS: Form = form("^!?[a-z_*?\\[{]", &["build.failed", "build.fixed", "build.*"]);

macro_rules! tables {
    ($($(#[$doc:meta])* $constant:ident $id:literal $name:literal $together:expr => { $($key:expr;)* })*) => {
        $($(#[$doc])* pub const $constant: Table =
            Table { name: $name, id: $id, together: $together, keys: &[$($key),*] };)*

        /// Every table, in the order of the reference.
        pub const ALL: &[Table] = &[$($constant),*];
    };
}

// Below a key that acts later every key says `now`: one note for the outermost key is enough.
tables! {
    /// The file.
    FILE "file" "the policy" Together::Free => {
        or("observe", now("mode", "observe | enforce", Shape::Word(names::MODE), "Whether decisions are carried out."));
        now("repositories", "mapping of name patterns to sections", Shape::Entries(REPOSITORY, &Shape::Mapping(&SECTION)), "What holds for which repositories.");
        now("people", "mapping of ARNs to people", Shape::Entries(ARN, &Shape::Mapping(&PERSON)), "Who is who.");
    }
    /// `repositories.PATTERN`
    SECTION "section" "a section of repositories" Together::Free => {
        now("triggers", "mapping of names to triggers", Shape::Entries(WORD_NAME, &Shape::Mapping(&TRIGGER)), "What is started for which reason.");
        now("approvals", "mapping of branch patterns to approvals", Shape::Entries(BRANCHES, &Shape::Mapping(&APPROVAL)), "What a merge needs.");
        now("protection", "list of protections", Shape::List(&PROTECTION), "What must not happen to refs.");
        now("notifications", "list of rules", Shape::List(&NOTIFICATION), "Who is told about what.");
        now("replicas", "list of replicas", Shape::List(&REPLICA), "Which copies are kept.");
    }
    /// `triggers.NAME`
    TRIGGER "trigger" "a trigger" Together::Free => {
        required(now("on", "mapping of reasons", Shape::Mapping(&ON), "For which reasons it starts; each is enough."));
        required(now("start", "build, pipeline or deployment", Shape::Mapping(&START), "What it starts."));
        or("false", now("supersede", "true | false", Shape::Switch, "Whether an older run of the same ref is stopped."));
        or("honour", now("skip_ci", "honour | ignore", Shape::Word(names::SKIP_CI), "What [skip ci] in the commit message does."));
        now("authors", "globs over e-mail addresses", Shape::Texts(form(GLOB, &["*@example.com"])), "For whose commits it starts.");
        holds_back("ask", "mapping", Shape::Mapping(&ASK), "Who is asked before it starts.");
    }
    /// `on`
    ON "on" "the reasons of a trigger" Together::Some => {
        now("push", "mapping, or nothing", Shape::Mapping(&PUSH), "A push to a branch or a tag.");
        now("pull_request", "mapping, or nothing", Shape::Mapping(&PULL_REQUEST), "A pull request that is opened or updated.");
        now("comment", "text", Shape::Text(form("^/[^ ]", &["/test unit"])), "A command in a comment on a pull request.");
        later("build", "mapping", Shape::Mapping(&ON_BUILD), "A build that ended.");
        later("deployment", "mapping", Shape::Mapping(&ON_DEPLOYMENT), "A deployment that ended.");
        later("pipeline", "mapping", Shape::Mapping(&ON_PIPELINE), "A pipeline execution that ended.");
        later("schedule", "mapping", Shape::Mapping(&SCHEDULE), "A time.");
    }
    /// `on.push`
    PUSH "push" "a push reason" Together::Free => {
        now("branches", "globs", Shape::Texts(BRANCHES), "Branches by short name.");
        now("tags", "globs", Shape::Texts(TAGS), "Tags by short name.");
        now("paths", "globs", Shape::Texts(PATHS), "Changed files, one of which must match.");
    }
    /// `on.pull_request`
    PULL_REQUEST "pull_request" "a pull-request reason" Together::Free => {
        now("into", "globs", Shape::Texts(BRANCHES), "Target branches by short name.");
        now("paths", "globs", Shape::Texts(PATHS), "Files of the pull request, one of which must match.");
        or("source", now("commit", "source | merge-result", Shape::Word(names::PULL_REQUEST_COMMIT), "Which commit is built."));
        or("source", now("buildspec_from", "source | target", Shape::Word(names::BUILDSPEC_FROM), "Whose buildspec is run."));
    }
    /// `on.build`
    ON_BUILD "on_build" "a build reason" Together::Free => {
        required(now("project", "project name", Shape::Text(NAME), "The project."));
        or("succeeded", now("result", "succeeded | failed | stopped", Shape::Word(names::OUTCOME), "How it must have ended."));
        now("branches", "globs", Shape::Texts(BRANCHES), "Branches by short name.");
    }
    /// `on.deployment`
    ON_DEPLOYMENT "on_deployment" "a deployment reason" Together::Free => {
        now("application", "application name", Shape::Text(ANY), "The application.");
        required(now("group", "deployment group name", Shape::Text(ANY), "The deployment group."));
        or("succeeded", now("result", "succeeded | failed | stopped", Shape::Word(names::OUTCOME), "How it must have ended."));
    }
    /// `on.pipeline`
    ON_PIPELINE "on_pipeline" "a pipeline reason" Together::Free => {
        required(now("name", "pipeline name", Shape::Text(NAME), "The pipeline."));
        or("succeeded", now("result", "succeeded | failed | stopped", Shape::Word(names::OUTCOME), "How it must have ended."));
    }
    /// `on.schedule`
    SCHEDULE "schedule" "a schedule" Together::OneOf(&["every", "cron"]) => {
        now("every", "duration", Shape::Text(PERIOD), "How long after the last start.");
        now("cron", "five cron fields in UTC", Shape::Text(form(r"^\s*(\S+\s+){4}\S+\s*$", &["30 2 * * MON-FRI"])), "At which times.");
        now("branch", "branch name", Shape::Text(ANY), "The branch whose tip is used.");
    }
    /// `start`
    START "start" "what a trigger starts" Together::OneOf(STARTS) => {
        now("build", "project name", Shape::Text(NAME), "A CodeBuild build of this project.");
        now("buildspec", "file path", Shape::Text(FILE_PATH), "Another buildspec than the project's.");
        now("environment", "mapping of names to values", Shape::Entries(VARIABLE, &Shape::TextOr(&ENVIRONMENT_VALUE)), "Further environment variables of the build.");
        later("pipeline", "pipeline name", Shape::Text(NAME), "An execution of this pipeline.");
        now("variables", "mapping of names to texts", Shape::Entries(VARIABLE, &Shape::Text(ANY)), "Values for the pipeline's variables.");
        later("deployment", "mapping", Shape::Mapping(&START_DEPLOYMENT), "A CodeDeploy deployment.");
    }
    /// `start.environment.NAME`, when the value is read elsewhere
    ENVIRONMENT_VALUE "environment_value" "the source of an environment variable" Together::OneOf(&["secret", "parameter"]) => {
        now("secret", "secret name", Shape::Text(SECRET), "A secret in Secrets Manager.");
        now("parameter", "parameter name", Shape::Text(PARAMETER), "A parameter in Parameter Store.");
    }
    /// `start.deployment`
    START_DEPLOYMENT "start_deployment" "a deployment to start" Together::Free => {
        required(now("application", "application name", Shape::Text(ANY), "The application."));
        required(now("group", "deployment group name", Shape::Text(ANY), "The deployment group."));
        now("revision", "s3://BUCKET/KEY", Shape::Text(S3), "What is deployed; {commit} stands for the commit id.");
    }
    /// `ask`
    ASK "ask" "a question" Together::Free => {
        required(now("from", "teams and people", Shape::Texts(ANY), "Who may answer."));
        or("2d", now("within", "duration", Shape::Text(PERIOD), "How long the question stands."));
    }
    /// `approvals.PATTERN`
    APPROVAL "approval" "an approval" Together::Some => {
        now("checks", "names of triggers and protections", Shape::Texts(WORD_NAME), "What must be green.");
        later("owners", "file path", Shape::Text(FILE_PATH), "The file that says who owns which paths.");
        now("reviewers", "mapping", Shape::Mapping(&REVIEWERS), "How many others must approve.");
        later("merge", "squash | fast-forward | three-way", Shape::Word(names::MERGE), "How Signalbox merges by itself.");
        or("optional", now("merge_result", "required | optional", Shape::Word(names::MERGE_RESULT), "Whether checks must have run on the result of the merge."));
        or("gate", later("show", "gate | each-check", Shape::Word(names::SHOW), "Which rules the console shows."));
        now("override", "ARN patterns", Shape::Texts(ARN), "Who may override the gate.");
    }
    /// `reviewers`
    REVIEWERS "reviewers" "the reviewers" Together::Free => {
        required(now("count", "number", Shape::UpTo(MOST_REVIEWERS), "How many must approve; the author never counts."));
        now("from", "teams and people", Shape::Texts(ANY), "Whose approval counts.");
    }
    /// `protection[]`
    PROTECTION "protection" "a protection" Together::SomeOf(ASKED_OF_REFS) => {
        now("name", "name", Shape::Text(WORD_NAME), "How a check refers to it.");
        required(now("refs", "globs", Shape::Texts(REFS), "Branches by short name, or full ref names."));
        now("forbid", "direct-push, force-push, deletion, creation, update", Shape::Words(names::FORBIDDEN), "What is forbidden.");
        or("restore", now("on_violation", "restore | report", Shape::Word(names::ON_VIOLATION), "What follows."));
        now("bypass", "ARN patterns", Shape::Texts(ARN), "Who may do it all the same.");
        now("names", "regular expression", Shape::Text(ANY), "What the short name of such a ref must look like.");
        now("commits", "mapping", Shape::Mapping(&COMMITS), "What commits must look like.");
        now("files", "mapping", Shape::Mapping(&FILES), "What files must look like.");
        now("watch", "default-branch, approval-rules, repository-triggers, push-permissions", Shape::Words(names::WATCHED), "What else is watched.");
    }
    /// `commits`
    COMMITS "commits" "the rules for commits" Together::Some => {
        now("message", "regular expressions", Shape::Texts(ANY), "Each must be found in the message.");
        now("forbid_message", "regular expressions", Shape::Texts(ANY), "None may be found in the message.");
        now("author", "regular expressions", Shape::Texts(ANY), "One must be found in the author's e-mail address.");
        now("committer", "regular expressions", Shape::Texts(ANY), "One must be found in the committer's e-mail address.");
        or("any", now("history", "any | linear", Shape::Word(names::HISTORY), "Whether merge commits may arrive."));
        now("signed", "anybody, or public keys", Shape::Texts(form("", &["anybody"])), "Whose signatures count.");
    }
    /// `files`
    FILES "files" "the rules for files" Together::Some => {
        now("forbid", "globs", Shape::Texts(form(GLOB, &["*.pem"])), "Files that must not arrive.");
        now("max_size", "size", Shape::Text(SIZE), "The largest file.");
        now("reject", "binary, escaping-symlink, submodule, case-collision, secret", Shape::Words(names::REJECTED), "Content that must not arrive.");
        now("allow_secrets", "regular expressions", Shape::Texts(ANY), "Texts that look like credentials and are none.");
        now("submodules", "globs over addresses", Shape::Texts(form("^!?[^!:]+://", &["https://git.example.com/**"])), "Where submodules may come from.");
    }
    /// `notifications[]`
    NOTIFICATION "notification" "a notification rule" Together::Free => {
        required(now("about", "topics", Shape::Texts(TOPICS), "What it is about."));
        now("to", "teams and people", Shape::Texts(ANY), "Who is told.");
    }
    /// `replicas[]`
    REPLICA "replica" "a replica" Together::Free => {
        required(now("to", "address", Shape::Text(ADDRESS), "Where the copy is."));
        now("credentials", "secret name", Shape::Text(SECRET), "The secret that holds the token of a git host.");
        now("role", "role ARN", Shape::Text(form("^arn:[^:]+:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$", &["arn:aws:iam::444455556666:role/NAME"])), "The role to assume in another account.");
        now("external_id", "text", Shape::Text(form("^[A-Za-z0-9+=,.@:/_-]{2,1224}$", &[])), "What the role's trust policy asks for.");
        now("refs", "globs", Shape::Texts(REFS), "Which refs are copied.");
        now("map", "mapping of refs to refs", Shape::Entries(form("^refs/(heads|tags)/", &[]), &Shape::Text(form("^refs/(heads|tags)/", &[]))), "Refs that have another name in the copy.");
        or("true", now("deletions", "true | false", Shape::Switch, "Whether deletions are copied."));
        or("fail", now("on_divergence", "overwrite | keep | fail", Shape::Word(names::ON_DIVERGENCE), "What happens to commits that were never here."));
        or("false", now("create", "true | false", Shape::Switch, "Whether a missing CodeCommit repository is made."));
    }
    /// `people.ARN`
    PERSON "person" "a person" Together::Free => {
        now("name", "text", Shape::Text(ANY), "What they are called.");
        now("email", "e-mail address", Shape::Text(form("^[^@ ]+@[^@ ]+$", &[])), "Where mail reaches them.");
        now("teams", "team names", Shape::Texts(TEAM), "Which teams they are in.");
    }
}
