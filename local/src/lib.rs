//! The local cloud: the parts of AWS that Signalbox lives on, on one machine, with no account.
//!
//! One HTTP endpoint on loopback serves every service; the service is read from the signature's scope. Each service is a
//! module with its own state; what one service does to another goes through that service's own operations.

pub mod auth;
pub mod chaos;
pub mod cloud;
pub mod cloudformation;
mod cloudtrail;
pub mod codebuild;
pub mod codecommit;
pub mod command;
pub mod error;
pub mod eventbridge;
pub mod git_credential;
mod http;
pub mod iam;
mod input;
pub mod kept;
pub mod lambda;
pub mod logs;
pub mod news;
mod paging;
mod program;
pub mod s3;
pub mod secretsmanager;
pub mod sns;
pub mod sqs;
pub mod stage;
pub mod story;
pub mod sts;
pub mod template;
pub mod world;

pub use http::operations;
