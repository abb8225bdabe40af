//! What is known of a request when it is judged.

use std::collections::BTreeMap;

/// Values by condition key. Keys are the same in any case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context(BTreeMap<String, Vec<String>>);

impl Context {
    /// With one value for a key.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.0.insert(key.to_ascii_lowercase(), vec![value.into()]);
        self
    }

    /// With one value, if there is one.
    #[must_use]
    pub fn with_if(self, key: &str, value: Option<impl Into<String>>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    /// With all values of a key that can have several.
    #[must_use]
    pub fn with_all(mut self, key: &str, values: impl IntoIterator<Item = String>) -> Self {
        self.0.insert(key.to_ascii_lowercase(), values.into_iter().collect());
        self
    }

    /// The values of a key, which is in lower case; `None` where the request has none.
    pub(super) fn get(&self, key: &str) -> Option<&[String]> {
        self.0.get(key).map(Vec::as_slice)
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }
}

/// The keys that a policy may name: all that some request here carries, and those that no request here can carry.
///
/// Any other is refused when the policy is set: a condition on what is never known would silently never hold.
const KEYS: &[&str] = &[
    // What every request carries, if its principal has it.
    "aws:currenttime",
    "aws:epochtime",
    "aws:principalaccount",
    "aws:principalarn",
    "aws:principalisawsservice",
    "aws:principalservicename",
    "aws:principalservicenameslist",
    "aws:principaltype",
    "aws:requestedregion",
    "aws:resourceaccount",
    "aws:securetransport",
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:sourceip",
    "aws:sourceowner",
    "aws:userid",
    "aws:username",
    "aws:viaawsservice",
    // What no request here carries: no second factor, no organization, no network of one's own, no calls in between.
    "aws:calledvia",
    "aws:calledviafirst",
    "aws:calledvialast",
    "aws:multifactorauthage",
    "aws:multifactorauthpresent",
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:resourceorgid",
    "aws:resourceorgpaths",
    "aws:sourceorgid",
    "aws:sourceorgpaths",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "aws:vpcsourceip",
    // What single services add.
    "codecommit:references",
    "events:detail-type",
    "events:eventbusinvocation",
    "events:source",
    "events:targetarn",
    "iam:passedtoservice",
    "s3:delimiter",
    "s3:max-keys",
    "s3:prefix",
    "s3:versionid",
    "sns:endpoint",
    "sns:protocol",
    "sts:externalid",
    "sts:rolesessionname",
];

/// Keys of which the end is somebody's own word.
const FAMILIES: &[&str] = &["aws:principaltag/", "aws:requesttag/", "aws:resourcetag/"];

/// Whether a key, in lower case, is one that a policy may name.
pub(super) fn is_known(key: &str) -> bool {
    KEYS.contains(&key) || FAMILIES.iter().any(|family| key.strip_prefix(family).is_some_and(|tag| !tag.is_empty()))
}
