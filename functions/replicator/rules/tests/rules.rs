//! The comparison by its cases, and what is said of them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;

use jiff::Timestamp;
use signalbox_events::{AccountId, RefName, Region, RepositoryName};
use signalbox_policy::{Policy, parse_policy};
use signalbox_replicator_rules::*;

fn policy(replica: &str) -> Policy {
    let text = format!("mode: enforce\nrepositories:\n  demo:\n    replicas:\n      - {replica}\n");
    parse_policy(&text).unwrap()
}

fn id(letter: char) -> Object {
    Object::parse(&letter.to_string().repeat(40)).unwrap()
}

fn name(short: &str) -> RefName {
    let full = if short.starts_with("refs/") { short.to_owned() } else { format!("refs/heads/{short}") };
    RefName::parse(full).unwrap()
}

/// `main=a` is the branch main at the object aaaa...
fn refs(text: &str) -> Refs {
    let one = |pair: &str| {
        let (short, letter) = pair.split_once('=').unwrap();
        (name(short), id(letter.chars().next().unwrap()))
    };
    text.split_whitespace().map(one).collect()
}

fn home() -> Home {
    Home { region: Region::parse("eu-west-1").unwrap(), account: Some(AccountId::parse("111122223333").unwrap()) }
}

fn listing(text: &str) -> Listing {
    Listing { refs: refs(text), ..Listing::default() }
}

fn known(there: &str, agreed: &str, has: &str) -> ReplicaFacts {
    ReplicaFacts {
        target: TargetFacts::Listed(listing(there)),
        memory: Memory { agreed: refs(agreed), ..Memory::default() },
        known: has.chars().map(id).collect(),
    }
}

fn plan(replica: &str, here: &str, facts: &ReplicaFacts) -> Plan {
    let policy = policy(replica);
    let demo = RepositoryName::parse("demo").unwrap();
    let (copy, _) = copies_of(&policy, &demo).into_iter().next().unwrap();
    compare(&listing(here), facts, copy.replica)
}

/// What is done, left and told, each as a word and a ref.
fn words(plan: &Plan) -> Vec<String> {
    let short = |name: &str| name.trim_start_matches("refs/heads/").to_owned();
    let commands = plan.commands.iter().map(|it| format!("{:?} {}", it.because, short(it.name.as_str())));
    let left = plan.left.iter().map(|it| format!("{:?} {}", it.why, short(it.name.as_str())));
    let failed = plan.failed.iter().map(|it| {
        let trouble = format!("{:?}", it.trouble);
        format!("{} {}", trouble.split(' ').next().unwrap_or_default(), short(&it.name))
    });
    commands.chain(left).chain(failed).collect()
}

#[test]
fn each_ref_is_judged_by_what_both_sides_have_and_had() {
    // what it is, here, there, agreed, what the source has besides; fail, keep, overwrite
    for (what, here, there, agreed, has, expected) in [
        ("equal", "x=a", "x=a", "", "", ["", "", ""]),
        ("new here", "x=a", "o=e", "", "", ["New x|NeverHere o", "New x|NeverHere o", "Overwritten o|New x"]),
        ("moved here", "x=b", "x=a", "x=a", "", ["Moved x"; 3]),
        ("moved there, back to what was here", "x=b", "x=a", "x=b", "a", ["Moved x"; 3]),
        ("moved there", "x=a", "x=b", "x=a", "", ["Diverged x", "Kept x", "Overwritten x"]),
        ("moved on both sides", "x=b", "x=c", "x=a", "", ["Diverged x", "Kept x", "Overwritten x"]),
        ("another one from the start", "x=b", "x=c", "", "", ["Diverged x", "Kept x", "Overwritten x"]),
        ("ended here", "m=f", "m=f x=a", "x=a", "", ["Ended x"; 3]),
        ("ended here, moved there", "m=f", "m=f x=b", "x=a", "", ["MovedThere x", "Kept x", "Overwritten x"]),
        ("ended there", "x=a m=f", "m=f", "x=a", "", ["EndedThere x", "Kept x", "Overwritten x"]),
        ("ended there, moved here", "x=b m=f", "m=f", "x=a", "", ["EndedThere x", "Kept x", "Overwritten x"]),
        ("an empty target is a new one", "x=b", "", "x=a", "", ["New x"; 3]),
        ("an empty source deletes nothing", "", "x=a", "x=a", "", ["SourceEmpty every ref"; 3]),
        (
            "no room below",
            "x/y=a m=f",
            "x=b m=f",
            "m=f",
            "",
            ["NeverHere x|InTheWay x/y", "NeverHere x|InTheWay x/y", "Overwritten x|New x/y"],
        ),
        (
            "no room above",
            "x=a m=f",
            "x/y=b m=f",
            "m=f",
            "",
            ["NeverHere x/y|InTheWay x", "NeverHere x/y|InTheWay x", "Overwritten x/y|New x"],
        ),
        ("quarantine is nobody's", "quarantine/x=a", "quarantine/y=b", "", "", ["", "", ""]),
        ("what hosts hide is nobody's", "refs/pull/1/head=a", "", "", "", ["", "", ""]),
    ] {
        for (mode, expected) in ["fail", "keep", "overwrite"].iter().zip(expected) {
            let replica = format!("{{ to: codecommit://us-east-1/demo, on_divergence: {mode} }}");
            let plan = plan(&replica, here, &known(there, agreed, has));
            assert_eq!(words(&plan).join("|"), expected, "{what}, {mode}");
        }
    }
}

