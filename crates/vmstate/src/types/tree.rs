//! Trees: a number of nodes, then a byte 1, a key and a value for each; a byte 0 at the end.

use serde::{Deserialize, Serialize};

use super::list::load_more;
use crate::description::{Type, Typed};
use crate::error::{ErrorKind, Result};
use crate::field::Field;
use crate::reader::Reader;
use crate::writer::Writer;

/// Nodes in the order of the stream (QEMU: `gtree`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tree<K, V>(pub Vec<(K, V)>);

impl<K, V> Default for Tree<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Typed, V: Typed> Typed for Tree<K, V> {
    const TYPE: Type = Type::Tree { key: &K::TYPE, value: &V::TYPE };
}

impl<Cx: ?Sized, K: Field<Cx>, V: Field<Cx>> Field<Cx> for Tree<K, V> {
    fn load(input: &mut Reader<'_>, cx: &Cx) -> Result<Self> {
        let at_count = input.clone();
        let count = input.u32()?;
        let mut nodes = Vec::new();
        while load_more(input)? {
            let index = nodes.len();
            let key = K::load(input, cx).map_err(|e| e.in_field("key").at_index(index))?;
            let value = V::load(input, cx).map_err(|e| e.at_index(index))?;
            nodes.push((key, value));
        }
        if nodes.len() as u64 != u64::from(count) {
            let kind = ErrorKind::NotEqual {
                found: format!("a count of {count} nodes"),
                expected: format!("{}, which is how many follow", nodes.len()),
            };
            return Err(at_count.fail(kind));
        }
        Ok(Self(nodes))
    }
    fn save(&self, out: &mut Writer) {
        out.u32(u32::try_from(self.0.len()).unwrap_or(u32::MAX));
        for (key, value) in &self.0 {
            out.u8(1);
            key.save(out);
            value.save(out);
        }
        out.u8(0);
    }
}
