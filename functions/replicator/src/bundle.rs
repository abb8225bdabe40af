//! A bundle on its way into a bucket: a header and the source's pack, unopened.

use std::collections::BTreeSet;

use signalbox_aws::{Bucket, Failure, Over, Put};
use signalbox_gitwire::http::Source;
use signalbox_gitwire::{Fetch, Oid, PackForm};
use signalbox_policy::Role;
use signalbox_replicator_rules::{
    BUNDLE_BEGINNING, Copy, Found, Listing, Memory, Place, WrittenBundle, bundle_header, bundle_listing,
};

use crate::Replicator;
use crate::apply::Carrier;
use crate::gather::Open;
use crate::places::{of_role, sorted};
use crate::progress::Progress;
use crate::push::Sent;

impl Replicator {
    /// A bucket, wherever it is.
    async fn bundle_bucket(&self, name: &str, role: Option<&Role>) -> Result<Bucket, Failure> {
        let region = Bucket::region_of(&self.aws_for(self.aws.region(), role).await?, name).await?;
        Ok(Bucket::new(&self.aws_for(&region, role).await?, name))
    }

    /// What a bundle holds, with what its next write needs.
    pub(crate) async fn open_bundle(
        &self,
        (bucket, key, role): (&str, &str, Option<&Role>),
        memory: &Memory,
    ) -> Result<(Listing, Open), Failure> {
        let bucket = self.bundle_bucket(bucket, role).await?;
        let there = bucket.beginning(key, BUNDLE_BEGINNING).await?;
        let found = there
            .as_ref()
            .map_or(Found::Nothing, |object| Found::Object { etag: &object.etag, beginning: &object.bytes });
        let listing = bundle_listing(found, memory).ok_or_else(|| {
            let what = "there is something else under this key, and no bundle. Delete it, or take another key";
            Failure::refused(format!("looking at s3://{}/{key}", bucket.name()), what)
        })?;
        let over = there.map_or(Over::Nothing, |object| Over::Tag(object.etag));
        Ok((listing, Open::Bundle { bucket, over }))
    }
}

impl Carrier<'_> {
    /// Writes a bundle, whole. Nobody sees anything of it before its pack has proved to be whole, too.
    pub(crate) async fn write_bundle(&self, source: &Source, copy: &Copy, done: &mut Progress) -> Result<(), Failure> {
        let doing = || format!("writing {}", copy.place);
        let lost = || Failure::retry(doing(), "the facts say nothing of it; it is looked at again");
        let (Some(Open::Bundle { bucket, over }), Place::Bundle { key, .. }) =
            (self.seen.targets.get(&copy.key), &copy.place)
        else {
            return Err(lost());
        };
        let holds = self.seen.facts.bundle(self.policy, &copy.key).ok_or_else(lost)?;
        let wants: BTreeSet<Oid> = holds.refs.values().filter_map(|id| Oid::parse(id.as_str()).ok()).collect();
        // It stands alone, so nothing in it builds on what is elsewhere.
        let form = PackForm { thin: false, ofs_delta: true };
        let fetch = Fetch { wants: wants.into_iter().collect(), form, ..Fetch::default() };
        let mut pack = source.fetch(&fetch).await.map_err(|failure| sorted(&failure))?;
        if !pack.shallow().is_empty() {
            return Err(Failure::refused(doing(), "the source is shallow, so a bundle of it would not be whole"));
        }
        // Kept where it outlives this future, which may be dropped at any moment.
        let upload = done.upload.insert(bucket.upload(key, over.clone()));
        let of_role = |failure| of_role(failure, &copy.place);
        upload.write(&bundle_header(&holds)).await.map_err(of_role)?;
        while let Some(piece) = pack.piece().await.map_err(|failure| sorted(&failure))? {
            upload.write(&piece).await.map_err(of_role)?;
        }
        match upload.finish().await.map_err(of_role)? {
            Put::Written { etag } => {
                done.bundle = Some((WrittenBundle { etag, head: holds.head.clone() }, holds));
                let bytes = pack.summary().map_or(0, |pack| pack.bytes);
                done.sent = Sent { moved: copy.plan.commands.len(), bytes, ..Sent::default() };
                Ok(())
            }
            Put::Lost => Err(Failure::retry(doing(), "somebody else wrote it meanwhile; it is looked at again")),
        }
    }
}
