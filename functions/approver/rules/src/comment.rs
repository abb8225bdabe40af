//! Our one comment on a pull request.

use signalbox_policy::Policy;

use crate::decision::{Decision, Reason, Verdict};
use crate::facts::PullRequestFacts;
use crate::judge::{Item, Met, What, Why};
use crate::render::{findings_of, render_what, render_why};

/// How every comment of ours ends, so that it is found again.
pub const MARKER: &str = "Kept up to date by Signalbox: it reads no answers here.";

/// The longest comment, in characters.
const LONGEST: usize = 10_240;
/// No sentence of a table is longer.
const LONGEST_CELL: usize = 400;

/// The comment: a headline, a table of everything that is asked, and what else there is to say.
pub(crate) fn render_comment(decision: &Decision, here: &PullRequestFacts, policy: &Policy) -> String {
    let mut text = format!("**{}**\n", headline(decision, here));
    if !decision.items.is_empty() {
        text.push_str("\n| asked | | why | who can help |\n|---|---|---|---|\n");
        let rows: Vec<String> = decision.items.iter().map(|item| row(item, here)).collect();
        let room = LONGEST.saturating_sub(2_000);
        let mut left_out = 0_usize;
        for row in rows {
            if text.chars().count() + row.chars().count() > room {
                left_out += 1;
            } else {
                text.push_str(&row);
            }
        }
        if left_out > 0 {
            text.push_str(&format!("\nThere is no room for {left_out} more.\n"));
        }
    }
    for item in &decision.items {
        push_findings(item, &mut text);
    }
    for note in decision.reasons.iter().filter_map(|reason| note(reason, policy)) {
        text.push_str(&format!("\n{note}\n"));
    }
    let sum = text.chars().take(LONGEST - MARKER.len() - 20).collect::<String>();
    format!("{sum}\n{MARKER}\n")
}

/// Everything that the rules of a check found at once, as far as there is room.
fn push_findings(item: &Item, text: &mut String) {
    let room = LONGEST.saturating_sub(1_500);
    let mut length = text.chars().count();
    let mut left_out = match &item.why {
        Why::RulesBroken { left_out, .. } => *left_out,
        _ => return,
    };
    text.push_str(&format!("\nWhat {} found:\n\n", plain(&render_what(&item.what))));
    for finding in findings_of(&item.why) {
        let line = format!("- {}\n", plain(finding));
        length += line.chars().count();
        if length > room {
            left_out += 1;
        } else {
            text.push_str(&line);
        }
    }
    if left_out > 0 {
        text.push_str(&format!("- and {left_out} more\n"));
    }
}

fn headline(decision: &Decision, here: &PullRequestFacts) -> String {
    let (branch, commit) = (here.destination.short(), here.source_commit.short());
    match decision.verdict {
        Verdict::Overridden => format!("The approval rules of this pull request are set aside for {commit}."),
        Verdict::Met => format!("Everything is met for a merge of {commit} into {branch}."),
        Verdict::Waiting => format!("A merge of {commit} into {branch} waits for what is not met yet."),
        Verdict::Missing | Verdict::NothingAsked | Verdict::NotConcerned | Verdict::Closed => {
            format!("A merge of {commit} into {branch} needs what is missing.")
        }
    }
}

fn row(item: &Item, here: &PullRequestFacts) -> String {
    let met = match item.met {
        Met::Met => "met",
        Met::Waiting => "not yet",
        Met::Missing => "missing",
    };
    let cells = [render_what(&item.what), met.to_owned(), render_why(&item.why), help(item, here)];
    format!("| {} |\n", cells.map(|cell| plain(&cell)).join(" | "))
}

/// Who can do something about it.
fn help(item: &Item, here: &PullRequestFacts) -> String {
    let source = here.source.short();
    match (&item.what, &item.why) {
        _ if item.met == Met::Met => String::new(),
        (What::Reviewers { from, .. }, _) if from.is_empty() => "everybody but the author".to_owned(),
        (What::Reviewers { from, .. }, _) => from.join(", "),
        (What::Check(_), Why::Runs(_)) => String::new(),
        (What::Check(name), Why::NoBuild(_)) => format!("a comment /test {name} starts one"),
        (What::Check(name), Why::Failed { .. } | Why::Void { .. }) => {
            format!("whoever pushes to {source}; a comment /test {name} runs it once more")
        }
        (What::Check(_), Why::NotJudged(_)) => String::new(),
        (What::Check(_), Why::SkipCi { .. } | Why::RulesBroken { .. }) => format!("whoever pushes to {source}"),
        (What::Check(_), _) => "whoever keeps the policy".to_owned(),
    }
}

fn note(reason: &Reason, policy: &Policy) -> Option<String> {
    let who = |by: &signalbox_events::Arn| plain(&crate::asked::called(policy, by));
    match reason {
        Reason::Full => Some(
            "**This pull request has 30 approval rules, which is the most: there is no room for the gate, so CodeCommit does not \
             refuse its merge.** Delete a rule, and the gate comes by itself."
                .to_owned(),
        ),
        Reason::OverriddenWithLeave(by) => {
            Some(format!("{} set the approval rules aside, as the policy allows. A new push ends that.", who(by)))
        }
        Reason::CountsEverybody { rule } => Some(format!(
            "The rule {} has no approval pool, so it counts the vote of the gate as an approval. Give it a pool, or use `reviewers` of the policy.",
            plain(rule)
        )),
        // What was put back is in the ledger; the comment says how things stand.
        _ => None,
    }
}

/// A text that breaks no table and links to nothing.
fn plain(text: &str) -> String {
    let clean: String = text
        .chars()
        .take(LONGEST_CELL)
        .map(|c| match c {
            '|' => '/',
            '<' | '>' | '`' | '*' | '[' | ']' => ' ',
            c if c.is_control() => ' ',
            c => c,
        })
        .collect();
    clean.trim().to_owned()
}
