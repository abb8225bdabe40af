//! Pull requests and comments: values in, decisions out.

use signalbox_events::{BuildspecOf, PullRequestId, PullRequestState, RevisionId};

use super::*;

const REVIEWED: &str = r#"
mode: enforce
repositories:
  demo:
    triggers:
      unit:
        on: { pull_request: { into: [main], paths: ["src/**"] } }
        start: { build: demo-unit, environment: { LEVEL: strict } }
      merged:
        on: { pull_request: { into: [main], commit: merge-result, buildspec_from: target } }
        start: { build: demo-merged }
        supersede: true
      stage:
        on: { comment: "/deploy stage" }
        start: { build: demo-stage }
"#;

fn reviewed() -> Policy {
    parse_policy(REVIEWED).unwrap_or_else(|problems| panic!("{problems}"))
}

fn sample(name: &str) -> Event {
    let bytes = std::fs::read(format!("{}/../../../events/{name}.json", env!("CARGO_MANIFEST_DIR"))).unwrap();
    match parse_event(&bytes).unwrap() {
        Parsed::Ours(event) => *event,
        Parsed::NotOurs(other) => panic!("{other:?}"),
    }
}

fn subject(what: What) -> Subject {
    Subject {
        repository: RepositoryName::parse("demo").unwrap(),
        pull_request: PullRequestId::parse("7").unwrap(),
        what,
        by: Some(Arn::parse("arn:aws:iam::111122223333:user/developer").unwrap()),
    }
}

fn revision(name: char) -> RevisionId {
    RevisionId::parse(name.to_string().repeat(64)).unwrap()
}

fn branch(name: &str) -> RefName {
    RefName::branch(name).unwrap()
}

fn open() -> PullRequest {
    PullRequest {
        state: PullRequestState::Open,
        revision: revision('1'),
        source: branch("feature"),
        source_commit: commit('b'),
        into: branch("main"),
        into_commit: commit('d'),
        base: Some(commit('a')),
        author: Some(Arn::parse("arn:aws:iam::111122223333:user/author").unwrap()),
        title: "A title; $(touch /tmp/owned)".to_owned(),
    }
}

fn review(what: What) -> Review {
    Review {
        subject: subject(what),
        writer: Writer::Somebody,
        commands: None,
        pull_request: Looked::There(Box::new(open())),
        merge: Some(Merge { with: Some(commit('e')), meets: Meets::Nothing }),
    }
}

fn revised() -> What {
    What::Revised { into: branch("main"), revision: Some(revision('1')) }
}

fn commented(text: &str) -> Review {
    let comment = signalbox_events::CommentId::parse("c:1").unwrap();
    Review { commands: Some(commands(text)), ..review(What::Commented { comment }) }
}

fn file() -> TargetBuildspec {
    TargetBuildspec::of_file("buildspec.yml".to_owned(), commit('e'), Some(b"version: 0.2".to_vec()))
}

/// Facts in which every trigger is known and `src/lib.rs` changed.
fn known_facts(review: Review) -> Facts {
    let unit = TriggerFacts { difference: Some(0), ..known() };
    let merged = TriggerFacts { buildspec: Some(file()), ..known() };
    let difference = Difference {
        base: Base::Target(commit('a')),
        target: commit('b'),
        paths: vec!["src/lib.rs".to_owned()],
        left_out: 0,
    };
    Facts {
        review: Some(review),
        triggers: [("unit", unit), ("merged", merged), ("stage", known())].map(|(n, f)| (n.to_owned(), f)).into(),
        differences: vec![difference],
        id: Some(EventId::parse("acts-1").unwrap()),
        pushed_at: Some(Timestamp::from_second(1_000).unwrap()),
        ..Facts::default()
    }
}

fn start_of<'a>(decision: &'a Decision, trigger: &str) -> &'a StartBuild {
    starts(decision).into_iter().find(|start| start.trigger == trigger).unwrap_or_else(|| panic!("{}", told(decision)))
}

