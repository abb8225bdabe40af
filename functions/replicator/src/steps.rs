//! A copy that does not fit at once, in steps: a branch moves forward along its own history.
//!
//! A target keeps nothing of half a pack. So a branch goes by commits on the way to its tip, each a push of its own: the branch
//! itself holds what came so far, and whoever comes next goes on from there. Which commits are on the way, the source tells
//! without any of them being fetched.

use std::collections::VecDeque;

use signalbox_aws::Failure;
use signalbox_events::RefName;
use signalbox_gitwire::Oid;
use signalbox_gitwire::http::Way;
use signalbox_replicator_rules::{Command, Object, Unfit, divided, is_branch, too_far, too_large};
use tokio::time::Instant;

use crate::places::sorted;
use crate::progress::{Fit, Progress, Pusher};

/// Into so many parts a history is cut where nothing is known of it yet.
const PARTS: u32 = 16;

/// The distance to the oldest commit is found this exactly: to an eighth of it.
const EXACTLY: u32 = 8;

/// Pushes that are cut where they do not fit.
pub(crate) struct Stepper<'a, 'b> {
    pub(crate) pusher: &'a mut Pusher<'b>,
    /// What did not fit the last time.
    pub(crate) unfit: Option<&'a Unfit>,
    /// When this invocation must be done.
    pub(crate) until: Instant,
}

impl Stepper<'_, '_> {
    /// The commands of one push, in several.
    pub(crate) async fn go(
        &mut self,
        commands: &[Command],
        head: Option<&RefName>,
        progress: &mut Progress,
    ) -> Result<(), Failure> {
        let is_branch_name = |name: &&RefName| name.as_str().starts_with("refs/heads/");
        let trunk = self.unfit.and_then(|unfit| unfit.name.as_ref()).filter(is_branch_name).or(head).cloned();
        let groups = divided(commands, trunk.as_ref(), self.unfit.map_or(1, |unfit| unfit.parts));
        let first = groups.iter().find(|group| group.iter().all(is_branch)).cloned();
        let mut groups: VecDeque<Vec<Command>> = groups.into();
        while let Some(group) = groups.pop_front() {
            if let [branch] = &*group
                && first.as_ref() == Some(&group)
                && is_branch(branch)
            {
                self.by_history(branch, progress).await?;
                continue;
            }
            if let [only] = &*group
                && self.is_beyond(only, progress)
            {
                continue;
            }
            let Fit::TooLarge { bytes, words } = self.pusher.push(&group, progress).await? else { continue };
            match &*group {
                [branch] if is_branch(branch) => self.by_history(branch, progress).await?,
                [only] => progress.is_out_of_reach(too_large(only, bytes, &words)),
                several => {
                    let (one, other) = several.split_at(several.len() / 2);
                    groups.push_front(other.to_vec());
                    groups.push_front(one.to_vec());
                }
            }
        }
        Ok(())
    }

    /// Whether this push did not get through before and would not now; then that is told.
    fn is_beyond(&self, command: &Command, progress: &mut Progress) -> bool {
        let left = self.until.saturating_duration_since(Instant::now()).as_secs();
        let to = command.new.as_ref();
        let unfit = self.unfit.filter(|unfit| to.is_some_and(|to| unfit.is_beyond(&command.name, to, left)));
        if let Some(unfit) = unfit {
            progress.is_out_of_reach(too_far(command, unfit));
        }
        unfit.is_some()
    }

    /// One branch, by commits on the way to its tip.
    async fn by_history(&mut self, command: &Command, progress: &mut Progress) -> Result<(), Failure> {
        let Some(tip) = command.new.clone() else { return Ok(()) };
        let way = Way { source: self.pusher.source, tip: oid(&tip)?, exactly: EXACTLY };
        let mut at = command.old.clone();
        // The tip itself has the distance 1.
        let length = way.length(at.as_ref().map(oid).transpose()?).await.map_err(|failure| sorted(&failure))?;
        let mut left = length.saturating_add(1);
        let mut size = (left / self.unfit.map_or(PARTS, |unfit| unfit.parts)).max(1);
        let (mut refused_at, mut most) = (None, u32::MAX);
        let mut steps = 0;
        while left > 1 {
            let floor = at.as_ref().map(oid).transpose()?;
            let stop = way.stop(left.saturating_sub(size), floor).await;
            let (goal, distance) = stop.map_err(|failure| sorted(&failure))?;
            let goal = Object::parse(&goal.to_string()).unwrap_or_else(|| tip.clone());
            let step = Command { old: at.clone(), new: Some(goal.clone()), ..command.clone() };
            if refused_at.as_ref() == Some(&goal) && size > 1 {
                // No need to send that once more: is there a commit before it?
                size = (size / 2).max(1);
                continue;
            }
            if self.is_beyond(&step, progress) {
                return Ok(());
            }
            let began = Instant::now();
            match self.pusher.push(std::slice::from_ref(&step), progress).await? {
                Fit::Moved => {}
                Fit::Stuck => return Ok(()),
                Fit::TooLarge { bytes, words } if size == 1 => {
                    progress.is_out_of_reach(too_large(&step, bytes, &words));
                    return Ok(());
                }
                Fit::TooLarge { .. } => {
                    refused_at = Some(goal);
                    most = (size / 2).max(1);
                    size = (size / 4).max(1);
                    continue;
                }
            }
            steps += 1;
            if distance > 1 {
                progress.stands(&command.name, &goal);
            }
            (at, left) = (Some(goal), distance);
            let left_over = self.until.saturating_duration_since(Instant::now());
            size = next_size(size, began.elapsed(), left_over).min(most);
        }
        progress.came(&command.name, steps);
        Ok(())
    }
}

/// The next step takes about half of the time that is left, as far as the last one tells; never much more than that.
fn next_size(size: u32, took: std::time::Duration, left: std::time::Duration) -> u32 {
    let ratio = left.as_secs_f64() / 2.0 / took.as_secs_f64().max(0.001);
    match ratio {
        ..0.5 => (size / 4).max(1),
        ..1.0 => (size / 2).max(1),
        ..2.0 => size,
        _ => size.saturating_mul(2),
    }
}

fn oid(object: &Object) -> Result<Oid, Failure> {
    Oid::parse(object.as_str()).map_err(|error| Failure::refused("pushing", format!("{object} is no id: {error}")))
}
