//! Frames on their way between rings and network, with the header before each (virtio 1.3 §5.1.6).

use std::io::Read;

use vm_memory::GuestMemory;

use super::feature;
use super::port::LONGEST_FRAME;
use crate::core::Features;
use crate::live::{Breakage, Negotiated, ServedQueue};
use crate::ring::Chain;

/// `VIRTIO_NET_HDR_F_NEEDS_CSUM`.
const NEEDS_CSUM: u8 = 1;
/// Where in the header it says how many chains the frame is in.
const NUM_BUFFERS: usize = 10;

/// Bytes of the header.
pub(super) fn header_bytes(negotiated: &Negotiated) -> usize {
    let is_long = [Features::VERSION_1, feature::MRG_RXBUF];
    if is_long.iter().any(|&bit| negotiated.features.has(bit)) { 12 } else { 10 }
}

/// Reads a frame that the driver sends, and does what it has left to the device; `None` if it is none.
pub(super) fn read<M: GuestMemory>(chain: &Chain, memory: &M, negotiated: &Negotiated) -> Option<Vec<u8>> {
    let mut header = vec![0; header_bytes(negotiated)];
    let mut reader = chain.reader(memory);
    reader.read_exact(&mut header).ok()?;
    let length = usize::try_from(reader.remaining()).ok().filter(|&length| length <= LONGEST_FRAME)?;
    let mut frame = vec![0; length];
    reader.read_exact(&mut frame).ok()?;
    let &[flags, _, _, _, _, _, s0, s1, o0, o1, ..] = header.as_slice() else { return None };
    if flags & NEEDS_CSUM != 0 {
        let [start, offset] = [[s0, s1], [o0, o1]].map(|bytes| usize::from(negotiated.endianness.u16(bytes)));
        complete_checksum(&mut frame, start, offset)?;
    }
    Some(frame)
}

/// Puts in the checksum of all from `start` on (RFC 1071), `offset` bytes behind it: the driver has put that of the
/// pseudo header there.
fn complete_checksum(frame: &mut [u8], start: usize, offset: usize) -> Option<()> {
    let part = frame.get_mut(start..)?;
    let words = part.chunks(2).map(|pair| match *pair {
        [high, low] => u64::from(u16::from_be_bytes([high, low])),
        [high] => u64::from(high) << 8,
        _ => 0,
    });
    let mut sum: u64 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let checksum = !u16::try_from(sum).unwrap_or_default();
    let place = part.get_mut(offset..)?.first_chunk_mut()?;
    // Zero would mean that there is none (UDP); its other form means the same sum.
    *place = if checksum == 0 { 0xffff_u16 } else { checksum }.to_be_bytes();
    Some(())
}

/// Hands a frame to the driver, in as many chains as it needs if the driver takes that; whether there was room.
pub(super) fn write<M: GuestMemory>(
    frame: &[u8],
    queue: &mut ServedQueue<'_, M>,
    negotiated: &Negotiated,
) -> Result<bool, Breakage> {
    let header_bytes = header_bytes(negotiated);
    let total = (header_bytes + frame.len()) as u64;
    let is_mergeable = negotiated.features.has(feature::MRG_RXBUF);
    let mut chains = Vec::new();
    let mut room = 0;
    while room < total {
        let Some(chain) = queue.pop()? else {
            queue.unpop_all(chains)?;
            return Ok(false);
        };
        room += chain.writable_len();
        chains.push(chain);
        if !is_mergeable && room < total {
            // One that is too long for the driver's buffers is lost, and the buffer waits for another.
            queue.unpop_all(chains)?;
            return Ok(true);
        }
    }
    let mut bytes = vec![0; header_bytes];
    let count = u16::try_from(chains.len()).unwrap_or(u16::MAX);
    if let Some(place) = bytes.get_mut(NUM_BUFFERS..).and_then(<[u8]>::first_chunk_mut) {
        *place = negotiated.endianness.u16_bytes(count);
    }
    bytes.extend_from_slice(frame);
    let mut rest = bytes.as_slice();
    for chain in chains {
        let length = rest.len().min(usize::try_from(chain.writable_len()).unwrap_or(usize::MAX));
        let (part, behind) = rest.split_at(length);
        rest = behind;
        queue.answer(chain, part)?;
    }
    Ok(true)
}
