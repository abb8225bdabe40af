//! The rules of the notifier: facts in, decision out.
