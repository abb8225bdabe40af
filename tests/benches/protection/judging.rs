//! How long a decision of the protector takes: a push of many commits against many rules.

use std::fmt::Write;
use std::hint::black_box;
use std::time::Instant;

use anyhow::Context;
use jiff::Timestamp;
use signalbox_events::{CommitId, EventId, RefName, Region, RepositoryName};
use signalbox_policy::parse_policy;
use signalbox_protector_rules::{
    Ancestry, CommitFacts, Content, Facts, FileFacts, FileKind, Form, Judged, Move, Origin, Range, Signature, Subject,
    Verdict, decide,
};

use crate::median;
use crate::report::Report;

const COMMITS: usize = 1_000;
const RULES: usize = 20;
const ROUNDS: usize = 15;

/// Puts the time into the report.
pub(crate) fn measure(report: &mut Report) -> anyhow::Result<()> {
    let mut policy = "mode: enforce\nrepositories:\n  payments:\n    protection:\n".to_owned();
    for number in 0..RULES / 4 {
        writeln!(
            policy,
            "      - refs: [main]\n        commits: {{ message: \"^(feat|fix|docs)(\\\\(p{number}\\\\))?: .{{3,}}\", forbid_message: \"(?i)\\\\bwip{number}\\\\b\", author: \"@(eu{number}\\\\.)?example\\\\.com$\" }}\n        files: {{ forbid: [\"*.pem{number}\"], max_size: 5MB, reject: [secret, binary, case-collision] }}"
        )?;
    }
    let policy = parse_policy(&policy).map_err(|problems| anyhow::anyhow!("{problems}"))?;
    let id = |number: usize| CommitId::parse(format!("{number:040x}")).context("a commit id");
    let mut range = Range::default();
    for number in 1..=COMMITS {
        range.commits.push(CommitFacts {
            id: id(number)?,
            parents: vec![id(number - 1)?],
            message: format!("feat: step {number}\n\n{}", "What was done, and why it was done so. ".repeat(20)),
            author: "developer@example.com".to_owned(),
            committer: "developer@example.com".to_owned(),
            signature: Signature::NotRead,
        });
        range.files.push(FileFacts {
            commit: id(number)?,
            path: format!("services/s{}/src/module_{number}/file.rs", number % 50),
            kind: FileKind::File,
            size: Some(10_000),
            content: Some(Content { form: Form::Text, secrets: Vec::new() }),
            collides_with: None,
        });
    }
    let subject = Subject {
        repository: RepositoryName::parse("payments").context("a repository name")?,
        reference: RefName::branch("main").context("a branch")?,
    };
    let made = Move {
        id: EventId::parse("push").context("an event id")?,
        at: Some(Timestamp::UNIX_EPOCH),
        old: Some(id(0)?),
        new: Some(id(COMMITS)?),
        by: None,
        judged: Judged::Good,
    };
    let region = Region::parse("eu-west-1").context("a region")?;
    let mut facts = Facts::before_gathering(Some(subject), region, Origin::Event, Some(made), Timestamp::UNIX_EPOCH);
    facts.arrival.ancestry = Ancestry::Forward;
    facts.arrival.range = Some(range);
    let mut deciding = Vec::new();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let decision = black_box(decide(black_box(&facts), black_box(&policy)));
        deciding.push(begun.elapsed().as_secs_f64() * 1000.0);
        anyhow::ensure!(decision.verdict == Verdict::Allowed, "the decision is {:?}", decision.reasons.first());
    }
    let deciding = median(deciding);
    report.line(format!("deciding on a push of {COMMITS} commits against {RULES} rules and more: {deciding:.2} ms"));
    report.at_most("deciding on 1,000 commits against 20 rules, ms", deciding, 100.0);
    Ok(())
}
