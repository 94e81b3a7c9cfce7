//! Lists that a zero ends, where each element begins with something else.

use std::ops::Deref;

use serde::{Deserialize, Serialize};
use vmstate::{Described, Field, Reader, Result, Type, Typed, Writer};

/// Elements back to back; each begins with a field of `N` bytes that is not zero, and a field of zero
/// in the place of another element ends them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ZeroTerminated<T, const N: usize>(pub Vec<T>);

impl<T, const N: usize> Default for ZeroTerminated<T, N> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T, const N: usize> Deref for ZeroTerminated<T, N> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: Described, const N: usize> Typed for ZeroTerminated<T, N> {
    // QEMU has a form of its own for each such list; the element is named after it where it is described.
    const TYPE: Type = Type::Opaque { name: T::DESCRIPTION.name };
}

impl<Cx: ?Sized, T: Described + Field<Cx>, const N: usize> Field<Cx> for ZeroTerminated<T, N> {
    fn load(input: &mut Reader<'_>, cx: &Cx) -> Result<Self> {
        let mut elements = Vec::new();
        loop {
            let mut after_zero = input.clone();
            if after_zero.array::<N>().map_err(|e| e.at_index(elements.len()))? == [0; N] {
                *input = after_zero;
                return Ok(Self(elements));
            }
            elements.push(T::load(input, cx).map_err(|e| e.at_index(elements.len()))?);
        }
    }

    fn save(&self, out: &mut Writer) {
        for element in &self.0 {
            element.save(out);
        }
        out.zeros(N);
    }
}
