//! Descriptors (virtio 1.3 §2.7.5, §2.8.5): sixteen bytes, of which the formats differ in the last four.

use vm_memory::bitmap::BitmapSlice;

use super::area::Area;
use super::error::RingError;

/// Bytes of a descriptor.
pub(super) const DESCRIPTOR: usize = 16;

/// Flag: the chain goes on.
pub(super) const NEXT: u16 = 1;
/// Flag: the device writes the buffer.
pub(super) const WRITE: u16 = 2;
/// Flag: the buffer is a table of descriptors.
pub(super) const INDIRECT: u16 = 4;

/// A descriptor of either format.
#[derive(Debug, Clone, Copy)]
pub(super) struct Descriptor {
    /// Guest address of the buffer.
    pub(super) address: u64,
    /// Bytes of the buffer.
    pub(super) len: u32,
    /// The flags.
    pub(super) flags: u16,
    /// Split: the descriptor that follows, if [`NEXT`] is set. Packed: the buffer id, in a chain's last.
    pub(super) link: u16,
}

impl Descriptor {
    /// The descriptor at `index` of a split ring's table, or of an indirect table of one.
    #[inline]
    pub(super) fn split<B: BitmapSlice>(table: &Area<'_, B>, index: u16) -> Result<Self, RingError> {
        let [address, rest] = table.read::<[u64; 2]>(DESCRIPTOR * usize::from(index))?;
        let order = table.endianness();
        let [l0, l1, l2, l3, f0, f1, n0, n1] = rest.to_ne_bytes();
        Ok(Self {
            address: order.u64(address.to_ne_bytes()),
            len: order.u32([l0, l1, l2, l3]),
            flags: order.u16([f0, f1]),
            link: order.u16([n0, n1]),
        })
    }

    /// The descriptor at `index` of a packed ring. Its flags come first: they say whether it is there.
    #[inline]
    pub(super) fn packed<B: BitmapSlice>(ring: &Area<'_, B>, index: u16) -> Result<Self, RingError> {
        let at = DESCRIPTOR * usize::from(index);
        let rest = ring.acquire_bytes(at + 8)?;
        Ok(Self::from_packed(ring.read(at)?, rest))
    }

    /// The descriptor at `index` of an indirect table of a packed ring. The table may lie anywhere.
    #[inline]
    pub(super) fn packed_indirect<B: BitmapSlice>(
        table: &Area<'_, B>,
        index: u16,
    ) -> Result<Self, RingError> {
        let [address, rest] = table.read::<[u64; 2]>(DESCRIPTOR * usize::from(index))?;
        Ok(Self::from_packed(address, rest.to_ne_bytes()))
    }

    #[inline]
    fn from_packed(address: u64, rest: [u8; 8]) -> Self {
        let [l0, l1, l2, l3, i0, i1, f0, f1] = rest;
        Self {
            address: u64::from_le(address),
            len: u32::from_le_bytes([l0, l1, l2, l3]),
            flags: u16::from_le_bytes([f0, f1]),
            link: u16::from_le_bytes([i0, i1]),
        }
    }

    /// Whether a flag is set.
    #[inline]
    pub(super) fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }
}
