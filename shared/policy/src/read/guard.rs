//! Approvals, protections and replicas.

use signalbox_events::{Arn, Region, RepositoryName};

use super::trigger::{BUCKET_HINT, is_bucket};
use super::{About, Fields, Place, Reader, Who};
use crate::glob_syntax::check_glob;
use crate::guard::*;
use crate::keys::{self, MOST_REVIEWERS};
use crate::names::{ArnPattern, FilePath, SecretName, TriggerName};
use crate::problem::ProblemKind;
use crate::refer::Reference;
use crate::signing::{Signed, parse_signing_keys};
use crate::words;
use crate::yaml::Value;
use crate::{ByteSize, Globs, QUARANTINE};

/// Stands for the name of the source repository in the address of a copy.
const PLACEHOLDER: &str = "{repository}";

impl Reader {
    pub(super) fn approval(&mut self, section: usize, pattern: &str, place: &Place<'_>) -> Option<Approval> {
        // The pattern is the key, so problems with it are told at the key.
        let key = Place { node: place.node, key: place.key, path: place.path.clone() };
        let before = self.problems.len();
        self.glob(&key, pattern, About::Branches);
        let wrong = self.problems.len() > before;
        for problem in self.problems.iter_mut().skip(before) {
            (problem.line, problem.column) = (place.key.line, place.key.column);
        }
        let fields = self.fields(place, &keys::APPROVAL)?;
        let approval = Approval {
            into: if wrong { Globs::nothing() } else { Globs::from_checked(vec![pattern.to_owned()]) },
            line: place.key.line,
            checks: self.checks(section, &fields),
            owners: self.field(&fields, "owners", "a file path such as CODEOWNERS", FilePath::parse),
            reviewers: fields.get("reviewers").and_then(|place| self.reviewers(place)),
            merge: fields.get("merge").and_then(|place| self.word(place, words::MERGE)),
            merge_result: self.word_field(&fields, "merge_result", words::MERGE_RESULT),
            show: self.word_field(&fields, "show", words::SHOW),
            may_override: self.arn_patterns(&fields, "override"),
        };
        if fields.found.is_empty() && self.problems.len() == before {
            self.conflict(place, "the approval asks for nothing", Some("add checks, owners or reviewers"));
        }
        Some(approval)
    }

    fn checks(&mut self, section: usize, fields: &Fields<'_>) -> Vec<TriggerName> {
        let Some(place) = fields.get("checks") else { return Vec::new() };
        let mut out = Vec::new();
        for (item, _) in self.texts(place, "names of triggers and protections") {
            let Some(name) = self.parsed(&item, "a name", TriggerName::parse) else { continue };
            let mark = item.node.mark;
            let (line, column, path) = (mark.line, mark.column, item.path.clone());
            self.references.push(Reference { section, name: name.clone(), line, column, path });
            if !out.contains(&name) {
                out.push(name);
            }
        }
        out
    }

    fn reviewers(&mut self, place: &Place<'_>) -> Option<Reviewers> {
        let fields = self.fields(place, &keys::REVIEWERS)?;
        let from = self.recipients(&fields, "from", Who::Known).unwrap_or_default();
        let place = fields.get("count")?;
        let text = self.text(place, "a number")?;
        let allowed = format!("a number from 1 to {MOST_REVIEWERS}");
        match text.parse::<u32>() {
            Ok(count) if (1..=MOST_REVIEWERS).contains(&count) => Some(Reviewers { count, from }),
            Ok(_) => {
                self.at(place, ProblemKind::OutOfRange { value: text.to_owned(), allowed }, None);
                None
            }
            Err(_) => {
                self.wrong_type(place, &allowed, None);
                None
            }
        }
    }

    fn arn_patterns(&mut self, fields: &Fields<'_>, name: &str) -> Vec<ArnPattern> {
        let Some(place) = fields.get(name) else { return Vec::new() };
        let items = self.texts(place, "ARN patterns");
        items.into_iter().filter_map(|(item, _)| self.parsed(&item, "an ARN pattern", ArnPattern::parse)).collect()
    }

