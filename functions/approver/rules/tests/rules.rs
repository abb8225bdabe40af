//! The rules of the approver: facts in, decision out.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use signalbox_approver_rules::*;
use signalbox_events::{
    ApprovalRuleName, Arn, BuildId, BuildStatus, CheckRecord, CommentId, CommitId, ProjectName, PullRequestId,
    PullRequestState, RefName, RepositoryName, ReviewRecord, RevisionId,
};
use signalbox_policy::{Policy, parse_policy};

const ANNA: &str = "arn:aws:iam::111122223333:user/anna";
const BEN: &str = "arn:aws:iam::111122223333:user/ben";
const CARL: &str = "arn:aws:sts::111122223333:assumed-role/Developers/carl";

const POLICY: &str = r#"
mode: enforce
repositories:
  demo:
    triggers:
      unit: { on: { pull_request: { into: [main], paths: ["src/**"] } }, start: { build: demo-unit }, skip_ci: ignore }
      lint: { on: { pull_request: { into: [main] } }, start: { build: demo-lint }, authors: ["!bot@example.com"] }
    approvals:
      main:
        checks: [unit, lint]
        reviewers: { count: 1 }
        override: ["arn:aws:iam::*:user/ben"]
people:
  "arn:aws:iam::111122223333:user/anna": { name: Anna, teams: [leads] }
  "arn:aws:sts::111122223333:assumed-role/Admin/anna": { name: Anna2 }
"#;

fn policy(text: &str) -> Policy {
    parse_policy(text).unwrap_or_else(|problems| panic!("{problems}"))
}

fn arn(text: &str) -> Arn {
    Arn::parse(text).unwrap()
}

fn gate() -> Gate {
    Gate {
        stack: "signalbox".to_owned(),
        voters: "arn:aws:sts::111122223333:assumed-role/signalbox-ChecksRole-1/".to_owned(),
        writers: "arn:aws:sts::111122223333:assumed-role/signalbox-ApproverRole-1/".to_owned(),
    }
}

fn voter() -> Arn {
    arn(&format!("{}signalbox", gate().voters))
}

fn target() -> RefName {
    RefName::branch("main").unwrap()
}

fn rule(name: &str, content: &str, template: Option<&str>) -> RuleFacts {
    RuleFacts {
        name: name.to_owned(),
        content: content.to_owned(),
        sha256: Some("sha".to_owned()),
        template: template.map(str::to_owned),
        modified_by: Some(CARL.to_owned()),
    }
}

fn gate_rule(template: Option<&str>) -> RuleFacts {
    rule(&gate().name(&target()), &gate().content(), template)
}

fn build(project: &str, attempt: u32, status: BuildStatus) -> BuildFacts {
    BuildFacts { build: BuildId::parse(format!("{project}:{attempt}")).unwrap(), attempt, status, void: None }
}

fn green(project: &str) -> CheckFacts {
    CheckFacts { builds: vec![build(project, 1, BuildStatus::Succeeded)], ..CheckFacts::default() }
}

/// A pull request with its gate, whose checks are green and which Ben has approved.
fn facts() -> Facts {
    let subject = Subject {
        repository: RepositoryName::parse("demo").unwrap(),
        pull_request: PullRequestId::parse("7").unwrap(),
    };
    let here = PullRequestFacts {
        state: PullRequestState::Open,
        author: Some(arn(ANNA)),
        revision: Some(RevisionId::parse("r1").unwrap()),
        source: RefName::branch("feature").unwrap(),
        source_commit: CommitId::parse("c".repeat(40)).unwrap(),
        destination: target(),
        destination_commit: CommitId::parse("d".repeat(40)).unwrap(),
        base: Some(CommitId::parse("d".repeat(40)).unwrap()),
        rules: Some(vec![gate_rule(Some("signalbox gate main"))]),
        approvals: Some(vec![arn(BEN)]),
        overrider: Overrider::NotRead,
    };
    Facts {
        subject: Some(subject),
        occasion: Occasion::PullRequest { rules: None, by: None },
        gate: gate(),
        pull_request: Found::Here(Box::new(here)),
        memory: Memory { gated: true, ..Memory::default() },
        comment: CommentSeen::NotRead,
        checks: BTreeMap::from([("unit".to_owned(), green("demo-unit")), ("lint".to_owned(), green("demo-lint"))]),
        review: None,
        head: None,
        paths: None,
    }
}

