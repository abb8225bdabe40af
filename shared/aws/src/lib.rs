//! AWS as the functions see it: paged readers, error classes, conditional writes.