#[test]
fn the_events_that_say_look_are_those_of_new_revisions_and_new_comments() {
    for (name, is_ours) in [
        ("codecommit-pull-request-created", true),
        ("codecommit-pull-request-source-branch-updated", true),
        ("codecommit-pull-request-closed", false),
        ("codecommit-pull-request-merged", false),
        ("codecommit-pull-request-approved", false),
        ("codecommit-comment-on-pull-request-created", true),
        ("codecommit-comment-on-pull-request-reply", true),
        ("codecommit-comment-on-pull-request-updated", false),
        ("codecommit-comment-on-commit-created", false),
        ("codecommit-reaction-created", false),
        ("codecommit-reference-updated-push", false),
    ] {
        assert_eq!(review_of(&sample(name)).is_some(), is_ours, "{name}");
        assert!(is_ours || needs(&sample(name), &reviewed()).review.is_none(), "{name}");
    }
}

#[test]
fn each_trigger_is_looked_at_for_what_it_asks() {
    insta::assert_json_snapshot!(review_needs(&review(revised()), &reviewed()), @r#"
    [
      {
        "name": "unit",
        "state_key": "state/triggers/demo/unit/pull-requests/7.json",
        "files": "of_pull_request",
        "commit": "source",
        "buildspec": null
      },
      {
        "name": "merged",
        "state_key": "state/triggers/demo/merged/pull-requests/7.json",
        "files": "not_wanted",
        "commit": "merge_result",
        "buildspec": {
          "project": "demo-merged",
          "path": null
        }
      }
    ]
    "#);
    let names = |review: &Review| -> Vec<String> {
        review_needs(review, &reviewed()).into_iter().map(|one| one.name).collect()
    };
    assert_eq!(names(&commented("/deploy stage")), ["stage"]);
    assert_eq!(names(&commented("/retest")), ["unit", "merged", "stage"]);
    assert_eq!(names(&commented("/test ?")), [""; 0]);
    // By name, whichever files changed.
    assert_eq!(review_needs(&commented("/test unit"), &reviewed())[0].files, WhichFiles::NotWanted);
}

#[test]
fn a_new_revision_starts_what_takes_it_and_the_builds_know_what_for() {
    let decision = decide(&known_facts(review(revised())), &reviewed());
    insta::assert_snapshot!(told(&decision), @r"
    unit starts for bbbbbbb: src/lib.rs matches its paths (1 file changed since aaaaaaa, where it left its target branch)
    merged starts for bbbbbbb: it takes every pull request into main, and this is 7
    -> start demo-unit for pull request 7 at bbbbbbb
    -> start demo-merged for pull request 7 at bbbbbbb, merged with eeeeeee
    ");
    let unit = start_of(&decision, "unit");
    let names: Vec<&str> = unit.environment.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "LEVEL",
            "SIGNALBOX_BASE",
            "SIGNALBOX_COMMIT",
            "SIGNALBOX_INTO",
            "SIGNALBOX_PULL_REQUEST",
            "SIGNALBOX_REF",
            "SIGNALBOX_REPOSITORY",
            "SIGNALBOX_REVISION",
            "SIGNALBOX_TOKEN",
            "SIGNALBOX_TRIGGER"
        ]
    );
    assert!(!format!("{:?}", unit.environment).contains("owned"), "no text that anybody wrote is in a variable");
    let record = unit.pull_request.clone().unwrap();
    assert_eq!((record.merge, record.asked, record.buildspec), (None, None, BuildspecOf::Source));
    assert_eq!((unit.pusher.as_ref().map(Arn::person), unit.pushed.is_some()), (Some("developer"), true));
    assert_eq!(unit.reference, branch("feature"));

    let merged = start_of(&decision, "merged");
    let record = merged.pull_request.clone().unwrap();
    assert_eq!(record.merge, Some(commit('e')));
    assert_eq!(record.buildspec, BuildspecOf::Target { commit: commit('e'), path: "buildspec.yml".to_owned() });
    // A line feed tells a text from a path.
    assert_eq!(merged.buildspec.as_deref(), Some("version: 0.2\n"));
    assert_eq!(merged.only_if, OnlyIf::StillTip);
    assert!(merged.environment.contains_key("SIGNALBOX_MERGE"));
}

