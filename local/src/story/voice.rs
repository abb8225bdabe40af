//! How the story is told: scenes, who does what, what came of it.

use std::io::Write;

use crate::command::Paint;

/// Tells the story to somebody.
pub struct Voice {
    out: Box<dyn Write + Send>,
    paint: Paint,
    scenes: u32,
}

impl std::fmt::Debug for Voice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Voice").field("paint", &self.paint).field("scenes", &self.scenes).finish_non_exhaustive()
    }
}

impl Voice {
    /// Tells it into `out`.
    pub fn new(out: Box<dyn Write + Send>, paint: Paint) -> Self {
        Self { out, paint, scenes: 0 }
    }

    /// A scene begins.
    pub fn scene(&mut self, title: &str) {
        self.scenes += 1;
        let line = self.paint.headline(&format!("{}. {title}", self.scenes));
        self.line(&format!("\n{line}"));
    }

    /// Somebody does something.
    pub fn does(&mut self, who: &str, what: &str) {
        let who = self.paint.notice(&format!("{who:>11}"));
        let mut lines = what.lines();
        let first = lines.next().unwrap_or_default();
        self.line(&format!("{who}  {first}"));
        for line in lines {
            self.line(&format!("{:11}  {line}", ""));
        }
    }

    /// A text as it is, such as a mail, set apart by a rule at its side.
    pub fn quote(&mut self, text: &str) {
        for line in text.lines() {
            let rule = self.paint.dim("|");
            self.line(format!("{:11}  {rule} {line}", "").trim_end());
        }
    }

    /// A line of its own.
    pub fn line(&mut self, text: &str) {
        // Whoever listened has gone (a closed pipe): the story plays on, its end still counts.
        let _gone = writeln!(self.out, "{text}");
        let _gone = self.out.flush();
    }

    /// Something went well.
    pub fn good(&mut self, text: &str) {
        let text = self.paint.good(text);
        self.line(&text);
    }
}
