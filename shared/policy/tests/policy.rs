//! The policy file from outside: whole files in, problems or answers out.

#![expect(clippy::panic, clippy::unwrap_used, reason = "the helpers of these tests fail as tests do")]

use proptest::prelude::*;
use signalbox_events::{Arn, ProjectName, RefName, RepositoryName};
use signalbox_policy::*;

const EXAMPLE: &str = include_str!("../../../docs/examples/signalbox.yaml");
const REFERENCE: &str = include_str!("../../../docs/policy.md");

fn policy(text: &str) -> Policy {
    parse_policy(text).unwrap_or_else(|problems| panic!("{}", render_problems("signalbox.yaml", text, &problems)))
}

fn problems(text: &str) -> String {
    match parse_policy(text) {
        Ok(policy) => panic!("this should be refused: {policy:#?}"),
        Err(problems) => render_problems("signalbox.yaml", text, &problems),
    }
}

fn repository(name: &str) -> RepositoryName {
    RepositoryName::parse(name).unwrap()
}

#[test]
fn bad_policies_are_refused_with_everything_that_is_wrong() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bad");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 15);
    for file in files {
        let name = file.file_stem().unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        insta::assert_snapshot!(format!("bad-{name}"), problems(&text));
    }
}

#[test]
fn the_example_is_a_policy() {
    insta::assert_debug_snapshot!(policy(EXAMPLE));
}

#[test]
fn the_example_says_what_does_not_act_yet() {
    let policy = policy(EXAMPLE);
    let notes: Vec<String> = policy.not_yet().iter().map(Note::to_string).collect();
    insta::assert_snapshot!(notes.join("\n"));
}

#[test]
fn an_empty_file_is_no_policy() {
    for text in ["", "\n", "# nothing yet\n", "---\n", "\u{feff}", "~", "{}"] {
        assert_eq!(policy(text), Policy::none(), "{text:?}");
    }
    assert_eq!(Policy::none().mode, Mode::Observe);
}

#[test]
fn a_policy_survives_being_written_and_read() {
    let before = policy(EXAMPLE);
    let json = serde_json::to_string(&before).unwrap();
    assert_eq!(serde_json::from_str::<Policy>(&json).unwrap(), before);
}

#[test]
fn windows_line_ends_and_a_byte_order_mark_change_nothing() {
    let windows = format!("\u{feff}{}", EXAMPLE.replace('\n', "\r\n"));
    assert_eq!(policy(&windows), policy(EXAMPLE));
}

#[test]
fn every_section_that_matches_applies_in_the_order_of_the_file() {
    let policy = policy(
        "repositories:\n  '**': {}\n  'payments-*': {}\n  '!payments-api': {}\n  '{payments,billing}-api': {}\n  demo: {}\n",
    );
    let lines = |name: &str| policy.sections_for(&repository(name)).map(|section| section.line).collect::<Vec<_>>();
    assert_eq!(lines("payments-api"), [2, 3, 5]);
    assert_eq!(lines("payments-web"), [2, 3, 4]);
    assert_eq!(lines("demo"), [2, 4, 6]);
}

#[test]
fn a_push_without_a_filter_means_every_branch_and_no_tag() {
    let trigger = |push: &str| {
        let text = format!(
            "repositories:\n  demo:\n    triggers:\n      unit:\n        on: {{ push: {push} }}\n        start: {{ build: demo }}\n"
        );
        policy(&text).sections[0].triggers[0].on.push.clone().unwrap()
    };
    let wanted = |push: &str| {
        let filter = trigger(push);
        [
            "refs/heads/main",
            "refs/heads/feature/x",
            "refs/tags/v1",
            "refs/notes/commits",
            "refs/heads/quarantine/main/1",
        ]
        .map(|name| filter.matches_ref(&RefName::parse(name).unwrap()))
    };
    assert_eq!(wanted(""), [true, true, false, false, false]);
    assert_eq!(wanted("{}"), [true, true, false, false, false]);
    assert_eq!(wanted("{ paths: ['src/**'] }"), [true, true, false, false, false]);
    assert_eq!(wanted("{ branches: main }"), [true, false, false, false, false]);
    assert_eq!(wanted("{ branches: ['!main'] }"), [false, true, false, false, false]);
    assert_eq!(wanted("{ tags: ['v*'] }"), [false, false, true, false, false]);
    assert_eq!(wanted("{ branches: [main], tags: ['v*'] }"), [true, false, true, false, false]);
}

#[test]
fn texts_stay_as_they_are_written() {
    let policy = policy(
        "repositories:\n  demo:\n    triggers:\n      unit:\n        on: { push: { branches: [1.10, yes, 0x1f] } }\n        start: { build: 007, environment: { A: 1.0, B: 'null', C: '' } }\n",
    );
    let trigger = &policy.sections[0].triggers[0];
    assert_eq!(trigger.on.push.as_ref().unwrap().branches.patterns(), ["1.10", "yes", "0x1f"]);
    let Start::Build(build) = &trigger.start else { panic!("{trigger:?}") };
    assert_eq!(build.project, ProjectName::parse("007").unwrap());
    let values: Vec<_> = build.environment.values().cloned().collect();
    assert_eq!(values, ["1.0", "null", ""].map(|text| EnvironmentValue::Text(text.to_owned())));
}

