//! Where a logical unit is: as a driver addresses it, and as the name of its section has it.

use std::fmt;
use std::str::FromStr;

/// A target, and a logical unit of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScsiAddress {
    /// The target.
    pub target: u8,
    /// The logical unit, below 16384.
    pub lun: u16,
}

/// A text that is no address of a logical unit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the address of a disk, expected 0:TARGET:LUN (0:2:1, say)")]
pub struct InvalidAddress(String);

impl ScsiAddress {
    /// Logical units are below.
    const LUNS: u16 = 1 << 14;

    /// The address in the field `lun` of a request (virtio 1.3 §5.6.6.1): 1, the target, and a single-level LUN.
    pub(super) fn of_field(field: [u8; 8]) -> Option<Self> {
        let [1, target, high, low, ..] = field else { return None };
        // SAM-5 §4.7.7: the upper two bits are the method: peripheral (of bus 0) or flat.
        let lun = match high {
            0 => low.into(),
            0x40..=0x7f => u16::from_be_bytes([high & 0x3f, low]),
            _ => return None,
        };
        Some(Self { target, lun })
    }

    /// The field `lun` of an event.
    pub(super) fn field(self) -> [u8; 8] {
        let [high, low] = self.lun_field();
        [1, self.target, high, low, 0, 0, 0, 0]
    }

    /// A single-level LUN (SAM-5 §4.7.7).
    pub(super) fn lun_field(self) -> [u8; 2] {
        let flat = if self.lun < 0x100 { 0 } else { 0x4000 };
        (flat | self.lun).to_be_bytes()
    }
}

impl fmt::Display for ScsiAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The channel is always 0.
        write!(f, "0:{}:{}", self.target, self.lun)
    }
}

impl FromStr for ScsiAddress {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let parse = || {
            let (target, lun) = text.strip_prefix("0:")?.split_once(':')?;
            let address = Self { target: target.parse().ok()?, lun: lun.parse().ok()? };
            (address.lun < Self::LUNS).then_some(address)
        };
        parse().ok_or_else(|| InvalidAddress(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_texts_are_of_the_same_address() {
        for (address, text, field) in [
            (ScsiAddress { target: 0, lun: 0 }, "0:0:0", [1, 0, 0, 0]),
            (ScsiAddress { target: 7, lun: 255 }, "0:7:255", [1, 7, 0, 255]),
            (ScsiAddress { target: 255, lun: 0x3fff }, "0:255:16383", [1, 255, 0x7f, 0xff]),
        ] {
            assert_eq!(address.to_string(), text);
            assert_eq!(text.parse(), Ok(address));
            assert_eq!(address.field()[..4], field);
            assert_eq!(ScsiAddress::of_field(address.field()), Some(address));
        }
        assert_eq!(
            ScsiAddress::of_field([1, 3, 0x40, 5, 0, 0, 0, 0]),
            Some(ScsiAddress { target: 3, lun: 5 })
        );
    }

    #[test]
    fn refuses_what_is_no_address() {
        for field in [[0, 0, 0, 0], [2, 0, 0, 0], [1, 0, 1, 0], [1, 0, 0x80, 0], [0xc1, 1, 0, 0]] {
            let [a, b, c, d] = field;
            assert_eq!(ScsiAddress::of_field([a, b, c, d, 0, 0, 0, 0]), None, "{field:?}");
        }
        for text in ["", "0:0", "1:0:0", "0:256:0", "0:0:16384", "0:0:0:0", "0:x:0"] {
            assert!(text.parse::<ScsiAddress>().is_err(), "{text}");
        }
    }
}
