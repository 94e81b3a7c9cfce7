//! Raw bytes, as many as earlier fields say.

use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Serialize};
use vmstate::description::Length;
use vmstate::field::CountedField;
use vmstate::vmdesc::FieldDesc;
use vmstate::{Reader, Result, Type, Typed, Writer};

/// Raw bytes whose number comes from earlier fields (`#[vmstate(count = …)]`); hexadecimal in JSON.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bytes(#[serde(with = "hex::serde")] pub Vec<u8>);

impl Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes({})", hex::encode(&self.0))
    }
}

impl Typed for Bytes {
    const TYPE: Type = Type::Array { element: &u8::TYPE, length: Length::External };
}

impl<Cx: ?Sized> CountedField<Cx> for Bytes {
    fn load_counted(input: &mut Reader<'_>, count: u64, limit: u64, _: &Cx) -> Result<Self> {
        let count = input.backed(count, 1, limit, "bytes")?;
        input.bytes(count).map(|bytes| Self(bytes.to_vec()))
    }

    fn save_counted(&self, out: &mut Writer) {
        out.bytes(&self.0);
    }

    fn describe_counted(&self, name: &str) -> Vec<FieldDesc> {
        vec![FieldDesc::new(name, "buffer", self.0.len() as u64)]
    }
}
