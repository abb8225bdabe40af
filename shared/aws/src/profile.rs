//! A person's way in: profiles, SSO and environment, as the AWS CLI finds them.

use std::error::Error;
use std::path::PathBuf;

use aws_config::BehaviorVersion;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_http_client::tls::{TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_types::region::Region;
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

use crate::config::{https, tuned};
use crate::failure::sort;
use crate::{Aws, Failure};

/// What a person says of the account they mean; what they leave out is found as the AWS CLI finds it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// A profile of `~/.aws/config`; named here, it goes before keys in the environment.
    pub profile: Option<String>,
    /// A region.
    pub region: Option<String>,
    /// Something that stands in for AWS.
    pub endpoint: Option<String>,
    /// A file of PEM certificates to trust in place of the system's: `AWS_CA_BUNDLE`.
    pub certificates: Option<PathBuf>,
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The account id.
    pub account: String,
    /// The user's or the role session's ARN.
    pub arn: String,
}

/// Why there is no way in, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum NoAccount {
    /// Nobody said where.
    #[error("no region is set: give --region, set AWS_REGION, or put `region = ...` into the profile")]
    NoRegion,
    /// Nobody said who.
    #[error(
        "no AWS credentials were found: give --profile NAME, run `aws sso login`, or set AWS_ACCESS_KEY_ID and \
         AWS_SECRET_ACCESS_KEY; for the local cloud take the `export` lines that `signalbox serve` prints"
    )]
    NoCredentials,
    /// The profile that was named is not there, or has none.
    #[error(
        "there are no credentials in the profile `{profile}`: is it in ~/.aws/config or ~/.aws/credentials? \
         `aws configure list-profiles` names those that are there"
    )]
    EmptyProfile {
        /// Its name.
        profile: String,
    },
    /// A session is over.
    #[error("the session of single sign-on is over or was never begun; run `aws sso login{}`", .profile.as_ref().map(|name| format!(" --profile {name}")).unwrap_or_default())]
    SignInAgain {
        /// The profile that it belongs to, where one was named.
        profile: Option<String>,
        /// What was said.
        #[source]
        source: CredentialsError,
    },
    /// Credentials are set up and cannot be used.
    #[error("the AWS credentials cannot be used: {what}")]
    Unusable {
        /// What is wrong, from the outside to the inside.
        what: String,
    },
    /// Certificates that cannot be trusted because they cannot be read.
    #[error("AWS_CA_BUNDLE names {}, which holds no certificate that can be used: {what}", .file.display())]
    Certificates {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

impl Aws {
    /// Clients as a person has them; credentials are looked for at once, so that their lack is told before anything else.
    ///
    /// # Errors
    /// What is missing, and what to do.
    pub async fn of_person(account: &Account) -> Result<Self, NoAccount> {
        let http = client(account)?;
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http.clone());
        if let Some(region) = &account.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(profile) = &account.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(endpoint) = &account.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        let mut config = tuned(loader.load().await.into_builder()).build();
        let Some(region) = config.region().cloned() else { return Err(NoAccount::NoRegion) };
        if let Some(profile) = &account.profile {
            // The chain would take keys of the environment first; whoever names a profile means the profile.
            let provided = ProviderConfig::default().with_http_client(http).with_region(Some(region));
            let provider = ProfileFileCredentialsProvider::builder().configure(&provided).profile_name(profile).build();
            config = config.into_builder().credentials_provider(SharedCredentialsProvider::new(provider)).build();
        }
        let Some(provider) = config.credentials_provider() else { return Err(NoAccount::NoCredentials) };
        match provider.provide_credentials().await {
            Ok(_) => Ok(Self { config }),
            Err(error) => Err(no_credentials(error, account.profile.clone())),
        }
    }

    /// Who the credentials belong to.
    ///
    /// # Errors
    /// As [`Failure`] sorts them; keys that are wrong or expired among them.
    pub async fn identity(&self) -> Result<Identity, Failure> {
        let client = aws_sdk_sts::Client::new(&self.config);
        let answer = client.get_caller_identity().send().await;
        let answer = answer.map_err(|error| sort("sts:GetCallerIdentity", error))?;
        Ok(Identity { account: answer.account.unwrap_or_default(), arn: answer.arn.unwrap_or_default() })
    }
}

fn client(account: &Account) -> Result<SharedHttpClient, NoAccount> {
    let Some(file) = &account.certificates else { return Ok(https(TlsContext::default())) };
    let wrong = |what: String| NoAccount::Certificates { file: file.clone(), what };
    let text = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    let mut trusted = RootCertStore::empty();
    let mut store = TrustStore::empty();
    let mut why = "there is no `BEGIN CERTIFICATE` in it".to_owned();
    // The client would panic over a certificate that it cannot use, so each is tried before.
    for block in text.split_inclusive("-----END CERTIFICATE-----").filter(|block| block.contains("-----BEGIN CERT")) {
        let added = CertificateDer::from_pem_slice(block.as_bytes())
            .map_err(|error| error.to_string())
            .and_then(|certificate| trusted.add(certificate).map_err(|error| error.to_string()));
        match added {
            Ok(()) => store = store.with_pem_certificate(block),
            Err(error) => why = error,
        }
    }
    if trusted.is_empty() {
        return Err(wrong(why));
    }
    let context = TlsContext::builder().with_trust_store(store).build().map_err(|error| wrong(error.to_string()))?;
    Ok(https(context))
}

fn no_credentials(error: CredentialsError, profile: Option<String>) -> NoAccount {
    let mut what = Vec::new();
    let mut below: Option<&dyn Error> = Some(&error);
    while let Some(error) = below {
        what.push(error.to_string());
        below = error.source();
    }
    let said = what.join(": ");
    let lower = said.to_lowercase();
    if lower.contains("sso") && ["token", "session", "expired", "login"].iter().any(|word| lower.contains(word)) {
        return NoAccount::SignInAgain { profile, source: error };
    }
    match (error, profile) {
        (CredentialsError::CredentialsNotLoaded(_), None) => NoAccount::NoCredentials,
        (CredentialsError::CredentialsNotLoaded(_), Some(profile)) => NoAccount::EmptyProfile { profile },
        _ => NoAccount::Unusable { what: said },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_without_a_certificate_is_an_error_that_names_it_and_never_a_panic() {
        let dir = std::env::temp_dir();
        let file = dir.join(format!("signalbox-no-certificates-{}", std::process::id()));
        for text in ["", "nothing", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            std::fs::write(&file, text).unwrap();
            let account = Account { certificates: Some(file.clone()), ..Account::default() };
            let error = client(&account).unwrap_err().to_string();
            assert!(error.contains("AWS_CA_BUNDLE") && error.contains("signalbox-no-certificates"), "{error}");
        }
        std::fs::remove_file(&file).unwrap();
        let account = Account { certificates: Some(file), ..Account::default() };
        assert!(client(&account).unwrap_err().to_string().contains("No such file"));
    }
}
