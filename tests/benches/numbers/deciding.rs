//! How long a decision takes: a push of many files against many triggers, beside one pass of one compiled glob set.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::hint::black_box;
use std::time::Instant;

use anyhow::Context;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use signalbox_events::{CommitId, RefName, RepositoryName};
use signalbox_policy::parse_policy;
use signalbox_trigger_rules::{Base, Difference, Facts, Head, Push, TriggerFacts, Verdict, decide};

use crate::measure::median;
use crate::report::Report;

const FILES: usize = 10_000;
const TRIGGERS: usize = 1_000;
const ROUNDS: usize = 15;

/// Puts the ratio into the report.
pub(crate) fn measure(report: &mut Report) -> anyhow::Result<()> {
    let mut policy = "mode: enforce\nrepositories:\n  payments:\n    triggers:\n".to_owned();
    let mut set = GlobSetBuilder::new();
    let mut add = |pattern: &str| -> anyhow::Result<()> {
        set.add(GlobBuilder::new(pattern).literal_separator(true).build()?);
        Ok(())
    };
    for number in 0..TRIGGERS {
        writeln!(
            policy,
            "      t{number}:\n        on: {{ push: {{ branches: [main], paths: [\"services/s{number}/**\", \"!**/*.md\"] }} }}\n        start: {{ build: unit }}"
        )?;
        add(&format!("services/s{number}/**"))?;
    }
    add("**/*.md")?;
    let set: GlobSet = set.build()?;
    let policy = parse_policy(&policy).map_err(|problems| anyhow::anyhow!("{problems}"))?;

    // Half of the services change; nine of ten files are theirs, the others lie elsewhere.
    let paths: Vec<String> = (0..FILES)
        .map(|number| match number % 10 {
            0 => format!("docs/chapter-{}/page-{number}.md", number % 40),
            rest => {
                let service = (number / 10 * 9 + rest) * 7 % (TRIGGERS / 2);
                format!("services/s{service}/src/module_{}/file_{number}.rs", number % 13)
            }
        })
        .collect();
    let commit = |digit: &str| CommitId::parse(digit.repeat(40)).context("a commit id");
    let push = Push {
        repository: RepositoryName::parse("payments").context("a repository name")?,
        reference: RefName::branch("main").context("a branch")?,
        commit: commit("a")?,
        previous: Some(commit("b")?),
        pusher: None,
    };
    let known = TriggerFacts {
        target: Some(push.commit.clone()),
        head: Some(Head::default()),
        difference: Some(0),
        ..TriggerFacts::default()
    };
    let facts = Facts {
        triggers: (0..TRIGGERS).map(|number| (format!("t{number}"), known.clone())).collect::<BTreeMap<_, _>>(),
        differences: vec![Difference {
            base: Base::MergeBase(commit("b")?),
            target: push.commit.clone(),
            paths: paths.clone(),
            left_out: 0,
        }],
        push: Some(push),
        ..Facts::default()
    };

    let (mut deciding, mut passing) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let decision = black_box(decide(black_box(&facts), black_box(&policy)));
        deciding.push(begun.elapsed().as_secs_f64() * 1000.0);
        anyhow::ensure!(
            decision.verdict == Verdict::Start && decision.actions.len() == TRIGGERS / 2,
            "the decision starts {} of {} triggers",
            decision.actions.len(),
            TRIGGERS / 2
        );
        let begun = Instant::now();
        let mut matches = Vec::new();
        let mut found = 0;
        for path in &paths {
            set.matches_into(black_box(path), &mut matches);
            found += matches.len();
        }
        passing.push(begun.elapsed().as_secs_f64() * 1000.0);
        anyhow::ensure!(black_box(found) >= FILES, "the glob set matches only {found} times");
    }
    let (deciding, passing) = (median(deciding), median(passing));
    println!(
        "deciding on {FILES} files and {TRIGGERS} triggers: {deciding:.2} ms; one pass of one glob set: {passing:.2} ms"
    );
    report.ratio("deciding, against one pass of one compiled glob set", deciding / passing, 3.0);
    Ok(())
}