#[test]
fn an_event_of_an_older_revision_knows_nothing_of_who_pushed_the_newest() {
    let older = What::Revised { into: branch("main"), revision: Some(revision('0')) };
    let decision = decide(&known_facts(review(older)), &reviewed());
    let unit = start_of(&decision, "unit");
    assert_eq!((&unit.pusher, unit.pushed), (&None, None));
    assert_eq!(unit.pull_request.as_ref().unwrap().revision, revision('1'));
}

#[test]
fn it_is_acted_on_under_the_revision_or_the_comment_and_only_where_it_is_open() {
    let acts = |review: &Review| review.acts_under().map(|id| id.to_string());
    assert_eq!(acts(&review(revised())), Some(format!("pull-request-demo-7-{}", revision('1'))));
    assert_eq!(acts(&commented("/retest")), Some("comment-c:1".to_owned()));
    for looked in [
        Looked::NotYet,
        Looked::Gone,
        Looked::There(Box::new(PullRequest { state: PullRequestState::Closed, ..open() })),
    ] {
        let review = Review { pull_request: looked, ..review(revised()) };
        assert_eq!(acts(&review), None);
        let decision = decide(&known_facts(review), &reviewed());
        assert_eq!((decision.verdict, decision.actions.len(), decision.reasons.len()), (Verdict::Nothing, 0, 1));
    }
}

#[test]
fn a_trigger_that_this_version_cannot_start_says_so_without_a_look() {
    let text =
        REVIEWED.replace("start: { build: demo-unit, environment: { LEVEL: strict } }", "start: { pipeline: demo }");
    let text = text.replace("        start: { build: demo-merged }\n", "        start: { pipeline: demo }\n");
    let policy = parse_policy(&text).unwrap_or_else(|problems| panic!("{problems}"));
    let decision = decide(&known_facts(Review { pull_request: Looked::NotYet, ..review(revised()) }), &policy);
    assert_eq!(
        told(&decision),
        "unit starts nothing: this version starts builds only\nmerged starts nothing: this version starts builds only"
    );
}

#[test]
fn what_cannot_be_merged_or_has_no_buildspec_starts_nothing_and_says_why() {
    let merged = |merge: Option<Merge>, buildspec: Option<TargetBuildspec>| {
        let mut facts = known_facts(Review { merge, ..review(revised()) });
        facts.triggers.get_mut("merged").unwrap().buildspec = buildspec;
        let decision = decide(&facts, &reviewed());
        let reason = decision.reasons.iter().map(render_reason).find(|reason| reason.starts_with("merged")).unwrap();
        (starts(&decision).iter().any(|start| start.trigger == "merged"), reason)
    };
    let clean = || Some(Merge { with: Some(commit('e')), meets: Meets::Nothing });
    let path = || "buildspec.yml".to_owned();
    for (merge, buildspec, expected) in [
        (None, Some(file()), "whether there is one is not known yet"),
        (Some(Merge { with: None, meets: Meets::Nothing }), Some(file()), "its target branch, main, is gone"),
        (
            Some(Merge { with: Some(commit('e')), meets: Meets::Conflicts }),
            Some(file()),
            "it cannot be merged into main at eeeeeee without conflicts",
        ),
        (clean(), None, "which is not known yet"),
        (clean(), Some(TargetBuildspec::Missing { path: path() }), "and main has no buildspec.yml"),
        (clean(), Some(TargetBuildspec::Unusable { path: path(), bytes: 70_000 }), "(70000 bytes) is no text"),
        (clean(), Some(TargetBuildspec::NoProject), "its project is not there"),
    ] {
        let (started, reason) = merged(merge, buildspec);
        assert!(!started && reason.contains(expected), "{reason}");
    }
    // CodeCommit will not tell: the build will.
    let untold = Merge { with: Some(commit('e')), meets: Meets::Untold { why: "too much".to_owned() } };
    assert!(merged(Some(untold), Some(file())).0);
    assert!(merged(clean(), Some(TargetBuildspec::InProject)).0);
}

