//! The device configuration space as a device puts it together (virtio 1.3 §2.5).

use crate::core::Endianness;

/// A configuration space that is being written, field by field, in a device's byte order.
///
/// ```
/// # use virtio::{core::Endianness, live::ConfigSpace};
/// let config = ConfigSpace::new(Endianness::Little).u64(8192).u32(0).into_bytes();
/// assert_eq!(config.len(), 12);
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct ConfigSpace {
    bytes: Vec<u8>,
    endianness: Endianness,
}

impl ConfigSpace {
    /// An empty one.
    pub fn new(endianness: Endianness) -> Self {
        Self { bytes: Vec::new(), endianness }
    }

    /// Appends bytes.
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// Appends a byte.
    pub fn u8(self, value: u8) -> Self {
        self.bytes(&[value])
    }

    /// Appends a 16-bit value.
    pub fn u16(self, value: u16) -> Self {
        let bytes = self.endianness.u16_bytes(value);
        self.bytes(&bytes)
    }

    /// Appends a 32-bit value.
    pub fn u32(self, value: u32) -> Self {
        let bytes = self.endianness.u32_bytes(value);
        self.bytes(&bytes)
    }

    /// Appends a 64-bit value.
    pub fn u64(self, value: u64) -> Self {
        let bytes = self.endianness.u64_bytes(value);
        self.bytes(&bytes)
    }

    /// What was written.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}
