//! A request's body, decoded and held against every checksum that came with it.

use bytes::Bytes;

use super::checksum::{Algorithm, md5_base64};
use super::error::{Outcome, Refused};
use super::route::Request;
use crate::auth::{Chunked, NotChunked};

/// A body that is what its sender meant.
#[derive(Debug)]
pub(super) struct Payload {
    pub(super) bytes: Bytes,
    /// The header and value of the checksum to keep: the sender's, or the one that S3 computes by itself.
    pub(super) checksum: (Algorithm, String),
    /// The sender said how to check it.
    pub(super) vouched: bool,
}

/// Takes the body of a request.
///
/// # Errors
/// `BadDigest` for a checksum that differs; what is malformed has codes of its own.
pub(super) fn take(request: &Request) -> Outcome<Payload> {
    let streamed = request.header("x-amz-content-sha256").is_some_and(|hash| hash.starts_with("STREAMING-"))
        || request
            .header("content-encoding")
            .is_some_and(|list| list.split(',').any(|one| one.trim() == "aws-chunked"));
    let (bytes, trailer) = if streamed {
        let length = request.header("x-amz-decoded-content-length").and_then(|length| length.parse::<usize>().ok());
        let length = length.ok_or_else(|| {
            Refused::new(411, "MissingContentLength", "You must provide the x-amz-decoded-content-length HTTP header.")
        })?;
        let chunked = Chunked::parse(&request.body).map_err(not_chunked)?;
        let bytes = chunked.bytes();
        if bytes.len() != length {
            let what = format!("it holds {} bytes, x-amz-decoded-content-length says {length}", bytes.len());
            return Err(not_chunked(NotChunked::Incomplete(what)));
        }
        (Bytes::from(bytes), chunked.trailer().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    } else {
        (request.body.clone(), Vec::<(String, String)>::new())
    };
    if let Some(declared) = request.header("x-amz-trailer") {
        for name in declared.split(',').map(|name| name.trim().to_ascii_lowercase()) {
            if trailer.iter().all(|(given, _)| *given != name) {
                return Err(Refused::new(
                    400,
                    "MalformedTrailerError",
                    format!(
                        "The request contained trailing data that was not well-formed: {name} was declared and is missing"
                    ),
                ));
            }
            if !Algorithm::ALL.iter().any(|algorithm| algorithm.header() == name) {
                return Err(Refused::unsupported_header(&name));
            }
        }
    }

    let md5 = request.header("content-md5");
    if let Some(md5) = md5 {
        let really = md5_base64(&bytes);
        if md5.len() != really.len() {
            return Err(Refused::new(400, "InvalidDigest", "The Content-MD5 you specified was invalid."));
        }
        if md5 != really {
            return Err(Refused::new(
                400,
                "BadDigest",
                "The Content-MD5 you specified did not match what we received.",
            )
            .with("ExpectedDigest", md5)
            .with("CalculatedDigest", really));
        }
    }
    let mut kept = None;
    for algorithm in Algorithm::ALL {
        let in_trailer =
            trailer.iter().find_map(|(name, value)| (name == algorithm.header()).then_some(value.as_str()));
        let Some(stated) = request.header(algorithm.header()).or(in_trailer) else { continue };
        let really = algorithm.of(&bytes);
        if stated.len() != really.len() {
            let message = format!("Value for {} header is invalid.", algorithm.header());
            return Err(Refused::new(400, "InvalidRequest", message));
        }
        if stated != really {
            let message = format!("The {} you specified did not match the calculated checksum.", algorithm.name());
            return Err(Refused::new(400, "BadDigest", message));
        }
        if kept.replace((algorithm, really)).is_some() {
            return Err(Refused::new(
                400,
                "InvalidRequest",
                "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
            ));
        }
    }
    let vouched = md5.is_some() || kept.is_some();
    let checksum = kept.unwrap_or_else(|| (Algorithm::Crc64Nvme, Algorithm::Crc64Nvme.of(&bytes)));
    Ok(Payload { bytes, checksum, vouched })
}

fn not_chunked(wrong: NotChunked) -> Refused {
    match wrong {
        NotChunked::Incomplete(what) => Refused::new(
            400,
            "IncompleteBody",
            format!("The request body terminated unexpectedly: the aws-chunked body is not well-formed, {what}"),
        ),
        NotChunked::Trailer => {
            Refused::new(400, "MalformedTrailerError", "The request contained trailing data that was not well-formed.")
        }
    }
}
