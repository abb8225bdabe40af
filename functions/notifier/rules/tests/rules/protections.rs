//! Mail about protections.

use signalbox_events::{Protected, ProtectionFinding, ProtectionStateChange};

use super::*;

macro_rules! protection {
    ($name:literal) => {
        sample(include_bytes!(concat!("../../../../../events/signalbox-protection-", $name, ".json")))
    };
}

fn facts_of(event: &Event) -> Facts {
    let mut facts = Facts::before_gathering(event);
    let arn = event.envelope.resources.first().unwrap();
    facts.console = Console::of(arn, &event.envelope.region, &event.envelope.account);
    facts
}

fn with(mut event: Event, change: impl FnOnce(&mut ProtectionStateChange)) -> Event {
    let Detail::ProtectionState(inner) = &mut event.detail else { panic!("no protection: {event:?}") };
    change(inner);
    event
}

fn mail_of(event: &Event, policy: &Policy) -> Mail {
    mail(&decide(&facts_of(event), policy)).cloned().unwrap_or_else(|| panic!("no mail"))
}

#[test]
fn each_thing_that_becomes_of_a_protection_has_its_mail() {
    let policy = Policy::none();
    let events = [
        protection!("restored"),
        protection!("would-restore"),
        protection!("violated"),
        protection!("bypassed"),
        protection!("weakened"),
        protection!("contested"),
        protection!("failed"),
    ];
    let mails = events.map(|event| shown(&facts_of(&event), &policy));
    insta::assert_snapshot!("protections", mails.join("\n=====\n"));
}

#[test]
fn the_pusher_is_addressed_as_people_know_them_and_only_where_anybody_is() {
    let policy = |notifications: &str| {
        let people =
            "people:\n  \"arn:aws:iam::111122223333:user/developer\": { name: Anna, email: anna@example.com }\n";
        parse_policy(&format!("repositories:\n  payments:\n    notifications: {notifications}\n{people}")).unwrap()
    };
    let told = policy("[{ about: protection.*, to: [team-payments] }]");
    let mail = mail_of(&protection!("restored"), &told);
    assert_eq!(mail.attributes.to, ["team-payments", "Anna"]);
    assert!(mail.body.starts_with("Anna, please get what you pushed") && mail.body.contains("<anna@example.com>"));
    let silent = decide(&facts_of(&protection!("restored")), &policy("[]"));
    assert_eq!((silent.verdict, silent.actions.len()), (Verdict::Silent, 0));
    // A person who is told anyhow is named once.
    let twice = mail_of(&protection!("restored"), &policy("[{ about: protection.*, to: [Anna] }]"));
    assert_eq!(twice.attributes.to, ["Anna"]);
}

#[test]
fn what_is_hostile_is_plain_without_secrets_and_bounded() {
    let event = with(protection!("would-restore"), |it| {
        it.why = vec!["said: \u{1b}[31mAuthorization: Bearer abcdef0123456789".to_owned()];
        let finding = ProtectionFinding {
            path: Some(format!("a\n{}\u{202e}", "x".repeat(900))),
            wrong: format!("password=hunter2hunter2 {}", "y".repeat(900)),
            ..it.findings[0].clone()
        };
        it.findings = vec![finding; 20];
        it.left_out = 180;
        it.by = Some(Arn::parse("arn:aws:sts::111122223333:assumed-role/R/\u{202e}evil").unwrap());
    });
    let mail = mail_of(&event, &Policy::none());
    for hidden in ["abcdef0123456789", "hunter2", "\u{1b}", "\u{202e}"] {
        assert!(!mail.body.contains(hidden) && !mail.subject.contains(hidden), "{hidden:?}: {}", mail.body);
    }
    assert!(mail.body.len() < 16_100 && mail.subject.len() < 100 && mail.subject.is_ascii());
    let kept = serde_json::to_string(&facts_of(&event)).unwrap();
    assert!(!kept.contains("abcdef0123456789") && !kept.contains("hunter2"), "{kept}");
}

#[test]
fn a_branch_that_mail_cannot_show_is_no_command() {
    let name = RefName::parse("refs/heads/quarantine/a\u{202e}b/20260302T091412Z-1a2b3c4").unwrap();
    let event = with(protection!("restored"), |it| it.kept = Some(name));
    let body = mail_of(&event, &Policy::none()).body;
    let other = with(protection!("restored"), |it| it.kept = Some(RefName::parse("refs/heads/main").unwrap()));
    assert!(!mail_of(&other, &Policy::none()).body.contains("git fetch"), "what is not in quarantine is no command");
    assert!(!body.contains("git fetch") && body.contains("its name has characters that mail cannot show"), "{body}");
}

#[test]
fn whom_iam_lets_push_is_counted_in_the_subject() {
    let event = |count: usize, left_out: u64| {
        with(protection!("weakened"), |it| {
            it.about = Protected::PushPermissions;
            it.by = None;
            let wrong =
                "IAM lets the user anna (arn:aws:iam::111122223333:user/anna) push to refs/heads/main".to_owned();
            let finding = ProtectionFinding {
                rule: "watch push-permissions".to_owned(),
                wrong,
                remedy: String::new(),
                ..it.findings[0].clone()
            };
            it.findings = vec![finding; count];
            it.left_out = left_out;
        })
    };
    let one = mail_of(&event(1, 0), &Policy::none());
    assert_eq!(one.subject, "IAM lets somebody push to payments past its protection");
    assert!(one.body.contains("the user anna") && one.body.contains("refs/heads/main"), "{}", one.body);
    let many = mail_of(&event(20, 10), &Policy::none());
    assert_eq!(many.subject, "IAM lets 30 users and roles push to payments past its protection");
    assert!(many.body.contains("... and 10 more"), "{}", many.body);
}
