//! Lines of bounded length out of what a process writes.

/// A line as text: what is no UTF-8 is replaced, what is too long is cut.
pub(crate) fn shown(line: &[u8], longest: usize) -> String {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let Some(kept) = line.get(..longest).filter(|kept| kept.len() < line.len()) else {
        return String::from_utf8_lossy(line).into_owned();
    };
    format!("{}... (cut: the line is longer than {longest} bytes)", String::from_utf8_lossy(kept))
}

/// Bytes in, lines out; a line that does not end is cut before it grows without bound.
#[derive(Debug)]
pub(crate) struct Lines {
    longest: usize,
    begun: Vec<u8>,
}

impl Lines {
    /// Lines that are kept up to a length.
    pub(crate) fn at_most(longest: usize) -> Self {
        Self { longest, begun: Vec::new() }
    }

    /// Takes bytes in and gives every line that is complete to `see`.
    pub(crate) fn take(&mut self, mut bytes: &[u8], mut see: impl FnMut(&[u8])) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = bytes.split_at(end);
            self.add(line);
            self.finish(&mut see);
            bytes = rest.get(1..).unwrap_or_default();
        }
        self.add(bytes);
    }

    /// Gives what is left of a line without an end.
    pub(crate) fn end(&mut self, mut see: impl FnMut(&[u8])) {
        if !self.begun.is_empty() {
            self.finish(&mut see);
        }
    }

    fn add(&mut self, bytes: &[u8]) {
        // One byte more than is shown, so that the cut is seen.
        let room = (self.longest + 1).saturating_sub(self.begun.len());
        self.begun.extend(bytes.iter().take(room));
    }

    fn finish(&mut self, see: &mut impl FnMut(&[u8])) {
        see(&self.begun);
        self.begun.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST_LINE: usize = 16 * 1024;

    fn lines(chunks: &[&[u8]]) -> Vec<String> {
        let mut seen = Vec::new();
        let mut lines = Lines::at_most(LONGEST_LINE);
        for chunk in chunks {
            lines.take(chunk, |line| seen.push(shown(line, LONGEST_LINE)));
        }
        lines.end(|line| seen.push(shown(line, LONGEST_LINE)));
        seen
    }

    #[test]
    fn chunks_become_lines_and_the_last_needs_no_end() {
        assert_eq!(lines(&[b"on", b"e\ntwo\r\n\nth", b"ree"]), ["one", "two", "", "three"]);
    }

    #[test]
    fn what_is_no_text_is_shown_as_far_as_it_goes() {
        assert_eq!(lines(&[b"a\xffb\n"]), ["a\u{fffd}b"]);
    }

    #[test]
    fn a_line_without_end_is_cut_and_does_not_grow() {
        let long = vec![b'x'; LONGEST_LINE];
        let mut cutter = Lines::at_most(LONGEST_LINE);
        for _ in 0..100 {
            cutter.take(&long, |_| panic!("no line has ended"));
        }
        assert!(cutter.begun.len() <= LONGEST_LINE + 1);
        let mut seen = Vec::new();
        cutter.take(b"\n", |line| seen.push(shown(line, LONGEST_LINE)));
        assert!(seen[0].contains("cut: the line is longer"), "the cut is told");
        assert!(seen[0].len() < LONGEST_LINE + 100);
    }
}
