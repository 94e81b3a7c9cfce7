//! A virtqueue of a stopped device: what the stream says, and what loading makes of it.

use serde::{Deserialize, Serialize};
use vmstate::VmState;

use crate::memory::MemoryError;
use crate::transport::RingLayout;

/// The common part of a queue's record (the transport may add a vector after it).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "queue", context = RingLayout)]
pub struct Queue {
    /// Entries of the ring. A queue with none is not there, nor is any after it.
    pub num: u32,
    /// Alignment of the used ring in bytes, where the driver chooses it (mmio).
    #[vmstate(when = cx.has_alignment)]
    pub align: Option<u32>,
    /// Address of the descriptors; 0 if the driver has not set the queue up.
    #[serde(with = "crate::address")]
    pub desc: u64,
    /// The next entry of the available ring that the device takes, counted modulo 2¹⁶.
    pub last_avail_idx: u16,
}

/// A queue as it is once the device is loaded: the load procedure has derived what the stream lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ring {
    /// The queue's number.
    pub index: usize,
    /// Entries of the ring.
    pub size: u32,
    /// Entries the ring has after a reset.
    pub size_default: u32,
    /// Address of the descriptors (packed: of the ring).
    pub desc: u64,
    /// Address of the available ring (packed: of the driver's event suppression).
    pub avail: u64,
    /// Address of the used ring (packed: of the device's event suppression).
    pub used: u64,
    /// The next entry that the device takes.
    pub last_avail_idx: u16,
    /// The next entry that the driver fills: those from `last_avail_idx` on wait for the device. `None` for a
    /// packed ring, which has no such index, and if ring memory could not be read.
    pub avail_idx: Option<u16>,
    /// The next entry that the device returns; `None` if ring memory could not be read.
    pub used_idx: Option<u16>,
    /// Entries taken and not returned; `None` if ring memory could not be read.
    pub inuse: Option<u32>,
    /// Why ring memory could not be read, if it is the input that lacks it and not the guest.
    pub unread: Option<MemoryError>,
    /// Wrap counters, for a packed ring.
    pub wrap: Option<WrapCounters>,
    /// The vector that tells the driver of used entries, where the transport has vectors.
    pub vector: Option<u16>,
}

/// The wrap counters of a packed ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrapCounters {
    /// Of the available side.
    pub avail: bool,
    /// Of the used side.
    pub used: bool,
}
