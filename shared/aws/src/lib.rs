//! AWS as the functions see it: paged readers, error classes, conditional writes.
//!
//! The only crate that names `aws_sdk_*`, one cargo feature a service. What comes out is in the words of
//! `signalbox-events`; what goes wrong is a [`Failure`], already sorted into *try again* and *never*.

mod config;
mod failure;

#[cfg(feature = "codebuild")]
mod codebuild;
#[cfg(feature = "codecommit")]
mod codecommit;
#[cfg(feature = "logs")]
mod logs;
#[cfg(feature = "s3")]
mod s3;
#[cfg(feature = "sns")]
mod sns;
#[cfg(feature = "sqs")]
mod sqs;

#[cfg(feature = "codebuild")]
pub use codebuild::*;
#[cfg(feature = "codecommit")]
pub use codecommit::*;
pub use config::{Aws, AwsEnvironment, IncompleteEnvironment};
pub use failure::{Failure, Problem};
#[cfg(feature = "logs")]
pub use logs::Logs;
#[cfg(feature = "s3")]
pub use s3::{Bucket, Object, Put};
#[cfg(feature = "sns")]
pub use sns::{Attribute, Topic};
#[cfg(feature = "sqs")]
pub use sqs::Queue;
