//! STS: the keys of a role, which may be of another account.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_sts::Client;
use signalbox_events::Arn;

use crate::failure::{lacking, sort};
use crate::{Aws, Cause, Failure};

/// Keys with less time left are not used any more: whatever an invocation begins with them, it ends with them.
const LEAST: Duration = Duration::from_secs(16 * 60);

/// Assumes roles, and keeps their keys for as long as they are good.
pub struct Roles {
    aws: Aws,
    client: Client,
    session: String,
    kept: Mutex<BTreeMap<Asked, Credentials>>,
}

/// A role, and the external id that it was asked with: another id is another question.
type Asked = (Arn, Option<String>);

impl std::fmt::Debug for Roles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Roles").field("session", &self.session).finish_non_exhaustive()
    }
}

impl Roles {
    /// Assumes roles with these keys, in sessions of this name: the other account's CloudTrail shows it.
    pub fn new(aws: &Aws, session: impl Into<String>) -> Self {
        let kept = Mutex::default();
        Self { aws: aws.clone(), client: Client::new(&aws.config), session: session.into(), kept }
    }

    /// AWS with the keys of a role, in the same region.
    ///
    /// # Errors
    /// As [`Failure`] sorts them; a role that may not be assumed is [`Failure::Refused`] with what to look at.
    pub async fn assume(&self, role: &Arn, external_id: Option<&str>) -> Result<Aws, Failure> {
        self.keys(role, external_id).await.map_err(|failure| advised(failure, external_id))
    }

    /// AWS with the keys of a role of the same stack, whose trust names the caller's role.
    ///
    /// # Errors
    /// As [`Failure`] sorts them.
    pub async fn assume_own(&self, role: &Arn) -> Result<Aws, Failure> {
        self.keys(role, None).await
    }

    async fn keys(&self, role: &Arn, external_id: Option<&str>) -> Result<Aws, Failure> {
        let asked = (role.clone(), external_id.map(str::to_owned));
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(&asked).cloned();
        let keys = match kept.filter(|keys| is_good(keys, SystemTime::now())) {
            Some(keys) => keys,
            None => {
                let keys = self.ask(role, external_id).await?;
                self.kept.lock().unwrap_or_else(PoisonError::into_inner).insert(asked, keys.clone());
                keys
            }
        };
        let provider = SharedCredentialsProvider::new(keys);
        Ok(Aws { config: self.aws.config.to_builder().credentials_provider(provider).build() })
    }

    async fn ask(&self, role: &Arn, external_id: Option<&str>) -> Result<Credentials, Failure> {
        let doing = format!("sts:AssumeRole on {role}");
        let request = self.client.assume_role().role_arn(role.as_str()).role_session_name(&self.session);
        let sent = request.set_external_id(external_id.map(str::to_owned)).send().await;
        let answer = sent.map_err(|error| sort(&doing, error))?;
        let keys = answer.credentials.ok_or_else(|| lacking(&doing, "Credentials"))?;
        let expires = SystemTime::try_from(keys.expiration).ok();
        Ok(Credentials::new(
            keys.access_key_id,
            keys.secret_access_key,
            Some(keys.session_token),
            Some(expires.ok_or_else(|| lacking(&doing, "Expiration"))?),
            "role",
        ))
    }
}

fn is_good(keys: &Credentials, now: SystemTime) -> bool {
    keys.expiry().is_some_and(|end| end.duration_since(now).is_ok_and(|left| left >= LEAST))
}

/// Says what to look at: both sides must agree, and AWS does not always tell which one does not.
fn advised(failure: Failure, external_id: Option<&str>) -> Failure {
    let Failure::Refused(mut problem) = failure else { return failure };
    if let Cause::Answered(error) = &problem.cause {
        let message = error.message.as_deref().unwrap_or("no message");
        let ours = "the function's own role may not assume it: let the stack's parameter MirrorRoles name it";
        let id = match external_id {
            Some(_) => "ask for the external id that the policy file gives",
            None => "ask for no external id, as the policy file gives none",
        };
        let theirs = format!(
            "the role does not let the function in: its trust policy must name the function's role or account, and {id}"
        );
        let advice = match error.code.as_str() {
            "AccessDenied" | "AccessDeniedException" => match message {
                _ if message.contains("identity-based policy") => ours.to_owned(),
                _ if message.contains("trust policy") || message.contains("resource-based policy") => theirs,
                _ => format!("Either {ours}. Or {theirs}. Or there is no such role"),
            },
            "RegionDisabledException" => {
                "STS is not active in this region: the administrator of the role's account can activate it in IAM's account settings".to_owned()
            }
            _ => return Failure::Refused(problem),
        };
        let mut letters = advice.chars();
        let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
        problem.what = format!("{}: {message}. {first}{}", error.code, letters.as_str());
    }
    Failure::Refused(problem)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ServiceError;

    #[test]
    fn keys_are_used_while_a_whole_invocation_is_left() {
        let now = SystemTime::UNIX_EPOCH;
        let keys = |seconds| Credentials::new("A", "B", None, Some(now + Duration::from_secs(seconds)), "role");
        assert!(is_good(&keys(960), now));
        assert!(!is_good(&keys(959), now));
        assert!(!is_good(&keys(10), now + Duration::from_secs(20)));
        assert!(!is_good(&Credentials::new("A", "B", None, None, "role"), now));
    }

    #[test]
    fn a_role_that_may_not_be_assumed_is_told_with_the_side_that_must_agree() {
        let told = |code: &str, message: &str, external_id| {
            let failure = Failure::refused("sts:AssumeRole on x", "as it was");
            let Failure::Refused(mut problem) = failure else { unreachable!() };
            let error = ServiceError { code: code.to_owned(), message: Some(message.to_owned()), request: None };
            problem.cause = Cause::Answered(Box::new(error));
            advised(Failure::Refused(problem), external_id).to_string()
        };
        let ours = told("AccessDenied", "no identity-based policy allows", None);
        assert!(ours.contains("parameter MirrorRoles") && !ours.contains("trust policy"), "{ours}");
        let theirs = told("AccessDenied", "no role trust policy allows", Some("secret-ish"));
        assert!(theirs.contains("ask for the external id that the policy file gives"), "{theirs}");
        assert!(!theirs.contains("MirrorRoles") && !theirs.contains("secret-ish"), "{theirs}");
        let either = told("AccessDenied", "not authorized", None);
        for words in ["MirrorRoles", "ask for no external id", "no such role"] {
            assert!(either.contains(words), "{words}: {either}");
        }
        assert!(told("RegionDisabledException", "x", None).contains("STS is not active"));
        assert!(told("ValidationError", "x", None).ends_with("as it was"));
    }
}
