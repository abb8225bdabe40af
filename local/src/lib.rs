//! The local cloud and the signalbox command.
