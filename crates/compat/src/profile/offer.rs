//! The features a device offers, as far as they are known.

use serde::{Deserialize, Serialize};
use virtio::core::Features;

/// A bit is offered, lacking, or neither is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// Bits that are offered.
    pub offered: Features,
    /// Bits that are not.
    pub lacking: Features,
}

impl Offer {
    /// All bits are known.
    #[must_use]
    pub fn exactly(offered: Features) -> Self {
        Self { offered, lacking: Features(!offered.0) }
    }

    /// Whether all bits are known.
    #[must_use]
    pub fn is_exact(self) -> bool {
        self.offered.0 | self.lacking.0 == u128::MAX
    }

    /// The bits of a set of which neither is known.
    #[must_use]
    pub fn unknown(self, of: Features) -> Features {
        Features(of.0 & !self.offered.0 & !self.lacking.0)
    }

    /// What is known of a bit.
    pub fn set(&mut self, bit: u8, offered: bool) {
        let (this, other) = if offered {
            (&mut self.offered, &mut self.lacking)
        } else {
            (&mut self.lacking, &mut self.offered)
        };
        let mask = 1_u128.checked_shl(bit.into()).unwrap_or(0);
        this.0 |= mask;
        other.0 &= !mask;
    }

    /// Adds what this does not know.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            offered: Features(self.offered.0 | other.offered.0 & !self.lacking.0),
            lacking: Features(self.lacking.0 | other.lacking.0 & !self.offered.0),
        }
    }
}
