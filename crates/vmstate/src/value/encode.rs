//! Values to bytes.

use super::{StructValue, Value};
use crate::field::Field;
use crate::state::SUBSECTION;
use crate::vmdesc::subsection_header_size;
use crate::writer::Writer;

impl StructValue {
    /// Writes the body: the fields, then the subsections, to the bytes they were decoded from.
    pub fn encode(&self, out: &mut Writer) {
        for (_, field) in &self.fields {
            field.encode(out);
        }
        for subsection in &self.subsections {
            out.u8(SUBSECTION);
            out.name(&subsection.name);
            out.u32(subsection.version);
            subsection.encode(out);
        }
    }

    /// Bytes of the body.
    #[must_use]
    pub fn size(&self) -> u64 {
        let fields: u64 = self.fields.iter().map(|(_, field)| field.size()).sum();
        let subsections = self.subsections.iter().map(|each| each.header_size() + each.size());
        fields + subsections.sum::<u64>()
    }

    /// Bytes in front of the body where the struct is a subsection.
    pub(super) fn header_size(&self) -> u64 {
        subsection_header_size(&self.name)
    }
}

impl Value {
    /// Writes the content of the field.
    pub fn encode(&self, out: &mut Writer) {
        match self {
            Self::U8(value) => out.u8(*value),
            Self::U16(value) => out.u16(*value),
            Self::U32(value) => out.u32(*value),
            Self::U64(value) => out.u64(*value),
            Self::I8(value) => out.u8(value.cast_unsigned()),
            Self::I16(value) => out.u16(value.cast_unsigned()),
            Self::I32(value) => out.u32(value.cast_unsigned()),
            Self::I64(value) => out.u64(value.cast_unsigned()),
            Self::Bool(byte) => out.u8(*byte),
            Self::Timer(timer) => Field::<()>::save(timer, out),
            Self::Bytes { bytes, .. } => out.bytes(bytes),
            Self::Struct(value) => value.encode(out),
            Self::Array(elements) => elements.iter().for_each(|element| element.encode(out)),
        }
    }

    /// Bytes of the field.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Self::U8(_) | Self::I8(_) | Self::Bool(_) => 1,
            Self::U16(_) | Self::I16(_) => 2,
            Self::U32(_) | Self::I32(_) => 4,
            Self::U64(_) | Self::I64(_) | Self::Timer(_) => 8,
            Self::Bytes { bytes, .. } => bytes.len() as u64,
            Self::Struct(value) => value.size(),
            Self::Array(elements) => elements.iter().map(Self::size).sum(),
        }
    }
}
