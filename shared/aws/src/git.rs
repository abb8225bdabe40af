//! git over HTTPS in CodeCommit: where a repository is, and the password that a signature is.

use aws_credential_types::provider::ProvideCredentials;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use signalbox_events::RepositoryName;

use crate::{Aws, Failure};

/// Where git finds a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitAddress {
    /// `https`, or `http` where an emulator stands in for AWS.
    scheme: String,
    host: String,
    path: String,
}

/// A user name and a password for one repository, good for a quarter of an hour.
#[derive(Clone, PartialEq, Eq)]
pub struct GitPassword {
    /// The access key's id, with the session's token.
    pub user: String,
    /// A signature over region, host and repository.
    pub password: String,
}

impl std::fmt::Debug for GitPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GitPassword(***)")
    }
}

impl GitAddress {
    /// The whole address.
    pub fn url(&self) -> String {
        format!("{}://{}{}", self.scheme, self.host, self.path)
    }
}

impl Aws {
    /// Where git finds a repository of this region.
    pub fn git_address(&self, repository: &RepositoryName) -> GitAddress {
        let region = self.region();
        let place = self.endpoint().and_then(|endpoint| endpoint.split_once("://"));
        let (scheme, host) = match place {
            Some((scheme, host)) => (scheme.to_owned(), host.trim_end_matches('/').to_owned()),
            None => {
                let end = if region.starts_with("cn-") { ".cn" } else { "" };
                ("https".to_owned(), format!("git-codecommit.{region}.amazonaws.com{end}"))
            }
        };
        GitAddress { scheme, host, path: format!("/v1/repos/{repository}") }
    }

    /// The password of an address of this region.
    ///
    /// # Errors
    /// [`Failure::Retry`] where there are no keys at the moment.
    pub async fn git_password(&self, address: &GitAddress, now: Timestamp) -> Result<GitPassword, Failure> {
        let doing = || format!("signing in to {}", address.url());
        let provider = self.config.credentials_provider();
        let provider = provider.ok_or_else(|| Failure::retry(doing(), "there are no keys"))?;
        let keys = provider.provide_credentials().await;
        let keys = keys.map_err(|error| Failure::retry(doing(), format!("there are no keys: {error}")))?;
        let id = keys.access_key_id();
        let user = keys.session_token().map_or_else(|| id.to_owned(), |token| format!("{id}%{token}"));
        Ok(GitPassword { user, password: password(keys.secret_access_key(), address, self.region(), now) })
    }
}

/// As AWS's own credential helper makes it: method `GIT`, no payload, and a time whose `Z` is only in the password.
fn password(secret: &str, address: &GitAddress, region: &str, now: Timestamp) -> String {
    let stamp = now.strftime("%Y%m%dT%H%M%S").to_string();
    let date = stamp.get(..8).unwrap_or_default();
    let canonical = format!("GIT\n{}\n\nhost:{}\n\nhost\n", address.path, address.host);
    let scope = format!("{date}/{region}/codecommit/aws4_request");
    let to_sign = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}", hex::encode(Sha256::digest(canonical)));
    let key = scope.split('/').fold(format!("AWS4{secret}").into_bytes(), |key, part| mac(&key, part));
    format!("{stamp}Z{}", hex::encode(mac(&key, &to_sign)))
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    // No key is too long or too short for it.
    let mac = Hmac::<Sha256>::new_from_slice(key);
    mac.map(|mac| mac.chain_update(text).finalize().into_bytes().to_vec()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AwsEnvironment;

    fn aws(region: &str, endpoint: Option<&str>) -> Aws {
        Aws::new(AwsEnvironment {
            region: region.to_owned(),
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
            session_token: None,
            endpoint: endpoint.map(str::to_owned),
        })
    }

    #[test]
    fn a_repository_is_found_in_its_region_and_where_an_emulator_stands_in() {
        let name = RepositoryName::parse("demo").unwrap();
        let url = |region, endpoint| aws(region, endpoint).git_address(&name).url();
        assert_eq!(url("eu-west-1", None), "https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/demo");
        assert_eq!(url("cn-north-1", None), "https://git-codecommit.cn-north-1.amazonaws.com.cn/v1/repos/demo");
        assert_eq!(url("eu-west-1", Some("http://127.0.0.1:4566/")), "http://127.0.0.1:4566/v1/repos/demo");
    }

    /// The expected password was made by the steps of AWS's own helpers, in another language.
    #[test]
    fn the_password_is_the_one_that_awss_own_helper_makes() {
        let aws = aws("us-east-1", None);
        let address = aws.git_address(&RepositoryName::parse("demo").unwrap());
        let now = "2024-01-02T03:04:05Z".parse().unwrap();
        let made = password("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", &address, aws.region(), now);
        assert_eq!(made, "20240102T030405Z341ba0a3a2022095bf0e88123651ba28cf4f4208499d855d94633c704b18cfe2");
    }
}
