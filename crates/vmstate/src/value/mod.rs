//! `Value`: any section's content, decoded by the JSON description the stream carries.
//!
//! The dynamic twin of the derived structs, for devices this tree does not model. What it decodes it
//! encodes to the same bytes, whatever they are: what the description does not tell stays
//! [`Value::Bytes`].
//!
//! ```
//! use vmstate::value::StructValue;
//! use vmstate::vmdesc::{FieldDesc, StructDesc};
//! use vmstate::{Reader, Writer};
//!
//! let mut description = StructDesc::new("iommu-intel", 1);
//! description.fields =
//!     vec![FieldDesc::new("root", "uint64", 8), FieldDesc::new("dmar_enabled", "bool", 1)];
//!
//! let body = [0, 0, 0, 0, 0x12, 0x34, 0x50, 0, 1];
//! let mut value = StructValue::decode(&mut Reader::new(&body, 0), &description)?;
//! assert_eq!(value.get("root").and_then(|root| root.as_u64()), Some(0x1234_5000));
//! assert_eq!(serde_json::to_string(&value)?, r#"{"root":305418240,"dmar_enabled":true}"#);
//!
//! value.set("root", &"0x1000".into())?;
//! let mut out = Writer::new();
//! value.encode(&mut out);
//! assert_eq!(out.as_bytes(), [0, 0, 0, 0, 0, 0, 0x10, 0, 1]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # As JSON
//! [`StructValue`] is serialised without types, and read back with the description's:
//! [`StructValue::from_json`].
//!
//! | value | JSON |
//! | --- | --- |
//! | integers | numbers, also those above 2⁵³, where readers other than `serde_json` may round; read as `"0x…"` too |
//! | `bool` | `true` and `false`; a number where the byte is neither 0 nor 1 |
//! | `timer` | nanoseconds; `null` if it is not armed |
//! | bytes | a string in hexadecimal |
//! | struct | an object of the fields in wire order; `subsections`, if there are some, is an object of them by name |
//! | array | an array |
//!
//! # Paths
//! `regs[3].page`, `cpu/xsave.env.xcr0`: fields, elements and subsections from the outside in. A name is
//! whatever the struct has; QEMU's have dots and brackets themselves (`env.segs`, `bus[0].ifs`).

mod decode;
mod encode;
mod json;
mod path;
mod scalar;
mod shape;

use std::sync::Arc;

use crate::types::Timer;

/// The content of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `uint8`.
    U8(u8),
    /// `uint16`.
    U16(u16),
    /// `uint32`.
    U32(u32),
    /// `uint64`.
    U64(u64),
    /// `int8`.
    I8(i8),
    /// `int16`.
    I16(i16),
    /// `int32`.
    I32(i32),
    /// `int64`.
    I64(i64),
    /// `bool`: the byte, of which any but 0 is true.
    Bool(u8),
    /// `timer`.
    Timer(Timer),
    /// What has no form of its own here: buffers, unused bytes, everything QEMU does not describe.
    Bytes {
        /// QEMU's name for the form.
        ty: Arc<str>,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// A nested struct.
    Struct(Box<StructValue>),
    /// Elements. They may differ in form: a null in an array of pointers is a `nullptr`.
    Array(Vec<Value>),
}

/// The content of a section, nested struct or subsection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StructValue {
    /// The struct's name; empty for sections that have none.
    pub name: Arc<str>,
    /// The version written.
    pub version: u32,
    /// The fields in wire order. No two have the same name: where the description repeats one (which
    /// `unused` likes to be), the later are called `unused#2`, `unused#3`, ….
    pub fields: Vec<(Arc<str>, Value)>,
    /// The subsections in wire order.
    pub subsections: Vec<StructValue>,
}

impl Value {
    /// The number, if it is one and not negative.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        match *self {
            Self::U8(value) => Some(value.into()),
            Self::U16(value) => Some(value.into()),
            Self::U32(value) => Some(value.into()),
            Self::U64(value) => Some(value),
            _ => self.as_i64()?.try_into().ok(),
        }
    }

    /// The number, if it is one below 2⁶³.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match *self {
            Self::I8(value) => Some(value.into()),
            Self::I16(value) => Some(value.into()),
            Self::I32(value) => Some(value.into()),
            Self::I64(value) => Some(value),
            Self::U8(_) | Self::U16(_) | Self::U32(_) | Self::U64(_) => self.as_u64()?.try_into().ok(),
            _ => None,
        }
    }

    /// Whether it is true, if it is a `bool`.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(byte) = self { Some(*byte != 0) } else { None }
    }

    /// The bytes, if it is nothing else.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        if let Self::Bytes { bytes, .. } = self { Some(bytes) } else { None }
    }

    /// The struct, if it is one.
    #[must_use]
    pub fn as_struct(&self) -> Option<&StructValue> {
        if let Self::Struct(value) = self { Some(value) } else { None }
    }

    /// The elements, if it is an array.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Value]> {
        if let Self::Array(elements) = self { Some(elements) } else { None }
    }
}

impl StructValue {
    /// The subsection of this name.
    #[must_use]
    pub fn subsection(&self, name: &str) -> Option<&StructValue> {
        self.subsections.iter().find(|subsection| &*subsection.name == name)
    }
}
