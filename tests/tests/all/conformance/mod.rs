//! Every operation of the local cloud held against AWS's own service models, as botocore carries them.
//!
//! `SIGNALBOX_SERVICE_MODELS` names the folder `botocore/data`; without it these tests say that they skip, and in CI
//! they fail. Each service
//! has a script of good calls and of refusals. Before a good call is made, every way in which the model says that its
//! input can be bad is tried and must be refused; what it answers is held against the output's shape, and every
//! refusal against the errors that the model lists for the operation.

mod answer;
mod cloudformation;
mod codebuild;
mod codecommit;
mod codecommit_reviews;
mod common;
mod events;
mod iam;
mod logs;
mod model;
mod run;
mod s3;
mod secretsmanager;
mod sns;
mod spoil;
mod sqs;
mod sts;
mod wire;
mod xml;
