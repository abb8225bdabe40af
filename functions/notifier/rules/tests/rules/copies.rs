//! Mail about copies.

use signalbox_events::{EventId, Obstacle, ObstacleKind, ReplicaStateChange};
use signalbox_notifier_rules::{CopyNews, CopyTold};

use super::*;

fn failed() -> Event {
    sample(include_bytes!("../../../../../events/signalbox-replica-failed.json"))
}

fn changed() -> Event {
    sample(include_bytes!("../../../../../events/signalbox-replica-changed.json"))
}

fn equal() -> Event {
    sample(include_bytes!("../../../../../events/signalbox-replica-equal.json"))
}

fn with(mut event: Event, change: impl FnOnce(&mut ReplicaStateChange)) -> Event {
    let Detail::ReplicaState(inner) = &mut event.detail else { panic!("no copy: {event:?}") };
    change(inner);
    event
}

fn facts_of(event: &Event) -> Facts {
    let mut facts = Facts::before_gathering(event);
    let arn = event.envelope.resources.first().unwrap();
    facts.console = Console::of(arn, &event.envelope.region, &event.envelope.account);
    facts
}

fn mail_of(event: &Event, policy: &Policy) -> Mail {
    mail(&decide(&facts_of(event), policy)).cloned().unwrap_or_else(|| panic!("no mail"))
}

#[test]
fn a_copy_that_fails_changes_and_is_equal_again_is_told_in_full() {
    let policy = Policy::none();
    let mails = [failed(), changed(), equal()].map(|event| shown(&facts_of(&event), &policy));
    insta::assert_snapshot!("copies", mails.join("\n=====\n"));
}

#[test]
fn each_kind_of_place_has_its_words_and_a_long_subject_stays_short() {
    let subject = |target: &str| mail_of(&with(failed(), |it| it.target = target.to_owned()), &Policy::none()).subject;
    for (target, said) in [
        ("codecommit://eu-central-1/payments", "in eu-central-1"),
        ("codecommit://eu-central-1/mirror as arn:aws:iam::111122223333:role/Mirror", "in eu-central-1 (mirror)"),
        ("https://git.example.com/acme/payments.git", "on git.example.com"),
        ("s3://acme-backup/payments.bundle", "in the bucket acme-backup"),
        ("nowhere", "at nowhere"),
    ] {
        assert_eq!(subject(target), format!("copy of payments {said} cannot be made equal"));
    }
    let long = subject(&format!("https://{}.example.com/x", "\u{e9}".repeat(300)));
    assert!(long.len() < 100 && long.is_ascii() && long.ends_with("cannot be made equal"), "{long}");
}

#[test]
fn what_hosts_say_is_shown_plain_without_secrets_and_bounded() {
    let event = with(changed(), |it| {
        let reason = format!("remote: \u{1b}[31mAuthorization: Bearer abcdef0123456789 {}", "x".repeat(5_000));
        it.obstacles = (0..20)
            .map(|n| Obstacle::of_ref(format!("refs/heads/b{n}"), ObstacleKind::Refused, &reason, "Let it in"))
            .collect();
        it.left_out = 7;
    });
    let mail = mail_of(&event, &Policy::none());
    assert!(!mail.body.contains("abcdef0123456789") && !mail.body.contains('\u{1b}'), "{}", mail.body);
    assert!(mail.body.len() < 16_100);
    assert!(mail.body.starts_with("Look at the 27 things below"), "{}", mail.body);
    let kept = serde_json::to_string(&facts_of(&event)).unwrap();
    assert!(!kept.contains("abcdef0123456789"), "{kept}");
}

#[test]
fn what_was_told_and_what_comes_late_is_silent_and_what_is_wanted_again_is_told_again() {
    let told = |seen: &str, notice: &EventId| CopyTold { seen: seen.parse().unwrap(), notice: notice.clone() };
    let other = EventId::of_notice(1);
    let event = failed();
    let news = |before: Option<CopyTold>, again: Option<u32>| {
        let mut facts = facts_of(&event);
        facts.copy = before;
        facts.event.envelope.again = again.map(|round| Again { event: other.clone(), round });
        let decision = decide(&facts, &Policy::none());
        let news = decision.reasons.iter().find_map(|reason| match reason {
            Reason::Copy(news) => Some(news.clone()),
            _ => None,
        });
        (news.unwrap(), decision.verdict)
    };
    let same = told("2026-03-02T09:14:12Z", &event.envelope.id);
    let newer = told("2026-03-02T12:00:00Z", &other);
    assert_eq!(news(None, None), (CopyNews::Fails, Verdict::Mail));
    assert_eq!(news(Some(same.clone()), None), (CopyNews::Told, Verdict::Silent));
    assert_eq!(news(Some(newer.clone()), None).1, Verdict::Silent);
    assert_eq!(news(Some(same), Some(1)), (CopyNews::Fails, Verdict::Mail));
    assert_eq!(news(Some(newer), Some(1)), (CopyNews::Fails, Verdict::Mail));
}
