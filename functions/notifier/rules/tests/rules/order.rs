//! Builds that end, or are told of, in another order than their commits came to the ref.

use std::sync::LazyLock;

use super::*;

/// What a test knows of a build: milliseconds are counted from some moment.
#[derive(Debug, Clone)]
struct Built {
    commit: u32,
    by: StartedFor,
    pushed: i64,
    /// Of a branch's tip: when it was looked at, and which commit the event that found it had begun from.
    seen: Option<(i64, Option<u32>)>,
    started: i64,
    passed: bool,
}

impl Built {
    /// Of a push whose event came so much later.
    fn pushed(commit: u32, pushed: i64, late: i64, passed: bool) -> Self {
        let (pushed, late) = (pushed * 1_000, late * 1_000);
        Self { commit, by: StartedFor::Ref, pushed, seen: None, started: pushed + late, passed }
    }

    /// Of a tip that was found by whatever event, and whose build began so much later.
    fn tip(commit: u32, seen: i64, from: Option<u32>, late: i64, passed: bool) -> Self {
        Self { commit, by: StartedFor::Ref, pushed: seen, seen: Some((seen, from)), started: seen + late, passed }
    }

    /// Started again by a person.
    fn wanted(commit: u32, started: i64, passed: bool) -> Self {
        Self { commit, by: StartedFor::Somebody, pushed: 0, seen: None, started: started * 1_000, passed }
    }

    fn id(&self) -> BuildId {
        BuildId::parse(format!("payments-unit:{:?}-{}-{}", self.by, self.commit, self.started)).unwrap()
    }

    /// What is gathered when its end is told, git included: every commit is part of all that have a greater number.
    fn facts(&self, history: &History) -> Facts {
        let at = |millisecond| Timestamp::from_millisecond(1_000_000_000 + millisecond).unwrap();
        static GREEN: LazyLock<Facts> = LazyLock::new(|| facts(&sample!("succeeded")));
        static RED: LazyLock<Facts> = LazyLock::new(|| facts(&sample!("failed")));
        let mut facts = if self.passed { GREEN.clone() } else { RED.clone() };
        let build = facts.build.as_mut().unwrap();
        (build.build, build.number, build.start) = (self.id(), None, Some(at(self.started)));
        let commit_id = commit(self.commit);
        facts.origin = match facts.origin {
            Origin::Recorded(start) if self.by == StartedFor::Ref => Origin::Recorded(BuildStart {
                commit: commit_id,
                previous: self.seen.map_or(self.commit.checked_sub(1), |(_, from)| from).map(commit),
                pushed: self.seen.is_none().then(|| at(self.pushed)),
                seen: self.seen.map(|(seen, _)| at(seen)),
                at: at(self.started),
                ..start
            }),
            _ => Origin::Environment {
                trigger: "unit".to_owned(),
                repository: RepositoryName::parse("payments").unwrap(),
                reference: RefName::branch("main").unwrap(),
                commit: commit_id,
                pull_request: None,
            },
        };
        facts.history = history.clone();
        let pairs: Vec<Forebear> = needs_forebears(&facts).into_iter().flat_map(|wanted| wanted.pairs).collect();
        facts.forebears = pairs.into_iter().filter(|pair| pair.older < pair.newer).collect();
        facts
    }
}

/// Tells of the builds' ends in this order; what each was said to be, and what is remembered in the end.
fn told(builds: &[Built]) -> (Vec<String>, History) {
    // What it would say; nobody hears it.
    let policy = &parse_policy("repositories: { payments: { notifications: [] } }").unwrap();
    let mut history = History::default();
    let mut all = Vec::new();
    for built in builds {
        let facts = built.facts(&history);
        let decision = decide(&facts, policy);
        let said = decision.reasons.iter().find(|reason| matches!(reason, Reason::News(_))).map(render_reason);
        all.push(said.unwrap().split([':', ',']).next().unwrap().to_owned());
        for action in decision.actions {
            if let Action::History { finished, older, .. } = action {
                history = history.with(&finished, &older);
            }
        }
    }
    (all, history)
}

