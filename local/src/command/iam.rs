//! `signalbox iam`: what IAM can prevent of what a policy forbids, as documents and as a table for people.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::ValueEnum;
use serde_json::Value;
use signalbox_events::InvalidName;
use signalbox_policy::iam::{Act, Form, Guard, LONGEST_STACK, May, Place, Prevention, Protected, Row, STACK_ROLES};
use signalbox_policy::{ArnPattern, Mode, QUARANTINE, parse_policy, render_problems};

use super::{Outcome, Paint, complain, tell};

/// The most characters of all inline policies together: of a user, a group, a role ("IAM and AWS STS quotas").
const INLINE: [(&str, usize); 3] = [("a user", 2048), ("a group", 5120), ("a role", 10_240)];

/// Print the IAM statements that prevent what a policy forbids, and who may still do what.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Attach the statements to the people: the table says what they then cannot do, and what the protector mends \
                        instead. `serve --user-policy FILE` tries them on this machine. IAM refuses only what the policy forbids: \
                        where a pattern cannot be said exactly, less is refused, and it is told.\n\nEnds with 0 also when nothing \
                        is protected, and with 1 when the policy has problems or a statement fits no IAM policy."
)]
pub(super) struct Arguments {
    /// The policy file.
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// What is printed.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Write the documents there instead, and print the table; several are numbered: FILE-1.json, FILE-2.json.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The name of Signalbox's stack, whose roles are spared.
    #[arg(long, value_name = "NAME", default_value = "signalbox")]
    stack: String,
    /// The region of the repositories; every one if nothing is said.
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// The account of the repositories and the stack; every one if nothing is said.
    #[arg(long, value_name = "ID")]
    account: Option<String>,
    /// `aws`, `aws-cn` or `aws-us-gov`.
    #[arg(long, value_name = "NAME")]
    partition: Option<String>,
    /// An ARN, or a pattern of ARNs, that is spared as well; may be given several times.
    #[arg(long, value_name = "ARN", value_parser = arn)]
    spare: Vec<ArnPattern>,
}

/// A pattern of ARNs, as `--spare` takes it.
fn arn(text: &str) -> Result<ArnPattern, InvalidName> {
    ArnPattern::parse(text)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Who may still do what.
    Table,
    /// IAM policies, one behind the other.
    Json,
    /// One CloudFormation template with managed policies.
    Cloudformation,
    /// Service control policies for AWS Organizations, one a line.
    Scp,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let file = arguments.policy.display().to_string();
    let text = std::fs::read_to_string(&arguments.policy).with_context(|| format!("cannot read the policy {file}"))?;
    let policy = match parse_policy(&text) {
        Ok(policy) => policy,
        Err(problems) => {
            let bad = Paint::for_stderr().bad("bad:");
            complain(&format!("{}{bad} {file}", render_problems(&file, &text, &problems)));
            return Ok(Outcome::Bad);
        }
    };
    let place = place(arguments)?;
    let prevention = Prevention::of(&policy, &arguments.spare);
    if prevention.protected.is_empty() {
        let what = format!("nothing to prevent: no section of {file} has a protection");
        if arguments.format == Format::Table {
            tell(&what)
        } else {
            complain(&what)
        }
        return Ok(Outcome::Good);
    }
    let texts = texts(arguments, &prevention, &place)?;
    match &arguments.out {
        None if arguments.format == Format::Table => show(&prevention, &place, &file)?,
        None => {
            texts.iter().for_each(|text| tell(text));
            for note in notes(&prevention, &file) {
                complain(&format!("{} {note}", Paint::for_stderr().notice("note:")));
            }
        }
        Some(out) => {
            show(&prevention, &place, &file)?;
            write(out, &texts)?;
        }
    }
    Ok(Outcome::Good)
}

