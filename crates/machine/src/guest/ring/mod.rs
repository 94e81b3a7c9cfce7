//! The driver's side of virtqueues (virtio 1.3 §2.7, §2.8), kept in guest memory.
//!
//! Written from the specification, with nothing of the device's side in it: each judges the other.

mod packed;
mod split;

use vm_memory::{Bytes, GuestAddress};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::Fault;
use crate::ram::Memory;

/// The most entries that a ring of the guest's has.
pub const MAX_SIZE: u16 = 64;
/// The most buffers of one request, and so the room for each indirect table.
pub const MAX_PIECES: usize = 8;
/// Bytes of a descriptor.
const DESCRIPTOR: u64 = 16;

/// What a descriptor's flags say (§2.7.5).
mod flag {
    pub(super) const NEXT: u16 = 1;
    pub(super) const WRITE: u16 = 2;
    pub(super) const INDIRECT: u16 = 4;
}

/// A buffer of a request.
#[derive(Debug, Clone, Copy)]
pub struct Piece {
    /// Guest address.
    pub address: u64,
    /// Bytes.
    pub length: u32,
    /// Whether the device writes it.
    pub writable: bool,
}

impl Piece {
    /// A buffer that the device reads.
    #[must_use]
    pub fn out(address: u64, length: u32) -> Self {
        Self { address, length, writable: false }
    }

    /// A buffer that the device writes.
    #[must_use]
    pub fn input(address: u64, length: u32) -> Self {
        Self { address, length, writable: true }
    }
}

/// What of a ring was negotiated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Style {
    /// `RING_PACKED`.
    pub packed: bool,
    /// `EVENT_IDX`.
    pub event_idx: bool,
    /// `INDIRECT_DESC`.
    pub indirect: bool,
}

/// The driver's side of a ring. Between two steps of the guest it is in guest memory.
#[derive(Debug, Clone, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Ring {
    /// Guest address of the descriptors (packed: of the ring).
    pub desc: u64,
    /// Of the available ring (packed: of the driver's event suppression).
    pub avail: u64,
    /// Of the used ring (packed: of the device's event suppression).
    pub used: u64,
    /// Of the indirect tables, one for each id; 0 if there are none.
    tables: u64,
    /// Entries.
    pub size: u16,
    packed: u16,
    event_idx: u16,
    /// Split: counts on. Packed: the next descriptor.
    avail_idx: u16,
    used_idx: u16,
    /// Packed: wrap counters.
    avail_wrap: u16,
    used_wrap: u16,
    /// Where the driver was when it last thought of notifying.
    notified_idx: u16,
    notified_wrap: u16,
    /// Descriptors that are free.
    room: u16,
    /// How many of `free` are.
    free_count: u16,
    padding: u16,
    /// Ids (split: descriptors) that are free, the next last.
    free: [u16; MAX_SIZE as usize],
    /// Descriptors that each id's request has.
    count: [u16; MAX_SIZE as usize],
    /// Split: the descriptor behind each.
    next: [u16; MAX_SIZE as usize],
}

impl Ring {
    /// Bytes of memory that a ring needs with all that belongs to it, when it begins at a page.
    pub const BYTES: u64 = 0x4000;
    const TABLES: u64 = 0x2000;

    /// An empty ring in zeroed memory at `at`.
    #[must_use]
    pub fn new(at: u64, size: u16, style: Style) -> Self {
        let size = size.min(MAX_SIZE);
        let bytes = DESCRIPTOR * u64::from(size);
        let (avail, used) = if style.packed {
            (at + bytes, at + bytes + 4)
        } else {
            (at + bytes, (at + bytes + 6 + 2 * u64::from(size)).next_multiple_of(4096))
        };
        let mut free = [0; MAX_SIZE as usize];
        for (slot, id) in free.iter_mut().zip((0..size).rev()) {
            *slot = id;
        }
        Self {
            desc: at,
            avail,
            used,
            tables: if style.indirect { at + Self::TABLES } else { 0 },
            size,
            packed: style.packed.into(),
            event_idx: style.event_idx.into(),
            avail_idx: 0,
            used_idx: 0,
            avail_wrap: 1,
            used_wrap: 1,
            notified_idx: 0,
            notified_wrap: 1,
            room: size,
            free_count: size,
            padding: 0,
            free,
            count: [0; MAX_SIZE as usize],
            next: [0; MAX_SIZE as usize],
        }
    }

    /// Makes a request available, if there is room; gives its id.
    ///
    /// # Errors
    /// If the ring is not in memory.
    pub fn add(&mut self, pieces: &[Piece], memory: &Memory) -> Result<Option<u16>, Fault> {
        let is_indirect = self.tables != 0 && pieces.len() > 1;
        let needed = if is_indirect { 1 } else { pieces.len() };
        let room = if self.packed != 0 { self.room } else { self.free_count };
        if needed > usize::from(room) || self.free_count == 0 || pieces.len() > MAX_PIECES {
            return Ok(None);
        }
        let Some(id) = self.take_id() else { return Ok(None) };
        if is_indirect {
            let table = self.write_table(id, pieces, memory)?;
            self.offer(id, &[table], flag::INDIRECT, memory)?;
        } else {
            self.offer(id, pieces, 0, memory)?;
        }
        Ok(Some(id))
    }