#[test]
fn a_late_event_of_an_older_push_breaks_and_fixes_nothing() {
    for passed in [true, false] {
        let first = Built::pushed(0, 0, 5, passed);
        let newer = Built::pushed(2, 60, 5, passed);
        // Its push came between the two; its event came last, so its build was started last.
        let late = Built::pushed(1, 30, 300, !passed);
        let (said, _) = told(&[first, newer, late]);
        assert_eq!(said.last().unwrap(), "it comes late", "{said:?}");
    }
}

#[test]
fn pushes_of_one_second_are_ordered_by_where_the_ref_was_before() {
    let (older, newer) = (Built::pushed(1, 60, 90, false), Built::pushed(2, 60, 5, true));
    for builds in [[older.clone(), newer.clone()], [newer, older]] {
        let (_, history) = told(&builds);
        let commits: Vec<_> = history.builds.iter().map(|one| one.commit.clone().unwrap()).collect();
        assert_eq!(commits, [commit(1), commit(2)]);
    }
}

/// A comment asks for a build, and half a second later the pull request's next revision is pushed.
#[test]
fn builds_of_a_pull_request_that_belong_to_one_second_are_ordered_by_their_starts() {
    let deaf = parse_policy("repositories: { payments: { notifications: [] } }").unwrap();
    let mut asked = of_a_pull_request(Built::tip(0, 400, None, 10, false).facts(&History::default()));
    let Origin::Recorded(start) = &mut asked.origin else { panic!("recorded") };
    start.seen = None;
    let decision = decide(&asked, &deaf);
    let Some(Action::History { finished, older, .. }) = decision.actions.last() else { panic!("{decision:?}") };
    let history = History::default().with(finished, older);
    let updated = Built { started: 900, ..Built::pushed(1, 0, 0, true) };
    let decision = decide(&of_a_pull_request(updated.facts(&history)), &deaf);
    let said: Vec<String> = decision.reasons.iter().map(render_reason).collect();
    assert!(said.iter().any(|said| said.starts_with("it is fixed")), "{said:?}");
}

/// Pushes at 0, 1 and 2.5 s; the event of the first finds the second at 2.3 s, and `CodeBuild` takes its time to begin.
#[test]
fn tips_are_ordered_by_when_they_were_seen_and_not_by_when_their_builds_began() {
    let second = |passed| Built::tip(1, 2_300, None, 900, passed);
    let third = |passed| Built::tip(2, 2_900, Some(1), 100, passed);
    let first = Built::pushed(0, 0, 1, true);
    let (said, _) = told(&[first.clone(), second(true), third(false)]);
    assert_eq!(said, ["it is green", "nothing changed", "it broke"]);
    let (said, _) = told(&[first, third(true), second(false)]);
    assert_eq!(said, ["it is green", "nothing changed", "it comes late"]);
}

/// A branch that goes back to where another event began is there behind the tip that this event found.
#[test]
fn where_an_event_began_says_nothing_of_the_tip_that_it_found() {
    let (found, back) = (Built::tip(2, 2_100, Some(0), 5, true), Built::tip(0, 2_600, Some(1), 5, false));
    for builds in [[found.clone(), back.clone()], [back, found]] {
        let (_, history) = told(&builds);
        let commits: Vec<_> = history.builds.iter().map(|one| one.commit.clone().unwrap()).collect();
        assert_eq!(commits, [commit(2), commit(0)]);
    }
}

/// What an older version recorded of a tip: only when its build was asked for. `CodeBuild` may begin much later.
#[test]
fn a_record_without_a_moment_counts_from_when_the_build_was_asked_for() {
    let mut old = Built::tip(1, 2_300, None, 0, true).facts(&History::default());
    let Origin::Recorded(start) = &mut old.origin else { panic!("it is recorded") };
    start.seen = None;
    let at = start.at;
    old.build.as_mut().unwrap().start = Some(at + SignedDuration::from_secs(60));
    let decision = decide(&old, &policy());
    let Some(Action::History { finished, .. }) = decision.actions.last() else { panic!("it is remembered") };
    assert_eq!(finished.pushed, Some(at));
}

#[test]
fn a_ref_that_is_forced_back_has_the_older_commit_as_its_newest() {
    let back = Built::pushed(1, 120, 5, true);
    let (said, _) = told(&[Built::pushed(1, 0, 5, true), Built::pushed(2, 60, 5, false), back]);
    assert_eq!(said, ["it is green", "it broke", "it is fixed"]);
}

