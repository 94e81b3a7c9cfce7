//! Memory-mapped registers (virtio 1.3 §4.2): three register values, and no vectors.

mod live;
pub mod register;

use serde::{Deserialize, Serialize};
use vmstate::types::Array;
use vmstate::{Field, Reader, Result, VmState, Writer};

pub use live::LiveMmio;

use super::{RingLayout, Transport};
use crate::core::VIRTIO_QUEUE_MAX;
use crate::finding::Findings;

/// The state of the registers that the core does not have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "virtio-mmio")]
pub struct Mmio {
    /// Which 32 offered features the driver reads next.
    pub host_features_sel: u32,
    /// Which 32 accepted features the driver writes next.
    pub guest_features_sel: u32,
    /// Legacy: the driver's page size is 2 to this power.
    pub guest_page_shift: u32,
}

impl Mmio {
    pub(super) fn load_config(input: &mut Reader<'_>) -> Result<Self> {
        Field::load(input, &())
    }
}

impl Transport for Mmio {
    fn ring_layout(&self) -> RingLayout {
        RingLayout { has_alignment: true }
    }
    fn save_config(&self, out: &mut Writer) {
        Field::<()>::save(self, out);
    }
    fn load_queue(&mut self, _: usize, _: &mut Reader<'_>) -> Result<()> {
        Ok(())
    }
    fn save_queue(&self, _: usize, _: &mut Writer) {}
    fn queue_vector(&self, _: usize) -> Option<u16> {
        None
    }
    fn notify_guest(&self, _: &mut Findings) {}
    fn keep_interrupt(&mut self, _: usize) -> bool {
        true
    }
}

/// `virtio_mmio`: no fields, one subsection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "virtio_mmio")]
pub struct MmioExtraState {
    /// Registers of a modern device.
    #[vmstate(subsection)]
    pub state: Option<MmioModernState>,
}

/// `virtio_mmio/state`: values written to a modern device's registers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "virtio_mmio/state")]
pub struct MmioModernState {
    /// Features 0–31 and 32–63 as the driver wrote them.
    pub guest_features: [u32; 2],
    /// What the driver wrote for each possible queue.
    pub vqs: Array<MmioQueue, VIRTIO_QUEUE_MAX>,
}

/// What the driver wrote for a queue, whether enabled yet or not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "virtio_mmio/queue_state")]
pub struct MmioQueue {
    /// Entries of the ring.
    pub num: u16,
    /// Whether the driver has made the queue ready.
    pub enabled: bool,
    /// Address of the descriptors, low half first.
    pub desc: [u32; 2],
    /// Address of the available ring, low half first.
    pub avail: [u32; 2],
    /// Address of the used ring, low half first.
    pub used: [u32; 2],
}
