//! What device and driver tell each other about ports (virtio 1.3 §5.3.6.2).

use crate::core::Endianness;

/// What is said. In what the driver says `value` is 1 for yes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Control {
    /// Which port.
    pub(super) port: u32,
    pub(super) event: u16,
    pub(super) value: u16,
    /// The name, where one is told.
    pub(super) name: Vec<u8>,
}

/// Events.
pub(super) mod event {
    pub(in super::super) const DEVICE_READY: u16 = 0;
    pub(in super::super) const PORT_ADD: u16 = 1;
    pub(in super::super) const PORT_READY: u16 = 3;
    pub(in super::super) const CONSOLE_PORT: u16 = 4;
    pub(in super::super) const PORT_OPEN: u16 = 6;
    pub(in super::super) const PORT_NAME: u16 = 7;
}

/// Bytes without a name.
pub(super) const BYTES: usize = 8;

impl Control {
    pub(super) fn new(port: u32, event: u16, value: u16) -> Self {
        Self { port, event, value, name: Vec::new() }
    }

    pub(super) fn from_bytes([p0, p1, p2, p3, e0, e1, v0, v1]: [u8; BYTES], endianness: Endianness) -> Self {
        let (event, value) = (endianness.u16([e0, e1]), endianness.u16([v0, v1]));
        Self::new(endianness.u32([p0, p1, p2, p3]), event, value)
    }

    pub(super) fn to_bytes(&self, endianness: Endianness) -> Vec<u8> {
        let mut bytes = endianness.u32_bytes(self.port).to_vec();
        bytes.extend(endianness.u16_bytes(self.event));
        bytes.extend(endianness.u16_bytes(self.value));
        bytes.extend_from_slice(&self.name);
        bytes
    }
}
