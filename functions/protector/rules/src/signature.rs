//! Signatures of commits: what was found, and what is wrong with it.
//!
//! The cryptography is in [`ssh`] and [`openpgp`], both pure functions of bytes and keys. It is done when the commits are read, so that facts hold who
//! signed and what the signature is worth, and not the bytes; whose signatures count says each protection by itself.

mod openpgp;
mod ssh;

use std::fmt;

use serde::{Deserialize, Serialize};
use signalbox_events::PullRequestId;
use signalbox_policy::{Signed, SigningKey, speaks_for};

use crate::range::CommitFacts;
use openpgp::Certificates;

/// The signature of a commit, as far as it was looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signature {
    /// Nobody wanted to know.
    #[default]
    NotRead,
    /// There is none.
    Missing,
    /// There is none, since CodeCommit made the commit when it merged this pull request, and it signs nothing.
    Merge(PullRequestId),
    /// It is of a kind that cannot be checked.
    Unsupported {
        /// Which.
        kind: String,
    },
    /// It cannot be read.
    Spoilt {
        /// Why.
        why: String,
    },
    /// It can be read.
    By {
        /// The key: `SHA256:...` of an SSH key, as `ssh-keygen -l` shows it; the fingerprint of an OpenPGP key, or its id where no more is known.
        signer: String,
        /// What it is worth.
        worth: Worth,
    },
}

/// What a signature is worth that can be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Worth {
    /// That key made it over this commit.
    Good,
    /// It was not made over this commit: something was changed since, or it was copied from elsewhere.
    OtherContent,
    /// It was made over a digest that can be forged.
    Weak {
        /// Which.
        hash: String,
    },
    /// An SSH signature for something else than git.
    Namespace(String),
    /// An OpenPGP signature by a key that no protection names: it cannot be checked.
    NoKey,
    /// The OpenPGP key had expired when it was made, or was not yet made.
    Expired,
    /// The OpenPGP key was revoked.
    Revoked,
    /// The OpenPGP key is for something else than signing.
    NotForSigning,
}

impl Signature {
    /// Whether nobody looked at it.
    pub fn is_not_read(&self) -> bool {
        *self == Self::NotRead
    }
}

/// The keys that signatures are checked with, read once for many commits.
///
/// An SSH signature brings its key along; an OpenPGP one only names it.
#[derive(Debug, Default)]
pub struct Keyring {
    certificates: Certificates,
}

impl Keyring {
    /// The keys of a policy.
    pub fn of(keys: &[SigningKey]) -> Self {
        let blocks = keys.iter().filter_map(|key| match key {
            SigningKey::OpenPgp(block) => Some(block.as_str()),
            SigningKey::Ssh { .. } => None,
        });
        Self { certificates: Certificates::read(blocks) }
    }

    /// Checks the signatures of one commit over its content without them.
    pub fn check(&self, signatures: &[String], content: &[u8]) -> Signature {
        let text = match signatures {
            [] => return Signature::Missing,
            [one] => one.trim(),
            [..] => return Signature::Spoilt { why: "the commit has several".to_owned() },
        };
        let first = text.lines().next().unwrap_or_default();
        match first.trim_end() {
            ssh::BEGIN => ssh::check(text, content),
            openpgp::BEGIN => self.certificates.check(text, content),
            "-----BEGIN SIGNED MESSAGE-----" => Signature::Unsupported { kind: "X.509 (gpgsm, smimesign)".to_owned() },
            _ => Signature::Unsupported { kind: "none that is known".to_owned() },
        }
    }
}

/// What is wrong with the signature of a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unsigned {
    /// There is none.
    Missing,
    /// It is of a kind that cannot be checked.
    Unsupported {
        /// Which.
        kind: String,
    },
    /// It cannot be read.
    Spoilt {
        /// Why.
        why: String,
    },
    /// It is good, and of a key that the policy does not allow; of an OpenPGP key it is not known whether it is good.
    OtherKey {
        /// Which.
        signer: String,
        /// So many keys of the policy cannot be read.
        unreadable: usize,
    },
    /// It is of an allowed key, which does not speak for this committer.
    OtherCommitter {
        /// Which key.
        signer: String,
        /// The committer.
        email: String,
    },
    /// It is of no worth.
    Worthless {
        /// Which key.
        signer: String,
        /// Why.
        worth: Worth,
    },
    /// The facts do not tell it.
    NotRead,
}

/// Whose signatures a protection allows, made ready for many commits.
pub(crate) struct Allowed<'a> {
    by: Option<Vec<(String, &'a [String])>>,
    unreadable: usize,
}

impl<'a> Allowed<'a> {
    pub(crate) fn of(signed: &'a Signed) -> Self {
        let Signed::By(keys) = signed else { return Self { by: None, unreadable: 0 } };
        let (mut by, mut unreadable) = (Vec::new(), 0);
        for key in keys {
            let found = match key {
                SigningKey::Ssh { key, principals } => {
                    ssh::fingerprint(key).into_iter().map(|id| (id, principals.as_slice())).collect::<Vec<_>>()
                }
                SigningKey::OpenPgp(block) => {
                    openpgp::fingerprints(block).into_iter().map(|id| (id, [].as_slice())).collect()
                }
            };
            unreadable += usize::from(found.is_empty());
            by.extend(found);
        }
        Self { by: Some(by), unreadable }
    }

