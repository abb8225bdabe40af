//! The mail about a protected ref, or about the protection itself.

use signalbox_events::{Protected, ProtectionFinding, ProtectionState, ProtectionStateChange, RefKind, RefName};
use signalbox_policy::{Policy, Topic, is_quarantined};

use crate::body::{Body, footer};
use crate::facts::Facts;
use crate::mail::{Attributes, Mail, fitted, sentence, shown, who};
use crate::text::{moment, plain, wrapped};

pub(crate) fn protection_mail(
    change: &ProtectionStateChange,
    facts: &Facts,
    topic: Topic,
    to: Vec<String>,
    policy: &Policy,
) -> Mail {
    Mail {
        subject: subject(change, policy),
        body: body(change, facts, topic, policy),
        attributes: Attributes {
            topic,
            repository: change.repository.clone(),
            reference: change.reference.as_ref().map(|reference| shown(reference.as_str(), 1_000)),
            project: None,
            target: None,
            to,
        },
    }
}

/// What it is about, as people say it: a word before the name, and the name.
fn thing(change: &ProtectionStateChange) -> (&'static str, String) {
    match (change.about, &change.reference) {
        (Protected::Ref, Some(reference)) => {
            (if reference.kind() == RefKind::Tag { "tag " } else { "" }, shown(reference.short(), 200))
        }
        (Protected::Ref, None) => ("", "the protected refs".to_owned()),
        (Protected::DefaultBranch, _) => ("", "the default branch".to_owned()),
        (Protected::ApprovalRules, _) => ("", "the approval rules".to_owned()),
        (Protected::RepositoryTriggers, _) => ("", "the repository triggers".to_owned()),
        (Protected::PushPermissions, _) => ("", "the push permissions".to_owned()),
    }
}

fn pusher(change: &ProtectionStateChange, policy: &Policy) -> Option<String> {
    change.by.as_ref().map(|by| who(by, policy))
}

/// The branch that keeps what was undone: no other is worth a command, whoever put the event.
fn kept(change: &ProtectionStateChange) -> Option<&RefName> {
    change.kept.as_ref().filter(|kept| is_quarantined(kept))
}

/// The rules that were broken, each once.
fn rules(change: &ProtectionStateChange) -> String {
    let mut rules: Vec<&str> = Vec::new();
    for finding in &change.findings {
        if !rules.contains(&finding.rule.as_str()) {
            rules.push(&finding.rule);
        }
    }
    match rules.as_slice() {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first, others @ ..] => format!("{first} and {} more", others.len()),
    }
}

fn subject(change: &ProtectionStateChange, policy: &Policy) -> String {
    let (word, name) = thing(change);
    let by = pusher(change, policy).unwrap_or_else(|| "somebody".to_owned());
    let rules = rules(change);
    let parts = [name.as_str(), change.repository.as_str(), by.as_str(), rules.as_str()];
    fitted(parts, |[name, repository, by, rules]| {
        let place = format!("{word}{name} of {repository}");
        let what = if change.findings.is_empty() { String::new() } else { format!(" ({rules} by {by})") };
        match change.state {
            ProtectionState::Restored => format!("{place} was put back{what}"),
            ProtectionState::WouldRestore => format!("{place} would have been put back{what}"),
            ProtectionState::Violated => format!("{place} is not as the policy wants it{what}"),
            ProtectionState::Bypassed => format!("{by} bypassed the protection of {place} ({rules})"),
            ProtectionState::Weakened if change.about == Protected::PushPermissions => {
                let findings = u64::try_from(change.findings.len()).unwrap_or(u64::MAX);
                match findings.saturating_add(change.left_out) {
                    0 | 1 => format!("IAM lets somebody push to {repository} past its protection"),
                    count => format!("IAM lets {count} users and roles push to {repository} past its protection"),
                }
            }
            ProtectionState::Weakened => format!("{place} were weakened by {by}"),
            ProtectionState::Contested => format!("{place} is moved each time that it is put back, by {by}"),
            ProtectionState::Failed => format!("{place} could not be protected"),
        }
    })
}

fn first_line(change: &ProtectionStateChange, policy: &Policy) -> String {
    let (word, name) = thing(change);
    let please = |what: &str| match pusher(change, policy) {
        Some(who) => format!("{who}, please {what}"),
        None => format!("Please {what}"),
    };
    match (change.state, kept(change)) {
        (ProtectionState::Restored, Some(_)) => {
            please("get what you pushed by the commands below, mend it, and bring it in the right way.")
        }
        (ProtectionState::Restored, None) => please(&format!("note that {word}{name} is as it was; nothing is lost.")),
        (ProtectionState::WouldRestore, _) => {
            please("mend what is said below: once the policy is enforced, such a push is undone.")
        }
        (ProtectionState::Violated, _) => please(&format!("mend what is said below: {word}{name} was left as it is.")),
        (ProtectionState::Bypassed, _) => {
            please(&format!("tell the others why you went past the protection of {word}{name}: the command is below."))
        }
        (ProtectionState::Weakened, _) => "Look whether this was meant; if not, mend it as is said below.".to_owned(),
        (ProtectionState::Contested, _) => format!(
            "Find out what moves {word}{name} each time that it is put back, and end one of the two: it was left as it is."
        ),
        (ProtectionState::Failed, _) => {
            format!(
                "Look at {word}{name} of {}: it is not protected until what is said below is mended.",
                change.repository
            )
        }
    }
}

