//! Collects the buffers of a chain, and checks each: what a device is given is in guest memory and in order.

use vm_memory::{GuestMemory, Permissions};

use super::area::{Area, AreaOf};
use super::descriptor::{DESCRIPTOR, Descriptor, INDIRECT, NEXT, WRITE};
use super::error::RingError;
use super::reach::Reach;
use super::setup::{MAX_SIZE, Setup};
use crate::element::Buffer;

/// Bytes of a descriptor, as a length in a descriptor counts them.
const SIZE: u32 = 16;
const _: () = assert!(SIZE as usize == DESCRIPTOR);
/// Most bytes of a chain (virtio 1.3 §2.7.5.2).
const MOST_BYTES: u64 = 1 << 32;

/// The buffers of a chain that is being read.
pub(super) struct Gather<'a, M> {
    reach: &'a Reach<'a, M>,
    pub(super) buffers: Vec<Buffer>,
    /// How many of them are for the device to read: they come first.
    pub(super) readable: usize,
    bytes: u64,
}

impl<'a, M: GuestMemory> Gather<'a, M> {
    /// Collects into `buffers`, which is empty.
    pub(super) fn new(reach: &'a Reach<'a, M>, buffers: Vec<Buffer>) -> Self {
        Self { reach, buffers, readable: 0, bytes: 0 }
    }

    /// Adds the buffer of a descriptor.
    #[inline]
    pub(super) fn descriptor(&mut self, descriptor: Descriptor) -> Result<(), RingError> {
        let Descriptor { address, len, .. } = descriptor;
        self.buffer(Buffer { addr: address, len: len.into() }, descriptor.has(WRITE))
    }

    /// Adds a buffer that the device reads or writes.
    #[inline]
    pub(super) fn buffer(&mut self, buffer: Buffer, writable: bool) -> Result<(), RingError> {
        let Buffer { addr: address, len } = buffer;
        if len == 0 {
            return Err(RingError::ZeroLength { address });
        }
        let count = self.buffers.len();
        let (in_direction, access) = if writable {
            (count - self.readable, Permissions::Write)
        } else if count == self.readable {
            (count, Permissions::Read)
        } else {
            return Err(RingError::ReadableAfterWritable { address });
        };
        let limit = usize::from(MAX_SIZE);
        if in_direction == limit {
            return Err(RingError::TooManyBuffers { limit });
        }
        self.bytes = self.bytes.saturating_add(len);
        if self.bytes > MOST_BYTES {
            return Err(RingError::TooLong);
        }
        if !self.reach.has(address, len, access) {
            return Err(RingError::Buffer { address, len });
        }
        self.readable += usize::from(!writable);
        self.buffers.push(buffer);
        Ok(())
    }
}

/// An indirect table, and how many descriptors it has (§2.7.5.3, §2.8.7).
pub(super) fn indirect_table<'m, M: GuestMemory>(
    setup: &Setup,
    memory: &'m M,
    descriptor: Descriptor,
) -> Result<(AreaOf<'m, M>, u32), RingError> {
    debug_assert!(descriptor.has(INDIRECT));
    let Descriptor { address, len, .. } = descriptor;
    if !setup.indirect {
        return Err(RingError::IndirectNotNegotiated);
    }
    if descriptor.has(NEXT) {
        return Err(RingError::IndirectLinked);
    }
    if len == 0 || len % SIZE != 0 {
        return Err(RingError::IndirectLength { len });
    }
    let table = usize::try_from(len)
        .ok()
        .and_then(|length| Area::find(memory, address, length, Permissions::Read, setup.endianness));
    Ok((table.ok_or(RingError::IndirectTable { address, len })?, len / SIZE))
}
