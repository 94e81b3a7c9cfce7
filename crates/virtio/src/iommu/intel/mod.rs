//! Translation by Intel's IOMMU, as QEMU's `intel-iommu` has it.
//!
//! Sections named in this module are those of "Intel Virtualization Technology for Directed I/O,
//! Architecture Specification", revision 5. All tables lie in guest memory and are little-endian. The
//! way from a device to its page table is in `tables`, the way through that in `paging`.

mod paging;
mod tables;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use vmstate::VmState;
use vmstate::types::{Array, Unused};

use self::tables::{AddressSpace, Mode};
use super::{Bdf, Translate};
use crate::memory::{MemoryError, RingMemory};

/// The name of the section.
pub const SECTION: &str = "iommu-intel";

/// State of an Intel IOMMU (section `iommu-intel`, version 1).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, VmState)]
#[vmstate(name = "iommu-intel", version = 1)]
pub struct IntelIommu {
    /// Address of the root table, as it was when the guest last told the IOMMU to take it.
    pub root: u64,
    /// Address of the interrupt remapping table.
    pub intr_root: u64,
    /// Address of the invalidation queue.
    pub iq: u64,
    /// Entries of the interrupt remapping table.
    pub intr_size: u32,
    /// Next entry of the invalidation queue to be handled.
    pub iq_head: u16,
    /// Entry after the last one in the invalidation queue.
    pub iq_tail: u16,
    /// Entries of the invalidation queue.
    pub iq_size: u16,
    /// The fault recording register to be used next.
    pub next_frcd_reg: u16,
    /// The registers (§11.4), little-endian.
    pub csr: Array<u8, 0x230>,
    /// Type of the last invalidation descriptor handled.
    pub iq_last_desc_type: u8,
    /// Means nothing.
    pub unused: Unused<1>,
    /// Whether addresses are translated.
    pub dmar_enabled: bool,
    /// Whether the invalidation queue is used.
    pub qi_enabled: bool,
    /// Whether interrupts are remapped.
    pub intr_enabled: bool,
    /// Whether remapped interrupts have 32-bit destinations.
    pub intr_eime: bool,
}

impl IntelIommu {
    /// The translation for a device: follows the tables up to its page table.
    ///
    /// # Errors
    /// [`MemoryError::Unknown`] if a table cannot be read.
    pub fn for_device<'a>(
        &self,
        memory: &'a dyn RingMemory,
        requester: Bdf,
    ) -> Result<impl Translate + use<'a>, MemoryError> {
        let space = if self.dmar_enabled {
            tables::find(memory, self.root, self.mode(), requester)?
        } else {
            AddressSpace::Disabled
        };
        Ok(Device { memory, space })
    }

    /// Field TTM of the Root Table Address Register (§11.4.5).
    fn mode(&self) -> Mode {
        const RTADDR_REG: usize = 0x20;
        match self.csr.get(RTADDR_REG + 1).map_or(0, |byte| byte >> 2 & 3) {
            0b00 => Mode::Legacy,
            0b01 => Mode::Scalable,
            _ => Mode::Abort,
        }
    }
}

/// Addresses that mean interrupts to a device, and are not translated (§3.14).
const INTERRUPTS: std::ops::RangeInclusive<u64> = 0xfee0_0000..=0xfeef_ffff;

/// A device's address space.
struct Device<'a> {
    memory: &'a dyn RingMemory,
    space: AddressSpace,
}

impl Translate for Device<'_> {
    fn translate(&self, iova: u64, length: u64) -> Result<(u64, u64), MemoryError> {
        if let AddressSpace::Disabled = self.space {
            return Ok((iova, length));
        }
        if INTERRUPTS.contains(&iova) {
            return Err(MemoryError::Fault { address: iova });
        }
        let (gpa, contiguous) = self.space.translate(self.memory, iova)?;
        let before_interrupts = INTERRUPTS.start().checked_sub(iova).unwrap_or(u64::MAX);
        Ok((gpa, contiguous.min(before_interrupts).min(length)))
    }
}
