//! The same bucket as a person meets it: versions, listings, and its end.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{Delete, ObjectIdentifier};

use jiff::Timestamp;

use crate::failure::{lacking, sort, timestamp};
use crate::s3::{WRITER, read};
use crate::{Bucket, Failure, Object};

/// How a conditional write of a person ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Replaced {
    /// It was written.
    Written {
        /// The new version, where the bucket keeps versions.
        version: Option<String>,
    },
    /// Somebody else was there first: nothing was written.
    Lost,
}

/// One version of an object, or one delete marker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRef {
    /// The key.
    pub key: String,
    /// The version id.
    pub version: String,
    /// The size in bytes; a delete marker has none.
    pub size: Option<u64>,
    /// Whether it is the key's newest.
    pub is_latest: bool,
}

/// An object as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedObject {
    /// The key.
    pub key: String,
    /// When it was written last.
    pub written: Option<Timestamp>,
}

impl Bucket {
    /// One page of the objects whose keys begin with `prefix`, in the order of their keys, and where the next page begins.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn list(
        &self,
        prefix: &str,
        from: Option<String>,
    ) -> Result<(Vec<ListedObject>, Option<String>), Failure> {
        let doing = format!("s3:ListBucket on {}", self.name);
        let request = self.client.list_objects_v2().bucket(&self.name).prefix(prefix).set_continuation_token(from);
        let answer = request.send().await.map_err(|error| sort(&doing, error))?;
        let objects = answer.contents.unwrap_or_default().into_iter().map(|one| {
            Ok(ListedObject {
                key: one.key.ok_or_else(|| lacking(&doing, "Key"))?,
                written: timestamp(one.last_modified),
            })
        });
        let objects = objects.collect::<Result<Vec<_>, Failure>>()?;
        let more = answer.is_truncated.unwrap_or_default();
        Ok((objects, answer.next_continuation_token.filter(|_| more)))
    }

    /// Writes a text that must still be the one with `over`, or that must not be there yet, and notes who writes it.
    ///
    /// # Errors
    /// As [`Failure`] sorts them; an object that is gone counts as [`Replaced::Lost`].
    pub async fn replace(&self, key: &str, text: &str, over: Option<&str>, writer: &str) -> Result<Replaced, Failure> {
        let request = self.client.put_object().bucket(&self.name).key(key).content_type("application/yaml");
        let request = request.metadata(WRITER, writer).body(ByteStream::from(text.as_bytes().to_vec()));
        let request = match over {
            Some(etag) => request.if_match(etag),
            None => request.if_none_match("*"),
        };
        match request.send().await {
            Ok(answer) => Ok(Replaced::Written { version: answer.version_id }),
            Err(error) if error.raw_response().is_some_and(|raw| matches!(raw.status().as_u16(), 404 | 409 | 412)) => {
                match sort(self.doing("PutObject", key), error) {
                    failure if failure.code() == Some("NoSuchBucket") => Err(failure),
                    _ => self.was_ours(key, text, writer).await,
                }
            }
            Err(error) => Err(sort(self.doing("PutObject", key), error)),
        }
    }

    /// Whether a write that S3 says came too late was this very one: its answer was cut off, and the SDK sent it again.
    async fn was_ours(&self, key: &str, text: &str, writer: &str) -> Result<Replaced, Failure> {
        let there = self.get(key).await?;
        let ours = there.filter(|there| there.bytes == text.as_bytes() && there.writer.as_deref() == Some(writer));
        Ok(ours.map_or(Replaced::Lost, |there| Replaced::Written { version: there.version }))
    }

    /// Whether the bucket is there.
    ///
    /// # Errors
    /// As [`Failure`] sorts them; a bucket of somebody else is forbidden.
    pub async fn exists(&self) -> Result<bool, Failure> {
        match self.client.head_bucket().bucket(&self.name).send().await {
            Ok(_) => Ok(true),
            Err(error) if error.raw_response().is_some_and(|raw| raw.status().as_u16() == 404) => Ok(false),
            Err(error) => Err(sort(format!("s3:ListBucket on {}", self.name), error)),
        }
    }

    /// The first page of all versions and delete markers, at most a thousand: whoever deletes them asks again.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn first_versions(&self) -> Result<Vec<VersionRef>, Failure> {
        self.versions_behind("", None).await.map(|(page, _)| page)
    }

    /// Every version and delete marker whose key begins with `prefix`.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn all_versions(&self, prefix: &str) -> Result<Vec<VersionRef>, Failure> {
        let (mut all, mut next) = self.versions_behind(prefix, None).await?;
        while let Some(marker) = next {
            let (page, after) = self.versions_behind(prefix, Some(marker)).await?;
            all.extend(page);
            next = after;
        }
        Ok(all)
    }

    async fn versions_behind(
        &self,
        prefix: &str,
        marker: Option<(String, Option<String>)>,
    ) -> Result<(Vec<VersionRef>, Option<(String, Option<String>)>), Failure> {
        let doing = format!("s3:ListBucketVersions on {}", self.name);
        let (key, version) = marker.map_or((None, None), |(key, version)| (Some(key), version));
        let request = self.client.list_object_versions().bucket(&self.name).prefix(prefix);
        let answer = request.set_key_marker(key).set_version_id_marker(version).send().await;
        let answer = answer.map_err(|error| sort(&doing, error))?;
        let versions = answer.versions.unwrap_or_default().into_iter().map(|one| {
            let size = u64::try_from(one.size.unwrap_or_default()).ok();
            (one.key, one.version_id, Some(size.unwrap_or_default()), one.is_latest)
        });
        let markers = answer.delete_markers.unwrap_or_default().into_iter();
        let markers = markers.map(|one| (one.key, one.version_id, None, one.is_latest));
        let page = versions.chain(markers).map(|(key, version, size, is_latest)| {
            Ok(VersionRef {
                key: key.ok_or_else(|| lacking(&doing, "Key"))?,
                version: version.ok_or_else(|| lacking(&doing, "VersionId"))?,
                size,
                is_latest: is_latest.unwrap_or_default(),
            })
        });
        let page = page.collect::<Result<Vec<_>, Failure>>()?;
        let more = answer.is_truncated.unwrap_or_default();
        let next = answer.next_key_marker.filter(|_| more).map(|key| (key, answer.next_version_id_marker));
        Ok((page, next))
    }

    /// Reads one version of an object.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn get_version(&self, key: &str, version: &str) -> Result<Object, Failure> {
        let doing = self.doing("GetObjectVersion", key);
        let request = self.client.get_object().bucket(&self.name).key(key).version_id(version);
        match request.send().await {
            Ok(answer) => read(&doing, answer).await,
            Err(error) => Err(sort(doing, error)),
        }
    }

    /// Deletes up to a thousand versions for good; gives what could not be deleted, each with its reason.
    ///
    /// # Errors
    /// As [`Failure`] sorts them, where the whole call failed.
    pub async fn delete_versions(&self, versions: &[VersionRef]) -> Result<Vec<(String, String)>, Failure> {
        let doing = format!("s3:DeleteObjectVersion on {}", self.name);
        let objects: Result<Vec<_>, _> = versions
            .iter()
            .map(|one| ObjectIdentifier::builder().key(&one.key).version_id(&one.version).build())
            .collect();
        let delete = objects.and_then(|objects| Delete::builder().set_objects(Some(objects)).quiet(true).build());
        let delete = delete.map_err(|error| Failure::refused(&doing, error.to_string()))?;
        let request = self.client.delete_objects().bucket(&self.name).delete(delete);
        let answer = request.send().await.map_err(|error| sort(&doing, error))?;
        let failed = answer.errors.unwrap_or_default().into_iter().map(|error| {
            let what = [error.code, error.message].into_iter().flatten().collect::<Vec<_>>().join(": ");
            (error.key.unwrap_or_default(), what)
        });
        Ok(failed.collect())
    }

    /// Deletes the bucket, which must be empty; one that is gone already is fine.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn delete_bucket(&self) -> Result<(), Failure> {
        match self.client.delete_bucket().bucket(&self.name).send().await {
            Ok(_) => Ok(()),
            Err(error) => match sort(format!("s3:DeleteBucket on {}", self.name), error) {
                gone if gone.code() == Some("NoSuchBucket") => Ok(()),
                failure => Err(failure),
            },
        }
    }
}
