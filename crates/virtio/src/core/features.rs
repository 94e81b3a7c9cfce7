//! Feature bits (virtio 1.3 §2.2, §6): a set of 128, with names.
//!
//! Bits 0–23 and 50–127 belong to the device type, which has the table of their names beside its
//! state; bits 24–49 belong to rings and transport and stand here.

use std::fmt;
use std::ops::{BitAnd, BitOr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The name of a feature bit, as the specification has it without `VIRTIO_F_` or `VIRTIO_<TYPE>_F_`.
pub type Feature = (u8, &'static str);

/// The bits that mean the same for every device type.
pub const RESERVED_FEATURES: &[Feature] = &[
    (Features::NOTIFY_ON_EMPTY, "NOTIFY_ON_EMPTY"),
    (Features::ANY_LAYOUT, "ANY_LAYOUT"),
    (Features::INDIRECT_DESC, "INDIRECT_DESC"),
    (Features::EVENT_IDX, "EVENT_IDX"),
    (Features::PROTOCOL_FEATURES, "PROTOCOL_FEATURES"),
    (Features::VERSION_1, "VERSION_1"),
    (Features::ACCESS_PLATFORM, "ACCESS_PLATFORM"),
    (Features::RING_PACKED, "RING_PACKED"),
    (Features::IN_ORDER, "IN_ORDER"),
    (Features::ORDER_PLATFORM, "ORDER_PLATFORM"),
    (Features::SR_IOV, "SR_IOV"),
    (Features::NOTIFICATION_DATA, "NOTIFICATION_DATA"),
    (Features::NOTIF_CONFIG_DATA, "NOTIF_CONFIG_DATA"),
    (Features::RING_RESET, "RING_RESET"),
    (Features::ADMIN_VQ, "ADMIN_VQ"),
];

/// A set of feature bits, 0 to 127.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Features(pub u128);

#[expect(missing_docs, reason = "the names of the specification, §6")]
impl Features {
    pub const NOTIFY_ON_EMPTY: u8 = 24;
    pub const ANY_LAYOUT: u8 = 27;
    pub const INDIRECT_DESC: u8 = 28;
    pub const EVENT_IDX: u8 = 29;
    pub const PROTOCOL_FEATURES: u8 = 30;
    pub const VERSION_1: u8 = 32;
    pub const ACCESS_PLATFORM: u8 = 33;
    pub const RING_PACKED: u8 = 34;
    pub const IN_ORDER: u8 = 35;
    pub const ORDER_PLATFORM: u8 = 36;
    pub const SR_IOV: u8 = 37;
    pub const NOTIFICATION_DATA: u8 = 38;
    pub const NOTIF_CONFIG_DATA: u8 = 39;
    pub const RING_RESET: u8 = 40;
    pub const ADMIN_VQ: u8 = 41;
}

impl Features {
    /// Whether a bit is in the set.
    #[must_use]
    pub fn has(self, bit: u8) -> bool {
        self.0.checked_shr(u32::from(bit)).is_some_and(|rest| rest & 1 == 1)
    }

    /// The bits of this set that are not in the other.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The bits of the set, lowest first.
    pub fn bits(self) -> impl Iterator<Item = u8> {
        (0..128).filter(move |&bit| self.has(bit))
    }

    /// The names of the bits in the set, lowest first; a bit without one is `BIT_n`.
    #[must_use]
    pub fn names(self, device: &[Feature]) -> Vec<String> {
        let named = |bit| device.iter().chain(RESERVED_FEATURES).find(|&&(named, _)| named == bit);
        self.bits()
            .map(|bit| named(bit).map_or_else(|| format!("BIT_{bit}"), |&(_, name)| name.to_owned()))
            .collect()
    }
}

/// The set of these bits.
impl FromIterator<u8> for Features {
    fn from_iter<I: IntoIterator<Item = u8>>(bits: I) -> Self {
        let bit = |bit: u8| 1_u128.checked_shl(bit.into()).unwrap_or_default();
        Self(bits.into_iter().fold(0, |all, next| all | bit(next)))
    }
}

/// What is in either set.
impl BitOr for Features {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What is in both sets.
impl BitAnd for Features {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Debug for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Features({self})")
    }
}

impl From<u32> for Features {
    fn from(low: u32) -> Self {
        Self(low.into())
    }
}

impl From<u64> for Features {
    fn from(low: u64) -> Self {
        Self(low.into())
    }
}

impl Serialize for Features {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Features {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = text.strip_prefix("0x").unwrap_or(&text);
        u128::from_str_radix(digits, 16).map(Self).map_err(|_| {
            serde::de::Error::invalid_value(serde::de::Unexpected::Str(&text), &"a hexadecimal number")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_bits() {
        let features = Features::from_iter([32, 15, 29, 100]);
        assert_eq!(features.names(&[(15, "MRG_RXBUF")]), ["MRG_RXBUF", "EVENT_IDX", "VERSION_1", "BIT_100"]);
        assert_eq!(features.to_string(), "0x10000000000000000120008000");
    }
}