fn place(arguments: &Arguments) -> anyhow::Result<Place> {
    let stack = &arguments.stack;
    let is_name = stack.starts_with(|c: char| c.is_ascii_alphabetic())
        && stack.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if !is_name {
        bail!("{stack:?} is no name of a stack: letters, digits and hyphens, a letter first");
    }
    if stack.len() > LONGEST_STACK {
        bail!(
            "CloudFormation cuts the names of the roles of a stack whose own name has more than {LONGEST_STACK} characters, so \
             the roles of {stack} cannot be named by it: give a short --stack, and --spare with the ARN of each of its roles"
        );
    }
    if arguments.format == Format::Table && arguments.out.is_some() {
        bail!("--out writes documents: say which with --format json, cloudformation or scp");
    }
    let told =
        [("--region", &arguments.region), ("--account", &arguments.account), ("--partition", &arguments.partition)];
    if arguments.format == Format::Cloudformation
        && let Some((name, _)) = told.iter().find(|(_, value)| value.is_some())
    {
        bail!("a template takes region, account and partition from where it is deployed: leave {name} out");
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '*' | '?');
    if let Some((name, value)) =
        told.iter().find(|(_, value)| value.as_ref().is_some_and(|text| !text.chars().all(plain)))
    {
        bail!("{name} {} is none: letters, digits and hyphens", value.as_deref().unwrap_or_default());
    }
    let or = |value: &Option<String>, usual: &str| value.clone().unwrap_or_else(|| usual.to_owned());
    Ok(Place {
        partition: or(&arguments.partition, "aws"),
        region: or(&arguments.region, "*"),
        account: or(&arguments.account, "*"),
        stack: stack.clone(),
    })
}

/// The documents as they are printed. What is saved as it is, such as a service control policy, has no white space.
fn texts(arguments: &Arguments, prevention: &Prevention, place: &Place) -> anyhow::Result<Vec<String>> {
    let pretty = |documents: Vec<Value>| -> anyhow::Result<Vec<String>> {
        documents.iter().map(|one| Ok(serde_json::to_string_pretty(one)?)).collect()
    };
    match arguments.format {
        Format::Table => Ok(Vec::new()),
        Format::Json => pretty(prevention.documents(Form::Managed, place)?),
        Format::Cloudformation => pretty(prevention.cloudformation(&place.stack)?.into_iter().collect()),
        Format::Scp => Ok(prevention.documents(Form::ServiceControl, place)?.iter().map(Value::to_string).collect()),
    }
}

fn write(out: &Path, texts: &[String]) -> anyhow::Result<()> {
    let paint = Paint::for_stdout();
    let numbered = |number: usize| {
        let stem = out.file_stem().unwrap_or_default().to_string_lossy();
        let end = out.extension().map(|end| format!(".{}", end.to_string_lossy())).unwrap_or_default();
        out.with_file_name(format!("{stem}-{number}{end}"))
    };
    for (number, text) in (1..).zip(texts) {
        let file = if texts.len() == 1 { out.to_owned() } else { numbered(number) };
        std::fs::write(&file, format!("{text}\n")).with_context(|| format!("cannot write {}", file.display()))?;
        tell(&format!("{} {}", paint.good("written:"), file.display()));
    }
    let beyond = if texts.len() == 1 { 1 } else { texts.len() + 1 };
    let left = numbered(beyond);
    if left.exists() {
        let what = "is of an earlier run and was not written: take it away, and detach what was made of it";
        complain(&format!("{} {} {what}", Paint::for_stderr().notice("note:"), left.display()));
    }
    Ok(())
}

fn observing(prevention: &Prevention, file: &str) -> Option<String> {
    let what = "the mode is `observe`, and IAM knows no observing: once attached, the statements refuse";
    (prevention.mode == Mode::Observe).then(|| format!("{file}: {what}"))
}

/// What must be known of the documents where no table tells it.
fn notes(prevention: &Prevention, file: &str) -> Vec<String> {
    let mut notes: Vec<String> = observing(prevention, file).into_iter().collect();
    for one in &prevention.protected {
        notes.extend(one.narrower.iter().map(|what| format!("{file}:{}: {what}", one.line)));
    }
    notes
}

