//! What every main() needs: environment, tracing, clients, SQS batches, deadlines.
