//! A range of commits against the rules for commits and files. It knows nothing of how the range came.

use signalbox_policy::{CommitRules, FileRules, History, Pattern, Rejected};

use crate::finding::{Fault, Finding};
use crate::paths::is_escaping;
use crate::range::{CommitFacts, FileFacts, FileKind, Form, Range};
use crate::signature::Allowed;

/// Of one range at most this many findings are kept: whoever mends a hundred looks again anyway.
pub const MOST_FINDINGS: usize = 200;

/// Everything in the range that the rules do not allow, commits first.
///
/// What could not be looked at is a finding, too: it was not found good.
pub fn judge(range: &Range, commits: Option<&CommitRules>, files: Option<&FileRules>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(rules) = commits {
        let allowed = rules.signed.as_ref().map(Allowed::of);
        for commit in &range.commits {
            if findings.len() >= MOST_FINDINGS {
                break;
            }
            judge_commit(commit, rules, &mut findings);
            let fault = allowed.as_ref().and_then(|allowed| allowed.fault(commit)).map(Fault::Signature);
            findings.extend(fault.map(|fault| Finding { commit: Some(commit.id.clone()), path: None, fault }));
        }
    }
    if let Some(rules) = files {
        for file in &range.files {
            if findings.len() >= MOST_FINDINGS {
                break;
            }
            judge_file(file, rules, &mut findings);
        }
    }
    if commits.is_some() || files.is_some() {
        let unread = range.unread.iter().map(|why| Fault::Unread { why: why.clone() });
        findings.extend(unread.map(|fault| Finding { commit: None, path: None, fault }));
    }
    findings.truncate(MOST_FINDINGS);
    findings
}

fn judge_commit(commit: &CommitFacts, rules: &CommitRules, findings: &mut Vec<Finding>) {
    let mut add = |fault| findings.push(Finding { commit: Some(commit.id.clone()), path: None, fault });
    for pattern in rules.message.iter().filter(|pattern| !pattern.is_found_in(&commit.message)) {
        add(Fault::Message { pattern: pattern.as_str().to_owned() });
    }
    for pattern in rules.forbid_message.iter().filter(|pattern| pattern.is_found_in(&commit.message)) {
        add(Fault::ForbiddenMessage { pattern: pattern.as_str().to_owned() });
    }
    if !is_one_of(&commit.author, &rules.author) {
        add(Fault::Author { email: commit.author.clone(), patterns: texts(&rules.author) });
    }
    if !is_one_of(&commit.committer, &rules.committer) {
        add(Fault::Committer { email: commit.committer.clone(), patterns: texts(&rules.committer) });
    }
    if rules.history == History::Linear && commit.parents.len() > 1 {
        add(Fault::Merge);
    }
}

fn is_one_of(text: &str, patterns: &[Pattern]) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| pattern.is_found_in(text))
}

fn texts(patterns: &[Pattern]) -> Vec<String> {
    patterns.iter().map(|pattern| pattern.as_str().to_owned()).collect()
}

fn judge_file(file: &FileFacts, rules: &FileRules, findings: &mut Vec<Finding>) {
    let mut add =
        |fault| findings.push(Finding { commit: Some(file.commit.clone()), path: Some(file.path.clone()), fault });
    let rejects = |what: Rejected| rules.reject.contains(&what);
    if let Some(globs) = &rules.forbid
        && globs.matches(&file.path)
    {
        let pattern = globs.deciding_pattern(&file.path).unwrap_or_default().to_owned();
        add(Fault::ForbiddenPath { pattern });
    }
    if let (Some(most), Some(size)) = (rules.max_size, file.size)
        && size > most.bytes()
    {
        add(Fault::TooLarge { size, most: most.bytes() });
    }
    match &file.kind {
        FileKind::File => {}
        FileKind::Symlink { target } => {
            if let Some(target) = target
                && rejects(Rejected::EscapingSymlink)
                && is_escaping(&file.path, target)
            {
                add(Fault::EscapingSymlink { target: target.clone() });
            }
        }
        FileKind::Submodule { address } => {
            if rejects(Rejected::Submodule) {
                add(Fault::Submodule);
            } else if rules.submodules.is_some() {
                let is_allowed = address.as_ref().is_some_and(|address| rules.allows_submodule(address));
                if !is_allowed {
                    add(Fault::SubmoduleAddress { address: address.clone() });
                }
            }
        }
    }
    if let Some(with) = &file.collides_with
        && rejects(Rejected::CaseCollision)
    {
        add(Fault::CaseCollision { with: with.clone() });
    }
    let Some(content) = &file.content else { return };
    if rejects(Rejected::Binary) && content.form == Form::Binary && file.kind == FileKind::File {
        add(Fault::Binary);
    }
    if rejects(Rejected::Secret) {
        let is_allowed = |by: &String| rules.allow_secrets.iter().any(|pattern| pattern.as_str() == by);
        for hit in content.secrets.iter().filter(|hit| !hit.allowed_by.iter().any(is_allowed)) {
            add(Fault::Secret { kind: hit.kind, line: hit.line });
        }
    }
}
