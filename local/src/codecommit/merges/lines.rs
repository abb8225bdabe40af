//! The lines of one file, merged by `git merge-file`, and the hunks in which they conflict.

use super::super::git::GitFailure;
use super::super::repositories::{Repositories, Repository};
use crate::error::{Answer, ServiceError};

/// How many signs a conflict marker has: more than anybody writes.
const MARKER: usize = 47;

/// Three versions of a file; a side that does not have it is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Versions {
    pub(super) base: Vec<u8>,
    pub(super) source: Vec<u8>,
    pub(super) destination: Vec<u8>,
}

/// Which side wins where both changed the same lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Favour {
    Nobody,
    Source,
    Destination,
}

/// One side of a hunk: where it stands, counted from 0, and its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Side {
    pub(super) start: usize,
    /// The last line; the first one where there is none.
    pub(super) end: usize,
    pub(super) text: Vec<u8>,
}

/// Lines that both sides changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hunk {
    pub(super) source: Option<Side>,
    pub(super) destination: Option<Side>,
    pub(super) base: Option<Side>,
}

/// What came of merging lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lines {
    Merged(Vec<u8>),
    Conflict(Vec<Hunk>),
}

impl Side {
    pub(super) fn new(start: usize, text: Vec<u8>) -> Self {
        let count = lines(&text).count();
        Self { start, end: start + count.saturating_sub(1), text }
    }
}

impl Versions {
    /// Whether git would not merge it line by line.
    pub(super) fn is_binary(&self) -> bool {
        [&self.base, &self.source, &self.destination].into_iter().any(|text| is_binary(text))
    }
}

/// git's own rule: a zero byte among the first 8,000.
pub(super) fn is_binary(text: &[u8]) -> bool {
    text.iter().take(8000).any(|byte| *byte == 0)
}

impl Repositories {
    pub(super) async fn merge_lines(
        &self,
        repository: &Repository,
        versions: &Versions,
        favour: Favour,
    ) -> Answer<Lines> {
        let folder = self.scratch()?;
        let write = |name: &str, text: &[u8]| -> Answer<String> {
            let file = folder.path().join(name);
            std::fs::write(&file, text).map_err(ServiceError::internal)?;
            Ok(file.to_string_lossy().into_owned())
        };
        let destination = write("destination", &versions.destination)?;
        let base = write("base", &versions.base)?;
        let source = write("source", &versions.source)?;
        let marker = format!("--marker-size={MARKER}");
        let mut arguments = vec!["-p", "--quiet", &marker, "--diff3"];
        match favour {
            Favour::Nobody => {}
            Favour::Source => arguments.push("--theirs"),
            Favour::Destination => arguments.push("--ours"),
        }
        arguments.extend([destination.as_str(), base.as_str(), source.as_str()]);
        let merged = self.git.merge_file(&repository.dir, &arguments).await?;
        if !merged.conflicts {
            return Ok(Lines::Merged(merged.text));
        }
        parse(&merged.text).map(Lines::Conflict).ok_or_else(|| {
            let answer = String::from_utf8_lossy(&merged.text).chars().take(200).collect();
            GitFailure::Answer { command: "merge-file", answer }.into()
        })
    }
}

/// Every line with its end.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|byte| *byte == b'\n')
}

/// Which part of a conflict the lines belong to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Between,
    Destination,
    Base,
    Source,
}

/// Reads the conflicts out of a merged text. Their places count earlier conflicts as the destination has them.
fn parse(text: &[u8]) -> Option<Vec<Hunk>> {
    let marks = |sign: u8, line: &[u8]| {
        line.len() > MARKER
            && line.iter().take(MARKER).all(|byte| *byte == sign)
            && line.get(MARKER).is_some_and(|next| matches!(next, b' ' | b'\n' | b'\r'))
    };
    let (mut part, mut at, mut hunks) = (Part::Between, 0, Vec::new());
    let (mut destination, mut base, mut source) = (Vec::new(), Vec::new(), Vec::new());
    for line in lines(text) {
        match part {
            Part::Between if marks(b'<', line) => part = Part::Destination,
            Part::Between => at += 1,
            Part::Destination if marks(b'|', line) => part = Part::Base,
            Part::Destination => destination.extend_from_slice(line),
            Part::Base if marks(b'=', line) => part = Part::Source,
            Part::Base => base.extend_from_slice(line),
            Part::Source if marks(b'>', line) => {
                part = Part::Between;
                let taken = lines(&destination).count();
                let side = |text: &mut Vec<u8>| Some(Side::new(at, std::mem::take(text)));
                hunks.push(Hunk {
                    destination: side(&mut destination),
                    base: side(&mut base),
                    source: side(&mut source),
                });
                at += taken;
            }
            Part::Source => source.extend_from_slice(line),
        }
    }
    (part == Part::Between && !hunks.is_empty()).then_some(hunks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conflicts_are_read_with_their_places_and_lines_that_look_like_markers_are_lines() {
        let (a, b, c, d) = ("<".repeat(47), "|".repeat(47), "=".repeat(47), ">".repeat(47));
        let text = format!(
            "one\n<<<<<<< no marker\n{a} x\nours 1\nours 2\n{b} x\nold\n{c}\ntheirs\n{d} x\nmiddle\n{a} x\n{b} x\n{c}\nadded\n{d} x\n"
        );
        let hunks = parse(text.as_bytes()).unwrap();
        let side = |start, end, text: &str| Some(Side { start, end, text: text.as_bytes().to_vec() });
        assert_eq!(hunks[0].destination, side(2, 3, "ours 1\nours 2\n"));
        assert_eq!(hunks[0].base, side(2, 2, "old\n"));
        assert_eq!(hunks[0].source, side(2, 2, "theirs\n"));
        assert_eq!(hunks[1].source, side(5, 5, "added\n"));
        assert_eq!(hunks[1].destination, side(5, 5, ""));
        assert_eq!(parse(format!("{a} x\nours\n").as_bytes()), None, "a conflict without an end");
    }

    #[test]
    fn a_zero_byte_near_the_start_makes_a_file_binary() {
        assert!(is_binary(b"a\0b") && !is_binary(b"text") && !is_binary(&[b'x'; 9000]));
        let far = [vec![b'x'; 8000], vec![0]].concat();
        assert!(!is_binary(&far));
    }
}