#[test]
fn a_deletion_is_kept_where_the_policy_says_so_and_two_names_for_one_are_told() {
    let facts = known("m=f x=a", "x=a", "");
    let kept = plan("{ to: codecommit://us-east-1/demo, deletions: false }", "m=f", &facts);
    assert_eq!(words(&kept), ["DeletionsIgnored x"]);
    let map = "{ to: codecommit://us-east-1/demo, map: { \"refs/heads/a\": \"refs/heads/b\" } }";
    let plan = plan(map, "a=a b=b", &known("", "", ""));
    assert_eq!(words(&plan), ["Collision b"]);
    let told = obstacle_of(plan.failed.first().unwrap());
    assert_eq!(
        told.to_string(),
        "refs/heads/a and refs/heads/b have the same name in the copy, refs/heads/b. Mend `map` in the policy"
    );
}

#[test]
fn only_what_decides_is_asked_of_the_source() {
    let policy = policy("{ to: codecommit://us-east-1/demo }");
    let demo = RepositoryName::parse("demo").unwrap();
    let (copy, _) = copies_of(&policy, &demo).into_iter().next().unwrap();
    // b is agreed on, c is a tip of the source, d is in nobody's way, e decides.
    let facts = known("x=b y=c z=d w=e", "x=b", "");
    let asked = unsure(&listing("x=a y=a w=a q=c"), &facts, copy.replica);
    assert_eq!(asked, BTreeSet::from([id('e')]));
}

#[test]
fn deletions_go_first_names_in_the_way_later_and_the_default_branch_last() {
    let facts = known("a=a old=a c/d=a", "a=a old=a c/d=a", "");
    let plan = plan("{ to: codecommit://us-east-1/demo }", "a/b=a c=a m=b", &facts);
    let names: Vec<Vec<String>> = pushes(&plan.commands, Some(&name("old")))
        .iter()
        .map(|push| push.iter().map(|command| command.name.short().to_owned()).collect())
        .collect();
    assert_eq!(names, [vec!["a", "c/d", "m"], vec!["a/b", "c"], vec!["old"]]);
    let many: Vec<Command> = (0..MOST_COMMANDS + 1)
        .map(|at| Command { name: name(&format!("b{at}")), old: None, new: Some(id('a')), because: Because::New })
        .collect();
    assert_eq!(pushes(&many, None).iter().map(Vec::len).collect::<Vec<_>>(), [MOST_COMMANDS, 1]);
}

#[test]
fn two_that_copy_each_other_share_a_memory_and_others_do_not() {
    let text = "repositories:\n  a:\n    replicas: [{ to: codecommit://eu-west-1/b }, { to: codecommit://us-east-1/b }]\n  b:\n    replicas: [{ to: codecommit://eu-west-1/a }]\n";
    let policy = parse_policy(text).unwrap();
    let keys = |source: &str| -> Vec<String> {
        let source = RepositoryName::parse(source).unwrap();
        let needs = needs_of(&source, &home(), Origin::Sweep, &policy);
        needs.replicas.into_iter().map(|replica| replica.key).collect()
    };
    let (of_a, of_b) = (keys("a"), keys("b"));
    assert_eq!(of_a.first(), of_b.first());
    assert_eq!(of_a.iter().collect::<BTreeSet<_>>().len(), 2, "{of_a:?}");
    assert!(of_a.iter().all(|key| key.starts_with("state/replicas/a/")), "{of_a:?}");
}

