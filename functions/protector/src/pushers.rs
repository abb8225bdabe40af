//! Asks IAM whom it lets push where the policy lets nobody. AWS judges: no policy of IAM is read here.

use std::collections::{BTreeMap, BTreeSet};

use signalbox_aws::{Failure, Iam, Simulated};
use signalbox_events::{Arn, Permitted, RefName};
use signalbox_policy::Policy;
use signalbox_policy::iam::guarded_refs;
use signalbox_protector_rules::{PusherLook, Reached, WatchFacts, is_askable, is_named, refs_to_ask};

use crate::Protector;

const PUSH: &str = "codecommit:GitPush";

impl Protector {
    /// Asks for everybody, from where the last look stopped; or for one user or role, where an event named it.
    pub(crate) async fn gather_pushers(
        &self,
        permitted: Option<&Permitted>,
        policy: &Policy,
        facts: &mut WatchFacts,
    ) -> Result<(), Failure> {
        let guarded = guarded_refs(policy, &facts.repository);
        if guarded.is_empty() {
            return Ok(());
        }
        let Some(repository) = self.readable.arn_of(&facts.repository) else {
            let what = "SIGNALBOX_REPOSITORIES is not set; template.yaml sets it";
            return Err(Failure::refused(format!("asking who may push to {}", facts.repository), what));
        };
        // Made here and not at the start: few policies ask for it.
        let iam = Iam::new(&self.aws);
        let mut everybody = iam.users_and_roles().await?;
        everybody.retain(|who| is_askable(who) && !self.own.are_of(who));
        everybody.sort();
        let memory = &facts.memory.pushers;
        let there: BTreeSet<&Arn> = everybody.iter().collect();
        let gone = memory.told.keys().chain(memory.untold.keys()).filter(|who| !there.contains(who)).cloned().collect();
        let one = permitted.filter(|whose| **whose != Permitted::Others);
        let begin = match (one, &memory.behind) {
            (None, Some(behind)) => everybody.partition_point(|who| who <= behind),
            _ => 0,
        };
        let mut look = PusherLook { asked: BTreeMap::new(), gone, reached: Reached::End };
        let (mut questions, mut last) = (0, None);
        for who in everybody.iter().skip(begin).filter(|who| one.is_none_or(|name| is_named(who, name))) {
            let refs = refs_to_ask(&guarded, who);
            // Whatever the bound is, each look gets on by one.
            if let (Some(last), true) = (last, questions + refs.len() > self.bounds.questions) {
                look.reached = Reached::Part { behind: Arn::clone(last) };
                break;
            }
            questions += refs.len();
            match self.asked(&iam, who, &repository, refs).await {
                Ok(Some(may)) => drop(look.asked.insert(who.clone(), may)),
                Ok(None) => drop(look.gone.insert(who.clone())),
                // What is known by then is not asked again: IAM may have had enough of questions.
                Err(failure @ Failure::Retry(_)) if one.is_none() && last.is_some() => {
                    tracing::warn!(
                        repo.name = facts.repository.as_str(),
                        why = failure.chain(),
                        "the next look goes on there"
                    );
                    if let Some(last) = last {
                        look.reached = Reached::Part { behind: Arn::clone(last) };
                    }
                    break;
                }
                Err(failure) => return Err(failure),
            }
            last = Some(who);
        }
        if one.is_some() {
            look.reached = Reached::One;
        }
        tracing::debug!(repo.name = facts.repository.as_str(), questions, "asked IAM who may push");
        facts.pushers = Some(look);
        Ok(())
    }

    /// To which of the refs IAM lets a user or role push; nothing where there is none such any more.
    async fn asked(
        &self,
        iam: &Iam,
        who: &Arn,
        repository: &Arn,
        refs: Vec<RefName>,
    ) -> Result<Option<BTreeSet<RefName>>, Failure> {
        let mut may = BTreeSet::new();
        for name in refs {
            let mut context = vec![
                ("codecommit:References", name.as_str()),
                ("aws:PrincipalArn", who.as_str()),
                // Git comes over HTTPS; and who must show a second factor can.
                ("aws:SecureTransport", "true"),
                ("aws:MultiFactorAuthPresent", "true"),
            ];
            if who.as_str().contains(":user/") {
                context.push(("aws:username", who.person()));
            }
            match iam.simulate(who, PUSH, repository, &context).await? {
                Simulated::Allowed => drop(may.insert(name)),
                Simulated::Denied => {}
                Simulated::Gone => return Ok(None),
            }
        }
        Ok(Some(may))
    }
}
