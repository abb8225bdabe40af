//! `signalbox git-credential`: git asks it for the user name and the password of a repository.
//!
//! It speaks git's credential-helper protocol and signs as AWS's own helper does, with the keys that the environment
//! gives; so it works for the local cloud and for AWS alike. git tells it the repository only when
//! `credential.useHttpPath` is true.

use std::path::Path;

use jiff::Timestamp;

use crate::auth::git_credentials;

/// Why there is no password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// git did not tell which repository it is about.
    #[error(
        "git did not say which repository it needs a password for; run `git config --global credential.useHttpPath true`"
    )]
    NoPath,
    /// git did not tell the host, or told the protocol of something else than HTTP.
    #[error(
        "git asked for a password without {what}; call this as a credential helper: git config --global credential.helper '!signalbox git-credential'"
    )]
    NotAsked {
        /// What was missing.
        what: &'static str,
    },
    /// A variable is missing.
    #[error("{name} is not set; take the export lines that `signalbox serve` prints")]
    NoVariable {
        /// Its name.
        name: &'static str,
    },
}

/// What git asks for, from the lines `KEY=VALUE` of its input.
#[derive(Debug, Default)]
struct Question<'a> {
    protocol: Option<&'a str>,
    host: Option<&'a str>,
    path: Option<&'a str>,
}

impl<'a> Question<'a> {
    fn parse(input: &'a str) -> Self {
        let mut question = Self::default();
        for line in input.lines().take_while(|line| !line.is_empty()) {
            match line.split_once('=') {
                Some(("protocol", value)) => question.protocol = Some(value),
                Some(("host", value)) => question.host = Some(value),
                Some(("path", value)) => question.path = Some(value),
                // git adds keys from version to version; a helper leaves alone what it does not know.
                _ => {}
            }
        }
        question
    }
}

/// A word for a shell, whatever is in it.
pub fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// What git's `credential.helper` is set to so that it asks this program.
pub fn credential_helper(program: &Path) -> String {
    format!("!{} git-credential", quoted(&program.to_string_lossy()))
}

/// Answers git: what to print to it for `action` (`get`, `store`, `erase`) and what it wrote.
///
/// An empty answer lets git ask its next helper: there is nothing to store, and a path that is not `/v1/repos/NAME` is
/// no CodeCommit repository, nor is one of another host than CodeCommit's (over https) or this machine's. `environment` looks up a variable, `now` is the moment that is signed.
///
/// # Errors
/// No path, no host, no keys: each with what to do.
pub fn answer(
    action: &str,
    input: &str,
    environment: &dyn Fn(&str) -> Option<String>,
    now: Timestamp,
) -> Result<String, CredentialError> {
    if action != "get" {
        return Ok(String::new());
    }
    let question = Question::parse(input);
    if !matches!(question.protocol, Some("http" | "https")) {
        return Err(CredentialError::NotAsked { what: "the protocol http or https" });
    }
    let host = question.host.filter(|host| !host.is_empty()).ok_or(CredentialError::NotAsked { what: "a host" })?;
    let path = question.path.filter(|path| !path.is_empty()).ok_or(CredentialError::NoPath)?;
    let path = format!("/{}", path.trim_start_matches('/'));
    // A signature is no password, but it opens the repository for a quarter of an hour: nobody else gets one.
    let is_aws = region_of(host).is_some() && question.protocol == Some("https");
    if !path.starts_with("/v1/repos/") || !(is_aws || is_loopback(host)) {
        return Ok(String::new());
    }
    let given = |name: &str| environment(name).filter(|value| !value.is_empty());
    let needed = |name: &'static str| given(name).ok_or(CredentialError::NoVariable { name });
    let id = needed("AWS_ACCESS_KEY_ID")?;
    let secret = needed("AWS_SECRET_ACCESS_KEY")?;
    let token = given("AWS_SESSION_TOKEN");
    let region = match region_of(host) {
        Some(region) => region.to_owned(),
        None => given("AWS_REGION")
            .map_or_else(|| needed("AWS_DEFAULT_REGION"), Ok)
            .map_err(|_| CredentialError::NoVariable { name: "AWS_REGION" })?,
    };
    let (user, password) = git_credentials((&id, &secret, token.as_deref()), host, &path, &region, now);
    Ok(format!("username={user}\npassword={password}\n"))
}

/// Whether the host is this machine: only the local cloud is asked over plain HTTP.
fn is_loopback(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _port)| name);
    matches!(name, "127.0.0.1" | "localhost") || name.ends_with(".localhost")
}