#[test]
fn a_role_of_the_own_account_leads_to_the_same_repositories_and_one_of_another_does_not() {
    let decided = |account: &str, divergence: [&str; 2]| {
        let role = format!("role: arn:aws:iam::{account}:role/mirror");
        let [of_demo, of_twin] = divergence;
        let text = format!(
            "repositories:\n  demo:\n    replicas: [{{ to: codecommit://eu-west-1/twin, {role}, on_divergence: {of_demo} }}]\n  \
             twin:\n    replicas: [{{ to: codecommit://eu-west-1/demo, on_divergence: {of_twin} }}]\n"
        );
        let policy = parse_policy(&text).unwrap();
        let key = |source: &str| {
            let source = RepositoryName::parse(source).unwrap();
            needs_of(&source, &home(), Origin::Sweep, &policy).replicas.into_iter().next().unwrap().key
        };
        // Only the copy has it: where both copy each other, it is the other one's to bring over.
        let mut facts = facts(TargetFacts::Listed(listing("main=b own=c")), Memory::default(), &policy);
        facts.source = SourceFacts::Listed(listing("main=b"));
        (key("demo") == key("twin"), decide(&facts, &policy).reasons.iter().map(render_reason).collect::<String>())
    };
    let (is_shared, told) = decided("111122223333", ["fail", "fail"]);
    assert!(is_shared && told.contains("which is copied back to the source"), "{told}");
    let (is_shared, told) = decided("444455556666", ["fail", "fail"]);
    assert!(!is_shared && told.contains("it was never in the source"), "{told}");
    let (_, told) = decided("111122223333", ["overwrite", "overwrite"]);
    assert!(told.contains("the two repositories overwrite each other"), "{told}");
    let (_, told) = decided("444455556666", ["overwrite", "overwrite"]);
    assert!(told.contains("1 ref to move"), "{told}");
}

#[test]
fn the_repository_itself_is_no_copy_whatever_key_leads_there() {
    let policy = policy("{ to: codecommit://eu-west-1/demo, role: arn:aws:iam::111122223333:role/mirror }");
    let decision = decide(&facts(TargetFacts::Listed(listing("main=b")), Memory::default(), &policy), &policy);
    assert_eq!(decision.verdict, Verdict::Fail);
    assert!(render_reason(&decision.reasons[0]).contains("would be its own copy"), "{decision:?}");
}

#[test]
fn the_description_goes_along_unless_the_copy_has_one_of_its_own() {
    // here, there, agreed; fail, keep, overwrite
    for (here, there, agreed, expected) in [
        ("a", "a", "", ["equal"; 3]),
        ("a", "", "", ["becomes a"; 3]),
        ("b", "a", "a", ["becomes b"; 3]),
        ("", "a", "a", ["becomes "; 3]),
        ("a", "own", "", ["left", "left", "becomes a"]),
        ("a", "own", "a", ["left", "left", "becomes a"]),
        ("a", "", "a", ["left", "left", "becomes a"]),
        ("b", "own", "a", ["left", "left", "becomes b"]),
    ] {
        for (mode, expected) in ["fail", "keep", "overwrite"].iter().zip(expected) {
            let policy = policy(&format!("{{ to: codecommit://us-east-1/demo, on_divergence: {mode} }}"));
            let described = |text: &str| Listing { description: Some(text.to_owned()), ..listing("main=b") };
            let memory = Memory { description: agreed.to_owned(), agreed: refs("main=b"), ..Memory::default() };
            let mut facts = facts(TargetFacts::Listed(described(there)), memory, &policy);
            facts.source = SourceFacts::Listed(described(here));
            let decision = decide(&facts, &policy);
            let Some(Reason::Compared { description, .. }) = decision.reasons.first() else { panic!("{decision:?}") };
            let word = match description {
                Described::Equal => "equal".to_owned(),
                Described::Becomes { old, new } => {
                    assert_eq!(old, there);
                    assert!(matches!(decision.actions.as_slice(), [Action::Copy(_)]), "{decision:?}");
                    format!("becomes {new}")
                }
                Described::Left(_) => {
                    let told = render_reason(&decision.reasons[0]);
                    assert!(told.ends_with("the description is left as it is: the copy has something of its own, and the policy keeps it"), "{told}");
                    "left".to_owned()
                }
            };
            assert_eq!(word, expected, "{here} {there} {agreed} {mode}");
            assert!(decision.is_complete(), "a description is no failure");
            // Once both sides have it, it is what they agreed on.
            let key = facts.replicas.keys().next().unwrap().clone();
            facts.replicas.get_mut(&key).unwrap().target = TargetFacts::Listed(described(here));
            assert_eq!(facts.settled(&policy, &key, Standing::Equal).unwrap().description, here);
        }
    }
}