    fn offer(&mut self, id: u16, pieces: &[Piece], flags: u16, memory: &Memory) -> Result<(), Fault> {
        if self.packed != 0 {
            self.offer_packed(id, pieces, flags, memory)
        } else {
            self.offer_split(id, pieces, flags, memory)
        }
    }

    /// Writes the indirect table of a request; gives the buffer that it is.
    fn write_table(&self, id: u16, pieces: &[Piece], memory: &Memory) -> Result<Piece, Fault> {
        let table = self.tables + u64::from(id) * DESCRIPTOR * MAX_PIECES as u64;
        for (index, piece) in (0_u16..).zip(pieces) {
            let at = table + DESCRIPTOR * u64::from(index);
            let has_next = usize::from(index) + 1 < pieces.len() && self.packed == 0;
            let flags = if has_next { flag::NEXT } else { 0 } | if piece.writable { flag::WRITE } else { 0 };
            let last = if self.packed != 0 { [0, flags] } else { [flags, index + 1] };
            write_descriptor(at, *piece, last, memory)?;
        }
        let length = u32::try_from(pieces.len() * 16).unwrap_or(u32::MAX);
        Ok(Piece::out(table, length))
    }

    /// Takes the next request that came back: its id, and how many bytes were written.
    ///
    /// # Errors
    /// If the ring is not in memory, or the device returns what it was not given.
    pub fn take(&mut self, memory: &Memory) -> Result<Option<(u16, u32)>, Fault> {
        if self.packed != 0 { self.take_packed(memory) } else { self.take_split(memory) }
    }

    /// Whether the device wants to be notified of what was added since this was last asked.
    ///
    /// # Errors
    /// If the ring is not in memory.
    pub fn must_notify(&mut self, memory: &Memory) -> Result<bool, Fault> {
        if self.packed != 0 { self.must_notify_packed(memory) } else { self.must_notify_split(memory) }
    }

    /// Asks for an interrupt with the next request that comes back; gives whether one has come already.
    ///
    /// # Errors
    /// If the ring is not in memory.
    pub fn want_interrupt(&mut self, memory: &Memory) -> Result<bool, Fault> {
        if self.packed != 0 { self.want_interrupt_packed(memory) } else { self.want_interrupt_split(memory) }
    }

    /// The id that the next request gets, if there is room for one.
    #[must_use]
    pub fn next_id(&self) -> Option<u16> {
        self.free.get(usize::from(self.free_count.checked_sub(1)?)).copied()
    }

    /// Requests that the device has.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.count.iter().filter(|&&count| count > 0).count()
    }

    fn take_id(&mut self) -> Option<u16> {
        let id = self.next_id()?;
        self.free_count -= 1;
        Some(id)
    }

    fn give_id(&mut self, id: u16) {
        if let Some(slot) = self.free.get_mut(usize::from(self.free_count)) {
            *slot = id;
            self.free_count += 1;
        }
    }

    /// Notes that a request with so many descriptors was given to the device.
    fn given(&mut self, id: u16, count: usize) {
        if let Some(slot) = self.count.get_mut(usize::from(id)) {
            *slot = u16::try_from(count).unwrap_or(u16::MAX);
        }
    }

    /// Notes that a request came back; gives how many descriptors it had.
    fn returned(&mut self, id: u16) -> Result<u16, Fault> {
        let count = self.count.get_mut(usize::from(id)).map(std::mem::take).unwrap_or_default();
        if count == 0 {
            return Err(Fault::Returned { id });
        }
        Ok(count)
    }
}

fn write_descriptor(at: u64, piece: Piece, [a, b]: [u16; 2], memory: &Memory) -> Result<(), Fault> {
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(
        piece
            .address
            .to_le_bytes()
            .into_iter()
            .chain(piece.length.to_le_bytes())
            .chain(a.to_le_bytes())
            .chain(b.to_le_bytes()),
    ) {
        *to = from;
    }
    memory.write_slice(&bytes, GuestAddress(at)).map_err(|_| Fault::at(at))
}

fn read_u16(at: u64, memory: &Memory) -> Result<u16, Fault> {
    memory.read_obj(GuestAddress(at)).map(u16::from_le).map_err(|_| Fault::at(at))
}

fn read_u32(at: u64, memory: &Memory) -> Result<u32, Fault> {
    memory.read_obj(GuestAddress(at)).map(u32::from_le).map_err(|_| Fault::at(at))
}

fn write_u16(at: u64, value: u16, memory: &Memory) -> Result<(), Fault> {
    memory.write_obj(value.to_le(), GuestAddress(at)).map_err(|_| Fault::at(at))
}
