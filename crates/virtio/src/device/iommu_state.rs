//! State of a virtio-iommu (virtio 1.3 §5.13; `virtio-iommu-device`, version 2).
//!
//! The guest maps I/O virtual to guest-physical addresses in domains and attaches endpoints to them;
//! [`crate::iommu`] translates with what is here.

use serde::{Deserialize, Serialize};
use vmstate::VmState;
use vmstate::types::{List, Tree};

/// What the guest has set up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "virtio-iommu-device", version = 2)]
pub struct IommuState {
    /// The domains, by their number.
    pub domains: Tree<u64, Domain>,
    /// Configuration field `bypass`: not 0 if endpoints without a domain use guest-physical addresses.
    #[vmstate(rename = "config.bypass")]
    pub bypass: u8,
}

/// An address space, and the endpoints in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "domain", version = 2)]
pub struct Domain {
    /// Its number.
    pub id: u32,
    /// What is mapped, by I/O virtual address.
    pub mappings: Tree<Interval, Mapping>,
    /// The endpoints in it.
    pub endpoints: List<Endpoint>,
    /// Whether its endpoints use guest-physical addresses.
    pub bypass: bool,
}

/// I/O virtual addresses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "interval")]
pub struct Interval {
    /// The first.
    #[serde(with = "crate::address")]
    pub low: u64,
    /// The last.
    #[serde(with = "crate::address")]
    pub high: u64,
}

/// What an interval is mapped to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "mapping")]
pub struct Mapping {
    /// Guest-physical address of its first byte.
    #[serde(with = "crate::address")]
    pub phys_addr: u64,
    /// Flags of the MAP request: [`Mapping::READ`], [`Mapping::WRITE`], [`Mapping::MMIO`].
    pub flags: u32,
}

impl Mapping {
    /// `VIRTIO_IOMMU_MAP_F_READ`: the endpoint may read.
    pub const READ: u32 = 1 << 0;
    /// `VIRTIO_IOMMU_MAP_F_WRITE`: the endpoint may write.
    pub const WRITE: u32 = 1 << 1;
    /// `VIRTIO_IOMMU_MAP_F_MMIO`: what is mapped is not memory.
    pub const MMIO: u32 = 1 << 2;
}

/// An endpoint that is attached to a domain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "endpoint")]
pub struct Endpoint {
    /// Its number: for a PCI device the requester id.
    pub id: u32,
}
