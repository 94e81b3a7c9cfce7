//! Base address registers of a PCI device (PCI 3.0 §6.2.5.1).

use serde::{Deserialize, Serialize};

/// A base address register that the device has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bar {
    /// Its number, 0 to 5; 6 is that of the expansion ROM.
    pub index: u8,
    /// Bytes that it maps, a power of 2.
    pub size: u64,
    /// Whether they are I/O ports.
    pub io: bool,
}
