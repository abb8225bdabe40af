//! Scenarios with their transcripts, and the template held against the code.
