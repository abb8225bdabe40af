//! What is gathered, for what, and what is kept of it.

use super::*;

#[test]
fn facts_keep_no_secret_of_a_phase() {
    let mut event = sample!("failed");
    let Detail::BuildState(change) = &mut event.detail else { panic!("a build's state") };
    let said = "Error while executing command: mysql -phunter2. Reason: exit status 1".to_owned();
    change.context = vec![said.clone()];
    for phase in &mut change.information.as_mut().unwrap().phases {
        phase.context = vec![said.clone(), "password: hunter2 again".to_owned()];
    }
    let mut facts = facts(&event);
    let kept = serde_json::to_string(&facts).unwrap();
    assert!(!kept.contains("hunter2") && kept.contains("mysql -p[removed]. Reason: exit status 1"), "{kept}");
    // What had to be changed is nothing that anybody can run.
    let build = facts.build.as_mut().unwrap();
    build.phases.iter_mut().for_each(|phase| phase.context.truncate(1));
    assert!(!shown(&facts, &policy()).contains("To see it on your machine"));
}

#[test]
fn a_build_without_a_repository_is_silent_with_its_reason() {
    let facts = Facts::before_gathering(&sample!("succeeded-in-pipeline"));
    let decision = decide(&facts, &policy());
    assert_eq!((decision.verdict, decision.actions.len()), (Verdict::Silent, 0));
    assert!(decision.reasons.iter().any(|reason| matches!(reason, Reason::NoRepository { .. })), "{decision:?}");
}

#[test]
fn a_build_in_progress_and_a_push_concern_nobody_here() {
    let push = sample(include_bytes!("../../../../../events/codecommit-reference-updated-push.json"));
    for event in [sample!("in-progress"), push] {
        let needs = needs(&event, &policy());
        assert_eq!(needs.build, None);
        assert_eq!(decide(&Facts::before_gathering(&event), &policy()).verdict, Verdict::NotConcerned);
    }
}

#[test]
fn nobody_who_wants_to_hear_means_no_mail_no_log_but_a_history() {
    let deaf = parse_policy("repositories: { payments: { notifications: [] } }").unwrap();
    let facts = facts(&sample!("failed"));
    let decision = decide(&facts, &deaf);
    assert_eq!(decision.verdict, Verdict::Silent);
    assert!(matches!(decision.actions.as_slice(), [Action::History { .. }]), "{decision:?}");
    assert_eq!(needs_more(&facts, &deaf), signalbox_notifier_rules::More::default());
}

#[test]
fn logs_and_commits_are_read_only_for_mail_and_only_back_to_the_last_result() {
    let failed = needs_more(&after(facts(&sample!("failed")), &[earlier(60, BuildStatus::Succeeded, 3)]), &policy());
    assert!(failed.log.is_some());
    assert_eq!(failed.commits.and_then(|wanted| wanted.until), Some(commit(3)));
    let green = after(facts(&sample!("succeeded")), &[earlier(60, BuildStatus::Succeeded, 3)]);
    assert_eq!(needs_more(&green, &policy()), signalbox_notifier_rules::More::default());
    let fixed = needs_more(&after(facts(&sample!("succeeded")), &[earlier(60, BuildStatus::Failed, 3)]), &policy());
    assert!(fixed.log.is_none() && fixed.commits.is_some());
}

#[test]
fn a_missing_record_is_waited_for_two_minutes() {
    let now: Timestamp = "2026-03-02T09:16:54Z".parse().unwrap();
    assert!(start_record_may_still_come(Some(now - SignedDuration::from_secs(119)), now));
    assert!(!start_record_may_still_come(Some(now - SignedDuration::from_secs(120)), now));
    assert!(!start_record_may_still_come(None, now));
}

#[test]
fn only_the_variables_of_the_trigger_together_tell_an_origin() {
    let all = [("TRIGGER", "unit"), ("REPOSITORY", "payments"), ("REF", "refs/heads/main"), ("COMMIT", "abc")];
    let of = |some: &[(&str, &str)]| {
        Origin::of_environment(
            &some.iter().map(|(name, value)| (format!("SIGNALBOX_{name}"), (*value).to_owned())).collect(),
        )
    };
    assert!(matches!(of(&all), Origin::Environment { .. }));
    assert_eq!(of(&all[1..]), Origin::Other);
    assert_eq!(of(&[all[0], all[1], ("REF", "main"), all[3]]), Origin::Other);
}

#[test]
fn facts_replay_from_a_file() {
    let facts = after(facts(&sample!("failed")), &[earlier(60, BuildStatus::Succeeded, 8)]);
    let read: Facts = serde_json::from_str(&serde_json::to_string(&facts).unwrap()).unwrap();
    assert_eq!(decide(&read, &policy()), decide(&facts, &policy()));
    let decision = decide(&facts, &policy());
    assert_eq!(serde_json::from_str::<Decision>(&serde_json::to_string(&decision).unwrap()).unwrap(), decision);
}

#[test]
fn every_sample_event_is_decided() {
    let Detail::BuildState(change) = &sample!("succeeded-bare").detail else { panic!("a build's state") };
    assert!(change.information.is_none());
    for event in [sample!("succeeded-bare"), sample!("succeeded-in-pipeline"), sample!("stopped"), sample!("fault")] {
        let facts = Facts::before_gathering(&event);
        assert!(!decide(&facts, &policy()).reasons.is_empty());
    }
}