fn facts(target: TargetFacts, memory: Memory, policy: &Policy) -> Facts {
    let demo = RepositoryName::parse("demo").unwrap();
    let key = needs_of(&demo, &home(), Origin::Sweep, policy).replicas.into_iter().next().unwrap().key;
    let mut facts = Facts::before_gathering(Some(demo), home(), Origin::Sweep, Timestamp::UNIX_EPOCH);
    facts.source = SourceFacts::Listed(listing("main=b"));
    facts.replicas.insert(key, ReplicaFacts { target, memory, known: BTreeSet::new() });
    facts
}

#[test]
fn what_is_wrong_is_remembered_once_and_told_with_what_to_do() {
    let policy = policy("{ to: codecommit://us-east-1/demo }");
    let first = decide(&facts(TargetFacts::Missing, Memory::default(), &policy), &policy);
    assert_eq!(first.verdict, Verdict::Fail);
    assert!(!first.is_complete());
    let [Action::Remember { troubles, .. }] = first.actions.as_slice() else { panic!("{first:?}") };
    assert!(troubles.iter().all(|trouble| trouble.remedy.contains("create: true")), "{troubles:?}");
    let demo = RepositoryName::parse("demo").unwrap();
    let memory = Memory::default().standing(&demo, Standing::Failing(troubles.clone()), Timestamp::UNIX_EPOCH);
    // What nobody was told yet is told.
    let untold = decide(&facts(TargetFacts::Missing, memory.clone(), &policy), &policy);
    assert_eq!(untold.actions, first.actions);
    let stack = signalbox_events::StackName::parse("signalbox").unwrap();
    let change = memory.untold("key", &demo, &stack, Timestamp::UNIX_EPOCH).unwrap();
    let again = decide(&facts(TargetFacts::Missing, memory.with_told(&change), &policy), &policy);
    assert_eq!(again.actions, []);
    assert!(!again.is_complete());
}

#[test]
fn a_copy_that_somebody_works_on_or_that_cannot_be_reached_is_looked_at_again() {
    let policy = policy("{ to: codecommit://us-east-1/demo }");
    let event = signalbox_events::EventId::parse("e").unwrap();
    let until = Timestamp::from_second(10).unwrap();
    let working = Memory { working: Some(Working { event, until }), ..Memory::default() };
    let away = TargetFacts::Unreadable { what: "away".to_owned(), lasting: Lasting::ForNow };
    for facts in
        [facts(TargetFacts::Listed(listing("main=a")), working, &policy), facts(away, Memory::default(), &policy)]
    {
        let decision = decide(&facts, &policy);
        assert!(matches!(decision.actions.as_slice(), [Action::ComeAgain { .. }]), "{decision:?}");
    }
}

#[test]
fn a_name_that_cannot_be_copied_is_told_only_where_it_would_be() {
    let mut source = listing("main=a");
    source.odd.push("refs/heads/caf\u{fffd}".to_owned());
    let told = |replica: &str| {
        let policy = policy(replica);
        let demo = RepositoryName::parse("demo").unwrap();
        let (copy, _) = copies_of(&policy, &demo).into_iter().next().unwrap();
        compare(&source, &known("main=a", "main=a", ""), copy.replica).failed.len()
    };
    assert_eq!(told("{ to: codecommit://us-east-1/demo }"), 1);
    assert_eq!(told("{ to: codecommit://us-east-1/demo, refs: [main] }"), 0);
}

