//! Numbered, checksummed records: what the workloads write, send and check.
//!
//! A record says which of a stream it is, and nothing else fits its checksum: one that is lost, comes twice, comes
//! late or is damaged shows.

use zerocopy::byteorder::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// What a record begins with; the filling follows, which depends on all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Head {
    /// CRC-32 of all that follows.
    crc: U32,
    /// Which stream of records it belongs to.
    pub stream: U32,
    /// Which of the stream's it is, from 0.
    pub number: U64,
    /// Bytes of the record, head and all.
    pub length: U32,
}

/// Bytes of the head.
pub const HEAD: usize = size_of::<Head>();

/// The record of a stream with this number, `length` bytes, at least [`HEAD`].
#[must_use]
pub fn record(stream: u32, number: u64, length: usize) -> Vec<u8> {
    let length = length.max(HEAD);
    let head = Head {
        crc: 0.into(),
        stream: stream.into(),
        number: number.into(),
        length: u32::try_from(length).unwrap_or(u32::MAX).into(),
    };
    let mut bytes = head.as_bytes().to_vec();
    let seed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(stream);
    bytes.extend((0..).map(|at: u64| seed.wrapping_add(at)).flat_map(u64::to_le_bytes).take(length - HEAD));
    let crc = crc32fast::hash(bytes.get(4..).unwrap_or_default());
    if let Some(place) = bytes.first_chunk_mut() {
        *place = crc.to_le_bytes();
    }
    bytes
}

/// What a record says it is, if it is whole.
#[must_use]
pub fn check(bytes: &[u8]) -> Option<Head> {
    let (head, _) = Head::read_from_prefix(bytes).ok()?;
    let whole = bytes.get(..usize::try_from(head.length.get()).ok()?)?;
    (crc32fast::hash(whole.get(4..)?) == head.crc.get()).then_some(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_what_it_says() {
        let mut bytes = record(3, 7, 100);
        assert_eq!(bytes.len(), 100);
        let head = check(&bytes).unwrap();
        assert_eq!((head.stream.get(), head.number.get()), (3, 7));
        for at in 0..bytes.len() {
            bytes[at] ^= 1;
            assert_eq!(check(&bytes), None, "byte {at}");
            bytes[at] ^= 1;
        }
        assert_eq!(check(&bytes[..99]), None);
    }
}
