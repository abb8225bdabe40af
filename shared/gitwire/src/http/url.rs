//! Where a repository is.

use std::fmt;

use hyper::Uri;
use hyper::http::uri::Authority;

/// The address of a repository: `https`, or `http` on this machine; nothing secret is in it.
#[derive(Clone, PartialEq, Eq)]
pub struct RemoteUrl {
    scheme: Scheme,
    authority: Authority,
    /// Without a slash at its end.
    path: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
}

/// An address that is not taken. It is not repeated: there may be a password in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    /// No URL at all, or one without a host.
    #[error("the repository's address is not a URL with a host and a path")]
    Malformed,
    /// Another scheme, or plain HTTP to another machine.
    #[error("the repository's address must begin with https:// (http:// only on this machine)")]
    Scheme,
    /// A user or a password in it.
    #[error("the repository's address must not contain a user or a password")]
    Userinfo,
    /// Something behind `?` or `#`.
    #[error("the repository's address must not contain ? or #")]
    Query,
}

impl RemoteUrl {
    /// Checks an address.
    pub fn parse(text: &str) -> Result<Self, InvalidUrl> {
        // hyper drops what is behind #.
        if text.contains(['?', '#']) {
            return Err(InvalidUrl::Query);
        }
        Self::from_uri(&text.parse().map_err(|_| InvalidUrl::Malformed)?)
    }

    fn from_uri(uri: &Uri) -> Result<Self, InvalidUrl> {
        let authority = uri.authority().ok_or(InvalidUrl::Malformed)?.clone();
        if authority.as_str().contains('@') {
            return Err(InvalidUrl::Userinfo);
        }
        if uri.query().is_some() {
            return Err(InvalidUrl::Query);
        }
        let scheme = match uri.scheme_str() {
            Some("https") => Scheme::Https,
            Some("http") if is_this_machine(authority.host()) => Scheme::Http,
            _ => return Err(InvalidUrl::Scheme),
        };
        let path = uri.path().trim_end_matches('/').to_owned();
        if authority.host().is_empty() || path.is_empty() {
            return Err(InvalidUrl::Malformed);
        }
        Ok(Self { scheme, authority, path })
    }

    /// The host's name.
    pub fn host(&self) -> &str {
        self.authority.host()
    }

    /// The repository's path on the host, without a slash at its end.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// A page below the repository.
    pub(crate) fn page(&self, page: &str) -> Result<Uri, InvalidUrl> {
        format!("{self}/{page}").parse().map_err(|_| InvalidUrl::Malformed)
    }

    /// Where a redirect of `page` says that the repository is, if it may be followed.
    pub(crate) fn redirected(&self, location: &str, page: &str) -> Option<Self> {
        let elsewhere = match location.starts_with('/') && !location.starts_with("//") {
            true => format!("{}://{}{location}", self.scheme.name(), self.authority),
            false => location.to_owned(),
        };
        // What was asked for must stand at the end, so that the other pages can be told from it.
        let base = elsewhere.strip_suffix(page)?.strip_suffix('/')?;
        Self::parse(base).ok().filter(|url| url.scheme == self.scheme)
    }

    /// Whether the same credentials may be shown there.
    pub(crate) fn has_host_of(&self, other: &Self) -> bool {
        self.scheme == other.scheme && self.host().eq_ignore_ascii_case(other.host()) && self.port() == other.port()
    }

    fn port(&self) -> u16 {
        self.authority.port_u16().unwrap_or(match self.scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        })
    }
}

impl Scheme {
    fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

fn is_this_machine(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl std::str::FromStr for RemoteUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        Self::parse(text)
    }
}

impl fmt::Display for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme.name(), self.authority, self.path)
    }
}

impl fmt::Debug for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_without_anything_secret() {
        let url = RemoteUrl::parse("https://git.example.com:8443/acme/payments.git/").unwrap();
        assert_eq!(url.to_string(), "https://git.example.com:8443/acme/payments.git");
        assert_eq!((url.host(), url.path()), ("git.example.com", "/acme/payments.git"));
        assert!(RemoteUrl::parse("http://127.0.0.1:80/a").is_ok() && RemoteUrl::parse("http://[::1]/a").is_ok());
        for (text, why) in [
            ("https://user:secret@git.example.com/a", InvalidUrl::Userinfo),
            ("https://git.example.com/a?token=secret", InvalidUrl::Query),
            ("https://git.example.com/a#b", InvalidUrl::Query),
            ("http://git.example.com/a", InvalidUrl::Scheme),
            ("http://localhost.example.com/a", InvalidUrl::Scheme),
            ("ssh://git.example.com/a", InvalidUrl::Scheme),
            ("https://git.example.com/", InvalidUrl::Malformed),
            ("/a/b", InvalidUrl::Malformed),
            ("", InvalidUrl::Malformed),
        ] {
            assert_eq!(RemoteUrl::parse(text), Err(why), "{text}");
        }
    }

    #[test]
    fn a_redirect_keeps_scheme_and_page() {
        const PAGE: &str = "info/refs?service=git-upload-pack";
        let url = RemoteUrl::parse("https://git.example.com/old").unwrap();
        let to = |location: &str| url.redirected(&format!("{location}{PAGE}"), PAGE).map(|url| url.to_string());
        assert_eq!(to("/new.git/").as_deref(), Some("https://git.example.com/new.git"));
        assert_eq!(to("https://other.example.com/new/").as_deref(), Some("https://other.example.com/new"));
        assert_eq!(to("http://127.0.0.1/new/"), None, "not to plain HTTP");
        assert_eq!(to("https://user:x@git.example.com/new/"), None);
        assert_eq!(to("//git.example.com/new/"), None);
        assert_eq!(url.redirected("https://git.example.com/login", PAGE), None);
    }

    #[test]
    fn another_port_is_another_host() {
        let host = |text: &str| RemoteUrl::parse(text).unwrap();
        let url = host("https://git.example.com/a");
        assert!(url.has_host_of(&host("https://GIT.example.com:443/b")));
        assert!(!url.has_host_of(&host("https://git.example.com:8443/a")));
        assert!(!url.has_host_of(&host("https://example.com/a")));
    }
}
