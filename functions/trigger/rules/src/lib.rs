//! The rules of the trigger: facts in, decision out.
