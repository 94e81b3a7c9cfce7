//! Memory for tests: pages that were written to, and nothing else.

use std::collections::BTreeMap;

use super::{MemoryError, RingMemory};

const PAGE: u64 = 4096;

/// Memory with a page wherever something was written.
#[derive(Debug, Default)]
pub(crate) struct Pages(BTreeMap<u64, Vec<u8>>);

impl Pages {
    /// Writes bytes, and makes the pages they lie in.
    pub(crate) fn write(&mut self, address: u64, bytes: &[u8]) {
        for (address, &byte) in (address..).zip(bytes) {
            let page = self.0.entry(address / PAGE).or_insert_with(|| vec![0; 4096]);
            page[usize::try_from(address % PAGE).unwrap()] = byte;
        }
    }

    /// Writes little-endian words.
    pub(crate) fn write_u64s(&mut self, address: u64, words: &[u64]) {
        let bytes: Vec<_> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.write(address, &bytes);
    }

    /// Takes the pages of `other` in.
    pub(crate) fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }
}

impl RingMemory for Pages {
    fn read(&self, address: u64, buf: &mut [u8]) -> Result<(), MemoryError> {
        for (address, byte) in (address..).zip(buf) {
            let page = self.0.get(&(address / PAGE)).ok_or(MemoryError::Unmapped { address })?;
            *byte = page[usize::try_from(address % PAGE).unwrap()];
        }
        Ok(())
    }
}
