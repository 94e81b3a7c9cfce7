//! Split rings (virtio 1.3 §2.7).

use super::{DESCRIPTOR, Piece, Ring, flag, read_u16, read_u32, write_descriptor, write_u16};
use crate::guest::Fault;
use crate::ram::Memory;

impl Ring {
    pub(super) fn offer_split(
        &mut self,
        head: u16,
        pieces: &[Piece],
        flags: u16,
        memory: &Memory,
    ) -> Result<(), Fault> {
        let mut this = head;
        for (index, piece) in pieces.iter().enumerate() {
            let next = if index + 1 < pieces.len() { self.take_id() } else { None };
            let all = flags
                | if next.is_some() { flag::NEXT } else { 0 }
                | if piece.writable { flag::WRITE } else { 0 };
            let at = self.desc + DESCRIPTOR * u64::from(this);
            write_descriptor(at, *piece, [all, next.unwrap_or_default()], memory)?;
            if let Some(next) = next {
                if let Some(slot) = self.next.get_mut(usize::from(this)) {
                    *slot = next;
                }
                this = next;
            }
        }
        self.given(head, pieces.len());
        write_u16(self.avail + 4 + 2 * u64::from(self.avail_idx % self.size), head, memory)?;
        self.avail_idx = self.avail_idx.wrapping_add(1);
        write_u16(self.avail + 2, self.avail_idx, memory)
    }

    pub(super) fn take_split(&mut self, memory: &Memory) -> Result<Option<(u16, u32)>, Fault> {
        if read_u16(self.used + 2, memory)? == self.used_idx {
            return Ok(None);
        }
        let at = self.used + 4 + 8 * u64::from(self.used_idx % self.size);
        let (id, written) = (read_u32(at, memory)?, read_u32(at + 4, memory)?);
        let head = u16::try_from(id).map_err(|_| Fault::Returned { id: u16::MAX })?;
        let count = self.returned(head)?;
        self.used_idx = self.used_idx.wrapping_add(1);
        let mut this = head;
        for _ in 0..count {
            self.give_id(this);
            this = self.next.get(usize::from(this)).copied().unwrap_or_default();
        }
        Ok(Some((head, written)))
    }

    pub(super) fn must_notify_split(&mut self, memory: &Memory) -> Result<bool, Fault> {
        let before = std::mem::replace(&mut self.notified_idx, self.avail_idx);
        if self.event_idx == 0 {
            return Ok(read_u16(self.used, memory)? & 1 == 0 && self.avail_idx != before);
        }
        let event = read_u16(self.used + 4 + 8 * u64::from(self.size), memory)?;
        Ok(event.wrapping_sub(before) < self.avail_idx.wrapping_sub(before))
    }

    pub(super) fn want_interrupt_split(&mut self, memory: &Memory) -> Result<bool, Fault> {
        if self.event_idx != 0 {
            write_u16(self.avail + 4 + 2 * u64::from(self.size), self.used_idx, memory)?;
        }
        Ok(read_u16(self.used + 2, memory)? != self.used_idx)
    }
}