#[test]
fn a_buildspec_is_handed_over_only_where_it_is_a_text_that_fits() {
    let of = |content: Option<Vec<u8>>| TargetBuildspec::of_file("b".to_owned(), commit('e'), content);
    assert!(
        matches!(of(Some(b"version: 0.2\n".to_vec())), TargetBuildspec::File { text, .. } if text == "version: 0.2\n")
    );
    assert!(matches!(of(Some(vec![b'x'; TargetBuildspec::LONGEST])), TargetBuildspec::File { .. }));
    for content in [Vec::new(), b" \n".to_vec(), vec![0xff, 0xfe], vec![b'x'; TargetBuildspec::LONGEST + 1]] {
        assert!(matches!(of(Some(content)), TargetBuildspec::Unusable { .. }));
    }
    assert!(matches!(of(None), TargetBuildspec::Missing { .. }));
}

#[test]
fn what_passed_with_another_target_commit_has_not_passed_with_this_one() {
    let decided = |with: char, status| {
        let start = PastStart {
            reference: branch("feature"),
            merge: Some(commit(with)),
            at: Timestamp::from_second(500).unwrap(),
            ..past("demo-merged", 1, 'b', status)
        };
        let mut facts = known_facts(review(revised()));
        facts.triggers.get_mut("merged").unwrap().state = RefState::default().with_start(start);
        let decision = decide(&facts, &reviewed());
        starts(&decision).iter().any(|start| start.trigger == "merged")
    };
    assert!(!decided('e', BuildStatus::Succeeded));
    assert!(decided('d', BuildStatus::Succeeded));
    assert!(!decided('d', BuildStatus::InProgress), "what runs tells soon enough");
    assert!(decided('e', BuildStatus::Failed), "another revision of it wants to know again");
}

#[test]
fn a_build_of_the_very_revision_answers_whatever_tells_of_it_unless_it_was_stopped() {
    let decided = |name: char, status: BuildStatus, origin: Origin| {
        let start = PastStart {
            reference: branch("feature"),
            revision: Some(revision(name)),
            ..past("demo-unit", 1, 'b', status)
        };
        let mut facts = Facts { origin, ..known_facts(review(revised())) };
        facts.triggers.get_mut("unit").unwrap().state = RefState::default().with_start(start);
        starts(&decide(&facts, &reviewed())).iter().any(|start| start.trigger == "unit")
    };
    for origin in [Origin::Event, Origin::Sweep] {
        assert!(!decided('1', BuildStatus::Failed, origin), "asked for in a comment before its event came");
        assert!(decided('1', BuildStatus::Stopped, origin));
        assert!(decided('0', BuildStatus::Failed, origin), "an earlier revision of the same commit");
    }
}

