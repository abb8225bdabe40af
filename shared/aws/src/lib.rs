//! AWS as the functions see it: paged readers, error classes, conditional writes.
//!
//! The only crate that names `aws_sdk_*`, one cargo feature a service. What comes out is in the words of
//! `signalbox-events`; what goes wrong is a [`Failure`], already sorted into *try again* and *never*.

mod config;
mod failure;

#[cfg(feature = "cloudformation")]
mod cloudformation;
#[cfg(feature = "codebuild")]
mod codebuild;
#[cfg(feature = "codecommit")]
mod codecommit;
#[cfg(feature = "events")]
mod events;
#[cfg(feature = "git")]
mod git;
#[cfg(feature = "iam")]
mod iam;
#[cfg(feature = "logs")]
mod logs;
#[cfg(feature = "profile")]
mod profile;
#[cfg(feature = "s3")]
mod s3;
#[cfg(feature = "s3")]
mod s3_upload;
#[cfg(feature = "s3")]
mod s3_versions;
#[cfg(feature = "secrets")]
mod secrets;
#[cfg(feature = "sns")]
mod sns;
#[cfg(feature = "sqs")]
mod sqs;
#[cfg(feature = "sts")]
mod sts;

#[cfg(feature = "cloudformation")]
pub use cloudformation::{DeletedStack, StackDescription, StackResource, Stacks};
#[cfg(feature = "codebuild")]
pub use codebuild::*;
#[cfg(feature = "codecommit")]
pub use codecommit::*;
pub use config::{Aws, AwsEnvironment, IncompleteEnvironment, ONCE, OPERATION};
#[cfg(feature = "events")]
pub use events::{Bus, Entry};
pub use failure::{Cause, Failure, Problem, ServiceError};
#[cfg(feature = "git")]
pub use git::{GitAddress, GitPassword};
#[cfg(feature = "iam")]
pub use iam::{Iam, Simulated};
#[cfg(feature = "logs")]
pub use logs::{LogLine, Logs, Searched};
#[cfg(feature = "profile")]
pub use profile::{Account, Identity, NoAccount};
#[cfg(feature = "s3")]
pub use s3::{Bucket, Object, Put};
#[cfg(feature = "s3")]
pub use s3_upload::{Beginning, MOST_HELD, Over, Upload};
#[cfg(feature = "s3")]
pub use s3_versions::{ListedObject, Replaced, VersionRef};
#[cfg(feature = "secrets")]
pub use secrets::{SecretText, Secrets};
#[cfg(feature = "sns")]
pub use sns::{Attribute, Subscriber, Topic};
#[cfg(feature = "sqs")]
pub use sqs::{Depth, Queue, Received};
#[cfg(feature = "sts")]
pub use sts::Roles;
