//! Where things are in the machine's physical address space. RAM begins at 0 and ends below [`PIC`].

/// The interrupt controller's registers.
pub const PIC: u64 = 0xcf00_0000;
/// Registers of virtio-mmio devices, one window for each slot.
pub const MMIO: u64 = 0xd000_0000;
/// Bytes from one virtio-mmio window to the next, and of each.
pub const MMIO_STRIDE: u64 = 0x1000;
/// The configuration spaces of PCI devices (ECAM, PCI Express 5.0 §7.2.2), of bus 0.
pub const ECAM: u64 = 0xe000_0000;
/// Bytes from one device's configuration space to the next: eight functions of 4 KiB.
pub const ECAM_STRIDE: u64 = 0x8000;
/// Where the guest puts the base address registers of PCI devices.
pub const BARS: u64 = 0xf000_0000;
/// Behind them.
pub const BARS_END: u64 = 0xfe00_0000;
/// Message-signalled interrupts are writes to here; the data is the slot.
pub const MSI: u64 = 0xfee0_0000;
/// The most devices.
pub const SLOTS: usize = 32;

/// Registers of the interrupt controller, from [`PIC`] on, 64 bits each.
pub mod pic {
    /// A bit for each slot that has raised an interrupt; reading takes those of messages, lines stay as they are.
    pub const PENDING: u64 = 0;
    /// How many slots the machine has.
    pub const SLOTS: u64 = 8;
    /// Which transport its devices have: 0 mmio, 1 PCI.
    pub const TRANSPORT: u64 = 16;
}
