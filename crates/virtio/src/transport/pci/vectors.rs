//! MSI-X as it works: vectors that are masked keep their interrupt pending (PCI 3.0 §6.8).

use super::NO_VECTOR;
use super::layout::ENTRY;
use super::msix::{Msix, MsixEntry};
use crate::live::Message;

/// A vector is masked, in its control.
const MASKED: u32 = 1;

impl Msix {
    /// The state after a reset: all vectors masked, nothing pending, no vector for anything.
    pub(super) fn blank(vectors: usize, queues: usize) -> Self {
        Self {
            table: vec![MsixEntry { control: MASKED, ..MsixEntry::default() }; vectors],
            pba: vec![0; vectors.div_ceil(8)],
            config_vector: NO_VECTOR,
            queue_vectors: vec![NO_VECTOR; queues],
        }
    }

    /// A vector is to interrupt: gives the message, or keeps it pending if the vector or all are masked.
    pub(super) fn raise(&mut self, vector: u16, mask_all: bool) -> Option<Message> {
        let index = usize::from(vector);
        let entry = self.table.get(index)?;
        if mask_all || entry.control & MASKED != 0 {
            if let Some(byte) = self.pba.get_mut(index / 8) {
                *byte |= 1 << (index % 8);
            }
            return None;
        }
        Some(Message { address: entry.address, data: entry.data })
    }

    /// The messages of vectors that are pending and not masked any more.
    pub(super) fn unmasked(&mut self, mask_all: bool) -> Vec<Message> {
        let pending = |byte: &u8, index: usize| byte >> (index % 8) & 1 == 1;
        let due = (0..self.table.len()).filter(|&index| {
            let is_pending = self.pba.get(index / 8).is_some_and(|byte| pending(byte, index));
            let is_masked = self.table.get(index).is_none_or(|entry| entry.control & MASKED != 0);
            is_pending && !is_masked && !mask_all
        });
        let due: Vec<usize> = due.collect();
        let mut messages = Vec::new();
        for index in due {
            if let Some(byte) = self.pba.get_mut(index / 8) {
                *byte &= !(1 << (index % 8));
            }
            messages.extend(u16::try_from(index).ok().and_then(|vector| self.raise(vector, mask_all)));
        }
        messages
    }

    /// Reads the table, in which each vector has 16 bytes.
    pub(super) fn read_table(&self, offset: usize, data: &mut [u8]) {
        let bytes = self.table.get(offset / ENTRY).map_or([0; ENTRY], |entry| entry.to_bytes());
        let from = bytes.get(offset % ENTRY..).unwrap_or_default();
        data.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    }

    /// Writes the table.
    pub(super) fn write_table(&mut self, offset: usize, data: &[u8]) {
        if let Some(entry) = self.table.get_mut(offset / ENTRY) {
            let mut bytes = entry.to_bytes();
            let place = bytes.get_mut(offset % ENTRY..).unwrap_or_default();
            place.iter_mut().zip(data).for_each(|(to, from)| *to = *from);
            *entry = MsixEntry::from_bytes(bytes);
        }
    }
}
