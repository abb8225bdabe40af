//! Claims, reports and small state over conditional S3 writes.