#[test]
fn a_push_that_is_run_once_more_counts_only_while_it_is_the_newest() {
    let first = Built::pushed(1, 0, 5, true);
    let again = Built::pushed(1, 0, 500, false);
    let (said, _) = told(&[first.clone(), again.clone()]);
    assert_eq!(said[1], "it broke");
    let (said, _) = told(&[first, Built::pushed(2, 60, 5, true), again]);
    assert_eq!(said[2], "it comes late");
}

#[test]
fn git_tells_of_an_older_commit_whose_push_nobody_remembers() {
    let tip = Built::pushed(5, 0, 5, true);
    let wanted = Built::wanted(3, 100, false);
    let (said, history) = told(&[tip.clone(), wanted.clone()]);
    assert_eq!(said[1], "it builds an older commit again");
    // What is known is kept, and a later push does not take the old failure for the result before it.
    let (said, _) = told(&[tip.clone(), wanted.clone(), Built::pushed(6, 200, 5, true)]);
    assert_eq!(said[2], "nothing changed");
    // Told of first, it is the newest that is known; then it is seen to be older.
    let (said, other) = told(&[wanted.clone(), tip]);
    assert_eq!(said, ["it broke", "it is green"]);
    assert_eq!(history, other);
    // A commit that is no part of the newest is what somebody wanted to know of.
    let (said, _) = told(&[Built::pushed(2, 0, 5, true), wanted]);
    assert_eq!(said[1], "it broke");
    // Git is asked of nothing that the history knows.
    let pushed = told(&[Built::pushed(3, 0, 5, true), Built::pushed(5, 60, 5, true)]).1;
    assert_eq!(needs_forebears(&Built::wanted(3, 100, false).facts(&pushed)), None);
}

/// A project that is built by a schedule or by hand asks one question, against the newest result.
#[test]
fn git_is_asked_of_the_newest_result_alone_and_of_nothing_that_was_told_before() {
    let nights: Vec<Built> = (1..9).map(|night| Built::wanted(night, i64::from(night) * 100, true)).collect();
    let (said, history) = told(&nights);
    assert_eq!(said, ["it is green"].iter().chain(["nothing changed"; 7].iter()).copied().collect::<Vec<_>>());
    let asked = |built: &Built| {
        let wanted = needs_forebears(&built.facts(&history));
        wanted.map(|wanted| wanted.pairs.into_iter().map(|pair| (pair.older, pair.newer)).collect::<Vec<_>>())
    };
    assert_eq!(asked(&Built::wanted(9, 900, true)), Some(vec![(commit(9), commit(8))]));
    // The same commit once more is neither older nor newer.
    assert_eq!(asked(&Built::wanted(8, 900, true)), None);
    assert_eq!(asked(&nights[7]), None);
    // What is known to be older is passed over.
    let older = Built::wanted(3, 900, true);
    let (said, history) = told(&[nights, vec![older]].concat());
    assert_eq!(said[8], "it builds an older commit again");
    let wanted = needs_forebears(&Built::wanted(4, 1_000, false).facts(&history)).unwrap();
    assert_eq!(wanted.pairs, [Forebear { older: commit(4), newer: commit(8) }]);
}

/// Eight commits pushed within seconds, of which some were seen as the branch's tip and built, and some that people wanted.
fn tips() -> impl Strategy<Value = Vec<Built>> {
    // How long the branch stays at the commit, after which part of that it is seen, how late its build begins, and from which
    // of the commits before it the event had begun that finds it.
    let tip = (1_i64..2_000, 0_i64..1_000, 0_i64..400_000, any::<u32>(), any::<bool>(), proptest::bool::weighted(0.7));
    let wanted = proptest::collection::vec((0_u32..8, 1_i64..400, any::<bool>()), 0..4);
    (proptest::collection::vec(tip, 8), wanted).prop_map(|(tips, wanted)| {
        let (mut all, mut pushed) = (Vec::new(), 0);
        for (commit, (stays, seen, late, from, passed, is_built)) in (0_u32..).zip(tips) {
            if is_built {
                let from = from.checked_rem(commit);
                all.push(Built::tip(commit, pushed + stays * seen / 1_000, from, late, passed));
            }
            pushed += stays;
        }
        // All of it was pushed, and seen, within sixteen seconds.
        let wanted = wanted.into_iter().map(|(commit, later, passed)| Built::wanted(commit, 16 + later, passed));
        with_wanted(all, wanted)
    })
}