fn with(change: impl FnOnce(&mut PullRequestFacts)) -> Facts {
    let mut facts = facts();
    if let Found::Here(here) = &mut facts.pull_request {
        change(here);
    }
    facts
}

/// The facts after the actions of a decision were done.
fn after(mut facts: Facts, decision: &Decision) -> Facts {
    facts.memory = decision.memory.clone();
    facts.occasion = Occasion::PullRequest { rules: None, by: None };
    let Found::Here(here) = &mut facts.pull_request else { return facts };
    let rules = here.rules.get_or_insert_default();
    for action in &decision.actions {
        match action {
            Action::GiveRule { name, content, .. } => rules.push(rule(name, content, None)),
            Action::MendRule { name, content, .. } => {
                rules.iter_mut().filter(|rule| rule.name == *name).for_each(|rule| rule.content.clone_from(content));
            }
            Action::DropRule { name, .. } => rules.retain(|rule| rule.name != *name),
            Action::EndOverride { .. } => here.overrider = Overrider::Nobody,
            Action::Approve { .. } => here.approvals.get_or_insert_default().push(voter()),
            Action::Revoke { .. } => here.approvals.get_or_insert_default().retain(|arn| *arn != voter()),
            Action::Ask { .. } => {}
            Action::Say { text, .. } => {
                let (id, sha256) = (CommentId::parse("comment").unwrap(), digest(text));
                facts.memory.comment = Some(Posted { id, sha256, anew: 0, given_up: false });
            }
        }
    }
    facts
}

fn told(decision: &Decision) -> String {
    let items = decision.items.iter().map(render_item);
    let reasons = decision.reasons.iter().map(render_reason);
    let actions = decision.actions.iter().map(|action| format!("-> {}", render_action(action)));
    let verdict = decision.verdict.words().to_owned();
    std::iter::once(verdict).chain(items).chain(reasons).chain(actions).collect::<Vec<_>>().join("\n")
}

fn decided(facts: &Facts) -> String {
    told(&decide(facts, &policy(POLICY)))
}

