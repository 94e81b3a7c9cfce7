//! Transports: how a guest reaches a device, and the state of that way.
//!
//! The core calls the transport at four points of a section: before the common fields
//! (`save_config`/`load_config`), after each queue (`save_queue`/`load_queue`), when the interrupt line
//! is driven again, and inside the subsection `virtio/extra_state`. Whatever a transport has to add goes
//! into the last: what stands before it can never grow.

mod ccw;
mod description;
mod extra_state;
pub mod mmio;
mod pci;
mod registers;

use serde::{Deserialize, Serialize};
use vmstate::{Reader, Result, Writer};

pub use ccw::{
    AdapterRoute, AdapterRoutes, Ccw, Ccw1, CcwDevice, CommandInfo, Indicator, Orb, PathManagement, Schib,
    SenseId, Subchannel, SubchannelStatus, SummaryOffset,
};
pub use description::TransportDescription;
pub use extra_state::ExtraState;
pub use mmio::{LiveMmio, Mmio, MmioExtraState, MmioModernState, MmioQueue};
pub use pci::{
    CapabilityIter, ConfigImage, LivePci, Msix, MsixEntry, NO_VECTOR, Pci, PciExtraState, PciModernState,
    PciQueue, UpperFeatures,
};

use crate::finding::Findings;

/// The kinds of transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TransportKind {
    /// virtio over PCI (virtio 1.3 §4.1).
    Pci,
    /// virtio over memory-mapped registers (§4.2).
    Mmio,
    /// virtio over channel I/O (§4.3).
    Ccw,
}

/// What the layout of a queue's record, and of its ring in memory, takes from the transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingLayout {
    /// Whether each queue's record has the alignment that the driver chose.
    pub has_alignment: bool,
}

impl RingLayout {
    /// Alignment in bytes of the used ring of a legacy device whose driver does not choose one.
    pub const LEGACY_ALIGNMENT: u32 = 4096;
}

/// The state of a transport.
pub trait Transport {
    /// The transport's part of queue records.
    fn ring_layout(&self) -> RingLayout;
    /// Writes what comes before the common device fields.
    fn save_config(&self, out: &mut Writer);
    /// Reads what follows the common part of a queue's record.
    ///
    /// # Errors
    /// If the input ends early.
    fn load_queue(&mut self, index: usize, input: &mut Reader<'_>) -> Result<()>;
    /// Writes what follows the common part of a queue's record.
    fn save_queue(&self, index: usize, out: &mut Writer);
    /// The vector of a queue, where the transport has vectors.
    fn queue_vector(&self, index: usize) -> Option<u16>;
    /// Drives the interrupt again after the queues are loaded, as far as that can fail.
    fn notify_guest(&self, findings: &mut Findings);
    /// Keeps an interrupt of a queue, so that the driver gets it from whoever loads this; gives whether it does. The
    /// interrupt status is the core's, and set there: a line follows it when it is driven again
    /// ([`notify_guest`](Self::notify_guest)), if its level here is left as it was.
    fn keep_interrupt(&mut self, queue: usize) -> bool;
}

/// The state of a device's transport, of any kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TransportState {
    /// PCI.
    Pci(Pci),
    /// Memory-mapped registers.
    Mmio(Mmio),
    /// Channel I/O.
    Ccw(Box<Ccw>),
}

impl TransportState {
    /// Reads what comes before the common device fields.
    ///
    /// # Errors
    /// If the input ends early or a field is not allowed.
    pub fn load_config(kind: TransportKind, input: &mut Reader<'_>) -> Result<Self> {
        match kind {
            TransportKind::Pci => {
                Pci::load_config(input).map(Self::Pci).map_err(|e| e.in_scope("virtio-pci"))
            }
            TransportKind::Mmio => Mmio::load_config(input).map(Self::Mmio),
            TransportKind::Ccw => Ccw::load_config(input).map(Box::new).map(Self::Ccw),
        }
    }

    /// Which kind it is.
    #[must_use]
    pub fn kind(&self) -> TransportKind {
        match self {
            Self::Pci(_) => TransportKind::Pci,
            Self::Mmio(_) => TransportKind::Mmio,
            Self::Ccw(_) => TransportKind::Ccw,
        }
    }

    /// What all transports have in common.
    #[must_use]
    pub fn as_dyn(&self) -> &dyn Transport {
        match self {
            Self::Pci(pci) => pci,
            Self::Mmio(mmio) => mmio,
            Self::Ccw(ccw) => ccw.as_ref(),
        }
    }

    /// What all transports have in common.
    pub fn as_dyn_mut(&mut self) -> &mut dyn Transport {
        match self {
            Self::Pci(pci) => pci,
            Self::Mmio(mmio) => mmio,
            Self::Ccw(ccw) => ccw.as_mut(),
        }
    }
}
