//! The buildspec, version 0.2: YAML in, a checked plan out.
//!
//! Every mistake is found before the first command runs, and is told with its line.

use std::fmt;

use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, YamlData};

use super::model::PhaseType;

/// What is wrong with a buildspec; shown behind `YAML_FILE_ERROR: `.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BuildspecError {
    /// Not YAML at all.
    #[error("cannot parse the buildspec: {problem} at line {line}, column {column}")]
    NotYaml {
        /// The parser's words.
        problem: String,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// YAML, but not a buildspec.
    #[error("{problem} at line {line}")]
    Invalid {
        /// What, and what to do.
        problem: String,
        /// From 1.
        line: usize,
    },
    /// There is nothing in it.
    #[error("the buildspec is empty; it needs `version: 0.2` and `phases`")]
    Empty,
}

/// The shell that the commands run in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shell {
    Sh,
    Bash,
}

impl Shell {
    pub(crate) fn program(self) -> &'static str {
        match self {
            Self::Sh => "sh",
            Self::Bash => "bash",
        }
    }
}

/// What a phase's failure does to the build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnFailure {
    /// The documented phase transitions.
    Transitions,
    /// The build ends.
    Abort,
    /// The next phase runs.
    Continue,
}

/// The commands of one phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PhaseCommands {
    pub(crate) commands: Vec<String>,
    pub(crate) finally: Vec<String>,
    pub(crate) on_failure: OnFailure,
}

impl Default for PhaseCommands {
    fn default() -> Self {
        Self { commands: Vec::new(), finally: Vec::new(), on_failure: OnFailure::Transitions }
    }
}

/// A buildspec that can be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Buildspec {
    pub(crate) shell: Shell,
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) exported: Vec<String>,
    install: PhaseCommands,
    pre_build: PhaseCommands,
    build: PhaseCommands,
    post_build: PhaseCommands,
    /// Sections that are legal and that the local cloud does not act on; said in the log.
    pub(crate) ignored: Vec<String>,
}

impl Buildspec {
    pub(crate) fn phase(&self, phase: PhaseType) -> Option<&PhaseCommands> {
        match phase {
            PhaseType::Install => Some(&self.install),
            PhaseType::PreBuild => Some(&self.pre_build),
            PhaseType::Build => Some(&self.build),
            PhaseType::PostBuild => Some(&self.post_build),
            _ => None,
        }
    }

    /// Reads and checks a buildspec.
    pub(crate) fn parse(text: &str) -> Result<Self, BuildspecError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let documents = MarkedYaml::load_from_str(text).map_err(|error| BuildspecError::NotYaml {
            problem: error.info().to_owned(),
            line: error.marker().line(),
            column: error.marker().col() + 1,
        })?;
        let document = match documents.as_slice() {
            [] => return Err(BuildspecError::Empty),
            [document] if is_null(document) => return Err(BuildspecError::Empty),
            [document] => document,
            [_, second, ..] => return Err(invalid(second, "a buildspec is one YAML document; a second begins")),
        };
        Reader { text }.buildspec(document)
    }
}

fn line(node: &MarkedYaml<'_>) -> usize {
    node.span.start.line().max(1)
}

fn invalid(node: &MarkedYaml<'_>, problem: impl fmt::Display) -> BuildspecError {
    BuildspecError::Invalid { problem: problem.to_string(), line: line(node) }
}

fn is_null(node: &MarkedYaml<'_>) -> bool {
    matches!(node.data, YamlData::Value(Scalar::Null))
}

const TOP: &[&str] = &["version", "run-as", "env", "proxy", "batch", "phases", "reports", "artifacts", "cache"];
const ENV: &[&str] =
    &["shell", "variables", "parameter-store", "secrets-manager", "exported-variables", "git-credential-helper"];
const PHASES: &[&str] = &["install", "pre_build", "build", "post_build"];
const PHASE: &[&str] = &["run-as", "on-failure", "runtime-versions", "commands", "finally"];

struct Reader<'a> {
    text: &'a str,
}

