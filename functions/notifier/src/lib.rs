//! The notifier function: mail that a person can read.
