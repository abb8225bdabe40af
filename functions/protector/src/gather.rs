//! What an event tells, what is remembered, and what arrived, read into facts. No policy in here.

use signalbox_aws::Failure;
use signalbox_events::Region;
use signalbox_glue::Invocation;
use signalbox_protector_rules::{Facts, Journal, Needs, Tip, Want, Whose};

use crate::Protector;
use crate::git::{is_missing, sorted, tip_of};
use crate::range::{Asking, read_arrival};
use crate::sweep::Seen;

/// Reads what the decision will want.
pub(crate) async fn gather(
    function: &Protector,
    needs: &Needs,
    region: &Region,
    invocation: Invocation,
) -> Result<Facts, Failure> {
    let mut facts = Facts::before_gathering(
        needs.subject.clone(),
        region.clone(),
        needs.origin,
        needs.made.clone(),
        invocation.now,
    );
    let (Some(subject), Some(made)) = (&needs.subject, &needs.made) else { return Ok(facts) };
    let key = Journal::key(&subject.repository, &subject.reference);
    facts.journal = function.state.read::<Journal>(&key).await?.map(|kept| kept.value).unwrap_or_default();
    if function.own.hold(made.by.as_ref()) {
        facts.whose = Whose::Ours;
        return Ok(facts);
    }
    if needs.wants.contains(&Want::Tip) {
        gather_tip(function, &mut facts).await?;
    }
    if let Some(new) = &made.new {
        if needs.wants.contains(&Want::PullRequest) {
            facts.arrival.merged = function.merged(subject, new).await?;
        }
        let before = facts.journal.rests.get(&made.id).cloned().unwrap_or_default();
        let asking = Asking { old: made.old.as_ref(), new, before, merged: facts.arrival.merged.clone() };
        facts.arrival = read_arrival(function, (needs, subject), asking, invocation).await?;
    }
    Ok(facts)
}

/// Reads where the ref is, and what the sweep saw behind tags.
pub(crate) async fn gather_tip(function: &Protector, facts: &mut Facts) -> Result<(), Failure> {
    let Some(subject) = &facts.subject else { return Ok(()) };
    let source = match function.remote(&subject.repository).await?.source(&[subject.reference.as_str()]).await {
        Ok(source) => source,
        Err(failure) if is_missing(&failure) => {
            facts.tip = Tip::NoRepository;
            return Ok(());
        }
        Err(failure) => return Err(sorted(&failure)),
    };
    facts.tip = tip_of(&source.listing.refs, &subject.reference);
    let seen = function.state.read::<Seen>(&Seen::key(&subject.repository)).await?;
    let seen = seen.and_then(|kept| kept.value.refs.get(&subject.reference).cloned());
    if let Some(Tip::At { object, commit }) = seen
        && object.as_str() != commit.as_str()
    {
        facts.journal.objects.entry(commit).or_insert(object);
    }
    Ok(())
}
