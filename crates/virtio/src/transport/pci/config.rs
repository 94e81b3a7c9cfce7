//! The configuration space as a device's image of it: header, then a list of capabilities.
//!
//! Offsets and identifiers: PCI Local Bus Specification 3.0 §6.1 and appendix H; values are little-endian.

use std::collections::HashSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use vmstate::{ErrorKind, Reader, Result};

use super::layout::{MSIX_ENABLE, MSIX_MASK_ALL};

pub(super) const VENDOR_ID: usize = 0x00;
pub(super) const DEVICE_ID: usize = 0x02;
pub(super) const COMMAND: usize = 0x04;
pub(super) const STATUS: usize = 0x06;
pub(super) const STATUS_CAPABILITY_LIST: u16 = 0x10;
pub(super) const REVISION_ID: usize = 0x08;
pub(super) const BAR: usize = 0x10;
pub(super) const SUBSYSTEM_VENDOR_ID: usize = 0x2c;
pub(super) const SUBSYSTEM_ID: usize = 0x2e;
pub(super) const CAPABILITY_POINTER: usize = 0x34;
pub(super) const INTERRUPT_LINE: usize = 0x3c;
pub(super) const INTERRUPT_PIN: usize = 0x3d;

/// The vendor of every virtio device (virtio 1.3 §4.1.2).
pub(super) const VIRTIO_VENDOR: u16 = 0x1af4;

const CAPABILITY_PCI_EXPRESS: u8 = 0x10;
pub(super) const CAPABILITY_MSIX: u8 = 0x11;

/// Bytes of a conventional device's configuration space.
pub(super) const CONVENTIONAL: usize = 256;
/// Bytes of an express device's.
const EXPRESS: usize = 4096;

/// The configuration space of a PCI device, raw.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConfigImage(#[serde(with = "hex::serde")] Vec<u8>);

impl ConfigImage {
    /// Reads as many bytes as the device has: an express one, which its capabilities tell, has 4,096.
    pub(super) fn load(input: &mut Reader<'_>) -> Result<Self> {
        let conventional = input.peek().get(..CONVENTIONAL).unwrap_or_default();
        let is_express = CapabilityIter::new(conventional).any(|(_, id)| id == CAPABILITY_PCI_EXPRESS);
        let size = if is_express { EXPRESS } else { CONVENTIONAL };
        let image = Self(input.bytes(size)?.to_vec());
        match image.u16(VENDOR_ID) {
            Some(VIRTIO_VENDOR) => Ok(image),
            vendor => Err(input.fail(ErrorKind::NotEqual {
                found: format!("vendor {:#06x}", vendor.unwrap_or_default()),
                expected: "0x1af4, as every virtio device has".to_owned(),
            })),
        }
    }

    /// The image of a device that runs.
    pub(super) fn of(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The raw bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether it is the image of a PCI Express device.
    #[must_use]
    pub fn is_express(&self) -> bool {
        self.0.len() == EXPRESS
    }

    /// The PCI device identifier.
    #[must_use]
    pub fn device_id(&self) -> u16 {
        self.u16(DEVICE_ID).unwrap_or_default()
    }

    /// The PCI revision.
    #[must_use]
    pub fn revision_id(&self) -> u8 {
        self.0.get(REVISION_ID).copied().unwrap_or_default()
    }

    /// Whether the device can be driven through legacy registers (virtio 1.3 §4.1.2.1: transitional
    /// devices have identifiers 0x1000 to 0x103f).
    #[must_use]
    pub fn is_transitional(&self) -> bool {
        (0x1000..0x1040).contains(&self.device_id())
    }

    /// Offset and identifier of each capability.
    #[must_use]
    pub fn capabilities(&self) -> CapabilityIter<'_> {
        CapabilityIter::new(self.0.get(..CONVENTIONAL).unwrap_or_default())
    }

    /// How many MSI-X vectors the device has; `None` without the capability.
    #[must_use]
    pub fn msix_table_size(&self) -> Option<usize> {
        let (at, _) = self.capabilities().find(|&(_, id)| id == CAPABILITY_MSIX)?;
        // Message Control, bits 0 to 10: the table size less one (§6.8.2.3).
        let control = self.u16(at + 2)?;
        Some(usize::from(control & 0x7ff) + 1)
    }

    /// Whether the driver has MSI-X on, and whether it masks all vectors.
    pub(super) fn msix_control(&self) -> (bool, bool) {
        let found = self.capabilities().find(|&(_, id)| id == CAPABILITY_MSIX);
        // The upper byte of Message Control (§6.8.2.3).
        let control = found.and_then(|(at, _)| self.0.get(at + 3)).copied().unwrap_or_default();
        (control & MSIX_ENABLE != 0, control & MSIX_MASK_ALL != 0)
    }

    fn u16(&self, at: usize) -> Option<u16> {
        u16_at(&self.0, at)
    }
}

impl fmt::Debug for ConfigImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConfigImage({} bytes)", self.0.len())
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_le_bytes)
}

/// The capability list: offset and identifier of each, in list order. A list that comes back to where
/// it was ends there.
#[derive(Debug, Clone)]
pub struct CapabilityIter<'a> {
    config: &'a [u8],
    next: u8,
    seen: HashSet<u8>,
}

impl<'a> CapabilityIter<'a> {
    fn new(config: &'a [u8]) -> Self {
        let has_list = u16_at(config, STATUS).is_some_and(|status| status & STATUS_CAPABILITY_LIST != 0);
        let next = config.get(CAPABILITY_POINTER).copied().filter(|_| has_list).unwrap_or(0);
        Self { config, next, seen: HashSet::new() }
    }
}

impl Iterator for CapabilityIter<'_> {
    type Item = (usize, u8);

    fn next(&mut self) -> Option<Self::Item> {
        // The low two bits of a pointer are reserved, and 0 ends the list.
        let at = self.next & !3;
        if at == 0 || !self.seen.insert(at) {
            return None;
        }
        let at = usize::from(at);
        let id = *self.config.get(at)?;
        self.next = *self.config.get(at + 1)?;
        Some((at, id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_loops_ends() {
        let mut config = [0; CONVENTIONAL];
        config[STATUS] = 0x10;
        config[CAPABILITY_POINTER] = 0x40;
        config[0x40..0x42].copy_from_slice(&[0x11, 0x50]);
        config[0x50..0x52].copy_from_slice(&[0x09, 0x40]);
        let found: Vec<_> = CapabilityIter::new(&config).collect();
        assert_eq!(found, [(0x40, 0x11), (0x50, 0x09)]);
    }
}
