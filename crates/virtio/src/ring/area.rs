//! A part of a ring as the device reaches it: found in guest memory once, and accessed at offsets.

use std::sync::atomic::Ordering;

use vm_memory::bitmap::{BS, BitmapSlice};
use vm_memory::{ByteValued, Bytes, GuestAddress, GuestMemory, Permissions, VolatileMemory, VolatileSlice};

use super::error::RingError;
use crate::core::Endianness;

/// The areas of memory `M`, for as long as it is borrowed.
pub(super) type AreaOf<'m, M> = Area<'m, BS<'m, <M as GuestMemory>::Bitmap>>;

/// A piece of guest memory that holds a part of a ring, or an indirect table.
#[derive(Debug, Clone)]
pub(super) struct Area<'m, B> {
    memory: VolatileSlice<'m, B>,
    endianness: Endianness,
}

impl<'m, B: BitmapSlice> Area<'m, B> {
    /// Finds `length` bytes of memory at `address`, if they are in one piece.
    pub(super) fn find<M>(
        memory: &'m M,
        address: u64,
        length: usize,
        access: Permissions,
        endianness: Endianness,
    ) -> Option<Self>
    where
        M: GuestMemory,
        M::Bitmap: vm_memory::bitmap::WithBitmapSlice<'m, S = B>,
    {
        let mut pieces = memory.get_slices(GuestAddress(address), length, access).ok()?;
        let memory = pieces.next()?.ok()?;
        (memory.len() == length).then_some(Self { memory, endianness })
    }

    /// A value that the driver publishes, and that what it wrote before can be read after.
    #[inline]
    pub(super) fn acquire_u16(&self, offset: usize) -> Result<u16, RingError> {
        let value = self.memory.load::<u16>(offset, Ordering::Acquire);
        value.map(|value| self.swap_u16(value)).map_err(|_| RingError::Access { offset, length: 2 })
    }

    /// Publishes a value to the driver, after all that was written before.
    #[inline]
    pub(super) fn release_u16(&self, offset: usize, value: u16) -> Result<(), RingError> {
        let stored = self.memory.store(self.swap_u16(value), offset, Ordering::Release);
        stored.map_err(|_| RingError::Access { offset, length: 2 })
    }

    /// Eight bytes that the driver publishes at once, as they lie in memory.
    #[inline]
    pub(super) fn acquire_bytes(&self, offset: usize) -> Result<[u8; 8], RingError> {
        let value = self.memory.load::<u64>(offset, Ordering::Acquire);
        value.map(u64::to_ne_bytes).map_err(|_| RingError::Access { offset, length: 8 })
    }

    /// Publishes eight bytes to the driver at once, after all that was written before.
    #[inline]
    pub(super) fn release_bytes(&self, offset: usize, bytes: [u8; 8]) -> Result<(), RingError> {
        let stored = self.memory.store(u64::from_ne_bytes(bytes), offset, Ordering::Release);
        stored.map_err(|_| RingError::Access { offset, length: 8 })
    }

    /// A value whose order among other accesses does not matter.
    #[inline]
    pub(super) fn read<T: ByteValued>(&self, offset: usize) -> Result<T, RingError> {
        let place = self.memory.get_ref::<T>(offset);
        place.map(|place| place.load()).map_err(|_| RingError::Access { offset, length: size_of::<T>() })
    }

    /// Writes a value whose order among other accesses does not matter.
    #[inline]
    pub(super) fn write<T: ByteValued>(&self, offset: usize, value: T) -> Result<(), RingError> {
        let place = self.memory.get_ref::<T>(offset);
        place
            .map(|place| place.store(value))
            .map_err(|_| RingError::Access { offset, length: size_of::<T>() })
    }

    /// Between a number and how it lies in memory: the same step in both directions.
    #[inline]
    pub(super) fn swap_u16(&self, value: u16) -> u16 {
        self.endianness.u16(value.to_ne_bytes())
    }

    /// Between a number and how it lies in memory: the same step in both directions.
    #[inline]
    pub(super) fn swap_u32(&self, value: u32) -> u32 {
        self.endianness.u32(value.to_ne_bytes())
    }

    /// The byte order of what lies here.
    #[inline]
    pub(super) fn endianness(&self) -> Endianness {
        self.endianness
    }
}