#[test]
fn a_comment_starts_what_it_names_whatever_the_message_and_the_paths_say() {
    let mut facts = known_facts(commented("/test unit\n/deploy stage"));
    facts.differences.clear();
    let head = Some(Head { message: "[skip ci]".to_owned(), author_email: String::new() });
    facts.triggers.insert("unit".to_owned(), TriggerFacts { head, ..known() });
    let decision = decide(&facts, &reviewed());
    insta::assert_snapshot!(told(&decision), @r"
    unit starts for bbbbbbb: developer asked for it with /test unit
    stage starts for bbbbbbb: developer asked for it with /deploy stage
    -> start demo-unit for pull request 7 at bbbbbbb
    -> start demo-stage for pull request 7 at bbbbbbb
    ");
    let unit = start_of(&decision, "unit");
    let record = unit.pull_request.as_ref().unwrap();
    assert_eq!((record.asked.as_ref().map(Arn::person), &unit.pusher), (Some("developer"), &None));
}

#[test]
fn a_wish_is_fulfilled_once_however_its_build_ended() {
    for status in BuildStatus::ALL.iter().copied() {
        for (id, expected) in [("acts-1", 0), ("acts-0", usize::from(status.is_terminal()))] {
            let start = PastStart {
                id: Some(EventId::parse(id).unwrap()),
                reference: branch("feature"),
                ..past("demo-unit", 1, 'b', status)
            };
            let mut facts = known_facts(commented("/test unit"));
            facts.triggers.get_mut("unit").unwrap().state = RefState::default().with_start(start);
            let decision = decide(&facts, &reviewed());
            assert_eq!(starts(&decision).len(), expected, "{status:?} {id}: {}", told(&decision));
            // Whoever asked has a build, and needs no words.
            assert!(!told(&decision).contains("answer"), "{}", told(&decision));
        }
    }
}

#[test]
fn retest_starts_what_failed_of_the_current_commit_and_nothing_else() {
    let with = |status: BuildStatus, of: char| {
        let start = PastStart { reference: branch("feature"), ..past("demo-unit", 1, of, status) };
        let mut facts = known_facts(commented("/retest"));
        facts.triggers.get_mut("unit").unwrap().state = RefState::default().with_start(start);
        let decision = decide(&facts, &reviewed());
        (starts(&decision).len(), told(&decision).contains("and nothing has"))
    };
    for status in [BuildStatus::Failed, BuildStatus::TimedOut, BuildStatus::Fault, BuildStatus::Stopped] {
        assert_eq!(with(status, 'b'), (1, false), "{status:?}");
        assert_eq!(with(status, 'c'), (0, true), "of another commit");
    }
    assert_eq!(with(BuildStatus::Succeeded, 'b'), (0, true));
    assert_eq!(with(BuildStatus::InProgress, 'b'), (0, false), "it runs: there is something to wait for");
}

#[test]
fn our_own_comments_and_those_without_a_command_concern_nobody() {
    let own = Review { writer: Writer::Ourselves, ..commented("/test unit") };
    for (review, expected) in [
        (own, "the comment is the stack's own, which is never answered"),
        (commented("/lgtm"), "no line of the comment is a command"),
        (Review { commands: None, ..commented("") }, "what the comment says is not in the event, and not known yet"),
    ] {
        let decision = decide(&known_facts(review), &reviewed());
        assert_eq!((decision.verdict, told(&decision)), (Verdict::NotConcerned, expected.to_owned()));
    }
    let policy = policy();
    assert!(needs(&sample("codecommit-comment-on-pull-request-created"), &policy).review.is_none());
}

#[test]
fn what_is_asked_for_and_cannot_be_read_is_not_spelled_out_in_public() {
    let mut facts = known_facts(commented("/test unit"));
    let why = "codecommit:GetFile on demo: AccessDenied: arn:aws:sts::111122223333:assumed-role/secret";
    facts
        .triggers
        .insert("unit".to_owned(), TriggerFacts { unreadable: Some(why.to_owned()), ..TriggerFacts::default() });
    let decision = decide(&facts, &reviewed());
    assert!(!decision.is_complete());
    let Some(Action::Reply(reply)) = decision.actions.first() else { panic!("{}", told(&decision)) };
    assert_eq!(reply.text, "`unit` starts nothing: something of it cannot be read; the trigger's ledger says what.");
    assert_eq!(reply.token.len(), 64);
}

#[test]
fn the_tokens_of_a_pull_request_are_its_own() {
    let token = |id: &str, source: &str| {
        let mut review = review(revised());
        review.subject.pull_request = PullRequestId::parse(id).unwrap();
        review.pull_request = Looked::There(Box::new(PullRequest { source: branch(source), ..open() }));
        start_of(&decide(&known_facts(review), &reviewed()), "unit").token.clone()
    };
    assert_eq!(token("7", "feature"), token("7", "feature"));
    assert_ne!(token("7", "feature"), token("8", "feature"));
    let pushed =
        parse_policy(REVIEWED.replace("pull_request: { into: [main], paths: [\"src/**\"] }", "push: {}").as_str());
    let mut facts = Facts {
        push: Some(open().as_push(&RepositoryName::parse("demo").unwrap())),
        review: None,
        ..known_facts(review(revised()))
    };
    facts.triggers.insert("unit".to_owned(), known());
    let by_push = decide(&facts, &pushed.unwrap());
    assert_ne!(start_of(&by_push, "unit").token, token("7", "feature"), "a push of the same commit is another build");
}

#[test]
fn facts_of_a_pull_request_can_be_written_to_a_file_and_read_back() {
    for review in [review(revised()), commented("/test unit")] {
        let facts = known_facts(review);
        let read: Facts = serde_json::from_str(&serde_json::to_string(&facts).unwrap()).unwrap();
        assert_eq!(read, facts);
        let decision = decide(&facts, &reviewed());
        let read: Decision = serde_json::from_str(&serde_json::to_string(&decision).unwrap()).unwrap();
        assert_eq!(read, decision);
    }
}

#[test]
fn a_stale_merge_result_is_built_anew_once_for_each_tip_of_the_target_branch() {
    let event = sample("signalbox-check-stale");
    assert_eq!(review_of(&event).unwrap().what, What::Stale);
    assert!(
        review_of(&sample("signalbox-check-wanted")).is_none()
            && review_of(&sample("signalbox-check-judged")).is_none()
    );
    let decided = |built: Option<(char, BuildStatus)>, meets: Meets| {
        let merge = Some(Merge { with: Some(commit('e')), meets });
        let mut facts = known_facts(Review { merge, ..review(What::Stale) });
        if let Some((with, status)) = built {
            let start = PastStart {
                reference: branch("feature"),
                merge: Some(commit(with)),
                revision: Some(revision('1')),
                at: Timestamp::from_second(500).unwrap(),
                ..past("demo-merged", 1, 'b', status)
            };
            facts.triggers.get_mut("merged").unwrap().state = RefState::default().with_start(start);
        }
        decide(&facts, &reviewed())
    };
    for status in [BuildStatus::Succeeded, BuildStatus::Failed, BuildStatus::InProgress] {
        let decision = decided(Some(('d', status)), Meets::Nothing);
        let start = start_of(&decision, "merged");
        assert_eq!(
            (start.attempt, starts(&decision).len()),
            (2, 1),
            "only the merge result is built: {}",
            told(&decision)
        );
        assert_eq!(start.pull_request.as_ref().unwrap().merge, Some(commit('e')));
        assert!(
            told(&decision).contains("main has moved to eeeeeee since its merge result was built"),
            "{}",
            told(&decision)
        );
        let stops = decision.actions.iter().filter(|action| matches!(action, Action::Stop(_))).count();
        assert_eq!(stops, usize::from(status == BuildStatus::InProgress), "what still runs for the old tip is stopped");
        assert!(starts(&decided(Some(('e', status)), Meets::Nothing)).is_empty(), "{status}: it is of this tip");
    }
    let first = decided(None, Meets::Nothing);
    assert!(
        starts(&first).is_empty() && told(&first).contains("its merge result was not built yet"),
        "{}",
        told(&first)
    );
    let conflict = decided(Some(('d', BuildStatus::Succeeded)), Meets::Conflicts);
    assert!(starts(&conflict).is_empty() && told(&conflict).contains("without conflicts"), "{}", told(&conflict));

    // Nobody builds merge results: nothing is even looked at.
    let source =
        parse_policy(&REVIEWED.replace("commit: merge-result, ", "")).unwrap_or_else(|problems| panic!("{problems}"));
    let event_of_demo = {
        let mut event = event;
        if let signalbox_events::Detail::CheckState(change) = &mut event.detail {
            change.repository = RepositoryName::parse("demo").unwrap();
        }
        event
    };
    assert!(needs(&event_of_demo, &reviewed()).review.is_some() && needs(&event_of_demo, &source).review.is_none());
    assert_eq!(decide(&known_facts(review(What::Stale)), &source).verdict, Verdict::NotConcerned);
}
