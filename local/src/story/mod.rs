//! The story of the demo: a person pushes, the cloud acts, mail arrives. Nothing in here is scripted output.

mod git;
mod scenes;
mod voice;
mod watch;

pub use git::Clone;
pub use scenes::{Cast, play};
pub use voice::Voice;