    pub(super) fn protection(&mut self, section: usize, place: &Place<'_>) -> Option<Protection> {
        let before = self.problems.len();
        let fields = self.fields(place, &keys::PROTECTION)?;
        let name = self.field(&fields, "name", "a name", TriggerName::parse);
        if let (Some(name), Some(place)) = (&name, fields.get("name")) {
            self.define(section, "protection", place.node.mark, &place.path, name);
        }
        let forbid = self.word_list(&fields, "forbid", words::FORBIDDEN);
        let on_violation = self.word_field(&fields, "on_violation", words::ON_VIOLATION);
        let bypass = self.arn_patterns(&fields, "bypass");
        let names = fields.get("names").and_then(|place| {
            let text = self.text(place, "a regular expression")?;
            self.pattern(place, text)
        });
        let commits = fields.get("commits").and_then(|place| self.commits(place));
        let files = fields.get("files").and_then(|place| self.files(place));
        let watch = self.word_list(&fields, "watch", words::WATCHED);
        if let Some(place) = fields.get("watch").filter(|_| watch.contains(&Watched::PushPermissions)) {
            self.push_watches.push((place.node.mark, place.path.clone()));
        }
        let asks = keys::ASKED_OF_REFS.iter().any(|name| fields.get(name).is_some());
        if !asks && self.problems.len() == before {
            self.conflict(place, "the protection forbids nothing", Some("add forbid, names, commits, files or watch"));
        }
        let refs = self.refs(&fields, "refs")?;
        Some(Protection {
            name,
            line: place.key.line,
            refs,
            forbid,
            on_violation,
            bypass,
            names,
            commits,
            files,
            watch,
        })
    }

    /// Tells of push permissions that are watched where there is nobody to look for.
    pub(super) fn note_idle_watches(&mut self, protections: &[Protection]) {
        let watches = std::mem::take(&mut self.push_watches);
        if protections.iter().any(crate::iam::refuses_pushes) {
            return;
        }
        for (mark, path) in watches {
            let what = "push-permissions look for whom IAM lets push where direct-push is forbidden, and no protection of this section forbids it";
            self.note(mark, &path, what.to_owned());
        }
    }

    /// Patterns of refs; a short name is a branch.
    fn refs(&mut self, fields: &Fields<'_>, name: &str) -> Option<Globs> {
        let place = fields.get(name)?;
        let mut patterns = Vec::new();
        for (item, text) in self.texts(place, "a list of refs") {
            let (sign, glob) = text.strip_prefix('!').map_or(("", text), |glob| ("!", glob));
            if self.checked_glob(&item, text).is_none() {
                continue;
            }
            let full = if glob.starts_with("refs/") { glob.to_owned() } else { format!("refs/heads/{glob}") };
            if sign.is_empty() && full.starts_with(QUARANTINE) {
                self.reserved(&item, text, "no job touches the branches below quarantine/");
                continue;
            }
            let full = format!("{sign}{full}");
            if check_glob(&full).is_err() {
                self.invalid(&item, format!("the pattern {text:?} is too long"), None);
                continue;
            }
            patterns.push(full);
        }
        (!patterns.is_empty()).then(|| Globs::from_checked(patterns))
    }

    fn commits(&mut self, place: &Place<'_>) -> Option<CommitRules> {
        let fields = self.fields(place, &keys::COMMITS)?;
        if fields.found.is_empty() {
            self.empty(place);
        }
        Some(CommitRules {
            message: self.patterns(&fields, "message"),
            forbid_message: self.patterns(&fields, "forbid_message"),
            author: self.patterns(&fields, "author"),
            committer: self.patterns(&fields, "committer"),
            history: self.word_field(&fields, "history", words::HISTORY),
            signed: fields.get("signed").and_then(|place| self.signed(place)),
        })
    }

    fn signed(&mut self, place: &Place<'_>) -> Option<Signed> {
        if let Value::Scalar { text, .. } = &place.node.value
            && text == "anybody"
        {
            return Some(Signed::Anybody);
        }
        let mut keys = Vec::new();
        for (item, text) in self.texts(place, "anybody, or a list of public keys") {
            match parse_signing_keys(text) {
                Ok(found) => keys.extend(found),
                // The text itself is not repeated: it may be a private key.
                Err(fault) => self.invalid(&item, fault.message, Some(fault.hint)),
            }
        }
        (!keys.is_empty()).then_some(Signed::By(keys))
    }

    fn files(&mut self, place: &Place<'_>) -> Option<FileRules> {
        let fields = self.fields(place, &keys::FILES)?;
        if fields.found.is_empty() {
            self.empty(place);
        }
        let forbid = self.globs(&fields, "forbid", About::Paths).map(|globs| anywhere(&globs));
        let max_size = self.field(&fields, "max_size", "a size such as 5MB", ByteSize::parse);
        let rules = FileRules {
            forbid,
            max_size,
            reject: self.word_list(&fields, "reject", words::REJECTED),
            allow_secrets: self.patterns(&fields, "allow_secrets"),
            submodules: self.addresses(&fields, "submodules"),
        };
        if let (false, Some(place)) = (rules.reject.contains(&Rejected::Secret), fields.get("allow_secrets")) {
            self.conflict(place, "\"allow_secrets\" has nothing to allow", Some("add secret to reject"));
        }
        if let (true, Some(place)) = (rules.reject.contains(&Rejected::Submodule), fields.get("submodules")) {
            self.conflict(place, "submodules are rejected and allowed", Some("keep one of reject and submodules"));
        }
        Some(rules)
    }

