//! Linked lists: a byte 1 before each element, a byte 0 at the end.

use std::ops::{Deref, DerefMut};

use serde::{Deserialize, Serialize};

use crate::description::{Type, Typed};
use crate::error::{ErrorKind, Result};
use crate::field::Field;
use crate::reader::Reader;
use crate::writer::Writer;

/// Elements, each after a byte 1; a byte 0 ends them (QEMU: `qtailq` and `qlist`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct List<T>(pub Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Deref for List<T> {
    type Target = Vec<T>;
    fn deref(&self) -> &Vec<T> {
        &self.0
    }
}

impl<T> DerefMut for List<T> {
    fn deref_mut(&mut self) -> &mut Vec<T> {
        &mut self.0
    }
}

impl<T: Typed> Typed for List<T> {
    const TYPE: Type = Type::List(&T::TYPE);
}

/// Reads the byte that says whether another element follows.
pub(super) fn load_more(input: &mut Reader<'_>) -> Result<bool> {
    let at = input.clone();
    match input.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        found => {
            let what = "element marker";
            Err(at.fail(ErrorKind::Unknown { what, found: found.into(), expected: "0 (end) or 1 (element)" }))
        }
    }
}

impl<Cx: ?Sized, T: Field<Cx>> Field<Cx> for List<T> {
    fn load(input: &mut Reader<'_>, cx: &Cx) -> Result<Self> {
        let mut elements = Vec::new();
        while load_more(input)? {
            elements.push(T::load(input, cx).map_err(|e| e.at_index(elements.len()))?);
        }
        Ok(Self(elements))
    }
    fn save(&self, out: &mut Writer) {
        for element in &self.0 {
            out.u8(1);
            element.save(out);
        }
        out.u8(0);
    }
}
