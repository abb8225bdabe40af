//! Who sends a git request, and which account's and region's repository is meant.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::StatusCode;
use hyper::http::request::Parts;

use crate::auth::{Caller, Dialect};
use crate::cloud::{Accounts, Cloud};
use crate::codecommit::GitRefusal;
use crate::git_credential::region_of;

/// Where git's requests are.
pub(super) const PREFIX: &str = "/v1/repos/";

/// Whether a request is git's: by its path, unless its host names a bucket.
pub(super) fn is_meant(head: &Parts) -> bool {
    let host = head.headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
    head.uri.path().starts_with(PREFIX) && crate::s3::bucket_in_host(host).is_none()
}

/// Checks the password that a credential helper made.
///
/// It is a signature over region, host and repository, and names none of them: each region is tried, unless the host tells
/// which one it is; and each form that the client may have known the host by. The account is that of the key.
pub(super) fn authenticate(accounts: &Accounts, head: &Parts) -> Result<(Arc<Cloud>, Caller), GitRefusal> {
    let text = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
    let missing = || {
        GitRefusal::new(
            StatusCode::UNAUTHORIZED,
            "a user name and a password are needed; see `signalbox git-credential --help`",
        )
    };
    let encoded = text("authorization").and_then(|given| given.strip_prefix("Basic ")).ok_or_else(missing)?;
    let plain = STANDARD.decode(encoded.trim()).ok().and_then(|plain| String::from_utf8(plain).ok());
    let plain = plain.ok_or_else(missing)?;
    let (user, password) = plain.split_once(':').ok_or_else(missing)?;

    let name = head.uri.path().strip_prefix(PREFIX).and_then(|rest| rest.split('/').next()).unwrap_or_default();
    let path = format!("{PREFIX}{name}");
    let host = text("host").unwrap_or_default();
    let bare_host = host.rsplit_once(':').map_or(host, |(bare, _)| bare);
    let mut refused = None;
    let regions = &accounts.home;
    for cloud in regions.iter() {
        let region = &cloud.world.region;
        if region_of(host).is_some_and(|meant| meant != region) {
            continue;
        }
        let aws_host = format!("git-codecommit.{region}.amazonaws.com");
        let hosts = [host, bare_host, &aws_host];
        match cloud.keys.check_git(user, password, &hosts, &path, region, cloud.world.now()) {
            Ok(caller) => {
                let of_caller = accounts.find(caller.account()).and_then(|regions| regions.find(region));
                return Ok((Arc::clone(of_caller.unwrap_or(cloud)), caller));
            }
            Err(refusal) => refused = Some(refusal.told(Dialect::Json).message),
        }
    }
    let why = refused.unwrap_or_else(|| format!("the local cloud plays {}, not the region in {host}", regions.names()));
    Err(GitRefusal::new(StatusCode::FORBIDDEN, why))
}