/// Two builds of one id are one build.
fn with_wanted(mut all: Vec<Built>, wanted: impl Iterator<Item = Built>) -> Vec<Built> {
    for built in wanted {
        if all.iter().all(|there| there.id() != built.id()) {
            all.push(built);
        }
    }
    all
}

/// A push of each of eight commits, the first four in pairs of one second, and some that people wanted; one push has no build.
fn pushes() -> impl Strategy<Value = Vec<Built>> {
    let pushed = |commit: u32| if commit < 4 { i64::from(commit / 2) * 60 } else { i64::from(commit) * 60 };
    let pushes = proptest::collection::vec((0_i64..400, any::<bool>()), 8);
    let wanted = proptest::collection::vec((0_u32..8, 1_i64..400, any::<bool>()), 0..4);
    (pushes, wanted, proptest::option::of(4_u32..8)).prop_map(move |(pushes, wanted, without)| {
        let pushes = (0_u32..).zip(pushes).filter(|(commit, _)| Some(*commit) != without);
        let all = pushes.map(|(commit, (late, passed))| Built::pushed(commit, pushed(commit), late, passed)).collect();
        let wanted = wanted.into_iter();
        with_wanted(all, wanted.map(|(commit, later, passed)| Built::wanted(commit, pushed(commit) + later, passed)))
    })
}

fn builds() -> impl Strategy<Value = Vec<Built>> {
    prop_oneof![pushes(), tips()]
}

proptest! {
    #[test]
    fn any_order_of_arrival_leaves_the_same_history_and_no_false_word(
        (builds, shuffled) in builds().prop_flat_map(|builds| (Just(builds.clone()), Just(builds).prop_shuffle())),
    ) {
        let (said, history) = told(&shuffled);
        prop_assert_eq!(told(&builds).1, history);
        for (place, (built, said)) in shuffled.iter().zip(said).enumerate() {
            let finished = shuffled.iter().take(place + 1);
            // A person starts a build of what was pushed already.
            let newest = finished.max_by_key(|one| (one.commit, one.by != StartedFor::Ref, one.started)).unwrap();
            let is_news = ["it broke", "it is still broken", "it is fixed"].contains(&said.as_str());
            prop_assert!(!is_news || newest.id() == built.id(), "{}: {:?}\n{:#?}", said, built, shuffled);
            prop_assert!(newest.passed || said != "it is fixed", "{}: {:?}\n{:#?}", said, built, shuffled);
        }
    }
}

/// Somebody has the event run once more.
fn again(mut facts: Facts) -> Facts {
    let event = facts.event.envelope.id.clone();
    facts.event.envelope.again = Some(Again { event, round: 1 });
    facts
}

#[test]
fn a_result_that_somebody_wants_told_again_is_told_as_it_was() {
    let builds = [Built::pushed(0, 0, 5, true), Built::pushed(1, 60, 5, false)];
    let history = told(&builds).1;
    let facts = builds[1].facts(&history);
    assert!(news(&facts).starts_with("Silent: this very result was handled before"), "{}", news(&facts));
    assert!(news(&again(facts)).starts_with("Mail: it broke"));
    // Whatever came after it; then the mail begins with that.
    let fixed = Built::pushed(2, 120, 5, true);
    let history = told(&[builds[0].clone(), builds[1].clone(), fixed]).1;
    let facts = again(builds[1].facts(&history));
    assert!(news(&facts).starts_with("Mail: it broke"), "{}", news(&facts));
    let decision = decide(&facts, &policy());
    let body = &mail(&decision).unwrap().body;
    insta::assert_snapshot!("again", body.lines().take(8).collect::<Vec<_>>().join("\n"));
    // Its place in the history is the same as before.
    let Some(Action::History { finished, older, .. }) = decision.actions.last() else { panic!("it is remembered") };
    assert_eq!(facts.history.with(finished, older), facts.history);
}