/// The region in `git-codecommit.REGION.amazonaws.com`, and in `git-codecommit.REGION.localhost` with or without a port: a
/// signature is checked for that one and no other.
pub(crate) fn region_of(host: &str) -> Option<&str> {
    let rest = host.strip_prefix("git-codecommit.").or_else(|| host.strip_prefix("git-codecommit-fips."))?;
    let local = || rest.split(':').next().and_then(|name| name.strip_suffix(".localhost"));
    rest.strip_suffix(".amazonaws.com").or_else(|| rest.strip_suffix(".amazonaws.com.cn")).or_else(local)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::auth::{Credentials, Dialect, Keys, Refusal};
    use crate::world::World;

    const INPUT: &str =
        "protocol=http\nhost=127.0.0.1:4566\npath=v1/repos/demo\nwwwauth[]=Basic realm=\"CodeCommit\"\n\n";

    fn environment(keys: &Credentials) -> impl Fn(&str) -> Option<String> {
        let keys = keys.clone();
        move |name| match name {
            "AWS_ACCESS_KEY_ID" => Some(keys.access_key_id.clone()),
            "AWS_SECRET_ACCESS_KEY" => Some(keys.secret_access_key.clone()),
            "AWS_SESSION_TOKEN" => keys.session_token.clone(),
            "AWS_REGION" => Some("eu-west-1".to_owned()),
            _ => None,
        }
    }

    fn pair(answer: &str) -> (String, String) {
        let value = |key: &str| answer.lines().find_map(|line| line.strip_prefix(key)).unwrap().to_owned();
        (value("username="), value("password="))
    }

    #[test]
    fn the_password_is_good_for_that_repository_host_and_region_only() {
        let world = World::new(PathBuf::new(), "eu-west-1", 1);
        let keys = Keys::default();
        let now = world.now();
        for credentials in [keys.user(&world, "developer"), keys.session(&world, "Build", "1", None)] {
            let (user, password) = pair(&answer("get", INPUT, &environment(&credentials), now).unwrap());
            let check = |password: &str, host: &str, path: &str, region: &str, now| {
                keys.check_git(&user, password, &[host], path, region, now).map(|caller| caller.arn)
            };
            let path = "/v1/repos/demo";
            assert_eq!(check(&password, "127.0.0.1:4566", path, "eu-west-1", now).unwrap(), credentials.arn);
            let code = |answer: Result<String, Refusal>| answer.unwrap_err().told(Dialect::S3).code;
            let wrong = "SignatureDoesNotMatch";
            assert_eq!(code(check(&password, "127.0.0.1", path, "eu-west-1", now)), wrong);
            assert_eq!(code(check(&password, "127.0.0.1:4566", "/v1/repos/other", "eu-west-1", now)), wrong);
            assert_eq!(code(check(&password, "127.0.0.1:4566", path, "us-east-1", now)), wrong);
            assert_eq!(code(check("secret", "127.0.0.1:4566", path, "eu-west-1", now)), "AuthorizationHeaderMalformed");
            let later = now + jiff::SignedDuration::from_mins(16);
            assert_eq!(code(check(&password, "127.0.0.1:4566", path, "eu-west-1", later)), "RequestTimeTooSkewed");
        }
    }

    #[test]
    fn the_host_of_aws_names_its_own_region() {
        let world = World::new(PathBuf::new(), "eu-west-1", 1);
        let keys = Keys::default();
        let credentials = keys.user(&world, "developer");
        let host = "git-codecommit.us-east-2.amazonaws.com";
        let input = format!("protocol=https\nhost={host}\npath=v1/repos/demo\n");
        let (user, password) = pair(&answer("get", &input, &environment(&credentials), world.now()).unwrap());
        assert!(keys.check_git(&user, &password, &[host], "/v1/repos/demo", "us-east-2", world.now()).is_ok());
    }

    #[test]
    fn what_is_not_ours_gets_no_answer_and_what_is_missing_is_named() {
        let world = World::new(PathBuf::new(), "eu-west-1", 1);
        let credentials = Keys::default().user(&world, "developer");
        let all = environment(&credentials);
        let ask = |action: &str, input: &str| answer(action, input, &all, world.now());
        assert_eq!(ask("store", INPUT).unwrap(), "");
        assert_eq!(ask("erase", INPUT).unwrap(), "");
        assert_eq!(ask("get", "protocol=https\nhost=example.com\npath=acme/x.git\n").unwrap(), "");
        assert_eq!(ask("get", "protocol=https\nhost=example.com\npath=v1/repos/demo\n").unwrap(), "");
        let plain = "protocol=http\nhost=git-codecommit.eu-west-1.amazonaws.com\npath=v1/repos/demo\n";
        assert_eq!(ask("get", plain).unwrap(), "");
        assert_eq!(ask("get", "protocol=https\nhost=example.com\n").unwrap_err(), CredentialError::NoPath);
        assert!(matches!(ask("get", "host=example.com\npath=x\n"), Err(CredentialError::NotAsked { .. })));
        assert!(matches!(ask("get", ""), Err(CredentialError::NotAsked { .. })));
        for missing in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"] {
            let without = |name: &str| if name == missing { None } else { all(name) };
            let refused = answer("get", INPUT, &without, world.now()).unwrap_err();
            assert_eq!(refused, CredentialError::NoVariable { name: missing });
        }
    }
}