#[test]
fn a_source_that_cannot_be_read_is_told_of_each_copy() {
    let policy = policy("{ to: codecommit://us-east-1/demo }");
    for (lasting, verdict) in [(Lasting::UntilMended, Verdict::Fail), (Lasting::ForNow, Verdict::Equal)] {
        let mut facts = facts(TargetFacts::Listed(listing("main=a")), Memory::default(), &policy);
        facts.source = SourceFacts::Unreadable { what: "no permission".to_owned(), lasting };
        let decision = decide(&facts, &policy);
        assert_eq!(decision.verdict, verdict, "{decision:?}");
        let is_remembered = matches!(decision.actions.first(), Some(Action::Remember { .. }));
        assert_eq!(is_remembered, lasting == Lasting::UntilMended, "{decision:?}");
        assert!(render_reason(decision.reasons.first().unwrap()).contains("the source cannot be read: no permission"));
    }
}

/// Two repositories, of which `demo` is overwritten where it differs.
fn mutual() -> (Policy, RepositoryName, RepositoryName) {
    let text = "mode: enforce\nrepositories:\n  demo:\n    replicas: [{ to: codecommit://eu-west-1/twin }]\n  twin:\n    \
                replicas: [{ to: codecommit://eu-west-1/demo, on_divergence: overwrite }]\n";
    let name = |name: &str| RepositoryName::parse(name).unwrap();
    (parse_policy(text).unwrap(), name("demo"), name("twin"))
}

fn looked(policy: &Policy, source: &RepositoryName, here: &str, known: ReplicaFacts) -> (Facts, Decision, String) {
    let needs = needs_of(source, &home(), Origin::Sweep, policy);
    let key = needs.replicas.first().unwrap().key.clone();
    let mut facts = Facts::before_gathering(Some(source.clone()), home(), Origin::Sweep, Timestamp::UNIX_EPOCH);
    facts.source = SourceFacts::Listed(listing(here));
    facts.replicas.insert(key.clone(), known);
    let decision = decide(&facts, policy);
    (facts, decision, key)
}

#[test]
fn what_a_push_that_was_cut_off_brought_is_not_taken_for_the_copys_own() {
    let (policy, demo, twin) = mutual();
    // demo's b was pushed to twin, and nobody heard what came of it; then somebody pushed c to demo.
    let (facts, decision, key) = looked(&policy, &demo, "m=b", known("m=a", "m=a", ""));
    let [Action::Copy(copy)] = decision.actions.as_slice() else { panic!("{decision:?}") };
    let begun = facts.begun(&policy, copy).unwrap();
    assert_eq!((&begun.source, begun.places.get(&name("m"))), (&demo, Some(&Some(id('b')))));
    let memory = Memory { begun: Some(begun), ..Memory { agreed: refs("m=a"), ..Memory::default() } };
    let with = |there: &str| ReplicaFacts { memory: memory.clone(), ..known(there, "", "") };
    // twin does not have c: without what was begun, c would be overwritten.
    let (_, decision, _) = looked(&policy, &twin, "m=b", with("m=c"));
    assert!(matches!(decision.actions.as_slice(), [Action::ComeAgain { .. }]), "{decision:?}");
    // demo finds its b there and goes on; then it is known what came of it.
    let (mut facts, decision, _) = looked(&policy, &demo, "m=c", with("m=b"));
    let [Action::Copy(copy)] = decision.actions.as_slice() else { panic!("{decision:?}") };
    assert_eq!(copy.plan.commands.first().map(|command| command.because), Some(Because::Moved));
    facts.replicas.get_mut(&key).unwrap().target = TargetFacts::Listed(listing("m=b"));
    let settled = facts.settled(&policy, &key, Standing::Open).unwrap();
    assert_eq!((settled.begun, settled.agreed), (None, refs("m=b")));
}

#[test]
fn one_of_two_that_copies_less_forgets_nothing_of_what_the_other_copies() {
    let text = "mode: enforce\nrepositories:\n  demo:\n    replicas: [{ to: codecommit://eu-west-1/twin, refs: [main] }]\n  twin:\n    \
                replicas: [{ to: codecommit://eu-west-1/demo }]\n";
    let policy = parse_policy(text).unwrap();
    let demo = RepositoryName::parse("demo").unwrap();
    let (facts, _, key) = looked(&policy, &demo, "main=b x=a", known("main=b x=a", "main=a x=a", ""));
    assert_eq!(facts.settled(&policy, &key, Standing::Equal).unwrap().agreed, refs("main=b x=a"));
}

