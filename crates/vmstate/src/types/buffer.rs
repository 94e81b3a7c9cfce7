//! Raw bytes of a fixed length.

use std::fmt;
use std::ops::{Deref, DerefMut};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::description::{Type, Typed};
use crate::error::Result;
use crate::field::Field;
use crate::reader::Reader;
use crate::writer::Writer;

/// `N` raw bytes; hexadecimal in JSON.
#[derive(Clone, PartialEq, Eq)]
pub struct Buffer<const N: usize>(Box<[u8; N]>);

impl<const N: usize> Buffer<N> {
    /// A buffer of these bytes.
    #[must_use]
    pub fn new(bytes: [u8; N]) -> Self {
        Self(Box::new(bytes))
    }
}

impl<const N: usize> Default for Buffer<N> {
    fn default() -> Self {
        Self::new([0; N])
    }
}

impl<const N: usize> Deref for Buffer<N> {
    type Target = [u8; N];
    fn deref(&self) -> &[u8; N] {
        &self.0
    }
}

impl<const N: usize> DerefMut for Buffer<N> {
    fn deref_mut(&mut self) -> &mut [u8; N] {
        &mut self.0
    }
}

impl<const N: usize> fmt::Debug for Buffer<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({})", hex::encode(self.as_slice()))
    }
}

impl<const N: usize> Serialize for Buffer<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        hex::serialize(self.as_slice(), serializer)
    }
}

impl<'de, const N: usize> Deserialize<'de> for Buffer<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes: Vec<u8> = hex::deserialize(deserializer)?;
        let length = bytes.len();
        let expected = format!("{N} bytes in hexadecimal");
        let bytes =
            bytes.try_into().map_err(|_| serde::de::Error::invalid_length(length, &expected.as_str()))?;
        Ok(Self(bytes))
    }
}

impl<const N: usize> Typed for Buffer<N> {
    const TYPE: Type = Type::Buffer { size: N };
}

impl<const N: usize, Cx: ?Sized> Field<Cx> for Buffer<N> {
    fn load(input: &mut Reader<'_>, _: &Cx) -> Result<Self> {
        input.array().map(Self::new)
    }
    fn save(&self, out: &mut Writer) {
        out.bytes(self.as_slice());
    }
}