    /// What is wrong with a commit's signature; nothing where all is well.
    pub(crate) fn fault(&self, commit: &CommitFacts) -> Option<Unsigned> {
        let (signer, worth) = match &commit.signature {
            Signature::NotRead => return Some(Unsigned::NotRead),
            Signature::Missing => return Some(Unsigned::Missing),
            Signature::Merge(_) => return None,
            Signature::Unsupported { kind } => return Some(Unsigned::Unsupported { kind: kind.clone() }),
            Signature::Spoilt { why } => return Some(Unsigned::Spoilt { why: why.clone() }),
            Signature::By { signer, worth } => (signer, worth),
        };
        let Some(by) = &self.by else {
            // Whose key it is nobody asks: what can be checked with it must hold.
            let holds = matches!(worth, Worth::Good | Worth::NoKey);
            return (!holds).then(|| Unsigned::Worthless { signer: signer.clone(), worth: worth.clone() });
        };
        let mut principals = by.iter().filter(|(id, _)| id == signer).map(|(_, principals)| *principals).peekable();
        if *worth == Worth::NoKey || (principals.peek().is_none() && *worth == Worth::Good) {
            return Some(Unsigned::OtherKey { signer: signer.clone(), unreadable: self.unreadable });
        }
        if *worth != Worth::Good {
            return Some(Unsigned::Worthless { signer: signer.clone(), worth: worth.clone() });
        }
        let speaks = principals.any(|principals| speaks_for(principals, &commit.committer));
        (!speaks).then(|| Unsigned::OtherCommitter { signer: signer.clone(), email: commit.committer.clone() })
    }
}

impl Unsigned {
    /// How whoever made the commit mends it.
    pub const fn repair(&self) -> &'static str {
        match self {
            Self::Missing => {
                "sign it: git commit --amend --no-edit -S, or git rebase --exec 'git commit --amend --no-edit -S' for several; git config \
                 commit.gpgSign true signs the next by itself"
            }
            Self::Unsupported { .. } => {
                "sign it with an SSH or OpenPGP key: git config gpg.format ssh, then git commit --amend --no-edit -S"
            }
            Self::Spoilt { .. } | Self::Worthless { worth: Worth::OtherContent, .. } => {
                "sign it anew: git commit --amend --no-edit -S, or git rebase --exec 'git commit --amend --no-edit -S' for several"
            }
            Self::OtherKey { .. } => {
                "sign it with a key that the policy allows (git config user.signingKey), or have the public key added to commits.signed"
            }
            Self::OtherCommitter { .. } => {
                "commit it with the address that the key is allowed for (git config user.email): git commit --amend --no-edit --reset-author -S"
            }
            Self::Worthless { worth: Worth::Weak { .. }, .. } => {
                "sign it with another digest (gpg: digest-algo SHA256; an RSA key of SSH: a current ssh-keygen)"
            }
            Self::Worthless { worth: Worth::Namespace(_), .. } => {
                "sign it with git itself, git commit --amend --no-edit -S, whose signatures have the namespace git"
            }
            Self::Worthless { worth: Worth::Expired, .. } => {
                "extend the key (gpg --quick-set-expire) and have the policy's copy of it replaced, or sign with another key"
            }
            Self::Worthless { .. } => "sign it with another key, and have its public key added to commits.signed",
            Self::NotRead => "gather the facts anew",
        }
    }
}

/// What is wrong, as the rest of a sentence.
impl fmt::Display for Unsigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("it is not signed"),
            Self::Unsupported { kind } => write!(f, "its signature is of a kind that is not checked: {kind}"),
            Self::Spoilt { why } => write!(f, "its signature cannot be read: {why}"),
            Self::OtherKey { signer, unreadable: 0 } => {
                write!(f, "it is signed by {signer}, which is none of the allowed keys")
            }
            Self::OtherKey { signer, unreadable } => write!(
                f,
                "it is signed by {signer}, which is none of the allowed keys; {unreadable} of the policy's keys cannot be read"
            ),
            Self::OtherCommitter { signer, email } => {
                write!(f, "it is signed by {signer}, which does not speak for the committer {email:?}")
            }
            Self::Worthless { signer, worth } => match worth {
                Worth::OtherContent => write!(f, "its signature by {signer} was not made over this commit"),
                Worth::Weak { hash } => {
                    write!(f, "its signature by {signer} is over a {hash} digest, which can be forged")
                }
                Worth::Namespace(name) => write!(f, "its signature by {signer} was made for {name:?} and not for git"),
                Worth::Expired => write!(f, "it is signed by {signer}, which was not valid at that time"),
                Worth::Revoked => write!(f, "it is signed by {signer}, which was revoked"),
                Worth::NotForSigning => write!(f, "it is signed by {signer}, which is not for signing"),
                Worth::Good | Worth::NoKey => write!(f, "it is signed by {signer}"),
            },
            Self::NotRead => f.write_str("whether it is signed was not looked at"),
        }
    }
}