#[test]
fn a_person_is_found_by_arn_and_the_exact_entry_wins() {
    let policy = policy(
        "people:\n  'arn:aws:sts::111122223333:assumed-role/Dev_*/*': { name: Somebody }\n  'arn:aws:sts::111122223333:assumed-role/Dev_1/developer': { name: Developer }\n  'arn:aws:iam::111122223333:user/pusher': { name: Pusher }\n",
    );
    let name = |arn: &str| {
        policy.person(&Arn::parse(arn).unwrap()).and_then(|person| person.name.as_ref()).map(|name| name.to_string())
    };
    assert_eq!(name("arn:aws:sts::111122223333:assumed-role/Dev_1/developer").as_deref(), Some("Developer"));
    assert_eq!(name("arn:aws:sts::111122223333:assumed-role/Dev_1/other").as_deref(), Some("Somebody"));
    assert_eq!(name("arn:aws:iam::111122223333:user/pusher").as_deref(), Some("Pusher"));
    assert_eq!(name("arn:aws:iam::111122223333:user/pusher2"), None);
}

#[test]
fn without_a_policy_everyone_is_told_about_everything() {
    for &topic in Topic::ALL {
        assert_eq!(Policy::none().audience(&repository("demo"), topic).to, To::Everyone(vec![]));
    }
}

#[test]
fn a_repository_without_rules_is_not_silenced_by_those_of_another() {
    let policy = policy(
        "repositories:\n  payments:\n    notifications:\n      - about: build.failed\n        to: [developers]\n      - about: ['*', '!build.failed', '!build.fixed']\n        to: [watchers, Developer]\n  '*-api': { triggers: {} }\n  silent: { notifications: [] }\n  loud:\n    notifications:\n      - about: build.*\n  '{payments,silent}':\n    notifications:\n      - about: [build.failed, build.stopped]\n        to: [seconds, developers]\npeople:\n  'arn:aws:iam::111122223333:user/developer': { name: Developer, teams: [developers] }\n",
    );
    let told = |name: &str, topic| policy.audience(&repository(name), topic);
    let only = |audience: &Audience| match &audience.to {
        To::Only(to) => to.iter().map(|each| each.as_str().to_owned()).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let failed = told("payments", Topic::BuildFailed);
    assert_eq!(only(&failed), ["developers", "seconds"]);
    assert_eq!(failed.rules, [4, 15]);
    assert_eq!(only(&told("payments", Topic::BuildStopped)), ["developers", "seconds", "watchers", "Developer"]);
    assert_eq!(told("payments", Topic::BuildFixed), Audience { rules: vec![], to: To::Nobody });
    assert_eq!(only(&told("silent", Topic::BuildFailed)), ["developers", "seconds"]);
    assert_eq!(told("silent", Topic::BuildFixed).to, To::Nobody);
    assert_eq!(told("loud", Topic::BuildFixed).to, To::Everyone(vec![]));
    assert_eq!(told("loud", Topic::ReplicaFailed).to, To::Nobody);
    assert_eq!(told("web-api", Topic::BuildFailed), Audience { rules: vec![], to: To::Everyone(vec![]) });
    let teams: Vec<&str> = policy.teams().into_iter().map(TeamName::as_str).collect();
    assert_eq!(teams, ["developers", "seconds", "watchers"]);
}

#[test]
fn whom_a_rule_names_is_named_also_where_another_tells_everyone() {
    let policy = policy(
        "repositories:\n  demo:\n    notifications:\n      - about: build.failed\n        to: [team-demo]\n      - about: build.*\n",
    );
    let names = |topic| policy.audience(&repository("demo"), topic).to.names();
    assert_eq!(names(Topic::BuildFailed), Some(vec!["team-demo".to_owned(), EVERYONE.to_owned()]));
    assert_eq!(names(Topic::BuildFixed), Some(vec![EVERYONE.to_owned()]));
    assert_eq!(names(Topic::ReplicaFailed), None);
}

#[test]
fn a_protection_knows_full_refs_and_files_in_every_folder() {
    let policy = policy(EXAMPLE);
    let [branches, tags] = &policy.sections[0].protections[..] else { panic!("{policy:?}") };
    let covers = |protection: &Protection, name: &str| protection.covers(&RefName::parse(name).unwrap());
    assert!(covers(branches, "refs/heads/main") && covers(branches, "refs/heads/release/1"));
    assert!(!covers(branches, "refs/tags/main") && !covers(branches, "refs/heads/quarantine/main/1"));
    assert!(covers(tags, "refs/tags/v1") && !covers(tags, "refs/heads/v1"));
    let files = branches.files.as_ref().unwrap();
    let forbidden = files.forbid.as_ref().unwrap();
    for path in ["key.pem", "deploy/keys/key.pem", ".env", "a/.env"] {
        assert!(forbidden.matches(path), "{path}");
    }
    assert!(!forbidden.matches("a/.env/b") && !forbidden.matches("env"));
    assert_eq!(files.max_size.unwrap().bytes(), 5_000_000);
    assert!(OnViolation::Restore > OnViolation::Report);
}

#[test]
fn submodules_are_compared_by_address() {
    let policy = policy(
        "repositories:\n  demo:\n    protection:\n      - refs: main\n        files: { submodules: ['https://git.example.com/**', '!https://git.example.com/private/**'] }\n",
    );
    let files = policy.sections[0].protections[0].files.as_ref().unwrap();
    assert!(files.allows_submodule("https://git.example.com/acme/lib.git"));
    assert!(!files.allows_submodule("https://git.example.com/private/lib.git"));
    assert!(!files.allows_submodule("https://example.com/acme/lib.git"));
}

#[test]
fn an_alias_bomb_is_refused_at_once() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..20 {
        let before = level - 1;
        text.push_str(&format!("a{level}: &a{level} [{}]\n", vec![format!("*a{before}"); 10].join(", ")));
    }
    let told = problems(&text);
    assert!(told.contains("once the aliases are followed"), "{told}");
    let itself = problems("mode: &a [*a]\n");
    assert!(itself.contains("alias"), "{itself}");
}

