//! The device status byte (virtio 1.3 §2.1).

use serde::{Deserialize, Serialize};

/// The device status byte, as the driver wrote it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Status(pub u8);

impl Status {
    /// A driver has noticed the device.
    pub const ACKNOWLEDGE: u8 = 1;
    /// A driver knows how to drive the device.
    pub const DRIVER: u8 = 2;
    /// The driver is set up and drives the device.
    pub const DRIVER_OK: u8 = 4;
    /// Feature negotiation is over.
    pub const FEATURES_OK: u8 = 8;
    /// The device has met an error from which only a reset helps.
    pub const DEVICE_NEEDS_RESET: u8 = 64;
    /// The driver has given up on the device.
    pub const FAILED: u8 = 128;

    const NAMES: [(u8, &'static str); 6] = [
        (Self::ACKNOWLEDGE, "ACKNOWLEDGE"),
        (Self::DRIVER, "DRIVER"),
        (Self::DRIVER_OK, "DRIVER_OK"),
        (Self::FEATURES_OK, "FEATURES_OK"),
        (Self::DEVICE_NEEDS_RESET, "DEVICE_NEEDS_RESET"),
        (Self::FAILED, "FAILED"),
    ];

    /// Whether all of these bits are set.
    #[must_use]
    pub fn has(self, bits: u8) -> bool {
        self.0 & bits == bits
    }

    /// The specification's names of the bits that are set, lowest first; a bit without a name is left out.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        let mut names: Vec<_> = Self::NAMES.into_iter().filter(|&(bit, _)| self.has(bit)).collect();
        names.sort_unstable();
        names.into_iter().map(|(_, name)| name).collect()
    }
}
