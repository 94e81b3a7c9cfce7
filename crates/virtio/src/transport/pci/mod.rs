//! PCI (virtio 1.3 §4.1): configuration image, interrupt line, MSI-X, and a vector for each queue.

mod common;
mod config;
mod layout;
mod live;
mod modern;
mod msix;
mod vectors;

use serde::{Deserialize, Serialize};
use vmstate::{ErrorKind, Field, Reader, Result, Writer};

pub use config::{CapabilityIter, ConfigImage};
pub use live::LivePci;
pub use modern::{PciExtraState, PciModernState, PciQueue, UpperFeatures};
pub use msix::{Msix, MsixEntry};

use super::{RingLayout, Transport};
use crate::finding::{Finding, Findings};

/// The vector of a queue, or of configuration changes, that has none.
pub const NO_VECTOR: u16 = 0xffff;

/// The newest version of the PCI device state; it is always written.
pub(super) const PCI_DEVICE_VERSION: u32 = 2;

/// The state of a virtio-pci proxy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pci {
    /// Version of the PCI device state.
    pub version_id: u32,
    /// The configuration space: 256 bytes, or 4,096 of an express device.
    pub config: ConfigImage,
    /// Levels of INTA to INTD.
    pub irq_state: [u32; 4],
    /// MSI-X, if the device has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub msix: Option<Msix>,
}

impl Pci {
    pub(super) fn load_config(input: &mut Reader<'_>) -> Result<Self> {
        let at_version = input.clone();
        let version_id = input.u32().map_err(|e| e.in_field("version_id"))?;
        if version_id > PCI_DEVICE_VERSION {
            let (minimum, version) = (0, PCI_DEVICE_VERSION);
            let kind = ErrorKind::Version { found: version_id, minimum, version };
            return Err(at_version.fail(kind).in_field("version_id"));
        }
        let config = ConfigImage::load(input).map_err(|e| e.in_field("config"))?;
        let irq_state = Field::load(input, &()).map_err(|e| e.in_field("irq_state"))?;
        let msix = config.msix_table_size().map(|entries| Msix::load(entries, input)).transpose()?;
        Ok(Self { version_id, config, irq_state, msix })
    }
}

impl Transport for Pci {
    fn ring_layout(&self) -> RingLayout {
        RingLayout { has_alignment: false }
    }

    fn save_config(&self, out: &mut Writer) {
        out.u32(self.version_id);
        out.bytes(self.config.as_bytes());
        Field::<()>::save(&self.irq_state, out);
        if let Some(msix) = &self.msix {
            msix.save(out);
        }
    }

    fn load_queue(&mut self, index: usize, input: &mut Reader<'_>) -> Result<()> {
        if let Some(msix) = &mut self.msix {
            let vector = input.u16().map_err(|e| e.in_field("vector").at_index(index).in_field("queues"))?;
            msix.queue_vectors.push(vector);
        }
        Ok(())
    }

    fn save_queue(&self, index: usize, out: &mut Writer) {
        if let Some(msix) = &self.msix {
            out.u16(msix.queue_vectors.get(index).copied().unwrap_or(NO_VECTOR));
        }
    }

    fn queue_vector(&self, index: usize) -> Option<u16> {
        self.msix.as_ref()?.queue_vectors.get(index).copied()
    }

    fn keep_interrupt(&mut self, queue: usize) -> bool {
        let (is_enabled, masks_all) = self.config.msix_control();
        let Some(msix) = self.msix.as_mut().filter(|_| is_enabled) else { return true };
        let vector = msix.queue_vectors.get(queue).copied().unwrap_or(NO_VECTOR);
        // Pending is what is masked: of a vector that is not, QEMU clears the pending bit when it loads the device, and
        // sends no message, since no queue makes use of the vector yet.
        msix.raise(vector, masks_all).is_none()
    }

    fn notify_guest(&self, findings: &mut Findings) {
        for (pin, &level) in self.irq_state.iter().enumerate() {
            if level > 1 {
                findings.add(Finding::InterruptLevel { pin, level });
            }
        }
        let Some(msix) = &self.msix else { return };
        let vectors = msix.table.len();
        let missing = |vector: u16| vector != NO_VECTOR && usize::from(vector) >= vectors;
        if missing(msix.config_vector) {
            findings.add(Finding::ConfigVector { vector: msix.config_vector, vectors });
        }
        for (queue, &vector) in msix.queue_vectors.iter().enumerate() {
            if missing(vector) {
                findings.add(Finding::QueueVector { queue, vector, vectors });
            }
        }
    }
}
