//! The checksums that S3 verifies and keeps: what the SDKs send by default and what a caller may choose.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// One of S3's additional checksums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

/// The CRC of zip and gzip, reflected.
const CRC32: u64 = 0xedb8_8320;
/// Castagnoli's CRC, reflected.
const CRC32C: u64 = 0x82f6_3b78;
/// The CRC of the NVMe specification, reflected; what S3 computes itself where the caller sent nothing.
const CRC64_NVME: u64 = 0x9a6c_9329_ac4b_c9b5;

impl Algorithm {
    pub(super) const ALL: [Self; 5] = [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256];

    /// `x-amz-checksum-crc32` and its like.
    pub(super) fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    /// `CRC32` and its like, as documents name it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    /// The checksum of `bytes` as the header carries it: big-endian bytes in base64.
    pub(super) fn of(self, bytes: &[u8]) -> String {
        match self {
            Self::Crc32 => STANDARD.encode(crc32(bytes, CRC32)),
            Self::Crc32c => STANDARD.encode(crc32(bytes, CRC32C)),
            Self::Crc64Nvme => STANDARD.encode((!crc(bytes, CRC64_NVME, u64::MAX)).to_be_bytes()),
            Self::Sha1 => STANDARD.encode(Sha1::digest(bytes)),
            Self::Sha256 => STANDARD.encode(Sha256::digest(bytes)),
        }
    }
}

/// The MD5 in lower-case hex: the ETag without its quotes.
pub(super) fn md5_hex(bytes: &[u8]) -> String {
    hex::encode(Md5::digest(bytes))
}

/// The MD5 itself.
pub(super) fn md5_bytes(bytes: &[u8]) -> Vec<u8> {
    Md5::digest(bytes).to_vec()
}

/// The MD5 in base64: what `Content-MD5` says.
pub(super) fn md5_base64(bytes: &[u8]) -> String {
    STANDARD.encode(Md5::digest(bytes))
}

fn crc32(bytes: &[u8], polynomial: u64) -> [u8; 4] {
    let [_, _, _, _, checksum @ ..] = (crc(bytes, polynomial, u64::from(u32::MAX)) ^ u64::from(u32::MAX)).to_be_bytes();
    checksum
}

/// A reflected CRC of up to 64 bits, before the last inversion.
fn crc(bytes: &[u8], polynomial: u64, start: u64) -> u64 {
    let table: [u64; 256] = std::array::from_fn(|index| {
        (0..8).fold(u64::try_from(index).unwrap_or_default(), |rest, _| {
            if rest & 1 == 1 { (rest >> 1) ^ polynomial } else { rest >> 1 }
        })
    });
    bytes.iter().fold(start, |rest, byte| {
        let [.., low] = rest.to_be_bytes();
        (rest >> 8) ^ table.get(usize::from(low ^ byte)).copied().unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_check_values_come_out() {
        let hex_of = |algorithm: Algorithm| hex::encode(STANDARD.decode(algorithm.of(b"123456789")).unwrap());
        assert_eq!(hex_of(Algorithm::Crc32), "cbf43926");
        assert_eq!(hex_of(Algorithm::Crc32c), "e3069283");
        assert_eq!(hex_of(Algorithm::Crc64Nvme), "ae8b14860a799888");
        assert_eq!(hex_of(Algorithm::Sha1), "f7c3bc1d808e04732adf679965ccc34ca7ae3441");
        assert_eq!(md5_hex(b""), "d41d8cd98f00b204e9800998ecf8427e");
    }
}
