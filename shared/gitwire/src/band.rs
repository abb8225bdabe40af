//! Side bands: data, progress and fatal errors in one stream.

use bytes::{Buf, Bytes};

use crate::WireError;

/// What one pkt-line of a multiplexed stream carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Band {
    /// Band 1: the stream itself.
    Data(Bytes),
    /// Band 2: words for a person.
    Progress(Bytes),
}

impl Band {
    /// Takes a pkt-line's payload apart; band 3, and a band that does not exist, are errors.
    pub fn parse(mut payload: Bytes) -> Result<Self, WireError> {
        const PLACE: &str = "the side bands";
        match payload.first() {
            Some(1) => {
                payload.advance(1);
                Ok(Self::Data(payload))
            }
            Some(2) => {
                payload.advance(1);
                Ok(Self::Progress(payload))
            }
            Some(3) => {
                payload.advance(1);
                Err(WireError::said(&payload))
            }
            // A server may give up with an ERR line instead.
            _ => Err(match payload.strip_prefix(b"ERR ") {
                Some(words) => WireError::said(words),
                None => WireError::unexpected(PLACE, &payload),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_band_goes_its_way() {
        let parse = |payload: &'static [u8]| Band::parse(Bytes::from_static(payload));
        assert_eq!(parse(b"\x01PACK"), Ok(Band::Data(Bytes::from_static(b"PACK"))));
        assert_eq!(parse(b"\x01"), Ok(Band::Data(Bytes::new())), "a sign of life");
        assert_eq!(parse(b"\x0210%"), Ok(Band::Progress(Bytes::from_static(b"10%"))));
        assert_eq!(parse(b"\x03no disk\n"), Err(WireError::Said("no disk".into())));
        assert_eq!(parse(b"ERR gone"), Err(WireError::Said("gone".into())));
        assert!(matches!(parse(b"\x04"), Err(WireError::Unexpected { .. })));
        assert!(matches!(parse(b""), Err(WireError::Unexpected { .. })));
    }
}
