//! Something that may be missing, after a byte that says so.

use serde::{Deserialize, Serialize};

use super::list::load_more;
use crate::description::{Type, Typed};
use crate::error::Result;
use crate::field::Field;
use crate::reader::Reader;
use crate::writer::Writer;

/// A byte 1 and a value, or a byte 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Presence<T>(pub Option<T>);

impl<T: Typed> Typed for Presence<T> {
    const TYPE: Type = Type::Presence(&T::TYPE);
}

impl<Cx: ?Sized, T: Field<Cx>> Field<Cx> for Presence<T> {
    fn load(input: &mut Reader<'_>, cx: &Cx) -> Result<Self> {
        load_more(input)?.then(|| T::load(input, cx)).transpose().map(Self)
    }
    fn save(&self, out: &mut Writer) {
        out.u8(u8::from(self.0.is_some()));
        if let Some(value) = &self.0 {
            value.save(out);
        }
    }
}
