//! The subsections of the core: every extension that came after the first layout.
//!
//! They are saved last, in the order of [`Subsections`], and so nothing before them in a section may
//! depend on what they say. Arrays have an element for each of the 1,024 queues a device could have.

use serde::{Deserialize, Serialize};
use vmstate::VmState;
use vmstate::types::Array;

use super::common::VIRTIO_QUEUE_MAX;
use crate::transport::{ExtraState, TransportKind};

/// `virtio`: no fields, only subsections.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "virtio", context = TransportKind)]
#[serde(default, deny_unknown_fields)]
pub struct Subsections {
    /// The device's byte order, if it is not the usual one.
    #[vmstate(subsection)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_endian: Option<DeviceEndian>,
    /// Negotiated features 64–127, if the device offers any of them (since QEMU 11.0).
    #[vmstate(subsection)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub features_128: Option<Features128>,
    /// Negotiated features 0–63, if the device offers any above 31.
    #[vmstate(subsection)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub features_64: Option<Features64>,
    /// Addresses of available and used rings, if the device offers `VERSION_1`.
    #[vmstate(subsection)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub virtqueues: Option<Virtqueues>,
    /// Default ring sizes, if a ring has another size.
    #[vmstate(subsection)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ringsize: Option<RingSize>,
    /// The device has met an error from which only a reset helps.
    #[vmstate(subsection)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broken: Option<Broken>,
    /// What the transport adds.
    #[vmstate(subsection)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra_state: Option<ExtraStateSubsection>,
    /// The device has started.
    #[vmstate(subsection)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started: Option<Started>,
    /// Indexes of packed rings, if the device offers `RING_PACKED`.
    #[vmstate(subsection)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packed_virtqueues: Option<PackedVirtqueues>,
    /// The device was disabled (by failover, say).
    #[vmstate(subsection)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled: Option<Disabled>,
}

/// `virtio/device_endian`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "virtio/device_endian")]
pub struct DeviceEndian {
    /// 0 unknown, 1 little, 2 big.
    pub device_endian: u8,
}

/// `virtio/128bit_features`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "virtio/128bit_features")]
pub struct Features128 {
    /// Negotiated features 64–127.
    pub guest_features_hi: u64,
}

/// `virtio/64bit_features`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "virtio/64bit_features")]
pub struct Features64 {
    /// Negotiated features 0–63.
    pub guest_features: u64,
}

/// `virtio/virtqueues`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "virtio/virtqueues")]
pub struct Virtqueues {
    /// One for each possible queue.
    pub vq: Array<VirtQueue, VIRTIO_QUEUE_MAX>,
}

/// An element of [`Virtqueues`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "virtqueue_state")]
pub struct VirtQueue {
    /// Address of the available ring.
    #[serde(with = "crate::address")]
    pub avail: u64,
    /// Address of the used ring.
    #[serde(with = "crate::address")]
    pub used: u64,
}

/// `virtio/ringsize`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "virtio/ringsize")]
pub struct RingSize {
    /// Entries of each possible queue's ring after a reset.
    pub num_default: Array<u32, VIRTIO_QUEUE_MAX>,
}

/// `virtio/broken`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "virtio/broken")]
pub struct Broken {
    /// Whether only a reset helps.
    pub broken: bool,
}

/// `virtio/extra_state`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "virtio/extra_state", context = TransportKind)]
pub struct ExtraStateSubsection {
    /// The body that the transport reads and writes.
    pub extra_state: ExtraState,
}

/// `virtio/started`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "virtio/started")]
pub struct Started {
    /// Whether the device has started.
    pub started: bool,
}

/// `virtio/packed_virtqueues`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "virtio/packed_virtqueues")]
pub struct PackedVirtqueues {
    /// One for each possible queue.
    pub vq: Array<PackedQueue, VIRTIO_QUEUE_MAX>,
}

/// An element of [`PackedVirtqueues`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "packed_virtqueue_state")]
pub struct PackedQueue {
    /// The next descriptor that the device takes.
    pub last_avail_idx: u16,
    /// The wrap counter that goes with it.
    pub last_avail_wrap_counter: bool,
    /// The next descriptor that the device returns.
    pub used_idx: u16,
    /// The wrap counter that goes with it.
    pub used_wrap_counter: bool,
    /// Descriptors taken and not returned.
    pub inuse: u32,
}

/// `virtio/disabled`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "virtio/disabled")]
pub struct Disabled {
    /// Whether the device is disabled.
    pub disabled: bool,
}
