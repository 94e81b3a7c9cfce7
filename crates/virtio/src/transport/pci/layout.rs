//! What a running device's configuration space looks like after a reset, and which of its bits a driver can write.
//!
//! Laid out as QEMU's virtio-pci devices are: MSI-X in BAR 1, the structures of virtio (virtio 1.3 §4.1.4) one page
//! each in BAR 4.

use super::config::{
    BAR, CAPABILITY_MSIX, CAPABILITY_POINTER, COMMAND, CONVENTIONAL, DEVICE_ID, INTERRUPT_LINE,
    INTERRUPT_PIN, REVISION_ID, STATUS, STATUS_CAPABILITY_LIST, SUBSYSTEM_ID, SUBSYSTEM_VENDOR_ID, VENDOR_ID,
    VIRTIO_VENDOR,
};
use crate::device::DeviceType;

/// Offsets of the structures in BAR 4, and bytes of each.
pub(super) const COMMON: u64 = 0x0000;
pub(super) const ISR: u64 = 0x1000;
pub(super) const DEVICE: u64 = 0x2000;
pub(super) const NOTIFY: u64 = 0x3000;
pub(super) const STRUCTURE: u64 = 0x1000;
/// Bytes between the places where two queues are notified.
pub(super) const NOTIFY_MULTIPLIER: u32 = 4;
/// Bytes of BAR 4.
const STRUCTURES: u64 = 4 * STRUCTURE;

/// The BARs.
pub(super) const MSIX_BAR: u8 = 1;
pub(super) const STRUCTURE_BAR: u8 = 4;
/// Memory, 64 bits wide, prefetchable.
const WIDE_PREFETCHABLE: u8 = 0xc;

/// Bits of the command register.
pub(super) const COMMAND_MEMORY: u16 = 1 << 1;
pub(super) const COMMAND_INTX_DISABLE: u16 = 1 << 10;
const COMMAND_WRITABLE: u16 = COMMAND_INTX_DISABLE | 1 << 8 | 1 << 2 | COMMAND_MEMORY | 1;
/// Bit of the status register: the interrupt line is up.
pub(super) const STATUS_INTERRUPT: u8 = 1 << 3;

/// Where the capabilities are.
pub(super) const MSIX: usize = 0x98;
pub(super) const CONFIG_ACCESS: usize = 0x70;
/// Bits of the upper byte of MSI-X's message control.
pub(super) const MSIX_ENABLE: u8 = 1 << 7;
pub(super) const MSIX_MASK_ALL: u8 = 1 << 6;

const CAPABILITY_VENDOR: u8 = 0x09;
/// Bytes of a vector's entry in the table.
pub(super) const ENTRY: usize = 16;

/// A configuration space, and what of it a driver can write.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) config: Vec<u8>,
    /// A bit for each that can be written.
    pub(super) writable: Vec<u8>,
    /// Offset of the pending bits in BAR 1.
    pub(super) pba: u64,
    /// Bytes of BAR 1.
    pub(super) msix_bytes: u64,
}

impl Layout {
    /// The configuration space of a modern device with so many vectors; with none it has no MSI-X.
    pub(super) fn new(device: &DeviceType, vectors: u16) -> Self {
        let mut config = vec![0; CONVENTIONAL];
        let mut writable = vec![0; CONVENTIONAL];
        let table = u64::from(vectors) * ENTRY as u64;
        // Table and pending bits have half of a page each, as long as they fit.
        let pba = table.max(0x800);
        let msix_bytes = (pba + u64::from(vectors).div_ceil(64) * 8).next_power_of_two().max(0x1000);
        for (at, value) in [
            (VENDOR_ID, VIRTIO_VENDOR),
            (DEVICE_ID, 0x1040 + device.id),
            (STATUS, STATUS_CAPABILITY_LIST),
            (SUBSYSTEM_VENDOR_ID, VIRTIO_VENDOR),
            (SUBSYSTEM_ID, 0x1100),
        ] {
            put(&mut config, at, &value.to_le_bytes());
        }
        put(&mut config, REVISION_ID, &[1, 0, class(device).0, class(device).1]);
        put(&mut config, INTERRUPT_PIN, &[1]);
        put(&mut config, BAR + 4 * usize::from(STRUCTURE_BAR), &[WIDE_PREFETCHABLE]);
        put(&mut writable, COMMAND, &COMMAND_WRITABLE.to_le_bytes());
        put(&mut writable, 0x0c, &[0xff]);
        put(&mut writable, INTERRUPT_LINE, &[0xff]);
        let mask = !(STRUCTURES - 1);
        put(&mut writable, BAR + 4 * usize::from(STRUCTURE_BAR), &mask.to_le_bytes());

        let structure = |kind: u8, offset: u64, length: u8, next: u8| {
            let mut bytes = vec![CAPABILITY_VENDOR, next, length, kind, STRUCTURE_BAR, 0, 0, 0];
            bytes.extend(u32::try_from(offset).unwrap_or_default().to_le_bytes());
            bytes.extend(u32::try_from(STRUCTURE).unwrap_or_default().to_le_bytes());
            bytes
        };
        put(&mut config, 0x40, &structure(1, COMMON, 16, 0));
        put(&mut config, 0x50, &structure(3, ISR, 16, 0x40));
        put(&mut config, 0x60, &structure(4, DEVICE, 16, 0x50));
        // Notification has a multiplier behind it, and access through configuration space a window.
        put(&mut config, CONFIG_ACCESS, &[CAPABILITY_VENDOR, 0x84, 20, 5]);
        put(&mut writable, CONFIG_ACCESS + 4, &[0xff]);
        put(&mut writable, CONFIG_ACCESS + 8, &[0xff; 12]);
        let mut notify = structure(2, NOTIFY, 20, 0x60);
        notify.extend(NOTIFY_MULTIPLIER.to_le_bytes());
        put(&mut config, 0x84, &notify);
        let first = if vectors > 0 { MSIX } else { CONFIG_ACCESS };
        put(&mut config, CAPABILITY_POINTER, &[u8::try_from(first).unwrap_or_default()]);
        if vectors > 0 {
            let control = (vectors - 1) & 0x7ff;
            let next = u8::try_from(CONFIG_ACCESS).unwrap_or_default();
            let mut msix = vec![CAPABILITY_MSIX, next];
            msix.extend(control.to_le_bytes());
            msix.extend(u32::from(MSIX_BAR).to_le_bytes());
            msix.extend((u32::try_from(pba).unwrap_or_default() | u32::from(MSIX_BAR)).to_le_bytes());
            put(&mut config, MSIX, &msix);
            put(&mut writable, MSIX + 3, &[MSIX_ENABLE | MSIX_MASK_ALL]);
            let mask = u32::try_from(!(msix_bytes - 1) & 0xffff_ffff).unwrap_or_default();
            put(&mut writable, BAR + 4 * usize::from(MSIX_BAR), &mask.to_le_bytes());
        }
        Self { config, writable, pba, msix_bytes }
    }

    /// Bytes of a BAR.
    pub(super) fn bar_bytes(&self, bar: u8) -> u64 {
        if bar == MSIX_BAR { self.msix_bytes } else { STRUCTURES }
    }
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + value.len()) {
        place.copy_from_slice(value);
    }
}

/// Subclass and base class (PCI Code and ID Assignment 1.11): what a driver that knows no virtio takes it for.
fn class(device: &DeviceType) -> (u8, u8) {
    match device.id {
        1 => (0x00, 0x02),
        2 | 8 => (0x00, 0x01),
        3 | 19 => (0x80, 0x07),
        18 => (0x80, 0x09),
        _ => (0xff, 0x00),
    }
}