impl Reader<'_> {
    fn buildspec(&self, document: &MarkedYaml<'_>) -> Result<Buildspec, BuildspecError> {
        let mut spec = Buildspec {
            shell: Shell::Sh,
            variables: Vec::new(),
            exported: Vec::new(),
            install: PhaseCommands::default(),
            pre_build: PhaseCommands::default(),
            build: PhaseCommands::default(),
            post_build: PhaseCommands::default(),
            ignored: Vec::new(),
        };
        let (mut has_version, mut has_phases) = (false, false);
        for (key, node, value) in self.entries(document, "the buildspec", TOP)? {
            match key.as_str() {
                "version" => {
                    has_version = true;
                    match self.scalar(value, "version")?.as_str() {
                        "0.2" => {}
                        "0.1" => {
                            return Err(invalid(
                                value,
                                "version 0.1, where every command has a shell of its own, is not offered by the local cloud; use `version: 0.2`",
                            ));
                        }
                        other => return Err(invalid(value, format!("version {other} is unknown; use `version: 0.2`"))),
                    }
                }
                "run-as" => return Err(run_as(node)),
                "env" => self.env(value, &mut spec)?,
                "phases" => {
                    has_phases = true;
                    self.phases(value, &mut spec)?;
                }
                "batch" => {
                    return Err(invalid(node, "batch builds are not offered by the local cloud; remove `batch`"));
                }
                other => spec.ignored.push(other.to_owned()),
            }
        }
        if !has_version {
            return Err(invalid(document, "`version` is missing; begin with `version: 0.2`"));
        }
        if !has_phases {
            return Err(invalid(document, "`phases` is missing; a buildspec needs at least one phase with commands"));
        }
        Ok(spec)
    }

    fn env(&self, value: &MarkedYaml<'_>, spec: &mut Buildspec) -> Result<(), BuildspecError> {
        for (key, node, value) in self.entries(value, "env", ENV)? {
            match key.as_str() {
                "shell" => {
                    spec.shell = match self.scalar(value, "env.shell")?.as_str() {
                        "sh" | "/bin/sh" => Shell::Sh,
                        "bash" | "/bin/bash" => Shell::Bash,
                        other => {
                            return Err(invalid(value, format!("the shell {other} is not offered; use sh or bash")));
                        }
                    };
                }
                "variables" => spec.variables = self.variables(value)?,
                "exported-variables" => {
                    spec.exported = self.list(value, "exported-variables")?;
                }
                "git-credential-helper" if self.scalar(value, "git-credential-helper")? == "no" => {}
                "parameter-store" | "secrets-manager" if is_null(value) => {}
                secret => {
                    return Err(invalid(
                        node,
                        format!("env.{secret} is not offered by the local cloud; it has no such store"),
                    ));
                }
            }
        }
        Ok(())
    }

    fn variables(&self, value: &MarkedYaml<'_>) -> Result<Vec<(String, String)>, BuildspecError> {
        self.pairs(value, "env.variables")?
            .into_iter()
            .map(|(name, node, value)| {
                if !is_variable_name(&name) {
                    return Err(invalid(node, format!("{name:?} cannot be the name of an environment variable")));
                }
                if name.starts_with("CODEBUILD_") {
                    return Err(invalid(node, format!("{name} begins with CODEBUILD_, which is reserved")));
                }
                Ok((name, self.scalar(value, "env.variables")?))
            })
            .collect()
    }

    fn phases(&self, value: &MarkedYaml<'_>, spec: &mut Buildspec) -> Result<(), BuildspecError> {
        for (key, node, value) in self.entries(value, "phases", PHASES)? {
            let mut phase = PhaseCommands::default();
            let mut says_something = false;
            for (inner, inner_node, value) in self.entries(value, &key, PHASE)? {
                match inner.as_str() {
                    "run-as" => return Err(run_as(inner_node)),
                    "on-failure" => {
                        phase.on_failure = match self.scalar(value, "on-failure")?.as_str() {
                            "ABORT" => OnFailure::Abort,
                            "CONTINUE" => OnFailure::Continue,
                            retry if retry.starts_with("RETRY") => {
                                return Err(invalid(
                                    value,
                                    "on-failure: RETRY is not offered by the local cloud; use ABORT or CONTINUE",
                                ));
                            }
                            other => {
                                return Err(invalid(
                                    value,
                                    format!("on-failure {other} is unknown; use ABORT or CONTINUE"),
                                ));
                            }
                        };
                    }
                    "runtime-versions" if key != "install" => {
                        return Err(invalid(inner_node, "runtime-versions belongs into the install phase"));
                    }
                    "runtime-versions" => {
                        says_something = true;
                        for (runtime, _, version) in self.pairs(value, "runtime-versions")? {
                            let version = self.scalar(version, "runtime-versions")?;
                            spec.ignored.push(format!("runtime-versions {runtime} {version}"));
                        }
                    }
                    "commands" => {
                        says_something = true;
                        phase.commands = self.list(value, "Commands")?;
                    }
                    _ => phase.finally = self.list(value, "Finally")?,
                }
            }
            if !says_something {
                return Err(invalid(node, format!("the phase {key} has no `commands`")));
            }
            match key.as_str() {
                "install" => spec.install = phase,
                "pre_build" => spec.pre_build = phase,
                "build" => spec.build = phase,
                _ => spec.post_build = phase,
            }
        }
        Ok(())
    }

    /// The entries of a mapping whose keys are all known.
    fn entries<'n, 'i>(
        &self,
        node: &'n MarkedYaml<'i>,
        what: &str,
        known: &[&str],
    ) -> Result<Vec<(String, &'n MarkedYaml<'i>, &'n MarkedYaml<'i>)>, BuildspecError> {
        let entries = self.pairs(node, what)?;
        if let Some((key, node, _)) = entries.iter().find(|(key, _, _)| !known.contains(&key.as_str())) {
            return Err(invalid(node, format!("unknown key {key:?} in {what}; known are {}", known.join(", "))));
        }
        Ok(entries)
    }

    fn pairs<'n, 'i>(
        &self,
        node: &'n MarkedYaml<'i>,
        what: &str,
    ) -> Result<Vec<(String, &'n MarkedYaml<'i>, &'n MarkedYaml<'i>)>, BuildspecError> {
        match &node.data {
            YamlData::Mapping(mapping) => {
                mapping.iter().map(|(key, value)| Ok((self.scalar(key, "a key")?, key, value))).collect()
            }
            _ => Err(invalid(node, format!("Expected {what} to be a mapping of keys to values"))),
        }
    }

    fn list(&self, node: &MarkedYaml<'_>, what: &str) -> Result<Vec<String>, BuildspecError> {
        match &node.data {
            YamlData::Sequence(items) => items
                .iter()
                .enumerate()
                .map(|(index, item)| {
                    if matches!(item.data, YamlData::Mapping(_) | YamlData::Sequence(_)) {
                        return Err(invalid(
                            item,
                            format!(
                                "Expected {what}[{index}] to be of string type: found subkeys instead (quote a command that holds a colon and a space)"
                            ),
                        ));
                    }
                    self.scalar(item, what)
                })
                .collect(),
            _ if is_null(node) => Ok(Vec::new()),
            _ => Err(invalid(node, format!("Expected {what} to be a list; begin each item with `- `"))),
        }
    }

    /// A scalar's text; numbers and booleans as they were written (`1.10` stays `1.10`).
    fn scalar(&self, node: &MarkedYaml<'_>, what: &str) -> Result<String, BuildspecError> {
        match &node.data {
            YamlData::Value(Scalar::String(text)) => Ok(text.to_string()),
            YamlData::Value(Scalar::Null) => Ok(String::new()),
            YamlData::Value(_) => {
                let (start, end) = (node.span.start.index(), node.span.end.index());
                let written: String = self.text.chars().skip(start).take(end.saturating_sub(start)).collect();
                Ok(written.trim().to_owned())
            }
            _ => Err(invalid(node, format!("Expected {what} to be of string type"))),
        }
    }
}

