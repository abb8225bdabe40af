//! Region, keys and endpoint of a function, and the one HTTP client that all its services share.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_async::time::{SharedTimeSource, SystemTimeSource};
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::{self, TlsContext};
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_runtime_api::client::http::{
    HttpConnectorSettings, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_types::checksum_config::{RequestChecksumCalculation, ResponseChecksumValidation};
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use aws_types::region::Region;
use aws_types::sdk_config::Builder;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(3);

/// How long one try of a call may take.
const ATTEMPT: Duration = Duration::from_secs(10);

/// How long a call may take, all its tries and the waits between them included.
pub const OPERATION: Duration = Duration::from_secs(25);

/// How long a call may take whose second try would do its work twice: it is tried once, and longer waited for.
pub const ONCE: Duration = Duration::from_secs(20);

/// What Lambda puts into a function's environment.
#[derive(Clone)]
pub struct AwsEnvironment {
    /// `AWS_REGION`.
    pub region: String,
    /// `AWS_ACCESS_KEY_ID`.
    pub access_key_id: String,
    /// `AWS_SECRET_ACCESS_KEY`.
    pub secret_access_key: String,
    /// `AWS_SESSION_TOKEN`; a user's keys have none.
    pub session_token: Option<String>,
    /// `AWS_ENDPOINT_URL`: set where an emulator stands in for AWS.
    pub endpoint: Option<String>,
}

impl std::fmt::Debug for AwsEnvironment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AwsEnvironment")
            .field("region", &self.region)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// A variable that Lambda always sets is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the environment variable {variable} is not set; Lambda sets it, and so does the local cloud")]
pub struct IncompleteEnvironment {
    /// Its name.
    pub variable: &'static str,
}

impl AwsEnvironment {
    /// Reads the variables through `get`, so that only `main` touches the process's environment.
    ///
    /// # Errors
    /// Names the first variable that is missing.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, IncompleteEnvironment> {
        let required =
            |variable| get(variable).filter(|text| !text.is_empty()).ok_or(IncompleteEnvironment { variable });
        Ok(Self {
            region: required("AWS_REGION")?,
            access_key_id: required("AWS_ACCESS_KEY_ID")?,
            secret_access_key: required("AWS_SECRET_ACCESS_KEY")?,
            session_token: get("AWS_SESSION_TOKEN").filter(|text| !text.is_empty()),
            endpoint: get("AWS_ENDPOINT_URL").filter(|text| !text.is_empty()),
        })
    }
}

/// Makes the clients of one function; they share the HTTP client, whose certificate bundle is the dearest part of a start.
#[derive(Debug, Clone)]
pub struct Aws {
    pub(crate) config: SdkConfig,
}

impl Aws {
    /// Clients for this environment.
    pub fn new(environment: AwsEnvironment) -> Self {
        let AwsEnvironment { region, access_key_id, secret_access_key, session_token, endpoint } = environment;
        let credentials = Credentials::new(access_key_id, secret_access_key, session_token, None, "environment");
        let mut config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(https(TlsContext::default()))
            .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
            .time_source(SharedTimeSource::new(SystemTimeSource::new()));
        config.set_endpoint_url(endpoint);
        Self { config: tuned(config).build() }
    }

    /// The same keys and the same HTTP client, in another region.
    #[must_use]
    pub fn in_region(&self, region: &str) -> Self {
        Self { config: self.config.to_builder().region(Region::new(region.to_owned())).build() }
    }

    /// The region.
    pub fn region(&self) -> &str {
        self.config.region().map_or("", AsRef::as_ref)
    }

    /// The endpoint that stands in for AWS, where one does: then AWS's own pages show nothing of what is here.
    pub fn endpoint(&self) -> Option<&str> {
        self.config.endpoint_url()
    }
}

/// The one TLS stack, rustls over ring, with the certificates that it trusts.
///
/// The connector is made once, and beside the rest of the start: reading the system's certificates takes longer than all
/// else, and only the first call needs them. (The SDK's own HTTP client reads them once more for every service client that is
/// built, only to see whether it can.)
pub(crate) fn https(trusted: TlsContext) -> SharedHttpClient {
    let connector = Arc::new(LazyLock::new(move || SharedHttpConnector::new(connector(trusted))));
    let early = Arc::clone(&connector);
    // Without a thread the first call makes it.
    let begun = std::thread::Builder::new().name("certificates".to_owned()).spawn(move || {
        LazyLock::force(&early);
    });
    drop(begun);
    http_client_fn(move |_, _| SharedHttpConnector::clone(&connector))
}

fn connector(trusted: TlsContext) -> Connector {
    Connector::builder()
        .connector_settings(HttpConnectorSettings::builder().connect_timeout(CONNECT).build())
        .sleep_impl(TokioSleep::new())
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
        .tls_context(trusted)
        .build()
}

/// How patient the clients are, and what they check.
pub(crate) fn tuned(config: Builder) -> Builder {
    config
        // A third try after a throttle or a cut is cheap; what still fails goes back to the queue.
        .retry_config(RetryConfig::standard().with_max_attempts(3).with_initial_backoff(Duration::from_millis(100)))
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(CONNECT)
                .operation_attempt_timeout(ATTEMPT)
                .operation_timeout(OPERATION)
                .build(),
        )
        // Objects here are small and travel over TLS: no trailing checksums, which some emulators do not know.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_names_what_is_missing_and_never_shows_its_secret() {
        let full = |name: &str| (name != "AWS_ENDPOINT_URL").then(|| format!("value-of-{name}"));
        let environment = AwsEnvironment::read(full).unwrap();
        assert_eq!(environment.endpoint, None);
        let shown = format!("{environment:?}");
        assert!(!shown.contains("SECRET") && !shown.contains("TOKEN"), "{shown}");

        let missing =
            AwsEnvironment::read(|name| (name != "AWS_SECRET_ACCESS_KEY").then(|| "x".to_owned())).unwrap_err();
        assert_eq!(missing.variable, "AWS_SECRET_ACCESS_KEY");
    }
}
