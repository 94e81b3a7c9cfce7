//! State of a vhost-user back-end, which only it understands: chunks, each after its length.

use serde::{Deserialize, Serialize};
use vmstate::{Field, Reader, Result, Type, Typed, Writer};

/// Chunks of bytes, each after its length in four bytes; a length of 0 ends them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BackendState {
    chunks: Vec<Chunk>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
struct Chunk(#[serde(with = "hex::serde")] Vec<u8>);

impl Typed for BackendState {
    const TYPE: Type = Type::Opaque { name: "back-end state" };
}

impl<Cx: ?Sized> Field<Cx> for BackendState {
    fn load(input: &mut Reader<'_>, _: &Cx) -> Result<Self> {
        let mut chunks = Vec::new();
        loop {
            let in_chunk = |e: vmstate::Error| e.at_index(chunks.len());
            let length = input.u32().map_err(in_chunk)?;
            if length == 0 {
                return Ok(Self { chunks });
            }
            let length = input.backed(length.into(), 1, u64::MAX, "bytes").map_err(in_chunk)?;
            let bytes = input.bytes(length).map_err(in_chunk)?;
            chunks.push(Chunk(bytes.to_vec()));
        }
    }

    fn save(&self, out: &mut Writer) {
        for Chunk(bytes) in &self.chunks {
            out.u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
            out.bytes(bytes);
        }
        out.u32(0);
    }
}
