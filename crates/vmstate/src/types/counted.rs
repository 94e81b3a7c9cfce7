//! Sequences that carry their own count.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::description::{Length, Type, Typed};
use crate::error::Result;
use crate::field::{BoundedField, Field, load_elements, save_elements};
use crate::reader::Reader;
use crate::writer::Writer;

/// Elements after their number, which is written as a `C`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted<C, T> {
    elements: Vec<T>,
    count: PhantomData<C>,
}

/// What a count may be written as.
pub trait Count: Copy + Into<u64> + TryFrom<usize> {
    /// The largest count there is.
    const MAX: Self;
}

impl Count for u8 {
    const MAX: Self = Self::MAX;
}
impl Count for u16 {
    const MAX: Self = Self::MAX;
}
impl Count for u32 {
    const MAX: Self = Self::MAX;
}

impl<C, T> From<Vec<T>> for Counted<C, T> {
    fn from(elements: Vec<T>) -> Self {
        Self { elements, count: PhantomData }
    }
}

impl<C, T> Default for Counted<C, T> {
    fn default() -> Self {
        Vec::new().into()
    }
}

impl<C, T> Deref for Counted<C, T> {
    type Target = Vec<T>;
    fn deref(&self) -> &Vec<T> {
        &self.elements
    }
}

impl<C, T> DerefMut for Counted<C, T> {
    fn deref_mut(&mut self) -> &mut Vec<T> {
        &mut self.elements
    }
}

impl<C, T: Serialize> Serialize for Counted<C, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.elements.serialize(serializer)
    }
}

impl<'de, C, T: Deserialize<'de>> Deserialize<'de> for Counted<C, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::from)
    }
}

impl<C: Typed, T: Typed> Typed for Counted<C, T> {
    const TYPE: Type = Type::Array { element: &T::TYPE, length: Length::Prefixed(&C::TYPE) };
}

impl<Cx: ?Sized, C: Count + Field<Cx>, T: Field<Cx>> BoundedField<Cx> for Counted<C, T> {
    fn load_bounded(input: &mut Reader<'_>, limit: u64, cx: &Cx) -> Result<Self> {
        let at_count = input.clone();
        let count = C::load(input, cx)?.into();
        // An error about the limit names the place of the count.
        at_count.backed(count, 0, limit, "elements")?;
        let count = input.backed(count, T::TYPE.minimum_size().max(1), limit, "elements")?;
        Ok(load_elements(input, count, cx)?.into())
    }
}

impl<Cx: ?Sized, C: Count + Field<Cx>, T: Field<Cx>> Field<Cx> for Counted<C, T> {
    fn load(input: &mut Reader<'_>, cx: &Cx) -> Result<Self> {
        Self::load_bounded(input, u64::MAX, cx)
    }
    fn save(&self, out: &mut Writer) {
        C::try_from(self.elements.len()).unwrap_or(C::MAX).save(out);
        save_elements(&self.elements, out);
    }
}