#[test]
fn what_is_met_is_voted_for_once_and_then_nothing_is_to_be_done() {
    let decision = decide(&facts(), &policy(POLICY));
    insta::assert_snapshot!(told(&decision), @r"
    met
    check unit is met: build demo-unit:1 passed
    check lint is met: build demo-lint:1 passed
    1 approval is met: ben approved this revision
    -> open the gate of pull request 7
    -> say so in the comment on pull request 7
    ");
    let again = decide(&after(facts(), &decision), &policy(POLICY));
    assert_eq!((again.verdict, again.actions.len(), again.is_loud()), (Verdict::Met, 0, false), "{}", told(&again));
}

#[test]
fn the_newest_try_counts_and_takes_the_vote_back() {
    let mut facts = with(|here| here.approvals.as_mut().unwrap().push(voter()));
    let unit = facts.checks.get_mut("unit").unwrap();
    unit.builds.push(build("demo-unit", 2, BuildStatus::InProgress));
    let waiting = decided(&facts);
    assert!(waiting.contains("waiting\ncheck unit is not yet met: build demo-unit:2 runs"), "{waiting}");
    assert!(waiting.contains("-> close the gate"), "{waiting}");
    facts.checks.get_mut("unit").unwrap().builds.push(build("demo-unit", 3, BuildStatus::Failed));
    assert!(decided(&facts).contains("missing\ncheck unit is missing: build demo-unit:3 ended as FAILED"));
}

#[test]
fn a_build_that_proves_nothing_is_named_with_why() {
    for (void, words) in [
        (Void::OtherInitiator { initiator: Some("carl".to_owned()) }, "carl started it, not the trigger"),
        (Void::OtherCommit { commit: Some("abc".to_owned()) }, "it built abc"),
        (Void::OtherProject { project: ProjectName::parse("easy").unwrap() }, "it ran the project easy"),
        (Void::OtherBuildspec, "the pull request's own buildspec"),
    ] {
        let mut facts = facts();
        facts.checks.get_mut("unit").unwrap().builds.first_mut().unwrap().void = Some(void);
        let told = decided(&facts);
        assert!(told.starts_with("missing") && told.contains(words) && !told.contains("-> open"), "{told}");
    }
}

#[test]
fn a_check_that_does_not_apply_is_green_with_its_reason() {
    let mut facts = facts();
    facts.checks =
        BTreeMap::from([("unit".to_owned(), CheckFacts::default()), ("lint".to_owned(), CheckFacts::default())]);
    let unread = decided(&facts);
    assert!(
        unread.contains("check unit is not yet met: nobody has looked yet") && !unread.contains("-> open"),
        "{unread}"
    );
    facts.paths = Some(Paths { paths: vec!["docs/a.md".to_owned()], left_out: 0 });
    facts.head = Some(Head { message: "docs".to_owned(), author_email: "bot@example.com".to_owned() });
    let told = decided(&facts);
    assert!(
        told.contains("check unit is met: it does not apply, as none of the 1 changed file matches its paths"),
        "{told}"
    );
    assert!(told.contains("check lint is met: it does not apply, as the commit's author, bot@example.com"), "{told}");
    assert!(told.contains("-> open the gate"), "{told}");

    // It is remembered: the next look reads neither.
    let decision = decide(&facts, &policy(POLICY));
    let mut next = after(facts.clone(), &decision);
    (next.head, next.paths) = (None, None);
    assert_eq!(wants_more(&next, &policy(POLICY)), More::default());
    assert!(decide(&next, &policy(POLICY)).actions.is_empty());

    // A report cuts the list; what it left out is not guessed.
    facts.paths = Some(Paths { paths: vec!["docs/a.md".to_owned()], left_out: 5 });
    assert!(decided(&facts).contains("check unit is not yet met"));
}

#[test]
fn a_message_cannot_talk_a_required_check_away() {
    let mut facts = facts();
    facts.checks.insert("lint".to_owned(), CheckFacts::default());
    facts.head = Some(Head { message: "x [skip ci]".to_owned(), author_email: "a@example.com".to_owned() });
    let told = decided(&facts);
    assert!(told.contains("check lint is missing: the commit message says [skip ci]"), "{told}");
}

#[test]
fn a_check_without_a_build_waits_and_one_without_a_project_never_does() {
    let mut facts = facts();
    facts.head = Some(Head { message: "x".to_owned(), author_email: "a@example.com".to_owned() });
    let lint = |project| CheckFacts { project, ..CheckFacts::default() };
    facts.checks.insert("lint".to_owned(), lint(Project::There));
    assert!(decided(&facts).contains("check lint is not yet met: no build of ccccccc was started yet"));
    facts.checks.insert("lint".to_owned(), lint(Project::Missing));
    let told = decided(&facts);
    assert!(told.starts_with("missing") && told.contains("there is no build project demo-lint"), "{told}");
}

#[test]
fn a_trigger_that_never_starts_for_such_a_pull_request_is_missing_and_says_what_to_mend() {
    for (from, to, words) in [
        ("pull_request: { into: [main] }", "push: {}", "give it the reason pull_request"),
        ("pull_request: { into: [main] }", "pull_request: { into: [next] }", "for no pull request into main"),
        ("start: { build: demo-lint }", "start: { pipeline: demo }", "this version cannot do that"),
    ] {
        let text = POLICY.replacen(from, to, 1);
        let text = if text == POLICY { panic!("{from}") } else { text };
        let told = told(&decide(&facts(), &policy(&text)));
        assert!(told.starts_with("missing") && told.contains(words), "{told}");
    }
}

fn tidy(rules: &str) -> Policy {
    let protection = format!("protection:\n      - {{ name: tidy, refs: [main], {rules} }}\n    approvals:");
    policy(&POLICY.replace("approvals:", &protection).replace("[unit, lint]", "[unit, lint, tidy]"))
}

fn judged(policy: &Policy, findings: &[&str], left_out: usize) -> ReviewRecord {
    let facts = facts();
    let here = facts.here().unwrap();
    let repository = &facts.subject.as_ref().unwrap().repository;
    let protections = policy.protections_asked(repository, &here.destination);
    let findings: Vec<String> = findings.iter().map(|text| (*text).to_owned()).collect();
    let found = |rules: String| CheckRecord { rules, findings: findings.clone(), left_out, is_unread: false };
    ReviewRecord {
        commit: Some(here.source_commit.clone()),
        base: Some(here.from().clone()),
        commits: 1,
        checks: protections.iter().map(|it| (it.name.as_ref().unwrap().to_string(), found(it.range_rules()))).collect(),
    }
}

#[test]
fn a_protection_is_green_when_its_rules_found_nothing_in_just_these_commits() {
    let none = tidy("forbid: [deletion]");
    assert!(told(&decide(&facts(), &none)).contains("check tidy is met: it has no rules for commits and files"));
    let rules = tidy("commits: { message: feat }");
    let waiting = decide(&facts(), &rules);
    assert_eq!(waiting.verdict, Verdict::Waiting);
    let words = told(&waiting);
    assert!(words.contains("check tidy is not yet met: its rules have not been held against ccccccc yet"), "{words}");
    assert!(words.contains("-> have the protector judge pull request 7") && !words.contains("-> open"), "{words}");

    // It is asked once, and again by the clock or for other rules.
    let asked = after(facts(), &waiting);
    assert!(decide(&asked, &rules).actions.is_empty(), "{}", told(&decide(&asked, &rules)));
    let clock = Facts { occasion: Occasion::Sweep, ..asked.clone() };
    assert!(told(&decide(&clock, &rules)).contains("-> have the protector"));
    assert!(told(&decide(&asked, &tidy("commits: { message: fix }"))).contains("-> have the protector"));

    let held = Facts { review: Some(judged(&rules, &[], 0)), ..facts() };
    let words = told(&decide(&held, &rules));
    assert!(words.starts_with("met") && words.contains("nothing is wrong in 1 commit"), "{words}");
    let broken =
        Facts { review: Some(judged(&rules, &["commits.message: commit ccccccc: no feat", "x | y"], 3)), ..facts() };
    let decision = decide(&broken, &rules);
    let words = told(&decision);
    assert!(
        words.contains("check tidy is missing: it found 5 faults, of which these are the first 2\n  - commits.message: commit ccccccc: no feat\n  - x | y"),
        "{words}"
    );
    assert!(!words.contains("-> have the protector") && !words.contains("-> open"), "{words}");
    let comment = decision.actions.iter().find_map(|action| match action {
        Action::Say { text, .. } => Some(text.clone()),
        _ => None,
    });
    let comment = comment.unwrap();
    assert!(
        comment
            .contains("What check tidy found:\n\n- commits.message: commit ccccccc: no feat\n- x / y\n- and 3 more\n"),
        "{comment}"
    );
    assert!(comment.contains("| whoever pushes to feature |"), "{comment}");

    // Other commits, another base, other rules: it says nothing of them.
    let record = judged(&rules, &[], 0);
    for other in [
        ReviewRecord { commit: Some(CommitId::parse("e".repeat(40)).unwrap()), ..record.clone() },
        ReviewRecord { base: Some(CommitId::parse("e".repeat(40)).unwrap()), ..record },
        judged(&tidy("commits: { message: fix }"), &[], 0),
        ReviewRecord::default(),
    ] {
        let words = told(&decide(&Facts { review: Some(other), ..facts() }, &rules));
        assert!(words.contains("check tidy is not yet met") && !words.contains("-> open"), "{words}");
    }
}

#[test]
fn what_could_not_be_read_is_missing_and_the_clock_has_it_looked_at_again() {
    let rules = tidy("commits: { message: feat }");
    let mut record = judged(&rules, &["unread: no leave to read it"], 0);
    record.checks.get_mut("tidy").unwrap().is_unread = true;
    let unread = Facts { review: Some(record), ..facts() };
    let words = told(&decide(&unread, &rules));
    assert!(words.contains("- unread: no leave to read it") && !words.contains("-> have the protector"), "{words}");
    let clock = Facts { occasion: Occasion::Sweep, ..unread };
    assert!(told(&decide(&clock, &rules)).contains("-> have the protector"));
}

#[test]
fn a_long_list_of_findings_leaves_the_comment_within_its_length() {
    let rules = tidy("commits: { message: feat }");
    let long: Vec<String> = (0..50).map(|number| format!("{number} {}", "x".repeat(390))).collect();
    let texts: Vec<&str> = long.iter().map(String::as_str).collect();
    let decision = decide(&Facts { review: Some(judged(&rules, &texts, 7)), ..facts() }, &rules);
    let comment = decision.actions.iter().find_map(|action| match action {
        Action::Say { text, .. } => Some(text.clone()),
        _ => None,
    });
    let comment = comment.unwrap();
    let shown = comment.lines().filter(|line| line.ends_with("xxx")).count();
    assert!(comment.chars().count() <= 10_240 && shown > 10, "{shown}");
    assert!(
        comment.contains(&format!("- and {} more", 57 - shown)) && comment.trim_end().ends_with(MARKER),
        "{comment}"
    );
}

#[test]
fn observing_asks_the_protector_and_does_nothing_else() {
    let mut observing = tidy("commits: { message: feat }");
    observing.mode = signalbox_policy::Mode::Observe;
    let (done, told) = decide(&facts(), &observing).done_and_told();
    assert!(matches!(done.as_slice(), [Action::Ask { .. }]) && !told.is_empty(), "{done:?}");
}

#[test]
fn only_other_people_count_as_reviewers_and_each_once() {
    let wants = |count: u32, from: &str| POLICY.replace("count: 1", &format!("count: {count}{from}"));
    let approved_by =
        |people: &[&str]| with(|here| here.approvals = Some(people.iter().map(|text| arn(text)).collect()));
    let told = |people: &[&str], text: &str| told(&decide(&approved_by(people), &policy(text)));
    let none = told(&[ANNA], &wants(1, ""));
    assert!(none.contains("1 approval is missing: nobody who counts"), "the author never counts: {none}");
    assert!(told(&[BEN], &wants(2, "")).contains("2 approvals is missing: ben approved"));
    assert!(told(&[BEN, CARL], &wants(2, "")).contains("2 approvals is met"));
    let ours = voter();
    assert!(
        told(&[ours.as_str()], &wants(1, "")).contains("1 approval is missing: nobody"),
        "our own vote is no person's"
    );
    assert!(told(&[BEN], &wants(1, ", from: [leads]")).contains("1 approval of leads is missing"));

    let people = "people:\n  \"arn:aws:iam::111122223333:user/ben\": { name: Ben, teams: [leads] }\n  \
                  \"arn:aws:sts::111122223333:assumed-role/*/ben\": { name: Ben, teams: [leads] }\n";
    let text = format!("{}{people}", wants(2, ", from: [leads]").split("people:").next().unwrap());
    // The file may not give one name to two people; a pattern stands for one person's sessions.
    let text = text.replace("  \"arn:aws:iam::111122223333:user/ben\": { name: Ben, teams: [leads] }\n", "");
    let sessions =
        ["arn:aws:sts::111122223333:assumed-role/Dev/ben", "arn:aws:sts::111122223333:assumed-role/Admin/ben"];
    let told = self::told(&decide(&approved_by(&sessions), &policy(&text)));
    assert!(told.contains("2 approvals of leads is missing: Ben approved"), "two sessions are one person: {told}");
}

#[test]
fn a_gate_that_was_taken_away_or_weakened_comes_back_and_it_is_told_who_did_it() {
    let deleted = with(|here| here.rules = Some(Vec::new()));
    assert!(decided(&deleted).contains("somebody deleted the rule signalbox gate main"));
    let mut told_by_event = deleted;
    let name = ApprovalRuleName::parse("signalbox gate main").unwrap();
    told_by_event.occasion = Occasion::PullRequest { rules: Some(RuleEvent::Deleted(name)), by: Some(arn(CARL)) };
    let decision = decide(&told_by_event, &policy(POLICY));
    assert!(decision.is_loud() && told(&decision).contains(&format!("{CARL} deleted the rule")), "{}", told(&decision));
    assert!(told(&decision).contains("-> give pull request 7 the rule signalbox gate main"));
    let again = decide(&after(told_by_event, &decision), &policy(POLICY));
    assert!(again.actions.is_empty() && !again.is_loud(), "{}", told(&again));

    let weak = gate().content().replace("ChecksRole-1", "Developers");
    let changed = with(|here| here.rules = Some(vec![rule("signalbox gate main", &weak, None)]));
    let told = decided(&changed);
    assert!(told.contains(&format!("{CARL} changed the rule")) && told.contains("-> make the rule"), "{told}");

    // A template's rule cannot be edited: a second one stands beside it.
    let weak = with(|here| here.rules = Some(vec![rule("signalbox gate main", &weak, Some("signalbox gate main"))]));
    let decision = decide(&weak, &policy(POLICY));
    assert!(self::told(&decision).contains("-> give pull request 7 the rule signalbox gate main again"));
    assert!(decide(&after(weak, &decision), &policy(POLICY)).actions.is_empty());
}

#[test]
fn a_pull_request_that_was_open_before_gets_a_gate_and_one_that_is_full_is_told_once() {
    let mut open = with(|here| here.rules = Some(Vec::new()));
    open.memory = Memory::default();
    let decision = decide(&open, &policy(POLICY));
    assert!(
        told(&decision).contains("it has no gate yet\n-> give pull request 7") && !decision.is_loud(),
        "{}",
        told(&decision)
    );

    let mut full = with(|here| {
        here.rules = Some((0..30).map(|number| rule(&format!("rule {number}"), &gate().content(), None)).collect());
    });
    full.memory = Memory::default();
    let decision = decide(&full, &policy(POLICY));
    assert!(!decision.is_complete() && decision.verdict == Verdict::Missing, "{}", told(&decision));
    let Some(Action::Say { text, .. }) = decision.actions.last() else { panic!("{decision:?}") };
    assert!(text.contains("there is no room for the gate"), "{text}");
    let again = decide(&after(full, &decision), &policy(POLICY));
    assert!(again.is_complete() && again.actions.is_empty(), "{}", told(&again));
}

#[test]
fn an_override_holds_only_with_leave() {
    let without = with(|here| here.overrider = Overrider::By(arn(CARL)));
    let decision = decide(&without, &policy(POLICY));
    assert!(told(&decision).contains("-> put the approval rules of pull request 7 in force again"));
    assert!(decision.is_loud() && decision.verdict == Verdict::Met);

    let with_leave = with(|here| here.overrider = Overrider::By(arn(BEN)));
    let decision = decide(&with_leave, &policy(POLICY));
    assert_eq!(decision.verdict, Verdict::Overridden);
    assert!(decision.is_loud() && !told(&decision).contains("in force again"), "{}", told(&decision));
    let next = after(with_leave, &decision);
    let again = decide(&next, &policy(POLICY));
    assert!(!again.is_loud() && again.actions.is_empty(), "it is told once: {}", told(&again));
    assert!(may_be_overridden(&next), "whether it still holds is asked from then on");
    // Two sections that do not both give leave give none.
    let two = POLICY.replace("people:", "  \"d*\":\n    approvals:\n      main: { reviewers: { count: 1 } }\npeople:");
    let told = told(&decide(&with(|here| here.overrider = Overrider::By(arn(BEN))), &policy(&two)));
    assert!(told.contains("the policy does not let them"), "{told}");
}

#[test]
fn where_nothing_is_asked_any_more_the_gate_is_opened() {
    let nothing = policy("mode: enforce\n");
    let decision = decide(&facts(), &nothing);
    insta::assert_snapshot!(told(&decision), @r"
    nothing asked
    the policy asks for nothing any more, so what is left of the gate is opened
    -> open the gate of pull request 7
    ");
    let own = with(|here| here.rules = Some(vec![gate_rule(None)]));
    assert!(told(&decide(&own, &nothing)).contains("-> take the rule signalbox gate main of pull request 7 away"));
    let none = with(|here| here.rules = Some(Vec::new()));
    assert_eq!(decide(&none, &nothing).actions, []);
}

#[test]
fn what_is_closed_is_left_alone() {
    for state in [PullRequestState::Closed, PullRequestState::Merged] {
        let decision = decide(&with(|here| here.state = state), &policy(POLICY));
        assert_eq!((decision.verdict, decision.actions.len()), (Verdict::Closed, 0));
    }
    let gone = Facts { pull_request: Found::Gone, ..facts() };
    assert_eq!(decide(&gone, &policy(POLICY)).verdict, Verdict::Closed);
}

#[test]
fn the_comment_says_everything_in_a_table_that_no_name_breaks() {
    let mut facts = with(|here| {
        here.approvals = Some(Vec::new());
        here.rules.as_mut().unwrap().push(rule("two people", "{\"Statements\":[{\"Type\":\"Approvers\"}]}", None));
    });
    facts.checks.insert(
        "lint".to_owned(),
        CheckFacts { unreadable: Some("a | b\n<script>".to_owned()), ..CheckFacts::default() },
    );
    let decision = decide(&facts, &policy(POLICY));
    let Some(Action::Say { text, .. }) = decision.actions.last() else { panic!("{decision:?}") };
    insta::assert_snapshot!(text, @r"
    **A merge of ccccccc into main needs what is missing.**

    | asked | | why | who can help |
    |---|---|---|---|
    | check unit | met | build demo-unit:1 passed |  |
    | check lint | missing | its builds cannot be looked at: a / b  script | whoever keeps the policy |
    | 1 approval | missing | nobody who counts has approved this revision | everybody but the author |

    The rule two people has no approval pool, so it counts the vote of the gate as an approval. Give it a pool, or use `reviewers` of the policy.

    Kept up to date by Signalbox: it reads no answers here.
    ");
}

#[test]
fn the_longest_comment_fits() {
    let names: Vec<String> = (0..60).map(|number| format!("{}{number}", "x".repeat(60))).collect();
    let triggers: String = names
        .iter()
        .map(|name| format!("      {name}: {{ on: {{ pull_request: {{}} }}, start: {{ build: {name} }} }}\n"))
        .collect();
    let text = format!(
        "mode: enforce\nrepositories:\n  demo:\n    triggers:\n{triggers}    approvals:\n      main: {{ checks: [{}] }}\n",
        names.join(", ")
    );
    let mut facts = facts();
    let unreadable =
        |name: &String| (name.clone(), CheckFacts { unreadable: Some("y".repeat(5_000)), ..CheckFacts::default() });
    facts.checks = names.iter().map(unreadable).collect();
    let decision = decide(&facts, &policy(&text));
    let Some(Action::Say { text, .. }) = decision.actions.last() else { panic!("{:?}", decision.verdict) };
    assert!(text.chars().count() <= 10_240 && text.contains("There is no room for"), "{}", text.chars().count());
    assert!(text.trim_end().ends_with(MARKER));
}

#[test]
fn a_deleted_comment_is_made_anew_once() {
    let decision = decide(&facts(), &policy(POLICY));
    let mut next = after(facts(), &decision);
    next.comment = CommentSeen::Gone;
    assert!(matches!(decide(&next, &policy(POLICY)).actions.as_slice(), [Action::Say { .. }]));
    next.memory.comment.as_mut().unwrap().anew = 1;
    let unwanted = decide(&next, &policy(POLICY));
    assert!(unwanted.actions.is_empty() && told(&unwanted).contains("it stays away"), "{}", told(&unwanted));
    next.memory.comment.as_mut().unwrap().given_up = true;
    next.comment = CommentSeen::NotRead;
    assert_eq!(decide(&next, &policy(POLICY)).actions, []);
}

fn branches(list: &[(&str, &[&str])]) -> BTreeMap<RepositoryName, BTreeSet<String>> {
    let one = |(name, branches): &(&str, &[&str])| {
        (RepositoryName::parse(*name).unwrap(), branches.iter().map(|name| (*name).to_owned()).collect())
    };
    list.iter().map(one).collect()
}

#[test]
fn templates_come_to_be_what_the_policy_wants_and_stay_so() {
    let text = "mode: enforce\nrepositories:\n  \"pay-*\":\n    approvals:\n      \"release/*\": { reviewers: { count: 1 } }\n      main: { reviewers: { count: 1 } }\n";
    let policy = policy(text);
    let all = branches(&[("pay-a", &["main", "release/1", "topic"]), ("pay-b", &["main", "quarantine/x"])]);
    let looked: BTreeSet<RepositoryName> = all.keys().cloned().collect();
    let wanted = wanted_templates(&policy, &gate(), &all);
    let release = gate().name(&RefName::branch("release/1").unwrap());
    assert_eq!(wanted.keys().collect::<Vec<_>>(), ["signalbox gate main", &release]);

    let mut there = BTreeMap::new();
    let first = decide_templates(&wanted, &there, &TemplateMemory::default(), &gate(), &looked);
    assert_eq!((first.actions.len(), first.drift.len()), (5, 0), "{first:?}");
    apply(&first, &mut there);
    let again = decide_templates(&wanted, &there, &first.memory, &gate(), &looked);
    assert_eq!((again.actions.as_slice(), again.drift.len()), ([].as_slice(), 0));

    // Weakened, deleted, taken away: each is told and put right.
    let mut touched = there.clone();
    touched.get_mut("signalbox gate main").unwrap().content = Some(("{}".to_owned(), None));
    touched.get_mut("signalbox gate main").unwrap().repositories.pop_first();
    touched.remove(&release);
    let mended = decide_templates(&wanted, &touched, &first.memory, &gate(), &looked);
    let drift: Vec<String> = mended.drift.iter().map(|drift| render_drift(drift, Some("carl"))).collect();
    assert_eq!(drift.len(), 3, "{drift:?}");
    assert!(drift.iter().all(|line| line.starts_with("carl ")), "{drift:?}");
    apply(&mended, &mut touched);
    assert_eq!(decide_templates(&wanted, &touched, &mended.memory, &gate(), &looked).actions, []);

    // Where nothing is asked any more it is taken away, and only where somebody looked.
    let none = Wanted::new();
    let over = decide_templates(&none, &there, &first.memory, &gate(), &looked);
    assert_eq!(over.actions.len(), 3, "{over:?}");
    assert_eq!(decide_templates(&none, &there, &first.memory, &gate(), &BTreeSet::new()).actions, []);
}

fn apply(decision: &TemplateDecision, there: &mut BTreeMap<String, TemplateFacts>) {
    for action in &decision.actions {
        match action {
            TemplateAction::Make { name, content } | TemplateAction::Mend { name, content, .. } => {
                there.entry(name.clone()).or_default().content = Some((content.clone(), None));
            }
            TemplateAction::Associate { name, repository } => {
                there.entry(name.clone()).or_default().repositories.insert(repository.clone());
            }
            TemplateAction::Disassociate { name, repository } => {
                there.entry(name.clone()).or_default().repositories.remove(repository);
            }
        }
    }
}

#[test]
fn a_repository_with_many_branches_has_no_more_templates_than_there_is_room_for() {
    let text = "mode: enforce\nrepositories:\n  demo:\n    approvals:\n      \"**\": { reviewers: { count: 1 } }\n";
    let names: Vec<String> = (0..100).map(|number| format!("b{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let wanted = wanted_templates(&policy(text), &gate(), &branches(&[("demo", &names)]));
    assert_eq!(wanted.len(), MOST_OF_REPOSITORY);
}

#[test]
fn a_sweep_goes_on_behind_the_pull_request_where_the_last_one_stopped() {
    let id = |number: &str| PullRequestId::parse(number).unwrap();
    let demo = RepositoryName::parse("demo").unwrap();
    // In no order, as CodeCommit lists them.
    let open = || vec![id("11"), id("9"), id("10")];
    let cursor = Cursor { repository: Some(demo.clone()), behind: Some(id("9")) };
    assert_eq!(cursor.left(&demo, open()), [id("10"), id("11")], "numbers, not texts, are compared");
    assert_eq!(cursor.left(&RepositoryName::parse("other").unwrap(), open()).len(), 3);
    assert_eq!(Cursor::default().left(&demo, open()), [id("9"), id("10"), id("11")]);
}

fn any_status() -> impl Strategy<Value = BuildStatus> {
    prop_oneof![
        Just(BuildStatus::Succeeded),
        Just(BuildStatus::Failed),
        Just(BuildStatus::InProgress),
        Just(BuildStatus::Stopped)
    ]
}

proptest! {
    #[test]
    fn whatever_was_done_is_not_done_again_and_only_what_is_met_is_voted_for(
        unit in proptest::collection::vec(any_status(), 0..3),
        lint in proptest::collection::vec(any_status(), 0..3),
        has_gate in any::<bool>(), is_weak in any::<bool>(), of_template in any::<bool>(), is_voted in any::<bool>(),
        approved in any::<bool>(), overridden in prop_oneof![Just(None), Just(Some(BEN)), Just(Some(CARL))],
        others in 0_usize..32,
    ) {
        let mut facts = with(|here| {
            let content = if is_weak { "{}".to_owned() } else { gate().content() };
            let template = of_template.then_some("signalbox gate main");
            let mut rules: Vec<RuleFacts> =
                (0..others).map(|number| rule(&format!("r{number}"), "{}", None)).collect();
            rules.extend(has_gate.then(|| rule("signalbox gate main", &content, template)));
            here.rules = Some(rules);
            let mut approvals = Vec::new();
            approvals.extend(approved.then(|| arn(BEN)));
            approvals.extend(is_voted.then(voter));
            here.approvals = Some(approvals);
            here.overrider = overridden.map_or(Overrider::Nobody, |by| Overrider::By(arn(by)));
        });
        let check = |project: &str, tries: &[BuildStatus]| CheckFacts {
            builds: tries.iter().enumerate().map(|(at, status)| build(project, u32::try_from(at).unwrap(), *status)).collect(),
            project: Project::There,
            ..CheckFacts::default()
        };
        facts.checks = BTreeMap::from([
            ("unit".to_owned(), check("demo-unit", &unit)),
            ("lint".to_owned(), check("demo-lint", &lint)),
        ]);
        facts.head = Some(Head { message: "x".to_owned(), author_email: "a@example.com".to_owned() });
        facts.paths = Some(Paths { paths: vec!["src/a".to_owned()], left_out: 0 });
        let policy = policy(POLICY);
        let decision = decide(&facts, &policy);
        let is_green = |tries: &[BuildStatus]| tries.last() == Some(&BuildStatus::Succeeded);
        let is_met = approved && is_green(&unit) && is_green(&lint);
        let next = after(facts, &decision);
        let given = next.here().unwrap().approvals.as_ref().unwrap().contains(&voter());
        prop_assert_eq!(given, is_met);
        let again = decide(&next, &policy);
        prop_assert!(again.actions.is_empty(), "{}\n\n{}", told(&decision), told(&again));
    }
}
