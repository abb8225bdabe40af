//! What a server says it can do.

use crate::WireError;

/// How this program calls itself.
pub(crate) const AGENT: &str = concat!("signalbox/", env!("CARGO_PKG_VERSION"));

/// The capabilities of one service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities(Vec<(String, Option<String>)>);

impl Capabilities {
    /// One capability, as `name` or `name=value`.
    pub(crate) fn add(&mut self, capability: &[u8]) {
        let text = String::from_utf8_lossy(capability);
        self.0.push(match text.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (text.into_owned(), None),
        });
    }

    /// The list behind the NUL byte of versions 0 and 1.
    pub(crate) fn parse_list(list: &[u8]) -> Self {
        let mut capabilities = Self::default();
        for capability in list.split(|&byte| byte == b' ').filter(|word| !word.is_empty()) {
            capabilities.add(capability);
        }
        capabilities
    }

    /// Whether it is there, with or without a value.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// Its values; `symref` may come several times.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).filter_map(|(_, value)| value.as_deref())
    }

    /// Whether a command of version 2 has a feature, such as `shallow` of `fetch`.
    pub fn has_feature(&self, command: &str, feature: &str) -> bool {
        self.values(command).any(|features| features.split(' ').any(|known| known == feature))
    }

    /// Its name if it is there, else an error that says so.
    pub(crate) fn require(&self, name: &'static str) -> Result<&'static str, WireError> {
        if self.has(name) { Ok(name) } else { Err(WireError::Missing(name)) }
    }

    /// Servers that say nothing use SHA-1.
    pub(crate) fn check_object_format(&self) -> Result<(), WireError> {
        let mut formats = self.values("object-format").peekable();
        match formats.peek().copied() {
            Some(first) if !formats.any(|format| format == "sha1") => Err(WireError::ObjectFormat(first.to_owned())),
            _ => Ok(()),
        }
    }

    /// `agent` and `object-format`, where the server has them, as they are sent back to it.
    pub(crate) fn answers(&self) -> impl Iterator<Item = String> {
        let agent = self.has("agent").then(|| format!("agent={AGENT}"));
        let format = self.has("object-format").then(|| "object-format=sha1".to_owned());
        agent.into_iter().chain(format)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_have_names_values_and_features() {
        let mut list = Capabilities::parse_list(b" multi_ack  symref=HEAD:refs/heads/main symref=A:B");
        list.add(b"fetch=shallow filter");
        assert!(list.has("multi_ack") && !list.has("multi"));
        assert_eq!(list.values("symref").collect::<Vec<_>>(), ["HEAD:refs/heads/main", "A:B"]);
        assert!(list.has_feature("fetch", "filter") && !list.has_feature("fetch", "filt"));
        assert_eq!(list.require("atomic"), Err(WireError::Missing("atomic")));
    }

    #[test]
    fn another_object_format_is_called_by_its_name() {
        assert_eq!(Capabilities::default().check_object_format(), Ok(()));
        assert_eq!(Capabilities::parse_list(b"object-format=sha1").check_object_format(), Ok(()));
        let other = Capabilities::parse_list(b"object-format=sha256").check_object_format().unwrap_err();
        assert!(other.to_string().contains("sha256"), "{other}");
    }
}
