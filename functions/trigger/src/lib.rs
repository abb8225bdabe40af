//! The trigger function: starts builds, pipelines and deployments.
