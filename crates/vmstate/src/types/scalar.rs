//! Timers and unused bytes.

use serde::{Deserialize, Serialize};

use crate::description::{Type, Typed};
use crate::error::Result;
use crate::field::Field;
use crate::reader::Reader;
use crate::writer::Writer;

/// When a timer goes off, in nanoseconds of its clock; `None` if it is not armed (written as all ones).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timer(pub Option<u64>);

impl Typed for Timer {
    const TYPE: Type = Type::Scalar { name: "timer", size: 8 };
}

impl<Cx: ?Sized> Field<Cx> for Timer {
    fn load(input: &mut Reader<'_>, _: &Cx) -> Result<Self> {
        Ok(Self(Some(input.u64()?).filter(|&expiry| expiry != u64::MAX)))
    }
    fn save(&self, out: &mut Writer) {
        out.u64(self.0.unwrap_or(u64::MAX));
    }
}

/// `N` bytes that mean nothing: written as zero, ignored when read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unused<const N: usize>;

impl<const N: usize> Typed for Unused<N> {
    const TYPE: Type = Type::Unused { size: N };
}

impl<const N: usize, Cx: ?Sized> Field<Cx> for Unused<N> {
    fn load(input: &mut Reader<'_>, _: &Cx) -> Result<Self> {
        input.bytes(N).map(|_| Self)
    }
    fn save(&self, out: &mut Writer) {
        out.zeros(N);
    }
}