fn body(change: &ProtectionStateChange, facts: &Facts, topic: Topic, policy: &Policy) -> String {
    let mut body = Body::default();
    body.line(&wrapped(&first_line(change, policy), ""));
    body.line("");
    let (word, name) = thing(change);
    body.field("What", &format!("{word}{name} of {}", change.repository));
    whose(&mut body, change, policy);
    if change.about == Protected::Ref && change.reference.is_some() {
        let at = |place: &Option<signalbox_events::CommitId>| {
            place.as_ref().map_or_else(|| "not there".to_owned(), |commit| format!("at {}", shown(commit.short(), 7)))
        };
        body.field("Moved", &format!("it was {}, and was then {}", at(&change.old), at(&change.new)));
    }
    if let Some(kept) = kept(change) {
        body.field("Kept", &format!("what was pushed, as the branch {}", shown(kept.short(), 400)));
    }
    for (number, why) in change.why.iter().enumerate() {
        body.field(if number == 0 { "Why" } else { "" }, &format!("{}.", sentence(why)));
    }
    if !change.findings.is_empty() {
        body.heading("What is wrong:");
        change.findings.iter().for_each(|finding| finding_lines(&mut body, finding));
    }
    if change.left_out > 0 {
        body.line(&format!("  ... and {} more", change.left_out));
    }
    commands(&mut body, change);
    if change.untold > 0 {
        body.line("");
        let whose = pusher(change, policy).map_or_else(String::new, |who| format!(" of {who}"));
        let told = format!(
            "Before this, {} more{whose} within an hour were not mailed; signalbox report protections --repository {} lists them.",
            change.untold, change.repository
        );
        body.line(&wrapped(&told, ""));
    }
    body.heading("Where to look:");
    if let Some(console) = &facts.console {
        body.line(&format!("  repository  {}", console.repository(&change.repository)));
    }
    body.line(&format!("  report      ledger/protector/{} in the stack's bucket", change.entry));
    body.line("");
    body.line(&wrapped(&footer(&change.repository, topic, policy), ""));
    body.bounded()
}

fn whose(body: &mut Body, change: &ProtectionStateChange, policy: &Policy) {
    let at = change.at.map(|at| format!(", {}", moment(at))).unwrap_or_default();
    let Some(by) = &change.by else {
        body.field("By", &format!("nobody knows: no event tells it{at}"));
        return;
    };
    let email = policy.person(by).and_then(|person| person.email.as_ref());
    let email = email.map(|email| format!(" <{}>", shown(email.as_str(), 200))).unwrap_or_default();
    body.field("By", &format!("{}{email}, {}{at}", who(by, policy), shown(by.as_str(), 300)));
}

fn finding_lines(body: &mut Body, finding: &ProtectionFinding) {
    let place = match (&finding.path, &finding.commit) {
        (Some(path), Some(commit)) => format!("{} in {}: ", shown(path, 300), shown(commit.short(), 7)),
        (Some(path), None) => format!("{}: ", shown(path, 300)),
        (None, Some(commit)) => format!("commit {}: ", shown(commit.short(), 7)),
        (None, None) => String::new(),
    };
    let rule = format!("{} ({})", shown(&finding.rule, 100), shown(&finding.protection, 100));
    body.line(&format!("  - {}", wrapped(&format!("{rule}: {place}{}.", sentence(&finding.wrong)), "    ")));
    if !finding.remedy.is_empty() {
        let remedy = sentence(&finding.remedy);
        let mut letters = remedy.chars();
        let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
        body.line(&format!("    {}.", wrapped(&format!("{first}{}", letters.as_str()), "    ")));
    }
}

fn commands(body: &mut Body, change: &ProtectionStateChange) {
    if let Some(kept) = kept(change) {
        body.heading("To get what was pushed, in a clone of the repository:");
        match shell_word(kept) {
            Some(kept) => {
                body.line(&format!("  git fetch origin {kept}"));
                body.line("  git switch -c rescued FETCH_HEAD");
            }
            None => body.line("  fetch the branch that keeps it; its name has characters that mail cannot show"),
        }
    }
    if change.state == ProtectionState::Bypassed {
        body.heading("To tell why, with your own AWS credentials:");
        body.line(&format!("  signalbox report bypass {} --stack {} --reason '...'", change.entry, change.stack));
    }
}

/// A name as a command may have it; nothing where a reader would not see what it is.
fn shell_word(name: &RefName) -> Option<String> {
    let word = name.shell_word();
    (plain(&word) == word).then_some(word)
}
