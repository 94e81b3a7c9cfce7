//! Split rings (virtio 1.3 §2.7): descriptors, available ring and used ring.

use crate::core::{Endianness, Ring};
use crate::memory::{MemoryError, RingMemory};

/// Bytes of a descriptor.
const DESCRIPTOR: u64 = super::descriptor::DESCRIPTOR as u64;
/// Bytes before the entries of the available and of the used ring: flags, then the index.
const HEADER: usize = 4;
/// Bytes after the entries of both, if `EVENT_IDX` is negotiated: at which index to notify.
pub(super) const EVENT: usize = 2;
/// Alignment of the available and of the used ring.
pub(super) const ALIGNMENT: [u64; 2] = [2, 4];
/// Offset of the flags in both.
pub(super) const FLAGS: usize = 0;
/// Flag of both: the one who reads it need not notify.
pub(super) const NO_NOTIFICATION: u16 = 1;
/// Bytes of descriptors that [`is_blank`] looks at.
const MOST_LOOKED_AT: usize = 64 << 10;
/// Offset of the index in both.
pub(super) const INDEX: usize = 2;

/// Offset of an entry of the available ring; that after the last is of `used_event`.
pub(super) const fn avail_entry(index: usize) -> usize {
    HEADER + 2 * index
}

/// Offset of an entry of the used ring; that after the last is of `avail_event`.
pub(super) const fn used_entry(index: usize) -> usize {
    HEADER + 8 * index
}

/// Addresses of the available and the used ring where the driver gave only that of the descriptors
/// (§2.7.2): one after the other, the used ring aligned. Both are 0 for a queue that is not set up.
#[must_use]
pub fn legacy_addresses(desc: u64, size: u32, align: u32) -> (u64, u64) {
    if desc == 0 {
        return (0, 0);
    }
    let size = u64::from(size);
    let avail = desc.wrapping_add(DESCRIPTOR * size);
    let end = avail.wrapping_add(HEADER as u64 + 2 * size);
    let used = end.checked_next_multiple_of(u64::from(align.max(1))).unwrap_or(0);
    (avail, used)
}

/// The index of the available or the used ring at `address`.
///
/// # Errors
/// If the memory there cannot be read.
pub fn index(memory: &dyn RingMemory, address: u64, endianness: Endianness) -> Result<u16, MemoryError> {
    let mut bytes = [0; 2];
    let address = address.checked_add(INDEX as u64).ok_or(MemoryError::Unmapped { address })?;
    memory.read(address, &mut bytes)?;
    Ok(endianness.u16(bytes))
}

/// Whether nothing but zeros is where descriptors and indexes are. The ring of a device that has taken an
/// entry never looks like that: the entry's descriptor had an address.
#[must_use]
pub fn is_blank(memory: &dyn RingMemory, ring: &Ring) -> bool {
    let is_zero = |address: u64, length: usize| {
        let mut bytes = vec![0; length];
        memory.read(address, &mut bytes).is_ok() && bytes.iter().all(|&byte| byte == 0)
    };
    let descriptors =
        usize::try_from(DESCRIPTOR * u64::from(ring.size)).unwrap_or(usize::MAX).min(MOST_LOOKED_AT);
    is_zero(ring.avail, HEADER) && is_zero(ring.used, HEADER) && is_zero(ring.desc, descriptors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_legacy_ring_is_one_piece() {
        // §2.7.2: 256 entries take 4096 bytes of descriptors and 516 of the available ring.
        assert_eq!(legacy_addresses(0x10000, 256, 4096), (0x11000, 0x12000));
        assert_eq!(legacy_addresses(0, 256, 4096), (0, 0));
        assert_eq!(legacy_addresses(u64::MAX, u32::MAX, 0), legacy_addresses(u64::MAX, u32::MAX, 1));
    }
}
