//! The frames of the network workload.

use crate::guest::record::{Head, check, record};

/// Bytes of the header before each frame (§5.1.6, with `VERSION_1`).
pub const HEADER: usize = 12;
/// The peer that sends every frame back.
pub const PEER: [u8; 6] = [0x52, 0x54, 0, 0, 0xec, 0x40];
/// The protocol: one of those for local experiments (IEEE 802).
pub const ETHERTYPE: [u8; 2] = [0x88, 0xb5];
/// Bytes of addresses and protocol.
const ETHERNET: usize = 14;

/// The frame with a number; they differ in length.
pub(super) fn frame(from: [u8; 6], stream: u32, number: u64) -> Vec<u8> {
    let mut frame = [PEER.as_slice(), &from, &ETHERTYPE].concat();
    let length = 64 + usize::try_from(number.wrapping_mul(37) % 1200).unwrap_or_default();
    frame.extend(record(stream, number, length));
    frame
}

/// What a frame that came back says it is.
pub(super) fn answer(frame: &[u8]) -> Option<Head> {
    check(frame.get(ETHERNET..)?)
}

/// What the peer sends back for a frame, if it is for it: the same, with the addresses turned round.
#[must_use]
pub fn peer_answer(frame: &[u8]) -> Option<Vec<u8>> {
    let (to, rest) = frame.split_first_chunk::<6>()?;
    let (from, rest) = rest.split_first_chunk::<6>()?;
    (*to == PEER && rest.starts_with(&ETHERTYPE)).then(|| [from.as_slice(), &PEER, rest].concat())
}
