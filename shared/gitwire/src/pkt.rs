//! pkt-lines: the frames that everything else comes in.

use bytes::{Buf, Bytes, BytesMut};

/// The most that one pkt-line carries.
pub const MOST_PAYLOAD: usize = 65_516;

const HEADER: usize = 4;

/// One pkt-line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pkt {
    /// `0004` and longer: what it carries, with its line end if it has one.
    Data(Bytes),
    /// `0000`: the end of a message.
    Flush,
    /// `0001`: the end of a section.
    Delimiter,
    /// `0002`: the end of a stateless answer.
    ResponseEnd,
}

/// What is not a pkt-line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PktError {
    /// Four bytes that are no hexadecimal number.
    #[error("{0:?} is not the length of a pkt-line: the server does not speak git's protocol here")]
    NotALength(String),
    /// `0003`, or more than 65,520.
    #[error("a pkt-line cannot be {0} bytes long")]
    Length(usize),
    /// A payload too long to be sent.
    #[error("{0} bytes do not fit into one pkt-line")]
    TooLong(usize),
}

/// Takes bytes in any pieces and gives pkt-lines.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: BytesMut,
}

impl Decoder {
    /// Adds what arrived.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next pkt-line, or nothing until more has arrived.
    pub fn next_pkt(&mut self) -> Result<Option<Pkt>, PktError> {
        let Some(header) = self.buffer.first_chunk::<HEADER>() else { return Ok(None) };
        let length = parse_length(header)?;
        let short = match length {
            0 => Some(Pkt::Flush),
            1 => Some(Pkt::Delimiter),
            2 => Some(Pkt::ResponseEnd),
            3 => return Err(PktError::Length(3)),
            _ if length > HEADER + MOST_PAYLOAD => return Err(PktError::Length(length)),
            _ => None,
        };
        if short.is_some() {
            self.buffer.advance(HEADER);
            return Ok(short);
        }
        if self.buffer.len() < length {
            return Ok(None);
        }
        let mut line = self.buffer.split_to(length);
        line.advance(HEADER);
        Ok(Some(Pkt::Data(line.freeze())))
    }

    /// Whether nothing is left over.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// What has arrived and is no complete pkt-line yet.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.buffer
    }

    /// Hands that out and forgets it, for what is not framed.
    pub(crate) fn take_rest(&mut self) -> Bytes {
        self.buffer.split().freeze()
    }
}

fn parse_length(header: &[u8; HEADER]) -> Result<usize, PktError> {
    header.iter().try_fold(0, |length, &digit| match char::from(digit).to_digit(16) {
        Some(value) => Ok(length << 4 | value as usize),
        None => Err(PktError::NotALength(crate::error::quote(header))),
    })
}

/// Appends one pkt-line.
pub fn write(out: &mut Vec<u8>, payload: &[u8]) -> Result<(), PktError> {
    if payload.len() > MOST_PAYLOAD {
        return Err(PktError::TooLong(payload.len()));
    }
    out.extend_from_slice(format!("{:04x}", payload.len() + HEADER).as_bytes());
    out.extend_from_slice(payload);
    Ok(())
}

/// Appends one pkt-line that holds a line of text.
pub(crate) fn write_line(out: &mut Vec<u8>, line: std::fmt::Arguments<'_>) -> Result<(), PktError> {
    write(out, format!("{line}\n").as_bytes())
}

/// Appends the end of a message.
pub fn write_flush(out: &mut Vec<u8>) {
    out.extend_from_slice(b"0000");
}

/// Appends the end of a section.
pub fn write_delimiter(out: &mut Vec<u8>) {
    out.extend_from_slice(b"0001");
}

/// A payload as a line of text, without its line end.
pub(crate) fn text(payload: &[u8]) -> &[u8] {
    payload.strip_suffix(b"\n").unwrap_or(payload)
}

/// A payload as a line of text, unless it is the server's word that it gives up.
pub(crate) fn checked_text(payload: &[u8]) -> Result<&[u8], crate::WireError> {
    match payload.strip_prefix(b"ERR ") {
        Some(words) => Err(crate::WireError::said(words)),
        None => Ok(text(payload)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(pieces: &[&[u8]]) -> Result<Vec<Pkt>, PktError> {
        let mut decoder = Decoder::default();
        let mut lines = Vec::new();
        for piece in pieces {
            decoder.feed(piece);
            while let Some(line) = decoder.next_pkt()? {
                lines.push(line);
            }
        }
        Ok(lines)
    }

    #[test]
    fn every_kind_of_line_is_known() {
        let lines = decode(&[b"0006a\n000400000001000200", b"0ahel"]).unwrap();
        let data = |text: &'static str| Pkt::Data(Bytes::from_static(text.as_bytes()));
        assert_eq!(lines, [data("a\n"), data(""), Pkt::Flush, Pkt::Delimiter, Pkt::ResponseEnd]);
    }

    #[test]
    fn what_is_no_length_is_an_error_at_once() {
        assert_eq!(decode(&[b"<htm"]), Err(PktError::NotALength("<htm".into())));
        assert_eq!(decode(&[b"+004"]), Err(PktError::NotALength("+004".into())));
        assert_eq!(decode(&[b"0003"]), Err(PktError::Length(3)));
        assert_eq!(decode(&[b"fff1"]), Err(PktError::Length(65_521)));
        assert_eq!(decode(&[b"fff0"]), Ok(Vec::new()));
        assert_eq!(write(&mut Vec::new(), &[0; 65_517]), Err(PktError::TooLong(65_517)));
    }

    proptest! {
        #[test]
        fn where_the_pieces_break_does_not_matter(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..6),
            size in 1_usize..50,
        ) {
            let mut sent = Vec::new();
            for payload in &payloads {
                write(&mut sent, payload).unwrap();
                write_flush(&mut sent);
            }
            let expected: Vec<Pkt> =
                payloads.into_iter().flat_map(|payload| [Pkt::Data(payload.into()), Pkt::Flush]).collect();
            prop_assert_eq!(decode(&sent.chunks(size).collect::<Vec<_>>()).unwrap(), expected);
        }

        #[test]
        fn nothing_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), size in 1_usize..20) {
            let _whatever_it_is = decode(&bytes.chunks(size).collect::<Vec<_>>());
        }
    }
}
