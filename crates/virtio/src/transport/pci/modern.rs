//! What a driver wrote to a modern device's common configuration (virtio 1.3 §4.1.4.3).

use serde::{Deserialize, Serialize};
use vmstate::VmState;
use vmstate::types::{Array, Unused};

use crate::core::VIRTIO_QUEUE_MAX;

/// `virtio_pci`: no fields, one subsection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "virtio_pci")]
pub struct PciExtraState {
    /// Registers of a modern device; a legacy-only one has none.
    #[vmstate(subsection)]
    pub modern_state: Option<PciModernState>,
}

/// `virtio_pci/modern_state`: values written to the common configuration registers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "virtio_pci/modern_state")]
pub struct PciModernState {
    /// Which 32 offered features the driver reads next.
    pub dfselect: u32,
    /// Which 32 accepted features the driver writes next.
    pub gfselect: u32,
    /// Features 0–31 and 32–63 as the driver wrote them.
    pub guest_features: [u32; 2],
    /// What the driver wrote for each possible queue.
    pub vqs: Array<PciQueue, VIRTIO_QUEUE_MAX>,
    /// Features 64–127 as the driver wrote them, if any (since QEMU 11.0).
    #[vmstate(subsection)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features128: Option<UpperFeatures>,
}

/// `virtio_pci/modern_state/features128`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "virtio_pci/modern_state/features128")]
pub struct UpperFeatures {
    /// Features 64–95 and 96–127.
    pub guest_features: [u32; 2],
}

/// What the driver wrote for a queue, whether enabled yet or not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "virtio_pci/modern_queue_state")]
pub struct PciQueue {
    /// Entries of the ring.
    pub num: u16,
    /// Padding.
    #[serde(skip)]
    pub unused: Unused<1>,
    /// Whether the driver has enabled the queue.
    pub enabled: bool,
    /// Address of the descriptors, low half first.
    pub desc: [u32; 2],
    /// Address of the available ring, low half first.
    pub avail: [u32; 2],
    /// Address of the used ring, low half first.
    pub used: [u32; 2],
}
