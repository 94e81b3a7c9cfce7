//! Guest memory as one device sees it.

use super::RingMemory;
use crate::core::Features;

/// Guest memory as one device sees it: through an IOMMU if it has negotiated `ACCESS_PLATFORM`, which is
/// not known before the device is loaded, and at guest-physical addresses otherwise.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "holds trait objects that say nothing of themselves")]
pub struct DeviceMemory<'a> {
    physical: &'a dyn RingMemory,
    platform: &'a dyn RingMemory,
}

impl<'a> DeviceMemory<'a> {
    /// Memory of a device behind no IOMMU.
    #[must_use]
    pub fn direct(physical: &'a dyn RingMemory) -> Self {
        Self { physical, platform: physical }
    }

    /// Memory of a device behind an IOMMU, through which `platform` reads.
    #[must_use]
    pub fn behind_iommu(physical: &'a dyn RingMemory, platform: &'a dyn RingMemory) -> Self {
        Self { physical, platform }
    }

    /// What a device that negotiated these features reads.
    #[must_use]
    pub fn seen_with(&self, features: Features) -> &'a dyn RingMemory {
        if features.has(Features::ACCESS_PLATFORM) { self.platform } else { self.physical }
    }
}