#[test]
fn what_stood_in_nobodys_way_before_was_moved_meanwhile() {
    let policy = policy("{ to: codecommit://us-east-1/demo }");
    let memory = Memory { agreed: refs("main=a"), ..Memory::default() };
    let before = facts(TargetFacts::Listed(listing("main=a other=c")), memory, &policy);
    let decision = decide(&before, &policy);
    let [Action::Copy(copy)] = decision.actions.as_slice() else { panic!("{decision:?}") };
    let key = &copy.key;
    let same = plan_left(&before, &policy, key, &listing("main=b other=c"));
    assert_eq!(same.moved_since(&copy.plan), Vec::<String>::new());
    let moved = plan_left(&before, &policy, key, &listing("main=e other=c"));
    assert_eq!((moved.commands.len(), moved.moved_since(&copy.plan)), (0, vec!["refs/heads/main".to_owned()]));
}

#[test]
fn a_report_says_what_was_decided_also_without_what_is_the_same_everywhere() {
    let two = "{ to: codecommit://us-east-1/demo }\n      - { to: codecommit://us-east-2/demo }";
    let many: String = (0..50).map(|at| format!(" s{at}=d")).collect();
    // here, the first copy and what is agreed on with it, the second one
    for (here, first, second) in [
        ("", ("x=a", "x=a"), ("x=a", "x=a")),
        ("x=b", ("x=a", "x=a"), ("x=b", "x=b")),
        ("x=b", ("x=b", ""), ("x=b", "x=b")),
        ("x=b", ("x=b x=b", "x=a"), ("x=c", "x=a")),
    ] {
        let policy = policy(two);
        let demo = RepositoryName::parse("demo").unwrap();
        let needs = needs_of(&demo, &home(), Origin::Sweep, &policy);
        let mut facts = Facts::before_gathering(Some(demo), home(), Origin::Sweep, Timestamp::UNIX_EPOCH);
        facts.source = SourceFacts::Listed(listing(&format!("{here}{many}")));
        for (replica, (there, agreed)) in needs.replicas.iter().zip([first, second]) {
            let known = known(&format!("{there}{many}"), &format!("{agreed}{many}"), "");
            facts.replicas.insert(replica.key.clone(), known);
        }
        let without_counts = |facts: &Facts| {
            let mut decision = decide(facts, &policy);
            for action in &mut decision.actions {
                if let Action::Copy(copy) = action {
                    copy.plan.equal = 0;
                }
            }
            let reasons: Vec<String> = decision.reasons.iter().map(render_reason).collect();
            let reasons: Vec<String> =
                reasons.iter().map(|text| text.split(" equal").nth(1).unwrap_or(text).to_owned()).collect();
            (decision.verdict, reasons, decision.actions)
        };
        assert_eq!(without_counts(&facts.for_report()), without_counts(&facts), "{here}");
    }
}

#[test]
fn facts_and_decision_are_values_and_a_report_of_many_refs_is_small() {
    let policy = policy("{ to: codecommit://us-east-1/demo }");
    let mut facts = facts(TargetFacts::Listed(listing("main=a")), Memory::default(), &policy);
    let all = (0..20_000).map(|at| (name(&format!("b{at}")), id('a'))).collect();
    facts.source = SourceFacts::Listed(Listing { refs: all, ..Listing::default() });
    let decision = decide(&facts, &policy);
    let (short, told) = (facts.for_report(), decision.for_report());
    let text = serde_json::to_string(&(&short, &told)).unwrap();
    assert!(text.len() < 300_000, "{}", text.len());
    let read: (Facts, Decision) = serde_json::from_str(&text).unwrap();
    assert_eq!(read, (short, told));
    let [Action::Copy(copy)] = decision.actions.as_slice() else { panic!("{:?}", decision.reasons) };
    assert_eq!(copy.plan.commands.len(), 20_000);
    assert!(render_action(decision.actions.first().unwrap()).contains("and 19980 more"));
}