    /// Patterns of addresses: not paths, so that their double slash is right.
    fn addresses(&mut self, fields: &Fields<'_>, name: &str) -> Option<Globs> {
        let place = fields.get(name)?;
        let mut patterns = Vec::new();
        for (item, text) in self.texts(place, "a list of patterns") {
            let glob = text.trim_start_matches('!');
            match glob.split_once("://") {
                Some((scheme, rest)) if !scheme.is_empty() && self.checked_glob(&item, rest).is_some() => {
                    let sign = if text.starts_with('!') { "!" } else { "" };
                    patterns.push(format!("{sign}{scheme}:/{rest}"));
                }
                Some(_) => {}
                None => self.invalid(&item, format!("{text:?} is no address such as https://git.example.com/**"), None),
            }
        }
        (!patterns.is_empty()).then(|| Globs::from_checked(patterns))
    }

    pub(super) fn replica(&mut self, place: &Place<'_>) -> Option<Replica> {
        let fields = self.fields(place, &keys::REPLICA)?;
        let refs = self.refs(&fields, "refs");
        let map = self.ref_map(&fields);
        let deletions = self.switch(&fields, "deletions", Deletions::Copy, Deletions::Ignore);
        let on_divergence = self.word_field(&fields, "on_divergence", words::ON_DIVERGENCE);
        let create = self.switch(&fields, "create", Create::WhereMissing, Create::Never);
        let target = self.target(&fields);
        if let (Some(Target::Https { .. } | Target::Bundle { .. }), Some(place)) = (&target, fields.get("create")) {
            self.conflict(place, "only a CodeCommit repository can be created", Some("leave \"create\" out"));
        }
        if let Some(Target::Bundle { .. }) = &target {
            for name in ["deletions", "on_divergence"] {
                let Some(place) = fields.get(name) else { continue };
                let message = format!("{name:?} says nothing of a bundle, which is written anew from the source alone");
                self.conflict(place, &message, Some("leave it out"));
            }
        }
        let refs =
            refs.unwrap_or_else(|| Globs::from_checked(vec!["refs/heads/**".to_owned(), "refs/tags/**".to_owned()]));
        Some(Replica { line: place.key.line, to: target?, refs, map, deletions, on_divergence, create })
    }

    fn ref_map(&mut self, fields: &Fields<'_>) -> Vec<Mapping> {
        let mut out = Vec::new();
        let Some(place) = fields.get("map") else { return out };
        for (from, below) in self.entries(place, "a mapping of refs to refs") {
            let Some(to) = self.text(&below, "a ref") else { continue };
            let whole = |name: &str| name.starts_with("refs/heads/") || name.starts_with("refs/tags/");
            if !whole(from)
                || !whole(to)
                || from.contains('*')
                || to.contains('*')
                || from.ends_with('/') != to.ends_with('/')
            {
                let message = format!("{from:?} to {to:?} maps neither a ref to a ref nor a prefix to a prefix");
                self.invalid(&below, message, Some("such as \"refs/heads/\": \"refs/heads/mirror/\""));
            } else if to.starts_with(QUARANTINE) {
                self.reserved(&below, to, "no job touches the branches below quarantine/");
            } else {
                out.push(Mapping { from: from.to_owned(), to: to.to_owned() });
            }
        }
        out
    }

    fn target(&mut self, fields: &Fields<'_>) -> Option<Target> {
        let credentials = self.field(fields, "credentials", "a secret name", SecretName::parse);
        let role = self.role(fields);
        let place = fields.get("to")?;
        let text = self.text(place, "an address")?;
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        if scheme != "https"
            && let Some(place) = fields.get("credentials")
        {
            self.conflict(place, "\"credentials\" are for a git host", Some("AWS is reached with role"));
        }
        match scheme {
            "codecommit" => match rest.split_once('/') {
                Some((region, name)) => {
                    let region = self.checked(place, Region::parse(region))?;
                    let repository = match name.split_once(PLACEHOLDER) {
                        None => TargetName::Fixed(self.checked(place, RepositoryName::parse(name))?),
                        Some((prefix, suffix)) => {
                            self.checked(place, RepositoryName::parse(format!("{prefix}x{suffix}")))?;
                            TargetName::LikeSource { prefix: prefix.to_owned(), suffix: suffix.to_owned() }
                        }
                    };
                    Some(Target::CodeCommit { region, repository, role })
                }
                None => {
                    self.invalid(place, format!("{text:?} is not of the form codecommit://REGION/NAME"), None);
                    None
                }
            },
            "https" => self.https(place, text, rest, fields, credentials),
            "s3" => match rest.split_once('/') {
                Some((bucket, key)) if is_bucket(bucket) && is_object_key(key) => {
                    Some(Target::Bundle { bucket: bucket.to_owned(), key: key.to_owned(), role })
                }
                named => {
                    let hint = match named {
                        Some((bucket, _)) if is_bucket(bucket) => {
                            "the key is that of the bundle, such as {repository}.bundle"
                        }
                        _ => BUCKET_HINT,
                    };
                    self.invalid(place, format!("{text:?} is not of the form s3://BUCKET/KEY"), Some(hint));
                    None
                }
            },
            _ => {
                let shown = if text.contains('@') { "the address" } else { text };
                let message = format!("{shown:?} is no place for a copy");
                self.invalid(place, message, Some("codecommit://REGION/NAME, https://HOST/PATH or s3://BUCKET/KEY"));
                None
            }
        }
    }