fn run_as(node: &MarkedYaml<'_>) -> BuildspecError {
    invalid(node, "run-as is not offered by the local cloud: it runs everything as you; remove it")
}

/// Whether a shell can hold a variable of this name.
pub(crate) fn is_variable_name(name: &str) -> bool {
    name.chars().next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_buildspec_is_read() {
        let spec = Buildspec::parse(concat!(
            "version: 0.2\n",
            "env:\n  shell: bash\n  variables:\n    LEVEL: 1.10\n    ON: true\n    EMPTY:\n  exported-variables: [LEVEL]\n",
            "phases:\n",
            "  install:\n    runtime-versions:\n      rust: 1.94\n",
            "  pre_build:\n    commands:\n      - true\n      - 'echo a: b'\n    on-failure: CONTINUE\n",
            "  build:\n    commands:\n      - |\n        one\n        two\n    finally:\n      - echo done\n",
            "reports: {}\n",
        ))
        .unwrap();
        assert_eq!(spec.shell, Shell::Bash);
        let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(spec.variables, [variable("LEVEL", "1.10"), variable("ON", "true"), variable("EMPTY", "")]);
        assert_eq!(spec.exported, ["LEVEL"]);
        assert_eq!(spec.pre_build.commands, ["true", "echo a: b"]);
        assert_eq!(spec.pre_build.on_failure, OnFailure::Continue);
        assert_eq!(spec.build.commands, ["one\ntwo\n"]);
        assert_eq!(spec.build.finally, ["echo done"]);
        assert_eq!(spec.ignored, ["runtime-versions rust 1.94", "reports"]);
        assert_eq!(spec.phase(PhaseType::PostBuild), Some(&PhaseCommands::default()));
    }

    #[test]
    fn every_mistake_is_told_with_its_line() {
        let table = [
            ("", "the buildspec is empty"),
            ("# nothing\n", "the buildspec is empty"),
            ("version: 0.2\nphases:\n  build:\n    commands: [", "cannot parse the buildspec: "),
            ("version: 0.2\nversion: 0.2\n", "line 2"),
            ("- a\n", "Expected the buildspec to be a mapping"),
            ("phases: {}\n", "`version` is missing"),
            ("version: 0.2\n", "`phases` is missing"),
            ("version: 0.1\n", "version 0.1"),
            ("version: 3\n", "version 3 is unknown"),
            ("version: 0.2\nphase: {}\n", "unknown key \"phase\" in the buildspec; known are version"),
            ("version: 0.2\nphases:\n  biuld: {}\n", "unknown key \"biuld\" in phases"),
            ("version: 0.2\nphases:\n  build:\n    command: [a]\n", "unknown key \"command\" in build"),
            (
                "version: 0.2\nphases:\n  build:\n    commands:\n      - echo \"Hello: world\"\n",
                "Commands[0] to be of string type: found subkeys instead",
            ),
            ("version: 0.2\nphases:\n  build:\n    commands: make\n", "Expected Commands to be a list"),
            ("version: 0.2\nphases:\n  build:\n    finally: [a]\n", "the phase build has no `commands`"),
            (
                "version: 0.2\nphases:\n  build:\n    on-failure: STOP\n    commands: [a]\n",
                "on-failure STOP is unknown",
            ),
            ("version: 0.2\nphases:\n  build:\n    on-failure: RETRY-2\n    commands: [a]\n", "RETRY is not offered"),
            ("version: 0.2\nrun-as: root\n", "run-as is not offered"),
            ("version: 0.2\nphases:\n  build:\n    run-as: root\n    commands: [a]\n", "run-as is not offered"),
            ("version: 0.2\nphases:\n  build:\n    runtime-versions: {java: 1}\n", "belongs into the install phase"),
            ("version: 0.2\nenv:\n  parameter-store:\n    A: b\n", "env.parameter-store is not offered"),
            ("version: 0.2\nenv:\n  secrets-manager:\n    A: b\n", "env.secrets-manager is not offered"),
            ("version: 0.2\nenv:\n  git-credential-helper: yes\n", "env.git-credential-helper is not offered"),
            ("version: 0.2\nenv:\n  shell: powershell.exe\n", "the shell powershell.exe is not offered"),
            ("version: 0.2\nenv:\n  variables:\n    A-B: c\n", "\"A-B\" cannot be the name"),
            ("version: 0.2\nenv:\n  variables:\n    CODEBUILD_X: c\n", "which is reserved"),
            ("version: 0.2\nbatch: {}\n", "batch builds are not offered"),
            ("version: 0.2\nphases: {}\n---\nmore: 1\n", "one YAML document"),
        ];
        for (text, expected) in table {
            let error = Buildspec::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text:?} gave {error:?}, not {expected:?}");
        }
        let error = Buildspec::parse("version: 0.2\nphases:\n  build:\n    commands:\n      - a\n      - b: c\n");
        assert!(error.unwrap_err().to_string().ends_with("at line 6"));
    }
}