fn show(prevention: &Prevention, place: &Place, file: &str) -> anyhow::Result<()> {
    let paint = Paint::for_stdout();
    for one in &prevention.protected {
        show_one(one, paint);
    }
    let role = |id: &str| format!("{}-{id}-*", place.stack);
    let spared: Vec<String> = STACK_ROLES.into_iter().map(role).collect();
    tell(&format!("{} the stack's roles: {}", paint.headline("spared:"), spared.join(", ")));
    let only = role(signalbox_policy::iam::PROTECTOR_ROLE);
    tell(&format!("{} below {QUARANTINE} nobody but {only} writes", paint.headline("reserved:")));
    for (form, what) in [(Form::Managed, "managed policy"), (Form::ServiceControl, "service control policy")] {
        let count = prevention.documents(form, place)?.len();
        let (limit, most) = (grouped(form.limit()), form.most_attached());
        let many =
            if count == 1 { format!("1 {what}") } else { format!("{count} {}", what.replace("policy", "policies")) };
        tell(&format!("{} {many} of at most {limit} characters", paint.headline("size:")));
        if count > most {
            let note = paint.notice("note:");
            tell(&format!("{note} AWS attaches at most {most} to one place unless it is asked for more"));
        }
    }
    let size = prevention.size(place);
    let fits: Vec<&str> = INLINE.iter().filter(|(_, most)| size <= *most).map(|(whose, _)| *whose).collect();
    let fits = if fits.is_empty() { "nobody".to_owned() } else { fits.join(", ") };
    tell(&format!("      as an inline policy ({} characters) it fits: {fits}", grouped(size)));
    if let Some(note) = observing(prevention, file) {
        tell(&format!("{} {note}", paint.notice("note:")));
    }
    Ok(())
}

fn show_one(one: &Protected, paint: Paint) {
    tell(&format!(
        "{} {}",
        paint.headline(&format!("{}: {}", one.repositories, one.refs)),
        paint.dim(&format!("(line {})", one.line))
    ));
    let cells: Vec<[String; 3]> = one.rows.iter().map(cells).collect();
    let width =
        |column: usize| cells.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or_default();
    let (first, second) = (width(0), width(1));
    for (row, [act, may, guard]) in one.rows.iter().zip(&cells) {
        let may = format!("{may:second$}");
        let may = if row.may == May::Anybody { paint.good(&may) } else { paint.bad(&may) };
        tell(format!("  {act:first$}  {may}  {guard}").trim_end());
    }
    if one.rows.iter().any(|row| row.guard == Guard::IamToo) {
        tell(&paint.dim("  * the policy does not forbid it, but IAM cannot tell such a push from another"));
    }
    let bypass = one.rows.iter().find_map(|row| match &row.may {
        May::Only(names) => Some(names.join(", ")),
        May::Anybody | May::Nobody => None,
    });
    if let Some(names) = bypass {
        tell(&format!("  {} {names}", paint.dim("bypass:")));
    }
    for what in &one.narrower {
        tell(&format!("  {} {what}", paint.notice("note:")));
    }
    tell("");
}

fn cells(row: &Row) -> [String; 3] {
    let act = match row.act {
        Act::Push => "push commits (git push)",
        Act::Write => "commit, edit, merge a branch (console, API)",
        Act::Force => "push over commits (git push --force)",
        Act::Merge => "merge a pull request",
        Act::CreateByPush => "create it (git push)",
        Act::Create => "create it (console, API)",
        Act::DeleteByPush => "delete it (git push)",
        Act::Delete => "delete it (console, API)",
        Act::EndRepository => "delete or rename the repository",
        Act::DefaultBranch => "change the default branch",
        Act::ApprovalRules => "weaken or override approval rules, change templates",
        Act::RepositoryTriggers => "change the repository's triggers",
        Act::PushPermissions => "let somebody else push",
        Act::Content => "bring other names, commits or files",
    };
    let may = match &row.may {
        May::Anybody => "anybody".to_owned(),
        May::Nobody => "nobody".to_owned(),
        May::Only(_) => "bypass only".to_owned(),
    };
    let guard = match row.guard {
        Guard::Nobody => "",
        Guard::Iam => "IAM refuses",
        Guard::IamToo => "IAM refuses *",
        Guard::Mends => "the protector puts it back",
        Guard::Tells => "the protector tells",
    };
    [act.to_owned(), may, guard.to_owned()]
}

/// `6,144`
fn grouped(number: usize) -> String {
    if number < 1000 { number.to_string() } else { format!("{},{:03}", number / 1000, number % 1000) }
}
