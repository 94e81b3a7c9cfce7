//! Packed rings (virtio 1.3 §2.8).

use super::{DESCRIPTOR, Piece, Ring, flag, read_u16, read_u32, write_descriptor, write_u16};
use crate::guest::Fault;
use crate::ram::Memory;

/// Bits 7 and 15 of the flags say whose a descriptor is (§2.8.1).
const AVAIL: u16 = 1 << 7;
const USED: u16 = 1 << 15;
/// What event suppression says (§2.8.10).
const ENABLE: u16 = 0;
const DESC: u16 = 2;
const WRAP: u16 = 1 << 15;

impl Ring {
    pub(super) fn offer_packed(
        &mut self,
        id: u16,
        pieces: &[Piece],
        flags: u16,
        memory: &Memory,
    ) -> Result<(), Fault> {
        let mut first = None;
        for (index, piece) in pieces.iter().enumerate() {
            let turn = if self.avail_wrap != 0 { AVAIL } else { USED };
            let all = flags
                | turn
                | if index + 1 < pieces.len() { flag::NEXT } else { 0 }
                | if piece.writable { flag::WRITE } else { 0 };
            let at = self.desc + DESCRIPTOR * u64::from(self.avail_idx);
            match index {
                // The device sees the request when its first descriptor is there: it is written last.
                0 => first = Some((at, *piece, all)),
                _ => write_descriptor(at, *piece, [id, all], memory)?,
            }
            self.avail_idx += 1;
            if self.avail_idx == self.size {
                (self.avail_idx, self.avail_wrap) = (0, 1 - self.avail_wrap);
            }
        }
        if let Some((at, piece, all)) = first {
            write_descriptor(at, piece, [id, all], memory)?;
        }
        let count = u16::try_from(pieces.len()).unwrap_or(u16::MAX);
        self.room = self.room.saturating_sub(count);
        self.given(id, pieces.len());
        Ok(())
    }

    fn has_used_packed(&self, memory: &Memory) -> Result<bool, Fault> {
        let flags = read_u16(self.desc + DESCRIPTOR * u64::from(self.used_idx) + 14, memory)?;
        let wrap = self.used_wrap != 0;
        Ok((flags & AVAIL != 0) == wrap && (flags & USED != 0) == wrap)
    }

    pub(super) fn take_packed(&mut self, memory: &Memory) -> Result<Option<(u16, u32)>, Fault> {
        if !self.has_used_packed(memory)? {
            return Ok(None);
        }
        let at = self.desc + DESCRIPTOR * u64::from(self.used_idx);
        let (id, written) = (read_u16(at + 12, memory)?, read_u32(at + 8, memory)?);
        let count = self.returned(id)?;
        self.give_id(id);
        self.room += count;
        self.used_idx += count;
        if self.used_idx >= self.size {
            (self.used_idx, self.used_wrap) = (self.used_idx - self.size, 1 - self.used_wrap);
        }
        Ok(Some((id, written)))
    }

    pub(super) fn must_notify_packed(&mut self, memory: &Memory) -> Result<bool, Fault> {
        let now = (self.avail_idx, self.avail_wrap);
        let before = (self.notified_idx, self.notified_wrap);
        (self.notified_idx, self.notified_wrap) = now;
        let place = read_u16(self.used, memory)?;
        let event = (place & !WRAP, u16::from(place & WRAP != 0));
        Ok(match read_u16(self.used + 2, memory)? {
            ENABLE => now != before,
            DESC => self.steps(before, event) < self.steps(before, now),
            _ => false,
        })
    }

    /// Descriptors from one place to another, over two turns of the ring.
    fn steps(&self, from: (u16, u16), to: (u16, u16)) -> u16 {
        let place = |(index, wrap): (u16, u16)| index + if wrap != 0 { 0 } else { self.size };
        (place(to) + 2 * self.size - place(from)) % (2 * self.size)
    }

    pub(super) fn want_interrupt_packed(&mut self, memory: &Memory) -> Result<bool, Fault> {
        if self.event_idx != 0 {
            write_u16(self.avail, self.used_idx | if self.used_wrap != 0 { WRAP } else { 0 }, memory)?;
            write_u16(self.avail + 2, DESC, memory)?;
        }
        self.has_used_packed(memory)
    }
}
