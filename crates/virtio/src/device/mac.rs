//! MAC addresses.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use vmstate::{Field, Reader, Result, Type, Typed, Writer};

/// A MAC address: `52:54:00:12:34:56` in JSON, six raw bytes in the stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// The address of everybody.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// Whether it is the address of several.
    #[must_use]
    pub fn is_multicast(self) -> bool {
        let [first, ..] = self.0;
        first & 1 == 1
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl FromStr for Mac {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let error = || format!("`{text}` is not a MAC address, which looks like 52:54:00:12:34:56");
        let octets = text.split(':').map(|octet| u8::from_str_radix(octet, 16).map_err(|_| error()));
        let octets: Vec<u8> = octets.collect::<Result<_, _>>()?;
        octets.try_into().map(Self).map_err(|_| error())
    }
}

impl Serialize for Mac {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Mac {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Typed for Mac {
    const TYPE: Type = Type::Buffer { size: 6 };
}

impl<Cx: ?Sized> Field<Cx> for Mac {
    fn load(input: &mut Reader<'_>, _: &Cx) -> Result<Self> {
        input.array().map(Self)
    }
    fn save(&self, out: &mut Writer) {
        out.bytes(&self.0);
    }
}
