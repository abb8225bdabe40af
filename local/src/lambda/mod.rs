//! Lambda: the Runtime API and the real binaries behind it.
