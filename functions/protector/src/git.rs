//! A repository, as git reaches it.

use jiff::Timestamp;
use signalbox_aws::Failure;
use signalbox_events::{CommitId, RefName, RepositoryName};
use signalbox_gitwire::Ref;
use signalbox_gitwire::http::{self, Authorization, Cause, Kind, Remote, RemoteUrl};
use signalbox_protector_rules::{Object, Tip};

use crate::Protector;

impl Protector {
    /// A repository, as git reaches it. The password is good for a quarter of an hour.
    pub(crate) async fn remote(&self, repository: &RepositoryName) -> Result<Remote, Failure> {
        let address = self.aws.git_address(repository);
        let password = self.aws.git_password(&address, Timestamp::now()).await?;
        let url = address.url();
        let wrong = |error: String| Failure::refused(format!("connecting to {url}"), error);
        let authorization =
            Authorization::basic(&password.user, &password.password).map_err(|error| wrong(error.to_string()))?;
        let at = RemoteUrl::parse(&url).map_err(|error| wrong(error.to_string()))?;
        Ok(Remote::new(self.git().await?, at, Some(authorization)))
    }
}

/// Where a ref is, by a listing that would show it.
pub(crate) fn tip_of(refs: &[Ref], name: &RefName) -> Tip {
    refs.iter().find(|found| found.name.as_str() == name.as_str()).map_or(Tip::Gone, tip_at)
}

/// Where this ref is.
pub(crate) fn tip_at(found: &Ref) -> Tip {
    let commit = found.peeled.unwrap_or(found.id);
    match (Object::parse(&found.id.to_string()), CommitId::parse(commit.to_string())) {
        (Some(object), Ok(commit)) => Tip::At { object, commit },
        _ => Tip::NotRead,
    }
}

/// What a git server did, as a queue understands it.
pub(crate) fn sorted(failure: &http::Failure) -> Failure {
    let doing = format!("{} {}", failure.doing, failure.place);
    let mut what = failure.cause.to_string();
    let mut below = std::error::Error::source(&failure.cause);
    while let Some(error) = below {
        what = format!("{what}: {error}");
        below = error.source();
    }
    match failure.kind() {
        Kind::Retry => Failure::retry(doing, what),
        Kind::Refused => Failure::refused(doing, what),
    }
}

/// Whether a server said that there is no such repository.
pub(crate) fn is_missing(failure: &http::Failure) -> bool {
    matches!(failure.cause, Cause::NotFound { .. })
}
