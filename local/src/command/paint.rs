//! Colours, where a person looks; none in a pipe, a file, or where `NO_COLOR` is set.

use std::io::IsTerminal;

/// Paints words, or leaves them as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// With ANSI colours.
    Coloured,
    /// As plain text.
    Plain,
}

impl Paint {
    /// For what goes to standard output.
    pub fn for_stdout() -> Self {
        Self::choose(std::io::stdout().is_terminal())
    }

    /// For what goes to standard error.
    pub fn for_stderr() -> Self {
        Self::choose(std::io::stderr().is_terminal())
    }

    fn choose(is_terminal: bool) -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        if is_terminal && !unwanted { Self::Coloured } else { Self::Plain }
    }

    fn with(self, code: &str, text: &str) -> String {
        match self {
            Self::Coloured => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            Self::Plain => text.to_owned(),
        }
    }

    /// A headline.
    pub fn headline(self, text: &str) -> String {
        self.with("1", text)
    }

    /// Something good.
    pub fn good(self, text: &str) -> String {
        self.with("32", text)
    }

    /// Something bad.
    pub fn bad(self, text: &str) -> String {
        self.with("1;31", text)
    }

    /// Something to notice.
    pub fn notice(self, text: &str) -> String {
        self.with("33", text)
    }

    /// Something less important.
    pub fn dim(self, text: &str) -> String {
        self.with("2", text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_gets_no_colours() {
        assert_eq!(Paint::Plain.bad("error:"), "error:");
        assert_eq!(Paint::choose(false), Paint::Plain);
        assert!(Paint::Coloured.bad("error:").starts_with('\u{1b}'));
    }
}
