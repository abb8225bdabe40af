//! The way to a tip, by the distance from it, without any of it being fetched.

use std::num::NonZeroU32;

use super::failure::Failure;
use super::source::Source;
use crate::Oid;

/// So many commits of the same distance are asked whether they build upon the floor.
const MOST_ASKED: usize = 8;
/// Where nothing is found at a distance, the next one that is tried is an eighth smaller.
const NEXT: u32 = 8;

/// The history of one tip. The tip itself has the distance 1.
#[derive(Debug)]
pub struct Way<'a> {
    /// Who tells it.
    pub source: &'a Source,
    /// The tip.
    pub tip: Oid,
    /// The distance to the oldest commit is found to this part of it: 8 for an eighth, `u32::MAX` for the very commit. The finer, the more questions.
    pub exactly: u32,
}

impl Way<'_> {
    /// The distance of about the oldest commit that builds upon `floor`, or of the oldest of all; 1 where there is none before the tip, or the source
    /// does not tell.
    pub async fn length(&self, floor: Option<Oid>) -> Result<u32, Failure> {
        if !self.source.gives_by_id() || !self.source.tells_depth() {
            return Ok(1);
        }
        let (mut there, mut beyond) = (1, 2_u32);
        while self.at(beyond, floor).await?.is_some() {
            there = beyond;
            beyond = beyond.saturating_mul(2);
        }
        while beyond - there > (there / self.exactly.max(1)).max(1) {
            let middle = there + (beyond - there) / 2;
            match self.at(middle, floor).await? {
                Some(_) => there = middle,
                None => beyond = middle,
            }
        }
        Ok(there)
    }

    /// A commit of this distance or a smaller one, with its own: at last the tip.
    pub async fn stop(&self, distance: u32, floor: Option<Oid>) -> Result<(Oid, u32), Failure> {
        let mut distance = distance;
        while distance > 1 {
            if let Some(found) = self.at(distance, floor).await? {
                return Ok((found, distance));
            }
            distance -= (distance / NEXT).max(1);
        }
        Ok((self.tip, 1))
    }

    /// A commit of this distance that builds upon the floor, if there is one.
    async fn at(&self, distance: u32, floor: Option<Oid>) -> Result<Option<Oid>, Failure> {
        let Some(depth) = NonZeroU32::new(distance) else { return Ok(None) };
        let found = self.source.commits_at(self.tip, depth).await?;
        let Some(floor) = floor else { return Ok(found.first().copied()) };
        for id in found.into_iter().filter(|id| *id != floor).take(MOST_ASKED) {
            if self.source.reaches(id, floor).await? {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }
}
