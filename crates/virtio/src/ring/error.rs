//! What is wrong with a ring: of a queue that shall start, and of one that runs.

use std::fmt;

/// A part of a ring, by the names that both formats share (virtio 1.3 §2.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The descriptors (packed: the ring itself).
    Descriptors,
    /// The available ring (packed: the driver's event suppression).
    Driver,
    /// The used ring (packed: the device's event suppression).
    Device,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Descriptors => "descriptor area",
            Self::Driver => "driver area",
            Self::Device => "device area",
        })
    }
}

/// What a driver did wrong. The queue is broken from then on: its device needs a reset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the message of each says what its values are")]
pub enum RingError {
    #[error("the queue is broken by an earlier error")]
    Broken,
    #[error("the {part} of {length} bytes at {address:#x} is not in one piece of guest memory")]
    Area { part: Part, address: u64, length: usize },
    #[error("the memory of the ring cannot be accessed {length} bytes wide at offset {offset:#x}")]
    Access { offset: usize, length: usize },
    #[error(
        "the driver has offered up to index {avail_idx}, the device has taken up to {last_avail_idx}: {} ahead, at most {size}",
        avail_idx.wrapping_sub(*last_avail_idx)
    )]
    AvailIndex { avail_idx: u16, last_avail_idx: u16, size: u16 },
    #[error("{inuse} entries are in flight and {offered} more are offered, at most {size} in all")]
    TooManyInFlight { inuse: u16, offered: u16, size: u16 },
    #[error("descriptor {index} is used, expected less than {limit}")]
    DescriptorIndex { index: u16, limit: u32 },
    #[error("the chain at descriptor {head} has more than {limit} descriptors: it loops")]
    Loop { head: u16, limit: u32 },
    #[error("buffer id {id} is used, expected less than {size}")]
    BufferId { id: u16, size: u16 },
    #[error("a chain has more than {limit} buffers in one direction")]
    TooManyBuffers { limit: usize },
    #[error("a chain has more than 2^32 bytes")]
    TooLong,
    #[error("the buffer at {address:#x} has no bytes, expected at least 1")]
    ZeroLength { address: u64 },
    #[error("the buffer of {len} bytes at {address:#x} is not in guest memory")]
    Buffer { address: u64, len: u64 },
    #[error("the buffer at {address:#x} is for the device to read, but stands after one that it writes")]
    ReadableAfterWritable { address: u64 },
    #[error("an indirect descriptor is used, but INDIRECT_DESC was not negotiated")]
    IndirectNotNegotiated,
    #[error("a descriptor in an indirect table refers to another indirect table")]
    IndirectInIndirect,
    #[error("an indirect descriptor is linked to others where it must stand alone")]
    IndirectLinked,
    #[error("an indirect table has {len} bytes, expected a multiple of 16, at least 16")]
    IndirectLength { len: u32 },
    #[error("the indirect table of {len} bytes at {address:#x} is not in one piece of guest memory")]
    IndirectTable { address: u64, len: u32 },
    #[error(
        "an element of {ndescs} entries is resumed or returned, but {unclaimed} are in flight without a chain"
    )]
    NotInFlight { ndescs: u32, unclaimed: u16 },
    #[error("a chain is given back that was not the last to be taken")]
    NotLastTaken,
}

/// Why a queue cannot start from a state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the message of each says what its values are")]
pub enum StartError {
    #[error("the queue is not set up: its descriptors are at 0")]
    NotSetUp,
    #[error("the queue has {size} entries, expected 1 to {limit}")]
    Size { size: u32, limit: u16 },
    #[error("the queue has {size} entries, expected a power of 2 for a split ring")]
    SizeNotPowerOfTwo { size: u16 },
    #[error("the {part} is at {address:#x}, expected a multiple of {align}")]
    Alignment { part: Part, address: u64, align: u64 },
    #[error("RING_PACKED was negotiated by a driver that is not little-endian and modern")]
    LegacyPacked,
    #[error(
        "the device has taken up to index {last_avail_idx} and returned up to {used_idx}: {} in flight, at most {size}",
        last_avail_idx.wrapping_sub(*used_idx)
    )]
    UsedIndex { last_avail_idx: u16, used_idx: u16, size: u16 },
    #[error("an index into the packed ring is {index}, expected less than {size}")]
    PackedIndex { index: u16, size: u16 },
    #[error(
        "{inuse} descriptors are said to be in flight, but the indexes of the packed ring are {distance} apart"
    )]
    InUse { inuse: u32, distance: u32 },
    #[error("{0}")]
    Ring(#[from] RingError),
}
