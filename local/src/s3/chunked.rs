//! The `aws-chunked` encoding: how SDKs send a body whose checksum follows it.
//!
//! The checksum in the trailer is verified by the caller of this module. The signatures of the single chunks are not: the
//! head's signature was, and there is nobody on loopback between the client and us.

use super::error::{Outcome, Refused};

/// A body without its chunks, and the trailer fields that came after it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decoded {
    pub(super) bytes: Vec<u8>,
    /// Names in lower case.
    pub(super) trailer: Vec<(String, String)>,
}

/// Takes the chunks apart.
///
/// # Errors
/// `IncompleteBody` where it ends too early, is not made of chunks, or is not as long as `decoded_length` says.
pub(super) fn parse_chunked(body: &[u8], decoded_length: usize) -> Outcome<Decoded> {
    let mut rest = body;
    let mut bytes = Vec::new();
    loop {
        let line = take_line(&mut rest)?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16)
            .map_err(|_| incomplete(&format!("a chunk's size is {:?}", size.chars().take(20).collect::<String>())))?;
        if size == 0 {
            break;
        }
        let (chunk, after) = rest.split_at_checked(size).ok_or_else(|| incomplete("a chunk is cut off"))?;
        bytes.extend_from_slice(chunk);
        rest = after.strip_prefix(b"\r\n").ok_or_else(|| incomplete("a chunk does not end where it says"))?;
    }
    let mut trailer = Vec::new();
    while !rest.is_empty() {
        let line = take_line(&mut rest)?;
        if line.is_empty() {
            continue;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| {
            Refused::new(400, "MalformedTrailerError", "The request contained trailing data that was not well-formed.")
        })?;
        trailer.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
    }
    if bytes.len() != decoded_length {
        return Err(incomplete(&format!(
            "it holds {} bytes, x-amz-decoded-content-length says {decoded_length}",
            bytes.len()
        )));
    }
    Ok(Decoded { bytes, trailer })
}

fn take_line<'a>(rest: &mut &'a [u8]) -> Outcome<&'a str> {
    let end = rest.windows(2).position(|pair| pair == b"\r\n").ok_or_else(|| incomplete("a line has no end"))?;
    let (line, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
    *rest = after.get(2..).unwrap_or_default();
    std::str::from_utf8(line).map_err(|_| incomplete("a line is not text"))
}

fn incomplete(what: &str) -> Refused {
    Refused::new(
        400,
        "IncompleteBody",
        format!("The request body terminated unexpectedly: the aws-chunked body is not well-formed, {what}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_joined_and_the_trailer_is_read() {
        let body = b"5;chunk-signature=abc\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n";
        let decoded = parse_chunked(body, 11).unwrap();
        assert_eq!(decoded.bytes, b"hello world");
        assert_eq!(decoded.trailer, [("x-amz-checksum-crc32".to_owned(), "DUoRhQ==".to_owned())]);
        assert_eq!(parse_chunked(b"0\r\n\r\n", 0).unwrap().bytes, b"");
    }

    #[test]
    fn a_body_cut_at_any_byte_is_refused_or_lacks_its_trailer() {
        let body = b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n";
        for end in 0..body.len() - 2 {
            if let Ok(decoded) = parse_chunked(&body[..end], 5) {
                assert!(decoded.trailer.is_empty(), "cut at {end}");
            }
        }
        assert_eq!(parse_chunked(body, 6).unwrap_err().code, "IncompleteBody");
        assert_eq!(parse_chunked(b"ffffffffffffffff\r\nx", 5).unwrap_err().code, "IncompleteBody");
    }
}
