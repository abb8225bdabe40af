//! `signalbox explain`: what every function would decide on an event, and why.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use signalbox_events::{Detail, Event, Parsed, parse_event};
use signalbox_policy::{Policy, parse_policy, render_problems};

use super::{Outcome, Paint, tell};

/// Show what every function would decide on an event, and why.
///
/// Without facts a decision is made as if nothing were known yet; what a function would gather first is shown.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "FACTS is a JSON file: a ledger entry as `ledger/FUNCTION/EVENT-ID` holds it, the `facts` of one, or \
                        { \"trigger\": FACTS, \"notifier\": FACTS }."
)]
pub(super) struct Arguments {
    /// The policy file; without one the stack only observes.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The event, as EventBridge delivers it; a ledger entry given with --facts has it in it.
    #[arg(long, value_name = "FILE", required_unless_present = "facts")]
    event: Option<PathBuf>,
    /// The facts that the functions gathered.
    #[arg(long, value_name = "FILE")]
    facts: Option<PathBuf>,
    /// As JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// What one function says of an event.
struct Explained {
    function: &'static str,
    needs: Value,
    facts_given: Given,
    verdict: Value,
    reasons: Vec<String>,
    actions: Vec<String>,
    decision: Value,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Given {
    Yes,
    No,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let policy = match &arguments.policy {
        Some(file) => {
            let text = read(file)?;
            match parse_policy(&text) {
                Ok(policy) => policy,
                Err(problems) => {
                    super::complain(&render_problems(&file.display().to_string(), &text, &problems));
                    return Ok(Outcome::Bad);
                }
            }
        }
        None => Policy::none(),
    };
    let event = match read_event(arguments)? {
        Parsed::Ours(event) => event,
        Parsed::NotOurs(other) => {
            if arguments.json {
                tell(&format!("{}", json!({ "not_ours": other })));
            } else {
                tell(&format!(
                    "{} from {}: none of ours, every function leaves it alone",
                    other.detail_type, other.source
                ));
            }
            return Ok(Outcome::Good);
        }
    };
    let facts = arguments.facts.as_deref().map(read_facts).transpose()?.unwrap_or_default();
    let explained = [
        explain_trigger(&event, &policy, &facts)?,
        explain_notifier(&event, &policy, &facts)?,
        explain_protector(&event, &policy, &facts)?,
        explain_approver(&event, &policy, &facts)?,
        explain_replicator(&event, &policy, &facts)?,
    ];
    if arguments.json {
        let functions: Map<String, Value> =
            explained.iter().map(|one| (one.function.to_owned(), one.as_json())).collect();
        tell(&serde_json::to_string_pretty(&json!({ "event": event, "functions": functions }))?);
    } else {
        print(&event, &explained);
    }
    Ok(Outcome::Good)
}

fn explain_trigger(event: &Event, policy: &Policy, facts: &Map<String, Value>) -> anyhow::Result<Explained> {
    use signalbox_trigger_rules as rules;
    let needs = rules::needs(event, policy);
    let (facts, facts_given) = match given::<rules::Facts>("trigger", facts)? {
        Some(facts) if facts.push != rules::push_of(event) => bail!("the facts are of another push than the event"),
        Some(facts) if facts.review.as_ref().map(|review| &review.subject) != rules::review_of(event).as_ref() => {
            bail!("the facts are of another pull request than the event")
        }
        Some(facts) => (facts, Given::Yes),
        None => (rules::Facts::before_gathering(event, &needs, policy), Given::No),
    };
    let decision = rules::decide(&facts, policy);
    Ok(Explained {
        function: "trigger",
        needs: to_value(&needs)?,
        facts_given,
        verdict: to_value(&decision.verdict)?,
        reasons: decision.reasons.iter().map(rules::render_reason).collect(),
        actions: decision.actions.iter().map(rules::render_action).collect(),
        decision: to_value(&decision)?,
    })
}

fn explain_notifier(event: &Event, policy: &Policy, facts: &Map<String, Value>) -> anyhow::Result<Explained> {
    use signalbox_notifier_rules as rules;
    let needs = rules::needs(event, policy);
    let (facts, facts_given) = match given::<rules::Facts>("notifier", facts)? {
        Some(facts) if facts.event.envelope.id != event.envelope.id => {
            bail!("the facts are of event {}, not of {}", facts.event.envelope.id, event.envelope.id)
        }
        Some(facts) => (facts, Given::Yes),
        None => (rules::Facts::before_gathering(event), Given::No),
    };
    let decision = rules::decide(&facts, policy);
    Ok(Explained {
        function: "notifier",
        needs: to_value(&needs)?,
        facts_given,
        verdict: to_value(&decision.verdict)?,
        reasons: decision.reasons.iter().map(rules::render_reason).collect(),
        actions: decision.actions.iter().map(rules::render_action).collect(),
        decision: to_value(&decision)?,
    })
}

fn explain_replicator(event: &Event, policy: &Policy, facts: &Map<String, Value>) -> anyhow::Result<Explained> {
    use signalbox_replicator_rules as rules;
    let needs = rules::needs(event, policy);
    let (facts, facts_given) = match given::<rules::Facts>("replicator", facts)? {
        Some(facts) if needs.repository.is_some() && facts.repository != needs.repository => {
            bail!("the facts are of another repository than the event")
        }
        Some(facts) => (facts, Given::Yes),
        None => {
            let (repository, home) = (needs.repository.clone(), rules::Home::of(&event.envelope));
            let now = event.envelope.time.unwrap_or(Timestamp::UNIX_EPOCH);
            (rules::Facts::before_gathering(repository, home, needs.origin.clone(), now), Given::No)
        }
    };
    let decision = rules::decide(&facts, policy);
    // What is gathered is a list of copies; where there is none, nothing is.
    let needs = (!needs.replicas.is_empty()).then(|| to_value(&needs)).transpose()?;
    Ok(Explained {
        function: "replicator",
        needs: needs.unwrap_or_else(|| json!({})),
        facts_given,
        verdict: to_value(&decision.verdict)?,
        reasons: decision.reasons.iter().map(rules::render_reason).collect(),
        actions: decision.actions.iter().map(rules::render_action).collect(),
        decision: to_value(&decision)?,
    })
}

fn explain_protector(event: &Event, policy: &Policy, facts: &Map<String, Value>) -> anyhow::Result<Explained> {
    use signalbox_protector_rules as rules;
    if let Some(explained) = explain_review(event, policy, facts)? {
        return Ok(explained);
    }
    if let Some(explained) = explain_watch(event, policy, facts)? {
        return Ok(explained);
    }
    let needs = rules::needs(event, policy);
    let (facts, facts_given) = match given::<rules::Facts>("protector", facts)? {
        Some(facts) if needs.subject.is_some() && facts.subject != needs.subject => {
            bail!("the facts are of another ref than the event")
        }
        Some(facts) => (facts, Given::Yes),
        None => {
            let now = event.envelope.time.unwrap_or(Timestamp::UNIX_EPOCH);
            let region = event.envelope.region.clone();
            let (subject, made) = (needs.subject.clone(), needs.made.clone());
            (rules::Facts::before_gathering(subject, region, needs.origin, made, now), Given::No)
        }
    };
    let decision = rules::decide(&facts, policy);
    let needs = needs.subject.is_some().then(|| to_value(&needs)).transpose()?;
    Ok(Explained {
        function: "protector",
        needs: needs.unwrap_or_else(|| json!({})),
        facts_given,
        verdict: to_value(&decision.verdict)?,
        reasons: decision.reasons.iter().map(rules::render_reason).collect(),
        actions: decision.actions.iter().map(rules::render_action).collect(),
        decision: to_value(&decision)?,
    })
}

fn explain_approver(event: &Event, policy: &Policy, facts: &Map<String, Value>) -> anyhow::Result<Explained> {
    use signalbox_approver_rules as rules;
    let needs = rules::needs(event, policy, &rules::Gate::unknown());
    let (facts, facts_given) = match given::<rules::Facts>("approver", facts)? {
        Some(facts) if needs.subject.is_some() && facts.subject != needs.subject => {
            bail!("the facts are of another pull request than the event")
        }
        Some(facts) => (facts, Given::Yes),
        None => {
            let (subject, occasion) = (needs.subject.clone(), needs.occasion.clone());
            (rules::Facts::before_gathering(event, subject, occasion, rules::Gate::unknown()), Given::No)
        }
    };
    let decision = rules::decide(&facts, policy);
    let needs = (needs.subject.is_some() || needs.build.is_some()).then(|| to_value(&needs)).transpose()?;
    let items = decision.items.iter().map(rules::render_item);
    Ok(Explained {
        function: "approver",
        needs: needs.unwrap_or_else(|| json!({})),
        facts_given,
        verdict: to_value(&decision.verdict)?,
        reasons: items.chain(decision.reasons.iter().map(rules::render_reason)).collect(),
        actions: decision.actions.iter().map(rules::render_action).collect(),
        decision: to_value(&decision)?,
    })
}

/// What the protector makes of a pull request that the approver wants judged; nothing where the event is about something else.
fn explain_review(event: &Event, policy: &Policy, facts: &Map<String, Value>) -> anyhow::Result<Option<Explained>> {
    use signalbox_protector_rules as rules;
    let Detail::CheckState(change) = &event.detail else { return Ok(None) };
    let (facts, facts_given) = match given::<rules::ReviewFacts>("protector", facts)? {
        Some(facts) if facts.repository != change.repository || facts.pull_request != change.pull_request => {
            bail!("the facts are of another pull request than the event")
        }
        Some(facts) => (facts, Given::Yes),
        None => {
            let (repository, id) = (change.repository.clone(), change.pull_request.clone());
            (rules::ReviewFacts::before_gathering(repository, id), Given::No)
        }
    };
    let decision = rules::decide_review(&facts, policy);
    Ok(Some(Explained {
        function: "protector",
        needs: to_value(change)?,
        facts_given,
        verdict: to_value(&decision.verdict)?,
        reasons: rules::render_review(&decision),
        actions: Vec::new(),
        decision: to_value(&decision)?,
    }))
}

/// What the protector makes of what else is watched; nothing where the event, or the facts, are about a ref.
fn explain_watch(event: &Event, policy: &Policy, facts: &Map<String, Value>) -> anyhow::Result<Option<Explained>> {
    use signalbox_protector_rules as rules;
    let wanted = rules::watch_of(event);
    let is_of_watch = facts.get("protector").is_some_and(|facts| facts.get("memory").is_some());
    let repository = wanted.as_ref().and_then(|wanted| wanted.repositories.first().cloned());
    let (facts, facts_given) = match (is_of_watch, repository) {
        (true, _) => match given::<rules::WatchFacts>("protector", facts)? {
            Some(facts) => (facts, Given::Yes),
            None => return Ok(None),
        },
        (false, Some(repository)) => {
            let now = event.envelope.time.unwrap_or(Timestamp::UNIX_EPOCH);
            let told = wanted.as_ref().map(|wanted| wanted.told.clone());
            (rules::WatchFacts::before_gathering(repository, event.envelope.region.clone(), told, now), Given::No)
        }
        (false, None) => return Ok(None),
    };
    let decision = rules::decide_watch(&facts, policy);
    Ok(Some(Explained {
        function: "protector",
        needs: wanted.map(|wanted| to_value(&wanted)).transpose()?.unwrap_or_else(|| json!({})),
        facts_given,
        verdict: to_value(&decision.verdict)?,
        reasons: decision.reasons.iter().map(rules::render_reason).collect(),
        actions: decision.actions.iter().map(rules::render_action).collect(),
        decision: to_value(&decision)?,
    }))
}

fn read(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

/// The event of `--event`, or else the one that the ledger entry of `--facts` is about.
fn read_event(arguments: &Arguments) -> anyhow::Result<Parsed> {
    if let Some(file) = &arguments.event {
        return parse_event(read(file)?.as_bytes()).map_err(|error| anyhow::anyhow!("{}: {error}", file.display()));
    }
    let Some(file) = &arguments.facts else { bail!("give --event, or a ledger entry with --facts") };
    let entry: Value = serde_json::from_str(&read(file)?).with_context(|| format!("{} is not JSON", file.display()))?;
    let replay = replay_of(&entry);
    if let Some(event) = replay.and_then(|replay| replay.get("event")) {
        let event = serde_json::from_value(event.clone());
        return event.map(Parsed::Ours).with_context(|| format!("the event in {} cannot be read", file.display()));
    }
    // Not every function keeps the event as it read it, but each as it came.
    let event = replay.and_then(|replay| replay.get("received")).filter(|event| event.get("detail-type").is_some());
    let event = event.with_context(|| format!("{} holds no event: give it with --event", file.display()))?;
    parse_event(event.to_string().as_bytes())
        .map_err(|error| anyhow::anyhow!("the event in {}: {error}", file.display()))
}

/// What a ledger entry keeps to be decided on once more: of its report, or of the last one where it runs again.
fn replay_of(entry: &Value) -> Option<&Value> {
    let earlier = || entry.get("earlier").and_then(Value::as_array).and_then(|rounds| rounds.last());
    entry.pointer("/report/replay").or_else(|| earlier()?.pointer("/report/replay"))
}

/// The facts in a file, under the names of the functions they are for.
fn read_facts(file: &Path) -> anyhow::Result<Map<String, Value>> {
    let value: Value = serde_json::from_str(&read(file)?).with_context(|| format!("{} is not JSON", file.display()))?;
    if let (Some(function), Some(facts)) =
        (value.get("function").and_then(Value::as_str), replay_of(&value).and_then(|replay| replay.get("facts")))
    {
        return Ok(Map::from_iter([(function.to_owned(), facts.clone())]));
    }
    let Value::Object(object) = value else { bail!("{} is not a JSON object", file.display()) };
    if ["trigger", "notifier", "protector", "approver", "replicator"]
        .iter()
        .any(|function| object.contains_key(*function))
    {
        return Ok(object);
    }
    // Before the protector's: both have a memory.
    if object.contains_key("occasion") && object.contains_key("gate") {
        return Ok(Map::from_iter([("approver".to_owned(), Value::Object(object))]));
    }
    if object.contains_key("memory") || object.contains_key("journal") && object.contains_key("arrival") {
        return Ok(Map::from_iter([("protector".to_owned(), Value::Object(object))]));
    }
    if object.contains_key("replicas") {
        return Ok(Map::from_iter([("replicator".to_owned(), Value::Object(object))]));
    }
    if ["push", "sweep", "review"].iter().any(|part| object.contains_key(*part)) {
        return Ok(Map::from_iter([("trigger".to_owned(), Value::Object(object))]));
    }
    if object.contains_key("event") {
        return Ok(Map::from_iter([("notifier".to_owned(), Value::Object(object))]));
    }
    bail!("{} holds no facts; see `signalbox explain --help` for the forms it may have", file.display())
}

fn given<T: DeserializeOwned>(function: &str, facts: &Map<String, Value>) -> anyhow::Result<Option<T>> {
    let facts = facts.get(function).map(|facts| serde_json::from_value(facts.clone()));
    facts.transpose().with_context(|| format!("these are not facts of the {function}"))
}

fn to_value<T: Serialize>(value: &T) -> anyhow::Result<Value> {
    serde_json::to_value(value).context("a decision cannot be shown")
}

impl Explained {
    fn as_json(&self) -> Value {
        json!({
            "needs": self.needs,
            "facts_given": self.facts_given == Given::Yes,
            "decision": self.decision,
            "reasons": self.reasons,
            "actions": self.actions,
        })
    }
}

fn print(event: &Event, explained: &[Explained]) {
    let paint = Paint::for_stdout();
    tell(&format!("{} {}", paint.headline("event"), event.detail));
    for one in explained {
        let verdict = one.verdict.as_str().unwrap_or_default().replace('_', " ");
        tell(&format!("\n{} {verdict}", paint.headline(one.function)));
        for reason in &one.reasons {
            tell(&format!("  {} {reason}", paint.dim("because")));
        }
        for action in &one.actions {
            tell(&format!("  {}    {action}", paint.good("would")));
        }
        if one.facts_given == Given::No
            && one.needs.as_object().is_some_and(|needs| needs.values().any(|need| !need.is_null()))
        {
            let note = paint.notice("note");
            tell(&format!(
                "  {note}     decided as if nothing were known yet: the function would gather facts first (--json lists"
            ));
            tell("           which); give --facts to decide on what it found");
        }
    }
}