#[test]
fn depth_is_refused_and_does_not_overflow_the_stack() {
    for text in
        ["[".repeat(400_000), "{a: ".repeat(200_000), "- ".repeat(400_000), "? ".repeat(200_000), "&a ".repeat(9_000)]
    {
        let told = problems(&text);
        assert!(told.len() < 2_000, "{}", told.len());
    }
    let mut deep = String::new();
    for level in 0..700 {
        deep.push_str(&" ".repeat(level));
        deep.push_str("a:\n");
    }
    assert!(problems(&deep).contains("levels inside each other"));
}

#[test]
fn a_file_that_is_too_large_is_refused_unread() {
    let told = problems(&format!("mode: observe\n#{}", "x".repeat(1 << 20)));
    assert!(told.contains("the limit"), "{told}");
}

#[test]
fn a_thousand_triggers_in_a_long_chain_are_read() {
    use std::fmt::Write;
    let mut text = String::from("repositories:\n  demo:\n    triggers:\n");
    for at in 0..1000 {
        let _ = writeln!(
            text,
            "      t{at:04}: {{ on: {{ build: {{ project: p{at} }} }}, start: {{ build: p{} }} }}",
            at + 1
        );
    }
    assert_eq!(policy(&text).triggers_for(&repository("demo")).len(), 1000);
    let closed = text.replace("build: p1000 }", "build: p0 }");
    let told = problems(&closed);
    assert!(told.contains("without end"), "{told}");
}

#[test]
fn the_reference_explains_every_key_and_every_topic() {
    for table in keys::ALL {
        for key in table.keys {
            assert!(
                REFERENCE.contains(&format!("`{}`", key.name)),
                "{} of {} is not in docs/policy.md",
                key.name,
                table.name
            );
        }
    }
    for topic in Topic::ALL {
        assert!(REFERENCE.contains(&format!("`{}`", topic.name())), "{topic} is not in docs/policy.md");
    }
}

#[test]
fn the_examples_of_the_reference_are_policies() {
    let mut count = 0;
    for block in REFERENCE.split("```yaml\n").skip(1) {
        let text = block.split("```").next().unwrap();
        policy(text);
        count += 1;
    }
    assert!(count >= 8, "{count}");
}

proptest! {
    #[test]
    fn reading_never_panics_whatever_is_done_to_a_policy(
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..12, "\\PC{0,3}|[\\[\\]{}:,&*!|>?\"'#\\-\\t\\n %@`]{1,4}"), 1..8)
    ) {
        let mut text: Vec<char> = EXAMPLE.chars().collect();
        for (at, drop, insert) in edits {
            let at = at.index(text.len() + 1);
            let end = (at + drop).min(text.len());
            text.splice(at..end, insert.chars());
        }
        let text: String = text.into_iter().collect();
        if let Err(problems) = parse_policy(&text) {
            prop_assert!(problems.len() > 0);
            prop_assert!(!render_problems("signalbox.yaml", &text, &problems).is_empty());
        }
    }

    #[test]
    fn a_policy_that_lost_or_doubled_lines_never_panics(lines in prop::collection::vec(any::<prop::sample::Index>(), 0..60)) {
        let all: Vec<&str> = EXAMPLE.lines().collect();
        let text: Vec<&str> = lines.iter().map(|line| all[line.index(all.len())]).collect();
        let text = text.join("\n");
        if let Err(problems) = parse_policy(&text) {
            let lines = text.lines().count();
            prop_assert!(problems.iter().all(|problem| problem.line <= lines + 1 && problem.column >= 1));
        }
    }
}