    fn https(
        &mut self,
        place: &Place<'_>,
        text: &str,
        rest: &str,
        fields: &Fields<'_>,
        credentials: Option<SecretName>,
    ) -> Option<Target> {
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        if host.contains('@') {
            // The address is not repeated: it holds a password.
            let hint = "put the token into Secrets Manager and its name into \"credentials\"";
            self.invalid(place, "the address holds a user name or a password", Some(hint));
            return None;
        }
        let name = host.split(':').next().unwrap_or_default();
        let broken = name.is_empty()
            || !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'))
            || path.is_empty()
            || text.chars().any(|c| c.is_whitespace() || c.is_control() || matches!(c, '?' | '#'));
        if broken {
            self.invalid(place, format!("{text:?} is not of the form https://HOST/PATH"), None);
            return None;
        }
        if let Some(place) = fields.get("role") {
            self.conflict(place, "\"role\" is for AWS", Some("a git host is reached with credentials"));
        }
        if fields.get("credentials").is_none() {
            let hint = "add credentials: the name of the secret that holds the token";
            self.conflict(place, "a git host needs credentials", Some(hint));
        }
        Some(Target::Https { url: text.to_owned(), credentials: credentials? })
    }

    fn role(&mut self, fields: &Fields<'_>) -> Option<Role> {
        let external_id = fields.get("external_id").and_then(|place| {
            let id = self.text(place, "a text")?;
            let right = (2..=1224).contains(&id.len())
                && id.chars().all(|c| c.is_ascii_alphanumeric() || "+=,.@:/-_".contains(c));
            if !right {
                let message = "an external id has 2 to 1224 letters, digits and '+=,.@:/-_'";
                self.invalid(place, message, None);
            }
            right.then(|| id.to_owned())
        });
        let Some(place) = fields.get("role") else {
            if let Some(place) = fields.get("external_id") {
                self.conflict(place, "\"external_id\" goes with \"role\" only", None);
            }
            return None;
        };
        let arn = self.parsed(place, "a role ARN", Arn::parse)?;
        if !is_role(arn.as_str()) {
            let hint = "such as arn:aws:iam::111122223333:role/NAME";
            self.invalid(place, format!("{:?} is not the ARN of a role", arn.as_str()), Some(hint));
            return None;
        }
        Some(Role { arn, external_id })
    }

    fn checked<T, E: std::fmt::Display>(&mut self, place: &Place<'_>, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.invalid(place, error, None)).ok()
    }
}

/// Whether this can be the key of an object: no folder, and nothing that could not be written down.
fn is_object_key(key: &str) -> bool {
    (1..=900).contains(&key.len()) && !key.ends_with('/') && !key.chars().any(char::is_control)
}

/// Whether an ARN is a role's, with an account of twelve digits and no wildcard.
fn is_role(arn: &str) -> bool {
    let parts: Vec<&str> = arn.split(':').collect();
    let ["arn", _partition, "iam", "", account, role] = parts.as_slice() else { return false };
    let name = role.strip_prefix("role/").unwrap_or_default();
    account.len() == 12
        && account.bytes().all(|byte| byte.is_ascii_digit())
        && !name.is_empty()
        && !name.ends_with('/')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "+=,.@_/-".contains(c))
}

/// A pattern without a slash names a file in every folder, as in .gitignore: a rule against `*.pem` that only held in the
/// root would be a trap.
fn anywhere(globs: &Globs) -> Globs {
    let widen = |pattern: &String| {
        let (sign, glob) = pattern.strip_prefix('!').map_or(("", &**pattern), |glob| ("!", glob));
        if glob.contains('/') || glob == "**" { pattern.clone() } else { format!("{sign}**/{glob}") }
    };
    Globs::from_checked(globs.patterns().iter().map(widen).collect())
}
