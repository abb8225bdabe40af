//! Where repositories are reached, and with which credentials.

use jiff::Timestamp;
use serde_json::Value;
use signalbox_aws::{Aws, Cause as AwsCause, CodeCommit, Failure};
use signalbox_events::RepositoryName;
use signalbox_gitwire::http::{self, Authorization, Cause, Kind, Remote, RemoteUrl};
use signalbox_policy::Role;
use signalbox_replicator_rules::Place;

use crate::Replicator;

impl Replicator {
    /// AWS in a region, with the keys of a role where there is one and else with the function's own.
    ///
    /// A role's keys are kept for as long as they are good, and assumed anew before they end.
    pub(crate) async fn aws_for(&self, region: &str, role: Option<&Role>) -> Result<Aws, Failure> {
        match role {
            None => Ok(self.aws.in_region(region)),
            Some(Role { arn, external_id }) => {
                Ok(self.roles().assume(arn, external_id.as_deref()).await?.in_region(region))
            }
        }
    }

    /// CodeCommit where a target is.
    pub(crate) async fn codecommit_for(&self, region: &str, role: Option<&Role>) -> Result<CodeCommit, Failure> {
        Ok(CodeCommit::new(&self.aws_for(region, role).await?))
    }

    /// A CodeCommit repository, as git reaches it. The password is good for a quarter of an hour.
    pub(crate) async fn codecommit_remote(&self, aws: &Aws, repository: &RepositoryName) -> Result<Remote, Failure> {
        let address = aws.git_address(repository);
        let password = aws.git_password(&address, Timestamp::now()).await?;
        let url = address.url();
        let doing = || format!("connecting to {url}");
        let authorization = Authorization::basic(&password.user, &password.password)
            .map_err(|error| Failure::refused(doing(), error.to_string()))?;
        let at = RemoteUrl::parse(&url).map_err(|error| Failure::refused(doing(), error.to_string()))?;
        Ok(Remote::new(self.git().await?, at, Some(authorization)))
    }

    /// A target, as git reaches it.
    pub(crate) async fn remote(&self, place: &Place) -> Result<Remote, Failure> {
        match place {
            Place::CodeCommit { region, repository, role } => {
                let aws = self.aws_for(region.as_str(), role.as_ref()).await?;
                self.codecommit_remote(&aws, repository).await
            }
            Place::Https { url, credentials } => {
                let doing = || format!("connecting to {url}");
                let secret = self.secrets().text(credentials.as_str()).await?;
                let authorization = authorization(secret.reveal()).map_err(|wrong| {
                    Failure::refused(doing(), format!("the secret {credentials} cannot be used: {wrong}"))
                })?;
                let at = RemoteUrl::parse(url).map_err(|error| Failure::refused(doing(), error.to_string()))?;
                Ok(Remote::new(self.git().await?, at, Some(authorization)))
            }
            Place::Bundle { .. } => {
                Err(Failure::refused(format!("connecting to {place}"), "a bundle is no repository"))
            }
            Place::Nowhere { .. } => Err(Failure::refused(format!("connecting to {place}"), "there is no such place")),
        }
    }
}

/// A secret is a token as it is, or a JSON object with `username` and `password`. The error does not repeat it.
fn authorization(secret: &str) -> Result<Authorization, String> {
    let secret = secret.trim();
    let (user, password) = match serde_json::from_str::<Value>(secret) {
        Ok(Value::Object(pair)) => {
            let text = |name: &str| pair.get(name).and_then(Value::as_str).map(str::to_owned);
            let wanted = || "it is a JSON object without the texts `username` and `password`".to_owned();
            (text("username").ok_or_else(wanted)?, text("password").ok_or_else(wanted)?)
        }
        // Git hosts look at the token, and take any name beside it.
        _ => ("x-access-token".to_owned(), secret.to_owned()),
    };
    Authorization::basic(&user, &password).map_err(|error| error.to_string())
}

/// What AWS said to a role's keys: a permission that is missing then is the role's, not the function's.
pub(crate) fn of_role(mut failure: Failure, place: &Place) -> Failure {
    let Some(role) = place.role().filter(|_| failure.is_forbidden()) else { return failure };
    let (Failure::Retry(problem) | Failure::Refused(problem)) = &mut failure;
    if let AwsCause::Answered(error) = &problem.cause {
        let message = error.message.as_deref().unwrap_or("no message");
        let lacks = format!("The role {} lacks this permission", role.arn);
        problem.what =
            format!("{}: {message}. {lacks}; docs/examples/mirror-account.yaml grants all that it needs", error.code);
    }
    failure
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_a_token_or_a_pair_and_is_never_repeated() {
        for good in ["hunter2", " hunter2\n", r#"{"username":"anna","password":"hunter2"}"#] {
            assert!(authorization(good).is_ok(), "{good}");
        }
        for wrong in [r#"{"token":"hunter2"}"#, r#"{"username":"a:b","password":"hunter2"}"#, "hunter2\nmore"] {
            let told = authorization(wrong).unwrap_err();
            assert!(!told.contains("hunter2"), "{told}");
        }
    }
}
