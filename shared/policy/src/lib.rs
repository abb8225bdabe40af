//! The policy file: parsed, checked, and asked.
